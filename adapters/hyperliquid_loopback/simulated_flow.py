"""The loopback venue's market out of the catalogue's simulator: book, informed takers and oracle, made ahead in chunks."""

from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from amm500_catalog.simulator import SimulatorConfig
from amm500_catalog.simulator import TwinConfig
from amm500_catalog.simulator.path import RunBars
from amm500_catalog.simulator.run import Market
from amm500_catalog.simulator.run import Run
from amm500_catalog.simulator.run import simulate_run
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.generator import GeneratorConfig
from amm500_catalog.sources.generator import GeneratorSource
from hyperliquid_hip3.precision import tick_at
from hyperliquid_loopback.flow import Level
from hyperliquid_loopback.flow import Move
from hyperliquid_loopback.flow import OraclePrice
from hyperliquid_loopback.flow import Shown
from hyperliquid_loopback.flow import Taken
from hyperliquid_loopback.flow import TimedFlow


NS: Final = 1_000_000_000
DAY_S: Final = 86_400
MINUTE_S: Final = 60
# Monday 2026-01-05 14:30 UTC, the opening of a cash session: the flow's own time does not depend on when a venue is started
BEGIN_NS: Final = 1_767_623_400 * NS
# bars are drawn a week at a time, so that volatility has its memory; the book is simulated in shorter chunks
BARS_AT_ONCE: Final = 7 * 1_440
CHUNK_MINUTES: Final = 30

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Half an hour of bars that become one run of the simulator."""

    number: int
    start_ns: int
    # columns open, high, low, close
    prices: npt.NDArray[np.float64]


class SimulatedFlow(TimedFlow):
    """
    The market simulator played against whoever rests on the venue.

    The simulator's book is the house's ladder, its takers are the house's takers. They know the next seconds of the price as the
    simulator's makers meet it, and hit whatever is best in the book: a resting order is adversely selected as the simulator's own.

    The same seed gives the same moves, whenever the venue is started.

    Parameters
    ----------
    coin : str, default 'km:US500'
        The market.
    seed : int, default 1
        Seed of bars, book and takers.
    start_price : Decimal, default 690
        The first price.
    sz_decimals : int, default 3
        The coin's.
    config : SimulatorConfig, optional
        The simulator's parameters; those fitted to km:US500 by default.
    twin_coin : str, optional
        A liquid coin on the same index that leads, with its own ladder and oracle, for example ``xyz:SP500``; none by default.
    speed : float, default 1
        Milliseconds of the simulation in one of the venue's.
    chunk_minutes : int, default 30
        Minutes simulated at once, beside the venue and one chunk ahead.

    Raises
    ------
    ValueError
        If the price is not positive or a chunk is shorter than two minutes.

    """

    def __init__(
        self,
        coin: str = "km:US500",
        *,
        seed: int = 1,
        start_price: Decimal = Decimal(690),
        sz_decimals: int = 3,
        config: SimulatorConfig | None = None,
        twin_coin: str | None = None,
        speed: float = 1.0,
        chunk_minutes: int = CHUNK_MINUTES,
    ) -> None:
        super().__init__(speed=speed)
        if not start_price > 0:
            raise ValueError(f"`start_price` was {start_price}, must be positive")
        if chunk_minutes < 2:
            raise ValueError(f"`chunk_minutes` was {chunk_minutes}, must be at least 2")
        self.coin = coin
        self.seed = seed
        self.start_price = start_price
        self.sz_decimals = sz_decimals
        self.twin_coin = twin_coin
        self.chunk_minutes = chunk_minutes
        settled = config or SimulatorConfig()
        if settled.liquidity is None:
            settled = replace(settled, liquidity=1.0)
        if twin_coin is not None and settled.twin is None:
            settled = replace(settled, twin=TwinConfig(depth=True))
        self.config = settled
        self._maker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="simulated market")
        self._chunks = self._bars()
        # the first chunk is under way before the venue asks for it
        self._ahead = self._order()

    def close(self) -> None:
        """End the thread that simulates ahead."""
        self._maker.shutdown(wait=True, cancel_futures=True)

    def moves(self) -> Iterator[Move]:
        """Return the market's moves, without an end."""
        begin_ns: int | None = None
        while True:
            run, market = self._ahead.result()
            self._ahead = self._order()
            if begin_ns is None:
                begin_ns = int(run.ts[0])
            yield from self._play_run(run, market, begin_ns)

    def _order(self) -> Future[tuple[Run, Market]]:
        return self._maker.submit(self._simulate, next(self._chunks))

    def _bars(self) -> Iterator[_Chunk]:
        price = float(self.start_price)
        start_ns, number, week = BEGIN_NS, 0, 0
        while True:
            config = GeneratorConfig(
                seed=self.seed + week, hours="always", start_price=price, steps_per_bar=MINUTE_S
            )
            end_ns = start_ns + BARS_AT_ONCE * MINUTE_S * NS
            frame = GeneratorSource(config).fetch(BarRequest(self.coin, "1m", start_ns, end_ns))
            prices = frame.bars[["open", "high", "low", "close"]].to_numpy(dtype=np.float64)
            for first in range(0, len(prices), self.chunk_minutes):
                part = prices[first : first + self.chunk_minutes]
                if len(part) >= 2:
                    yield _Chunk(number, start_ns + first * MINUTE_S * NS, part)
                    number += 1
            price, start_ns, week = float(prices[-1, 3]), end_ns, week + 1

    def _simulate(self, chunk: _Chunk) -> tuple[Run, Market]:
        # the tick grows with the price's figures; that of the chunk's highest price is valid at all of them
        highest = Decimal(repr(float(chunk.prices.max())))
        tick = tick_at(highest, self.sz_decimals)
        market = Market(tick=float(tick), lot=10.0**-self.sz_decimals)
        ticks = chunk.prices / market.tick
        steps = np.full(len(ticks), round(MINUTE_S / self.config.depth_interval_s), dtype=np.int64)
        run = simulate_run(
            RunBars(ticks[:, 0], ticks[:, 1], ticks[:, 2], ticks[:, 3], steps),
            start_ns=chunk.start_ns,
            volume=self.config.daily_volume * len(ticks) * MINUTE_S / DAY_S,
            market=market,
            config=self.config,
            seed=(self.seed, chunk.number),
        )
        return run, market

    def _play_run(self, run: Run, market: Market, begin_ns: int) -> Iterator[Move]:
        tick, lot = _exactly(market.tick), _exactly(market.lot)
        shown_ms = ((run.ts - begin_ns) / 1e6).tolist()
        taken_ms = ((run.print_ts - begin_ns) / 1e6).tolist()
        bounds = np.searchsorted(run.prints.step, np.arange(len(run.ts) + 1))
        oracles = dict(zip(run.oracle_step.tolist(), run.oracle_ticks.tolist(), strict=True))
        for step, (first, last) in enumerate(pairwise(bounds.tolist())):
            at = shown_ms[step]
            if step in oracles:
                yield from self._oracle(at, oracles[step] * tick)
            if run.twin is not None and self.twin_coin is not None and self.config.twin is not None:
                twin_tick = Decimal(1).scaleb(-self.config.twin.price_decimals)
                twin_lot = Decimal(1).scaleb(-self.config.twin.size_decimals)
                yield _shown(
                    at, self.twin_coin, run.twin.book.ticks, run.twin.book.lots, step, twin_tick, twin_lot
                )
            yield _shown(at, self.coin, run.book.ticks, run.book.lots, step, tick, lot)
            for row in range(first, last):
                yield Taken(
                    taken_ms[row],
                    self.coin,
                    int(run.prints.side[row]),
                    int(run.prints.lots[row]) * lot,
                    int(run.prints.ticks[row]) * tick,
                )

    def _oracle(self, at: float, price: Decimal) -> Iterator[Move]:
        yield OraclePrice(at, self.coin, price)
        twin = self.config.twin
        if self.twin_coin is not None and twin is not None:
            leader = (price * _exactly(twin.price_scale)).quantize(Decimal(1).scaleb(-twin.price_decimals))
            yield OraclePrice(at, self.twin_coin, leader)


def _shown(
    at: float,
    coin: str,
    ticks: tuple[Ints, Ints],
    lots: tuple[Ints, Ints],
    step: int,
    tick: Decimal,
    lot: Decimal,
) -> Shown:
    sides: list[tuple[Level, ...]] = [
        tuple(
            [
                (price * tick, size * lot)
                for price, size in zip(ticks[side][step].tolist(), lots[side][step].tolist(), strict=True)
            ],
        )
        for side in (0, 1)
    ]
    return Shown(at, coin, *sides)


def _exactly(value: float) -> Decimal:
    # a power of ten as the simulator holds it: the shortest digits are the number meant
    return Decimal(repr(value))
