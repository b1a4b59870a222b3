"""Long sweeps: two Ray nodes on this machine, and the 81 combinations of the grid over three days."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from amm500_nautilus.runtime.backtest import run
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.sweep.state import read_state
from tests.end_to_end.market import ROOT
from tests.research.sweep_scene import family
from tests.research.sweep_scene import sweep_values
from tests.research.sweep_scene import write_sweep


pytestmark = pytest.mark.soak
MAIN = "import sys; from amm500_nautilus.runtime.cli import main; sys.exit(main(sys.argv[1:]))"
START_S = 180


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    """Return an environment in which Ray reports nothing and lets nobody in without a token of this test's own."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return found | {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


@contextmanager
def ray_node(settings: dict[str, str], log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``ray start --block`` and end it with all that it started."""
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", *arguments]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env=settings, start_new_session=True
        )
        try:
            yield process
        finally:
            below = family(process.pid)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pid in below - {process.pid}:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def command_line(settings: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        text=True,
        timeout=3_600 * 8,
        check=False,
    )


def wait_for_nodes(settings: dict[str, str], address: str, count: int) -> None:
    asked = (
        "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False); "
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    until = time.monotonic() + START_S
    said = ""
    while time.monotonic() < until:
        done = subprocess.run(
            [sys.executable, "-c", asked, address], env=settings, capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        if done.returncode == 0 and done.stdout.strip().endswith(str(count)):
            return
    raise AssertionError(f"there never were {count} nodes: {said}")


@pytest.mark.timeout(1_800)
def test_a_cluster_of_two_nodes_runs_the_same_sweep_and_reads_the_catalogue_once_each(tmp_path: Path) -> None:
    config = write_sweep(tmp_path, sweep_values(tmp_path))
    settings, port = environment(), free_port()
    address = f"{socket.gethostbyname(socket.gethostname())}:{port}"
    head = ("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={tmp_path.parent / 'ray'}")
    with ray_node(settings, tmp_path / "head.log", *head):
        wait_for_nodes(settings, address, 1)
        with ray_node(settings, tmp_path / "second.log", f"--address={address}"):
            wait_for_nodes(settings, address, 2)
            out = tmp_path / "out"
            done = command_line(
                settings, "sweep", str(config), "--out", str(out), "--address", address, "--quiet"
            )
            assert done.returncode == 0, done.stderr
            assert "9 of 9 trials done" in done.stdout
    state = read_state(out)
    assert state is not None
    nodes = {trial.node for trial in state.trials}
    assert len(nodes) == 2
    assert state.data_reads == dict.fromkeys(nodes, 1)
    hashes = pd.read_csv(out / "table.csv").set_index("trial")["result_hash"]
    alone = run(load_config(out / "trials" / "0005" / "config.yaml"), out=tmp_path / "alone")
    assert alone.summary["result_hash"] == hashes[5]


@pytest.mark.timeout(1_800)
def test_trials_on_ray_ask_at_each_days_end_and_poor_ones_stop(tmp_path: Path) -> None:
    values = sweep_values(
        tmp_path, minutes=15, days=3, prune="median", prune_after_trials=1, prune_after_days=0
    )
    config, out = write_sweep(tmp_path, values), tmp_path / "out"
    done = command_line(environment(), "sweep", str(config), "--out", str(out), "--quiet")
    assert done.returncode == 0, done.stderr
    state = read_state(out)
    assert state is not None
    ended = {name: [trial for trial in state.trials if trial.state == name] for name in ("done", "pruned")}
    assert len(ended["done"]) + len(ended["pruned"]) == 9
    assert ended["done"]
    assert ended["pruned"]
    for trial in ended["pruned"]:
        assert 1 <= len(trial.days) < 3
        assert not (out / "trials" / trial.folder).exists()


@pytest.mark.timeout(8 * 3_600)
def test_eighty_one_combinations_over_three_days(tmp_path: Path) -> None:
    config, out = ROOT / "configs" / "sweep_grid.yaml", tmp_path / "out"
    done = command_line(
        environment(), "sweep", str(config), "--out", str(out), "--set", f"data.catalog={tmp_path / 'store'}"
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    state = read_state(out)
    assert state is not None
    assert len(state.trials) == 81
    assert len(state.days) == 3
    assert len(state.in_state("done", "failed")) == 81
    assert list(state.data_reads.values()) == [2]  # the searched days, and the day held out
    table = pd.read_csv(out / "table.csv")
    assert table["trial"].tolist() == list(range(1, 82))
    finished = table[table["state"] == "done"]
    assert finished["result_hash"].notna().all()
