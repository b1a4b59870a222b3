"""A recorded session's times on a backtest's clock: the cycle's firings, and how long each action took."""

from bisect import bisect_left
from bisect import bisect_right
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import Final

from amm500_nautilus.cycle import CycleTimer
from amm500_nautilus.runtime.replay.log import RecordedAction
from amm500_nautilus.runtime.replay.log import Step
from amm500_nautilus.runtime.replay.own import OwnOrders


# a test clock looks at every alert at each datum: few are set at a time
BLOCK: Final = 128


class Alarms:
    """
    Call at each of many moments.

    Parameters
    ----------
    clock : TestClock
        A backtest's clock.
    times : Sequence of int
        The moments, oldest first; one named twice is one.
    call : callable
        Takes the moment.

    """

    def __init__(self, clock: Any, times: Sequence[int], call: Callable[[int], None]) -> None:
        self._clock = clock
        self._times = list(dict.fromkeys(times))
        self._call = call
        self._set = 0
        self._heard = 0
        self._is_stopped = False

    def start(self) -> None:
        """Begin."""
        self._arm()

    def stop(self) -> None:
        """Call no more."""
        self._is_stopped = True

    def _arm(self) -> None:
        for ts in self._times[self._set : self._set + BLOCK]:
            self._clock.set_time_alert_ns(f"alarm-{id(self)}-{ts}", ts, self._on_time)
        self._set += BLOCK

    def _on_time(self, event: Any) -> None:
        self._heard += 1
        if self._set - self._heard < BLOCK // 2:
            self._arm()
        if not self._is_stopped:
            self._call(event.ts_event)


class DrivenTimer(CycleTimer):
    """A cycle timer that somebody else calls."""

    def __init__(self, clock: Any, interval_ns: int, cycle: Callable[[int], None], loop: Any) -> None:
        super().__init__(clock, interval_ns, cycle, loop)
        self.cycle = cycle

    def start(self) -> None:
        """Do nothing: the recording says when."""

    def stop(self) -> None:
        """Do nothing: whoever calls stops calling."""

    def rest_until(self, ts_ns: int) -> None:
        """Do nothing: over a gap the recording holds no cycles."""


class RecordedTimer(DrivenTimer):
    """
    A cycle timer that fires when the recorded one did.

    Parameters
    ----------
    firings : Sequence of int
        When, as the recorded strategy was told, ns UTC.

    """

    def __init__(
        self,
        clock: Any,
        interval_ns: int,
        cycle: Callable[[int], None],
        loop: Any,
        *,
        firings: Sequence[int],
    ) -> None:
        super().__init__(clock, interval_ns, cycle, loop)
        self._alarms = Alarms(clock, firings, cycle)

    def start(self) -> None:
        """Begin with the first firing."""
        self._alarms.start()

    def stop(self) -> None:
        """Call no more."""
        self._alarms.stop()


class RecordedLatency:
    """
    How long the recorded actions took, from the decision to the answer, at the time of each.

    Parameters
    ----------
    took : Iterable of (int, int)
        Pairs of the decision's time and the ns until the answer was there.
    now_ns : callable
        The replay's clock.

    Raises
    ------
    ValueError
        If there is none.

    """

    def __init__(self, took: Iterable[tuple[int, int]], now_ns: Callable[[], int]) -> None:
        self._took = sorted(took)
        if not self._took:
            raise ValueError("`took` was empty, must hold an action")
        self._times = [at for at, _ in self._took]
        self._now_ns = now_ns
        self._last_ns = -1
        self._drawn = 0

    def draw(self) -> int:
        """Return what the action nearest in time took; the actions of one decision each have their own, in the order sent."""
        now = self._now_ns()
        self._drawn = self._drawn + 1 if now == self._last_ns else 0
        self._last_ns = now
        place = bisect_left(self._times, now)
        if place == len(self._times) or (place and now - self._times[place - 1] <= self._times[place] - now):
            place -= 1
        nearest = self._times[place]
        first, after = bisect_left(self._times, nearest), bisect_right(self._times, nearest)
        return self._took[min(first + self._drawn, after - 1)][1]


def action_times(steps: Iterable[Step], actions: Iterable[RecordedAction]) -> list[tuple[int, int]]:
    """Return, for each action that was answered, the time of its decision and the ns from there to the answer."""
    decided = sorted(
        (send.ts_ns for step in steps for send in step.sends if send.changes),
    )
    found: list[tuple[int, int]] = []
    for action in actions:
        place = bisect_right(decided, action.sent_ns)
        if place and action.answered_ns is not None:
            at = decided[place - 1]
            found.append((at, action.answered_ns - at))
    return found


def answer_times(own: OwnOrders) -> list[tuple[int, int]]:
    """Return, for each order that came to rest, when it was sent and the ns until it rested; for a run that signs nothing."""
    return sorted(
        (order.sent_ns, max(0, order.states[0].ts_ns - order.sent_ns))
        for order in own.orders.values()
        if order.states and order.refused is None
    )
