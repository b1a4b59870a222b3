"""Fixtures of the loopback venue's tests."""

import pytest

from tests.loopback.core_scene import Scene


@pytest.fixture
def scene():
    """A venue core on the test's own clock: two funded users, the house's ladder, the oracle at 690."""
    return Scene()
