"""A liquid twin that leads: simulated and handed to the strategy."""

from pathlib import Path

import pytest

from tests.end_to_end.market import backtest
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import summary_of
from tests.end_to_end.market import write_bars


NEAR = (
    "strategy.quoting.spread.bands=[{below: .inf, min_bps: 0.6, max_bps: 6.0}]",
    "strategy.quoting.spread.floor_bps=0.5",
    "simulator.twin={lag_ms: 1000}",
)


@pytest.mark.slow
def test_the_twin_s_quotes_reach_the_strategy_and_change_what_it_does(tmp_path: Path) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines(6))
    with_twin = ("strategy.reference=xyz:SP500", "strategy.quoting.reference.weight=1.0")
    assert backtest(bars, tmp_path / "store", tmp_path / "alone", *NEAR) == 0
    assert backtest(bars, tmp_path / "store", tmp_path / "led", *NEAR, *with_twin) == 0
    alone, led = summary_of(tmp_path / "alone"), summary_of(tmp_path / "led")
    # the same data, so that only what was handed out differs
    assert alone["data"]["defaults"] == led["data"]["defaults"]
    assert led["performance"]["events"] > alone["performance"]["events"]
    assert led["result_hash"] != alone["result_hash"]
    assert led["metrics"]["trades"] > 0


def test_a_reference_that_the_data_lacks_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines(2))
    assert backtest(bars, tmp_path / "store", tmp_path / "out", "strategy.reference=xyz:SP500") == 2
    assert "the dataset has no quotes of xyz:SP500" in capsys.readouterr().err
