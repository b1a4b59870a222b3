"""The table of reasons and the state machine that keeps them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk import reasons
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.machine import StateMachine
from amm500_nautilus.risk.reasons import reason_table
from amm500_nautilus.risk.reasons import span
from amm500_nautilus.risk.types import Act
from amm500_nautilus.risk.types import RiskState


SECOND = 1_000_000_000
TABLE = reason_table(RiskConfig())
NAMES = [rule.name for rule in TABLE]
HALTED, PAUSED, REDUCE_ONLY, RUNNING = (
    RiskState.HALTED,
    RiskState.PAUSED,
    RiskState.REDUCE_ONLY,
    RiskState.RUNNING,
)


class Desk:
    """A machine with a set of conditions that hold, stepped by the second."""

    def __init__(self) -> None:
        self.machine = StateMachine(TABLE)
        self.machine.start()

    def at(self, seconds: float, *holding: str) -> RiskState:
        triggers = [(name, {"value": 1.0}) for name in holding]
        self.machine.update(round(seconds * SECOND), triggers, lambda name: name not in holding)
        return self.machine.state


@pytest.mark.parametrize(
    ("name", "state", "act", "latched"),
    [
        ("session_loss", HALTED, Act.FLATTEN, True),
        ("drawdown", HALTED, Act.FLATTEN, True),
        ("liquidation_distance", HALTED, Act.FLATTEN, True),
        ("losing_streak", PAUSED, Act.CANCEL_ALL, False),
        ("margin_ratio", REDUCE_ONLY, Act.CANCEL_INCREASING, False),
        ("book_stale", PAUSED, Act.CANCEL_ALL, False),
        ("oracle_stale", PAUSED, Act.CANCEL_ALL, False),
        ("network_down", PAUSED, Act.CANCEL_ALL, False),
        ("rejections", PAUSED, Act.CANCEL_ALL, False),
        ("taker_share", PAUSED, Act.CANCEL_ALL, False),
        ("position_velocity", PAUSED, Act.CANCEL_ALL, False),
        ("action_budget", PAUSED, Act.NONE, False),
        ("second_trader", PAUSED, Act.CANCEL_OWN, True),
        ("implausible_equity", PAUSED, Act.CANCEL_OWN, True),
        ("agent_refused", PAUSED, Act.CANCEL_OWN, True),
        ("collateral", REDUCE_ONLY, Act.CANCEL_INCREASING, False),
        ("journal", REDUCE_ONLY, Act.CANCEL_ALL, True),
    ],
)
def test_each_reason_acts_as_the_table_says(name: str, state: RiskState, act: Act, latched: bool) -> None:
    desk = Desk()
    desk.at(0, name)
    # collateral must be off for a minute
    assert desk.at(60, name) is state
    assert desk.machine.act is act
    assert desk.machine.reasons == (name,)
    # an hour after the condition is gone only what a person must end is left
    desk.at(61)
    assert (desk.at(3_700) is not RUNNING) is latched


def test_the_table_has_every_row_once_and_says_its_figures() -> None:
    assert len(NAMES) == len(set(NAMES)) == 21
    words = {rule.name: f"{rule.trigger}; {rule.ends}" for rule in TABLE}
    assert words["margin_ratio"] == "margin ratio of 90% or more; below 85%"
    assert "after 15 min; number 3 within 24 h halts" in words["losing_streak"]
    assert "outside 0.98 to 1.02 for 60 s; back inside for 10 min" in words["collateral"]
    assert "30 s of fresh data; never flattens blind" in words["book_stale"]
    assert span(90) == "90 s"


def test_a_pause_for_stale_data_ends_after_thirty_fresh_seconds_without_a_break() -> None:
    desk = Desk()
    assert desk.at(0, "book_stale") is PAUSED
    assert desk.at(1) is PAUSED
    assert desk.at(20, "book_stale") is PAUSED
    assert desk.at(21) is PAUSED
    assert desk.at(50) is PAUSED
    assert desk.at(51) is RUNNING


def test_collateral_must_be_off_for_a_minute_and_back_for_ten() -> None:
    desk = Desk()
    assert desk.at(0, "collateral") is RUNNING
    assert desk.at(59, "collateral") is RUNNING
    assert desk.at(59.5) is RUNNING  # back inside: the minute begins anew
    assert desk.at(60, "collateral") is RUNNING
    assert desk.at(119, "collateral") is RUNNING
    assert desk.at(120, "collateral") is REDUCE_ONLY
    assert desk.at(200) is REDUCE_ONLY
    assert desk.at(799) is REDUCE_ONLY
    assert desk.at(800) is RUNNING


def test_a_streak_pauses_for_fifteen_minutes_and_the_third_in_a_day_halts() -> None:
    desk = Desk()
    for start in (0, 10_000):
        assert desk.at(start, "losing_streak") is PAUSED
        assert desk.at(start + 899) is PAUSED
        assert desk.at(start + 900) is RUNNING
    assert desk.at(86_399, "losing_streak") is HALTED
    assert desk.at(200_000) is HALTED


def test_three_streaks_spread_over_more_than_a_day_only_pause() -> None:
    desk = Desk()
    for start in (0, 43_200, 86_400, 129_600):
        assert desk.at(start, "losing_streak") is PAUSED
        assert desk.at(start + 900) is RUNNING


def test_the_strictest_reason_wins_and_each_ends_by_its_own_rule() -> None:
    desk = Desk()
    assert desk.at(0, "margin_ratio") is REDUCE_ONLY
    assert desk.at(1, "margin_ratio", "book_stale") is PAUSED
    assert desk.machine.act is Act.CANCEL_ALL
    assert desk.at(2, "margin_ratio", "drawdown") is HALTED
    assert desk.machine.act is Act.FLATTEN
    assert desk.machine.reasons == ("margin_ratio", "book_stale", "drawdown")
    assert desk.at(40) is HALTED
    assert desk.machine.reasons == ("drawdown",)
    ended = desk.machine.resume(41 * SECOND, "ada")
    assert [decision.reason for decision in ended] == ["drawdown ended by ada"]
    assert desk.at(42) is RUNNING


def test_resume_leaves_what_ends_by_itself() -> None:
    desk = Desk()
    desk.at(0, "losing_streak", "second_trader")
    desk.machine.resume(SECOND, "ada")
    assert desk.machine.reasons == ("losing_streak",)
    assert desk.machine.state is PAUSED


def test_nobody_cannot_resume() -> None:
    with pytest.raises(ValueError, match="who resumes"):
        Desk().machine.resume(0, " ")


def test_a_condition_that_still_holds_is_back_at_the_next_cycle() -> None:
    desk = Desk()
    desk.at(0, "journal")
    desk.machine.resume(SECOND, "ada")
    assert desk.machine.state is RUNNING
    assert desk.at(2, "journal") is REDUCE_ONLY


def test_what_begins_and_ends_is_told_once_with_its_numbers() -> None:
    machine = StateMachine(TABLE)
    machine.start()
    said = [
        decision
        for at in range(3)
        for decision in machine.update(
            at * SECOND, [("margin_ratio", {"margin_ratio": 0.93})], lambda _: False
        )
    ]
    said += machine.update(9 * SECOND, [], lambda _: True)
    assert [(decision.approved, decision.reason) for decision in said] == [
        (False, "margin_ratio"),
        (True, "margin_ratio ended"),
    ]
    assert said[0].numbers["margin_ratio"] == 0.93
    assert said[1].numbers["lasted_secs"] == 9.0


def test_before_the_start_only_a_halt_is_stricter() -> None:
    machine = StateMachine(TABLE)
    assert machine.state is RiskState.STARTING
    machine.update(0, [("journal", {})], lambda _: False)
    assert machine.state is RiskState.STARTING
    machine.update(1, [("drawdown", {})], lambda _: False)
    assert machine.state is HALTED


def test_an_unknown_reason_is_refused_live_and_saved() -> None:
    machine = StateMachine(TABLE)
    with pytest.raises(ValueError, match="'moon' is not in the table"):
        machine.update(0, [("moon", {})], lambda _: True)
    state = machine.save() | {"active": [["moon", 0, -1, True, {}]]}
    with pytest.raises(ValueError, match="'moon' is not in the table"):
        machine.load(state)


def test_a_halt_survives_a_restart() -> None:
    desk, later = Desk(), Desk()
    desk.at(0, reasons.DRAWDOWN)
    later.machine.load(json.loads(json.dumps(desk.machine.save())))
    assert later.machine.state is HALTED
    assert later.at(1e6) is HALTED


cycles = st.lists(st.tuples(st.floats(0.1, 5_000), st.lists(st.sampled_from(NAMES), max_size=3)), max_size=40)


@given(cycles, st.sampled_from(["session_loss", "drawdown", "liquidation_distance"]))
def test_a_halted_machine_never_leaves_without_a_person(
    cycles: list[tuple[float, list[str]]], why: str
) -> None:
    desk, now = Desk(), 0.0
    desk.at(0, why)
    for elapsed, holding in cycles:
        now += elapsed
        assert desk.at(now, *holding) is HALTED
        assert desk.machine.act is Act.FLATTEN
        saved = json.loads(json.dumps(desk.machine.save()))
        desk = Desk()
        desk.machine.load(saved)


@given(cycles)
def test_a_restart_changes_nothing(cycles: list[tuple[float, list[str]]]) -> None:
    desk, twin, now = Desk(), Desk(), 0.0
    for elapsed, holding in cycles:
        now += elapsed
        saved = json.loads(json.dumps(twin.machine.save()))
        twin = Desk()
        twin.machine.load(saved)
        assert twin.at(now, *holding) is desk.at(now, *holding)
        assert twin.machine.reasons == desk.machine.reasons
