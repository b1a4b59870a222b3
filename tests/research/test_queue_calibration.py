"""From a recording's trades, books and own orders to what each order saw of its queue."""

from decimal import Decimal

import pytest
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_nautilus.report.parity import FillRow
from amm500_nautilus.runtime.replay.own import OrderState
from amm500_nautilus.runtime.replay.own import OwnOrder
from amm500_nautilus.runtime.replay.own import OwnOrders
from amm500_nautilus.runtime.research.queue_calibration import episodes_of


ID = InstrumentId.from_str("km:US500-USD-PERP.HYPERLIQUID")
TICK, LOT = Decimal("0.01"), Decimal("0.001")


def book(ts: int, **levels: float) -> OrderBookDeltas:
    """A whole book at a time; ``b69000=0.5`` is a bid of half a contract at 690.00."""
    deltas = [OrderBookDelta.clear(ID, 0, ts, ts)]
    for name, size in levels.items():
        side = OrderSide.BUY if name[0] == "b" else OrderSide.SELL
        order = BookOrder(side, Price(int(name[1:]) / 100, 2), Quantity(size, 3), 0)
        deltas.append(OrderBookDelta(ID, BookAction.ADD, order, 0, 0, ts, ts))
    return OrderBookDeltas(ID, deltas)


def trade(ts: int, ticks: int, size: float, aggressor: AggressorSide) -> TradeTick:
    return TradeTick(ID, Price(ticks / 100, 2), Quantity(size, 3), aggressor, TradeId(str(ts)), ts, ts)


def own(*orders: OwnOrder) -> OwnOrders:
    found = OwnOrders(TICK, LOT)
    found.orders = {order.key: order for order in orders}
    return found


def test_an_order_sees_the_trades_and_sizes_of_its_price_until_it_fills() -> None:
    order = OwnOrder("a", 1, 69_000, 100, sent_ns=1)
    order.states = [OrderState(10, 69_000, 100, 100), OrderState(40, 69_000, 0, 100)]
    order.fills = [FillRow(40, "a", 1, 69_000, 100, 0.0, is_maker=True)]
    data = [
        book(5, b69000=0.5, b68990=1.0, a69010=0.7),
        book(20, b69000=0.4, b68990=1.0, a69010=0.7),
        trade(30, 69_000, 0.2, AggressorSide.SELLER),
        trade(31, 69_010, 0.2, AggressorSide.BUYER),
        book(30, b69000=0.2, b68990=1.0, a69010=0.7),
        trade(40, 69_000, 0.3, AggressorSide.SELLER),
        book(50, b68990=1.0, a69010=0.7),
    ]
    (episode,) = episodes_of(data, own(order), TICK, LOT)
    assert episode.displayed == 500
    assert episode.events == [(False, 500, 400), (True, 200, 0), (False, 400, 200), (True, 300, 0)]
    assert (episode.trades, episode.filled_at) == (2, 1)


def test_a_moved_order_and_one_out_of_view_begin_where_they_are_seen() -> None:
    order = OwnOrder("a", -1, 69_010, 50, sent_ns=1)
    order.states = [
        OrderState(10, 69_050, 50, 50),  # beyond the last visible ask
        OrderState(20, 69_010, 50, 50),
        OrderState(30, 69_005, 50, 50),  # between the touches: nothing is displayed there
        OrderState(40, 69_005, 0, 50),
    ]
    data = [
        book(5, b69000=0.5, a69010=0.7, a69020=0.1),
        book(15, b69000=0.5, a69010=0.6, a69020=0.1),
        trade(25, 69_010, 0.1, AggressorSide.BUYER),
    ]
    first, second = episodes_of(data, own(order), TICK, LOT)
    assert (first.displayed, first.trades, first.filled_at) == (600, 1, None)
    assert (second.displayed, second.trades, second.filled_at) == (0, 0, None)


@pytest.mark.parametrize("is_same", [True, False])
def test_only_a_trade_at_the_time_of_the_fill_explains_it(is_same: bool) -> None:
    order = OwnOrder("a", 1, 69_000, 100, sent_ns=1)
    order.states = [OrderState(10, 69_000, 100, 100), OrderState(40, 69_000, 0, 100)]
    order.fills = [FillRow(40, "a", 1, 69_000, 100, 0.0, is_maker=True)]
    data = [
        book(5, b69000=0.1, a69010=0.7),
        trade(40 if is_same else 35, 69_000, 0.3, AggressorSide.SELLER),
    ]
    (episode,) = episodes_of(data, own(order), TICK, LOT)
    assert episode.filled_at == (0 if is_same else None)
