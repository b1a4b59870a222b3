"""The market simulator: a seeded model that turns bars into a book, trades, oracle and funding."""

from amm500_catalog.simulator.config import MOST_DAILY_VOLUME
from amm500_catalog.simulator.config import TOXICITY_TARGETS
from amm500_catalog.simulator.config import SimulatorConfig
from amm500_catalog.simulator.config import TwinConfig
from amm500_catalog.simulator.simulate import SimulationResult
from amm500_catalog.simulator.simulate import price_decimals
from amm500_catalog.simulator.simulate import simulate


__all__ = [
    "MOST_DAILY_VOLUME",
    "TOXICITY_TARGETS",
    "SimulationResult",
    "SimulatorConfig",
    "TwinConfig",
    "price_decimals",
    "simulate",
]
