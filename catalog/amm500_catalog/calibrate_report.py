"""Recorded and simulated markets side by side, with the bars the simulator is held to."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import TypedDict

import numpy as np
import pandas as pd

from amm500_catalog.calibrate import MOMENTUM_S
from amm500_catalog.calibrate import Measurement
from amm500_catalog.calibrate import measure_catalog
from amm500_catalog.calibrate import measure_recording
from amm500_catalog.calibrate import measure_samples
from amm500_catalog.calibrate import pooled_trade_ratio
from amm500_catalog.calibrate_samples import half_of
from amm500_catalog.calibrate_samples import read_recording
from amm500_catalog.errors import InputError
from amm500_catalog.simulator import TOXICITY_TARGETS
from amm500_catalog.simulator import SimulatorConfig
from amm500_catalog.simulator import simulate
from amm500_catalog.spec import DatasetInfo
from amm500_catalog.spec import MarketSpec


RECORDED_COINS = ("BTC", "ETH", "SOL")
SIZE_COINS = ("ETH", "SOL")
SAMPLE_COLUMNS = ("time_utc", "bid", "ask", "bid_depth10_usd", "ask_depth10_usd")
SAMPLES = f"a CSV of samples with the columns {', '.join(SAMPLE_COLUMNS)}"
# the fit uses the first half of the samples and of the recorded prints, the report the second
TEST_HALF = 0.5
_DEPTH_TOLERANCE = 0.15
_SIZE_TOLERANCE = 0.20
_MINUTE_TOLERANCE = 0.10
_VOLUME_TOLERANCE = 0.10
_MARKOUT_TOLERANCE = 0.12
# var(10 s) over twice var(5 s), less one, of km:US500: 10 x 0.17^2 / (2 x 5 x 0.15^2) - 1
_KM_MOMENTUM = 0.28
_MOST_MOMENTUM = 0.32
_TREND = (0.4, 0.7)
_KM_PRICE = 690.0
_KM_DEVIATION_BPS = 0.20
_MINUTE_S = 60
_START_NS = 1_768_435_200_000_000_000
_SECOND_NS = 1_000_000_000


class Asked(TypedDict):
    """What was asked of a simulated market, as ``measure_catalog`` takes it."""

    toxicity: str | None
    bars_deviation: float | None
    daily_volume: float | None


@dataclass(frozen=True, slots=True)
class Check:
    """One bar: the simulated figure, what it is held to, and the range it must lie in."""

    name: str
    value: float
    wanted: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the figure lies in its range."""
        return self.low <= self.value <= self.high


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What was measured, market by market, and the bars."""

    measurements: tuple[Measurement, ...]
    checks: tuple[Check, ...]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table as text cells, the header first; a market without a figure has an empty cell."""
        names = list(dict.fromkeys(name for m in self.measurements for name, _ in m.rows()))
        columns = [dict(m.rows()) for m in self.measurements]
        table = [("figure", *(m.name for m in self.measurements))]
        table += [(name, *(_cell(c.get(name)) for c in columns)) for name in names]
        return table

    def text(self) -> str:
        """Return the report as plain text."""
        lines = _columns(self.rows())
        if self.checks:
            lines += [
                "",
                *_columns([("bar", "simulated", "held to", "range", ""), *map(_check_row, self.checks)]),
            ]
        return "\n".join(lines)


def calibration_report(
    *,
    recordings: str | Path | None = None,
    samples: str | Path | None = None,
    simulated: Sequence[Measurement] = (),
) -> CalibrationReport:
    """
    Measure what is given and hold the simulated markets to the recorded ones.

    Parameters
    ----------
    recordings : path, optional
        Folder of the BTC, ETH and SOL recordings. Print sizes are held to the second half of ETH and SOL, as the defaults are
        fitted to the first.
    samples : path, optional
        The km:US500 samples; the second half is measured, as the defaults are fitted to the first.
    simulated : sequence of Measurement, optional
        Simulated markets (``measure_dataset``, ``simulate_levels``). One that says what was asked of it (``toxicity``,
        ``bars_deviation``, ``daily_volume``) is held to that too.

    Raises
    ------
    InputError
        If a recording is not there, or the samples are none.

    """
    recorded = [measure_recording(recordings, coin) for coin in RECORDED_COINS] if recordings else []
    thin = _second_half(samples) if samples else None
    sizes = held_out_sizes(recordings) if recordings else None
    checks = [c for m in simulated for c in _checks(m, thin, sizes)]
    shown = [*recorded, *([thin] if thin else []), *simulated]
    return CalibrationReport(tuple(shown), tuple(checks))


def held_out_sizes(recordings: str | Path) -> dict[str, float]:
    """Return quantiles of print size over the best level in the second half of ETH's and SOL's time, which no default is fitted to."""
    return pooled_trade_ratio([half_of(read_recording(recordings, c), first=False) for c in SIZE_COINS])


def measure_dataset(info: DatasetInfo, base: str) -> Measurement:
    """
    Measure a simulated dataset, with what was asked of it.

    Parameters
    ----------
    info : DatasetInfo
        The dataset's name, instrument and parameters (``SimulationResult.params``). A parameter that an older dataset lacks is
        not held to anything.
    base : str
        Folder or fsspec URL of its catalogue.

    """
    return measure_catalog(base, info.instrument_id, name=info.name, **asked(info.params))


def asked(params: Mapping[str, Any]) -> Asked:
    """Return what a simulation's parameters say that its market should show, for ``measure_catalog``."""
    bars = params.get("bars") or {}
    return {
        "toxicity": params.get("toxicity"),
        "bars_deviation": bars.get("deviation_bps"),
        "daily_volume": bars.get("notional_per_day"),
    }


def simulate_levels(
    root: str,
    *,
    config: SimulatorConfig | None = None,
    bars: pd.DataFrame | None = None,
    spec: MarketSpec | None = None,
    seed: int = 1,
) -> list[Measurement]:
    """Simulate and measure each toxicity level along the same bars (six hours at km:US500's deviation when None), under ``root``."""
    config, spec = config or SimulatorConfig(), spec or MarketSpec()
    bars = walk_bars(hours=6, seed=seed) if bars is None else bars
    made = []
    for level in TOXICITY_TARGETS:
        folder = f"{root.rstrip('/')}/{level}"
        result = simulate(bars, (), spec, replace(config, toxicity=level), seed, folder)  # type: ignore[arg-type]
        made.append(measure_catalog(folder, spec.instrument_id, name=level, **asked(result.params)))
    return made


def walk_bars(
    *,
    hours: float,
    seed: int,
    interval_s: int = _MINUTE_S,
    deviation_bps: float = _KM_DEVIATION_BPS,
    price: float = _KM_PRICE,
    start_ns: int = _START_NS,
) -> pd.DataFrame:
    """Return bars of a plain random walk without drift, of this deviation per root second, on a cent grid and without volume."""
    count = int(hours * 3600) // interval_s
    steps = np.random.default_rng(seed).standard_normal(count * interval_s) * deviation_bps * 1e-4
    path = np.round(price * np.exp(np.cumsum(steps)), 2).reshape(count, interval_s)
    opens = np.r_[path[0, 0], path[:-1, -1]]
    begins = start_ns + np.arange(count, dtype=np.int64) * interval_s * _SECOND_NS
    return pd.DataFrame(
        {
            "ts_open_ns": begins,
            "ts_close_ns": begins + interval_s * _SECOND_NS,
            "open": opens,
            "high": np.maximum(path.max(axis=1), opens),
            "low": np.minimum(path.min(axis=1), opens),
            "close": path[:, -1],
            "volume": 0.0,
        }
    )


def require_samples(path: str | Path) -> int:
    """
    Return how many samples a file holds.

    Raises
    ------
    InputError
        If it cannot be read, or its columns are others.

    """
    try:
        table = pd.read_csv(path)
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({_first_line(error)})", str(path), SAMPLES) from error
    missing = [name for name in SAMPLE_COLUMNS if name not in table]
    if missing:
        raise InputError(f"has no column {missing[0]}", str(path), SAMPLES)
    return len(table)


def _second_half(path: str | Path) -> Measurement:
    rows = slice(int(require_samples(path) * TEST_HALF), None)
    try:
        return measure_samples(path, rows=rows, name="km:US500 (test half)")
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        # words where numbers or times stand, or no spread at all
        raise InputError(f"cannot be measured ({_first_line(error)})", str(path), SAMPLES) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _checks(made: Measurement, thin: Measurement | None, sizes: dict[str, float] | None) -> list[Check]:
    out = []

    def near(name: str, value: float, wanted: float, share: float) -> None:
        span = abs(wanted) * share
        out.append(Check(f"{made.name}: {name}", value, wanted, wanted - span, wanted + span))

    if thin is not None:
        p50, p90 = made.spread_ticks["p50"], made.spread_ticks["p90"]
        out.append(Check(f"{made.name}: spread p50 (ticks)", p50, thin.spread_ticks["p50"], 1, 1))
        out.append(Check(f"{made.name}: spread p90 (ticks)", p90, thin.spread_ticks["p90"], 3, 5))
        for side, wanted in thin.depth.items():
            near(f"depth 10 {side} median", made.depth[side], wanted, _DEPTH_TOLERANCE)
    for quantile, wanted in (sizes or {}).items():
        near(f"trade size {quantile} / best level", made.trade_ratio[quantile], wanted, _SIZE_TOLERANCE)
    if made.daily_volume is not None:
        near("notional a day", made.notional_per_day, made.daily_volume, _VOLUME_TOLERANCE)
    if made.bars_deviation is not None:
        near("deviation 60 s", made.deviation[60], made.bars_deviation, _MINUTE_TOLERANCE)
    out.append(Check(f"{made.name}: trend, 1 s over 30 s", made.trend, 0.5, *_TREND))
    name = f"{made.name}: past {MOMENTUM_S} s and next {MOMENTUM_S} s (correlation)"
    out.append(Check(name, made.momentum, _KM_MOMENTUM, 0.0, _MOST_MOMENTUM))
    if made.toxicity is not None and made.markout:
        for horizon, wanted in zip((1, 5), TOXICITY_TARGETS[made.toxicity], strict=True):
            value = made.scaled_markout(horizon)
            low, high = wanted - _MARKOUT_TOLERANCE, wanted + _MARKOUT_TOLERANCE
            out.append(Check(f"{made.name}: markout {horizon} s / deviation", value, wanted, low, high))
    return out


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def _check_row(check: Check) -> tuple[str, ...]:
    span = f"{_cell(check.low)} to {_cell(check.high)}"
    return (check.name, _cell(check.value), _cell(check.wanted), span, "holds" if check.holds else "MISSED")


def _columns(table: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]
