"""From a run file's data section to a dataset: find bars, scale them, simulate a book, store everything, say what was done."""

import hashlib
import json
from contextlib import closing
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.instruments import PerpetualContract

from amm500_catalog.arrow import CountError
from amm500_catalog.bars import read_bar_frame
from amm500_catalog.bars import store_bar_frame
from amm500_catalog.dataset import CatalogDataset
from amm500_catalog.dataset import meta_from_info
from amm500_catalog.dataset import open_recorded
from amm500_catalog.dataset import open_simulated
from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.simulator import SimulationResult
from amm500_catalog.simulator import SimulatorConfig
from amm500_catalog.simulator import simulate
from amm500_catalog.sources.auto import AutoSource
from amm500_catalog.sources.auto import Candidate
from amm500_catalog.sources.base import DOWNLOAD_TIMEOUT_S
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.base import FundingFrame
from amm500_catalog.sources.base import gap_intervals
from amm500_catalog.sources.base import session_spans
from amm500_catalog.sources.coverage import always_open
from amm500_catalog.sources.coverage import cash_hours
from amm500_catalog.sources.files import ColumnMap
from amm500_catalog.sources.files import read_bars
from amm500_catalog.sources.generator import GeneratorConfig
from amm500_catalog.sources.generator import GeneratorSource
from amm500_catalog.sources.hyperliquid import HyperliquidSource
from amm500_catalog.sources.info_client import InfoClient
from amm500_catalog.sources.markets import ListedMarket
from amm500_catalog.sources.recordings import import_recording
from amm500_catalog.sources.scale import level_factor
from amm500_catalog.sources.scale import scale_level
from amm500_catalog.sources.scale import scale_returns
from amm500_catalog.sources.yahoo import YahooSource
from amm500_catalog.spec import Dataset
from amm500_catalog.spec import DatasetInfo
from amm500_catalog.spec import MarketSpec
from amm500_catalog.store import CatalogStore
from amm500_nautilus.research.scenario import StressConfig
from amm500_nautilus.research.stress import Shock
from amm500_nautilus.research.stress import sentences
from amm500_nautilus.research.stress import stressed
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.record.importing import import_recorded
from amm500_nautilus.runtime.trading_hours import hours_note
from amm500_nautilus.runtime.trading_hours import hours_of
from amm500_nautilus.runtime.trading_hours import open_seconds_a_year
from hyperliquid_hip3.instruments import make_instrument


# raised when the meaning of a stored dataset changes, so that an old one is made anew
DATASET_VERSION = 1
# sources with a book of their own
BOOKS = ("hl-book", "recorded")
NS = 1_000_000_000
NS_PER_MS = 1_000_000
GENERATED = "generator"
# what a run is fed; mark prices are stored too, but the ledger marks at the book's mid
STREAMS = (FundingRateUpdate, IndexPriceUpdate, TradeTick, OrderBookDepth10, QuoteTick)


def resolve_market(config: RunConfig, dataset: Dataset) -> MarketSpec:
    """Return the facts of the market that a dataset holds: those stored with it, the run file's where it has none."""
    stated = dataset.info.params.get("market")
    if stated is not None:
        return MarketSpec(**stated)
    # a recording states nothing of growth mode or a deployer's share: those stay the run file's
    instrument = dataset.instrument
    return replace(
        config.market.spec(),
        coin=dataset.info.instrument_id.partition("-")[0],
        collateral=instrument.settlement_currency.code,
        sz_decimals=instrument.size_precision,
        max_leverage=round(1 / instrument.margin_init),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """Bars with the market they will be quoted as, and the funding history where the source has one."""

    frame: BarFrame
    spec: MarketSpec
    funding: FundingFrame | None
    notes: tuple[str, ...]


def prepare(
    config: RunConfig, progress: Progress, *, now: datetime | None = None, found: Found | None = None
) -> CatalogDataset:
    """
    Return the dataset a run file asks for, from the catalogue when it is already there.

    Bars that were ``found`` before are taken as they are; with ``stress.scenario`` the scenario is put upon them.

    Raises
    ------
    InputError
        When the data cannot be used.
    SourceUnavailableError
        When no source has it.

    """
    config = under_scenario(config)
    data = config.data
    moment = now or datetime.now(UTC)
    store = CatalogStore(data.catalog, dict(data.storage_options))
    for repair in store.repairs:
        progress.say(f"catalogue: {repair}")
    latency_ns = data.feed_latency_ms * NS_PER_MS
    if data.source in BOOKS:
        require_bars(config)
        if data.source == "recorded":
            name, result = import_recorded(store, Path(str(data.path)))
        else:
            name, result = import_recording(store, str(data.path), config.market.coin)
        progress.say(f"catalogue: {name} {'imported' if result.changed else 'was already there'}")
        if config.strategy.reference is not None:
            raise InputError(
                f"strategy.reference {config.strategy.reference!r} has no quotes",
                f"data.source {data.source}",
                "no reference",
            )
        return _clipped(config, open_recorded(store, name, feed_latency_ns=latency_ns))
    label = _stored_label(config, store, moment) if found is None else None
    if label is None:
        found = found or find_bars(config, store, progress, moment)
        hours = hours_of(config, found.frame)
        found = replace(found, notes=(*found.notes, *hours_note(config, hours)))
        found, shock = _put_under_stress(config, found)
        key = _request_key(config, moment, data.source)
        day = moment.date().isoformat()
        label = _simulate(config, store, found, key, progress, hours=hours, shock=shock, day=day)
    else:
        progress.say(f"catalogue: simulated dataset {label} is already there")
    dataset = open_simulated(store, label, classes=STREAMS, feed_latency_ns=latency_ns)
    if config.strategy.reference is not None:
        dataset = replace(dataset, reference_id=reference_id(config.strategy.reference))
    return dataset


def under_scenario(config: RunConfig) -> RunConfig:
    """Return the configuration with what a stress scenario says of it; the same one without a scenario."""
    stress: StressConfig = build(config.stress)
    rate = None if stress.scenario is None else stress.named(stress.scenario).funding_hourly
    if rate is None:
        return config
    return config.model_copy(update={"market": config.market.model_copy(update={"funding_rate": rate})})


def require_bars(config: RunConfig) -> None:
    """
    Refuse a stress scenario on a recorded book.

    Raises
    ------
    InputError
        With what could be used instead.

    """
    stress: StressConfig = build(config.stress)
    if stress.scenario is not None and config.data.source in BOOKS:
        raise InputError(
            "a recorded book cannot be put under stress",
            f"data.source {config.data.source}",
            "a source of bars, such as file",
        )


def _put_under_stress(config: RunConfig, found: Found) -> tuple[Found, Shock | None]:
    stress: StressConfig = build(config.stress)
    if stress.scenario is None:
        return found, None
    frame, shock = stressed(found.frame, stress, config.seed)
    scenario = stress.named(stress.scenario)
    # a scenario's rate holds for the whole run, whatever the exchange's history says
    funding = found.funding if scenario.funding_8h is None else None
    notes = (*found.notes, *sentences(scenario, shock, stress))
    return replace(found, frame=frame, funding=funding, notes=notes), shock


def reference_id(coin: str) -> str:
    """Return the Nautilus id of the reference market's coin."""
    return f"{coin}-USD-PERP.HYPERLIQUID"


def _clipped(config: RunConfig, dataset: CatalogDataset) -> CatalogDataset:
    """Return a recording cut to ``data.start`` and ``data.end``."""
    start, end = config.data.start_ns, config.data.end_ns
    info = dataset.info
    low, high = max(info.start_ns, start or 0), min(info.end_ns, end or info.end_ns)
    if high <= low:
        raise InputError(
            "has nothing between data.start and data.end", info.name, "a span inside the recording"
        )
    sessions = tuple((max(a, low), min(b, high)) for a, b in info.sessions if a < high and b > low)
    return replace(dataset, info=replace(info, start_ns=low, end_ns=high, sessions=sessions))


def simulator_config(config: RunConfig) -> SimulatorConfig:
    """Return the simulator's parameters with the market section's volume and funding where they are given."""
    simulator: SimulatorConfig = build(config.simulator)
    market = config.market
    if market.daily_volume is not None:
        simulator = replace(simulator, daily_volume=market.daily_volume)
    if market.funding_rate is not None:
        simulator = replace(simulator, funding_rate_hourly=market.funding_rate)
    return simulator


def _digest(*parts: Any) -> str:
    text = json.dumps([DATASET_VERSION, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _content(frame: BarFrame) -> str:
    """Return a digest of the bars themselves."""
    rows = pd.util.hash_pandas_object(frame.bars, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()


def _request_key(config: RunConfig, now: datetime, source: str) -> str:
    """Return a key of everything that decides the dataset but the bars found."""
    if source == "file":
        # what the file has of it, whatever the day
        start, end = config.data.start_ns or 0, config.data.end_ns or 0
    else:
        start, end = config.data.span(now)
    data = config.data.model_dump(
        include={"path", "symbol", "interval", "sessions", "target_volatility", "columns", "timezone", "url"}
    )
    return _digest(
        "request",
        source,
        config.seed,
        config.market.model_dump(mode="json"),
        data,
        config.simulator.model_dump(mode="json"),
        config.generator.model_dump(mode="json"),
        start,
        end,
        # nothing where there is no scenario: what is stored without one keeps its key
        *([] if config.stress.scenario is None else [config.stress.model_dump(mode="json")]),
    )


def _stored_label(config: RunConfig, store: CatalogStore, now: datetime) -> str | None:
    """
    Return a dataset that an equal request made before; bars of a file are looked at again each time.

    Bars that ``auto`` generated because no source had any stand in for the rest of that day; then the sources are asked again.
    """
    source = config.data.source
    made_by = {
        "auto": ("auto",),
        "generator": ("generator",),
        "catalog": ("catalog", "auto", "hyperliquid", "yfinance"),
    }
    keys = {_request_key(config, now, name) for name in made_by.get(source, ())}
    stand_in = None
    for label in store.labels() if keys else ():
        meta = store.meta(label)
        if meta is None or meta.get("request_key") not in keys:
            continue
        if source == "generator" or not meta.get("bars_simulated"):
            return label
        if source == "auto" and meta.get("made_day") == now.date().isoformat():
            stand_in = label
    return stand_in


# -- bars ---------------------------------------------------------------------------------------------------------


def find_bars(config: RunConfig, store: CatalogStore, progress: Progress, now: datetime) -> Found:
    """Return the bars of the asked source, at the market's price level."""
    data = config.data
    if data.source == "file":
        found = _from_file(config)
        store_bar_frame(store, found.frame)
        return _scaled(config, found)
    start, end = data.span(now)
    request = BarRequest(symbol=data.symbol, interval=data.interval, start_ns=start, end_ns=end)
    if data.source == "hyperliquid":
        found = _from_exchange(config, request, progress)
    elif data.source == "yfinance":
        found = _plain(config, YahooSource().fetch(request))
    elif data.source == "generator":
        found = _plain(config, _generator(config).fetch(request))
    elif data.source == "catalog":
        found = _plain(config, read_bar_frame(store, request))
    else:
        found = _from_auto(config, store, request, progress)
    if found.frame.source != GENERATED:
        store_bar_frame(store, found.frame)
    return _scaled(config, found)


def _plain(config: RunConfig, frame: BarFrame, *notes: str) -> Found:
    return Found(frame, config.market.spec(), None, notes)


def _from_file(config: RunConfig) -> Found:
    data = config.data
    unknown = set(data.columns) - {"time", "time_is", "unit", "open", "high", "low", "close", "volume"}
    if unknown:
        raise InputError(
            f"unknown column role {min(unknown)!r}",
            "data.columns",
            "time, time_is, unit, open, high, low, close, volume",
        )
    columns = ColumnMap(timezone=data.timezone, **data.columns)  # type: ignore[arg-type]
    frame = read_bars(str(data.path), columns=columns, duplicates=data.duplicates)
    # two files of one name must not be taken for one market
    frame = replace(frame, symbol=f"{frame.symbol}-{_content(frame)[:8]}")
    start, end = data.start_ns, data.end_ns
    if start is not None or end is not None:
        low, high = start or 0, end or 2**63 - 1
        sessions = tuple((max(a, low), min(b, high)) for a, b in frame.sessions if a < high and b > low)
        opens = frame.bars["ts_open_ns"]
        bars = frame.bars[(opens >= low) & (opens < high)].reset_index(drop=True)
        if bars.empty:
            raise InputError(
                "has no bar between data.start and data.end", str(data.path), "a span the file covers"
            )
        frame = replace(frame, bars=bars, sessions=sessions)
    return _plain(config, frame)


def _from_exchange(config: RunConfig, request: BarRequest, progress: Progress) -> Found:
    with closing(HyperliquidSource(InfoClient(config.data.url))) as source:
        market = source.fetch_market(config.market.candidates)
        progress.say(f"hyperliquid: {market.sentence}")
        frame = _in_hours(config, source.fetch(replace(request, symbol=market.spec.coin)))
        funding, notes = _funding(source, market.spec.coin, frame, DOWNLOAD_TIMEOUT_S)
    return Found(frame, market.spec, funding, (market.sentence, *market.notes, *notes))


def _in_hours(config: RunConfig, frame: BarFrame) -> BarFrame:
    """Return the bars inside the cash sessions when the run file asks for the index's hours."""
    if config.data.sessions == "always":
        return frame
    spans = cash_hours(frame.sessions[0][0], frame.sessions[-1][1])
    opens, closes = frame.bars["ts_open_ns"], frame.bars["ts_close_ns"]
    inside = np.zeros(len(frame.bars), dtype=bool)
    for start, end in spans:
        inside |= ((opens >= start) & (closes <= end)).to_numpy()
    bars = frame.bars[inside].reset_index(drop=True)
    if bars.empty:
        raise SourceUnavailableError("no bar lies in the index's cash hours")
    sessions = session_spans(bars, frame.interval_s, gap_intervals=gap_intervals(frame.interval_s))
    return replace(
        frame, bars=bars, sessions=sessions, notes=(*frame.notes, "bars outside the cash hours left out")
    )


def _funding(
    source: HyperliquidSource, coin: str, frame: BarFrame, timeout_s: float
) -> tuple[FundingFrame | None, tuple[str, ...]]:
    try:
        funding = source.fetch_funding(coin, frame.sessions[0][0], frame.sessions[-1][1], timeout_s)
    except SourceUnavailableError as error:
        return None, (f"funding history is not there ({error}); the explicit rate stands in",)
    return funding, ()


def _generator(config: RunConfig) -> GeneratorSource:
    generator: GeneratorConfig = build(config.generator)
    hours = config.data.sessions
    return GeneratorSource(replace(generator, seed=config.seed, hours=hours))


def _from_auto(config: RunConfig, store: CatalogStore, request: BarRequest, progress: Progress) -> Found:
    listed: list[ListedMarket] = []
    source = HyperliquidSource(InfoClient(config.data.url))

    def exchange(asked: BarRequest) -> BarFrame:
        market = source.fetch_market(config.market.candidates, asked.timeout_s)
        listed.append(market)
        return _in_hours(config, source.fetch(replace(asked, symbol=market.spec.coin)))

    expected = cash_hours if config.data.sessions == "index" else always_open
    candidates = (
        Candidate("catalogue", request.symbol, lambda asked: read_bar_frame(store, asked), expected=expected),
        Candidate(
            "hyperliquid",
            " or ".join(config.market.candidates),
            exchange,
            is_download=True,
            expected=expected,
        ),
        Candidate("yfinance", request.symbol, YahooSource().fetch, is_download=True, expected=expected),
        Candidate(GENERATED, request.symbol, _generator(config).fetch, expected=expected, must_cover=False),
    )
    with closing(source):
        result = AutoSource(candidates, say=progress.say).resolve(request)
        if result.used != "hyperliquid":
            return _plain(config, result.frame, *result.lines)
        market = listed[-1]
        funding, notes = _funding(source, market.spec.coin, result.frame, max(1.0, result.download_left_s))
    return Found(result.frame, market.spec, funding, (*result.lines, market.sentence, *notes))


def _scaled(config: RunConfig, found: Found) -> Found:
    frame, notes = found.frame, list(found.notes)
    target = config.data.target_volatility
    if target is not None:
        frame, scaling = scale_returns(frame, target, open_seconds_a_year(hours_of(config, frame)))
        notes.append(f"returns scaled from {scaling.measured:.1%} to {scaling.target:.1%} annual volatility")
    price = config.market.price
    if price is not None and frame.source != "hyperliquid":
        first = float(frame.bars["open"].iloc[0])
        factor = level_factor(first, price)
        frame = scale_level(frame, factor)
    if frame.source != "hyperliquid":
        frame = _volume_of_ours(config, frame, notes)
    return replace(found, frame=frame, notes=(*notes, *frame.notes))


def _volume_of_ours(config: RunConfig, frame: BarFrame, notes: list[str]) -> BarFrame:
    """Return the bars with the source's volume scaled to our market's pace: its contracts are not ours, its shape is."""
    notional = (
        float((frame.bars["volume"].fillna(0.0) * frame.bars["close"]).sum())
        if "volume" in frame.bars
        else 0.0
    )
    if notional <= 0:
        return frame
    open_days = sum(end - start for start, end in frame.sessions) / (86_400 * NS)
    factor = simulator_config(config).daily_volume * open_days / notional
    notes.append(f"volumes of the source times {factor:.4g}: its shape at our market's daily volume")
    return replace(frame, bars=frame.bars.assign(volume=frame.bars["volume"] * factor))


# -- the simulated dataset ----------------------------------------------------------------------------------------


def _simulated(
    config: RunConfig,
    found: Found,
    simulator: SimulatorConfig,
    shock: Shock | None,
    folder: str,
    progress: Progress,
) -> SimulationResult:
    frame = found.frame
    try:
        return simulate(
            frame.bars,
            frame.sessions if shock is None else shock.cut(frame.sessions),
            found.spec,
            simulator,
            config.seed,
            folder,
            lambda done, total: progress(done / total, "simulating the market"),
            funding=None if found.funding is None else _funding_columns(found.funding),
        )
    except CountError as error:
        raise InputError(
            f"these prices cannot be simulated: {error}",
            "market.price or the bars",
            "prices of at least a few ticks, whose changes leave them above zero",
        ) from error


def _simulate(
    config: RunConfig,
    store: CatalogStore,
    found: Found,
    request_key: str,
    progress: Progress,
    *,
    hours: str,
    shock: Shock | None,
    day: str,
) -> str:
    simulator = simulator_config(config)
    frame = found.frame
    # bars that keep the hours they were said to keep have the name they always had
    other_hours = [] if hours == config.data.sessions else [hours]
    digest = _digest(
        "dataset", _content(frame), simulator.params(), config.seed, found.spec, request_key, *other_hours
    )
    label = f"{found.spec.coin.replace(':', '.')}-{frame.source}-{digest}"
    if store.meta(label) is not None:
        progress.say(f"catalogue: simulated dataset {label} is already there")
        return label
    with store.stage(label) as staged:
        if store.meta(label) is not None:
            return label
        price = float(frame.bars["close"].median())
        for instrument in _instruments(found.spec, simulator, price, frame.sessions[0][0]):
            staged.catalog.write_data([instrument])
        result = _simulated(config, found, simulator, shock, str(staged.folder), progress)
        info = DatasetInfo(
            name=label,
            catalog=store.url,
            instrument_id=found.spec.instrument_id,
            source=frame.source,
            simulated=True,
            bars_simulated=frame.source == GENERATED,
            start_ns=frame.sessions[0][0],
            end_ns=frame.sessions[-1][1],
            sessions=frame.sessions,
            streams=tuple(result.rows),
            description=_description(frame, found.spec),
            defaults=(*result.defaults, *found.notes),
            params=result.params
            | {"market": asdict(found.spec), "hours": hours}
            | ({} if shock is None else {"stress": asdict(shock)}),
        )
        own = {"request_key": request_key, "rows": result.rows, "made_day": day}
        staged.publish(meta_from_info(info) | own)
    return label


def _instruments(
    spec: MarketSpec, simulator: SimulatorConfig, price: float, ts_ns: int
) -> list[PerpetualContract]:
    """Return the definitions of the simulated market and, where there is one, of its twin."""
    instruments = [make_instrument(spec, price, ts_ns)]
    twin = simulator.twin
    if twin is not None:
        coin = twin.instrument_id.partition("-")[0]
        facts = replace(spec, coin=coin, sz_decimals=twin.size_decimals)
        instruments.append(make_instrument(facts, price * twin.price_scale, ts_ns))
    return instruments


def _funding_columns(funding: FundingFrame) -> tuple[Any, Any]:
    return funding.rates["ts_ns"].to_numpy(), funding.rates["rate"].to_numpy()


def _description(frame: BarFrame, spec: MarketSpec) -> str:
    kind = "generated" if frame.source == GENERATED else "real"
    return (
        f"book and trades of {spec.coin} simulated along {len(frame.bars):,} {kind} bars of {frame.interval_s} s "
        f"({frame.source} {frame.symbol})"
    )
