"""Columns in Nautilus's Arrow schema, and the files a ``ParquetDataCatalog`` reads, written without making an object a row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
import pyarrow.parquet as pq
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price
from nautilus_trader.persistence.funcs import class_to_filename
from nautilus_trader.persistence.funcs import urisafe_identifier
from nautilus_trader.serialization.arrow.schema import NAUTILUS_ARROW_SCHEMA
from nautilus_trader.serialization.arrow.serializer import register_arrow


Ints = npt.NDArray[np.int64]

# how wide the build's fixed-point numbers are: 16 bytes at 16 decimals, or 8 bytes at 9
PRECISION_BYTES: int = int(nautilus_pyo3.PRECISION_BYTES)
FIXED_PRECISION: int = int(nautilus_pyo3.FIXED_PRECISION)

DEPTH_LEVELS = 10
BUYER = 1
SELLER = 2
DAY_NS = 86_400_000_000_000
# small enough that a query of an hour skips the rest of the day, large enough that a whole day reads quickly
ROW_GROUP_ROWS = 10_000
_LARGEST_COUNT = 2**32


@dataclass(frozen=True, slots=True)
class Precision:
    """The instrument id and the decimals of its prices and sizes; integers below are in units of these decimals."""

    instrument_id: str
    price: int
    size: int

    def metadata(self, data_cls: type) -> dict[str, str]:
        """Return what Nautilus keeps beside the columns of one class."""
        if data_cls is FundingRateUpdate:
            return {"instrument_id": self.instrument_id}
        metadata = {"instrument_id": self.instrument_id, "price_precision": str(self.price)}
        if data_cls not in (IndexPriceUpdate, MarkPriceUpdate):
            metadata["size_precision"] = str(self.size)
        return metadata


class CountError(ValueError):
    """A price or size that the stored columns cannot count in ticks or lots."""


def fixed_point(values: npt.NDArray[Any], decimals: int) -> pa.Array:
    """
    Return whole units of ``10**-decimals`` as the build's fixed-size binary numbers.

    Parameters
    ----------
    values : ndarray
        Non-negative integers below 2**32.
    decimals : int
        Decimals of one unit, at most the build's precision.

    Raises
    ------
    CountError
        If a value is negative or too large.
    ValueError
        If the decimals exceed the build's.

    """
    if not 0 <= decimals <= FIXED_PRECISION:
        raise ValueError(f"`decimals` was {decimals}, must be 0 to {FIXED_PRECISION}")
    if len(values) and (int(values.min()) < 0 or int(values.max()) >= _LARGEST_COUNT):
        raise CountError(f"values ran from {values.min()} to {values.max()}, must be within [0, 2**32)")
    units = values.astype(np.uint64)
    scale = 10 ** (FIXED_PRECISION - decimals)
    if PRECISION_BYTES == 8:
        return _binary(units * np.uint64(scale))
    # the 128-bit product, from 32-bit halves of the scale: units < 2**32 keeps each partial product in 64 bits
    low_part = units * np.uint64(scale & 0xFFFFFFFF)
    high_part = units * np.uint64(scale >> 32)
    limbs = np.empty((len(units), 2), dtype="<u8")
    limbs[:, 0] = low_part + (high_part << np.uint64(32))
    limbs[:, 1] = (high_part + (low_part >> np.uint64(32))) >> np.uint64(32)
    return _binary(limbs)


def _binary(raw: npt.NDArray[np.uint64]) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(PRECISION_BYTES), len(raw), [None, pa.py_buffer(np.ascontiguousarray(raw))]
    )


def _table(data_cls: type, precision: Precision, columns: Mapping[str, Any]) -> pa.Table:
    schema = NAUTILUS_ARROW_SCHEMA[data_cls].with_metadata(precision.metadata(data_cls))
    arrays = [
        columns[f.name] if isinstance(columns[f.name], pa.Array) else pa.array(columns[f.name], type=f.type)
        for f in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def depth_table(
    precision: Precision,
    *,
    ts: Ints,
    bid_ticks: Ints,
    bid_lots: Ints,
    ask_ticks: Ints,
    ask_lots: Ints,
    counts: int = 1,
) -> pa.Table:
    """
    Return ``OrderBookDepth10`` columns.

    Parameters
    ----------
    precision : Precision
        Instrument and decimals.
    ts : ndarray
        Exchange times in ns, not decreasing; received at the same time.
    bid_ticks, bid_lots, ask_ticks, ask_lots : ndarray
        Ten columns each, best level first; one row a time.
    counts : int, default 1
        Orders at each level, where the source does not say.

    """
    rows = len(ts)
    orders = pa.array(np.full(rows, counts, dtype=np.uint32))
    columns: dict[str, Any] = {}
    for i in range(DEPTH_LEVELS):
        columns[f"bid_price_{i}"] = fixed_point(bid_ticks[:, i], precision.price)
        columns[f"ask_price_{i}"] = fixed_point(ask_ticks[:, i], precision.price)
        columns[f"bid_size_{i}"] = fixed_point(bid_lots[:, i], precision.size)
        columns[f"ask_size_{i}"] = fixed_point(ask_lots[:, i], precision.size)
        columns[f"bid_count_{i}"] = orders
        columns[f"ask_count_{i}"] = orders
    columns["flags"] = np.zeros(rows, dtype=np.uint8)
    columns["sequence"] = np.zeros(rows, dtype=np.uint64)
    columns["ts_event"] = columns["ts_init"] = ts.astype(np.uint64)
    return _table(OrderBookDepth10, precision, columns)


def quote_table(
    precision: Precision,
    *,
    ts: Ints,
    bid_ticks: Ints,
    bid_lots: Ints,
    ask_ticks: Ints,
    ask_lots: Ints,
    ts_init: Ints | None = None,
) -> pa.Table:
    """Return ``QuoteTick`` columns; ``ts_init`` defaults to the exchange time."""
    columns = {
        "bid_price": fixed_point(bid_ticks, precision.price),
        "ask_price": fixed_point(ask_ticks, precision.price),
        "bid_size": fixed_point(bid_lots, precision.size),
        "ask_size": fixed_point(ask_lots, precision.size),
        "ts_event": ts.astype(np.uint64),
        "ts_init": (ts if ts_init is None else ts_init).astype(np.uint64),
    }
    return _table(QuoteTick, precision, columns)


def trade_table(
    precision: Precision,
    *,
    ts: Ints,
    ticks: Ints,
    lots: Ints,
    aggressor: Ints,
    trade_ids: Any,
    ts_init: Ints | None = None,
) -> pa.Table:
    """Return ``TradeTick`` columns; ``aggressor`` is +1 where the taker bought, -1 where it sold; ids are integers or strings."""
    columns = {
        "price": fixed_point(ticks, precision.price),
        "size": fixed_point(lots, precision.size),
        "aggressor_side": np.where(aggressor > 0, BUYER, SELLER).astype(np.uint8),
        "trade_id": pc.cast(pa.array(trade_ids), pa.string()),
        "ts_event": ts.astype(np.uint64),
        "ts_init": (ts if ts_init is None else ts_init).astype(np.uint64),
    }
    return _table(TradeTick, precision, columns)


def delta_table(
    precision: Precision,
    *,
    ts: Ints,
    action: Ints,
    side: Ints,
    ticks: Ints,
    lots: Ints,
    flags: Ints,
    ts_init: Ints | None = None,
) -> pa.Table:
    """Return ``OrderBookDelta`` columns; ``action``, ``side`` and ``flags`` are Nautilus's numbers, order ids and sequence zero."""
    zeros = np.zeros(len(ts), dtype=np.uint64)
    columns = {
        "action": action.astype(np.uint8),
        "side": side.astype(np.uint8),
        "price": fixed_point(ticks, precision.price),
        "size": fixed_point(lots, precision.size),
        "order_id": zeros,
        "flags": flags.astype(np.uint8),
        "sequence": zeros,
        "ts_event": ts.astype(np.uint64),
        "ts_init": (ts if ts_init is None else ts_init).astype(np.uint64),
    }
    return _table(OrderBookDelta, precision, columns)


def price_table(data_cls: type, precision: Precision, *, ts: Ints, ticks: Ints) -> pa.Table:
    """Return ``IndexPriceUpdate`` or ``MarkPriceUpdate`` columns."""
    times = ts.astype(np.uint64)
    columns = {"value": fixed_point(ticks, precision.price), "ts_event": times, "ts_init": times}
    return _table(data_cls, precision, columns)


def funding_table(
    precision: Precision, *, ts: Ints, rates: list[Decimal], interval_minutes: int = 60
) -> pa.Table:
    """Return ``FundingRateUpdate`` columns; the next funding is one interval after each."""
    times = ts.astype(np.uint64)
    columns = {
        "rate": pa.array([msgspec.json.encode(str(rate)) for rate in rates], type=pa.binary()),
        "interval": np.full(len(ts), interval_minutes, dtype=np.uint16),
        "next_funding_ns": times + np.uint64(interval_minutes * 60_000_000_000),
        "ts_event": times,
        "ts_init": times,
    }
    return _table(FundingRateUpdate, precision, columns)


def _read_index_prices(table: pa.Table | pa.RecordBatch) -> list[IndexPriceUpdate]:
    metadata = table.schema.metadata
    instrument_id = InstrumentId.from_str(metadata[b"instrument_id"].decode())
    decimals = int(metadata[b"price_precision"])
    columns = (table.column(name).to_pylist() for name in ("value", "ts_event", "ts_init"))
    return [
        IndexPriceUpdate(
            instrument_id,
            Price.from_raw(int.from_bytes(v, "little", signed=True), decimals),
            ts_event,
            ts_init,
        )
        for v, ts_event, ts_init in zip(*columns, strict=True)
    ]


def _read_funding_rates(table: pa.Table | pa.RecordBatch) -> list[FundingRateUpdate]:
    instrument_id = InstrumentId.from_str(table.schema.metadata[b"instrument_id"].decode())
    return [
        FundingRateUpdate(
            instrument_id=instrument_id,
            rate=Decimal(msgspec.json.decode(row["rate"])),
            ts_event=row["ts_event"],
            ts_init=row["ts_init"],
            interval=row["interval"],
            next_funding_ns=row["next_funding_ns"],
        )
        for row in table.to_pylist()
    ]


# the engine writes index prices but has no reader for them (ArrowSerializer raises NotImplementedError in 1.231)
register_arrow(IndexPriceUpdate, NAUTILUS_ARROW_SCHEMA[IndexPriceUpdate], decoder=_read_index_prices)
# its own reader of funding rates leaves the rate a string, where the class says Decimal
register_arrow(FundingRateUpdate, NAUTILUS_ARROW_SCHEMA[FundingRateUpdate], decoder=_read_funding_rates)


class CatalogWriter:
    """
    Write tables as the files of a ``ParquetDataCatalog``, each whole or not at all.

    Parameters
    ----------
    root : str
        The catalog's folder or fsspec URL; created when it is missing.
    storage_options : Mapping, optional
        Options of the file system, as fsspec takes them.

    """

    def __init__(self, root: str, storage_options: Mapping[str, Any] | None = None) -> None:
        url = root if "://" in root else str(Path(root).resolve())
        self._fs, path = fsspec.url_to_fs(url, **dict(storage_options or {}))
        self._root = path.rstrip("/")
        protocol = self._fs.protocol
        self._local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def directory(self, data_cls: type, instrument_id: str) -> str:
        """Return the folder of one class and instrument, named as Nautilus names it."""
        return f"{self._root}/data/{class_to_filename(data_cls)}/{urisafe_identifier(instrument_id)}"

    @property
    def filesystem(self) -> Any:
        """The fsspec file system of the root."""
        return self._fs

    def files(self, data_cls: type, instrument_id: str) -> list[str]:
        """Return the finished files of one class and instrument, in time order."""
        folder = self.directory(data_cls, instrument_id)
        if not self._fs.exists(folder):
            return []
        return sorted(str(p) for p in self._fs.ls(folder, detail=False) if str(p).endswith(".parquet"))

    def write(self, data_cls: type, precision: Precision, table: pa.Table) -> str | None:
        """
        Write one table, and return the file's path; None for a table without rows.

        Files of the same class and instrument that begin on the same UTC day are replaced, so a repeated run leaves one
        copy. On a local disk the file is written under another name and renamed; an object store puts an object whole.
        """
        return self.write_parts(data_cls, precision, iter([table]))

    def write_parts(self, data_cls: type, precision: Precision, tables: Iterator[pa.Table]) -> str | None:
        """Write tables that follow each other as one file, holding one at a time; None when there are no rows."""
        sink = BytesIO()
        parquet: pq.ParquetWriter | None = None
        first = last = 0
        for table in tables:
            if table.num_rows == 0:
                continue
            if parquet is None:
                parquet = pq.ParquetWriter(sink, table.schema, **_COMPRESSION)
                first = int(table["ts_init"][0].as_py())
            last = int(table["ts_init"][table.num_rows - 1].as_py())
            parquet.write_table(table, row_group_size=ROW_GROUP_ROWS)
        if parquet is None:
            return None
        parquet.close()
        folder = self.directory(data_cls, precision.instrument_id)
        self._fs.makedirs(folder, exist_ok=True)
        name = f"{_file_time(first)}_{_file_time(last)}.parquet"
        self._put(f"{folder}/{name}", sink)
        self._remove_others(folder, keep=name, day=_file_time(first)[:10])
        return f"{folder}/{name}"

    def _put(self, target: str, content: BytesIO) -> None:
        if not self._local:
            self._fs.pipe_file(target, content.getvalue())
            return
        partial = Path(target).with_name(f".{Path(target).name}.{os.getpid()}.partial")
        with partial.open("wb") as out:
            out.write(content.getbuffer())
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)

    def _remove_others(self, folder: str, *, keep: str, day: str) -> None:
        self._fs.invalidate_cache(folder)
        for path in self._fs.ls(folder, detail=False):
            name = str(path).rsplit("/", 1)[-1]
            if name != keep and name.startswith(day) and name.endswith(".parquet"):
                self._fs.rm(path)


# prices and sizes hardly repeat within a row group, so a dictionary only costs time; level 1 is the fastest zstd
_COMPRESSION: dict[str, Any] = {
    "use_dictionary": False,
    "compression": "zstd",
    "compression_level": 1,
    "write_page_checksum": True,
}


def _file_time(ts_ns: int) -> str:
    return str(unix_nanos_to_iso8601(ts_ns)).replace(":", "-").replace(".", "-")


def decode_fixed(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return fixed-size binary numbers as floats; exact to 15 figures."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = []
    for chunk in chunks:
        if not len(chunk):
            continue
        raw = np.frombuffer(chunk.buffers()[1], dtype=np.uint8)
        raw = raw[chunk.offset * PRECISION_BYTES : (chunk.offset + len(chunk)) * PRECISION_BYTES]
        limbs = raw.view("<u8").reshape(len(chunk), -1)
        value = limbs[:, 0].astype(np.float64)
        if limbs.shape[1] > 1:
            value += limbs[:, 1].astype(np.float64) * 2.0**64
        parts.append(value / 10.0**FIXED_PRECISION)
    return np.concatenate(parts) if parts else np.zeros(0)


def read_columns(
    root: str,
    data_cls: type,
    instrument_id: str,
    names: list[str],
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """
    Return columns of a catalogue without making an object a row; empty arrays where there is no such data.

    Prices and sizes come back as floats, other columns as they are. Rows are those with ``start <= ts_init < end``.
    """
    writer = CatalogWriter(root, storage_options)
    paths = writer.files(data_cls, instrument_id)
    if not paths:
        return {name: np.zeros(0) for name in names}
    condition = None
    if start_ns is not None:
        condition = pds.field("ts_init") >= pa.scalar(start_ns, pa.uint64())
    if end_ns is not None:
        before = pds.field("ts_init") < pa.scalar(end_ns, pa.uint64())
        condition = before if condition is None else condition & before
    table = pds.dataset(paths, filesystem=writer.filesystem).to_table(columns=names, filter=condition)
    return {
        name: decode_fixed(table[name])
        if pa.types.is_fixed_size_binary(table[name].type)
        else table[name].to_numpy()
        for name in names
    }
