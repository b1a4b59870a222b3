"""Whether the log beside an SQLite file is whole: SQLite itself passes over everything after a bad frame, and says nothing."""

import struct
from pathlib import Path


# https://www.sqlite.org/fileformat2.html, "The Write-Ahead Log"
HEADER = 32
FRAME_HEADER = 24
MAGIC = 0x377F0682
MASK = 0xFFFFFFFF


def broken_frame(path: Path) -> int | None:
    """
    Return the number of the first frame that is bad though later ones of the same log follow it; None where there is none.

    A bad last frame is what a kill in mid-write leaves: its transaction was never committed. A bad header is frame -1.
    """
    data = path.read_bytes() if path.exists() else b""
    if len(data) < HEADER:
        return None
    magic, _, page, _, salt1, salt2, sum1, sum2 = struct.unpack_from(">8I", data)
    if magic & ~1 != MAGIC or page < 512 or page & (page - 1):
        return -1
    order = ">" if magic & 1 else "<"
    sums = _checksum(order, data[:24], (0, 0))
    if sums != (sum1, sum2):
        return -1
    size = FRAME_HEADER + page
    frames = range(HEADER, len(data) - size + 1, size)
    own = [_salts(data, at) == (salt1, salt2) for at in frames]
    for number, at in enumerate(frames):
        if not own[number]:
            # what an older log left behind, or a salt that was changed
            return number if any(own[number:]) else None
        sums = _checksum(order, data[at : at + 8], sums)
        sums = _checksum(order, data[at + FRAME_HEADER : at + size], sums)
        if sums != struct.unpack_from(">2I", data, at + 16):
            return number if any(own[number + 1 :]) else None
    return None


def _salts(data: bytes, at: int) -> tuple[int, ...]:
    return struct.unpack_from(">2I", data, at + 8)


def _checksum(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & MASK
        second = (second + odd + first) & MASK
    return first, second
