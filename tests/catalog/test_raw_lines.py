"""Lines of recorded frames and blocks: what each must hold, and where it is said that it does not."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from amm500_catalog.errors import InputError
from amm500_catalog.sources.rawlines import read_lines


# 2026-01-15 14:30 UTC
T0_MS = 1_768_487_400_000
Pairs = list[tuple[str, str]]


def book(bids: Pairs, asks: Pairs, *, at_ms: int = 0, coin: str = "ETH") -> str:
    levels = [[{"px": px, "sz": sz, "n": 1} for px, sz in side] for side in (bids, asks)]
    return json.dumps({"channel": "l2Book", "data": {"coin": coin, "time": T0_MS + at_ms, "levels": levels}})


def usual(at_ms: int = 0, *, coin: str = "ETH", size: str = "1.5") -> str:
    """A book of ten levels a side around 4300."""
    return book(
        [(f"{4300 - i / 10:.1f}", size) for i in range(10)],
        [(f"{4300.1 + i / 10:.1f}", size) for i in range(10)],
        at_ms=at_ms,
        coin=coin,
    )


def fill(**changed: Any) -> str:
    row = {"coin": "ETH", "px": "4300.0", "sz": "0.25", "side": "A", "time": T0_MS, "crossed": True, "tid": 9}
    return json.dumps({"block_time": "2026-01-15T14:30:00", "events": [["0x1", {**row, **changed}]]})


def traded(px: str, *, sz: str = "0.5", coin: str = "ETH") -> str:
    row = {"coin": coin, "side": "A", "px": px, "sz": sz, "time": T0_MS + 100, "tid": 3}
    return json.dumps({"channel": "trades", "data": [row]})


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    def write(*lines: str) -> str:
        path = tmp_path / "lines.jsonl"
        path.write_text("\n".join(lines), encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(fill(crossed="true"), "`crossed` was 'true', must be true or false", id="crossed in words"),
        pytest.param('{"block_time":1,"events":[["0x1",{}]]}', "events: `coin` is missing", id="a fill of nothing"),
        pytest.param('{"block_time":1,"events":[["0x1",5]]}', "events: expected an object, got int", id="a fill that is none"),
        pytest.param('{"block_time":1,"events":[[1,2,3]]}', "`an event` has 3 elements, not 2", id="a fill of three"),
        pytest.param('{"block_time":1,"events":5}', "`events` is not a list but int", id="events that are none"),
        pytest.param('{"channel":"l2Book"}', "l2Book: expected an object, got NoneType", id="no data"),
        pytest.param('{"channel":"l2Book","data":[1]}', "l2Book: expected an object, got list", id="data that is a list"),
        pytest.param('{"channel":"bbo","data":{"time":1}}', "bbo: `coin` is missing", id="no coin"),
        pytest.param("soon " + usual(), "the time of receipt is 'soon', not whole ns since 1970", id="received soon"),
        pytest.param("9" * 400 + " " + usual(), "the time of receipt is '9{40}', not whole ns", id="received never"),
        pytest.param("-5 " + usual(), "the time of receipt is '-5', not whole ns", id="received before 1970"),
        pytest.param(f"{T0_MS} " + usual(), f"the time of receipt, {T0_MS} ns, is not between 1990 and 2100", id="received in ms"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_of_its_kind_says_what_it_lacks(
    written: Callable[..., str], line: str, message: str
) -> None:
    with pytest.raises(
        InputError, match=rf"lines.jsonl line 2: the line cannot be read \(.*{message}.*\); allowed"
    ):
        read_lines(written(usual(), line), "ETH")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(traded("4300.0", sz="0.00005"), "the size 5e-05 is under the lot of 0.0001", id="half a lot"),
        pytest.param(traded("4300.0", sz="0.00006"), "the size 6e-05 is under the lot of 0.0001", id="more than half a lot"),
        pytest.param(book([("4300", "1"), ("0.06", "1")], [("4301", "1")]), "the price 0.06 is under the tick of 0.1", id="a price under the tick"),
        pytest.param(book([("4300", "1"), ("4300", "1")], [("4301", "1")]), "bids at 4300 and then 4300; allowed: levels from the best", id="a bid twice"),
        pytest.param(book([("4302", "1")], [("4301", "1")], at_ms=5), "is crossed: best bid 4302, best ask 4301", id="a crossed book"),
    ],
)  # fmt: skip
def test_a_line_whose_amounts_cannot_be_stored_is_named(
    written: Callable[..., str], line: str, message: str
) -> None:
    with pytest.raises(InputError, match=rf"lines.jsonl line 3: .*{message}"):
        read_lines(written(usual(), usual(1), line), "ETH")


def test_a_lot_and_a_tick_are_not_under_themselves(written: Callable[..., str]) -> None:
    deep = book([("4300", "0.0001"), ("0.1", "0.0003")], [("4301", "0.0001")], at_ms=1)
    assert len(read_lines(written(usual(), deep), "ETH").deltas) == 21 + 4


def test_a_trade_apart_from_all_others_does_not_set_the_tick(written: Callable[..., str]) -> None:
    recording = read_lines(written(*(usual(at_ms) for at_ms in range(10)), traded("900.0")), "ETH")
    assert str(recording.instrument.price_increment) == "0.1"
    assert [str(trade.price) for trade in recording.trades] == ["900.0"]


def test_an_absurd_size_of_an_unknown_coin_does_not_take_the_decimals_of_its_prices(
    written: Callable[..., str],
) -> None:
    lines = [usual(at_ms, coin="NEW", size="3") for at_ms in range(10)]
    with pytest.raises(InputError, match=r"line 11: the size 2e-06 is under the lot of 0.00001|1e-05"):
        read_lines(written(*lines, traded("4300.1", sz="0.000002", coin="NEW")), "NEW")


def test_books_without_a_level_are_named_by_their_file(written: Callable[..., str]) -> None:
    with pytest.raises(InputError, match=r"lines.jsonl: every book and quote has an empty side"):
        read_lines(written(book([], [])), "ETH")


def test_lines_that_this_user_may_not_read_are_named(
    open_folder: Path, as_nobody: Callable[[], AbstractContextManager[None]]
) -> None:
    path = open_folder / "lines.jsonl"
    path.write_text(usual(), encoding="utf-8")
    path.chmod(0)
    with (
        as_nobody(),
        pytest.raises(InputError, match=r"cannot be read \(.*; allowed: a file that this user may read"),
    ):
        read_lines(str(path), "ETH")
