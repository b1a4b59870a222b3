"""The strategy's side of the risk engine: what it is shown, what it may send, what is said, and what survives a restart."""

import json
from collections.abc import Callable

import pytest

from amm500_nautilus.guard import AccountEcho
from amm500_nautilus.orders import RISK_LEVEL
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import RiskLimits
from amm500_nautilus.risk.config import LeverageConfig
from amm500_nautilus.risk.config import LimitConfig
from amm500_nautilus.risk.config import StopConfig
from amm500_nautilus.risk.config import SwitchConfig
from amm500_nautilus.risk.types import RiskState
from tests.strategy.desk import BUY
from tests.strategy.desk import MID
from tests.strategy.desk import SECOND
from tests.strategy.desk import SELL
from tests.strategy.desk import T0
from tests.strategy.desk import Desk
from tests.strategy.desk import running


# -- the account between two reports -------------------------------------------------------------------------------------


def test_an_echo_adds_what_fills_and_the_price_have_done_since_the_report() -> None:
    echo = AccountEcho()
    echo.on_report(1_000.0, 500.0)
    # the position has gained 20; then 100 more were bought for 100 and a fee of 0.1
    assert echo.equity(520.0) == 1_020.0
    echo.on_fill(-100.1)
    assert echo.equity(620.0) == pytest.approx(1_019.9)
    echo.on_report(1_015.0, 620.0)
    assert echo.equity(620.0) == 1_015.0


def test_equity_follows_the_mid_and_our_fills_between_two_reports() -> None:
    desk = running()
    # 10,000 lots of 0.001 bought a tick under the mid of 100.00, for 999.90 and a fee of 0.03
    desk.fill(1.5, BUY, 10_000, 9_999, fee=0.03)
    desk.judge(2.0)
    assert desk.equity() == pytest.approx(1_000 + 10 * 0.01 - 0.03)
    desk.quotes.move(9_950)
    desk.judge(3.0)
    # half a unit less on ten contracts
    assert desk.equity() == pytest.approx(1_000.07 - 5.0)
    # the report says the same, and nothing moves until the price does
    desk.report(995.07)
    desk.judge(4.0)
    assert desk.equity() == pytest.approx(995.07)
    desk.quotes.move(9_960)
    desk.judge(5.0)
    assert desk.equity() == pytest.approx(996.07)


def test_the_rebalancer_may_take_what_the_hour_leaves() -> None:
    desk = running()
    # 9,500 lots made at 100.00: 5 % of what is traded then is 500
    desk.fill(1.5, BUY, 9_500, MID)
    desk.judge(2.0)
    assert desk.quotes.may_take == []  # nothing is being brought back
    desk.quotes.is_rebalancing = True
    desk.judge(3.0)
    # an hour later what was made is forgotten, and with it what may be taken
    desk.judge(3_700.0)
    assert desk.quotes.may_take == [500, 0]


def test_a_report_that_the_engine_hands_out_again_hides_nothing() -> None:
    desk = running()
    info = {"equity": 1_000.0}
    desk.fill(1.5, BUY, 10_000, MID)
    desk.guard.on_account(info, 1_000.0, desk.lots)
    desk.quotes.move(9_900)
    desk.judge(2.0)
    assert desk.equity() == pytest.approx(990.0)
    # the event of an order brings the last report once more
    desk.guard.on_account(info, 1_000.0, desk.lots)
    desk.judge(3.0)
    assert desk.equity() == pytest.approx(990.0)


def test_a_report_before_any_price_is_valued_at_the_first() -> None:
    # a restart with 5,000 lots at 100.00: 500 that equity of 1,000 already holds
    desk = Desk()
    desk.lots = 5_000
    desk.report(1_000.0)
    desk.judge(1.0)
    assert desk.equity() == pytest.approx(1_000.0)
    desk.quotes.move(9_900)
    desk.judge(2.0)
    assert desk.equity() == pytest.approx(995.0)


def test_a_position_that_a_restart_finds_is_worth_its_mark_until_the_first_book() -> None:
    # 5,000 lots at 100.00: without a price they would be a loss of half of the account, and a halt
    desk = Desk(switches=SwitchConfig(drawdown=0.05, session_loss=50.0))
    desk.lots = 5_000
    desk.quotes.touch = None
    desk.report(1_000.0, mark_price="100.00")
    assert "drawdown" not in desk.judge(1.0).reasons
    assert desk.equity() == pytest.approx(1_000.0)
    desk.quotes.move(9_900)
    assert "drawdown" not in desk.judge(2.0).reasons
    assert desk.equity() == pytest.approx(995.0)


@pytest.mark.parametrize("info", [{}, {"equity": "1000", "mark_price": "100.00"}])
def test_before_the_first_book_no_equity_is_made_up(info: dict[str, str]) -> None:
    # a short position of fifty contracts at 100.00, which nothing values yet, is worth neither 5,000 more nor less
    desk = Desk(switches=SwitchConfig(drawdown=0.05, session_loss=50.0))
    desk.quotes.touch = None
    desk.lots, desk.entry = -5_000, float(MID)
    desk.guard.on_account(info, 1_000.0, -5_000)
    desk.judge(1.0)
    assert desk.guard.engine.session.figures.peak == pytest.approx(1_000.0)
    desk.lots = 0
    desk.judge(2.0)
    assert desk.guard.engine.session.figures.peak == pytest.approx(1_000.0)


def test_a_report_with_its_own_mark_is_not_taken_for_implausible_when_the_mid_is_still_the_old_one() -> None:
    desk = running(switches=SwitchConfig(drawdown=1.0, session_loss=1e9))
    desk.fill(1.5, BUY, 50_000, MID)
    desk.report(1_000.0, mark_price="100.00")
    desk.judge(2.0)
    # the venue has seen 98.00 before we have: 100 of 1,000 lost on fifty contracts
    desk.report(900.0, mark_price="98.00")
    desk.quotes.move(9_800)
    assert desk.judge(3.0).reasons == ()
    assert desk.equity() == pytest.approx(900.0)
    # a loss that no price explains is noticed
    desk.report(800.0, mark_price="98.00")
    assert desk.judge(4.0).reasons == ("implausible_equity",)


def test_a_balance_without_unrealized_profit_is_completed() -> None:
    desk = Desk(switches=SwitchConfig(drawdown=0.05, session_loss=1e9))
    desk.guard.on_account({}, 1_000.0, 0)
    desk.judge(1.0)
    desk.fill(1.5, BUY, 50_000, MID, fee=0.5)
    # the engine's own account: less the fee, whatever the price
    desk.guard.on_account({}, 999.5, desk.lots)
    desk.quotes.move(9_910)
    assert desk.judge(2.0).state is RiskState.RUNNING
    assert desk.equity() == pytest.approx(999.5 - 45.0)
    desk.guard.on_account({}, 999.5, desk.lots)
    desk.quotes.move(9_890)
    assert desk.judge(3.0).reasons == ("drawdown",)
    assert desk.equity() == pytest.approx(999.5 - 55.0)


def test_transfers_are_no_profit_and_funding_explains_itself() -> None:
    desk = running(switches=SwitchConfig(drawdown=0.05))
    desk.report(1_500.0, net_transfers="500")
    verdict = desk.judge(2.0)
    assert (verdict.state, verdict.reasons) == (RiskState.RUNNING, ())
    # 400 of the 500 leave again: no drawdown
    desk.report(1_100.0, net_transfers="100")
    assert desk.judge(3.0).reasons == ()
    # 40 of funding are explained but lost: 4 % of the start are under the limit of drawdown, 6 % are over
    desk.report(1_060.0, net_transfers="100", funding="-40")
    assert desk.judge(4.0).reasons == ()
    desk.report(1_040.0, net_transfers="100", funding="-60")
    assert desk.judge(5.0).reasons == ("drawdown",)


# -- orders ----------------------------------------------------------------------------------------------------------------


def test_a_modify_in_flight_counts_with_the_larger_of_its_two_sizes() -> None:
    # 8,000 may be held: 80 % of equity 1,000 at 10x
    desk = running()
    slot = desk.rest(BUY, 70_000)
    slot.mark_pending(T0)
    slot.next_lots, slot.next_ticks = 40_000, MID
    desk.judge(2.0)
    # smaller on its way: 7,000 may still fill, so that 1,000 are left (a lot less, for the last digit of a float)
    assert not desk.allows(2.0, BUY, 10_001)
    assert desk.allows(2.0, BUY, 9_999)
    # larger on its way: 7,500 may fill already
    slot.next_lots = 75_000
    desk.judge(3.0)
    assert not desk.allows(3.0, BUY, 5_001)
    assert desk.allows(3.0, BUY, 4_999)
    # answered: what rests is what counts
    slot.resting.lots = 40_000
    slot.settle(T0)
    desk.judge(4.0)
    assert not desk.allows(4.0, BUY, 40_001)
    assert desk.allows(4.0, BUY, 39_999)


def test_orders_of_one_cycle_add_up() -> None:
    desk = running()
    desk.judge(2.0)
    assert desk.allows(2.0, BUY, 50_000)
    assert not desk.allows(2.0, BUY, 30_001)
    # the other side is another worst case
    assert desk.allows(2.0, SELL, 79_999)
    assert desk.allows(2.0, BUY, 29_999)
    # what was allowed but is not known to rest is gone with the next count
    desk.judge(3.0)
    assert desk.allows(3.0, BUY, 79_999)


def test_a_modify_is_judged_without_what_it_replaces() -> None:
    desk = running()
    desk.rest(BUY, 80_000)
    desk.judge(2.0)
    assert not desk.allows(2.0, BUY, 1_000)
    assert desk.allows(2.0, BUY, 80_000, 9_990, old_lots=80_000, old_ticks=MID)
    assert not desk.allows(2.0, BUY, 80_100, MID, old_lots=80_000, old_ticks=MID)


def test_what_only_reduces_is_allowed_whatever_the_state() -> None:
    desk = running()
    desk.fill(1.5, BUY, 50_000, MID)
    desk.guard.engine.machine.update(T0, [("second_trader", {})], lambda _name: False)
    assert desk.judge(2.0).state is RiskState.PAUSED
    assert not desk.allows(2.0, BUY, 100)
    assert desk.allows(2.0, SELL, 50_000)
    assert desk.allows(2.0, SELL, 50_000, reduce_only=True)


def test_a_disabled_guard_allows_everything_and_says_nothing() -> None:
    desk = Desk(enabled=False)
    assert desk.allows(1.0, BUY, 10_000_000)
    assert desk.said == []


# -- what is said --------------------------------------------------------------------------------------------------------


def test_refusals_are_said_once_and_then_at_most_once_a_minute_with_their_number() -> None:
    desk = running()
    for second in range(2, 132):
        desk.judge(second)
        for _ in range(3):
            assert not desk.allows(second, BUY, 100_000)
    refused = desk.of("order")
    assert [(decision.ts_ns - T0) // SECOND for decision in refused] == [2, 62, 122]
    # three a second: one at once, then what is left of sixty seconds and the one that is due, and the same again
    assert [decision.numbers["count"] for decision in refused] == [1, 180, 180]
    assert {decision.reason for decision in refused} == {"margin_ratio"}
    assert refused[0].numbers["worst_notional"] == pytest.approx(10_000)


def test_each_reason_of_a_refusal_has_its_own_minute() -> None:
    desk = running(limits=LimitConfig(max_order_notional=5_000.0))
    desk.judge(2.0)
    assert not desk.allows(2.0, BUY, 60_000)
    assert desk.allows(2.0, BUY, 50_000)
    assert not desk.allows(2.0, BUY, 40_000)
    assert [decision.reason for decision in desk.of("order")] == ["max_notional", "margin_ratio"]


def test_every_change_of_state_is_said_and_nothing_else_of_it() -> None:
    desk = Desk()
    desk.quotes.age = 10.0
    desk.report(1_000.0)
    for second in (1, 2, 3):
        desk.judge(second)
    desk.quotes.age = 0.0
    for second in (4, 5):
        desk.judge(second)
    desk.quotes.age = 5.0
    for second in (6, 7):
        desk.judge(second)
    desk.quotes.age = 0.0
    for second in range(8, 45):
        desk.judge(second)
    said = [
        ((decision.ts_ns - T0) // SECOND, decision.approved, decision.reason) for decision in desk.of("state")
    ]
    # fresh again from 8 on, for thirty seconds
    assert said == [
        (1, False, "STARTING"),
        (4, True, "RUNNING"),
        (6, False, "PAUSED"),
        (38, True, "RUNNING"),
    ]
    assert [decision.reason for decision in desk.of("reason")] == ["book_stale", "book_stale ended"]


# -- what the quotes obey ------------------------------------------------------------------------------------------------


def test_the_quotes_get_one_and_the_same_value_as_long_as_nothing_changes() -> None:
    desk = running()
    desk.judge(2.0)
    desk.judge(3.0)
    first, second, third = desk.quotes.obeyed
    assert first is second is third
    assert first == RiskLimits(level="LOW")


def starting(desk: Desk) -> None:
    desk.guard.engine.machine.is_started = False
    desk.guard.engine.machine._refresh()
    desk.quotes.age = 10.0


def stale(desk: Desk) -> None:
    desk.quotes.age = 3.0


def margin(desk: Desk) -> None:
    # 9,500 at 10x of 1,000
    desk.fill(1.5, BUY, 95_000, MID)


def loss(desk: Desk) -> None:
    desk.report(899.0)


@pytest.mark.parametrize(
    ("happens", "stops", "reduce_only"),
    [
        pytest.param(starting, ("starting",), False, id="starting: nothing rests"),
        pytest.param(stale, ("book_stale",), False, id="a book out of sight: nothing rests"),
        pytest.param(margin, (), True, id="margin of 90 %: only what reduces"),
        pytest.param(loss, ("session_loss",), False, id="a loss: nothing rests"),
    ],
)
def test_a_verdict_becomes_limits_of_the_quotes(
    happens: Callable[[Desk], None], stops: tuple[str, ...], reduce_only: bool
) -> None:
    # a position of 9.5 times equity is near to liquidation too: that switch is not what is asked for here
    desk = running(switches=SwitchConfig(drawdown=1.0, implausible_equity=1.0, liquidation_distance=0.001))
    happens(desk)
    desk.judge(2.0)
    assert desk.quotes.obeyed[-1].stops == stops
    assert desk.quotes.obeyed[-1].reduce_only is reduce_only


# -- orders of the risk engine -------------------------------------------------------------------------------------------


def order_of_risk(desk: Desk, at: float) -> tuple[Place | None, list[str]]:
    return desk.guard.order_of_risk(T0 + round(at * SECOND), desk.quotes, desk.orders, desk.lots)


def test_a_stop_asks_for_one_order_and_waits_while_one_is_on_its_way() -> None:
    desk = running(stops=StopConfig(stop_loss=0.02, hard_stop=0.0, auto_reduce_loss=0.0, cooldown_secs=0.0))
    desk.fill(1.5, BUY, 10_000, MID)
    desk.quotes.move(9_790)
    assert desk.judge(2.0).reduce_reason == "stop_loss"
    place, stale = order_of_risk(desk, 2.0)
    # ten bp through the bid of 9,789 are 9.8 ticks
    assert place == Place(SELL, 9_779, 10_000, RISK_LEVEL, reduce_only=True, ioc=True)
    assert stale == []
    slot = desk.rest(SELL, 10_000, 9_788, level=RISK_LEVEL, reduce_only=True)
    slot.mark_pending(T0)
    desk.judge(3.0)
    assert order_of_risk(desk, 3.0) == (None, [])


def test_an_order_of_the_risk_engine_goes_once_nothing_asks_for_it() -> None:
    desk = running()
    slot = desk.rest(SELL, 10_000, level=RISK_LEVEL, reduce_only=True)
    desk.judge(2.0)
    assert order_of_risk(desk, 2.0) == (None, [slot.resting.key])


def test_no_order_is_asked_for_without_a_touch() -> None:
    desk = running(switches=SwitchConfig(drawdown=1.0, implausible_equity=1.0))
    desk.fill(1.5, BUY, 10_000, MID)
    desk.report(800.0)
    desk.quotes.touch = None
    desk.judge(2.0)
    assert desk.guard.verdict is not None
    assert desk.guard.verdict.state is RiskState.HALTED
    assert order_of_risk(desk, 2.0) == (None, [])


# -- restart -------------------------------------------------------------------------------------------------------------


def test_a_saved_guard_goes_on_where_it_was() -> None:
    switches = SwitchConfig(drawdown=1.0, implausible_equity=1.0)
    desk = running(switches=switches)
    desk.fill(1.5, BUY, 10_000, MID)
    desk.report(890.0)
    assert desk.judge(2.0).state is RiskState.HALTED
    first, _ = order_of_risk(desk, 2.0)
    assert first is not None
    # through the text that a restart keeps
    saved = json.loads(json.dumps(desk.guard.save()))

    again = Desk(switches=switches)
    again.guard.load(saved)
    assert again.guard.save() == desk.guard.save()
    again.lots = desk.lots
    again.report(890.0)
    verdict = again.judge(3.0)
    assert (verdict.state, verdict.reasons) == (RiskState.HALTED, ("session_loss",))
    assert again.quotes.obeyed[-1].stops == ("session_loss",)
    assert not again.allows(3.0, BUY, 100)
    # the first attempt has two seconds: the next is the passive one
    assert order_of_risk(again, 3.0) == (None, [])
    again.judge(4.0)
    second, _ = order_of_risk(again, 4.0)
    assert second == Place(SELL, MID + 1, 10_000, RISK_LEVEL, reduce_only=True, ioc=False)


def test_a_day_goes_on_after_a_restart_within_it() -> None:
    switches = SwitchConfig(drawdown=1.0, implausible_equity=1.0)
    desk = running(switches=switches, daily=True)
    desk.report(930.0)
    assert desk.judge(2.0).state is RiskState.RUNNING
    again = Desk(switches=switches, daily=True)
    again.guard.load(json.loads(json.dumps(desk.guard.save())))
    again.report(930.0)
    again.judge(3.0)
    # 110 less than at the start of the day, though only 40 less than at the restart
    again.report(890.0)
    assert again.judge(4.0).reasons == ("session_loss",)
    # and without the saved state the day begins with the restart
    fresh = Desk(switches=switches, daily=True)
    fresh.report(930.0)
    fresh.judge(3.0)
    fresh.report(890.0)
    assert fresh.judge(4.0).reasons == ()


# -- leverage at the venue ---------------------------------------------------------------------------------------------------


def test_the_venue_is_asked_once_for_each_leverage_that_the_level_allows() -> None:
    desk = running(leverage=LeverageConfig(set_at_venue=True, cooldown_secs=0.0))
    assert desk.guard.leverage_to_ask() is None
    # 1,000 at 10x carries 10,000; a position of 7,000 at a margin ratio of 0.7 is no calm level
    desk.fill(1.5, BUY, 70_000, MID)
    desk.report(1_000.0)
    verdict = desk.judge(2.0)
    assert verdict.leverage < 10.0
    assert desk.guard.leverage_to_ask() == int(verdict.leverage)
    assert desk.guard.leverage_to_ask() is None


def test_by_default_the_venue_s_setting_is_left_alone() -> None:
    desk = running(leverage=LeverageConfig(cooldown_secs=0.0))
    desk.fill(1.5, BUY, 70_000, MID)
    desk.report(1_000.0)
    assert desk.judge(2.0).leverage < 10.0
    assert desk.guard.leverage_to_ask() is None


def test_margin_goes_by_the_leverage_that_the_account_reports() -> None:
    # 4,000 rest on one side: 0.4 of 1,000 at 10x, 0.8 at 5x, one lot more is too much
    for leverage, fits in ((10, True), (5, False)):
        desk = Desk()
        desk.report(1_000.0, leverage=leverage)
        desk.judge(1.0)
        desk.rest(BUY, 40_000)
        desk.judge(2.0)
        assert desk.allows(2.0, BUY, 10) is fits
