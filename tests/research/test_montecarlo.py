"""The command beside a run's own files: what it reads, what it writes, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from amm500_nautilus.report.files import READ_FILES
from amm500_nautilus.runtime.cli import main
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.config import to_plain
from amm500_nautilus.runtime.operate.verify import monte_carlo as upper_bound


CONFIG = Path(__file__).resolve().parents[2] / "configs" / "stress_12m.yaml"
MINUTE = 60_000_000_000


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run directory of one day whose position and price swing."""
    return write_run(tmp_path / "run")


def write_run(folder: Path, *, minutes: int = 360, liquidations: int = 0, contracts: float = 20.0) -> Path:
    folder.mkdir()
    config = load_config(CONFIG)
    (folder / "config.yaml").write_text(yaml.safe_dump(to_plain(config), sort_keys=False), encoding="utf-8")
    for name in READ_FILES:
        if name.endswith(".csv"):
            (folder / name).write_text("", encoding="utf-8")
    rng = np.random.default_rng(1)
    mid = 690.0 + 2.0 * np.sin(np.arange(minutes) / 30.0) + rng.normal(0, 0.05, minutes)
    position = contracts * np.cos(np.arange(minutes) / 50.0)
    earned = np.concatenate(([0.0], np.cumsum(position[:-1] * np.diff(mid))))
    # the run itself lives, whatever it holds
    equity = 10_000.0 + 5_000.0 * np.tanh(earned / 5_000.0)
    pd.DataFrame(
        {"ts_ns": np.arange(minutes) * MINUTE, "position": position, "mid": mid, "equity": equity}
    ).to_parquet(folder / "equity.parquet")
    fills = (
        "last_qty,last_px,mid_at_fill,mid_1s,mid_5s,mid_30s,mid_60s,fee,position_after,closed_pnl,closed_pnl_net,"
        "queue_ahead,level,fill_index,ts_ns,side,session,unseen_level,by_trade\n"
    )
    (folder / "fills.csv").write_text(fills, encoding="utf-8")
    (folder / "orders.csv").write_text("client_order_id,accepted,open_at_end\n", encoding="utf-8")
    (folder / "open_orders.csv").write_text("client_order_id\n", encoding="utf-8")
    (folder / "states.csv").write_text("ts_ns,state,reasons\n", encoding="utf-8")
    (folder / "sessions.csv").write_text(
        f"session,open_ns,close_ns\n0,0,{minutes * MINUTE}\n", encoding="utf-8"
    )
    data = {
        "simulated": True, "bars_simulated": True, "market": "km:US500", "source": "generator",
        "start": "2026-01-05T14:30:00+00:00", "end": "2026-01-05T20:30:00+00:00",
    }  # fmt: skip
    summary = {"metrics": {"liquidations": liquidations}, "data": data, "result_hash": "abc"}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder


def test_a_calm_run_passes_the_gate_and_leaves_what_verify_reads(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["montecarlo", str(run_dir), "--paths", "500"]) == 0
    said = capsys.readouterr().out
    assert "SIMULATED DATA" in said
    assert "gate: pass" in said
    written = json.loads((run_dir / "montecarlo.json").read_text(encoding="utf-8"))
    assert [row["leverage"] for row in written["levels"]] == [5, 10, 20, 25]
    assert written["horizon_minutes"] == 30 * 360
    assert upper_bound(run_dir) == written["levels"][-1]["upper"]
    assert written["mean_block_minutes"] >= 60


def test_a_run_that_hangs_by_a_thread_fails_the_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 700 contracts at 690 are 48 times the equity, of which 2 % is as good as all of it: a tenth of a percent of the price is the end
    folder = write_run(tmp_path / "run", contracts=700.0)
    assert main(["montecarlo", str(folder), "--paths", "300", "--days", "2"]) == 1
    assert "gate: FAIL" in capsys.readouterr().out


def test_paths_of_an_hour_pass_no_gate(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["montecarlo", str(run_dir), "--paths", "500", "--days", "0.2"]) == 1
    said = capsys.readouterr().out
    assert "gate: undecided, 0.00%" in said
    assert "within 0.2 days: paths of 30 are needed" in said


def test_the_market_is_the_one_that_the_run_was_on_and_not_the_run_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # the run file says 25x; the account is asked for half of a tenth of the value, then of a fiftieth, as markets of 10x and 50x do
    folder = write_run(tmp_path / "run")
    frame = pd.read_parquet(folder / "equity.parquet")
    for largest in (10, 50):
        needed = frame["position"].abs() * frame["mid"] / (2 * largest)
        frame.assign(maintenance_ratio=needed / frame["equity"]).to_parquet(folder / "equity.parquet")
        assert main(["montecarlo", str(folder), "--paths", "20", "--days", "1", "--leverage", "60"]) == 2
        assert f"allowed: 1 to {largest}" in capsys.readouterr().err


def test_the_same_seed_writes_the_same_file(run_dir: Path) -> None:
    written = []
    for _ in range(2):
        main(["montecarlo", str(run_dir), "--paths", "200", "--leverage", "10", "--seed", "3"])
        written.append((run_dir / "montecarlo.json").read_text(encoding="utf-8"))
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"minutes": 60}, [], "has 60 minutes with a price"),
        ({"liquidations": 2}, [], "was liquidated 2 times itself"),
        ({}, ["--leverage", "40"], "allowed: 1 to 25"),
    ],
    ids=["short", "liquidated", "leverage"],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(
    tmp_path: Path,
    changes: dict[str, int],
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_run(tmp_path / "run", **changes)  # type: ignore[arg-type]
    assert main(["montecarlo", str(folder), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["equity.parquet", "states.csv", "summary.json"])
def test_a_run_with_a_damaged_file_is_refused(
    name: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (run_dir / name).read_bytes()
    (run_dir / name).write_bytes(b"\xff" + whole[: len(whole) // 2])
    assert main(["montecarlo", str(run_dir)]) == 2
    said = capsys.readouterr().err
    assert f"{run_dir / name}: " in said
    assert said.count("\n") == 1
    assert not (run_dir / "montecarlo.json").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["montecarlo", str(tmp_path)]) == 2
    assert "is missing" in capsys.readouterr().err
