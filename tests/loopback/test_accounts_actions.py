"""Leverage, isolated margin, transfers, account modes and bought actions."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from tests.loopback.account_scene import ASSET
from tests.loopback.account_scene import COIN
from tests.loopback.account_scene import NOW
from tests.loopback.account_scene import OTHER
from tests.loopback.account_scene import USDH
from tests.loopback.account_scene import USER
from tests.loopback.account_scene import action
from tests.loopback.account_scene import fill
from tests.loopback.account_scene import only_position
from tests.loopback.account_scene import order
from tests.loopback.account_scene import scene
from tests.loopback.account_scene import state


D = Decimal
LOW_CROSS = (
    "Cross position does not have sufficient margin available to decrease leverage. "
    "To decrease leverage, deposit more collateral."
)
LOW_ISOLATED = (
    "Isolated position does not have sufficient margin available to decrease leverage. "
    "To decrease leverage, add margin to the position."
)


def do(accounts, kind, *, by=USER, now=NOW, nonce=NOW, **fields):
    return accounts.apply(by, action(kind, **fields), now, nonce=nonce)


def leverage(accounts, value, *, is_cross):
    return do(accounts, "updateLeverage", asset=ASSET, isCross=is_cross, leverage=value)


def send(accounts, amount, source, target, *, to=USER, token=USDH, kind="sendAsset", user=USER):
    return do(
        accounts,
        kind,
        by=user,
        destination=to,
        sourceDex=source,
        destinationDex=target,
        token=token,
        amount=amount,
        fromSubAccount="",
    )


def spot_total(accounts, user=USER, coin="USDH"):
    return next((row["total"] for row in accounts.spot_state(user)["balances"] if row["coin"] == coin), None)


def test_leverage_is_set_from_one_to_the_largest():
    accounts = scene()
    assert leverage(accounts, 25, is_cross=True) is None
    assert accounts.active_asset_data(USER, COIN)["leverage"] == {"type": "cross", "value": 25}
    assert leverage(accounts, 26, is_cross=True) == "Invalid leverage value"
    assert leverage(accounts, 0, is_cross=True) == "Invalid leverage value"
    assert accounts.active_asset_data(USER, COIN)["leverage"]["value"] == 25


def test_cross_is_refused_where_the_market_does_not_allow_it():
    accounts = scene()
    accounts.universe.set_margin_mode(COIN, "noCross")
    assert leverage(accounts, 10, is_cross=True) == "Cross margin is not allowed for this asset."
    assert leverage(accounts, 10, is_cross=False) is None


def test_the_margin_mode_stays_while_a_position_is_open():
    accounts = scene()
    fill(accounts, 1, "1")
    assert leverage(accounts, 20, is_cross=False) == "Cannot switch leverage type with open position."
    fill(accounts, -1, "1")
    assert leverage(accounts, 20, is_cross=False) is None


def test_leverage_is_not_lowered_below_what_the_collateral_carries():
    accounts = scene()
    fill(accounts, 1, "10")
    # 7,000 at 7x needs 1,000 and the fee is gone
    assert leverage(accounts, 8, is_cross=True) is None
    assert leverage(accounts, 7, is_cross=True) == LOW_CROSS
    assert only_position(accounts)["leverage"]["value"] == 8


def test_an_isolated_position_needs_its_own_margin_for_a_lower_leverage():
    accounts = scene()
    leverage(accounts, 20, is_cross=False)
    fill(accounts, 1, "2")
    assert leverage(accounts, 10, is_cross=False) == LOW_ISOLATED
    assert do(accounts, "updateIsolatedMargin", asset=ASSET, isBuy=True, ntli=75_000_000) is None
    assert leverage(accounts, 10, is_cross=False) is None


def test_isolated_margin_is_added_and_taken_out_as_far_as_it_can_be_spared():
    accounts = scene()
    leverage(accounts, 10, is_cross=False)
    fill(accounts, 1, "2")
    start = D(only_position(accounts)["marginUsed"])
    assert do(accounts, "updateIsolatedMargin", asset=ASSET, isBuy=True, ntli=100_000_000) is None
    assert D(only_position(accounts)["marginUsed"]) == start + 100
    assert accounts.update_isolated_margin(USER, COIN, D(-90)) is None
    assert accounts.update_isolated_margin(USER, COIN, D(-90)) == (
        "Insufficient margin to update isolated position."
    )
    assert D(only_position(accounts)["marginUsed"]) == start + 10
    assert accounts.update_isolated_margin(USER, COIN, D(10_000)) is not None


def test_strict_isolated_margin_does_not_come_out():
    accounts = scene()
    accounts.universe.set_margin_mode(COIN, "strictIsolated")
    fill(accounts, 1, "2")
    assert accounts.update_isolated_margin(USER, COIN, D(50)) is None
    assert accounts.update_isolated_margin(USER, COIN, D(-1)) is not None


def test_a_cross_position_has_no_margin_to_move():
    accounts = scene()
    assert accounts.update_isolated_margin(USER, COIN, D(1)) == "No isolated position to update margin for."
    fill(accounts, 1, "1")
    assert accounts.update_isolated_margin(USER, COIN, D(1)) == "No isolated position to update margin for."


def test_a_top_up_reaches_the_leverage_asked_for_and_never_takes_margin_out():
    accounts = scene()
    leverage(accounts, 20, is_cross=False)
    fill(accounts, 1, "2")
    assert do(accounts, "topUpIsolatedOnlyMargin", asset=ASSET, leverage="5.0") is None
    assert only_position(accounts)["marginUsed"] == "280.0"
    assert do(accounts, "topUpIsolatedOnlyMargin", asset=ASSET, leverage="10.0") is None
    assert only_position(accounts)["marginUsed"] == "280.0"


def test_collateral_moves_from_spot_to_a_dex_and_back():
    accounts = scene()
    accounts.open_account(USER, spot={"USDH": D(50)})
    accounts.drain_moves()
    assert send(accounts, "20.5", "spot", "km") is None
    assert state(accounts)["withdrawable"] == "1020.5"
    assert spot_total(accounts) == "29.5"
    assert [(move.user, move.dex) for move in accounts.drain_moves()] == [(USER, "spot"), (USER, "km")]
    assert send(accounts, "1020.5", "km", "spot") is None
    assert spot_total(accounts) == "1050.0"
    assert send(accounts, "0.000001", "km", "spot") == "Insufficient balance for token transfer"


def test_what_positions_hold_back_does_not_leave_a_dex():
    accounts = scene()
    fill(accounts, 1, "10", crossed=False)
    # a tenth of 7,000 must stay: 1000 - 0.21 - 700
    assert send(accounts, "299.800001", "km", "spot") == "Insufficient balance for token transfer"
    assert send(accounts, "299.79", "km", "spot") is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"token": "USDX"}, "Unknown token USDX"),
        ({"source": "abc"}, "Invalid perp DEX"),
        ({"target": "xyz"}, "Invalid send"),
        ({"amount": "0"}, "Send amount cannot be zero"),
        ({"amount": "-1"}, "Invalid number of decimals"),
        ({"amount": "1.000000001"}, "Invalid number of decimals"),
        ({"amount": "one"}, "Invalid decimal number"),
        ({"amount": "NaN"}, "Invalid decimal number"),
        ({"target": "spot", "source": "spot"}, "Invalid send"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_transfer_that_cannot_be_is_refused_in_words(fields, expected):
    accounts = scene()
    accounts.open_account(USER, spot={"USDH": D(50)})
    asked = {"amount": "1", "source": "spot", "target": "km", "token": USDH, **fields}
    before = (state(accounts), accounts.spot_state(USER))
    assert send(accounts, asked["amount"], asked["source"], asked["target"], token=asked["token"]) == expected
    assert (state(accounts), accounts.spot_state(USER)) == before


def test_a_transfer_to_another_address_opens_its_account_and_both_see_it():
    accounts = scene()
    assert send(accounts, "10", "km", "km", to=OTHER) is None
    assert state(accounts, OTHER)["withdrawable"] == "10.0"
    [theirs] = accounts.ledger_updates(OTHER, NOW)
    assert theirs["delta"] == {
        "type": "send",
        "user": USER,
        "destination": OTHER,
        "sourceDex": "km",
        "destinationDex": "km",
        "token": "USDH",
        "amount": "10.0",
        "usdcValue": "10.0",
        "fee": "0.0",
        "nativeTokenFee": "0.0",
        "nonce": NOW,
        "feeToken": "",
    }
    assert accounts.ledger_updates(USER, NOW)[-1]["delta"] == theirs["delta"]


def test_an_agent_sends_only_within_its_account():
    accounts = scene()
    assert send(accounts, "10", "km", "spot", to=OTHER, kind="agentSendAsset") == "Invalid send"
    assert send(accounts, "10", "km", "spot", kind="agentSendAsset") is None
    assert spot_total(accounts) == "10.0"


def test_usdc_moves_between_spot_and_the_validators_dex():
    accounts = scene()
    accounts.open_account(USER, spot={"USDC": D(30)})
    assert do(accounts, "usdClassTransfer", amount="12.5", toPerp=True) is None
    assert state(accounts, dex="")["withdrawable"] == "12.5"
    assert do(accounts, "usdClassTransfer", amount="20", toPerp=True) == (
        "Insufficient balance for token transfer"
    )
    assert do(accounts, "usdClassTransfer", amount="2.5", toPerp=False) is None
    assert spot_total(accounts, coin="USDC") == "20.0"


def test_a_unified_account_is_one_balance_of_each_token():
    accounts = scene(mode="unifiedAccount")
    accounts.open_account(USER, deposits={"flx": D(500)}, spot={"USDH": D(100), "USDC": D(7)})
    assert spot_total(accounts) == "1600.0"
    # 1600 at 20x carries 32,000
    check = {"side": 1, "price": D(700)}
    assert accounts.check_entry(USER, COIN, size=D("45.714"), **check) is None
    assert accounts.check_entry(USER, COIN, size=D("45.715"), **check) is not None
    disabled = "Action disabled when unified account is active"
    assert send(accounts, "1", "spot", "km") == disabled
    assert send(accounts, "1", "km", "km", to=OTHER) == disabled
    assert do(accounts, "usdClassTransfer", amount="1", toPerp=True) == disabled
    # but a token may be given away
    assert send(accounts, "100", "spot", "spot", to=OTHER) is None
    assert spot_total(accounts) == "1500.0"
    assert spot_total(accounts, OTHER) == "100.0"


def test_the_mode_is_set_by_the_account_and_by_its_agent():
    accounts = scene()
    assert accounts.abstraction(USER) == "disabled"
    assert accounts.abstraction(OTHER) == "default"
    assert do(accounts, "userSetAbstraction", user=USER, abstraction="unifiedAccount") is None
    assert accounts.abstraction(USER) == "unifiedAccount"
    assert do(accounts, "agentSetAbstraction", abstraction="i") is None
    assert accounts.abstraction(USER) == "disabled"
    assert do(accounts, "agentSetAbstraction", abstraction="x") == "Abstraction transition not allowed"


def test_standard_mode_is_refused_while_something_is_open():
    accounts = scene(mode="unifiedAccount")
    fill(accounts, 1, "1")
    assert do(accounts, "agentSetAbstraction", abstraction="i") == "Abstraction transition not allowed"


def test_portfolio_margin_asks_for_ten_thousand():
    accounts = scene()
    assert do(accounts, "agentSetAbstraction", abstraction="p") == (
        "Portfolio margin requires account value of $10000 or total volume of $5000000."
    )
    accounts.open_account(USER, deposits={"km": D(9_000)})
    assert do(accounts, "agentSetAbstraction", abstraction="p") is None
    assert accounts.spot_state(USER)["portfolioMarginEnabled"] is True


def test_actions_are_bought_with_usdc_of_the_validators_dex():
    accounts = scene()
    assert do(accounts, "reserveRequestWeight", weight=1_000) is not None
    accounts.open_account(USER, deposits={"": D(1)})
    assert do(accounts, "reserveRequestWeight", weight=1_000) is None
    assert state(accounts, dex="")["withdrawable"] == "0.5"
    assert accounts.rate_limit(USER)["nRequestsSurplus"] == 1_000


def test_noop_and_agent_approval_are_actions_of_the_account():
    accounts = scene()
    assert do(accounts, "noop") is None
    assert do(accounts, "approveAgent", agentAddress=OTHER, agentName="desk") is None
    assert accounts.user_role(OTHER, NOW) == {"role": "agent", "data": {"user": USER}}
    assert accounts.handles("noop")
    assert not accounts.handles("order")


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "updateLeverage", "asset": ASSET, "isCross": True},
        {"type": "updateLeverage", "asset": "150000", "isCross": True, "leverage": 3},
        {"type": "updateLeverage", "asset": 999_999, "isCross": True, "leverage": 3},
        {"type": "updateIsolatedMargin", "asset": ASSET, "isBuy": True, "ntli": 1.5},
        {"type": "topUpIsolatedOnlyMargin", "asset": ASSET, "leverage": "many"},
        {"type": "sendAsset", "destination": USER},
        {"type": "unheardOf"},
    ],
    ids=lambda value: str(value)[9:50],
)
def test_an_action_of_another_shape_raises_and_changes_nothing(broken):
    accounts = scene()
    before = state(accounts)
    with pytest.raises((KeyError, TypeError, ValueError, ArithmeticError)):
        accounts.apply(USER, broken, NOW)
    assert state(accounts) == before


@given(st.lists(st.sampled_from(["disabled", "unifiedAccount", "portfolioMargin"]), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_forced_modes_keep_positions_and_value(modes):
    accounts = scene()
    accounts.open_account(USER, deposits={"": D(40), "flx": D(9)}, spot={"USDH": D(60), "USDE": D(3)})
    fill(accounts, 1, "3")
    accounts.order_added(USER, order(side=1, size="1"))
    accounts.set_mark(COIN, D(710))

    def totals():
        holder = accounts.holder(USER)
        worth = dict(holder.spot)
        for pot in (accounts.account(holder, dex) for dex in ("", "km", "flx", "hyna")):
            worth.setdefault(pot.collateral, D(0))
        seen = set()
        for dex in ("", "km", "flx", "hyna"):
            pot = accounts.account(holder, dex)
            if holder.key(dex, pot.collateral) not in seen:
                seen.add(holder.key(dex, pot.collateral))
                worth[pot.collateral] = worth.get(pot.collateral, D(0)) + pot.equity
        return worth, accounts.account(holder, "km").order_margin

    before = totals()
    for mode in modes:
        accounts.force_mode(USER, mode)
        assert totals() == before
        assert only_position(accounts)["szi"] == "3.0"
    fill(accounts, -1, "3")
    assert state(accounts)["assetPositions"] == []
