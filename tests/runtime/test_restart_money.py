"""Loss and profit over a restart: what was moved in or out is neither, and a new account has nothing to do with the last one."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.risk import reasons
from amm500_nautilus.risk.types import RiskState
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.node.monitoring import NodeMonitor
from amm500_nautilus.runtime.node.monitoring import with_new_session
from tests.adapter.test_transfers_kept import START_MS
from tests.adapter.test_transfers_kept import Process
from tests.adapter.test_transfers_kept import Venue
from tests.adapter.test_transfers_kept import moved
from tests.strategy.desk import Desk


CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NS = 10**9


def restarted(desk: Desk, *, is_new_account: bool = False) -> Desk:
    """The guard of the next process, with what this one's had saved as the strategy saves it."""
    saved = {"amm500": json.dumps({"risk": desk.guard.save()}).encode()}
    if is_new_account:
        saved = with_new_session(saved)
    fresh = Desk()
    fresh.guard.load(json.loads(saved["amm500"])["risk"])
    fresh.lots = desk.lots
    return fresh


def transfers_of(process: Process) -> str:
    return str(process.sums.net_transfers)


def running(folder: Path, equity: float = 1_000.0) -> tuple[Desk, Process]:
    desk, process = Desk(), Process(folder, Venue())
    desk.report(equity, net_transfers=transfers_of(process))
    assert desk.judge(1.0).state is RiskState.RUNNING
    return desk, process


def test_a_withdrawal_before_a_restart_is_no_loss_after_it(tmp_path: Path) -> None:
    desk, process = running(tmp_path)
    process.hear(moved(-100, START_MS + 5))
    desk.report(900.0, net_transfers=transfers_of(process))
    assert desk.judge(2.0).state is RiskState.RUNNING
    after, again = restarted(desk), Process(tmp_path, Venue(), now_ms=START_MS + 60_000)
    after.report(900.0, net_transfers=transfers_of(again))
    assert after.judge(3.0).state is RiskState.RUNNING


def test_a_withdrawal_while_no_node_runs_is_no_loss_either(tmp_path: Path) -> None:
    desk, _ = running(tmp_path)
    after = restarted(desk)
    again = Process(tmp_path, Venue(moved(-100, START_MS + 5)), now_ms=START_MS + 60_000)
    again.read()
    after.report(900.0, net_transfers=transfers_of(again))
    assert after.judge(3.0).state is RiskState.RUNNING


def test_a_deposit_before_a_restart_does_not_hide_a_loss_after_it(tmp_path: Path) -> None:
    desk, process = running(tmp_path)
    process.hear(moved(1_000, START_MS + 5))
    desk.report(2_000.0, net_transfers=transfers_of(process))
    assert desk.judge(2.0).state is RiskState.RUNNING
    after, again = restarted(desk), Process(tmp_path, Venue(), now_ms=START_MS + 60_000)
    # 150 of the account's own money are lost; the limit is 100
    after.report(1_850.0, net_transfers=transfers_of(again))
    verdict = after.judge(3.0)
    assert verdict.state is RiskState.HALTED
    assert "session_loss" in verdict.reasons


def test_another_account_s_peak_is_no_drawdown_of_a_new_one(tmp_path: Path) -> None:
    desk, _ = running(tmp_path, 1_100.0)
    taken_up, new = restarted(desk), restarted(desk, is_new_account=True)
    for after in (taken_up, new):
        after.report(1_000.0)
    # the same fall of one account is a drawdown
    assert "drawdown" in taken_up.judge(3.0).reasons
    verdict = new.judge(3.0)
    assert (verdict.state, verdict.reasons) == (RiskState.RUNNING, ())
    assert new.guard.engine.session.figures.starting == 1_000.0


def test_a_halt_holds_for_a_new_account_too(tmp_path: Path) -> None:
    desk, _ = running(tmp_path, 1_100.0)
    desk.guard.engine.demand(reasons.OPERATOR_FLATTEN)
    assert desk.judge(2.0).state is RiskState.HALTED
    new = restarted(desk, is_new_account=True)
    new.report(1_000.0)
    assert new.judge(3.0).state is RiskState.HALTED


# -- the journal ---------------------------------------------------------------------------------------------------


class Node:
    """A node's monitor as a run opens it, told of the account, and closed."""

    def __init__(self, folder: Path, mode: str = "testnet") -> None:
        self.folder, self.mode = folder, mode

    def run(self, *totals: str, new_account: str = "", ts_ns: int = NS) -> tuple[str, ...]:
        node = NodeMonitor(
            load_config(CONFIGS / f"{self.mode}.yaml"), self.folder, coin="km:US500", environ={}
        )
        notes = node.open(new_account)
        for at, total in enumerate(totals):
            info: dict[str, Any] = {"equity": "1000.0", "net_transfers": total}
            node._on_account_state(SimpleNamespace(info=info, ts_init=ts_ns + at))
        assert node.monitor.journal.close()
        return notes

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / NAME)) as journal:
            return journal.execute(sql).fetchall()

    def payments(self) -> list[tuple[int, Decimal, int]]:
        found = self.rows("SELECT ts_ns, amount, run FROM payment WHERE kind = 'transfer' ORDER BY ts_ns")
        return [(int(ts_ns), Decimal(amount), int(run)) for ts_ns, amount, run in found]


def test_what_was_moved_while_no_node_ran_is_journaled_at_the_next_start(tmp_path: Path) -> None:
    node = Node(tmp_path)
    # what an older journal knew of is not for this one to book; what moves while it runs comes from the books
    node.run("-40.000000", "-100.000000")
    assert node.payments() == []
    node.run("400.000000", "400.000000", ts_ns=9 * NS)
    assert node.payments() == [(9 * NS, Decimal(500), 2)]
    node.run("400.000000", ts_ns=19 * NS)
    assert len(node.payments()) == 1


def test_a_paper_account_is_moved_by_nobody_while_no_node_runs(tmp_path: Path) -> None:
    node = Node(tmp_path, "paper")
    node.run("-100.000000")
    node.run("0.000000", ts_ns=9 * NS)
    assert node.payments() == []


@pytest.mark.parametrize(
    ("reason", "begun", "said"),
    [
        ("", [(1, "start")], "session 1 goes on as run 2"),
        (
            "a new paper account",
            [(1, "start"), (2, "a new paper account")],
            "session 2 begins with a new paper account, run 2",
        ),
    ],
)
def test_a_new_account_begins_a_session_of_the_journal(
    tmp_path: Path, reason: str, begun: list[tuple[int, str]], said: str
) -> None:
    node = Node(tmp_path, "paper")
    # of the first run there is no earlier account
    assert node.run(new_account="a new paper account") == ()
    assert node.run(new_account=reason) == (said,)
    assert node.rows("SELECT id, started_by FROM session ORDER BY id") == begun
    assert node.rows("SELECT id, session FROM run ORDER BY id") == [(1, 1), (2, len(begun))]
