"""The ``amm500`` command."""

import argparse
from collections.abc import Sequence

from amm500_nautilus.runtime import catalog_cli
from amm500_nautilus.runtime import commands
from amm500_nautilus.runtime.exits import guarded
from amm500_nautilus.runtime.forecast import cli as forecast_cli
from amm500_nautilus.runtime.node import cli as node_cli
from amm500_nautilus.runtime.operate import analyze_cli
from amm500_nautilus.runtime.operate import dashboard_cli
from amm500_nautilus.runtime.operate import start_cli
from amm500_nautilus.runtime.operate import supervise_cli
from amm500_nautilus.runtime.record import cli as record_cli
from amm500_nautilus.runtime.research import cli as research_cli
from amm500_nautilus.runtime.subcommand import Handler


# what runs until it is told to stop, and stops in a way of its own
HEAR_SIGTERM = ("dashboard", "record", "start", "supervise")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every subcommand, in the order in which ``--help`` lists them."""
    parser = argparse.ArgumentParser(
        prog="amm500", description="An honest market maker for HIP-3 index perpetuals."
    )
    commands_of = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, handler: Handler, text: str) -> argparse.ArgumentParser:
        sub = commands_of.add_parser(name, help=text, description=text)
        sub.set_defaults(handler=handler)
        return sub

    commands.register(add)
    analyze_cli.register(add)
    start_cli.register(add)
    dashboard_cli.register(add)
    research_cli.register(add)
    forecast_cli.register(add)
    of_node = node_cli.register(add)
    supervise_cli.register(add)
    supervise_cli.extend({name: of_node[name] for name in ("flatten", "status")})
    record_cli.register(add)
    catalog_cli.register(add)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    args = build_parser().parse_args(argv)
    handler: Handler = args.handler
    return guarded(lambda: handler(args), hears_sigterm=args.command not in HEAR_SIGTERM)
