"""Runs on the recordings beside the project: a morning of ^OEX bars, ten minutes of a recorded book."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amm500_nautilus.runtime import cli
from amm500_nautilus.runtime.backtest import main
from tests.end_to_end.market import ROOT
from tests.end_to_end.market import summary_of


pytestmark = pytest.mark.real_data


def run(config: str, out: Path, *values: str) -> int:
    line = [str(ROOT / "configs" / config), "--quiet", "--out", str(out)]
    for value in (*values, "report.tearsheet=false"):
        line += ["--set", value]
    return main(line)


@pytest.mark.slow
def test_a_morning_of_index_bars_adds_up(shared_dir: Path, tmp_path: Path) -> None:
    bars = shared_dir / "data" / "oex_5m" / "oex_5m.parquet"
    values = [
        "data.source=file",
        f"data.path={bars}",
        "data.end=2025-12-16T17:00:00Z",
        f"data.catalog={tmp_path / 'store'}",
    ]
    assert run("xyz100_30d.yaml", tmp_path / "run", *values) == 0
    found = summary_of(tmp_path / "run")
    parts = dict(found["pnl"])
    total = parts.pop("total")
    assert sum(parts.values()) == pytest.approx(total, abs=1e-6)
    equity = pd.read_parquet(tmp_path / "run" / "equity.parquet")["equity"]
    assert equity.iloc[-1] - equity.iloc[0] == pytest.approx(total, abs=1e-6)
    # from the open at 14:30 UTC
    assert found["metrics"]["session_seconds"] == 9_000
    assert found["data"]["simulated"] is True
    enough = (
        found["metrics"]["trades_per_day"] >= 200
        and found["metrics"]["two_sided_uptime"] >= 0.8
        and found["metrics"]["turnover"] >= 5
    )
    assert (found["verdict"] == "not_enough_trading") == (not enough)
    fills = pd.read_csv(tmp_path / "run" / "fills.csv")
    # the shipped ladder trades on real bars, so that none of the sums above is a sum of nothing
    assert found["metrics"]["trades"] == len(fills) > 20
    assert parts["fees"] < 0


# the engine itself floors a day by pandas' old letter when deltas are subscribed to
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'d' is deprecated")
def test_ten_minutes_of_a_recorded_book_simulate_nothing_but_our_fills(
    shared_dir: Path, tmp_path: Path
) -> None:
    folder = shared_dir / "data" / "hl_l2_20250904"
    store = f"data.catalog={tmp_path / 'store'}"
    values = [f"data.path={folder}", "market.coin=BTC", "data.end=2025-09-04T19:56:56Z", store]
    assert run("hl_l2_replay.yaml", tmp_path / "run", *values) == 0
    found = summary_of(tmp_path / "run")
    assert found["data"]["simulated"] is False
    parts = dict(found["pnl"])
    total = parts.pop("total")
    assert sum(parts.values()) == pytest.approx(total, abs=1e-6)
    fills = pd.read_csv(tmp_path / "run" / "fills.csv")
    assert found["metrics"]["trades"] == len(fills)
    assert "unseen_level" in fills.columns
    # 19:46:56.253 to 19:56:56
    assert found["metrics"]["session_seconds"] == pytest.approx(599.747, abs=0.01)
    shares = [value for key, value in flat(found).items() if "unseen" in key]
    assert shares
    if len(fills):
        assert fills["unseen_level"].isin([0, 1, True, False]).all()


def test_check_prints_the_ladder_of_a_recording_at_its_first_book(
    shared_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = [f"data.path={shared_dir / 'data' / 'hl_l2_20250904'}", "market.coin=SOL"]
    line = ["check", str(ROOT / "configs" / "hl_l2_replay.yaml")]
    assert cli.main([*line, *(part for value in values for part in ("--set", value))]) == 0
    said = capsys.readouterr().out
    price = float(said.partition(" at ")[2].split()[0])
    rows = [row.split() for row in said.splitlines() if row.split()[:1] in (["bid"], ["ask"])]
    bids = [float(row[2]) for row in rows if row[0] == "bid"]
    asks = [float(row[2]) for row in rows if row[0] == "ask"]
    assert len(bids) == len(asks) == 15
    # within the widest half-spread of the file, and a tick
    assert price * (1 - 16e-4) < min(bids) < max(bids) < price < min(asks) < max(asks) < price * (1 + 16e-4)


def flat(values: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Return nested keys as dotted ones."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{path}{key}"
        found.update(flat(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return found


def test_a_span_outside_the_recording_is_refused(
    shared_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared_dir / "data" / "hl_l2_20250904"
    values = [
        f"data.path={folder}",
        "market.coin=BTC",
        "data.start=2025-09-05",
        f"data.catalog={tmp_path / 'store'}",
    ]
    assert run("hl_l2_replay.yaml", tmp_path / "run", *values) == 2
    assert "nothing between data.start and data.end" in capsys.readouterr().err
    assert not list(tmp_path.glob("run*"))
