"""The data client with a venue that the test speaks for."""

import asyncio
from contextlib import asynccontextmanager

from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.data import HyperliquidDataClient
from hyperliquid_hip3.providers import HyperliquidInstrumentProvider
from tests.adapter.data_fakes import SP500
from tests.adapter.data_fakes import US500
from tests.adapter.data_fakes import FakeSocket
from tests.adapter.data_fakes import FakeVenueClient
from tests.adapter.data_scene import DataSide


class Scene(DataSide):
    """The data side with a client whose venue the test speaks for."""

    def __init__(self, **changes) -> None:
        super().__init__()
        self.venue = FakeVenueClient()
        self.provider = HyperliquidInstrumentProvider(self.venue)
        given = {"url": "http://127.0.0.1:1", "coins": (US500, SP500), "status_check_secs": 0.05, **changes}
        config = HyperliquidDataClientConfig(**given)
        self.provider.want(config.dex, config.coins)
        self.sockets: dict[str, FakeSocket] = {}
        client = HyperliquidDataClient(
            self.loop,
            client=self.venue,
            msgbus=self.msgbus,
            cache=self.cache,
            clock=self.clock,
            instrument_provider=self.provider,
            config=config,
            make_socket=self._make_socket,
        )
        self.register(client)

    def _make_socket(self, url, **callbacks):
        self.sockets[callbacks["name"]] = socket = FakeSocket(url, **callbacks)
        return socket

    @property
    def market(self) -> FakeSocket:
        return self.sockets["market"]

    @property
    def deep(self) -> FakeSocket:
        return self.sockets["depth"]


@asynccontextmanager
async def scene(**changes):
    made = Scene(**changes)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def play(story) -> None:
    """Run a test's story in a loop of its own."""
    asyncio.run(story())
