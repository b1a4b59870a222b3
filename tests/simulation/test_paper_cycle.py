"""When the commands of a cycle go, and in what order."""

from typing import Any

import pytest
from nautilus_trader.common.component import TestClock
from nautilus_trader.common.factories import OrderFactory

from amm500_nautilus.simulation.paper_cycle import CommandCycle
from tests.simulation.market import T0
from tests.simulation.market import price
from tests.simulation.market import size
from tests.simulation.paper_scene import IID
from tests.simulation.paper_scene import STRATEGY
from tests.simulation.paper_scene import TRADER
from tests.simulation.paper_scene import batch_cancel_of
from tests.simulation.paper_scene import cancel_of
from tests.simulation.paper_scene import modify_of
from tests.simulation.paper_scene import submit_of


FACTORY = OrderFactory(trader_id=TRADER, strategy_id=STRATEGY, clock=TestClock())
US = 1_000


def order(ticks: int = 69_000) -> Any:
    return FACTORY.limit(IID, 1, size(100), price(ticks), post_only=True)


def test_nothing_held_is_due_never_and_a_command_after_a_moment_of_quiet() -> None:
    cycle = CommandCycle()
    assert cycle.due_ns() is None
    cycle.add(submit_of(order(), T0), 100 * US)
    assert cycle.due_ns() == 1_100 * US
    cycle.add(submit_of(order(), T0), 900 * US)
    assert cycle.due_ns() == 1_900 * US


def test_a_stream_without_a_quiet_moment_goes_at_the_latest_after_three_milliseconds() -> None:
    cycle = CommandCycle()
    for n in range(10):
        cycle.add(submit_of(order(), T0), n * 500 * US)
    assert cycle.due_ns() == 3_000 * US


def test_a_complete_cycle_goes_at_once_and_an_incomplete_one_waits() -> None:
    cycle = CommandCycle()
    cycle.mark_end(1, 1, 2)
    first, second = order(), order()
    cycle.add(batch_cancel_of([first, second], T0), 0)
    cycle.add(modify_of(first, 100, 69_001, T0), 0)
    assert cycle.due_ns() == 1_000 * US
    cycle.add(submit_of(order(), T0), 0)
    assert cycle.due_ns() == 0
    assert len(cycle.drain()) == 3
    # the next cycle counts anew
    cycle.add(submit_of(order(), T0), 0)
    assert cycle.due_ns() == 1_000 * US


@pytest.mark.parametrize("reverse", [False, True])
def test_cancels_go_first_then_changes_then_new_orders(reverse: bool) -> None:
    resting, moved, fresh = order(), order(), order()
    commands = [
        submit_of(fresh, T0),
        modify_of(moved, 100, 69_001, T0),
        cancel_of(resting, T0),
    ]
    cycle = CommandCycle()
    for command in reversed(commands) if reverse else commands:
        cycle.add(command, 0)
    assert [type(command).__name__ for command in cycle.drain()] == [
        "CancelOrder",
        "ModifyOrder",
        "SubmitOrder",
    ]
    assert len(cycle) == 0


def test_a_cancel_of_an_order_not_sent_yet_goes_behind_it() -> None:
    fresh, resting = order(), order()
    cycle = CommandCycle()
    for command in (cancel_of(resting, T0), submit_of(fresh, T0), cancel_of(fresh, T0)):
        cycle.add(command, 0)
    assert [
        command.client_order_id if hasattr(command, "client_order_id") else None for command in cycle.drain()
    ][-1] == fresh.client_order_id
