"""Rebalancing: thresholds, what to bring back, what may be taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.quoting.config import RebalanceConfig
from amm500_nautilus.quoting.rebalance import Rebalancer


S = 1_000_000_000


def test_it_begins_beyond_the_threshold_and_ends_at_the_stop() -> None:
    rebalancer = Rebalancer(RebalanceConfig())
    seen = []
    for second, delta in enumerate([0.014, 0.015, 0.0151, 0.010, 0.0051, 0.005, 0.014]):
        rebalancer.update(second * S, delta)
        seen.append(rebalancer.is_active)
    assert seen == [False, False, True, True, True, False, False]


def test_a_flip_of_sign_starts_again() -> None:
    rebalancer = Rebalancer(RebalanceConfig(patience_secs=10.0))
    rebalancer.update(S, 0.02)
    rebalancer.on_fill(1_000, is_taker=False)
    rebalancer.update(20 * S, -0.02)
    assert rebalancer.is_active
    assert rebalancer.lots_to_take(21 * S, 10, 1, 10) == (0, "patience")


def test_one_sided_has_hysteresis() -> None:
    rebalancer = Rebalancer(RebalanceConfig())
    seen = []
    for second, delta in enumerate([0.025, -0.0251, -0.021, -0.02, -0.024]):
        rebalancer.update(second * S, delta)
        seen.append(rebalancer.is_one_sided)
    assert seen == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("position", "target", "least", "expected"),
    [
        pytest.param(300, 0.0, 15, (-1, 300), id="long sells"),
        pytest.param(-300, 0.0, 15, (1, 300), id="short buys"),
        pytest.param(300, 100.0, 15, (-1, 200), id="down to a long target"),
        pytest.param(300, -50.0, 15, (-1, 300), id="reduce-only stops at flat"),
        pytest.param(300, 295.0, 15, (-1, 15), id="raised to the minimum"),
        pytest.param(8, 0.0, 15, (-1, 8), id="the whole position, though small"),
        pytest.param(100, 300.0, 15, (0, 0), id="under target: nothing to reduce"),
        pytest.param(0, -50.0, 15, (0, 0), id="flat"),
    ],
)
def test_lots_back(position: int, target: float, least: int, expected: tuple[int, int]) -> None:
    assert Rebalancer(RebalanceConfig()).lots_back(position, target, least) == expected


def active(volume: int, *, taken: int = 0) -> Rebalancer:
    rebalancer = Rebalancer(RebalanceConfig(patience_secs=30.0, ioc_cooldown_secs=5.0))
    rebalancer.on_fill(volume, is_taker=False)
    if taken:
        rebalancer.on_fill(taken, is_taker=True)
    rebalancer.update(S, 0.02)
    return rebalancer


@pytest.mark.parametrize(
    ("volume", "taken", "lots", "expected"),
    [
        # x / (950 + x) <= 0.05 allows x = 50
        pytest.param(950, 0, 300, (50, ""), id="cap"),
        pytest.param(950, 0, 20, (20, ""), id="less than the cap"),
        pytest.param(950, 50, 300, (0, "taker_cap"), id="cap reached"),
        pytest.param(100, 0, 300, (0, "taker_cap"), id="5 is under the minimum of 15"),
        pytest.param(0, 0, 300, (0, "taker_cap"), id="nothing traded yet"),
    ],
)
def test_lots_to_take(volume: int, taken: int, lots: int, expected: tuple[int, str]) -> None:
    assert active(volume, taken=taken).lots_to_take(31 * S, lots, 15, 300) == expected


@pytest.mark.parametrize(
    ("room", "expected"),
    [(20, (20, "")), (10, (0, "taker_cap")), (1_000, (300, ""))],
)
def test_what_was_saved_up_is_spent_within_the_room_of_the_hour(room: int, expected: tuple[int, str]) -> None:
    # 95,000 made in days of little taking allow 5,000
    rebalancer = active(95_000)
    rebalancer.room_lots = room
    assert rebalancer.lots_to_take(31 * S, 300, 15, 300) == expected


def test_taking_waits_for_patience_and_for_the_last_order() -> None:
    rebalancer = active(10_000)
    assert rebalancer.lots_to_take(30 * S, 300, 15, 300) == (0, "patience")
    assert rebalancer.lots_to_take(31 * S, 300, 15, 300) == (300, "")
    rebalancer.on_take(31 * S)
    assert rebalancer.lots_to_take(35 * S, 300, 15, 300) == (0, "cooldown")
    assert rebalancer.lots_to_take(36 * S, 300, 15, 300) == (300, "")


@given(volume=st.integers(0, 10**7), taken=st.integers(0, 10**5), lots=st.integers(1, 10**6))
def test_the_taker_share_never_passes_its_cap_by_an_order(volume: int, taken: int, lots: int) -> None:
    take, _ = active(volume, taken=taken).lots_to_take(40 * S, lots, 1, lots)
    if take:
        assert (taken + take) / (volume + taken + take) <= 0.05 + 1e-9


@given(position=st.integers(-10_000, 10_000), target=st.floats(-10_000, 10_000), least=st.integers(1, 100))
def test_bringing_back_only_reduces(position: int, target: float, least: int) -> None:
    side, lots = Rebalancer(RebalanceConfig()).lots_back(position, target, least)
    if side:
        assert side * position < 0
        assert 0 < lots <= abs(position)


def test_state_survives_a_restart() -> None:
    rebalancer = active(950, taken=10)
    again = Rebalancer(RebalanceConfig(patience_secs=30.0))
    again.load(rebalancer.save())
    assert again.lots_to_take(31 * S, 300, 1, 300) == rebalancer.lots_to_take(31 * S, 300, 1, 300)
