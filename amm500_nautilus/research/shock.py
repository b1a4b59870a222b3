"""
A dataset under a shock: what bars cannot carry.

In an outage everything arrives when it ends, in order: the exchange's own times stay, so that the venue fills resting orders at the
moments the market moved, and the strategy learns of all of it at once. In a fall the displayed book thins and both sides step back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_catalog.spec import Dataset
from amm500_catalog.spec import DatasetInfo
from amm500_nautilus.research.stress import Shock
from amm500_nautilus.research.stress import shock_of


def under_shock(dataset: Dataset) -> Dataset:
    """Return the dataset with the shock its parameters tell of; the same one where they tell of none."""
    shock = shock_of(dataset.info.params)
    if shock is None or not (shock.crash or shock.outages):
        return dataset
    return ShockedDataset(dataset, shock)


@dataclass(frozen=True, slots=True)
class ShockedDataset:
    """
    A dataset whose feed fails, or whose book thins, as the shock says.

    Parameters
    ----------
    plain : Dataset
        The dataset without it.
    shock : Shock
        When and how much.

    """

    plain: Dataset
    shock: Shock

    @property
    def info(self) -> DatasetInfo:
        """What the dataset is."""
        return self.plain.info

    @property
    def instrument(self) -> Any:
        """The Nautilus instrument."""
        return self.plain.instrument

    def reference_instrument(self) -> Any:
        """Return the instrument of the reference market."""
        return self.plain.reference_instrument()

    def batches(self, start_ns: int | None = None, end_ns: int | None = None) -> Iterator[list[Any]]:
        """Yield the data in the order it arrives."""
        shock = self.shock
        last = max(
            [shock.crash_end_ns + shock.recovery_ns if shock.crash else 0, *(b for _, b in shock.outages)]
        )
        book = _ThinBook(shock, self.instrument)
        for batch in self.plain.batches(start_ns, end_ns):
            # by the exchange's time and by the arrival alike, nothing happens outside this span
            if batch[-1].ts_init < shock.event_ns or batch[0].ts_event >= last:
                yield batch
            else:
                yield [self._arrived(book.seen(item)) for item in batch]

    def _arrived(self, item: Any) -> Any:
        for start, end in self.shock.outages:
            if start <= item.ts_init < end:
                # just before the end: a command that waited for it must not overtake what the market did meanwhile
                return retimed(item, end - 1)
        return item


def retimed(item: Any, ts_init: int) -> Any:
    """
    Return a market data object that arrives at another time, the exchange's own kept.

    Raises
    ------
    TypeError
        For a type that no simulated dataset holds.

    """
    if type(item) is QuoteTick:
        prices = (item.bid_price, item.ask_price, item.bid_size, item.ask_size)
        return QuoteTick(item.instrument_id, *prices, item.ts_event, ts_init)
    if type(item) is TradeTick:
        what = (item.price, item.size, item.aggressor_side, item.trade_id)
        return TradeTick(item.instrument_id, *what, item.ts_event, ts_init)
    if type(item) is OrderBookDepth10:
        return _depth(item, item.bids, item.asks, ts_init)
    if type(item) is IndexPriceUpdate:
        return IndexPriceUpdate(item.instrument_id, item.value, item.ts_event, ts_init)
    if type(item) is FundingRateUpdate:
        return FundingRateUpdate(
            item.instrument_id, item.rate, item.ts_event, ts_init, item.interval, item.next_funding_ns
        )
    raise TypeError(f"{type(item).__name__} cannot be delayed")


def _depth(item: Any, bids: list[Any], asks: list[Any], ts_init: int) -> Any:
    counts = (item.bid_counts, item.ask_counts)
    return OrderBookDepth10(
        item.instrument_id, bids, asks, *counts, item.flags, item.sequence, item.ts_event, ts_init
    )


class _ThinBook:
    """
    The own instrument's book, quotes and trades while the market is under strain.

    Bids move down and asks move up by the same whole ticks, trades with the side they hit, so that a book that was not crossed is
    not crossed now and prints stay on it; displayed sizes shrink, no level below one lot.
    """

    def __init__(self, shock: Shock, instrument: Any) -> None:
        self._shock = shock
        self._id = instrument.id
        self._tick = instrument.price_increment
        self._lot = instrument.size_increment

    def seen(self, item: Any) -> Any:
        strain = self._shock.strain(item.ts_event)
        if strain <= 0 or item.instrument_id != self._id:
            return item
        back = round(strain * self._shock.widen / float(self._tick)) * self._tick.raw
        left = 1.0 - strain * (1.0 - self._shock.depth)
        if type(item) is QuoteTick:
            bid, ask = self._moved(item.bid_price, -back), self._moved(item.ask_price, back)
            sizes = (self._shrunk(item.bid_size, left), self._shrunk(item.ask_size, left))
            return QuoteTick(item.instrument_id, bid, ask, *sizes, item.ts_event, item.ts_init)
        if type(item) is TradeTick:
            way = {AggressorSide.BUYER: back, AggressorSide.SELLER: -back}.get(item.aggressor_side, 0)
            what = (self._moved(item.price, way), item.size, item.aggressor_side, item.trade_id)
            return TradeTick(item.instrument_id, *what, item.ts_event, item.ts_init)
        if type(item) is OrderBookDepth10:
            bids = [self._level(order, -back, left) for order in item.bids]
            asks = [self._level(order, back, left) for order in item.asks]
            return _depth(item, bids, asks, item.ts_init)
        return item

    def _level(self, order: Any, shift: int, left: float) -> Any:
        if order.size.raw == 0:
            return order
        return BookOrder(
            order.side, self._moved(order.price, shift), self._shrunk(order.size, left), order.order_id
        )

    def _moved(self, price: Any, shift: int) -> Any:
        return Price.from_raw(max(self._tick.raw, price.raw + shift), price.precision)

    def _shrunk(self, size: Any, left: float) -> Any:
        lots = max(1, int(size.raw // self._lot.raw * left)) if size.raw else 0
        return Quantity.from_raw(lots * self._lot.raw, size.precision)
