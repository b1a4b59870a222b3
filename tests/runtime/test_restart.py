"""What a crashed run hands to the next start of the same configuration, by a real journal."""

from pathlib import Path

import pytest

from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.runtime.node.deadline import Deadline
from amm500_nautilus.runtime.node.restart import Crashed
from amm500_nautilus.runtime.node.restart import crashed_run


HASH = "a" * 64
NS = 10**9
START = 1_790_000_000 * NS
WEEK_S = 7 * 86_400.0


def leave(
    state: Path, outcome: str | None, *, number: int = 1, gate: str = "passed", is_over: bool = False
) -> None:
    """Let a run end in a state folder; None is a process that was killed."""
    journal = Journal(state / "monitor")
    journal.open()
    row = {
        "name": "n",
        "mode": "live",
        "coin": "km:US500",
        "account": "0x1",
        "config_hash": HASH,
        "version": "1",
    }
    journal.write("run", id=number, session=1, started_ns=START, pid=1, outcome=outcome, **row)
    journal.write("event", ts_ns=START, run=number, kind="paper_gate", text=gate)
    end = Deadline(journal, config_hash=HASH, duration_s=WEEK_S, now_ns=START)
    end.begin(START)
    if is_over:
        end.done(START)
    assert journal.close()


@pytest.mark.parametrize("outcome", [None, "failed"])
def test_a_crashed_run_s_gate_and_end_are_known(tmp_path: Path, outcome: str | None) -> None:
    leave(tmp_path, outcome)
    found = crashed_run(tmp_path, HASH)
    assert found == Crashed("passed", START + int(WEEK_S * NS))
    # an agent must outlive what is left, not a whole length more
    assert found.left_s(START + 6 * 86_400 * NS, WEEK_S) == 86_400.0
    assert found.left_s(START + int(WEEK_S * NS) + 60 * NS, WEEK_S) == 0.0


def test_a_run_that_is_begun_anew_after_a_crash_long_ago_has_its_whole_length_left(tmp_path: Path) -> None:
    leave(tmp_path, None)
    found = crashed_run(tmp_path, HASH)
    assert found is not None
    now_ns = START + 30 * 86_400 * NS
    journal = Journal(tmp_path / "monitor")
    journal.open()
    # as the run itself will count: the agent's end is judged by nothing else
    deadline = Deadline(journal, config_hash=HASH, duration_s=WEEK_S, now_ns=now_ns)
    assert found.left_s(now_ns, WEEK_S) == deadline.left_s(now_ns) == WEEK_S
    assert journal.close()


@pytest.mark.parametrize("outcome", ["done", "stopped", "halted"])
def test_a_run_that_ended_in_good_order_hands_nothing_on(tmp_path: Path, outcome: str) -> None:
    leave(tmp_path, outcome)
    assert crashed_run(tmp_path, HASH) is None


def test_another_configuration_hands_nothing_on(tmp_path: Path) -> None:
    leave(tmp_path, None)
    assert crashed_run(tmp_path, "b" * 64) is None


def test_only_the_last_run_counts(tmp_path: Path) -> None:
    leave(tmp_path, None, gate="first")
    leave(tmp_path, "done", number=2, gate="second")
    assert crashed_run(tmp_path, HASH) is None


def test_a_crash_after_its_time_has_no_end_left(tmp_path: Path) -> None:
    leave(tmp_path, None, is_over=True)
    found = crashed_run(tmp_path, HASH)
    assert found is not None
    assert found.left_s(START, WEEK_S) == WEEK_S


def test_a_folder_without_a_journal_or_with_a_damaged_one_knows_of_no_crash(tmp_path: Path) -> None:
    assert crashed_run(tmp_path, HASH) is None
    (tmp_path / "monitor").mkdir()
    (tmp_path / "monitor" / "journal.sqlite").write_bytes(b"x" * 5_000)
    assert crashed_run(tmp_path, HASH) is None
