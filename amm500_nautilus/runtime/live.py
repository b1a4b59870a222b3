"""Run the strategy on the wall clock: a trading node, the venue's adapter, the same recorder and report as a backtest."""

import argparse
import asyncio
import gc
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

from nautilus_trader.live.node import TradingNode

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.forecast.live import VolatilityForecast
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.summary import write_summary
from amm500_nautilus.report.tearsheet import write_tearsheet
from amm500_nautilus.report.terminal import print_summary
from amm500_nautilus.report.types import ReportContext
from amm500_nautilus.risk.types import Act
from amm500_nautilus.risk.types import RiskState
from amm500_nautilus.runtime.backtest import check_ladder
from amm500_nautilus.runtime.config import REAL_MODES
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import HALTED
from amm500_nautilus.runtime.exits import guarded
from amm500_nautilus.runtime.facts import budget_facts
from amm500_nautilus.runtime.facts import target_levels
from amm500_nautilus.runtime.forecast.use import attach_forecast
from amm500_nautilus.runtime.forecast.use import forecast_report
from amm500_nautilus.runtime.forecast.use import forecast_words
from amm500_nautilus.runtime.node.assembly import dispose
from amm500_nautilus.runtime.node.assembly import node_config
from amm500_nautilus.runtime.node.assembly import seconds_of
from amm500_nautilus.runtime.node.assembly import strategy_config
from amm500_nautilus.runtime.node.assembly import until
from amm500_nautilus.runtime.node.capital import sized
from amm500_nautilus.runtime.node.capital import with_capital
from amm500_nautilus.runtime.node.confirm import Approval
from amm500_nautilus.runtime.node.deadline import Deadline
from amm500_nautilus.runtime.node.desk import Books
from amm500_nautilus.runtime.node.desk import Desk
from amm500_nautilus.runtime.node.endpoint import Endpoint
from amm500_nautilus.runtime.node.hours import trading_hours
from amm500_nautilus.runtime.node.local import KEY_VARIABLE
from amm500_nautilus.runtime.node.logs import LogKeeper
from amm500_nautilus.runtime.node.market import look_at_reference
from amm500_nautilus.runtime.node.modes import monitor_folder
from amm500_nautilus.runtime.node.modes import open_desk
from amm500_nautilus.runtime.node.monitoring import NodeMonitor
from amm500_nautilus.runtime.node.monitoring import config_hash
from amm500_nautilus.runtime.node.redis_cache import preflight
from amm500_nautilus.runtime.node.restore_fills import read_missed_fills
from amm500_nautilus.runtime.node.restore_fills import restore_fills
from amm500_nautilus.runtime.node.stopping import StopSignals
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.record.live import start_recording
from amm500_nautilus.runtime.record.session import SessionRecorder
from amm500_nautilus.runtime.rundir import RunDirectory
from amm500_nautilus.runtime.rundir import place_of
from amm500_nautilus.runtime.rundir import require_free
from amm500_nautilus.strategy import MarketMaker
from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.factories import HyperliquidLiveDataClientFactory


NS = 1_000_000_000
START_S = 60.0
WIND_DOWN_S = 20.0
# between two orders that close the position: longer than an order without an answer is in doubt
CLOSE_S = 5.0
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
        self._logs = LogKeeper(directory.path / "log", say=progress.say)
        self._market = desk.market
        self._directory = directory
        self._progress = progress
        self._quoted = desk.market.instrument.id
        self._began_ns = time.time_ns()
        self.is_halted = False
        # a halt is closing the position, and the end of the run must not leave it half done
        self.is_closing = False
        # the run has had its time, and was not told to stop before
        self.is_over = False
        self._is_told = False
        self._forecast: VolatilityForecast | None = None
        self._monitor = NodeMonitor(
            config,
            monitor_folder(config, directory.path),
            coin=desk.market.coin,
            account=desk.endpoint.user,
            metrics_port=config.live.metrics_port,
        )
        self._deadline: Deadline | None = None
        self.notes: list[str] = []
        self._session: SessionRecorder | None = None

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
        for note in self._monitor.open(self._desk.new_account):
            self._progress.say(note)
        journal = self._monitor.monitor
        if self._monitor.is_damaged and self._endpoint.user.startswith("0x"):
            said = restore_fills(journal.journal, self._endpoint.url, self._endpoint.user, self._market.coin)
            self._progress.say(said)
            journal.event("journal", said)
        elif self._config.mode in REAL_MODES and journal.run > 1:
            user = self._endpoint.user
            said = read_missed_fills(
                journal.journal, self._endpoint.url, user, self._market.coin, journal.run
            )
            if said:
                journal.event("journal", said)
        for kind, text in self._desk.events:
            journal.event(kind, text)
        self._deadline = Deadline(
            journal.journal,
            config_hash=config_hash(config),
            duration_s=seconds_of(config.live.duration),
            now_ns=time.time_ns(),
        )
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        with StopSignals(loop, self._stop) as signals:
            node = TradingNode(config=node_config(self._desk, config, state_dir, log_dir), loop=loop)
            signals.take_over()
            return self._run_node(node, loop)

    def _run_node(self, node: TradingNode, loop: asyncio.AbstractEventLoop) -> ReportContext:
        try:
            node.add_data_client_factory(VENUE, HyperliquidLiveDataClientFactory)
            node.add_exec_client_factory(VENUE, self._desk.factory)
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
        maker = self._maker()
        node.trader.add_strategy(maker)
        books = self._desk.open(node, maker)
        recorder = self._recorder(node, books, maker, start_ns)
        self._session = start_recording(self._config, self._desk, self._directory.path, node, maker)
        outcome = "failed"
        running = asyncio.get_running_loop().create_task(node.run_async())
        try:
            await self._come_up(node, running)
            # what the start left behind stays: a full collection that walks it would hold the loop up for a tenth of a second
            gc.collect()
            gc.freeze()
            books.begin(node.cache.positions_open(instrument_id=self._quoted))
            left_s = self._begin()
            self._announce(node)
            self._monitor.keep_report(
                self._directory.final, self._context(start_ns, start_ns, 0.0, 0), maker.budget.restored
            )
            served = await self._monitor.start()
            if served:
                progress.say(f"figures at {served}")
            began = time.monotonic()
            self.is_over = await self._watch(running, maker, books, left_s)
            if self.is_over and self._deadline is not None:
                self._deadline.done(time.time_ns())
            engine_s = time.monotonic() - began
            self.is_halted, self.is_closing = _is_halted(maker), _is_closing(maker)
            recorder.snapshot_open_orders()
            await self._wind_down(node, maker, books)
            end_ns = clock.timestamp_ns()
            self._close_books(books, recorder, end_ns)
            left = len(node.cache.orders_open(instrument_id=self._quoted))
            progress.say(f"{books.fills} fills, {left} orders left resting")
            outcome = "halted" if self.is_halted else "done" if self.is_over else "stopped"
            return self._context(start_ns, end_ns, engine_s, maker.decisions)
        finally:
            # after an error too: nothing may rest while the records are closed, which takes its time
            maker.wind_down()
            await until(lambda: not node.cache.orders_open(instrument_id=self._quoted), CLOSE_S)
            try:
                await self._close_records(outcome)
            finally:
                await node.stop_async()
                await asyncio.wait({running}, timeout=WIND_DOWN_S)
                recorder.abandon()
                gc.unfreeze()

    async def _close_records(self, outcome: str) -> None:
        await self._monitor.close(outcome)
        self._logs.close()
        if self._session is not None:
            self._session.close()
            if self._session.failure is not None:
                self._progress.say(self._session.failure)

    def _maker(self) -> MarketMaker:
        # a session of a day begins with what there is then
        is_daily = self._config.strategy.risk_session == "day"
        starting = None if is_daily else self._monitor.starting_equity
        config = strategy_config(
            with_capital(self._config, self._desk.equity, starting),
            self._market.instrument,
            nets_own_orders=self._desk.nets_own_orders,
            sessions=trading_hours(self._config, time.time_ns()),
        )
        maker = MarketMaker(config)
        self._forecast = attach_forecast(maker, self._config, self._market.coin, self._progress.say)
        return maker

    async def _come_up(self, node: TradingNode, running: "asyncio.Task[Any]") -> None:
        """Wait until the node trades."""
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
            is_patient=True,
        )
        books.bind(self._monitor.join(node, maker, books, self._market.instrument, recorder))
        return recorder

    def _close_books(self, books: Books, recorder: RunRecorder, end_ns: int) -> None:
        """Book what is left to book; a fill that never was is an error, money without a cause a note."""
        books.close(end_ns)
        unbooked = recorder.close(end_ns)
        if unbooked:
            raise RuntimeError(f"{len(unbooked)} fills were never booked, first {unbooked[0]}")
        unexplained = books.unexplained
        if unexplained is not None:
            currency = self._market.instrument.quote_currency
            self.notes.append(f"the venue's equity is {unexplained:+.6f} {currency} from these books")

    def _announce(self, node: TradingNode) -> None:
        instrument = self._market.instrument
        info, deadline = instrument.info, self._deadline
        ends = "when stopped"
        if self._config.live.duration is not None and deadline is not None:
            at = datetime.fromtimestamp((deadline.end_ns or 0) / NS, UTC)
            ends = f"at {at:%Y-%m-%d %H:%M:%S} UTC{', as an earlier run had begun' if deadline.is_restored else ''}"
        self._progress.say(
            f"{self._config.mode}: {info['coin']} at {self._market.mid:g}, collateral {info['collateral']}, "
            f"{self._desk.account_words(node)}, maker fee {float(instrument.maker_fee):.4%}, "
            f"ends {ends}, then {'closes' if self._config.on_end == 'flatten' else 'HOLDS'} its position"
        )

    def _begin(self) -> float:
        """Begin to count the run's time, or go on where an earlier run was; return the seconds left."""
        if self._deadline is None:
            raise RuntimeError("the journal is not open")
        is_restored = self._deadline.is_restored
        left_s = self._deadline.begin(time.time_ns())
        if is_restored:
            self._progress.say(f"an earlier run's end holds: {left_s:,.0f} s are left")
        return left_s

    async def _watch(
        self, running: "asyncio.Task[Any]", maker: MarketMaker, books: Books, total: float
    ) -> bool:
        """Keep the minutes until the time is over (True), or the process is told to stop, or the node ends."""
        began = said = time.monotonic()
        while not running.done() and not self._is_told and not self._monitor.is_stopping:
            now = time.monotonic()
            if now - began >= total:
                return True
            books.on_time()
            self._desk.watch()
            self._monitor.tick()
            self._logs.tick()
            self._progress(min(1.0, (now - began) / max(total, STEP_S)), "quoting")
            if now - said >= STATUS_S:
                said = now
                line = status_line(maker, books)
                self._progress.say(line)
                # the node's own log has it too: it is written as it comes, and outlives a kill
                maker.log.info(line)
            await asyncio.sleep(STEP_S)
        return False

    async def _wind_down(self, node: TradingNode, maker: MarketMaker, books: Books) -> None:
        """Stop quoting, see every order gone, and close the position where the run file says so."""
        if self._session is not None:
            self._session.mark("wind_down")
        maker.wind_down()
        await until(lambda: not node.cache.orders_open(instrument_id=self._quoted), WIND_DOWN_S)
        end = time.monotonic() + WIND_DOWN_S
        while self._is_to_close() and books.position and time.monotonic() < end:
            # reduce-only: what a thin book, a refusal or no answer leaves of it is asked for again
            maker.close_all_positions(self._quoted, reduce_only=True)
            await until(lambda: not books.position, CLOSE_S)
        self._desk.watch()
        # the venue's own figure is compared with ours only when it knows of the last fill
        await until(lambda: books.is_reported, REPORT_S)
        if books.position:
            self.notes.append(f"a position of {books.position} is held at the end")
            self._progress.say(self.notes[-1])

    def _is_to_close(self) -> bool:
        """Return whether the position is closed at the end: a person's word first, then a halt's, then the run file's."""
        if self._monitor.on_end is not None:
            return self._monitor.on_end == "flatten"
        return self.is_closing or (self._config.on_end == "flatten" and not self.is_halted)

    def _context(self, start_ns: int, end_ns: int, engine_s: float, decisions: int) -> ReportContext:
        config, info = self._config, self._market.instrument.info
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
            defaults=(*about.defaults, *self.notes, *forecast_words(self._forecast)),
            model=config.strategy.quoting.model,
            targets=target_levels(config),
            budget=budget_facts(config, growth_mode=bool(info.get("growth_mode"))),
            wall_seconds=(time.time_ns() - self._began_ns) / NS,
            engine_seconds=engine_s,
            events=decisions,
            peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024,
            extra={"seed": config.seed, **forecast_report(self._forecast)},
        )


def _is_halted(maker: MarketMaker) -> bool:
    # before the first verdict a halt of an earlier run is one all the same
    guard, verdict = maker.guard, maker.guard.verdict
    state = guard.engine.machine.state if verdict is None else verdict.state
    return guard.is_enabled and state is RiskState.HALTED


def _is_closing(maker: MarketMaker) -> bool:
    verdict = maker.guard.verdict
    # while the market cannot be seen the act is a milder one: nothing is closed blind
    return verdict is not None and verdict.act is Act.FLATTEN


def status_line(maker: MarketMaker, books: Books) -> str:
    """Return how the run is, in a line."""
    verdict = maker.guard.verdict
    state = "starting" if verdict is None else verdict.state.value.lower()
    why = "" if verdict is None or not verdict.reasons else f" ({', '.join(verdict.reasons)})"
    return (
        f"{state}{why}: equity {books.equity:.2f}, position {books.position}, {books.fills} fills, "
        f"{maker.budget.sent:,} actions sent, {maker.budget.remaining:,.0f} left"
    )


def run(
    config: RunConfig,
    *,
    out: Path | None = None,
    progress: Progress | None = None,
    approval: Approval | None = None,
) -> LiveResult:
    """
    Run a file of any mode but ``backtest`` and return its run directory and summary.

    Raises
    ------
    InputError
        If the file is for a backtest, its ladder cannot be quoted at the venue's price, or live is not confirmed.
    SourceUnavailableError
        If the venue cannot be reached.

    """
    progress = progress or Progress(quiet=True)
    if config.mode == "backtest":
        raise InputError(
            "backtest",
            f"{config.name}: mode",
            "local, paper, testnet or live; run_backtest.py runs backtests",
        )
    require_free(place_of(config.name, out))
    preflight(config.live.cache)
    with open_desk(config, progress, approval) as desk:
        if said := look_at_reference(desk.endpoint.url, config, desk.market.coin):
            progress.say(said)
        instrument = desk.market.instrument
        shape = MarketShape(tick=float(instrument.price_increment), lot=float(instrument.size_increment))
        capital = sized(config, desk.equity)
        check_ladder(capital, shape, desk.market.mid, max_leverage=float(instrument.info["max_leverage"]))
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
    parser.add_argument("--confirm-live", action="store_true", help="mode live: ask for LIVE at the terminal")
    parser.add_argument(
        "--override-paper-gate",
        metavar="REASON",
        default=None,
        help="mode live: go on without a paper run that passed; the reason is journaled",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 2 bad configuration, 3 halted, 4 venue unreachable."""
    args = parse_args(argv)
    duration = [] if args.duration is None else [f"live.duration={args.duration}"]

    def job() -> int:
        config = load_config(args.config, [*args.overrides, *duration])
        with Progress(quiet=args.quiet) as progress:
            approval = Approval(
                confirm_live=args.confirm_live,
                override=args.override_paper_gate,
                environ=os.environ,
                ask=progress.ask if sys.stdin.isatty() else None,
            )
            result = run(config, out=args.out, progress=progress, approval=approval)
        print_summary(result.summary, result.run_dir)
        return HALTED if result.is_halted else DONE

    # the node stops in its own way, and before there is one SIGTERM ends the process as a supervisor expects
    return guarded(job, hears_sigterm=False)


__all__ = [
    "LiveResult",
    "LiveRun",
    "main",
    "monitor_folder",
    "node_config",
    "open_desk",
    "parse_args",
    "run",
    "seconds_of",
    "strategy_config",
]
