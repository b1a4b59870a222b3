"""
A recorded session traded again: the backtest on the recorded market, with the recorded timer and latencies.

Nothing of what the venue answered is given away: the strategy quotes into the simulated exchange, in a market from which our own orders
have been taken out, and lives with the fills it gets there. One fill more or less moves the position, and every later order with it; so the
share of equal orders is printed and has no bar. Each difference is put down to what the strategy saw that was not the same.
"""

from collections import deque
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any
from typing import Final

from nautilus_trader.model.data import TradeTick

from amm500_nautilus.quoting.types import Change
from amm500_nautilus.report.parity import FillRow
from amm500_nautilus.report.parity import OrderParity
from amm500_nautilus.runtime.backtest import make_engine
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.forecast.use import attach_forecast
from amm500_nautilus.runtime.node.assembly import strategy_config
from amm500_nautilus.runtime.node.hours import trading_hours
from amm500_nautilus.runtime.node.paper import paper_venue_config
from amm500_nautilus.runtime.replay.clock import Alarms
from amm500_nautilus.runtime.replay.clock import RecordedLatency
from amm500_nautilus.runtime.replay.clock import RecordedTimer
from amm500_nautilus.runtime.replay.data import data_of
from amm500_nautilus.runtime.replay.decisions import Decided
from amm500_nautilus.runtime.replay.decisions import Seen
from amm500_nautilus.runtime.replay.decisions import give_command
from amm500_nautilus.runtime.replay.decisions import rows_of
from amm500_nautilus.runtime.replay.decisions import seen_by
from amm500_nautilus.runtime.replay.fills import FillListener
from amm500_nautilus.runtime.replay.fills import play
from amm500_nautilus.runtime.replay.fills import rows_of_ledger
from amm500_nautilus.runtime.replay.log import Recording
from amm500_nautilus.runtime.replay.log import Step
from amm500_nautilus.runtime.replay.own import Netting
from amm500_nautilus.runtime.replay.own import OwnOrders
from amm500_nautilus.simulation.setup import add_simulated_venue
from amm500_nautilus.strategy import MarketMaker


FILLS: Final = "the position is another: fills differ before"
RESTING: Final = "what rests is another: orders or fills differ before"
ANSWERS: Final = "an answer had come in one and not in the other"
TOUCH: Final = (
    "the touch without our own orders is another: here they are taken out at the venue's time of each"
)
BOOK: Final = "the book behind the touch is another: the run took out what it had been told of its orders by then, here it is all that was recorded"
EQUITY: Final = "the account reports another equity: the exchange here marks at the mid, and at other times"
MODELS: Final = (
    "the models' memory is another: it holds what was seen before (book without our orders, fills, actions)"
)
ONLY_ONE: Final = "only one of the two decided at this moment"
EQUITY_STEP: Final = 1e-9


@dataclass(slots=True)
class ClosedReplay:
    """The outcome: the orders compared, the simulated fills, what was counted of the netted book, and the last mid."""

    parity: OrderParity
    fills: list[FillRow] = field(default_factory=list)
    short: int = 0
    end_mid: float = 0.0
    has_recorded_latency: bool = True


def cause_of(recorded: Seen, replayed: Seen) -> str:
    """Return the first thing that two decisions saw differently, in the order in which one leads to the other."""
    if recorded.position_lots != replayed.position_lots:
        return FILLS
    if [row[:3] for row in recorded.resting] != [row[:3] for row in replayed.resting]:
        return RESTING
    if recorded.resting != replayed.resting:
        return ANSWERS
    if recorded.touch != replayed.touch:
        return TOUCH
    if recorded.book != replayed.book:
        return BOOK
    if abs(recorded.equity - replayed.equity) > EQUITY_STEP * max(1.0, abs(recorded.equity)):
        return EQUITY
    return MODELS


def compare_decisions(recorded: Sequence[Decided], replayed: Sequence[Decided]) -> OrderParity:
    """Compare two runs' decisions, those of one moment in their order."""
    ours, theirs = _by_moment(recorded), _by_moment(replayed)
    parity = OrderParity()
    for moment in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(moment), theirs.get(moment)
        if one is None or other is None:
            parity.add(moment[0], one.rows if one else (), other.rows if other else (), ONLY_ONE)
        else:
            parity.add(moment[0], one.rows, other.rows, cause_of(one.seen, other.seen))
    return parity


def _by_moment(decisions: Sequence[Decided]) -> dict[tuple[int, int], Decided]:
    found: dict[tuple[int, int], Decided] = {}
    for each in decisions:
        number = 0
        while (each.ts_ns, number) in found:
            number += 1
        found[each.ts_ns, number] = each
    return found


def replay_closed(
    recording: Recording,
    config: RunConfig,
    own: OwnOrders,
    decided: Sequence[Decided],
    *,
    steps: Sequence[Step],
    took: Sequence[tuple[int, int]],
    until_ns: int,
    equity: Decimal,
) -> ClosedReplay:
    """
    Trade a recorded session again and compare its orders with the recorded ones.

    Parameters
    ----------
    recording : Recording
        The session.
    config : RunConfig
        The run file.
    own : OwnOrders
        The recorded orders, which are taken out of the market.
    decided : Sequence of Decided
        The recorded decisions.
    steps : Sequence of Step
        The recorded session: its timer's calls and a person's commands are given again at their times.
    took : Sequence of (int, int)
        When each recorded action was decided, and how long it took; without any the run file's latency is used.
    until_ns : int
        Where the comparison ends.
    equity : Decimal
        What the account began with.

    """
    instrument = recording.instrument
    tick, lot = instrument.price_increment.as_decimal(), instrument.size_increment.as_decimal()
    netting = Netting(own, tick, lot)
    data = [each for each in data_of(recording, netting) if each.ts_init < until_ns and _is_heard(each, own)]
    engine, listener = make_engine(), FillListener()
    now_ns: Callable[[], int] = engine.kernel.clock.timestamp_ns
    venue = add_simulated_venue(
        engine,
        instrument=instrument,
        config=replace(paper_venue_config(config, instrument), starting_equity=equity),
        seed=config.seed,
        listener=listener,
        latency=RecordedLatency(took, now_ns) if took else None,
    )
    replayed: list[Decided] = []
    maker = _maker(config, instrument, [step for step in steps if step.ns < until_ns], replayed)
    play(engine, maker, data)
    return ClosedReplay(
        parity=compare_decisions(decided, replayed),
        fills=rows_of_ledger(listener.fills),
        short=netting.short,
        end_mid=venue.mids.mid,
        has_recorded_latency=bool(took),
    )


def _maker(config: RunConfig, instrument: Any, steps: Sequence[Step], replayed: list[Decided]) -> Any:
    """Return the strategy on the recorded timer; its decisions are added to ``replayed``."""
    sessions = trading_hours(config, steps[0].ns) if steps else ()
    maker: Any = MarketMaker(strategy_config(config, instrument, nets_own_orders=False, sessions=sessions))
    # a model that cannot be used was named by the replay of the decisions already
    attach_forecast(maker, config, instrument.info["coin"], _in_silence)

    def review(ts_ns: int, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        replayed.append(Decided(ts_ns, rows_of(maker, changes), seen_by(maker)))
        return changes

    maker.review = review
    maker.cycle_timer = partial(_timer, maker, steps)
    return maker


def _in_silence(_text: str) -> None:
    pass


def _timer(
    maker: Any,
    steps: Sequence[Step],
    clock: Any,
    interval_ns: int,
    cycle: Callable[[int], None],
    loop: Any,
) -> RecordedTimer:
    """Return the recorded cycle's timer, and wait for the recorded commands."""
    commands = deque(step for step in steps if step.kind == "command")

    def give(ts_ns: int) -> None:
        while commands and commands[0].ns <= ts_ns:
            give_command(maker, commands.popleft())

    Alarms(clock, [step.ns for step in commands], give).start()
    firings = [step.body["ts"] for step in steps if step.kind == "cycle"]
    return RecordedTimer(clock, interval_ns, cycle, loop, firings=firings)


def _is_heard(datum: Any, own: OwnOrders) -> bool:
    """Leave out what we took ourselves: no stream of a market without us would hold it."""
    return not (isinstance(datum, TradeTick) and datum.trade_id.value in own.taken_trades)
