"""
The fifteen acceptance cases of the earlier bot, T1 to T15, against the strategy in the engine.

Each names the old check, made with mocks at a price of 6,900, and what is asked here, where the strategy quotes a market at 690
with ticks of 0.01 and lots of 0.001, equity 1,000 and leverage 10 (an exposure limit of 10,000), unless it says otherwise.
"""
# ruff: noqa: N802 - the earlier bot's numbers keep their capital

from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce

from amm500_nautilus import topics
from amm500_nautilus.quoting.book import BookAnalysis
from amm500_nautilus.quoting.config import BookConfig
from amm500_nautilus.quoting.config import LadderConfig
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.config import RebalanceConfig
from amm500_nautilus.quoting.config import SpreadBand
from amm500_nautilus.quoting.config import SpreadConfig
from amm500_nautilus.quoting.config import VolatilityConfig
from amm500_nautilus.risk.config import LeverageConfig
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.config import TakerConfig
from tests.simulation.market import depth
from tests.simulation.market import quote
from tests.strategy.scene import APART
from tests.strategy.scene import IID
from tests.strategy.scene import INSTRUMENT
from tests.strategy.scene import Probe
from tests.strategy.scene import Scene
from tests.strategy.scene import book
from tests.strategy.scene import ns
from tests.strategy.scene import play
from tests.strategy.scene import seconds
from tests.strategy.scene import still
from tests.strategy.scene import sweep


BUY, SELL = 1, -1
FAR_BELOW, FAR_ABOVE, HUGE = 68_500, 69_500, 100_000
# a volatility that is known within the minute of a scene
QUICK = VolatilityConfig(half_life_secs=10.0)
# the ladder of T9 and T10: 2 to 20 bp, a side of 2,000
WIDE = QuotingConfig(
    ladder=LadderConfig(size_fraction=0.2),
    spread=SpreadConfig(bands=(SpreadBand(below=float("inf"), min_bps=2.0, max_bps=20.0),)),
)


def shown(second: float, *, bid_lots: int, ask_lots: int, levels: int = 10) -> list[Any]:
    """A touch at 69,000 and 69,001 with so many lots on each of its levels."""
    ts = ns(second)
    bids = [(69_000 - k * APART, bid_lots) for k in range(levels)]
    asks = [(69_001 + k * APART, ask_lots) for k in range(levels)]
    return [quote(IID, ts, 69_000, bid_lots, 69_001, ask_lots), depth(IID, ts, bids, asks)]


def readings(data: list[Any], at: float) -> BookAnalysis:
    """Return how the strategy reads its book at a second."""
    found: list[BookAnalysis] = []
    play(data, [(at, lambda maker: found.append(maker.engine.book.analyze(ns(at))))])
    return found[0]


def half_spreads(scene: Scene, at: float) -> tuple[float, float]:
    factors = scene.at(at).factors
    return factors["min_bps"], factors["max_bps"]


def fair_ticks(maker: Probe) -> float:
    return (maker.engine.book.bid_ticks + maker.engine.book.ask_ticks) / 2


# -- book --------------------------------------------------------------------------------------------------------------


def test_T1_analyze_order_book() -> None:
    """
    Old: the analysis has depth on both sides, an imbalance between -1 and 1 and a weighted mid over zero.

    Here: the same of the book that the engine delivered, with figures: 3,000 lots against 1,000 on each of ten levels are an
    imbalance near 0.5, and the heavier bid draws the microprice to the offer.
    """
    data = [row for half in range(16) for row in shown(half / 2, bid_lots=3_000, ask_lots=1_000)]
    book_now = readings(data, 6.1)
    assert isinstance(book_now, BookAnalysis)
    # ten levels 8 apart, 690 to 689.28: 3 * sum = 20,689.2; the offers are a third of it and a little dearer
    assert book_now.bid_depth == pytest.approx(3.0 * sum(690 - 0.08 * k for k in range(10)))
    assert book_now.ask_depth == pytest.approx(1.0 * sum(690.01 + 0.08 * k for k in range(10)))
    assert -1 <= book_now.imbalance <= 1
    assert book_now.imbalance == pytest.approx(0.5, abs=0.001)
    # (69,000 * 1,000 + 69,001 * 3,000) / 4,000
    assert book_now.microprice_ticks == pytest.approx(69_000.75)


def test_T2_book_liquidity_check() -> None:
    """
    Old: ten levels of 100 lots are liquid, a single level of one lot is not (5,000 a side).

    Here: the first is quoted, and in the second nothing rests, with the reason.
    """
    deep = play(still(10))
    assert deep.at(9).state == "quoting"
    assert deep.sent("place")
    thin = play([row for half in range(20) for row in shown(half / 2, bid_lots=1, ask_lots=1, levels=1)])
    assert thin.at(9).reasons == ("illiquid",)
    assert thin.maker.commands == []
    # and a liquid market that thins is left, once what was seen below the touch is too old: 15 s
    gone = [row for half in range(50) for row in shown(10 + half / 2, bid_lots=1, ask_lots=1, levels=1)]
    resting: list[int] = []
    left = play([*still(10), *gone], [(34.5, lambda maker: resting.append(len(maker.resting())))])
    assert left.at(34).reasons == ("illiquid",)
    assert resting == [0]
    assert BookConfig().min_side_depth == 5_000


# -- spread ------------------------------------------------------------------------------------------------------------


def test_T3_calculate_spread_low_vol() -> None:
    """
    Old: with prices in steps of 0.1 the first half-spread is at least 1 bp, the last at most 50, and larger than the first.

    Here: the same of a market that moves by a tick, and the band is the lowest: 1 to 5 bp.
    """
    data = [row for half in range(120) for row in book(half / 2, 69_000 + half % 2)]
    scene = play(data, quoting=QuotingConfig(volatility=QUICK))
    low, high = half_spreads(scene, 58)
    assert 1 <= low < high <= 50
    assert scene.at(58).factors["base_min_bps"] == 1.0
    assert scene.at(58).factors["base_max_bps"] == 5.0


def test_T4_calculate_spread_high_vol() -> None:
    """
    Old: with noise of 50 around 6,900 and risk HIGH the first half-spread is over 2 bp and the last over 20.

    Here: the same of the strategy's own volatility and its own risk level, which the noise alone makes HIGH.
    """
    # 5 of 690 are what 50 of 6,900 were
    noise = np.random.default_rng(4).normal(0.0, 500.0, 120).round().astype(int)
    data = [row for half in range(120) for row in book(half / 2, 69_000 + int(noise[half]))]
    levels: list[Any] = []

    def listen(maker: Probe) -> None:
        maker.msgbus.subscribe(topic=topics.RISK, handler=levels.append)

    scene = play(data, before=listen, quoting=QuotingConfig(volatility=QUICK))
    assert "HIGH" in [said.reason for said in levels if said.subject == "level"]
    low, high = half_spreads(scene, 58)
    assert low > 2
    assert high > 20
    assert scene.at(58).factors["risk_level"] == 1.8


def test_T5_adverse_selection_widens_spread() -> None:
    """
    Old: after ten buys at 6,900 and ten sells at 6,895 the first half-spread is over 3 bp.

    Here: bought at 690, sold at 689.5, a realised spread of -7 bp: over 3 bp, while the same market without the fills is under.
    """
    # one band for every volatility: what widens is the fills
    steady = QuotingConfig(
        spread=SpreadConfig(bands=(SpreadBand(below=float("inf"), min_bps=2.0, max_bps=10.0),)),
    )
    market = [*still(15), *still(40, bid=68_900, start=15)]
    fills = [sweep(10.2, 68_800, HUGE, SELL), sweep(20.2, 69_050, HUGE, BUY)]
    with_fills = play([*market, *fills], quoting=steady)
    sides = [event.order_side for event in with_fills.maker.of("OrderFilled")]
    assert min(sides.count(OrderSide.BUY), sides.count(OrderSide.SELL)) >= 3
    without = play(market, quoting=steady)
    assert half_spreads(with_fills, 25)[0] > 3 > half_spreads(without, 25)[0]
    assert with_fills.at(25).factors["fading"] > 1


# -- skew --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reached", "aggressor", "sign"),
    [
        pytest.param(FAR_BELOW, SELL, 1, id="T6_inventory_skew_long"),
        pytest.param(FAR_ABOVE, BUY, -1, id="T7_inventory_skew_short"),
    ],
)
def test_T6_T7_inventory_skew(reached: int, aggressor: int, sign: int) -> None:
    """
    Old: at delta 0.03 the bid's multiple is over 1 and the ask's under 1; at -0.03 the reverse.

    Here: the same of a position that fills brought, and the quotes move with it: the side that would add lies further away.
    """
    scene = play([*still(30), sweep(10.2, reached, HUGE, aggressor), sweep(18.2, reached, HUGE, aggressor)])
    sample = scene.at(19)
    assert sample.delta * sign >= 0.03
    adding, reducing = ("bid_skew", "ask_skew") if sign > 0 else ("ask_skew", "bid_skew")
    assert sample.factors[adding] > 1
    assert sample.factors[reducing] < 1
    # at 0.02, before the second fill, both sides rest: the one that adds lies further from the mid of 69,000.5
    before = scene.at(15)
    assert before.bid_ticks is not None
    assert before.ask_ticks is not None
    assert ((69_000.5 - before.bid_ticks) - (before.ask_ticks - 69_000.5)) * sign > 0


def report(maker: Probe, **info: Any) -> None:
    """Let the venue's account say what a test wants it to."""
    account = maker.cache.account_for_venue(IID.venue)
    last = account.last_event
    maker.venue.client.generate_account_state(
        balances=last.balances,
        margins=last.margins,
        reported=True,
        ts_event=maker.clock.timestamp_ns(),
        info={**last.info, **info},
    )


def test_T8_inventory_skew_usdh_margin() -> None:
    """
    Old: at delta 0.02 and a margin ratio of 0.85 the bid's multiple is over 1.5.

    Here: the same of an account that reports 0.85: 1 + 2 * 0.4 * (1 + 0.15 * 3) = 2.16 at 0.02; without margin it is 1.8.
    The leverage, which the risk engine would lower at that ratio, is held, so that delta stays what it was.
    """
    steps = [(14.2, lambda maker: report(maker, equity="1000.000000", margin_ratio=0.85))]
    held = RiskConfig(leverage=LeverageConfig(enabled=False))
    scene = play([*still(20), sweep(10.2, FAR_BELOW, HUGE, SELL)], steps, risk=held)
    delta = scene.at(15).delta
    assert delta == pytest.approx(0.02, abs=0.0005)
    assert scene.at(14).factors["bid_skew"] == pytest.approx(1 + 2 * delta / 0.05, abs=0.001)
    assert scene.at(15).factors["bid_skew"] == pytest.approx(1 + 2 * delta / 0.05 * 1.45, abs=0.001)
    assert scene.at(15).factors["bid_skew"] > 1.5


# -- ladder ------------------------------------------------------------------------------------------------------------


def test_T9_build_tiered_quotes() -> None:
    """
    Old: 2 to 20 bp and size 10 quote both sides, the second gap is at least 0.9 of the first, the five nearest hold over 60 %.

    Here: the same of the orders that rest: every gap is at least 0.9 of the one before it, to the tick that a price is rounded by.
    """
    resting: list[tuple[int, int, int]] = []
    play(still(8), [(6, lambda maker: resting.extend(maker.resting()))], quoting=WIDE)
    for side in (BUY, SELL):
        levels = sorted((-ticks * side, ticks, lots) for mine, ticks, lots in resting if mine == side)
        assert len(levels) == 15
        prices = [ticks for _, ticks, _ in levels]
        gaps = [abs(later - earlier) for earlier, later in pairwise(prices)]
        assert all(later >= 0.9 * earlier - 1 for earlier, later in pairwise(gaps))
        assert gaps[-1] > 2 * gaps[0]
        lots = [count for _, _, count in levels]
        assert sum(lots[:5]) / sum(lots) > 0.6


def test_T10_tiered_quotes_lot_size() -> None:
    """
    Old: with size 1 every order has at least 0.1, the lot that was assumed.

    Here: with the instrument's lot of 0.001: every order is a whole number of lots and worth the venue's 10 at least.
    """
    orders: list[Any] = []
    play(
        still(8),
        [(6, lambda maker: orders.extend(maker.cache.orders_open(instrument_id=IID)))],
        quoting=WIDE,
    )
    assert len(orders) == 30
    lot = INSTRUMENT.size_increment.as_decimal()
    assert lot == Decimal("0.001")
    for order in orders:
        quantity = order.quantity.as_decimal()
        assert quantity >= lot
        assert quantity % lot == 0
        assert quantity * order.price.as_decimal() >= 10


# -- rebalancing -------------------------------------------------------------------------------------------------------


def rebalancing(scene: Scene) -> list[tuple[float, Any, bool, bool]]:
    """Return second, time in force, reduce-only and side of everything reduce-only that was sent, oldest first."""
    orders = [order for order in scene.maker.cache.orders(instrument_id=IID) if order.is_reduce_only]
    return sorted(
        (seconds(order.ts_init), order.time_in_force, order.is_post_only, order.is_buy) for order in orders
    )


def test_T11_check_rebalance_triggers() -> None:
    """
    Old: no IOC order at delta 0.01; at 0.02 exactly one.

    Here: at 0.01 nothing; at 0.02 one passive reduce-only order at the touch first, and one IOC order once the patience is over.
    Both taker caps, of all time and of the hour, are set so that the one may take it all.
    """
    rebalance = RebalanceConfig(patience_secs=20.0, taker_cap=0.5, ioc_cooldown_secs=30.0)
    risk = RiskConfig(taker=TakerConfig(cap=0.5))
    filled = [*still(60), sweep(10.2, FAR_BELOW, HUGE, SELL)]

    half = QuotingConfig(ladder=LadderConfig(size_fraction=0.01), rebalance=rebalance)
    below = play(filled, quoting=half, purge_after_ms=10_000_000)
    assert below.at(15).delta == pytest.approx(0.01, abs=0.0005)
    assert rebalancing(below) == []

    above = play(filled, quoting=QuotingConfig(rebalance=rebalance), risk=risk, purge_after_ms=10_000_000)
    assert above.at(15).delta == pytest.approx(0.02, abs=0.0005)
    passive, taking = rebalancing(above)[:2]
    assert passive == (11.0, TimeInForce.GTC, True, False)
    assert taking == (31.0, TimeInForce.IOC, False, False)
    assert len(rebalancing(above)) == 2
    assert abs(above.at(40).delta) < 0.015


def test_T12_rebalance_cancels_quotes() -> None:
    """
    Old: at delta 0.02 no bid is left.

    Here: at 0.02 bids rest, further away; beyond 0.025 no order is left that would add to it, and the orders that rest
    can bring the position to no other side by more than they could from flat.
    """
    resting: dict[float, list[tuple[int, int, int]]] = {}
    steps = [(at, lambda maker, at=at: resting.update({at: maker.resting()})) for at in (16.5, 26.5)]
    scene = play([*still(30), sweep(10.2, FAR_BELOW, HUGE, SELL), sweep(20.2, FAR_BELOW, HUGE, SELL)], steps)
    assert 0.015 < scene.at(16).delta < 0.025
    assert {side for side, _, _ in resting[16.5]} == {BUY, SELL}
    assert scene.at(26).delta > 0.025
    assert {side for side, _, _ in resting[26.5]} == {SELL}
    # short by the offers, at most the 0.02 of a side with what rests reduce-only in front of them
    sold = sum(lots for _, _, lots in resting[26.5])
    assert (sold - scene.maker.inventory.lots) * 0.69 / 10_000 < 0.025


def test_T13_usdh_margin_refresh() -> None:
    """
    Old: a refresh sets margin used 500 and ratio 0.75, from a call of the venue.

    Here: both come with an ``AccountState``, and the quotes and the risk engine use them until the venue reports again.
    """
    seen: dict[float, tuple[float, float, str, float]] = {}

    def look(maker: Probe) -> None:
        account = maker._account
        said = maker.cache.account_for_venue(IID.venue).last_event.info["margin_used"]
        echo = maker.guard.echo.equity(0.0)
        seen[seconds(maker.clock.timestamp_ns())] = (account.equity, account.margin_ratio, said, echo)

    said = {"equity": "990.000000", "margin_used": "500.000000", "margin_ratio": 0.75}
    steps = [(5.1, look), (5.2, lambda maker: report(maker, **said)), (5.3, look)]
    decisions: list[Any] = []
    scene = play(
        still(10),
        steps,
        before=lambda maker: maker.msgbus.subscribe(topic=topics.RISK, handler=decisions.append),
    )
    assert seen[5.1][0] == 1_000.0
    assert seen[5.1][1] < 0.1
    assert seen[5.3] == (990.0, 0.75, "500.000000", pytest.approx(990.0))
    # the risk engine takes the ratio for its own, as the venue's reckoning of an account that it knows better
    assert [
        (seconds(said.ts_ns), said.reason, said.numbers["margin_score"])
        for said in decisions
        if said.subject == "level"
    ] == [(6.0, "HIGH", 3)]
    # delta is measured against 9,900 instead of 10,000, and flat is still flat
    assert scene.at(9).state == "quoting"


def test_T14_one_sided_quoting_extreme_delta() -> None:
    """
    Old: at delta 0.03 only asks, and the bids are cancelled.

    Here: the same of what rests at the venue, with the reason, and the bids that rested before are canceled, not filled.
    """
    bids: list[str] = []
    resting: list[tuple[int, int, int]] = []

    def note(maker: Probe) -> None:
        bids.extend(key for key, slot in maker._orders.slots.items() if slot.resting.side == BUY)

    scene = play(
        # the second fill takes the nearest bids only
        [*still(30), sweep(10.2, FAR_BELOW, HUGE, SELL), sweep(20.2, 68_930, HUGE, SELL)],
        [(19.9, note), (25.5, lambda maker: resting.extend(maker.resting()))],
    )
    assert scene.at(25).delta > 0.025
    assert scene.at(25).state == "one_sided"
    assert scene.at(25).reasons == ("one_sided",)
    assert {side for side, _, _ in resting} == {SELL}
    canceled = {event.client_order_id.value for event in scene.maker.of("OrderCanceled")}
    filled = {event.client_order_id.value for event in scene.maker.of("OrderFilled")}
    assert set(bids) <= canceled | filled
    assert set(bids) & canceled - filled


def test_T15_full_iteration_cycle() -> None:
    """
    Old: start, then running; an iteration reads the book.

    Here: STARTING while there is no book, RUNNING with the first, the book read, orders sent, accepted and filled, the position
    booked, everything gone at the stop.
    """
    states: list[Any] = []

    def listen(maker: Probe) -> None:
        maker.msgbus.subscribe(topic=topics.RISK, handler=states.append)

    # quotes and books begin at 5; until then there are only trades of others
    early = [sweep(second / 2, 69_000, 1, BUY) for second in range(10)]
    data = [*early, *still(20, start=5), sweep(12.2, 68_960, 20, SELL)]
    scene = play(data, before=listen)
    said = [(seconds(decision.ts_ns), decision.reason) for decision in states if decision.subject == "state"]
    assert said[0][1] == "STARTING"
    assert [reason for _, reason in said] == ["STARTING", "RUNNING"]
    assert said[1][0] == 5.0
    assert scene.sent("place")[0] >= 5.0
    assert scene.maker.engine.book.bid_ticks == 69_000
    assert scene.at(8).state == "quoting"
    assert scene.maker.of("OrderAccepted")
    assert scene.maker.inventory.lots == 20
    assert scene.maker.resting() == []
