"""
Thirty days around the clock with a position that crosses zero all the time: the cost of a fill on day 30 over that on day 1.

Nautilus's NETTING slows with every close. The position here is kept small and alternating: one level at the touch, the side
that adds inventory withdrawn after a fill. Printed per day: CPU of the whole run (data decode, engine, strategy, venue, recorder),
fills, CPU a fill, crossings of zero (the position closed or turned) and resident memory. Data is generated once into a
temporary catalogue by another process.

Run: ``python -m benchmarks.month [--days 30]``.
"""

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from amm500_nautilus.runtime.config import RunConfig
from benchmarks.bench_run import DAY_S
from benchmarks.bench_run import NS
from benchmarks.bench_run import OurRun
from benchmarks.bench_run import dataset_of
from benchmarks.bench_run import feed
from benchmarks.bench_run import peak_mb
from benchmarks.bench_run import rss_mb
from benchmarks.bench_run import run_config


BAR_CROSSINGS = 10_000
BAR_RATIO = 1.2
BAR_MB = 700.0
BAR_GROWTH_MB = 5.0


def config_of(folder: Path, days: int) -> RunConfig:
    """Return the month: one level of 15 of collateral at the touch, one-sided from the first fill."""
    return run_config(
        folder,
        days,
        account={"equity": 1_000},
        strategy={
            "budget": {"enabled": False},
            # the engine's cost is what this measures: a maker that always rests at the touch loses, and would be halted, or
            # left with orders smaller than the venue takes
            "risk": {
                "switches": {"session_loss": 1_000_000.0, "drawdown": 1.0},
                "levels": {"max_drawdown": 1.0},
            },
            "quoting": {
                "model": "fixed_grid",
                "fixed_grid": {"levels": 1, "spacing_ticks": 1, "offset_ticks": 1},
                "adaptive": {"enabled": False},
                "ladder": {"size_fraction": 0.0015},
                "rebalance": {
                    "threshold": 0.0005,
                    "stop": 0.0002,
                    "one_sided": 0.0005,
                    "one_sided_stop": 0.0004,
                },
            },
        },
    )


class Crossings:
    """Counts how often the position reaches or passes zero, at the venue's fills."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self._before = 0
        self.count = 0
        self.turns = 0
        self._side = 0

    def on_fill(self, _event: Any) -> None:
        """Look at the position after a fill."""
        now = self._ledger.position_lots
        if self._before and (now == 0 or now * self._before < 0):
            self.count += 1
        side = (now > 0) - (now < 0)
        if side and side == -self._side:
            self.turns += 1
        self._side = side or self._side
        self._before = now


def measure(folder: Path, days: int) -> int:
    """Run the month and print a line a day; return 1 when a bar is missed."""
    config = config_of(folder, days)
    dataset = dataset_of(config)
    run = OurRun(config, dataset, folder / "month")
    ledger = run.venue.ledger
    crossings = Crossings(ledger)
    run.engine.kernel.msgbus.subscribe(topic="events.fills.*", handler=crossings.on_fill)
    gc.collect()
    gc.freeze()
    print(
        f"{'day':>4}{'CPU s':>9}{'ms/s':>8}{'fills':>8}{'ms a fill':>11}{'crossings':>11}{'turns':>8}{'RSS MB':>8}"
    )
    rows: list[tuple[float, int, float]] = []
    start = dataset.info.start_ns
    for day in range(days):
        began, fills = time.process_time(), ledger.fills
        low = start + day * DAY_S * NS
        for batch in dataset.batches(low, min(low + DAY_S * NS, dataset.info.end_ns)):
            feed(run.engine, batch)
        gc.collect()
        spent, done = time.process_time() - began, ledger.fills - fills
        rows.append((spent, done, rss_mb()))
        print(
            f"{day + 1:>4}{spent:>9.1f}{1e3 * spent / DAY_S:>8.3f}{done:>8,}{1e3 * spent / max(done, 1):>11.2f}"
            f"{crossings.count:>11,}{crossings.turns:>8,}{rows[-1][2]:>8.0f}",
            flush=True,
        )
    run.finish()
    return verdict(rows, crossings)


def verdict(rows: list[tuple[float, int, float]], crossings: Crossings) -> int:
    """Print the figures beside their bars."""
    (cpu_1, fills_1, rss_1), (cpu_n, fills_n, rss_n) = rows[0], rows[-1]
    ratio = (cpu_n / max(fills_n, 1)) / (cpu_1 / max(fills_1, 1))
    growth = (rss_n - rss_1) / max(len(rows) - 1, 1)
    total = sum(row[0] for row in rows)
    print(
        f"{len(rows)} days: {total:.0f} s CPU, {1e3 * total / (len(rows) * DAY_S):.3f} ms a simulated second"
    )
    print(
        f"crossings of zero {crossings.count:,} (bar {BAR_CROSSINGS:,}), of them turned {crossings.turns:,}"
    )
    print(f"cost a fill, last day over first {ratio:.2f} (bar {BAR_RATIO})")
    print(
        f"peak memory {peak_mb():.0f} MB (bar {BAR_MB:.0f}), growth {growth:.2f} MB a day (bar {BAR_GROWTH_MB:g})"
    )
    missed = crossings.count < BAR_CROSSINGS or ratio > BAR_RATIO or peak_mb() > BAR_MB
    return int(missed or growth > BAR_GROWTH_MB)


def main() -> int:
    """Simulate the month in one process and run it in another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--stage", choices=["data", "run"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage == "data":
        dataset_of(config_of(args.folder, args.days))
        return 0
    if args.stage == "run":
        return measure(args.folder, args.days)
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or Path(made)
        command = [
            sys.executable,
            "-m",
            "benchmarks.month",
            "--folder",
            str(folder),
            "--days",
            str(args.days),
        ]
        root = Path(__file__).resolve().parents[1]
        subprocess.run([*command, "--stage", "data"], check=True, cwd=root)
        return subprocess.run([*command, "--stage", "run"], check=False, cwd=root).returncode


if __name__ == "__main__":
    sys.exit(main())
