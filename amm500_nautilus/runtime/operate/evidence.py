"""What there is to judge: a finished run's files, or a journal's session over all restarts."""

import itertools
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from amm500_catalog.errors import InputError
from amm500_nautilus.monitor.monitor import UNTOLD
from amm500_nautilus.report.account import liquidation_times
from amm500_nautilus.report.analysis import NS
from amm500_nautilus.report.analysis import Evidence
from amm500_nautilus.report.files import EQUITY
from amm500_nautilus.report.files import Floats
from amm500_nautilus.report.files import Ints
from amm500_nautilus.report.files import RunFiles
from amm500_nautilus.report.files import floats
from amm500_nautilus.report.files import ints
from amm500_nautilus.report.files import read_run
from amm500_nautilus.report.files import read_summary
from amm500_nautilus.report.files import read_table
from amm500_nautilus.report.files import require_columns
from amm500_nautilus.report.risk import RISK_FILE
from amm500_nautilus.report.shape import require_keys
from amm500_nautilus.risk import reasons
from amm500_nautilus.runtime.operate.journal_read import FILL_NUMBERS
from amm500_nautilus.runtime.operate.journal_read import PAYMENT_NUMBERS
from amm500_nautilus.runtime.operate.journal_read import WHAT
from amm500_nautilus.runtime.operate.journal_read import find_journal
from amm500_nautilus.runtime.operate.journal_read import reading
from amm500_nautilus.runtime.operate.journal_read import require_numbers
from amm500_nautilus.runtime.operate.journal_read import rows


SUMMARY_FILE = "summary.json"
WHOLE = "what a run wrote"
# what is read of a summary; the others are not in that of an older run
NEEDED = (
    "name",
    "mode",
    "data.collateral",
    "metrics.days",
    "metrics.session_seconds",
    "metrics.two_sided_uptime",
    "blocks.per_year",
)
OTHER_SECTIONS = ("rebuilt",)
FILL_COLUMNS = ("client_order_id", "liquidity_side")
RISK_KINDS = {"ts_ns": "int64", "subject": "str", "approved": "int64", "reason": "str", "numbers": "str"}
HALTING = (reasons.SESSION_LOSS, reasons.DRAWDOWN, reasons.LIQUIDATION_DISTANCE)
REPORT = "report."
# two samples of our quotes that are further apart have a hole between them; they come every five seconds
SAMPLE_GAP_NS = 15 * NS
BAND_BPS = 50.0


def gather(path: Path) -> Evidence:
    """
    Return what a path has to say: a finished run directory by its files, anything else by its journal.

    Raises
    ------
    InputError
        If there is neither, or nothing in it yet.

    """
    if (path / SUMMARY_FILE).is_file() and (path / EQUITY).is_file():
        return of_files(path)
    journal = find_journal(path)
    if journal is None:
        raise InputError("has neither a summary nor a journal", str(path), WHAT)
    return of_journal(journal)


def of_files(path: Path) -> Evidence:
    """Return the evidence of a finished run directory, of any mode."""
    run, summary = read_run(path), read_summary(path, NEEDED)
    require_keys(summary, (name for name in OTHER_SECTIONS if name in summary), path / SUMMARY_FILE)
    require_columns(run.fills, FILL_COLUMNS, path / "fills.csv")
    data, metrics = summary["data"], summary["metrics"]
    frame = run.equity
    days = float(metrics.get("days") or 0.0)
    paid = read_table(path / "funding.csv", {"ts_ns": "int64", "amount": "float64"})
    moved = np.nan_to_num(floats(frame, "transfers_cum"))
    return Evidence(
        name=str(summary["name"]),
        mode=str(summary["mode"]),
        market=str(data["market"]),
        collateral=str(data["collateral"]),
        source=str(data["source"]),
        simulated=bool(data["simulated"]),
        start_ns=int(frame["ts_ns"].iloc[0]),
        end_ns=int(frame["ts_ns"].iloc[-1]),
        ts_ns=ints(frame, "ts_ns"),
        equity=floats(frame, "equity") - moved,
        transfers=moved,
        position=floats(frame, "position"),
        mid=floats(frame, "mid"),
        leverage=floats(frame, "leverage"),
        margin_ratio=np.fmax(floats(frame, "margin_ratio"), floats(frame, "margin_ratio_max")),
        fill_ns=ints(run.fills, "ts_ns"),
        fill_value=floats(run.fills, "last_px") * floats(run.fills, "last_qty"),
        fill_is_maker=np.where(run.fills["liquidity_side"] == "MAKER", 1.0, 0.0),
        funding_ns=ints(paid, "ts_ns"),
        funding=floats(paid, "amount"),
        halt_ns=_halts_of_file(path / RISK_FILE),
        liquidation_ns=liquidation_times(run),
        two_sided=metrics.get("two_sided_uptime"),
        watch_ns=ints(frame, "ts_ns"),
        watched_s=floats(frame, "session_seconds"),
        two_sided_s=floats(frame, "two_sided_seconds"),
        sessions=_sessions(run),
        day_seconds=float(metrics["session_seconds"]) / days if days > 0 else 86_400.0,
        blocks_per_year=float(summary["blocks"]["per_year"]),
        gaps=tuple(summary.get("rebuilt", {}).get("gaps", ())),
    )


def _sessions(run: RunFiles) -> tuple[tuple[int, int], ...]:
    """Return the sessions of a market with gaps; a run of one session ended before its last minute's row could."""
    bounds = run.session_bounds()
    return tuple(bounds) if len(bounds) > 1 else ()


def _halts_of_file(path: Path) -> Ints:
    frame = read_table(path, RISK_KINDS)
    raised = frame[(frame["subject"] == "reason") & (frame["approved"] == 0)]
    found = [
        int(ts)
        for ts, name, numbers in zip(raised["ts_ns"], raised["reason"], raised["numbers"], strict=True)
        if is_halt(str(name), numbers_of(str(numbers), path))
    ]
    return np.array(found, dtype=np.int64)


def numbers_of(text: str, path: Path) -> dict[str, Any]:
    """
    Return the numbers of a decision as they were written.

    Raises
    ------
    InputError
        If they are no JSON object.

    """
    try:
        numbers = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"has numbers of a decision that are no JSON ({error})", str(path), WHOLE) from error
    if not isinstance(numbers, dict):
        raise InputError(f"has {numbers!r:.60} as the numbers of a decision", str(path), WHOLE)
    return numbers


def is_halt(reason: str, numbers: dict[str, Any]) -> bool:
    """Return whether a reason that was raised is a kill switch that halted; a drill or a person's command is none."""
    if numbers.get("drill") or reason in UNTOLD:
        return False
    return reason in HALTING or bool(numbers.get("halted"))


@dataclass(frozen=True, slots=True)
class _Told:
    """What a journal tells of one session over all its runs; ``about`` and ``context`` are the last run's."""

    minutes: list[sqlite3.Row]
    runs: int
    about: sqlite3.Row
    context: dict[str, Any]
    strategies: set[str]
    fills: list[sqlite3.Row]
    payments: list[sqlite3.Row]
    raised: list[sqlite3.Row]
    liquidations: list[sqlite3.Row]
    quotes: list[sqlite3.Row]


def _read_session(journal: sqlite3.Connection, path: Path, session: int | None) -> _Told:
    wanted = session or int(rows(journal, "SELECT coalesce(max(session), 0) FROM equity")[0][0])
    minutes = rows(journal, "SELECT * FROM equity WHERE session = ? ORDER BY ts_ns", wanted)
    if not minutes:
        raise InputError(f"has no minute of session {wanted or 1}", str(path), "a journal of a run")
    runs = sorted({int(row["run"]) for row in minutes})
    contexts = [report_context(journal, run) for run in runs]
    span = first, last = int(minutes[0]["ts_ns"]), int(minutes[-1]["ts_ns"])
    raised = "SELECT ts_ns, reason, numbers FROM decision WHERE subject = 'reason' AND approved = 0 AND ts_ns BETWEEN ? AND ?"
    dead = "SELECT ts_ns FROM event WHERE kind = 'liquidation' AND ts_ns BETWEEN ? AND ?"
    fills = rows(
        journal, "SELECT * FROM fill WHERE ts_ns BETWEEN ? AND ? ORDER BY rowid", first - NS, last + NS
    )
    payments = rows(journal, "SELECT * FROM payment WHERE ts_ns BETWEEN ? AND ? ORDER BY ts_ns", *span)
    about = rows(journal, "SELECT * FROM run WHERE id = ?", runs[-1])
    if not about:
        raise InputError(f"has minutes of run {runs[-1]}, and no such run", str(path), WHOLE)
    require_numbers(fills, FILL_NUMBERS, path)
    require_numbers(payments, PAYMENT_NUMBERS, path)
    return _Told(
        minutes=minutes,
        runs=len(runs),
        about=about[0],
        context=contexts[-1],
        strategies={str(context.get("strategy_hash", "")) for context in contexts},
        fills=fills,
        payments=payments,
        raised=rows(journal, raised, *span),
        liquidations=rows(journal, dead, *span),
        quotes=rows(journal, "SELECT * FROM quote WHERE ts_ns BETWEEN ? AND ? ORDER BY ts_ns", *span),
    )


def of_journal(path: Path, session: int | None = None) -> Evidence:
    """
    Return the evidence of one session of a journal, the last one by default, over all runs in it.

    Raises
    ------
    InputError
        If the journal cannot be read, or holds no minute of the session.

    """
    with reading(path) as journal:
        told = _read_session(journal, path, session)
    about, context, minutes, fills = told.about, told.context, told.minutes, told.fills
    funding = [row for row in told.payments if row["kind"] == "funding"]
    transfers = [
        (int(row["ts_ns"]), float(row["amount"])) for row in told.payments if row["kind"] == "transfer"
    ]
    halts = [row for row in told.raised if is_halt(row["reason"], numbers_of(row["numbers"], path))]
    stamps, watched = _times(minutes), _watched(told.quotes)
    moved = moved_before(stamps, transfers)
    return Evidence(
        name=str(about["name"]),
        mode=str(about["mode"]),
        market=str(about["coin"]),
        collateral=str(context.get("collateral", "")),
        source=str(context.get("source", f"the journal of {about['mode']} runs")),
        simulated=bool(context.get("simulated", about["mode"] != "live")),
        start_ns=int(stamps[0]),
        end_ns=int(stamps[-1]),
        ts_ns=stamps,
        equity=_numbers(minutes, "equity") - moved,
        transfers=moved,
        position=_numbers(minutes, "position"),
        mid=_numbers(minutes, "mid"),
        leverage=_numbers(minutes, "leverage"),
        margin_ratio=_numbers(minutes, "margin_ratio"),
        fill_ns=_times(fills),
        fill_value=np.array([float(row["price"]) * float(row["size"]) for row in fills]),
        fill_is_maker=np.array([float(row["maker"]) for row in fills]),
        funding_ns=_times(funding),
        funding=np.array([float(row["amount"]) for row in funding]),
        halt_ns=_times(halts),
        liquidation_ns=_times(told.liquidations),
        two_sided=uptime(told.quotes)[1],
        watch_ns=_times(told.quotes),
        watched_s=watched.whole,
        two_sided_s=watched.both,
        gaps=_gaps(told),
        strategy=next(iter(told.strategies)) if len(told.strategies) == 1 else "",
    )


def _gaps(told: _Told) -> tuple[str, ...]:
    """Return what such evidence lacks beside a finished run's files, a sentence each."""
    gaps = [f"the session took {told.runs} runs"] if told.runs > 1 else []
    if len(told.strategies) > 1:
        gaps.append("the strategy's configuration was changed between the runs")
    return (*gaps, "time quoted on both sides is from samples every 5 s")


def report_context(journal: sqlite3.Connection, run: int) -> dict[str, Any]:
    """
    Return what a run noted at its start for its report; empty for one that noted nothing.

    Raises
    ------
    InputError
        If the note is no JSON object.

    """
    found = rows(journal, "SELECT value FROM saved WHERE name = ?", f"{REPORT}{run}")
    if not found:
        return {}
    where = f"the journal's note {REPORT}{run}"
    try:
        context = json.loads(bytes(found[0][0]))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"is not JSON ({error})", where, WHOLE) from error
    if not isinstance(context, dict):
        raise InputError(f"holds a {type(context).__name__}", where, WHOLE)
    return context


def _times(found: list[sqlite3.Row]) -> Ints:
    return np.array([row["ts_ns"] for row in found], dtype=np.int64)


def _numbers(found: list[sqlite3.Row], name: str) -> Floats:
    return np.array([np.nan if row[name] is None else float(row[name]) for row in found])


def moved_before(ts_ns: Ints, transfers: list[tuple[int, float]]) -> Floats:
    """Return what had been deposited less withdrawn by each moment."""
    moved = np.zeros(len(ts_ns))
    for at, amount in transfers:
        moved[ts_ns >= at] += amount
    return moved


def uptime(samples: list[sqlite3.Row], band_bps: float = BAND_BPS) -> tuple[float | None, float | None]:
    """
    Return the shares of time quoted at all, and on both sides within ``band_bps`` of the mid, from samples of our quotes.

    A sample counts until the next; where none came for fifteen seconds nothing was quoted.
    """
    found = _watched(samples, band_bps)
    whole = float(found.whole[-1]) if len(samples) else 0.0
    return (float(found.quoted[-1]) / whole, float(found.both[-1]) / whole) if whole else (None, None)


class _Watched(NamedTuple):
    """By each sample, the seconds since the first one: all of them, those quoted at all, and those on both sides."""

    whole: Floats
    quoted: Floats
    both: Floats


def _watched(samples: list[sqlite3.Row], band_bps: float = BAND_BPS) -> _Watched:
    whole, quoted, both = ([0] * len(samples) for _ in range(3))
    for index, (this, following) in enumerate(itertools.pairwise(samples), start=1):
        span = following["ts_ns"] - this["ts_ns"]
        whole[index] = whole[index - 1] + span
        quoted[index], both[index] = quoted[index - 1], both[index - 1]
        if span > SAMPLE_GAP_NS:
            continue
        bid, ask, mid = this["bid"], this["ask"], this["mid"]
        quoted[index] += span * (bid is not None or ask is not None)
        if bid is not None and ask is not None and mid:
            reach = mid * band_bps / 1e4
            both[index] += span * (mid - bid <= reach and ask - mid <= reach)
    return _Watched(*(np.array(sums, dtype=np.int64) / NS for sums in (whole, quoted, both)))
