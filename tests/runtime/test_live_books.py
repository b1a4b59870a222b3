"""The books of a live run: cash, position and marks from events alone."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_nautilus.runtime.node.books import LiveBooks
from tests.simulation.market import make_instrument
from tests.simulation.market import quote


INSTRUMENT = make_instrument()
IID = INSTRUMENT.id
SECOND = 1_000_000_000
T0 = 1_780_000_020 * SECOND


class Bus:
    """Keeps who listens."""

    def __init__(self) -> None:
        self.topics: dict[str, Any] = {}

    def subscribe(self, topic: str, handler: Any, priority: int = 0) -> None:
        self.topics[topic] = handler

    def unsubscribe(self, topic: str, handler: Any) -> None:
        del self.topics[topic]


class Records:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.fills: list[Any] = []
        self.earlier: list[Any] = []
        self.begun = 0
        self.markouts: list[tuple[int, int, float]] = []
        self.funding: list[tuple[Decimal, Decimal]] = []
        self.transfers: list[Decimal] = []
        self.minutes: list[int] = []

    def on_ledger_fill(self, fill: Any) -> None:
        self.fills.append(fill)

    def begin(self) -> None:
        self.begun += 1

    def on_earlier_fill(self, fill: Any) -> None:
        self.earlier.append(fill)

    def on_markout(self, index: int, horizon: int, mid: float) -> None:
        self.markouts.append((index, horizon, mid))

    def on_funding(self, _ts: int, amount: Decimal, rate: Decimal, _oracle: Decimal) -> None:
        self.funding.append((amount, rate))

    def on_transfer(self, _ts: int, amount: Decimal) -> None:
        self.transfers.append(amount)

    def on_minute(self, ts_ns: int) -> None:
        self.minutes.append(ts_ns)


class Desk:
    """Books with a clock, a market and a recorder."""

    def __init__(self, mid_ticks: int = 69_000) -> None:
        self.now = T0
        self.bus = Bus()
        self.records = Records()
        self.books = LiveBooks(INSTRUMENT, self.bus, lambda: self.now, (mid_ticks - 1, mid_ticks + 1))
        self.books.bind(self.records)  # type: ignore[arg-type]
        self.count = 0

    def report(self, equity: str, **info: Any) -> None:
        self.now += SECOND
        self.books.on_account_state(SimpleNamespace(info={"equity": equity, **info}, ts_event=self.now))  # type: ignore[arg-type]

    def market(self, mid_ticks: int) -> None:
        self.now += SECOND
        self.books.on_quote(quote(IID, self.now, mid_ticks - 1, 10, mid_ticks + 1, 10))

    def fill(
        self,
        side: int,
        lots: int,
        ticks: int,
        fee: str = "0",
        *,
        trade: str = "",
        order: str = "",
        maker: bool = True,
    ) -> None:
        self.now += SECOND
        self.count += 1
        self.books.on_order_event(
            OrderFilled(
                trader_id=TraderId("T-001"),
                strategy_id=StrategyId("S-001"),
                instrument_id=IID,
                client_order_id=ClientOrderId(f"O-{self.count}"),
                venue_order_id=VenueOrderId(order or str(self.count)),
                account_id=AccountId("HYPERLIQUID-km"),
                trade_id=TradeId(trade or str(self.count)),
                position_id=None,
                order_side=OrderSide.BUY if side > 0 else OrderSide.SELL,
                order_type=OrderType.LIMIT,
                last_qty=Quantity(lots / 1_000, 3),
                last_px=Price(ticks / 100, 2),
                currency=INSTRUMENT.quote_currency,
                commission=Money(Decimal(fee), INSTRUMENT.quote_currency),
                liquidity_side=LiquiditySide.MAKER if maker else LiquiditySide.TAKER,
                event_id=UUID4(),
                ts_event=self.now,
                ts_init=self.now,
            )
        )


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.report("1000", funding="0", net_transfers="0")
    made.books.begin([])
    return made


def test_a_round_trip_books_its_profit_its_fees_and_its_markouts(desk: Desk) -> None:
    desk.fill(1, 1_000, 69_000, "0.0207")
    # a contract at 690.00, mid 690.00: only the fee is gone
    assert desk.books.equity == Decimal(1000) - Decimal("0.0207")
    desk.market(69_010)
    desk.fill(-1, 1_000, 69_010, "0.0207")
    assert desk.books.equity == Decimal(1000) + Decimal("0.10") - Decimal("0.0414")
    opened, closed = desk.records.fills
    assert (opened.closed_pnl, closed.closed_pnl) == (0, Decimal("0.10"))
    assert (opened.position_lots, closed.position_lots, closed.crossed_zero) == (1_000, 0, True)
    assert (0, 0, 690.0) in desk.records.markouts


def test_a_fill_through_zero_closes_at_the_average_entry_and_opens_the_rest(desk: Desk) -> None:
    desk.fill(1, 1_000, 69_000)
    desk.fill(1, 1_000, 69_100)
    # average 690.50; 2 sold there at 691.50 earn 2, the third opens a short
    desk.fill(-1, 3_000, 69_150)
    assert desk.records.fills[-1].closed_pnl == Decimal("2.00")
    assert desk.books.position == -1
    desk.market(69_050)
    # 1 from the short's mark and 2 realized
    assert desk.books.equity == Decimal(1003)


def test_a_fill_told_twice_is_booked_once(desk: Desk) -> None:
    desk.fill(1, 1_000, 69_000, trade="7")
    desk.fill(1, 1_000, 69_000, trade="7")
    assert desk.books.position == 1
    assert len(desk.records.fills) == 1


def test_funding_and_transfers_are_what_the_reports_add_since_the_first() -> None:
    desk = Desk()
    desk.report("1000", funding="5", net_transfers="-3")
    desk.books.begin([])
    desk.fill(1, 1_000, 69_000)
    desk.report("1009.5", funding="4.5", net_transfers="7", mark_price="690")
    assert desk.records.funding == [(Decimal("-0.5"), Decimal("0.5") / 690)]
    assert desk.records.transfers == [10]
    assert desk.books.equity == Decimal("1009.5")
    assert desk.books.unexplained == 0.0


def test_a_difference_between_the_venue_and_the_books_is_named() -> None:
    desk = Desk()
    desk.report("1000")
    desk.books.begin([])
    desk.report("999.25")
    assert desk.books.unexplained == -0.75


def test_the_venue_s_mark_in_place_of_the_mid_is_no_difference(desk: Desk) -> None:
    desk.fill(1, 1_000, 69_000)
    desk.report("1000.50", mark_price="690.50")
    assert desk.books.unexplained == 0.0


def test_a_position_of_before_changes_no_equity_at_the_start() -> None:
    desk = Desk()
    desk.report("1000")
    held = SimpleNamespace(signed_decimal_qty=lambda: Decimal(2), avg_px_open=680.0)
    # what the engine makes up of it is no fill of the run
    desk.fill(1, 2_000, 68_000)
    desk.books.begin([held])
    assert desk.records.fills == []
    assert desk.books.equity == 1_000
    desk.market(69_100)
    assert desk.books.equity == 1_002
    desk.fill(-1, 2_000, 69_100)
    assert desk.records.fills[0].closed_pnl == 22


def test_rows_are_written_once_a_minute_and_at_the_end(desk: Desk) -> None:
    for second in range(0, 180, 10):
        desk.now = T0 + second * SECOND
        desk.books.on_time()
    assert len(desk.records.minutes) == len({minute // (60 * SECOND) for minute in desk.records.minutes}) == 3
    desk.books.close(T0 + 185 * SECOND)
    assert desk.records.minutes[-1] == T0 + 185 * SECOND
    assert desk.bus.topics == {}


FILLS = st.lists(
    st.tuples(st.sampled_from((1, -1)), st.integers(1, 5_000), st.integers(68_000, 70_000)), max_size=30
)


@given(FILLS, st.integers(68_000, 70_000))
def test_equity_is_the_start_plus_what_each_fill_gained_to_the_mid(
    fills: list[tuple[int, int, int]], mid: int
) -> None:
    desk = Desk()
    desk.report("1000")
    desk.books.begin([])
    for side, lots, ticks in fills:
        desk.fill(side, lots, ticks)
    desk.market(mid)
    gained = sum(Decimal(side * lots * (mid - ticks)) / 100_000 for side, lots, ticks in fills)
    assert desk.books.equity == 1_000 + gained
    # realized and unrealized are the same sum in two parts
    realized = sum(fill.closed_pnl for fill in desk.records.fills)
    row = desk.books.account()
    assert row.balance == pytest.approx(float(1_000 + realized))


def test_fills_of_while_no_node_ran_are_journaled_and_are_no_part_of_the_run() -> None:
    desk = Desk()
    desk.report("1000")
    # what the engine is told when a node starts with a position: what was held, then what it missed
    desk.fill(1, 500, 69_000, order="OPENING-1780000000000")
    desk.fill(-1, 200, 69_100, "0.01", trade="missed")
    assert desk.records.fills == []
    (missed,) = desk.records.earlier
    assert (missed.trade_id, missed.index, missed.position_lots) == ("missed", -1, 300)
    assert missed.closed_pnl == Decimal("0.2")
    held = SimpleNamespace(signed_decimal_qty=lambda: Decimal("0.3"), avg_px_open=690.0)
    desk.books.begin([held])
    assert desk.records.begun == 1
    assert desk.books.position == Decimal("0.3")
    assert desk.books.equity == 1_000
    desk.fill(-1, 300, 69_100)
    (fill,) = desk.records.fills
    assert (fill.index, fill.closed_pnl, desk.books.position) == (0, Decimal("0.3"), 0)
