"""When an exchange is open: its cash sessions, holidays and early closes."""

import warnings
from functools import lru_cache

import numpy as np
import pandas as pd

from amm500_catalog.errors import InputError
from amm500_catalog.sources.base import NS


DAY_NS = 86_400 * NS


def cash_sessions(calendar: str, start_ns: int, end_ns: int) -> tuple[tuple[int, int], ...]:
    """
    Return the [open, close) spans of an exchange's sessions that open inside [start, end), in ns UTC.

    Parameters
    ----------
    calendar : str
        An exchange_calendars name, for example ``XNYS``.
    start_ns, end_ns : int
        The span in ns UTC.

    Raises
    ------
    InputError
        If the calendar is not known, or the span is empty.

    """
    if end_ns <= start_ns:
        raise InputError("the end is not after the start", "sessions", "a span of time")
    opens, closes = _schedule(calendar, start_ns // DAY_NS, -(-end_ns // DAY_NS))
    inside = (opens >= start_ns) & (opens < end_ns)
    return tuple(
        (int(opened), int(closed)) for opened, closed in zip(opens[inside], closes[inside], strict=True)
    )


@lru_cache(maxsize=32)
def _schedule(calendar: str, first_day: int, last_day: int) -> tuple[np.ndarray, np.ndarray]:
    import exchange_calendars  # noqa: PLC0415 -- a second to import, needed by few

    epoch = pd.Timestamp("1970-01-01")
    with warnings.catch_warnings():
        # exchange_calendars 4 reads time zones in a way that pandas deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            exchange = exchange_calendars.get_calendar(
                calendar,
                start=epoch + pd.Timedelta(days=first_day - 10),
                end=epoch + pd.Timedelta(days=last_day + 10),
            )
        except exchange_calendars.errors.InvalidCalendarName as e:
            raise InputError(
                f"`{calendar}` is no calendar", "sessions", "an exchange_calendars name, for example XNYS"
            ) from e
        opens = exchange.opens.dt.as_unit("ns").astype("int64").to_numpy()
        closes = exchange.closes.dt.as_unit("ns").astype("int64").to_numpy()
    return opens, closes
