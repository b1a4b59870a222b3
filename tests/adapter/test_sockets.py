"""A socket that stays up, against a venue that hangs up, falls silent and refuses."""

import asyncio
import json
import socket
import threading
import time
from typing import Any
from typing import Self

import pytest

from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.sockets import VenueSocket
from hyperliquid_hip3.weights import SocketLimits
from tests.adapter.fake_server import FakeServer
from tests.adapter.fake_server import eventually
from tests.adapter.fake_server import free_port
from tests.adapter.fake_server import run


BBO = {"type": "bbo", "coin": "km:US500"}
TRADES = {"type": "trades", "coin": "km:US500"}
BAD = {"type": "bbo", "coin": "km:us500"}
FILLS = {"type": "userFills", "user": "0xABCDEF0000000000000000000000000000000001"}


class Client:
    """A socket with everything that it reported, and on which thread."""

    def __init__(self, url: str, **options: Any) -> None:
        self.frames: list[tuple[bytes, int]] = []
        self.events: list[tuple[str, object]] = []
        self.refused: list[tuple[dict[str, Any], str]] = []
        self.threads: set[threading.Thread] = set()
        chosen = {"first_backoff_s": 0.01, "max_backoff_s": 0.05} | options
        self.socket = VenueSocket(
            url,
            loop=asyncio.get_running_loop(),
            on_frame=self._frame,
            on_up=lambda is_reconnect: self._event("up", is_reconnect),
            on_down=lambda reason: self._event("down", reason),
            on_refused=self._refuse,
            name="market",
            **chosen,
        )

    @property
    def ups(self) -> list[object]:
        return [value for kind, value in self.events if kind == "up"]

    @property
    def downs(self) -> list[object]:
        return [value for kind, value in self.events if kind == "down"]

    def channels(self) -> list[str]:
        return [json.loads(raw)["channel"] for raw, _ in self.frames]

    async def __aenter__(self) -> Self:
        await self.socket.connect()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.socket.close()

    def _frame(self, raw: bytes, received_ns: int) -> None:
        self.threads.add(threading.current_thread())
        self.frames.append((raw, received_ns))

    def _event(self, kind: str, value: object) -> None:
        self.threads.add(threading.current_thread())
        self.events.append((kind, value))

    def _refuse(self, wire: dict[str, Any], why: str) -> None:
        self.threads.add(threading.current_thread())
        self.refused.append((wire, why))


def test_frames_arrive_as_sent_with_their_receive_time_on_the_loop_thread() -> None:
    async def check() -> None:
        async with FakeServer() as server, Client(server.ws_url) as client:
            before_ns = time.time_ns()
            text = '{"channel":"bbo","data":{"coin":"km:US500","px":"690.10"}}'
            await server.last.send_text(text)
            await eventually(lambda: client.frames, "the frame")
            raw, received_ns = client.frames[0]
            assert raw == text.encode()
            assert type(raw) is bytes
            assert before_ns <= received_ns <= time.time_ns()
            server.last.abort()
            await eventually(lambda: client.ups == [False, True], "the reconnect")
            assert client.threads == {threading.main_thread()}

    run(check())


def test_the_socket_is_up_when_its_subscriptions_are_acknowledged() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            client = Client(server.ws_url)
            client.socket.subscribe(BBO)
            client.socket.subscribe(FILLS)
            async with client:
                await eventually(lambda: client.ups == [False], "up")
                assert client.socket.is_up
                assert client.channels() == ["subscriptionResponse", "subscriptionResponse"]
                assert server.last.subscribed == [BBO, FILLS]
                assert client.socket.subscriptions == (BBO, FILLS)
                assert client.socket.unacknowledged == ()

    run(check())


def test_a_socket_without_acknowledgements_is_up_after_a_while_and_says_what_is_missing() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            server.acknowledges = False
            client = Client(server.ws_url, ack_timeout_s=0.2)
            client.socket.subscribe(BBO)
            started = time.monotonic()
            async with client:
                await eventually(lambda: client.ups == [False], "up")
                assert time.monotonic() - started >= 0.2
                await eventually(lambda: client.socket.unacknowledged == (BBO,), "the missing one")

    run(check())


def test_a_lost_connection_comes_back_with_its_subscriptions() -> None:
    async def check() -> None:
        async with FakeServer() as server, Client(server.ws_url) as client:
            client.socket.subscribe(BBO)
            client.socket.subscribe(TRADES)
            await eventually(lambda: len(server.last.subscribed) == 2, "the subscriptions")
            # the server has heard of them before the client has heard so
            await eventually(lambda: len(client.ups) == 1, "the first connection")
            for lost in range(1, 4):
                server.last.abort()
                await eventually(lambda n=lost: len(client.ups) == n + 1, "the reconnect")
                assert server.last.subscribed == [BBO, TRADES]
                assert server.open_connections == 1
            assert client.events == [("up", False)] + 3 * [
                ("down", "the venue closed the connection"),
                ("up", True),
            ]

    run(check())


def test_what_is_given_up_does_not_come_back() -> None:
    async def check() -> None:
        async with FakeServer() as server, Client(server.ws_url) as client:
            client.socket.subscribe(BBO)
            client.socket.subscribe(TRADES)
            await eventually(lambda: len(server.last.subscribed) == 2, "the subscriptions")
            client.socket.unsubscribe(BBO)
            await eventually(lambda: server.last.received[-1]["method"] == "unsubscribe", "the farewell")
            await eventually(lambda: len(client.ups) == 1, "the first connection")
            server.last.abort()
            await eventually(lambda: len(client.ups) == 2, "the reconnect")
            assert server.last.subscribed == [TRADES]

    run(check())


def test_subscriptions_of_the_time_without_a_connection_are_sent_when_it_is_back() -> None:
    async def check() -> None:
        async with FakeServer() as server, Client(server.ws_url, first_backoff_s=0.2) as client:
            await eventually(lambda: client.ups, "up")
            server.last.abort()
            await eventually(lambda: client.downs, "down")
            client.socket.subscribe(TRADES)
            assert not client.socket.is_connected
            await eventually(lambda: len(client.ups) == 2, "the reconnect")
            assert server.last.subscribed == [TRADES]

    run(check())


def test_pings_keep_a_quiet_connection_open() -> None:
    async def check() -> None:
        async with (
            FakeServer() as server,
            Client(server.ws_url, ping_every_s=0.05, silent_after_s=1.0) as client,
        ):
            await eventually(lambda: client.channels().count("pong") >= 5, "the pongs")
            assert len(server.connections) == 1
            assert client.downs == []
            assert client.socket.silent_s < 1.0

    run(check())


def test_a_silent_connection_is_given_up_and_replaced() -> None:
    async def check() -> None:
        async with (
            FakeServer() as server,
            Client(server.ws_url, ping_every_s=0.05, silent_after_s=0.3) as client,
        ):
            await eventually(lambda: client.ups == [False], "up")
            server.is_mute = True
            server.acknowledges = False
            client.socket.subscribe(BBO)
            await eventually(lambda: client.downs == ["nothing was received for 0.3 s"], "down")
            # silence accuses no subscription: it is sent at once on the next connection, without a sign of life before
            await eventually(
                lambda: any(later.subscribed == [BBO] for later in server.connections[1:]), "the subscription"
            )
            server.is_mute = False
            server.acknowledges = True
            await eventually(lambda: len(client.ups) == 2, "the reconnect")
            await eventually(lambda: server.open_connections == 1, "the old connection closed")
            assert client.refused == []

    run(check())


def test_a_bad_coin_is_reported_and_dropped_and_the_rest_goes_on() -> None:
    async def check() -> None:
        async with FakeServer() as server, Client(server.ws_url) as client:
            server.bad_coins = {"km:us500"}
            client.socket.subscribe(BBO)
            await eventually(lambda: client.channels(), "the acknowledgement")
            client.socket.subscribe(BAD)
            await eventually(lambda: client.refused, "the report")
            assert client.refused == [(BAD, "the venue closed the connection on it twice")]
            await eventually(lambda: client.socket.is_up, "up again")
            assert client.socket.subscriptions == (BBO,)
            # twice it was tried, and not a third time
            assert [connection.subscribed.count(BAD) for connection in server.connections] == [1, 1, 0]
            assert server.last.subscribed == [BBO]

    run(check())


def test_a_bad_coin_among_many_new_ones_takes_none_of_them_with_it() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            server.bad_coins = {"km:us500"}
            client = Client(server.ws_url)
            good = [{"type": "bbo", "coin": f"km:C{i}"} for i in range(8)]
            for wire in [*good[:4], BAD, *good[4:]]:
                client.socket.subscribe(wire)
            async with client:
                await eventually(lambda: client.socket.is_up, "up")
                assert client.refused == [(BAD, "the venue closed the connection on it twice")]
                assert list(client.socket.subscriptions) == good
                assert sorted(wire["coin"] for wire in server.last.subscribed) == [
                    f"km:C{i}" for i in range(8)
                ]
                assert client.socket.unacknowledged == ()

    run(check())


def test_a_network_that_fails_while_subscribing_accuses_nobody() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            client = Client(server.ws_url)
            client.socket.subscribe(BBO)
            server.aborts_new = 6
            async with client:
                await eventually(lambda: client.socket.is_up, "up")
                assert client.refused == []
                assert client.socket.subscriptions == (BBO,)
                assert server.last.subscribed == [BBO]

    run(check())


def test_a_subscription_the_venue_calls_invalid_is_reported_and_the_connection_kept() -> None:
    async def check() -> None:
        async with FakeServer() as server, Client(server.ws_url) as client:
            server.invalid_types = {"nonsense"}
            client.socket.subscribe({"type": "nonsense"})
            await eventually(lambda: client.refused, "the report")
            assert client.refused == [({"type": "nonsense"}, "the venue calls it invalid")]
            assert client.socket.subscriptions == ()
            assert len(server.connections) == 1

    run(check())


def test_a_venue_that_refuses_connections_is_a_clear_error_at_once() -> None:
    async def check() -> None:
        port = free_port()
        client = Client(f"ws://127.0.0.1:{port}/ws")
        started = time.monotonic()
        with pytest.raises(
            TransportError, match=f"socket market: 127.0.0.1:{port} cannot be reached .*refused"
        ):
            await client.socket.connect()
        assert time.monotonic() - started < 3.0
        assert client.events == []

    run(check())


def test_a_venue_that_accepts_and_says_nothing_is_a_clear_error_in_time() -> None:
    async def check() -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            client = Client(f"ws://127.0.0.1:{deaf.getsockname()[1]}/ws", connect_timeout_s=0.2)
            started = time.monotonic()
            with pytest.raises(TransportError, match=r"no answer within 0\.2 s"):
                await client.socket.connect()
            assert time.monotonic() - started < 3.0

    run(check())


def test_an_answer_that_is_no_websocket_is_a_clear_error() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            client = Client(server.ws_url.replace("/ws", "/other"))
            with pytest.raises(TransportError, match="cannot be reached"):
                await client.socket.connect()

    run(check())


def test_a_venue_that_is_away_for_a_while_is_found_again() -> None:
    async def check() -> None:
        first = await FakeServer().start()
        client = Client(first.ws_url)
        client.socket.subscribe(BBO)
        async with client:
            await eventually(lambda: client.ups == [False], "up")
            port = int(first.host.rsplit(":", 1)[1])
            await first.stop()
            await eventually(lambda: client.downs, "down")
            second = await FakeServer().start(port)
            try:
                await eventually(lambda: client.ups == [False, True], "the reconnect")
                assert second.last.subscribed == [BBO]
            finally:
                await second.stop()

    run(check())


def test_nothing_is_reported_after_closing_and_nothing_runs_on() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            client = Client(server.ws_url)
            client.socket.subscribe(BBO)
            await client.socket.connect()
            await eventually(lambda: client.ups == [False], "up")
            before = len(client.frames)
            await server.last.send({"channel": "bbo", "data": {}})
            await client.socket.close()
            await eventually(lambda: server.open_connections == 0, "the end of the connection")
            assert client.events == [("up", False)]
            assert len(client.frames) - before <= 1
            assert not client.socket.is_connected
            assert [task for task in asyncio.all_tasks() if task.get_name() == "socket market"] == []
            await client.socket.close()

    run(check())


def test_a_closed_socket_can_be_connected_again_with_what_it_remembers() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            client = Client(server.ws_url)
            client.socket.subscribe(BBO)
            for _ in range(2):
                async with client:
                    await eventually(lambda: client.socket.is_up, "up")
                    assert server.last.subscribed == [BBO]
            # each time from the start: neither is a reconnect
            assert client.events == [("up", False), ("up", False)]

    run(check())


def test_connecting_twice_is_refused() -> None:
    async def check() -> None:
        async with FakeServer() as server, Client(server.ws_url) as client:
            with pytest.raises(RuntimeError, match="connected already"):
                await client.socket.connect()

    run(check())


def test_a_canceled_connect_leaves_no_connection_behind() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            client = Client(server.ws_url)
            for turns in range(12):
                task = asyncio.create_task(client.socket.connect())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await client.socket.close()
            await eventually(lambda: server.open_connections == 0, "the end of every connection")
            assert not client.socket.is_connected

    run(check())


def test_closing_while_connecting_leaves_no_connection_behind() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            server.gate = asyncio.Event()
            client = Client(server.ws_url)
            connecting = asyncio.create_task(client.socket.connect())
            await eventually(lambda: server.handshakes == 1, "the handshake")
            await client.socket.close()
            server.gate.set()
            with pytest.raises(TransportError, match="closed while connecting"):
                await connecting
            await eventually(lambda: server.open_connections == 0, "the end of the connection")
            assert not client.socket.is_connected
            assert client.events == []

    run(check())


def test_an_exception_of_a_callback_goes_to_the_loop_and_the_socket_goes_on() -> None:
    async def check() -> None:
        caught: list[BaseException] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: caught.append(context["exception"]))

        def fail(*_args: object) -> None:
            raise ZeroDivisionError

        async with FakeServer() as server:
            market = VenueSocket(
                server.ws_url,
                loop=loop,
                on_frame=fail,
                on_up=fail,
                on_down=fail,
                name="market",
                first_backoff_s=0.01,
            )
            market.subscribe(BBO)
            await market.connect()
            await eventually(lambda: len(caught) >= 2, "the exceptions")
            server.last.abort()
            await eventually(lambda: len(server.connections) == 2 and market.is_up, "the reconnect")
            assert {type(error) for error in caught} == {ZeroDivisionError}
            await market.close()

    run(check())


def test_reconnects_and_messages_are_counted_against_the_address() -> None:
    async def check() -> None:
        class Counting(SocketLimits):
            connections = messages = 0

            async def spend_connection(self) -> None:
                self.connections += 1
                await super().spend_connection()

            async def spend_message(self) -> None:
                self.messages += 1
                await super().spend_message()

        limits = Counting()
        async with FakeServer() as server, Client(server.ws_url, limits=limits) as client:
            client.socket.subscribe(BBO)
            await eventually(lambda: client.channels(), "the acknowledgement")
            server.last.abort()
            await eventually(lambda: len(client.ups) == 2, "the reconnect")
            assert (limits.connections, limits.messages) == (2, 2)
            assert sum(len(connection.received) for connection in server.connections) == 2

    run(check())


@pytest.mark.parametrize("url", ["http://host/ws", "nonsense", "wss://", "wss://me:secret@host/ws"])
def test_an_address_that_is_no_websocket_is_refused(url: str) -> None:
    async def check() -> None:
        with pytest.raises(ValueError, match="`url`"):
            Client(url)

    run(check())


def test_ten_thousand_frames_arrive_in_order() -> None:
    async def check() -> None:
        async with FakeServer() as server, Client(server.ws_url) as client:
            for number in range(10_000):
                await server.last.send_text(f'{{"channel":"bbo","data":{number}}}')
            await eventually(lambda: len(client.frames) == 10_000, "the frames")
            assert [json.loads(raw)["data"] for raw, _ in client.frames] == list(range(10_000))

    run(check())
