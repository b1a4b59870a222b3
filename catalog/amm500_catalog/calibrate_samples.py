"""What the ruler reads: recordings, polled samples and catalogues as plain columns."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick

from amm500_catalog.arrow import DEPTH_LEVELS
from amm500_catalog.arrow import read_columns
from amm500_catalog.errors import InputError
from amm500_catalog.sources.recorded import read_rows


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MS_NS = 1_000_000


def _none() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class Sample:
    """
    What one market showed, as plain columns; times in ns of the exchange, prices and sizes in the instrument's units.

    ``bid`` to ``ask_size`` are the best bids and offers (the mid's source); ``book_*`` are regular samples of the book:
    spread, sizes of the best levels, and notional of the ten best levels a side. ``side`` is +1 where the taker bought.
    """

    name: str
    tick: float
    ts: Ints
    bid: Floats
    ask: Floats
    book_ts: Ints
    book_spread: Floats
    top_sizes: Floats = field(default_factory=_none)
    bid_depth: Floats = field(default_factory=_none)
    ask_depth: Floats = field(default_factory=_none)
    trade_ts: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    price: Floats = field(default_factory=_none)
    size: Floats = field(default_factory=_none)
    side: Floats = field(default_factory=_none)
    polled: bool = False


def read_recording(folder: str | Path, coin: str) -> Sample:
    """
    Return a recorded coin as columns.

    Raises
    ------
    InputError
        If one of the three files is missing or damaged.

    """
    tables = {}
    for kind in ("orderbooks", "prices", "trades"):
        path = Path(folder) / f"{coin}_{kind}.parquet"
        if not path.is_file():
            raise InputError(
                "the file is missing", str(path), "COIN_orderbooks, COIN_prices and COIN_trades.parquet"
            )
        tables[kind] = read_rows(path).sort_values("exchange_timestamp", kind="stable")
    quotes, book, trades = tables["prices"], tables["orderbooks"], tables["trades"]
    wide = pd.DataFrame(
        {
            "ts": quotes["exchange_timestamp"],
            "bid": quotes["price"].where(quotes["side"] == "bid"),
            "ask": quotes["price"].where(quotes["side"] == "ask"),
        }
    )
    wide[["bid", "ask"]] = wide[["bid", "ask"]].ffill()
    # both sides of one message share a time: the last row of the time holds both
    wide = wide.dropna().groupby("ts", as_index=False).last()
    depth = {
        side: sum(book[f"{side}_price_{i}"] * book[f"{side}_size_{i}"] for i in range(DEPTH_LEVELS))
        for side in ("bid", "ask")
    }
    prices = np.unique(np.concatenate([book["bid_price_0"], book["ask_price_0"]]))
    return Sample(
        name=coin,
        tick=float(np.round(np.diff(prices).min(), 8)),
        ts=wide["ts"].to_numpy(dtype=np.int64) * MS_NS,
        bid=wide["bid"].to_numpy(dtype=np.float64),
        ask=wide["ask"].to_numpy(dtype=np.float64),
        book_ts=book["exchange_timestamp"].to_numpy(dtype=np.int64) * MS_NS,
        book_spread=(book["ask_price_0"] - book["bid_price_0"]).to_numpy(dtype=np.float64),
        top_sizes=np.concatenate([book["bid_size_0"], book["ask_size_0"]]),
        bid_depth=np.asarray(depth["bid"], dtype=np.float64),
        ask_depth=np.asarray(depth["ask"], dtype=np.float64),
        trade_ts=trades["exchange_timestamp"].to_numpy(dtype=np.int64) * MS_NS,
        price=trades["price"].to_numpy(dtype=np.float64),
        size=trades["size"].to_numpy(dtype=np.float64),
        side=np.where(trades["side"] == "buy", 1.0, -1.0),
    )


def read_samples(path: str | Path, *, rows: slice = slice(None), name: str = "recorded") -> Sample:
    """Return polled samples (time_utc, bid, ask, bid_depth10_usd, ask_depth10_usd) as columns."""
    if not Path(path).is_file():
        raise InputError("the file is missing", str(path))
    table = pd.read_csv(path).iloc[rows]
    times = pd.to_datetime(table["time_utc"], utc=True).dt.tz_localize(None)
    spread = (table["ask"] - table["bid"]).to_numpy(dtype=np.float64)
    ts = times.to_numpy().astype("datetime64[ns]").astype(np.int64)
    return Sample(
        name=name,
        tick=float(np.round(spread[spread > 0].min(), 8)),
        ts=ts,
        bid=table["bid"].to_numpy(dtype=np.float64),
        ask=table["ask"].to_numpy(dtype=np.float64),
        book_ts=ts,
        book_spread=spread,
        bid_depth=table["bid_depth10_usd"].dropna().to_numpy(dtype=np.float64),
        ask_depth=table["ask_depth10_usd"].dropna().to_numpy(dtype=np.float64),
        polled=True,
    )


def read_catalog(
    catalog: str,
    instrument_id: str,
    start_ns: int | None = None,
    end_ns: int | None = None,
    *,
    name: str = "simulated",
    storage_options: dict[str, Any] | None = None,
) -> Sample:
    """
    Return depth, quotes and trades of a catalogue as columns.

    Raises
    ------
    InputError
        If the catalogue has no depth for the instrument in that time.

    """

    def read(data_cls: type, names: list[str]) -> dict[str, npt.NDArray[Any]]:
        return read_columns(
            catalog,
            data_cls,
            instrument_id,
            names,
            start_ns=start_ns,
            end_ns=end_ns,
            storage_options=storage_options,
        )

    ladder = [f"{s}_{u}_{i}" for s in ("bid", "ask") for u in ("price", "size") for i in range(DEPTH_LEVELS)]
    book = read(OrderBookDepth10, ["ts_event", *ladder])
    if not len(book["ts_event"]):
        raise InputError(
            f"there is no depth of {instrument_id}", catalog, "a catalogue with OrderBookDepth10"
        )
    quotes = read(QuoteTick, ["ts_event", "bid_price", "ask_price"])
    if not len(quotes["ts_event"]):
        quotes = {
            "ts_event": book["ts_event"],
            "bid_price": book["bid_price_0"],
            "ask_price": book["ask_price_0"],
        }
    trades = read(TradeTick, ["ts_event", "price", "size", "aggressor_side"])
    return _sample(name, book, quotes, trades)


def _sample(
    name: str,
    book: dict[str, npt.NDArray[Any]],
    quotes: dict[str, npt.NDArray[Any]],
    trades: dict[str, npt.NDArray[Any]],
) -> Sample:
    spread = book["ask_price_0"] - book["bid_price_0"]
    return Sample(
        name=name,
        tick=float(np.round(spread[spread > 0].min(), 8)),
        ts=quotes["ts_event"].astype(np.int64),
        bid=quotes["bid_price"],
        ask=quotes["ask_price"],
        book_ts=book["ts_event"].astype(np.int64),
        book_spread=spread,
        top_sizes=np.concatenate([book["bid_size_0"], book["ask_size_0"]]),
        bid_depth=_notional(book, "bid"),
        ask_depth=_notional(book, "ask"),
        trade_ts=trades["ts_event"].astype(np.int64),
        price=trades["price"],
        size=trades["size"],
        side=np.where(trades["aggressor_side"] == 1, 1.0, -1.0),
    )


def _notional(book: dict[str, npt.NDArray[Any]], side: str) -> Floats:
    levels = [book[f"{side}_price_{i}"] * book[f"{side}_size_{i}"] for i in range(DEPTH_LEVELS)]
    return np.asarray(np.sum(levels, axis=0), dtype=np.float64)


def half_of(sample: Sample, *, first: bool) -> Sample:
    """Return the first or the second half of a recording's time, as a recording of its own; it must have sizes."""
    middle = sample.ts[0] + (sample.ts[-1] - sample.ts[0]) // 2

    def kept(times: Ints) -> npt.NDArray[np.bool_]:
        return np.asarray(times < middle if first else times >= middle)

    quotes, books, trades = kept(sample.ts), kept(sample.book_ts), kept(sample.trade_ts)
    bid_depth, ask_depth = (d[books] if len(d) else d for d in (sample.bid_depth, sample.ask_depth))
    return replace(
        sample,
        ts=sample.ts[quotes],
        bid=sample.bid[quotes],
        ask=sample.ask[quotes],
        book_ts=sample.book_ts[books],
        book_spread=sample.book_spread[books],
        top_sizes=sample.top_sizes[np.concatenate([books, books])],
        bid_depth=bid_depth,
        ask_depth=ask_depth,
        trade_ts=sample.trade_ts[trades],
        price=sample.price[trades],
        size=sample.size[trades],
        side=sample.side[trades],
    )
