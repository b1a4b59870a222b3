"""The ``amm500`` command of the volatility forecast: train-vol."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.subcommand import Add
from amm500_nautilus.runtime.subcommand import add_run_file


def train_vol(args: argparse.Namespace) -> int:
    """Train and judge a volatility model; exit 0 whether it wins or stays off, for both are results."""
    from amm500_nautilus.forecast.card import markdown  # noqa: PLC0415
    from amm500_nautilus.runtime.forecast.train import train  # noqa: PLC0415

    config = load_config(args.config, args.overrides)
    with Progress(quiet=args.quiet) as progress:
        result = train(config, out=args.out, judge=args.judge, progress=progress)
    console = Console()
    if console.is_terminal:
        console.print(Markdown(markdown(result.card)))
    else:
        print(markdown(result.card), end="")
    print(f"\nmodel: {result.model}")
    return DONE


def register(add: Add) -> None:
    """Add the command to the parser."""
    sub = add(
        "train-vol",
        train_vol,
        "train a volatility model and judge it out of sample against EWMA, HAR and GARCH(1,1)",
    )
    add_run_file(sub, "a YAML run file with a training section, for example configs/vol_btc_1m.yaml")
    sub.add_argument("--out", type=Path, default=None, help="the folder of model, card and scores")
    sub.add_argument(
        "--judge",
        action="store_true",
        help="also run the strategy with and without the model over the last block",
    )
    sub.add_argument("--quiet", action="store_true", help="print nothing but the result")
