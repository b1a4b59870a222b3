"""Files that a run, a recording or a journal left, and that were cut short or written over since: one sentence, and nothing is made."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amm500_catalog.calibrate_samples import read_recording
from amm500_catalog.errors import InputError
from amm500_catalog.store import DATASETS
from amm500_catalog.store import CatalogStore
from amm500_nautilus.research.walk_forward import Day
from amm500_nautilus.runtime import cli
from amm500_nautilus.runtime.operate.journal_read import find_journal
from amm500_nautilus.runtime.record.importing import import_recorded
from amm500_nautilus.runtime.record.session import HEADER
from amm500_nautilus.runtime.sweep.data import _recorded_paths
from amm500_nautilus.runtime.sweep.report import read_result
from tests.end_to_end.market import EAGER
from tests.end_to_end.market import backtest
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import write_bars
from tests.end_to_end.test_bad_input import recording
from tests.end_to_end.test_bad_input import refused
from tests.runtime.journal_scene import write_journal


Damage = Callable[[dict[str, Any]], object]
REPORTS = ("report", "analyze", "montecarlo")
CONTEXT = {"name": "week", "source": "the exchange", "simulated": False, "market": "km:US500"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    bars = write_bars(folder / "bars.csv", bar_lines())
    assert backtest(bars, folder / "store", folder / "run", *EAGER) == 0
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def without(*keys: str) -> Damage:
    def damage(summary: dict[str, Any]) -> object:
        for key in keys[:-1]:
            summary = summary[key]
        return summary.pop(keys[-1])

    return damage


def with_value(value: Any, *keys: str) -> Damage:
    def damage(summary: dict[str, Any]) -> object:
        for key in keys[:-1]:
            summary = summary[key]
        summary[keys[-1]] = value
        return None

    return damage


SUMMARIES = [
    pytest.param(without("data"), "has no 'data'", REPORTS, id="no data"),
    pytest.param(without("data", "market"), "has no 'data.market'", REPORTS, id="no market"),
    pytest.param(with_value(7, "data"), "'data' is 7; allowed: an object", REPORTS, id="data is a number"),
    pytest.param(with_value("no", "data", "simulated"), "'data.simulated' is 'no'", REPORTS, id="no truth"),
    pytest.param(with_value([], "metrics"), "'metrics' is []", REPORTS, id="figures in a list"),
    pytest.param(
        without("metrics", "liquidations"),
        "has no 'metrics.liquidations'",
        ("report", "montecarlo"),
        id="count",
    ),
    pytest.param(without("result_hash"), "has no 'result_hash'", ("montecarlo",), id="no hash"),
    pytest.param(without("mode"), "has no 'mode'", ("analyze",), id="no mode"),
    pytest.param(without("blocks", "per_year"), "has no 'blocks.per_year'", ("analyze",), id="no blocks"),
    pytest.param(with_value(3, "rebuilt"), "'rebuilt' is 3", ("analyze",), id="rebuilt is a number"),
    pytest.param(without("metrics", "sharpe"), "has no 'metrics.sharpe'", ("report",), id="no figure"),
    pytest.param(with_value("x", "pnl", "fees"), "'pnl.fees' is 'x'", ("report",), id="words as money"),
    pytest.param(without("budget", "notes"), "has no 'budget.notes'", ("report",), id="no notes"),
    pytest.param(with_value([{}], "targets"), "'targets' is [{}]", ("report",), id="targets of nothing"),
    pytest.param(with_value([1], "verdict_reasons"), "'verdict_reasons' is [1]", ("report",), id="reasons"),
    pytest.param(
        with_value([], "markouts_bps"), "'markouts_bps' is []", ("report",), id="markouts in a list"
    ),
    pytest.param(without("account", "transfers"), "has no 'account.transfers'", ("report",), id="account"),
    pytest.param(
        with_value("x", "account", "position_end"), "'account.position_end' is 'x'", ("report",), id="held"
    ),
    pytest.param(with_value(None, "limits"), "'limits' is None", ("report",), id="limits of nothing"),
    pytest.param(without("liquidations", "acts"), "has no 'liquidations.acts'", ("report",), id="no acts"),
]


@pytest.mark.parametrize(
    ("damage", "words", "command"),
    [
        pytest.param(*case.values[:2], command, id=f"{case.id}, {command}")
        for case in SUMMARIES
        for command in case.values[2]
    ],
)
def test_what_a_summary_lacks_is_named(
    damage: Damage, words: str, command: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    damage(summary)
    path.write_text(json.dumps(summary), encoding="utf-8")
    said = refused([command, str(run)], run, capsys, program=cli.main)
    assert f"{path}: {words}" in said


def test_a_summary_of_an_older_run_is_still_reported(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    del summary["account"]["position_end"], summary["account"]["position_value_end"]
    path.write_text(json.dumps(summary), encoding="utf-8")
    assert cli.main(["report", str(run)]) == 0
    for name in ("account", "liquidations", "limits", "mode", "risk", "blocks"):
        del summary[name]
    path.write_text(json.dumps(summary), encoding="utf-8")
    assert cli.main(["report", str(run)]) == 0
    assert "SIMULATED DATA" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("funding.csv", "", "cannot be read", id="no payments"),
        pytest.param("funding.csv", "a,b\n1,2\n", "has no column ts_ns", id="payments of another file"),
        pytest.param("funding.csv", "ts_ns,amount\n1,x\n", "cannot be read", id="a payment in words"),
        pytest.param("liquidations.csv", "ts_ns\nnoon\n", "cannot be read", id="a liquidation at noon"),
        pytest.param("risk.csv", "ts_ns\n1\n", "has no column subject", id="decisions of another file"),
        pytest.param(
            "risk.csv",
            "ts_ns,subject,approved,reason,numbers\n1,reason,0,drawdown,{\n",
            "numbers of a decision that are no JSON",
            id="half of a decision",
        ),
        pytest.param(
            "risk.csv",
            "ts_ns,subject,approved,reason,numbers\n1,reason,0,drawdown,7\n",
            "has 7 as the numbers of a decision",
            id="a number as numbers",
        ),
    ],
)
def test_a_file_beside_a_summary_is_named(
    name: str, content: str, words: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).write_text(content, encoding="utf-8")
    said = refused(["analyze", str(run)], run, capsys, program=cli.main)
    assert f"{run / name}: " in said
    assert words in said


@pytest.mark.parametrize(
    ("column", "values", "command", "words"),
    [
        pytest.param("equity", "x", "analyze", "column equity holds no numbers", id="equity in words"),
        pytest.param("ts_ns", float("nan"), "analyze", "cannot be read", id="no times"),
        pytest.param("fills_cum", None, "report", "has no column fills_cum", id="no count of fills"),
    ],
)
def test_a_wrong_column_of_the_equity_is_named(
    column: str, values: Any, command: str, words: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "equity.parquet"
    frame = pd.read_parquet(path).drop(columns=column)
    (frame if values is None else frame.assign(**{column: values})).to_parquet(path)
    said = refused([command, str(run)], run, capsys, program=cli.main)
    assert f"{path}: " in said
    assert words in said


@pytest.mark.parametrize("name", ["equity.parquet", "sessions.csv", "summary.json"])
def test_a_damaged_trial_of_a_sweep_is_named(name: str, run: Path) -> None:
    (run / name).write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=name):
        read_result(run, [Day("2026-01-05", 0, 1)], "net_pnl")


# -- a journal -------------------------------------------------------------------------------------------------------


def refused_beside(journal: Path, line: list[str], capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    """Run a command line that must be refused; return its sentence. SQLite itself leaves files beside a journal that is read."""
    said = refused(line, folder / "nothing", capsys, program=cli.main)
    left = {path for path in folder.rglob("*") if path.stem != journal.stem}
    assert left == {journal.parent}
    return said


def spoil(journal: Path, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute(sql)


@pytest.mark.parametrize("command", ["report", "analyze"])
@pytest.mark.parametrize(
    ("sql", "words"),
    [
        pytest.param("UPDATE saved SET value = X'7B'", "is not JSON", id="half of a note"),
        pytest.param("UPDATE saved SET value = X'5B5D'", "holds a list", id="a note that is a list"),
        pytest.param(
            "UPDATE fill SET price = 'x' WHERE tid = 't3'", "has 'x' as price", id="a price in words"
        ),
    ],
)
def test_what_is_wrong_in_a_journal_is_said(
    sql: str, words: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = write_journal(tmp_path / "monitor", days=0.1, context=CONTEXT)
    spoil(journal, sql)
    assert words in refused_beside(journal, [command, str(journal)], capsys, tmp_path)


def test_a_note_that_is_no_report_s_leaves_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = write_journal(tmp_path / "monitor", days=0.1, context={**CONTEXT, "targets": {"wealth": 1}})
    said = refused_beside(journal, ["report", str(journal)], capsys, tmp_path)
    assert "the journal's note report.1: cannot be read" in said


def test_a_place_for_a_report_that_cannot_be_made_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = write_journal(tmp_path / "monitor", days=0.1, context=CONTEXT)
    line = ["report", str(journal), "--out", str(journal / "below")]
    assert "cannot be made" in refused_beside(journal, line, capsys, tmp_path)


@pytest.mark.parametrize(
    "content", [b"live: {x: 2026-13-45}\n", b"\xff", b"[" * 5_000, b"- a\n", b"name: [1]\n"]
)
def test_a_run_file_that_names_no_journal_has_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    assert find_journal(tmp_path) is None


# -- recordings and catalogues -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"PAR1", "cannot be read", id="cut short"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\xff" * 400, "cannot be read", id="written over"),
    ],
)
def test_a_damaged_file_of_a_recording_is_named_by_the_ruler(
    content: bytes, words: str, tmp_path: Path
) -> None:
    folder = recording(tmp_path / "recording", bid=4300.1)
    (folder / "ETH_prices.parquet").write_bytes(content)
    with pytest.raises(InputError, match=rf"ETH_prices\.parquet: .*{words}"):
        read_recording(folder, "ETH")


def test_a_recording_without_a_column_is_named_by_the_ruler(tmp_path: Path) -> None:
    folder = recording(tmp_path / "recording", bid=4300.1)
    path = folder / "ETH_trades.parquet"
    pd.read_parquet(path).drop(columns="price").to_parquet(path)
    with pytest.raises(InputError, match="there is no column `price`"):
        read_recording(folder, "ETH")


@pytest.mark.parametrize(
    "damage", [without("coin"), without("simulated"), with_value(1, "coin"), without("instrument")]
)
def test_a_recording_whose_header_lacks_something_is_refused(damage: Damage, tmp_path: Path) -> None:
    header = {"format": 1, "mode": "paper", "coin": "km:US500", "simulated": False, "instrument": {}}
    damage(header)
    (tmp_path / HEADER).write_text(json.dumps(header), encoding="utf-8")
    with pytest.raises(InputError, match=HEADER):
        import_recorded(CatalogStore(str(tmp_path / "store")), tmp_path)


@pytest.mark.parametrize("streams", [[], {"data/x": 3}, {"data/quote_tick/A": {"rows": "many"}}])
def test_a_sweep_names_a_manifest_whose_streams_are_none(streams: Any, tmp_path: Path) -> None:
    (tmp_path / DATASETS).mkdir()
    (tmp_path / DATASETS / "a.json").write_text(json.dumps({"streams": streams}), encoding="utf-8")
    with pytest.raises(InputError, match=r"a\b.*(streams|rows)"):
        _recorded_paths(CatalogStore(str(tmp_path)), "a")
