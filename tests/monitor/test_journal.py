"""The journal: nothing that was on disk is lost, nothing half is there, and nobody waits for it."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.monitor.errors import AlreadyRunningError
from amm500_nautilus.monitor.errors import JournalError
from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.monitor.journal import damage_of
from amm500_nautilus.monitor.journal import last_of
from amm500_nautilus.monitor.journal import load_saved
from amm500_nautilus.monitor.schema import COLUMNS
from amm500_nautilus.monitor.schema import VERSION


ROOT = Path(__file__).resolve().parents[2]


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come"
        time.sleep(0.005)


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def note(journal: Journal, number: int) -> bool:
    return journal.write("event", ts_ns=number, run=1, kind="note", text=f"note {number}")


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    assert journal.open().is_new
    assert note(journal, 1)
    journal.save("strategy", 5, b"\x00old")
    journal.save("strategy", 6, b"\x00new")
    assert journal.close()
    again = Journal(tmp_path / "j")
    opening = again.open()
    assert (opening.is_new, opening.damaged) == (False, None)
    assert load_saved(again.path) == {"strategy": (6, b"\x00new")}
    assert last_of(again.path, "SELECT text FROM event WHERE ts_ns = ?", 1) == ("note 1",)
    assert again.close()


def test_the_folder_and_every_file_are_the_owners_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.open()
    note(journal, 1)
    assert journal.flush()
    assert journal.folder.stat().st_mode & 0o777 == 0o700
    # the log and its index take the file's rights
    names = sorted(path.name for path in journal.folder.iterdir())
    assert names == ["journal.lock", NAME, f"{NAME}-shm", f"{NAME}-wal"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in journal.folder.iterdir())
    journal.close()


def test_every_table_takes_a_row_of_all_its_columns(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    texts = {"outcome", "state", "coin", "name", "value", "sha256"}
    with sqlite3.connect(journal.path) as connection:
        kinds = {
            table: {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({table})")}
            for table in COLUMNS
        }
    connection.close()
    sample = {"INTEGER": 1, "REAL": 1.5, "TEXT": "1", "BLOB": b"1"}
    for table, columns in kinds.items():
        journal.write(table, **{name: sample[kind] for name, kind in columns.items()})
    assert journal.close()
    assert texts
    assert all(rows(journal.path, f"SELECT count(*) FROM {table}") == [(1,)] for table in COLUMNS)
    assert journal.lost == 0


def test_a_fill_that_comes_twice_is_one_fill(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    fill = {"coin": "km:US500", "side": 1, "price": "690.1", "size": "0.5", "fee": "0.01", "closed_pnl": "0"}
    for ts_ns, tid in ((1, "7"), (1, "7"), (1, "8"), (2, "7")):
        journal.write("fill", ts_ns=ts_ns, tid=tid, run=1, maker=1, position="0.5", **fill)
    journal.close()
    assert rows(journal.path, "SELECT ts_ns, tid, price FROM fill ORDER BY ts_ns, tid") == [
        (1, "7", "690.1"),
        (1, "8", "690.1"),
        (2, "7", "690.1"),
    ]


def test_a_row_that_no_table_takes_is_refused_where_it_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(ValueError, match="table 'nowhere' is not in the journal"):
        journal.write("nowhere", ts_ns=1)
    with pytest.raises(ValueError, match="event has no column mood"):
        journal.write("event", ts_ns=1, mood="fine")


def test_a_row_of_the_wrong_kind_is_noted_and_holds_up_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    journal.write("event", ts_ns="yesterday", run=1, kind="note", text="lost")
    note(journal, 2)
    assert journal.close()
    assert journal.lost == 1
    texts = [text for (text,) in rows(journal.path, "SELECT text FROM event")]
    assert "note 2" in texts
    assert any("a row of event was refused" in text for text in texts)


def test_a_second_process_is_refused_with_the_number_of_the_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()} runs here already"):
        Journal(tmp_path).open()
    journal.close()
    again = Journal(tmp_path)
    again.open()
    again.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_in_mid_write_leaves_whole_rows_and_all_that_was_on_disk(tmp_path: Path, seed: int) -> None:
    script = Path(__file__).with_name("journal_writer.py")
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))
    }
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env
    )
    assert process.stdout is not None
    known = int(process.stdout.readline())
    time.sleep(random.Random(seed).uniform(0.0, 0.5))
    process.send_signal(signal.SIGKILL)
    known = max([known, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.wait()
    process.stdout.close()
    journal = Journal(tmp_path)
    opening = journal.open()
    assert (opening.is_new, opening.why) == (False, "")
    journal.close()
    numbers = [number for (number,) in rows(journal.path, "SELECT ts_ns FROM event ORDER BY ts_ns")]
    assert len(numbers) >= known > 0
    assert numbers == list(range(1, len(numbers) + 1))
    saved_ns, value = load_saved(journal.path)["state"]
    assert saved_ns >= known
    assert value == str(saved_ns).encode()


def fill_and_close(folder: Path, count: int = 2_000) -> Path:
    journal = Journal(folder)
    journal.open()
    for number in range(count):
        note(journal, number)
    journal.save("strategy", 1, b"halted" * 200)
    assert journal.close()
    return journal.path


@pytest.mark.parametrize("where", ["head", "page", "saved", "cut", "text"])
def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(tmp_path: Path, where: str) -> None:
    path = fill_and_close(tmp_path)
    data = bytearray(path.read_bytes())
    if where == "head":
        data[:16] = b"\xff" * 16
    elif where == "page":
        for at in range(4_096, len(data), 4_096):
            data[at : at + 12] = bytes(byte ^ 0xFF for byte in data[at : at + 12])
    elif where == "saved":
        at = bytes(data).index(b"haltedhalted") + 700
        data[at] ^= 0x20
    elif where == "cut":
        del data[len(data) // 2 :]
    else:
        data = bytearray(b"this is no database\n" * 100)
    path.write_bytes(data)
    journal = Journal(tmp_path)
    opening = journal.open()
    assert opening.is_new
    assert opening.why
    assert opening.damaged is not None
    assert opening.damaged.read_bytes() == bytes(data)
    note(journal, 1)
    assert journal.close()
    assert rows(path, "SELECT text FROM event") == [("note 1",)]
    # found sound the next time, and the damaged one stays
    again = Journal(tmp_path)
    assert again.open().damaged is None
    again.close()
    assert opening.damaged.exists()


def test_random_flips_are_found_or_harmless_and_never_stop_the_start(tmp_path: Path) -> None:
    whole = fill_and_close(tmp_path / "whole", 400).read_bytes()
    rng = random.Random(7)
    found = 0
    for trial in range(60):
        folder = tmp_path / str(trial)
        folder.mkdir()
        data = bytearray(whole)
        for _ in range(20):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (folder / NAME).write_bytes(data)
        journal = Journal(folder)
        with contextlib.suppress(JournalError):
            # refused where the version itself was hit: a person must look
            opening = journal.open()
        if not journal.is_open:
            continue
        found += opening.damaged is not None
        saved = load_saved(journal.path)
        assert opening.damaged is not None or saved["strategy"] == (1, b"halted" * 200)
        note(journal, 10_000)
        assert journal.flush()
        journal.close()
    assert found > 20


def killed_log(folder: Path) -> bytes:
    """A journal whose process was killed with everything still in the log; returns the log."""
    script = Path(__file__).with_name("journal_writer.py")
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))
    }
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True, env=env
    )
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    return (folder / f"{NAME}-wal").read_bytes()


def test_a_flipped_byte_in_the_log_is_found_though_sqlite_passes_over_it(tmp_path: Path) -> None:
    log = killed_log(tmp_path)
    kept = (tmp_path / NAME).read_bytes()
    frames = (len(log) - 32) // 4_120
    assert frames > 10
    rng = random.Random(3)
    for trial, at in enumerate(
        (3, 20, 32 + 4_120 * 2 + 9, *(rng.randrange(32, 4_120 * 8) for _ in range(6)))
    ):
        folder = tmp_path / f"copy-{trial}"
        folder.mkdir()
        data = bytearray(log)
        data[at] ^= 0x10
        (folder / NAME).write_bytes(kept)
        (folder / f"{NAME}-wal").write_bytes(data)
        journal = Journal(folder)
        opening = journal.open()
        journal.close()
        assert opening.damaged is not None, at
        assert "the log" in opening.why


def test_a_torn_last_frame_is_no_damage(tmp_path: Path) -> None:
    log = killed_log(tmp_path)
    (tmp_path / f"{NAME}-wal").write_bytes(log[:-1_000])
    assert damage_of(tmp_path / NAME) == ""


def test_a_change_of_state_is_in_the_file_itself_and_not_only_in_its_log(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    journal.save("strategy", 9, b"halt")
    journal.write("state", ts_ns=9, run=1, state="HALTED", reasons="drawdown")
    assert journal.flush()
    wait_for(lambda: (tmp_path / f"{NAME}-wal").stat().st_size == 0)
    assert b"HALTED" in journal.path.read_bytes()
    journal.close()


def test_a_newer_version_and_a_foreign_file_are_left_as_they_are(tmp_path: Path) -> None:
    path = fill_and_close(tmp_path / "newer", 3)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(JournalError, match=f"version {VERSION + 1}"):
        Journal(path.parent).open()
    foreign = tmp_path / "foreign" / NAME
    foreign.parent.mkdir()
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(JournalError, match="another program"):
        Journal(foreign.parent).open()
    assert rows(foreign, "SELECT count(*) FROM recipes") == [(0,)]


def test_a_disk_that_refuses_is_said_and_every_row_is_there_when_it_takes_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    note(journal, 1)
    assert journal.flush()
    blocker = sqlite3.connect(journal.path, isolation_level=None)
    # full: no page may be added
    (pages,) = blocker.execute("PRAGMA page_count").fetchone()
    blocker.execute("BEGIN EXCLUSIVE")
    note(journal, 2)
    wait_for(lambda: journal.failed, 15.0)
    assert "locked" in journal.failed
    assert pages > 1
    began = time.perf_counter()
    for number in range(3, 1_003):
        assert note(journal, number)
    assert time.perf_counter() - began < 1.0
    blocker.execute("ROLLBACK")
    blocker.close()
    assert journal.flush(15.0)
    assert journal.failed == ""
    journal.close()
    texts = [text for (text,) in rows(journal.path, "SELECT text FROM event ORDER BY id")]
    assert sum(text.startswith("note ") for text in texts) == 1_002
    assert any("written again after: OperationalError: database is locked" in text for text in texts)


def test_more_rows_than_there_is_room_for_are_counted_and_fail_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path, depth=10)
    # the writer is not there yet: nothing leaves the queue
    assert all(note(journal, number) for number in range(10))
    assert not note(journal, 11)
    assert journal.failed == "more rows wait than there is room for"
    assert journal.lost == 1
    journal.open()
    wait_for(lambda: not journal.failed)
    assert journal.close()


def test_writing_takes_microseconds_of_the_callers_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    worst = 0.0
    for number in range(3_000):
        began = time.perf_counter()
        note(journal, number)
        worst = max(worst, time.perf_counter() - began)
    journal.close()
    # a liveness bound: typically 5 microseconds
    assert worst < 0.5


FULL_DISK = """
import pathlib, resource, sys, time
from amm500_nautilus.monitor.journal import Journal
journal = Journal(pathlib.Path(sys.argv[1]))
journal.open()
assert journal.flush()
# no file may grow beyond what it is: to SQLite a disk without room
limit = 150_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
number = 0
deadline = time.monotonic() + 20
while not journal.failed and time.monotonic() < deadline:
    number += 1
    journal.write("event", ts_ns=number, run=1, kind="count", text="x" * 500)
    time.sleep(0.0005)
print(journal.failed, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert journal.flush(20)
assert journal.failed == ""
assert journal.close()
print(number, journal.lost)
"""


def test_a_full_disk_is_said_and_loses_no_row_once_there_is_room(tmp_path: Path) -> None:
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))
    }
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], env=env, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    failed, counts = done.stdout.splitlines()
    assert failed.startswith("OperationalError")
    count, lost = (int(word) for word in counts.split())
    assert lost == 0
    numbers = [
        number
        for (number,) in rows(tmp_path / NAME, "SELECT ts_ns FROM event WHERE kind = 'count' ORDER BY id")
    ]
    assert numbers == list(range(1, count + 1))
    assert damage_of(tmp_path / NAME) == ""
