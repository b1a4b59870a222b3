"""
Time from a strategy's handler to the bytes of the signed action, through a live node, with the loopback venue in a process of its own.

One handler sends 30 new post-only orders and the cycle's end; then, each once its orders are acknowledged, 30 modifies, and the fast path:
cancels of 5. Timed are the handler's start, the adapter's flush and the handing of each action's bytes to the HTTP client; what was
acknowledged when is timed too (the venue's block is 20 ms here). A bare loop of 1,000 additions, timed every round, tells how
busy the machine was. Run: ``python -m benchmarks.adapter_latency [--rounds 60]``.
"""

# ruff: noqa: SLF001 - a stopwatch must stand inside what it times

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LiveRiskEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.trading.strategy import Strategy

from hyperliquid_hip3.config import CYCLE_TOPIC
from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.factories import HyperliquidLiveDataClientFactory
from hyperliquid_hip3.factories import HyperliquidLiveExecClientFactory
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue


VENUE = "HYPERLIQUID"
COIN = "km:US500"
INSTRUMENT = InstrumentId.from_str(f"{COIN}-USD-PERP.{VENUE}")
KEY_VARIABLE = "ADAPTER_LATENCY_KEY"
LEVELS = 15
FAST = 5
BLOCK_MS = 20
# an IP address has 1,200 of weight a minute, and an action takes 1 of it
PAUSE_S = 0.15
PATIENCE_S = 20.0
WARM_UP = 3
# what is timed: (name, bar of the median in ms, bar of the 99th percentile)
BARS = (
    ("30 new, handler to bytes", 6.0, 12.0),
    ("30 modifies, handler to bytes", 4.0, 9.0),
    ("fast path of 5 cancels, handler to bytes", 1.5, None),
    ("30 new, flush to bytes", 0.6, None),
    ("30 modifies, flush to bytes", 0.6, None),
    ("5 cancels, flush to bytes", 0.6, None),
    ("30 new, handler to all acknowledged", None, None),
    ("30 modifies, handler to all acknowledged", None, None),
    ("5 cancels, handler to all acknowledged", None, None),
)


def run_venue(pipe: Connection) -> None:
    """Run the venue in its process until told to stop."""
    config = VenueConfig(
        generated_accounts=1, equity=Decimal(100_000), flow="quiet", limits=False, block_ms=BLOCK_MS
    )
    with LoopbackVenue(config) as venue:
        wallet = venue.wallets[0]
        # this is no test of what an address may send
        venue.call(
            lambda _: setattr(venue.accounts.holders[wallet.address.lower()].limits, "initial", 1 << 40)
        )
        pipe.send((venue.url, venue.ws_url, wallet.address, wallet.key))
        pipe.recv()


class Stopwatch:
    """When the last flush began and when bytes were handed over, ns."""

    def __init__(self, client: Any) -> None:
        self.flushed_ns = 0
        self.handed_ns: list[int] = []
        transport = client.session.desk._sender._client._transport
        self._http = transport._client
        transport._client = self
        self._flush = client.session.desk.flush
        client.session.desk.flush = self.flush

    def flush(self) -> None:
        """Note the time, and flush."""
        self.flushed_ns = time.perf_counter_ns()
        self._flush()

    def post(self, url: str, **rest: Any) -> Any:
        """Note the time of an action, and hand it over."""
        if url.endswith("/exchange"):
            self.handed_ns.append(time.perf_counter_ns())
        return self._http.post(url, **rest)

    def reset(self) -> None:
        """Forget the actions of the step before."""
        self.handed_ns.clear()


class Cycler(Strategy):
    """A strategy that sends what it is told to, from one handler."""

    def place(self) -> None:
        """Place 15 orders a side, a tick apart, and end the cycle."""
        instrument = self.cache.instrument(INSTRUMENT)
        for level in range(LEVELS):
            for side, sign in ((OrderSide.BUY, -1), (OrderSide.SELL, 1)):
                self.submit_order(
                    self.order_factory.limit(
                        INSTRUMENT,
                        side,
                        instrument.make_qty(Decimal("0.1")),
                        instrument.make_price(690 + sign * (1 + 0.01 * level)),
                        post_only=True,
                    )
                )
        self.msgbus.publish(CYCLE_TOPIC, (2 * LEVELS, 0, 0))

    def modify(self) -> None:
        """Move every order by a tick and end the cycle."""
        instrument = self.cache.instrument(INSTRUMENT)
        orders = self.cache.orders_open(strategy_id=self.id)
        for order in orders:
            step = -0.5 if order.side == OrderSide.BUY else 0.5
            self.modify_order(order, price=instrument.make_price(float(order.price) + step))
        self.msgbus.publish(CYCLE_TOPIC, (0, len(orders), 0))

    def cancel(self, count: int) -> None:
        """Cancel some of the orders and end the cycle."""
        orders = self.cache.orders_open(strategy_id=self.id)[:count]
        for order in orders:
            self.cancel_order(order)
        self.msgbus.publish(CYCLE_TOPIC, (0, 0, len(orders)))


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.0005)


def bare_loop() -> float:
    """Return the microseconds of 1,000 additions."""
    began, total = time.perf_counter(), 0
    for i in range(1_000):
        total += i
    return (time.perf_counter() - began) * 1e6


class Bench:
    """The rounds, and what they took in ms."""

    def __init__(self, node: TradingNode, strategy: Cycler) -> None:
        self.cache = node.cache
        self.strategy = strategy
        client = node.kernel.exec_engine._clients[ClientId(VENUE)]
        self.watch = Stopwatch(client)
        self.took: dict[str, list[float]] = {name: [] for name, _, _ in BARS}
        self.actions: list[int] = []
        self.loops: list[float] = []

    async def step(self, what: str, act: Callable[[], None], is_done: Callable[[], bool]) -> None:
        """Run one handler in a turn of its own and wait for its end."""
        self.watch.reset()
        began: list[int] = []

        def handler() -> None:
            began.append(time.perf_counter_ns())
            act()

        asyncio.get_running_loop().call_soon(handler)
        await until(lambda: bool(self.watch.handed_ns), f"{what}: bytes")
        await until(is_done, f"{what}: acknowledged")
        done_ns = time.perf_counter_ns()
        last_ns = self.watch.handed_ns[-1]
        self.actions.append(len(self.watch.handed_ns))
        key = "fast path of 5 cancels" if what == "5 cancels" else what
        self.took[f"{key}, handler to bytes"].append((last_ns - began[0]) / 1e6)
        self.took[f"{what}, flush to bytes"].append((last_ns - self.watch.flushed_ns) / 1e6)
        self.took[f"{what}, handler to all acknowledged"].append((done_ns - began[0]) / 1e6)

    def are_open(self, count: int) -> bool:
        """Return whether so many orders rest and no command is unanswered."""
        return self.cache.orders_open_count() == count and not self.cache.orders_inflight_count()

    async def round(self) -> None:
        """Place 30, modify 30, cancel 5, and clear away the rest untimed."""
        act = self.strategy
        await self.step("30 new", act.place, lambda: self.are_open(2 * LEVELS))
        await self.step("30 modifies", act.modify, lambda: self.are_open(2 * LEVELS))
        await self.step("5 cancels", lambda: act.cancel(FAST), lambda: self.are_open(2 * LEVELS - FAST))
        act.cancel(2 * LEVELS)
        await until(lambda: self.are_open(0), "the rest canceled")
        self.loops.append(bare_loop())
        await asyncio.sleep(PAUSE_S)

    async def run(self, rounds: int) -> None:
        """Run a few rounds untimed, then those that count."""
        for _ in range(WARM_UP):
            await self.round()
        for kept in (*self.took.values(), self.actions, self.loops):
            kept.clear()
        for _ in range(rounds):
            await self.round()


def make_node(loop: asyncio.AbstractEventLoop, where: tuple[str, str, str, str], folder: str) -> TradingNode:
    """Return a built node with both clients."""
    url, ws_url, address, key = where
    os.environ[KEY_VARIABLE] = key
    common: dict[str, Any] = {
        "url": url,
        "ws_url": ws_url,
        "coins": (COIN,),
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
    execution = HyperliquidExecClientConfig(
        **common,
        user=address,
        key_source="environment",
        key_variable=KEY_VARIABLE,
        require_agent=False,
        state_dir=str(Path(folder) / "state"),
    )
    config = TradingNodeConfig(
        trader_id=TraderId("BENCH-001"),
        logging=LoggingConfig(log_level="ERROR"),
        risk_engine=LiveRiskEngineConfig(
            max_order_submit_rate="10000/00:00:01", max_order_modify_rate="10000/00:00:01"
        ),
        exec_engine=LiveExecEngineConfig(reconciliation_startup_delay_secs=0.0),
        data_clients={VENUE: HyperliquidDataClientConfig(**common)},
        exec_clients={VENUE: execution},
        timeout_post_stop=1.0,
    )
    node = TradingNode(config=config, loop=loop)
    node.add_data_client_factory(VENUE, HyperliquidLiveDataClientFactory)
    node.add_exec_client_factory(VENUE, HyperliquidLiveExecClientFactory)
    return node


def measure(where: tuple[str, str, str, str], rounds: int) -> Bench:
    """Run a node through the rounds."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with tempfile.TemporaryDirectory() as folder:
        node = make_node(loop, where, folder)
        strategy = Cycler()
        node.trader.add_strategy(strategy)
        node.build()

        async def life() -> Bench:
            running = loop.create_task(node.run_async())
            try:
                await until(lambda: node.trader.is_running, "the trader runs")
                bench = Bench(node, strategy)
                await bench.run(rounds)
                return bench
            finally:
                await node.stop_async()
                await asyncio.wait({running}, timeout=PATIENCE_S)

        try:
            return loop.run_until_complete(life())
        finally:
            tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            node.dispose()


def report(bench: Bench) -> None:
    """Print the figures beside their bars."""
    print(f"{'ms':<42}{'p50':>8}{'bar':>6}{'p90':>8}{'p99':>8}{'bar':>6}{'fastest':>9}")
    for name, bar, late_bar in BARS:
        took = sorted(bench.took[name])
        p50, p90, p99 = (took[min(len(took) - 1, int(len(took) * part))] for part in (0.5, 0.9, 0.99))
        verdicts = [
            "met" if value <= limit else "MISSED"
            for value, limit in ((p50, bar), (p99, late_bar))
            if limit is not None
        ]
        bars = ["" if limit is None else f"{limit:g}" for limit in (bar, late_bar)]
        print(
            f"{name:<42}{p50:>8.2f}{bars[0]:>6}{p90:>8.2f}{p99:>8.2f}{bars[1]:>6}{took[0]:>9.2f}  {', '.join(verdicts)}"
        )
    print(
        f"{len(bench.loops)} rounds; actions a cycle {statistics.mean(bench.actions):g};"
        f" loop of 1,000 additions {statistics.median(bench.loops):.1f} us (slowest tenth {sorted(bench.loops)[-len(bench.loops) // 10]:.1f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=run_venue, args=(theirs,), daemon=True)
    process.start()
    # without it the pipe stays open when the venue dies, and nobody would notice
    theirs.close()
    try:
        report(measure(ours.recv(), args.rounds))
    finally:
        with contextlib.suppress(OSError):
            ours.send(None)
        process.join(PATIENCE_S)


if __name__ == "__main__":
    main()
