"""A whole run of a node, with orders, faults and a keystore, and no spelling of its secrets in anything that it leaves or shows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adapter.test_secret_canary import PASSPHRASE
from tests.adapter.test_secret_canary import SECRET
from tests.adapter.test_secret_canary import found_in
from tests.live.exec_session import settle


pytestmark = pytest.mark.live_node
ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))


def processes_of(process):
    """What the system shows of a process and its children: arguments and environment."""
    numbers, shown = [process.pid], {}
    while numbers:
        folder = Path("/proc") / str(numbers.pop())
        try:
            numbers += [
                int(child)
                for task in (folder / "task").iterdir()
                for child in (task / "children").read_text().split()
            ]
            shown |= {
                f"{folder.name}/{name}": (folder / name).read_bytes() for name in ("cmdline", "environ")
            }
        except (FileNotFoundError, ProcessLookupError):
            continue
    return shown


@pytest.mark.skipif(sys.platform != "linux", reason="arguments and environments are read from /proc")
@pytest.mark.parametrize("source", ["keystore", pytest.param("environment", marks=pytest.mark.soak)])
def test_a_whole_run_shows_its_key_nowhere(tmp_path, source):
    run = tmp_path / "run"
    run.mkdir()
    # the key itself goes by standard input: the test must not write what it looks for
    with (tmp_path / "stdout.log").open("wb") as out, (tmp_path / "stderr.log").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.live.exec_canary", source, str(run)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": PATHS, "NODE_LOG": "DEBUG"},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
        )
    assert process.stdin is not None
    try:
        process.stdin.write(SECRET.hex().encode() + b"\n" + PASSPHRASE + b"\n")
        process.stdin.flush()
        settle(lambda: (run / "running").exists() or process.poll() is not None, seconds=60)
        shown = processes_of(process)
        process.communicate(b"GO ON\n", timeout=120)
    finally:
        process.kill()
        process.wait()
    shown |= {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert process.returncode == 0, shown["stderr.log"][-2_000:].decode()
    assert {name: found_in(content) for name, content in shown.items() if found_in(content)} == {}
    # it was a run: it logged, traded, failed and kept its state
    assert b"[DEBUG]" in shown["stdout.log"]
    assert b'"action"' in shown["run/requests.json"]
    assert b"TransportError" in shown["run/errors.txt"]
    assert any(name.startswith("run/state") for name in shown)
    assert f"{process.pid}/cmdline" in shown
    assert f"{process.pid}/environ" in shown


def test_the_search_finds_each_spelling():
    for text in (
        SECRET.hex(),
        SECRET.hex().upper(),
        f"0x{SECRET.hex()}",
        str(int.from_bytes(SECRET)),
        repr(SECRET),
    ):
        assert found_in(f"before {text} after")
    assert found_in(b"before " + SECRET + b" after")
