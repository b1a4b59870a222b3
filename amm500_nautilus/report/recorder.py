"""Write a run's files as it happens: orders, fills, positions, account, states, quotes and the equity path."""

import math
from collections.abc import Callable
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model.events import AccountState
from nautilus_trader.model.events import OrderCancelRejected
from nautilus_trader.model.events import OrderDenied
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.events import OrderModifyRejected
from nautilus_trader.model.events import OrderRejected
from nautilus_trader.model.events import PositionClosed
from nautilus_trader.model.events import PositionOpened
from nautilus_trader.model.events.order import OrderCanceled
from nautilus_trader.model.events.order import OrderExpired

from amm500_nautilus import topics
from amm500_nautilus.quoting.types import ActionRecord
from amm500_nautilus.quoting.types import QuoteSample
from amm500_nautilus.report.account import VenueStreams
from amm500_nautilus.report.account import venue_columns
from amm500_nautilus.report.buffers import ColumnBuffer
from amm500_nautilus.report.buffers import CsvStream
from amm500_nautilus.report.columns import ACCOUNT_COLUMNS
from amm500_nautilus.report.columns import FUNDING_COLUMNS
from amm500_nautilus.report.columns import NAUTILUS_FILL_COLUMNS
from amm500_nautilus.report.columns import OPEN_ORDER_COLUMNS
from amm500_nautilus.report.columns import ORDER_COLUMNS
from amm500_nautilus.report.columns import OWN_FILL_COLUMNS
from amm500_nautilus.report.columns import OWN_ORDER_COLUMNS
from amm500_nautilus.report.columns import POSITION_COLUMNS
from amm500_nautilus.report.columns import SESSION_COLUMNS
from amm500_nautilus.report.columns import STATE_COLUMNS
from amm500_nautilus.report.columns import timestamp_text
from amm500_nautilus.report.fills import FillJoin
from amm500_nautilus.report.risk import RiskStream
from amm500_nautilus.report.types import AccountRow
from amm500_nautilus.report.uptime import NS_PER_SECOND
from amm500_nautilus.report.uptime import UptimeMeter
from amm500_nautilus.report.uptime import merge_sessions
from amm500_nautilus.simulation.listener import LedgerFill
from amm500_nautilus.simulation.listener import LiquidationRecord


# before the strategy's own handlers (priority 0), so that what it forgets or purges on an event is still there
PRIORITY = 10
# what the files of a run in progress may lag behind, so that it can be watched
FLUSH_NS = 3_600 * NS_PER_SECOND


class RunRecorder:
    """
    Listen to a run and write its files; memory stays bounded by the open orders and one row a minute.

    It implements the simulation's ``VenueListener`` (``on_ledger_fill``, ``on_markout``, ``on_funding``, ``on_minute``) and
    subscribes to the engine's order, position and account events and to the strategy's decisions and actions. CSV files carry
    ``.partial`` until ``close``.

    Parameters
    ----------
    out_dir : Path
        The run directory; must exist.
    instrument : Instrument
        The quoted instrument (events of others are left out).
    msgbus : MessageBus
        The node's message bus.
    cache : Cache
        The node's cache; an order is read from it at its closing event, before anything purges it.
    account : Callable[[], AccountRow]
        Returns the ledger's account now; called once a minute.
    sessions : Sequence[tuple[int, int]]
        Trading sessions ``[open, close)`` in UTC ns; touching ones are joined, none at all means always open.
    start_ns, end_ns : int
        The data's range.
    band_bps : float
        Two-sided uptime's band where the quoting model names none.
    level_of : Callable[[str], int | None], optional
        Returns the ladder level of a client order id, None when it is not known; asked at each fill before the strategy hears of
        it. Without it the level is the tag ``L<level>`` of the order's placement, which a move to another level leaves as it was.
        Levels below 0 are orders outside the ladder.
    account_interval_s : float
        Account states closer than this to the last written one are left out of ``account.csv``; 0 writes all.
    is_patient : bool, default False
        Whether rows wait in memory while the disk takes none, and ``trouble`` says so; otherwise ``OSError`` ends the run.

    """

    def __init__(
        self,
        out_dir: Path,
        instrument: Any,
        msgbus: Any,
        cache: Any,
        *,
        account: Callable[[], AccountRow],
        sessions: Sequence[tuple[int, int]],
        start_ns: int,
        end_ns: int,
        band_bps: float = 50.0,
        level_of: Callable[[str], int | None] | None = None,
        account_interval_s: float = 60.0,
        is_patient: bool = False,
    ) -> None:
        self._out_dir = Path(out_dir)
        self._instrument_id = instrument.id
        self._tick = float(instrument.price_increment)
        self._msgbus = msgbus
        self._cache = cache
        self._account = account
        self._level_of = level_of
        self._account_interval_ns = int(account_interval_s * NS_PER_SECOND)
        self._end_ns = end_ns
        self.sessions = merge_sessions(sessions or [(start_ns, end_ns)], start_ns, end_ns)
        self.uptime = UptimeMeter(self.sessions, band_bps)
        self._open_streams(is_patient)
        self._join = FillJoin(self._fills.write, Decimal(str(instrument.size_increment)))
        self._equity = ColumnBuffer(integers=("ts_ns", "session", "fills_cum", "actions_cum", "rejected_cum"))
        self._quotes = ColumnBuffer(integers=("ts_ns", "n_bids", "n_asks"), texts=("state",))
        self._open_positions: dict[Any, Any] = {}
        self._closed = False
        self._snapshot_taken = False
        self._last_account_ns = -(1 << 62)
        self._last_minute_ns = -(1 << 62)
        self._next_flush_ns = 0
        self._margin_peak = 0.0
        self._volume = Decimal(0)
        self.fills = 0
        self.actions = {"place": 0, "modify": 0, "cancel": 0}
        self.rejected = 0
        self.unbooked: list[str] = []
        self._listen()

    def _listen(self) -> None:
        """Say what is heard, and by which method, and subscribe to it."""
        self._handlers: dict[type, Callable[[Any], None]] = {
            OrderFilled: self._on_filled,
            OrderCanceled: self._on_order_closed,
            OrderExpired: self._on_order_closed,
            OrderRejected: self._on_order_refused,
            OrderDenied: self._on_order_refused,
            OrderModifyRejected: self._on_change_rejected,
            OrderCancelRejected: self._on_change_rejected,
        }
        self._subscriptions: tuple[tuple[str, Callable[[Any], None]], ...] = (
            ("events.order.*", self.on_order_event),
            ("events.position.*", self.on_position_event),
            ("events.account.*", self.on_account_state),
            (topics.DECISION, self.uptime.on_sample),
            (topics.ACTION, self.on_action),
            (topics.RISK, self._risk.on_decision),
        )
        for topic, handler in self._subscriptions:
            self._msgbus.subscribe(topic, handler, priority=PRIORITY)

    @property
    def trouble(self) -> str:
        """Why rows wait to be written, empty when none do."""
        return next((stream.trouble for stream in self._streams if stream.trouble), "")

    # -- the venue's side (VenueListener) -----------------------------------------------------------------------------

    def on_ledger_fill(self, fill: LedgerFill) -> None:
        """Book a fill as the ledger did; the engine's event may come before or after."""
        self.fills += 1
        self._volume += fill.price * fill.qty
        self._join.on_ledger(fill, self._session_at(fill.ts_ns))

    def on_markout(self, fill_index: int, horizon_s: int, mid: float) -> None:
        """Take the book's mid ``horizon_s`` seconds after a fill, 0 being the fill itself."""
        self._join.on_markout(fill_index, horizon_s, mid)

    def on_funding(self, ts_ns: int, amount: Decimal, rate: Decimal, oracle_px: Decimal) -> None:
        """Write one funding payment; ``amount`` is positive when received."""
        self._funding.write(
            {
                "ts": timestamp_text(ts_ns),
                "ts_ns": ts_ns,
                "amount": amount,
                "rate": rate,
                "oracle_px": oracle_px,
            }
        )

    def on_liquidation(self, record: LiquidationRecord) -> None:
        """Write one act of the venue's liquidation."""
        self._venue.on_liquidation(record)

    def on_transfer(self, ts_ns: int, amount: Decimal) -> None:
        """Write a deposit (positive) or a withdrawal (negative)."""
        self._venue.on_transfer(ts_ns, amount)

    def on_minute(self, ts_ns: int) -> None:
        """Write one row of the equity path; a repeated time is left out, so the first and last event may be minutes too."""
        if ts_ns <= self._last_minute_ns:
            return
        self._last_minute_ns = ts_ns
        session = self._session_at(min(ts_ns, self._end_ns))
        for row in self.uptime.drain(ts_ns):
            self._states.write({"ts": timestamp_text(ts_ns), "ts_ns": ts_ns, "session": session, **row})
        account = self._account()
        sample = self.uptime.last
        self._append_equity(ts_ns, session, account, sample)
        if sample is not None:
            self._append_quotes(ts_ns, sample)
        if ts_ns >= self._next_flush_ns:
            self._next_flush_ns = ts_ns + FLUSH_NS
            for stream in self._streams:
                stream.flush()

    # -- the node's side ----------------------------------------------------------------------------------------------

    def on_order_event(self, event: Any) -> None:
        """Write orders as they close and fills as they happen; other events cost one look-up."""
        handler = self._handlers.get(type(event))
        if handler is not None and event.instrument_id == self._instrument_id:
            handler(event)

    def on_position_event(self, event: Any) -> None:
        """Write a position when it closes; the object is held from its opening, since a flip replaces it in the cache."""
        if event.instrument_id != self._instrument_id:
            return
        if type(event) is PositionOpened:
            self._open_positions[event.position_id] = self._cache.position(event.position_id)
        elif type(event) is PositionClosed:
            position = self._open_positions.pop(event.position_id, None)
            if position is not None:
                self._positions.write(_position_row(position))

    def on_account_state(self, event: AccountState) -> None:
        """Write an account state, at most one each ``account_interval_s``; the peak margin ratio is kept of all."""
        info = event.info
        ratio = info.get("margin_ratio") if info else None
        if ratio is not None and float(ratio) > self._margin_peak:
            self._margin_peak = float(ratio)
        if event.ts_event - self._last_account_ns < self._account_interval_ns:
            return
        self._last_account_ns = event.ts_event
        state = AccountState.to_dict(event)
        shared = {**(info or {}), **state, "ts_event": timestamp_text(event.ts_event)}
        for balance in state["balances"]:
            self._accounts.write({**shared, **balance})

    def on_action(self, record: ActionRecord) -> None:
        """Count order actions sent."""
        self.actions[record.kind] = self.actions.get(record.kind, 0) + record.count

    def snapshot_open_orders(self) -> None:
        """
        Write what rests now to ``open_orders.csv``; only the first call counts.

        Call it when the data has ended and before the engine does, since the strategy cancels everything when it stops.
        """
        if self._snapshot_taken:
            return
        self._snapshot_taken = True
        stream = CsvStream(self._out_dir / "open_orders.csv", OPEN_ORDER_COLUMNS)
        for order in sorted(
            self._cache.orders_open(instrument_id=self._instrument_id), key=lambda o: o.ts_init
        ):
            level = self._level(order.client_order_id.value, order)
            stream.write({**order.to_dict(), "level": level})
        stream.close()

    def begin(self) -> None:
        """Leave out the fills that the engine told so far: they were before the run, and no ledger books them."""
        self._join.forget_events()

    def on_earlier_fill(self, fill: LedgerFill) -> None:
        """Leave out a fill of before the run."""

    def abandon(self) -> None:
        """Let go of the files of a run that failed; after ``close`` nothing is left to do."""
        for stream in self._streams:
            stream.abandon()

    def close(self, end_ns: int | None = None) -> list[str]:
        """
        Write what is left and give every file its final name.

        Parameters
        ----------
        end_ns : int, optional
            When the run ended, UTC ns, if that was before the end of the data: no session lasts longer, and no block of returns.

        Returns
        -------
        list[str]
            Trade ids that the engine reported and the ledger never booked: empty unless something is wrong.

        """
        if self._closed:
            return self.unbooked
        self._closed = True
        if end_ns is not None and self.sessions:
            self.sessions = merge_sessions(self.sessions, self.sessions[0][0], end_ns)
        for topic, handler in self._subscriptions:
            self._msgbus.unsubscribe(topic, handler)
        self.unbooked = self._join.finish()
        self.snapshot_open_orders()
        for order in sorted(self._cache.orders(instrument_id=self._instrument_id), key=lambda o: o.ts_init):
            if not order.is_closed:
                self._orders.write(_order_row(order, open_at_end=True))
        for position in self._open_positions.values():
            self._positions.write(_position_row(position))
        self._write_sessions()
        for stream in self._streams:
            stream.close()
        self._equity.write(self._out_dir / "equity.parquet")
        self._quotes.write(self._out_dir / "quotes.parquet")
        return self.unbooked

    # -- parts --------------------------------------------------------------------------------------------------------

    def _open_streams(self, is_patient: bool) -> None:
        out = self._out_dir
        self._fills = CsvStream(out / "fills.csv", NAUTILUS_FILL_COLUMNS + OWN_FILL_COLUMNS)
        self._orders = CsvStream(out / "orders.csv", ORDER_COLUMNS + OWN_ORDER_COLUMNS)
        self._positions = CsvStream(out / "positions.csv", POSITION_COLUMNS)
        self._accounts = CsvStream(out / "account.csv", ACCOUNT_COLUMNS)
        self._states = CsvStream(out / "states.csv", STATE_COLUMNS)
        self._funding = CsvStream(out / "funding.csv", FUNDING_COLUMNS)
        self._risk = RiskStream(out)
        self._venue = VenueStreams(out)
        self._streams = (
            self._fills,
            self._orders,
            self._positions,
            self._accounts,
            self._states,
            self._funding,
            self._risk.stream,
            *self._venue.streams,
        )
        for stream in self._streams:
            stream.is_patient = is_patient

    def _write_sessions(self) -> None:
        stream = CsvStream(self._out_dir / "sessions.csv", SESSION_COLUMNS)
        for index, (begin, end) in enumerate(self.sessions):
            texts = {"open": timestamp_text(begin), "close": timestamp_text(end)}
            stream.write({"session": index, "open_ns": begin, "close_ns": end, **texts})
        stream.close()

    def _session_at(self, ts_ns: int) -> int:
        """The session of a moment, its close included; -1 in a gap."""
        index = min(self.uptime.session_index, len(self.sessions) - 1)
        while index >= 0 and self.sessions[index][0] > ts_ns:
            index -= 1
        while index + 1 < len(self.sessions) and self.sessions[index + 1][0] <= ts_ns:
            index += 1
        return index if index >= 0 and ts_ns <= self.sessions[index][1] else -1

    def _on_filled(self, event: OrderFilled) -> None:
        row = OrderFilled.to_dict(event)
        row["ts_event"] = timestamp_text(event.ts_event)
        row["ts_init"] = timestamp_text(event.ts_init)
        order = self._cache.order(event.client_order_id)
        row["level"] = self._level(event.client_order_id.value, order)
        self._join.on_event(event.trade_id.value, row)
        if order is not None and order.is_closed:
            self._orders.write(_order_row(order))

    def _level(self, key: str, order: Any) -> int | None:
        if self._level_of is not None:
            # the tag of an order that nobody knows any longer may be the tag of another level
            return self._level_of(key)
        for tag in (order.tags or ()) if order is not None else ():
            if tag.startswith("L") and tag[1:].removeprefix("-").isdecimal():
                return int(tag[1:])
        return None

    def _on_order_closed(self, event: Any) -> None:
        order = self._cache.order(event.client_order_id)
        # a cancel that crossed a complete fill leaves the order filled, and already written
        if order is not None and not (order.is_closed and order.leaves_qty == 0):
            self._orders.write(_order_row(order))

    def _on_order_refused(self, event: Any) -> None:
        self.rejected += 1
        order = self._cache.order(event.client_order_id)
        if order is not None:
            self._orders.write(_order_row(order, reason=event.reason))

    def _on_change_rejected(self, _event: Any) -> None:
        self.rejected += 1

    def _append_equity(
        self, ts_ns: int, session: int, account: AccountRow, sample: QuoteSample | None
    ) -> None:
        integers = {
            "ts_ns": ts_ns,
            "session": session,
            "fills_cum": self.fills,
            "actions_cum": sum(self.actions.values()),
            "rejected_cum": self.rejected,
        }
        meter = self.uptime
        floats = {
            "equity": float(account.equity),
            "balance": float(account.balance),
            "position": float(account.position),
            # the tracker's 0.0 means that there has been no two-sided market yet
            "mid": float(account.mid) or math.nan,
            "margin_used": float(account.margin_used),
            "order_margin": float(account.order_margin),
            "margin_ratio": float(account.margin_ratio),
            "margin_ratio_max": max(float(account.margin_ratio), self._margin_peak),
            "maintenance_ratio": float(account.maintenance_ratio),
            "funding_cum": float(account.funding_cum),
            "fees_cum": float(account.fees_cum),
            "liquidation_cum": float(account.liquidation_cum),
            **venue_columns(account),
            "session_seconds": meter.session_ns / NS_PER_SECOND,
            "quoted_seconds": meter.quoted_ns / NS_PER_SECOND,
            "two_sided_seconds": meter.two_sided_ns / NS_PER_SECOND,
            "spread_bps_seconds": meter.spread_bps_ns / NS_PER_SECOND,
            "places_cum": float(self.actions["place"]),
            "modifies_cum": float(self.actions["modify"]),
            "cancels_cum": float(self.actions["cancel"]),
            "volume_cum": float(self._volume),
            "best_bid": math.nan,
            "best_ask": math.nan,
        }
        self._margin_peak = 0.0
        if sample is not None:
            floats["best_bid"] = math.nan if sample.bid_ticks is None else sample.bid_ticks * self._tick
            floats["best_ask"] = math.nan if sample.ask_ticks is None else sample.ask_ticks * self._tick
            floats["budget_remaining"] = sample.budget_remaining
            floats["delta"] = sample.delta
            floats.update({f"vol_{horizon}": value for horizon, value in sample.volatility.items()})
            floats.update({f"f_{name}": value for name, value in sample.factors.items()})
        self._equity.append(integers, floats)

    def _append_quotes(self, ts_ns: int, sample: QuoteSample) -> None:
        bid, ask = sample.bid_ticks, sample.ask_ticks
        self._quotes.append(
            {"ts_ns": ts_ns, "n_bids": sample.n_bids, "n_asks": sample.n_asks},
            {
                "mid": sample.mid_ticks * self._tick,
                "bid": math.nan if bid is None else bid * self._tick,
                "ask": math.nan if ask is None else ask * self._tick,
                "delta": sample.delta,
                # how many levels a side were known, and how much older than the newest message the oldest of them was
                "depth_levels": sample.signals.get("depth_levels", math.nan),
                "depth_age_s": sample.signals.get("deep_age_secs", math.nan),
            },
            {"state": str(sample.state)},
        )


def _order_row(order: Any, *, open_at_end: bool = False, reason: str = "") -> dict[str, Any]:
    row: dict[str, Any] = order.to_dict()
    row["accepted"] = int(order.venue_order_id is not None)
    row["open_at_end"] = int(open_at_end)
    row["reason"] = reason
    return row


def _position_row(position: Any) -> dict[str, Any]:
    row: dict[str, Any] = position.to_dict()
    row["ts_opened"] = timestamp_text(row["ts_opened"])
    row["ts_closed"] = timestamp_text(row["ts_closed"]) if row["ts_closed"] else None
    # Nautilus marks the closed rounds of a netted position as snapshots, under ids with a random suffix
    row["is_snapshot"] = bool(position.is_closed)
    return row
