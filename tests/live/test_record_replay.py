"""A local run that keeps its session, and what its replay finds: nothing where nothing was changed, and every change."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amm500_catalog.store import CatalogStore
from amm500_nautilus.report.parity import PRICE
from amm500_nautilus.report.parity import UNEXPLAINED
from amm500_nautilus.runtime.cli import main
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.data import prepare
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.record.importing import import_recorded
from amm500_nautilus.runtime.record.session import FRAMES
from amm500_nautilus.runtime.record.session import SESSION
from amm500_nautilus.runtime.replay.compare import DIFFERS
from amm500_nautilus.runtime.replay.compare import FILE
from amm500_nautilus.runtime.replay.compare import ORDER_BAR
from amm500_nautilus.runtime.replay.compare import replay_diff
from amm500_nautilus.runtime.replay.decisions import CONFIG
from amm500_nautilus.runtime.replay.decisions import NO_FRAME
from amm500_nautilus.runtime.replay.log import open_recording
from hyperliquid_hip3.recorder import FrameRecorder
from hyperliquid_hip3.recorder import RecordedFrame
from hyperliquid_hip3.recorder import read_frames


pytestmark = pytest.mark.live_node

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "configs" / "local.yaml"
SECONDS = 12
# secret keys and halves of signatures; ids of events are shorter
LONG_HEX = re.compile(rb"[0-9a-fA-F]{64}")


def run(*args: str) -> str:
    done = subprocess.run([sys.executable, *args], cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recorded") / "run"
    run(
        "run_live.py",
        str(LOCAL),
        "--quiet",
        f"--duration={SECONDS}s",
        "--set",
        "live.record=true",
        "--set",
        "report.tearsheet=false",
        "--out",
        str(out),
    )
    return out


def tampered(recorded: Path, to: Path, name: str, change: Callable[[list[RecordedFrame]], Any]) -> Path:
    """Return a copy of a run whose recording was changed."""
    copy = to / "copy"
    shutil.copytree(recorded, copy)
    folder = copy / "recording"
    files = sorted(folder.glob(f"{name}-*"))
    frames = [frame for file in files for frame in read_frames(file)]
    for file in files:
        file.unlink()
    change(frames)
    writer = FrameRecorder(folder, name=name)
    writer.start()
    for frame in frames:
        writer.write(frame.raw, frame.received_ns)
    writer.close()
    return copy


@pytest.fixture(scope="module")
def replayed(recorded: Path) -> Iterator[dict[str, Any]]:
    main(["replay-diff", str(recorded), "--quiet"])
    return json.loads((recorded / FILE).read_text())


def test_every_decision_of_a_recorded_run_is_made_again(replayed: dict[str, Any]) -> None:
    decisions = replayed["decisions"]
    assert replayed["data"]["without_frame"] == 0
    assert replayed["answers_without_order"] == 0
    assert decisions["decisions"] >= SECONDS / 2
    assert decisions["orders"]["recorded"] >= 30
    assert decisions["share"] >= ORDER_BAR
    assert UNEXPLAINED not in decisions["causes"]


def test_each_fill_that_the_simulated_exchange_does_not_share_has_a_cause(replayed: dict[str, Any]) -> None:
    fills = replayed["fills"]
    assert UNEXPLAINED not in fills["causes"]
    assert fills["lots"]["same_order"] <= fills["lots"]["recorded"]
    # our own size is in the recorded book, and is found there
    assert replayed["book_short_of_own_size"] <= 2


def test_the_run_traded_anew_is_told_without_a_bar_and_every_difference_with_its_cause(
    replayed: dict[str, Any],
) -> None:
    closed = replayed["closed"]
    assert closed["latency"] == "recorded"
    assert closed["orders"]["replayed"] > 0
    assert UNEXPLAINED not in closed["causes"]
    assert sum(closed["causes"].values()) == len(closed["differences"])
    assert set(replayed["pnl"]) == {"recorded", "recorded_orders_simulated", "closed"}


def test_the_recording_holds_each_action_s_times_and_no_secret(recorded: Path) -> None:
    recording = open_recording(recorded)
    actions = [each for each in recording.actions() if each.kind == "order"]
    assert actions
    assert all(each.answered_ns is not None and each.answered_ns > each.sent_ns for each in actions)
    text = b"".join(
        frame.raw
        for file in sorted((recorded / "recording").glob(f"{SESSION}-*"))
        for frame in read_frames(file, strict=True)
    )
    assert not LONG_HEX.search(text)


def test_another_configuration_is_found_and_is_no_parity(
    recorded: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(recorded, copy)
    change = "strategy.quoting.ladder.size_fraction=0.016"
    assert main(["replay-diff", str(copy), "--quiet", "--no-closed", "--list", "1", "--set", change]) == 1
    told = json.loads((copy / FILE).read_text())
    assert told["verdict"] == DIFFERS
    assert told["decisions"]["share"] < 0.5
    assert set(told["decisions"]["causes"]) == {CONFIG}
    assert told["closed"] is None
    assert told["sentence"] in capsys.readouterr().out


def test_one_order_one_tick_away_is_found(recorded: Path, tmp_path: Path) -> None:
    def move_first_place(frames: list[RecordedFrame]) -> None:
        for number, frame in enumerate(frames):
            line = json.loads(frame.raw)
            if line["k"] == "send" and line["changes"] and line["changes"][0][0] == "P":
                line["changes"][0][2] -= line["changes"][0][1]
                frames[number] = frame._replace(raw=json.dumps(line).encode())
                return
        pytest.fail("the run placed nothing")

    diff = replay_diff(tampered(recorded, tmp_path, SESSION, move_first_place), overrides=[], closed=False)
    first = diff.decisions.parity.differences[0]
    assert first.what == PRICE
    assert first.recorded is not None
    assert first.replayed is not None
    assert (first.replayed.ticks - first.recorded.ticks) * first.recorded.side == 1
    assert first.cause == UNEXPLAINED
    assert diff.verdict == DIFFERS


def test_a_lost_frame_is_told_and_named_as_the_cause(recorded: Path, tmp_path: Path) -> None:
    def lose_a_third(frames: list[RecordedFrame]) -> None:
        del frames[len(frames) // 3 : 2 * len(frames) // 3]

    diff = replay_diff(tampered(recorded, tmp_path, FRAMES, lose_a_third), overrides=[], closed=False)
    assert diff.decisions.data.without_frame > 0
    assert set(diff.decisions.parity.causes) <= {NO_FRAME}
    assert any("not in the frames" in note for note in diff.notes)


def test_a_run_that_was_killed_is_compared_as_far_as_it_was_kept(recorded: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(recorded, copy)
    for name in (SESSION, FRAMES):
        (file,) = (copy / "recording").glob(f"{name}-*.lz4")
        kept = file.read_bytes()
        file.unlink()
        # the frames are on disk a little before what was made of them
        share = 0.7 if name == SESSION else 0.95
        file.with_name(f"{file.name}.part").write_bytes(kept[: int(len(kept) * share)])
    diff = replay_diff(copy, overrides=[], closed=False)
    assert diff.decisions.parity.recorded >= 1
    assert diff.decisions.parity.share >= ORDER_BAR
    assert any("cut short" in note for note in diff.notes)


def test_a_recorded_run_goes_into_the_catalogue_once_and_says_that_it_is_simulated(
    recorded: Path, tmp_path: Path
) -> None:
    store = CatalogStore(str(tmp_path / "store"), {})
    name, first = import_recorded(store, recorded)
    again, second = import_recorded(store, recorded)
    assert (name, first.changed, second.changed) == (again, True, False)
    overrides = ["mode=backtest", "data.source=recorded", f"data.path={recorded}"]
    config = load_config(LOCAL, [*overrides, f"data.catalog={tmp_path / 'store'}"])
    dataset = prepare(config, Progress(quiet=True))
    assert dataset.info.simulated
    rows = [datum for batch in dataset.batches() for datum in batch]
    assert {type(datum).__name__ for datum in rows} >= {"OrderBookDeltas", "QuoteTick", "IndexPriceUpdate"}
    assert all(a.ts_init <= b.ts_init for a, b in itertools.pairwise(rows))


def test_a_market_is_recorded_without_trading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "market"
    assert main(["record", str(LOCAL), "--quiet", "--duration", "3s", "--out", str(out)]) == 0
    assert "0 dropped" in capsys.readouterr().out
    recording = open_recording(out)
    assert not recording.has_session
    assert (out / "recording" / "rest.json").is_file()
    assert main(["replay-diff", str(out), "--quiet"]) == 2
    assert "no strategy ran" in capsys.readouterr().err


def test_a_venue_that_is_not_there_is_said_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, url = str(ROOT / "configs" / "paper.yaml"), "live.url=http://127.0.0.1:9"
    assert main(["record", config, "--quiet", "--set", url, "--out", str(tmp_path / "out")]) == 4
    assert "127.0.0.1:9" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
