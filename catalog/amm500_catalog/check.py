"""Whether a catalogue holds what it says: every file read, every stream in order, no book crossed, nothing half-written."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import RecordFlag
from nautilus_trader.persistence.funcs import class_to_filename
from nautilus_trader.serialization.arrow.schema import NAUTILUS_ARROW_SCHEMA

from amm500_catalog.completeness import missing_rows
from amm500_catalog.dataset import info_from_meta
from amm500_catalog.dataset import stored_instruments
from amm500_catalog.errors import InputError
from amm500_catalog.shapes import CLASS_BY_FOLDER
from amm500_catalog.shapes import rows_of
from amm500_catalog.shapes import sessions_of
from amm500_catalog.shapes import streams_of
from amm500_catalog.sources.base import NS
from amm500_catalog.storage import StoredFile
from amm500_catalog.store import DATASET_FILE
from amm500_catalog.store import DATASETS
from amm500_catalog.store import STAGING
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import ROW_KEYS
from amm500_catalog.tables import decimals
from amm500_catalog.validate import check_prices
from amm500_catalog.validate import utc_text


# a stream silent for longer than this inside a session is worth a line
GAP_NOTE_S: Final = 60.0
PRECISIONS: Final = (b"price_precision", b"size_precision")
F_LAST: Final = int(RecordFlag.F_LAST)


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing found.

    ``severity`` is ``error`` (the data cannot be trusted) or ``note`` (worth knowing); ``dataset`` is ``real`` or a label.
    """

    severity: str
    dataset: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found, and how much it read."""

    findings: tuple[Finding, ...]
    files: int
    rows: int

    @property
    def is_sound(self) -> bool:
        """Whether there is no error."""
        return not any(finding.severity == "error" for finding in self.findings)

    def text(self) -> str:
        """Return one line a finding and a closing line."""
        lines = [f"{item.severity}: {item.dataset} {item.where}: {item.what}" for item in self.findings]
        verdict = "sound" if self.is_sound else "NOT sound"
        return "\n".join([*lines, f"{self.files} files, {self.rows} rows read: {verdict}"])


def check_store(store: CatalogStore) -> CheckReport:
    """Return what is wrong with or worth knowing about everything stored."""
    findings = [Finding("note", "real", "repair", text) for text in store.repairs]
    findings += [
        Finding("error", "real", path, "half-written; its writer is at work, or was killed elsewhere")
        for path in store.half_written()
    ]
    findings += [
        Finding("error", "real", path, "the file holds no JSON object") for path in store.unreadable()
    ]
    findings += [
        Finding("note", "real", path, "a file among the folders of unfinished imports; nothing reads it")
        for path in _strays(store)
    ]
    files = rows = 0
    for label in (None, *store.labels()):
        name = label or "real"
        sessions = _sessions(store, label)
        for cls, identifier in _streams(store, label):
            found, count, read = _check_stream(store, label, cls, identifier, sessions)
            findings += [
                Finding(severity, name, f"{class_to_filename(cls)}/{identifier}", what)
                for severity, what in found
            ]
            files += read
            rows += count
        findings += [Finding("error", name, "definitions", what) for what in _check_definitions(store, label)]
    findings += _check_manifests(store)
    return CheckReport(tuple(findings), files, rows)


def _strays(store: CatalogStore) -> list[str]:
    paths = sorted(store.fs.glob(f"{store.root}/{STAGING}/*"))
    return [path.removeprefix(store.root).lstrip("/") for path in paths if not store.fs.isdir(path)]


def _sessions(store: CatalogStore, label: str | None) -> tuple[tuple[int, int], ...]:
    meta = store.meta(label) if label is not None else None
    try:
        return sessions_of(meta or {}, DATASET_FILE)
    except InputError:
        return ()  # named with what else is wrong with its description


def _check_definitions(store: CatalogStore, label: str | None) -> list[str]:
    """Return what is wrong with the files that define instruments, which are no stream."""
    wrong = []
    for path in sorted(store.fs.glob(f"{store.base(label)}/data/*/*")):
        folder, identifier = path.split("/")[-2:]
        if folder in CLASS_BY_FOLDER:
            continue
        try:
            for file in sorted(store.fs.glob(f"{path}/*.parquet")):
                store.read_table(file)
            stored_instruments(store, label, identifier)
        except InputError as e:
            wrong.append(str(e))
    return wrong


def _streams(store: CatalogStore, label: str | None) -> Iterator[tuple[type, str]]:
    for path in sorted(store.fs.glob(f"{store.base(label)}/data/*/*")):
        folder, identifier = path.split("/")[-2:]
        if folder in CLASS_BY_FOLDER:
            yield CLASS_BY_FOLDER[folder], identifier


def _check_stream(
    store: CatalogStore,
    label: str | None,
    cls: type,
    identifier: str,
    sessions: tuple[tuple[int, int], ...],
) -> tuple[list[tuple[str, str]], int, int]:
    found: list[tuple[str, str]] = []
    try:
        files = store.files(cls, identifier, label)
    except InputError as e:
        return [("error", str(e))], 0, 0
    rows = 0
    keys: set[Any] = set()
    previous: int | None = None
    for before, after in pairwise(files):
        if after.start_ns <= before.end_ns:
            found.append(("error", f"{_name(after)} overlaps {_name(before)}"))
    for file in files:
        try:
            table = store.read_table(file.path)
        except InputError as e:
            found.append(("error", str(e)))
            continue
        if odd := _check_schema(table.schema, cls):
            found.append(("error", f"{_name(file)}: {odd}"))
            continue
        rows += len(table)
        found += [("error", f"{_name(file)}: {what}") for what in _check_table(table, cls, file, keys)]
        if len(table):
            times = table.column("ts_init").to_numpy().astype(np.int64)
            if previous is not None:
                times = np.concatenate(([previous], times))
            found += [("note", what) for what in _gaps(times, cls, sessions)]
            previous = int(times[-1])
    return found, rows, len(files)


def _name(file: StoredFile) -> str:
    return file.path.rpartition("/")[2]


def _check_schema(schema: pa.Schema, cls: type) -> str:
    """Return what a table's description lacks; the checksums of its pages do not cover it."""
    names = NAUTILUS_ARROW_SCHEMA[cls].names
    if odd := set(schema.names) ^ set(names):
        return f"its columns are not those of a {cls.__name__} ({', '.join(sorted(odd))})"
    metadata = schema.metadata or {}
    for key in PRECISIONS:
        if not metadata.get(key, b"0").isdigit():
            return f"its {key.decode()} is no number"
    return ""


def _check_table(table: pa.Table, cls: type, file: StoredFile, keys: set[Any]) -> list[str]:
    if len(table) == 0:
        return ["no rows"]
    wrong = []
    times = table.column("ts_init").to_numpy().astype(np.int64)
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        row = int(back[0]) + 1
        wrong.append(f"row {row + 1} at {utc_text(int(times[row]))} is earlier than the row before")
    if (int(times.min()), int(times.max())) != (file.start_ns, file.end_ns):
        wrong.append(
            f"the rows run from {utc_text(int(times.min()))} to {utc_text(int(times.max()))}, not as the name says"
        )
    key = ROW_KEYS.get(cls)
    if key is not None:
        values = table.column(key).to_pylist()
        fresh = set(values)
        repeated = len(values) - len(fresh) + len(fresh & keys)
        if repeated:
            wrong.append(f"{repeated} repeated rows (`{key}`)")
        keys |= fresh
    return wrong + _check_content(table, cls)


def _check_content(table: pa.Table, cls: type) -> list[str]:
    if cls is Bar:
        bars = pd.DataFrame({name: decimals(table.column(name)) for name in ("open", "high", "low", "close")})
        try:
            check_prices(bars, path="bar")
        except InputError as e:
            return [str(e)]
    elif cls is QuoteTick:
        return _crossed(decimals(table.column("bid_price")), decimals(table.column("ask_price")), table)
    elif cls is OrderBookDepth10:
        return _crossed(decimals(table.column("bid_price_0")), decimals(table.column("ask_price_0")), table)
    elif cls is OrderBookDelta:
        return _check_deltas(table)
    elif cls is TradeTick and (decimals(table.column("price")) <= 0).any():
        return ["a price of zero or less"]
    return []


def _crossed(bids: np.ndarray, asks: np.ndarray, table: pa.Table) -> list[str]:
    wrong = np.flatnonzero((bids >= asks) & (bids > 0) & (asks > 0))
    if not len(wrong):
        return []
    row = int(wrong[0])
    at = utc_text(int(table.column("ts_init")[row].as_py()))
    return [f"{len(wrong)} crossed rows, the first at {at}: bid {bids[row]:g}, ask {asks[row]:g}"]


def _check_deltas(table: pa.Table) -> list[str]:
    """Batches that begin with CLEAR are whole books, whose sides must not cross."""
    action = table.column("action").to_numpy()
    side = table.column("side").to_numpy()
    flags = table.column("flags").to_numpy()
    wrong = []
    if not flags[-1] & F_LAST:
        wrong.append("the last batch has no end (F_LAST)")
    batch = np.cumsum(action == BookAction.CLEAR)
    price = decimals(table.column("price"))
    added = action == BookAction.ADD
    count = int(batch[-1]) + 1
    bids, asks = np.full(count, -np.inf), np.full(count, np.inf)
    for best, number, fold in ((bids, OrderSide.BUY, np.maximum), (asks, OrderSide.SELL, np.minimum)):
        rows = added & (side == number) & (batch > 0)
        fold.at(best, batch[rows], price[rows])
    crossed = np.flatnonzero(bids >= asks)
    if len(crossed):
        row = int(np.flatnonzero(batch == crossed[0])[0])
        at = utc_text(int(table.column("ts_init")[row].as_py()))
        wrong.append(f"{len(crossed)} crossed books, the first at {at}")
    return wrong


def _gaps(times: np.ndarray, cls: type, sessions: tuple[tuple[int, int], ...]) -> list[str]:
    if cls not in (OrderBookDepth10, OrderBookDelta, QuoteTick):
        return []
    steps = np.diff(times)
    long = np.flatnonzero(steps > GAP_NOTE_S * NS)
    if sessions and len(long):
        # a gap between sessions is the market's own
        closes = np.array([end for _, end in sessions], dtype=np.int64)
        at = np.searchsorted(closes, times[long], side="left")
        known = np.isin(
            long, long[(at < len(closes)) & (times[long + 1] >= closes[np.minimum(at, len(closes) - 1)])]
        )
        long = long[~known]
    if not len(long):
        return []
    row = int(long[np.argmax(steps[long])])
    return [
        f"{len(long)} silences over {GAP_NOTE_S:g} s, the longest {steps[row] / NS:.1f} s from {utc_text(int(times[row]))}"
    ]


def _check_manifests(store: CatalogStore) -> list[Finding]:
    findings = []
    for name, manifest in store.manifests().items():
        try:
            wrong = _imported(store, manifest, f"{DATASETS}/{name}.json")
        except InputError as e:
            wrong = [str(e)]
        findings += [Finding("error", "real", name, what) for what in wrong]
    for label in store.labels():
        meta = store.meta(label)
        wrong = [] if meta is None else _described(store, meta, label)
        findings += [Finding("error", label, DATASET_FILE, what) for what in wrong]
    return findings


def _imported(store: CatalogStore, manifest: dict[str, Any], where: str) -> list[str]:
    wrong = []
    for stream in streams_of(manifest, where):
        if stream.data_cls is None:
            continue
        held = _rows_in_span(store, stream.data_cls, stream.identifier, stream.start_ns, stream.end_ns)
        if held < stream.rows:
            wrong.append(f"{stream.folder} holds {held} of the {stream.rows} rows that were imported")
    # bars alone are imported without an instrument, and no run opens them by their import
    if "instrument_id" in manifest:
        info = info_from_meta(manifest, name=where, catalog=store.url)
        wrong += _undefined(store, None, info.instrument_id)
    return wrong


def _described(store: CatalogStore, meta: dict[str, Any], label: str) -> list[str]:
    try:
        info = info_from_meta(meta, name=label, catalog=store.url)
        rows_of(meta, DATASET_FILE)
    except InputError as e:
        return [str(e)]
    try:
        wrong = missing_rows(store, meta, label)
    except InputError:
        wrong = []  # a damaged file is named already
    return wrong + _undefined(store, label, info.instrument_id)


def _undefined(store: CatalogStore, label: str | None, instrument_id: str) -> list[str]:
    try:
        found = stored_instruments(store, label, instrument_id)
    except InputError:
        return []  # named already
    return [] if found else [f"the instrument {instrument_id} is not stored"]


def _rows_in_span(store: CatalogStore, cls: type, identifier: str, start: int, end: int) -> int:
    held = 0
    try:
        files = store.files(cls, identifier)
    except InputError:
        return 0  # named already
    for file in files:
        if file.end_ns < start or file.start_ns > end:
            continue
        try:
            times = store.read_table(file.path).column("ts_init").to_numpy()
        except (InputError, KeyError):
            continue  # named already
        held += int(((times >= start) & (times <= end)).sum())
    return held
