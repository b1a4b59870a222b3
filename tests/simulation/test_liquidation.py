"""Liquidation in the ledger by example, and in the engine: who hears of it, what it costs, and that nothing stays open."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import TimeInForce

from amm500_nautilus.margin.fees import GROWTH_RATES
from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.liquidation import LiquidationAct
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.engine_care import keep_engine_flat
from amm500_nautilus.simulation.latency import NO_LATENCY
from amm500_nautilus.simulation.ledger import NANO
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.ledger import LedgerShape
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import Recorder
from tests.simulation.market import depth
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.script import IID
from tests.simulation.script import INSTRUMENT
from tests.simulation.script import Script


FREE = FeeRates(maker=Decimal(0), taker=Decimal(0))


def ledger(
    lots: int, *, equity: int = 1_000, leverage: int = 25, mode: MarginMode = MarginMode.CROSS
) -> Ledger:
    """A free position of ``lots`` at 690.00, marked there."""
    account = Ledger(
        LedgerShape(Decimal("0.01"), Decimal("0.001")),
        starting_equity=Decimal(equity),
        rates=FREE,
        leverage=leverage,
        table=MarginTable(25),
        mode=mode,
    )
    account.mark(138_000)
    account.apply_fill(1 if lots > 0 else -1, abs(lots), 69_000, maker=True)
    return account


# -- the ledger ---------------------------------------------------------------------------------------


def test_a_full_long_at_25x_is_liquidated_2_04_percent_below_its_entry() -> None:
    # 36.231 x 690 = 24,999.39, of 25,000 that 1,000 carries; (1/25 - 0.02) / 0.98 = 2.0408 %
    account = ledger(36_231)
    assert account.liquidation_price == pytest.approx(690 * (1 - 0.020408), abs=0.001)
    # twice the mid: 2 x 675.91 and 2 x 675.92
    account.mark(2 * 67_592)
    assert not account.is_liquidatable
    account.mark(2 * 67_591)
    assert account.is_liquidatable


@pytest.mark.parametrize(
    ("lots", "equity", "mid2", "act", "size"),
    [
        pytest.param(36_231, 1_000, 2 * 67_592, LiquidationAct.NONE, 0, id="covered"),
        # notional 24,488, below 100,000
        pytest.param(36_231, 1_000, 2 * 67_590, LiquidationAct.MARKET_ALL, 36_231, id="all at market"),
        # notional 122,430: a fifth of 181.155, rounded up to the lot
        pytest.param(181_155, 5_000, 2 * 67_590, LiquidationAct.MARKET_PART, 36_231, id="a fifth first"),
        # value 1,000 - 36.231 x 18.90 = 315.23 against 2/3 of 486.3 = 324.2
        pytest.param(36_231, 1_000, 2 * 67_110, LiquidationAct.BACKSTOP, 36_231, id="backstop"),
        # value 1,000 - 36.231 x 30 < 0
        pytest.param(36_231, 1_000, 2 * 66_000, LiquidationAct.ADL, 36_231, id="deleveraged"),
        pytest.param(-36_231, 1_000, 2 * 70_400, LiquidationAct.MARKET_ALL, 36_231, id="a short above"),
    ],
)
def test_the_venue_acts_by_how_far_below_maintenance_the_account_is(
    lots: int, equity: int, mid2: int, act: LiquidationAct, size: int
) -> None:
    account = ledger(lots, equity=equity)
    account.mark(mid2)
    step = account.liquidation_step(T0)
    assert (step.act, int(step.size * 1_000)) == (act, size)


def test_within_thirty_seconds_of_a_part_the_whole_position_goes() -> None:
    account = ledger(181_155, equity=5_000)
    account.mark(2 * 67_590)
    account.last_part_ns = T0
    assert account.liquidation_step(T0 + 29 * SECOND).act is LiquidationAct.MARKET_ALL
    assert account.liquidation_step(T0 + 30 * SECOND).act is LiquidationAct.MARKET_PART


def test_the_backstop_takes_the_whole_cross_account_value() -> None:
    account = ledger(36_231)
    account.mark(2 * 67_110)
    left = account.equity
    _, gone = account.take_over(67_110)
    assert Decimal(gone) / NANO == left == account.liquidation
    assert (account.equity, account.position_lots, account.balance) == (0, 0, 0)


def test_an_isolated_position_taken_over_costs_its_margin_and_no_more() -> None:
    # 10 x 690 = 6,900 at 25x: 276 of margin, 724 stay outside
    account = ledger(10_000, mode=MarginMode.ISOLATED)
    account.mark(2 * 60_000)
    assert account.liquidation_step(T0).act is LiquidationAct.ADL
    account.take_over(60_000)
    # 10 x 90 lost on paper is more than the margin: the 624 beyond it are borne by others
    assert account.equity == 724
    assert account.liquidation == Decimal(-624)


def test_leverage_is_changed_and_refused_in_the_venue_s_words() -> None:
    account = ledger(20_000)  # 13,800 of notional
    for impossible in (0, 26):
        with pytest.raises(ValueError, match="Invalid leverage value"):
            account.set_leverage(impossible)
    # 13,800 / 13 = 1,061 is more than the account has
    with pytest.raises(ValueError, match="Invalid leverage value"):
        account.set_leverage(13)
    account.set_leverage(14)
    assert account.ratios.position_margin == pytest.approx(985.714285)
    with pytest.raises(ValueError, match="Cannot switch leverage type with open position"):
        account.set_mode(MarginMode.ISOLATED)


def test_strict_isolated_margin_stays_until_the_close_and_isolated_margin_may_be_spared() -> None:
    for mode, allowed in ((MarginMode.ISOLATED, True), (MarginMode.STRICT_ISOLATED, False)):
        # at 5x the margin is 1,380 of 6,900, of which a tenth and the initial margin must stay
        account = ledger(10_000, equity=3_000, leverage=5, mode=mode)
        account.mark(2 * 70_000)  # 100 gained: 1,480 of margin, 1,400 must stay
        if allowed:
            account.move_margin(Decimal(-80))
            assert account.withdrawable == 1_700
        else:
            with pytest.raises(ValueError, match="at most 0"):
                account.move_margin(Decimal(-1))
        account.apply_fill(-1, 5_000, 70_000, maker=True)
        # half of the margin came back with half of the position
        assert account.margin_used_nano == (700 if allowed else 740) * NANO


def test_a_transfer_is_no_profit_and_a_withdrawal_leaves_a_tenth_of_the_notional() -> None:
    account = ledger(10_000, equity=1_000, leverage=25)  # 6,900: initial 276, a tenth 690
    assert account.withdrawable == 310
    with pytest.raises(ValueError, match="up to the withdrawable 310"):
        account.transfer(Decimal("-310.000001"))
    account.transfer(Decimal(-310))
    account.transfer(Decimal(60))
    assert (account.equity, account.transfers, account.realized) == (750, -250, 0)


# -- the engine -----------------------------------------------------------------------------------------


def falling(levels: list[int], lots: int = 50_000) -> list[Any]:
    """A book of ten levels a side whose best bid steps through ``levels``, one each second."""
    return [
        depth(
            IID,
            T0 + n * SECOND,
            [(bid - k, lots) for k in range(10)],
            [(bid + 2 + k, lots) for k in range(10)],
        )
        for n, bid in enumerate(levels)
    ]


def buy(lots: int) -> Callable[[Script], None]:
    return lambda script: script.send("in", 1, 69_005, lots, time_in_force=TimeInForce.IOC)


def quote_below(script: Script) -> None:
    script.send("bid", 1, 60_000, 20)
    script.send("ask", -1, 69_900, 20, reduce_only=True)


def run(
    steps: list[Callable[[Script], None]], data: list[Any], **config: Any
) -> tuple[Script, SimulatedVenue, Recorder, Any]:
    engine, recorder = make_engine(), Recorder()
    settings = {"starting_equity": Decimal(1_000), "leverage": Decimal(25), "latency": NO_LATENCY, **config}
    venue = add_simulated_venue(
        engine, instrument=INSTRUMENT, config=VenueConfig(**settings), seed=1, listener=recorder
    )
    keep_engine_flat(engine, venue)
    load(engine, data)
    script = Script(steps)
    engine.add_strategy(script)
    engine.run()
    venue.finish()
    return script, venue, recorder, engine


def inventory(script: Script) -> int:
    """What the strategy itself counts from its fills."""
    return sum(
        (1 if event.order_side.name == "BUY" else -1) * round(event.last_qty.as_double() * 1_000)
        for event in script.of("OrderFilled")
    )


def test_a_falling_market_liquidates_a_25x_long_and_everybody_agrees_that_it_is_flat() -> None:
    # in at 690.02: 36 x 690.02 = 24,841 of the 25,000 carried
    script, venue, recorder, engine = run(
        [buy(36_000), quote_below], falling([69_000, 69_000, 69_000, 67_900, 67_580, 67_570, 67_570])
    )
    [record] = recorder.liquidations
    assert (record.act, record.side, record.lots, record.left_lots, record.canceled) == (
        "market_all",
        -1,
        36_000,
        0,
        2,
    )
    # the book shows 50 contracts at the best bid 675.80, a tick under the mid 675.81
    assert record.slippage == Decimal("0.36")
    assert record.fee == GROWTH_RATES.fee(36 * Decimal("675.80"), maker=False) == Decimal("2.189592")
    assert record.loss == record.slippage + record.fee
    assert venue.ledger.position_lots == 0
    assert inventory(script) == 0
    assert engine.portfolio.net_position(IID) == 0
    assert engine.cache.positions_open(instrument_id=IID) == []
    assert {script.orders[name].status for name in ("bid", "ask")} == {OrderStatus.CANCELED}
    assert venue.ledger.resting_tick_lots == (0, 0)
    # 1,000 - in: 36 x 690.02 and its fee; out: 36 x 675.80 and its fee
    fee_in = GROWTH_RATES.fee(36 * Decimal("690.02"), maker=False)
    assert venue.ledger.equity == 1_000 - 36 * Decimal("14.22") - fee_in - record.fee
    assert venue.ledger.liquidation == 0
    [order] = [o for o in engine.cache.orders(instrument_id=IID) if o.tags == ["LIQUIDATION"]]
    assert (order.status, order.strategy_id) == (OrderStatus.FILLED, script.id)
    engine.dispose()


def test_a_gap_past_the_backstop_leaves_nothing_and_owes_nothing() -> None:
    script, venue, recorder, engine = run([buy(36_000)], falling([69_000, 69_000, 69_000, 66_000, 66_000]))
    [record] = recorder.liquidations
    assert (record.act, record.left_lots) == ("adl", 0)
    # the shortfall is borne by others
    assert record.forfeited < 0
    assert venue.ledger.equity == 0
    assert venue.ledger.position_lots == inventory(script) == engine.portfolio.net_position(IID) == 0
    engine.dispose()


def test_a_large_position_goes_a_fifth_first_and_the_rest_within_thirty_seconds() -> None:
    # 180 x 690.02 = 124,204 of the 125,000 that 5,000 carries
    script, venue, recorder, engine = run(
        [buy(180_000)],
        # a fifth less is enough at 675.75; at 672.00 it is not
        falling([69_000, 69_000, 69_000, 67_575, 67_575, 67_200, 67_200], 500_000),
        starting_equity=Decimal(5_000),
    )
    assert [(r.act, r.lots, r.left_lots) for r in recorder.liquidations] == [
        ("market_part", 36_000, 144_000),
        ("market_all", 144_000, 0),
    ]
    assert recorder.liquidations[1].ts_ns > recorder.liquidations[0].ts_ns
    assert venue.ledger.position_lots == inventory(script) == engine.portfolio.net_position(IID) == 0
    engine.dispose()


def test_a_book_too_thin_takes_what_it_shows_and_the_rest_goes_with_the_next_book() -> None:
    later = [
        depth(
            IID,
            T0 + n * SECOND,
            [(bid - k, 2_000) for k in range(10)],
            [(bid + 2 + k, 2_000) for k in range(10)],
        )
        for n, bid in ((3, 67_580), (4, 67_570), (5, 65_860), (6, 65_860))
    ]
    script, venue, recorder, engine = run([buy(36_000)], [*falling([69_000] * 3), *later])
    # ten levels of 2 contracts, which is enough; the rest when the market falls on
    assert [(r.act, r.lots) for r in recorder.liquidations] == [
        ("market_all", 20_000),
        ("market_all", 16_000),
    ]
    assert venue.ledger.position_lots == inventory(script) == engine.portfolio.net_position(IID) == 0
    engine.dispose()


def test_funding_alone_can_liquidate_without_any_move_of_the_mark() -> None:
    hour = T0 + 3_600 * SECOND
    start = hour - 3 * SECOND
    book = [
        depth(
            IID,
            start + n * SECOND,
            [(69_000 - k, 50_000) for k in range(10)],
            [(69_002 + k, 50_000) for k in range(10)],
        )
        for n in range(8)
    ]
    rate = FundingRateUpdate(IID, Decimal("0.03"), hour + SECOND, hour + SECOND)

    class Buyer(Script):
        def on_start(self) -> None:
            at = start + SECOND // 2
            self.clock.set_time_alert_ns("in", at, lambda _event: buy(36_000)(self))

    engine, recorder = make_engine(), Recorder()
    config = VenueConfig(starting_equity=Decimal(1_000), leverage=Decimal(25), latency=NO_LATENCY)
    venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=config, seed=1, listener=recorder)
    load(engine, [*book, rate])
    engine.add_strategy(Buyer([]))
    engine.run()
    # 36 x 690.01 x 3 % = 745 of funding leaves 250 against 497 of maintenance: below two thirds
    assert [r.act for r in recorder.liquidations] == ["backstop"]
    assert venue.ledger.position_lots == 0
    assert venue.ledger.equity == 0
    engine.dispose()
