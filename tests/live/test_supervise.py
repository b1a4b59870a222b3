"""``amm500 supervise`` as its user runs it: nodes of mode testnet at a loopback venue, killed, stopped and blocked in earnest."""

import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import closing
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.monitor.heartbeat import last_beat
from amm500_nautilus.runtime.cli import main as amm500
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.load import apply_overrides
from amm500_nautilus.runtime.load import read_yaml
from amm500_nautilus.runtime.node.confirm import VARIABLE as CONFIRM_VARIABLE
from amm500_nautilus.runtime.node.confirm import confirmation
from amm500_nautilus.runtime.node.lock import FOLDER_VARIABLE
from amm500_nautilus.runtime.node.monitoring import config_hash
from amm500_nautilus.runtime.node.paper import candidates
from amm500_nautilus.runtime.operate.direct_access import accesses_of
from amm500_nautilus.runtime.operate.supervise import _scrub
from amm500_nautilus.runtime.operate.supervise import _snapshot
from tests.adapter.test_secret_canary import SECRET
from tests.live.exec_session import Trading
from tests.live.venue_scene import CONFIGS
from tests.live.venue_scene import KEY_VARIABLE
from tests.live.venue_scene import USER
from tests.live.venue_scene import Running
from tests.live.venue_scene import environment
from tests.live.venue_scene import keystore
from tests.live.venue_scene import running
from tests.live.venue_scene import secrets_in
from tests.live.venue_scene import settings
from tests.live.venue_scene import venue_with
from tests.monitor.receivers import Webhook


pytestmark = [
    pytest.mark.live_node,
    pytest.mark.timeout(1_200),
    pytest.mark.skipif(sys.platform != "linux", reason="arguments and environments are read from /proc"),
]
AMM500 = [sys.executable, "-c", "from amm500_nautilus.runtime.cli import main; raise SystemExit(main())"]
# the node's loop blocks on SIGUSR1, and the node cannot be imported while the file is there; nothing of the product knows of it
HOOK = """
import os, signal, sys, time
if "AMM500_SUPERVISED" in os.environ:
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(60))
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "amm500_nautilus.runtime.live" and os.path.exists({broken!r}):
                raise ImportError("broken by a test")
    sys.meta_path.insert(0, Broken())
"""
QUOTES = 4
# two processes one after the other import the engine and look at the venue; a passing test waits a tenth of it
START_S = 180.0
TEN_S = 10.0


@dataclass
class Watch:
    """A venue, an account, and a folder in which supervisors of it run."""

    folder: Path
    venue: Any
    trading: Trading
    more: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def parts(self, *more: str, name: str = "", command: str = "supervise") -> list[str]:
        """The arguments of a supervisor."""
        place = self.folder / name if name else self.folder
        sets = [part for each in settings(self.venue.url, place, *more) for part in ("--set", each)]
        return [command, str(CONFIGS["testnet"]), *sets]

    def env(self) -> dict[str, str]:
        hook = self.folder / "hook"
        hook.mkdir(exist_ok=True)
        (hook / "sitecustomize.py").write_text(HOOK.format(broken=str(self.folder / "broken")))
        env = environment(self.folder, **{KEY_VARIABLE: SECRET.hex()}, **self.more)
        return env | {"PYTHONPATH": os.pathsep.join((str(hook), env["PYTHONPATH"]))}

    @contextmanager
    def supervised(self, *more: str) -> Iterator[Running]:
        """A supervisor; it and its node are gone when the test is."""
        quick = ("supervise.pause_secs=0.1", *more)
        with self.kept(Running([*AMM500, *self.parts(*quick), "--quiet"], self.env(), self.folder)) as run:
            yield run

    @contextmanager
    def kept(self, run: Running) -> Iterator[Running]:
        """A supervisor that runs; it and its node are gone when the test is."""
        try:
            yield run
        finally:
            run.process.kill()
            run.process.wait()
            beat = last_beat(self.state / "monitor")
            if beat is not None:
                with suppress(ProcessLookupError):
                    os.kill(beat.pid, signal.SIGKILL)
                _until(
                    lambda: not Path(f"/proc/{beat.pid}").exists() or _is_dead(beat.pid), "the node is gone"
                )

    def node(self) -> int:
        """The node that runs."""
        beat = last_beat(self.state / "monitor")
        assert beat is not None
        return beat.pid

    def quoting(self, run: Running, *, after: int = 0) -> int:
        """Wait until a node, another than ``after``, quotes; return its number."""
        wait_for(
            run,
            lambda: (
                (beat := last_beat(self.state / "monitor")) is not None
                and beat.pid != after
                and beat.state == "RUNNING"
                and len(self.trading.open_orders()) >= QUOTES
            ),
            "it quotes",
        )
        return self.node()

    def fill(self, run: Running) -> None:
        """Let the quiet market move into the node's quotes."""
        self.trading.move(Decimal("689.7"))
        wait_for(run, self.trading.position, "a fill")

    def gone(self, what: str) -> float:
        """Wait until nothing rests; return the seconds it took."""
        began = time.monotonic()
        _until(lambda: not self.trading.open_orders(), what)
        return time.monotonic() - began

    def rows(self, sql: str, folder: str = "supervisor") -> list[tuple[Any, ...]]:
        """What a journal holds."""
        place = self.state / folder / "journal.sqlite"
        with closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as journal:
            return journal.execute(sql).fetchall()

    def agrees(self, run: Running) -> dict[str, Any]:
        """Wait until the node's books are the venue's, and return what it says of itself."""
        return dict(
            wait_for(
                run,
                lambda: (
                    status
                    if (status := run.ask("status")).get("position") == float(self.trading.position())
                    and abs(status["equity"] - float(self.trading.state()["marginSummary"]["accountValue"]))
                    < 0.5
                    else None
                ),
                "the books agree",
            )
        )


def wait_for(run: Running, condition: Any, what: str) -> Any:
    """Wait for a condition while a supervisor runs."""
    deadline = time.monotonic() + START_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"never: {what}"
        assert run.process.poll() is None, run.errors
        time.sleep(0.05)
    return found


def stop(run: Running) -> int:
    """Tell a supervisor to stop and return its exit code."""
    run.process.send_signal(signal.SIGTERM)
    return run.process.wait(START_S)


def _until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def _is_dead(pid: int) -> bool:
    # an orphan's parent is whoever reaps here; a zombie is dead
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


@contextmanager
def watch(folder: Path, **flow: Any) -> Iterator[Watch]:
    with venue_with(**({"flow": "simulated", "seed": 7} | flow)) as venue:
        yield Watch(folder, venue, Trading(venue, USER))


def test_a_node_that_is_killed_is_canceled_for_within_ten_seconds_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with watch(tmp_path, flow="quiet") as scene, scene.supervised() as run:
        first = scene.quoting(run)
        scene.fill(run)
        shown = {f"supervisor {name}": content for name, content in run.shown().items()}
        for name in ("cmdline", "environ"):
            shown[f"node {name}"] = Path(f"/proc/{first}/{name}").read_bytes()
        # another supervisor of this account, with a state folder of its own
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "locks"))
        monkeypatch.setenv(KEY_VARIABLE, SECRET.hex())
        assert amm500(scene.parts(name="beside")) == 2
        assert "another supervisor is there" in capsys.readouterr().err
        os.kill(first, signal.SIGKILL)
        assert scene.gone("canceled directly") < TEN_S
        second = scene.quoting(run, after=first)
        assert second != first
        status = scene.agrees(run)
        assert status["session"] == 1
        assert stop(run) == 0, run.errors
        assert scene.trading.open_orders() == []
        outcomes = scene.rows("SELECT pid, outcome FROM run ORDER BY id")
        assert outcomes == [(first, "SIGKILL"), (second, "exit code 0")]
        assert scene.rows("SELECT DISTINCT session FROM run", "monitor") == [(1,)]
        # not one fill is missing or there twice
        booked = scene.rows("SELECT count(*) FROM fill", "monitor")[0][0]
        assert booked == len(scene.trading.fills())
    assert secrets_in(tmp_path, shown) == {}


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGSTOP])
def test_a_node_that_hangs_is_killed_canceled_for_and_started_again(tmp_path: Path, number: int) -> None:
    """SIGUSR1 blocks the loop for a minute, SIGSTOP the whole process."""
    with watch(tmp_path) as scene, scene.supervised() as run:
        first = scene.quoting(run)
        began = time.monotonic()
        os.kill(first, number)
        scene.gone("canceled directly")
        assert time.monotonic() - began < TEN_S + 2 * TEN_S
        scene.quoting(run, after=first)
        scene.agrees(run)
        assert stop(run) == 0, run.errors
        assert scene.trading.open_orders() == []
        assert scene.rows("SELECT outcome FROM run ORDER BY id")[0] == ("it hung and was killed",)
    if number == signal.SIGUSR1:
        # where it hung
        assert "sitecustomize.py" in run.errors


@pytest.mark.soak
def test_a_node_whose_supervisor_is_killed_ends_in_good_order_and_the_next_supervisor_waits_for_it(
    tmp_path: Path,
) -> None:
    with watch(tmp_path) as scene:
        with scene.supervised() as run:
            node = scene.quoting(run)
            run.process.kill()
            run.process.wait()
            with scene.supervised() as after:
                scene.quoting(after, after=node)
                assert _is_dead(node)
                scene.agrees(after)
                assert stop(after) == 0, after.errors
                said = after.logs[0].read_text()
        assert scene.trading.open_orders() == []
        assert f"node {node} outlived its supervisor" in said or "did not end in good order" in said
        assert scene.rows("SELECT outcome FROM run ORDER BY id", "monitor")[0] == ("stopped",)


@pytest.mark.soak
def test_after_both_were_killed_the_next_start_cancels_first_and_a_halt_is_still_one(tmp_path: Path) -> None:
    with watch(tmp_path, flow="quiet") as scene:
        with scene.supervised() as run:
            node = scene.quoting(run)
            scene.fill(run)
            os.kill(node, signal.SIGSTOP)
            run.process.kill()
            run.process.wait()
            os.kill(node, signal.SIGKILL)
            _until(lambda: _is_dead(node), "the node is dead")
            resting = len(scene.trading.open_orders())
            assert resting >= QUOTES
        with scene.supervised() as run:
            after = scene.quoting(run, after=node)
            said = run.logs[0].read_text()
            assert said.index("did not end in good order") < said.index(f"node {after} started")
            assert f"{resting} own orders were resting, 0 rest" in said
            scene.agrees(run)
            assert run.ask("flatten")["state"] == "HALTED"
            wait_for(run, lambda: not scene.trading.open_orders() and not scene.trading.position(), "flat")
            # the journal says so a fraction of a second later
            _until(lambda: ("HALTED",) in scene.rows("SELECT state FROM state", "monitor"), "it is journaled")
            # both again, in a halt
            os.kill(after, signal.SIGSTOP)
            run.process.kill()
            run.process.wait()
            os.kill(after, signal.SIGKILL)
            _until(lambda: _is_dead(after), "the node is dead")
        with scene.supervised() as run:
            wait_for(run, lambda: run.ask("status").get("state") == "HALTED", "still halted")
            assert not scene.trading.open_orders()
            assert stop(run) == 3, run.errors


@pytest.mark.soak
@pytest.mark.parametrize("on_give_up", ["hold", "flatten"])
def test_a_node_that_cannot_be_imported_any_more_is_given_up_after_five_crashes(
    tmp_path: Path, on_give_up: str
) -> None:
    with ExitStack() as stack:
        hook = stack.enter_context(Webhook())
        scene = stack.enter_context(watch(tmp_path, flow="quiet"))
        scene.more["AMM500_ALERT_URLS"] = f"json://127.0.0.1:{hook.port}"
        run = stack.enter_context(scene.supervised(f"supervise.on_give_up={on_give_up}"))
        first = scene.quoting(run)
        scene.fill(run)
        (tmp_path / "broken").touch()
        os.kill(first, signal.SIGKILL)
        assert run.process.wait(4 * START_S) == 1, run.errors
        assert scene.trading.open_orders() == []
        outcomes = [row[0] for row in scene.rows("SELECT outcome FROM run ORDER BY id")]
        assert outcomes == ["SIGKILL"] + ["exit code 1"] * 4
        kinds = [row[0] for row in scene.rows("SELECT kind FROM alert ORDER BY id")]
        assert kinds[0] == "supervisor_restart"
        assert kinds[-1] == "supervisor_give_up"
        # a person was told once of each kind, in words that say what to expect
        told = [post for post in hook.posts if "the node" in post["title"]]
        titles = [post["title"].partition(": ")[2] for post in told]
        assert titles == ["notice: the node crashed and is started again", "ACT NOW: the node is given up"]
        assert ("the position is held" if on_give_up == "hold" else "the position is 0") in told[-1][
            "message"
        ]
        position = scene.trading.position()
        assert (position == 0) is (on_give_up == "flatten")
        # mended by a person, it goes on where it was: the trades of the direct close are its own
        (tmp_path / "broken").unlink()
        with scene.supervised() as mended:
            scene.quoting(mended, after=first)
            status = scene.agrees(mended)
            assert (status["session"], status["reasons"]) == (1, [])
            assert stop(mended) == 0, mended.errors


@pytest.mark.soak
def test_while_the_venue_is_away_no_node_is_started_and_afterwards_its_orders_go_first(
    tmp_path: Path,
) -> None:
    with watch(tmp_path) as scene, scene.supervised() as run:
        first = scene.quoting(run)
        scene.venue.faults.set("unavailable", times=-1)
        os.kill(first, signal.SIGKILL)
        wait_for(
            run,
            lambda: len(scene.rows("SELECT 1 FROM event WHERE kind = 'supervisor_cancel'")) >= 3,
            "it tries again",
        )
        assert scene.rows("SELECT count(*) FROM run") == [(1,)]
        assert len(scene.trading.open_orders()) >= QUOTES
        scene.venue.faults.clear()
        scene.quoting(run, after=first)
        assert stop(run) == 0, run.errors
        assert scene.trading.open_orders() == []


@pytest.mark.soak
def test_a_live_node_is_started_again_with_the_one_confirmation_and_the_one_passphrase(
    tmp_path: Path,
) -> None:
    path, descriptor = keystore(tmp_path)
    more = (
        f"live.signer.path={path}",
        "live.signer.unlock_by=descriptor",
        f"live.signer.descriptor={descriptor}",
        "live.duration=1h",
    )
    with watch(tmp_path) as scene:
        sets = settings(scene.venue.url, tmp_path, *more)
        said = confirmation(USER, config_hash(load_config(CONFIGS["live"], sets)))
        env = scene.env()
        del env[KEY_VARIABLE]
        parts = [
            *AMM500,
            "supervise",
            str(CONFIGS["live"]),
            "--override-paper-gate",
            "a rehearsal",
            "--quiet",
        ]
        parts += [part for each in sets for part in ("--set", each)]
        # confirmed for something else, and not at all
        for wrong in ({CONFIRM_VARIABLE: f"{said[:-1]}x"}, {}):
            with running(parts, env | wrong, tmp_path, descriptors=(descriptor,)) as run:
                assert run.process.wait(START_S) == 2
                assert "confirm" in run.errors
        with scene.kept(
            Running(parts, env | {CONFIRM_VARIABLE: said}, tmp_path, descriptors=(descriptor,))
        ) as run:
            os.close(descriptor)
            first = scene.quoting(run)
            shown = {f"supervisor {name}": content for name, content in run.shown().items()}
            os.kill(first, signal.SIGKILL)
            assert scene.gone("canceled directly") < TEN_S
            second = scene.quoting(run, after=first)
            shown["node"] = Path(f"/proc/{second}/environ").read_bytes()
            events = scene.rows("SELECT text FROM event WHERE kind = 'watched'", "monitor")
            assert events == [(f"supervised by process {run.process.pid}",)] * 2
            assert stop(run) == 0, run.errors
            assert scene.trading.open_orders() == []
    assert secrets_in(tmp_path, shown, apart=(path,)) == {}


def test_the_direct_commands_act_by_the_run_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with watch(tmp_path, flow="quiet") as scene:

        def said(command: str, *more: str) -> tuple[int, dict[str, Any]]:
            monkeypatch.setenv(KEY_VARIABLE, SECRET.hex())
            code = amm500([*scene.parts(command=command), "--direct", "--json", *more])
            out = capsys.readouterr().out
            return code, json.loads(out) if out else {}

        wire = {"a": 150_000, "b": True, "s": "0.1", "r": False, "t": {"limit": {"tif": "Ioc"}}}
        scene.trading.submit({"type": "order", "orders": [wire | {"p": "720"}], "grouping": "na"})
        rest = wire | {"p": "600", "t": {"limit": {"tif": "Gtc"}}, "c": "0x" + "ab" * 16}
        scene.trading.submit({"type": "order", "orders": [rest], "grouping": "na"})
        code, answer = said("status")
        assert (code, answer["positions"], answer["foreign"]) == (0, {"km:US500": "0.1"}, 1)
        # without the file of order ids nothing tells whose it is
        code, answer = said("cancel")
        assert (code, answer["ok"]) == (1, False)
        assert "--all" in answer["said"]
        assert len(scene.trading.open_orders()) == 1
        code, answer = said("flatten", "--all")
        assert (code, answer["position"]) == (0, "0")
        assert scene.trading.open_orders() == []
        assert scene.trading.position() == 0
        scene.venue.faults.set("unavailable", times=-1)
        code, answer = said("cancel")
        assert (code, answer) == (4, {})


def test_what_a_supervisor_does_not_take_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "locks"))
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    root = CONFIGS["testnet"].parent
    user = ["--set", f"live.user='{USER}'", "--set", "live.url=http://127.0.0.1:9"]

    def refused(*parts: str) -> tuple[int, str]:
        return amm500(list(parts)), capsys.readouterr().err

    for parts, code, words in (
        (["supervise", str(root / "us500_30d.yaml")], 2, "backtest"),
        (["supervise", str(root / "testnet.yaml"), *user], 2, f"{KEY_VARIABLE} is not set"),
        (
            ["supervise", str(root / "testnet.yaml"), *user, "--set", "supervise.silence_secs=0"],
            2,
            "supervise.silence_secs",
        ),
        (
            [
                "supervise",
                str(root / "testnet.yaml"),
                *user,
                "--set",
                "live.signer={source: keystore, path: a.json}",
            ],
            2,
            "nobody is asked",
        ),
        (["cancel", str(root / "testnet.yaml")], 2, "--direct"),
        (["cancel", str(tmp_path / "none.yaml"), "--direct"], 2, "no such file"),
    ):
        got, err = refused(*parts)
        assert (got, words in err) == (code, True), (parts, got, err)
    assert amm500(["cancel", str(root / "local.yaml"), "--direct"]) == 0
    assert "no order outlives its node" in capsys.readouterr().out
    # a venue that is away before the first start, and nothing of ours can rest there
    monkeypatch.setenv(KEY_VARIABLE, SECRET.hex())
    began = time.monotonic()
    got, err = refused("supervise", str(root / "testnet.yaml"), *user)
    assert got == 4, err
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("name", ["local", "paper", "testnet", "live.example"])
def test_a_node_starts_from_a_copy_that_says_what_the_run_file_says(tmp_path: Path, name: str) -> None:
    path = CONFIGS["testnet"].parent / f"{name}.yaml"
    sets = [f"live.state_dir={tmp_path}", "live.duration=3h", "account.leverage=4"]
    config = load_config(path, sets)
    copy = _snapshot(config, apply_overrides(read_yaml(path), sets), tmp_path / "supervisor")
    again = load_config(copy)
    assert config_hash(again) == config_hash(config)
    # what a file leaves out decides which market is taken
    assert candidates(again) == candidates(config)
    assert copy.stat().st_mode & 0o777 == 0o600


def test_each_process_keeps_the_one_key_that_it_signs_with(monkeypatch: pytest.MonkeyPatch) -> None:
    second = "supervise.direct_signer={source: environment, variable: SECOND}"
    for sets, here, there in (
        ([second], {"SECOND": "b"}, {"FIRST": "a"}),
        ([], {"SECOND": "b"}, {"FIRST": "a", "SECOND": "b"}),
    ):
        config = load_config(
            CONFIGS["testnet"],
            [f"live.user='{USER}'", "live.signer={source: environment, variable: FIRST}", *sets],
        )
        monkeypatch.setenv("FIRST", "a")
        monkeypatch.setenv("SECOND", "b")
        env = dict(os.environ)
        _scrub(config, env)
        assert {name: os.environ[name] for name in ("FIRST", "SECOND") if name in os.environ} == here
        assert {name: env[name] for name in ("FIRST", "SECOND") if name in env} == there


def test_every_dex_on_which_a_node_has_had_orders_is_looked_after(tmp_path: Path) -> None:
    config = load_config(
        CONFIGS["testnet"],
        [
            f"live.user='{USER}'",
            f"live.state_dir={tmp_path}",
            "market.candidates=[km:US500, xyz:SP500, xyz:XYZ100]",
        ],
    )
    # before the first order: the dex of the first candidate, and with --all every one
    assert [access.dex for access in accesses_of(config)] == ["km"]
    assert [access.dex for access in accesses_of(config, takes_all=True)] == ["km", "xyz"]
    (tmp_path / "execution").mkdir()
    (tmp_path / "execution" / f"orders-{USER}-xyz").touch()
    (access,) = accesses_of(config)
    assert (access.dex, access.coins) == ("xyz", ("xyz:SP500", "xyz:XYZ100"))
