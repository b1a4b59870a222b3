"""
Two hundred frames a second through a live node for ten minutes: no memory is gained, and nothing waits.

The venue runs in a process of its own and makes fifty blocks a second, each with a new touch, a trade, a book and a context. A frame's
age is the time between its block, which the venue stamps, and the strategy's handler: the venue's own work, the socket, the parser, the
merge and the engine are all in it. A process that only sleeps tells by how much the machine itself was late, and both others how long
their collector of garbage held them up. Run: ``python -m pytest -q -s -m soak tests/soak/test_stream_soak.py`` (``STREAM_SOAK_SECONDS=60``
shortens it); nothing else should run on the machine.
"""

import asyncio
import gc
import multiprocessing
import os
import statistics
import time
from array import array
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import CacheConfig
from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.model.enums import BookType

from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.flow import QuietFlow
from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.node import COIN
from tests.live.node import IID
from tests.live.node import node_config
from tests.live.node import run_node
from tests.live.node import until


pytestmark = [pytest.mark.soak, pytest.mark.live_node, pytest.mark.timeout(1_500)]

SECONDS = float(os.environ.get("STREAM_SOAK_SECONDS", "600"))
BLOCK_MS = 20
FRAMES_A_SECOND = 200
NS_PER_MS = 1_000_000
OLDEST_MS = 100.0
# what the first part of the run may still fill: caches with a limit
WARM_UP = 0.3
GROWTH_MB = 8.0
SAMPLE_S = 1.0


class Pauses:
    """How long each full collection of garbage took, ms."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self._began = 0.0
        gc.callbacks.append(self)

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        elif info["generation"] == 2:
            self.took.append((time.perf_counter() - self._began) * 1_000)

    def __str__(self) -> str:
        return f"{len(self.took)} of at most {max(self.took, default=0.0):.1f}"

    def close(self) -> None:
        gc.callbacks.remove(self)


class Swinging(QuietFlow):
    """A ladder whose mid swings by a tick with every block, with a trade in each."""

    count = 0

    def step(self, exchange: Any, now_ms: int) -> None:
        self.count += 1
        self.move(Decimal(690) + Decimal(abs(self.count % 40 - 20)) / 100)
        self.take(1 if self.count % 2 else -1, Decimal("0.1"))
        super().step(exchange, now_ms)


class Stamps(Actor):
    """Notes how old each thing is when it arrives, in ms."""

    def __init__(self) -> None:
        super().__init__()
        self.ages = array("d")
        self.counts = {"deltas": 0, "quote": 0, "trade": 0, "mark": 0}

    def on_start(self) -> None:
        self.subscribe_order_book_deltas(IID, BookType.L2_MBP)
        self.subscribe_quote_ticks(IID)
        self.subscribe_trade_ticks(IID)
        self.subscribe_mark_prices(IID)

    def on_order_book_deltas(self, deltas: Any) -> None:
        self._note("deltas", deltas.ts_event)

    def on_quote_tick(self, tick: Any) -> None:
        self._note("quote", tick.ts_event)

    def on_trade_tick(self, tick: Any) -> None:
        self._note("trade", tick.ts_event)

    def on_mark_price(self, mark_price: Any) -> None:
        # the venue stamps none of these, so they have no age
        self.counts["mark"] += 1

    def _note(self, kind: str, ts_event: int) -> None:
        self.counts[kind] += 1
        self.ages.append((self.clock.timestamp_ns() - ts_event) / NS_PER_MS)


def run_venue(pipe: Any) -> None:
    """Run the venue in its process until told to stop, and say how many frames it sent."""
    cadences = replace(Cadences(), fast_book_ms=BLOCK_MS, context_ms=BLOCK_MS, candle_ms=1_000, book_ms=1_000)
    config = VenueConfig(block_ms=BLOCK_MS, cadences=cadences, limits=False, history_candles=10)
    with LoopbackVenue(config, flow=Swinging()) as venue:
        # as in its own program: a collector that walks through the history it was made with would make the load's blocks late
        venue.call(lambda _: (gc.collect(), gc.freeze()))
        pauses = Pauses()
        pipe.send((venue.url, venue.ws_url))
        while pipe.recv() == "sent":
            sent = venue.call(lambda _: sum(each.sent for each in venue._sockets.sessions.values()))
            pipe.send((sent, str(pauses)))


def run_ruler(pipe: Any) -> None:
    """Sleep for 2 ms again and again, and say by how many ms the machine overslept."""
    late = array("d")
    while not pipe.poll():
        began = time.perf_counter()
        time.sleep(0.002)
        late.append((time.perf_counter() - began) * 1_000 - 2)
    pipe.send(sorted(late))


def memory_mb() -> float:
    """What this process holds, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def start(context: Any, work: Any) -> tuple[Any, Any]:
    """Run a function in a process of its own; return our end of its pipe, and the process."""
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def sent_by(pipe: Any) -> tuple[int, str]:
    pipe.send("sent")
    return pipe.recv()


def test_two_hundred_frames_a_second_are_handled_in_time_and_leave_nothing_behind():
    context = multiprocessing.get_context("spawn")
    (ours, venue), (told, ruler) = (start(context, work) for work in (run_venue, run_ruler))
    try:
        url, ws_url = ours.recv()
        stamps = Stamps()
        state = run(url, ws_url, stamps, ours)
    finally:
        for pipe in (ours, told):
            pipe.send("stop")
        overslept = told.recv()
        for process in (venue, ruler):
            process.join(20)
    ages = sorted(stamps.ages)
    late = {part: ages[min(len(ages) - 1, int(len(ages) * part))] for part in (0.5, 0.99, 0.999)}
    memory = state["memory"]
    settled = memory[int(len(memory) * WARM_UP) :]
    third = max(1, len(settled) // 3)
    growth = statistics.median(settled[-third:]) - statistics.median(settled[:third])
    rate = state["frames"] / state["seconds"]
    machine = [overslept[int((len(overslept) - 1) * part)] for part in (0.5, 0.99, 0.999, 1.0)]
    print(
        f"\n{state['seconds']:.0f} s, {state['frames']} frames ({rate:.0f} a second), {stamps.counts}; age ms:"
        f" p50 {late[0.5]:.2f}, p99 {late[0.99]:.2f}, p99.9 {late[0.999]:.2f}, maximum {ages[-1]:.2f};"
        f" memory MB: {memory[0]:.1f} at first, {settled[0]:.1f} settled, {memory[-1]:.1f} at last (growth {growth:+.2f});"
        f" full collections of garbage ms: {state['pauses']};"
        f" a process that only sleeps overslept by ms: {', '.join(f'{each:.2f}' for each in machine)} (p50, p99, p99.9, maximum)"
    )
    assert state["bad_frames"] == 0
    assert stamps.counts["trade"] > 0
    assert late[0.999] <= OLDEST_MS
    assert growth <= GROWTH_MB
    # a late block is not made up for
    assert rate >= 0.9 * FRAMES_A_SECOND


def run(url: str, ws_url: str, stamps: Stamps, pipe: Any) -> dict[str, Any]:
    """Run the node for the time and return what was seen beside the ages."""
    data = HyperliquidDataClientConfig(
        url=url,
        ws_url=ws_url,
        coins=(COIN,),
        instrument_provider=InstrumentProviderConfig(load_all=True),
    )
    # ticks in the cache: few enough to be full before the memory is judged
    config = msgspec.structs.replace(node_config(data), cache=CacheConfig(tick_capacity=500))
    memory: list[float] = []

    async def scenario(node: Any) -> dict[str, Any]:
        await until(lambda: all(stamps.counts.values()), "every stream speaks")
        for kind in stamps.counts:
            stamps.counts[kind] = 0
        del stamps.ages[:]
        (before, _), began = await asyncio.to_thread(sent_by, pipe), time.monotonic()
        pauses = Pauses()
        while time.monotonic() - began < SECONDS:
            await asyncio.sleep(SAMPLE_S)
            memory.append(memory_mb())
        seconds = time.monotonic() - began
        sent, venues = await asyncio.to_thread(sent_by, pipe)
        pauses.close()
        client = next(iter(node.kernel.data_engine._clients.values()))
        return {
            "memory": memory,
            "seconds": seconds,
            "frames": sent - before,
            "bad_frames": client.bad_frames,
            "pauses": f"{pauses} here, {venues} at the venue",
        }

    return run_node(config, (), scenario, actors=[stamps], seconds=SECONDS + 60)
