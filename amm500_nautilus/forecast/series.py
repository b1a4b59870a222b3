"""Prices on a fixed clock: the marks that features and targets are made from."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class MarkSeries:
    """
    A market's marks in time order.

    Parameters
    ----------
    interval_s : int
        Seconds from a mark to the next inside a session.
    ts_ns : array of int
        Each mark's time, UTC; what it holds was known then.
    price : array of float
        The price: a bar's close, or the book's mid.
    session : array of int
        The number of the session a mark lies in; a return never spans two.
    imbalance : array of float, optional
        Book imbalance, -1 to 1; None where the source has no book.
    funding : array of float, optional
        The hourly funding rate in force; None where the source has none.
    day : int
        Returns of a trading day.
    notes : tuple of str
        What was filled or left out.

    Raises
    ------
    ValueError
        If the lengths differ, a price is not positive, or the marks of a session are not one interval apart.

    """

    interval_s: int
    ts_ns: Ints
    price: Floats
    session: Ints
    imbalance: Floats | None = None
    funding: Floats | None = None
    day: int = 1440
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        columns: list[NDArray[Any]] = [self.price, self.session]
        columns += [column for column in (self.imbalance, self.funding) if column is not None]
        if any(len(column) != len(self.ts_ns) for column in columns):
            raise ValueError("the columns of a series differ in length")
        if len(self.ts_ns) and not (np.isfinite(self.price).all() and (self.price > 0).all()):
            raise ValueError("a price of the series is not a positive number")
        inside = np.diff(self.session) == 0
        if (np.diff(self.ts_ns)[inside] != self.interval_s * NS).any():
            raise ValueError(f"marks of one session are not {self.interval_s} s apart")

    def __len__(self) -> int:
        return len(self.ts_ns)

    def returns(self) -> Floats:
        """Return the log return that ends at each mark; NaN at the first mark of a session."""
        out = np.full(len(self), np.nan)
        out[1:] = np.diff(np.log(self.price))
        out[self.firsts()] = np.nan
        return out

    def firsts(self) -> Ints:
        """Return where the sessions begin."""
        if len(self) == 0:
            return np.zeros(0, dtype=np.int64)
        return np.concatenate(([0], np.flatnonzero(np.diff(self.session)) + 1))

    def places(self) -> Ints:
        """Return how many marks of its session come before each mark."""
        begins = np.zeros(len(self), dtype=np.int64)
        begins[self.firsts()] = self.firsts()
        np.maximum.accumulate(begins, out=begins)
        places: Ints = np.arange(len(self)) - begins
        return places

    def before(self, ts_ns: int) -> "MarkSeries":
        """Return the marks before a time."""
        stop = int(np.searchsorted(self.ts_ns, ts_ns))
        return MarkSeries(
            interval_s=self.interval_s,
            ts_ns=self.ts_ns[:stop],
            price=self.price[:stop],
            session=self.session[:stop],
            imbalance=None if self.imbalance is None else self.imbalance[:stop],
            funding=None if self.funding is None else self.funding[:stop],
            day=self.day,
            notes=self.notes,
        )

    def digest(self) -> str:
        """Return a SHA-256 of the marks."""
        parts: list[NDArray[Any]] = [self.ts_ns, self.price, self.session]
        parts += [column for column in (self.imbalance, self.funding) if column is not None]
        sha = hashlib.sha256(str(self.interval_s).encode())
        for part in parts:
            sha.update(np.ascontiguousarray(part).tobytes())
        return sha.hexdigest()


def series_from_bars(
    *,
    opens_ns: Ints,
    open_price: Floats,
    close_price: Floats,
    sessions: tuple[tuple[int, int], ...],
    interval_s: int,
    day: int,
    funding: tuple[Ints, Floats] | None = None,
) -> MarkSeries:
    """
    Return the marks of bars: the open of each session's first bar, then every close on the grid.

    A bar that is missing inside a session repeats the last close (nothing was traded), and a note counts them. ``funding`` is
    (times, hourly rates); a mark carries the last rate paid at or before it, and marks before the first one carry 0.

    Raises
    ------
    ValueError
        If a bar lies outside the sessions or off their grid.

    """
    step = interval_s * NS
    times: list[Ints] = []
    prices: list[Floats] = []
    numbers: list[Ints] = []
    filled = used = 0
    for number, (start, end) in enumerate(sessions):
        low, high = np.searchsorted(opens_ns, (start, end))
        if low == high:
            continue
        inside = opens_ns[low:high]
        begin = int(inside[0])
        offsets = inside - begin
        if (offsets % step).any():
            raise ValueError(f"a bar of the session from {start} is off the grid of {interval_s} s")
        slots = offsets // step
        count = int(slots[-1]) + 1
        closes = np.full(count, np.nan)
        closes[slots] = close_price[low:high]
        last = np.maximum.accumulate(np.where(np.isnan(closes), 0, np.arange(count)))
        filled += count - len(slots)
        used += len(inside)
        times.append(begin + step * np.arange(count + 1, dtype=np.int64))
        prices.append(np.concatenate(([open_price[low]], closes[last])))
        numbers.append(np.full(count + 1, number, dtype=np.int64))
    if used != len(opens_ns):
        raise ValueError(f"{len(opens_ns) - used} bars lie outside the sessions")
    ts_ns = np.concatenate(times) if times else np.zeros(0, dtype=np.int64)
    return MarkSeries(
        interval_s=interval_s,
        ts_ns=ts_ns,
        price=np.concatenate(prices) if prices else np.zeros(0),
        session=np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64),
        funding=None if funding is None else _rates_at(ts_ns, *funding),
        day=day,
        notes=(f"{filled} missing bars repeat the last close",) if filled else (),
    )


def _rates_at(ts_ns: Ints, paid_ns: Ints, rates: Floats) -> Floats:
    """Return the last rate paid at or before each time; 0 before the first."""
    at = np.searchsorted(paid_ns, ts_ns, side="right") - 1
    return np.where(at < 0, 0.0, rates[np.maximum(at, 0)])
