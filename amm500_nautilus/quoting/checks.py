"""What is refused at start: a ladder that comes out empty, or one so coarse that one fill breaks the inventory rules."""

from math import ceil
from math import floor

from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.ladder import LadderShape
from amm500_nautilus.quoting.ladder import shape_of
from amm500_nautilus.quoting.models import QuotingModel
from amm500_nautilus.quoting.skew import exposure_limit
from amm500_nautilus.quoting.types import MarketShape


# the minimum order value is met down to a price this much below fair value
MIN_NOTIONAL_ROOM = 0.98


def least_lots(min_notional: float, lot_value: float, far_bps: float = 0.0) -> int:
    """Return the lots whose value is the venue's least even at the farthest bid, ``far_bps`` below fair value."""
    return ceil(min_notional / (lot_value * max(0.01, min(MIN_NOTIONAL_ROOM, 1.0 - far_bps * 1e-4))))


class _Sizing:
    """Sizes of one side for a given equity, in lots, by the same rules as the engine's."""

    def __init__(
        self, config: QuotingConfig, shape: MarketShape, model: QuotingModel, leverage: float, price: float
    ) -> None:
        self._config = config
        self._model = model
        self._leverage = leverage
        self.lot_value = price * shape.lot
        self.min_lots = max(1, least_lots(shape.min_notional, self.lot_value))

    def limit(self, equity: float) -> float:
        return exposure_limit(
            equity, self._leverage, basis=self._config.basis, max_exposure=self._config.max_exposure
        )

    def ladder(self, equity: float, size_fraction: float | None = None) -> LadderShape:
        fraction = self._config.ladder.size_fraction if size_fraction is None else size_fraction
        total = floor(self.limit(equity) * fraction / self.lot_value)
        return shape_of(self._model.weights(), total, self.min_lots)

    def largest_delta(self, equity: float, size_fraction: float | None = None) -> float:
        lots = self.ladder(equity, size_fraction).lots
        return max(lots) * self.lot_value / self.limit(equity) if lots else 0.0

    def fits(self, equity: float, size_fraction: float | None = None) -> bool:
        lots = self.ladder(equity, size_fraction).lots
        rules = self._config.rebalance
        return (
            bool(lots)
            and self.largest_delta(equity, size_fraction) < rules.threshold
            and sum(lots) * self.lot_value < rules.one_sided * self.limit(equity)
        )


def _smallest_equity(sizing: _Sizing, start: float, size_fraction: float | None = None) -> float | None:
    """Return the least equity (to 1 %) whose ladder fits; None when none up to a million times more does."""
    low, high = 0.0, max(start, 1.0)
    for _ in range(20):
        if sizing.fits(high, size_fraction):
            break
        low, high = high, high * 2
    else:
        return None
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if sizing.fits(middle, size_fraction) else (middle, high)
    # sizes are whole lots, so the edge is ragged; walk up to a value that holds
    rounded = float(ceil(high))
    return rounded if sizing.fits(rounded, size_fraction) else high


def _fitting_size(sizing: _Sizing, equity: float, fraction: float) -> tuple[float, int] | None:
    """Return the largest ``size_fraction`` (at most 0.2) that fits this equity, and its level count."""
    candidates = sorted(
        {round(step * 0.0005, 4) for step in range(1, 401)}, key=lambda value: abs(value - fraction)
    )
    for candidate in candidates:
        if sizing.fits(equity, candidate):
            return candidate, len(sizing.ladder(equity, candidate).lots)
    return None


def _what_fits(sizing: _Sizing, equity: float, fraction: float) -> str:
    parts: list[str] = []
    least = _smallest_equity(sizing, equity)
    if least is not None:
        parts.append(f"equity of at least {least:,.0f}")
    size = _fitting_size(sizing, equity, fraction)
    if size is not None:
        levels = "1 level" if size[1] == 1 else f"{size[1]} levels"
        parts.append(f"size_fraction {size[0]:g} ({levels} a side after merging)")
    if not parts:
        smaller = min(fraction, 0.02)
        least = _smallest_equity(sizing, equity, smaller)
        if least is None:
            return "no equity or size fits: raise rebalance.threshold and rebalance.one_sided"
        parts.append(f"equity of at least {least:,.0f} with size_fraction {smaller:g}")
    return "what fits: " + ", or ".join(parts)


def refusals(
    config: QuotingConfig,
    shape: MarketShape,
    model: QuotingModel,
    *,
    equity: float,
    leverage: float,
    price: float,
) -> list[str]:
    """
    Return why a configuration must not start; empty when it may.

    The largest level, once filled, must move delta by less than the rebalance threshold, and a full side by less than the
    one-sided threshold: otherwise every fill would end in a taking order.
    """
    for name, value in (("equity", equity), ("leverage", leverage), ("price", price)):
        if not value > 0:
            return [f"{name} is {value!r}; it must be more than zero"]
    sizing = _Sizing(config, shape, model, leverage, price)
    fraction = config.ladder.size_fraction
    lots = sizing.ladder(equity).lots
    limit = sizing.limit(equity)
    out: list[str] = []
    hint = "" if sizing.fits(equity) else _what_fits(sizing, equity, fraction)
    if not lots:
        least = sizing.min_lots * sizing.lot_value
        out.append(
            f"the ladder is empty: a side of {limit * fraction:,.2f} ({fraction:g} of the exposure limit {limit:,.2f}) is "
            f"under the smallest order of {least:,.2f}; {hint}"
        )
        return out
    rules = config.rebalance
    largest = sizing.largest_delta(equity)
    if largest >= rules.threshold:
        out.append(
            f"the largest of {len(lots)} levels ({max(lots) * sizing.lot_value:,.2f}) moves delta by {largest:.2%}, which must "
            f"be under the rebalance threshold {rules.threshold:.2%}; {hint}"
        )
    full = sum(lots) * sizing.lot_value / limit
    if full >= rules.one_sided:
        out.append(
            f"a full side ({sum(lots) * sizing.lot_value:,.2f}) moves delta by {full:.2%}, which must be under the "
            f"one-sided threshold {rules.one_sided:.2%}; {hint}"
        )
    return out
