"""Keeping the engine's cost and memory flat over a long run."""

import ctypes
import sys
from typing import Any

import pandas as pd
from nautilus_trader.analysis.analyzer import PortfolioAnalyzer
from nautilus_trader.common.component import TestClock
from nautilus_trader.model.events import PositionClosed

from amm500_nautilus.simulation.matching import rest_matching


ACCOUNT_EVENTS_KEPT_S = 2 * 3_600
PURGE_EVERY_NS = 3_600_000_000_000

# mallopt's parameter (malloc.h of glibc)
M_ARENA_MAX = -8

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_malloc_trim = getattr(_libc, "malloc_trim", None)
_mallopt = getattr(_libc, "mallopt", None)


class FlatAnalyzer(PortfolioAnalyzer):
    """
    Nautilus's analyzer with constant cost a closed position.

    The original joins a pandas Series at every close, which makes the n-th close cost n. Records are kept in lists here
    and become a Series when somebody reads them.
    """

    def adopt(self) -> None:
        """Prepare the lists; called once when an analyzer takes on this class."""
        self._flat_pnls: dict[Any, tuple[list[str], list[float], list[int | None]]] = {}

    def record_trade(self, position_id: Any, realized_pnl: Any, ts_event: int | None = None) -> None:
        """Record realized PnL by appending."""
        ids, values, stamps = self._flat_pnls.setdefault(realized_pnl.currency, ([], [], []))
        ids.append(position_id.value)
        values.append(realized_pnl.as_double())
        stamps.append(None if ts_event is None else int(ts_event))

    def realized_pnls(self, currency: Any = None) -> Any:
        """Return the realized PnL of all closes, as the original does."""
        self._materialize()
        return super().realized_pnls(currency)

    def _materialize(self) -> None:
        for currency, (ids, values, stamps) in self._flat_pnls.items():
            self._recorded_realized_pnls[currency] = pd.Series(values, index=ids, dtype="float64")
            self._recorded_realized_pnl_timestamps[currency] = pd.Series(stamps, index=ids, dtype=object)

    def reset(self) -> None:
        """Forget everything."""
        self.adopt()
        super().reset()


class EngineCare:
    """
    Drops from an engine's cache what grows and nobody reads.

    ``positions_purged`` counts the closed positions dropped, each after its own events had been published.
    """

    def __init__(self, engine: Any) -> None:
        self._kernel = engine.kernel
        self._closed: list[Any] = []
        self._next_purge = 0
        self.positions_purged = 0

    def on_position_event(self, event: Any) -> None:
        """Remember a closed position; it may not be dropped while its own event is being handled."""
        if isinstance(event, PositionClosed):
            self._closed.append(event.position_id)

    def settle(self, ts_ns: int) -> None:
        """Drop closed positions, and hourly old account states; call it between events."""
        cache = self._kernel.cache
        if self._closed:
            for position_id in self._closed:
                position = cache.position(position_id)
                if position is not None and position.is_closed:
                    cache.purge_position(position_id)
                    self.positions_purged += 1
            self._closed.clear()
        if ts_ns >= self._next_purge:
            self._next_purge = ts_ns + PURGE_EVERY_NS
            for account in cache.accounts():
                account.purge_account_events(ts_ns, ACCOUNT_EVENTS_KEPT_S)
            _give_back()


def _give_back() -> None:
    """Return freed memory to the system, which glibc keeps in its heaps for good; elsewhere nothing happens."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def use_one_heap() -> None:
    """
    Let threads that start from now on allocate from the main heap of glibc; elsewhere nothing happens.

    The decoder of stored data runs in threads of its own. Each would fill a heap of its own with rows that this thread frees, and
    such heaps are given back late: a run took 30 MB more, and no time less.
    """
    if _mallopt is not None:
        _mallopt(M_ARENA_MAX, 1)


def keep_engine_flat(engine: Any, venue: Any = None) -> EngineCare:
    """
    Make an engine's cost a fill on day 30 what it was on day 1.

    Nautilus's NETTING slows with every close: the analyzer joins pandas Series, and a closed position is pickled twice
    into a list that is never emptied when the next fill opens it again. Here the analyzer appends, and a position is
    purged as soon as it has closed (its ``PositionClosed`` has been published by then, so records that stream from the
    message bus lose nothing). Account states older than two hours are dropped. Closed ORDERS are the strategy's to purge
    (``ExecEngineConfig(purge_closed_orders_interval_mins=10, purge_closed_orders_buffer_mins=1)``), and
    ``BacktestEngineConfig(run_analysis=False)`` keeps the post-run analysis from reading positions that are gone.

    Parameters
    ----------
    engine : BacktestEngine
        The engine, before it runs.
    venue : SimulatedVenue, optional
        Its module calls ``settle`` after every event; without one the caller does. What the engine does beside the venue and nobody
        reads is left out: its own matching, and the ledger's last account report told again at every order event.

    """
    analyzer = engine.portfolio.analyzer
    if not isinstance(analyzer, FlatAnalyzer):
        analyzer.__class__ = FlatAnalyzer
        analyzer.adopt()
    care = EngineCare(engine)
    msgbus = engine.kernel.msgbus
    msgbus.subscribe(topic="events.position.*", handler=care.on_position_event)
    if venue is not None:
        venue.module.care = care
        _leave_out_unread(engine, venue)
    return care


def _leave_out_unread(engine: Any, venue: Any) -> None:
    kernel = engine.kernel
    if venue.config.account == "ledger":
        # the portfolio repeats the last report at each order event; with the ledger every change of the account is a report already
        kernel.msgbus.unsubscribe(topic="events.order.*", handler=engine.portfolio.on_order_event)
    # a live node has no exchange, and a paper run's is on the wall clock, where there is time for it
    if (exchange := venue.module.exchange) is not None and isinstance(kernel.clock, TestClock):
        rest_matching(exchange, venue.module.instrument_id, kernel.clock)
