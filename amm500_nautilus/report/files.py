"""A run's files, read back; everything a summary says comes from here."""

import json
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

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
# what everything read from them takes for granted
NEEDED_COLUMNS = {
    "open_orders.csv": ("client_order_id",),
    "states.csv": ("state", "reasons"),
    "sessions.csv": ("open_ns", "close_ns"),
    "equity.parquet": ("ts_ns", "equity", "position", "mid"),
}
SUMMARY = "a summary written by a run"
NEEDED_SECTIONS = ("data", "metrics")


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
        When a file is missing (a run that was cut short leaves ``.partial`` files) or damaged, or the equity path is empty.

    """
    path = Path(run_dir)
    for name in READ_FILES:
        if not is_file(path / name):
            raise InputError(f"{name} is missing", str(path), "the directory of a run that came to its end")
    run = RunFiles(
        path=path,
        fills=_whole(path / "fills.csv", _read_fills),
        orders=_whole(path / "orders.csv", _read_orders),
        open_orders=_whole(path / "open_orders.csv", _read_text),
        equity=_whole(path / "equity.parquet", pd.read_parquet),
        states=_whole(path / "states.csv", _read_states),
        sessions=_whole(path / "sessions.csv", _read_sessions),
    )
    if run.equity.empty:
        raise InputError("equity.parquet has no rows", str(path), "a run with at least one minute of data")
    return run


def is_file(path: Path) -> bool:
    """
    Return whether a run's file is there.

    Raises
    ------
    InputError
        When its folder may not be looked into.

    """
    try:
        return path.is_file()
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", str(path), "a readable run directory"
        ) from error


def _whole(path: Path, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    """Return what a file holds; one that was cut short or written over has no other sign than that reading fails somehow."""
    wanted = f"the {path.name} of a run"
    try:
        frame = read(path)
    except KeyError as error:
        raise InputError(f"cannot be read (no column {error.args[0]})", str(path), wanted) from error
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        raise InputError(f"cannot be read ({one_line(error)})", str(path), wanted) from error
    for name in NEEDED_COLUMNS.get(path.name, ()):
        if name not in frame:
            raise InputError(f"has no column {name}", str(path), wanted)
    return frame


def one_line(error: Exception) -> str:
    """Return the first line of an error's words."""
    return str(error).strip().partition("\n")[0]


def _read_text(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _read_fills(path: Path) -> pd.DataFrame:
    fills = _read_text(path)
    for name in ("last_qty", "last_px", "fee"):
        fills[f"{name}_text"] = fills[name]
    for name in NUMERIC_FILL_COLUMNS:
        fills[name] = pd.to_numeric(fills[name].replace("", np.nan)).astype(float)
    for name in ("fill_index", "ts_ns", "side", "session", "unseen_level", "by_trade"):
        fills[name] = fills[name].astype("int64")
    return fills


def _read_orders(path: Path) -> pd.DataFrame:
    orders = _read_text(path)
    # an order filled after its cancel is written again; the later row is the truth
    orders = orders[~orders["client_order_id"].duplicated(keep="last")].reset_index(drop=True)
    for name in ("accepted", "open_at_end"):
        orders[name] = orders[name].astype("int64")
    return orders


def _read_states(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False)


def _read_sessions(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"open_ns": "int64", "close_ns": "int64"})


def read_summary(run_dir: str | Path) -> dict[str, Any]:
    """
    Read ``summary.json`` of a finished run.

    Raises
    ------
    InputError
        When it is missing, not JSON, or not a run's summary.

    """
    path = Path(run_dir) / "summary.json"
    if not is_file(path):
        raise InputError(
            "summary.json is missing", str(run_dir), "the directory of a run that came to its end"
        )
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path), SUMMARY) from error
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON ({error.msg})", str(path), SUMMARY) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"is not JSON ({error})", str(path), SUMMARY) from error
    if not isinstance(summary, dict):
        raise InputError(f"holds a {type(summary).__name__}", str(path), SUMMARY)
    require_sections(summary, NEEDED_SECTIONS, path)
    return summary


def require_sections(summary: dict[str, Any], names: Iterable[str], path: Path) -> None:
    """
    Refuse a summary without these sections.

    Raises
    ------
    InputError
        With the first that is missing.

    """
    for name in names:
        if name not in summary:
            raise InputError(f"has no {name!r}", str(path), SUMMARY)


def floats(frame: pd.DataFrame, name: str) -> Floats:
    """Return a column as floats; an absent column is all NaN."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=np.float64)


def ints(frame: pd.DataFrame, name: str) -> Ints:
    """Return a column as 64-bit integers."""
    return frame[name].to_numpy(dtype=np.int64)
