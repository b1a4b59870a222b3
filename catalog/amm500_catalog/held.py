"""
Stored files kept for as long as they are read: an import may replace them meanwhile, and a run reads to its end what it began with.

A held file is a second name of the stored one, in a folder of its own inside the catalogue. Whoever reads in another process sees
nothing of it. A folder left by a process that was killed is taken away by the next reader of that machine.
"""

import os
import secrets
import shutil
import socket
import weakref
from pathlib import Path
from typing import Final

from amm500_catalog.errors import InputError


PREFIX: Final = ".reading-"


class HeldFiles:
    """
    Second names of stored files, gone when released or no longer referred to.

    Where there is no folder, it cannot be written, or its disk has no second names, files are read where they are: ``hold``
    then returns the path it was given.

    Parameters
    ----------
    root : Path, optional
        The catalogue's folder; None for a remote one, whose files are copied before they are read.

    """

    def __init__(self, root: Path | None) -> None:
        self._stored: dict[str, str] = {}
        self._folder: Path | None = None
        if root is None:
            return
        _clear(root)
        self._folder = root / f"{PREFIX}{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self._folder.mkdir()
        except OSError:
            self._folder = None
            return
        self._finalizer = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    @property
    def is_holding(self) -> bool:
        """Whether files keep their content here."""
        return self._folder is not None

    def hold(self, path: str) -> str:
        """
        Return a path at which the file stays.

        Raises
        ------
        InputError
            If the file has gone.

        """
        if self._folder is None:
            return path
        held = self._folder / f"{len(self._stored)}-{Path(path).name}"
        try:
            # never through a link: the name of a link says nothing of what it will name later
            os.link(os.path.realpath(path), held)
        except FileNotFoundError as e:
            raise InputError(
                "the stored file has been replaced meanwhile", path, "no import while a run begins; run again"
            ) from e
        except OSError:
            return path
        self._stored[str(held)] = path
        return str(held)

    def name(self, held: str) -> str:
        """Return the stored file's own path."""
        return self._stored.get(held, held)

    def release(self) -> None:
        """Give the second names up."""
        if self._folder is not None:
            self._finalizer()
            self._folder = None


def _host() -> str:
    return socket.gethostname().replace("-", "_").replace(os.sep, "_") or "host"


def _clear(root: Path) -> None:
    """Take away what processes of this machine have left that are no more."""
    for folder in root.glob(f"{PREFIX}{_host()}-*"):
        pid = folder.name.split("-")[-2]
        if pid.isdigit() and not _lives(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
