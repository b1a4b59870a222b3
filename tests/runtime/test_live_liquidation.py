"""The venue's own trades in a live run's books: counted as what they were."""

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

from tests.runtime.test_live_books import IID
from tests.runtime.test_live_books import INSTRUMENT
from tests.runtime.test_live_books import Desk


def sold(desk: Desk, reason: str, number: int, trade: int) -> None:
    """Let the venue sell 10 lots of ours, as the adapter names it."""
    desk.now += 1
    desk.books.on_order_event(
        OrderFilled(
            trader_id=TraderId("T-001"),
            strategy_id=StrategyId("S-001"),
            instrument_id=IID,
            client_order_id=ClientOrderId(f"{reason}-{number}-{trade}"),
            venue_order_id=VenueOrderId(f"{number}-{trade}"),
            account_id=AccountId("HYPERLIQUID-km"),
            trade_id=TradeId(f"1-{trade}"),
            position_id=None,
            order_side=OrderSide.SELL,
            order_type=OrderType.LIMIT,
            last_qty=Quantity(0.010, 3),
            last_px=Price(680, 2),
            currency=INSTRUMENT.quote_currency,
            commission=Money(0, INSTRUMENT.quote_currency),
            liquidity_side=LiquiditySide.TAKER,
            event_id=UUID4(),
            ts_event=desk.now,
            ts_init=desk.now,
        )
    )


def test_a_liquidation_is_counted_once_however_many_trades_it_took() -> None:
    desk = Desk()
    desk.report("1000")
    desk.books.begin([])
    desk.fill(1, 100, 69_000)
    assert desk.books.account().liquidations == 0
    sold(desk, "LIQUIDATION", 77, 1)
    sold(desk, "LIQUIDATION", 77, 2)
    assert desk.books.account().liquidations == 1
    sold(desk, "ADL", 78, 3)
    assert desk.books.account().liquidations == 2


def test_what_a_person_or_a_settlement_trades_is_no_liquidation() -> None:
    desk = Desk()
    desk.report("1000")
    desk.books.begin([])
    for number, reason in enumerate(("MANUAL", "LATE", "SETTLEMENT")):
        sold(desk, reason, number, number)
    assert desk.books.account().liquidations == 0
