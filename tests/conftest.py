"""Shared fixtures."""

from pathlib import Path

import pytest


SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The recordings beside the project; a test that asks for them is skipped where they are absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the recordings beside the project (../shared) are absent")
    return SHARED
