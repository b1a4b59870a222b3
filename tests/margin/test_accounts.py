"""The account's modes, events and refusals."""

from dataclasses import replace
from decimal import Decimal

import pytest

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.account import AccountMode
from amm500_nautilus.margin.account import RestingOrders
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import MarginTier
from amm500_nautilus.margin.wallet import Wallet


def position(coin: str = "km:US500", *, leverage: int = 20, mode: MarginMode = MarginMode.CROSS) -> Position:
    return Position(coin=coin, table=MarginTable(25), leverage=leverage, mark=Decimal(700), mode=mode)


def account(*positions: Position, cash: int = 1000) -> Account:
    return Account(collateral="USDH", dex="km", cash=Decimal(cash), positions=positions or (position(),))


def bought(start: Account, size: int, coin: str = "km:US500", price: int = 700) -> Account:
    side = 1 if size > 0 else -1
    return start.filled(coin, side=side, size=Decimal(abs(size)), price=Decimal(price))[0]


def test_a_cross_position_uses_initial_margin_and_a_tenth_of_its_value_may_not_leave() -> None:
    # 5 at 700 at 20x: margin 175, a tenth of 3,500 is 350
    held = bought(account(), 5)
    assert held.summary.total_margin_used == Decimal(175)
    assert held.free == Decimal(825)
    assert held.withdrawable == Decimal(650)
    assert held.cross_maintenance == Decimal(70)


def test_margin_ratio_adds_the_larger_side_of_the_resting_orders_after_netting() -> None:
    # long 3,500; sells of 5,000 add 1,500, buys of 2,000 add 2,000: 100 at 20x
    held = bought(account(), 5).with_orders(RestingOrders("km:US500", Decimal(2000), Decimal(5000)))
    assert held.order_margin == Decimal(100)
    assert held.position_margin_ratio == Decimal("0.175")
    assert held.margin_ratio == Decimal("0.275")
    assert held.maintenance_ratio == Decimal("0.07")


def test_ratios_are_infinite_when_the_equity_is_gone() -> None:
    gone = bought(account(), 10).marked("km:US500", Decimal(590))
    assert gone.equity == Decimal(-100)
    assert gone.margin_ratio == gone.maintenance_ratio == Decimal("Infinity")
    assert gone.withdrawable == gone.free == 0


def test_the_maintenance_ratio_is_that_of_the_worst_part_of_the_account() -> None:
    both = account(position("km:A"), position("km:B", mode=MarginMode.ISOLATED))
    held = bought(bought(both, 1, "km:A"), 1, "km:B")
    # isolated: 14 over a margin of 35; cross: 14 over 965
    assert held.maintenance_ratio == Decimal(14) / 35
    assert held.unified_ratio == Decimal(14) / 965


def test_funding_of_an_isolated_position_is_paid_by_its_margin() -> None:
    held = bought(account(position(mode=MarginMode.ISOLATED)), 5)
    funded, paid = held.funded("km:US500", oracle_price=Decimal(701), hourly_rate=Decimal("0.00001"))
    # 5 x 701 x 0.00001 = 0.03505
    assert paid == Decimal("-0.03505")
    assert funded.cash == held.cash
    assert funded.position("km:US500").margin_used == Decimal("174.96495")


def test_a_transfer_out_is_refused_beyond_the_withdrawable() -> None:
    held = bought(account(), 5)
    assert held.transferred(Decimal(-650)).withdrawable == 0
    with pytest.raises(
        ValueError, match=r"transfer of 650\.01 USDH out; allowed: up to the withdrawable 650"
    ):
        held.transferred(Decimal("-650.01"))


def test_margin_may_be_added_to_any_isolated_position_but_removed_from_a_plain_one_only() -> None:
    plain = bought(account(position(mode=MarginMode.ISOLATED)), 5)
    strict = bought(account(position(mode=MarginMode.STRICT_ISOLATED)), 5)
    assert plain.margin_moved("km:US500", Decimal(300)).margin_moved("km:US500", Decimal(-125)).cash == 650
    added = strict.margin_moved("km:US500", Decimal(300))
    assert added.position("km:US500").margin_used == Decimal(475)
    with pytest.raises(ValueError, match="allowed: at most 0 that way"):
        added.margin_moved("km:US500", Decimal(-1))
    with pytest.raises(ValueError, match="has no isolated margin"):
        bought(account(), 5).margin_moved("km:US500", Decimal(1))


def test_leverage_may_rise_with_an_open_position_and_fall_only_as_far_as_the_collateral_carries() -> None:
    held = bought(account(), 20)
    # 14,000 of notional: 560 at 25x, 1,000 at 14x
    assert held.leverage_set("km:US500", 25).summary.total_margin_used == Decimal(560)
    assert held.leverage_set("km:US500", 14).free == 0
    with pytest.raises(ValueError, match="needs more margin than the account has"):
        held.leverage_set("km:US500", 13)
    for refused in (0, 26):
        with pytest.raises(ValueError, match=f"Invalid leverage value: {refused}"):
            held.leverage_set("km:US500", refused)
    with pytest.raises(ValueError, match="Cannot switch leverage type with open position"):
        held.leverage_set("km:US500", 20, MarginMode.ISOLATED)
    assert account().leverage_set("km:US500", 5, MarginMode.ISOLATED).position("km:US500").leverage == 5


def test_a_leverage_above_the_tier_of_an_open_position_is_refused() -> None:
    table = MarginTable(25, (MarginTier(Decimal(0), 25), MarginTier(Decimal(3000), 10)))
    held = bought(account(replace(position(leverage=10), table=table)), 5)
    with pytest.raises(ValueError, match="Invalid leverage value: 11"):
        held.leverage_set("km:US500", 11)


def test_a_coin_twice_or_an_unknown_coin_is_refused() -> None:
    with pytest.raises(ValueError, match="positions of the account hold a coin twice"):
        account(position(), position())
    with pytest.raises(ValueError, match="the account holds no km:X"):
        account().position("km:X")


DEXES = {"km": "USDH", "flx": "USDH", "xyz": "USDC"}


def standard() -> Wallet:
    accounts = {
        dex: Account(collateral=token, dex=dex, cash=Decimal(0), positions=(position(f"{dex}:A"),))
        for dex, token in DEXES.items()
    }
    return Wallet(mode=AccountMode.STANDARD, dexes=DEXES, accounts=accounts, spot={"USDH": Decimal(1000)})


def unified() -> Wallet:
    usdh = Account(
        collateral="USDH", mode=AccountMode.UNIFIED, cash=Decimal(1000),
        positions=(position("km:A"), position("flx:A", mode=MarginMode.ISOLATED)),
    )  # fmt: skip
    usdc = Account(collateral="USDC", mode=AccountMode.UNIFIED, cash=Decimal(50))
    return Wallet(mode=AccountMode.UNIFIED, dexes=DEXES, accounts={"USDH": usdh, "USDC": usdc})


def test_a_standard_dex_has_only_what_was_sent_to_it() -> None:
    sent = standard().sent("km", Decimal(600))
    assert sent.account("km").equity == 600
    assert sent.account("flx").equity == 0
    assert sent.total("USDH") == 1000
    assert sent.sent("km", Decimal(-100)).spot["USDH"] == 500
    with pytest.raises(ValueError, match="Insufficient balance for token transfer"):
        sent.sent("flx", Decimal(401))


def test_unified_dexes_of_one_collateral_share_its_balance_and_no_other() -> None:
    wallet = unified()
    assert wallet.account("km") is wallet.account("flx")
    held = wallet.with_account("km", bought(wallet.account("km"), 10, "km:A"))
    assert held.account("flx").free == Decimal(650)
    assert held.account("xyz").free == Decimal(50)
    with pytest.raises(ValueError, match="Action disabled when unified account is active"):
        wallet.sent("km", Decimal(1))


def test_the_unified_ratio_is_cross_maintenance_over_the_balance_less_isolated_margin() -> None:
    pot = bought(bought(unified().account("km"), 10, "km:A"), 2, "flx:A").marked("km:A", Decimal(690))
    wallet = unified().with_account("km", pot)
    # total 1,000 - 100; isolated margin 70; cross maintenance 2 % of 6,900 = 138
    assert wallet.total("USDH") == 900
    assert wallet.ratio == Decimal(138) / 830


def test_a_wallet_with_accounts_of_another_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="accounts are given for"):
        Wallet(mode=AccountMode.STANDARD, dexes=DEXES, accounts=unified().accounts)
    with pytest.raises(ValueError, match="spot balances are given beside unified accounts"):
        replace(unified(), spot={"USDH": Decimal(1)})
    with pytest.raises(ValueError, match="dex is 'abc'"):
        unified().account("abc")
