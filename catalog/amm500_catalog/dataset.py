"""
Data of one run out of the catalogue, in time order and a few hours at a time.

At one ``ts_init`` the order is: funding, oracle, mark, trades, depth or deltas, quotes, bars. A trade prints against the book before
the depth that reflects it: the venue stamps a block's trades and the book after that block with the same time, and a resting order
must meet the trade in the queue it really stood in. The touch comes after the depth, so that whoever acts on it finds the book
of that time in the engine.
"""

import contextlib
from bisect import bisect_left
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.core.nautilus_pyo3 import DataBackendSession
from nautilus_trader.core.nautilus_pyo3 import NautilusDataType
from nautilus_trader.core.nautilus_pyo3 import drop_cvec_pycapsule
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.data import capsule_to_list
from nautilus_trader.model.enums import RecordFlag
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import FIXED_PRECISION
from nautilus_trader.model.objects import Price
from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

from amm500_catalog.completeness import missing_rows
from amm500_catalog.errors import InputError
from amm500_catalog.errors import unreadable_file
from amm500_catalog.held import HeldFiles
from amm500_catalog.shapes import sessions_of
from amm500_catalog.shapes import table_of
from amm500_catalog.shapes import texts_of
from amm500_catalog.shapes import whole_of
from amm500_catalog.spec import DatasetInfo
from amm500_catalog.storage import StoredFile
from amm500_catalog.store import DATASET_FILE
from amm500_catalog.store import DATASETS
from amm500_catalog.store import SIMULATED
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import STREAM_CLASSES
from amm500_catalog.validate import utc_text


# rows decoded at a time: 5,000 depth messages are 14 MB and 42 minutes of a book every half second
CHUNK_ROWS: Final[dict[type, int]] = {OrderBookDepth10: 5_000, OrderBookDelta: 20_000}
DEFAULT_CHUNK_ROWS: Final = 10_000
# the decoder runs ahead of its reader without a bound, so a session is asked for no more than this of a file
SESSION_ROWS: Final = 30_000
DEPTH_SESSION_ROWS: Final = 5_000
# rows read at a time to verify their pages
VERIFIED_ROWS: Final = 1_000

RUST_TYPES: Final = {
    OrderBookDepth10: NautilusDataType.OrderBookDepth10,
    OrderBookDelta: NautilusDataType.OrderBookDelta,
    QuoteTick: NautilusDataType.QuoteTick,
    TradeTick: NautilusDataType.TradeTick,
    MarkPriceUpdate: NautilusDataType.MarkPriceUpdate,
    Bar: NautilusDataType.Bar,
}
F_LAST: Final = int(RecordFlag.F_LAST)
# what every manifest and ``dataset.json`` must say
REQUIRED: Final = ("instrument_id", "source", "start_ns", "end_ns", "sessions")
# DataFusion spreads a filtered scan over the processors and merges by `ts_init`, which shuffles the 41 rows of a snapshot that share
# one time; a single partition keeps the order of the file
ONE_PARTITION: Final = "SET datafusion.execution.target_partitions = 1"

_ts_init = attrgetter("ts_init")
# a file's path, the class of its rows, the span [start, end), and the feed's latency
Decoder = Callable[[str, type, int, int, int], Iterator[list[Any]]]


@dataclass(frozen=True, slots=True)
class CatalogDataset:
    """
    A :class:`~amm500_catalog.spec.Dataset` read from the catalogue.

    Parameters
    ----------
    store : CatalogStore
        The catalogue.
    info : DatasetInfo
        What the dataset is.
    instrument : Instrument
        The instrument's definition.
    label : str, optional
        The simulated dataset; real data when absent.
    classes : tuple of type, optional
        The streams handed out; every one the catalogue has, bars left out, when absent.
    reference_id : str, optional
        Another instrument of the dataset whose best bids and offers are handed out too (the liquid twin).
    feed_latency_ns : int, default 0
        Added to every ``ts_init``: how much later than the exchange's time a message arrives.

    """

    store: CatalogStore
    info: DatasetInfo
    instrument: Instrument
    label: str | None = None
    classes: tuple[type, ...] | None = None
    reference_id: str | None = None
    feed_latency_ns: int = 0

    def __post_init__(self) -> None:
        if self.feed_latency_ns < 0:
            raise InputError(f"`feed_latency_ns` is {self.feed_latency_ns}", self.info.name, "zero or more")

    def with_latency(self, feed_latency_ns: int) -> "CatalogDataset":
        """Return the same data arriving this much later than the exchange's time."""
        return replace(self, feed_latency_ns=feed_latency_ns)

    def batches(self, start_ns: int | None = None, end_ns: int | None = None) -> Iterator[list[Any]]:
        """
        Yield lists of Nautilus objects in ``ts_init`` order, about half an hour to a few hours each.

        Parameters
        ----------
        start_ns, end_ns : int, optional
            The span [start, end) of the recorded ``ts_init``, before any feed latency; the dataset's own when absent.

        Raises
        ------
        InputError
            If the end is not after the start, or a stored file is damaged.

        """
        start = self.info.start_ns if start_ns is None else start_ns
        end = self.info.end_ns if end_ns is None else end_ns
        if end <= start:
            raise InputError(
                f"the end {utc_text(end)} is not after the start {utc_text(start)}",
                self.info.name,
                "an end after the start",
            )
        wanted = self.classes or tuple(cls for cls in STREAM_CLASSES if cls is not Bar)
        own = self.info.instrument_id
        kinds = [(cls, own) for cls in STREAM_CLASSES if cls in wanted]
        if self.reference_id is not None:
            # first: whoever quotes on the twin's word has it by then
            kinds.insert(0, (QuoteTick, self.reference_id))
        with self._settled() as held:
            files = [(cls, self._files(cls, name, start, end, held)) for cls, name in kinds]
        # all of them before the first is used: a run of an hour does not end at its last day
        for _, paths in files:
            for path in paths:
                require_unchanged(path, held.name(path))
        return _holding(held, [self._stream(cls, paths, start, end, held) for cls, paths in files])

    def bars(self, bar_type: str) -> list[Bar]:
        """Return the stored bars of a type, all of them."""
        chunks: list[Bar] = []
        with self._settled() as held:
            files = self.store.files(Bar, bar_type, self.label)
            paths = [held.hold(self.store.local_path(file)) for file in files]
        for path in paths:
            require_unchanged(path, held.name(path))
            for chunk in _decode(path, Bar, 0, 2**63 - 1, 0, held.name(path)):
                chunks.extend(chunk)
        held.release()
        return chunks

    def reference_instrument(self) -> Instrument:
        """
        Return the twin's definition.

        Raises
        ------
        InputError
            If the dataset has no such instrument, or its definition cannot be read.

        """
        found = stored_instruments(self.store, self.label, str(self.reference_id))
        if not found:
            raise InputError(
                f"the dataset has no quotes of {self.reference_id}",
                self.info.name,
                "a dataset simulated with a twin",
            )
        return max(found, key=_ts_init)

    @contextlib.contextmanager
    def _settled(self) -> Iterator[HeldFiles]:
        """Give what holds files, while no import moves them: what is listed here belongs together."""
        held = HeldFiles(Path(self.store.root) if self.store.is_local else None)
        if self.label is None and held.is_holding:
            with self.store.lock():
                yield held
        else:
            # nothing is ever added to a simulated dataset
            yield held

    def _files(self, cls: type, instrument_id: str, start: int, end: int, held: HeldFiles) -> list[str]:
        """Return the held paths on this machine of the files that have rows of a span."""
        files = self.store.files(cls, instrument_id, self.label)
        chosen = [file for file in files if file.start_ns < end and file.end_ns >= start]
        _require_disjoint(chosen)
        return [held.hold(self.store.local_path(file)) for file in chosen]

    def _stream(
        self, cls: type, paths: Sequence[str], start: int, end: int, held: HeldFiles
    ) -> Iterator[list[Any]]:
        latency = self.feed_latency_ns
        chunks = (
            chunk for path in paths for chunk in _decode(path, cls, start, end, latency, held.name(path))
        )
        return _batched_deltas(chunks) if cls is OrderBookDelta else chunks


def open_simulated(store: CatalogStore, label: str, **options: Any) -> CatalogDataset:
    """
    Return a simulated dataset by its label.

    Parameters
    ----------
    store : CatalogStore
        The catalogue.
    label : str
        The dataset's label.
    **options : Any
        ``classes`` and ``feed_latency_ns`` of :class:`CatalogDataset`.

    Raises
    ------
    InputError
        If there is no such dataset, or it is damaged.

    """
    meta = store.meta(label)
    if meta is None:
        _require_readable(store, f"{SIMULATED}/{label}/{DATASET_FILE}")
        raise InputError(
            f"there is no simulated dataset {label!r}", store.url, ", ".join(store.labels()) or "none yet"
        )
    return _open(store, meta, label=label, name=label, **options)


def open_recorded(store: CatalogStore, name: str, **options: Any) -> CatalogDataset:
    """
    Return a real import by its name.

    Raises
    ------
    InputError
        If there is no such import, or it is damaged.

    """
    manifest = store.manifest(name)
    if manifest is None:
        _require_readable(store, f"{DATASETS}/{name}.json")
        raise InputError(
            f"there is no import {name!r}", store.url, ", ".join(store.manifests()) or "none yet"
        )
    return _open(store, manifest, label=None, name=name, **options)


def _require_readable(store: CatalogStore, path: str) -> None:
    if path in store.unreadable():
        raise InputError("the file holds no JSON object", f"{store.url}/{path}", "what an import wrote")


def info_from_meta(meta: dict[str, Any], *, name: str, catalog: str) -> DatasetInfo:
    """
    Return what a manifest or ``dataset.json`` says a dataset is.

    Raises
    ------
    InputError
        If it leaves out what a dataset must say, or says it in another form.

    """
    if absent := [key for key in REQUIRED if key not in meta]:
        raise InputError(f"what is stored of {name} lacks `{absent[0]}`", catalog, ", ".join(REQUIRED))
    where = f"what {catalog} states of {name}"
    return DatasetInfo(
        name=name,
        catalog=catalog,
        instrument_id=str(meta["instrument_id"]),
        source=str(meta["source"]),
        simulated=bool(meta.get("simulated", False)),
        start_ns=whole_of(meta, "start_ns", where),
        end_ns=whole_of(meta, "end_ns", where),
        sessions=sessions_of(meta, where),
        streams=texts_of(meta, "stream_names", where),
        bars_simulated=bool(meta.get("bars_simulated", False)),
        description=str(meta.get("description", "")),
        defaults=texts_of(meta, "defaults", where),
        params=dict(table_of(meta, "params", where)),
    )


def meta_from_info(info: DatasetInfo) -> dict[str, Any]:
    """Return what goes into a manifest or ``dataset.json``, the reverse of :func:`info_from_meta`."""
    return {
        "instrument_id": info.instrument_id,
        "source": info.source,
        "simulated": info.simulated,
        "start_ns": info.start_ns,
        "end_ns": info.end_ns,
        "sessions": [list(span) for span in info.sessions],
        "stream_names": list(info.streams),
        "bars_simulated": info.bars_simulated,
        "description": info.description,
        "defaults": list(info.defaults),
        "params": dict(info.params),
    }


def _open(
    store: CatalogStore, meta: dict[str, Any], *, label: str | None, name: str, **options: Any
) -> CatalogDataset:
    info = info_from_meta(meta, name=name, catalog=store.url)
    if missing := missing_rows(store, meta, label):
        raise InputError(
            f"a part of {name} is gone: {missing[0]}",
            store.base(label),
            "a dataset with all its files; delete it and make or import it again",
        )
    found = stored_instruments(store, label, info.instrument_id)
    if not found:
        raise InputError(
            f"the instrument {info.instrument_id} is not stored", store.url, "a dataset with its instrument"
        )
    return CatalogDataset(store, info, max(found, key=_ts_init), label=label, **options)


def stored_instruments(store: CatalogStore, label: str | None, instrument_id: str) -> list[Instrument]:
    """
    Return the stored definitions of an instrument.

    Raises
    ------
    InputError
        If one cannot be read.

    """
    try:
        found: list[Instrument] = store.catalog(label).instruments(instrument_ids=[instrument_id])
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as e:
        raise InputError(
            f"the stored definition of {instrument_id} is damaged or half-written",
            store.base(label),
            "a complete Parquet file; delete the dataset and make or import it again",
        ) from e
    return found


def _holding(held: HeldFiles, streams: Sequence[Iterator[list[Any]]]) -> Iterator[list[Any]]:
    """Yield the streams as one, and give up their files after the last."""
    try:
        yield from merge_streams(streams)
    finally:
        held.release()


def merge_streams(streams: Sequence[Iterator[list[Any]]]) -> Iterator[list[Any]]:
    """
    Yield the chunks of several ordered streams as one; at one ``ts_init`` an earlier stream comes first.

    Each yielded list ends before the next begins. Only a chunk or two of each stream is held at a time.
    """
    waiting = [_Waiting(stream) for stream in streams]
    while True:
        for stream in waiting:
            if not stream.items:
                stream.refill()
        # up to here every stream is known; at the bound itself a stream may have more in its next chunk
        bound = min((stream.items[-1].ts_init for stream in waiting if not stream.done), default=None)
        parts = [part for stream in waiting if (part := stream.take_before(bound))]
        if parts:
            if len(parts) == 1:
                yield parts[0]
            else:
                merged = [item for part in parts for item in part]
                merged.sort(key=_ts_init)
                yield merged
        if bound is None:
            return
        for stream in waiting:
            if stream.items and not stream.done and stream.items[-1].ts_init == bound:
                stream.refill()


class _Waiting:
    """The chunk of a stream that is not handed out yet."""

    def __init__(self, chunks: Iterator[list[Any]]) -> None:
        self.chunks = chunks
        self.items: list[Any] = []
        self.done = False

    def refill(self) -> None:
        while not self.done:
            chunk = next(self.chunks, None)
            if chunk is None:
                self.done = True
            elif chunk:
                self.items = [*self.items, *chunk] if self.items else chunk
                return

    def take_before(self, bound: int | None) -> list[Any]:
        if bound is None:
            taken, self.items = self.items, []
            return taken
        cut = bisect_left(self.items, bound, key=_ts_init)
        taken, self.items = self.items[:cut], self.items[cut:]
        return taken


def _require_disjoint(files: Sequence[StoredFile]) -> None:
    for before, after in pairwise(files):
        if after.start_ns <= before.end_ns:
            raise InputError(
                f"two stored files overlap: {before.path.rpartition('/')[2]} and {after.path.rpartition('/')[2]}",
                before.path.rpartition("/")[0],
                "files that follow one another; `amm500 catalog check` names them",
            )


def _decode(path: str, cls: type, start: int, end: int, latency_ns: int, name: str) -> Iterator[list[Any]]:
    decode: Decoder = _decode_rust
    if cls not in RUST_TYPES:
        decode = _decode_index_prices if cls is IndexPriceUpdate else _decode_funding
    try:
        yield from decode(path, cls, start, end, latency_ns)
    except (pa.ArrowException, OSError, RuntimeError) as e:
        raise unreadable_file(name, e) from e


def require_unchanged(path: str, name: str | None = None) -> None:
    """
    Read a stored file, and refuse one of which a page is not as it was written.

    The engine's reader does not look at the checksums of pages, and ends the process at what it cannot make sense of. ``name`` is what
    the file is called in an error, where that is not its path.

    Raises
    ------
    InputError
        If a page was changed, or the file is no readable Parquet file.

    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for _ in file.iter_batches(VERIFIED_ROWS, use_threads=False):
                pass
    except (pa.ArrowException, OSError) as e:
        raise unreadable_file(name or path, e) from e
    finally:
        # what it was read into is not wanted again soon
        pa.default_memory_pool().release_unused()


def _decode_rust(path: str, cls: type, start: int, end: int, latency_ns: int) -> Iterator[list[Any]]:
    metadata = pq.read_metadata(path)
    first, last = _span(metadata)
    low, high = max(start, first), min(end, last + 1)
    pieces = max(
        1, -(-metadata.num_rows // (DEPTH_SESSION_ROWS if cls is OrderBookDepth10 else SESSION_ROWS))
    )
    edges = [low + (high - low) * piece // pieces for piece in range(pieces)] + [high]
    for begin, finish in pairwise(edges):
        if begin < finish:
            yield from _decode_session(path, cls, begin, finish, latency_ns)


def _span(metadata: pq.FileMetaData) -> tuple[int, int]:
    """Return the first and last ``ts_init`` out of the statistics; all of time where a writer left them out."""
    column = metadata.schema.names.index("ts_init")
    groups = [metadata.row_group(i).column(column).statistics for i in range(metadata.num_row_groups)]
    if not groups or any(group is None or not group.has_min_max for group in groups):
        return 0, 2**63 - 2
    return int(min(group.min for group in groups)), int(max(group.max for group in groups))


def _decode_session(path: str, cls: type, start: int, end: int, latency_ns: int) -> Iterator[list[Any]]:
    columns = f"* REPLACE (arrow_cast(ts_init + {latency_ns}, 'UInt64') AS ts_init)" if latency_ns else "*"
    query = f"SELECT {columns} FROM rows WHERE ts_init >= {start} AND ts_init < {end}"  # noqa: S608 -- integers only
    session = DataBackendSession(CHUNK_ROWS.get(cls, DEFAULT_CHUNK_ROWS))
    session.add_file(RUST_TYPES[cls], "setup", path, ONE_PARTITION)
    session.add_file(RUST_TYPES[cls], "rows", path, f"{query} ORDER BY ts_init")
    for capsule in session.to_query_result():
        items = capsule_to_list(capsule)
        drop_cvec_pycapsule(capsule)
        yield items


def _batched_deltas(chunks: Iterator[list[Any]]) -> Iterator[list[Any]]:
    pending: list[OrderBookDelta] = []
    for chunk in chunks:
        done = []
        for delta in chunk:
            pending.append(delta)
            if delta.flags & F_LAST:
                done.append(OrderBookDeltas(delta.instrument_id, pending))
                pending = []
        yield done
    if pending:
        raise InputError(
            f"{len(pending)} book changes at {utc_text(pending[0].ts_init)} have no end",
            str(pending[0].instrument_id),
            "every batch of deltas ends with the flag F_LAST",
        )


def _decode_index_prices(path: str, _cls: type, start: int, end: int, latency_ns: int) -> Iterator[list[Any]]:
    file = pq.ParquetFile(path)
    try:
        metadata = file.schema_arrow.metadata
        instrument_id = InstrumentId.from_str(metadata[b"instrument_id"].decode())
        precision = int(metadata[b"price_precision"])
        for batch in file.iter_batches(DEFAULT_CHUNK_ROWS):
            inits = batch.column("ts_init").to_numpy()
            rows = np.flatnonzero((inits >= start) & (inits < end))
            if len(rows):
                part = batch.slice(int(rows[0]), int(rows[-1] - rows[0]) + 1)
                raws = _raw_values(part.column("value"))
                yield [
                    IndexPriceUpdate(instrument_id, Price.from_raw(raw, precision), event, init + latency_ns)
                    for raw, event, init in zip(
                        raws,
                        part.column("ts_event").to_pylist(),
                        part.column("ts_init").to_pylist(),
                        strict=True,
                    )
                ]
    finally:
        file.close()


def _raw_values(column: Any) -> list[int]:
    """Return the fixed-point integers of a 16-byte column, which no numpy type holds."""
    return [int.from_bytes(value, "little", signed=True) for value in column.to_pylist()]


def _decode_funding(path: str, _cls: type, start: int, end: int, latency_ns: int) -> Iterator[list[Any]]:
    table = pq.read_table(path)
    rates = ArrowSerializer.deserialize(FundingRateUpdate, table)
    yield [
        FundingRateUpdate(
            rate.instrument_id,
            Decimal(str(rate.rate)),
            rate.ts_event,
            rate.ts_init + latency_ns,
            rate.interval,
            rate.next_funding_ns,
        )
        for rate in rates
        if start <= rate.ts_init < end
    ]


assert FIXED_PRECISION == 16, "the wheel's fixed-point precision is not the one the catalogue was written for"  # noqa: S101
