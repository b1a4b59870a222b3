"""The state machine: STARTING, RUNNING, REDUCE_ONLY, PAUSED, HALTED, with every reason that holds it there (#15)."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amm500_nautilus.risk.reasons import ReasonRule
from amm500_nautilus.risk.types import Act
from amm500_nautilus.risk.types import RiskDecision
from amm500_nautilus.risk.types import RiskState


NS_PER_SECOND = 1_000_000_000
_STRICTNESS = {
    RiskState.RUNNING: 0,
    RiskState.REDUCE_ONLY: 1,
    RiskState.PAUSED: 2,
    RiskState.STARTING: 3,
    RiskState.HALTED: 4,
}

Trigger = tuple[str, Mapping[str, float]]


@dataclass(slots=True)
class ActiveReason:
    """A reason at work: since when, since when its condition is gone (-1 while it holds), whether it halted, its numbers."""

    name: str
    since_ns: int
    clear_ns: int
    halted: bool
    numbers: dict[str, float]


class StateMachine:
    """
    Keep the active reasons; the strictest decides the state, and each ends by its own rule.

    What only a person may end stays until ``resume``, through every restart.

    Parameters
    ----------
    rules : sequence of ReasonRule
        The table.

    """

    def __init__(self, rules: Sequence[ReasonRule]) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._active: dict[str, ActiveReason] = {}
        self._pending: dict[str, int] = {}
        self._raised: dict[str, list[int]] = {}
        self.is_started = False
        self._refresh()

    # -- what holds ----------------------------------------------------------------------------------------------------

    @property
    def reasons(self) -> tuple[str, ...]:
        """Names of the active reasons, oldest first."""
        return self._names

    @property
    def waiting(self) -> tuple[str, ...]:
        """Names of the active reasons that only a person ends, oldest first."""
        return tuple(
            name for name, reason in self._active.items() if reason.halted or self._rules[name].latched
        )

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is active and nothing is about to be."""
        return not self._active and not self._pending

    def _refresh(self) -> None:
        state = RiskState.RUNNING if self.is_started else RiskState.STARTING
        act, alert = Act.NONE, False
        for name, reason in self._active.items():
            rule = self._rules[name]
            wanted = RiskState.HALTED if reason.halted else rule.state
            if _STRICTNESS[wanted] > _STRICTNESS[state]:
                state = wanted
            act = max(act, rule.act)
            alert = alert or rule.alert or reason.halted
        self.state, self.act, self.alert = state, act, alert
        self._names = tuple(self._active)

    # -- events --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Leave STARTING."""
        self.is_started = True
        self._refresh()

    def update(
        self, ts_ns: int, triggers: Sequence[Trigger], is_gone: Callable[[str], bool]
    ) -> list[RiskDecision]:
        """
        Take the conditions of one cycle and return what began and what ended.

        Parameters
        ----------
        ts_ns : int
            Engine time.
        triggers : sequence of (str, mapping)
            Names of the reasons whose trigger holds now, with the numbers that show it.
        is_gone : callable
            Whether the condition of an active reason is gone; between trigger and this lies its hysteresis.

        Raises
        ------
        ValueError
            If a name is not in the table.

        """
        if not triggers and self.is_quiet:
            return []
        out: list[RiskDecision] = []
        for name, numbers in triggers:
            decision = self._trigger(ts_ns, name, numbers)
            if decision is not None:
                out.append(decision)
        if self._pending:
            named = {name for name, _ in triggers}
            for name in [name for name in self._pending if name not in named]:
                del self._pending[name]
        for name in list(self._active):
            if self._ended(ts_ns, self._active[name], is_gone):
                gone = self._active.pop(name)
                lasted = (ts_ns - gone.since_ns) / NS_PER_SECOND
                out.append(RiskDecision(ts_ns, "reason", True, f"{name} ended", {"lasted_secs": lasted}))
        self._refresh()
        return out

    def _trigger(self, ts_ns: int, name: str, numbers: Mapping[str, float]) -> RiskDecision | None:
        rule = self._rules.get(name)
        if rule is None:
            msg = f"reason {name!r} is not in the table; it must be one of {', '.join(self._rules)}"
            raise ValueError(msg)
        if name in self._active:
            return None
        if rule.hold_secs > 0:
            since = self._pending.setdefault(name, ts_ns)
            if ts_ns - since < rule.hold_secs * NS_PER_SECOND:
                return None
            del self._pending[name]
        halted = rule.state is RiskState.HALTED or self._is_once_too_often(ts_ns, rule)
        self._active[name] = ActiveReason(name, ts_ns, -1, halted, dict(numbers))
        return RiskDecision(ts_ns, "reason", False, name, {**numbers, "halted": float(halted)})

    def _is_once_too_often(self, ts_ns: int, rule: ReasonRule) -> bool:
        if not rule.halts_at:
            return False
        horizon = ts_ns - int(rule.halts_within_secs * NS_PER_SECOND)
        times = [at for at in self._raised.get(rule.name, []) if at > horizon]
        times.append(ts_ns)
        self._raised[rule.name] = times
        return len(times) >= rule.halts_at

    def _ended(self, ts_ns: int, reason: ActiveReason, is_gone: Callable[[str], bool]) -> bool:
        rule = self._rules[reason.name]
        if reason.halted or rule.latched:
            return False
        if not is_gone(reason.name):
            reason.clear_ns = -1
            return False
        if reason.clear_ns < 0:
            reason.clear_ns = ts_ns
        return (
            ts_ns - reason.clear_ns >= rule.clear_secs * NS_PER_SECOND
            and ts_ns - reason.since_ns >= rule.least_secs * NS_PER_SECOND
        )

    def resume(self, ts_ns: int, by: str) -> list[RiskDecision]:
        """
        End every reason that waits for a person, and return what ended.

        Timed reasons go on by their own rule. A reason whose condition still holds is back at the next cycle.

        Raises
        ------
        ValueError
            If nobody is named.

        """
        if not by.strip():
            raise ValueError("resume: by is empty; it must name who resumes")
        out: list[RiskDecision] = []
        for name in self.waiting:
            gone = self._active.pop(name)
            self._raised.pop(name, None)
            lasted = (ts_ns - gone.since_ns) / NS_PER_SECOND
            out.append(RiskDecision(ts_ns, "reason", True, f"{name} ended by {by}", {"lasted_secs": lasted}))
        self._refresh()
        return out

    # -- restart -------------------------------------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return the state as plain values fit for JSON."""
        return {
            "started": self.is_started,
            "active": [
                [reason.name, reason.since_ns, reason.clear_ns, reason.halted, reason.numbers]
                for reason in self._active.values()
            ],
            "pending": dict(self._pending),
            "raised": {name: list(times) for name, times in self._raised.items()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """
        Take what ``save`` returned.

        Raises
        ------
        ValueError
            If a saved reason is not in the table: a halt must not be lost in silence.

        """
        active: dict[str, ActiveReason] = {}
        for name, since_ns, clear_ns, halted, numbers in state["active"]:
            if name not in self._rules:
                msg = f"saved reason {name!r} is not in the table; it must be one of {', '.join(self._rules)}"
                raise ValueError(msg)
            active[name] = ActiveReason(name, int(since_ns), int(clear_ns), bool(halted), dict(numbers))
        self._active = active
        self._pending = {name: int(at) for name, at in state["pending"].items() if name in self._rules}
        self._raised = {name: [int(at) for at in times] for name, times in state["raised"].items()}
        self.is_started = bool(state["started"])
        self._refresh()
