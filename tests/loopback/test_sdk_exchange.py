"""The official SDK's ``Exchange`` trades on the loopback venue, signed by its own code."""

import time
from decimal import Decimal

import eth_account
import pytest
from hyperliquid.utils.types import Cloid

from hyperliquid_loopback.simulated_flow import SimulatedFlow
from tests.loopback.sdk_scene import ALO
from tests.loopback.sdk_scene import COIN
from tests.loopback.sdk_scene import GTC
from tests.loopback.sdk_scene import IOC
from tests.loopback.sdk_scene import SECOND_WALLET
from tests.loopback.sdk_scene import WALLET
from tests.loopback.sdk_scene import resting_oid
from tests.loopback.sdk_scene import running_venue
from tests.loopback.sdk_scene import sdk_exchange
from tests.loopback.sdk_scene import statuses
from tests.loopback.sdk_scene import wait_until


pytestmark = pytest.mark.live_node

D = Decimal
ADDRESS = WALLET.address


@pytest.fixture
def venue():
    with running_venue() as running:
        yield running


@pytest.fixture
def exchange(venue):
    with sdk_exchange(venue) as client:
        yield client


def position(exchange, address=ADDRESS):
    rows = exchange.info.user_state(address, "km")["assetPositions"]
    return D(rows[0]["position"]["szi"]) if rows else D(0)


def open_oids(exchange):
    return {row["oid"] for row in exchange.info.open_orders(ADDRESS, "km")}


def test_an_order_rests_is_read_back_and_canceled(exchange):
    oid = resting_oid(exchange.order(COIN, True, 0.5, 680.25, ALO))
    (row,) = exchange.info.frontend_open_orders(ADDRESS, "km")
    assert (row["oid"], row["coin"], row["side"], row["tif"]) == (oid, COIN, "B", "Alo")
    assert (D(row["limitPx"]), D(row["sz"]), D(row["origSz"])) == (D("680.25"), D("0.5"), D("0.5"))
    found = exchange.info.query_order_by_oid(ADDRESS, oid)
    assert (found["status"], found["order"]["status"]) == ("order", "open")
    # HIP-3 orders are only shown with their dex
    assert exchange.info.open_orders(ADDRESS) == []
    assert statuses(exchange.cancel(COIN, oid)) == ["success"]
    assert open_oids(exchange) == set()
    assert exchange.info.query_order_by_oid(ADDRESS, oid)["order"]["status"] == "canceled"
    (again,) = statuses(exchange.cancel(COIN, oid))
    assert again == {"error": "Order was never placed, already canceled, or filled. asset=150000"}


def test_a_batch_has_a_status_for_each_order_and_one_bad_order_spoils_no_other(exchange):
    requests = [
        {"coin": COIN, "is_buy": True, "sz": 0.1, "limit_px": price, "order_type": ALO, "reduce_only": False}
        for price in (680.0, 681.0, 700.0, 682.0)
    ]
    got = statuses(exchange.bulk_orders(requests))
    assert [next(iter(status)) for status in got] == ["resting", "resting", "error", "resting"]
    assert got[2]["error"].startswith("Post only order would have immediately matched, bbo was ")
    assert got[2]["error"].endswith(" asset=150000")
    assert len(open_oids(exchange)) == 3


def test_a_modified_order_has_a_new_number_and_the_old_one_is_gone(exchange):
    old = resting_oid(exchange.order(COIN, True, 0.5, 680.0, ALO))
    new = resting_oid(exchange.modify_order(old, COIN, True, 0.7, 681.5, ALO))
    assert new != old
    (row,) = exchange.info.open_orders(ADDRESS, "km")
    assert (row["oid"], D(row["limitPx"]), D(row["sz"])) == (new, D("681.5"), D("0.7"))
    (refused,) = statuses(exchange.modify_order(old, COIN, True, 0.7, 682.0, ALO))
    assert "Cannot modify canceled or filled order" in refused["error"]


def test_a_batch_of_modifies_moves_every_order(exchange):
    oids = [resting_oid(exchange.order(COIN, True, 0.5, 680.0 + n, ALO)) for n in range(3)]
    got = statuses(
        exchange.bulk_modify_orders_new(
            [
                {
                    "oid": oid,
                    "order": {
                        "coin": COIN,
                        "is_buy": True,
                        "sz": 0.5,
                        "limit_px": 670.0 + n,
                        "order_type": ALO,
                        "reduce_only": False,
                        "cloid": None,
                    },
                }
                for n, oid in enumerate(oids)
            ],
        ),
    )
    assert {status["resting"]["oid"] for status in got} == open_oids(exchange)
    assert not open_oids(exchange) & set(oids)


def test_an_order_is_found_modified_and_canceled_by_its_client_id(exchange):
    cloid = Cloid.from_int(0xC10D)
    reply = exchange.order(COIN, False, 0.5, 700.0, ALO, cloid=cloid)
    assert statuses(reply)[0]["resting"]["cloid"] == cloid.to_raw()
    found = exchange.info.query_order_by_cloid(ADDRESS, cloid)
    assert found["order"]["order"]["cloid"] == cloid.to_raw()
    second = Cloid.from_int(0xC10E)
    exchange.modify_order(cloid, COIN, False, 0.5, 701.0, ALO, cloid=second)
    assert statuses(exchange.cancel_by_cloid(COIN, second)) == ["success"]
    assert open_oids(exchange) == set()
    (again,) = statuses(exchange.cancel_by_cloid(COIN, second))
    assert "Order was never placed" in again["error"]


def test_a_bulk_cancel_answers_for_each(exchange):
    oids = [resting_oid(exchange.order(COIN, True, 0.5, 680.0 + n, ALO)) for n in range(2)]
    got = statuses(exchange.bulk_cancel([{"coin": COIN, "oid": oid} for oid in (*oids, 12_345)]))
    assert got[:2] == ["success", "success"]
    assert "never placed" in got[2]["error"]


def test_a_market_order_fills_pays_the_fee_in_usdh_and_the_position_closes(exchange):
    (opened,) = statuses(exchange.market_open(COIN, True, 2.0))
    assert D(opened["filled"]["totalSz"]) == 2
    paid = D(opened["filled"]["avgPx"])
    assert abs(paid - 690) < 1
    assert position(exchange) == 2
    state = exchange.info.user_state(ADDRESS, "km")["assetPositions"][0]["position"]
    assert D(state["entryPx"]) == paid
    assert D(state["leverage"]["value"]) >= 1
    (fill,) = exchange.info.user_fills(ADDRESS)
    assert (fill["coin"], fill["side"], fill["dir"], fill["crossed"]) == (COIN, "B", "Open Long", True)
    assert (D(fill["startPosition"]), fill["feeToken"]) == (0, "USDH")
    # growth mode at scale 1: taker 0.009 %
    assert D(fill["fee"]) == pytest.approx(paid * 2 * D("0.00009"), abs=D("0.000002"))
    assert fill["oid"] == opened["filled"]["oid"]

    (closed,) = statuses(exchange.market_close(COIN))
    assert D(closed["filled"]["totalSz"]) == 2
    assert position(exchange) == 0
    fills = exchange.info.user_fills_by_time(ADDRESS, 0)
    assert sorted(fill["dir"] for fill in fills) == ["Close Long", "Open Long"]
    value = D(exchange.info.user_state(ADDRESS, "km")["marginSummary"]["accountValue"])
    lost = sum(D(fill["fee"]) - D(fill["closedPnl"]) for fill in fills)
    assert value == D(1_000_000) - lost


def test_a_resting_order_is_filled_by_the_market_as_a_maker(venue, exchange):
    best_ask = D(exchange.info.l2_snapshot(COIN)["levels"][1][0]["px"])
    oid = resting_oid(exchange.order(COIN, False, 0.4, float(best_ask - D("0.01")), ALO))
    venue.call(lambda core: core.house_take(COIN, 1, D("0.4"), best_ask))
    wait_until(lambda: position(exchange) == D("-0.4"), "the position")
    (fill,) = exchange.info.user_fills(ADDRESS)
    assert (fill["oid"], fill["crossed"], fill["dir"]) == (oid, False, "Open Short")
    assert exchange.info.query_order_by_oid(ADDRESS, oid)["order"]["status"] == "filled"


def test_an_immediate_order_away_from_the_book_is_refused(exchange):
    (status,) = statuses(exchange.order(COIN, True, 0.5, 650.0, IOC))
    assert status["error"] == "Order could not immediately match against any resting orders. asset=150000"


@pytest.mark.parametrize(
    ("size", "price", "words"),
    [
        (0.01, 680.0, "Order must have minimum value of $10. asset=150000"),
        (0.5, 680.005, "Price must be divisible by tick size. asset=150000"),
        (100_000.0, 680.0, "Insufficient margin to place order. asset=150000"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_the_venue_s_words(exchange, size, price, words):
    (status,) = statuses(exchange.order(COIN, True, size, price, GTC))
    assert status == {"error": words}
    assert open_oids(exchange) == set()


def test_leverage_is_set_and_read_back(exchange):
    assert exchange.update_leverage(7, COIN, is_cross=False) == {
        "status": "ok",
        "response": {"type": "default"},
    }
    data = exchange.info.post("/info", {"type": "activeAssetData", "user": ADDRESS, "coin": COIN})
    assert (data["leverage"]["type"], data["leverage"]["value"]) == ("isolated", 7)
    assert exchange.update_leverage(20, COIN, is_cross=True)["status"] == "ok"
    refused = exchange.update_leverage(26, COIN)
    assert refused["status"] == "err"
    assert "leverage" in refused["response"].lower()


def test_isolated_margin_is_added(exchange):
    exchange.update_leverage(10, COIN, is_cross=False)
    exchange.market_open(COIN, True, 2.0)
    before = D(exchange.info.user_state(ADDRESS, "km")["assetPositions"][0]["position"]["marginUsed"])
    assert exchange.update_isolated_margin(50, COIN)["status"] == "ok"
    after = D(exchange.info.user_state(ADDRESS, "km")["assetPositions"][0]["position"]["marginUsed"])
    assert after - before == pytest.approx(D(50), abs=D(1))


def test_a_scheduled_cancel_needs_volume_first(exchange):
    refused = exchange.schedule_cancel(int(time.time() * 1_000) + 10_000)
    assert refused["status"] == "err"
    words = "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $"
    assert refused["response"].startswith(words)


def test_a_scheduled_cancel_takes_every_order_out_when_its_time_comes(venue, exchange):
    def trade(core):
        # deep enough for the volume that the venue asks for
        core.house_level(COIN, -1, D("690.05"), D(20_000))
        core.house_level(COIN, 1, D("689.95"), D(20_000))

    traded = D(0)
    while traded < 1_050_000:
        venue.call(trade)
        for is_buy in (True, False):
            (status,) = statuses(exchange.market_open(COIN, is_buy, 400.0))
            traded += D(status["filled"]["totalSz"]) * D(status["filled"]["avgPx"])
    oid = resting_oid(exchange.order(COIN, True, 0.5, 680.0, ALO))
    soon = exchange.schedule_cancel(int(time.time() * 1_000) + 1_000)
    assert soon["status"] == "err"
    assert exchange.schedule_cancel(int(time.time() * 1_000) + 5_600) == {
        "status": "ok",
        "response": {"type": "default"},
    }
    assert open_oids(exchange) == {oid}
    wait_until(lambda: open_oids(exchange) == set(), "the scheduled cancel")
    assert exchange.info.query_order_by_oid(ADDRESS, oid)["order"]["status"] == "scheduledCancel"


def test_a_scheduled_cancel_can_be_withdrawn(exchange):
    """Clearing asks for the same volume as setting."""
    assert exchange.schedule_cancel(None)["status"] == "err"


def test_an_agent_signs_for_its_master_once_approved_and_a_stranger_never(venue, exchange):
    approved, key = exchange.approve_agent("maker")
    assert approved["status"] == "ok", approved
    agent = eth_account.Account.from_key(key)
    with sdk_exchange(venue, agent, account_address=ADDRESS) as trading:
        oid = resting_oid(trading.order(COIN, True, 0.5, 680.0, ALO))
        assert open_oids(exchange) == {oid}
    assert [row["name"] for row in exchange.info.extra_agents(ADDRESS)] == ["maker"]
    stranger = eth_account.Account.from_key("0x" + "77" * 32)
    with sdk_exchange(venue, stranger) as outside:
        refused = outside.order(COIN, True, 0.5, 680.0, ALO)
        assert refused["status"] == "err"
        assert stranger.address.lower() in refused["response"]


def test_an_action_past_its_expiry_is_refused(exchange):
    exchange.set_expires_after(int(time.time() * 1_000) - 1_000)
    refused = exchange.order(COIN, True, 0.5, 680.0, ALO)
    assert refused["status"] == "err"
    assert "expired" in refused["response"]
    exchange.set_expires_after(None)
    assert open_oids(exchange) == set()


def test_two_accounts_trade_with_each_other_maker_and_taker(venue, exchange):
    best_ask = D(exchange.info.l2_snapshot(COIN)["levels"][1][0]["px"])
    maker_oid = resting_oid(exchange.order(COIN, False, 0.6, float(best_ask - D("0.01")), ALO))
    with sdk_exchange(venue, SECOND_WALLET) as other:
        (status,) = statuses(other.order(COIN, True, 0.6, float(best_ask), IOC))
        assert D(status["filled"]["avgPx"]) == best_ask - D("0.01")
        assert position(other, SECOND_WALLET.address) == D("0.6")
        (theirs,) = other.info.user_fills(SECOND_WALLET.address)
    (ours,) = exchange.info.user_fills(ADDRESS)
    assert (ours["oid"], ours["tid"], ours["time"]) == (maker_oid, theirs["tid"], theirs["time"])
    # maker 0.003 %, taker 0.009 %
    assert D(theirs["fee"]) == pytest.approx(3 * D(ours["fee"]), abs=D("0.000004"))


def test_quotes_of_the_sdk_are_hit_by_the_simulated_market_s_takers():
    with (
        running_venue(flow=SimulatedFlow(COIN, seed=3, speed=20.0)) as venue,
        sdk_exchange(venue) as exchange,
    ):

        def quoted_and_filled():
            bids, asks = exchange.info.l2_snapshot(COIN)["levels"]
            for is_buy, touch in ((True, bids[0]["px"]), (False, asks[0]["px"])):
                exchange.order(COIN, is_buy, 0.1, float(touch), ALO)
            fills = exchange.info.user_fills(ADDRESS)
            return fills if {fill["side"] for fill in fills} == {"A", "B"} else None

        fills = wait_until(quoted_and_filled, "fills on both sides")
        assert not any(fill["crossed"] for fill in fills)
        signed = sum(D(fill["sz"]) * (1 if fill["side"] == "B" else -1) for fill in reversed(fills))
        last = fills[0]
        side = 1 if last["side"] == "B" else -1
        assert D(last["startPosition"]) + side * D(last["sz"]) == signed
