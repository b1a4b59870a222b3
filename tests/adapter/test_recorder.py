"""Raw frames in compressed files, and what is left of them after a crash."""

import contextlib
import gzip
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_catalog.sources.rawlines import read_lines
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.recorder import PART_SUFFIX
from hyperliquid_hip3.recorder import FrameRecorder
from hyperliquid_hip3.recorder import RecordedFrame
from hyperliquid_hip3.recorder import read_frames
from hyperliquid_hip3.recorder import salvage_frames


START_NS = 1_767_225_600_123_456_789


def frames(count: int, seed: int = 3) -> list[RecordedFrame]:
    numbers = random.Random(seed)
    return [
        RecordedFrame(
            START_NS + i * 68_000_000,
            b'{"channel":"bbo","data":{"coin":"km:US500","time":%d,"n":%d}}' % (i, numbers.randrange(10**9)),
        )
        for i in range(count)
    ]


def record(folder: Path, taken: list[RecordedFrame], **options: object) -> FrameRecorder:
    recorder = FrameRecorder(folder, **options)  # type: ignore[arg-type]
    recorder.start()
    for frame in taken:
        recorder.write(frame.raw, frame.received_ns)
    recorder.close()
    return recorder


def wait_until(condition: Callable[[], object]) -> bool:
    never = threading.Event()
    for _ in range(2_000):
        if condition():
            return True
        never.wait(0.005)
    return False


def read_all(paths: list[Path]) -> list[RecordedFrame]:
    return [frame for path in paths for frame in read_frames(path, strict=True)]


def written_part(folder: Path, taken: list[RecordedFrame]) -> Path:
    """A part file as a crash leaves it: flushed in several blocks, without an end."""
    whole = record(folder, taken, name="crashed").files[0]
    part = whole.with_name(whole.name.removesuffix(".lz4") + PART_SUFFIX)
    compressor = lz4.frame.LZ4FrameCompressor(auto_flush=True, content_checksum=True, block_checksum=True)
    lines = [b"%d %b\n" % frame for frame in taken]
    third = len(lines) // 3
    data = compressor.begin()
    for start in range(0, len(lines), third):
        data += compressor.compress(b"".join(lines[start : start + third]))
    part.write_bytes(data)
    whole.unlink()
    return part


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    taken = frames(1_000)
    recorder = record(tmp_path, taken)
    assert len(recorder.files) == 1
    assert recorder.files[0].name.startswith("frames-20260101T000000-123456789-0001")
    assert read_all(recorder.files) == taken
    assert (recorder.written, recorder.dropped, recorder.failure) == (1_000, 0, None)
    assert not list(tmp_path.glob(f"*{PART_SUFFIX}"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(raws=st.lists(st.binary(max_size=200).filter(lambda raw: b"\n" not in raw), max_size=30))
def test_any_bytes_without_a_line_break_come_back_unchanged(tmp_path: Path, raws: list[bytes]) -> None:
    taken = [RecordedFrame(START_NS + i, raw) for i, raw in enumerate(raws)]
    recorder = record(tmp_path, taken)
    assert read_all(recorder.files) == taken
    for path in recorder.files:
        path.unlink()


def test_a_line_break_between_tokens_becomes_a_blank(tmp_path: Path) -> None:
    recorder = record(tmp_path, [RecordedFrame(START_NS, b'{"channel":\n"pong"}')])
    assert read_all(recorder.files) == [RecordedFrame(START_NS, b'{"channel": "pong"}')]


def test_nothing_received_makes_no_file(tmp_path: Path) -> None:
    assert record(tmp_path, []).files == []
    assert list(tmp_path.iterdir()) == []


def test_a_full_file_is_followed_by_another_and_nothing_is_lost_or_repeated(tmp_path: Path) -> None:
    taken = frames(40_000)
    recorder = record(tmp_path, taken, max_file_bytes=100_000)
    assert len(recorder.files) > 3
    assert read_all(recorder.files) == taken
    assert recorder.files == sorted(recorder.files)


def test_an_old_file_is_completed(tmp_path: Path) -> None:
    recorder = FrameRecorder(tmp_path, max_file_age_s=0.0, flush_every_s=0.005)
    recorder.start()
    first, second = frames(2)
    recorder.write(first.raw, first.received_ns)
    assert wait_until(lambda: recorder.files)
    recorder.write(second.raw, second.received_ns)
    recorder.close()
    assert [read_all([path]) for path in recorder.files] == [[first], [second]]


def test_a_file_of_the_standard_tool_is_read(tmp_path: Path) -> None:
    path = tmp_path / "made.lz4"
    path.write_bytes(lz4.frame.compress(b"5 {}\n6 []\n"))
    assert list(read_frames(path)) == [RecordedFrame(5, b"{}"), RecordedFrame(6, b"[]")]


def test_a_file_cut_anywhere_gives_a_prefix_of_its_frames(tmp_path: Path) -> None:
    taken = frames(900)
    whole = record(tmp_path, taken).files[0].read_bytes()
    part = written_part(tmp_path, taken)
    data = part.read_bytes()
    lengths = set()
    for cut in [*range(0, len(data), 97), len(data)]:
        part.write_bytes(data[:cut])
        got = list(read_frames(part))
        assert got == taken[: len(got)]
        lengths.add(len(got))
    # each of the three blocks shows up as soon as it is whole
    assert {0, 300, 600, 900} <= lengths
    part.write_bytes(whole[:-1])
    with pytest.raises(PayloadError, match="ends early"):
        list(read_frames(part, strict=True))


def test_a_part_file_is_made_whole(tmp_path: Path) -> None:
    taken = frames(900)
    part = written_part(tmp_path, taken)
    part.write_bytes(part.read_bytes()[:-10])
    whole = salvage_frames(part)
    assert read_all([whole]) == taken[:600]
    assert [path.name for path in tmp_path.iterdir()] == [whole.name]


def test_salvage_never_overwrites_a_complete_file(tmp_path: Path) -> None:
    part = written_part(tmp_path, frames(90))
    salvage = part.with_name(part.name.removesuffix(PART_SUFFIX) + ".lz4")
    salvage.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        salvage_frames(part)
    assert salvage.read_bytes() == b"precious"
    with pytest.raises(ValueError, match="must end in"):
        salvage_frames(salvage)


def test_a_damaged_file_is_an_error_and_not_an_end(tmp_path: Path) -> None:
    path = record(tmp_path, frames(900)).files[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(PayloadError, match="is damaged"):
        list(read_frames(path))


@pytest.mark.parametrize("data", [b"no time\n", b"12\n", b"x1 {}\n", b" {}\n", b"5 {}"])
def test_a_file_of_something_else_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "other.lz4"
    path.write_bytes(lz4.frame.compress(data))
    with pytest.raises(PayloadError, match=r"other\.lz4"):
        list(read_frames(path))


def test_a_file_that_is_not_compressed_this_way_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "other.lz4"
    path.write_bytes(gzip.compress(b"5 {}\n"))
    with pytest.raises(PayloadError, match="is damaged"):
        list(read_frames(path))


def test_the_catalogue_reads_a_recording_as_it_is(tmp_path: Path) -> None:
    taken = [
        RecordedFrame(
            START_NS + i * 1_000_000,
            b'{"channel":"l2Book","data":{"coin":"km:US500","time":%d,"levels":[[{"px":"690.1%d","sz":"1.5","n":2}],'
            b'[{"px":"690.2%d","sz":"2.25","n":1}]]}}' % (START_NS // 1_000_000 + i, i, i),
        )
        for i in range(5)
    ]
    recording = read_lines(str(record(tmp_path, taken).files[0]), "km:US500")
    assert recording.facts["book_snapshots"] == 5


def test_frames_beyond_what_may_wait_are_dropped_and_counted(tmp_path: Path) -> None:
    recorder = FrameRecorder(tmp_path, max_waiting_bytes=100, flush_every_s=60.0)
    recorder.start()
    for frame in [RecordedFrame(START_NS, b"x" * 40)] * 5:
        recorder.write(frame.raw, frame.received_ns)
    recorder.close()
    assert (recorder.written, recorder.dropped) == (2, 3)
    recorder.write(b"late", START_NS)
    assert recorder.dropped == 4


def test_a_failing_disk_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    said: list[str] = []
    failed = threading.Event()

    def on_failure(sentence: str) -> None:
        said.append(sentence)
        failed.set()

    recorder = FrameRecorder(folder, flush_every_s=0.005, on_failure=on_failure)
    recorder.start()
    # its place is taken by a file: nothing can be opened in it
    folder.rmdir()
    folder.write_text("in the way")
    recorder.write(b"{}", START_NS)
    assert failed.wait(10.0)
    recorder.write(b"{}", START_NS)
    recorder.close()
    assert len(said) == 1
    assert said[0] == recorder.failure
    assert recorder.written == 0
    assert recorder.dropped >= 1


CRASHING = """
import os, sys, time
from pathlib import Path
from hyperliquid_hip3.recorder import FrameRecorder
recorder = FrameRecorder(Path(sys.argv[1]), flush_every_s=0.01)
recorder.start()
for i in range(500):
    recorder.write(b'{"channel":"pong","n":%d}' % i, 1_767_225_600_000_000_000 + i)
while recorder.written < 500:
    time.sleep(0.005)
os.kill(os.getpid(), 9)
"""


def test_a_killed_process_leaves_what_it_had_flushed(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", CRASHING, str(tmp_path)], env=environment, timeout=60, check=False
    )
    assert done.returncode == -9
    (part,) = tmp_path.iterdir()
    assert part.name.endswith(PART_SUFFIX)
    got = list(read_frames(part))
    assert [frame.raw for frame in got] == [b'{"channel":"pong","n":%d}' % i for i in range(500)]
    assert read_all([salvage_frames(part)]) == got


def test_recorders_of_one_name_never_write_over_each_others_files(tmp_path: Path) -> None:
    taken = [frames(40, seed=seed) for seed in range(3)]
    # the same name and times: two at once, and one after they have ended
    with contextlib.ExitStack() as stack:
        recorders = [FrameRecorder(tmp_path, flush_every_s=0.005) for _ in range(2)]
        for recorder, its_own in zip(recorders, taken, strict=False):
            recorder.start()
            stack.callback(recorder.close)
            for frame in its_own:
                recorder.write(frame.raw, frame.received_ns)
        # both have their file open
        assert wait_until(lambda: all(recorder.written == 40 for recorder in recorders))
    recorders.append(record(tmp_path, taken[2]))
    assert [recorder.failure for recorder in recorders] == [None, None, None]
    assert [read_all(recorder.files) for recorder in recorders] == taken
    assert len({path for recorder in recorders for path in recorder.files}) == 3
