"""
A recorded session decided again, with everything the strategy was told then: every decision is compared.

The strategy is the same object as in a backtest, on a backtest's clock and engines. It is handed the recorded books, quotes, trades, timer
firings, answers, fills and account reports in the recorded order. What it wants to send is compared with what was sent, and what was sent
is put in its place: a difference is seen once, where it arises, and the next decision starts from what really rested.
"""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final

from nautilus_trader.execution.client import ExecutionClient
from nautilus_trader.model import events as order_events
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.events import AccountState
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import ClientOrderId

from amm500_nautilus.config import MarketMakerConfig
from amm500_nautilus.quoting.types import Cancel
from amm500_nautilus.quoting.types import Change
from amm500_nautilus.quoting.types import Modify
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.report.parity import CANCEL
from amm500_nautilus.report.parity import MODIFY
from amm500_nautilus.report.parity import PLACE
from amm500_nautilus.report.parity import UNEXPLAINED
from amm500_nautilus.report.parity import OrderParity
from amm500_nautilus.report.parity import OrderRow
from amm500_nautilus.risk.types import NO_CONDITIONS
from amm500_nautilus.risk.types import Conditions
from amm500_nautilus.runtime.backtest import make_engine
from amm500_nautilus.runtime.replay.clock import DrivenTimer
from amm500_nautilus.runtime.replay.data import DataMatch
from amm500_nautilus.runtime.replay.data import DataQueue
from amm500_nautilus.runtime.replay.data import data_of
from amm500_nautilus.runtime.replay.log import Recording
from amm500_nautilus.runtime.replay.log import Step
from amm500_nautilus.strategy import MarketMaker


NO_FRAME: Final = "a datum is not in the frames"
FOLLOWS: Final = "follows an earlier difference"
CONFIG: Final = "the configuration is another than the run's"


class RecordedVenue(ExecutionClient):
    """Takes every command and answers none: the answers are in the recording."""

    def __init__(self, kernel: Any, instrument: Any) -> None:
        super().__init__(
            client_id=ClientId(instrument.id.venue.value),
            venue=instrument.id.venue,
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=instrument.settlement_currency,
            msgbus=kernel.msgbus,
            cache=kernel.cache,
            clock=kernel.clock,
        )

    def submit_order(self, command: Any) -> None:
        """Take an order."""

    def submit_order_list(self, command: Any) -> None:
        """Take several orders."""

    def modify_order(self, command: Any) -> None:
        """Take new terms."""

    def cancel_order(self, command: Any) -> None:
        """Take a cancellation."""

    def cancel_all_orders(self, command: Any) -> None:
        """Take the cancellation of everything."""

    def batch_cancel_orders(self, command: Any) -> None:
        """Take several cancellations."""

    def query_order(self, command: Any) -> None:
        """Take a question."""

    def query_account(self, command: Any) -> None:
        """Take a question."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision was made from: our position, what rested, touch and book without our own orders, the equity reported."""

    position_lots: int
    resting: tuple[tuple[int, int, int, bool], ...]
    touch: tuple[int, int] | None
    equity: float
    book: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision of the recorded run: when, what was sent, and what was seen."""

    ts_ns: int
    rows: tuple[OrderRow, ...]
    seen: Seen


@dataclass(slots=True)
class DecisionReplay:
    """
    The outcome.

    ``parity`` compares every decision; ``data`` says whether the frames gave everything that was handed out; ``decided`` are the
    recorded decisions with what the strategy saw; ``lost`` counts answers that fit no order; ``ended_ns`` is where the run's own
    decisions ended.
    """

    parity: OrderParity
    data: DataMatch
    decided: list[Decided] = field(default_factory=list)
    lost: int = 0
    ended_ns: int = 0


def seen_by(maker: Any) -> Seen:
    """Return what a strategy knows now."""
    slots = maker._orders.slots.values()  # noqa: SLF001 - a look at the strategy's own table
    resting = sorted(
        (slot.resting.side, slot.resting.price_ticks, slot.resting.lots, slot.resting.pending)
        for slot in slots
    )
    account = maker._account  # noqa: SLF001 - and at its account
    reader = maker.engine.book
    book = tuple(tuple(row) for side in (1, -1) for row in reader.side(side)) if reader.has_touch else ()
    return Seen(maker.inventory.lots, tuple(resting), maker.engine.touch, account.equity, book)


def rows_of(maker: Any, changes: tuple[Change, ...]) -> tuple[OrderRow, ...]:
    """Return changes as rows; those of an order that is gone have side 0."""
    rows: list[OrderRow] = []
    slots = maker._orders.slots  # noqa: SLF001 - see above
    for change in changes:
        if isinstance(change, Place):
            rows.append(OrderRow(PLACE, change.side, change.price_ticks, change.lots, change.level))
            continue
        slot = slots.get(change.key)
        side, level = (0, 0) if slot is None else (slot.resting.side, slot.resting.level)
        if isinstance(change, Modify):
            rows.append(OrderRow(MODIFY, side, change.price_ticks, change.lots, change.level))
        else:
            ticks, lots = (0, 0) if slot is None else (slot.resting.price_ticks, slot.resting.lots)
            rows.append(OrderRow(CANCEL, side, ticks, lots, level))
    return tuple(rows)


def give_command(maker: Any, step: Step) -> None:
    """Tell a strategy what a person told the recorded one."""
    guard, argument = maker.guard, step.body["argument"]
    match step.body["name"]:
        case "demand":
            guard.engine.demand(argument)
        case "drill":
            guard.engine.drill(step.ns, argument)
        case "resume":
            guard.resume(step.ns, argument)
        case "session":
            guard.new_session(step.ns, argument)


class DecisionReplayer:
    """
    Play a recording to the strategy.

    Parameters
    ----------
    recording : Recording
        The session.
    config : MarketMakerConfig
        The strategy's configuration.
    cause : str, optional
        What differences are put down to where nothing else is known, for example a changed configuration.

    """

    def __init__(self, recording: Recording, config: MarketMakerConfig, *, cause: str | None = None) -> None:
        self._recording = recording
        self._cause = cause
        engine = make_engine()
        self._engine, kernel = engine, engine.kernel
        self._kernel = kernel
        kernel.cache.add_instrument(recording.instrument)
        kernel.cache.add_currency(recording.instrument.quote_currency)
        self._venue = RecordedVenue(kernel, recording.instrument)
        kernel.exec_engine.register_client(self._venue)
        self.maker = MarketMaker(config)
        self.maker.review = self._review
        self.maker.cycle_timer = self._make_timer
        self.maker.conditions = self._conditions
        engine.add_strategy(self.maker)
        kernel.msgbus.subscribe("events.order.*", self._on_order_event, priority=40)
        self._timer: DrivenTimer | None = None
        self._data = DataQueue(data_of(recording))
        self._step = Step(0, "mark", {})
        self._around = NO_CONDITIONS
        self._ids: dict[str, str] = {}
        self._new: list[Any] = []
        self._early: AccountState | None = None
        self._handlers: dict[str, Callable[[Step], None]] = {
            "data": self._on_data,
            "cycle": self._on_cycle,
            "event": self._on_event,
            "account": self._on_account,
            "command": self._on_command,
            "state": self._on_state,
            "mark": self._on_mark,
        }
        self.result = DecisionReplay(OrderParity(), self._data.match)

    def run(self) -> DecisionReplay:
        """Play everything until the run's own decisions end, and return the comparison."""
        try:
            for step in self._recording.steps():
                self._set_time(step.ns)
                if self._timer is None and step.kind != "account":
                    self._begin()
                self._step, self._new = step, []
                self._handlers[step.kind](step)
                if self.result.ended_ns:
                    break
                self._after(step)
        finally:
            self._engine.dispose()
        return self.result

    # -- the strategy's surroundings ----------------------------------------------------------------------------------

    def _set_time(self, ns: int) -> None:
        for clock in (self._kernel.clock, self.maker.clock):
            if ns > clock.timestamp_ns():
                clock.set_time(ns)

    def _begin(self) -> None:
        self._kernel.start()
        if self._early is not None:
            self._tell(self._early)

    def _make_timer(
        self, clock: Any, interval_ns: int, cycle: Callable[[int], None], loop: Any
    ) -> DrivenTimer:
        self._timer = DrivenTimer(clock, interval_ns, cycle, loop)
        return self._timer

    def _conditions(self) -> Conditions:
        if self._step.conditions:
            self._around = self._step.conditions.pop(0)
            return self._around
        return self._around._replace(demands=())

    def _review(self, ts_ns: int, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        maker, step = self.maker, self._step
        ours = rows_of(maker, changes)
        if not step.sends:
            self.result.parity.add(ts_ns, (), ours, self._why())
            return ()
        sent = step.sends.pop(0)
        recorded = tuple(self._here(change) for change in sent.changes)
        rows = rows_of(maker, recorded)
        self.result.decided.append(Decided(sent.ts_ns, rows, seen_by(maker)))
        self.result.parity.add(ts_ns, rows, ours, self._why())
        if step.counts and sent.changes:
            # what is sent is counted at the time it was counted then
            self._set_time(step.counts.pop(0))
        return recorded

    def _here(self, change: Change) -> Change:
        """Return a recorded change with the id that its order has in this replay."""
        if isinstance(change, Modify):
            key = self._ids.get(change.key, change.key)
            return Modify(key, change.price_ticks, change.lots, change.level)
        return Cancel(self._ids.get(change.key, change.key)) if isinstance(change, Cancel) else change

    def _why(self) -> str:
        if self._cause is not None:
            return self._cause
        if not self._data.match.is_whole:
            return NO_FRAME
        return FOLLOWS if self.result.parity.differences else UNEXPLAINED

    def _on_order_event(self, event: Any) -> None:
        if type(event) is order_events.OrderInitialized:
            self._new.append(event)

    def _after(self, step: Step) -> None:
        """Learn the ids of the orders of this step, and count decisions that were not made again."""
        placed = [event for event in step.own if event["type"] == "OrderInitialized"]
        for theirs, ours in zip(placed, self._new, strict=False):
            self._ids[theirs["client_order_id"]] = ours.client_order_id.value
        for sent in step.sends:
            rows = rows_of(self.maker, tuple(self._here(change) for change in sent.changes))
            self.result.decided.append(Decided(sent.ts_ns, rows, seen_by(self.maker)))
            self.result.parity.add(sent.ts_ns, rows, (), self._why())
        step.sends.clear()

    # -- the steps ----------------------------------------------------------------------------------------------------

    def _on_data(self, step: Step) -> None:
        datum = self._data.take(step.body["t"], step.body["ts"])
        if datum is not None:
            self._kernel.data_engine.process(datum)

    def _on_cycle(self, step: Step) -> None:
        if self._timer is not None:
            self._timer.cycle(step.body["ts"])

    def _on_event(self, step: Step) -> None:
        body = dict(step.body["event"])
        kind = getattr(order_events, body["type"])
        key = self._ids.get(body["client_order_id"], body["client_order_id"])
        if self._kernel.cache.order(ClientOrderId(key)) is None:
            self.result.lost += 1
            return
        body["client_order_id"] = key
        self._kernel.exec_engine.process(kind.from_dict(body))

    def _on_account(self, step: Step) -> None:
        state = AccountState.from_dict(step.body["state"])
        if step.body["early"] or self._timer is None:
            self._early = state
        else:
            self._tell(state)

    def _on_command(self, step: Step) -> None:
        give_command(self.maker, step)

    def _tell(self, state: AccountState) -> None:
        self._kernel.msgbus.publish(f"events.account.{state.account_id}", state)

    def _on_state(self, step: Step) -> None:
        saved = {name: text.encode() for name, text in step.body["saved"].items()}
        if saved and saved != self.maker.on_save():
            self.maker.on_load(saved)
        position = step.body["position"]
        self.maker.inventory.lots = position["lots"]
        self.maker.inventory.entry_ticks = position["entry_ticks"]

    def _on_mark(self, step: Step) -> None:
        if step.body["name"] == "wind_down":
            self.result.ended_ns = step.ns
