"""
Nonces of one signer: each higher than the last, also after a restart and after the clock was set back.

The venue takes a nonce once, if it is above the lowest of the hundred highest it has seen from the signer and lies within two days
before and one day after its own time. See https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/nonces-and-api-wallets.
"""

import contextlib
import fcntl
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from typing import Self

from hyperliquid_hip3.errors import SigningError


NS_PER_MS: Final = 1_000_000
MAX_AHEAD_MS: Final = 86_400_000
# one width, so that every write covers the last one whole
RECORD: Final = re.compile(rb"[0-9]{20}\n")
RECORD_BYTES: Final = 21


def wall_clock_ms() -> int:
    """Return the time in ms UTC."""
    return time.time_ns() // NS_PER_MS


class NonceCounter:
    """
    Hands out nonces, ``max(last + 1, now)``, to any thread, and keeps the last one in a file.

    A nonce is written before it is handed out, or one above it, so a killed process repeats none. The file is locked for as long as the
    counter is open: one process for one key.

    Parameters
    ----------
    path : Path
        The file of this signer, made with mode 0600 where it is missing; its folder must exist.
    now_ms : Callable[[], int], default wall_clock_ms
        The time in ms UTC.
    reserve : int, default 0
        How many nonces more are written as used with each write; the next so many need none. A killed process leaves a gap of at most
        so many ms, a closed counter leaves none.
    on_unwritten : Callable[[str], None], optional
        Told when a nonce cannot be written, and the nonce is handed out all the same: the clock alone keeps a restart from repeating
        it. Without it nothing is handed out then.

    Raises
    ------
    SigningError
        If another process has the file, or it cannot be used or read.

    """

    def __init__(
        self,
        path: Path,
        *,
        now_ms: Callable[[], int] = wall_clock_ms,
        reserve: int = 0,
        on_unwritten: Callable[[str], None] | None = None,
    ) -> None:
        if not 0 <= reserve < MAX_AHEAD_MS:
            raise SigningError(f"`reserve` was {reserve}, must be 0 to {MAX_AHEAD_MS - 1}")
        self._path = path
        self._now_ms = now_ms
        self._reserve = reserve
        self._on_unwritten = on_unwritten
        self._lock = threading.Lock()
        self._last = 0
        self._file = _opened(path)
        try:
            self._last = _last_nonce(self._file, path)
        except SigningError:
            self._file = _closed(self._file)
            raise
        # the highest nonce that the file says is used
        self._written = self._last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def last(self) -> int:
        """The last nonce handed out, in this run or an earlier one; 0 when there was none."""
        return self._last

    def take(self) -> int:
        """
        Return the next nonce.

        Raises
        ------
        SigningError
            If it would be more than a day ahead of the clock (the venue would refuse it), it cannot be written, or the counter is
            closed; nothing was used up.

        """
        with self._lock:
            if self._file < 0:
                raise SigningError("the nonce counter is closed")
            now = self._now_ms()
            nonce = max(self._last + 1, now)
            if nonce - now > MAX_AHEAD_MS:
                raise SigningError(
                    f"the last nonce, {self._last}, is more than a day ahead of the clock, {now}: the venue would refuse the next one;"
                    f" set the clock, and only if {self._path} was written by a wrong clock, remove it"
                )
            if nonce > self._written:
                self._reserve_to(nonce + self._reserve)
            self._last = nonce
            return nonce

    def close(self) -> None:
        """Write the file through to the disk and let another process have it; closing twice does nothing."""
        with self._lock:
            if self._file >= 0:
                # the file was written, or its failure was told: what is left is to give back the reserve and let go of it
                with contextlib.suppress(OSError, SigningError):
                    if self._written > self._last:
                        _write(self._file, self._last, self._path)
                    os.fsync(self._file)
                self._file = _closed(self._file)

    def _reserve_to(self, highest: int) -> None:
        try:
            _write(self._file, highest, self._path)
        except SigningError as error:
            if self._on_unwritten is None:
                raise
            self._on_unwritten(str(error))
        else:
            self._written = highest


def _opened(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise SigningError(f"the nonce file {path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        _closed(descriptor)
        raise SigningError(
            f"the nonce file {path} is in use: one process at a time may sign with a key"
        ) from error
    return descriptor


def _last_nonce(descriptor: int, path: Path) -> int:
    content = os.pread(descriptor, RECORD_BYTES + 1, 0)
    # empty: new, or made by a process that ended before its first nonce
    if not content:
        return 0
    if RECORD.fullmatch(content) is None:
        raise SigningError(
            f"the nonce file {path} is damaged; remove it if the clock was not set back since it was written"
        )
    return int(content)


def _write(descriptor: int, nonce: int, path: Path) -> None:
    # not synced each time: what a killed process wrote is kept by the system, and after a power cut the clock has moved on
    try:
        written = os.pwrite(descriptor, b"%020d\n" % nonce, 0)
    except OSError as error:
        raise SigningError(f"the nonce file {path} cannot be written: {error.strerror}") from error
    if written != RECORD_BYTES:
        if os.fstat(descriptor).st_size < RECORD_BYTES:
            # half of a first nonce would read as a damaged file
            os.ftruncate(descriptor, 0)
        raise SigningError(f"the nonce file {path} cannot be written: the disk is full")


def _closed(descriptor: int) -> int:
    os.close(descriptor)
    return -1
