"""Run every stress scenario through the real backtest and lay the outcomes side by side."""

from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from amm500_catalog.spec import Dataset
from amm500_catalog.store import CatalogStore
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.report.buffers import write_json
from amm500_nautilus.report.terminal import data_panel
from amm500_nautilus.research.scenario import Scenario
from amm500_nautilus.research.scenario import StressConfig
from amm500_nautilus.research.shock import under_shock
from amm500_nautilus.research.stress import shock_of
from amm500_nautilus.research.stress import stressed
from amm500_nautilus.research.survival import StressRow
from amm500_nautilus.research.survival import fired_table
from amm500_nautilus.research.survival import market_path
from amm500_nautilus.research.survival import stress_row
from amm500_nautilus.research.survival import stress_table
from amm500_nautilus.research.survival import write_csv
from amm500_nautilus.runtime.backtest import check_ladder
from amm500_nautilus.runtime.backtest import first_price
from amm500_nautilus.runtime.backtest import market_shape
from amm500_nautilus.runtime.backtest import run
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.data import Found
from amm500_nautilus.runtime.data import find_bars
from amm500_nautilus.runtime.data import prepare
from amm500_nautilus.runtime.data import require_bars
from amm500_nautilus.runtime.data import resolve_market
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.rundir import RunDirectory
from amm500_nautilus.runtime.rundir import place_of
from amm500_nautilus.runtime.rundir import require_free


@dataclass(frozen=True, slots=True)
class StressResult:
    """The finished table: where it is, its rows, and what stands above it (the base's summary)."""

    run_dir: Path
    rows: tuple[StressRow, ...]
    report: dict[str, Any]
    base: dict[str, Any]


def run_stress(
    config: RunConfig,
    names: Sequence[str] = (),
    *,
    out: Path | None = None,
    progress: Progress | None = None,
) -> StressResult:
    """
    Run the base and the scenarios on the same bars, each as a backtest of its own directory.

    Parameters
    ----------
    config : RunConfig
        The run file.
    names : sequence of str
        The scenarios wanted; all of ``stress.scenarios`` when empty.
    out : Path, optional
        The folder of the table and the runs; ``runs/<name>-stress-<utc>`` by default.
    progress : Progress, optional
        Told how far the work is.

    Raises
    ------
    InputError
        When the configuration, a name or the data cannot be used; found out before anything is simulated.

    """
    progress = progress or Progress(quiet=True)
    settings: StressConfig = build(config.stress)
    chosen = settings.chosen(tuple(names))
    name = f"{config.name}-stress"
    require_free(place_of(name, out))
    require_bars(of_scenario(config, chosen[0]))
    if config.market.price is not None:
        check_ladder(config, market_shape(config, config.market.price), config.market.price)
    moment = datetime.now(UTC)
    store = CatalogStore(config.data.catalog, dict(config.data.storage_options))
    found = find_bars(config, store, progress, moment)
    for scenario in chosen:
        # a scenario that does not fit the data is refused before the first run
        stressed(found.frame, replace(settings, scenario=scenario.name), config.seed)
    first = prepare(of_scenario(config, chosen[0]), progress, now=moment, found=found)
    _check_first_price(config, first)
    directory = RunDirectory.named(name, out)
    directory.write_config(config)
    rows: list[StressRow] = []
    summaries: list[dict[str, Any]] = []
    for number, scenario in enumerate(chosen, start=1):
        progress.say(f"scenario {number} of {len(chosen)}: {scenario.name}")
        row, summary = _run_one(config, scenario, found, moment, directory.path, progress)
        rows.append(row)
        summaries.append(summary)
    report = _report(config, chosen, rows, summaries[0], first)
    write_json(directory.path / "stress.json", report)
    write_csv(directory.path / "stress.csv", rows, report["data"]["label"])
    directory.write_log(progress.lines)
    return StressResult(directory.finish(), tuple(rows), report, summaries[0])


def of_scenario(config: RunConfig, scenario: Scenario) -> RunConfig:
    """Return the run file of one scenario; it can be run by itself from its directory's ``config.yaml``."""
    stress = config.stress.model_copy(update={"scenario": scenario.name})
    return config.model_copy(update={"name": f"{config.name[:40]}-{scenario.name}", "stress": stress})


def _check_first_price(config: RunConfig, dataset: Dataset) -> None:
    price = first_price(dataset)
    largest = float(resolve_market(config, dataset).max_leverage)
    check_ladder(config, market_shape(config, price), price, max_leverage=largest)


def _run_one(
    config: RunConfig, scenario: Scenario, found: Found, moment: datetime, folder: Path, progress: Progress
) -> tuple[StressRow, dict[str, Any]]:
    own = of_scenario(config, scenario)
    dataset = prepare(own, progress, now=moment, found=found)
    result = run(own, out=folder / scenario.name, progress=progress, prepared=dataset)
    table = MarginTable(resolve_market(own, dataset).max_leverage)
    market = market_path(under_shock(dataset).batches(), dataset.instrument.id)
    row = stress_row(scenario.name, result.run_dir, result.summary, market, float(table.maintenance_rate))
    return row, result.summary


def _report(
    config: RunConfig,
    chosen: Sequence[Scenario],
    rows: Sequence[StressRow],
    base: dict[str, Any],
    first: Dataset,
) -> dict[str, Any]:
    """Return what ``stress.json`` holds: nothing of clock times or paths, so that equal runs write equal files."""
    data = base["data"]
    shock = shock_of(first.info.params)
    return {
        "name": config.name,
        "data": {
            # a stressed path never was: the table is simulated whatever bars it began with
            "label": "simulated",
            "simulated": True,
            "bars_simulated": data["bars_simulated"],
            "source": data["source"],
            "market": data["market"],
            "collateral": data["collateral"],
            "start": data["start"],
            "end": data["end"],
            "event": None if shock is None else datetime.fromtimestamp(shock.event_ns / 1e9, UTC).isoformat(),
        },
        "account": {"equity": str(config.account.equity), "leverage": config.account.leverage},
        "seed": config.seed,
        "scenarios": {item.name: asdict(item) for item in chosen},
        "rows": [asdict(row) | {"fired": list(row.fired)} for row in rows],
    }


def print_stress(result: StressResult, console: Console | None = None) -> None:
    """Print the table under the line that says what data this was."""
    console = console or Console()
    report = result.report
    account, data = report["account"], report["data"]
    console.print(data_panel(result.base))
    title = (
        f"SIMULATED stress at {account['leverage']:g}x on {account['equity']} {data['collateral']}, event {data['event'][:16]} UTC, "
        f"seed {report['seed']}"
    )
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(stress_table(result.rows))
    console.print(fired_table(result.rows))
    console.print(f"files: {result.run_dir}", highlight=False, soft_wrap=True)
