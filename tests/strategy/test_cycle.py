"""The cycle runs on one thread, once for each time it is due, and not after the end."""

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import TestClock

from amm500_nautilus.cycle import CYCLE_TIMER
from amm500_nautilus.cycle import OPEN_ALERT
from amm500_nautilus.cycle import CycleTimer
from amm500_nautilus.cycle import loop_of


SECOND = 1_000_000_000
EVENTS = 100_000


class FakeClock:
    """Keeps what was asked of it; a test calls the timers itself."""

    def __init__(self) -> None:
        self.now = 0
        self.timers: dict[str, Callable[[Any], None]] = {}
        self.starts: dict[str, int] = {}

    @property
    def timer_names(self) -> list[str]:
        return list(self.timers)

    def timestamp_ns(self) -> int:
        return self.now

    def set_timer_ns(self, *, name: str, start_time_ns: int, callback: Any, **_options: Any) -> None:
        self.timers[name], self.starts[name] = callback, start_time_ns

    def set_time_alert_ns(self, name: str, ts_ns: int, callback: Any) -> None:
        self.timers[name], self.starts[name] = callback, ts_ns

    def cancel_timer(self, name: str) -> None:
        del self.timers[name]


def event(ts_ns: int) -> Any:
    return SimpleNamespace(ts_event=ts_ns)


def test_a_backtest_calls_the_cycle_directly_at_whole_intervals() -> None:
    clock, seen = FakeClock(), []
    clock.now = 2 * SECOND + 5
    CycleTimer(clock, SECOND, seen.append).start()
    assert clock.starts[CYCLE_TIMER] == 2 * SECOND
    clock.timers[CYCLE_TIMER](event(3 * SECOND))
    # the engine may hand out a tick a second time
    clock.timers[CYCLE_TIMER](event(3 * SECOND))
    assert seen == [3 * SECOND]


def test_while_it_rests_ticks_that_were_queued_before_do_nothing() -> None:
    clock, seen = FakeClock(), []
    timer = CycleTimer(clock, SECOND, seen.append)
    timer.start()
    tick = clock.timers[CYCLE_TIMER]
    timer.rest_until(100 * SECOND)
    tick(event(4 * SECOND))
    assert seen == []
    assert clock.timer_names == [OPEN_ALERT]
    clock.now = 100 * SECOND
    clock.timers.pop(OPEN_ALERT)(event(100 * SECOND))
    clock.timers[CYCLE_TIMER](event(100 * SECOND))
    assert seen == [100 * SECOND]


def test_after_the_stop_no_call_comes_through() -> None:
    clock, seen = FakeClock(), []
    timer = CycleTimer(clock, SECOND, seen.append)
    timer.start()
    tick = clock.timers[CYCLE_TIMER]
    timer.stop()
    tick(event(SECOND))
    assert seen == []
    assert clock.timer_names == []


def test_a_hundred_thousand_foreign_calls_among_data_lose_no_update_and_leave_the_loop_thread_alone() -> None:
    clock = FakeClock()
    threads: set[int] = set()
    cycles: list[int] = []
    seen = 0

    def cycle(ts_ns: int) -> None:
        threads.add(threading.get_ident())
        cycles.append(ts_ns)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        timer = CycleTimer(clock, SECOND, cycle, loop)
        timer.start()
        done = asyncio.Event()

        def on_data() -> None:
            nonlocal seen
            seen += 1

        def foreign() -> None:
            for _ in range(EVENTS):
                clock.now += 1
                loop.call_soon_threadsafe(on_data)
                clock.timers[CYCLE_TIMER](event(clock.now))
            loop.call_soon_threadsafe(done.set)

        worker = threading.Thread(target=foreign)
        worker.start()
        await asyncio.wait_for(done.wait(), timeout=120)
        worker.join()

    asyncio.run(scenario())
    assert seen == EVENTS
    assert threads == {threading.get_ident()}
    # a call that finds a cycle due already is served by that one: so a cycle began at or after every call, the last one too
    assert cycles[-1] == EVENTS
    assert cycles == sorted(cycles)


def test_a_loop_that_was_held_up_runs_the_cycle_once() -> None:
    clock, seen = FakeClock(), []

    async def scenario() -> None:
        timer = CycleTimer(clock, SECOND, seen.append, asyncio.get_running_loop())
        timer.start()
        for second in range(1, 61):
            clock.now = second * SECOND
            clock.timers[CYCLE_TIMER](event(clock.now))
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert seen == [60 * SECOND]


def test_a_call_that_was_due_at_the_stop_is_dropped() -> None:
    clock, seen = FakeClock(), []

    async def scenario() -> None:
        timer = CycleTimer(clock, SECOND, seen.append, asyncio.get_running_loop())
        timer.start()
        clock.timers[CYCLE_TIMER](event(SECOND))
        timer.stop()
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert seen == []


def test_only_a_live_clock_has_a_loop_to_wake() -> None:
    async def scenario() -> tuple[object, object]:
        return loop_of(LiveClock()), asyncio.get_running_loop()

    found, running = asyncio.run(scenario())
    assert found is running
    assert loop_of(TestClock()) is None
