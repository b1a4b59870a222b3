"""Nautilus's Arrow tables: where they lie in a catalogue, how two of one stream are joined."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.persistence.funcs import class_to_filename
from nautilus_trader.persistence.funcs import urisafe_identifier
from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

from amm500_catalog.errors import InputError


# in the order handed out at one time (dataset.py says why)
STREAM_CLASSES: Final[tuple[type, ...]] = (
    FundingRateUpdate,
    IndexPriceUpdate,
    MarkPriceUpdate,
    TradeTick,
    OrderBookDepth10,
    OrderBookDelta,
    QuoteTick,
    Bar,
)
# rows of these are told apart by a key; the others replace whatever the catalogue has of the same span
ROW_KEYS: Final[dict[type, str]] = {
    Bar: "ts_event",
    FundingRateUpdate: "ts_event",
    IndexPriceUpdate: "ts_event",
    MarkPriceUpdate: "ts_event",
    TradeTick: "trade_id",
}
FIXED_SCALE: Final = 1e16
FLOAT_DECIMALS: Final = 9
# with a checksum of each page, which a check and a further import verify
WRITING: Final[dict[str, Any]] = {"row_group_size": 5_000, "compression": "zstd", "write_page_checksum": True}


@dataclass(frozen=True, slots=True)
class StreamTable:
    """
    Rows of one stream in Nautilus's Arrow schema, in ``ts_init`` order.

    Parameters
    ----------
    data_cls : type
        The Nautilus class of the rows, for example ``TradeTick``.
    identifier : str
        The instrument id, or the bar type of bars.
    table : pyarrow.Table
        The rows, with the schema metadata that Nautilus's decoder reads.

    """

    data_cls: type
    identifier: str
    table: pa.Table

    @property
    def folder(self) -> str:
        """The stream's folder, relative to a catalogue's root."""
        return stream_folder(self.data_cls, self.identifier)

    @property
    def start_ns(self) -> int:
        """The first ``ts_init``."""
        return int(self.table.column("ts_init")[0].as_py())

    @property
    def end_ns(self) -> int:
        """The last ``ts_init``."""
        return int(self.table.column("ts_init")[-1].as_py())

    @property
    def file_name(self) -> str:
        """The file's name: first and last ``ts_init``, as Nautilus writes it."""
        return file_name(self.start_ns, self.end_ns)


def stream_table(objects: Sequence[Any], identifier: str, data_cls: type | None = None) -> StreamTable:
    """
    Return the table of Nautilus objects of one class.

    Parameters
    ----------
    objects : Sequence
        At least one object; ``ts_init`` must not decrease.
    identifier : str
        The instrument id, or the bar type of bars.
    data_cls : type, optional
        The class, when it is not that of the first object.

    Raises
    ------
    InputError
        If there is no object, or they are out of order.

    """
    if not objects:
        raise InputError("there are no rows", identifier, "at least one row")
    cls = data_cls or type(objects[0])
    times = np.fromiter((item.ts_init for item in objects), dtype=np.int64, count=len(objects))
    if (np.diff(times) < 0).any():
        row = int(np.flatnonzero(np.diff(times) < 0)[0]) + 1
        raise InputError(
            f"row {row + 1} is earlier than the row before", f"{cls.__name__} {identifier}", "time order"
        )
    table = ArrowSerializer().serialize_batch(list(objects), data_cls=cls)
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    return StreamTable(cls, identifier, table)


def stream_folder(data_cls: type, identifier: str) -> str:
    """Return a stream's folder, relative to a catalogue's root."""
    return f"data/{class_to_filename(data_cls)}/{urisafe_identifier(identifier)}"


def file_name(start_ns: int, end_ns: int) -> str:
    """Return the name Nautilus gives a file of this span."""
    first, last = (unix_nanos_to_iso8601(ts).replace(":", "-").replace(".", "-") for ts in (start_ns, end_ns))
    return f"{first}_{last}.parquet"


def parse_file_name(name: str) -> tuple[int, int] | None:
    """Return the span a file's name states, in ns UTC; None when it is not such a name."""
    stem, dot, suffix = name.rpartition(".")
    first, under, last = stem.partition("_")
    if not dot or suffix != "parquet" or not under:
        return None
    try:
        return _parse_stamp(first), _parse_stamp(last)
    except ValueError:
        return None


def _parse_stamp(text: str) -> int:
    day, t, clock = text.partition("T")
    parts = clock.rstrip("Z").split("-")
    if not t or len(parts) != 4:
        raise ValueError(f"{text!r} is no file time")
    hours, minutes, seconds, nanos = parts
    return int(pd.Timestamp(f"{day}T{hours}:{minutes}:{seconds}.{nanos}Z").value)


def decimals(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """
    Return a column of Nautilus's 16-byte fixed-point numbers as float64, rounded to nine decimals.

    A float64 holds every price and size of the venue to its last decimal.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if len(array) == 0:
        return np.empty(0)
    lanes = np.frombuffer(array.buffers()[1], dtype="<u8")[2 * array.offset : 2 * (array.offset + len(array))]
    low, high = lanes[0::2], lanes[1::2].view("<i8")
    # the two halves are scaled apart, so that neither loses what the other holds
    values = high.astype(np.float64) * (2.0**64 / FIXED_SCALE) + low.astype(np.float64) / FIXED_SCALE
    result: np.ndarray = np.round(values, FLOAT_DECIMALS)
    return result


def merge_tables(old: Sequence[pa.Table], new: StreamTable) -> tuple[pa.Table, int]:
    """
    Return the stored rows joined with new ones, and how many stored rows were revised.

    Rows with a key (bars by time, trades by id) are joined one by one, the newer standing where both have it; a book or a quote
    stream replaces what is stored of its span, since a snapshot means nothing beside another recording's.

    Parameters
    ----------
    old : Sequence of pyarrow.Table
        Stored tables whose spans overlap the new one.
    new : StreamTable
        What an import brings.

    """
    schema = new.table.schema
    stored = pa.concat_tables([table.replace_schema_metadata(schema.metadata).cast(schema) for table in old])
    times = stored.column("ts_init").to_numpy()
    key = ROW_KEYS.get(new.data_cls)
    revised = 0
    if key is None:
        keep = (times < new.start_ns) | (times > new.end_ns)
    else:
        fresh = {value: row for row, value in enumerate(new.table.column(key).to_pylist())}
        keys = stored.column(key).to_pylist()
        keep = np.fromiter((value not in fresh for value in keys), dtype=bool, count=len(keys))
        both = np.flatnonzero(~keep)
        if len(both):
            theirs = stored.take(pa.array(both))
            ours = new.table.take(pa.array([fresh[keys[int(row)]] for row in both]))
            revised = _count_differences(theirs, ours)
    joined = pa.concat_tables([stored.filter(pa.array(keep)), new.table])
    order = np.argsort(joined.column("ts_init").to_numpy(), kind="stable")
    return joined.take(pa.array(order)), revised


def _count_differences(left: pa.Table, right: pa.Table) -> int:
    differs = np.zeros(len(left), dtype=bool)
    for name in left.column_names:
        a, b = left.column(name).to_pylist(), right.column(name).to_pylist()
        differs |= np.fromiter((x != y for x, y in zip(a, b, strict=True)), dtype=bool, count=len(a))
    return int(differs.sum())
