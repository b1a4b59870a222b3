"""
The stationary block bootstrap: rows of a path drawn in blocks of random length, so that what hangs together stays together.

Sources: Politis and Romano, "The Stationary Bootstrap" (1994, https://doi.org/10.1080/01621459.1994.10476870); the mean length by
Politis and White (2004, https://doi.org/10.1081/ETC-120028836) as corrected by Patton, Politis and White (2009).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of several paths, a path after the other: path, first row and number of rows of each."""

    path: Ints
    start: Ints
    length: Ints


def optimal_block_length(values: Floats) -> float:
    """
    Return the mean block length of the stationary bootstrap that serves a series' mean best, at least 1.

    Parameters
    ----------
    values : array
        The series, for example returns.

    Raises
    ------
    ValueError
        With fewer than 8 values.

    """
    count = len(values)
    if count < 8:
        raise ValueError(f"{count} values; allowed: at least 8")
    centered = values - values.mean()
    if float(np.abs(centered).max()) <= 0.0:
        return 1.0
    least = max(5, int(math.log10(count)))
    most = math.ceil(math.sqrt(count)) + least
    limit = math.ceil(min(3.0 * math.sqrt(count), count / 3.0))
    covariances = np.array(
        [float(centered[lag:] @ centered[: count - lag]) / count for lag in range(most + 1)]
    )
    threshold = 2.0 * math.sqrt(math.log10(count) / count)
    small = np.abs(covariances[1:] / covariances[0]) < threshold
    lag = most
    for first in range(len(small) - least + 1):
        # the first lag after which several in a row say nothing
        if small[first : first + least].all():
            lag = max(first, 1)
            break
    width = min(2 * lag, most)
    lags = np.arange(1, width + 1)
    # a flat top that falls in a straight line
    weights = np.where(lags / width <= 0.5, 1.0, 2.0 * (1.0 - lags / width))
    weighted = weights * covariances[1 : width + 1]
    spectrum = covariances[0] + 2.0 * float(weighted.sum())
    slope = 2.0 * float((lags * weighted).sum())
    if spectrum <= 0.0:
        return 1.0
    length = (slope**2 / spectrum**2) ** (1.0 / 3.0) * count ** (1.0 / 3.0)
    return float(min(max(length, 1.0), limit))


def draw_blocks(
    rng: np.random.Generator, *, rows: int, mean_length: float, paths: int, horizon: int
) -> Blocks:
    """
    Return the blocks of paths of ``horizon`` rows each, out of a series of ``rows``.

    A block begins at a random row, has a geometric length, and goes on at the first row where the series ends (as a block of its
    own: nothing held at the end is carried over to the beginning).

    Raises
    ------
    ValueError
        If a count is not positive, or the mean length is under 1.

    """
    if rows < 1 or paths < 1 or horizon < 1 or mean_length < 1:
        raise ValueError(
            f"rows {rows}, paths {paths}, horizon {horizon}, mean length {mean_length}; allowed: 1 or more each"
        )
    parts = [_path_blocks(rng, rows, mean_length, horizon) for _ in range(paths)]
    counts = np.array([len(starts) for starts, _ in parts])
    return Blocks(
        np.repeat(np.arange(paths, dtype=np.int64), counts),
        np.concatenate([starts for starts, _ in parts]),
        np.concatenate([lengths for _, lengths in parts]),
    )


def _path_blocks(rng: np.random.Generator, rows: int, mean_length: float, horizon: int) -> tuple[Ints, Ints]:
    """Return first rows and lengths of one path's blocks, cut at the series' end and at the path's."""
    starts, lengths = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    while int(lengths.sum()) < horizon:
        more = max(16, int(1.5 * horizon / mean_length) + 1)
        lengths = np.concatenate((lengths, rng.geometric(1.0 / mean_length, more).astype(np.int64)))
        starts = np.concatenate((starts, rng.integers(0, rows, more)))
    ends = np.cumsum(lengths)
    last = int(np.searchsorted(ends, horizon))
    starts, lengths = starts[: last + 1], lengths[: last + 1].copy()
    lengths[-1] -= int(ends[last]) - horizon
    over = np.flatnonzero(starts + lengths > rows)
    if not len(over):
        return starts, lengths
    pieces = list(zip(starts.tolist(), lengths.tolist(), strict=True))
    cut = [piece for start, length in pieces for piece in _cut(start, length, rows)]
    table = np.array(cut, dtype=np.int64)
    return table[:, 0], table[:, 1]


def _cut(start: int, length: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield a block cut where the series ends; what is left goes on at the first row."""
    while length > 0:
        piece = min(length, rows - start)
        yield start, piece
        length -= piece
        start = 0
