"""Files that may be compressed or damaged: which compressions are read, and what damage raises."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO
from typing import Any
from typing import Final

import lz4.frame
import pyarrow as pa


def _only_member(packed: IO[bytes]) -> IO[bytes]:
    """Return the one file of an archive: which of two is meant, nothing says."""
    try:
        archive = zipfile.ZipFile(packed)
        names = [
            member.filename
            for member in archive.infolist()
            # the second is what macOS adds to every archive
            if not member.is_dir() and not member.filename.startswith("__MACOSX/")
        ]
        if len(names) == 1:
            return archive.open(names[0])
    except ValueError as e:  # a directory that points before the beginning
        raise zipfile.BadZipFile(str(e)) from e
    raise zipfile.BadZipFile(f"the archive holds {len(names)} files, not one")


UNPACKERS: Final[dict[str, Callable[[IO[bytes]], Any]]] = {
    ".gz": lambda packed: gzip.GzipFile(fileobj=packed),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".lzma": lzma.LZMAFile,
    ".zip": _only_member,
    ".lz4": lz4.frame.LZ4FrameFile,
    ".zst": lambda packed: io.BufferedReader(pa.CompressedInputStream(packed, "zstd")),
}
COMPRESSIONS: Final = "plain or compressed (" + ", ".join(UNPACKERS) + ")"

# what unpacking raises, each compression in its own way; the RuntimeError is of lz4, and of an archive with a password
DAMAGE: Final = (
    OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException,
)  # fmt: skip

# and what reading a table raises, the last three of what a Parquet file says of itself
TABLE_DAMAGE: Final = (*DAMAGE, ValueError, KeyError, TypeError, AttributeError)


def is_packed(path: str) -> bool:
    """Return whether a path's name ends in a compression that is read."""
    return PurePosixPath(path).suffix.lower() in UNPACKERS


def unpacked(content: bytes, path: str) -> Any:
    """
    Return what a file holds, as a stream that unpacks it by what its name ends in.

    Parameters
    ----------
    content : bytes
        The whole file: with nothing left to fetch, whatever reading the stream raises is damage and no failing disk or network.
    path : str
        The file's path; without the name of a compression the content is given as it is.

    Raises
    ------
    Exception
        One of ``DAMAGE``, here or while the stream is read.

    """
    unpack = UNPACKERS.get(PurePosixPath(path).suffix.lower())
    return io.BytesIO(content) if unpack is None else unpack(io.BytesIO(content))


def said_of(error: Exception) -> str:
    """Return the first line of what an error says, or its name where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
