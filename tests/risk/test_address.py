"""The venue's side of the action limit, ours beside it, and what it affords."""

import json
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk.address import CANCEL
from amm500_nautilus.risk.address import MODIFY
from amm500_nautilus.risk.address import OVER_WEIGHT
from amm500_nautilus.risk.address import PLACE
from amm500_nautilus.risk.address import AddressMeter
from amm500_nautilus.risk.address import WeightMeter
from amm500_nautilus.risk.address import cancel_limit
from amm500_nautilus.risk.address import exchange_weight
from amm500_nautilus.risk.address import open_order_cap
from amm500_nautilus.risk.afford import Plan
from amm500_nautilus.risk.afford import affordable
from amm500_nautilus.risk.budget import ActionBudget
from amm500_nautilus.risk.budget import BudgetConfig
from amm500_nautilus.risk.budget import rank


SECOND = 1_000_000_000


def test_the_refusal_is_in_the_venues_words() -> None:
    meter = AddressMeter()
    meter.on_volume(87_456.46)
    assert meter.limit == 97_456
    meter.used = 97_450
    assert meter.submit(1, PLACE, 10) == (
        "Too many cumulative requests sent (97460 > 97456) for cumulative volume traded $87456.46. "
        "Place taker orders to free up 1 request per USDC traded."
    )


def test_the_limit_is_met_exactly_and_not_passed() -> None:
    meter = AddressMeter(initial_actions=100)
    assert meter.submit(1, PLACE, 60) is None
    assert meter.submit(2, MODIFY, 40) is None
    assert meter.submit(3, PLACE, 2) is not None
    assert (meter.used, meter.refused) == (100, 1)


def test_growth_mode_volume_counts_a_tenth() -> None:
    meter = AddressMeter(growth_mode=True)
    meter.on_volume(2_345.6)
    assert (meter.limit, meter.volume) == (10_234, pytest.approx(234.56))


def test_an_exhausted_address_gets_one_action_in_ten_seconds() -> None:
    meter = AddressMeter(initial_actions=0)
    assert meter.submit(0, PLACE) is None
    for at in (1, 5, 9):
        assert meter.submit(at * SECOND, PLACE) is not None
    # the refused tries did not put it off
    assert meter.submit(10 * SECOND, PLACE) is None
    # a batch is more than one action
    assert meter.submit(60 * SECOND, PLACE, 2) is not None
    # a trade of 100 frees 98 more, after the two that went beyond
    meter.on_volume(100.0)
    assert meter.submit(61 * SECOND, PLACE, 98) is None


def test_cancels_have_their_larger_allowance() -> None:
    assert [cancel_limit(limit) for limit in (10_000, 100_000, 200_000)] == [20_000, 200_000, 300_000]
    meter = AddressMeter(initial_actions=10)
    meter.submit(0, PLACE, 10)
    assert meter.submit(1, CANCEL, 10) is None
    assert "(22 > 20)" in str(meter.submit(2, CANCEL, 2))


def test_an_action_that_came_too_late_costs_five() -> None:
    meter = AddressMeter(initial_actions=10)
    meter.on_expired()
    assert meter.used == 5


def test_a_batch_of_more_than_two_hundred_is_refused_whole() -> None:
    meter = AddressMeter()
    assert meter.submit(0, PLACE, 200) is None
    assert meter.submit(0, PLACE, 201) == OVER_WEIGHT
    assert meter.used == 200


def test_bought_actions_raise_the_limit() -> None:
    meter = AddressMeter(initial_actions=0)
    meter.on_bought(50)
    assert meter.submit(0, PLACE, 50) is None


def test_a_nonsense_action_is_an_error() -> None:
    with pytest.raises(ValueError, match="'dance'"):
        AddressMeter().submit(0, "dance")
    with pytest.raises(ValueError, match="count of 1 or more"):
        AddressMeter().submit(0, PLACE, 0)


def test_open_orders_grow_with_volume() -> None:
    volumes = (0.0, 4_999_999.0, 5_000_000.0, 1e12)
    assert [open_order_cap(volume) for volume in volumes] == [1_000, 1_000, 1_001, 5_000]
    budget = ActionBudget(BudgetConfig())
    budget.on_volume(5_000_000.0)
    assert (budget.open_order_room(990), budget.open_order_room(2_000)) == (11, 0)


def test_weight_that_nobody_asks_for_is_forgotten_all_the_same() -> None:
    meter = WeightMeter(100)
    for second in range(10_000):
        meter.spend(second * SECOND, 1)
    assert len(meter._seconds) <= 62
    assert meter.left(9_999 * SECOND) == 100 - 61


def test_weight_is_one_and_one_more_for_each_forty() -> None:
    assert [exchange_weight(batch) for batch in (1, 39, 40, 79, 80)] == [1, 1, 2, 2, 3]
    meter = WeightMeter(100)
    meter.spend(0, 60)
    meter.spend(30 * SECOND, 50)
    assert meter.left(30 * SECOND) == -10
    assert meter.left(61 * SECOND) == 50
    assert meter.left(91 * SECOND) == 100


# -- our side ----------------------------------------------------------------------------------------------------------


def test_a_used_up_weight_limit_holds_quotes_back() -> None:
    budget = ActionBudget(BudgetConfig(weight_limit=300, weight_reserve=200))
    assert budget.view(SECOND, 0).max_changes == 90
    budget.on_request(SECOND, 100)
    view = budget.view(2 * SECOND, 0)
    assert (view.max_changes, view.cancel_only) == (0, False)
    assert budget.view(62 * SECOND, 0).max_changes > 0


def test_emergency_actions_are_admitted_as_the_venue_would() -> None:
    budget = ActionBudget(BudgetConfig(initial_actions=10, reserve=0))
    budget.on_actions(10, PLACE, SECOND)
    assert not budget.admits(SECOND, PLACE, 2)
    assert budget.admits(SECOND, CANCEL, 10)
    assert budget.admits(SECOND, PLACE)
    budget.on_actions(1, PLACE, SECOND)
    assert not budget.admits(10 * SECOND, PLACE)
    assert budget.admits(11 * SECOND, PLACE)


def test_weight_is_bought_only_when_asked_needed_and_within_the_cap() -> None:
    assert ActionBudget(BudgetConfig(initial_actions=0)).weight_to_buy(0) == 0
    # 1 USDC buys 2,000
    budget = ActionBudget(
        BudgetConfig(initial_actions=600, reserve=20, buy_weight=True, buy_spend_cap=1.0, buy_batch=1_500)
    )
    assert budget.weight_to_buy(80) == 0
    assert budget.weight_to_buy(81) == 1_500
    budget.on_bought(1_500)
    assert (budget.limit, budget.spent) == (2_100.0, 0.75)
    budget.on_actions(2_000)
    assert budget.weight_to_buy(0) == 500
    budget.on_bought(500)
    budget.on_actions(500)
    assert budget.weight_to_buy(0) == 0
    assert budget.spent == 1.0


@pytest.mark.parametrize(
    "bad",
    [{"buy_weight": True}, {"weight_reserve": 1_200}, {"buy_batch": 0}, {"buy_spend_cap": -1.0}],
    ids=lambda bad: next(iter(bad)),
)
def test_a_nonsense_purchase_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="budget"):
        BudgetConfig(**bad)


def test_changes_are_ranked_by_worth_per_action() -> None:
    names = ("move", "swap", "trim", "far")
    worth = (3.0, 5.0, 1.0, 0.2)
    # a swap is a cancel and a place: 2.5 an action
    assert rank(names, worth, costs=(1, 2, 1, 1)) == ("move", "swap", "trim", "far")
    assert rank(names, worth, price=1.0) == ("swap", "move")
    assert rank(names, worth, costs=(1, 2, 1, 1), limit=2) == ("move", "trim")
    with pytest.raises(ValueError, match="one length"):
        rank(names, (1.0,))


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 4)), max_size=20), st.integers(0, 30))
def test_what_is_ranked_stays_within_its_actions(changes: list[tuple[float, int]], limit: int) -> None:
    worth, costs = [change[0] for change in changes], [change[1] for change in changes]
    got = rank(range(len(changes)), worth, costs=costs, limit=limit)
    assert sum(costs[index] for index in got) <= limit
    value = [worth[index] / costs[index] for index in got]
    assert value == sorted(value, reverse=True)
    assert len(set(got)) == len(got)


steps = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.sampled_from([PLACE, MODIFY, CANCEL]),
        st.integers(1, 80),
        st.floats(0, 300),
        st.booleans(),
    ),
    max_size=60,
)


@given(steps, st.booleans())
def test_a_strategy_that_obeys_its_budget_is_never_refused_by_the_venue(
    steps: list[tuple[int, str, int, float, bool]], growth: bool
) -> None:
    budget = ActionBudget(
        BudgetConfig(initial_actions=300, horizon_hours=0.01, burst=200), growth_mode=growth
    )
    meter = AddressMeter(growth_mode=growth, initial_actions=300)
    now = SECOND
    for elapsed, kind, wanted, volume, urgent in steps:
        now += elapsed * SECOND
        view = budget.view(now, resting=10)
        count = wanted if urgent and budget.admits(now, kind, wanted) else min(wanted, view.max_changes)
        if count:
            assert meter.submit(now, kind, count) is None
            budget.on_actions(count, kind, now)
        budget.on_volume(volume)
        meter.on_volume(volume)
        assert budget.sent == meter.used
        assert int(budget.limit) == meter.limit


def test_the_counters_survive_a_restart_and_older_ones_are_understood() -> None:
    budget, meter = ActionBudget(BudgetConfig(), growth_mode=True), AddressMeter()
    for each in (budget, meter):
        each.on_volume(1_234.5)
        each.on_bought(7)
    budget.on_actions(11)
    meter.submit(5, PLACE, 11)
    later, other = ActionBudget(BudgetConfig(), growth_mode=True), AddressMeter()
    later.load(json.loads(json.dumps(budget.save())))
    other.load(json.loads(json.dumps(meter.save())))
    assert (later.limit, later.sent, later.spent) == (budget.limit, 11, budget.spent)
    assert (other.limit, other.used) == (meter.limit, 11)
    later.load({"sent": 3.0, "volume": 1_000.0, "tokens": 5.0})
    assert (later.limit, later.sent) == (10_100.0, 3)


# -- what it affords ---------------------------------------------------------------------------------------------------


def plan(**changes: float) -> Plan:
    values = {"equity": 1_000.0, "growth_mode": True, "fills_a_day": 200.0, "turnover": 5.0}
    return Plan(**{**values, **changes})


def test_a_small_account_in_growth_mode() -> None:
    got = affordable(plan())
    # 10,000 / 30 + 0.1 x 5,000
    assert got.actions_a_day == pytest.approx(833.33, abs=0.01)
    assert got.actions_per_fill == pytest.approx(4.17, abs=0.01)
    # (833 - 200) / 48 a level
    assert got.levels == 13
    # 15 levels take 720
    assert got.trades_a_day == pytest.approx(113.33, abs=0.01)
    assert got.cost_a_day == 0.0


def test_two_thousand_trades_a_day_are_out_of_reach_and_it_says_what_they_would_cost() -> None:
    # 2,000 + 720 - 833.33
    assert affordable(plan()).sentence == (
        "2,000 trades a day are out of reach: at a turnover of 5,000 a day the limit gives 833 actions, 15 levels a side take "
        "720 of them, and 113 trades are left; the rest would take 1,887 bought actions a day, or 0.94 USDC"
    )


@given(st.floats(1_000, 20_000), st.integers(0, 30), st.floats(0, 3))
def test_bought_weight_brings_what_the_sentence_says(equity: float, levels: int, moves: float) -> None:
    before = affordable(plan(equity=equity, levels=levels, moves_a_level_hour=moves))
    if not before.sentence:
        assert before.trades_a_day >= 2_000
        return
    missing = 2_000 + levels * 48 * moves - before.actions_a_day
    assert f"{missing:,.0f} bought" in before.sentence
    after = affordable(
        plan(equity=equity, levels=levels, moves_a_level_hour=moves, bought_a_day=missing + 0.001)
    )
    assert (after.trades_a_day >= 2_000, after.sentence) == (True, "")
    assert after.cost_a_day == pytest.approx(missing * 0.0005, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # 333 - 144 for three levels = 189 free; a fill of 5 earns half an action
        pytest.param(
            {"fills_a_day": 1_000.0, "levels": 3}, (10_000 / 30 - 144) / 0.5, id="half an action a fill"
        ),
        pytest.param({"fills_a_day": 1_000.0}, 0.0, id="a ladder that the allowance cannot keep"),
        pytest.param({}, inf, id="a fill of 25 earns 2.5 actions"),
        pytest.param({"fills_a_day": 500.0, "levels": 3}, inf, id="a fill of 10 earns its own action"),
        pytest.param({"fills_a_day": 500.0}, 0.0, id="but not the ladder's"),
    ],
)
def test_trades_at_the_mean_fill(changes: dict[str, float], expected: float) -> None:
    assert affordable(plan(**changes)).trades_at_mean_fill == pytest.approx(expected)


def test_without_growth_mode_a_fill_pays_for_many_actions() -> None:
    got = affordable(plan(growth_mode=False))
    assert got.actions_a_day == pytest.approx(10_000 / 30 + 5_000)
    # 5,333 - 720
    assert (got.trades_a_day, got.sentence) == (pytest.approx(4_613.33, abs=0.01), "")
    assert got.levels > affordable(plan()).levels


def test_a_larger_account_affords_more_levels() -> None:
    levels = [affordable(plan(equity=equity)).levels for equity in (1_000.0, 10_000.0, 100_000.0)]
    assert levels == sorted(levels)
    assert levels[2] > levels[0]


@pytest.mark.parametrize("bad", [{"equity": 0.0}, {"turnover": -1.0}, {"moves_a_level_hour": -1.0}])
def test_a_nonsense_plan_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"Plan\."):
        plan(**bad)
