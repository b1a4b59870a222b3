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
from typing import Any
from typing import NamedTuple

from amm500_nautilus.monitor.dashboard_journal import RANGES_S
from amm500_nautilus.monitor.dashboard_journal import JournalView
from amm500_nautilus.monitor.dashboard_layout import REFRESH_MS
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
DRAWN = ".chart[data-drawn]"
# the browser's own clock: a driver that asks gets its answer only when the page has nothing else to do. A second frame begins when the
# first is painted.
WATCH = """(() => {
    const painted = (name) => requestAnimationFrame(() => requestAnimationFrame(() => {
        times[name] = (performance.timeOrigin + performance.now()) / 1000;
        if (Object.keys(times).length === 3) document.documentElement.dataset.times = JSON.stringify(times);
    }));
    const awaited = {
        first: () => document.querySelector(".chart[data-drawn]"),
        all: () => document.querySelectorAll(".chart[data-drawn]").length === CHARTS && document.querySelector("#tile-equity")
            && document.querySelector("#table-fills td"),
        live: () => document.querySelector("#range input"),
    };
    const times = {};
    const watcher = new MutationObserver(() => {
        for (const name of Object.keys(awaited).filter((name) => awaited[name]())) {
            delete awaited[name];
            painted(name);
        }
        if (!Object.keys(awaited).length) watcher.disconnect();
    });
    watcher.observe(document, {subtree: true, childList: true, attributeFilter: ["data-drawn"]});
})()""".replace("CHARTS", str(CHARTS))
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
def browser() -> Iterator[Any]:
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


def page(place: Path, repeats: int) -> tuple[float, float]:
    """
    Return the median time in which a browser that was never here has drawn all of the page, and until a new fill shows, seconds.

    Each time is taken with an empty cache and again with what that left. The page is drawn before it is live: from then on its buttons
    act and it asks for what is new.
    """
    links: list[str] = []
    began = time.perf_counter()
    server = DashboardServer(JournalView(place), ServerSettings(), links.append)
    server.start()
    print(f"server ready after {time.perf_counter() - began:.2f} s")
    opened: list[list[Opened]] = []
    try:
        with browser() as found:
            first = found.new_context()
            entry = first.new_page()
            entry.goto(links[0])
            entry.wait_for_url(f"{server.url}/")
            cookies = first.cookies()
            first.close()
            for _ in range(repeats):
                context = found.new_context(viewport={"width": 1400, "height": 1000})
                context.add_cookies(cookies)
                opened.append([_open(context, server.url) for _ in range(2)])
                context.close()
            context = found.new_context()
            context.add_cookies(cookies)
            shows_s = _until_a_fill_shows(context, server.url, place)
    finally:
        server.close()
    print(f"{'first chart, s':>16}{'all drawn, s':>16}{'live, s':>10}{'CPU until then, s':>20}")
    for name, column in (("new browser", 0), ("again", 1)):
        for each in (pair[column] for pair in opened):
            print(f"{each.first_s:16.2f}{each.all_s:16.2f}{each.live_s:10.2f}{each.cpu_s:20.2f}  {name}")
    return statistics.median(pair[0].all_s for pair in opened), shows_s


class Opened(NamedTuple):
    """Times from asking for the page to its first chart, to all of it and until it is live, and CPU time of it, seconds."""

    first_s: float
    all_s: float
    live_s: float
    cpu_s: float


def _open(context: Any, url: str) -> Opened:
    tab = context.new_page()
    tab.add_init_script(WATCH)
    used, began = renderer_cpu_s(), time.time()
    tab.goto(f"{url}/")
    seen = tab.locator("html[data-times]")
    seen.wait_for(state="attached")
    used = renderer_cpu_s() - used
    times = json.loads(seen.get_attribute("data-times"))
    tab.close()
    return Opened(times["first"] - began, times["all"] - began, times["live"] - began, used)


def _until_a_fill_shows(context: Any, url: str, place: Path) -> float:
    """Return how long after it was journaled a fill is in the open page's table, seconds."""
    tab = context.new_page()
    tab.goto(f"{url}/")
    tab.locator(DRAWN).nth(CHARTS - 1).wait_for(state="attached")
    with contextlib.closing(sqlite3.connect(place / NAME)) as connection, connection:
        connection.execute(
            "INSERT INTO fill VALUES (?, 'km:US500', 'new', 1, 'O-1', 1, '712.34', '0.4', '0.01', '0', 1, '0.4', 712.3)",
            (time.time_ns(),),
        )
    began = time.perf_counter()
    tab.locator("#table-fills", has_text="712.34").wait_for()
    return time.perf_counter() - began


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
        opens_s, shows_s = page(folder, args.repeats)
        beat.close()
        median, least = loop_us()
        print(
            f"loop of 1,000 additions {median:.1f} us, least {least:.1f}; load of the machine {os.getloadavg()[0]:.1f}"
        )
        print(
            f"a fill shows {shows_s:.1f} s after it was journaled (the page asks each {REFRESH_MS / 1_000:g} s)"
        )
        is_met = opens_s < BAR_S
        print(
            f"opens in {opens_s:.2f} s (median of new browsers), bar {BAR_S:g} s: {'met' if is_met else 'MISSED'}"
        )
        return int(not is_met)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
