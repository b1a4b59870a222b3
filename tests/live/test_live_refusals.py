"""What modes testnet and live ask of an account before anything is sent: against a venue, without a node."""

import os
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.monitor.supervisor_lock import PidLock
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.node.account import DAY_NS
from amm500_nautilus.runtime.node.account import require_agent_time
from amm500_nautilus.runtime.node.confirm import VARIABLE
from amm500_nautilus.runtime.node.confirm import Approval
from amm500_nautilus.runtime.node.confirm import confirmation
from amm500_nautilus.runtime.node.deadline import Deadline
from amm500_nautilus.runtime.node.monitoring import config_hash
from amm500_nautilus.runtime.node.venue import Surroundings
from amm500_nautilus.runtime.node.venue import VenueDesk
from amm500_nautilus.runtime.node.venue import open_venue
from amm500_nautilus.runtime.progress import Progress
from hyperliquid_hip3.startup import AgentCheck
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.test_secret_canary import SECRET
from tests.adapter.test_secret_canary import found_in
from tests.live.venue_scene import AGENT
from tests.live.venue_scene import CONFIGS
from tests.live.venue_scene import KEY_VARIABLE
from tests.live.venue_scene import USER
from tests.live.venue_scene import account
from tests.live.venue_scene import settings
from tests.live.venue_scene import venue_with


pytestmark = pytest.mark.live_node
OTHER = "0x" + "0d" * 20
NS = 10**9
WEEK_S = 7 * 86_400.0


def days_from_now(days: float) -> int:
    return int((time.time() + days * 86_400) * 1_000)


@pytest.fixture(scope="module")
def venue() -> Iterator[LoopbackVenue]:
    agent = AgentSpec(address=AGENT, name="mm", valid_until_ms=days_from_now(8))
    stranger = AgentSpec(address="0x" + "77" * 20, name="theirs")
    accounts = (
        account(agents=(agent,)),
        account(address=OTHER, agents=(stranger,)),
    )
    with venue_with(*accounts) as running:
        yield running


@pytest.fixture(scope="module")
def unnamed_venue() -> Iterator[LoopbackVenue]:
    agent = AgentSpec(address=AGENT, valid_until_ms=days_from_now(1))
    with venue_with(account(agents=(agent,))) as running:
        yield running


class Scene:
    """A start of one mode, as a test wants it."""

    def __init__(self, folder: Path, venue: LoopbackVenue, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.url = venue.url
        self.environ = {"AMM500_LOCK_DIR": str(folder / "locks")}
        self.progress = Progress(quiet=True)
        monkeypatch.setenv(KEY_VARIABLE, SECRET.hex())

    def config(self, mode: str, *more: str) -> RunConfig:
        return load_config(
            CONFIGS[mode], [*settings(self.url, self.folder, "live.signer.source=environment"), *more]
        )

    def supervise(self) -> PidLock:
        lock = PidLock(self.folder / "state" / "supervisor.lock")
        lock.take()
        self.environ["AMM500_SUPERVISED"] = str(os.getpid())
        return lock

    def approval(self, config: RunConfig, **given: Any) -> Approval:
        said = {"override": "a rehearsal", "environ": {VARIABLE: confirmation(USER, config_hash(config))}}
        return Approval(**(said | given))

    def start(self, config: RunConfig, approval: Approval | None = None) -> VenueDesk:
        with open_venue(
            config,
            self.progress,
            approval or self.approval(config),
            Surroundings(environ=self.environ),
        ) as desk:
            return desk


@pytest.fixture
def scene(tmp_path: Path, venue: LoopbackVenue, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, venue, monkeypatch)


def test_an_account_is_shown_with_everything_before_the_first_order(
    scene: Scene, venue: LoopbackVenue
) -> None:
    before = len(venue.requests)
    desk = scene.start(scene.config("testnet"))
    said = "\n".join(scene.progress.lines)
    for words in (
        "market: km:US500, collateral USDH",
        f"account {USER}, standard mode, equity 10000.0 USDH",
        f"agent {AGENT} (mm), valid until",
        "fees maker 0.0030%, taker 0.0090%",
        "limits: 10,000 actions left, 0 traded: no dead-man's switch below 1,000,000 traded",
        "capital: 10,000.00 of 10,000.00 USDH used; at the end the position is closed",
        "nobody cancels orders if this process dies",
    ):
        assert words in said
    assert desk.equity == 10_000
    # asking is all that was done
    assert not [request for request in venue.requests[before:] if "action" in request]
    assert KEY_VARIABLE not in os.environ
    assert found_in(repr(vars(desk))) == []


def test_a_key_that_is_no_agent_of_the_account_is_refused(scene: Scene) -> None:
    with pytest.raises(InputError, match=f"is an agent of {USER}, must be one of {OTHER}"):
        scene.start(scene.config("testnet", f"live.user='{OTHER}'"))


def test_a_key_that_is_nobody_s_agent_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "01" * 32)
    with pytest.raises(InputError, match="must be an agent of") as refused:
        scene.start(scene.config("testnet"))
    assert "01" * 32 not in str(refused.value)


def test_a_key_that_is_missing_or_none_is_refused_and_not_repeated(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "hunter2hunter2")
    with pytest.raises(InputError, match="does not hold a secret key") as refused:
        scene.start(scene.config("testnet"))
    assert "hunter2" not in str(refused.value)
    with pytest.raises(InputError, match="is not set"):
        scene.start(scene.config("testnet"))


def test_an_example_s_address_is_refused_before_the_venue_is_asked(
    scene: Scene, venue: LoopbackVenue
) -> None:
    before = len(venue.requests)
    with pytest.raises(InputError, match="still the example's"):
        scene.start(scene.config("testnet", f"live.user='0x{'0' * 40}'"))
    assert len(venue.requests) == before


def test_a_venue_that_cannot_be_reached_is_said_in_seconds(scene: Scene) -> None:
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError):
        scene.start(scene.config("testnet", "live.url=http://127.0.0.1:9"))
    assert time.monotonic() - began < 20


def test_live_without_switch_and_supervisor_is_refused(scene: Scene) -> None:
    with pytest.raises(InputError, match="no dead-man's switch, and no supervisor"):
        scene.start(scene.config("live", "live.duration=1h"))


def test_live_with_the_venue_s_own_switch_needs_no_supervisor(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amm500_nautilus.runtime.node.account.MIN_VOLUME", Decimal(0))
    desk = scene.start(scene.config("live", "live.duration=1h"))
    assert dict(desk.events)["watched"] == "the venue's dead-man's switch"


class TestSupervised:
    """Live, with somebody who would cancel."""

    @pytest.fixture(autouse=True)
    def _supervisor(self, scene: Scene) -> Iterator[None]:
        lock = scene.supervise()
        yield
        lock.drop()

    def test_live_that_everything_holds_for_may_begin_and_its_journal_hears_why(self, scene: Scene) -> None:
        desk = scene.start(scene.config("live", "live.duration=1h"))
        kinds = dict(desk.events)
        assert kinds["watched"] == f"supervised by process {os.getpid()}"
        assert "passed by override (a rehearsal)" in kinds["paper_gate"]
        said = "\n".join(scene.progress.lines)
        assert "capital: 1,000.00 of 10,000.00 USDH used; at the end the position is HELD" in said

    @pytest.mark.parametrize("reason", [None, "", "  "])
    def test_a_missing_paper_run_needs_a_reason(self, scene: Scene, reason: str | None) -> None:
        config = scene.config("live", "live.duration=1h")
        with pytest.raises(InputError, match="the paper gate: closed: there is no finished paper run"):
            scene.start(config, scene.approval(config, override=reason))

    def test_live_that_nobody_confirmed_does_not_begin(self, scene: Scene) -> None:
        config = scene.config("live", "live.duration=1h")
        with pytest.raises(InputError, match="not confirmed"):
            scene.start(config, scene.approval(config, environ={}))

    def test_live_confirmed_for_something_else_opens_nothing(
        self, scene: Scene, venue: LoopbackVenue
    ) -> None:
        before = len(venue.requests)
        config = scene.config("live", "live.duration=1h")
        with pytest.raises(InputError, match="another account or configuration"):
            scene.start(scene.config("live", "live.duration=2h"), scene.approval(config))
        assert len(venue.requests) == before
        assert KEY_VARIABLE in os.environ

    @pytest.mark.parametrize(("duration", "is_allowed"), [("5d", True), ("7d", False)])
    def test_live_refuses_an_agent_that_ends_within_the_run_and_two_days(
        self, scene: Scene, duration: str, *, is_allowed: bool
    ) -> None:
        # the agent ends in eight days
        config = scene.config("live", f"live.duration={duration}")
        if is_allowed:
            scene.start(config)
            return
        with pytest.raises(InputError, match=r"1\.0 days after the end of the run"):
            scene.start(config)

    def test_a_run_that_crashed_goes_on_through_the_gate_and_to_the_end_it_had(self, scene: Scene) -> None:
        # the agent ends in eight days: enough for the day that is left, not for seven more
        config = scene.config("live", "live.duration=7d")
        plain = scene.approval(config, override=None)
        journal = Journal(scene.folder / "state" / "monitor")
        journal.open()
        started = time.time_ns() - 6 * DAY_NS
        row = {"name": "live", "mode": "live", "coin": "km:US500", "account": USER, "version": "1"}
        digest = config_hash(config)
        journal.write("run", id=1, session=1, started_ns=started, pid=1, config_hash=digest, **row)
        journal.write("event", ts_ns=started, run=1, kind="paper_gate", text="passed then")
        Deadline(journal, config_hash=digest, duration_s=WEEK_S, now_ns=started).begin(started)
        assert journal.close()
        assert dict(scene.start(config, plain).events)["paper_gate"] == "passed then"

    def test_an_unnamed_agent_s_end_is_known_too(self, scene: Scene, unnamed_venue: LoopbackVenue) -> None:
        scene.url = unnamed_venue.url
        with pytest.raises(InputError, match=r"ends .* UTC"):
            scene.start(scene.config("live", "live.duration=1h"))


@pytest.mark.parametrize(
    ("days", "run_days", "is_allowed"),
    [
        (10, 7, True),
        (9.01, 7, True),
        (8.99, 7, False),
        (3, 7, False),
        (2.01, 0, True),
        (1.99, 0, False),
        (-1, 0, False),
    ],
)
def test_the_time_an_agent_must_be_valid(days: float, run_days: float, *, is_allowed: bool) -> None:
    now = 1_790_000_000 * NS
    check = AgentCheck(AGENT, now + int(days * DAY_NS))
    if is_allowed:
        require_agent_time(check, now_ns=now, run_s=run_days * 86_400)
        return
    with pytest.raises(InputError, match="days longer than the run"):
        require_agent_time(check, now_ns=now, run_s=run_days * 86_400)


def test_an_agent_whose_end_nobody_tells_is_refused() -> None:
    with pytest.raises(InputError, match="is unknown"):
        require_agent_time(AgentCheck(AGENT, None), now_ns=0, run_s=0)


def test_an_account_that_holds_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = AgentSpec(address=AGENT, name="mm")
    with venue_with(account(equity=Decimal(0), agents=(agent,))) as empty:
        scene = Scene(tmp_path, empty, monkeypatch)
        with pytest.raises(InputError, match="holds no USDH on km"):
            scene.start(scene.config("testnet"))


@pytest.mark.parametrize("mode", ["testnet", "live"])
def test_the_account_s_own_key_is_refused_because_it_could_withdraw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    with venue_with(account(address=AGENT, agents=())) as own:
        scene = Scene(tmp_path, own, monkeypatch)
        config = scene.config(mode, f"live.user='{AGENT}'", "live.duration=1h")
        approval = scene.approval(config, environ={VARIABLE: confirmation(AGENT, config_hash(config))})
        with pytest.raises(InputError, match=f"is 'user' to the venue, must be an agent of {AGENT}"):
            scene.start(config, approval)
