"""What ``amm500 catalog ls|check|query`` do; the command line prints what these return."""

from typing import Any

from amm500_catalog.check import CheckReport
from amm500_catalog.check import check_store
from amm500_catalog.queries import Rows
from amm500_catalog.queries import query
from amm500_catalog.shapes import CLASS_BY_FOLDER
from amm500_catalog.shapes import streams_of
from amm500_catalog.store import CatalogStore
from amm500_catalog.validate import utc_text


LS_COLUMNS = ("dataset", "kind", "source", "stream", "identifier", "rows", "first", "last", "bytes")


def catalog_ls(root: str, storage_options: dict[str, Any] | None = None) -> Rows:
    """
    Return one row a stream: dataset, kind (real or SIMULATED), source, class, identifier, rows, first and last time, bytes.

    Parameters
    ----------
    root : str
        The catalogue's folder or fsspec URL.
    storage_options : dict, optional
        For the fsspec filesystem.

    Raises
    ------
    InputError
        If there is no catalogue, it cannot be opened, or a stored file or manifest is damaged.

    """
    store = CatalogStore(root, storage_options, must_exist=True)
    sources = _sources(store)
    rows: list[tuple[Any, ...]] = []
    for label in (None, *store.labels()):
        meta = store.meta(label) if label is not None else None
        for path in sorted(store.fs.glob(f"{store.base(label)}/data/*/*")):
            folder, identifier = path.split("/")[-2:]
            cls = CLASS_BY_FOLDER.get(folder)
            if cls is None:
                continue
            files = store.files(cls, identifier, label)
            if not files:
                continue
            source = (
                sources.get(f"data/{folder}/{identifier}", "")
                if label is None
                else str((meta or {}).get("source", ""))
            )
            rows.append(
                (
                    label or "real",
                    "real" if label is None else "SIMULATED",
                    source,
                    cls.__name__,
                    identifier,
                    sum(store.read_metadata(file.path).num_rows for file in files),
                    utc_text(files[0].start_ns),
                    utc_text(files[-1].end_ns),
                    sum(int(store.fs.size(file.path)) for file in files),
                )
            )
    return Rows(LS_COLUMNS, tuple(rows))


def catalog_check(root: str, storage_options: dict[str, Any] | None = None) -> CheckReport:
    """
    Return what is wrong with a catalogue: files, order, duplicates, crossed books, silences, manifests, half-written imports.

    Opening it has already finished or discarded what a killed writer left; that is reported as a note.

    Raises
    ------
    InputError
        If there is no catalogue, or it cannot be opened.

    """
    return check_store(CatalogStore(root, storage_options, must_exist=True))


def catalog_query(root: str, sql: str, storage_options: dict[str, Any] | None = None) -> Rows:
    """
    Return the answer of one SQL statement over the views ``depth``, ``deltas``, ``quotes``, ``trades``, ``bars``, ``funding``,
    ``index_prices`` and ``mark_prices``.

    Raises
    ------
    InputError
        If the statement is refused, or a stored file is damaged.

    """  # noqa: D205 -- the list of views does not fit one line
    return query(CatalogStore(root, storage_options, must_exist=True), sql)


def _sources(store: CatalogStore) -> dict[str, str]:
    """The sources that brought each real stream."""
    found: dict[str, list[str]] = {}
    for name, manifest in store.manifests().items():
        for stream in streams_of(manifest, f"{store.url} {name}"):
            names = found.setdefault(stream.folder, [])
            if (source := str(manifest.get("source", ""))) not in names:
                names.append(source)
    return {folder: ", ".join(names) for folder, names in found.items()}
