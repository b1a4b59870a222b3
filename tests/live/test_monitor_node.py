"""The journal of a running node meets a full disk, flipped bytes and a kill: orders, position, PnL and halt are right afterwards."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.monitor.second_copy import COPY
from amm500_nautilus.runtime.cli import main
from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.exec_session import MID
from tests.live.exec_session import quiet_venue
from tests.live.test_reasons import QUICK_CLOCKS
from tests.live.test_reasons import back
from tests.live.test_reasons import sell_out
from tests.live.watched import ROOT
from tests.live.watched import Watched
from tests.live.watched import only


pytestmark = pytest.mark.live_node
PARTS = ("spread_capture", "adverse_selection", "inventory", "fees", "funding", "liquidation", "total")


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    with quiet_venue(generated_accounts=1, cadences=QUICK_CLOCKS) as running:
        yield running


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of two megabytes at this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def journaled(run: Watched) -> list[tuple[str, str, str]]:
    rows = run.rows("SELECT tid, price, size FROM fill ORDER BY tid")
    return [(str(tid), str(price), str(size)) for tid, price, size in rows]


def at_venue(run: Watched) -> list[tuple[str, str, str]]:
    fills = run.trading.fills()
    found = [(f"{row['time']}-{row['tid']}", plain(row["px"]), plain(row["sz"])) for row in fills]
    return sorted(found)


def plain(text: str) -> str:
    return f"{Decimal(text).normalize():f}"


def same_fills(run: Watched) -> bool:
    ours = sorted((tid, plain(price), plain(size)) for tid, price, size in journaled(run))
    return ours == at_venue(run)


def test_a_full_disk_lets_the_position_only_shrink_and_loses_nothing(
    venue: LoopbackVenue, tmp_path: Path
) -> None:
    run = Watched(venue, tmp_path)
    with small_disk(run.directory.path):

        def script(run: Watched) -> None:
            run.quoting()
            filler = run.monitor / "filler"
            handle = os.open(filler, os.O_WRONLY | os.O_CREAT)
            with contextlib.suppress(OSError):
                while os.write(handle, b"x" * 4_096):
                    pass
            os.close(handle)
            # something to journal that is more than the log's last page has room for
            sell_out(run)
            run.until(lambda: run.is_active("journal"), "the journal cannot be written")
            answer = run.status()
            assert answer is not None
            assert answer["state"] == "REDUCE_ONLY"
            assert answer["journal"]["failed"]
            run.until(lambda: not run.increasing(), "nothing rests that increases the position")
            assert answer["position"] == float(run.trading.position())
            filler.unlink()
            run.until(lambda: (run.status() or {})["journal"]["failed"] == "", "it is written again")
            assert "journal" in run.ask("resume")["ended"]
            run.quoting()
            run.until(lambda: same_fills(run), "every fill of the venue is in the journal")
            assert only(run.alerts("journal"))[2] == "sent"
            # what waited was written once
            assert len(run.raised("journal")) == 1
            twice = "SELECT ts_ns, state, reasons, count(*) FROM state GROUP BY 1, 2, 3 HAVING count(*) > 1"
            assert run.rows(twice) == []
            # the venue's mark comes every few seconds
            run.until(
                lambda: abs(venue_loss(run) - (run.status() or {})["session_loss"]) < 0.5,
                "the loss is the venue's",
            )

        run.play(script)
        assert run.rows("SELECT count(*) FROM run WHERE outcome IS NOT NULL") == [(1,)]


def venue_loss(run: Watched) -> float:
    """What the session lost, as the venue's own account says."""
    return 10_000 - float(run.trading.state()["marginSummary"]["accountValue"])


def flip(path: Path) -> None:
    """Turn some bytes in the middle of every page but the first."""
    data = bytearray(path.read_bytes())
    for page in range(1, len(data) // 4_096):
        for offset in range(page * 4_096 + 8, page * 4_096 + 24):
            data[offset] ^= 0xFF
    path.write_bytes(bytes(data))


def test_flipped_bytes_start_the_next_run_halted_with_the_venue_s_fills_and_the_session_s_loss(
    venue: LoopbackVenue, tmp_path: Path
) -> None:
    first = Watched(venue, tmp_path / "first", "live.on_end=hold")
    losses: list[float] = []

    def lose(run: Watched) -> None:
        run.quoting()
        sell_out(run)
        run.trading.move(MID + 3)
        run.until(lambda: (run.status() or {})["session_loss"] > 3, "the session lost")
        run.until(lambda: same_fills(run), "the fills are journaled")
        losses.append((run.status() or {})["session_loss"])

    first.play(lose)
    assert first.trading.position() < 0
    second = Watched(venue, tmp_path / "second")
    shutil.copytree(first.monitor, second.monitor)
    second.earlier = first.directory.path / "state"
    flip(second.monitor / NAME)

    def look(run: Watched) -> None:
        answer = run.until(lambda: _with(run, "journal_damaged"), "it starts halted")
        assert answer["state"] == "HALTED"
        assert run.resting() == []
        assert answer["position"] == float(run.trading.position())
        # what was lost before is still lost: the second copy had it
        assert answer["session_loss"] == pytest.approx(losses[0], abs=0.3)
        assert same_fills(run)
        run.until(lambda: run.posts("journal_damaged"), "a person is told")
        assert len(run.posts("journal_damaged")) == 1
        run.until(lambda: run.alerts("journal_damaged"), "the alert is journaled")
        assert len(run.raised("journal_damaged")) == 1
        said = [text for (text,) in run.rows("SELECT text FROM event WHERE kind = 'journal' ORDER BY id")]
        assert "it is kept as journal.damaged-" in said[0]
        assert any("read again from the venue" in text for text in said)
        back(run)
        assert run.ask("resume")["ended"] == ["journal_damaged"]
        run.until(lambda: (run.status() or {})["state"] == "RUNNING", "it runs again")

    second.play(look)
    assert [path.name for path in second.monitor.glob("journal.damaged-*.sqlite")]


def _with(run: Watched, reason: str) -> dict[str, Any] | None:
    answer = run.status()
    return answer if answer is not None and reason in answer["reasons"] else None


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a local run that was killed after its first fills."""
    folder = tmp_path_factory.mktemp("killed")
    out = folder / "run"
    command = [sys.executable, str(ROOT / "run_live.py"), str(ROOT / "configs" / "local.yaml"), "--quiet"]
    process = subprocess.Popen(
        [*command, "--duration", "1h", "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = folder / "run.partial" / "monitor" / NAME
    try:
        deadline = time.monotonic() + 800
        while (
            _count(journal, "SELECT count(*) FROM fill") < 1
            or _count(journal, "SELECT count(*) FROM equity") < 3
        ):
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline, "no fill and no third minute"
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    return out


def _count(journal: Path, sql: str) -> int:
    if not journal.is_file():
        return 0
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True, timeout=5)) as connection,
    ):
        return int(connection.execute(sql).fetchone()[0])
    return 0


@pytest.mark.soak
@pytest.mark.timeout(1_000)
def test_a_killed_run_s_report_is_rebuilt_from_its_journal(
    killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(killed)]) == 0
    out = killed.with_name("run-rebuilt")
    summary = json.loads((out / "summary.json").read_text())
    assert (out / "tearsheet.html").is_file()
    assert "SIMULATED DATA" in capsys.readouterr().out
    assert summary["rebuilt"]["outcome"] is None
    assert summary["pnl_check"]["ok"], summary["pnl_check"]
    assert summary["metrics"]["trades"] >= 1
    assert main(["report", str(killed)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert main(["analyze", str(killed)]) == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a whole run with fills, on a quiet venue."""
    folder = tmp_path_factory.mktemp("finished")

    def script(run: Watched) -> None:
        run.quoting()
        sell_out(run)
        run.trading.move(MID - 1)
        run.until(lambda: {row["side"] for row in run.trading.fills()} == {"A", "B"}, "our bids were taken")
        run.until(lambda: same_fills(run), "the fills are journaled")

    with quiet_venue(generated_accounts=1, cadences=QUICK_CLOCKS) as venue:
        run = Watched(venue, folder)
        run.play(script)
    from amm500_nautilus.report.summary import write_summary  # noqa: PLC0415

    write_summary(run.directory.path, run.context)
    return run.directory.finish()


def test_what_is_rebuilt_from_the_journal_is_what_the_run_wrote_itself(
    finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    assert main(["report", str(finished), "--run", "1", "--out", str(out)]) == 0
    again, before = (json.loads((folder / "summary.json").read_text()) for folder in (out, finished))
    assert again["pnl_check"]["ok"], again["pnl_check"]
    for name in PARTS:
        assert again["pnl"][name] == pytest.approx(before["pnl"][name], abs=1e-6), name
    for name in ("trades", "volume", "maker_ratio", "net_pnl", "closes", "win_rate"):
        assert again["metrics"][name] == pytest.approx(before["metrics"][name], rel=1e-9), name
    assert again["data"]["source"] == before["data"]["source"]
    assert again["actions"]["sent"] == before["actions"]["sent"]
    columns = ["trade_id", "last_px", "last_qty", "fee", "position_after"]
    fills, theirs = (pd.read_csv(folder / "fills.csv")[columns] for folder in (out, finished))
    pd.testing.assert_frame_equal(fills, theirs)


def test_a_second_copy_that_is_damaged_too_is_not_believed(tmp_path: Path) -> None:
    from amm500_nautilus.monitor.second_copy import read_copy  # noqa: PLC0415
    from amm500_nautilus.monitor.second_copy import write_copy  # noqa: PLC0415

    values = {"strategy.amm500": b"\x00state", "strategy.more": b""}
    write_copy(tmp_path, values)
    assert read_copy(tmp_path) == values
    text = (tmp_path / COPY).read_text()
    for bad in (text[:-5], text.replace("AHN0", "BHN0"), "[]", '{"values": 3, "sha256": ""}', ""):
        assert bad != text
        (tmp_path / COPY).write_text(bad)
        assert read_copy(tmp_path) == {}
    (tmp_path / COPY).unlink()
    assert read_copy(tmp_path) == {}
