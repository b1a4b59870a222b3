"""Settings of the risk engine: one frozen config per model, checked as it is built, and the preset of the earlier bot."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from math import inf
from math import isfinite
from typing import Any


PRODUCT = "product"


def _bounded(
    config: object, *names: str, low: float = 0.0, high: float = inf, open_low: bool = False
) -> None:
    """Require each named field to be finite and to lie in the range; the message names field, value and what is allowed."""
    for name in names:
        value = getattr(config, name)
        if not isfinite(value) or value < low or value > high or (open_low and value == low):
            allowed = f"{'more than' if open_low else 'at least'} {low:g}"
            if high < inf:
                allowed += f" and at most {high:g}"
            msg = f"{type(config).__name__}.{name} is {value!r}; it must be {allowed}"
            raise ValueError(msg)


def _three(config: object, name: str, *, falling: bool = False) -> None:
    """Require three positive thresholds in strict order: those of the scores 2, 3 and 4."""
    values = getattr(config, name)
    ordered = sorted(set(values), reverse=falling)
    if len(values) != 3 or list(values) != ordered or not all(0 < v < inf for v in values):
        order = "falling" if falling else "rising"
        msg = f"{type(config).__name__}.{name} is {values!r}; it must be three positive numbers, {order}"
        raise ValueError(msg)


def _ordered(config: object, low: str, high: str) -> None:
    """Require one field not to exceed another."""
    if getattr(config, low) > getattr(config, high):
        msg = (
            f"{type(config).__name__}.{low} is {getattr(config, low)!r}; "
            f"it must be at most {high} ({getattr(config, high)!r})"
        )
        raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelConfig:
    """
    When an account counts as LOW, MEDIUM, HIGH or CRITICAL (#38).

    Each triple holds the thresholds of the scores 2, 3 and 4; under the first the score is 1.

    Parameters
    ----------
    margin : tuple of float, default (0.4, 0.6, 0.8)
        Margin ratio.
    drawdown : tuple of float, default (0.5, 0.7, 1.0)
        Drawdown as a share of ``max_drawdown``.
    max_drawdown : float, default 0.05
        Drawdown of the session's starting equity that counts as full.
    liquidation_distance : tuple of float, default (0.15, 0.10, 0.05)
        Distance to liquidation as a fraction of mark.
    volatility : tuple of float, default (1.0, 1.5)
        Annualised volatility over ``volatility_threshold``: scores 2 and 3, there is no 4.
    volatility_threshold : float, default 0.5
        A volatility of 50 % a year.
    volatility_estimate : str, default "30s"
        Which estimate counts; where it is missing, the largest one.
    averages : tuple of float, default (1.5, 2.5, 3.5)
        Average score from which the level is MEDIUM, HIGH, CRITICAL, whatever the largest score.
    hold_secs : float, default 30.0
        A level falls only once the reading has been lower for this long; it rises at once.

    """

    margin: tuple[float, ...] = (0.4, 0.6, 0.8)
    drawdown: tuple[float, ...] = (0.5, 0.7, 1.0)
    max_drawdown: float = 0.05
    liquidation_distance: tuple[float, ...] = (0.15, 0.10, 0.05)
    volatility: tuple[float, ...] = (1.0, 1.5)
    volatility_threshold: float = 0.5
    volatility_estimate: str = "30s"
    averages: tuple[float, ...] = (1.5, 2.5, 3.5)
    hold_secs: float = 30.0

    def __post_init__(self) -> None:
        for name in ("margin", "drawdown", "averages"):
            _three(self, name)
        _three(self, "liquidation_distance", falling=True)
        if len(self.volatility) != 2 or not 0 < self.volatility[0] < self.volatility[1] < inf:
            msg = f"LevelConfig.volatility is {self.volatility!r}; it must be two positive numbers, rising"
            raise ValueError(msg)
        _bounded(self, "max_drawdown", high=1, open_low=True)
        _bounded(self, "volatility_threshold", open_low=True)
        _bounded(self, "hold_secs")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageConfig:
    """
    The leverage that each level allows (#39).

    LOW has the configured leverage, MEDIUM ``max(medium_floor, configured // 2)``.

    Parameters
    ----------
    enabled : bool, default True
        Whether the level moves leverage and exposure limit at all.
    medium_floor : float, default 5
        Least leverage under MEDIUM.
    high, critical : float, default 3 and 1
        Leverage under HIGH and CRITICAL.
    cooldown_secs : float, default 60.0
        Time between two reductions at the venue; the exposure limit follows the level at once.
    min_exposure : float, default 0.01
        Position over equity under which the venue's setting is left alone.
    restore_secs : float, default 600.0
        The configured leverage returns once the level has been MEDIUM or LOW for this long; 0 never returns by itself.
    margin_room : float, default 0.8
        The setting is not lowered so far that the open position alone would use more than this share of equity.
    set_at_venue : bool, default False
        Whether the venue's own setting follows. The exposure limit follows in any case; at the venue a lower leverage liquidates a
        cross position no later (maintenance goes by the market's largest) and only takes room from open orders.

    """

    enabled: bool = True
    medium_floor: float = 5.0
    high: float = 3.0
    critical: float = 1.0
    cooldown_secs: float = 60.0
    min_exposure: float = 0.01
    restore_secs: float = 600.0
    margin_room: float = 0.8
    set_at_venue: bool = False

    def __post_init__(self) -> None:
        _bounded(self, "medium_floor", "high", "critical", low=1)
        _ordered(self, "critical", "high")
        _ordered(self, "high", "medium_floor")
        _bounded(self, "cooldown_secs", "min_exposure", "restore_secs")
        _bounded(self, "margin_room", high=1, open_low=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopConfig:
    """
    When a position is reduced whatever the quotes say (#41); 0 turns a rule off.

    Parameters
    ----------
    stop_loss : float, default 0.02
        Move against the average entry price from which the whole position goes.
    hard_stop : float, default 1.5
        Position value over equity from which the excess goes.
    auto_reduce_loss : float, default 0.01
        Unrealised loss over the session's starting equity from which a part goes.
    auto_reduce_share : float, default 0.2
        That part of the position.
    cooldown_secs : float, default 5.0
        Time between two reductions by stop loss or hard stop: the first must be able to fill.
    auto_reduce_cooldown_secs : float, default 60.0
        Time between two automatic reductions.

    """

    stop_loss: float = 0.02
    hard_stop: float = 1.5
    auto_reduce_loss: float = 0.01
    auto_reduce_share: float = 0.2
    cooldown_secs: float = 5.0
    auto_reduce_cooldown_secs: float = 60.0

    def __post_init__(self) -> None:
        _bounded(self, "stop_loss", "auto_reduce_loss", high=1)
        _bounded(self, "hard_stop", "cooldown_secs", "auto_reduce_cooldown_secs")
        _bounded(self, "auto_reduce_share", high=1, open_low=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitConfig:
    """
    What no order may bring the account to in the worst case: this order and everything open and in flight on its side filled.

    Parameters
    ----------
    max_margin_ratio : float, default 0.80
        Margin over equity.
    max_position : float, default 0.0
        Contracts held; 0 is no limit.
    max_notional : float, default 0.0
        Value held, in collateral units; 0 is no limit.
    max_order_notional : float, default 0.0
        Value of one order; 0 is no limit.

    """

    max_margin_ratio: float = 0.80
    max_position: float = 0.0
    max_notional: float = 0.0
    max_order_notional: float = 0.0

    def __post_init__(self) -> None:
        _bounded(self, "max_margin_ratio", high=1, open_low=True)
        _bounded(self, "max_position", "max_notional", "max_order_notional")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakerConfig:
    """
    How much of the volume may be taken (#43).

    Parameters
    ----------
    cap : float, default 0.05
        Share of the window's volume up to which taking to rebalance is allowed; the quotes' own (``rebalance.taker_cap``, of
        all time) holds too.
    warn, pause : float, default 0.10 and 0.20
        Share from which the spread widens, and from which quoting pauses.
    window_secs : float, default 3600.0
        Volume older than this is forgotten.
    min_fills : int, default 20
        Fills in the window before its share is believed.
    cooldown_secs : float, default 900.0
        Length of a pause.

    """

    cap: float = 0.05
    warn: float = 0.10
    pause: float = 0.20
    window_secs: float = 3_600.0
    min_fills: int = 20
    cooldown_secs: float = 900.0

    def __post_init__(self) -> None:
        _bounded(self, "warn", "pause", high=1, open_low=True)
        _bounded(self, "cap", high=1)
        _ordered(self, "warn", "pause")
        _bounded(self, "window_secs", open_low=True)
        _bounded(self, "cooldown_secs")
        _bounded(self, "min_fills", low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerConfig:
    """
    The breakers that first widen the spread and then pause.

    Parameters
    ----------
    widen : float, default 1.5
        Spread multiple while a breaker is past its first threshold.
    rejections_widen, rejections_pause : int, default 10 and 30
        Rejections of the venue within ``window_secs``.
    velocity_widen, velocity_pause : float, default 0.05 and 0.10
        Growth of the position within ``window_secs``, as a share of the exposure limit.
    window_secs : float, default 60.0
        Span that both are counted over.
    budget_widen : float, default 5.0
        Actions left over the reserve, from which downwards the spread widens; at the reserve itself quoting pauses.
    cooldown_secs : float, default 60.0
        Length of a pause.

    """

    widen: float = 1.5
    rejections_widen: int = 10
    rejections_pause: int = 30
    velocity_widen: float = 0.05
    velocity_pause: float = 0.10
    window_secs: float = 60.0
    budget_widen: float = 5.0
    cooldown_secs: float = 60.0

    def __post_init__(self) -> None:
        _bounded(self, "widen", "rejections_widen", "budget_widen", low=1)
        _ordered(self, "rejections_widen", "rejections_pause")
        _bounded(self, "velocity_widen", "velocity_pause", open_low=True)
        _ordered(self, "velocity_widen", "velocity_pause")
        _bounded(self, "window_secs", open_low=True)
        _bounded(self, "cooldown_secs")


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingHedgeConfig:
    """
    When a position that pays funding is reduced (#44); the shift of the inventory target is the quotes' own.

    Parameters
    ----------
    threshold : float, default 0.0001
        Absolute hourly rate beyond which funding matters (0.01 %).
    reduce_share : float, default 0.0
        Part of a paying position that is closed each ``interval_secs``; 0 never closes (the earlier bot had 0.10).
    interval_secs : float, default 3600.0
        Time between two such reductions: funding is paid hourly.

    """

    threshold: float = 0.0001
    reduce_share: float = 0.0
    interval_secs: float = 3_600.0

    def __post_init__(self) -> None:
        _bounded(self, "threshold", open_low=True)
        _bounded(self, "reduce_share", high=1)
        _bounded(self, "interval_secs")


@dataclass(frozen=True, slots=True, kw_only=True)
class KellyConfig:
    """
    Order sizes by Kelly's rule (#42), off unless asked for.

    Parameters
    ----------
    enabled : bool, default False
        Whether sizes follow it.
    share : float, default 0.5
        Part of the full Kelly fraction that is used.
    initial_edge : float, default 0.001
        Edge of a close, as a fraction of its value, before there are ``min_closes``.
    min_closes : int, default 20
        Closes before the measured edge is believed.
    edge_floor : float, default 0.0001
        Least edge that is reckoned with; it keeps the rule from stopping all trade after a bad start.
    initial_volatility : float, default 0.15
        Annualised volatility while none is known.
    floor, cap : float, default 0.005 and 0.10
        Limits of the fraction of equity.
    reference : float, default 0.02
        The fraction at which configured sizes are used as they are.
    max_scale : float, default 1.0
        Largest multiple of the configured sizes: the ladder was checked at one.
    funding_hours : float, default 2160.0
        The edge is lowered by the hourly funding rate over this (ninety days).
    high, medium : float, default 0.25 and 0.5
        Multiples under the levels HIGH and MEDIUM; under CRITICAL nothing is left.

    """

    enabled: bool = False
    share: float = 0.5
    initial_edge: float = 0.001
    min_closes: int = 20
    edge_floor: float = 0.0001
    initial_volatility: float = 0.15
    floor: float = 0.005
    cap: float = 0.10
    reference: float = 0.02
    max_scale: float = 1.0
    funding_hours: float = 2_160.0
    high: float = 0.25
    medium: float = 0.5

    def __post_init__(self) -> None:
        _bounded(self, "share", "cap", "reference", high=1, open_low=True)
        _bounded(self, "initial_edge", "edge_floor", "floor", "high", "medium", high=1)
        _ordered(self, "floor", "cap")
        _bounded(self, "initial_volatility", "max_scale", "funding_hours", open_low=True)
        _bounded(self, "min_closes", low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchConfig:
    """
    The kill switches and what else stops or restricts quoting.

    Parameters
    ----------
    drawdown : float, default 0.05
        Fall from the session's peak, as a share of its starting equity, that halts.
    session_loss, session_loss_share : float, default 100 and 0.03
        A loss of more than the larger of this amount and this share of the session's starting equity halts.
    streak : int, default 10
        Losing closes in a row; ``streak_loss`` (0.005 of equity) they must together have lost.
    close_window_secs : float, default 1.0
        Closing fills of one side within this time are one close.
    streak_pause_secs : float, default 900.0
        Length of the pause; the ``streak_halts_at``-th (3) within ``streak_window_secs`` (a day) halts.
    margin_ratio, margin_resume : float, default 0.90 and 0.85
        Where increasing orders go, and under which they return.
    liquidation_distance, liquidation_share : float, default 0.03 and 0.5
        Flatten distance: the smaller of the first and this share of a full position's distance; a share of 0 leaves that out.
    book_stale_secs, oracle_stale_secs : float, default 2 and 5
        Silence that pauses; ``fresh_secs`` (30) of fresh data end the pause.
    collateral_low, collateral_high : float, default 0.98 and 1.02
        Outside for ``collateral_secs`` (60) restricts, inside for ``collateral_clear_secs`` (600) ends it.
    implausible_equity : float, default 0.05
        Share of equity that may change unexplained in one refresh of the account.

    """

    drawdown: float = 0.05
    session_loss: float = 100.0
    session_loss_share: float = 0.03
    streak: int = 10
    streak_loss: float = 0.005
    close_window_secs: float = 1.0
    streak_pause_secs: float = 900.0
    streak_halts_at: int = 3
    streak_window_secs: float = 86_400.0
    margin_ratio: float = 0.90
    margin_resume: float = 0.85
    liquidation_distance: float = 0.03
    liquidation_share: float = 0.5
    book_stale_secs: float = 2.0
    oracle_stale_secs: float = 5.0
    fresh_secs: float = 30.0
    collateral_low: float = 0.98
    collateral_high: float = 1.02
    collateral_secs: float = 60.0
    collateral_clear_secs: float = 600.0
    implausible_equity: float = 0.05

    def __post_init__(self) -> None:
        _bounded(self, "drawdown", "margin_ratio", "implausible_equity", high=1, open_low=True)
        _bounded(self, "session_loss_share", "streak_loss", "liquidation_share", high=1)
        _bounded(self, "liquidation_distance", high=1, open_low=True)
        _bounded(self, "session_loss", "close_window_secs", "streak_pause_secs", "fresh_secs")
        _bounded(self, "streak", "streak_halts_at", low=1)
        _bounded(self, "streak_window_secs", "book_stale_secs", "oracle_stale_secs", open_low=True)
        _bounded(self, "margin_resume")
        _ordered(self, "margin_resume", "margin_ratio")
        _bounded(self, "collateral_low", high=1, open_low=True)
        _bounded(self, "collateral_high", low=1)
        _bounded(self, "collateral_secs", "collateral_clear_secs")
        if self.session_loss == 0 and self.session_loss_share == 0:
            msg = (
                "SwitchConfig.session_loss and session_loss_share are both 0; one of them must be more than 0"
            )
            raise ValueError(msg)


# the earlier bot's literal numbers where they differ from the product's
SEED: Mapping[str, Mapping[str, Any]] = {
    "levels": {"hold_secs": 0.0},
    "leverage": {"restore_secs": 0.0},
    "funding": {"threshold": 0.00015, "reduce_share": 0.10},
    "kelly": {"enabled": True},
    "switches": {
        "session_loss_share": 0.0,
        "streak_loss": 0.0,
        "close_window_secs": 0.0,
        "streak_halts_at": 1,
        "liquidation_share": 0.0,
    },
}
PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {PRODUCT: {}, "seed": SEED}


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskConfig:
    """
    Everything that decides what the account may risk.

    ``enabled`` off approves everything and is meant for benchmarks only.
    """

    enabled: bool = True
    levels: LevelConfig = field(default_factory=LevelConfig)
    leverage: LeverageConfig = field(default_factory=LeverageConfig)
    stops: StopConfig = field(default_factory=StopConfig)
    limits: LimitConfig = field(default_factory=LimitConfig)
    taker: TakerConfig = field(default_factory=TakerConfig)
    breakers: BreakerConfig = field(default_factory=BreakerConfig)
    funding: FundingHedgeConfig = field(default_factory=FundingHedgeConfig)
    kelly: KellyConfig = field(default_factory=KellyConfig)
    switches: SwitchConfig = field(default_factory=SwitchConfig)

    @classmethod
    def seed(cls) -> "RiskConfig":
        """Return the preset with the earlier bot's literal numbers (#38 to #47, #51)."""
        return cls(
            levels=LevelConfig(**SEED["levels"]),
            leverage=LeverageConfig(**SEED["leverage"]),
            funding=FundingHedgeConfig(**SEED["funding"]),
            kelly=KellyConfig(**SEED["kelly"]),
            switches=SwitchConfig(**SEED["switches"]),
        )


def merge_preset(raw: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a run file's risk section with its key ``preset`` replaced by that preset's values.

    What the section says itself wins, value by value.

    Raises
    ------
    ValueError
        If there is no such preset.

    """
    out = dict(raw)
    name = out.pop("preset", PRODUCT)
    if name not in PRESETS:
        msg = f"risk.preset is {name!r}; it must be one of {', '.join(PRESETS)}"
        raise ValueError(msg)
    for section, values in PRESETS[name].items():
        own = out.get(section, {})
        # a section that is no mapping is left for the schema to refuse in its own words
        if isinstance(own, Mapping):
            out[section] = {**values, **own}
    return out
