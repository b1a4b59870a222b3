"""The action budget: what is earned, spent, kept back, and how tolerance follows."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.quoting.types import ASKS
from amm500_nautilus.quoting.types import BIDS
from amm500_nautilus.quoting.types import BudgetView
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


BARE, BID_ONLY, ASK_ONLY, BOTH = (0, 0), (1, 0), (0, 1), (1, 1)


def spent(left: float = 20.0) -> ActionBudget:
    """A budget of which so many actions are left (the reserve is 20), its last order sent a second into the session."""
    budget = ActionBudget(BudgetConfig(initial_actions=1_000, reserve=20))
    budget.view(SECOND, resting=0)
    budget.on_actions(1_000, "place", SECOND)
    budget.on_volume(left)
    return budget


def after(budget: ActionBudget, seconds: float, **seen: Any) -> BudgetView:
    """What a cycle so long after that order may send."""
    return budget.view(SECOND + round(seconds * SECOND), **({"resting": sum(seen["shown"])} | seen))


@pytest.mark.parametrize("left", [20.0, 20.4, 19.6, 20.999])
def test_a_spent_budget_lets_one_order_a_minute_go_to_a_side_that_shows_nothing(left: float) -> None:
    budget = spent(left)
    assert after(budget, 59, shown=BARE, delta=0.0).max_changes == 0
    view = after(budget, 60, shown=BARE, delta=0.0)
    assert (view.max_changes, view.cancel_only, view.place_sides) == (1, True, BIDS + ASKS)
    budget.on_actions(1, "place", 61 * SECOND)
    # one side shows an order: the other a minute later, and then there is something to wait for
    assert after(budget, 119, shown=BID_ONLY, delta=0.0).max_changes == 0
    view = after(budget, 120, shown=BID_ONLY, delta=0.0)
    assert (view.max_changes, view.place_sides) == (1, ASKS)
    assert after(budget, 120, shown=ASK_ONLY, delta=0.0).place_sides == BIDS
    assert after(budget, 120, shown=BOTH, delta=0.0).max_changes == 0
    # a fill of 25,000 earns 25,000: a bid's place beside the ask, and soon the ladder is built again
    budget.on_volume(25_000.0)
    assert not after(budget, 121, shown=BID_ONLY, delta=0.0).cancel_only
    # over a day that is 0.29 a second, for eleven seconds
    assert after(budget, 131, shown=BID_ONLY, delta=0.0).max_changes == 3


def test_cancels_and_the_client_s_own_actions_put_no_order_off() -> None:
    budget = spent()
    # a dead-man's switch is armed anew twice a minute
    for second, kind in ((30, "scheduleCancel"), (59, "cancel"), (60, "scheduleCancel")):
        budget.on_actions(1, kind, second * SECOND)
    assert after(budget, 60, shown=BARE, delta=0.0).max_changes == 1


def test_nearly_spent_is_no_slower_than_spent() -> None:
    budget = spent(23.0)
    # three a day would be eight hours for one
    assert after(budget, 59, shown=BARE).max_changes == 0
    assert after(budget, 60, shown=BARE).max_changes == 1
    assert after(budget, 60, shown=BOTH, resting=0).max_changes == 0


@pytest.mark.parametrize(
    ("delta", "sides", "left"),
    [
        # 1 % of the exposure limit either way: the venue's one action in ten seconds would be enough to leave it
        (0.01, BIDS + ASKS, -79),
        (-0.01, BIDS + ASKS, -79),
        # 10 %: half of the reserve stays for the orders that take it off, and then one side only takes off
        (0.1, ASKS, -79),
        (-0.1, BIDS, -79),
    ],
)
def test_how_far_a_spent_budget_goes_depends_on_what_is_held(delta: float, sides: int, left: int) -> None:
    budget = spent()
    seen = set()
    for minute in range(1, 100):
        view = after(budget, 60 * minute, shown=BARE, delta=delta)
        if view.max_changes:
            now = SECOND + 60 * minute * SECOND
            assert budget.admits(now, "place")
            budget.on_actions(1, "place", now)
            seen.add((view.place_sides, budget.remaining < 10))
    assert budget.remaining == left
    assert seen == {(BIDS + ASKS, False), (sides, True)}


def test_no_order_goes_that_could_not_be_canceled() -> None:
    budget = spent()
    # used over limit, and cancels: 1,020 and 2,040, of which the reserve and the cancels of what rests are kept
    budget.on_actions(1_017, "cancel", SECOND)
    assert budget.used == 2_017
    assert after(budget, 60, shown=BARE, delta=0.0).max_changes == 1
    assert after(budget, 60, shown=BID_ONLY, delta=0.0).max_changes == 1
    budget.on_actions(2, "cancel", SECOND)
    assert after(budget, 60, shown=BARE, delta=0.0).max_changes == 0


def test_a_restart_waits_a_minute_too() -> None:
    later = ActionBudget(BudgetConfig(initial_actions=1_000, reserve=20))
    later.load(spent().save())
    assert later.view(500 * SECOND, resting=0, shown=BARE, delta=0.0).max_changes == 0
    assert later.view(560 * SECOND, resting=0, shown=BARE, delta=0.0).max_changes == 1


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


@pytest.mark.parametrize(("shown", "kept"), [((5, 5), 20 + 10), ((10, 0), 10 + 10)])
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1e4), st.integers(0, 90)), max_size=40))
def test_a_strategy_that_obeys_never_spends_what_is_kept(
    shown: tuple[int, int], kept: int, steps: list[tuple[int, float, int]]
) -> None:
    budget = ActionBudget(BudgetConfig(initial_actions=500, reserve=20, burst=60))
    now = SECOND
    for wanted, volume, elapsed in steps:
        now += elapsed * SECOND
        # short, and no bid would take anything off
        view = budget.view(now, resting=10, shown=shown, delta=0.5)
        count = min(wanted, view.max_changes)
        if count and not (view.cancel_only and budget.remaining < kept + 1 and view.place_sides == ASKS):
            budget.on_actions(count, "place", now)
        budget.on_volume(volume)
    # the reserve of 20, or half of it where a side shows nothing, and the cancels of the 10 that rest
    assert budget.remaining >= kept


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


# -- the venue's word --------------------------------------------------------------------------------------------------


def word(second: float, used: int, limit: int = 10_000) -> dict[str, int]:
    """A report of the account with the venue's count of the address."""
    return {"actions_used": used, "actions_limit": limit, "actions_ns": round(second * SECOND)}


def told(used: int, *, at: float = 10.0, **settings: Any) -> ActionBudget:
    """A budget that the venue has told of the address before anything was sent."""
    budget = ActionBudget(BudgetConfig(**settings))
    budget.on_report(word(at, used))
    return budget


def test_what_the_address_sent_before_is_spent() -> None:
    budget = told(9_990)
    assert (budget.sent, budget.used, budget.remaining) == (0, 9_990, 10.0)
    # under the reserve of 20 nothing is quoted, and beyond the limit one goes in ten seconds
    assert budget.view(11 * SECOND, resting=0).cancel_only
    assert budget.admits(11 * SECOND, "place", 10)
    assert not budget.admits(11 * SECOND, "place", 11)
    assert budget.admits(11 * SECOND, "cancel", 11)


def test_the_limit_is_the_venue_s_too() -> None:
    budget = ActionBudget(BudgetConfig(initial_actions=10_000), growth_mode=True)
    budget.on_report(word(10, 500, 2_864_574))
    assert budget.remaining == 2_864_074
    # what is traded from now on is credited on top, and a word that has it changes nothing
    budget.on_volume(1_000.0)
    budget.on_report(word(70, 500, 2_864_674))
    assert budget.remaining == 2_864_174
    # less than we thought is less, whatever the configuration says
    budget.on_report(word(130, 500, 3_000))
    assert budget.remaining == 2_500


def test_a_word_that_does_not_know_what_is_on_its_way_gives_nothing_back() -> None:
    budget = told(100)
    for second in range(11, 71):
        budget.view(second * SECOND, resting=0)
        budget.on_actions(2, "place", second * SECOND)
    assert budget.used == 220
    # the last five seconds are still on their way
    budget.on_report(word(70.5, 210))
    assert budget.used == 220
    # and a word that comes late says what has been known since
    budget.on_report(word(60.5, 150))
    assert budget.used == 220


def test_what_was_counted_and_never_arrived_is_given_back_a_minute_later() -> None:
    budget = told(100)
    budget.view(11 * SECOND, resting=0)
    budget.on_actions(40, "place", 12 * SECOND)
    for second in range(13, 72):
        budget.view(second * SECOND, resting=0)
    budget.on_actions(1, "place", 69 * SECOND)
    budget.on_report(word(70, 110))
    # 30 of the 40 never arrived; the one of a second ago may yet
    assert budget.used == 111


def test_what_others_send_from_the_address_is_spent_at_once() -> None:
    budget = told(100)
    budget.on_actions(5, "place", 20 * SECOND)
    budget.on_report(word(70, 3_000))
    assert budget.used == 3_000


def test_the_same_word_told_again_counts_once() -> None:
    budget = told(100)
    budget.on_actions(7, "place", 11 * SECOND)
    for _ in range(3):
        budget.on_report(word(10, 300))
    budget.on_report({"equity": "1000"})
    assert budget.used == 107


def test_a_restart_keeps_what_the_venue_said() -> None:
    budget = told(9_000, at=10)
    budget.on_actions(30, "place", 11 * SECOND)
    later = ActionBudget(BudgetConfig())
    later.load(json.loads(json.dumps(budget.save())))
    assert (later.used, later.remaining) == (9_030, 970.0)
    # the first word after it may lag behind what was sent before it
    later.on_report(word(20, 9_020))
    assert later.used == 9_030
    later.on_report(word(80, 9_020))
    assert later.used == 9_020


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.floats(0, 9), st.integers(0, 5), st.floats(0, 50)),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 9_000),
)
def test_a_budget_alone_on_its_address_never_counts_less_than_the_venue(
    steps: list[tuple[int, float, int, float]], before: int
) -> None:
    """Each step sends some actions, which arrive up to nine seconds later, and now and then the venue is asked."""
    budget = told(before, at=1)
    way: list[tuple[float, int]] = []
    arrived, sent, earned, now = before, 0, 0.0, 2.0
    for count, delay, elapsed, volume in steps:
        now += elapsed + 1
        budget.view(int(now * SECOND), resting=0)
        if count:
            budget.on_actions(count, "place", int(now * SECOND))
            way.append((now + delay, count))
            sent += count
        budget.on_volume(volume)
        earned += volume
        arrived += sum(each for at, each in way if at <= now)
        way = [each for each in way if each[0] > now]
        budget.on_report(word(now, arrived, 10_000 + int(earned)))
        assert budget.used == before + sent
        assert 10_000 + int(earned) <= budget.limit <= 10_000 + earned + 1e-6


# -- what is bought ----------------------------------------------------------------------------------------------------


def buyer(**settings: Any) -> ActionBudget:
    """A budget that wants a thousand actions at once, and may buy two thousand in all."""
    plain = {"initial_actions": 100, "buy_weight": True, "buy_spend_cap": 1.0, "buy_batch": 1_000}
    return ActionBudget(BudgetConfig(**(plain | settings)))


def test_weight_counts_when_the_venue_has_sold_it() -> None:
    budget = buyer()
    assert budget.ask_weight(SECOND, 0) == 1_000
    assert (budget.remaining, budget.spent) == (100.0, 0.0)
    # one purchase at a time
    assert budget.ask_weight(2 * SECOND, 0) == 0
    budget.on_answer((1_000, "bought"))
    assert (budget.remaining, budget.spent) == (1_100.0, 0.5)


def test_a_refused_purchase_gives_nothing_and_is_not_tried_again_at_once() -> None:
    budget = buyer()
    assert budget.ask_weight(SECOND, 0) == 1_000
    budget.on_answer((1_000, "refused"))
    assert (budget.remaining, budget.spent) == (100.0, 0.0)
    assert budget.ask_weight(600 * SECOND, 0) == 0
    assert budget.ask_weight(601 * SECOND, 0) == 1_000


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_purchase_nobody_knows_of_counts_against_the_cap_and_for_nothing_else(*, is_answered: bool) -> None:
    budget = buyer()
    assert budget.ask_weight(SECOND, 0) == 1_000
    if is_answered:
        budget.on_answer((1_000, "unknown"))
    assert budget.remaining == 100.0
    later = buyer()
    later.load(json.loads(json.dumps(budget.save())))
    for each in (budget, later):
        assert each.ask_weight(601 * SECOND, 0) == 1_000
        each.on_answer((1_000, "bought"))
        # the cap of 2,000 may be spent
        assert each.ask_weight(3_000 * SECOND, 2_000) == 0


def test_what_was_bought_is_not_counted_twice_when_the_venue_shows_it() -> None:
    budget = buyer()
    budget.on_report(word(10, 50, 100))
    assert budget.ask_weight(11 * SECOND, 0) == 1_000
    # asked before the venue sold it, and answered after
    budget.on_answer((1_000, "bought"))
    budget.on_report(word(12, 50, 100))
    assert budget.remaining == 1_050
    # the venue shows it as fewer used ones: bought ones that are left are less than none
    budget.on_report(word(72, -950, 100))
    assert budget.remaining == 1_050


def test_what_an_unanswered_purchase_brought_is_learned_from_the_venue() -> None:
    budget = buyer()
    budget.on_report(word(10, 50, 100))
    budget.ask_weight(11 * SECOND, 0)
    budget.on_answer((1_000, "unknown"))
    assert budget.remaining == 50
    budget.on_report(word(72, -950, 100))
    assert budget.remaining == 1_050
