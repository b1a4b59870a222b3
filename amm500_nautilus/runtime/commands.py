"""The commands around backtests and data; heavy rooms are imported only by the command that needs them."""

import argparse
import tempfile
from datetime import UTC
from datetime import datetime
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
from amm500_nautilus.runtime.rundir import require_free
from amm500_nautilus.runtime.subcommand import Add
from amm500_nautilus.runtime.subcommand import add_overrides
from amm500_nautilus.runtime.subcommand import add_run_file
from amm500_nautilus.runtime.subcommand import run_path
from amm500_nautilus.runtime.subcommand import seed


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
    from amm500_nautilus.runtime.backtest import check_ladder  # noqa: PLC0415
    from amm500_nautilus.runtime.models import build  # noqa: PLC0415

    config = load_config(args.config, args.overrides)
    if config.data.source not in ("file", "hl-book", "recorded"):
        config.data.span(datetime.now(UTC))
    opening = _opening(config)
    if opening is None:
        print(
            f"{args.config}: valid; market.price is not set, so the ladder waits for the data's first price"
        )
        return DONE
    price, shape, largest = opening
    # as a run does before it begins
    check_ladder(config, shape, price, max_leverage=largest)
    engine = QuoteEngine(shape, build(config.strategy.quoting))
    equity, leverage = float(config.account.equity), config.account.leverage
    ticks = round(price / shape.tick)
    plan = engine.first_ladder(equity, leverage, ticks, ticks + 1)
    print(f"{args.config}: valid. First ladder of {config.market.coin} at {price:g} with {equity:,.0f}:")
    print(ladder_text(plan, shape.tick, shape.lot, price))
    return DONE


def _opening(config: RunConfig) -> tuple[float, MarketShape, float] | None:
    """Return the price that the data opens at, tick and lot, largest leverage; None where that is not known before the run."""
    from amm500_catalog.sources.recordings import first_book  # noqa: PLC0415
    from amm500_nautilus.runtime.backtest import market_shape  # noqa: PLC0415

    data, price = config.data, config.market.price
    if price is not None:
        return price, market_shape(config, price), float(config.market.max_leverage)
    if data.source != "hl-book" or data.path is None or not Path(data.path).is_dir():
        return None
    instrument, mid = first_book(data.path, config.market.coin)
    shape = MarketShape(float(instrument.price_increment), float(instrument.size_increment))
    return mid, shape, float(instrument.info["max_leverage"])


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
        wanted = variants(args)
        for name, _ in wanted:
            # the last of them too, before the first has run
            require_free(root / name)
        for name, config in wanted:
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
    _check_calibrate(args)
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


def _check_calibrate(args: argparse.Namespace) -> None:
    """Refuse what would measure nothing, or fail after minutes."""
    from amm500_catalog.calibrate_report import require_samples  # noqa: PLC0415

    if args.overrides and args.config is None:
        raise InputError("changes a run file, and none is given", "--set", "with --config")
    for option, path, kind in (
        ("--recordings", args.recordings, "a folder"),
        ("--samples", args.samples, "a CSV file"),
    ):
        is_there = path is None or (Path(path).is_dir() if kind == "a folder" else Path(path).is_file())
        if not is_there:
            raise InputError(f"{path} is not there", option, kind)
    if args.samples:
        require_samples(args.samples)
    if args.no_simulation and not (args.config or args.recordings or args.samples):
        raise InputError(
            "leaves nothing to measure", "--no-simulation", "with --recordings, --samples or --config"
        )


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


def register(add: Add) -> None:
    """Add the commands to the parser."""
    sub = add("backtest", backtest, "run a backtest, as run_backtest.py does")
    _add_config(sub)
    sub.add_argument("--out", type=Path, default=None)

    _add_config(add("check", check, "validate a run file without running it and print the first ladder"))

    sub = add("compare", compare, "run tiered, fixed_grid and glft on the same data, side by side")
    _add_config(sub)
    sub.add_argument(
        "--toxicity", action="store_true", help="one model at low, middle and high toxicity instead"
    )
    sub.add_argument("--out", type=Path, default=None, help="a folder for the runs")

    sub = add("budget", budget, "print what the action limit affords at several sizes of account")
    _add_config(sub)
    sub.add_argument(
        "--equity", type=float, action="append", help="a size of account; 1,000, 10,000 and 100,000"
    )

    _add_config(add("fetch", fetch, "fetch or make the data of a run file and store it, without running"))

    sub = add("stress", stress, "run the stress scenarios of a run file, one backtest each, side by side")
    _add_config(sub)
    sub.add_argument(
        "--scenario", nargs="+", default=[], metavar="NAME", help="these alone, beside the unstressed base"
    )
    sub.add_argument("--out", type=Path, default=None, help="a folder for the table and the runs")

    _register_calibrate(add)

    sub = add("why", why, "say why a run was not quoting, by share of time")
    sub.add_argument("run", type=run_path, help="a run directory")

    sub = add("report", report, "build a run's tearsheet again, from its files or from its journal")
    sub.add_argument(
        "run", type=run_path, help="a run directory, finished or not, a state folder, or a journal"
    )
    sub.add_argument("--run", dest="number", type=int, default=None, help="the number of a journal's run")
    sub.add_argument("--out", type=Path, default=None, help="the folder for what is rebuilt")


def _add_config(sub: argparse.ArgumentParser) -> None:
    add_run_file(sub, "a YAML run file, for example configs/xyz100_30d.yaml")
    sub.add_argument("--quiet", action="store_true", help="print nothing but the result")


def _register_calibrate(add: Add) -> None:
    sub = add("calibrate", calibrate, "measure simulated and recorded markets with one ruler")
    sub.add_argument(
        "--queue",
        type=run_path,
        default=None,
        metavar="RUN",
        help="fit the queue model to a recorded run's own fills",
    )
    sub.add_argument("--config", default=None, help="a run file whose dataset is measured")
    add_overrides(sub)
    sub.add_argument("--recordings", default=None, help="a folder of recorded books, trades and quotes")
    sub.add_argument("--samples", default=None, help="a CSV of sampled best quotes and depth")
    sub.add_argument("--no-simulation", action="store_true", help="measure the recordings alone")
    sub.add_argument("--seed", type=seed, default=1)
    sub.add_argument("--quiet", action="store_true")
