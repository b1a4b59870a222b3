"""Join the three parts of a fill: the engine's event, the ledger's booking, and the mids that come later."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from math import isnan
from typing import Any

from amm500_nautilus.report.columns import MID_COLUMNS
from amm500_nautilus.simulation.listener import LedgerFill


Row = dict[str, Any]


class CloseCosts:
    """
    Net each close of the fees on both of its ends.

    The fees of a position's opening fills are spread over its contracts; a close releases its share. A fill through zero
    closes first and opens the rest, its fee split by size.
    """

    def __init__(self) -> None:
        self._lots = 0
        self._entry_fees = Decimal(0)

    def on_fill(self, fill: LedgerFill) -> Decimal | None:
        """Return the close's PnL net of fees, or None for a fill that only opens."""
        before = self._lots
        self._lots = fill.position_lots
        closing = min(fill.lots, abs(before)) if before * fill.side < 0 else 0
        if closing == 0:
            self._entry_fees += fill.fee
            return None
        released = self._entry_fees * closing / abs(before)
        own = fill.fee * closing / fill.lots
        self._entry_fees += fill.fee - own - released
        return fill.closed_pnl - released - own


@dataclass(slots=True)
class _Pending:
    row: Row
    waits: int = len(MID_COLUMNS)
    has_event: bool = False


@dataclass(slots=True)
class FillJoin:
    """
    Hold fills until they are complete and hand them out in the ledger's order.

    A fill is complete when its event, the mid at it and the mids of all horizons are there; ``finish`` hands out the rest with empty mids.

    Parameters
    ----------
    emit : Callable[[Row], None]
        Receives each complete row.
    lot : Decimal
        Contracts in a lot.

    """

    emit: Callable[[Row], None]
    lot: Decimal
    _costs: CloseCosts = field(default_factory=CloseCosts)
    _queue: deque[_Pending] = field(default_factory=deque)
    _first_index: int = 0
    _by_trade: dict[str, _Pending] = field(default_factory=dict)
    _events: dict[str, Row] = field(default_factory=dict)

    def on_event(self, trade_id: str, row: Row) -> None:
        """Take the engine's row of a fill, before or after the ledger's."""
        pending = self._by_trade.pop(trade_id, None)
        if pending is None:
            self._events[trade_id] = row
            return
        pending.row.update(row)
        pending.has_event = True
        self._drain()

    def on_ledger(self, fill: LedgerFill, session: int) -> None:
        """Take the ledger's booking of a fill; indices are consecutive."""
        if fill.index != self._first_index + len(self._queue):
            raise ValueError(
                f"ledger fill {fill.index} arrived where {self._first_index + len(self._queue)} was due; "
                "fills are booked in order"
            )
        net = self._costs.on_fill(fill)
        pending = _Pending(
            {
                "trade_id": fill.trade_id,
                "fill_index": fill.index,
                "ts_ns": fill.ts_ns,
                "side": fill.side,
                "fee": fill.fee,
                "position_after": fill.position_lots * self.lot,
                "closed_pnl": fill.closed_pnl,
                "closed_pnl_net": net,
                "unseen_level": int(fill.unseen_level),
                # a live venue does not say
                "queue_ahead": None if isnan(fill.queue_ahead) else fill.queue_ahead * float(self.lot),
                "by_trade": int(fill.by_trade),
                "session": session,
                # a fill that the engine never reports (the venue's own liquidation) still has these
                "client_order_id": fill.client_order_id,
                "liquidity_side": "MAKER" if fill.maker else "TAKER",
                "last_qty": fill.qty,
                "last_px": fill.price,
                "order_side": "BUY" if fill.side > 0 else "SELL",
            }
        )
        self._queue.append(pending)
        row = self._events.pop(fill.trade_id, None)
        if row is None:
            self._by_trade[fill.trade_id] = pending
        else:
            pending.row.update(row)
            pending.has_event = True

    def on_markout(self, index: int, horizon_s: int, mid: float) -> None:
        """Take the mid ``horizon_s`` seconds after a fill (0: at it); a fill already handed out is ignored."""
        place = index - self._first_index
        if not 0 <= place < len(self._queue):
            return
        pending = self._queue[place]
        # 0.0 means that there was no two-sided market yet
        pending.row[MID_COLUMNS[horizon_s]] = mid or None
        pending.waits -= 1
        if place == 0:
            self._drain()

    def forget_events(self) -> None:
        """Drop the engine's rows of fills that no ledger will book: they were before the run."""
        self._events.clear()

    def finish(self) -> list[str]:
        """Hand out what is left; return the trade ids that the engine reported and the ledger never booked."""
        while self._queue:
            self._emit_first()
        unbooked = sorted(self._events)
        self._by_trade.clear()
        self._events.clear()
        return unbooked

    def _drain(self) -> None:
        while self._queue and self._queue[0].waits <= 0 and self._queue[0].has_event:
            self._emit_first()

    def _emit_first(self) -> None:
        self.emit(self._queue.popleft().row)
        self._first_index += 1
