"""What a person must learn from the page: each reason of the table, and what a supervisor did when no node was there."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.monitor import dashboard_journal
from amm500_nautilus.monitor.dashboard_journal import JournalView
from amm500_nautilus.monitor.dashboard_layout import as_html
from amm500_nautilus.monitor.dashboard_layout import head
from amm500_nautilus.monitor.dashboard_page import Drawing
from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.monitor.runbook import ACTS
from amm500_nautilus.monitor.runbook import LOOK
from amm500_nautilus.monitor.supervisor import Swept
from amm500_nautilus.monitor.supervisor_diary import Supervised
from amm500_nautilus.monitor.supervisor_diary import SupervisorDiary
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.reasons import BY_A_PERSON
from amm500_nautilus.risk.reasons import reason_table
from tests.monitor.dashboard_scene import NS
from tests.monitor.dashboard_scene import WrittenJournal
from tests.monitor.dashboard_scene import written
from tests.monitor.test_monitor import Watched
from tests.monitor.test_supervisor import Hand
from tests.monitor.test_supervisor import Scene
from tests.risk.views import T0


RULES = reason_table(RiskConfig())
ABOUT = Supervised(
    name="scene", mode="testnet", coin="km:US500", account="0xabc", config_hash="0", version="0"
)


@pytest.fixture(autouse=True)
def always_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot serves nobody a second time."""
    monkeypatch.setattr(dashboard_journal, "FRESH_S", 0.0)


def shown(view: JournalView) -> tuple[str, list[str], list[str]]:
    """What a page gets: its head, and the lines of what happened and of the alerts."""
    answer = Drawing(view).update(0, "all", None)
    tables = answer["tables"]

    def lines(name: str) -> list[str]:
        return [" ".join(text for text, _ in row[1:]) for row in tables[name]["rows"]]

    plain = json.dumps(answer["parts"]["head"], default=lambda each: each.to_plotly_json())
    return plain, lines("happened"), lines("alerts")


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_each_reason_is_shown_with_its_state_what_it_does_and_its_alert(rule: Any, tmp_path: Path) -> None:
    found: list[tuple[str, list[str], list[str]]] = []
    view = JournalView(tmp_path, lambda: scene.desk.now_ns())

    async def job(scene: Watched) -> None:
        scene.desk.drill(rule.name)
        for _ in range(int(rule.hold_secs) + 8):
            scene.step()
        # as an operator sees it: while it lasts
        assert await asyncio.to_thread(scene.monitor.journal.flush)
        found.append(shown(view))

    scene = Watched(tmp_path)
    scene.run(job)
    ((head, happened, _),) = found
    # the alerter's own thread has told by the end
    _, _, alerts = shown(view)
    view.close()
    assert f"{rule.state.value} because of {rule.name} since" in head
    assert f"{ACTS[rule.act]}; {rule.state.value}, " in head
    assert LOOK[rule.name] in head
    assert (f"until {BY_A_PERSON}" in head) == rule.latched
    assert f"state {rule.state.value}: {rule.name}" in happened
    assert any(line.startswith(f"reason {rule.name}: drill 1") for line in happened)
    told = [line for line in alerts if rule.name in line]
    if rule.name.startswith("operator_"):
        assert told == []
        return
    (line,) = told
    assert rule.trigger in line
    assert rule.ends in line
    assert line.endswith("sent")


def test_words_are_text_in_a_page_that_is_drawn_before_dash(tmp_path: Path) -> None:
    with written(tmp_path, minutes=1) as scene:
        scene.run(number=2, name='<b title="x">&')
        assert scene.journal.flush()
        view = JournalView(tmp_path, lambda: scene.ns)
        page = as_html(head(view.snapshot("all")))
        assert "<h1>&lt;b title=&quot;x&quot;&gt;&amp; km:US500</h1>" in page
        assert '<span id="state" class="pill RUNNING">RUNNING</span>' in page.replace(
            'class="pill RUNNING" id="state"', 'id="state" class="pill RUNNING"'
        )
        view.close()


def test_a_reason_of_a_later_version_is_named_all_the_same(tmp_path: Path) -> None:
    with written(tmp_path, minutes=1) as scene:
        scene.read(state="PAUSED", reasons=("solar_flare",))
        assert scene.journal.flush()
        view = JournalView(tmp_path, lambda: scene.ns)
        assert "PAUSED because of solar_flare" in shown(view)[0]
        view.close()


def test_the_end_of_a_reason_is_shown_and_decisions_about_orders_are_not(tmp_path: Path) -> None:
    with written(tmp_path, minutes=1) as scene:
        for subject, reason, numbers in (
            ("order", "exposure", "{}"),
            ("reason", "book_stale ended", '{"lasted_secs": 31.0, "unknown": null}'),
            ("reason", "margin_ratio", "not JSON"),
        ):
            scene.journal.write(
                "decision",
                ts_ns=scene.ns,
                run=1,
                subject=subject,
                approved=1,
                reason=reason,
                numbers=numbers,
            )
        assert scene.journal.flush()
        view = JournalView(tmp_path, lambda: scene.ns)
        lines = [line for line in shown(view)[1] if "reason" in line or "exposure" in line]
        assert sorted(lines) == ["reason book_stale ended: lasted_secs 31", "reason margin_ratio"]
        view.close()


def supervised(state: Path, scene: WrittenJournal, *deeds: str, hand: Hand | None = None) -> None:
    """A real supervisor with nodes in miniature, whose diary is in the scene's time."""
    diary = SupervisorDiary(state / "supervisor", ABOUT, now_ns=lambda: scene.ns)
    assert diary.open(77) == ()
    nodes = Scene(state, deeds, hand=hand or Hand(), now_ns=lambda: scene.ns)
    nodes.supervisor._diary = diary
    nodes.supervisor.run(cancels_first=False)
    assert diary.close()


def test_starts_crashes_direct_cancels_and_giving_up_of_a_supervisor_are_shown(tmp_path: Path) -> None:
    with written(tmp_path / "monitor", mode="testnet") as scene:
        view = JournalView(tmp_path, lambda: scene.ns)
        assert "supervisor" not in json.dumps(shown(view))
        swept = Swept(words="3 own orders were resting, 0 rest")
        supervised(tmp_path, scene, "1", hand=Hand(script=[swept]))
        head, happened, alerts = shown(view)
        said = [line for line in happened if line.startswith("supervisor: ")]
        assert "supervisor: begins as process 77" in said
        assert sum(line.endswith(" started") for line in said) == 5
        assert sum("ended: exit code 1" in line for line in said) >= 5
        assert any(
            "the node crashed: exit code 1; 3 own orders were resting, 0 rest (" in line for line in said
        )
        assert sum("the node starts again in" in line for line in said) == 4
        assert any("crash 5 within 60 min" in line and "it is not started again" in line for line in said)
        assert "The supervisor starts no node any more: crash 5 within 60 min" in head
        assert any("ACT NOW: the node is given up" in line for line in alerts)
        assert any("the node crashed and is started again" in line for line in alerts)
        # a person starts it again: nobody is given up any more
        scene.ns += NS
        supervised(tmp_path, scene, "0")
        head, happened, _ = shown(view)
        assert "no node any more" not in head
        assert "ended: exit code 0" in happened[0] + happened[1] + happened[2]
        view.close()


def test_the_diary_of_a_local_run_is_that_of_its_own_time(tmp_path: Path) -> None:
    run, state = tmp_path / "run", tmp_path / "state"
    diary = SupervisorDiary(state / "supervisor", ABOUT, now_ns=lambda: times.pop(0) if times else T0)
    times: list[int] = []
    assert diary.open(77) == ()
    for at, text in ((T0 - 3_600 * NS, "an earlier run"), (T0 - 5 * NS, "node 5 started")):
        times[:] = [at]
        diary.event("supervisor_start", text)
    assert diary.close()
    with written(run / "monitor") as scene:
        view = JournalView(run, lambda: scene.ns, state_folder=state)
        _, happened, _ = shown(view)
        assert "supervisor: node 5 started" in happened
        assert "earlier" not in str(happened)
        view.close()
        # the supervisor's own journal is no other one's
        view = JournalView(state / "supervisor", lambda: scene.ns)
        assert sum("node 5 started" in line for line in shown(view)[1]) == 1
        view.close()


def test_a_supervisors_journal_that_cannot_be_read_is_said_and_hides_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "supervisor").mkdir()
    (tmp_path / "supervisor" / NAME).write_bytes(b"not SQLite at all, only long enough to be looked at" * 20)
    with written(tmp_path / "monitor", minutes=1) as scene:
        view = JournalView(tmp_path, lambda: scene.ns)
        head, happened, _ = shown(view)
        assert "RUNNING" in head
        assert any("the supervisor's journal cannot be read" in line for line in happened)
        view.close()


def test_a_diary_is_never_written_by_the_page(tmp_path: Path) -> None:
    with written(tmp_path / "monitor", minutes=1) as scene:
        supervised(tmp_path, scene, "0")
        path = tmp_path / "supervisor" / NAME
        before = path.read_bytes()
        view = JournalView(tmp_path, lambda: scene.ns)
        shown(view)
        view.close()
        assert path.read_bytes() == before
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            assert connection.execute("SELECT count(*) FROM event").fetchone()[0] > 0
        connection.close()
