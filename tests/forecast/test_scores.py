"""The losses, the Diebold-Mariano test, and the rule that switches a forecast on: both ways."""

from math import log

import numpy as np
import pytest

from amm500_nautilus.research.scores import diebold_mariano
from amm500_nautilus.research.scores import judge
from amm500_nautilus.research.scores import qlike
from amm500_nautilus.research.scores import squared_error


def test_qlike_by_hand_is_zero_when_exact_and_dearer_when_too_low() -> None:
    found = qlike(np.array([2.0, 2.0, 2.0]), np.array([2.0, 1.0, 4.0]))
    assert found == pytest.approx([0.0, 2 - log(2) - 1, 0.5 - log(0.5) - 1])
    assert found[1] > found[2]


def test_squared_error_is_in_basis_points_to_the_fourth() -> None:
    # variances of 3 and 1 square basis points
    assert squared_error(np.array([3e-8]), np.array([1e-8])) == pytest.approx([4.0])


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_forecast_that_is_no_variance_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a positive number"):
        qlike(np.ones(2), np.array([1.0, bad]))


def test_a_market_that_stood_still_costs_every_forecast_the_same() -> None:
    still, one, two = np.zeros(1), np.array([1e-8]), np.array([3e-8])
    assert qlike(still, two) - qlike(still, one) == pytest.approx(np.log(3), abs=1e-3)


def test_the_test_is_antisymmetric_and_says_nothing_of_equal_losses() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.exponential(1.0, 400), rng.exponential(1.1, 400)
    one, other = diebold_mariano(first, second, steps=5), diebold_mariano(second, first, steps=5)
    assert one.statistic == pytest.approx(-other.statistic)
    assert one.p_better + other.p_better == pytest.approx(1.0)
    assert diebold_mariano(first, first, steps=5).p_better == 1.0


def test_the_statistic_by_hand_takes_the_larger_of_two_variances() -> None:
    correction = (40 + 1 - 2) / 40
    # alternating losses hang together the other way round, which may not make the mean look surer than single losses do
    found = diebold_mariano(np.tile([1.0, 3.0], 20), np.zeros(40), steps=1)
    assert found.lags == 3
    assert found.statistic == pytest.approx(2.0 / (1.0 / 40) ** 0.5 * correction**0.5)
    # losses in pairs: lag one has 20 pairs of one and 19 of the other sign, and lags of 4 (40 / 100)^(2/9) = 3
    found = diebold_mariano(np.tile([1.0, 1.0, 3.0, 3.0], 10), np.zeros(40), steps=1)
    covariances = [1.0, 1 / 40, -38 / 40, -1 / 40]
    bartlett = covariances[0] + 2 * sum((1 - k / 4) * covariances[k] for k in (1, 2, 3))
    assert bartlett < 1.0
    assert found.statistic == pytest.approx(2.0 / (1.0 / 40) ** 0.5 * correction**0.5)
    found = diebold_mariano(np.repeat([1.0, 3.0], 20), np.zeros(40), steps=1)
    covariances = [1.0, 37 / 40, 34 / 40, 31 / 40]
    bartlett = covariances[0] + 2 * sum((1 - k / 4) * covariances[k] for k in (1, 2, 3))
    assert found.statistic == pytest.approx(2.0 / (bartlett / 40) ** 0.5 * correction**0.5)
    # two steps ahead: the lag of the overlap has its full weight
    found = diebold_mariano(np.repeat([1.0, 3.0] * 10, 2), np.zeros(40), steps=2)
    correction = (40 + 1 - 4 + 2 / 40) / 40
    assert found.statistic == pytest.approx(2.0 / ((1.0 + 2 * 1 / 40) / 40) ** 0.5 * correction**0.5)


def test_overlapping_targets_are_not_taken_for_independent_ones() -> None:
    noise = np.random.default_rng(2).normal(0.0, 1.0, 3_000)
    smooth = np.convolve(noise, np.ones(60), "valid") + 3.0
    narrow = diebold_mariano(-smooth, np.zeros(len(smooth)), steps=1)
    wide = diebold_mariano(-smooth, np.zeros(len(smooth)), steps=60)
    assert wide.lags == 59
    assert abs(wide.statistic) < 0.6 * abs(narrow.statistic)


@pytest.mark.parametrize(("count", "steps"), [(500, 5), (530, 12), (3_000, 12)])
def test_under_the_null_it_rejects_as_often_as_it_says(count: int, steps: int) -> None:
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(1_000):
        gap = np.convolve(rng.normal(size=count + steps - 1), np.ones(steps), "valid")
        rejected += diebold_mariano(gap, np.zeros(count), steps=steps).p_better < 0.05
    # 5 % of 1,000 is 50, give or take 7
    assert 25 <= rejected <= 70


def _market(seed: int, count: int = 3_000) -> tuple[np.ndarray, np.ndarray]:
    """Return the true variance of each horizon, which moves, and what was realized of it in five returns."""
    rng = np.random.default_rng(seed)
    logs = np.zeros(count)
    for at in range(1, count):
        logs[at] = 0.98 * logs[at - 1] + 0.15 * rng.normal()
    true = 1e-7 * np.exp(logs)
    return true, true * rng.chisquare(5, count) / 5


def test_a_model_that_knows_more_is_switched_on() -> None:
    true, realized = _market(1)
    blurred = {
        name: true * np.exp(np.random.default_rng(seed).normal(0, 0.4, len(true)))
        for seed, name in enumerate(("ewma", "har", "garch"))
    }
    verdict = judge(realized, true, blurred, steps=5)
    assert verdict.use
    assert verdict.why == "wins against ewma, har, garch in QLIKE, each with p < 0.05"
    assert [score.name for score in verdict.scores] == ["model", "ewma", "har", "garch"]
    assert all(score.versus is None or score.versus.p_better < 0.05 for score in verdict.scores)
    assert verdict.scores[0].qlike == pytest.approx(float(qlike(realized, true).mean()))


@pytest.mark.parametrize("seed", range(6))
def test_noise_stays_off(seed: int) -> None:
    # nothing can be predicted: the variance is constant and a model only adds error to it
    rng = np.random.default_rng(seed)
    realized = 1e-7 * rng.chisquare(5, 2_000) / 5
    baselines = {name: np.full(2_000, 1e-7) for name in ("ewma", "har", "garch")}
    verdict = judge(realized, 1e-7 * np.exp(rng.normal(0, 0.1, 2_000)), baselines, steps=5)
    assert not verdict.use
    assert verdict.why.startswith("stays off: ")


def test_a_model_as_good_as_the_best_baseline_stays_off() -> None:
    true, realized = _market(2)
    blur = np.random.default_rng(5).normal(0, 0.4, len(true))
    near = true * np.exp(np.random.default_rng(6).normal(0, 0.01, len(true)))
    verdict = judge(realized, near, {"ewma": true * np.exp(blur), "har": true}, steps=5)
    assert not verdict.use
    assert "har" in verdict.why
    assert "ewma" not in verdict.why


def test_a_win_over_too_few_forecasts_is_none() -> None:
    true, realized = _market(3, 150)
    verdict = judge(realized, true, {"ewma": true * 3.0}, steps=5)
    assert not verdict.use
    assert "150 forecasts out of sample are too few, 200 are needed" in verdict.why


def test_a_model_is_never_judged_against_nothing() -> None:
    with pytest.raises(ValueError, match="at least one baseline"):
        judge(np.ones(300), np.ones(300), {}, steps=5)
