"""Replies about accounts: their keys, figures and order."""

import json
from decimal import Decimal

import pytest

from hyperliquid_loopback.fees_view import VolumeBook
from hyperliquid_loopback.fees_view import fee_schedule
from hyperliquid_loopback.holdings import FILLS_KEPT
from tests.loopback.account_scene import AGENT
from tests.loopback.account_scene import COIN
from tests.loopback.account_scene import NOW
from tests.loopback.account_scene import OTHER
from tests.loopback.account_scene import USER
from tests.loopback.account_scene import fill
from tests.loopback.account_scene import only_position
from tests.loopback.account_scene import order
from tests.loopback.account_scene import scene
from tests.loopback.account_scene import state


D = Decimal
DAY = 86_400_000
ZEROS = {"accountValue": "0.0", "totalNtlPos": "0.0", "totalRawUsd": "0.0", "totalMarginUsed": "0.0"}


def payload(shared_dir, name):
    text = (shared_dir / "payloads" / name).read_text(encoding="utf-8").strip()
    # method, path and a flag stand before the reply
    return json.loads(text.split("\n", 3)[3] if name.endswith(".txt") else text)


def shape(value):
    """The keys of a reply with the kind of each value; a list by its first entry."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_an_address_without_an_account_is_flat():
    accounts = scene()
    flat = state(accounts, OTHER)
    assert flat["marginSummary"] == flat["crossMarginSummary"] == ZEROS
    assert (flat["withdrawable"], flat["assetPositions"], flat["time"]) == ("0.0", [], NOW)
    assert accounts.spot_state(OTHER) == {"balances": []}
    assert accounts.user_fills(OTHER) == accounts.user_fundings(OTHER) == []
    assert accounts.user_fills_by_time(OTHER, 0) == accounts.user_funding(OTHER, 0) == []
    assert accounts.ledger_updates(OTHER, 0) == []
    assert accounts.user_role(OTHER, NOW) == {"role": "missing"}
    assert accounts.rate_limit(OTHER)["nRequestsCap"] == 10_000
    assert accounts.active_asset_data(OTHER, COIN)["availableToTrade"] == ["0.0", "0.0"]
    with pytest.raises(KeyError):
        accounts.clearinghouse_state(USER, "abc", NOW)
    with pytest.raises(KeyError):
        accounts.active_asset_data(USER, "km:ABC")


def test_an_isolated_positions_figures_add_up_as_the_recorded_ones_do():
    accounts = scene(mark="700")
    accounts.set_leverage(USER, COIN, leverage=10, is_cross=False)
    fill(accounts, 1, "2", "700")
    accounts.set_mark(COIN, D("703.5"))
    shown, position = state(accounts), only_position(accounts)
    # 140 of margin less the taker fee of 0.126
    assert position == {
        "coin": COIN,
        "szi": "2.0",
        "leverage": {"type": "isolated", "value": 10, "rawUsd": "-1260.126"},
        "entryPx": "700.0",
        "positionValue": "1407.0",
        "unrealizedPnl": "7.0",
        "returnOnEquity": "0.05",
        # 703.5 - (146.874 - 28.14) / 2 / 0.98
        "liquidationPx": "642.9214285714",
        "marginUsed": "146.874",
        "maxLeverage": 25,
        "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
    }
    assert shown["marginSummary"] == {
        "accountValue": "1006.874",
        "totalNtlPos": "1407.0",
        "totalRawUsd": "-400.126",
        "totalMarginUsed": "146.874",
    }
    assert shown["crossMarginSummary"] == {**ZEROS, "accountValue": "860.0", "totalRawUsd": "860.0"}
    assert (shown["crossMaintenanceMarginUsed"], shown["withdrawable"]) == ("0.0", "860.0")


def test_positions_stand_in_the_order_of_their_numbers():
    accounts = scene(deposit="100000")
    other = accounts.universe.list_perp("km", "USTECH", sz_decimals=3, max_leverage=25)
    accounts.set_mark(other, D(700))
    fill(accounts, 1, "1", coin=other)
    fill(accounts, 1, "1")
    rows = state(accounts)["assetPositions"]
    assert [row["position"]["coin"] for row in rows] == [COIN, other]
    assert {row["type"] for row in rows} == {"oneWay"}


def test_a_unified_account_shows_its_balance_in_spot_and_its_positions_on_the_dex():
    accounts = scene(mode="unifiedAccount")
    accounts.open_account(USER, deposits={"flx": D(500)}, spot={"USDC": D(7)})
    fill(accounts, 1, "5", crossed=False)
    accounts.order_added(USER, order(side=1, size="1"))
    accounts.set_mark(COIN, D(710))
    reply = accounts.spot_state(USER)
    # 1500 + 50 - 0.105; 3550 / 20 and 700 / 20
    assert reply["balances"] == [
        {"coin": "USDC", "token": 0, "total": "7.0", "hold": "0.0", "entryNtl": "0.0"},
        {"coin": "USDH", "token": 360, "total": "1549.895", "hold": "212.5", "entryNtl": "0.0"},
    ]
    assert reply["tokenToAvailableAfterMaintenance"] == [[0, "7.0"], [360, "1478.895"]]
    shown = state(accounts)
    assert shown["marginSummary"]["accountValue"] == "0.0"
    assert shown["crossMaintenanceMarginUsed"] == "71.0"
    assert shown["assetPositions"][0]["position"]["szi"] == "5.0"
    assert state(accounts, dex="flx")["assetPositions"] == []


def test_every_dex_has_its_state():
    accounts = scene()
    assert [dex for dex, _ in accounts.all_states(USER, NOW)] == list(accounts.universe.dex_names)


def test_what_may_be_traded_follows_leverage_and_position():
    accounts = scene()
    accounts.set_leverage(USER, COIN, leverage=10, is_cross=True)
    fill(accounts, 1, "1", crossed=False)
    # 1000 - 0.021 less 70; the selling side has twice the margin more
    assert accounts.active_asset_data(USER, COIN) == {
        "user": USER,
        "coin": COIN,
        "leverage": {"type": "cross", "value": 10},
        "maxTradeSzs": ["13.285", "15.285"],
        "availableToTrade": ["929.979", "1069.979"],
        "markPx": "700.0",
    }


def test_fills_are_newest_first_and_by_time_oldest_first():
    accounts = scene()
    for n in range(3):
        fill(accounts, 1, "1", ts_ms=NOW + n)
    assert [row["time"] - NOW for row in accounts.user_fills(USER)] == [2, 1, 0]
    assert [row["time"] - NOW for row in accounts.user_fills_by_time(USER, NOW + 1)] == [1, 2]
    assert [row["time"] - NOW for row in accounts.user_fills_by_time(USER, NOW, NOW + 1)] == [0, 1]


def test_two_thousand_fills_make_a_page_and_ten_thousand_are_kept():
    accounts = scene(deposit="100000000")
    for n in range(FILLS_KEPT + 10):
        # what is kept is a row: the books behind it are not of interest here
        accounts.holder(USER).fills.append({"time": n})
    assert [row["time"] for row in accounts.user_fills(USER)][:2] == [10_009, 10_008]
    assert len(accounts.user_fills(USER)) == 2_000
    page = accounts.user_fills_by_time(USER, 0)
    assert (page[0]["time"], page[-1]["time"], len(page)) == (10, 2_009, 2_000)


def test_fills_of_one_crossing_order_may_be_shown_as_one():
    accounts = scene()
    fill(accounts, 1, "1", "700")
    fill(accounts, 1, "3", "702")
    fill(accounts, 1, "1", "700", crossed=False)
    fill(accounts, 1, "1", "700", ts_ms=NOW + 1)
    rows = accounts.user_fills_by_time(USER, NOW, aggregate_by_time=True)
    assert [(row["px"], row["sz"], row["fee"]) for row in rows] == [
        ("701.5", "4.0", "0.25254"),
        ("700.0", "1.0", "0.021"),
        ("700.0", "1.0", "0.063"),
    ]
    assert accounts.user_fills(USER, aggregate_by_time=True) == rows[::-1]
    assert len(accounts.user_fills(USER)) == 4


def test_funding_is_listed_oldest_first_and_in_the_snapshot_newest_first():
    accounts = scene()
    fill(accounts, 1, "1")
    for hour in range(3):
        accounts.fund(COIN, D(700), D("0.00001"), NOW + hour * 3_600_000)
    rows = accounts.user_funding(USER, NOW + 1)
    assert [row["time"] - NOW for row in rows] == [3_600_000, 7_200_000]
    assert rows[0]["delta"] == {
        "type": "funding",
        "coin": COIN,
        "usdc": "-0.007",
        "szi": "1.0",
        "fundingRate": "0.00001",
        "nSamples": None,
    }
    assert [row["time"] - NOW for row in accounts.user_fundings(USER)] == [7_200_000, 3_600_000, 0]


def test_roles_are_those_of_accounts_sub_accounts_and_agents():
    accounts = scene()
    sub = "0x" + "5b" * 20
    vault = "0x" + "7a" * 20
    accounts.open_account(sub, master=USER)
    accounts.open_account(vault, leader=USER)
    accounts.agents.approve(USER, AGENT, "", NOW)
    assert accounts.user_role(vault, NOW) == {"role": "vault"}
    assert accounts.user_role(USER, NOW) == {"role": "user"}
    assert accounts.user_role(sub, NOW) == {"role": "subAccount", "data": {"master": USER}}
    assert accounts.user_role(AGENT, NOW) == {"role": "agent", "data": {"user": USER}}
    # an agent's address has no account of its own
    assert accounts.clearinghouse_state(AGENT, "km", NOW)["marginSummary"] == ZEROS


def test_volume_of_the_last_fourteen_days_sets_the_tier_from_the_next_day_on():
    accounts = scene(deposit="100000000")
    accounts.universe.set_growth_mode(COIN, on=False)
    fill(accounts, 1, "8000")
    today = accounts.user_fees(USER, NOW)
    assert today["dailyUserVlm"][-1]["userCross"] == "5600000.0"
    assert (today["userCrossRate"], today["userAddRate"]) == ("0.00045", "0.00015")
    tomorrow = accounts.user_fees(USER, NOW + DAY)
    assert (tomorrow["userCrossRate"], tomorrow["userAddRate"]) == ("0.0004", "0.00012")
    assert accounts.user_fees(USER, NOW + 15 * DAY)["userCrossRate"] == "0.00045"
    # twice 0.04 % of 700
    assert fill(accounts, 1, "1", ts_ms=NOW + DAY)["fee"] == "0.56"


def test_the_volume_of_tiers_is_that_of_whole_days_before():
    book = VolumeBook()
    book.add(NOW, D(5), crossed=True)
    assert book.tier_volume(NOW) == 0
    assert book.tier_volume(NOW + DAY) == 5
    # what comes late for a day counts too
    book.add(NOW, D(2), crossed=False)
    assert book.tier_volume(NOW + DAY) == 7
    assert book.tier_volume(NOW + 14 * DAY) == 7
    assert book.tier_volume(NOW + 15 * DAY) == 0


def test_staking_referral_and_maker_share_change_the_rates():
    accounts = scene()
    holder = accounts.holder(USER)
    holder.staked_hype, holder.referral_discount = D(10_001), D("0.04")
    reply = accounts.user_fees(USER, NOW)
    assert (reply["userCrossRate"], reply["userAddRate"]) == ("0.00036", "0.00012")
    assert reply["activeStakingDiscount"]["discount"] == "0.2"
    # 0.036 % times 2 a tenth times 0.96, of 700
    assert fill(accounts, 1, "1")["fee"] == "0.048384"
    holder.maker_share = D("0.01")
    assert fill(accounts, 1, "1", crossed=False)["fee"] == "-0.0007"


def test_the_schedule_has_the_venues_tiers():
    schedule = fee_schedule()
    assert (schedule["cross"], schedule["add"]) == ("0.00045", "0.00015")
    assert schedule["tiers"]["vip"][0] == {
        "ntlCutoff": "5000000.0",
        "cross": "0.0004",
        "add": "0.00012",
        "spotCross": "0.0006",
        "spotAdd": "0.0003",
    }
    assert [row["bpsOfMaxSupply"] for row in schedule["stakingDiscountTiers"]] == [
        "0.0",
        "0.0001",
        "0.001",
        "0.01",
        "0.1",
        "1.0",
        "5.0",
    ]


# against what was recorded


@pytest.mark.real_data
def test_account_states_have_the_recorded_shape(shared_dir):
    accounts = scene()
    accounts.set_leverage(USER, COIN, leverage=10, is_cross=False)
    fill(accounts, 1, "2")
    assert shape(state(accounts)) == shape(payload(shared_dir, "jkorf_http_GetAccountInfo.txt"))
    docs = payload(shared_dir, "docs_examples_hip3.json")
    assert shape(state(accounts)) == shape(docs["clearinghouseState"])
    accounts.open_account(USER, spot={"USDC": D(1)})
    assert shape(accounts.spot_state(USER)) == shape(payload(shared_dir, "jkorf_http_GetBalances.txt"))


@pytest.mark.real_data
def test_fees_limits_and_tradable_sizes_have_the_documented_shape(shared_dir):
    docs = payload(shared_dir, "docs_examples_hip3.json")
    accounts = scene()
    accounts.set_leverage(USER, COIN, leverage=10, is_cross=False)
    shown = accounts.user_fees(USER, NOW)
    # a link to a staking account is shown where there is one
    assert shown.pop("stakingLink") is None
    docs["userFees"].pop("stakingLink")
    assert shape(shown) == shape(docs["userFees"])
    assert (
        shown["feeSchedule"]["stakingDiscountTiers"][:2]
        == docs["userFees"]["feeSchedule"]["stakingDiscountTiers"]
    )
    assert shape(accounts.rate_limit(USER)) == shape(docs["userRateLimit"])
    assert shape(accounts.active_asset_data(USER, COIN)) == shape(docs["activeAssetData"])


@pytest.mark.real_data
def test_fills_and_funding_have_the_recorded_shape(shared_dir):
    accounts = scene()
    row = fill(accounts, 1, "1")
    assert shape(row) == shape(payload(shared_dir, "http_user_fills_dust_conversion.json"))[0]
    liquidated = payload(shared_dir, "ws_user_fill_liquidation.json")["data"]["fills"][0]
    mark = {"liquidatedUser": OTHER, "markPx": "700.0", "method": "market"}
    made = order(cloid="0x" + "1" * 32)
    mine = accounts.fill(
        USER,
        COIN,
        side=1,
        price=D(700),
        size=D(1),
        crossed=False,
        order=made,
        ts_ms=NOW,
        tid=1,
        hash="0x",
        liquidation=mark,
    )
    assert shape(mine) == shape(liquidated)
    assert list(mine)[:13] == list(liquidated)[:13]
    accounts.fund(COIN, D(700), D("0.00001"), NOW)
    assert shape(accounts.user_funding(USER, 0)) == shape(
        payload(shared_dir, "jkorf_http_GetFundingHistory.txt")
    )


@pytest.mark.real_data
def test_agents_and_transfers_have_the_recorded_shape(shared_dir):
    accounts = scene()
    accounts.agents.approve(USER, AGENT, "desk", NOW)
    recorded = payload(shared_dir, "sdk_cassette_extra_agents.json")[0]["response"]
    assert shape(accounts.extra_agents(USER, NOW)) == shape(recorded)
    ledger = payload(shared_dir, "sdk_cassette_user_non_funding_ledger_updates_without_end_time.json")
    kinds = {row["delta"]["type"]: row for row in ledger[0]["response"]}
    assert shape(accounts.ledger_updates(USER, 0)[0]) == shape(kinds["deposit"])
    accounts.open_account(USER, spot={"USDC": D(5)})
    accounts.apply(USER, {"type": "usdClassTransfer", "amount": "1", "toPerp": True}, NOW)
    assert shape(accounts.ledger_updates(USER, 0)[-1]) == shape(kinds["accountClassTransfer"])
