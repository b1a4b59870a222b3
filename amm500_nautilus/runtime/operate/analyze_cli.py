"""The commands that judge: ``amm500 analyze`` and ``amm500 verify``."""

import argparse
from pathlib import Path

from amm500_nautilus.runtime.subcommand import Add
from amm500_nautilus.runtime.subcommand import run_path


def register(add: Add) -> None:
    """Add the commands to the parser."""
    one = add("analyze", _analyze, "judge the last seven days of a run: exit code 0 for a pass, else 1")
    one.add_argument("run", type=run_path, help="a run directory, a state folder, or a journal")
    one.add_argument(
        "--days", type=float, default=7.0, help="how many of the last days are judged, and wanted (7)"
    )
    one.add_argument("--json", action="store_true", help="print one JSON object")

    all_of = add(
        "verify", _verify, "check the gates from backtest over paper to live: exit code 0 when they hold"
    )
    all_of.add_argument(
        "paths",
        type=run_path,
        nargs="+",
        metavar="CONFIG_OR_RUN",
        help="run directories, or a run file whose runs are looked up",
    )
    all_of.add_argument("--phase", type=int, choices=(1, 2, 3), default=None, help="this phase alone")
    all_of.add_argument("--runs", type=Path, default=Path("runs"), help="where a run file's runs are (runs)")
    all_of.add_argument(
        "--targets", action="store_true", help="the earlier bot's targets must be reached too"
    )
    all_of.add_argument("--json", action="store_true", help="print one JSON object")


def _analyze(args: argparse.Namespace) -> int:
    from amm500_nautilus.runtime.operate.analyze import analyze  # noqa: PLC0415

    return analyze(args)


def _verify(args: argparse.Namespace) -> int:
    from amm500_nautilus.runtime.operate.verify import verify  # noqa: PLC0415

    return verify(args)
