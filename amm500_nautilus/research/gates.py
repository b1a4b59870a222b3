"""The gate of the Monte Carlo: how likely liquidation at 25x may be before anything goes on to paper trading."""

from dataclasses import dataclass

from amm500_nautilus.research.intervals import Share


GATE_LEVERAGE = 25
MOST_LIQUIDATION = 0.05
# the earlier bot's paths; over a minute nothing is ever liquidated
FEWEST_DAYS = 30.0


@dataclass(frozen=True, slots=True)
class Gate:
    """``passed`` is None where the paths do not suffice to say; ``reason`` is a sentence."""

    passed: bool | None
    reason: str


def liquidation_gate(probability: Share | None, days: float) -> Gate:
    """
    Judge the probability of liquidation at 25x within so many days, which must be below 5 % over 30 at least.

    It passes only when the whole interval is below, fails when the whole interval is at or above, and is undecided between, as it is
    where shorter paths are below.
    """
    if probability is None:
        return Gate(None, f"no paths were drawn at {GATE_LEVERAGE}x")
    text = f"{probability.estimate:.2%} ({probability.low:.2%} to {probability.high:.2%}) at {GATE_LEVERAGE}x"
    if probability.low >= MOST_LIQUIDATION:
        return Gate(passed=False, reason=f"{text} is not below {MOST_LIQUIDATION:.0%}")
    if days < FEWEST_DAYS:
        return Gate(None, f"{text} within {days:g} days: paths of {FEWEST_DAYS:g} are needed")
    if probability.high < MOST_LIQUIDATION:
        return Gate(passed=True, reason=f"{text} is below {MOST_LIQUIDATION:.0%}")
    return Gate(None, f"{text} holds the bound of {MOST_LIQUIDATION:.0%}: more paths are needed")
