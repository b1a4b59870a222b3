"""Settings of the spread: bands, multipliers, fading, adaptive modes."""

from dataclasses import dataclass
from dataclasses import field
from math import inf

from amm500_nautilus.quoting.config_rules import fraction
from amm500_nautilus.quoting.config_rules import non_negative
from amm500_nautilus.quoting.config_rules import positive
from amm500_nautilus.quoting.config_rules import require


MOST_BPS = 10_000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SpreadBand:
    """
    Half-spreads of one volatility band.

    Parameters
    ----------
    below : float
        The band holds annualised volatilities under this (a fraction; ``inf`` for the last).
    min_bps, max_bps : float
        Distance of the first and of the last level from fair value.

    """

    below: float
    min_bps: float
    max_bps: float

    def __post_init__(self) -> None:
        positive(self, "below", "min_bps")
        require(
            self.min_bps <= self.max_bps < MOST_BPS,
            "SpreadBand.max_bps",
            self.max_bps,
            f"at least min_bps ({self.min_bps!r}), and under {MOST_BPS:g}: a bid so far away has no price",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RiskMultiple:
    """The spread multiple of one risk level."""

    level: str
    multiple: float

    def __post_init__(self) -> None:
        positive(self, "multiple")


def _default_bands() -> tuple[SpreadBand, ...]:
    rows = ((0.05, 1.0, 5.0), (0.10, 2.0, 10.0), (0.15, 5.0, 25.0), (inf, 10.0, 50.0))
    return tuple(SpreadBand(below=below, min_bps=low, max_bps=high) for below, low, high in rows)


def _default_risk() -> tuple[RiskMultiple, ...]:
    rows = (("LOW", 1.0), ("MEDIUM", 1.3), ("HIGH", 1.8), ("CRITICAL", 3.0))
    return tuple(RiskMultiple(level=level, multiple=multiple) for level, multiple in rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpreadConfig:
    """
    The spread pipeline (#20 with the bands of #21).

    Parameters
    ----------
    bands : tuple of SpreadBand
        Base half-spreads by volatility; rising thresholds, never narrower in a higher band.
    band_hysteresis : float, default 0.05
        A band is left downwards only once volatility is this share under its lower edge.
    floor_bps, cap_bps : float, default 1.0 and 50.0
        Limits of every half-spread.
    min_ratio : float, default 2.0
        The last level lies at least this many times as far as the first.
    forecast_floor, forecast_cap : float, default 0.8 and 1.2
        Limits of the forecast factor.
    imbalance_threshold : float, default 0.3
        Beyond this absolute imbalance the spread widens by ``imbalance_min`` and ``imbalance_max``.
    depth_reference : float, default 75000.0
        Total depth, in collateral units, at which the book counts as deep.
    depth_tighten_min, depth_tighten_max : float, default 0.2 and 0.1
        What a deep book takes off the first and the last half-spread; less depth takes off proportionally less.
    margin_threshold, margin_slope : float, default 0.8 and 5.0
        Above the margin ratio, the factor is ``1 + (ratio - threshold) * slope``.
    risk : tuple of RiskMultiple
        Multiple of each risk level.
    maker_fee_bps : float, default 0.26
        What a maker fill costs.
    inside_fees : bool, default False
        Whether a half-spread may be narrower than the fee.

    """

    bands: tuple[SpreadBand, ...] = field(default_factory=_default_bands)
    band_hysteresis: float = 0.05
    floor_bps: float = 1.0
    cap_bps: float = 50.0
    min_ratio: float = 2.0
    forecast_floor: float = 0.8
    forecast_cap: float = 1.2
    imbalance_threshold: float = 0.3
    imbalance_min: float = 1.5
    imbalance_max: float = 1.3
    depth_reference: float = 75_000.0
    depth_tighten_min: float = 0.2
    depth_tighten_max: float = 0.1
    margin_threshold: float = 0.8
    margin_slope: float = 5.0
    risk: tuple[RiskMultiple, ...] = field(default_factory=_default_risk)
    maker_fee_bps: float = 0.26
    inside_fees: bool = False

    def __post_init__(self) -> None:
        self._check_bands()
        positive(self, "floor_bps", "cap_bps", "depth_reference", "forecast_floor")
        require(self.min_ratio >= 1, "SpreadConfig.min_ratio", self.min_ratio, "1 or more")
        require(
            self.cap_bps >= self.floor_bps * self.min_ratio,
            "SpreadConfig.cap_bps",
            self.cap_bps,
            f"at least floor_bps * min_ratio ({self.floor_bps * self.min_ratio!r})",
        )
        require(
            self.forecast_cap >= self.forecast_floor,
            "SpreadConfig.forecast_cap",
            self.forecast_cap,
            f"at least forecast_floor ({self.forecast_floor!r})",
        )
        for name in ("imbalance_min", "imbalance_max"):
            require(
                getattr(self, name) >= 1, f"SpreadConfig.{name}", getattr(self, name), "1 or more (it widens)"
            )
        for name in ("band_hysteresis", "depth_tighten_min", "depth_tighten_max"):
            value = getattr(self, name)
            require(0 <= value < 1, f"SpreadConfig.{name}", value, "at least 0 and less than 1")
        fraction(self, "imbalance_threshold")
        non_negative(self, "margin_threshold", "margin_slope")
        require(len(self.risk) >= 1, "SpreadConfig.risk", self.risk, "one row or more")

    def _check_bands(self) -> None:
        require(len(self.bands) >= 1, "SpreadConfig.bands", self.bands, "one row or more")
        for low, high in zip(self.bands, self.bands[1:], strict=False):
            require(
                high.below > low.below,
                "SpreadConfig.bands: below",
                high.below,
                f"more than the row before ({low.below!r})",
            )
            require(
                high.min_bps >= low.min_bps and high.max_bps >= low.max_bps,
                "SpreadConfig.bands: min_bps, max_bps",
                (high.min_bps, high.max_bps),
                f"no narrower than the calmer row before {(low.min_bps, low.max_bps)!r}",
            )
        last = self.bands[-1].below
        require(
            last == inf,
            "SpreadConfig.bands: the last row's below",
            last,
            "inf, so that every volatility has a row",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FadingConfig:
    """
    What recent fills do to the spread (#26).

    Parameters
    ----------
    fills_kept : int, default 10
        Buys and sells remembered, each.
    max_age_secs : float, default 300.0
        Older fills (and an older losing streak) are forgotten.
    min_fills : int, default 3
        Fills of each side needed for a realised spread.
    fade_below_bps : float, default -2.0
        A realised spread under this widens by ``1 + |spread| / fade_scale_bps``, at most ``fade_cap``.
    streak : int, default 3
        Losing closes in a row that widen by ``streak_min`` and ``streak_max``.
    close_window_secs : float, default 1.0
        Closing fills of one side within this time count as one.
    markout_half_life_fills : float, default 20.0
        Half-life, in fills, of the running markouts.

    """

    fills_kept: int = 10
    max_age_secs: float = 300.0
    min_fills: int = 3
    fade_below_bps: float = -2.0
    fade_scale_bps: float = 10.0
    fade_cap: float = 3.0
    streak: int = 3
    streak_min: float = 2.5
    streak_max: float = 2.0
    close_window_secs: float = 1.0
    markout_half_life_fills: float = 20.0

    def __post_init__(self) -> None:
        for name in ("fills_kept", "min_fills", "streak", "fade_cap", "streak_min", "streak_max"):
            require(getattr(self, name) >= 1, f"FadingConfig.{name}", getattr(self, name), "1 or more")
        require(self.fade_below_bps <= 0, "FadingConfig.fade_below_bps", self.fade_below_bps, "zero or less")
        positive(self, "max_age_secs", "fade_scale_bps", "markout_half_life_fills")
        non_negative(self, "close_window_secs")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeRow:
    """
    One row of the adaptive-mode table (#33).

    Parameters
    ----------
    name : str
        The mode.
    below_bps : float
        The mode holds recent realised spreads under this (``inf`` for the last row).
    distance_ticks : int
        The nearest the first level may lie to fair value.
    level_share, size_share : float
        Shares of the configured levels and of the configured size that are quoted.

    """

    name: str
    below_bps: float
    distance_ticks: int
    level_share: float = 1.0
    size_share: float = 1.0

    def __post_init__(self) -> None:
        non_negative(self, "distance_ticks")
        for name in ("level_share", "size_share"):
            require(
                0 < getattr(self, name) <= 1, f"ModeRow.{name}", getattr(self, name), "more than 0, at most 1"
            )


def _default_modes() -> tuple[ModeRow, ...]:
    # the earlier bot's $2.00, $1.00, $0.50, $0.50, $0.25 were meant for a price of 6,900; at 690 a tick of 0.01 is a tenth
    return (
        ModeRow(name="DEFENSIVE", below_bps=-3.0, distance_ticks=20, level_share=0.34, size_share=0.5),
        ModeRow(name="MODERATE", below_bps=1.0, distance_ticks=10, level_share=0.67, size_share=0.75),
        ModeRow(name="NORMAL", below_bps=10.0, distance_ticks=5),
        ModeRow(name="AGGRESSIVE", below_bps=15.0, distance_ticks=5),
        ModeRow(name="VERY_AGGRESSIVE", below_bps=inf, distance_ticks=2),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptiveConfig:
    """
    The mode that recent fills choose.

    Parameters
    ----------
    enabled : bool, default True
        Whether modes act; otherwise the mode is ``start_mode`` for good.
    rows : tuple of ModeRow
        Rising ``below_bps``, the last ``inf``.
    start_mode : str, default "NORMAL"
        The mode without enough fills.
    dwell_secs : float, default 60.0
        A mode lasts at least this long, since every change moves the whole ladder.

    """

    enabled: bool = True
    rows: tuple[ModeRow, ...] = field(default_factory=_default_modes)
    start_mode: str = "NORMAL"
    dwell_secs: float = 60.0

    def __post_init__(self) -> None:
        names = tuple(row.name for row in self.rows)
        require(self.start_mode in names, "AdaptiveConfig.start_mode", self.start_mode, f"one of {names!r}")
        edges = [row.below_bps for row in self.rows]
        require(
            edges == sorted(set(edges)) and edges[-1] == inf,
            "AdaptiveConfig.rows: below_bps",
            edges,
            "rising, the last inf",
        )
        non_negative(self, "dwell_secs")
