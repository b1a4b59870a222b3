"""A small market to store: one instrument, a few seconds of every stream."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_catalog import MarketSpec
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import StreamTable
from amm500_catalog.tables import stream_table
from hyperliquid_hip3.instruments import make_instrument


SECOND = 1_000_000_000
# 2026-01-15 14:30 UTC
START = 1_768_487_400 * SECOND


@pytest.fixture(scope="session")
def instrument() -> Any:
    return make_instrument(MarketSpec(), 690, START)


@pytest.fixture
def store(tmp_path: Path) -> CatalogStore:
    return CatalogStore(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def make_streams(instrument: Any) -> Callable[..., list[StreamTable]]:
    """Return a maker of every stream: ``seconds`` long, a trade and a quote a second, a book each half second."""
    iid = instrument.id

    def make(seconds: int = 60, *, start: int = START, tick: int = 69_000) -> list[StreamTable]:
        def price(ticks: int) -> Price:
            return Price(ticks / 100, 2)

        def level(side: OrderSide, ticks: int, lots: int) -> BookOrder:
            return BookOrder(side, price(ticks), Quantity(lots / 1000, 3), 0)

        whole = [start + i * SECOND for i in range(seconds)]
        half = [start + i * SECOND // 2 for i in range(2 * seconds)]
        size = Quantity(0.5, 3)
        lists: list[list[Any]] = [
            [FundingRateUpdate(iid, Decimal("0.0000125"), start, start)],
            [IndexPriceUpdate(iid, price(tick), ts, ts) for ts in whole[::3]],
            [MarkPriceUpdate(iid, price(tick + 1), ts, ts) for ts in whole[::3]],
            [
                TradeTick(
                    iid,
                    price(tick),
                    size,
                    AggressorSide.BUYER if i % 2 else AggressorSide.SELLER,
                    TradeId(f"{ts}"),
                    ts,
                    ts,
                )
                for i, ts in enumerate(whole)
            ],
            [
                OrderBookDepth10(
                    iid,
                    [level(OrderSide.BUY, tick - i, 100 + i) for i in range(10)],
                    [level(OrderSide.SELL, tick + 1 + i, 200 + i) for i in range(10)],
                    [1] * 10,
                    [1] * 10,
                    0,
                    0,
                    ts,
                    ts,
                )
                for ts in half
            ],
            [QuoteTick(iid, price(tick), price(tick + 1), size, size, ts, ts) for ts in whole],
        ]
        return [stream_table(items, iid.value) for items in lists]

    return make


@pytest.fixture(scope="session")
def manifest(instrument: Any) -> Callable[..., dict[str, Any]]:
    def make(seconds: int = 60, *, start: int = START, **more: Any) -> dict[str, Any]:
        end = start + seconds * SECOND
        return {
            "instrument_id": instrument.id.value,
            "source": "hl-book",
            "simulated": False,
            "start_ns": start,
            "end_ns": end,
            "sessions": [[start, end]],
            "stream_names": [],
            **more,
        }

    return make


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach too, unlike those of `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def as_nobody() -> Callable[[], AbstractContextManager[None]]:
    """Return what runs a block without the rights of root, to whom no file is closed."""

    @contextlib.contextmanager
    def drop() -> Iterator[None]:
        user = os.geteuid()
        if user == 0:
            os.seteuid(65_534)
        try:
            yield
        finally:
            os.seteuid(user)

    return drop
