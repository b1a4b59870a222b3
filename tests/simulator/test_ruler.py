"""The ruler: what it reads off the recordings, and off hand-made markets whose figures are known."""

from dataclasses import replace

import numpy as np
import pytest

from amm500_catalog.calibrate import compare
from amm500_catalog.calibrate import measure
from amm500_catalog.calibrate import measure_recording
from amm500_catalog.calibrate import measure_samples
from amm500_catalog.calibrate_samples import Sample
from amm500_catalog.calibrate_samples import half_of
from amm500_catalog.calibrate_samples import read_recording
from amm500_catalog.errors import InputError


SECOND = 1_000_000_000
RECORDING = "data/hl_l2_20250904"
SAMPLES = "data/km_us500_2026-01/bbo.csv"


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("coin", "one", "five"), [("BTC", -0.154, -0.709), ("ETH", -0.446, -1.944), ("SOL", -0.065, -0.041)]
)
def test_the_recorded_maker_markouts_are_the_known_ones(shared_dir, coin, one, five):
    found = measure_recording(shared_dir / RECORDING, coin)
    assert found.markout[1] == pytest.approx(one, abs=0.02)
    assert found.markout[5] == pytest.approx(five, abs=0.02)


@pytest.mark.real_data
@pytest.mark.parametrize(("coin", "deviations"), [("BTC", (0.40, 0.55, 0.60)), ("ETH", (0.91, 1.09, 1.10))])
def test_the_recorded_deviations_are_the_known_ones(shared_dir, coin, deviations):
    found = measure_recording(shared_dir / RECORDING, coin)
    assert [found.deviation[h] for h in (1, 5, 10)] == pytest.approx(deviations, abs=0.02)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("coin", "one", "five"), [("BTC", -0.38, -0.57), ("ETH", -0.49, -0.80), ("SOL", -0.06, -0.01)]
)
def test_the_recorded_markouts_in_deviations_are_the_toxicity_levels(shared_dir, coin, one, five):
    found = measure_recording(shared_dir / RECORDING, coin)
    assert found.scaled_markout(1) == pytest.approx(one, abs=0.01)
    assert found.scaled_markout(5) == pytest.approx(five, abs=0.01)


@pytest.mark.real_data
def test_the_polled_quotes_of_km_trend_over_seconds(shared_dir):
    found = measure_samples(shared_dir / SAMPLES)
    assert [found.deviation[h] for h in (1, 5, 10, 30)] == pytest.approx((0.10, 0.15, 0.17, 0.20), abs=0.01)
    assert found.spread_ticks == {"p50": 1.0, "p90": 4.0, "p99": 7.0}


@pytest.mark.real_data
def test_a_coin_that_was_not_recorded_is_named(shared_dir):
    with pytest.raises(InputError, match="DOGE_orderbooks"):
        read_recording(shared_dir / RECORDING, "DOGE")


def _market(mids: list[tuple[float, float]], trades: list[tuple[float, float, float, float]]) -> Sample:
    """Quotes (second, mid) one tick of 0.02 wide and trades (second, price, size, side of the taker)."""
    ts = np.array([round(t * SECOND) for t, _ in mids], dtype=np.int64)
    mid = np.array([m for _, m in mids])
    columns = np.array(trades, dtype=float).reshape(-1, 4)
    return Sample(
        name="made",
        tick=0.02,
        ts=ts,
        bid=mid - 0.01,
        ask=mid + 0.01,
        book_ts=ts,
        book_spread=np.full(len(ts), 0.02),
        top_sizes=np.full(2 * len(ts), 10.0),
        trade_ts=np.round(columns[:, 0] * SECOND).astype(np.int64),
        price=columns[:, 1],
        size=columns[:, 2],
        side=columns[:, 3],
    )


def _beat(level: float, until: int, start: int = 0) -> list[tuple[float, float]]:
    return [(float(t), level) for t in range(start, until)]


def test_a_maker_who_sold_before_a_rise_has_a_negative_markout():
    # sold at 100.01, the mid is 100.05 one second later: -(100.05 - 100.01) / 100.01 = -4.0 bp
    found = measure(_market([*_beat(100.0, 10), *_beat(100.05, 80, 10)], [(9.5, 100.01, 1.0, 1.0)]))
    assert found.markout[1] == pytest.approx(-0.04 / 100.01 * 1e4)


def test_a_markout_uses_the_last_quote_at_or_before_the_horizon():
    # one second after 9.5 is 10.5; the quote of 10.5 counts, that of 10.6 does not
    quotes = [*_beat(100.0, 10), (10.5, 100.02), (10.6, 101.0), *_beat(101.0, 90, 11)]
    found = measure(_market(quotes, [(9.5, 99.99, 1.0, -1.0)]))
    assert found.markout[1] == pytest.approx((100.02 - 99.99) / 99.99 * 1e4)


def test_markouts_are_weighted_by_size():
    quotes = [*_beat(100.0, 10), *_beat(100.05, 90, 10)]
    # sellers to the bid gain 0.06, a buyer at the ask costs the maker 0.04: (3 * 0.06 - 1 * 0.04) / 4 = 0.035
    found = measure(_market(quotes, [(9.5, 99.99, 3.0, -1.0), (9.5, 100.01, 1.0, 1.0)]))
    assert found.markout[1] == pytest.approx(0.035 / 100 * 1e4, rel=1e-3)


def test_a_fill_whose_longest_markout_is_outside_the_data_does_not_count():
    found = measure(_market(_beat(100.0, 80), [(5.0, 99.99, 1.0, -1.0), (30.0, 99.99, 1.0, -1.0)]))
    assert found.markout_fills == 1


def test_nothing_is_measured_across_a_gap():
    # the price jumps by 10 % over a gap of an hour, and stands still otherwise
    quotes = [*_beat(100.0, 100), *((t + 3600.0, 110.0) for t in range(100, 200))]
    found = measure(_market(quotes, [(60.0, 99.99, 1.0, -1.0)]))
    assert found.deviation[1] == 0.0
    assert found.deviation[60] == 0.0
    assert found.markout_fills == 0
    assert np.isnan(found.momentum)
    assert found.foreknown is None


def test_a_price_that_turns_every_five_seconds_has_a_past_that_tells_the_opposite_of_the_next():
    # up 0.01 a second for 5 s, then down: the move of any 5 s is undone by the next 5 s
    found = measure(_market([(t / 10, 100.0 + abs(t % 100 - 50) / 1000) for t in range(3000)], []))
    assert found.momentum == pytest.approx(-1.0, abs=0.001)
    assert found.foreknown == pytest.approx(1.0, abs=0.001)


def test_a_price_that_turns_every_twenty_seconds_trends_over_five():
    # the same wave four times as slow: an eighth of a period apart, the moves mostly agree
    found = measure(_market([(t / 10, 100.0 + abs(t % 400 - 200) / 1000) for t in range(8000)], []))
    assert 0.4 < found.momentum < 0.9


def test_a_walk_without_memory_is_foreknown_only_by_an_imbalance_that_knows():
    walk = 100.0 + 0.001 * np.cumsum(np.random.default_rng(1).standard_normal(6000))
    blind = _market([(float(t), m) for t, m in enumerate(walk)], [])
    found = measure(blind)
    assert found.momentum == pytest.approx(0.0, abs=0.06)
    assert found.foreknown == pytest.approx(0.0, abs=0.01)
    # (bid - ask) / (bid + ask) = 50 x the next 5 s' move, where the sizes add up to 20
    later = np.append(walk[5:] - walk[:-5], np.zeros(5))
    lean = 10.0 * np.clip(50.0 * later, -0.99, 0.99)
    knowing = replace(blind, top_sizes=np.concatenate([10.0 + lean, 10.0 - lean]))
    assert measure(knowing).foreknown == pytest.approx(1.0, abs=0.001)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("coin", "momentum", "foreknown"), [("BTC", 0.17, 0.139), ("ETH", 0.016, 0.109), ("SOL", 0.13, 0.094)]
)
def test_the_recorded_past_five_seconds_tell_little_of_the_next_five(shared_dir, coin, momentum, foreknown):
    found = measure_recording(shared_dir / RECORDING, coin)
    assert found.momentum == pytest.approx(momentum, abs=0.01)
    assert found.foreknown == pytest.approx(foreknown, abs=0.005)


def test_two_halves_of_a_recording_share_nothing_and_leave_nothing_out():
    whole = _market(
        _beat(100.0, 80), [(5.0, 100.01, 1.0, 1.0), (40.0, 100.01, 2.0, 1.0), (79.0, 99.99, 3.0, -1.0)]
    )
    first, second = half_of(whole, first=True), half_of(whole, first=False)
    # the middle of 0 to 79 s is 39.5 s
    assert (first.size.tolist(), second.size.tolist()) == ([1.0], [2.0, 3.0])
    assert [s // SECOND for s in (first.ts[-1], second.ts[0])] == [39, 40]
    assert len(first.top_sizes) + len(second.top_sizes) == len(whole.top_sizes)


def test_a_straight_trend_has_a_deviation_that_grows_with_the_root_of_the_horizon():
    # 0.0001 a second on 100 is 0.01 bp a second: over h seconds 0.01 h bp, per root second 0.01 sqrt(h) bp
    found = measure(_market([(t / 10, 100.0 + t / 100_000) for t in range(3000)], []))
    assert found.deviation[1] == pytest.approx(0.01, rel=0.01)
    assert found.deviation[30] == pytest.approx(0.01 * 30**0.5, rel=0.01)
    assert found.trend < 0.2


def test_a_trade_beyond_the_last_best_quote_is_not_at_the_best_level():
    found = measure(_market(_beat(100.0, 80), [(5.0, 100.01, 1.0, 1.0), (5.0, 100.03, 1.0, 1.0)]))
    assert found.at_best == 0.5


def test_two_markets_are_compared_figure_by_figure():
    a = measure(_market(_beat(100.0, 80), [(5.0, 100.01, 1.0, 1.0)]))
    b = measure(_market(_beat(100.0, 80), [(5.0, 100.01, 2.0, 1.0)]))
    ratios = {name: ratio for name, _, _, ratio in compare(a, b)}
    assert ratios["trade size p50 / best level"] == pytest.approx(2.0)
    assert ratios["spread p50 (ticks)"] == pytest.approx(1.0)


def test_a_market_without_quotes_is_refused():
    with pytest.raises(InputError, match="no quotes"):
        measure(_market([], []))
