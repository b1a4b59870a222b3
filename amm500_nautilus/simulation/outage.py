"""Spans in which nothing passes between us and the venue while the market moves on."""

from bisect import bisect_right
from collections.abc import Sequence


class Outages:
    """
    Times without a connection.

    Parameters
    ----------
    spans : sequence of (int, int)
        ``[start, end)`` in ns, in order and not overlapping.

    Raises
    ------
    ValueError
        If a span ends before it starts or begins before the one before has ended.

    """

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        last = -1
        for start, end in spans:
            if start <= last or end <= start:
                msg = f"outages are {tuple(spans)}; allowed: spans (start, end) in ns, in order, each after the last"
                raise ValueError(msg)
            last = end
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def __bool__(self) -> bool:
        return bool(self._starts)

    def end_of(self, ts_ns: int) -> int | None:
        """Return when the outage that ``ts_ns`` lies in ends; None outside of any."""
        n = bisect_right(self._starts, ts_ns) - 1
        return self._ends[n] if n >= 0 and ts_ns < self._ends[n] else None
