"""The spread pipeline: bands, named factors, limits."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.quoting.config import SpreadBand
from amm500_nautilus.quoting.config import SpreadConfig
from amm500_nautilus.quoting.spread import SpreadInputs
from amm500_nautilus.quoting.spread import SpreadModel
from amm500_nautilus.quoting.spread import band_index


CONFIG = SpreadConfig()
BANDS = CONFIG.bands
MODEL = SpreadModel(CONFIG)
CALM = SpreadInputs(band=BANDS[2])


@pytest.mark.parametrize(
    ("volatility", "low", "high"),
    [
        (0.0, 1, 5),
        (0.0499, 1, 5),
        (0.05, 2, 10),
        (0.0999, 2, 10),
        (0.10, 5, 25),
        (0.15, 10, 50),
        (0.9, 10, 50),
    ],
)
def test_bands_by_volatility(volatility: float, low: float, high: float) -> None:
    band = BANDS[band_index(BANDS, volatility, None, 0.05)]
    assert (band.min_bps, band.max_bps) == (low, high)


def test_a_band_is_left_downwards_only_past_its_hysteresis() -> None:
    # the edge at 0.15 holds the top band down to 0.15 * 0.95 = 0.1425
    assert band_index(BANDS, 0.149, 3, 0.05) == 3
    assert band_index(BANDS, 0.142, 3, 0.05) == 2
    assert band_index(BANDS, 0.151, 2, 0.05) == 3


@pytest.mark.parametrize(
    ("change", "low", "high"),
    [
        pytest.param({}, 5.0, 25.0, id="base"),
        pytest.param({"forecast": 1.1}, 5.5, 27.5, id="forecast"),
        pytest.param({"forecast": 3.0}, 6.0, 30.0, id="forecast clamped to 1.2"),
        pytest.param({"forecast": 0.1}, 4.0, 20.0, id="forecast clamped to 0.8"),
        pytest.param({"imbalance": -0.31}, 7.5, 32.5, id="imbalance 1.5 and 1.3"),
        pytest.param({"imbalance": 0.3}, 5.0, 25.0, id="imbalance at its threshold"),
        pytest.param({"depth": 75_000.0}, 4.0, 22.5, id="deep book: -20 %, -10 %"),
        pytest.param({"depth": 37_500.0}, 4.5, 23.75, id="half as deep: half of it"),
        pytest.param({"fading": 1.4}, 7.0, 35.0, id="fading"),
        pytest.param({"losing_min": 2.5, "losing_max": 2.0}, 12.5, 50.0, id="losing fills"),
        pytest.param({"risk": 1.8}, 9.0, 45.0, id="risk level"),
        # 1 + (0.9 - 0.8) * 5 = 1.5
        pytest.param({"margin_ratio": 0.9}, 7.5, 37.5, id="margin"),
        pytest.param({"session": 2.0}, 10.0, 50.0, id="session"),
        pytest.param({"funding": 1.1}, 5.5, 27.5, id="funding"),
        pytest.param({"mode_floor_bps": 8.0}, 8.0, 25.0, id="mode floor"),
        pytest.param({"mode_floor_bps": 20.0}, 20.0, 40.0, id="the last level stays twice as far"),
        # 5 * 3 * 1.8 = 27 is over 50 / 2
        pytest.param({"risk": 3.0, "session": 1.8}, 25.0, 50.0, id="cap"),
    ],
)
def test_each_factor_alone(change: dict[str, float], low: float, high: float) -> None:
    inputs = replace(CALM, **change)
    min_bps, max_bps, factors = MODEL.half_spreads(inputs)
    assert min_bps == pytest.approx(low)
    assert max_bps == pytest.approx(high)
    assert factors["min_bps"] == min_bps
    assert factors["max_bps"] == max_bps


def test_every_factor_is_named() -> None:
    _, _, factors = MODEL.half_spreads(CALM)
    named = {
        "forecast",
        "imbalance",
        "depth",
        "fading",
        "losing_fills",
        "risk_level",
        "margin",
        "session",
        "funding",
    }
    assert named <= factors.keys()


def test_a_deep_book_tightens() -> None:
    shallow, _, _ = MODEL.half_spreads(replace(CALM, depth=10_000.0))
    deep, _, _ = MODEL.half_spreads(replace(CALM, depth=300_000.0))
    assert deep < shallow


def test_losing_fills_widen() -> None:
    winning, _, _ = MODEL.half_spreads(CALM)
    losing, _, _ = MODEL.half_spreads(replace(CALM, losing_min=2.5, losing_max=2.0))
    assert losing > winning


def test_more_volatility_widens() -> None:
    calm = MODEL.half_spreads(SpreadInputs(band=BANDS[band_index(BANDS, 0.04, None, 0.05)]))
    wild = MODEL.half_spreads(SpreadInputs(band=BANDS[band_index(BANDS, 0.20, None, 0.05)]))
    assert wild[0] > calm[0]
    assert wild[1] > calm[1]


@pytest.mark.parametrize(("inside", "expected"), [(False, 3.0), (True, 0.5)])
def test_quotes_stay_outside_the_fee_unless_told(inside: bool, expected: float) -> None:
    config = SpreadConfig(
        bands=(SpreadBand(below=inf, min_bps=0.5, max_bps=10.0),),
        floor_bps=0.1,
        maker_fee_bps=3.0,
        inside_fees=inside,
    )
    low, _, _ = SpreadModel(config).half_spreads(SpreadInputs(band=config.bands[0]))
    assert low == pytest.approx(expected)


inputs_strategy = st.builds(
    SpreadInputs,
    band=st.sampled_from(BANDS),
    forecast=st.floats(0.1, 3),
    imbalance=st.floats(-1, 1),
    depth=st.floats(0, 1e7),
    fading=st.floats(1, 3),
    losing_min=st.floats(1, 2.5),
    losing_max=st.floats(1, 2),
    risk=st.sampled_from([1.0, 1.3, 1.8, 3.0]),
    margin_ratio=st.floats(0, 2),
    session=st.floats(1, 3),
    funding=st.floats(1, 1.3),
    mode_floor_bps=st.floats(0, 30),
)


@given(inputs=inputs_strategy)
def test_limits_hold_and_the_factors_multiply_to_the_result(inputs: SpreadInputs) -> None:
    low, high, f = MODEL.half_spreads(inputs)
    assert CONFIG.floor_bps <= low <= CONFIG.cap_bps / CONFIG.min_ratio
    assert low * CONFIG.min_ratio <= high * (1 + 1e-12)
    assert high <= CONFIG.cap_bps
    both = f["forecast"] * f["fading"] * f["risk_level"] * f["margin"] * f["session"] * f["funding"]
    raw = f["base_min_bps"] * both * f["imbalance"] * f["depth"] * f["losing_fills"]
    assert low == pytest.approx(min(max(raw, f["floor_bps"]), 25.0))


@given(inputs=inputs_strategy, low=st.floats(0, 1), high=st.floats(0, 1))
def test_the_spread_never_narrows_as_volatility_rises(inputs: SpreadInputs, low: float, high: float) -> None:
    low, high = sorted((low, high))
    calm = MODEL.half_spreads(replace(inputs, band=BANDS[band_index(BANDS, low, None, 0.05)]))
    wild = MODEL.half_spreads(replace(inputs, band=BANDS[band_index(BANDS, high, None, 0.05)]))
    assert wild[0] >= calm[0]
    assert wild[1] >= calm[1]


@given(inputs=inputs_strategy, more=st.floats(0, 1e6))
def test_the_spread_never_widens_with_depth(inputs: SpreadInputs, more: float) -> None:
    deeper = MODEL.half_spreads(replace(inputs, depth=inputs.depth + more))
    here = MODEL.half_spreads(inputs)
    assert deeper[0] <= here[0]
    assert deeper[1] <= here[1]


def test_an_unknown_risk_level_is_named() -> None:
    with pytest.raises(ValueError, match="'SEVERE' has no row"):
        MODEL.risk_multiple("SEVERE")
