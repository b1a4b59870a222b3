"""Trading sessions as plain intervals: which one holds, and whether to quote in it."""

from bisect import bisect_right

from amm500_nautilus.quoting.config import SessionConfig
from amm500_nautilus.quoting.config import SessionRow
from amm500_nautilus.quoting.volatility import YEAR_SECS


CLOSED = "closed"


class SessionCalendar:
    """
    Sorted ``[start, end)`` intervals in UTC nanoseconds, each with a kind; time outside them is ``closed``.

    Parameters
    ----------
    intervals : sequence of (int, int, str)
        Start, end, and kind (``cash``, ``futures``, ``weekend``, ``holiday`` or one of your own).
    seconds_per_year : float, default 31536000
        Session seconds in a year, by which volatility is annualised (252 cash sessions of 6.5 hours: 5,896,800).

    """

    def __init__(
        self,
        intervals: list[tuple[int, int, str]] | tuple[tuple[int, int, str], ...],
        seconds_per_year: float = YEAR_SECS,
    ) -> None:
        previous = -(1 << 63)
        for start, end, kind in intervals:
            if start < previous or end <= start:
                msg = f"session ({start}, {end}, {kind!r}) is empty or overlaps the one before; sessions must be sorted"
                raise ValueError(msg)
            previous = end
        if seconds_per_year <= 0:
            msg = f"seconds_per_year is {seconds_per_year!r}; it must be more than zero"
            raise ValueError(msg)
        self.intervals = tuple(intervals)
        self.seconds_per_year = seconds_per_year
        self._starts = [start for start, _, _ in intervals]

    def at(self, ts_ns: int) -> tuple[str, int, int]:
        """
        Return the kind of session at a time, and the open and close of the stretch without gaps around it.

        Outside every session: ``closed`` with the close before and the open after it.
        """
        index = bisect_right(self._starts, ts_ns) - 1
        far = 1 << 63
        if index < 0:
            return CLOSED, -far, self._starts[0] if self._starts else far
        start, end, kind = self.intervals[index]
        if ts_ns >= end:
            return CLOSED, end, self._starts[index + 1] if index + 1 < len(self._starts) else far
        first = index
        while first > 0 and self.intervals[first - 1][1] == start:
            first -= 1
            start = self.intervals[first][0]
        last = index
        while last + 1 < len(self.intervals) and self.intervals[last + 1][0] == end:
            last += 1
            end = self.intervals[last][1]
        return kind, start, end

    def kind_until(self, ts_ns: int) -> int:
        """Return the time up to which the kind at ``ts_ns`` cannot change."""
        index = bisect_right(self._starts, ts_ns) - 1
        if index >= 0 and ts_ns < self.intervals[index][1]:
            return self.intervals[index][1]
        return self._starts[index + 1] if index + 1 < len(self._starts) else 1 << 63


class SessionClock:
    """The session at a time, looked up again only when it can have changed."""

    def __init__(self, config: SessionConfig, calendar: SessionCalendar | None) -> None:
        self._config = config
        self._calendar = calendar
        self._rows = {row.kind: row for row in config.rows}
        self._from_ns = 0
        self._until_ns = 0
        self._open_ns = 0
        self._close_ns = 0
        self.kind = "always"
        self._row = SessionRow(kind="always")

    def at(self, ts_ns: int) -> tuple[bool, float]:
        """Return whether to quote now, and the session's spread factor."""
        if self._calendar is None:
            return True, 1.0
        if not self._from_ns <= ts_ns < self._until_ns:
            self.kind, self._open_ns, self._close_ns = self._calendar.at(ts_ns)
            self._from_ns = ts_ns
            self._until_ns = self._calendar.kind_until(ts_ns)
            self._row = self._rows.get(self.kind) or SessionRow(kind=self.kind)
        config = self._config
        quote = self._row.quote
        if self.kind != CLOSED:
            quote = (
                quote
                and ts_ns < self._close_ns - config.close_margin_secs * 1e9
                and ts_ns >= self._open_ns + config.open_margin_secs * 1e9
            )
        return quote, self._row.spread_multiple
