"""The closed form and its intensity."""

from dataclasses import replace
from math import exp

import numpy as np
import pytest

from amm500_nautilus.quoting.config import GlftConfig
from amm500_nautilus.quoting.glft import GlftModel
from amm500_nautilus.quoting.glft import Intensity
from amm500_nautilus.quoting.glft import closed_form
from amm500_nautilus.quoting.models import ModelInputs


S = 1_000_000_000
INPUTS = ModelInputs(69_000.0, 69_000, 69_000, 5.0, 25.0, 1_000, 15, root_second=2e-5)


def test_closed_form_by_hand() -> None:
    half, skew = closed_form(gamma=0.1, a=2.0, k=0.5, sigma_ticks=3.0)
    # c1 = ln(1.2) / 0.1 = 1.8232; c2 = sqrt(0.1 / (2 * 2 * 0.5) * 1.2^6) = sqrt(0.05 * 2.985984) = 0.386393
    assert half == pytest.approx(1.823216 + 0.5 * 0.386393 * 3, abs=1e-5)
    assert skew == pytest.approx(0.386393 * 3, abs=1e-5)


def test_a_wider_volatility_widens() -> None:
    calm, _ = closed_form(gamma=0.05, a=1.0, k=0.3, sigma_ticks=1.0)
    wild, _ = closed_form(gamma=0.05, a=1.0, k=0.3, sigma_ticks=5.0)
    assert wild > calm


def test_a_long_position_lowers_both_sides() -> None:
    model = GlftModel(GlftConfig())
    flat = model.quote(INPUTS)
    long = model.quote(
        ModelInputs(69_000.0, 69_000, 69_000, 5.0, 25.0, 1_000, 15, off_target_lots=500.0, root_second=2e-5)
    )
    assert long.bid_ticks[0] < flat.bid_ticks[0]
    assert long.ask_ticks[0] < flat.ask_ticks[0]


@pytest.mark.parametrize(("root_second", "least", "most"), [(4e-6, 5.0, 5.0), (1.0, 25.0, 25.0)])
def test_the_nearest_half_spread_stays_inside_the_limits(
    root_second: float, least: float, most: float
) -> None:
    quotes = GlftModel(GlftConfig()).quote(replace(INPUTS, root_second=root_second))
    assert least - 1e-9 <= quotes.extras["min_bps"] <= most + 1e-9
    # 5 bp of 69,000 ticks are 34.5
    assert quotes.bid_ticks[0] <= 69_000 - int(least * 6.9)


def test_the_fit_finds_the_intensity_it_was_fed() -> None:
    rng = np.random.default_rng(4)
    a, k = 1.5, 0.25
    intensity = Intensity(GlftConfig(half_life_secs=1e9, max_distance_ticks=40))
    times = np.sort(rng.uniform(0, 20_000, rng.poisson(2 * a * 20_000)))
    for time, distance in zip(times, rng.exponential(1 / k, len(times)), strict=True):
        intensity.on_trade(S + int(time * S), 1, float(distance))
    assert intensity.fit(S + 20_000 * S)
    assert intensity.k == pytest.approx(k, rel=0.05)
    assert intensity.a == pytest.approx(a, rel=0.10)
    # at 4 ticks: 1.5 * exp(-1) = 0.55 fills a second
    assert intensity.a * exp(-intensity.k * 4) == pytest.approx(0.552, rel=0.05)


def test_prints_of_one_taker_order_count_once_at_their_furthest() -> None:
    intensity = Intensity(GlftConfig(min_trades=1))
    for distance in (0.5, 1.5, 3.0):
        intensity.on_trade(S, 1, distance)
    intensity.on_trade(2 * S, 1, 0.5)
    counts = intensity.save()["counts"]
    assert sum(counts) == pytest.approx(1.0)
    assert counts[6] == pytest.approx(1.0)  # 3.0 ticks is the sixth half tick


def test_too_few_trades_keep_the_initial_intensity() -> None:
    config = GlftConfig(initial_a=0.7, initial_k=0.2)
    intensity = Intensity(config)
    for second in range(1, 20):
        intensity.on_trade(second * S, 1, 1.0)
    intensity.advance(100 * S)
    assert (intensity.a, intensity.k) == (0.7, 0.2)


def test_fitted_intensity_survives_a_restart() -> None:
    rng = np.random.default_rng(4)
    model = GlftModel(GlftConfig())
    for second in range(1, 2_000):
        model.on_trade(second * S, 1, float(rng.exponential(4.0)))
    model.advance(2_000 * S)
    again = GlftModel(GlftConfig())
    again.load(model.save())
    assert again.quote(INPUTS) == model.quote(INPUTS)
