"""
Take the dashboard's pictures for the documents from a run that was really recorded.

``python scripts/screenshots.py RUN`` takes them all; ``--only halted`` one of them. RUN is a run directory, running or over; what mode
it is of stands on every picture. Needs Chromium and the package playwright.
"""

# ruff: noqa: INP001 - a script, of no package

import argparse
import sys
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.dashboard_journal import JournalView
from amm500_nautilus.monitor.dashboard_layout import CHARTS
from amm500_nautilus.monitor.dashboard_server import DashboardServer
from amm500_nautilus.monitor.dashboard_server import ServerSettings


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
    "--hide-scrollbars",
)
LARGEST_BYTES = 200_000
DRAWN = ".chart[data-drawn]"
# name: width, height, color scheme, whether the end of the page
PICTURES: dict[str, tuple[int, int, str, bool]] = {
    "light": (1100, 1180, "light", False),
    "dark": (1100, 1240, "dark", True),
    "phone": (390, 1100, "dark", False),
    "halted": (1100, 620, "light", False),
}


def take(browser: Any, server: DashboardServer, name: str, out: Path) -> Path:
    """Take one picture and return where it is."""
    width, height, scheme, is_end = PICTURES[name]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.goto(server.new_link())
    page.wait_for_url(f"{server.url}/")
    page.locator(DRAWN).nth(len(CHARTS) - 1).wait_for(state="attached")
    page.locator("#range input").first.wait_for()
    # what is drawn is shown with the next frame
    page.evaluate("new Promise(requestAnimationFrame)")
    if is_end:
        page.locator("#table-alerts").scroll_into_view_if_needed()
        page.mouse.wheel(0, 10_000)
        page.evaluate("new Promise(requestAnimationFrame)")
    path = out / f"dashboard-{name}.png"
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(page.screenshot(type="png"))
    partial.replace(path)
    context.close()
    return path


def main() -> int:
    """Take the pictures; return 1 where one is too large for the documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--only", choices=tuple(PICTURES), action="append", default=[])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "docs" / "img")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the development tools

    args.out.mkdir(parents=True, exist_ok=True)
    server = DashboardServer(JournalView(args.run), ServerSettings())
    server.start()
    large = 0
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
            for name in args.only or [each for each in PICTURES if each != "halted"]:
                path = take(browser, server, name, args.out)
                size = path.stat().st_size
                large += size > LARGEST_BYTES
                print(f"{path.name}: {size:,} bytes{' (too large)' if size > LARGEST_BYTES else ''}")
            browser.close()
    finally:
        server.close()
    return int(large > 0)


if __name__ == "__main__":
    sys.exit(main())
