"""Streams of the catalogue, merged in time order and in bounded pieces."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_catalog.check import check_store
from amm500_catalog.cli import catalog_ls
from amm500_catalog.dataset import info_from_meta
from amm500_catalog.dataset import merge_streams
from amm500_catalog.dataset import meta_from_info
from amm500_catalog.dataset import open_recorded
from amm500_catalog.dataset import open_simulated
from amm500_catalog.errors import InputError
from amm500_catalog.sources.recordings import snapshot_deltas
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import StreamTable
from amm500_catalog.tables import stream_table


SECOND = 1_000_000_000
Streams = Callable[..., list[StreamTable]]
Manifest = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Event:
    ts_init: int
    stream: int
    number: int


def test_every_row_comes_back_in_time_order(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    streams = make_streams(60)
    store.commit("a", streams, manifest(60), instruments=[instrument])
    batches = list(open_recorded(store, "a").batches())
    items = [item for batch in batches for item in batch]
    times = [item.ts_init for item in items]
    assert times == sorted(times)
    assert len(items) == sum(len(stream.table) for stream in streams)
    assert open_recorded(store, "a").instrument.id == instrument.id


def test_a_trade_comes_before_the_book_of_its_time_and_the_touch_after(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    first = [item for batch in open_recorded(store, "a").batches() for item in batch][:6]
    assert [type(item).__name__ for item in first] == [
        "FundingRateUpdate",
        "IndexPriceUpdate",
        "MarkPriceUpdate",
        "TradeTick",
        "OrderBookDepth10",
        "QuoteTick",
    ]


def test_feed_latency_moves_the_arrival_and_leaves_the_exchange_time(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(20), manifest(20), instruments=[instrument])
    prompt = [item for batch in open_recorded(store, "a").batches() for item in batch]
    late = [
        item for batch in open_recorded(store, "a", feed_latency_ns=150_000_000).batches() for item in batch
    ]
    assert [item.ts_init for item in late] == [item.ts_init + 150_000_000 for item in prompt]
    assert [item.ts_event for item in late] == [item.ts_event for item in prompt]
    assert [type(item) for item in late] == [type(item) for item in prompt]


def test_a_span_is_half_open_and_two_halves_make_the_whole(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(30), manifest(30), instruments=[instrument])
    dataset = open_recorded(store, "a")
    start, cut, end = dataset.info.start_ns, dataset.info.start_ns + 10 * SECOND, dataset.info.end_ns
    parts = [
        [item for batch in dataset.batches(a, b) for item in batch] for a, b in ((start, cut), (cut, end))
    ]
    assert max(item.ts_init for item in parts[0]) < cut <= min(item.ts_init for item in parts[1])
    assert len(parts[0]) + len(parts[1]) == sum(map(len, dataset.batches()))
    with pytest.raises(InputError, match=r"is not after the start .*; allowed: an end after the start"):
        dataset.batches(end, start)


def test_only_the_asked_classes_are_handed_out(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    dataset = open_recorded(store, "a", classes=(TradeTick, QuoteTick))
    assert {type(item) for batch in dataset.batches() for item in batch} == {TradeTick, QuoteTick}


def test_a_snapshot_is_one_batch_with_its_levels_in_order(
    store: CatalogStore, instrument: Any, manifest: Manifest
) -> None:
    # 2,000 books of 41 changes share 41 rows a time: a filtered scan over several processors would shuffle them
    deltas: list[OrderBookDelta] = []
    start = manifest(0)["start_ns"]
    for number in range(2_000):
        bids = [(690.0 - i / 100, 1.0 + i) for i in range(20)]
        asks = [(690.01 + i / 100, 2.0 + i) for i in range(20)]
        deltas += snapshot_deltas(instrument, bids, asks, sequence=number, ts_ns=start + number * SECOND)
    stream = stream_table(deltas, instrument.id.value)
    store.commit("books", [stream], manifest(2_000), instruments=[instrument])
    got = [item for batch in open_recorded(store, "books").batches() for item in batch]
    assert len(got) == 2_000
    for number, batch in enumerate(got):
        assert isinstance(batch, OrderBookDeltas)
        assert batch.ts_init == start + number * SECOND
        assert [delta.flags for delta in batch.deltas] == [32] * 40 + [160]
        assert batch.deltas[0].action == BookAction.CLEAR
        assert [float(delta.order.price) for delta in batch.deltas[1:21]] == [
            round(690 - i / 100, 2) for i in range(20)
        ]
        assert [delta.order.side for delta in batch.deltas[21:]] == [OrderSide.SELL] * 20


def test_a_batch_without_an_end_is_refused(store: CatalogStore, instrument: Any, manifest: Manifest) -> None:
    start = manifest(1)["start_ns"]
    order = BookOrder(OrderSide.BUY, Price(690, 2), Quantity(1, 3), 0)
    loose = OrderBookDelta(instrument.id, BookAction.ADD, order, 32, 1, start, start)
    store.commit("a", [stream_table([loose], instrument.id.value)], manifest(1), instruments=[instrument])
    with pytest.raises(
        InputError,
        match=r"1 book changes at .* have no end; allowed: every batch of deltas ends with the flag F_LAST",
    ):
        list(open_recorded(store, "a").batches())


def test_a_damaged_file_is_named(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    path = store.files(OrderBookDepth10, instrument.id.value)[0].path
    with open(path, "r+b") as stream:  # noqa: PTH123
        stream.truncate(200)
    with pytest.raises(InputError, match="damaged or half-written; allowed: a complete Parquet file"):
        list(open_recorded(store, "a").batches())


@pytest.fixture
def simulated(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> CatalogStore:
    """Two days of a simulated dataset, a file a day of each stream, with the rows that were written."""
    day = 86_400 * SECOND
    start = manifest(60)["start_ns"]
    parts = [stream for begin in (start, start + day) for stream in make_streams(60, start=begin)]
    rows: dict[str, int] = {}
    with store.stage("sim") as staged:
        staged.catalog.write_data([instrument])
        for stream in parts:
            staged.write(stream)
            rows[stream.data_cls.__name__] = rows.get(stream.data_cls.__name__, 0) + len(stream.table)
        body = manifest(60, simulated=True, source="file") | {"end_ns": start + day + 60 * SECOND}
        staged.publish({**body, "rows": rows})
    return store


def test_a_simulated_dataset_that_lost_a_file_is_refused_and_found_by_the_check(
    simulated: CatalogStore, instrument: Any
) -> None:
    assert open_simulated(simulated, "sim").info.simulated
    assert check_store(simulated).is_sound
    # a day without its takers would be a market that hurts no maker, and nothing would say so
    Path(simulated.files(TradeTick, instrument.id.value, "sim")[1].path).unlink()
    with pytest.raises(InputError, match=r"a part of sim is gone: TradeTick of .* holds 60 of the 120 rows"):
        open_simulated(simulated, "sim")
    report = check_store(simulated)
    assert not report.is_sound
    assert "error: sim dataset.json: TradeTick of" in report.text()


@pytest.mark.parametrize("cls", [FundingRateUpdate, IndexPriceUpdate, QuoteTick, type(None)])
def test_a_half_written_file_of_any_stream_is_one_sentence(
    simulated: CatalogStore, instrument: Any, cls: type
) -> None:
    kind = type(instrument) if cls is type(None) else cls
    path = Path(simulated.files(kind, instrument.id.value, "sim")[0].path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"damaged or half-written"):
        open_simulated(simulated, "sim")


@pytest.mark.parametrize("cls", [FundingRateUpdate, IndexPriceUpdate])
def test_a_file_that_is_damaged_while_it_is_read_is_one_sentence(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest, cls: type
) -> None:
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    dataset = open_recorded(store, "a")
    Path(store.files(cls, instrument.id.value)[0].path).write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"the stored file is damaged or half-written"):
        list(dataset.batches())


@pytest.mark.parametrize(
    "cls",
    [FundingRateUpdate, IndexPriceUpdate, MarkPriceUpdate, TradeTick, OrderBookDepth10, QuoteTick],
)
def test_a_single_changed_byte_is_one_sentence_and_never_other_data(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest, cls: type
) -> None:
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    path = Path(store.files(cls, instrument.id.value)[0].path)
    whole, group = path.read_bytes(), pq.read_metadata(path).row_group(0)
    dataset = open_recorded(store, "a")
    for index in range(group.num_columns):
        column = group.column(index)
        # the last byte of a column lies within its last page, past every header
        start = column.dictionary_page_offset or column.data_page_offset
        changed = bytearray(whole)
        changed[start + column.total_compressed_size - 1] ^= 1
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"the stored file is damaged or half-written"):
            list(dataset.batches())


def test_an_import_that_lost_a_file_is_refused(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    later = manifest(0)["start_ns"] + 3_600 * SECOND
    store.commit("a", make_streams(60), manifest(60), instruments=[instrument])
    store.commit("b", make_streams(60, start=later), manifest(60, start=later))
    assert open_recorded(store, "a").info.name == "a"
    Path(store.files(TradeTick, instrument.id.value)[0].path).unlink()
    with pytest.raises(InputError, match=r"a part of a is gone: TradeTick of .* lacks a file"):
        open_recorded(store, "a")
    assert open_recorded(store, "b").info.name == "b"


def test_a_description_without_its_span_is_one_sentence(simulated: CatalogStore) -> None:
    path = Path(simulated.base("sim")) / "dataset.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    del body["start_ns"]
    path.write_text(json.dumps(body), encoding="utf-8")
    with pytest.raises(InputError, match=r"what is stored of sim lacks `start_ns`"):
        open_simulated(simulated, "sim")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sessions", "x", r"`sessions` is 'x'; allowed: a list of pairs of times in ns"),
        ("sessions", [[1]], r"`sessions` is \[\[1\]\]"),
        ("start_ns", None, r"`start_ns` is None; allowed: a whole number"),
        ("end_ns", "soon", r"`end_ns` is 'soon'; allowed: a whole number"),
        ("stream_names", 5, r"`stream_names` is 5; allowed: a list of texts"),
        ("params", [], r"`params` is \[\]; allowed: an object"),
        ("rows", [1], r"`rows` is \[1\]; allowed: an object"),
        ("rows", {"TradeTick": "many"}, r"`TradeTick` is 'many'; allowed: a whole number"),
        ("rows", {"twin.QuoteTick": 1}, r"`instrument_id` of twin.QuoteTick is None; allowed: a text"),
    ],
)
def test_a_description_of_another_form_is_one_sentence(
    simulated: CatalogStore, key: str, value: Any, message: str
) -> None:
    path = Path(simulated.base("sim")) / "dataset.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(body | {key: value}), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        open_simulated(simulated, "sim")
    report = check_store(simulated)
    assert not report.is_sound
    assert "error: sim dataset.json: " in report.text()
    assert catalog_ls(simulated.root).rows


@pytest.mark.parametrize("content", [b"[1]", b"{", b"\xff\xfe"])
def test_a_description_that_is_no_object_is_named(simulated: CatalogStore, content: bytes) -> None:
    (Path(simulated.base("sim")) / "dataset.json").write_bytes(content)
    with pytest.raises(
        InputError, match=r"simulated/sim/dataset.json: the file holds no JSON object; allowed"
    ):
        open_simulated(simulated, "sim")
    report = check_store(simulated)
    assert not report.is_sound
    assert "error: real simulated/sim/dataset.json: the file holds no JSON object" in report.text()
    assert {row[2] for row in catalog_ls(simulated.root).rows} == {""}


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe"])
def test_a_manifest_that_is_no_object_is_named(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest, content: bytes
) -> None:
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    (Path(store.root) / "datasets" / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"datasets/a.json: the file holds no JSON object; allowed"):
        open_recorded(store, "a")
    report = check_store(store)
    assert not report.is_sound
    assert "error: real datasets/a.json: the file holds no JSON object" in report.text()
    assert catalog_ls(store.root).rows


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ([], r"`streams` is \[\]; allowed: an object"),
        ({"data/trade_tick/x": {"rows": 1, "end_ns": 2}}, "`start_ns` is None; allowed: a whole number"),
        ({"x": {}}, r"`streams` has 'x': \{\}; allowed: data/<class>/<instrument>"),
    ],
)
def test_a_manifest_of_another_form_is_one_sentence(
    store: CatalogStore,
    instrument: Any,
    make_streams: Streams,
    manifest: Manifest,
    streams: Any,
    message: str,
) -> None:
    store.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    path = Path(store.root) / "datasets" / "a.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"streams": streams}))
    with pytest.raises(InputError, match=message):
        open_recorded(store, "a")
    with pytest.raises(InputError, match=message):
        catalog_ls(store.root)
    report = check_store(store)
    assert not report.is_sound
    assert re.search(message.partition("; allowed")[0], report.text())


@pytest.mark.parametrize("label", [None, "sim"])
@pytest.mark.parametrize("size", [0, 4, 200])
def test_the_check_reads_the_definitions_of_instruments_too(
    simulated: CatalogStore,
    instrument: Any,
    make_streams: Streams,
    manifest: Manifest,
    label: str | None,
    size: int,
) -> None:
    simulated.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    (file,) = simulated.files(type(instrument), instrument.id.value, label)
    Path(file.path).write_bytes(Path(file.path).read_bytes()[:size])
    with pytest.raises(InputError, match="damaged or half-written"):
        open_recorded(simulated, "a") if label is None else open_simulated(simulated, "sim")
    report = check_store(simulated)
    assert not report.is_sound
    assert f"error: {label or 'real'} definitions: {file.path}: the stored file is damaged" in report.text()


@pytest.mark.parametrize("label", [None, "sim"])
def test_the_check_finds_a_lost_definition(
    simulated: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest, label: str | None
) -> None:
    simulated.commit("a", make_streams(5), manifest(5), instruments=[instrument])
    (file,) = simulated.files(type(instrument), instrument.id.value, label)
    Path(file.path).unlink()
    report = check_store(simulated)
    assert not report.is_sound
    assert f"the instrument {instrument.id} is not stored" in report.text()


def test_an_unknown_dataset_names_those_there_are(
    store: CatalogStore, instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store.commit("january", make_streams(5), manifest(5), instruments=[instrument])
    with pytest.raises(InputError, match="there is no import 'february'; allowed: january"):
        open_recorded(store, "february")
    with pytest.raises(InputError, match="there is no simulated dataset 'x'; allowed: none yet"):
        open_simulated(store, "x")


def test_what_a_dataset_is_survives_being_written_down(manifest: Manifest) -> None:
    meta = manifest(
        60, defaults=["daily volume 3.4M (source has none)"], description="a test", params={"seed": 1}
    )
    info = info_from_meta(meta, name="n", catalog="c")
    assert info_from_meta(meta_from_info(info), name="n", catalog="c") == info
    assert info.defaults == ("daily volume 3.4M (source has none)",)


@st.composite
def chunked_streams(draw: st.DrawFn) -> list[list[list[Event]]]:
    streams = []
    for stream in range(draw(st.integers(1, 4))):
        times = sorted(draw(st.lists(st.integers(0, 12), max_size=25)))
        events = [Event(ts, stream, number) for number, ts in enumerate(times)]
        chunks = []
        while events:
            size = draw(st.integers(0, 5))
            chunks.append(events[:size])
            events = events[size:]
        streams.append(chunks)
    return streams


@settings(max_examples=200, deadline=None)
@given(streams=chunked_streams())
def test_merging_chunks_equals_sorting_everything_by_time_then_stream(
    streams: list[list[list[Event]]],
) -> None:
    batches = list(merge_streams([iter(chunks) for chunks in streams]))
    merged = [event for batch in batches for event in batch]
    everything = [event for chunks in streams for chunk in chunks for event in chunk]
    assert merged == sorted(everything, key=lambda event: (event.ts_init, event.stream, event.number))
    assert all(a[-1].ts_init < b[0].ts_init for a, b in pairwise(batches))
    assert all(batches)


def test_merging_puts_the_earlier_stream_first_at_one_time() -> None:
    trades = [[Event(1, 0, 0), Event(2, 0, 1)]]
    books = [[Event(1, 1, 0)], [Event(2, 1, 1)]]
    merged = [event for batch in merge_streams([iter(trades), iter(books)]) for event in batch]
    assert [(event.ts_init, event.stream) for event in merged] == [(1, 0), (1, 1), (2, 0), (2, 1)]
