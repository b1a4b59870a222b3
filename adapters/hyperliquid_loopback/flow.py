"""The rest of the market on the loopback venue: the house's book, its takers and the oracle, moved before each block."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR
from decimal import Decimal
from typing import Final
from typing import Protocol

from hyperliquid_hip3.precision import tick_at
from hyperliquid_loopback.types import BUY
from hyperliquid_loopback.types import SELL
from hyperliquid_loopback.types import ZERO


# HIP-3 deployers are expected to set the oracle this often (protocol: oracle, setOracle)
ORACLE_EVERY_MS: Final = 3_000

Level = tuple[Decimal, Decimal]


class House(Protocol):
    """What a flow needs of the venue's exchange."""

    def house_level(self, coin: str, side: int, price: Decimal, size: Decimal) -> None:
        """Set the size that the house rests at a price, 0 for none; what crosses users' orders trades with them first."""
        ...

    def house_take(self, coin: str, side: int, size: Decimal, limit: Decimal) -> Decimal:
        """Send an immediate order of the house; what the book does not hold at the limit or better is canceled."""
        ...

    def best(self, coin: str, side: int) -> Decimal | None:
        """Return the best resting price of a side, anybody's; None when the side is empty."""
        ...

    def is_trading(self, coin: str) -> bool:
        """Return whether the coin is listed and not halted."""
        ...

    def set_oracle(self, coin: str, px: Decimal, now_ms: int) -> object:
        """Take an oracle price from the deployer; what it returns is not looked at."""
        ...


class MarketFlow(Protocol):
    """
    A market that moves by itself.

    ``start`` is called once before the first block, ``step`` before each block, both with the venue's clock in ms.
    """

    bids_on: bool
    asks_on: bool
    oracle_on: bool

    def start(self, exchange: House, now_ms: int) -> None:
        """Put up the first book and oracle."""
        ...

    def step(self, exchange: House, now_ms: int) -> None:
        """Do what is due by now."""
        ...

    def close(self) -> None:
        """Let go of what runs beside the venue."""
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """The house's whole book of a coin at a time (ms since the flow's start), best first."""

    at_ms: float
    coin: str
    bids: Sequence[Level]
    asks: Sequence[Level]


@dataclass(frozen=True, slots=True)
class Taken:
    """A taker's order: ``size`` contracts, at ``limit`` or better. With ``printed`` the trade is known to have happened."""

    at_ms: float
    coin: str
    side: int
    size: Decimal
    limit: Decimal
    printed: bool = False


@dataclass(frozen=True, slots=True)
class OraclePrice:
    """The deployer's price from now on; the venue hears it at the next of its updates."""

    at_ms: float
    coin: str
    price: Decimal


Move = Shown | Taken | OraclePrice


class HouseLadder:
    """
    The house's resting orders of one coin, moved to a wanted book step by step.

    The house quotes like anybody: a level that would cross a resting order trades with it first, up to the level's size, so a
    quote that the market moves through is filled at its own price. That is how most fills come about here, as in the backtest.

    Parameters
    ----------
    coin : str
        The market.

    """

    def __init__(self, coin: str) -> None:
        self.coin = coin
        self._resting: dict[int, dict[Decimal, Decimal]] = {BUY: {}, SELL: {}}

    def show(self, house: House, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Make the wanted book, best first, the one that rests; cuts come first so that the house never meets itself."""
        wanted = {BUY: dict(bids), SELL: dict(asks)}
        for side in (BUY, SELL):
            self._cut(house, side, wanted[side])
        for side in (BUY, SELL):
            self._raise(house, side, wanted[side])

    def take(self, house: House, move: Taken) -> None:
        """Send a taker; where a trade was recorded that the recorded book did not show, the house first adds its size."""
        if move.printed:
            self._make_room_for(house, move)
        house.house_take(self.coin, move.side, move.size, move.limit)

    def _cut(self, house: House, side: int, wanted: dict[Decimal, Decimal]) -> None:
        resting = self._resting[side]
        for price in [price for price in resting if price not in wanted]:
            house.house_level(self.coin, side, price, ZERO)
            del resting[price]

    def _raise(self, house: House, side: int, wanted: dict[Decimal, Decimal]) -> None:
        for price, size in wanted.items():
            # always told, even when unchanged: takers may have eaten it since
            house.house_level(self.coin, side, price, size)
            self._resting[side][price] = size

    def _make_room_for(self, house: House, move: Taken) -> None:
        own, other = house.best(self.coin, move.side), house.best(self.coin, -move.side)
        if own is not None and (move.limit - own) * move.side <= 0:
            # a stale book on the taker's own side: only what rests there already can trade
            return
        if other is None or (other - move.limit) * move.side > 0:
            house.house_level(self.coin, -move.side, move.limit, move.size)
            self._resting[-move.side][move.limit] = move.size


class TimedFlow:
    """
    Plays moves at their times; the base of the flows.

    Parameters
    ----------
    speed : float, default 1
        Milliseconds of the moves' time in one of the venue's; above 1 the market runs faster than it was made.

    Raises
    ------
    ValueError
        If the speed is not above zero.

    """

    def __init__(self, *, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(f"`speed` was {speed}, must be above 0")
        self.speed = speed
        self.bids_on = True
        self.asks_on = True
        self.oracle_on = True
        self._ladders: dict[str, HouseLadder] = {}
        self._books: dict[str, Shown] = {}
        self._oracles: dict[str, Decimal] = {}
        self._oracle_ms = 0
        self._sides = (True, True)
        self._moves: Iterator[Move] = iter(())
        self._next: Move | None = None
        self._start_ms = 0

    def moves(self) -> Iterable[Move]:
        """Return the moves in time order; those at 0 are the market that the venue opens with."""
        return ()

    def start(self, exchange: House, now_ms: int) -> None:
        """Put up the first book and oracle."""
        self._start_ms = now_ms
        self._moves = iter(self.moves())
        self._next = next(self._moves, None)
        self._play(exchange, 0.0)
        self._tell_oracle(exchange, now_ms)

    def step(self, exchange: House, now_ms: int) -> None:
        """Play what is due by now; the oracle is told every three seconds whatever the speed."""
        sides = (self.bids_on, self.asks_on)
        if sides != self._sides:
            self._sides = sides
            for shown in self._books.values():
                self._show(exchange, shown)
        self._play(exchange, (now_ms - self._start_ms) * self.speed)
        if now_ms - self._oracle_ms >= ORACLE_EVERY_MS:
            self._tell_oracle(exchange, now_ms)

    def close(self) -> None:
        """Let go of what runs beside the venue: nothing here."""

    def _play(self, exchange: House, upto_ms: float) -> None:
        while self._next is not None and self._next.at_ms <= upto_ms:
            self._do(exchange, self._next)
            self._next = next(self._moves, None)

    def _do(self, exchange: House, move: Move) -> None:
        if isinstance(move, OraclePrice):
            self._oracles[move.coin] = move.price
        elif isinstance(move, Shown):
            self._books[move.coin] = move
            self._show(exchange, move)
        elif exchange.is_trading(move.coin) and (self.asks_on if move.side > 0 else self.bids_on):
            self._ladder(move.coin).take(exchange, move)

    def _show(self, exchange: House, shown: Shown) -> None:
        if exchange.is_trading(shown.coin):
            bids = shown.bids if self.bids_on else ()
            asks = shown.asks if self.asks_on else ()
            self._ladder(shown.coin).show(exchange, bids, asks)

    def _ladder(self, coin: str) -> HouseLadder:
        if coin not in self._ladders:
            self._ladders[coin] = HouseLadder(coin)
        return self._ladders[coin]

    def _tell_oracle(self, exchange: House, now_ms: int) -> None:
        self._oracle_ms = now_ms
        if not self.oracle_on:
            return
        for coin, price in self._oracles.items():
            if exchange.is_trading(coin):
                exchange.set_oracle(coin, price, now_ms)


class QuietFlow(TimedFlow):
    """
    A fixed ladder around a mid that only a test moves.

    Parameters
    ----------
    coin : str, default 'km:US500'
        The market.
    mid : Decimal, default 690
        The first mid.
    levels : int, default 5
        Levels a side.
    spread_ticks : int, default 2
        Ticks between the best bid and the best ask.
    size : Decimal, default 10
        Contracts at each level; eaten levels are full again before the next block.
    sz_decimals : int, default 3
        The coin's, for its tick.

    Raises
    ------
    ValueError
        If levels or ticks are below 1, or the mid or size is not positive.

    """

    def __init__(
        self,
        coin: str = "km:US500",
        mid: Decimal = Decimal(690),
        *,
        levels: int = 5,
        spread_ticks: int = 2,
        size: Decimal = Decimal(10),
        sz_decimals: int = 3,
    ) -> None:
        super().__init__()
        for name, value in (("levels", levels), ("spread_ticks", spread_ticks)):
            if value < 1:
                raise ValueError(f"`{name}` was {value}, must be at least 1")
        for name, amount in (("mid", mid), ("size", size)):
            if not amount > 0:
                raise ValueError(f"`{name}` was {amount}, must be positive")
        self.coin = coin
        self.levels = levels
        self.spread_ticks = spread_ticks
        self.size = size
        self.sz_decimals = sz_decimals
        # False: what takers eat is gone until the mid moves
        self.refill = True
        self._mid = mid
        self._oracle: Decimal | None = None
        self._queued: list[Move] = []

    @property
    def mid(self) -> Decimal:
        """The mid that the ladder stands around from the next block on."""
        return self._mid

    def move(self, mid: Decimal) -> None:
        """Move the ladder, and the oracle with it unless that was set; resting orders in the way trade."""
        self._mid = mid

    def set_oracle(self, price: Decimal | None) -> None:
        """Hold the oracle at a price; None lets it follow the mid."""
        self._oracle = price

    def take(self, side: int, size: Decimal, limit: Decimal | None = None) -> None:
        """Send a taker before the next block; without a limit it takes at any price of the ladder."""
        far = self._mid * (Decimal(2) if side > 0 else Decimal("0.5"))
        self._queued.append(Taken(0.0, self.coin, side, size, far if limit is None else limit))

    def start(self, exchange: House, now_ms: int) -> None:
        """Put up the ladder and the oracle."""
        super().start(exchange, now_ms)
        self.step(exchange, now_ms)
        self._tell_oracle(exchange, now_ms)

    def step(self, exchange: House, now_ms: int) -> None:
        """Move the ladder if the mid moved, fill it up, and send the takers that wait."""
        ladder = self._ladder_around(self._mid)
        if self.refill or ladder != self._books.get(self.coin):
            self._do(exchange, ladder)
        queued, self._queued = self._queued, []
        for move in queued:
            self._do(exchange, move)
        self._oracles[self.coin] = self._mid if self._oracle is None else self._oracle
        super().step(exchange, now_ms)

    def _ladder_around(self, mid: Decimal) -> Shown:
        tick = tick_at(mid, self.sz_decimals)
        half = tick * self.spread_ticks / 2
        best_bid = ((mid - half) / tick).to_integral_value(rounding=ROUND_FLOOR) * tick
        best_ask = best_bid + tick * self.spread_ticks
        return Shown(
            at_ms=0.0,
            coin=self.coin,
            bids=tuple([(best_bid - tick * i, self.size) for i in range(self.levels)]),
            asks=tuple([(best_ask + tick * i, self.size) for i in range(self.levels)]),
        )


class Flows:
    """
    Several flows as one, for a venue with more than one moving coin.

    Parameters
    ----------
    *flows : MarketFlow
        Flows of different coins; the switches reach all of them.

    """

    def __init__(self, *flows: MarketFlow) -> None:
        self.flows = flows

    @property
    def bids_on(self) -> bool:
        """Whether the house bids."""
        return all(flow.bids_on for flow in self.flows)

    @bids_on.setter
    def bids_on(self, on: bool) -> None:
        for flow in self.flows:
            flow.bids_on = on

    @property
    def asks_on(self) -> bool:
        """Whether the house offers."""
        return all(flow.asks_on for flow in self.flows)

    @asks_on.setter
    def asks_on(self, on: bool) -> None:
        for flow in self.flows:
            flow.asks_on = on

    @property
    def oracle_on(self) -> bool:
        """Whether the deployer sets the oracle."""
        return all(flow.oracle_on for flow in self.flows)

    @oracle_on.setter
    def oracle_on(self, on: bool) -> None:
        for flow in self.flows:
            flow.oracle_on = on

    def start(self, exchange: House, now_ms: int) -> None:
        """Start all of them."""
        for flow in self.flows:
            flow.start(exchange, now_ms)

    def step(self, exchange: House, now_ms: int) -> None:
        """Step all of them, in order."""
        for flow in self.flows:
            flow.step(exchange, now_ms)

    def close(self) -> None:
        """Close all of them."""
        for flow in self.flows:
            flow.close()
