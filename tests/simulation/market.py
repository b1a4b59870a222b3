"""A small generated market, a plain quoting strategy and a recording listener for tests of the simulated venue."""

from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.engine import BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import RiskEngineConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import AssetClass
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import Symbol
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.instruments import PerpetualContract
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy

from amm500_catalog import USDH
from amm500_nautilus.simulation.listener import LedgerFill
from amm500_nautilus.simulation.listener import LiquidationRecord


T0 = 1_767_571_200_000_000_000  # 2026-01-05 00:00 UTC, a Monday
SECOND = 1_000_000_000
TICK, LOT = 0.01, 0.001


def make_instrument(venue: str = "HYPERLIQUID") -> PerpetualContract:
    return PerpetualContract(
        instrument_id=InstrumentId(Symbol("km:US500-USD-PERP"), Venue(venue)),
        raw_symbol=Symbol("km:US500"),
        underlying="US500",
        asset_class=AssetClass.INDEX,
        quote_currency=USDH,
        settlement_currency=USDH,
        is_inverse=False,
        price_precision=2,
        size_precision=3,
        price_increment=Price(TICK, 2),
        size_increment=Quantity(LOT, 3),
        margin_init=Decimal("0.1"),
        margin_maint=Decimal("0.02"),
        maker_fee=Decimal("0.00003"),
        taker_fee=Decimal("0.00009"),
        ts_event=0,
        ts_init=0,
    )


def price(ticks: int) -> Price:
    return Price.from_str(f"{ticks * TICK:.2f}")


def size(lots: int) -> Quantity:
    return Quantity.from_str(f"{lots * LOT:.3f}")


def depth(
    iid: InstrumentId, ts: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]
) -> OrderBookDepth10:
    def side(rows: list[tuple[int, int]], order_side: OrderSide) -> list[BookOrder]:
        orders = [BookOrder(order_side, price(t), size(q), 0) for t, q in rows]
        null = BookOrder(OrderSide.NO_ORDER_SIDE, Price(0, 2), Quantity(0, 3), 0)
        return orders + [null] * (10 - len(orders))

    return OrderBookDepth10(
        iid, side(bids, OrderSide.BUY), side(asks, OrderSide.SELL), [1] * 10, [1] * 10, 0, 0, ts, ts
    )


def quote(iid: InstrumentId, ts: int, bid: int, bid_lots: int, ask: int, ask_lots: int) -> QuoteTick:
    return QuoteTick(iid, price(bid), price(ask), size(bid_lots), size(ask_lots), ts, ts)


def trade(iid: InstrumentId, ts: int, ticks: int, lots: int, aggressor: int) -> TradeTick:
    side = AggressorSide.BUYER if aggressor > 0 else AggressorSide.SELLER
    return TradeTick(iid, price(ticks), size(lots), side, TradeId(str(ts)), ts, ts)


def generate(
    iid: InstrumentId,
    seconds: int,
    seed: int = 7,
    start: int = T0,
    *,
    move: float = 0.25,
    trades_per_s: float = 1.0,
    quotes: bool = True,
    fixed_mid: int = 69_000,
) -> list[Any]:
    """A random walk of the touch in half-second steps with depth, a quote when it moves, and trades at the touch."""
    rng = np.random.default_rng(seed)
    steps = seconds * 2
    moves = rng.random(steps)
    ups = rng.random(steps) < 0.5
    hits = rng.random(steps) < trades_per_s / 2
    buys = rng.random(steps) < 0.5
    lots = (rng.lognormal(5.0, 1.0, steps) + 1).astype(int)
    sizes = (rng.lognormal(6.0, 0.8, (64, 20)) + 1).astype(int)
    bid = fixed_mid
    data: list[Any] = []
    for i in range(steps):
        ts = start + i * SECOND // 2
        row = sizes[i % 64]
        if i == 0 or moves[i] < move:
            bid += (1 if ups[i] else -1) * (1 + int(moves[i] * 8))
            if quotes:
                data.append(quote(iid, ts, bid, int(row[0]), bid + 1, int(row[10])))
        data.append(
            depth(
                iid,
                ts,
                [(bid - k, int(row[k])) for k in range(10)],
                [(bid + 1 + k, int(row[10 + k])) for k in range(10)],
            )
        )
        if hits[i]:
            side = 1 if buys[i] else -1
            data.append(trade(iid, ts + SECOND // 4, bid + 1 if side > 0 else bid, int(lots[i]), side))
    return data


class QuoterConfig(StrategyConfig, frozen=True):
    """Levels a side, first distance and spacing in ticks, size of a level, and how far a price may drift."""

    instrument_id: InstrumentId
    levels: int = 3
    first: int = 0
    spacing: int = 2
    lots: int = 100
    tolerance: int = 2
    limit: int = 3_000


class Quoter(Strategy):
    """Quotes a ladder around the touch each second and moves orders that drifted; no inventory rule but a limit."""

    def on_start(self) -> None:
        self.rejected: list[str] = []
        self.events: list[Any] = []
        self.instrument = self.cache.instrument(self.config.instrument_id)
        self.live: dict[tuple[int, int], Any] = {}
        self.bid = self.ask = 0
        self.commands = 0
        self.subscribe_order_book_depth(self.config.instrument_id)
        self.clock.set_timer_ns("cycle", SECOND, 0, 0, self.cycle)

    def on_order_book_depth(self, book: OrderBookDepth10) -> None:
        self.bid = round(book.bids[0].price.as_double() / TICK)
        self.ask = round(book.asks[0].price.as_double() / TICK)

    def cycle(self, _event: Any) -> None:
        if not self.bid:
            return
        position = round(float(self.portfolio.net_position(self.config.instrument_id)) / LOT)
        for side in (1, -1):
            for level in range(self.config.levels):
                offset = self.config.first + level * self.config.spacing
                ticks = self.bid - offset if side > 0 else self.ask + offset
                self.keep(side, level, ticks, quoting=position * side < self.config.limit)

    def keep(self, side: int, level: int, ticks: int, *, quoting: bool) -> None:
        order = self.live.get((side, level))
        if order is None:
            if quoting:
                order = self.order_factory.limit(
                    self.config.instrument_id,
                    OrderSide.BUY if side > 0 else OrderSide.SELL,
                    size(self.config.lots),
                    price(ticks),
                    TimeInForce.GTC,
                    post_only=True,
                )
                self.live[side, level] = order
                self.submit_order(order)
                self.commands += 1
            return
        if order.is_closed:
            del self.live[side, level]
        elif order.is_open and not order.is_pending_update and not order.is_pending_cancel:
            resting = round(order.price.as_double() / TICK)
            if not quoting:
                self.cancel_order(order)
                self.commands += 1
            elif abs(resting - ticks) > self.config.tolerance:
                self.modify_order(order, order.quantity, price(ticks))
                self.commands += 1

    def on_order_rejected(self, event: Any) -> None:
        self.rejected.append(event.reason)

    def on_order_modify_rejected(self, event: Any) -> None:
        self.rejected.append(event.reason)

    def on_stop(self) -> None:
        self.cancel_all_orders(self.config.instrument_id)


@dataclass
class Recorder:
    """A listener that keeps everything."""

    fills: list[LedgerFill] = field(default_factory=list)
    markouts: list[tuple[int, int, float]] = field(default_factory=list)
    funding: list[tuple[int, Decimal, Decimal, Decimal]] = field(default_factory=list)
    minutes: list[int] = field(default_factory=list)
    liquidations: list[LiquidationRecord] = field(default_factory=list)
    transfers: list[tuple[int, Decimal]] = field(default_factory=list)

    def on_ledger_fill(self, fill: LedgerFill) -> None:
        self.fills.append(fill)

    def on_markout(self, fill_index: int, horizon_s: int, mid: float) -> None:
        self.markouts.append((fill_index, horizon_s, mid))

    def on_funding(self, ts_ns: int, amount: Decimal, rate: Decimal, oracle_px: Decimal) -> None:
        self.funding.append((ts_ns, amount, rate, oracle_px))

    def on_liquidation(self, record: LiquidationRecord) -> None:
        self.liquidations.append(record)

    def on_transfer(self, ts_ns: int, amount: Decimal) -> None:
        self.transfers.append((ts_ns, amount))

    def on_minute(self, ts_ns: int) -> None:
        self.minutes.append(ts_ns)


def make_engine() -> BacktestEngine:
    return BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )


def load(engine: BacktestEngine, data: list[Any]) -> None:
    """Add data by type, since the engine looks at the first of a list only."""
    kinds: dict[type, list[Any]] = {}
    for item in data:
        kinds.setdefault(type(item), []).append(item)
    for items in kinds.values():
        engine.add_data(items, sort=False)
    engine.sort_data()
