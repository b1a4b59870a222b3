"""Lines on disk: what a full disk keeps waiting, and what a killed writer leaves."""

import pytest

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.line_file import LineFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lines"


def full(file):
    """Let the disk refuse, and return what makes it take again."""
    file._descriptor, real = 10_000, file._descriptor

    def freed():
        file._descriptor = real

    return freed


def test_what_a_full_disk_refused_is_written_when_there_is_room(path):
    file = LineFile(path, "things", limit=10)
    freed = full(file)
    file.queue("a")
    with pytest.raises(HyperliquidError, match=r"the file of things .* cannot be written"):
        file.flush()
    freed()
    file.queue("b")
    file.flush()
    file.close()

    assert path.read_text() == "a\nb\n"


def test_no_more_wait_for_a_full_disk_than_are_worth_keeping(path):
    file = LineFile(path, "things", limit=3)
    freed = full(file)
    for n in range(10):
        file.queue(str(n))
    with pytest.raises(HyperliquidError):
        file.flush()
    freed()
    file.close()

    assert path.read_text() == "7\n8\n9\n"


def test_half_a_line_is_cut_off_and_the_next_one_begins_its_own(path):
    path.write_bytes(b"one\ntwo\nthr")
    file = LineFile(path, "things", limit=10)

    assert file.read() == ["one", "two"]
    file.queue("three")
    file.close()

    assert path.read_text() == "one\ntwo\nthree\n"


def test_it_wants_to_be_small_at_more_than_twice_its_limit(path):
    file = LineFile(path, "things", limit=2)
    for n in range(4):
        file.queue(str(n))
    file.flush()
    assert not file.wants_compaction
    file.queue("4")
    file.flush()
    assert file.wants_compaction

    file.queue("lost with the others")
    file.rewrite(["3", "4"])
    assert not file.wants_compaction
    file.queue("5")
    file.close()
    file.close()

    assert path.read_text() == "3\n4\n5\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_closed_file_takes_nothing_and_writes_nothing(path):
    file = LineFile(path, "things", limit=2)
    file.close()
    file.queue("late")
    file.flush()
    file.rewrite(["late"])

    assert path.read_text() == ""
    assert not file.is_open
    assert not file.wants_compaction


def test_a_link_is_not_followed(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(HyperliquidError, match="cannot be opened"):
        LineFile(path, "things", limit=2)
    assert not (tmp_path / "elsewhere").exists()
