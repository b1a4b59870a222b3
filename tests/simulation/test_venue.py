"""The simulated venue inside the engine: arrivals, refusals, funding, reports, and agreement with Nautilus's account."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import TradeId

from amm500_catalog import USDH
from amm500_nautilus.simulation.config import FundingConfig
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.engine_care import keep_engine_flat
from amm500_nautilus.simulation.latency import NO_LATENCY
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import Quoter
from tests.simulation.market import QuoterConfig
from tests.simulation.market import Recorder
from tests.simulation.market import depth
from tests.simulation.market import generate
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.market import make_instrument
from tests.simulation.market import price
from tests.simulation.market import quote
from tests.simulation.market import size
from tests.simulation.market import trade
from tests.simulation.script import ASKS
from tests.simulation.script import BIDS
from tests.simulation.script import IID
from tests.simulation.script import INSTRUMENT
from tests.simulation.script import MS
from tests.simulation.script import Script
from tests.simulation.script import still


def run(
    steps: list[Callable[[Script], None]], data: list[Any], listener: Recorder | None = None, **config: Any
) -> tuple[Script, SimulatedVenue]:
    engine = make_engine()
    settings: dict[str, Any] = {"latency": LatencyConfig(kind="constant", p50_ms=100.0), **config}
    venue = add_simulated_venue(
        engine, instrument=INSTRUMENT, config=VenueConfig(**settings), seed=3, listener=listener
    )
    load(engine, data)
    script = Script(steps)
    engine.add_strategy(script)
    engine.run()
    venue.finish()
    engine.dispose()
    return script, venue


@pytest.mark.parametrize(
    ("send", "words"),
    [
        pytest.param(
            lambda s: s.send("a", 1, 69_002, 100),
            "Post only order would have immediately matched, bbo was 690@690.02. asset=150000",
            id="post-only that crosses",
        ),
        pytest.param(
            # 0.014 x 690 = 9.66
            lambda s: s.send("a", 1, 69_000, 14),
            "Order must have minimum value of $10. asset=150000",
            id="below the smallest value",
        ),
        pytest.param(
            # at 1000 and above, five figures leave one decimal: 1000.01 has six
            lambda s: s.send("a", -1, 100_001, 100),
            "Price must be divisible by tick size. asset=150000",
            id="six significant figures",
        ),
        pytest.param(
            lambda s: s.send("a", 1, 69_000, 100, reduce_only=True),
            "Reduce only order would increase position. asset=150000",
            id="reduce-only without a position",
        ),
        pytest.param(
            lambda s: s.send("a", 1, 68_000, 100, time_in_force=TimeInForce.IOC),
            "Order could not immediately match against any resting orders. asset=150000",
            id="IOC that meets nothing",
        ),
        pytest.param(
            # 150 x 690 = 103,500 against 10,000 at 10x
            lambda s: s.send("a", 1, 69_000, 150_000),
            "Insufficient margin to place order. asset=150000",
            id="more than the margin",
        ),
    ],
)
def test_the_venue_refuses_in_its_own_words(send: Callable[[Script], None], words: str) -> None:
    script, _ = run([send], still(4))
    [event] = script.of("OrderRejected")
    assert event.reason == words
    assert event.due_post_only == words.startswith("Post only")


def test_an_order_takes_effect_after_its_latency_to_the_nanosecond() -> None:
    script, _ = run([lambda s: s.send("a", 1, 69_000, 100)], still(4))
    [event] = script.of("OrderAccepted")
    assert event.ts_event == T0 + SECOND + 100 * MS


def test_commands_of_one_instant_and_class_travel_as_one_action() -> None:
    def three(script: Script) -> None:
        for number in range(3):
            script.send(str(number), 1, 69_000 - number, 100)

    def cancel(script: Script) -> None:
        script.cancel_all_orders(IID)

    script, venue = run([three, cancel], still(6), latency=LatencyConfig())
    assert len({event.ts_event for event in script.of("OrderAccepted")}) == 1
    assert len({event.ts_event for event in script.of("OrderCanceled")}) == 1
    assert venue.client.actions == 2


def test_commands_of_one_instant_and_class_share_a_draw_in_whatever_order_they_are_given() -> None:
    def mixed(script: Script) -> None:
        script.send("new", 1, 68_990, 100)
        script.cancel_order(script.orders["a"])
        script.send("newer", 1, 68_989, 100)
        script.cancel_order(script.orders["b"])

    def rest(script: Script) -> None:
        script.send("a", 1, 69_000, 100)
        script.send("b", 1, 68_999, 100)

    script, venue = run([rest, mixed], still(6), latency=LatencyConfig())
    placed = [event.ts_event for event in script.of("OrderAccepted")]
    assert len(set(placed[:2])) == len(set(placed[2:])) == 1
    assert len({event.ts_event for event in script.of("OrderCanceled")}) == 1
    assert venue.client.actions == 3


@pytest.mark.parametrize("quote_first", [False, True], ids=["a trade", "a quote that crosses"])
def test_a_fill_says_whether_a_trade_caused_it(*, quote_first: bool) -> None:
    # at 3 s either 100 are sold at our price, or the offers come down to it
    cause = (
        quote(IID, T0 + 3 * SECOND, 68_998, 500, 69_001, 500)
        if quote_first
        else trade(IID, T0 + 3 * SECOND, 69_001, 100, -1)
    )
    recorder = Recorder()
    run([lambda s: s.send("a", 1, 69_001, 100)], [*still(3), cause], recorder)
    assert [(fill.lots, fill.by_trade) for fill in recorder.fills] == [(100, not quote_first)]


def test_funding_goes_by_the_venues_clock_however_late_the_market_is_seen() -> None:
    lag, hour = 5 * SECOND, T0 + 3_600 * SECOND

    def seen_late(ts: int) -> QuoteTick:
        return QuoteTick(IID, price(69_000), price(69_001), size(500), size(500), ts, ts + lag)

    sold = TradeTick(
        IID,
        price(68_998),
        size(100),
        AggressorSide.SELLER,
        TradeId("1"),
        hour - 2 * SECOND,
        hour + 3 * SECOND,
    )
    recorder = Recorder()
    quotes = [seen_late(T0 + second * SECOND) for second in range(3_610)]
    # bought 100 lots two seconds before the hour: what the hour finds, though our screen shows five seconds before it
    run([lambda s: s.send("a", 1, 68_999, 100)], [depth(IID, T0, BIDS, ASKS), *quotes, sold], recorder)
    assert [fill.lots for fill in recorder.fills] == [100]
    [(ts_ns, amount, rate, mark)] = recorder.funding
    assert ts_ns == hour
    assert amount == pytest.approx(-rate * mark * Decimal("0.1"), abs=Decimal("1e-6"))
    assert recorder.minutes[-1] == T0 + 3_609 * SECOND


def test_a_question_about_an_order_on_its_way_is_no_error_and_its_answer_comes() -> None:
    script, _ = run(
        [lambda s: s.send("a", 1, 69_000, 100), lambda s: s.query_order(s.orders["a"])],
        still(4),
        latency=LatencyConfig(kind="constant", p50_ms=1_500.0),
    )
    assert [event.ts_event for event in script.of("OrderAccepted")] == [T0 + 2_500 * MS]


def test_a_refused_modify_leaves_the_order_where_it_was() -> None:
    def move(script: Script) -> None:
        order = script.orders["a"]
        script.modify_order(order, order.quantity, price(69_002))

    script, venue = run(
        [lambda s: s.send("a", 1, 69_000, 100), move],
        [*still(4), trade(IID, T0 + 3 * SECOND, 69_000, 550, -1)],
    )
    [event] = script.of("OrderModifyRejected")
    assert event.reason.startswith("Post only order would have immediately matched")
    # it kept its place behind 500: 550 traded, 50 are ours
    assert venue.ledger.position_lots == 50


def test_a_moved_order_goes_to_the_back_of_its_new_queue() -> None:
    def move(script: Script) -> None:
        order = script.orders["a"]
        script.modify_order(order, order.quantity, price(69_000))

    steps = [lambda s: s.send("a", 1, 69_001, 100), move]
    _, venue = run(steps, [*still(5), trade(IID, T0 + 3 * SECOND, 69_000, 530, -1)])
    assert venue.ledger.position_lots == 30  # 530 - 500 ahead


def test_an_ioc_takes_what_is_displayed_within_its_limit_and_the_rest_is_canceled() -> None:
    script, venue = run([lambda s: s.send("a", 1, 69_003, 1_200, time_in_force=TimeInForce.IOC)], still(4))
    assert [(e.last_px.as_double(), e.last_qty.as_double()) for e in script.of("OrderFilled")] == [
        (690.02, 0.5),
        (690.03, 0.5),
    ]
    assert script.orders["a"].status == OrderStatus.CANCELED
    assert venue.ledger.maker_fills == 0
    # 345.01 and 345.015 at 0.009 % are 0.0310509 and 0.03105135, each cut: 0.031050 + 0.031051
    assert venue.ledger.fees == Decimal("0.062101")


def test_a_reduce_only_order_shrinks_with_the_position_and_may_be_below_the_smallest_value() -> None:
    steps = [
        lambda s: s.send("in", 1, 69_002, 10 + 10, time_in_force=TimeInForce.IOC),
        lambda s: s.send("out", -1, 69_010, 500, reduce_only=True),
        lambda s: s.send("flat", -1, 69_000, 20, time_in_force=TimeInForce.IOC),
    ]
    script, venue = run(steps, still(6))
    assert script.orders["out"].quantity == size(20)
    assert script.orders["out"].status == OrderStatus.CANCELED
    assert venue.ledger.position_lots == 0


def test_a_cancel_that_loses_the_race_leaves_the_fill() -> None:
    steps = [lambda s: s.send("a", 1, 69_001, 100), lambda s: s.cancel_order(s.orders["a"])]
    # the trade comes 50 ms after the cancel was sent, the cancel needs 100
    script, venue = run(steps, [*still(5), trade(IID, T0 + 2 * SECOND + 50 * MS, 69_001, 100, -1)])
    assert script.orders["a"].status == OrderStatus.FILLED
    assert venue.ledger.position_lots == 100


def test_a_fresh_quote_decides_on_post_only_before_the_slower_book_does() -> None:
    data = [*still(1), quote(IID, T0 + SECOND // 2 + MS, 68_990, 10, 68_992, 10)]
    data += [depth(IID, T0 + 3 * SECOND, [(68_990, 10)], [(68_992, 10)])]
    script, _ = run([lambda s: s.send("a", 1, 68_995, 100)], data)
    [event] = script.of("OrderRejected")
    assert "bbo was 689.9@689.92" in event.reason


def test_nothing_is_left_resting_when_the_strategy_stops() -> None:
    class Stopping(Script):
        def on_stop(self) -> None:
            self.cancel_all_orders(IID)

    engine = make_engine()
    venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=VenueConfig(), seed=1)
    load(engine, still(4))
    script = Stopping([lambda s: s.send("a", 1, 69_000, 100)])
    engine.add_strategy(script)
    engine.run()
    assert script.orders["a"].status == OrderStatus.CANCELED
    assert venue.ledger.resting_tick_lots == (0, 0)
    engine.dispose()


def test_what_is_on_its_way_when_the_data_ends_does_not_trade_but_cancels_take_effect() -> None:
    class Stopping(Script):
        def on_stop(self) -> None:
            # the data ends at 2.0 s, actions sent at 1.9 s would arrive at 2.3 s
            assert self.clock.timestamp_ns() == T0 + 2 * SECOND
            self.cancel_order(self.orders["rests"])
            self.cancel_order(self.orders["late"])

    def late(script: Script) -> None:
        order = script.orders["moves"]
        script.modify_order(order, order.quantity, price(69_003))
        script.send("taker", 1, 69_005, 100, time_in_force=TimeInForce.IOC)
        script.send("late", 1, 69_001, 100)

    engine = make_engine()
    recorder = Recorder()
    config = VenueConfig(latency=LatencyConfig(kind="constant", p50_ms=400.0))
    venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=config, seed=1, listener=recorder)
    load(engine, [depth(IID, T0 + i * SECOND // 2, BIDS, ASKS) for i in range(5)])
    script = Stopping([])
    start = script.on_start

    def on_start() -> None:
        start()
        script.send("rests", 1, 69_000, 100)
        script.send("moves", 1, 68_999, 100, post_only=False)
        script.clock.set_time_alert_ns("late", T0 + 1_900 * MS, lambda _event: late(script))

    script.on_start = on_start
    engine.add_strategy(script)
    engine.run()
    venue.finish()
    assert recorder.fills == []
    status = {name: order.status for name, order in script.orders.items()}
    assert status["rests"] == status["late"] == status["taker"] == OrderStatus.CANCELED
    # neither was ever at the venue, which refused nothing
    assert script.orders["taker"].venue_order_id is None
    assert script.of("OrderRejected") == script.of("OrderCancelRejected") == []
    # its new terms were dropped, and nobody canceled it
    assert venue.ledger.resting_tick_lots == (68_999 * 100, 0)
    engine.dispose()


def test_funding_is_paid_at_the_hour_on_the_oracle_and_the_rate_that_the_data_brings() -> None:
    start = T0 + 3598 * SECOND
    hour = T0 + 3600 * SECOND
    data: list[Any] = [depth(IID, start + i * SECOND, BIDS, ASKS) for i in range(12)]
    data += [IndexPriceUpdate(IID, price(70_000), start, start)]
    data += [FundingRateUpdate(IID, Decimal("0.0001"), hour + 100 * MS, hour + 100 * MS)]

    class Buyer(Script):
        def on_start(self) -> None:
            self.send("a", 1, 69_002, 100, time_in_force=TimeInForce.IOC)

    engine = make_engine()
    recorder = Recorder()
    config = VenueConfig(latency=NO_LATENCY)
    venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=config, seed=1, listener=recorder)
    load(engine, data)

    class Later(Script):
        def on_start(self) -> None:
            self.clock.set_time_alert_ns("buy", start + SECOND // 2, self.buy)

        def buy(self, _event: Any) -> None:
            self.send("a", 1, 69_002, 100, time_in_force=TimeInForce.IOC)

    engine.add_strategy(Later([]))
    engine.run()
    # 0.1 x 700.00 x 0.0001 = 0.007, paid by the long, once
    assert [(amount, rate) for _, amount, rate, _ in recorder.funding] == [
        (Decimal("-0.007"), Decimal("0.0001"))
    ]
    assert venue.ledger.funding == Decimal("-0.007")
    engine.dispose()


def test_hours_without_a_rate_are_paid_at_the_named_default_over_a_gap_too() -> None:
    data: list[Any] = [depth(IID, T0 + i * SECOND // 2, BIDS, ASKS) for i in range(8)]
    data += [depth(IID, T0 + 3 * 3600 * SECOND + SECOND, BIDS, ASKS)]
    data += [depth(IID, T0 + 3 * 3600 * SECOND + 9 * SECOND, BIDS, ASKS)]
    recorder = Recorder()
    _, venue = run(
        [lambda s: s.send("a", 1, 69_002, 100, time_in_force=TimeInForce.IOC)],
        data,
        recorder,
        funding=FundingConfig(default_rate=Decimal("0.0001")),
    )
    # no oracle either: the mid 690.01 stands in. 0.1 x 690.01 x 0.0001 = 0.0069001, cut to 0.006900, three times
    assert [amount for _, amount, _, _ in recorder.funding] == [Decimal("-0.0069")] * 3
    # the first hour's payment, and the two hours of the gap
    assert venue.assumptions() == (
        "funding rate of 3 hours: default 0.0001 (the data has none)",
        "oracle: book mid stood in at 3 payments",
    )


def test_a_venue_that_found_all_it_needed_assumes_nothing() -> None:
    _, venue = run([lambda s: s.send("a", 1, 69_000, 100)], still(4))
    assert venue.assumptions() == ()


def test_markouts_are_the_last_quote_at_or_before_the_horizon() -> None:
    fill = T0 + 2 * SECOND
    data = [*still(3), trade(IID, fill, 69_001, 100, -1)]
    data += [quote(IID, T0, 69_000, 500, 69_002, 500)]
    data += [quote(IID, fill + SECOND, 69_010, 500, 69_012, 500)]  # exactly at one second: counts
    data += [quote(IID, fill + SECOND + 1, 69_020, 500, 69_022, 500)]  # one nanosecond later: does not
    data += [quote(IID, fill + 5 * SECOND + 1, 69_030, 500, 69_032, 500)]
    recorder = Recorder()
    run([lambda s: s.send("a", 1, 69_001, 100)], data, recorder)
    # 30 s and 60 s lie beyond the data
    assert recorder.markouts == [
        (0, 0, pytest.approx(690.01)),
        (0, 1, pytest.approx(690.11)),
        (0, 5, pytest.approx(690.21)),
    ]


def test_an_hour_of_quoting_agrees_with_nautilus_own_margin_account() -> None:
    instrument = make_instrument("UNFROZEN")
    engine = make_engine()
    config = VenueConfig(
        starting_equity=Decimal(100_000), account="nautilus", funding=FundingConfig(enabled=False)
    )
    recorder = Recorder()
    venue = add_simulated_venue(engine, instrument=instrument, config=config, seed=5, listener=recorder)
    load(engine, generate(instrument.id, 3600, trades_per_s=0.5, move=0.1))
    engine.add_strategy(Quoter(QuoterConfig(instrument_id=instrument.id, levels=2)))
    engine.run()
    account = engine.portfolio.account(instrument.id.venue)
    assert len(recorder.fills) >= 200
    assert venue.ledger.crossings > 0
    assert abs(account.balance_total(USDH).as_decimal() - venue.ledger.balance) < Decimal("0.0001")
    net = engine.portfolio.net_position(instrument.id)
    assert net == venue.ledger.position
    engine.dispose()


def test_the_same_seed_gives_the_same_fills_and_another_seed_other_ones() -> None:
    def fills(seed: int) -> list[tuple[int, int, int]]:
        engine = make_engine()
        recorder = Recorder()
        add_simulated_venue(engine, instrument=INSTRUMENT, config=VenueConfig(), seed=seed, listener=recorder)
        load(engine, generate(IID, 300))
        engine.add_strategy(Quoter(QuoterConfig(instrument_id=IID)))
        engine.run()
        engine.dispose()
        return [(fill.ts_ns, fill.side * fill.lots, fill.price_ticks) for fill in recorder.fills]

    assert fills(1) == fills(1)
    assert fills(1) != fills(2)


def test_a_flat_engine_keeps_no_closed_positions_and_loses_no_realized_pnl() -> None:
    def realized(*, flat: bool) -> tuple[Any, int]:
        engine = make_engine()
        venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=VenueConfig(), seed=1)
        if flat:
            keep_engine_flat(engine, venue)
        load(engine, generate(IID, 600, trades_per_s=2.0))
        engine.add_strategy(Quoter(QuoterConfig(instrument_id=IID, levels=1, limit=100)))
        engine.run()
        pnls = engine.portfolio.analyzer.realized_pnls(USDH)
        kept = engine.cache.positions_closed_count()
        engine.dispose()
        return pnls, kept

    (with_care, kept), (without, _) = realized(flat=True), realized(flat=False)
    assert len(with_care) > 10
    assert with_care.tolist() == without.tolist()
    assert kept == 0


def test_size_that_comes_back_after_the_level_we_emptied_had_gone_can_be_taken_again() -> None:
    def take(script: Script) -> None:
        script.send(f"take-{len(script.orders)}", 1, 69_002, 500, time_in_force=TimeInForce.IOC)

    gone = ASKS[1:]
    data = [depth(IID, T0 + half * SECOND // 2, BIDS, gone if 5 <= half < 7 else ASKS) for half in range(16)]
    # all of the best offer after a second; the same size, still shown, is taken already; at 2.5 s it goes, at 3.5 s another comes
    script, venue = run([take, take, lambda _script: None, take], data)
    assert [fill.last_qty for fill in script.of("OrderFilled")] == [size(500), size(500)]
    assert [event.client_order_id for event in script.of("OrderFilled")] == [
        script.orders[name].client_order_id for name in ("take-0", "take-2")
    ]
    assert venue.ledger.position_lots == 1_000
