"""What the data client remembers of one coin between messages, and which of the venue's streams are wanted."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final
from typing import NamedTuple

from hyperliquid_hip3.book_merge import BookMerge
from hyperliquid_hip3.records import Candle
from hyperliquid_hip3.records import PublicTrade
from hyperliquid_hip3.status import MarketCondition
from hyperliquid_hip3.status import MarketWatch


SEEN_TRADES: Final = 10_000

BBO: Final = "bbo"
FAST: Final = "fast"
DEEP: Final = "default"
BOOK_STREAMS: Final = (BBO, FAST, DEEP)


class Stream(NamedTuple):
    """One subscription of the venue: its type, the coin, a candle's interval, and whether a book is the fast one."""

    type: str
    coin: str
    interval: str = ""
    is_fast: bool = False

    def to_wire(self) -> dict[str, Any]:
        """Return the ``subscription`` object of the venue's messages."""
        wire: dict[str, Any] = {"type": self.type, "coin": self.coin}
        if self.interval:
            wire["interval"] = self.interval
        if self.is_fast:
            wire["fast"] = True
        return wire

    @property
    def is_deep(self) -> bool:
        """Whether it must run on the second socket: fast and default books of a coin share channel and coin."""
        return self.type == "l2Book" and not self.is_fast


def book_streams(coin: str, names: Iterable[str] = BOOK_STREAMS) -> tuple[Stream, ...]:
    """
    Return the streams of which a book is merged.

    Raises
    ------
    ValueError
        If a name is not one of ``bbo``, ``fast``, ``default``, or none is given.

    """
    known = {
        BBO: Stream("bbo", coin),
        FAST: Stream("l2Book", coin, is_fast=True),
        DEEP: Stream("l2Book", coin),
    }
    wanted = list(names)
    if not wanted or any(name not in known for name in wanted):
        raise ValueError(f"`streams` was {wanted}, must be some of {', '.join(BOOK_STREAMS)}")
    return tuple(dict.fromkeys(known[name] for name in wanted))


class StreamTable:
    """Which streams are wanted by whom, so that each is subscribed once and left when its last user goes."""

    def __init__(self) -> None:
        self._users: dict[Stream, set[object]] = {}

    def add(self, user: object, streams: Iterable[Stream]) -> list[Stream]:
        """Note a user of these streams; return those that nobody had wanted."""
        fresh = []
        for stream in streams:
            users = self._users.setdefault(stream, set())
            if not users:
                fresh.append(stream)
            users.add(user)
        return fresh

    def remove(self, user: object) -> list[Stream]:
        """Forget a user; return the streams that nobody wants any more. An unknown user changes nothing."""
        idle = []
        for stream, users in list(self._users.items()):
            users.discard(user)
            if not users:
                del self._users[stream]
                idle.append(stream)
        return idle

    def has(self, stream: Stream) -> bool:
        """Return whether somebody wants the stream."""
        return stream in self._users


class TradeSplit(NamedTuple):
    """The trades of one message: those that are news, those the venue replayed, and how many were known already."""

    new: tuple[PublicTrade, ...]
    replayed: tuple[PublicTrade, ...]
    repeated: int


class TradeFilter:
    """
    Tell new trades from the replay of recent ones, which the venue sends first on each subscription without a mark.

    In the first message after subscribing, a trade stamped up to the time of subscribing is replayed: it happened before, perhaps
    while the connection was down, and is no news. A trade seen before, by its number, is never news.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._order: deque[int] = deque()
        self._replay_until_ns: int | None = None

    def expect_replay(self, subscribed_ns: int) -> None:
        """Note that a subscription was sent at this time, by the venue's clock as far as it is known."""
        self._replay_until_ns = subscribed_ns

    def split(self, trades: Iterable[PublicTrade]) -> TradeSplit:
        """Return what is new in a message, and remember it."""
        until = self._replay_until_ns
        self._replay_until_ns = None
        new: list[PublicTrade] = []
        replayed: list[PublicTrade] = []
        repeated = 0
        for trade in trades:
            if trade.trade_id in self._seen:
                repeated += 1
                continue
            self._remember(trade.trade_id)
            (replayed if until is not None and trade.ts_ns <= until else new).append(trade)
        return TradeSplit(tuple(new), tuple(replayed), repeated)

    def _remember(self, trade_id: int) -> None:
        self._seen.add(trade_id)
        self._order.append(trade_id)
        if len(self._order) > SEEN_TRADES:
            self._seen.discard(self._order.popleft())


class ClosedCandle(NamedTuple):
    """A candle that is over, and whether it corrects one told before."""

    candle: Candle
    is_revision: bool = False


class CandleCloser:
    """
    Hand out each candle of a stream once it is over: when a later one comes, or after a grace when none does.

    A candle whose last trades fell into a lost connection would be wrong. So from :meth:`on_lost` on nothing is handed out until
    :meth:`on_repaired` brings what the venue has by REST.
    """

    def __init__(self) -> None:
        self._open: Candle | None = None
        self._told: Candle | None = None
        self._is_lost = False

    @property
    def missing_since_ns(self) -> int | None:
        """The open of the candle that was running when the connection was lost; None when nothing is missing."""
        return self._open.ts_open_ns if self._is_lost and self._open is not None else None

    def on_lost(self) -> None:
        """Note that messages may have been missed."""
        # without a running candle there is nothing to repair: each message holds its whole candle
        self._is_lost = self._open is not None

    def on_repaired(self, candles: Iterable[Candle]) -> list[ClosedCandle]:
        """
        Take the candles since the missing one, oldest first, the running one last; return those that are over.

        What was known of the missing one counts no more, even when the venue has nothing in its place.
        """
        self._is_lost, self._open = False, None
        closed = [self.on_candle(candle) for candle in candles]
        return [each for each in closed if each is not None]

    def on_candle(self, candle: Candle) -> ClosedCandle | None:
        """Take the newest state of a candle; return the one that it closes, or corrects."""
        told, held = self._told, self._open
        if self._is_lost:
            return None
        if told is not None and candle.ts_open_ns <= told.ts_open_ns:
            if candle.ts_open_ns == told.ts_open_ns and candle != told:
                self._told = candle
                return ClosedCandle(candle, is_revision=True)
            return None
        if held is not None and candle.ts_open_ns < held.ts_open_ns:
            return None
        self._open = candle
        if held is None or candle.ts_open_ns == held.ts_open_ns:
            return None
        self._told = held
        return ClosedCandle(held)

    def on_time(self, now_ns: int, grace_ns: int) -> ClosedCandle | None:
        """Return the candle that ended more than the grace ago, if it was not told yet."""
        held = self._open
        if held is None or self._is_lost or now_ns < held.ts_close_ns + grace_ns:
            return None
        self._open, self._told = None, held
        return ClosedCandle(held)


@dataclass(slots=True)
class CoinFeed:
    """
    One coin's state between messages.

    ``book_heard_ns`` is when the last book message came by WebSocket (a fast one, where that stream is wanted), by our clock; it
    starts with the subscription. ``rest_due_ns`` is the earliest time of the next REST request while stale, ``candles_due_ns`` that of
    the next one for candles.
    """

    coin: str
    watch: MarketWatch
    merge: BookMerge = field(default_factory=BookMerge)
    trades: TradeFilter = field(default_factory=TradeFilter)
    candles: dict[str, CandleCloser] = field(default_factory=dict)
    told: MarketCondition | None = None
    book_heard_ns: int = 0
    is_stale: bool = False
    rest_due_ns: int = 0
    is_polling: bool = False
    candles_due_ns: int = 0
    is_repairing: bool = False
    missed_trades: int = 0
