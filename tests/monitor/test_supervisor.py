"""A supervisor and its nodes in miniature: who is started again, who is not, and what is seen to before."""

import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from pathlib import Path

import pytest

from amm500_nautilus.monitor import journal as journal_module
from amm500_nautilus.monitor import supervisor_child
from amm500_nautilus.monitor.errors import AlreadyRunningError
from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.monitor.supervisor import RescueError
from amm500_nautilus.monitor.supervisor import SuperviseSettings
from amm500_nautilus.monitor.supervisor import Supervisor
from amm500_nautilus.monitor.supervisor import Swept
from amm500_nautilus.monitor.supervisor import UnseenError
from amm500_nautilus.monitor.supervisor_child import Child
from amm500_nautilus.monitor.supervisor_child import Command
from amm500_nautilus.monitor.supervisor_child import exit_words
from amm500_nautilus.monitor.supervisor_diary import Supervised
from amm500_nautilus.monitor.supervisor_diary import SupervisorDiary
from amm500_nautilus.monitor.supervisor_lock import PidLock
from amm500_nautilus.monitor.supervisor_lock import holder_of


ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "tests" / "monitor" / "supervised_child.py"
QUICK = SuperviseSettings(
    silence_secs=2.0,
    start_secs=20.0,
    end_secs=20.0,
    stop_secs=20.0,
    pause_secs=0.01,
    max_pause_secs=0.05,
    check_secs=0.3,
    poll_secs=0.01,
)
SOON = 30.0


@dataclass
class Hand:
    """A rescue that does what a test scripts: an error to raise, or what it finds; by default nothing rests."""

    script: list[Swept | Exception] = field(default_factory=list)
    outlives: bool = True
    position: Decimal = Decimal(0)
    calls: list[str] = field(default_factory=list)

    def cancel(self) -> Swept:
        self.calls.append("cancel")
        found = self.script.pop(0) if self.script else Swept(words="no own order rests")
        if isinstance(found, Exception):
            raise found
        return found

    def flatten(self) -> Swept:
        self.calls.append("flatten")
        return Swept(position=self.position, words=f"position {self.position}")


@dataclass
class Notes:
    """A diary in memory."""

    events: list[tuple[str, str]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    crashes: list[int] = field(default_factory=list)

    @property
    def crashes_ns(self) -> tuple[int, ...]:
        return tuple(self.crashes)

    def event(self, kind: str, text: str) -> None:
        self.events.append((kind, text))

    def started(self, pid: int) -> None:
        self.pids.append(pid)

    def ended(self, words: str) -> None:
        self.ends.append(words)

    def crashed(self, ts_ns: int) -> None:
        self.crashes.append(ts_ns)

    def alert(self, kind: str, title: str, body: str) -> None:
        self.alerts.append(kind)

    def said(self, kind: str) -> list[str]:
        return [text for name, text in self.events if name == f"supervisor_{kind}"]


@dataclass
class Scene:
    """One supervisor, its hand and notes, and the deeds of its nodes one after the other; the last deed is repeated."""

    folder: Path
    deeds: Sequence[str]
    hand: Hand = field(default_factory=Hand)
    notes: Notes = field(default_factory=Notes)
    settings: SuperviseSettings = QUICK
    now_ns: Callable[[], int] = time.time_ns
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(
            self.settings, self.command, self.hand, self.notes, self.lines.append, self.now_ns
        )

    def command(self, number: int) -> Command:
        deed = self.deeds[min(number, len(self.deeds)) - 1]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        return Command([sys.executable, "-S", str(NODE), str(self.folder), deed], env, self.folder)

    def run(self, *, cancels_first: bool = False) -> int:
        try:
            return self.supervisor.run(cancels_first=cancels_first)
        finally:
            assert self.supervisor.child_pid is None
            for pid in self.notes.pids:
                with pytest.raises(ProcessLookupError):
                    os.kill(pid, 0)

    def when_it_lives(self, act: Callable[[int], None]) -> threading.Thread:
        """Do something to the node that lives first, from another thread."""

        def wait() -> None:
            deadline = time.monotonic() + SOON
            while time.monotonic() < deadline:
                for path in self.folder.glob("lived-*"):
                    act(int(path.name.partition("-")[2]))
                    return
                time.sleep(0.01)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        return thread


@pytest.mark.parametrize("code", [0, 2, 3])
def test_a_node_that_ends_by_itself_ends_its_supervisor_with_its_code(tmp_path: Path, code: int) -> None:
    scene = Scene(tmp_path, [str(code)])
    assert scene.run() == code
    assert len(scene.notes.pids) == 1
    # seen with its own eyes, not taken from the exit code
    assert scene.hand.calls == ["cancel"]
    assert scene.notes.crashes == []


@pytest.mark.parametrize(("deed", "looks"), [("refused", 0), ("opened", 1), ("4", 1)])
def test_a_venue_that_is_away_at_the_first_start_ends_it(tmp_path: Path, deed: str, looks: int) -> None:
    scene = Scene(tmp_path, [deed, "0"])
    assert scene.run() == 4
    assert len(scene.notes.pids) == 1
    assert len(scene.hand.calls) == looks
    assert scene.supervisor.is_clear


def test_a_node_that_had_begun_to_come_up_is_looked_after_for_a_while_and_not_for_ever(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path, ["opened"], hand=Hand(script=[UnseenError("away")] * 1_000))
    assert scene.run() == 4
    assert not scene.supervisor.is_clear
    assert len(scene.hand.calls) < 100


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("1", "exit code 1"),
        ("killed", "SIGKILL"),
        ("block", "it hung and was killed"),
        ("freeze", "it hung and was killed"),
        ("import", "exit code 1"),
    ],
)
def test_a_crash_is_canceled_for_and_started_again(tmp_path: Path, deed: str, words: str) -> None:
    scene = Scene(tmp_path, [deed, "0"])
    assert scene.run() == 0
    assert scene.notes.ends == [words, "exit code 0"]
    assert scene.hand.calls == ["cancel", "cancel"]
    assert scene.notes.alerts == ["supervisor_restart"]
    # canceled before it is started again
    kinds = [kind for kind, _ in scene.notes.events]
    assert kinds.index("supervisor_cancel") < [n for n, k in enumerate(kinds) if k == "supervisor_start"][1]


def test_a_node_that_hangs_says_where(tmp_path: Path) -> None:
    """The signal that asks is sent before the one that ends."""
    child = Child(Command([sys.executable, "-S", str(NODE), str(tmp_path), "run"], _env(), tmp_path))
    try:
        _until(lambda: child.poll() is None and child.state == "RUNNING")
        assert child.kill(asks_where=True) == -signal.SIGKILL
    finally:
        child.kill()
        child.close()
    assert (tmp_path / "heard").exists()


@pytest.mark.parametrize("deed", ["mute", "opening"])
def test_a_node_that_never_comes_up_is_killed_after_the_time_it_has_for_that(
    tmp_path: Path, deed: str
) -> None:
    settings = SuperviseSettings(**(_plain(QUICK) | {"start_secs": 1.5}))
    scene = Scene(tmp_path, [deed, "0"], settings=settings)
    assert scene.run() == 0
    assert scene.notes.ends[0] == "it hung and was killed"


def test_a_report_may_take_longer_than_a_loop_may_be_silent(tmp_path: Path) -> None:
    settings = SuperviseSettings(**(_plain(QUICK) | {"silence_secs": 1.5}))
    scene = Scene(tmp_path, ["report"], settings=settings)
    assert scene.run() == 0
    assert scene.notes.crashes == []


def test_five_crashes_within_an_hour_end_it_and_the_orders_are_seen_gone(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["import"])
    assert scene.run() == 1
    assert len(scene.notes.pids) == 5
    assert scene.hand.calls == ["cancel"] * 5
    assert scene.notes.alerts == ["supervisor_restart"] * 4 + ["supervisor_give_up"]
    (text,) = scene.notes.said("give_up")
    assert "crash 5 within 60 min" in text
    assert "the position is held" in text


@pytest.mark.parametrize(("left", "code"), [("0", 1), ("0.3", 4)])
def test_a_node_that_is_given_up_is_flattened_where_the_run_file_says_so(
    tmp_path: Path, left: str, code: int
) -> None:
    settings = SuperviseSettings(**(_plain(QUICK) | {"on_give_up": "flatten", "crashes": 1}))
    scene = Scene(tmp_path, ["import"], settings=settings, hand=Hand(position=Decimal(left)))
    # a position that is left is as bad as one that is not known
    assert scene.run() == code
    assert scene.hand.calls == ["cancel", "flatten"]
    assert f"position {left}" in scene.notes.said("give_up")[0]


def test_crashes_of_more_than_an_hour_ago_do_not_count(tmp_path: Path) -> None:
    hour = 3_600 * 10**9
    scene = Scene(tmp_path, ["import", "import", "0"], now_ns=lambda: 100 * hour)
    scene.notes.crashes += [99 * hour - 1] * 4 + [99 * hour + 1] * 2
    assert scene.run() == 0
    assert [text.partition(" of")[0] for text in scene.notes.said("restart")] == ["crash 3", "crash 4"]


def test_a_venue_that_is_away_at_a_restart_is_a_crash_and_not_the_end(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["killed", "4", "0"])
    assert scene.run() == 0
    assert scene.notes.ends == ["SIGKILL", "exit code 4", "exit code 0"]
    away = Scene(tmp_path, ["killed", "4"])
    assert away.run() == 4
    assert len(away.notes.crashes) == 5


def test_bad_configuration_at_a_restart_gives_it_up(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["killed", "2"])
    assert scene.run() == 2
    assert scene.notes.alerts == ["supervisor_restart", "supervisor_give_up"]
    assert scene.hand.calls == ["cancel", "cancel"]


def test_no_node_is_started_while_orders_cannot_be_seen(tmp_path: Path) -> None:
    away = UnseenError("no connection")
    scene = Scene(tmp_path, ["killed", "0"], hand=Hand(script=[away, away, away]))
    assert scene.run() == 0
    assert scene.hand.calls == ["cancel"] * 5
    starts = [n for n, (kind, _) in enumerate(scene.notes.events) if kind == "supervisor_start"]
    tries = [n for n, (kind, _) in enumerate(scene.notes.events) if kind == "supervisor_cancel"]
    assert len([n for n in tries if starts[0] < n < starts[1]]) == 4
    assert scene.notes.alerts == ["supervisor_cancel", "supervisor_restart"]


def test_orders_that_the_venue_does_not_cancel_are_tried_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["killed", "0"], hand=Hand(script=[Swept(found=2, left=2, words="2 rest")]))
    assert scene.run() == 0
    assert len(scene.hand.calls) == 3


def test_a_key_that_is_refused_alerts_and_leaves_the_orders_to_the_next_node(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["killed", "0"], hand=Hand(script=[RescueError("the venue refuses the key")]))
    assert scene.run() == 0
    assert scene.notes.alerts == ["supervisor_cancel", "supervisor_restart"]


def test_a_clean_end_whose_orders_cannot_be_seen_is_no_clean_end(tmp_path: Path) -> None:
    refused = Scene(tmp_path, ["0"], hand=Hand(script=[RescueError("refused")]))
    assert refused.run() == 4
    assert refused.notes.alerts == ["supervisor_cancel"]


def test_told_to_stop_it_asks_a_venue_that_is_away_a_little_longer_and_then_says_so(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["run"], hand=Hand(script=[UnseenError("away")] * 10_000))
    thread = scene.when_it_lives(lambda _: scene.supervisor.tell_to_stop())
    assert scene.run() == 4
    thread.join()
    assert scene.notes.alerts == ["supervisor_cancel"]
    assert "not known to be clear" in scene.notes.said("cancel")[-1]


def test_a_node_that_is_stopped_before_it_has_come_up_has_done_no_harm(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["mute"])
    threading.Timer(0.3, scene.supervisor.tell_to_stop).start()
    assert scene.run() == 0
    assert scene.notes.ends == ["SIGTERM"]


def test_told_to_stop_it_lets_the_node_end_in_good_order(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["run"])
    thread = scene.when_it_lives(lambda _: scene.supervisor.tell_to_stop())
    assert scene.run() == 0
    thread.join()
    assert (tmp_path / "stopped").exists()
    assert scene.notes.ends == ["exit code 0"]
    assert scene.hand.calls == ["cancel"]


def test_a_node_that_does_not_stop_is_killed_and_canceled_for(tmp_path: Path) -> None:
    settings = SuperviseSettings(**(_plain(QUICK) | {"stop_secs": 0.5}))
    scene = Scene(tmp_path, ["stubborn"], settings=settings)
    thread = scene.when_it_lives(lambda _: scene.supervisor.tell_to_stop())
    assert scene.run() == 1
    thread.join()
    assert scene.hand.calls == ["cancel"]


def test_told_twice_it_does_not_wait(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["stubborn"])

    def twice(_: int) -> None:
        scene.supervisor.tell_to_stop()
        time.sleep(0.2)
        scene.supervisor.tell_to_stop()

    thread = scene.when_it_lives(twice)
    began = time.monotonic()
    assert scene.run() == 1
    thread.join()
    assert time.monotonic() - began < QUICK.stop_secs
    assert scene.hand.calls == ["cancel"]


def test_what_an_earlier_node_left_is_canceled_before_the_first_start(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["0"])
    assert scene.run(cancels_first=True) == 0
    assert [kind for kind, _ in scene.notes.events][:2] == ["supervisor_cancel", "supervisor_start"]


def test_a_simulated_account_has_nothing_to_cancel(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ["killed", "0"], hand=Hand(outlives=False))
    assert scene.run() == 0
    assert scene.hand.calls == []


def test_the_sign_of_life_of_another_process_is_none(tmp_path: Path) -> None:
    (tmp_path / "heartbeat").write_text(f"{os.getpid()} {time.time_ns()} RUNNING\n")
    child = Child(Command([sys.executable, "-S", str(NODE), str(tmp_path), "run"], _env(), tmp_path))
    try:
        assert child.poll() is None
        assert child.state == ""
    finally:
        child.kill()
        child.close()


def test_half_a_line_is_no_sign_of_life_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "heartbeat").write_text("12 34x RUNNING\n")
    child = Child(Command([sys.executable, "-S", "-c", "import time; time.sleep(60)"], _env(), tmp_path))
    try:
        assert child.poll() is None
    finally:
        child.kill()
        child.close()


def test_a_supervisor_that_did_not_run_does_not_count_its_own_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop's lid, or SIGSTOP of the supervisor: the node is not to be killed for it."""
    clock = [100.0]
    monkeypatch.setattr(supervisor_child.time, "monotonic", lambda: clock[0])
    child = Child(Command([sys.executable, "-S", "-c", "import time; time.sleep(60)"], _env(), tmp_path))
    try:
        clock[0] += 3_600.0
        child.poll()
        assert child.silence_s == 1.0
        clock[0] += 0.1
        child.poll()
        assert child.silence_s == pytest.approx(1.1)
    finally:
        child.kill()
        child.close()


def test_exit_codes_are_told_in_words() -> None:
    assert [exit_words(code) for code in (0, 3, -9, -15, -250)] == [
        "exit code 0",
        "exit code 3",
        "SIGKILL",
        "SIGTERM",
        "signal 250",
    ]


# -- the lock ----------------------------------------------------------------------------------------------------------


def test_a_lock_is_had_once_and_names_its_holder(tmp_path: Path) -> None:
    lock = PidLock(tmp_path / "a" / "supervisor.lock")
    assert holder_of(lock.path) is None
    lock.take()
    try:
        assert holder_of(lock.path) == os.getpid()
        with pytest.raises(AlreadyRunningError, match=str(os.getpid())):
            PidLock(lock.path).take()
    finally:
        lock.drop()
        lock.drop()
    assert holder_of(lock.path) is None
    assert lock.path.stat().st_mode & 0o777 == 0o600


# -- the diary ---------------------------------------------------------------------------------------------------------

ABOUT = Supervised(
    name="t", mode="testnet", coin="km:US500", account="0x00", config_hash="ab", version="checkout"
)


def test_crashes_count_on_when_a_supervisor_was_killed(tmp_path: Path) -> None:
    killed = SupervisorDiary(tmp_path, ABOUT)
    assert killed.open(1) == ()
    assert killed.before.is_ended
    killed.started(77)
    killed.crashed(5)
    killed.crashed(6)
    # a kill: the journal is let go of, nothing says that it ended
    killed.journal.flush()
    killed.journal.close()
    after = SupervisorDiary(tmp_path, ABOUT)
    after.open(2)
    assert (after.before.is_ended, after.before.child, after.crashes_ns) == (False, 77, (5, 6))
    assert after.close()
    anew = SupervisorDiary(tmp_path, ABOUT)
    anew.open(3)
    assert (anew.before.is_ended, anew.crashes_ns) == (True, ())
    assert anew.close(is_ended=False)
    last = SupervisorDiary(tmp_path, ABOUT)
    last.open(4)
    assert not last.before.is_ended
    assert last.close()


def test_each_node_is_a_row_and_each_alert_too(tmp_path: Path) -> None:
    diary = SupervisorDiary(tmp_path, ABOUT)
    diary.open(1)
    diary.event("supervisor_start", "node 5 started")
    diary.started(5)
    diary.ended("SIGKILL")
    diary.alert("supervisor_give_up", "ACT NOW", "body")
    assert diary.close()
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as journal:
        assert journal.execute("SELECT pid, outcome, config_hash FROM run").fetchall() == [
            (5, "SIGKILL", "ab")
        ]
        assert journal.execute("SELECT kind, outcome FROM alert").fetchall() == [
            ("supervisor_give_up", "no channel")
        ]
        assert journal.execute("SELECT text FROM event").fetchall() == [("node 5 started",)]


def test_a_halt_is_on_disk_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes after a kill must know of it: other rows are gathered, a state is not waited with."""
    monkeypatch.setattr(journal_module, "LINGER_S", 60.0)
    journal = Journal(tmp_path)
    journal.open()
    try:
        journal.save("strategy.state", 1, b"halted")
        journal.write("state", ts_ns=1, run=1, state="HALTED", reasons="")
        _until(lambda: journal.written == 2)
    finally:
        journal.close()


def test_a_damaged_journal_is_kept_and_nothing_is_taken_to_have_ended_well(tmp_path: Path) -> None:
    diary = SupervisorDiary(tmp_path, ABOUT)
    diary.open(1)
    assert diary.close()
    path = tmp_path / "journal.sqlite"
    content = bytearray(path.read_bytes())
    content[2_000:6_000] = os.urandom(4_000)
    path.write_bytes(content)
    after = SupervisorDiary(tmp_path, ABOUT)
    (note,) = after.open(2)
    assert "damaged" in note
    assert not after.before.is_ended
    assert after.close()


def test_a_journal_that_cannot_be_used_stops_no_supervisor(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    diary = SupervisorDiary(tmp_path / "file", ABOUT)
    (note,) = diary.open(1)
    assert note.startswith("nothing is journaled")
    diary.event("supervisor_start", "x")
    diary.started(5)
    diary.crashed(1)
    diary.ended("SIGKILL")
    diary.alert("supervisor_give_up", "t", "b")
    assert diary.crashes_ns == (1,)
    assert not diary.close()


def _env() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _plain(settings: SuperviseSettings) -> dict[str, float | str]:
    return {name: getattr(settings, name) for name in settings.__slots__}
