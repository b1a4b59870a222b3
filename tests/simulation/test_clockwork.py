"""The venue's timetable: what the last moment of a run pays and reports, and whose clock it goes by."""

from dataclasses import replace
from decimal import Decimal

import pytest

from amm500_nautilus.margin.fees import GROWTH_RATES
from amm500_nautilus.margin.funding import HOUR_NS
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.simulation.clockwork import MINUTE_NS
from amm500_nautilus.simulation.clockwork import Clockwork
from amm500_nautilus.simulation.config import FundingConfig
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.ledger import LedgerShape
from tests.simulation.market import T0
from tests.simulation.market import Recorder


SECOND = 1_000_000_000
NOON = (T0 // HOUR_NS + 3) * HOUR_NS


def books(**settings: object) -> tuple[Clockwork, Ledger, Recorder]:
    recorder = Recorder()
    shape = LedgerShape(Decimal("0.01"), Decimal("0.001"))
    ledger = Ledger(
        shape, starting_equity=Decimal(1_000), rates=GROWTH_RATES, leverage=Decimal(1), table=MarginTable(25)
    )
    config = replace(VenueConfig(), **settings)  # type: ignore[arg-type]
    return Clockwork(config, ledger, shape.tick, recorder), ledger, recorder


def hold(ledger: Ledger, lots: int) -> None:
    """Hold ``lots`` bought at 700.00 with the mid there."""
    ledger.apply_fill(1, lots, 70_000, maker=True)
    ledger.mark(140_000)


def test_the_hour_that_ends_the_data_is_paid_at_the_rate_before_it() -> None:
    clockwork, ledger, recorder = books()
    clockwork.oracle = Decimal(700)
    clockwork.wake(NOON - HOUR_NS - SECOND)
    hold(ledger, 1_000)
    clockwork.wake(NOON - HOUR_NS)
    clockwork.on_rate(NOON - HOUR_NS, Decimal("0.0001"))
    clockwork.finish(NOON)
    # 1.000 held at an oracle price of 700: 0.07 for each of two hours
    assert ledger.funding == Decimal("-0.14")
    assert clockwork.assumptions() == (
        "funding rate of the last hour: that of the hour before (the data ends first)",
    )
    assert recorder.minutes[-1] == NOON


def test_the_last_hour_of_data_without_rates_is_paid_at_the_default() -> None:
    clockwork, ledger, _ = books(funding=FundingConfig(default_rate=Decimal("0.0002")))
    clockwork.oracle = Decimal(700)
    clockwork.wake(NOON - SECOND)
    hold(ledger, 1_000)
    clockwork.finish(NOON)
    assert ledger.funding == Decimal("-0.14")
    assert clockwork.default_rate_hours == 1


@pytest.mark.parametrize("late", [False, True])
def test_the_path_of_equity_ends_with_what_was_booked_last(*, late: bool) -> None:
    clockwork, ledger, recorder = books()
    clockwork.wake(NOON + SECOND)
    clockwork.wake(NOON + MINUTE_NS)
    if late:
        hold(ledger, 10)
    clockwork.finish(NOON + MINUTE_NS)
    told = [NOON + SECOND, NOON + MINUTE_NS]
    # nothing was booked since: nothing is reported twice
    assert recorder.minutes == (told if not late else [*told, NOON + MINUTE_NS + 1])


def test_a_transfer_at_the_last_moment_is_made() -> None:
    clockwork, ledger, _ = books(transfers=((NOON, Decimal(5)),))
    clockwork.wake(NOON - SECOND)
    clockwork.finish(NOON)
    assert ledger.transfers == Decimal(5)
