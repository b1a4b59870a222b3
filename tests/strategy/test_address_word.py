"""The strategy on an address that was used before, and what it makes of the venue's answer to a purchase."""

from typing import Any

import pytest
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.events import AccountState

from amm500_nautilus import topics
from amm500_nautilus.quoting.config import LadderConfig
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.types import SELL
from amm500_nautilus.risk.budget import BudgetConfig
from tests.strategy.scene import Probe
from tests.strategy.scene import ns
from tests.strategy.scene import play
from tests.strategy.scene import still
from tests.strategy.scene import sweep


def report(maker: Probe, second: float, used: int) -> None:
    """Tell what the account told last once more, with the venue's count of the address."""
    account = maker.cache.account_for_venue(maker.instrument.venue)
    state = AccountState.to_dict(account.last_event)
    info = {
        **account.last_event.info,
        "actions_used": used,
        "actions_limit": 10_000,
        "actions_ns": ns(second),
    }
    state |= {"info": info, "event_id": UUID4().value}
    maker.msgbus.publish(topic=f"events.account.{account.id}", msg=AccountState.from_dict(state))


@pytest.mark.parametrize(("used", "is_quoting"), [(9_990, False), (5_000, True)])
def test_an_address_that_is_used_up_is_not_quoted_with(used: int, *, is_quoting: bool) -> None:
    scene = play(still(20), [(0.2, lambda maker: report(maker, 0.2, used))], budget=BudgetConfig())
    assert scene.maker.budget.used == used + scene.maker.budget.sent
    last = scene.samples[-1]
    assert last.budget_remaining == 10_000 - used - last.actions
    assert bool(scene.sent("place")) == is_quoting


def test_with_a_spent_budget_each_side_gets_one_order_again() -> None:
    # the 20 that are left are the reserve, and nobody trades with us
    scene = play(still(200), budget=BudgetConfig(initial_actions=20, burst=60))
    first, second = scene.sent("place")
    assert second >= first + 60
    assert (scene.samples[-1].n_bids, scene.samples[-1].n_asks, scene.samples[-1].budget_remaining) == (
        1,
        1,
        18,
    )
    assert {reason for sample in scene.samples[200:] for reason in sample.reasons} <= {"budget"}


@pytest.mark.parametrize(
    ("outcome", "bought", "asked"), [("bought", 100, 3), ("refused", 0, 1), ("unknown", 0, 1)]
)
def test_only_what_the_venue_has_sold_counts(outcome: str, bought: int, asked: int) -> None:
    # a cap of 0.05 USDC buys 100 in all, 40 at once and then 20
    budget = BudgetConfig(
        initial_actions=60, burst=60, buy_weight=True, buy_spend_cap=0.05, buy_batch=40, buy_below=1_000
    )
    wanted: list[int] = []

    def sell(maker: Any, count: int) -> None:
        wanted.append(count)
        maker.msgbus.publish(topic=topics.WEIGHT_ANSWER, msg=(count, outcome))

    def replace_seller(maker: Any) -> None:
        for each in maker.msgbus.subscriptions(topics.WEIGHT):
            maker.msgbus.unsubscribe(topic=each.topic, handler=each.handler)
        maker.msgbus.subscribe(topic=topics.WEIGHT, handler=lambda count: sell(maker, count))

    scene = play(still(30), budget=budget, before=replace_seller)
    assert scene.maker.budget.bought == bought
    assert scene.maker.budget.limit == 60 + bought
    assert len(wanted) == asked


def test_a_position_on_a_spent_budget_is_still_worked_off() -> None:
    # two orders of the last half of the reserve; the bid is filled, and then the data stop for 80 s, which takes the ask
    data = [*still(150), sweep(130.2, 68_500, 100_000, SELL), *still(400, start=230)]
    scene = play(
        sorted(data, key=lambda item: item.ts_init),
        before=lambda maker: maker.budget.on_actions(10),
        budget=BudgetConfig(initial_actions=20, burst=60),
        quoting=QuotingConfig(max_exposure=400.0, ladder=LadderConfig(levels=1, size_fraction=0.03)),
    )
    seen = scene.at(250)
    assert (seen.n_bids, seen.n_asks, seen.delta > 0.02, seen.budget_remaining < 10) == (0, 0, True, True)
    last = scene.samples[-1]
    # under half of the reserve, and no bid that would add to it
    assert (last.n_bids, last.n_asks) == (0, 1)
