"""Volatility on a fixed clock: horizons, gaps, annualising."""

from math import log
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_nautilus.quoting.config import VolatilityConfig
from amm500_nautilus.quoting.volatility import YEAR_SECS
from amm500_nautilus.quoting.volatility import VolatilityMeter


S = 1_000_000_000


def feed(meter: VolatilityMeter, mids: list[float], *, start: int = 1, step_ns: int = S) -> int:
    ts = start * S
    for mid in mids:
        meter.observe(ts, mid)
        ts += step_ns
    return ts


def test_it_starts_at_the_initial_value() -> None:
    meter = VolatilityMeter(VolatilityConfig(initial=0.12))
    assert meter.annualised == pytest.approx(0.12)
    assert meter.realised(30) is None


def test_realised_is_the_root_of_the_mean_square_over_the_horizon() -> None:
    # mid alternates 100, 101: every 1 s return is +-ln(1.01) = 0.00995; every 10 s return (even) is 0
    meter = VolatilityMeter(VolatilityConfig(estimator="realised", min_returns=5))
    feed(meter, [100.0, 101.0] * 60)
    assert meter.realised(1) == pytest.approx(log(1.01) * sqrt(YEAR_SECS), rel=1e-9)
    assert meter.realised(10) == pytest.approx(0.0, abs=1e-12)


def test_one_second_sampling_underreads_a_trending_price() -> None:
    # returns with positive autocorrelation, as recorded books show at short horizons
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1e-5, 8_000)
    returns = np.convolve(noise, np.ones(6) / sqrt(6), mode="same")
    mids = list(69_000 * np.exp(np.cumsum(returns)))
    meter = VolatilityMeter(VolatilityConfig(estimator="realised", window_secs=8_000))
    feed(meter, mids)
    one, thirty = meter.value(1), meter.value(30)
    assert one < 0.6 * thirty


def test_a_random_walk_reads_its_own_volatility_at_every_horizon() -> None:
    rng = np.random.default_rng(5)
    sigma = 0.15 / sqrt(YEAR_SECS)
    mids = list(69_000 * np.exp(np.cumsum(rng.normal(0, sigma, 20_000))))
    meter = VolatilityMeter(VolatilityConfig(estimator="realised", window_secs=20_000))
    feed(meter, mids)
    for horizon, value in meter.estimates().items():
        assert value == pytest.approx(0.15, rel=0.12), horizon


def test_the_clock_is_fixed_whatever_the_message_rate() -> None:
    rng = np.random.default_rng(8)
    mids = list(69_000 * np.exp(np.cumsum(rng.normal(0, 2e-5, 600))))
    slow, fast = VolatilityMeter(VolatilityConfig()), VolatilityMeter(VolatilityConfig())
    for i, mid in enumerate(mids):
        slow.observe((i + 1) * S + 5, mid)
        for part in range(7):
            fast.observe((i + 1) * S + 5 + part * 100_000_000, mid)
    assert slow.estimates() == fast.estimates()


def test_a_gap_between_sessions_is_no_return() -> None:
    meter = VolatilityMeter(VolatilityConfig(estimator="realised", min_returns=1))
    ts = feed(meter, [100.0] * 100)
    feed(meter, [150.0] * 100, start=ts // S + 60_000)
    assert meter.realised(1) == pytest.approx(0.0, abs=1e-12)


def test_session_time_annualises_with_fewer_seconds() -> None:
    mids = [100.0, 101.0] * 60
    always = VolatilityMeter(VolatilityConfig(estimator="realised"))
    cash = VolatilityMeter(VolatilityConfig(estimator="realised"), seconds_per_year=252 * 6.5 * 3_600)
    feed(always, mids)
    feed(cash, mids)
    # sqrt(31,536,000 / 5,896,800) = 2.3126
    assert always.value(1) / cash.value(1) == pytest.approx(2.3126, abs=1e-4)


def test_larger_moves_read_as_more_volatility() -> None:
    calm, wild = VolatilityMeter(VolatilityConfig()), VolatilityMeter(VolatilityConfig())
    rng = np.random.default_rng(1)
    steps = rng.normal(0, 1e-5, 2_000)
    feed(calm, list(69_000 * np.exp(np.cumsum(steps))))
    feed(wild, list(69_000 * np.exp(np.cumsum(3 * steps))))
    assert wild.annualised > 2 * calm.annualised


@settings(max_examples=30)
@given(scale=st.floats(0.1, 10.0), seed=st.integers(0, 1_000))
def test_estimates_scale_with_the_moves(scale: float, seed: int) -> None:
    steps = np.random.default_rng(seed).normal(0, 1e-6, 200)
    config = VolatilityConfig(estimator="realised", min_returns=1)
    one, other = VolatilityMeter(config), VolatilityMeter(config)
    feed(one, list(np.exp(np.cumsum(steps))))
    feed(other, list(np.exp(np.cumsum(scale * steps))))
    assert other.value(30) == pytest.approx(scale * one.value(30), rel=1e-6)


def test_the_weighted_estimate_survives_a_restart() -> None:
    meter = VolatilityMeter(VolatilityConfig())
    feed(meter, [100.0, 101.0] * 60)
    again = VolatilityMeter(VolatilityConfig())
    again.load(meter.save())
    assert again.estimates() == meter.estimates()
