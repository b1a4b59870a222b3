"""A million damaged messages through the readers: records or PayloadError, nothing else."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
RUNS = 1_000_000


def fuzz(module: str, folder: Path, *, runs: int) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-m", f"tests.soak.{module}", str(runs), str(folder)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}:{ROOT / 'catalog'}", "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.soak
@pytest.mark.timeout(7_200)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_a_million_messages_found_by_coverage_are_read_or_refused(tmp_path: Path) -> None:
    counts = fuzz("guided_fuzzer", tmp_path, runs=RUNS)
    assert counts["guided"] is True
    assert counts["runs"] == RUNS
    assert counts["message read"] >= 10_000
    assert counts["frame read"] >= 100


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_a_million_messages_broken_by_chance_are_read_or_refused(tmp_path: Path) -> None:
    counts = fuzz("parsing_fuzzer", tmp_path, runs=RUNS)
    assert counts["runs"] == RUNS
    assert counts["message read"] >= 50_000
    assert counts["frame read"] >= 10_000


@pytest.mark.parametrize("module", ["parsing_fuzzer", "guided_fuzzer"])
def test_the_fuzzer_itself_runs_and_counts(module: str, tmp_path: Path) -> None:
    if module == "guided_fuzzer" and importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed")
    counts = fuzz(module, tmp_path, runs=2_000)
    assert counts["runs"] == 2_000
    assert counts["message read"] >= 10
    assert counts["message refused"] >= 100
