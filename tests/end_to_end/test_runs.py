"""A whole run from bars to report, its determinism, and the commands that read what it left."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amm500_nautilus.runtime import cli
from amm500_nautilus.runtime.config import load_config
from tests.end_to_end.conftest import Hour
from tests.end_to_end.market import CONFIG
from tests.end_to_end.market import EAGER
from tests.end_to_end.market import FIRST
from tests.end_to_end.market import ROOT
from tests.end_to_end.market import arguments
from tests.end_to_end.market import backtest
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import summary_of
from tests.end_to_end.market import write_bars


FILES = {
    "config.yaml",
    "summary.json",
    "orders.csv",
    "fills.csv",
    "positions.csv",
    "account.csv",
    "equity.parquet",
}
METRICS = {
    "net_pnl", "annual_roi", "sharpe", "sortino", "max_drawdown", "trades", "trades_per_day", "maker_ratio", "fill_rate",
    "win_rate", "quote_uptime", "two_sided_uptime", "avg_quoted_spread_bps", "turnover", "max_position", "max_margin_ratio",
    "liquidations",
}  # fmt: skip


def test_a_run_leaves_its_whole_directory_and_nothing_unfinished(hour: Hour) -> None:
    assert {path.name for path in hour.out.iterdir()} >= FILES
    assert not list(hour.out.parent.glob("*.partial"))
    found = summary_of(hour.out)
    assert set(found) >= {
        "data", "targets", "verdict", "metrics", "pnl", "markouts_bps", "actions", "performance", "result_hash",
    }  # fmt: skip
    assert set(found["metrics"]) >= METRICS
    assert found["data"]["simulated"] is True


def test_the_run_traded(hour: Hour) -> None:
    found = summary_of(hour.out)
    fills = pd.read_csv(hour.out / "fills.csv")
    assert found["metrics"]["trades"] == len(fills) >= 20
    assert set(fills["order_side"]) == {"BUY", "SELL"}


def test_the_parts_of_the_result_sum_to_the_change_of_equity(hour: Hour) -> None:
    found = summary_of(hour.out)
    parts = dict(found["pnl"])
    total = parts.pop("total")
    assert sum(parts.values()) == pytest.approx(total, abs=1e-6)
    equity = pd.read_parquet(hour.out / "equity.parquet")["equity"]
    assert equity.iloc[-1] - equity.iloc[0] == pytest.approx(total, abs=1e-6)
    assert parts["fees"] < 0
    # growth mode: makers pay 0.003 %, takers 0.009 %, each fill cut to six decimals
    fills = pd.read_csv(hour.out / "fills.csv")
    rates = fills["liquidity_side"].map({"MAKER": 0.00003, "TAKER": 0.00009})
    due = (fills["last_px"] * fills["last_qty"] * rates).sum()
    assert -parts["fees"] == pytest.approx(due, abs=1e-6 * len(fills))


def test_an_hour_is_too_short_for_a_sharpe_and_a_missed_target_fails_the_run(hour: Hour) -> None:
    found = summary_of(hour.out)
    assert found["metrics"]["sharpe"] is None
    passed = {target["name"]: target["pass"] for target in found["targets"]}
    assert passed["sharpe"] is None
    # enough trading to judge by, but not the 2,000 fills a day that were aimed at
    assert 200 < found["metrics"]["trades_per_day"] < 2_000
    assert passed["trades_per_day"] is False
    assert found["verdict"] == "fail"


def test_too_little_trading_is_its_own_verdict(hour: Hour, tmp_path: Path) -> None:
    # the widest of grids is never reached
    quiet = ["strategy.quoting.model=fixed_grid", "strategy.quoting.fixed_grid.levels=2"]
    quiet.append("strategy.quoting.fixed_grid.offset_ticks=3000")
    assert backtest(hour.bars, hour.store, tmp_path / "run", *quiet) == 0
    found = summary_of(tmp_path / "run")
    assert found["metrics"]["trades"] == 0
    assert found["verdict"] == "not_enough_trading"


def test_a_run_that_a_kill_switch_halted_says_so_and_exits_with_3(
    hour: Hour, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    switches = ("session_loss=0.05", "session_loss_share=0.000005")
    sets = (f"strategy.risk.switches.{one}" for one in switches)
    assert backtest(hour.bars, hour.store, tmp_path / "run", *EAGER, *sets) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "HALTED at 2026-01-05T" in said or "HALTED at 2026-01-05 " in said
    assert "by session_loss" in said
    summary = summary_of(tmp_path / "run")
    assert [halt["reasons"] for halt in summary["risk"]["halts"]] == [["session_loss"]]
    assert summary["verdict_reasons"][0].startswith("HALTED")


def test_the_resolved_configuration_of_a_run_is_itself_a_run_file(hour: Hour) -> None:
    again = load_config(hour.out / "config.yaml")
    assert again.strategy.quoting.model == "fixed_grid"  # type: ignore[attr-defined]
    assert again.name == "xyz100_30d"


def test_the_same_command_twice_gives_the_same_result_and_another_seed_another(
    hour: Hour, tmp_path: Path
) -> None:
    # the first run made its data; this one finds it or makes it anew, to the same result
    assert backtest(hour.bars, tmp_path / "store", tmp_path / "again", *EAGER) == 0
    assert backtest(hour.bars, tmp_path / "store", tmp_path / "other", *EAGER, "seed=8") == 0
    first, again, other = (summary_of(out) for out in (hour.out, tmp_path / "again", tmp_path / "other"))
    assert again["result_hash"] == first["result_hash"]
    assert again["pnl"] == first["pnl"]
    assert other["result_hash"] != first["result_hash"]


def test_the_night_between_two_sessions_stays_a_gap(tmp_path: Path) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines(4, days=2))
    # without a budget and breakers nothing but the market keeps a side from being quoted
    free = ("strategy.budget.enabled=false", "strategy.risk.enabled=false")
    assert backtest(bars, tmp_path / "store", tmp_path / "run", *EAGER, *free) == 0
    found = summary_of(tmp_path / "run")
    # two sessions of four bars of five minutes
    assert found["metrics"]["session_seconds"] == 2_400
    assert found["metrics"]["two_sided_uptime"] > 0.95
    sessions = [(FIRST + timedelta(days=day), FIRST + timedelta(days=day, minutes=20)) for day in (0, 1)]
    # no format is given: every row has the same
    fills = pd.to_datetime(pd.read_csv(tmp_path / "run" / "fills.csv")["ts_event"])
    orders = pd.read_csv(tmp_path / "run" / "orders.csv")
    last = pd.to_datetime(orders["ts_last"], utc=True, unit="ns")
    for moments in (fills, last):
        inside = [(moments >= opened) & (moments <= closed) for opened, closed in sessions]
        assert (inside[0] | inside[1]).all()
    assert fills.dt.day.nunique() == 2


def test_another_configuration_gives_another_result(hour: Hour, tmp_path: Path) -> None:
    assert backtest(hour.bars, hour.store, tmp_path / "run", *EAGER, "account.equity=1001") == 0
    assert summary_of(tmp_path / "run")["result_hash"] != summary_of(hour.out)["result_hash"]


def test_why_tells_the_share_of_time_both_sides_were_quoted(
    hour: Hour, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["why", str(hour.out)]) == 0
    said = capsys.readouterr().out
    assert "%" in said


def test_why_of_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["why", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_check_prints_the_first_ladder_without_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["check", str(CONFIG)]) == 0
    said = capsys.readouterr().out
    rows = [line.split() for line in said.splitlines() if line.split()[:1] in (["bid"], ["ask"])]
    bids = [float(row[2]) for row in rows if row[0] == "bid"]
    asks = [float(row[2]) for row in rows if row[0] == "ask"]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks, reverse=True)
    assert max(bids) < 690.0 < min(asks)
    # 2 % of 1,000 at leverage 10, less what whole lots leave over
    for side in ("bid", "ask"):
        worth = sum(float(row[4].replace(",", "")) for row in rows if row[0] == side)
        assert worth == pytest.approx(1_800.0, abs=2.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid_and_named_after_its_file(path: Path) -> None:
    # an example is copied to a name of its own
    assert load_config(path).name == path.stem.removesuffix(".example")


def test_the_catalogue_lists_checks_and_answers(hour: Hour, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(*line: str) -> str:
        assert cli.main(["catalog", *line, "--root", str(hour.store)]) == 0
        return capsys.readouterr().out

    listed = ask("ls")
    assert "km:US500" in listed or "km.US500" in listed
    assert "SIMULATED" in listed
    assert ask("check").strip()
    counted = ask("query", "select count(*) as n from bars")
    # an hour of five-minute bars
    assert "12" in counted


def test_a_query_that_is_no_sql_is_refused(hour: Hour, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["catalog", "query", "selekt", "--root", str(hour.store)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_the_models_stand_side_by_side_on_the_same_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines(3))
    line = arguments(bars, tmp_path / "store", tmp_path / "runs")
    assert cli.main(["compare", *line]) == 0
    said = capsys.readouterr().out
    found: dict[str, Any] = {
        name: summary_of(tmp_path / "runs" / name) for name in ("tiered", "fixed_grid", "glft")
    }
    assert all(name in said for name in found)
    assert len({json.dumps(summary["data"], sort_keys=True) for summary in found.values()}) == 1
    assert len({summary["metrics"]["avg_quoted_spread_bps"] for summary in found.values()}) == 3
