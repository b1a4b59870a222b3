"""Stop loss, hard stop and automatic reduction: how many lots must go, and why (#41)."""

from collections.abc import Mapping
from math import ceil
from typing import Any

from amm500_nautilus.risk.config import StopConfig
from amm500_nautilus.risk.types import Reduction
from amm500_nautilus.risk.types import RiskView


NS_PER_SECOND = 1_000_000_000
STOP_LOSS = "stop_loss"
HARD_STOP = "hard_stop"
AUTO_REDUCE = "auto_reduce"
# a share of lots that comes out whole must not be raised by the last digit of a float
_ROUNDING = 1e-9


def stop_loss(view: RiskView, config: StopConfig) -> Reduction | None:
    """Return the whole position once the price has moved against its entry by more than the stop."""
    if config.stop_loss <= 0 or view.position_lots == 0 or view.entry <= 0:
        return None
    side = 1 if view.position_lots > 0 else -1
    adverse = (view.entry - view.mark) * side / view.entry
    if adverse <= config.stop_loss:
        return None
    numbers = {"adverse": adverse, "limit": config.stop_loss, "entry": view.entry, "mark": view.mark}
    return Reduction(abs(view.position_lots), STOP_LOSS, numbers)


def hard_stop(view: RiskView, config: StopConfig) -> Reduction | None:
    """
    Return what exceeds the largest position that equity may carry.

    With equity 1,000, a hard stop of 1.5 and 20 lots worth 2,000: 500 too much at 100 a lot, 5 lots.
    """
    if config.hard_stop <= 0 or view.position_lots == 0:
        return None
    held, notional = abs(view.position_lots), abs(view.position_notional)
    limit = config.hard_stop * max(0.0, view.equity)
    if notional <= limit:
        return None
    lots = min(held, ceil((notional - limit) / (notional / held) - _ROUNDING))
    return Reduction(lots, HARD_STOP, {"notional": notional, "limit": limit, "equity": view.equity})


def auto_reduce(view: RiskView, starting_equity: float, config: StopConfig) -> Reduction | None:
    """
    Return a part of the position once its unrealised loss exceeds a share of the session's starting equity.

    With 1,000 to start, 1 % and 37 lots that have lost 11: a fifth of 37 is 7.4, so 8 lots.
    """
    if config.auto_reduce_loss <= 0 or view.position_lots == 0 or view.entry <= 0 or view.mark <= 0:
        return None
    unrealized = view.position_notional * (view.mark - view.entry) / view.mark
    limit = -config.auto_reduce_loss * starting_equity
    if starting_equity <= 0 or unrealized >= limit:
        return None
    lots = ceil(config.auto_reduce_share * abs(view.position_lots) - _ROUNDING)
    return Reduction(lots, AUTO_REDUCE, {"unrealized": unrealized, "limit": limit})


class Stops:
    """Ask the three rules each cycle, and leave each reduction the time to fill before the next."""

    def __init__(self, config: StopConfig) -> None:
        self._config = config
        self._ready_ns = {STOP_LOSS: 0, HARD_STOP: 0, AUTO_REDUCE: 0}

    def update(self, view: RiskView, starting_equity: float) -> Reduction | None:
        """Return the largest reduction that is due; the rules' own cooldowns run by themselves."""
        if view.position_lots == 0:
            return None
        config = self._config
        found = [hard_stop(view, config)]
        # the other two ask for a loss
        if (view.mark - view.entry) * view.position_lots < 0:
            found += [stop_loss(view, config), auto_reduce(view, starting_equity, config)]
        due: Reduction | None = None
        for each in found:
            if each is None or view.ts_ns < self._ready_ns[each.reason]:
                continue
            if due is None or each.lots > due.lots:
                due = each
        if due is not None:
            wait = config.auto_reduce_cooldown_secs if due.reason == AUTO_REDUCE else config.cooldown_secs
            self._ready_ns[due.reason] = view.ts_ns + int(wait * NS_PER_SECOND)
        return due

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return dict(self._ready_ns)

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self._ready_ns = {name: int(state.get(name, 0)) for name in self._ready_ns}
