"""How much of an asked span a source holds, against the hours its market keeps."""

from collections.abc import Callable
from collections.abc import Sequence

from amm500_catalog.hours import DAY_NS
from amm500_catalog.hours import cash_sessions
from amm500_catalog.sources.base import BarFrame


# start and end in ns UTC -> the open spans inside, in order
ExpectedSpans = Callable[[int, int], Sequence[tuple[int, int]]]


def always_open(start_ns: int, end_ns: int) -> tuple[tuple[int, int], ...]:
    """Return the whole span: a perpetual trades at every hour."""
    return ((start_ns, end_ns),)


def cash_hours(start_ns: int, end_ns: int) -> tuple[tuple[int, int], ...]:
    """Return the New York cash sessions inside [start, end), cut at its ends; holidays and half days as they are."""
    # a session under way at the start opened before it
    sessions = cash_sessions("XNYS", start_ns - DAY_NS, end_ns)
    cut = ((max(opened, start_ns), min(closed, end_ns)) for opened, closed in sessions)
    return tuple((begin, end) for begin, end in cut if begin < end)


def coverage(frame: BarFrame, expected: Sequence[tuple[int, int]]) -> float:
    """
    Return the share of the expected open time that the bars' sessions hold, 0 to 1; 1 when no time is expected.

    Parameters
    ----------
    frame : BarFrame
        Bars with their sessions.
    expected : sequence of (int, int)
        Open spans in ns UTC, in order and without overlap.

    """
    wanted = sum(end - start for start, end in expected)
    if wanted == 0:
        return 1.0
    held = 0
    for start, end in expected:
        held += sum(max(0, min(end, close) - max(start, begin)) for begin, close in frame.sessions)
    return held / wanted
