"""Bar files: what loads, what is refused and in which words."""

import gzip
import http.server
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_catalog.bars import read_bar_frame
from amm500_catalog.bars import store_bar_frame
from amm500_catalog.check import check_store
from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.files import ColumnMap
from amm500_catalog.sources.files import FileSource
from amm500_catalog.sources.files import read_bars
from amm500_catalog.store import CatalogStore


AsNobody = Callable[[], AbstractContextManager[None]]
GOOD = """time,open,high,low,close,volume
2025-12-16T14:30:00Z,100,101,99,100.5,10
2025-12-16T14:35:00Z,100.5,102,100,101,20
2025-12-16T14:40:00Z,101,101.5,100.25,100.75,30
"""
FIRST_NS = pd.Timestamp("2025-12-16T14:30:00Z").value


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str, name: str = "bars.csv") -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_a_csv_loads_with_its_columns_found_by_name(csv: Callable[[str], str]) -> None:
    frame = read_bars(csv(GOOD))
    assert frame.interval_s == 300
    assert frame.bars["ts_open_ns"].tolist() == [FIRST_NS, FIRST_NS + 300 * NS, FIRST_NS + 600 * NS]
    assert frame.bars["ts_close_ns"].tolist()[-1] == FIRST_NS + 900 * NS
    assert frame.bars["close"].tolist() == [100.5, 101.0, 100.75]
    assert frame.bars["volume"].tolist() == [10.0, 20.0, 30.0]
    assert frame.sessions == ((FIRST_NS, FIRST_NS + 900 * NS),)


def test_a_column_map_names_what_the_header_does_not(csv: Callable[[str], str]) -> None:
    text = GOOD.replace("time,open,high,low,close,volume", "when,first,top,bottom,last,traded")
    columns = ColumnMap(time="when", open="first", high="top", low="bottom", close="last", volume="traded")
    assert read_bars(csv(text), columns=columns).bars.equals(read_bars(csv(GOOD)).bars)


def test_a_time_of_the_close_is_shifted_to_the_open(csv: Callable[[str], str]) -> None:
    frame = read_bars(csv(GOOD), columns=ColumnMap(time_is="close"))
    assert frame.start_ns == FIRST_NS - 300 * NS


def test_a_column_named_after_the_close_is_one(csv: Callable[[str], str]) -> None:
    assert read_bars(csv(GOOD.replace("time,", "close_time,"))).end_ns == FIRST_NS + 600 * NS


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_epoch_numbers_are_read_in_the_unit_their_size_shows(
    csv: Callable[[str], str], unit: str, scale: int
) -> None:
    seconds = FIRST_NS // NS
    rows = "".join(f"{(seconds + 300 * i) * scale},100,101,99,100\n" for i in range(3))
    text = f"t,o,h,l,c\n{rows}"
    for columns in (ColumnMap(), ColumnMap(unit=unit)):  # type: ignore[arg-type]
        assert read_bars(csv(text), columns=columns).start_ns == FIRST_NS


def test_naive_times_are_read_in_the_zone_given(csv: Callable[[str], str]) -> None:
    text = GOOD.replace("Z,", ",").replace("T14:", "T09:")
    frame = read_bars(csv(text), columns=ColumnMap(timezone="America/New_York"))
    # 09:30 in New York is 14:30 UTC in December
    assert frame.start_ns == FIRST_NS


def test_a_volume_of_zero_throughout_is_no_volume(csv: Callable[[str], str]) -> None:
    text = GOOD.replace(",10\n", ",0\n").replace(",20\n", ",0\n").replace(",30\n", ",0\n")
    frame = read_bars(csv(text))
    assert not frame.has_volume
    assert "no volume" in frame.notes[0]


def test_exact_copies_are_dropped_and_counted_when_asked(csv: Callable[[str], str]) -> None:
    lines = GOOD.splitlines()
    path = csv("\n".join([*lines[:2], lines[1], *lines[2:]]) + "\n")
    frame = read_bars(path, duplicates="drop")
    assert len(frame) == 3
    assert frame.notes == ("1 exact copies of a row dropped",)


def test_a_session_gap_stays_a_gap(csv: Callable[[str], str]) -> None:
    text = GOOD + "2025-12-17T14:30:00Z,101,102,100,101,5\n2025-12-17T14:35:00Z,101,102,100,101,5\n"
    frame = read_bars(csv(text))
    assert len(frame) == 5
    assert [start for start, _ in frame.sessions] == [FIRST_NS, FIRST_NS + 86_400 * NS]


EPOCHS = "t,o,h,l,c\n1765895400,1,1,1,1\n1765895700,1,1,1,1\n{},1,1,1,1\n"
BAD = {
    "out of order": (
        GOOD.replace("14:35", "14:50"),
        r"bars.csv row 3 \(line 4\): the time 2025-12-16 14:40:00 UTC is earlier than the row before, 2025-12-16 14:50:00 UTC; allowed: rows in time order",
    ),
    "exact copy": (
        GOOD + GOOD.splitlines()[-1] + "\n",
        r"row 4 \(line 5\): a second bar at 2025-12-16 14:40:00 UTC \(an exact copy\); allowed: one bar a time",
    ),
    "two bars of one time": (
        GOOD + "2025-12-16T14:40:00Z,101,102,100,101,30\n",
        r"row 4 \(line 5\): a second bar at .* \(with other prices\); allowed: one bar a time",
    ),
    "NaN price": (GOOD.replace("101,101.5", "nan,101.5"), r"row 3 \(line 4\): `open` is missing \(NaN\); allowed: a finite price above zero"),
    "empty price": (GOOD.replace("101,101.5", ",101.5"), r"row 3 .*`open` is missing"),
    "infinite price": (GOOD.replace(",102,", ",inf,"), r"row 2 .*`high` is inf; allowed: a finite price above zero"),
    "zero price": (GOOD.replace(",99,", ",0,"), r"row 1 \(line 2\): `low` is 0; allowed: a finite price above zero"),
    "negative price": (GOOD.replace(",99,", ",-99,"), r"row 1 .*`low` is -99; allowed: a finite price above zero"),
    "high below low": (GOOD.replace("101,99", "98,99"), r"row 1 .*`high` 98 is below `low` 99; allowed: low <= open, close <= high"),
    "open above high": (GOOD.replace("100,101,99", "101.5,101,99"), r"row 1 .*`open` 101.5 is outside the bar's range 99 to 101"),
    "close below low": (GOOD.replace("99,100.5,10", "99,98,10"), r"row 1 .*`close` 98 is outside the bar's range 99 to 101"),
    "negative volume": (GOOD.replace(",20\n", ",-20\n"), r"row 2 .*`volume` is -20; allowed: a finite volume of zero or more"),
    "missing volume": (GOOD.replace(",20\n", ",\n"), r"row 2 .*`volume` is missing \(NaN\)"),
    "price in words": (GOOD.replace(",99,", ",low,"), r"row 1 .*`low` is 'low'; allowed: a number"),
    "no timezone": (
        GOOD.replace("Z,", ","),
        r"row 1 \(line 2\): `time` has no timezone \(2025-12-16 14:30:00\); allowed: times with an offset, or `timezone` set",
    ),
    "some timezones": (GOOD.replace("14:35:00Z", "14:35:00"), r"row 2 .*has no timezone while other rows have one"),
    "no time": (GOOD.replace("2025-12-16T14:35:00Z", "later Z"), r"row 2 .*`time` 'later Z' is not a time; allowed: ISO 8601"),
    "missing time": (GOOD.replace("2025-12-16T14:35:00Z", ""), r"row 2 .*`time` is missing; allowed: a time in every row"),
    "odd interval": (GOOD.replace("14:35:00", "14:37:00"), r"row 2 .*opens 420 s after the row before; allowed: whole intervals \(180 s\) apart"),
    "unknown interval": (GOOD.replace("14:35:00", "14:30:10").replace("14:40:00", "14:30:20"), r"commonest step between bars is 10 s; allowed: bars of 1m"),
    "overlapping bars": (GOOD + "2025-12-16T14:42:00Z,101,102,100,101,30\n2025-12-16T14:47:00Z,101,102,100,101,3\n", r"row 4 .*opens 120 s after the row before; allowed: whole intervals \(300 s\) apart"),
    "header only": (GOOD.splitlines()[0] + "\n", "the file has 0 rows; allowed: at least two bars"),
    "no close column": (GOOD.replace("close,", "end,"), "no column is named `close`; allowed: a column map naming one of the file's columns: time, open"),
    "no time column": (GOOD.replace("time,", "when,"), "no column of times was found; allowed: a column map naming"),
    "a price that six decimals do not hold": (
        GOOD.replace("100.25", "0.0000089"),
        r"row 3 \(line 4\): `low` is 8.9e-06; allowed: a finite price above zero, from 0.005 to 1e\+13",
    ),
    "a price beyond the catalogue's": (GOOD.replace(",102,", ",690e12,"), r"row 2 .*`high` is 6.9e\+14; allowed: a finite price above zero, from 0.005 to"),
    "a volume beyond the catalogue's": (GOOD.replace(",20\n", ",1e20\n"), r"row 2 .*`volume` is 1e\+20; allowed: a finite volume of zero or more, at most 1e\+13"),
    "year 9999": (GOOD.replace("2025-12-16T14:35", "9999-12-16T14:35"), r"row 2 \(line 3\): the time is in the year 9999; allowed: a time between 1990 and 2100"),
    "an infinite epoch": (EPOCHS.format("inf"), r"row 3 \(line 4\): `t` is inf, read as an epoch number in s; allowed: a time between 1990 and 2100"),
    "an epoch beyond all": (EPOCHS.format("1e30"), r"row 3 \(line 4\): `t` is 1e\+30, read as"),
    "one epoch in another unit": (EPOCHS.format("1765896000000"), r"row 3 \(line 4\): `t` is 1.7659e\+12, read as an epoch number in s"),
    "wrong unit": ("t,o,h,l,c\n1,1,1,1,1\n301,1,1,1,1\n", r"the time reads as 1970-01-01 00:00:01 UTC; allowed: a time between 1990 and 2100"),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_bad_bars_are_refused_in_one_sentence(csv: Callable[[str], str], text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_bars(csv(text))
    assert str(caught.value).startswith(("/", "...")) or "bars.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


BAD_MAPS = {
    "unknown timezone": (
        ColumnMap(timezone="Mars/Olympus"),
        "`timezone` is 'Mars/Olympus'; allowed: an IANA name",
    ),
    "unknown column": (
        ColumnMap(open="first"),
        "there is no column `first` for `open`; allowed: one of the file's columns",
    ),
    "unknown time column": (ColumnMap(time="when"), "there is no column `when` for `time`"),
    "unknown volume column": (ColumnMap(volume="v2"), "there is no column `v2` for `volume`"),
}


@pytest.mark.parametrize(("columns", "message"), BAD_MAPS.values(), ids=BAD_MAPS.keys())
def test_a_wrong_column_map_is_refused(csv: Callable[[str], str], columns: ColumnMap, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_bars(csv(GOOD), columns=columns)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("unit", "weeks", "`unit` is 'weeks'; allowed: auto, s, ms, us, ns"),
        ("time_is", "middle", "`time_is` is 'middle'; allowed: open or close"),
    ],
)
def test_a_word_that_a_column_map_does_not_know_is_refused(key: str, value: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ColumnMap(**{key: value})  # type: ignore[arg-type]


def test_small_prices_of_a_market_load_and_are_stored_as_they_are(
    csv: Callable[[str], str], store: CatalogStore
) -> None:
    text = GOOD
    for price in ("100.25", "100.75", "101.5", "100.5", "100", "101", "102", "99"):
        text = text.replace(f",{price},", f",{float(price) / 10_000:.6f},")
    frame = read_bars(csv(text.replace(",99,", ",0.0099,")), symbol="kPEPE")
    store_bar_frame(store, frame)
    back = read_bar_frame(store, BarRequest("kPEPE", "5m", FIRST_NS, FIRST_NS + 900 * NS))
    assert back.bars["close"].tolist() == frame.bars["close"].tolist()
    assert check_store(store).is_sound


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "low",
            6.9e-10,
            r"file bars row 2: `low` is 6.9e-10; allowed: a finite price above zero, from 0.005",
        ),
        ("high", 1e15, "row 2: `high` is 1e"),
        ("volume", 1e20, "row 2: `volume` is 1e"),
    ],
)
def test_bars_that_the_catalogue_cannot_hold_are_not_stored_whatever_their_source(
    csv: Callable[[str], str], store: CatalogStore, column: str, value: float, message: str
) -> None:
    frame = read_bars(csv(GOOD))
    frame.bars.loc[1, column] = value
    with pytest.raises(InputError, match=message):
        store_bar_frame(store, frame)
    assert store.manifests() == {}


def test_epoch_numbers_in_another_zone_are_refused(csv: Callable[[str], str]) -> None:
    text = "t,o,h,l,c\n1765895400,1,1,1,1\n1765895700,1,1,1,1\n"
    with pytest.raises(
        InputError, match="`timezone` is 'Europe/Paris' but `t` holds epoch numbers; allowed: UTC"
    ):
        read_bars(csv(text), columns=ColumnMap(timezone="Europe/Paris"))


def test_a_wrong_timezone_shows_against_the_exchange_calendar(csv: Callable[[str], str]) -> None:
    assert len(read_bars(csv(GOOD), calendar="XNYS")) == 3
    naive = GOOD.replace("Z,", ",")
    # 14:30 read as New York time is 19:30 UTC, inside the session; 14:30 read as Tokyo time is 05:30 UTC, outside
    with pytest.raises(
        InputError, match=r"row 1 .*opens at 2025-12-16 05:30:00 UTC, outside the cash hours of XNYS"
    ):
        read_bars(csv(naive), columns=ColumnMap(timezone="Asia/Tokyo"), calendar="XNYS")


def test_an_unknown_calendar_is_refused(csv: Callable[[str], str]) -> None:
    with pytest.raises(InputError, match="`MOON` is no calendar"):
        read_bars(csv(GOOD), calendar="MOON")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_missing_file_is_named(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(
        InputError, match=f"gone{suffix}: the file does not exist; allowed: a CSV or Parquet file of bars"
    ):
        read_bars(str(tmp_path / f"gone{suffix}"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_empty_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"empty{suffix}"
    path.touch()
    with pytest.raises(InputError, match="the file is empty; allowed: a header and at least two bars"):
        read_bars(str(path))


@pytest.mark.parametrize("offset", ["-05", "-0500", "-05:00"])
def test_an_offset_may_be_hours_alone(tmp_path: Path, offset: str) -> None:
    path = tmp_path / "bars.csv"
    rows = [f"2025-12-16T09:{minute}:00{offset},100,101,99,100,5" for minute in (30, 35, 40)]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]), encoding="utf-8")
    bars = read_bars(str(path)).bars
    assert pd.Timestamp(bars["ts_open_ns"].iloc[0], unit="ns") == pd.Timestamp("2025-12-16T14:30:00")


def test_offsets_of_summer_and_winter_may_be_mixed(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    rows = [
        f"2025-{day},100,101,99,100,5"
        for day in ("10-31T09:30:00-04", "10-31T09:35:00-04", "11-03T09:30:00-05")
    ]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]), encoding="utf-8")
    opens = pd.to_datetime(read_bars(str(path)).bars["ts_open_ns"])
    assert [str(moment.time()) for moment in opens] == ["13:30:00", "13:35:00", "14:30:00"]


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="the file is damaged or not what its name says"):
        read_bars(str(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bars.csv.gz", GOOD.encode()),
        ("bars.csv.gz", gzip.compress(GOOD.encode())[:-20]),
        # a header of gzip, and then what no compressor wrote
        ("bars.csv.gz", gzip.compress(GOOD.encode())[:10] + b"\xff" * 40),
        ("bars.csv.bz2", GOOD.encode()),
        ("bars.csv.xz", GOOD.encode()),
        ("bars.csv.zip", GOOD.encode()),
        ("bars.csv", b"\xff\xfe\x00\x01"),
    ],
    ids=["no gzip", "cut off", "changed", "no bz2", "no xz", "no zip", "no text"],
)
def test_a_damaged_compressed_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: the file (is damaged|cannot be read)") as caught:
        read_bars(str(tmp_path / name))
    assert "this user may read" not in str(caught.value)


def test_a_file_that_this_user_may_not_read_is_named(open_folder: Path, as_nobody: AsNobody) -> None:
    path = open_folder / "bars.csv"
    path.write_text(GOOD, encoding="utf-8")
    path.chmod(0)
    with (
        as_nobody(),
        pytest.raises(InputError, match=r"bars.csv: the file cannot be read \(.*Permission denied"),
    ):
        read_bars(str(path))


@pytest.mark.parametrize("path", ["foo://b/x.csv", "gs://b/x.csv"])
def test_a_file_on_an_unknown_filesystem_is_refused(path: str) -> None:
    with pytest.raises(
        InputError, match=r"the file's filesystem cannot be opened .*; allowed: a path or fsspec"
    ):
        read_bars(path)


class SilentFileSystem(fsspec.AbstractFileSystem):
    """A remote place that nobody is let into."""

    protocol = "silentbars"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Never say."""
        raise RuntimeError("unable to locate credentials")


class BrokenFileSystem(fsspec.AbstractFileSystem):
    """A remote place whose files cannot be fetched."""

    protocol = "brokenbars"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Say that there is a file."""
        return {"name": path, "size": 10, "type": "file"}

    def _open(self, path: str, *_: Any, **__: Any) -> Any:
        raise ConnectionResetError("reset by peer")


@pytest.mark.parametrize(
    ("filesystem", "reason"),
    [(SilentFileSystem, "unable to locate credentials"), (BrokenFileSystem, "reset by peer")],
)
def test_a_file_elsewhere_that_cannot_be_reached_is_no_bad_input(
    filesystem: type[fsspec.AbstractFileSystem], reason: str
) -> None:
    fsspec.register_implementation(filesystem.protocol, filesystem, clobber=True)
    with pytest.raises(SourceUnavailableError, match=rf"x.csv: the file cannot be reached \({reason}"):
        read_bars(f"{filesystem.protocol}://b/x.csv")


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path begins with."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_error(int(self.path[1:4]))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x.csv", "https://127.0.0.1:1/x.csv", "ftp://127.0.0.1:1/x.csv"]
)
def test_a_server_where_nobody_answers_is_told_from_a_file_that_is_not_there(url: str) -> None:
    with pytest.raises(
        SourceUnavailableError, match=r"x\.csv: the file cannot be reached \(.*(127\.0\.0\.1|refused)"
    ):
        read_bars(url)


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_server_that_does_not_give_a_file_out_is_told_from_one_without_it(status: int, server: str) -> None:
    with pytest.raises(SourceUnavailableError, match=rf"the file cannot be reached \({status}"):
        read_bars(f"{server}/{status}.csv")


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_its_server_does_not_have_does_not_exist(status: int, server: str) -> None:
    with pytest.raises(InputError, match="the file does not exist"):
        read_bars(f"{server}/{status}.csv")


def test_a_file_below_a_file_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the file does not exist"):
        read_bars(str(tmp_path / "file" / "x.csv"))


def test_an_unknown_kind_of_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the file's type is not known; allowed: a name ending in"):
        read_bars(str(tmp_path / "bars.xlsx"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="this is a folder"):
        read_bars(str(tmp_path / "folder.csv"))


def test_the_source_gives_the_asked_span_and_refuses_another_interval(csv: Callable[[str], str]) -> None:
    source = FileSource(csv(GOOD))
    frame = source.fetch(BarRequest("x", "5m", FIRST_NS + 1, FIRST_NS + 600 * NS))
    assert frame.bars["ts_open_ns"].tolist() == [FIRST_NS + 300 * NS]
    with pytest.raises(SourceUnavailableError, match="bars of 300 s, 60 s were asked"):
        source.fetch(BarRequest("x", "1m", FIRST_NS, FIRST_NS + NS))
    with pytest.raises(SourceUnavailableError, match="has no bar from"):
        source.fetch(BarRequest("x", "5m", 0, NS))


prices = st.floats(min_value=0.01, max_value=1e6, allow_nan=False)


@st.composite
def bar_tables(draw: st.DrawFn) -> pd.DataFrame:
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 40]), min_size=1, max_size=20))
    opens = FIRST_NS + 300 * NS * np.cumsum([0, 1, *steps])
    rows = []
    for ts in opens:
        values = sorted(draw(st.tuples(prices, prices, prices, prices)))
        rows.append((int(ts), values[1], values[3], values[0], values[2], draw(st.floats(0.001, 1e9))))
    return pd.DataFrame(rows, columns=["ts_open_ns", "open", "high", "low", "close", "volume"])


@settings(max_examples=25, deadline=None)
@given(table=bar_tables(), suffix=st.sampled_from([".csv", ".parquet", ".csv.gz"]))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("bars") / f"bars{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    frame = read_bars(str(path), interval_s=300)
    for column in table.columns:
        assert frame.bars[column].tolist() == table[column].tolist()


@pytest.mark.real_data
def test_the_recorded_index_bars_load_with_20_sessions(shared_dir: Path) -> None:
    frame = read_bars(str(shared_dir / "data/oex_5m/oex_5m.parquet"), calendar="XNYS")
    assert len(frame) == 1_521
    assert len(frame.sessions) == 20
    assert frame.interval_s == 300
    assert not frame.has_volume
    assert frame.bars["close"].iloc[0] == 3397.53
    assert frame.start_ns == FIRST_NS
    # 20 x 78 bars less the half day's 36 and the three that are missing on 2026-01-06
    assert "3 bars missing inside sessions; left as gaps" in frame.notes


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "rows", "interval_s"),
    [("BTC-15m", 16_176, 900), ("SOL-1h", 7_793, 3_600), ("HYPE-1m", 6_957, 60)],
)
def test_the_recorded_candles_load(shared_dir: Path, name: str, rows: int, interval_s: int) -> None:
    frame = read_bars(str(shared_dir / f"data/hl_candles_funding_202507/{name}-futures.parquet"))
    assert (len(frame), frame.interval_s, len(frame.sessions)) == (rows, interval_s, 1)
    assert frame.has_volume
