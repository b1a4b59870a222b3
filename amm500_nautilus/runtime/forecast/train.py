"""Train a volatility model from a run file, judge it, and lay the strategy's result with it beside the one without."""

import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

from amm500_catalog.errors import InputError
from amm500_nautilus.forecast.card import ModelCard
from amm500_nautilus.forecast.card import markdown
from amm500_nautilus.forecast.card import score_rows
from amm500_nautilus.forecast.card import when
from amm500_nautilus.forecast.features import FUNDING
from amm500_nautilus.forecast.features import IMBALANCE
from amm500_nautilus.forecast.features import features_of
from amm500_nautilus.forecast.model_file import save_model
from amm500_nautilus.forecast.network import NetworkConfig
from amm500_nautilus.forecast.network import import_torch
from amm500_nautilus.forecast.samples import Fold
from amm500_nautilus.forecast.samples import Samples
from amm500_nautilus.forecast.samples import make_samples
from amm500_nautilus.forecast.samples import walk_forward
from amm500_nautilus.forecast.series import MarkSeries
from amm500_nautilus.forecast.training import WalkForward
from amm500_nautilus.forecast.training import lstm_learner
from amm500_nautilus.forecast.training import run_walk_forward
from amm500_nautilus.report.buffers import write_json
from amm500_nautilus.runtime.backtest import run
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.data import prepare
from amm500_nautilus.runtime.forecast.config import ForecastSection
from amm500_nautilus.runtime.forecast.data import default_horizon
from amm500_nautilus.runtime.forecast.data import read_marks
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.rundir import RunDirectory
from amm500_nautilus.runtime.rundir import place_of
from amm500_nautilus.runtime.rundir import require_free


MODEL_FILE = "model.safetensors"
CARD_FILE = "model.md"
SCORES_FILE = "scores.json"
WHY_ABSENT = {IMBALANCE: "imbalance: bars have no book", FUNDING: "funding_rate: the source has none"}
# figures of a summary that are laid side by side
COMPARED = (
    "net_pnl",
    "sharpe",
    "trades",
    "maker_ratio",
    "max_drawdown",
    "avg_quoted_spread_bps",
    "two_sided_uptime",
)


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished training: its folder and the model's card."""

    folder: Path
    card: ModelCard

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.folder / MODEL_FILE


def train(
    config: RunConfig, *, out: Path | None = None, judge: bool = False, progress: Progress | None = None
) -> TrainResult:
    """
    Train, judge and save the model of a run file.

    Parameters
    ----------
    config : RunConfig
        The run file; ``training`` says how.
    out : Path, optional
        The folder; ``runs/<name>-vol-<utc>`` by default.
    judge : bool, default False
        Whether to run the strategy with and without the model over the last block of the walk-forward, which the model never saw.
    progress : Progress, optional
        Told how far the work is.

    Raises
    ------
    InputError
        When the run file, the data or the machine's packages do not do.
    SourceUnavailableError
        When no source has the data.

    """
    progress = progress or Progress(quiet=True)
    wall, cpu = time.perf_counter(), time.process_time()
    settings = config.training
    if judge and config.mode != "backtest":
        raise InputError(config.mode, f"{config.name}: mode", "backtest, for --judge runs two of them")
    name = f"{config.name[:60]}-vol"
    require_free(place_of(name, out))
    torch = import_torch()
    torch.set_num_threads(settings.threads)
    series, facts = read_marks(config, progress)
    samples, folds = split(config, series)
    progress.say(
        f"{len(series):,} marks of {series.interval_s} s, {len(samples):,} samples of {', '.join(samples.names)}; "
        f"{len(folds)} blocks, {settings.seeds} seeds each"
    )
    directory = RunDirectory.named(name, out)
    directory.write_config(config)
    done = learn_all(config, samples, folds, progress)
    progress.say(
        f"trained and judged in {time.perf_counter() - wall:.0f} s, {time.process_time() - cpu:.0f} s of them on the processor"
    )
    card = make_card(config, series, samples, done, facts)
    network = done.last.network
    if network is None:
        raise ValueError("the last block gave no network")
    model = directory.path / MODEL_FILE
    save_model(model, card, network.weights, network.scaler)
    if judge:
        judged = compare_results(config, model, folds[-1], samples, directory.path, progress)
        card = replace(card, judged=judged)
        save_model(model, card, network.weights, network.scaler)
    (directory.path / CARD_FILE).write_text(markdown(card), encoding="utf-8")
    write_json(directory.path / SCORES_FILE, asdict(card))
    directory.write_log(progress.lines)
    return TrainResult(directory.finish(), card)


def split(config: RunConfig, series: MarkSeries) -> tuple[Samples, tuple[Fold, ...]]:
    """
    Return the samples of a series and its walk-forward.

    Raises
    ------
    InputError
        If there is too little data, or the horizon is no whole number of intervals.

    """
    settings = config.training
    horizon = settings.horizon_s or default_horizon(series.interval_s)
    steps, rest = divmod(horizon, series.interval_s)
    if rest or steps < 1:
        raise InputError(
            f"training.horizon_s is {horizon}, the marks are {series.interval_s} s apart",
            config.name,
            f"a multiple of {series.interval_s}",
        )
    try:
        samples = make_samples(
            series, features_of(series), sequence=settings.sequence, warm_up=settings.warm_up, steps=steps
        )
        folds = walk_forward(
            samples,
            folds=settings.folds,
            first_train=settings.first_train,
            validate_share=settings.validate_share,
            embargo=steps if settings.embargo is None else settings.embargo,
        )
    except ValueError as error:
        raise InputError(
            f"there is too little to train on: {error}",
            config.name,
            "more data, a shorter training.sequence and warm_up, or fewer folds",
        ) from error
    return samples, folds


def learn_all(config: RunConfig, samples: Samples, folds: Sequence[Fold], progress: Progress) -> WalkForward:
    """Run the walk-forward with progress."""
    settings = config.training
    network = NetworkConfig(**settings.network.model_dump())
    done, total = 0, len(folds)

    def within(share: float, _text: str) -> None:
        progress((done + share) / total, "training")

    def after(_share: float, text: str) -> None:
        nonlocal done
        done += 1
        progress.say(text)

    order = random.Random(config.seed)  # noqa: S311 - seeds of a network, no secret
    seeds = [order.randrange(2**31) for _ in range(settings.seeds)]
    progress(0.0, "training")
    return run_walk_forward(
        samples,
        folds,
        lstm_learner(network, seeds, within),
        significance=settings.significance,
        least=settings.least,
        tell=after,
    )


def make_card(
    config: RunConfig, series: MarkSeries, samples: Samples, done: WalkForward, facts: dict[str, Any]
) -> ModelCard:
    """Return the card of a finished walk-forward."""
    verdict = done.verdict
    return ModelCard(
        market=config.market.coin,
        source=facts["source"],
        description=facts["description"],
        simulated=facts["simulated"],
        interval_s=series.interval_s,
        steps=samples.steps,
        features=samples.names,
        left_out=tuple(text for name, text in WHY_ABSENT.items() if name not in samples.names),
        sequence=samples.sequence,
        warm_up=config.training.warm_up,
        start_ns=int(series.ts_ns[0]),
        end_ns=int(series.ts_ns[-1]),
        trained_until_ns=done.trained_until_ns,
        marks=len(series),
        samples=len(samples),
        data_sha256=series.digest(),
        use=verdict.use,
        why=verdict.why,
        scores=score_rows(verdict),
        folds=done.folds,
        settings={"seed": config.seed, **config.training.model_dump(mode="json")},
        notes=tuple(facts["notes"]),
    )


def compare_results(
    config: RunConfig, model: Path, last: Fold, samples: Samples, folder: Path, progress: Progress
) -> dict[str, Any]:
    """
    Run the strategy over the last block without the model and with it, all else equal, and return both results.

    The model is used there even if it lost: the comparison says what it would do.
    """
    series = samples.series
    start_ns = int(series.ts_ns[samples.index[last.test[0]]])
    end_ns = int(series.ts_ns[samples.index[last.test[-1]] + samples.steps])
    span = {"start": _iso(start_ns), "end": _iso(end_ns)}
    plain = config.model_copy(update={"data": config.data.model_copy(update=span)})
    dataset = prepare(plain, progress)
    used = ForecastSection(model=str(model), max_age=config.strategy.forecast.max_age, require_win=False)
    results: dict[str, Any] = {}
    for name, section in (("without", ForecastSection()), ("with", used)):
        progress.say(f"backtest {name} the model, {when(start_ns)} to {when(end_ns)}")
        strategy = plain.strategy.model_copy(update={"forecast": section})
        own = plain.model_copy(update={"name": f"{config.name[:60]}-{name}", "strategy": strategy})
        results[name] = run(own, out=folder / name, progress=progress, prepared=dataset).summary
    with_it = results["with"]
    return {
        "span": f"{when(start_ns)} to {when(end_ns)}",
        "seed": config.seed,
        "label": "SIMULATED book and trades" if with_it["data"]["simulated"] else "recorded book",
        "without": _figures(results["without"]),
        "with": _figures(with_it),
        "forecast": {key: value for key, value in with_it["forecast"].items() if key != "model"},
    }


def _figures(summary: dict[str, Any]) -> dict[str, Any]:
    figures = {name: summary["metrics"].get(name) for name in COMPARED}
    figures["markout_5s_bps"] = summary["markouts_bps"].get("5s")
    figures["result_hash"] = summary["result_hash"]
    return figures


def _iso(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).isoformat()
