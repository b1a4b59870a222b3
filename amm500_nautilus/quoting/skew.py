"""Inventory: how far off target it is, and how that moves the two sides."""

from amm500_nautilus.quoting.config import FundingConfig
from amm500_nautilus.quoting.config import SkewConfig


def exposure_limit(equity: float, leverage: float, *, basis: str, max_exposure: float) -> float:
    """Return the value that delta is measured against, in collateral units; 0 without equity."""
    limit = equity * leverage if basis == "leverage" else equity
    if max_exposure > 0:
        limit = min(limit, max_exposure)
    return max(limit, 0.0)


def skew_multiples(delta: float, margin_ratio: float, config: SkewConfig) -> tuple[float, float]:
    """
    Return the multiples of bid and ask distances for a delta off target.

    Long: bids move away (``1 + away * u``), asks come nearer (``1 - toward * u``); short mirrored. At delta 0.02 and
    full_delta 0.05, u = 0.4: bids x1.8, asks x0.88. With a margin ratio of 0.85, u = 0.4 * (1 + 0.15 * 3) = 0.58.
    """
    size = abs(delta)
    if size < config.dead_zone:
        return 1.0, 1.0
    urgency = min(size / config.full_delta, 1.0)
    if margin_ratio > config.margin_threshold:
        urgency *= 1.0 + (margin_ratio - config.margin_threshold) * config.margin_slope
    urgency = min(urgency, config.max_urgency)
    away = max(1.0 + config.away * urgency, config.floor)
    toward = max(1.0 - config.toward * urgency, config.floor)
    return (away, toward) if delta > 0 else (toward, away)


def funding_target(hourly_rate: float, config: FundingConfig) -> float:
    """
    Return the inventory target as delta: towards the side that is paid.

    A positive rate is paid by longs, so the target is short; it reaches ``max_shift`` at twice the threshold.
    """
    excess = abs(hourly_rate) / config.threshold - 1.0
    if excess <= 0:
        return 0.0
    shift = config.max_shift * min(excess, 1.0)
    return -shift if hourly_rate > 0 else shift


def funding_factor(hourly_rate: float, config: FundingConfig) -> float:
    """Return the spread factor of a funding rate; 1 up to the threshold."""
    excess = abs(hourly_rate) / config.threshold - 1.0
    return min(1.0 + config.widen * excess, config.widen_cap) if excess > 0 else 1.0
