"""Whether the files that a dataset was stored in are all still there: without one of them a run would go on with less market."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.persistence.funcs import class_to_filename

from amm500_catalog.errors import InputError
from amm500_catalog.store import CatalogStore
from amm500_catalog.store import StoredFile
from amm500_catalog.tables import STREAM_CLASSES


TWIN = "twin."
_BY_NAME = {cls.__name__: cls for cls in STREAM_CLASSES}
_BY_FOLDER = {class_to_filename(cls): cls for cls in STREAM_CLASSES}


def missing_rows(store: CatalogStore, meta: dict[str, Any], label: str | None) -> list[str]:
    """
    Return a sentence for each stream that holds less than its dataset says; an empty list when nothing is missing.

    A simulated dataset says how many rows each stream has. Rows of a real import may since have been joined with another's: there
    must be a file over the first and over the last of them. Only the ends of files on this machine are read, so that it costs
    little; of remote ones it is looked whether there are any.

    Parameters
    ----------
    store : CatalogStore
        The catalogue.
    meta : dict
        The dataset's ``dataset.json`` or manifest.
    label : str or None
        The simulated dataset; None for a real import.

    Raises
    ------
    InputError
        If a file is damaged, or its name states no span.

    """
    return _of_import(store, meta) if label is None else _of_simulated(store, meta, label)


def _of_simulated(store: CatalogStore, meta: dict[str, Any], label: str) -> list[str]:
    said = []
    for name, stated in meta.get("rows", {}).items():
        cls = _BY_NAME.get(name.removeprefix(TWIN))
        if cls is None:
            continue
        identifier = meta["instrument_id"]
        if name.startswith(TWIN):
            identifier = meta["params"]["twin"]["instrument_id"]
        files = store.files(cls, identifier, label)
        # of remote files the ends are not fetched before they are needed
        remote = int(stated) if files else 0
        held = sum(_rows_of(file) for file in files) if store.is_local else remote
        if held != int(stated):
            said.append(f"{name} of {identifier} holds {held} of the {stated} rows that were written")
    return said


def _of_import(store: CatalogStore, meta: dict[str, Any]) -> list[str]:
    said = []
    for folder, stated in meta.get("streams", {}).items():
        class_folder, identifier = folder.split("/")[-2:]
        cls = _BY_FOLDER.get(class_folder)
        if cls is None:
            continue
        files = store.files(cls, identifier)
        ends = (int(stated["start_ns"]), int(stated["end_ns"]))
        if not all(any(file.start_ns <= end <= file.end_ns for file in files) for end in ends):
            said.append(f"{cls.__name__} of {identifier} lacks a file that was imported")
    return said


def _rows_of(file: StoredFile) -> int:
    try:
        return int(pq.read_metadata(file.path).num_rows)
    except (pa.ArrowException, OSError) as e:
        raise InputError(
            "the stored file is damaged or half-written",
            file.path,
            "a complete Parquet file; import it again",
        ) from e
