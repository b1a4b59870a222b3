"""The ``amm500`` command."""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

from amm500_nautilus.runtime import commands
from amm500_nautilus.runtime.exits import guarded
from amm500_nautilus.runtime.forecast import cli as forecast_cli
from amm500_nautilus.runtime.operate import analyze_cli
from amm500_nautilus.runtime.operate import dashboard_cli
from amm500_nautilus.runtime.operate import start_cli
from amm500_nautilus.runtime.operate import supervise_cli
from amm500_nautilus.runtime.record import cli as record_cli
from amm500_nautilus.runtime.research import cli as research_cli


Handler = Callable[[argparse.Namespace], int]


def _with_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="a YAML run file, for example configs/xyz100_30d.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--quiet", action="store_true", help="print nothing but the result")


def _add_node_commands(
    add: Callable[[str, Handler, str], argparse.ArgumentParser], status: argparse.ArgumentParser
) -> None:
    texts = {
        "pause": "tell a running node to cancel its orders and wait",
        "resume": "end everything that waits for a person",
        "reduce-only": "let a running node only shrink its position",
        "flatten": "close a running node's position; it stays halted until resume",
        "stop": "end a running node in good order",
        "session": "show the trading session's loss and drawdown, or begin a new session",
        "drill": "set off a reason as if it were so; refused in live",
    }
    subs = {name: add(name, commands.node_command, text) for name, text in texts.items()}
    for sub in subs.values():
        sub.add_argument("run", type=Path, help="its run directory, state folder or control socket")
        sub.add_argument("--json", action="store_true", help="print one JSON object")
    subs["stop"].add_argument(
        "--on-end",
        choices=("hold", "flatten"),
        default=None,
        help="in the place of the run file's live.on_end",
    )
    subs["session"].add_argument("action", nargs="?", choices=("status", "new"), default="status")
    subs["drill"].add_argument("reason", help="a reason of docs/operations.md")
    supervise_cli.register(add)
    supervise_cli.extend({"flatten": subs["flatten"], "status": status})


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every subcommand."""
    parser = argparse.ArgumentParser(
        prog="amm500", description="An honest market maker for HIP-3 index perpetuals."
    )
    commands_of = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, handler: Handler, text: str) -> argparse.ArgumentParser:
        sub = commands_of.add_parser(name, help=text, description=text)
        sub.set_defaults(handler=handler)
        return sub

    backtest = add("backtest", commands.backtest, "run a backtest, as run_backtest.py does")
    _with_config(backtest)
    backtest.add_argument("--out", type=Path, default=None)

    check = add("check", commands.check, "validate a run file without running it and print the first ladder")
    _with_config(check)

    compare = add(
        "compare", commands.compare, "run tiered, fixed_grid and glft on the same data, side by side"
    )
    _with_config(compare)
    compare.add_argument(
        "--toxicity", action="store_true", help="one model at low, middle and high toxicity instead"
    )
    compare.add_argument("--out", type=Path, default=None, help="a folder for the runs")

    budget = add("budget", commands.budget, "print what the action limit affords at several sizes of account")
    _with_config(budget)
    budget.add_argument(
        "--equity", type=float, action="append", help="a size of account; 1,000, 10,000 and 100,000"
    )

    fetch = add("fetch", commands.fetch, "fetch or make the data of a run file and store it, without running")
    _with_config(fetch)

    stress = add(
        "stress", commands.stress, "run the stress scenarios of a run file, one backtest each, side by side"
    )
    _with_config(stress)
    stress.add_argument(
        "--scenario", nargs="+", default=[], metavar="NAME", help="these alone, beside the unstressed base"
    )
    stress.add_argument("--out", type=Path, default=None, help="a folder for the table and the runs")

    calibrate = add("calibrate", commands.calibrate, "measure simulated and recorded markets with one ruler")
    calibrate.add_argument(
        "--queue",
        type=Path,
        default=None,
        metavar="RUN",
        help="fit the queue model to a recorded run's own fills",
    )
    calibrate.add_argument("--config", default=None, help="a run file whose dataset is measured")
    calibrate.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    calibrate.add_argument("--recordings", default=None, help="a folder of recorded books, trades and quotes")
    calibrate.add_argument("--samples", default=None, help="a CSV of sampled best quotes and depth")
    calibrate.add_argument("--no-simulation", action="store_true", help="measure the recordings alone")
    calibrate.add_argument("--seed", type=int, default=1)
    calibrate.add_argument("--quiet", action="store_true")

    why = add("why", commands.why, "say why a run was not quoting, by share of time")
    why.add_argument("run", type=Path, help="a run directory")

    report = add(
        "report", commands.report, "build a run's tearsheet again, from its files or from its journal"
    )
    report.add_argument(
        "run", type=Path, help="a run directory, finished or not, a state folder, or a journal"
    )
    report.add_argument("--run", dest="number", type=int, default=None, help="the number of a journal's run")
    report.add_argument("--out", type=Path, default=None, help="the folder for what is rebuilt")
    analyze_cli.register(add)
    start_cli.register(add)
    dashboard_cli.register(add)
    research_cli.register(add)
    forecast_cli.register(add)

    status = add(
        "status", commands.status, "ask the venue for its clock, a market, an account and its limits"
    )
    status.add_argument(
        "config",
        nargs="?",
        default=None,
        metavar="CONFIG_OR_RUN",
        help="a YAML run file that names venue and market; or a run directory, whose node is asked instead",
    )
    status.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    status.add_argument("--url", default=None, help="the venue's address without a path")
    status.add_argument("--coin", default=None, help="the market, for example km:US500")
    status.add_argument("--user", default=None, help="the account's address")
    status.add_argument("--json", action="store_true", help="print one JSON object")

    _add_node_commands(add, status)

    record_cli.register(add)

    catalog = add("catalog", commands.catalog, "list, check or query the catalogue")
    catalog.add_argument("action", choices=("ls", "check", "query"))
    catalog.add_argument("sql", nargs="?", default=None, help="the statement, for query")
    catalog.add_argument("--root", default="catalog/store", help="the catalogue: a folder or an fsspec URL")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    args = build_parser().parse_args(argv)
    handler: Handler = args.handler
    return guarded(lambda: handler(args))
