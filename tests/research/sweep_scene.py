"""Bars, a run file with a sweep, and pools that need no Ray."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.load import validate
from amm500_nautilus.runtime.sweep.data import CarriedDataset
from amm500_nautilus.runtime.sweep.data import lay_out
from amm500_nautilus.runtime.sweep.data import open_laid_out
from amm500_nautilus.runtime.sweep.pool import DayNews
from amm500_nautilus.runtime.sweep.trial import TrialJob
from amm500_nautilus.runtime.sweep.trial import TrialOutcome
from amm500_nautilus.runtime.sweep.trial import run_trial
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import write_bars


OFFSET = "strategy.quoting.fixed_grid.offset_ticks"
SPACING = "strategy.quoting.fixed_grid.spacing_ticks"
GRID = ({"key": OFFSET, "values": [1, 2, 3]}, {"key": SPACING, "values": [2, 4, 6]})


def sweep_values(folder: Path, *, minutes: int = 60, days: int = 1, **section: Any) -> dict[str, Any]:
    """Return the run file of a grid over the two distances of a small fixed grid, on so many minutes of bars a day."""
    bars = folder / "bars.csv"
    if not bars.exists():
        write_bars(bars, bar_lines(count=minutes // 5, days=days))
    return {
        "name": "nine",
        "seed": 7,
        "market": {"price": 690.0, "daily_volume": 6_277_000.0},
        "data": {"source": "file", "path": str(bars), "catalog": str(folder / "store")},
        "simulator": {"depth_interval_s": 1.0},
        "account": {"equity": 10_000, "leverage": 10},
        "strategy": {
            "quoting": {
                "model": "fixed_grid",
                "ladder": {"size_fraction": 0.018},
                "fixed_grid": {"levels": 2, "offset_ticks": 2, "spacing_ticks": 4},
            }
        },
        "report": {"tearsheet": False},
        "sweep": {"parameters": list(GRID), "workers": 2, "require_trading": False, **section},
    }


def write_sweep(folder: Path, values: dict[str, Any]) -> Path:
    """Write a run file and return its path."""
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def config_of(values: dict[str, Any]) -> RunConfig:
    """Return the validated run file."""
    return validate(RunConfig, values, "sweep.yaml")


class HandPool:
    """
    A pool whose trials end as a function says, one at a time and in order; it stands in for Ray where only the driver is looked at.

    ``days`` gives a trial's PnL at each day's end, for the judge.
    """

    workers = 2

    def __init__(
        self,
        answer: Callable[[TrialJob, CarriedDataset], TrialOutcome],
        days: Callable[[TrialJob], Sequence[float]] | None = None,
    ) -> None:
        self._answer = answer
        self._days = days
        self._waiting: list[tuple[TrialJob, CarriedDataset]] = []
        self._told: dict[int, list[DayNews]] = {}
        self._stopped: dict[int, int] = {}
        self._asked: set[int] = set()
        self.submitted: list[int] = []
        self.jobs: dict[int, TrialJob] = {}
        self.closed = False

    def submit(self, job: TrialJob, data: CarriedDataset) -> None:
        self.submitted.append(job.number)
        self.jobs[job.number] = job
        self._waiting.append((job, data))
        if self._days is not None:
            self._told[job.number] = [
                DayNews(job.number, day, pnl) for day, pnl in enumerate(self._days(job))
            ]

    def wait(self, seconds: float) -> list[TrialOutcome]:
        for place, (job, data) in enumerate(self._waiting):
            if not self._told.get(job.number):
                del self._waiting[place]
                if job.number in self._stopped:
                    day = self._stopped[job.number]
                    return [TrialOutcome(number=job.number, state="pruned", seconds=0.0, days=day + 1)]
                return [self._answer(job, data)]
        return []

    def news(self) -> list[DayNews]:
        found = [told[0] for number, told in self._told.items() if told and number not in self._asked]
        self._asked.update(item.number for item in found)
        return found

    def answer(self, news: DayNews, *, stop: bool) -> None:
        self._asked.discard(news.number)
        told = self._told[news.number]
        told.pop(0)
        if stop:
            self._stopped[news.number] = news.day
            told.clear()

    def close(self) -> None:
        self.closed = True


def run_here(folder: Path) -> Callable[[TrialJob, CarriedDataset], TrialOutcome]:
    """Return an answer that really runs the trial, in this process, its data laid out below a folder."""
    known: dict[str, CarriedDataset] = {}

    def answer(job: TrialJob, data: CarriedDataset) -> TrialOutcome:
        from amm500_nautilus.runtime.data import STREAMS  # noqa: PLC0415

        full = known.setdefault(data.key, data)
        lay_out(folder / data.key, full)
        return run_trial(job, open_laid_out(folder / data.key, full, STREAMS), folder / "runs")

    return answer


def listening(pids: Iterable[int]) -> dict[int, list[str]]:
    """Return the addresses that processes listen at by TCP, as the kernel writes them, by process."""
    found: dict[int, list[str]] = {}
    rows: dict[str, str] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            part = line.split()
            if part[3] == "0A":
                rows[part[9]] = part[1].rpartition(":")[0]
    for pid in pids:
        try:
            links = [path.readlink().name for path in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        inodes = [name[8:-1] for name in map(str, links) if name.startswith("socket:[")]
        addresses = [rows[inode] for inode in inodes if inode in rows]
        if addresses:
            found[pid] = addresses
    return found


def family(root: int) -> set[int]:
    """Return a process and everything below it."""
    parents: dict[int, int] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
    found = {root}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more
