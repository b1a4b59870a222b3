"""Placing, canceling and modifying orders: statuses, words and what becomes of them."""

from decimal import Decimal

import pytest

from hyperliquid_loopback import words
from hyperliquid_loopback.actions_in import MalformedActionError
from hyperliquid_loopback.actions_in import parse_action
from hyperliquid_loopback.options import VenueOptions
from hyperliquid_loopback.types import Filled
from hyperliquid_loopback.types import OrderChanged
from hyperliquid_loopback.types import VenueCanceled
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


def test_a_post_only_order_rests_and_is_told(scene):
    (status,) = scene.place(order("B", "689.5", "0.5", cloid=cloid_of(7)))
    oid = status["resting"]["oid"]
    assert status == {"resting": {"oid": oid, "cloid": cloid_of(7)}}
    (changed,) = scene.of(OrderChanged)
    assert changed.update == {
        "order": {
            "coin": COIN,
            "side": "B",
            "limitPx": "689.5",
            "sz": "0.5",
            "oid": oid,
            "timestamp": scene.now_ms,
            "origSz": "0.5",
            "cloid": cloid_of(7),
        },
        "status": "open",
        "statusTimestamp": scene.now_ms,
    }
    assert scene.exchange.open_orders(ALICE, "km") == [changed.update["order"]]
    assert scene.exchange.open_orders(ALICE) == []
    (row,) = scene.exchange.frontend_open_orders(ALICE, "km")
    assert (row["tif"], row["orderType"], row["isTrigger"]) == ("Alo", "Limit", False)
    assert scene.exchange.order_status(ALICE, cloid_of(7))["order"]["order"] == row
    assert scene.exchange.order_status(BOB, oid) == {"status": "unknownOid"}


def test_an_immediate_order_takes_the_house_and_the_reply_has_size_and_average(scene):
    (status,) = scene.place(order("B", "690.02", "15", tif="Ioc"))
    filled = status["filled"]
    # 10 at 690.01 and 5 at 690.02
    assert filled["totalSz"] == "15.0"
    assert filled["avgPx"] == "690.013333"
    assert scene.position() == 15
    rows = [event.fill for event in scene.of(Filled)]
    assert [(row["px"], row["sz"], row["crossed"], row["dir"]) for row in rows] == [
        ("690.01", "10.0", True, "Open Long"),
        ("690.02", "5.0", True, "Open Long"),
    ]
    assert scene.status(filled["oid"]) == "filled"


def test_the_rest_of_an_immediate_order_is_canceled(scene):
    (status,) = scene.place(order("B", "690.01", "12", tif="Ioc"))
    assert status["filled"]["totalSz"] == "10.0"
    assert scene.status(status["filled"]["oid"]) == "canceled"
    assert scene.exchange.open_orders(ALICE, "km") == []


@pytest.mark.parametrize("reply", ["resting", "filled"])
def test_a_gtc_order_that_fills_in_part_rests_and_replies_as_configured(reply):
    scene = Scene(options=VenueOptions(partial_gtc_reply=reply))
    (status,) = scene.place(order("B", "690.01", "12", tif="Gtc"))
    assert list(status) == [reply]
    (row,) = scene.exchange.open_orders(ALICE, "km")
    assert (row["sz"], row["origSz"]) == ("2.0", "12.0")
    assert scene.exchange.bbo(COIN)["bbo"][0] == {"px": "690.01", "sz": "2.0", "n": 1}


def trigger(price, tpsl="sl", *, market=True):
    return {"isMarket": market, "triggerPx": str(price), "tpsl": tpsl}


@pytest.mark.parametrize(
    ("row", "words_", "status"),
    [
        (order("B", "690.005"), words.TICK, "tickRejected"),
        (order("B", "689.5", "0.014"), words.MIN_VALUE, "minTradeNtlRejected"),
        (order("B", "689.5", "2000"), words.MARGIN, "perpMarginRejected"),
        (order("B", "689.5", reduce_only=True), words.REDUCE_ONLY, "reduceOnlyRejected"),
        (
            order("B", "690.01"),
            "Post only order would have immediately matched, bbo was 689.99@690.01.",
            "badAloPxRejected",
        ),
        (order("B", "690", tif="Ioc"), words.IOC_NO_MATCH, "iocCancelRejected"),
        (order("B", "190", "1"), words.ORACLE, "oracleRejected"),
        (order("A", "680", "1", trigger=trigger("700")), words.BAD_TRIGGER, "badTriggerPxRejected"),
    ],
    ids=["tick", "value", "margin", "reduce only", "post only", "no match", "oracle", "trigger"],
)
def test_each_refusal_has_its_words_its_asset_and_its_status(scene, row, words_, status):
    good = order("B", "689")
    answers = scene.place(good, {**row, "c": cloid_of(9)})
    assert answers[0].keys() == {"resting"}
    assert answers[1] == {"error": f"{words_} asset={ASSET}"}
    known = scene.exchange.order_status(ALICE, cloid_of(9))["order"]
    assert known["status"] == status
    assert scene.exchange.historical_orders(ALICE)[0] == known
    assert scene.of(OrderChanged)[-1].update["status"] == status


@pytest.mark.parametrize(
    ("row", "words_"),
    [
        (order("B", "689", "0"), words.ZERO_SIZE),
        (order("B", "689", "0.0001"), words.INVALID_SIZE),
        (order("B", "-1"), words.INVALID_PRICE),
        (order("B", "130"), words.REFERENCE_PRICE),
        (order("A", "1300"), words.REFERENCE_PRICE),
        (order("B", "689", asset=159_999), words.BAD_ASSET),
    ],
)
def test_a_payload_error_refuses_the_whole_batch_once(scene, row, words_):
    assert scene.place(order("B", "689"), order("B", "688"), row) == [{"error": words_}]
    assert scene.exchange.open_orders(ALICE, "km") == []
    assert scene.exchange.historical_orders(ALICE) == []


def test_an_empty_batch_and_one_of_201_are_errors_of_the_action(scene):
    assert scene.act(place_action()) == {"status": "err", "response": "Orders are empty."}
    many = [order("B", "689") for _ in range(201)]
    assert scene.act(place_action(*many))["response"] == "Signed action over weight limit of 200."
    assert scene.act(cancel_action())["status"] == "err"


def test_a_client_id_is_taken_once_unless_its_order_was_refused(scene):
    assert "error" in scene.place(order("B", "690.005", cloid=cloid_of(1)))[0]
    first = scene.rest("B", "689", cloid=cloid_of(1))
    (again,) = scene.place(order("B", "688", cloid=cloid_of(1)))
    assert again == {"error": f"{words.DUPLICATE_CLOID} asset={ASSET}"}
    assert scene.exchange.order_status(ALICE, cloid_of(1))["order"]["order"]["oid"] == first
    # another user's ids are their own
    scene.rest("B", "688", cloid=cloid_of(1), user=BOB)


def test_cancels_answer_item_by_item(scene):
    mine, other = scene.rest("B", "689"), scene.rest("B", "688", user=BOB)
    reply = scene.act(cancel_action(mine, other, 5))
    missing = {"error": f"Order was never placed, already canceled, or filled. asset={ASSET}"}
    assert reply["response"] == {"type": "cancel", "data": {"statuses": ["success", missing, missing]}}
    assert scene.status(mine) == "canceled"
    assert scene.of(OrderChanged)[0].update["order"]["sz"] == "1.0"
    assert scene.of(VenueCanceled) == []
    assert scene.act(cancel_action(mine))["response"]["data"]["statuses"] == [missing]


def test_a_cancel_under_another_asset_finds_nothing(scene):
    oid = scene.rest("B", "689")
    assert "error" in scene.act(cancel_action(oid, asset=110_000))["response"]["data"]["statuses"][0]
    assert scene.status(oid) == "open"


def test_cancel_by_client_id_finds_the_newest_order_of_the_id(scene):
    oid = scene.rest("B", "689", cloid=cloid_of(3))
    scene.act(modify_action(oid, order("B", "688", cloid=cloid_of(3))))
    action = {"type": "cancelByCloid", "cancels": [{"asset": ASSET, "cloid": cloid_of(3)}]}
    assert scene.act(action)["response"]["data"]["statuses"] == ["success"]
    assert scene.exchange.open_orders(ALICE, "km") == []


def test_a_modify_makes_a_new_order_at_the_back_even_when_only_the_size_falls(scene):
    oid = scene.rest("B", "689.5", "2", cloid=cloid_of(4))
    behind = scene.rest("B", "689.5", "1", user=BOB)
    (status,) = scene.act(modify_action(oid, order("B", "689.5", "1", cloid=cloid_of(4))))["response"][
        "data"
    ]["statuses"]
    new = status["resting"]["oid"]
    assert new != oid
    assert scene.status(oid) == "canceled"
    assert [event.update["status"] for event in scene.of(OrderChanged)] == ["canceled", "open"]
    assert scene.exchange.order_status(ALICE, cloid_of(4))["order"]["order"]["oid"] == new
    book = scene.exchange.core.markets[COIN].book
    assert book.bids.levels[Decimal("689.5")].first.oid == behind


@pytest.mark.parametrize("tif", ["Alo", "Gtc"])
@pytest.mark.parametrize(("option", "left"), [("keep", "open"), ("cancel", "canceled")])
def test_a_modify_that_would_cross_is_refused_and_the_old_order_is_as_configured(tif, option, left):
    scene = Scene(options=VenueOptions(refused_modify=option))
    oid = scene.rest("B", "689.5", cloid=cloid_of(5))
    reply = scene.act(modify_action(oid, order("B", "690.01", tif=tif, cloid=cloid_of(5))))
    (status,) = reply["response"]["data"]["statuses"]
    assert status["error"].startswith("Post only order would have immediately matched")
    assert scene.status(oid) == left
    if option == "keep":
        assert scene.exchange.order_status(ALICE, cloid_of(5))["order"]["order"]["oid"] == oid


def test_a_gtc_modify_that_does_not_cross_becomes_post_only(scene):
    oid = scene.rest("B", "689.5")
    scene.act(modify_action(oid, order("B", "689", tif="Gtc")))
    assert scene.exchange.frontend_open_orders(ALICE, "km")[0]["tif"] == "Alo"


def test_a_modify_of_a_closed_order_is_refused_unless_it_always_places(scene):
    oid = scene.rest("B", "689.5", cloid=cloid_of(6))
    scene.act(cancel_action(oid))
    new = order("B", "690.01", "1", tif="Ioc", cloid=cloid_of(6))
    refused = scene.act(modify_action(oid, order("B", "689")))["response"]["data"]["statuses"]
    assert refused == [{"error": "Cannot modify canceled or filled order."}]
    (status,) = scene.act(modify_action(oid, new, a=True))["response"]["data"]["statuses"]
    assert status["filled"]["totalSz"] == "1.0"
    assert scene.exchange.order_status(ALICE, cloid_of(6))["order"]["status"] == "filled"


def test_always_place_cancels_the_old_order_even_when_the_new_one_is_refused(scene):
    oid = scene.rest("B", "689.5")
    (status,) = scene.act(modify_action(oid, order("B", "690.005"), a=True))["response"]["data"]["statuses"]
    assert "tick" in status["error"]
    assert scene.status(oid) == "canceled"


def test_without_always_place_an_immediate_modify_is_refused(scene):
    oid = scene.rest("B", "689.5")
    (status,) = scene.act(modify_action(oid, order("B", "690.01", tif="Ioc")))["response"]["data"]["statuses"]
    assert status["error"].startswith(words.MODIFY_POST_ONLY)
    assert scene.status(oid) == "open"


def test_a_single_modify_answers_default_or_an_error_of_the_action(scene):
    oid = scene.rest("B", "689.5")
    action = {"type": "modify", "oid": oid, "order": order("B", "689")}
    assert scene.act(action) == {"status": "ok", "response": {"type": "default"}}
    assert scene.act(action) == {"status": "err", "response": "Cannot modify canceled or filled order."}


def test_a_modify_counts_the_margin_of_its_old_order_as_free(scene):
    # 10,000 at the default leverage carry one such order, not two
    size = Decimal(10_000) * 20 / Decimal(690)
    oid = scene.rest("B", "689", str(size.quantize(Decimal("0.1"))))
    assert "Insufficient" in scene.place(order("B", "688", "100"))[0]["error"]
    (status,) = scene.act(modify_action(oid, order("B", "688", str(size.quantize(Decimal("0.1"))))))[
        "response"
    ]["data"]["statuses"]
    assert "resting" in status


def test_a_canceled_order_gives_its_margin_back(scene):
    big = order("B", "689", "250")
    oid = scene.rest("B", "689", "250")
    assert scene.place(big) == [{"error": f"{words.MARGIN} asset={ASSET}"}]
    scene.act(cancel_action(oid))
    assert "resting" in scene.place(big)[0]


@pytest.mark.parametrize(
    "action",
    [
        {"type": "frobnicate"},
        {"type": "order", "orders": [{"a": ASSET}]},
        {"type": "order", "orders": [order("B", "x")]},
        {"type": "order", "orders": [order("B", "NaN")]},
        {"type": "order", "orders": [{**order("B", "1"), "p": 1.5}]},
        {"type": "order", "orders": [{**order("B", "1"), "t": {"limit": {"tif": "Fok"}}}]},
        {"type": "order", "orders": [order("B", "1", cloid="0x12")]},
        {"type": "order", "orders": [], "grouping": "all"},
        {"type": "cancel", "cancels": [{"a": True, "o": 1}]},
        {"type": "cancel", "cancels": {"a": 1, "o": 1}},
        {"type": "batchModify", "modifies": [{"oid": "soon", "order": order("B", "1")}]},
        {"type": "scheduleCancel", "time": "soon"},
    ],
)
def test_what_the_venue_cannot_read_is_malformed(action):
    with pytest.raises(MalformedActionError):
        parse_action(action)


def test_more_open_orders_than_the_cap_are_refused(scene):
    for start in range(0, 1_000, 200):
        rows = [order("B", str(600 - (start + i) % 100), "0.02") for i in range(200)]
        assert all("resting" in status for status in scene.place(*rows))
    (status,) = scene.place(order("B", "600", "0.02"))
    assert status == {"error": f"{words.TOO_MANY_OPEN} asset={ASSET}"}
    assert scene.exchange.historical_orders(ALICE)[0]["status"] == "tooManyOpenOrdersRejected"
    # an immediate order does not rest
    assert "filled" in scene.place(order("A", "689.99", "0.1", tif="Ioc"))[0]


def test_old_orders_are_forgotten_but_never_an_open_one():
    scene = Scene(options=VenueOptions(orders_kept=10))
    kept = scene.rest("B", "600")
    first = scene.rest("B", "601", cloid=cloid_of(1))
    scene.act(cancel_action(first))
    for _ in range(12):
        scene.act(cancel_action(scene.rest("B", "602")))
    assert scene.status(kept) == "open"
    assert scene.exchange.order_status(ALICE, first) == {"status": "unknownOid"}
    assert scene.exchange.order_status(ALICE, cloid_of(1)) == {"status": "unknownOid"}
    assert len(scene.exchange.historical_orders(ALICE)) == 10
