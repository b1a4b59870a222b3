"""The recursion of the catalogue beside scipy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from amm500_catalog.numerics import decay


@pytest.mark.parametrize(
    ("keep", "gain", "before", "wanted"),
    [
        (0.5, 1.0, 0.0, [1.0, 2.5, 4.25]),  # 1; 0.5 x 1 + 2; 0.5 x 2.5 + 3
        (0.5, 2.0, 4.0, [4.0, 6.0, 9.0]),  # 0.5 x 4 + 2; 0.5 x 4 + 4; 0.5 x 6 + 6
        (1.0, 1.0, 0.0, [1.0, 3.0, 6.0]),
        (1.0, 1.0, 10.0, [11.0, 13.0, 16.0]),
    ],
)
def test_each_output_starts_from_a_share_of_the_last(
    keep: float, gain: float, before: float, wanted: list[float]
) -> None:
    assert decay(np.array([1.0, 2.0, 3.0]), keep, gain=gain, before=before).tolist() == wanted


def test_no_values_make_no_outputs() -> None:
    assert decay(np.array([]), 0.9, before=3.0).tolist() == []


@given(
    seed=st.integers(0, 2**32 - 1),
    keep=st.floats(0.0, 1.0),
    gain=st.floats(1e-6, 10.0),
    before=st.floats(-1e6, 1e6),
)
def test_the_outputs_are_scipys_to_the_last_bit(seed: int, keep: float, gain: float, before: float) -> None:
    values = np.random.default_rng(seed).standard_normal(200)
    theirs, _ = lfilter([gain], [1.0, -keep], values, zi=[keep * before])
    assert decay(values, keep, gain=gain, before=before).tolist() == theirs.tolist()
