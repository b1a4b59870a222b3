"""A tiny run, written through the recorder by hand-made events, with an account small enough to check on paper."""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.events import OrderRejected
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_catalog import collateral_currency
from amm500_nautilus.quoting.types import ActionRecord
from amm500_nautilus.quoting.types import QuoteSample
from amm500_nautilus.quoting.types import QuoteState
from amm500_nautilus.report.columns import MID_COLUMNS
from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.types import AccountRow
from amm500_nautilus.report.types import ReportContext
from amm500_nautilus.simulation.listener import LedgerFill


SECOND = 1_000_000_000
MINUTE = 60 * SECOND
INSTRUMENT_ID = InstrumentId.from_str("km:US500-USD-PERP.HYPERLIQUID")
# a Monday, 14:00 UTC
START = 1_768_226_400 * SECOND


class FakeBus:
    """Remembers subscriptions and hands messages to those whose topic matches exactly or by its first words."""

    def __init__(self) -> None:
        self.handlers: list[tuple[str, Callable[[Any], None], int]] = []

    def subscribe(self, topic: str, handler: Callable[[Any], None], priority: int = 0) -> None:
        self.handlers.append((topic, handler, priority))

    def unsubscribe(self, topic: str, handler: Callable[[Any], None]) -> None:
        self.handlers = [entry for entry in self.handlers if entry[:2] != (topic, handler)]

    def publish(self, topic: str, message: Any) -> None:
        for pattern, handler, _ in list(self.handlers):
            if pattern == topic or (pattern.endswith("*") and topic.startswith(pattern[:-1])):
                handler(message)


class FakeCache:
    """Holds the orders a test puts there."""

    def __init__(self) -> None:
        self.by_id: dict[str, FakeOrder] = {}

    def order(self, client_order_id: ClientOrderId) -> "FakeOrder | None":
        return self.by_id.get(client_order_id.value)

    def orders(self, instrument_id: InstrumentId | None = None) -> "list[FakeOrder]":
        return list(self.by_id.values())

    def orders_open(self, instrument_id: InstrumentId | None = None) -> "list[FakeOrder]":
        return [order for order in self.by_id.values() if order.status == "ACCEPTED"]

    def position(self, position_id: PositionId) -> None:
        return None


@dataclass
class FakeOrder:
    """What the recorder asks of an order."""

    key: str
    side: int
    price: Decimal
    quantity: Decimal
    filled: Decimal = Decimal(0)
    status: str = "ACCEPTED"
    tags: list[str] | None = None
    venue_order_id: str | None = "V"
    ts_init: int = 0

    @property
    def client_order_id(self) -> ClientOrderId:
        return ClientOrderId(self.key)

    @property
    def is_closed(self) -> bool:
        return self.status in {"FILLED", "CANCELED", "REJECTED"}

    @property
    def leaves_qty(self) -> Decimal:
        return self.quantity - self.filled

    def to_dict(self) -> dict[str, Any]:
        return {
            "client_order_id": self.key,
            "side": "BUY" if self.side > 0 else "SELL",
            "price": str(self.price),
            "quantity": str(self.quantity),
            "filled_qty": str(self.filled),
            "status": self.status,
        }


@dataclass(frozen=True)
class FakeInstrument:
    id: InstrumentId = INSTRUMENT_ID
    price_increment: Decimal = Decimal("0.01")
    size_increment: Decimal = Decimal("0.001")


@dataclass
class MiniRun:
    """
    Drive a recorder with mids, fills and funding at given seconds, as the simulation would.

    The account is kept as cash and a position, exactly; minutes and markouts are delivered in time order between the events.
    """

    out_dir: Path
    sessions: list[tuple[int, int]]
    end_ns: int
    equity: Decimal = Decimal(1000)
    start_ns: int = START
    minute_ns: int = MINUTE
    bus: FakeBus = field(default_factory=FakeBus)
    cache: FakeCache = field(default_factory=FakeCache)

    def __post_init__(self) -> None:
        self.out_dir.mkdir(parents=True, exist_ok=True)
        self.cash = self.equity
        self.position = Decimal(0)
        self.entry = Decimal(0)
        self.mid = Decimal(0)
        self.fees = self.funding = self.penalty = self.transfers = Decimal(0)
        self.booked = 0
        self.now = self.start_ns
        self._due: list[tuple[int, int, int]] = []
        self._next_minute = self.start_ns
        self.recorder = RunRecorder(
            self.out_dir,
            FakeInstrument(),
            self.bus,
            self.cache,
            account=self.account,
            sessions=self.sessions,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
        )

    def account(self) -> AccountRow:
        worth = self.position * self.mid
        return AccountRow(
            equity=float(self.cash + worth),
            balance=float(self.cash + self.position * self.entry),
            position=float(self.position),
            mid=float(self.mid),
            margin_ratio=float(abs(worth) / 10 / (self.cash + worth)),
            funding_cum=float(self.funding),
            fees_cum=float(self.fees),
            liquidation_cum=float(self.penalty),
            transfers_cum=float(self.transfers),
        )

    def to(self, second: float) -> "MiniRun":
        """Let time pass: minutes and markouts due by then are delivered with the mid before it."""
        until = self.start_ns + round(second * SECOND)
        while True:
            due = min(self._due, default=None)
            minute = self._next_minute
            if due is not None and due[0] <= min(until, minute):
                self._due.remove(due)
                self.recorder.on_markout(due[1], due[2], float(self.mid))
            elif minute <= until:
                if any(begin <= minute <= end for begin, end in self.sessions):
                    self.recorder.on_minute(minute)
                self._next_minute += self.minute_ns
            else:
                break
        self.now = until
        return self

    def set_mid(self, second: float, mid: str | float | Decimal) -> "MiniRun":
        # a mid at exactly t+h counts for the markout at h, so only what is due earlier is delivered before it
        self.to(second - 1e-9)
        self.mid = Decimal(str(mid))
        return self

    def quote(self, second: float, bid: int | None, ask: int | None, **more: Any) -> "MiniRun":
        self.to(second)
        sample = {
            "ts_ns": self.now,
            "bid_ticks": bid,
            "ask_ticks": ask,
            "n_bids": int(bid is not None),
            "n_asks": int(ask is not None),
            "mid_ticks": float(self.mid * 100),
            "state": QuoteState.QUOTING,
            "reasons": (),
            "factors": {"base_max_bps": 5.0, "fading": 1.5},
            "volatility": {"1s": 0.1, "10s": 0.12, "30s": 0.14, "60s": 0.13},
            "delta": 0.0,
            "budget_remaining": 10_000.0,
            "actions": 0,
        }
        self.bus.publish("amm500.decision", QuoteSample(**{**sample, **more}))
        return self

    def act(self, kind: str, count: int) -> "MiniRun":
        self.bus.publish("amm500.action", ActionRecord(ts_ns=self.now, kind=kind, count=count))
        return self

    def fill(
        self,
        second: float,
        side: int,
        qty: str,
        price: str,
        fee: str = "0",
        *,
        taker: bool = False,
        unseen: bool = False,
        level: int = 0,
        crossed: bool = False,
    ) -> "MiniRun":
        self.to(second)
        size, px, cost = Decimal(qty), Decimal(price), Decimal(fee)
        closed = Decimal(0)
        after = self.position + side * size
        if self.position * side < 0:
            closing = min(size, abs(self.position))
            closed = closing * (px - self.entry) * (1 if self.position > 0 else -1)
            if after * self.position < 0:
                self.entry = px
        else:
            self.entry = (abs(self.position) * self.entry + size * px) / abs(after)
        self.position = after
        self.cash -= side * size * px + cost
        self.fees += cost
        trade = f"T-{self.booked}"
        self.cache.by_id[f"O-{trade}"] = FakeOrder(
            f"O-{trade}", side, px, size, size, "FILLED", [f"L{level}"], ts_init=self.now
        )
        self.recorder.on_ledger_fill(
            LedgerFill(
                index=self.booked,
                ts_ns=self.now,
                trade_id=trade,
                client_order_id=f"O-{trade}",
                side=side,
                lots=int(size * 1000),
                price_ticks=int(px * 100),
                price=px,
                qty=size,
                fee=cost,
                closed_pnl=closed,
                maker=not taker,
                by_trade=not taker and not crossed,
                position_lots=int(after * 1000),
                crossed_zero=after * (after - side * size) < 0,
                unseen_level=unseen,
                queue_ahead=1500.0,
            )
        )
        self._due += [(self.now + h * SECOND, self.booked, h) for h in MID_COLUMNS]
        self.booked += 1
        self.bus.publish(
            "events.order.MM-001", filled_event(trade, self.now, side, size, px, cost, taker=taker)
        )
        return self

    def rest(self, side: int, qty: str, price: str) -> "MiniRun":
        key = f"R-{len(self.cache.by_id)}"
        self.cache.by_id[key] = FakeOrder(key, side, Decimal(price), Decimal(qty), ts_init=self.now)
        return self

    def refuse(self, side: int, qty: str, price: str) -> "MiniRun":
        key = f"X-{len(self.cache.by_id)}"
        order = FakeOrder(key, side, Decimal(price), Decimal(qty), status="REJECTED", venue_order_id=None)
        self.cache.by_id[key] = order
        self.bus.publish("events.order.MM-001", rejected_event(key, self.now))
        return self

    def pay_funding(self, second: float, amount: str) -> "MiniRun":
        self.to(second)
        self.cash += Decimal(amount)
        self.funding += Decimal(amount)
        self.recorder.on_funding(self.now, Decimal(amount), Decimal("0.00001"), self.mid)
        return self

    def transfer(self, second: float, amount: str) -> "MiniRun":
        self.to(second)
        self.cash += Decimal(amount)
        self.transfers += Decimal(amount)
        return self

    def liquidate(self, second: float, penalty: str) -> "MiniRun":
        self.to(second)
        self.cash -= Decimal(penalty)
        self.penalty += Decimal(penalty)
        return self

    def finish(self, second: float) -> Path:
        self.to(second)
        self.recorder.on_minute(self.now)
        assert self.recorder.close() == []
        return self.out_dir


def filled_event(
    trade: str, ts_ns: int, side: int, qty: Decimal, price: Decimal, fee: Decimal, *, taker: bool
) -> OrderFilled:
    usdh = collateral_currency("USDH")
    return OrderFilled(
        trader_id=TraderId("TESTER-000"),
        strategy_id=StrategyId("MM-001"),
        instrument_id=FakeInstrument().id,
        client_order_id=ClientOrderId(f"O-{trade}"),
        venue_order_id=VenueOrderId(f"V-{trade}"),
        account_id=AccountId("HYPERLIQUID-001"),
        trade_id=TradeId(trade),
        position_id=PositionId("P-1"),
        order_side=OrderSide.BUY if side > 0 else OrderSide.SELL,
        order_type=OrderType.LIMIT,
        last_qty=Quantity.from_str(f"{qty:.3f}"),
        last_px=Price.from_str(f"{price:.2f}"),
        currency=usdh,
        commission=Money(fee, usdh),
        liquidity_side=LiquiditySide.TAKER if taker else LiquiditySide.MAKER,
        event_id=UUID4(),
        ts_event=ts_ns,
        ts_init=ts_ns,
    )


def rejected_event(key: str, ts_ns: int) -> OrderRejected:
    return OrderRejected(
        trader_id=TraderId("TESTER-000"),
        strategy_id=StrategyId("MM-001"),
        instrument_id=INSTRUMENT_ID,
        client_order_id=ClientOrderId(key),
        account_id=AccountId("HYPERLIQUID-001"),
        reason="Post only order would have immediately matched",
        event_id=UUID4(),
        ts_event=ts_ns,
        ts_init=ts_ns,
        due_post_only=True,
    )


@pytest.fixture(scope="session")
def mini_maker() -> Callable[..., MiniRun]:
    """Return a maker of tiny runs in a given directory; sessions in seconds from the start."""

    def make(path: Path, seconds: float, sessions: list[tuple[float, float]], **more: Any) -> MiniRun:
        spans = [(START + round(a * SECOND), START + round(b * SECOND)) for a, b in sessions]
        return MiniRun(path, spans, START + round(seconds * SECOND), **more)

    return make


@pytest.fixture
def mini_run(tmp_path: Path, mini_maker: Callable[..., MiniRun]) -> Callable[..., MiniRun]:
    """Return a maker of tiny runs: one session from the start unless told otherwise."""
    count = iter(range(1_000_000))

    def make(
        seconds: float = 600.0, *, sessions: list[tuple[float, float]] | None = None, **more: Any
    ) -> MiniRun:
        return mini_maker(tmp_path / f"run-{next(count)}", seconds, sessions or [(0.0, seconds)], **more)

    return make


@pytest.fixture(scope="session")
def base_context() -> ReportContext:
    """A context of simulated data on a market that never closes."""
    return ReportContext(
        name="mini",
        source="file",
        simulated=True,
        market="km:US500",
        start_ns=START,
        end_ns=START + 600 * SECOND,
        defaults=("daily volume 3.4M (source has none)",),
    )


@pytest.fixture
def context(base_context: ReportContext) -> ReportContext:
    return base_context
