"""Inputs that no honest client sends: the venue answers each in words or with 422, and neither dies nor pays for it."""

import pytest

from hyperliquid_loopback.actions_in import MalformedActionError
from hyperliquid_loopback.actions_in import parse_action
from hyperliquid_loopback.types import LedgerMoved
from hyperliquid_loopback.types import Liquidated
from tests.loopback.account_scene import USER
from tests.loopback.account_scene import scene as account_scene
from tests.loopback.core_scene import ALICE
from tests.loopback.core_scene import ASSET
from tests.loopback.core_scene import BOB
from tests.loopback.core_scene import COIN
from tests.loopback.core_scene import Scene
from tests.loopback.core_scene import order
from tests.loopback.core_scene import place_action
from tests.loopback.venue_scene import D
from tests.loopback.venue_scene import Socket
from tests.loopback.venue_scene import still_venue


CLOID = "0x" + "0" * 31 + "7"


@pytest.mark.parametrize(
    "text",
    ["6.9e2", "1e999999999", "६९०", "6_90", " 690", "+690", ".5", "5.", "nan", "Infinity", "", "1" * 29],
)
def test_a_price_that_is_not_plain_digits_is_malformed(text):
    with pytest.raises(MalformedActionError):
        parse_action(place_action(order("B", text)))


@pytest.mark.parametrize("cloid", ["0x" + "1_" * 16, "0x" + "१" * 32, "0X" + "1" * 32, CLOID + "0"])
def test_a_cloid_that_is_not_thirty_two_hex_digits_is_malformed(cloid):
    with pytest.raises(MalformedActionError):
        parse_action(place_action(order("B", 690, cloid=cloid)))


@pytest.mark.parametrize("size", ["1" + "0" * 27, "0.0000001", "123456789012345678901234.5678"])
def test_a_size_of_any_length_is_answered_and_the_block_goes_on(size):
    scene = Scene()
    (status,) = scene.place(order("B", 680, size))
    assert "error" in status
    (fine,) = scene.place(order("B", 680, "1"))
    assert "resting" in fine


SEND = {
    "destination": ALICE,
    "sourceDex": "km",
    "destinationDex": "spot",
    "token": "USDH:0x54e00a5988577cb0b0c9ab0cb6ef7f4b",
    "amount": "1",
}


@pytest.mark.parametrize(
    "action",
    [
        {"type": "reserveRequestWeight", "weight": -1},
        {"type": "reserveRequestWeight"},
        {"type": "updateLeverage", "asset": ASSET, "isCross": "yes", "leverage": 5},
        {"type": "updateLeverage", "asset": ASSET, "isCross": True},
        {"type": "updateIsolatedMargin", "asset": ASSET, "isBuy": True, "ntli": 1.5},
        {"type": "topUpIsolatedOnlyMargin", "asset": ASSET, "leverage": "nan"},
        {"type": "sendAsset", **SEND, "destination": "hello"},
        {"type": "agentSendAsset", **SEND, "amount": 1},
        {"type": "usdClassTransfer", "amount": "1", "toPerp": 1},
        {"type": "agentSetAbstraction", "abstraction": ["i"]},
        {"type": "approveAgent", "agentAddress": "0x12"},
    ],
)
def test_an_action_about_the_account_with_a_wrong_field_is_malformed(action):
    with pytest.raises(MalformedActionError):
        parse_action(action)


def test_bought_weight_below_nothing_makes_no_money():
    accounts = account_scene(deposit="100")
    before = accounts.clearinghouse_state(USER, "", 0)
    with pytest.raises(ValueError, match="negative"):
        accounts.apply(USER, {"type": "reserveRequestWeight", "weight": -1_000_000}, 0)
    assert accounts.clearinghouse_state(USER, "", 0) == before
    assert accounts.rate_limit(USER)["nRequestsUsed"] == 0


@pytest.mark.parametrize(
    "text",
    [
        '{"method":["ping"]}',
        '{"method":{}}',
        '{"method":"subscribe","subscription":{"type":["l2Book"],"coin":"km:US500"}}',
        '{"method":"post","id":1,"request":{"type":["info"],"payload":{"type":"meta"}}}',
    ],
)
def test_a_frame_with_a_list_where_a_word_belongs_is_repeated_and_the_socket_stays(text):
    with still_venue() as venue, Socket(venue) as socket:
        socket.send(text)
        (answer,) = socket.settle()
    assert answer["channel"] == "error"
    assert answer["data"].endswith(text)


def test_a_trigger_that_ends_in_a_market_order_counts_against_the_cap_of_open_orders():
    scene = Scene(equity="1000000")
    rows = [order("B", D(600) - D(i) / 100, "0.02") for i in range(200)]
    for _ in range(5):
        scene.place(*rows)
    assert len(scene.exchange.open_orders(ALICE, "km")) == 1_000
    stop = {"isMarket": True, "triggerPx": "500", "tpsl": "sl"}
    (status,) = scene.place(order("A", 490, "1", trigger=stop))
    assert status == {"error": f"Too many open orders. asset={ASSET}"}


def test_an_order_that_would_turn_a_position_round_at_the_cap_is_told_as_a_flip():
    scene = Scene()
    scene.place(order("B", "690.01", "1", tif="Ioc"))
    scene.exchange.set_oi_cap(COIN, on=True)
    scene.place(order("A", 695, "3"), order("B", 685, "1"))
    newest = [row["status"] for row in scene.exchange.historical_orders(ALICE)[:2]]
    assert newest == ["positionIncreaseAtOpenInterestCapRejected", "positionFlipAtOpenInterestCapRejected"]


def test_open_interest_falls_when_the_backstop_takes_both_sides_of_it():
    scene = Scene(equity="36", ladder=False)
    scene.rest("B", 690, "1")
    scene.place(order("A", 690, "1", tif="Ioc"), user=BOB)
    assert scene.exchange.ctx(COIN)["openInterest"] == "1.0"
    for price in (696, 702, 708, 714, 720, 713, 706, 699, 692, 685, 678, 672, 666, 660):
        scene.now_ms += 3_000
        scene.exchange.set_oracle(COIN, D(price), scene.now_ms, marks=(D(price), D(price)))
        scene.step()
    assert (scene.position(ALICE), scene.position(BOB)) == (0, 0)
    assert scene.exchange.ctx(COIN)["openInterest"] == "0.0"


def test_the_listing_is_looked_at_once_in_a_block_and_every_time_outside():
    scene = Scene()
    with scene.accounts.terms.held():
        before = scene.accounts.terms.of(COIN)
        scene.universe.set_max_leverage(COIN, 10)
        assert scene.accounts.terms.of(COIN) is before
    assert scene.accounts.terms.of(COIN).max_leverage == 10
    scene.act({"type": "updateLeverage", "asset": ASSET, "isCross": True, "leverage": 11})
    assert scene.accounts.active_asset_data(ALICE, COIN)["leverage"]["value"] == 10


def test_a_liquidation_is_told_among_the_transfers_of_its_user():
    scene = Scene(equity="1000")
    scene.place(*[order("B", "690.05", "13", tif="Ioc") for _ in range(2)])
    assert scene.position() > 0
    for price in (684, 678, 672, 666, 660, 654):
        scene.now_ms += 3_000
        scene.exchange.set_oracle(COIN, D(price), scene.now_ms, marks=(D(price), D(price)))
        scene.step()
        if scene.of(Liquidated):
            break
    assert LedgerMoved(ALICE, "km") in scene.of(LedgerMoved)
    assert scene.accounts.ledger_updates(ALICE, 0)[-1]["delta"]["type"] == "liquidation"
