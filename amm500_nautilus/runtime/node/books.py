"""The books of a live run: fills as the venue tells them, marked at the book's mid, for the same recorder as a backtest's."""

import math
from collections.abc import Callable
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import AccountState
from nautilus_trader.model.events import OrderFilled

from amm500_nautilus.report.account import FORCED
from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.types import AccountRow
from amm500_nautilus.simulation.listener import LedgerFill
from amm500_nautilus.simulation.mids import MidTracker


MINUTE_NS = 60 * 10**9
# before the recorder (10) and the strategy (0): the booking is there when they hear of a fill
PRIORITY = 20
ZERO = Decimal(0)
# the adapter's one trade for what was held before every fill that it knows of
OPENING = "OPENING-"


class LiveBooks:
    """
    Keep cash and position from the fills and the account's reports, and hand everything to the recorder.

    Equity is what the first report of the account said, plus the fills since at the book's mid, plus funding and transfers as
    reported: the report's PnL parts are measured at the same mid. ``unexplained`` says how far the venue's own figure is from it.

    Parameters
    ----------
    instrument : Instrument
        The quoted instrument.
    msgbus : MessageBus
        The node's message bus.
    now_ns : Callable[[], int]
        The node's clock.
    touch : tuple of int
        Best bid and ask before the first quote, in ticks.

    """

    def __init__(
        self, instrument: Any, msgbus: Any, now_ns: Callable[[], int], touch: tuple[int, int]
    ) -> None:
        self._instrument_id = instrument.id
        self._tick, self._lot = (
            instrument.price_increment.as_decimal(),
            instrument.size_increment.as_decimal(),
        )
        self._msgbus = msgbus
        self._now_ns = now_ns
        self._recorder: RunRecorder | None = None
        self.mids = MidTracker(float(self._tick), self)
        self.mids.on_touch(now_ns(), *touch, quote=False)
        self._start: Decimal | None = None
        self._cash = ZERO
        self._position = ZERO
        self._entry_cost = ZERO
        self._fees = ZERO
        self._funding = self._funding_base = ZERO
        self._transfers = self._transfers_base = ZERO
        self._info: dict[str, Any] = {}
        self._seen: set[str] = set()
        self._forced: set[str] = set()
        self._next_minute_ns = 0
        self.fills = 0
        self._last_fill_ns = self._reported_ns = 0
        self._is_begun = False
        tail = f"{instrument.id.venue}.{instrument.id.symbol}"
        self._subscriptions: tuple[tuple[str, Callable[[Any], None]], ...] = (
            ("events.order.*", self.on_order_event),
            ("events.account.*", self.on_account_state),
            (f"data.quotes.{tail}", self.on_quote),
        )
        for topic, handler in self._subscriptions:
            msgbus.subscribe(topic, handler, priority=PRIORITY)

    def bind(self, recorder: RunRecorder) -> None:
        """Connect the recorder, before the node runs."""
        self._recorder = recorder

    def close(self, ts_ns: int) -> None:
        """Write the last minute and the last markouts, and listen no more."""
        for topic, handler in self._subscriptions:
            self._msgbus.unsubscribe(topic, handler)
        self.mids.finish(ts_ns)
        if self._recorder is not None and self._start is not None:
            self._recorder.on_minute(ts_ns)

    @property
    def equity(self) -> Decimal:
        """Mark-to-market equity at the book's mid, in collateral units; 0 before the first report."""
        return (
            (self._start or ZERO) + self._cash + self._position * self._mid + self._funding + self._transfers
        )

    @property
    def position(self) -> Decimal:
        """Signed position in contracts."""
        return self._position

    @property
    def is_reported(self) -> bool:
        """Whether the last report of the account is younger than the last fill."""
        return self._reported_ns > self._last_fill_ns

    @property
    def unexplained(self) -> float | None:
        """The venue's equity less ours, at its last report; None before one. Its mark is not the mid: some difference is right."""
        if self._start is None or "equity" not in self._info:
            return None
        mark = self._info.get("mark_price")
        ours = self.equity
        if mark is not None:
            ours += self._position * (Decimal(str(mark)) - self._mid)
        return float(Decimal(str(self._info["equity"])) - ours)

    # -- what happens -------------------------------------------------------------------------------------------------

    def on_account_state(self, event: AccountState) -> None:
        """Take a report of the account; the first whole one is where the run begins."""
        info = event.info
        if "equity" not in info or info is self._info:
            return
        self._info = info
        self._reported_ns = event.ts_event
        funding, transfers = (Decimal(str(info.get(name, 0))) for name in ("funding", "net_transfers"))
        if self._start is None:
            self._start = Decimal(str(info["equity"]))
            self._funding_base, self._transfers_base = funding, transfers
            return
        paid, moved = (
            funding - self._funding_base - self._funding,
            transfers - self._transfers_base - self._transfers,
        )
        self._funding += paid
        self._transfers += moved
        recorder = self._recorder
        if recorder is not None and paid:
            oracle = Decimal(str(info.get("mark_price") or self._mid))
            value = self._position * oracle
            recorder.on_funding(event.ts_event, paid, -paid / value if value else ZERO, oracle)
        if recorder is not None and moved:
            recorder.on_transfer(event.ts_event, moved)

    def begin(self, positions: Iterable[Any]) -> None:
        """Begin with the positions that were there before: their value at the mid is in the first equity already."""
        self._position = self._entry_cost = ZERO
        if self._recorder is not None:
            self._recorder.begin()
        for position in positions:
            size = position.signed_decimal_qty()
            self._position += size
            self._entry_cost += abs(size) * Decimal(str(position.avg_px_open))
            self._cash -= size * self._mid
        self._is_begun = True

    def on_quote(self, quote: QuoteTick) -> None:
        """Follow the mid."""
        tick = float(self._tick)
        bid, ask = round(float(quote.bid_price) / tick), round(float(quote.ask_price) / tick)
        self.mids.on_touch(quote.ts_event, bid, ask, quote=True)

    def on_order_event(self, event: Any) -> None:
        """Book a fill of ours once."""
        if type(event) is not OrderFilled or event.instrument_id != self._instrument_id:
            return
        if not self._is_begun:
            self._on_earlier(event)
            return
        trade = event.trade_id.value
        if trade in self._seen:
            return
        self._seen.add(trade)
        name = event.client_order_id.value
        if name.startswith(FORCED):
            # several trades of one order are one liquidation
            self._forced.add(name.rpartition("-")[0])
        self._last_fill_ns = event.ts_event
        fill = self._booked(event, self.fills)
        self._cash -= fill.side * fill.price * fill.qty + fill.fee
        self._fees += fill.fee
        self.fills += 1
        if self._recorder is not None:
            self._recorder.on_ledger_fill(fill)
        self.mids.add_fill(fill.index, event.ts_event)

    def _on_earlier(self, event: OrderFilled) -> None:
        """Pass on what traded while no node ran: its value is in the first equity, and the journal does not know it."""
        fill = self._booked(event, -1)
        if self._recorder is not None and not event.venue_order_id.value.startswith(OPENING):
            self._recorder.on_earlier_fill(fill)

    def _booked(self, event: OrderFilled, index: int) -> LedgerFill:
        """Move the position by a fill and return its row."""
        side = 1 if event.order_side == OrderSide.BUY else -1
        price, size = event.last_px.as_decimal(), event.last_qty.as_decimal()
        before = self._position
        closed = self._apply(side, price, size)
        return LedgerFill(
            index=index,
            ts_ns=event.ts_event,
            trade_id=event.trade_id.value,
            client_order_id=event.client_order_id.value,
            side=side,
            lots=int(size / self._lot),
            price_ticks=int(price / self._tick),
            price=price,
            qty=size,
            fee=event.commission.as_decimal(),
            closed_pnl=closed,
            maker=event.liquidity_side == LiquiditySide.MAKER,
            by_trade=True,
            position_lots=int(self._position / self._lot),
            crossed_zero=before * self._position <= 0 and before != 0,
            unseen_level=False,
            queue_ahead=math.nan,
        )

    def on_markout(self, fill_index: int, horizon_s: int, mid: float) -> None:
        """Pass a markout on."""
        if self._recorder is not None:
            self._recorder.on_markout(fill_index, horizon_s, mid)

    def on_time(self) -> None:
        """Write the equity path's row when a minute has passed; call it a few times a second."""
        now = self._now_ns()
        if now < self._next_minute_ns or self._recorder is None or self._start is None or not self.mids.mid2:
            return
        self._next_minute_ns = (now // MINUTE_NS + 1) * MINUTE_NS
        self._recorder.on_minute(now)

    def account(self) -> AccountRow:
        """Return the account now, as the recorder asks for it each minute."""
        info = self._info
        unrealized = self._position * self._mid - self._signed_cost
        price, worth = info.get("liquidation_price"), info.get("collateral_price", 1.0)
        return AccountRow(
            equity=float(self.equity),
            balance=float(self.equity - unrealized),
            position=float(self._position),
            mid=self.mids.mid,
            margin_used=float(info.get("margin_used", 0.0)),
            order_margin=float(info.get("order_margin", 0.0)),
            margin_ratio=float(info.get("margin_ratio", 0.0)),
            maintenance_ratio=float(info.get("maintenance_ratio", 0.0)),
            funding_cum=float(self._funding),
            fees_cum=float(self._fees),
            liquidations=len(self._forced),
            transfers_cum=float(self._transfers),
            collateral_price=math.nan if worth is None else float(worth),
            liquidation_price=math.nan if price is None else float(price),
            leverage=float(info.get("leverage", math.nan)),
        )

    @property
    def _mid(self) -> Decimal:
        mid: Decimal = self._tick * self.mids.mid2 / 2
        return mid

    @property
    def _signed_cost(self) -> Decimal:
        return self._entry_cost if self._position > 0 else -self._entry_cost

    def _apply(self, side: int, price: Decimal, size: Decimal) -> Decimal:
        """Move the position by a fill and return its PnL against the average entry, before fees."""
        before = self._position
        self._position = before + side * size
        if before * side >= 0:
            self._entry_cost += price * size
            return ZERO
        closing: Decimal = min(size, abs(before))
        entry = self._entry_cost / abs(before)
        self._entry_cost = (
            entry * (abs(before) - closing) if size <= abs(before) else price * (size - abs(before))
        )
        return -side * closing * (price - entry)
