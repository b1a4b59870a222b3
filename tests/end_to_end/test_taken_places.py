"""A place that is taken, or where nothing can be made, is refused before any work for it is done."""

from collections.abc import Callable
from pathlib import Path

import pytest

from amm500_nautilus.runtime import cli
from amm500_nautilus.runtime import live
from tests.end_to_end.market import ROOT
from tests.end_to_end.market import arguments
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import write_bars
from tests.end_to_end.test_bad_input import refused


CONFIGS = ROOT / "configs"
# nobody answers there: whoever asks ends with another exit code
NOWHERE = "live.url=http://127.0.0.1:1"
PLACES = ("taken", "late", "file/run")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "late.partial").mkdir()
    (tmp_path / "file").write_text("")
    return tmp_path


@pytest.mark.parametrize("out", PLACES)
@pytest.mark.parametrize("command", ["stress", "train-vol"])
def test_a_command_of_many_runs_refuses_its_place_before_the_data_is_made(
    command: str, out: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = write_bars(folder / "bars.csv", bar_lines())
    said = refused([command, *arguments(bars, folder / "store", Path(out))], folder, capsys, program=cli.main)
    assert out in said


@pytest.mark.parametrize(("command", "program"), [("record", cli.main), (None, live.main)])
@pytest.mark.parametrize("out", PLACES)
def test_a_live_place_is_refused_before_the_venue_is_asked(
    out: str,
    command: str | None,
    program: Callable[[list[str]], int],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = [str(CONFIGS / "paper.yaml"), "--quiet", "--set", NOWHERE, "--out", out]
    said = refused([*([command] if command else []), *line], folder, capsys, program=program)
    assert out in said


def test_a_comparison_refuses_the_place_of_its_last_run_before_the_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = write_bars(folder / "bars.csv", bar_lines())
    (folder / "all" / "glft").mkdir(parents=True)
    line = ["compare", *arguments(bars, folder / "store", Path("all"))]
    assert "all/glft: already exists" in refused(line, folder, capsys, program=cli.main)
