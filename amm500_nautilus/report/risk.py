"""What the risk engine decided in a run: its file, and its figures in the summary."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from amm500_nautilus.report.buffers import CsvStream
from amm500_nautilus.report.columns import timestamp_text
from amm500_nautilus.risk.types import RiskDecision
from amm500_nautilus.risk.types import RiskState


RISK_FILE = "risk.csv"
RISK_COLUMNS = ("ts", "ts_ns", "subject", "approved", "reason", "numbers")
STATE = "state"


class RiskStream:
    """
    Write each decision of the risk engine as it is made.

    Parameters
    ----------
    out_dir : Path
        The run directory.

    """

    def __init__(self, out_dir: Path) -> None:
        self.stream = CsvStream(out_dir / RISK_FILE, RISK_COLUMNS)

    def on_decision(self, decision: RiskDecision) -> None:
        """Write one decision; its numbers as JSON."""
        self.stream.write(
            {
                "ts": timestamp_text(decision.ts_ns),
                "ts_ns": decision.ts_ns,
                "subject": decision.subject,
                "approved": int(decision.approved),
                "reason": decision.reason,
                "numbers": json.dumps(
                    {name: float(value) for name, value in decision.numbers.items()}, separators=(",", ":")
                ),
            }
        )


def risk_figures(run_dir: Path, end_ns: int, sessions: Sequence[tuple[int, int]] = ()) -> dict[str, Any]:
    """
    Return the summary's risk section from a run's file; empty for a run that has none.

    ``final_state`` at the end; ``states`` the share in each state of the session time from the first decision to ``end_ns`` (a pause
    over a closed night is no pause); ``fired`` how often each reason was raised; ``refused_orders`` by reason; ``reductions`` by
    reason; ``levels`` how often each was entered; ``halts`` when it halted, and what for. ``sessions`` are ``(open, close)`` in UTC ns, in order; none at all is always.
    """
    path = run_dir / RISK_FILE
    if not path.exists():
        return {}
    frame = pd.read_csv(path, keep_default_na=False)
    states = frame[frame["subject"] == STATE]
    spans = _session_time(states["ts_ns"], states["ts_ns"].shift(-1, fill_value=end_ns), sessions)
    total = float(spans.sum())
    shares = spans.groupby(states["reason"]).sum() / total if total > 0 else spans.iloc[:0]
    orders = frame[(frame["subject"] == "order") & (frame["approved"] == 0)]
    weights = orders["numbers"].map(lambda text: json.loads(text).get("count", 1.0))
    return {
        "final_state": str(states["reason"].iloc[-1]) if len(states) else None,
        "states": {str(name): float(share) for name, share in shares.items()},
        "fired": _counts(frame[(frame["subject"] == "reason") & (frame["approved"] == 0)]),
        "refused_orders": {
            str(name): int(count) for name, count in weights.groupby(orders["reason"]).sum().items()
        },
        "reductions": _counts(frame[frame["subject"] == "reduce"]),
        "levels": _counts(frame[frame["subject"] == "level"]),
        "halts": _halts(frame, states),
    }


def _halts(frame: pd.DataFrame, states: pd.DataFrame) -> list[dict[str, Any]]:
    """Return each entry into HALTED with the reasons raised by then that halt; none raised is a halt of an earlier run."""
    raised = frame[(frame["subject"] == "reason") & (frame["approved"] == 0)]
    halting = raised[raised["numbers"].map(lambda text: bool(json.loads(text).get("halted"))).astype(bool)]
    is_halt = states["reason"] == RiskState.HALTED
    begun = states[is_halt & (states["reason"].shift(1) != RiskState.HALTED)]
    return [
        {
            "ts": timestamp_text(ts_ns),
            "reasons": sorted(set(halting.loc[halting["ts_ns"] == ts_ns, "reason"])),
        }
        for ts_ns in begun["ts_ns"].tolist()
    ]


def _session_time(begins: Any, ends: Any, sessions: Sequence[tuple[int, int]]) -> Any:
    """Return how much of each span from begin to end lies in sessions; all of it where there are none."""
    spans = ends - begins if not sessions else begins * 0
    for opened, closed in sessions:
        spans = spans + (ends.clip(upper=closed) - begins.clip(lower=opened)).clip(lower=0)
    return spans


def _counts(frame: pd.DataFrame) -> dict[str, int]:
    return {str(name): int(count) for name, count in frame["reason"].value_counts().sort_index().items()}
