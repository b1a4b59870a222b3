"""Trials on Ray: a local cluster that only this machine can reach, or one at an address."""

import asyncio
import ctypes
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Protocol

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.runtime.data import STREAMS
from amm500_nautilus.runtime.sweep.data import READY
from amm500_nautilus.runtime.sweep.data import CarriedDataset
from amm500_nautilus.runtime.sweep.data import lay_out
from amm500_nautilus.runtime.sweep.data import only_one
from amm500_nautilus.runtime.sweep.data import open_laid_out
from amm500_nautilus.runtime.sweep.data import without_files
from amm500_nautilus.runtime.sweep.trial import TrialJob
from amm500_nautilus.runtime.sweep.trial import TrialOutcome
from amm500_nautilus.runtime.sweep.trial import run_trial


LOCALHOST = "127.0.0.1"
# Ray makes sockets below its folder, and a socket's path has at most 107 characters
FOLDER_PREFIX = "amm500-ray-"
# read by Ray when it is imported: it finds no address for a single machine but 127.0.0.1, whose servers nobody else reaches.
# Without it Ray takes the machine's outer address even when told 127.0.0.1, and listens to the network
# its helpers have 30 s to report to the node's manager, which gives up otherwise: a busy machine does not keep that
ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_agent_register_timeout_ms": "300000",
    # trials run at the driver's own priority; Ray's 15 would starve them beside anything else
    "RAY_worker_niceness": "0",
}
TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 -- a variable's name
CONNECT_SECONDS = 10
LAST_PORT = 65_535
START_ATTEMPTS = 5
AGENT_PORTS = ("metrics_agent_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
# prctl(2)
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class DayNews:
    """A trial's PnL at a day's end, waiting for a verdict."""

    number: int
    day: int
    pnl: float


class Pool(Protocol):
    """Where trials run."""

    workers: int

    def submit(self, job: TrialJob, data: CarriedDataset) -> None:
        """Hand a trial to a worker."""
        ...

    def wait(self, seconds: float) -> list[TrialOutcome]:
        """Return what has ended, waiting for at most this long."""
        ...

    def news(self) -> list[DayNews]:
        """Return the trials that wait for a verdict."""
        ...

    def answer(self, news: DayNews, *, stop: bool) -> None:
        """Tell a waiting trial to stop or to go on."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class Board:
    """Where trials leave the day's PnL and wait for the word; an actor of its own on the driver's node."""

    def __init__(self) -> None:
        self._news: list[DayNews] = []
        self._answers: dict[tuple[int, int], asyncio.Future[bool]] = {}

    async def report(self, number: int, day: int, pnl: float) -> bool:
        """Leave a figure and return whether to stop, once somebody has said so."""
        future = asyncio.get_running_loop().create_future()
        self._answers[number, day] = future
        self._news.append(DayNews(number, day, pnl))
        stop: bool = await future
        return stop

    async def news(self) -> list[DayNews]:
        """Return the figures that nobody has looked at yet."""
        found, self._news = self._news, []
        return found

    async def answer(self, number: int, day: int, stop: bool) -> None:
        """Let a trial hear the word; one that has gone meanwhile hears nothing."""
        future = self._answers.pop((number, day), None)
        if future is not None and not future.done():
            future.set_result(stop)


def on_node(
    job: TrialJob, opened: CarriedDataset, held: Sequence[Any], base: str | None, token: str, board: Any
) -> TrialOutcome:
    """
    Run a trial on whichever node this is, laying its data out there first if no trial before it has.

    ``held`` holds the reference of the data in Ray's object store: it is fetched to a node once, by the trial that finds nothing.
    """
    import ray  # noqa: PLC0415

    die_with_parent()
    node = str(ray.get_runtime_context().get_node_id())
    root = node_folder(base, token, node)
    folder = root / opened.key
    laid_out = False
    with only_one(root / f"{opened.key}.lock"):
        if not (folder / READY).is_file():
            lay_out(folder, ray.get(held[0]))
            laid_out = True
    dataset = open_laid_out(folder, opened, STREAMS)
    judge = None if board is None else lambda *args: bool(ray.get(board.report.remote(*args)))
    outcome = run_trial(job, dataset, root / "runs", judge)
    return replace(outcome, node=node, laid_out=laid_out)


def die_with_parent() -> None:
    """Let the kernel end this worker with its node's manager; otherwise it would first finish a trial that nobody waits for."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def fewer_helpers() -> Iterator[None]:
    """
    Let a cluster of one machine start without what it has no use for: the autoscaler and the reader of logs.

    Its two agents get ports chosen here, for which the node's manager would otherwise wait 15 s, which a busy machine does not keep.
    Ray has no public setting for either; a version that is made differently starts as it always does.
    """
    from ray._private import parameter as private  # noqa: PLC0415

    parameter: Any = private
    known = parameter.RayParams

    def fewer(**given: Any) -> Any:
        ports = {name: _free_port() for name in AGENT_PORTS}
        try:
            return known(**{**given, **ports, "no_monitor": True, "include_log_monitor": False})
        except TypeError:
            return known(**given)

    parameter.RayParams = fewer
    try:
        yield
    finally:
        parameter.RayParams = known


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return int(probe.getsockname()[1])


def children() -> set[int]:
    """Return the processes that this one started and that still run, as far as the system tells."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text(encoding="utf-8").rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.add(int(path.parent.name))
    return found


def node_folder(base: str | None, token: str, node: str) -> Path:
    """Return where a node keeps a sweep's data and unfinished trials."""
    return Path(base or tempfile.gettempdir()) / f"amm500-sweep-{token}-{node[:12]}"


def clear_node(base: str | None, token: str, node: str) -> None:
    """Remove what a sweep left on a node."""
    shutil.rmtree(node_folder(base, token, node), ignore_errors=True)


def import_ray(*, alone: bool) -> Any:
    """
    Return Ray, its reporting switched off before it is imported.

    Parameters
    ----------
    alone : bool
        Whether a cluster of our own is wanted, which no other machine reaches: it has 127.0.0.1 and a token of its own.

    Raises
    ------
    InputError
        If it is not installed.

    """
    # nothing is reported to anybody
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if alone:
        os.environ.update(ALONE)
        # otherwise Ray writes one into the user's home
        os.environ.setdefault(TOKEN, secrets.token_hex(32))
    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            "needs the extra 'research' (Ray and Optuna), which is not installed",
            "amm500 sweep",
            "pip install 'amm500[research]'",
        ) from error
    return ray


def require_cluster(address: str) -> None:
    """
    See that somebody listens at a cluster's address: Ray itself asks for minutes, and may end the process.

    Raises
    ------
    InputError
        If it is no address.
    SourceUnavailableError
        If nobody listens there.

    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= LAST_PORT:
        raise InputError(f"{address!r} is no address", "--address", "HOST:PORT of a Ray cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise SourceUnavailableError(f"no Ray cluster answers at {address} ({error})") from error


class RayPool:
    """
    Workers on Ray.

    Parameters
    ----------
    workers : int, optional
        Trials at a time; one a processor of the cluster when absent.
    address : str, optional
        A running cluster's ``host:port``; one of our own on this machine, on 127.0.0.1 alone, when absent.
    trials_a_process : int
        A worker process ends after so many trials.
    prunes : bool
        Whether trials ask at each day's end.

    Raises
    ------
    InputError
        If Ray is not installed.
    SourceUnavailableError
        If there is no cluster at the address.

    """

    def __init__(
        self, *, workers: int | None, address: str | None, trials_a_process: int, prunes: bool
    ) -> None:
        self._ray = ray = import_ray(alone=address is None)
        self.folder: str | None = None
        self._token = secrets.token_hex(6)
        if address is None:
            self.folder = self._start(workers or os.cpu_count() or 1)
        else:
            self._join(address)
        self.workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        task = ray.remote(num_cpus=1, max_retries=0, max_calls=trials_a_process)
        self._task = task(on_node)
        self._board = ray.remote(num_cpus=0)(Board).remote() if prunes else None
        self._held: dict[str, Any] = {}
        self._running: dict[Any, TrialJob] = {}

    def _start(self, workers: int) -> str:
        """Start a cluster on this machine alone and return its folder; Ray gives itself seconds, which a busy machine may not have."""
        for left in reversed(range(START_ATTEMPTS)):
            folder, before = tempfile.mkdtemp(prefix=FOLDER_PREFIX), children()
            try:
                with fewer_helpers():
                    self._ray.init(
                        num_cpus=workers,
                        include_dashboard=False,
                        _node_ip_address=LOCALHOST,
                        _temp_dir=folder,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                        configure_logging=False,
                    )
            except Exception as error:
                # whatever it was, nothing of the attempt may stay
                self._ray.shutdown()
                for pid in children() - before:
                    # it no longer knows them, and they would only slow the next attempt
                    os.kill(pid, signal.SIGKILL)
                shutil.rmtree(folder, ignore_errors=True)
                # Ray raises the bare class when its time is up
                if type(error) is not Exception:
                    raise
                if not left:
                    raise SourceUnavailableError(
                        f"Ray did not start on this machine in {START_ATTEMPTS} attempts: it is too busy ({error})"
                    ) from error
                logging.getLogger(__name__).warning("Ray did not start, %s attempts left: %s", left, error)
            else:
                return folder
        raise AssertionError("the last attempt returns or raises")

    def _join(self, address: str) -> None:
        require_cluster(address)
        ray = self._ray
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RaySystemError) as error:
            raise SourceUnavailableError(f"no Ray cluster answers at {address} ({error})") from error

    def submit(self, job: TrialJob, data: CarriedDataset) -> None:
        """Hand a trial to a worker; a dataset's files go into the object store with the first trial that needs them."""
        if data.key not in self._held:
            self._held[data.key] = self._ray.put(data)
        reference = self._task.remote(
            job, without_files(data), [self._held[data.key]], self.folder, self._token, self._board
        )
        self._running[reference] = job

    def wait(self, seconds: float) -> list[TrialOutcome]:
        """Return what has ended, waiting for at most this long."""
        if not self._running:
            return []
        ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [self._outcome(reference) for reference in ended]

    def _outcome(self, reference: Any) -> TrialOutcome:
        job = self._running.pop(reference)
        errors = self._ray.exceptions
        try:
            outcome: TrialOutcome = self._ray.get(reference)
        except errors.RayTaskError as error:
            # the trial raised what nobody foresaw
            return TrialOutcome(number=job.number, state="failed", seconds=0.0, error=str(error))
        except errors.RayError as error:
            # its process or its node died: the trial itself may be sound
            return TrialOutcome(number=job.number, state="lost", seconds=0.0, error=_first_line(error))
        return outcome

    def news(self) -> list[DayNews]:
        """Return the trials that wait for a verdict."""
        if self._board is None:
            return []
        found: list[DayNews] = self._ray.get(self._board.news.remote())
        return found

    def answer(self, news: DayNews, *, stop: bool) -> None:
        """Tell a waiting trial to stop or to go on."""
        if self._board is not None:
            self._ray.get(self._board.answer.remote(news.number, news.day, stop))

    def close(self) -> None:
        """Remove what lies on the nodes, and end our own cluster."""
        ray = self._ray
        if ray.is_initialized():
            for reference in self._running:
                ray.cancel(reference, force=True)
            if self.folder is None:
                self._clear_nodes(node["NodeID"] for node in ray.nodes() if node["Alive"])
            ray.shutdown()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _clear_nodes(self, nodes: Iterable[str]) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

        task = self._ray.remote(num_cpus=0, max_retries=0)(clear_node)
        jobs = [
            task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node, soft=False)).remote(
                None, self._token, node
            )
            for node in nodes
        ]
        self._ray.wait(jobs, num_returns=len(jobs), timeout=CONNECT_SECONDS)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def forget_folder(folder: str) -> None:
    """Remove what a killed driver's own cluster left; only ever a folder that such a cluster makes."""
    path = Path(folder)
    if folder and path.name.startswith(FOLDER_PREFIX) and path.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(path, ignore_errors=True)
