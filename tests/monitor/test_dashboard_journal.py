"""What the dashboard reads: the newest, from a file that it never writes, in as few steps for a long journal as for a short one."""

import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.monitor import dashboard_journal
from amm500_nautilus.monitor.dashboard_buckets import MOST_POINTS
from amm500_nautilus.monitor.dashboard_buckets import width_ns
from amm500_nautilus.monitor.dashboard_figures import Figure
from amm500_nautilus.monitor.dashboard_figures import bands
from amm500_nautilus.monitor.dashboard_figures import charts
from amm500_nautilus.monitor.dashboard_figures import markouts
from amm500_nautilus.monitor.dashboard_files import connect_read_only
from amm500_nautilus.monitor.dashboard_files import find_journal
from amm500_nautilus.monitor.dashboard_journal import MOST_FILLS
from amm500_nautilus.monitor.dashboard_journal import RANGES_S
from amm500_nautilus.monitor.dashboard_journal import JournalView
from amm500_nautilus.monitor.dashboard_layout import head
from amm500_nautilus.monitor.dashboard_layout import tiles
from amm500_nautilus.monitor.errors import JournalError
from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.monitor.schema import VERSION
from amm500_nautilus.monitor.schema import prepare
from benchmarks.dashboard import write_journal
from tests.monitor.dashboard_scene import NS
from tests.monitor.dashboard_scene import written
from tests.risk.views import T0


@pytest.fixture(autouse=True)
def always_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot serves nobody a second time."""
    monkeypatch.setattr(dashboard_journal, "FRESH_S", 0.0)


def lines(figure: Figure) -> list[dict[str, Any]]:
    return [line for group in figure["groups"] for line in group["lines"]]


def steps_of(view: JournalView, shown: str) -> int:
    """SQLite's own work for one snapshot, in hundreds of its instructions."""
    view.snapshot(shown)
    connection = view._connection
    assert connection is not None
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    connection.set_progress_handler(count, 100)
    view.snapshot(shown)
    connection.set_progress_handler(None, 0)
    return counted[0]


def test_a_refresh_costs_as_much_after_forty_thousand_rows_as_after_four(tmp_path: Path) -> None:
    end = T0 + 10**9 * NS
    small, large = tmp_path / "small", tmp_path / "large"
    assert 4_000 <= write_journal(small, 4_000, end_ns=end) < 4_100
    assert 40_000 <= write_journal(large, 40_000, end_ns=end) < 40_100
    for shown in RANGES_S:
        views = [JournalView(folder, lambda: end) for folder in (small, large)]
        few, many = (steps_of(view, shown) for view in views)
        for view in views:
            view.close()
        # a scan of the longer one would be ten times the work
        assert many < 3 * few + 20, shown


def test_no_range_has_more_points_than_a_chart_and_no_spike_of_margin_is_lost(tmp_path: Path) -> None:
    end = T0 + 10**9 * NS
    write_journal(tmp_path, 30_000, end_ns=end)
    with sqlite3.connect(tmp_path / NAME) as connection:
        (at,) = connection.execute("SELECT ts_ns FROM equity ORDER BY ts_ns LIMIT 1 OFFSET 777").fetchone()
        connection.execute("UPDATE equity SET margin_ratio = 0.93, drawdown = 0.04 WHERE ts_ns = ?", (at,))
    connection.close()
    view = JournalView(tmp_path, lambda: end)
    snapshot = view.snapshot("all")
    assert len(snapshot.quotes) <= MOST_POINTS + 1
    assert len(snapshot.fills) <= 2 * (MOST_POINTS + 1)
    assert snapshot.n_fills == len(snapshot.fills) or snapshot.n_fills > MOST_FILLS
    figures = charts(snapshot, "all")
    assert max(value for value in lines(figures["margin"])[0]["y"] if value is not None) == 93.0
    assert min(value for value in lines(figures["drawdown"])[0]["y"] if value is not None) == -4.0
    drawn = [each for figure in figures.values() for each in figure["groups"] + figure.get("points", [])]
    sizes = [len(each["x"]) for each in drawn]
    # a minute and both sides' fills of each bucket
    assert max(sizes) <= 3 * (MOST_POINTS + 1)
    view.close()


@pytest.mark.parametrize("seconds", [1, 59, 3_600, 86_400, 7 * 86_400, 90 * 86_400, 4_000 * 86_400])
def test_a_bucket_is_as_wide_as_it_must_be(seconds: int) -> None:
    width = width_ns(seconds * NS)
    assert seconds * NS / width <= MOST_POINTS
    assert width == NS or seconds * NS / (width / 4) > MOST_POINTS


def test_a_look_again_sees_what_came_late_as_a_fresh_look_does(tmp_path: Path) -> None:
    with written(tmp_path) as scene:
        view = JournalView(tmp_path, lambda: scene.ns)
        view.snapshot("1h")
        for number in range(5):
            scene.ns += 20 * NS
            # booked a while after its time
            scene.fill(1, "690.5", at=scene.ns - 15 * NS, bps=number)
            scene.minute(scene.ns)
            assert scene.journal.flush()
            seen = view.snapshot("1h")
        fresh = JournalView(tmp_path, lambda: scene.ns)
        again = fresh.snapshot("1h")
        for name in ("minutes", "peaks", "quotes", "fills", "markouts", "states", "latest_fills"):
            assert getattr(seen, name) == getattr(again, name), name
        assert seen.n_fills == 5
        view.close()
        fresh.close()


def test_markouts_are_weighted_by_size_and_leave_out_fills_without_their_last_minute(tmp_path: Path) -> None:
    with written(tmp_path) as scene:
        scene.fill(1, "690", "1", bps=0.1)
        scene.ns += NS
        scene.fill(-1, "690", "3", bps=-0.3)
        scene.ns += NS
        scene.fill(1, "690", "50", bps=9.0)
        assert scene.journal.flush()
        with sqlite3.connect(scene.journal.path) as connection:
            connection.execute("DELETE FROM markout WHERE tid = '3' AND horizon_s = 60")
        connection.close()
        view = JournalView(tmp_path, lambda: scene.ns)
        found = markouts(view.snapshot("all"))
        assert found[5] == pytest.approx({"all": (0.5 - 3 * 1.5) / 4, "bought": 0.5, "sold": -1.5})
        assert set(found) == {1, 5, 30, 60}
        view.close()


def test_fills_beyond_a_few_are_drawn_by_bucket_with_their_number_and_mean_price(tmp_path: Path) -> None:
    with written(tmp_path, minutes=2) as scene:
        for number in range(MOST_FILLS + 50):
            scene.fill(1, "690.0" if number % 2 else "691.0", "0.5", at=scene.ns + number)
        scene.ns += NS
        assert scene.journal.flush()
        view = JournalView(tmp_path, lambda: scene.ns)
        snapshot = view.snapshot("24h")
        assert [row[1:5] for row in snapshot.fills] == [(1, 350, 175.0, 690.5)]
        assert snapshot.n_fills == 350
        view.close()


def test_the_journal_is_found_wherever_a_run_keeps_it_and_follows_the_run_to_its_last_name(
    tmp_path: Path,
) -> None:
    partial = tmp_path / "run.partial"
    with written(partial / "monitor") as scene:
        assert find_journal(tmp_path / "run") == partial / "monitor" / NAME
        assert find_journal(partial) == find_journal(partial / "monitor") == scene.journal.path
        view = JournalView(tmp_path / "run", lambda: scene.ns)
        assert view.snapshot("all").run["name"] == "scene"
    partial.rename(tmp_path / "run")
    assert view.snapshot("all").run["name"] == "scene"
    assert find_journal(partial) == tmp_path / "run" / "monitor" / NAME
    assert find_journal(tmp_path / "none") is None
    view.close()


def test_a_journal_that_is_replaced_is_read_from_its_beginning(tmp_path: Path) -> None:
    with written(tmp_path, minutes=3) as scene:
        view = JournalView(tmp_path, lambda: T0 + 600 * NS)
        assert len(view.snapshot("all").minutes) == 3
    scene.journal.path.rename(tmp_path / "journal.damaged.sqlite")
    with pytest.raises(JournalError, match="no journal is here"):
        view.snapshot("all")
    with written(tmp_path, minutes=5):
        assert len(view.snapshot("all").minutes) == 5
    view.close()


def test_the_connection_cannot_write_and_the_writer_never_waits_for_it(tmp_path: Path) -> None:
    with written(tmp_path) as scene:
        connection = connect_read_only(scene.journal.path)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM fill")
        view = JournalView(tmp_path, lambda: scene.ns)
        for number in range(20):
            scene.fill(1, "690", at=scene.ns + number)
            assert scene.journal.flush()
            view.snapshot("all")
        assert scene.journal.failed == ""
        # a change of state folds the log into the file, a reader or not
        scene.state("PAUSED", "book_stale")
        assert scene.journal.flush()
        assert (tmp_path / f"{NAME}-wal").stat().st_size == 0
        connection.close()
        view.close()


def test_a_finished_run_can_be_looked_at_where_nothing_may_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with written(folder) as scene:
        pass
    for tail in ("-wal", "-shm"):
        (folder / f"{NAME}{tail}").unlink(missing_ok=True)
    scene.journal.path.chmod(stat.S_IRUSR)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        before = sorted(folder.iterdir())
        view = JournalView(folder, lambda: scene.ns)
        assert len(view.snapshot("all").minutes) == 30
        view.close()
        if os.getuid() != 0:
            assert sorted(folder.iterdir()) == before
    finally:
        folder.chmod(stat.S_IRWXU)


def test_what_is_no_journal_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"not SQLite at all, only long enough to be looked at" * 20)
    with pytest.raises(JournalError, match="not a journal"):
        JournalView(tmp_path).snapshot("all")
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(JournalError, match="not a journal"):
        JournalView(foreign).snapshot("all")
    newer = tmp_path / "newer"
    with written(newer, minutes=1) as scene:
        pass
    with sqlite3.connect(scene.journal.path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(JournalError, match=f"version {VERSION + 1}"):
        JournalView(newer).snapshot("all")


def test_a_journal_of_the_first_version_is_shown_without_its_pnl_parts(tmp_path: Path) -> None:
    with written(tmp_path) as scene:
        pass
    with sqlite3.connect(scene.journal.path) as connection:
        for name in dashboard_journal.PARTS:
            connection.execute(f"ALTER TABLE equity DROP COLUMN pnl_{name}")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    view = JournalView(tmp_path, lambda: scene.ns)
    figures = charts(view.snapshot("all"), "all")
    assert figures["pnl"]["groups"] == []
    assert len(lines(figures["equity"])[0]["y"]) >= 30
    view.close()


def test_an_empty_journal_shows_a_page_and_no_figures(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / NAME)
    prepare(connection)
    connection.close()
    view = JournalView(tmp_path, lambda: T0)
    for shown in RANGES_S:
        snapshot = view.snapshot(shown)
        assert lines(charts(snapshot, shown)["price"])[2]["y"] == []
        assert "NO RUN" in str(head(snapshot))
        assert tiles(snapshot)
    view.close()


def test_a_quote_before_the_first_book_has_no_mid(tmp_path: Path) -> None:
    with written(tmp_path, minutes=2) as scene:
        scene.journal.write("quote", ts_ns=T0 - 5 * NS, run=1, mid=0.0, n_bids=0, n_asks=0)
        scene.run(number=2, started_ns=T0 - 10 * NS)
        assert scene.journal.flush()
        view = JournalView(tmp_path, lambda: scene.ns)
        mids = lines(charts(view.snapshot("all"), "all")["price"])[2]["y"]
        assert mids == [None, 690.0, 690.02]
        view.close()


def test_lines_break_where_no_node_ran_and_parts_count_from_the_start_of_the_range(tmp_path: Path) -> None:
    with written(tmp_path, minutes=10) as scene:
        hour = T0 + 3_600 * NS
        for minute in range(10):
            scene.minute(hour + minute * 60 * NS)
        scene.ns = hour + 600 * NS
        scene.read()
        assert scene.journal.flush()
        view = JournalView(tmp_path, lambda: scene.ns)
        figures = charts(view.snapshot("all"), "all")
        equity = lines(figures["equity"])[0]["y"]
        assert equity.count(None) == 1
        recent = view.snapshot("1h")
        total = lines(charts(recent, "1h")["pnl"])[-1]["y"]
        # the last minute before the range is number 9 of the first ten
        assert recent.before is not None
        assert total[-1] == pytest.approx(6.9 - 0.9)
        view.close()


@pytest.mark.parametrize(
    ("mode", "word"),
    [("local", "SIMULATED"), ("paper", "PAPER"), ("testnet", "TESTNET"), ("live", "real money")],
)
def test_the_head_says_what_money_this_is(mode: str, word: str, tmp_path: Path) -> None:
    with written(tmp_path, mode=mode, minutes=1) as scene:
        view = JournalView(tmp_path, scene.now_ns)
        text = str(head(view.snapshot("all")))
        assert word in text
        assert ("no real money" in text) == (mode != "live")
        view.close()


def test_a_node_that_is_silent_or_over_is_not_shown_as_running(tmp_path: Path) -> None:
    with written(tmp_path) as scene:
        view = JournalView(tmp_path, lambda: scene.ns)
        assert "'RUNNING'" in str(head(view.snapshot("all")))
        last = scene.ns
        scene.ns += 40 * NS
        text = str(head(view.snapshot("all")))
        assert "SILENT" in text
        assert "40 s ago" in text
        scene.ns += 3_600 * NS
        # the charts end where the node did
        assert view.snapshot("1h").end_ns == last
        scene.run(ended_ns=last + NS, outcome="halted")
        assert scene.journal.flush()
        snapshot = view.snapshot("1h")
        assert snapshot.end_ns == last + NS
        assert "ENDED" in str(head(snapshot))
        assert ": halted" in str(head(snapshot))
        # its last reading was before it canceled what rested
        assert "689.9 / 690.1" not in str(tiles(snapshot))
        assert str(tiles(snapshot)).count("the run is over") == 2
        view.close()


def test_times_of_another_state_are_shaded_and_short_ones_together(tmp_path: Path) -> None:
    with written(tmp_path) as scene:
        for second in range(0, 40, 2):
            scene.state("PAUSED", "book_stale", at=T0 + (600 + second) * NS)
            scene.state("RUNNING", at=T0 + (601 + second) * NS)
        scene.state("HALTED", "drawdown", at=T0 + 1_500 * NS)
        assert scene.journal.flush()
        view = JournalView(tmp_path, lambda: scene.ns)
        shapes = bands(view.snapshot("all"))
        spans = [((start * 10**6 - T0) // NS, (end * 10**6 - T0) // NS) for start, end, _ in shapes]
        assert spans == [(600, 639), (1_500, 1_800)]
        assert len({color for _, _, color in shapes}) == 2
        view.close()
