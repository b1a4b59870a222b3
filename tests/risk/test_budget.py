"""The action budget: what is earned, spent, kept back, and how tolerance follows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk.budget import ActionBudget
from amm500_nautilus.risk.budget import BudgetConfig


SECOND = 1_000_000_000


def test_growth_mode_volume_earns_a_tenth_of_an_action_a_dollar() -> None:
    budget = ActionBudget(BudgetConfig(initial_actions=10_000), growth_mode=True)
    budget.on_volume(5_000.0)
    budget.on_actions(300)
    # 10,000 + 0.1 x 5,000 - 300
    assert budget.limit == pytest.approx(10_500.0)
    assert budget.remaining == pytest.approx(10_200.0)


def test_a_spent_budget_leaves_only_cancels() -> None:
    budget = ActionBudget(BudgetConfig(initial_actions=100, reserve=20, burst=100))
    budget.on_actions(50)
    # 100 - 50 = 50 left, of which 30 resting orders and 20 of reserve are spoken for
    view = budget.view(SECOND, resting=30)
    assert view.cancel_only
    assert view.max_changes == 0
    assert view.remaining == pytest.approx(50.0)


def test_tokens_accrue_at_the_pace_that_lasts_the_horizon() -> None:
    config = BudgetConfig(initial_actions=3_620, reserve=20, horizon_hours=1.0, burst=100)
    budget = ActionBudget(config)
    budget.view(SECOND, resting=0)
    budget.on_actions(100)
    # 3,620 - 100 - 20 = 3,500 over 3,600 s is 0.972 a second: after 36 s the empty bucket holds 35
    assert budget.view(37 * SECOND, resting=0).max_changes == 35


def test_tolerance_widens_as_tokens_run_out() -> None:
    budget = ActionBudget(BudgetConfig(burst=50, max_tolerance_multiple=8.0))
    rich = budget.view(SECOND, resting=0).tolerance_multiple
    budget.on_actions(25)
    half = budget.view(SECOND, resting=0).tolerance_multiple
    budget.on_actions(25)
    poor = budget.view(SECOND, resting=0).tolerance_multiple
    # fullness 1, 1/2, 0: 1 + 7 x (0, 1/4, 1)
    assert (rich, half, poor) == pytest.approx((1.0, 2.75, 8.0))


def test_a_budget_that_is_off_never_holds_back() -> None:
    budget = ActionBudget(BudgetConfig(enabled=False))
    budget.on_actions(1_000_000)
    view = budget.view(SECOND, resting=500)
    assert view.remaining == float("inf")
    assert not view.cancel_only


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1e4), st.integers(0, 60)), max_size=40))
def test_a_strategy_that_obeys_never_spends_the_reserve(steps: list[tuple[int, float, int]]) -> None:
    budget = ActionBudget(BudgetConfig(initial_actions=500, reserve=20, burst=60))
    now = SECOND
    for wanted, volume, elapsed in steps:
        now += elapsed * SECOND
        view = budget.view(now, resting=10)
        budget.on_actions(min(wanted, view.max_changes))
        budget.on_volume(volume)
    # 20 of reserve and 10 for the cancels of what rests
    assert budget.remaining >= 20 + 10


@pytest.mark.parametrize(
    "bad",
    [
        {"horizon_hours": 0.0},
        {"credit_per_usd": -1.0},
        {"burst": 0},
        {"max_tolerance_multiple": 0.5},
        {"reserve": -1},
    ],
    ids=lambda bad: next(iter(bad)),
)
def test_a_nonsense_budget_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="budget"):
        BudgetConfig(**bad)
