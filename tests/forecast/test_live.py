"""The forecast in a run: on its clock, warm before it speaks, and with a reason whenever it does not."""

import numpy as np
import pytest

from amm500_nautilus.forecast.features import feature_rows
from amm500_nautilus.forecast.live import VolatilityForecast
from amm500_nautilus.forecast.model_file import VolatilityModel
from amm500_nautilus.forecast.samples import make_samples
from tests.forecast.made import BARS_ONLY
from tests.forecast.made import DAY0_NS
from tests.forecast.made import NS
from tests.forecast.made import FakeMarket
from tests.forecast.made import model
from tests.forecast.made import series


MINUTE = 60 * NS
DAY = 86_400 * NS


def forecast_of(
    made: VolatilityModel | None, said: list[str] | None = None, **options: object
) -> VolatilityForecast:
    settings = {"coin": "km:US500", "cycle_ms": 1_000, "max_age_ns": 14 * DAY, **options}
    return VolatilityForecast(made, say=None if said is None else said.append, **settings)


def mids(seed: int, count: int) -> np.ndarray:
    """Return mids in half ticks that a random walk left."""
    walk = 69_000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 5e-4, count)))
    return np.round(walk * 2) / 2


def run(
    forecast: VolatilityForecast, prices: np.ndarray, *, start_ns: int = DAY0_NS, each: int = 12
) -> list[float]:
    """Let cycles go by, ``each`` a minute; the price of a minute is there from its first second on. Return each minute's factor."""
    factors = []
    market = FakeMarket()
    for minute, price in enumerate(prices):
        market.touch = (int(price * 2) // 2, int(price * 2) - int(price * 2) // 2)
        for cycle in range(each):
            factor = forecast(start_ns + minute * MINUTE + cycle * (MINUTE // each), market)
        factors.append(factor)
    return factors


def test_a_factor_is_the_forecast_over_the_windows_own_volatility_on_the_rows_of_training() -> None:
    prices = mids(1, 150)
    made = model()
    forecast = forecast_of(made)
    factors = run(forecast, prices)
    # the same prices as training would read them
    marks = series(np.diff(np.log(prices)))
    samples = make_samples(marks, BARS_ONLY, sequence=60, warm_up=10, steps=5)
    assert forecast._clock.rows() == pytest.approx(feature_rows(marks, BARS_ONLY)[-60:], rel=1e-9, abs=1e-12)
    variances = made.forecaster.variances(samples, np.arange(len(samples)))
    windows = samples.windows(np.arange(len(samples)))
    anchors = made.forecaster.scaler.anchors(windows, samples.length)
    wanted = np.sqrt(variances / (anchors * 5))
    found = np.array(factors)[samples.index]
    assert found == pytest.approx(wanted, rel=1e-9)
    assert found.std() > 1e-4
    assert forecast.reason == "used"


def test_it_is_one_until_the_session_has_had_enough_returns() -> None:
    said: list[str] = []
    factors = run(forecast_of(model(warm_up=10), said), mids(2, 30))
    assert factors[:10] == [1.0] * 10
    assert all(factor != 1.0 for factor in factors[10:])
    assert [text.partition(":")[0] for text in said] == [
        "volatility forecast not in use (warm_up)",
        "volatility forecast in use (used)",
    ]


def test_a_gap_starts_the_window_anew_and_no_return_goes_across() -> None:
    forecast = forecast_of(model(warm_up=10))
    run(forecast, mids(3, 30))
    assert forecast.reason == "used"
    run(forecast, mids(4, 5) * 1.05, start_ns=DAY0_NS + DAY)
    assert forecast.reason == "warm_up"
    assert np.abs(forecast._clock.rows()[:, 1]).max() < 0.01


@pytest.mark.parametrize(
    ("made", "options", "reason"),
    [
        pytest.param(None, {"off": "there is no file x"}, "no_model", id="no model"),
        pytest.param(model(use=False, why="stays off: har is better"), {}, "lost", id="lost to a baseline"),
        pytest.param(model(market="BTC"), {}, "other_market", id="another market's"),
        pytest.param(model(simulated=True), {"is_real": True}, "simulated", id="trained on simulated prices"),
        pytest.param(model(), {"cycle_ms": 10_000}, "clock", id="a cycle too slow for its clock"),
        pytest.param(model(trained_until_ns=DAY0_NS + DAY), {}, "in_sample", id="it has seen this data"),
        pytest.param(model(trained_until_ns=DAY0_NS - 15 * DAY), {}, "stale", id="trained too long ago"),
    ],
)
def test_it_is_one_and_says_why(
    made: VolatilityModel | None, options: dict[str, object], reason: str
) -> None:
    said: list[str] = []
    forecast = forecast_of(made, said, **options)
    assert set(run(forecast, mids(5, 40))) == {1.0}
    assert forecast.reason == reason
    assert len([text for text in said if f"({reason})" in text]) == 1
    assert forecast.summary()["share_by_reason"][reason] == 1.0
    assert forecast.summary()["forecasts"] == 0


def test_a_model_of_simulated_prices_is_used_on_them() -> None:
    forecast = forecast_of(model(simulated=True))
    assert run(forecast, mids(5, 40))[-1] != 1.0
    assert forecast.reason == "used"


def test_a_model_grows_stale_while_it_is_used() -> None:
    forecast = forecast_of(model(trained_until_ns=DAY0_NS - MINUTE), max_age_ns=30 * MINUTE)
    factors = run(forecast, mids(6, 60))
    assert factors[28] != 1.0
    assert set(factors[31:]) == {1.0}
    assert forecast.reason == "stale"


def test_it_speaks_from_the_first_mark_after_its_training_and_not_before() -> None:
    forecast = forecast_of(model(trained_until_ns=DAY0_NS + 30 * MINUTE))
    factors = run(forecast, mids(7, 60))
    assert set(factors[:31]) == {1.0}
    assert 1.0 not in factors[31:]


def test_a_lost_model_is_measured_only_when_that_is_asked_for() -> None:
    lost = model(use=False, why="stays off: har is better")
    factors = run(forecast_of(lost, require_win=False), mids(8, 30))
    assert factors[-1] != 1.0


@pytest.mark.parametrize("break_", ["touch", "age", "closed"])
def test_without_a_fresh_touch_there_is_no_mark(break_: str) -> None:
    forecast = forecast_of(model(warm_up=10))
    run(forecast, mids(9, 30))
    market = FakeMarket()
    if break_ == "touch":
        market.touch = None
    else:
        market.age = None if break_ == "closed" else 31.0
    assert forecast(DAY0_NS + 30 * MINUTE, market) == 1.0
    assert forecast.reason == "no_price"
    assert forecast._clock.marks == 0


def test_a_mark_that_is_read_late_is_not_of_the_training_clock() -> None:
    forecast = forecast_of(model(warm_up=10))
    run(forecast, mids(10, 30))
    assert forecast(DAY0_NS + 30 * MINUTE + 4 * NS, FakeMarket()) == 1.0
    assert forecast.reason == "clock"
    # the next one in time begins a new window
    forecast(DAY0_NS + 31 * MINUTE, FakeMarket())
    assert forecast._clock.marks == 1


def test_between_two_marks_nothing_is_computed_and_the_factor_holds() -> None:
    forecast = forecast_of(model(warm_up=10))
    run(forecast, mids(11, 30))
    factor = forecast(DAY0_NS + 30 * MINUTE, FakeMarket())
    count = forecast.summary()["forecasts"]
    wild = FakeMarket(touch=(1, 3))
    assert {forecast(DAY0_NS + 30 * MINUTE + second * NS, wild) for second in range(1, 60)} == {factor}
    assert forecast.summary()["forecasts"] == count


def test_the_books_imbalance_and_the_funding_rate_are_read_where_the_model_wants_them() -> None:
    made = model((*BARS_ONLY, "imbalance", "funding_rate"), warm_up=2)
    forecast = forecast_of(made)
    market = FakeMarket(funding_rate=2e-5)
    market.book.imbalance = -0.25
    for minute in range(3):
        forecast(DAY0_NS + minute * MINUTE, market)
    assert forecast._clock.rows()[-1][3:] == pytest.approx([-0.25, 2e-5])


def test_the_summary_counts_cycles_by_reason() -> None:
    forecast = forecast_of(model(warm_up=10))
    run(forecast, mids(12, 40), each=12)
    summary = forecast.summary()
    assert summary["share_by_reason"] == pytest.approx({"warm_up": 0.25, "used": 0.75})
    assert summary["forecasts"] == 30
    assert summary["factor_low"] < summary["factor_mean"] < summary["factor_high"]
