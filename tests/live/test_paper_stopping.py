"""Signals to stop: none is lost before the node's loop runs, and what was set before is set again."""

import asyncio
import os
import signal

import pytest

from amm500_nautilus.runtime.node.stopping import STOP_SIGNALS
from amm500_nautilus.runtime.node.stopping import StopSignals


uvloop = pytest.importorskip("uvloop")


@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize("moment", ["before the node", "by the node's handler", "after", "while it runs"])
def test_a_signal_is_heard_whenever_it_comes(number: signal.Signals, moment: str) -> None:
    before = {each: signal.getsignal(each) for each in STOP_SIGNALS}
    # the node's loop, and its handlers, which must not be the ones that act
    loop = uvloop.new_event_loop()
    told: list[str] = []
    try:
        with StopSignals(loop, lambda: told.append("stop")) as signals:
            if moment == "before the node":
                os.kill(os.getpid(), number)
            for each in STOP_SIGNALS:
                loop.add_signal_handler(each, lambda: told.append("the node's"))
            if moment == "by the node's handler":
                os.kill(os.getpid(), number)
            signals.take_over()
            if moment == "after":
                os.kill(os.getpid(), number)

            async def life() -> None:
                if moment == "while it runs":
                    os.kill(os.getpid(), number)
                for _ in range(1_000):
                    if told:
                        return
                    await asyncio.sleep(0.005)

            loop.run_until_complete(life())
    finally:
        loop.close()
    assert set(told) == {"stop"}
    assert {each: signal.getsignal(each) for each in STOP_SIGNALS} == before


def test_nothing_is_heard_where_nothing_came_and_a_second_ctrl_c_is_not_waited_for() -> None:
    loop = uvloop.new_event_loop()
    told: list[str] = []
    try:
        with StopSignals(loop, lambda: told.append("stop")) as signals:
            signals.take_over()
            assert told == []
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        loop.close()
    assert told == ["stop"]
