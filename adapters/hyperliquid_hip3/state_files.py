"""Small files that outlive the process, written whole or not at all; a disk that takes nothing more stops no trading."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.notices import NoticeKind


def append_whole(descriptor: int, content: bytes, what: str) -> None:
    """
    Append to an open file; where the disk takes only a part, the part is taken back.

    Raises
    ------
    HyperliquidError
        If it could not be written; the file is as it was.

    """
    try:
        written = os.write(descriptor, content)
    except OSError as error:
        raise HyperliquidError(f"{what} cannot be written: {error.strerror}") from error
    if written != len(content):
        # the file has one writer: what it holds more than before is the part
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise HyperliquidError(f"{what} cannot be written: the disk is full")


def sync(descriptor: int, what: str) -> None:
    """
    Write an open file through to the disk.

    Raises
    ------
    HyperliquidError
        If the disk does not take it.

    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise HyperliquidError(f"{what} cannot be written: {error.strerror}") from error


def write_anew(path: Path, content: str, what: str) -> None:
    """
    Put a new content in the place of a file's, whole or not at all.

    Raises
    ------
    HyperliquidError
        If it could not be written; the file is as it was.

    """
    new = path.with_suffix(".new")
    try:
        new.write_text(content)
        new.chmod(0o600)
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise HyperliquidError(f"{what} cannot be written anew: {error.strerror}") from error


class Storage:
    """
    Writes what can be written, and tells once what cannot, until it can be again.

    Parameters
    ----------
    notify : Callable
        Takes a kind and a text, and ``is_alarm``.

    """

    def __init__(self, notify: Callable[..., None]) -> None:
        self._notify = notify
        self._failing: set[str] = set()

    def write(self, name: str, work: Callable[[], None]) -> bool:
        """Do a piece of writing under a name, and return whether it worked."""
        try:
            work()
        except HyperliquidError as error:
            self.failed(name, str(error))
            return False
        if name in self._failing:
            self._failing.discard(name)
            self._notify(NoticeKind.STORAGE, f"{name} can be written again")
        return True

    def failed(self, name: str, text: str) -> None:
        """Tell of a failure, if it is the first since it last worked."""
        if name not in self._failing:
            self._failing.add(name)
            self._notify(
                NoticeKind.STORAGE,
                f"{text}; it is kept in memory, a restart would not know of it",
                is_alarm=True,
            )
