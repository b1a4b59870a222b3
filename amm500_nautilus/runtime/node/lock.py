"""One process for one account on one dex, and one mode for one state folder."""

import os
import pwd
import re
import sqlite3
import stat
import time
from collections.abc import Callable
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from amm500_catalog.errors import InputError
from amm500_nautilus.monitor.errors import AlreadyRunningError
from amm500_nautilus.monitor.heartbeat import ENDED
from amm500_nautilus.monitor.heartbeat import Beat
from amm500_nautilus.monitor.heartbeat import last_beat
from amm500_nautilus.monitor.journal import NAME as JOURNAL
from amm500_nautilus.monitor.supervisor_child import PID_VARIABLE
from amm500_nautilus.monitor.supervisor_lock import PidLock
from amm500_nautilus.monitor.supervisor_lock import holder_of
from hyperliquid_hip3.constants import MAINNET_URL
from hyperliquid_hip3.constants import TESTNET_URL


FOLDER_VARIABLE = "AMM500_LOCK_DIR"
SUPERVISOR_LOCK = "supervisor.lock"
NETWORKS = {urlsplit(MAINNET_URL).netloc: "mainnet", urlsplit(TESTNET_URL).netloc: "testnet"}
NS = 1_000_000_000
# a sign of life older than this is no life; a younger one is looked at until it moves or does not
FRESH_NS = 10 * NS
LOOK_S = 2.5
STEP_S = 0.1


def network_of(url: str) -> str:
    """Return the name of the network behind an address: ``mainnet``, ``testnet``, or host and port."""
    place = urlsplit(url).netloc.lower()
    return NETWORKS.get(place, place)


def lock_folder(environ: Mapping[str, str]) -> Path:
    """Return where this user's account locks are, the same for all his run files: ``AMM500_LOCK_DIR``, or in his home."""
    given = environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    # not HOME: two processes with different environments must meet
    return Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".local" / "state" / "amm500" / "locks"


def account_lock(folder: Path, *, url: str, account: str, dex: str) -> PidLock:
    """
    Take the lock of an account on a dex of a network.

    Raises
    ------
    InputError
        If another process of this user trades there, or the lock cannot be made.

    """
    name = "-".join(re.sub(r"[^A-Za-z0-9.]", "_", part) for part in (network_of(url), account.lower(), dex))
    lock = PidLock(folder / f"{name}.lock")
    try:
        lock.take()
        _require_own(folder)
    except AlreadyRunningError as error:
        raise InputError(
            f"another process trades {account} on {dex or 'the main dex'} of {network_of(url)}: {error}",
            "live.user",
            "one process for an account and a dex",
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot be made ({error.strerror})", str(lock.path), f"a writable folder, see {FOLDER_VARIABLE}"
        ) from error
    return lock


def _require_own(folder: Path) -> None:
    status = folder.stat()
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
        raise InputError(
            "belongs to another user, or others may write there", str(folder), "a folder of mode 0700"
        )


def require_mode(state: Path, *, mode: str, account: str = "", coin: str = "") -> None:
    """
    Refuse a state folder whose journal is of another mode, account or coin: a restart changes none of them.

    A journal that cannot be read is left to its own check at the start.

    Raises
    ------
    InputError
        If it is.

    """
    path = state / "monitor" / JOURNAL
    if not path.is_file():
        return
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0)) as journal:
            row = journal.execute("SELECT mode, account, coin FROM run ORDER BY id DESC LIMIT 1").fetchone()
    except sqlite3.Error:
        return
    if row is None:
        return
    for what, was, now in zip(("mode", "account", "market"), row, (mode, account, coin), strict=True):
        if now and was.lower() != now.lower():
            raise InputError(
                f"holds the journal of {what} {was}, and a restart never changes it to {now}",
                str(state),
                "another live.state_dir, or another name",
            )


def require_silence(
    folder: Path,
    *,
    now_ns: Callable[[], int] = time.time_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """
    Refuse a folder in which another node shows signs of life: of this machine, or of another one that shares the disk.

    Raises
    ------
    InputError
        If it does.

    """
    first = last_beat(folder)
    if first is None or first.state == ENDED or now_ns() - first.ts_ns > FRESH_NS:
        return
    for _ in range(round(LOOK_S / STEP_S)):
        sleep(STEP_S)
        beat = last_beat(folder)
        if beat is not None and beat.ts_ns > first.ts_ns:
            raise InputError(_alive(beat), str(folder), "one process for one journal")


def _alive(beat: Beat) -> str:
    return f"process {beat.pid} shows signs of life there ({beat.state}), on this machine or another"


def supervisor_of(state: Path, environ: Mapping[str, str]) -> int | None:
    """Return the process number of the supervisor that started this process and watches it; None where there is none."""
    said = environ.get(PID_VARIABLE, "")
    if not said.isdigit():
        return None
    holder = holder_of(state / SUPERVISOR_LOCK)
    return holder if holder == int(said) else None
