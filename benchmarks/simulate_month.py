"""Time a simulated month: 30 days of 24/7 depth at 0.5 s with every other stream, written as a catalogue on one core.

Run ``python benchmarks/simulate_month.py [--days 30]``.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa


ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "catalog"), str(ROOT / "adapters")]

from amm500_catalog.calibrate_report import walk_bars  # noqa: E402
from amm500_catalog.simulator import SimulatorConfig  # noqa: E402
from amm500_catalog.simulator import simulate  # noqa: E402
from amm500_catalog.spec import MarketSpec  # noqa: E402


BAR_S = 300.0


def main() -> int:
    """Print the figures; return 1 when the month takes longer than the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    days = parser.parse_args().days
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    bars = walk_bars(hours=24 * days, seed=1)
    before = _rss_mb()
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        result = simulate(bars, (), MarketSpec(), SimulatorConfig(), 1, folder)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = sum(p.stat().st_size for p in Path(folder).rglob("*.parquet")) / 1e6
    for stream, rows in result.rows.items():
        print(f"{stream:<20} {rows:>10,} rows")
    print(f"{days} days: {wall:.1f} s wall, {cpu:.1f} s CPU, {size:.0f} MB on disk")
    print(f"a month at this rate: {wall * 30 / days:.0f} s (bar {BAR_S:.0f} s)")
    print(f"peak memory {_rss_mb():.0f} MB, {before:.0f} MB before it began")
    return int(wall * 30 / days > BAR_S)


def _rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
