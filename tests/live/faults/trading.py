"""Trades through the strikes, lets things settle, and compares."""

import asyncio
import inspect
import random
import time

from hyperliquid_hip3.errors import HyperliquidError
from tests.adapter.exec_scene import USER
from tests.live.faults.audit import NOTHING
from tests.live.faults.audit import Before
from tests.live.faults.audit import balance_differences
from tests.live.faults.audit import differences
from tests.live.faults.script import Market
from tests.live.faults.script import Script
from tests.live.faults.stages import Stage
from tests.live.faults.strikes import Act
from tests.live.faults.strikes import Strike
from tests.live.node import until


STEPS = 40
# steps in which a strike may begin
WARM_UP = (3, 8)
# further steps until everything ordered has struck
PATIENCE = 150
# liveness bound: how long orders may take to be what the venue says
SETTLED_S = 20.0
STILL_BLOCKS = 8
CANCELS = 4

type Result = tuple[list[str], int, int]


async def trade(stage: Stage, rng: random.Random, strikes: list[Strike], *, steps: int = STEPS) -> list[str]:
    """Trade while the strikes fall, and return which of them never did."""
    script = Script(stage, rng, Market(stage))
    begins = {id(strike): rng.randint(*WARM_UP) for strike in strikes}
    waiting, running = list(strikes), []
    step = 0
    while step < steps + PATIENCE:
        for strike in [each for each in waiting if begins[id(each)] <= step]:
            waiting.remove(strike)
            await _act(strike.begin, stage)
            running.append((strike, step))
        for strike, since in list(running):
            if step >= since + strike.lasts and strike.struck(stage):
                running.remove((strike, since))
                await _act(strike.end, stage)
        if step >= steps and not running and not waiting:
            break
        # towards what has not struck yet, but not only
        wants = next((strike.wants for strike, _ in running if not strike.struck(stage)), None)
        await script.step(wants if rng.random() < 0.6 or step >= steps else None)
        step += 1
    missed = [f"it never struck: {strike.label}" for strike, _ in running if not strike.struck(stage)]
    for strike, _ in running:
        await _act(strike.end, stage)
    return missed


async def settled(stage: Stage, before: Before = NOTHING) -> list[str]:
    """Wait until the engine and the venue agree and stay so, and return in what they differ at the bound."""
    deadline = time.monotonic() + SETTLED_S
    found = ["nothing was looked at"]
    while time.monotonic() < deadline:
        await stage.client.session.desk.settle()
        found = differences(stage, before)
        if not found:
            seen = stage.venue.blocks
            await until(lambda: stage.venue.blocks >= seen + STILL_BLOCKS, "blocks pass")  # noqa: B023 - awaited here
            found = differences(stage, before) + await _balance(stage)
            if not found:
                return []
        await asyncio.sleep(0.05)
    return found


async def whole(stage: Stage, rng: random.Random, strikes: list[Strike], before: Before = NOTHING) -> Result:
    """Trade through the strikes, let things settle, and return the differences, and how many fills and orders there were."""
    found = await trade(stage, rng, strikes)
    stage.venue.faults.clear()
    found += await finish(stage, before)
    return found, len(stage.ex(lambda _: stage.venue.accounts.user_fills(USER))), len(stage.cache.orders())


async def finish(stage: Stage, before: Before = NOTHING) -> list[str]:
    """Compare, cancel everything, and compare again: an order that nobody knows of would be left."""
    found = await settled(stage, before)
    for _ in range(CANCELS):
        if found or not stage.cache.orders_open():
            break
        # the venue may refuse a cancel for its own reasons, as one that came too late by a clock that is off
        for order in stage.cache.orders_open():
            stage.cancel(order)
        found = [f"after cancel all: {each}" for each in await settled(stage, before)]
    return found or _left(stage)


async def _balance(stage: Stage) -> list[str]:
    try:
        return await balance_differences(stage)
    except HyperliquidError as error:
        return [f"the account cannot be read: {error}"]


def _left(stage: Stage) -> list[str]:
    left = [row for row in stage.venue_orders() if row.get("cloid")]
    return [f"order {row['oid']} rests after everything was canceled" for row in left]


async def _act(act: Act, stage: Stage) -> None:
    done = act(stage)
    if inspect.isawaitable(done):
        await done
