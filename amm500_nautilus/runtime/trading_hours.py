"""Which hours a market keeps: what a day and a year of it are, for everything that is said of a day or a year."""

from itertools import pairwise
from typing import Final

from amm500_catalog.sources.base import BarFrame
from amm500_nautilus.runtime.config import RunConfig


NS: Final = 1_000_000_000
ALWAYS: Final = "always"
FUTURES: Final = "futures"
INDEX: Final = "index"
LONGEST_SESSION_NS: Final = 43_200 * NS
# open seconds of a trading day, and trading days of a year
TRADING_DAYS: Final = {ALWAYS: (86_400.0, 365.0), FUTURES: (82_800.0, 252.0), INDEX: (23_400.0, 252.0)}
# index futures trade from 18:00 to 17:00 of the next day; a bar or so may be missing at either end
FUTURES_SESSION_NS: Final = (79_200 * NS, 82_800 * NS)


def hours_of(config: RunConfig, frame: BarFrame) -> str:
    """
    Return ``always`` for a market that never closes, ``futures`` for one that closes an hour a day, ``index`` for cash sessions.

    The bars decide, and ``data.sessions`` only where they do not tell: a day of four closed hours in five, counted as one that never
    closes, would have 3.7 times its trades a day and 2.4 times its Sharpe ratio.
    """
    lengths = [end - start for start, end in frame.sessions]
    longest = max(lengths)
    low, high = FUTURES_SESSION_NS
    # the first and the last may be cut by the span asked for
    if len(lengths) > 2 and longest <= high and all(length >= low for length in lengths[1:-1]):
        return FUTURES
    if longest > LONGEST_SESSION_NS:
        return ALWAYS
    gaps = [opened - closed for (_, closed), (opened, _) in pairwise(frame.sessions)]
    # closed for longer than it is ever open; a lunch break, or a hole in a recording, is shorter
    return INDEX if gaps and max(gaps) > longest else config.data.sessions


def hours_note(config: RunConfig, hours: str) -> tuple[str, ...]:
    """Return what a report says where the bars keep other hours than ``data.sessions``; nothing where they agree."""
    if hours == config.data.sessions:
        return ()
    day_seconds, days = TRADING_DAYS[hours]
    day = f"a day of {day_seconds / 3_600:g} open hours, {days:g} of them a year"
    return (f"the bars keep the hours of {hours!r}, not data.sessions {config.data.sessions!r}: {day}",)


def open_seconds_a_year(hours: str) -> float:
    """Return the seconds in a year that a market with these hours is open."""
    day_seconds, days = TRADING_DAYS[hours]
    return day_seconds * days
