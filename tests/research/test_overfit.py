"""The deflated Sharpe ratio and the probability of overfitting: worked figures, noise, and a trial that is really better."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from amm500_nautilus.research.overfit import backtest_overfitting
from amm500_nautilus.research.overfit import deflated_sharpe
from amm500_nautilus.research.overfit import effective_trials
from amm500_nautilus.research.overfit import expected_max_sharpe
from amm500_nautilus.research.overfit import probabilistic_sharpe
from amm500_nautilus.research.overfit import sharpe_of


def test_the_published_example_of_the_deflated_sharpe_is_reproduced() -> None:
    # Bailey and Lopez de Prado (2014), "a numerical example": 100 trials with an annual variance of 1/2 over 5 years of 250 days, an
    # annual Sharpe of 2.5, skewness -3 and kurtosis 10 give SR0 = 0.1132 a day and a deflated Sharpe of 0.9004
    luck = expected_max_sharpe(100, 0.5 / 250)
    assert luck == pytest.approx(0.1132, abs=5e-5)
    sharpe = 2.5 / math.sqrt(250)
    unit = math.sqrt(1 + 3 * sharpe + (10 - 1) / 4 * sharpe**2)
    assert norm.cdf((sharpe - luck) * math.sqrt(1_249) / unit) == pytest.approx(0.9004, abs=5e-5)


def test_the_probabilistic_sharpe_follows_its_formula_with_skewness_and_kurtosis() -> None:
    returns = np.array([0.01, -0.02, 0.015, 0.03, -0.005, 0.012, -0.001, 0.004])
    sharpe = returns.mean() / returns.std(ddof=1)
    unit = (returns - returns.mean()) / returns.std()
    spread = math.sqrt(1 - (unit**3).mean() * sharpe + ((unit**4).mean() - 1) / 4 * sharpe**2)
    expected = norm.cdf((sharpe - 0.1) * math.sqrt(7) / spread)
    assert probabilistic_sharpe(returns, 0.1) == pytest.approx(expected, rel=1e-12)


def test_the_best_of_many_worthless_trials_shows_the_sharpe_that_luck_is_expected_to() -> None:
    rng = np.random.default_rng(3)
    best = [max(sharpe_of(column) for column in rng.normal(0, 1, (50, 400))) for _ in range(300)]
    assert np.mean(best) == pytest.approx(expected_max_sharpe(50, 1 / 400), rel=0.03)


def test_the_best_of_noise_is_not_believed_and_a_real_edge_is() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 1, (500, 40))
    chosen = int(np.argmax([sharpe_of(noise[:, n]) for n in range(40)]))
    plain = probabilistic_sharpe(noise[:, chosen], 0.0)
    deflated = deflated_sharpe(noise, chosen)
    assert plain is not None
    assert plain > 0.95
    assert deflated.probability is not None
    assert deflated.probability < 0.9
    noise[:, 7] += 0.3
    found = deflated_sharpe(noise, 7)
    assert found.probability is not None
    assert found.probability > 0.99


def test_overfitting_of_noise_is_about_a_half_and_of_a_real_edge_none() -> None:
    found = [
        backtest_overfitting(np.random.default_rng(seed).normal(0, 1, (320, 30)), 8) for seed in range(30)
    ]
    mean = np.mean([item.probability for item in found if item is not None])
    assert 0.4 < mean < 0.7
    edge = np.random.default_rng(1).normal(0, 1, (320, 30))
    edge[:, 4] += 0.5
    real = backtest_overfitting(edge, 16)
    assert real is not None
    assert real.combinations == math.comb(16, 8)
    assert real.probability < 0.01
    assert real.loss_probability < 0.01


def test_a_search_that_only_remembers_is_found_out() -> None:
    # each trial earns in pieces of its own and loses it again in the others, so that the best in sample is the worst outside
    pieces, trials = 8, 8
    returns = np.full((pieces * 10, trials), -0.1)
    rng = np.random.default_rng(2)
    for trial in range(trials):
        returns[trial * 10 : (trial + 1) * 10, trial] = 0.7
    returns += rng.normal(0, 0.01, returns.shape)
    found = backtest_overfitting(returns, pieces)
    assert found is not None
    assert found.probability > 0.95
    assert found.loss_probability > 0.95


def test_overfitting_says_nothing_where_there_is_nothing_to_halve() -> None:
    assert backtest_overfitting(np.zeros((7, 5))) is None
    assert backtest_overfitting(np.ones((100, 1))) is None


def test_equal_trials_rank_in_the_middle() -> None:
    # nobody is better than anybody: the chosen one lies at the median in every split
    column = np.random.default_rng(0).normal(0, 1, (64, 1))
    found = backtest_overfitting(np.repeat(column, 5, axis=1), 8)
    assert found is not None
    assert found.probability == 1.0


def test_copies_of_one_trial_count_as_one() -> None:
    column = np.random.default_rng(0).normal(0, 1, (200, 1))
    assert effective_trials(np.repeat(column, 9, axis=1)) == pytest.approx(1.0)
    assert effective_trials(np.random.default_rng(0).normal(0, 1, (2_000, 9))) == pytest.approx(9.0, abs=0.2)
