"""What the dashboard shows of a supervisor's own journal: starts and ends of nodes, direct cancels, restarts, giving up, alerts."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from amm500_nautilus.monitor.dashboard_buckets import NS
from amm500_nautilus.monitor.dashboard_buckets import Row
from amm500_nautilus.monitor.dashboard_files import connect_read_only
from amm500_nautilus.monitor.errors import JournalError
from amm500_nautilus.monitor.journal import NAME


# beside the folder of the node's journal, where both outlive the run
FOLDER = "supervisor"
# a node is started before its journal says so, and looked after when it has ended
AROUND_NS = 600 * NS

_EVENTS = """
SELECT ts_ns, 'supervisor', 'supervisor', text FROM (SELECT * FROM event WHERE ts_ns >= :from AND ts_ns <= :to ORDER BY id DESC LIMIT :most)
UNION ALL SELECT started_ns, 'supervisor', 'supervisor', 'begins as ' || started_by FROM session
    WHERE started_ns >= :from AND started_ns <= :to
ORDER BY 1 DESC LIMIT :most
"""
_ALERTS = """
SELECT ts_ns, kind, title, body, outcome FROM alert WHERE ts_ns >= :from AND ts_ns <= :to ORDER BY id DESC LIMIT :most
"""
_LAST = """
SELECT kind, text FROM event WHERE kind IN ('supervisor_start', 'supervisor_give_up') AND ts_ns >= :from AND ts_ns <= :to
ORDER BY id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Diary:
    """
    A supervisor's newest entries, newest first.

    ``happened`` has rows of (ts, kind, what, text), ``alerts`` of (ts, kind, title, body, outcome); ``given_up`` says why no node is
    started any more, empty where one may be.
    """

    happened: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    given_up: str = ""


@dataclass(frozen=True, slots=True)
class DiaryPlace:
    """Where a supervisor's journal is, and between which times its rows are of the run that is shown, UTC ns."""

    path: Path
    first_ns: int = 0
    last_ns: int = 2**63 - 1


def find_diary(journal: Path, elsewhere: Path | None, begin_ns: int | None, end_ns: int) -> DiaryPlace | None:
    """
    Return where the supervisor of a node keeps its journal; None where it has none.

    Parameters
    ----------
    journal : Path
        The node's journal.
    elsewhere : Path, optional
        The state folder of a run whose own journal is not there: of its supervisor's rows those of other runs are left out.
    begin_ns, end_ns : int
        When the run that is shown began and ended (or stands).

    """
    beside = journal.parent.parent / FOLDER / NAME
    # the page may be one of a supervisor's own journal
    if beside.is_file() and beside.parent != journal.parent:
        return DiaryPlace(beside)
    if elsewhere is None or begin_ns is None or not (elsewhere / FOLDER / NAME).is_file():
        return None
    return DiaryPlace(elsewhere / FOLDER / NAME, begin_ns - AROUND_NS, end_ns + AROUND_NS)


def read_diary(place: DiaryPlace, *, most: int, most_alerts: int) -> Diary:
    """Return the newest entries; a journal that cannot be read is one entry that says so, for the node's is still there."""
    between = {"from": place.first_ns, "to": place.last_ns}
    try:
        with closing(connect_read_only(place.path)) as connection:
            happened = connection.execute(_EVENTS, between | {"most": most}).fetchall()
            alerts = connection.execute(_ALERTS, between | {"most": most_alerts}).fetchall()
            last = connection.execute(_LAST, between).fetchone()
    except (JournalError, sqlite3.Error) as error:
        return Diary([(0, "supervisor", "the supervisor's journal cannot be read", str(error))])
    return Diary(happened, alerts, last[1] if last is not None and last[0] == "supervisor_give_up" else "")
