"""Stored files that are read while an import replaces them."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import QuoteTick

from amm500_catalog.dataset import open_recorded
from amm500_catalog.errors import InputError
from amm500_catalog.held import HeldFiles
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import StreamTable


Streams = Callable[..., list[StreamTable]]
Manifest = Callable[..., dict[str, Any]]


def leftovers(store: CatalogStore) -> list[str]:
    return [path.name for path in Path(store.root).glob(".reading-*")]


def test_a_run_reads_to_its_end_what_it_began_with(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(60), manifest(60), instruments=[instrument])
    batches = open_recorded(store, "a").batches()
    # the same span at another price, and a longer one: every file of the first goes
    store.commit("b", make_streams(90, tick=70_000), manifest(90))
    items = [item for batch in batches for item in batch]
    assert {float(item.bid_price) for item in items if isinstance(item, QuoteTick)} == {690.0}
    again = [item for batch in open_recorded(store, "b").batches() for item in batch]
    assert {float(item.bid_price) for item in again if isinstance(item, QuoteTick)} == {700.0}
    assert leftovers(store) == []


def test_a_reading_that_is_given_up_leaves_nothing(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(60), manifest(60), instruments=[instrument])
    dataset = open_recorded(store, "a")
    unread = dataset.batches()
    begun = dataset.batches()
    next(begun)
    assert len(leftovers(store)) == 2
    del unread, begun
    assert leftovers(store) == []
    assert dataset.bars(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL") == []
    assert store.files(Bar, "none") == []
    assert leftovers(store) == []


def test_what_a_killed_reader_left_is_taken_away(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sys\n"
        "from amm500_catalog.held import HeldFiles\n"
        "held = HeldFiles(pathlib.Path(sys.argv[1]))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
    [left] = tmp_path.glob(".reading-*")
    mine = HeldFiles(tmp_path)
    [folder] = tmp_path.glob(".reading-*")
    assert folder.name != left.name
    # one that lives is left alone
    HeldFiles(tmp_path).release()
    assert folder.exists()
    mine.release()
    assert not folder.exists()


def test_a_file_that_went_before_it_was_held_is_one_sentence(tmp_path: Path) -> None:
    held = HeldFiles(tmp_path)
    with pytest.raises(
        InputError, match="the stored file has been replaced meanwhile; allowed: no import while"
    ):
        held.hold(str(tmp_path / "gone.parquet"))
    held.release()


def test_a_catalogue_that_cannot_be_written_is_read_where_it_is(
    open_folder: Path, as_nobody: Callable[[], AbstractContextManager[None]]
) -> None:
    (open_folder / "a.parquet").write_bytes(b"rows")
    open_folder.chmod(0o555)
    with as_nobody():
        held = HeldFiles(open_folder)
        path = held.hold(str(open_folder / "a.parquet"))
    assert (held.is_holding, path) == (False, str(open_folder / "a.parquet"))
    assert [path.name for path in open_folder.iterdir()] == ["a.parquet"]
