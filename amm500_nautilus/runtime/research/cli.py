"""The ``amm500`` commands of research: sweep, montecarlo, proxy, and the queue's calibration."""

import argparse
from pathlib import Path

from amm500_catalog.errors import InputError
from amm500_nautilus.research.gates import GATE_LEVERAGE
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.subcommand import Add
from amm500_nautilus.runtime.subcommand import add_run_file
from amm500_nautilus.runtime.subcommand import run_path
from amm500_nautilus.runtime.subcommand import seed


def sweep(args: argparse.Namespace) -> int:
    """Run a sweep, or what is left of one."""
    from amm500_nautilus.runtime.sweep.drive import run_sweep  # noqa: PLC0415
    from amm500_nautilus.runtime.sweep.pool import require_cluster  # noqa: PLC0415
    from amm500_nautilus.runtime.sweep.report import print_sweep  # noqa: PLC0415

    config = load_config(args.config, args.overrides)
    if args.address is not None:
        # before the data is made, and before Ray, which ends the process when nobody answers
        require_cluster(args.address)
    with Progress(quiet=args.quiet) as progress:
        result = run_sweep(
            config,
            out=args.out,
            address=args.address,
            workers=args.workers,
            retry_failed=args.retry_failed,
            progress=progress,
        )
    print_sweep(result.folder, result.report)
    return DONE if result.report.facts["best"] is not None else FAILED


def montecarlo(args: argparse.Namespace) -> int:
    """Draw a run's minutes through the ledger at several leverages."""
    from amm500_nautilus.runtime.research.montecarlo import MonteCarloRequest  # noqa: PLC0415
    from amm500_nautilus.runtime.research.montecarlo import monte_carlo  # noqa: PLC0415
    from amm500_nautilus.runtime.research.montecarlo import print_monte_carlo  # noqa: PLC0415

    request = MonteCarloRequest(
        leverages=tuple(args.leverage),
        paths=args.paths,
        days=args.days,
        block_minutes=args.block_minutes,
        seed=args.seed,
        sizing=args.sizing,
    )
    result = monte_carlo(args.run, request)
    print_monte_carlo(args.run, result)
    # a gate that is not passed is no success, undecided included; without 25x there is none to pass
    judged = GATE_LEVERAGE in args.leverage
    return DONE if result.facts["gate"]["passed"] or not judged else FAILED


def proxy(args: argparse.Namespace) -> int:
    """Say how far a result on one market carries to another."""
    from amm500_nautilus.runtime.research.proxy import print_proxy  # noqa: PLC0415
    from amm500_nautilus.runtime.research.proxy import proxy_report  # noqa: PLC0415

    report = proxy_report(
        args.proxy,
        args.target,
        proxy_book=args.proxy_book,
        target_book=args.target_book,
        timezone=args.timezone,
    )
    try:
        print_proxy(report, args.out)
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})", str(args.out), "a writable place"
        ) from error
    return DONE


def calibrate_queue(args: argparse.Namespace) -> int:
    """Fit the queue model to a recorded run's own fills."""
    from amm500_nautilus.runtime.research.queue_calibration import calibrate_queue as fitted  # noqa: PLC0415
    from amm500_nautilus.runtime.research.queue_calibration import queue_lines  # noqa: PLC0415

    with Progress(quiet=args.quiet) as progress:
        report = fitted(args.queue, progress)
    print("\n".join(queue_lines(report)))
    return DONE


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return value


def _above_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _a_minute(text: str) -> float:
    value = _above_zero(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def _register_montecarlo(add: Add) -> None:
    sub = add(
        "montecarlo",
        montecarlo,
        "bootstrap a run's minutes through the ledger: how likely liquidation is at 5, 10, 20 and 25x",
    )
    sub.add_argument("run", type=run_path, help="a finished run directory; montecarlo.json is written there")
    sub.add_argument("--leverage", type=_positive, nargs="+", default=[5, 10, 20, 25], metavar="X")
    sub.add_argument("--paths", type=_positive, default=10_000)
    sub.add_argument("--days", type=_above_zero, default=30.0, help="trading days of a path")
    sub.add_argument(
        "--block-minutes",
        type=_a_minute,
        default=None,
        help="mean length of a block; from the data by default, an hour at least",
    )
    sub.add_argument("--seed", type=seed, default=1)
    sub.add_argument(
        "--sizing",
        choices=("proportional", "fixed"),
        default="proportional",
        help="positions follow the equity from block to block, or keep the start's size",
    )


def _register_proxy(add: Add) -> None:
    sub = add(
        "proxy",
        proxy,
        "say how far a result on one market carries to another: beta, volatility, spread and depth",
    )
    sub.add_argument("proxy", help="bars of the market that was tested on, CSV or Parquet")
    sub.add_argument(
        "target", help="bars of the market that is to be traded, or a JSON list of its prints (px, time)"
    )
    sub.add_argument(
        "--proxy-book", default=None, metavar="CSV", help="samples of the proxy's best quotes and depth"
    )
    sub.add_argument(
        "--target-book", default=None, metavar="CSV", help="samples of the target's best quotes and depth"
    )
    sub.add_argument(
        "--timezone", default=None, help="of bar times that carry none, for example America/New_York"
    )
    sub.add_argument("--out", type=Path, default=None, metavar="JSON", help="write the figures there too")


def register(add: Add) -> None:
    """Add the commands to the parser."""
    sub = add(
        "sweep",
        sweep,
        "search a run file's sweep section over many backtests on Ray; taken up again with the same --out",
    )
    add_run_file(sub, "a YAML run file with a sweep section, for example configs/sweep_grid.yaml")
    sub.add_argument("--out", type=Path, default=None, help="the sweep's folder; an unfinished one goes on")
    sub.add_argument(
        "--address", default=None, metavar="HOST:PORT", help="a Ray cluster; one on this machine by default"
    )
    sub.add_argument(
        "--workers", type=_positive, default=None, help="trials at a time; one a processor by default"
    )
    sub.add_argument("--retry-failed", action="store_true", help="try failed trials again")
    sub.add_argument("--quiet", action="store_true", help="print nothing but the result")
    _register_montecarlo(add)
    _register_proxy(add)
