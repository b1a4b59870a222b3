"""A recording's raw frames as Nautilus data, through the adapter's own parsers and merged book."""

from collections import deque
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from typing import Final

from amm500_nautilus.runtime.record.session import NAMES
from amm500_nautilus.runtime.replay.log import Recording
from amm500_nautilus.runtime.replay.own import Netting
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.frames import Frame
from hyperliquid_hip3.frames import parse_frame
from hyperliquid_hip3.market_feed import DELTAS
from hyperliquid_hip3.market_feed import FUNDING
from hyperliquid_hip3.market_feed import INDEX
from hyperliquid_hip3.market_feed import QUOTES
from hyperliquid_hip3.market_feed import TRADES
from hyperliquid_hip3.market_feed import MarketFeed
from hyperliquid_hip3.parsing import parse_l2_book
from hyperliquid_hip3.recorder import RecordedFrame
from hyperliquid_hip3.session_frames import DOWN_FRAME
from hyperliquid_hip3.session_frames import REST_FRAME


WANTED: Final = (DELTAS, QUOTES, TRADES, INDEX, FUNDING)
# no silence is judged here: what was asked for by REST meanwhile is in the recording
NEVER_NS: Final = 1 << 62
# how far a datum is looked for when recording and frames disagree
LOOK_AHEAD: Final = 500


class _Quiet:
    """Says nothing: what there was to say was said when it happened."""

    def info(self, message: str) -> None:
        """Drop a line."""

    def warning(self, message: str) -> None:
        """Drop a line."""


def data_of(recording: Recording, netting: Netting | None = None) -> Iterator[Any]:
    """
    Yield quotes, trades, books, oracle and funding in the order received; ``ts_init`` is the time of receipt.

    With ``netting`` the books and quotes are those of a market without our own orders.
    """
    yield from _decoded(recording.frames(), recording.instrument, netting)


def _decoded(
    frames: Iterable[RecordedFrame], instrument: Any, netting: Netting | None = None
) -> Iterator[Any]:
    out: list[Any] = []
    feed = MarketFeed(
        emit=out.append,
        on_ages=lambda *_: None,
        on_suspect=lambda _: None,
        is_tick_due=lambda *_: False,
        log=_Quiet(),
        book_stale_ns=NEVER_NS,
        halt_after_ns=NEVER_NS,
        bar_grace_ns=0,
    )
    feed.set_instrument(instrument)
    coin = str(instrument.raw_symbol.value)
    is_first = True
    for frame in frames:
        if is_first:
            is_first = False
            for kind in WANTED:
                feed.want(coin, kind, now_ns=frame.received_ns, mono_ns=frame.received_ns)
        try:
            _take(feed, frame, netting)
        except PayloadError:
            # it was dropped when it came, too
            continue
        finally:
            yield from out
            out.clear()


def _take(feed: MarketFeed, frame: RecordedFrame, netting: Netting | None) -> None:
    parsed, ns = parse_frame(frame.raw), frame.received_ns
    if parsed.channel == DOWN_FRAME:
        feed.on_down(is_deep=bool(parsed.data["is_deep"]), now_ns=ns)
        return
    is_rest = parsed.channel == REST_FRAME
    if is_rest:
        parsed = Frame("l2Book", parsed.data)
    if netting is not None:
        parsed = netting.net(parsed)
    if is_rest:
        feed.on_rest_book(parse_l2_book(parsed.data), ns, ns)
    else:
        feed.on_frame(parsed, ns, ns)


@dataclass(slots=True)
class DataMatch:
    """How well the frames give what was handed out: data found, data with no frame, and data that nobody was handed."""

    found: int = 0
    without_frame: int = 0
    not_handed_out: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every datum was found in the frames, and none was left over on the way."""
        return not self.without_frame and not self.not_handed_out


class DataQueue:
    """
    The data of the frames, taken in the order in which the recording says they were handed out.

    Parameters
    ----------
    data : Iterable
        From :func:`data_of`.

    """

    def __init__(self, data: Iterable[Any]) -> None:
        self._source = iter(data)
        self._ahead: deque[Any] = deque()
        self.match = DataMatch()

    def take(self, name: str, ts_init: int) -> Any | None:
        """Return the datum of this kind and time of receipt; None when the frames do not give it."""
        for place in range(LOOK_AHEAD):
            if place == len(self._ahead):
                datum = next(self._source, None)
                if datum is None:
                    break
                self._ahead.append(datum)
            datum = self._ahead[place]
            if datum.ts_init == ts_init and NAMES[type(datum)] == name:
                self.match.found += 1
                self.match.not_handed_out += place
                for _ in range(place + 1):
                    self._ahead.popleft()
                return datum
        self.match.without_frame += 1
        return None
