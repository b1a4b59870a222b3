"""One trial of a sweep: a normal backtest, in a process that may be anywhere, told to stop where it is not worth going on."""

import gc
import io
import shutil
import tarfile
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amm500_catalog.dataset import CatalogDataset
from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.backtest import run
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.load import validate


PARTIAL = ".partial"
# asked at each day's end: trial, day from 0, PnL so far; True ends the trial
Judge = Callable[[int, int, float], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialJob:
    """What a worker is asked: the trial's number, its whole configuration as plain values, the ends of its days in ns."""

    number: int
    config: dict[str, Any]
    day_ends: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """
    What a worker answers.

    ``state`` is done, failed (``error`` says why, in a sentence) or pruned (after ``days`` days); ``files`` is the finished run
    directory as a compressed archive, empty unless done. ``node`` and ``laid_out`` say where it ran and whether this trial was
    the one that laid the data out there.
    """

    number: int
    state: str
    seconds: float
    error: str = ""
    days: int = 0
    files: bytes = b""
    node: str = ""
    laid_out: bool = False


class PrunedError(Exception):
    """The trial is not worth going on with; ``day`` is the last day it finished, from 0."""

    def __init__(self, day: int) -> None:
        super().__init__(f"pruned after day {day + 1}")
        self.day = day


class DayWatch:
    """
    Tell a judge the PnL at each day's end, and stop the run when it says so.

    The engine is fed batches of half an hour to a few hours; a day counts as ended with the first batch that reaches its end.
    """

    def __init__(self, number: int, day_ends: Sequence[int], start_equity: float, judge: Judge) -> None:
        self._number = number
        self._ends = tuple(day_ends)
        self._start = start_equity
        self._judge = judge
        self._next = 0

    def __call__(self, ts_ns: int, equity: float) -> None:
        """Take the time and the equity after a batch."""
        while self._next < len(self._ends) and ts_ns >= self._ends[self._next]:
            day, self._next = self._next, self._next + 1
            # the last day's end is the run's own
            if day + 1 < len(self._ends) and self._judge(self._number, day, equity - self._start):
                raise PrunedError(day)


def run_trial(
    job: TrialJob, dataset: CatalogDataset | None, folder: Path, judge: Judge | None = None
) -> TrialOutcome:
    """
    Run one trial below a folder and return its outcome with the run's files.

    Parameters
    ----------
    job : TrialJob
        The trial.
    dataset : CatalogDataset, optional
        Its data; prepared from the configuration when absent.
    folder : Path
        Where it may write; what it leaves there is gone when it returns.
    judge : callable, optional
        Asked at each day's end whether to stop.

    """
    began = time.perf_counter()
    out = folder / f"{job.number:04d}"
    _clear(out)
    try:
        config = validate(RunConfig, job.config, f"trial {job.number}")
        watch = None
        if judge is not None:
            watch = DayWatch(job.number, job.day_ends, float(config.account.equity), judge)
        run(config, out=out, prepared=dataset, watch=watch)
        files = packed(out)
        return TrialOutcome(
            number=job.number,
            state="done",
            seconds=time.perf_counter() - began,
            days=len(job.day_ends),
            files=files,
        )
    except InputError as error:
        return TrialOutcome(
            number=job.number, state="failed", seconds=time.perf_counter() - began, error=str(error)
        )
    except PrunedError as stop:
        return TrialOutcome(
            number=job.number, state="pruned", seconds=time.perf_counter() - began, days=stop.day + 1
        )
    finally:
        _clear(out)
        gc.collect()


def _clear(out: Path) -> None:
    for path in (out, out.with_name(out.name + PARTIAL)):
        shutil.rmtree(path, ignore_errors=True)


def packed(folder: Path) -> bytes:
    """Return a folder's files as a compressed archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, arcname=path.name)
    return stream.getvalue()


def unpack(files: bytes, target: Path) -> None:
    """Write an archive's files into a new folder, complete or not at all."""
    partial = target.with_name(target.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(files), mode="r:gz") as archive:
        archive.extractall(partial, filter="data")
    partial.rename(target)
