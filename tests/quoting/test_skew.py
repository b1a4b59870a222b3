"""Inventory skew and the funding target."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.quoting.config import FundingConfig
from amm500_nautilus.quoting.config import SkewConfig
from amm500_nautilus.quoting.skew import exposure_limit
from amm500_nautilus.quoting.skew import funding_factor
from amm500_nautilus.quoting.skew import funding_target
from amm500_nautilus.quoting.skew import skew_multiples


CONFIG = SkewConfig()


@pytest.mark.parametrize(
    ("delta", "margin", "bid", "ask"),
    [
        pytest.param(0.0, 0.0, 1.0, 1.0, id="flat"),
        pytest.param(0.0049, 0.0, 1.0, 1.0, id="dead zone"),
        # u = 0.02 / 0.05 = 0.4: 1 + 2 * 0.4, 1 - 0.3 * 0.4
        pytest.param(0.02, 0.0, 1.8, 0.88, id="long"),
        pytest.param(-0.02, 0.0, 0.88, 1.8, id="short"),
        # u = 0.4 * (1 + 0.15 * 3) = 0.58
        pytest.param(0.02, 0.85, 2.16, 0.826, id="margin adds urgency"),
        pytest.param(0.5, 0.0, 3.0, 0.7, id="full"),
        # u = 1 * (1 + 0.5 * 3) = 2.5, limited to 2; 1 - 0.6 is under the floor of 0.5
        pytest.param(0.5, 1.2, 5.0, 0.5, id="limits"),
    ],
)
def test_skew_table(delta: float, margin: float, bid: float, ask: float) -> None:
    assert skew_multiples(delta, margin, CONFIG) == pytest.approx((bid, ask))


def test_a_long_position_moves_bids_away_and_asks_nearer() -> None:
    bid, ask = skew_multiples(0.03, 0.0, CONFIG)
    assert bid > 1 > ask


@given(delta=st.floats(-5, 5), margin=st.floats(0, 3))
def test_skew_is_odd_and_bounded(delta: float, margin: float) -> None:
    bid, ask = skew_multiples(delta, margin, CONFIG)
    assert skew_multiples(-delta, margin, CONFIG) == (ask, bid)
    assert CONFIG.floor <= min(bid, ask)
    assert max(bid, ask) <= 1 + CONFIG.away * CONFIG.max_urgency


@given(low=st.floats(0, 1), high=st.floats(0, 1), margin=st.floats(0, 2))
def test_skew_grows_with_inventory(low: float, high: float, margin: float) -> None:
    low, high = sorted((low, high))
    assert skew_multiples(high, margin, CONFIG)[0] >= skew_multiples(low, margin, CONFIG)[0]


@pytest.mark.parametrize(
    ("rate", "target"),
    [
        (0.0, 0.0),
        (0.0001, 0.0),  # at the threshold
        (0.00015, -0.0025),  # half way to twice the threshold: longs pay, so lean short
        (-0.00015, 0.0025),
        (0.001, -0.005),
    ],
)
def test_the_target_leans_to_the_side_that_is_paid(rate: float, target: float) -> None:
    assert funding_target(rate, FundingConfig()) == pytest.approx(target)


@pytest.mark.parametrize(("rate", "factor"), [(0.0, 1.0), (0.0001, 1.0), (-0.0002, 1.1), (0.01, 1.3)])
def test_funding_widens_beyond_its_threshold(rate: float, factor: float) -> None:
    assert funding_factor(rate, FundingConfig()) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("basis", "cap", "expected"),
    [("leverage", 0.0, 10_000), ("equity", 0.0, 1_000), ("leverage", 4_000.0, 4_000)],
)
def test_exposure_limit(basis: str, cap: float, expected: float) -> None:
    assert exposure_limit(1_000, 10, basis=basis, max_exposure=cap) == expected


def test_no_equity_is_no_exposure() -> None:
    assert exposure_limit(-5, 10, basis="leverage", max_exposure=0.0) == 0
