"""Nautilus's own Hyperliquid WebSocket client hears the loopback venue's km:US500."""

import asyncio
import time
from decimal import Decimal

import pytest
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.data import capsule_to_data
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction

from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue


pytestmark = pytest.mark.live_node

D = Decimal
ID = "km:US500-USD-PERP.HYPERLIQUID"
DEADLINE_S = 15.0
MINUTE_MS = 60_000


def instrument():
    """The market as Nautilus's own provider would define it, in its Rust types."""
    usd = nautilus_pyo3.Currency.from_str("USDC")
    return nautilus_pyo3.CryptoPerpetual(
        instrument_id=nautilus_pyo3.InstrumentId.from_str(ID),
        raw_symbol=nautilus_pyo3.Symbol("km:US500"),
        base_currency=nautilus_pyo3.Currency("US500", 3, 0, "US500", nautilus_pyo3.CurrencyType.CRYPTO),
        quote_currency=usd,
        settlement_currency=usd,
        is_inverse=False,
        price_precision=3,
        size_precision=3,
        price_increment=nautilus_pyo3.Price.from_str("0.001"),
        size_increment=nautilus_pyo3.Quantity.from_str("0.001"),
        ts_event=0,
        ts_init=0,
    )


class Received:
    """What the client handed over, by type."""

    def __init__(self):
        self.items = []
        self.news = asyncio.Event()

    def __call__(self, message):
        if nautilus_pyo3.is_pycapsule(message):
            self.items.append(capsule_to_data(message))
        elif isinstance(message, nautilus_pyo3.FundingRateUpdate):
            self.items.append(FundingRateUpdate.from_pyo3(message))
        else:
            self.items.append(message)
        self.news.set()

    async def wait_for(self, kind, wanted=lambda _: True):
        async with asyncio.timeout(DEADLINE_S):
            while True:
                found = [item for item in self.items if isinstance(item, kind) and wanted(item)]
                if found:
                    return found[0]
                self.news.clear()
                await self.news.wait()


def with_client(check, **options):
    """Run a venue beside a loop of its own in which Nautilus's client is connected."""

    async def run(venue):
        client = nautilus_pyo3.HyperliquidWebSocketClient(
            url=venue.ws_url, environment=nautilus_pyo3.HyperliquidEnvironment.MAINNET
        )
        received = Received()
        await client.connect(asyncio.get_running_loop(), [instrument()], received)
        try:
            await client.wait_until_active(DEADLINE_S)
            await check(venue, client, received)
        finally:
            await client.close()

    settings = {"cadences": Cadences().scaled(0.1), "block_ms": 20, "history_candles": 60, "history_hours": 4}
    with LoopbackVenue(VenueConfig(**settings, **options)) as venue:
        asyncio.run(run(venue))


PYO3_ID = nautilus_pyo3.InstrumentId.from_str(ID)


def test_the_book_arrives_as_a_snapshot_of_deltas_and_follows_the_market():
    async def check(venue, client, received):
        await client.subscribe_book(PYO3_ID)
        deltas = await received.wait_for(OrderBookDeltas)
        assert str(deltas.instrument_id) == ID
        assert deltas.deltas[0].action == BookAction.CLEAR
        prices = {delta.order.price.as_decimal() for delta in deltas.deltas[1:]}
        assert {D("689.99"), D("690.01")} <= prices
        venue.call(lambda _: venue.flow.move(D("691.00")))

        def has_moved(item):
            return D("690.99") in {delta.order.price.as_decimal() for delta in item.deltas[1:]}

        await received.wait_for(OrderBookDeltas, has_moved)

    with_client(check)


def test_quotes_arrive_when_the_best_prices_change():
    async def check(venue, client, received):
        await client.subscribe_quotes(PYO3_ID)
        venue.call(lambda _: venue.flow.move(D("690.50")))
        quote = await received.wait_for(QuoteTick, lambda item: item.bid_price.as_decimal() == D("690.49"))
        assert quote.ask_price.as_decimal() == D("690.51")
        assert quote.bid_size.as_decimal() == 10
        assert quote.ts_event > 0

    with_client(check)


def test_trades_arrive_with_their_aggressor():
    async def check(venue, client, received):
        await client.subscribe_trades(PYO3_ID)
        # those of before come first, all at once
        await received.wait_for(TradeTick)
        venue.call(lambda _: venue.flow.take(-1, D("0.375")))
        tick = await received.wait_for(TradeTick, lambda item: item.size.as_decimal() == D("0.375"))
        assert tick.aggressor_side == AggressorSide.SELLER
        assert tick.price.as_decimal() == D("689.99")

    with_client(check)


def test_mark_index_and_funding_arrive_with_the_context():
    async def check(_, client, received):
        await client.subscribe_mark_prices(PYO3_ID)
        await client.subscribe_index_prices(PYO3_ID)
        await client.subscribe_funding_rates(PYO3_ID)
        mark = await received.wait_for(MarkPriceUpdate)
        index = await received.wait_for(IndexPriceUpdate)
        funding = await received.wait_for(FundingRateUpdate)
        assert str(mark.instrument_id) == str(index.instrument_id) == str(funding.instrument_id) == ID
        assert abs(mark.value.as_decimal() - 690) < 7
        assert index.value.as_decimal() == D("690")
        assert abs(funding.rate) < D("0.04")

    with_client(check)


def test_a_minute_s_bar_arrives_when_the_next_minute_has_begun():
    async def check(venue, client, received):
        await client.subscribe_bars(nautilus_pyo3.BarType.from_str(f"{ID}-1-MINUTE-LAST-EXTERNAL"))
        await client.subscribe_trades(PYO3_ID)
        minute = venue.now_ms // MINUTE_MS
        venue.call(lambda _: venue.flow.take(1, D("0.625")))
        await received.wait_for(TradeTick, lambda item: item.size.as_decimal() == D("0.625"))
        async with asyncio.timeout(DEADLINE_S):
            while venue.now_ms // MINUTE_MS == minute:
                await asyncio.sleep(0.05)
        # the next minute's candle, which begins with a trade, closes the last
        venue.call(lambda _: venue.flow.take(1, D("0.125")))
        bar = await received.wait_for(Bar, lambda item: item.volume.as_decimal() > 0)
        assert bar.high.as_decimal() >= D("690.01")
        assert bar.ts_event // (MINUTE_MS * 1_000_000) in (minute, minute + 1)

    now_ms = int(time.time() * 1_000)
    with_client(check, start_ms=now_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS - 3_000)
