"""``amm500 montecarlo RUN``: a run's own minutes bootstrapped through the ledger at several leverages."""

from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from amm500_catalog.errors import InputError
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.report.buffers import write_json
from amm500_nautilus.report.files import read_run
from amm500_nautilus.report.files import read_summary
from amm500_nautilus.report.words import data_line
from amm500_nautilus.research.bootstrap import optimal_block_length
from amm500_nautilus.research.gates import GATE_LEVERAGE
from amm500_nautilus.research.gates import liquidation_gate
from amm500_nautilus.research.intervals import wilson
from amm500_nautilus.research.ruin import RuinRow
from amm500_nautilus.research.ruin import RuinSettings
from amm500_nautilus.research.ruin import RunPath
from amm500_nautilus.research.ruin import Sizing
from amm500_nautilus.research.ruin import ruin_table
from amm500_nautilus.runtime.backtest import market_shape
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.simulation.books import LedgerShape


LEVERAGES = (5, 10, 20, 25)
FILE = "montecarlo.json"
NEEDED = ("metrics.liquidations", "result_hash")
MINUTE_NS = 60 * 1_000_000_000
# a block is an hour at least: the autocorrelation of minutes says nothing of how long a position is carried
SHORTEST_BLOCK = 60.0
FEWEST_ROWS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class MonteCarloRequest:
    """
    What is asked.

    ``days`` are whole trading days of the run's own length; ``block_minutes`` None takes the automatic mean length, an hour at least.
    """

    leverages: tuple[int, ...] = LEVERAGES
    paths: int = 10_000
    days: float = 30.0
    block_minutes: float | None = None
    seed: int = 1
    sizing: Sizing = "proportional"


@dataclass(frozen=True, slots=True)
class MonteCarloResult:
    """The rows and everything ``montecarlo.json`` holds."""

    rows: tuple[RuinRow, ...]
    facts: dict[str, Any]


def monte_carlo(run_dir: Path, request: MonteCarloRequest) -> MonteCarloResult:
    """
    Draw the paths of a finished run, and write ``montecarlo.json`` into its directory.

    Raises
    ------
    InputError
        If the run is not finished, too short, or was wiped out, or a leverage is not allowed.

    """
    run, summary = read_run(run_dir), read_summary(run_dir, NEEDED)
    config = load_config(run_dir / "config.yaml")
    path, shape, largest = run_path(run.equity, config, str(run_dir), summary)
    minutes_a_day = _minutes_a_day(run.session_bounds())
    horizon = max(1, round(request.days * minutes_a_day))
    mean_block = request.block_minutes or max(
        SHORTEST_BLOCK, optimal_block_length(np.diff(path.equity) / path.equity[:-1])
    )
    settings = RuinSettings(
        run_leverage=float(config.account.leverage),
        shape=shape,
        table=MarginTable(largest),
        horizon=horizon,
        mean_block=min(mean_block, float(path.rows)),
        paths=request.paths,
        seed=request.seed,
        sizing=request.sizing,
    )
    try:
        rows = ruin_table(path, request.leverages, settings)
    except ValueError as error:
        raise InputError(str(error), f"{run_dir}: --leverage", f"1 to {largest}") from error
    facts = _facts(summary, config, path, settings, request, rows, minutes_a_day)
    write_json(run_dir / FILE, facts)
    return MonteCarloResult(rows, facts)


def run_path(
    frame: pd.DataFrame, config: RunConfig, where: str, summary: dict[str, Any]
) -> tuple[RunPath, LedgerShape, int]:
    """
    Return a run's minutes, its market's tick and lot, and the market's largest leverage.

    Raises
    ------
    InputError
        If there are too few minutes, or the run was liquidated or wiped out.

    """
    if summary["metrics"]["liquidations"]:
        raise InputError(
            f"was liquidated {summary['metrics']['liquidations']} times itself",
            where,
            "a run that lived: its own answer is certain",
        )
    frame = frame[np.isfinite(frame["mid"].to_numpy(dtype=np.float64))]
    if len(frame) < FEWEST_ROWS:
        raise InputError(f"has {len(frame)} minutes with a price", where, f"at least {FEWEST_ROWS}")
    equity = frame["equity"].to_numpy(dtype=np.float64)
    if "transfers_cum" in frame:
        equity = equity - frame["transfers_cum"].to_numpy(dtype=np.float64)
    mid = frame["mid"].to_numpy(dtype=np.float64)
    try:
        path = RunPath(frame["position"].to_numpy(dtype=np.float64), mid, equity)
    except ValueError as error:
        raise InputError(str(error), where, "a run whose equity stays above 0") from error
    shape = market_shape(config, float(mid[0]))
    units = LedgerShape(tick=Decimal(str(shape.tick)), lot=Decimal(str(shape.lot)))
    return path, units, largest_leverage(frame, config)


def largest_leverage(frame: pd.DataFrame, config: RunConfig) -> int:
    """
    Return the largest leverage of the market that a run was on, as its own account shows it: maintenance is half the margin there.

    What the exchange or a recording declares need not be what the run file says. The run file's where nothing was held, and with
    isolated margin, whose ratio is not over the equity.
    """
    if "maintenance_ratio" not in frame or config.account.margin_mode is not MarginMode.CROSS:
        return config.market.max_leverage
    columns = (
        frame[name].to_numpy(dtype=np.float64) for name in ("position", "mid", "equity", "maintenance_ratio")
    )
    position, mid, equity, ratio = columns
    held = (position != 0) & (ratio > 0) & (equity > 0)
    if not held.any():
        return config.market.max_leverage
    return max(1, round(float(np.median((np.abs(position) * mid)[held] / (2.0 * ratio * equity)[held]))))


def _minutes_a_day(sessions: Sequence[tuple[int, int]]) -> float:
    """Return the open minutes of a day that the run saw, on average over its UTC days with any."""
    opened = sum(end - start for start, end in sessions)
    days = {start // (1_440 * MINUTE_NS) for start, _ in sessions}
    for start, end in sessions:
        days.update(range(start // (1_440 * MINUTE_NS), (end - 1) // (1_440 * MINUTE_NS) + 1))
    return opened / MINUTE_NS / max(1, len(days))


def _facts(
    summary: dict[str, Any],
    config: RunConfig,
    path: RunPath,
    settings: RuinSettings,
    request: MonteCarloRequest,
    rows: tuple[RuinRow, ...],
    minutes_a_day: float,
) -> dict[str, Any]:
    steps = np.diff(path.mid) / path.mid[:-1]
    at_gate = [row for row in rows if row.leverage == GATE_LEVERAGE]
    gate = liquidation_gate(at_gate[0].probability if at_gate else None, request.days)
    data = summary["data"]
    return {
        "data": {
            "line": data_line(summary)[0],
            "simulated": data["simulated"],
            "bars_simulated": data["bars_simulated"],
            "market": data["market"],
        },
        "run": {
            "name": config.name,
            "result_hash": summary["result_hash"],
            "leverage": settings.run_leverage,
        },
        "paths": settings.paths,
        "horizon_minutes": settings.horizon,
        "horizon_days": settings.horizon / minutes_a_day,
        "mean_block_minutes": settings.mean_block,
        "sizing": settings.sizing,
        "seed": settings.seed,
        "seen": {
            "minutes": path.rows,
            "days": path.rows / minutes_a_day,
            "worst_minute": float(steps.min()),
            "best_minute": float(steps.max()),
            "largest_position_over_equity": float((np.abs(path.position) * path.mid / path.equity).max()),
        },
        "gate": asdict(gate),
        "levels": [_level(row) for row in rows],
        "request": {"days": request.days, "block_minutes": request.block_minutes},
    }


def _level(row: RuinRow) -> dict[str, Any]:
    near = wilson(row.liquidated, row.paths)
    return {
        "leverage": row.leverage,
        "liquidated": row.liquidated,
        "paths": row.paths,
        "probability": row.probability.estimate,
        "lower": row.probability.low,
        "upper": row.probability.high,
        "wilson_lower": near.low,
        "wilson_upper": near.high,
        "walked_blocks": row.walked_blocks,
        "worst_equity": row.worst_equity,
        "p05_equity": row.p05_equity,
        "median_equity": row.median_equity,
    }


def print_monte_carlo(run_dir: Path, result: MonteCarloResult, console: Console | None = None) -> None:
    """Print the table, the gate, and what the paths cannot know."""
    console = console or Console()
    facts = result.facts
    red = facts["data"]["simulated"]
    console.print(
        facts["data"]["line"], style="bold white on red" if red else "bold", highlight=False, soft_wrap=True
    )
    console.print(
        f"{facts['paths']:,} paths of {facts['horizon_days']:.1f} days ({facts['horizon_minutes']:,} minutes) in blocks of "
        f"{facts['mean_block_minutes']:.0f} minutes on average, {facts['sizing']} sizing, from a run at {facts['run']['leverage']:g}x",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for head in ("x", "liquidated", "share", "95 % interval", "worst", "5 %", "median", "walked"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in result.rows:
        table.add_row(
            f"{row.leverage}x",
            f"{row.liquidated:,}",
            f"{row.probability.estimate:.2%}",
            f"{100 * row.probability.low:.2f} to {row.probability.high:.2%}",
            f"{row.worst_equity - 1:+.1%}",
            f"{row.p05_equity - 1:+.1%}",
            f"{row.median_equity - 1:+.1%}",
            f"{row.walked_blocks:,}",
        )
    console.print(table)
    gate = facts["gate"]
    word = {True: "pass", False: "FAIL", None: "undecided"}[gate["passed"]]
    seen = facts["seen"]
    for line in (
        f"gate: {word}, {gate['reason']}",
        (
            f"seen: {seen['days']:.1f} days; worst minute {seen['worst_minute']:+.2%}, best {seen['best_minute']:+.2%}; largest position "
            f"{seen['largest_position_over_equity']:.2f} times equity. What did not happen there cannot happen here, and moves inside a "
            "minute are not seen; the interval is that of the drawing alone"
        ),
        f"files: {run_dir / FILE}",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
