"""The streams: their first frames, their clocks, and what a block's events turn into."""

import base64
import json
import zlib
from itertools import pairwise

import pytest

from hyperliquid_loopback.config import Cadences
from tests.loopback.venue_scene import COIN
from tests.loopback.venue_scene import START_MS
from tests.loopback.venue_scene import D
from tests.loopback.venue_scene import Socket
from tests.loopback.venue_scene import Trader
from tests.loopback.venue_scene import order
from tests.loopback.venue_scene import still_venue


CLOID = "0x" + "cd" * 16
HOUR_MS = 3_600_000


@pytest.fixture
def venue():
    with still_venue() as running:
        yield running


@pytest.fixture
def trader(venue):
    return Trader(venue)


@pytest.fixture
def client(venue):
    with Socket(venue) as opened:
        yield opened


def frames(client, channel):
    return [each["data"] for each in client.settle() if each["channel"] == channel]


@pytest.mark.parametrize(("fast", "every_ms", "flag"), [(False, 5_400, None), (True, 540, True)])
def test_a_book_is_sent_at_once_and_then_by_its_clock_even_unchanged(venue, client, fast, every_ms, flag):
    client.subscribe("l2Book", coin=COIN, fast=fast)
    (first,) = frames(client, "l2Book")
    venue.advance(every_ms * 10 + 70)
    later = frames(client, "l2Book")
    assert len(later) == 10
    assert all(each["levels"] == first["levels"] and each.get("fast") is flag for each in [first, *later])
    gaps = [b["time"] - a["time"] for a, b in pairwise(later)]
    assert all(abs(gap - every_ms) <= 70 for gap in gaps)


def test_a_default_book_has_twenty_levels_and_a_fast_one_five(client, trader):
    trader.place(*[order(px=str(D(680) - number)) for number in range(20)])
    client.subscribe("l2Book", coin=COIN)
    client.subscribe("l2Book", coin=COIN, fast=True)
    default, fast = [each["data"] for each in [*client.seen, *client.settle()] if each["channel"] == "l2Book"]
    assert (len(default["levels"][0]), len(fast["levels"][0])) == (20, 5)
    assert default["levels"][0][:5] == fast["levels"][0]


def test_bbo_is_sent_when_the_touch_changes_and_only_then(venue, client, trader):
    client.subscribe("bbo", coin=COIN)
    first = frames(client, "bbo")[0]
    assert [level["px"] for level in first["bbo"]] == ["689.99", "690.01"]
    venue.advance(700)
    assert frames(client, "bbo") == []
    # behind the touch: the book changes, the touch does not
    trader.place(order(px="689"))
    assert frames(client, "bbo") == []
    trader.place(order(px="690"))
    (changed,) = frames(client, "bbo")
    assert changed["bbo"][0] == {"px": "690.0", "sz": "0.1", "n": 1}
    assert START_MS < changed["time"] <= venue.now_ms


def test_an_empty_side_is_null_in_bbo(venue, client):
    client.subscribe("bbo", coin=COIN)
    client.settle()
    venue.faults.set("no_asks", times=-1)
    venue.advance(70)
    (changed,) = frames(client, "bbo")
    assert changed["bbo"][1] is None


def test_trades_begin_with_a_replay_oldest_first_and_go_on_with_each_block(venue, client, trader):
    client.subscribe("trades", coin=COIN)
    (replay,) = frames(client, "trades")
    assert len(replay) == 30
    assert [row["time"] for row in replay] == sorted(row["time"] for row in replay)
    trader.place(order(px="691", sz="0.2", tif="Ioc"))
    ((row,),) = frames(client, "trades")
    assert (row["coin"], row["side"], row["px"], row["sz"]) == (COIN, "B", "690.01", "0.2")
    assert row["users"][0] == trader.address
    client.send({"method": "unsubscribe", "subscription": {"type": "trades", "coin": COIN}})
    client.settle()
    client.subscribe("trades", coin=COIN)
    (again,) = frames(client, "trades")
    assert (len(again), again[-1]) == (30, row)


def test_order_updates_have_no_user_and_no_snapshot(client, trader):
    trader.place(order())
    client.subscribe("orderUpdates", user=trader.address)
    assert frames(client, "orderUpdates") == []
    (status,) = trader.place(order(cloid=CLOID))
    ((update,),) = frames(client, "orderUpdates")
    assert set(update) == {"order", "status", "statusTimestamp"}
    assert update["order"]["oid"] == status["resting"]["oid"]
    assert (update["order"]["cloid"], update["status"]) == (CLOID, "open")
    trader.send({"type": "cancelByCloid", "cancels": [{"asset": 150_000, "cloid": CLOID}]})
    ((canceled,),) = frames(client, "orderUpdates")
    assert (canceled["status"], canceled["order"]["sz"]) == ("canceled", "0.1")


def test_what_happens_to_one_user_is_not_told_to_another(venue, client, trader):
    client.subscribe("orderUpdates", user=Trader(venue, 1).address)
    client.subscribe("userFills", user=Trader(venue, 1).address)
    client.settle()
    trader.place(order(px="691", tif="Ioc"))
    assert client.channels() == []


def test_fills_come_as_a_snapshot_and_then_one_by_one_on_both_channels(client, trader):
    trader.place(order(px="691", sz="0.2", tif="Ioc"))
    client.subscribe("userFills", user=trader.address)
    client.subscribe("userEvents", user=trader.address)
    (snapshot,) = [each["data"] for each in client.seen if each["channel"] == "userFills"]
    assert (snapshot["isSnapshot"], snapshot["user"], len(snapshot["fills"])) == (True, trader.address, 1)
    trader.place(order(side="A", px="689", sz="0.2", tif="Ioc"))
    seen = client.settle()
    (live,) = [each["data"] for each in seen if each["channel"] == "userFills"]
    (event,) = [each["data"] for each in seen if each["channel"] == "user"]
    assert "isSnapshot" not in live
    assert event == {"fills": live["fills"]}
    assert (live["fills"][0]["dir"], live["fills"][0]["feeToken"]) == ("Close Long", "USDH")


def test_funding_is_told_at_the_hour():
    # a minute before the hour
    with still_venue(start_ms=START_MS + HOUR_MS // 2 - 60_000) as venue, Socket(venue) as client:
        _check_funding(venue, client, Trader(venue))


def _check_funding(venue, client, trader):
    trader.place(order(px="691", sz="0.2", tif="Ioc"))
    client.subscribe("userFundings", user=trader.address)
    client.subscribe("userEvents", user=trader.address)
    (snapshot,) = [each["data"] for each in client.seen if each["channel"] == "userFundings"]
    assert snapshot == {"isSnapshot": True, "user": trader.address, "fundings": []}
    venue.advance(50_000)
    seen = client.settle()
    venue.advance(20_000)
    seen += client.settle()
    (paid,) = [each["data"] for each in seen if each["channel"] == "userFundings"]
    (event,) = [each["data"] for each in seen if each["channel"] == "user"]
    (row,) = paid["fundings"]
    assert event == {"funding": row}
    assert set(row) == {"time", "coin", "usdc", "szi", "fundingRate", "nSamples"}
    assert (row["coin"], row["szi"], row["time"] // HOUR_MS) == (COIN, "0.2", START_MS // HOUR_MS + 1)


def test_an_order_that_the_venue_cancels_is_told_as_such(venue, client, trader):
    trader.place(order())
    client.subscribe("userEvents", user=trader.address)
    client.subscribe("orderUpdates", user=trader.address)
    venue.call(lambda exchange: exchange.delist(COIN))
    venue.advance(70)
    seen = client.settle()
    (update,) = next(each["data"] for each in seen if each["channel"] == "orderUpdates")
    assert update["status"] == "delistedCanceled"
    assert {"nonUserCancel": [{"coin": COIN, "oid": update["order"]["oid"]}]} in [
        each["data"] for each in seen if each["channel"] == "user"
    ]


def test_contexts_come_every_second_and_mids_every_five(venue, client):
    client.subscribe("activeAssetCtx", coin=COIN)
    client.subscribe("allMids", dex="km")
    client.subscribe("allMids")
    client.seen.clear()
    client.settle()
    venue.advance(10_080)
    seen = client.settle()
    contexts = [each["data"] for each in seen if each["channel"] == "activeAssetCtx"]
    mids = [each["data"] for each in seen if each["channel"] == "allMids"]
    assert len(contexts) == 10
    assert set(contexts[0]) == {"coin", "ctx"}
    assert {"markPx", "oraclePx", "funding", "midPx", "impactPxs"} <= set(contexts[0]["ctx"])
    assert [each.get("dex") for each in mids] == ["km", None] * 2
    assert mids[0]["mids"] == {COIN: "690.0"}
    assert set(mids[1]["mids"]) == {"BTC", "@230"}


def test_the_contexts_of_all_dexes_are_positional_and_by_name(venue, client):
    client.subscribe("allDexsAssetCtxs")
    (first,) = frames(client, "allDexsAssetCtxs")
    names = [name for name, _ in first["ctxs"]]
    assert names == sorted(names)
    assert all(len(rows) == len(venue.universe.meta(name)["universe"]) for name, rows in first["ctxs"])
    venue.advance(13_650)
    assert len(frames(client, "allDexsAssetCtxs")) == 1


def test_fast_contexts_are_deflated_and_hold_the_changes_only(venue, client):
    def opened(data):
        return json.loads(zlib.decompress(base64.b64decode(data), wbits=-15))

    client.subscribe("fastAssetCtxs")
    first = [opened(data) for data in frames(client, "fastAssetCtxs")]
    venue.advance(1_050)
    client.settle()
    venue.flow.move(D(692))
    venue.advance(1_050)
    later = [opened(data) for data in frames(client, "fastAssetCtxs")]
    assert set(first[0]) >= {COIN, "BTC"}
    assert [set(each) for each in later] == [{COIN}]
    assert later[0][COIN]["midPx"] == "692.0"


def test_a_candle_is_one_object_and_comes_while_there_are_trades(venue, client, trader):
    client.subscribe("candle", coin=COIN, interval="1m")
    venue.advance(3_010)
    client.settle()
    trader.place(order(px="691", sz="0.2", tif="Ioc"))
    venue.advance(2_030)
    (candle,) = frames(client, "candle")
    assert set(candle) == {"t", "T", "s", "i", "o", "c", "h", "l", "v", "n"}
    assert (candle["s"], candle["i"], candle["v"], candle["n"]) == (COIN, "1m", "0.2", 1)
    venue.advance(3_010)
    assert frames(client, "candle") == []


@pytest.mark.parametrize(
    ("kind", "more", "keys"),
    [
        ("clearinghouseState", {"dex": "km"}, {"dex", "user", "clearinghouseState"}),
        ("openOrders", {"dex": "km"}, {"dex", "user", "orders"}),
        ("spotState", {}, {"user", "spotState"}),
        ("allDexsClearinghouseState", {}, {"user", "clearinghouseStates"}),
        ("webData3", {}, {"userState", "perpDexStates"}),
    ],
)
def test_a_user_s_state_comes_at_once_and_every_five_seconds(venue, client, trader, kind, more, keys):
    client.subscribe(kind, user=trader.address, **more)
    (first,) = frames(client, kind)
    assert set(first) == keys
    venue.advance(10_080)
    assert len(frames(client, kind)) == 2


def test_active_asset_data_follows_a_change_of_leverage(venue, client, trader):
    client.subscribe("activeAssetData", user=trader.address, coin=COIN)
    (first,) = frames(client, "activeAssetData")
    assert set(first) >= {"user", "coin", "leverage", "maxTradeSzs", "availableToTrade", "markPx"}
    trader.send({"type": "updateLeverage", "asset": 150_000, "isCross": True, "leverage": 7})
    assert [each["leverage"]["value"] for each in frames(client, "activeAssetData")] == [7]


def test_transfers_are_told_as_ledger_updates(venue, client, trader):
    client.subscribe("userNonFundingLedgerUpdates", user=trader.address)
    (snapshot,) = frames(client, "userNonFundingLedgerUpdates")
    assert snapshot["isSnapshot"] is True
    asset = {
        "type": "agentSendAsset",
        "destination": trader.address,
        "sourceDex": "km",
        "destinationDex": "spot",
        "token": "USDH:0x54e00a5988577cb0b0c9ab0cb6ef7f4b",
        "amount": "100",
        "fromSubAccount": "",
        "nonce": venue.now_ms + 1,
    }
    assert trader.send(asset, nonce=asset["nonce"])["status"] == "ok"
    (live,) = frames(client, "userNonFundingLedgerUpdates")
    assert live["user"] == trader.address
    assert len(live["nonFundingLedgerUpdates"]) == 1


def test_clocks_run_faster_by_a_factor():
    with still_venue(cadences=Cadences().scaled(0.1)) as venue, Socket(venue) as client:
        client.subscribe("l2Book", coin=COIN)
        client.settle()
        venue.advance(5_460)
        assert len(frames(client, "l2Book")) == 10


@pytest.mark.parametrize("factor", [0, -1])
def test_a_factor_that_is_not_above_zero_is_refused(factor):
    with pytest.raises(ValueError, match="factor"):
        Cadences().scaled(factor)


def test_a_later_subscriber_takes_nothing_away_from_an_earlier_one(venue, client, trader):
    client.subscribe("bbo", coin=COIN)
    client.subscribe("userNonFundingLedgerUpdates", user=trader.address)
    client.settle()

    def between_two_blocks(exchange):
        exchange.house_level(COIN, 1, D(690), D(3))
        exchange.accounts.open_account(trader.address, deposits={"km": D(5)}, now_ms=venue.now_ms)

    venue.flow.refill = False
    venue.call(between_two_blocks)
    with Socket(venue) as late:
        late.subscribe("bbo", coin=COIN)
        late.subscribe("userNonFundingLedgerUpdates", user=trader.address)
        assert len(frames(late, "userNonFundingLedgerUpdates")[-1]["nonFundingLedgerUpdates"]) == 2
        venue.advance(70)
        told = {each["channel"]: each["data"] for each in client.settle()}
    assert told["bbo"]["bbo"][0]["px"] == "690.0"
    (row,) = told["userNonFundingLedgerUpdates"]["nonFundingLedgerUpdates"]
    assert row["delta"]["usdc"] == "5.0"


def test_transfers_are_still_told_after_more_of_them_than_a_page_has(venue, client, trader):
    def give(amount):
        venue.call(
            lambda exchange: exchange.accounts.open_account(
                trader.address, deposits={"km": D(amount)}, now_ms=venue.now_ms
            )
        )
        venue.advance(70)

    venue.call(
        lambda exchange: [
            exchange.accounts.open_account(trader.address, deposits={"km": D(1)}, now_ms=venue.now_ms)
            for _ in range(600)
        ]
    )
    venue.advance(70)
    client.subscribe("userNonFundingLedgerUpdates", user=trader.address)
    client.settle()
    give(7)
    (told,) = frames(client, "userNonFundingLedgerUpdates")
    assert [row["delta"]["usdc"] for row in told["nonFundingLedgerUpdates"]] == ["7.0"]


def test_live_fills_are_put_together_for_those_who_asked(client, trader):
    client.subscribe("userFills", user=trader.address)
    client.subscribe("userFills", user=trader.address, aggregateByTime=True)
    client.settle()
    # ten contracts at each of the ladder's levels
    trader.place(order(px="691", sz="12", tif="Ioc"))
    apart, together = frames(client, "userFills")
    assert [row["sz"] for row in apart["fills"]] == ["10.0", "2.0"]
    assert [row["sz"] for row in together["fills"]] == ["12.0"]
