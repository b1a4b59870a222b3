"""Values that no run can have, and what a disk refuses: one sentence and the exit code that says whose it is to mend."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from amm500_nautilus.runtime import cli
from amm500_nautilus.runtime import exits
from tests.end_to_end.market import CONFIG
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import write_bars


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.start=2099-01-05", "data.start 2099-01-05 is not before"),
        ("data.end=1970-01-05", "reach back from data.end 1970-01-05 to before 1970"),
        ("data.catalog=''", "data.catalog"),
        ("market.daily_volume=1.0e+12", "should be less than or equal to 10000000000"),
        ("simulator.daily_volume=1.0e+12", "above 0, 10,000,000,000 at most"),
        ("live.duration=999999d", "live.duration = '999999d': allowed: 400d at most, or null"),
        ("live.duration=999999h", "live.duration = '999999h': allowed: 400d at most, or null"),
        ("data.duplicates=drop", "data.duplicates is read by source file alone"),
        ("account.leverage=true", "leverage is true; allowed: a number"),
        ("strategy.quoting.ladder.levels=true", "levels is true; allowed: a number"),
        ("account.transfers=[{at: 2026-01-06, amount: 1.0e+40}]", "amount"),
        ("venue.latency.sigma=1000", "latency sigma is 1000.0; allowed: 0 to 2"),
        ("venue.latency.p50_ms=1.0e+12", "latency p50_ms is"),
        ("generator.annual_volatility=1000000", "`annual_volatility` was 1000000.0, must be at most 5"),
        (
            "strategy.quoting.spread.bands=[{below: .inf, min_bps: .inf, max_bps: .inf}]",
            "and under 10000: a bid so far away has no price",
        ),
    ],
)
def test_check_refuses_what_no_run_could_use(
    override: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", str(CONFIG), "--set", override]) == exits.BAD_CONFIG
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1


def test_the_busiest_market_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    sets = ["--set", "market.daily_volume=1.0e+10", "--set", "simulator.daily_volume=1.0e+10"]
    assert cli.main(["check", str(CONFIG), *sets]) == exits.DONE
    assert "valid" in capsys.readouterr().out


def test_truth_is_taken_where_it_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(CONFIG), "--set", "strategy.budget.enabled=true"]) == exits.DONE
    assert "valid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("equity", "said"),
    [
        ("-5", "account.equity = -5"),
        ("0", "account.equity = 0"),
        ("nan", "account.equity"),
        ("1", "is empty"),
    ],
)
def test_a_budget_refuses_a_size_of_account_before_it_runs_any(
    equity: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # the size that could be run comes first
    assert cli.main(["budget", str(CONFIG), "--equity", "10000", "--equity", equity]) == exits.BAD_CONFIG
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


def backtest(tmp_path: Path, *overrides: str) -> int:
    line = ["backtest", str(CONFIG), "--quiet", "--out", str(tmp_path / "run")]
    sets = ["data.catalog=" + str(tmp_path / "store"), *overrides]
    return cli.main([*line, *(word for text in sets for word in ("--set", text))])


def test_prices_that_the_simulator_cannot_hold_are_refused_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    span = ["data.source=generator", "data.start=2026-01-06", "data.end=2026-01-07"]
    assert backtest(tmp_path, *span, "market.price=0.01") == exits.BAD_CONFIG
    assert "these prices cannot be simulated" in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".parquet", ".partial")]


def test_copies_of_a_bar_are_left_out_where_the_run_file_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = bar_lines()
    write_bars(tmp_path / "twice.csv", [*lines[:5], *lines[4:]])
    source = ["data.source=file", f"data.path={tmp_path / 'twice.csv'}"]
    assert backtest(tmp_path, *source) == exits.BAD_CONFIG
    assert "`duplicates: drop` leaves exact copies out" in capsys.readouterr().err
    assert backtest(tmp_path, *source, "data.duplicates=drop") == exits.DONE


def fails(error: OSError) -> Callable[[], int]:
    def job() -> int:
        raise error

    return job


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EACCES, exits.BAD_CONFIG),
        (errno.EROFS, exits.BAD_CONFIG),
        (errno.ENAMETOOLONG, exits.BAD_CONFIG),
        (errno.ENOSPC, exits.FAILED),
        (errno.EIO, exits.FAILED),
    ],
)
def test_what_the_disk_refuses_is_one_sentence(
    number: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits.guarded(fails(OSError(number, "It said so", "runs/a"))) == code
    assert capsys.readouterr().err == "error: runs/a: It said so\n"


def test_an_error_of_our_own_keeps_its_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        exits.guarded(fails(FileNotFoundError(errno.ENOENT, "No such file", "runs/a")))


def test_an_interrupted_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    def job() -> int:
        raise KeyboardInterrupt

    assert exits.guarded(job) == exits.INTERRUPTED
    assert capsys.readouterr().err == "interrupted; a run directory that was begun keeps its .partial name\n"


def test_a_command_told_to_end_says_so_and_hears_no_more_after(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def job() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return exits.DONE

    assert exits.guarded(job) == exits.TERMINATED
    assert capsys.readouterr().err == "terminated; a run directory that was begun keeps its .partial name\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_hears_its_own_end_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def job() -> int:
        assert signal.getsignal(signal.SIGTERM) is before
        return exits.DONE

    assert exits.guarded(job, hears_sigterm=False) == exits.DONE
