"""A model on disk: whole, honest about itself, and refused when it is not."""

from dataclasses import asdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from amm500_nautilus.forecast.card import ModelCard
from amm500_nautilus.forecast.card import ModelError
from amm500_nautilus.forecast.card import markdown
from amm500_nautilus.forecast.model_file import load_model
from amm500_nautilus.forecast.model_file import save_model
from tests.forecast.made import model
from tests.forecast.made import weights


def saved(path: Path, **card: object) -> Path:
    made = model(**card)
    save_model(path, made.card, weights(3, 3), made.forecaster.scaler)
    return path


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    made = model()
    found = load_model(saved(tmp_path / "model.safetensors"))
    assert found.card == made.card
    window = np.random.default_rng(1).normal(0, 1e-3, (60, 3))
    assert found.forecaster.variance(window) == made.forecaster.variance(window)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_file_that_is_not_there_or_no_model_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file"):
        load_model(tmp_path / "absent.safetensors")
    with pytest.raises(ModelError, match="there is no file"):
        load_model(tmp_path)
    (tmp_path / "text").write_text("no model at all", encoding="utf-8")
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_model(tmp_path / "text")
    (tmp_path / "foreign").write_bytes(safetensors.numpy.save({"x": np.zeros(2)}))
    with pytest.raises(ModelError, match="no model card"):
        load_model(tmp_path / "foreign")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path / "model.safetensors").read_bytes()
    for share in (0.0, 0.01, 0.5, 0.999):
        cut = tmp_path / "cut"
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelError):
            load_model(cut)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("nonsense", "not JSON", id="text"),
        pytest.param("[1]", "not of format 1", id="list"),
        pytest.param('{"format": 2}', "not of format 1", id="another format"),
        pytest.param('{"format": 1}', "not whole", id="fields missing"),
    ],
)
def test_a_card_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ModelCard.from_json(text)


@pytest.mark.parametrize(
    "change",
    [{"interval_s": 0}, {"warm_up": "ten"}, {"features": ()}, {"features": ("moon",)}, {"use": "yes"}],
    ids=lambda change: next(iter(change)),
)
def test_a_card_with_an_impossible_value_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        ModelCard.from_json(replace(model().card, **change).to_json())


def test_the_card_reads_back_as_it_was() -> None:
    card = model().card
    assert asdict(ModelCard.from_json(card.to_json())) == asdict(card)


def test_the_card_says_whether_it_is_used_what_it_lacks_and_whether_its_data_were_real() -> None:
    lost = replace(
        model().card,
        use=False,
        why="stays off: har is better (0.50 against 0.52)",
        left_out=("imbalance: bars have no book",),
        simulated=True,
    )
    text = markdown(lost)
    assert "Not in use: it stays off: har is better (0.50 against 0.52)." in text
    assert "SIMULATED data" in text
    assert "Left out: imbalance: bars have no book." in text
    assert "| model | 0.5000 | 2.0 |" in text
    assert "In use: it wins" in markdown(model().card)
    assert "real prices" in markdown(model().card)
