"""A run's files from its journal: for a run that was killed before it could write its report."""

import csv
import math
import sqlite3
from dataclasses import dataclass
from dataclasses import fields
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

from amm500_catalog.errors import InputError
from amm500_nautilus.report.analysis import NS
from amm500_nautilus.report.buffers import PARTIAL
from amm500_nautilus.report.buffers import ColumnBuffer
from amm500_nautilus.report.buffers import CsvStream
from amm500_nautilus.report.buffers import write_json
from amm500_nautilus.report.columns import FUNDING_COLUMNS
from amm500_nautilus.report.columns import MID_COLUMNS
from amm500_nautilus.report.columns import NAUTILUS_FILL_COLUMNS
from amm500_nautilus.report.columns import OPEN_ORDER_COLUMNS
from amm500_nautilus.report.columns import ORDER_COLUMNS
from amm500_nautilus.report.columns import OWN_FILL_COLUMNS
from amm500_nautilus.report.columns import OWN_ORDER_COLUMNS
from amm500_nautilus.report.columns import SESSION_COLUMNS
from amm500_nautilus.report.columns import STATE_COLUMNS
from amm500_nautilus.report.columns import timestamp_text
from amm500_nautilus.report.fills import CloseCosts
from amm500_nautilus.report.risk import RISK_COLUMNS
from amm500_nautilus.report.risk import RISK_FILE
from amm500_nautilus.report.summary import summarize
from amm500_nautilus.report.types import BudgetFacts
from amm500_nautilus.report.types import ReportContext
from amm500_nautilus.report.types import TargetLevels
from amm500_nautilus.report.types import VerdictLevels
from amm500_nautilus.runtime.operate.evidence import BAND_BPS
from amm500_nautilus.runtime.operate.evidence import REPORT
from amm500_nautilus.runtime.operate.evidence import SAMPLE_GAP_NS
from amm500_nautilus.runtime.operate.evidence import report_context
from amm500_nautilus.runtime.operate.journal_read import FILL_NUMBERS
from amm500_nautilus.runtime.operate.journal_read import reading
from amm500_nautilus.runtime.operate.journal_read import require_numbers
from amm500_nautilus.runtime.operate.journal_read import rows
from amm500_nautilus.simulation.listener import LedgerFill


Row = dict[str, Any]
UNITS = 10**9
GAPS = (
    "rebuilt from the journal: time quoted is from samples every 5 s, and two-sided within 50 bp of the mid",
    "the journal holds no ladder level, queue or order of its own; orders are those that the killed run had written",
)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One run as its journal tells it: the minute's rows, fills in the order they were booked, samples of quotes, and the rest."""

    about: Row
    context: Row
    minutes: list[Row]
    fills: list[Row]
    late: int
    quotes: list[Row]
    payments: list[Row]
    decisions: list[Row]


def read_back(journal: Path, *, run: int | None = None, run_dir: Path | None = None) -> Rebuilt:
    """
    Read one run of a journal: the one asked for, else that of a run directory, else the last.

    Raises
    ------
    InputError
        If the journal has no such run, or no minute of it.

    """
    with reading(journal) as source:
        known = [int(row[0]) for row in rows(source, "SELECT id FROM run ORDER BY id")]
        wanted = run if run is not None else _run_of(source, known, run_dir)
        if wanted not in known:
            raise InputError(f"has no run {wanted}", str(journal), f"a run of {', '.join(map(str, known))}")
        minutes = _all(source, "SELECT * FROM equity WHERE run = ? AND mid > 0 ORDER BY ts_ns", wanted)
        if not minutes:
            raise InputError(f"has no minute of run {wanted}", str(journal), "a run that came up")
        # without a mid: what traded while no node ran and this one read at its start; its value is in the first equity
        fills = _all(source, "SELECT * FROM fill WHERE run = ? AND mid IS NOT NULL ORDER BY rowid", wanted)
        marks: dict[tuple[int, str], dict[int, float]] = {}
        for row in rows(source, "SELECT * FROM markout WHERE ts_ns >= ?", minutes[0]["ts_ns"] - NS):
            marks.setdefault((row["ts_ns"], row["tid"]), {})[row["horizon_s"]] = row["bps"]
        require_numbers(fills, FILL_NUMBERS, journal)
        for fill in fills:
            fill["bps"] = marks.get((fill["ts_ns"], fill["tid"]), {})
        # what was booked after the last minute's row has no equity beside it
        priced = int(minutes[-1]["fills"] or 0)
        return Rebuilt(
            about=_all(source, "SELECT * FROM run WHERE id = ?", wanted)[0],
            context=report_context(source, wanted),
            minutes=minutes,
            fills=fills[:priced],
            late=len(fills) - priced,
            quotes=_all(source, "SELECT * FROM quote WHERE run = ? ORDER BY ts_ns", wanted),
            payments=_all(source, "SELECT * FROM payment WHERE run = ? ORDER BY ts_ns", wanted),
            decisions=_all(source, "SELECT * FROM decision WHERE run = ? ORDER BY id", wanted),
        )


def _run_of(source: sqlite3.Connection, known: list[int], run_dir: Path | None) -> int:
    if not known:
        return 1
    if run_dir is not None:
        name = run_dir.name.removesuffix(PARTIAL)
        for one in reversed(known):
            noted = report_context(source, one).get("run_dir")
            if noted and Path(noted).name == name:
                return one
    return known[-1]


def _all(source: sqlite3.Connection, sql: str, *values: Any) -> list[Row]:
    return [dict(row) for row in rows(source, sql, *values)]


def write_run(told: Rebuilt, out: Path, *, orders: Path | None = None) -> dict[str, Any]:
    """
    Write a run's files into a folder, with ``summary.json``, and return the summary.

    Parameters
    ----------
    told : Rebuilt
        The run.
    out : Path
        The folder; it must exist.
    orders : Path, optional
        A killed run's own ``orders.csv``, half written perhaps: its whole lines are kept.

    """
    minutes = told.minutes
    begin, end = int(minutes[0]["ts_ns"]), int(minutes[-1]["ts_ns"])
    _write_equity(told, out / "equity.parquet")
    _write_fills(told, out / "fills.csv")
    _write_states(told, out / "states.csv")
    kept = _write_orders(orders, out / "orders.csv")
    _write(out / "open_orders.csv", OPEN_ORDER_COLUMNS, [])
    session = {"session": 0, "open": timestamp_text(begin), "close": timestamp_text(end)}
    _write(out / "sessions.csv", SESSION_COLUMNS, [{**session, "open_ns": begin, "close_ns": end}])
    _write(
        out / RISK_FILE, RISK_COLUMNS, [{**row, "ts": timestamp_text(row["ts_ns"])} for row in told.decisions]
    )
    paid = [
        {"ts": timestamp_text(row["ts_ns"]), **row, "oracle_px": row["price"]}
        for row in told.payments
        if row["kind"] == "funding"
    ]
    _write(out / "funding.csv", FUNDING_COLUMNS, paid)
    context = context_of(told, begin, end)
    summary = summarize(out, context)
    gaps = [*GAPS]
    if told.late:
        gaps.append(f"{told.late} fills came after the last minute's row and are left out")
    if not kept:
        gaps.append("no orders were kept: the share of orders that filled is unknown")
        summary["metrics"]["fill_rate"] = None
    for name in ("place", "modify", "cancel"):
        summary["actions"][name] = None
    summary["rebuilt"] = {"run": told.about["id"], "outcome": told.about["outcome"], "gaps": gaps}
    summary["data"]["defaults"] += gaps
    write_json(out / "summary.json", summary)
    return summary


def context_of(told: Rebuilt, begin: int, end: int) -> ReportContext:
    """
    Return what the run noted for its report; what it did not note is said to be unknown.

    Raises
    ------
    InputError
        If the note is of other things than a report's.

    """
    noted, about = told.context, told.about
    known = {item.name for item in fields(ReportContext)} - {
        "targets",
        "verdict",
        "budget",
        "start_ns",
        "end_ns",
    }
    values = {name: value for name, value in noted.items() if name in known}
    values.setdefault("name", about["name"])
    values.setdefault("source", f"the journal of a {about['mode']} run")
    values.setdefault("simulated", about["mode"] != "live")
    values.setdefault("market", about["coin"])
    values.setdefault("mode", about["mode"])
    try:
        return ReportContext(
            **values
            | {
                "defaults": tuple(values.get("defaults", ())),
                "targets": TargetLevels(**noted.get("targets", {})),
                "verdict": VerdictLevels(**noted.get("verdict", {})),
                "budget": BudgetFacts(**noted.get("budget", {})),
                "start_ns": begin,
                "end_ns": end,
                "wall_seconds": (end - begin) / NS,
            }
        )
    except TypeError as error:
        where = f"the journal's note {REPORT}{about['id']}"
        raise InputError(f"cannot be read ({error})", where, "what a run noted") from error


# -- files ---------------------------------------------------------------------------------------------------------------


def _write(path: Path, columns: tuple[str, ...], found: list[Row]) -> None:
    stream = CsvStream(path, columns)
    for row in found:
        stream.write(row)
    stream.close()


def _write_equity(told: Rebuilt, path: Path) -> None:
    buffer = ColumnBuffer(integers=("ts_ns", "session", "fills_cum", "actions_cum", "rejected_cum"))
    first = told.minutes[0]
    # journals of older versions do not say; then what came before the first minute is not counted
    before = int(told.context.get("actions_before", first["actions"]) or 0)
    volumes = [Decimal(0)]
    for fill in told.fills:
        volumes.append(volumes[-1] + Decimal(fill["price"]) * Decimal(fill["size"]))
    meter = _Meter(told.quotes, int(first["ts_ns"]))
    peak = 0.0
    for row in told.minutes:
        count = int(row["fills"] or 0)
        number = {
            name: math.nan if value is None else value for name, value in row.items() if name != "state"
        }
        peak = max(peak, number["margin_ratio"] if math.isfinite(number["margin_ratio"]) else 0.0)
        lost = number.get("pnl_liquidation", math.nan)
        buffer.append(
            {
                "ts_ns": int(row["ts_ns"]),
                "session": 0,
                "fills_cum": count,
                "actions_cum": int(row["actions"] or 0) - before,
                "rejected_cum": 0,
            },
            {
                **{
                    name: float(number[name])
                    for name in [
                        "equity",
                        "balance",
                        "position",
                        "mid",
                        "margin_used",
                        "order_margin",
                        "margin_ratio",
                        "maintenance_ratio",
                        "collateral_price",
                        "liquidation_price",
                        "leverage",
                        "budget_remaining",
                    ]
                },
                "margin_ratio_max": peak,
                "funding_cum": float(number["funding"]),
                "fees_cum": float(number["fees"]),
                "liquidation_cum": 0.0 if not math.isfinite(lost) else -float(lost),
                "liquidations_cum": 0.0,
                "transfers_cum": float(number["transfers"]),
                "weight_cost_cum": 0.0,
                "places_cum": 0.0,
                "modifies_cum": 0.0,
                "cancels_cum": 0.0,
                "volume_cum": float(volumes[min(count, len(told.fills))]),
                **meter.at(int(row["ts_ns"])),
            },
        )
        peak = 0.0
    buffer.write(path)


class _Meter:
    """Time quoted up to a moment, from samples."""

    def __init__(self, quotes: list[Row], start_ns: int) -> None:
        self._quotes = quotes
        self._start_ns = start_ns
        self._next = 0
        self._quoted = self._both = self._spread = 0.0
        self._last: Row | None = None

    def at(self, ts_ns: int) -> dict[str, float]:
        """Return the totals and our best quotes at a moment; moments come in order."""
        while self._next < len(self._quotes) and self._quotes[self._next]["ts_ns"] <= ts_ns:
            row = self._quotes[self._next]
            if self._last is not None:
                self._add(self._last, row["ts_ns"] - self._last["ts_ns"])
            self._last = row
            self._next += 1
        last = self._last or {"bid": None, "ask": None}
        return {
            "session_seconds": (ts_ns - self._start_ns) / NS,
            "quoted_seconds": self._quoted / NS,
            "two_sided_seconds": self._both / NS,
            "spread_bps_seconds": self._spread / NS,
            "best_bid": math.nan if last["bid"] is None else last["bid"],
            "best_ask": math.nan if last["ask"] is None else last["ask"],
        }

    def _add(self, row: Row, span: int) -> None:
        if span > SAMPLE_GAP_NS:
            return
        sides, two = sides_of(row)
        self._quoted += span * (sides != "none")
        if two:
            self._both += span
            self._spread += span * (row["ask"] - row["bid"]) / row["mid"] * 1e4


def sides_of(row: Row) -> tuple[str, bool]:
    """Return which sides a sample quotes, and whether both are within reach of the mid."""
    bid, ask, mid = row["bid"], row["ask"], row["mid"]
    if bid is None and ask is None:
        return "none", False
    if bid is None or ask is None:
        return ("ask" if bid is None else "bid"), False
    if not mid:
        return "both", False
    reach = mid * BAND_BPS / 1e4
    return "both", mid - bid <= reach and ask - mid <= reach


def _write_states(told: Rebuilt, path: Path) -> None:
    found: list[Row] = []
    for row, following in zip_longest(told.quotes, told.quotes[1:]):
        span = SAMPLE_GAP_NS if following is None else following["ts_ns"] - row["ts_ns"]
        if following is None or span > SAMPLE_GAP_NS:
            continue
        sides, two = sides_of(row)
        found.append(
            {
                "ts": timestamp_text(row["ts_ns"]),
                "ts_ns": row["ts_ns"],
                "session": 0,
                "state": row["state"],
                "reasons": (row["reasons"] or "").replace(",", "|"),
                "sides": sides,
                "two_sided": int(two),
                "seconds": span / NS,
            }
        )
    _write(path, STATE_COLUMNS, found)


def _write_fills(told: Rebuilt, path: Path) -> None:
    found: list[Row] = []
    costs = CloseCosts()
    for index, fill in enumerate(told.fills):
        price, side = float(fill["price"]), int(fill["side"])
        booked = _booked(index, fill)
        net = costs.on_fill(booked)
        mids = {MID_COLUMNS[horizon]: price * (1 + side * bps / 1e4) for horizon, bps in fill["bps"].items()}
        mids.setdefault(MID_COLUMNS[0], fill["mid"])
        found.append(
            {
                "client_order_id": fill["client_order_id"],
                "trade_id": fill["tid"],
                "order_side": "BUY" if side > 0 else "SELL",
                "last_qty": fill["size"],
                "last_px": fill["price"],
                "commission": fill["fee"],
                "liquidity_side": "MAKER" if fill["maker"] else "TAKER",
                "ts_event": timestamp_text(fill["ts_ns"]),
                "fill_index": index,
                "ts_ns": fill["ts_ns"],
                "side": side,
                **mids,
                "fee": fill["fee"],
                "position_after": fill["position"],
                "closed_pnl": fill["closed_pnl"],
                "closed_pnl_net": net,
                "unseen_level": 0,
                "by_trade": 1,
                "session": 0,
            }
        )
    _write(path, NAUTILUS_FILL_COLUMNS + OWN_FILL_COLUMNS, found)


def _booked(index: int, fill: Row) -> LedgerFill:
    """Return a journaled fill as the ledger told it; sizes in units that are whole whatever the lot is."""
    size, position = Decimal(fill["size"]), Decimal(fill["position"])
    price = Decimal(fill["price"])
    return LedgerFill(
        index=index,
        ts_ns=int(fill["ts_ns"]),
        trade_id=fill["tid"],
        client_order_id=fill["client_order_id"] or "",
        side=int(fill["side"]),
        lots=int(size * UNITS),
        price_ticks=int(price * UNITS),
        price=price,
        qty=size,
        fee=Decimal(fill["fee"]),
        closed_pnl=Decimal(fill["closed_pnl"]),
        maker=bool(fill["maker"]),
        by_trade=True,
        position_lots=int(position * UNITS),
        crossed_zero=False,
        unseen_level=False,
        queue_ahead=math.nan,
    )


def _write_orders(source: Path | None, path: Path) -> int:
    """Write the whole lines of a killed run's orders; return how many there were."""
    columns = ORDER_COLUMNS + OWN_ORDER_COLUMNS
    kept: list[Row] = []
    if source is not None and source.is_file():
        with source.open(encoding="utf-8", newline="", errors="replace") as file:
            whole = (values for values in csv.reader(file) if len(values) == len(columns))
            kept = [dict(zip(columns, values, strict=True)) for values in whole if values[-2] in ("0", "1")]
    _write(path, columns, kept)
    return len(kept)
