"""One command or answer a line: how bytes become a request, and what is refused on the way."""

import json
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from amm500_nautilus.monitor.errors import ControlError


# a request, its end of line included; an answer may be longer
LONGEST = 4_096
LONGEST_ANSWER = 65_536
# command: its argument, whether that must be given, and what it may be (anything short where empty)
ARGUMENTS: dict[str, tuple[str, bool, tuple[str, ...]] | None] = {
    "status": None,
    "pause": None,
    "resume": None,
    "reduce-only": None,
    "flatten": None,
    "stop": ("on_end", False, ("hold", "flatten")),
    "session": ("action", False, ("status", "new")),
    "drill": ("reason", True, ()),
}
_LONGEST_WORD = 64


@dataclass(frozen=True, slots=True)
class Request:
    """A command and its one argument, where it takes one."""

    command: str
    arguments: dict[str, str] = field(default_factory=dict)


def parse_request(frame: bytes) -> Request:
    """
    Return the request that a line holds.

    Raises
    ------
    ControlError
        If it is none; the sentence repeats nothing of the frame but a command's name.

    """
    if len(frame) > LONGEST:
        raise ControlError(f"the frame is longer than {LONGEST} bytes")
    try:
        value: Any = json.loads(frame.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ControlError("the frame is not one JSON object on one line") from None
    if not isinstance(value, dict) or not isinstance(value.get("command"), str):
        raise ControlError('the frame is not an object with a "command"')
    command = value.pop("command")
    if command not in ARGUMENTS:
        shown = command if len(command) <= _LONGEST_WORD and command.isprintable() else "that"
        raise ControlError(f"{shown!r} is not a command; it must be one of {', '.join(ARGUMENTS)}")
    rule = ARGUMENTS[command]
    wanted = () if rule is None else (rule[0],)
    if set(value) - set(wanted):
        raise ControlError(
            f"{command} takes {'no arguments' if not wanted else 'no argument but ' + wanted[0]}"
        )
    if rule is None:
        return Request(command)
    name, is_needed, allowed = rule
    given = value.get(name)
    if given is None:
        if is_needed:
            raise ControlError(f"{command} needs a {name}")
        return Request(command)
    if not isinstance(given, str) or len(given) > _LONGEST_WORD or (allowed and given not in allowed):
        raise ControlError(f"{name} of {command} must be {' or '.join(allowed) if allowed else 'a name'}")
    return Request(command, {name: given})


def to_frame(value: dict[str, Any]) -> bytes:
    """Return an object as one line."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"
