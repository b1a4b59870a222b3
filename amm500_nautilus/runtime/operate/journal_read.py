"""Find a run's journal and read it without touching it: the node may be writing, or may have been killed."""

import sqlite3
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from decimal import InvalidOperation
from pathlib import Path
from typing import Any

from amm500_catalog.errors import InputError
from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.monitor.schema import APPLICATION_ID
from amm500_nautilus.runtime.load import read_yaml
from amm500_nautilus.runtime.rundir import PARTIAL


# texts that stand for numbers, so that no digit is lost
FILL_NUMBERS = ("price", "size", "fee", "closed_pnl", "position")
PAYMENT_NUMBERS = ("amount",)
WHAT = "a run directory, a state folder, or a journal"


def find_journal(path: Path) -> Path | None:
    """
    Return the journal that belongs to a path; None where there is none.

    The path may be the file, its folder, a state folder, or a run directory, finished or not: that of a run whose account outlives it
    names the state folder in its ``config.yaml``.
    """
    if path.is_file():
        return path
    for folder in (path, path.with_name(path.name + PARTIAL)):
        for place in (folder / NAME, folder / "monitor" / NAME):
            if place.is_file():
                return place
        named = _of_config(folder / "config.yaml")
        if named is not None:
            return named
    return None


def _of_config(path: Path) -> Path | None:
    if not path.is_file():
        return None
    try:
        raw = read_yaml(path)
        state = (raw.get("live") or {}).get("state_dir") or f"runs/state/{raw['name']}"
        place = Path(state) / "monitor" / NAME
    except (InputError, AttributeError, KeyError, TypeError):
        # whoever reads the run file itself is told what is wrong with it
        return None
    return place if place.is_file() else None


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """
    Open a journal to read.

    Raises
    ------
    InputError
        If the file is no journal, or is damaged.

    """
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
    except sqlite3.Error as error:
        raise InputError(f"cannot be opened ({error})", str(path), WHAT) from error
    connection.row_factory = sqlite3.Row
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            raise InputError("is not a journal of this program", str(path), WHAT)
        yield connection
    except sqlite3.DatabaseError as error:
        raise InputError(f"cannot be read ({error})", str(path), "a journal that is whole") from error
    finally:
        connection.close()


def rows(connection: sqlite3.Connection, sql: str, *values: Any) -> list[sqlite3.Row]:
    """Return all rows of a query."""
    return connection.execute(sql, values).fetchall()


def require_numbers(found: Iterable[Any], names: Iterable[str], path: Path) -> None:
    """
    Refuse rows whose texts for numbers are none.

    Raises
    ------
    InputError
        With the first such text.

    """
    wanted = tuple(names)
    for row in found:
        for name in wanted:
            if not _is_number(row[name]):
                raise InputError(f"has {row[name]!r:.60} as {name}", str(path), "a journal that is whole")


def _is_number(text: Any) -> bool:
    try:
        return Decimal(text).is_finite()
    except (InvalidOperation, TypeError, ValueError):
        return False
