"""The clients of one node share one REST side and one provider, and another loop shares nothing with it."""

import asyncio
import gc
import weakref

import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.common.config import InstrumentProviderConfig
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.factories import LiveExecClientFactory
from nautilus_trader.model.identifiers import TraderId

from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.factories import HyperliquidLiveDataClientFactory
from hyperliquid_hip3.factories import HyperliquidLiveExecClientFactory
from hyperliquid_hip3.factories import shared_venue
from hyperliquid_hip3.instruments import instrument_id


URL = "http://127.0.0.1:1"
SP500 = instrument_id("xyz:SP500")


def make_data(loop, config=None, name="HYPERLIQUID"):
    clock = LiveClock()
    return HyperliquidLiveDataClientFactory.create(
        loop=loop,
        name=name,
        config=config or HyperliquidDataClientConfig(url=URL, coins=("km:US500",)),
        msgbus=MessageBus(trader_id=TraderId("T-1"), clock=clock),
        cache=Cache(),
        clock=clock,
    )


def test_the_factories_are_ones_that_a_node_accepts():
    assert issubclass(HyperliquidLiveDataClientFactory, LiveDataClientFactory)
    assert issubclass(HyperliquidLiveExecClientFactory, LiveExecClientFactory)


def test_the_data_client_bears_the_venues_name():
    async def story():
        client = make_data(asyncio.get_running_loop())
        assert client.id.value == "HYPERLIQUID"
        assert client.venue.value == "HYPERLIQUID"

    asyncio.run(story())


def test_a_client_of_another_name_is_refused():
    async def story():
        with pytest.raises(ValueError, match="`name` of the client was 'KM', must be 'HYPERLIQUID'"):
            make_data(asyncio.get_running_loop(), name="KM")

    asyncio.run(story())


def test_one_loop_and_address_share_the_rest_side_the_weights_and_the_instruments():
    async def story():
        loop = asyncio.get_running_loop()
        one = shared_venue(loop, URL, 5.0)
        assert shared_venue(loop, f"{URL}/", 9.0) is one
        assert shared_venue(loop, "http://127.0.0.1:2", 5.0) is not one
        data = HyperliquidDataClientConfig(url=URL, coins=("xyz:SP500",))
        execution = HyperliquidExecClientConfig(
            url=URL, user="0x" + "1a" * 20, state_dir="state", key_source="environment", coins=("km:US500",)
        )
        assert one.provider_for(data) is one.provider_for(execution)
        assert one.provider._coins == {"xyz:SP500", "km:US500"}

    asyncio.run(story())


def test_both_clients_of_a_node_are_made_with_the_same_venue_and_no_key_is_read_yet(tmp_path):
    async def story():
        loop = asyncio.get_running_loop()
        data = make_data(loop)
        clock = LiveClock()
        config = HyperliquidExecClientConfig(
            url=URL,
            user="0x" + "1a" * 20,
            state_dir=str(tmp_path),
            key_source="environment",
            key_variable="NOT_SET_ANYWHERE",
            coins=("km:US500",),
        )
        execution = HyperliquidLiveExecClientFactory.create(
            loop=loop,
            name="HYPERLIQUID",
            config=config,
            msgbus=MessageBus(trader_id=TraderId("T-1"), clock=clock),
            cache=Cache(),
            clock=clock,
        )
        assert execution.id.value == "HYPERLIQUID"
        assert execution._provider is data._provider
        assert execution._venue_client is data._client

    asyncio.run(story())


def test_each_client_keeps_its_own_time_for_a_request_and_shares_the_rest(tmp_path):
    async def story():
        # takes connections and answers none
        writers = []
        silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        shared = shared_venue(asyncio.get_running_loop(), url, 30.0)
        patient = shared.client_for(HyperliquidDataClientConfig(url=url, http_timeout_secs=30.0))
        config = HyperliquidExecClientConfig(
            url=url,
            user="0x" + "1a" * 20,
            state_dir=str(tmp_path),
            key_source="environment",
            http_timeout_secs=0.1,
        )
        hasty = shared.client_for(config)

        assert patient is shared.client
        assert hasty.weights is patient.weights
        assert hasty.clock is patient.clock
        told = []
        shared.client.on_action = lambda *what: told.append(what[:2])
        # in seconds what the configuration says, not the other client's half minute
        with pytest.raises(TransportError, match=r"within 0\.1 s"):
            await asyncio.wait_for(hasty.exchange({"action": {"type": "noop"}}), 20.0)
        assert told == [("noop", 1)]
        silent.close()
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        await silent.wait_closed()

    asyncio.run(story())


def test_another_loop_shares_nothing_and_a_loop_that_is_gone_keeps_nothing_alive():
    async def story():
        return shared_venue(asyncio.get_running_loop(), URL, 5.0)

    first = asyncio.run(story())
    second = asyncio.run(story())
    assert first is not second
    ghost = weakref.ref(first)
    del first
    gc.collect()
    assert ghost() is None


def test_a_node_that_names_instruments_loads_those_and_not_the_whole_dex():
    async def story():
        shared = shared_venue(asyncio.get_running_loop(), URL, 5.0)
        named = InstrumentProviderConfig(load_ids=frozenset([SP500]))
        provider = shared.provider_for(HyperliquidDataClientConfig(url=URL, instrument_provider=named))
        assert provider._whole_dexes == set()
        whole = shared.provider_for(HyperliquidDataClientConfig(url=URL, dex="km"))
        assert whole._whole_dexes == {"km"}

    asyncio.run(story())


def test_frames_are_recorded_only_where_a_folder_is_given(tmp_path):
    async def story():
        loop = asyncio.get_running_loop()
        plain = make_data(loop)
        recording = make_data(loop, HyperliquidDataClientConfig(url=URL, record_dir=str(tmp_path / "frames")))
        assert plain._make_recorder is None
        recorder = recording._make_recorder()
        recorder.start()
        recorder.write(b'{"channel":"pong"}', 5)
        await asyncio.to_thread(recorder.close)
        assert [path.parent for path in recorder.files] == [tmp_path / "frames"]

    asyncio.run(story())
