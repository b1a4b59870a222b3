"""What a trained model says of itself: what it was made from, how it was judged, and whether it may be used."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from typing import Any

from amm500_nautilus.forecast.features import ALL_FEATURES
from amm500_nautilus.research.scores import Score
from amm500_nautilus.research.scores import Verdict


FORMAT = 1


class ModelError(ValueError):
    """A model file cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """
    A model's own account.

    Parameters
    ----------
    market : str
        The coin that it may be used on.
    source, description : str
        Where the training data came from.
    simulated : bool
        Whether the training data was made by the market simulator or the generator.
    interval_s : int
        Seconds from a mark to the next: the clock of the features, in training and in use.
    steps : int
        Returns in the target; the horizon is ``steps * interval_s``.
    features, left_out : tuple of str
        What it reads, and why the others are missing (one sentence each).
    sequence, warm_up : int
        Longest window in rows, and rows of a session before its first forecast.
    start_ns, end_ns, trained_until_ns : int
        First and last mark of the data, and the end of the last target that training or stopping saw: from there on its forecasts are out
        of sample.
    marks, samples : int
        Size of the data.
    data_sha256 : str
        Digest of the marks.
    use : bool
        Whether it won out of sample.
    why : str
        The verdict in one sentence.
    scores : tuple of dict
        Mean losses out of sample: the model first, then each baseline with the model's test against it.
    folds : tuple of dict
        The walk-forward: sizes, spans, the seed that was kept, passes, and QLIKE of every seed.
    settings : dict
        What it was trained with.
    notes : tuple of str
        What was filled or assumed.
    judged : dict
        What it did to the strategy's result; empty where that was not asked.

    """

    market: str
    source: str
    description: str
    simulated: bool
    interval_s: int
    steps: int
    features: tuple[str, ...]
    left_out: tuple[str, ...]
    sequence: int
    warm_up: int
    start_ns: int
    end_ns: int
    trained_until_ns: int
    marks: int
    samples: int
    data_sha256: str
    use: bool
    why: str
    scores: tuple[dict[str, Any], ...]
    folds: tuple[dict[str, Any], ...]
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    judged: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def horizon_s(self) -> int:
        """Seconds ahead that it predicts."""
        return self.steps * self.interval_s

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """
        Return the card that a JSON text holds.

        Raises
        ------
        ModelError
            If it is not a card of this format, or a field is missing or of the wrong kind.

        """
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise ModelError("its card is not JSON") from error
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ModelError(f"its card is not of format {FORMAT}")
        for name in ("features", "left_out", "scores", "folds", "notes"):
            raw[name] = tuple(raw.get(name, ()))
        try:
            card = cls(**raw)
        except TypeError as error:
            raise ModelError(f"its card is not whole ({error})") from error
        numbers = (card.interval_s, card.steps, card.sequence, card.warm_up, card.trained_until_ns)
        if not all(isinstance(value, int) and value > 0 for value in numbers):
            raise ModelError("a length or a time of its card is not a positive whole number")
        unknown = [name for name in card.features if name not in ALL_FEATURES]
        if unknown or not card.features or not isinstance(card.use, bool):
            raise ModelError(
                f"its card names features that are not known: {', '.join(unknown) or 'none at all'}"
            )
        return card


def score_rows(verdict: Verdict) -> tuple[dict[str, Any], ...]:
    """Return the scores as plain values."""
    return tuple(_score_row(score) for score in verdict.scores)


def _score_row(score: Score) -> dict[str, Any]:
    row: dict[str, Any] = {"name": score.name, "qlike": score.qlike, "mse_bp4": score.mse}
    if score.versus is not None:
        row["dm"] = score.versus.statistic
        row["p"] = score.versus.p_better
        row["lags"] = score.versus.lags
    return row


def when(ts_ns: int) -> str:
    """Return a time in words, UTC."""
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")


def score_lines(rows: tuple[dict[str, Any], ...]) -> list[str]:
    """Return the table of scores in Markdown."""
    lines = [
        "| forecast | QLIKE | MSE (bp^4) | DM of the model against it | p (one-sided) |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        test = f"{row['dm']:+.2f} | {row['p']:.4f}" if "dm" in row else " | "
        lines.append(f"| {row['name']} | {row['qlike']:.4f} | {row['mse_bp4']:.1f} | {test} |")
    return lines


def markdown(card: ModelCard) -> str:
    """Return the card for a person to read."""
    label = "SIMULATED data" if card.simulated else "real prices"
    data = (
        f"- Data: {card.description} ({card.source}, {label}), {when(card.start_ns)} to {when(card.end_ns)}, "
        f"{card.marks:,} marks of {card.interval_s} s, {card.samples:,} samples, SHA-256 {card.data_sha256}."
    )
    reads = (
        f"- Features: {', '.join(card.features)}; windows of at most {card.sequence} rows inside one session, "
        f"the first forecast after {card.warm_up}."
    )
    lines = [
        f"# Volatility model of {card.market}",
        "",
        f"{'In use: it' if card.use else 'Not in use: it'} {card.why}.",
        "",
        data,
        f"- Predicts: realized variance of the next {card.steps} returns ({card.horizon_s} s), at each mark.",
        reads,
        *(f"- Left out: {text}." for text in card.left_out),
        f"- Trained on nothing after {when(card.trained_until_ns)}; before that time it is not used.",
        *(f"- Note: {note}." for note in card.notes),
        "",
        "## Out of sample",
        "",
        *score_lines(card.scores),
        "",
        "## Walk-forward",
        "",
        "| block | learned from | stopped by | predicted | from | to | seed kept | passes | QLIKE |",
        "| ---: | ---: | ---: | ---: | --- | --- | ---: | ---: | ---: |",
    ]
    for number, fold in enumerate(card.folds, start=1):
        lines.append(
            f"| {number} | {fold['fit']} | {fold['validate']} | {fold['test']} | {when(fold['start_ns'])} | "
            f"{when(fold['end_ns'])} | {fold.get('seed', '')} | {fold.get('epochs', '')} | {fold['qlike']:.4f} |"
        )
    if card.judged:
        lines += ["", "## The strategy with it and without", "", *judged_lines(card.judged)]
    return "\n".join(lines) + "\n"


JUDGED = (
    "net_pnl",
    "sharpe",
    "trades",
    "maker_ratio",
    "max_drawdown",
    "avg_quoted_spread_bps",
    "two_sided_uptime",
)


def judged_lines(judged: Mapping[str, Any]) -> list[str]:
    """Return the comparison of the strategy's results in Markdown."""
    lines = [
        f"{judged['span']}, seed {judged['seed']}, {judged['label']}.",
        "",
        "| figure | without | with |",
        "| --- | ---: | ---: |",
    ]
    without, with_it = judged["without"], judged["with"]
    lines.extend(
        f"| {name} | {_figure(without.get(name))} | {_figure(with_it.get(name))} |"
        for name in (*JUDGED, "markout_5s_bps")
    )
    use = judged["forecast"]
    sentence = (
        f"The factor was in use in {use['share_used']:.1%} of the cycles, {use['factor_mean']:.3f} on average "
        f"({use['factor_low']:.3f} to {use['factor_high']:.3f}) before the spread's limits."
    )
    return [*lines, "", sentence]


def _figure(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,.4f}" if isinstance(value, float) else str(value)
