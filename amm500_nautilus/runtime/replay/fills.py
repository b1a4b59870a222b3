"""
The recorded orders put into the simulated exchange, to see whether its queue and fills are the venue's.

Every order is placed, moved and canceled when the venue did so then, in a market from which our own size has been taken out. What the
exchange fills is compared with what the venue filled, order by order.

Trades that we took ourselves are left out. Trades that somebody made against our resting orders are left in: the taker came whether or
not we were there, and would have met whoever stood in our place; without them no order could be filled as it was.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy

from amm500_nautilus.report.parity import UNEXPLAINED
from amm500_nautilus.report.parity import FillParity
from amm500_nautilus.report.parity import FillRow
from amm500_nautilus.report.parity import compare_fills
from amm500_nautilus.report.types import AccountRow
from amm500_nautilus.runtime.backtest import make_engine
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.node.paper import paper_venue_config
from amm500_nautilus.runtime.replay.clock import Alarms
from amm500_nautilus.runtime.replay.data import data_of
from amm500_nautilus.runtime.replay.log import Recording
from amm500_nautilus.runtime.replay.own import Netting
from amm500_nautilus.runtime.replay.own import OwnOrder
from amm500_nautilus.runtime.replay.own import OwnOrders
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.latency import NO_LATENCY
from amm500_nautilus.simulation.listener import LedgerFill
from amm500_nautilus.simulation.listener import LiquidationRecord
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue


# an order that the venue filled is left for so long, in case the simulated exchange only hears of it later
GRACE_NS: Final = 1_000_000_000
# the exchange's time before which a block's orders are on the book: cancels and post-only orders go before what takes
EARLIER_NS: Final = 1
PLACE: Final = "place"
MODIFY: Final = "modify"
CANCEL: Final = "cancel"
LEFT_OVER: Final = "left over"
# an order is filled by books, quotes and trades
NOT_THE_BOOK: Final = (IndexPriceUpdate, FundingRateUpdate)


@dataclass(frozen=True, slots=True, order=True)
class Command:
    """One thing done to an order at the venue's time."""

    ts_ns: int
    number: int
    kind: str
    key: str
    ticks: int
    quantity: int


class FillListener:
    """Keeps the ledger's fills."""

    def __init__(self) -> None:
        self.fills: list[LedgerFill] = []

    def on_ledger_fill(self, fill: LedgerFill) -> None:
        """Keep a fill."""
        self.fills.append(fill)

    def on_markout(self, fill_index: int, horizon_s: int, mid: float) -> None:
        """Leave a markout."""

    def on_funding(self, ts_ns: int, amount: Decimal, rate: Decimal, oracle_px: Decimal) -> None:
        """Leave a payment."""

    def on_minute(self, ts_ns: int) -> None:
        """Leave a minute."""

    def on_liquidation(self, record: LiquidationRecord) -> None:
        """Leave a liquidation."""

    def on_transfer(self, ts_ns: int, amount: Decimal) -> None:
        """Leave a transfer."""

    def account(self) -> AccountRow | None:
        """Return nothing: no account is kept."""
        return None


def rows_of_ledger(fills: list[LedgerFill]) -> list[FillRow]:
    """Return the ledger's fills as rows."""
    return [
        FillRow(
            fill.ts_ns,
            fill.client_order_id,
            fill.side,
            fill.price_ticks,
            fill.lots,
            float(fill.fee),
            fill.maker,
        )
        for fill in fills
    ]


def commands_of(own: OwnOrders, until_ns: int) -> list[Command]:
    """Return what was done to each order at the venue, oldest first; refused orders never were there."""
    found: list[Command] = []
    for order in own.orders.values():
        if order.refused is not None or not order.states:
            continue
        before = None
        for state in order.states:
            ts = state.ts_ns - EARLIER_NS
            number = len(found)
            if before is None:
                found.append(Command(ts, number, PLACE, order.key, order.ticks, order.lots))
            elif (state.ticks, state.quantity) != (before.ticks, before.quantity):
                found.append(Command(ts, number, MODIFY, order.key, state.ticks, state.quantity))
            elif not state.left and before.left:
                kind = LEFT_OVER if order.filled >= state.quantity else CANCEL
                late = GRACE_NS if kind == LEFT_OVER else 0
                found.append(Command(ts + late, number, kind, order.key, 0, 0))
            before = state
    return sorted(command for command in found if command.ts_ns < until_ns)


class OrderScript(Strategy):
    """
    Sends recorded commands at their times.

    Parameters
    ----------
    instrument : Instrument
        What is traded.
    orders : mapping of str to OwnOrder
        The orders by id.
    commands : list of Command
        In order of time.

    """

    def __init__(self, instrument: Any, orders: dict[str, OwnOrder], commands: list[Command]) -> None:
        super().__init__()
        self._instrument = instrument
        self._recorded = orders
        self._commands = commands
        self._next = 0
        self.ahead: dict[str, str] = {}
        self.venue: SimulatedVenue | None = None
        self._tick_raw = instrument.price_increment.raw
        self._lot_raw = instrument.size_increment.raw

    def on_start(self) -> None:
        """Wait for every moment at which something was done."""
        Alarms(self.clock, [command.ts_ns for command in self._commands], self._on_time).start()

    def _on_time(self, ts_ns: int) -> None:
        while self._next < len(self._commands) and self._commands[self._next].ts_ns <= ts_ns:
            self._send(self._commands[self._next])
            self._next += 1

    def _send(self, command: Command) -> None:
        if command.kind == PLACE:
            self.submit_order(self._order(command))
            return
        order = self.cache.order(ClientOrderId(command.key))
        if order is None or order.is_closed:
            return
        if command.kind == MODIFY:
            self.modify_order(
                order, quantity=self._quantity(command.quantity), price=self._price(command.ticks)
            )
            return
        if command.kind == LEFT_OVER:
            self.ahead[command.key] = self._standing(order.client_order_id)
        self.cancel_order(order)

    def _order(self, command: Command) -> Any:
        recorded = self._recorded[command.key]
        side = OrderSide.BUY if recorded.side > 0 else OrderSide.SELL
        key, quantity = ClientOrderId(command.key), self._quantity(command.quantity)
        if not recorded.is_limit:
            return self.order_factory.market(
                self._instrument.id, side, quantity, TimeInForce.IOC, client_order_id=key
            )
        return self.order_factory.limit(
            self._instrument.id,
            side,
            quantity,
            self._price(command.ticks),
            time_in_force=TimeInForce.IOC if recorded.is_immediate else TimeInForce.GTC,
            # reduce-only is the position's matter, and the positions may differ by now
            post_only=recorded.is_post_only,
            client_order_id=key,
        )

    def _standing(self, key: Any) -> str:
        """Say where an order that the venue has filled stands here."""
        if self.venue is None:
            return UNEXPLAINED
        resting = self.venue.client._desk.fills.orders.get(key)  # noqa: SLF001 - the queue is looked at, not touched
        if resting is None:
            return "it was on its way here when the venue filled it"
        if resting.queue is None:
            return "its level was outside the visible book, where the place in the queue is unknown"
        if resting.queue.ahead > 0:
            return "queue: the model leaves size ahead of it that was gone at the venue"
        return "fewer lots of the trades at its price reached it here than at the venue"

    def _price(self, ticks: int) -> Price:
        return Price.from_raw(ticks * self._tick_raw, self._instrument.price_precision)

    def _quantity(self, lots: int) -> Quantity:
        return Quantity.from_raw(lots * self._lot_raw, self._instrument.size_precision)


def in_order(data: Iterable[Any], drop: set[str], *, by_receipt: bool) -> list[Any]:
    """
    Return books, quotes and trades in the order of one clock, each as if heard the moment it happened.

    Parameters
    ----------
    data : Iterable
        In the order received.
    drop : set of str
        Numbers of trades that are left out.
    by_receipt : bool
        Whether a datum happens when it was received; otherwise at the venue's time, trades before the book of their block.

    """
    out: list[tuple[int, int, int, Any]] = []
    for number, datum in enumerate(data):
        is_trade = isinstance(datum, TradeTick)
        if is_trade and datum.trade_id.value in drop:
            continue
        ts = datum.ts_init if by_receipt else datum.ts_event
        rank = 0 if by_receipt or is_trade else 2 if isinstance(datum, QuoteTick) else 1
        out.append((ts, rank, number, _stamped(datum, ts)))
    out.sort(key=lambda row: row[:3])
    return [row[3] for row in out]


def _stamped(datum: Any, ts: int) -> Any:
    if isinstance(datum, OrderBookDeltas):
        deltas = [
            OrderBookDelta(each.instrument_id, each.action, each.order, each.flags, each.sequence, ts, ts)
            for each in datum.deltas
        ]
        return OrderBookDeltas(datum.instrument_id, deltas)
    if isinstance(datum, QuoteTick):
        prices = (datum.bid_price, datum.ask_price, datum.bid_size, datum.ask_size)
        return QuoteTick(datum.instrument_id, *prices, ts, ts)
    return TradeTick(
        datum.instrument_id, datum.price, datum.size, datum.aggressor_side, datum.trade_id, ts, ts
    )


@dataclass(slots=True)
class FillReplay:
    """
    The outcome: how the fills agree, what both earned, and how much of the netted book was short of what we believed to have there.

    ``recorded`` and ``replayed`` are the fills themselves; ``end_mid`` is the mid by which a position left over is valued.
    """

    parity: FillParity
    recorded: list[FillRow] = field(default_factory=list)
    replayed: list[FillRow] = field(default_factory=list)
    short: int = 0
    end_mid: float = 0.0


def script_venue_config(config: RunConfig, instrument: Any, equity: Decimal) -> VenueConfig:
    """Return the run file's simulated exchange, without latency and limits: the venue has already let these orders pass."""
    found = paper_venue_config(config, instrument)
    return replace(
        found,
        starting_equity=equity,
        latency=NO_LATENCY,
        action_limits=False,
        rules=replace(found.rules, margin_check=False),
    )


def play(engine: Any, strategy: Any, data: list[Any]) -> None:
    """Run a strategy over data in an engine that has its venue, and end the engine."""
    engine.add_strategy(strategy)
    engine.add_data(data, validate=False, sort=True)
    engine.run()
    engine.dispose()


def replay_fills(
    recording: Recording,
    config: RunConfig,
    own: OwnOrders,
    *,
    until_ns: int,
    equity: Decimal,
    keep_made: bool = True,
    by_receipt: bool = False,
) -> FillReplay:
    """
    Put the recorded orders into the simulated exchange, and compare the fills.

    Parameters
    ----------
    recording : Recording
        The session.
    config : RunConfig
        Its run file: fill model and rules are the backtest's.
    own : OwnOrders
        Its orders.
    until_ns : int
        Where the comparison ends.
    equity : Decimal
        What the account began with.
    keep_made : bool, default True
        Whether trades against our resting orders are left in the stream of trades.
    by_receipt : bool, default False
        Let the market happen when it was heard, as a paper run does, and not at the venue's time.

    """
    instrument = recording.instrument
    tick, lot = instrument.price_increment.as_decimal(), instrument.size_increment.as_decimal()
    netting = Netting(own, tick, lot)
    drop = own.taken_trades if keep_made else own.taken_trades | own.made_trades
    heard = (each for each in data_of(recording, netting) if not isinstance(each, NOT_THE_BOOK))
    data = [each for each in in_order(heard, drop, by_receipt=by_receipt) if each.ts_init < until_ns]
    engine, listener = make_engine(), FillListener()
    venue = add_simulated_venue(
        engine,
        instrument=instrument,
        config=script_venue_config(config, instrument, equity),
        seed=config.seed,
        listener=listener,
    )
    script = OrderScript(instrument, own.orders, commands_of(own, until_ns))
    script.venue = venue
    play(engine, script, data)
    recorded = [fill for fill in own.fills() if fill.ts_ns < until_ns]
    replayed = rows_of_ledger(listener.fills)
    causes = {fill.client_order_id: _why_more(fill) for fill in listener.fills}
    return FillReplay(
        parity=compare_fills(recorded, replayed, causes | script.ahead),
        recorded=recorded,
        replayed=replayed,
        short=netting.short,
        end_mid=venue.mids.mid,
    )


def _why_more(fill: LedgerFill) -> str:
    """Return why the simulated exchange filled an order that the venue did not, or filled less."""
    if not fill.by_trade:
        return "the other side's quote reached its price here"
    return "queue: the model lets trades reach it that size ahead of it took at the venue"
