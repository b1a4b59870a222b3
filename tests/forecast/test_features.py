"""Features and marks: equal in training and in use, inside a session, and blind to what comes later."""

from math import log
from math import sqrt

import numpy as np
import pytest

from amm500_nautilus.forecast.features import ALL_FEATURES
from amm500_nautilus.forecast.features import FeatureClock
from amm500_nautilus.forecast.features import feature_rows
from amm500_nautilus.forecast.features import features_of
from amm500_nautilus.forecast.series import MarkSeries
from amm500_nautilus.forecast.series import series_from_bars
from tests.forecast.made import NS
from tests.forecast.made import series


def whole(seed: int, count: int, **options: int) -> MarkSeries:
    rng = np.random.default_rng(seed)
    marks = count if "per_session" not in options else count + -(-count // options["per_session"])
    extra = 1 if "per_session" not in options else 0
    return series(
        rng.normal(0, 5e-4, count),
        imbalance=rng.uniform(-1, 1, marks + extra),
        funding=rng.normal(0, 1e-5, marks + extra),
        **options,
    )


def test_a_running_clock_gives_the_rows_that_training_saw() -> None:
    marks = whole(1, 300, per_session=150)
    wanted = feature_rows(marks, ALL_FEATURES)
    clock = FeatureClock(ALL_FEATURES, 60)
    for place, position in enumerate(marks.places()):
        if position == 0:
            clock.restart()
        clock.push(marks.price[place], imbalance=marks.imbalance[place], funding=marks.funding[place])
        if position > 0:
            assert clock.rows()[-1] == pytest.approx(wanted[place], rel=1e-9, abs=1e-12)
    # the window is the last sixty of them
    assert clock.rows() == pytest.approx(wanted[-60:], rel=1e-9, abs=1e-12)


def test_features_by_hand() -> None:
    marks = series(np.array([0.01, -0.02, 0.03]))
    rows = feature_rows(marks, ("price_relative_100", "log_return", "log_deviation_20"))
    assert np.isnan(rows[0]).all()
    assert rows[3] == pytest.approx([0.02, 0.03, log(sqrt((0.01**2 + 0.02**2 + 0.03**2) / 3))])


def test_the_relative_price_looks_a_hundred_marks_back_and_the_deviation_twenty() -> None:
    returns = np.full(130, 1e-3)
    returns[:10] = 0.05
    rows = feature_rows(series(returns), ("price_relative_100", "log_deviation_20"))
    assert rows[130] == pytest.approx([0.1, log(1e-3)])
    assert rows[29][1] > log(1e-3)
    assert rows[30][1] == pytest.approx(log(1e-3))


def test_no_return_and_no_window_crosses_a_session_gap() -> None:
    marks = whole(2, 200, per_session=100)
    assert np.isnan(marks.returns()[101])
    rows = feature_rows(marks, ("price_relative_100", "log_return"))
    # the night's jump of one percent is in nothing
    assert np.nanmax(np.abs(rows[101:105])) < 0.005
    alone = feature_rows(series(np.diff(np.log(marks.price[101:]))), ("price_relative_100", "log_return"))
    assert rows[102:] == pytest.approx(alone[1:])


@pytest.mark.parametrize("seed", range(5))
def test_changing_the_future_changes_no_feature_before_it(seed: int) -> None:
    marks = whole(seed, 240, per_session=120)
    cut = 150 + seed
    price = marks.price.copy()
    price[cut:] *= np.exp(np.random.default_rng(seed + 100).normal(0, 0.1, len(price) - cut))
    changed = MarkSeries(
        interval_s=60,
        ts_ns=marks.ts_ns,
        price=price,
        session=marks.session,
        imbalance=marks.imbalance,
        funding=marks.funding,
    )
    before, after = feature_rows(marks, ALL_FEATURES), feature_rows(changed, ALL_FEATURES)
    assert np.array_equal(before[:cut], after[:cut], equal_nan=True)
    assert not np.array_equal(before[cut], after[cut])


def test_a_feature_that_the_source_lacks_is_left_out_and_refused_when_asked_for() -> None:
    marks = series(np.full(5, 1e-3))
    assert features_of(marks) == ("price_relative_100", "log_return", "log_deviation_20")
    with pytest.raises(ValueError, match="the source has no imbalance"):
        feature_rows(marks, ("imbalance",))
    with pytest.raises(ValueError, match="there is no feature 'spread'"):
        feature_rows(marks, ("spread",))


def test_marks_of_bars_are_the_first_open_and_every_close_and_a_missing_bar_repeats_the_last() -> None:
    opens = np.array([0, 60, 180, 86_400, 86_460], dtype=np.int64) * NS
    made = series_from_bars(
        opens_ns=opens,
        open_price=np.array([10.0, 11.0, 12.0, 20.0, 21.0]),
        close_price=np.array([11.0, 12.0, 13.0, 21.0, 22.0]),
        sessions=((0, 240 * NS), (86_400 * NS, 86_520 * NS)),
        interval_s=60,
        day=2,
        funding=(np.array([90 * NS]), np.array([1e-5])),
    )
    assert made.price.tolist() == [10.0, 11.0, 12.0, 12.0, 13.0, 20.0, 21.0, 22.0]
    assert (made.ts_ns // NS).tolist() == [0, 60, 120, 180, 240, 86_400, 86_460, 86_520]
    assert made.notes == ("1 missing bars repeat the last close",)
    # a rate holds from the mark after it was paid
    assert made.funding is not None
    assert made.funding[:3].tolist() == [0.0, 0.0, 1e-5]


def test_bars_off_the_grid_or_outside_the_sessions_are_refused() -> None:
    prices = {"open_price": np.ones(2), "close_price": np.ones(2), "interval_s": 60, "day": 2}
    with pytest.raises(ValueError, match="off the grid"):
        series_from_bars(opens_ns=np.array([0, 61]) * NS, sessions=((0, 200 * NS),), **prices)
    with pytest.raises(ValueError, match="outside the sessions"):
        series_from_bars(opens_ns=np.array([0, 600]) * NS, sessions=((0, 200 * NS),), **prices)


def test_marks_that_are_no_series_are_refused() -> None:
    good = {"ts_ns": np.array([0, 60]) * NS, "price": np.ones(2), "session": np.zeros(2, dtype=np.int64)}
    with pytest.raises(ValueError, match="not a positive number"):
        MarkSeries(interval_s=60, **{**good, "price": np.array([1.0, np.nan])})
    with pytest.raises(ValueError, match="not 60 s apart"):
        MarkSeries(interval_s=60, **{**good, "ts_ns": np.array([0, 61]) * NS})
    with pytest.raises(ValueError, match="differ in length"):
        MarkSeries(interval_s=60, **good, funding=np.ones(3))


def test_a_price_that_is_no_number_never_becomes_a_mark() -> None:
    clock = FeatureClock(("log_return",), 5)
    with pytest.raises(ValueError, match="must be a positive number"):
        clock.push(float("nan"))
    assert clock.marks == 0
