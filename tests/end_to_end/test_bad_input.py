"""What cannot be run is refused with one clear sentence and exit code 2, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from amm500_nautilus.runtime import cli
from amm500_nautilus.runtime.backtest import main
from tests.end_to_end.market import CONFIG
from tests.end_to_end.market import arguments
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import write_bars


Lines = Callable[[list[str]], list[str]]


def refused(
    line: list[str], folder: Path, capsys: pytest.CaptureFixture[str], *, program: Callable = main
) -> str:
    """Run a command line that must be refused; return its one sentence."""
    before = {path for path in folder.rglob("*") if "store" not in path.parts}
    assert program(line) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    said = printed.err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    assert "Traceback" not in said
    after = {path for path in folder.rglob("*") if "store" not in path.parts}
    assert after == before
    store = folder / "store"
    left = (
        [path for path in store.rglob("*") if path.is_file() and path.name != ".lock"]
        if store.exists()
        else []
    )
    assert left == []
    return said


VALUES = [
    pytest.param("data.dais=3", "unknown key 'data.dais'", id="unknown key"),
    pytest.param("strategy.quoting.spred=3", "unknown key 'strategy.quoting.spred'", id="unknown nested key"),
    pytest.param("data.days=many", "data.days = 'many'", id="wrong type"),
    pytest.param("account.equity=-5", "account.equity", id="negative equity"),
    pytest.param(
        "strategy.quoting.spread.bands=[{below: 1.0, min_bps: -1.0, max_bps: 5.0}]",
        "min_bps",
        id="negative spread",
    ),
    pytest.param(
        "strategy.quoting.spread.bands=[{below: 1.0, min_bps: 9.0, max_bps: 5.0}]",
        "max_bps",
        id="min above max",
    ),
    pytest.param(
        "data.start=2026-01-06",
        "data.end 2026-01-05 is not after data.start 2026-01-06",
        id="end before start",
    ),
    pytest.param("data.start=yesterday", "'yesterday' is not a date", id="not a date"),
    pytest.param("data.columns={when: time}", "unknown column role 'when'", id="unknown column role"),
    pytest.param("strategy.quoting.model=magic", "strategy.quoting.model", id="unknown model"),
    pytest.param("account.private_key=0x12", "secret", id="secret on the command line"),
    pytest.param("nonsense", "'nonsense' is not an assignment", id="override without a value"),
    pytest.param("account.equity=.inf", "account.equity = inf", id="endless equity"),
    pytest.param("account.equity=1e400", "account.equity", id="more equity than a number holds"),
    pytest.param(
        "account.leverage=3.5", "account.leverage = 3.5: the venue takes whole", id="leverage not whole"
    ),
    pytest.param("market.price=.inf", "market.price = inf", id="endless price"),
    pytest.param("market.price=0.000001", "under the tick", id="price under the tick"),
    pytest.param("market.daily_volume=.inf", "market.daily_volume = inf", id="endless volume"),
    pytest.param(
        "market.coin=../../x", "market.coin = '../../x': allowed: a market's name", id="coin as a path"
    ),
    pytest.param("market.coin=''", "market.coin = ''", id="no coin"),
    pytest.param("market.collateral=U/../H", "market.collateral", id="collateral as a path"),
    pytest.param("data.end=9999-12-31", "allowed: the years 1970 to 2099", id="a date past every calendar"),
    pytest.param("data.days=100000000", "data.days", id="more days than there are"),
    pytest.param("report.target_sharpe=.nan", "report.target_sharpe = nan", id="target that is no number"),
    pytest.param(
        "strategy.budget.buy_spend_cap=nan",
        "strategy.budget.buy_spend_cap is nan; allowed: a number",
        id="spend cap that is no number",
    ),
    pytest.param(
        "simulator.oracle_interval_s=-1", "simulator: `oracle_interval_s` was -1.0", id="oracle before itself"
    ),
    pytest.param(
        "strategy.quoting.ladder.levels=0",
        ": strategy.quoting.ladder: LadderConfig.levels is 0",
        id="no levels, named by its key",
    ),
    pytest.param("live.duration=0s", "live.duration = '0s': allowed: a whole number with", id="no duration"),
]


@pytest.mark.parametrize(("value", "words"), VALUES)
def test_a_value_that_cannot_be_used_is_named(
    value: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines())
    more = ["data.end=2026-01-05"] if "data.start=2026" in value else []
    line = arguments(bars, tmp_path / "store", tmp_path / "out", *more, value)
    assert words in refused(line, tmp_path, capsys)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param("account.leverage=26", "what fits: 25", id="over the market's largest leverage"),
        pytest.param(
            "strategy.risk.breakers={velocity_widen: 0.005, velocity_pause: 0.01}",
            "strategy.risk",
            id="its own ladder would trip a switch",
        ),
    ],
)
def test_check_refuses_what_a_run_refuses(
    value: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(["check", str(CONFIG), "--set", value], tmp_path, capsys, program=cli.main)
    assert words in said


def test_a_place_that_is_taken_is_refused_before_the_data_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines())
    (tmp_path / "out").mkdir()
    assert "already exists" in refused(
        arguments(bars, tmp_path / "store", tmp_path / "out"), tmp_path, capsys
    )
    (tmp_path / "late.partial").mkdir()
    said = refused(arguments(bars, tmp_path / "store", tmp_path / "late"), tmp_path, capsys)
    assert "an unfinished run is there" in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param(
            ["catalog", "check", "--root", "typo"], "there is no catalogue", id="check of no catalogue"
        ),
        pytest.param(["catalog", "ls", "--root", "typo"], "there is no catalogue", id="list of no catalogue"),
        pytest.param(["catalog", "ls", "trades"], "'trades' is not expected", id="a word too many"),
        pytest.param(["calibrate", "--samples", "no.csv"], "no.csv is not there", id="no samples"),
        pytest.param(["calibrate", "--recordings", "none"], "none is not there", id="no recordings"),
        pytest.param(["calibrate", "--no-simulation"], "nothing to measure", id="nothing to measure"),
        pytest.param(["calibrate", "--set", "a=b"], "none is given", id="a key of no run file"),
        pytest.param(
            ["sweep", str(CONFIG.with_name("sweep_small.yaml")), "--address", "here"],
            "no address",
            id="no address",
        ),
        pytest.param(["why", "empty"], "cannot be read", id="states without a line"),
        pytest.param(["why", "other"], "has no column seconds", id="another file"),
        pytest.param(["report", "broken"], "is not JSON", id="a broken summary"),
        pytest.param(["report", "list"], "holds a list", id="a summary that is a list"),
        pytest.param(["report", "binary"], "is not JSON", id="a summary that is no text"),
        pytest.param(
            ["compare", str(CONFIG), "--quiet", "--out", "file"], "cannot be made", id="models in a file"
        ),
        pytest.param(["check", "empty"], "empty: is a folder", id="a folder as a run file"),
        pytest.param(
            ["report", "broken", "--out", "x"], "--out is not for a finished run", id="a report elsewhere"
        ),
    ],
)
def test_a_command_that_can_do_nothing_says_so(
    line: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, file, content in (
        ("empty", "states.csv", ""),
        ("other", "states.csv", "a,b\n1,2\n"),
        ("broken", "summary.json", "{"),
        ("list", "summary.json", "[]"),
        ("binary", "summary.json", "\xff"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(content, encoding="latin-1")
    (tmp_path / "file").write_text("")
    assert words in refused(line, tmp_path, capsys, program=cli.main)


SAMPLES = "time_utc,bid,ask,bid_depth10_usd,ask_depth10_usd\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "cannot be read (No columns to parse", id="empty"),
        pytest.param(b"\x89PNG\xff\n\xfe", "cannot be read ('utf-8' codec", id="no text"),
        pytest.param(b"a,b\n1,2\n", "has no column time_utc", id="another file"),
        pytest.param(b"a,b\n1,2\n1,2,3\n", "cannot be read (Error tokenizing data", id="ragged"),
        pytest.param(b"time_utc,bid\n", "has no column ask", id="half of the columns"),
        pytest.param(SAMPLES.encode(), "cannot be measured", id="no row"),
        pytest.param(f"{SAMPLES}noon,1,2,3,4\n".encode(), "cannot be measured", id="no time"),
        pytest.param(f"{SAMPLES}2026-01-05,x,y,3,4\n".encode(), "cannot be measured", id="no number"),
    ],
)
def test_samples_that_are_none_are_refused(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "samples.csv"
    path.write_bytes(content)
    line = ["calibrate", "--samples", str(path), "--no-simulation", "--quiet"]
    said = refused(line, tmp_path, capsys, program=cli.main)
    assert f"{path}: {words}" in said


def test_no_ray_cluster_is_said_at_once_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = ["sweep", str(CONFIG.with_name("sweep_small.yaml")), "--address", "127.0.0.1:1"]
    assert cli.main(line) == 4
    assert "no Ray cluster answers at 127.0.0.1:1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["analyze", "verify", "report", "status", "pause", "dashboard"])
def test_a_run_may_be_named_from_inside_of_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # there is nothing in it, which is said of the folder by its name
    assert cli.main([command, "."]) in (2, 4)
    assert f"error: {tmp_path}: " in capsys.readouterr().err


# equity 1 at leverage 10: a side is 2 % of 10, and the venue takes no order under 10
TOO_SMALL = (
    "the ladder is empty: a side of 0.18 (0.018 of the exposure limit 10.00) is under the smallest order"
)


def test_check_refuses_an_account_too_small_for_one_level_and_names_what_would_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["check", str(CONFIG), "--set", "account.equity=1"]
    said = refused(line, tmp_path, capsys, program=cli.main)
    assert TOO_SMALL in said
    assert "equity of at least" in said


def test_a_run_refuses_an_account_too_small_for_one_level_and_leaves_no_run_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines(2))
    assert main(arguments(bars, tmp_path / "store", tmp_path / "out", "account.equity=1")) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    assert TOO_SMALL in said
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


def test_what_only_the_data_can_refuse_leaves_no_run_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines(2))
    line = arguments(bars, tmp_path / "store", tmp_path / "out", "strategy.reference=xyz:SP500")
    assert main(line) == 2
    assert "the dataset has no quotes of xyz:SP500" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bars.csv", "store"]


@pytest.mark.parametrize("out", ["nothing/..", "link", "link/out", "bars.csv/out", "x" * 250])
def test_a_place_where_no_run_can_stand_is_refused_before_the_data_is_made(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    bars = write_bars(tmp_path / "bars.csv", bar_lines())
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    refused(arguments(bars, tmp_path / "store", Path(out)), tmp_path, capsys)


def swap(first: int, second: int) -> Lines:
    def edit(lines: list[str]) -> list[str]:
        lines[first], lines[second] = lines[second], lines[first]
        return lines

    return edit


def at(row: int, column: int, value: str) -> Lines:
    def edit(lines: list[str]) -> list[str]:
        cells = lines[row].split(",")
        cells[column] = value
        lines[row] = ",".join(cells)
        return lines

    return edit


BARS = [
    pytest.param(swap(3, 4), "earlier than the row before", id="bars out of order"),
    pytest.param(lambda lines: [*lines[:4], lines[3], *lines[4:]], "row 4", id="a bar twice"),
    pytest.param(at(3, 1, "nan"), "`open` is missing (NaN)", id="NaN price"),
    pytest.param(at(3, 4, "0"), "`close` is 0", id="zero price"),
    pytest.param(at(3, 3, "-1"), "`low` is -1", id="negative price"),
    pytest.param(at(3, 2, "600"), "`high` 600 is below `low`", id="high below low"),
    pytest.param(at(3, 4, "9999"), "outside the bar's range", id="close outside the range"),
    pytest.param(
        lambda lines: [line.replace("+00:00", "") for line in lines],
        "timezone",
        id="times without a timezone",
    ),
    pytest.param(lambda lines: lines[:1], "the file has 0 rows", id="a header and nothing else"),
    pytest.param(lambda lines: [], "empty", id="an empty file"),
    pytest.param(lambda lines: [line.rsplit(",", 2)[0] for line in lines], "close", id="a column is missing"),
]


@pytest.mark.parametrize(("edit", "words"), BARS)
def test_bars_that_cannot_be_used_are_named_by_row_and_value(
    edit: Lines, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = edit(bar_lines())
    bars = tmp_path / "bars.csv"
    bars.write_text("\n".join(lines), encoding="utf-8")
    said = refused(arguments(bars, tmp_path / "store", tmp_path / "out"), tmp_path, capsys)
    assert "bars.csv" in said
    assert words in said


def test_a_missing_file_of_bars_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(arguments(tmp_path / "gone.csv", tmp_path / "store", tmp_path / "out"), tmp_path, capsys)
    assert "gone.csv: " in said
    assert "does not exist" in said


def test_a_wrong_timezone_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = write_bars(tmp_path / "bars.csv", [line.replace("+00:00", "") for line in bar_lines()])
    line = arguments(bars, tmp_path / "store", tmp_path / "out", "data.timezone=Mars/Olympus")
    assert "Mars/Olympus" in refused(line, tmp_path, capsys)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "there is no such file", id="missing"),
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("name: [1\n", "is not valid YAML", id="not YAML"),
        pytest.param("- a\n", "holds a list", id="a list"),
        pytest.param("name: x\nmarkt: {}\n", "unknown key 'markt'", id="unknown section"),
        pytest.param("seed: 3\n", "name", id="no name"),
    ],
)
def test_a_run_file_that_cannot_be_used_is_named(
    content: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    said = refused([str(path), "--out", str(tmp_path / "out")], tmp_path, capsys)
    assert "run.yaml" in said
    assert words in said


def recording(folder: Path, *, bid: float) -> Path:
    """Three snapshots of a book around 4300 with its best bid at ``bid``, with quotes and a trade."""
    folder.mkdir()
    start = 1_768_487_400_000
    book = {
        "timestamp": [(start + 500 * i) / 1e3 for i in range(3)],
        "exchange_timestamp": [start + 500 * i for i in range(3)],
    }
    for level in range(20):
        book[f"bid_price_{level}"] = [round((bid if level == 0 else 4300.1) - level / 10, 1)] * 3
        book[f"bid_size_{level}"] = [1.0] * 3
        book[f"ask_price_{level}"] = [round(4300.2 + level / 10, 1)] * 3
        book[f"ask_size_{level}"] = [1.0] * 3
    pd.DataFrame(book).to_parquet(folder / "ETH_orderbooks.parquet")
    sides = [("bid", 4300.1), ("ask", 4300.2)]
    quotes = [(start / 1e3, price, 1.0, side, start) for side, price in sides]
    columns = ["timestamp", "price", "size", "side", "exchange_timestamp"]
    pd.DataFrame(quotes, columns=columns).to_parquet(folder / "ETH_prices.parquet")
    trades = [(start / 1e3 + 1, 4300.1, 0.1, "sell", "1", start + 1_000)]
    columns = ["timestamp", "price", "size", "side", "trade_id", "exchange_timestamp"]
    pd.DataFrame(trades, columns=columns).to_parquet(folder / "ETH_trades.parquet")
    return folder


def test_a_crossed_recorded_book_is_named_by_row_and_prices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = recording(tmp_path / "recording", bid=4305.0)
    values = [
        "data.source=hl-book",
        f"data.path={folder}",
        "market.coin=ETH",
        f"data.catalog={tmp_path / 'store'}",
    ]
    line = [str(CONFIG), "--quiet", "--out", str(tmp_path / "out")]
    for value in values:
        line += ["--set", value]
    said = refused(line, tmp_path, capsys)
    assert "ETH_orderbooks.parquet row 1: the book is crossed: best bid 4305, best ask 4300.2" in said


def test_a_place_that_is_taken_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines(2))
    (tmp_path / "out").mkdir()
    assert main(arguments(bars, tmp_path / "store", tmp_path / "out")) == 2
    assert "already exists" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
