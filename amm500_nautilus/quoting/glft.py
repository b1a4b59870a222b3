"""The Gueant-Lehalle-Fernandez-Tapia model: closed-form quotes, with the intensity fitted from trades."""

from math import exp
from math import log
from math import log1p
from math import sqrt
from typing import Any

from amm500_nautilus.quoting.config import GlftConfig
from amm500_nautilus.quoting.ladder import shape_of
from amm500_nautilus.quoting.ladder import side_ticks
from amm500_nautilus.quoting.models import ModelInputs
from amm500_nautilus.quoting.models import Quotes


MAX_WEIGHT = 1e100


def closed_form(
    *, gamma: float, a: float, k: float, sigma_ticks: float, unit: float = 1.0
) -> tuple[float, float]:
    """
    Return half-spread in ticks and skew in ticks per unit of inventory (asymptotic quotes, exponential utility).

    With ``x = gamma * unit``: ``c1 = ln(1 + x / k) / x``, ``c2 = sqrt(gamma / (2 a unit k) * (1 + x / k) ** (k / x + 1))``;
    half-spread ``c1 + unit / 2 * c2 * sigma``, skew ``c2 * sigma``.

    Parameters
    ----------
    gamma : float
        Risk aversion, per tick.
    a, k : float
        Intensity ``a * exp(-k * d)`` of fills a second at ``d`` ticks from mid.
    sigma_ticks : float
        Deviation of mid over one second, in ticks.
    unit : float
        Inventory of one quote, in units.

    """
    x = gamma * unit
    c1 = log1p(x / k) / x
    c2 = sqrt(gamma / (2 * a * unit * k) * (1 + x / k) ** (k / x + 1))
    return c1 + unit / 2 * c2 * sigma_ticks, c2 * sigma_ticks


class Intensity:
    """
    Fit ``A exp(-k d)`` to how far from mid trades reach, with older trades fading.

    Prints of one time and aggressor are one taker order and count at their furthest. The count of trades at or beyond each
    half tick, over the faded time and over the two sides, is the rate at which an order resting there is reached; its log
    is fitted by least squares weighted by the count.
    """

    def __init__(self, config: GlftConfig) -> None:
        self._config = config
        self.a = config.initial_a
        self.k = config.initial_k
        self._counts = [0.0] * (2 * config.max_distance_ticks + 1)
        self._weight = 1.0
        self._start_ns = 0
        self._weight_ns = 0
        self._rate = log(2.0) / (config.half_life_secs * 1e9)
        self._next_fit_ns = 0
        self._open: tuple[int, int, float] | None = None

    def on_trade(self, ts_ns: int, side: int, distance_ticks: float) -> None:
        """Take one print, with its distance from the mid before it."""
        last = self._open
        if last is not None and last[0] == ts_ns and last[1] == side:
            if distance_ticks > last[2]:
                self._open = (ts_ns, side, distance_ticks)
            return
        if last is not None:
            self._count(last)
        self._open = (ts_ns, side, distance_ticks)

    def _count(self, trade: tuple[int, int, float]) -> None:
        ts_ns, _, distance = trade
        if self._start_ns == 0:
            self._start_ns = self._weight_ns = ts_ns
        # a new trade weighs more instead of every old one less
        self._weight *= exp(self._rate * max(0, ts_ns - self._weight_ns))
        self._weight_ns = max(self._weight_ns, ts_ns)
        if self._weight > MAX_WEIGHT:
            self._counts = [count / self._weight for count in self._counts]
            self._weight = 1.0
        index = int(2 * max(0.0, distance))
        self._counts[min(index, len(self._counts) - 1)] += self._weight

    def advance(self, ts_ns: int) -> None:
        """Fit again when it is time to."""
        if ts_ns < self._next_fit_ns:
            return
        self._next_fit_ns = ts_ns + int(self._config.refit_secs * 1e9)
        self.fit(ts_ns)

    def fit(self, ts_ns: int) -> bool:
        """Fit now; return whether there were enough trades and the rate falls with distance."""
        if self._start_ns == 0 or ts_ns <= self._start_ns:
            return False
        now_weight = self._weight * exp(self._rate * max(0, ts_ns - self._weight_ns))
        elapsed = (1 - exp(-self._rate * (ts_ns - self._start_ns))) / (self._rate * 1e9)
        reached = 0.0
        points: list[tuple[float, float, float]] = []
        for index in range(len(self._counts) - 1, 0, -1):
            reached += self._counts[index] / now_weight
            if reached >= 3.0:
                points.append((index / 2, log(reached / elapsed / 2), reached))
        if reached < self._config.min_trades or len(points) < 3:
            return False
        total = sum(w for _, _, w in points)
        mean_d = sum(d * w for d, _, w in points) / total
        mean_y = sum(y * w for _, y, w in points) / total
        spread = sum(w * (d - mean_d) ** 2 for d, _, w in points)
        slope = sum(w * (d - mean_d) * (y - mean_y) for d, y, w in points) / spread
        if slope >= 0:
            return False
        self.k = -slope
        self.a = exp(mean_y - slope * mean_d)
        return True

    def save(self) -> dict[str, Any]:
        """Return counts and fit as plain values."""
        return {
            "a": self.a,
            "k": self.k,
            "counts": [count / self._weight for count in self._counts],
            "start_ns": self._start_ns,
            "weight_ns": self._weight_ns,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take what ``save`` returned; counts of another ``max_distance_ticks`` are dropped."""
        self.a = float(state["a"])
        self.k = float(state["k"])
        counts = [float(count) for count in state["counts"]]
        if len(counts) == len(self._counts):
            self._counts = counts
            self._weight = 1.0
            self._start_ns = int(state["start_ns"])
            self._weight_ns = int(state["weight_ns"])


class GlftModel:
    """Quote the closed form: half-spread and skew from volatility, inventory and the fitted intensity."""

    name = "glft"

    def __init__(self, config: GlftConfig) -> None:
        self._config = config
        self.intensity = Intensity(config)
        self._weights = (1.0 / config.levels,) * config.levels

    def max_levels(self) -> int:
        """Return the configured levels."""
        return self._config.levels

    def weights(self, level_share: float = 1.0) -> tuple[float, ...]:  # noqa: ARG002 - the grid has no modes
        """Return equal shares."""
        return self._weights

    def on_trade(self, ts_ns: int, side: int, distance_ticks: float) -> None:
        """Feed the intensity."""
        self.intensity.on_trade(ts_ns, side, distance_ticks)

    def advance(self, ts_ns: int) -> None:
        """Refit the intensity when due."""
        self.intensity.advance(ts_ns)

    def quote(self, inputs: ModelInputs) -> Quotes:
        """
        Return a grid spaced by the half-spread around the reservation price.

        Inventory is measured in single quotes (one level's lots); the nearest half-spread stays inside the pipeline's limits,
        so that a calm market is not quoted inside fees.
        """
        config = self._config
        fair = inputs.fair_ticks
        shape = shape_of(self._weights, inputs.total_lots, inputs.min_lots)
        unit_lots = max(1.0, inputs.total_lots / max(1, len(shape.lots)))
        half, skew = closed_form(
            gamma=config.gamma, a=self.intensity.a, k=self.intensity.k, sigma_ticks=inputs.root_second * fair
        )
        limit = config.max_skew_bps * 1e-4 * fair
        unit = fair * 1e-4
        half = min(max(half, inputs.min_bps * unit), inputs.max_bps * unit)
        shift = config.skew_share * skew * inputs.off_target_lots / unit_lots
        center = fair - min(max(shift, -limit), limit)
        spacing = max(half, config.min_spacing_ticks)
        distances = [half + i * spacing for i in range(len(shape.lots))]
        last = half + (len(shape.lots) - 1) * spacing
        return Quotes(
            side_ticks(1, center, distances, limit_ticks=inputs.bid_limit),
            shape.lots,
            side_ticks(-1, center, distances, limit_ticks=inputs.ask_limit),
            shape.lots,
            {
                "min_bps": half / fair * 1e4,
                "max_bps": last / fair * 1e4,
                "glft_a": self.intensity.a,
                "glft_k": self.intensity.k,
                "glft_skew_ticks": shift,
            },
        )

    def save(self) -> dict[str, Any]:
        """Return the intensity's state."""
        return self.intensity.save()

    def load(self, state: dict[str, Any]) -> None:
        """Take what ``save`` returned."""
        self.intensity.load(state)
