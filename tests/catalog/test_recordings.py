"""Recorded books and trades: what is stored, what is dropped and counted, what is refused."""

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction

from amm500_catalog.check import check_store
from amm500_catalog.dataset import open_recorded
from amm500_catalog.errors import InputError
from amm500_catalog.sources.rawlines import read_lines
from amm500_catalog.sources.recordings import import_raw_lines
from amm500_catalog.sources.recordings import import_recording
from amm500_catalog.sources.recordings import instrument_of
from amm500_catalog.sources.recordings import market_of
from amm500_catalog.sources.recordings import read_recording
from amm500_catalog.store import CatalogStore


# 2026-01-15 14:30 UTC
T0_MS = 1_768_487_400_000
MS = 1_000_000
Edit = Callable[[dict[str, pd.DataFrame]], None]


def books(rows: int = 4) -> pd.DataFrame:
    """Snapshots half a second apart; the touch is 4300.1 x 4300.2 and moves up one tick a snapshot."""
    table: dict[str, Any] = {
        "timestamp": [(T0_MS + 500 * i + 300) / 1e3 for i in range(rows)],
        "exchange_timestamp": [T0_MS + 500 * i for i in range(rows)],
    }
    for level in range(20):
        table[f"bid_price_{level}"] = [round(4300.1 + (i - level) / 10, 1) for i in range(rows)]
        table[f"bid_size_{level}"] = [1.0 + level] * rows
        table[f"ask_price_{level}"] = [round(4300.2 + (i + level) / 10, 1) for i in range(rows)]
        table[f"ask_size_{level}"] = [2.0 + level] * rows
    return pd.DataFrame(table)


def tops() -> pd.DataFrame:
    """One row a side that changed: the ask is first known 100 ms after the bid."""
    rows = [
        (0, 4300.1, 1.0, "bid"),
        (100, 4300.2, 2.0, "ask"),
        (200, 4300.1, 1.5, "bid"),
        (500, 4300.2, 1.0, "bid"),
        (500, 4300.3, 2.0, "ask"),
    ]
    return pd.DataFrame(
        [((T0_MS + t + 300) / 1e3, price, size, side, T0_MS + t) for t, price, size, side in rows],
        columns=["timestamp", "price", "size", "side", "exchange_timestamp"],
    )


def prints() -> pd.DataFrame:
    """The first predates the recording; the third is sent again; two of one block come after a later one."""
    rows = [
        (-5_000, 4299.9, 0.1, "sell", "1"),
        (700, 4300.2, 0.2, "buy", "2"),
        (700, 4300.3, 0.3, "buy", "3"),
        (700, 4300.3, 0.3, "buy", "3"),
        (400, 4300.1, 0.4, "sell", "4"),
        (400, 4300.0, 0.5, "sell", "5"),
    ]
    return pd.DataFrame(
        [((T0_MS + t + 300) / 1e3, price, size, side, tid, T0_MS + t) for t, price, size, side, tid in rows],
        columns=["timestamp", "price", "size", "side", "trade_id", "exchange_timestamp"],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., str]:
    def write(edit: Edit = lambda _: None) -> str:
        tables = {"orderbooks": books(), "prices": tops(), "trades": prints()}
        edit(tables)
        path = tmp_path / "recording"
        path.mkdir(exist_ok=True)
        for name, table in tables.items():
            table.to_parquet(path / f"ETH_{name}.parquet")
        return str(path)

    return write


def test_each_snapshot_is_one_batch_that_clears_and_adds_forty_levels(folder: Callable[..., str]) -> None:
    recording = read_recording(folder(), "ETH")
    assert len(recording.deltas) == 4 * 41
    first = recording.deltas[:41]
    assert first[0].action == BookAction.CLEAR
    assert [delta.flags for delta in first] == [32] * 40 + [160]
    assert {delta.ts_event for delta in first} == {delta.ts_init for delta in first} == {T0_MS * MS}
    assert [str(delta.order.price) for delta in first[1:4]] == ["4300.1", "4300.0", "4299.9"]
    assert [str(delta.order.price) for delta in first[21:23]] == ["4300.2", "4300.3"]
    assert str(first[1].order.size) == "1.0000"
    assert recording.facts["largest_book_gap_s"] == 0.5
    assert recording.facts["feed_lag_ms_p50"] == pytest.approx(300, abs=0.01)


def test_side_changes_become_full_quotes_once_both_sides_are_known(folder: Callable[..., str]) -> None:
    recording = read_recording(folder(), "ETH")
    got = [
        (
            q.ts_event // MS - T0_MS,
            float(q.bid_price),
            float(q.bid_size),
            float(q.ask_price),
            float(q.ask_size),
        )
        for q in recording.quotes
    ]
    assert got == [
        (100, 4300.1, 1.0, 4300.2, 2.0),
        (200, 4300.1, 1.5, 4300.2, 2.0),
        # both sides of one message: never 4300.2 x 4300.2 in between
        (500, 4300.2, 1.0, 4300.3, 2.0),
    ]
    assert recording.dropped["quotes before both sides were known"] == 1


def test_trades_are_put_in_order_without_those_before_the_recording_or_sent_again(
    folder: Callable[..., str],
) -> None:
    recording = read_recording(folder(), "ETH")
    assert [t.trade_id.value for t in recording.trades] == ["4", "5", "2", "3"]
    assert [t.aggressor_side for t in recording.trades] == [AggressorSide.SELLER] * 2 + [
        AggressorSide.BUYER
    ] * 2
    assert recording.dropped["trades from before the recording"] == 1
    assert recording.dropped["trades sent again"] == 1


@pytest.mark.parametrize(
    ("coin", "price", "tick", "lot"),
    [
        ("BTC", 109_755.0, "1", "0.00001"),
        ("ETH", 4_300.1, "0.1", "0.0001"),
        ("SOL", 203.45, "0.01", "0.01"),
        ("NEW", 0.22315, "0.00001", "1"),
    ],
)
def test_tick_and_lot_follow_the_five_figure_rule(coin: str, price: float, tick: str, lot: str) -> None:
    instrument = instrument_of(market_of(coin, np.array([1.0, 25.0])), np.array([price]), ts_ns=0)
    assert (str(instrument.price_increment), str(instrument.size_increment)) == (tick, lot)
    assert instrument.quote_currency.code == "USDC"


def as_texts(items: list[Any]) -> list[str]:
    return [str(type(item).to_dict(item)) for item in items]


def set_at(table: str, row: int, column: str, value: Any) -> Edit:
    def edit(tables: dict[str, pd.DataFrame]) -> None:
        tables[table].loc[row, column] = value

    return edit


def as_text(table: str, row: int, column: str, value: str) -> Edit:
    def edit(tables: dict[str, pd.DataFrame]) -> None:
        tables[table][column] = tables[table][column].astype(str)
        tables[table].loc[row, column] = value

    return edit


def leave_out_the_best_bid(tables: dict[str, pd.DataFrame]) -> None:
    tables["orderbooks"].loc[1, ["bid_price_0", "bid_size_0"]] = np.nan


def end_without_a_time(tables: dict[str, pd.DataFrame]) -> None:
    tables["trades"]["exchange_timestamp"] = tables["trades"]["exchange_timestamp"].astype(float)
    tables["trades"].loc[3, "exchange_timestamp"] = np.inf


def repeat_trade_with_another_price(tables: dict[str, pd.DataFrame]) -> None:
    tables["trades"].loc[3, "price"] = 4300.4


BAD = {
    "crossed book": (
        set_at("orderbooks", 2, "bid_price_0", 4305.0),
        r"ETH_orderbooks.parquet row 3: the book is crossed: best bid 4305, best ask 4300.4; allowed: best bid below best ask",
    ),
    "locked book": (set_at("orderbooks", 0, "bid_price_0", 4300.2), r"row 1: the book is crossed: best bid 4300.2, best ask 4300.2"),
    "levels out of order": (
        set_at("orderbooks", 1, "ask_price_3", 4300.3),
        r"row 2: ask level 3 at 4300.3 does not lie beyond level 2 at 4300.5; allowed: levels from the best price outward",
    ),
    "zero size": (set_at("orderbooks", 1, "bid_size_4", 0.0), r"row 2: bid level 4 has price 4299.8 and size 0; allowed: a price and a size above zero"),
    "a size without a price": (
        set_at("orderbooks", 1, "bid_price_0", np.nan),
        r"recording/ETH_orderbooks.parquet row 2: bid level 0 has price nan and size 1; allowed: a price and a size above zero, or neither",
    ),
    "no best bid": (leave_out_the_best_bid, r"row 2: bid level 0 is absent and level 1 is there; allowed: levels from the best price outward"),
    "infinite ask": (set_at("orderbooks", 1, "ask_price_19", np.inf), r"row 2: ask level 19 has price inf and size 21"),
    "a book's price in words": (as_text("orderbooks", 2, "ask_price_3", "dear"), r"row 3: `ask_price_3` is 'dear'; allowed: a number"),
    "a trade's price in words": (as_text("trades", 1, "price", "dear"), r"recording/ETH_trades.parquet row 2: `price` is 'dear'; allowed: a number"),
    "a book without its time": (
        set_at("orderbooks", 2, "exchange_timestamp", np.nan),
        r"recording/ETH_orderbooks.parquet row 3: `exchange_timestamp` is missing \(NaN\); allowed: ms since 1970 of a time between 1990 and 2100",
    ),
    "a quote's time in s": (set_at("prices", 0, "exchange_timestamp", T0_MS // 1000), r"row 1: `exchange_timestamp` is 1.76849e\+09; allowed: ms since 1970"),
    "an infinite time of a trade": (end_without_a_time, r"row 4: `exchange_timestamp` is inf; allowed"),
    "a trade beyond every market": (set_at("trades", 1, "price", 1e20), r"row 2: `price` is 1e\+20; allowed: a finite number above zero, at most 1e\+13"),
    "books out of order": (set_at("orderbooks", 3, "exchange_timestamp", T0_MS), r"row 4: the time .* is earlier than the row before"),
    "quotes out of order": (set_at("prices", 4, "exchange_timestamp", T0_MS), r"ETH_prices.parquet row 5: the time .* is earlier"),
    "crossed quote": (set_at("prices", 2, "price", 4301.0), r"row 3: the quote is crossed: bid 4301, ask 4300.2; allowed: a bid below the ask"),
    "NaN price": (set_at("prices", 1, "price", np.nan), r"row 2: `price` is nan; allowed: a finite number above zero"),
    "zero trade": (set_at("trades", 1, "size", 0.0), r"ETH_trades.parquet row 2: `size` is 0; allowed: a finite number above zero"),
    "unknown side": (set_at("trades", 1, "side", "hold"), r"row 2: `side` is 'hold'; allowed: buy or sell"),
    "one id, two trades": (repeat_trade_with_another_price, r"row 4: trade id 3 came before with another price, size or time; allowed: one trade an id"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_recording_is_refused_in_one_sentence(
    folder: Callable[..., str], edit: Edit, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_recording(folder(edit), "ETH")


def test_a_book_may_end_before_its_last_level(folder: Callable[..., str]) -> None:
    def edit(tables: dict[str, pd.DataFrame]) -> None:
        tables["orderbooks"].loc[1, ["bid_price_19", "bid_size_19", "ask_price_19"]] = np.nan
        tables["orderbooks"].loc[1, "ask_size_19"] = 0.0
        tables["orderbooks"]["timestamp"] = np.nan

    recording = read_recording(folder(edit), "ETH")
    assert len(recording.deltas) == 4 * 41 - 2
    assert "feed_lag_ms_p50" not in recording.facts


def test_missing_and_empty_files_are_named(
    folder: Callable[..., str], store: CatalogStore, tmp_path: Path
) -> None:
    path = folder()
    with pytest.raises(
        InputError, match=r"BTC_orderbooks.parquet: the file does not exist; allowed: a recording"
    ):
        import_recording(store, path, "BTC")
    (Path(path) / "ETH_trades.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"ETH_trades.parquet: the file is empty"):
        import_recording(store, path, "ETH")
    (Path(path) / "ETH_trades.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"ETH_trades.parquet: the file cannot be read"):
        import_recording(store, path, "ETH")
    with pytest.raises(InputError, match=r"gone: the folder does not exist"):
        import_recording(store, str(tmp_path / "gone"), "ETH")
    with pytest.raises(
        InputError, match=r"`kinds` has \['hl-candles'\]; allowed: hl-book, hl-trades|`kinds` has"
    ):
        import_recording(store, path, "ETH", kinds=("hl-candles",))


def test_a_recording_that_this_user_may_not_read_is_named(
    open_folder: Path, as_nobody: Callable[[], AbstractContextManager[None]], store: CatalogStore
) -> None:
    for name, table in {"orderbooks": books(), "prices": tops(), "trades": prints()}.items():
        table.to_parquet(open_folder / f"ETH_{name}.parquet")
    (open_folder / "ETH_trades.parquet").chmod(0)
    with (
        as_nobody(),
        pytest.raises(InputError, match=r"ETH_trades.parquet: the file cannot be read \(Permission denied\)"),
    ):
        import_recording(store, str(open_folder), "ETH")


def test_a_missing_column_is_named(folder: Callable[..., str]) -> None:
    def edit(tables: dict[str, pd.DataFrame]) -> None:
        tables["trades"] = tables["trades"].drop(columns="side")

    with pytest.raises(
        InputError,
        match=r"ETH_trades.parquet: there is no column `side`; allowed: timestamp, price, size, side",
    ):
        read_recording(folder(edit), "ETH")


def test_an_import_is_stored_once_and_read_back_equal(
    folder: Callable[..., str], store: CatalogStore
) -> None:
    path = folder()
    name, first = import_recording(store, path, "ETH")
    again = import_recording(store, path, "ETH")
    assert (name, first.changed) == ("hl-l2-ETH-20260115T143000", True)
    assert again[0] == name
    assert not again[1].changed
    recording = read_recording(path, "ETH")
    items = [item for batch in open_recorded(store, name).batches() for item in batch]
    # as texts: the engine's own comparison aborts the process when one side was decoded and the other built in Python
    deltas = [delta for item in items if isinstance(item, OrderBookDeltas) for delta in item.deltas]
    assert as_texts([item for item in items if isinstance(item, TradeTick)]) == as_texts(recording.trades)
    assert as_texts([item for item in items if isinstance(item, QuoteTick)]) == as_texts(recording.quotes)
    # a CLEAR has no order; Nautilus writes its zeros with the instrument's precision
    written, read = (
        [text for text in as_texts(items) if "'CLEAR'" not in text] for items in (recording.deltas, deltas)
    )
    assert len(deltas) == len(recording.deltas)
    assert read == written
    manifest = store.manifest(name)
    assert manifest is not None
    assert manifest["dropped"]["trades sent again"] == 1
    assert check_store(store).is_sound


FRAMES = [
    '{"channel":"subscriptionResponse","data":{"method":"subscribe"}}',
    ('1768487400300000000 {"channel":"l2Book","data":{"coin":"ETH","time":1768487400000,"levels":'
    '[[{"px":"4300.1","sz":"1.5","n":3},{"px":"4300.0","sz":"2.0","n":1}],[{"px":"4300.2","sz":"1.0","n":1}]]}}'),
    '{"channel":"bbo","data":{"coin":"ETH","time":1768487400100,"bbo":[{"px":"4300.1","sz":"1.5","n":3},{"px":"4300.2","sz":"1.0","n":1}]}}',
    '{"channel":"trades","data":[{"coin":"ETH","side":"A","px":"4300.1","sz":"0.5","time":1768487400200,"hash":"0x0","tid":7,"users":["0x1","0x2"]}]}',
    ('{"time":"2026-01-15T14:30:01","ver_num":1,"raw":{"channel":"l2Book","data":{"coin":"ETH","time":1768487401000,"levels":'
    '[[{"px":"4300.0","sz":"1.5","n":3}],[{"px":"4300.1","sz":"1.0","n":1}]]}}}'),
    ('{"block_time":"2026-01-15T14:30:02","block_number":1,"events":[["0x1",{"coin":"ETH","px":"4300.0","sz":"0.25","side":"B","time":1768487402000,'
    '"crossed":false,"tid":8}],["0x2",{"coin":"ETH","px":"4300.0","sz":"0.25","side":"A","time":1768487402000,"crossed":true,"tid":8}]]}'),
]  # fmt: skip


def test_every_kind_of_line_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(FRAMES))
    recording = read_lines(str(path), "ETH")
    assert recording.facts == {"book_snapshots": 2.0, "feed_lag_ms_p50": 300.0}
    # 1 clear + 3 levels, 1 clear + 2 levels
    assert len(recording.deltas) == 7
    assert [(float(q.bid_price), float(q.ask_size)) for q in recording.quotes] == [(4300.1, 1.0)]
    # the node block lists both sides; the seller crossed
    assert [(t.trade_id.value, t.aggressor_side) for t in recording.trades] == [
        ("7", AggressorSide.SELLER),
        ("8", AggressorSide.SELLER),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"channel": "l2Book"', r"lines.jsonl line 7: the line cannot be read .*; allowed: websocket frames, archive lines or node blocks"),
        ('{"channel":"trades","data":[{"coin":"ETH","side":"C"}]}', r"line 7: the line cannot be read .*`side` was 'C'"),
        ('{"channel":"l2Book","data":{"coin":"ETH","time":1768487409000,"levels":[[{"px":"4305","sz":"1","n":1}],[{"px":"4304","sz":"1","n":1}]]}}', "is crossed: best bid 4305, best ask 4304; allowed: best bid below best ask"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join([*FRAMES, line]))
    with pytest.raises(InputError, match=message):
        read_lines(str(path), "ETH")


def frame(bids: str, asks: str = '{"px":"4300.5","sz":"1","n":1}', *, time: object = 1768487409000) -> str:
    return f'{{"channel":"l2Book","data":{{"coin":"ETH","time":{time},"levels":[[{bids}],[{asks}]]}}}}'


def level(px: str = "4300.1", sz: str = "1") -> str:
    return f'{{"px":"{px}","sz":"{sz}","n":1}}'


def printed(**changed: object) -> str:
    row = {
        "coin": "ETH",
        "side": "A",
        "px": "4300.1",
        "sz": "0.5",
        "time": 1768487409000,
        "hash": "0x0",
        "tid": 9,
    }
    return json.dumps({"channel": "trades", "data": [row | changed]})


def block(**changed: object) -> str:
    fill = {
        "coin": "ETH",
        "px": "4300.0",
        "sz": "0.25",
        "side": "A",
        "time": 1768487409000,
        "crossed": True,
        "tid": 9,
    }
    return json.dumps({"block_time": "2026-01-15T14:30:09", "events": [["0x1", fill | changed]]})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(frame(level(sz="0")), "line 7: the size is 0; allowed: a size above zero, at most 1e[+]13", id="an empty level"),
        pytest.param(frame(level("4300.0") + "," + level("4300.1")), "line 7: bids at 4300 and then 4300.1; allowed: levels from the best price outward", id="bids that rise"),
        pytest.param(frame(level(), level("4300.3") + "," + level("4300.2")), "line 7: asks at 4300.3 and then 4300.2", id="asks that fall"),
        pytest.param(frame(level(), time=0), "the time reads as 1970-01-01", id="a book of no time"),
        pytest.param(frame(level("4.3")), "line 7: the price 4.3 is not of a market at 4300", id="a touch of another market"),
        pytest.param(frame(level(sz="0.00001")), "line 7: the size 1e-05 is under the lot of 0.0001", id="less than a lot"),
        pytest.param(frame(level("1e20")), "the price is", id="a price that nothing holds"),
        pytest.param(printed(px="NaN"), "`px` was 'NaN'", id="a trade at NaN"),
        pytest.param(printed(px="0"), "`px` was '0', must be positive", id="a trade at 0"),
        pytest.param(printed(px="0.001"), "line 7: the price 0.001 is not of a market at 4300", id="an absurd trade"),
        pytest.param(printed(sz="-1"), "`sz` was '-1', must be positive", id="a negative trade"),
        pytest.param(printed(sz="1e14"), "line 7: the size is 1e[+]14", id="a trade that nothing holds"),
        pytest.param(printed(tid=-1), "`tid` was -1", id="a negative trade id"),
        pytest.param(printed(time=0), "the time reads as 1970-01-01", id="a trade of no time"),
        pytest.param(block(side="C"), "`side` was 'C'", id="a block's trade of no side"),
        pytest.param(block(px="x"), "`px` was 'x'", id="a block's price that is none"),
        pytest.param(block(time=1 << 80), "`time` was", id="a block's time that nothing holds"),
        pytest.param('{"channel":' + "[" * 100_000, "nested too deeply", id="a line without a bottom"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_stored_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join([*FRAMES, line]))
    with pytest.raises(InputError, match=message):
        read_lines(str(path), "ETH")


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip", "lz4", "zst"])
def test_compressed_lines_are_read_and_damaged_ones_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"lines.jsonl.{kind}"
    lines = "\n".join(FRAMES).encode()
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("lines.jsonl", lines)
    else:
        pack = {
            "gz": gzip.compress,
            "bz2": bz2.compress,
            "xz": lzma.compress,
            "lz4": lz4.frame.compress,
            "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
        }[kind]
        path.write_bytes(pack(lines))
    assert len(read_lines(str(path), "ETH").trades) == 2
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"\xff" * 8)
    with pytest.raises(InputError, match=rf"{path}: the file is damaged or not what its name says"):
        read_lines(str(path), "ETH")


def with_price(table: str, row: int, price: float) -> Edit:
    def edit(tables: dict[str, pd.DataFrame]) -> None:
        tables[table].loc[row, "price"] = price

    return edit


def with_trade_ids(ids: list[Any]) -> Edit:
    def edit(tables: dict[str, pd.DataFrame]) -> None:
        tables["trades"]["trade_id"] = ids

    return edit


def with_size(size: float) -> Edit:
    def edit(tables: dict[str, pd.DataFrame]) -> None:
        tables["trades"].loc[1, "size"] = size

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        pytest.param(with_price("trades", 1, 0.0001), "row 2: the price 0.0001 is not of a market at 4300", id="an absurd trade"),
        pytest.param(with_price("prices", 2, 50_000.0), "row 3: the price 50000 is not of a market at 4300", id="an absurd bid"),
        pytest.param(with_size(0.00004), "row 2: the size 4e-05 is under the lot of 0.0001", id="less than half a lot"),
        pytest.param(with_trade_ids(["1", "", "3", "3", "4", "5"]), "row 2: `trade_id` is ''", id="an empty id"),
        pytest.param(with_trade_ids(["1", "2" * 37, "3", "3", "4", "5"]), "row 2: `trade_id` is '22222", id="a long id"),
        pytest.param(with_trade_ids(["1", "zwölf", "3", "3", "4", "5"]), "row 2: `trade_id` is 'zwölf'", id="an id beyond ASCII"),
        pytest.param(with_trade_ids(["1", None, "3", "3", "4", "5"]), "row 2: `trade_id` is missing", id="no id"),
        pytest.param(with_trade_ids([1, None, 3, 3, 4, 5]), "row 2: `trade_id` is missing", id="no number"),
    ],
)  # fmt: skip
def test_what_no_trade_can_be_is_refused(folder: Callable[..., str], edit: Edit, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_recording(folder(edit), "ETH")


def test_a_lone_bid_far_below_does_not_set_the_tick(folder: Callable[..., str]) -> None:
    def edit(tables: dict[str, pd.DataFrame]) -> None:
        tables["orderbooks"]["bid_price_19"] = 5.0

    recording = read_recording(folder(edit), "ETH")
    assert str(recording.instrument.price_increment) == "0.1"


def test_damaged_compressed_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl.gz"
    # a header of gzip, and then what no compressor wrote
    path.write_bytes(gzip.compress(b"{}")[:10] + b"\xff" * 40)
    with pytest.raises(
        InputError, match=rf"{path}: the file is damaged or not what its name says \(Error -3"
    ):
        read_lines(str(path), "ETH")


def test_a_coin_the_file_has_not_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(FRAMES))
    with pytest.raises(
        InputError,
        match="nothing is of the coin 'km:US500'; allowed: a coin the file has, with its dex prefix",
    ):
        read_lines(str(path), "km:US500")


# first and last times of the README; 3,785 snapshots of which three are exact copies of the one before
RECORDED = {
    "BTC": (3_782, 13_896, 6_645, "1", "0.00001"),
    "ETH": (3_782, 15_259, 6_837, "0.1", "0.0001"),
    "SOL": (3_782, 13_211, 4_397, "0.01", "0.01"),
}


@pytest.mark.real_data
@pytest.mark.parametrize("coin", RECORDED)
def test_the_recorded_books_are_stored_whole_and_never_crossed(
    shared_dir: Path, store: CatalogStore, coin: str
) -> None:
    name, _ = import_recording(store, str(shared_dir / "data/hl_l2_20250904"), coin)
    dataset = open_recorded(store, name)
    snapshots, quotes, trades, tick, lot = RECORDED[coin]
    assert (str(dataset.instrument.price_increment), str(dataset.instrument.size_increment)) == (tick, lot)
    start, end = (
        pd.Timestamp("2025-09-04 19:46:56.253", tz="UTC"),
        pd.Timestamp("2025-09-04 20:21:44.665", tz="UTC"),
    )
    assert (dataset.info.start_ns, dataset.info.end_ns) == (start.value, end.value + 1)
    counts = {OrderBookDeltas: 0, QuoteTick: 0, TradeTick: 0}
    previous = 0
    for batch in dataset.batches():
        for item in batch:
            counts[type(item)] += 1
            assert item.ts_init >= previous
            previous = item.ts_init
            if isinstance(item, QuoteTick):
                assert item.bid_price < item.ask_price
            elif isinstance(item, OrderBookDeltas):
                assert len(item.deltas) == 41
                assert item.deltas[1].order.price < item.deltas[21].order.price
    assert counts == {OrderBookDeltas: snapshots, QuoteTick: quotes, TradeTick: trades}
    manifest = store.manifest(name)
    assert manifest is not None
    assert manifest["dropped"]["exact copies of a book snapshot"] == 3
    assert manifest["dropped"]["trades from before the recording"] == 30
    assert manifest["params"]["largest_book_gap_s"] == pytest.approx(18, abs=0.1)
    assert check_store(store).is_sound


@pytest.mark.real_data
def test_the_recorded_websocket_lines_are_stored(shared_dir: Path, store: CatalogStore) -> None:
    name, result = import_raw_lines(
        store, str(shared_dir / "data/hl_raw_ws_sample/btcusd_20250126.gz"), "BTC"
    )
    assert name == "hl-raw-BTC-20250126T191403"
    # 45 books of 41 changes, 34 trades after the 30 that predate the recording
    assert sorted(result.rows.values()) == [34, 45 * 41]
