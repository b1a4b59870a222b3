"""The node's log by days: what is older than today is compressed, what is older than a month goes."""

import gzip
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from pathlib import Path

from amm500_nautilus.report.buffers import PARTIAL


KEPT_DAYS = 30
NS = 1_000_000_000


class LogKeeper:
    """
    Rotate ``node.log`` at midnight UTC.

    The engine's own writer holds the file open to append, so the day's lines are copied away and the file is cut to nothing under it;
    a line that is written in the microseconds between would be lost. Compressing takes a thread of its own: a day may be large.

    Parameters
    ----------
    folder : Path
        Where the log is.
    name : str
        The log's name.
    days : int
        How many days of compressed logs are kept.
    now_ns : callable
        Wall time, UTC ns.
    say : callable
        Told, once and from ``tick``, when a day could not be rotated.

    """

    def __init__(
        self,
        folder: Path,
        name: str = "node.log",
        *,
        days: int = KEPT_DAYS,
        now_ns: Callable[[], int] = time.time_ns,
        say: Callable[[str], object] = str,
    ) -> None:
        self._path = folder / name
        self._days = days
        self._now_ns = now_ns
        self._say = say
        self._told = ""
        self._day = self._today()
        self._thread: threading.Thread | None = None
        # why the last rotation did not work; empty when it did
        self.failed = ""

    def tick(self) -> None:
        """Begin to rotate when the day has changed; call it now and then."""
        if self.failed != self._told:
            self._told = self.failed
            if self.failed:
                self._say(f"the log could not be rotated: {self.failed}")
        today = self._today()
        if today == self._day or (self._thread is not None and self._thread.is_alive()):
            return
        over, self._day = self._day, today
        self._thread = threading.Thread(
            target=self._work, args=(over, today), name="log-rotation", daemon=True
        )
        self._thread.start()

    def close(self, timeout_s: float = 10.0) -> None:
        """Wait for a rotation that is under way."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._now_ns() // NS, UTC).date()

    def _work(self, over: date, today: date) -> None:
        try:
            self.failed = ""
            compress(self._path, over)
            prune(self._path, today - timedelta(days=self._days))
        except OSError as error:
            # a log that cannot be rotated is no reason to stop trading
            self.failed = f"{type(error).__name__}: {error}"


def compress(path: Path, day: date) -> Path | None:
    """Move a log's lines into ``<name>-<day>.log.gz`` and return it; None where there are none."""
    if not path.is_file() or path.stat().st_size == 0:
        return None
    target = path.with_name(f"{path.stem}-{day.isoformat()}{path.suffix}.gz")
    count = 1
    while target.exists():
        count += 1
        target = path.with_name(f"{path.stem}-{day.isoformat()}-{count}{path.suffix}.gz")
    plain = target.with_suffix(PARTIAL)
    with path.open("r+b") as source, plain.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        # only what was copied goes; the writer appends, and goes on at the beginning
        source.truncate(0)
    packed = target.with_name(target.name + PARTIAL)
    with plain.open("rb") as copy, gzip.open(packed, "wb", compresslevel=6) as archive:
        shutil.copyfileobj(copy, archive, 1 << 20)
    packed.rename(target)
    plain.unlink()
    return target


def prune(path: Path, oldest: date) -> list[Path]:
    """Remove a log's archives of days before ``oldest`` and return them; other files are left alone."""
    gone = []
    for archive in sorted(path.parent.glob(f"{path.stem}-*{path.suffix}.gz")):
        text = archive.name.removeprefix(f"{path.stem}-")[: len("2026-01-01")]
        try:
            day = date.fromisoformat(text)
        except ValueError:
            continue
        if day < oldest:
            archive.unlink()
            gone.append(archive)
    return gone
