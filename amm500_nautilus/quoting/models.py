"""Quoting models under one interface: prices and sizes of both sides from the same inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from math import ceil
from typing import Any
from typing import Protocol

from amm500_nautilus.quoting.config import FixedGridConfig
from amm500_nautilus.quoting.config import LadderConfig
from amm500_nautilus.quoting.ladder import geometric_bps
from amm500_nautilus.quoting.ladder import level_weights
from amm500_nautilus.quoting.ladder import shape_of
from amm500_nautilus.quoting.ladder import side_ticks


@dataclass(slots=True)
class ModelInputs:
    """
    What every quoting model may look at.

    ``bid_limit`` and ``ask_limit`` are the last prices that do not cross; ``bid_multiple`` and ``ask_multiple`` the
    inventory skew of distances; ``total_lots`` one side's size; ``off_target_lots`` the signed inventory off its target;
    ``root_second`` the deviation of the log mid over one second.
    """

    fair_ticks: float
    bid_limit: int
    ask_limit: int
    min_bps: float
    max_bps: float
    total_lots: int
    min_lots: int
    bid_multiple: float = 1.0
    ask_multiple: float = 1.0
    level_share: float = 1.0
    off_target_lots: float = 0.0
    root_second: float = 0.0


@dataclass(slots=True)
class Quotes:
    """Prices in ticks and sizes in lots of both sides, best first; ``extras`` are figures to report."""

    bid_ticks: Sequence[int]
    bid_lots: Sequence[int]
    ask_ticks: Sequence[int]
    ask_lots: Sequence[int]
    extras: dict[str, float] = field(default_factory=dict)


class QuotingModel(Protocol):
    """
    A way of quoting.

    ``on_trade`` and ``advance`` feed models that learn; the others ignore them.
    """

    name: str

    def quote(self, inputs: ModelInputs) -> Quotes:
        """Return what ought to rest."""
        ...

    def max_levels(self) -> int:
        """Return the most levels a side."""
        ...

    def weights(self, level_share: float = 1.0) -> tuple[float, ...]:
        """Return the size shares of one side, nearest first."""
        ...

    def on_trade(self, ts_ns: int, side: int, distance_ticks: float) -> None:
        """Take a trade of others, with its aggressor and its distance from mid."""
        ...

    def advance(self, ts_ns: int) -> None:
        """Let time pass; cheap when nothing is due."""
        ...

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        ...

    def load(self, state: dict[str, Any]) -> None:
        """Take what ``save`` returned."""
        ...


class StaticModel:
    """A model that learns nothing from trades."""

    def on_trade(self, ts_ns: int, side: int, distance_ticks: float) -> None:
        """Ignore a trade."""

    def advance(self, ts_ns: int) -> None:
        """Ignore time."""

    def save(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Take nothing."""


class TieredModel(StaticModel):
    """Geometric distances, sizes by thirds, inventory skew of the distances (#23, #24)."""

    name = "tiered"

    def __init__(self, config: LadderConfig) -> None:
        self._config = config
        self._weights: dict[float, tuple[float, ...]] = {}

    def max_levels(self) -> int:
        """Return the configured levels."""
        return self._config.levels

    def weights(self, level_share: float = 1.0) -> tuple[float, ...]:
        """Return the size shares of the levels that a mode leaves."""
        cached = self._weights.get(level_share)
        if cached is None:
            levels = max(1, ceil(self._config.levels * level_share - 1e-9))
            cached = self._weights[level_share] = level_weights(levels, self._config)
        return cached

    def quote(self, inputs: ModelInputs) -> Quotes:
        """Return the ladder; both sides share sizes, and empty ones when the total is under the minimum."""
        shape = shape_of(self.weights(inputs.level_share), inputs.total_lots, inputs.min_lots)
        fair = inputs.fair_ticks
        tick_bps = fair * 1e-4
        bps = geometric_bps(inputs.min_bps, inputs.max_bps, shape.steps, shape.indices)
        bid = tick_bps * inputs.bid_multiple
        ask = tick_bps * inputs.ask_multiple
        return Quotes(
            side_ticks(1, fair, bps, limit_ticks=inputs.bid_limit, unit=bid),
            shape.lots,
            side_ticks(-1, fair, bps, limit_ticks=inputs.ask_limit, unit=ask),
            shape.lots,
        )


class FixedGridModel(StaticModel):
    """The earlier bot's grid: fixed spacing and equal sizes, deaf to volatility, book and inventory."""

    name = "fixed_grid"

    def __init__(self, config: FixedGridConfig) -> None:
        self._config = config
        self._weights = (1.0 / config.levels,) * config.levels

    def max_levels(self) -> int:
        """Return the configured levels."""
        return self._config.levels

    def weights(self, level_share: float = 1.0) -> tuple[float, ...]:  # noqa: ARG002 - the grid has no modes
        """Return equal shares."""
        return self._weights

    def quote(self, inputs: ModelInputs) -> Quotes:
        """Return the grid around fair value."""
        config = self._config
        shape = shape_of(self._weights, inputs.total_lots, inputs.min_lots)
        distances = [config.offset_ticks + i * config.spacing_ticks for i in shape.indices]
        fair = inputs.fair_ticks
        last = config.offset_ticks + (config.levels - 1) * config.spacing_ticks
        return Quotes(
            side_ticks(1, fair, distances, limit_ticks=inputs.bid_limit),
            shape.lots,
            side_ticks(-1, fair, distances, limit_ticks=inputs.ask_limit),
            shape.lots,
            {"min_bps": config.offset_ticks / fair * 1e4, "max_bps": last / fair * 1e4},
        )
