"""A journal as a node writes it, row by row, for the dashboard's tests; nothing in it was traded."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.dashboard_journal import JournalView
from amm500_nautilus.monitor.dashboard_server import DashboardServer
from amm500_nautilus.monitor.dashboard_server import ServerSettings
from amm500_nautilus.monitor.desk import Reading
from amm500_nautilus.monitor.desk import plain_reading
from amm500_nautilus.monitor.heartbeat import Heartbeat
from amm500_nautilus.monitor.journal import Journal
from tests.risk.views import T0


NS = 1_000_000_000
TOKEN = "a-token-for-tests-of-forty-characters-xx"
HORIZONS_S = (0, 1, 5, 30, 60)


class WrittenJournal:
    """Half an hour of a node of mode ``local``; the clock moves a second each time that it is read."""

    def __init__(self, folder: Path, *, mode: str = "local", minutes: int = 30) -> None:
        self.folder = folder
        self.journal = Journal(folder)
        self.journal.open()
        self._beats = Heartbeat(folder)
        self.ns = T0 + minutes * 60 * NS
        self.fills = 0
        self.journal.write("session", id=1, started_ns=T0, started_by="start")
        self.run(mode=mode)
        self.state("RUNNING", at=T0)
        for minute in range(minutes):
            self.minute(T0 + minute * 60 * NS)
        self.read()
        assert self.journal.flush()

    def now_ns(self) -> int:
        self.ns += NS
        return self.ns

    def beat(self, at: int | None = None) -> None:
        path = self.folder / "heartbeat"
        self._beats.beat(self.ns if at is None else at, "RUNNING")
        # a beat is as young as the file that holds it: this one is of the scene's time
        os.utime(path, ns=(T0, T0))

    def run(self, number: int = 1, mode: str = "local", **values: Any) -> None:
        base = {
            "id": number,
            "session": 1,
            "started_ns": T0,
            "name": "scene",
            "mode": mode,
            "coin": "km:US500",
        }
        base |= {"account": "0xabc", "config_hash": "0", "pid": 1, "version": "0"}
        self.journal.write("run", **(base | values))

    def minute(self, ts_ns: int, **values: Any) -> None:
        number = (ts_ns - T0) // (60 * NS)
        base = {"equity": 10_000.0 + number / 10, "position": number % 3 - 1.0, "mid": 690 + number / 50}
        base |= {
            "margin_ratio": 0.02,
            "maintenance_ratio": 0.01,
            "drawdown": 0.001,
            "budget_remaining": 9_000.0,
        }
        base |= {"actions": 10 * number, "fills": self.fills, "state": "RUNNING"}
        parts = (
            "spread_capture",
            "adverse_selection",
            "inventory",
            "fees",
            "funding",
            "liquidation",
            "total",
        )
        base |= {f"pnl_{name}": number / 10 for name in parts}
        self.journal.write("equity", ts_ns=ts_ns, run=1, session=1, **(base | values))
        self.journal.write(
            "quote", ts_ns=ts_ns, run=1, bid=689.9, ask=690.1, mid=690 + number / 50, n_bids=15, n_asks=15
        )

    def fill(
        self, side: int, price: str, size: str = "0.4", *, at: int | None = None, bps: float = 1.0
    ) -> None:
        self.fills += 1
        key = {"ts_ns": self.ns if at is None else at, "coin": "km:US500", "tid": str(self.fills)}
        values = {"fee": "0.01", "closed_pnl": "0", "maker": 1, "position": "0.4", "mid": float(price)}
        self.journal.write("fill", **key, run=1, side=side, price=price, size=size, **values)
        for horizon in HORIZONS_S:
            self.journal.write("markout", **key, horizon_s=horizon, bps=bps * horizon)

    def state(self, state: str, reasons: str = "", *, at: int | None = None) -> None:
        self.journal.write("state", ts_ns=self.ns if at is None else at, run=1, state=state, reasons=reasons)

    def read(self, **values: Any) -> None:
        base = {"state": "RUNNING", "equity": 10_003.0, "starting_equity": 10_000.0, "position": 0.4}
        base |= {
            "margin_ratio": 0.85,
            "drawdown": 0.0,
            "bid": 689.9,
            "ask": 690.1,
            "budget_remaining": 9_000.0,
        }
        reading = Reading(ts_ns=self.ns, **(base | values))
        self.journal.save("reading", self.ns, json.dumps(plain_reading(reading)).encode())
        self.beat()

    def close(self) -> None:
        assert self.journal.close()
        self._beats.close()


@contextmanager
def written(folder: Path, **settings: Any) -> Iterator[WrittenJournal]:
    scene = WrittenJournal(folder, **settings)
    try:
        yield scene
    finally:
        scene.close()


@contextmanager
def served(
    scene: WrittenJournal, links: list[str] | None = None, **settings: Any
) -> Iterator[DashboardServer]:
    """The scene's page on a free port of this machine."""
    view = JournalView(scene.folder, scene.now_ns)
    server = DashboardServer(
        view, ServerSettings(**({"token": TOKEN} | settings)), [].append if links is None else links.append
    )
    server.start()
    try:
        yield server
    finally:
        server.close()
