"""Run the strategy on the wall clock: a trading node, the venue's adapter, the same recorder and report as a backtest."""

import argparse
import asyncio
import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nautilus_trader.live.node import TradingNode

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.summary import write_summary
from amm500_nautilus.report.tearsheet import write_tearsheet
from amm500_nautilus.report.terminal import print_summary
from amm500_nautilus.report.types import BudgetFacts
from amm500_nautilus.report.types import ReportContext
from amm500_nautilus.report.types import TargetLevels
from amm500_nautilus.risk.budget import GROWTH_SHARE
from amm500_nautilus.risk.types import RiskState
from amm500_nautilus.runtime.backtest import check_ladder
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.endpoint import Endpoint
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import HALTED
from amm500_nautilus.runtime.exits import guarded
from amm500_nautilus.runtime.live_desk import Books
from amm500_nautilus.runtime.live_desk import Desk
from amm500_nautilus.runtime.live_local import KEY_VARIABLE
from amm500_nautilus.runtime.live_modes import monitor_folder
from amm500_nautilus.runtime.live_modes import open_desk
from amm500_nautilus.runtime.live_node import dispose
from amm500_nautilus.runtime.live_node import node_config
from amm500_nautilus.runtime.live_node import seconds_of
from amm500_nautilus.runtime.live_node import strategy_config
from amm500_nautilus.runtime.live_node import until
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.monitoring import NodeMonitor
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.rundir import RunDirectory
from amm500_nautilus.runtime.stopping import StopSignals
from amm500_nautilus.strategy import MarketMaker
from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.factories import HyperliquidLiveDataClientFactory
from hyperliquid_hip3.factories import HyperliquidLiveExecClientFactory


NS = 1_000_000_000
START_S = 60.0
WIND_DOWN_S = 20.0
STEP_S = 0.2
REPORT_S = 8.0
STATUS_S = 60.0


class _ToldToStopError(Exception):
    """The process was told to stop before the node had come up."""


@dataclass(slots=True)
class LiveResult:
    """A finished run: where its files are, its summary, and whether a kill switch had halted it."""

    run_dir: Path
    summary: dict[str, Any]
    is_halted: bool


class LiveRun:
    """
    One run of a node: built, watched, wound down, reported.

    Parameters
    ----------
    config : RunConfig
        The run file.
    desk : Desk
        The mode: what is quoted, where the market is heard, and who executes.
    directory : RunDirectory
        Where the files go.
    progress : Progress
        What shows how it goes.

    """

    def __init__(
        self,
        config: RunConfig,
        desk: Desk,
        directory: RunDirectory,
        progress: Progress,
    ) -> None:
        self._config = config
        self._desk = desk
        self._endpoint: Endpoint = desk.endpoint
        self._market = desk.market
        self._directory = directory
        self._progress = progress
        self._quoted = desk.market.instrument.id
        self._began_ns = time.time_ns()
        self.is_halted = False
        # the run has had its time, and was not told to stop before
        self.is_over = False
        self._is_told = False
        self._monitor = NodeMonitor(
            config,
            monitor_folder(config, directory.path),
            coin=desk.market.coin,
            account=desk.endpoint.user,
            metrics_port=config.live.metrics_port,
        )
        self.notes: list[str] = []

    def run(self) -> ReportContext:
        """
        Run until the duration is over or the process is told to stop, and return what the summary needs.

        Raises
        ------
        SourceUnavailableError
            If the venue cannot be reached, or the node does not come up.
        KeyboardInterrupt
            If the process is told to stop before it has come up: there is nothing to report.

        """
        config, out = self._config, self._directory.path
        state_dir, log_dir = out / "state", out / "log"
        if self._endpoint.key:
            os.environ[KEY_VARIABLE] = self._endpoint.key
        for note in self._monitor.open():
            self._progress.say(note)
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        with StopSignals(loop, self._stop) as signals:
            node = TradingNode(config=node_config(self._desk, config, state_dir, log_dir), loop=loop)
            signals.take_over()
            return self._run_node(node, loop)

    def _run_node(self, node: TradingNode, loop: asyncio.AbstractEventLoop) -> ReportContext:
        try:
            node.add_data_client_factory(VENUE, HyperliquidLiveDataClientFactory)
            node.add_exec_client_factory(VENUE, HyperliquidLiveExecClientFactory)
            node.build()
            return loop.run_until_complete(self._life(node))
        except _ToldToStopError:
            raise KeyboardInterrupt from None
        finally:
            os.environ.pop(KEY_VARIABLE, None)
            dispose(node, loop)

    def _stop(self) -> None:
        """Begin to stop."""
        self._is_told = True

    async def _life(self, node: TradingNode) -> ReportContext:
        progress, clock = self._progress, node.kernel.clock
        start_ns = clock.timestamp_ns()
        instrument = self._market.instrument
        maker = MarketMaker(
            strategy_config(self._config, instrument, nets_own_orders=self._desk.nets_own_orders)
        )
        node.trader.add_strategy(maker)
        books = self._desk.open(node, maker)
        recorder = self._recorder(node, books, maker, start_ns)
        outcome = "failed"
        running = asyncio.get_running_loop().create_task(node.run_async())
        try:
            await until(lambda: node.trader.is_running or running.done() or self._is_told, START_S)
            if self._is_told and not node.trader.is_running:
                # a node that is still coming up would start to trade while it is being stopped
                running.cancel()
                await asyncio.wait({running}, timeout=WIND_DOWN_S)
                raise _ToldToStopError
            if running.done() or not node.trader.is_running:
                raise SourceUnavailableError(
                    f"the node did not come up at {self._endpoint.url}; {self._directory.path / 'log'} says why"
                )
            books.begin(node.cache.positions_open(instrument_id=self._quoted))
            self._announce(node)
            served = await self._monitor.start()
            if served:
                progress.say(f"figures at {served}")
            began = time.monotonic()
            self.is_over = await self._watch(running, maker, books)
            engine_s = time.monotonic() - began
            verdict = maker.guard.verdict
            self.is_halted = verdict is not None and verdict.state is RiskState.HALTED
            recorder.snapshot_open_orders()
            await self._wind_down(node, maker, books)
            end_ns = clock.timestamp_ns()
            books.close(end_ns)
            unbooked = recorder.close()
            if unbooked:
                raise RuntimeError(f"{len(unbooked)} fills were never booked, first {unbooked[0]}")
            unexplained = books.unexplained
            if unexplained is not None:
                self.notes.append(
                    f"the venue's equity is {unexplained:+.6f} {instrument.quote_currency} from these books"
                )
            left = len(node.cache.orders_open(instrument_id=self._quoted))
            progress.say(f"{books.fills} fills, {left} orders left resting")
            outcome = "halted" if self.is_halted else "done" if self.is_over else "stopped"
            return self._context(start_ns, end_ns, engine_s, maker.decisions)
        finally:
            await self._monitor.close(outcome)
            await node.stop_async()
            await asyncio.wait({running}, timeout=WIND_DOWN_S)

    def _recorder(self, node: TradingNode, books: Books, maker: MarketMaker, start_ns: int) -> RunRecorder:
        recorder = RunRecorder(
            self._directory.path,
            self._market.instrument,
            node.kernel.msgbus,
            node.cache,
            account=books.account,
            sessions=(),
            start_ns=start_ns,
            # the run ends a little after its time: orders are canceled and a position is closed first
            end_ns=start_ns + int((seconds_of(self._config.live.duration) + 600) * NS),
            level_of=maker.level_of,
        )
        books.bind(self._monitor.join(node, maker, books, self._market.instrument, recorder))
        return recorder

    def _announce(self, node: TradingNode) -> None:
        instrument = self._market.instrument
        info, duration = instrument.info, self._config.live.duration
        self._progress.say(
            f"{self._config.mode}: {info['coin']} at {self._market.mid:g}, collateral {info['collateral']}, "
            f"{self._desk.account_words(node)}, maker fee {float(instrument.maker_fee):.4%}, "
            f"ends {'when stopped' if duration is None else 'after ' + duration}"
        )

    async def _watch(self, running: "asyncio.Task[Any]", maker: MarketMaker, books: Books) -> bool:
        """Keep the minutes until the time is over (True), or the process is told to stop, or the node ends."""
        total = seconds_of(self._config.live.duration)
        began = said = time.monotonic()
        while not running.done() and not self._is_told and not self._monitor.is_stopping:
            now = time.monotonic()
            if now - began >= total:
                return True
            books.on_time()
            self._desk.watch()
            self._monitor.tick()
            self._progress(min(1.0, (now - began) / total), "quoting")
            if now - said >= STATUS_S:
                said = now
                self._progress.say(status_line(maker, books))
            await asyncio.sleep(STEP_S)
        return False

    async def _wind_down(self, node: TradingNode, maker: MarketMaker, books: Books) -> None:
        """Stop quoting, see every order gone, and close the position where the run file says so."""
        maker.wind_down()
        await until(lambda: not node.cache.orders_open(instrument_id=self._quoted), WIND_DOWN_S)
        on_end = self._monitor.on_end or self._config.live.on_end
        if on_end == "flatten" and books.position and not self.is_halted:
            maker.close_all_positions(self._quoted, reduce_only=True)
            await until(lambda: not books.position, WIND_DOWN_S)
        self._desk.watch()
        # the venue's own figure is compared with ours only when it knows of the last fill
        await until(lambda: books.is_reported, REPORT_S)
        if books.position:
            self.notes.append(f"a position of {books.position} is held at the end")
            self._progress.say(self.notes[-1])

    def _context(self, start_ns: int, end_ns: int, engine_s: float, decisions: int) -> ReportContext:
        config, info = self._config, self._market.instrument.info
        budget, report = build(config.strategy.budget), config.report
        about = self._desk.about()
        return ReportContext(
            name=config.name,
            source=about.source,
            simulated=about.simulated,
            bars_simulated=about.simulated,
            market=self._market.coin,
            collateral=info["collateral"],
            start_ns=start_ns,
            end_ns=end_ns,
            mode=config.mode,
            description=about.description,
            defaults=(*about.defaults, *self.notes),
            model=config.strategy.quoting.model,
            targets=TargetLevels(
                sharpe=report.target_sharpe,
                trades_per_day=report.target_trades_per_day,
                maker_ratio=report.target_maker_ratio,
                max_drawdown=report.target_max_drawdown,
                max_margin_ratio=report.target_max_margin_ratio,
            ),
            budget=BudgetFacts(
                enabled=budget.enabled,
                initial_actions=budget.initial_actions,
                credit_per_usd=budget.credit_per_usd * (GROWTH_SHARE if info.get("growth_mode") else 1.0),
            ),
            wall_seconds=(time.time_ns() - self._began_ns) / NS,
            engine_seconds=engine_s,
            events=decisions,
            peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024,
            extra={"seed": config.seed},
        )


def status_line(maker: MarketMaker, books: Books) -> str:
    """Return how the run is, in a line."""
    verdict = maker.guard.verdict
    state = "starting" if verdict is None else verdict.state.value.lower()
    why = "" if verdict is None or not verdict.reasons else f" ({', '.join(verdict.reasons)})"
    return (
        f"{state}{why}: equity {books.equity:.2f}, position {books.position}, {books.fills} fills, "
        f"{maker.budget.sent:,} actions sent, {maker.budget.remaining:,.0f} left"
    )


def run(config: RunConfig, *, out: Path | None = None, progress: Progress | None = None) -> LiveResult:
    """
    Run a file of mode ``local`` or ``paper`` and return its run directory and summary.

    Raises
    ------
    InputError
        If the file is for a backtest, or its ladder cannot be quoted at the venue's price.
    SourceUnavailableError
        If the venue cannot be reached.

    """
    progress = progress or Progress(quiet=True)
    if config.mode == "backtest":
        raise InputError("backtest", f"{config.name}: mode", "local or paper; run_backtest.py runs backtests")
    with open_desk(config, progress) as desk:
        instrument = desk.market.instrument
        shape = MarketShape(tick=float(instrument.price_increment), lot=float(instrument.size_increment))
        check_ladder(config, shape, desk.market.mid, max_leverage=float(instrument.info["max_leverage"]))
        directory = RunDirectory.named(config.name, out)
        directory.write_config(config)
        live = LiveRun(config, desk, directory, progress)
        try:
            context = live.run()
        finally:
            desk.end(is_over=live.is_over)
    summary = write_summary(directory.path, context)
    if config.report.tearsheet:
        write_tearsheet(directory.path, summary)
    progress.say(f"verdict: {summary['verdict']}")
    directory.write_log(progress.lines)
    return LiveResult(run_dir=directory.finish(), summary=summary, is_halted=live.is_halted)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line of ``run_live.py``."""
    parser = argparse.ArgumentParser(
        prog="run_live.py", description="Run the strategy on the wall clock from a configuration file."
    )
    parser.add_argument("config", help="a YAML run file, for example configs/local.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--duration", default=None, help="how long, for example 120s, 6h or 7d; otherwise until stopped"
    )
    parser.add_argument(
        "--out", type=Path, default=None, help="the run directory (runs/<name>-<utc> by default)"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but the result")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 2 bad configuration, 3 halted, 4 venue unreachable."""
    args = parse_args(argv)
    duration = [] if args.duration is None else [f"live.duration={args.duration}"]

    def job() -> int:
        config = load_config(args.config, [*args.overrides, *duration])
        with Progress(quiet=args.quiet) as progress:
            result = run(config, out=args.out, progress=progress)
        print_summary(result.summary, result.run_dir)
        return HALTED if result.is_halted else DONE

    return guarded(job)
