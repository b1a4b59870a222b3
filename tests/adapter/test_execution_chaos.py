"""Storms of faults, seeded; afterwards the engine's orders, fills and position are the venue's."""

import asyncio

import pytest

from tests.adapter.exec_chaos import storm


pytestmark = pytest.mark.live_node


@pytest.mark.parametrize("seed", [3, 12, 116])
def test_after_a_storm_the_account_is_the_venues(tmp_path, seed):
    result = asyncio.run(storm(seed, tmp_path))

    assert result.problems == ()
    assert result.actions > 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(200, 240))
def test_after_many_storms_the_account_is_the_venues(tmp_path, seed):
    result = asyncio.run(storm(seed, tmp_path))

    assert result.problems == ()
