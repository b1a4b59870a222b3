"""Bars from CSV and Parquet files, refused with one clear sentence when they cannot be used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final
from typing import Literal

import fsspec
import numpy as np
import pandas as pd
from fsspec.implementations.local import LocalFileSystem

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.hours import DAY_NS
from amm500_catalog.hours import cash_sessions
from amm500_catalog.sources.bar_times import UNITS
from amm500_catalog.sources.bar_times import TimeUnit
from amm500_catalog.sources.bar_times import times_ns
from amm500_catalog.sources.base import INTERVAL_SECONDS
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import PRICE_COLUMNS
from amm500_catalog.sources.base import SESSION_GAP_INTERVALS
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.base import session_spans
from amm500_catalog.sources.compressed import COMPRESSIONS
from amm500_catalog.sources.compressed import DAMAGE
from amm500_catalog.sources.compressed import TABLE_DAMAGE
from amm500_catalog.sources.compressed import is_packed
from amm500_catalog.sources.compressed import said_of
from amm500_catalog.sources.compressed import unpacked
from amm500_catalog.validate import DuplicatePolicy
from amm500_catalog.validate import check_order
from amm500_catalog.validate import check_prices
from amm500_catalog.validate import check_spacing
from amm500_catalog.validate import check_times
from amm500_catalog.validate import check_volume
from amm500_catalog.validate import drop_duplicates
from amm500_catalog.validate import row_text
from amm500_catalog.validate import utc_text


# names that a column of times goes by, best first, and what a stamp under that name says
OPEN_TIME_NAMES: Final = (
    "ts_open_utc", "ts_open_ns", "ts_open_ms", "ts_open", "open_time", "opentime", "date", "datetime", "time",
    "timestamp", "time_utc", "t", "ts",
)  # fmt: skip
CLOSE_TIME_NAMES: Final = (
    "ts_close_utc",
    "ts_close_ns",
    "ts_close_ms",
    "ts_close",
    "close_time",
    "closetime",
)
SHORT_NAMES: Final = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}

# what a server answers of a file that is not there
HTTP_GONE: Final = (404, 410)
BARS_FILE: Final = f"a complete CSV or Parquet file of bars, {COMPRESSIONS}"

# a hole shorter than this inside a trading day is missing bars, not a closed market
SHORTEST_CLOSE_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """
    Which column holds what; None is found by its usual name.

    Parameters
    ----------
    time : str, optional
        The column of times.
    time_is : {'open', 'close'}, optional
        Whether a time is the bar's open or its close; open unless the column's name says close.
    unit : {'auto', 's', 'ms', 'us', 'ns'}, default 'auto'
        The unit of epoch numbers; by their size when auto.
    timezone : str, optional
        The IANA name of the zone of times that carry none, for example ``America/New_York``. Epoch numbers are UTC.
    open, high, low, close, volume : str, optional
        The columns of prices and of volume.

    Raises
    ------
    InputError
        If ``time_is`` or ``unit`` is none of these.

    """

    time: str | None = None
    time_is: Literal["open", "close"] | None = None
    unit: TimeUnit = "auto"
    timezone: str | None = None
    open: str | None = None
    high: str | None = None
    low: str | None = None
    close: str | None = None
    volume: str | None = None

    def __post_init__(self) -> None:
        if self.time_is not in (None, "open", "close"):
            raise InputError(f"`time_is` is {self.time_is!r}", "the column map", "open or close")
        if self.unit not in UNITS:
            raise InputError(f"`unit` is {self.unit!r}", "the column map", ", ".join(UNITS))


@dataclass(frozen=True, slots=True)
class FileSource:
    """
    A bar file as a source.

    Parameters
    ----------
    path : str
        A CSV or Parquet file; any fsspec URL.
    columns : ColumnMap, optional
        Which column holds what.
    duplicates : {'refuse', 'drop'}, default 'refuse'
        What to do with exact copies of a row.
    calendar : str, optional
        The exchange_calendars name whose cash hours hold every bar, for example ``XNYS``; finds a wrong timezone.

    """

    path: str
    columns: ColumnMap = ColumnMap()
    duplicates: DuplicatePolicy = "refuse"
    calendar: str | None = None

    @property
    def name(self) -> str:
        """The name written into reports."""
        return "file"

    def fetch(self, request: BarRequest) -> BarFrame:
        """
        Return the file's bars whose open lies in the request's span.

        Raises
        ------
        InputError
            If the file cannot be used.
        SourceUnavailableError
            If it cannot be reached, has no bar in the span, or bars of another interval.

        """
        frame = read_bars(self.path, columns=self.columns, duplicates=self.duplicates, calendar=self.calendar)
        if frame.interval_s != request.interval_s:
            raise SourceUnavailableError(
                f"{self.path} holds bars of {frame.interval_s} s, {request.interval_s} s were asked"
            )
        opens = frame.bars["ts_open_ns"]
        bars = frame.bars[(opens >= request.start_ns) & (opens < request.end_ns)].reset_index(drop=True)
        if bars.empty:
            raise SourceUnavailableError(
                f"{self.path} has no bar from {utc_text(request.start_ns)} to {utc_text(request.end_ns)}; "
                f"it runs from {utc_text(frame.start_ns)} to {utc_text(frame.end_ns)}"
            )
        return BarFrame(
            bars=bars,
            interval_s=frame.interval_s,
            source=frame.source,
            symbol=frame.symbol,
            sessions=session_spans(bars, frame.interval_s, gap_intervals=gap_intervals(frame.interval_s)),
            notes=frame.notes,
        )


def gap_intervals(interval_s: int) -> float:
    """Return how many intervals between two opens make a closed market: at least an hour, so that a few lost bars do not."""
    return max(SESSION_GAP_INTERVALS, SHORTEST_CLOSE_S / interval_s)


def read_bars(
    path: str,
    *,
    columns: ColumnMap | None = None,
    interval_s: int | None = None,
    duplicates: DuplicatePolicy = "refuse",
    calendar: str | None = None,
    symbol: str | None = None,
    storage_options: dict[str, Any] | None = None,
) -> BarFrame:
    """
    Return the bars of a CSV or Parquet file, with session gaps kept as gaps.

    Parameters
    ----------
    path : str
        The file; any fsspec URL.
    columns : ColumnMap, optional
        Which column holds what; the usual names are found by themselves.
    interval_s : int, optional
        Seconds of one bar; the commonest step when absent.
    duplicates : {'refuse', 'drop'}, default 'refuse'
        What to do with exact copies of a row; two different bars of one time are always refused.
    calendar : str, optional
        The exchange_calendars name whose cash hours must hold every bar.
    symbol : str, optional
        What the bars are of; the file's stem when absent.
    storage_options : dict, optional
        For the fsspec filesystem.

    Raises
    ------
    InputError
        One sentence: the file, the row, the value, and what is allowed.
    SourceUnavailableError
        If a file elsewhere cannot be reached.

    """
    name = _shown(path)
    raw, header_lines = _read_table(path, name, storage_options or {})
    bars, is_close, notes = _checked_rows(raw, columns or ColumnMap(), duplicates, name, header_lines)
    rows = bars.index.to_numpy()
    bars = bars.reset_index(drop=True)
    stamps = bars["ts_open_ns"].to_numpy()
    step = interval_s or _interval(stamps, name)
    check_spacing(stamps, step, path=name, gap_s=gap_intervals(step) * step, header_lines=header_lines)
    _set_times(bars, step, is_close=is_close)
    if calendar is not None:
        _check_calendar(bars, rows, calendar, name, header_lines)
    sessions = session_spans(bars, step, gap_intervals=gap_intervals(step))
    if missing := sum((end - start) // (step * NS) for start, end in sessions) - len(bars):
        notes.append(f"{missing} bars missing inside sessions; left as gaps")
    return BarFrame(
        bars=bars,
        interval_s=step,
        source="file",
        symbol=symbol or Path(path).stem,
        sessions=sessions,
        notes=tuple(notes),
    )


def _checked_rows(
    raw: pd.DataFrame, columns: ColumnMap, duplicates: DuplicatePolicy, name: str, header_lines: int
) -> tuple[pd.DataFrame, bool, list[str]]:
    """Return the rows in their columns, whether their times are closes, and notes; the index keeps each row's place in the file."""
    time_name, is_close = _time_column(raw, columns, name)
    stamps = times_ns(
        raw[time_name],
        time_name,
        timezone=columns.timezone,
        unit=columns.unit,
        path=name,
        header_lines=header_lines,
    )
    check_times(stamps, path=name, header_lines=header_lines)
    bars = pd.DataFrame({"ts_open_ns": stamps})
    for column in PRICE_COLUMNS:
        bars[column] = _numbers(raw, _column(raw, column, getattr(columns, column), name), name, header_lines)
    check_prices(bars, path=name, header_lines=header_lines)
    notes: list[str] = []
    bars["volume"] = _volume(raw, columns, name, header_lines, notes)
    check_order(stamps, path=name, header_lines=header_lines)
    bars, dropped = drop_duplicates(bars, path=name, policy=duplicates, header_lines=header_lines)
    if dropped:
        notes.append(f"{dropped} exact copies of a row dropped")
    return bars, is_close, notes


def _shown(path: str) -> str:
    return path if len(path) <= 80 else f".../{Path(path).name}"


def _read_table(path: str, name: str, options: dict[str, Any]) -> tuple[pd.DataFrame, int]:
    suffixes = "".join(Path(path).suffixes[-2:]).lower()
    is_parquet = suffixes.endswith((".parquet", ".pq"))
    if not is_parquet and ".csv" not in suffixes:
        raise InputError(
            "the file's type is not known", name, "a name ending in .csv, .csv.gz, .parquet or .pq"
        )
    fs, fs_path = _found(path, name, options)
    try:
        with fs.open(fs_path, "rb") as stream:
            content = stream.read()
    except Exception as e:  # every filesystem has errors of its own
        raise _unreached(fs, name, e) from e
    table = _parsed_table(content, fs_path, name, is_parquet=is_parquet)
    if isinstance(table.index, pd.DatetimeIndex):
        table = table.reset_index(names=table.index.name or "date")
    if len(table) < 2:
        raise InputError(f"the file has {len(table)} rows", name, "at least two bars")
    return table.reset_index(drop=True), 0 if is_parquet else 1


def _parsed_table(content: bytes, path: str, name: str, *, is_parquet: bool) -> pd.DataFrame:
    try:
        with unpacked(content, path) as stream:
            return pd.read_parquet(stream) if is_parquet else pd.read_csv(stream)
    except TABLE_DAMAGE as e:
        # text that is no table is whole all the same
        is_damaged = is_parquet or (is_packed(path) and isinstance(e, DAMAGE))
        what = "is damaged or not what its name says" if is_damaged else "cannot be read"
        raise InputError(f"the file {what} ({said_of(e)})", name, BARS_FILE) from e


def _set_times(bars: pd.DataFrame, step: int, *, is_close: bool) -> None:
    """Make open and close times in place, of bars whose one time is what the file gave."""
    if is_close:
        bars["ts_open_ns"] -= step * NS
    bars.insert(1, "ts_close_ns", bars["ts_open_ns"] + step * NS)


def _found(path: str, name: str, options: dict[str, Any]) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the filesystem and the path in it of a file that is there and not empty."""
    try:
        fs, fs_path = fsspec.core.url_to_fs(path, **options)
    except (ValueError, ImportError) as e:
        raise InputError(
            f"the file's filesystem cannot be opened ({said_of(e)})", name, "a path or fsspec URL"
        ) from e
    except Exception as e:  # one that connects as it is made has errors of its own
        raise SourceUnavailableError(f"{name}: the file cannot be reached ({said_of(e)})") from e
    try:
        fs.info(fs_path)
        is_folder = fs.isdir(fs_path)
        is_empty = not is_folder and fs.size(fs_path) == 0
    except (FileNotFoundError, NotADirectoryError) as e:
        if cause := _failure(fs, e):
            raise _unreached(fs, name, cause) from e
        raise InputError("the file does not exist", name, "a CSV or Parquet file of bars") from e
    except Exception as e:  # every filesystem has errors of its own: no network, no credentials
        raise _unreached(fs, name, e) from e
    if is_folder:
        raise InputError("this is a folder", name, "one CSV or Parquet file of bars")
    if is_empty:
        raise InputError("the file is empty", name, "a header and at least two bars")
    return fs, fs_path


def _failure(fs: fsspec.AbstractFileSystem, missing: OSError) -> Exception | None:
    """Return why a file was not found where that is not that it is not there: over HTTP, whatever fails is told as no such file."""
    cause = missing.__cause__
    is_http = isinstance(fs.protocol, tuple) and "http" in fs.protocol
    if not is_http or not isinstance(cause, Exception) or getattr(cause, "status", None) in HTTP_GONE:
        return None
    return cause


def _unreached(fs: fsspec.AbstractFileSystem, name: str, error: Exception) -> Exception:
    if isinstance(fs, LocalFileSystem):
        return InputError(
            f"the file cannot be read ({said_of(error)})", name, "a file that this user may read"
        )
    return SourceUnavailableError(f"{name}: the file cannot be reached ({said_of(error)})")


def _listed(table: pd.DataFrame) -> str:
    return "one of the file's columns: " + ", ".join(str(column) for column in table.columns)


def _column(table: pd.DataFrame, role: str, asked: str | None, name: str) -> str:
    if asked is not None:
        if asked not in table.columns:
            raise InputError(f"there is no column `{asked}` for `{role}`", name, _listed(table))
        return asked
    by_lower = {str(column).lower(): str(column) for column in table.columns}
    for candidate in (role, SHORT_NAMES[role]):
        if candidate in by_lower:
            return by_lower[candidate]
    raise InputError(f"no column is named `{role}`", name, f"a column map naming {_listed(table)}")


def _time_column(table: pd.DataFrame, columns: ColumnMap, name: str) -> tuple[str, bool]:
    if columns.time is not None:
        if columns.time not in table.columns:
            raise InputError(f"there is no column `{columns.time}` for `time`", name, _listed(table))
        found, says_close = columns.time, columns.time.lower() in CLOSE_TIME_NAMES
    else:
        by_lower = {str(column).lower(): str(column) for column in table.columns}
        names = [
            by_lower[candidate]
            for candidate in (*OPEN_TIME_NAMES, *CLOSE_TIME_NAMES)
            if candidate in by_lower
        ]
        if not names:
            raise InputError("no column of times was found", name, f"a column map naming {_listed(table)}")
        found, says_close = names[0], names[0].lower() in CLOSE_TIME_NAMES
    return found, columns.time_is == "close" if columns.time_is else says_close


def _numbers(table: pd.DataFrame, column: str, name: str, header_lines: int) -> pd.Series:
    values = pd.to_numeric(table[column], errors="coerce")
    bad = np.flatnonzero((values.isna() & table[column].notna()).to_numpy())
    if len(bad):
        row = int(bad[0])
        raise InputError(
            f"`{column}` is {str(table[column].iloc[row])[:80]!r}",
            row_text(name, row, header_lines=header_lines),
            "a number",
        )
    return values.astype("float64")


def _volume(
    table: pd.DataFrame, columns: ColumnMap, name: str, header_lines: int, notes: list[str]
) -> pd.Series:
    absent = pd.Series(np.nan, index=table.index)
    if columns.volume is not None:
        column = _column(table, "volume", columns.volume, name)
    else:
        by_lower = {str(column).lower(): str(column) for column in table.columns}
        found = by_lower.get("volume", by_lower.get("v"))
        if found is None:
            notes.append("the source has no volume")
            return absent
        column = found
    values = _numbers(table, column, name, header_lines)
    if not (values.notna() & (values != 0.0)).any():
        notes.append("the source has no volume (the column is zero or empty throughout)")
        return absent
    check_volume(values.to_numpy(), path=name, header_lines=header_lines)
    return values


def _interval(opens_ns: np.ndarray, name: str) -> int:
    steps, counts = np.unique(np.diff(opens_ns), return_counts=True)
    commonest = int(steps[np.argmax(counts)])
    seconds, rest = divmod(commonest, NS)
    if rest or seconds not in INTERVAL_SECONDS.values():
        raise InputError(
            f"the commonest step between bars is {commonest / NS:g} s",
            name,
            "bars of " + ", ".join(INTERVAL_SECONDS),
        )
    return seconds


def _check_calendar(
    bars: pd.DataFrame, rows: np.ndarray, calendar: str, name: str, header_lines: int
) -> None:
    opens = bars["ts_open_ns"].to_numpy()
    spans = np.array(
        cash_sessions(calendar, int(opens[0]) - DAY_NS, int(opens[-1]) + DAY_NS), dtype=np.int64
    ).reshape(-1, 2)
    starts, ends = spans[:, 0], spans[:, 1]
    at = np.searchsorted(starts, opens, side="right") - 1
    closes = bars["ts_close_ns"].to_numpy()
    if not len(spans):
        at = np.full(len(opens), -1)
    outside = np.flatnonzero([i < 0 or closed > ends[i] for i, closed in zip(at, closes, strict=True)])
    if len(outside):
        row = int(outside[0])
        raise InputError(
            f"the bar opens at {utc_text(int(opens[row]))}, outside the cash hours of {calendar}",
            row_text(name, int(rows[row]), header_lines=header_lines),
            "bars inside the exchange's sessions; a wrong `timezone` shifts them out",
        )
