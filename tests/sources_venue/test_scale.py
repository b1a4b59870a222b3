"""Fitting bars to another market's level and volatility."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import make_bars
from amm500_catalog.sources.base import session_spans
from amm500_catalog.sources.scale import level_factor
from amm500_catalog.sources.scale import scale_level
from amm500_catalog.sources.scale import scale_returns
from amm500_catalog.sources.scale import session_seconds_a_year
from amm500_catalog.sources.scale import session_volatility


FIVE_MINUTES = 300 * NS
DAY_NS = 86_400 * NS
# 252 sessions of 6.5 hours
CASH_YEAR_S = 252 * 23_400


def frame_of(sessions):
    """Return five-minute bars of sessions, each a list of (open, high, low, close), one a day."""
    opens = [day * DAY_NS + i * FIVE_MINUTES for day, rows in enumerate(sessions) for i in range(len(rows))]
    columns = list(zip(*(row for rows in sessions for row in rows), strict=True))
    bars = make_bars(opens, *columns, None, 300)
    return BarFrame(bars, 300, "file", "X", session_spans(bars, 300))


TWO_DAYS = frame_of(
    [
        [(100.0, 101.0, 99.0, 100.0), (100.0, 102.0, 100.0, 101.0)],
        # a night up ten per cent
        [(111.1, 111.1, 110.0, 110.0), (110.0, 112.0, 109.0, 111.0)],
    ],
)


def walk(seed, days=5):
    rng = np.random.default_rng(seed)
    sessions, price = [], 100.0
    for _ in range(days):
        rows = []
        price *= math.exp(rng.normal(0, 0.02))
        for _ in range(20):
            path = price * np.exp(np.concatenate(([0.0], np.cumsum(rng.normal(0, 0.001, 4)))))
            rows.append((path[0], path.max(), path.min(), path[-1]))
            price = path[-1]
        sessions.append(rows)
    return frame_of(sessions)


def test_the_factor_is_the_market_s_price_over_the_source_s():
    assert level_factor(333.64, 690.10) == pytest.approx(2.06839, abs=1e-5)


def test_a_level_changes_prices_and_no_return():
    scaled = scale_level(TWO_DAYS, 2.0)
    assert scaled.bars["close"].tolist() == [200.0, 202.0, 220.0, 222.0]
    before = TWO_DAYS.bars["high"] / TWO_DAYS.bars["open"]
    assert np.allclose(scaled.bars["high"] / scaled.bars["open"], before)
    assert session_volatility(scaled) == pytest.approx(session_volatility(TWO_DAYS))
    assert scaled.sessions == TWO_DAYS.sessions


def test_the_volatility_leaves_the_night_out():
    # returns: 0, ln(101/100); then from the own open ln(110/111.1), ln(111/110)
    squares = math.log(1.01) ** 2 + math.log(110 / 111.1) ** 2 + math.log(111 / 110) ** 2
    assert session_volatility(TWO_DAYS) == pytest.approx(math.sqrt(squares / (4 * 300) * CASH_YEAR_S))


@given(st.floats(-0.5, 0.5))
def test_no_night_changes_the_volatility(gap):
    factor = math.exp(gap)
    bars = TWO_DAYS.bars.copy()
    bars.loc[2:, ["open", "high", "low", "close"]] *= factor
    moved = BarFrame(bars, 300, "file", "X", TWO_DAYS.sessions)
    assert session_volatility(moved) == pytest.approx(session_volatility(TWO_DAYS))


def test_a_quiet_market_is_made_livelier():
    scaled, scaling = scale_returns(TWO_DAYS, 2 * session_volatility(TWO_DAYS))
    assert scaling.multiple == pytest.approx(2.0)
    # ln(101/100) twice: 100 * 1.01^2
    assert scaled.bars["close"].iloc[1] == pytest.approx(102.01)
    assert scaled.bars["high"].iloc[1] == pytest.approx(100 * 1.02**2)
    # the night is as it was: 111.1 / 101
    assert scaled.bars["open"].iloc[2] == pytest.approx(102.01 * 1.1)


@given(st.integers(0, 50), st.floats(0.02, 1.5))
def test_scaled_returns_have_the_target_volatility_and_the_nights_are_untouched(seed, target):
    frame = walk(seed)
    scaled, scaling = scale_returns(frame, target)
    assert session_volatility(scaled) == pytest.approx(target, rel=1e-9)
    assert scaling.measured == pytest.approx(session_volatility(frame))
    starts = np.flatnonzero(np.diff(frame.bars["ts_open_ns"]) > FIVE_MINUTES) + 1
    for table in (frame.bars, scaled.bars):
        assert len(table) == 100
    nights = [
        np.log(t["open"].to_numpy()[starts] / t["close"].to_numpy()[starts - 1])
        for t in (frame.bars, scaled.bars)
    ]
    assert np.allclose(*nights, atol=1e-12)


@given(st.integers(0, 50), st.floats(0.02, 1.5))
def test_scaled_bars_stay_bars(seed, target):
    bars = scale_returns(walk(seed), target)[0].bars
    body = bars[["open", "close"]]
    assert (bars["high"] >= body.max(axis=1) * (1 - 1e-12)).all()
    assert (bars["low"] <= body.min(axis=1) * (1 + 1e-12)).all()


def test_the_source_s_frame_is_left_as_it_was():
    before = TWO_DAYS.bars.copy()
    scale_level(TWO_DAYS, 3.0)
    scale_returns(TWO_DAYS, 0.5)
    pd.testing.assert_frame_equal(TWO_DAYS.bars, before)


def test_a_market_that_never_closes_has_a_whole_year():
    bars = make_bars([i * FIVE_MINUTES for i in range(400)], *[[1.0] * 400] * 4, None, 300)
    assert session_seconds_a_year(BarFrame(bars, 300, "file", "X", session_spans(bars, 300))) == 365 * 86_400
    assert session_seconds_a_year(TWO_DAYS) == CASH_YEAR_S


def test_a_year_that_is_given_is_used():
    assert session_volatility(TWO_DAYS, 4 * CASH_YEAR_S) == pytest.approx(2 * session_volatility(TWO_DAYS))


FLAT = frame_of([[(1.0, 1.0, 1.0, 1.0)]])
EMPTY = BarFrame(make_bars([], [], [], [], [], None, 300), 300, "file", "X", ())


@pytest.mark.parametrize(
    ("work", "sentence"),
    [
        (lambda: level_factor(0.0, 1.0), "source_price"),
        (lambda: level_factor(1.0, math.nan), "market_price"),
        (lambda: scale_level(TWO_DAYS, -1.0), "factor"),
        (lambda: scale_returns(TWO_DAYS, 0.0), "target_volatility"),
        (lambda: scale_returns(FLAT, 0.1), "do not move"),
        (lambda: session_volatility(EMPTY), "no bars"),
    ],
)
def test_what_cannot_be_scaled_is_refused(work, sentence):
    with pytest.raises(ValueError, match=sentence):
        work()
