"""Windows, targets and folds: what is learned from ends before what is predicted begins."""

import numpy as np
import pytest

from amm500_nautilus.forecast.samples import Fold
from amm500_nautilus.forecast.samples import Samples
from amm500_nautilus.forecast.samples import make_samples
from amm500_nautilus.forecast.samples import realized_variance
from amm500_nautilus.forecast.samples import walk_forward
from amm500_nautilus.forecast.series import MarkSeries
from amm500_nautilus.forecast.training import Learned
from amm500_nautilus.forecast.training import run_walk_forward
from tests.forecast.made import BARS_ONLY
from tests.forecast.made import NS
from tests.forecast.made import series


def samples_of(seed: int = 1, count: int = 1_200, per_session: int = 120) -> Samples:
    made = series(np.random.default_rng(seed).normal(0, 1e-3, count), per_session=per_session)
    return make_samples(made, BARS_ONLY, sequence=60, warm_up=20, steps=5)


def test_realized_variance_is_the_sum_of_the_next_squares_inside_the_session() -> None:
    made = series(np.array([0.01, 0.02, 0.03, 0.04]), per_session=2)
    found = realized_variance(made, 2)
    assert found[0] == pytest.approx(0.01**2 + 0.02**2)
    assert found[3] == pytest.approx(0.03**2 + 0.04**2)
    assert np.isnan(found[[1, 2, 4, 5]]).all()


def test_windows_stay_in_their_session_and_short_ones_are_marked() -> None:
    samples = samples_of()
    places = samples.series.places()
    assert (samples.length <= places[samples.index]).all()
    assert samples.length.min() == 20
    assert samples.length.max() == 60
    early = int(np.flatnonzero(samples.length == 20)[0])
    window = samples.windows(np.array([early]))[0]
    mark = samples.index[early]
    assert window[:20] == pytest.approx(samples.rows[mark - 19 : mark + 1])
    assert not window[20:].any()


@pytest.mark.parametrize("embargo", [0, 5, 30])
def test_no_target_that_was_learned_from_reaches_what_is_predicted(embargo: int) -> None:
    samples = samples_of()
    folds = walk_forward(samples, folds=4, embargo=embargo)
    ts_ns, index = samples.series.ts_ns, samples.index
    gap = embargo * 60 * NS
    for fold in folds:
        begins = ts_ns[index[fold.test]].min()
        assert (ts_ns[index[fold.validate] + samples.steps] + gap <= begins).all()
        assert (ts_ns[index[fold.fit] + samples.steps] + gap <= ts_ns[index[fold.validate]].min()).all()
    tested = np.concatenate([fold.test for fold in folds])
    assert tested.tolist() == list(range(len(samples) // 2, len(samples)))


def test_the_purge_takes_exactly_the_targets_that_overlap() -> None:
    made = series(np.random.default_rng(1).normal(0, 1e-3, 500))
    samples = make_samples(made, BARS_ONLY, sequence=60, warm_up=20, steps=5)
    fold = walk_forward(samples, folds=1, validate_share=0.2)[0]
    # five returns of target: the four samples before the block reach into it
    assert fold.test[0] - fold.validate[-1] == samples.steps
    assert fold.validate[0] - fold.fit[-1] == samples.steps


def test_too_little_data_is_refused_in_words() -> None:
    made = series(np.random.default_rng(1).normal(0, 1e-3, 90))
    samples = make_samples(made, BARS_ONLY, sequence=60, warm_up=60, steps=5)
    with pytest.raises(ValueError, match="too few for"):
        walk_forward(samples, folds=20)
    with pytest.raises(ValueError, match="warm_up at most sequence"):
        make_samples(made, BARS_ONLY, sequence=20, warm_up=60, steps=5)


class MeanLearner:
    """Learns the mean variance of what it may see, and keeps everything it was shown."""

    def __init__(self) -> None:
        self.learned: list[float] = []

    def __call__(self, samples: Samples, fold: Fold, decay: float) -> Learned:
        known = np.concatenate((fold.fit, fold.validate))
        seen = samples.windows(known)
        # windows and targets both: whatever a network could have taken from them is in this number
        self.learned.append(float(samples.realized[samples.index[known]].mean() + np.abs(seen).sum() * 1e-9))
        return Learned(self, {"decay": decay})

    def variances(self, samples: Samples, chosen: np.ndarray) -> np.ndarray:
        return np.full(len(chosen), self.learned[-1])


def _last_day_changed(made: MarkSeries) -> tuple[MarkSeries, int]:
    last = int(made.firsts()[-1])
    price = made.price.copy()
    price[last + 1 :] *= np.exp(np.random.default_rng(9).normal(0, 0.05, len(price) - last - 1))
    return MarkSeries(interval_s=60, ts_ns=made.ts_ns, price=price, session=made.session, day=made.day), last


def test_the_last_days_data_cannot_reach_the_model_that_predicts_it() -> None:
    made = series(np.random.default_rng(4).normal(0, 1e-3, 1_200), per_session=120, day=120)
    changed, last = _last_day_changed(made)
    results = []
    for each in (made, changed):
        samples = make_samples(each, BARS_ONLY, sequence=60, warm_up=20, steps=5)
        learner = MeanLearner()
        # a block a day over the last five days
        folds = walk_forward(samples, folds=5, embargo=5)
        done = run_walk_forward(samples, folds, learner, least=10)
        marks = samples.index[done.test]
        results.append((learner.learned, done, marks))
    (learned, first, marks), (learned_again, second, _) = results
    assert learned == learned_again
    assert first.trained_until_ns == second.trained_until_ns <= made.ts_ns[last]
    # baselines included: no forecast made before the day changed, though the day's own targets did
    before = marks <= last
    assert before.any()
    for name, forecast in first.forecasts.items():
        assert np.array_equal(forecast[before], second.forecasts[name][before]), name
    assert not np.array_equal(first.realized[~before], second.realized[~before])


def test_a_mark_later_in_the_block_changes_no_earlier_forecast_of_it() -> None:
    # volatility that comes and goes, or GARCH would learn that nothing matters
    returns = np.random.default_rng(5).normal(0, 1e-3, 900) * np.exp(np.sin(np.arange(900) / 20))
    made = series(returns, per_session=300, day=300)
    cut = 850
    price = made.price.copy()
    price[cut:] *= 1.07
    changed = MarkSeries(interval_s=60, ts_ns=made.ts_ns, price=price, session=made.session, day=made.day)
    found = []
    for each in (made, changed):
        samples = make_samples(each, BARS_ONLY, sequence=60, warm_up=20, steps=5)
        done = run_walk_forward(samples, walk_forward(samples, folds=1), MeanLearner(), least=10)
        found.append((samples.index[done.test], done.forecasts))
    (marks, before), (_, after) = found
    for name in ("ewma", "har", "garch"):
        assert np.array_equal(before[name][marks < cut], after[name][marks < cut]), name
        assert not np.array_equal(before[name][marks >= cut], after[name][marks >= cut]), name
