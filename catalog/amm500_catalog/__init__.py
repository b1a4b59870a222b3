"""Market data: sources, the market simulator, and the Parquet catalogue."""

from amm500_catalog import arrow as _arrow  # noqa: F401  registers readers the engine gets wrong
from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.spec import Dataset
from amm500_catalog.spec import DatasetInfo
from amm500_catalog.spec import MarketSpec
from hyperliquid_hip3.currency import USDH
from hyperliquid_hip3.currency import collateral_currency


__all__ = [
    "USDH",
    "Dataset",
    "DatasetInfo",
    "InputError",
    "MarketSpec",
    "SourceUnavailableError",
    "collateral_currency",
]
