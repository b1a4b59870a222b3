"""The sweep's driver beside a pool that answers by hand: order, failures, resumption, pruning, and what no trial may see."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from rich.console import Console

from amm500_catalog.errors import InputError
from amm500_nautilus.research.space import assigned
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.sweep.data import CarriedDataset
from amm500_nautilus.runtime.sweep.data import lay_out
from amm500_nautilus.runtime.sweep.drive import SweepResult
from amm500_nautilus.runtime.sweep.drive import run_sweep
from amm500_nautilus.runtime.sweep.pool import RayPool
from amm500_nautilus.runtime.sweep.report import print_sweep
from amm500_nautilus.runtime.sweep.state import read_state
from amm500_nautilus.runtime.sweep.trial import TrialJob
from amm500_nautilus.runtime.sweep.trial import TrialOutcome
from amm500_nautilus.runtime.sweep.trial import packed
from tests.research.sweep_scene import OFFSET
from tests.research.sweep_scene import SPACING
from tests.research.sweep_scene import HandPool
from tests.research.sweep_scene import config_of
from tests.research.sweep_scene import run_here
from tests.research.sweep_scene import sweep_values


NS = 1_000_000_000
DAY_NS = 86_400 * NS
FIRST_NS = int(pd.Timestamp("2026-01-05", tz="UTC").value)
METRICS = (
    "sharpe", "annual_roi", "max_drawdown", "trades", "trades_per_day", "maker_ratio", "two_sided_uptime",
    "turnover", "max_margin_ratio", "liquidations",
)  # fmt: skip


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four days of half an hour, whose simulated datasets the tests share."""
    return tmp_path_factory.mktemp("market")


def values_of(market: Path, **section: Any) -> dict[str, Any]:
    return sweep_values(market, minutes=30, days=4, **section)


def label(job: TrialJob, key: str) -> Any:
    found: Any = job.config
    for name in key.split("."):
        found = found[name]
    return found


def fake_run(folder: Path, job: TrialJob, days: list[float], *, verdict: str = "fail") -> bytes:
    """Pack a run directory that made these amounts on the days of the market."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(job.config), encoding="utf-8")
    rows, total = [(FIRST_NS + 52_200 * NS, 10_000.0)], 10_000.0
    for day, amount in enumerate(days):
        total += amount
        rows.append((FIRST_NS + day * DAY_NS + 54_000 * NS, total))
    frame = pd.DataFrame(rows, columns=["ts_ns", "equity"]).assign(position=0.0, mid=690.0)
    frame.to_parquet(folder / "equity.parquet")
    opens = [
        (FIRST_NS + day * DAY_NS + 52_200 * NS, FIRST_NS + day * DAY_NS + 54_000 * NS)
        for day in range(len(days))
    ]
    pd.DataFrame(opens, columns=["open_ns", "close_ns"]).to_csv(folder / "sessions.csv", index=False)
    metrics = dict.fromkeys(METRICS, 0) | {"net_pnl": total - 10_000.0, "sharpe": None, "annual_roi": None}
    data = {
        "simulated": True, "bars_simulated": False, "source": "file", "market": "km:US500",
        "start": "2026-01-05T14:30:00+00:00", "end": "2026-01-08T15:00:00+00:00",
    }  # fmt: skip
    summary = {"metrics": metrics, "verdict": verdict, "result_hash": str(days), "data": data}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return packed(folder)


Maker = Callable[[TrialJob], TrialOutcome]


def made(folder: Path, days_of: Callable[[TrialJob], list[float]], **more: Any) -> Maker:
    def answer(job: TrialJob) -> TrialOutcome:
        return TrialOutcome(
            number=job.number,
            state="done",
            seconds=1.0,
            files=fake_run(folder / "made", job, days_of(job), **more),
        )

    return answer


def by_offset(job: TrialJob) -> list[float]:
    """Trials further from the mid earn more each day, and spacing adds a little."""
    each = float(label(job, OFFSET)) + 0.1 * float(label(job, SPACING))
    start = pd.Timestamp(label(job, "data.start")).value
    end = pd.Timestamp(label(job, "data.end")).value
    return [each] * ((end - start) // DAY_NS)


def drive(values: dict[str, Any], out: Path, answer: Maker, **more: Any) -> tuple[SweepResult, HandPool]:
    pool = HandPool(lambda job, _: answer(job), more.pop("days", None))
    result = run_sweep(config_of(values), out=out, make_pool=lambda _: pool, **more)
    return result, pool


def text_of(result: SweepResult) -> str:
    stream = io.StringIO()
    print_sweep(result.folder, result.report, Console(file=stream, width=200))
    return stream.getvalue()


def test_every_combination_runs_once_and_the_best_is_a_run_file(market: Path, tmp_path: Path) -> None:
    result, pool = drive(values_of(market), tmp_path / "out", made(tmp_path, by_offset))
    assert pool.submitted == list(range(1, 10))
    assert pool.closed
    facts = result.report.facts
    assert facts["best"]["trial"] == 9
    assert facts["best"]["objective"] == pytest.approx(4 * 3.6)
    best = load_config(result.folder / "best.yaml")
    assert (best.strategy.quoting.fixed_grid.offset_ticks, best.sweep) == (3, None)
    assert best.data.start is None  # the user's own span
    table = pd.read_csv(result.folder / "table.csv")
    assert table["trial"].tolist() == list(range(1, 10))
    assert set(table["data"]) == {"simulated"}
    assert "SIMULATED" in (result.folder / "surface.html").read_text(encoding="utf-8")
    assert "SIMULATED DATA" in text_of(result)
    assert "nothing was held out" in text_of(result)


def test_a_trial_that_fails_is_reported_and_not_the_end(market: Path, tmp_path: Path) -> None:
    good = made(tmp_path, by_offset)

    def answer(job: TrialJob) -> TrialOutcome:
        if job.number == 9:
            return TrialOutcome(number=9, state="failed", seconds=0.1, error="the ladder cannot be quoted")
        return good(job)

    result, _ = drive(values_of(market), tmp_path / "out", answer)
    assert result.report.facts["trials"]["failed"] == 1
    assert result.report.facts["best"]["trial"] == 8
    assert "the ladder cannot be quoted" in (result.folder / "table.csv").read_text(encoding="utf-8")
    # tried again only when asked for
    again, pool = drive(values_of(market), tmp_path / "out", good)
    assert pool.submitted == []
    assert again.report.facts["trials"]["failed"] == 1


def test_a_failed_trial_is_tried_again_when_asked_for(market: Path, tmp_path: Path) -> None:
    def fail(job: TrialJob) -> TrialOutcome:
        return TrialOutcome(number=job.number, state="failed", seconds=0.1, error="no")

    result, _ = drive(values_of(market), tmp_path / "out", fail)
    assert result.report.facts["best"] is None
    assert "nothing is chosen" in text_of(result)
    again, pool = drive(values_of(market), tmp_path / "out", made(tmp_path, by_offset), retry_failed=True)
    assert len(pool.submitted) == 9
    assert again.report.facts["trials"]["done"] == 9


def test_a_combination_that_cannot_be_configured_fails_alone(market: Path, tmp_path: Path) -> None:
    values = values_of(market, parameters=[{"key": "market.price", "values": [690.0, 700.0]}])
    # each value is allowed alone; the first leaves the data's folder without its file
    values["sweep"]["parameters"].append(
        {"key": "data.path", "values": [values["data"]["path"], "nowhere.csv"]}
    )
    result, pool = drive(values, tmp_path / "out", made(tmp_path, lambda _: [1.0] * 4))
    assert pool.submitted == [1, 3]
    assert result.report.facts["trials"] | {"profitable": 0} == {
        "all": 4, "done": 2, "pruned": 0, "failed": 2, "traded_enough": 2, "profitable": 0,
    }  # fmt: skip


def test_a_lost_worker_is_replaced_and_a_trial_that_kills_its_workers_is_given_up(
    market: Path, tmp_path: Path
) -> None:
    good, tries = made(tmp_path, by_offset), dict.fromkeys(range(1, 10), 0)

    def answer(job: TrialJob) -> TrialOutcome:
        tries[job.number] += 1
        if job.number == 5 or (job.number == 2 and tries[2] == 1):
            return TrialOutcome(number=job.number, state="lost", seconds=0.0, error="the worker died")
        return good(job)

    result, _ = drive(values_of(market), tmp_path / "out", answer)
    assert (tries[2], tries[5]) == (2, 3)
    assert result.report.facts["trials"]["done"] == 8
    state = read_state(result.folder)
    assert state is not None
    assert [trial.number for trial in state.in_state("failed")] == [5]


def test_an_interrupted_sweep_goes_on_with_what_is_left(market: Path, tmp_path: Path) -> None:
    good = made(tmp_path, by_offset)

    def answer(job: TrialJob) -> TrialOutcome:
        if job.number == 5:
            raise KeyboardInterrupt
        return good(job)

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        drive(values_of(market), out, answer)
    before = {path.name: path.stat().st_ino for path in (out / "trials").iterdir()}
    assert sorted(before) == ["0001", "0002", "0003", "0004"]
    # a trial that died while its files were written, and one whose summary is missing
    (out / "trials" / "0006.partial").mkdir()
    (out / "trials" / "0004" / "summary.json").unlink()
    shutil.rmtree(out / "trials" / "0004")
    result, pool = drive(values_of(market), out, good)
    assert sorted(pool.submitted) == [4, 5, 6, 7, 8, 9]
    after = {path.name: path.stat().st_ino for path in (out / "trials").iterdir()}
    assert {name: after[name] for name in ("0001", "0002", "0003")} == {
        name: before[name] for name in ("0001", "0002", "0003")
    }
    assert sorted(after) == [f"{number:04d}" for number in range(1, 10)]
    assert result.report.facts["best"]["trial"] == 9
    # and a finished one runs nothing at all
    _, idle = drive(values_of(market), out, answer)
    assert idle.submitted == []


def test_a_folder_of_another_sweep_is_refused(market: Path, tmp_path: Path) -> None:
    drive(values_of(market), tmp_path / "out", made(tmp_path, by_offset))
    other = values_of(market, seed=2)
    with pytest.raises(InputError, match="another run file"):
        drive(other, tmp_path / "out", made(tmp_path, by_offset))
    # the number of workers is no part of the question
    drive(
        values_of(market) | {"sweep": values_of(market)["sweep"] | {"workers": 5}},
        tmp_path / "out",
        made(tmp_path, by_offset),
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match=r"holds letter\.txt and no sweep"):
        drive(values_of(market), tmp_path / "mine", made(tmp_path, by_offset))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_sweep_that_is_refused_leaves_nothing(market: Path, tmp_path: Path) -> None:
    refused = values_of(market, parameters=[{"key": OFFSET, "values": [-1]}])
    with pytest.raises(InputError, match="sweep\\.parameters"):
        drive(refused, tmp_path / "new" / "out", made(tmp_path, by_offset))
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with pytest.raises(InputError, match="sweep\\.parameters"):
        drive(refused, tmp_path / "old", made(tmp_path, by_offset))
    assert list((tmp_path / "old").iterdir()) == []


def test_a_damaged_state_is_refused_in_a_sentence(market: Path, tmp_path: Path) -> None:
    drive(values_of(market), tmp_path / "out", made(tmp_path, by_offset))
    (tmp_path / "out" / "sweep.json").write_text('{"version": 1, "trials": [', encoding="utf-8")
    with pytest.raises(InputError, match="is damaged"):
        drive(values_of(market), tmp_path / "out", made(tmp_path, by_offset))


def test_a_second_process_is_kept_away(market: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def answer(job: TrialJob) -> TrialOutcome:
        with pytest.raises(InputError, match="another process drives this sweep"):
            drive(values_of(market), out, made(tmp_path, by_offset))
        return made(tmp_path, by_offset)(job)

    values = values_of(market, parameters=[{"key": OFFSET, "values": [1]}])
    drive(values, out, answer)


def test_held_out_days_reach_no_trial_and_are_run_once_with_the_best(market: Path, tmp_path: Path) -> None:
    values = values_of(market, held_out_days=1, train_days=2, test_days=1)
    result, pool = drive(values, tmp_path / "out", made(tmp_path, by_offset))
    ends = {label(pool.jobs[number], "data.end") for number in range(1, 10)}
    assert ends == {"2026-01-08T00:00:00+00:00"}
    held = pool.jobs[0]
    assert (label(held, "data.start"), label(held, "data.end")) == (
        "2026-01-08T00:00:00+00:00",
        "2026-01-09T00:00:00+00:00",
    )
    assert label(held, OFFSET) == 3
    facts = result.report.facts
    assert facts["held_out"]["metrics"]["net_pnl"] == pytest.approx(3.6)
    assert facts["walk_forward"] == {
        "folds": 1,
        "test_pnl": pytest.approx(3.6),
        "median_test_pnl": pytest.approx(2.4),
        "hindsight_test_pnl": pytest.approx(3.6),
    }
    _, again = drive(values, tmp_path / "out", made(tmp_path, by_offset))
    assert again.submitted == []


def test_the_held_out_days_are_those_of_the_best_trial_also_when_a_failed_one_becomes_it(
    market: Path, tmp_path: Path
) -> None:
    values, good = values_of(market, held_out_days=1), made(tmp_path, by_offset)

    def answer(job: TrialJob) -> TrialOutcome:
        if job.number == 9:
            return TrialOutcome(number=9, state="failed", seconds=0.1, error="the disk was full")
        return good(job)

    first, _ = drive(values, tmp_path / "out", answer)
    assert first.report.facts["best"]["trial"] == 8
    assert first.report.facts["held_out"]["metrics"]["net_pnl"] == pytest.approx(3.4)
    # trial 9 is better: what stands beside it must be its own
    again, pool = drive(values, tmp_path / "out", good, retry_failed=True)
    assert pool.submitted == [9, 0]
    assert again.report.facts["best"]["trial"] == 9
    assert again.report.facts["held_out"]["metrics"]["net_pnl"] == pytest.approx(3.6)


@pytest.mark.parametrize(("state", "tries"), [("lost", 3), ("failed", 1)])
def test_held_out_days_that_did_not_come_to_their_end_are_not_given_up(
    market: Path, tmp_path: Path, state: str, tries: int
) -> None:
    values, good = values_of(market, held_out_days=1), made(tmp_path, by_offset)

    def answer(job: TrialJob) -> TrialOutcome:
        if job.number == 0:
            return TrialOutcome(number=0, state=state, seconds=0.1, error="no memory was left")
        return good(job)

    first, pool = drive(values, tmp_path / "out", answer)
    assert pool.submitted.count(0) == tries
    assert "did not come to its end" in text_of(first)
    again, pool = drive(values, tmp_path / "out", good)
    assert pool.submitted == [0]
    assert again.report.facts["held_out"]["metrics"]["net_pnl"] == pytest.approx(3.6)


def test_walking_forward_chooses_by_the_rule_of_the_choice_beside_it(market: Path, tmp_path: Path) -> None:
    traded = made(tmp_path, lambda job: [-float(job.number)] * 4)
    idle = made(tmp_path, lambda _: [0.0] * 4, verdict="not_enough_trading")

    def answer(job: TrialJob) -> TrialOutcome:
        return traded(job) if job.number > 5 else idle(job)

    days = {"train_days": 2, "test_days": 1}
    result, _ = drive(values_of(market, require_trading=True, **days), tmp_path / "out", answer)
    assert result.report.facts["best"]["trial"] == 6
    # not trading loses least, and is no more a choice on two days than on four
    assert [fold.chosen for fold in result.report.folds] == [6, 6]
    assert result.report.facts["walk_forward"] == {
        "folds": 2, "test_pnl": -12.0, "median_test_pnl": -15.0, "hindsight_test_pnl": -12.0,
    }  # fmt: skip
    plain, _ = drive(values_of(market, **days), tmp_path / "plain", answer)
    assert {fold.chosen for fold in plain.report.folds} == {1}


def test_a_combination_that_a_study_asks_for_again_is_one_trial_of_its_luck(
    market: Path, tmp_path: Path
) -> None:
    section = {"method": "optuna", "trials": 14, "parameters": [{"key": OFFSET, "values": [1, 2, 3]}]}

    def uneven(job: TrialJob) -> list[float]:
        return [float(label(job, OFFSET)), 1.0, -float(label(job, OFFSET)) / 2.0, 2.0]

    result, _ = drive(values_of(market, **section), tmp_path / "out", made(tmp_path, uneven))
    facts = result.report.facts
    assert facts["trials"]["done"] == 14
    assert facts["deflated_sharpe"]["trials"] == 3
    plain = values_of(market, parameters=section["parameters"])
    alone, _ = drive(plain, tmp_path / "grid", made(tmp_path, uneven))
    luck = ("sharpe", "expected_max", "probability", "trials")
    assert [facts["deflated_sharpe"][name] for name in luck] == pytest.approx(
        [alone.report.facts["deflated_sharpe"][name] for name in luck]
    )


def test_a_trial_that_did_not_trade_wins_over_none_that_did(market: Path, tmp_path: Path) -> None:
    traded, idle = (
        made(tmp_path, lambda _: [-1.0] * 4),
        made(tmp_path, lambda _: [0.0] * 4, verdict="not_enough_trading"),
    )

    def answer(job: TrialJob) -> TrialOutcome:
        return traded(job) if job.number == 4 else idle(job)

    result, _ = drive(values_of(market, require_trading=True), tmp_path / "out", answer)
    assert result.report.facts["best"]["trial"] == 4
    everywhere, _ = drive(values_of(market, require_trading=True), tmp_path / "two", idle)
    assert "did NOT trade enough" in text_of(everywhere)


def test_trials_below_the_median_of_a_day_are_stopped(market: Path, tmp_path: Path) -> None:
    def days(job: TrialJob) -> list[float]:
        return [float(-job.number), 2.0 * -job.number, 3.0 * -job.number]

    values = values_of(market, prune="median", prune_after_trials=2, prune_after_days=1)
    result, _pool = drive(
        values, tmp_path / "out", made(tmp_path, lambda job: [-float(job.number)] * 4), days=days
    )
    state = read_state(result.folder)
    assert state is not None
    # each is worse than those before it: the first three have nobody to be compared with, or no two that reached the second day
    assert [trial.number for trial in state.in_state("done")][:2] == [1, 2]
    stopped = state.in_state("pruned")
    assert len(stopped) >= 5
    assert {len(trial.days) for trial in stopped} == {2}
    assert not (result.folder / "trials" / stopped[0].folder).exists()
    assert "stopped early" in text_of(result)
    assert "have no whole path" in text_of(result)


def test_a_study_asks_for_its_trials_and_learns_across_a_restart(market: Path, tmp_path: Path) -> None:
    section = {
        "method": "optuna",
        "trials": 14,
        "parameters": [
            {"key": OFFSET, "low": 1, "high": 40, "integer": True},
            {"key": "strategy.quoting.ladder.size_fraction", "low": 0.01, "high": 0.02, "log": True},
            {"key": SPACING, "values": [2, 4, 6]},
        ],
    }
    values = values_of(market, **section)
    good = made(tmp_path, lambda job: [-abs(float(label(job, OFFSET)) - 30.0)] * 4)
    seen = 0

    def answer(job: TrialJob) -> TrialOutcome:
        nonlocal seen
        seen += 1
        if seen == 8:
            raise KeyboardInterrupt
        return good(job)

    with pytest.raises(KeyboardInterrupt):
        drive(values, tmp_path / "out", answer)
    result, _ = drive(values, tmp_path / "out", good)
    state = read_state(result.folder)
    assert state is not None
    assert [trial.number for trial in state.trials] == list(range(1, 15))
    assert {trial.state for trial in state.trials} == {"done"}
    drawn = [tuple(trial.labels.values()) for trial in state.trials]
    assert len(set(drawn)) == 14
    assert all(
        1 <= trial.labels[OFFSET] <= 40 and isinstance(trial.labels[OFFSET], int) for trial in state.trials
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"parameters": [{"key": "strategy.quoting.fixed_grid.offset", "values": [1]}]}, "unknown key"),
        ({"parameters": [{"key": "account.leverage", "values": [10, 500]}]}, "less than or equal to 100"),
        ({"parameters": [{"key": OFFSET, "low": 1, "high": 3}]}, "a range without a step"),
        ({"objective": "sharpe"}, "needs 100 blocks"),
        ({"held_out_days": 4}, "fewer than the 4 days"),
        ({"train_days": 3, "test_days": 2}, "together at most 4 days"),
    ],
    ids=["key", "value", "step", "blocks", "held-out", "folds"],
)
def test_what_cannot_be_searched_is_refused_before_anything_runs(
    market: Path, tmp_path: Path, section: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        drive(values_of(market, **section), tmp_path / "out", made(tmp_path, by_offset))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"parameters": []}, "at least 1 item"),
        ({"parameters": [{"key": OFFSET}]}, "give one of values, choices, or low and high"),
        ({"parameters": [{"key": OFFSET, "values": [1, 1]}]}, "twice"),
        ({"parameters": [{"key": OFFSET, "low": 3, "high": 3}]}, "low below high"),
        ({"parameters": [{"key": OFFSET, "values": [1]}, {"key": OFFSET, "values": [2]}]}, "twice"),
        ({"parameters": [{"key": "mode", "values": ["live"]}]}, "no parameters of a backtest"),
        ({"parameters": [{"key": "data.end", "values": ["2026-01-09"]}]}, "the same for every trial"),
        ({"parameters": [{"key": "span", "choices": {"a": {"data.days": 3}}}]}, "the same for every trial"),
        (
            {"parameters": [{"key": OFFSET, "values": [1]}, {"key": "w", "choices": {"a": {OFFSET: 2}}}]},
            "both set strategy.quoting.fixed_grid.offset_ticks",
        ),
        ({"parameters": [{"key": OFFSET, "low": 1, "high": 3, "step": 0.5, "integer": True}]}, "whole step"),
        ({"parameters": [{"key": OFFSET, "low": 0.5, "high": 3, "integer": True}]}, "whole ends"),
        ({"train_days": 3}, "together or not at all"),
        ({"metod": "grid"}, "unknown key"),
    ],
)
def test_a_wrong_section_is_refused_in_a_sentence(
    market: Path, section: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        config_of(values_of(market, **section))


def test_choices_set_several_keys_and_numbers_in_keys_are_places(market: Path) -> None:
    values = values_of(
        market,
        parameters=[
            {"key": "width", "choices": {"1": {OFFSET: 1, SPACING: 3}, "5": {OFFSET: 5, SPACING: 15}}},
        ],
    )
    section = config_of(values).sweep
    assert section is not None
    (parameter,) = section.space()
    plain = assigned({"a": [{"b": 1}, {"b": 2}]}, (("a.1.b", 7),))
    assert plain == {"a": [{"b": 1}, {"b": 7}]}
    assert parameter.labeled("5").assignments == ((OFFSET, 5), (SPACING, 15))
    with pytest.raises(InputError, match="no place in a list of 1"):
        assigned({"a": [1]}, (("a.3", 7),))


def test_the_data_is_laid_out_once_and_never_half(market: Path, tmp_path: Path) -> None:
    seen: list[CarriedDataset] = []
    pool = HandPool(lambda job, data: (seen.append(data), made(tmp_path, by_offset)(job))[1])
    run_sweep(config_of(values_of(market)), out=tmp_path / "out", make_pool=lambda _: pool)
    first = seen[0]
    # the files travel with the first trial alone
    assert first.files
    assert not any(data.files for data in seen[1:])
    assert len({data.key for data in seen}) == 1
    folder = tmp_path / "node" / first.key
    lay_out(folder, first)
    stamp = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    assert stamp
    lay_out(folder, first)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == stamp
    (folder / "ready.json").unlink()
    next(iter(stamp)).write_bytes(b"half")
    lay_out(folder, first)
    assert next(iter(stamp)).stat().st_size > 4


def test_a_trial_through_the_carried_data_is_the_run_by_itself(market: Path, tmp_path: Path) -> None:
    from amm500_nautilus.runtime.backtest import run  # noqa: PLC0415

    values = values_of(market, parameters=[{"key": OFFSET, "values": [2]}], held_out_days=3)
    pool = HandPool(run_here(tmp_path / "node"))
    result = run_sweep(config_of(values), out=tmp_path / "out", make_pool=lambda _: pool)
    facts = result.report.facts
    alone = run(load_config(result.folder / "trials" / "0001" / "config.yaml"), out=tmp_path / "alone")
    assert facts["best"]["metrics"]["trades"] > 0
    assert alone.summary["result_hash"] == facts["best"]["result_hash"]


def test_without_ray_the_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"needs the extra 'research'.*amm500\[research\]"):
        RayPool(workers=1, address=None, trials_a_process=1, prunes=False)


def test_without_optuna_the_sentence_names_the_extra(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match="extra 'research'"):
        drive(values_of(market, method="optuna"), tmp_path / "out", made(tmp_path, by_offset))
