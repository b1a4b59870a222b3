"""Training with torch; run by `make test-ml`, skipped where torch is not installed."""

from pathlib import Path

import numpy as np
import pytest

from amm500_nautilus.forecast.inference import LstmForecaster
from amm500_nautilus.forecast.network import NetworkConfig
from amm500_nautilus.forecast.network import build_network
from amm500_nautilus.forecast.network import run_network
from amm500_nautilus.forecast.network import train_network
from amm500_nautilus.forecast.samples import Samples
from amm500_nautilus.forecast.samples import make_samples
from amm500_nautilus.forecast.samples import walk_forward
from amm500_nautilus.forecast.series import MarkSeries
from amm500_nautilus.forecast.training import WalkForward
from amm500_nautilus.forecast.training import lstm_learner
from amm500_nautilus.forecast.training import run_walk_forward
from amm500_nautilus.runtime import cli
from tests.forecast.made import BARS_ONLY
from tests.forecast.made import series


torch = pytest.importorskip("torch", reason="torch is not installed; make test-ml installs it")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def samples_of(made: MarkSeries) -> Samples:
    return make_samples(made, BARS_ONLY, sequence=60, warm_up=60, steps=5)


def cycle(seed: int, count: int = 3_000) -> MarkSeries:
    """Return a market whose volatility rises and falls every forty minutes, by a factor of e each way."""
    level = np.exp(np.sin(2 * np.pi * np.arange(count) / 40))
    return series(np.random.default_rng(seed).normal(0, 3e-4, count) * level)


def noise(seed: int, count: int = 3_000) -> MarkSeries:
    """Return a market whose volatility is always the same."""
    return series(np.random.default_rng(seed).normal(0, 3e-4, count))


def walked(made: MarkSeries, *, seeds: tuple[int, ...] = (1,)) -> WalkForward:
    samples = samples_of(made)
    folds = walk_forward(samples, folds=1, embargo=5)
    config = NetworkConfig(epochs=40, patience=10, learning_rate=0.01, batch=128)
    return run_walk_forward(samples, folds, lstm_learner(config, seeds))


def test_numpy_gives_what_torch_gives() -> None:
    samples = samples_of(cycle(1, 700))
    chosen = np.arange(len(samples))
    trained = train_network(samples, chosen[:400], chosen[405:], NetworkConfig(epochs=2), decay=0.94, seed=1)
    forecaster = LstmForecaster(trained.weights, trained.scaler)
    network = build_network(torch, 3, NetworkConfig()).double()
    network.load_state_dict({name: torch.tensor(value) for name, value in trained.weights.items()})
    network.eval()
    windows, lengths = samples.windows(chosen), samples.length[chosen]
    anchors = forecaster.scaler.anchors(windows, lengths)
    scaled = torch.tensor(forecaster.scaler.windows(windows, lengths, anchors))
    with torch.no_grad():
        out = run_network(torch, network, scaled, torch.tensor(lengths)).numpy()
        single = run_network(torch, network.float(), scaled.float(), torch.tensor(lengths)).numpy()
    wanted = forecaster.scaler.variance(out, anchors)
    assert np.abs(out).max() > 0.01
    assert forecaster.variances(samples, chosen) == pytest.approx(wanted, rel=1e-9)
    # float32, as it was trained
    assert forecaster.variances(samples, chosen) == pytest.approx(
        forecaster.scaler.variance(single.astype(np.float64), anchors), rel=1e-5
    )
    first = forecaster.variance(windows[0])
    assert first == pytest.approx(wanted[0], rel=1e-6)


def test_a_model_wins_where_volatility_can_be_foreseen() -> None:
    done = walked(cycle(2))
    assert done.verdict.use, done.verdict.why
    for score in done.verdict.scores[1:]:
        assert score.versus is not None
        assert score.qlike - done.verdict.scores[0].qlike > 0.02, score


def test_on_noise_it_stays_off() -> None:
    done = walked(noise(3))
    assert not done.verdict.use
    assert done.verdict.why.startswith("stays off: ")


def test_the_same_seed_learns_the_same_and_another_does_not() -> None:
    samples = samples_of(cycle(4, 700))
    chosen = np.arange(len(samples))

    def learned(seed: int) -> dict[str, np.ndarray]:
        config = NetworkConfig(epochs=2)
        return train_network(samples, chosen[:300], chosen[305:], config, decay=0.94, seed=seed).weights

    one, again, other = learned(1), learned(1), learned(2)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["lstm.weight_hh_l0"], other["lstm.weight_hh_l0"])


def test_the_future_does_not_reach_the_weights() -> None:
    made = cycle(5, 900)
    price = made.price.copy()
    price[700:] *= np.exp(np.random.default_rng(1).normal(0, 0.02, 201))
    changed = MarkSeries(interval_s=60, ts_ns=made.ts_ns, price=price, session=made.session)
    found = []
    for each in (made, changed):
        samples = samples_of(each)
        known = np.flatnonzero(samples.index + 5 < 700)
        trained = train_network(
            samples, known[:400], known[405:], NetworkConfig(epochs=2), decay=0.94, seed=1
        )
        found.append(trained.weights)
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


def test_it_stops_early_and_keeps_the_best_pass() -> None:
    samples = samples_of(noise(6, 900))
    chosen = np.arange(len(samples))
    heard: list[tuple[int, float]] = []
    trained = train_network(
        samples,
        chosen[:500],
        chosen[505:],
        NetworkConfig(epochs=200, patience=3, learning_rate=0.01),
        decay=0.94,
        seed=1,
        tell=lambda epoch, _loss, reached: heard.append((epoch, reached)),
    )
    assert trained.epochs == len(heard) < 200
    assert trained.loss <= min(reached for _, reached in heard) + 1e-4


def test_the_command_trains_saves_and_says_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(7)
    closes = 690 * np.exp(np.cumsum(rng.normal(0, 3e-4, 700)))
    lines = ["time,open,high,low,close,volume"]
    before = 690.0
    for minute, close in enumerate(closes):
        stamp = f"2026-01-{5 + minute // 1440:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}:00Z"
        high, low = max(before, close) + 0.1, min(before, close) - 0.1
        lines.append(f"{stamp},{before:.4f},{high:.4f},{low:.4f},{close:.4f},1")
        before = close
    bars = tmp_path / "bars.csv"
    bars.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = tmp_path / "run.yaml"
    run.write_text(
        f"name: made\ndata: {{source: file, path: '{bars}', catalog: '{tmp_path / 'store'}', sessions: always}}\n"
        "training: {folds: 2, seeds: 1, network: {epochs: 2}}\n",
        encoding="utf-8",
    )
    out = tmp_path / "out"
    assert cli.main(["train-vol", str(run), "--out", str(out), "--quiet"]) == 0
    assert {path.name for path in out.iterdir()} >= {
        "model.safetensors",
        "model.md",
        "scores.json",
        "config.yaml",
    }
    said = capsys.readouterr().out
    assert "| garch |" in said
    assert "Left out: imbalance: bars have no book." in said
