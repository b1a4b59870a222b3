"""What makes bars and recordings usable, checked row by row."""

from typing import Final
from typing import Literal

import numpy as np
import pandas as pd

from amm500_catalog.errors import InputError
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import PRICE_COLUMNS


DuplicatePolicy = Literal["refuse", "drop"]

# 1990-01-01 and 2100-01-01: a stamp outside was read in the wrong unit
EARLIEST_NS: Final = 631_152_000 * NS
LATEST_NS: Final = 4_102_444_800 * NS
# bars are stored with six decimals, which at the lowest price are a ten-thousandth of it; Nautilus holds up to 1.7e13 and 3.4e13
LOWEST_PRICE: Final = 0.005
HIGHEST_PRICE: Final = 1e13
LARGEST_VOLUME: Final = 1e13


def utc_text(ts_ns: int) -> str:
    """Return a ns UTC time as ``2025-12-16 14:30:00 UTC``, with fractions only when there are any."""
    text = pd.Timestamp(ts_ns, unit="ns", tz="UTC").isoformat(sep=" ")
    return text.replace("+00:00", " UTC")


def row_text(path: str, index: int, *, header_lines: int = 0) -> str:
    """Return where a row is, counted from 1; text files add the line."""
    row = f"{path} row {index + 1}"
    return f"{row} (line {index + 1 + header_lines})" if header_lines else row


def check_times(times_ns: np.ndarray, *, path: str, header_lines: int = 0) -> None:
    """
    Refuse times outside 1990 to 2100, which were read in the wrong unit.

    Raises
    ------
    InputError
        Naming the first such row.

    """
    wrong = np.flatnonzero((times_ns < EARLIEST_NS) | (times_ns > LATEST_NS))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"the time reads as {utc_text(int(times_ns[row]))}",
            row_text(path, row, header_lines=header_lines),
            "a time between 1990 and 2100; say the unit (s, ms, us, ns) if it is an epoch number",
        )


def check_prices(bars: pd.DataFrame, *, path: str, header_lines: int = 0) -> None:
    """
    Refuse prices that no market prints (absent, infinite, zero, negative, or outside the bar's own range), and those that the catalogue
    cannot hold: bars have six decimals.

    Parameters
    ----------
    bars : pandas.DataFrame
        Columns ``open``, ``high``, ``low``, ``close`` as float64 and optionally ``volume``.
    path : str
        The file's name for the message.
    header_lines : int, default 0
        Lines before the first row of a text file; 0 where rows have no lines.

    Raises
    ------
    InputError
        Naming the first such row and its value.

    """  # noqa: D205 -- what is refused does not fit one line
    for name in PRICE_COLUMNS:
        values = bars[name].to_numpy(dtype=np.float64)
        wrong = np.flatnonzero(~((values >= LOWEST_PRICE) & (values <= HIGHEST_PRICE)))
        if len(wrong):
            row = int(wrong[0])
            value = "missing (NaN)" if np.isnan(values[row]) else f"{values[row]:g}"
            raise InputError(
                f"`{name}` is {value}",
                row_text(path, row, header_lines=header_lines),
                f"a finite price above zero, from {LOWEST_PRICE:g} to {HIGHEST_PRICE:g}",
            )
    opens, highs, lows, closes = (bars[name].to_numpy(dtype=np.float64) for name in PRICE_COLUMNS)
    wrong = np.flatnonzero(highs < lows)
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"`high` {highs[row]:g} is below `low` {lows[row]:g}",
            row_text(path, row, header_lines=header_lines),
            "low <= open, close <= high",
        )
    for name, values in (("open", opens), ("close", closes)):
        wrong = np.flatnonzero((values > highs) | (values < lows))
        if len(wrong):
            row = int(wrong[0])
            raise InputError(
                f"`{name}` {values[row]:g} is outside the bar's range {lows[row]:g} to {highs[row]:g}",
                row_text(path, row, header_lines=header_lines),
                "low <= open, close <= high",
            )


def check_volume(volume: np.ndarray, *, path: str, header_lines: int = 0) -> None:
    """
    Refuse a volume that is absent in some rows, infinite, negative, or larger than the catalogue holds.

    Raises
    ------
    InputError
        Naming the first such row.

    """
    wrong = np.flatnonzero(~((volume >= 0.0) & (volume <= LARGEST_VOLUME)))
    if len(wrong):
        row = int(wrong[0])
        value = "missing (NaN)" if np.isnan(volume[row]) else f"{volume[row]:g}"
        raise InputError(
            f"`volume` is {value}",
            row_text(path, row, header_lines=header_lines),
            f"a finite volume of zero or more, at most {LARGEST_VOLUME:g}; leave the column out if the source has none",
        )


def check_order(
    times_ns: np.ndarray,
    *,
    path: str,
    header_lines: int = 0,
    row_numbers: np.ndarray | None = None,
) -> None:
    """
    Refuse times that step back.

    Raises
    ------
    InputError
        Naming the first row that is earlier than the row before.

    """
    wrong = np.flatnonzero(np.diff(times_ns) < 0)
    if len(wrong):
        at = int(wrong[0]) + 1
        row = at if row_numbers is None else int(row_numbers[at])
        raise InputError(
            f"the time {utc_text(int(times_ns[at]))} is earlier than the row before, {utc_text(int(times_ns[at - 1]))}",
            row_text(path, row, header_lines=header_lines),
            "rows in time order",
        )


def drop_duplicates(
    bars: pd.DataFrame,
    *,
    path: str,
    policy: DuplicatePolicy,
    header_lines: int = 0,
) -> tuple[pd.DataFrame, int]:
    """
    Return the bars without exact copies of a row, and how many were dropped.

    Two different bars of one time are refused under either policy: nothing says which is right.

    Parameters
    ----------
    bars : pandas.DataFrame
        Bars in time order with ``ts_open_ns`` and a default index that counts the file's rows.
    path : str
        The file's name for the message.
    policy : {'refuse', 'drop'}
        What to do with exact copies.
    header_lines : int, default 0
        Lines before the first row of a text file.

    Raises
    ------
    InputError
        Naming the first repeated row.

    """
    repeated = bars.duplicated("ts_open_ns", keep="first").to_numpy()
    if not repeated.any():
        return bars, 0
    exact = bars.duplicated(["ts_open_ns", *PRICE_COLUMNS, "volume"], keep="first").to_numpy()
    differing = np.flatnonzero(repeated & ~exact)
    if len(differing) or policy == "refuse":
        row = int(differing[0]) if len(differing) else int(np.flatnonzero(repeated)[0])
        kind = "with other prices" if len(differing) else "an exact copy"
        raise InputError(
            f"a second bar at {utc_text(int(bars['ts_open_ns'].iloc[row]))} ({kind})",
            row_text(path, row, header_lines=header_lines),
            "one bar a time" + ("" if len(differing) else "; `duplicates: drop` leaves exact copies out"),
        )
    return bars.loc[~exact], int(exact.sum())


def check_spacing(
    opens_ns: np.ndarray, interval_s: int, *, path: str, gap_s: float, header_lines: int = 0
) -> None:
    """
    Refuse bars that overlap, and bars off the grid: inside a session opens are whole intervals apart.

    Parameters
    ----------
    opens_ns : numpy.ndarray
        The bars' opens in order, ns UTC.
    interval_s : int
        Seconds of one bar.
    path : str
        The file's name for the message.
    gap_s : float
        Opens further apart than this belong to different sessions, which may begin at any time.
    header_lines : int, default 0
        Lines before the first row of a text file.

    Raises
    ------
    InputError
        Naming the first row that opens too soon.

    """
    steps = np.diff(opens_ns)
    off_grid = (steps % (interval_s * NS) != 0) & (steps <= gap_s * NS)
    wrong = np.flatnonzero((steps < interval_s * NS) | off_grid)
    if len(wrong):
        at = int(wrong[0]) + 1
        raise InputError(
            f"the bar opens {steps[at - 1] / NS:g} s after the row before",
            row_text(path, at, header_lines=header_lines),
            f"whole intervals ({interval_s} s) apart",
        )


def check_book_sides(
    bids: np.ndarray,
    asks: np.ndarray,
    *,
    path: str,
) -> None:
    """
    Refuse a book snapshot that is crossed, locked, or whose levels are out of order.

    Parameters
    ----------
    bids, asks : numpy.ndarray
        Prices, one row a snapshot, best first; NaN where a level is absent.
    path : str
        The file's name for the message.

    Raises
    ------
    InputError
        Naming the first such row.

    """
    best_bid, best_ask = bids[:, 0], asks[:, 0]
    crossed = np.flatnonzero(best_bid >= best_ask)
    if len(crossed):
        row = int(crossed[0])
        raise InputError(
            f"the book is crossed: best bid {best_bid[row]:g}, best ask {best_ask[row]:g}",
            row_text(path, row),
            "best bid below best ask",
        )
    for name, prices, sign in (("bid", bids, -1.0), ("ask", asks, 1.0)):
        steps = np.diff(prices, axis=1) * sign
        wrong = np.argwhere(steps <= 0.0)
        if len(wrong):
            row, level = (int(value) for value in wrong[0])
            raise InputError(
                f"{name} level {level + 1} at {prices[row, level + 1]:g} does not lie beyond "
                f"level {level} at {prices[row, level]:g}",
                row_text(path, row),
                "levels from the best price outward, none repeated",
            )
