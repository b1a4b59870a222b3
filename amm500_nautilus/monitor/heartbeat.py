"""The loop's sign of life: one short line in a file, written in place each second, read by whoever supervises."""

import os
from dataclasses import dataclass
from pathlib import Path


NAME = "heartbeat"
# before the strategy runs, and once the run is over but for its report; between them it is the strategy's state
OPENING = "OPENING"
ENDED = "ENDED"
_WIDTH = 64


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life: which process, when (UTC ns), in what state."""

    pid: int
    ts_ns: int
    state: str


class Heartbeat:
    """
    Write signs of life.

    Parameters
    ----------
    folder : Path
        Where the file is.

    """

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def beat(self, ts_ns: int, state: str) -> None:
        """Write one; a disk that is full still takes it, since the file does not grow."""
        line = f"{os.getpid()} {ts_ns} {state}".ljust(_WIDTH - 1) + "\n"
        try:
            os.pwrite(self._handle, line.encode("ascii"), 0)
        except OSError:
            # the journal says what is wrong with the disk; the file's time still tells that the loop lives
            os.utime(self._handle)

    def close(self) -> None:
        """Write no more."""
        os.close(self._handle)


def last_beat(folder: Path) -> Beat | None:
    """Return the last sign of life, None where there never was one."""
    path = folder / NAME
    try:
        words = path.read_text(encoding="ascii").split()
        changed_ns = path.stat().st_mtime_ns
    except OSError:
        return None
    if len(words) != 3:
        return None
    return Beat(int(words[0]), max(int(words[1]), changed_ns), words[2])
