"""A model in a backtest: used on the clock that training reads, reported, and harmless when it cannot be used."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amm500_catalog.store import CatalogStore
from amm500_nautilus.forecast.features import FeatureClock
from amm500_nautilus.forecast.model_file import save_model
from amm500_nautilus.runtime import backtest
from amm500_nautilus.runtime import cli
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.forecast.data import read_funding
from amm500_nautilus.runtime.forecast.data import read_marks
from amm500_nautilus.runtime.forecast.train import split
from amm500_nautilus.runtime.forecast.use import attach_forecast
from amm500_nautilus.runtime.forecast.use import forecast_words
from amm500_nautilus.runtime.forecast.use import open_forecast
from amm500_nautilus.runtime.progress import Progress
from tests.end_to_end.market import CONFIG
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import write_bars
from tests.forecast.made import BARS_ONLY
from tests.forecast.made import DAY0_NS
from tests.forecast.made import FakeMarket
from tests.forecast.made import model
from tests.forecast.made import weights


NAMES = (*BARS_ONLY, "imbalance")


class RecordingClock(FeatureClock):
    """A feature clock that keeps every mark it was given."""

    def __init__(self, length: int) -> None:
        super().__init__(NAMES, length)
        self.given: list[tuple[float, float]] = []

    def push(self, price: float, *, imbalance: float = 0.0, funding: float = 0.0) -> float | None:
        self.given.append((price, imbalance))
        return super().push(price, imbalance=imbalance, funding=funding)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("forecast")
    write_bars(made / "bars.csv", bar_lines(count=5))
    trained = model(NAMES, warm_up=10)
    save_model(made / "model.safetensors", trained.card, weights(3, 4), trained.forecaster.scaler)
    return made


def config_of(folder: Path, *more: str) -> RunConfig:
    values = [
        "data.source=file",
        f"data.path={folder / 'bars.csv'}",
        f"data.catalog={folder / 'store'}",
        "report.tearsheet=false",
        *more,
    ]
    return load_config(CONFIG, values)


def summary_of(folder: Path, name: str, *more: str) -> dict[str, Any]:
    return backtest.run(config_of(folder, *more), out=folder / name).summary


@pytest.fixture(scope="module")
def without(folder: Path) -> dict[str, Any]:
    return summary_of(folder, "without")


def test_a_run_without_a_model_says_nothing_of_forecasts(without: dict[str, Any]) -> None:
    assert "forecast" not in without
    assert not any("volatility forecast" in text for text in without["data"]["defaults"])


def test_a_model_that_is_not_there_changes_nothing_but_is_reported(
    folder: Path, without: dict[str, Any]
) -> None:
    found = summary_of(folder, "absent", f"strategy.forecast.model={folder / 'absent.safetensors'}")
    assert found["result_hash"] == without["result_hash"]
    assert found["forecast"]["share_by_reason"] == {"no_model": 1.0}
    said = [text for text in found["data"]["defaults"] if "volatility forecast" in text]
    assert len(said) == 1
    assert said[0].startswith("volatility forecast: not used (no_model): there is no file")


def test_a_model_is_used_on_the_marks_that_training_reads_and_reported(
    folder: Path, without: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = RecordingClock(60)

    def attach(*args: Any) -> Any:
        forecast = attach_forecast(*args)
        assert forecast is not None
        forecast._clock = clock
        return forecast

    monkeypatch.setattr(backtest, "attach_forecast", attach)
    chosen = (f"strategy.forecast.model={folder / 'model.safetensors'}",)
    found = summary_of(folder, "with", *chosen)
    assert found["result_hash"] != without["result_hash"]
    assert 0.5 < found["forecast"]["share_used"] < 0.7
    assert found["forecast"]["model"]["scores"][1]["name"] == "ewma"
    said = [text for text in found["data"]["defaults"] if text.startswith("volatility forecast: used in")]
    assert len(said) == 1
    assert "QLIKE out of sample -0.1000 against ewma (p 0.001)" in said[0]
    # the same book, read as training reads it
    marks, facts = read_marks(config_of(folder, *chosen, "training.source=book"), Progress(quiet=True))
    assert facts["simulated"] is True
    given = np.array(clock.given)
    assert len(given) >= 24
    assert marks.imbalance is not None
    # but for the first mark, which a run reads with its first cycle, a second after the open
    last = len(given)
    assert marks.price[1:last] == pytest.approx(given[1:, 0] * 0.01)
    assert marks.imbalance[1:last] == pytest.approx(given[1:, 1])
    assert np.abs(marks.imbalance).max() > 0.01


@pytest.mark.parametrize(
    ("mode", "reason"), [("backtest", ""), ("local", ""), ("paper", "simulated"), ("live", "simulated")]
)
def test_a_model_that_won_on_simulated_prices_alone_is_used_on_no_real_market(
    folder: Path, tmp_path: Path, mode: str, reason: str
) -> None:
    made = model(NAMES, warm_up=10, simulated=True)
    save_model(tmp_path / "model.safetensors", made.card, weights(3, 4), made.forecaster.scaler)
    config = config_of(folder, f"strategy.forecast.model={tmp_path / 'model.safetensors'}")
    said: list[str] = []
    forecast = open_forecast(config.model_copy(update={"mode": mode}), "km:US500", said.append)
    assert forecast is not None
    assert forecast(DAY0_NS, FakeMarket()) == 1.0
    assert (forecast.reason == "simulated") == bool(reason)
    assert any("SIMULATED prices" in text for text in said) == bool(reason)
    words = forecast_words(forecast)
    assert words[0].startswith("volatility forecast: not used")


def run_file(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("section", "said"),
    [
        pytest.param(
            "training: {warm_up: 61}", "training.warm_up 61 is more than training.sequence 60", id="warm-up"
        ),
        pytest.param("training: {layers: 2}", "unknown key 'training.layers'", id="unknown key"),
        pytest.param("strategy: {forecast: {max_age: soon}}", "strategy.forecast.max_age", id="duration"),
        pytest.param(
            "strategy: {forecast: {path: x}}", "unknown key 'strategy.forecast.path'", id="unknown key of use"
        ),
    ],
)
def test_a_wrong_section_ends_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], section: str, said: str
) -> None:
    assert cli.main(["train-vol", str(run_file(tmp_path, f"name: x\n{section}\n")), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_without_torch_the_command_names_the_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if importlib.util.find_spec("torch") is not None:
        pytest.skip("torch is installed here")
    assert cli.main(["train-vol", str(run_file(tmp_path, "name: x\n")), "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert "training needs the package torch" in error
    assert "the extra ml" in error
    assert "\n" not in error


def test_funding_files_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(
        "date,funding_rate\n2026-01-05T00:00:00Z,1e-5\n2026-01-05T01:00:00.016Z,2e-5\n", encoding="utf-8"
    )
    times, rates = read_funding(str(path))
    assert times.tolist() == [1_767_571_200_000_000_000, 1_767_574_800_016_000_000]
    assert rates.tolist() == [1e-5, 2e-5]
    for text, said in (
        ("date,rate\n2026-01-05T00:00:00Z,1\n", "no column is named funding_rate"),
        ("date,funding_rate\nyesterday,1\n", "a date cannot be read"),
        ("date,funding_rate\n2026-01-05T01:00:00Z,1\n2026-01-05T00:00:00Z,1\n", "out of order"),
        ("date,funding_rate\n2026-01-05T01:00:00Z,much\n", "no number"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=said):
            read_funding(str(path))


@pytest.mark.real_data
def test_the_recorded_index_bars_become_marks_and_samples(shared_dir: Path, tmp_path: Path) -> None:
    config = load_config(
        CONFIG.parent / "vol_oex_5m.yaml",
        [
            f"data.path={shared_dir / 'data' / 'oex_5m' / 'oex_5m.parquet'}",
            f"data.catalog={tmp_path / 'store'}",
        ],
    )
    marks, facts = read_marks(config, Progress(quiet=True))
    assert facts["simulated"] is False
    # 1,521 bars, 3 missing ones filled, and an open for each of 20 sessions
    assert len(marks) == 1_521 + 3 + 20
    assert any("3 missing bars repeat the last close" in note for note in facts["notes"])
    assert CatalogStore(str(tmp_path / "store")).manifests()
    samples, folds = split(config, marks)
    assert samples.steps == 12
    assert samples.names == BARS_ONLY
    assert len(folds) == 4
    night = np.diff(marks.ts_ns)[np.diff(marks.session) > 0]
    assert night.min() > 3_600 * 1_000_000_000
