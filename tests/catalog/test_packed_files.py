"""Compressed files of bars and of lines: each kind is read, and a damaged one is said to be damaged."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import lz4.frame
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.files import read_bars
from amm500_catalog.sources.rawlines import read_lines


BARS = b"""time,open,high,low,close,volume
2025-12-16T14:30:00Z,100,101,99,100.5,10
2025-12-16T14:35:00Z,100.5,102,100,101,20
2025-12-16T14:40:00Z,101,101.5,100.25,100.75,30
"""
LINES = b"".join(
    json.dumps(
        {
            "channel": "trades",
            "data": [
                {
                    "coin": "ETH",
                    "side": "AB"[i % 2],
                    "px": f"{4300 + i}.1",
                    "sz": "0.5",
                    "time": 1_768_487_400_000 + i,
                    "tid": i,
                }
            ],
        }
    ).encode()
    + b"\n"
    for i in range(20)
)
DAMAGED = "the file is damaged or not what its name says"
Read = Callable[[str], int]


def zipped(*contents: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.txt", content)
    return packed.getvalue()


def locked(content: bytes) -> bytes:
    """An archive that says of its file that it has a password."""
    packed = bytearray(zipped(content))
    packed[6] |= 1
    packed[packed.find(b"PK\x01\x02") + 8] |= 1
    return bytes(packed)


def of_another_method(content: bytes) -> bytes:
    packed = bytearray(zipped(content))
    packed[8] = 97
    packed[packed.find(b"PK\x01\x02") + 10] = 97
    return bytes(packed)


def beginning_too_early(content: bytes) -> bytes:
    """An archive whose directory is said to be longer than the file."""
    packed = zipped(content)
    return packed[40:]


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
    ".zip": zipped,
    ".lz4": lz4.frame.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}


@pytest.fixture(params=["bars", "lines"])
def kind(request: pytest.FixtureRequest) -> tuple[str, bytes, Read]:
    """Return a name, a content, and what reads it and counts."""
    if request.param == "bars":
        return "bars.csv", BARS, lambda path: len(read_bars(path))
    return "lines.jsonl", LINES, lambda path: len(read_lines(path, "ETH").trades)


@pytest.mark.parametrize("suffix", [*PACK, ".GZ", ".ZST"])
def test_what_is_compressed_reads_as_what_is_plain(
    tmp_path: Path, kind: tuple[str, bytes, Read], suffix: str
) -> None:
    name, content, read = kind
    (tmp_path / name).write_bytes(content)
    packed = tmp_path / f"{name}{suffix}"
    packed.write_bytes(PACK[suffix.lower()](content))
    assert read(str(packed)) == read(str(tmp_path / name)) > 0


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda packed, plain: plain, id="not compressed"),
        pytest.param(lambda packed, plain: packed[: len(packed) // 2], id="cut off"),
        pytest.param(lambda packed, plain: packed[:10] + b"\xff" * 90, id="written over"),
    ],
)
def test_a_damaged_file_is_said_to_be_damaged(
    tmp_path: Path, kind: tuple[str, bytes, Read], suffix: str, damage: Callable[[bytes, bytes], bytes]
) -> None:
    name, content, read = kind
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(damage(PACK[suffix](content), content))
    with pytest.raises(InputError, match=rf"{path.name}: {DAMAGED} \(.+\); allowed: .*\.bz2") as caught:
        read(str(path))
    assert "\n" not in str(caught.value)
    assert "this user" not in str(caught.value)


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        pytest.param(lambda content: zipped(), "the archive holds 0 files, not one", id="empty"),
        pytest.param(
            lambda content: zipped(content, content), "the archive holds 2 files, not one", id="two"
        ),
        pytest.param(locked, "password", id="locked"),
        pytest.param(of_another_method, "method is not supported", id="of a method unknown"),
        pytest.param(beginning_too_early, "", id="without its beginning"),
    ],
)
def test_an_archive_that_cannot_be_unpacked_is_said_to_be_damaged(
    tmp_path: Path, kind: tuple[str, bytes, Read], archive: Callable[[bytes], bytes], reason: str
) -> None:
    name, content, read = kind
    path = tmp_path / f"{name}.zip"
    path.write_bytes(archive(content))
    with pytest.raises(InputError, match=rf"{DAMAGED} \(.*{reason}"):
        read(str(path))


@pytest.mark.parametrize("suffix", PACK)
def test_a_damaged_file_elsewhere_is_no_place_that_cannot_be_reached(suffix: str) -> None:
    url = f"memory://damaged/bars.csv{suffix}"
    with fsspec.open(url, "wb") as stream:
        stream.write(BARS)
    with pytest.raises(InputError, match=rf"{url}: {DAMAGED} \("):
        read_bars(url)


class LostFileSystem(fsspec.AbstractFileSystem):
    """A remote place that gives out half of a file."""

    protocol = "lostbars"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Say that there is a file."""
        return {"name": path, "size": 10, "type": "file"}

    def _open(self, path: str, *_: Any, **__: Any) -> Any:
        return Lost()


class Lost(io.RawIOBase):
    """A stream that breaks off."""

    def readable(self) -> bool:
        """Promise bytes."""
        return True

    def readinto(self, _: Any) -> int:
        """Keep no promise."""
        raise OSError("connection lost")


def test_a_place_that_breaks_off_is_no_damaged_file() -> None:
    fsspec.register_implementation("lostbars", LostFileSystem, clobber=True)
    with pytest.raises(SourceUnavailableError, match="the file cannot be reached"):
        read_bars("lostbars://bars.csv.bz2")


def test_a_parquet_file_whose_pages_are_damaged_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    times = pd.date_range("2025-12-16T14:30:00Z", periods=500, freq="5min")
    table = pd.DataFrame({"time": times, "open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0})
    table["open"] += [i % 7 / 10 for i in range(500)]
    table.to_parquet(path, compression="zstd")
    opens = pq.read_metadata(path).row_group(0).column(1)
    content = bytearray(path.read_bytes())
    # behind the page's head, so that the head still tells how to unpack the rest
    content[opens.data_page_offset + 40 : opens.data_page_offset + 60] = b"\xff" * 20
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=rf"bars.parquet: {DAMAGED} \("):
        read_bars(str(path))
