"""
Where a resting order stands in the queue of its price, estimated from a book that shows sizes only.

The models carry the names and the rules of hftbacktest's level-two queue models. All sizes are in lots.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class UnseenLevel(StrEnum):
    """
    What is assumed of an order whose price was outside the visible depth when it was placed.

    ``BACK``: nothing is known until the price becomes visible, then it stands behind the whole displayed size.
    ``FRONT``: it stands first. ``PROFILE``: it stands behind the mean displayed size of the visible levels at
    the time of placing, or the whole displayed size once visible if that is less.
    """

    BACK = "back"
    FRONT = "front"
    PROFILE = "profile"


class QueuePosition:
    """
    The place of one order: ``ahead`` lots stand before it; negative once trades have reached it.

    ``traded`` sums trades at the price since the book last changed there, so that a decrease that a trade caused
    is not counted twice.
    """

    __slots__ = ("ahead", "traded")

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead
        self.traded = 0.0


class QueueModel(Protocol):
    """A rule for how a place in the queue moves."""

    name: str

    def on_trade(self, position: QueuePosition, lots: float) -> None:
        """Advance by a trade of ``lots`` at the order's price."""
        ...

    def on_depth(self, position: QueuePosition, before: float, after: float) -> None:
        """Advance by a change of the displayed size at the order's price."""
        ...


class RiskAverseQueueModel:
    """
    Trades alone advance an order; cancellations are taken to happen behind it (hftbacktest's ``risk_adverse``).

    The place is never worse than the whole displayed size.
    """

    name = "risk_adverse"

    def on_trade(self, position: QueuePosition, lots: float) -> None:
        """Advance by a trade of ``lots`` at the order's price."""
        position.ahead -= lots

    def on_depth(self, position: QueuePosition, before: float, after: float) -> None:  # noqa: ARG002
        """Cap the place at the displayed size."""
        position.ahead = min(position.ahead, after)


class ProbQueueModel:
    """
    A decrease of the displayed size is shared between the part ahead and the part behind.

    Parameters
    ----------
    probability : callable
        ``f(front, back)``: the probability that a cancellation happened behind the order.
    name : str
        hftbacktest's name of the model.

    """

    def __init__(self, probability: Callable[[float, float], float], name: str) -> None:
        self.name = name
        self._probability = probability

    def on_trade(self, position: QueuePosition, lots: float) -> None:
        """Advance by a trade of ``lots`` at the order's price."""
        position.ahead -= lots
        position.traded += lots

    def on_depth(self, position: QueuePosition, before: float, after: float) -> None:
        """Advance by the share of the decrease that is not explained by trades already counted."""
        change = before - after - position.traded
        position.traded = 0.0
        front = position.ahead
        if change < 0.0:
            position.ahead = min(front, after)
            return
        back = before - front
        probability = self._probability(front, back)
        estimate = front - (1.0 - probability) * change
        behind = back - probability * change
        if behind < 0.0:
            estimate += behind
        position.ahead = min(after, estimate)


@dataclass(frozen=True, slots=True)
class PowerProbQueueFunc:
    """``f(back) / (f(back) + f(front))`` with ``f(x) = x ** n``."""

    n: float

    def __call__(self, front: float, back: float) -> float:
        """Return the probability that a cancellation happened behind the order; 1 where the formula has no value."""
        behind = _power(back, self.n)
        return _ratio(behind, behind + _power(front, self.n))


@dataclass(frozen=True, slots=True)
class PowerProbQueueFunc2:
    """``f(back) / f(back + front)`` with ``f(x) = x ** n``."""

    n: float

    def __call__(self, front: float, back: float) -> float:
        """Return the probability that a cancellation happened behind the order; 1 where the formula has no value."""
        return _ratio(_power(back, self.n), _power(back + front, self.n))


@dataclass(frozen=True, slots=True)
class PowerProbQueueFunc3:
    """``1 - f(front / (front + back))`` with ``f(x) = x ** n``."""

    n: float

    def __call__(self, front: float, back: float) -> float:
        """Return the probability that a cancellation happened behind the order; 1 where the formula has no value."""
        total = front + back
        if total == 0.0:
            return 1.0
        share = front / total
        if share >= 0.0:
            return 1.0 - float(share**self.n)
        power = _power(share, self.n)
        return 1.0 if math.isnan(power) else 1.0 - power


def _power(base: float, exponent: float) -> float:
    # a negative base (trades have run past the order) with a fractional exponent has no real power
    if base < 0.0 and exponent != int(exponent):
        return math.nan
    return float(base**exponent) if base or exponent > 0.0 else math.inf


def _ratio(numerator: float, denominator: float) -> float:
    if denominator == 0.0 or math.isnan(denominator) or math.isnan(numerator):
        return 1.0
    ratio = numerator / denominator
    return 1.0 if math.isinf(ratio) else ratio


QUEUE_MODELS = (
    "risk_adverse",
    "power_prob_queue_model",
    "power_prob_queue_model2",
    "power_prob_queue_model3",
)


def make_queue_model(name: str, n: float = 3.0) -> QueueModel:
    """
    Return the queue model of hftbacktest's name.

    Parameters
    ----------
    name : str
        One of ``QUEUE_MODELS``.
    n : float, default 3.0
        The exponent of the power models.

    Raises
    ------
    ValueError
        If the name is unknown or the exponent is not positive.

    """
    if name == "risk_adverse":
        return RiskAverseQueueModel()
    if not n > 0.0:
        msg = f"queue exponent n is {n}; allowed: above 0"
        raise ValueError(msg)
    powers: dict[str, Callable[[float, float], float]] = {
        "power_prob_queue_model": PowerProbQueueFunc(n),
        "power_prob_queue_model2": PowerProbQueueFunc2(n),
        "power_prob_queue_model3": PowerProbQueueFunc3(n),
    }
    if name not in powers:
        msg = f"queue model is {name!r}; allowed: {', '.join(QUEUE_MODELS)}"
        raise ValueError(msg)
    return ProbQueueModel(powers[name], name)
