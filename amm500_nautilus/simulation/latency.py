"""How long an order action takes to reach the venue."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from typing import Protocol

import numpy as np
import numpy.typing as npt


NS_PER_MS = 1_000_000
_POOL = 4096
# ten minutes; one in a thousand draws is 500 times the median then
_MOST_MS = 600_000.0
_MOST_SIGMA = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyConfig:
    """
    The distribution of the time between sending an action and the venue acting on it.

    The whole round trip is charged to the way there, so an order is never at the venue earlier than it would be.

    Parameters
    ----------
    kind : {"constant", "lognormal", "empirical"}
        ``constant``: always ``p50_ms``. ``lognormal``: median ``p50_ms``, log deviation ``sigma``.
        ``empirical``: through ``quantiles``, linear between them.
    p50_ms : float, default 200.0
        Median in milliseconds (about 200 near the validators, 656 from a home line).
    sigma : float, default 0.2
        Log deviation; 0.2 is the spread between the median and the 90 % point of the home line.
    min_ms : float, default 20.0
        No draw is shorter.
    quantiles : tuple of (float, float)
        Pairs of probability and milliseconds, both rising, from 0 to 1.

    """

    kind: Literal["constant", "lognormal", "empirical"] = "lognormal"
    p50_ms: float = 200.0
    sigma: float = 0.2
    min_ms: float = 20.0
    quantiles: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in {"constant", "lognormal", "empirical"}:
            msg = f"latency kind is {self.kind!r}; allowed: constant, lognormal, empirical"
            raise ValueError(msg)
        for name, most in (("p50_ms", _MOST_MS), ("min_ms", _MOST_MS), ("sigma", _MOST_SIGMA)):
            value = getattr(self, name)
            if not 0.0 <= value <= most:
                msg = f"latency {name} is {value}; allowed: 0 to {most:g}"
                raise ValueError(msg)
        if self.kind == "empirical":
            self._check_quantiles()

    def _check_quantiles(self) -> None:
        points = self.quantiles
        rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(points))
        ends = len(points) >= 2 and points[0][0] == 0.0 and points[-1][0] == 1.0 and points[0][1] >= 0.0
        if not ends or not rising or points[-1][1] > _MOST_MS:
            msg = f"latency quantiles are {points}; allowed: rising pairs of probability and ms from 0 to 1"
            raise ValueError(msg)


NEAR_VALIDATORS = LatencyConfig()

# observed round trips of a small maker from a home line: p50 656, p90 843, p99 1178 ms
HOME_LINE = LatencyConfig(
    kind="empirical",
    p50_ms=656.0,
    quantiles=((0.0, 469.0), (0.5, 656.0), (0.9, 843.0), (0.99, 1178.0), (1.0, 1500.0)),
)

NO_LATENCY = LatencyConfig(kind="constant", p50_ms=0.0, min_ms=0.0)


class Latency(Protocol):
    """What says how long an action takes."""

    def draw(self) -> int:
        """Return the latency of the next action, in nanoseconds."""
        ...


class LatencySampler:
    """
    Draws latencies in nanoseconds from a seeded generator.

    Parameters
    ----------
    config : LatencyConfig
        The distribution.
    rng : numpy.random.Generator
        The generator, used by nothing else.

    """

    def __init__(self, config: LatencyConfig, rng: np.random.Generator) -> None:
        self._config = config
        self._rng = rng
        self._pool: list[int] = []
        self._constant = round(config.p50_ms * NS_PER_MS) if config.kind == "constant" else None

    def draw(self) -> int:
        """Return the latency of the next action, in nanoseconds."""
        if self._constant is not None:
            return self._constant
        if not self._pool:
            self._pool = self._sample().tolist()
        return self._pool.pop()

    def _sample(self) -> npt.NDArray[np.int64]:
        config = self._config
        if config.kind == "lognormal":
            ms = config.p50_ms * np.exp(config.sigma * self._rng.standard_normal(_POOL))
        else:
            points = np.asarray(config.quantiles, dtype=np.float64)
            ms = np.interp(self._rng.random(_POOL), points[:, 0], points[:, 1])
        return np.asarray(np.maximum(ms, config.min_ms) * NS_PER_MS, dtype=np.int64)
