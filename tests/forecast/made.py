"""Series, models and markets made from seeds, for the tests of the forecast."""

from dataclasses import dataclass
from dataclasses import field
from typing import Any

import numpy as np

from amm500_nautilus.forecast.card import ModelCard
from amm500_nautilus.forecast.inference import LstmForecaster
from amm500_nautilus.forecast.model_file import VolatilityModel
from amm500_nautilus.forecast.scaling import Scaler
from amm500_nautilus.forecast.series import Floats
from amm500_nautilus.forecast.series import MarkSeries


NS = 1_000_000_000
DAY0_NS = 1_767_571_200 * NS
BARS_ONLY = ("price_relative_100", "log_return", "log_deviation_20")


def series(
    returns: Floats, *, per_session: int | None = None, interval_s: int = 60, day: int = 1_440, **columns: Any
) -> MarkSeries:
    """Return the marks of returns, ``per_session`` a session and a day from one session's open to the next; one session by default."""
    count = len(returns) if per_session is None else per_session
    times: list[int] = []
    prices: list[float] = []
    sessions: list[int] = []
    price = 100.0
    for number, low in enumerate(range(0, len(returns), count)):
        path = price * np.exp(np.concatenate(([0.0], np.cumsum(returns[low : low + count]))))
        times += [DAY0_NS + number * 86_400 * NS + place * interval_s * NS for place in range(len(path))]
        prices += path.tolist()
        sessions += [number] * len(path)
        # a night's jump, which no return may hold
        price = float(path[-1]) * 1.01
    return MarkSeries(
        interval_s=interval_s,
        ts_ns=np.array(times, dtype=np.int64),
        price=np.array(prices),
        session=np.array(sessions, dtype=np.int64),
        day=day,
        **columns,
    )


def weights(seed: int, features: int, *, hidden: int = 32, layers: int = 2) -> dict[str, Floats]:
    """Return weights under torch's names, uniform as torch's own first ones, at float32's precision."""
    rng = np.random.default_rng(seed)
    bound = hidden**-0.5
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(layers):
        shapes[f"lstm.weight_ih_l{layer}"] = (4 * hidden, features if layer == 0 else hidden)
        shapes[f"lstm.weight_hh_l{layer}"] = (4 * hidden, hidden)
        shapes[f"lstm.bias_ih_l{layer}"] = shapes[f"lstm.bias_hh_l{layer}"] = (4 * hidden,)
    shapes |= {"head.weight": (1, hidden), "head.bias": (1,), "skip.weight": (1, features)}
    return {
        name: rng.uniform(-bound, bound, shape).astype(np.float32).astype(np.float64)
        for name, shape in shapes.items()
    }


def model(names: tuple[str, ...] = BARS_ONLY, *, seed: int = 3, **card: Any) -> VolatilityModel:
    """Return a model with weights that nobody trained, whose card says what a test needs."""
    facts: dict[str, Any] = {
        "market": "km:US500",
        "source": "file",
        "description": "made for a test",
        "simulated": False,
        "interval_s": 60,
        "steps": 5,
        "features": names,
        "left_out": (),
        "sequence": 60,
        "warm_up": 10,
        "start_ns": DAY0_NS - 30 * 86_400 * NS,
        "end_ns": DAY0_NS,
        "trained_until_ns": DAY0_NS - 86_400 * NS,
        "marks": 1_000,
        "samples": 900,
        "data_sha256": "0" * 64,
        "use": True,
        "why": "wins against ewma, har, garch in QLIKE, each with p < 0.05",
        "scores": ({"name": "model", "qlike": 0.5, "mse_bp4": 2.0}, {"name": "ewma", "qlike": 0.6, "mse_bp4": 3.0, "dm": -3.0, "p": 0.001, "lags": 4}),
        "folds": (),
    }  # fmt: skip
    made = ModelCard(**{**facts, **card})
    scaler = Scaler(
        names=names,
        decay=0.95,
        steps=made.steps,
        mean=np.zeros(len(names)),
        std=np.ones(len(names)),
    )
    return VolatilityModel(made, LstmForecaster(weights(seed, len(names)), scaler))


@dataclass
class FakeBook:
    """What the forecast asks of the book's keeper."""

    imbalance: float = 0.0

    def analyze(self, _ts_ns: int) -> "FakeBook":
        return self


@dataclass
class FakeMarket:
    """What the forecast asks of the quoting engine."""

    touch: tuple[int, int] | None = (9_999, 10_001)
    funding_rate: float = 0.0
    age: float | None = 0.5
    book: FakeBook = field(default_factory=FakeBook)

    def ages(self, _ts_ns: int) -> tuple[float | None, float | None, bool]:
        return self.age, None, False
