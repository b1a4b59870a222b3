"""Views of a small account for the tests of the risk room."""

from typing import Any

from amm500_nautilus.risk.types import RiskView


SECOND = 1_000_000_000
T0 = 1_800_000_000 * SECOND
PRICE = 690.0
LOT = 0.001


def view(at: float = 0.0, **changes: Any) -> RiskView:
    """A flat account of 1,000 with everything fresh, ``at`` seconds after T0; ``lots`` sets position and notional together."""
    values: dict[str, Any] = {"equity": 1_000.0, "mark": PRICE, "collateral_price": 1.0}
    lots = changes.pop("lots", 0)
    if lots:
        mark = changes.get("mark", PRICE)
        values |= {"position_lots": lots, "position_notional": lots * LOT * mark, "entry": mark}
    return RiskView(ts_ns=T0 + round(at * SECOND), **{**values, **changes})
