"""What the account costs: the ledger's part of each order event, of a fill, of a mark, and of a report."""

import time
from collections.abc import Callable
from decimal import Decimal

from amm500_nautilus.margin.fees import GROWTH_RATES
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import MarginTier
from amm500_nautilus.simulation.gate import ActionGate
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.ledger import LedgerShape


RUNS = 100_000
REPEATS = 5
BAR_US = 15.0
TABLE = MarginTable(
    25,
    (MarginTier(Decimal(0), 25), MarginTier(Decimal(1_000_000), 10), MarginTier(Decimal(9_000_000), 5)),
)


def make() -> Ledger:
    ledger = Ledger(
        LedgerShape(Decimal("0.01"), Decimal("0.001")),
        starting_equity=Decimal(100_000),
        rates=GROWTH_RATES,
        leverage=10,
        table=TABLE,
    )
    ledger.mark(138_000)
    ledger.apply_fill(1, 5_000, 69_000, maker=True)
    return ledger


def measure(step: Callable[[int], object]) -> float:
    """Return microseconds of CPU time a step, the best of the repeats."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.process_time_ns()
        for n in range(RUNS):
            step(n)
        best = min(best, (time.process_time_ns() - began) / RUNS / 1_000)
    return best


def main() -> None:
    ledger = make()
    gate = ActionGate(growth_mode=True, initial_actions=10**9)

    def place(n: int) -> None:
        ledger.order_refusal(1, 300, 68_990 - n % 7, ledger.resting_tick_lots[0])
        ledger.order_added(1, 68_990 - n % 7, 300)

    def cancel(n: int) -> None:
        ledger.order_added(1, 68_990 - n % 7, -300)

    def modify(n: int) -> None:
        ledger.order_refusal(-1, 300, 69_010 + n % 7, ledger.resting_tick_lots[1])
        ledger.order_added(-1, 69_010 + n % 7, -300)
        ledger.order_added(-1, 69_010 + n % 7, 300)

    def fill(n: int) -> None:
        ledger.apply_fill(1 if n % 2 else -1, 300, 69_000 + n % 5, maker=True)

    def mark(n: int) -> None:
        ledger.mark(138_000 + n % 9)
        if not ledger.safe_low <= ledger.mid2_ticks <= ledger.safe_high:
            raise RuntimeError("the benchmark's account is liquidated")

    rows = {
        "place": measure(place),
        "cancel": measure(cancel),
        "modify": measure(modify),
        "action limit": measure(lambda n: gate.judge(n * 10**9, "modify", 1)),
        "fill": measure(fill),
        "mark and liquidation check": measure(mark),
        "all ratios": measure(lambda _n: ledger.ratios),
    }
    for name, cost in rows.items():
        print(f"{name:<28}{cost:6.2f} us")
    # a place or modify passes the action limit first, a fill does not
    worst = max(rows["action limit"] + max(rows["place"], rows["modify"]), rows["fill"])
    print(
        f"the ledger adds at most {worst:.1f} us an order event; bar {BAR_US:g} us: {'met' if worst <= BAR_US else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
