"""A resting order meets its margin again when it is matched; one that the account no longer carries is canceled, not filled."""

from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model.enums import OrderStatus

from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.engine_care import keep_engine_flat
from amm500_nautilus.simulation.latency import NO_LATENCY
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.ledger import LedgerShape
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.market import trade
from tests.simulation.script import IID
from tests.simulation.script import INSTRUMENT
from tests.simulation.script import Script
from tests.simulation.script import still


FREE = FeeRates(maker=Decimal(0), taker=Decimal(0))


def ledger(lots: int, *, mode: MarginMode = MarginMode.CROSS) -> Ledger:
    """1,000 of collateral at 10x with ``lots`` bought at 690.00, marked there."""
    account = Ledger(
        LedgerShape(Decimal("0.01"), Decimal("0.001")),
        starting_equity=Decimal(1_000),
        rates=FREE,
        leverage=10,
        table=MarginTable(25),
        mode=mode,
    )
    account.mark(138_000)
    if lots:
        account.apply_fill(1 if lots > 0 else -1, abs(lots), 69_000, maker=True)
    return account


@pytest.mark.parametrize(
    ("held", "side", "lots", "expected"),
    [
        # 14.492 x 690 = 9,999.48 of 10,000
        pytest.param(0, 1, 14_492, True, id="just carried"),
        pytest.param(0, 1, 14_493, False, id="a lot too much"),
        pytest.param(10_000, 1, 4_492, True, id="the rest"),
        pytest.param(10_000, 1, 4_493, False, id="the rest and a lot"),
        pytest.param(10_000, -1, 20_000, True, id="a reversal of the same size adds nothing"),
        pytest.param(-10_000, 1, 24_493, False, id="a reversal beyond what is carried"),
    ],
)
def test_a_fill_is_carried_up_to_the_initial_margin_of_the_position_after_it(
    held: int, side: int, lots: int, expected: bool
) -> None:
    assert ledger(held).covers_fill(side, lots, 69_000) is expected


def test_an_isolated_fill_finds_its_margin_outside_the_position() -> None:
    # 10 x 690 / 10 = 690 of 1,000 are inside: 310 outside carry 4.492 more
    account = ledger(10_000, mode=MarginMode.ISOLATED)
    assert account.covers_fill(1, 4_492, 69_000)
    assert not account.covers_fill(1, 4_493, 69_000)


def run(withdrawn: int) -> tuple[Script, SimulatedVenue]:
    steps: list[Any] = [
        lambda script: script.send("bid", 1, 69_001, 10_000),
        lambda script: venue.withdraw(script.clock.timestamp_ns(), Decimal(withdrawn)) if withdrawn else None,
    ]
    engine = make_engine()
    config = VenueConfig(starting_equity=Decimal(1_000), leverage=Decimal(10), latency=NO_LATENCY)
    venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=config, seed=1)
    keep_engine_flat(engine, venue)
    # 10 contracts at 690.01 take 690.01 of margin
    load(engine, [*still(6), trade(IID, T0 + 4 * SECOND, 69_001, 4_000, -1)])
    script = Script(steps)
    engine.add_strategy(script)
    engine.run()
    venue.finish()
    engine.dispose()
    return script, venue


def test_a_resting_order_that_the_account_carries_is_filled() -> None:
    script, venue = run(withdrawn=0)
    assert script.orders["bid"].filled_qty == 4
    assert venue.module.margin_canceled == 0


def test_a_resting_order_whose_margin_has_gone_is_canceled_at_the_match() -> None:
    # 4 contracts would take 276.00 of margin, and 100 are left
    script, venue = run(withdrawn=900)
    assert script.orders["bid"].status == OrderStatus.CANCELED
    assert script.orders["bid"].filled_qty == 0
    assert venue.ledger.position_lots == 0
    assert venue.ledger.resting_tick_lots == (0, 0)
    assert venue.module.margin_canceled == 1
