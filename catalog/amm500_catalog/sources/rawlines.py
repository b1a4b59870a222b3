"""
Lines of JSON as the venue or its public archives write them, read by the same parsers as live frames.

Three kinds of line, told apart by what they hold: a websocket frame, alone or after the time it was received (``<ns> {...}``); the
market-data archive's ``{"time", "ver_num", "raw": {...}}``; and the node archive's ``{"block_time", "events": [[address, fill], ...]}``,
in which both sides of a trade appear and the one that crossed is the aggressor.
"""

import io
import json
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final

import fsspec
import numpy as np
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_catalog.errors import InputError
from amm500_catalog.sources.compressed import COMPRESSIONS
from amm500_catalog.sources.compressed import DAMAGE
from amm500_catalog.sources.compressed import is_packed
from amm500_catalog.sources.compressed import said_of
from amm500_catalog.sources.compressed import unpacked
from amm500_catalog.sources.recorded import NS_PER_MS
from amm500_catalog.sources.recorded_market import instrument_of
from amm500_catalog.sources.recorded_market import market_of
from amm500_catalog.sources.recorded_market import scale_of
from amm500_catalog.sources.recordings import Recording
from amm500_catalog.sources.recordings import snapshot_deltas
from amm500_catalog.sources.sound import Scale
from amm500_catalog.spec import MarketSpec
from amm500_catalog.validate import EARLIEST_NS
from amm500_catalog.validate import HIGHEST_PRICE
from amm500_catalog.validate import LARGEST_VOLUME
from amm500_catalog.validate import LATEST_NS
from amm500_catalog.validate import utc_text
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.fields import flag
from hyperliquid_hip3.fields import mapping
from hyperliquid_hip3.fields import pair
from hyperliquid_hip3.fields import positive
from hyperliquid_hip3.fields import sequence
from hyperliquid_hip3.fields import side
from hyperliquid_hip3.fields import text
from hyperliquid_hip3.fields import time_ns
from hyperliquid_hip3.fields import whole
from hyperliquid_hip3.parsing import parse_bbo
from hyperliquid_hip3.parsing import parse_l2_book
from hyperliquid_hip3.parsing import parse_trades
from hyperliquid_hip3.records import BookLevel
from hyperliquid_hip3.records import BookSnapshot
from hyperliquid_hip3.records import PublicTrade
from hyperliquid_hip3.records import TopOfBook


ALLOWED: Final = "websocket frames, archive lines or node blocks, one JSON object a line"


@dataclass(slots=True)
class _Messages:
    """What the file says of one coin, each with the number of its line."""

    books: list[tuple[int, BookSnapshot]] = field(default_factory=list)
    tops: list[tuple[int, TopOfBook]] = field(default_factory=list)
    trades: list[tuple[int, PublicTrade]] = field(default_factory=list)
    lags_ns: list[int] = field(default_factory=list)


def read_lines(path: str, coin: str, *, spec: MarketSpec | None = None) -> Recording:
    """
    Return one coin's books, quotes and trades of a file of lines, plain or compressed (``.gz``, ``.bz2``, ``.xz``, ``.zip``, ``.lz4``, ``.zst``).

    Books and quotes older than the one before are dropped and counted, as are trades sent again and trades from before the first
    book. Fast books (five levels) are left out where full ones are there.

    Parameters
    ----------
    path : str
        The file; any fsspec URL.
    coin : str
        The coin as the messages name it.
    spec : MarketSpec, optional
        The market's facts; those of a validator-dex coin when absent.

    Raises
    ------
    InputError
        If the file is absent or damaged, a line cannot be read or holds what cannot be stored, a book is crossed, or nothing is of
        this coin.

    """
    messages = _Messages()
    for number, line in _lines(path):
        where = f"{path} line {number}"
        try:
            _take(messages, line, coin, number)
        except RecursionError as e:
            raise InputError("the line is nested too deeply", where, ALLOWED) from e
        except (PayloadError, KeyError, TypeError, ValueError) as e:
            raise InputError(f"the line cannot be read ({e})", where, ALLOWED) from e
    if not (messages.books or messages.tops or messages.trades):
        raise InputError(f"nothing is of the coin {coin!r}", path, "a coin the file has, with its dex prefix")
    return _recording(messages, coin, spec, path)


def _lines(path: str) -> Iterator[tuple[int, str]]:
    place = fsspec.open(path, "rb")
    packed = is_packed(place.path)
    try:
        with place as raw:
            # what is packed is fetched first: what unpacking raises is damage then, and no failing disk
            stream = unpacked(raw.read(), place.path) if packed else raw
            with io.TextIOWrapper(stream, encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield number, line
    except FileNotFoundError as e:
        raise InputError("the file does not exist", path, ALLOWED) from e
    except PermissionError as e:
        raise InputError(
            f"the file cannot be read ({said_of(e)})", path, "a file that this user may read"
        ) from e
    except (*DAMAGE, UnicodeDecodeError) as e:
        what = "is damaged or not what its name says" if packed else "cannot be read"
        raise InputError(
            f"the file {what} ({said_of(e)})", path, f"{ALLOWED}; a complete file, {COMPRESSIONS}"
        ) from e


def _take(messages: _Messages, line: str, coin: str, number: int) -> None:
    received, brace, body = line.partition("{")
    frame: dict[str, Any] = json.loads(brace + body)
    if "events" in frame and "block_time" in frame:
        _take_block(messages, frame, coin, number)
        return
    if isinstance(frame.get("raw"), dict):
        frame = frame["raw"]
    channel, data = frame.get("channel"), frame.get("data")
    if channel == "l2Book" and text(mapping(data, channel), "coin", channel) == coin:
        book = parse_l2_book(data)
        _require_time(book.ts_ns)
        messages.books.append((number, book))
        if received.strip():
            messages.lags_ns.append(_received_ns(received.strip()) - book.ts_ns)
    elif channel == "bbo" and text(mapping(data, channel), "coin", channel) == coin:
        top = parse_bbo(data)
        _require_time(top.ts_ns)
        messages.tops.append((number, top))
    elif channel == "trades":
        for trade in parse_trades(data):
            if trade.coin == coin:
                _require_time(trade.ts_ns)
                messages.trades.append((number, trade))


def _take_block(messages: _Messages, block: dict[str, Any], coin: str, number: int) -> None:
    channel = "events"
    for row in sequence(block["events"], channel, channel):
        fill = mapping(pair(row, channel, "an event")[1], channel)
        # both sides of a trade are listed; the one that crossed gives the aggressor
        if text(fill, "coin", channel) == coin and flag(fill, "crossed", channel):
            trade = PublicTrade(
                coin=coin,
                ts_ns=time_ns(fill, "time", channel),
                side=side(fill, channel),
                price=positive(fill, "px", channel),
                size=positive(fill, "sz", channel),
                trade_id=whole(fill, "tid", channel),
                block_hash=str(fill.get("hash", "")),
            )
            _require_time(trade.ts_ns)
            messages.trades.append((number, trade))


def _require_time(ts_ns: int) -> None:
    if not EARLIEST_NS <= ts_ns <= LATEST_NS:
        raise ValueError(f"the time reads as {utc_text(ts_ns)}, not one between 1990 and 2100")


def _received_ns(written: str) -> int:
    # 19 digits reach the year 2286; more of them than an int64 holds would spoil the lags
    if not (written.isascii() and written.isdigit() and len(written) <= 19):
        raise ValueError(f"the time of receipt is {written[:40]!r}, not whole ns since 1970")
    received = int(written)
    if not EARLIEST_NS <= received <= LATEST_NS:
        raise ValueError(f"the time of receipt, {received} ns, is not between 1990 and 2100")
    return received


@dataclass(frozen=True, slots=True)
class _Rows:
    """Prices and sizes in the order read, each with its line; ``rank`` counts from 0 on each side of each book."""

    prices: np.ndarray
    sizes: np.ndarray
    lines: np.ndarray
    rank: np.ndarray

    @classmethod
    def of(cls, groups: Sequence[tuple[int, Sequence[BookLevel | PublicTrade]]]) -> "_Rows":
        counts = np.array([len(rows) for _, rows in groups], dtype=np.int64)
        total = int(counts.sum())
        rows = [row for _, rows in groups for row in rows]
        return cls(
            np.fromiter((float(row.price) for row in rows), np.float64, total),
            np.fromiter((float(row.size) for row in rows), np.float64, total),
            np.repeat(np.array([line for line, _ in groups], dtype=np.int64), counts),
            np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts),
        )


def _checked_rows(messages: _Messages, name: str) -> list[_Rows]:
    """Return bids, asks, best bids and asks, and trades, each of amounts that can be stored and books from the best outward."""
    bids = _Rows.of([(line, book.bids) for line, book in messages.books])
    asks = _Rows.of([(line, book.asks) for line, book in messages.books])
    tops = _Rows.of(
        [
            (line, [level])
            for line, top in messages.tops
            for level in (top.bid, top.ask)
            if level is not None and top.bid is not None and top.ask is not None
        ]
    )
    trades = _Rows.of([(line, [trade]) for line, trade in messages.trades])
    for rows in (bids, asks, tops, trades):
        for what, values, most in (
            ("price", rows.prices, HIGHEST_PRICE),
            ("size", rows.sizes, LARGEST_VOLUME),
        ):
            wrong = np.flatnonzero(~((values > 0) & (values <= most)))
            if len(wrong):
                raise InputError(
                    f"the {what} is {values[wrong[0]]:g}",
                    f"{name} line {rows.lines[wrong[0]]}",
                    f"a {what} above zero, at most {most:g}",
                )
    for what, rows, sign in (("bids", bids, -1.0), ("asks", asks, 1.0)):
        wrong = np.flatnonzero((np.diff(rows.prices) * sign <= 0) & (rows.rank[1:] > 0)) + 1
        if len(wrong):
            at = int(wrong[0])
            raise InputError(
                f"{what} at {rows.prices[at - 1]:.10g} and then {rows.prices[at]:.10g}",
                f"{name} line {rows.lines[at]}",
                "levels from the best price outward, none repeated",
            )
    return [bids, asks, tops, trades]


def _require_scale(kinds: Sequence[_Rows], scale: Scale, name: str) -> None:
    """Refuse prices and sizes that are not of this market; only a level behind the best may be far away."""
    for rows in kinds:

        def where(at: int, lines: np.ndarray = rows.lines) -> str:
            return f"{name} line {lines[at]}"

        scale.refuse_far(np.where(rows.rank == 0, rows.prices, np.nan), where)
        scale.refuse_lost(rows.prices, rows.sizes, where)


def _recording(messages: _Messages, coin: str, spec: MarketSpec | None, name: str) -> Recording:
    tops = [(line, top) for line, top in messages.tops if top.bid is not None and top.ask is not None]
    kinds = _checked_rows(messages, name)
    prices, sizes = (
        np.concatenate(each) for each in zip(*((rows.prices, rows.sizes) for rows in kinds), strict=True)
    )
    if not len(prices):
        raise InputError("every book and quote has an empty side", name, "at least one book, quote or trade")
    start_ns = min(
        [book.ts_ns for _, book in messages.books]
        + [top.ts_ns for _, top in tops]
        + [trade.ts_ns for _, trade in messages.trades]
    )
    spec = spec or market_of(coin, sizes, prices)
    recording = Recording(coin, instrument_of(spec, prices, ts_ns=start_ns))
    _require_scale(kinds, scale_of(recording.instrument, prices), name)
    recording.drop("quotes with an empty side", len(messages.tops) - len(tops))
    _add_books(recording, messages.books, name)
    _add_tops(recording, tops, name)
    _add_trades(
        recording,
        [trade for _, trade in messages.trades],
        since_ns=messages.books[0][1].ts_ns if messages.books else 0,
    )
    if messages.lags_ns:
        recording.facts["feed_lag_ms_p50"] = round(float(np.median(messages.lags_ns)) / NS_PER_MS, 3)
    if not (recording.deltas or recording.quotes or recording.trades):
        raise InputError("nothing is left of the coin's messages", name, "at least one book, quote or trade")
    return recording


def _add_books(recording: Recording, books: list[tuple[int, BookSnapshot]], name: str) -> None:
    full = [(line, book) for line, book in books if not book.is_fast] or books
    recording.drop("fast books beside full ones", len(books) - len(full))
    last: BookSnapshot | None = None
    kept = 0
    for line, book in full:
        if last is not None and book.ts_ns < last.ts_ns:
            recording.drop("books older than the one before", 1)
            continue
        if last is not None and (book.ts_ns, book.bids, book.asks) == (last.ts_ns, last.bids, last.asks):
            recording.drop("exact copies of a book snapshot", 1)
            continue
        _require_uncrossed(book.bids[:1], book.asks[:1], f"{name} line {line}", book.ts_ns)
        last = book
        kept += 1
        recording.deltas.extend(
            snapshot_deltas(
                recording.instrument,
                [(level.price, level.size) for level in book.bids],
                [(level.price, level.size) for level in book.asks],
                sequence=kept,
                ts_ns=book.ts_ns,
            )
        )
    recording.facts["book_snapshots"] = float(kept)


def _require_uncrossed(
    bids: tuple[BookLevel, ...], asks: tuple[BookLevel, ...], where: str, ts_ns: int
) -> None:
    if bids and asks and bids[0].price >= asks[0].price:
        raise InputError(
            f"the book at {ts_ns} ns is crossed: best bid {bids[0].price}, best ask {asks[0].price}",
            where,
            "best bid below best ask",
        )


def _add_tops(recording: Recording, tops: list[tuple[int, TopOfBook]], name: str) -> None:
    instrument = recording.instrument
    last_ns = 0
    for line, top in tops:
        assert top.bid is not None  # noqa: S101 -- the caller left the others out
        assert top.ask is not None  # noqa: S101
        if top.ts_ns < last_ns:
            recording.drop("quotes older than the one before", 1)
            continue
        _require_uncrossed((top.bid,), (top.ask,), f"{name} line {line}", top.ts_ns)
        last_ns = top.ts_ns
        recording.quotes.append(
            QuoteTick(
                instrument.id,
                Price(top.bid.price, instrument.price_precision),
                Price(top.ask.price, instrument.price_precision),
                Quantity(top.bid.size, instrument.size_precision),
                Quantity(top.ask.size, instrument.size_precision),
                top.ts_ns,
                top.ts_ns,
            )
        )


def _add_trades(recording: Recording, trades: list[PublicTrade], *, since_ns: int) -> None:
    instrument = recording.instrument
    seen: set[int] = set()
    kept: list[PublicTrade] = []
    for trade in trades:
        if trade.trade_id in seen:
            recording.drop("trades sent again", 1)
        elif trade.ts_ns < since_ns:
            recording.drop("trades from before the recording", 1)
        else:
            kept.append(trade)
        seen.add(trade.trade_id)
    kept.sort(key=lambda trade: trade.ts_ns)
    recording.trades.extend(
        TradeTick(
            instrument.id,
            Price(trade.price, instrument.price_precision),
            Quantity(trade.size, instrument.size_precision),
            AggressorSide.BUYER if trade.side > 0 else AggressorSide.SELLER,
            TradeId(str(trade.trade_id)),
            trade.ts_ns,
            trade.ts_ns,
        )
        for trade in kept
    )
