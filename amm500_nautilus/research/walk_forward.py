"""Days of a search: what is held out, and what walking forward would have chosen and earned."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime

from amm500_catalog.errors import InputError


DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day with data: its date, and the span ``[start, end)`` in ns in which the market was open."""

    date: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Fold:
    """Days that choose, and the days right after them that judge; both as positions in the list of days."""

    train: tuple[int, ...]
    test: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldResult:
    """What a fold chose and what came of it; amounts are PnL in collateral units."""

    fold: int
    train_start: str
    train_end: str
    test_start: str
    test_end: str
    chosen: int
    train_pnl: float
    test_pnl: float
    median_test_pnl: float
    best_test_pnl: float


def days_of(sessions: Sequence[tuple[int, int]]) -> tuple[Day, ...]:
    """Return the UTC days that sessions lie in; a session over midnight belongs to both days."""
    spans: dict[int, list[int]] = {}
    for start, end in sessions:
        for number in range(start // DAY_NS, (end - 1) // DAY_NS + 1):
            low, high = max(start, number * DAY_NS), min(end, (number + 1) * DAY_NS)
            known = spans.setdefault(number, [low, high])
            known[0], known[1] = min(known[0], low), max(known[1], high)
    return tuple(
        Day(datetime.fromtimestamp(number * 86_400, UTC).date().isoformat(), low, high)
        for number, (low, high) in sorted(spans.items())
    )


def held_out(days: Sequence[Day], count: int) -> tuple[tuple[Day, ...], tuple[Day, ...]]:
    """
    Return the days a search may see and the last ``count`` that it may not.

    Raises
    ------
    InputError
        If nothing would be left to search.

    """
    if count >= len(days):
        raise InputError(
            f"{count} of {len(days)} days", "sweep.held_out_days", f"fewer than the {len(days)} days of data"
        )
    cut = len(days) - count
    return tuple(days[:cut]), tuple(days[cut:])


def folds(count: int, train: int, test: int) -> tuple[Fold, ...]:
    """
    Return the folds of walking forward over ``count`` days: ``train`` days choose, the next ``test`` judge, then both move on.

    Raises
    ------
    InputError
        If not even one fold fits.

    """
    if train + test > count:
        raise InputError(
            f"{train} days to choose and {test} to judge",
            "sweep.train_days and test_days",
            f"together at most {count} days",
        )
    return tuple(
        Fold(
            tuple(range(start, start + train)), tuple(range(start + train, min(start + train + test, count)))
        )
        for start in range(0, count - train, test)
    )


def walk_forward(
    days: Sequence[Day], pnl: Mapping[int, Sequence[float]], parts: Sequence[Fold]
) -> tuple[FoldResult, ...]:
    """
    Choose in each fold the trial with the largest PnL on its training days, and judge it by the days after.

    Parameters
    ----------
    days : sequence of Day
        The days of the search.
    pnl : mapping of int to sequence of float
        PnL by trial and day.
    parts : sequence of Fold
        The folds.

    Returns
    -------
    tuple of FoldResult
        A row a fold, with the median and the best of all trials on the same test days; empty without trials.

    """
    results = []
    for number, fold in enumerate(parts if pnl else (), start=1):
        trained = {trial: sum(values[day] for day in fold.train) for trial, values in pnl.items()}
        tested = {trial: sum(values[day] for day in fold.test) for trial, values in pnl.items()}
        # of equal trials the first, so that the choice does not hang on the order of arrival
        chosen = max(sorted(trained), key=lambda trial: trained[trial])
        ranked = sorted(tested.values())
        middle = len(ranked) // 2
        median = ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2
        results.append(
            FoldResult(
                fold=number,
                train_start=days[fold.train[0]].date,
                train_end=days[fold.train[-1]].date,
                test_start=days[fold.test[0]].date,
                test_end=days[fold.test[-1]].date,
                chosen=chosen,
                train_pnl=trained[chosen],
                test_pnl=tested[chosen],
                median_test_pnl=median,
                best_test_pnl=ranked[-1],
            )
        )
    return tuple(results)
