"""
The catalogue's files, on any filesystem: nothing is half-written, whatever kills the writer.

An import writes its files into ``_staging/<id>/`` and then one ``COMMIT.json`` that lists every move. Before that record is
there, the import never happened and its files are thrown away; from then on it has happened, and whoever opens the store next
finishes the moves. The manifest under ``datasets/`` is written last.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Final

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.locking import local_lock
from amm500_catalog.locking import object_lock
from amm500_catalog.tables import WRITING
from amm500_catalog.tables import StreamTable
from amm500_catalog.tables import file_name
from amm500_catalog.tables import merge_tables
from amm500_catalog.tables import parse_file_name
from amm500_catalog.tables import stream_folder
from amm500_catalog.tables import stream_table


COMMIT_FILE: Final = "COMMIT.json"
DATASET_FILE: Final = "dataset.json"
STAGING: Final = "_staging"
DATASETS: Final = "datasets"
SIMULATED: Final = "simulated"
LOCK_FILE: Final = ".lock"
LOCK_TIMEOUT_S: Final = 600.0
LABEL_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,119}")


@dataclass(frozen=True, slots=True)
class ImportResult:
    """
    What an import did.

    ``changed`` is False when the catalogue already held exactly this. ``rows`` counts the rows brought by each stream folder,
    ``revised`` the stored rows that newer values replaced.
    """

    name: str
    changed: bool
    rows: dict[str, int] = field(default_factory=dict)
    revised: int = 0


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One Parquet file of a stream: its path, and the span of ``ts_init`` its name states."""

    path: str
    start_ns: int
    end_ns: int


class CatalogStore:
    """
    A catalogue at a folder or fsspec URL.

    Real data lie in the root, which is a Nautilus ``ParquetDataCatalog``; each simulated dataset is a catalogue of its own under
    ``simulated/<label>/``. Opening it finishes or discards what a killed writer left.

    Parameters
    ----------
    root : str
        A folder, or any fsspec URL such as ``s3://bucket/catalog``.
    storage_options : dict, optional
        For the fsspec filesystem, for example ``{"endpoint_url": ...}``.

    Raises
    ------
    InputError
        If the URL's filesystem is not known, or the root is a file.

    """

    def __init__(
        self, root: str, storage_options: dict[str, Any] | None = None, *, must_exist: bool = False
    ) -> None:
        self.options = dict(storage_options or {})
        try:
            self.fs, path = fsspec.core.url_to_fs(str(root), **self.options)
        except (ValueError, ImportError) as e:
            raise InputError(
                f"the catalogue's filesystem cannot be opened ({e})", str(root), "a folder or fsspec URL"
            ) from e
        protocol = self.fs.protocol
        self.protocol = protocol if isinstance(protocol, str) else protocol[0]
        self.is_local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)
        self.root = str(Path(path).resolve()) if self.is_local else path.rstrip("/")
        self.url = self.root if self.is_local else self.fs.unstrip_protocol(self.root)
        self._make_root(must_exist=must_exist)
        self._cache: str | None = None
        self.repairs = self.recover()

    def _make_root(self, *, must_exist: bool) -> None:
        try:
            is_there = bool(self.fs.exists(self.root))
            is_file = is_there and not self.fs.isdir(self.root)
            if self.is_local and not is_there and not must_exist:
                Path(self.root).mkdir(parents=True, exist_ok=True)
        except Exception as e:  # every filesystem has errors of its own: no room, no network, no credentials
            if self.is_local:
                raise InputError(f"the catalogue cannot be made ({e})", self.root, "a writable place") from e
            raise SourceUnavailableError(f"{self.url}: the catalogue cannot be reached ({e})") from e
        if is_file:
            raise InputError("the catalogue's path is a file", self.url, "a folder or an fsspec URL of one")
        if must_exist and not is_there:
            raise InputError(
                "there is no catalogue", self.url, "where a run or `amm500 fetch` has stored data"
            )

    # -- reading ---------------------------------------------------------------------------------

    def base(self, label: str | None = None) -> str:
        """Return the folder of the real catalogue, or of a simulated dataset, as the filesystem names it."""
        return self.root if label is None else f"{self.root}/{SIMULATED}/{checked_label(label)}"

    def catalog(self, label: str | None = None) -> ParquetDataCatalog:
        """Return Nautilus's own view of the real catalogue, or of a simulated dataset."""
        return ParquetDataCatalog(
            self.base(label), fs_protocol=self.protocol, fs_storage_options=self.options
        )

    def labels(self) -> list[str]:
        """Return the labels of the complete simulated datasets, in order."""
        found = self.fs.glob(f"{self.root}/{SIMULATED}/*/{DATASET_FILE}")
        return sorted(name for path in found if not (name := path.split("/")[-2]).startswith("."))

    def meta(self, label: str) -> dict[str, Any] | None:
        """Return a simulated dataset's ``dataset.json``; None when there is no such complete dataset."""
        return self._read_json(f"{self.base(label)}/{DATASET_FILE}")

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Return the manifests of the real imports by name."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(self.fs.glob(f"{self.root}/{DATASETS}/*.json")):
            body = self._read_json(path)
            if body is not None:
                found[path.rpartition("/")[2].removesuffix(".json")] = body
        return found

    def manifest(self, name: str) -> dict[str, Any] | None:
        """Return one real import's manifest; None when it was never imported."""
        return self._read_json(self._manifest_path(name))

    def files(self, data_cls: type, identifier: str, label: str | None = None) -> list[StoredFile]:
        """Return the files of a stream in time order."""
        folder = f"{self.base(label)}/{stream_folder(data_cls, identifier)}"
        if not self.is_local:
            self.fs.invalidate_cache()
        found = []
        for path in self.fs.glob(f"{folder}/*.parquet"):
            span = parse_file_name(path.rpartition("/")[2])
            if span is None:
                raise InputError(
                    f"the file's name {path.rpartition('/')[2]!r} states no span",
                    folder,
                    "files written by this catalogue or by Nautilus",
                )
            found.append(StoredFile(path, *span))
        return sorted(found, key=lambda item: (item.start_ns, item.end_ns))

    def local_path(self, file: StoredFile) -> str:
        """Return a path on this machine: the file itself, or a copy of a remote one that lives as long as the store object."""
        if self.is_local:
            return file.path
        if self._cache is None:
            self._cache = tempfile.mkdtemp(prefix="amm500-catalog-")
            weakref.finalize(self, shutil.rmtree, self._cache, ignore_errors=True)
        target = Path(self._cache) / file.path.lstrip("/").replace("/", "__")
        if not target.exists():
            partial = target.with_suffix(".partial")
            self.fs.get_file(file.path, str(partial))
            partial.rename(target)
        return str(target)

    def read_table(self, path: str) -> pa.Table:
        """
        Return the table of one stored file.

        Raises
        ------
        InputError
            If it is not a readable Parquet file.

        """
        try:
            with self.fs.open(path, "rb") as stream:
                return pq.read_table(stream, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as e:
            raise InputError(
                "the stored file is damaged or half-written",
                path,
                "a complete Parquet file; delete it and import again",
            ) from e

    # -- importing real data -----------------------------------------------------------------------

    def commit(
        self,
        name: str,
        streams: Sequence[StreamTable],
        manifest: dict[str, Any],
        *,
        instruments: Sequence[Instrument] = (),
    ) -> ImportResult:
        """
        Add streams to the real catalogue, all of them or none.

        The same content again changes nothing. Rows of an overlapping span are joined (see :func:`merge_tables`).

        Parameters
        ----------
        name : str
            The import's name; the manifest is ``datasets/<name>.json``.
        streams : Sequence of StreamTable
            What to add.
        manifest : dict
            Where it came from, what was dropped and assumed; JSON values.
        instruments : Sequence of Instrument
            Definitions to store; an older definition of the same id gives way.

        Raises
        ------
        InputError
            If a stream does not fit what is stored, or another process keeps the lock.

        """
        path = self._manifest_path(name)
        with self._lock():
            self._recover_imports()
            plan = _Plan()
            tables = [*streams, *(self._instrument_tables(instruments, plan))]
            for stream in tables:
                self._plan_stream(stream, plan)
            body = {
                **manifest,
                "name": name,
                "streams": {
                    stream.folder: {
                        "rows": len(stream.table),
                        "start_ns": stream.start_ns,
                        "end_ns": stream.end_ns,
                    }
                    for stream in streams
                },
            }
            rows = {stream.folder: len(stream.table) for stream in streams}
            if not plan.writes and self._read_json(path) == body:
                return ImportResult(name, changed=False, rows=rows)
            self._stage_and_apply(name, plan, path, body)
            return ImportResult(name, changed=True, rows=rows, revised=plan.revised)

    def _instrument_tables(self, instruments: Sequence[Instrument], plan: "_Plan") -> list[StreamTable]:
        tables = []
        for instrument in instruments:
            stream = stream_table([instrument], instrument.id.value)
            stored = self.files(stream.data_cls, stream.identifier)
            if stored and self.read_table(stored[-1].path).equals(stream.table):
                continue
            # one definition an instrument: the newest
            plan.removes.extend(file.path for file in stored)
            tables.append(stream)
        return tables

    def _plan_stream(self, stream: StreamTable, plan: "_Plan") -> None:
        stored = self.files(stream.data_cls, stream.identifier)
        folder = f"{self.root}/{stream.folder}"
        if stored:
            self._require_same_precision(stored[0], stream)
        overlapping = [
            file
            for file in stored
            if file.start_ns <= stream.end_ns
            and file.end_ns >= stream.start_ns
            and file.path not in plan.removes
        ]
        table = stream.table
        if overlapping:
            old = [self.read_table(file.path) for file in overlapping]
            table, revised = merge_tables(old, stream)
            if len(old) == 1 and old[0].equals(table):
                return
            plan.revised += revised
        times = table.column("ts_init")
        target = f"{folder}/{file_name(int(times[0].as_py()), int(times[-1].as_py()))}"
        plan.writes.append((target, table))
        plan.removes.extend(file.path for file in overlapping)

    def _require_same_precision(self, file: StoredFile, stream: StreamTable) -> None:
        old = self.read_table(file.path).schema.metadata or {}
        new = stream.table.schema.metadata or {}
        for key in (b"price_precision", b"size_precision"):
            if key in old and old[key] != new.get(key):
                word = key.decode().replace("_", " ")
                raise InputError(
                    f"the {word} is {new.get(key, b'?').decode()} but the catalogue holds {old[key].decode()} for it",
                    stream.identifier,
                    "one precision an instrument; import into another catalogue (the venue's tick changes at powers of ten)",
                )

    def _stage_and_apply(
        self, name: str, plan: "_Plan", manifest_path: str, manifest: dict[str, Any]
    ) -> None:
        staging = f"{self.root}/{STAGING}/{secrets.token_hex(8)}"
        self.fs.makedirs(staging, exist_ok=True)
        moves = []
        for number, (target, table) in enumerate(plan.writes):
            source = f"{staging}/{number:04d}.parquet"
            self._write_table(source, table)
            moves.append(
                {
                    "from": self._relative(source),
                    "to": self._relative(target),
                    "bytes": int(self.fs.size(source)),
                }
            )
        targets = {move["to"] for move in moves}
        record = {
            "name": name,
            "moves": moves,
            "removes": [path for item in plan.removes if (path := self._relative(item)) not in targets],
            "manifest_path": self._relative(manifest_path),
            "manifest": manifest,
        }
        self._write_json(f"{staging}/{COMMIT_FILE}", record)
        self._apply(staging, record)

    def _apply(self, staging: str, record: dict[str, Any]) -> None:
        for move in record["moves"]:
            source, target = f"{self.root}/{move['from']}", f"{self.root}/{move['to']}"
            if self.fs.exists(source):
                self._replace(source, target)
            elif not self.fs.exists(target) or self.fs.size(target) != move["bytes"]:
                raise InputError(
                    f"a half-written import ({record['name']}) has lost its file {move['to']}",
                    self.url,
                    f"import it again after deleting {self._relative(staging)}",
                )
        for path in record["removes"]:
            if self.fs.exists(f"{self.root}/{path}"):
                self.fs.rm_file(f"{self.root}/{path}")
        self._write_json(f"{self.root}/{record['manifest_path']}", record["manifest"])
        self.fs.rm(staging, recursive=True)

    # -- simulated datasets ------------------------------------------------------------------------

    @contextlib.contextmanager
    def stage(self, label: str, *, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator["StagedDataset"]:
        """
        Give a folder on this machine to write a simulated dataset into; it appears whole when ``publish`` is called, or never.

        A second process that stages the same label waits for the first; look at :meth:`meta` again inside.

        Raises
        ------
        InputError
            If the label is not usable, or another process holds it for longer than ``timeout_s``.

        """
        checked_label(label)
        if self.is_local:
            folder = Path(self.root) / SIMULATED / f".staging-{label}"
            lock = local_lock(_lock_beside(folder), timeout_s=timeout_s)
        else:
            folder = Path(tempfile.mkdtemp(prefix="amm500-stage-"))
            lock = object_lock(self.fs, f"{self.root}/{SIMULATED}/.{label}.lock", timeout_s=timeout_s)
        try:
            with lock:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                yield StagedDataset(self, label, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, label: str, folder: Path, meta: dict[str, Any]) -> None:
        """Put a staged folder in place of whatever the label held, ``dataset.json`` last."""
        body = json.dumps(meta, indent=1, sort_keys=True)
        (folder / DATASET_FILE).write_text(body, encoding="utf-8")
        target = self.base(label)
        if self.is_local:
            old = Path(self.root) / SIMULATED / f".old-{label}"
            if Path(target).exists():
                Path(target).rename(old)
            folder.rename(target)
            shutil.rmtree(old, ignore_errors=True)
            return
        if self.fs.exists(target):
            self.fs.rm_file(f"{target}/{DATASET_FILE}")
            self.fs.rm(target, recursive=True)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != DATASET_FILE:
                self.fs.put_file(str(path), f"{target}/{path.relative_to(folder).as_posix()}")
        self.fs.pipe_file(f"{target}/{DATASET_FILE}", body.encode())

    def delete(self, label: str) -> None:
        """Delete a simulated dataset; nothing happens when there is none."""
        target = self.base(label)
        if self.fs.exists(f"{target}/{DATASET_FILE}"):
            self.fs.rm_file(f"{target}/{DATASET_FILE}")
        if self.fs.exists(target):
            self.fs.rm(target, recursive=True)

    # -- repair ------------------------------------------------------------------------------------

    def recover(self) -> tuple[str, ...]:
        """
        Finish or discard what killed writers left, and say what was done.

        Raises
        ------
        InputError
            If a half-written import cannot be finished.

        """
        if not self.half_written():
            return ()
        with self._lock():
            return (*self._recover_imports(), *self._recover_datasets())

    def half_written(self) -> list[str]:
        """Return the traces of unfinished writers, live ones included, relative to the root."""
        patterns = [f"{STAGING}/*", f"{SIMULATED}/.staging-*[!k]", f"{SIMULATED}/.old-*"]
        if not self.is_local:
            self.fs.invalidate_cache()
        found = [
            self._relative(path) for pattern in patterns for path in self.fs.glob(f"{self.root}/{pattern}")
        ]
        for path in self.fs.glob(f"{self.root}/{SIMULATED}/*"):
            name = path.rpartition("/")[2]
            if (
                not name.startswith(".")
                and self.fs.isdir(path)
                and not self.fs.exists(f"{path}/{DATASET_FILE}")
            ):
                found.append(self._relative(path))
        return [path for path in found if not path.endswith(".lock")]

    def _recover_imports(self) -> list[str]:
        done = []
        for staging in self.fs.glob(f"{self.root}/{STAGING}/*"):
            record = self._read_json(f"{staging}/{COMMIT_FILE}")
            if record is None:
                self.fs.rm(staging, recursive=True)
                done.append(
                    f"removed a half-written import ({self._relative(staging)}); nothing of it had been added"
                )
            else:
                self._apply(staging, record)
                done.append(f"finished the interrupted import {record['name']}")
        return done

    def _recover_datasets(self) -> list[str]:
        if not self.is_local:
            # a dataset without its last object: another machine may be uploading it, so it is left alone and never read
            return []
        done = []
        base = Path(self.root) / SIMULATED
        for path in sorted(base.glob(".staging-*")) + sorted(base.glob(".old-*")):
            if path.suffix == ".lock":
                continue
            label = path.name.partition("-")[2]
            staging = base / f".staging-{label}"
            try:
                with local_lock(_lock_beside(staging), timeout_s=0.0):
                    if path == staging:
                        shutil.rmtree(path, ignore_errors=True)
                        done.append(f"removed the half-written dataset {label}")
                    elif (base / label / DATASET_FILE).exists():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.rename(base / label)
                        done.append(f"put the dataset {label} back")
            except InputError:
                continue  # its writer lives
        return done

    # -- files -------------------------------------------------------------------------------------

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        if self.is_local:
            return local_lock(Path(self.root) / LOCK_FILE, timeout_s=LOCK_TIMEOUT_S)
        return object_lock(self.fs, f"{self.root}/{LOCK_FILE}", timeout_s=LOCK_TIMEOUT_S)

    def _manifest_path(self, name: str) -> str:
        return f"{self.root}/{DATASETS}/{checked_label(name)}.json"

    def _relative(self, path: str) -> str:
        return str(path).removeprefix(self.root).lstrip("/")

    def _read_json(self, path: str) -> dict[str, Any] | None:
        try:
            body: dict[str, Any] = json.loads(self.fs.cat_file(path))
        except (FileNotFoundError, IsADirectoryError, json.JSONDecodeError):
            return None
        return body

    def _write_json(self, path: str, body: dict[str, Any]) -> None:
        data = json.dumps(body, indent=1, sort_keys=True).encode()
        if not self.is_local:
            self.fs.pipe_file(path, data)
            return
        partial = Path(f"{path}.partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)

    def _write_table(self, path: str, table: pa.Table) -> None:
        with self.fs.open(path, "wb") as stream:
            pq.write_table(table, stream, **WRITING)
            if self.is_local:
                stream.flush()
                os.fsync(stream.fileno())

    def _replace(self, source: str, target: str) -> None:
        if self.is_local:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(source).replace(target)
        else:
            self.fs.mv(source, target)


@dataclass(frozen=True, slots=True)
class StagedDataset:
    """A folder to write a simulated dataset into, in the layout of a ``ParquetDataCatalog``."""

    store: CatalogStore
    label: str
    folder: Path

    @property
    def catalog(self) -> ParquetDataCatalog:
        """Nautilus's view of the folder."""
        return ParquetDataCatalog(str(self.folder))

    def write(self, stream: StreamTable) -> None:
        """Add one file of a stream."""
        target = self.folder / stream.folder / stream.file_name
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(stream.table, str(target), **WRITING)

    def publish(self, meta: dict[str, Any]) -> None:
        """Make the dataset visible, whole; ``meta`` becomes its ``dataset.json``."""
        self.store.publish(self.label, self.folder, {**meta, "label": self.label})


@dataclass(slots=True)
class _Plan:
    writes: list[tuple[str, pa.Table]] = field(default_factory=list)
    removes: list[str] = field(default_factory=list)
    revised: int = 0


def _lock_beside(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


def checked_label(label: str) -> str:
    """
    Return the label, or refuse one that is no plain file name.

    Raises
    ------
    InputError
        If it holds anything but letters, digits and ``. _ = + -``.

    """
    if not LABEL_PATTERN.fullmatch(label):
        raise InputError(
            f"{label!r} is no name for data", "catalogue", "letters, digits and . _ = + -, at most 120"
        )
    return label
