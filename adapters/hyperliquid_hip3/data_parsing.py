"""Nautilus data made from the venue's records: books, quotes, trades, bars, and the derivative's own figures."""

from collections.abc import Sequence
from decimal import ROUND_CEILING
from decimal import ROUND_FLOOR
from decimal import Decimal
from typing import Final

from nautilus_trader.model.data import NULL_ORDER
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import InstrumentStatus
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BarAggregation
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import MarketStatusAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import PriceType
from nautilus_trader.model.enums import RecordFlag
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.instruments import PerpetualContract
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from hyperliquid_hip3.book_merge import MergedBook
from hyperliquid_hip3.book_merge import MergedLevel
from hyperliquid_hip3.constants import CANDLE_INTERVALS
from hyperliquid_hip3.records import Candle
from hyperliquid_hip3.records import FundingRate
from hyperliquid_hip3.records import PublicTrade
from hyperliquid_hip3.records import TopOfBook
from hyperliquid_hip3.status import MarketCondition


SNAPSHOT: Final = int(RecordFlag.F_SNAPSHOT)
SNAPSHOT_END: Final = int(RecordFlag.F_SNAPSHOT | RecordFlag.F_LAST)
DEPTH_LEVELS: Final = 10
FUNDING_MINUTES: Final = 60
HOUR_NS: Final = 3_600_000_000_000
SEEN_NUMBERS: Final = 10_000

UNITS: Final = {
    BarAggregation.MINUTE: "m",
    BarAggregation.HOUR: "h",
    BarAggregation.DAY: "d",
    BarAggregation.WEEK: "w",
    BarAggregation.MONTH: "M",
}
STATUS_ACTIONS: Final = {
    MarketCondition.TRADING: MarketStatusAction.TRADING,
    MarketCondition.AT_CAP: MarketStatusAction.TRADING,
    MarketCondition.HALTED: MarketStatusAction.HALT,
    MarketCondition.DELISTED: MarketStatusAction.NOT_AVAILABLE_FOR_TRADING,
}


class InstrumentScale:
    """
    The venue's exact numbers as prices and quantities of one instrument.

    Around a power of ten a book may hold prices finer than the instrument's tick: bids are then cut down and asks up, so that
    rounding never makes the book look tighter than it is.

    Parameters
    ----------
    instrument : PerpetualContract
        Its precisions are used.

    """

    def __init__(self, instrument: PerpetualContract) -> None:
        self.instrument_id: InstrumentId = instrument.id
        self.price_precision: int = instrument.price_precision
        self.size_precision: int = instrument.size_precision
        self._tick = Decimal(1).scaleb(-self.price_precision)
        self._lot = Decimal(1).scaleb(-self.size_precision)
        # the same few hundred prices come again and again
        self._bids: dict[Decimal, Price] = {}
        self._asks: dict[Decimal, Price] = {}
        # most levels of a book stay as they were from one message to the next
        self._sizes: dict[Decimal, Quantity] = {}

    def bid(self, value: Decimal) -> Price:
        """Return the price of a bid, cut down to the tick where it is finer."""
        price = self._bids.get(value)
        if price is None:
            price = _remember(self._bids, value, self._price(value, ROUND_FLOOR))
        return price

    def ask(self, value: Decimal) -> Price:
        """Return the price of an ask, cut up to the tick where it is finer."""
        price = self._asks.get(value)
        if price is None:
            price = _remember(self._asks, value, self._price(value, ROUND_CEILING))
        return price

    def price(self, value: Decimal) -> Price:
        """Return a price rounded to the nearest tick."""
        return Price(value, self.price_precision)

    def size(self, value: Decimal) -> Quantity:
        """Return a size, cut down to whole lots."""
        known = self._sizes.get(value)
        if known is not None:
            return known
        quantity = Quantity(value, self.size_precision)
        if quantity.as_decimal() > value:
            quantity = Quantity(value.quantize(self._lot, rounding=ROUND_FLOOR), self.size_precision)
        return _remember(self._sizes, value, quantity)

    def _price(self, value: Decimal, rounding: str) -> Price:
        return Price(value.quantize(self._tick, rounding=rounding), self.price_precision)


def make_deltas(scale: InstrumentScale, book: MergedBook, *, ts_event: int, ts_init: int) -> OrderBookDeltas:
    """
    Return a whole book as one batch: a clear, then an add for each level of the bids and of the asks, worst price first.

    The levels were last seen at different times, and the ``ts_event`` of each add is its level's own. Nautilus takes the time of a batch
    from its last delta; the best level of a side is always of the newest message, so it comes last, and the batch has the time
    of the newest message. Every delta carries ``F_SNAPSHOT`` and only the last one ``F_LAST`` too; an empty book is a clear with both. A level
    with an order count of the venue is one level here: the count is not a Nautilus order id.
    """
    instrument_id = scale.instrument_id
    orders: list[BookOrder] = []
    times: list[int] = []
    for side, levels in ((OrderSide.BUY, book.bids), (OrderSide.SELL, book.asks)):
        found, seen = _orders(scale, levels, side)
        orders += found[::-1]
        times += seen[::-1]
    last = len(orders) - 1
    if orders:
        times[last] = ts_event
    clear_flags = SNAPSHOT if orders else SNAPSHOT_END
    deltas = [OrderBookDelta(instrument_id, BookAction.CLEAR, NULL_ORDER, clear_flags, 0, ts_event, ts_init)]
    deltas += [
        OrderBookDelta(
            instrument_id,
            BookAction.ADD,
            order,
            SNAPSHOT_END if i == last else SNAPSHOT,
            0,
            times[i],
            ts_init,
        )
        for i, order in enumerate(orders)
    ]
    return OrderBookDeltas(instrument_id, deltas)


def make_depth(scale: InstrumentScale, book: MergedBook, *, ts_event: int, ts_init: int) -> OrderBookDepth10:
    """Return the ten best levels of each side; missing ones have size zero, as the engine pads them, and one time has to do for all."""
    bids = _orders(scale, book.bids, OrderSide.BUY)[0][:DEPTH_LEVELS]
    asks = _orders(scale, book.asks, OrderSide.SELL)[0][:DEPTH_LEVELS]
    return OrderBookDepth10(
        scale.instrument_id,
        _padded(bids, NULL_ORDER),
        _padded(asks, NULL_ORDER),
        _padded([level.orders for level in book.bids[: len(bids)]], 0),
        _padded([level.orders for level in book.asks[: len(asks)]], 0),
        SNAPSHOT_END,
        0,
        ts_event,
        ts_init,
    )


def make_quote(scale: InstrumentScale, top: TopOfBook, *, ts_init: int) -> QuoteTick | None:
    """Return the quote of a ``bbo`` message; None when a side is empty, which a quote cannot say."""
    bid, ask = top.bid, top.ask
    if bid is None or ask is None:
        return None
    return QuoteTick(
        scale.instrument_id,
        scale.bid(bid.price),
        scale.ask(ask.price),
        scale.size(bid.size),
        scale.size(ask.size),
        top.ts_ns,
        ts_init,
    )


def make_trade(scale: InstrumentScale, trade: PublicTrade, *, ts_init: int) -> TradeTick:
    """Return the tick of a public trade, named by the venue's trade number."""
    return TradeTick(
        scale.instrument_id,
        scale.price(trade.price),
        scale.size(trade.size),
        AggressorSide.BUYER if trade.side > 0 else AggressorSide.SELLER,
        TradeId(str(trade.trade_id)),
        trade.ts_ns,
        ts_init,
    )


def make_bar(
    scale: InstrumentScale, bar_type: BarType, candle: Candle, *, ts_init: int, is_revision: bool = False
) -> Bar:
    """Return the bar of a candle, stamped with its close; the volume is in coins."""
    return Bar(
        bar_type,
        scale.price(candle.open),
        scale.price(candle.high),
        scale.price(candle.low),
        scale.price(candle.close),
        scale.size(candle.volume),
        candle.ts_close_ns,
        max(ts_init, candle.ts_close_ns),
        is_revision,
    )


def make_mark(scale: InstrumentScale, value: Decimal, *, ts_init: int) -> MarkPriceUpdate:
    """Return the mark price; the venue stamps it not, so its time is the receive time."""
    return MarkPriceUpdate(scale.instrument_id, scale.price(value), ts_init, ts_init)


def make_index(scale: InstrumentScale, value: Decimal, *, ts_init: int) -> IndexPriceUpdate:
    """Return the oracle price as the index; the venue stamps it not, so its time is the receive time."""
    return IndexPriceUpdate(scale.instrument_id, scale.price(value), ts_init, ts_init)


def make_funding(instrument_id: InstrumentId, rate: Decimal, *, ts_init: int) -> FundingRateUpdate:
    """Return the rate of the running hour, paid at its end."""
    return FundingRateUpdate(
        instrument_id,
        rate,
        ts_init,
        ts_init,
        interval=FUNDING_MINUTES,
        next_funding_ns=(ts_init // HOUR_NS + 1) * HOUR_NS,
    )


def make_past_funding(instrument_id: InstrumentId, row: FundingRate) -> FundingRateUpdate:
    """Return a rate that was paid, at the time of its payment."""
    return FundingRateUpdate(instrument_id, row.rate, row.ts_ns, row.ts_ns, interval=FUNDING_MINUTES)


def make_status(instrument_id: InstrumentId, condition: MarketCondition, *, ts_init: int) -> InstrumentStatus:
    """Return the instrument status of a market's condition; at its open-interest cap a market still trades, one way."""
    is_open = condition in (MarketCondition.TRADING, MarketCondition.AT_CAP)
    return InstrumentStatus(
        instrument_id,
        STATUS_ACTIONS[condition],
        ts_init,
        ts_init,
        reason=condition.reason,
        trading_event=condition.name,
        is_trading=is_open,
        is_quoting=is_open,
    )


def candle_interval(bar_type: BarType) -> str:
    """
    Return the venue's name of a bar type's interval, for example ``1m``.

    Raises
    ------
    ValueError
        If the venue has no such candles: they are time bars of last prices, in these steps.

    """
    spec = bar_type.spec
    name = f"{spec.step}{UNITS.get(spec.aggregation, '?')}"
    if spec.price_type != PriceType.LAST or not bar_type.is_externally_aggregated():
        raise ValueError(f"`bar_type` was {bar_type}, must be an EXTERNAL one of LAST prices")
    if name not in CANDLE_INTERVALS:
        raise ValueError(f"`bar_type` was {bar_type}, must have one of {', '.join(CANDLE_INTERVALS)}")
    return name


def _orders(
    scale: InstrumentScale, levels: Sequence[MergedLevel], side: OrderSide
) -> tuple[list[BookOrder], list[int]]:
    """Return the levels as the engine's, and when each was last seen."""
    to_price = scale.bid if side == OrderSide.BUY else scale.ask
    orders: list[BookOrder] = []
    times: list[int] = []
    last: Price | None = None
    for level in levels:
        price = to_price(level.price)
        size = scale.size(level.size)
        if size.raw == 0 or price.raw <= 0:
            continue
        if last is not None and price == last:
            # two prices finer than the tick fell on one
            size = Quantity.from_raw(size.raw + orders[-1].size.raw, scale.size_precision)
            orders[-1] = BookOrder(side, price, size, 0)
            # the worse of the two is the one that lies on the tick, where our own orders rest
            times[-1] = level.ts_ns
            continue
        orders.append(BookOrder(side, price, size, 0))
        times.append(level.ts_ns)
        last = price
    return orders, times


def _padded[Item](items: list[Item], filler: Item) -> list[Item]:
    return items + [filler] * (DEPTH_LEVELS - len(items))


def _remember[Known](known: dict[Decimal, Known], value: Decimal, made: Known) -> Known:
    if len(known) >= SEEN_NUMBERS:
        known.clear()
    known[value] = made
    return made
