"""Time of one ladder (both sides of 15 levels): shape, distances, prices."""

import statistics
import time

from amm500_nautilus.quoting.config import LadderConfig
from amm500_nautilus.quoting.models import ModelInputs
from amm500_nautilus.quoting.models import TieredModel


RUNS = 20_000


def main() -> None:
    model = TieredModel(LadderConfig())
    samples = []
    for run in range(RUNS):
        inputs = ModelInputs(
            69_000.0 + run % 7 * 0.3, 69_010, 68_990, 5.0 + run % 5 * 0.1, 25.0, 4_000 + run % 3, 15
        )
        start = time.perf_counter_ns()
        quotes = model.quote(inputs)
        samples.append((time.perf_counter_ns() - start) / 1_000)
    samples.sort()
    levels = len(quotes.bid_ticks)
    print(
        f"ladder {levels}x2: median {statistics.median(samples):.1f} us, p99 {samples[int(RUNS * 0.99)]:.1f} us, {RUNS} runs"
    )


if __name__ == "__main__":
    main()
