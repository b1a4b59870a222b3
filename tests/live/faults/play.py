"""Plays one scenario and says in what the adapter and the venue differ afterwards."""

import asyncio
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.faults.catalogue import Scenario
from tests.live.faults.catalogue import Way
from tests.live.faults.lives import killed
from tests.live.faults.lives import on_node
from tests.live.faults.lives import restarted
from tests.live.faults.stages import CountedLimits
from tests.live.faults.stages import EngineStage
from tests.live.faults.stages import dice
from tests.live.faults.stages import scene_config
from tests.live.faults.strikes import Strike
from tests.live.faults.trading import Result
from tests.live.faults.trading import whole


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a scenario."""

    name: str
    seed: int
    way: str
    struck: tuple[str, ...]
    differences: tuple[str, ...]
    fills: int = 0
    orders: int = 0
    seconds: float = 0.0


def play(scenario: Scenario, seed: int) -> Outcome:
    """Play a scenario, which takes seconds."""
    began = time.monotonic()
    rng = dice(scenario.name, seed)
    strikes = scenario.plan(rng)
    with tempfile.TemporaryDirectory() as folder:
        state_dir = Path(folder) / "state"
        if scenario.way is Way.ENGINE:
            found, fills, orders = asyncio.run(_on_engine(scenario, seed, rng, strikes, state_dir))
        else:
            with LoopbackVenue(scene_config(seed, **scenario.venue), limits=CountedLimits()) as venue:
                ways = {Way.NODE: on_node, Way.RESTART: restarted, Way.KILL: killed}
                found, fills, orders = ways[scenario.way](scenario, rng, strikes, venue, state_dir)
    return Outcome(
        scenario.name,
        seed,
        scenario.way.value,
        tuple(strike.label for strike in strikes),
        tuple(found),
        fills,
        orders,
        time.monotonic() - began,
    )


async def _on_engine(
    scenario: Scenario, seed: int, rng: random.Random, strikes: list[Strike], state_dir: Path
) -> Result:
    async with LoopbackVenue(scene_config(seed, **scenario.venue), limits=CountedLimits()) as venue:
        stage = EngineStage(venue, state_dir, **scenario.client)
        await stage.start()
        try:
            return await whole(stage, rng, strikes)
        finally:
            await stage.stop()
