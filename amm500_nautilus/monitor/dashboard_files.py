"""Finds the journals that the dashboard shows, and opens them read-only."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

from amm500_nautilus.monitor.errors import JournalError
from amm500_nautilus.monitor.journal import BUSY_MS
from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.monitor.schema import APPLICATION_ID
from amm500_nautilus.monitor.schema import VERSION


# where a run keeps its journal, from the run directory; its name says unfinished while it runs
_PLACES = ("", "monitor", "state/monitor", "state")


def find_journal(place: Path) -> Path | None:
    """Return the journal of a run directory, a state folder, or the file itself; None where there is none (yet)."""
    if place.is_file():
        return place
    for base in (place, place.with_name(f"{place.name}.partial")):
        for name in _PLACES:
            path = base / name / NAME
            if path.is_file():
                return path
    if place.name.endswith(".partial"):
        # the run is over, and its directory has its final name
        return find_journal(place.with_name(place.name.removesuffix(".partial")))
    return None


def connect_read_only(path: Path) -> sqlite3.Connection:
    """
    Open a journal for reading and nothing else.

    Raises
    ------
    JournalError
        If it is no journal, a newer version's, or cannot be read.

    """
    uri = f"file:{quote(str(path.resolve()))}?mode=ro"
    try:
        connection = _opened(uri)
    except sqlite3.OperationalError as error:
        # a folder without write rights holds no shared memory; without a log nobody writes, and the file alone is whole
        if path.with_name(f"{path.name}-wal").exists():
            raise JournalError(f"{path} cannot be read: {error}") from error
        try:
            connection = _opened(f"{uri}&immutable=1")
        except sqlite3.Error as again:
            raise JournalError(f"{path} cannot be read: {again}") from again
    except sqlite3.Error as error:
        raise JournalError(f"{path} is not a journal: {error}") from error
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        connection.close()
        raise JournalError(f"{path} is not a journal")
    if version > VERSION:
        connection.close()
        raise JournalError(
            f"{path} has version {version} of the journal; this program knows versions up to {VERSION}"
        )
    return connection


def _opened(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1_000
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
