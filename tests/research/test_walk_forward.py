"""Days, what is held out, and what walking forward chooses."""

import pytest

from amm500_catalog.errors import InputError
from amm500_nautilus.research.objective import below_median
from amm500_nautilus.research.objective import score
from amm500_nautilus.research.walk_forward import DAY_NS
from amm500_nautilus.research.walk_forward import days_of
from amm500_nautilus.research.walk_forward import folds
from amm500_nautilus.research.walk_forward import held_out
from amm500_nautilus.research.walk_forward import walk_forward


HOUR_NS = DAY_NS // 24
DAYS = days_of([(day * DAY_NS + 14 * HOUR_NS, day * DAY_NS + 20 * HOUR_NS) for day in range(6)])


def test_a_session_over_midnight_belongs_to_both_days() -> None:
    found = days_of([(20 * HOUR_NS, 30 * HOUR_NS), (40 * HOUR_NS, 41 * HOUR_NS)])
    assert [(day.date, day.start_ns // HOUR_NS, day.end_ns // HOUR_NS) for day in found] == [
        ("1970-01-01", 20, 24),
        ("1970-01-02", 24, 41),
    ]


def test_a_session_that_ends_at_midnight_is_no_part_of_the_next_day() -> None:
    assert [day.date for day in days_of([(0, DAY_NS)])] == ["1970-01-01"]


def test_the_last_days_are_held_out_and_never_all_of_them() -> None:
    searched, kept = held_out(DAYS, 2)
    assert [len(searched), len(kept)] == [4, 2]
    assert max(day.end_ns for day in searched) <= min(day.start_ns for day in kept)
    with pytest.raises(InputError, match="fewer than the 6 days"):
        held_out(DAYS, 6)


def test_folds_never_judge_by_a_day_that_chose_or_that_came_before() -> None:
    found = folds(6, 3, 1)
    assert [(fold.train, fold.test) for fold in found] == [
        ((0, 1, 2), (3,)),
        ((1, 2, 3), (4,)),
        ((2, 3, 4), (5,)),
    ]
    for fold in folds(10, 4, 3):
        assert max(fold.train) < min(fold.test)
    with pytest.raises(InputError, match="at most 6 days"):
        folds(6, 5, 2)


def test_walking_forward_takes_the_best_of_the_past_and_reports_what_followed() -> None:
    pnl = {1: [5.0, 5.0, -9.0, -9.0], 2: [1.0, 1.0, 2.0, 2.0], 3: [0.0, 0.0, 1.0, 3.0]}
    first, second = walk_forward(DAYS[:4], pnl, folds(4, 2, 1))
    assert (first.chosen, first.train_pnl, first.test_pnl) == (1, 10.0, -9.0)
    assert (first.median_test_pnl, first.best_test_pnl) == (1.0, 2.0)
    # days 2 and 3: trial 2 earned 3, trial 1 lost 4
    assert (second.chosen, second.train_pnl, second.test_pnl) == (2, 3.0, 2.0)
    assert (second.train_start, second.test_start) == (DAYS[1].date, DAYS[3].date)


def test_changing_the_future_changes_no_choice() -> None:
    pnl = {1: [1.0, 2.0, 3.0, 4.0], 2: [2.0, 0.0, 9.0, 0.0]}
    before = [fold.chosen for fold in walk_forward(DAYS[:4], pnl, folds(4, 2, 1))]
    changed = {1: [1.0, 2.0, 3.0, -400.0], 2: [2.0, 0.0, 9.0, 1e6]}
    assert [fold.chosen for fold in walk_forward(DAYS[:4], changed, folds(4, 2, 1))] == before


def test_the_score_of_the_earlier_bot_is_its_formula() -> None:
    # 0.3*1.5/3 + 0.3*10/20 + 0.2*(1 - 0.5) + 0.2*0.5
    assert score(sharpe=1.5, return_percent=10.0, drawdown=0.005, trades_per_day=500.0) == pytest.approx(0.5)
    assert score(sharpe=9.0, return_percent=90.0, drawdown=0.0, trades_per_day=9_000.0) == pytest.approx(1.0)


def test_a_trial_is_stopped_below_the_median_of_enough_others_at_the_same_day() -> None:
    others = [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0], [9.0]]
    assert below_median(4.9, 1, others, after_trials=3, after_days=1)
    assert not below_median(5.0, 1, others, after_trials=3, after_days=1)
    # the fourth never reached the second day
    assert not below_median(-9.0, 1, others, after_trials=4, after_days=1)
    assert not below_median(-9.0, 0, others, after_trials=1, after_days=1)
