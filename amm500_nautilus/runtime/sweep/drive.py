"""Drive a sweep: hand out trials, keep what comes back, go on where a killed process stopped, judge what was found."""

import hashlib
import json
import shutil
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from amm500_catalog.errors import InputError
from amm500_catalog.store import CatalogStore
from amm500_nautilus.report.buffers import replace_with
from amm500_nautilus.report.statistics import MIN_BLOCKS
from amm500_nautilus.report.statistics import block_ends
from amm500_nautilus.research.objective import below_median
from amm500_nautilus.research.space import Point
from amm500_nautilus.research.space import assigned
from amm500_nautilus.research.space import point_of
from amm500_nautilus.research.walk_forward import Day
from amm500_nautilus.research.walk_forward import days_of
from amm500_nautilus.research.walk_forward import folds
from amm500_nautilus.research.walk_forward import held_out
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import to_plain
from amm500_nautilus.runtime.data import find_bars
from amm500_nautilus.runtime.data import prepare
from amm500_nautilus.runtime.load import read_yaml
from amm500_nautilus.runtime.load import validate
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.sweep.config import SweepSection
from amm500_nautilus.runtime.sweep.data import CarriedDataset
from amm500_nautilus.runtime.sweep.data import carried
from amm500_nautilus.runtime.sweep.data import data_signature
from amm500_nautilus.runtime.sweep.data import without_files
from amm500_nautilus.runtime.sweep.pool import Pool
from amm500_nautilus.runtime.sweep.pool import RayPool
from amm500_nautilus.runtime.sweep.pool import forget_folder
from amm500_nautilus.runtime.sweep.report import SweepReport
from amm500_nautilus.runtime.sweep.report import TrialResult
from amm500_nautilus.runtime.sweep.report import choose
from amm500_nautilus.runtime.sweep.report import read_result
from amm500_nautilus.runtime.sweep.report import write_report
from amm500_nautilus.runtime.sweep.search import GridSearch
from amm500_nautilus.runtime.sweep.search import OptunaSearch
from amm500_nautilus.runtime.sweep.search import Search
from amm500_nautilus.runtime.sweep.state import DONE
from amm500_nautilus.runtime.sweep.state import ENDED
from amm500_nautilus.runtime.sweep.state import FAILED
from amm500_nautilus.runtime.sweep.state import PRUNED
from amm500_nautilus.runtime.sweep.state import RUNNING
from amm500_nautilus.runtime.sweep.state import TRIALS
from amm500_nautilus.runtime.sweep.state import WAITING
from amm500_nautilus.runtime.sweep.state import SweepState
from amm500_nautilus.runtime.sweep.state import Trial
from amm500_nautilus.runtime.sweep.state import read_state
from amm500_nautilus.runtime.sweep.state import sole_driver
from amm500_nautilus.runtime.sweep.trial import TrialJob
from amm500_nautilus.runtime.sweep.trial import TrialOutcome
from amm500_nautilus.runtime.sweep.trial import unpack


HELD_OUT = "held_out"
HELD_OUT_NUMBER = 0
MOST_ATTEMPTS = 3
WAIT_SECONDS = 0.5
# what may differ between the process that began a sweep and the one that goes on with it
NOT_THE_QUESTION = ("workers", "trials_a_process")
PoolMaker = Callable[[SweepSection], Pool]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A finished sweep: where it is, and its report."""

    folder: Path
    report: SweepReport


def run_sweep(
    config: RunConfig,
    *,
    out: Path | None = None,
    address: str | None = None,
    workers: int | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
    make_pool: PoolMaker | None = None,
) -> SweepResult:
    """
    Run a sweep, or what is left of it, and return its report.

    Parameters
    ----------
    config : RunConfig
        The run file with its ``sweep`` section.
    out : Path, optional
        The sweep's folder; one that holds an unfinished sweep of the same run file is taken up again.
    address : str, optional
        A Ray cluster's ``host:port``; one on this machine alone when absent.
    workers : int, optional
        In the place of ``sweep.workers``.
    retry_failed : bool, default False
        Whether trials that failed are tried again.
    progress : Progress, optional
        Told how far the work is.
    make_pool : callable, optional
        Makes the workers; on Ray when absent.

    Raises
    ------
    InputError
        When the configuration or the data cannot be used, or the folder holds another sweep.
    SourceUnavailableError
        When no source has the data, or no cluster is at the address.

    """
    section = _section(config)
    progress = progress or Progress(quiet=True)
    folder = out or Path("runs") / f"{config.name}-sweep-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with sole_driver(folder):
        return _Driver(config, section, folder, progress, retry_failed=retry_failed).drive(
            make_pool
            or (
                lambda wanted: RayPool(
                    workers=workers or wanted.workers,
                    address=address,
                    trials_a_process=wanted.trials_a_process,
                    prunes=wanted.prune != "none",
                )
            )
        )


def _section(config: RunConfig) -> SweepSection:
    if config.mode != "backtest":
        raise InputError(config.mode, f"{config.name}: mode", "backtest: a sweep searches backtests")
    if config.sweep is None:
        raise InputError(
            "is missing", f"{config.name}: sweep", "a sweep section, as in configs/sweep_grid.yaml"
        )
    return config.sweep


class _Driver:
    """One process's work on a sweep."""

    def __init__(
        self,
        config: RunConfig,
        section: SweepSection,
        folder: Path,
        progress: Progress,
        *,
        retry_failed: bool,
    ) -> None:
        self.config = config
        self.section = section
        self.folder = folder
        self.progress = progress
        self.space = section.space()
        self.plain = to_plain(config.model_copy(update={"sweep": None}))
        self._check_values()
        self.now = datetime.now(UTC)
        self.state, self.days = self._state()
        self.results: dict[int, TrialResult] = {}
        self._recover(retry_failed=retry_failed)
        self.data: dict[str, CarriedDataset] = {}

    # -- what was asked ----------------------------------------------------------------------------

    def _check_values(self) -> None:
        """Refuse an unknown key or an impossible value before anything is run."""
        for parameter in self.space:
            edges = parameter.choices or tuple(
                parameter.choice_of(value) for value in (parameter.low, parameter.high) if value is not None
            )
            for choice in edges:
                plain = assigned(self.plain, choice.assignments)
                validate(
                    RunConfig,
                    plain,
                    f"{self.config.name}: sweep.parameters {parameter.name} = {choice.label!r}",
                )

    def _fingerprint(self) -> str:
        asked = to_plain(self.config)
        for name in NOT_THE_QUESTION:
            asked["sweep"].pop(name)
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def _state(self) -> tuple[SweepState, tuple[Day, ...]]:
        fingerprint = self._fingerprint()
        known = read_state(self.folder)
        if known is not None and known.fingerprint != fingerprint:
            raise InputError(
                "holds the sweep of another run file, or of this one as it was before",
                str(self.folder),
                "the same run file, or a new --out",
            )
        if known is not None:
            known.starts += 1
            return known, tuple(_day_of(date) for date in known.days)
        others = [item.name for item in self.folder.iterdir() if not item.name.startswith(".")]
        if others:
            raise InputError(f"holds {others[0]} and no sweep", str(self.folder), "a new or empty folder")
        sessions = self._sessions()
        days = days_of(sessions)
        searched, kept = held_out(days, self.section.held_out_days)
        if self.section.train_days is not None and self.section.test_days is not None:
            folds(len(searched), self.section.train_days, self.section.test_days)
        self._check_objective(sessions, searched)
        state = SweepState(
            fingerprint=fingerprint,
            name=self.config.name,
            days=[day.date for day in searched],
            held_out_days=[day.date for day in kept],
            span=self._span(searched),
            held_out_span=self._span(kept) if kept else [],
            starts=1,
        )
        return state, tuple(_day_of(date) for date in state.days)

    def _sessions(self) -> tuple[tuple[int, int], ...]:
        config = self.config
        if config.data.source in ("hl-book", "recorded"):
            return prepare(config, self.progress, now=self.now).info.sessions
        store = CatalogStore(config.data.catalog, dict(config.data.storage_options))
        return find_bars(config, store, self.progress, self.now).frame.sessions

    def _span(self, days: tuple[Day, ...]) -> list[str]:
        """Return whole UTC days as the run file writes them, cut by the run file's own span."""
        start = datetime.fromisoformat(days[0].date).replace(tzinfo=UTC)
        end = datetime.fromisoformat(days[-1].date).replace(tzinfo=UTC) + timedelta(days=1)
        low, high = self.config.data.start_ns, self.config.data.end_ns
        if low is not None:
            start = max(start, datetime.fromtimestamp(low / 1e9, UTC))
        if high is not None:
            end = min(end, datetime.fromtimestamp(high / 1e9, UTC))
        return [start.isoformat(), end.isoformat()]

    def _check_objective(self, sessions: tuple[tuple[int, int], ...], searched: tuple[Day, ...]) -> None:
        if self.section.objective == "net_pnl":
            return
        end = searched[-1].end_ns
        inside = [(low, min(high, end)) for low, high in sessions if low < end]
        blocks = len(block_ends(inside))
        if blocks < MIN_BLOCKS:
            raise InputError(
                f"{self.section.objective!r} needs {MIN_BLOCKS} blocks of 60 minutes, and the {len(searched)} searched days have {blocks}",
                "sweep.objective",
                "net_pnl, or more days",
            )

    # -- what is there -----------------------------------------------------------------------------

    def _recover(self, *, retry_failed: bool) -> None:
        """Take up what earlier processes left: a trial is done when its directory has its name and its summary."""
        forget_folder(self.state.ray_folder)
        self.state.ray_folder = ""
        trials = self.folder / TRIALS
        trials.mkdir(exist_ok=True)
        for leftover in [*trials.glob("*.partial"), *self.folder.glob("*.partial")]:
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        for trial in self.state.trials:
            result = self._read(trials / trial.folder)
            if result is not None:
                trial.state = DONE
                trial.days = _cumulative(result.day_pnl)
                self.results[trial.number] = result
            elif trial.state in (DONE, RUNNING) or (retry_failed and trial.state == FAILED):
                trial.state = WAITING
                trial.attempts = 0 if retry_failed else trial.attempts
                self.state.finished = False
        self.state.write(self.folder)
        self._write_config()

    def _read(self, folder: Path) -> TrialResult | None:
        if not (folder / "summary.json").is_file():
            return None
        return read_result(folder, self.days, self.section.objective)

    def _write_config(self) -> None:
        text = yaml.safe_dump(to_plain(self.config), sort_keys=False, allow_unicode=True)
        replace_with(self.folder / "config.yaml", text)

    # -- the work ----------------------------------------------------------------------------------

    def drive(self, make_pool: PoolMaker) -> SweepResult:
        """Run what is left, then the held-out days, then report."""
        values = {number: result.value for number, result in self.results.items()}
        search: Search = (
            GridSearch(self.section, self.state)
            if self.section.method == "grid"
            else OptunaSearch(self.section, self.state, values)
        )
        self.state.write(self.folder)
        ended = len(self.state.in_state(*ENDED))
        if self.state.starts > 1:
            self.progress.say(f"taken up again: {ended} of {search.total} trials have ended")
        if ended < search.total or self._held_out_waits():
            self._work(make_pool, search)
        # held-out days that did not come to their end are tried again by the next process
        self.state.finished = not self._held_out_waits()
        self.state.ray_folder = ""
        self.state.write(self.folder)
        report = write_report(
            self.folder, self.config, self.section, self.state, self.days, self.results, self._best_plain()
        )
        return SweepResult(self.folder, report)

    def _work(self, make_pool: PoolMaker, search: Search) -> None:
        pool = make_pool(self.section)
        try:
            self.state.ray_folder = str(getattr(pool, "folder", None) or "")
            self.state.write(self.folder)
            self._run_trials(pool, search)
            self._run_held_out(pool)
        finally:
            pool.close()

    def _run_trials(self, pool: Pool, search: Search) -> None:
        running = 0
        while True:
            while running < pool.workers and (trial := search.next()) is not None:
                if self._submit(pool, search, trial):
                    running += 1
            if not running:
                return
            for outcome in pool.wait(WAIT_SECONDS):
                running -= 1
                self._take(search, outcome)
            self._judge(pool)
            ended = len(self.state.in_state(*ENDED))
            self.progress(ended / search.total, f"sweep of {search.total} trials")

    def _submit(self, pool: Pool, search: Search, trial: Trial) -> bool:
        """Hand a trial out; False when its configuration cannot be run, which is a failed trial and not the end."""
        trial.attempts += 1
        try:
            config = self._trial_config(trial)
            data = self._data(config)
        except InputError as error:
            trial.state, trial.error = FAILED, str(error)
            self._ended(search, trial, None)
            return False
        trial.state = RUNNING
        trial.days = []
        self.state.write(self.folder)
        ends = tuple(day.end_ns for day in self.days)
        pool.submit(TrialJob(number=trial.number, config=to_plain(config), day_ends=ends), data)
        self.data[data.key] = without_files(data)
        return True

    def _trial_config(self, trial: Trial) -> RunConfig:
        name = f"{self.config.name[:60]}-{trial.folder}"
        return self._config_of(name, self.state.span, self._point(trial.number).assignments)

    def _config_of(self, name: str, span: list[str], assignments: tuple[tuple[str, Any], ...]) -> RunConfig:
        plain = assigned(
            self.plain,
            (
                ("name", name),
                ("report.tearsheet", False),
                ("data.start", span[0]),
                ("data.end", span[1]),
                *assignments,
            ),
        )
        return validate(RunConfig, plain, name)

    def _data(self, config: RunConfig) -> CarriedDataset:
        key = data_signature(config)
        known = self.data.get(key)
        return known if known is not None else carried(config, prepare(config, self.progress, now=self.now))

    def _take(self, search: Search, outcome: TrialOutcome) -> None:
        trial = self.state.trials[outcome.number - 1]
        trial.seconds, trial.error, trial.node = round(outcome.seconds, 3), outcome.error, outcome.node
        self._count_read(outcome)
        if outcome.state == "lost":
            trial.state = WAITING if trial.attempts < MOST_ATTEMPTS else FAILED
            self.progress.say(
                f"trial {trial.folder} was lost ({outcome.error}), attempt {trial.attempts} of {MOST_ATTEMPTS}"
            )
            if trial.state == WAITING:
                self.state.write(self.folder)
                return
        else:
            trial.state = outcome.state
        value = None
        if trial.state == DONE:
            target = self.folder / TRIALS / trial.folder
            unpack(outcome.files, target)
            result = read_result(target, self.days, self.section.objective)
            self.results[trial.number] = result
            trial.days = _cumulative(result.day_pnl)
            value = result.value
        self._ended(search, trial, value)

    def _count_read(self, outcome: TrialOutcome) -> None:
        if outcome.laid_out:
            reads = self.state.data_reads
            reads[outcome.node] = reads.get(outcome.node, 0) + 1

    def _ended(self, search: Search, trial: Trial, value: float | None) -> None:
        self.state.write(self.folder)
        search.tell(trial, value)
        labels = ", ".join(f"{name.rpartition('.')[2]} {label}" for name, label in trial.labels.items())
        if trial.state == DONE:
            shown = "no value" if value is None else f"{self.section.objective} {value:+.4f}"
            self.progress.say(f"trial {trial.folder} done in {trial.seconds:.1f} s: {shown} ({labels})")
        elif trial.state == PRUNED:
            self.progress.say(
                f"trial {trial.folder} stopped after {len(trial.days)} of {len(self.days)} days ({labels})"
            )
        else:
            first = (trial.error.splitlines() or [""])[-1]
            self.progress.say(f"trial {trial.folder} FAILED ({labels}): {first}")

    def _judge(self, pool: Pool) -> None:
        """Say to each trial at a day's end whether to go on."""
        for news in pool.news():
            trial = self.state.trials[news.number - 1]
            trial.days = [*trial.days[: news.day], news.pnl]
            others = [item.days for item in self.state.trials if item.number != news.number]
            stop = below_median(
                news.pnl,
                news.day,
                others,
                after_trials=self.section.prune_after_trials,
                after_days=self.section.prune_after_days,
            )
            pool.answer(news, stop=stop)

    # -- the days that no trial saw ------------------------------------------------------------------

    def _held_out_waits(self) -> bool:
        """Return whether the best trial, which may be another than an earlier process found, has yet to run over the held-out days."""
        best = choose(self.results, self.section)
        folder = self.folder / HELD_OUT
        if best is None or not self.state.held_out_days:
            return False
        if not (folder / "summary.json").is_file():
            return True
        written = read_yaml(folder / "config.yaml")
        own = assigned(written, self._point(best).assignments)
        return validate(RunConfig, own, HELD_OUT) != validate(RunConfig, written, HELD_OUT)

    def _point(self, number: int) -> Point:
        return point_of(self.space, self.state.trials[number - 1].labels)

    def _run_held_out(self, pool: Pool) -> None:
        best = choose(self.results, self.section)
        if best is None or not self._held_out_waits():
            return
        # the result of a trial that is no longer the best must not stand beside the one that is
        shutil.rmtree(self.folder / HELD_OUT, ignore_errors=True)
        trial = self.state.trials[best - 1]
        self.progress.say(f"held-out days with trial {trial.folder}, the best of the search")
        name = f"{self.config.name[:60]}-held-out"
        config = self._config_of(name, self.state.held_out_span, self._point(best).assignments)
        job, data = TrialJob(number=HELD_OUT_NUMBER, config=to_plain(config)), self._data(config)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            outcome = self._held_out_outcome(pool, job, data)
            if outcome.state != "lost":
                break
            self.progress.say(
                f"the held-out run was lost ({outcome.error}), attempt {attempt} of {MOST_ATTEMPTS}"
            )
        if outcome.state == DONE:
            self._count_read(outcome)
            unpack(outcome.files, self.folder / HELD_OUT)
        else:
            self.progress.say(f"the held-out run FAILED: {outcome.error}")

    def _held_out_outcome(self, pool: Pool, job: TrialJob, data: CarriedDataset) -> TrialOutcome:
        pool.submit(job, data)
        ended: list[TrialOutcome] = []
        while not ended:
            ended = pool.wait(WAIT_SECONDS)
            for news in pool.news():
                pool.answer(news, stop=False)
        return ended[0]

    def _best_plain(self) -> Mapping[str, Any] | None:
        """Return the run file with the best trial's values: the user's own span, no sweep."""
        best = choose(self.results, self.section)
        if best is None:
            return None
        plain = assigned(
            self.plain, (("name", f"{self.config.name[:70]}-best"), *self._point(best).assignments)
        )
        return to_plain(validate(RunConfig, plain, "best.yaml"))


def _cumulative(values: tuple[float, ...]) -> list[float]:
    total, found = 0.0, []
    for value in values:
        total += value
        found.append(total)
    return found


def _day_of(date: str) -> Day:
    start = int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    return Day(date, start, start + 86_400 * 1_000_000_000)
