"""``amm500 start``: what it asks, what it checks, and what it starts; the processes are the test's, the venue is not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.monitor.supervisor_lock import PidLock
from amm500_nautilus.monitor.supervisor_lock import holder_of
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.node.confirm import VARIABLE
from amm500_nautilus.runtime.node.confirm import Approval
from amm500_nautilus.runtime.node.confirm import confirmation
from amm500_nautilus.runtime.node.monitoring import config_hash
from amm500_nautilus.runtime.node.status import VenueStatus
from amm500_nautilus.runtime.operate.start import Starter
from amm500_nautilus.runtime.operate.start_checks import check_clock
from amm500_nautilus.runtime.operate.start_checks import check_disk
from amm500_nautilus.runtime.operate.start_checks import check_extras
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.test_secret_canary import SECRET
from tests.live.venue_scene import CONFIGS
from tests.live.venue_scene import KEY_VARIABLE
from tests.live.venue_scene import LIVENESS_S
from tests.live.venue_scene import PATHS
from tests.live.venue_scene import ROOT
from tests.live.venue_scene import USER
from tests.live.venue_scene import settings
from tests.live.venue_scene import venue_with


pytestmark = pytest.mark.live_node
PAPER = ROOT / "configs" / "paper.yaml"
LINK = "open once, within 10 minutes: http://127.0.0.1:8500/?ticket=abc"


class Spawned:
    """A process that the test plays: ``code`` is how it ended, None while it runs; ``output`` is what it wrote."""

    def __init__(self, code: int | None = None, output: str = "") -> None:
        self.pid = 4_242
        self.code = code
        self.output = output

    def poll(self) -> int | None:
        return self.code


class Desk:
    """Everything around a start: what was said, asked and started."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.said: list[str] = []
        self.asked: list[str] = []
        self.answers: list[str] = []
        self.started: list[list[str]] = []
        self.envs: list[Mapping[str, str]] = []
        self.supervisor = Spawned()
        self.dashboard = Spawned(output=f"dashboard of it\n{LINK}\n")
        self.environ = {
            "PATH": "/bin",
            "HOME": "/nonexistent",
            KEY_VARIABLE: SECRET.hex(),
            "AMM500_ALERT_URLS": "",
        }

    def ask(self, text: str) -> str:
        self.asked.append(text)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)

    def spawn(
        self, arguments: list[str], env: Mapping[str, str], log: Path, descriptors: tuple[int, ...]
    ) -> Spawned:
        self.started.append(arguments)
        self.envs.append(env)
        process = self.supervisor if arguments[0] == "supervise" else self.dashboard
        log.write_text(process.output)
        return process

    def starter(self, config: Path = PAPER, **given: Any) -> Starter:
        sets = settings(self.url, self.folder)
        defaults: dict[str, Any] = {
            "config": str(config),
            "overrides": tuple(sets),
            "approval": Approval(),
            "environ": self.environ,
            "takes_defaults": True,
            "dashboard_port": 8500,
            "say": self.said.append,
            "spawn": self.spawn,
            "ask_node": lambda _: {"state": "RUNNING", "equity": 1.0, "position": 0.0},
        }
        return Starter(**(defaults | given))

    def live(self, **given: Any) -> Starter:
        approval = Approval(override="a rehearsal", confirm_live=True, ask=self.ask)
        starter = self.starter(CONFIGS["live"], **({"approval": approval} | given))
        return replace(
            starter,
            overrides=(*starter.overrides, "live.signer.source=environment", "live.duration=7d"),
        )


@pytest.fixture(scope="module")
def venue() -> Iterator[LoopbackVenue]:
    with venue_with() as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, venue: LoopbackVenue) -> Desk:
    return Desk(tmp_path, venue.url)


def settings_of(arguments: list[str]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in arguments if "=" in text)


def test_a_paper_run_is_checked_and_started_with_its_dashboard(desk: Desk) -> None:
    assert desk.starter(mode="paper", length="30d").run() == 0
    assert [arguments[0] for arguments in desk.started] == ["supervise", "dashboard"]
    given = settings_of(desk.started[0])
    assert (given["mode"], given["live.duration"]) == ("paper", "30d")
    assert desk.started[1][1] == str(desk.folder / "state")
    said = "\n".join(desk.said)
    for name in ("run file", "extras", "alerts", "disk", "venue", "clock", "state", "ladder"):
        assert f" {name} " in said
    assert LINK in said
    # the link opens the page: it is nowhere but on the terminal
    assert (desk.folder / "state" / "dashboard.log").read_text() == ""
    assert "FAILED" not in said


def test_the_dashboard_is_given_no_secret(desk: Desk) -> None:
    desk.environ |= {VARIABLE: "x", "SMTP_PASSWORD": "y", "AMM500_ALERT_URLS": "json://z"}
    desk.starter(mode="paper", length="7d").run()
    assert desk.envs[0] == desk.environ
    assert set(desk.envs[1]) == {"PATH", "HOME"}


def test_mode_and_length_are_asked_for(desk: Desk) -> None:
    desk.answers = ["9", "paper", "2"]
    approval = Approval(ask=desk.ask)
    assert desk.starter(takes_defaults=False, approval=approval).run() == 0
    assert desk.asked == ["mode [paper]: ", "mode [paper]: ", "length [open]: "]
    assert "mode: 1 paper, 2 testnet, 3 live" in desk.said
    assert "length: 1 7 days, 2 30 days, 3 until stopped" in desk.said
    given = settings_of(desk.started[0])
    assert (given["mode"], given["live.duration"]) == ("paper", "30d")


def test_an_empty_answer_takes_what_the_run_file_says(desk: Desk) -> None:
    desk.answers = ["", ""]
    desk.starter(takes_defaults=False, approval=Approval(ask=desk.ask)).run()
    given = settings_of(desk.started[0])
    assert (given["mode"], given["live.duration"]) == ("paper", "null")


def test_nobody_to_ask_is_said_and_nothing_is_started(desk: Desk) -> None:
    with pytest.raises(InputError, match="--mode: is not given"):
        desk.starter(takes_defaults=False).run()
    with pytest.raises(InputError, match="--length: was not given"):
        desk.starter(takes_defaults=False, mode="paper", approval=Approval(ask=desk.ask)).run()
    assert desk.started == []


@pytest.mark.parametrize(
    ("mode", "what"), [("local", "run_live.py runs local"), ("backtest", "paper, testnet, live")]
)
def test_a_run_file_of_another_kind_is_refused(desk: Desk, mode: str, what: str) -> None:
    config = ROOT / "configs" / ("local.yaml" if mode == "local" else "us500_30d.yaml")
    with pytest.raises(InputError, match=what):
        desk.starter(config, overrides=()).run()


def test_a_check_starts_nothing(desk: Desk) -> None:
    assert desk.starter(checks_only=True).run() == 0
    assert "none failed; nothing was started" in desk.said[-1]
    assert desk.started == []


def test_a_venue_that_cannot_be_reached_is_said(desk: Desk) -> None:
    desk.url = "http://127.0.0.1:9"
    with pytest.raises(SourceUnavailableError):
        desk.starter().run()


@pytest.mark.parametrize("name", ["supervisor.lock", "monitor/journal.lock"])
def test_a_second_start_is_refused(desk: Desk, name: str) -> None:
    lock = PidLock(desk.folder / "state" / name)
    lock.take()
    try:
        assert desk.starter().run() == 2
    finally:
        lock.drop()
    assert any(line.startswith("FAILED") and f"{os.getpid()} runs there" in line for line in desk.said)
    assert desk.started == []


def test_a_ladder_that_cannot_be_quoted_stops_it(desk: Desk) -> None:
    starter = desk.starter()
    assert replace(starter, overrides=(*starter.overrides, "account.equity=15")).run() == 2
    assert any(line.startswith("FAILED   ladder") for line in desk.said)


def test_a_supervisor_that_ends_at_once_hands_on_its_code_and_its_last_words(desk: Desk) -> None:
    desk.supervisor = Spawned(code=4, output="first\nthe venue is gone\n")
    assert desk.starter(ask_node=lambda _: None).run() == 4
    assert "  the venue is gone" in desk.said
    assert len(desk.started) == 1


def test_a_node_that_never_answers_is_a_failure(desk: Desk) -> None:
    assert desk.starter(ask_node=lambda _: None, up_secs=0.3).run() == 1
    assert any("no node answered" in line for line in desk.said)


def test_a_dashboard_that_does_not_come_up_stops_nothing(desk: Desk) -> None:
    desk.dashboard = Spawned(code=2, output="error: the port is taken\n")
    assert desk.starter().run() == 0
    assert "  error: the port is taken" in desk.said


def test_a_dashboard_that_takes_long_is_named_with_where_its_link_will_be(desk: Desk) -> None:
    desk.dashboard = Spawned(output="importing\n")
    assert desk.starter(link_secs=0.3).run() == 0
    assert (
        f"dashboard 4242 is still coming up; its link will be in {desk.folder / 'state' / 'dashboard.log'}"
        in desk.said
    )


def test_live_is_confirmed_here_once_and_the_supervisor_is_told(desk: Desk) -> None:
    desk.answers = ["LIVE"]
    starter = desk.live()
    assert starter.run() == 0, desk.said
    assert "Type LIVE" in desk.asked[-1]
    assert f"account {USER}" in desk.asked[-1]
    arguments = desk.started[0]
    overrides = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--set"]
    config = load_config(CONFIGS["live"], overrides)
    # it is what the supervisor's own nodes will ask for
    assert desk.envs[0][VARIABLE] == confirmation(USER, config_hash(config))
    assert arguments[arguments.index("--override-paper-gate") + 1] == "a rehearsal"
    assert SECRET.hex() not in " ".join(arguments)


def test_live_that_is_not_confirmed_starts_nothing(desk: Desk) -> None:
    desk.answers = ["yes"]
    with pytest.raises(InputError, match="LIVE was not typed"):
        desk.live().run()
    with pytest.raises(InputError, match="not confirmed"):
        desk.live(approval=Approval(override="a rehearsal")).run()
    assert desk.started == []


def test_live_with_a_closed_paper_gate_asks_for_no_confirmation(desk: Desk) -> None:
    assert desk.live(approval=Approval(confirm_live=True, ask=desk.ask)).run() == 2
    assert any(line.startswith("FAILED   paper gate") for line in desk.said)
    assert desk.asked == []


def test_a_key_that_is_missing_or_asked_for_at_a_prompt_stops_it(desk: Desk, tmp_path: Path) -> None:
    desk.environ.pop(KEY_VARIABLE)
    assert desk.live().run() == 2
    assert f"FAILED   key          {KEY_VARIABLE} is not set" in desk.said
    starter = desk.starter(CONFIGS["live"], checks_only=True)
    for more, words in (
        (("live.signer.unlock_by=prompt",), "nobody is asked when"),
        ((f"live.signer.path={tmp_path / 'none.json'}",), "cannot be opened"),
    ):
        desk.said.clear()
        assert replace(starter, overrides=(*starter.overrides, *more)).run() == 2
        assert any("FAILED   key" in line and words in line for line in desk.said)


def test_a_disk_without_room_and_a_place_that_cannot_be_written_stop_it(tmp_path: Path) -> None:
    assert check_disk(tmp_path / "not" / "there").is_ok
    assert not check_disk(tmp_path, least=1 << 62).is_ok
    assert not check_disk(Path("/proc/state")).is_ok


@pytest.mark.parametrize(
    ("offset", "is_ok", "is_warning"),
    [(12.0, True, False), (-700.0, True, True), (2_500.0, False, False), (None, True, True)],
)
def test_a_clock_that_is_off_warns_and_then_stops(
    offset: float | None, *, is_ok: bool, is_warning: bool
) -> None:
    check = check_clock(VenueStatus("http://venue", venue={"clock_offset_ms": offset}))
    assert (check.is_ok, check.is_warning) == (is_ok, is_warning)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(PAPER)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    (check,) = check_extras(config, {}, dashboard=True)
    assert not check.is_ok
    assert "the dashboard needs dash: pip install 'amm500[ops]'" in check.text
    assert check_extras(config, {}, dashboard=False)[0].is_ok
    assert len(check_extras(config, {"AMM500_ALERT_URLS": "json://x"}, dashboard=True)) == 2


@pytest.mark.soak
def test_a_real_start_brings_up_a_supervised_paper_run_that_stop_ends(tmp_path: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = "from amm500_nautilus.runtime.cli import main; raise SystemExit(main())"
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": PATHS},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=4 * LIVENESS_S,
            check=False,
        )

    with venue_with() as venue:
        sets = [part for text in settings(venue.url, tmp_path) for part in ("--set", text)]
        started = command("start", str(PAPER), "--yes", "--dashboard-port", "0", *sets)
        page = next(
            (line.split()[1] for line in started.stdout.splitlines() if line.startswith("dashboard ")), ""
        )
        try:
            assert started.returncode == 0, started.stdout
            assert "http://127.0.0.1:" in started.stdout
            again = command("start", str(PAPER), "--yes", "--no-dashboard", *sets)
            assert again.returncode == 2
            stopped = command("stop", str(tmp_path / "state"))
            assert stopped.returncode == 0, stopped.stderr
            deadline = time.monotonic() + 2 * LIVENESS_S
            while holder_of(tmp_path / "state" / "supervisor.lock") is not None:
                assert time.monotonic() < deadline, "the supervisor never ended"
                time.sleep(0.1)
        finally:
            if page:
                os.kill(int(page), signal.SIGTERM)
