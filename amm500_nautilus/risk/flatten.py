"""Closing a position under a halt: take it, rest at the touch, take it again further away."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any
from typing import NamedTuple


NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenConfig:
    """
    How a position is closed when it must be.

    Parameters
    ----------
    through_bps : tuple of float, default (10, 50, 300)
        How far through the touch the IOC orders reach, one attempt after the other; the last is repeated.
    retry_secs : float, default 2.0
        Time that an IOC order has to fill before the next attempt.
    passive_secs : float, default 5.0
        How long a post-only order rests at the touch between two IOC orders: after an upgrade of the network only
        post-only orders are taken.

    """

    through_bps: tuple[float, ...] = (10.0, 50.0, 300.0)
    retry_secs: float = 2.0
    passive_secs: float = 5.0

    def __post_init__(self) -> None:
        if not self.through_bps or not all(0 <= value <= 1_000 for value in self.through_bps):
            msg = f"FlattenConfig.through_bps is {self.through_bps!r}; it must be one or more numbers from 0 to 1000"
            raise ValueError(msg)
        for name in ("retry_secs", "passive_secs"):
            value = getattr(self, name)
            if not 0 < value <= 3_600:
                msg = f"FlattenConfig.{name} is {value!r}; it must be more than 0 and at most 3600"
                raise ValueError(msg)


class FlattenOrder(NamedTuple):
    """A reduce-only order to send: ``side`` 1 buys, a price in ticks, lots; ``ioc`` takes, otherwise it is post-only."""

    side: int
    price_ticks: int
    lots: int
    ioc: bool


class Flattener:
    """
    Say what to send next until the position is gone: IOC, post-only at the touch, IOC further through, and so on.

    Parameters
    ----------
    config : FlattenConfig
        Distances and times.

    """

    def __init__(self, config: FlattenConfig) -> None:
        self._config = config
        self._ready_ns = 0
        self.attempts = 0

    @property
    def is_active(self) -> bool:
        """Whether anything has been sent and the position is not known to be gone."""
        return self.attempts > 0

    def reset(self) -> None:
        """The position is gone, or nothing asks for this any more."""
        self.attempts = 0
        self._ready_ns = 0

    def next(
        self, ts_ns: int, *, position_lots: int, bid_ticks: int, ask_ticks: int, in_flight: bool
    ) -> FlattenOrder | None:
        """
        Return the order to send now; None while the last one has time left or no answer yet.

        The first, third, fifth ... attempt takes and the others rest. A missing touch sends nothing: no price is known.
        """
        if position_lots == 0:
            self.reset()
            return None
        if in_flight or ts_ns < self._ready_ns or bid_ticks <= 0 or ask_ticks <= bid_ticks:
            return None
        config = self._config
        side = -1 if position_lots > 0 else 1
        takes = self.attempts % 2 == 0
        step = min(self.attempts // 2, len(config.through_bps) - 1)
        self.attempts += 1
        self._ready_ns = ts_ns + int((config.retry_secs if takes else config.passive_secs) * NS_PER_SECOND)
        if not takes:
            return FlattenOrder(side, bid_ticks if side > 0 else ask_ticks, abs(position_lots), ioc=False)
        touch = ask_ticks if side > 0 else bid_ticks
        through = ceil(touch * config.through_bps[step] * 1e-4)
        return FlattenOrder(side, max(1, touch + side * through), abs(position_lots), ioc=True)

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"attempts": self.attempts, "ready_ns": self._ready_ns}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self.attempts = int(state["attempts"])
        self._ready_ns = int(state["ready_ns"])
