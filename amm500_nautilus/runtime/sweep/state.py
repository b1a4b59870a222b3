"""What a sweep remembers between processes: its trials, their outcomes, and what it was asked."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from amm500_catalog.errors import InputError
from amm500_nautilus.report.buffers import write_json


STATE_FILE = "sweep.json"
LOCK_FILE = ".sweep.lock"
TRIALS = "trials"
WAITING, RUNNING, DONE, FAILED, PRUNED = "waiting", "running", "done", "failed", "pruned"
ENDED = (DONE, FAILED, PRUNED)
VERSION = 1


@dataclass(slots=True)
class Trial:
    """
    One combination and what became of it.

    ``attempts`` counts how often it was handed to a worker; ``days`` is the PnL at each day's end as far as it came, in collateral units.
    """

    number: int
    labels: dict[str, Any]
    state: str = WAITING
    attempts: int = 0
    seconds: float = 0.0
    error: str = ""
    node: str = ""
    days: list[float] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """The name of its run directory."""
        return f"{self.number:04d}"


@dataclass(slots=True)
class SweepState:
    """The whole of it; ``starts`` counts the processes that drove it, ``ray_folder`` is what the last one left if it was killed."""

    fingerprint: str
    name: str
    days: list[str]
    held_out_days: list[str]
    span: list[str]
    held_out_span: list[str]
    trials: list[Trial] = field(default_factory=list)
    starts: int = 0
    finished: bool = False
    ray_folder: str = ""
    data_reads: dict[str, int] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        write_json(folder / STATE_FILE, {"version": VERSION, **asdict(self)})

    def in_state(self, *states: str) -> list[Trial]:
        """Return the trials in one of these states, in order."""
        return [trial for trial in self.trials if trial.state in states]


def read_state(folder: Path) -> SweepState | None:
    """
    Return what an earlier process left in a folder; None when there is no sweep.

    Raises
    ------
    InputError
        If the file is damaged or of another version.

    """
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw.pop("version") != VERSION:
            raise InputError("is of another version", str(path), f"version {VERSION}")
        trials = [Trial(**item) for item in raw.pop("trials")]
        return SweepState(**raw, trials=trials)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"is damaged ({error})", str(path), "the file a sweep wrote, or a new --out"
        ) from error


@contextmanager
def sole_driver(folder: Path) -> Iterator[None]:
    """
    Keep a sweep's folder to this process; one that is refused before it began leaves nothing.

    Raises
    ------
    InputError
        If another process drives it, or the folder cannot be made.

    """
    path = folder / LOCK_FILE
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = path.open("a", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be made ({error.strerror})", str(folder), "a writable place") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = path.stat().st_ino == os.fstat(stream.fileno()).st_ino
        except OSError:
            is_ours = False
        if not is_ours:
            # locked, or taken away by the process that has just ended
            raise InputError(
                "another process drives this sweep", str(folder), "one process, or another --out"
            )
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if not (folder / STATE_FILE).exists():
                _unmake(made)


def _unmake(made: list[Path]) -> None:
    """Take empty folders away again."""
    for place in made:
        try:
            place.rmdir()
        except OSError:
            return
