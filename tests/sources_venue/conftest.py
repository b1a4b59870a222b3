"""A loopback venue and a source that talks to it."""

import pytest

from amm500_catalog.sources.hyperliquid import HyperliquidSource
from amm500_catalog.sources.info_client import InfoClient
from amm500_catalog.sources.ratelimit import WeightBucket
from hyperliquid_loopback.server import LoopbackServer


@pytest.fixture
def venue():
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def source(venue):
    client = InfoClient(venue.url, bucket=WeightBucket(10**9))
    found = HyperliquidSource(client, now_ns=lambda: venue.market.end_ms * 1_000_000)
    yield found
    found.close()
