"""One process for an account and a dex, one mode for a state folder, one supervisor for a node."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from amm500_catalog.errors import InputError
from amm500_nautilus.monitor.heartbeat import Heartbeat
from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.monitor.supervisor_lock import PidLock
from amm500_nautilus.runtime.node.lock import SUPERVISOR_LOCK
from amm500_nautilus.runtime.node.lock import account_lock
from amm500_nautilus.runtime.node.lock import lock_folder
from amm500_nautilus.runtime.node.lock import network_of
from amm500_nautilus.runtime.node.lock import require_mode
from amm500_nautilus.runtime.node.lock import require_silence
from amm500_nautilus.runtime.node.lock import supervisor_of


MAIN = "https://api.hyperliquid.xyz"
TEST = "https://api.hyperliquid-testnet.xyz"
ACCOUNT = "0x" + "ab" * 20


@contextmanager
def locked(folder: Path, url: str = MAIN, account: str = ACCOUNT, dex: str = "km") -> Iterator[PidLock]:
    lock = account_lock(folder, url=url, account=account, dex=dex)
    try:
        yield lock
    finally:
        lock.drop()


def test_a_second_process_on_the_same_account_and_dex_is_refused(tmp_path: Path) -> None:
    # an address is the same in any case of its digits
    again = ACCOUNT.upper()
    refused = pytest.raises(InputError, match=f"{os.getpid()} has it")
    with locked(tmp_path), refused, locked(tmp_path, account=again):
        pass
    with locked(tmp_path):
        pass


def test_other_dexes_accounts_and_networks_are_free(tmp_path: Path) -> None:
    other = "0x" + "cd" * 20
    with (
        locked(tmp_path),
        locked(tmp_path, url=TEST),
        locked(tmp_path, dex="xyz"),
        locked(tmp_path, account=other),
    ):
        assert len(list(tmp_path.iterdir())) == 4


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        "from amm500_nautilus.monitor.supervisor_lock import PidLock;"
        "PidLock(Path(sys.argv[1])).take(); print('taken', flush=True); time.sleep(600)"
    )
    with locked(tmp_path) as mine:
        path = mine.path
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "taken\n"
            with pytest.raises(InputError, match=str(process.pid)), locked(tmp_path):
                pass
        finally:
            process.kill()
    with locked(tmp_path):
        pass


def test_a_lock_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(InputError, match="others may write"), locked(folder):
        pass


def test_the_lock_folder_does_not_follow_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    assert not lock_folder(os.environ).is_relative_to("/nonexistent")
    assert lock_folder({"AMM500_LOCK_DIR": "/locks"}) == Path("/locks")


def test_networks_are_told_apart() -> None:
    assert [network_of(url) for url in (MAIN, TEST, "http://127.0.0.1:3001")] == [
        "mainnet",
        "testnet",
        "127.0.0.1:3001",
    ]


@pytest.fixture
def testnet_state(tmp_path: Path) -> Path:
    journal = Journal(tmp_path / "monitor")
    journal.open()
    row = {
        "name": "n",
        "mode": "testnet",
        "coin": "km:US500",
        "account": ACCOUNT,
        "config_hash": "x",
        "version": "1",
    }
    journal.write("run", id=1, session=1, started_ns=1, pid=1, **row)
    assert journal.close()
    return tmp_path


def test_a_restart_in_the_same_mode_for_the_same_account_is_allowed(testnet_state: Path) -> None:
    require_mode(testnet_state, mode="testnet", account=ACCOUNT.upper().replace("0X", "0x"), coin="km:US500")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"mode": "live"}, "mode testnet, and a restart never changes it to live"),
        ({"account": "0x" + "cd" * 20}, "account 0xabab"),
        ({"coin": "xyz:SP500"}, "market km:US500"),
    ],
)
def test_a_restart_never_changes_mode_account_or_market(
    testnet_state: Path, changes: dict[str, str], what: str
) -> None:
    given = {"mode": "testnet", "account": ACCOUNT, "coin": "km:US500"} | changes
    with pytest.raises(InputError, match=what):
        require_mode(testnet_state, **given)


def test_a_folder_without_a_journal_may_become_any_mode_s(tmp_path: Path) -> None:
    require_mode(tmp_path, mode="live", account=ACCOUNT)
    (tmp_path / "monitor").mkdir()
    (tmp_path / "monitor" / "journal.sqlite").write_bytes(b"damaged, which the journal's own check finds")
    require_mode(tmp_path, mode="live", account=ACCOUNT)


class Clock:
    """Time that passes only when somebody sleeps; a node elsewhere may beat meanwhile."""

    def __init__(self, beats: Heartbeat | None = None) -> None:
        self.now = time.time_ns()
        self.slept = 0.0
        self._beats = beats

    def now_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += int(seconds * 1e9)
        if self._beats is not None and self.slept > 1.0:
            self._beats.beat(self.now, "RUNNING")


@pytest.fixture
def heartbeat(tmp_path: Path) -> Iterator[Heartbeat]:
    beats = Heartbeat(tmp_path)
    beats.beat(time.time_ns(), "RUNNING")
    yield beats
    beats.close()


def test_a_node_that_beats_in_the_folder_is_not_joined(tmp_path: Path, heartbeat: Heartbeat) -> None:
    clock = Clock(heartbeat)
    with pytest.raises(InputError, match="shows signs of life"):
        require_silence(tmp_path, now_ns=clock.now_ns, sleep=clock.sleep)


def test_a_node_that_has_just_crashed_is_followed(tmp_path: Path, heartbeat: Heartbeat) -> None:
    clock = Clock()
    require_silence(tmp_path, now_ns=clock.now_ns, sleep=clock.sleep)
    assert clock.slept > 2.0


def test_a_node_that_ended_or_died_long_ago_is_not_waited_for(tmp_path: Path, heartbeat: Heartbeat) -> None:
    clock = Clock()
    clock.now += 11 * 10**9
    require_silence(tmp_path, now_ns=clock.now_ns, sleep=clock.sleep)
    heartbeat.beat(clock.now, "ENDED")
    require_silence(tmp_path, now_ns=clock.now_ns, sleep=clock.sleep)
    require_silence(tmp_path / "nowhere", now_ns=clock.now_ns, sleep=clock.sleep)
    assert clock.slept == 0.0


def test_a_supervisor_is_one_that_says_so_and_holds_the_lock(tmp_path: Path) -> None:
    said = {"AMM500_SUPERVISED": str(os.getpid())}
    assert supervisor_of(tmp_path, said) is None
    lock = PidLock(tmp_path / SUPERVISOR_LOCK)
    lock.take()
    try:
        assert supervisor_of(tmp_path, said) == os.getpid()
        # another's, one that was only said, one that is no number
        for words in ({"AMM500_SUPERVISED": "1"}, {}, {"AMM500_SUPERVISED": "me"}):
            assert supervisor_of(tmp_path, words) is None
    finally:
        lock.drop()
    assert supervisor_of(tmp_path, said) is None
