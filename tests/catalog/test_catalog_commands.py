"""What ``amm500 catalog ls``, ``check`` and ``query`` say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick

from amm500_catalog.cli import catalog_check
from amm500_catalog.cli import catalog_ls
from amm500_catalog.cli import catalog_query
from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.recordings import snapshot_deltas
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import StreamTable
from amm500_catalog.tables import file_name
from amm500_catalog.tables import stream_table


SECOND = 1_000_000_000
Streams = Callable[..., list[StreamTable]]


@pytest.fixture
def filled(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Callable[..., dict[str, Any]]
) -> CatalogStore:
    store.commit("a", make_streams(60), manifest(60), instruments=[instrument])
    return store


def rewrite(store: CatalogStore, cls: type, identifier: str, change: Callable[[pa.Table], pa.Table]) -> None:
    (file,) = store.files(cls, identifier)
    store._write_table(file.path, change(store.read_table(file.path)))


def test_ls_has_a_row_a_stream_and_marks_what_is_simulated(
    filled: CatalogStore, make_streams: Streams, manifest: Callable[..., dict[str, Any]]
) -> None:
    with filled.stage("sim") as staged:
        for stream in make_streams(5):
            staged.write(stream)
        staged.publish(manifest(5, simulated=True, source="generator"))
    listed = catalog_ls(filled.root)
    found = {(row[0], row[1], row[3]): (row[2], row[5]) for row in listed.rows}
    assert found["real", "real", "TradeTick"] == ("hl-book", 60)
    assert found["sim", "SIMULATED", "OrderBookDepth10"] == ("generator", 10)
    assert "SIMULATED" in listed.text()
    assert len(listed.text().splitlines()) == len(listed.rows) + 2


def test_an_empty_catalogue_lists_nothing_and_is_sound(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    root = str(tmp_path / "new")
    assert catalog_ls(root).rows == ()
    report = catalog_check(root)
    assert report.is_sound
    assert report.text() == "0 files, 0 rows read: sound"
    assert catalog_query(root, "SELECT count(*) FROM trades").rows == ((0,),)


@pytest.mark.parametrize("ask", [catalog_ls, catalog_check, lambda root: catalog_query(root, "SELECT 1")])
def test_a_catalogue_that_is_not_there_is_not_called_sound(
    ask: Callable[[str], object], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="there is no catalogue"):
        ask(str(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()


def test_a_place_where_no_catalogue_can_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the catalogue cannot be made"):
        CatalogStore(str(tmp_path / "file" / "store"))


class SilentFileSystem(fsspec.AbstractFileSystem):
    """A remote place that nobody is let into."""

    protocol = "silent"

    def exists(self, path: str, **_: Any) -> bool:
        """Never say."""
        raise RuntimeError("unable to locate credentials")


def test_a_catalogue_that_does_not_answer_is_said() -> None:
    fsspec.register_implementation("silent", SilentFileSystem, clobber=True)
    with pytest.raises(SourceUnavailableError, match="unable to locate credentials"):
        CatalogStore("silent://bucket/catalogue")


def test_a_sound_catalogue_is_said_to_be(filled: CatalogStore) -> None:
    report = catalog_check(filled.root)
    assert report.is_sound, report.text()
    # funding 1, oracle 20, mark 20, trades 60, depth 120, quotes 60
    assert report.rows == 281


def shuffled(table: pa.Table) -> pa.Table:
    return table.take([1, 0, *range(2, len(table))])


def test_check_finds_rows_out_of_order(filled: CatalogStore, instrument: Any) -> None:
    rewrite(filled, TradeTick, instrument.id.value, shuffled)
    assert (
        "row 2 at 2026-01-15 14:30:00 UTC is earlier than the row before" in catalog_check(filled.root).text()
    )


def test_check_finds_repeated_trades(filled: CatalogStore, instrument: Any) -> None:
    rewrite(
        filled, TradeTick, instrument.id.value, lambda table: pa.concat_tables([table.slice(0, 1), table])
    )
    assert "1 repeated rows (`trade_id`)" in catalog_check(filled.root).text()


@pytest.mark.parametrize(
    ("cls", "bid", "ask"),
    [(QuoteTick, "bid_price", "ask_price"), (OrderBookDepth10, "bid_price_0", "ask_price_0")],
)
def test_check_finds_crossed_books(
    filled: CatalogStore, instrument: Any, cls: type, bid: str, ask: str
) -> None:
    def cross(table: pa.Table) -> pa.Table:
        names = table.column_names
        swapped = [table.column(ask if name == bid else bid if name == ask else name) for name in names]
        return pa.Table.from_arrays(swapped, schema=table.schema)

    rewrite(filled, cls, instrument.id.value, cross)
    report = catalog_check(filled.root)
    assert not report.is_sound
    assert "crossed rows, the first at 2026-01-15 14:30:00 UTC: bid 690.01, ask 690" in report.text()


def test_check_finds_a_crossed_snapshot(
    store: CatalogStore, instrument: Any, manifest: Callable[..., dict[str, Any]]
) -> None:
    start = manifest(1)["start_ns"]
    good = snapshot_deltas(instrument, [(690.0, 1.0)], [(690.01, 1.0)], sequence=1, ts_ns=start)
    bad = snapshot_deltas(instrument, [(690.02, 1.0)], [(690.01, 1.0)], sequence=2, ts_ns=start + SECOND)
    store.commit(
        "books", [stream_table([*good, *bad], instrument.id.value)], manifest(2), instruments=[instrument]
    )
    assert "1 crossed books, the first at 2026-01-15 14:30:01 UTC" in catalog_check(store.root).text()


def test_check_finds_damaged_and_missing_files(filled: CatalogStore, instrument: Any) -> None:
    (quotes,) = filled.files(QuoteTick, instrument.id.value)
    Path(quotes.path).write_bytes(b"PAR1")
    (trades,) = filled.files(TradeTick, instrument.id.value)
    Path(trades.path).unlink()
    text = catalog_check(filled.root).text()
    assert "the stored file is damaged or half-written" in text
    assert "holds 0 of the 60 rows that were imported" in text
    with pytest.raises(InputError, match="damaged or half-written"):
        catalog_ls(filled.root)


def test_check_finds_a_single_changed_byte_of_any_column(filled: CatalogStore, instrument: Any) -> None:
    (trades,) = filled.files(TradeTick, instrument.id.value)
    whole = Path(trades.path).read_bytes()
    group = pq.read_metadata(trades.path).row_group(0)
    assert "damaged" not in catalog_check(filled.root).text()
    for index in range(group.num_columns):
        column = group.column(index)
        # the last byte of a column lies within its last page, past every header
        start = column.dictionary_page_offset or column.data_page_offset
        changed = bytearray(whole)
        changed[start + column.total_compressed_size - 1] ^= 1
        Path(trades.path).write_bytes(changed)
        assert "the stored file is damaged or half-written" in catalog_check(filled.root).text(), column


def test_check_says_of_a_changed_description_what_is_wrong_with_it(
    filled: CatalogStore, instrument: Any
) -> None:
    (trades,) = filled.files(TradeTick, instrument.id.value)
    table = pq.read_table(trades.path)
    names = [name.replace("trade_id", "trade_ie") for name in table.column_names]
    pq.write_table(table.rename_columns(names), trades.path)
    text = catalog_check(filled.root).text()
    assert "its columns are not those of a TradeTick (trade_id, trade_ie)" in text
    metadata = table.schema.metadata | {b"price_precision": b"."}
    pq.write_table(table.replace_schema_metadata(metadata), trades.path)
    assert "its price_precision is no number" in catalog_check(filled.root).text()


def test_check_finds_a_name_that_lies_and_files_that_overlap(filled: CatalogStore, instrument: Any) -> None:
    (file,) = filled.files(TradeTick, instrument.id.value)
    Path(file.path).with_name(file_name(file.start_ns + 1, file.end_ns + 1)).write_bytes(
        Path(file.path).read_bytes()
    )
    text = catalog_check(filled.root).text()
    assert "overlaps" in text
    assert "not as the name says" in text


def test_check_notes_silences_inside_a_session(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Callable[..., dict[str, Any]]
) -> None:
    start = manifest(1)["start_ns"]
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    later = start + 300 * SECOND
    store.commit("b", make_streams(5, start=later), manifest(5, start=later), instruments=[instrument])
    report = catalog_check(store.root)
    assert report.is_sound
    assert "1 silences over 60 s, the longest 295.5 s from 2026-01-15 14:30:04.500000 UTC" in report.text()


def test_query_answers_in_numbers_and_times(filled: CatalogStore) -> None:
    answer = catalog_query(
        filled.root, "SELECT price, size, side, epoch_ns(ts) FROM trades ORDER BY ts LIMIT 2"
    )
    assert answer.columns[:3] == ("price", "size", "side")
    assert answer.rows == (
        (690.0, 0.5, "sell", 1_768_487_400 * SECOND),
        (690.0, 0.5, "buy", 1_768_487_401 * SECOND),
    )
    assert catalog_query(filled.root, "SELECT rate FROM funding").rows == ((0.0000125,),)


def test_a_refused_query_names_the_views(filled: CatalogStore) -> None:
    with pytest.raises(
        InputError, match=r"the query was refused .*; allowed: SQL over depth, deltas, quotes, trades, bars"
    ):
        catalog_query(filled.root, "SELECT * FROM nothing")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", None])
def test_a_query_over_a_damaged_file_is_one_sentence(
    filled: CatalogStore, instrument: Any, content: bytes | None
) -> None:
    (file,) = filled.files(TradeTick, instrument.id.value)
    whole = Path(file.path).read_bytes()
    Path(file.path).write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(
        InputError, match=r"trade_tick/.*: the stored file is damaged or half-written; allowed"
    ):
        catalog_query(filled.root, "SELECT count(*) FROM trades")


def test_a_query_names_the_second_of_two_files_when_that_is_damaged(
    filled: CatalogStore, instrument: Any, make_streams: Streams, manifest: Callable[..., dict[str, Any]]
) -> None:
    later = manifest(1)["start_ns"] + 3_600 * SECOND
    filled.commit("b", make_streams(5, start=later), manifest(5, start=later))
    last = filled.files(TradeTick, instrument.id.value)[-1]
    Path(last.path).write_bytes(b"no parquet at all")
    with pytest.raises(InputError, match=rf"a stored file cannot be read \(.*{Path(last.path).name}"):
        catalog_query(filled.root, "SELECT count(*) FROM trades")


def test_a_stray_file_is_named_by_every_command(filled: CatalogStore, instrument: Any) -> None:
    (file,) = filled.files(TradeTick, instrument.id.value)
    Path(file.path).with_name("foo.parquet").write_bytes(b"x")
    with pytest.raises(
        InputError, match=r"foo.parquet: the file's name states no span; allowed: files written"
    ):
        catalog_query(filled.root, "SELECT count(*) FROM trades")
    with pytest.raises(InputError, match=r"the file's name 'foo.parquet' states no span"):
        catalog_ls(filled.root)
    report = catalog_check(filled.root)
    assert not report.is_sound
    assert "the file's name 'foo.parquet' states no span" in report.text()


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("COPY (SELECT 1) TO '{out}'", "COPY"),
        ("ATTACH '{out}'", "ATTACH"),
        ("SELECT 1; DROP VIEW trades", "SELECT, DROP"),
        (" ", "it is empty"),
    ],
)
def test_a_query_reads_and_nothing_else(filled: CatalogStore, sql: str, kind: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(
        InputError, match=rf"the query was refused \({kind}\); allowed: one statement that reads"
    ):
        catalog_query(filled.root, sql.format(out=out))
    assert not out.exists()
    pivoted = "PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)"
    assert catalog_query(filled.root, pivoted).rows == ((2,),)


def test_long_answers_are_cut_with_a_count(filled: CatalogStore) -> None:
    text = catalog_query(filled.root, "SELECT price FROM trades").text(limit=10)
    assert text.splitlines()[-1] == "... 50 more rows"
