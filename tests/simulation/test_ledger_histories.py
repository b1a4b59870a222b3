"""Random lives of an account: the incremental ledger against one recomputed from nothing, and against ``margin/``."""

from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.fees import GROWTH_RATES
from amm500_nautilus.margin.limits import order_refusal
from amm500_nautilus.margin.limits import trade_limits
from amm500_nautilus.margin.liquidation import LiquidationAct
from amm500_nautilus.margin.liquidation import account_liquidation_price
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import MarginTier
from amm500_nautilus.simulation.books import COIN
from amm500_nautilus.simulation.ledger import NANO
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.ledger import LedgerShape
from tests.margin import reference


SHAPE = LedgerShape(Decimal("0.01"), Decimal("0.001"))
UNIT = Decimal("0.00001")
SINGLE = MarginTable(25)
TIERED = MarginTable(
    25, (MarginTier(Decimal(0), 25), MarginTier(Decimal(2_000), 10), MarginTier(Decimal(9_000), 5))
)
SECOND = 1_000_000_000
START_TICKS = 69_000


@dataclass
class Life:
    """An account, everything that happened to it, and the checks after each event."""

    mode: MarginMode
    table: MarginTable
    leverage: int
    slippage_ticks: int = 0
    start: int = 1_000
    backstop: bool = True
    now_ns: int = 0
    history: list[reference.Event] = field(default_factory=list)
    acts: list[LiquidationAct] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(
            SHAPE,
            starting_equity=Decimal(self.start),
            rates=GROWTH_RATES,
            leverage=self.leverage,
            table=self.table,
            mode=self.mode,
            backstop=self.backstop,
        )
        mark = START_TICKS * SHAPE.tick
        self.terms = {
            COIN: reference.Terms(
                tuple((int(tier.lower_bound), tier.max_leverage) for tier in self.table.tiers),
                self.leverage,
                mark,
                isolated=self.mode is not MarginMode.CROSS,
            )
        }
        self.ledger.mark(2 * START_TICKS)
        self.history.append(reference.Transfer(Decimal(self.start)))
        self.resting = [0, 0]

    # -- events ---------------------------------------------------------------------------------------

    def transfer(self, amount: Decimal) -> None:
        allowed = -amount <= self.ledger.withdrawable
        try:
            self.ledger.transfer(amount)
        except ValueError:
            assert not allowed
        else:
            assert allowed
            self.history.append(reference.Transfer(amount))

    def rest(self, side: int, lots: int, ticks: int) -> None:
        if self.admits(side, lots, ticks):
            self.ledger.order_added(side, ticks, lots)
            self.resting[0 if side > 0 else 1] += ticks * lots

    def cancel_all(self) -> None:
        for n, side in enumerate((1, -1)):
            self.ledger.order_added(side, 1, -self.resting[n])
        self.resting = [0, 0]

    def admits(self, side: int, lots: int, ticks: int) -> bool:
        """Ask the ledger and ``margin.limits``; they must agree."""
        said = self.ledger.order_refusal(side, lots, ticks, self.resting[0 if side > 0 else 1])
        refusal = order_refusal(
            self.ledger.account_view(),
            COIN,
            side=side,
            size=lots * SHAPE.lot,
            price=ticks * SHAPE.tick,
            min_value=Decimal(0),
        )
        assert said == (None if refusal is None else refusal.words)
        return said is None

    def fill(self, side: int, lots: int, ticks: int, *, maker: bool) -> None:
        if not self.admits(side, lots, ticks):
            return
        self.book(side, lots, ticks, maker=maker)

    def book(self, side: int, lots: int, ticks: int, *, maker: bool) -> Decimal:
        result = self.ledger.apply_fill(side, lots, ticks, maker=maker)
        fee = Decimal(result.fee) / NANO
        assert fee == GROWTH_RATES.fee(lots * ticks * UNIT, maker=maker)
        self.history.append(reference.Fill(COIN, side, lots * SHAPE.lot, ticks * SHAPE.tick, fee))
        return fee

    def fill_up(self, side: int, percent: int) -> None:
        """Buy or sell so much of what the account can carry, at the mark."""
        account, ticks = self.ledger.account_view(), self.ledger.mid2_ticks // 2
        carried = trade_limits(account, COIN, SHAPE.lot).max_sizes[0 if side > 0 else 1]
        lots = int(carried / SHAPE.lot) * percent // 100
        if lots and ticks:
            self.fill(side, lots, ticks, maker=True)

    def slide(self, mid2: int) -> None:
        """Move the mark past the liquidation price by so much, or to the price itself."""
        ledger = self.ledger
        if ledger.position_lots > 0 and ledger.safe_low > 0:
            self.mark(max(2, ledger.safe_low - mid2))
        elif ledger.position_lots < 0:
            self.mark(max(2, ledger.safe_high + mid2))

    def funding(self, oracle: Decimal, rate: Decimal) -> None:
        self.ledger.apply_funding(oracle, rate)
        self.history.append(reference.Funding(COIN, oracle, rate))

    def mark(self, mid2: int) -> None:
        self.ledger.mark(mid2)
        self.history.append(reference.Mark(COIN, mid2 * SHAPE.tick / 2))

    def set_leverage(self, leverage: int) -> None:
        # margin/ decides first, and the ledger must say the same
        try:
            self.ledger.account_view().leverage_set(COIN, leverage)
        except ValueError:
            with pytest.raises(ValueError, match=r"^Invalid leverage value$"):
                self.ledger.set_leverage(leverage)
        else:
            self.ledger.set_leverage(leverage)
            self.history.append(reference.Leverage(COIN, leverage))

    # -- what the venue does --------------------------------------------------------------------------

    def liquidate(self) -> None:
        """Let the venue act until it has no reason to any more."""
        ledger = self.ledger
        while ledger.is_liquidatable:
            self.cancel_all()
            step = ledger.liquidation_step(self.now_ns)
            self.acts.append(step.act)
            assert step.act is not LiquidationAct.NONE
            side = -1 if ledger.position_lots > 0 else 1
            outside, mark = ledger.outside_nano, ledger.mid2_ticks * SHAPE.tick / 2
            penalty = Decimal(0)
            if step.act in (LiquidationAct.MARKET_ALL, LiquidationAct.MARKET_PART):
                lots = int(step.size / SHAPE.lot)
                ticks = max(1, (ledger.mid2_ticks + side) // 2 + side * self.slippage_ticks)
                fee = self.book(side, lots, ticks, maker=False)
                penalty = fee + side * step.size * (ticks * SHAPE.tick - mark)
                if step.act is LiquidationAct.MARKET_PART:
                    ledger.last_part_ns = self.now_ns
                else:
                    assert ledger.position_lots == 0
            else:
                ledger.take_over(max(1, ledger.mid2_ticks // 2))
                self.history.append(reference.TakenOver(COIN))
                assert ledger.position_lots == 0
                # all of a cross account goes, and nothing of what lies outside an isolated position
                assert ledger.outside_nano == (0 if ledger.is_cross else outside)
            if self.mode is not MarginMode.CROSS:
                # the collateral outside bears nothing but the documented penalty
                assert ledger.outside_nano >= outside - int(penalty * NANO)

    # -- checks ---------------------------------------------------------------------------------------

    def check(self) -> None:
        ledger, known = self.ledger, reference.Reference(self.terms, self.history)
        account = ledger.account_view()
        assert ledger.equity_nano == (
            ledger.start_nano
            + ledger.transfers_nano
            + ledger.realized_nano
            + ledger.unrealized_nano
            + ledger.funding_nano
            - ledger.fees_nano
            - ledger.liquidation_nano
        )
        assert _exact(ledger.equity_nano) == known.equity
        assert Fraction(ledger.position) == known.size(COIN)
        assert _exact(ledger.fees_nano) == known.fees
        assert _exact(ledger.funding_nano) == known.funding
        assert _exact(ledger.start_nano + ledger.transfers_nano) == known.transfers
        assert _exact(ledger.margin_used_nano) == known.margin_used
        assert _exact(ledger.maintenance_nano) == known.maintenance(COIN)
        assert _exact(ledger.withdrawable_nano) == known.withdrawable
        assert ledger.margin_used_nano >= 0
        self.check_against_margin(account)

    def check_against_margin(self, account: Account) -> None:
        ledger, ratios = self.ledger, self.ledger.ratios
        assert ledger.equity == account.equity
        assert ledger.withdrawable == account.withdrawable
        assert ledger.order_notional / ledger.leverage == pytest.approx(float(account.order_margin))
        for ours, theirs in (
            (ratios.margin_ratio, account.margin_ratio),
            (ratios.position_margin_ratio, account.position_margin_ratio),
            (ratios.maintenance_ratio, account.maintenance_ratio),
        ):
            assert ours == pytest.approx(float(theirs), rel=1e-12)
        price = account_liquidation_price(account, COIN)
        if price is None:
            assert ledger.liquidation_price is None
        else:
            assert ledger.liquidation_price == pytest.approx(float(price), rel=1e-9)
        position = account.position(COIN)
        backing = account.cross_summary.account_value if position.is_cross else position.margin_used
        assert ledger.is_liquidatable == (position.size != 0 and backing < position.maintenance)


def _exact(nano: int) -> Fraction:
    return Fraction(nano, NANO)


side = st.sampled_from([1, -1])
# a fill is near the start, or as far as marks go
ticks = st.one_of(st.integers(68_500, 69_500), st.integers(40_000, 100_000))
lots = st.one_of(st.integers(1, 4_000), st.integers(1, 40_000), st.integers(100_000, 400_000))
mid2 = st.one_of(st.integers(135_000, 141_000), st.integers(60_000, 220_000))
event = st.one_of(
    st.tuples(st.just("transfer"), st.decimals("-900", "900", places=6)),
    # enough for a position above 100,000, which is liquidated in parts
    st.tuples(st.just("transfer"), st.decimals("5000", "20000", places=2)),
    st.tuples(st.just("rest"), side, lots, ticks),
    st.tuples(st.just("fill"), side, lots, ticks, st.booleans()),
    st.tuples(st.just("fill"), side, lots, st.integers(68_900, 69_100), st.booleans()),
    st.tuples(st.just("fill_up"), side, st.integers(20, 100)),
    st.tuples(st.just("fill_up"), side, st.integers(20, 100)),
    st.tuples(st.just("slide"), st.one_of(st.integers(0, 3), st.integers(0, 600), st.integers(0, 2_800))),
    st.tuples(st.just("slide"), st.one_of(st.integers(0, 3), st.integers(0, 600), st.integers(0, 2_800))),
    st.tuples(
        st.just("funding"), st.decimals("400", "900", places=2), st.decimals("-0.04", "0.04", places=6)
    ),
    st.tuples(st.just("mark"), mid2),
    st.tuples(st.just("set_leverage"), st.integers(1, 30)),
    st.tuples(st.just("cancel_all")),
    st.tuples(st.just("wait"), st.integers(1, 40)),
)
life = st.builds(
    Life,
    st.sampled_from(list(MarginMode)),
    st.sampled_from([SINGLE, TIERED]),
    st.integers(1, 25),
    st.integers(0, 300),
    st.sampled_from([1_000, 30_000]),
    backstop=st.booleans(),
)


def live(account: Life, events: list[tuple]) -> None:
    """Live through the events; the venue may act after each, and every figure is checked after that."""
    for what, *values in events:
        if what == "fill":
            side, lots, ticks, maker = values
            account.fill(side, lots, ticks, maker=maker)
        elif what == "wait":
            account.now_ns += values[0] * SECOND
        else:
            getattr(account, what)(*values)
        account.liquidate()
        account.check()


@given(life, st.lists(event, max_size=14))
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_ledger_is_the_account_recomputed_from_nothing_after_every_event(
    account: Life, events: list[tuple]
) -> None:
    live(account, events)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@given(life, st.lists(event, max_size=30))
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_ten_thousand_long_lives(account: Life, events: list[tuple]) -> None:
    live(account, events)
