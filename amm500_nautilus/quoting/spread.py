"""The spread pipeline: a base by volatility band, then named multipliers, then limits."""

from dataclasses import dataclass

from amm500_nautilus.quoting.config import SpreadBand
from amm500_nautilus.quoting.config import SpreadConfig


@dataclass(slots=True)
class SpreadInputs:
    """
    What the pipeline looks at; factors made elsewhere (fading, losing fills, session, funding) come as they are.

    ``depth`` is the total of both sides in collateral units.
    """

    band: SpreadBand
    forecast: float = 1.0
    imbalance: float = 0.0
    depth: float = 0.0
    fading: float = 1.0
    losing_min: float = 1.0
    losing_max: float = 1.0
    risk: float = 1.0
    margin_ratio: float = 0.0
    session: float = 1.0
    funding: float = 1.0
    mode_floor_bps: float = 0.0


def band_index(
    bands: tuple[SpreadBand, ...], volatility: float, current: int | None, hysteresis: float
) -> int:
    """
    Return the row for an annualised volatility.

    A row is left downwards only once volatility is ``hysteresis`` under its lower edge: with 0.05 and an edge of 0.15,
    a market in the top band stays there until 0.1425.
    """
    index = 0
    while index < len(bands) - 1 and volatility >= bands[index].below:
        index += 1
    if current is None or index >= current:
        return index
    held = index
    while held < current and volatility >= bands[held].below * (1 - hysteresis):
        held += 1
    return held


class SpreadModel:
    """Turn a band and the state of the market into the first and last half-spread, in bps of fair value."""

    def __init__(self, config: SpreadConfig) -> None:
        self._config = config
        self._risk = {row.level: row.multiple for row in config.risk}
        fee_floor = 0.0 if config.inside_fees else config.maker_fee_bps
        self._floor = max(config.floor_bps, fee_floor)

    def risk_multiple(self, level: str) -> float:
        """Return the multiple of a risk level; ValueError for an unknown one."""
        if level not in self._risk:
            msg = f"risk level {level!r} has no row; it must be one of {sorted(self._risk)}"
            raise ValueError(msg)
        return self._risk[level]

    def half_spreads(self, inputs: SpreadInputs) -> tuple[float, float, dict[str, float]]:
        """
        Return first and last half-spread and every factor by name.

        ``min_bps`` before its limits is ``base_min_bps`` times all factors without a ``_max`` suffix; ``max_bps`` uses the
        ``_max`` variant where there is one.
        """
        config = self._config
        band = inputs.band
        forecast = inputs.forecast
        if forecast > config.forecast_cap:
            forecast = config.forecast_cap
        elif not forecast >= config.forecast_floor:
            # no number is not above it either, and tightens nothing past the floor
            forecast = config.forecast_floor
        wide = abs(inputs.imbalance) > config.imbalance_threshold
        imbalance = config.imbalance_min if wide else 1.0
        imbalance_max = config.imbalance_max if wide else 1.0
        share = inputs.depth / config.depth_reference
        if share > 1.0:
            share = 1.0
        depth = 1.0 - config.depth_tighten_min * share
        depth_max = 1.0 - config.depth_tighten_max * share
        margin = 1.0
        if inputs.margin_ratio > config.margin_threshold:
            margin += (inputs.margin_ratio - config.margin_threshold) * config.margin_slope
        both = forecast * inputs.fading * inputs.risk * margin * inputs.session * inputs.funding
        min_bps = band.min_bps * both * imbalance * depth * inputs.losing_min
        max_bps = band.max_bps * both * imbalance_max * depth_max * inputs.losing_max
        cap, floor = config.cap_bps, self._floor
        if inputs.mode_floor_bps > floor:
            floor = inputs.mode_floor_bps
        if min_bps < floor:
            min_bps = floor
        if min_bps > cap / config.min_ratio:
            min_bps = cap / config.min_ratio
        if max_bps < config.min_ratio * min_bps:
            max_bps = config.min_ratio * min_bps
        if max_bps > cap:
            max_bps = cap
        factors = {
            "forecast": forecast,
            "imbalance": imbalance,
            "imbalance_max": imbalance_max,
            "depth": depth,
            "depth_max": depth_max,
            "fading": inputs.fading,
            "losing_fills": inputs.losing_min,
            "losing_fills_max": inputs.losing_max,
            "risk_level": inputs.risk,
            "margin": margin,
            "session": inputs.session,
            "funding": inputs.funding,
            "floor_bps": floor,
            "base_min_bps": band.min_bps,
            "base_max_bps": band.max_bps,
            "min_bps": min_bps,
            "max_bps": max_bps,
        }
        return min_bps, max_bps, factors
