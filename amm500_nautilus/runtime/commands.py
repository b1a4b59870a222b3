"""What each ``amm500`` subcommand does; heavy rooms are imported only by the command that needs them."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amm500_catalog.errors import InputError
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.quoting.types import Plan
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.progress import Progress


MODELS = ("tiered", "fixed_grid", "glft")
TOXICITIES = ("low", "middle", "high")


def backtest(args: argparse.Namespace) -> int:
    """Run a backtest."""
    from amm500_nautilus.report.terminal import print_summary  # noqa: PLC0415
    from amm500_nautilus.runtime.backtest import run  # noqa: PLC0415

    config = load_config(args.config, args.overrides)
    with Progress(quiet=args.quiet) as progress:
        result = run(config, out=args.out, progress=progress)
    print_summary(result.summary, result.run_dir)
    return DONE


def check(args: argparse.Namespace) -> int:
    """Validate a run file and print the first ladder it would quote."""
    from amm500_nautilus.quoting.engine import QuoteEngine  # noqa: PLC0415
    from amm500_nautilus.runtime.models import build  # noqa: PLC0415

    config = load_config(args.config, args.overrides)
    opening = _opening(config)
    if opening is None:
        print(
            f"{args.config}: valid; market.price is not set, so the ladder waits for the data's first price"
        )
        return DONE
    price, shape = opening
    engine = QuoteEngine(shape, build(config.strategy.quoting))
    equity, leverage = float(config.account.equity), config.account.leverage
    problems = engine.check(equity, leverage, price)
    if problems:
        raise InputError("; ".join(problems), str(args.config))
    ticks = round(price / shape.tick)
    plan = engine.first_ladder(equity, leverage, ticks, ticks + 1)
    print(f"{args.config}: valid. First ladder of {config.market.coin} at {price:g} with {equity:,.0f}:")
    print(ladder_text(plan, shape.tick, shape.lot, price))
    return DONE


def _opening(config: RunConfig) -> tuple[float, MarketShape] | None:
    """Return the price that the data opens at, with tick and lot; None where that is not known before the run."""
    from amm500_catalog.sources.recordings import first_book  # noqa: PLC0415
    from amm500_nautilus.runtime.backtest import market_shape  # noqa: PLC0415

    data, price = config.data, config.market.price
    if price is not None:
        return price, market_shape(config, price)
    if data.source != "hl-book" or data.path is None or not Path(data.path).is_dir():
        return None
    instrument, mid = first_book(data.path, config.market.coin)
    return mid, MarketShape(float(instrument.price_increment), float(instrument.size_increment))


def ladder_text(plan: Plan, tick: float, lot: float, price: float) -> str:
    """Return a ladder as a table, furthest ask first."""
    lines = [f"{'side':>5} {'level':>5} {'price':>12} {'size':>12} {'value':>12} {'bp':>7}"]
    rows = [("ask", index, level) for index, level in reversed(list(enumerate(plan.asks)))]
    rows += [("bid", index, level) for index, level in enumerate(plan.bids)]
    for side, index, level in rows:
        at, size = level.price_ticks * tick, level.lots * lot
        away = abs(at - price) / price * 1e4
        lines.append(f"{side:>5} {index:>5} {at:>12,.4f} {size:>12,.5f} {at * size:>12,.2f} {away:>7.2f}")
    return "\n".join(lines)


def compare(args: argparse.Namespace) -> int:
    """Run the quoting models, or one model at every toxicity, on the same data and print them side by side."""
    from amm500_nautilus.report.terminal import print_compare  # noqa: PLC0415
    from amm500_nautilus.runtime.backtest import run  # noqa: PLC0415

    summaries: list[dict[str, Any]] = []
    with Progress(quiet=args.quiet) as progress, tempfile.TemporaryDirectory() as folder:
        root = Path(args.out) if args.out is not None else Path(folder)
        for name, config in variants(args):
            progress.say(f"running {name}")
            result = run(config, out=root / name, progress=progress)
            summaries.append(result.summary)
    print_compare(summaries)
    return DONE


def variants(args: argparse.Namespace) -> list[tuple[str, RunConfig]]:
    """Return the named configurations that ``compare`` runs."""
    if args.toxicity:
        pairs = [(f"tox-{level}", f"simulator.toxicity={level}") for level in TOXICITIES]
    else:
        pairs = [(model, f"strategy.quoting.model={model}") for model in MODELS]
    plain = "report.tearsheet=false"
    found = []
    for name, override in pairs:
        overrides = [*args.overrides, override]
        if args.out is None:
            overrides.append(plain)
        config = load_config(args.config, overrides)
        found.append((name, config.model_copy(update={"name": f"{config.name}-{name}"})))
    return found


def budget(args: argparse.Namespace) -> int:
    """Print what the action limit affords."""
    from amm500_nautilus.runtime.research import affording  # noqa: PLC0415

    return affording.budget(args)


def status(args: argparse.Namespace) -> int:
    """Ask the venue how it, a market and an account are; or a running node how it is."""
    from amm500_nautilus.runtime.node import commands as node_commands  # noqa: PLC0415
    from amm500_nautilus.runtime.node import status as venue_status  # noqa: PLC0415

    if args.config is not None and node_commands.is_run(Path(args.config)):
        args.run = Path(args.config)
        return node_commands.node_command(args)
    return venue_status.status(args)


def node_command(args: argparse.Namespace) -> int:
    """Put a command to a running node."""
    from amm500_nautilus.runtime.node import commands as node_commands  # noqa: PLC0415

    return node_commands.node_command(args)


def fetch(args: argparse.Namespace) -> int:
    """Fetch or make a run file's data and store it."""
    from amm500_nautilus.runtime.data import prepare  # noqa: PLC0415

    config = load_config(args.config, args.overrides)
    with Progress(quiet=args.quiet) as progress:
        dataset = prepare(config, progress)
    info = dataset.info
    print(f"{info.name}: {info.description}")
    for default in info.defaults:
        print(f"assumed: {default}")
    return DONE


def calibrate(args: argparse.Namespace) -> int:
    """Print real and simulated markets side by side, and whether each bar of the calibration holds; or fit the queue."""
    if args.queue is not None:
        from amm500_nautilus.runtime.research import cli as research_cli  # noqa: PLC0415

        return research_cli.calibrate_queue(args)
    from amm500_catalog.calibrate_report import calibration_report  # noqa: PLC0415
    from amm500_catalog.calibrate_report import measure_dataset  # noqa: PLC0415
    from amm500_catalog.calibrate_report import simulate_levels  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, Progress(quiet=args.quiet) as progress:
        simulated = []
        if args.config is not None:
            from amm500_nautilus.runtime.data import prepare  # noqa: PLC0415

            config = load_config(args.config, args.overrides)
            dataset = prepare(config, progress)
            base = dataset.store.base(dataset.label)
            simulated = [measure_dataset(dataset.info, base)]
        elif not args.no_simulation:
            progress.say("simulating a few hours at each toxicity")
            simulated = list(simulate_levels(folder, seed=args.seed))
        report = calibration_report(
            recordings=args.recordings,
            samples=args.samples,
            simulated=simulated,
        )
    print(report.text())
    return DONE if all(item.holds for item in report.checks) else FAILED


def stress(args: argparse.Namespace) -> int:
    """Run the stress scenarios and print them side by side."""
    from amm500_nautilus.runtime.research.stress import print_stress  # noqa: PLC0415
    from amm500_nautilus.runtime.research.stress import run_stress  # noqa: PLC0415

    config = load_config(args.config, args.overrides)
    with Progress(quiet=args.quiet) as progress:
        result = run_stress(config, args.scenario, out=args.out, progress=progress)
    print_stress(result)
    return DONE


def why(args: argparse.Namespace) -> int:
    """Say why a run was not quoting."""
    from amm500_nautilus.report.terminal import print_why  # noqa: PLC0415

    print_why(args.run)
    return DONE


def report(args: argparse.Namespace) -> int:
    """Build a run's tearsheet again."""
    from amm500_nautilus.runtime.operate.report_again import report_again  # noqa: PLC0415

    return report_again(args)


def catalog(args: argparse.Namespace) -> int:
    """List, check or query the catalogue."""
    from amm500_catalog.cli import catalog_check  # noqa: PLC0415
    from amm500_catalog.cli import catalog_ls  # noqa: PLC0415
    from amm500_catalog.cli import catalog_query  # noqa: PLC0415

    if args.action == "ls":
        print(catalog_ls(args.root).text())
        return DONE
    if args.action == "check":
        found = catalog_check(args.root)
        print(found.text())
        return DONE if found.is_sound else FAILED
    if not args.sql:
        raise InputError(
            "the statement is missing",
            "amm500 catalog query",
            'SQL, for example "select count(*) from trades"',
        )
    print(catalog_query(args.root, args.sql).text())
    return DONE


__all__: Sequence[str] = (
    "backtest",
    "budget",
    "calibrate",
    "catalog",
    "check",
    "compare",
    "fetch",
    "report",
    "stress",
    "why",
)
