"""The official SDK's WebSocket hears the loopback venue's streams."""

import time
from decimal import Decimal

import pytest

from tests.loopback.sdk_scene import ALO
from tests.loopback.sdk_scene import COIN
from tests.loopback.sdk_scene import WALLET
from tests.loopback.sdk_scene import Heard
from tests.loopback.sdk_scene import resting_oid
from tests.loopback.sdk_scene import running_venue
from tests.loopback.sdk_scene import sdk_exchange
from tests.loopback.sdk_scene import sdk_info
from tests.loopback.sdk_scene import statuses


pytestmark = pytest.mark.live_node

D = Decimal
ADDRESS = WALLET.address
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def venue():
    with running_venue() as running:
        yield running


@pytest.fixture
def info(venue):
    with sdk_info(venue, streams=True) as client:
        yield client


@pytest.fixture
def exchange(venue):
    with sdk_exchange(venue) as client:
        yield client
        # the venue is shared: leave it flat
        client.market_close(COIN)


def hear(info, **subscription):
    heard = Heard()
    info.subscribe(subscription, heard)
    return heard


def move_market(venue, mid):
    venue.call(lambda _: venue.flow.move(mid))


def trade(venue, side, size):
    venue.call(lambda _: venue.flow.take(side, size))


def test_the_book_is_heard_whole_and_again_when_it_moved(venue, info):
    heard = hear(info, type="l2Book", coin=COIN)
    data = heard.first("a book")["data"]
    assert data["coin"] == COIN
    bids, asks = data["levels"]
    assert D(bids[0]["px"]) < D(asks[0]["px"])
    assert {"px", "sz", "n"} == set(bids[0])
    move_market(venue, D("691.00"))
    heard.wait_for(lambda row: D(row["data"]["levels"][0][0]["px"]) == D("690.99"), "the moved book")
    move_market(venue, D("690.00"))


def test_the_fast_book_has_five_levels_and_says_that_it_is_fast(info):
    data = hear(info, type="l2Book", coin=COIN, fast=True).first("a fast book")["data"]
    assert data["fast"] is True
    assert max(len(side) for side in data["levels"]) <= 5


def test_the_best_bid_and_ask_are_heard_when_they_change(venue, info):
    heard = hear(info, type="bbo", coin=COIN)
    heard.first("the best bid and ask")
    move_market(venue, D("692.00"))
    moved = heard.wait_for(lambda row: D(row["data"]["bbo"][0]["px"]) == D("691.99"), "the moved bid")
    assert D(moved["data"]["bbo"][1]["px"]) == D("692.01")
    assert moved["data"]["coin"] == COIN
    move_market(venue, D("690.00"))


def test_trades_begin_with_those_of_before_and_go_on_with_each_new_one(venue, info):
    heard = hear(info, type="trades", coin=COIN)
    replayed = heard.first("the recent trades")["data"]
    assert 1 <= len(replayed) <= 30
    known = {row["tid"] for row in replayed}
    trade(venue, 1, D("0.25"))

    def is_new(message):
        return any(row["tid"] not in known for row in message["data"])

    rows = heard.wait_for(is_new, "the new trade")["data"]
    (row,) = [row for row in rows if row["tid"] not in known]
    assert (row["coin"], row["side"], D(row["sz"])) == (COIN, "B", D("0.25"))
    assert len(row["users"]) == 2
    assert row["hash"].startswith("0x")


def test_mids_of_a_dex_are_heard(info):
    message = hear(info, type="allMids", dex="km").first("the mids")
    assert D(message["data"]["mids"][COIN]) > 0
    assert message["data"]["dex"] == "km"


def test_a_candle_is_heard_while_it_forms(venue, info):
    heard = hear(info, type="candle", coin=COIN, interval="1m")
    trade(venue, -1, D("0.5"))
    trade(venue, 1, D("0.5"))
    row = heard.wait_for(lambda message: message["data"]["n"] >= 1, "a candle with a trade")["data"]
    assert (row["s"], row["i"]) == (COIN, "1m")
    assert row["T"] - row["t"] == 59_999
    assert D(row["l"]) <= min(D(row["o"]), D(row["c"])) <= max(D(row["o"]), D(row["c"])) <= D(row["h"])


def test_the_context_is_heard_with_mark_oracle_and_funding(info):
    data = hear(info, type="activeAssetCtx", coin=COIN).first("the context")["data"]
    assert data["coin"] == COIN
    for name in ("markPx", "oraclePx", "midPx"):
        assert abs(D(data["ctx"][name]) - 690) < 7
    assert abs(D(data["ctx"]["funding"])) < D("0.04")


def test_an_order_s_life_is_heard_as_updates_without_a_user(info, exchange):
    heard = hear(info, type="orderUpdates", user=ADDRESS)
    # a socket's subscriptions are taken in order: with this one's first frame the other is there too
    hear(info, type="bbo", coin=COIN).first("the best bid and ask")
    oid = resting_oid(exchange.order(COIN, True, 0.5, 680.0, ALO))

    def update(status):
        def wanted(message):
            return any(row["order"]["oid"] == oid and row["status"] == status for row in message["data"])

        return wanted

    opened = heard.wait_for(update("open"), "the open order")["data"][0]
    assert "user" not in opened
    assert (opened["order"]["coin"], D(opened["order"]["limitPx"])) == (COIN, D(680))
    exchange.cancel(COIN, oid)
    canceled = heard.wait_for(update("canceled"), "the cancel")["data"][0]
    assert D(canceled["order"]["sz"]) == D("0.5")


def test_fills_are_heard_first_as_a_snapshot_then_as_they_happen_on_both_channels(info, exchange):
    events = hear(info, type="userEvents", user=ADDRESS)
    fills = hear(info, type="userFills", user=ADDRESS)
    snapshot = fills.first("the snapshot")["data"]
    assert snapshot["isSnapshot"] is True
    assert snapshot["user"] == ADDRESS.lower()
    (status,) = statuses(exchange.market_open(COIN, True, 1.5))

    def is_ours(message):
        rows = message["data"].get("fills", [])
        return any(row["oid"] == status["filled"]["oid"] for row in rows)

    live = fills.wait_for(is_ours, "the fill")["data"]
    assert not live.get("isSnapshot")
    (row,) = live["fills"]
    assert (row["coin"], row["side"], D(row["sz"]), row["feeToken"]) == (COIN, "B", D("1.5"), "USDH")
    event = events.wait_for(is_ours, "the fill as an event")
    assert event["channel"] == "user"
    assert event["data"]["fills"][0]["tid"] == row["tid"]


def test_a_later_subscription_s_snapshot_holds_the_earlier_fills(info, exchange):
    (status,) = statuses(exchange.market_open(COIN, False, 0.5))
    snapshot = hear(info, type="userFills", user=ADDRESS).first("the snapshot")["data"]
    assert snapshot["isSnapshot"] is True
    assert status["filled"]["oid"] in {row["oid"] for row in snapshot["fills"]}


def test_nothing_is_heard_after_unsubscribing(venue, info):
    heard = Heard()
    subscription = {"type": "bbo", "coin": COIN}
    number = info.subscribe(subscription, heard)
    heard.first("the best bid and ask")
    assert info.unsubscribe(subscription, number)
    # the same socket still hears another stream, and after it no more of this one
    other = hear(info, type="l2Book", coin=COIN, fast=True)
    other.first("a book")
    before = len(heard.messages)
    move_market(venue, D("693.00"))
    other.wait_for(lambda row: D(row["data"]["levels"][0][0]["px"]) == D("692.99"), "the moved book")
    assert len(heard.messages) == before
    move_market(venue, D("690.00"))


def test_funding_is_heard_and_paid_at_the_hour():
    now_ms = int(time.time() * 1_000)
    # venue time: a few seconds before the coming hour, within the window of the SDK's nonces
    start_ms = now_ms // HOUR_MS * HOUR_MS + HOUR_MS - 6_000
    with (
        running_venue(start_ms=start_ms) as venue,
        sdk_info(venue, streams=True) as info,
        sdk_exchange(venue) as exchange,
    ):
        heard = hear(info, type="userFundings", user=ADDRESS)
        assert heard.first("the snapshot")["data"]["isSnapshot"] is True
        statuses(exchange.market_open(COIN, True, 3.0))

        def is_paid(message):
            return bool(message["data"]["fundings"])

        (row,) = heard.wait_for(is_paid, "the funding", seconds=20)["data"]["fundings"]
        assert (row["coin"], D(row["szi"])) == (COIN, 3)
        oracle = venue.call(lambda core: core.oracle(COIN))
        assert D(row["usdc"]) == pytest.approx(-3 * oracle * D(row["fundingRate"]), abs=D("0.000002"))
        (kept,) = exchange.info.user_funding_history(ADDRESS, start_ms)
        assert D(kept["delta"]["usdc"]) == D(row["usdc"])
        assert row["time"] // HOUR_MS == start_ms // HOUR_MS + 1
