"""What the engine benchmarks share: generated data, our whole run assembled on an engine, and the figures of a process."""

import gc
import resource
import time
from pathlib import Path
from typing import Any

from amm500_catalog.dataset import CatalogDataset
from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.runtime.backtest import make_engine
from amm500_nautilus.runtime.backtest import strategy_config
from amm500_nautilus.runtime.backtest import venue_config
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.data import prepare
from amm500_nautilus.runtime.data import resolve_market
from amm500_nautilus.runtime.load import validate
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.recording import RecordingListener
from amm500_nautilus.simulation.engine_care import keep_engine_flat
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue
from amm500_nautilus.strategy import MarketMaker


NS = 1_000_000_000
DAY_S = 86_400


def run_config(folder: Path, days: int, **sections: Any) -> RunConfig:
    """
    Return a run of generated 24/7 data, stored in ``folder``, with the action budget and the venue's action limits off.

    Parameters
    ----------
    folder : Path
        Where the catalogue is.
    days : int
        Simulated days, all of them open.
    **sections : Any
        Further sections of a run file.

    """
    raw = {
        "name": "benchmark",
        "seed": 7,
        "market": {"price": 690.0, "daily_volume": 3_400_000.0},
        "venue": {"action_limits": False},
        "data": {
            "source": "generator",
            "catalog": str(folder / "store"),
            "sessions": "always",
            "start": "2026-01-05",
            "days": days,
            "end": f"2026-01-{5 + days:02d}" if days < 27 else f"2026-02-{days - 26:02d}",
        },
        **sections,
    }
    return validate(RunConfig, raw, "benchmark")


def dataset_of(config: RunConfig) -> CatalogDataset:
    """Return the data of a configuration, simulated now unless it is already stored."""
    return prepare(config, Progress(quiet=True))


class OurRun:
    """
    Strategy, simulated venue and recorder on an engine, exactly as a backtest has them.

    Parameters
    ----------
    config : RunConfig
        The run.
    dataset : CatalogDataset
        Its data.
    out : Path
        Where the recorder writes.
    strategy : type
        ``MarketMaker``, or a subclass that watches it.

    """

    def __init__(
        self, config: RunConfig, dataset: CatalogDataset, out: Path, strategy: type[MarketMaker] = MarketMaker
    ) -> None:
        info, market = dataset.info, resolve_market(config, dataset)
        self.engine = make_engine()
        listener = RecordingListener()
        self.venue: SimulatedVenue = add_simulated_venue(
            self.engine,
            instrument=dataset.instrument,
            config=venue_config(config, dataset, market),
            seed=config.seed,
            listener=listener,
        )
        out.mkdir(parents=True, exist_ok=True)
        self.recorder = RunRecorder(
            out,
            dataset.instrument,
            self.engine.kernel.msgbus,
            self.engine.cache,
            account=listener.account,
            sessions=info.sessions,
            start_ns=info.start_ns,
            end_ns=info.end_ns,
        )
        listener.bind(self.recorder, self.venue)
        keep_engine_flat(self.engine, self.venue)
        self.strategy = strategy(strategy_config(config, dataset, market))
        self.engine.add_strategy(self.strategy)
        self._end_ns = info.end_ns

    def finish(self) -> None:
        """End the run and close its files."""
        self.engine.end()
        self.venue.finish(self._end_ns)
        self.recorder.close()
        self.engine.dispose()


def feed(engine: Any, batch: list[Any]) -> float:
    """Run one batch through an engine and return the CPU seconds it took."""
    began = time.process_time()
    engine.add_data(batch, validate=False, sort=True)
    engine.run(streaming=True)
    engine.clear_data()
    gc.collect(1)
    return time.process_time() - began


def rest_collector() -> None:
    """Let the collector of cycles rest while batches run, as a backtest does: it looks for young ones after each batch only."""
    gc.collect()
    gc.freeze()
    gc.disable()


def rss_mb() -> float:
    """Return this process's resident memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def peak_mb() -> float:
    """Return the largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 / 1e6


def loop_us(rounds: int = 300) -> float:
    """Return the least time of a bare loop of 1,000 additions: how fast this core is when nobody disturbs it."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter_ns()
        total = 0
        for i in range(1_000):
            total += i
        best = min(best, (time.perf_counter_ns() - began) / 1_000)
    return best
