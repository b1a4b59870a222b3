"""Session kinds over a span of data: cash hours, futures hours, weekend."""

from datetime import UTC
from datetime import datetime
from datetime import time
from datetime import timedelta
from zoneinfo import ZoneInfo

from amm500_catalog.hours import cash_sessions


Span = tuple[int, int]
NS = 1_000_000_000
EASTERN = ZoneInfo("America/New_York")
# index futures: Sunday 18:00 to Friday 17:00 Eastern with a daily break 17:00 to 18:00 (protocol: trading hours)
FUTURES_OPEN = time(18)
FUTURES_CLOSE = time(17)
CASH_OPEN = time(9, 30)
CASH_CLOSE = time(16)
FRIDAY = 4


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * NS


def _overlap(spans: tuple[Span, ...], others: tuple[Span, ...]) -> list[Span]:
    found = []
    for start, end in spans:
        for other_start, other_end in others:
            low, high = max(start, other_start), min(end, other_end)
            if high > low:
                found.append((low, high))
    return found


def _minus(spans: tuple[Span, ...], taken: tuple[Span, ...]) -> list[Span]:
    left: list[Span] = []
    for start, end in spans:
        cursor = start
        for low, high in sorted(taken):
            if high <= cursor or low >= end:
                continue
            if low > cursor:
                left.append((cursor, low))
            cursor = max(cursor, high)
        if cursor < end:
            left.append((cursor, end))
    return left


def futures_hours(start_ns: int, end_ns: int) -> tuple[Span, ...]:
    """Return the spans in which index futures trade: 18:00 to 17:00 Eastern of the next day, Sunday to Friday."""
    day = datetime.fromtimestamp(start_ns / NS, UTC).astimezone(EASTERN).date() - timedelta(days=2)
    last = datetime.fromtimestamp(end_ns / NS, UTC).astimezone(EASTERN).date() + timedelta(days=1)
    spans = []
    while day <= last:
        closes = day + timedelta(days=1)
        if closes.weekday() <= FRIDAY:
            opened = datetime.combine(day, FUTURES_OPEN, EASTERN)
            closed = datetime.combine(closes, FUTURES_CLOSE, EASTERN)
            spans.append((_ns(opened), _ns(closed)))
        day = closes
    return tuple(spans)


def _holidays(start_ns: int, end_ns: int, cash: tuple[Span, ...]) -> tuple[Span, ...]:
    """Return the usual cash hours of weekdays on which no cash session opens."""
    opened = {datetime.fromtimestamp(start / NS, UTC).astimezone(EASTERN).date() for start, _ in cash}
    day = datetime.fromtimestamp(start_ns / NS, UTC).astimezone(EASTERN).date()
    last = datetime.fromtimestamp(end_ns / NS, UTC).astimezone(EASTERN).date()
    spans = []
    while day <= last:
        if day.weekday() <= FRIDAY and day not in opened:
            opens, closes = (datetime.combine(day, hour, EASTERN) for hour in (CASH_OPEN, CASH_CLOSE))
            spans.append((_ns(opens), _ns(closes)))
        day += timedelta(days=1)
    return tuple(spans)


def session_spans(data_sessions: tuple[Span, ...]) -> tuple[tuple[int, int, str], ...]:
    """
    Return the data's sessions cut by kind, in order.

    ``cash`` while the New York exchange is open (early closes kept), ``holiday`` in the hours of a weekday without a cash session,
    ``futures`` while only index futures trade, ``weekend`` while neither does and the oracle is internal.
    """
    if not data_sessions:
        return ()
    first, last = data_sessions[0][0], data_sessions[-1][1]
    cash = cash_sessions("XNYS", first - 86_400 * NS, last + 86_400 * NS)
    futures = futures_hours(first, last)
    cut = [(low, high, "cash") for low, high in _overlap(data_sessions, cash)]
    holidays = _holidays(first, last, cash)
    cut += [(low, high, "holiday") for low, high in _overlap(data_sessions, holidays)]
    outside = tuple(_minus(tuple(_minus(data_sessions, cash)), holidays))
    cut += [(low, high, "futures") for low, high in _overlap(outside, futures)]
    cut += [(low, high, "weekend") for low, high in _minus(outside, futures)]
    return tuple(sorted(cut))
