"""Simulated markets that several tests measure."""

from pathlib import Path

import pytest

from amm500_catalog.calibrate import Measurement
from amm500_catalog.calibrate_report import simulate_levels
from amm500_catalog.calibrate_report import walk_bars


@pytest.fixture(scope="session")
def level_bars():
    """Six hours of one-minute bars at km:US500's deviation (0.20 bp per root second)."""
    return walk_bars(hours=6, seed=1)


@pytest.fixture(scope="session")
def levels(level_bars, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measurement]:
    """The three toxicity levels along those bars, measured."""
    root: Path = tmp_path_factory.mktemp("levels")
    return {m.name: m for m in simulate_levels(str(root), bars=level_bars, seed=1)}
