"""Settings of what is read from the market: fair value, twin, book, volatility, funding, sessions."""

from dataclasses import dataclass
from dataclasses import field
from typing import Literal

from amm500_nautilus.quoting.config_rules import fraction
from amm500_nautilus.quoting.config_rules import non_negative
from amm500_nautilus.quoting.config_rules import positive
from amm500_nautilus.quoting.config_rules import require


@dataclass(frozen=True, kw_only=True, slots=True)
class FairValueConfig:
    """
    Where fair value lies, and when it cannot be trusted.

    Parameters
    ----------
    microprice_cap_bps : float, default 2.0
        The furthest the microprice may lie from mid.
    imbalance_shift_bps : float, default 0.5
        The shift at a book imbalance of one (top five levels).
    imbalance_cap_bps : float, default 0.5
        The largest imbalance shift.
    oracle_gap_bps : float, default 100.0
        Beyond this distance between fair value and oracle, quoting stops.
    oracle_silence_secs : float, default 10.0
        An oracle without any message for this long is stale (once there has been one).
    oracle_unchanged_secs : float, default 30.0
        An oracle price unchanged for this long is stale if mid moved more than ``oracle_move_ticks`` meanwhile.
    oracle_move_ticks : float, default 2.0
        See ``oracle_unchanged_secs``.
    book_stale_secs : float, default 2.0
        Without any book message for this long, quoting stops.
    fresh_secs : float, default 0.0
        After a stale book or oracle, quoting resumes once data were fresh for this long.

    """

    microprice_cap_bps: float = 2.0
    imbalance_shift_bps: float = 0.5
    imbalance_cap_bps: float = 0.5
    oracle_gap_bps: float = 100.0
    oracle_silence_secs: float = 10.0
    oracle_unchanged_secs: float = 30.0
    oracle_move_ticks: float = 2.0
    book_stale_secs: float = 2.0
    fresh_secs: float = 0.0

    def __post_init__(self) -> None:
        non_negative(self, "microprice_cap_bps", "imbalance_shift_bps", "imbalance_cap_bps", "fresh_secs")
        positive(
            self,
            "oracle_gap_bps",
            "oracle_silence_secs",
            "oracle_unchanged_secs",
            "oracle_move_ticks",
            "book_stale_secs",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrendConfig:
    """
    How far fair value runs ahead of a moving mid.

    Parameters
    ----------
    multiple : float, default 0.0
        Expected further move as a share of mid's distance from its average; 0 ignores the trend, 0.5 halves markout losses
        and fills alike.
    half_life_secs : float, default 5.0
        Half-life of that average.
    cap_bps : float, default 5.0
        The largest shift.
    max_gap_secs : float, default 10.0
        After a longer silence the average starts anew.

    """

    multiple: float = 0.0
    half_life_secs: float = 5.0
    cap_bps: float = 5.0
    max_gap_secs: float = 10.0

    def __post_init__(self) -> None:
        non_negative(self, "multiple", "cap_bps")
        positive(self, "half_life_secs", "max_gap_secs")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceConfig:
    """
    A liquid twin of the market, whose price leads ours.

    Parameters
    ----------
    weight : float, default 0.7
        The twin's share of fair value while it is usable; 0 ignores it.
    ratio_half_life_secs : float, default 600.0
        Half-life of the average of own microprice over twin microprice.
    warmup_secs : float, default 60.0
        The ratio is not used before it has been averaged for this long.
    stale_secs : float, default 3.0
        A twin older than this is dropped.
    divergence_bps : float, default 20.0
        A twin whose fair value lies further than this from our own is dropped.

    """

    weight: float = 0.7
    ratio_half_life_secs: float = 600.0
    warmup_secs: float = 60.0
    stale_secs: float = 3.0
    divergence_bps: float = 20.0

    def __post_init__(self) -> None:
        fraction(self, "weight")
        non_negative(self, "warmup_secs")
        positive(self, "ratio_half_life_secs", "stale_secs", "divergence_bps")


@dataclass(frozen=True, kw_only=True, slots=True)
class BookConfig:
    """
    How the book is read (#18).

    Parameters
    ----------
    levels : int, default 10
        Levels a side that count as depth.
    fast_levels : int, default 5
        Levels a side of the fast stream; deeper ones come on the slow clock.
    deep_stale_secs : float, default 15.0
        Deep levels older than this are left out.
    min_side_depth : float, default 5000.0
        Collateral units a side under which the book is illiquid.
    pressure_depth : float, default 100000.0
        Total depth at which pressure equals imbalance.

    """

    levels: int = 10
    fast_levels: int = 5
    deep_stale_secs: float = 15.0
    min_side_depth: float = 5_000.0
    pressure_depth: float = 100_000.0

    def __post_init__(self) -> None:
        require(self.levels >= 1, "BookConfig.levels", self.levels, "1 or more")
        require(self.fast_levels >= 1, "BookConfig.fast_levels", self.fast_levels, "1 or more")
        non_negative(self, "min_side_depth")
        positive(self, "deep_stale_secs", "pressure_depth")


@dataclass(frozen=True, kw_only=True, slots=True)
class VolatilityConfig:
    """
    Volatility from marks on a fixed one-second clock (#19, with its clock mended).

    Parameters
    ----------
    interval_secs : int, default 30
        Horizon of the returns that choose the spread; 1, 10, 30 or 60.
    half_life_secs : float, default 900.0
        Half-life of the exponentially weighted estimate.
    window_secs : int, default 3600
        Window of the realised estimate.
    estimator : str, default "ewma"
        ``ewma``, ``realised`` or ``larger`` (of the two).
    initial : float, default 0.10
        Annualised volatility before there are ``min_returns``.
    min_returns : int, default 20
        Returns needed before the realised estimate is believed; the weighted one starts at ``initial``.
    max_gap_secs : float, default 10.0
        A silence longer than this starts a new segment; no return spans it.
    seconds_per_year : float, default 0.0
        Trading seconds in a year; 0 takes the session calendar's, or 365 days of 24 hours without one.

    """

    interval_secs: int = 30
    half_life_secs: float = 900.0
    window_secs: int = 3600
    estimator: Literal["ewma", "realised", "larger"] = "ewma"
    initial: float = 0.10
    min_returns: int = 20
    max_gap_secs: float = 10.0
    seconds_per_year: float = 0.0

    def __post_init__(self) -> None:
        require(
            self.interval_secs in {1, 10, 30, 60},
            "VolatilityConfig.interval_secs",
            self.interval_secs,
            "1, 10, 30 or 60",
        )
        allowed = ("ewma", "realised", "larger")
        require(
            self.estimator in allowed,
            "VolatilityConfig.estimator",
            self.estimator,
            "one of " + ", ".join(allowed),
        )
        require(self.min_returns >= 1, "VolatilityConfig.min_returns", self.min_returns, "1 or more")
        positive(self, "half_life_secs", "window_secs", "initial", "max_gap_secs")
        non_negative(self, "seconds_per_year")


@dataclass(frozen=True, kw_only=True, slots=True)
class FundingConfig:
    """
    What funding does to inventory and spread (#44).

    Parameters
    ----------
    threshold : float, default 0.0001
        Absolute hourly rate beyond which funding matters (0.01 %).
    max_shift : float, default 0.005
        Largest shift of the inventory target, as delta, reached at twice the threshold.
    widen : float, default 0.1
        Spread factor ``1 + widen * (|rate| / threshold - 1)`` beyond the threshold, at most ``widen_cap``.

    """

    threshold: float = 0.0001
    max_shift: float = 0.005
    widen: float = 0.1
    widen_cap: float = 1.3

    def __post_init__(self) -> None:
        positive(self, "threshold")
        non_negative(self, "max_shift", "widen")
        require(self.widen_cap >= 1, "FundingConfig.widen_cap", self.widen_cap, "1 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionRow:
    """What to do in one kind of session: ``spread_multiple``, and whether to quote at all."""

    kind: str
    spread_multiple: float = 1.0
    quote: bool = True

    def __post_init__(self) -> None:
        require(self.spread_multiple >= 1, "SessionRow.spread_multiple", self.spread_multiple, "1 or more")


def _default_sessions() -> tuple[SessionRow, ...]:
    return (
        SessionRow(kind="cash"),
        SessionRow(kind="futures", spread_multiple=1.5),
        SessionRow(kind="weekend", spread_multiple=2.0),
        SessionRow(kind="holiday", spread_multiple=2.0),
        SessionRow(kind="closed", quote=False),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionConfig:
    """
    Multipliers and pauses by kind of session.

    Parameters
    ----------
    rows : tuple of SessionRow
        ``closed`` is the time outside every interval of the calendar; a kind without a row is quoted unchanged.
    close_margin_secs : float, default 2.0
        Quoting stops this long before a gap between sessions.
    open_margin_secs : float, default 0.0
        Quoting starts this long after one.

    """

    rows: tuple[SessionRow, ...] = field(default_factory=_default_sessions)
    close_margin_secs: float = 2.0
    open_margin_secs: float = 0.0

    def __post_init__(self) -> None:
        non_negative(self, "close_margin_secs", "open_margin_secs")
