"""The LSTM in torch, and how it learns; torch is needed for this file alone, and only while training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from amm500_catalog.errors import InputError
from amm500_nautilus.forecast.samples import Samples
from amm500_nautilus.forecast.scaling import OUT_CLIP
from amm500_nautilus.forecast.scaling import Scaler
from amm500_nautilus.forecast.series import Floats
from amm500_nautilus.forecast.series import Ints


# windows of the validation data looked at together
CHECKED = 4_096


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """
    The network and how it is trained.

    Parameters
    ----------
    hidden, layers : int, default 32 and 2
        Size of the LSTM.
    epochs, patience : int, default 60 and 8
        Most passes over the training data, and passes without a better validation loss before it stops.
    batch : int, default 256
        Windows in a step.
    learning_rate, weight_decay : float, default 0.001 and 0.01
        AdamW's settings.
    dropout : float, default 0.1
        Between the layers, while training.

    """

    hidden: int = 32
    layers: int = 2
    epochs: int = 60
    patience: int = 8
    batch: int = 256
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class Trained:
    """A network that has learned: its weights by name, the scaler, and how it went."""

    weights: dict[str, Floats]
    scaler: Scaler
    epochs: int
    loss: float
    device: str


Tell = Callable[[int, float, float], None]


def import_torch() -> Any:
    """
    Return the package torch.

    Raises
    ------
    InputError
        If it is not installed.

    """
    try:
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            "training needs the package torch", "train-vol", "the extra ml: pip install 'amm500[ml]'"
        ) from error
    return torch


def build_network(torch: Any, features: int, config: NetworkConfig) -> Any:
    """Return a fresh network: an LSTM, a linear head on its last output, and a linear path from the last row past it."""
    nn = torch.nn
    dropout = config.dropout if config.layers > 1 else 0.0
    modules = {
        "lstm": nn.LSTM(features, config.hidden, config.layers, batch_first=True, dropout=dropout),
        "head": nn.Linear(config.hidden, 1),
        "skip": nn.Linear(features, 1, bias=False),
    }
    network = nn.ModuleDict(modules)
    # at first the forecast is the window's own average: the network learns what differs from it
    for name in ("head", "skip"):
        nn.init.zeros_(network[name].weight)
    nn.init.zeros_(network["head"].bias)
    return network


def run_network(torch: Any, network: Any, windows: Any, lengths: Any) -> Any:
    """Return the network's output for scaled windows whose rows come first: the logarithm of the forecast variance over the anchor's."""
    states, _ = network["lstm"](windows)
    rows = torch.arange(len(windows), device=windows.device)
    last = lengths - 1
    return (network["head"](states[rows, last]) + network["skip"](windows[rows, last])).squeeze(-1)


def train_network(
    samples: Samples,
    fit: Ints,
    validate: Ints,
    config: NetworkConfig,
    *,
    decay: float,
    seed: int,
    tell: Tell | None = None,
) -> Trained:
    """
    Train one network on ``fit``, stop by ``validate``, and return the weights of the best pass.

    The loss is QLIKE, so that it learns what it is judged by. The scaler is fitted on ``fit`` alone. A GPU is used where torch has one.

    Parameters
    ----------
    samples : Samples
        The windows and targets.
    fit, validate : array of int
        Positions in the samples.
    config : NetworkConfig
        The network.
    decay : float
        Of the average that the network corrects.
    seed : int
        Of the first weights and of the order of the batches.
    tell : callable, optional
        Told the pass, the loss in training and that in validation.

    Raises
    ------
    InputError
        If torch is not installed.

    """
    torch = import_torch()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(seed)
    learned = samples.windows(fit)
    scaler = Scaler.fit(learned, samples.length[fit], names=samples.names, decay=decay, steps=samples.steps)
    network = build_network(torch, len(samples.names), config).to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )

    learn, check = (_tensors(torch, samples, scaler, chosen, device) for chosen in (fit, validate))
    order = np.random.default_rng(seed)

    def learn_all() -> float:
        batches = _batches(order.permutation(len(fit)), config.batch)
        return _one_pass(torch, network, optimizer, learn, batches)

    best, epoch, best_loss = _best_pass(torch, network, check, learn_all, config, tell)
    return Trained(best, scaler, epoch, best_loss, device)


def _best_pass(
    torch: Any,
    network: Any,
    check: tuple[Any, Any, Any],
    learn_all: Callable[[], float],
    config: NetworkConfig,
    tell: Tell | None,
) -> tuple[dict[str, Floats], int, float]:
    """Learn until patience is out; return the best weights in validation, the passes made, and the loss of the best."""
    # the network as it is made, which corrects nothing, is the first candidate
    best, best_loss, since, epoch = _copy(network), _mean_loss(torch, network, check), 0, 0
    for epoch in range(1, config.epochs + 1):
        loss = learn_all()
        reached = _mean_loss(torch, network, check)
        if tell is not None:
            tell(epoch, loss, reached)
        if reached < best_loss - 1e-5:
            best, best_loss, since = _copy(network), reached, 0
        else:
            since += 1
            if since >= config.patience:
                break
    return best, epoch, best_loss


def _tensors(torch: Any, samples: Samples, scaler: Scaler, chosen: Ints, device: str) -> tuple[Any, Any, Any]:
    """Return scaled windows, their lengths, and realized variance over the anchor's."""
    windows, lengths = samples.windows(chosen), samples.length[chosen]
    anchors = scaler.anchors(windows, lengths)
    target = samples.realized[samples.index[chosen]] / (anchors * samples.steps)
    return (
        torch.tensor(scaler.windows(windows, lengths, anchors), dtype=torch.float32, device=device),
        torch.tensor(lengths, dtype=torch.int64, device=device),
        torch.tensor(target, dtype=torch.float32, device=device),
    )


def _one_pass(
    torch: Any, network: Any, optimizer: Any, data: tuple[Any, Any, Any], batches: list[Any]
) -> float:
    """Learn every batch once and return the mean loss on the way."""
    network.train()
    total, count = 0.0, 0
    for rows in batches:
        chosen = torch.tensor(rows, device=data[0].device)
        loss = _losses(torch, network, *(part[chosen] for part in data)).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        total, count = total + loss.item() * len(rows), count + len(rows)
    return total / count


def _mean_loss(torch: Any, network: Any, data: tuple[Any, Any, Any]) -> float:
    network.eval()
    with torch.no_grad():
        losses = [
            _losses(torch, network, *(part[low : low + CHECKED] for part in data))
            for low in range(0, len(data[2]), CHECKED)
        ]
        return float(torch.cat(losses).mean().item())


def _batches(order: Any, size: int) -> list[Any]:
    return [order[low : low + size] for low in range(0, len(order), size)]


def _losses(torch: Any, network: Any, windows: Any, lengths: Any, target: Any) -> Any:
    """Return QLIKE without the part that no forecast changes; ``target`` is realized variance over the anchor's."""
    out = run_network(torch, network, windows, lengths).clamp(-OUT_CLIP, OUT_CLIP)
    return out + target * torch.exp(-out)


def _copy(network: Any) -> dict[str, Floats]:
    return {
        name: value.detach().cpu().double().numpy().copy() for name, value in network.state_dict().items()
    }
