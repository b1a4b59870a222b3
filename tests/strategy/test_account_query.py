"""Which reports of the account count, and which are asked for again: one that nothing explains, once, not with every report that repeats it."""

from collections.abc import Callable

import pytest
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.events import AccountState

from tests.strategy.scene import Probe
from tests.strategy.scene import play
from tests.strategy.scene import still


def says(share: float) -> Callable[[Probe], None]:
    """Return a step that tells what the account told last, with a share of its equity."""

    def step(maker: Probe) -> None:
        account = maker.cache.account_for_venue(maker.instrument.venue)
        told = account.last_event
        info = {**told.info, "equity": str(share * float(told.info["equity"]))}
        state = AccountState.to_dict(told) | {"info": info, "event_id": UUID4().value}
        maker.msgbus.publish(topic=f"events.account.{account.id}", msg=AccountState.from_dict(state))

    return step


@pytest.mark.parametrize(
    ("reports", "asked"),
    [
        ({5.2: 1.0, 5.4: 0.99}, []),
        ({5.2: 0.5}, [5.2]),
        ({5.2: 0.5, 5.4: 0.5, 5.6: 0.4}, [5.2]),
        ({5.2: 0.5, 5.4: 1.0, 5.6: 0.5}, [5.2, 5.6]),
    ],
)
def test_what_nothing_explains_is_asked_for_again(reports: dict[float, float], asked: list[float]) -> None:
    scene = play(still(9), [(at, says(share)) for at, share in reports.items()])
    account = scene.maker.cache.account_for_venue(scene.maker.instrument.venue).id.value
    assert [at for at, name in scene.maker.asked if name == account] == pytest.approx(asked)
    assert bool(scene.samples[-1].n_bids) != bool(asked)


def test_a_start_goes_by_the_venue_s_own_report_also_behind_one_that_the_engine_reckoned() -> None:
    found: list[tuple[float, float]] = []

    def start_again(maker: Probe) -> None:
        account = maker.cache.account_for_venue(maker.instrument.venue)
        balances = [
            {**each, "total": "77777"} for each in AccountState.to_dict(account.last_event)["balances"]
        ]
        balances = [{**each, "free": "77777", "locked": "0"} for each in balances]
        own = {"info": {}, "balances": balances, "reported": False, "event_id": UUID4().value}
        before = float(account.last_event.info["equity"])
        account.apply(AccountState.from_dict(AccountState.to_dict(account.last_event) | own))
        maker._is_account_told = False
        maker._read_account()
        found.append((maker._account.equity, before))

    play(still(6), [(5.0, start_again)])
    ((equity, before),) = found
    assert equity == before
