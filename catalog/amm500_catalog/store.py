"""
The catalogue's files, on any filesystem: nothing is half-written, whatever kills the writer.

An import writes its files into ``_staging/<id>/`` and then one ``COMMIT.json`` that lists every move. Before that record is
there, the import never happened and its files are thrown away; from then on it has happened, and whoever opens the store next
finishes the moves. The manifest under ``datasets/`` is written last.
"""

import contextlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from amm500_catalog.errors import InputError
from amm500_catalog.locking import local_lock
from amm500_catalog.locking import object_lock
from amm500_catalog.storage import CatalogFiles
from amm500_catalog.storage import StoredFile
from amm500_catalog.storage import checked_label
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
FOLDERS: Final = ("", "data", DATASETS, SIMULATED, STAGING)
LOCK_FILE: Final = ".lock"
LOCK_TIMEOUT_S: Final = 600.0


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


class CatalogStore(CatalogFiles):
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
        If the path is empty or a file, the URL's filesystem is not known, or a folder of it cannot be read.
    SourceUnavailableError
        If the place cannot be reached.

    """

    def __init__(
        self, root: str, storage_options: dict[str, Any] | None = None, *, must_exist: bool = False
    ) -> None:
        super().__init__(root, storage_options, must_exist=must_exist)
        # remote filesystems fail in their own ways
        with self._reached(OSError if self.is_local else Exception):
            for name in FOLDERS if self.is_local else ():
                self._require_folder(name)
            self.repairs = self.recover()

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
        """Return the manifests of the real imports by name, without those of :meth:`unreadable`."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(self.fs.glob(f"{self.root}/{DATASETS}/*.json")):
            body = self._read_json(path)
            if body is not None:
                found[path.rpartition("/")[2].removesuffix(".json")] = body
        return found

    def unreadable(self) -> list[str]:
        """Return the manifests and ``dataset.json`` that hold no JSON object, relative to the root."""
        paths = [*self.fs.glob(f"{self.root}/{DATASETS}/*.json")]
        paths += [f"{self.base(label)}/{DATASET_FILE}" for label in self.labels()]
        return [self._relative(path) for path in sorted(paths) if self._read_json(path) is None]

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
        with self._reached(), self.lock():
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
                with self._reached():
                    folder.mkdir(parents=True)
                yield StagedDataset(self, label, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, label: str, folder: Path, meta: dict[str, Any]) -> None:
        """
        Put a staged folder in place of whatever the label held, ``dataset.json`` last.

        Raises
        ------
        InputError
            If the catalogue cannot be written.
        SourceUnavailableError
            If it cannot be reached.

        """
        with self._reached():
            self._publish(label, folder, meta)

    def _publish(self, label: str, folder: Path, meta: dict[str, Any]) -> None:
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
        with self.lock():
            return (*self._recover_imports(), *self._recover_datasets())

    def half_written(self) -> list[str]:
        """Return the traces of unfinished writers, live ones included, relative to the root."""
        patterns = [f"{STAGING}/*", f"{SIMULATED}/.staging-*[!k]", f"{SIMULATED}/.old-*"]
        if not self.is_local:
            self.fs.invalidate_cache()
        found = [
            self._relative(path)
            for pattern in patterns
            for path in self.fs.glob(f"{self.root}/{pattern}")
            if self.fs.isdir(path)
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
        for staging in filter(self.fs.isdir, self.fs.glob(f"{self.root}/{STAGING}/*")):
            record = self._read_json(f"{staging}/{COMMIT_FILE}")
            if not _is_whole(record) and self.fs.exists(f"{staging}/{COMMIT_FILE}"):
                # a part of the import may be stored already, so its files are not thrown away
                raise InputError(
                    f"the record of a half-written import ({COMMIT_FILE}) is damaged",
                    f"{self.url}/{self._relative(staging)}",
                    "a complete record; delete the folder and import again",
                )
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

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Return the lock that every import holds; ``InputError`` when another process keeps it too long."""
        if self.is_local:
            return local_lock(Path(self.root) / LOCK_FILE, timeout_s=LOCK_TIMEOUT_S)
        return object_lock(self.fs, f"{self.root}/{LOCK_FILE}", timeout_s=LOCK_TIMEOUT_S)

    def _manifest_path(self, name: str) -> str:
        return f"{self.root}/{DATASETS}/{checked_label(name)}.json"


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


def _is_whole(record: dict[str, Any] | None) -> bool:
    """Whether a commit record can be followed to its end."""
    if record is None:
        return False
    moves, removes = record.get("moves"), record.get("removes")
    return (
        all(isinstance(record.get(key), str) for key in ("name", "manifest_path"))
        and isinstance(record.get("manifest"), dict)
        and isinstance(removes, list)
        and all(isinstance(path, str) for path in removes)
        and isinstance(moves, list)
        and all(
            isinstance(move, dict)
            and isinstance(move.get("from"), str)
            and isinstance(move.get("to"), str)
            and isinstance(move.get("bytes"), int)
            for move in moves
        )
    )


def _lock_beside(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")
