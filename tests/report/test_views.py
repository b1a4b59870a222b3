"""What people see: the terminal tables, why a run was not quoting, and the tearsheet."""

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from amm500_catalog.errors import InputError
from amm500_nautilus.report.charts import markout_chart
from amm500_nautilus.report.charts import thin_path
from amm500_nautilus.report.files import READ_FILES
from amm500_nautilus.report.files import floats
from amm500_nautilus.report.files import read_run
from amm500_nautilus.report.files import read_summary
from amm500_nautilus.report.risk import RiskStream
from amm500_nautilus.report.summary import write_summary
from amm500_nautilus.report.tearsheet import write_tearsheet
from amm500_nautilus.report.terminal import print_compare
from amm500_nautilus.report.terminal import print_summary
from amm500_nautilus.report.terminal import print_why
from amm500_nautilus.report.types import TargetLevels
from amm500_nautilus.report.types import VerdictLevels
from amm500_nautilus.report.why import why
from amm500_nautilus.report.words import data_line
from amm500_nautilus.report.words import runs_line
from amm500_nautilus.risk.types import RiskDecision


@pytest.fixture
def run_dir(mini_run):
    run = mini_run(3_600)
    run.set_mid(0, "690.05").quote(0, 69_003, 69_007)
    for second in range(5, 1_800, 10):
        run.fill(
            second,
            1 if second % 20 == 5 else -1,
            "1",
            "690.00" if second % 20 == 5 else "690.10",
            fee="0.018",
            level=second % 3,
        )
    # half the hour: ten minutes stale, ten minutes one-sided for want of budget, ten minutes too wide
    run.quote(1_800, None, None, state="paused", reasons=("book_stale", "oracle_gap"))
    run.quote(2_400, 69_003, None, reasons=("one_sided", "budget"))
    run.quote(3_000, 68_000, 70_000)
    return run.finish(3_600)


def printed(function, *args, **more) -> str:
    console = Console(file=io.StringIO(), width=160)
    function(*args, console=console, **more)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("simulated", "bars", "start", "red"),
    [
        pytest.param(True, True, "SIMULATED DATA, ITS BARS TOO", True, id="generated bars"),
        pytest.param(True, False, "SIMULATED DATA: ", True, id="a made book from bars"),
        pytest.param(False, False, "RECORDED DATA: ", False, id="a recorded book"),
    ],
)
def test_every_report_says_loudly_what_data_it_ran_on(run_dir, context, simulated, bars, start, red):
    summary = write_summary(run_dir, replace(context, simulated=simulated, bars_simulated=bars))
    text, is_red = data_line(summary)
    assert text.startswith(start)
    assert is_red is red
    assert start in printed(print_summary, summary)
    assert start in printed(print_compare, [summary, summary])
    page = write_tearsheet(run_dir, summary).read_text()
    kind = "simulated" if red else "recorded"
    assert f'<div class="data {kind}">{start}' in page


def test_the_terminal_shows_targets_beside_results_and_every_pnl_part(run_dir, context):
    summary = write_summary(run_dir, context)
    text = printed(print_summary, summary, run_dir)
    for words in (
        "> 2.5",
        "> 2,000",
        "> 90.000 %",
        "< 0.500 %",
        "< 80.000 %",
        "adverse selection",
        "markout",
        "verdict: ",
    ):
        assert words in text
    assert f"{summary['pnl']['total']:+,.4f}" in text
    assert "daily volume 3.4M (source has none)" in text
    assert run_dir.name in text


def test_a_broken_identity_is_printed_before_everything_else(mini_run, context):
    run = mini_run(600)
    run.set_mid(0, "690.05").fill(30, +1, "1", "690.00", fee="0.018")
    run.cash += Decimal(1)
    out = run.finish(600)
    summary = write_summary(out, context)
    text = printed(print_summary, summary)
    assert text.index("THE PNL PARTS DO NOT ADD UP") < text.index("targets")
    assert "THE PNL PARTS DO NOT ADD UP" in write_tearsheet(out, summary).read_text()


def test_a_run_that_ended_halted_says_so_everywhere_and_cannot_pass(run_dir, context):
    easy = replace(
        context, verdict=VerdictLevels(fills_per_day=0.0, two_sided_uptime=0.0, turnover_per_day=0.0)
    )
    easy = replace(easy, targets=TargetLevels(sharpe=-1e9, trades_per_day=0.0, max_drawdown=1.0))
    assert "HALTED" not in printed(print_summary, write_summary(run_dir, easy))
    stream = RiskStream(run_dir)
    for after_s, subject, reason in (
        (0, "state", "RUNNING"),
        (9, "state", "HALTED"),
        (9, "reason", "drawdown"),
    ):
        stream.on_decision(
            RiskDecision(context.start_ns + after_s * 10**9, subject, False, reason, {"halted": 1.0})
        )
    stream.stream.close()
    summary = write_summary(run_dir, easy)
    assert summary["verdict"] == "fail"
    assert summary["verdict_reasons"][0].startswith("HALTED at 20")
    shown = printed(print_summary, summary)
    assert "by drawdown, and still halted at the end" in shown
    assert "risk engine raised: drawdown 1" in shown
    assert "by drawdown" in printed(print_compare, [summary, summary])
    assert '<div class="data broken">HALTED at ' in write_tearsheet(run_dir, summary).read_text()


def test_the_markout_curve_is_the_summary_s(mini_run, context):
    run = mini_run(1_200, sessions=[(0, 600), (900, 1_200)])
    run.set_mid(0, "690.05").quote(1, 69000, 69010)
    run.fill(30, +1, "2", "690.00", fee="0.035")
    # within the last minute of the session: the file has its later mids, the definition leaves it out
    run.fill(570, +1, "2", "680.00", fee="0.035")
    run.set_mid(910, "690.15")
    out = run.finish(1_200)
    assert read_run(out).fills["mid_60s"].notna().all()
    shown = markout_chart(read_run(out)).data[0]
    told = write_summary(out, context)["markouts_bps"]
    assert list(shown.y[1:]) == pytest.approx(list(told.values()))


def test_models_stand_side_by_side(run_dir, context):
    tiered = write_summary(run_dir, context)
    grid = write_summary(run_dir, replace(context, model="fixed_grid"))
    text = printed(print_compare, [tiered, grid])
    assert "tiered" in text
    assert "fixed_grid" in text


def test_why_gives_each_reason_its_share_of_session_time(run_dir):
    report = why(run_dir)
    assert report.session_seconds == pytest.approx(3_600)
    # 600 of 3,600 s had nothing resting, 1,800 s both sides within the band
    assert report.quoted_share == pytest.approx(5 / 6)
    assert report.two_sided_share == pytest.approx(1 / 2)
    sixth = pytest.approx(1 / 6)
    assert report.reasons == {
        "book_stale": sixth,
        "oracle_gap": sixth,
        "one_sided": sixth,
        "budget": sixth,
        "outside_band": sixth,
    }
    assert sum(row.share for row in report.rows) == pytest.approx(1 / 2)
    text = printed(print_why, run_dir)
    assert "book_stale|oracle_gap" in text
    assert "16.667 %" in text


def test_why_reads_a_run_that_is_still_going(mini_run):
    run = mini_run(7_200)
    run.set_mid(0, "690.05").quote(0, None, None, reasons=("book_stale",)).to(7_200)
    assert list(why(run.out_dir).reasons) == ["book_stale"]
    run.finish(7_200)


def test_why_of_a_folder_that_is_no_run_says_so(tmp_path):
    with pytest.raises(InputError, match=r"states\.csv is missing"):
        why(tmp_path)


@pytest.mark.parametrize("read", [why, read_run, read_summary])
def test_a_folder_that_cannot_be_looked_into_is_refused(tmp_path, read):
    # a name too long fails as a folder without permission does, for root too
    with pytest.raises(InputError, match=r"cannot be read \(File name too long\)"):
        read(tmp_path / ("x" * 300))


def test_a_summary_that_is_missing_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"summary\.json is missing"):
        read_summary(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not JSON"),
        (b"\x89PNG\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "holds a list"),
        (b'"run"', "holds a str"),
        (b"{}", "has no 'data'"),
    ],
)
def test_a_summary_that_is_broken_is_refused(tmp_path, content, said):
    (tmp_path / "summary.json").write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_summary(tmp_path)


def test_a_summary_without_all_its_sections_makes_no_tearsheet(run_dir, context):
    summary = write_summary(run_dir, context)
    del summary["pnl"]
    with pytest.raises(InputError, match=r"summary\.json: has no 'pnl'"):
        write_tearsheet(run_dir, summary)
    assert not list(run_dir.glob("tearsheet*"))


DAMAGE = {"empty": b"", "binary": bytes(range(128, 256)) * 8, "other": b"a,b\n1,2\n"}


@pytest.mark.parametrize("name", READ_FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_of_a_run_that_is_damaged_is_named(run_dir, name, damage):
    (run_dir / name).write_bytes(DAMAGE[damage])
    with pytest.raises(InputError, match=rf"{name}: (cannot be read|has no column)") as caught:
        read_run(run_dir)
    assert "\n" not in str(caught.value)


def test_an_equity_path_that_is_cut_short_is_named(run_dir):
    path = run_dir / "equity.parquet"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"equity\.parquet: cannot be read"):
        read_run(run_dir)


def test_the_tearsheet_is_one_self_contained_page_with_every_chart_and_one_sharpe(run_dir, context):
    path = write_tearsheet(run_dir, write_summary(run_dir, context))
    page = path.read_text()
    for words in (
        "Price with fills, quotes and inventory",
        "Equity and drawdown",
        "PnL decomposition over time",
        "Markout curve",
        "Fills by level",
        "Spread factors over time",
        "Margin ratio",
        "Actions against budget",
        "60-minute returns",
        "warn, 80 %",
        "pause, 90 %",
    ):
        assert words in page
    # nothing is loaded from elsewhere, and Nautilus's daily figures are not there
    assert '<script src="http' not in page
    assert 'src="https://cdn' not in page
    for words in ("Sharpe Ratio", "252 days", "Rolling Sharpe"):
        assert words not in page
    assert path.stat().st_size < 8_000_000
    assert not list(run_dir.glob("*.partial"))


def test_thinning_keeps_the_ends_and_the_spikes(run_dir):
    equity = floats(read_run(run_dir).equity, "equity")
    long = equity.repeat(500).copy()
    long[12_345] = -1.0
    long[20_000] = 9e9
    kept = thin_path(long, 100)
    assert len(kept) <= 102
    assert {0, len(long) - 1, 12_345, 20_000} <= set(kept.tolist())


def test_runs_of_losing_closes_stand_beside_chance():
    runs = {
        "longest": 3,
        "losing_share": 0.5,
        "seen": [12, 0, 2],
        "by_chance": [11.25, 5.5, 2.75],
        "chance_of_longest": 0.9375,
    }
    assert runs_line({"losing_runs": runs}) == (
        "losing closes in a row, times seen (times by chance, of closes of which 50.0 % lose): 1 12 (11.2), 3 2 (2.8); "
        "3 or more by chance in 93.8 % of such runs"
    )
    assert runs_line({"losing_runs": {"longest": 0}}) == runs_line({}) == ""
