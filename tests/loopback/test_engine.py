"""Matching: priority, self-trade prevention, reduce-only upkeep, the resting side's margin, triggers, and the house."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from hyperliquid_loopback import words
from hyperliquid_loopback.options import VenueOptions
from hyperliquid_loopback.types import BUY
from hyperliquid_loopback.types import SELL
from hyperliquid_loopback.types import BookChanged
from hyperliquid_loopback.types import Filled
from hyperliquid_loopback.types import LedgerMoved
from hyperliquid_loopback.types import LeverageChanged
from hyperliquid_loopback.types import Liquidated
from hyperliquid_loopback.types import OrderChanged
from hyperliquid_loopback.types import Traded
from hyperliquid_loopback.types import VenueCanceled
from hyperliquid_loopback.types import trade_id
from tests.loopback.core_scene import ALICE
from tests.loopback.core_scene import ASSET
from tests.loopback.core_scene import BOB
from tests.loopback.core_scene import COIN
from tests.loopback.core_scene import Scene
from tests.loopback.core_scene import cancel_action
from tests.loopback.core_scene import cloid_of
from tests.loopback.core_scene import modify_action
from tests.loopback.core_scene import order
from tests.loopback.core_scene import place_action


def statuses(scene):
    return [(event.oid, event.update["status"]) for event in scene.of(OrderChanged)]


def test_two_users_trade_at_the_resting_price_and_both_are_told(scene):
    maker = scene.rest("A", "690", "2", cloid=cloid_of(1))
    (status,) = scene.place(order("B", "690.5", "0.5", tif="Ioc"), user=BOB)
    taker = status["filled"]["oid"]
    (traded,) = scene.of(Traded)
    assert (traded.px, traded.sz, traded.side) == (Decimal(690), Decimal("0.5"), BUY)
    assert (traded.buyer, traded.seller) == (BOB, ALICE)
    assert traded.tid == trade_id(taker, maker) < 2**50
    fills = {event.user: event.fill for event in scene.of(Filled)}
    assert fills[ALICE]["crossed"] is False
    assert fills[BOB]["crossed"] is True
    assert fills[ALICE]["cloid"] == cloid_of(1)
    assert fills[ALICE]["tid"] == fills[BOB]["tid"] == traded.tid
    assert fills[ALICE]["hash"] == fills[BOB]["hash"] == traded.hash
    assert len(traded.hash) == 66
    # growth mode: taker 0.009 %, maker 0.003 % of 345
    assert (fills[BOB]["fee"], fills[ALICE]["fee"]) == ("0.03105", "0.01035")
    assert statuses(scene) == [(maker, "open"), (taker, "filled")]
    assert scene.exchange.recent_trades(COIN)[0] == traded.wire()
    assert (scene.position(), scene.position(BOB)) == (Decimal("-0.5"), Decimal("0.5"))
    assert scene.exchange.core.markets[COIN].state.open_interest == Decimal("0.5")


def test_a_partial_fill_is_not_told_when_so_configured():
    scene = Scene(options=VenueOptions(partial_fill_updates=False))
    maker = scene.rest("A", "690", "2")
    scene.place(order("B", "690", "0.5", tif="Ioc"), user=BOB)
    assert maker not in dict(statuses(scene))


def test_price_goes_before_time_and_time_decides_at_a_price(scene):
    first = scene.rest("A", "690", "1", user=BOB)
    second = scene.rest("A", "690", "1")
    scene.exchange.core.markets[COIN].book.clear_house()
    best = scene.rest("A", "689.98", "1", user=BOB)
    scene.step(house=lambda _: scene.exchange.house_take(COIN, BUY, Decimal("2.5"), Decimal(690)))
    assert statuses(scene) == [(best, "filled"), (first, "filled"), (second, "open")]
    (row,) = scene.exchange.open_orders(ALICE, "km")
    assert row["sz"] == "0.5"


def test_the_taker_goes_on_past_its_own_resting_order_which_is_canceled(scene):
    own = scene.rest("A", "690", "1")
    (status,) = scene.place(order("B", "690.01", "3", tif="Ioc"))
    assert status["filled"]["totalSz"] == "3.0"
    assert scene.status(own) == "selfTradeCanceled"
    assert [event.oid for event in scene.of(VenueCanceled)] == [own]
    assert [event.px for event in scene.of(Traded)] == [Decimal("690.01")]


def test_an_immediate_order_that_meets_only_its_owner_trades_nothing():
    scene = Scene(ladder=False)
    own = scene.rest("A", "690", "1")
    (status,) = scene.place(order("B", "690", "1", tif="Ioc", cloid=cloid_of(2)))
    assert status == {"error": f"{words.IOC_NO_MATCH} asset={ASSET}"}
    assert scene.status(own) == "selfTradeCanceled"
    assert scene.status(cloid_of(2)) == "iocCancelRejected"
    assert scene.of(Traded) == []


def fall(scene, *prices):
    """Move the house and the oracle down, no further at a time than the mark may follow."""
    for price in prices:
        scene.exchange.core.markets[COIN].book.clear_house()
        scene.ladder(price, str(Decimal(price) + Decimal("0.02")), size="30")
        scene.oracle(price)


def test_a_resting_order_without_margin_is_canceled_when_it_would_match():
    scene = Scene(equity="1000")
    scene.act({"type": "updateLeverage", "asset": ASSET, "isCross": True, "leverage": 20})
    scene.place(order("B", "690.05", "20", tif="Ioc"))
    oid = scene.rest("B", "650", "8")
    fall(scene, "684", "678", "672", "666", "660", "655")
    # worth more than maintenance, but not than what the position and 8 contracts more need
    assert scene.position() == 20
    scene.exchange.core.markets[COIN].book.clear_house()
    scene.step(house=lambda _: scene.exchange.house_take(COIN, SELL, Decimal(8), Decimal(640)))
    assert scene.status(oid) == "marginCanceled"
    assert [event.oid for event in scene.of(VenueCanceled)] == [oid]
    assert scene.of(Traded) == []
    assert scene.position() == 20


def test_a_resting_order_shrinks_with_the_position_and_goes_with_it(scene):
    scene.place(order("B", "690.01", "4", tif="Ioc"))
    closing = scene.rest("A", "695", "6", reduce_only=True)
    # more than the position never rests
    assert scene.exchange.open_orders(ALICE, "km")[0]["sz"] == "4.0"
    scene.place(order("A", "689.99", "3", tif="Ioc"))
    assert scene.exchange.open_orders(ALICE, "km")[0]["sz"] == "1.0"
    scene.place(order("A", "689.99", "1", tif="Ioc"))
    assert scene.position() == 0
    assert scene.status(closing) == "reduceOnlyCanceled"
    assert [event.oid for event in scene.of(VenueCanceled)] == [closing]


def test_a_reduce_only_taker_stops_at_flat(scene):
    scene.place(order("B", "690.01", "2", tif="Ioc"))
    (status,) = scene.place(order("A", "689.99", "5", tif="Ioc", reduce_only=True))
    assert status["filled"]["totalSz"] == "2.0"
    assert scene.position() == 0


def test_the_minimum_value_is_waived_only_for_the_reduce_only_order_that_closes_all(scene):
    scene.place(order("B", "690.01", "0.02", tif="Ioc"))
    scene.place(order("A", "689.99", "0.015", tif="Ioc"))
    assert scene.position() == Decimal("0.005")
    small = order("A", "689.99", "0.004", tif="Ioc", reduce_only=True)
    assert words.MIN_VALUE in scene.place(small)[0]["error"]
    assert words.MIN_VALUE in scene.place(order("A", "689.99", "0.005", tif="Ioc"))[0]["error"]
    assert "filled" in scene.place({**small, "s": "0.005"})[0]
    assert scene.position() == 0


def test_two_resting_reduce_only_orders_cannot_turn_the_position_round(scene):
    scene.place(order("B", "690.01", "2", tif="Ioc"))
    # the house leaves, so that both rest best
    scene.exchange.core.markets[COIN].book.clear_house()
    first = scene.rest("A", "690", "2", reduce_only=True)
    second = scene.rest("A", "690", "2", reduce_only=True)
    scene.step(house=lambda _: scene.exchange.house_take(COIN, BUY, Decimal(4), Decimal(690)))
    assert scene.position() == 0
    assert (scene.status(first), scene.status(second)) == ("filled", "reduceOnlyCanceled")


def trigger(price, tpsl="sl", *, market=True):
    return {"isMarket": market, "triggerPx": str(price), "tpsl": tpsl}


def test_a_stop_waits_for_the_mark_and_then_sells(scene):
    scene.place(order("B", "690.01", "2", tif="Ioc"))
    stop = order("A", "600", "2", reduce_only=True, cloid=cloid_of(8), trigger=trigger("688"))
    assert scene.place(stop) == ["waitingForTrigger"]
    (row,) = scene.exchange.frontend_open_orders(ALICE, "km")
    assert (row["isTrigger"], row["triggerPx"], row["triggerCondition"], row["orderType"]) == (
        True,
        "688.0",
        "Price below 688.0",
        "Stop Market",
    )
    scene.oracle("689.9")
    assert scene.position() == 2
    scene.exchange.core.markets[COIN].book.clear_house()
    scene.ladder("687", "687.02")
    scene.oracle("687")
    assert scene.position() == 0
    oid = row["oid"]
    assert [update for number, update in statuses(scene) if number == oid] == ["triggered", "filled"]
    assert scene.status(cloid_of(8)) == "filled"


def test_a_take_profit_limit_rests_once_it_is_set_off(scene):
    scene.place(order("B", "690.01", "2", tif="Ioc"))
    take = order("A", "693", "2", reduce_only=True, trigger=trigger("690.5", "tp", market=False))
    assert scene.place(take) == ["waitingForTrigger"]
    scene.exchange.core.markets[COIN].book.clear_house()
    scene.ladder("690.99", "691.01")
    scene.oracle("691")
    (row,) = scene.exchange.frontend_open_orders(ALICE, "km")
    assert (row["isTrigger"], row["limitPx"], row["tif"]) == (False, "693.0", "Gtc")


def test_a_stop_that_opens_is_checked_for_margin_when_it_is_set_off(scene):
    for size in ("1", "900"):
        row = order("B", "695", size, cloid=cloid_of(int(size)), trigger=trigger("690.5", market=False))
        assert scene.place(row) == ["waitingForTrigger"]
    scene.exchange.core.markets[COIN].book.clear_house()
    scene.ladder("690.99", "691.01")
    scene.oracle("691")
    assert scene.status(cloid_of(1)) == "filled"
    assert scene.status(cloid_of(900)) == "perpMarginRejected"
    assert scene.position() == 1


def test_a_waiting_trigger_can_be_canceled_but_not_in_the_fast_way(scene):
    scene.place(order("B", "690.01", "2", tif="Ioc"))
    scene.place(order("A", "600", "2", reduce_only=True, trigger=trigger("688")))
    oid = scene.exchange.open_orders(ALICE, "km")[0]["oid"]
    (refused,) = scene.act(cancel_action(oid, f=True))["response"]["data"]["statuses"]
    assert refused["error"].startswith(words.FAST_TRIGGER)
    assert scene.act(cancel_action(oid))["response"]["data"]["statuses"] == ["success"]
    assert scene.exchange.core.waiting[COIN] == {}


def test_grouped_stops_may_come_with_their_entry_but_must_be_reduce_only(scene):
    entry = order("B", "690.01", "1", tif="Gtc")
    stop = order("A", "600", "1", reduce_only=True, trigger=trigger("688"))
    answers = scene.place(stop, entry, grouping="normalTpsl")
    assert answers[0] == "waitingForTrigger"
    assert "filled" in answers[1]
    bad = scene.place({**stop, "r": False}, grouping="normalTpsl")
    assert bad == [{"error": words.TPSL_REDUCE_ONLY}]


def test_at_the_open_interest_cap_only_reducing_orders_enter(scene):
    scene.place(order("B", "690.01", "2", tif="Ioc"))
    aggressive = scene.rest("B", "689.99", "1", user=BOB)
    scene.oracle("689.98")
    scene.exchange.set_oi_cap(COIN, on=True)
    scene.step()
    assert scene.exchange.at_oi_cap(COIN)
    assert scene.status(aggressive, BOB) == "openInterestCapCanceled"
    (grow,) = scene.place(order("B", "689", "1"))
    assert grow == {"error": f"{words.OI_INCREASE} asset={ASSET}"}
    (flip,) = scene.place(order("A", "689.99", "3", tif="Ioc"))
    assert flip == {"error": f"{words.OI_INCREASE} asset={ASSET}"}
    (low,) = scene.place(order("A", "689.97", "1", tif="Ioc"))
    assert low == {"error": f"{words.OI_AGGRESSIVE} asset={ASSET}"}
    assert "filled" in scene.place(order("A", "689.97", "1", tif="Ioc", reduce_only=True))[0]
    scene.exchange.set_oi_cap(COIN, on=False)
    assert "resting" in scene.place(order("B", "689", "1"))[0]


def test_a_priority_batch_is_all_immediate_or_all_post_only(scene):
    assert "resting" in scene.place(order("B", "689"), order("B", "688"), grouping={"p": 10})[0]
    mixed = scene.act(place_action(order("B", "689"), order("B", "690.01", tif="Ioc"), grouping={"p": 10}))
    assert mixed == {"status": "err", "response": words.PRIORITY_BATCH}


def test_a_house_level_that_crosses_fills_the_users_in_the_way_first(scene):
    mine = scene.rest("B", "689.98", "3")
    scene.exchange.core.markets[COIN].book.clear_house()
    scene.exchange.house_level(COIN, SELL, Decimal("689.97"), Decimal(10))
    scene.step()
    (traded,) = scene.of(Traded)
    assert (traded.px, traded.sz, traded.side) == (Decimal("689.98"), Decimal(3), SELL)
    assert scene.status(mine) == "filled"
    assert scene.exchange.bbo(COIN)["bbo"] == [None, {"px": "689.97", "sz": "7.0", "n": 1}]


def test_the_house_never_trades_with_its_own_ladder(scene):
    scene.exchange.house_level(COIN, SELL, Decimal("689.99"), Decimal(4))
    scene.step()
    assert scene.of(Traded) == []
    assert scene.exchange.best(COIN, SELL) == Decimal("689.99")
    assert scene.exchange.best(COIN, BUY) == Decimal("689.98")


def test_a_level_said_again_changes_nothing(scene):
    scene.exchange.house_level(COIN, BUY, Decimal("689.99"), Decimal(10))
    scene.step()
    assert scene.of(BookChanged) == []
    scene.exchange.house_level(COIN, BUY, Decimal("689.99"), Decimal(0))
    scene.step()
    assert scene.of(BookChanged) == [BookChanged(COIN)]
    assert scene.exchange.best(COIN, BUY) == Decimal("689.98")


def test_a_halt_cancels_everything_and_settles_at_the_mark_until_it_is_taken_back(scene):
    scene.place(order("B", "690.01", "2", tif="Ioc"))
    oid = scene.rest("B", "689")
    mark = scene.exchange.mark(COIN)
    scene.exchange.halt(COIN)
    scene.step()
    assert scene.position() == 0
    assert scene.status(oid) == "canceled"
    (filled,) = scene.of(Filled)
    assert (filled.fill["dir"], filled.fill["fee"]) == ("Settlement", "0.0")
    assert Decimal(filled.fill["px"]) == mark
    assert Decimal(filled.fill["closedPnl"]) == (mark - Decimal("690.01")) * 2
    assert scene.accounts.user_fills(ALICE)[0] == filled.fill
    assert scene.exchange.book(COIN)["levels"] == [[], []]
    assert scene.place(order("B", "689"))[0]["error"].startswith(words.HALTED)
    assert scene.exchange.house_take(COIN, BUY, Decimal(1), Decimal(700)) == 0
    scene.ladder("689.99", "690.01")
    assert scene.exchange.book(COIN)["levels"] == [[], []]
    assert scene.exchange.ctx(COIN)["openInterest"] == "0.0"
    scene.exchange.resume(COIN)
    assert "resting" in scene.place(order("B", "689"))[0]
    # the house, which was short, holds nothing any more: what it buys now is all there is
    scene.step(house=lambda _: scene.exchange.house_take(COIN, SELL, Decimal(1), Decimal(689)))
    assert scene.exchange.ctx(COIN)["openInterest"] == "1.0"
    scene.ladder("688.99", "689.01")
    scene.place(order("A", "688.99", "3", tif="Ioc"))
    assert scene.exchange.ctx(COIN)["openInterest"] == "3.0"


def test_a_delisted_coin_keeps_its_number_and_an_empty_book(scene):
    oid = scene.rest("B", "689")
    scene.exchange.delist(COIN)
    scene.step()
    assert scene.status(oid) == "delistedCanceled"
    assert scene.exchange.book(COIN)["levels"] == [[], []]
    assert scene.universe.asset_of(COIN) == ASSET
    assert not scene.exchange.is_trading(COIN)
    assert "error" in scene.place(order("B", "689"))[0]


def test_account_actions_reach_the_accounts_and_are_told(scene):
    leverage = {"type": "updateLeverage", "asset": ASSET, "isCross": True, "leverage": 5}
    assert scene.act(leverage) == {"status": "ok", "response": {"type": "default"}}
    assert scene.of(LeverageChanged) == [LeverageChanged(ALICE, COIN)]
    assert scene.act({**leverage, "leverage": 99})["response"] == "Invalid leverage value"
    assert scene.of(LeverageChanged) == []
    assert scene.act({"type": "noop"})["status"] == "ok"
    assert scene.act({**leverage, "asset": 999_999})["status"] == "err"
    token = "USDH:0x54e00a5988577cb0b0c9ab0cb6ef7f4b"
    send = {
        "type": "agentSendAsset",
        "destination": ALICE,
        "sourceDex": "km",
        "destinationDex": "spot",
        "token": token,
        "amount": "25",
        "fromSubAccount": "",
        "nonce": 1,
    }
    assert scene.act(send)["status"] == "ok"
    assert {event.dex for event in scene.of(LedgerMoved)} == {"km", "spot"}


def sinking():
    """Return a scene in which Alice is 26 contracts long at 690 on 1,000, a little above maintenance."""
    scene = Scene(equity="1000")
    scene.act({"type": "updateLeverage", "asset": ASSET, "isCross": True, "leverage": 20})
    for _ in range(2):
        scene.place(order("B", "690.05", "13", tif="Ioc"))
        scene.step(house=lambda _: scene.ladder("689.99", "690.01", size="20"))
    fall(scene, "684", "678", "672", "666.5")
    assert scene.position() == 26
    return scene


def test_a_position_below_maintenance_is_sold_into_the_book_and_all_orders_go():
    scene = sinking()
    resting = scene.rest("A", "700", "1", reduce_only=True)
    scene.rest("B", "663.01", "3", user=BOB)
    fall(scene, "663")
    assert scene.position() == 0
    assert scene.status(resting) == "liquidatedCanceled"
    assert [event.data["liquidated_user"] for event in scene.of(Liquidated)] == [ALICE]
    assert [event.side for event in scene.of(Traded)] == [SELL, SELL]
    rows = [event.fill for event in scene.of(Filled)]
    assert {row["liquidation"]["method"] for row in rows} == {"market"}
    assert {row["liquidation"]["liquidatedUser"] for row in rows} == {ALICE}
    # the maker's side carries it as well
    assert scene.position(BOB) == 3
    assert scene.accounts.user_fills(BOB)[0]["liquidation"]["liquidatedUser"] == ALICE
    row = scene.accounts.user_fills(ALICE)[0]
    assert row["dir"] == "Liquidated Cross Long"
    own = scene.exchange.order_status(ALICE, row["oid"])["order"]
    assert (own["order"]["tif"], own["status"]) == ("LiquidationMarket", "filled")
    # the next trade is an ordinary one
    scene.place(order("A", "662", "1", tif="Ioc"), user=BOB)
    assert "liquidation" not in scene.accounts.user_fills(BOB)[0]


def test_a_position_below_two_thirds_of_maintenance_goes_to_the_backstop():
    scene = sinking()
    fall(scene, "660")
    assert scene.position() == 0
    assert scene.of(Traded) == []
    (filled,) = scene.of(Filled)
    assert filled.fill["liquidation"]["method"] == "backstop"


def test_a_liquidation_waits_while_nobody_bids():
    scene = sinking()
    scene.exchange.core.markets[COIN].book.clear_house()
    scene.exchange.house_level(COIN, SELL, Decimal("663.02"), Decimal(30))
    scene.exchange.core.markets[COIN].book.last_trade = Decimal("663.02")
    scene.oracle("663")
    orders_before = scene.exchange.historical_orders(ALICE)
    scene.step()
    assert scene.position() == 26
    assert scene.exchange.historical_orders(ALICE) == orders_before
    scene.exchange.house_level(COIN, BUY, Decimal("662.9"), Decimal(30))
    scene.step()
    assert scene.position() == 0


orders = st.lists(
    st.tuples(
        st.sampled_from((ALICE, BOB)),
        st.sampled_from(("B", "A")),
        st.integers(68_980, 69_020),
        st.integers(20, 3_000),
        st.sampled_from(("Alo", "Gtc", "Ioc")),
        st.booleans(),
        st.integers(0, 9),
    ),
    max_size=40,
)


def play(script):
    scene = Scene()
    told = []
    for user, side, price, size, tif, reduce_only, what in script:
        mine = scene.exchange.open_orders(user, "km")
        if what == 0 and mine:
            scene.submit(cancel_action(mine[0]["oid"]), user)
        elif what == 1 and mine:
            scene.submit(
                modify_action(mine[-1]["oid"], order(side, f"{price / 100}", f"{size / 1000}")), user
            )
        else:
            row = order(side, f"{price / 100}", f"{size / 1000}", tif=tif, reduce_only=reduce_only)
            scene.submit(place_action(row), user)
        told += scene.step()
    return scene, told


@settings(max_examples=40, deadline=None)
@given(orders)
def test_after_any_orders_the_book_is_uncrossed_and_fills_add_up_to_the_positions(script):
    scene, told = play(script)
    bid, ask = scene.exchange.best(COIN, BUY), scene.exchange.best(COIN, SELL)
    assert bid is None or ask is None or bid < ask
    book = scene.exchange.core.markets[COIN].book
    resting = {row["oid"] for user in (ALICE, BOB) for row in scene.exchange.open_orders(user, "km")}
    in_book = {
        oid
        for half in (book.bids, book.asks)
        for level in half.levels.values()
        for oid, entry in level.queue.items()
        if not hasattr(entry, "user") or entry.user in (ALICE, BOB)
    }
    assert resting == in_book
    for user in (ALICE, BOB):
        rows = [event.fill for event in told if isinstance(event, Filled) and event.user == user]
        signed = sum((Decimal(row["sz"]) * (1 if row["side"] == "B" else -1) for row in rows), Decimal(0))
        assert signed == scene.position(user)
        assert len({(row["time"], row["coin"], row["tid"]) for row in rows}) == len(rows)
        # nothing rests that could not rest, and no margin is held for what is gone
        assert all(Decimal(row["sz"]) > 0 for row in scene.exchange.open_orders(user, "km"))
        for row in scene.exchange.open_orders(user, "km"):
            scene.act(cancel_action(row["oid"]), user)
        holder = scene.accounts.holder(user)
        account = scene.accounts.known(holder, COIN)
        assert account.order_margin == 0


@settings(max_examples=10, deadline=None)
@given(orders)
def test_the_same_orders_give_the_same_events(script):
    assert play(script)[1] == play(script)[1]


@pytest.mark.parametrize("option", ["oracle_band", "reference_band"])
def test_a_band_must_be_positive(option):
    with pytest.raises(ValueError, match="band"):
        VenueOptions(**{option: Decimal(0)})


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="refused_modify"):
        VenueOptions(refused_modify="maybe")
    with pytest.raises(ValueError, match="partial_gtc_reply"):
        VenueOptions(partial_gtc_reply="both")
