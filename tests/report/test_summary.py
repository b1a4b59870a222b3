"""A run's summary, checked on paper."""

import json
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from amm500_catalog.errors import InputError
from amm500_nautilus.report.summary import summarize
from amm500_nautilus.report.summary import write_summary
from amm500_nautilus.report.types import TargetLevels
from amm500_nautilus.report.types import VerdictLevels


def test_parts_of_a_round_trip_add_up_to_what_the_ledger_earned(mini_run, context):
    run = mini_run(600)
    run.set_mid(0, "690.05").quote(1, 69000, 69010)
    # buy 2 at 690.00 under a mid of 690.05: 2 * 0.05 = 0.10 captured
    run.fill(30, +1, "2", "690.00", fee="0.035")
    # 5 s later the mid is 0.03 lower: 2 * -0.03 = -0.06 adverse
    run.set_mid(33, "690.02")
    run.set_mid(70, "690.12")
    # sell 2 at 690.15 over a mid of 690.12: 0.06 captured; no move within 5 s
    run.fill(80, -1, "2", "690.15", fee="0.036")
    run.pay_funding(90, "-0.004")
    summary = summarize(run.finish(600), context)
    pnl = summary["pnl"]
    assert pnl["spread_capture"] == pytest.approx(0.10 + 0.06)
    assert pnl["adverse_selection"] == pytest.approx(-0.06)
    # the position of 2 rode from 690.05 to 690.12: 2 * 0.07 = 0.14, less the adverse -0.06
    assert pnl["inventory"] == pytest.approx(0.14 + 0.06)
    assert pnl["fees"] == pytest.approx(-0.071)
    assert pnl["funding"] == pytest.approx(-0.004)
    assert pnl["liquidation"] == 0
    # bought for 1380.00, sold for 1380.30
    assert pnl["total"] == pytest.approx(0.30 - 0.071 - 0.004)
    assert summary["pnl_check"]["ok"]


def test_summary_is_written_as_json_that_reads_back(mini_run, context):
    run = mini_run(600)
    run.set_mid(0, "690.05").quote(1, 69000, 69010)
    out = run.finish(600)
    summary = write_summary(out, context)
    assert json.loads((out / "summary.json").read_text()) == summary
    assert not list(out.glob("*.partial"))
    assert summary["verdict"] == "not_enough_trading"
    assert summary["metrics"]["sharpe"] is None
    assert "100" in summary["reasons"]["sharpe"]


def test_a_run_that_could_have_gone_on_for_a_year_is_judged_by_the_time_it_took(mini_run, context):
    """A run without an end is planned for long; its blocks of returns are those that there were."""
    run = mini_run(400 * 86_400.0)
    run.set_mid(0, "690.05").quote(1, 69000, 69010)
    run.fill(30, +1, "2", "690.00", fee="0.035")
    run.to(120)
    run.recorder.on_minute(run.now)
    assert run.recorder.close(run.now) == []
    summary = summarize(run.out_dir, context)
    assert summary["metrics"]["sharpe"] is None
    assert "100" in summary["reasons"]["sharpe"]


def test_a_fill_before_the_mid_moves_against_it_is_adverse_and_its_markout_negative(mini_run, context):
    run = mini_run(600)
    run.set_mid(0, "690.05").fill(30, +1, "1", "690.00")
    # the mid falls half a second after the fill
    run.set_mid(30.5, "689.95")
    summary = summarize(run.finish(600), context)
    assert summary["pnl"]["adverse_selection"] == pytest.approx(-0.10)
    # (689.95 - 690.00) / 690.00
    assert summary["markouts_bps"]["1s"] == pytest.approx(-0.05 / 690 * 1e4)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        # the mid of exactly t+1 s counts for the markout at 1 s, one a moment later does not
        pytest.param(31.0, -0.10, id="a mid at the horizon counts"),
        pytest.param(31.1, 0.0, id="a mid after the horizon does not"),
    ],
)
def test_markouts_know_nothing_of_the_future(mini_run, context, second, expected):
    run = mini_run(600)
    run.set_mid(0, "690.00").fill(30, +1, "1", "690.00")
    run.set_mid(second, "689.90")
    summary = summarize(run.finish(600), context)
    assert summary["markouts_bps"]["1s"] == pytest.approx(expected / 690 * 1e4)
    assert summary["markouts_bps"]["5s"] == pytest.approx(-0.10 / 690 * 1e4)


def test_fills_in_the_last_minute_have_no_markout_but_are_in_the_sum(mini_run, context):
    run = mini_run(600)
    run.set_mid(0, "690.05").fill(597, +1, "1", "690.00", fee="0.02")
    run.set_mid(598.5, "690.01")
    out = run.finish(600)
    fills = pd.read_csv(out / "fills.csv")
    assert fills["mid_1s"].notna().all()
    assert fills[["mid_5s", "mid_30s", "mid_60s"]].isna().all(axis=None)
    summary = summarize(out, context)
    assert summary["markouts_bps"]["1s"] is None
    assert summary["pnl"]["adverse_selection"] == pytest.approx(-0.04)
    assert summary["pnl"]["total"] == pytest.approx(0.05 - 0.04 - 0.02)
    assert summary["pnl_check"]["ok"]


def test_a_fill_whose_fee_the_ledger_did_not_charge_is_said_loudly(mini_run, context):
    run = mini_run(600)
    run.set_mid(0, "690.05").fill(30, +1, "1", "690.00", fee="0.018")
    run.fees -= Decimal("0.018")
    run.cash += Decimal("0.018")
    check = summarize(run.finish(600), context)["pnl_check"]
    assert not check["ok"]
    assert check["difference"] == pytest.approx(-0.018)
    assert check["message"].startswith("THE PNL PARTS DO NOT ADD UP")


def busy(run, *, fee: str = "0.018", taker: bool = False):
    """An hour with a fill every ten seconds, alternating sides, quotes always out."""
    run.set_mid(0, "690.05").quote(0, 69_003, 69_007)
    for second in range(5, 3_595, 10):
        buy = second % 20 == 5
        run.fill(second, 1 if buy else -1, "1", "690.00" if buy else "690.10", fee=fee, taker=taker)
    return run


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"fills_per_day": 9_000.0}, "fills a day", id="too few fills"),
        pytest.param({"two_sided_uptime": 1.1}, "both sides", id="quoted too little"),
        pytest.param({"turnover_per_day": 1e6}, "turnover", id="too little turnover"),
    ],
)
def test_each_floor_alone_makes_a_run_not_enough_trading(mini_run, context, change, words):
    out = busy(mini_run(3_600)).finish(3_600)
    # 359 fills in an hour are 8,616 a day, each about 690 on an equity of 1,000
    assert summarize(out, context)["verdict"] == "not_enough_data"
    summary = summarize(out, replace(context, verdict=VerdictLevels(**change)))
    assert summary["verdict"] == "not_enough_trading"
    assert words in summary["verdict_reasons"][0]


def test_a_missed_target_fails_even_while_the_sharpe_is_unknown(mini_run, context):
    out = busy(mini_run(3_600)).finish(3_600)
    summary = summarize(out, replace(context, targets=TargetLevels(trades_per_day=9_000)))
    assert summary["verdict"] == "fail"
    assert {row["name"]: row["pass"] for row in summary["targets"]} == {
        "sharpe": None,
        "trades_per_day": False,
        "maker_ratio": True,
        "max_drawdown": True,
        "max_margin_ratio": True,
    }


def test_the_hash_is_of_what_happened_and_nothing_else(mini_run, context):
    first = summarize(busy(mini_run(3_600)).finish(3_600), context)
    second = summarize(busy(mini_run(3_600)).finish(3_600), replace(context, name="other", wall_seconds=9.0))
    dearer = summarize(busy(mini_run(3_600), fee="0.019").finish(3_600), context)
    left_open = summarize(busy(mini_run(3_600)).rest(+1, "1", "689.00").finish(3_600), context)
    took = summarize(busy(mini_run(3_600), taker=True).finish(3_600), context)
    assert len(first["result_hash"]) == 64
    # the events' random ids differ between the first two
    assert first["result_hash"] == second["result_hash"]
    assert len({run["result_hash"] for run in (first, dearer, left_open, took)}) == 4


def test_a_run_cut_short_is_refused_with_the_file_that_is_missing(mini_run, context):
    run = mini_run(600)
    run.set_mid(0, "690.05").fill(30, +1, "1", "690.00")
    with pytest.raises(InputError, match=r"fills\.csv is missing"):
        summarize(run.out_dir, context)
    run.finish(600)


def test_a_fill_through_zero_closes_first_and_splits_its_fee(mini_run):
    run = mini_run(600)
    run.set_mid(0, "690.00").fill(10, +1, "1", "690.00", fee="0.010")
    # sells 3: closes 1 at +0.50 gross; its own fee's third is 0.010, and the opening fee 0.010 goes with it
    run.fill(20, -1, "3", "690.50", fee="0.030")
    # buys 2 back at 690.20: 2 * 0.30 gross, opening share 0.020, own fee 0.008
    run.fill(30, +1, "2", "690.20", fee="0.008")
    fills = pd.read_csv(run.finish(600) / "fills.csv")
    assert fills["closed_pnl_net"].isna().tolist() == [True, False, False]
    assert fills["closed_pnl_net"].tolist()[1:] == pytest.approx([0.50 - 0.020, 0.60 - 0.028])
    assert fills["position_after"].tolist() == [1.0, -2.0, 0.0]
