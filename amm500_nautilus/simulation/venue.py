"""
The simulated venue as one module of the engine's exchange.

Everything that happens at the venue runs through two calls a market event: ``pre_process`` (before the datum is
applied: commands that arrived earlier, then fills and queues) and ``process`` (after it: clockwork). What the engine
shows each call is converted no further than our own orders need.
"""

from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest.config import SimulationModuleConfig
from nautilus_trader.backtest.modules import SimulationModule
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide

from amm500_nautilus.simulation.book import DisplayedBook
from amm500_nautilus.simulation.book import Levels
from amm500_nautilus.simulation.client import VenueExecClient
from amm500_nautilus.simulation.clockwork import Clockwork
from amm500_nautilus.simulation.desk import OrderDesk
from amm500_nautilus.simulation.engine_care import EngineCare
from amm500_nautilus.simulation.fill import Fill
from amm500_nautilus.simulation.fill import FillEngine
from amm500_nautilus.simulation.fill import RestingOrder
from amm500_nautilus.simulation.gate import ActionGate
from amm500_nautilus.simulation.ledger import NANO
from amm500_nautilus.simulation.ledger import FillResult
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.liquidator import Liquidator
from amm500_nautilus.simulation.listener import FillContext
from amm500_nautilus.simulation.listener import LedgerFill
from amm500_nautilus.simulation.listener import VenueListener
from amm500_nautilus.simulation.mids import MidTracker
from amm500_nautilus.simulation.units import VenueUnits


F_SNAPSHOT = 32
F_LAST = 128
KEPT_CONTEXTS = 4096

_AGGRESSOR = {AggressorSide.BUYER: 1, AggressorSide.SELLER: -1, AggressorSide.NO_AGGRESSOR: 0}


class VenueModule(SimulationModule):
    """
    A venue around one instrument: queues, fills, ledger, markouts, funding and account reports.

    Parameters
    ----------
    instrument_id : InstrumentId
        The instrument; data of others passes by.
    units : VenueUnits
        Its ticks and lots.
    book, fills, desk, ledger, mids
        The venue's pure parts, shared with the execution client.
    clockwork : Clockwork
        What happens by the clock.
    listener : VenueListener, optional
        Who keeps records.
    gate : ActionGate, optional
        Who meters actions; traded volume is credited there.

    """

    def __init__(
        self,
        *,
        instrument_id: Any,
        units: VenueUnits,
        book: DisplayedBook,
        fills: FillEngine,
        desk: OrderDesk,
        ledger: Ledger,
        mids: MidTracker,
        clockwork: Clockwork,
        listener: VenueListener | None = None,
        gate: ActionGate | None = None,
    ) -> None:
        super().__init__(SimulationModuleConfig())
        self.instrument_id = instrument_id
        self._units = units
        self._tick_raw = units.tick_raw
        self._lot_raw = units.lot_raw
        self._per_tick = 1.0 / float(units.shape.tick)
        self._book = book
        self._fills = fills
        self._desk = desk
        self._ledger = ledger
        self._mids = mids
        self._clockwork = clockwork
        self._listener = listener
        self._gate = gate
        self._unit = ledger.unit
        self.liquidator = Liquidator(ledger=ledger, desk=desk, book_fill=self._book_taken, listener=listener)
        self._client: VenueExecClient | None = None
        self._inflight: list[Any] = []
        self._is_stopped: Callable[[], bool] = lambda: False
        self.care: EngineCare | None = None
        self._settled_fills = 0
        self._lag_ns = 0
        self._delta_batch: list[Any] = []
        self._contexts: OrderedDict[str, FillContext] = OrderedDict()
        self.last_event_ns = 0
        # resting orders canceled at a match because margin no longer covered them
        self.margin_canceled = 0
        self._handlers: dict[type, Callable[[Any, int], None]] = {
            QuoteTick: self._on_quote,
            TradeTick: self._on_trade,
            OrderBookDepth10: self._on_depth,
            OrderBookDeltas: self._on_deltas,
            OrderBookDelta: self._on_delta,
        }

    def attach(self, client: VenueExecClient, is_stopped: Callable[[], bool]) -> None:
        """Connect the execution client, and what tells whether trading has stopped."""
        self._client = client
        self._inflight = client.inflight
        self._is_stopped = is_stopped

    # -- the engine's calls ---------------------------------------------------------------------------

    def pre_process(self, data: Any) -> None:
        """Let earlier commands arrive, then let the datum move queues and fill orders."""
        if data.instrument_id != self.instrument_id:
            return
        handler = self._handlers.get(type(data))
        if handler is None:
            return
        ts = data.ts_event
        if self._inflight and self._inflight[0][0] < ts:
            self._client.release(ts)  # type: ignore[union-attr]
        if ts > self.last_event_ns:
            self.last_event_ns = ts
        handler(data, ts)

    def process(self, ts_now: int) -> None:
        """Let commands arrive that no datum came before, and do what is due by the clock."""
        client = self._client
        # the market is seen lag_ns late, so the venue's present is that far behind the engine's
        present = ts_now - self._lag_ns
        if client is not None and client.held:
            client.hear(present)
        if self._inflight:
            if self._inflight[0][0] <= present:
                self._client.release(present + 1)  # type: ignore[union-attr]
            if self._inflight and self._is_stopped():
                self._client.wind_up(present)  # type: ignore[union-attr]
        if present >= self._clockwork.wake_ns:
            self._clockwork.wake(present)
            if self.care is not None:
                # a position that is held for days makes an account report every few seconds, and no fill
                self.care.settle(ts_now)
        ledger = self._ledger
        if not ledger.safe_low <= ledger.mid2_ticks <= ledger.safe_high and client is not None:
            self.liquidator.act(present, client)
        if self._ledger.fills != self._settled_fills:
            self._settled_fills = self._ledger.fills
            if self.care is not None:
                self.care.settle(ts_now)

    def log_diagnostics(self, logger: Any) -> None:
        """Log the account's totals after a run."""
        ledger = self._ledger
        totals = f"Ledger: equity {ledger.equity}, fees {ledger.fees}, funding {ledger.funding}, fills {ledger.fills}"
        logger.info(totals)

    def reset(self) -> None:
        """
        Refuse: a venue serves one run.

        Raises
        ------
        RuntimeError
            Always.

        """
        msg = "a simulated venue serves one run; make a new engine for the next"
        raise RuntimeError(msg)

    # -- market data ----------------------------------------------------------------------------------

    def _on_quote(self, quote: Any, ts: int) -> None:
        self._lag_ns = quote.ts_init - ts
        tick_raw = self._tick_raw
        bid = quote.bid_price.raw // tick_raw
        ask = quote.ask_price.raw // tick_raw
        self._touch(ts, bid, ask, quote=True)

        def read() -> tuple[int, int, int, int]:
            lot_raw = self._lot_raw
            return bid, quote.bid_size.raw // lot_raw, ask, quote.ask_size.raw // lot_raw

        self._book.take_quote(ts, read)
        fills = self._fills
        own_bid, own_ask = fills.bids.best, fills.asks.best
        if own_bid >= bid or (own_ask and own_ask <= ask) or fills.has_taken:
            done = fills.on_touch(*read())
            if done:
                self._book_fills(done, ts)

    def _on_trade(self, trade: Any, ts: int) -> None:
        fills = self._fills
        own_bid, own_ask = fills.bids.best, fills.asks.best
        if not own_bid and not own_ask:
            return
        ticks = trade.price.raw // self._tick_raw
        if own_bid < ticks and (not own_ask or own_ask > ticks):
            return
        done = fills.on_trade(ticks, trade.size.raw // self._lot_raw, _AGGRESSOR[trade.aggressor_side])
        if done:
            self._book_fills(done, ts, by_trade=True)

    def _on_depth(self, depth: Any, ts: int) -> None:
        self._lag_ns = depth.ts_init - ts
        bids = depth.bids
        asks = depth.asks

        def read(side: int) -> Levels:
            return self._read_levels(bids if side > 0 else asks)

        def read_first(side: int) -> int:
            first = bids[0] if side > 0 else asks[0]
            return first.price.raw // tick_raw if first.size.raw else 0

        tick_raw = self._tick_raw
        self._book.replace(ts, read, read_first)
        bid = bids[0].price.raw // tick_raw
        ask = asks[0].price.raw // tick_raw
        fills = self._fills
        if ts < self._book.quote_ts:
            self._apply_whole_book(ts, touch_known=False)
            return
        if bid and ask and not self._mids.from_quotes:
            self._touch(ts, bid, ask, quote=False)
        if not bid or not ask or (fills.asks.best and bid >= fills.asks.best) or ask <= fills.bids.best:
            self._apply_whole_book(ts, touch_known=True)
            return
        if fills.bids.best or fills.taken_bids:
            self._view(1, bids)
        if fills.asks.best or fills.taken_asks:
            self._view(-1, asks)

    def _view(self, side: int, orders: list[Any]) -> None:
        """Read the sizes at our own prices and no others; the engine's numbers are dear to convert."""
        lot_raw, per_tick = self._lot_raw, self._per_tick
        fills = self._fills
        own, taken = (fills.bids, fills.taken_bids) if side > 0 else (fills.asks, fills.taken_asks)
        levels, best = own.levels, own.best
        shown: dict[int, int] = {}
        worst = 0
        # from the deepest level inward: what is nearer than our best price is nobody of ours
        for order in reversed(orders):
            # half the cost of the raw number; rounding to the nearest tick leaves no error
            ticks = int(order.price.as_double() * per_tick + 0.5)
            if not worst:
                if not ticks:
                    continue  # a null level
                worst = ticks
            if not taken and (not best or (ticks - best) * side > 0):
                break
            if ticks in levels or ticks in taken:
                shown[ticks] = order.size.raw // lot_raw
        # what was taken at a price that is shown no more is forgotten, or it would count against whoever comes there next
        if shown or taken or (best and (best - worst) * side >= 0):
            fills.view(side, worst, shown)

    def _apply_whole_book(self, ts: int, *, touch_known: bool) -> None:
        bid_ticks, bid_lots = self._book.side(1)
        ask_ticks, ask_lots = self._book.side(-1)
        done = self._fills.on_book(bid_ticks, bid_lots, ask_ticks, ask_lots, touch_known=touch_known)
        if done:
            self._book_fills(done, ts)

    def _read_levels(self, orders: list[Any]) -> Levels:
        tick_raw, lot_raw = self._tick_raw, self._lot_raw
        filled = [order for order in orders if order.size.raw]
        return [order.price.raw // tick_raw for order in filled], [
            order.size.raw // lot_raw for order in filled
        ]

    def _on_delta(self, delta: Any, ts: int) -> None:
        self._delta_batch.append(delta)
        if delta.flags & F_LAST or not delta.flags & F_SNAPSHOT:
            batch, self._delta_batch = self._delta_batch, []
            self._apply_deltas(batch, ts, delta.ts_init)

    def _on_deltas(self, deltas: Any, ts: int) -> None:
        self._apply_deltas(deltas.deltas, ts, deltas.ts_init)

    def _apply_deltas(self, deltas: list[Any], ts: int, ts_init: int) -> None:
        self._lag_ns = ts_init - ts
        first = deltas[0]
        if first.action == BookAction.CLEAR or first.flags & F_SNAPSHOT:
            self._on_snapshot(deltas, ts)
        else:
            self._on_changes(deltas, ts)

    def _on_snapshot(self, deltas: list[Any], ts: int) -> None:
        tick_raw, lot_raw = self._tick_raw, self._lot_raw
        sides: dict[Any, list[tuple[int, int]]] = {OrderSide.BUY: [], OrderSide.SELL: []}
        for delta in deltas:
            if delta.action != BookAction.CLEAR:
                order = delta.order
                sides[order.side].append((order.price.raw // tick_raw, order.size.raw // lot_raw))
        sorted_sides: dict[int, Levels] = {}
        for side, rows in ((1, sides[OrderSide.BUY]), (-1, sides[OrderSide.SELL])):
            rows.sort(reverse=side > 0)
            sorted_sides[side] = ([ticks for ticks, _ in rows], [lots for _, lots in rows])
        self._book.replace(ts, sorted_sides.__getitem__)
        bids, asks = sorted_sides[1][0], sorted_sides[-1][0]
        newer_quote = ts < self._book.quote_ts
        if bids and asks and not newer_quote:
            self._touch(ts, bids[0], asks[0], quote=False)
        self._apply_whole_book(ts, touch_known=not newer_quote)

    def _on_changes(self, deltas: list[Any], ts: int) -> None:
        tick_raw, lot_raw = self._tick_raw, self._lot_raw
        book = self._book
        done: list[Fill] = []
        for delta in deltas:
            order = delta.order
            side = 1 if order.side == OrderSide.BUY else -1
            ticks = order.price.raw // tick_raw
            lots = 0 if delta.action == BookAction.DELETE else order.size.raw // lot_raw
            book.change(ts, side, ticks, lots)
            done += self._fills.on_level(side, ticks, lots)
        if not self._mids.from_quotes:
            bid, ask = book.best(1), book.best(-1)
            if bid and ask:
                self._touch(ts, bid, ask, quote=False)
        if done:
            self._book_fills(done, ts)

    def _touch(self, ts: int, bid: int, ask: int, *, quote: bool) -> None:
        mids = self._mids
        mids.on_touch(ts, bid, ask, quote=quote)
        self._ledger.mark(mids.mid2)

    def on_index_price(self, update: IndexPriceUpdate) -> None:
        """Take the oracle's price."""
        self._clockwork.oracle = update.value

    def on_funding_rate(self, update: FundingRateUpdate) -> None:
        """Take an hour's funding rate, and pay it."""
        self._clockwork.on_rate(update.ts_event, update.rate)

    # -- fills ----------------------------------------------------------------------------------------

    def _book_fills(self, fills: list[Fill], ts: int, *, by_trade: bool = False) -> None:
        covers, checks = self._ledger.covers_fill, self._desk.rules.margin_check
        canceled: set[Any] = set()
        for resting, lots in fills:
            self._desk.filled(resting, lots)
            if resting.key in canceled:
                continue
            if resting.reduce_only:
                # one event may reach several orders, and those before this one have changed the position
                room = max(0, -resting.side * self._ledger.position_lots)
                if room:
                    closing = min(lots, room)
                    self._book_fill(ts, resting.payload, resting.ticks, closing, resting, by_trade=by_trade)
                if lots > room and resting.lots <= 0:
                    # what still rests was cut to the position with the fill that changed it
                    canceled.add(resting.key)
                    self._client.cancel_resting(ts, resting)  # type: ignore[union-attr]
            elif not checks or covers(resting.side, lots, resting.ticks):
                self._book_fill(ts, resting.payload, resting.ticks, lots, resting, by_trade=by_trade)
            else:
                canceled.add(resting.key)
                self.margin_canceled += 1
                self._client.cancel_resting(ts, resting)  # type: ignore[union-attr]

    def taker_fill(self, ts: int, order: Any, ticks: int, lots: int) -> None:
        """Book and emit a fill of ours that took displayed size."""
        self._book_fill(ts, order, ticks, lots, None)

    def _book_taken(
        self, ts: int, order: Any, ticks: int, lots: int, result: FillResult | None
    ) -> FillResult:
        """Book and emit a fill of the venue's own order; with a result the ledger has it already."""
        return self._book_fill(ts, order, ticks, lots, None, result=result)

    def _book_fill(
        self,
        ts: int,
        order: Any,
        ticks: int,
        lots: int,
        resting: RestingOrder | None,
        *,
        by_trade: bool = False,
        result: FillResult | None = None,
    ) -> FillResult:
        ledger = self._ledger
        side = 1 if order.side == OrderSide.BUY else -1
        maker = resting is not None
        if result is None:
            result = ledger.apply_fill(side, lots, ticks, maker=maker)
        index = ledger.fills - 1
        if self._gate is not None:
            self._gate.address.on_volume(ticks * lots * self._unit)
        trade_id = str(index + 1)
        self._mids.add_fill(index, ts)
        unseen = resting.unseen if resting is not None else False
        ahead = resting.ahead_at_placement if resting is not None else 0.0
        self._contexts[trade_id] = FillContext(unseen=unseen, queue_ahead_at_placement=ahead)
        if len(self._contexts) > KEPT_CONTEXTS:
            self._contexts.popitem(last=False)
        if self._listener is not None:
            shape = self._units.shape
            self._listener.on_ledger_fill(
                LedgerFill(
                    index=index,
                    ts_ns=ts,
                    trade_id=trade_id,
                    client_order_id=order.client_order_id.value,
                    side=side,
                    lots=lots,
                    price_ticks=ticks,
                    price=ticks * shape.tick,
                    qty=lots * shape.lot,
                    fee=Decimal(result.fee) / NANO,
                    closed_pnl=Decimal(result.closed_pnl) / NANO,
                    maker=maker,
                    by_trade=by_trade,
                    position_lots=ledger.position_lots,
                    crossed_zero=result.crossed_zero,
                    unseen_level=unseen,
                    queue_ahead=ahead,
                )
            )
        client = self._client
        if client is None:
            msg = "the venue has no execution client; use add_simulated_venue"
            raise RuntimeError(msg)
        self._clockwork.account_changed()
        client.emit_fill(ts, order, ticks, lots, maker=maker, trade_id=trade_id, fee_nano=result.fee)
        if self._desk.has_reduce_only:
            self._cut_reduce_only(ts, client)
        return result

    def _cut_reduce_only(self, ts: int, client: VenueExecClient) -> None:
        """Cut what may only reduce to the position that a fill has left."""
        for other, keeps in self._desk.excess_reduce_only():
            if keeps:
                client.resize_resting(ts, other, keeps)
            else:
                client.cancel_resting(ts, other)

    def fill_context(self, trade_id: str) -> FillContext:
        """
        Return what is known of a recent fill (the last 4,096 are kept).

        Raises
        ------
        KeyError
            If the trade is unknown or too old.

        """
        return self._contexts[trade_id]
