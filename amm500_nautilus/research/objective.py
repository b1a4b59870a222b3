"""What makes one trial better than another, and when a trial is not worth going on with."""

from collections.abc import Mapping
from collections.abc import Sequence
from statistics import median
from typing import Any


NOT_ENOUGH = "not_enough_trading"


def score(*, sharpe: float, return_percent: float, drawdown: float, trades_per_day: float) -> float:
    """
    Return the earlier bot's score: 0.3 Sharpe (of 3), 0.3 return (of 20 %), 0.2 drawdown (of 1 %), 0.2 trades a day (of 1,000).

    With Sharpe 1.5, a return of 10 %, a drawdown of 0.5 % and 500 trades a day each part is half: 0.15 + 0.15 + 0.1 + 0.1 = 0.5.
    """
    return (
        0.3 * min(sharpe, 3.0) / 3.0
        + 0.3 * min(return_percent, 20.0) / 20.0
        + 0.2 * (1.0 - drawdown / 0.01)
        + 0.2 * min(trades_per_day, 1_000.0) / 1_000.0
    )


def objective_value(name: str, summary: Mapping[str, Any]) -> float | None:
    """
    Return what a finished run is worth, more being better; None where the summary has no figure for it.

    Parameters
    ----------
    name : str
        ``net_pnl`` (collateral units), ``sharpe`` or ``score``.
    summary : mapping
        The run's summary.

    Raises
    ------
    ValueError
        If the name is unknown.

    """
    metrics = summary["metrics"]
    if name in ("net_pnl", "sharpe"):
        value = metrics[name]
        return None if value is None else float(value)
    if name != "score":
        raise ValueError(f"objective was {name!r}, must be net_pnl, sharpe or score")
    if any(metrics[part] is None for part in ("sharpe", "annual_roi", "max_drawdown", "trades_per_day")):
        return None
    return score(
        sharpe=float(metrics["sharpe"]),
        return_percent=100.0 * float(metrics["annual_roi"]),
        drawdown=float(metrics["max_drawdown"]),
        trades_per_day=float(metrics["trades_per_day"]),
    )


def traded_enough(summary: Mapping[str, Any]) -> bool:
    """Return whether a run traded enough for its result to mean something."""
    return bool(summary["verdict"] != NOT_ENOUGH)


def below_median(
    value: float, day: int, others: Sequence[Sequence[float]], *, after_trials: int, after_days: int
) -> bool:
    """
    Return whether a trial is to be stopped: its PnL by a day's end is below the median of the others' at that day.

    Parameters
    ----------
    value : float
        Its PnL so far.
    day : int
        The day that has just ended, from 0.
    others : sequence of sequence of float
        PnL at each day's end of the trials that have ended or come so far; those that did not reach the day do not count.
    after_trials : int
        Fewest others that must have reached the day.
    after_days : int
        Days that no trial is stopped in.

    """
    reached = [values[day] for values in others if len(values) > day]
    return day >= after_days and len(reached) >= after_trials and value < median(reached)
