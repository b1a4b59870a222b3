"""What the venue's action limit affords a run file at several sizes of account, in growth mode and without."""

import argparse
import tempfile
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from amm500_nautilus.risk.afford import Affordable
from amm500_nautilus.risk.afford import Plan
from amm500_nautilus.risk.afford import affordable
from amm500_nautilus.runtime.backtest import check_ladder
from amm500_nautilus.runtime.backtest import market_shape
from amm500_nautilus.runtime.backtest import run
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.progress import Progress


EQUITIES = (1_000.0, 10_000.0, 100_000.0)
HOURS_A_DAY = 24.0
SIDES = 2


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """
    One run and what its actions are good for.

    ``least_left`` is the fewest actions the address still had; ``plain`` and ``bought`` what the limit affords at the run's own
    turnover and moves, without and with the actions bought that the target would take.
    """

    equity: float
    growth_mode: bool
    days: float
    fills_a_day: float
    turnover: float
    sent_a_day: float
    actions_per_fill: float | None
    least_left: float
    plain: Affordable | None
    bought: Affordable | None


def budget_row(config: RunConfig, summary: dict[str, Any], run_dir: Path) -> BudgetRow:
    """Return a finished run's row."""
    equity, growth = float(config.account.equity), config.market.growth_mode
    metrics = summary["metrics"]
    days, fills = float(metrics["days"]), int(metrics["trades"])
    sent = int(summary["actions"]["sent"])
    left = pd.read_parquet(run_dir / "equity.parquet", columns=["budget_remaining"])["budget_remaining"]
    turnover = float(metrics["volume"]) / equity / days
    plain = bought = None
    if fills and turnover > 0:
        levels = int(config.strategy.quoting.ladder.levels)
        moves = max(0.0, sent - fills) / days / (SIDES * levels * HOURS_A_DAY)
        target = config.report.target_trades_per_day
        plan = Plan(
            equity=equity,
            growth_mode=growth,
            fills_a_day=fills / days,
            turnover=turnover,
            levels=levels,
            moves_a_level_hour=moves,
            days=days,
        )
        plain = affordable(plan, target)
        bought = affordable(replace(plan, bought_a_day=max(0.0, target - plain.trades_a_day)), target)
    return BudgetRow(
        equity=equity,
        growth_mode=growth,
        days=days,
        fills_a_day=fills / days,
        turnover=turnover,
        sent_a_day=sent / days,
        actions_per_fill=sent / fills if fills else None,
        least_left=float(left.min()),
        plain=plain,
        bought=bought,
    )


def sent_table(rows: list[BudgetRow], label: str) -> Table:
    """Return what the runs sent; ``label`` says what data they ran on."""
    table = Table(title=f"what was sent ({label})", title_justify="left")
    for name in ("equity", "growth", "fills a day", "turnover", "actions a day", "a fill", "fewest left"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            f"{row.equity:,.0f}",
            "yes" if row.growth_mode else "no",
            f"{row.fills_a_day:,.0f}",
            f"{row.turnover:.2f}x",
            f"{row.sent_a_day:,.0f}",
            "-" if row.actions_per_fill is None else f"{row.actions_per_fill:.1f}",
            f"{row.least_left:,.0f}",
        )
    return table


def afforded_table(rows: list[BudgetRow]) -> Table:
    """Return what the limit affords at each run's own turnover and moves, the starting allowance spread over its days."""
    table = Table(title="what the action limit affords", title_justify="left")
    for name in ("equity", "growth", "days", "may send a day", "levels", "trades a day", "with bought", "at"):
        table.add_column(name, justify="right")
    for row in rows:
        plain, bought = row.plain, row.bought
        table.add_row(
            f"{row.equity:,.0f}",
            "yes" if row.growth_mode else "no",
            f"{row.days:.1f}",
            "-" if plain is None else f"{plain.actions_a_day:,.0f}",
            "-" if plain is None else f"{plain.levels}",
            "-" if plain is None else f"{plain.trades_a_day:,.0f}",
            "-" if bought is None else f"{bought.trades_a_day:,.0f}",
            "-" if bought is None else f"{bought.cost_a_day:,.2f}",
        )
    return table


def accounts(args: argparse.Namespace) -> list[tuple[str, RunConfig]]:
    """
    Return the named run files, one for each size of account in growth mode and one without.

    Raises
    ------
    InputError
        If the run file or a size cannot be used.

    """
    found = []
    for equity in dict.fromkeys(args.equity or EQUITIES):
        for growth in (True, False):
            sets = [f"account.equity={equity}", f"market.growth_mode={str(growth).lower()}"]
            config = load_config(args.config, [*args.overrides, *sets, "report.tearsheet=false"])
            price = config.market.price
            if price is not None:
                check_ladder(config, market_shape(config, price), price)
            found.append((f"{equity:.10g}-{'growth' if growth else 'plain'}", config))
    return found


def budget(args: argparse.Namespace) -> int:
    """Run a file at several sizes of account, in growth mode and without, and print what the action limit affords."""
    rows: list[BudgetRow] = []
    label = ""
    # all of them are refused or none is run
    wanted = accounts(args)
    with Progress(quiet=args.quiet) as progress, tempfile.TemporaryDirectory() as folder:
        for name, config in wanted:
            progress.say(f"running {name}")
            result = run(config, out=Path(folder) / name, progress=progress)
            label = "SIMULATED data" if result.summary["data"]["simulated"] else "recorded data"
            rows.append(budget_row(config, result.summary, result.run_dir))
    console = Console()
    console.print(sent_table(rows, label))
    console.print(afforded_table(rows))
    for row in rows:
        if row.least_left < 0:
            where = "growth mode" if row.growth_mode else "no growth mode"
            console.print(
                f"{row.equity:,.0f}, {where}: sent beyond the limit, where the venue takes cancels and one action in ten seconds"
            )
        if row.plain is not None and row.plain.sentence:
            where = "growth mode" if row.growth_mode else "no growth mode"
            console.print(f"{row.equity:,.0f}, {where}: {row.plain.sentence}")
    return DONE
