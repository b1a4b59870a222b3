"""What a recording shows of its market: one absurd row decides neither tick nor lot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from amm500_catalog.errors import InputError
from amm500_catalog.sources.recorded_market import instrument_of
from amm500_catalog.sources.recorded_market import market_of
from amm500_catalog.sources.recordings import first_book
from amm500_catalog.sources.recordings import import_recording
from amm500_catalog.sources.recordings import read_recording
from amm500_catalog.store import CatalogStore


# 2026-01-15 14:30 UTC
T0_MS = 1_768_487_400_000
Tables = dict[str, pd.DataFrame]
Edit = Callable[[Tables], None]


def tables(rows: int = 6) -> Tables:
    """A market at 4300 with a tick of 0.1: books half a second apart, their best prices, and a trade for each."""
    times = [T0_MS + 500 * i for i in range(rows)]
    stamps = {"timestamp": [ms / 1e3 for ms in times], "exchange_timestamp": times}
    books: dict[str, Any] = dict(stamps)
    for level in range(20):
        books[f"bid_price_{level}"] = [round(4300 - level / 10, 1)] * rows
        books[f"bid_size_{level}"] = [1.0 + level] * rows
        books[f"ask_price_{level}"] = [round(4300.1 + level / 10, 1)] * rows
        books[f"ask_size_{level}"] = [2.0 + level] * rows
    traded = {"price": [4300.0] * rows, "size": [3.0] * rows}
    return {
        "orderbooks": pd.DataFrame(books),
        "prices": pd.DataFrame({**stamps, **traded, "side": ["bid"] * rows}),
        "trades": pd.DataFrame(
            {**stamps, **traded, "side": ["buy"] * rows, "trade_id": [str(i) for i in range(rows)]}
        ),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., str]:
    def write(edit: Edit = lambda _: None, coin: str = "ETH") -> str:
        found = tables()
        edit(found)
        for name, table in found.items():
            table.to_parquet(tmp_path / f"{coin}_{name}.parquet")
        return str(tmp_path)

    return write


def cell(table: str, row: int, column: str, value: Any) -> Edit:
    def edit(found: Tables) -> None:
        found[table].loc[row, column] = value

    return edit


def column(table: str, name: str, values: list[Any]) -> Edit:
    def edit(found: Tables) -> None:
        found[table][name] = values

    return edit


def test_a_trade_apart_from_all_others_does_not_set_the_tick(folder: Callable[..., str]) -> None:
    recording = read_recording(folder(cell("trades", 2, "price", 900.0)), "ETH")
    assert str(recording.instrument.price_increment) == "0.1"
    assert "900.0" in [str(trade.price) for trade in recording.trades]


@pytest.mark.parametrize(
    ("prices", "tick"),
    [
        pytest.param([4300.1] * 20, "0.1", id="one level"),
        pytest.param([4300.1] * 19 + [99.5], "0.1", id="one far below"),
        pytest.param([4300.1] * 19 + [900.0], "0.1", id="one apart below"),
        pytest.param([4300.1] * 400 + [900.0, 901.0, 2000.0], "0.1", id="a few apart below"),
        pytest.param([4300.1] * 19 + [43_000_000.0], "0.1", id="one far above"),
        pytest.param([4300.1] * 10 + [900.0] * 10, "0.01", id="as many below as above"),
        pytest.param([900.0, 4300.1], "0.01", id="two alone"),
        # a market that falls through a power of ten leaves no hole behind
        pytest.param(list(np.geomspace(990.0, 1100.0, 200)), "0.01", id="a falling market"),
    ],
)
def test_the_tick_is_that_of_the_lowest_price_of_the_market(prices: list[float], tick: str) -> None:
    spec = market_of("ETH", np.array([1.0]))
    assert str(instrument_of(spec, np.array(prices), ts_ns=0).price_increment) == tick


@pytest.mark.parametrize(
    ("sizes", "prices", "decimals"),
    [
        pytest.param([3.0, 25.0], [4300.1], 0, id="whole sizes"),
        pytest.param([3.0, 0.25], [4300.1], 2, id="sizes of two decimals"),
        # price and size share six decimals
        pytest.param([3.0, 0.000002], [4300.1, 4300.2], 5, id="an absurd size"),
        pytest.param([3.0, 0.25], [0.22315] * 3, 1, id="an absurd size beside fine prices"),
        # 4300.1 in 32 bits: beyond five figures a venue's price has nothing to say
        pytest.param([3.0, 0.25], [float(np.float32(4300.1))], 2, id="prices of 32 bits"),
        pytest.param([3.0, 0.25], [4300.0] * 200 + [4300.123456], 2, id="an absurd price"),
    ],
)
def test_an_unknown_coin_has_the_size_decimals_that_its_prices_leave(
    sizes: list[float], prices: list[float], decimals: int
) -> None:
    assert market_of("NEW", np.array(sizes), np.array(prices)).sz_decimals == decimals


def never(found: Tables) -> None:
    found["orderbooks"].loc[0, ["bid_price_0", "bid_size_0"]] = np.nan
    for level in range(1, 20):
        found["orderbooks"].loc[0, [f"bid_price_{level}", f"bid_size_{level}"]] = np.nan


BAD = {
    "more than half a lot": (cell("trades", 1, "size", 0.00006), r"ETH_trades.parquet row 2: the size 6e-05 is under the lot of 0.0001; allowed: a size of at least a lot"),
    "half a lot of a quote": (cell("prices", 1, "size", 0.00005), r"ETH_prices.parquet row 2: the size 5e-05 is under the lot"),
    "half a lot of a level": (cell("orderbooks", 1, "ask_size_7", 0.00005), r"ETH_orderbooks.parquet row 2: the size 5e-05 is under the lot"),
    "a level under the tick": (cell("orderbooks", 1, "bid_price_19", 0.06), r"ETH_orderbooks.parquet row 2: the price 0.06 is under the tick of 0.1"),
    "ids that are true": (column("trades", "trade_id", [True] * 6), r"ETH_trades.parquet row 1: `trade_id` is 'True'; allowed: a text or a whole number"),
    "ids that are times": (column("trades", "trade_id", [pd.Timestamp(0)] * 6), r"row 1: `trade_id` is '1970-01-01 00:00:00'; allowed: a text"),
    "ids that are bytes": (column("trades", "trade_id", [b"1"] * 6), r"row 1: `trade_id` is .*; allowed: a text"),
    "ids that are lists": (column("trades", "trade_id", [[i] * 200 for i in range(6)]), r"row 1: `trade_id` is .*; allowed: a text"),
    "sides that are lists": (column("prices", "side", [["bid"]] * 6), r"ETH_prices.parquet row 1: `side` is .*; allowed: a text"),
    "prices that are lists": (column("trades", "price", [[1.0] * 200] * 6), r"ETH_trades.parquet row 1: `price` is .*; allowed: a number"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "message"), BAD.values(), ids=BAD.keys())
def test_rows_that_cannot_be_stored_are_refused_and_leave_nothing(
    folder: Callable[..., str], store: CatalogStore, edit: Edit, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        import_recording(store, folder(edit), "ETH")
    assert "\n" not in str(caught.value)
    assert store.manifests() == {}


def test_an_absurd_size_of_an_unknown_coin_is_named_and_not_its_prices(folder: Callable[..., str]) -> None:
    path = folder(cell("trades", 3, "size", 0.000002), coin="NEW")
    with pytest.raises(
        InputError, match=r"NEW_trades.parquet row 4: the size 2e-06 is under the lot of 1e-05"
    ):
        read_recording(path, "NEW")


def test_whole_numbers_are_ids(folder: Callable[..., str]) -> None:
    recording = read_recording(folder(column("trades", "trade_id", list(range(6)))), "ETH")
    assert [trade.trade_id.value for trade in recording.trades] == ["0", "1", "2", "3", "4", "5"]


def test_the_first_book_gives_its_mid(folder: Callable[..., str]) -> None:
    instrument, mid = first_book(folder(), "ETH")
    assert mid == pytest.approx(4300.05)
    assert str(instrument.price_increment) == "0.1"


FIRST = {
    "half a level": (cell("orderbooks", 0, "bid_price_0", np.nan), r"row 1: bid level 0 has price nan and size 1"),
    "no price": (cell("orderbooks", 0, "bid_price_0", 0.0), r"row 1: bid level 0 has price 0"),
    "no number": (cell("orderbooks", 0, "ask_price_0", np.inf), r"row 1: ask level 0 has price inf"),
    "another market": (cell("orderbooks", 0, "bid_price_0", 4.3), r"row 1: the price 4.3 is not of a market at 4300"),
    "crossed": (cell("orderbooks", 0, "bid_price_0", 4305.0), r"row 1: the book is crossed"),
    "no bid": (never, r"row 1: the first book lacks a side; allowed: a bid and an ask"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "message"), FIRST.values(), ids=FIRST.keys())
def test_a_first_book_that_has_no_mid_is_refused(
    folder: Callable[..., str], edit: Edit, message: str
) -> None:
    with pytest.raises(InputError, match=rf"ETH_orderbooks.parquet {message}"):
        first_book(folder(edit), "ETH")


def test_parquet_metadata_that_is_none_is_a_file_that_cannot_be_read(folder: Callable[..., str]) -> None:
    path = Path(folder()) / "ETH_trades.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({"pandas": '{"columns'}), path)
    with pytest.raises(
        InputError, match=r"ETH_trades.parquet: the file cannot be read; allowed: a complete Parquet file"
    ):
        read_recording(str(path.parent), "ETH")
