"""The node's log by days: nothing is lost at midnight, what is old is compressed, what is older goes."""

import gzip
import os
import re
import subprocess
import sys
from datetime import UTC
from datetime import date
from datetime import datetime
from pathlib import Path

from amm500_nautilus.runtime.node.logs import LogKeeper
from amm500_nautilus.runtime.node.logs import compress
from amm500_nautilus.runtime.node.logs import prune


ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 1, 5)


class Clock:
    """The time, as a test says."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 5, 23, 59, 59, tzinfo=UTC)

    def __call__(self) -> int:
        return int(self.at.timestamp()) * 10**9


def test_a_day_s_lines_go_into_an_archive_and_the_writer_goes_on_in_the_same_file(tmp_path: Path) -> None:
    path, clock = tmp_path / "node.log", Clock()
    with path.open("a", encoding="utf-8") as writer:
        # as the engine does: one handle that stays open to append
        writer.write("monday\n")
        writer.flush()
        keeper = LogKeeper(tmp_path, now_ns=clock)
        keeper.tick()
        assert path.read_text() == "monday\n"
        clock.at = datetime(2026, 1, 6, 0, 0, 1, tzinfo=UTC)
        keeper.tick()
        keeper.close()
        writer.write("tuesday\n")
        writer.flush()
    assert keeper.failed == ""
    assert path.read_text() == "tuesday\n"
    assert gzip.decompress((tmp_path / "node-2026-01-05.log.gz").read_bytes()) == b"monday\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["node-2026-01-05.log.gz", "node.log"]


def test_a_month_is_kept_and_nothing_that_is_not_an_archive_of_it_goes(tmp_path: Path) -> None:
    clock = Clock()
    kept = ("node-2025-12-07.log.gz", "node-notes.log.gz", "other-2020-01-01.log.gz", "node-2020-01-01.txt")
    for name in ("node-2025-12-06.log.gz", "node-2020-01-01-2.log.gz", *kept):
        (tmp_path / name).write_bytes(b"x")
    keeper = LogKeeper(tmp_path, now_ns=clock)
    clock.at = datetime(2026, 1, 6, 0, 0, 1, tzinfo=UTC)
    keeper.tick()
    keeper.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(kept)


def test_a_day_that_was_rotated_twice_has_two_archives(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    for text in ("one\n", "two\n"):
        path.write_text(text)
        assert compress(path, DAY) is not None
    path.write_text("")
    assert compress(path, DAY) is None
    assert compress(tmp_path / "missing.log", DAY) is None
    texts = [
        gzip.decompress(each.read_bytes())
        for each in sorted(tmp_path.glob("*.gz"), key=lambda p: len(p.name))
    ]
    assert texts == [b"one\n", b"two\n"]
    assert len(prune(path, date(2026, 1, 6))) == 2


def test_a_log_that_cannot_be_rotated_stops_nothing_and_says_so(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "node.log").write_text("monday\n")
    # a folder stands where the lines would be copied to
    (tmp_path / "node-2026-01-05.log.partial").mkdir()
    said: list[str] = []
    keeper = LogKeeper(tmp_path, now_ns=clock, say=said.append)
    clock.at = datetime(2026, 1, 6, tzinfo=UTC)
    keeper.tick()
    keeper.close()
    assert "IsADirectoryError" in keeper.failed
    keeper.tick()
    keeper.tick()
    assert len(said) == 1
    assert said[0].startswith("the log could not be rotated: IsADirectoryError")
    assert (tmp_path / "node.log").read_text() == "monday\n"


ENGINE = """
import sys
from pathlib import Path
from nautilus_trader.common.component import Logger, init_logging
from nautilus_trader.common.enums import LogLevel
from amm500_nautilus.runtime.node.logs import compress
from datetime import date

folder = Path(sys.argv[1])
guard = init_logging(level_stdout=LogLevel.ERROR, level_file=LogLevel.INFO, directory=str(folder), file_name="node")
log = Logger("test")
for number in range(20_000):
    log.info(f"line {number}")
    if number == 10_000:
        compress(folder / "node.log", date(2026, 1, 5))
"""


def test_the_engine_s_own_writer_goes_on_after_a_rotation_and_loses_next_to_nothing(tmp_path: Path) -> None:
    paths = os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))
    done = subprocess.run(
        [sys.executable, "-c", ENGINE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    now = (tmp_path / "node.log").read_bytes()
    before = gzip.decompress((tmp_path / "node-2026-01-05.log.gz").read_bytes())
    # no hole where the file was cut: the writer appends
    assert b"\0" not in now
    numbers = [int(found) for found in re.findall(rb"line (\d+)", before + now)]
    assert numbers[-1] == 19_999
    assert numbers == sorted(numbers)
    # only what was written in that instant may be missing
    assert len(numbers) > 19_000
