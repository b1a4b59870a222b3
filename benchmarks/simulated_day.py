"""
One simulated day, all in: CPU a simulated second, beside the bare engine on the same data.

Three engines take the same batches in turn, in one process, so that whatever disturbs the machine disturbs all three:
``ours`` (strategy with a 15x2 ladder, venue, ledger, recorder), ``bare`` (Nautilus's own exchange with a strategy that subscribes
and does nothing) and ``bare + commands`` (the same, sending the order commands that ours sent in the same batch; its account is frozen,
which is the fastest Nautilus has). Decoding the stored data is timed once and counted for each. A second process runs ours alone for
its peak memory. Data: 24 hours generated and simulated once into a temporary catalogue, depth every 0.5 s. Action budget off.

Run: ``python -m benchmarks.simulated_day [--hours 24]``.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Money
from nautilus_trader.trading.strategy import Strategy

from amm500_nautilus.runtime.backtest import make_engine
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.strategy import MarketMaker
from benchmarks.bench_run import DAY_S
from benchmarks.bench_run import NS
from benchmarks.bench_run import OurRun
from benchmarks.bench_run import dataset_of
from benchmarks.bench_run import feed
from benchmarks.bench_run import loop_us
from benchmarks.bench_run import peak_mb
from benchmarks.bench_run import rest_collector
from benchmarks.bench_run import rss_mb
from benchmarks.bench_run import run_config


BAR_MS = 0.30
BAR_RATIO = 2.0
BAR_MB = 700.0
# bands of the order diff at which the ladder sends about two commands a second
NEAR, FAR = 0.10, 0.20

Command = tuple[int, str, str, Any, Any]


def config_of(folder: Path) -> RunConfig:
    """Return the day: the full ladder of an account large enough for all its levels, about two commands a second."""
    return run_config(
        folder,
        1,
        account={"equity": 100_000},
        strategy={
            "budget": {"enabled": False},
            "quoting": {
                "adaptive": {"enabled": False},
                "orders": {"near_tolerance": NEAR, "far_tolerance": FAR},
            },
        },
    )


class WatchedMaker(MarketMaker):
    """Our strategy, its commands noted as it sends them."""

    sent: deque[Command]

    def submit_order(self, order: Any, *args: Any, **kwargs: Any) -> None:
        """Note and send an order."""
        self.sent.append((self.clock.timestamp_ns(), "submit", order.client_order_id.value, order, None))
        super().submit_order(order, *args, **kwargs)

    def modify_order(self, order: Any, quantity: Any = None, price: Any = None, **kwargs: Any) -> None:
        """Note and send new terms."""
        self.sent.append((self.clock.timestamp_ns(), "modify", order.client_order_id.value, quantity, price))
        super().modify_order(order, quantity=quantity, price=price, **kwargs)

    def cancel_order(self, order: Any, *args: Any, **kwargs: Any) -> None:
        """Note and send a cancellation."""
        self.sent.append((self.clock.timestamp_ns(), "cancel", order.client_order_id.value, None, None))
        super().cancel_order(order, *args, **kwargs)


class IdleConfig(StrategyConfig, frozen=True):  # type: ignore[call-arg]
    """What the idle strategy listens to."""

    instrument_id: InstrumentId


class Idle(Strategy):
    """Subscribe to what ours subscribes to, tick every second, do nothing."""

    def __init__(self, config: IdleConfig) -> None:
        super().__init__(config)
        self.script: deque[Command] = deque()
        self.replayed = 0
        self._orders: dict[str, Any] = {}

    def on_start(self) -> None:
        """Subscribe and start the timer."""
        iid = self.config.instrument_id
        self.subscribe_order_book_depth(iid, BookType.L2_MBP, depth=10, managed=False)
        self.subscribe_quote_ticks(iid)
        self.subscribe_trade_ticks(iid)
        self.subscribe_index_prices(iid)
        self.subscribe_funding_rates(iid)
        second = self.clock.timestamp_ns() // NS * NS
        self.clock.set_timer_ns("cycle", NS, second, 0, self._on_cycle, allow_past=True)

    def _on_cycle(self, event: Any) -> None:
        if self.script:
            self._play(event.ts_event)

    def on_quote_tick(self, tick: Any) -> None:
        """Send what is due."""
        if self.script:
            self._play(tick.ts_init)

    def _play(self, now: int) -> None:
        script, orders = self.script, self._orders
        while script and script[0][0] <= now:
            _, kind, key, first, second = script.popleft()
            if kind == "submit":
                order = self.order_factory.limit(
                    first.instrument_id,
                    first.side,
                    first.quantity,
                    first.price,
                    time_in_force=first.time_in_force,
                    post_only=first.is_post_only,
                    reduce_only=first.is_reduce_only,
                    tags=first.tags,
                )
                orders[key] = order
                self.submit_order(order)
                self.replayed += 1
                continue
            order = orders.get(key)
            if order is None or order.is_closed:
                orders.pop(key, None)
                continue
            if kind == "modify":
                self.modify_order(order, quantity=first, price=second)
            else:
                self.cancel_order(order)
            self.replayed += 1


def bare_engine(config: RunConfig, dataset: Any) -> tuple[Any, Idle]:
    """Return Nautilus's own exchange, its account frozen, with the idle strategy."""
    engine = make_engine()
    instrument = dataset.instrument
    engine.add_venue(
        venue=instrument.id.venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(config.account.equity, instrument.settlement_currency)],
        base_currency=instrument.settlement_currency,
        default_leverage=Decimal(10),
        book_type=BookType.L2_MBP,
        bar_execution=False,
        frozen_account=True,
    )
    engine.add_instrument(instrument)
    # as ours: no text is made of events for a log that is off
    quiet = {"log_events": False, "log_commands": False}
    strategy = Idle(IdleConfig(instrument_id=instrument.id, **quiet))
    engine.add_strategy(strategy)
    return engine, strategy


def paired(folder: Path, hours: float) -> dict[str, float]:
    """Run the three engines batch by batch and return their CPU milliseconds a simulated second and the counts."""
    config = config_of(folder)
    dataset = dataset_of(config)
    end = dataset.info.start_ns + int(hours * 3_600 * NS)
    ours = OurRun(config, dataset, folder / "paired", WatchedMaker)
    sent: deque[Command] = deque()
    ours.strategy.sent = sent
    bare, _ = bare_engine(config, dataset)
    replay, replayer = bare_engine(config, dataset)
    spent = {"decode": 0.0, "ours": 0.0, "bare": 0.0, "bare + commands": 0.0}
    commands = 0
    rest_collector()
    batches = dataset.batches(end_ns=min(end, dataset.info.end_ns))
    while True:
        began = time.process_time()
        batch = next(batches, None)
        spent["decode"] += time.process_time() - began
        if batch is None:
            break
        spent["ours"] += feed(ours.engine, batch)
        commands += len(sent)
        replayer.script.extend(sent)
        sent.clear()
        spent["bare"] += feed(bare, batch)
        spent["bare + commands"] += feed(replay, batch)
    gc.enable()
    gc.unfreeze()
    result = {name: 1e3 * value / (hours * 3_600) for name, value in spent.items()}
    result |= {
        "commands": commands,
        "replayed": replayer.replayed,
        "fills": ours.venue.ledger.fills,
        "decisions": ours.strategy.decisions,
        "resting": len(ours.engine.cache.orders_open()),
    }
    ours.finish()
    for engine in (bare, replay):
        engine.end()
        engine.dispose()
    return result


def alone(folder: Path, hours: float) -> dict[str, float]:
    """Run ours alone and return its CPU milliseconds a simulated second, all in, and its memory."""
    config = config_of(folder)
    dataset = dataset_of(config)
    start_mb = rss_mb()
    end = min(dataset.info.start_ns + int(hours * 3_600 * NS), dataset.info.end_ns)
    began = time.process_time()
    ours = OurRun(config, dataset, folder / "alone")
    rest_collector()
    for batch in dataset.batches(end_ns=end):
        feed(ours.engine, batch)
    ours.finish()
    spent = time.process_time() - began
    return {"ms": 1e3 * spent / (hours * 3_600), "peak_mb": peak_mb(), "start_mb": start_mb}


def _simulate(folder: Path, _hours: float) -> dict[str, float]:
    return {"seconds": dataset_of(config_of(folder)).info.end_ns / NS}


STAGES: dict[str, Callable[[Path, float], dict[str, float]]] = {
    "data": _simulate,
    "paired": paired,
    "alone": alone,
}


def stage(name: str, folder: Path, hours: float) -> dict[str, float]:
    """Run one stage in a process of its own, so that none carries another's memory."""
    command = [sys.executable, "-m", "benchmarks.simulated_day", "--stage", name]
    command += ["--folder", str(folder), "--hours", str(hours)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[1]
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> int:
    """Print the figures beside their bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=DAY_S / 3_600)
    parser.add_argument("--stage", choices=sorted(STAGES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        print(json.dumps(STAGES[args.stage](args.folder, args.hours)))
        return 0
    if args.folder:
        report(args.folder, args.hours)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report(Path(folder), args.hours)
    return 0


def report(folder: Path, hours: float) -> None:
    """Run the stages and print what they say."""
    stage("data", folder, hours)
    both = stage("paired", folder, hours)
    single = stage("alone", folder, hours)
    decode = both["decode"]
    ours, bare, replay = (both[name] + decode for name in ("ours", "bare", "bare + commands"))
    seconds = hours * 3_600
    print(f"simulated day, {hours:g} h; a loop of 1,000 additions: {loop_us():.1f} us")
    print(f"{'':<24}{'ms CPU a simulated second':>28}")
    print(f"{'decode (in each)':<24}{decode:>28.4f}")
    print(f"{'bare engine':<24}{bare:>28.4f}")
    print(f"{'bare + same commands':<24}{replay:>28.4f}")
    print(f"{'ours, all in':<24}{ours:>28.4f}")
    print(f"{'ours alone, all in':<24}{single['ms']:>28.4f}   (bar {BAR_MS:.2f})")
    print(f"ours / (bare + commands) {ours / replay:.2f} (bar {BAR_RATIO:g}); ours / bare {ours / bare:.2f}")
    print(
        f"{both['commands'] / seconds:.2f} commands a second ({both['replayed'] / seconds:.2f} replayed), "
        f"{both['fills']:.0f} fills, {both['decisions'] / seconds:.2f} decisions a second, {both['resting']:.0f} orders resting"
    )
    print(
        f"peak memory alone {single['peak_mb']:.0f} MB ({single['start_mb']:.0f} MB before data; bar {BAR_MB:.0f})"
    )


if __name__ == "__main__":
    sys.exit(main())
