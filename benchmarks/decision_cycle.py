"""
Time of one decision cycle, from the book's reading to the diff, with a 15x2 ladder resting.

Two streams on one seeded path: ``quiet`` (mid moves about a tick a second: few changes) and ``busy`` (five times as much,
a fill every fourth cycle). A fresh ten-level book and touch come before every cycle, so that nothing is cached across them.
The inputs (touch, book, trade) are timed apart. Run: ``python -m benchmarks.decision_cycle``.
"""

import random
import time

from amm500_nautilus.quoting.config import AdaptiveConfig
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.engine import QuoteEngine
from amm500_nautilus.quoting.types import AccountView
from amm500_nautilus.quoting.types import BookView
from amm500_nautilus.quoting.types import BudgetView
from amm500_nautilus.quoting.types import Cancel
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.quoting.types import Modify
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import RestingOrder


CYCLES = 5_000
SECOND = 1_000_000_000


class Desk:
    """Applies changes at once, as a venue without latency would."""

    def __init__(self) -> None:
        self.orders: dict[str, RestingOrder] = {}
        self._next = 0

    def apply(self, ts_ns: int, changes: tuple[object, ...]) -> None:
        """Make the changes."""
        for change in changes:
            if isinstance(change, Place):
                self._next += 1
                key = f"O-{self._next}"
                self.orders[key] = RestingOrder(
                    key,
                    change.side,
                    change.price_ticks,
                    change.lots,
                    ts_ns,
                    change.level,
                    reduce_only=change.reduce_only,
                )
            elif isinstance(change, Modify):
                order = self.orders[change.key]
                order.price_ticks, order.lots, order.level, order.since_ns = (
                    change.price_ticks,
                    change.lots,
                    change.level,
                    ts_ns,
                )
            elif isinstance(change, Cancel):
                del self.orders[change.key]


def run(name: str, step_ticks: float, fill_every: int) -> None:
    rng = random.Random(7)
    config = QuotingConfig(adaptive=AdaptiveConfig(enabled=False))
    engine = QuoteEngine(MarketShape(tick=0.01, lot=0.001), config)
    # 100,000 at 10x: a side of 20,000, so that no level is merged away
    account = AccountView(equity=100_000.0, leverage=10.0, position_lots=0)
    budget = BudgetView()
    desk = Desk()
    mid = 69_000.0
    timings: dict[str, list[float]] = {"decide": [], "on_touch": [], "on_book": [], "on_trade": []}
    actions = 0
    levels = 0
    for cycle in range(CYCLES):
        ts = (cycle + 1) * SECOND
        mid += rng.gauss(0.0, step_ticks)
        bid = int(mid)
        ask = bid + 1
        view = BookView(
            ts,
            [bid - i for i in range(10)],
            [rng.randint(5_000, 40_000) for _ in range(10)],
            [ask + i for i in range(10)],
            [rng.randint(5_000, 40_000) for _ in range(10)],
        )
        start = time.perf_counter_ns()
        engine.on_book(view)
        timings["on_book"].append(time.perf_counter_ns() - start)
        start = time.perf_counter_ns()
        engine.on_touch(ts + 1, bid, view.bid_lots[0], ask, view.ask_lots[0])
        timings["on_touch"].append(time.perf_counter_ns() - start)
        start = time.perf_counter_ns()
        engine.on_trade(ts + 2, ask, 3.0, 1)
        timings["on_trade"].append(time.perf_counter_ns() - start)
        if fill_every and cycle % fill_every == 0 and desk.orders:
            key = max(desk.orders, key=lambda k: desk.orders[k].side * desk.orders[k].price_ticks)
            order = desk.orders.pop(key)
            engine.on_fill(ts + 3, order.side, order.price_ticks, order.lots, 0.0, 0.0)
        resting = list(desk.orders.values())
        start = time.perf_counter_ns()
        decision = engine.decide(ts + 4, account, resting, budget)
        timings["decide"].append(time.perf_counter_ns() - start)
        desk.apply(ts + 4, decision.changes)
        actions += len(decision.changes)
        levels += len(decision.plan.bids) + len(decision.plan.asks)
    parts = []
    for what, samples in timings.items():
        samples.sort()
        median, tail = samples[CYCLES // 2] / 1_000, samples[int(CYCLES * 0.99)] / 1_000
        # the tenth percentile is nearer to what an undisturbed core does
        parts.append(
            f"{what} median {median:.1f} us, p10 {samples[CYCLES // 10] / 1_000:.1f}, p99 {tail:.1f}"
        )
    print(
        f"{name}: {'; '.join(parts)}; {actions / CYCLES:.2f} changes and {levels / CYCLES:.1f} levels a cycle"
    )


def loop_us() -> float:
    """Return the median time of a bare loop of 1,000 additions: how fast, or how busy, this core is."""
    samples = []
    for _ in range(500):
        start = time.perf_counter_ns()
        total = 0
        for i in range(1_000):
            total += i
        samples.append(time.perf_counter_ns() - start)
    return sorted(samples)[250] / 1_000


def main() -> None:
    print(
        f"a loop of 1,000 additions: {loop_us():.1f} us (the same on an idle core tells how disturbed these figures are)"
    )
    run("quiet", 1.0, 0)
    run("busy", 5.0, 4)


if __name__ == "__main__":
    main()
