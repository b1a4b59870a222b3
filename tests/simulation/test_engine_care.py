"""What a backtest leaves out of the engine's work, and that nothing else changes by it."""

from typing import Any

import pytest
from nautilus_trader.model.objects import Money

from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.engine_care import keep_engine_flat
from amm500_nautilus.simulation.matching import IdleMatching
from amm500_nautilus.simulation.matching import rest_matching
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import Quoter
from tests.simulation.market import QuoterConfig
from tests.simulation.market import Recorder
from tests.simulation.market import generate
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.market import quote
from tests.simulation.script import IID
from tests.simulation.script import INSTRUMENT


class Scene:
    """A hundred seconds of a quoter on a generated market; ``states`` are all account reports that the bus carried."""

    def __init__(self, *, care: bool, account: str = "ledger") -> None:
        engine, self.records, self.states = make_engine(), Recorder(), list[Any]()
        config = VenueConfig(account=account)  # type: ignore[arg-type]
        venue = add_simulated_venue(
            engine, instrument=INSTRUMENT, config=config, seed=1, listener=self.records
        )
        if care:
            keep_engine_flat(engine, venue)
        self.positions: list[Any] = []
        engine.kernel.msgbus.subscribe(topic="events.account.*", handler=self.states.append)
        engine.kernel.msgbus.subscribe(topic="events.position.*", handler=self.positions.append)
        load(engine, generate(IID, 100, trades_per_s=4.0))
        engine.add_strategy(Quoter(QuoterConfig(instrument_id=IID, levels=1, limit=100)))
        engine.run()
        exchange = venue.module.exchange
        self.matching = exchange.get_matching_engine(IID)
        self.books_applied = exchange.get_book(IID).update_count
        self.balance: Money = engine.portfolio.account(IID.venue).balance_total()
        engine.dispose()

    @property
    def fills(self) -> list[Any]:
        return [
            (fill.ts_ns, fill.side * fill.lots, fill.price_ticks, fill.fee) for fill in self.records.fills
        ]

    @property
    def told(self) -> list[Any]:
        """Each report once, as it came first."""
        seen = {state.id: state for state in self.states}
        return [(state.ts_event, str(state.balances[0]), dict(state.info)) for state in seen.values()]


@pytest.fixture(scope="module")
def scenes() -> tuple[Scene, Scene]:
    """Return the same market with care and without."""
    return Scene(care=True), Scene(care=False)


def test_with_care_the_same_fills_and_reports_come_and_the_engines_own_matching_rests(
    scenes: tuple[Scene, Scene],
) -> None:
    kept, plain = scenes
    assert len(kept.fills) > 10
    assert kept.fills == plain.fills
    assert kept.told == plain.told
    assert kept.balance == plain.balance
    assert isinstance(kept.matching, IdleMatching)
    assert kept.books_applied == 0
    assert plain.books_applied > 100


def test_with_care_an_account_report_is_told_again_at_position_events_only(
    scenes: tuple[Scene, Scene],
) -> None:
    kept, plain = scenes
    assert len(kept.told) > 2
    assert len(kept.states) == len(kept.told) + len(kept.positions)
    assert len(plain.states) > len(kept.states)


def test_an_account_that_the_engine_reckons_is_reported_as_without_care() -> None:
    kept, plain = Scene(care=True, account="nautilus"), Scene(care=False, account="nautilus")
    assert len(kept.states) == len(plain.states)
    assert kept.balance == plain.balance


def test_reports_of_a_position_held_for_hours_without_a_fill_do_not_pile_up() -> None:
    engine, records = make_engine(), Recorder()
    venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=VenueConfig(), seed=1, listener=records)
    keep_engine_flat(engine, venue)
    seconds, hours = 100, 8
    market = generate(IID, seconds, trades_per_s=4.0)
    # then nobody trades any more: the touch stands, away from whatever rests
    still = [
        quote(IID, T0 + (seconds + 5 * at) * SECOND, 68_900, 10, 69_100, 10) for at in range(hours * 720)
    ]
    load(engine, market + still)
    engine.add_strategy(Quoter(QuoterConfig(instrument_id=IID, levels=1, limit=100)))
    engine.run()
    assert venue.ledger.position_lots != 0
    last = max(fill.ts_ns for fill in records.fills)
    assert last < T0 + 2 * seconds * SECOND
    account = engine.portfolio.account(IID.venue)
    # every five seconds one: those of two hours, and of the hour until old ones are dropped
    assert len(account.events) <= 3 * 720 + 10
    engine.dispose()


@pytest.mark.parametrize("held", [None, object()])
def test_an_exchange_that_keeps_its_matching_elsewhere_is_left_as_it_is(held: object) -> None:
    class Foreign:
        def __init__(self) -> None:
            self.tables = {IID: held}

        def get_matching_engine(self, _instrument_id: Any) -> object:
            return held

    foreign = Foreign()
    assert rest_matching(foreign, IID, None) is False
    assert foreign.tables == {IID: held}
