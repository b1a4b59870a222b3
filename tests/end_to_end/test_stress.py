"""The stress command on an hour of bars: two scenarios beside the base, what it writes, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from amm500_nautilus.report.files import read_run
from amm500_nautilus.research.scenario import SCENARIOS
from amm500_nautilus.research.survival import account_path
from amm500_nautilus.research.survival import market_path
from amm500_nautilus.research.survival import stress_row
from amm500_nautilus.runtime import cli
from amm500_nautilus.runtime.backtest import main
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.data import prepare
from amm500_nautilus.runtime.progress import Progress
from tests.end_to_end.market import EAGER
from tests.end_to_end.market import ROOT
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import summary_of
from tests.end_to_end.market import write_bars


CONFIG = ROOT / "configs" / "stress_x25.yaml"
# twelve bars of five minutes from 14:30: ten minutes before the event, and a quarter of an hour of it
SPAN = ("stress.before_min=10", "stress.after_min=15", "stress.crash_s=120", "stress.event=2026-01-05T14:50Z")


def line(folder: Path, *more: str) -> list[str]:
    """Return the command line of a stress table over the bars of a folder."""
    values = [
        "data.source=file",
        f"data.path={folder / 'bars.csv'}",
        f"data.catalog={folder / 'store'}",
        *SPAN,
    ]
    words = ["stress", str(CONFIG), "--quiet"]
    for value in values:
        words += ["--set", value]
    return [*words, *more]


def table_of(out: Path) -> dict[str, dict[str, Any]]:
    found = json.loads((out / "stress.json").read_text(encoding="utf-8"))
    return {row["scenario"]: row for row in found["rows"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stress")
    write_bars(made / "bars.csv", bar_lines())
    eager = [word for value in EAGER for word in ("--set", value)]
    chosen = ["--scenario", "outage_60", "combined_15", "crash_10", "--out", str(made / "out")]
    assert cli.main(line(made, *eager, *chosen)) == 0
    return made


def test_the_table_has_the_base_and_the_scenarios_asked_for(folder: Path) -> None:
    rows = table_of(folder / "out")
    assert list(rows) == ["base", "crash_10", "outage_60", "combined_15"]
    report = json.loads((folder / "out" / "stress.json").read_text(encoding="utf-8"))
    assert report["data"]["label"] == "simulated"
    assert report["data"]["event"] == "2026-01-05T14:50:00+00:00"
    assert report["account"]["leverage"] == 25
    csv = pd.read_csv(folder / "out" / "stress.csv")
    assert csv["scenario"].tolist() == list(rows)
    assert set(csv["data"]) == {"simulated"}
    assert csv["net_pnl"].tolist() == [row["net_pnl"] for row in rows.values()]
    assert not list(folder.rglob("*.partial"))


def test_each_scenario_is_a_whole_run_whose_summary_says_what_the_table_says(folder: Path) -> None:
    for name, row in table_of(folder / "out").items():
        summary = summary_of(folder / "out" / name)
        assert summary["name"] == f"stress_x25-{name}"
        assert summary["data"]["simulated"] is True
        assert summary["result_hash"] == row["result_hash"]
        assert summary["metrics"]["net_pnl"] == row["net_pnl"]
        assert summary["metrics"]["trades"] == row["fills"] > 0
        assert any(
            f"stress scenario {name}, event at 2026-01-05 14:50" in text
            for text in summary["data"]["defaults"]
        )
        # ten minutes before the event and fifteen after it
        assert summary["data"]["start"][:16] == "2026-01-05T14:40"
        assert summary["data"]["end"][:16] == "2026-01-05T15:05"


def test_the_price_that_was_quoted_fell_by_ten_percent_and_not_before_the_event(folder: Path) -> None:
    base, crash = (pd.read_parquet(folder / "out" / name / "equity.parquet") for name in ("base", "crash_10"))
    mids = [frame.set_index("ts")["mid"] for frame in (base, crash)]
    ratio = (mids[1] / mids[0]).dropna()
    event = pd.Timestamp("2026-01-05T14:50Z")
    assert (ratio[ratio.index <= event] == 1.0).all()
    bottom = mids[1][mids[1].index >= event + pd.Timedelta(minutes=2)].iloc[0]
    # the book's mid is on the tick, and its touch trails the efficient price by a tick or so
    assert bottom / mids[0][mids[0].index <= event].iloc[-1] == pytest.approx(0.90, abs=5e-4)


def test_the_market_makers_books_fell_out_of_step_in_the_fall(folder: Path) -> None:
    rows = table_of(folder / "out")
    # a maker that rests bids under a falling price buys on the way down
    assert rows["crash_10"]["net_pnl"] < rows["base"]["net_pnl"]
    assert rows["crash_10"]["max_drawdown"] > rows["base"]["max_drawdown"]
    assert rows["crash_10"]["lowest_equity"] < rows["base"]["lowest_equity"]


def test_only_an_outage_leaves_the_book_stale(folder: Path) -> None:
    stale = {name: "book_stale" in row["fired"] for name, row in table_of(folder / "out").items()}
    assert stale == {"base": False, "crash_10": False, "outage_60": True, "combined_15": True}


def test_a_price_that_falls_while_nothing_passes_fills_the_bids_that_could_not_be_canceled(
    folder: Path,
) -> None:
    event = pd.Timestamp("2026-01-05T14:50Z").value
    run = read_run(folder / "out" / "combined_15")
    blind = run.fills[(run.fills["ts_ns"] >= event) & (run.fills["ts_ns"] < event + 60 * 10**9)]
    assert len(blind) > 0
    assert set(blind["side"]) == {1}
    # all of them rested before; nothing that was sent meanwhile arrived
    sent = run.orders.set_index("client_order_id")["ts_init"].astype("int64")
    assert (blind["client_order_id"].map(sent) < event).all()
    assert not run.fills["trade_id"].duplicated().any()


def test_the_account_between_the_minutes_is_the_ledger_s_at_every_minute(folder: Path) -> None:
    config = load_config(folder / "out" / "crash_10" / "config.yaml")
    dataset = prepare(config, Progress(quiet=True))
    market = market_path(dataset.batches(), dataset.instrument.id)
    run = read_run(folder / "out" / "crash_10")
    path = account_path(run, market)
    minutes = run.equity[run.equity["ts_ns"] > market.ts_ns[0]]
    at = np.searchsorted(market.ts_ns, minutes["ts_ns"].to_numpy(), side="right") - 1
    assert (minutes["position"] != 0).any()
    assert path.position[at].tolist() == minutes["position"].tolist()
    # beside the position at the mid, which may be a quote of the same moment further on
    cash = (minutes["equity"] - minutes["position"] * minutes["mid"]).to_numpy()
    # a payment on the hour comes after the last quote before it
    paid = pd.read_csv(run.path / "funding.csv")
    since = [
        paid["amount"][(paid["ts_ns"] > quoted) & (paid["ts_ns"] <= minute)].sum()
        for quoted, minute in zip(market.ts_ns[at], minutes["ts_ns"], strict=True)
    ]
    assert sum(amount != 0 for amount in since) == 1
    assert (path.equity - path.position * path.mid)[at] + since == pytest.approx(cash, abs=1e-6)


def test_a_scenario_s_own_run_file_gives_the_scenario_again(folder: Path, tmp_path: Path) -> None:
    config = folder / "out" / "crash_10" / "config.yaml"
    assert main([str(config), "--quiet", "--out", str(tmp_path / "again")]) == 0
    assert (
        summary_of(tmp_path / "again")["result_hash"] == table_of(folder / "out")["crash_10"]["result_hash"]
    )


def test_the_same_command_gives_the_same_table(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    eager = [word for value in EAGER for word in ("--set", value)]
    # a store of its own: the data is made anew
    store = ["--set", f"data.catalog={tmp_path / 'store'}"]
    assert (
        cli.main(line(folder, *eager, *store, "--scenario", "crash_10", "--out", str(tmp_path / "out"))) == 0
    )
    first, again = table_of(folder / "out"), table_of(tmp_path / "out")
    assert again == {name: first[name] for name in ("base", "crash_10")}
    said = capsys.readouterr().out
    assert "SIMULATED stress at 25x on 10000 USDH, event 2026-01-05T14:50 UTC, seed 7" in said
    assert "crash_10" in said


def test_funding_of_a_scenario_is_an_eighth_an_hour_whatever_the_data_says(tmp_path: Path) -> None:
    write_bars(tmp_path / "bars.csv", bar_lines())
    # 15:00 lies in the span; 1 % each 8 h is 0.125 % an hour
    words = line(tmp_path, "--scenario", "funding_1", "--out", str(tmp_path / "out"))
    eager = [word for value in EAGER for word in ("--set", value)]
    assert cli.main([*words, *eager]) == 0
    paid = pd.read_csv(tmp_path / "out" / "funding_1" / "funding.csv")
    assert paid["rate"].tolist() == [0.00125]
    assert pd.read_csv(tmp_path / "out" / "base" / "funding.csv")["rate"].tolist() != [0.00125]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param(["--scenario", "doom"], "there is no scenario 'doom'", id="an unknown scenario"),
        pytest.param(
            ["--set", "stress.scenarios=[{name: x, volatility: -2}]"],
            "`volatility` of scenario 'x' was -2",
            id="a negative multiple",
        ),
        pytest.param(
            ["--set", "stress.event=2026-01-07T15:00Z"],
            "stress.event: the event 2026-01-07T15:00Z",
            id="a fall outside the data",
        ),
        pytest.param(["--set", "stress.depth=1"], "unknown key 'stress.depth'", id="an unknown key"),
        pytest.param(
            ["--set", "stress.before_min=300", "--set", "stress.event=null"],
            "no session holds 300 minutes before an event",
            id="more time than a session has",
        ),
        pytest.param(["--set", "data.source=hl-book"], "cannot be put under stress", id="a recorded book"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_sentence_and_leaves_no_directory(
    more: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_bars(tmp_path / "bars.csv", bar_lines())
    assert cli.main(line(tmp_path, *more)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    said = printed.err.strip()
    assert said.startswith("error: ")
    assert words in said
    assert "\n" not in said
    assert not (tmp_path / "runs").exists()


def test_the_shipped_file_is_at_25x_and_has_every_scenario_of_the_issue() -> None:
    config = load_config(CONFIG)
    assert config.account.leverage == 25
    assert [item.name for item in config.stress.scenarios] == [item.name for item in SCENARIOS]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("liquidations", "dearer", "survived"),
    [
        pytest.param(0, 1.0, True, id="as it was"),
        pytest.param(2, 1.0, False, id="liquidated, whatever the path says"),
        # what was sold at 690 would have to be bought at 69,000: far past the liquidation price, though nobody liquidated it
        pytest.param(0, 100.0, False, id="past the liquidation price"),
    ],
)
def test_who_was_liquidated_or_should_have_been_did_not_survive(
    folder: Path, liquidations: int, dearer: float, survived: bool
) -> None:
    out = folder / "out" / "base"
    summary = summary_of(out)
    summary["metrics"]["liquidations"] = liquidations
    summary["pnl"]["liquidation"] = -5.0 * liquidations
    dataset = prepare(load_config(out / "config.yaml"), Progress(quiet=True))
    market = market_path(dataset.batches(), dataset.instrument.id)
    assert (read_run(out).fills["position_after"] < 0).any()
    row = stress_row("base", out, summary, replace(market, mid=market.mid * dearer), 0.02)
    assert row.survived is survived
    assert row.liquidation_loss == -5.0 * liquidations
    assert (row.min_distance is None) is survived
    assert survived or (row.min_distance is not None and row.min_distance <= 0)
    assert (row.lowest_equity < 0) is (dearer > 1)
