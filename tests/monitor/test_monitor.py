"""The monitor as a node uses it: what happens is journaled, told once, saved at once, and there again after a restart."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.monitor.errors import AlreadyRunningError
from amm500_nautilus.monitor.heartbeat import last_beat
from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.monitor.monitor import FillRow
from amm500_nautilus.monitor.monitor import Monitor
from amm500_nautilus.monitor.monitor import MonitorSettings
from amm500_nautilus.quoting.types import ActionRecord
from amm500_nautilus.quoting.types import QuoteSample
from amm500_nautilus.quoting.types import QuoteState
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.reasons import reason_table
from amm500_nautilus.risk.types import Conditions
from amm500_nautilus.risk.types import RiskDecision
from tests.monitor.scene import SceneDesk
from tests.monitor.test_alerts import Spoken
from tests.risk.views import T0


RULES = reason_table(RiskConfig())


class Watched:
    """A desk under a monitor: every decision of the risk engine is told, and time stands where the desk's does."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.desk = SceneDesk()
        self.channel = Spoken()
        base = {"name": "scene", "mode": "local", "coin": "km:US500", "account": "0xabc"}
        self.monitor = Monitor(
            MonitorSettings(folder=folder, **(base | settings)), [self.channel], now_ns=self.desk.now_ns
        )
        self.path = folder / NAME

    def step(self, seconds: float = 1.0) -> None:
        around = self.monitor.conditions()
        self.desk.changes |= {"journal_failed": around.journal_failed}
        for name in around.demands:
            self.desk.demand(name)
        before = len(self.desk.said)
        self.desk.step(seconds)
        for decision in self.desk.said[before:]:
            self.monitor.on_decision(decision)
        self.monitor.tick()

    def run(self, job: Callable[["Watched"], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            restored = self.monitor.open()
            await self.monitor.start(self.desk)
            try:
                await job(self)
            finally:
                assert await self.monitor.close("done")
            return restored

        return asyncio.run(whole())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_each_reason_gives_one_entry_one_change_of_state_and_one_alert(rule, tmp_path: Path) -> None:
    async def job(scene: Watched) -> None:
        scene.desk.drill(rule.name)
        for _ in range(int(rule.hold_secs) + 8):
            scene.step()

    scene = Watched(tmp_path)
    scene.run(job)
    raised = scene.rows("SELECT reason, numbers FROM decision WHERE subject = 'reason' AND approved = 0")
    assert [name for name, _ in raised] == [rule.name]
    assert json.loads(raised[0][1])["drill"] == 1.0
    assert scene.rows("SELECT state, reasons FROM state ORDER BY id") == [
        ("RUNNING", ""),
        (rule.state.value, rule.name),
    ]
    alerts = scene.rows("SELECT kind, outcome FROM alert")
    if rule.name.startswith("operator_"):
        # a person did it
        assert alerts == scene.channel.heard == []
        return
    assert alerts == [(rule.name, "sent")]
    ((title, body),) = scene.channel.heard
    weight = "ACT NOW" if rule.alert else "notice"
    assert title == f"scene (local km:US500): {weight}: {rule.name}"
    assert rule.trigger in body
    assert rule.ends in body


def test_the_state_is_saved_with_the_reason_itself_and_comes_back_after_a_restart(tmp_path: Path) -> None:
    async def job(scene: Watched) -> None:
        saves = []
        scene.desk.save = lambda: saves.append(1) or {"amm500": b"%d" % len(saves)}  # type: ignore[method-assign]
        scene.monitor.on_decision(RiskDecision(T0, "reason", False, "drawdown", {"halted": 1.0}))
        assert saves == [1]

    first = Watched(tmp_path)
    assert first.run(job).strategy == {}

    async def look(scene: Watched) -> None:
        pass

    second = Watched(tmp_path)
    restored = second.run(look)
    assert (restored.run, restored.session, restored.is_damaged) == (2, 1, False)
    # the end of a run saves once more
    assert restored.strategy == {"scene": b"state", "amm500": b"2"}
    assert restored.notes == ("session 1 goes on as run 2",)
    runs = second.rows("SELECT id, outcome, ended_ns IS NOT NULL FROM run ORDER BY id")
    assert runs == [(1, "done", 1), (2, "done", 1)]


def test_a_damaged_journal_starts_the_next_run_halted_and_tells_a_person(tmp_path: Path) -> None:
    async def nothing(scene: Watched) -> None:
        scene.step()

    Watched(tmp_path).run(nothing)
    path = tmp_path / NAME
    path.write_bytes(b"\xff" * 5_000)
    scene = Watched(tmp_path)
    restored = scene.run(nothing)
    assert restored.is_damaged
    assert "kept as journal.damaged-" in restored.notes[0]
    assert scene.desk.engine.machine.reasons == ("journal_damaged",)
    assert scene.desk.read().state == "HALTED"
    assert [title for title, _ in scene.channel.heard] == ["scene (local km:US500): ACT NOW: journal_damaged"]
    assert scene.rows("SELECT count(*) FROM event WHERE kind = 'journal'") == [(1,)]


def test_a_reason_of_the_first_cycle_is_told_though_nobody_watched_yet(tmp_path: Path) -> None:
    scene = Watched(tmp_path)

    async def life() -> None:
        scene.monitor.open()
        scene.monitor.on_decision(RiskDecision(T0, "reason", False, "journal_damaged", {"halted": 1.0}))
        await scene.monitor.start(scene.desk)
        await scene.monitor.close("done")

    asyncio.run(life())
    assert len(scene.channel.heard) == 1
    assert "ACT NOW: journal_damaged" in scene.channel.heard[0][0]


def test_a_halt_after_a_person_resumed_the_last_one_is_told_again(tmp_path: Path) -> None:
    scene = Watched(tmp_path)

    async def job(scene: Watched) -> None:
        for at in (T0, T0 + 60_000_000_000):
            scene.monitor.on_decision(RiskDecision(at, "reason", False, "drawdown", {"halted": 1.0}))
            scene.monitor.on_decision(RiskDecision(at, "reason", True, "drawdown ended by ann", {}))
        # a pause that ends by itself is told once in half an hour, unless it halts the next time
        for halted in (0.0, 0.0, 1.0):
            numbers = {"halted": halted}
            scene.monitor.on_decision(RiskDecision(T0, "reason", False, "losing_streak", numbers))

    scene.run(job)
    outcomes = scene.rows("SELECT kind, outcome FROM alert ORDER BY kind, outcome")
    assert outcomes == [
        ("drawdown", "sent"),
        ("drawdown", "sent"),
        ("losing_streak", "cooldown"),
        ("losing_streak", "sent"),
        ("losing_streak", "sent"),
    ]


def test_a_journal_that_cannot_be_written_reaches_the_risk_engine_and_the_alert_still_leaves(
    tmp_path: Path,
) -> None:
    async def job(scene: Watched) -> None:
        blocker = sqlite3.connect(scene.path, isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
        scene.monitor.event("note", "cannot be written")
        async with asyncio.timeout(15):
            while not scene.monitor.journal.failed:
                await asyncio.sleep(0.01)
            scene.step()
            assert scene.desk.engine.machine.reasons == ("journal",)
            assert scene.desk.read().state == "REDUCE_ONLY"
            while not scene.channel.heard:
                await asyncio.sleep(0.01)
        assert "ACT NOW: journal" in scene.channel.heard[0][0]
        blocker.execute("ROLLBACK")
        blocker.close()
        assert await asyncio.to_thread(scene.monitor.journal.flush, 15.0)
        # what is latched stays until a person has looked
        scene.step()
        assert scene.desk.engine.machine.reasons == ("journal",)
        assert scene.desk.resume("a person") == ("journal",)
        scene.step()
        assert scene.desk.engine.machine.reasons == ()

    scene = Watched(tmp_path)
    scene.run(job)
    assert scene.rows("SELECT count(*) FROM decision WHERE reason = 'journal'") == [(1,)]


def test_a_minute_has_one_row_and_a_second_one_sign_of_life(tmp_path: Path) -> None:
    async def job(scene: Watched) -> None:
        for second in range(1, 150):
            scene.step()
            scene.monitor.tick()
            beat = last_beat(tmp_path)
            assert beat is not None
            assert (beat.ts_ns >= scene.desk.now_ns(), beat.state) == (True, "RUNNING"), second

    scene = Watched(tmp_path)
    scene.run(job)
    times = [ts_ns for (ts_ns,) in scene.rows("SELECT ts_ns FROM equity ORDER BY ts_ns")]
    # the first, two full minutes, and the last
    assert len(times) == 4
    assert all(times[number] // 60_000_000_000 == T0 // 60_000_000_000 + number for number in (1, 2))
    assert scene.rows("SELECT DISTINCT equity, session, run, mid FROM equity") == [(1_000.0, 1, 1, None)]


def a_fill(number: int, *, is_maker: bool) -> FillRow:
    return FillRow(
        ts_ns=T0 + number,
        tid=str(number),
        side=-1,
        price=Decimal("690.10"),
        size=Decimal("0.5"),
        fee=Decimal("0.01"),
        closed_pnl=Decimal("0.005") * number,
        is_maker=is_maker,
        position=Decimal("-0.5"),
        index=number,
    )


def test_a_clock_that_is_set_back_stops_neither_minutes_nor_saved_state(tmp_path: Path) -> None:
    scene = Watched(tmp_path)

    async def job(scene: Watched) -> None:
        scene.step()
        scene.desk.seconds -= 3_600.0
        back = scene.desk.now_ns()
        scene.step()
        assert scene.monitor.figures.reading.ts_ns > back
        assert scene.monitor.journal.flush(20)
        assert scene.rows("SELECT ts_ns FROM saved WHERE name = 'reading'")[0][0] < back + 10_000_000_000
        assert scene.rows("SELECT count(*) FROM equity") == [(2,)]

    scene.run(job)


def test_fills_markouts_payments_quotes_and_actions_are_journaled_and_counted(tmp_path: Path) -> None:
    sample = QuoteSample(
        ts_ns=T0,
        bid_ticks=69_000,
        ask_ticks=None,
        n_bids=3,
        n_asks=0,
        mid_ticks=69_001.0,
        state=QuoteState.ONE_SIDED,
        reasons=("delta",),
        factors={},
        volatility={},
        delta=0.1,
        budget_remaining=5.0,
        actions=3,
    )

    async def job(scene: Watched) -> None:
        monitor = scene.monitor
        for number, is_maker in enumerate((True, True, False)):
            monitor.on_fill(a_fill(number, is_maker=is_maker), 690.0)
        monitor.on_markout(0, 5, 689.4099)
        monitor.on_markout(99, 5, 689.0)
        monitor.on_payment(T0, "funding", Decimal("-0.25"), Decimal("0.0001"), Decimal(690))
        for seconds in range(12):
            sample.ts_ns = T0 + seconds * 1_000_000_000
            # before the first book there is no price, and none is zero
            sample.mid_ticks = 69_001.0 if seconds else 0.0
            monitor.on_sample(sample, 0.01)
        monitor.on_action(ActionRecord(ts_ns=T0, kind="place", count=3))

    scene = Watched(tmp_path)
    scene.run(job)
    fills = scene.rows(
        "SELECT tid, side, price, size, fee, closed_pnl, maker, position, mid FROM fill ORDER BY ts_ns"
    )
    assert fills[0] == ("0", -1, "690.10", "0.5", "0.01", "0.000", 1, "-0.5", 690.0)
    assert len(fills) == 3
    # a price that fell by 0.1 % after we sold is good for us
    ((horizon, bps),) = scene.rows("SELECT horizon_s, bps FROM markout")
    assert (horizon, bps) == (5, pytest.approx(10.0))
    assert scene.rows("SELECT kind, amount, rate, price FROM payment") == [
        ("funding", "-0.25", "0.0001", "690")
    ]
    quotes = scene.rows("SELECT bid, ask, n_bids, state, reasons FROM quote ORDER BY ts_ns")
    assert quotes == [(pytest.approx(690.0), None, 3, "one_sided", "delta")] * 3
    mids = [mid for (mid,) in scene.rows("SELECT mid FROM quote ORDER BY ts_ns")]
    assert mids == [None, pytest.approx(690.01), pytest.approx(690.01)]
    counts = scene.monitor.figures.counts
    assert counts["actions", ("place",)] == 3
    assert counts["fills", ("sell", "maker")] == 2
    assert counts["fill_volume", ("taker",)] == pytest.approx(345.05)
    # 0.005 before a fee of 0.01 is a loss, 0.01 is none won either
    assert counts["closing_fills", ("lost",)] == 2


def test_a_new_session_is_numbered_and_named_after_who_began_it(tmp_path: Path) -> None:
    async def job(scene: Watched) -> None:
        scene.monitor.on_decision(RiskDecision(T0, "session", True, "new session by maria", {}))

    scene = Watched(tmp_path)
    scene.run(job)
    assert scene.rows("SELECT id, started_by FROM session") == [(1, "start"), (2, "new session by maria")]
    assert scene.monitor.session == 2


def test_conditions_of_the_venue_are_passed_on_and_demands_handed_out_once(tmp_path: Path) -> None:
    monitor = Watched(tmp_path).monitor
    others = Conditions(network_down=True, demands=("second_trader",))
    assert monitor.conditions(others) == others
    assert monitor.conditions() == Conditions()


def test_numbers_that_are_none_do_not_stop_the_journal(tmp_path: Path) -> None:
    async def job(scene: Watched) -> None:
        numbers = {"equity": float("nan"), "value": float("inf")}
        scene.monitor.on_decision(RiskDecision(T0, "size", True, "kelly", numbers))

    scene = Watched(tmp_path)
    scene.run(job)
    assert scene.rows("SELECT numbers FROM decision") == [('{"equity": null, "value": null}',)]


def test_two_monitors_of_one_folder_are_refused(tmp_path: Path) -> None:
    async def job(scene: Watched) -> None:
        with pytest.raises(AlreadyRunningError, match="runs here already"):
            Watched(tmp_path).monitor.open()

    Watched(tmp_path).run(job)
