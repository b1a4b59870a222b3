"""Books of a market that moves by itself, at the venue's own pace: their age, their flags, and their replay from a catalog."""

import asyncio
import statistics
from typing import Any

import pytest
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import BacktestEngineConfig
from nautilus_trader.config import DataEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hyperliquid_loopback.config import Cadences
from tests.live.data_scene import Listener
from tests.live.data_scene import data_client
from tests.live.data_scene import is_sound
from tests.live.data_scene import rebuilt
from tests.live.data_scene import run_data
from tests.live.data_scene import sides_of_deltas
from tests.live.data_scene import venue_of
from tests.live.node import IID
from tests.live.node import until


pytestmark = [
    pytest.mark.live_node,
    # the engine's own call, in its requests of the past
    pytest.mark.filterwarnings("ignore:'d' is deprecated"),
]

NS_PER_S = 1_000_000_000
SAMPLES = 200
SAMPLE_EVERY_S = 0.025
TOP = 5
BATCHES = 20


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    """Some seconds of a simulated market at the venue's own pace: what was heard, and ages at regular times."""
    tester = Listener(component_id="BOOKS", subscribe_book_deltas=True)
    ages: list[int] = []

    async def scenario(node: Any) -> dict[str, Any]:
        await until(lambda: tester.ages and len(tester.ages[-1].ask_ages_ns) >= 10, "the deep book too")
        clock = node.kernel.clock
        while len(ages) < SAMPLES:
            # when a decision would look, not when a frame comes
            await asyncio.sleep(SAMPLE_EVERY_S)
            newest = tester.ages[-1]
            since_ns = clock.timestamp_ns() - newest.ts_ns
            tops = (*newest.bid_ages_ns[:TOP], *newest.ask_ages_ns[:TOP])
            ages.append(statistics.mean(tops) + since_ns)
        await until(lambda: len(tester.heard["deltas"]) >= BATCHES, "enough batches")
        return {
            "instrument": node.cache.instrument(IID),
            "refused": data_client(node).feed.feeds["km:US500"].merge.refused,
        }

    with venue_of(block_ms=70, cadences=Cadences(), market="simulated", seed=5) as venue:
        state = run_data(venue, [tester], scenario, book_stale_ms=2_000)
    return {"batches": tester.heard["deltas"], "ages": ages, **state}


def test_the_five_best_levels_are_half_a_second_old_at_most_at_the_median(recorded):
    assert len(recorded["ages"]) == SAMPLES
    assert statistics.median(recorded["ages"]) / NS_PER_S <= 0.5


def test_flags_of_every_batch_are_32_to_160_and_no_book_is_crossed(recorded):
    assert len(recorded["batches"]) >= BATCHES
    for batch in recorded["batches"]:
        assert [delta.flags for delta in batch.deltas] == [32] * (len(batch.deltas) - 1) + [160]
        assert is_sound(sides_of_deltas(batch))
    # a book that never moved would prove little
    assert len({sides_of_deltas(batch)[0][0] for batch in recorded["batches"]}) > 5


def test_deltas_from_a_catalog_replay_to_the_same_books_batch_by_batch(recorded, tmp_path):
    catalog = ParquetDataCatalog(str(tmp_path))
    batches = recorded["batches"]
    catalog.write_data([recorded["instrument"]])
    catalog.write_data([delta for batch in batches for delta in batch.deltas])
    replayed = replay(recorded["instrument"], catalog.order_book_deltas(instrument_ids=[IID.value]))
    assert len(replayed) == len(batches)
    assert rebuilt(replayed) == rebuilt(batches)
    assert all(is_sound(book) for book in rebuilt(replayed))


def replay(instrument: Any, deltas: list[Any]) -> list[OrderBookDeltas]:
    """What a backtest's data engine hands to a subscriber of these deltas, batch by batch."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(log_level="ERROR", bypass_logging=True),
            data_engine=DataEngineConfig(buffer_deltas=True),
        )
    )
    engine.add_venue(
        Venue(IID.venue.value),
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(1_000, USD)],
        book_type=BookType.L2_MBP,
    )
    engine.add_instrument(instrument)
    engine.add_data(deltas)
    tester = Listener(component_id="REPLAY", subscribe_book_deltas=True)
    engine.add_actor(tester)
    try:
        engine.run()
    finally:
        engine.dispose()
    return tester.heard["deltas"]
