"""The baselines: each by its own definition, fitted on the past, blind to the future."""

import numpy as np
import pytest

from amm500_nautilus.forecast.samples import realized_variance
from amm500_nautilus.research.baselines import Ewma
from amm500_nautilus.research.baselines import Garch
from amm500_nautilus.research.baselines import Har
from amm500_nautilus.research.baselines import Problem
from amm500_nautilus.research.baselines import all_baselines
from tests.forecast.made import series


def problem_of(returns: np.ndarray, *, steps: int = 5, per_session: int = 200) -> Problem:
    made = series(returns, per_session=per_session, day=per_session)
    return Problem(made.returns(), realized_variance(made, steps), steps, per_session)


def garch_path(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    omega, alpha, beta = 0.5, 0.1, 0.85
    variance, out = omega / (1 - alpha - beta), np.empty(count)
    for at in range(count):
        out[at] = np.sqrt(variance) * rng.normal()
        variance = omega + alpha * out[at] ** 2 + beta * variance
    return out * 1e-4


def known(problem: Problem) -> np.ndarray:
    return np.flatnonzero(~np.isnan(problem.realized))[60:]


def test_ewma_is_its_recursion_over_returns_and_not_over_nights() -> None:
    returns = np.random.default_rng(1).normal(0, 1e-3, 400)
    found = Ewma(0.9).forecast(problem_of(returns))
    value = weight = 0.0
    expected = []
    for at, change in enumerate(returns):
        if at % 200 == 0:
            # a session's first mark repeats the last value: there is no return yet
            expected.append(expected[-1] if expected else 1e-12)
        value = 0.9 * value + 0.1 * change**2
        weight = 0.9 * weight + 0.1
        expected.append(5 * value / weight)
    assert found == pytest.approx(expected, rel=1e-9)


def test_ewma_takes_a_long_memory_where_nothing_changes_and_a_short_one_where_it_does() -> None:
    rng = np.random.default_rng(2)
    calm = problem_of(rng.normal(0, 1e-3, 4_000))
    level = np.exp(1.5 * np.sin(np.arange(4_000) / 30))
    jumpy = problem_of(rng.normal(0, 1e-3, 4_000) * level)
    one, two = Ewma(), Ewma()
    one.fit(calm, known(calm))
    two.fit(jumpy, known(jumpy))
    assert one.decay > 0.97
    assert two.decay < 0.93


def test_har_reads_the_last_horizon_twelve_horizons_and_the_day() -> None:
    problem = problem_of(np.random.default_rng(3).normal(0, 1e-3, 600))
    design = Har._design(problem)
    at = 599 + 2  # the mark of return 599: three sessions have three first marks
    kept = problem.returns[: at + 1]
    kept = kept[~np.isnan(kept)]
    for column, reach in ((1, 5), (2, 60), (3, 200)):
        assert design[at, column] == pytest.approx(np.sqrt((kept[-reach:] ** 2).mean() * 5)), reach


def test_har_finds_a_cycle_of_volatility_and_stays_within_what_it_has_seen() -> None:
    rng = np.random.default_rng(4)
    slow = np.exp(1.2 * np.sin(np.arange(6_000) / 300))
    problem = problem_of(rng.normal(0, 1e-3, 6_000) * slow)
    marks = known(problem)
    har = Har()
    har.fit(problem, marks[:3_000])
    found = har.forecast(problem)
    assert np.corrcoef(np.log(found[marks]), np.log(problem.realized[marks]))[0, 1] > 0.7
    trained = problem.realized[marks[:3_000]]
    assert trained.min() <= found.min()
    assert found.max() <= trained.max()


def test_garch_recovers_the_parameters_it_was_made_with() -> None:
    problem = problem_of(garch_path(5, 8_000))
    garch = Garch()
    garch.fit(problem, known(problem))
    assert garch.is_converged
    assert garch.alpha == pytest.approx(0.1, abs=0.03)
    assert garch.beta == pytest.approx(0.85, abs=0.05)
    assert garch.omega == pytest.approx(0.5, rel=0.5)


def test_garch_sums_its_own_recursion_ahead() -> None:
    returns = garch_path(6, 300)
    garch = Garch(omega=0.5, alpha=0.1, beta=0.85)
    found = garch.forecast(problem_of(returns, per_session=300))
    variance = 0.5 / 0.05
    for change in returns * 1e4:
        variance = 0.5 + 0.1 * change**2 + 0.85 * variance
    total, step = 0.0, variance
    for _ in range(5):
        total += step
        step = 0.5 + 0.95 * step
    assert found[-1] == pytest.approx(total * 1e-8, rel=1e-9)


@pytest.mark.parametrize("place", range(3), ids=["ewma", "har", "garch"])
def test_no_forecast_knows_what_comes_after_its_mark(place: int) -> None:
    returns = garch_path(7, 1_500)
    changed = returns.copy()
    changed[1_000:] *= 4.0
    one, two = problem_of(returns), problem_of(changed)
    train = known(one)
    train = train[train < 900]
    baseline, again = all_baselines()[place], all_baselines()[place]
    baseline.fit(one, train)
    again.fit(two, train)
    # the marks of five sessions come before return 1,000
    cut = 1_000 + 5
    assert np.array_equal(baseline.forecast(one)[:cut], again.forecast(two)[:cut])
    assert not np.array_equal(baseline.forecast(one)[cut:], again.forecast(two)[cut:])


def test_every_forecast_is_positive_even_where_prices_stand_still() -> None:
    returns = np.random.default_rng(8).normal(0, 1e-3, 1_000)
    returns[400:600] = 0.0
    problem = problem_of(returns)
    marks = known(problem)
    for baseline in all_baselines():
        baseline.fit(problem, marks)
        found = baseline.forecast(problem)
        assert np.isfinite(found).all(), baseline.name
        assert (found > 0).all(), baseline.name
