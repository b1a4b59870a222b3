"""A model on disk: one safetensors file with the weights, the scaler and the card."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amm500_nautilus.forecast.card import ModelCard
from amm500_nautilus.forecast.card import ModelError
from amm500_nautilus.forecast.inference import LstmForecaster
from amm500_nautilus.forecast.scaling import Scaler
from amm500_nautilus.forecast.series import Floats


CARD_KEY = "amm500.card"
DECAY_KEY = "amm500.decay"


@dataclass(frozen=True, slots=True)
class VolatilityModel:
    """A model that is ready to forecast, and its card."""

    card: ModelCard
    forecaster: LstmForecaster


def _safetensors() -> Any:
    try:
        import safetensors.numpy  # noqa: PLC0415
    except ImportError as error:
        raise ModelError("the package safetensors is not installed; it is part of the extra ml") from error
    return safetensors


def save_model(path: Path, card: ModelCard, weights: Mapping[str, Floats], scaler: Scaler) -> None:
    """
    Write a model, whole or not at all.

    Raises
    ------
    ModelError
        If the package safetensors is not installed.

    """
    package = _safetensors()
    tensors = {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in weights.items()}
    tensors["scaler.mean"] = np.ascontiguousarray(scaler.mean, dtype=np.float64)
    tensors["scaler.std"] = np.ascontiguousarray(scaler.std, dtype=np.float64)
    metadata = {CARD_KEY: card.to_json(), DECAY_KEY: json.dumps(scaler.decay)}
    data = package.numpy.save(tensors, metadata=metadata)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)


def load_model(path: Path) -> VolatilityModel:
    """
    Read a model.

    Raises
    ------
    ModelError
        If there is no such file, or it is not a whole model of ours; the message says which.

    """
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    package = _safetensors()
    try:
        with package.safe_open(str(path), framework="np") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, package.SafetensorError) as error:
        raise ModelError(f"{path.name} is not a safetensors file ({error})") from error
    if CARD_KEY not in metadata:
        raise ModelError(f"{path.name} has no model card; it was not written by amm500 train-vol")
    card = ModelCard.from_json(metadata[CARD_KEY])
    try:
        scaler = Scaler(
            names=card.features,
            decay=float(json.loads(metadata[DECAY_KEY])),
            steps=card.steps,
            mean=tensors.pop("scaler.mean"),
            std=tensors.pop("scaler.std"),
        )
        forecaster = LstmForecaster(tensors, scaler)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path.name} is not whole: {error}") from error
    return VolatilityModel(card, forecaster)
