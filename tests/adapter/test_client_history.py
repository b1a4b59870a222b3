"""Histories put together from pages, the venue's clock, and every query in the venue's words."""

import json
import time
from typing import Any

import pytest

from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.clock_offset import ClockState
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.http import HttpReply
from hyperliquid_hip3.weights import WeightBucket
from tests.adapter.client_scene import USER
from tests.adapter.client_scene import always
from tests.adapter.client_scene import client_of
from tests.adapter.client_scene import fill
from tests.adapter.fake_server import FakeServer
from tests.adapter.fake_server import Request
from tests.adapter.fake_server import run


# -- what is asked, and histories -----------------------------------------------------------------------------------------------------


class History:
    """Serves rows in pages: of those in the span the oldest or the newest ``limit``, in either order."""

    def __init__(
        self, rows: list[dict[str, Any]], *, limit: int, keeps_newest: bool, is_reversed: bool
    ) -> None:
        self.rows = sorted(rows, key=lambda row: row["time"])
        self.limit = limit
        self.keeps_newest = keeps_newest
        self.is_reversed = is_reversed

    async def __call__(self, asked: Request) -> tuple[int, str]:
        first, last = asked.json["startTime"], asked.json.get("endTime", 10**15)
        inside = [row for row in self.rows if first <= row["time"] <= last]
        cut = inside[-self.limit :] if self.keeps_newest else inside[: self.limit]
        return 200, json.dumps(cut[::-1] if self.is_reversed else cut)


@pytest.mark.parametrize("keeps_newest", [False, True], ids=["oldest first", "newest first"])
@pytest.mark.parametrize("is_reversed", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize(
    ("count", "limit"), [(0, 2_000), (499, 2_000), (2_000, 2_000), (5_003, 2_000), (1_700, 500)]
)
def test_fills_over_many_pages_come_back_each_once_whichever_way_the_venue_pages(
    count: int,
    limit: int,
    *,
    keeps_newest: bool,
    is_reversed: bool,
) -> None:
    async def check() -> None:
        # three fills in each millisecond, so that pages end within one
        rows = [fill(i, time_ms=1_000_000 + i // 3) for i in range(count)]
        history = History(rows, limit=limit, keeps_newest=keeps_newest, is_reversed=is_reversed)
        async with FakeServer(history) as server:
            got = await client_of(server, weights=WeightBucket(1_000_000)).user_fills_by_time(USER, 1_000_000)
            assert sorted(row.trade_id for row in got) == list(range(count))
            assert [row.ts_ns for row in got] == sorted(row.ts_ns for row in got)
            assert len(server.requests) <= 2 * (count // min(limit, 500)) + 3

    run(check())


def test_fills_outside_the_span_are_left_out() -> None:
    async def check() -> None:
        async with FakeServer(always(200, [fill(i) for i in range(10)])) as server:
            got = await client_of(server).user_fills_by_time(USER, 1_000_003, 1_000_006)
            assert [row.trade_id for row in got] == [3, 4, 5]
            asked = server.requests[0].json
            assert (asked["startTime"], asked["endTime"]) == (1_000_003, 1_000_005)

    run(check())


def test_more_fills_in_a_millisecond_than_a_page_holds_raise_instead_of_missing() -> None:
    async def check() -> None:
        rows = [fill(i, time_ms=5) for i in range(600)]
        async with FakeServer(History(rows, limit=500, keeps_newest=False, is_reversed=False)) as server:
            with pytest.raises(PayloadError, match="more rows at 5 ms than one reply holds"):
                await client_of(server).user_fills_by_time(USER, 0)

    run(check())


def test_a_page_that_fails_fails_the_whole_history() -> None:
    async def check() -> None:
        async def answer(_request: Request) -> tuple[int, str]:
            if len(server.requests) == 1:
                return 200, json.dumps([fill(i) for i in range(500)])
            return 502, ""

        async with FakeServer(answer) as server:
            with pytest.raises(TransportError):
                await client_of(server, retries=1).user_fills_by_time(USER, 0)

    run(check())


def test_the_funding_history_of_a_year_is_put_together() -> None:
    async def check() -> None:
        hour_ms = 3_600_000
        rows = [
            {"coin": "km:US500", "fundingRate": "0.0000057", "premium": "0.0", "time": i * hour_ms + 7}
            for i in range(2_345)
        ]
        history = History(rows, limit=500, keeps_newest=False, is_reversed=False)
        async with FakeServer(history) as server:
            client = client_of(server, weights=WeightBucket(1_000_000))
            got = await client.funding_history("km:US500", 0, 2_345 * hour_ms)
            assert [row.ts_ns // 1_000_000 for row in got] == [row["time"] for row in rows]
            assert server.requests[0].json == {
                "type": "fundingHistory",
                "coin": "km:US500",
                "startTime": 0,
                "endTime": 2_345 * hour_ms - 1,
            }

    run(check())


def candle(minute: int) -> dict[str, Any]:
    return {
        "t": minute * 60_000,
        "T": minute * 60_000 + 59_999,
        "s": "km:US500",
        "i": "1m",
        "o": "690.1",
        "c": "690.2",
        "h": "690.3",
        "l": "690.0",
        "v": "1.5",
        "n": 3,
    }


def test_candles_are_fetched_in_windows_and_put_together_in_order() -> None:
    async def check() -> None:
        kept = range(1_000, 6_000)

        async def answer(asked: Request) -> tuple[int, str]:
            req = asked.json["req"]
            # the venue also sends the candle that was open at the start
            inside = [m for m in kept if req["startTime"] - 60_000 < m * 60_000 <= req["endTime"]]
            return 200, json.dumps([candle(m) for m in inside])

        async with FakeServer(answer) as server:
            client = client_of(server, weights=WeightBucket(1_000_000))
            got = await client.candles("km:US500", "1m", 0, 6_000 * 60_000)
            assert [row.ts_open_ns // 60_000_000_000 for row in got] == list(kept)
            assert len(server.requests) <= 4
            part = await client.candles("km:US500", "1m", 1_500 * 60_000, 1_510 * 60_000)
            assert [row.ts_open_ns // 60_000_000_000 for row in part] == list(range(1_500, 1_510))

    run(check())


def test_an_interval_the_venue_does_not_have_is_refused_before_asking() -> None:
    async def check() -> None:
        async with FakeServer(always(200, [])) as server:
            with pytest.raises(ValueError, match="`interval` was '7m'"):
                await client_of(server).candles("km:US500", "7m", 0, 1)
            assert server.requests == []

    run(check())


STATE = {
    "marginSummary": {
        "accountValue": "100.0",
        "totalNtlPos": "0.0",
        "totalRawUsd": "100.0",
        "totalMarginUsed": "0.0",
    },
    "crossMarginSummary": {
        "accountValue": "100.0",
        "totalNtlPos": "0.0",
        "totalRawUsd": "100.0",
        "totalMarginUsed": "0.0",
    },
    "crossMaintenanceMarginUsed": "0.0",
    "withdrawable": "100.0",
    "assetPositions": [],
    "time": 0,
}


class Stub:
    """A transport that answers with a state stamped so far ahead of our clock."""

    def __init__(self, ahead_ms: int) -> None:
        self._ahead_ms = ahead_ms
        self.bodies: list[dict[str, Any]] = []

    async def post(self, _path: str, body: bytes, *, what: str, timeout_s: float) -> HttpReply:
        self.bodies.append(json.loads(body))
        now_ns = time.time_ns()
        state = STATE | {"time": now_ns // 1_000_000 + 20 + self._ahead_ms, "specialStatuses": None}
        return HttpReply(200, json.dumps(state).encode(), now_ns, time.monotonic_ns(), 40_000_000)


@pytest.mark.parametrize(
    ("ahead_ms", "state"),
    [(0, ClockState.GOOD), (-900, ClockState.WARN), (2_500, ClockState.PAUSE)],
)
def test_the_venues_clock_is_measured_by_the_replies_that_carry_it(ahead_ms: int, state: ClockState) -> None:
    async def check() -> None:
        client = VenueClient("http://venue", transport=Stub(ahead_ms))
        await client.clearinghouse_state(USER, "km")
        await client.exchange_status()
        assert client.clock.samples == 2
        assert client.clock.state is state
        offset_ns = client.clock.offset_ns
        assert offset_ns is not None
        assert abs(offset_ns - ahead_ms * 1_000_000) <= 2_000_000

    run(check())


REQUESTS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("perp_dexs", (), {"type": "perpDexs"}),
    ("meta", ("km",), {"type": "meta", "dex": "km"}),
    ("all_metas", (), {"type": "allPerpMetas"}),
    ("spot_meta", (), {"type": "spotMeta"}),
    ("meta_and_contexts", ("km",), {"type": "metaAndAssetCtxs", "dex": "km"}),
    ("perps_at_open_interest_cap", ("km",), {"type": "perpsAtOpenInterestCap", "dex": "km"}),
    ("exchange_status", (), {"type": "exchangeStatus"}),
    ("all_mids", ("km",), {"type": "allMids", "dex": "km"}),
    ("l2_book", ("km:US500",), {"type": "l2Book", "coin": "km:US500"}),
    ("recent_trades", ("km:US500",), {"type": "recentTrades", "coin": "km:US500"}),
    ("clearinghouse_state", (USER, "km"), {"type": "clearinghouseState", "user": USER, "dex": "km"}),
    ("spot_state", (USER,), {"type": "spotClearinghouseState", "user": USER}),
    ("open_orders", (USER, "km"), {"type": "frontendOpenOrders", "user": USER, "dex": "km"}),
    ("order_status", (USER, 7), {"type": "orderStatus", "user": USER, "oid": 7}),
    ("order_status", (USER, "0x" + "1" * 32), {"type": "orderStatus", "user": USER, "oid": "0x" + "1" * 32}),
    ("historical_orders", (USER,), {"type": "historicalOrders", "user": USER}),
    ("user_fills", (USER,), {"type": "userFills", "user": USER}),
    ("user_fills_by_time", (USER, 5), {"type": "userFillsByTime", "user": USER, "startTime": 5}),
    ("user_funding", (USER, 5, 9), {"type": "userFunding", "user": USER, "startTime": 5, "endTime": 8}),
    (
        "ledger_updates",
        (USER, 5),
        {"type": "userNonFundingLedgerUpdates", "user": USER, "startTime": 5},
    ),
    ("user_fees", (USER,), {"type": "userFees", "user": USER}),
    ("rate_limit", (USER,), {"type": "userRateLimit", "user": USER}),
    ("user_role", (USER,), {"type": "userRole", "user": USER}),
    ("vault_leader", (USER,), {"type": "vaultDetails", "vaultAddress": USER}),
    ("extra_agents", (USER,), {"type": "extraAgents", "user": USER}),
    ("active_asset", (USER, "km:US500"), {"type": "activeAssetData", "user": USER, "coin": "km:US500"}),
    ("user_abstraction", (USER,), {"type": "userAbstraction", "user": USER}),
]


@pytest.mark.parametrize(("method", "arguments", "asked"), REQUESTS, ids=[row[0] for row in REQUESTS])
def test_every_query_is_asked_in_the_venues_words_and_fails_loudly(
    method: str,
    arguments: tuple[Any, ...],
    asked: dict[str, Any],
) -> None:
    async def check() -> None:
        async with FakeServer(always(200, "7")) as server:
            # a number is the answer to none of them
            with pytest.raises(PayloadError):
                await getattr(client_of(server), method)(*arguments)
            assert [sent.json for sent in server.requests] == [asked]
            assert server.requests[0].path == "/info"

    run(check())
