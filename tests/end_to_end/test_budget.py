"""What the action limit affords: the command, and the row it makes of a run."""

import pytest

from amm500_nautilus.runtime import cli
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.research.affording import budget_row
from tests.end_to_end.conftest import Hour
from tests.end_to_end.market import CONFIG
from tests.end_to_end.market import EAGER
from tests.end_to_end.market import arguments
from tests.end_to_end.market import summary_of


def test_the_row_is_what_the_run_sent_and_traded(hour: Hour) -> None:
    found = summary_of(hour.out)
    row = budget_row(load_config(CONFIG, []), found, hour.out)
    days = found["metrics"]["days"]
    assert row.sent_a_day == pytest.approx(found["actions"]["sent"] / days)
    assert row.fills_a_day == pytest.approx(found["metrics"]["trades"] / days)
    assert row.actions_per_fill == pytest.approx(found["actions"]["sent"] / found["metrics"]["trades"])
    assert row.plain is not None
    assert row.bought is not None
    # what is bought closes the gap to the target of 2,000 trades, and is paid for
    assert row.bought.trades_a_day >= 2_000 - 1e-6
    assert (row.bought.cost_a_day > 0) == (row.plain.trades_a_day < 2_000)


def test_each_size_of_account_is_run_in_growth_mode_and_without(
    hour: Hour, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # nothing is cut off on a terminal of the usual width
    monkeypatch.setenv("COLUMNS", "80")
    argv = ["budget", *arguments(hour.bars, hour.store, None, *EAGER), "--equity", "10000"]
    assert cli.main(argv) == 0
    shown = capsys.readouterr().out
    assert "SIMULATED data" in shown
    rows = [line for line in shown.splitlines() if line.startswith("│") and "10,000" in line]
    assert ["yes" in row for row in rows] == [True, False, True, False]
    assert "…" not in shown
    assert "beyond the limit" not in shown
