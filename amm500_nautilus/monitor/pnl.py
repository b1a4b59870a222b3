"""Where a running node's profit comes from: the parts of the report, kept as things happen and carried over restarts."""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amm500_nautilus.monitor.desk import Reading
from amm500_nautilus.monitor.journal import connect


PARTS = ("spread_capture", "adverse_selection", "inventory", "fees", "funding", "liquidation")
# a fill's mid by exchange time, and the mid by which adverse selection is judged
AT_FILL_S, ADVERSE_S = 0, 5
# fills whose later mids are awaited; four of a minute at a hundred a second
AWAITED = 20_000


@dataclass(slots=True)
class _Fill:
    signed: float
    mid: float


class PnlMeter:
    """
    Add up the PnL parts of a journal's life, in collateral units; costs are negative.

    The parts are those of a run's report: spread capture is what a fill earned against the mid, adverse selection what the mid
    did in the five seconds after it, inventory the position times the mid's change less that. No part is the total less the
    rest: ``total`` comes from the account's equity alone, so that the two agreeing is a check.

    Parameters
    ----------
    saved : mapping of str to float
        What ``values`` returned at the end of the last run, with ``position``, ``mid`` and ``equity`` of its last minute; empty at
        the first.

    """

    def __init__(self, saved: Mapping[str, float] | None = None) -> None:
        saved = {name: value for name, value in (saved or {}).items() if math.isfinite(value)}
        self._parts = {name: saved.get(name, 0.0) for name in PARTS}
        self._total = saved.get("total", 0.0)
        self._position = saved.get("position", math.nan)
        self._mid = saved.get("mid", math.nan)
        # equity net of transfers, which a new process counts from zero
        self._equity = saved.get("equity", math.nan)
        self._counted: tuple[float, float, float] | None = None
        self._transfers = math.nan
        self._fills: OrderedDict[int, _Fill] = OrderedDict()

    def on_earlier_transfer(self, amount: float) -> None:
        """Take what was deposited, or withdrawn when negative, while no process ran: the next equity shows it."""
        self._equity += amount

    def on_new_account(self) -> None:
        """Go on with another account: what it holds and is worth is no change of the last one's."""
        self._equity = self._position = self._mid = math.nan

    def on_fill(self, index: int, side: int, size: float, price: float, fee: float, mid: float) -> None:
        """Add a fill; ``mid`` is the market's when it was booked, NaN where there was none. ``index`` names it to ``on_markout``."""
        if not math.isfinite(mid):
            mid = self._mid if math.isfinite(self._mid) else price
        self._move_to(mid)
        signed = side * size
        self._parts["spread_capture"] += signed * (mid - price)
        self._parts["fees"] -= fee
        self._position = signed + (self._position if math.isfinite(self._position) else 0.0)
        if index >= 0:
            self._fills[index] = _Fill(signed, mid)
            if len(self._fills) > AWAITED:
                self._fills.popitem(last=False)

    def on_markout(self, index: int, horizon_s: int, mid: float) -> None:
        """Add what a fill's mid was at its exchange time (horizon 0), and five seconds later."""
        fill = self._fills.get(index)
        if fill is None or not math.isfinite(mid) or horizon_s not in (AT_FILL_S, ADVERSE_S):
            return
        moved = fill.signed * (mid - fill.mid)
        self._parts["inventory"] -= moved
        if horizon_s == AT_FILL_S:
            self._parts["spread_capture"] += moved
            fill.mid = mid
        else:
            self._parts["adverse_selection"] += moved
            del self._fills[index]

    def on_reading(self, reading: Reading) -> None:
        """Mark the position at the reading's mid, and count what the account paid and received since the last."""
        if math.isfinite(reading.position) and reading.position != self._position:
            # another account, or one that changed while nobody looked: what its position made is not ours to say
            if math.isfinite(self._position) and abs(reading.position - self._position) > 1e-9:
                self._mid = reading.mid
            self._position = reading.position
        self._move_to(reading.mid)
        costs = reading.liquidation, reading.weight_cost
        counted = reading.funding, *costs
        if all(math.isfinite(value) for value in counted):
            if self._counted is not None:
                funding, liquidation, weight = (
                    now - before for now, before in zip(counted, self._counted, strict=True)
                )
                self._parts["funding"] += funding
                self._parts["liquidation"] -= liquidation
                self._parts["fees"] -= weight
            self._counted = counted
        self._count_equity(reading)

    def _count_equity(self, reading: Reading) -> None:
        if not math.isfinite(reading.equity):
            return
        transfers = reading.transfers if math.isfinite(reading.transfers) else 0.0
        if math.isfinite(self._equity):
            moved = transfers - (self._transfers if math.isfinite(self._transfers) else transfers)
            self._total += reading.equity - self._equity - moved
        self._equity, self._transfers = reading.equity, transfers

    def _move_to(self, mid: float) -> None:
        if not math.isfinite(mid):
            return
        if math.isfinite(self._mid) and math.isfinite(self._position):
            self._parts["inventory"] += self._position * (mid - self._mid)
        self._mid = mid

    def values(self) -> dict[str, float]:
        """Return each part and the total so far."""
        return {**self._parts, "total": self._total}


def restored_meter(path: Path) -> PnlMeter:
    """Return a meter that goes on where a journal's last minute ended, the fills after it added."""
    names = (*PARTS, "total")
    columns = ", ".join(f"pnl_{name}" for name in names)
    last = f"SELECT ts_ns, position, mid, equity, {columns} FROM equity ORDER BY ts_ns DESC LIMIT 1"  # noqa: S608 - our own names
    connection = connect(path)
    try:
        row = connection.execute(last).fetchone()
        if row is None:
            return PnlMeter()
        meter = PnlMeter(
            {
                name: math.nan if value is None else float(value)
                for name, value in zip(("position", "mid", "equity", *names), row[1:], strict=True)
            }
        )
        later = "SELECT side, size, price, fee, mid FROM fill WHERE ts_ns > ? ORDER BY ts_ns"
        for side, size, price, fee, mid in connection.execute(later, (row[0],)):
            meter.on_fill(
                -1, int(side), float(size), float(price), float(fee), math.nan if mid is None else float(mid)
            )
        return meter
    finally:
        connection.close()
