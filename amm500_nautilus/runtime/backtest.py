"""Run a backtest from a configuration: data, engine, strategy, simulated exchange, recorder, report."""

import argparse
import gc
import resource
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.engine import BacktestEngineConfig
from nautilus_trader.config import CacheConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import RiskEngineConfig
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId

from amm500_catalog.errors import InputError
from amm500_catalog.spec import Dataset
from amm500_catalog.spec import MarketSpec
from amm500_nautilus.config import MarketMakerConfig
from amm500_nautilus.forecast.live import VolatilityForecast
from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.fees import FeeSchedule
from amm500_nautilus.margin.fees import hip3_rates
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.engine import QuoteEngine
from amm500_nautilus.quoting.skew import exposure_limit
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.report.columns import timestamp_text
from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.summary import write_summary
from amm500_nautilus.report.tearsheet import write_tearsheet
from amm500_nautilus.report.terminal import print_summary
from amm500_nautilus.report.types import ReportContext
from amm500_nautilus.report.words import halt_line
from amm500_nautilus.research.shock import under_shock
from amm500_nautilus.research.stress import shock_of
from amm500_nautilus.risk.check import FullLadder
from amm500_nautilus.risk.engine import RiskEngine
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.data import prepare
from amm500_nautilus.runtime.data import reference_id
from amm500_nautilus.runtime.data import resolve_market
from amm500_nautilus.runtime.data import under_scenario
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import HALTED
from amm500_nautilus.runtime.exits import guarded
from amm500_nautilus.runtime.facts import budget_facts
from amm500_nautilus.runtime.facts import target_levels
from amm500_nautilus.runtime.forecast.use import attach_forecast
from amm500_nautilus.runtime.forecast.use import forecast_report
from amm500_nautilus.runtime.forecast.use import forecast_words
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.recording import RecordingListener
from amm500_nautilus.runtime.rundir import RunDirectory
from amm500_nautilus.runtime.rundir import place_of
from amm500_nautilus.runtime.rundir import require_free
from amm500_nautilus.runtime.sessions import session_spans
from amm500_nautilus.runtime.trading_hours import TRADING_DAYS
from amm500_nautilus.simulation.config import FundingConfig
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.engine_care import keep_engine_flat
from amm500_nautilus.simulation.engine_care import use_one_heap
from amm500_nautilus.simulation.rules import VenueRules
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue
from amm500_nautilus.strategy import MarketMaker
from hyperliquid_hip3.instruments import declared_modes
from hyperliquid_hip3.instruments import declared_table
from hyperliquid_hip3.instruments import make_instrument


NS = 1_000_000_000
# far more than a ladder sends; the engine keeps as many times of sending as it would let pass
ORDER_RATE = "10000/00:00:01"
Watch = Callable[[int, float], None]


@dataclass(slots=True)
class BacktestResult:
    """A finished run: where its files are, and its summary."""

    run_dir: Path
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EngineRun:
    """How long the engine took, how much it was fed, what the venue had to assume, and what the summary says beside."""

    seconds: float
    events: int
    assumptions: tuple[str, ...]
    extra: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Rig:
    """An engine with its exchange and strategy, before there is a place for what they leave."""

    engine: BacktestEngine
    listener: RecordingListener
    venue: SimulatedVenue
    maker: MarketMaker
    forecast: VolatilityForecast | None


def fee_rates(config: RunConfig, market: MarketSpec) -> FeeRates:
    """Return the maker and taker rates the market's flags give; only builder dexes have a deployer's share and growth mode."""
    on_builder_dex = bool(market.dex)
    return hip3_rates(
        FeeSchedule(
            growth_mode=market.growth_mode and on_builder_dex,
            deployer_fee_scale=Decimal(str(market.deployer_fee_scale)) if on_builder_dex else Decimal(0),
            referral_discount=Decimal(str(config.venue.referral_discount)),
        )
    )


def venue_config(config: RunConfig, dataset: Dataset, market: MarketSpec) -> VenueConfig:
    """Return the simulated exchange's configuration."""
    funding = FundingConfig(enabled=config.venue.funding)
    if config.market.funding_rate is not None:
        funding = replace(funding, default_rate=Decimal(str(config.market.funding_rate)))
    modes = declared_modes(dataset.instrument.info)
    if config.account.margin_mode not in modes:
        allowed = ", ".join(mode.value for mode in modes)
        raise InputError(
            f"{config.account.margin_mode.value}; {market.coin} allows {allowed}",
            f"{config.name}: account.margin_mode",
        )
    for move in config.account.transfers:
        if not dataset.info.start_ns <= move.ts_ns <= dataset.info.end_ns:
            span = " to ".join(timestamp_text(ts) for ts in (dataset.info.start_ns, dataset.info.end_ns))
            raise InputError(
                f"{timestamp_text(move.ts_ns)} is outside the data",
                f"{config.name}: account.transfers.at",
                span,
            )
    rules: VenueRules = build(config.venue.rules)
    if market.coin != MarketSpec().coin:
        # the asset's number is quoted in refusals; only the default market's is known without asking the venue
        rules = replace(rules, asset=None)
    return VenueConfig(
        starting_equity=config.account.equity,
        collateral=market.collateral,
        dex=market.dex,
        leverage=Decimal(str(config.account.leverage)),
        max_leverage=market.max_leverage,
        margin_table=declared_table(dataset.instrument.info),
        margin_mode=config.account.margin_mode,
        allows_cross=MarginMode.CROSS in modes,
        collateral_price=tuple((point.ts_ns, point.price) for point in config.account.collateral_points()),
        transfers=tuple((move.ts_ns, move.amount) for move in config.account.transfers),
        action_limits=config.venue.action_limits,
        initial_actions=int(build(config.strategy.budget).initial_actions),
        growth_mode=market.growth_mode and bool(market.dex),
        rates=fee_rates(config, market),
        latency=build(config.venue.latency),
        fill=build(config.venue.fill),
        rules=rules,
        funding=funding,
        sessions=dataset.info.sessions,
    )


def with_outages(venue: VenueConfig, dataset: Dataset) -> VenueConfig:
    """Return the venue with the outages of the dataset's stress scenario."""
    shock = shock_of(dataset.info.params)
    return venue if shock is None else replace(venue, outages=shock.outages)


def strategy_config(config: RunConfig, dataset: Dataset, market: MarketSpec) -> MarketMakerConfig:
    """Return the strategy's configuration for a dataset."""
    streams = dataset.info.streams
    day_seconds, per_year = TRADING_DAYS[dataset.info.params.get("hours", "always")]
    reference = config.strategy.reference
    quoting: QuotingConfig = build(config.strategy.quoting)
    # "never inside fees" means the fees of this market
    fee_bps = max(0.0, float(fee_rates(config, market).maker) * 1e4)
    return MarketMakerConfig(
        # the recorder keeps every event; the engine would format each one even for a log that is switched off
        log_events=False,
        log_commands=False,
        log_rejected_due_post_only_as_warning=False,
        instrument_id=InstrumentId.from_str(dataset.info.instrument_id),
        quoting=replace(quoting, spread=replace(quoting.spread, maker_fee_bps=fee_bps)),
        budget=build(config.strategy.budget),
        risk=build(config.strategy.risk),
        flatten=build(config.strategy.flatten),
        risk_session=config.strategy.risk_session,
        max_leverage=float(market.max_leverage),
        reference_id=InstrumentId.from_str(reference_id(reference)) if reference else None,
        book_source="deltas" if "OrderBookDelta" in streams else "depth",
        leverage=config.account.leverage,
        growth_mode=market.growth_mode and bool(market.dex),
        cycle_ms=config.strategy.cycle_ms,
        max_order_events=config.strategy.max_order_events,
        sessions=session_spans(dataset.info.sessions),
        session_seconds_a_year=day_seconds * per_year,
        order_id_tag="000",
    )


def check_ladder(
    config: RunConfig, shape: MarketShape, price: float, *, max_leverage: float | None = None
) -> None:
    """
    Refuse a configuration whose ladder cannot be quoted with this account at this price, or would trip its own switches.

    Raises
    ------
    InputError
        With what is wrong and the smallest account or size that would work.

    """
    if price < shape.tick:
        raise InputError(
            f"a price of {price:g} is under the tick of {shape.tick:g}", f"{config.name}: market"
        )
    engine = QuoteEngine(shape, build(config.strategy.quoting))
    equity, leverage = float(config.account.equity), config.account.leverage
    problems = engine.check(equity, leverage, price)
    if problems:
        raise InputError("; ".join(problems), f"{config.name}: strategy.quoting")
    quoting = engine.config
    limit = exposure_limit(equity, leverage, basis=quoting.basis, max_exposure=quoting.max_exposure)
    ticks = round(price / shape.tick)
    plan = engine.first_ladder(equity, leverage, ticks, ticks + 1)
    sides = [sum(level.lots * level.price_ticks for level in side) for side in (plan.bids, plan.asks)]
    risk = RiskEngine(build(config.strategy.risk), leverage=leverage, lot=shape.lot)
    problems = risk.check_config(
        FullLadder(
            equity=equity,
            leverage=leverage,
            max_leverage=max_leverage or float(config.market.spec().max_leverage),
            exposure_limit=limit,
            one_sided=quoting.rebalance.one_sided,
            side_value=max(sides) * shape.tick_lot_value,
            price=price,
            lot=shape.lot,
        )
    )
    if problems:
        raise InputError("; ".join(problems), f"{config.name}: strategy.risk")


def market_shape(config: RunConfig, price: float) -> MarketShape:
    """Return the instrument's tick and lot at a price level, by the venue's precision rules."""
    instrument = make_instrument(config.market.spec(), price, 0)
    return MarketShape(tick=float(instrument.price_increment), lot=float(instrument.size_increment))


def make_engine() -> BacktestEngine:
    """Return a bare engine: no logging, no order throttle, no end-of-run statistics of its own."""
    use_one_heap()
    return BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("AMM500-001"),
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(max_order_submit_rate=ORDER_RATE, max_order_modify_rate=ORDER_RATE),
            cache=CacheConfig(tick_capacity=2, bar_capacity=2),
            run_analysis=False,
        ),
    )


def run(
    config: RunConfig,
    *,
    out: Path | None = None,
    progress: Progress | None = None,
    prepared: Dataset | None = None,
    watch: Watch | None = None,
) -> BacktestResult:
    """
    Run a backtest and return its run directory and summary.

    ``prepared`` is the dataset when the caller has made it already; by default the run file's. ``watch`` is told the time in ns and
    the equity after each batch of data; what it raises ends the run, which then keeps its unfinished name.

    Raises
    ------
    InputError
        When the configuration or the data cannot be used; nothing is left behind.

    """
    progress = progress or Progress(quiet=True)
    if config.mode != "backtest":
        raise InputError(config.mode, f"{config.name}: mode", "backtest; run_live.py runs the others")
    began = time.perf_counter()
    config = under_scenario(config)
    require_free(place_of(config.name, out))
    if config.market.price is not None:
        # before the data is fetched or simulated: a ladder that cannot be quoted is refused in a second
        check_ladder(config, market_shape(config, config.market.price), config.market.price)
    dataset = under_shock(prepared or prepare(config, progress))
    market = resolve_market(config, dataset)
    instrument = dataset.instrument
    shape = MarketShape(tick=float(instrument.price_increment), lot=float(instrument.size_increment))
    check_ladder(config, shape, first_price(dataset), max_leverage=float(market.max_leverage))
    # whatever may be refused is, before there is a directory that would be left behind
    rig = _assemble(config, dataset, market, progress)
    directory = RunDirectory.named(config.name, out)
    directory.write_config(config)
    ran = _run_engine(rig, dataset, directory.path, progress, watch)
    context = report_context(
        config,
        dataset,
        market,
        wall_seconds=time.perf_counter() - began,
        engine_seconds=ran.seconds,
        events=ran.events,
        assumptions=ran.assumptions,
        extra=ran.extra,
    )
    summary = write_summary(directory.path, context)
    if config.report.tearsheet:
        progress(0.0, "tearsheet")
        write_tearsheet(directory.path, summary)
    progress.say(f"verdict: {summary['verdict']}, result hash {summary['result_hash']}")
    directory.write_log(progress.lines)
    return BacktestResult(run_dir=directory.finish(), summary=summary)


def first_price(dataset: Dataset) -> float:
    """Return the first traded or quoted price of a dataset."""
    for batch in dataset.batches():
        for item in batch:
            price = getattr(item, "price", None) or getattr(item, "bid_price", None)
            if price is not None:
                return float(price)
    raise InputError("holds no trade and no quote", dataset.info.name, "data with prices")


def _assemble(config: RunConfig, dataset: Dataset, market: MarketSpec, progress: Progress) -> _Rig:
    engine = make_engine()
    listener = RecordingListener()
    venue = add_simulated_venue(
        engine,
        instrument=dataset.instrument,
        config=with_outages(venue_config(config, dataset, market), dataset),
        seed=config.seed,
        listener=listener,
    )
    if config.strategy.reference is not None:
        engine.add_instrument(dataset.reference_instrument())
    maker = MarketMaker(strategy_config(config, dataset, market))
    forecast = attach_forecast(maker, config, market.coin, progress.say)
    return _Rig(engine, listener, venue, maker, forecast)


def _run_engine(
    rig: _Rig, dataset: Dataset, out: Path, progress: Progress, watch: Watch | None = None
) -> EngineRun:
    engine, listener, venue, maker = rig.engine, rig.listener, rig.venue, rig.maker
    info = dataset.info
    recorder = RunRecorder(
        out,
        dataset.instrument,
        engine.kernel.msgbus,
        engine.cache,
        account=listener.account,
        sessions=info.sessions,
        start_ns=info.start_ns,
        end_ns=info.end_ns,
        level_of=maker.level_of,
    )
    listener.bind(recorder, venue)
    keep_engine_flat(engine, venue)
    engine.add_strategy(maker)
    seen = None if watch is None else lambda ts_ns: watch(ts_ns, listener.account().equity)
    try:
        seconds, events = _feed(engine, recorder, dataset, progress, seen)
        venue.finish(info.end_ns)
        unbooked = recorder.close()
    finally:
        recorder.abandon()
    engine.dispose()
    if unbooked:
        raise RuntimeError(
            f"{len(unbooked)} fills of the engine were never booked by the ledger, first {unbooked[0]}"
        )
    words = (*venue.assumptions(), *forecast_words(rig.forecast))
    return EngineRun(seconds, events, words, forecast_report(rig.forecast))


def _feed(
    engine: BacktestEngine,
    recorder: RunRecorder,
    dataset: Dataset,
    progress: Progress,
    seen: Callable[[int], None] | None = None,
) -> tuple[float, int]:
    info = dataset.info
    span = max(1, info.end_ns - info.start_ns)
    events, spent = 0, 0.0
    gc.collect()
    gc.freeze()
    # decoded data is freed by reference counts; looking for cycles in it at every turn costs some 6 %
    gc.disable()
    try:
        for batch in dataset.batches():
            began = time.perf_counter()
            engine.add_data(batch, validate=False, sort=True)
            engine.run(streaming=True)
            engine.clear_data()
            gc.collect(1)
            spent += time.perf_counter() - began
            events += len(batch)
            progress((batch[-1].ts_init - info.start_ns) / span, "backtest")
            if seen is not None:
                seen(batch[-1].ts_init)
    finally:
        gc.enable()
        gc.unfreeze()
    # what rests when the data ends; the strategy cancels it as it stops
    recorder.snapshot_open_orders()
    engine.end()
    return spent, events


def report_context(
    config: RunConfig,
    dataset: Dataset,
    market: MarketSpec,
    *,
    wall_seconds: float,
    engine_seconds: float,
    events: int,
    assumptions: tuple[str, ...] = (),
    extra: dict[str, Any] | None = None,
) -> ReportContext:
    """Return what the summary needs beside the run's files."""
    info = dataset.info
    day_seconds, per_year = TRADING_DAYS[info.params.get("hours", "always")]
    return ReportContext(
        name=config.name,
        source=info.source,
        simulated=info.simulated,
        bars_simulated=info.bars_simulated,
        market=market.coin,
        collateral=market.collateral,
        start_ns=info.start_ns,
        end_ns=info.end_ns,
        description=info.description,
        defaults=(*info.defaults, *assumptions, *feed_assumption(config)),
        day_seconds=day_seconds,
        sessions_per_year=per_year,
        model=config.strategy.quoting.model,
        targets=target_levels(config),
        budget=budget_facts(config, growth_mode=market.growth_mode and bool(market.dex)),
        wall_seconds=wall_seconds,
        engine_seconds=engine_seconds,
        events=events,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024,
        extra={"seed": config.seed, **(extra or {})},
    )


def feed_assumption(config: RunConfig) -> tuple[str, ...]:
    """Say when market data arrives."""
    latency = config.data.feed_latency_ms
    if latency == 0:
        return ("market data arrives at once (data.feed_latency_ms is 0)",)
    return (f"market data arrives {latency} ms after the exchange's time",)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line of ``run_backtest.py``."""
    parser = argparse.ArgumentParser(
        prog="run_backtest.py", description="Run a backtest from a configuration file."
    )
    parser.add_argument("config", help="a YAML run file, for example configs/xyz100_30d.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--out", type=Path, default=None, help="the run directory (runs/<name>-<utc> by default)"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but the result")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    args = parse_args(argv)

    def job() -> int:
        config = load_config(args.config, args.overrides)
        with Progress(quiet=args.quiet) as progress:
            result = run(config, out=args.out, progress=progress)
        print_summary(result.summary, result.run_dir)
        return HALTED if halt_line(result.summary) else DONE

    return guarded(job)
