"""Marks, premium, funding, contexts and candles."""

from decimal import Decimal

import pytest

from amm500_nautilus.margin.funding import FundingTerms
from hyperliquid_hip3.parsing import parse_candles
from hyperliquid_loopback.book import Book
from hyperliquid_loopback.book import HouseChunk
from hyperliquid_loopback.candles import INTERVALS
from hyperliquid_loopback.candles import CandleStore
from hyperliquid_loopback.oracle import KM_TERMS
from hyperliquid_loopback.oracle import MarketState
from hyperliquid_loopback.types import BUY
from hyperliquid_loopback.types import SELL
from hyperliquid_loopback.types import CtxChanged
from hyperliquid_loopback.types import FundingPaid
from tests.loopback.core_scene import ALICE
from tests.loopback.core_scene import BOB
from tests.loopback.core_scene import COIN
from tests.loopback.core_scene import Scene
from tests.loopback.core_scene import order


HOUR_MS = 3_600_000


def book_of(bid="689.99", ask="690.01", size="100", last=None):
    book = Book(COIN)
    book.house_add(BUY, Decimal(bid), HouseChunk(1, "0xh", Decimal(size)))
    book.house_add(SELL, Decimal(ask), HouseChunk(2, "0xh", Decimal(size)))
    book.last_trade = None if last is None else Decimal(last)
    return book


def state_of(**more):
    return MarketState(COIN, 3, KM_TERMS, **more)


def test_the_mark_is_the_median_of_touch_and_last_trade():
    state = state_of()
    state.set_oracle(Decimal(691), book_of(last="690.5"), 0)
    assert state.mark == Decimal("690.01")
    state.set_oracle(Decimal(691), book_of(), 3_000)
    assert state.mark == 690


def test_deployer_marks_count_beside_the_local_one():
    state = state_of()
    marks = (Decimal("690.4"), Decimal("690.6"))
    state.set_oracle(Decimal(691), book_of(), 0, marks)
    assert state.mark == Decimal("690.4")


def test_an_update_within_two_and_a_half_seconds_is_not_taken():
    state, book = state_of(), book_of()
    assert state.set_oracle(Decimal(690), book, 0)
    assert not state.set_oracle(Decimal(691), book, 2_499)
    assert state.oracle == 690
    assert state.set_oracle(Decimal(691), book, 2_500)
    assert state.oracle == 691


def test_the_mark_moves_at_most_one_percent_an_update():
    state = state_of()
    state.set_oracle(Decimal(690), book_of(), 0)
    state.set_oracle(Decimal(600), book_of("600", "600.02"), 3_000)
    assert state.oracle == 600
    assert state.mark == Decimal("683.1")


def test_the_first_update_replaces_the_price_of_before_the_start_whatever_the_distance():
    state = state_of()
    state.seed(Decimal(500))
    assert state.mark == 500
    assert not state.refresh_stale(book_of(), 60_000)
    assert state.set_oracle(Decimal(690), book_of(), 60_000)
    assert state.mark == 690


def test_prices_stay_within_ten_times_the_days_first():
    state = state_of()
    state.set_oracle(Decimal(690), book_of(), 0)
    state.set_oracle(Decimal(10_000), book_of(), 3_000)
    assert state.oracle == 6_900


def test_a_stale_oracle_lets_the_mark_follow_the_book(scene):
    scene.ladder("690.2", "690.22")
    assert scene.exchange.mark(COIN) == 690
    scene.step(9_500)
    assert scene.exchange.mark(COIN) == 690
    scene.exchange.core.markets[COIN].book.clear_house()
    scene.ladder("691", "691.02")
    scene.step(1_000)
    assert scene.exchange.mark(COIN) == Decimal("691.01")
    assert CtxChanged(COIN) in scene.events
    assert scene.accounts.mark_of(COIN) == Decimal("691.01")
    assert scene.exchange.oracle(COIN) == 690


def test_a_premium_is_sampled_every_five_seconds_and_averaged():
    state, book = state_of(), book_of("690.68", "690.7")
    state.set_oracle(Decimal(690), book, 0)
    for now in range(5_000, 26_000, 1_000):
        state.sample(book, now)
    assert len(state.samples) == 5
    assert state.average() == state.premium(book) == Decimal("690.69") / 690 - 1
    # a premium of 0.1 % is beyond the clamp: (0.001 - 0.0003) / 8
    assert state.funding_rate() == Decimal("0.0000875")
    rate, premium = state.end_hour()
    assert rate == Decimal("0.0000875")
    assert premium == Decimal("0.001")
    assert state.samples == []


def test_without_a_premium_km_pays_the_recorded_baseline():
    assert state_of().funding_rate() == Decimal("0.0000057078")
    assert MarketState("xyz:SP500", 3, FundingTerms()).funding_rate() == Decimal("0.0000125")


def test_a_thin_book_gives_no_sample():
    state = state_of()
    state.set_oracle(Decimal(690), book_of(size="1"), 0)
    state.sample(book_of(size="1"), 10_000)
    assert state.samples == []


def test_longs_pay_shorts_on_the_oracle_price_at_the_first_block_of_the_hour(scene):
    scene.rest("A", "690", "4")
    scene.place(order("B", "690", "4", tif="Ioc"), user=BOB)
    rows = len(scene.universe.market.funding[COIN])
    hour = scene.now_ms // HOUR_MS + 1
    scene.step(hour * HOUR_MS - scene.now_ms - 1)
    assert scene.of(FundingPaid) == []
    scene.step(50)
    paid = {event.user: event.delta for event in scene.of(FundingPaid)}
    rate = Decimal(paid[BOB]["fundingRate"])
    assert rate > 0
    assert Decimal(paid[BOB]["usdc"]) == -(4 * 690 * rate).quantize(
        Decimal("0.000001"), rounding="ROUND_DOWN"
    )
    assert Decimal(paid[ALICE]["usdc"]) == -Decimal(paid[BOB]["usdc"])
    assert (paid[BOB]["szi"], paid[ALICE]["szi"]) == ("4.0", "-4.0")
    assert paid[BOB]["time"] == scene.now_ms
    record = scene.universe.market.funding[COIN][-1]
    assert (record["coin"], record["time"]) == (COIN, scene.now_ms)
    assert Decimal(record["fundingRate"]) == rate
    assert len(scene.universe.market.funding[COIN]) == rows + 1
    scene.step(70)
    assert scene.of(FundingPaid) == []
    # three hours at once are three payments
    scene.step(3 * HOUR_MS)
    assert len(scene.of(FundingPaid)) == 6


def test_a_context_has_the_recorded_keys_and_follows_the_market(scene):
    scene.place(order("B", "690.01", "2", tif="Ioc"))
    found = scene.exchange.ctx(COIN)
    assert list(found) == [
        "funding",
        "openInterest",
        "prevDayPx",
        "dayNtlVlm",
        "premium",
        "oraclePx",
        "markPx",
        "midPx",
        "impactPxs",
        "dayBaseVlm",
    ]
    assert (found["oraclePx"], found["markPx"], found["midPx"]) == ("690.0", "690.0", "690.0")
    assert (found["openInterest"], found["dayBaseVlm"], found["dayNtlVlm"]) == ("2.0", "2.0", "1380.02")
    # 6,000 of value: 8 contracts were left at 690.01, then 690.02
    assert found["impactPxs"] == ["689.99", "690.011"]
    scene.step(86_400_000)
    assert scene.exchange.ctx(COIN)["dayNtlVlm"] == "0.0"


def test_an_empty_book_has_no_middle_impact_or_premium():
    scene = Scene(ladder=False)
    found = scene.exchange.ctx(COIN)
    assert (found["midPx"], found["impactPxs"], found["premium"]) == (None, None, None)
    assert scene.exchange.bbo(COIN) == {"coin": COIN, "time": scene.now_ms, "bbo": [None, None]}
    scene.rest("B", "680")
    assert scene.exchange.bbo(COIN)["bbo"] == [{"px": "680.0", "sz": "1.0", "n": 1}, None]


def test_an_aggregated_book_has_its_spread(scene):
    found = scene.exchange.book(COIN, 20, 4)
    assert [side[0]["px"] for side in found["levels"]] == ["689.9", "690.1"]
    assert found["spread"] == "0.2"
    assert "spread" not in scene.exchange.book(COIN)


def test_candles_add_up_to_the_trades_and_to_each_other():
    store = CandleStore()
    minute = 60_000
    trades = [(0, "690", "1"), (30_000, "691", "2"), (59_999, "689", "1"), (2 * minute, "690.5", "3")]
    for ts_ms, price, size in trades:
        store.add(COIN, Decimal(price), Decimal(size), ts_ms)
    rows = store.rows(COIN, "1m", 0, 10 * minute)
    assert [(row["t"], row["T"], row["n"]) for row in rows] == [(0, 59_999, 3), (120_000, 179_999, 1)]
    assert (rows[0]["o"], rows[0]["h"], rows[0]["l"], rows[0]["c"], rows[0]["v"]) == (
        "690.0",
        "691.0",
        "689.0",
        "689.0",
        "4.0",
    )
    (five,) = store.rows(COIN, "5m", 0, 10 * minute)
    assert (five["o"], five["c"], five["v"], five["n"]) == ("690.0", "690.5", "7.0", 4)
    assert store.rows(COIN, "1m", minute, minute + 1) == []
    assert store.latest(COIN, "1m", 2 * minute + 5)["t"] == 2 * minute
    assert store.latest(COIN, "1m", 3 * minute) is None
    assert store.rows("km:NONE", "1m", 0, 1) == []
    assert len(parse_candles(rows)) == 2


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_of_the_venue_has_candles(scene, interval):
    scene.place(order("B", "690.01", "2", tif="Ioc"))
    (row,) = scene.exchange.candles(COIN, interval)
    assert (row["s"], row["i"], row["v"]) == (COIN, interval, "2.0")
    assert row["t"] <= scene.now_ms <= row["T"]


def test_a_coin_without_the_venues_trades_is_not_funded_while_halted(scene):
    scene.place(order("B", "690.01", "2", tif="Ioc"))
    scene.exchange.halt(COIN)
    scene.step(HOUR_MS)
    assert scene.of(FundingPaid) == []
