"""Thirty simulated days: what a fill costs at the end, and whether memory stays flat."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_a_month_round_the_clock_stays_flat() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.month", "--days", "30"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    crossings = re.search(r"crossings of zero ([\d,]+)", done.stdout)
    cost = re.search(r"last day over first ([\d.]+)", done.stdout)
    memory = re.search(r"peak memory (\d+) MB .* growth ([\d.]+) MB a day", done.stdout)
    assert crossings is not None
    assert cost is not None
    assert memory is not None
    assert int(crossings[1].replace(",", "")) >= 10_000
    assert float(cost[1]) <= 1.2
    assert int(memory[1]) <= 700
    assert float(memory[2]) <= 5.0
