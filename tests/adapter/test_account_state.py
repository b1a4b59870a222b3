"""The account's figures in every mode the venue keeps one."""

from decimal import Decimal

import pytest
from nautilus_trader.model.identifiers import InstrumentId

from amm500_nautilus.margin.tables import MarginTable
from hyperliquid_hip3.account_state import AccountScope
from hyperliquid_hip3.account_state import AccountSums
from hyperliquid_hip3.account_state import account_figures
from hyperliquid_hip3.account_state import account_info
from hyperliquid_hip3.account_state import balances_of
from hyperliquid_hip3.account_state import margins_of
from hyperliquid_hip3.address_limit import ActionCount
from hyperliquid_hip3.currency import USDH
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.user_records import ClearinghouseState
from hyperliquid_hip3.user_records import MarginFigures
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import PositionState
from hyperliquid_hip3.user_records import SpotBalance
from hyperliquid_hip3.user_records import SpotState


COIN = "km:US500"
IID = InstrumentId.from_str("km:US500-USD-PERP.HYPERLIQUID")
SCOPE = AccountScope("km", "USDH", 360, COIN, {COIN: MarginTable(25)})
KEYS = {
    "equity", "margin_used", "order_margin", "maintenance", "margin_ratio", "position_margin_ratio", "maintenance_ratio",
    "withdrawable", "dex", "collateral", "account_mode", "margin_mode", "leverage", "liquidation_price", "mark_price", "funding",
    "net_transfers", "collateral_price",
}  # fmt: skip


def d(text):
    return Decimal(text)


def long_position(*, size="10", is_cross=True, raw_usd=None):
    return PositionState(
        coin=COIN,
        size=d(size),
        entry_price=d("689"),
        value=abs(d(size)) * 690,
        unrealized_pnl=d(size),
        margin_used=abs(d(size)) * 690 / 20,
        leverage=20,
        is_cross=is_cross,
        raw_usd=raw_usd,
        liquidation_price=d("650.5"),
        max_leverage=25,
        funding_since_open=d("0"),
    )


def state(*positions, equity="1000", cash="-5900", used="345", maintenance="138"):
    figures = MarginFigures(d(equity), d("6900"), d(cash), d(used))
    return ClearinghouseState(9, figures, figures, d(maintenance), d("310"), positions)


def order(side, size, price="690", *, reduce_only=False):
    return OpenOrder(COIN, side, d(price), d(size), d(size), 1, None, 1, reduce_only)


def test_a_standard_account_is_the_dexs_own_pot():
    figures = account_figures(SCOPE, "disabled", state(long_position()), None, [])

    assert figures.equity == d("1000")
    assert figures.margin_used == d("345")
    assert figures.position_margin_ratio == d("0.345")
    assert figures.maintenance_ratio == d("0.138")
    assert figures.mode == "standard"
    assert (figures.leverage, figures.margin_mode) == (20, "cross")
    assert figures.mark_price == d("690")


def test_the_engines_balance_leaves_out_what_is_not_realized():
    figures = account_figures(SCOPE, "disabled", state(long_position()), None, [])

    (balance,) = balances_of(figures, USDH)
    assert str(balance.total) == "990.00000000 USDH"
    assert str(balance.locked) == "345.00000000 USDH"
    assert balance.total.as_decimal() - balance.locked.as_decimal() == balance.free.as_decimal()


def test_orders_add_the_margin_of_their_larger_side_after_netting():
    orders = [order(1, "4"), order(-1, "12"), order(-1, "3", reduce_only=True)]

    figures = account_figures(SCOPE, "disabled", state(long_position()), None, orders)

    # sells beyond the 10 held: 2; buys 4, which is more
    assert figures.order_margin == d("4") * 690 / 20
    assert figures.margin_ratio == (d("345") + d("138")) / 1000
    (margin,) = margins_of(figures, USDH, IID)
    assert margin.initial.as_decimal() == d("138")
    assert margin.maintenance.as_decimal() == d("345")


def test_a_flat_account_takes_leverage_and_mark_from_what_is_set():
    figures = account_figures(
        SCOPE,
        "default",
        state(used="0", maintenance="0"),
        None,
        [order(1, "4")],
        leverage=10,
        mark_price=d("691"),
    )

    assert figures.order_margin == d("4") * 690 / 10
    assert figures.leverage == 10
    assert figures.mark_price == d("691")
    assert figures.liquidation_price is None
    assert figures.maintenance_ratio == 0


@pytest.mark.parametrize(
    ("mode", "name"), [("unifiedAccount", "unified"), ("portfolioMargin", "portfolio_margin")]
)
def test_a_unified_account_is_the_spot_balance_of_the_collateral(mode, name):
    spot = SpotState(
        (
            SpotBalance("USDC", 0, d("7"), d("0"), d("0")),
            SpotBalance("USDH", 360, d("2000"), d("345"), d("0")),
        )
    )

    figures = account_figures(SCOPE, mode, state(long_position()), spot, [])

    assert figures.equity == d("2000")
    assert figures.margin_used == d("345")
    assert figures.withdrawable == d("1655")
    assert figures.mode == name
    # the venue's unified account ratio
    assert figures.maintenance_ratio == d("138") / d("2000")


def test_a_unified_account_without_the_token_is_empty_and_one_without_spot_is_an_error():
    empty = account_figures(SCOPE, "unifiedAccount", state(), SpotState(()), [])

    assert empty.equity == 0
    with pytest.raises(PayloadError, match="spotClearinghouseState"):
        account_figures(SCOPE, "unifiedAccount", state(), None, [])


def test_an_unknown_mode_is_an_error_and_not_a_guess():
    with pytest.raises(PayloadError, match="newMode"):
        account_figures(SCOPE, "newMode", state(), None, [])


def test_an_isolated_position_is_covered_by_its_own_margin():
    position = long_position(is_cross=False, raw_usd=d("-6555"))
    given = state(position, maintenance="0", cash="655")

    figures = account_figures(SCOPE, "disabled", given, None, [])

    assert figures.margin_mode == "isolated"
    assert figures.maintenance == d("138")
    assert figures.maintenance_ratio == d("138") / d("345")


def test_a_dex_abstraction_account_is_read_on_its_dex():
    assert account_figures(SCOPE, "dexAbstraction", state(), None, []).mode == "dex_abstraction"


def test_the_info_has_the_names_of_every_engine():
    sums = AccountSums()
    assert sums.add_funding(COIN, 1, d("-0.25"))
    assert not sums.add_funding(COIN, 1, d("-0.25"))
    assert sums.add_transfer(("x",), d("100"))

    info = account_info(SCOPE, account_figures(SCOPE, "disabled", state(long_position()), None, []), sums)

    assert set(info) == KEYS
    assert info["funding"] == "-0.250000"
    assert info["net_transfers"] == "100.000000"
    assert info["equity"] == "1000.000000"
    assert info["margin_ratio"] == 0.345
    assert info["liquidation_price"] == "650.5"
    assert all(value is None or isinstance(value, (str, float, int)) for value in info.values())


def test_the_info_has_the_count_of_the_address_once_it_was_read():
    sums = AccountSums(actions=ActionCount(-30, 10_005, 1_767_623_400_000_000_000))

    info = account_info(SCOPE, account_figures(SCOPE, "disabled", state(long_position()), None, []), sums)

    assert set(info) - KEYS == {"actions_used", "actions_limit", "actions_ns"}
    assert (info["actions_used"], info["actions_limit"]) == (-30, 10_005)


def test_equity_that_is_used_up_makes_the_ratio_infinite_and_the_balance_honest():
    figures = account_figures(SCOPE, "disabled", state(long_position(), equity="-5"), None, [])

    assert figures.margin_ratio == Decimal("Infinity")
    (balance,) = balances_of(figures, USDH)
    assert balance.total.as_decimal() < 0
    assert balance.locked.as_decimal() == 0
