"""The values that pass between the strategy and the quoting models; integers for prices (ticks) and sizes (lots)."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from itertools import repeat
from typing import Any
from typing import NamedTuple
from typing import overload


BUY = 1
SELL = -1
# both sides of the book at once, as bits
BIDS, ASKS = 1, 2
_new_tuple: Any = tuple.__new__


@dataclass(frozen=True, slots=True)
class MarketShape:
    """
    The instrument's static facts.

    Parameters
    ----------
    tick : float
        Price of one tick, in collateral units.
    lot : float
        Size of one lot, in contracts.
    min_notional : float
        Smallest order value the venue takes, in collateral units (10 on Hyperliquid).

    """

    tick: float
    lot: float
    min_notional: float = 10.0

    @property
    def tick_lot_value(self) -> float:
        """Collateral value of one lot at a price of one tick."""
        return self.tick * self.lot


@dataclass(slots=True)
class BookView:
    """
    A book as the strategy sees it: best level first, prices in ticks, sizes in lots.

    Own resting size is already taken out. ``ts_ns`` is the time of the newest part; ``ages`` are the ns by which levels are older, by
    price, for those that are; None where all are of one time.
    """

    ts_ns: int
    bid_ticks: Sequence[int]
    bid_lots: Sequence[float]
    ask_ticks: Sequence[int]
    ask_lots: Sequence[float]
    ages: Mapping[int, int] | None = None


@dataclass(slots=True)
class AccountView:
    """
    The account in the strategy's eyes.

    ``equity`` in collateral units; ``leverage`` as set at the venue; ``position_lots`` signed;
    ``entry_ticks`` average entry price in ticks (0 when flat); ``margin_ratio`` as product definitions say (0 to 1 and above).
    """

    equity: float
    leverage: float
    position_lots: int
    entry_ticks: float = 0.0
    margin_ratio: float = 0.0
    starting_equity: float = 0.0


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """
    What the risk engine allows until it says otherwise.

    ``level`` names the row of the spread's risk multiples and ``widen`` multiplies that; ``exposure_scale`` and ``size_scale`` are
    shares of the exposure limit and of the order sizes. ``stops`` are reasons to rest nothing at all; ``reduce_only`` withdraws the
    side that adds inventory, both sides while flat.
    """

    level: str = "LOW"
    widen: float = 1.0
    exposure_scale: float = 1.0
    size_scale: float = 1.0
    stops: tuple[str, ...] = ()
    reduce_only: bool = False


@dataclass(slots=True)
class BudgetView:
    """
    What the address may still send.

    ``remaining`` actions; ``tolerance_multiple`` by which the order diff widens its bands (1 when rich);
    ``max_changes`` the most changes worth sending in this cycle; ``cancel_only`` when just the reserve is left: then every exposed order
    is canceled, never moved, and ``max_changes`` counts the new orders that go besides cancels, to ``place_sides`` alone (``BIDS``, ``ASKS``
    or their sum).
    """

    remaining: float = float("inf")
    tolerance_multiple: float = 1.0
    max_changes: int = 10_000
    cancel_only: bool = False
    place_sides: int = 0


@dataclass(slots=True)
class RestingOrder:
    """
    One of our orders as last known.

    ``key`` is the client order id's text; ``lots`` what is left; ``pending`` while a modify or cancel is in flight.
    """

    key: str
    side: int
    price_ticks: int
    lots: int
    since_ns: int
    level: int = 0
    pending: bool = False
    reduce_only: bool = False


class Level(NamedTuple):
    """
    A price and size to rest; ``reduce_only`` marks the rebalancing order at the touch.

    Thirty are made each cycle, and a tuple costs a third of a frozen dataclass.
    """

    price_ticks: int
    lots: int
    reduce_only: bool = False


class Levels(Sequence[Level]):
    """
    One side's levels, best first, made of their prices and sizes only when somebody asks for one.

    Most cycles look at prices and sizes alone, find that all orders fit, and are done.

    Parameters
    ----------
    ticks, lots : sequence of int
        Prices in ticks and sizes in lots; what the longer has more is left out.

    """

    __slots__ = ("_made", "lots", "ticks")

    def __init__(self, ticks: Sequence[int] = (), lots: Sequence[int] = ()) -> None:
        if len(ticks) != len(lots):
            count = min(len(ticks), len(lots))
            ticks, lots = ticks[:count], lots[:count]
        self.ticks = ticks
        self.lots = lots
        self._made: tuple[Level, ...] | None = None

    def made(self) -> tuple[Level, ...]:
        """Return the levels themselves."""
        if self._made is None:
            # the tuples of zip become levels without a call of Level for each
            found = zip(self.ticks, self.lots, repeat(False), strict=False)
            self._made = tuple(map(_new_tuple, repeat(Level), found))
        return self._made

    def __len__(self) -> int:
        return len(self.ticks)

    @overload
    def __getitem__(self, index: int) -> Level: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Level, ...]: ...

    def __getitem__(self, index: int | slice) -> Level | tuple[Level, ...]:
        return self.made()[index]

    def __iter__(self) -> Iterator[Level]:
        return iter(self.made())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Levels | tuple) and self.made() == tuple(other)

    def __hash__(self) -> int:
        return hash(self.made())

    def __repr__(self) -> str:
        return f"Levels{self.made()!r}"


NO_LEVELS = Levels()


def best_ticks(levels: Sequence[Level], none: int) -> int:
    """Return the price of the best level, ``none`` without one; the levels of a ladder stay unmade."""
    if not levels:
        return none
    return levels.ticks[0] if type(levels) is Levels else levels[0].price_ticks


class QuoteState(StrEnum):
    """What the quoting engine is doing."""

    QUOTING = "quoting"
    ONE_SIDED = "one_sided"
    REBALANCING = "rebalancing"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    The orders that ought to rest, best level first.

    ``factors`` are the named multipliers of the spread pipeline with ``base_min_bps``, ``base_max_bps``, ``min_bps`` and
    ``max_bps``; distances are half-spreads from the fair value.
    """

    bids: Sequence[Level] = ()
    asks: Sequence[Level] = ()
    factors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Rest a new post-only order."""

    side: int
    price_ticks: int
    lots: int
    level: int
    reduce_only: bool = False
    ioc: bool = False


@dataclass(frozen=True, slots=True)
class Modify:
    """Move an order in place."""

    key: str
    price_ticks: int
    lots: int
    level: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take an order away."""

    key: str


Change = Place | Modify | Cancel


@dataclass(slots=True)
class Decision:
    """
    One cycle's outcome: what to quote, what to send, and why.

    ``reasons`` name everything that kept a side from being quoted (``book_stale``, ``oracle_gap``, ``illiquid``, ``session``,
    ``one_sided``, ``budget`` ...); empty when both sides are quoted. ``delta`` is position notional over the exposure limit.
    ``volatility`` maps the horizons ``1s 10s 30s 60s`` to annualised fractions; ``factors`` as in ``Plan``.
    ``notes`` name what did not stop a quote (``reference_stale``, ``reference_diverged``, ``rebalancing``, ``taker_cap``);
    ``signals`` are the figures behind the decision (depth, imbalance, markouts, queue positions ...).
    """

    ts_ns: int
    state: QuoteState
    reasons: tuple[str, ...]
    fair_ticks: float
    mid_ticks: float
    plan: Plan
    changes: tuple[Change, ...]
    delta: float
    volatility: dict[str, float]
    mode: str = "NORMAL"
    notes: tuple[str, ...] = ()
    signals: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class QuoteSample:
    """
    What rests after one decision, for the recorder.

    ``bid_ticks`` and ``ask_ticks`` are our best resting prices as known to the strategy (None when a side has none);
    ``actions`` counts everything sent so far; ``signals`` are the decision's.
    """

    ts_ns: int
    bid_ticks: int | None
    ask_ticks: int | None
    n_bids: int
    n_asks: int
    mid_ticks: float
    state: QuoteState
    reasons: tuple[str, ...]
    factors: dict[str, float]
    volatility: dict[str, float]
    delta: float
    budget_remaining: float
    actions: int
    signals: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """Actions sent in one cycle: ``kind`` is place, modify, cancel, or the venue's type of one that nobody here asked for."""

    ts_ns: int
    kind: str
    count: int
