"""A file of short lines that is only appended to, and written anew when it has grown to twice what is remembered."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.state_files import append_whole
from hyperliquid_hip3.state_files import sync
from hyperliquid_hip3.state_files import write_anew


# the file may grow to so many times its bound before it is written anew
SLACK: Final = 2


class LineFile:
    """
    Keeps lines on disk for one writer.

    Parameters
    ----------
    path : Path
        The file, made with mode 0600.
    what : str
        What it holds, for messages: "order ids".
    limit : int
        The most lines worth keeping; also of those that wait for a disk that is full.

    Raises
    ------
    HyperliquidError
        If the file cannot be opened.

    """

    def __init__(self, path: Path, what: str, *, limit: int) -> None:
        self._path = path
        self._what = f"the file of {what} {path}"
        self._limit = limit
        self._waiting: list[str] = []
        self._lines = 0
        self._descriptor = self._opened()

    @property
    def is_open(self) -> bool:
        """Whether it takes lines."""
        return self._descriptor >= 0

    @property
    def wants_compaction(self) -> bool:
        """Whether the file holds twice what is worth keeping; :meth:`rewrite` then makes it small again."""
        return self.is_open and self._lines > SLACK * self._limit

    def read(self) -> list[str]:
        """Return the lines that are whole: a process killed in the middle of a write leaves half a one, which is cut off."""
        content = self._path.read_bytes()
        complete = content[: content.rfind(b"\n") + 1]
        if len(complete) != len(content):
            os.ftruncate(self._descriptor, len(complete))
        lines = complete.decode(errors="replace").splitlines()
        self._lines = len(lines)
        return lines

    def queue(self, line: str) -> None:
        """Take a line without its end, for :meth:`flush` to write."""
        if self.is_open:
            self._waiting.append(line + "\n")

    def flush(self) -> None:
        """
        Append what waits, in one write that a killed process does not lose.

        Raises
        ------
        HyperliquidError
            If it cannot be written; it is kept for when there is room again.

        """
        if not self._waiting or not self.is_open:
            return
        try:
            append_whole(self._descriptor, "".join(self._waiting).encode(), self._what)
        except HyperliquidError:
            del self._waiting[: -self._limit]
            raise
        self._lines += len(self._waiting)
        self._waiting.clear()

    def rewrite(self, lines: Iterable[str]) -> None:
        """
        Put these lines in the place of all others, those that wait included; whole or not at all.

        Raises
        ------
        HyperliquidError
            If it cannot be written.

        """
        if not self.is_open:
            return
        kept = [line + "\n" for line in lines]
        write_anew(self._path, "".join(kept), self._what)
        self._waiting.clear()
        os.close(self._descriptor)
        self._descriptor = -1
        self._descriptor = self._opened()
        self._lines = len(kept)

    def close(self) -> None:
        """
        Write what waits and close the file; closing twice does nothing.

        Raises
        ------
        HyperliquidError
            If something is left that cannot be written; the file is closed all the same.

        """
        if not self.is_open:
            return
        try:
            self.flush()
            sync(self._descriptor, self._what)
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self._path, flags, 0o600)
        except OSError as error:
            raise HyperliquidError(f"{self._what} cannot be opened: {error.strerror}") from error
