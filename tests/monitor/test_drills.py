"""Reasons that a person sets off: by command, or as a drill, they act and end as if they were so."""

import json

import pytest

from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.reasons import reason_table
from amm500_nautilus.risk.types import Act
from amm500_nautilus.risk.types import RiskState
from tests.monitor.scene import SceneDesk


RULES = reason_table(RiskConfig())


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_every_reason_can_be_drilled_acts_as_its_row_and_ends_by_its_own_rule(rule) -> None:
    desk = SceneDesk()
    desk.drill(rule.name)
    while rule.name not in desk.engine.machine.reasons:
        desk.step()
        assert desk.seconds < rule.hold_secs + 5
    assert desk.engine.machine.state is rule.state
    assert desk.engine.machine.act is rule.act
    raised = next(item for item in desk.said if item.subject == "reason" and item.reason == rule.name)
    assert raised.numbers["drill"] == 1.0
    # not gone at once: whoever drills must see it act
    for _ in range(8):
        desk.step()
    assert rule.name in desk.engine.machine.reasons
    for _ in range(int(max(rule.least_secs, rule.clear_secs) + rule.hold_secs + 15)):
        desk.step()
    assert (rule.name in desk.engine.machine.reasons) is rule.latched
    if rule.latched:
        assert desk.resume("a person") == (rule.name,)
        desk.step()
    assert desk.engine.machine.state is RiskState.RUNNING
    # what is over leaves nothing behind
    assert json.loads(json.dumps(desk.engine.save()))["drills"] == {}


def test_a_drill_survives_a_restart_and_then_ends_by_itself() -> None:
    desk = SceneDesk()
    desk.drill("margin_ratio")
    desk.step()
    again = SceneDesk()
    again.seconds = desk.seconds
    again.engine.load(json.loads(json.dumps(desk.engine.save())))
    again.step()
    assert again.engine.machine.reasons == ("margin_ratio",)
    for _ in range(15):
        again.step()
    assert again.engine.machine.reasons == ()


def test_a_condition_that_is_really_so_outlasts_its_drill() -> None:
    desk = SceneDesk()
    desk.drill("margin_ratio")
    desk.changes = {"margin_ratio": 0.95}
    for _ in range(30):
        desk.step()
    assert desk.engine.machine.reasons == ("margin_ratio",)
    desk.changes = {}
    desk.step()
    assert desk.engine.machine.reasons == ()


def test_a_demand_acts_with_the_next_look_and_once() -> None:
    desk = SceneDesk()
    desk.demand("operator_flatten")
    assert desk.engine.machine.reasons == ()
    desk.step()
    assert (desk.engine.machine.state, desk.engine.machine.act) == (RiskState.HALTED, Act.FLATTEN)
    assert desk.resume("a person") == ("operator_flatten",)
    desk.step()
    assert desk.engine.machine.state is RiskState.RUNNING


def test_a_reason_that_is_not_in_the_table_is_refused() -> None:
    desk = SceneDesk()
    with pytest.raises(ValueError, match="'moon' is not in the table; it must be one of session_loss"):
        desk.demand("moon")
    with pytest.raises(ValueError, match="'moon' is not in the table"):
        desk.drill("moon")
