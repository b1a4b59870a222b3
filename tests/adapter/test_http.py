"""What the engine's HTTP client does when the venue misbehaves, and what we say of it."""

import asyncio
import socket
import time
from collections.abc import Awaitable
from collections.abc import Callable

import pytest

from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.http import HttpTransport
from hyperliquid_hip3.http import NotSentError
from hyperliquid_hip3.http import clean_reason
from hyperliquid_hip3.http import host_of
from tests.adapter.fake_server import FakeServer
from tests.adapter.fake_server import Request
from tests.adapter.fake_server import free_port
from tests.adapter.fake_server import run


SIGNATURE = "0x" + "ab12" * 16
BODY = b'{"signature":{"r":"' + SIGNATURE.encode() + b'"}}'


async def post(url: str, *, timeout_s: float = 2.0) -> int:
    transport = HttpTransport(url)
    return (await transport.post("/exchange", BODY, what="order", timeout_s=timeout_s)).status


def check_says_no_secret(error: BaseException, host: str) -> None:
    text = f"{error}{error!r}{error.__cause__}{error.__cause__!r}"
    assert SIGNATURE[2:] not in text
    assert host in str(error)
    assert str(error).startswith("order: ")


def test_an_answer_comes_with_its_status_and_how_long_it_took() -> None:
    async def answer(_request: Request) -> tuple[int, str]:
        return 422, "Failed to deserialize the JSON body into the target type"

    async def check() -> None:
        async with FakeServer(answer) as server:
            before_ns = time.time_ns()
            reply = await HttpTransport(server.url).post("/exchange", BODY, what="order", timeout_s=2.0)
            assert (reply.status, reply.body) == (
                422,
                b"Failed to deserialize the JSON body into the target type",
            )
            assert before_ns <= reply.sent_ns <= time.time_ns()
            assert 0 < reply.round_trip_ns < 2_000_000_000
            assert server.requests[0].body == BODY

    run(check())


def test_a_refused_connection_is_certainly_not_sent() -> None:
    async def check() -> None:
        host = f"127.0.0.1:{free_port()}"
        started = time.monotonic()
        with pytest.raises(NotSentError) as caught:
            await post(f"http://{host}")
        assert time.monotonic() - started < 2.0
        assert "refused" in str(caught.value).lower()
        check_says_no_secret(caught.value, host)

    run(check())


def test_an_unknown_host_is_certainly_not_sent() -> None:
    async def check() -> None:
        with pytest.raises(NotSentError) as caught:
            await post("http://venue.invalid", timeout_s=5.0)
        check_says_no_secret(caught.value, "venue.invalid")

    run(check())


def test_a_failed_tls_handshake_is_certainly_not_sent() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            with pytest.raises(NotSentError) as caught:
                await post(server.url.replace("http:", "https:"))
            assert server.requests == []
            check_says_no_secret(caught.value, server.host)

    run(check())


async def hang_up(request: Request) -> None:
    request.hang_up()


async def break_off(request: Request) -> None:
    await request.break_off()


@pytest.mark.parametrize("answer", [hang_up, break_off])
def test_a_connection_lost_after_sending_leaves_the_outcome_unknown(
    answer: Callable[[Request], Awaitable[None]],
) -> None:
    async def check() -> None:
        async with FakeServer(answer) as server:
            with pytest.raises(TransportError) as caught:
                await post(server.url)
            assert not isinstance(caught.value, NotSentError)
            assert len(server.requests) == 1
            check_says_no_secret(caught.value, server.host)

    run(check())


def test_a_connection_closed_while_idle_is_never_reused_for_a_second_sending_of_the_same_request() -> None:
    async def check() -> None:
        async with FakeServer() as server:

            async def answer(request: Request) -> tuple[int, str] | None:
                if len(server.requests) == 1:
                    return 200, "{}"
                request.hang_up()
                return None

            server.answer = answer
            transport = HttpTransport(server.url)
            await transport.post("/exchange", BODY, what="order", timeout_s=2.0)
            with pytest.raises(TransportError):
                await transport.post("/exchange", BODY, what="order", timeout_s=2.0)
            assert len(server.requests) == 2

    run(check())


def test_silence_ends_in_time_and_leaves_the_outcome_unknown() -> None:
    async def check() -> None:
        async with FakeServer() as server:

            async def answer(_request: Request) -> None:
                await server.forever()

            server.answer = answer
            started = time.monotonic()
            with pytest.raises(TransportError, match=r"did not answer within 0\.2 s") as caught:
                await post(server.url, timeout_s=0.2)
            assert 0.2 <= time.monotonic() - started < 2.0
            assert not isinstance(caught.value, NotSentError)
            check_says_no_secret(caught.value, server.host)

    run(check())


def test_a_host_that_accepts_no_connection_and_refuses_none_never_hangs() -> None:
    async def check() -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            port = deaf.getsockname()[1]
            # the backlog is full after these: further connections get no answer at all
            fillers = [socket.socket() for _ in range(4)]
            try:
                for filler in fillers:
                    filler.setblocking(False)
                    filler.connect_ex(("127.0.0.1", port))
                started = time.monotonic()
                with pytest.raises(TransportError, match="did not answer within"):
                    await post(f"http://127.0.0.1:{port}", timeout_s=0.3)
                assert time.monotonic() - started < 3.0
            finally:
                for filler in fillers:
                    filler.close()

    run(check())


def test_a_canceled_request_ends_at_once_and_the_next_one_works() -> None:
    async def check() -> None:
        async with FakeServer() as server:

            async def answer(request: Request) -> tuple[int, str] | None:
                if len(server.requests) == 1:
                    arrived.set()
                    await server.forever()
                return 200, "{}"

            arrived = asyncio.Event()
            server.answer = answer
            transport = HttpTransport(server.url)
            task = asyncio.create_task(transport.post("/info", BODY, what="meta", timeout_s=15.0))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await transport.post("/info", BODY, what="meta", timeout_s=5.0)).status == 200

    run(check())


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.hyperliquid.xyz", "api.hyperliquid.xyz"),
        ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
    ],
)
def test_a_host_is_named_with_its_port(url: str, host: str) -> None:
    assert host_of(url, schemes=("http", "https")) == host


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://host", "http://", "ws://host", "http://host:port"])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ValueError, match="`url`"):
        HttpTransport(url)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="must not hold") as caught:
        HttpTransport("https://me:hunter2@host")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tcp connect error: Connection refused (os error 111)", "tcp connect error: Connection refused"),
        (f"bad signature\n {SIGNATURE}", "bad signature (hex)"),
        (f"key {'f' * 63} and {'0' * 40}", f"key (hex) and {'0' * 40}"),
        ("error sending request for url (http://host/info?key=1): closed", "error sending request: closed"),
    ],
)
def test_a_reason_is_one_line_without_addresses_or_anything_like_a_key(text: str, reason: str) -> None:
    assert clean_reason(text) == reason
