"""Liquidation: its price, its distance, what the venue does, and what that costs."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.liquidation import COOLDOWN_NS
from amm500_nautilus.margin.liquidation import LiquidationAct
from amm500_nautilus.margin.liquidation import LiquidationLoss
from amm500_nautilus.margin.liquidation import account_liquidation_price
from amm500_nautilus.margin.liquidation import distance_to
from amm500_nautilus.margin.liquidation import full_position_distance
from amm500_nautilus.margin.liquidation import liquidation_price
from amm500_nautilus.margin.liquidation import liquidation_step
from amm500_nautilus.margin.liquidation import liquidation_steps
from amm500_nautilus.margin.liquidation import market_loss
from amm500_nautilus.margin.liquidation import price_at_ratio
from amm500_nautilus.margin.liquidation import taken_over
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import MarginTier


TABLE = MarginTable(25)
TIERED = MarginTable(
    25, (MarginTier(Decimal(0), 25), MarginTier(Decimal(6_500), 10), MarginTier(Decimal(8_000), 5))
)
SECOND = 10**9


def held(
    size: str, *, cash: int = 1000, mode: MarginMode = MarginMode.CROSS, table: MarginTable = TABLE, leverage: int = 10
) -> Account:  # fmt: skip
    start = Account(
        collateral="USDH",
        cash=Decimal(cash),
        positions=(
            Position(coin="km:US500", table=table, leverage=leverage, mark=Decimal(700), mode=mode),
            Position(coin="km:OTHER", table=table, leverage=leverage, mark=Decimal(100)),
        ),
    )
    amount = Decimal(size)
    return start.filled("km:US500", side=1 if amount > 0 else -1, size=abs(amount), price=Decimal(700))[0]


def price_of(account: Account) -> Decimal:
    price = account_liquidation_price(account, "km:US500")
    assert price is not None
    return price


def test_a_cross_long_is_liquidated_below_and_a_cross_short_above_the_mark() -> None:
    # long 10 at 700, equity 1,000, maintenance 140: 700 - 860 / 10 / 0.98
    assert price_of(held("10")) == pytest.approx(Decimal("612.2448979591836734693877551"))
    # short: 700 + 860 / 10 / 1.02
    assert price_of(held("-10")) == pytest.approx(Decimal("784.3137254901960784313725490"))


def test_an_isolated_position_is_liquidated_on_its_own_margin() -> None:
    # margin 700 at 10x, maintenance 140: 700 - 560 / 10 / 0.98
    isolated = held("10", mode=MarginMode.ISOLATED)
    assert price_of(isolated) == pytest.approx(Decimal("642.8571428571428571428571429"))
    assert price_of(replace(isolated, cash=Decimal(10**6))) == price_of(isolated)


def test_the_maintenance_of_other_cross_positions_brings_liquidation_nearer() -> None:
    alone = held("10")
    both = alone.filled("km:OTHER", side=1, size=Decimal(50), price=Decimal(100))[0]
    # 5,000 of the other coin needs 100 more
    assert price_of(both) == pytest.approx(700 - Decimal(760) / 10 / Decimal("0.98"))


def test_there_is_no_liquidation_price_when_flat_or_when_the_collateral_outweighs_the_position() -> None:
    assert account_liquidation_price(held("1"), "km:OTHER") is None
    assert account_liquidation_price(held("1"), "km:US500") is None
    assert distance_to(None, mark=Decimal(700), side=1) is None


def test_the_tier_at_the_liquidation_price_counts() -> None:
    # short 9 at 700 = 6,300 (2 %), equity 900; rising past 6,500 the rate is 5 %, past 8,000 10 %
    # second tier: deduction 6,500 x 3 % = 195; 900 - 9 (p - 700) = 9 p x 0.05 - 195 -> p = 7,395 / 9.45 = 782.54
    account = held("-9", cash=900, table=TIERED)
    assert price_of(account) == pytest.approx(Decimal(7395) / Decimal("9.45"))
    assert price_of(account) < price_of(held("-9", cash=900))


@pytest.mark.parametrize(
    ("leverage", "side", "percent"),
    [
        (25, 1, "2.0408"),  # 0.02 / 0.98
        (25, -1, "1.9608"),  # 0.02 / 1.02
        (10, 1, "8.1633"),  # 0.08 / 0.98
        (1, 1, "100"),  # the whole price
    ],
)
def test_a_full_position_is_this_far_from_liquidation(leverage: int, side: int, percent: str) -> None:
    distance = full_position_distance(leverage=leverage, table=TABLE, side=side)
    assert float(distance * 100) == pytest.approx(float(percent), abs=5e-5)


def test_the_distance_is_a_share_of_the_mark_and_negative_when_passed() -> None:
    account = held("10")
    price = price_of(account)
    assert distance_to(price, mark=Decimal(700), side=1) == (700 - price) / 700
    past = distance_to(price, mark=Decimal(600), side=1)
    assert past is not None
    assert past < 0


def test_the_price_at_which_a_ratio_is_reached_is_found_in_closed_form() -> None:
    # long 10 at 700, equity 1,000, 10x: margin is 90 % of equity where 1,000 p / 1,000 = p = 0.9 (1,000 + 10 (p - 700))
    price = price_at_ratio(
        equity=Decimal(1000), size=Decimal(10), mark=Decimal(700), rate=Decimal("0.1"), ratio=Decimal("0.9")
    )
    assert price == Decimal(5400) / 8
    liquidation = price_at_ratio(
        equity=Decimal(1000), size=Decimal(10), mark=Decimal(700), rate=Decimal("0.02"), ratio=Decimal(1)
    )
    assert liquidation == pytest.approx(price_of(held("10")))
    assert price_at_ratio(
        equity=Decimal(1), size=Decimal(0), mark=Decimal(1), rate=Decimal("0.1"), ratio=Decimal(1)
    ) is None  # fmt: skip


# -- what the venue does -------------------------------------------------------------------------------

BIG = Position(
    coin="km:US500",
    table=TABLE,
    leverage=25,
    mark=Decimal(700),
    size=Decimal("200.003"),
    entry_value=Decimal(140_000),
)
SMALL = replace(BIG, size=Decimal(100), entry_value=Decimal(70_000))  # fmt: skip


@pytest.mark.parametrize(
    ("position", "value", "since", "backstop", "act", "size"),
    [
        pytest.param(SMALL, 1400, None, True, "none", 0, id="at maintenance"),
        pytest.param(SMALL, 1399, None, True, "market_all", 100, id="below: the whole"),
        # 20 % of 200.003 is 40.0006, rounded up to the lot
        pytest.param(BIG, 1399, None, True, "market_part", "40.001", id="above 100,000: a fifth"),
        pytest.param(BIG, 1399, 29, True, "market_all", "200.003", id="within 30 s of a part: the whole"),
        pytest.param(BIG, 1399, 30, True, "market_part", "40.001", id="after 30 s: a fifth again"),
        pytest.param(SMALL, 934, None, True, "market_all", 100, id="just above two thirds of 1,400"),
        pytest.param(SMALL, 933, None, True, "backstop", 100, id="below two thirds"),
        pytest.param(SMALL, 933, None, False, "market_all", 100, id="no backstop: the book goes on"),
        pytest.param(SMALL, -1, None, True, "adl", 100, id="negative"),
        pytest.param(SMALL, -1, None, False, "adl", 100, id="negative without backstop"),
    ],
)
def test_the_venue_liquidates_in_these_steps(
    position: Position, value: int, since: int | None, backstop: bool, act: str, size: int | str
) -> None:
    now = 100 * SECOND
    step = liquidation_step(
        position,
        value=Decimal(value),
        maintenance=Decimal(1400),
        now_ns=now,
        last_part_ns=None if since is None else now - since * SECOND,
        backstop=backstop,
    )
    assert (step.act, step.size) == (LiquidationAct(act), Decimal(size))


def test_all_cross_positions_share_one_fate_and_an_isolated_one_has_its_own() -> None:
    account = held("10").filled("km:OTHER", side=1, size=Decimal(1), price=Decimal(100))[0]
    # 1,000 - 880 = 120 under a maintenance of 122.4 + 2
    sunk = account.marked("km:US500", Decimal(612))
    assert [(s.coin, s.act) for s in liquidation_steps(sunk, now_ns=0)] == [
        ("km:US500", LiquidationAct.MARKET_ALL),
        ("km:OTHER", LiquidationAct.MARKET_ALL),
    ]
    isolated = held("10", mode=MarginMode.ISOLATED).filled(
        "km:OTHER", side=1, size=Decimal(1), price=Decimal(100)
    )[0]
    steps = liquidation_steps(isolated.marked("km:US500", Decimal(642)), now_ns=0)
    assert [s.coin for s in steps] == ["km:US500"]


# -- what it costs --------------------------------------------------------------------------------------


def test_a_market_close_costs_the_distance_to_the_mark_and_the_fee_and_no_more() -> None:
    # 10 sold at 612 with the mark at 612.5: 5, and a fee of 0.5508
    position = held("10").marked("km:US500", Decimal("612.5")).position("km:US500")
    loss = market_loss(position, size=Decimal(10), price=Decimal(612), fee=Decimal("0.5508"))
    assert loss == LiquidationLoss(slippage=Decimal(5), fee=Decimal("0.5508"))
    assert loss.total == Decimal("5.5508")


def test_the_backstop_takes_all_cross_positions_and_the_whole_cross_value() -> None:
    account = held("10").filled("km:OTHER", side=1, size=Decimal(1), price=Decimal(100))[0]
    after, loss = taken_over(account.marked("km:US500", Decimal(608)), "km:US500")
    assert (after.equity, after.cash) == (0, 0)
    assert [p.size for p in after.positions] == [0, 0]
    assert loss.forfeited == Decimal(80)


def test_the_backstop_takes_an_isolated_position_and_leaves_the_rest_alone() -> None:
    account = held("10", mode=MarginMode.ISOLATED).marked("km:US500", Decimal(640))
    after, loss = taken_over(account, "km:US500")
    assert loss.forfeited == Decimal(100)
    assert after.equity == account.equity - 100 == Decimal(300)


def test_a_shortfall_is_borne_by_others_and_leaves_nothing_owed() -> None:
    after, loss = taken_over(held("10").marked("km:US500", Decimal(590)), "km:US500")
    assert loss.forfeited == Decimal(-100)
    assert after.equity == 0


# -- properties ------------------------------------------------------------------------------------------

sizes = st.integers(1, 60_000).map(lambda n: Decimal(n) / 1000)


@given(
    sizes, st.sampled_from([1, -1]), st.integers(10, 60_000), st.sampled_from([TABLE, TIERED]), st.booleans()
)
def test_equity_at_the_liquidation_price_equals_maintenance(
    size: Decimal, side: int, cash: int, table: MarginTable, cross: bool
) -> None:
    mode = MarginMode.CROSS if cross else MarginMode.ISOLATED
    account = held(str(side * size), cash=cash, mode=mode, table=table, leverage=5)
    price = account_liquidation_price(account, "km:US500")
    if price is None:
        assert side == 1
        return
    there = account.marked("km:US500", price)
    position = there.position("km:US500")
    covered = there.cross_summary.account_value if cross else position.margin_used
    # maintenance is cut to six decimals here and at the mark
    assert abs(covered - table.maintenance(position.notional)) <= Decimal("0.000003")


@given(sizes, st.sampled_from([1, -1]), st.integers(1000, 60_000))
def test_a_mark_past_the_liquidation_price_liquidates_and_one_short_of_it_does_not(
    size: Decimal, side: int, cash: int
) -> None:
    account = held(str(side * size), cash=cash, table=TIERED)
    price = account_liquidation_price(account, "km:US500")
    assume(price is not None)
    assert price is not None
    # three hundred-thousandths of the price outweigh the cut of a millionth at the smallest size
    step = side * max(price * Decimal("0.00003"), Decimal("0.01"))
    assume(price - step > 0)
    assert liquidation_steps(account.marked("km:US500", price - step), now_ns=0)
    assert not liquidation_steps(account.marked("km:US500", price + step), now_ns=0)


@given(sizes, st.sampled_from([1, -1]), st.integers(100, 60_000), st.integers(1, 1000))
def test_more_collateral_never_brings_liquidation_nearer(
    size: Decimal, side: int, cash: int, more: int
) -> None:
    def distance(amount: int) -> Decimal:
        price = liquidation_price(
            size=side * size, mark=Decimal(700), value=Decimal(amount), table=TIERED
        )  # fmt: skip
        found = distance_to(price, mark=Decimal(700), side=side)
        return Decimal(10) ** 9 if found is None else found

    assert distance(cash) <= distance(cash + more)


@given(st.integers(-2_000, 3_000), st.integers(0, 60), st.booleans(), st.booleans())
def test_a_position_below_maintenance_is_always_acted_on_and_one_above_never(
    value: int, seconds: int, backstop: bool, large: bool
) -> None:
    step = liquidation_step(
        BIG if large else SMALL,
        value=Decimal(value),
        maintenance=Decimal(1400),
        now_ns=seconds * SECOND,
        last_part_ns=0,
        backstop=backstop,
    )
    assert (step.act is LiquidationAct.NONE) == (value >= 1400)
    assert (step.size > 0) == (step.act is not LiquidationAct.NONE)
    if step.act is LiquidationAct.MARKET_PART:
        assert large
        assert seconds * SECOND >= COOLDOWN_NS
