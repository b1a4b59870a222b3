"""One process for one thing: a file that is locked for as long as the process lives, with its number in it."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from amm500_nautilus.monitor.errors import AlreadyRunningError


class PidLock:
    """
    A lock that ends with its process, however it ends.

    Parameters
    ----------
    path : Path
        The file, made with mode 0600; folders that are missing are made with mode 0700.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = -1

    def take(self) -> None:
        """
        Take the lock and write this process's number.

        Raises
        ------
        AlreadyRunningError
            If another process has it.
        OSError
            If the file cannot be made.

        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _number(handle)
            os.close(handle)
            raise AlreadyRunningError(f"{self.path}: process {holder or 'unknown'} has it") from error
        # the number is told to those who ask: the lock holds without it, also on a disk that is full
        with suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def drop(self) -> None:
        """Let another process have it; dropping twice does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def holder_of(path: Path) -> int | None:
    """Return the number of the process that has a lock, 0 where it wrote none, None where nobody has it."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _number(handle)
    else:
        return None
    finally:
        os.close(handle)


def _number(handle: int) -> int:
    text = os.pread(handle, 32, 0).decode(errors="replace").strip()
    return int(text) if text.isdigit() else 0
