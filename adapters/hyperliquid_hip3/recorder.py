"""
A session's raw frames, with the time each was received, in compressed files.

Format: one line a frame, ``<receive time, ns UTC> <frame as received>`` and a line feed, in one LZ4 frame (``.lz4``), as ``lz4 -d`` reads
it. A line break between the tokens of a frame is written as a blank. The file being written ends in ``.lz4.part``; it is renamed when it
is complete. A crash leaves the part file, readable up to the last block that was flushed.
"""

import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any
from typing import BinaryIO
from typing import Final
from typing import NamedTuple

import lz4.frame

from hyperliquid_hip3.errors import PayloadError


SUFFIX: Final = ".lz4"
PART_SUFFIX: Final = ".lz4.part"
CHANNEL: Final = "recording"
NS: Final = 1_000_000_000

# compressed together; small blocks compress badly
BLOCK_BYTES: Final = 256 * 1024
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_FILE_AGE_S: Final = 3_600.0
FLUSH_EVERY_S: Final = 1.0
# what may wait for a disk that does not answer
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
READ_BYTES: Final = 1 << 16
PIECE_BYTES: Final = 1 << 20


class RecordedFrame(NamedTuple):
    """A frame as received, and when, ns UTC."""

    received_ns: int
    raw: bytes


class FrameRecorder:
    """
    Write frames to files, from a thread of its own: :meth:`write` never waits for the disk.

    When the disk fails, recording ends, ``failure`` says why, and what comes after is counted in ``dropped``: trading goes on without it.

    Parameters
    ----------
    folder : Path
        Where the files go; made if it is not there.
    name : str, default "frames"
        What the files' names begin with; the time of the first frame and a number follow.
    max_file_bytes : int
        A file with this many bytes, compressed, is complete.
    max_file_age_s : float, default 3600.0
        So is one that is this old.
    flush_every_s : float, default 1.0
        What a crash can lose.
    max_waiting_bytes : int
        Frames beyond this are dropped while the disk is behind.
    on_failure : callable, optional
        Takes the sentence once, on the recorder's thread.

    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "frames",
        max_file_bytes: int = MAX_FILE_BYTES,
        max_file_age_s: float = MAX_FILE_AGE_S,
        flush_every_s: float = FLUSH_EVERY_S,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        self._folder = folder
        self._name = name
        self._max_file_bytes = max_file_bytes
        self._max_file_age_s = max_file_age_s
        self._flush_every_s = flush_every_s
        self._max_waiting_bytes = max_waiting_bytes
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._waiting: list[RecordedFrame] = []
        self._waiting_bytes = 0
        self._closing = threading.Event()
        self._file: _RecordingFile | None = None
        self._number = 0
        self._thread: threading.Thread | None = None
        self.written = 0
        self.dropped = 0
        self.failure: str | None = None
        self.files: list[Path] = []

    def __repr__(self) -> str:
        return f"FrameRecorder({self._name}, {self.written} written, {self.dropped} dropped)"

    def start(self) -> None:
        """
        Make the folder and begin.

        Raises
        ------
        OSError
            If the folder cannot be made.

        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._work, daemon=True, name=f"recorder {self._name}")
        self._thread.start()

    def write(self, raw: bytes, received_ns: int) -> None:
        """Take a frame, in the order and with the arguments of a socket's ``on_frame``; never raises, never waits."""
        with self._lock:
            is_over = self.failure is not None or self._closing.is_set()
            if is_over or self._waiting_bytes + len(raw) > self._max_waiting_bytes:
                self.dropped += 1
            else:
                self._waiting.append(RecordedFrame(received_ns, raw))
                self._waiting_bytes += len(raw)

    def close(self) -> None:
        """Write what is waiting and complete the file; a second call does nothing."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        try:
            while not self._closing.wait(self._flush_every_s):
                self._flush()
            self._flush()
            self._complete()
        except Exception as e:  # noqa: BLE001 - the top of a thread: whatever it is, trading goes on
            self._fail(e)

    def _flush(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
            self._waiting_bytes = 0
        lines: list[bytes] = []
        size = 0
        for frame in batch:
            if self._file is None:
                self._number += 1
                self._file = _RecordingFile(self._folder, self._name, frame.received_ns, self._number)
            lines.append(_line(frame))
            size += len(lines[-1])
            # a block at a time, so that a burst does not make one huge file
            if size >= BLOCK_BYTES:
                self._put(lines)
                size = 0
        if lines:
            self._put(lines)
        if self._file is not None and self._file.age_s >= self._max_file_age_s:
            self._complete()

    def _put(self, lines: list[bytes]) -> None:
        file = self._file
        if file is None:
            raise AssertionError("lines have a file")
        file.write(b"".join(lines))
        self.written += len(lines)
        lines.clear()
        if file.size >= self._max_file_bytes:
            self._complete()

    def _complete(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            self.files.append(file.complete())

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self.failure = f"recording to {self._folder} ended: {type(error).__name__}: {error}"
            self.dropped += len(self._waiting)
            self._waiting = []
            self._waiting_bytes = 0
        if self._file is not None:
            self._file.abandon()
            self._file = None
        if self._on_failure is not None:
            self._on_failure(self.failure)


class _RecordingFile:
    """One file being written."""

    def __init__(self, folder: Path, name: str, first_ns: int, number: int) -> None:
        moment = datetime.fromtimestamp(first_ns // NS, tz=UTC).strftime("%Y%m%dT%H%M%S")
        self._part, self._stream = _open_new(folder, f"{name}-{moment}-{first_ns % NS:09d}", number)
        # every call gives whole blocks, each readable with those before it
        self._compressor: Any = lz4.frame.LZ4FrameCompressor(
            block_size=lz4.frame.BLOCKSIZE_MAX256KB,
            content_checksum=True,
            block_checksum=True,
            auto_flush=True,
        )
        self._opened_s = time.monotonic()
        self.size = 0
        self._put(self._compressor.begin())

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._opened_s

    def write(self, lines: bytes) -> None:
        self._put(self._compressor.compress(lines))

    def complete(self) -> Path:
        self._put(self._compressor.flush())
        self._stream.close()
        whole = self._part.with_name(self._part.name.removesuffix(PART_SUFFIX) + SUFFIX)
        self._part.rename(whole)
        return whole

    def abandon(self) -> None:
        try:
            self._stream.close()
        except OSError:
            return

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            # unbuffered: a nearly full disk takes a part of it
            taken = self._stream.write(view)
            view = view[taken:]
            self.size += taken


def read_frames(path: Path, *, strict: bool = False) -> Iterator[RecordedFrame]:
    """
    Yield the frames of a recording in the order received.

    Parameters
    ----------
    path : Path
        A complete file, or the part file that a crash left.
    strict : bool, default False
        Whether a file without its end is an error; otherwise its last line, if it is not whole, is left out.

    Raises
    ------
    PayloadError
        If the file is damaged, at the frame where that shows, or holds something else.
    OSError
        If it cannot be read.

    """
    decompressor: Any = lz4.frame.LZ4FrameDecompressor()
    rest = b""
    with path.open("rb") as stream:
        while not decompressor.eof and (data := stream.read(READ_BYTES)):
            try:
                text = rest + _decompressed(decompressor, data)
            except RuntimeError as e:
                raise PayloadError(CHANNEL, f"{path.name} is damaged ({e})") from e
            *lines, rest = text.split(b"\n")
            for line in lines:
                yield _parse_line(line, path)
    if decompressor.eof and rest:
        raise PayloadError(CHANNEL, f"{path.name} has a last line without its end")
    if strict and not decompressor.eof:
        raise PayloadError(CHANNEL, f"{path.name} ends early")


def salvage_frames(part: Path) -> Path:
    """
    Make a complete file of the part file that a crash left, and return it; the part file is removed.

    Never on a file that a recorder is still writing.

    Raises
    ------
    ValueError
        If it is not named as a part file.
    FileExistsError
        If there is a complete file of that name, or another salvage is at work.
    PayloadError, OSError
        If the file is damaged before its end, or cannot be read or written.

    """
    if not part.name.endswith(PART_SUFFIX):
        raise ValueError(f"`part` was {part.name}, must end in {PART_SUFFIX}")
    whole = part.with_name(part.name.removesuffix(PART_SUFFIX) + SUFFIX)
    if whole.exists():
        raise FileExistsError(f"{whole.name} is there already")
    rescued = part.with_name(part.name + ".rescued")
    with rescued.open("xb") as stream:
        try:
            with lz4.frame.open(stream, "wb", content_checksum=True) as out:
                for frame in read_frames(part):
                    out.write(_line(frame))
        except BaseException:
            rescued.unlink()
            raise
    rescued.rename(whole)
    part.unlink()
    return whole


def _open_new(folder: Path, stem: str, number: int) -> tuple[Path, BinaryIO]:
    while True:
        # never over a file that is there, complete or not: it may be another recorder's
        part = folder / f"{stem}-{number:04d}{PART_SUFFIX}"
        if not (folder / f"{stem}-{number:04d}{SUFFIX}").exists():
            try:
                return part, part.open("xb", buffering=0)
            except FileExistsError:
                pass
        number += 1


def _decompressed(decompressor: Any, data: bytes) -> bytes:
    pieces = []
    while True:
        # without a limit the library keeps back what does not fit its first guess, until more input comes, and at the end for good
        pieces.append(decompressor.decompress(data, max_length=PIECE_BYTES))
        if decompressor.eof or (decompressor.needs_input and len(pieces[-1]) < PIECE_BYTES):
            return b"".join(pieces)
        data = b""


def _line(frame: RecordedFrame) -> bytes:
    raw = frame.raw.replace(b"\n", b" ") if b"\n" in frame.raw else frame.raw
    return b"%d %b\n" % (frame.received_ns, raw)


def _parse_line(line: bytes, path: Path) -> RecordedFrame:
    received, blank, raw = line.partition(b" ")
    if not blank or not received.isdigit():
        raise PayloadError(CHANNEL, f"{path.name} has a line without its receive time")
    return RecordedFrame(int(received), raw)
