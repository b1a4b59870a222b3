"""The journal's tables and their version; every table is append-only but ``saved``, which keeps the newest of each name."""

import sqlite3
from contextlib import closing

from amm500_nautilus.monitor.errors import JournalError


# "A500" as a big-endian integer: tells our files from any other SQLite file
APPLICATION_ID = 0x41353030
VERSION = 2

# amounts in collateral units; REAL where the figure is shown, TEXT where it must be exact; times in UTC ns
TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER, outcome TEXT,
    name TEXT NOT NULL, mode TEXT NOT NULL, coin TEXT NOT NULL, account TEXT NOT NULL, config_hash TEXT NOT NULL,
    pid INTEGER NOT NULL, version TEXT NOT NULL
) STRICT;
CREATE TABLE session (
    id INTEGER PRIMARY KEY, started_ns INTEGER NOT NULL, started_by TEXT NOT NULL
) STRICT;
CREATE TABLE equity (
    ts_ns INTEGER PRIMARY KEY, run INTEGER NOT NULL, session INTEGER NOT NULL, equity REAL, balance REAL, position REAL, mid REAL,
    margin_used REAL, order_margin REAL, margin_ratio REAL, maintenance_ratio REAL, drawdown REAL, session_loss REAL,
    funding REAL, fees REAL, transfers REAL, liquidation_price REAL, leverage REAL,
    collateral_price REAL, budget_remaining REAL, actions INTEGER, fills INTEGER, state TEXT,
    pnl_spread_capture REAL, pnl_adverse_selection REAL, pnl_inventory REAL, pnl_fees REAL, pnl_funding REAL,
    pnl_liquidation REAL, pnl_total REAL
) STRICT;
CREATE TABLE quote (
    ts_ns INTEGER PRIMARY KEY, run INTEGER NOT NULL, bid REAL, ask REAL, mid REAL, n_bids INTEGER, n_asks INTEGER,
    state TEXT, reasons TEXT
) STRICT;
CREATE TABLE fill (
    ts_ns INTEGER NOT NULL, coin TEXT NOT NULL, tid TEXT NOT NULL, run INTEGER NOT NULL, client_order_id TEXT,
    side INTEGER NOT NULL, price TEXT NOT NULL, size TEXT NOT NULL, fee TEXT NOT NULL, closed_pnl TEXT NOT NULL,
    maker INTEGER NOT NULL, position TEXT NOT NULL, mid REAL,
    PRIMARY KEY (ts_ns, coin, tid)
) STRICT;
CREATE TABLE markout (
    ts_ns INTEGER NOT NULL, coin TEXT NOT NULL, tid TEXT NOT NULL, horizon_s INTEGER NOT NULL, bps REAL,
    PRIMARY KEY (ts_ns, coin, tid, horizon_s)
) STRICT;
CREATE TABLE payment (
    ts_ns INTEGER NOT NULL, coin TEXT NOT NULL, kind TEXT NOT NULL, amount TEXT NOT NULL, rate TEXT, price TEXT, run INTEGER NOT NULL,
    PRIMARY KEY (ts_ns, coin, kind)
) STRICT;
CREATE TABLE decision (
    id INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, run INTEGER NOT NULL, subject TEXT NOT NULL, approved INTEGER NOT NULL,
    reason TEXT NOT NULL, numbers TEXT NOT NULL
) STRICT;
CREATE INDEX decision_ts ON decision (ts_ns);
CREATE TABLE state (
    id INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, run INTEGER NOT NULL, state TEXT NOT NULL, reasons TEXT NOT NULL
) STRICT;
CREATE INDEX state_ts ON state (ts_ns);
CREATE TABLE alert (
    id INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, run INTEGER NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
CREATE INDEX alert_ts ON alert (ts_ns);
CREATE TABLE command (
    id INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, run INTEGER NOT NULL, who TEXT NOT NULL, command TEXT NOT NULL,
    arguments TEXT NOT NULL, ok INTEGER NOT NULL, answer TEXT NOT NULL
) STRICT;
CREATE TABLE event (
    id INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, run INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE TABLE saved (
    name TEXT PRIMARY KEY, ts_ns INTEGER NOT NULL, value BLOB NOT NULL, sha256 TEXT NOT NULL
) STRICT;
"""

# what a journal of an earlier version lacks, by the version that brings it
STEPS = {
    2: "".join(
        f"ALTER TABLE equity ADD COLUMN pnl_{name} REAL;"
        for name in (
            "spread_capture",
            "adverse_selection",
            "inventory",
            "fees",
            "funding",
            "liquidation",
            "total",
        )
    ),
}


def columns_of(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Return the names of a table's columns, in order; none where there is no such table."""
    return tuple(row[1] for row in connection.execute("SELECT * FROM pragma_table_info(?)", (table,)))


def prepare(connection: sqlite3.Connection) -> None:
    """
    Make the tables in an empty file, add what one of an earlier version lacks, leave one of this version as it is.

    Raises
    ------
    JournalError
        If the file belongs to another program or to a newer version.

    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == 0 and version == 0 and count == 0:
        connection.executescript(
            f"BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
        )
        return
    if application != APPLICATION_ID:
        if not columns_of(connection, "saved"):
            raise JournalError("the file is an SQLite file of another program, not a journal")
        # ours, with its mark changed
        raise sqlite3.DatabaseError("the mark of a journal is not the one that was written")
    if version > VERSION:
        raise JournalError(f"the journal has version {version}; this program knows versions up to {VERSION}")
    if version < VERSION:
        steps = "".join(STEPS[step] for step in range(max(1, version) + 1, VERSION + 1))
        connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;")


def _all_columns() -> dict[str, tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLES)
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: columns_of(connection, name) for name in names}


COLUMNS = _all_columns()
