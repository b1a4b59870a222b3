"""Run the strategy on the wall clock: a trading node, the venue's adapter, the same recorder and report as a backtest."""

import argparse
import asyncio
import os
import resource
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LiveRiskEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import TraderId

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.config import MarketMakerConfig
from amm500_nautilus.quoting.config import QuotingConfig
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
from amm500_nautilus.runtime.endpoint import LoopbackProcess
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import HALTED
from amm500_nautilus.runtime.exits import guarded
from amm500_nautilus.runtime.live_books import LiveBooks
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.rundir import RunDirectory
from amm500_nautilus.strategy import MarketMaker
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.factories import HyperliquidLiveDataClientFactory
from hyperliquid_hip3.factories import HyperliquidLiveExecClientFactory
from hyperliquid_hip3.providers import HyperliquidInstrumentProvider


NS = 1_000_000_000
YEAR_S = 31_536_000.0
# a run without an end is planned for so long; its report goes by when it really ended
OPEN_END_S = 400 * 86_400.0
UNITS_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
KEY_VARIABLE = "AMM500_LOCAL_KEY"
START_S = 60.0
WIND_DOWN_S = 20.0
STEP_S = 0.2
REPORT_S = 8.0
STATUS_S = 60.0
ORDER_RATE = "1000/00:00:01"


@dataclass(slots=True)
class LiveResult:
    """A finished run: where its files are, its summary, and whether a kill switch had halted it."""

    run_dir: Path
    summary: dict[str, Any]
    is_halted: bool


def seconds_of(duration: str | None) -> float:
    """Return the seconds of ``120s``, ``30m``, ``6h`` or ``7d``; a year and more for None."""
    return OPEN_END_S if duration is None else float(duration[:-1]) * UNITS_S[duration[-1]]


@dataclass(frozen=True, slots=True)
class MarketNow:
    """The instrument as the venue declares it, and the best bid and ask in ticks."""

    instrument: Any
    touch: tuple[int, int]

    @property
    def mid(self) -> float:
        """The mid in collateral units."""
        return sum(self.touch) * float(self.instrument.price_increment) / 2


def look_at_market(url: str, coin: str) -> MarketNow:
    """
    Ask the venue for a market before anything is started.

    Raises
    ------
    SourceUnavailableError
        If the venue does not answer within seconds.
    InputError
        If the market is not there, delisted, or has no two-sided book.

    """

    async def ask() -> MarketNow:
        client = VenueClient(url, timeout_s=3.0, retries=1, deadline_s=4.0)
        provider = HyperliquidInstrumentProvider(client, InstrumentProviderConfig(load_all=True))
        provider.want(split_coin(coin)[0], (coin,))
        await provider.load_all_async()
        instrument = provider.find_coin(coin)
        if instrument is None or instrument.info.get("is_delisted"):
            state = "not listed" if instrument is None else "delisted"
            raise InputError(f"{coin} is {state} at {url}", "market.coin", "a market that trades")
        book = await client.l2_book(coin)
        if not book.bids or not book.asks:
            raise InputError(f"the book of {coin} at {url} is empty on a side", "market.coin")
        tick = instrument.price_increment.as_decimal()
        return MarketNow(instrument, (int(book.bids[0].price / tick), int(book.asks[0].price / tick)))

    try:
        return asyncio.run(ask())
    except (HyperliquidError, LookupError) as error:
        raise SourceUnavailableError(f"{url}: {error}") from error


def strategy_config(config: RunConfig, instrument: Any) -> MarketMakerConfig:
    """Return the strategy's configuration; fees and leverage are the instrument's, as the venue declares them."""
    quoting: QuotingConfig = build(config.strategy.quoting)
    info = instrument.info
    maker_fee = max(0.0, float(instrument.maker_fee))
    quoted = instrument.id
    return MarketMakerConfig(
        log_events=False,
        log_commands=False,
        log_rejected_due_post_only_as_warning=False,
        instrument_id=quoted,
        external_order_claims=[quoted],
        quoting=replace(quoting, spread=replace(quoting.spread, maker_fee_bps=maker_fee * 1e4)),
        budget=build(config.strategy.budget),
        risk=build(config.strategy.risk),
        flatten=build(config.strategy.flatten),
        risk_session=config.strategy.risk_session,
        leverage=config.account.leverage,
        max_leverage=float(info.get("max_leverage", config.market.max_leverage)),
        growth_mode=bool(info.get("growth_mode", config.market.growth_mode)),
        cycle_ms=config.strategy.cycle_ms,
        max_order_events=config.strategy.max_order_events,
        # the venue's book shows our own orders
        net_own_orders=True,
        book_source="deltas",
        session_seconds_a_year=YEAR_S,
        order_id_tag="000",
    )


def node_config(config: RunConfig, endpoint: Endpoint, state_dir: Path, log_dir: Path) -> TradingNodeConfig:
    """Return the node's configuration for an account at a venue."""
    coin = config.market.coin
    provider = InstrumentProviderConfig(load_all=True)
    data = HyperliquidDataClientConfig(
        url=endpoint.url,
        ws_url=endpoint.ws_url,
        dex=split_coin(coin)[0],
        coins=(coin,),
        instrument_provider=provider,
    )
    execution = HyperliquidExecClientConfig(
        url=endpoint.url,
        ws_url=endpoint.ws_url,
        dex=split_coin(coin)[0],
        coins=(coin,),
        user=endpoint.user,
        key_source="environment",
        key_variable=KEY_VARIABLE,
        # the loopback venue's account signs for itself
        require_agent=False,
        state_dir=str(state_dir),
        leverage=int(config.account.leverage),
        margin_mode="cross" if config.account.margin_mode.value == "cross" else "isolated",
        buy_weight=bool(build(config.strategy.budget).buy_weight),
        instrument_provider=provider,
    )
    return TradingNodeConfig(
        trader_id=TraderId("AMM500-001"),
        logging=LoggingConfig(
            log_level=config.live.log_level,
            log_level_file="INFO",
            log_directory=str(log_dir),
            log_file_name="node",
            log_colors=False,
        ),
        risk_engine=LiveRiskEngineConfig(max_order_submit_rate=ORDER_RATE, max_order_modify_rate=ORDER_RATE),
        exec_engine=LiveExecEngineConfig(
            reconciliation=True,
            reconciliation_startup_delay_secs=1.0,
            open_check_interval_secs=10.0,
            open_check_open_only=True,
            position_check_interval_secs=30.0,
            inflight_check_interval_ms=2_000,
            purge_closed_orders_interval_mins=10,
            purge_closed_orders_buffer_mins=60,
            graceful_shutdown_on_exception=True,
        ),
        data_clients={VENUE: data},
        exec_clients={VENUE: execution},
        timeout_connection=30.0,
        timeout_reconciliation=15.0,
        timeout_portfolio=15.0,
        timeout_disconnection=10.0,
        timeout_post_stop=1.0,
    )


class LiveRun:
    """
    One run of a node: built, watched, wound down, reported.

    Parameters
    ----------
    config : RunConfig
        The run file.
    endpoint : Endpoint
        Where to trade.
    market : MarketNow
        What is quoted, as the venue declares it now.
    directory : RunDirectory
        Where the files go.
    progress : Progress
        What shows how it goes.

    """

    def __init__(
        self,
        config: RunConfig,
        endpoint: Endpoint,
        market: MarketNow,
        directory: RunDirectory,
        progress: Progress,
    ) -> None:
        self._config = config
        self._endpoint = endpoint
        self._market = market
        self._directory = directory
        self._progress = progress
        self._quoted = market.instrument.id
        self._began_ns = time.time_ns()
        self.is_halted = False
        self.notes: list[str] = []

    def run(self) -> ReportContext:
        """
        Run until the duration is over or the process is told to stop, and return what the summary needs.

        Raises
        ------
        SourceUnavailableError
            If the venue cannot be reached, or the node does not come up.

        """
        config, out = self._config, self._directory.path
        state_dir, log_dir = out / "state", out / "log"
        state_dir.mkdir(mode=0o700)
        os.environ[KEY_VARIABLE] = self._endpoint.key
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        node = TradingNode(config=node_config(config, self._endpoint, state_dir, log_dir), loop=loop)
        try:
            node.add_data_client_factory(VENUE, HyperliquidLiveDataClientFactory)
            node.add_exec_client_factory(VENUE, HyperliquidLiveExecClientFactory)
            node.build()
            return loop.run_until_complete(self._life(node))
        finally:
            os.environ.pop(KEY_VARIABLE, None)
            _dispose(node, loop)

    async def _life(self, node: TradingNode) -> ReportContext:
        progress, clock = self._progress, node.kernel.clock
        start_ns = clock.timestamp_ns()
        instrument = self._market.instrument
        books = LiveBooks(instrument, node.kernel.msgbus, clock.timestamp_ns, self._market.touch)
        maker = MarketMaker(strategy_config(self._config, instrument))
        recorder = self._recorder(node, books, maker, start_ns)
        node.trader.add_strategy(maker)
        running = asyncio.get_running_loop().create_task(node.run_async())
        try:
            await _until(lambda: node.trader.is_running or running.done(), START_S)
            if running.done() or not node.trader.is_running:
                raise SourceUnavailableError(
                    f"the node did not come up at {self._endpoint.url}; {self._directory.path / 'log'} says why"
                )
            books.begin(node.cache.positions_open(instrument_id=self._quoted))
            self._announce(node)
            began = time.monotonic()
            await self._watch(running, maker, books)
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
            return self._context(start_ns, end_ns, engine_s, maker.decisions)
        finally:
            await node.stop_async()
            await asyncio.wait({running}, timeout=WIND_DOWN_S)

    def _recorder(
        self, node: TradingNode, books: LiveBooks, maker: MarketMaker, start_ns: int
    ) -> RunRecorder:
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
        books.bind(recorder)
        return recorder

    def _announce(self, node: TradingNode) -> None:
        instrument = self._market.instrument
        info, account = instrument.info, node.cache.account_for_venue(self._quoted.venue)
        state = {} if account is None or account.last_event is None else account.last_event.info
        duration = self._config.live.duration
        self._progress.say(
            f"{self._config.mode}: {info['coin']} at {self._market.mid:g}, collateral {info['collateral']}, "
            f"account {self._endpoint.user}, equity {state.get('equity', 'unknown')}, leverage {state.get('leverage', '?')}, "
            f"maker fee {float(instrument.maker_fee):.4%}, ends {'when stopped' if duration is None else 'after ' + duration}"
        )

    async def _watch(self, running: "asyncio.Task[Any]", maker: MarketMaker, books: LiveBooks) -> None:
        """Keep the minutes until the time is over or the node is told to stop."""
        total = seconds_of(self._config.live.duration)
        began = said = time.monotonic()
        while not running.done():
            now = time.monotonic()
            if now - began >= total:
                return
            books.on_time()
            self._progress(min(1.0, (now - began) / total), "quoting")
            if now - said >= STATUS_S:
                said = now
                self._progress.say(status_line(maker, books))
            await asyncio.sleep(STEP_S)

    async def _wind_down(self, node: TradingNode, maker: MarketMaker, books: LiveBooks) -> None:
        """Stop quoting, see every order gone, and close the position where the run file says so."""
        maker.wind_down()
        await _until(lambda: not node.cache.orders_open(instrument_id=self._quoted), WIND_DOWN_S)
        if self._config.live.on_end == "flatten" and books.position and not self.is_halted:
            maker.close_all_positions(self._quoted, reduce_only=True)
            await _until(lambda: not books.position, WIND_DOWN_S)
        # the venue's own figure is compared with ours only when it knows of the last fill
        await _until(lambda: books.is_reported, REPORT_S)
        if books.position:
            self.notes.append(f"a position of {books.position} is held at the end")
            self._progress.say(self.notes[-1])

    def _context(self, start_ns: int, end_ns: int, engine_s: float, decisions: int) -> ReportContext:
        config, info = self._config, self._market.instrument.info
        budget, report = build(config.strategy.budget), config.report
        source = f"loopback venue, {config.live.flow} market"
        rules = self._endpoint.unsourced_rules
        return ReportContext(
            name=config.name,
            source=source,
            simulated=True,
            bars_simulated=True,
            market=config.market.coin,
            collateral=info["collateral"],
            start_ns=start_ns,
            end_ns=end_ns,
            mode=config.mode,
            description=f"a local run against the {source}, seed {config.seed}",
            defaults=(
                f"the venue is simulated on this machine; {rules} of its rules have no source",
                *self.notes,
            ),
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


def status_line(maker: MarketMaker, books: LiveBooks) -> str:
    """Return how the run is, in a line."""
    verdict = maker.guard.verdict
    state = "starting" if verdict is None else verdict.state.value.lower()
    why = "" if verdict is None or not verdict.reasons else f" ({', '.join(verdict.reasons)})"
    return (
        f"{state}{why}: equity {books.equity:.2f}, position {books.position}, {books.fills} fills, "
        f"{maker.budget.sent:,} actions sent, {maker.budget.remaining:,.0f} left"
    )


async def _until(condition: Callable[[], Any], seconds: float) -> bool:
    """Wait for a condition; False when the time is over first."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def _dispose(node: TradingNode, loop: asyncio.AbstractEventLoop) -> None:
    tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    node.dispose()
    if not loop.is_closed():
        loop.close()
    asyncio.set_event_loop(None)


def run(config: RunConfig, *, out: Path | None = None, progress: Progress | None = None) -> LiveResult:
    """
    Run a file of mode ``local`` and return its run directory and summary.

    Raises
    ------
    InputError
        If the file is for a backtest, or its ladder cannot be quoted at the venue's price.
    SourceUnavailableError
        If the venue cannot be reached.

    """
    progress = progress or Progress(quiet=True)
    if config.mode == "backtest":
        raise InputError("backtest", f"{config.name}: mode", "local; run_backtest.py runs backtests")
    dex, _ = split_coin(config.market.coin)
    process = LoopbackProcess(
        flow=config.live.flow,
        equity=str(config.account.equity),
        seed=config.seed,
        dex=dex,
        coin=config.market.coin,
        block_ms=config.live.block_ms,
    )
    with process:
        endpoint = process.endpoint()
        market = look_at_market(endpoint.url, config.market.coin)
        tick, lot = market.instrument.price_increment, market.instrument.size_increment
        shape = MarketShape(tick=float(tick), lot=float(lot))
        check_ladder(config, shape, market.mid, max_leverage=float(market.instrument.info["max_leverage"]))
        directory = RunDirectory.named(config.name, out)
        directory.write_config(config)
        live = LiveRun(config, endpoint, market, directory, progress)
        context = live.run()
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
