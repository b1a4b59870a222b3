"""Random histories: the account's incremental figures against a recomputation from nothing, at every step."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.liquidation import LiquidationAct
from amm500_nautilus.margin.liquidation import liquidation_steps
from amm500_nautilus.margin.liquidation import taken_over
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import MarginTier
from tests.margin.reference import Event
from tests.margin.reference import Fill
from tests.margin.reference import Funding
from tests.margin.reference import Leverage
from tests.margin.reference import Mark
from tests.margin.reference import Reference
from tests.margin.reference import TakenOver
from tests.margin.reference import Terms
from tests.margin.reference import Transfer


START = Decimal(700)
TIERS = ((0, 25), (3_000, 10), (9_000, 5))
COINS = ("km:A", "km:B", "km:C")
MODES = (MarginMode.CROSS, MarginMode.CROSS, MarginMode.ISOLATED)
TERMS = {
    coin: Terms(tiers=TIERS, leverage=10, mark=START, isolated=mode is MarginMode.ISOLATED)
    for coin, mode in zip(COINS, MODES, strict=True)
}

coins = st.sampled_from(COINS)
prices = st.integers(50_000, 90_000).map(lambda n: Decimal(n) / 100)
near = st.integers(69_000, 71_000).map(lambda n: Decimal(n) / 100)
sizes = st.integers(1, 4_000).map(lambda n: Decimal(n) / 1000)
money = st.integers(-(10**9), 10**9).map(lambda n: Decimal(n) / 10**6)
rates = st.integers(-400_000, 400_000).map(lambda n: Decimal(n) / 10**10)
events = st.one_of(
    st.builds(Transfer, money),
    st.builds(
        Fill, coins, st.sampled_from([1, -1]), sizes, near, st.integers(-100, 900).map(lambda n: Decimal(n) / 10**6)
    ),
    st.builds(Funding, coins, prices, rates),
    st.builds(Mark, coins, prices),
    st.builds(Leverage, coins, st.integers(1, 25)),
)  # fmt: skip
histories = st.lists(events, min_size=1, max_size=18)


def opened(modes: tuple[MarginMode, ...] = MODES) -> Account:
    table = MarginTable(25, tuple(MarginTier(Decimal(bound), leverage) for bound, leverage in TIERS))
    positions = tuple(
        Position(coin=coin, table=table, leverage=10, mark=START, mode=mode)
        for coin, mode in zip(COINS, modes, strict=True)
    )
    return Account(collateral="USDH", cash=Decimal(1000), positions=positions)


def book(account: Account, event: Event) -> Account | None:
    """The account after an event; None when the account refuses it."""
    try:
        match event:
            case Transfer(amount):
                return account.transferred(amount)
            case Fill(coin, side, size, price, fee):
                return account.filled(coin, side=side, size=size, price=price, fee=fee)[0]
            case Funding(coin, oracle_price, rate):
                return account.funded(coin, oracle_price=oracle_price, hourly_rate=rate)[0]
            case Mark(coin, price):
                return account.marked(coin, price)
            case Leverage(coin, leverage):
                return account.leverage_set(coin, leverage)
            case TakenOver(coin):
                return taken_over(account, coin)[0]
    except ValueError:
        return None


def agrees(account: Account, reference: Reference) -> None:
    summary = account.summary
    assert Fraction(summary.account_value) == reference.equity
    assert Fraction(account.cross_summary.account_value) == reference.cross_value
    assert Fraction(summary.total_margin_used) == reference.margin_used
    assert Fraction(summary.total_ntl_pos) == sum(reference.notional(coin) for coin in COINS)
    assert Fraction(account.cross_maintenance) == reference.cross_maintenance
    assert Fraction(account.withdrawable) == reference.withdrawable
    for coin in COINS:
        position = account.position(coin)
        assert Fraction(position.size) == reference.size(coin)
        if not position.is_cross:
            assert Fraction(position.margin_used) == reference.isolated_margin(coin)


@settings(max_examples=120, deadline=None)
@given(histories)
def test_every_figure_equals_the_recomputation_from_nothing_after_every_event(history: list[Event]) -> None:
    account = opened()
    lived: list[Event] = [Transfer(Decimal(1000))]
    for event in history:
        moved = book(account, event)
        if moved is None:
            continue
        account = moved
        lived.append(event)
        agrees(account, Reference(TERMS, lived))
        while steps := [
            s
            for s in liquidation_steps(account, now_ns=0)
            if s.act in {LiquidationAct.BACKSTOP, LiquidationAct.ADL}
        ]:
            account = book(account, TakenOver(steps[0].coin)) or account
            lived.append(TakenOver(steps[0].coin))
            agrees(account, Reference(TERMS, lived))


@settings(max_examples=200, deadline=None)
@given(histories, st.sampled_from(list(MarginMode)))
def test_what_may_be_withdrawn_is_never_negative_nor_above_equity(
    history: list[Event], mode: MarginMode
) -> None:
    account = opened((mode,) * 3)
    for event in history:
        account = book(account, event) or account
        assert account.withdrawable >= 0
        assert account.withdrawable <= max(0, account.cross_summary.account_value)
        assert account.withdrawable <= account.free
        assert all(position.removable >= 0 for position in account.positions)
        if all(position.is_cross or position.margin_used >= 0 for position in account.positions):
            assert account.withdrawable <= max(0, account.equity)


@settings(max_examples=200, deadline=None)
@given(histories)
def test_an_isolated_position_never_costs_more_than_the_margin_put_into_it(history: list[Event]) -> None:
    """Whatever its price does, the collateral outside moves only by openings, closings and transfers."""
    account = opened((MarginMode.ISOLATED,) * 3)
    for event in history:
        before = account.cash
        account = book(account, event) or account
        if isinstance(event, Funding | Mark | Leverage):
            assert account.cash == before
        for step in liquidation_steps(account, now_ns=0):
            if step.act in {LiquidationAct.BACKSTOP, LiquidationAct.ADL}:
                outside = account.cash
                account, loss = taken_over(account, step.coin)
                assert account.cash == outside
                assert loss.total == step.value
                assert account.position(step.coin).size == 0


def test_a_long_that_falls_loses_the_fall_and_a_rising_mark_frees_collateral() -> None:
    account, _ = opened().filled("km:A", side=1, size=Decimal(10), price=Decimal(700))
    # 10 x -20 = -200; margin 680 at 10x, a tenth of 6,800 is the same
    fallen = account.marked("km:A", Decimal(680))
    assert (fallen.equity, fallen.withdrawable) == (Decimal(800), Decimal(120))
    assert account.marked("km:A", Decimal(720)).withdrawable == Decimal(480)


def test_the_reference_and_the_account_agree_on_a_history_worked_by_hand() -> None:
    # 1,000 in; buy 2 at 700, fee 0.042; mark 710; an hour at oracle 709 and 0.00001: -0.01418
    lived: list[Event] = [
        Transfer(Decimal(1000)),
        Fill("km:A", 1, Decimal(2), Decimal(700), Decimal("0.042")),
        Mark("km:A", Decimal(710)),
        Funding("km:A", Decimal(709), Decimal("0.00001")),
    ]
    reference = Reference(TERMS, lived)
    assert reference.equity == Fraction("1019.94382")
    assert reference.margin_used == 142
    assert reference.maintenance("km:A") == Fraction("28.4")
    account = replace(opened(), cash=Decimal(0))
    for event in lived:
        account = book(account, event) or account
    agrees(account, reference)
