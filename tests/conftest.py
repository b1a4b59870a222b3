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


# the longest files, so that none of them is begun when the other workers are done already
FIRST = (
    "tests/research/test_sweep_ray.py",
    "tests/live/test_paper_run.py",
    "tests/live/test_local_run.py",
    "tests/end_to_end/test_killed.py",
    "tests/live/test_supervise.py",
    "tests/adapter/test_parsing_fuzz.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; within a file the order stays."""
    places = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(FIRST)))
