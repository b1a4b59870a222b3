"""``amm500 start``: ask for mode and length, check everything, then start supervisor and dashboard."""

import argparse

from amm500_nautilus.runtime.subcommand import Add
from amm500_nautilus.runtime.subcommand import add_run_file


MODES = ("paper", "testnet", "live")
LENGTHS = {"7d": "7 days", "30d": "30 days", "open": "until stopped"}


def register(add: Add) -> None:
    """Add the command's parser."""
    sub = add("start", start, "ask for mode and length, check everything, and start a supervised run")
    add_run_file(sub, "a YAML run file, for example configs/paper.yaml")
    sub.add_argument("--mode", choices=MODES, default=None, help="asked for otherwise")
    sub.add_argument(
        "--length", default=None, metavar="7d|30d|open", help="how long, for example 7d; open until stopped"
    )
    sub.add_argument("--yes", action="store_true", help="take what the run file says, and ask nothing")
    sub.add_argument("--check", action="store_true", help="check everything and start nothing")
    sub.add_argument("--no-dashboard", action="store_true", help="start the supervisor alone")
    sub.add_argument("--dashboard-port", type=int, default=8500, help="0 takes a free one")
    sub.add_argument("--confirm-live", action="store_true", help="mode live: ask for LIVE at the terminal")
    sub.add_argument(
        "--override-paper-gate", metavar="REASON", default=None, help="mode live: as run_live.py"
    )


def start(args: argparse.Namespace) -> int:
    """Start a supervised run."""
    from amm500_nautilus.runtime.operate.start import Starter  # noqa: PLC0415

    return Starter.of(args).run()
