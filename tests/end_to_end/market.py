"""An hour of bars from a seed, the command line in this process, and what a run left."""

import json
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from amm500_nautilus.runtime.backtest import main


ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "xyz100_30d.yaml"
FIRST = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
HEADER = "time,open,high,low,close,volume"
# close to the touch, so that an hour has hundreds of fills
EAGER = (
    "strategy.quoting.model=fixed_grid",
    "strategy.quoting.fixed_grid.levels=8",
    "strategy.quoting.fixed_grid.offset_ticks=2",
    "strategy.quoting.fixed_grid.spacing_ticks=4",
)


def bar_lines(count: int = 12, seed: int = 1, days: int = 1) -> list[str]:
    """Return the lines of a CSV of five-minute bars around 690 that a random walk left, ``count`` a day, without a volume."""
    rng = np.random.default_rng(seed)
    price = 690.0
    lines = [HEADER]
    for day, number in product(range(days), range(count)):
        path = price * np.exp(np.cumsum(rng.normal(0.0, 2e-4, 12)))
        first, last = price, round(float(path[-1]), 2)
        high, low = max(first, last, float(path.max())), min(first, last, float(path.min()))
        when = (FIRST + timedelta(days=day, minutes=5 * number)).isoformat()
        lines.append(f"{when},{first:.2f},{high:.2f},{low:.2f},{last:.2f},0")
        price = last
    return lines


def write_bars(path: Path, lines: Sequence[str]) -> Path:
    """Write the lines to a file."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def arguments(bars: Path, store: Path, out: Path | None, *more: str) -> list[str]:
    """Return the command line of a run over a file of bars."""
    values = [
        "data.source=file",
        f"data.path={bars}",
        f"data.catalog={store}",
        "report.tearsheet=false",
        *more,
    ]
    line = [str(CONFIG), "--quiet"]
    for value in values:
        line += ["--set", value]
    return line if out is None else [*line, "--out", str(out)]


def backtest(bars: Path, store: Path, out: Path, *more: str) -> int:
    """Run the command line and return its exit code."""
    return main(arguments(bars, store, out, *more))


def summary_of(out: Path) -> dict[str, Any]:
    """Return a run's summary."""
    found: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return found
