"""Whether the files that a dataset was stored in are all still there: without one of them a run would go on with less market."""

from typing import Any

from amm500_catalog.shapes import rows_of
from amm500_catalog.shapes import streams_of
from amm500_catalog.store import DATASET_FILE
from amm500_catalog.store import CatalogStore


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
        If a file is damaged, its name states no span, or the dataset says it in no form that an import writes.

    """
    return _of_import(store, meta) if label is None else _of_simulated(store, meta, label)


def _of_simulated(store: CatalogStore, meta: dict[str, Any], label: str) -> list[str]:
    said = []
    for name, cls, identifier, stated in rows_of(meta, f"{store.base(label)}/{DATASET_FILE}"):
        files = store.files(cls, identifier, label)
        # of remote files the ends are not fetched before they are needed
        remote = stated if files else 0
        held = sum(store.read_metadata(file.path).num_rows for file in files) if store.is_local else remote
        if held != stated:
            said.append(f"{name} of {identifier} holds {held} of the {stated} rows that were written")
    return said


def _of_import(store: CatalogStore, meta: dict[str, Any]) -> list[str]:
    said = []
    for stream in streams_of(meta, store.url):
        if stream.data_cls is None:
            continue
        files = store.files(stream.data_cls, stream.identifier)
        ends = (stream.start_ns, stream.end_ns)
        if not all(any(file.start_ns <= end <= file.end_ns for file in files) for end in ends):
            said.append(f"{stream.data_cls.__name__} of {stream.identifier} lacks a file that was imported")
    return said
