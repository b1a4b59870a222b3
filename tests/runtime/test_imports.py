"""What the commands load before they do anything: each costs every start seconds and every process memory."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]


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


# Ctrl-C at the moment when the engine is looked for
INTERRUPTED = """
import os, runpy, signal, sys
sys.argv = [{program!r}, "--help"]
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "nautilus_trader":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
{load}
"""
COMMAND = "from amm500_nautilus.runtime.cli import main\nsys.exit(main())"
SCRIPT = "runpy.run_path(sys.argv[0], run_name='__main__')"


def interrupted(program: str, load: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(program=program, load=load)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("program", "load"),
    [
        ("/usr/bin/amm500", COMMAND),
        (str(ROOT / "run_backtest.py"), SCRIPT),
        (str(ROOT / "run_live.py"), SCRIPT),
    ],
)
def test_a_program_interrupted_while_it_loads_says_so_in_one_line(program: str, load: str) -> None:
    done = interrupted(program, load)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_another_s_program_is_interrupted_as_ever() -> None:
    done = interrupted("notebook", "import amm500_nautilus")
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr
