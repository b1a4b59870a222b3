"""What brings a window to the network's scale: its own volatility, and means and deviations learned from training data alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amm500_nautilus.forecast.features import LAST_RETURN
from amm500_nautilus.forecast.features import PRICE_RELATIVE
from amm500_nautilus.forecast.series import Floats
from amm500_nautilus.forecast.series import Ints


# a feature further out than this many deviations is taken as this far: nothing in training looked like it
CLIP = 5.0
# the forecast variance is between exp(-1.5) and exp(1.5) times the average it corrects
OUT_CLIP = 1.5
# (0.01 bp)^2, the smallest variance of one return
RETURN_FLOOR = 1e-12


@dataclass(frozen=True, slots=True)
class Scaler:
    """
    The scale of a network's inputs and output.

    The anchor of a window is the exponentially weighted mean of its squared returns: what EWMA would say from this window. Returns and
    relative prices are taken in its deviations, and the network's output is the logarithm of the forecast variance over the anchor's;
    so a market twice as volatile as in training is read the same, and a network that has learned nothing says what EWMA says.

    Parameters
    ----------
    names : sequence of str
        The features, ``log_return`` among them.
    decay : float
        Weight of a squared return against the one after it.
    steps : int
        Returns in a target.
    mean, std : array of float
        Of each feature over the training data's last rows.

    Raises
    ------
    ValueError
        If there is no return among the features, or the decay is not between 0 and 1.

    """

    names: tuple[str, ...]
    decay: float
    steps: int
    mean: Floats
    std: Floats

    def __post_init__(self) -> None:
        if LAST_RETURN not in self.names:
            raise ValueError(f"the feature {LAST_RETURN} is missing; a model cannot do without it")
        if not 0.0 < self.decay < 1.0:
            raise ValueError(f"`decay` was {self.decay}, must be between 0 and 1")

    @classmethod
    def fit(
        cls, windows: Floats, lengths: Ints, *, names: Sequence[str], decay: float, steps: int
    ) -> "Scaler":
        """Return the scaler of training windows, by the last row of each."""
        width = len(names)
        plain = cls(tuple(names), decay, steps, np.zeros(width), np.ones(width))
        own = plain._in_deviations(windows, plain.anchors(windows, lengths))
        last = own[np.arange(len(windows)), lengths - 1]
        std = last.std(axis=0)
        # a feature that never changed in training says nothing later on either
        return cls(tuple(names), decay, steps, last.mean(axis=0), np.where(std > 1e-12, std, np.inf))

    def anchors(self, windows: Floats, lengths: Ints) -> Floats:
        """Return the anchor of each window: a variance of one return."""
        ages = lengths[:, None] - 1 - np.arange(windows.shape[1])
        weights = np.where(ages >= 0, self.decay ** np.maximum(ages, 0), 0.0)
        squares = np.square(windows[:, :, self.names.index(LAST_RETURN)])
        anchors: Floats = (weights * squares).sum(axis=1) / weights.sum(axis=1)
        return np.maximum(anchors, RETURN_FLOOR)

    def windows(self, windows: Floats, lengths: Ints, anchors: Floats) -> Floats:
        """Return windows at the network's scale, zeros behind short ones."""
        scaled = np.clip((self._in_deviations(windows, anchors) - self.mean) / self.std, -CLIP, CLIP)
        scaled[np.arange(windows.shape[1]) >= lengths[:, None]] = 0.0
        return scaled

    def _in_deviations(self, windows: Floats, anchors: Floats) -> Floats:
        out = windows.copy()
        for name in (PRICE_RELATIVE, LAST_RETURN):
            if name in self.names:
                out[:, :, self.names.index(name)] /= np.sqrt(anchors)[:, None]
        return out

    def variance(self, output: Floats, anchors: Floats) -> Floats:
        """Return the variance over the horizon that outputs of the network stand for."""
        variance: Floats = anchors * self.steps * np.exp(np.clip(output, -OUT_CLIP, OUT_CLIP))
        return variance
