"""The journal: what happened, in one SQLite file, written by a thread of its own so that nobody waits for the disk."""

import contextlib
import fcntl
import hashlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.errors import AlreadyRunningError
from amm500_nautilus.monitor.schema import COLUMNS
from amm500_nautilus.monitor.schema import columns_of
from amm500_nautilus.monitor.schema import prepare
from amm500_nautilus.monitor.second_copy import write_copy
from amm500_nautilus.monitor.wal import broken_frame


NAME = "journal.sqlite"
LOCK = "journal.lock"
# rows that may wait for the disk: at ten a second an hour and a half
DEPTH = 50_000
BATCH = 5_000
# how long rows are gathered before they are committed together
LINGER_S = 0.2
# and what is not waited with: a halt must be known to whoever comes after a kill
URGENT = "state"
RETRY_S = 1.0
BUSY_MS = 2_000
FOLD = "PRAGMA wal_checkpoint(TRUNCATE)"
EVENT = "INSERT INTO event (ts_ns, run, kind, text) VALUES (?, 0, 'journal', ?)"
# of what is saved, what has a second copy
COPIED = "strategy."
# what may come twice and is the same then
ONCE = frozenset({"fill", "markout", "payment"})

OF_THE_DISK = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)

Value = str | int | float | bytes | None
Row = tuple[str, dict[str, Value]]


@dataclass(frozen=True, slots=True)
class Opening:
    """How a journal was found: ``is_new`` without a past, ``damaged`` where the unreadable one was kept, ``why`` it was."""

    is_new: bool
    damaged: Path | None = None
    why: str = ""


@dataclass(slots=True)
class _Flush:
    """Asks the writer to say when everything before it is on disk."""

    done: threading.Event


class Journal:
    """
    Take rows from any thread and never block; a thread of its own commits them.

    A commit is on disk before the next begins (WAL with ``synchronous=FULL``), so a kill at any moment loses at most the last
    fraction of a second, never a half row. While the disk refuses, ``failed`` says why and rows wait in memory; when they no longer
    fit the newest are lost, and counted.

    Parameters
    ----------
    folder : Path
        Where the journal lives; made with mode 0700.
    depth : int
        Rows that may wait.

    """

    def __init__(self, folder: Path, *, depth: int = DEPTH) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._queue: queue.Queue[Row | _Flush | None] = queue.Queue(depth)
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._lock: int | None = None
        self._failed = ""
        self._ending = threading.Event()
        self.written = 0
        self.lost = 0
        self.opening = Opening(is_new=True)
        self._copied: dict[str, bytes] = {}

    # -- opening -----------------------------------------------------------------------------------------------------

    def open(self) -> Opening:
        """
        Lock the folder, check the file, and start the writer; a damaged file is kept aside and a new one begun.

        Raises
        ------
        AlreadyRunningError
            If another process writes here.
        JournalError
            If the file is another program's or a newer version's.
        OSError, sqlite3.OperationalError
            If the folder cannot be written at all.

        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        try:
            self.opening = self._check()
        except BaseException:
            self._drop_lock()
            raise
        self._thread.start()
        return self.opening

    def _take_lock(self) -> None:
        handle = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip()
            os.close(handle)
            msg = f"{self.folder}: process {holder or 'unknown'} runs here already"
            raise AlreadyRunningError(msg) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._lock = handle

    def _drop_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _check(self) -> Opening:
        is_new = not self.path.exists()
        if is_new:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        why = damage_of(self.path)
        if not why:
            return Opening(is_new=is_new)
        kept = self._keep_aside()
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        damage_of(self.path)
        return Opening(is_new=True, damaged=kept, why=why)

    def _keep_aside(self) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        kept, count = self.path.with_name(f"journal.damaged-{stamp}.sqlite"), 1
        while kept.exists():
            count += 1
            kept = self.path.with_name(f"journal.damaged-{stamp}-{count}.sqlite")
        for tail in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + tail)
            if part.exists():
                part.rename(kept.with_name(kept.name + tail))
        return kept

    # -- rows --------------------------------------------------------------------------------------------------------

    @property
    def failed(self) -> str:
        """Why the journal cannot be written now; empty while it can."""
        return self._failed

    @property
    def is_open(self) -> bool:
        """Whether the writer is at work."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Rows that are not on disk yet."""
        return self._queue.qsize()

    def write(self, table: str, **values: Value) -> bool:
        """
        Queue one row; False where there is no room, which ``failed`` then says.

        Raises
        ------
        ValueError
            If the journal has no such table or column.

        """
        statement(table, tuple(values))
        return self._put((table, values))

    def save(self, name: str, ts_ns: int, value: bytes) -> bool:
        """Keep the newest bytes under a name, with their digest, for the next start."""
        digest = hashlib.sha256(value).hexdigest()
        return self.write("saved", name=name, ts_ns=ts_ns, value=value, sha256=digest)

    def _put(self, item: Row | _Flush) -> bool:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.lost += 1
            self._failed = self._failed or "more rows wait than there is room for"
            return False
        return True

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything queued so far is on disk; False when the time is over first. Not for the loop thread."""
        token = _Flush(threading.Event())
        return self._put(token) and token.done.wait(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what waits, fold the log into the file and end the writer; False if rows could not be written."""
        if not self._thread.is_alive():
            self._drop_lock()
            return not self._failed
        self._ending.set()
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            self._failed = self._failed or "the writer does not keep up"
        self._thread.join(timeout_s)
        self._drop_lock()
        return not self._thread.is_alive() and not self._failed

    # -- the writer --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        is_ending = False
        while not is_ending:
            rows: list[Row] = []
            tokens: list[_Flush] = []
            is_ending = self._gather(rows, tokens)
            while True:
                try:
                    if connection is None:
                        connection = connect(self.path)
                    self._commit(connection, rows)
                except (sqlite3.Error, OSError) as error:
                    self._failed = f"{type(error).__name__}: {error}"
                    _closed(connection)
                    connection = None
                    if self._ending.wait(RETRY_S):
                        return
                    continue
                break
            self._failed = ""
            for token in tokens:
                token.done.set()
        if connection is not None:
            try:
                connection.execute(FOLD)
            except sqlite3.Error as error:
                self._failed = f"{type(error).__name__}: {error}"
            _closed(connection)

    def _gather(self, rows: list[Row], tokens: list[_Flush]) -> bool:
        """Wait for a row, then take what comes within a moment; True at the end."""
        item = self._queue.get()
        deadline = time.monotonic() + LINGER_S
        while True:
            if item is None:
                return True
            if isinstance(item, _Flush):
                tokens.append(item)
                return False
            rows.append(item)
            if len(rows) >= BATCH or item[0] == URGENT:
                return False
            try:
                item = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return False

    def _commit(self, connection: sqlite3.Connection, rows: list[Row]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if self._failed:
                # a recovery is proven by a row that stays
                text = f"written again after: {self._failed}; {self.lost} rows lost so far"
                connection.execute(EVENT, (time.time_ns(), text))
            refused = sum(not _insert(connection, table, values) for table, values in rows)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self.lost += refused
        self.written += len(rows) - refused
        # the rows are on disk: what fails from here on must not write them a second time
        with contextlib.suppress(OSError):
            self._copy(rows)
        if any(table == "state" for table, _ in rows):
            # a halt must not hang on a log that could be damaged: it goes into the file itself, whose digest is checked
            with contextlib.suppress(sqlite3.Error):
                connection.execute(FOLD)

    def _copy(self, rows: list[Row]) -> None:
        """Keep what the strategy saved a second time, beside the file."""
        found = {
            str(values["name"]): values["value"]
            for table, values in rows
            if table == "saved" and str(values["name"]).startswith(COPIED)
        }
        if found:
            self._copied.update({name: value for name, value in found.items() if isinstance(value, bytes)})
            write_copy(self.folder, self._copied)


def _insert(connection: sqlite3.Connection, table: str, values: Mapping[str, Value]) -> bool:
    """Insert a row; one that the tables refuse is noted instead, so that it does not hold up the others."""
    try:
        connection.execute(statement(table, tuple(values)), tuple(values.values()))
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, OverflowError) as error:
        text = f"a row of {table} was refused: {type(error).__name__}: {error}"
        connection.execute(EVENT, (time.time_ns(), text))
        return False
    return True


def statement(table: str, columns: tuple[str, ...]) -> str:
    """Return the insert of a row; the names are this program's own."""
    found = _STATEMENTS.get((table, columns))
    if found is None:
        if table not in COLUMNS:
            raise ValueError(f"table {table!r} is not in the journal; it must be one of {', '.join(COLUMNS)}")
        unknown = set(columns) - set(COLUMNS[table])
        if unknown:
            raise ValueError(f"{table} has no column {', '.join(sorted(unknown))}")
        how = "OR IGNORE " if table in ONCE else "OR REPLACE "
        marks = ", ".join("?" * len(columns))
        found = f"INSERT {how}INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own names
        _STATEMENTS[table, columns] = found
    return found


_STATEMENTS: dict[tuple[str, tuple[str, ...]], str] = {}


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for writing, the log ahead of the file and each commit on disk."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1_000)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _closed(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()


def damage_of(path: Path) -> str:
    """
    Return what is wrong with a journal's file, empty when nothing is; the tables of an empty one are made.

    Raises
    ------
    JournalError
        If the file is another program's or a newer version's.
    sqlite3.OperationalError
        If the disk is full, gone or not ours to write.

    """
    frame = broken_frame(path.with_name(f"{path.name}-wal"))
    if frame is not None:
        return f"frame {frame} of the log is not what was written"
    connection: sqlite3.Connection | None = None
    try:
        connection = connect(path)
        found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
        if found != ["ok"]:
            return "; ".join(str(text) for text in found)
        prepare(connection)
        missing = [table for table in COLUMNS if not columns_of(connection, table)]
        if missing:
            return f"tables are missing: {', '.join(missing)}"
        for name, value, digest in connection.execute("SELECT name, value, sha256 FROM saved"):
            if hashlib.sha256(value).hexdigest() != digest:
                return f"what was saved as {name} is not what was written"
    except (sqlite3.Error, UnicodeDecodeError, TypeError) as error:
        # a damaged schema is read back in SQLite's own messages, and a damaged row as another type
        if isinstance(error, sqlite3.OperationalError) and is_of_the_disk(error):
            raise
        return f"{type(error).__name__}: {error}"
    finally:
        _closed(connection)
    return ""


def is_of_the_disk(error: sqlite3.Error) -> bool:
    """Return whether an error says that the disk or the rights are at fault, and nothing of the file's content."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code != sqlite3.SQLITE_IOERR_SHORT_READ and code & 0xFF in OF_THE_DISK


def load_saved(path: Path) -> Mapping[str, tuple[int, bytes]]:
    """Return everything saved by name, with the time it was saved."""
    connection = connect(path)
    try:
        rows = connection.execute("SELECT name, ts_ns, value FROM saved").fetchall()
    finally:
        connection.close()
    return {name: (int(ts_ns), bytes(value)) for name, ts_ns, value in rows}


def last_of(path: Path, sql: str, *values: Any) -> tuple[Any, ...] | None:
    """Return the first row of a query, None without one."""
    connection = connect(path)
    try:
        row: tuple[Any, ...] | None = connection.execute(sql, values).fetchone()
    finally:
        connection.close()
    return row


def number_of(path: Path, sql: str) -> int:
    """Return the number in the first row of a query; 0 without a row, or where it is null."""
    row = last_of(path, sql)
    return 0 if row is None or row[0] is None else int(row[0])
