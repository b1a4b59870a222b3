"""From the venue's market frames to Nautilus data, for the coins and kinds that are wanted; the sockets and timers are the client's."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from typing import Final
from typing import Protocol

from nautilus_trader.core.data import Data
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import InstrumentClose
from nautilus_trader.model.enums import InstrumentCloseType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import PerpetualContract

from hyperliquid_hip3.book_merge import BookFrame
from hyperliquid_hip3.book_merge import BookSource
from hyperliquid_hip3.book_merge import MergedBook
from hyperliquid_hip3.book_merge import frame_of_bbo
from hyperliquid_hip3.book_merge import frame_of_book
from hyperliquid_hip3.context_parsing import parse_active_asset_ctx
from hyperliquid_hip3.data_parsing import InstrumentScale
from hyperliquid_hip3.data_parsing import candle_interval
from hyperliquid_hip3.data_parsing import make_bar
from hyperliquid_hip3.data_parsing import make_deltas
from hyperliquid_hip3.data_parsing import make_depth
from hyperliquid_hip3.data_parsing import make_funding
from hyperliquid_hip3.data_parsing import make_index
from hyperliquid_hip3.data_parsing import make_mark
from hyperliquid_hip3.data_parsing import make_quote
from hyperliquid_hip3.data_parsing import make_status
from hyperliquid_hip3.data_parsing import make_trade
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.feed import FAST
from hyperliquid_hip3.feed import CandleCloser
from hyperliquid_hip3.feed import ClosedCandle
from hyperliquid_hip3.feed import CoinFeed
from hyperliquid_hip3.feed import Stream
from hyperliquid_hip3.feed import StreamTable
from hyperliquid_hip3.feed import book_streams
from hyperliquid_hip3.frames import Frame
from hyperliquid_hip3.frames import parse_ack
from hyperliquid_hip3.parsing import parse_bbo
from hyperliquid_hip3.parsing import parse_candle
from hyperliquid_hip3.parsing import parse_l2_book
from hyperliquid_hip3.parsing import parse_trades
from hyperliquid_hip3.providers import level_of
from hyperliquid_hip3.records import BookSnapshot
from hyperliquid_hip3.records import Candle
from hyperliquid_hip3.records import TopOfBook
from hyperliquid_hip3.status import MarketCondition
from hyperliquid_hip3.status import MarketWatch
from hyperliquid_hip3.user_records import AssetContext


# what a subscriber may want of a coin
DELTAS: Final = "deltas"
DEPTH: Final = "depth"
QUOTES: Final = "quotes"
TRADES: Final = "trades"
MARK: Final = "mark"
INDEX: Final = "index"
FUNDING: Final = "funding"
STATUS: Final = "status"
CLOSE: Final = "close"
CONTEXT_KINDS: Final = (MARK, INDEX, FUNDING)
# whoever wants the status needs the book to notice a halt
BOOK_KINDS: Final = (DELTAS, DEPTH, STATUS)

# the default book comes every 5.4 s: three of them missed
DEEP_STALE_NS: Final = 16_000_000_000


class Say(Protocol):
    """The part of the engine's logger that is used."""

    def info(self, message: str) -> None:
        """Write a line that tells what happened."""
        ...

    def warning(self, message: str) -> None:
        """Write a line that someone should read."""
        ...


@dataclass(frozen=True, slots=True)
class BookAges:
    """
    How old each level of the merged book is, in ns since it was received, best price first, and which stream showed it.

    ``is_stale`` says that the streams are silent; what there is comes by REST then.
    """

    instrument_id: InstrumentId
    ts_ns: int
    is_stale: bool
    bid_ages_ns: tuple[int, ...]
    ask_ages_ns: tuple[int, ...]
    bid_sources: tuple[BookSource, ...]
    ask_sources: tuple[BookSource, ...]


class MarketFeed:
    """
    Keep every wanted coin's state, and emit what its frames say.

    Parameters
    ----------
    emit : callable
        Takes each piece of Nautilus data.
    on_ages : callable
        Takes ``(instrument_id, book, is_stale)`` with each book that is emitted.
    on_suspect : callable
        Takes a sentence when the venue's descriptions should be read again: a price left its tick's range, a book emptied.
    is_tick_due : callable
        Takes a coin and a price; returns whether the price calls for another tick than the instrument has.
    log : Say
        The client's logger.
    book_stale_ns, halt_after_ns, bar_grace_ns : int
        See ``HyperliquidDataClientConfig``.
    tell_revisions : bool, default False
        Emit a bar again, marked as a revision, when its candle is corrected after its close.

    """

    def __init__(
        self,
        *,
        emit: Callable[[Data], None],
        on_ages: Callable[[InstrumentId, MergedBook, bool], None],
        on_suspect: Callable[[str], None],
        is_tick_due: Callable[[str, Decimal], bool],
        log: Say,
        book_stale_ns: int,
        halt_after_ns: int,
        bar_grace_ns: int,
        tell_revisions: bool = False,
    ) -> None:
        self._emit = emit
        self._on_ages = on_ages
        self._on_suspect = on_suspect
        self._is_tick_due = is_tick_due
        self._log = log
        self._book_stale_ns = book_stale_ns
        self._halt_after_ns = halt_after_ns
        self._bar_grace_ns = bar_grace_ns
        self._tell_revisions = tell_revisions
        self.feeds: dict[str, CoinFeed] = {}
        self.streams = StreamTable()
        self._scales: dict[str, InstrumentScale] = {}
        self._instruments: dict[str, PerpetualContract] = {}
        self._wants: dict[str, set[str]] = {}
        self._bars: dict[tuple[str, str], set[BarType]] = {}
        self._contexts: dict[str, AssetContext] = {}
        self._handlers: dict[str, Callable[[Any, int, int], None]] = {
            "l2Book": self._on_l2_book,
            "bbo": self._on_bbo,
            "trades": self._on_trades,
            "activeAssetCtx": self._on_context,
            "candle": self._on_candle,
            "subscriptionResponse": self._on_ack,
        }

    # -- what is wanted -------------------------------------------------------------------------------------------

    def set_instrument(self, instrument: PerpetualContract) -> None:
        """Take an instrument, or its new description."""
        coin = str(instrument.raw_symbol.value)
        self._instruments[coin] = instrument
        self._scales[coin] = InstrumentScale(instrument)
        feed = self.feeds.setdefault(coin, CoinFeed(coin, MarketWatch(self._halt_after_ns)))
        feed.watch.is_delisted = bool((instrument.info or {}).get("is_delisted"))

    def want(
        self, coin: str, kind: str, *, now_ns: int, mono_ns: int, streams: tuple[str, ...] | None = None
    ) -> list[Stream]:
        """
        Note that a kind of data of a coin is wanted; return the streams to subscribe.

        Raises
        ------
        KeyError
            If the coin has no instrument.
        ValueError
            If ``streams`` names none of a book's.

        """
        feed = self.feeds[coin]
        needed = _needed(coin, kind, streams)
        self._wants.setdefault(coin, set()).add(kind)
        if kind in BOOK_KINDS:
            feed.book_heard_ns = max(feed.book_heard_ns, mono_ns)
        if kind == TRADES:
            feed.trades.expect_replay(now_ns)
        if kind == STATUS:
            # told again to whoever asks
            feed.told = None
        return self.streams.add((coin, kind), needed)

    def want_bars(self, coin: str, bar_type: BarType) -> list[Stream]:
        """
        Note that bars are wanted; return the streams to subscribe.

        Raises
        ------
        ValueError
            If the venue has no such candles.

        """
        interval = candle_interval(bar_type)
        self.feeds[coin].candles.setdefault(interval, CandleCloser())
        self._bars.setdefault((coin, interval), set()).add(bar_type)
        return self.streams.add((coin, bar_type), [Stream("candle", coin, interval)])

    def unwant(self, coin: str, kind: str) -> list[Stream]:
        """Note that a kind is wanted no more; return the streams to give up."""
        self._wants.get(coin, set()).discard(kind)
        idle = self.streams.remove((coin, kind))
        feed = self.feeds.get(coin)
        if feed is not None and not self._wants.get(coin, set()) & set(BOOK_KINDS) and kind in BOOK_KINDS:
            feed.merge.reset()
            feed.is_stale = False
            feed.watch.empty_since_ns = None
        return idle

    def unwant_bars(self, coin: str, bar_type: BarType) -> list[Stream]:
        """Note that bars are wanted no more; return the streams to give up."""
        interval = candle_interval(bar_type)
        users = self._bars.get((coin, interval), set())
        users.discard(bar_type)
        if not users and coin in self.feeds:
            self._bars.pop((coin, interval), None)
            self.feeds[coin].candles.pop(interval, None)
        return self.streams.remove((coin, bar_type))

    def wants(self, coin: str, *kinds: str) -> bool:
        """Return whether any of the kinds is wanted of a coin."""
        return not self._wants.get(coin, set()).isdisjoint(kinds)

    # -- frames ---------------------------------------------------------------------------------------------------

    def on_frame(self, frame: Frame, recv_ns: int, mono_ns: int) -> None:
        """
        Take one frame of either socket; channels and coins that are not wanted are left alone.

        Raises
        ------
        PayloadError
            If it does not have the shape of its channel; nothing of it was used.

        """
        handler = self._handlers.get(frame.channel)
        if handler is None:
            return
        try:
            handler(frame.data, recv_ns, mono_ns)
        except (ValueError, ArithmeticError) as e:
            # a number that is one, but that no price or size can hold
            raise PayloadError(frame.channel, str(e)) from e

    def on_rest_book(self, snapshot: BookSnapshot, recv_ns: int, mono_ns: int) -> None:
        """
        Take a book that was asked for by REST; it does not end the silence of the streams.

        Raises
        ------
        PayloadError
            If it holds a number that no price or size can hold.

        """
        try:
            self._use_rest_book(snapshot, recv_ns, mono_ns)
        except (ValueError, ArithmeticError) as e:
            raise PayloadError("l2Book", str(e)) from e

    def _use_rest_book(self, snapshot: BookSnapshot, recv_ns: int, mono_ns: int) -> None:
        frame = frame_of_book(snapshot, recv_ns, BookSource.REST)
        if not self._take(snapshot.coin, frame, mono_ns) or not self.wants(snapshot.coin, QUOTES):
            return
        best = TopOfBook(
            snapshot.coin,
            snapshot.ts_ns,
            snapshot.bids[0] if snapshot.bids else None,
            snapshot.asks[0] if snapshot.asks else None,
        )
        self._tell_quote(best, recv_ns)

    def _on_l2_book(self, data: Any, recv_ns: int, mono_ns: int) -> None:
        snapshot = parse_l2_book(data)
        feed = self.feeds.get(snapshot.coin)
        if feed is None:
            return
        if snapshot.is_fast or not self.streams.has(Stream("l2Book", snapshot.coin, is_fast=True)):
            self._hear(feed, mono_ns)
        self._take(snapshot.coin, frame_of_book(snapshot, recv_ns), mono_ns)

    def _on_bbo(self, data: Any, recv_ns: int, mono_ns: int) -> None:
        top = parse_bbo(data)
        if top.coin not in self.feeds:
            return
        self._take(top.coin, frame_of_bbo(top, recv_ns), mono_ns)
        if self.wants(top.coin, QUOTES):
            self._tell_quote(top, recv_ns)

    def _on_trades(self, data: Any, recv_ns: int, mono_ns: int) -> None:  # noqa: ARG002 - one shape for all
        trades = parse_trades(data)
        for coin in dict.fromkeys(trade.coin for trade in trades):
            if not self.wants(coin, TRADES):
                continue
            feed, scale = self.feeds[coin], self._scales[coin]
            split = feed.trades.split(trade for trade in trades if trade.coin == coin)
            feed.missed_trades += len(split.replayed)
            for trade in split.new:
                self._emit(make_trade(scale, trade, ts_init=recv_ns))

    def _on_context(self, data: Any, recv_ns: int, mono_ns: int) -> None:  # noqa: ARG002 - one shape for all
        context = parse_active_asset_ctx(data)
        scale = self._scales.get(context.coin)
        if scale is None:
            return
        self._contexts[context.coin] = context
        price = level_of(context)
        if price is not None and self._is_tick_due(context.coin, price):
            self._on_suspect(f"the price of {context.coin} is {price}, beyond its tick's range")
        if self.wants(context.coin, MARK):
            self._emit(make_mark(scale, context.mark_price, ts_init=recv_ns))
        if self.wants(context.coin, INDEX):
            self._emit(make_index(scale, context.oracle_price, ts_init=recv_ns))
        if self.wants(context.coin, FUNDING):
            self._emit(make_funding(scale.instrument_id, context.funding, ts_init=recv_ns))

    def _on_candle(self, data: Any, recv_ns: int, mono_ns: int) -> None:  # noqa: ARG002 - one shape for all
        # the venue's documents say a list, its wire one object
        for row in data if isinstance(data, list) else (data,):
            candle: Candle = parse_candle(row)
            feed = self.feeds.get(candle.coin)
            closer = None if feed is None else feed.candles.get(candle.interval)
            closed = None if closer is None else closer.on_candle(candle)
            if closed is not None:
                self._tell_bars(closed, recv_ns)

    def _on_ack(self, data: Any, recv_ns: int, mono_ns: int) -> None:  # noqa: ARG002 - one shape for all
        ack = parse_ack(data)
        feed = self.feeds.get(str(ack.subscription.get("coin")))
        if feed is None or ack.method != "subscribe":
            return
        if ack.subscription.get("type") == "trades":
            # what follows first is the replay, after each reconnect too
            feed.trades.expect_replay(recv_ns)

    # -- silence, time and the venue's descriptions ---------------------------------------------------------------

    def described(self, asked_ns: int) -> None:
        """Take note that the venue's descriptions were read, asked for at this time of the monotonic clock."""
        for feed in self.feeds.values():
            feed.watch.described_ns = asked_ns

    def on_down(self, *, is_deep: bool, now_ns: int) -> None:
        """Forget the books of a socket that went down; without the first one they are stale at once."""
        for coin, feed in self.feeds.items():
            if is_deep:
                feed.merge.forget(BookSource.DEFAULT)
                if not feed.is_stale:
                    # older than what the streams showed since
                    feed.merge.forget(BookSource.REST)
                continue
            feed.trades.expect_replay(now_ns)
            for closer in feed.candles.values():
                closer.on_lost()
            feed.candles_due_ns = 0
            feed.merge.reset()
            feed.watch.empty_since_ns = None
            if self.wants(coin, *BOOK_KINDS, QUOTES):
                self._go_stale(feed, "the connection was lost")

    def on_up(self, *, is_deep: bool) -> None:
        """End the staleness of coins of which only quotes are wanted: a touch that does not change sends nothing."""
        for coin, feed in self.feeds.items():
            if not is_deep and feed.is_stale and not self.wants(coin, *BOOK_KINDS):
                self._hear(feed, feed.book_heard_ns)

    def stale_coins(self, mono_ns: int) -> list[CoinFeed]:
        """Return the coins whose book should be asked for by REST now."""
        for coin, feed in self.feeds.items():
            if feed.is_stale or not self.wants(coin, *BOOK_KINDS):
                continue
            patience = self._patience_ns(coin)
            if patience is not None and mono_ns - feed.book_heard_ns > patience:
                self._go_stale(feed, f"no book for {(mono_ns - feed.book_heard_ns) / 1e9:.1f} s")
        return [feed for feed in self.feeds.values() if feed.is_stale and mono_ns >= feed.rest_due_ns]

    def broken_candles(self, mono_ns: int) -> list[tuple[CoinFeed, str, int]]:
        """Return ``(feed, interval, since_ns)`` of the candles that should be asked for by REST now."""
        return [
            (feed, interval, closer.missing_since_ns)
            for feed in self.feeds.values()
            if mono_ns >= feed.candles_due_ns and not feed.is_repairing
            for interval, closer in feed.candles.items()
            if closer.missing_since_ns is not None
        ]

    def on_rest_candles(self, coin: str, interval: str, candles: tuple[Candle, ...], now_ns: int) -> None:
        """
        Take the candles since the one that was running when the connection was lost, the running one last.

        Raises
        ------
        PayloadError
            If one of them holds a number that no price or size can hold.

        """
        closer = self.feeds[coin].candles.get(interval)
        if closer is None:
            return
        try:
            for closed in closer.on_repaired(candles):
                self._tell_bars(closed, now_ns)
        except (ValueError, ArithmeticError) as e:
            raise PayloadError("candleSnapshot", str(e)) from e

    def close_bars(self, now_ns: int) -> None:
        """Emit the bars whose candles ended without a later one."""
        for feed in self.feeds.values():
            for closer in feed.candles.values():
                closed = closer.on_time(now_ns, self._bar_grace_ns)
                if closed is not None:
                    self._tell_bars(closed, now_ns)

    def set_at_cap(self, coins: set[str]) -> None:
        """Take the coins that are at their open-interest cap."""
        for coin, feed in self.feeds.items():
            feed.watch.is_at_cap = coin in coins

    def tell_conditions(self, now_ns: int, mono_ns: int) -> None:
        """Emit the status of each coin whose condition changed since it was told, and the close of one that was delisted."""
        for coin, feed in self.feeds.items():
            if not self.wants(coin, STATUS, CLOSE):
                continue
            condition = feed.watch.condition(mono_ns)
            if condition == feed.told:
                continue
            if self.wants(coin, STATUS):
                self._emit(make_status(self._scales[coin].instrument_id, condition, ts_init=now_ns))
            if condition == MarketCondition.DELISTED and self.wants(coin, CLOSE):
                self._tell_close(coin, now_ns)
            if feed.told is not None:
                self._log.warning(f"{coin} is now {condition.reason}")
            feed.told = condition

    def book(self, coin: str) -> MergedBook:
        """Return the merged book of a coin; empty where nothing is wanted of it."""
        return self.feeds[coin].merge.book()

    def context(self, coin: str) -> AssetContext | None:
        """Return the newest context of a coin, None before the first."""
        return self._contexts.get(coin)

    def _patience_ns(self, coin: str) -> int | None:
        if self.streams.has(Stream("l2Book", coin, is_fast=True)):
            return self._book_stale_ns
        # a touch that does not change sends nothing, so bbo alone never counts as silent
        return DEEP_STALE_NS if self.streams.has(Stream("l2Book", coin)) else None

    def _hear(self, feed: CoinFeed, mono_ns: int) -> None:
        feed.book_heard_ns = mono_ns
        if feed.is_stale:
            feed.is_stale = False
            if not self.streams.has(Stream("l2Book", feed.coin)):
                # nothing that reaches as deep will take its place
                feed.merge.forget(BookSource.REST)
            self._log.info(f"{feed.coin}: the streams are back")

    def _go_stale(self, feed: CoinFeed, reason: str) -> None:
        if feed.is_stale:
            return
        feed.is_stale = True
        feed.rest_due_ns = 0
        self._log.warning(f"{feed.coin}: {reason}; asking by REST")
        scale = self._scales[feed.coin]
        self._on_ages(scale.instrument_id, feed.merge.book(), True)

    def _take(self, coin: str, frame: BookFrame, mono_ns: int) -> bool:
        feed = self.feeds.get(coin)
        if feed is None:
            return False
        if not self.wants(coin, *BOOK_KINDS):
            return True
        if not feed.merge.apply(frame):
            return False
        book = feed.merge.book()
        if feed.watch.on_book(is_empty=book.is_empty, now_ns=mono_ns):
            self._on_suspect(f"the book of {coin} is empty")
        try:
            self._tell_book(feed, book)
        except (ValueError, ArithmeticError):
            # or every later book would fail on it again
            feed.merge.forget(frame.source)
            raise
        return True

    def _tell_book(self, feed: CoinFeed, book: MergedBook) -> None:
        scale = self._scales[feed.coin]
        if self.wants(feed.coin, DELTAS):
            self._emit(make_deltas(scale, book, ts_event=book.ts_ns, ts_init=book.recv_ns))
        if self.wants(feed.coin, DEPTH):
            self._emit(make_depth(scale, book, ts_event=book.ts_ns, ts_init=book.recv_ns))
        self._on_ages(scale.instrument_id, book, feed.is_stale)

    def _tell_quote(self, top: TopOfBook, recv_ns: int) -> None:
        quote = make_quote(self._scales[top.coin], top, ts_init=recv_ns)
        if quote is not None:
            self._emit(quote)

    def _tell_bars(self, closed: ClosedCandle, now_ns: int) -> None:
        if closed.is_revision and not self._tell_revisions:
            return
        candle = closed.candle
        for bar_type in sorted(self._bars.get((candle.coin, candle.interval), ()), key=str):
            self._emit(
                make_bar(
                    self._scales[candle.coin],
                    bar_type,
                    candle,
                    ts_init=now_ns,
                    is_revision=closed.is_revision,
                )
            )

    def _tell_close(self, coin: str, now_ns: int) -> None:
        context = self._contexts.get(coin)
        if context is None:
            return
        scale = self._scales[coin]
        self._emit(
            InstrumentClose(
                scale.instrument_id,
                scale.price(context.mark_price),
                InstrumentCloseType.CONTRACT_EXPIRED,
                now_ns,
                now_ns,
            )
        )


def _needed(coin: str, kind: str, streams: tuple[str, ...] | None) -> tuple[Stream, ...]:
    if kind == STATUS:
        return book_streams(coin, (FAST,))
    if kind in BOOK_KINDS:
        return book_streams(coin) if streams is None else book_streams(coin, streams)
    if kind == QUOTES:
        return (Stream("bbo", coin),)
    if kind == TRADES:
        return (Stream("trades", coin),)
    # a close is told at the last mark
    return (Stream("activeAssetCtx", coin),) if kind in (*CONTEXT_KINDS, CLOSE) else ()
