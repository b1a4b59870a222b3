"""Where a catalogue lies, and the reading and writing of its files, whole or not at all."""

import contextlib
import json
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.errors import unreadable_file
from amm500_catalog.tables import WRITING


LABEL_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,119}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One Parquet file of a stream: its path, and the span of ``ts_init`` its name states."""

    path: str
    start_ns: int
    end_ns: int


class CatalogFiles:
    """
    The place of a catalogue and the files in it.

    Parameters
    ----------
    root : str
        A folder, or any fsspec URL such as ``s3://bucket/catalog``.
    storage_options : dict, optional
        For the fsspec filesystem, for example ``{"endpoint_url": ...}``.
    must_exist : bool, default False
        Whether a place without a catalogue is refused.

    Raises
    ------
    InputError
        If the path is empty or a file, or the URL's filesystem is not known.
    SourceUnavailableError
        If the place cannot be reached.

    """

    def __init__(
        self, root: str, storage_options: dict[str, Any] | None = None, *, must_exist: bool = False
    ) -> None:
        if not str(root).strip():
            raise InputError("the catalogue's path is empty", "catalogue", "a folder or fsspec URL")
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

    def _make_root(self, *, must_exist: bool) -> None:
        try:
            is_there = Path(self.root).exists() if self.is_local else bool(self.fs.exists(self.root))
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

    @contextlib.contextmanager
    def _reached(self, errors: type[Exception] = OSError) -> Iterator[None]:
        """Say in one sentence that the place let nobody in or did not answer."""
        try:
            yield
        except (InputError, SourceUnavailableError):
            raise
        except errors as e:
            if self.is_local:
                raise InputError(
                    f"the catalogue cannot be read or written ({e})",
                    self.root,
                    "a folder that this user may read and write",
                ) from e
            raise SourceUnavailableError(f"{self.url}: the catalogue cannot be reached ({e})") from e

    def _require_folder(self, name: str) -> None:
        """Refuse what stands in a folder's place on this machine, and a folder that nobody lets this user into."""
        path = Path(self.root) / name
        if not path.exists():
            return
        if not path.is_dir():
            raise InputError(f"`{name}` is a file", self.root, "a folder; move the file away")
        if not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
            raise InputError("the folder cannot be read", str(path), "a folder that this user may read")

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
            raise unreadable_file(path, e) from e

    def read_metadata(self, path: str) -> pq.FileMetaData:
        """
        Return the description at the end of one stored file: its rows and columns.

        Raises
        ------
        InputError
            If it is not a readable Parquet file.

        """
        try:
            with self.fs.open(path, "rb") as stream:
                return pq.read_metadata(stream)
        except (pa.ArrowException, OSError) as e:
            raise unreadable_file(path, e) from e

    def _relative(self, path: str) -> str:
        return str(path).removeprefix(self.root).lstrip("/")

    def _read_json(self, path: str) -> dict[str, Any] | None:
        """Return the object a file holds; None when it is absent or holds anything else."""
        try:
            body = json.loads(self.fs.cat_file(path))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except PermissionError as e:
            raise InputError("the file cannot be read", path, "a file that this user may read") from e
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            return None
        return body if isinstance(body, dict) else None

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
