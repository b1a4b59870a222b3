"""The stationary bootstrap and the intervals of a share."""

import numpy as np
import pytest
from scipy.stats import binom

from amm500_nautilus.research.bootstrap import draw_blocks
from amm500_nautilus.research.bootstrap import optimal_block_length
from amm500_nautilus.research.intervals import clopper_pearson
from amm500_nautilus.research.intervals import wilson


def test_every_path_has_its_rows_and_no_block_leaves_the_series() -> None:
    blocks = draw_blocks(np.random.default_rng(1), rows=50, mean_length=12.0, paths=40, horizon=333)
    totals = np.bincount(blocks.path, weights=blocks.length)
    assert totals.tolist() == [333.0] * 40
    assert (blocks.start >= 0).all()
    assert (blocks.start + blocks.length <= 50).all()
    assert (np.diff(blocks.path) >= 0).all()


def test_block_lengths_are_geometric_and_every_row_is_as_likely() -> None:
    # in a series far longer than a block few blocks are cut at its end or the path's
    blocks = draw_blocks(np.random.default_rng(2), rows=5_000, mean_length=20.0, paths=20, horizon=20_000)
    assert blocks.length.mean() == pytest.approx(20.0, rel=0.03)
    assert (blocks.length == 1).mean() == pytest.approx(1 / 20, rel=0.1)
    seen = np.zeros(5_001)
    np.add.at(seen, blocks.start, 1)
    np.add.at(seen, blocks.start + blocks.length, -1)
    visits = np.cumsum(seen)[:5_000]
    tenths = visits.reshape(10, 500).sum(axis=1)
    assert tenths / tenths.mean() == pytest.approx(np.ones(10), abs=0.05)


def test_the_same_seed_draws_the_same_blocks() -> None:
    drawn = [
        draw_blocks(np.random.default_rng(9), rows=80, mean_length=5.0, paths=3, horizon=100) for _ in "ab"
    ]
    assert drawn[0].start.tolist() == drawn[1].start.tolist()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("persistence", [0.0, 0.3, 0.8, 0.95])
def test_the_automatic_block_length_is_near_that_of_an_independent_package(persistence: float) -> None:
    from arch.bootstrap import optimal_block_length as reference  # noqa: PLC0415 -- heavy

    rng = np.random.default_rng(4)
    values = np.zeros(2_000)
    for row in range(1, len(values)):
        values[row] = persistence * values[row - 1] + rng.normal()
    ours, theirs = optimal_block_length(values), float(reference(values)["stationary"].iloc[0])
    # it takes the first lag that says nothing where Politis and White take the one before: one lag more or less
    assert ours == pytest.approx(max(theirs, 1.0), rel=0.25, abs=0.5)


def test_the_exact_interval_inverts_the_binomial_test() -> None:
    share = clopper_pearson(7, 200)
    assert binom.sf(6, 200, share.low) == pytest.approx(0.025, rel=1e-6)
    assert binom.cdf(7, 200, share.high) == pytest.approx(0.025, rel=1e-6)
    none = clopper_pearson(0, 100)
    assert (none.low, none.high) == (0.0, pytest.approx(0.0362, abs=5e-5))
    assert clopper_pearson(100, 100).high == 1.0


def test_wilson_lies_inside_the_exact_interval_and_covers_what_it_says() -> None:
    exact, near = clopper_pearson(30, 1_000), wilson(30, 1_000)
    assert exact.low < near.low < 0.03 < near.high < exact.high
    rng = np.random.default_rng(8)
    counts = rng.binomial(400, 0.05, 2_000)
    hit = [wilson(int(count), 400).low <= 0.05 <= wilson(int(count), 400).high for count in counts]
    assert np.mean(hit) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("count", [-1, 11])
def test_an_impossible_count_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="0 to the number of trials"):
        wilson(count, 10)
