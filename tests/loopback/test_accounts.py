"""Orders, fills, fees, funding and drift of the venue's accounts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from hyperliquid_loopback.accounts import Accounts
from hyperliquid_loopback.accounts import direction
from hyperliquid_loopback.universe import Universe
from tests.loopback.account_scene import COIN
from tests.loopback.account_scene import HASH
from tests.loopback.account_scene import NOW
from tests.loopback.account_scene import OTHER
from tests.loopback.account_scene import USER
from tests.loopback.account_scene import fill
from tests.loopback.account_scene import only_position
from tests.loopback.account_scene import order
from tests.loopback.account_scene import scene
from tests.loopback.account_scene import state


D = Decimal
MARGIN = "Insufficient margin to place order."


def check(accounts, side, size, price="700", **more):
    return accounts.check_entry(USER, COIN, side=side, price=D(price), size=D(size), **more)


def test_an_order_needs_its_notional_over_the_leverage():
    accounts = scene()
    # 1000 at 20x carries 20,000: 28.571 at 700
    assert check(accounts, 1, "28.571") is None
    assert check(accounts, 1, "28.572") == MARGIN


def test_resting_orders_take_margin_and_give_it_back():
    accounts = scene()
    accounts.order_added(USER, order(size="20"))
    assert check(accounts, 1, "8.572") == MARGIN
    # the other side nets with it
    assert check(accounts, -1, "28") is None
    accounts.order_removed(USER, order(size="20"), D(20))
    assert check(accounts, 1, "28.571") is None


def test_a_reduce_only_order_takes_no_margin():
    accounts = scene()
    fill(accounts, 1, "28")
    accounts.order_added(USER, order(side=-1, size="28", reduce_only=True))
    assert check(accounts, -1, "28", reduce_only=True) is None
    pot = accounts.account(accounts.holder(USER), "km")
    assert pot.order_margin == 0


def test_removing_more_than_was_added_is_an_error():
    accounts = scene()
    accounts.order_added(USER, order(size="2"))
    with pytest.raises(ValueError, match=r"more of .* orders of km:US500 were removed"):
        accounts.order_removed(USER, order(size="2"), D(3))


@pytest.mark.parametrize(
    ("position", "side", "size", "expected"),
    [
        ("0", 1, "0.014", "Order must have minimum value of $10."),
        ("0", -1, "0.1", "Reduce only order would increase position."),
        ("1", 1, "0.1", "Reduce only order would increase position."),
        ("1", -1, "0.014", "Order must have minimum value of $10."),
        ("0.01", -1, "0.01", None),
        ("1", -1, "2", None),
    ],
)
def test_reduce_only_and_the_smallest_value_are_checked(position, side, size, expected):
    accounts = scene()
    if D(position):
        fill(accounts, 1, position)
    reduce_only = expected != "Order must have minimum value of $10." or D(position) > 0
    assert check(accounts, side, size, reduce_only=reduce_only) == expected


def test_a_fill_is_reported_as_the_venue_reports_it():
    accounts = scene()
    made = order(side=1, size="2", price="699.5", cloid="0x" + "2" * 32)
    row = accounts.fill(
        USER,
        COIN,
        side=1,
        price=D("699.5"),
        size=D(2),
        crossed=False,
        order=made,
        ts_ms=NOW,
        tid=5,
        hash=HASH,
    )
    # 0.003 % of 1399, cut to six decimals
    assert row == {
        "coin": COIN,
        "px": "699.5",
        "sz": "2.0",
        "side": "B",
        "time": NOW,
        "startPosition": "0.0",
        "dir": "Open Long",
        "closedPnl": "0.0",
        "hash": HASH,
        "oid": 7,
        "crossed": False,
        "fee": "0.04197",
        "tid": 5,
        "cloid": "0x" + "2" * 32,
        "feeToken": "USDH",
        "twapId": None,
    }
    assert accounts.user_fills(USER) == [row]


def test_a_taker_in_growth_mode_pays_nine_thousandths_of_a_percent_and_ten_times_that_without():
    accounts = scene()
    assert fill(accounts, 1, "1")["fee"] == "0.063"
    accounts.universe.set_growth_mode(COIN, on=False)
    assert fill(accounts, 1, "1")["fee"] == "0.63"
    accounts.universe.set_fee_scale("km", D("0.5"))
    # 0.045 % times 1.5
    assert fill(accounts, 1, "1")["fee"] == "0.4725"


def test_the_validators_dex_takes_the_accounts_own_rates():
    accounts = scene()
    accounts.open_account(USER, deposits={"": D(100_000)})
    row = fill(accounts, 1, "0.1", "84000", coin="BTC", crossed=True)
    assert (row["fee"], row["feeToken"]) == ("3.78", "USDC")


def test_a_turned_position_closes_the_old_and_opens_at_the_new_price():
    accounts = scene()
    fill(accounts, 1, "2", "700", crossed=False)
    row = fill(accounts, -1, "3", "710")
    assert (row["dir"], row["closedPnl"], row["startPosition"]) == ("Long > Short", "20.0", "2.0")
    position = only_position(accounts)
    assert (position["szi"], position["entryPx"]) == ("-1.0", "710.0")
    # 1000 + 20 - 0.042 - 0.1917
    accounts.set_mark(COIN, D(710))
    assert state(accounts)["marginSummary"]["accountValue"] == "1019.7663"


@pytest.mark.parametrize(
    ("start", "side", "size", "expected"),
    [
        ("0", 1, "1", "Open Long"),
        ("0", -1, "1", "Open Short"),
        ("1", 1, "1", "Open Long"),
        ("2", -1, "1", "Close Long"),
        ("2", -1, "2", "Close Long"),
        ("-2", 1, "1", "Close Short"),
        ("-2", -1, "1", "Open Short"),
        ("1", -1, "2", "Long > Short"),
        ("-1", 1, "2", "Short > Long"),
    ],
)
def test_the_direction_of_a_fill_follows_from_the_position_before_it(start, side, size, expected):
    assert direction(D(start), side, D(size)) == expected


def test_a_resting_order_whose_owner_lost_the_margin_may_not_fill():
    accounts = scene()
    fill(accounts, 1, "14")
    resting = order(side=1, size="14")
    assert accounts.can_fill_resting(USER, resting, D(14), D(700))
    # 14 * 40 lost: 440 left, 28 * 660 / 20 = 924 needed
    accounts.set_mark(COIN, D(660))
    assert not accounts.can_fill_resting(USER, resting, D(14), D(700))
    # what closes is always carried
    assert accounts.can_fill_resting(USER, order(side=-1, size="14"), D(14), D(660))


def test_a_fill_away_from_the_mark_counts_its_loss_against_the_margin():
    accounts = scene(deposit="100")
    resting = order(side=1, size="2.8", price="720")
    # 2.8 * 20 lost at once: 44 left, 98 needed
    assert not accounts.can_fill_resting(USER, resting, D("2.8"), D(720))
    assert accounts.can_fill_resting(USER, resting, D("2.8"), D(700))


def test_funding_is_paid_on_the_oracle_price_and_kept_by_coin():
    accounts = scene()
    fill(accounts, -1, "3")
    [(user, row)] = accounts.fund(COIN, D("701.25"), D("0.0000057078"), NOW + 1)
    # 3 * 701.25 * 0.0000057078 = 0.0120077...
    assert user == USER
    assert row == {
        "time": NOW + 1,
        "coin": COIN,
        "usdc": "0.012007",
        "szi": "-3.0",
        "fundingRate": "0.0000057078",
        "nSamples": None,
    }
    # what was received is negative in cumFunding
    assert only_position(accounts)["cumFunding"] == {
        "allTime": "-0.012007",
        "sinceOpen": "-0.012007",
        "sinceChange": "-0.012007",
    }
    fill(accounts, -1, "1")
    assert only_position(accounts)["cumFunding"]["sinceChange"] == "0.0"
    fill(accounts, 1, "4")
    fill(accounts, 1, "1")
    assert only_position(accounts)["cumFunding"] == {
        "allTime": "-0.012007",
        "sinceOpen": "0.0",
        "sinceChange": "0.0",
    }


def test_the_house_has_no_margin_no_fee_and_no_funding():
    accounts = scene()
    accounts.open_account(OTHER, house=True)
    assert accounts.check_entry(OTHER, COIN, side=1, price=D(700), size=D(10**6)) is None
    row = fill(accounts, -1, "5000", user=OTHER)
    assert (row["fee"], row["dir"]) == ("0.0", "Open Short")
    assert accounts.position(OTHER, COIN) == -5000
    assert accounts.fund(COIN, D(700), D("0.01"), NOW) == []
    accounts.set_mark(COIN, D(7000))
    assert accounts.liquidations(NOW) == []


def test_open_interest_is_what_is_held_long():
    accounts = scene()
    accounts.open_account(OTHER, house=True)
    fill(accounts, 1, "5")
    fill(accounts, -1, "5", user=OTHER)
    assert accounts.open_interest(COIN) == 5
    assert accounts.users_with_position(COIN) == (USER, OTHER)
    fill(accounts, -1, "5")
    assert accounts.users_with_position(COIN) == (OTHER,)
    assert not accounts.has_position(USER)
    assert accounts.has_position(OTHER, COIN)


def test_the_maximum_leverage_that_falls_takes_the_users_leverage_along():
    accounts = scene()
    fill(accounts, 1, "20")
    assert only_position(accounts)["marginUsed"] == "700.0"
    accounts.universe.set_max_leverage(COIN, 15)
    position = only_position(accounts)
    assert (position["leverage"], position["maxLeverage"]) == ({"type": "cross", "value": 15}, 15)
    # maintenance is 14,000 / 30
    assert state(accounts)["crossMaintenanceMarginUsed"] == "466.666666"


def test_new_tiers_are_seen_at_once():
    accounts = scene(deposit="100000")
    assert check(accounts, 1, "1000") is None
    accounts.universe.set_margin_tiers(COIN, 60, [(D(0), 25), (D(500_000), 10)])
    assert check(accounts, 1, "1000") == (
        "Order would cause position to exceed margin tier limit at current leverage"
    )
    accounts.universe.set_margin_tiers(COIN, 60, [(D(0), 25), (D(800_000), 10)])
    assert check(accounts, 1, "1000") is None


def test_a_market_that_becomes_strict_isolated_moves_only_who_is_flat():
    accounts = scene()
    fill(accounts, 1, "2")
    accounts.universe.set_margin_mode(COIN, "strictIsolated")
    assert only_position(accounts)["leverage"]["type"] == "cross"
    fill(accounts, -1, "2")
    fill(accounts, 1, "2")
    assert only_position(accounts)["leverage"]["type"] == "isolated"


def test_addresses_are_known_in_any_case_and_unknown_ones_hold_nothing():
    accounts = scene()
    mixed = "0x" + "Ab" * 20
    assert accounts.has(mixed)
    assert accounts.clearinghouse_state(mixed, "km", NOW) == state(accounts)
    assert not accounts.has(OTHER)
    assert accounts.position(OTHER, COIN) == 0
    assert not accounts.has_position(OTHER)


def test_a_mode_or_deposit_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="mode_default"):
        Accounts(Universe(), mode_default="unified")
    accounts = scene()
    with pytest.raises(ValueError, match="mode"):
        accounts.open_account(OTHER, mode="cross")
    with pytest.raises(ValueError, match="must not be negative"):
        accounts.open_account(OTHER, deposits={"km": D(-1)})
    with pytest.raises(KeyError):
        accounts.open_account(OTHER, deposits={"abc": D(1)})


fills = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.integers(1, 5_000), st.integers(60_000, 80_000), st.booleans()),
    min_size=1,
    max_size=12,
)


@given(fills, st.integers(60_000, 80_000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_equity_is_deposits_and_pnl_less_fees_whatever_the_fills(trades, last, isolated):
    accounts = scene(deposit="1000000")
    if isolated:
        assert accounts.set_leverage(USER, COIN, leverage=5, is_cross=False) is None
    cash = D(1_000_000)
    position = D(0)
    for side, lots, cents, crossed in trades:
        size, price = D(lots) / 1000, D(cents) / 100
        row = fill(accounts, side, str(size), str(price), crossed=crossed)
        cash -= side * size * price + D(row["fee"])
        position += side * size
    mark = D(last) / 100
    accounts.set_mark(COIN, mark)
    shown = state(accounts)["marginSummary"]
    assert D(shown["accountValue"]) == cash + position * mark
    assert accounts.position(USER, COIN) == position
