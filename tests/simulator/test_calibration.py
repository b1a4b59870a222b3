"""The simulator against the recordings, by the ruler."""

from dataclasses import replace

import numpy as np
import pytest

from amm500_catalog.calibrate import measure_catalog
from amm500_catalog.calibrate import measure_recording
from amm500_catalog.calibrate_report import calibration_report
from amm500_catalog.calibrate_report import measure_dataset
from amm500_catalog.calibrate_report import walk_bars
from amm500_catalog.calibrate_samples import half_of
from amm500_catalog.calibrate_samples import read_recording
from amm500_catalog.calibrate_samples import read_samples
from amm500_catalog.simulator import TOXICITY_TARGETS
from amm500_catalog.simulator import SimulatorConfig
from amm500_catalog.simulator import simulate
from amm500_catalog.simulator.fit import fit_depth
from amm500_catalog.simulator.fit import fit_level_weights
from amm500_catalog.simulator.fit import fit_spread_shares
from amm500_catalog.simulator.fit import fit_trade_sizes
from amm500_catalog.spec import DatasetInfo
from amm500_catalog.spec import MarketSpec


RECORDING = "data/hl_l2_20250904"
SAMPLES = "data/km_us500_2026-01/bbo.csv"
FIRST_HALF = slice(0, 1319)


@pytest.mark.real_data
def test_every_bar_holds_on_the_half_that_was_not_fitted(shared_dir, levels):
    report = calibration_report(
        recordings=shared_dir / RECORDING,
        samples=shared_dir / SAMPLES,
        simulated=list(levels.values()),
    )
    assert len(report.checks) == 3 * 13
    assert [c.name for c in report.checks if not c.holds] == []


@pytest.mark.real_data
def test_the_defaults_are_the_fit_to_the_first_half_and_the_recordings(shared_dir):
    config = SimulatorConfig()
    half = read_samples(shared_dir / SAMPLES, rows=FIRST_HALF)
    assert config.spread_shares == pytest.approx(fit_spread_shares(half), abs=0.001)
    assert (config.bid_depth, config.ask_depth) == pytest.approx(fit_depth(half), rel=0.005)
    folder = shared_dir / RECORDING
    weights = fit_level_weights(folder, ("BTC", "ETH", "SOL"), config.level_deviations)
    assert np.array(config.level_weights) / sum(config.level_weights) == pytest.approx(weights, abs=0.002)
    sizes = fit_trade_sizes([half_of(read_recording(folder, c), first=True) for c in ("ETH", "SOL")])
    assert [q for q, _ in config.trade_size_quantiles] == [q for q, _ in sizes]
    assert [v for _, v in config.trade_size_quantiles] == pytest.approx([v for _, v in sizes], rel=0.02)


@pytest.mark.real_data
def test_the_report_prints_the_recorded_and_the_simulated_markets_side_by_side(shared_dir, levels):
    text = calibration_report(recordings=shared_dir / RECORDING, simulated=[levels["middle"]]).text()
    header, *rows = text.splitlines()
    assert header.split() == ["figure", "BTC", "ETH", "SOL", "middle"]
    markout = next(r for r in rows if r.startswith("maker markout 1 s (bp)"))
    assert markout.split()[5:8] == ["-0.1537", "-0.4463", "-0.0650"]


@pytest.mark.parametrize(
    ("wrong", "bar"),
    [
        ({"momentum": 0.33}, "past 5 s and next 5 s (correlation)"),
        ({"notional_per_day": 3.0e6}, "notional a day"),
        ({"bars_deviation": 0.25}, "deviation 60 s"),
        ({"toxicity": "low"}, "markout 5 s / deviation"),
        ({"trade_ratio": {"p50": 0.0028, "p90": 0.05, "p99": 0.65}}, "trade size p90 / best level"),
    ],
)
@pytest.mark.real_data
def test_each_bar_can_be_missed(shared_dir, levels, wrong, bar):
    made = replace(levels["middle"], **wrong)
    report = calibration_report(recordings=shared_dir / RECORDING, simulated=[made])
    assert f"middle: {bar}" in [c.name for c in report.checks if not c.holds]
    assert "MISSED" in report.text()


def test_a_dataset_is_held_to_what_was_asked_of_it_whatever_its_name(tmp_path):
    bars = walk_bars(hours=2, seed=3)
    result = simulate(bars, (), MarketSpec(), SimulatorConfig(toxicity="high"), 2, str(tmp_path))
    info = DatasetInfo(
        name="km.US500-file-abc",
        catalog=str(tmp_path),
        instrument_id=MarketSpec().instrument_id,
        source="file",
        simulated=True,
        start_ns=result.ranges[0][0],
        end_ns=result.ranges[-1][1],
        sessions=result.ranges,
        streams=tuple(result.rows),
        params=result.params,
    )
    checks = {c.name: c for c in calibration_report(simulated=[measure_dataset(info, str(tmp_path))]).checks}
    assert checks["km.US500-file-abc: markout 1 s / deviation"].wanted == TOXICITY_TARGETS["high"][0]
    assert checks["km.US500-file-abc: notional a day"].wanted == pytest.approx(3.4e6)
    assert checks["km.US500-file-abc: deviation 60 s"].wanted == result.params["bars"]["deviation_bps"]
    # a dataset of another making says nothing of what was asked
    silent = measure_dataset(replace(info, params={}), str(tmp_path))
    assert (silent.toxicity, silent.bars_deviation, silent.daily_volume) == (None, None, None)


@pytest.mark.parametrize("level", ["low", "middle", "high"])
def test_makers_at_the_touch_suffer_the_markouts_of_the_level(levels, level):
    one, five = TOXICITY_TARGETS[level]
    assert levels[level].scaled_markout(1) == pytest.approx(one, abs=0.12)
    assert levels[level].scaled_markout(5) == pytest.approx(five, abs=0.12)


def test_a_more_toxic_market_costs_makers_more(levels):
    for horizon in (1, 5):
        low, middle, high = (levels[k].markout[horizon] for k in ("low", "middle", "high"))
        assert low > middle > high


@pytest.mark.real_data
def test_the_best_levels_foretell_the_next_second_as_the_recorded_ones_do(shared_dir, levels):
    recorded = [measure_recording(shared_dir / RECORDING, c).imbalance[1] for c in ("BTC", "ETH", "SOL")]
    assert recorded == pytest.approx([0.38, 0.41, 0.415], abs=0.01)
    for made in levels.values():
        assert made.imbalance[1] == pytest.approx(float(np.mean(recorded)), abs=0.08)


def test_prices_trend_over_seconds_and_not_over_minutes(levels):
    deviation = levels["middle"].deviation
    assert deviation[1] < deviation[5] < deviation[10] < deviation[30]
    assert 0.4 < levels["middle"].trend < 0.7
    assert levels["middle"].momentum <= 0.32
    assert deviation[60] == pytest.approx(deviation[30], rel=0.1)


@pytest.mark.parametrize(
    ("interval_s", "hours"), [(60, 4), (300, 12), (900, 24), pytest.param(3600, 72, marks=pytest.mark.soak)]
)
@pytest.mark.parametrize("deviation_bps", [0.2, 0.5])
def test_a_minute_s_change_is_consistent_with_bars_of_any_length(tmp_path, interval_s, hours, deviation_bps):
    bars = walk_bars(hours=hours, seed=4, interval_s=interval_s, deviation_bps=deviation_bps)
    simulate(bars, (), MarketSpec(), SimulatorConfig(depth_interval_s=1.0), 2, str(tmp_path))
    found = measure_catalog(str(tmp_path), MarketSpec().instrument_id)
    # the walk that made the bars is known, so the figure is held to it rather than to a day's few closes
    assert found.deviation[60] == pytest.approx(deviation_bps, rel=0.10)
    assert 0.4 < found.trend < 0.7
    assert 0.0 <= found.momentum <= 0.32


@pytest.mark.parametrize("deviation_bps", [0.05, 0.1, 1.0])
def test_the_markouts_hold_in_quiet_and_in_wild_markets(tmp_path, deviation_bps):
    bars = walk_bars(hours=6, seed=5, deviation_bps=deviation_bps)
    simulate(bars, (), MarketSpec(), SimulatorConfig(), 2, str(tmp_path))
    found = measure_catalog(str(tmp_path), MarketSpec().instrument_id)
    assert found.scaled_markout(1) == pytest.approx(-0.38, abs=0.12)
    assert found.scaled_markout(5) == pytest.approx(-0.57, abs=0.12)
