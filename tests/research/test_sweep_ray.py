"""A sweep on a real Ray of this machine's own: killed in the middle, taken up again, equal to single runs, and reachable by nobody."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.runtime.backtest import run
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.sweep.pool import RayPool
from amm500_nautilus.runtime.sweep.state import read_state
from tests.end_to_end.market import ROOT
from tests.research.sweep_scene import family
from tests.research.sweep_scene import listening
from tests.research.sweep_scene import sweep_values
from tests.research.sweep_scene import write_sweep


LIMIT_S = 600
MAIN = "import sys; from amm500_nautilus.runtime.cli import main; sys.exit(main(sys.argv[1:]))"
# 127.0.0.1, alone and as an address of six, in the kernel's order of bytes
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@contextmanager
def sweeping(config: Path, out: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command as a process of its own; whatever is left of it and below it at the end is killed."""
    log = out.with_suffix(".log").open("ab")
    environment = {
        **os.environ,
        "HOME": str(out.parent / "home"),
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    for name in (
        "RAY_AUTH_TOKEN",
        "RAY_AUTH_MODE",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
        "RAY_USAGE_STATS_ENABLED",
    ):
        environment.pop(name, None)
    (out.parent / "home").mkdir(exist_ok=True)
    command = [sys.executable, "-c", MAIN, "sweep", str(config), "--out", str(out), *more]
    process = subprocess.Popen(
        command, stdout=log, stderr=log, cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        yield process
    finally:
        for pid in family(process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()
        log.close()


def wait_for(out: Path, process: subprocess.Popen[bytes], done: int) -> None:
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        finished = [path for path in (out / "trials").glob("*") if path.suffix != ".partial"]
        if len(finished) >= done:
            return
        assert process.poll() is None, out.with_suffix(".log").read_text(encoding="utf-8")
        time.sleep(0.05)
    raise AssertionError(f"{done} trials never came: {out.with_suffix('.log').read_text(encoding='utf-8')}")


@pytest.mark.timeout(1_200)
def test_nine_trials_killed_in_the_middle_are_each_run_once_and_equal_to_single_runs(tmp_path: Path) -> None:
    config, out = write_sweep(tmp_path, sweep_values(tmp_path)), tmp_path / "out"
    with sweeping(config, out) as process:
        wait_for(out, process, 3)
        below = family(process.pid)
        addresses = listening(below)
        births = {pid: (_birth(pid), _name(pid)) for pid in below}
        process.kill()
        process.wait()
    # Ray listened, to this machine alone
    assert len(addresses) >= 3
    assert {address for found in addresses.values() for address in found} <= LOOPBACK
    before = {
        path.name: path.stat().st_ino for path in (out / "trials").iterdir() if path.suffix != ".partial"
    }
    assert 3 <= len(before) < 9
    state = read_state(out)
    assert state is not None
    left = Path(state.ray_folder)
    assert left.is_dir()
    with sweeping(config, out) as process:
        assert process.wait(LIMIT_S) == 0, out.with_suffix(".log").read_text(encoding="utf-8")
    assert not left.exists()
    state = read_state(out)
    assert state is not None
    assert (state.starts, state.finished, len(state.in_state("done"))) == (2, True, 9)
    # what was done was not done again, and what ran twice was cut down by the kill: at most the two that were running
    after = {path.name: path.stat().st_ino for path in (out / "trials").iterdir()}
    assert {name: after[name] for name in before} == before
    assert sum(trial.attempts for trial in state.trials) <= 11
    assert all(trial.attempts == 1 for trial in state.trials if trial.folder in before)
    # each process's node read the catalogue's files once, for all its trials
    assert list(state.data_reads.values()) == [1] * len(state.data_reads)
    # no account of the user was written to, and no token stays
    assert not (tmp_path / "home" / ".ray").exists()
    hashes = pd.read_csv(out / "table.csv").set_index("trial")["result_hash"]
    for number in (1, 9):
        alone = run(
            load_config(out / "trials" / f"{number:04d}" / "config.yaml"), out=tmp_path / f"alone-{number}"
        )
        assert alone.summary["result_hash"] == hashes[number]
    assert hashes.nunique() == 9
    best = load_config(out / "best.yaml")
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert (
        best.strategy.quoting.fixed_grid.offset_ticks
        == report["best"]["labels"]["strategy.quoting.fixed_grid.offset_ticks"]
    )
    # the whole family died with the one that was killed: at once what works, and Ray's own agents when they look for their parent
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until and any(_birth(pid) == birth != "" for pid, (birth, _) in births.items()):
        time.sleep(0.05)
    assert [name for pid, (birth, name) in births.items() if _birth(pid) == birth != ""] == []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:120]
    except OSError:
        return ""


def _birth(pid: int) -> str:
    """Return when a running process began, in the kernel's ticks, which no other of this number shares; nothing when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def test_an_address_without_a_cluster_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray  # noqa: PLC0415

    def refuse(**_: object) -> None:
        raise ConnectionError("nobody there")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(SourceUnavailableError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        RayPool(workers=1, address="127.0.0.1:1", trials_a_process=1, prunes=False)
