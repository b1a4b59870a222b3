"""Market data: sources, the market simulator, and the Parquet catalogue."""

from amm500_catalog.currency import USDH
from amm500_catalog.currency import collateral_currency
from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.spec import Dataset
from amm500_catalog.spec import DatasetInfo
from amm500_catalog.spec import MarketSpec


__all__ = [
    "USDH",
    "Dataset",
    "DatasetInfo",
    "InputError",
    "MarketSpec",
    "SourceUnavailableError",
    "collateral_currency",
]
