"""Bars with prices given or drawn, for the tests of this folder."""

import numpy as np

from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import make_bars
from amm500_catalog.sources.base import session_spans


# Monday 2026-01-05 14:30 UTC
OPEN_NS = 1_767_623_400 * NS
STEP_S = 300


def frame_of(rows: list[tuple[float, float, float, float]], *, days: int = 1) -> BarFrame:
    """Return five-minute bars from (open, high, low, close), the rows of one session repeated each day."""
    count = len(rows)
    opens = [
        OPEN_NS + day * 86_400 * NS + number * STEP_S * NS for day in range(days) for number in range(count)
    ]
    columns = list(zip(*(rows * days), strict=True))
    bars = make_bars(opens, *columns, [10.0] * len(opens), STEP_S)
    return BarFrame(bars, STEP_S, "file", "X", session_spans(bars, STEP_S))


def walk(seed: int, count: int, *, deviation: float = 5e-4, start: float = 690.0) -> BarFrame:
    """Return the bars of a seeded walk; each opens a little off the last close, as an index's do."""
    rng = np.random.default_rng(seed)
    rows = []
    price = start
    for _ in range(count):
        path = price * np.exp(np.concatenate(([0.0], np.cumsum(rng.normal(0.0, deviation, 8)))))
        rows.append((float(path[0]), float(path.max()), float(path.min()), float(path[-1])))
        price = float(path[-1] * np.exp(rng.normal(0.0, deviation / 4)))
    return frame_of(rows)
