"""The risk engine in a run: what it stops, what it closes, how each stop ends, and that it leaves a calm market alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.events import AccountState

from amm500_nautilus import topics
from amm500_nautilus.orders import RISK_LEVEL
from amm500_nautilus.quoting.config import LadderConfig
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.config import RebalanceConfig
from amm500_nautilus.risk.budget import BudgetConfig
from amm500_nautilus.risk.config import BreakerConfig
from amm500_nautilus.risk.config import LevelConfig
from amm500_nautilus.risk.config import LeverageConfig
from amm500_nautilus.risk.config import LimitConfig
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.config import StopConfig
from amm500_nautilus.risk.config import SwitchConfig
from amm500_nautilus.risk.types import RiskDecision
from amm500_nautilus.simulation.latency import LatencyConfig
from tests.simulation.market import depth
from tests.simulation.market import quote
from tests.strategy.scene import IID
from tests.strategy.scene import Probe
from tests.strategy.scene import Scene
from tests.strategy.scene import book
from tests.strategy.scene import ns
from tests.strategy.scene import play
from tests.strategy.scene import seconds
from tests.strategy.scene import still
from tests.strategy.scene import sweep


BUY, SELL = 1, -1
FAR_BELOW, FAR_ABOVE, HUGE = 68_000, 70_000, 1_000_000
DAY = 86_400.0
# a side of half the exposure limit: 5,000 of equity 1,000 at leverage 10, and no rebalancing that would work it off
LARGE = QuotingConfig(
    ladder=LadderConfig(size_fraction=0.5),
    rebalance=RebalanceConfig(threshold=5.0, stop=1.0, one_sided=9.0, one_sided_stop=8.0),
)
NO_STOPS = StopConfig(stop_loss=0.0, hard_stop=0.0, auto_reduce_loss=0.0)


def only(*, switches: SwitchConfig | None = None, **sections: Any) -> RiskConfig:
    """The risk engine with nothing that could fire but what a test sets."""
    base: dict[str, Any] = {
        "switches": switches or switch(),
        "stops": NO_STOPS,
        "levels": LevelConfig(volatility_threshold=1_000.0),
        "leverage": LeverageConfig(enabled=False),
        "breakers": BreakerConfig(velocity_widen=50.0, velocity_pause=100.0),
    }
    return RiskConfig(**(base | sections))


def switch(**values: Any) -> SwitchConfig:
    """Switches that never fire, but for those given."""
    off: dict[str, Any] = {"drawdown": 1.0, "session_loss": 1e9, "implausible_equity": 1.0}
    return SwitchConfig(**(off | values))


class Told:
    """What the account reports, less what a test lets it lose; told as funding paid, so that the loss is explained."""

    def __init__(self, maker: Probe, lost: float) -> None:
        self._hear = maker._on_account_state
        self._lost = lost
        self._last: Any = None
        self._sent: Any = None
        maker._on_account_state = self.report

    def report(self, event: AccountState) -> None:
        if self._sent is None or event is not self._last:
            self._last = event
            self._sent = self._less(event)
        self._hear(self._sent)

    def _less(self, event: AccountState) -> AccountState:
        info = dict(event.info)
        equity = float(info.get("equity", event.balances[0].total))
        info |= {"equity": equity - self._lost, "funding": float(info.get("funding", 0)) - self._lost}
        return AccountState(
            event.account_id,
            event.account_type,
            event.base_currency,
            True,
            event.balances,
            event.margins,
            info,
            UUID4(),
            event.ts_event,
            event.ts_init,
        )

    def lose(self, amount: float) -> None:
        """Have lost this much since the start."""
        self._lost, self._sent = amount, None
        self.report(self._last)


def lose(amount: float) -> Callable[[Any], None]:
    return lambda maker: maker.told.lose(amount)


def run(data: list[Any], steps: Any = (), *, saved: Any = None, lost: float = 0.0, **settings: Any) -> Scene:
    """Play a scene with the account in the test's hand and everything that the risk engine says kept."""

    def watch(maker: Any) -> None:
        maker.told = Told(maker, lost)
        maker.said = []
        maker.msgbus.subscribe(topic=topics.RISK, handler=maker.said.append)
        if saved is not None:
            maker.load(saved)

    settings.setdefault("purge_after_ms", 10_000_000)
    return play(data, steps, before=watch, **settings)


def said(scene: Scene, subject: str) -> list[RiskDecision]:
    return [decision for decision in scene.maker.said if decision.subject == subject]


def states(scene: Scene) -> list[str]:
    """The states in their order."""
    return [decision.reason for decision in said(scene, "state")]


def raised(scene: Scene) -> list[str]:
    """The reasons in the order in which they began."""
    return [decision.reason for decision in said(scene, "reason") if not decision.approved]


def of_risk(scene: Scene) -> list[Any]:
    """The orders that the risk engine sent, oldest first."""
    orders = [
        order
        for order in scene.maker.cache.orders(instrument_id=IID)
        if order.tags and f"L{RISK_LEVEL}" in order.tags
    ]
    return sorted(orders, key=lambda order: order.ts_init)


def sent_at(order: Any) -> float:
    return seconds(order.ts_init)


def long_at_ten(until: float, bid: int = 69_000) -> list[Any]:
    """A still market in which our bids are filled at 10.2; from 20 on it stands at ``bid``."""
    return [*still(20), sweep(10.2, FAR_BELOW, HUGE, SELL), *still(until, bid=bid, start=20)]


def sides(maker: Probe) -> set[int]:
    return {side for side, _, _ in maker.resting()}


# -- margin ------------------------------------------------------------------------------------------------------------


def test_quoting_only_reduces_from_a_margin_ratio_of_90_percent_until_it_is_below_85() -> None:
    seen: dict[float, set[int]] = {}
    looks = [(at, lambda maker, at=at: seen.update({at: sides(maker)})) for at in (14.5, 19.5, 24.5, 29.5)]
    # a position of 5,000 at leverage 10 asks for 500: 92.6 % of 540, 87.7 % of 570, 62.5 % of 800
    steps = [*looks, (15.2, lose(460)), (20.2, lose(430)), (25.2, lose(200))]
    scene = run(long_at_ten(30), steps, quoting=LARGE, risk=only())
    assert seen == {14.5: {BUY, SELL}, 19.5: {SELL}, 24.5: {SELL}, 29.5: {BUY, SELL}}
    assert states(scene) == ["RUNNING", "REDUCE_ONLY", "RUNNING"]
    assert raised(scene) == ["margin_ratio"]
    assert scene.at(18).reasons == ("reduce_only",)
    # nothing that adds is sent in between, and nothing is taken: the position is left to the quotes
    sent = [order for order in scene.maker.cache.orders(instrument_id=IID) if 16 <= sent_at(order) < 25.9]
    assert {order.is_buy for order in sent} <= {False}
    assert of_risk(scene) == []


def test_equity_is_the_ledgers_at_every_moment_of_a_fall() -> None:
    # from 20 on the touch falls by 20 ticks each half second, and our orders follow it
    data = [*still(20), sweep(10.2, FAR_BELOW, HUGE, SELL)]
    for half in range(18):
        data += book(20 + half / 2, 69_000 - 20 * half)
    seen: list[tuple[float, float]] = []

    def look(maker: Probe) -> None:
        mid = (maker.engine.book.bid_ticks + maker.engine.book.ask_ticks) / 2
        worth = maker.inventory.lots * mid * 1e-5
        seen.append((maker.guard.echo.equity(worth), float(maker.venue.ledger.equity)))

    steps = [(20.2 + fifth / 5, look) for fifth in range(40)]
    scene = run(data, steps, quoting=LARGE, risk=only(limits=LimitConfig(max_notional=5_001.0)))
    assert scene.sent("modify", 21)
    # some 7,200 lots lose 0.40 each second
    assert seen[0][1] - seen[-1][1] > 15
    for ours, theirs in seen:
        assert ours == pytest.approx(theirs, abs=0.001)


# -- halts -------------------------------------------------------------------------------------------------------------


def assert_flat_and_halted(scene: Scene, reason: str, at: float) -> None:
    """One reduce-only order took the position off in the second that the reason came up, and nothing was sent since."""
    assert raised(scene)[0] == reason
    assert states(scene)[-1] == "HALTED"
    order = of_risk(scene)[0]
    assert (order.is_reduce_only, order.time_in_force, sent_at(order)) == (True, TimeInForce.IOC, at)
    assert scene.maker.inventory.lots == 0
    assert float(scene.venue.ledger.position) == 0
    assert not scene.sent("place", at + 1)
    assert scene.maker.resting() == []


def test_a_position_too_near_to_liquidation_is_flattened_and_the_state_halts() -> None:
    # 5,000 with a maintenance of 100: (240 - 100) / 5,000 / 0.98 = 2.9 %, under 3 %; margin alone would only reduce
    near = run(long_at_ten(30), [(15.2, lose(760))], quoting=LARGE, risk=only())
    assert_flat_and_halted(near, "liquidation_distance", 16.0)
    # 3.3 % at 260
    far = run(long_at_ten(20), [(15.2, lose(735))], quoting=LARGE, risk=only())
    assert raised(far) == ["margin_ratio"]
    assert far.maker.inventory.lots > 0


@pytest.mark.parametrize(
    ("reason", "values", "harmless", "harmful"),
    [
        # 7,246 lots of 0.001 bought 0.53 under the mid of 690.005: 3.00 less costs 18, 9.00 less 61
        pytest.param("drawdown", {"drawdown": 0.05}, 68_700, 68_100, id="drawdown over 5 % of the start"),
        pytest.param(
            "session_loss", {"session_loss": 50.0}, 68_700, 68_100, id="session loss over its limit"
        ),
    ],
)
def test_a_fall_of_the_market_that_costs_too_much_flattens_and_halts(
    reason: str, values: dict[str, float], harmless: int, harmful: int
) -> None:
    # no more than the first fill: the fall would add to it
    most = LimitConfig(max_notional=5_001.0)
    risk = only(switches=switch(session_loss_share=0.0, **values), limits=most)
    calm = run(long_at_ten(30, bid=harmless), quoting=LARGE, risk=risk)
    assert states(calm) == ["RUNNING"]
    assert calm.maker.inventory.lots > 0
    scene = run(long_at_ten(40, bid=harmful), quoting=LARGE, risk=risk)
    assert_flat_and_halted(scene, reason, 20.0)
    assert float(scene.venue.ledger.equity) < 950


def test_a_halt_survives_a_restart_and_ends_by_resume_alone() -> None:
    first = run(long_at_ten(30), [(15.2, lose(760))], quoting=LARGE, risk=only())
    saved = first.maker.save()
    # the account has what was left, and no position: nothing of what halted holds any more
    again = run(still(60), saved=saved, lost=760.0, quoting=LARGE, risk=only())
    assert again.maker.commands == []
    assert again.at(50).reasons == ("liquidation_distance",)
    assert states(again) == ["HALTED"]

    def resume(maker: Probe) -> None:
        maker.guard.engine.resume(maker.clock.timestamp_ns(), "a person")

    resumed = run(still(60), [(20.5, resume)], saved=saved, lost=760.0, quoting=LARGE, risk=only())
    assert resumed.sent("place")[0] == 21.0
    assert resumed.at(50).state == "quoting"
    assert states(resumed) == ["HALTED", "RUNNING"]


def test_a_loss_that_halted_is_counted_from_the_resume_on() -> None:
    def resume(maker: Probe) -> None:
        maker.guard.engine.resume(maker.clock.timestamp_ns(), "a person")

    risk = only(switches=switch(session_loss=100.0))
    steps = [(5.2, lose(110)), (10.2, resume), (20.2, lose(200)), (30.2, lose(215))]
    scene = run(still(40), steps, risk=risk)
    assert states(scene) == ["RUNNING", "HALTED", "RUNNING", "HALTED"]
    # 90 more than at the resume are borne, 105 are not
    at = [seconds(decision.ts_ns) for decision in said(scene, "state")]
    assert at == [1.0, 6.0, 11.0, 31.0]


# -- pauses ------------------------------------------------------------------------------------------------------------


def test_a_losing_streak_pauses_for_fifteen_minutes() -> None:
    # a sale 3.00 under the purchase before it, a purchase 3.00 over the sale before it, and so on: 200 lose 0.9 each
    data: list[Any] = []
    for start in (0, 20, 40):
        data += [*still(start + 10, start=start), *still(start + 20, bid=68_700, start=start + 10)]
        data += [sweep(start + 5.2, 68_500, HUGE, SELL), sweep(start + 15.2, 69_200, HUGE, BUY)]
    data += still(1_000, bid=68_700, start=60)
    streak = switch(streak=3, streak_loss=0.001)
    scene = run(data, risk=only(switches=streak))
    assert raised(scene) == ["losing_streak"]
    began, ended = [seconds(decision.ts_ns) for decision in said(scene, "reason")]
    assert 30 < began < 60
    assert ended - began == 900
    assert not scene.sent("place", began, ended)
    assert scene.at(500).reasons == ("losing_streak",)
    assert scene.at(500).n_bids == scene.at(500).n_asks == 0
    assert scene.at(999).state == "quoting"


def test_rejections_widen_the_spread_and_then_pause_it() -> None:
    # orders sent around 69,000.5 arrive when the market has fallen through them
    falls = [*still(1.2), *still(3.2, bid=68_940, start=1.2), *still(90, bid=68_880, start=3.2)]
    slow = LatencyConfig(kind="constant", p50_ms=400.0)
    several = BreakerConfig(
        rejections_widen=4, rejections_pause=1_000, velocity_widen=50.0, velocity_pause=100.0
    )
    wide = run(falls, risk=only(breakers=several), latency=slow)
    refused = len(wide.maker.of("OrderRejected")) + len(wide.maker.of("OrderModifyRejected"))
    assert refused >= 4
    assert [decision.reason for decision in said(wide, "spread")] == ["rejections widens"]
    # half as wide again for the minute in which they count, and then no longer
    assert (wide.at(30).factors["risk_level"], wide.at(80).factors["risk_level"]) == (1.5, 1.0)
    assert states(wide) == ["RUNNING"]

    many = BreakerConfig(rejections_widen=2, rejections_pause=4, velocity_widen=50.0, velocity_pause=100.0)
    paused = run(falls, risk=only(breakers=many), latency=slow)
    assert raised(paused) == ["rejections"]
    began, ended = [seconds(decision.ts_ns) for decision in said(paused, "reason")]
    assert ended - began == 60
    assert not paused.sent("place", began, ended)
    assert paused.at(began + 30).reasons == ("rejections",)
    assert paused.at(89).state == "quoting"


# -- reductions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "stops", "bid", "lots"),
    [
        # 1,449 lots bought 0.53 under the mid of 690.005
        pytest.param(
            "stop_loss", {"stop_loss": 0.005}, 68_560, 1_449, id="0.56 % under the entry: all of it"
        ),
        pytest.param("stop_loss", {"stop_loss": 0.005}, 68_700, 0, id="0.36 % under the entry: nothing"),
        # 1,449 lots are worth 999.8; a lot 0.69: what exceeds 800.6 of 1,000.8 are 289 lots
        pytest.param(
            "hard_stop", {"hard_stop": 0.8}, 69_000, 289, id="a fifth over 0.8 times equity: the excess"
        ),
        pytest.param("hard_stop", {"hard_stop": 1.0}, 69_000, 0, id="under one times equity: nothing"),
        # 290 of 1,449 lots, rounded up
        pytest.param(
            "auto_reduce", {"auto_reduce_loss": 0.005}, 68_560, 290, id="0.55 % of equity lost: a fifth"
        ),
        pytest.param(
            "auto_reduce", {"auto_reduce_loss": 0.006}, 68_560, 0, id="less than 0.6 % lost: nothing"
        ),
    ],
)
def test_a_stop_sends_one_reduce_only_order_that_takes(
    reason: str, stops: dict[str, float], bid: int, lots: int
) -> None:
    off = {"stop_loss": 0.0, "hard_stop": 0.0, "auto_reduce_loss": 0.0}
    # no more than the first fill: the fall would add to it
    risk = only(stops=StopConfig(**(off | stops)), limits=LimitConfig(max_notional=1_001.0))
    tenth = replace(LARGE, ladder=LadderConfig(size_fraction=0.1))
    held: list[int] = []
    first_look = [(10.5, lambda maker: held.append(maker.inventory.lots))]
    scene = run(long_at_ten(40, bid=bid), first_look, quoting=tenth, risk=risk)
    assert held == [1_449]
    assert [decision.reason for decision in said(scene, "reduce")] == ([reason] if lots else [])
    assert [
        (order.side, order.quantity.raw // scene.maker._lot_raw, order.time_in_force, order.is_reduce_only)
        for order in of_risk(scene)
    ] == ([(OrderSide.SELL, lots, TimeInForce.IOC, True)] if lots else [])
    assert scene.maker.inventory.lots == 1_449 - lots
    assert states(scene) == ["RUNNING"]


def test_a_flatten_takes_then_rests_at_the_touch_then_takes_from_further_away() -> None:
    def thin(second: float) -> list[Any]:
        # five lots at the touch, the rest 100 ticks (14.5 bp) under it: beyond the first reach of 10, within the second of 50
        ts = ns(second)
        bids, asks = [(69_000, 5), (68_900, 4_000)], [(69_001, 2_000)]
        return [quote(IID, ts, 69_000, 5, 69_001, 2_000), depth(IID, ts, bids, asks)]

    data = [*still(15), sweep(10.2, FAR_BELOW, HUGE, SELL)]
    for half in range(60):
        data += thin(15 + half / 2)
    loss = only(switches=switch(session_loss=100.0))
    scene = run(data, [(16.2, lose(150))], risk=loss)
    orders = of_risk(scene)
    kinds = [(sent_at(order), order.time_in_force, order.is_post_only) for order in orders]
    assert kinds == [
        (17.0, TimeInForce.IOC, False),
        (19.0, TimeInForce.GTC, True),
        (24.0, TimeInForce.IOC, False),
    ]
    assert all(order.is_reduce_only and not order.is_buy for order in orders)
    ticks = [order.price.raw // scene.maker._tick_raw for order in orders]
    # ceil(69,000 * 10 bp) = 69 and ceil(69,000 * 50 bp) = 345 through the bid, the offer between them
    assert ticks == [69_000 - 69, 69_001, 69_000 - 345]
    assert scene.maker.inventory.lots == 0
    assert scene.maker.resting() == []
    assert states(scene)[-1] == "HALTED"


def test_a_market_that_cannot_be_seen_is_never_sold_into() -> None:
    # no message from 15 to 30; the loss is heard of at 18
    data = [*still(15), sweep(10.2, FAR_BELOW, HUGE, SELL), *still(40, start=30)]
    loss = only(switches=switch(session_loss=100.0))
    held: list[int] = []
    scene = run(data, [(18.2, lose(150)), (29.9, lambda maker: held.append(maker.inventory.lots))], risk=loss)
    assert raised(scene)[:2] == ["book_stale", "session_loss"]
    assert seconds(said(scene, "reason")[1].ts_ns) == 19.0
    assert held[0] > 0
    [order] = of_risk(scene)
    assert 30.0 <= sent_at(order) <= 31.0
    assert scene.maker.inventory.lots == 0


# -- sessions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "ends"),
    [
        pytest.param("run", "HALTED", id="a run: 80 and 80 are 160"),
        pytest.param("day", "RUNNING", id="a day: 80 on each of two days"),
    ],
)
def test_a_session_of_a_day_begins_anew_at_midnight(session: str, ends: str) -> None:
    data = still(DAY + 30, start=DAY - 30)
    steps = [(DAY - 20.8, lose(80)), (DAY + 10.2, lose(160))]
    scene = run(data, steps, risk=only(switches=switch(session_loss=100.0)), risk_session=session)
    assert states(scene)[-1] == ends


def test_midnight_does_not_end_a_halt() -> None:
    data = still(DAY + 30, start=DAY - 30)
    loss = only(switches=switch(session_loss=100.0))
    scene = run(data, [(DAY - 20.8, lose(120))], risk=loss, risk_session="day")
    assert states(scene) == ["RUNNING", "HALTED"]
    assert not scene.sent("place", DAY - 19)


# -- and otherwise -----------------------------------------------------------------------------------------------------


def test_with_nothing_to_fire_the_risk_engine_changes_no_command() -> None:
    # moves, a fill on either side, and quiet in between; volatility low enough for the level LOW
    data: list[Any] = []
    for step in range(12):
        data += still(step * 10 + 10, bid=69_000 + (step % 3) * 12, start=step * 10)
    data += [sweep(25.2, 68_980, 40, SELL), sweep(55.2, 69_060, 40, BUY)]

    def commands(risk: RiskConfig) -> tuple[list[Any], list[Any], Scene]:
        scene = run(data, risk=risk)
        orders = scene.maker.cache.orders(instrument_id=IID)
        terms = [(sent_at(o), o.is_buy, o.price, o.quantity, o.is_reduce_only) for o in orders]
        return [(at, kind) for at, kind, _ in scene.maker.commands], sorted(terms), scene

    on, on_terms, enabled = commands(RiskConfig())
    off, off_terms, disabled = commands(RiskConfig(enabled=False))
    assert on == off
    assert on_terms == off_terms
    assert len(on) > 40
    assert enabled.maker.of("OrderFilled")
    assert disabled.maker.said == []
    assert {decision.subject for decision in enabled.maker.said} == {"state"}


def test_a_book_that_has_come_but_was_not_read_yet_is_not_stale() -> None:
    # depth alone, every 1.5 s: never older than the 2 s that pause
    data = [book(0.4 + 1.5 * step, 69_000)[1] for step in range(40)]
    scene = run(data, risk=RiskConfig())
    assert scene.at(50).n_bids > 0
    assert "book_stale" not in raised(scene)


def test_what_only_reduces_offers_no_more_than_there_is() -> None:
    resting: list[tuple[int, int, int]] = []
    # margin of 400 on 4,000 at leverage 10 is over 90 % of what is left
    steps = [(15.2, lose(560)), (29.5, lambda maker: resting.extend(maker.resting()))]
    scene = run(long_at_ten(30), steps, quoting=LARGE, risk=only())
    assert "margin_ratio" in raised(scene)
    assert {side for side, _, _ in resting} == {SELL}
    assert sum(lots for _, _, lots in resting) <= scene.maker.inventory.lots


def test_actions_are_bought_when_they_run_low_and_only_up_to_the_cap() -> None:
    # a cap of 0.05 USDC buys 100 in all, 40 at once and then 20
    budget = BudgetConfig(
        initial_actions=60, burst=60, buy_weight=True, buy_spend_cap=0.05, buy_batch=40, buy_below=1_000
    )
    scene = run(still(40), risk=only(), budget=budget)
    assert scene.maker.budget.bought == 100
    assert scene.venue.ledger.weight_nano == 50_000_000  # 100 x 0.0005 USDC
