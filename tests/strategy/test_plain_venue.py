"""
The account of 1,000 USDH that the engine alone lets buy 68,000: our order is refused before it leaves.

The engine's own venue checks no margin of a margin account when an order opens a position. The first tests show that it fills one of
sixty-eight times the equity; the others that the strategy sends none, there and on the simulated venue.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.engine import BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.objects import Money
from nautilus_trader.trading.strategy import Strategy

from amm500_catalog import USDH
from amm500_nautilus import topics
from amm500_nautilus.config import MarketMakerConfig
from amm500_nautilus.quoting.types import Modify
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.risk.types import RiskDecision
from tests.simulation.market import depth
from tests.simulation.market import load
from tests.simulation.market import make_instrument
from tests.simulation.market import quote
from tests.simulation.market import size
from tests.strategy.scene import BUDGET_OFF
from tests.strategy.scene import IID
from tests.strategy.scene import Probe
from tests.strategy.scene import ns
from tests.strategy.scene import play


BUY = 1
# a name of its own: the engine remembers for the whole process that it reckons the accounts of a venue itself
INSTRUMENT = make_instrument("PLAIN")
PLAIN = INSTRUMENT.id
# 98.55 contracts at 690.01 are worth 68,000.49
TICKS, LOTS = 69_001, 98_550
EQUITY = Decimal(1_000)


def deep(until: float, iid: Any = IID) -> list[Any]:
    """A still market that shows 200 contracts on each of ten levels."""
    data: list[Any] = []
    for half in range(round(until * 2)):
        ts = ns(half / 2)
        bids = [(69_000 - k, 200_000) for k in range(10)]
        asks = [(69_001 + k, 200_000) for k in range(10)]
        data += [quote(iid, ts, 69_000, 200_000, 69_001, 200_000), depth(iid, ts, bids, asks)]
    return data


def plain_engine() -> BacktestEngine:
    """An engine with its own venue and its own risk engine, as anyone would set it up: a margin account of 1,000 at 10x."""
    engine = BacktestEngine(
        BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False)
    )
    engine.add_venue(
        venue=PLAIN.venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(EQUITY, USDH)],
        base_currency=USDH,
        default_leverage=Decimal(10),
        book_type=BookType.L2_MBP,
    )
    engine.add_instrument(INSTRUMENT)
    load(engine, deep(12, PLAIN))
    return engine


class Buyer(Strategy):
    """Sends one market order and keeps what becomes of it."""

    def on_start(self) -> None:
        self.clock.set_time_alert_ns("buy", ns(5.2), self.buy)

    def buy(self, _event: Any) -> None:
        self.order = self.order_factory.market(PLAIN, OrderSide.BUY, size(LOTS))
        self.submit_order(self.order)


def big(maker: Probe) -> None:
    """Ask the strategy to send the order, as its own cycle would ask it to."""
    maker.bids = [slot.resting for slot in maker._orders.slots.values() if slot.resting.side == BUY]
    maker.answers = [maker._place(maker.clock.timestamp_ns(), Place(BUY, TICKS, LOTS, level=0))]


def bigger(maker: Probe) -> None:
    """Ask it to make one of its resting bids as large."""
    key = next(key for key, slot in maker._orders.slots.items() if slot.resting.side == BUY)
    maker.answers.append(maker._modify(maker.clock.timestamp_ns(), Modify(key, 68_990, LOTS, level=0)))


STEPS: list[tuple[float, Callable[..., None]]] = [(5.2, big), (5.3, bigger)]


def refusals(said: list[RiskDecision]) -> list[RiskDecision]:
    return [decision for decision in said if decision.subject == "order" and not decision.approved]


def test_the_plain_venue_fills_an_order_of_68_times_the_equity() -> None:
    engine = plain_engine()
    buyer = Buyer(StrategyConfig())
    engine.add_strategy(buyer)
    engine.run()
    assert buyer.order.status == OrderStatus.FILLED
    worth = buyer.order.filled_qty.as_decimal() * Decimal(str(buyer.order.avg_px))
    assert worth == Decimal("68000.4855")
    assert worth / EQUITY > 68
    # its margin model divides the maintenance rate by the leverage: 68,000 * 0.02 / 10
    account = engine.kernel.cache.account_for_venue(PLAIN.venue)
    assert account.margin_maint(PLAIN).as_decimal() == pytest.approx(Decimal("136.00"), abs=Decimal("0.01"))
    engine.dispose()


def plain_run() -> tuple[Probe, list[RiskDecision], Any]:
    engine = plain_engine()
    maker = Probe(MarketMakerConfig(instrument_id=PLAIN, order_id_tag="000", budget=BUDGET_OFF), STEPS)
    said: list[RiskDecision] = []
    engine.kernel.msgbus.subscribe(topic=topics.RISK, handler=said.append)
    engine.add_strategy(maker)
    engine.run()
    return maker, said, engine


def simulated_run() -> tuple[Probe, list[RiskDecision], Any]:
    said: list[RiskDecision] = []

    def listen(maker: Probe) -> None:
        maker.msgbus.subscribe(topic=topics.RISK, handler=said.append)

    scene = play(deep(12), STEPS, before=listen)
    return scene.maker, said, scene.engine


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(plain_run, id="on the engine's own venue"),
        pytest.param(simulated_run, id="on the simulated venue"),
    ],
)
def test_our_order_of_68_times_the_equity_is_refused_before_it_leaves(
    run: Callable[[], tuple[Probe, list[RiskDecision], Any]],
) -> None:
    maker, said, engine = run()
    # the strategy quotes here, with the equity that the account's balance shows
    assert maker.guard.echo.equity(0.0) == 1_000.0
    assert len(maker.bids) > 3
    assert maker.answers == [0, 0]
    first = refusals(said)[0]
    assert first.reason == "margin_ratio"
    # 68,000 and the bids that rest, over 10,000 that equity 1,000 carries at 10x
    resting = sum(order.price_ticks * order.lots for order in maker.bids) * 1e-5
    assert first.numbers["worst_notional"] == pytest.approx(68_000.4855 + resting)
    assert first.numbers["margin_ratio"] == pytest.approx((68_000.4855 + resting) / 10_000)
    assert first.numbers["limit"] == pytest.approx(8_000)
    # no order of that size was ever made, sent or changed to, and every command that left is one of the strategy's own
    orders = engine.kernel.cache.orders(strategy_id=maker.id)
    assert orders
    assert max(order.quantity.raw // maker._lot_raw for order in orders) < 1_000
    assert engine.kernel.exec_engine.command_count == len(maker.commands)
    assert not [at for at, _, _ in maker.commands if 5.1 < at < 5.9]
    assert sum(order.quantity.as_double() * order.price.as_double() for order in orders if order.is_open) == 0


def test_equity_comes_from_the_balances_where_the_account_gives_no_more() -> None:
    maker, _, engine = plain_run()
    account = engine.kernel.cache.account_for_venue(PLAIN.venue)
    assert account.last_event.info == {}
    assert maker._account.equity == float(account.balance_total(USDH))
    assert maker._account.starting_equity == 1_000.0
