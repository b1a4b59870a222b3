"""The verdict on a week of trading: did it run all the time, did it trade, and did it reach what the earlier bot asked of a week."""

from dataclasses import dataclass
from dataclasses import field
from typing import Any

import numpy as np

from amm500_nautilus.report.files import Floats
from amm500_nautilus.report.files import Ints
from amm500_nautilus.report.statistics import block_figures
from amm500_nautilus.report.statistics import block_returns
from amm500_nautilus.report.statistics import max_drawdown
from amm500_nautilus.report.statistics import mean_capital
from amm500_nautilus.report.statistics import ratio
from amm500_nautilus.report.statistics import without_transfers
from amm500_nautilus.report.types import VerdictLevels
from amm500_nautilus.report.uptime import merge_sessions


NS = 1_000_000_000
DAY_NS = 86_400 * NS
MINUTE_NS = 60 * NS
WEEK_DAYS = 7.0
# of the minutes of the span; a restart takes less than one
COVERAGE = 0.95
# of the five scored checks: the earlier bot's exit code was 0 from here on
SCORE = 0.8
GRADES = ((1.0, "excellent"), (0.8, "good"), (0.6, "acceptable"))
LOWEST_GRADE = "needs improvement"


def no_times() -> Ints:
    """Return no times at all."""
    return np.array([], dtype=np.int64)


def no_numbers() -> Floats:
    """Return no numbers at all."""
    return np.array([], dtype=np.float64)


PASS, FAIL, NO_DATA = "pass", "fail", "not_enough_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    What is known of a stretch of trading, however many processes it took.

    Parameters
    ----------
    name, mode, market, collateral, source : str
        What traded, and on which data.
    simulated : bool
        Whether the market itself was made up; a paper run on a real market is not, though its fills are.
    start_ns, end_ns : int
        From the first to the last moment that anything is known of, UTC ns.
    ts_ns, equity, position, mid, leverage, margin_ratio : arrays
        A row a minute; equity net of transfers, in collateral units; ``leverage`` as the account reports it.
    transfers : array, optional
        By each row, what had been deposited less withdrawn, which ``equity`` leaves out; None where nothing was.
    fill_ns, fill_value, fill_is_maker : arrays
        The fills: time, value in collateral units, and whether the order rested.
    funding_ns, funding : arrays
        Payments, positive when received.
    halt_ns, liquidation_ns : arrays
        When a kill switch halted, and when the venue liquidated.
    two_sided : float, optional
        Share of session time quoted on both sides; None where it was not kept.
    watch_ns, watched_s, two_sided_s : arrays
        What ``two_sided`` is made of, so that it can be told of a part: by each of these times, the seconds of session time and those
        quoted on both sides, since the start.
    sessions : sequence of (int, int)
        When the market traded; none at all is always.
    day_seconds, blocks_per_year : float
        Session seconds of a trading day, and 60-minute blocks of a year.
    gaps : sequence of str
        What is known to be missing, in sentences.
    strategy : str
        The digest of the strategy's configuration where it was noted; empty where it was not, or was not the same all the time.

    """

    name: str
    mode: str
    market: str
    collateral: str
    source: str
    simulated: bool
    start_ns: int
    end_ns: int
    ts_ns: Ints
    equity: Floats
    position: Floats
    mid: Floats
    leverage: Floats
    margin_ratio: Floats
    fill_ns: Ints
    fill_value: Floats
    fill_is_maker: Floats
    funding_ns: Ints
    funding: Floats
    halt_ns: Ints
    liquidation_ns: Ints
    two_sided: float | None = None
    watch_ns: Ints = field(default_factory=no_times)
    watched_s: Floats = field(default_factory=no_numbers)
    two_sided_s: Floats = field(default_factory=no_numbers)
    sessions: tuple[tuple[int, int], ...] = ()
    day_seconds: float = 86_400.0
    blocks_per_year: float = 8_760.0
    gaps: tuple[str, ...] = ()
    strategy: str = ""
    transfers: Floats | None = None

    @property
    def moved(self) -> Floats:
        """What had been deposited less withdrawn by each row."""
        return np.zeros_like(self.equity) if self.transfers is None else self.transfers

    @property
    def capital(self) -> Floats:
        """The account's equity at each row, with what was deposited."""
        return self.equity + self.moved

    def last_days(self, days: float) -> "Evidence":
        """Return the last so many days of it; all of it where it is shorter."""
        start = max(self.start_ns, self.end_ns - int(days * DAY_NS))
        rows, fills = self.ts_ns >= start, self.fill_ns >= start
        if start == self.start_ns or not rows.any():
            return self
        paid = self.funding_ns >= start
        values = {name: getattr(self, name) for name in type(self).__slots__}
        values |= {
            name: values[name][rows]
            for name in ("ts_ns", "equity", "position", "mid", "leverage", "margin_ratio")
        }
        values["transfers"] = self.moved[rows]
        values |= {name: values[name][fills] for name in ("fill_ns", "fill_value", "fill_is_maker")}
        values |= {name: values[name][paid] for name in ("funding_ns", "funding")}
        values |= {name: values[name][values[name] >= start] for name in ("halt_ns", "liquidation_ns")}
        return Evidence(**(values | {"start_ns": start, "two_sided": self.two_sided_since(start)}))

    def two_sided_since(self, start_ns: int) -> float | None:
        """Return the share of session time from ``start_ns`` on that was quoted on both sides; None where it is not known."""
        if len(self.watch_ns) < 2:
            return None
        watched, both = (
            float(each[-1] - np.interp(start_ns, self.watch_ns, each))
            for each in (self.watched_s, self.two_sided_s)
        )
        # also where a sum is not known, which is no number
        return both / watched if watched > 0 and np.isfinite(both) else None


@dataclass(frozen=True, slots=True)
class Check:
    """
    One line of a verdict.

    ``actual`` is None where it cannot be known. ``is_scored`` marks one of the five that make the grade; the others must hold.
    """

    name: str
    rule: str
    limit: float
    actual: float | None
    text: str
    is_scored: bool = False
    is_span: bool = False

    @property
    def passed(self) -> bool | None:
        """Whether it holds; None where it cannot be known."""
        if self.actual is None:
            return None
        slack = 1e-9 * max(1.0, abs(self.limit))
        if self.rule == ">=":
            return self.actual >= self.limit - slack
        if self.rule == "<=":
            return self.actual <= self.limit + slack
        return self.actual > self.limit if self.rule == ">" else self.actual < self.limit

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in ``analysis.json``."""
        return {
            "name": self.name,
            "rule": self.rule,
            "limit": self.limit,
            "actual": self.actual,
            "pass": self.passed,
            "scored": self.is_scored,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; ratios are fractions, amounts collateral units, None where there is nothing to measure."""

    days: float
    coverage: float
    fills: int
    trades_per_day: float
    maker_ratio: float | None
    pnl: float
    roi: float
    max_drawdown: float
    sharpe: float | None
    sharpe_reason: str
    turnover_per_day: float
    two_sided_uptime: float | None
    funding: float
    max_margin_ratio: float
    imbalances: int
    halts: int
    liquidations: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """The verdict (``pass``, ``fail`` or ``not_enough_data``), its grade, and everything it rests on."""

    verdict: str
    grade: str
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    figures: Figures
    evidence: Evidence


def session_seconds(evidence: Evidence) -> float:
    """Return the seconds of the span in which the market traded."""
    start, end = evidence.start_ns, evidence.end_ns
    spans = merge_sessions(evidence.sessions or ((start, end),), start, end)
    return sum(close - begin for begin, close in spans) / NS


def imbalances(evidence: Evidence, limit: float) -> int:
    """
    Return how often the position left ``limit`` of the exposure limit (equity times leverage) on either side.

    Rows that follow each other beyond it are one time.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        room = evidence.capital * np.nan_to_num(evidence.leverage, nan=1.0)
        beyond = np.abs(evidence.position * evidence.mid) / room > limit
    return int(beyond[:1].sum() + (beyond[1:] & ~beyond[:-1]).sum()) if len(beyond) else 0


def measure(evidence: Evidence, *, one_sided: float = 0.025) -> Figures:
    """Return the figures of the whole span; return, Sharpe and drawdown time-weighted, as the reports define them."""
    seconds = session_seconds(evidence)
    days = max(seconds / evidence.day_seconds, 1e-9)
    equity = without_transfers(evidence.capital, evidence.moved)
    roi = float(equity[-1] - equity[0]) / float(equity[0])
    start, end = evidence.start_ns, evidence.end_ns
    spans = merge_sessions(evidence.sessions or ((start, end),), start, end)
    blocks = block_figures(block_returns(evidence.ts_ns, equity, spans), roi, evidence.blocks_per_year)
    volume = float(evidence.fill_value.sum())
    minutes = len(np.unique(evidence.ts_ns // MINUTE_NS))
    known = evidence.margin_ratio[np.isfinite(evidence.margin_ratio)]
    return Figures(
        days=(end - start) / DAY_NS,
        coverage=min(1.0, minutes / max(1.0, seconds / 60)),
        fills=len(evidence.fill_ns),
        trades_per_day=len(evidence.fill_ns) / days,
        maker_ratio=ratio(float(evidence.fill_value[evidence.fill_is_maker > 0].sum()), volume),
        pnl=float(evidence.equity[-1] - evidence.equity[0]),
        roi=roi,
        max_drawdown=max_drawdown(equity),
        sharpe=blocks.sharpe,
        sharpe_reason=blocks.reason,
        turnover_per_day=volume / mean_capital(evidence.capital, evidence.moved) / days,
        two_sided_uptime=evidence.two_sided,
        funding=float(evidence.funding.sum()),
        max_margin_ratio=float(known.max()) if len(known) else 0.0,
        imbalances=imbalances(evidence, one_sided),
        halts=len(evidence.halt_ns),
        liquidations=len(evidence.liquidation_ns),
        blocks=blocks.blocks,
    )


def week_checks(figures: Figures, days: float = WEEK_DAYS) -> tuple[Check, ...]:
    """Return the checks of a week: what must hold first, then the five that the earlier bot's script scored."""
    floors = VerdictLevels()
    must = (
        Check("span_days", ">=", days, figures.days, "days from the first to the last minute", is_span=True),
        Check(
            "coverage",
            ">=",
            COVERAGE,
            figures.coverage,
            "of the minutes with a row: the rest it did not run",
            is_span=True,
        ),
        Check("kill_switch_halts", "<=", 0, figures.halts, "times a kill switch halted"),
        Check("liquidations", "<=", 0, figures.liquidations, "liquidations"),
        Check(
            "fills_per_day",
            ">=",
            floors.fills_per_day,
            figures.trades_per_day,
            "fills a day: fewer say nothing",
        ),
        Check(
            "two_sided_uptime",
            ">=",
            floors.two_sided_uptime,
            figures.two_sided_uptime,
            "of the time quoted on both sides",
        ),
        Check(
            "turnover_per_day",
            ">=",
            floors.turnover_per_day,
            figures.turnover_per_day,
            "times equity turned over a day",
        ),
    )
    scored = (
        Check("trades_per_day", ">=", 1_000, figures.trades_per_day, "trades a day", is_scored=True),
        Check("maker_ratio", ">=", 0.90, figures.maker_ratio, "maker share of volume", is_scored=True),
        Check("roi", ">=", 0.05, figures.roi, "return over the span", is_scored=True),
        Check("max_drawdown", "<=", 0.005, figures.max_drawdown, "largest drawdown", is_scored=True),
        Check("sharpe", ">=", 1.5, figures.sharpe, "Sharpe of 60-minute blocks", is_scored=True),
    )
    return (*must, *scored)


def judge(evidence: Evidence, days: float = WEEK_DAYS) -> Analysis:
    """
    Judge the last ``days`` days.

    The grade is the earlier bot's: the share of the five scored checks that hold (1 excellent, 0.8 good, 0.6 acceptable). It is a
    ``pass`` from 0.8 on and only where everything else holds; a span that is too short or has holes is ``not_enough_data`` unless
    something that must not happen has happened, which is a ``fail`` at any length.
    """
    window = evidence.last_days(days)
    figures = measure(window)
    checks = week_checks(figures, days)
    scored = [check for check in checks if check.is_scored]
    share = sum(check.passed is True for check in scored) / len(scored)
    grade = next((name for least, name in GRADES if share >= least - 1e-9), LOWEST_GRADE)
    broken = [check for check in checks if check.name in ("kill_switch_halts", "liquidations")]
    short = [check for check in checks if check.is_span and not check.passed]
    missed = [check for check in checks if not check.is_scored and not check.is_span and not check.passed]
    reasons = [sentence(check) for check in (*short, *missed)]
    if any(not check.passed for check in broken):
        verdict = FAIL
    elif short:
        verdict = NO_DATA
    elif missed:
        verdict = FAIL
    else:
        verdict = PASS if share >= SCORE - 1e-9 else FAIL
    if not short and share < SCORE - 1e-9:
        reasons += [sentence(check) for check in scored if not check.passed]
    return Analysis(verdict, grade, tuple(reasons), checks, figures, window)


def sentence(check: Check) -> str:
    """Return what a check that does not hold says."""
    actual = "unknown" if check.actual is None else f"{check.actual:.4g}"
    return f"{check.name} {actual}, wanted {check.rule} {check.limit:g} ({check.text})"
