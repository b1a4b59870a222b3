"""The times of a bar file as ns UTC: epoch numbers, texts with an offset, and texts in a named zone."""

from typing import Final
from typing import Literal
from zoneinfo import ZoneInfo
from zoneinfo import ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from amm500_catalog.errors import InputError
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.compressed import said_of
from amm500_catalog.validate import LATEST_NS
from amm500_catalog.validate import row_text


TimeUnit = Literal["auto", "s", "ms", "us", "ns"]

# the smallest epoch number of 1990 in each unit, largest unit first
UNIT_FLOORS: Final = (("ns", 631_152_000 * 10**9), ("us", 631_152_000 * 10**6), ("ms", 631_152_000 * 10**3))
UNIT_NS: Final = {"s": NS, "ms": 10**6, "us": 10**3, "ns": 1}
UNITS: Final = ("auto", *UNIT_NS)
# the years that a count of ns holds
NS_YEARS: Final = (1678, 2261)
# an offset of hours alone is one only after a time of day: a date ends like it
OFFSET: Final = r"(?:Z|[+-]\d\d:?\d\d|[T ]\d\d[0-9:.,]* ?[+-]\d\d?)$"
ISO_8601: Final = "ISO 8601, for example 2025-12-16T14:30:00Z or 2025-12-16 09:30:00-05, or an epoch number"


def times_ns(
    values: pd.Series,
    column: str,
    *,
    timezone: str | None,
    unit: TimeUnit,
    path: str,
    header_lines: int,
) -> np.ndarray:
    """
    Return a column of times as ns UTC.

    Parameters
    ----------
    values : pandas.Series
        The column: numbers, texts or timestamps.
    column : str
        Its name, for the message; one that ends in ``_utc`` needs no zone.
    timezone : str, optional
        The IANA name of the zone of times that carry none.
    unit : {'auto', 's', 'ms', 'us', 'ns'}
        The unit of epoch numbers; by their size when auto.
    path : str
        The file's name for the message.
    header_lines : int
        Lines before the first row of a text file.

    Raises
    ------
    InputError
        Naming the first row whose time is missing, is none, has no zone, or lies beyond what ns hold.

    """
    zone = None if timezone is None else _zone(timezone, path)
    missing = np.flatnonzero(values.isna().to_numpy())
    if len(missing):
        raise InputError(
            f"`{column}` is missing",
            row_text(path, int(missing[0]), header_lines=header_lines),
            "a time in every row",
        )
    if pd.api.types.is_numeric_dtype(values):
        return _epoch_ns(values, column, timezone, unit, path, header_lines)
    if not pd.api.types.is_datetime64_any_dtype(values):
        values = _parsed(values, column, path, header_lines)
    far = np.flatnonzero(~values.dt.year.between(*NS_YEARS).to_numpy())
    if len(far):
        row = int(far[0])
        raise InputError(
            f"the time is in the year {int(values.dt.year.iloc[row])}",
            row_text(path, row, header_lines=header_lines),
            "a time between 1990 and 2100",
        )
    aware = _aware(values, column, zone, path, header_lines)
    stamps: np.ndarray = aware.dt.tz_convert("UTC").dt.as_unit("ns").astype("int64").to_numpy()
    return stamps


def _aware(values: pd.Series, column: str, zone: ZoneInfo | None, path: str, header_lines: int) -> pd.Series:
    if values.dt.tz is not None:
        return values
    if zone is not None:
        return _localized(values, zone, path)
    if not column.lower().endswith("_utc"):
        raise InputError(
            f"`{column}` has no timezone ({values.iloc[0]})",
            row_text(path, 0, header_lines=header_lines),
            "times with an offset, or `timezone` set to an IANA name such as America/New_York",
        )
    utc: pd.Series = values.dt.tz_localize("UTC")
    return utc


def _zone(timezone: str, path: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as e:
        raise InputError(
            f"`timezone` is {timezone!r}", path, "an IANA name, for example UTC or America/New_York"
        ) from e


def _epoch_ns(
    values: pd.Series, column: str, timezone: str | None, asked: TimeUnit, path: str, header_lines: int
) -> np.ndarray:
    if timezone is not None and timezone.upper() not in {"UTC", "ETC/UTC", "GMT"}:
        raise InputError(
            f"`timezone` is {timezone!r} but `{column}` holds epoch numbers",
            path,
            "UTC, or leave it out",
        )
    unit: str = asked
    if unit == "auto":
        # by the middle one: a single number that is no time must not decide how the others are read
        usual = float(np.median(np.abs(values.to_numpy(dtype=np.float64))))
        unit = next((unit for unit, floor in UNIT_FLOORS if usual >= floor), "s")
    far = np.flatnonzero(~(np.abs(values.to_numpy(dtype=np.float64)) <= LATEST_NS / UNIT_NS[unit]))
    if len(far):
        row = int(far[0])
        raise InputError(
            f"`{column}` is {values.iloc[row]:g}, read as an epoch number in {unit}",
            row_text(path, row, header_lines=header_lines),
            "a time between 1990 and 2100; say the unit (s, ms, us, ns) if it is another",
        )
    if pd.api.types.is_integer_dtype(values):
        return values.to_numpy(dtype=np.int64) * np.int64(UNIT_NS[unit])
    # whole seconds and the rest apart: a float64 of ns cannot hold a ns of this century
    numbers = values.to_numpy(dtype=np.float64) / (NS / UNIT_NS[unit])
    whole = np.floor(numbers)
    return whole.astype(np.int64) * NS + np.rint((numbers - whole) * 1e6).astype(np.int64) * 1_000


def _parsed(values: pd.Series, column: str, path: str, header_lines: int) -> pd.Series:
    texts = values.astype(str)
    offset = texts.str.contains(OFFSET, regex=True)
    if offset.any() and not offset.all():
        row = int(np.flatnonzero(~offset.to_numpy())[0])
        raise InputError(
            f"`{column}` {texts.iloc[row]!r} has no timezone while other rows have one",
            row_text(path, row, header_lines=header_lines),
            "an offset in every row or in none",
        )
    try:
        parsed: pd.Series = pd.to_datetime(texts, errors="coerce", utc=bool(offset.all()), format="ISO8601")
    except ValueError as e:  # an offset that is not seen above, and another one in another row
        raise InputError(f"`{column}` cannot be read ({said_of(e)})", path, ISO_8601) from e
    # words such as "now" are times to the reader, those of the day the file is read
    bad = np.flatnonzero(parsed.isna().to_numpy() | ~texts.str.slice(0, 1).str.isdigit().to_numpy())
    if len(bad):
        row = int(bad[0])
        raise InputError(
            f"`{column}` {texts.iloc[row]!r} is not a time",
            row_text(path, row, header_lines=header_lines),
            ISO_8601,
        )
    return parsed


def _localized(values: pd.Series, zone: ZoneInfo, path: str) -> pd.Series:
    try:
        localized: pd.Series = values.dt.tz_localize(zone, ambiguous="infer", nonexistent="raise")
    except ValueError as e:
        raise InputError(
            f"a time does not exist or is ambiguous in {zone.key} ({said_of(e)})",
            path,
            "times with an offset where clocks change",
        ) from e
    return localized
