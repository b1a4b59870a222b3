"""One unbroken run of bars made into a book, trades and prices."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from amm500_catalog.simulator.book import BID
from amm500_catalog.simulator.book import LEAST_NOTIONAL
from amm500_catalog.simulator.book import Book
from amm500_catalog.simulator.book import build_book
from amm500_catalog.simulator.book import spread_path
from amm500_catalog.simulator.book import touch_path
from amm500_catalog.simulator.config import TOXICITY_TARGETS
from amm500_catalog.simulator.config import SimulatorConfig
from amm500_catalog.simulator.config import TwinConfig
from amm500_catalog.simulator.flow import Mix
from amm500_catalog.simulator.flow import Prints
from amm500_catalog.simulator.flow import build_ladder
from amm500_catalog.simulator.flow import draw_prints
from amm500_catalog.simulator.flow import forward_moves
from amm500_catalog.simulator.flow import lean_best_levels
from amm500_catalog.simulator.flow import realized_markouts
from amm500_catalog.simulator.flow import settle
from amm500_catalog.simulator.flow import solve_mix
from amm500_catalog.simulator.flow import taker_weights
from amm500_catalog.simulator.path import LatentPath
from amm500_catalog.simulator.path import RunBars
from amm500_catalog.simulator.path import latent_path
from amm500_catalog.simulator.streams import MS_NS
from amm500_catalog.simulator.streams import Quotes
from amm500_catalog.simulator.streams import lead
from amm500_catalog.simulator.streams import make_quotes
from amm500_catalog.simulator.streams import oracle_and_mark
from amm500_catalog.simulator.streams import print_times


Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SECOND_NS = 1_000_000_000
_DRAFTS = 8


@dataclass(frozen=True, slots=True)
class Market:
    """Units of the market: one tick and one lot in the instrument's own numbers."""

    tick: float
    lot: float

    @property
    def tick_lot(self) -> float:
        """Collateral units in one lot at a price of one tick."""
        return self.tick * self.lot


@dataclass(frozen=True, slots=True)
class Twin:
    """The liquid twin's streams of one run."""

    quotes: Quotes
    book: Book


@dataclass(frozen=True, slots=True)
class Run:
    """Everything simulated for one unbroken run."""

    ts: Ints
    latent: Floats
    book: Book
    prints: Prints
    print_ts: Ints
    quotes: Quotes
    oracle_step: Ints
    oracle_ticks: Ints
    mark_ticks: Ints
    premium: Floats
    mix: Mix
    twin: Twin | None


def simulate_run(
    bars: RunBars,
    *,
    start_ns: int,
    volume: float,
    market: Market,
    config: SimulatorConfig,
    seed: tuple[int, ...],
) -> Run:
    """
    Simulate one run from its bars and nothing else.

    Parameters
    ----------
    bars : RunBars
        Bars without a gap between them, prices in ticks.
    start_ns : int
        Time of the first book.
    volume : float
        Notional to trade in the run.
    market : Market
        Tick and lot.
    config : SimulatorConfig
        The parameters.
    seed : tuple of int
        Entropy of the run: the dataset's seed and the run's start, so that a run does not depend on what was simulated before.

    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(8)]
    path_rng, spread_rng, size_rng, intent_rng, taker_rng, price_rng, twin_rng, time_rng = streams
    step_s = config.depth_interval_s
    ts = _book_times(start_ns, bars.count, config, time_rng)
    path = _efficient_price(bars, path_rng, config)
    lot_notional = market.tick_lot * float(np.mean(path.ticks))
    book = _quote(path, (spread_rng, size_rng), config=config, lot_notional=lot_notional)
    prints, mix = _trade(
        book,
        path.activity,
        ts,
        (intent_rng, taker_rng),
        volume=volume,
        market=market,
        config=config,
        lot_notional=lot_notional,
    )
    mid = book.mid_half_ticks / 2.0
    at, oracle, mark, premium = oracle_and_mark(
        path.ticks,
        mid,
        price_rng,
        step_s=step_s,
        every_s=config.oracle_interval_s,
        premium_bps=config.premium_deviation_bps,
    )
    twin = None if config.twin is None else _twin(config, config.twin, ts, path.ticks, market, twin_rng)
    print_ts = print_times(ts, prints, step_ns=round(step_s * SECOND_NS))
    quotes = make_quotes(ts, book, prints, print_ts)
    return Run(ts, path.ticks, book, prints, print_ts, quotes, at, oracle, mark, premium, mix, twin)


def _book_times(start_ns: int, count: int, config: SimulatorConfig, rng: np.random.Generator) -> Ints:
    """Return when each book is shown, the first at the start; two are never nearer than a tenth of the interval."""
    step_ns = round(config.depth_interval_s * SECOND_NS)
    late = np.floor(rng.random(count) * config.book_jitter * step_ns / MS_NS).astype(np.int64) * MS_NS
    late[0] = 0
    return start_ns + np.arange(count, dtype=np.int64) * step_ns + late


def _efficient_price(bars: RunBars, rng: np.random.Generator, config: SimulatorConfig) -> LatentPath:
    return latent_path(
        bars,
        rng,
        step_s=config.depth_interval_s,
        trend_s=config.trend_s,
        trend_share=config.trend_share,
        roughness=config.roughness,
    )


def _quote(
    path: LatentPath,
    rngs: tuple[np.random.Generator, np.random.Generator],
    *,
    config: SimulatorConfig,
    lot_notional: float,
) -> Book:
    """Return the book around the efficient price, before anybody trades."""
    spread_rng, size_rng = rngs
    step_s = config.depth_interval_s
    spread = spread_path(config, path.activity, spread_rng, step_s=step_s)
    bid = touch_path(path.ticks, spread, slack_ticks=config.touch_slack_ticks)
    return build_book(
        config,
        bid,
        spread,
        size_rng,
        step_s=step_s,
        lot_notional=lot_notional,
        liquidity=config.liquidity or 1.0,
    )


def _trade(
    book: Book,
    activity: Floats,
    ts: Ints,
    rngs: tuple[np.random.Generator, np.random.Generator],
    *,
    volume: float,
    market: Market,
    config: SimulatorConfig,
    lot_notional: float,
) -> tuple[Prints, Mix]:
    """Return the run's trades and their mix of takers, and leave in the book what they leave."""
    fewest = max(1, int(np.ceil(LEAST_NOTIONAL / lot_notional)))
    intent_rng, taker_rng = rngs
    step_s = config.depth_interval_s
    step_ns = round(step_s * SECOND_NS)
    move_1, move_5 = forward_moves(book, ts)
    scales = float(move_1.std()), float(move_5.std())
    lean_best_levels(book, move_1, move_5, fewest=fewest)
    weights = taker_weights(book, activity, move_1, move_5, intent_rng, step_s=step_s)
    draw = partial(
        draw_prints,
        config,
        book,
        volume=volume,
        # sizes are relative to the best levels as they are shown, whose median the leaning moved a little
        touch_lots=float(np.median([lots[:, 0] for lots in book.lots])),
        price_ticks_to_notional=market.tick_lot,
        step_ms=round(step_s * 1000),
    )
    taker_seed = int(taker_rng.integers(1 << 62))
    wanted = np.array(TOXICITY_TARGETS[config.toxicity])
    aim = wanted.copy()
    nearest = np.inf
    # makers earn what orders sweep beyond the best level, which no mix knows beforehand: drafts from one stream show it
    for _ in range(_DRAFTS):
        tried = solve_mix(weights, book, move_1, move_5, (float(aim[0]), float(aim[1])))
        steps = build_ladder(weights, tried, move_1, move_5)
        trial = draw(steps, np.random.default_rng(taker_seed))
        when = print_times(ts, trial, step_ns=step_ns)
        miss = wanted - np.array(realized_markouts(book, ts, trial, when, scales))
        if np.abs(miss).max() < nearest:
            nearest, mix, draft = float(np.abs(miss).max()), tried, trial
        aim += 0.7 * miss
    return settle(book, draft, fewest=fewest), mix


def _twin(
    config: SimulatorConfig,
    twin: TwinConfig,
    ts: Ints,
    latent: Floats,
    market: Market,
    rng: np.random.Generator,
) -> Twin:
    scale = twin.price_scale * market.tick * 10.0**twin.price_decimals
    ahead = lead(latent, lag_ms=twin.lag_ms, step_s=config.depth_interval_s, scale=scale)
    # a liquid market is one tick wide nearly always
    shares = (0.97, 0.02, 0.01)
    spread = spread_path(
        replace(config, spread_shares=shares), np.ones(len(ts)), rng, step_s=config.depth_interval_s
    )
    bid = touch_path(ahead, spread, slack_ticks=config.touch_slack_ticks)
    lot_notional = 10.0**-twin.price_decimals * 10.0**-twin.size_decimals * float(np.mean(ahead))
    book = build_book(
        config,
        bid,
        spread,
        rng,
        step_s=config.depth_interval_s,
        lot_notional=lot_notional,
        liquidity=twin.liquidity * (config.liquidity or 1.0),
    )
    none = np.zeros(0, dtype=np.int64)
    nothing = Prints(none, none, none, none, none, none)
    return Twin(make_quotes(ts, book, nothing, none), book)


def touch_of(book: Book) -> tuple[Ints, Ints]:
    """Return the best bid and ask in ticks at each grid point."""
    return book.ticks[BID][:, 0], book.ticks[1 - BID][:, 0]
