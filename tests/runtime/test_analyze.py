"""``amm500 analyze``: seven days are judged by what is on disk, and less than that is never a pass."""

import contextlib
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from amm500_nautilus.report.account import FORCED
from amm500_nautilus.report.analysis import Evidence
from amm500_nautilus.report.analysis import imbalances
from amm500_nautilus.report.analysis import judge
from amm500_nautilus.report.analysis import measure
from amm500_nautilus.runtime.cli import main
from amm500_nautilus.runtime.node.gate import judge as judge_gate
from amm500_nautilus.runtime.node.gate import paper_runs
from amm500_nautilus.runtime.operate.evidence import gather
from amm500_nautilus.runtime.operate.evidence import uptime
from amm500_nautilus.runtime.operate.rebuild import read_back
from amm500_nautilus.runtime.operate.rebuild import write_run
from hyperliquid_hip3.reconcile import DELEVERAGING
from hyperliquid_hip3.reconcile import LIQUIDATION
from tests.runtime.journal_scene import CONTEXT
from tests.runtime.journal_scene import DAY
from tests.runtime.journal_scene import MINUTE
from tests.runtime.journal_scene import NS
from tests.runtime.journal_scene import START
from tests.runtime.journal_scene import write_journal


GOOD = {"growth": 100.0, "swing": 0.0}


def week(days: float = 7.5, **changes: Any) -> Evidence:
    """A week that passes everything: 1,440 maker fills a day, ten percent of growth."""
    stamps = np.arange(START, START + int(days * DAY) + 1, MINUTE, dtype=np.int64)
    count = len(stamps)
    path = 10_000 + np.linspace(0, 1_000, count) + np.where(np.arange(count) % 120 >= 60, 3.0, 0.0)
    plain: dict[str, Any] = {
        "name": "week",
        "mode": "paper",
        "market": "km:US500",
        "collateral": "USDH",
        "source": "hyperliquid, live",
        "simulated": False,
        "start_ns": int(stamps[0]),
        "end_ns": int(stamps[-1]),
        "ts_ns": stamps,
        "equity": path,
        "position": np.zeros(count),
        "mid": np.full(count, 690.0),
        "leverage": np.full(count, 10.0),
        "margin_ratio": np.full(count, 0.1),
        "fill_ns": stamps.copy(),
        "fill_value": np.full(count, 345.0),
        "fill_is_maker": np.ones(count),
        "funding_ns": stamps[::60],
        "funding": np.full(len(stamps[::60]), 0.01),
        "halt_ns": np.array([], dtype=np.int64),
        "liquidation_ns": np.array([], dtype=np.int64),
        "two_sided": 0.95,
    }
    share = changes.get("two_sided", plain["two_sided"])
    if share is not None:
        passed_s = (stamps - stamps[0]) / NS
        plain |= {"watch_ns": stamps, "watched_s": passed_s, "two_sided_s": share * passed_s}
    return Evidence(**(plain | changes))


def passed(evidence: Evidence) -> dict[str, bool | None]:
    return {check.name: check.passed for check in judge(evidence).checks}


def test_a_week_that_reaches_everything_passes_with_the_best_grade() -> None:
    found = judge(week())
    assert (found.verdict, found.grade, found.reasons) == ("pass", "excellent", ())
    assert found.figures.days == pytest.approx(7.0, abs=0.01)


@pytest.mark.parametrize("days", [0.1, 3.0, 6.9])
def test_less_than_seven_days_are_not_enough_data_however_good(days: float) -> None:
    found = judge(week(days))
    assert found.verdict == "not_enough_data"
    assert found.reasons[0].startswith("span_days")


def test_a_week_with_a_day_s_hole_is_not_enough_data() -> None:
    whole = week()
    kept = (whole.ts_ns < START + 3 * DAY) | (whole.ts_ns > START + 4 * DAY)
    holes = {
        name: getattr(whole, name)[kept]
        for name in ("ts_ns", "equity", "position", "mid", "leverage", "margin_ratio")
    }
    found = judge(replace(whole, **holes))
    assert found.verdict == "not_enough_data"
    assert found.reasons[0].startswith("coverage")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"halt_ns": np.array([START + 5 * DAY])}, "kill_switch_halts"),
        ({"liquidation_ns": np.array([START + 5 * DAY])}, "liquidations"),
        ({"two_sided": 0.5}, "two_sided_uptime"),
        ({"two_sided": None}, "two_sided_uptime"),
        ({"fill_value": np.full(10_801, 1.0)}, "turnover_per_day"),
    ],
)
def test_what_must_hold_fails_the_week_even_at_the_best_grade(changes: dict[str, Any], name: str) -> None:
    found = judge(week(**changes))
    assert found.verdict == "fail"
    assert any(reason.startswith(name) for reason in found.reasons)


def test_a_halt_fails_a_run_that_is_too_short_as_well() -> None:
    assert judge(week(1.0, halt_ns=np.array([START + DAY // 2]))).verdict == "fail"


def test_a_halt_before_the_last_seven_days_is_no_longer_counted() -> None:
    assert judge(week(10.0, halt_ns=np.array([START + DAY]))).verdict == "pass"


def test_four_of_five_pass_and_three_do_not() -> None:
    taking = week(fill_is_maker=np.zeros(10_801))
    assert (judge(taking).verdict, judge(taking).grade) == ("pass", "good")
    quiet = replace(taking, equity=10_000 + (taking.equity - 10_000) * 0.3)
    found = judge(quiet)
    assert (found.verdict, found.grade) == ("fail", "acceptable")
    assert [reason.split()[0] for reason in found.reasons] == ["maker_ratio", "roi"]


def test_drawdown_and_return_are_those_of_the_path() -> None:
    path = np.concatenate([np.full(5_000, 10_000.0), np.full(5_801, 9_900.0)])
    figures = measure(week(equity=path))
    assert figures.max_drawdown == pytest.approx(0.01)
    assert figures.roi == pytest.approx(-0.01)
    assert passed(week(equity=path))["max_drawdown"] is False


def test_a_return_counts_against_what_was_there_to_earn_it() -> None:
    # opened with 1,000, 9,000 more after a day, and 60 earned on the 10,000
    moved = np.where(np.arange(10_801) < 1_440, 0.0, 9_000.0)
    earned = week(equity=np.concatenate([np.full(9_000, 1_000.0), np.full(1_801, 1_060.0)]), transfers=moved)
    figures = measure(earned)
    assert figures.pnl == pytest.approx(60.0)
    assert figures.roi == pytest.approx(0.006)
    assert passed(earned)["roi"] is False
    lost = week(equity=np.concatenate([np.full(9_000, 1_000.0), np.full(1_801, 940.0)]), transfers=moved)
    assert measure(lost).max_drawdown == pytest.approx(0.006)
    assert measure(judge(lost, days=2.0).evidence).max_drawdown == pytest.approx(0.006)
    assert figures.turnover_per_day < measure(replace(earned, transfers=None)).turnover_per_day / 8


def test_an_equity_that_never_moved_has_no_sharpe_and_that_is_no_pass_of_it() -> None:
    found = passed(week(equity=np.full(10_801, 10_000.0)))
    assert found["sharpe"] is None
    assert judge(week(equity=np.full(10_801, 10_000.0))).verdict == "fail"


def test_times_beyond_the_threshold_are_counted_once_each() -> None:
    evidence = week(1.0)
    held = np.zeros(len(evidence.ts_ns))
    # 2.5 % of 10,000 at 10x is 2,500: 3.6 contracts
    held[0:3] = held[100:200] = 4.0
    held[300] = -4.0
    held[400] = 3.0
    assert imbalances(replace(evidence, position=held, equity=np.full(len(held), 10_000.0)), 0.025) == 3


def test_a_sample_counts_until_the_next_and_a_hole_counts_as_silence() -> None:
    def sample(second: int, bid: float | None, ask: float | None) -> dict[str, Any]:
        return {"ts_ns": second * NS, "bid": bid, "ask": ask, "mid": 690.0}

    rows = [
        sample(0, 689.9, 690.1),
        sample(10, 689.9, None),
        sample(20, None, None),
        sample(30, 600.0, 690.1),
    ]
    rows += [sample(40, 689.9, 690.1), sample(100, 689.9, 690.1)]
    assert uptime(rows) == (pytest.approx(0.3), pytest.approx(0.1))  # type: ignore[arg-type]
    assert uptime(rows[:1]) == (None, None)  # type: ignore[arg-type]


def rebuilt(journal: Path, out: Path) -> None:
    """Write the run directory of a journal's last run."""
    out.mkdir()
    write_run(read_back(journal), out)


def test_what_is_judged_of_the_quotes_is_of_the_judged_days() -> None:
    whole = week(10.0)
    quoted = np.minimum(whole.watched_s, 5 * 86_400.0)
    evidence = replace(whole, two_sided=0.5, two_sided_s=quoted)
    # of the last seven days the first two
    assert measure(evidence.last_days(7.0)).two_sided_uptime == pytest.approx(2 / 7)
    # from a moment between two samples on, half a minute of quotes and a minute of none
    assert evidence.two_sided_since(START + 5 * DAY - MINUTE // 2) == pytest.approx(30 / (5 * 86_400 + 30))
    assert measure(evidence).two_sided_uptime == 0.5
    bare = replace(whole, watch_ns=whole.watch_ns[:0])
    assert measure(bare.last_days(7.0)).two_sided_uptime is None
    unknown = replace(whole, two_sided_s=np.full(len(whole.ts_ns), np.nan))
    assert measure(unknown.last_days(7.0)).two_sided_uptime is None


@pytest.fixture(scope="module")
def silenced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a journal of twelve hours of which the last six quote nothing, and of the run directory made from it."""
    folder = tmp_path_factory.mktemp("silenced")
    path = write_journal(folder / "monitor", days=0.5, context=CONTEXT)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE quote SET bid = NULL, ask = NULL WHERE ts_ns > ?", (START + DAY // 4,))
    rebuilt(path, folder / "run")
    return folder


@pytest.mark.parametrize("where", ["monitor", "run"])
def test_last_hours_without_quotes_have_no_uptime_whatever_was_before(silenced: Path, where: str) -> None:
    evidence = gather(silenced / where)
    assert evidence.two_sided == pytest.approx(0.5, abs=0.01)
    assert measure(evidence.last_days(0.25)).two_sided_uptime == pytest.approx(0.0, abs=1e-3)


def test_a_liquidation_of_a_live_run_fails_its_files_too(tmp_path: Path) -> None:
    forced = (("LIQUIDATION-77-1", 3), ("LIQUIDATION-77-2", 4), ("ADL-78-3", 9), ("MANUAL-79-4", 12))
    path = write_journal(tmp_path / "monitor", days=0.1, context={**CONTEXT, "mode": "live"}, mode="live")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for name, number in forced:
            connection.execute("UPDATE fill SET client_order_id = ? WHERE tid = ?", (name, f"t{number}"))
    rebuilt(path, tmp_path / "run")
    found = gather(tmp_path / "run")
    # several trades of one order are one liquidation; what a person trades is none
    assert found.liquidation_ns.tolist() == [found.fill_ns[2], found.fill_ns[8]]
    assert judge(found).verdict == "fail"
    # and the report counts what the verdict does
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["metrics"]["liquidations"] == 2
    assert (summary["liquidations"]["count"], summary["liquidations"]["acts"]) == (2, {"venue": 2})


def test_the_venue_s_trades_are_known_by_the_adapter_s_names_for_them() -> None:
    assert (f"{LIQUIDATION}-", f"{DELEVERAGING}-") == FORCED


def test_a_liquidation_that_only_the_minutes_count_is_one(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "monitor", days=0.1, context=CONTEXT)
    rebuilt(path, tmp_path / "run")
    rows = tmp_path / "run" / "equity.parquet"
    frame = pd.read_parquet(rows)
    assert gather(tmp_path / "run").liquidation_ns.tolist() == []
    frame["liquidations_cum"] = [0.0] * 5 + [2.0] * (len(frame) - 5)
    frame.to_parquet(rows)
    assert gather(tmp_path / "run").liquidation_ns.tolist() == [frame["ts_ns"].iloc[5]] * 2


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("week") / "monitor"
    return write_journal(folder, **GOOD, days=7.2, context=CONTEXT, runs=3)  # type: ignore[arg-type]


def test_a_journal_s_session_is_judged_over_all_its_restarts(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = journal.read_bytes()
    assert main(["analyze", str(journal.parent.parent), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((journal.parent / "analysis.json").read_text())
    assert printed == written
    assert (written["verdict"], written["grade"], written["mode"]) == ("pass", "excellent", "paper")
    assert written["figures"]["fills"] == pytest.approx(7 * 1_440, abs=2)
    assert written["figures"]["roi"] == pytest.approx(700 / 10_020, rel=0.02)
    assert written["gaps"][0] == "the session took 3 runs"
    assert written["data"] == {"source": "hyperliquid, live", "simulated": False}
    assert written["strategy_hash"] == "abc"
    # reading leaves a journal as it was
    assert journal.read_bytes() == before


def test_a_paper_session_of_several_processes_opens_the_gate_of_live(journal: Path) -> None:
    assert main(["analyze", str(journal), "--json"]) == 0
    folder = journal.parent.parent / "runs"
    folder.mkdir()
    (folder / "state").symlink_to(journal.parent.parent.parent)
    run = next(run for run in paper_runs(folder) if run.path.name == journal.parent.parent.name)
    assert (run.verdict, run.strategy, run.market, run.is_analyzed) == ("pass", "abc", "km:US500", True)
    assert run.days == pytest.approx(7.0, abs=0.01)
    # what the last analysis says is believed of the strategy that it saw alone
    assert judge_gate([run], strategy="abc", market="km:US500", folder="runs").is_open
    assert not judge_gate([run], strategy="other", market="km:US500", folder="runs").is_open


def test_an_analysis_is_printed_with_its_limits(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", str(journal), "--days", "100"]) == 1
    said = capsys.readouterr().out
    assert "verdict: not_enough_data" in said
    assert "span_days" in said
    assert ">= 100" in said
    assert "fills are simulated" in said


def test_a_transfer_is_no_profit(tmp_path: Path) -> None:
    path = write_journal(tmp_path, days=0.5, transfer=5_000.0)
    evidence = gather(path)
    assert evidence.moved[-1] == 5_000.0
    assert evidence.capital[-1] == pytest.approx(evidence.equity[-1] + 5_000.0)
    figures = measure(evidence)
    assert abs(figures.roi) < 1e-4
    assert figures.max_drawdown < 1e-4


def test_only_a_kill_switch_that_really_halted_counts(tmp_path: Path) -> None:
    halts = (
        ("drawdown", {"halted": 1.0}),
        ("session_loss", {"drill": 1.0, "halted": 1.0}),
        ("book_stale", {}),
        ("losing_streak", {"halted": 1.0}),
        ("operator_flatten", {"halted": 1.0}),
    )
    path = write_journal(tmp_path, days=0.2, halts=halts)
    assert measure(gather(path)).halts == 2


def test_what_is_no_run_is_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", str(tmp_path)]) == 2
    assert "neither a summary nor a journal" in capsys.readouterr().err
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    assert main(["analyze", str(other)]) == 2
    assert "is not a journal of this program" in capsys.readouterr().err
    torn = tmp_path / "torn.sqlite"
    torn.write_bytes(b"SQLite format 3\x00" + b"\x01" * 200)
    assert main(["analyze", str(torn)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["analyze", str(tmp_path), "--days", "0"]) == 2


def test_a_journal_without_a_minute_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_journal(tmp_path, days=0.0, skip=range(1))
    assert main(["analyze", str(path)]) == 2
    assert "has no minute of session 1" in capsys.readouterr().err
