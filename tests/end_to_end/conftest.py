"""An hour of a simulated market, run once for the tests that only look at what it left."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.market import EAGER
from tests.end_to_end.market import backtest
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import write_bars


@dataclass(frozen=True)
class Hour:
    """A finished run: its bars, its catalogue, its directory."""

    bars: Path
    store: Path
    out: Path


@pytest.fixture(scope="session")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Hour:
    folder = tmp_path_factory.mktemp("hour")
    bars = write_bars(folder / "bars.csv", bar_lines())
    made = Hour(bars, folder / "store", folder / "run")
    assert backtest(made.bars, made.store, made.out, *EAGER) == 0
    return made
