"""Why a run was not quoting, by share of session time."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from amm500_catalog.errors import InputError
from amm500_nautilus.report.buffers import PARTIAL
from amm500_nautilus.report.files import is_file
from amm500_nautilus.report.files import one_line


NEEDED = ("seconds", "two_sided", "sides", "state", "reasons")


@dataclass(frozen=True, slots=True)
class WhyRow:
    """A state with its reasons and sides, and the session time it held: ``seconds``, and ``share`` as a fraction."""

    state: str
    reasons: str
    sides: str
    two_sided: bool
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class WhyReport:
    """
    What filled the session time.

    ``rows`` are the times not quoted on both sides within the band, longest first, each second in exactly one row; ``reasons``
    gives each single reason's share of session time, where a second with two reasons counts for both.
    """

    session_seconds: float
    quoted_share: float
    two_sided_share: float
    rows: tuple[WhyRow, ...]
    reasons: dict[str, float]


def why(run_dir: str | Path) -> WhyReport:
    """
    Read ``states.csv`` of a run, finished or not, and say what kept it from quoting.

    Raises
    ------
    InputError
        When the directory has no states file or may not be read, or no session time is in it.

    """
    path = Path(run_dir) / "states.csv"
    if not is_file(path):
        path = path.with_name(path.name + PARTIAL)
    if not is_file(path):
        raise InputError("states.csv is missing", str(run_dir), "a run directory")
    try:
        states = pd.read_csv(path, keep_default_na=False, on_bad_lines="skip")
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot be read ({one_line(error)})", str(path), "the states.csv of a run"
        ) from error
    missing = [name for name in NEEDED if name not in states]
    if missing:
        raise InputError(f"has no column {missing[0]}", str(path), "the states.csv of a run")
    states["seconds"] = pd.to_numeric(states["seconds"], errors="coerce").fillna(0.0)
    total = float(states["seconds"].sum())
    if total <= 0:
        raise InputError(
            "states.csv holds no session time", str(path), "a run with at least one minute inside a session"
        )
    two = states["two_sided"] == 1
    quoted = states["sides"] != "none"
    silent = states[~two]
    rows = []
    for key, seconds in silent.groupby(["state", "reasons", "sides"], sort=True)["seconds"].sum().items():
        state, reasons, sides = (str(part) for part in key)  # type: ignore[attr-defined]
        rows.append(WhyRow(state, reasons, sides, False, float(seconds), float(seconds) / total))
    single: dict[str, float] = {}
    for reasons, sides, seconds in zip(silent["reasons"], silent["sides"], silent["seconds"], strict=True):
        for reason in str(reasons).split("|") if reasons else [unexplained(str(sides))]:
            single[reason] = single.get(reason, 0.0) + float(seconds) / total
    return WhyReport(
        session_seconds=total,
        quoted_share=float(states["seconds"][quoted].sum()) / total,
        two_sided_share=float(states["seconds"][two].sum()) / total,
        rows=tuple(sorted(rows, key=lambda row: -row.seconds)),
        reasons=dict(sorted(single.items(), key=lambda item: -item[1])),
    )


def unexplained(sides: str) -> str:
    """Name what happened where the strategy gave no reason: it wanted both sides, and what rested was not (yet) that."""
    return "outside_band" if sides == "both" else "wanted_but_not_resting"
