"""What a sweep found: the table, the best configuration, how much of it is luck, and what the days nobody saw say."""

import csv
import io
import json
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from amm500_nautilus.report.buffers import replace_with
from amm500_nautilus.report.buffers import write_json
from amm500_nautilus.report.files import EQUITY
from amm500_nautilus.report.files import read_file
from amm500_nautilus.report.files import read_summary
from amm500_nautilus.report.statistics import block_returns
from amm500_nautilus.report.words import data_line
from amm500_nautilus.research.objective import objective_value
from amm500_nautilus.research.objective import traded_enough
from amm500_nautilus.research.overfit import backtest_overfitting
from amm500_nautilus.research.overfit import deflated_sharpe
from amm500_nautilus.research.walk_forward import Day
from amm500_nautilus.research.walk_forward import FoldResult
from amm500_nautilus.research.walk_forward import folds
from amm500_nautilus.research.walk_forward import walk_forward
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.sweep.config import SweepSection
from amm500_nautilus.runtime.sweep.state import DONE
from amm500_nautilus.runtime.sweep.state import FAILED
from amm500_nautilus.runtime.sweep.state import PRUNED
from amm500_nautilus.runtime.sweep.state import SweepState
from amm500_nautilus.runtime.sweep.state import Trial


Floats = npt.NDArray[np.float64]
TABLE_FILE, BEST_FILE, REPORT_FILE, SURFACE_FILE = "table.csv", "best.yaml", "report.json", "surface.html"
METRICS = (
    "net_pnl", "sharpe", "annual_roi", "max_drawdown", "trades", "trades_per_day", "maker_ratio",
    "two_sided_uptime", "turnover", "max_margin_ratio", "liquidations",
)  # fmt: skip
NEEDED = (*(f"metrics.{name}" for name in METRICS), "verdict", "result_hash")
SHOWN = 12


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A finished trial: its objective (None without a figure), whether it traded enough, PnL by day, block returns, summary."""

    value: float | None
    eligible: bool
    day_pnl: tuple[float, ...]
    returns: Floats
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What ``report.json`` holds, the rows of the table, and the walk-forward folds."""

    facts: dict[str, Any]
    rows: tuple[dict[str, Any], ...]
    folds: tuple[FoldResult, ...]


def read_result(folder: Path, days: Sequence[Day], objective: str) -> TrialResult:
    """
    Return what a finished run came to, from its own files.

    Raises
    ------
    InputError
        If its files cannot be read.

    """
    summary = read_summary(folder, NEEDED)
    frame = read_file(folder, EQUITY)
    ts_ns = frame["ts_ns"].to_numpy(dtype=np.int64)
    equity = frame["equity"].to_numpy(dtype=np.float64)
    if "transfers_cum" in frame:
        # a deposit is no profit
        equity = equity - frame["transfers_cum"].to_numpy(dtype=np.float64)
    sessions = read_file(folder, "sessions.csv")
    bounds = [(int(a), int(b)) for a, b in zip(sessions["open_ns"], sessions["close_ns"], strict=True)]
    at = np.searchsorted(ts_ns, [day.end_ns for day in days], side="right") - 1
    levels = np.concatenate(([equity[0]], equity[np.maximum(at, 0)]))
    return TrialResult(
        value=objective_value(objective, summary),
        eligible=traded_enough(summary),
        day_pnl=tuple(float(value) for value in np.diff(levels)),
        returns=block_returns(ts_ns, equity, bounds),
        summary=summary,
    )


def choose(results: Mapping[int, TrialResult], section: SweepSection) -> int | None:
    """
    Return the number of the best trial; None when no trial has a value.

    One that traded enough comes before every one that did not, where the section asks for it; of equal ones the first.
    """

    def rank(number: int) -> tuple[bool, float]:
        result = results[number]
        assert result.value is not None  # noqa: S101 -- those without are left out
        return (result.eligible or not section.require_trading, result.value)

    valued = sorted(number for number, result in results.items() if result.value is not None)
    return max(valued, key=rank) if valued else None


def walked(results: Mapping[int, TrialResult], section: SweepSection) -> dict[int, tuple[float, ...]]:
    """
    Return the PnL by day of the trials that walking forward may choose from: by the rule of the choice it stands beside.

    Where the section asks for trading, those that traded enough over all searched days, unless there are none.
    """
    traded = [number for number, result in results.items() if result.eligible]
    wanted = traded if section.require_trading and traded else list(results)
    return {number: results[number].day_pnl for number in wanted}


def write_report(
    folder: Path,
    config: RunConfig,
    section: SweepSection,
    state: SweepState,
    days: Sequence[Day],
    results: Mapping[int, TrialResult],
    best_plain: Mapping[str, Any] | None,
) -> SweepReport:
    """Write the table, the report, the best configuration and the plots, and return the report."""
    best = choose(results, section)
    rows = tuple(_row(trial, results.get(trial.number)) for trial in state.trials)
    parts: tuple[FoldResult, ...] = ()
    if section.train_days is not None and section.test_days is not None:
        pnl = walked(results, section)
        parts = walk_forward(days, pnl, folds(len(days), section.train_days, section.test_days))
        replace_with(folder / "walk_forward.csv", _csv([asdict(part) for part in parts]))
    facts = _facts(folder, config, section, state, results, best, parts)
    replace_with(folder / TABLE_FILE, _csv([{"data": facts["data"]["label"], **row} for row in rows]))
    if best_plain is not None:
        head = f"# The best of {len(state.trials)} trials of {state.name} ({facts['data']['label']} data): trial {best}\n"
        text = yaml.safe_dump(dict(best_plain), sort_keys=False, allow_unicode=True)
        replace_with(folder / BEST_FILE, head + text)
    write_json(folder / REPORT_FILE, facts)
    report = SweepReport(facts, rows, parts)
    if results:
        from amm500_nautilus.runtime.sweep.surface import surface_page  # noqa: PLC0415 -- Plotly takes a second

        replace_with(folder / SURFACE_FILE, surface_page(report, section))
    return report


def _row(trial: Trial, result: TrialResult | None) -> dict[str, Any]:
    metrics = result.summary["metrics"] if result is not None else {}
    return {
        "trial": trial.number,
        "state": trial.state,
        **{
            name: json.dumps(label) if isinstance(label, list | dict) else label
            for name, label in trial.labels.items()
        },
        "objective": None if result is None else result.value,
        "verdict": None if result is None else result.summary["verdict"],
        **{name: metrics.get(name) for name in METRICS},
        "days": len(trial.days),
        "seconds": trial.seconds,
        "result_hash": None if result is None else result.summary["result_hash"],
        "error": (trial.error.splitlines() or [""])[-1],
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    names = list(rows[0]) if rows else []
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _facts(
    folder: Path,
    config: RunConfig,
    section: SweepSection,
    state: SweepState,
    results: Mapping[int, TrialResult],
    best: int | None,
    parts: Sequence[FoldResult],
) -> dict[str, Any]:
    luck = _luck(section, state, results, best)
    return {
        "name": state.name,
        "data": _data_facts(results),
        "objective": section.objective,
        "method": section.method,
        "seed": section.seed,
        "account": {"equity": str(config.account.equity), "leverage": config.account.leverage},
        "days": state.days,
        "held_out_days": state.held_out_days,
        "trials": {
            "all": len(state.trials),
            "done": len(state.in_state(DONE)),
            "pruned": len(state.in_state(PRUNED)),
            "failed": len(state.in_state(FAILED)),
            "traded_enough": sum(result.eligible for result in results.values()),
            "profitable": sum(result.summary["metrics"]["net_pnl"] > 0 for result in results.values()),
        },
        "catalogue_reads_by_node": list(state.data_reads.values()),
        "best": _best(state, results, best),
        **luck,
        "walk_forward": None
        if not parts
        else {
            "folds": len(parts),
            "test_pnl": sum(part.test_pnl for part in parts),
            "median_test_pnl": sum(part.median_test_pnl for part in parts),
            "hindsight_test_pnl": sum(part.best_test_pnl for part in parts),
        },
        "held_out": _held_out(folder / "held_out", section),
    }


def _data_facts(results: Mapping[int, TrialResult]) -> dict[str, Any]:
    if not results:
        return {
            "label": "unknown",
            "line": "no trial came to its end",
            "simulated": None,
            "bars_simulated": None,
        }
    summary = results[min(results)].summary
    data = summary["data"]
    label = "simulated" if data["simulated"] else "recorded"
    return {
        "label": label,
        "line": data_line(dict(summary))[0],
        "simulated": data["simulated"],
        "bars_simulated": data["bars_simulated"],
        "source": data["source"],
        "market": data["market"],
    }


def _best(state: SweepState, results: Mapping[int, TrialResult], best: int | None) -> dict[str, Any] | None:
    if best is None:
        return None
    result = results[best]
    return {
        "trial": best,
        "labels": state.trials[best - 1].labels,
        "objective": result.value,
        "traded_enough": result.eligible,
        "verdict": result.summary["verdict"],
        "metrics": {name: result.summary["metrics"][name] for name in METRICS},
        "result_hash": result.summary["result_hash"],
    }


def _luck(
    section: SweepSection, state: SweepState, results: Mapping[int, TrialResult], best: int | None
) -> dict[str, Any]:
    """
    Return how much of the best trial luck explains; pruned trials have no whole path and are left out, which is said.

    A study may ask for one combination again and again: it counts once, or the copies would stand for trials of their own.
    """
    empty = {"deflated_sharpe": None, "overfitting": None}
    if best is None:
        return empty
    length = len(results[best].returns)
    different = {_combination(state, number): number for number in sorted(results, reverse=True)}
    different[_combination(state, best)] = best
    numbers = [number for number in sorted(different.values()) if len(results[number].returns) == length]
    if length < 3:
        return empty
    matrix = np.column_stack([results[number].returns for number in numbers])
    if not np.isfinite(matrix).all():
        return empty
    judged = backtest_overfitting(matrix, section.cscv_splits)
    return {
        "deflated_sharpe": asdict(deflated_sharpe(matrix, numbers.index(best))),
        "overfitting": None if judged is None else asdict(judged),
    }


def _combination(state: SweepState, number: int) -> str:
    return json.dumps(state.trials[number - 1].labels, sort_keys=True, default=str)


def _held_out(folder: Path, section: SweepSection) -> dict[str, Any] | None:
    if not (folder / "summary.json").is_file():
        return None
    summary = read_summary(folder, NEEDED)
    return {
        "objective": objective_value(section.objective, summary),
        "verdict": summary["verdict"],
        "start": summary["data"]["start"],
        "end": summary["data"]["end"],
        "metrics": {name: summary["metrics"][name] for name in METRICS},
        "result_hash": summary["result_hash"],
    }


# -- the terminal --------------------------------------------------------------------------------------


def print_sweep(folder: Path, report: SweepReport, console: Console | None = None) -> None:
    """Print the best trials and what to believe of them, under the line that says what data this was."""
    console = console or Console()
    facts = report.facts
    red = facts["data"]["simulated"] is not False
    console.print(
        facts["data"]["line"], style="bold white on red" if red else "bold", highlight=False, soft_wrap=True
    )
    console.print(_trials_table(report))
    for line in sweep_lines(facts):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"files: {folder}", highlight=False, markup=False, soft_wrap=True)


def _trials_table(report: SweepReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    rows = [row for row in report.rows if row["objective"] is not None]
    rows.sort(key=lambda row: (row["verdict"] != "not_enough_trading", row["objective"]), reverse=True)
    labels = list((report.facts["best"] or {}).get("labels", {}))
    table.add_column("trial", justify="right")
    for name in labels:
        table.add_column(name.rpartition(".")[2], justify="right")
    for head in ("objective", "net PnL", "drawdown", "trades", "verdict"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows[:SHOWN]:
        table.add_row(
            str(row["trial"]),
            *(str(row[name]) for name in labels),
            f"{row['objective']:+.4f}",
            f"{row['net_pnl']:+,.4f}",
            f"{row['max_drawdown']:.3%}",
            f"{row['trades']:,}",
            str(row["verdict"]),
        )
    return table


def sweep_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return the sentences below the table."""
    counts, best = facts["trials"], facts["best"]
    lines = [
        (
            f"{counts['done']} of {counts['all']} trials done, {counts['pruned']} stopped early, {counts['failed']} failed; "
            f"{counts['traded_enough']} traded enough to mean something, {counts['profitable']} made money"
        )
    ]
    if best is None:
        return [*lines, "no trial has a value: nothing is chosen"]
    lines.append(
        f"best: trial {best['trial']}, {facts['objective']} {best['objective']:+.4f} over {len(facts['days'])} days"
    )
    if not best["traded_enough"]:
        lines.append("the best trial did NOT trade enough: what it did not lose, it did not trade for")
    deflated, overfit = facts["deflated_sharpe"], facts["overfitting"]
    if deflated is None:
        lines.append("deflated Sharpe: too few blocks of 60 minutes")
    else:
        shown = "no figure" if deflated["probability"] is None else f"{deflated['probability']:.1%}"
        lines.append(
            f"deflated Sharpe: {shown} sure that the best is above 0 (a block's Sharpe {deflated['sharpe']:+.4f}, luck alone "
            f"{deflated['expected_max']:+.4f} in {deflated['trials']} trials, of which {deflated['effective_trials']:.1f} independent, "
            f"{deflated['periods']} blocks)"
        )
    if overfit is None:
        lines.append("probability of overfitting: too few blocks or trials")
    else:
        lines.append(
            f"probability of overfitting (CSCV, {overfit['combinations']:,} halvings of {overfit['splits']} pieces): "
            f"{overfit['probability']:.1%}; the chosen trial loses out of sample in {overfit['loss_probability']:.1%}"
        )
    if counts["pruned"]:
        lines.append("trials stopped early have no whole path and are in neither figure")
    walk = facts["walk_forward"]
    if walk is not None:
        lines.append(
            f"walk-forward, {walk['folds']} folds: {walk['test_pnl']:+,.4f} on days after the choice (the median trial "
            f"{walk['median_test_pnl']:+,.4f}, hindsight {walk['hindsight_test_pnl']:+,.4f})"
        )
    held = facts["held_out"]
    if held is not None:
        lines.append(
            f"held out, {len(facts['held_out_days'])} days that no trial saw: net PnL {held['metrics']['net_pnl']:+,.4f}, "
            f"drawdown {held['metrics']['max_drawdown']:.3%}, verdict {held['verdict']}"
        )
    elif facts["held_out_days"]:
        lines.append("held-out days: the run over them did not come to its end")
    else:
        lines.append("nothing was held out: the best figure is the best of many, and flatters")
    return lines
