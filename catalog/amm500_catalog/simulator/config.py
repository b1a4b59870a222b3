"""What the market simulator assumes: every number, with where it comes from."""

from __future__ import annotations

import math
from dataclasses import asdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from typing import Literal


Toxicity = Literal["low", "middle", "high"]

# size-weighted maker markout at the touch after 1 s and 5 s, over the mid's own deviation at that horizon,
# measured on 35 minutes of SOL, BTC and ETH (``amm500 calibrate`` prints them)
TOXICITY_TARGETS: dict[str, tuple[float, float]] = {
    "low": (-0.06, -0.01),
    "middle": (-0.38, -0.57),
    "high": (-0.49, -0.80),
}
# the depths below belong to a market of this volume a day (km:US500 in January 2026)
BASE_VOLUME = 3.4e6
# from km's 0.33M of ten-level depth at 3.4M a day to 4.0M, 9.0M and 6.2M at 2.5, 3.2 and 1.5 billion (BTC, ETH, SOL)
VOLUME_POWER = 0.45
# more than the busiest perpetual trades on most days. Each trade is made: a run over an open hour of it takes 11 s and
# 0.1 GB more, over one of ten times as much 71 s and 2 GB
MOST_DAILY_VOLUME = 1e10


@dataclass(frozen=True, slots=True)
class TwinConfig:
    """
    A liquid market on the same index that moves first.

    Parameters
    ----------
    instrument_id : str
        Its Nautilus id, for example ``xyz:SP500-USD-PERP.HYPERLIQUID``.
    lag_ms : float
        By how much the thin book trails it, in ms; not negative.
    liquidity : float
        Its depth over the thin market's.
    price_scale : float
        Its price over the thin market's (the S&P 500 is ten times km:US500).
    price_decimals, size_decimals : int
        Decimals of its prices and sizes.
    depth : bool
        Whether its ten levels are written beside its best bid and offer.

    """

    instrument_id: str = "xyz:SP500-USD-PERP.HYPERLIQUID"
    lag_ms: float = 500.0
    liquidity: float = 50.0
    price_scale: float = 10.0
    price_decimals: int = 1
    size_decimals: int = 3
    depth: bool = False

    def __post_init__(self) -> None:
        _require(self.lag_ms >= 0, "twin.lag_ms", self.lag_ms, "at least 0")
        _require(self.liquidity > 0, "twin.liquidity", self.liquidity, "above 0")
        _require(self.price_scale > 0, "twin.price_scale", self.price_scale, "above 0")


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """
    Parameters of the market simulator; the defaults are fitted to km:US500 and to the BTC, ETH and SOL recordings.

    Parameters
    ----------
    toxicity : {'low', 'middle', 'high'}
        How informed the takers are: the markouts of SOL, BTC and ETH.
    depth_interval_s : float
        Mean seconds between books; a divisor of 1 s.
    book_jitter : float
        How far into its interval a book may come, as a share of it, drawn evenly: on a fixed grid, which the strategy's clock shares,
        nothing would move while an order is on its way.
    daily_volume : float
        The pace of trading where the bars carry no volume: notional in a whole day of 24 hours, in collateral units. An open
        hour trades 1/24 of it. At most ``MOST_DAILY_VOLUME``.
    use_bar_volume : bool
        Whether the bars' volume (in contracts) sets a day's volume where it is positive.
    funding_rate_hourly : float
        The funding rate an hour, where no funding history is given.
    trend_s : float
        The time constant of momentum, in seconds.
    trend_share : float
        The share of variance that moves with momentum.
    roughness : float
        A factor on the deviation between a bar's open, high, low and close.
    touch_slack_ticks : float
        How far the efficient price may leave the middle before the touch follows.
    spread_shares : tuple of float
        Shares of time at 1, 2, 3 ... ticks.
    bid_depth, ask_depth : float
        Median notional of the ten best levels.
    depth_deviation : float
        Deviation of the log of a side's common depth.
    level_weights : tuple of float
        Median notional of each level, relative to each other.
    level_deviations : tuple of float
        Deviation of the log size at each level.
    size_hold_s : float
        Mean time between changes of a level's size.
    trade_size_quantiles : tuple of (float, float)
        (probability, size over the median size of the best level), log-linear between; fitted to the first half of the ETH and
        SOL recordings.
    prints_per_taker : float
        Mean prints of one taker order.
    oracle_interval_s : float
        Seconds between oracle and mark prices.
    premium_deviation_bps : float
        Deviation of the book's premium over the oracle.
    liquidity : float, optional
        A factor on every depth. None follows the bars' volume: depth grows with the power ``VOLUME_POWER`` of a median day over
        ``BASE_VOLUME``; one where the bars carry no volume.
    price_decimals : int, optional
        Decimals of prices; by the venue's five-figure rule when None.
    twin : TwinConfig, optional
        A liquid twin written beside the market.

    """

    toxicity: Toxicity = "middle"
    depth_interval_s: float = 0.5
    book_jitter: float = 0.9
    daily_volume: float = 3.4e6
    use_bar_volume: bool = True
    funding_rate_hourly: float = 0.000005708
    trend_s: float = 2.0
    trend_share: float = 0.9
    roughness: float = 1.0
    touch_slack_ticks: float = 0.75
    spread_shares: tuple[float, ...] = (0.595, 0.149, 0.076, 0.067, 0.050, 0.029, 0.020, 0.014)
    bid_depth: float = 139_000.0
    ask_depth: float = 188_000.0
    depth_deviation: float = 0.25
    level_weights: tuple[float, ...] = (0.136, 0.026, 0.029, 0.045, 0.070, 0.095, 0.118, 0.143, 0.159, 0.180)
    level_deviations: tuple[float, ...] = (1.6, 1.6, 1.5, 1.3, 1.1, 0.9, 0.8, 0.7, 0.65, 0.6)
    size_hold_s: float = 6.0
    trade_size_quantiles: tuple[tuple[float, float], ...] = (
        (0.0, 0.00001), (0.05, 0.0000537), (0.10, 0.00011), (0.25, 0.000459), (0.5, 0.00273),
        (0.75, 0.0268), (0.9, 0.0838), (0.95, 0.1814), (0.99, 0.585), (0.999, 1.75), (1.0, 3.41),
    )  # fmt: skip
    prints_per_taker: float = 2.3
    oracle_interval_s: float = 3.0
    premium_deviation_bps: float = 0.5
    liquidity: float | None = None
    price_decimals: int | None = None
    twin: TwinConfig | None = None

    def __post_init__(self) -> None:
        _require(self.toxicity in TOXICITY_TARGETS, "toxicity", self.toxicity, "low, middle or high")
        steps = 1.0 / self.depth_interval_s if self.depth_interval_s > 0 else 0.0
        whole = steps >= 1 and math.isclose(steps, round(steps))
        _require(whole, "depth_interval_s", self.depth_interval_s, "1 s over a whole number")
        _require(0 <= self.book_jitter <= 0.9, "book_jitter", self.book_jitter, "0 to 0.9")
        volume = self.daily_volume
        _require(
            0 < volume <= MOST_DAILY_VOLUME,
            "daily_volume",
            volume,
            f"above 0, {MOST_DAILY_VOLUME:,.0f} at most",
        )
        for name in ("trend_s", "roughness", "bid_depth", "ask_depth", "size_hold_s"):
            _require(0 < getattr(self, name) < math.inf, name, getattr(self, name), "above 0")
        _require(
            0 < self.oracle_interval_s < math.inf, "oracle_interval_s", self.oracle_interval_s, "above 0"
        )
        for name in ("depth_deviation", "premium_deviation_bps"):
            _require(0 <= getattr(self, name) < math.inf, name, getattr(self, name), "at least 0")
        rate = self.funding_rate_hourly
        _require(-0.04 <= rate <= 0.04, "funding_rate_hourly", rate, "-0.04 to 0.04")
        _require(0 <= self.trend_share <= 1, "trend_share", self.trend_share, "0 to 1")
        _require(self.touch_slack_ticks >= 0.5, "touch_slack_ticks", self.touch_slack_ticks, "at least 0.5")
        _require(self.prints_per_taker >= 1, "prints_per_taker", self.prints_per_taker, "at least 1")
        _require(len(self.level_weights) == 10, "level_weights", len(self.level_weights), "ten levels")
        _require(
            len(self.level_deviations) == 10, "level_deviations", len(self.level_deviations), "ten levels"
        )
        _require(
            self.liquidity is None or self.liquidity > 0, "liquidity", self.liquidity, "above 0, or null"
        )
        self._require_shapes()

    def _require_shapes(self) -> None:
        """Refuse weights, deviations, shares and quantiles that are no such thing."""
        for name in ("level_weights", "level_deviations", "spread_shares"):
            values = getattr(self, name)
            _require(all(0 <= item < math.inf for item in values), name, values, "numbers of at least 0")
        _require(sum(self.level_weights) > 0, "level_weights", self.level_weights, "above 0 in all")
        steps = self.trade_size_quantiles
        ordered = all(low[0] < high[0] and low[1] <= high[1] for low, high in pairwise(steps))
        ends = bool(steps) and steps[0][0] == 0 and steps[-1][0] == 1 and steps[0][1] > 0
        _require(
            ordered and ends and steps[-1][1] < math.inf,
            "trade_size_quantiles",
            steps,
            "(probability, size) pairs that rise from probability 0 to 1, sizes above 0",
        )
        shares = sum(self.spread_shares)
        _require(math.isclose(shares, 1.0, abs_tol=1e-6), "spread_shares", shares, "shares that sum to 1")

    def params(self) -> dict[str, Any]:
        """Return every parameter as plain values, for the label beside the data."""
        return asdict(self)


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise ValueError(f"`{name}` was {value}, must be {allowed}")
