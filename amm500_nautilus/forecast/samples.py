"""Windows, targets and walk-forward folds: what may be learned when, and what must be predicted from it."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from amm500_nautilus.forecast.features import feature_rows
from amm500_nautilus.forecast.series import Floats
from amm500_nautilus.forecast.series import Ints
from amm500_nautilus.forecast.series import MarkSeries


@dataclass(frozen=True, slots=True)
class Samples:
    """
    Every mark that has a whole window behind it and a whole target ahead, inside its session.

    Parameters
    ----------
    series : MarkSeries
        The marks.
    names : tuple of str
        The features.
    rows : array of float
        The features of every mark of the series.
    realized : array of float
        The realized variance of the ``steps`` returns after each mark; NaN where they leave the session.
    index : array of int
        The marks that are samples.
    length : array of int
        Rows of each sample's window, at most ``sequence``.
    sequence, steps : int
        Longest window, and returns in a target.

    """

    series: MarkSeries
    names: tuple[str, ...]
    rows: Floats
    realized: Floats
    index: Ints
    length: Ints
    sequence: int
    steps: int

    def __len__(self) -> int:
        return len(self.index)

    def windows(self, chosen: Ints) -> Floats:
        """Return the windows of samples ``chosen`` (positions in ``index``), rows first and zeros behind a short one."""
        out = np.zeros((len(chosen), self.sequence, len(self.names)))
        lengths = self.length[chosen]
        offsets = np.arange(self.sequence)
        inside = offsets < lengths[:, None]
        source = self.index[chosen][:, None] - lengths[:, None] + 1 + offsets
        out[inside] = self.rows[source[inside]]
        return out


def realized_variance(series: MarkSeries, steps: int) -> Floats:
    """Return the sum of the squares of the next ``steps`` returns at each mark; NaN where they leave its session."""
    squares = np.square(np.nan_to_num(series.returns(), nan=0.0))
    out = np.full(len(series), np.nan)
    usable = len(series) - steps
    if usable <= 0:
        return out
    total = np.zeros(usable)
    for ahead in range(1, steps + 1):
        total += squares[ahead : ahead + usable]
    same = series.session[:usable] == series.session[steps:]
    out[:usable][same] = total[same]
    return out


def make_samples(
    series: MarkSeries, names: tuple[str, ...], *, sequence: int, warm_up: int, steps: int
) -> Samples:
    """
    Return the samples of a series.

    Parameters
    ----------
    series : MarkSeries
        The marks.
    names : tuple of str
        The features.
    sequence : int
        Longest window in rows.
    warm_up : int
        Rows a session must have had before its first sample, at most ``sequence``.
    steps : int
        Returns in a target.

    Raises
    ------
    ValueError
        If a length is not positive, or the warm-up is longer than the window.

    """
    if min(sequence, warm_up, steps) < 1 or warm_up > sequence:
        raise ValueError(
            f"`sequence` {sequence}, `warm_up` {warm_up} and `steps` {steps} must be positive, and warm_up at most sequence"
        )
    rows = feature_rows(series, names)
    realized = realized_variance(series, steps)
    places = series.places()
    index = np.flatnonzero((places >= warm_up) & ~np.isnan(realized))
    length = np.minimum(places[index], sequence)
    return Samples(series, names, rows, realized, index, length, sequence, steps)


@dataclass(frozen=True, slots=True)
class Fold:
    """
    One step of a walk-forward, as positions in the samples.

    Every target of ``fit`` ends at or before the first mark of ``validate`` less the embargo, and so do those of both before ``test``.
    """

    fit: Ints
    validate: Ints
    test: Ints


def _purged(samples: Samples, candidates: Ints, before_ns: int, embargo: int) -> Ints:
    """Return the candidates whose target is over ``embargo`` intervals before a time."""
    series = samples.series
    step_ns = series.interval_s * 1_000_000_000
    ends = series.ts_ns[samples.index[candidates] + samples.steps]
    kept: Ints = candidates[ends + embargo * step_ns <= before_ns]
    return kept


def walk_forward(
    samples: Samples, *, folds: int, first_train: float = 0.5, validate_share: float = 0.15, embargo: int = 0
) -> tuple[Fold, ...]:
    """
    Split the samples into an expanding walk-forward.

    The first ``first_train`` of the samples is only ever learned from; the rest is cut into ``folds`` test blocks, each predicted
    from what came before it. A training target that reaches past the block's first mark less ``embargo`` intervals is purged; the last
    ``validate_share`` of what is left decides when to stop, purged from the rest in the same way.

    Raises
    ------
    ValueError
        If a block would have nothing to learn from.

    """
    count = len(samples)
    edges = np.linspace(int(count * first_train), count, folds + 1).astype(np.int64)
    out = []
    for low, high in pairwise(edges.tolist()):
        test = np.arange(low, high)
        if len(test) == 0:
            raise ValueError(f"{count} samples are too few for {folds} folds")
        begin_ns = int(samples.series.ts_ns[samples.index[low]])
        known = _purged(samples, np.arange(low), begin_ns, embargo)
        cut = int(len(known) * (1.0 - validate_share))
        if cut < 1 or cut >= len(known):
            raise ValueError(f"{count} samples are too few for {folds} folds")
        validate = known[cut:]
        validate_ns = int(samples.series.ts_ns[samples.index[validate[0]]])
        fit = _purged(samples, known[:cut], validate_ns, embargo)
        if len(fit) == 0:
            raise ValueError(f"{count} samples are too few for {folds} folds and an embargo of {embargo}")
        out.append(Fold(fit, validate, test))
    return tuple(out)
