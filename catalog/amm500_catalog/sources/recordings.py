"""
Recorded books and trades into the catalogue: the Parquet recordings, raw websocket lines, the public archives' lines.

Every message is stamped with the exchange's time, as ``ts_event`` and as ``ts_init``; a run adds its own feed latency. How late the
recorder really received them is reported (``feed_lag_ms``).
"""

import hashlib
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import RecordFlag
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_catalog.errors import InputError
from amm500_catalog.shapes import streams_of
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.recorded import LEVELS
from amm500_catalog.sources.recorded import NS_PER_MS
from amm500_catalog.sources.recorded import read_rows
from amm500_catalog.sources.recorded import require_file
from amm500_catalog.sources.recorded_market import instrument_of
from amm500_catalog.sources.recorded_market import market_of
from amm500_catalog.sources.recorded_market import scale_of
from amm500_catalog.sources.sound import Scale
from amm500_catalog.sources.sound import require_trade_ids
from amm500_catalog.spec import MarketSpec
from amm500_catalog.store import CatalogStore
from amm500_catalog.store import ImportResult
from amm500_catalog.tables import StreamTable
from amm500_catalog.tables import stream_table
from amm500_catalog.validate import HIGHEST_PRICE
from amm500_catalog.validate import LARGEST_VOLUME
from amm500_catalog.validate import check_book_sides
from amm500_catalog.validate import check_order
from amm500_catalog.validate import row_text
from amm500_catalog.validate import utc_text


IMPORTER_VERSION: Final = 1
F_SNAPSHOT: Final = int(RecordFlag.F_SNAPSHOT)
F_SNAPSHOT_LAST: Final = int(RecordFlag.F_SNAPSHOT) | int(RecordFlag.F_LAST)


@dataclass(slots=True)
class Recording:
    """
    One coin's recording, ready to be stored.

    ``dropped`` counts what was left out, by reason; ``facts`` holds figures worth reporting.
    """

    coin: str
    instrument: Instrument
    deltas: list[OrderBookDelta] = field(default_factory=list)
    quotes: list[QuoteTick] = field(default_factory=list)
    trades: list[TradeTick] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)

    def streams(self) -> list[StreamTable]:
        """Return the tables of the streams that have rows."""
        identifier = self.instrument.id.value
        return [stream_table(items, identifier) for items in (self.deltas, self.quotes, self.trades) if items]

    @property
    def span(self) -> tuple[int, int]:
        """[first, last + 1 ns) over all streams."""
        lists = [items for items in (self.deltas, self.quotes, self.trades) if items]
        return min(items[0].ts_init for items in lists), max(items[-1].ts_init for items in lists) + 1

    def drop(self, reason: str, count: int) -> None:
        """Count rows left out."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + int(count)


def import_recording(
    store: CatalogStore,
    folder: str,
    coin: str,
    *,
    spec: MarketSpec | None = None,
    kinds: Sequence[str] = ("hl-book", "hl-trades"),
) -> tuple[str, ImportResult]:
    """
    Import a folder of Parquet recordings of one coin; the same files again change nothing and are not read twice.

    Parameters
    ----------
    store : CatalogStore
        Where to.
    folder : str
        The folder with ``COIN_orderbooks``, ``COIN_prices`` and ``COIN_trades`` (``.parquet``).
    coin : str
        The coin, for example ``BTC``.
    spec : MarketSpec, optional
        The market's facts; the validator dex's own when absent.
    kinds : Sequence of str, default ('hl-book', 'hl-trades')
        ``hl-book`` (books and best bid and offer) and ``hl-trades``.

    Returns
    -------
    tuple of str and ImportResult
        The import's name, to open it with, and what changed.

    Raises
    ------
    InputError
        If a file is absent or its rows cannot be used.

    """
    unknown = [kind for kind in kinds if kind not in FILE_KINDS]
    if unknown or not kinds:
        raise InputError(f"`kinds` has {unknown or 'nothing'}", folder, ", ".join(FILE_KINDS))
    paths = [Path(folder) / f"{coin}_{name}.parquet" for kind in kinds for name in FILE_KINDS[kind]]
    if not Path(folder).is_dir():
        raise InputError(
            "the folder does not exist", folder, "a folder of recordings, COIN_orderbooks.parquet and so on"
        )
    for path in paths:
        require_file(path)
    return _import(store, paths, "hl-l2", lambda: read_recording(folder, coin, spec=spec, kinds=kinds), coin)


def import_raw_lines(
    store: CatalogStore, path: str, coin: str, *, spec: MarketSpec | None = None
) -> tuple[str, ImportResult]:
    """
    Import a file of raw websocket or archive lines of one coin (``hl-raw``); see :func:`amm500_catalog.sources.rawlines.read_lines`.

    Raises
    ------
    InputError
        If the file is absent or a line cannot be read.

    """
    from amm500_catalog.sources.rawlines import read_lines  # noqa: PLC0415 -- that module builds on this one

    require_file(Path(path))
    return _import(store, [Path(path)], "hl-raw", lambda: read_lines(path, coin, spec=spec), coin)


def _import(
    store: CatalogStore, paths: Sequence[Path], kind: str, read: Callable[[], Recording], coin: str
) -> tuple[str, ImportResult]:
    digest = _digest(paths, coin)
    for name, manifest in store.manifests().items():
        if manifest.get("source_sha256") == digest and manifest.get("importer_version") == IMPORTER_VERSION:
            rows = {stream.folder: stream.rows for stream in streams_of(manifest, f"{store.url} {name}")}
            return name, ImportResult(name, changed=False, rows=rows)
    recording = read()
    start, end = recording.span
    stamp = pd.Timestamp(start, unit="ns").strftime("%Y%m%dT%H%M%S")
    name = f"{kind}-{coin.replace(':', '.')}-{stamp}"
    streams = recording.streams()
    manifest = {
        "kind": kind,
        "source": "hl-book",
        "simulated": False,
        "bars_simulated": False,
        "instrument_id": recording.instrument.id.value,
        "coin": coin,
        "files": [path.name for path in paths],
        "source_sha256": digest,
        "importer_version": IMPORTER_VERSION,
        "start_ns": start,
        "end_ns": end,
        "sessions": [[start, end]],
        "stream_names": [stream.data_cls.__name__ for stream in streams],
        "description": f"recorded book and trades of {coin}, {utc_text(start)} to {utc_text(end)}",
        "defaults": [],
        "dropped": recording.dropped,
        "params": recording.facts,
    }
    return name, store.commit(name, streams, manifest, instruments=[recording.instrument])


def read_recording(
    folder: str,
    coin: str,
    *,
    spec: MarketSpec | None = None,
    kinds: Sequence[str] = ("hl-book", "hl-trades"),
) -> Recording:
    """
    Return one coin of a folder of Parquet recordings.

    Raises
    ------
    InputError
        If a file is absent or its rows cannot be used: what, file, row, and what is allowed.

    """
    tables = {
        name: read_rows(Path(folder) / f"{coin}_{name}.parquet")
        for kind in kinds
        for name in FILE_KINDS[kind]
    }
    sizes = [
        tables[name][column].to_numpy()
        for name in tables
        for column in tables[name].columns
        if column == "size" or column.startswith(("bid_size", "ask_size"))
    ]
    prices = [
        tables[name][column].to_numpy()
        for name in tables
        for column in tables[name].columns
        if column == "price" or column.startswith(("bid_price", "ask_price"))
    ]
    start_ms = min(
        int(table["exchange_timestamp"].iloc[0])
        for name, table in tables.items()
        if name != "trades" or len(tables) == 1
    )
    seen = np.concatenate(prices)
    spec = spec or market_of(coin, np.concatenate(sizes), seen)
    instrument = instrument_of(spec, seen, ts_ns=start_ms * NS_PER_MS)
    scale = scale_of(instrument, seen)
    recording = Recording(coin, instrument)
    if "orderbooks" in tables:
        _add_books(recording, tables["orderbooks"], str(Path(folder) / f"{coin}_orderbooks.parquet"), scale)
    if "prices" in tables:
        _add_quotes(recording, tables["prices"], str(Path(folder) / f"{coin}_prices.parquet"), scale)
    if "trades" in tables:
        since_ms = start_ms if "orderbooks" in tables else None
        path = str(Path(folder) / f"{coin}_trades.parquet")
        _add_trades(recording, tables["trades"], path, scale, since_ms)
    return recording


def first_book(folder: str, coin: str) -> tuple[Instrument, float]:
    """
    Return a recording's instrument and the mid of its first book, without importing it.

    Raises
    ------
    InputError
        If the file of books is absent or cannot be used, or its first book lacks a side.

    """
    file = Path(folder) / f"{coin}_orderbooks.parquet"
    table, path = read_rows(file), str(file)
    touches = table[["bid_price_0", "ask_price_0"]].to_numpy()
    instrument = instrument_of(market_of(coin, table["bid_size_0"].to_numpy(), touches), touches, ts_ns=0)
    _sides(table.head(1), path, scale_of(instrument, touches))
    mid = float(touches[0].mean())
    if np.isnan(mid):
        raise InputError("the first book lacks a side", row_text(path, 0), "a bid and an ask")
    return instrument, mid


FILE_KINDS: Final = {"hl-book": ("orderbooks", "prices"), "hl-trades": ("trades",)}


def snapshot_deltas(
    instrument: Instrument,
    bids: Sequence[tuple[float | Decimal, float | Decimal]],
    asks: Sequence[tuple[float | Decimal, float | Decimal]],
    *,
    sequence: int,
    ts_ns: int,
) -> list[OrderBookDelta]:
    """
    Return a whole book as one batch: CLEAR, then every level, F_SNAPSHOT on all and F_LAST on the last alone.

    Parameters
    ----------
    instrument : Instrument
        Gives id and precisions.
    bids, asks : Sequence of (price, size)
        Best first.
    sequence : int
        The batch's number.
    ts_ns : int
        The exchange's time, ns UTC.

    """
    identifier, price_digits, size_digits = (
        instrument.id,
        instrument.price_precision,
        instrument.size_precision,
    )
    batch = [OrderBookDelta(identifier, BookAction.CLEAR, None, F_SNAPSHOT, sequence, ts_ns, ts_ns)]
    last = len(bids) + len(asks)
    if last == 0:
        return [OrderBookDelta(identifier, BookAction.CLEAR, None, F_SNAPSHOT_LAST, sequence, ts_ns, ts_ns)]
    number = 0
    for side, levels in ((OrderSide.BUY, bids), (OrderSide.SELL, asks)):
        for price, size in levels:
            number += 1
            batch.append(
                OrderBookDelta(
                    identifier,
                    BookAction.ADD,
                    BookOrder(side, Price(price, price_digits), Quantity(size, size_digits), 0),
                    F_SNAPSHOT_LAST if number == last else F_SNAPSHOT,
                    sequence,
                    ts_ns,
                    ts_ns,
                ),
            )
    return batch


def _digest(paths: Sequence[Path], coin: str) -> str:
    digest = hashlib.sha256(coin.encode())
    for path in paths:
        digest.update(path.name.encode())
        try:
            digest.update(path.read_bytes())
        except OSError as e:
            raise InputError(
                f"the file cannot be read ({e.strerror})", str(path), "a file that this user may read"
            ) from e
    return digest.hexdigest()


def _add_books(recording: Recording, table: pd.DataFrame, path: str, scale: Scale) -> None:
    times = table["exchange_timestamp"].to_numpy(dtype=np.int64) * NS_PER_MS
    check_order(times, path=path)
    prices, sizes = _sides(table, path, scale)
    same = np.diff(times) == 0
    for levels in (*prices.values(), *sizes.values()):
        same &= ((levels[1:] == levels[:-1]) | (np.isnan(levels[1:]) & np.isnan(levels[:-1]))).all(axis=1)
    repeated = np.concatenate(([False], same))
    recording.drop("exact copies of a book snapshot", int(repeated.sum()))
    for row in np.flatnonzero(~repeated).tolist():
        bids, asks = (
            [
                (price, size)
                for price, size in zip(prices[side][row].tolist(), sizes[side][row].tolist(), strict=True)
                if price == price
            ]
            for side in ("bid", "ask")
        )
        recording.deltas.extend(
            snapshot_deltas(recording.instrument, bids, asks, sequence=row + 1, ts_ns=int(times[row]))
        )
    kept = times[~repeated]
    lag = table["timestamp"] * 1e3 - table["exchange_timestamp"]
    recording.facts["book_snapshots"] = float(len(kept))
    recording.facts["largest_book_gap_s"] = float(np.diff(kept).max() / NS) if len(kept) > 1 else 0.0
    if lag.notna().any():
        recording.facts["feed_lag_ms_p50"] = round(float(lag.median()), 3)


def _sides(
    table: pd.DataFrame, path: str, scale: Scale
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the prices and the sizes of each side, a row a snapshot, of books that can be stored."""
    prices = {side: table[[f"{side}_price_{i}" for i in range(LEVELS)]].to_numpy() for side in ("bid", "ask")}
    sizes = {side: table[[f"{side}_size_{i}" for i in range(LEVELS)]].to_numpy() for side in ("bid", "ask")}
    for side in ("bid", "ask"):
        _check_levels(side, prices[side], sizes[side], path)
        scale.refuse_far(prices[side][:, 0], partial(row_text, path))
        for level in range(LEVELS):
            scale.refuse_lost(prices[side][:, level], sizes[side][:, level], partial(row_text, path))
    check_book_sides(prices["bid"], prices["ask"], path=path)
    return prices, sizes


def _check_levels(side: str, prices: np.ndarray, sizes: np.ndarray, path: str) -> None:
    """Refuse a level that is half there, and one beyond a level that is absent."""
    is_absent = np.isnan(prices) & ~(sizes > 0)
    is_level = (prices > 0) & (prices <= HIGHEST_PRICE) & (sizes > 0) & (sizes <= LARGEST_VOLUME)
    wrong = np.argwhere(~is_absent & ~is_level)
    if len(wrong):
        row, level = (int(value) for value in wrong[0])
        raise InputError(
            f"{side} level {level} has price {prices[row, level]:g} and size {sizes[row, level]:g}",
            row_text(path, row),
            "a price and a size above zero, or neither",
        )
    wrong = np.argwhere(is_absent[:, :-1] & is_level[:, 1:])
    if len(wrong):
        row, level = (int(value) for value in wrong[0])
        raise InputError(
            f"{side} level {level} is absent and level {level + 1} is there",
            row_text(path, row),
            "levels from the best price outward, none left out",
        )


def _add_quotes(recording: Recording, table: pd.DataFrame, path: str, scale: Scale) -> None:
    times = table["exchange_timestamp"].to_numpy(dtype=np.int64)
    check_order(times * NS_PER_MS, path=path)
    _check_ticks(table, path, {"bid", "ask"}, scale)
    # the last row of each side at each time, carried forward: one quote a message
    wide: dict[str, pd.Series] = {}
    for side in ("bid", "ask"):
        rows = (
            table[table["side"] == side]
            .drop_duplicates("exchange_timestamp", keep="last")
            .set_index("exchange_timestamp")
        )
        for what in ("price", "size"):
            wide[f"{side}_{what}"] = rows[what]
    quotes = pd.DataFrame(wide).sort_index().ffill()
    unknown = quotes.isna().any(axis=1)
    recording.drop("quotes before both sides were known", int(unknown.sum()))
    quotes = quotes[~unknown]
    crossed = np.flatnonzero((quotes["bid_price"] >= quotes["ask_price"]).to_numpy())
    if len(crossed):
        at = int(quotes.index[crossed[0]])
        row = int(np.flatnonzero(times == at)[-1])
        quote = quotes.iloc[crossed[0]]
        raise InputError(
            f"the quote is crossed: bid {quote['bid_price']:g}, ask {quote['ask_price']:g}",
            row_text(path, row),
            "a bid below the ask",
        )
    identifier = recording.instrument.id
    digits, size_digits = recording.instrument.price_precision, recording.instrument.size_precision
    recording.quotes.extend(
        QuoteTick(
            identifier,
            Price(bid, digits),
            Price(ask, digits),
            Quantity(bid_size, size_digits),
            Quantity(ask_size, size_digits),
            ts * NS_PER_MS,
            ts * NS_PER_MS,
        )
        for ts, bid, bid_size, ask, ask_size in zip(
            quotes.index.tolist(),
            quotes["bid_price"].tolist(),
            quotes["bid_size"].tolist(),
            quotes["ask_price"].tolist(),
            quotes["ask_size"].tolist(),
            strict=True,
        )
    )


def _add_trades(
    recording: Recording, table: pd.DataFrame, path: str, scale: Scale, since_ms: int | None
) -> None:
    _check_ticks(table, path, {"buy", "sell"}, scale)
    require_trade_ids(table["trade_id"], path)
    first_row = table.drop_duplicates("trade_id", keep="first").set_index("trade_id")
    repeated = table.duplicated("trade_id", keep="first").to_numpy()
    if repeated.any():
        again = table[repeated]
        known = first_row.loc[again["trade_id"]]
        differs = (
            again[["price", "size", "exchange_timestamp"]].to_numpy()
            != known[["price", "size", "exchange_timestamp"]].to_numpy()
        ).any(axis=1)
        if differs.any():
            row = int(np.flatnonzero(repeated)[int(np.flatnonzero(differs)[0])])
            raise InputError(
                f"trade id {table['trade_id'].iloc[row]} came before with another price, size or time",
                row_text(path, row),
                "one trade an id",
            )
        recording.drop("trades sent again", int(repeated.sum()))
    table = table[~repeated]
    if since_ms is not None:
        early = (table["exchange_timestamp"] < since_ms).to_numpy()
        recording.drop("trades from before the recording", int(early.sum()))
        table = table[~early]
    steps_back = int((np.diff(table["exchange_timestamp"].to_numpy()) < 0).sum())
    if steps_back:
        recording.facts["trades_put_in_order"] = float(steps_back)
    table = table.sort_values("exchange_timestamp", kind="stable")
    identifier = recording.instrument.id
    digits, size_digits = recording.instrument.price_precision, recording.instrument.size_precision
    for ts, price, size, side, trade_id in zip(
        table["exchange_timestamp"].tolist(),
        table["price"].tolist(),
        table["size"].tolist(),
        table["side"].tolist(),
        table["trade_id"].tolist(),
        strict=True,
    ):
        aggressor = AggressorSide.BUYER if side == "buy" else AggressorSide.SELLER
        recording.trades.append(
            TradeTick(
                identifier,
                Price(price, digits),
                Quantity(size, size_digits),
                aggressor,
                TradeId(str(trade_id)),
                ts * NS_PER_MS,
                ts * NS_PER_MS,
            )
        )


def _check_ticks(table: pd.DataFrame, path: str, sides: set[str], scale: Scale) -> None:
    for name in ("price", "size"):
        values = table[name].to_numpy(dtype=np.float64)
        wrong = np.flatnonzero(~((values > 0) & (values <= HIGHEST_PRICE)))
        if len(wrong):
            row = int(wrong[0])
            raise InputError(
                f"`{name}` is {values[row]:g}",
                row_text(path, row),
                f"a finite number above zero, at most {HIGHEST_PRICE:g}",
            )
    wrong = np.flatnonzero(~table["side"].isin(sides).to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"`side` is {table['side'].iloc[row]!r}", row_text(path, row), " or ".join(sorted(sides))
        )
    prices = table["price"].to_numpy(dtype=np.float64)
    scale.refuse_far(prices, partial(row_text, path))
    scale.refuse_lost(prices, table["size"].to_numpy(dtype=np.float64), partial(row_text, path))
