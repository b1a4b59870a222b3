"""The decision cycle's timer: one thread decides, whatever thread the clock calls from."""

import asyncio
from collections.abc import Callable
from typing import Any

from nautilus_trader.common.component import LiveClock


CYCLE_TIMER = "amm500-cycle"
OPEN_ALERT = "amm500-open"


def loop_of(clock: Any) -> asyncio.AbstractEventLoop | None:
    """
    Return the running event loop of a live node; None in a backtest, whose clock calls on the only thread.

    A live clock calls its timers from a thread of its own, while data and order events come on the loop's thread.
    """
    if not isinstance(clock, LiveClock):
        return None
    return asyncio.get_running_loop()


class CycleTimer:
    """
    Call the cycle at every whole interval, on the thread that handles data and orders.

    In a live node a timer's call only marks the cycle due and wakes the loop: a loop that was held up runs the cycle once, not once for
    each interval that it missed.

    Parameters
    ----------
    clock : Clock
        The strategy's clock.
    interval_ns : int
        Time between two cycles.
    cycle : Callable[[int], None]
        The cycle; takes the engine's time in ns.
    loop : asyncio.AbstractEventLoop, optional
        The node's loop; None in a backtest.

    """

    def __init__(
        self,
        clock: Any,
        interval_ns: int,
        cycle: Callable[[int], None],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._clock = clock
        self._interval_ns = interval_ns
        self._cycle = cycle
        self._loop = loop
        self._next_ns = 0
        self._is_due = False
        self._is_stopped = False

    def start(self) -> None:
        """Begin at the next whole interval."""
        interval = self._interval_ns
        # the timer first fires one interval after its start
        start = self._clock.timestamp_ns() // interval * interval
        self._clock.set_timer_ns(
            name=CYCLE_TIMER,
            interval_ns=interval,
            start_time_ns=start,
            stop_time_ns=0,
            callback=self._on_time if self._loop is None else self._on_foreign_time,
            allow_past=True,
            fire_immediately=False,
        )

    def stop(self) -> None:
        """Call no more, a call that is already due included."""
        self._is_stopped = True
        for name in (CYCLE_TIMER, OPEN_ALERT):
            if name in self._clock.timer_names:
                self._clock.cancel_timer(name)

    def rest_until(self, ts_ns: int) -> None:
        """Stop the timer and begin again at ``ts_ns``."""
        self._next_ns = ts_ns
        self._clock.cancel_timer(CYCLE_TIMER)
        self._clock.set_time_alert_ns(OPEN_ALERT, ts_ns, self._on_open)

    def _on_time(self, event: Any) -> None:
        ts_ns = event.ts_event
        # a backtest's clock still hands out the ticks it had queued when the timer was canceled
        if ts_ns < self._next_ns or self._is_stopped:
            return
        self._next_ns = ts_ns + 1
        self._cycle(ts_ns)

    def _on_foreign_time(self, _event: Any) -> None:
        if not self._is_due:
            self._is_due = True
            self._wake(self._on_loop)

    def _on_loop(self) -> None:
        # cleared first: a timer that fires during the cycle makes the next one due
        self._is_due = False
        ts_ns = self._clock.timestamp_ns()
        if ts_ns >= self._next_ns and not self._is_stopped:
            self._cycle(ts_ns)

    def _on_open(self, _event: Any) -> None:
        if self._loop is None:
            self.start()
        else:
            self._wake(self._start_again)

    def _start_again(self) -> None:
        if not self._is_stopped:
            self.start()

    def _wake(self, call: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(call)
