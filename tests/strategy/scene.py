"""The market maker in the real engine, on a market made by hand, with things done to it at set times."""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from amm500_nautilus import topics
from amm500_nautilus.config import MarketMakerConfig
from amm500_nautilus.quoting.types import ActionRecord
from amm500_nautilus.quoting.types import QuoteSample
from amm500_nautilus.risk.budget import BudgetConfig
from amm500_nautilus.simulation.config import FundingConfig
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue
from amm500_nautilus.strategy import MarketMaker
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import Recorder
from tests.simulation.market import depth
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.market import make_instrument
from tests.simulation.market import quote
from tests.simulation.market import trade


INSTRUMENT = make_instrument()
IID = INSTRUMENT.id
# ten levels of 1,380 each a side, 8 ticks apart: liquid, and still so when the touch has run through a few of them
LOTS = 2_000
APART = 8
BUDGET_OFF = BudgetConfig(enabled=False)
TENTH_SECOND = LatencyConfig(kind="constant", p50_ms=100.0)


def ns(second: float) -> int:
    """Return the engine time of a second of the scene."""
    return T0 + round(second * SECOND)


def seconds(ts_ns: int) -> float:
    """Return the second of the scene of an engine time."""
    return (ts_ns - T0) / SECOND


def book(second: float, bid: int) -> list[Any]:
    """A touch one tick wide with its bid at ``bid``, as a depth message and a quote of the same instant."""
    ts = ns(second)
    bids = [(bid - k * APART, LOTS) for k in range(10)]
    asks = [(bid + 1 + k * APART, LOTS) for k in range(10)]
    return [quote(IID, ts, bid, LOTS, bid + 1, LOTS), depth(IID, ts, bids, asks)]


def still(until: float, bid: int = 69_000, start: float = 0.0) -> list[Any]:
    """A market that does not move, shown every half second from ``start``."""
    steps = round((until - start) * 2)
    return [item for step in range(steps) for item in book(start + step / 2, bid)]


def sweep(second: float, ticks: int, lots: int, aggressor: int) -> Any:
    """A trade of others that reaches ``ticks``."""
    return trade(IID, ns(second), ticks, lots, aggressor)


class Probe(MarketMaker):
    """The market maker with steps of the test on its clock, and a memory of what it asked and heard."""

    def __init__(self, config: MarketMakerConfig, steps: Sequence[tuple[float, Callable[..., None]]]) -> None:
        super().__init__(config)
        self.steps = steps
        self.events: list[Any] = []
        self.commands: list[tuple[float, str, str]] = []
        self.asked: list[tuple[float, str]] = []
        self.at_start: dict[str, Any] = {}
        self.venue: SimulatedVenue | None = None

    def on_start(self) -> None:
        super().on_start()
        self.at_start = {"engine": self.engine.save(), "budget": self.budget.save()}
        for number, (second, step) in enumerate(self.steps):
            self.clock.set_time_alert_ns(f"step-{number}", ns(second), lambda _event, step=step: step(self))

    def on_order_event(self, event: Any) -> None:
        self.events.append(event)

    def submit_order(self, order: Any, *args: Any, **kwargs: Any) -> None:
        self._note("place", order)
        super().submit_order(order, *args, **kwargs)

    def modify_order(self, order: Any, *args: Any, **kwargs: Any) -> None:
        self._note("modify", order)
        super().modify_order(order, *args, **kwargs)

    def cancel_order(self, order: Any, *args: Any, **kwargs: Any) -> None:
        self._note("cancel", order)
        super().cancel_order(order, *args, **kwargs)

    def query_order(self, order: Any, *args: Any, **kwargs: Any) -> None:
        # the venue of these scenes has nothing to add to what it has already said
        self.asked.append((seconds(self.clock.timestamp_ns()), order.client_order_id.value))

    def query_account(self, account_id: Any, *args: Any, **kwargs: Any) -> None:
        self.asked.append((seconds(self.clock.timestamp_ns()), account_id.value))
        super().query_account(account_id, *args, **kwargs)

    def _note(self, kind: str, order: Any) -> None:
        self.commands.append((seconds(self.clock.timestamp_ns()), kind, order.client_order_id.value))

    def of(self, kind: str) -> list[Any]:
        """Return the order events of one class name."""
        return [event for event in self.events if type(event).__name__ == kind]

    def resting(self) -> list[tuple[int, int, int]]:
        """Return (side, ticks, lots) of the engine's open orders, by side and price."""
        found = []
        for order in self.cache.orders_open(instrument_id=IID):
            side = 1 if order.is_buy else -1
            found.append((side, order.price.raw // self._tick_raw, order.leaves_qty.raw // self._lot_raw))
        return sorted(found)


@dataclass
class Scene:
    """A finished run: the strategy, the venue, and everything that was published."""

    maker: Probe
    venue: SimulatedVenue
    listener: Recorder
    samples: list[QuoteSample]
    actions: list[ActionRecord]
    engine: Any
    notes: dict[str, Any] = field(default_factory=dict)

    def at(self, second: float) -> QuoteSample:
        """Return the last sample at or before a second."""
        return [sample for sample in self.samples if sample.ts_ns <= ns(second)][-1]

    def sent(self, kind: str, start: float = 0.0, end: float = 1e9) -> list[float]:
        """Return the seconds at which commands of a kind were sent."""
        return [at for at, name, _ in self.maker.commands if name == kind and start <= at < end]


def play(
    data: list[Any],
    steps: Sequence[tuple[float, Callable[..., None]]] = (),
    *,
    latency: LatencyConfig = TENTH_SECOND,
    before: Callable[[Probe], None] | None = None,
    end: bool = True,
    **settings: Any,
) -> Scene:
    """Run the market maker over the data and return what happened."""
    engine = make_engine()
    listener = Recorder()
    venue = add_simulated_venue(
        engine,
        instrument=INSTRUMENT,
        config=VenueConfig(latency=latency, funding=FundingConfig(enabled=False), starting_equity=1_000),
        seed=3,
        listener=listener,
    )
    settings.setdefault("budget", BUDGET_OFF)
    maker = Probe(MarketMakerConfig(instrument_id=IID, order_id_tag="000", **settings), steps)
    samples: list[QuoteSample] = []
    actions: list[ActionRecord] = []
    engine.kernel.msgbus.subscribe(topic=topics.DECISION, handler=samples.append)
    engine.kernel.msgbus.subscribe(topic=topics.ACTION, handler=actions.append)
    engine.add_strategy(maker)
    maker.venue = venue
    if before is not None:
        before(maker)
    load(engine, data)
    engine.run(streaming=True)
    if end:
        engine.end()
    return Scene(maker, venue, listener, samples, actions, engine)
