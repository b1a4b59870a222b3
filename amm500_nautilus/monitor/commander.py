"""What a person's commands do: each goes through the risk engine's state machine, is awaited, and journaled."""

import asyncio
import json
import math
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from amm500_nautilus.monitor.desk import Desk
from amm500_nautilus.monitor.desk import Reading
from amm500_nautilus.monitor.errors import ControlError
from amm500_nautilus.monitor.frames import Request
from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.risk import reasons
from amm500_nautilus.risk.reasons import reason_table


# how long a command is watched until it shows; a cycle takes a second
SHOWS_S = 3.0
POLL_S = 0.05
DEMANDS = {
    "pause": reasons.OPERATOR_PAUSE,
    "reduce-only": reasons.OPERATOR_REDUCE_ONLY,
    "flatten": reasons.OPERATOR_FLATTEN,
}
_FIGURES = 10
SESSION_FIELDS = (
    "session_start_ns",
    "starting_equity",
    "peak_equity",
    "drawdown",
    "session_loss",
    "equity",
    "transfers",
)


def as_plain(reading: Reading) -> dict[str, Any]:
    """Return a reading as values fit for JSON, rounded to ten figures; what is not known is null."""
    return {item.name: _plain(getattr(reading, item.name)) for item in fields(reading)}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_FIGURES}g}") if math.isfinite(value) else None
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return value


class Commander:
    """
    Carry out commands on the loop's thread, one after another.

    Parameters
    ----------
    desk : Desk
        The running strategy.
    journal : Journal
        Takes every command, the refused ones too.
    run : int
        The run's number in the journal.
    about : dict
        What ``status`` says of the run beside its reading: name, mode, market, account.
    drills : bool
        Whether ``drill`` is allowed; it is not where the money is real.
    on_change : callable, optional
        Called after each command that changed something, so that the state is saved at once.

    """

    def __init__(
        self,
        desk: Desk,
        journal: Journal,
        *,
        run: int,
        about: dict[str, Any],
        drills: bool,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self._desk = desk
        self._journal = journal
        self._run = run
        self._about = about
        self._drills = drills
        self._on_change = on_change
        self._names = tuple(rule.name for rule in reason_table(desk.risk))
        self._turn = asyncio.Lock()

    async def handle(self, request: Request, who: str) -> dict[str, Any]:
        """Carry out a request and return its answer; ``ok`` says whether it was done."""
        async with self._turn:
            try:
                answer = {"ok": True, **await self._do(request, who)}
            except ControlError as error:
                answer = {"ok": False, "error": str(error)}
            if answer["ok"] and request.command != "status" and self._on_change is not None:
                self._on_change()
        self.note(request.command, request.arguments, who, answer)
        return answer

    def note(self, command: str, arguments: dict[str, str], who: str, answer: dict[str, Any]) -> None:
        """Journal a command and, but for a status's many figures, its answer."""
        shown = {"ok": True} if command == "status" and answer["ok"] else answer
        self._journal.write(
            "command",
            ts_ns=self._desk.now_ns(),
            run=self._run,
            who=who,
            command=command,
            arguments=json.dumps(arguments),
            ok=int(answer["ok"]),
            answer=json.dumps(shown),
        )

    async def _do(self, request: Request, who: str) -> dict[str, Any]:
        command, desk = request.command, self._desk
        if command == "status":
            return self.status()
        if command == "stop":
            desk.stop(request.arguments.get("on_end"))
            return {"said": "the run ends: orders are canceled first"}
        if command == "session" and request.arguments.get("action", "status") == "status":
            return self._session()
        if not desk.risk.enabled:
            raise ControlError(f"{command}: the risk engine is off in this run file (strategy.risk.enabled)")
        if command == "session":
            desk.new_session(who)
            await self._shows(lambda reading: reading.session_loss == 0.0)
            return self._session()
        if command == "resume":
            ended = desk.resume(who)
            reading = await self._shows(lambda reading: not set(ended) & set(reading.reasons))
            return {"ended": list(ended), **_state(reading, shows=not set(ended) & set(reading.reasons))}
        if command == "drill":
            return await self._drill(request.arguments["reason"])
        reason = DEMANDS[command]
        desk.demand(reason)
        reading = await self._shows(lambda reading: reason in reading.reasons)
        return _state(reading, shows=reason in reading.reasons)

    async def _drill(self, reason: str) -> dict[str, Any]:
        if not self._drills:
            raise ControlError("drill: refused in live; run drills in paper, local or testnet")
        if reason not in self._names:
            raise ControlError(
                f"drill: {reason!r} is not a reason; it must be one of {', '.join(self._names)}"
            )
        self._desk.drill(reason)
        # a reason with a delay of its own shows later
        reading = await self._shows(lambda reading: reason in reading.reasons)
        return _state(reading, shows=reason in reading.reasons)

    def status(self) -> dict[str, Any]:
        """Return how everything stands."""
        journal = self._journal
        return {
            **self._about,
            **as_plain(self._desk.read()),
            "journal": {
                "failed": journal.failed,
                "waiting": journal.waiting,
                "written": journal.written,
                "lost": journal.lost,
            },
        }

    def _session(self) -> dict[str, Any]:
        plain = as_plain(self._desk.read())
        return {name: plain[name] for name in SESSION_FIELDS}

    async def _shows(self, condition: Callable[[Reading], bool]) -> Reading:
        """Wait until a command shows in the state, or its time is over: the answer says what is so, not what was asked."""
        deadline = time.monotonic() + SHOWS_S
        reading = self._desk.read()
        while not condition(reading) and time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)
            reading = self._desk.read()
        return reading


def _state(reading: Reading, *, shows: bool) -> dict[str, Any]:
    return {
        "shows": shows,
        "state": reading.state,
        "reasons": list(reading.reasons),
        "position": _plain(reading.position),
        "orders": reading.n_bids + reading.n_asks,
    }
