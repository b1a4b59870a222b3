"""The taker share, the rejection count and the growth of the position."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk.breakers import CALM
from amm500_nautilus.risk.breakers import PAUSE
from amm500_nautilus.risk.breakers import WIDEN
from amm500_nautilus.risk.breakers import RejectionMeter
from amm500_nautilus.risk.breakers import VelocityMeter
from amm500_nautilus.risk.breakers import stage
from amm500_nautilus.risk.config import BreakerConfig
from amm500_nautilus.risk.config import TakerConfig
from amm500_nautilus.risk.taker import TakerMeter


SECOND = 1_000_000_000


def test_the_taker_share_needs_enough_fills() -> None:
    meter = TakerMeter(TakerConfig(min_fills=4))
    for _ in range(3):
        meter.on_fill(0, 10.0, is_taker=False)
    assert meter.share(0) == 0.0
    meter.on_fill(0, 10.0, is_taker=True)
    assert meter.share(0) == 0.25


def test_volume_older_than_the_window_is_forgotten() -> None:
    meter = TakerMeter(TakerConfig(min_fills=1, window_secs=3_600))
    meter.on_fill(0, 90.0, is_taker=True)
    meter.on_fill(1_800 * SECOND, 10.0, is_taker=False)
    assert meter.share(1_800 * SECOND) == pytest.approx(0.9)
    assert meter.share(3_700 * SECOND) == 0.0
    assert meter.share(9_000 * SECOND) == 0.0


def test_what_may_be_taken_counts_itself() -> None:
    meter = TakerMeter(TakerConfig(cap=0.05))
    meter.on_fill(0, 950.0, is_taker=False)
    # 50 / (950 + 50) is 5 %
    assert meter.room(0) == pytest.approx(50.0)
    meter.on_fill(0, 50.0, is_taker=True)
    assert meter.room(0) == pytest.approx(0.0)
    assert TakerMeter(TakerConfig(cap=1.0)).room(0) == float("inf")


fills = st.lists(st.tuples(st.integers(0, 600), st.floats(0.01, 1e4), st.booleans()), max_size=60)


@given(fills)
def test_the_taker_share_equals_a_recount_of_its_buckets(fills: list[tuple[int, float, bool]]) -> None:
    meter, now = TakerMeter(TakerConfig(min_fills=1)), 0
    kept: list[tuple[int, float, bool]] = []
    for elapsed, value, is_taker in fills:
        now += elapsed * SECOND
        meter.on_fill(now, value, is_taker=is_taker)
        kept.append((now, value, is_taker))
    # buckets of a minute: the last sixty, counting the one at hand
    recent = [fill for fill in kept if fill[0] // (60 * SECOND) > now // (60 * SECOND) - 60]
    volume = sum(fill[1] for fill in recent)
    taken = sum(fill[1] for fill in recent if fill[2])
    assert meter.share(now) == pytest.approx(taken / volume if volume else 0.0, abs=1e-9)


def test_stages() -> None:
    assert [stage(value, 10, 30) for value in (9, 10, 29, 30)] == [CALM, WIDEN, WIDEN, PAUSE]


def test_rejections_are_counted_within_their_window() -> None:
    meter = RejectionMeter(BreakerConfig(window_secs=60, rejections_pause=30))
    for at in range(5):
        meter.on_rejection(at * SECOND)
    assert meter.count(59 * SECOND) == 5
    assert meter.count(62 * SECOND) == 2
    assert meter.count(200 * SECOND) == 0


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        pytest.param([2, 12], 10, id="a long that grew"),
        pytest.param([12, 2], 0, id="a long that was closed is no growth"),
        pytest.param([-2, -12], 10, id="a short that grew"),
        pytest.param([-5, 5], 5, id="through zero only what was opened counts"),
        pytest.param([0, 10, 4], 4, id="growth from the lowest point of the window"),
        pytest.param([0, 0, 0, 7], 7, id="a position that stood still"),
    ],
)
def test_velocity_table(positions: list[int], expected: int) -> None:
    meter = VelocityMeter(BreakerConfig())
    got = [meter.update(at * SECOND, lots) for at, lots in enumerate(positions)]
    assert got[-1] == expected


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(-50, 50)), min_size=1, max_size=60))
def test_velocity_equals_a_search_of_its_window(steps: list[tuple[int, int]]) -> None:
    meter, now = VelocityMeter(BreakerConfig(window_secs=60)), 0
    seen: list[tuple[int, int]] = []
    for elapsed, lots in steps:
        now += elapsed * SECOND
        seen.append((now, lots))
        window = [at for when, at in seen if when >= now - 60 * SECOND]
        sign = 1 if lots >= 0 else -1
        expected = abs(lots) - min(max(0, sign * at) for at in window)
        assert meter.update(now, lots) == expected
        twin = VelocityMeter(BreakerConfig(window_secs=60))
        twin.load(meter.save())
        meter = twin
