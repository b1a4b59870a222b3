"""``amm500 calibrate --queue RUN``: the queue model's parameter from the own fills of a recorded session."""

from collections.abc import Iterable
from dataclasses import asdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide

from amm500_catalog.errors import InputError
from amm500_nautilus.report.buffers import write_json
from amm500_nautilus.research.queue_fit import HIGHEST_N
from amm500_nautilus.research.queue_fit import LOWEST_N
from amm500_nautilus.research.queue_fit import Episode
from amm500_nautilus.research.queue_fit import QueueFit
from amm500_nautilus.research.queue_fit import QueueWatch
from amm500_nautilus.research.queue_fit import fit_queue
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.replay.data import data_of
from amm500_nautilus.runtime.replay.log import open_recording
from amm500_nautilus.runtime.replay.own import Netting
from amm500_nautilus.runtime.replay.own import OwnOrder
from amm500_nautilus.runtime.replay.own import OwnOrders
from amm500_nautilus.runtime.replay.own import feed_lag_of
from amm500_nautilus.runtime.replay.own import own_orders_of


FILE = "queue_fit.json"
SIDES = {OrderSide.BUY: 1, OrderSide.SELL: -1}
AGGRESSORS = {AggressorSide.BUYER: 1, AggressorSide.SELLER: -1}
# runs whose venue had our orders in its book, and yet was not the exchange that is traded on
NOT_THE_MARKET = {
    "local": "SIMULATED VENUE: the fills are the loopback venue's, so that this says nothing of the exchange",
    "testnet": "TEST NETWORK: the queue is that of the exchange's test network, where nobody trades for money",
}
# at one time of the venue: trades print against the book before the block, then fills are ours, then the book shows it, then orders move
TRADE, FILL, BOOK, OWN = range(4)


@dataclass(frozen=True, slots=True)
class QueueReport:
    """The fit, and what ``queue_fit.json`` holds."""

    fit: QueueFit
    facts: dict[str, Any]


def calibrate_queue(run_dir: Path, progress: Progress) -> QueueReport:
    """
    Fit the queue model of a run's file to the fills of its recording, and write ``queue_fit.json`` beside it.

    Raises
    ------
    InputError
        If the run holds no recording with a session, or too few fills by trades at the orders' own prices.

    """
    recording = open_recording(run_dir)
    if not recording.has_session:
        raise InputError(
            "is a recording of the market alone", str(run_dir), "a run that traded with live.record"
        )
    config = load_config(run_dir / "config.yaml") if (run_dir / "config.yaml").is_file() else None
    instrument = recording.instrument
    tick, lot = instrument.price_increment.as_decimal(), instrument.size_increment.as_decimal()
    progress(0.0, "reading the recording")
    lag = feed_lag_of(data_of(recording))
    own = own_orders_of(recording.steps(), tick, lot, feed_lag_ns=lag, is_seen=recording.nets_own_orders)
    netting = Netting(own, tick, lot) if recording.nets_own_orders else None
    episodes = episodes_of(data_of(recording, netting), own, tick, lot)
    model = _model(config)
    try:
        fit = fit_queue(episodes, model, lambda share: progress(share, "fitting the queue"))
    except ValueError as error:
        raise InputError(str(error), str(run_dir)) from error
    facts = {
        "run": run_dir.name,
        # a paper run's fills are our own model's: the fit then finds that model, and nothing of the venue
        "fills_are_the_venues": recording.nets_own_orders,
        "mode": None if config is None else config.mode,
        **asdict(fit),
    }
    write_json(run_dir / FILE, facts)
    return QueueReport(fit, facts)


def _model(config: RunConfig | None) -> str:
    model = "power_prob_queue_model3" if config is None else str(build(config.venue.fill).queue_model)
    return "power_prob_queue_model3" if model == "risk_adverse" else model


def episodes_of(data: Iterable[Any], own: OwnOrders, tick: Decimal, lot: Decimal) -> list[Episode]:
    """
    Return what each own order saw of its queue, the market in the order of the venue's time.

    Parameters
    ----------
    data : iterable
        Trades and books without our own orders, as recorded.
    own : OwnOrders
        Our orders.
    tick, lot : Decimal
        The market's units.

    """
    moments: list[tuple[int, int, int, Any]] = []
    for number, datum in enumerate(data):
        if isinstance(datum, TradeTick):
            moments.append((datum.ts_event, TRADE, number, datum))
        elif isinstance(datum, OrderBookDeltas):
            moments.append((datum.ts_event, BOOK, number, datum))
    for number, order in enumerate(own.orders.values()):
        moments.extend((ts_ns, rank, number, order) for ts_ns, rank in _changes(order))
    moments.sort(key=lambda row: row[:3])
    watch, book = QueueWatch(), _Levels(tick, lot)
    for ts_ns, rank, _, item in moments:
        if rank == TRADE:
            way = AGGRESSORS.get(item.aggressor_side, 0)
            watch.trade(ts_ns, way, book.ticks(item.price), book.lots(item.size))
        elif rank == BOOK:
            book.take(item)
            for side, ticks in watch.resting:
                shown = book.shown(side, ticks)
                if shown is not None:
                    watch.level(side, ticks, shown)
        elif rank == FILL:
            watch.filled(item.key, ts_ns)
        else:
            _own_change(watch, book, item, ts_ns)
    return watch.finish()


def _changes(order: OwnOrder) -> list[tuple[int, int]]:
    """Return when an order came, moved or went, and when it first filled at each of its prices."""
    fills = {fill.ts_ns for fill in order.fills}
    return [(ts_ns, FILL) for ts_ns in sorted(fills)] + [
        (state.ts_ns, OWN) for state in order.states if state.ts_ns not in fills
    ]


def _own_change(watch: QueueWatch, book: "_Levels", order: OwnOrder, ts_ns: int) -> None:
    state = [each for each in order.states if each.ts_ns <= ts_ns][-1]
    if state.left <= 0:
        watch.left(order.key)
    else:
        watch.joined(order.key, order.side, state.ticks, book.shown(order.side, state.ticks))


class _Levels:
    """The displayed book as last seen: sizes in lots by side and price in ticks."""

    def __init__(self, tick: Decimal, lot: Decimal) -> None:
        self._tick, self._lot = tick, lot
        self._sides: dict[int, dict[int, int]] = {1: {}, -1: {}}

    def ticks(self, price: Any) -> int:
        return int(price.as_decimal() / self._tick)

    def lots(self, size: Any) -> int:
        return int(size.as_decimal() / self._lot)

    def take(self, deltas: OrderBookDeltas) -> None:
        for delta in deltas.deltas:
            self._take(delta)

    def _take(self, delta: OrderBookDelta) -> None:
        if delta.action == BookAction.CLEAR:
            self._sides = {1: {}, -1: {}}
            return
        levels = self._sides[SIDES[delta.order.side]]
        ticks = self.ticks(delta.order.price)
        if delta.action == BookAction.DELETE or delta.order.size.raw == 0:
            levels.pop(ticks, None)
        else:
            levels[ticks] = self.lots(delta.order.size)

    def shown(self, side: int, ticks: int) -> int | None:
        """Return what is displayed at a price; 0 inside the visible range, None beyond it."""
        levels = self._sides[side]
        if ticks in levels:
            return levels[ticks]
        if not levels:
            return None
        worst = min(levels) if side > 0 else max(levels)
        return 0 if (ticks - worst) * side > 0 else None


def queue_lines(report: QueueReport) -> list[str]:
    """Return what the fit says, in sentences."""
    fit = report.fit
    edge = (
        " (an end at the edge of what was tried: no bound)"
        if fit.low <= LOWEST_N * 1.01 or fit.high >= HIGHEST_N * 0.99
        else ""
    )
    lines = [
        f"{fit.model}: n = {fit.n:.2f}, 95 % interval {fit.low:.2f} to {fit.high:.2f}{edge}",
        (
            f"from {fit.fills} fills among {fit.orders} orders that {fit.trades} trades reached at their own price; an order's error is "
            f"{fit.sigma:.3f} of the size displayed when it joined"
        ),
        f"log likelihood {fit.log_likelihood:.1f}; {fit.risk_adverse:.1f} if cancellations never helped",
    ]
    if not report.facts["fills_are_the_venues"]:
        lines.insert(
            0, "SIMULATED FILLS: the exchange of this run was our own, so that this finds our own model again"
        )
    elif report.facts["mode"] in NOT_THE_MARKET:
        lines.insert(0, NOT_THE_MARKET[report.facts["mode"]])
    return lines
