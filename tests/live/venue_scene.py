"""A loopback venue with an account whose agent's key the test knows, and runs of mode testnet and live against it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import eth_keyfile

from amm500_nautilus.monitor.control_client import send_command
from amm500_nautilus.monitor.errors import ControlError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.test_secret_canary import PASSPHRASE
from tests.adapter.test_secret_canary import SECRET
from tests.adapter.test_secret_canary import found_in


ROOT = Path(__file__).resolve().parents[2]
CONFIGS = {"testnet": ROOT / "configs" / "testnet.yaml", "live": ROOT / "configs" / "live.example.yaml"}
PATHS = os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))
COIN = "km:US500"
USER = "0x" + "5e" * 20
AGENT = SecretKey(SECRET).address
KEY_VARIABLE = "HYPERLIQUID_AGENT_KEY"
EQUITY = Decimal(10_000)
LIVENESS_S = 60.0
# a socket's state, and 127.0.0.1, as the kernel writes them
LISTENS = "0A"
LOOPBACK = "0100007F"


def account(**changes: Any) -> AccountSpec:
    """The account, with its agent."""
    given: dict[str, Any] = {
        "address": USER,
        "equity": EQUITY,
        "agents": (AgentSpec(address=AGENT, name="mm"),),
    }
    return AccountSpec(**(given | changes))


def venue_with(*accounts: AccountSpec, **changes: Any) -> LoopbackVenue:
    """A venue with a quiet market; not started."""
    given: dict[str, Any] = {"history_candles": 2, "history_hours": 2, "limits": False}
    return LoopbackVenue(VenueConfig(accounts=accounts or (account(),), **(given | changes)))


def settings(url: str, folder: Path, *more: str) -> list[str]:
    """What ``--set`` needs for a run against this venue that keeps everything in a folder."""
    return [
        f"live.url={url}",
        f"live.user='{USER}'",
        f"live.state_dir={folder / 'state'}",
        f"live.paper_runs={folder / 'paper'}",
        f"market.coin={COIN}",
        f"market.candidates=[{COIN}]",
        "report.tearsheet=false",
        *more,
    ]


def command(
    mode: str, url: str, folder: Path, name: str, *options: str, more: tuple[str, ...] = ()
) -> list[str]:
    """The command line of a run."""
    sets = [part for setting in settings(url, folder, *more) for part in ("--set", setting)]
    return [
        sys.executable,
        str(ROOT / "run_live.py"),
        str(CONFIGS[mode]),
        "--out",
        str(folder / name),
        "--quiet",
        *sets,
        *options,
    ]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment of nothing but what a run needs."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": PATHS,
        "HOME": "/nonexistent",
        "AMM500_LOCK_DIR": str(folder / "locks"),
        **more,
    }


def keystore(folder: Path) -> tuple[Path, int]:
    """The agent's key in a keystore of the folder, and a descriptor that holds its passphrase; both are the caller's to close."""
    path = folder / "agent.json"
    path.touch(mode=0o600)
    path.write_text(
        json.dumps(eth_keyfile.create_keyfile_json(SECRET, PASSPHRASE, kdf="pbkdf2", iterations=1_000))
    )
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE + b"\n")
    os.close(writing)
    return path, reading


class Running:
    """A run in a process of its own."""

    def __init__(
        self, parts: list[str], env: dict[str, str], folder: Path, *, descriptors: tuple[int, ...] = ()
    ) -> None:
        self.folder = folder
        self.logs = [folder / f"{name}-{time.monotonic_ns()}.txt" for name in ("stdout", "stderr")]
        streams = [log.open("wb") for log in self.logs]
        try:
            self.process = subprocess.Popen(
                parts,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=streams[0],
                stderr=streams[1],
                env=env,
                pass_fds=descriptors,
            )
        finally:
            for stream in streams:
                stream.close()

    @property
    def errors(self) -> str:
        """What it wrote to its error stream."""
        return self.logs[1].read_text()

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for a condition while it runs."""
        deadline = time.monotonic() + LIVENESS_S
        while not (found := condition()):
            assert time.monotonic() < deadline, f"never: {what}"
            assert self.process.poll() is None, self.errors
            time.sleep(0.05)
        return found

    def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Put a command to the node; an empty answer while none listens."""
        try:
            return dict(send_command(self.folder / "state", name, **arguments))
        except ControlError:
            return {}

    def end(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(LIVENESS_S)

    def shown(self) -> dict[str, bytes]:
        """What the system shows of the process: its arguments and its environment."""
        place = Path("/proc") / str(self.process.pid)
        return {name: (place / name).read_bytes() for name in ("cmdline", "environ")}

    def listening(self) -> set[str]:
        """Return the addresses at which the process listens for connections, in the kernel's hex."""
        place = Path("/proc") / str(self.process.pid)
        own = {link.readlink().name for link in (place / "fd").iterdir() if link.is_symlink()}
        found = set()
        for name in ("tcp", "tcp6"):
            for line in (place / "net" / name).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == LISTENS and f"socket:[{words[9]}]" in own:
                    found.add(words[1].partition(":")[0])
        return found

    def largest_core(self) -> str:
        """Return the largest core file that the process may leave."""
        limits = (Path("/proc") / str(self.process.pid) / "limits").read_text()
        return next(line.split()[4] for line in limits.splitlines() if line.startswith("Max core file size"))


@contextmanager
def running(parts: list[str], env: dict[str, str], folder: Path, **options: Any) -> Iterator[Running]:
    """A run that is over when the test is, however the test ends."""
    run = Running(parts, env, folder, **options)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.wait()


def secrets_in(
    folder: Path, shown: dict[str, bytes], *, apart: tuple[Path, ...] = ()
) -> dict[str, list[str]]:
    """Where anything of the key or the passphrase is to be seen: files below a folder, and what the system showed."""
    everything = shown | {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path not in apart
    }
    return {name: found for name, content in everything.items() if (found := found_in(content))}
