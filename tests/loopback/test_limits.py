"""What an address and an IP address may send."""

from decimal import Decimal

import pytest

from hyperliquid_loopback.limits import AddressLimits
from hyperliquid_loopback.limits import IpLimits
from hyperliquid_loopback.limits import action_size
from hyperliquid_loopback.limits import action_weight
from tests.loopback.account_scene import NOW
from tests.loopback.account_scene import USER
from tests.loopback.account_scene import fill
from tests.loopback.account_scene import scene


D = Decimal


def orders(count):
    return {"type": "order", "orders": [{}] * count, "grouping": "na"}


def cancels(count):
    return {"type": "cancel", "cancels": [{}] * count}


NOOP = {"type": "noop"}


@pytest.mark.parametrize(
    ("action", "size", "weight"),
    [
        (orders(1), 1, 1),
        (orders(39), 39, 1),
        (orders(40), 40, 2),
        ({"type": "batchModify", "modifies": [{}] * 80}, 80, 3),
        (cancels(5), 5, 1),
        ({"type": "cancelByCloid", "cancels": [{}] * 2}, 2, 1),
        ({"type": "modify", "oid": 1, "order": {}}, 1, 1),
        (NOOP, 1, 1),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else None,
)
def test_a_batch_counts_its_items(action, size, weight):
    assert (action_size(action), action_weight(action)) == (size, weight)


def test_an_address_may_send_what_it_began_with_and_one_for_each_unit_traded():
    limits = AddressLimits(initial=10)
    assert limits.admit(orders(10), NOW) is None
    words = limits.admit(orders(2), NOW)
    assert words == (
        "Too many cumulative requests sent (12 > 10) for cumulative volume traded $0.00. "
        "Place taker orders to free up 1 request per USDC traded."
    )
    limits.on_volume(D("2.99"), growth=False)
    assert limits.cap == 12
    assert limits.admit(orders(2), NOW) is None
    assert limits.admit(orders(2), NOW).startswith("Too many cumulative requests sent (14 > 12)")


def test_volume_of_a_growth_mode_market_counts_a_tenth():
    limits = AddressLimits()
    limits.on_volume(D(12_345), growth=True)
    assert limits.cap == 11_234
    accounts = scene()
    fill(accounts, 1, "10")
    assert accounts.rate_limit(USER) == {
        "cumVlm": "700.0",
        "nRequestsUsed": 0,
        "nRequestsCap": 10_700,
        "nRequestsSurplus": 0,
    }


def test_above_the_limit_one_action_is_taken_each_ten_seconds():
    limits = AddressLimits(initial=0)
    assert limits.admit(NOOP, NOW) is None
    assert limits.admit(NOOP, NOW + 9_999) is not None
    # a refused try neither counts nor puts the next one off
    assert limits.sent == 1
    assert limits.admit(NOOP, NOW + 10_000) is None
    assert limits.admit(orders(2), NOW + 30_000) is not None


def test_cancels_are_taken_up_to_twice_the_limit():
    limits = AddressLimits(initial=10)
    assert limits.admit(orders(10), NOW) is None
    assert limits.admit(cancels(10), NOW) is None
    assert limits.admit(cancels(2), NOW).startswith("Too many cumulative requests sent (22 > 20)")
    rich = AddressLimits(initial=200_000)
    rich.sent = 299_999
    assert rich.admit(cancels(1), NOW) is None
    assert "(300002 > 300000)" in rich.admit(cancels(2), NOW)


def test_bought_actions_do_not_count_and_show_as_a_surplus():
    limits = AddressLimits(initial=10)
    limits.buy(5)
    assert limits.surplus == 5
    assert limits.admit(orders(15), NOW) is None
    assert (limits.used, limits.surplus, limits.cap) == (10, 0, 10)
    assert "(12 > 10)" in limits.admit(orders(2), NOW)


def test_two_hundred_items_are_the_most_and_none_is_too_few():
    limits = AddressLimits()
    assert limits.admit(orders(200), NOW) is None
    assert limits.admit(orders(201), NOW) == "Signed action over weight limit of 200."
    assert limits.admit(orders(0), NOW) == "Orders are empty."
    assert limits.sent == 200


def test_a_late_action_costs_five_times():
    accounts = scene()
    accounts.charge_expired(USER, orders(3))
    assert accounts.rate_limit(USER)["nRequestsUsed"] == 15


def test_transfers_and_purchases_are_taken_by_an_address_above_its_limit():
    limits = AddressLimits(initial=0)
    limits.sent = 100
    for kind in ("sendAsset", "usdClassTransfer", "approveAgent", "reserveRequestWeight"):
        assert limits.admit({"type": kind}, NOW) is None
    assert limits.sent == 100


def test_open_orders_are_capped_by_volume():
    limits = AddressLimits()
    assert limits.order_refusal(999) is None
    assert limits.order_refusal(1_000) == "Too many open orders."
    limits.on_volume(D(10_000_000), growth=True)
    assert limits.max_orders == 1_002
    assert limits.order_refusal(1_001) is None
    # from a thousand on, the cap is not for these
    assert limits.order_refusal(1_000, reduce_only=True) is not None
    assert limits.order_refusal(1_000, trigger=True) is not None
    assert limits.order_refusal(999, reduce_only=True) is None
    limits.on_volume(D(10**12), growth=False)
    assert limits.max_orders == 5_000


def test_the_house_knows_no_limit():
    accounts = scene()
    house = "0x" + "ee" * 20
    accounts.open_account(house, house=True)
    assert accounts.admit(house, orders(5_000), NOW) is None
    assert accounts.open_order_refusal(house, 10_000) is None
    assert accounts.open_order_refusal(USER, 10_000) is not None
    assert accounts.admit(USER, orders(201), NOW) == "Signed action over weight limit of 200."


# IP


def test_weight_is_counted_over_the_last_minute():
    limits = IpLimits(weight=100)
    for n in range(5):
        assert limits.take_info(NOW + n, "userFees")
    assert not limits.take_info(NOW + 10, "l2Book")
    assert limits.weight_used(NOW + 10) == 100
    assert limits.take_info(NOW + 60_000, "l2Book")
    assert limits.weight_used(NOW + 60_000) == 82


def test_the_heaviest_request_is_the_role():
    limits = IpLimits()
    assert all(limits.take_info(NOW, "userRole") for _ in range(20))
    assert not limits.take_info(NOW, "userRole")


def test_rows_of_a_reply_add_weight_after_the_answer():
    limits = IpLimits(weight=100)
    assert limits.take_info(NOW, "userFills")
    limits.rows(NOW, "userFills", 2_000)
    assert limits.weight_used(NOW) == 120
    assert not limits.take(NOW, 1)
    limits.rows(NOW, "meta", 500)
    assert limits.weight_used(NOW) == 120


def test_an_action_weighs_one_and_one_more_for_forty():
    limits = IpLimits(weight=3)
    assert limits.take_action(NOW, orders(40))
    assert not limits.take_action(NOW, orders(40))
    assert limits.take_action(NOW, orders(39))


def test_ten_sockets_and_thirty_new_ones_in_a_minute():
    limits = IpLimits()
    numbers = [limits.connect(NOW) for _ in range(11)]
    assert numbers[:10] == list(range(1, 11))
    assert numbers[10] is None
    for number in numbers[:10]:
        limits.disconnect(number)
    limits.disconnect(99)
    for _ in range(20):
        number = limits.connect(NOW + 1)
        assert number is not None
        limits.disconnect(number)
    assert limits.connect(NOW + 2) is None
    assert limits.connect(NOW + 60_000) is not None


def test_subscriptions_and_users_are_counted_over_all_sockets():
    limits = IpLimits(subscriptions=13)
    one, two = limits.connect(NOW), limits.connect(NOW)
    for n in range(10):
        assert limits.subscribe(one if n % 2 else two, f"userFills {n}", f"0x{n:040x}") is None
    assert limits.users == 10
    assert limits.subscribe(one, "userFills 10", "0xA") == "Cannot track more than 10 total users."
    # a user who is tracked already is no other, in any case of letters
    assert limits.subscribe(one, "orderUpdates 9", f"0X{9:040X}".lower()) is None
    assert limits.subscribe(one, "bbo", None) is None
    assert limits.subscribe(two, "trades", None) is None
    assert limits.subscriptions == 13
    assert limits.subscribe(two, "l2Book", None) == "Cannot subscribe to more than 1000 channels."
    limits.unsubscribe(two, "trades")
    limits.unsubscribe(99, "trades")
    assert limits.subscribe(two, "l2Book", None) is None
    limits.disconnect(one)
    assert limits.users == 5


def test_messages_of_a_minute_and_posts_in_flight_are_capped():
    limits = IpLimits(messages=3, posts=2)
    assert [limits.message(NOW) for _ in range(4)] == [True, True, True, False]
    assert limits.message(NOW + 60_000)
    assert limits.post(1) is None
    assert limits.post(2) is None
    assert limits.post(3) == "too many pending post requests id=3"
    limits.post_done()
    assert limits.post(4) is None
