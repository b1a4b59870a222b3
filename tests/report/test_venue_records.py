"""The recorder on the simulated venue: mids, levels, causes and open orders of a run, against the market that was fed to it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.runtime.recording import RecordingListener
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import TICK
from tests.simulation.market import Quoter
from tests.simulation.market import QuoterConfig
from tests.simulation.market import depth
from tests.simulation.market import make_engine
from tests.simulation.market import make_instrument
from tests.simulation.market import quote
from tests.simulation.market import trade


INSTRUMENT = make_instrument()
IID = INSTRUMENT.id
STEPS = 1_200


def market() -> tuple[list[list[Any]], pd.DataFrame]:
    """Ten minutes in which trade, book and quote share each instant, in this order; and the quotes as a frame."""
    rng = np.random.default_rng(11)
    bid = 69_000
    depths, trades, quotes, rows = [], [], [], []
    for step in range(STEPS):
        ts = T0 + step * SECOND // 2
        bid += int(rng.integers(-3, 4))
        lots = [int(rng.integers(50, 400)) for _ in range(20)]
        if rng.random() < 0.5:
            side = 1 if rng.random() < 0.5 else -1
            trades.append(trade(IID, ts, bid + 1 if side > 0 else bid, int(rng.integers(50, 900)), side))
        bids = [(bid - k, lots[k]) for k in range(10)]
        asks = [(bid + 1 + k, lots[10 + k]) for k in range(10)]
        depths.append(depth(IID, ts, bids, asks))
        quotes.append(quote(IID, ts, bid, lots[0], bid + 1, lots[10]))
        rows.append((ts, (bid + 0.5) * TICK))
    return [trades, depths, quotes], pd.DataFrame(rows, columns=["ts_ns", "mid"])


class Mover(Quoter):
    """A quoter that gives its orders other levels as it moves them, and forgets them when they close."""

    def on_start(self) -> None:
        super().on_start()
        self.levels: dict[str, int] = {}
        self.at_fill: list[int] = []
        self.open_before_stop: set[tuple[str, str]] = set()

    def submit_order(self, order: Any, *args: Any, **kwargs: Any) -> None:
        self.levels[order.client_order_id.value] = 0
        super().submit_order(order, *args, **kwargs)

    def on_order_updated(self, event: Any) -> None:
        self.levels[event.client_order_id.value] += 1

    def on_order_filled(self, event: Any) -> None:
        key = event.client_order_id.value
        self.at_fill.append(self.levels[key])
        if self.cache.order(event.client_order_id).is_closed:
            del self.levels[key]

    def on_stop(self) -> None:
        orders = self.cache.orders_open(instrument_id=IID)
        self.open_before_stop = {(order.client_order_id.value, str(order.price)) for order in orders}
        super().on_stop()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame, Mover]:
    out = tmp_path_factory.mktemp("venue-records")
    streams, quotes = market()
    engine = make_engine()
    listener = RecordingListener()
    venue = add_simulated_venue(
        engine,
        instrument=INSTRUMENT,
        config=VenueConfig(latency=LatencyConfig(kind="constant", p50_ms=100.0)),
        seed=1,
        listener=listener,
    )
    maker = Mover(QuoterConfig(instrument_id=IID, first=1))
    # before the recorder: the strategy's handlers would be first if the order of subscription decided
    engine.add_strategy(maker)
    end = T0 + STEPS * SECOND // 2
    recorder = RunRecorder(
        out,
        INSTRUMENT,
        engine.kernel.msgbus,
        engine.cache,
        account=listener.account,
        sessions=[(T0, end)],
        start_ns=T0,
        end_ns=end,
        level_of=lambda key: maker.levels.get(key),
    )
    listener.bind(recorder, venue)
    for stream in streams:
        engine.add_data(stream, sort=False)
    engine.sort_data()
    engine.run(streaming=True)
    recorder.snapshot_open_orders()
    engine.end()
    venue.finish(end)
    assert recorder.close() == []
    engine.dispose()
    return out, quotes, maker


def test_the_mid_at_a_fill_is_the_last_stored_quote_at_or_before_it(played) -> None:
    out, quotes, _ = played
    fills = pd.read_csv(out / "fills.csv")
    assert len(fills) > 200
    joined = pd.merge_asof(fills[["ts_ns", "mid_at_fill"]], quotes, on="ts_ns")
    np.testing.assert_allclose(joined["mid_at_fill"], joined["mid"], rtol=0, atol=1e-9)
    # at the instant of most fills the quote is new: the mid before it would be another
    before = pd.merge_asof(fills[["ts_ns"]], quotes, on="ts_ns", allow_exact_matches=False)
    assert (before["mid"] - fills["mid_at_fill"]).abs().gt(1e-9).mean() > 0.5


def test_later_mids_are_the_stored_quotes_too(played) -> None:
    out, quotes, _ = played
    fills = pd.read_csv(out / "fills.csv")
    for horizon in (1, 5, 30, 60):
        known = fills[fills[f"mid_{horizon}s"].notna()]
        at = known[["ts_ns"]] + horizon * SECOND
        joined = pd.merge_asof(at, quotes, on="ts_ns")
        np.testing.assert_allclose(known[f"mid_{horizon}s"], joined["mid"], rtol=0, atol=1e-9)


def test_a_fill_has_the_level_that_the_strategy_knew_before_it_dropped_the_order(played) -> None:
    out, _, maker = played
    fills = pd.read_csv(out / "fills.csv")
    assert fills["level"].tolist() == maker.at_fill
    assert len(set(maker.at_fill)) > 2


def test_fills_say_whether_a_trade_or_the_other_side_s_quote_caused_them(played) -> None:
    out, quotes, _ = played
    fills = pd.read_csv(out / "fills.csv")
    joined = pd.merge_asof(fills, quotes, on="ts_ns")
    # the touch is half a tick from the mid: the other side reached our price where the mid came that near, or through it
    beyond = joined["side"] * (joined["last_px"] - joined["mid"])
    crossed = fills["by_trade"] == 0
    assert crossed.any()
    assert (~crossed).any()
    assert (beyond[crossed] > 0.4 * TICK).all()


def test_open_orders_are_those_before_the_strategy_stopped(played) -> None:
    out, _, maker = played
    left = pd.read_csv(out / "open_orders.csv", dtype=str)
    assert set(zip(left["client_order_id"], left["price"], strict=True)) == maker.open_before_stop
    assert len(left) >= 2
    assert left["level"].notna().all()
    orders = pd.read_csv(out / "orders.csv", dtype=str).set_index("client_order_id")
    # every one of them was canceled for the end
    assert set(orders.loc[left["client_order_id"], "status"]) == {"CANCELED"}
