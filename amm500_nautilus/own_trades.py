"""The stream of trades without our own: a print that may be ours waits until our fill says whether it is."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from typing import Protocol


# a fill is told within one or two blocks of its print; the next cycle after this feeds what is nobody's we know
GRACE_NS: Final = 2_000_000_000
MOST_HELD: Final = 1_000
MOST_FILLED: Final = 10_000


class Feed(Protocol):
    """What takes the trades of others."""

    def __call__(
        self, ts_ns: int, price_ticks: int, lots: float, aggressor_side: int, mid_ticks: float | None = None
    ) -> None:
        """Take one trade; ``mid_ticks`` is the mid when it was heard."""
        ...


@dataclass(frozen=True, slots=True)
class Print:
    """
    One trade of the public stream.

    ``ts_ns`` is when it was heard and ``venue_ns`` when it happened; ``side`` is the aggressor's, +1 bought; ``mid_ticks`` the mid of the
    book when it was heard, None without one.
    """

    number: str
    ts_ns: int
    venue_ns: int
    ticks: int
    lots: int
    side: int
    mid_ticks: float | None


def trade_number(trade_id: str) -> str:
    """Return the venue's number in the id of a fill, which may stand behind its time and a dash."""
    return trade_id.rpartition("-")[2]


class OwnTrades:
    """
    Feed the trades of others, and none of ours.

    The venue gives the two parties of a trade and the public the same number ("tid", a hash of the two orders:
    https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket/subscriptions), and the print may be heard before or after our
    fill. A print that may be ours is held; the fill drops it, and the first cycle after ``grace_ns`` feeds it with its own time and mid.
    What the same taker traded in the same block after a held print waits with it, as one taker's order is one event to whoever counts
    them. All other prints are fed at once. Where our fills are smaller than the print, the rest of it is fed.

    Parameters
    ----------
    feed : Feed
        Takes the trades of others.
    may_be_ours : callable
        Takes the aggressor's side, the price in ticks and the venue's time of a print; returns whether an order of ours may have been in it.
    grace_ns : int, default 2 s
        How long a print is held at least.

    """

    def __init__(
        self, feed: Feed, may_be_ours: Callable[[int, int, int], bool], grace_ns: int = GRACE_NS
    ) -> None:
        self._feed = feed
        self._may_be_ours = may_be_ours
        self._grace_ns = grace_ns
        self._held: dict[str, Print] = {}
        self._filled: OrderedDict[str, int] = OrderedDict()
        # the taker of the print held last
        self._taker: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Return how many prints are held."""
        return len(self._held)

    def on_trade(self, trade: Print) -> None:
        """Take a print."""
        filled = self._filled.get(trade.number, 0)
        if filled >= trade.lots or trade.number in self._held:
            return
        taker = (trade.venue_ns, trade.side)
        if filled or taker == self._taker or self._may_be_ours(trade.side, trade.ticks, trade.venue_ns):
            self._taker = taker
            self._held[trade.number] = trade
            if len(self._held) > MOST_HELD:
                self._release(next(iter(self._held)))
        else:
            self._tell(trade, trade.lots)

    def on_fill(self, trade_id: str, lots: int) -> None:
        """Take a fill of ours, once; the caller knows the fills it has heard."""
        number = trade_number(trade_id)
        filled = self._filled[number] = self._filled.get(number, 0) + lots
        if len(self._filled) > MOST_FILLED:
            self._filled.popitem(last=False)
        held = self._held.get(number)
        if held is not None and filled >= held.lots:
            del self._held[number]

    def on_cycle(self, ts_ns: int) -> None:
        """Feed what has been held for long enough, in the order heard."""
        due = [number for number, trade in self._held.items() if ts_ns - trade.ts_ns >= self._grace_ns]
        for number in due:
            self._release(number)

    def _release(self, number: str) -> None:
        trade = self._held.pop(number)
        self._tell(trade, trade.lots - self._filled.get(number, 0))

    def _tell(self, trade: Print, lots: int) -> None:
        self._feed(trade.ts_ns, trade.ticks, lots, trade.side, trade.mid_ticks)
