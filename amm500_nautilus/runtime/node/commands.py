"""``amm500 pause``, ``resume``, ``flatten`` and their like: one command to a running node, and its answer in words."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.control_client import send_command
from amm500_nautilus.monitor.errors import ControlError
from amm500_nautilus.risk.types import RiskState
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.exits import HALTED
from amm500_nautilus.runtime.exits import UNREACHABLE
from amm500_nautilus.runtime.rundir import PARTIAL


NAMES = ("reason", "action", "on_end")
NOTHING = "-"


def is_run(path: Path) -> bool:
    """Return whether a path is a run directory or a socket, and no run file."""
    return path.is_dir() or path.is_socket() or path.with_name(path.name + PARTIAL).is_dir()


def node_command(args: argparse.Namespace) -> int:
    """
    Send the command and print the answer.

    Returns 0 when it is done, 1 when the node refused it or it does not show yet, 3 for the status of a node that is halted, 4 when
    no node answers.
    """
    arguments = {name: getattr(args, name) for name in NAMES if getattr(args, name, None) is not None}
    try:
        answer = send_command(args.run, args.command, **arguments)
    except ControlError as error:
        if args.json:
            print(json.dumps({"ok": False, "error": str(error)}))
        else:
            print(f"error: {error}", file=sys.stderr)
        return UNREACHABLE
    if args.json:
        print(json.dumps(answer))
    elif answer["ok"]:
        print("\n".join(words(args.command, answer)))
    else:
        print(f"refused: {answer['error']}", file=sys.stderr)
    if not answer["ok"] or answer.get("shows") is False:
        return FAILED
    return HALTED if args.command == "status" and answer.get("state") == RiskState.HALTED else DONE


def words(command: str, answer: dict[str, Any]) -> list[str]:
    """Return an answer as lines for a person."""
    if command == "status":
        return _status(answer)
    if command == "session":
        return [
            f"starting equity {_figure(answer['starting_equity'])}, now {_figure(answer['equity'])}, peak {_figure(answer['peak_equity'])}",
            (
                f"loss {_figure(answer['session_loss'])}, drawdown {_share(answer['drawdown'])}, "
                f"transfers {_figure(answer['transfers'])}"
            ),
        ]
    if "said" in answer:
        return [str(answer["said"])]
    lines = []
    if "ended" in answer:
        lines.append(f"ended: {', '.join(answer['ended']) or 'nothing was waiting for a person'}")
    lines.append(_state(answer))
    if answer.get("shows") is False:
        lines.append("asked for, but it does not show yet: look again with amm500 status")
    return lines


def _state(answer: dict[str, Any]) -> str:
    why = f" ({', '.join(answer['reasons'])})" if answer["reasons"] else ""
    return (
        f"{answer['state']}{why}: position {_figure(answer['position'])}, {answer['orders']} orders resting"
    )


def _status(answer: dict[str, Any]) -> list[str]:
    reasons = ", ".join(answer["reasons"]) or "none"
    journal = answer["journal"]
    trouble = f"FAILED: {journal['failed']}" if journal["failed"] else "written"
    lines = [
        f"{answer['name']}: {answer['mode']} {answer['coin']}, run {answer['run']} of session {answer['session']}",
        f"state      {answer['state']}, risk level {answer['level']}, reasons: {reasons}",
        (
            f"equity     {_figure(answer['equity'])}, session loss {_figure(answer['session_loss'])}, "
            f"drawdown {_share(answer['drawdown'])}"
        ),
        (
            f"position   {_figure(answer['position'])} at {_figure(answer['entry'])}, "
            f"margin ratio {_share(answer['margin_ratio'])}, liquidation at {_figure(answer['liquidation_price'])}"
        ),
        f"market     {_figure(answer['best_bid'])} / {_figure(answer['best_ask'])}",
        (
            f"quotes     {_figure(answer['bid'])} / {_figure(answer['ask'])}, {answer['n_bids']} bids and {answer['n_asks']} asks, "
            f"{answer['quote_state'] or NOTHING}{_because(answer['quote_reasons'])}"
        ),
        (
            f"trading    {answer['fills']} fills, {answer['actions']:,} actions sent, "
            f"{_figure(answer['budget_remaining'])} left, {answer['rejections']} rejections"
        ),
        f"journal    {trouble}, {journal['written']:,} rows, {journal['waiting']} waiting, {journal['lost']} lost",
    ]
    if answer["waiting"]:
        lines.append(f"waits for a person: {', '.join(answer['waiting'])} (amm500 resume RUN)")
    return lines


def _because(reasons: list[str]) -> str:
    return f" ({', '.join(reasons)})" if reasons else ""


def _figure(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.8g}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2%}"
