"""``run_live.py configs/local.yaml`` as its user runs it: a venue is started, quoted on, and left with nothing resting."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amm500_nautilus.monitor.journal import load_saved
from amm500_nautilus.runtime.backtest import main as backtest_main
from amm500_nautilus.runtime.live import main as live_main
from amm500_nautilus.runtime.live import seconds_of
from amm500_nautilus.runtime.operate.journal_read import find_journal
from tests.live.processes import ended
from tests.live.run_directory import FILES
from tests.live.run_directory import PARTS


pytestmark = pytest.mark.live_node

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "configs" / "local.yaml"


def start(out: Path, duration: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "run_live.py"), str(LOCAL), "--quiet", "--out", str(out)]
    return subprocess.Popen(
        [*command, "--duration", duration],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))},
    )


def summary_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return found


def test_a_local_run_quotes_and_leaves_a_whole_run_directory_and_nothing_resting(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with ended(start(out, "20s")) as process:
        printed, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert "SIMULATED DATA, ITS BARS TOO" in printed
    assert all((out / name).is_file() for name in FILES)
    assert not list(tmp_path.glob("*.partial"))
    summary = summary_of(out)
    assert summary["data"]["simulated"] is True
    assert summary["metrics"]["two_sided_uptime"] > 0.3
    assert summary["actions"]["sent"] >= 30
    assert sum(summary["pnl"][part] for part in PARTS) == pytest.approx(summary["pnl"]["total"], abs=1e-6)
    # the venue's last word on equity is ours
    noted = next(text for text in summary["data"]["defaults"] if "from these books" in text)
    assert abs(float(re.search(r"[+-]\d+\.\d+", noted)[0])) < 1e-4  # type: ignore[index]
    orders = pd.read_csv(out / "orders.csv")
    assert not orders["open_at_end"].any()
    assert "0 orders left resting" in (out / "run.log").read_text()
    # and so says the last look at it, which the dashboard shows from then on
    journal = find_journal(out)
    assert journal is not None
    _, reading = load_saved(journal)["reading"]
    assert [json.loads(reading)[name] for name in ("n_bids", "n_asks")] == [0, 0]


def test_a_run_that_is_told_to_stop_ends_cleanly(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with ended(start(out, "1h")) as process:
        deadline = time.monotonic() + 90
        log = tmp_path / "run.partial" / "log" / "node.log"
        while not (log.is_file() and "MarketMaker: RUNNING" in log.read_text()):
            assert time.monotonic() < deadline, "the run never began to quote"
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=90)
    assert process.returncode == 0, errors
    assert "0 orders left resting" in (out / "run.log").read_text()


def test_each_runner_refuses_the_other_s_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert live_main([str(ROOT / "configs" / "xyz100_30d.yaml"), "--out", str(tmp_path / "a")]) == 2
    assert "run_backtest.py" in capsys.readouterr().err
    assert backtest_main([str(LOCAL), "--out", str(tmp_path / "b")]) == 2
    assert "run_live.py" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["0s", "12", "5w", "-3m", "soon"])
def test_a_duration_that_is_none_is_refused(
    value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert live_main([str(LOCAL), f"--duration={value}", "--out", str(tmp_path / "a")]) == 2
    assert "live.duration" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("30m", 1_800.0), ("6h", 21_600.0), ("7d", 604_800.0)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds
