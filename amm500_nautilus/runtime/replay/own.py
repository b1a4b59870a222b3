"""Our own orders of a recorded run: what each was at the venue and when, and the market's frames without them."""

from bisect import bisect_right
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from statistics import median
from typing import Any
from typing import Final

from amm500_catalog.errors import InputError
from amm500_catalog.validate import utc_text
from amm500_nautilus.report.parity import FillRow
from amm500_nautilus.runtime.replay.log import ALLOWED
from amm500_nautilus.runtime.replay.log import OWN_EVENTS
from amm500_nautilus.runtime.replay.log import Step
from hyperliquid_hip3.frames import Frame


MS: Final = 1_000_000
# an answer without the venue's time is stamped here: its block was at least the way back and this much earlier (blocks are 70 ms apart)
BEFORE_NS: Final = 3 * MS


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order from a time on: price in ticks, lots left (0: gone), and the whole quantity in lots, filled part included."""

    ts_ns: int
    ticks: int
    left: int
    quantity: int


@dataclass(slots=True)
class OwnOrder:
    """
    One order of the recorded run.

    ``states`` are what it was at the venue, oldest first; ``sent_ns`` when the strategy sent it; ``refused`` the venue's words if it
    never rested. ``is_limit`` is False for a market order.
    """

    key: str
    side: int
    ticks: int
    lots: int
    sent_ns: int
    is_post_only: bool = True
    is_immediate: bool = False
    is_limit: bool = True
    level: int = 0
    states: list[OrderState] = field(default_factory=list)
    fills: list[FillRow] = field(default_factory=list)
    refused: str | None = None

    @property
    def filled(self) -> int:
        """Lots filled so far."""
        return sum(fill.lots for fill in self.fills)


class OwnOrders:
    """
    All orders of a recorded run, built from its steps.

    Parameters
    ----------
    tick, lot : Decimal
        The market's units.
    feed_lag_ns : int
        How long the venue's messages took, by which answers without its time are set back.
    is_seen : bool, default True
        Whether the orders were at a venue and showed in its book; those of a paper run were not.

    """

    def __init__(self, tick: Decimal, lot: Decimal, *, feed_lag_ns: int = 0, is_seen: bool = True) -> None:
        self._tick, self._lot = tick, lot
        self._lag_ns = feed_lag_ns
        self._is_seen = is_seen
        self.orders: dict[str, OwnOrder] = {}
        self.taken_trades: set[str] = set()
        self.made_trades: set[str] = set()
        self._levels: dict[tuple[int, int], tuple[list[int], list[int]]] | None = None

    def take(self, step: Step) -> None:
        """Take the order events of a step."""
        for event in step.own:
            self._on_event(event, step.ns)
        if step.kind == "event" and step.body["event"]["type"] not in OWN_EVENTS:
            self._on_event(step.body["event"], step.ns)

    def fills(self) -> list[FillRow]:
        """Return all fills in order of time."""
        return sorted(fill for order in self.orders.values() for fill in order.fills)

    def own_lots(self, side: int, ticks: int, ts_ns: int) -> int:
        """Return what we had resting at a price when the venue's clock showed ``ts_ns``."""
        if not self._is_seen:
            return 0
        if self._levels is None:
            self._levels = self._index()
        found = self._levels.get((side, ticks))
        if found is None:
            return 0
        times, lots = found
        place = bisect_right(times, ts_ns)
        return lots[place - 1] if place else 0

    def _on_event(self, event: Mapping[str, Any], ns: int) -> None:
        kind, key = event["type"], event["client_order_id"]
        if kind == "OrderInitialized":
            self.orders[key] = self._new(event, ns)
            return
        order = self.orders.get(key)
        if order is None:
            return
        ts = self._venue_ns(int(event["ts_event"]))
        if kind == "OrderAccepted":
            order.states.append(OrderState(ts, order.ticks, order.lots, order.lots))
        elif kind == "OrderUpdated":
            self._on_updated(order, event, ts)
        elif kind == "OrderFilled":
            self._on_filled(order, event)
        elif kind in ("OrderCanceled", "OrderExpired"):
            last = order.states[-1] if order.states else OrderState(ts, order.ticks, 0, order.lots)
            order.states.append(OrderState(max(ts, last.ts_ns), last.ticks, 0, last.quantity))
        elif kind in ("OrderRejected", "OrderDenied"):
            order.refused = str(event.get("reason", kind))

    def _new(self, event: Mapping[str, Any], ns: int) -> OwnOrder:
        price = event["options"].get("price")
        tags = event.get("tags") or []
        level = next((int(tag[1:]) for tag in tags if tag[:1] == "L" and tag[1:].lstrip("-").isdigit()), 0)
        return OwnOrder(
            key=event["client_order_id"],
            side=1 if event["order_side"] == "BUY" else -1,
            ticks=0 if price is None else int(Decimal(price) / self._tick),
            lots=self._lots(event["quantity"]),
            sent_ns=ns,
            is_post_only=bool(event["post_only"]),
            is_immediate=event["time_in_force"] == "IOC",
            is_limit=price is not None,
            level=level,
        )

    def _on_updated(self, order: OwnOrder, event: Mapping[str, Any], ts: int) -> None:
        last = order.states[-1] if order.states else None
        ticks = order.ticks if last is None else last.ticks
        if event.get("price") is not None:
            ticks = int(Decimal(event["price"]) / self._tick)
        quantity = self._lots(event["quantity"])
        left = max(0, quantity - order.filled)
        order.states.append(OrderState(ts if last is None else max(ts, last.ts_ns), ticks, left, quantity))

    def _on_filled(self, order: OwnOrder, event: Mapping[str, Any]) -> None:
        ts = int(event["ts_event"])
        lots = self._lots(event["last_qty"])
        ticks = int(Decimal(event["last_px"]) / self._tick)
        is_maker = event["liquidity_side"] == "MAKER"
        fee = float(str(event["commission"]).split(" ", 1)[0])
        order.fills.append(FillRow(ts, order.key, order.side, ticks, lots, fee, is_maker))
        if self._is_seen:
            trades = self.made_trades if is_maker else self.taken_trades
            trades.add(str(event["trade_id"]).rpartition("-")[2])
        last = order.states[-1] if order.states else OrderState(ts, order.ticks, order.lots, order.lots)
        order.states.append(
            OrderState(max(ts, last.ts_ns), last.ticks, max(0, last.left - lots), last.quantity)
        )

    def _lots(self, quantity: str) -> int:
        return int(Decimal(quantity) / self._lot)

    def _venue_ns(self, ts_event: int) -> int:
        """Return the venue's time of an answer: its own times are whole milliseconds, ours are not."""
        return ts_event if ts_event % MS == 0 or not self._is_seen else ts_event - self._lag_ns - BEFORE_NS

    def _index(self) -> dict[tuple[int, int], tuple[list[int], list[int]]]:
        changes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for order in self.orders.values():
            held: OrderState | None = None
            for state in order.states:
                if held is not None and held.left:
                    changes.setdefault((order.side, held.ticks), []).append((state.ts_ns, -held.left))
                if state.left and not order.is_immediate:
                    changes.setdefault((order.side, state.ticks), []).append((state.ts_ns, state.left))
                held = state
        index: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
        for level, steps in changes.items():
            times: list[int] = []
            lots: list[int] = []
            total = 0
            for ts, change in sorted(steps):
                total += change
                times.append(ts)
                lots.append(total)
            index[level] = (times, lots)
        return index


def own_orders_of(
    steps: Iterable[Step], tick: Decimal, lot: Decimal, *, feed_lag_ns: int, is_seen: bool = True
) -> OwnOrders:
    """
    Return the orders of a session's steps.

    Raises
    ------
    InputError
        If an order's event lacks something, or says it in another form.

    """
    own = OwnOrders(tick, lot, feed_lag_ns=feed_lag_ns, is_seen=is_seen)
    for step in steps:
        try:
            own.take(step)
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            said = f"an order's event cannot be read ({type(error).__name__}: {error})"
            raise InputError(said, f"the recording, at {utc_text(step.ns)}", ALLOWED) from error
    return own


def feed_lag_of(data: Iterable[Any], *, most: int = 20_000) -> int:
    """Return the median time from the venue's stamp to receipt, ns; 0 without data or with clocks that are apart."""
    lags: list[int] = []
    for datum in data:
        if datum.ts_event != datum.ts_init:
            lags.append(datum.ts_init - datum.ts_event)
        if len(lags) >= most:
            break
    return max(0, int(median(lags))) if lags else 0


class Netting:
    """
    Take our own resting size out of the frames of the book, level by level and each at its own time.

    A touch that was ours alone is no price of the market: the best of the last book beyond it stands in.

    Parameters
    ----------
    own : OwnOrders
        Our orders.
    tick, lot : Decimal
        The market's units.

    """

    def __init__(self, own: OwnOrders, tick: Decimal, lot: Decimal) -> None:
        self._own = own
        self._tick, self._lot = tick, lot
        self._last: dict[int, list[dict[str, Any]]] = {1: [], -1: []}
        # frames in which less was shown than we believed to have there
        self.short = 0

    def net(self, frame: Frame) -> Frame:
        """Return a frame without our own size; frames that are no book are returned as they are."""
        if frame.channel == "l2Book":
            data = frame.data
            ts = int(data["time"]) * MS
            sides = [
                self._levels(1, data["levels"][0], ts),
                self._levels(-1, data["levels"][1], ts),
            ]
            self._last = {1: _sized(sides[0]), -1: _sized(sides[1])}
            return Frame(frame.channel, {**data, "levels": sides})
        if frame.channel == "bbo":
            data = frame.data
            ts = int(data["time"]) * MS
            touch = [self._best(1, data["bbo"][0], ts), self._best(-1, data["bbo"][1], ts)]
            return Frame(frame.channel, {**data, "bbo": touch})
        return frame

    def _levels(self, side: int, rows: list[dict[str, Any]], ts: int) -> list[dict[str, Any]]:
        # a level that was ours alone stays, without size: a message of fewer levels would say that there is no more of the side
        return [self._left(side, row, ts) or {**row, "sz": "0"} for row in rows]

    def _best(self, side: int, row: dict[str, Any] | None, ts: int) -> dict[str, Any] | None:
        if row is None:
            return None
        left = self._left(side, row, ts)
        if left is not None:
            return left
        price = Decimal(row["px"])
        return next((each for each in self._last[side] if (price - Decimal(each["px"])) * side > 0), row)

    def _left(self, side: int, row: dict[str, Any], ts: int) -> dict[str, Any] | None:
        price, size = Decimal(row["px"]), Decimal(row["sz"])
        lots = self._own.own_lots(side, int(price / self._tick), ts)
        if not lots:
            return row
        rest = size - lots * self._lot
        if rest < 0:
            self.short += 1
        return {**row, "sz": str(rest)} if rest > 0 else None


def _sized(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["sz"] != "0"]
