"""The numpy network: equal to the textbook's LSTM, to torch's, and to itself one window at a time."""

from collections.abc import Mapping

import numpy as np
import pytest

from amm500_nautilus.forecast.inference import LstmForecaster
from amm500_nautilus.forecast.samples import make_samples
from amm500_nautilus.forecast.scaling import Scaler
from tests.forecast.made import BARS_ONLY
from tests.forecast.made import series
from tests.forecast.made import weights


def scaler_of(features: int = 3) -> Scaler:
    rng = np.random.default_rng(8)
    names = BARS_ONLY if features == 3 else (*BARS_ONLY, "imbalance", "funding_rate")
    return Scaler(
        names=names, decay=0.93, steps=5, mean=rng.normal(0, 0.1, features), std=rng.uniform(0.5, 2, features)
    )


def textbook(named: Mapping[str, np.ndarray], rows: np.ndarray, layers: int) -> float:
    """Return the output by the equations as they are written down, one gate at a time."""

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-x))

    inputs = list(rows)
    for layer in range(layers):
        hidden = named[f"lstm.weight_hh_l{layer}"].shape[1]
        state, cell = np.zeros(hidden), np.zeros(hidden)
        outputs = []
        for row in inputs:
            gates = (
                named[f"lstm.weight_ih_l{layer}"] @ row
                + named[f"lstm.bias_ih_l{layer}"]
                + named[f"lstm.weight_hh_l{layer}"] @ state
                + named[f"lstm.bias_hh_l{layer}"]
            )
            come, keep, new, show = np.split(gates, 4)
            cell = sigmoid(keep) * cell + sigmoid(come) * np.tanh(new)
            state = sigmoid(show) * np.tanh(cell)
            outputs.append(state)
        inputs = outputs
    head = named["head.weight"] @ inputs[-1] + named["head.bias"] + named["skip.weight"] @ rows[-1]
    return float(head[0])


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 60])
def test_the_network_is_the_textbooks(layers: int, rows: int) -> None:
    named = weights(5, 5, layers=layers)
    forecaster = LstmForecaster(named, scaler_of(5))
    scaled = np.random.default_rng(rows).normal(0, 1, (rows, 5))
    assert forecaster._run(scaled) == pytest.approx(textbook(named, scaled, layers), abs=1e-12)


def test_many_windows_at_once_are_as_one_at_a_time_short_ones_too() -> None:
    made = series(np.random.default_rng(1).normal(0, 1e-3, 600), per_session=100)
    samples = make_samples(made, BARS_ONLY, sequence=60, warm_up=7, steps=5)
    forecaster = LstmForecaster(weights(2, 3), scaler_of())
    chosen = np.arange(len(samples))
    many = forecaster.variances(samples, chosen)
    assert set(samples.length) >= {7, 59, 60}
    for place in chosen[::23]:
        length = samples.length[place]
        window = samples.windows(np.array([place]))[0][:length]
        assert forecaster.variance(window) == pytest.approx(many[place], rel=1e-12)


def test_a_network_that_has_learned_nothing_says_what_ewma_says_of_its_window() -> None:
    named = {name: np.zeros_like(value) for name, value in weights(1, 3).items()}
    forecaster = LstmForecaster(named, scaler_of())
    returns = np.random.default_rng(2).normal(0, 1e-3, 60)
    window = np.column_stack((returns, returns, returns))
    ages = np.arange(59, -1, -1)
    mean = (0.93**ages * returns**2).sum() / (0.93**ages).sum()
    assert forecaster.variance(window) == pytest.approx(5 * mean)


def test_a_market_twice_as_volatile_is_read_the_same() -> None:
    forecaster = LstmForecaster(
        {**weights(3, 3), "skip.weight": np.zeros((1, 3))},
        Scaler(names=BARS_ONLY, decay=0.93, steps=5, mean=np.zeros(3), std=np.array([1.0, 1.0, np.inf])),
    )
    returns = np.random.default_rng(3).normal(0, 1e-3, 60)
    window = np.column_stack((np.cumsum(returns), returns, np.zeros(60)))
    assert forecaster.variance(2 * window) == pytest.approx(4 * forecaster.variance(window), rel=1e-9)


def test_a_wild_feature_is_clipped_and_the_forecast_stays_near_its_window() -> None:
    forecaster = LstmForecaster({**weights(3, 3), "skip.weight": np.full((1, 3), 100.0)}, scaler_of())
    window = np.tile([0.9, 1e-3, 40.0], (60, 1))
    assert forecaster.variance(window) == pytest.approx(5e-6 * np.exp(1.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"head.weight": np.zeros((1, 5))}, "head.weight has the shape", id="shape"),
        pytest.param({"skip.weight": np.full((1, 3), np.nan)}, "no number", id="nan"),
        pytest.param({"lstm.weight_ih_l0": np.zeros((128, 4))}, "has the shape", id="features"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LstmForecaster({**weights(1, 3), **change}, scaler_of())


def test_missing_weights_are_named() -> None:
    short = weights(1, 3)
    del short["lstm.bias_hh_l1"]
    with pytest.raises(ValueError, match=r"lstm\.bias_hh_l1"):
        LstmForecaster(short, scaler_of())


def test_a_window_without_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        LstmForecaster(weights(1, 3), scaler_of()).variance(np.zeros((0, 3)))
