"""Time series of a journal in few points: each is read once, and later only what came since."""

import sqlite3
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any


NS = 1_000_000_000
# points of a series; a chart is not wider than this on most screens
MOST_POINTS = 500
_WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
# markouts come up to a minute after their fill, and rows a moment after their time
LATE_NS = 120 * NS

Row = tuple[Any, ...]


def width_ns(span_ns: int) -> int:
    """Return the width of a bucket by which a span has at most ``MOST_POINTS`` of them, one that a clock has."""
    for width in _WIDTHS_S:
        if span_ns <= width * NS * MOST_POINTS:
            return width * NS
    day = _WIDTHS_S[-1] * NS
    return -(-span_ns // (day * MOST_POINTS)) * day


@dataclass(slots=True)
class Series:
    """
    Rows of a query by bucket, kept between looks.

    Parameters
    ----------
    read : callable
        Takes a connection, the first and last bucket and their width, and yields rows whose first value is the bucket.

    """

    read: Callable[[sqlite3.Connection, int, int, int], Iterator[Row]]
    _width: int = 0
    _first: int = 0
    _last: int = -1
    _rows: dict[int, list[Row]] = field(default_factory=dict)

    def rows(self, connection: sqlite3.Connection, start_ns: int, end_ns: int, width: int) -> list[Row]:
        """Return the rows of a range, oldest first; only buckets that may have changed are read again."""
        first, last = start_ns // width, end_ns // width
        if width != self._width or first < self._first or first > self._last:
            self._rows.clear()
            self._width, again = width, first
        else:
            again = max(first, self._last - LATE_NS // width - 1)
        for bucket in [bucket for bucket in self._rows if bucket < first or bucket >= again]:
            del self._rows[bucket]
        for row in self.read(connection, again, last, width):
            self._rows.setdefault(int(row[0]), []).append(row)
        self._first, self._last = first, last
        return [row for bucket in sorted(self._rows) for row in self._rows[bucket]]

    def forget(self) -> None:
        """Begin anew: the file is another one."""
        self._width = 0


def grouped(sql: str) -> Series:
    """Return a series of a statement that groups rows itself; it takes ``:width``, ``:start`` and ``:end`` in ns."""

    def read(connection: sqlite3.Connection, first: int, last: int, width: int) -> Iterator[Row]:
        marks = {"width": width, "start": first * width, "end": (last + 1) * width}
        yield from connection.execute(sql, marks)

    return Series(read)


def sampled(table: str, columns: str) -> Series:
    """
    Return a series of each bucket's last row of a table whose key is the time.

    A seek a bucket instead of a scan: as fast with ten million rows as with ten thousand.
    """
    sql = f"SELECT ts_ns, {columns} FROM {table} WHERE ts_ns >= ? AND ts_ns < ? ORDER BY ts_ns DESC LIMIT 1"  # noqa: S608 - our own names

    def read(connection: sqlite3.Connection, first: int, last: int, width: int) -> Iterator[Row]:
        for bucket in range(first, last + 1):
            row = connection.execute(sql, (bucket * width, (bucket + 1) * width)).fetchone()
            if row is not None:
                yield (bucket, *row)

    return Series(read)
