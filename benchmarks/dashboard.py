"""What the dashboard costs on a long journal: its queries cold and warm, and the page in a real browser."""

import argparse
import contextlib
import json
import os
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from amm500_nautilus.monitor.dashboard_journal import RANGES_S
from amm500_nautilus.monitor.dashboard_journal import JournalView
from amm500_nautilus.monitor.dashboard_page import Drawing
from amm500_nautilus.monitor.dashboard_server import DashboardServer
from amm500_nautilus.monitor.dashboard_server import ServerSettings
from amm500_nautilus.monitor.desk import Reading
from amm500_nautilus.monitor.desk import plain_reading
from amm500_nautilus.monitor.heartbeat import Heartbeat
from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.monitor.schema import prepare


NS = 1_000_000_000
BAR_S = 2.0
ROWS = 500_000
# rows a minute: 12 quotes, 1 equity; and a fill with its five markouts every two
_QUOTE_S, _EQUITY_S, _FILL_S = 5, 60, 120
HORIZONS_S = (0, 1, 5, 30, 60)
CHARTS = 8
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def write_journal(folder: Path, rows: int, *, end_ns: int | None = None, seed: int = 1) -> int:
    """
    Write a journal of a made-up random walk, as long as it takes for so many rows, and return how many there are.

    Nothing in it was traded or recorded: it has the shape and size of a journal, for measuring.
    """
    folder.mkdir(parents=True, exist_ok=True)
    end = time.time_ns() if end_ns is None else end_ns
    per_minute = 60 / _QUOTE_S + 1 + 60 / _FILL_S * (1 + len(HORIZONS_S))
    minutes = int(rows / per_minute) + 1
    start = end - minutes * 60 * NS
    connection = sqlite3.connect(folder / NAME, isolation_level=None)
    with contextlib.closing(connection):
        prepare(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO session VALUES (1, ?, 'start')", (start,))
        connection.execute(
            "INSERT INTO run VALUES (1, 1, ?, NULL, NULL, 'made-up', 'local', 'km:US500', '0x0', '0', 0, '0')",
            (start,),
        )
        connection.execute("INSERT INTO state VALUES (1, ?, 1, 'RUNNING', '')", (start,))
        _fill(connection, start, minutes, random.Random(seed))
        reading = Reading(ts_ns=end, state="RUNNING", equity=10_000.0, position=0.0, mid=690.0)
        value = json.dumps(plain_reading(reading)).encode()
        connection.execute(
            "INSERT INTO saved VALUES ('reading', ?, ?, ?)", (end, value, sha256(value).hexdigest())
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        tables = ("equity", "quote", "fill", "markout")
        return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


def _fill(connection: sqlite3.Connection, start: int, minutes: int, chance: random.Random) -> None:
    mid, position, equity, fills = 690.0, 0.0, 10_000.0, 0
    for second in range(0, minutes * 60, _QUOTE_S):
        ts_ns = start + second * NS
        before, mid = mid, mid + chance.gauss(0, 0.03)
        equity += position * (mid - before)
        connection.execute(
            "INSERT INTO quote VALUES (?, 1, ?, ?, ?, 15, 15, 'quoting', '')",
            (ts_ns, mid - 0.1, mid + 0.1, mid),
        )
        if second % _FILL_S == 0:
            side = -1 if position > 1 else 1 if position < -1 else chance.choice((1, -1))
            position, fills = position + side * 0.4, fills + 1
            price = mid - side * 0.02
            key = (ts_ns, "km:US500", str(fills))
            connection.execute(
                "INSERT INTO fill VALUES (?, ?, ?, 1, 'O-1', ?, ?, '0.4', '0.01', '0', 1, ?, ?)",
                (*key, side, f"{price:.2f}", f"{position:.1f}", mid),
            )
            for horizon in HORIZONS_S:
                connection.execute(
                    "INSERT INTO markout VALUES (?, ?, ?, ?, ?)", (*key, horizon, chance.gauss(-0.1, 1))
                )
        if second % _EQUITY_S == 0:
            drop = max(0.0, (10_000.0 - equity) / 10_000.0)
            connection.execute(
                "INSERT INTO equity VALUES (?, 1, 1, ?, ?, ?, ?, 10, 10, ?, 0.001, ?, 0, 0, 0, 0, NULL, 10, 1, 9000, ?, ?, 'RUNNING', "
                "0.1, -0.1, ?, -0.1, 0, 0, ?)",
                (
                    ts_ns,
                    equity,
                    equity,
                    position,
                    mid,
                    abs(position) * mid / 10 / equity,
                    drop,
                    second // 10,
                    fills,
                    equity - 10_000,
                    equity - 10_000,
                ),
            )


def loop_us() -> tuple[float, float]:
    """Return the median and the least wall time of a bare loop of 1,000 additions: how busy this machine is."""
    times = []
    for _ in range(2_000):
        began = time.perf_counter_ns()
        total = 0
        for n in range(1_000):
            total += n
        times.append((time.perf_counter_ns() - began) / 1_000)
    return statistics.median(times), min(times)


def queries(place: Path) -> None:
    print(f"{'range':8}{'cold, s':>10}{'again, s':>10}{'figures, s':>12}{'points':>8}")
    for name in RANGES_S:
        view = JournalView(place)
        began = time.perf_counter()
        view.snapshot(name)
        cold = time.perf_counter() - began
        time.sleep(1.0)
        began = time.perf_counter()
        snapshot = view.snapshot(name)
        again = time.perf_counter() - began
        began = time.perf_counter()
        Drawing(view).update(0, name, None)
        drawn = time.perf_counter() - began
        view.close()
        print(f"{name:8}{cold:10.3f}{again:10.3f}{drawn:12.3f}{len(snapshot.quotes):8}")


@contextlib.contextmanager
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not where there is no browser

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        try:
            yield found
        finally:
            found.close()


def renderer_cpu_s() -> float:
    """Return the CPU time of this process's browser pages so far, seconds; 0 where there is no /proc."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if b"--type=renderer" in stat.with_name("cmdline").read_bytes() and _is_ours(
                int(stat.parent.name)
            ):
                fields = stat.read_text().rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _is_ours(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return False


def page(place: Path, repeats: int) -> float:
    """Return the best time in which a new page has drawn every chart, seconds."""
    links: list[str] = []
    began = time.perf_counter()
    server = DashboardServer(JournalView(place), ServerSettings(), links.append)
    server.start()
    print(f"server ready after {time.perf_counter() - began:.2f} s")
    rows = []
    try:
        with browser() as found:
            context = found.new_context(viewport={"width": 1400, "height": 1000})
            first = context.new_page()
            first.goto(links[0])
            first.wait_for_url(f"{server.url}/")
            first.close()
            for _ in range(repeats):
                tab = context.new_page()
                drawn = tab.locator(".js-plotly-plot .cartesianlayer .subplot.xy .trace")
                charts = tab.locator(".js-plotly-plot:has(.cartesianlayer .subplot.xy .trace)")
                used, began = renderer_cpu_s(), time.perf_counter()
                tab.goto(f"{server.url}/")
                drawn.first.wait_for(state="attached")
                chart_s = time.perf_counter() - began
                charts.nth(CHARTS - 1).wait_for(state="attached")
                rows.append((chart_s, time.perf_counter() - began, renderer_cpu_s() - used))
                tab.close()
    finally:
        server.close()
    print(f"{'first chart, s':>16}{'all charts, s':>16}{'CPU of the page, s':>20}")
    for first_s, all_s, cpu_s in rows:
        print(f"{first_s:16.2f}{all_s:16.2f}{cpu_s:20.2f}")
    return min(all_s for _, all_s, _ in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="amm500-dashboard-"))
    try:
        beat = Heartbeat(folder)
        rows = write_journal(folder, args.rows)
        size = (folder / NAME).stat().st_size / 1e6
        print(f"{rows:,} made-up rows, {size:.0f} MB")
        queries(folder)
        if not CHROMIUM.exists():
            print(f"no page: {CHROMIUM} is not here")
            return 0
        beat.beat(time.time_ns(), "RUNNING")
        best = page(folder, args.repeats)
        beat.close()
        median, least = loop_us()
        print(
            f"loop of 1,000 additions {median:.1f} us, least {least:.1f}; load of the machine {os.getloadavg()[0]:.1f}"
        )
        print(f"opens in {best:.2f} s, bar {BAR_S:g} s: {'met' if best < BAR_S else 'MISSED'}")
        return int(best >= BAR_S)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
