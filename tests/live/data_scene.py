"""A node with a data client and Nautilus's DataTester on a loopback venue, and everything that the tester was given."""

import json
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.test_kit.strategies.tester_data import DataTester
from nautilus_trader.test_kit.strategies.tester_data import DataTesterConfig

from hyperliquid_hip3.config import BOOK_AGES_TOPIC
from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.flow import QuietFlow
from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.node import COIN
from tests.live.node import IID
from tests.live.node import VENUE
from tests.live.node import node_config
from tests.live.node import run_node


MINUTE = BarType.from_str(f"{IID}-1-MINUTE-LAST-EXTERNAL")
# ten times the venue's own pace; nobody is cut for a silence that a moved clock made
FASTER = replace(Cadences().scaled(0.1), silence_ms=3_600_000)
LEVELS = 12
QUICK: dict[str, Any] = {
    "book_stale_ms": 600,
    "rest_poll_ms": 200,
    "status_check_secs": 0.2,
    "meta_check_secs": 0.5,
    "halt_after_secs": 0.3,
    "bar_grace_ms": 500,
}
Level = tuple[Decimal, Decimal]


class Listener(DataTester):
    """The tester itself, which also keeps what it was given: by handler, in order."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("instrument_ids", [IID])
        super().__init__(DataTesterConfig(log_data=False, **options))
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self.answers: list[Any] = []
        self.ages: list[Any] = []

    def on_start(self) -> None:
        self.msgbus.subscribe(topic=BOOK_AGES_TOPIC, handler=self.ages.append)
        super().on_start()

    def on_instrument(self, instrument: Any) -> None:
        self.heard["instrument"].append(instrument)
        super().on_instrument(instrument)

    def on_instruments(self, instruments: Any) -> None:
        self.heard["instruments"].append(instruments)
        super().on_instruments(instruments)

    def on_order_book_deltas(self, deltas: Any) -> None:
        self.heard["deltas"].append(deltas)
        super().on_order_book_deltas(deltas)

    def on_order_book_depth(self, depth: Any) -> None:
        self.heard["depth"].append(depth)
        super().on_order_book_depth(depth)

    def on_order_book(self, order_book: Any) -> None:
        self.heard["book"].append((self.clock.timestamp_ns(), sides_of_book(order_book)))
        super().on_order_book(order_book)

    def on_quote_tick(self, quote: Any) -> None:
        self.heard["quote"].append(quote)
        super().on_quote_tick(quote)

    def on_trade_tick(self, trade: Any) -> None:
        self.heard["trade"].append(trade)
        super().on_trade_tick(trade)

    def on_bar(self, bar: Any) -> None:
        self.heard["bar"].append(bar)
        super().on_bar(bar)

    def on_mark_price(self, mark_price: Any) -> None:
        self.heard["mark"].append(mark_price)
        super().on_mark_price(mark_price)

    def on_index_price(self, index_price: Any) -> None:
        self.heard["index"].append(index_price)
        super().on_index_price(index_price)

    def on_funding_rate(self, funding_rate: Any) -> None:
        self.heard["funding"].append(funding_rate)
        super().on_funding_rate(funding_rate)

    def on_instrument_status(self, data: Any) -> None:
        self.heard["status"].append(data)
        super().on_instrument_status(data)

    def on_instrument_close(self, data: Any) -> None:
        self.heard["close"].append(data)
        super().on_instrument_close(data)

    def on_historical_data(self, data: Any) -> None:
        self.answers.append(data)
        super().on_historical_data(data)

    def last(self, kind: str) -> Any:
        """The newest of a kind, None before the first."""
        return self.heard[kind][-1] if self.heard[kind] else None

    def answered(self, kind: type) -> list[Any]:
        """The past data of a type, single or in batches."""
        found: list[Any] = []
        for answer in self.answers:
            rows = answer if isinstance(answer, list) else [answer]
            found += [row for row in rows if isinstance(row, kind)]
        return found

    @property
    def local_book(self) -> OrderBook:
        """The book that the tester itself builds with ``manage_book``."""
        return self._books[IID]


@contextmanager
def venue_of(flow: Any = None, *, market: str = "quiet", **options: Any) -> Any:
    """A venue at ten times the pace, with a short past; ``flow`` in place of the named ``market``."""
    settings: dict[str, Any] = {
        "flow": market,
        "block_ms": 20,
        "cadences": FASTER,
        "history_candles": 300,
        "history_hours": 200,
    }
    with LoopbackVenue(VenueConfig(**(settings | options)), flow=flow) as venue:
        yield venue


def quiet(levels: int = LEVELS) -> QuietFlow:
    """A ladder that only the test moves."""
    return QuietFlow(levels=levels)


def client_config(venue: Any, **options: Any) -> HyperliquidDataClientConfig:
    """The data client's configuration, with short patience so that tests need little."""
    settings: dict[str, Any] = {
        "url": venue.url,
        "ws_url": venue.ws_url,
        "coins": (COIN,),
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
    return HyperliquidDataClientConfig(**(settings | QUICK | options))


def run_data(venue: Any, testers: Sequence[Listener], scenario: Callable[[Any], Any], **options: Any) -> Any:
    """Run a node with these testers through the scenario."""
    return run_node(node_config(client_config(venue, **options)), (), scenario, actors=testers)


def data_client(node: Any) -> Any:
    """The data client of a running node."""
    return next(client for client in node.kernel.data_engine._clients.values() if client.id.value == VENUE)


def streams_at(venue: Any) -> list[tuple[str, str, bool]]:
    """What clients are subscribed to at the venue: type, interval, and whether it is the fast book."""
    return sorted(
        venue.call(
            lambda _: [
                (each.kind, each.interval or "", bool(each.fast))
                for session in venue._sockets.sessions.values()
                for each in session.subscriptions
            ]
        )
    )


def wire_book(venue: Any, depth: int = 20) -> tuple[list[Level], list[Level]]:
    """The venue's own book, best first."""
    rows = venue.call(lambda exchange: exchange.book(COIN, depth))["levels"]
    return tuple([(Decimal(row["px"]), Decimal(row["sz"])) for row in side] for side in rows)


def sides_of_book(book: OrderBook) -> tuple[list[Level], list[Level]]:
    """The levels of an engine's book, best first."""
    return tuple(
        [(level.price.as_decimal(), level.orders()[0].size.as_decimal()) for level in levels]
        for levels in (book.bids(), book.asks())
    )


def sides_of_deltas(deltas: OrderBookDeltas) -> tuple[list[Level], list[Level]]:
    """The levels that a snapshot batch adds, best first: in the batch the worst of a side comes first."""
    adds = [delta.order for delta in deltas.deltas[::-1] if delta.action == BookAction.ADD]
    return tuple(
        [(order.price.as_decimal(), order.size.as_decimal()) for order in adds if order.side == side]
        for side in (OrderSide.BUY, OrderSide.SELL)
    )


def sides_of_depth(depth: Any) -> tuple[list[Level], list[Level]]:
    """The levels of a ten-level book that are there."""
    return tuple(
        [(order.price.as_decimal(), order.size.as_decimal()) for order in side if order.size.raw]
        for side in (depth.bids, depth.asks)
    )


def is_sound(sides: tuple[list[Level], list[Level]]) -> bool:
    """Whether prices get worse level by level, sizes are positive, and the touch is not crossed."""
    bids, asks = [[price for price, _ in side] for side in sides]
    sizes = [size for side in sides for _, size in side]
    return (
        bids == sorted(set(bids), reverse=True)
        and asks == sorted(set(asks))
        and all(size > 0 for size in sizes)
        and (not bids or not asks or bids[0] < asks[0])
    )


def rebuilt(batches: Sequence[OrderBookDeltas]) -> list[tuple[list[Level], list[Level]]]:
    """What an engine's book shows after each of the batches."""
    book = OrderBook(IID, BookType.L2_MBP)
    shown = []
    for batch in batches:
        book.apply_deltas(batch)
        shown.append(sides_of_book(book))
    return shown


def ask(venue: Any, **question: Any) -> Any:
    """What the venue answers to an info request, asked past the adapter."""
    request = urllib.request.Request(
        f"{venue.url}/info",
        data=json.dumps(question).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read())
