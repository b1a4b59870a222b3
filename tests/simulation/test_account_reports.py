"""What the venue reports of the account, how often, and what moves it beside fills: transfers, a depeg, bought actions."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.events import AccountState

from amm500_nautilus.margin.liquidation import account_liquidation_price
from amm500_nautilus.simulation.books import COIN
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.latency import NO_LATENCY
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import Recorder
from tests.simulation.market import depth
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.script import ASKS
from tests.simulation.script import BIDS
from tests.simulation.script import IID
from tests.simulation.script import INSTRUMENT
from tests.simulation.script import Script
from tests.simulation.script import still


def run(
    steps: list[Any], data: list[Any], **config: Any
) -> tuple[list[AccountState], SimulatedVenue, Recorder]:
    engine, recorder = make_engine(), Recorder()
    states: list[AccountState] = []
    engine.kernel.msgbus.subscribe("events.account.*", states.append)
    settings = {"starting_equity": Decimal(1_000), "latency": NO_LATENCY, **config}
    venue = add_simulated_venue(
        engine, instrument=INSTRUMENT, config=VenueConfig(**settings), seed=1, listener=recorder
    )
    load(engine, data)
    engine.add_strategy(Script(steps))
    engine.run()
    venue.finish()
    engine.dispose()
    return [state for state in states if state.info], venue, recorder


def buy(script: Script) -> None:
    script.send("in", 1, 69_002, 500, time_in_force=TimeInForce.IOC)


def test_the_account_is_reported_with_every_figure_of_margin() -> None:
    def more(script: Script) -> None:
        script.send("bid", 1, 68_990, 1_000)

    states, venue, _ = run([buy, more], still(10))
    account = venue.ledger.account_view()
    info = states[-1].info
    assert Decimal(info["equity"]) == account.equity
    assert Decimal(info["margin_used"]) == account.summary.total_margin_used == Decimal("34.500500")
    assert Decimal(info["maintenance"]) == account.maintenance == Decimal("6.900100")
    assert Decimal(info["withdrawable"]) == account.withdrawable
    # a bid for 1 x 689.90 at 10x
    assert Decimal(info["order_margin"]) == account.order_margin == Decimal("68.99")
    assert info["margin_ratio"] == pytest.approx(float(account.margin_ratio))
    assert info["position_margin_ratio"] == pytest.approx(float(account.position_margin_ratio))
    assert info["maintenance_ratio"] == pytest.approx(float(account.maintenance_ratio))
    # 1,000 carry half a contract at any price
    assert info["liquidation_price"] is None
    assert account_liquidation_price(account, COIN) is None
    named = ("dex", "collateral", "account_mode", "margin_mode", "leverage", "collateral_price")
    assert [info[name] for name in named] == ["km", "USDH", "standard", "cross", 10, "1"]
    [balance] = states[-1].balances
    assert balance.total.as_decimal() == venue.ledger.balance
    assert balance.locked.as_decimal() == account.summary.total_margin_used + account.order_margin


def test_a_leveraged_position_is_reported_with_its_liquidation_price() -> None:
    # 10 x 690.02 of 25,000
    def large(script: Script) -> None:
        script.send("in", 1, 69_020, 5_000, time_in_force=TimeInForce.IOC)

    states, venue, _ = run([large], still(10), leverage=Decimal(25))
    price = account_liquidation_price(venue.ledger.account_view(), COIN)
    assert price is not None
    assert float(states[-1].info["liquidation_price"]) == pytest.approx(float(price), abs=1e-6)


def test_with_a_position_the_account_is_reported_each_five_seconds_and_at_once_after_a_fill() -> None:
    states, _, _ = run([buy], still(32))
    times = [(state.ts_event - T0) / SECOND for state in states]
    fill = 1.0
    assert any(fill <= at <= fill + 1.0 for at in times)
    after = [at for at in times if at > fill]
    assert max(b - a for a, b in pairwise(after)) <= 5.5
    assert len(after) <= 8


def test_a_move_of_the_ratio_beyond_half_a_percent_is_reported_within_two_seconds() -> None:
    def large(script: Script) -> None:
        script.send("in", 1, 69_020, 5_000, time_in_force=TimeInForce.IOC)

    moved = T0 + 8 * SECOND + SECOND // 2
    data = [*still(8)]
    for n in range(8):
        # 5 contracts lose 30 each: 150 of 1,000
        bids = [(66_000 - k, 500) for k in range(10)]
        asks = [(66_002 + k, 500) for k in range(10)]
        data.append(depth(IID, moved + n * SECOND // 2, bids, asks))
    states, _, _ = run([large], data)
    before = [s for s in states if s.ts_event < moved][-1]
    first = next(s for s in states if s.ts_event >= moved)
    assert first.ts_event - moved <= 2 * SECOND
    assert first.info["margin_ratio"] - before.info["margin_ratio"] > 0.005


def test_transfers_are_reported_and_are_no_profit_and_a_withdrawal_is_cut_to_what_may_leave() -> None:
    transfers = (
        (T0 + 3 * SECOND, Decimal(250)),
        (T0 + 5 * SECOND, Decimal(-100)),
        (T0 + 6 * SECOND, Decimal(-5_000)),
    )
    states, venue, recorder = run([buy], still(12), transfers=transfers)
    assert [amount for _, amount in recorder.transfers[:2]] == [250, -100]
    left = venue.ledger
    assert left.transfers == sum(amount for _, amount in recorder.transfers)
    assert left.withdrawable == 0
    assert left.equity == 1_000 + left.transfers + left.realized + left.unrealized - left.fees
    assert "1 were cut to what was withdrawable" in venue.assumptions()[-1]
    assert Decimal(states[-1].info["net_transfers"]) == left.transfers


def test_a_depegged_collateral_is_told_to_the_strategy_and_moves_no_margin() -> None:
    path = ((0, Decimal(1)), (T0 + 4 * SECOND, Decimal("0.97")))
    states, venue, _ = run([buy], still(12), collateral_price=path)
    prices = {state.info["collateral_price"] for state in states}
    assert prices == {"1", "0.97"}
    assert states[-1].info["collateral_price"] == "0.97"
    plain, twin, _ = run([buy], still(12))
    assert twin.ledger.equity == venue.ledger.equity
    assert plain[-1].info["margin_ratio"] == states[-1].info["margin_ratio"]


@pytest.mark.parametrize("path", [(), ((5, Decimal(1)), (5, Decimal(1))), Decimal(0), ((0, Decimal(-1)),)])
def test_an_impossible_collateral_price_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match="collateral_price"):
        VenueConfig(collateral_price=path)


def test_bought_actions_cost_the_account_and_raise_the_limit() -> None:
    _, venue, _ = run([buy], still(4))
    assert venue.client.gate is not None
    before, limit = venue.ledger.equity, venue.client.gate.address.limit
    venue.buy_weight(2_000)
    assert venue.ledger.equity == before - 1  # 2,000 x 0.0005
    assert venue.client.gate.address.limit == limit + 2_000
    assert BIDS[0][0] < ASKS[0][0]


def test_an_earlier_engine_with_an_account_of_its_own_changes_no_report() -> None:
    def cycle(script: Script) -> None:
        script.send("out", -1, 68_990, 500, time_in_force=TimeInForce.IOC, reduce_only=True)

    def told() -> list[Any]:
        engine, states = make_engine(), list[Any]()
        engine.kernel.msgbus.subscribe("events.account.*", states.append)
        add_simulated_venue(engine, instrument=INSTRUMENT, config=VenueConfig(latency=NO_LATENCY), seed=1)
        load(engine, still(20))
        engine.add_strategy(Script([buy, cycle]))
        engine.run()
        account = engine.portfolio.account(IID.venue)
        assert not account.calculate_account_state
        kept = [(state.ts_event, str(state.balances[0]), dict(state.info)) for state in account.events]
        engine.dispose()
        return [kept, [(state.ts_event, str(state.balances[0]), dict(state.info)) for state in states]]

    before = told()
    # the start, and after each of two fills
    assert len(before[0]) == 3
    # the engine marks the name of the venue for the whole process
    run([buy], still(10), account="nautilus")
    assert told() == before
