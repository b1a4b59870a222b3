"""The account between minutes, the distance to liquidation, and the row of the table."""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from amm500_nautilus.report.files import RunFiles
from amm500_nautilus.research.survival import AccountPath
from amm500_nautilus.research.survival import MarketPath
from amm500_nautilus.research.survival import StressRow
from amm500_nautilus.research.survival import account_path
from amm500_nautilus.research.survival import final_state
from amm500_nautilus.research.survival import fired_table
from amm500_nautilus.research.survival import liquidation_distance
from amm500_nautilus.research.survival import stress_csv
from amm500_nautilus.research.survival import stress_table
from amm500_nautilus.research.survival import what_fired


# half the initial margin at 25x
RATE = 0.02


def row(**values: object) -> StressRow:
    given: dict = {
        "scenario": "crash_10", "survived": True, "net_pnl": -12.5, "max_drawdown": 0.01, "lowest_equity": 987.5,
        "max_margin_ratio": 0.4, "min_distance": 0.021, "liquidations": 0, "liquidation_loss": 0.0, "final_state": "quoting",
        "fired": ("one_sided", "margin"), "fills": 12, "max_position": 1.5, "result_hash": "ab", **values,
    }  # fmt: skip
    return StressRow(**given)


def run_of(folder: Path, fills: list[tuple], states: list[tuple[str, str]]) -> RunFiles:
    """A run that began with 1,000; fills are (second, side, price, size, fee, position after)."""
    names = ["ts_ns", "side", "last_px", "last_qty", "fee", "position_after"]
    none = pd.DataFrame()
    return RunFiles(
        folder, pd.DataFrame(fills, columns=names), none, none, pd.DataFrame({"equity": [1_000.0]}),
        pd.DataFrame(states, columns=["state", "reasons"]), none,
    )  # fmt: skip


def held(position: float, equity: float, mid: float = 100.0) -> AccountPath:
    return AccountPath(np.array([position]), np.array([equity]), np.array([mid]))


@pytest.mark.parametrize(
    ("position", "equity", "expected"),
    [
        # full at 25x: (0.04 - 0.02) / 0.98
        pytest.param(10.0, 40.0, 0.02 / 0.98, id="a full long at 25x"),
        # (0.04 - 0.02) / 1.02
        pytest.param(-10.0, 40.0, 0.02 / 1.02, id="a full short at 25x is nearer"),
        # (0.5 - 0.02) / 0.98
        pytest.param(10.0, 500.0, 0.48 / 0.98, id="half the money it is worth"),
        pytest.param(10.0, 20.0, 0.0, id="at maintenance"),
        pytest.param(10.0, 10.0, -0.01 / 0.98, id="past it"),
        # (1 - 0.02) / 1.02: the price would have to rise by 96 %
        pytest.param(-10.0, 1_000.0, 0.98 / 1.02, id="a short as large as the equity"),
        # (3 - 0.02) / 1.02 is a rise by 292 %
        pytest.param(-10.0, 3_000.0, None, id="a short that only a tripled price would end"),
        pytest.param(10.0, 3_000.0, None, id="a long that is paid for in full"),
        pytest.param(0.0, 40.0, None, id="nothing held"),
    ],
)
def test_the_distance_to_liquidation(position: float, equity: float, expected: float | None) -> None:
    found = liquidation_distance(held(position, equity), RATE)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_the_distance_is_that_of_the_price_the_venue_would_liquidate_at() -> None:
    # at 100 * (1 - 0.48 / 0.98) = 51.0204 the equity is 500 - 10 * 48.9796 = 10.2041, which is 2 % of 510.204
    away = liquidation_distance(held(10.0, 500.0), RATE)
    assert away is not None
    price = 100.0 * (1.0 - away)
    assert 500.0 + 10.0 * (price - 100.0) == pytest.approx(RATE * 10.0 * price)


def test_the_account_between_two_minutes_by_hand(tmp_path: Path) -> None:
    # buys 2 at 100 at second 10, sells 1 at 110 at second 30; pays 0.5 of funding at second 40
    fills = [(10, 1, 100.0, 2.0, 0.1, 2.0), (30, -1, 110.0, 1.0, 0.2, 1.0)]
    pd.DataFrame({"ts_ns": [40], "amount": [-0.5]}).to_csv(tmp_path / "funding.csv", index=False)
    market = MarketPath(
        np.array([5, 10, 20, 30, 40, 50], dtype=np.int64), np.array([100.0, 101.0, 90.0, 112.0, 112.0, 80.0])
    )
    found = account_path(run_of(tmp_path, fills, []), market)
    assert found.position.tolist() == [0.0, 2.0, 2.0, 1.0, 1.0, 1.0]
    # cash 1000; 1000 - 200 - 0.1 = 799.9; 799.9 + 110 - 0.2 = 909.7
    expected = [1_000.0, 799.9 + 202.0, 799.9 + 180.0, 909.7 + 112.0, 909.2 + 112.0, 909.2 + 80.0]
    assert found.equity.tolist() == pytest.approx(expected)


def test_what_fired_is_told_once_in_order_and_without_the_day_s_beginning_and_end(tmp_path: Path) -> None:
    states = [
        ("starting", "no_decision"),
        ("quoting", ""),
        ("paused", "book_stale|margin"),
        ("quoting", "budget_pace|book_stale"),
        ("halted", "drawdown"),
        ("paused", "session"),
    ]
    run = run_of(tmp_path, [], states)
    assert what_fired(run, {}) == ("book_stale", "margin", "budget_pace", "drawdown")
    assert final_state(run, {}) == "halted"


def test_the_risk_engine_s_word_is_added_and_its_state_is_the_final_one(tmp_path: Path) -> None:
    run = run_of(tmp_path, [], [("quoting", "one_sided"), ("quoting", "")])
    risk = {
        "final_state": "REDUCE_ONLY",
        "fired": {"drawdown": 1, "one_sided": 3},
        "reductions": {"stop_loss": 2},
    }
    assert what_fired(run, risk) == ("one_sided", "drawdown", "stop_loss")
    assert final_state(run, risk) == "reduce_only"


def test_a_run_that_never_said_anything_has_no_state(tmp_path: Path) -> None:
    run = run_of(tmp_path, [], [])
    assert (what_fired(run, {}), final_state(run, {})) == ((), "")


def test_every_line_of_the_csv_says_that_it_was_simulated() -> None:
    head, first, second = stress_csv(
        [row(), row(scenario="base", min_distance=None)], "simulated"
    ).splitlines()
    assert head.startswith("scenario,data,survived,net_pnl,")
    assert first == "crash_10,simulated,1,-12.5,0.01,987.5,0.4,0.021,0,0.0,quoting,one_sided|margin,12,1.5,ab"
    assert second.split(",")[7] == ""


def test_the_table_fits_a_terminal_of_eighty_columns_and_shouts_at_a_dead_account() -> None:
    rows = [
        row(scenario="combined_15", net_pnl=-12_345.67, lowest_equity=-1_234.56, survived=False, liquidations=2, liquidation_loss=-9_876.54),
        row(min_distance=None, fired=()),
    ]  # fmt: skip
    console = Console(width=80, record=True, file=StringIO())
    console.print(stress_table(rows))
    console.print(fired_table(rows))
    said = console.export_text()
    for cell in (
        "combined_15",
        "NO",
        "-12,345.67",
        "-1,234.56",
        "2.10%",
        "2, -9,876.54",
        "one_sided, margin",
    ):
        assert cell in said
    assert "yes" in said
    assert "…" not in said
