"""The risk engine's decisions on file, and the figures of a run that are read from it."""

import csv
import json
from pathlib import Path

import pytest

from amm500_nautilus.report.risk import RISK_COLUMNS
from amm500_nautilus.report.risk import RISK_FILE
from amm500_nautilus.report.risk import RiskStream
from amm500_nautilus.report.risk import risk_figures
from amm500_nautilus.risk.types import RiskDecision


SECOND = 1_000_000_000
T0 = 1_767_571_200 * SECOND


def said(at: float, subject: str, reason: str, *, approved: bool = False, **numbers: float) -> RiskDecision:
    return RiskDecision(T0 + round(at * SECOND), subject, approved, reason, numbers)


def write(folder: Path, *decisions: RiskDecision) -> None:
    stream = RiskStream(folder)
    for decision in decisions:
        stream.on_decision(decision)
    stream.stream.close()


def figures(folder: Path, end: float = 100.0) -> dict[str, object]:
    return risk_figures(folder, T0 + round(end * SECOND))


def test_a_decision_is_a_row_with_its_numbers_as_json(tmp_path: Path) -> None:
    write(tmp_path, said(1.5, "reason", "drawdown", drawdown=0.06, limit=0.05), said(2, "state", "HALTED"))
    with (tmp_path / RISK_FILE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == RISK_COLUMNS
    assert rows[0]["ts"] == "2026-01-05 00:00:01.500000000+00:00"
    assert rows[0]["ts_ns"] == str(T0 + 1_500_000_000)
    assert (rows[0]["subject"], rows[0]["approved"], rows[0]["reason"]) == ("reason", "0", "drawdown")
    assert json.loads(rows[0]["numbers"]) == {"drawdown": 0.06, "limit": 0.05}
    assert json.loads(rows[1]["numbers"]) == {}


def test_the_file_has_its_name_only_once_it_is_complete(tmp_path: Path) -> None:
    stream = RiskStream(tmp_path)
    stream.on_decision(said(1, "state", "RUNNING", approved=True))
    assert not (tmp_path / RISK_FILE).exists()
    stream.stream.close()
    assert (tmp_path / RISK_FILE).exists()


def test_a_run_without_the_file_has_no_figures(tmp_path: Path) -> None:
    assert figures(tmp_path) == {}


def test_shares_of_time_count_from_the_first_state_to_the_end(tmp_path: Path) -> None:
    write(
        tmp_path,
        said(0, "state", "STARTING"),
        said(20, "state", "RUNNING", approved=True),
        said(60, "state", "PAUSED"),
        said(70, "state", "RUNNING", approved=True),
        said(95, "state", "HALTED"),
    )
    found = figures(tmp_path)
    # 20, 40 + 25, 10 and 5 of 100 seconds
    assert found["states"] == pytest.approx({"STARTING": 0.2, "RUNNING": 0.65, "PAUSED": 0.1, "HALTED": 0.05})
    assert found["final_state"] == "HALTED"


def test_a_pause_over_a_closed_night_is_no_pause(tmp_path: Path) -> None:
    write(
        tmp_path,
        said(0, "state", "RUNNING", approved=True),
        said(38, "state", "PAUSED"),
        said(82, "state", "RUNNING", approved=True),
    )
    sessions = [(T0 + a * SECOND, T0 + b * SECOND) for a, b in ((0, 40), (80, 100))]
    # of 60 open seconds 38 and 18 running; 2 before the close and 2 after the open paused
    found = risk_figures(tmp_path, T0 + 100 * SECOND, sessions)
    assert found["states"] == pytest.approx({"RUNNING": 56 / 60, "PAUSED": 4 / 60})


def test_reasons_count_when_they_begin_and_refusals_with_what_they_stand_for(tmp_path: Path) -> None:
    write(
        tmp_path,
        said(0, "state", "RUNNING", approved=True),
        said(10, "reason", "book_stale", age_secs=2.5),
        said(40, "reason", "book_stale ended", approved=True, lasted_secs=30),
        said(50, "reason", "book_stale", age_secs=2.5),
        said(60, "reason", "margin_ratio", margin_ratio=0.93),
        said(61, "order", "REDUCE_ONLY", count=1),
        said(121, "order", "REDUCE_ONLY", count=180),
        said(121, "order", "max_notional"),
        said(122, "reduce", "stop_loss", approved=True, lots=5),
        said(123, "reduce", "hard_stop", approved=True, lots=5),
        said(129, "reduce", "stop_loss", approved=True, lots=5),
        said(130, "level", "HIGH"),
        said(160, "level", "LOW", approved=True),
    )
    found = figures(tmp_path, 200)
    assert found["fired"] == {"book_stale": 2, "margin_ratio": 1}
    # one at once, 180 in the minute after it; one that names no number stands for itself
    assert found["refused_orders"] == {"REDUCE_ONLY": 181, "max_notional": 1}
    assert found["reductions"] == {"hard_stop": 1, "stop_loss": 2}
    assert found["levels"] == {"HIGH": 1, "LOW": 1}


def test_each_halt_is_told_with_its_time_and_what_halted(tmp_path: Path) -> None:
    write(
        tmp_path,
        said(0, "state", "RUNNING", approved=True),
        said(10, "state", "HALTED"),
        said(10, "reason", "session_loss", loss=120.0, halted=1.0),
        said(10, "reason", "book_stale", age_secs=2.5, halted=0.0),
        said(40, "state", "RUNNING", approved=True),
        said(70, "state", "HALTED"),
        said(70, "reason", "drawdown", drawdown=0.06, halted=1.0),
    )
    assert figures(tmp_path)["halts"] == [
        {"ts": "2026-01-05 00:00:10.000000000+00:00", "reasons": ["session_loss"]},
        {"ts": "2026-01-05 00:01:10.000000000+00:00", "reasons": ["drawdown"]},
    ]


def test_an_empty_file_gives_empty_figures(tmp_path: Path) -> None:
    write(tmp_path)
    assert figures(tmp_path) == {
        "final_state": None,
        "states": {},
        "fired": {},
        "refused_orders": {},
        "reductions": {},
        "levels": {},
        "halts": [],
    }
    # the figures go into a JSON file
    json.dumps(figures(tmp_path), allow_nan=False)
