"""Time of one volatility forecast (two layers of 32, sixty rows, five features), and of a cycle between two marks."""

import statistics
import time

import numpy as np

from amm500_nautilus.forecast.features import ALL_FEATURES
from amm500_nautilus.forecast.features import FeatureClock
from amm500_nautilus.forecast.inference import LstmForecaster
from amm500_nautilus.forecast.scaling import Scaler


RUNS = 2_000
ROWS = 60
HIDDEN = 32


def forecaster() -> LstmForecaster:
    rng = np.random.default_rng(1)
    features = len(ALL_FEATURES)
    shapes: dict[str, tuple[int, ...]] = {
        "head.weight": (1, HIDDEN),
        "head.bias": (1,),
        "skip.weight": (1, features),
    }
    for layer in range(2):
        shapes[f"lstm.weight_ih_l{layer}"] = (4 * HIDDEN, features if layer == 0 else HIDDEN)
        shapes[f"lstm.weight_hh_l{layer}"] = (4 * HIDDEN, HIDDEN)
        shapes[f"lstm.bias_ih_l{layer}"] = shapes[f"lstm.bias_hh_l{layer}"] = (4 * HIDDEN,)
    weights = {name: rng.uniform(-0.2, 0.2, shape) for name, shape in shapes.items()}
    scaler = Scaler(ALL_FEATURES, 0.94, 5, np.zeros(features), np.ones(features))
    return LstmForecaster(weights, scaler)


def main() -> None:
    model = forecaster()
    clock = FeatureClock(ALL_FEATURES, ROWS)
    price = 690.0
    rng = np.random.default_rng(2)
    for _ in range(ROWS + 1):
        price *= float(np.exp(rng.normal(0, 5e-4)))
        clock.push(price)
    model.variance(clock.rows())
    walls = []
    cpu = time.process_time()
    for _ in range(RUNS):
        price *= float(np.exp(rng.normal(0, 5e-4)))
        start = time.perf_counter_ns()
        clock.push(price)
        model.variance(clock.rows())
        walls.append((time.perf_counter_ns() - start) / 1e6)
    spent = (time.process_time() - cpu) / RUNS * 1e3
    walls.sort()
    print(
        f"forecast of {ROWS} rows, once a mark: median {statistics.median(walls):.2f} ms, "
        f"p99 {walls[int(RUNS * 0.99)]:.2f} ms, {spent:.2f} ms of the processor (all threads), {RUNS} runs"
    )


if __name__ == "__main__":
    main()
