"""What the commands load before they do anything: each costs every start seconds and every process memory."""

import os
import subprocess
import sys

import pytest


# used by some commands only, and loaded by them
HEAVY = ("scipy", "duckdb", "yfinance", "pandas_market_calendars", "boto3", "ray", "optuna", "dash", "torch")


@pytest.mark.parametrize("module", ["backtest", "live", "cli"])
def test_a_start_loads_no_library_that_only_some_commands_need(module: str) -> None:
    script = (
        f"import sys, amm500_nautilus.runtime.{module}\n"
        f"loaded = set({HEAVY!r}) & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
