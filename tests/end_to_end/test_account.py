"""The account section of a run file: transfers, a depegged collateral, and what is refused."""

from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end.conftest import Hour
from tests.end_to_end.market import EAGER
from tests.end_to_end.market import backtest
from tests.end_to_end.market import summary_of


def test_transfers_and_a_depeg_of_the_run_file_reach_the_report_and_not_the_pnl(
    hour: Hour, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code = backtest(
        hour.bars,
        hour.store,
        out,
        *EAGER,
        "account.transfers=[{at: 2026-01-05T14:45Z, amount: 250}, {at: 2026-01-05T15:00Z, amount: -50.5}]",
        "account.collateral_price=0.97",
    )
    assert code == 0
    summary = summary_of(out)
    account = summary["account"]
    assert account["transfers"] == 199.5
    assert summary["pnl"]["total"] == pytest.approx(
        account["equity_end"] - account["equity_start"] - 199.5, abs=1e-6
    )
    assert summary["pnl_check"]["ok"]
    assert account["equity_end_usd"] == pytest.approx(0.97 * account["equity_end"])
    # the price never moved: it made nothing and lost nothing
    assert account["collateral_effect_usd"] == pytest.approx(0, abs=1e-6)
    states = pd.read_csv(out / "account.csv").dropna(subset=["equity"])
    assert set(states["collateral_price"]) == {0.97}
    assert states["net_transfers"].iloc[-1] == 199.5


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("account.transfers=[{at: 2026-01-06, amount: 1}, {at: 2026-01-05, amount: 1}]", "account.transfers"),
        # the bars are of 2026-01-05: neither is there
        ("account.transfers=[{at: 2026-01-04, amount: 1}]", "account.transfers"),
        ("account.transfers=[{at: 2026-01-07, amount: 1}]", "account.transfers"),
        ("account.collateral_price=0", "account.collateral_price"),
        ("account.margin_mode=strict_isolated", "account.margin_mode"),
        ("account.margin_mode=shared", "account.margin_mode"),
    ],
)
def test_an_impossible_account_is_refused_by_its_key(
    hour: Hour, tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, key: str
) -> None:
    assert backtest(hour.bars, hour.store, tmp_path / "run", setting) == 2
    assert key in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
