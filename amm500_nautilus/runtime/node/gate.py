"""The paper gate: what the newest paper run of the same strategy on the same market came to, before real money follows it."""

import json
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.rundir import PARTIAL
from amm500_nautilus.runtime.strategy_hash import strategy_hash


PASSED = "pass"
PAPER = "paper"
STATE = "state"
MISSING = "missing"
# what the verdict of a paper run is about (#61)
DAYS = 7.0
DAY_S = 86_400.0
# under this the clock of two machines, or the last minute's row, may be what is missing
SLACK_DAYS = 0.01


@dataclass(frozen=True, slots=True)
class PaperRun:
    """
    A finished paper run.

    ``end`` is ISO 8601, ``days`` its length, ``verdict`` that of ``amm500 analyze`` where ``is_analyzed``, else that of its summary;
    ``simulated`` says that its market was not the exchange's.
    """

    path: Path
    strategy: str
    market: str
    end: str
    days: float
    verdict: str
    is_analyzed: bool
    simulated: bool


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether the gate is open, and why in a sentence; ``verdict`` is the paper run's own word, or ``missing``."""

    is_open: bool
    verdict: str
    sentence: str


def judge(runs: Iterable[PaperRun], *, strategy: str, market: str, folder: str) -> GateVerdict:
    """
    Judge by the newest paper run of the same strategy and market on the exchange's own data.

    Parameters
    ----------
    runs : iterable of PaperRun
        What there is.
    strategy : str
        The strategy's digest.
    market : str
        The coin that is to be traded.
    folder : str
        Where was looked, for the sentence.

    """
    found = list(runs)
    same = [run for run in found if run.strategy == strategy]
    fit = [run for run in same if run.market == market and not run.simulated]
    if not fit:
        return GateVerdict(is_open=False, verdict=MISSING, sentence=_missing(found, same, market, folder))
    run = max(fit, key=lambda each: _moment(each.end))
    words = f"paper run {run.path.name} of the same strategy: {run.verdict}, {run.days:.2g} days to {run.end}"
    if run.days < DAYS - SLACK_DAYS:
        return GateVerdict(
            is_open=False, verdict=run.verdict, sentence=f"{words}; {DAYS:g} days are asked for"
        )
    source = "amm500 analyze" if run.is_analyzed else "its summary; amm500 analyze was not run on it"
    return GateVerdict(is_open=run.verdict == PASSED, verdict=run.verdict, sentence=f"{words} (by {source})")


def paper_runs(folder: Path) -> tuple[PaperRun, ...]:
    """Return the finished paper runs of a folder; what cannot be read is passed over, and so closes the gate."""
    if not folder.is_dir():
        return ()
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.endswith(PARTIAL) or not (path / "summary.json").is_file():
            continue
        run = _read(path)
        if run is not None:
            found.append(run)
    # a week that took several processes is judged as one session, from its journal
    for path in sorted((folder / STATE).glob("*/monitor/analysis.json")):
        run = _session(path)
        if run is not None:
            found.append(run)
    return tuple(found)


def _session(path: Path) -> PaperRun | None:
    """Return a paper account's session as ``amm500 analyze`` found it in the journal."""
    analysis = _object(path)
    try:
        if analysis["mode"] != PAPER or not analysis["strategy_hash"]:
            return None
        return PaperRun(
            path=path.parent.parent,
            strategy=str(analysis["strategy_hash"]),
            market=str(analysis["market"]),
            end=str(analysis["end"]),
            days=float(analysis["figures"]["days"]),
            verdict=str(analysis["verdict"]),
            is_analyzed=True,
            simulated=bool(analysis["data"]["simulated"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _read(path: Path) -> PaperRun | None:
    summary, analysis = _object(path / "summary.json"), _object(path / "analysis.json")
    try:
        if summary["mode"] != PAPER:
            return None
        data = summary["data"]
        start, end = (_moment(str(data[name])) for name in ("start", "end"))
        days = (end - start) / DAY_S
        if "verdict" in analysis:
            # a verdict on the last days of a run speaks for those days alone
            days = min(days, float(analysis.get("wanted_days", days)))
        return PaperRun(
            path=path,
            strategy=strategy_hash(load_config(path / "config.yaml")),
            market=str(data["market"]),
            end=str(data["end"]),
            days=days,
            verdict=str(analysis["verdict"] if "verdict" in analysis else summary["verdict"]),
            is_analyzed="verdict" in analysis,
            simulated=bool(data["simulated"]),
        )
    except (InputError, KeyError, TypeError, ValueError):
        return None


def _object(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _missing(found: list[PaperRun], same: list[PaperRun], market: str, folder: str) -> str:
    if not found:
        return f"there is no finished paper run under {folder}"
    if not same:
        return f"none of the {len(found)} paper runs under {folder} is of this strategy's configuration"
    if all(run.market != market for run in same):
        return f"the paper runs of this strategy under {folder} are of {same[-1].market}, not of {market}"
    return f"the paper runs of this strategy under {folder} heard a venue that is not the exchange"
