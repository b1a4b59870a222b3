"""Requests, frames and the spans a market was open."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.base import FundingFrame
from amm500_catalog.sources.base import interval_seconds
from amm500_catalog.sources.base import make_bars
from amm500_catalog.sources.base import session_spans


MINUTE = 60 * NS


def bars_at(opens, volume=None):
    ones = [1.0] * len(opens)
    return make_bars(opens, ones, ones, ones, ones, volume, 60)


@pytest.mark.parametrize(
    ("opens", "gap", "spans"),
    [
        pytest.param([0, 1, 2], 1.5, [(0, 3)], id="one span of three minutes"),
        pytest.param([0, 1, 3, 4], 1.5, [(0, 2), (3, 5)], id="a missing minute is a gap of two intervals"),
        pytest.param([0, 1, 3, 4], 2.0, [(0, 5)], id="unless two are allowed"),
        pytest.param([0, 500], None, [(0, 501)], id="a market that never closes"),
        pytest.param([], 1.5, [], id="nothing"),
    ],
)
def test_a_gap_longer_than_allowed_starts_a_new_session(opens, gap, spans):
    found = session_spans(bars_at([minute * MINUTE for minute in opens]), 60, gap_intervals=gap)
    assert found == tuple((start * MINUTE, end * MINUTE) for start, end in spans)


@given(st.sets(st.integers(0, 200), min_size=1))
def test_sessions_hold_exactly_the_bars_time_when_no_minute_is_forgiven(minutes):
    spans = session_spans(bars_at([minute * MINUTE for minute in sorted(minutes)]), 60)
    assert sum(end - start for start, end in spans) == len(minutes) * MINUTE
    assert all(a[1] < b[0] for a, b in pairwise(spans))


def test_a_frame_without_volume_says_so():
    frame = BarFrame(bars_at([0]), 60, "file", "X", ((0, MINUTE),))
    assert not frame.has_volume
    assert np.isnan(frame.bars["volume"]).all()
    assert BarFrame(bars_at([0], [2.0]), 60, "file", "X", ((0, MINUTE),)).has_volume


def test_an_empty_frame_has_no_span():
    frame = BarFrame(bars_at([]), 60, "file", "X", ())
    assert (len(frame), frame.start_ns, frame.end_ns, frame.has_volume) == (0, 0, 0, False)


def test_a_frame_without_a_column_is_refused():
    with pytest.raises(ValueError, match="lack volume"):
        BarFrame(bars_at([0]).drop(columns="volume"), 60, "file", "X", ())
    with pytest.raises(ValueError, match="lack rate"):
        FundingFrame(bars_at([0]).rename(columns={"ts_open_ns": "ts_ns"}), "file", "X")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"interval": "7m"}, "interval"),
        ({"end_ns": 0}, "end_ns"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
    ],
)
def test_an_impossible_request_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        BarRequest(**{"symbol": "X", "interval": "1m", "start_ns": 0, "end_ns": 1, **changes})


def test_intervals_are_known_by_name():
    assert (interval_seconds("15m"), BarRequest("X", "1h", 0, 1).interval_s) == (900, 3_600)
