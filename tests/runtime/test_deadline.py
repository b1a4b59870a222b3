"""The end of a run over restarts, kept by a real journal."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.runtime.node.deadline import GRACE_NS
from amm500_nautilus.runtime.node.deadline import NS
from amm500_nautilus.runtime.node.deadline import Deadline


START = 1_790_000_000 * NS
WEEK_S = 7 * 86_400.0
HASH = "a" * 64


@contextmanager
def deadline(
    folder: Path, at_s: float, *, config_hash: str = HASH, duration_s: float = WEEK_S
) -> Iterator[Deadline]:
    """The end as a process sees it that starts so long after the first."""
    journal = Journal(folder)
    journal.open()
    try:
        yield Deadline(journal, config_hash=config_hash, duration_s=duration_s, now_ns=START + int(at_s * NS))
    finally:
        assert journal.close()


def test_the_time_counts_from_when_it_begins_to_quote(tmp_path: Path) -> None:
    with deadline(tmp_path, 0) as end:
        assert not end.is_restored
        assert end.begin(START + 30 * NS) == WEEK_S
        assert end.left_s(START + 40 * NS) == WEEK_S - 10


def test_a_restart_keeps_the_end(tmp_path: Path) -> None:
    with deadline(tmp_path, 0) as end:
        end.begin(START)
    for at in (3_600.0, 86_400.0):
        with deadline(tmp_path, at) as end:
            assert end.is_restored
            assert end.begin(START + int(at * NS)) == WEEK_S - at


def test_a_restart_just_after_the_end_has_no_time_left(tmp_path: Path) -> None:
    with deadline(tmp_path, 0, duration_s=60) as end:
        end.begin(START)
    with deadline(tmp_path, 70, duration_s=60) as end:
        assert end.is_restored
        assert end.begin(START + 70 * NS) == 0


def test_a_run_that_was_over_long_ago_is_begun_anew(tmp_path: Path) -> None:
    with deadline(tmp_path, 0, duration_s=60) as end:
        end.begin(START)
    with deadline(tmp_path, 61 + GRACE_NS / NS, duration_s=60) as end:
        assert not end.is_restored


def test_a_run_that_has_had_its_time_leaves_no_end_behind(tmp_path: Path) -> None:
    with deadline(tmp_path, 0, duration_s=60) as end:
        end.begin(START)
        end.done(START + 60 * NS)
    with deadline(tmp_path, 61, duration_s=60) as end:
        assert not end.is_restored


def test_another_configuration_has_an_end_of_its_own(tmp_path: Path) -> None:
    with deadline(tmp_path, 0) as end:
        end.begin(START)
    with deadline(tmp_path, 60, config_hash="b" * 64) as end:
        assert not end.is_restored


def test_an_end_further_away_than_the_whole_run_is_not_believed(tmp_path: Path) -> None:
    with deadline(tmp_path, 0, duration_s=3_600) as end:
        end.begin(START)
    # the clock was set back by two hours
    with deadline(tmp_path, -7_200, duration_s=3_600) as end:
        assert not end.is_restored
