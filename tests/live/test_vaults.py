"""An agent trades for a vault that its master leads, or for a sub-account: runs, direct commands, and who is refused."""

import sqlite3
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from amm500_catalog.errors import InputError
from amm500_nautilus.monitor.control_client import send_command
from amm500_nautilus.monitor.errors import ControlError
from amm500_nautilus.monitor.supervisor import RescueError
from amm500_nautilus.runtime.live import main as live_main
from amm500_nautilus.runtime.node.account import look_at_account
from amm500_nautilus.runtime.operate.direct import DirectAccess
from amm500_nautilus.runtime.operate.direct import DirectRescue
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.test_secret_canary import SECRET
from tests.live.exec_session import MID
from tests.live.exec_session import Trading
from tests.live.venue_scene import AGENT
from tests.live.venue_scene import COIN
from tests.live.venue_scene import KEY_VARIABLE
from tests.live.venue_scene import LIVENESS_S
from tests.live.venue_scene import USER
from tests.live.venue_scene import account
from tests.live.venue_scene import command
from tests.live.venue_scene import venue_with


pytestmark = pytest.mark.live_node
VAULT = "0x" + "7a" * 20
SUB_ACCOUNT = "0x" + "5b" * 20
OTHER = "0x" + "0d" * 20
OTHERS_VAULT = "0x" + "0e" * 20
OTHERS_SUB_ACCOUNT = "0x" + "0f" * 20
REFUSED = "Vault may not perform this action."
EQUITY = Decimal(5_000)
# queries about the key and whose agent it is: the account's own are about the vault
ABOUT_THE_KEY = ("userRole", "extraAgents", "vaultDetails")
# a whole ladder that is refused at once is the affair of another reason
BRISK = (
    "strategy.risk.switches.fresh_secs=1",
    "strategy.risk.breakers.velocity_pause=100",
    "strategy.risk.breakers.rejections_pause=1000",
)


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    accounts = (
        # the leader holds something else than the vault, so that a mistake is seen
        account(equity=Decimal(77)),
        AccountSpec(address=VAULT, equity=EQUITY, leader=USER),
        AccountSpec(address=SUB_ACCOUNT, equity=EQUITY, master=USER),
        AccountSpec(address=OTHER, agents=(AgentSpec(address="0x" + "77" * 20, name="theirs"),)),
        AccountSpec(address=OTHERS_VAULT, equity=EQUITY, leader=OTHER),
        AccountSpec(address=OTHERS_SUB_ACCOUNT, equity=EQUITY, master=OTHER),
    )
    with venue_with(*accounts, flow="quiet") as running_venue:
        yield running_venue


def signed(venue: LoopbackVenue) -> list[dict[str, Any]]:
    return [request for request in venue.requests if "action" in request]


def lead(venue: LoopbackVenue, leader: str) -> None:
    """Give the vault another leader."""
    venue.call(lambda e: setattr(e.accounts.holder(VAULT), "leader", leader))


def events(folder: Path, kind: str) -> str:
    path = folder / "state/monitor/journal.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
        rows = journal.execute("SELECT text FROM event WHERE kind = ?", (kind,)).fetchall()
    return " / ".join(text for (text,) in rows)


def is_quoting(trading: Trading) -> bool:
    return {row["side"] for row in trading.open_orders()} == {"A", "B"}


class VaultRun:
    """A testnet run of the leader's agent for a vault, in this process; a script watches it from a thread and it is stopped after that."""

    def __init__(self, venue: LoopbackVenue, folder: Path, vault: str, patch: pytest.MonkeyPatch) -> None:
        more = (*BRISK, f"live.vault='{vault}'", "live.log_level=ERROR")
        # without the interpreter and the file
        self._words = command("testnet", venue.url, folder, "run", "--duration", "1h", more=more)[2:]
        self._state = folder / "state"
        self._over = threading.Event()
        self._errors: list[BaseException] = []
        self.trading = Trading(venue, vault)
        patch.setenv(KEY_VARIABLE, SECRET.hex())
        patch.setenv("AMM500_LOCK_DIR", str(folder / "locks"))

    def play(self, script: Callable[["VaultRun"], None]) -> int:
        """Return the exit code of the run."""
        thread = threading.Thread(target=self._script, args=(script,), daemon=True)
        thread.start()
        try:
            code = live_main(self._words)
        finally:
            self._over.set()
            thread.join(LIVENESS_S)
        if self._errors:
            raise self._errors[0]
        return code

    def _script(self, script: Callable[["VaultRun"], None]) -> None:
        try:
            script(self)
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self._errors.append(error)
        finally:
            self.ask("stop", on_end="flatten")

    def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Put a command to the node; an empty answer while none listens."""
        try:
            return dict(send_command(self._state, name, **arguments))
        except ControlError:
            return {}

    def wait_for(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for a condition while it runs."""
        deadline = time.monotonic() + LIVENESS_S
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}; {self.ask('status')}"
            assert not self._over.is_set(), f"the run is over before: {what}"
            time.sleep(0.05)

    def quotes(self) -> bool:
        """Return whether both sides rest for the vault."""
        return {row["side"] for row in self.trading.open_orders()} == {"A", "B"}

    def fill_and_agree(self) -> None:
        """Let the market run through the asks, and see that the node holds what the venue says the vault does."""
        self.wait_for(lambda: self.ask("status"), "the node listens")
        self.wait_for(self.quotes, "both sides rest for the vault")
        self.trading.move(MID + 1)
        self.wait_for(self.trading.position, "the vault's asks were taken")
        self.wait_for(
            lambda: self.ask("status").get("position") == float(self.trading.position()),
            "the node holds what the vault does",
        )
        assert self.trading.position() < 0
        assert abs(self.ask("status")["equity"] - float(EQUITY)) < 50


@pytest.mark.soak
def test_a_run_whose_vault_is_led_by_another_says_so_in_the_venue_s_words_and_goes_on_when_it_is_ours_again(
    venue: LoopbackVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(run: VaultRun) -> None:
        run.fill_and_agree()
        lead(venue, OTHER)
        run.trading.move(MID - 1)
        run.wait_for(lambda: "agent_refused" in run.ask("status").get("reasons", ()), "it is told")
        lead(venue, USER)
        run.wait_for(lambda: run.ask("resume").get("ok"), "it goes on")
        run.wait_for(lambda: run.ask("status").get("state") == "RUNNING", "it is RUNNING again")
        run.wait_for(run.quotes, "both sides rest again")

    run = VaultRun(venue, tmp_path, VAULT, monkeypatch)
    assert run.play(script) == 0
    assert REFUSED in events(tmp_path, "agent_refused")
    assert (run.trading.open_orders(), run.trading.position()) == ([], 0)


@pytest.mark.parametrize("address", [VAULT, pytest.param(SUB_ACCOUNT, marks=pytest.mark.soak)])
def test_a_run_for_a_vault_quotes_with_its_money_and_leaves_the_leader_s_alone(
    venue: LoopbackVenue, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, leader = VaultRun(venue, tmp_path, address, monkeypatch), Trading(venue, USER)
    trading = run.trading
    assert run.play(VaultRun.fill_and_agree) == 0
    assert trading.open_orders() == []
    assert trading.position() == 0
    assert trading.fills()
    # the leader's own account has seen nothing of it
    assert (leader.open_orders(), leader.fills(), leader.position()) == ([], [], 0)
    assert Decimal(leader.state()["marginSummary"]["accountValue"]) == 77
    # every action names the vault, under the signature; every question about an account is about the vault's
    sent = signed(venue)
    assert sent
    assert {request["vaultAddress"] for request in sent} == {address}
    asked = {r["user"] for r in venue.requests if "user" in r and r["type"] not in ABOUT_THE_KEY}
    assert asked == {address}
    kind = "a vault" if address == VAULT else "a sub-account"
    assert f"account {address} ({kind}), standard mode, equity 5000.0 USDH" in events(tmp_path, "account")
    assert f"agent {AGENT} (mm), valid until" in events(tmp_path, "account")


def access(venue: LoopbackVenue, folder: Path, vault: str) -> DirectAccess:
    folder.mkdir(mode=0o700)
    return DirectAccess(
        url=venue.url,
        dex="km",
        coins=(COIN,),
        user=USER,
        vault=vault,
        state_dir=folder,
        takes_all=True,
        settle_secs=0.1,
    )


def rest(trading: Trading, price: str, tif: str = "Gtc", size: str = "0.2") -> None:
    wire = {"a": 150_000, "b": True, "p": price, "s": size, "r": False, "t": {"limit": {"tif": tif}}}
    trading.submit({"type": "order", "orders": [wire], "grouping": "na"})


@pytest.mark.parametrize("address", [VAULT, SUB_ACCOUNT])
def test_without_a_node_the_vault_s_orders_are_canceled_and_its_position_closed(
    venue: LoopbackVenue, tmp_path: Path, address: str
) -> None:
    trading, leader = Trading(venue, address), Trading(venue, USER)
    rest(trading, "600")
    rest(trading, "700", "Ioc")
    rest(leader, "610", size="0.1")
    assert trading.position() == Decimal("0.2")

    rescue = DirectRescue((access(venue, tmp_path / "state", address),), SecretKey(SECRET))

    assert (rescue.cancel().found, rescue.flatten().position) == (1, 0)

    assert (trading.open_orders(), trading.position()) == ([], 0)
    assert [row["limitPx"] for row in leader.open_orders()] == ["610.0"]
    assert {request["vaultAddress"] for request in signed(venue)} == {address}


NOT_OURS = {
    "another's vault": (OTHERS_VAULT, f"{OTHERS_VAULT} is a vault that {OTHER} leads, must be one of {USER}"),
    "another's sub-account": (
        OTHERS_SUB_ACCOUNT,
        f"{OTHERS_SUB_ACCOUNT} is a sub-account of {OTHER}, must be one of {USER}",
    ),
    "an account": (OTHER, f"{OTHER} is 'user' to the venue, must be a vault or sub-account of {USER}"),
    "nobody": ("0x" + "99" * 20, "is 'missing' to the venue"),
}


@pytest.mark.parametrize("who", NOT_OURS)
def test_what_the_account_does_not_lead_is_refused_before_anything_is_sent(
    venue: LoopbackVenue, tmp_path: Path, who: str
) -> None:
    vault, words = NOT_OURS[who]
    with pytest.raises(InputError) as told:
        look_at_account(venue.url, coin=COIN, user=USER, vault=vault, agent=AGENT)
    assert words in str(told.value)
    assert "live.vault" in str(told.value)
    rescue = DirectRescue((access(venue, tmp_path / "state", vault),), SecretKey(SECRET))
    with pytest.raises(RescueError) as refused:
        rescue.cancel()
    assert words in str(refused.value)
    assert signed(venue) == []


def test_the_venue_itself_refuses_an_action_for_a_vault_that_the_signer_does_not_lead(
    venue: LoopbackVenue, tmp_path: Path
) -> None:
    rescue = DirectRescue((access(venue, tmp_path / "state", VAULT),), SecretKey(SECRET))
    trading = Trading(venue, VAULT)
    rest(trading, "600")
    # the first time it is asked whose vault it is, and then it is known
    assert rescue.cancel().found == 1
    rest(trading, "600")
    lead(venue, OTHER)
    with pytest.raises(RescueError, match=REFUSED):
        rescue.cancel()
    assert len(trading.open_orders()) == 1
    lead(venue, USER)
    assert rescue.cancel().left == 0
