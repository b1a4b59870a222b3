"""What the dashboard shows of a journal: opened read-only, while a node writes it or long after."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.dashboard_buckets import NS
from amm500_nautilus.monitor.dashboard_buckets import Row
from amm500_nautilus.monitor.dashboard_buckets import Series
from amm500_nautilus.monitor.dashboard_buckets import grouped
from amm500_nautilus.monitor.dashboard_buckets import sampled
from amm500_nautilus.monitor.dashboard_buckets import width_ns
from amm500_nautilus.monitor.dashboard_diary import Diary
from amm500_nautilus.monitor.dashboard_diary import find_diary
from amm500_nautilus.monitor.dashboard_diary import read_diary
from amm500_nautilus.monitor.dashboard_files import connect_read_only
from amm500_nautilus.monitor.dashboard_files import find_journal
from amm500_nautilus.monitor.errors import JournalError
from amm500_nautilus.monitor.heartbeat import last_beat
from amm500_nautilus.monitor.schema import columns_of


RANGES_S = {"1h": 3_600, "24h": 86_400, "7d": 7 * 86_400, "all": None}
PARTS = ("spread_capture", "adverse_selection", "inventory", "fees", "funding", "liquidation", "total")
# a node silent for so long is over: the charts end there
SILENT_NS = 120 * NS
# a snapshot serves everybody who asks within this time
FRESH_S = 0.8
# fills are drawn one by one up to here, by bucket and side beyond
MOST_FILLS = 300
LATEST_FILLS, LATEST_ALERTS, LATEST_HAPPENINGS = 15, 10, 40
# decisions are looked through for those about reasons; most are about orders
_LATEST_DECISIONS = 2_000

_FILLS = """
SELECT ts_ns / :width, side, count(*), sum(size), sum(price * size), max(ts_ns), position FROM fill
WHERE ts_ns >= :start AND ts_ns < :end GROUP BY 1, 2
"""
# only fills with a minute of data after them: those have their last markout
_MARKOUTS = """
SELECT later.ts_ns / :width, later.horizon_s, fill.side, sum(fill.size * later.bps), sum(fill.size), count(*)
FROM markout AS whole CROSS JOIN fill USING (ts_ns, coin, tid) CROSS JOIN markout AS later USING (ts_ns, coin, tid)
WHERE whole.ts_ns >= :start AND whole.ts_ns < :end AND whole.horizon_s = 60 AND later.bps IS NOT NULL AND later.horizon_s > 0
GROUP BY 1, 2, 3
"""
_PEAKS = """
SELECT ts_ns / :width, max(margin_ratio), max(maintenance_ratio), max(drawdown) FROM equity
WHERE ts_ns >= :start AND ts_ns < :end GROUP BY 1
"""
_HAPPENED = """
SELECT ts_ns, 'state', state, reasons FROM (SELECT * FROM state ORDER BY id DESC LIMIT :most)
UNION ALL SELECT ts_ns, 'reason', reason, numbers FROM (SELECT * FROM decision ORDER BY id DESC LIMIT :decisions) WHERE subject = 'reason'
UNION ALL SELECT ts_ns, 'command', command || ' ' || arguments, who || ': ' || answer FROM (SELECT * FROM command ORDER BY id DESC LIMIT :most)
UNION ALL SELECT ts_ns, 'event', kind, text FROM (SELECT * FROM event ORDER BY id DESC LIMIT :most)
UNION ALL SELECT started_ns, 'run', 'run ' || id || ' begins', mode || ' ' || coin FROM (SELECT * FROM run ORDER BY id DESC LIMIT :most)
UNION ALL SELECT ended_ns, 'run', 'run ' || id || ' ends', outcome FROM (SELECT * FROM run ORDER BY id DESC LIMIT :most)
    WHERE ended_ns IS NOT NULL
ORDER BY 1 DESC LIMIT :most
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    Everything the page shows, at one moment and over one range.

    Times are UTC ns. ``run`` is the last run's row, ``reading`` the node's newest reading (see ``desk.Reading``; None where there is
    no figure), ``beat_ns`` its last sign of life. Series rows begin with their bucket: ``minutes`` (bucket, ts, equity, position, mid,
    budget_remaining, actions, PnL parts as in ``PARTS``), ``peaks`` (bucket, margin ratio, maintenance ratio, drawdown), ``quotes``
    (bucket, ts, bid, ask, mid), ``fills`` (ts, side, count, size, price, position), ``markouts`` (bucket, horizon, side, sum of size
    times bps, size, count). ``alerts`` and ``happened`` hold the node's and its supervisor's, newest first; ``given_up`` says why the
    supervisor starts no node any more.
    """

    now_ns: int
    start_ns: int
    end_ns: int
    width_ns: int
    run: dict[str, Any]
    reading: dict[str, Any]
    beat_ns: int | None
    minutes: list[Row] = field(default_factory=list)
    before: Row | None = None
    peaks: list[Row] = field(default_factory=list)
    quotes: list[Row] = field(default_factory=list)
    fills: list[Row] = field(default_factory=list)
    n_fills: int = 0
    markouts: list[Row] = field(default_factory=list)
    states: list[Row] = field(default_factory=list)
    latest_fills: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    happened: list[Row] = field(default_factory=list)
    given_up: str = ""


class _Shown:
    """The series of one range."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        known = columns_of(connection, "equity")
        parts = ", ".join(f"pnl_{name}" if f"pnl_{name}" in known else "NULL" for name in PARTS)
        self.minute_columns = f"equity, position, mid, budget_remaining, actions, {parts}"
        self.minutes = sampled("equity", self.minute_columns)
        self.peaks = grouped(_PEAKS)
        # before the first book came there was no mid, and no price is zero
        self.quotes = sampled("quote", "bid, ask, nullif(mid, 0)")
        self.fills = grouped(_FILLS)
        self.markouts = grouped(_MARKOUTS)


class JournalView:
    """
    Read snapshots of a journal, from any thread.

    The file may be written meanwhile, be replaced (a damaged one is kept aside and a new one begun), and move with its run directory.
    No query holds the file for longer than it takes, so that the node's writer never waits for a person who looks.

    Parameters
    ----------
    place : Path
        A run directory, a state folder or the file.
    now_ns : callable
        Wall time, UTC ns.
    state_folder : Path, optional
        Where the run's supervisor keeps its journal, if not beside the run's own.

    """

    def __init__(
        self, place: Path, now_ns: Callable[[], int] = time.time_ns, *, state_folder: Path | None = None
    ) -> None:
        self.place = place
        self._state_folder = state_folder
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._inode = 0
        self._version = 0
        self._connection: sqlite3.Connection | None = None
        self._shown: dict[str, _Shown] = {}
        self._kept: dict[str, tuple[float, Snapshot]] = {}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._drop()

    def snapshot(self, shown: str) -> Snapshot:
        """
        Return what is shown of a range of ``RANGES_S``.

        Raises
        ------
        JournalError
            If there is no journal, or it cannot be read.

        """
        with self._lock:
            kept = self._kept.get(shown)
            if kept is not None and time.monotonic() - kept[0] < FRESH_S:
                return kept[1]
            path, connection = self._open()
            try:
                snapshot = self._read(path, connection, shown)
            except (sqlite3.Error, ValueError, TypeError) as error:
                self._drop()
                raise JournalError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
            self._kept[shown] = time.monotonic(), snapshot
            return snapshot

    def _open(self) -> tuple[Path, sqlite3.Connection]:
        path = find_journal(self.place)
        if path is None:
            self._drop()
            raise JournalError(f"{self.place}: no journal is here (yet)")
        inode = path.stat().st_ino
        if self._connection is None or path != self._path or inode != self._inode:
            self._drop()
            self._connection, self._path, self._inode = connect_read_only(path), path, inode
        return path, self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._shown.clear()
        self._kept.clear()

    def _read(self, path: Path, connection: sqlite3.Connection, shown: str) -> Snapshot:
        now = self._now_ns()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != self._version:
            # a node of a later version began to write here
            self._version = version
            self._shown.clear()
        run = _record(connection, "SELECT * FROM run ORDER BY id DESC LIMIT 1")
        reading = _reading(connection)
        beat = _beat(path.parent)
        end = _end(connection, run, beat, now)
        (begin,) = connection.execute("SELECT min(started_ns) FROM run").fetchone()
        span = RANGES_S[shown]
        start = end - NS if begin is None else min(begin, end - NS)
        if span is not None:
            start = max(start, end - span * NS)
        width = width_ns(end - start)
        series = self._shown.setdefault(shown, _Shown(connection))
        before = connection.execute(
            f"SELECT 0, ts_ns, {series.minute_columns} FROM equity WHERE ts_ns < ? ORDER BY ts_ns DESC LIMIT 1",  # noqa: S608 - our own names
            (start,),
        ).fetchone()
        fills, n_fills = _fills(connection, series.fills, start, end, width)
        marks = (connection, start, end, width)
        place = find_diary(path, self._state_folder, begin, end)
        diary = (
            Diary() if place is None else read_diary(place, most=LATEST_HAPPENINGS, most_alerts=LATEST_ALERTS)
        )
        return Snapshot(
            now_ns=now,
            start_ns=start,
            end_ns=end,
            width_ns=width,
            run=run,
            reading=reading,
            beat_ns=beat,
            minutes=series.minutes.rows(*marks),
            before=before,
            peaks=series.peaks.rows(*marks),
            quotes=series.quotes.rows(*marks),
            fills=fills,
            n_fills=n_fills,
            markouts=series.markouts.rows(*marks),
            states=_states(connection, start, end),
            latest_fills=connection.execute(
                "SELECT ts_ns, side, price, size, fee, closed_pnl, maker, position FROM fill ORDER BY ts_ns DESC LIMIT ?",
                (LATEST_FILLS,),
            ).fetchall(),
            alerts=_newest(_alerts(connection), diary.alerts, LATEST_ALERTS),
            happened=_newest(_happened(connection), diary.happened, LATEST_HAPPENINGS),
            given_up=diary.given_up,
        )


def _alerts(connection: sqlite3.Connection) -> list[Row]:
    found: list[Row] = connection.execute(
        "SELECT ts_ns, kind, title, body, outcome FROM alert ORDER BY id DESC LIMIT ?", (LATEST_ALERTS,)
    ).fetchall()
    return found


def _happened(connection: sqlite3.Connection) -> list[Row]:
    marks = {"most": LATEST_HAPPENINGS, "decisions": _LATEST_DECISIONS}
    found: list[Row] = connection.execute(_HAPPENED, marks).fetchall()
    return found


def _newest(ours: list[Row], supervisors: list[Row], most: int) -> list[Row]:
    return sorted([*ours, *supervisors], key=lambda row: int(row[0]), reverse=True)[:most]


def _record(connection: sqlite3.Connection, sql: str) -> dict[str, Any]:
    with closing(connection.execute(sql)) as cursor:
        row = cursor.fetchone()
        names = [column[0] for column in cursor.description]
    return {} if row is None else dict(zip(names, row, strict=True))


def _reading(connection: sqlite3.Connection) -> dict[str, Any]:
    row = connection.execute("SELECT value FROM saved WHERE name = 'reading'").fetchone()
    found = {} if row is None else json.loads(row[0])
    return found if isinstance(found, dict) else {}


def _end(connection: sqlite3.Connection, run: dict[str, Any], beat_ns: int | None, now_ns: int) -> int:
    """Return where time stands: now while the node lives, else when its run ended or gave its last sign of life."""
    if run.get("ended_ns") is not None:
        return int(run["ended_ns"])
    if beat_ns is not None and now_ns - beat_ns < SILENT_NS:
        return now_ns
    (last,) = connection.execute("SELECT max(ts_ns) FROM equity").fetchone()
    return max(last or 0, beat_ns or 0) or now_ns


def _beat(folder: Path) -> int | None:
    try:
        beat = last_beat(folder)
    except ValueError:
        # read in the middle of its being written; the next look sees it whole
        return None
    return None if beat is None else beat.ts_ns


def _fills(
    connection: sqlite3.Connection, series: Series, start: int, end: int, width: int
) -> tuple[list[Row], int]:
    """Return fills one by one while they are few, by bucket and side beyond; and their number."""
    few = connection.execute(
        "SELECT ts_ns, side, 1, CAST(size AS REAL), CAST(price AS REAL), CAST(position AS REAL) FROM fill "
        "WHERE ts_ns >= ? AND ts_ns <= ? ORDER BY ts_ns LIMIT ?",
        (start, end, MOST_FILLS + 1),
    ).fetchall()
    if len(few) <= MOST_FILLS:
        return few, len(few)
    rows = series.rows(connection, start, end, width)
    fills = [
        (int(ts_ns), side, count, size, value / size, float(position))
        for _, side, count, size, value, ts_ns, position in rows
        if size
    ]
    return fills, sum(int(row[2]) for row in rows)


def _states(connection: sqlite3.Connection, start: int, end: int) -> list[Row]:
    """Return the states of a range as (from, to, state, reasons), the one that it begins in first."""
    first = connection.execute(
        "SELECT ts_ns, state, reasons FROM state WHERE ts_ns < ? ORDER BY ts_ns DESC LIMIT 1", (start,)
    ).fetchall()
    later = connection.execute(
        "SELECT ts_ns, state, reasons FROM state WHERE ts_ns >= ? AND ts_ns <= ? ORDER BY ts_ns", (start, end)
    ).fetchall()
    rows = [*first, *later]
    if not rows:
        return []
    ends = [*(row[0] for row in rows[1:]), end]
    return [(max(start, row[0]), until, row[1], row[2]) for row, until in zip(rows, ends, strict=True)]
