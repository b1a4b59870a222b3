"""A killed run's report from its journal: the run's own fills, and none that it only read of at its start."""

import json
from pathlib import Path

from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.runtime.operate.rebuild import read_back
from amm500_nautilus.runtime.operate.rebuild import write_run
from tests.runtime.journal_scene import CONTEXT
from tests.runtime.journal_scene import MID
from tests.runtime.journal_scene import MINUTE
from tests.runtime.journal_scene import START


def restarted(folder: Path, *, at_first_minute: int = 0, before: int | None = None) -> Path:
    """
    Write a second run that read three fills of while no node ran, and traded once in each of its first two minutes.

    Its journal counts so many actions at its first minute's row, and notes how many of them earlier runs had sent.
    """
    journal = Journal(folder)
    journal.open()
    journal.write("session", id=1, started_ns=START, started_by="start")
    for run in (1, 2):
        journal.write(
            "run", id=run, session=1, started_ns=START, name="week", mode="live", coin="km:US500", account="",
            config_hash="", pid=1, version="1",
        )  # fmt: skip
    noted = {} if before is None else {"actions_before": before}
    journal.save("report.2", START, json.dumps({**CONTEXT, **noted, "mode": "live"}).encode())
    for number in range(3):
        journal.write(
            "fill", ts_ns=START - MINUTE + number, coin="km:US500", tid=f"missed{number}", run=2, side=-1,
            price="700.0", size="0.5", fee="0.02", closed_pnl="1", maker=1, position=str(-0.5 * (number + 1)),
        )  # fmt: skip
    for count in range(3):
        ts_ns, held = START + count * MINUTE, -1.0 if count == 1 else -1.5
        if count:
            journal.write(
                "fill", ts_ns=ts_ns + 1, coin="km:US500", tid=f"own{count}", run=2, side=1 if count == 1 else -1,
                price=str(MID), size="0.5", fee="0.01", closed_pnl="0", maker=1, position=str(held), mid=MID,
            )  # fmt: skip
        journal.write(
            "equity", ts_ns=ts_ns + 10, run=2, session=1, equity=1_000.0 - 0.01 * count, balance=1_000.0,
            position=held, mid=MID, margin_used=0.0, order_margin=0.0, margin_ratio=0.1, maintenance_ratio=0.0,
            funding=0.0, fees=0.01 * count, transfers=0.0, leverage=10.0, collateral_price=1.0,
            budget_remaining=100.0, actions=at_first_minute + count, fills=count, state="RUNNING",
        )  # fmt: skip
    assert journal.close(30)
    return journal.path


def test_what_traded_while_no_node_ran_takes_no_place_among_the_run_s_own_fills(tmp_path: Path) -> None:
    told = read_back(restarted(tmp_path / "monitor"), run=2)
    assert [fill["tid"] for fill in told.fills] == ["own1", "own2"]
    assert told.late == 0


def test_the_rebuilt_parts_sum_to_the_total_also_where_no_quote_was_journaled(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    summary = write_run(read_back(restarted(tmp_path / "monitor"), run=2), out)
    assert summary["metrics"]["volume"] == 2 * 0.5 * MID
    assert summary["pnl_check"]["ok"], summary["pnl_check"]


def test_what_was_sent_before_the_first_minute_counts_and_what_earlier_runs_sent_does_not(
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    journal = restarted(tmp_path / "monitor", at_first_minute=40, before=10)
    assert write_run(read_back(journal, run=2), out)["actions"]["sent"] == 32
