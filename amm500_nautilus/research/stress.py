"""
A scenario put upon bars, before the market simulator makes a book along them.

What bars can carry is done here: the span around the event, the volatility, the fall. Every scenario's bars are cut at the same
moments, and the simulator treats what lies between two cuts by itself: up to the event a path that is not stressed has the same
book and trades in every scenario, and the variance of a fall does not leak into the quiet before it.
"""

from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from amm500_catalog.errors import InputError
from amm500_catalog.sources.base import PRICE_COLUMNS
from amm500_catalog.sources.base import BarFrame
from amm500_nautilus.research.scenario import BASE
from amm500_nautilus.research.scenario import NS
from amm500_nautilus.research.scenario import PIECE_S
from amm500_nautilus.research.scenario import Scenario
from amm500_nautilus.research.scenario import StressConfig


Span = tuple[int, int]
MINUTE_NS = 60 * NS
# beside the run's seed, so that the event is drawn from a stream of its own
EVENT_STREAM = 65


@dataclass(frozen=True, slots=True)
class Window:
    """The span of data of every scenario, ``[start_ns, end_ns)``, and the moment of the event in it."""

    start_ns: int
    event_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shock:
    """
    A scenario fixed in time, with what a run must do beside following the bars.

    Parameters
    ----------
    scenario : str
        The scenario's name.
    event_ns, crash_end_ns : int
        When it begins, and when a fall is over; the bars are cut at both in every scenario.
    crash : bool
        Whether the price falls between the two.
    outage_ns : int
        How long nothing passes between the venue and the strategy, from the event on.
    depth, widen, recovery_ns : float, float, int
        Share of displayed size left while the price falls, how far each side steps back in price units, and how long the book
        takes to recover.

    """

    scenario: str
    event_ns: int
    crash_end_ns: int
    crash: bool
    outage_ns: int
    depth: float
    widen: float
    recovery_ns: int

    @property
    def outages(self) -> tuple[Span, ...]:
        """The spans ``[start, end)`` in ns in which nothing passes; empty without an outage."""
        return ((self.event_ns, self.event_ns + self.outage_ns),) if self.outage_ns else ()

    def strain(self, ts_ns: int) -> float:
        """Return how thin the book is at a moment: 1 while the price falls, then in a straight line to 0."""
        if not self.crash or ts_ns < self.event_ns:
            return 0.0
        if ts_ns < self.crash_end_ns:
            return 1.0
        late = ts_ns - self.crash_end_ns
        return 1.0 - late / self.recovery_ns if late < self.recovery_ns else 0.0

    def cut(self, sessions: tuple[Span, ...]) -> tuple[Span, ...]:
        """Return the sessions cut at the event and at the end of the fall."""
        pieces = []
        for start, end in sessions:
            edges = [start, *(at for at in (self.event_ns, self.crash_end_ns) if start < at < end), end]
            pieces += list(pairwise(edges))
        return tuple(pieces)


def shock_of(params: dict[str, Any]) -> Shock | None:
    """Return the shock that a dataset's parameters tell of; None for one without."""
    stated = params.get("stress")
    return None if stated is None else Shock(**stated)


def stressed(frame: BarFrame, config: StressConfig, seed: int) -> tuple[BarFrame, Shock]:
    """
    Return the bars of ``config.scenario`` and what else happens in it.

    Returns are scaled about the first price, which stays; then the fall replaces what the price did between the event and the end
    of the fall, and what follows keeps its own returns from the lower price.

    Raises
    ------
    InputError
        If the event does not lie in the data, or no session is long enough for the span.

    """
    scenario = BASE if config.scenario is None else config.named(config.scenario)
    window = choose_window(frame, config, seed)
    crash_end = window.event_ns + config.crash_s * NS
    bars = cut_bars(frame.bars, (window.start_ns, window.event_ns, crash_end, window.end_ns))
    opens = bars["ts_open_ns"]
    bars = bars[(opens >= window.start_ns) & (opens < window.end_ns)].reset_index(drop=True)
    found = replace(frame, bars=bars, sessions=((window.start_ns, window.end_ns),))
    if scenario.volatility != 1:
        found = scale_volatility(found, scenario.volatility)
    price = price_at(found.bars, window.event_ns)
    if scenario.crash:
        fallen = fall(found.bars, window.event_ns, crash_end, scenario.crash)
        found = replace(found, bars=fallen)
    shock = Shock(
        scenario=scenario.name,
        event_ns=window.event_ns,
        crash_end_ns=crash_end,
        crash=scenario.crash > 0,
        outage_ns=scenario.outage_s * NS,
        depth=config.crash_depth,
        widen=price * config.crash_widen_bps * 1e-4,
        recovery_ns=config.recovery_s * NS,
    )
    return found, shock


def sentences(scenario: Scenario, shock: Shock, config: StressConfig) -> tuple[str, ...]:
    """Return what a scenario did to the data, one sentence each, for the report."""
    when = datetime.fromtimestamp(shock.event_ns / NS, UTC).strftime("%Y-%m-%d %H:%M UTC")
    said = [f"stress scenario {scenario.name}, event at {when}"]
    if scenario.volatility != 1:
        said.append(f"stress: every return times {scenario.volatility:g}")
    if scenario.crash:
        said.append(
            f"stress: the price falls {scenario.crash:.0%} in {config.crash_s} s; the book keeps {config.crash_depth:.0%} of its size "
            f"and steps back {config.crash_widen_bps:g} bp a side, recovering over {config.recovery_s} s"
        )
    if scenario.funding_8h is not None:
        said.append(f"stress: funding {scenario.funding_8h:.2%} each 8 h, an eighth of it paid each hour")
    if scenario.outage_s:
        said.append(f"stress: no market data and no answers for {scenario.outage_s} s from the event")
    return tuple(said)


# -- the span -----------------------------------------------------------------------------------------


def choose_window(frame: BarFrame, config: StressConfig, seed: int) -> Window:
    """
    Return the span around the event: as configured, or around a bar's open drawn with the seed.

    A drawn event has the whole span inside one session; around a configured one the span is cut at its session's edges.

    Raises
    ------
    InputError
        If the event and the fall do not lie inside a session, or no session holds the span.

    """
    event = config.event_ns
    before, after = config.before_min * MINUTE_NS, config.after_min * MINUTE_NS
    if event is None:
        event = _drawn(frame, before, after, seed)
    longest = max((item.outage_s for item in config.scenarios), default=0)
    needed = max(config.crash_s, longest) * NS
    for start, end in frame.sessions:
        if start < event and event + needed < end:
            return Window(max(start, event - before), event, min(end, event + after))
    first, last = (_text(ns) for ns in (frame.sessions[0][0], frame.sessions[-1][1]))
    raise InputError(
        f"the event {_text(event)} and the {needed // NS} s after it are not inside a session",
        "stress.event",
        f"a minute inside a session of the data, which spans {first} to {last}",
    )


def _drawn(frame: BarFrame, before: int, after: int, seed: int) -> int:
    opens = frame.bars["ts_open_ns"].to_numpy(dtype=np.int64)
    # bars of a file may open off the minute; the event is on it
    opens = opens[opens % MINUTE_NS == 0]
    fits = np.zeros(len(opens), dtype=np.bool_)
    for start, end in frame.sessions:
        fits |= (opens - before >= start) & (opens + after <= end)
    if not fits.any():
        longest = max(end - start for start, end in frame.sessions) // MINUTE_NS
        raise InputError(
            f"no session holds {before // MINUTE_NS} minutes before an event and {after // MINUTE_NS} after it "
            f"(the longest has {longest})",
            "stress.before_min, stress.after_min",
            "fewer minutes, or data with longer sessions",
        )
    candidates = opens[fits]
    return int(candidates[np.random.default_rng((seed, EVENT_STREAM)).integers(len(candidates))])


def _text(ns: int) -> str:
    return datetime.fromtimestamp(ns / NS, UTC).strftime("%Y-%m-%dT%H:%MZ")


def cut_bars(bars: pd.DataFrame, edges: tuple[int, ...]) -> pd.DataFrame:
    """
    Return the bars with every bar that an edge lies in cut in two.

    The price at the cut is on the straight line (of logs) from the bar's open to its close. The longer piece keeps the bar's high
    and low, the shorter one has the range of its own ends; volume goes by time.
    """
    for edge in edges:
        opens = bars["ts_open_ns"].to_numpy(dtype=np.int64)
        closes = bars["ts_close_ns"].to_numpy(dtype=np.int64)
        inside = np.flatnonzero((opens < edge) & (edge < closes))
        if len(inside):
            at = int(inside[0])
            row = {str(name): value for name, value in bars.iloc[at].items()}
            pieces = pd.DataFrame(_halves(row, edge)).astype(bars.dtypes.to_dict())
            bars = pd.concat([bars.iloc[:at], pieces, bars.iloc[at + 1 :]], ignore_index=True)
    return bars


def _halves(row: dict[str, Any], edge: int) -> list[dict[str, Any]]:
    opened, closed = int(row["ts_open_ns"]), int(row["ts_close_ns"])
    share = (edge - opened) / (closed - opened)
    middle = float(row["open"]) * (float(row["close"]) / float(row["open"])) ** share
    left = row | {"ts_open_ns": opened, "ts_close_ns": edge, "close": middle, "volume": row["volume"] * share}
    right = row | {
        "ts_open_ns": edge,
        "ts_close_ns": closed,
        "open": middle,
        "volume": row["volume"] * (1.0 - share),
    }
    shorter = left if share < 0.5 else right
    shorter["high"] = max(shorter["open"], shorter["close"])
    shorter["low"] = min(shorter["open"], shorter["close"])
    return [left, right]


# -- the path -----------------------------------------------------------------------------------------


def scale_volatility(frame: BarFrame, multiple: float) -> BarFrame:
    """
    Return the bars of one session with every log return times the multiple, about the first price, which stays.

    A price ``p`` becomes ``first * (p / first) ** multiple``: returns inside a bar and between bars are all multiplied.
    """
    columns = list(PRICE_COLUMNS)
    first = float(frame.bars["open"].iloc[0])
    bars = frame.bars.copy()
    bars[columns] = first * (bars[columns] / first) ** multiple
    return replace(frame, bars=bars)


def price_at(bars: pd.DataFrame, ts_ns: int) -> float:
    """Return the open of the first bar from a moment on; the last close when there is none."""
    later = np.flatnonzero(bars["ts_open_ns"].to_numpy(dtype=np.int64) >= ts_ns)
    return float(bars["open"].iloc[later[0]]) if len(later) else float(bars["close"].iloc[-1])


def fall(bars: pd.DataFrame, start_ns: int, end_ns: int, share: float) -> pd.DataFrame:
    """
    Return the bars with the price falling by a share between two moments that bars open at.

    Parameters
    ----------
    bars : DataFrame
        Bars cut at both moments.
    start_ns, end_ns : int
        The fall, in whole pieces of 15 s.
    share : float
        The fall as a fraction of the price at the start, above 0 and below 1.

    Returns
    -------
    DataFrame
        Before the start the bars as they were; then pieces of 15 s down a straight line of logs, the last of which closes at
        exactly ``price * (1 - share)``; then the bars as they were times one factor, so that they open there.

    """
    opens = bars["ts_open_ns"].to_numpy(dtype=np.int64)
    before, during, after = bars[opens < start_ns], (opens >= start_ns) & (opens < end_ns), opens >= end_ns
    price = price_at(bars, start_ns)
    count = (end_ns - start_ns) // (PIECE_S * NS)
    line = _line(price, share, count)
    edges = start_ns + np.arange(count + 1, dtype=np.int64) * (PIECE_S * NS)
    volume = float(bars.loc[during, "volume"].sum(min_count=1)) / count
    down = pd.DataFrame(
        {
            "ts_open_ns": edges[:-1],
            "ts_close_ns": edges[1:],
            "open": line[:-1],
            "high": line[:-1],
            "low": line[1:],
            "close": line[1:],
            "volume": np.full(count, volume),
        }
    )
    rest = bars[after].copy()
    if len(rest):
        columns = list(PRICE_COLUMNS)
        rest[columns] = rest[columns] * (line[-1] / float(rest["open"].iloc[0]))
    return pd.concat([part for part in (before, down, rest) if len(part)], ignore_index=True)


def _line(price: float, share: float, count: int) -> npt.NDArray[np.float64]:
    steps = np.arange(count + 1, dtype=np.float64) / count
    line = price * (1.0 - share) ** steps
    line[0], line[-1] = price, price * (1.0 - share)
    return np.asarray(line, dtype=np.float64)
