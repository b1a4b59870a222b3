"""The files: read back by Nautilus, the same bytes for the same seed, gaps kept, nothing half-written."""

import hashlib
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import RecordFlag
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from amm500_catalog.arrow import CatalogWriter
from amm500_catalog.arrow import Precision
from amm500_catalog.arrow import decode_fixed
from amm500_catalog.arrow import delta_table
from amm500_catalog.arrow import depth_table
from amm500_catalog.arrow import fixed_point
from amm500_catalog.arrow import funding_table
from amm500_catalog.arrow import price_table
from amm500_catalog.arrow import quote_table
from amm500_catalog.arrow import read_columns
from amm500_catalog.arrow import trade_table
from amm500_catalog.calibrate_report import walk_bars
from amm500_catalog.errors import InputError
from amm500_catalog.simulator import SimulatorConfig
from amm500_catalog.simulator import TwinConfig
from amm500_catalog.simulator import simulate
from amm500_catalog.spec import MarketSpec


SPEC = MarketSpec()
ID = InstrumentId.from_str(SPEC.instrument_id)
PRECISION = Precision(SPEC.instrument_id, 2, 3)
DAY = 86_400 * 10**9
MIDNIGHT = 1_768_435_200 * 10**9
CLASSES = (OrderBookDepth10, QuoteTick, TradeTick, IndexPriceUpdate, MarkPriceUpdate, FundingRateUpdate)


def _ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def _depth_object(ts: int) -> OrderBookDepth10:
    def side(which: OrderSide, step: int) -> list[BookOrder]:
        start = 69_000 if which == OrderSide.BUY else 69_001
        return [
            BookOrder(which, Price((start + step * i) / 100, 2), Quantity((100 + i) / 1000, 3), 0)
            for i in range(10)
        ]

    bids, asks = side(OrderSide.BUY, -1), side(OrderSide.SELL, 1)
    return OrderBookDepth10(ID, bids, asks, [1] * 10, [1] * 10, 0, 0, ts, ts)


def _books_and_trades(ts: np.ndarray) -> dict[type, tuple[object, list[object]]]:
    rungs = np.arange(10, dtype=np.int64)
    lots = np.tile(100 + rungs, (2, 1))
    depth = depth_table(
        PRECISION,
        ts=ts,
        bid_ticks=np.tile(69_000 - rungs, (2, 1)),
        bid_lots=lots,
        ask_ticks=np.tile(69_001 + rungs, (2, 1)),
        ask_lots=lots,
    )
    touch = {"bid_ticks": _ints(69_000, 69_001), "bid_lots": _ints(1, 2)}
    touch |= {"ask_ticks": _ints(69_001, 69_003), "ask_lots": _ints(3, 123_456)}
    flags = int(RecordFlag.F_SNAPSHOT)
    return {
        OrderBookDepth10: (depth, [_depth_object(int(t)) for t in ts]),
        QuoteTick: (
            quote_table(PRECISION, ts=ts, **touch),
            [
                QuoteTick(ID, Price(690.00, 2), Price(690.01, 2), Quantity(0.001, 3), Quantity(0.003, 3), ts[0], ts[0]),
                QuoteTick(ID, Price(690.01, 2), Price(690.03, 2), Quantity(0.002, 3), Quantity(123.456, 3), ts[1], ts[1]),
            ],
        ),
        TradeTick: (
            trade_table(PRECISION, ts=ts, ticks=_ints(69_000, 1), lots=_ints(7, 9), aggressor=_ints(1, -1), trade_ids=[5, 6]),
            [
                TradeTick(ID, Price(690.0, 2), Quantity(0.007, 3), AggressorSide.BUYER, TradeId("5"), ts[0], ts[0]),
                TradeTick(ID, Price(0.01, 2), Quantity(0.009, 3), AggressorSide.SELLER, TradeId("6"), ts[1], ts[1]),
            ],
        ),
        OrderBookDelta: (
            delta_table(
                PRECISION,
                ts=ts,
                action=_ints(int(BookAction.ADD), int(BookAction.ADD)),
                side=_ints(1, 2),
                ticks=_ints(69_000, 69_001),
                lots=_ints(4, 5),
                flags=_ints(flags, flags),
            ),
            [
                OrderBookDelta(ID, BookAction.ADD, BookOrder(OrderSide.BUY, Price(690.0, 2), Quantity(0.004, 3), 0), flags, 0, ts[0], ts[0]),
                OrderBookDelta(ID, BookAction.ADD, BookOrder(OrderSide.SELL, Price(690.01, 2), Quantity(0.005, 3), 0), flags, 0, ts[1], ts[1]),
            ],
        ),
    }  # fmt: skip


def _prices_and_funding(ts: np.ndarray) -> dict[type, tuple[object, list[object]]]:
    return {
        MarkPriceUpdate: (
            price_table(MarkPriceUpdate, PRECISION, ts=ts, ticks=_ints(69_000, 69_002)),
            [MarkPriceUpdate(ID, Price(690.0, 2), ts[0], ts[0]), MarkPriceUpdate(ID, Price(690.02, 2), ts[1], ts[1])],
        ),
        IndexPriceUpdate: (
            price_table(IndexPriceUpdate, PRECISION, ts=ts, ticks=_ints(69_000, 69_002)),
            [IndexPriceUpdate(ID, Price(690.0, 2), ts[0], ts[0]), IndexPriceUpdate(ID, Price(690.02, 2), ts[1], ts[1])],
        ),
        FundingRateUpdate: (
            funding_table(PRECISION, ts=ts, rates=[Decimal("0.000005708"), Decimal("-0.0001")]),
            [
                FundingRateUpdate(ID, Decimal(rate), int(t), int(t), 60, int(t) + 3600 * 10**9)
                for rate, t in zip(("0.000005708", "-0.0001"), ts, strict=True)
            ],
        ),
    }  # fmt: skip


def _ours_and_theirs() -> dict[type, tuple[object, list[object]]]:
    """The same two rows of each class: our columns, and the objects they should be."""
    ts = _ints(MIDNIGHT, MIDNIGHT + 5 * 10**8)
    return _books_and_trades(ts) | _prices_and_funding(ts)


@pytest.mark.parametrize("data_cls", list(_ours_and_theirs()), ids=lambda c: c.__name__)
def test_our_columns_are_the_ones_nautilus_writes_and_read_back_as_the_same_objects(tmp_path, data_cls):
    table, objects = _ours_and_theirs()[data_cls]
    ours, theirs = str(tmp_path / "ours"), str(tmp_path / "theirs")
    written = CatalogWriter(ours).write(data_cls, PRECISION, table)
    ParquetDataCatalog(theirs).write_data(objects)
    (reference,) = Path(theirs).rglob("*.parquet")
    assert Path(written).relative_to(ours) == reference.relative_to(theirs)
    mine, its = pq.read_schema(written), pq.read_schema(reference)
    assert {f.name: f.type for f in mine} == {f.name: f.type for f in its}
    assert mine.metadata.items() >= its.metadata.items()
    found = ParquetDataCatalog(ours).query(data_cls, identifiers=[SPEC.instrument_id])
    assert [type(o).to_dict(o) for o in found] == [type(o).to_dict(o) for o in objects]


@pytest.mark.parametrize(
    ("units", "decimals"), [(0, 0), (1, 0), (4_294_967_295, 0), (4_294_967_295, 8), (69_001, 2), (1, 16)]
)
def test_fixed_point_numbers_are_exact(units, decimals):
    raw = fixed_point(_ints(units), decimals).to_pylist()[0]
    assert int.from_bytes(raw, "little") == units * 10 ** (16 - decimals)
    assert decode_fixed(fixed_point(_ints(units), decimals))[0] == pytest.approx(units / 10**decimals)


@pytest.mark.parametrize("units", [-1, 2**32])
def test_a_number_that_does_not_fit_is_refused(units):
    with pytest.raises(ValueError, match="must be within"):
        fixed_point(_ints(units), 2)


def _two_days() -> pd.DataFrame:
    """Two hours on each of two days, with ten minutes missing in the second hour of the first."""
    first = walk_bars(hours=2, seed=1, start_ns=MIDNIGHT)
    second = walk_bars(hours=2, seed=2, start_ns=MIDNIGHT + DAY)
    return pd.concat([first.drop(index=range(70, 80)), second], ignore_index=True)


def _files(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    config = SimulatorConfig(twin=TwinConfig(depth=True))
    steps: list[tuple[int, int]] = []
    result = simulate(_two_days(), (), SPEC, config, 7, str(root), lambda done, of: steps.append((done, of)))
    assert steps == [(1, 2), (2, 2)]
    return root, result


def test_nautilus_reads_every_stream_that_was_written(made):
    root, result = made
    catalog = ParquetDataCatalog(str(root))
    for data_cls in CLASSES:
        found = catalog.query(data_cls, identifiers=[SPEC.instrument_id])
        assert len(found) == result.rows[data_cls.__name__]
        times = [o.ts_init for o in found]
        assert times == sorted(times)
    # two hours less ten minutes, then two hours, at two books a second
    assert result.rows["OrderBookDepth10"] == 2 * (110 + 120) * 60
    assert (
        len(catalog.query(OrderBookDepth10, identifiers=["xyz:SP500-USD-PERP.HYPERLIQUID"])) == 2 * 230 * 60
    )


def test_the_column_reader_agrees_with_nautilus(made):
    root, _ = made
    found = ParquetDataCatalog(str(root)).query(OrderBookDepth10, identifiers=[SPEC.instrument_id])[:500]
    names = ["ts_event", "bid_price_0", "ask_price_9", "ask_size_9"]
    columns = read_columns(str(root), OrderBookDepth10, SPEC.instrument_id, names)
    assert columns["bid_price_0"][:500] == pytest.approx([float(o.bids[0].price) for o in found])
    assert columns["ask_price_9"][:500] == pytest.approx([float(o.asks[9].price) for o in found])
    assert columns["ask_size_9"][:500] == pytest.approx([float(o.asks[9].size) for o in found])
    part = read_columns(str(root), OrderBookDepth10, SPEC.instrument_id, names, start_ns=MIDNIGHT + DAY)
    assert part["ts_event"].min() == MIDNIGHT + DAY


def test_gaps_hold_no_market_data_and_funding_runs_through_them(made):
    root, result = made
    minute = 60 * 10**9
    assert result.ranges == (
        (MIDNIGHT, MIDNIGHT + 70 * minute),
        (MIDNIGHT + 80 * minute, MIDNIGHT + 120 * minute),
        (MIDNIGHT + DAY, MIDNIGHT + DAY + 120 * minute),
    )
    for data_cls in CLASSES[:-1]:
        ts = read_columns(str(root), data_cls, SPEC.instrument_id, ["ts_init"])["ts_init"].astype(np.int64)
        inside = np.zeros(len(ts), dtype=bool)
        for start, end in result.ranges:
            inside |= (ts >= start) & (ts < end)
        assert inside.all()
    hours = ParquetDataCatalog(str(root)).query(FundingRateUpdate)
    assert len(hours) == 26
    assert {h.rate for h in hours} == {Decimal("0.000005708")}


def test_each_day_trades_its_open_hours_share_of_a_whole_day_s_volume(made):
    root, result = made
    columns = read_columns(str(root), TradeTick, SPEC.instrument_id, ["ts_init", "price", "size"])
    day = columns["ts_init"].astype(np.int64) // DAY
    # 110 and 120 open minutes of the 1,440 of a day
    for one, minutes in zip(np.unique(day), (110, 120), strict=True):
        traded = float((columns["price"] * columns["size"])[day == one].sum())
        assert traded == pytest.approx(3.4e6 * minutes / 1440, rel=0.02)
    assert result.params["bars"]["notional_per_day"] == pytest.approx(3.4e6)


@pytest.mark.parametrize("hours", [1, 3])
def test_an_hour_of_bars_trades_a_twenty_fourth_of_the_daily_volume(tmp_path, hours):
    config = SimulatorConfig(daily_volume=2.4e6)
    result = simulate(walk_bars(hours=hours, seed=1), (), SPEC, config, 1, str(tmp_path))
    columns = read_columns(str(tmp_path), TradeTick, SPEC.instrument_id, ["price", "size"])
    assert float((columns["price"] * columns["size"]).sum()) == pytest.approx(hours * 1e5, rel=0.02)
    assert any("as the pace of 24 hours: an open hour trades 1/24 of it" in d for d in result.defaults)


def test_every_default_is_named(made):
    _, result = made
    said = " / ".join(result.defaults)
    assert "daily volume 3,400,000 on 2 of 2 days" in said
    assert "funding rate 0.000005708 an hour for 26 of 26 hours" in said
    assert "toxicity is middle" in said
    assert "leads by 500 ms" in said
    assert result.params["seed"] == 7


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(made, tmp_path):
    root, _ = made
    config = SimulatorConfig(twin=TwinConfig(depth=True))
    simulate(_two_days(), (), SPEC, config, 7, str(tmp_path / "again"))
    simulate(_two_days(), (), SPEC, config, 8, str(tmp_path / "other"))
    assert _files(tmp_path / "again") == _files(root)
    again, other = _files(tmp_path / "again"), _files(tmp_path / "other")
    # a file's name says when its last book came, which the seed draws too
    depth = {content for name, content in again.items() if "order_book_depths" in name}
    assert len(depth) == 4
    assert not depth & {content for name, content in other.items() if "order_book_depths" in name}


def test_a_day_does_not_depend_on_the_days_before_it(made, tmp_path):
    root, _ = made
    alone = _two_days().iloc[110:]
    simulate(alone, (), SPEC, SimulatorConfig(twin=TwinConfig(depth=True)), 7, str(tmp_path))
    whole = _files(root)
    for name, digest in _files(tmp_path).items():
        if "funding_rate" not in name:
            assert whole[name] == digest


def test_a_repeated_run_leaves_one_copy_of_each_day(tmp_path):
    for hours in (1, 2):
        simulate(walk_bars(hours=hours, seed=1), (), SPEC, SimulatorConfig(), 1, str(tmp_path))
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) == len(CLASSES)
    assert not [p for p in files if p.suffix != ".parquet"]


def test_bars_outside_the_sessions_are_left_out(tmp_path):
    hour = 3600 * 10**9
    session = (MIDNIGHT + hour, MIDNIGHT + 2 * hour)
    result = simulate(walk_bars(hours=3, seed=1), (session,), SPEC, SimulatorConfig(), 1, str(tmp_path))
    assert result.ranges == (session,)


def test_the_bars_volume_and_the_funding_history_count_where_they_are_given(tmp_path):
    bars = walk_bars(hours=2, seed=1).assign(volume=10.0)
    late = 37_000_000
    history = (_ints(MIDNIGHT + late), np.array([-0.00002]))
    result = simulate(bars, (), SPEC, SimulatorConfig(liquidity=1.0), 1, str(tmp_path), funding=history)
    columns = read_columns(str(tmp_path), TradeTick, SPEC.instrument_id, ["price", "size"])
    # 120 bars of 10 contracts at about 690
    assert float((columns["price"] * columns["size"]).sum()) == pytest.approx(120 * 10 * 690, rel=0.02)
    rates = [f.rate for f in ParquetDataCatalog(str(tmp_path)).query(FundingRateUpdate)]
    assert rates == [Decimal("-0.00002"), Decimal("0.000005708")]
    assert any("for 1 of 2 hours" in d for d in result.defaults)
    assert not any("daily volume" in d for d in result.defaults)
    # two hours of them are 1/12 of a day
    assert result.params["bars"]["notional_per_day"] == pytest.approx(12 * 120 * 10 * 690, rel=0.02)


def test_depth_follows_the_bars_volume_unless_it_is_configured(tmp_path):
    # 3.4M times 100 a day: depth is 100 ** 0.45 = 7.94 times km's
    bars = walk_bars(hours=1, seed=1)
    bars["volume"] = 3.4e8 / len(bars) / bars["close"]
    result = simulate(bars, (), SPEC, SimulatorConfig(), 1, str(tmp_path))
    assert result.params["liquidity"] == pytest.approx(100**0.45, rel=1e-6)
    assert any("7.94 times" in d for d in result.defaults)


def _bad(**columns: object) -> pd.DataFrame:
    bars = walk_bars(hours=1, seed=1)
    for name, (row, value) in columns.items():
        bars.loc[row, name] = value
    return bars


@pytest.mark.parametrize(
    ("bars", "words"),
    [
        (walk_bars(hours=1, seed=1).iloc[::-1], "out of order"),
        (pd.concat([walk_bars(hours=1, seed=1)] * 2), "overlap"),
        (_bad(close=(3, float("nan"))), "zero, negative or missing"),
        (_bad(low=(3, 0.0)), "zero, negative or missing"),
        (_bad(high=(3, 600.0)), "does not hold"),
        (walk_bars(hours=1, seed=1).iloc[:0], "no bars"),
        (walk_bars(hours=1, seed=1, interval_s=1), "a bar lasts 1 s"),
        (walk_bars(hours=1, seed=1).drop(columns="high"), "lack the columns high"),
    ],
)
def test_bars_that_cannot_be_are_refused(tmp_path, bars, words):
    with pytest.raises(InputError, match=words):
        simulate(bars, (), SPEC, SimulatorConfig(), 1, str(tmp_path))
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("toxicity", "fierce"),
        ("depth_interval_s", 0.3),
        ("daily_volume", 0.0),
        ("spread_shares", (0.5, 0.4)),
        ("touch_slack_ticks", 0.1),
        ("level_weights", (1.0,)),
        ("liquidity", -1.0),
    ],
)
def test_a_parameter_that_cannot_be_is_named(field, value):
    with pytest.raises(ValueError, match=field):
        SimulatorConfig(**{field: value})
