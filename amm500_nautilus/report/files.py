"""A run's files, read back; everything a summary says comes from here."""

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from amm500_catalog.errors import InputError
from amm500_nautilus.report.columns import MID_COLUMNS
from amm500_nautilus.report.shape import DATA_LINE
from amm500_nautilus.report.shape import SUMMARY
from amm500_nautilus.report.shape import require_keys


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
EQUITY = "equity.parquet"
READ_FILES = ("fills.csv", "orders.csv", "open_orders.csv", "states.csv", "sessions.csv", EQUITY)
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
    EQUITY: ("ts_ns", "equity", "position", "mid"),
}


WHOLE_EQUITY_COLUMNS = ("ts_ns", "fills_cum")


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
        _require_file(path, name)
    frames = {name.partition(".")[0]: read_file(path, name) for name in READ_FILES}
    return RunFiles(path=path, **frames)


def read_file(run_dir: Path, name: str) -> pd.DataFrame:
    """
    Read one of a run's ``READ_FILES``.

    Raises
    ------
    InputError
        When it is missing or damaged, or an equity path without a row.

    """
    _require_file(run_dir, name)
    frame = _whole(run_dir / name, READERS[name])
    require_columns(frame, NEEDED_COLUMNS.get(name, ()), run_dir / name)
    if name == EQUITY and frame.empty:
        raise InputError(f"{name} has no rows", str(run_dir), "a run with at least one minute of data")
    return frame


def read_table(path: Path, kinds: Mapping[str, str]) -> pd.DataFrame:
    """
    Return columns of another CSV file of a run, each as the type that is named for it; without a row where there is no such file.

    Raises
    ------
    InputError
        When the file is damaged.

    """
    if not is_file(path):
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    frame = _whole(path, _read_text)
    require_columns(frame, kinds, path)
    return _whole(path, lambda _: frame[list(kinds)].astype(dict(kinds)))


def require_columns(frame: pd.DataFrame, names: Iterable[str], path: Path) -> None:
    """
    Refuse a file of a run without these columns.

    Raises
    ------
    InputError
        With the first that is missing.

    """
    for name in names:
        if name not in frame:
            raise InputError(f"has no column {name}", str(path), f"the {path.name} of a run")


def _require_file(path: Path, name: str) -> None:
    if not is_file(path / name):
        raise InputError(f"{name} is missing", str(path), "the directory of a run that came to its end")


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


def _read_equity(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    for name in frame.columns:
        if name != "ts" and not pd.api.types.is_numeric_dtype(frame[name]):
            raise ValueError(f"column {name} holds no numbers")
    for name in WHOLE_EQUITY_COLUMNS:
        if name in frame:
            frame[name] = frame[name].astype("int64")
    return frame


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "fills.csv": _read_fills,
    "orders.csv": _read_orders,
    "open_orders.csv": _read_text,
    "states.csv": _read_states,
    "sessions.csv": _read_sessions,
    EQUITY: _read_equity,
}


def read_summary(run_dir: str | Path, needed: Iterable[str] = ()) -> dict[str, Any]:
    """
    Read ``summary.json`` of a finished run.

    Parameters
    ----------
    run_dir : str or Path
        The run directory.
    needed : iterable of str
        The keys that the reader takes for granted beside the data's label, as ``require_keys`` has them.

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
    require_keys(summary, (*DATA_LINE, *needed), path)
    return summary


def floats(frame: pd.DataFrame, name: str) -> Floats:
    """Return a column as floats; an absent column is all NaN."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=np.float64)


def ints(frame: pd.DataFrame, name: str) -> Ints:
    """Return a column as 64-bit integers."""
    return frame[name].to_numpy(dtype=np.int64)
