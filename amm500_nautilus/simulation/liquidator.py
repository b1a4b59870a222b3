"""The venue's liquidation at work: resting orders canceled, a market order into the displayed book, or the position taken over."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from amm500_nautilus.margin.liquidation import LiquidationAct
from amm500_nautilus.margin.liquidation import LiquidationStep
from amm500_nautilus.simulation.client import VenueExecClient
from amm500_nautilus.simulation.desk import OrderDesk
from amm500_nautilus.simulation.ledger import NANO
from amm500_nautilus.simulation.ledger import FillResult
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.listener import LiquidationRecord
from amm500_nautilus.simulation.listener import VenueListener


# the venue decides once a block (protocol: matching and ordering, blocks of about 68 ms)
BLOCK_NS = 68_000_000

FillBooker = Callable[[int, Any, int, int, FillResult | None], FillResult]


class Liquidator:
    """
    Acts on an account below maintenance, once a block until it is above or flat.

    Parameters
    ----------
    ledger : Ledger
        The account.
    desk : OrderDesk
        Its resting orders, and the displayed book that a market order takes from.
    book_fill : callable
        ``book_fill(ts, order, ticks, lots, result)`` books and emits a taking fill; with a result it is booked already.
    listener : VenueListener, optional
        Who keeps records.

    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        desk: OrderDesk,
        book_fill: FillBooker,
        listener: VenueListener | None = None,
    ) -> None:
        self._ledger = ledger
        self._desk = desk
        self._book_fill = book_fill
        self._listener = listener
        self._lot = ledger.shape.lot
        self._tick = ledger.shape.tick
        self._next_ns = 0
        self.count = 0
        self.loss = Decimal(0)

    def act(self, ts: int, client: VenueExecClient) -> None:
        """Do what the venue does at ``ts`` about a position that is below maintenance."""
        if ts < self._next_ns or not self._ledger.is_liquidatable:
            return
        step = self._ledger.liquidation_step(ts)
        resting = list(self._desk.fills.orders.values())
        for order in resting:
            client.cancel_resting(ts, order)
        if step.act in (LiquidationAct.MARKET_ALL, LiquidationAct.MARKET_PART):
            self._close_at_market(ts, client, step, len(resting))
        else:
            self._take_over(ts, client, step, len(resting))

    def _close_at_market(
        self, ts: int, client: VenueExecClient, step: LiquidationStep, canceled: int
    ) -> None:
        ledger, desk = self._ledger, self._desk
        side = -1 if ledger.position_lots > 0 else 1
        wanted = int(step.size / self._lot)
        taken = desk.fills.take(side, None, wanted, desk.book.levels(-side))
        if not taken:
            # nothing is displayed: the next event is the next chance
            return
        self._next_ns = ts + BLOCK_NS
        if step.act is LiquidationAct.MARKET_PART:
            ledger.last_part_ns = ts
        mark = self._mark()
        order = client.liquidation_order(ts, side, wanted)
        slippage = fee = Decimal(0)
        for ticks, lots in taken:
            result = self._book_fill(ts, order, ticks, lots, None)
            slippage += side * lots * self._lot * (ticks * self._tick - mark)
            fee += Decimal(result.fee) / NANO
        lots = sum(lots for _, lots in taken)
        if lots < wanted:
            client.cancel_rest(ts, order)
        self._record(ts, step, side, lots, mark, canceled, slippage=slippage, fee=fee)

    def _take_over(self, ts: int, client: VenueExecClient, step: LiquidationStep, canceled: int) -> None:
        ledger = self._ledger
        lots, mark = abs(ledger.position_lots), self._mark()
        side = -1 if ledger.position_lots > 0 else 1
        # the position goes at the mark, of which a half tick is left out: it goes with the collateral
        ticks = max(1, ledger.mid2_ticks // 2)
        order = client.liquidation_order(ts, side, lots)
        result, _ = ledger.take_over(ticks)
        self._next_ns = ts + BLOCK_NS
        self._book_fill(ts, order, ticks, lots, result)
        self._record(ts, step, side, lots, mark, canceled, forfeited=step.value)

    def _mark(self) -> Decimal:
        return self._tick * self._ledger.mid2_ticks / 2

    def _record(
        self,
        ts: int,
        step: LiquidationStep,
        side: int,
        lots: int,
        mark: Decimal,
        canceled: int,
        *,
        slippage: Decimal = Decimal(0),
        fee: Decimal = Decimal(0),
        forfeited: Decimal = Decimal(0),
    ) -> None:
        record = LiquidationRecord(
            ts_ns=ts,
            act=step.act.value,
            side=side,
            lots=lots,
            left_lots=self._ledger.position_lots,
            mark=mark,
            value=step.value,
            maintenance=step.maintenance,
            slippage=slippage,
            fee=fee,
            forfeited=forfeited,
            canceled=canceled,
        )
        self.count += 1
        self.loss += record.loss
        if self._listener is not None:
            self._listener.on_liquidation(record)
