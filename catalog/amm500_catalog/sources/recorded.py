"""The Parquet files of a recording: every column that is needed, of numbers where numbers are needed, every row with its time."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from amm500_catalog.errors import InputError
from amm500_catalog.sources.compressed import TABLE_DAMAGE
from amm500_catalog.validate import EARLIEST_NS
from amm500_catalog.validate import LATEST_NS
from amm500_catalog.validate import row_text


NS_PER_MS: Final = 1_000_000
LEVELS: Final = 20
SHOWN_CHARACTERS: Final = 80
# every other column of a recording holds numbers
TEXT_COLUMNS: Final = ("side", "trade_id")
# what pandas finds in a column that reads as texts or ids
TEXT_KINDS: Final = frozenset(("string", "integer", "floating", "decimal", "categorical", "empty"))
REQUIRED_COLUMNS: Final = {
    "orderbooks": (
        "timestamp",
        "exchange_timestamp",
        *(
            f"{side}_{what}_{i}"
            for i in range(LEVELS)
            for side in ("bid", "ask")
            for what in ("price", "size")
        ),
    ),
    "prices": ("timestamp", "price", "size", "side", "exchange_timestamp"),
    "trades": ("timestamp", "price", "size", "side", "trade_id", "exchange_timestamp"),
}


def require_file(path: Path) -> None:
    """
    Refuse a file that is not there, or empty.

    Raises
    ------
    InputError
        Naming it.

    """
    if not path.is_file():
        raise InputError("the file does not exist", str(path), "a recording")
    if path.stat().st_size == 0:
        raise InputError("the file is empty", str(path), "a recording with at least one row")


def read_rows(path: Path) -> pd.DataFrame:
    """
    Return the rows of one file, numbers as float64 and ``exchange_timestamp`` as whole ms.

    Parameters
    ----------
    path : Path
        A file named ``COIN_orderbooks``, ``COIN_prices`` or ``COIN_trades`` (``.parquet``).

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or holds what is no number or no time.

    """
    require_file(path)
    try:
        table = pd.read_parquet(path)
    except TABLE_DAMAGE as e:
        raise InputError("the file cannot be read", str(path), "a complete Parquet file") from e
    needed = REQUIRED_COLUMNS[path.stem.rpartition("_")[2]]
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise InputError(f"there is no column `{missing[0]}`", str(path), ", ".join(needed[:8]))
    if table.empty:
        raise InputError("the file has no rows", str(path), "at least one row")
    table = table.reset_index(drop=True)
    for name in needed:
        if name in TEXT_COLUMNS:
            _require_texts(table[name], name, str(path))
        else:
            table[name] = _numbers(table[name], name, str(path))
    stamps = table["exchange_timestamp"].to_numpy()
    # so far outside that ns would not hold it
    wrong = np.flatnonzero(~((stamps >= EARLIEST_NS / NS_PER_MS) & (stamps <= LATEST_NS / NS_PER_MS)))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"`exchange_timestamp` is {_shown(stamps[row])}",
            row_text(str(path), row),
            "ms since 1970 of a time between 1990 and 2100",
        )
    table["exchange_timestamp"] = stamps.astype(np.int64)
    return table


def _numbers(values: pd.Series, name: str, path: str) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = np.flatnonzero((numbers.isna() & values.notna()).to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise InputError(f"`{name}` is {_brief(values.iloc[row])}", row_text(path, row), "a number")
    return numbers.astype("float64")


def _require_texts(values: pd.Series, name: str, path: str) -> None:
    if pd.api.types.infer_dtype(values, skipna=True) not in TEXT_KINDS:
        row = int(np.flatnonzero(values.notna().to_numpy())[0])
        raise InputError(
            f"`{name}` is {_brief(values.iloc[row])}", row_text(path, row), "a text or a whole number"
        )


def _brief(value: object) -> str:
    """Return a value on one line, whatever it holds."""
    return repr(str(value)[:SHOWN_CHARACTERS])


def _shown(value: float) -> str:
    return "missing (NaN)" if np.isnan(value) else f"{value:g}"
