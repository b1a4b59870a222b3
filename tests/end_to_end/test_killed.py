"""A process that dies while it writes leaves nothing that looks finished, and the next run works."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from amm500_nautilus.runtime.backtest import main
from tests.end_to_end.conftest import Hour
from tests.end_to_end.market import EAGER
from tests.end_to_end.market import ROOT
from tests.end_to_end.market import arguments
from tests.end_to_end.market import backtest
from tests.end_to_end.market import summary_of


# dies at the fifth minute of the backtest, in the middle of its files
IN_THE_RUN = """
from amm500_nautilus.report.recorder import RunRecorder
original, minutes = RunRecorder.on_minute, []
def on_minute(self, ts_ns):
    original(self, ts_ns)
    minutes.append(ts_ns)
    if len(minutes) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
RunRecorder.on_minute = on_minute
"""
# is told to end there, and so says what it leaves
TOLD_IN_THE_RUN = IN_THE_RUN.replace("SIGKILL", "SIGTERM")
# dies when the market is simulated but its dataset not yet published
IN_THE_SIMULATION = """
import amm500_nautilus.runtime.data as data
original = data.simulate
def simulate(*args, **kwargs):
    original(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
data.simulate = simulate
"""
DYING = """
import os, signal, sys
{patch}
from amm500_nautilus.runtime.backtest import main
sys.exit(main(sys.argv[1:]))
"""


def run_dying(patch: str, line: list[str]) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [sys.executable, "-c", DYING.format(patch=patch), *line],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.slow
def test_a_run_killed_while_writing_keeps_its_unfinished_name_and_the_next_one_works(
    hour: Hour, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run_dying(IN_THE_RUN, arguments(hour.bars, hour.store, out, *EAGER)).returncode == -signal.SIGKILL
    assert not out.exists()
    partial = tmp_path / "run.partial"
    assert (partial / "config.yaml").is_file()
    assert not (partial / "summary.json").exists()
    # the same place again is refused, not silently mixed with what is there
    assert main(arguments(hour.bars, hour.store, out, *EAGER)) == 2
    assert "an unfinished run is there" in capsys.readouterr().err
    assert backtest(hour.bars, hour.store, tmp_path / "next", *EAGER) == 0
    assert summary_of(tmp_path / "next")["result_hash"] == summary_of(hour.out)["result_hash"]


@pytest.mark.slow
def test_a_run_killed_while_it_makes_its_data_loses_nothing(hour: Hour, tmp_path: Path) -> None:
    store = tmp_path / "store"
    line = arguments(hour.bars, store, tmp_path / "run", *EAGER)
    assert run_dying(IN_THE_SIMULATION, line).returncode == -signal.SIGKILL
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "run.partial").exists()
    assert backtest(hour.bars, store, tmp_path / "run", *EAGER) == 0
    assert summary_of(tmp_path / "run")["result_hash"] == summary_of(hour.out)["result_hash"]


@pytest.mark.slow
def test_a_run_told_to_end_says_so_and_keeps_its_unfinished_name(hour: Hour, tmp_path: Path) -> None:
    done = run_dying(TOLD_IN_THE_RUN, arguments(hour.bars, hour.store, tmp_path / "run", *EAGER))
    said = "terminated; a run directory that was begun keeps its .partial name\n"
    assert (done.returncode, done.stdout, done.stderr) == (143, "", said)
    assert [path.name for path in tmp_path.iterdir()] == ["run.partial"]
