"""The account's value in USD where the collateral's price is not known all the time."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from amm500_nautilus.report.account import account_figures


def figures(*prices: float) -> dict[str, Any]:
    rows = len(prices)
    frame = pd.DataFrame(
        {
            "equity": [1_000.0] * rows,
            "collateral_price": prices,
            "transfers_cum": [0.0] * rows,
            "weight_cost_cum": [0.0] * rows,
            "position": [0.0] * rows,
            "mid": [690.0] * rows,
        }
    )
    return account_figures(SimpleNamespace(equity=frame), "USDH")


@pytest.mark.parametrize(
    ("prices", "start", "gained"),
    [
        pytest.param((0.99, 0.98), 990.0, -10.0, id="known"),
        pytest.param((np.nan, 0.985, 0.985), 985.0, 0.0, id="its coming is no loss"),
        pytest.param((0.985, np.nan), 985.0, 0.0, id="nor is its going a gain"),
        pytest.param((np.nan, np.nan), 1_000.0, 0.0, id="never known"),
    ],
)
def test_a_price_that_is_not_known_is_the_one_nearest_to_it_in_time(
    prices: tuple[float, ...], start: float, gained: float
) -> None:
    found = figures(*prices)
    assert found["equity_start_usd"] == pytest.approx(start)
    assert found["net_pnl_usd"] == pytest.approx(gained)
    assert found["collateral_effect_usd"] == pytest.approx(gained)
