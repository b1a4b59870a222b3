"""How a trading node makes the two clients; the clients of one node and venue share its REST side and instruments."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from weakref import WeakKeyDictionary

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.factories import LiveExecClientFactory

from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.data import HyperliquidDataClient
from hyperliquid_hip3.providers import HyperliquidInstrumentProvider
from hyperliquid_hip3.recorder import FrameRecorder
from hyperliquid_hip3.sockets import VenueSocket
from hyperliquid_hip3.weights import SocketLimits


if TYPE_CHECKING:
    from hyperliquid_hip3.signing import Signer


type SharedParts = dict[str, "SharedVenue"]


class SharedVenue:
    """
    What the clients of one loop share of one venue: its REST side with one weight bucket, its instruments, its socket limits.

    Parameters
    ----------
    url : str
        The venue's REST address.
    timeout_s : float
        The time one request of ``client`` may take, see :meth:`client_for`.

    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.client = VenueClient(url, timeout_s=timeout_s)
        self.limits = SocketLimits()
        self.provider: HyperliquidInstrumentProvider | None = None

    def client_for(self, config: HyperliquidDataClientConfig | HyperliquidExecClientConfig) -> VenueClient:
        """Return the REST side with this client's own time for a request."""
        return self.client.with_timeout(config.http_timeout_secs)

    def provider_for(
        self, config: HyperliquidDataClientConfig | HyperliquidExecClientConfig
    ) -> HyperliquidInstrumentProvider:
        """Return the one provider, with what this client wants added to what it loads."""
        wanted = config.instrument_provider
        if self.provider is None:
            self.provider = HyperliquidInstrumentProvider(self.client, wanted)
        if config.coins or not wanted.load_ids:
            self.provider.want(config.dex, config.coins)
        return self.provider


# by loop, and gone with it: a second node in one process has a loop and so a venue of its own
_SHARED: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, SharedParts]] = WeakKeyDictionary()


def shared_venue(loop: asyncio.AbstractEventLoop, url: str, timeout_s: float) -> SharedVenue:
    """
    Return what the clients of this loop share of the venue at this address.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The node's loop.
    url : str
        The venue's REST address; a slash at its end makes no difference.
    timeout_s : float
        The time one request may take, if this is the first to ask.

    """
    parts = _SHARED.setdefault(loop, {})
    key = url.rstrip("/").lower()
    if key not in parts:
        parts[key] = SharedVenue(url.rstrip("/"), timeout_s)
    return parts[key]


class HyperliquidLiveDataClientFactory(LiveDataClientFactory):
    """Make the data client; the key in the node's configuration must be the venue's name."""

    @staticmethod
    def create(
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: HyperliquidDataClientConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> HyperliquidDataClient:
        """
        Return a data client that is not connected yet.

        Raises
        ------
        ValueError
            If the name is not the venue's.

        """
        parts = _parts_of_client(loop, name, config, msgbus, cache, clock)
        return HyperliquidDataClient(loop, **parts, make_recorder=_recorder_of(config))


class HyperliquidLiveExecClientFactory(LiveExecClientFactory):
    """Make the execution client; the key in the node's configuration must be the venue's name."""

    @staticmethod
    def create(
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: HyperliquidExecClientConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> Any:
        """
        Return an execution client that is not connected yet; no key is read before it connects.

        Raises
        ------
        ValueError
            If the name is not the venue's.

        """
        return _execution_client(loop, name, config, msgbus, cache, clock, signer=None)


def signing_factory(signer: "Signer") -> type[HyperliquidLiveExecClientFactory]:
    """
    Return a factory whose clients sign with a key that was opened already, whatever their configuration says of one.

    Parameters
    ----------
    signer : Signer
        The key, for the venue that the configuration names.

    """

    class Factory(HyperliquidLiveExecClientFactory):
        """Make the execution client with this signer."""

        @staticmethod
        def create(
            loop: asyncio.AbstractEventLoop,
            name: str,
            config: HyperliquidExecClientConfig,
            msgbus: MessageBus,
            cache: Cache,
            clock: LiveClock,
        ) -> Any:
            """Return an execution client that is not connected yet."""
            return _execution_client(loop, name, config, msgbus, cache, clock, signer=signer)

    return Factory


def _execution_client(
    loop: asyncio.AbstractEventLoop,
    name: str,
    config: HyperliquidExecClientConfig,
    msgbus: MessageBus,
    cache: Cache,
    clock: LiveClock,
    *,
    signer: "Signer | None",
) -> Any:
    # a node that only reads needs nothing that signs
    from hyperliquid_hip3.execution import HyperliquidExecutionClient  # noqa: PLC0415

    parts = _parts_of_client(loop, name, config, msgbus, cache, clock)
    return HyperliquidExecutionClient(loop, **parts, signer=signer)


def _parts_of_client(
    loop: asyncio.AbstractEventLoop,
    name: str,
    config: HyperliquidDataClientConfig | HyperliquidExecClientConfig,
    msgbus: MessageBus,
    cache: Cache,
    clock: LiveClock,
) -> dict[str, Any]:
    """Return what both clients are made of: the node's parts, and the venue's that they share."""
    # the engine finds an account by venue only where the client's id is the venue's name
    if name != VENUE:
        raise ValueError(f"`name` of the client was {name!r}, must be {VENUE!r}")
    shared = shared_venue(loop, config.url, config.http_timeout_secs)
    return {
        "client": shared.client_for(config),
        "msgbus": msgbus,
        "cache": cache,
        "clock": clock,
        "instrument_provider": shared.provider_for(config),
        "config": config,
        "make_socket": partial(VenueSocket, limits=shared.limits),
        "name": name,
    }


def _recorder_of(config: HyperliquidDataClientConfig) -> Callable[[], FrameRecorder] | None:
    if config.record_dir is None:
        return None
    return partial(FrameRecorder, Path(config.record_dir), name="market")
