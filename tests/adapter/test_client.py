"""Queries and actions: what is retried, what never is, and what is known after a failure."""

import asyncio
import json
import time
from collections.abc import Awaitable
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.http import NotSentError
from hyperliquid_hip3.http import RateLimitedError
from hyperliquid_hip3.replies import Accepted
from hyperliquid_hip3.replies import OrderError
from hyperliquid_hip3.replies import Refused
from hyperliquid_hip3.replies import Resting
from hyperliquid_hip3.weights import WeightBucket
from tests.adapter.client_scene import USER
from tests.adapter.client_scene import always
from tests.adapter.client_scene import break_off
from tests.adapter.client_scene import client_of
from tests.adapter.client_scene import fill
from tests.adapter.client_scene import hang_up
from tests.adapter.fake_server import FakeServer
from tests.adapter.fake_server import Request
from tests.adapter.fake_server import free_port
from tests.adapter.fake_server import run


R = "0x" + "5a7e" * 16
S = "0x" + "17cd" * 16
ORDER = {"a": 150_000, "b": True, "p": "690.1", "s": "0.1", "r": False, "t": {"limit": {"tif": "Alo"}}}
RESTING = {
    "status": "ok",
    "response": {"type": "order", "data": {"statuses": [{"resting": {"oid": 7}}]}},
}


def request(count: int = 1, *, expires_after: int | None = None) -> dict[str, Any]:
    return {
        "action": {"type": "order", "orders": [ORDER] * count, "grouping": "na"},
        "nonce": 1_767_225_600_000,
        "signature": {"r": R, "s": S, "v": 27},
        "vaultAddress": None,
        "expiresAfter": expires_after,
    }


class Script:
    """Answers in turn; the last one stays."""

    def __init__(self, *answers: Callable[[Request], Awaitable[tuple[int, str] | None]]) -> None:
        self._answers = list(answers)

    async def __call__(self, asked: Request) -> tuple[int, str] | None:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return await answer(asked)


class SlowBucket(WeightBucket):
    """A bucket whose waiting is counted instead of waited."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waited: list[float] = []
        super().__init__(clock=lambda: self.now, sleep=self._skip)

    async def _skip(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds


MIDS = {"km:US500": "690.155"}


@pytest.mark.parametrize(
    "fault",
    [hang_up, break_off, always(502, "bad gateway"), always(500, "null"), always(503, "")],
    ids=["hung up", "broken off", "502", "500 null", "503"],
)
def test_a_query_is_tried_again_after_a_failure(fault: Any) -> None:
    async def check() -> None:
        async with FakeServer(Script(fault, fault, always(200, MIDS))) as server:
            assert await client_of(server).all_mids("km") == {"km:US500": Decimal("690.155")}
            assert [asked.json for asked in server.requests] == 3 * [{"type": "allMids", "dex": "km"}]

    run(check())


def test_a_query_that_fails_every_time_raises_with_host_request_and_reason() -> None:
    async def check() -> None:
        async with FakeServer(always(502, "bad gateway")) as server:
            with pytest.raises(TransportError) as caught:
                await client_of(server, retries=2).clearinghouse_state(USER, "km")
            assert len(server.requests) == 3
            assert (
                str(caught.value) == f"clearinghouseState of km: {server.host} failed (HTTP 502: bad gateway)"
            )

    run(check())


def test_an_unreachable_venue_is_a_clear_error_within_seconds() -> None:
    async def check() -> None:
        port = free_port()
        started = time.monotonic()
        with pytest.raises(NotSentError, match=f"perpDexs: no connection to 127.0.0.1:{port} .*refused"):
            await VenueClient(f"http://127.0.0.1:{port}").perp_dexs()
        assert time.monotonic() - started < 5.0

    run(check())


def test_a_silent_venue_is_a_clear_error_within_the_deadline() -> None:
    async def check() -> None:
        async with FakeServer() as server:

            async def answer(_request: Request) -> None:
                await server.forever()

            server.answer = answer
            started = time.monotonic()
            with pytest.raises(TransportError, match=r"spotMeta: .* did not answer within"):
                await client_of(server, timeout_s=0.2, deadline_s=0.5, retries=50).spot_meta()
            assert time.monotonic() - started < 3.0
            assert 2 <= len(server.requests) <= 4

    run(check())


def test_after_a_429_queries_wait_and_then_succeed() -> None:
    async def check() -> None:
        weights = SlowBucket()
        async with FakeServer(Script(always(429, "null"), always(429, "null"), always(200, MIDS))) as server:
            assert await client_of(server, weights=weights).all_mids("km")
            assert weights.waited == [pytest.approx(2.0), pytest.approx(4.0)]

    run(check())


def test_a_venue_that_says_429_every_time_is_a_rate_limit_error() -> None:
    async def check() -> None:
        async with FakeServer(always(429, "null")) as server:
            with pytest.raises(RateLimitedError, match="wants fewer requests"):
                await client_of(server, weights=SlowBucket()).all_mids("km")
            assert len(server.requests) == 4

    run(check())


@pytest.mark.parametrize("status", [400, 415, 422])
def test_a_query_the_venue_does_not_understand_is_not_repeated(status: int) -> None:
    async def check() -> None:
        async with FakeServer(always(status, "Failed to deserialize the JSON body")) as server:
            with pytest.raises(TransportError, match=f"HTTP {status}: Failed to deserialize"):
                await client_of(server).meta("km")
            assert len(server.requests) == 1

    run(check())


@pytest.mark.parametrize("body", ["{", "<html>", "", "null", "[]", '{"coin":"km:US500"}'])
def test_an_answer_that_is_none_raises_and_never_reads_as_empty(body: str) -> None:
    async def check() -> None:
        async with FakeServer(always(200, body)) as server:
            with pytest.raises(PayloadError):
                await client_of(server).l2_book("km:US500")

    run(check())


def test_null_says_that_the_venue_does_not_know_the_coin() -> None:
    async def check() -> None:
        async with FakeServer(always(200, "null")) as server:
            with pytest.raises(PayloadError, match="l2Book of km:NONE: the venue does not know it"):
                await client_of(server).l2_book("km:NONE")

    run(check())


def test_a_canceled_query_stops_retrying() -> None:
    async def check() -> None:
        arrived = asyncio.Event()

        async def answer(_request: Request) -> tuple[int, str]:
            arrived.set()
            return 502, ""

        async with FakeServer(answer) as server:
            task = asyncio.create_task(client_of(server, first_backoff_s=5.0).perp_dexs())
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(server.requests) == 1

    run(check())


def test_queries_weigh_what_the_venue_says_and_rows_are_added_when_they_are_here() -> None:
    async def check() -> None:
        fills = [fill(i) for i in range(45)]
        weights = WeightBucket()

        async def answer(asked: Request) -> tuple[int, str]:
            return 200, json.dumps({"userFills": fills, "allMids": MIDS}[asked.json["type"]])

        async with FakeServer(answer) as server:
            client = client_of(server, weights=weights)
            await client.all_mids("km")
            assert weights.level == 1_198
            assert len(await client.user_fills(USER)) == 45
            assert weights.level == 1_198 - 20 - 2

    run(check())


def test_each_attempt_of_a_query_costs_its_weight() -> None:
    async def check() -> None:
        weights = WeightBucket()
        async with FakeServer(Script(always(502, ""), always(200, MIDS))) as server:
            await client_of(server, weights=weights).all_mids("km")
            assert weights.level == 1_196

    run(check())


# -- actions --------------------------------------------------------------------------------------------------------------------------


def test_an_accepted_action_comes_back_with_its_outcomes() -> None:
    async def check() -> None:
        async with FakeServer(always(200, RESTING)) as server:
            weights = WeightBucket()
            reply = await client_of(server, weights=weights).exchange(request())
            assert reply == Accepted(kind="order", outcomes=(Resting(oid=7, cloid=None),))
            assert [asked.path for asked in server.requests] == ["/exchange"]
            assert server.requests[0].json == request()
            assert weights.level == 1_199

    run(check())


def test_a_batch_of_eighty_weighs_three() -> None:
    async def check() -> None:
        async with FakeServer(always(200, RESTING)) as server:
            weights = WeightBucket()
            await client_of(server, weights=weights).exchange(request(80))
            assert weights.level == 1_197

    run(check())


def test_a_refusal_is_an_answer_and_not_an_error() -> None:
    async def check() -> None:
        text = "Invalid nonce: duplicate nonce 1767225600000"
        async with FakeServer(always(200, {"status": "err", "response": text})) as server:
            assert await client_of(server).exchange(request()) == Refused(text)

    run(check())


def test_an_error_of_one_order_is_an_outcome() -> None:
    async def check() -> None:
        said = {"type": "order", "data": {"statuses": [{"error": "Order has zero size."}]}}
        async with FakeServer(always(200, {"status": "ok", "response": said})) as server:
            reply = await client_of(server).exchange(request())
            assert reply == Accepted(kind="order", outcomes=(OrderError("Order has zero size."),))

    run(check())


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 415, 422])
def test_an_action_that_the_venue_never_looked_at_is_refused(status: int) -> None:
    async def check() -> None:
        async with FakeServer(always(status, "Failed to deserialize the JSON body")) as server:
            reply = await client_of(server).exchange(request())
            assert reply == Refused(f"HTTP {status}: Failed to deserialize the JSON body")

    run(check())


@pytest.mark.parametrize(
    "fault",
    [
        hang_up,
        break_off,
        always(500, "null"),
        always(502, "bad gateway"),
        always(504, ""),
        always(408, ""),
        always(200, ""),
        always(200, "{"),
        always(200, "null"),
        always(200, {"status": "ok"}),
        always(200, {"status": "perhaps", "response": "?"}),
        always(200, {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"new": 1}]}}}),
    ],
    ids=[
        "hung up",
        "broken off",
        "500",
        "502",
        "504",
        "408",
        "empty",
        "half",
        "null",
        "no response",
        "other",
        "new",
    ],
)
def test_an_action_without_a_clear_answer_is_sent_once_and_its_outcome_unknown(fault: Any) -> None:
    async def check() -> None:
        async with FakeServer(fault) as server:
            with pytest.raises(TransportError) as caught:
                await client_of(server).exchange(request())
            assert len(server.requests) == 1
            assert not isinstance(caught.value, (NotSentError, RateLimitedError))
            assert str(caught.value).startswith("order: ")
            assert server.host in str(caught.value)

    run(check())


def test_an_action_without_an_answer_in_time_is_sent_once_and_its_outcome_unknown() -> None:
    async def check() -> None:
        async with FakeServer() as server:

            async def answer(_request: Request) -> None:
                await server.forever()

            server.answer = answer
            with pytest.raises(TransportError, match=r"order: .* did not answer within 0\.2 s") as caught:
                await client_of(server, timeout_s=0.2).exchange(request())
            assert not isinstance(caught.value, NotSentError)
            assert len(server.requests) == 1

    run(check())


def test_an_action_to_a_venue_that_is_away_was_certainly_not_sent() -> None:
    async def check() -> None:
        with pytest.raises(NotSentError, match="order: no connection to 127"):
            await VenueClient(f"http://127.0.0.1:{free_port()}").exchange(request())

    run(check())


def test_an_action_answered_429_was_not_executed_and_queries_make_room() -> None:
    async def check() -> None:
        weights = WeightBucket()
        async with FakeServer(always(429, "null")) as server:
            with pytest.raises(RateLimitedError):
                await client_of(server, weights=weights).exchange(request())
            assert len(server.requests) == 1
            assert weights.wait_s(1) > 0
            assert weights.wait_s(1, is_action=True) == 0

    run(check())


def test_an_action_that_would_expire_while_waiting_for_weight_is_not_sent() -> None:
    async def check() -> None:
        now_ms = 1_767_225_600_000
        weights = SlowBucket()
        weights.charge(1_200)
        async with FakeServer(always(200, RESTING)) as server:
            client = client_of(server, weights=weights, now_ns=lambda: now_ms * 1_000_000)
            with pytest.raises(NotSentError, match="would expire"):
                await client.exchange(request(expires_after=now_ms + 5_000))
            assert server.requests == []
            assert weights.waited == []
            # one with time enough waits for its weight and goes out
            await client.exchange(request(expires_after=now_ms + 90_000))
            assert weights.waited
            assert len(server.requests) == 1

    run(check())


def test_no_error_and_no_name_shows_a_signature() -> None:
    async def check() -> None:
        echo = f"cannot read signature {R} {S[2:]} of the request"
        texts = []
        for fault in (always(400, echo), always(500, echo), always(429, echo), always(200, echo), hang_up):
            async with FakeServer(fault) as server:
                client = client_of(server)
                texts.append(repr(client))
                try:
                    texts.append(repr(await client.exchange(request())))
                except TransportError as e:
                    texts += [str(e), repr(e), str(e.__cause__), repr(e.__cause__)]
        assert len(texts) > 10
        for text in texts:
            assert R[2:] not in text
            assert S[2:] not in text

    run(check())


def test_a_canceled_action_is_not_sent_again() -> None:
    async def check() -> None:
        async with FakeServer() as server:
            arrived = asyncio.Event()

            async def answer(_request: Request) -> None:
                arrived.set()
                await server.forever()

            server.answer = answer
            task = asyncio.create_task(client_of(server).exchange(request()))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(server.requests) == 1

    run(check())
