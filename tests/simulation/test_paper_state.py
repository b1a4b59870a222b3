"""What is kept of a paper account: whole or not there, and used by one run at a time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from amm500_nautilus.simulation import paper_state
from amm500_nautilus.simulation.paper_state import PaperState
from amm500_nautilus.simulation.paper_state import PaperStateError
from amm500_nautilus.simulation.paper_state import PaperStore
from tests.simulation.paper_scene import Scene


ROOT = Path(__file__).resolve().parents[2]
TAKE = """
import sys
from pathlib import Path
from amm500_nautilus.simulation.paper_state import PaperStore
PaperStore(Path(sys.argv[1]), "km:US500").take()
print("taken", flush=True)
sys.stdin.read()
"""


def state() -> PaperState:
    return Scene().paper.state()


def test_a_state_survives_the_way_to_disk_and_back(tmp_path: Path) -> None:
    store = PaperStore(tmp_path / "new", "km:US500").take()
    assert store.read() is None
    kept = state()
    store.write(kept)
    assert store.read() == kept
    assert store.path.name == "paper-km-US500.json"
    assert store.folder.stat().st_mode & 0o777 == 0o700
    store.clear()
    store.clear()
    assert store.read() is None
    store.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        json.dumps({"version": 99}),
        json.dumps({"version": 1}),
        json.dumps({"version": 1, "coin": "x"}),
    ],
)
def test_a_damaged_file_is_an_error_and_never_an_empty_account(tmp_path: Path, text: str) -> None:
    store = PaperStore(tmp_path, "km:US500")
    store.path.write_text(text)
    with pytest.raises(PaperStateError):
        store.read()


def test_a_file_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    text = state().to_json()
    store = PaperStore(tmp_path, "km:US500")
    for end in range(0, len(text), 7):
        store.path.write_text(text[:end])
        with pytest.raises(PaperStateError):
            store.read()
    raw = json.loads(text)
    del raw["books"]["_cash"]
    store.path.write_text(json.dumps(raw))
    with pytest.raises(PaperStateError, match="_cash"):
        store.read()


def test_a_write_that_breaks_off_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PaperStore(tmp_path, "km:US500")
    kept = state()
    store.write(kept)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(paper_state.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.write(Scene(equity="5").paper.state())
    assert store.read() == kept


def test_a_reader_has_the_whole_old_state_or_the_whole_new_one(tmp_path: Path) -> None:
    store = PaperStore(tmp_path, "km:US500")
    kept = state()
    store.write(kept)
    with store.path.open() as reader:
        store.write(Scene(equity="5").paper.state())
        assert PaperState.from_json(reader.read()) == kept


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    paths = os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))
    other = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert other.stdout is not None
    assert other.stdin is not None
    try:
        assert other.stdout.readline() == b"taken\n"
        store = PaperStore(tmp_path, "km:US500")
        with pytest.raises(PaperStateError, match="in use"):
            store.take()
        # another market has an account of its own
        PaperStore(tmp_path, "xyz:SP500").take().close()
    finally:
        # killed, not ended: the lock goes with the process
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()
    store.take().close()
