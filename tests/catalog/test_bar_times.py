"""The times of bar files: which texts are a time, and of which zone."""

from pathlib import Path

import pandas as pd
import pytest

from amm500_catalog.errors import InputError
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.files import read_bars


# New York before and after its clocks went forward on 2025-03-09
WINTER = pd.Timestamp("2025-03-07T19:30:00Z").value
SUMMER = pd.Timestamp("2025-03-10T18:30:00Z").value


def bars(folder: Path, times: list[str]) -> str:
    path = folder / "bars.csv"
    rows = "".join(f"{time},100,101,99,100.5,10\n" for time in times)
    path.write_text(f"time,open,high,low,close,volume\n{rows}", encoding="utf-8")
    return str(path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "form",
    [
        "2025-03-{day}T14:{minute}:00-0{hours}:00",
        "2025-03-{day} 14:{minute}:00-0{hours}",
        "2025-03-{day} 14:{minute}:00.000-0{hours}",
        "2025-03-{day} 14:{minute}:00 -0{hours}:00",
        "2025-03-{day} 14:{minute}:00-{hours}",
        "2025-03-{day} 14:{minute}-0{hours}",
        "2025-03-{day}T14{minute}-0{hours}",
        "202503{day}T14{minute}00-0{hours}",
        "202503{day}T14{minute}00-0{hours}00",
    ],
)
def test_an_offset_may_be_written_in_every_way_of_iso_8601_and_change_with_the_clocks(
    tmp_path: Path, form: str
) -> None:
    times = [
        form.format(day=day, minute=minute, hours=hours)
        for day, minute, hours in (("07", 30, 5), ("07", 35, 5), ("10", 30, 4))
    ]
    frame = read_bars(bars(tmp_path, times))
    assert frame.bars["ts_open_ns"].tolist() == [WINTER, WINTER + 300 * NS, SUMMER]


def test_offsets_of_whole_hours_are_read(tmp_path: Path) -> None:
    frame = read_bars(bars(tmp_path, ["2025-03-07T14-05", "2025-03-07T15-05", "2025-03-10T14-04"]))
    assert frame.interval_s == 3_600
    assert frame.start_ns == WINTER - 1_800 * NS


def test_a_date_is_not_taken_for_an_offset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 1 \(line 2\): `time` has no timezone"):
        read_bars(bars(tmp_path, ["2025-03-07", "2025-03-08", "2025-03-10"]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "time",
    ["now", "today", "2025-03-07 14:35:00-99", "2025-03-07 14:35:00-24", "2025-03-07 14:35:00 EST", "03/07/2025 14:35"],
)  # fmt: skip
def test_what_is_no_time_is_named(tmp_path: Path, time: str) -> None:
    with pytest.raises(
        InputError, match=rf"row 1 \(line 2\): `time` '{time}' is not a time; allowed: ISO 8601"
    ):
        read_bars(bars(tmp_path, [time] * 3))
