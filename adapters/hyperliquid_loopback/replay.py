"""The loopback venue's market out of what was recorded or simulated before: a catalogue's dataset, or a file of raw frames."""

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from typing import Any
from typing import Final

import fsspec
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide

from amm500_catalog.dataset import CatalogDataset
from amm500_catalog.dataset import open_recorded
from amm500_catalog.dataset import open_simulated
from amm500_catalog.store import CatalogStore
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.parsing import parse_l2_book
from hyperliquid_hip3.parsing import parse_trades
from hyperliquid_loopback.flow import Move
from hyperliquid_loopback.flow import OraclePrice
from hyperliquid_loopback.flow import Shown
from hyperliquid_loopback.flow import Taken
from hyperliquid_loopback.flow import TimedFlow


NS_PER_MS: Final = 1_000_000
STREAMS: Final = (OrderBookDepth10, OrderBookDelta, TradeTick, IndexPriceUpdate)

Source = Callable[[], Iterator[Move]]


class ReplayFlow(TimedFlow):
    """
    A recorded market played against whoever rests on the venue.

    The recorded book is the house's ladder. A recorded trade is a taker: it hits better quotes of the venue's users first, then those
    at its price in their queue's order. Where the recorded book did not show it, the house adds what it needs.

    Times are kept relative to each other: the first book is the one the venue opens with. Where nothing recorded gives an oracle, it is
    the book's mid.

    Parameters
    ----------
    source : callable
        Returns the moves from the beginning, their times in ms of any clock.
    speed : float, default 1
        Milliseconds of the recording in one of the venue's.
    repeat : bool, default False
        Whether it begins again at its end; else the last book stays.

    """

    def __init__(self, source: Source, *, speed: float = 1.0, repeat: bool = False) -> None:
        super().__init__(speed=speed)
        self.source = source
        self.repeat = repeat

    @classmethod
    def from_catalog(
        cls,
        url: str,
        dataset: str,
        coin: str = "km:US500",
        *,
        speed: float = 1.0,
        repeat: bool = False,
    ) -> "ReplayFlow":
        """
        Return a replay of a dataset's depth (or book deltas), trades and index prices.

        Parameters
        ----------
        url : str
            The catalogue.
        dataset : str
            The label of a simulated dataset, or the name of an import.
        coin : str, default 'km:US500'
            The venue's coin that it is played on.
        speed : float, default 1
            Milliseconds of the recording in one of the venue's.
        repeat : bool, default False
            Whether it begins again at its end.

        Raises
        ------
        InputError
            If there is no such dataset.
        ValueError
            If it has no books.

        """
        store = CatalogStore(url)
        opened = (open_simulated if dataset in store.labels() else open_recorded)(
            store, dataset, classes=STREAMS
        )
        source = _needing_a_book(lambda: _dataset_moves(opened, coin), f"dataset {dataset!r}")
        return cls(source, speed=speed, repeat=repeat)

    @classmethod
    def from_lines(
        cls,
        path: str,
        recorded_coin: str,
        coin: str | None = None,
        *,
        speed: float = 1.0,
        repeat: bool = False,
    ) -> "ReplayFlow":
        """
        Return a replay of a file of raw frames, one a line: alone, after the time of receipt, or in an archive's ``raw``.

        Parameters
        ----------
        path : str
            The file, plain or compressed (``.gz``, ``.bz2``, ``.xz``, ``.lz4``).
        recorded_coin : str
            The coin as the frames name it.
        coin : str, optional
            The venue's coin that it is played on; the recorded one by default.
        speed : float, default 1
            Milliseconds of the recording in one of the venue's.
        repeat : bool, default False
            Whether it begins again at its end.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If a line is not a frame, or no frame is a book of the coin; the message names file and line.

        """
        source = _needing_a_book(
            lambda: _line_moves(path, recorded_coin, coin or recorded_coin), path.rpartition("/")[2]
        )
        return cls(source, speed=speed, repeat=repeat)

    def moves(self) -> Iterator[Move]:
        """Return the moves from the first book on, in order of time, their times from 0."""
        begin_ms = 0.0
        while True:
            last_ms = begin_ms
            for move in _from_zero(self.source()):
                last_ms = begin_ms + move.at_ms
                yield _at(move, last_ms)
            if not self.repeat:
                return
            begin_ms = last_ms + 1_000.0


def _from_zero(moves: Iterable[Move]) -> Iterator[Move]:
    """Yield the moves from the first book on, with its time as zero; a move that is older than the one before takes its time."""
    first_ms: float | None = None
    last_ms = 0.0
    oracle: OraclePrice | None = None
    for move in moves:
        if isinstance(move, OraclePrice):
            oracle = move
        if first_ms is None:
            if not isinstance(move, Shown):
                continue
            first_ms = move.at_ms
            if oracle is not None:
                yield _at(oracle, 0.0)
        if isinstance(move, Taken) and move.at_ms < first_ms:
            # a trade of before the first book, which a subscription repeats
            continue
        last_ms = max(last_ms, move.at_ms - first_ms)
        yield _at(move, last_ms)
        if isinstance(move, Shown) and oracle is None and move.bids and move.asks:
            yield OraclePrice(last_ms, move.coin, (move.bids[0][0] + move.asks[0][0]) / 2)


def _at(move: Move, at_ms: float) -> Move:
    if isinstance(move, Shown):
        return Shown(at_ms, move.coin, move.bids, move.asks)
    if isinstance(move, OraclePrice):
        return OraclePrice(at_ms, move.coin, move.price)
    return Taken(at_ms, move.coin, move.side, move.size, move.limit, move.printed)


def _needing_a_book(source: Source, name: str) -> Source:
    """Return the source, once it is known to hold a book."""
    if not any(isinstance(move, Shown) for move in source()):
        raise ValueError(f"{name} holds no book to replay")
    return source


def _dataset_moves(dataset: CatalogDataset, coin: str) -> Iterator[Move]:
    book = _DeltaBook()
    has_depth = False
    for item in chain.from_iterable(dataset.batches()):
        at = item.ts_init / NS_PER_MS
        if isinstance(item, OrderBookDepth10):
            has_depth = True
            # an absent level is a row of size zero
            bids, asks = (
                tuple([(row.price.as_decimal(), row.size.as_decimal()) for row in side if row.size.raw > 0])
                for side in (item.bids, item.asks)
            )
            yield Shown(at, coin, bids, asks)
        elif isinstance(item, OrderBookDeltas):
            if not has_depth:
                book.apply(item)
                yield book.shown(at, coin)
        elif isinstance(item, TradeTick):
            side = 1 if item.aggressor_side == AggressorSide.BUYER else -1
            yield Taken(at, coin, side, item.size.as_decimal(), item.price.as_decimal(), printed=True)
        else:
            yield OraclePrice(at, coin, item.value.as_decimal())


class _DeltaBook:
    """Levels by price out of deltas; recordings write each snapshot as a clear and its levels."""

    def __init__(self) -> None:
        self._sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})

    def apply(self, deltas: OrderBookDeltas) -> None:
        for delta in deltas.deltas:
            if delta.action == BookAction.CLEAR:
                for levels in self._sides:
                    levels.clear()
                continue
            levels = self._sides[0 if delta.order.side == OrderSide.BUY else 1]
            price = delta.order.price.as_decimal()
            if delta.action == BookAction.DELETE or not delta.order.size.raw:
                levels.pop(price, None)
            else:
                levels[price] = delta.order.size.as_decimal()

    def shown(self, at: float, coin: str) -> Shown:
        bids, asks = self._sides
        return Shown(at, coin, sorted(bids.items(), reverse=True), sorted(asks.items()))


def _line_moves(path: str, recorded_coin: str, coin: str) -> Iterator[Move]:
    name = path.rpartition("/")[2]
    seen: set[int] = set()
    with fsspec.open(path, "rt", compression="infer", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield from _frame_moves(line, recorded_coin, coin, seen)
                except (ValueError, KeyError, TypeError, PayloadError) as e:
                    raise ValueError(f"{name}, line {number}: not a frame ({e})") from e


def _frame_moves(line: str, recorded_coin: str, coin: str, seen: set[int]) -> Iterator[Move]:
    _, brace, body = line.partition("{")
    frame: dict[str, Any] = json.loads(brace + body)
    if isinstance(frame.get("raw"), dict):
        frame = frame["raw"]
    channel: str = frame.get("channel", "")
    data: Any = frame.get("data")
    if channel == "l2Book" and data["coin"] == recorded_coin:
        book = parse_l2_book(data)
        sides = ([(row.price, row.size) for row in side] for side in (book.bids, book.asks))
        yield Shown(book.ts_ns / NS_PER_MS, coin, *sides)
    elif channel == "trades":
        for trade in parse_trades(data):
            # the first frame after subscribing repeats trades of before
            if trade.coin == recorded_coin and trade.trade_id not in seen:
                seen.add(trade.trade_id)
                at = trade.ts_ns / NS_PER_MS
                yield Taken(at, coin, trade.side, trade.size, trade.price, printed=True)
    elif channel == "activeAssetCtx" and data["coin"] == recorded_coin:
        # it carries no time of its own: it counts from the message before
        yield OraclePrice(0.0, coin, Decimal(data["ctx"]["oraclePx"]))
