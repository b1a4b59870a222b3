"""``amm500 verify``: each phase's gate, shut by anything that is missed or cannot be known."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amm500_nautilus.report.analysis_gates import BACKTEST
from amm500_nautilus.report.analysis_gates import LIVE
from amm500_nautilus.report.analysis_gates import PAPER
from amm500_nautilus.report.analysis_gates import Setting
from amm500_nautilus.report.analysis_gates import gate_checks
from amm500_nautilus.report.analysis_gates import step_of
from amm500_nautilus.runtime.cli import main
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.operate.verify import holds
from amm500_nautilus.runtime.operate.verify import monte_carlo
from amm500_nautilus.runtime.operate.verify import same_strategy
from amm500_nautilus.runtime.strategy_hash import strategy_hash
from tests.runtime.journal_scene import CONTEXT
from tests.runtime.journal_scene import DAY
from tests.runtime.journal_scene import START
from tests.runtime.journal_scene import write_journal
from tests.runtime.test_analyze import week


ROOT = Path(__file__).resolve().parents[2]
YEAR = Setting(leverage=25.0, liquidation_probability=0.01)


def year(**changes: Any) -> Any:
    """Twelve months of a backtest at 25x, by the hour's last minute."""
    stamps = np.arange(START, START + 365 * DAY + 1, DAY // 24, dtype=np.int64)
    count = len(stamps)
    fills = np.sort(np.tile(stamps[:-1], 30))
    plain: dict[str, Any] = {
        "mode": "backtest",
        "start_ns": int(stamps[0]),
        "end_ns": int(stamps[-1]),
        "ts_ns": stamps,
        "equity": 10_000 + np.linspace(0, 3_000, count) + np.where(np.arange(count) % 2, 2.0, 0.0),
        "position": np.zeros(count),
        "mid": np.full(count, 690.0),
        "leverage": np.full(count, 25.0),
        "margin_ratio": np.full(count, 0.1),
        "fill_ns": fills,
        "fill_value": np.full(len(fills), 100.0),
        "fill_is_maker": np.ones(len(fills)),
    }
    return week(0.1, **(plain | changes))


def missed(phase: int, evidence: Any, setting: Setting) -> list[str]:
    return [check.name for check in gate_checks(phase, evidence, setting) if check.passed is not True]


def test_a_year_that_reaches_everything_opens_the_first_gate() -> None:
    assert missed(BACKTEST, year(), YEAR) == []


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        (replace(YEAR, leverage=10.0), "leverage"),
        (replace(YEAR, leverage=None), "leverage"),
        (replace(YEAR, liquidation_probability=0.05), "liquidation_probability"),
        (replace(YEAR, liquidation_probability=None), "liquidation_probability"),
    ],
)
def test_a_year_that_was_not_stressed_at_25x_or_may_be_liquidated_does_not(
    setting: Setting, name: str
) -> None:
    assert missed(BACKTEST, year(), setting) == [name]


def test_a_month_is_no_year_and_a_liquidation_is_one_too_many() -> None:
    assert missed(BACKTEST, year().last_days(30), YEAR) == ["span_days"]
    assert missed(BACKTEST, year(liquidation_ns=np.array([START + DAY])), YEAR) == ["liquidations"]


def test_a_paper_week_opens_the_second_gate() -> None:
    assert missed(PAPER, week(), Setting()) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"simulated": True}, "real_market"),
        ({"equity": np.full(10_801, 10_000.0)}, "pnl_share"),
        ({"funding": np.full(181, -0.01)}, "funding"),
        ({"halt_ns": np.array([START])}, "kill_switch_halts"),
        ({"position": np.where(np.arange(10_801) % 2_000 < 5, 30.0, 0.0)}, "imbalances"),
    ],
)
def test_what_is_missed_in_paper_keeps_the_second_gate_shut(changes: dict[str, Any], name: str) -> None:
    assert missed(PAPER, week(**changes), Setting()) == [name]


@pytest.mark.parametrize(
    ("days", "capital"),
    [(0.0, 1_000), (20.9, 1_000), (21.0, 2_000), (49.0, 5_000), (77.0, 10_000), (400.0, 10_000)],
)
def test_capital_grows_by_the_weeks_of_live_trading(days: float, capital: float) -> None:
    assert step_of(days).capital == capital


def test_more_capital_or_leverage_than_the_week_allows_keeps_the_third_gate_shut() -> None:
    live = week(7.5, mode="live")
    assert missed(LIVE, live, Setting(leverage=10.0, capital=1_000.0)) == []
    assert missed(LIVE, live, Setting(leverage=20.0, capital=1_000.01)) == ["capital", "leverage"]
    # without a cap everything on the account is used
    assert missed(LIVE, live, Setting(leverage=10.0)) == ["capital"]


def test_nothing_is_a_pass_that_cannot_be_known() -> None:
    assert not holds(gate_checks(BACKTEST, year(), Setting()))


def drawn(
    folder: Path, levels: list[dict[str, Any]], result: str = "a", ran: str = "a", days: float = 30.0
) -> float | None:
    written = {"levels": levels, "run": {"result_hash": result}, "request": {"days": days}}
    (folder / "montecarlo.json").write_text(json.dumps(written))
    (folder / "summary.json").write_text(json.dumps({"result_hash": ran}))
    return monte_carlo(folder)


def test_the_gate_goes_by_the_upper_end_of_the_interval_at_25x(tmp_path: Path) -> None:
    levels = [{"leverage": 10, "upper": 0.01}, {"leverage": 25, "probability": 0.02, "upper": 0.06}]
    assert drawn(tmp_path, levels) == 0.06


def test_a_monte_carlo_of_another_result_or_leverage_says_nothing(tmp_path: Path) -> None:
    assert drawn(tmp_path, [{"leverage": 25, "upper": 0.01}], ran="b") is None
    assert drawn(tmp_path, [{"leverage": 10, "upper": 0.01}]) is None
    # paths of an hour are never liquidated
    assert drawn(tmp_path, [{"leverage": 25, "upper": 0.01}], days=0.2) is None
    assert drawn(tmp_path, []) is None
    for text in ("", "[1]", "{}"):
        (tmp_path / "montecarlo.json").write_text(text)
        assert monte_carlo(tmp_path) is None


def test_a_backtest_may_be_of_another_leverage_and_a_paper_run_may_not() -> None:
    paper = load_config(ROOT / "configs" / "paper.yaml")
    other = load_config(ROOT / "configs" / "paper.yaml", ["account.leverage=25", "name=other", "seed=9"])
    assert strategy_hash(paper) != strategy_hash(other)
    assert not same_strategy(paper, other)
    assert same_strategy(paper, other.model_copy(update={"mode": "backtest"}))
    changed = load_config(ROOT / "configs" / "paper.yaml", ["strategy.cycle_ms=2000"])
    assert not same_strategy(paper, changed.model_copy(update={"mode": "backtest"}))


def test_a_named_paper_week_is_verified_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_journal(tmp_path / "good", days=7.2, growth=100.0, context=CONTEXT)
    assert main(["verify", str(good)]) == 0
    assert "phase 2: holds" in capsys.readouterr().out
    # the earlier bot asked for twice as many trades
    assert main(["verify", str(good), "--targets"]) == 1
    capsys.readouterr()
    assert main(["verify", str(good), "--json", "--phase", "1"]) == 1
    (phase,) = json.loads(capsys.readouterr().out)["phases"]
    assert (phase["phase"], phase["run"], phase["pass"]) == (1, None, False)


def test_a_run_file_s_runs_are_looked_up_and_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(ROOT / "configs" / "paper.yaml"), "--runs", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "phase 1, stress backtest: no run speaks for it" in said
    assert "phase 2, paper: no run speaks for it" in said
    # the journal of a run file that has been changed since speaks for another strategy
    write_journal(tmp_path / "state" / "paper" / "monitor", days=0.2, context=CONTEXT)
    assert main(["verify", str(ROOT / "configs" / "paper.yaml"), "--runs", str(tmp_path)]) == 1
    assert "phase 2, paper: no run speaks for it" in capsys.readouterr().out
    (tmp_path / "state" / "paper" / "monitor" / "journal.sqlite").unlink()
    ours = CONTEXT | {"strategy_hash": strategy_hash(load_config(ROOT / "configs" / "paper.yaml"))}
    write_journal(tmp_path / "state" / "paper" / "monitor", days=0.2, context=ours)
    assert (
        main(["verify", str(ROOT / "configs" / "paper.yaml"), "--runs", str(tmp_path), "--phase", "2"]) == 1
    )
    said = capsys.readouterr().out
    assert "phase 2: does not hold" in said


def test_a_local_run_speaks_for_no_phase(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_journal(tmp_path, days=0.05, mode="local")
    assert main(["verify", str(path)]) == 2
    assert "speaks for no phase" in capsys.readouterr().err
