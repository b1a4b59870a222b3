"""Liquidation: orders for the book, the backstop, what is left."""

from decimal import Decimal

from hyperliquid_loopback.liquidations import backstop_address
from hyperliquid_loopback.liquidations import fill_mark
from tests.loopback.account_scene import COIN
from tests.loopback.account_scene import NOW
from tests.loopback.account_scene import USER
from tests.loopback.account_scene import fill
from tests.loopback.account_scene import scene
from tests.loopback.account_scene import state


D = Decimal


def sunk(*, size="28", mark="677", deposit="1000", isolated=False):
    """A long below maintenance: 28 at 700 with 1000; at 677 the value is 356 less fees, maintenance 379."""
    accounts = scene(deposit=deposit)
    if isolated:
        accounts.set_leverage(USER, COIN, leverage=20, is_cross=False)
    fill(accounts, 1, size, crossed=False)
    accounts.set_mark(COIN, D(mark))
    return accounts


def test_an_account_above_maintenance_is_left_alone():
    assert sunk(mark="679").liquidations(NOW) == []


def test_an_account_below_maintenance_is_sold_at_market_and_told_once():
    accounts = sunk()
    [order] = accounts.liquidations(NOW)
    assert (order.user, order.coin, order.side, order.size, order.act) == (USER, COIN, -1, 28, "market_all")
    assert order.is_market
    assert order.notice == {
        "lid": 1,
        "liquidator": "0x4000000000000000000000000000000000000005",
        "liquidated_user": USER,
        "liquidated_ntl_pos": "18956.0",
        "liquidated_account_value": "355.412",
    }
    entry = accounts.ledger_updates(USER, NOW)[-1]["delta"]
    assert entry == {
        "type": "liquidation",
        "liquidatedNtlPos": "18956.0",
        "accountValue": "355.412",
        "leverageType": "Cross",
        "liquidatedPositions": [{"coin": COIN, "szi": "28.0"}],
    }
    # the book was empty: the next block tries again, without another notice
    [again] = accounts.liquidations(NOW + 70)
    assert (again.act, again.notice) == ("market_all", None)


def test_a_user_who_recovered_is_told_again_the_next_time():
    accounts = sunk()
    assert accounts.liquidations(NOW)[0].notice is not None
    accounts.set_mark(COIN, D(700))
    assert accounts.liquidations(NOW + 70) == []
    accounts.set_mark(COIN, D(677))
    assert accounts.liquidations(NOW + 140)[0].notice["lid"] == 2


def test_a_fifth_of_a_large_position_goes_first_and_all_of_it_within_thirty_seconds():
    accounts = sunk(size="280", deposit="10000")
    [first] = accounts.liquidations(NOW)
    assert (first.act, first.size) == ("market_part", 56)
    [second] = accounts.liquidations(NOW + 29_999)
    assert (second.act, second.size) == ("market_all", 280)
    [third] = accounts.liquidations(NOW + 30_000)
    assert (third.act, third.size) == ("market_part", 56)


def test_a_liquidations_fill_says_so_and_pays_the_taker_fee():
    accounts = sunk()
    mark = fill_mark(accounts, USER, COIN)
    assert mark == {"liquidatedUser": USER, "markPx": "677.0", "method": "market"}
    row = fill(accounts, -1, "28", "676", liquidation=mark)
    assert (row["dir"], row["liquidation"], row["fee"]) == ("Liquidated Cross Long", mark, "1.70352")
    assert accounts.liquidations(NOW) == []


def test_the_other_side_of_a_liquidation_carries_its_mark_and_its_own_direction():
    accounts = sunk()
    other = "0x" + "ee" * 20
    accounts.open_account(other, deposits={"km": D(1000)})
    row = fill(accounts, 1, "1", user=other, liquidation=fill_mark(accounts, USER, COIN))
    assert (row["dir"], row["liquidation"]["liquidatedUser"]) == ("Open Long", USER)


def test_nobody_owes_what_a_liquidation_lost_beyond_the_account():
    accounts = sunk()
    fill(accounts, -1, "28", "600", liquidation=fill_mark(accounts, USER, COIN))
    assert state(accounts)["marginSummary"]["accountValue"] == "0.0"
    # 1000 - 0.588 - 28 * 100 - 1.512
    assert accounts.shortfall == D("1802.1")


def test_an_isolated_liquidation_never_reaches_the_rest_of_the_account():
    accounts = sunk(size="10", mark="677", isolated=True)
    [order] = accounts.liquidations(NOW)
    assert (order.act, order.size) == ("market_all", 10)
    before = D(state(accounts)["crossMarginSummary"]["accountValue"])
    mark = fill_mark(accounts, USER, COIN)
    fill(accounts, -1, "4", "650", liquidation=mark)
    row = fill(accounts, -1, "6", "650", liquidation=mark)
    assert row["dir"] == "Liquidated Isolated Long"
    assert D(state(accounts)["crossMarginSummary"]["accountValue"]) == before
    assert accounts.shortfall > 0


def test_below_two_thirds_of_maintenance_the_backstop_takes_position_and_margin():
    accounts = sunk(mark="672")
    [order] = accounts.liquidations(NOW)
    assert (order.act, order.is_market) == ("backstop", False)
    [(user, row)] = accounts.take_over(USER, COIN, act=order.act, ts_ms=NOW)
    assert user == USER
    assert (row["dir"], row["px"], row["sz"], row["side"], row["fee"]) == (
        "Liquidated Cross Long",
        "672.0",
        "28.0",
        "A",
        "0.0",
    )
    assert row["liquidation"]["method"] == "backstop"
    assert D(row["closedPnl"]) == -28 * 28
    assert state(accounts)["marginSummary"]["accountValue"] == "0.0"
    assert accounts.position(USER, COIN) == 0
    assert accounts.position(backstop_address(5), COIN) == 28
    assert accounts.liquidations(NOW) == []
    assert accounts.user_fills(USER)[0] == row


def test_a_strict_isolated_market_has_no_backstop():
    accounts = scene()
    accounts.universe.set_margin_mode(COIN, "strictIsolated")
    fill(accounts, 1, "28", crossed=False)
    accounts.set_mark(COIN, D(672))
    assert accounts.liquidations(NOW)[0].act == "market_all"


def test_a_negative_value_is_auto_deleveraged():
    accounts = sunk(mark="660")
    [order] = accounts.liquidations(NOW)
    assert order.act == "adl"
    [(_, row)] = accounts.take_over(USER, COIN, act=order.act, ts_ms=NOW)
    assert row["dir"] == "Auto-Deleveraging"
    # 1000 - 0.588 - 28 * 40 is owed by nobody
    assert accounts.shortfall == D("120.588")


def test_one_takeover_takes_all_cross_positions_of_a_pot():
    accounts = scene(deposit="2000")
    other = accounts.universe.list_perp("km", "USTECH", sz_decimals=3, max_leverage=25, growthMode="enabled")
    accounts.set_mark(other, D(700))
    fill(accounts, 1, "28", crossed=False)
    fill(accounts, 1, "10", coin=other, crossed=False)
    accounts.set_mark(COIN, D(640))
    accounts.set_mark(other, D(690))
    [order] = accounts.liquidations(NOW)
    assert order.act == "backstop"
    rows = accounts.take_over(USER, order.coin, act=order.act, ts_ms=NOW)
    assert {row["coin"] for _, row in rows} == {COIN, other}
    assert not accounts.has_position(USER)


def test_nothing_is_looked_at_while_nothing_changed():
    accounts = sunk(mark="690")
    assert accounts.liquidations(NOW) == []
    # a mark put in past the accounts' back goes unseen until something is set
    accounts.marks[COIN] = D(650)
    assert accounts.liquidations(NOW) == []
    accounts.set_mark(COIN, D(651))
    assert accounts.liquidations(NOW)
