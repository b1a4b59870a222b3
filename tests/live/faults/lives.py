"""Scenarios with a whole trading node: one life, two of them, and one that is killed."""

import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.adapter.exec_scene import USER
from tests.live.faults.audit import Before
from tests.live.faults.audit import booked
from tests.live.faults.audit import fill_key
from tests.live.faults.catalogue import Scenario
from tests.live.faults.script import TICK
from tests.live.faults.stages import CHECKS
from tests.live.faults.stages import Hands
from tests.live.faults.stages import NodeStage
from tests.live.faults.stages import agent_config
from tests.live.faults.strikes import Strike
from tests.live.faults.trading import Result
from tests.live.faults.trading import trade
from tests.live.faults.trading import whole
from tests.live.node import data_config
from tests.live.node import node_config
from tests.live.node import run_node
from tests.live.node import until


LIFE_S = 120.0
# the adapter's trade for what was held before the fills that it tells
OPENING = "OPENING-"
ROOT = Path(__file__).resolve().parents[3]
MID = Decimal(690)


def on_node(
    scenario: Scenario, rng: random.Random, strikes: list[Strike], venue: Any, state_dir: Path
) -> Result:
    """Play in one life of a node."""
    return life(venue, state_dir, lambda stage: whole(stage, rng, strikes), scenario)


def restarted(
    scenario: Scenario, rng: random.Random, strikes: list[Strike], venue: Any, state_dir: Path
) -> Result:
    """Play in two lives, with trades in between that nobody hears of."""

    stages: list[NodeStage] = []

    async def first(stage: NodeStage) -> None:
        stages.append(stage)
        missed = await trade(stage, rng, strikes)
        assert not missed, missed

    life(venue, state_dir, first, scenario)
    # what was heard while it stopped belongs to it
    told = {event.trade_id.value for event in booked(stages[0])}
    _move_unseen(venue, rng)
    for strike in strikes:
        strike.between(state_dir)
    return _next_life(scenario, rng, venue, state_dir, told)


def killed(
    scenario: Scenario, rng: random.Random, strikes: list[Strike], venue: Any, state_dir: Path
) -> Result:
    """Kill a process that trades, at a random moment of its life, and go on in another."""
    journal = state_dir.parent / "journal"
    output = state_dir.parent / "output"
    journal.touch()
    with output.open("wb") as log:
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.live.faults.child",
                venue.url,
                venue.ws_url,
                str(state_dir),
                str(journal),
                str(rng.randrange(1 << 30)),
            ],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        events = rng.randint(40, 140)
        for strike in strikes:
            _begin(strike, venue)
        _until_events(child, journal, output, venue, rng, events)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    venue.faults.clear()
    _move_unseen(venue, rng)
    lines = [line.split(" ") for line in journal.read_text().splitlines()]
    told = {line[2] for line in lines if line[0] == "OrderFilled" and len(line) == 3}
    return _next_life(scenario, rng, venue, state_dir, told)


def _next_life(scenario: Scenario, rng: random.Random, venue: Any, state_dir: Path, told: set[str]) -> Result:
    earlier = {fill_key(row) for row in venue.call(lambda _: venue.accounts.user_fills_by_time(USER, 0))}

    async def second(stage: NodeStage) -> Result:
        keys = {event.trade_id.value for event in booked(stage)}
        opening = keys - earlier
        before = Before(frozenset(earlier), frozenset(opening))
        found, fills, orders = await whole(stage, rng, [], before)
        lost = earlier - told - keys
        found += [f"fill {key} was told in neither life" for key in sorted(lost)]
        inferred = sorted(key for key in opening if not key.startswith(OPENING))
        found += [f"trade {key} of the start is the engine's own" for key in inferred]
        if len(opening) > 1:
            found.append(f"{len(opening)} trades opened the position, not one")
        return found, fills, orders

    return life(venue, state_dir, second, scenario)


def life(venue: Any, state_dir: Path, story: Any, scenario: Scenario) -> Any:
    """Run a node, play the story once it has a quote, and return what the story returned."""
    hands = Hands()
    config = node_config(
        data_config(venue, **scenario.data),
        agent_config(venue, state_dir, **scenario.client),
        engine=CHECKS,
    )

    async def play(node: Any) -> Any:
        await until(lambda: hands.cache.quote_tick(hands.config.external_order_claims[0]), "a quote")
        return await story(NodeStage(node, hands, venue))

    return run_node(config, [hands], play, seconds=LIFE_S)


def _move_unseen(venue: Any, rng: random.Random) -> None:
    # what rests is traded into while nobody listens
    for ticks in rng.sample((-3, -2, 2, 3), 2):
        venue.call(lambda _, ticks=ticks: venue.flow.move(MID + ticks * TICK))
        _blocks(venue, 4)
    venue.call(lambda _: venue.flow.move(MID))
    _blocks(venue, 4)


def _blocks(venue: Any, count: int) -> None:
    upto = venue.blocks + count
    deadline = time.monotonic() + 10.0
    while venue.blocks < upto:
        assert time.monotonic() < deadline, "the venue makes no blocks"
        time.sleep(0.005)


def _until_events(
    child: "subprocess.Popen[bytes]", journal: Path, output: Path, venue: Any, rng: random.Random, events: int
) -> None:
    deadline = time.monotonic() + LIFE_S
    while journal.read_bytes().count(b"\n") < events:
        if child.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the process did not trade: {output.read_text()[-2000:]}")
        if rng.random() < 0.5:
            ticks = rng.randint(-2, 2)
            venue.call(lambda _, ticks=ticks: venue.flow.move(MID + ticks * TICK))
        else:
            side, size = rng.choice((1, -1)), rng.randrange(20, 300) / Decimal(1000)
            venue.call(lambda _, side=side, size=size: venue.flow.take(side, size))
        time.sleep(0.03)


def _begin(strike: Strike, venue: Any) -> None:
    class Bare:
        pass

    stage: Any = Bare()
    stage.venue = venue
    strike.begin(stage)
