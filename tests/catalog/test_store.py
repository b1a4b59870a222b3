"""Imports are whole or absent, whatever kills the writer; the same import again changes nothing."""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick

from amm500_catalog.check import check_store
from amm500_catalog.cli import catalog_ls
from amm500_catalog.dataset import open_recorded
from amm500_catalog.dataset import open_simulated
from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.locking import local_lock
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import StreamTable
from amm500_catalog.tables import decimals
from amm500_catalog.tables import file_name
from amm500_catalog.tables import parse_file_name


SECOND = 1_000_000_000
START = 1_768_487_400 * SECOND
Streams = Callable[..., list[StreamTable]]
Manifest = Callable[..., dict[str, Any]]
AsNobody = Callable[[], AbstractContextManager[None]]


def rows(store: CatalogStore, name: str = "a") -> int:
    return sum(len(batch) for batch in open_recorded(store, name).batches())


def test_the_same_import_again_changes_nothing(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    first = store.commit("a", make_streams(30), manifest(30), instruments=[instrument])
    before = {
        path: Path(path).stat().st_mtime_ns
        for path in store.fs.find(store.root)
        if path.endswith(("parquet", "json"))
    }
    again = store.commit("a", make_streams(30), manifest(30), instruments=[instrument])
    after = {
        path: Path(path).stat().st_mtime_ns
        for path in store.fs.find(store.root)
        if path.endswith(("parquet", "json"))
    }
    assert (first.changed, again.changed) == (True, False)
    assert before == after


def test_an_overlapping_import_adds_the_new_rows_once(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(60), manifest(60), instruments=[instrument])
    later = START + 30 * SECOND
    store.commit("b", make_streams(60, start=later), manifest(60, start=later), instruments=[instrument])
    files = store.files(TradeTick, instrument.id.value)
    assert len(files) == 1
    # seconds 0 to 59 and 30 to 89: 90 trades
    assert len(store.read_table(files[0].path)) == 90
    assert check_store(store).is_sound


def test_a_disjoint_import_leaves_the_stored_files_alone(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(10), manifest(10), instruments=[instrument])
    later = START + 86_400 * SECOND
    store.commit("b", make_streams(10, start=later), manifest(10, start=later), instruments=[instrument])
    assert len(store.files(TradeTick, instrument.id.value)) == 2
    assert rows(store, "a") == rows(store, "b")


def test_a_newer_value_replaces_a_row_and_is_counted(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    result = store.commit("a", make_streams(5, tick=70_000), manifest(5), instruments=[instrument])
    # five trades, two index prices, two mark prices; the funding rate is the same
    assert result.revised == 9
    table = store.read_table(store.files(TradeTick, instrument.id.value)[0].path)
    assert set(decimals(table.column("price"))) == {700.0}


def test_another_precision_is_refused(store: CatalogStore, make_streams: Streams, manifest: Manifest) -> None:
    streams = make_streams(5)
    store.commit("a", streams, manifest(5))
    trades = next(stream for stream in streams if stream.data_cls is TradeTick)
    metadata = {**trades.table.schema.metadata, b"price_precision": b"3"}
    changed = StreamTable(TradeTick, trades.identifier, trades.table.replace_schema_metadata(metadata))
    with pytest.raises(
        InputError, match="the price precision is 3 but the catalogue holds 2 for it; allowed: one precision"
    ):
        store.commit("b", [changed], manifest(5))


@pytest.mark.parametrize("name", ["", "a/b", "../up", "x" * 121, ".hidden"])
def test_a_name_that_is_no_file_name_is_refused(store: CatalogStore, manifest: Manifest, name: str) -> None:
    with pytest.raises(InputError, match="is no name for data; allowed: letters, digits"):
        store.commit(name, [], manifest(1))


def test_a_catalogue_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="the catalogue's path is a file; allowed: a folder"):
        CatalogStore(str(tmp_path / "file"))


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_refused_and_nothing_is_written_beside_the_caller(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="the catalogue's path is empty; allowed: a folder"):
        CatalogStore(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["data", "datasets", "simulated", "_staging"])
def test_a_file_in_a_folder_s_place_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match=f"`{name}` is a file; allowed: a folder; move the file away"):
        CatalogStore(str(tmp_path))


def test_a_stray_file_among_unfinished_imports_is_left_alone_and_noted(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    stray = Path(store.root) / "_staging" / "notes.txt"
    stray.write_text("x")
    again = CatalogStore(store.root)
    assert again.repairs == ()
    report = check_store(again)
    assert report.is_sound
    assert "note: real _staging/notes.txt: a file among the folders of unfinished imports" in report.text()
    assert stray.exists()


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "[1]",
        "{}",
        '{"name": "b", "removes": [], "manifest": {}, "manifest_path": "datasets/b.json", "moves": [1]}',
    ],
)
def test_a_damaged_commit_record_is_refused_and_its_files_are_kept(store: CatalogStore, record: str) -> None:
    staging = Path(store.root) / "_staging" / "0123"
    staging.mkdir(parents=True)
    (staging / "0000.parquet").write_bytes(b"PAR1")
    (staging / "COMMIT.json").write_text(record)
    with pytest.raises(
        InputError,
        match=r"_staging/0123: the record of a half-written import \(COMMIT.json\) is damaged; allowed",
    ):
        CatalogStore(store.root)
    assert (staging / "0000.parquet").exists()


class ClosedServer(fsspec.AbstractFileSystem):
    """A web server that says nothing is there, and then does not answer."""

    protocol = "closed"

    def exists(self, path: str, **_: Any) -> bool:
        """Say no, as the filesystem of http does when nobody answers."""
        return False

    def glob(self, path: str, **_: Any) -> list[str]:
        """Fail as aiohttp does."""
        raise ConnectionRefusedError("cannot connect to host")


def test_a_catalogue_whose_server_is_gone_is_said() -> None:
    fsspec.register_implementation("closed", ClosedServer, clobber=True)
    with pytest.raises(
        SourceUnavailableError,
        match=r"closed://b/x: the catalogue cannot be reached \(cannot connect to host",
    ):
        CatalogStore("closed://b/x")


def test_a_folder_without_permission_is_one_sentence(
    open_folder: Path, as_nobody: AsNobody, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    root = open_folder / "store"
    store = CatalogStore(str(root))
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    with store.stage("sim") as staged:
        staged.publish(manifest(5, simulated=True))
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with as_nobody():
        # to read takes no right to write
        assert rows(CatalogStore(str(root))) > 0
        with pytest.raises(InputError, match=r"the folder cannot be written \(Permission denied\)"):
            CatalogStore(str(root)).commit("b", make_streams(10), manifest(10))
        with (
            pytest.raises(InputError, match=r"the folder cannot be written \(Permission denied\)"),
            CatalogStore(str(root)).stage("other"),
        ):
            pass
        with pytest.raises(InputError, match=r"the catalogue cannot be made \(.*Permission denied"):
            CatalogStore(str(root / "deeper"))
    (root / ".lock").chmod(0o666)
    with (
        as_nobody(),
        pytest.raises(InputError, match=r"the catalogue cannot be read or written \(.*Permission denied"),
    ):
        CatalogStore(str(root)).commit("b", make_streams(10), manifest(10))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the folder cannot be read; allowed: a folder that this user may read"),
        ("simulated", "simulated: the folder cannot be read; allowed"),
        ("datasets/a.json", "datasets/a.json: the file cannot be read; allowed"),
        (
            "data/trade_tick/*/*.parquet",
            "the stored file cannot be read; allowed: a file that this user may read",
        ),
    ],
)
def test_what_this_user_may_not_read_is_named(
    open_folder: Path,
    as_nobody: AsNobody,
    instrument: Any,
    make_streams: Streams,
    manifest: Manifest,
    name: str,
    message: str,
) -> None:
    root = open_folder / "store"
    store = CatalogStore(str(root))
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    with store.stage("sim") as staged:
        staged.publish(manifest(5, simulated=True))
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in root.glob(name) if name else [root]:
        path.chmod(0)
    with as_nobody(), pytest.raises(InputError, match=message):
        catalog_ls(str(root))
    for path in root.glob(name) if name else [root]:
        path.chmod(0o755)


def test_an_unknown_filesystem_is_refused() -> None:
    with pytest.raises(InputError, match="the catalogue's filesystem cannot be opened"):
        CatalogStore("nonsense://bucket/x")


def test_a_catalogue_in_memory_works_like_a_folder(
    instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store = CatalogStore("memory://amm500/store")
    assert store.commit("a", make_streams(10), manifest(10), instruments=[instrument]).changed
    assert not store.commit("a", make_streams(10), manifest(10), instruments=[instrument]).changed
    assert rows(store) == sum(len(stream.table) for stream in make_streams(10))
    with store.stage("sim") as staged:
        for stream in make_streams(10):
            staged.write(stream)
        staged.catalog.write_data([instrument])
        staged.publish(manifest(10, simulated=True))
    assert store.labels() == ["sim"]
    assert sum(map(len, open_simulated(store, "sim").batches())) == rows(store)
    store.delete("sim")
    assert store.labels() == []


def test_a_second_writer_waits_and_then_says_so(store: CatalogStore) -> None:
    path = Path(store.root) / ".lock"
    with (
        local_lock(path, timeout_s=1.0),
        pytest.raises(
            InputError, match="another process has been writing for 0 s; allowed: one writer at a time"
        ),
        local_lock(path, timeout_s=0.0),
    ):
        pass
    with local_lock(path, timeout_s=0.0):
        pass


def test_an_unpublished_dataset_never_appears(
    store: CatalogStore, make_streams: Streams, manifest: Manifest
) -> None:
    with store.stage("sim") as staged:
        staged.write(make_streams(5)[0])
    assert store.labels() == []
    assert store.half_written() == []


def test_a_published_dataset_replaces_the_old_one_whole(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    for seconds in (20, 5):
        with store.stage("sim") as staged:
            for stream in make_streams(seconds):
                staged.write(stream)
            staged.catalog.write_data([instrument])
            staged.publish(manifest(seconds, simulated=True))
    dataset = open_simulated(store, "sim")
    assert dataset.info.end_ns == START + 5 * SECOND
    assert sum(map(len, dataset.batches())) == sum(len(stream.table) for stream in make_streams(5))


def test_simulated_data_never_shows_among_the_real(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    with store.stage("sim") as staged:
        staged.write(make_streams(5)[3])
        staged.publish(manifest(5, simulated=True))
    assert store.files(TradeTick, instrument.id.value) == []
    assert store.catalog().query(TradeTick) == []
    assert store.manifests() == {}


KILLED_IMPORT = """
import os, pickle, signal, sys
from pathlib import Path
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import StreamTable

root, payload, kill_at = sys.argv[1], sys.argv[2], int(sys.argv[3])
streams, manifest, instrument = pickle.loads(Path(payload).read_bytes())
store = CatalogStore(root)
steps = 0

def counted(name):
    original = getattr(CatalogStore, name)
    def step(self, *args, **kwargs):
        global steps
        steps += 1
        if steps == kill_at:
            if name == "_write_table":
                # die in the middle of a file: half its bytes are on the disk
                original(self, *args, **kwargs)
                with open(args[0], "r+b") as stream:
                    stream.truncate(os.path.getsize(args[0]) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *args, **kwargs)
    setattr(CatalogStore, name, step)

for name in ("_write_table", "_write_json", "_replace"):
    counted(name)
store.commit("b", [StreamTable(*stream) for stream in streams], manifest)
print("done", steps)
"""


def import_killed_at(step: int, root: str, payload: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [sys.executable, "-c", KILLED_IMPORT, root, str(payload), str(step)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def payload(tmp_path: Path, make_streams: Streams, manifest: Manifest) -> Path:
    # overlaps what is stored by half: the import writes merged files and removes old ones
    later = START + 30 * SECOND
    streams = [
        (stream.data_cls, stream.identifier, stream.table)
        for stream in make_streams(60, start=later)
        if stream.data_cls in (TradeTick, QuoteTick)
    ]
    path = tmp_path / "payload"
    path.write_bytes(pickle.dumps((streams, manifest(60, start=later), None)))
    return path


# the import takes 2 table writes, the commit record, 2 moves and the manifest: 6 steps
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6])
def test_an_import_killed_anywhere_is_whole_or_absent_and_loses_nothing(
    tmp_path: Path, instrument: Any, make_streams: Streams, manifest: Manifest, payload: Path, step: int
) -> None:
    root = str(tmp_path / "store")
    CatalogStore(root).commit("a", make_streams(60), manifest(60), instruments=[instrument])
    killed = import_killed_at(step, root, payload)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    store = CatalogStore(root)
    committed = step > 3
    assert len(store.repairs) == 1
    assert ("finished the interrupted import b" in store.repairs[0]) == committed
    assert ("removed a half-written import" in store.repairs[0]) == (not committed)
    assert store.half_written() == []
    assert (store.manifest("b") is not None) == committed
    trades = sum(len(store.read_table(file.path)) for file in store.files(TradeTick, instrument.id.value))
    # 60 trades were there; with the import, seconds 0 to 89
    assert trades == (90 if committed else 60)
    assert check_store(store).is_sound
    assert rows(store, "a") > 0

    # and the import can be done again
    streams, body, _ = pickle.loads(payload.read_bytes())
    store.commit("b", [StreamTable(*stream) for stream in streams], body)
    again = CatalogStore(root)
    assert again.repairs == ()
    assert sum(len(again.read_table(file.path)) for file in again.files(QuoteTick, instrument.id.value)) == 90


def test_an_interrupted_import_that_lost_a_file_is_refused(
    tmp_path: Path, instrument: Any, make_streams: Streams, manifest: Manifest, payload: Path
) -> None:
    root = str(tmp_path / "store")
    CatalogStore(root).commit("a", make_streams(60), manifest(60), instruments=[instrument])
    assert import_killed_at(4, root, payload).returncode == -signal.SIGKILL
    for path in Path(root).glob("_staging/*/*.parquet"):
        path.unlink()
    with pytest.raises(
        InputError, match=r"a half-written import \(b\) has lost its file data/.*; allowed: import it again"
    ):
        CatalogStore(root)


KILLED_STAGE = """
import os, signal, sys
from pathlib import Path
from amm500_catalog.store import CatalogStore
store = CatalogStore(sys.argv[1])
with store.stage("sim") as staged:
    (staged.folder / "data").mkdir()
    (staged.folder / "data" / "half.parquet").write_bytes(b"PAR1")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_simulation_killed_while_writing_leaves_the_old_dataset(
    tmp_path: Path, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    root = str(tmp_path / "store")
    store = CatalogStore(root)
    with store.stage("sim") as staged:
        for stream in make_streams(5):
            staged.write(stream)
        staged.catalog.write_data([instrument])
        staged.publish(manifest(5, simulated=True))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_STAGE, root], env=environment, timeout=120, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert CatalogStore(root).repairs == ("removed the half-written dataset sim",)
    assert sum(map(len, open_simulated(CatalogStore(root), "sim").batches())) == sum(
        len(stream.table) for stream in make_streams(5)
    )


def test_a_dataset_without_its_last_file_is_not_listed_and_is_reported(store: CatalogStore) -> None:
    folder = Path(store.root) / "simulated" / "half"
    folder.mkdir(parents=True)
    assert store.labels() == []
    assert store.half_written() == ["simulated/half"]
    assert not check_store(store).is_sound


def test_a_manifest_is_plain_json_that_names_its_rows(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit(
        "a", make_streams(10), manifest(10, dropped={"trades sent again": 3}), instruments=[instrument]
    )
    body = json.loads((Path(store.root) / "datasets" / "a.json").read_text())
    assert body["dropped"] == {"trades sent again": 3}
    assert body["streams"][f"data/trade_tick/{instrument.id}"] == {
        "rows": 10,
        "start_ns": START,
        "end_ns": START + 9 * SECOND,
    }


@given(start=st.integers(0, 4_000_000_000_000_000_000), length=st.integers(0, 10**15))
def test_a_file_name_states_its_span_exactly(start: int, length: int) -> None:
    assert parse_file_name(file_name(start, start + length)) == (start, start + length)


def test_other_names_state_no_span() -> None:
    assert parse_file_name("notes.txt") is None
    assert parse_file_name("a_b.parquet") is None


@settings(deadline=None)
@given(values=st.lists(st.integers(-(10**26), 10**26), min_size=1, max_size=20))
def test_fixed_point_numbers_are_read_to_nine_decimals(values: list[int]) -> None:
    column = pa.array([value.to_bytes(16, "little", signed=True) for value in values], type=pa.binary(16))
    for got, value in zip(decimals(column), values, strict=True):
        assert got == pytest.approx(value / 1e16, rel=1e-15, abs=1e-9)
    assert decimals(column.slice(len(values) - 1))[0] == pytest.approx(values[-1] / 1e16, rel=1e-15, abs=1e-9)
