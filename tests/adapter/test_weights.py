"""The request weight of a minute: never more than allowed in any minute, and nobody is turned away."""

import asyncio
import itertools
import random
from collections.abc import Awaitable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperliquid_hip3.weights import WINDOW_S
from hyperliquid_hip3.weights import RateWindow
from hyperliquid_hip3.weights import SocketLimits
from hyperliquid_hip3.weights import WeightBucket
from hyperliquid_hip3.weights import action_weight
from hyperliquid_hip3.weights import batch_items
from tests.adapter.fake_server import run


class Time:
    """A clock that moves only while somebody sleeps, to the next one's end."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        done = asyncio.get_running_loop().create_future()
        entry = (self.now + seconds, next(self._numbers), done)
        self._sleepers.append(entry)
        try:
            await done
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)

    async def settle(self) -> None:
        """Let every task run until all that are left sleep."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Move on, waking each sleeper at its own time."""
        end = self.now + seconds
        await self.settle()
        while self._sleepers and min(self._sleepers)[0] <= end:
            entry = min(self._sleepers)
            self._sleepers.remove(entry)
            self.now = max(self.now, entry[0])
            entry[2].set_result(None)
            await self.settle()
        self.now = end


def bucket(time: Time, *, per_minute: int = 100, reserve: int = 20) -> WeightBucket:
    return WeightBucket(per_minute, reserve=reserve, clock=time, sleep=time.sleep)


@pytest.mark.parametrize(("items", "weight"), [(0, 1), (1, 1), (39, 1), (40, 2), (79, 2), (80, 3), (200, 6)])
def test_an_action_weighs_one_and_one_more_for_every_forty_items(items: int, weight: int) -> None:
    assert action_weight(items) == weight


def test_a_negative_number_of_items_is_refused() -> None:
    with pytest.raises(ValueError, match="`items` was -1"):
        action_weight(-1)


@pytest.mark.parametrize(
    ("action", "items"),
    [
        ({"type": "order", "orders": [{}] * 30}, 30),
        ({"type": "cancelByCloid", "cancels": [{}] * 41}, 41),
        ({"type": "batchModify", "modifies": [{}] * 2}, 2),
        ({"type": "updateLeverage", "asset": 150_000}, 1),
    ],
)
def test_the_items_of_a_batch_are_counted(action: dict[str, object], items: int) -> None:
    assert batch_items(action) == items


def test_what_is_there_is_had_without_waiting() -> None:
    async def check() -> None:
        time = Time()
        weights = bucket(time)
        await weights.spend(80)
        assert weights.level == 20
        await weights.spend(20, is_action=True)
        assert weights.level == 0
        assert time.now == 1_000.0

    run(check())


def test_a_query_waits_until_the_oldest_spending_is_a_minute_old_and_is_then_let_in() -> None:
    async def check() -> None:
        time = Time()
        weights = bucket(time)
        await weights.spend(60)
        await time.advance(10.0)
        await weights.spend(20)
        waiting = asyncio.create_task(weights.spend(20))
        await time.advance(WINDOW_S - 10.0 - 0.01)
        assert not waiting.done()
        await time.advance(0.02)
        assert waiting.done()
        assert weights.level == 60

    run(check())


def test_queries_leave_the_reserve_to_actions() -> None:
    async def check() -> None:
        time = Time()
        weights = bucket(time)
        await weights.spend(80)
        query = asyncio.create_task(weights.spend(2))
        await time.settle()
        assert not query.done()
        # not even behind a waiting query does an action wait
        await asyncio.wait_for(weights.spend(20, is_action=True), 1.0)
        query.cancel()

    run(check())


def test_the_rows_of_a_reply_count_and_the_level_is_never_negative() -> None:
    async def check() -> None:
        time = Time()
        weights = bucket(time)
        await weights.spend(80)
        weights.charge(50)
        assert weights.level == 0
        assert weights.wait_s(1, is_action=True) == pytest.approx(WINDOW_S)
        await time.advance(WINDOW_S)
        assert weights.level == 100

    run(check())


def test_waiters_are_served_in_the_order_they_came() -> None:
    async def check() -> None:
        time = Time()
        weights = bucket(time)
        await weights.spend(80)
        served: list[int] = []

        async def ask(number: int, weight: int) -> None:
            await weights.spend(weight)
            served.append(number)

        # the small one behind the large one does not slip past it
        tasks = [asyncio.create_task(ask(1, 60)), asyncio.create_task(ask(2, 1))]
        await time.advance(WINDOW_S + 0.1)
        assert served == [1, 2]
        await asyncio.gather(*tasks)

    run(check())


def test_a_canceled_waiter_takes_nothing_and_lets_the_next_one_in() -> None:
    async def check() -> None:
        time = Time()
        weights = bucket(time)
        await weights.spend(80)
        first = asyncio.create_task(weights.spend(40))
        second = asyncio.create_task(weights.spend(30))
        await time.settle()
        first.cancel()
        await time.advance(WINDOW_S + 0.1)
        assert first.cancelled()
        assert second.done()
        assert weights.level == 70

    run(check())


def test_an_action_takes_its_weight_at_once_unless_it_is_short_or_others_wait() -> None:
    async def body() -> None:
        time = Time()
        weights = bucket(time)
        assert weights.try_spend_on_action(99)
        assert not weights.try_spend_on_action(2)
        assert weights.level == 1

        waiter = asyncio.create_task(weights.spend(50, is_action=True))
        await time.settle()
        # one would be there, but somebody came first
        assert not weights.try_spend_on_action(1)

        await time.advance(WINDOW_S)
        await waiter
        assert weights.level == 50
        assert weights.try_spend_on_action(50)

        canceled = asyncio.create_task(weights.spend(50, is_action=True))
        await time.settle()
        canceled.cancel()
        await asyncio.gather(canceled, return_exceptions=True)
        await time.advance(WINDOW_S)
        assert weights.try_spend_on_action(100)

    run(body())


def test_after_a_429_queries_are_held_and_actions_are_not() -> None:
    async def check() -> None:
        time = Time()
        weights = bucket(time)
        weights.hold_queries(3.0)
        weights.hold_queries(1.0)
        assert weights.wait_s(1) == pytest.approx(3.0)
        assert weights.wait_s(1, is_action=True) == 0
        query = asyncio.create_task(weights.spend(1))
        await time.advance(2.9)
        assert not query.done()
        await time.advance(0.2)
        assert query.done()

    run(check())


def test_a_weight_that_is_never_there_is_an_error_and_not_an_endless_wait() -> None:
    async def check() -> None:
        weights = bucket(Time())
        with pytest.raises(ValueError, match="must be at most 80"):
            await weights.spend(81)
        with pytest.raises(ValueError, match="must be at most 100"):
            await weights.spend(101, is_action=True)

    run(check())


@pytest.mark.parametrize(("per_minute", "reserve"), [(0, 0), (100, 100), (100, -1)])
def test_a_bucket_without_room_is_refused(per_minute: int, reserve: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        WeightBucket(per_minute, reserve=reserve)


@given(st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(1, 40), st.booleans()), max_size=40))
def test_no_minute_ever_sees_more_than_the_limit(asked: list[tuple[float, int, bool]]) -> None:
    async def check() -> None:
        time = Time()
        weights = bucket(time)
        spent: list[tuple[float, int]] = []

        async def ask(weight: int, *, is_action: bool) -> None:
            await weights.spend(weight, is_action=is_action)
            spent.append((time.now, weight))

        tasks: list[Awaitable[None]] = []
        for pause, weight, is_action in asked:
            await time.advance(pause)
            tasks.append(asyncio.create_task(ask(weight, is_action=is_action)))
        await time.advance(WINDOW_S * (len(asked) + 1))
        assert len(spent) == len(asked)
        for start, _ in spent:
            assert sum(weight for at, weight in spent if start <= at < start + 60.0) <= 100

    run(check())


def test_a_window_agrees_with_counting_by_hand() -> None:
    random_numbers = random.Random(7)
    time = Time()
    window = RateWindow(50, clock=time)
    history: list[tuple[float, int]] = []
    for _ in range(500):
        time.now += random_numbers.random() * 5
        amount = random_numbers.randrange(1, 20)
        used = sum(spent for at, spent in history if at > time.now - WINDOW_S)
        assert window.left == max(0, 50 - used)
        wait = window.wait_s(amount)
        assert (wait == 0) == (used + amount <= 50)
        if wait == 0:
            window.spend(amount)
            history.append((time.now, amount))


def test_sockets_of_one_address_share_thirty_new_connections_a_minute() -> None:
    async def check() -> None:
        time = Time()
        limits = SocketLimits(clock=time, sleep=time.sleep)
        for _ in range(30):
            await limits.spend_connection()
        next_one = asyncio.create_task(limits.spend_connection())
        await time.advance(WINDOW_S - 0.1)
        assert not next_one.done()
        await limits.spend_message()
        await time.advance(0.2)
        assert next_one.done()

    run(check())


def test_sockets_of_one_address_share_two_thousand_messages_a_minute() -> None:
    async def check() -> None:
        time = Time()
        limits = SocketLimits(clock=time, sleep=time.sleep)
        for _ in range(2_000):
            await limits.spend_message()
        next_one = asyncio.create_task(limits.spend_message())
        await time.settle()
        assert not next_one.done()
        await time.advance(WINDOW_S + 0.1)
        assert next_one.done()

    run(check())
