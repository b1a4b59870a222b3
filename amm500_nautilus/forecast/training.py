"""The walk-forward: learn a block, predict the next, judge every block together against the baselines."""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Protocol

import numpy as np

from amm500_nautilus.forecast.inference import LstmForecaster
from amm500_nautilus.forecast.network import NetworkConfig
from amm500_nautilus.forecast.network import Trained
from amm500_nautilus.forecast.network import train_network
from amm500_nautilus.forecast.samples import Fold
from amm500_nautilus.forecast.samples import Samples
from amm500_nautilus.forecast.series import Floats
from amm500_nautilus.forecast.series import Ints
from amm500_nautilus.research.baselines import BaselineMaker
from amm500_nautilus.research.baselines import Ewma
from amm500_nautilus.research.baselines import Problem
from amm500_nautilus.research.baselines import all_baselines
from amm500_nautilus.research.scores import Verdict
from amm500_nautilus.research.scores import judge
from amm500_nautilus.research.scores import qlike


class Forecaster(Protocol):
    """Something that has learned."""

    def variances(self, samples: Samples, chosen: Ints) -> Floats:
        """Return the forecast variance of the samples ``chosen``, each from its own window."""
        ...


@dataclass(frozen=True, slots=True)
class Learned:
    """What learning one block gave: the forecaster, what is worth telling of it, and the network itself where there is one."""

    forecaster: Forecaster
    facts: dict[str, Any] = field(default_factory=dict)
    network: Trained | None = None


Learn = Callable[[Samples, Fold, float], Learned]
Tell = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class WalkForward:
    """A finished walk-forward: the verdict, each block's facts, the last block's network, and when training's last target ended."""

    verdict: Verdict
    folds: tuple[dict[str, Any], ...]
    last: Learned
    trained_until_ns: int
    test: Ints
    realized: Floats
    forecasts: dict[str, Floats]


def run_walk_forward(
    samples: Samples,
    folds: Sequence[Fold],
    learn: Learn,
    *,
    baselines: BaselineMaker = all_baselines,
    significance: float = 0.05,
    least: int = 200,
    tell: Tell | None = None,
) -> WalkForward:
    """
    Learn every block from its past and judge what was predicted.

    Baselines are fitted anew for each block on the samples that the network learned from or stopped by, so that neither side sees more.
    """
    series = samples.series
    problem = Problem(series.returns(), samples.realized, samples.steps, series.day)
    predicted: dict[str, list[Floats]] = {}
    facts: list[dict[str, Any]] = []
    learned: Learned | None = None
    for number, fold in enumerate(folds, start=1):
        known = np.concatenate((fold.fit, fold.validate))
        marks, targets = samples.index[known], samples.index[fold.test]
        decay = 0.94
        for baseline in baselines():
            baseline.fit(problem, marks)
            if isinstance(baseline, Ewma):
                decay = baseline.decay
            predicted.setdefault(baseline.name, []).append(baseline.forecast(problem)[targets])
        learned = learn(samples, fold, decay)
        own = learned.forecaster.variances(samples, fold.test)
        predicted.setdefault("model", []).append(own)
        facts.append(
            {
                "fit": len(fold.fit),
                "validate": len(fold.validate),
                "test": len(fold.test),
                "start_ns": int(series.ts_ns[targets[0]]),
                "end_ns": int(series.ts_ns[targets[-1]]),
                "qlike": float(qlike(samples.realized[targets], own).mean()),
                "baselines": {
                    name: float(qlike(samples.realized[targets], parts[-1]).mean())
                    for name, parts in predicted.items()
                    if name != "model"
                },
                **learned.facts,
            }
        )
        if tell is not None:
            tell(number / len(folds), f"block {number} of {len(folds)}: QLIKE {facts[-1]['qlike']:.4f}")
    if learned is None:
        raise ValueError("a walk-forward has at least one block")
    test = np.concatenate([fold.test for fold in folds])
    realized = samples.realized[samples.index[test]]
    forecasts = {name: np.concatenate(parts) for name, parts in predicted.items()}
    model = forecasts.pop("model")
    verdict = judge(realized, model, forecasts, steps=samples.steps, significance=significance, least=least)
    seen = np.concatenate((folds[-1].fit, folds[-1].validate))
    until = int(series.ts_ns[samples.index[seen] + samples.steps].max())
    return WalkForward(verdict, tuple(facts), learned, until, test, realized, {"model": model, **forecasts})


def lstm_learner(config: NetworkConfig, seeds: Sequence[int], tell: Tell | None = None) -> Learn:
    """
    Return a learner that trains one network a seed and keeps the one with the best validation loss; the test block has no say in it.

    Raises
    ------
    InputError
        When it is used, if torch is not installed.

    """

    def learn(samples: Samples, fold: Fold, decay: float) -> Learned:
        runs: list[Trained] = []
        for number, seed in enumerate(seeds):

            def passed(
                epoch: int, loss: float, reached: float, *, done: int = number, seed: int = seed
            ) -> None:
                if tell is not None:
                    share = (done + min(1.0, epoch / config.epochs)) / len(seeds)
                    tell(share, f"seed {seed}, pass {epoch}: loss {loss:.4f}, validation {reached:.4f}")

            runs.append(
                train_network(samples, fold.fit, fold.validate, config, decay=decay, seed=seed, tell=passed)
            )
        target = samples.realized[samples.index[fold.test]]
        forecasters = [LstmForecaster(run.weights, run.scaler) for run in runs]
        by_seed = {
            str(seed): float(qlike(target, forecaster.variances(samples, fold.test)).mean())
            for seed, forecaster in zip(seeds, forecasters, strict=True)
        }
        best = min(range(len(runs)), key=lambda place: runs[place].loss)
        facts = {
            "seed": seeds[best],
            "epochs": runs[best].epochs,
            "device": runs[best].device,
            "qlike_by_seed": by_seed,
            "decay": decay,
        }
        return Learned(forecasters[best], facts, runs[best])

    return learn
