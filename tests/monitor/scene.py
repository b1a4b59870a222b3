"""A strategy's risk engine without a strategy: time moves when the test says, or by itself on a loop."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from amm500_nautilus.monitor.desk import Reading
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.engine import RiskEngine
from amm500_nautilus.risk.types import RiskDecision
from tests.risk.views import T0
from tests.risk.views import view


class SceneDesk:
    """What the monitor sees of a small flat account; ``said`` holds every decision, ``stopped`` how the run was told to end."""

    def __init__(self, config: RiskConfig | None = None) -> None:
        self.risk = config if config is not None else RiskConfig()
        self.engine = RiskEngine(self.risk)
        self.seconds = 0.0
        self.said: list[RiskDecision] = []
        self.stopped: list[str | None] = []
        self.changes: dict[str, Any] = {}
        self.sessions = 0
        self.reading = Reading(ts_ns=T0, equity=1_000.0, session_loss=0.0)
        self.step()

    def step(self, seconds: float = 1.0) -> None:
        """Let the risk engine look once more."""
        self.seconds += seconds
        verdict = self.engine.assess(view(self.seconds, **self.changes))
        self.said.extend(verdict.decisions)
        machine = self.engine.machine
        self.reading = replace(
            self.reading, ts_ns=self.now_ns(), state=verdict.state.value, reasons=machine.reasons
        )

    async def live(self) -> None:
        """Look a hundred times a second, each time a second later."""
        while True:
            self.step()
            await asyncio.sleep(0.01)

    def now_ns(self) -> int:
        return T0 + round(self.seconds * 1e9)

    def read(self) -> Reading:
        return replace(
            self.reading, reasons=self.engine.machine.reasons, state=self.engine.machine.state.value
        )

    def demand(self, reason: str) -> None:
        self.engine.demand(reason)

    def drill(self, reason: str) -> None:
        self.engine.drill(self.now_ns(), reason)

    def resume(self, by: str) -> tuple[str, ...]:
        before = self.engine.machine.reasons
        self.said.extend(self.engine.resume(self.now_ns(), by))
        return tuple(name for name in before if name not in self.engine.machine.reasons)

    def new_session(self, by: str) -> None:
        self.sessions += 1
        self.engine.new_session()

    def stop(self, on_end: str | None) -> None:
        self.stopped.append(on_end)

    def save(self) -> Mapping[str, bytes]:
        return {"scene": b"state"}


@contextlib.asynccontextmanager
async def living(desk: SceneDesk) -> Any:
    """The desk's time runs inside this block."""
    task = asyncio.get_running_loop().create_task(desk.live())
    try:
        yield desk
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
