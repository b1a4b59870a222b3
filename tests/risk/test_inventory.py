"""The netted position and the profit of its closes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.quoting.inventory import Inventory


@pytest.mark.parametrize(
    ("fills", "lots", "entry", "profits"),
    [
        pytest.param(
            [(1, 100, 5), (1, 104, 5)], 10, 102.0, [0, 0], id="two buys average: (5x100 + 5x104) / 10"
        ),
        pytest.param([(1, 100, 5), (-1, 103, 2)], 3, 100.0, [0, 6], id="a part close earns (103 - 100) x 2"),
        pytest.param(
            [(-1, 100, 4), (1, 103, 4)], 0, 0.0, [0, -12], id="a short bought back higher loses 3 x 4"
        ),
        pytest.param(
            [(1, 100, 4), (-1, 99, 6)],
            -2,
            99.0,
            [0, -4],
            id="a fill through zero opens the rest at its price",
        ),
    ],
)
def test_inventory_table(
    fills: list[tuple[int, int, int]], lots: int, entry: float, profits: list[float]
) -> None:
    inventory = Inventory()
    got = [inventory.apply(side=side, price_ticks=price, lots=size) for side, price, size in fills]
    assert (inventory.lots, inventory.entry_ticks) == (lots, pytest.approx(entry))
    assert got == pytest.approx(profits)


@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 1000), st.integers(1, 50)), max_size=60))
def test_profits_and_open_value_equal_the_cash_of_the_fills(fills: list[tuple[int, int, int]]) -> None:
    inventory = Inventory()
    cash = profit = 0.0
    for side, price, size in fills:
        profit += inventory.apply(side=side, price_ticks=price, lots=size)
        cash -= side * price * size
    assert cash + inventory.lots * inventory.entry_ticks == pytest.approx(profit, abs=1e-6 * (1 + abs(cash)))
