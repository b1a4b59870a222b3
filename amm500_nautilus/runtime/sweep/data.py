"""A sweep's data: read from the catalogue once, carried to every node, laid out there once, opened by each of its trials."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from amm500_catalog.dataset import CatalogDataset
from amm500_catalog.dataset import open_recorded
from amm500_catalog.dataset import open_simulated
from amm500_catalog.shapes import streams_of
from amm500_catalog.spec import DatasetInfo
from amm500_catalog.store import DATASETS
from amm500_catalog.store import CatalogStore
from amm500_nautilus.runtime.config import RunConfig


Bytes = npt.NDArray[np.uint8]
READY = "ready.json"
# the sections that decide which data a run sees
DATA_SECTIONS = ("seed", "market", "data", "simulator", "generator", "stress")


@dataclass(frozen=True, slots=True)
class CarriedDataset:
    """
    What a node needs to open a dataset: its files' bytes by path inside the catalogue, and how it is opened.

    ``key`` names it on the node; ``label`` is None for a recording.
    """

    key: str
    label: str | None
    name: str
    info: DatasetInfo
    reference_id: str | None
    feed_latency_ns: int
    files: Mapping[str, Bytes]


def data_signature(config: RunConfig) -> str:
    """Return a key of everything in a configuration that decides the data it runs on."""
    plain = config.model_dump(mode="json", include=set(DATA_SECTIONS))
    plain["reference"] = config.strategy.reference
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def carried(config: RunConfig, dataset: CatalogDataset) -> CarriedDataset:
    """Read a dataset's files out of the catalogue, each once."""
    store = dataset.store
    if dataset.label is not None:
        base = store.base(dataset.label)
        paths = [path for path in store.fs.find(base) if not path.endswith(".lock")]
    else:
        paths = _recorded_paths(store, dataset.info.name)
    files = {path.removeprefix(store.root).lstrip("/"): _read(store, path) for path in sorted(paths)}
    return CarriedDataset(
        key=data_signature(config),
        label=dataset.label,
        name=dataset.info.name,
        info=dataset.info,
        reference_id=dataset.reference_id,
        feed_latency_ns=dataset.feed_latency_ns,
        files=files,
    )


def _recorded_paths(store: CatalogStore, name: str) -> list[str]:
    manifest = store.manifest(name) or {}
    coin_folder = {stream.identifier for stream in streams_of(manifest, f"{store.url} {name}")}
    stored = store.fs.find(f"{store.root}/data")
    wanted = [path for path in stored if path.rpartition("/")[0].rpartition("/")[2] in coin_folder]
    return [f"{store.root}/{DATASETS}/{name}.json", *wanted]


def _read(store: CatalogStore, path: str) -> Bytes:
    with store.fs.open(path, "rb") as stream:
        return np.frombuffer(stream.read(), dtype=np.uint8)


def lay_out(folder: Path, data: CarriedDataset) -> None:
    """Write a dataset's files below a folder, complete or not at all; what is there already stays."""
    if (folder / READY).is_file():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name, content in data.files.items():
        target = partial / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as stream:
            stream.write(memoryview(np.ascontiguousarray(content)))
    partial.mkdir(parents=True, exist_ok=True)
    (partial / READY).write_text(
        json.dumps({"files": len(data.files), "process": os.getpid()}), encoding="utf-8"
    )
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a lock between the processes of one machine; released when the process ends, however it does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def open_laid_out(folder: Path, data: CarriedDataset, classes: tuple[type, ...] | None) -> CatalogDataset:
    """Return the dataset as laid out on this node."""
    store = CatalogStore(str(folder))
    opened = open_recorded(store, data.name) if data.label is None else open_simulated(store, data.label)
    return replace(
        opened,
        # a span cut out of a recording is in what was carried, not in the file
        info=data.info,
        classes=classes if data.label is not None else None,
        reference_id=data.reference_id,
        feed_latency_ns=data.feed_latency_ns,
    )


def without_files(data: CarriedDataset) -> CarriedDataset:
    """Return what is needed to open a dataset that lies there already: a small thing to send with every trial."""
    return replace(data, files={})


def carried_bytes(data: CarriedDataset) -> int:
    """Return the size of what is carried."""
    return sum(int(item.nbytes) for item in data.files.values())


__all__: tuple[str, ...] = (
    "CarriedDataset",
    "carried",
    "carried_bytes",
    "data_signature",
    "lay_out",
    "only_one",
    "open_laid_out",
    "without_files",
)


def plain_info(data: CarriedDataset) -> dict[str, Any]:
    """Return what a report says of the data."""
    return {
        "name": data.name,
        "source": data.info.source,
        "simulated": data.info.simulated,
        "bars_simulated": data.info.bars_simulated,
        "mb": round(carried_bytes(data) / 2**20, 3),
    }
