"""The queries of docs/catalog.md, taken out of the document and run."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import BarType
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_catalog.queries import query
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.generator import GeneratorSource
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import StreamTable
from amm500_catalog.tables import stream_table


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "catalog.md"
BLOCKS = re.findall(
    r"^```(python|sql)\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
)
START = 1_768_487_400_000_000_000


@pytest.fixture(scope="module")
def root(
    tmp_path_factory: pytest.TempPathFactory,
    instrument: Any,
    make_streams: Callable[..., list[StreamTable]],
    manifest: Callable[..., dict[str, Any]],
) -> str:
    store = CatalogStore(str(tmp_path_factory.mktemp("catalog") / "store"))
    kind = BarType.from_str("km:US500-USD-PERP.HYPERLIQUID-1-MINUTE-LAST-EXTERNAL")
    closed = START + 60_000_000_000
    bar = Bar(
        kind, Price(690, 2), Price(691, 2), Price(689, 2), Price(690, 2), Quantity(5, 3), closed, closed
    )
    store.commit(
        "km-minute",
        [*make_streams(60), stream_table([bar], str(kind))],
        manifest(60),
        instruments=[instrument],
    )
    return store.root


@pytest.fixture(scope="module")
def bar_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bars") / "bars.csv"
    frame = GeneratorSource().fetch(
        BarRequest("US500", "5m", START - 86_400_000_000_000, START + 86_400_000_000_000)
    )
    frame.bars.rename(columns={"ts_open_ns": "time"}).drop(columns=["ts_close_ns", "volume"]).to_csv(
        path, index=False
    )
    text = path.read_text().splitlines()
    naive = [text[0], *(re.sub(r"^(\d+)", lambda found: new_york(int(found[1])), line) for line in text[1:])]
    path.write_text("\n".join(naive) + "\n")
    return str(path)


def new_york(ts_ns: int) -> str:
    return str(pd.Timestamp(ts_ns, unit="ns", tz="UTC").tz_convert("America/New_York").tz_localize(None))


PYTHON_RESULTS = [
    ("km:US500-USD-PERP.HYPERLIQUID", "0.01", True),
    10,
    {"km:US500-USD-PERP.HYPERLIQUID-1-MINUTE-LAST-EXTERNAL"},
    ("km:US500-USD-PERP.HYPERLIQUID", "FundingRateUpdate"),
    1.0,
    0.0,
    (156, 300, 2),
]


def test_the_document_holds_ten_queries_and_one_import() -> None:
    assert [language for language, _ in BLOCKS] == ["python"] * 6 + ["sql"] * 4 + ["python"]


@pytest.mark.parametrize("number", range(7))
def test_each_python_block_gives_what_the_small_catalogue_holds(
    root: str, bar_file: str, number: int
) -> None:
    blocks = [body for language, body in BLOCKS if language == "python"]
    names: dict[str, Any] = {"ROOT": root, "BAR_FILE": bar_file}
    exec(compile(blocks[number], f"docs/catalog.md block {number + 1}", "exec"), names)
    assert names["result"] == PYTHON_RESULTS[number]


def test_each_sql_block_gives_what_the_small_catalogue_holds(root: str) -> None:
    listed, depth, seconds, joined = (query(root, body) for language, body in BLOCKS if language == "sql")
    assert listed.rows[0][:3] == ("real", "km:US500-USD-PERP.HYPERLIQUID", 60)
    # 0.100 to 0.109 at 690: 690 x 1.045
    assert depth.rows == ((pytest.approx(1.0), pytest.approx(690 * 1.045)),)
    assert len(seconds.rows) == 60
    assert [row[6] for row in seconds.rows[:2]] == [-0.5, 0.5]
    # the first trade has no quote before it; 690.00 lies half a tick below 690.005
    assert len(joined.rows) == 59
    assert joined.rows[0][4] == pytest.approx(-0.005 / 690.005 * 1e4)
