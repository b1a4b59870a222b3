"""A local run for hours: its memory stays, its cycles stay short, it warns of nothing, and its journal is the venue's own account."""

import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.runtime.node.endpoint import LoopbackProcess


pytestmark = [pytest.mark.soak, pytest.mark.live_node, pytest.mark.timeout(0)]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = int(os.environ.get("SOAK_SECONDS", "7200"))
SAMPLE_S = 5.0
# warnings that are so by design, each with its reason
EXPLAINED = (
    # a new account has not traded a million
    r"deadman: no dead-man's switch below",
    # a fill was faster than the change of its order: the venue says so, and the fill is booked
    r"OrderModifyRejected\(.*reason='Order with ClientOrderId\('O-[^']*'\) already closed'",
    # the engine's word for its own tasks when the node is put away
    r"Task '\w+' was cancelled",
)


def memory_mb(pid: int) -> float | None:
    """Return the resident memory of a process; None of one that has just ended."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return None if found is None else int(found[1]) / 1_024


def fills_at(url: str, user: str) -> list[dict[str, Any]]:
    """Return every fill of the account, as the venue tells it."""
    body = json.dumps({"type": "userFillsByTime", "user": user, "startTime": 0}).encode()
    request = urllib.request.Request(f"{url}/info", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        found: list[dict[str, Any]] = json.loads(reply.read())
    return found


def plain(text: str) -> str:
    return f"{Decimal(text).normalize():f}"


def test_a_run_of_hours_is_as_good_at_its_end_as_at_its_beginning(tmp_path: Path) -> None:
    samples: list[tuple[float, float]] = []
    venue = LoopbackProcess(flow="simulated", equity="10000", seed=7, dex="km", coin="km:US500", block_ms=70)
    with venue:
        endpoint = venue.endpoint()
        out = tmp_path / "run"
        told = {
            "url": endpoint.url,
            "ws_url": endpoint.ws_url,
            "user": endpoint.user,
            "key": endpoint.key,
            "config": str(ROOT / "configs" / "local.yaml"),
            "seconds": SECONDS,
            "out": str(out),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.local_child"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))},
        )
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
            began = time.monotonic()
            while process.poll() is None:
                assert time.monotonic() - began < SECONDS + 300, "the run did not end"
                if (memory := memory_mb(process.pid)) is not None:
                    samples.append((time.monotonic() - began, memory))
                time.sleep(SAMPLE_S)
        finally:
            process.kill()
            _, errors = process.communicate()
        assert process.returncode == 0, errors
        fills = fills_at(endpoint.url, endpoint.user)
    run = tmp_path / "run.partial"
    report(run, samples, fills)
    check_journal(run, fills)
    check_warnings(run)
    check_memory(samples)
    check_cycles(run)


def report(run: Path, samples: list[tuple[float, float]], fills: list[dict[str, Any]]) -> None:
    """Print what was measured."""
    took, busy = cycles(run)
    first, last = flat(samples)
    print(
        f"\n{SECONDS} s: {len(took)} cycles, p50 {took[len(took) // 2] * 1e3:.2f} ms, p99 {p99(took) * 1e3:.2f} ms "
        f"(on the processor {p99(busy) * 1e3:.2f} ms; load {os.getloadavg()[1]:.1f}); "
        f"memory {first:.1f} MB, then {last:.1f} MB ({last / first - 1:+.2%}); {len(fills)} fills"
    )


def flat(samples: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the median memory of the second and the last quarter; the first is the warm-up."""
    end = samples[-1][0]
    running = [(at, memory) for at, memory in samples if at <= min(end, SECONDS)]
    quarter = SECONDS / 4
    return (
        statistics.median(memory for at, memory in running if quarter <= at < 2 * quarter),
        statistics.median(memory for at, memory in running if at >= 3 * quarter),
    )


def check_memory(samples: list[tuple[float, float]]) -> None:
    first, last = flat(samples)
    assert abs(last / first - 1) < 0.05, f"{first:.1f} MB, then {last:.1f} MB"


def cycles(run: Path) -> tuple[list[float], list[float]]:
    """Return what each cycle took by the clock and on the processor, seconds, the longest last."""
    found = json.loads((run / "cycles.json").read_text())
    return sorted(found["wall"]), sorted(found["cpu"])


def p99(values: list[float]) -> float:
    return values[int(len(values) * 0.99)]


def check_cycles(run: Path) -> None:
    took, _ = cycles(run)
    # the first second of a run may be late, none may be missing for long
    assert len(took) > SECONDS * 0.95
    # by the clock: on a machine that others keep busy this says as much of them
    assert p99(took) < 0.020


def check_warnings(run: Path) -> None:
    lines = [line for path in (run / "log").glob("node*.log") for line in path.read_text().splitlines()]
    loud = [line for line in lines if re.search(r"\[(WARN|WARNING|ERROR)\]", line)]
    unexplained = [line for line in loud if not any(re.search(pattern, line) for pattern in EXPLAINED)]
    assert unexplained == []
    # one line of status a minute
    assert sum("actions sent" in line for line in lines) >= SECONDS // 60 - 1


def check_journal(run: Path, fills: list[dict[str, Any]]) -> None:
    connection = sqlite3.connect(f"{(run / 'monitor' / 'journal.sqlite').as_uri()}?mode=ro", uri=True)
    try:
        ours = connection.execute(
            "SELECT tid, side, price, size, fee, position FROM fill ORDER BY rowid"
        ).fetchall()
        (outcome,) = connection.execute("SELECT outcome FROM run").fetchone()
        minutes = connection.execute("SELECT count(*) FROM equity").fetchone()[0]
        lost = connection.execute("SELECT count(*) FROM event WHERE text LIKE '%refused%'").fetchone()[0]
    finally:
        connection.close()
    theirs = sorted(
        (
            f"{row['time']}-{row['tid']}",
            1 if row["side"] == "B" else -1,
            plain(row["px"]),
            plain(row["sz"]),
            plain(row["fee"]),
        )
        for row in fills
    )
    assert theirs
    assert (
        sorted((tid, side, plain(px), plain(size), plain(fee)) for tid, side, px, size, fee, _ in ours)
        == theirs
    )
    # it was closed at the end, and both know it
    assert Decimal(ours[-1][5]) == 0
    assert outcome == "done"
    assert minutes >= SECONDS // 60
    assert lost == 0
