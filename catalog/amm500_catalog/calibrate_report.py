"""Recorded and simulated markets side by side, with the bars the simulator is held to."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from amm500_catalog.calibrate import Measurement
from amm500_catalog.calibrate import measure_catalog
from amm500_catalog.calibrate import measure_recording
from amm500_catalog.calibrate import measure_samples
from amm500_catalog.calibrate import pooled_trade_ratio
from amm500_catalog.calibrate import read_recording
from amm500_catalog.simulator import TOXICITY_TARGETS
from amm500_catalog.simulator import SimulatorConfig
from amm500_catalog.simulator import simulate
from amm500_catalog.spec import MarketSpec


RECORDED_COINS = ("BTC", "ETH", "SOL")
SIZE_COINS = ("ETH", "SOL")
# the fit uses the first half of the samples, the report the second
TEST_HALF = 0.5
_DEPTH_TOLERANCE = 0.15
_SIZE_TOLERANCE = 0.20
_MINUTE_TOLERANCE = 0.10
_MARKOUT_TOLERANCE = 0.12
_TREND = (0.4, 0.7)
_KM_PRICE = 690.0
_KM_DEVIATION_BPS = 0.20
_MINUTE_S = 60
_START_NS = 1_768_435_200_000_000_000
_SECOND_NS = 1_000_000_000


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
    catalogs: Mapping[str, tuple[str, str]] | None = None,
    simulated: Sequence[Measurement] = (),
    bars_deviation: float | None = None,
) -> CalibrationReport:
    """
    Measure what is given and hold the simulated markets to the recorded ones.

    Parameters
    ----------
    recordings : path, optional
        Folder of the BTC, ETH and SOL recordings.
    samples : path, optional
        The km:US500 samples; the second half is measured, as the defaults are fitted to the first.
    catalogs : Mapping, optional
        Simulated data by name: (catalogue, instrument id). A name that is a toxicity level is held to its markouts.
    simulated : sequence of Measurement, optional
        Simulated markets already measured, named as in ``catalogs``.
    bars_deviation : float, optional
        The bars' return deviation per root second in bp, which the simulated 60 s figure is held to.

    """
    recorded = [measure_recording(recordings, coin) for coin in RECORDED_COINS] if recordings else []
    thin = _second_half(samples) if samples else None
    made = list(simulated)
    for name, (catalog, instrument_id) in (catalogs or {}).items():
        made.append(measure_catalog(catalog, instrument_id, name=name))
    sizes = pooled_trade_ratio([read_recording(recordings, c) for c in SIZE_COINS]) if recordings else None
    checks = [c for m in made for c in _checks(m, thin, sizes, bars_deviation)]
    shown = [*recorded, *([thin] if thin else []), *made]
    return CalibrationReport(tuple(shown), tuple(checks))


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
        simulate(bars, (), spec, replace(config, toxicity=level), seed, folder)  # type: ignore[arg-type]
        made.append(measure_catalog(folder, spec.instrument_id, name=level))
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


def bars_deviation_bps(bars: pd.DataFrame) -> float:
    """Return the root mean square of the bars' close over open, per root second, in bp."""
    seconds = (bars["ts_close_ns"] - bars["ts_open_ns"]).to_numpy(dtype=np.float64) / _SECOND_NS
    change = np.log(bars["close"].to_numpy(dtype=np.float64) / bars["open"].to_numpy(dtype=np.float64)) * 1e4
    return float(np.sqrt((change**2).sum() / seconds.sum()))


def _second_half(path: str | Path) -> Measurement:
    rows = len(pd.read_csv(path, usecols=["bid"]))
    return measure_samples(path, rows=slice(int(rows * TEST_HALF), None), name="km:US500 (test half)")


def _checks(
    made: Measurement, thin: Measurement | None, sizes: dict[str, float] | None, bars_deviation: float | None
) -> list[Check]:
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
    if bars_deviation is not None:
        near("deviation 60 s", made.deviation[60], bars_deviation, _MINUTE_TOLERANCE)
    out.append(Check(f"{made.name}: trend, 1 s over 30 s", made.trend, 0.5, *_TREND))
    if made.name in TOXICITY_TARGETS and made.markout:
        for horizon, wanted in zip((1, 5), TOXICITY_TARGETS[made.name], strict=True):
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
