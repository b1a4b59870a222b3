"""
What this address may send to the venue, kept on our side so that the venue never has to refuse.

See https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/rate-limits-and-user-limits. The venue does not say whether its
minute slides, starts on the clock, or refills as a bucket; at most so much in every span of a minute satisfies all three.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Final

from hyperliquid_hip3.constants import WEIGHT_PER_MINUTE


# a minute, and what two requests' ways to the venue may differ by
WINDOW_S: Final = 61.0
# one more weight for every so many items of a batched action
ACTION_ITEMS_PER_WEIGHT: Final = 40
# kept for actions: so many batches of up to 39 items still go out when queries have taken all the rest
ACTION_RESERVE: Final = 240
BATCH_FIELDS: Final = ("orders", "cancels", "modifies")

NEW_CONNECTIONS_PER_MINUTE: Final = 30
SENT_MESSAGES_PER_MINUTE: Final = 2_000

type Clock = Callable[[], float]
type Sleep = Callable[[float], Awaitable[object]]


def action_weight(items: int) -> int:
    """
    Return the weight of an exchange action: ``1 + floor(items / 40)``.

    Parameters
    ----------
    items : int
        Orders, cancels or modifies in the batch; anything else counts one.

    Raises
    ------
    ValueError
        If ``items`` is negative.

    """
    if items < 0:
        raise ValueError(f"`items` was {items}, must not be negative")
    return 1 + items // ACTION_ITEMS_PER_WEIGHT


def batch_items(action: Mapping[str, Any]) -> int:
    """Return how many orders, cancels or modifies an action carries; 1 for one that is not a batch."""
    for name in BATCH_FIELDS:
        rows = action.get(name)
        if isinstance(rows, (list, tuple)):
            return len(rows)
    return 1


class RateWindow:
    """
    Count what was spent within the last minute, any minute.

    Parameters
    ----------
    limit : int
        The most that may be spent in a window.
    window_s : float, default 61.0
        Its length in seconds.
    clock : callable, default ``time.monotonic``
        Seconds of a clock that never goes back.

    Raises
    ------
    ValueError
        If ``limit`` is not positive.

    """

    def __init__(self, limit: int, *, window_s: float = WINDOW_S, clock: Clock = time.monotonic) -> None:
        if limit <= 0:
            raise ValueError(f"`limit` was {limit}, must be positive")
        self.limit = limit
        self._window_s = window_s
        self._clock = clock
        self._spent: deque[tuple[float, int]] = deque()
        self._total = 0

    @property
    def left(self) -> int:
        """What may be spent now; never negative."""
        self._forget()
        return max(0, self.limit - self._total)

    def wait_s(self, amount: int, *, keep: int = 0) -> float:
        """
        Return the seconds until the amount may be spent with ``keep`` still left; 0 when it may be now.

        Raises
        ------
        ValueError
            If both together are more than the window ever holds.

        """
        if amount + keep > self.limit:
            raise ValueError(f"`amount` was {amount}, must be at most {self.limit - keep}")
        self._forget()
        excess = self._total + amount + keep - self.limit
        if excess <= 0:
            return 0.0
        for at, spent in self._spent:
            excess -= spent
            if excess <= 0:
                return max(0.0, at + self._window_s - self._clock())
        raise AssertionError("what is in the window is all that stands in the way")

    def spend(self, amount: int) -> None:
        """Count the amount, even beyond the limit: what comes next then waits for that too."""
        if amount > 0:
            self._spent.append((self._clock(), amount))
            self._total += amount

    def _forget(self) -> None:
        oldest = self._clock() - self._window_s
        while self._spent and self._spent[0][0] <= oldest:
            self._total -= self._spent.popleft()[1]


class WeightBucket:
    """
    The request weight of a minute; who asks for more than there is waits in line.

    All clients of one internet address share one, in one event loop. Queries leave the reserve untouched, so an action does not wait
    behind them. What a reply weighs by its rows is known only once it is here: :meth:`charge` counts it then, and the next request
    waits for it as well.

    Parameters
    ----------
    per_minute : int, default 1200
        The weight that the venue allows.
    reserve : int, default 240
        The part of it that only actions may take.
    clock : callable, default ``time.monotonic``
        Seconds of a clock that never goes back.
    sleep : callable, default ``asyncio.sleep``
        Waits so many seconds.

    Raises
    ------
    ValueError
        If ``per_minute`` is not positive, or the reserve is negative or leaves nothing for queries.

    """

    def __init__(
        self,
        per_minute: int = WEIGHT_PER_MINUTE,
        *,
        reserve: int = ACTION_RESERVE,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._window = RateWindow(per_minute, clock=clock)
        if not 0 <= reserve < per_minute:
            raise ValueError(f"`reserve` was {reserve}, must be 0 to {per_minute - 1}")
        self.reserve = reserve
        self._clock = clock
        self._sleep = sleep
        self._queries_held_until = clock()
        # a lock lets its waiters in one by one, first come first served, and a canceled one out without a trace
        self._query_turn = asyncio.Lock()
        self._action_turn = asyncio.Lock()
        self._actions_in_line = 0

    @property
    def level(self) -> int:
        """The weight that is left now, the reserve included; never negative."""
        return self._window.left

    def wait_s(self, weight: int, *, is_action: bool = False) -> float:
        """
        Return the seconds until this weight is there, with nobody ahead; 0 when it is there now.

        Raises
        ------
        ValueError
            If there is never as much.

        """
        if is_action:
            return self._window.wait_s(weight)
        held_s = self._queries_held_until - self._clock()
        return max(0.0, held_s, self._window.wait_s(weight, keep=self.reserve))

    def try_spend_on_action(self, weight: int) -> bool:
        """
        Take an action's weight if it is there and nobody waits for it; False, with nothing taken, otherwise.

        Raises
        ------
        ValueError
            If there is never as much.

        """
        if self._actions_in_line or self._window.wait_s(weight) > 0:
            return False
        self._window.spend(weight)
        return True

    async def spend(self, weight: int, *, is_action: bool = False) -> None:
        """
        Take the weight, waiting for it if need be; canceled while waiting, nothing is taken.

        Parameters
        ----------
        weight : int
            What the request weighs before its reply is known.
        is_action : bool, default False
            Whether the reserve may be used.

        Raises
        ------
        ValueError
            If there is never as much.

        """
        self._actions_in_line += is_action
        try:
            async with self._action_turn if is_action else self._query_turn:
                while (wait := self.wait_s(weight, is_action=is_action)) > 0:
                    await self._sleep(wait)
                self._window.spend(weight)
        finally:
            self._actions_in_line -= is_action

    def charge(self, weight: int) -> None:
        """Count the weight of a reply's rows."""
        self._window.spend(weight)

    def hold_queries(self, seconds: float) -> None:
        """Let no query out for so long: after HTTP 429 the venue counts more than we do, since others may share the address."""
        self._queries_held_until = max(self._queries_held_until, self._clock() + seconds)


class SocketLimits:
    """
    What the venue allows one address's sockets together: 30 new connections and 2,000 sent messages a minute.

    Parameters
    ----------
    clock : callable, default ``time.monotonic``
        Seconds of a clock that never goes back.
    sleep : callable, default ``asyncio.sleep``
        Waits so many seconds.

    """

    def __init__(self, *, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._connections = RateWindow(NEW_CONNECTIONS_PER_MINUTE, clock=clock)
        self._messages = RateWindow(SENT_MESSAGES_PER_MINUTE, clock=clock)
        self._sleep = sleep

    async def spend_connection(self) -> None:
        """Count a new connection, waiting until one is allowed."""
        await self._spend(self._connections)

    async def spend_message(self) -> None:
        """Count a message, waiting until one is allowed."""
        await self._spend(self._messages)

    async def _spend(self, window: RateWindow) -> None:
        while (wait := window.wait_s(1)) > 0:
            await self._sleep(wait)
        window.spend(1)
