"""Keeping the engine's own matching from working beside the simulated venue."""

import gc
from typing import Any

from nautilus_trader.backtest.engine import OrderMatchingEngine


class IdleMatching(OrderMatchingEngine):
    """
    A matching engine that takes no market data.

    The venue's execution client sends no order to the engine's matching, which nevertheless applies every book to one of its own,
    checks every level of it and looks for orders to match: about a twelfth of a backtest's time.
    """

    def process_order_book_delta(self, delta: Any) -> None:
        """Leave a change of the book to the venue's module."""

    def process_order_book_deltas(self, deltas: Any) -> None:
        """Leave a batch of changes to the venue's module."""

    def process_order_book_depth10(self, depth: Any) -> None:
        """Leave a book to the venue's module."""

    def process_quote_tick(self, tick: Any) -> None:
        """Leave a touch to the venue's module."""

    def process_trade_tick(self, tick: Any) -> None:
        """Leave a trade to the venue's module."""


def rest_matching(exchange: Any, instrument_id: Any, clock: Any) -> bool:
    """
    Put an ``IdleMatching`` where an exchange keeps an instrument's matching engine.

    Parameters
    ----------
    exchange : SimulatedExchange
        The exchange, which has the instrument.
    instrument_id : InstrumentId
        The instrument.
    clock : Clock
        The kernel's.

    Returns
    -------
    bool
        False when the exchange does not keep its matching engines as expected: they then go on as they were, which costs time and
        changes nothing else.

    """
    present = exchange.get_matching_engine(instrument_id)
    # the exchange has no setter for them, and its attribute cannot be reached from Python; the collector knows what it holds
    tables = [
        held
        for held in gc.get_referents(exchange)
        if isinstance(held, dict) and held.get(instrument_id) is present
    ]
    if not isinstance(present, OrderMatchingEngine) or len(tables) != 1:
        return False
    tables[0][instrument_id] = IdleMatching(
        instrument=exchange.instruments[instrument_id],
        raw_id=present.raw_id,
        fill_model=exchange.fill_model,
        fee_model=exchange.fee_model,
        book_type=exchange.book_type,
        oms_type=exchange.oms_type,
        account_type=exchange.account_type,
        msgbus=exchange.msgbus,
        cache=exchange.cache,
        clock=clock,
    )
    return True
