"""``amm500 supervise``, and the commands that act on an account without a node: ``cancel``, and ``--direct`` of flatten and status."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.subcommand import Add
from amm500_nautilus.runtime.subcommand import Handler
from amm500_nautilus.runtime.subcommand import add_overrides
from amm500_nautilus.runtime.subcommand import add_run_file


def register(add: Add) -> None:
    """Add the commands."""
    sub = add("supervise", supervise, "run a node, start it again when it crashes, and cancel for it")
    add_run_file(sub, "a YAML run file of mode paper, local, testnet or live")
    sub.add_argument("--duration", default=None, help="how long, for example 7d; a restart keeps the end")
    sub.add_argument("--quiet", action="store_true", help="let the node print nothing but the result")
    sub.add_argument("--confirm-live", action="store_true", help="mode live: ask for LIVE at the terminal")
    sub.add_argument(
        "--override-paper-gate", metavar="REASON", default=None, help="mode live: as run_live.py"
    )
    cancel_parser = add("cancel", direct, "cancel the orders of an account at the venue, without a node")
    cancel_parser.add_argument("config", help="a YAML run file of mode testnet or live")
    _add_direct(cancel_parser)
    cancel_parser.add_argument("--json", action="store_true", help="print one JSON object")


def extend(subs: dict[str, argparse.ArgumentParser]) -> None:
    """Give commands to a running node a form that needs none."""
    for name, sub in subs.items():
        _add_direct(sub)
        sub.set_defaults(handler=direct, otherwise=sub.get_default("handler"), command=name)


def _add_direct(sub: argparse.ArgumentParser) -> None:
    known = {action.dest for action in sub._actions}  # noqa: SLF001 - argparse has no other way to ask
    sub.add_argument(
        "--direct", action="store_true", help="at the venue itself, by a run file; needs no node"
    )
    if "overrides" not in known:
        add_overrides(sub)
    sub.add_argument(
        "--all", dest="takes_all", action="store_true", help="with --direct: orders that are not ours too"
    )


def supervise(args: argparse.Namespace) -> int:
    """Run a node under a supervisor."""
    from amm500_nautilus.runtime.node.confirm import Approval  # noqa: PLC0415
    from amm500_nautilus.runtime.operate.supervise import Order  # noqa: PLC0415
    from amm500_nautilus.runtime.operate.supervise import supervise as work  # noqa: PLC0415

    duration = [] if args.duration is None else [f"live.duration={args.duration}"]
    approval = Approval(
        confirm_live=args.confirm_live,
        override=args.override_paper_gate,
        environ=dict(os.environ),
        ask=input if sys.stdin.isatty() else None,
    )
    return work(
        Order(
            config=args.config,
            overrides=(*args.overrides, *duration),
            approval=approval,
            quiet=args.quiet,
        )
    )


def direct(args: argparse.Namespace) -> int:
    """
    Cancel, flatten or show an account without a node.

    Returns 0 when nothing of ours rests (and, after flatten, the position is 0), 1 when something is left.
    """
    if not args.direct:
        otherwise: Handler | None = getattr(args, "otherwise", None)
        if otherwise is None:
            raise InputError(
                "works at the venue alone", f"amm500 {args.command}", "--direct; amm500 pause asks a node"
            )
        return otherwise(args)
    from amm500_nautilus.monitor.errors import MonitorError  # noqa: PLC0415
    from amm500_nautilus.monitor.supervisor import UnseenError  # noqa: PLC0415
    from amm500_nautilus.runtime.operate.direct import DirectRescue  # noqa: PLC0415
    from amm500_nautilus.runtime.operate.direct_access import accesses_of  # noqa: PLC0415
    from amm500_nautilus.runtime.operate.direct_access import has_account  # noqa: PLC0415
    from amm500_nautilus.runtime.operate.direct_access import open_key  # noqa: PLC0415

    path = getattr(args, "config", None) or getattr(args, "run", None)
    if path is None:
        raise InputError("is missing", "CONFIG", "a run file of mode testnet or live")
    config = load_config(path, args.overrides)
    if not has_account(config):
        text = f"mode {config.mode}: no order outlives its node, there is nothing at a venue"
        return _told(args, {"ok": True, "mode": config.mode, "said": text}, text, code=DONE)
    accesses = accesses_of(config, takes_all=args.takes_all)
    rescue = DirectRescue(accesses, open_key(config))
    node = _node_of(config)
    if node and not args.json:
        print(f"node {node} runs: it may quote again; amm500 stop ends it", file=sys.stderr)
    try:
        if args.command == "status":
            return _show(args, rescue.look())
        swept = rescue.flatten() if args.command == "flatten" else rescue.cancel()
    except UnseenError as error:
        raise SourceUnavailableError(str(error)) from error
    except MonitorError as error:
        raise InputError(str(error), "the account", "a key that the venue takes") from error
    is_known = args.takes_all or not swept.foreign or any(access.orders_file.exists() for access in accesses)
    text = swept.words
    if not is_known:
        text += f"; whose they are is not known without {accesses[0].orders_file}: --all cancels every one"
    is_done = is_known and not swept.left and (args.command != "flatten" or swept.position == 0)
    answer: dict[str, Any] = {
        "ok": is_done,
        "found": swept.found,
        "left": swept.left,
        "foreign": swept.foreign,
        "position": None if swept.position is None else f"{swept.position:f}",
        "said": text,
    }
    return _told(args, answer, text, code=DONE if is_done else FAILED)


def _show(args: argparse.Namespace, looks: Any) -> int:
    orders = sum(len(look.ours) for look in looks)
    foreign = sum(look.foreign for look in looks)
    positions = {row.coin: f"{row.size:f}" for look in looks for row in look.state.positions if row.size}
    equity = [f"{look.state.summary.account_value:f}" for look in looks]
    held = ", ".join(f"{size} {coin}" for coin, size in positions.items()) or "no position"
    text = f"equity {' and '.join(equity)}, {held}, {orders} own orders rest, {foreign} that are not ours"
    answer = {"ok": True, "equity": equity, "positions": positions, "orders": orders, "foreign": foreign}
    return _told(args, answer, text, code=DONE)


def _told(args: argparse.Namespace, answer: dict[str, Any], text: str, *, code: int) -> int:
    print(json.dumps(answer) if args.json else text)
    return code


def _node_of(config: Any) -> int:
    """Return the number of the node that runs on this run file's journal, 0 where none does."""
    from amm500_nautilus.monitor.journal import LOCK  # noqa: PLC0415
    from amm500_nautilus.monitor.supervisor_lock import holder_of  # noqa: PLC0415
    from amm500_nautilus.runtime.node.modes import monitor_folder  # noqa: PLC0415

    return holder_of(monitor_folder(config, Path()) / LOCK) or 0
