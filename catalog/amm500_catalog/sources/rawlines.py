"""
Lines of JSON as the venue or its public archives write them, read by the same parsers as live frames.

Three kinds of line, told apart by what they hold: a websocket frame, alone or after the time it was received (``<ns> {...}``); the
market-data archive's ``{"time", "ver_num", "raw": {...}}``; and the node archive's ``{"block_time", "events": [[address, fill], ...]}``,
in which both sides of a trade appear and the one that crossed is the aggressor.
"""

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from decimal import InvalidOperation
from itertools import pairwise
from typing import Any
from typing import Final

import fsspec
import numpy as np
import pyarrow as pa
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_catalog.errors import InputError
from amm500_catalog.sources.recorded import NS_PER_MS
from amm500_catalog.sources.recordings import Recording
from amm500_catalog.sources.recordings import instrument_of
from amm500_catalog.sources.recordings import market_of
from amm500_catalog.sources.recordings import scale_of
from amm500_catalog.sources.recordings import snapshot_deltas
from amm500_catalog.sources.sound import Scale
from amm500_catalog.spec import MarketSpec
from amm500_catalog.validate import EARLIEST_NS
from amm500_catalog.validate import HIGHEST_PRICE
from amm500_catalog.validate import LARGEST_VOLUME
from amm500_catalog.validate import LATEST_NS
from amm500_catalog.validate import utc_text
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.fields import positive
from hyperliquid_hip3.fields import side
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
    books: list[BookSnapshot] = field(default_factory=list)
    tops: list[TopOfBook] = field(default_factory=list)
    trades: list[PublicTrade] = field(default_factory=list)
    lags_ns: list[int] = field(default_factory=list)


def read_lines(path: str, coin: str, *, spec: MarketSpec | None = None) -> Recording:
    """
    Return one coin's books, quotes and trades of a file of lines, plain or compressed (``.gz``, ``.lz4``, ``.zst``).

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
        If the file is absent, a line cannot be read, a book is crossed, or nothing is of this coin.

    """
    messages = _Messages()
    for number, line in _lines(path):
        where = f"{path} line {number}"
        try:
            _take(messages, line, coin)
        except RecursionError as e:
            raise InputError("the line is nested too deeply", where, ALLOWED) from e
        except (PayloadError, json.JSONDecodeError, KeyError, TypeError, ValueError, InvalidOperation) as e:
            raise InputError(f"the line cannot be read ({e})", where, ALLOWED) from e
    if not (messages.books or messages.tops or messages.trades):
        raise InputError(f"nothing is of the coin {coin!r}", path, "a coin the file has, with its dex prefix")
    return _recording(messages, coin, spec, path)


def _lines(path: str) -> Iterator[tuple[int, str]]:
    try:
        with _opened(path) as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line
    except FileNotFoundError as e:
        raise InputError("the file does not exist", path, ALLOWED) from e
    except (
        OSError,
        EOFError,
        RuntimeError,
        UnicodeDecodeError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
    ) as e:
        raise InputError(
            f"the file cannot be read ({e})", path, f"{ALLOWED}; complete compressed files"
        ) from e


def _opened(path: str) -> Any:
    """Return the file's text, decompressed by what its name says."""
    if not path.endswith(".zst"):
        return fsspec.open(path, "rt", compression="infer", encoding="utf-8")
    raw = fsspec.open(path, "rb").open()
    return io.TextIOWrapper(io.BufferedReader(pa.CompressedInputStream(raw, "zstd")), encoding="utf-8")


def _take(messages: _Messages, line: str, coin: str) -> None:
    received, brace, body = line.partition("{")
    frame: dict[str, Any] = json.loads(brace + body)
    if "events" in frame and "block_time" in frame:
        _take_block(messages, frame, coin)
        return
    if isinstance(frame.get("raw"), dict):
        frame = frame["raw"]
    channel, data = frame.get("channel"), frame.get("data") or {}
    if channel == "l2Book" and data["coin"] == coin:
        book = parse_l2_book(data)
        _require_time(book.ts_ns)
        for levels, sign, name in ((book.bids, 1, "bids"), (book.asks, -1, "asks")):
            _require_levels(levels, sign, name)
        messages.books.append(book)
        if received.strip():
            messages.lags_ns.append(int(received) - book.ts_ns)
    elif channel == "bbo" and data["coin"] == coin:
        top = parse_bbo(data)
        _require_time(top.ts_ns)
        _require_levels([level for level in (top.bid, top.ask) if level is not None])
        messages.tops.append(top)
    elif channel == "trades":
        for trade in parse_trades(data):
            if trade.coin == coin:
                messages.trades.append(_required(trade))


def _require_time(ts_ns: int) -> None:
    if not EARLIEST_NS <= ts_ns <= LATEST_NS:
        raise ValueError(f"the time reads as {utc_text(ts_ns)}, not one between 1990 and 2100")


def _require_levels(levels: Sequence[BookLevel], sign: int = 0, name: str = "") -> None:
    """Refuse a level that cannot be stored and, with a sign, levels that do not lie one beyond the other."""
    for level in levels:
        _require_amounts(level.price, level.size)
    if sign:
        for better, worse in pairwise(levels):
            if (better.price - worse.price) * sign <= 0:
                raise ValueError(f"{name} at {better.price} and {worse.price} are not from the best outward")


def _require_amounts(price: Decimal, size: Decimal) -> None:
    for what, value, most in (("price", price, HIGHEST_PRICE), ("size", size, LARGEST_VOLUME)):
        if not 0 < value <= most:
            raise ValueError(f"the {what} is {value:g}, not above zero and at most {most:g}")


def _required(trade: PublicTrade) -> PublicTrade:
    _require_time(trade.ts_ns)
    _require_amounts(trade.price, trade.size)
    return trade


def _take_block(messages: _Messages, block: dict[str, Any], coin: str) -> None:
    for _address, fill in block["events"]:
        # both sides of a trade are listed; the one that crossed gives the aggressor
        if fill["coin"] == coin and fill["crossed"] is True:
            channel = "events"
            messages.trades.append(
                _required(
                    PublicTrade(
                        coin=coin,
                        ts_ns=time_ns(fill, "time", channel),
                        side=side(fill, channel),
                        price=positive(fill, "px", channel),
                        size=positive(fill, "sz", channel),
                        trade_id=whole(fill, "tid", channel),
                        block_hash=str(fill.get("hash", "")),
                    )
                )
            )


def _recording(messages: _Messages, coin: str, spec: MarketSpec | None, name: str) -> Recording:
    tops = [top for top in messages.tops if top.bid is not None and top.ask is not None]
    levels: list[BookLevel] = [level for book in messages.books for level in (*book.bids, *book.asks)]
    levels += [level for top in tops for level in (top.bid, top.ask) if level is not None]
    prices = [float(level.price) for level in levels] + [float(trade.price) for trade in messages.trades]
    sizes = [float(level.size) for level in levels] + [float(trade.size) for trade in messages.trades]
    times = [book.ts_ns for book in messages.books] + [top.ts_ns for top in tops]
    times += [trade.ts_ns for trade in messages.trades]
    if not times:
        raise InputError("every quote has an empty side", name, "at least one book, quote or trade")
    spec = spec or market_of(coin, np.array(sizes))
    recording = Recording(coin, instrument_of(spec, np.array(prices), ts_ns=min(times)))
    _require_scale(messages, tops, scale_of(recording.instrument, np.array(prices)), name)
    recording.drop("quotes with an empty side", len(messages.tops) - len(tops))
    _add_books(recording, messages.books, name)
    _add_tops(recording, tops, name)
    _add_trades(recording, messages.trades, messages.books)
    if messages.lags_ns:
        recording.facts["feed_lag_ms_p50"] = round(float(np.median(messages.lags_ns)) / NS_PER_MS, 3)
    if not (recording.deltas or recording.quotes or recording.trades):
        raise InputError("nothing is left of the coin's messages", name, "at least one book, quote or trade")
    return recording


def _require_scale(messages: _Messages, tops: list[TopOfBook], scale: Scale, name: str) -> None:
    """Refuse prices and sizes that are not of this market."""
    best = [(book.ts_ns, levels[0]) for book in messages.books for levels in (book.bids, book.asks) if levels]
    best += [(top.ts_ns, level) for top in tops for level in (top.bid, top.ask) if level is not None]
    deep = [
        (book.ts_ns, level)
        for book in messages.books
        for levels in (book.bids, book.asks)
        for level in levels[1:]
    ]
    traded = [(trade.ts_ns, trade) for trade in messages.trades]
    for found, is_near in ((best, True), (traded, True), (deep, False)):
        times = [ts_ns for ts_ns, _ in found]
        prices = np.array([float(row.price) for _, row in found])
        sizes = np.array([float(row.size) for _, row in found])

        def where(at: int, times: list[int] = times) -> str:
            return f"{name}, {utc_text(times[at])}"

        if is_near:
            scale.refuse_far(prices, where)
        scale.refuse_lost(prices, sizes, where)


def _add_books(recording: Recording, books: list[BookSnapshot], name: str) -> None:
    full = [book for book in books if not book.is_fast] or books
    recording.drop("fast books beside full ones", len(books) - len(full))
    last: BookSnapshot | None = None
    kept = 0
    for book in full:
        if last is not None and book.ts_ns < last.ts_ns:
            recording.drop("books older than the one before", 1)
            continue
        if last is not None and (book.ts_ns, book.bids, book.asks) == (last.ts_ns, last.bids, last.asks):
            recording.drop("exact copies of a book snapshot", 1)
            continue
        _require_uncrossed(book.bids[:1], book.asks[:1], name, book.ts_ns)
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
    bids: tuple[BookLevel, ...], asks: tuple[BookLevel, ...], name: str, ts_ns: int
) -> None:
    if bids and asks and bids[0].price >= asks[0].price:
        raise InputError(
            f"the book at {ts_ns} ns is crossed: best bid {bids[0].price}, best ask {asks[0].price}",
            name,
            "best bid below best ask",
        )


def _add_tops(recording: Recording, tops: list[TopOfBook], name: str) -> None:
    instrument = recording.instrument
    last_ns = 0
    for top in tops:
        assert top.bid is not None  # noqa: S101 -- the caller left the others out
        assert top.ask is not None  # noqa: S101
        if top.ts_ns < last_ns:
            recording.drop("quotes older than the one before", 1)
            continue
        _require_uncrossed((top.bid,), (top.ask,), name, top.ts_ns)
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


def _add_trades(recording: Recording, trades: list[PublicTrade], books: list[BookSnapshot]) -> None:
    instrument = recording.instrument
    seen: set[int] = set()
    since = books[0].ts_ns if books else 0
    kept: list[PublicTrade] = []
    for trade in trades:
        if trade.trade_id in seen:
            recording.drop("trades sent again", 1)
        elif trade.ts_ns < since:
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
