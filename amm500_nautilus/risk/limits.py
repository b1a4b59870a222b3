"""Position, notional and margin limits, judged for each order before it leaves, in the worst case."""

from math import inf
from typing import Any
from typing import NamedTuple

from amm500_nautilus.risk.config import LimitConfig
from amm500_nautilus.risk.types import RiskDecision


_new_tuple: Any = tuple.__new__


class OrderAsk(NamedTuple):
    """
    An order that wants to leave.

    ``side`` 1 buys and -1 sells; ``value`` is lots times price in collateral units. A modify names what it replaces.
    """

    side: int
    lots: int
    value: float
    reduce_only: bool = False
    old_lots: int = 0
    old_value: float = 0.0


class ExposureTotals:
    """
    The account and its orders as sums, kept up to date at a constant cost an event.

    An order counts from the moment it is sent until it is known to be gone: open, in flight, or being canceled. A modify in
    flight counts with the larger of its two sizes. Values are in collateral units.
    """

    __slots__ = (
        "available",
        "buy_lots",
        "buy_value",
        "equity",
        "leverage",
        "position_lots",
        "position_notional",
        "reduce_lots",
        "sell_lots",
        "sell_value",
    )

    def __init__(self, equity: float = 0.0, leverage: float = 1.0, available: float = inf) -> None:
        self.equity = equity
        self.leverage = leverage
        # margin that the venue still lends, where it says so
        self.available = available
        self.position_lots = 0
        self.position_notional = 0.0
        self.clear_orders()

    def clear_orders(self) -> None:
        """Forget every order, before they are counted again."""
        self.buy_lots = self.sell_lots = self.reduce_lots = 0
        self.buy_value = self.sell_value = 0.0

    def set_position(self, lots: int, notional: float) -> None:
        """Take the signed position in lots and its signed value at mark."""
        self.position_lots = lots
        self.position_notional = notional

    def add(self, side: int, lots: int, value: float, *, reduce_only: bool = False) -> None:
        """Count an order; give negative lots and value when it leaves."""
        if reduce_only:
            self.reduce_lots += lots
        elif side > 0:
            self.buy_lots += lots
            self.buy_value += value
        else:
            self.sell_lots += lots
            self.sell_value += value


class OrderLimits:
    """
    Refuse an order whose worst case passes a limit.

    The worst case of a buy is that it and every other buy fill and no sell does; against a short position, after reduce-only
    orders have closed it. Margin is the position's plus the larger side's, netted with what reduce-only orders leave of the
    position, over equity.

    Parameters
    ----------
    config : LimitConfig
        The limits.
    lot : float
        Contracts of one lot.

    """

    def __init__(self, config: LimitConfig, lot: float) -> None:
        if not lot > 0:
            msg = f"lot is {lot!r}; it must be more than 0"
            raise ValueError(msg)
        # a limit of 5 contracts of 0.001 is 5,000 lots; the last digit of a float takes none away
        lots = int(config.max_position / lot + 1e-9) if config.max_position else inf
        self._caps = (
            config.max_margin_ratio,
            lots,
            config.max_notional or inf,
            config.max_order_notional or inf,
        )

    def judge(
        self, ts_ns: int, ask: OrderAsk, totals: ExposureTotals, scale: float = 1.0, closed: str = ""
    ) -> RiskDecision:
        """Judge one order: ``scale`` of the margin limit's exposure may be used; ``closed`` names why nothing may add to it."""
        side, lots, value, reduce_only, old_lots, old_value = ask
        position, notional = totals.position_lots, totals.position_notional
        held = position
        if position < 0:
            held, notional = -position, -notional
        if side > 0:
            side_lots, side_value, other = totals.buy_lots, totals.buy_value, totals.sell_value
        else:
            side_lots, side_value, other = totals.sell_lots, totals.sell_value, totals.buy_value
        side_lots += lots - old_lots
        side_value += value - old_value
        if position * side < 0:
            room = held - totals.reduce_lots
            if side_lots <= room or reduce_only:
                return RiskDecision(
                    ts_ns, "order", True, "reduces", {"lots": lots, "position_lots": position}
                )
            # a reduce-only order may close the position first, and all of this side then opens the other way
            worst_lots, worst = side_lots, side_value
            # margin is held for what closing orders, netted with what reduce-only orders leave of the position, would open
            netted = side_value - notional * room / held if room > 0 else side_value
            # the other side adds to the position and stands beside it in full
            used = notional + (netted if netted > other else other)  # noqa: FURB136 - a call costs as much as the rest
        else:
            if reduce_only:
                return RiskDecision(
                    ts_ns, "order", True, "reduces", {"lots": lots, "position_lots": position}
                )
            worst_lots, worst = side_lots + held, side_value + notional
            netted = worst
            used = other if other > worst else worst  # noqa: FURB136
        most, most_lots, most_notional, most_order = self._caps
        leverage = totals.leverage
        power = totals.equity * leverage
        ratio = used / power if power > 0.0 else inf
        limit = power * most * scale
        numbers = {"worst_lots": worst_lots, "worst_notional": worst, "margin_ratio": ratio, "limit": limit}
        if closed:
            return RiskDecision(ts_ns, "order", False, closed, numbers)
        # a figure that is no number is within nothing
        if (
            ratio <= most
            and worst_lots <= most_lots
            and worst <= most_notional
            and worst <= limit
            and value <= most_order
            and value - old_value <= totals.available * leverage
        ):
            # made directly: a call more is a tenth of the whole
            approval: RiskDecision = _new_tuple(
                RiskDecision, (ts_ns, "order", True, "within_limits", numbers)
            )
            return approval
        return self._refusal(ts_ns, ask, totals, numbers, netted)

    def _refusal(
        self, ts_ns: int, ask: OrderAsk, totals: ExposureTotals, numbers: dict[str, float], netted: float
    ) -> RiskDecision:
        """Name the first limit that is passed, unless the order leaves nothing larger than it was."""
        if ask.lots <= ask.old_lots and ask.value <= ask.old_value:
            return RiskDecision(ts_ns, "order", True, "not_larger", numbers)
        most, most_lots, most_notional, most_order = self._caps
        worst = numbers["worst_notional"]
        if not totals.equity > 0.0:
            reason = "no_equity"
        elif not numbers["worst_lots"] <= most_lots:
            reason = "max_position"
        elif not (worst <= most_notional and ask.value <= most_order):
            reason = "max_notional"
        elif not numbers["margin_ratio"] <= most:
            reason = "margin_ratio"
        elif not worst <= numbers["limit"]:
            reason = "exposure_limit"
        elif min(ask.value - ask.old_value, netted) <= totals.available * totals.leverage:
            return RiskDecision(ts_ns, "order", True, "within_limits", numbers)
        else:
            reason = "available_margin"
        return RiskDecision(ts_ns, "order", False, reason, numbers)
