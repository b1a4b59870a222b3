"""A node that outlived its supervisor, in miniature: a process that holds the journal's lock."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from amm500_catalog.errors import InputError
from amm500_nautilus.monitor.supervisor_diary import Before
from amm500_nautilus.monitor.supervisor_lock import holder_of
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.operate.supervise import _end_orphan
from tests.live.test_supervise import START_S
from tests.live.test_supervise import _until
from tests.live.venue_scene import CONFIGS
from tests.live.venue_scene import USER


ORPHAN = """
import fcntl, os, signal, sys, time
from pathlib import Path
folder, deed = Path(sys.argv[1]), sys.argv[2]
handle = os.open(folder / "journal.lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
if deed == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.pwrite(handle, b"%d\\n" % os.getpid(), 0)
while True:
    if deed != "mute":
        (folder / "heartbeat").write_text(f"{os.getpid()} {time.time_ns()} RUNNING\\n")
    time.sleep(0.05 if deed != "mute" else 60)
"""


@pytest.mark.parametrize(("deed", "is_killed"), [("hears", False), ("deaf", True)])
def test_a_node_that_outlived_its_supervisor_is_seen_gone_before_another_starts(
    tmp_path: Path, deed: str, *, is_killed: bool
) -> None:
    config = load_config(
        CONFIGS["testnet"],
        [
            f"live.user='{USER}'",
            f"live.state_dir={tmp_path}",
            "supervise.stop_secs=5",
            "supervise.silence_secs=30",
        ],
    )
    folder = tmp_path / "monitor"
    folder.mkdir()
    said: list[str] = []
    _end_orphan(config, Before(is_ended=False, child=7), said.append)
    with subprocess.Popen([sys.executable, "-S", "-c", ORPHAN, str(folder), deed]) as orphan:
        try:
            _until(lambda: holder_of(folder / "journal.lock") == orphan.pid, "it holds the lock")
            # one that another way started is not touched
            for before in (
                Before(is_ended=True, child=orphan.pid),
                Before(is_ended=False, child=orphan.pid + 1),
            ):
                with pytest.raises(InputError, match=f"process {orphan.pid} runs there"):
                    _end_orphan(config, before, said.append)
            assert orphan.poll() is None
            _end_orphan(config, Before(is_ended=False, child=orphan.pid), said.append)
            assert orphan.wait(START_S) == (-signal.SIGKILL if is_killed else -signal.SIGTERM)
        finally:
            orphan.kill()
    assert said[0] == f"node {orphan.pid} outlived its supervisor; it was told to stop then"
    assert (len(said) == 2) is is_killed
