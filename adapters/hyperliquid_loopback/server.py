"""A venue that stands still: its history of candles, trades and funding, for those who only read."""

from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.flow import TimedFlow
from hyperliquid_loopback.market import Market
from hyperliquid_loopback.market import default_market
from hyperliquid_loopback.venue import LoopbackVenue


class LoopbackServer(LoopbackVenue):
    """
    Serve a market whose clock stands at the end of its history, on 127.0.0.1 until closed; nobody trades on it.

    Parameters
    ----------
    market : Market, optional
        What is served; by default a market made from seed 1.
    port : int, default 0
        The port; 0 takes a free one.

    """

    def __init__(self, market: Market | None = None, *, port: int = 0) -> None:
        served = default_market() if market is None else market
        config = VenueConfig(port=port, clock="manual", start_ms=served.end_ms, flow="none", limits=False)
        super().__init__(config, market=served, flow=TimedFlow())
