"""``amm500 status``, and the commands to a running node; what asks a venue or a node is imported only by the one that does."""

import argparse

from amm500_nautilus.runtime.subcommand import Add
from amm500_nautilus.runtime.subcommand import add_overrides
from amm500_nautilus.runtime.subcommand import run_path


COMMANDS = {
    "pause": "tell a running node to cancel its orders and wait",
    "resume": "end everything that waits for a person",
    "reduce-only": "let a running node only shrink its position",
    "flatten": "close a running node's position; it stays halted until resume",
    "stop": "end a running node in good order",
    "session": "show the trading session's loss and drawdown, or begin a new session",
    "drill": "set off a reason as if it were so; refused in live",
}


def register(add: Add) -> dict[str, argparse.ArgumentParser]:
    """Add the commands, and return the parser of each by name."""
    found = {"status": _register_status(add)}
    for name, text in COMMANDS.items():
        found[name] = sub = add(name, node_command, text)
        sub.add_argument("run", type=run_path, help="its run directory, state folder or control socket")
        sub.add_argument("--json", action="store_true", help="print one JSON object")
    found["stop"].add_argument(
        "--on-end",
        choices=("hold", "flatten"),
        default=None,
        help="in the place of the run file's live.on_end",
    )
    found["session"].add_argument("action", nargs="?", choices=("status", "new"), default="status")
    found["drill"].add_argument("reason", help="a reason of docs/operations.md")
    return found


def _register_status(add: Add) -> argparse.ArgumentParser:
    sub = add("status", status, "ask the venue for its clock, a market, an account and its limits")
    sub.add_argument(
        "config",
        nargs="?",
        default=None,
        metavar="CONFIG_OR_RUN",
        help="a YAML run file that names venue and market; or a run directory, whose node is asked instead",
    )
    add_overrides(sub)
    sub.add_argument("--url", default=None, help="the venue's address without a path")
    sub.add_argument("--coin", default=None, help="the market, for example km:US500")
    sub.add_argument("--user", default=None, help="the account's address")
    sub.add_argument("--json", action="store_true", help="print one JSON object")
    return sub


def status(args: argparse.Namespace) -> int:
    """Ask the venue how it, a market and an account are; or a running node how it is."""
    from amm500_nautilus.runtime.node import commands as node_commands  # noqa: PLC0415
    from amm500_nautilus.runtime.node import status as venue_status  # noqa: PLC0415

    if args.config is not None and args.config and node_commands.is_run(run_path(args.config)):
        args.run = run_path(args.config)
        return node_commands.node_command(args)
    return venue_status.status(args)


def node_command(args: argparse.Namespace) -> int:
    """Put a command to a running node."""
    from amm500_nautilus.runtime.node import commands as node_commands  # noqa: PLC0415

    return node_commands.node_command(args)
