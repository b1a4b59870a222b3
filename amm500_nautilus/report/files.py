"""A run's files, read back; everything a summary says comes from here."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from amm500_catalog.errors import InputError
from amm500_nautilus.report.columns import MID_COLUMNS


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
READ_FILES = (
    "fills.csv",
    "orders.csv",
    "open_orders.csv",
    "states.csv",
    "sessions.csv",
    "equity.parquet",
)
NUMERIC_FILL_COLUMNS = (
    "last_qty",
    "last_px",
    *MID_COLUMNS.values(),
    "fee",
    "position_after",
    "closed_pnl",
    "closed_pnl_net",
    "queue_ahead",
    "level",
)


@dataclass(frozen=True, slots=True)
class RunFiles:
    """
    The files of one run directory as frames.

    ``fills`` has the file's text for prices, sizes and fees under ``*_text`` beside the numbers, since the result hash is
    taken over what is written. ``open_orders`` is what rested when the data ended, all of it text.
    """

    path: Path
    fills: pd.DataFrame
    orders: pd.DataFrame
    open_orders: pd.DataFrame
    equity: pd.DataFrame
    states: pd.DataFrame
    sessions: pd.DataFrame

    def session_bounds(self) -> list[tuple[int, int]]:
        """Return the sessions as ``(open, close)`` in UTC ns."""
        pairs = zip(self.sessions["open_ns"].tolist(), self.sessions["close_ns"].tolist(), strict=True)
        return [(int(begin), int(end)) for begin, end in pairs]


def read_run(run_dir: str | Path) -> RunFiles:
    """
    Read a run directory.

    Raises
    ------
    InputError
        When a file is missing (a run that was cut short leaves ``.partial`` files) or the equity path is empty.

    """
    path = Path(run_dir)
    for name in READ_FILES:
        if not (path / name).is_file():
            raise InputError(f"{name} is missing", str(path), "the directory of a run that came to its end")
    fills = pd.read_csv(path / "fills.csv", dtype=str, keep_default_na=False)
    for name in ("last_qty", "last_px", "fee"):
        fills[f"{name}_text"] = fills[name]
    for name in NUMERIC_FILL_COLUMNS:
        fills[name] = pd.to_numeric(fills[name].replace("", np.nan)).astype(float)
    for name in ("fill_index", "ts_ns", "side", "session", "unseen_level", "by_trade"):
        fills[name] = fills[name].astype("int64")
    orders = pd.read_csv(path / "orders.csv", dtype=str, keep_default_na=False)
    # an order filled after its cancel is written again; the later row is the truth
    orders = orders.drop_duplicates("client_order_id", keep="last").reset_index(drop=True)
    for name in ("accepted", "open_at_end"):
        orders[name] = orders[name].astype("int64")
    open_orders = pd.read_csv(path / "open_orders.csv", dtype=str, keep_default_na=False)
    equity = pd.read_parquet(path / "equity.parquet")
    if equity.empty:
        raise InputError("equity.parquet has no rows", str(path), "a run with at least one minute of data")
    states = pd.read_csv(path / "states.csv", keep_default_na=False)
    sessions = pd.read_csv(path / "sessions.csv", dtype={"open_ns": "int64", "close_ns": "int64"})
    return RunFiles(path, fills, orders, open_orders, equity, states, sessions)


def read_summary(run_dir: str | Path) -> dict[str, Any]:
    """
    Read ``summary.json`` of a finished run.

    Raises
    ------
    InputError
        When it is missing or not JSON.

    """
    path = Path(run_dir) / "summary.json"
    if not path.is_file():
        raise InputError(
            "summary.json is missing", str(run_dir), "the directory of a run that came to its end"
        )
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON ({error.msg})", str(path), "a summary written by a run") from error
    return summary


def floats(frame: pd.DataFrame, name: str) -> Floats:
    """Return a column as floats; an absent column is all NaN."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=np.float64)


def ints(frame: pd.DataFrame, name: str) -> Ints:
    """Return a column as 64-bit integers."""
    return frame[name].to_numpy(dtype=np.int64)
