"""Settings of the orders: ladder, skew, rebalancing, order keeping, the other quoting models."""

from dataclasses import dataclass

from amm500_nautilus.quoting.config_rules import non_negative
from amm500_nautilus.quoting.config_rules import positive
from amm500_nautilus.quoting.config_rules import require


@dataclass(frozen=True, kw_only=True, slots=True)
class LadderConfig:
    """
    Levels and sizes of one side (#23).

    Parameters
    ----------
    levels : int, default 15
        Levels a side before merging.
    size_fraction : float, default 0.02
        Total value of one side as a share of the exposure limit.
    bucket_weights : tuple of float, default (0.70, 0.20, 0.10)
        Shares of the nearest, middle and furthest third of the levels; they sum to 1. Empty uses ``size_decay`` alone.
    bucket_decay : float, default 0.85
        Size of a level over that of the level before it, inside a third.
    size_decay : float, default 0.85
        The same over the whole ladder, when ``bucket_weights`` is empty (61/27/12 % by thirds).

    """

    levels: int = 15
    size_fraction: float = 0.02
    bucket_weights: tuple[float, ...] = (0.70, 0.20, 0.10)
    bucket_decay: float = 0.85
    size_decay: float = 0.85

    def __post_init__(self) -> None:
        require(1 <= self.levels <= 100, "LadderConfig.levels", self.levels, "between 1 and 100")
        require(
            0 < self.size_fraction <= 1,
            "LadderConfig.size_fraction",
            self.size_fraction,
            "more than 0, at most 1",
        )
        for name in ("bucket_decay", "size_decay"):
            value = getattr(self, name)
            require(0 < value <= 1, f"LadderConfig.{name}", value, "more than 0, at most 1")
        if self.bucket_weights:
            weights = self.bucket_weights
            require(
                len(weights) == 3
                and all(w >= 0 for w in weights)
                and weights[0] > 0
                and abs(sum(weights) - 1) < 1e-9,
                "LadderConfig.bucket_weights",
                weights,
                "three shares, none negative, the first positive, that sum to 1 (or empty)",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class SkewConfig:
    """
    How inventory moves the two sides (#24).

    Parameters
    ----------
    dead_zone : float, default 0.005
        Delta under which nothing is skewed.
    full_delta : float, default 0.05
        Delta at which urgency is one.
    away, toward : float, default 2.0 and 0.3
        At urgency one the side that would add inventory is ``1 + away`` times as far, the other ``1 - toward``.
    floor : float, default 0.5
        The smallest multiple of a distance.
    margin_threshold, margin_slope : float, default 0.7 and 3.0
        Above the margin ratio, urgency is multiplied by ``1 + (ratio - threshold) * slope``.
    max_urgency : float, default 2.0
        Limit of urgency after the margin multiple.

    """

    dead_zone: float = 0.005
    full_delta: float = 0.05
    away: float = 2.0
    toward: float = 0.3
    floor: float = 0.5
    margin_threshold: float = 0.7
    margin_slope: float = 3.0
    max_urgency: float = 2.0

    def __post_init__(self) -> None:
        non_negative(self, "dead_zone", "away", "toward", "margin_threshold", "margin_slope")
        positive(self, "full_delta", "max_urgency")
        require(0 < self.floor <= 1, "SkewConfig.floor", self.floor, "more than 0, at most 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class RebalanceConfig:
    """
    When and how inventory is brought back (#25).

    Parameters
    ----------
    threshold, stop : float, default 0.015 and 0.005
        Delta off target at which rebalancing begins, and under which it ends.
    one_sided, one_sided_stop : float, default 0.025 and 0.02
        Delta off target at which the side that adds inventory is withdrawn, and under which it returns.
    passive : bool, default True
        Whether a reduce-only post-only order is rested at the touch first.
    patience_secs : float, default 30.0
        How long the passive order may try before taking.
    taker_cap : float, default 0.05
        Share of all traded volume that may be taken; 0 never takes. The risk engine's own (``risk.taker.cap``, of its last hour) holds too.
    ioc_through_bps : float, default 1.0
        How far through the touch the taking order's limit lies.
    ioc_cooldown_secs : float, default 5.0
        Time between taking orders.
    tolerance_ticks : int, default 2
        How far the passive order may lie behind the touch before it is moved.
    margin_one_sided : float, default 0.90
        Margin ratio from which the side that adds inventory is withdrawn.

    """

    threshold: float = 0.015
    stop: float = 0.005
    one_sided: float = 0.025
    one_sided_stop: float = 0.02
    passive: bool = True
    patience_secs: float = 30.0
    taker_cap: float = 0.05
    ioc_through_bps: float = 1.0
    ioc_cooldown_secs: float = 5.0
    tolerance_ticks: int = 2
    margin_one_sided: float = 0.90

    def __post_init__(self) -> None:
        positive(self, "threshold", "one_sided", "margin_one_sided")
        require(0 <= self.stop <= self.threshold, "RebalanceConfig.stop", self.stop, "from 0 to threshold")
        require(
            self.one_sided >= self.threshold,
            "RebalanceConfig.one_sided",
            self.one_sided,
            f"at least threshold ({self.threshold!r})",
        )
        require(
            0 < self.one_sided_stop <= self.one_sided,
            "RebalanceConfig.one_sided_stop",
            self.one_sided_stop,
            "more than 0, at most one_sided",
        )
        require(
            0 <= self.taker_cap < 1, "RebalanceConfig.taker_cap", self.taker_cap, "at least 0 and less than 1"
        )
        non_negative(self, "patience_secs", "ioc_through_bps", "ioc_cooldown_secs", "tolerance_ticks")


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderKeepingConfig:
    """
    When a resting order is worth an action: the venue meters them.

    Parameters
    ----------
    near_tolerance, far_tolerance : float, default 0.25 and 0.5
        How far an order may lie on the near (risky) and on the far side of its planned price, as shares of the planned
        distance from fair value; multiplied by the budget's multiple.
    near_cap, far_cap : float, default 0.75 and 1.0
        Limits of the two after multiplying.
    min_tolerance_ticks : int, default 1
        Neither band is narrower.
    size_tolerance : float, default 0.5
        Share by which the size left may differ from the planned one.
    min_age_secs : float, default 2.0
        A younger order is left alone unless it is exposed.
    exposed_fraction : float, default 0.2
        An order nearer to fair value than this share of the first planned distance is exposed: it goes first.
    fast_move_ticks : int, default 3
        Least move of the touch that asks for a decision between cycles.
    fast_move_fraction : float, default 0.5
        The same as a share of the first planned distance; the larger of the two counts.

    """

    near_tolerance: float = 0.25
    far_tolerance: float = 0.5
    near_cap: float = 0.75
    far_cap: float = 1.0
    min_tolerance_ticks: int = 1
    size_tolerance: float = 0.5
    min_age_secs: float = 2.0
    exposed_fraction: float = 0.2
    fast_move_ticks: int = 3
    fast_move_fraction: float = 0.5

    def __post_init__(self) -> None:
        non_negative(
            self,
            "near_tolerance",
            "far_tolerance",
            "min_tolerance_ticks",
            "min_age_secs",
            "fast_move_fraction",
        )
        for name in ("near_cap", "size_tolerance", "exposed_fraction"):
            value = getattr(self, name)
            require(0 <= value < 1, f"OrderKeepingConfig.{name}", value, "at least 0 and less than 1")
        require(
            self.near_tolerance <= self.near_cap,
            "OrderKeepingConfig.near_cap",
            self.near_cap,
            f"at least near_tolerance ({self.near_tolerance!r})",
        )
        require(
            self.far_tolerance <= self.far_cap,
            "OrderKeepingConfig.far_cap",
            self.far_cap,
            f"at least far_tolerance ({self.far_tolerance!r})",
        )
        require(
            self.fast_move_ticks >= 1, "OrderKeepingConfig.fast_move_ticks", self.fast_move_ticks, "1 or more"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedGridConfig:
    """
    The earlier bot's grid: fixed spacing, equal sizes, no skew.

    Parameters
    ----------
    levels : int, default 20
        Levels a side.
    spacing_ticks : int, default 7
        Ticks between levels (7 of 0.01 at 690 are one basis point).
    offset_ticks : int, default 7
        Ticks from fair value to the first level.

    """

    levels: int = 20
    spacing_ticks: int = 7
    offset_ticks: int = 7

    def __post_init__(self) -> None:
        for name in ("levels", "spacing_ticks", "offset_ticks"):
            require(getattr(self, name) >= 1, f"FixedGridConfig.{name}", getattr(self, name), "1 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class GlftConfig:
    """
    The closed form of Gueant, Lehalle and Fernandez-Tapia, in ticks and seconds.

    Parameters
    ----------
    gamma : float, default 0.05
        Risk aversion, per tick.
    levels : int, default 10
        Levels a side, spaced by the half-spread (at least ``min_spacing_ticks``).
    min_spacing_ticks : int, default 2
        Least spacing.
    skew_share : float, default 1.0
        Share of the closed form's inventory skew that is applied.
    max_skew_bps : float, default 20.0
        Limit of the inventory skew.
    initial_a, initial_k : float, default 0.5 and 0.1
        Intensity ``A exp(-k d)`` (per second, per tick) before it is fitted.
    half_life_secs : float, default 1800.0
        Half-life of the trades that the intensity is fitted from.
    refit_secs : float, default 60.0
        Time between fits.
    max_distance_ticks : int, default 60
        Trades further from mid count as this far.
    min_trades : float, default 50.0
        Weighted trades needed for a fit.

    """

    gamma: float = 0.05
    levels: int = 10
    min_spacing_ticks: int = 2
    skew_share: float = 1.0
    max_skew_bps: float = 20.0
    initial_a: float = 0.5
    initial_k: float = 0.1
    half_life_secs: float = 1800.0
    refit_secs: float = 60.0
    max_distance_ticks: int = 60
    min_trades: float = 50.0

    def __post_init__(self) -> None:
        positive(self, "gamma", "initial_a", "initial_k", "half_life_secs", "refit_secs", "min_trades")
        non_negative(self, "skew_share", "max_skew_bps")
        for name in ("levels", "min_spacing_ticks"):
            require(getattr(self, name) >= 1, f"GlftConfig.{name}", getattr(self, name), "1 or more")
        require(
            self.max_distance_ticks >= 3,
            "GlftConfig.max_distance_ticks",
            self.max_distance_ticks,
            "3 or more",
        )
