"""The dashboard in a real Chromium: what a person sees, on a desk and on a phone, and what a stranger does not."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.monitor import dashboard_journal
from amm500_nautilus.monitor import dashboard_layout
from amm500_nautilus.monitor.dashboard_gate import COOKIE
from amm500_nautilus.monitor.dashboard_layout import CHARTS
from tests.monitor.dashboard_scene import TOKEN
from tests.monitor.dashboard_scene import WrittenJournal
from tests.monitor.dashboard_scene import served
from tests.monitor.dashboard_scene import written


sync_api = pytest.importorskip("playwright.sync_api", reason="the driver of the browser is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not here")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --host-resolver-rules=MAP~evil.example~127.0.0.1"
)
LONG_MS = 60_000
DRAWN = ".js-plotly-plot:has(.cartesianlayer .subplot.xy .trace)"


COLORS = """(element, which) => {
    const ink = getComputedStyle(element)[which];
    let behind = element;
    let color = "rgba(0, 0, 0, 0)";
    while (behind && /, 0\\)$/.test(color)) { color = getComputedStyle(behind).backgroundColor; behind = behind.parentElement; }
    return [ink, color];
}"""


class Visit:
    """One browser, one server, one journal, for all tests of the module."""

    def __init__(self, scene: WrittenJournal, server: Any, links: list[str], browser: Any) -> None:
        self.scene, self.server, self.links, self.browser = scene, server, links, browser
        self.trouble: list[str] = []
        self.asked: list[str] = []
        self.context = self.new_context()

    def new_context(self, **settings: Any) -> Any:
        context = self.browser.new_context(**({"viewport": {"width": 1300, "height": 900}} | settings))
        context.set_default_timeout(LONG_MS)
        return context

    def page(self, context: Any = None) -> Any:
        page = (context or self.context).new_page()
        page.on("console", lambda said: self.trouble.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        return page

    def open(self, context: Any = None) -> Any:
        """Open the page with the newest link."""
        page = self.page(context)
        page.goto(self.links[-1])
        page.wait_for_url(f"{self.server.url}/")
        page.locator(DRAWN).nth(len(CHARTS) - 1).wait_for(state="attached")
        return page


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    patch = pytest.MonkeyPatch()
    patch.setattr(dashboard_layout, "REFRESH_MS", 300)
    patch.setattr(dashboard_journal, "FRESH_S", 0.0)
    links: list[str] = []
    flags = [flag.replace("~", " ") for flag in FLAGS.split(" ")]
    with (
        written(tmp_path_factory.mktemp("journal")) as scene,
        served(scene, links) as server,
        sync_api.sync_playwright() as play,
    ):
        scene.fill(1, "690.5")
        assert scene.journal.flush()
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        try:
            yield Visit(scene, server, links, browser)
        finally:
            browser.close()
            patch.undo()


@pytest.fixture(scope="module")
def page(visit: Visit) -> Any:
    return visit.open()


def test_the_page_opens_by_its_link_with_every_chart_and_asks_nobody_else(visit: Visit, page: Any) -> None:
    assert page.locator("#kind").text_content().startswith("SIMULATED")
    assert page.locator("#state").text_content() == "RUNNING"
    assert "10,003.00" in page.locator("#tile-equity").text_content()
    assert page.locator("#tile-margin-ratio .value.warn").text_content() == "85.00%"
    assert "warn, 80 %" in page.locator("#chart-margin").text_content()
    assert page.locator(DRAWN).count() == len(CHARTS)
    hosts = {
        re.sub(r"^https?://([^/:]+).*", r"\1", url) for url in visit.asked if not url.startswith("data:")
    }
    assert hosts == {"127.0.0.1"}
    assert len(visit.asked) > 10
    # no script reads the cookie that let us in
    assert page.evaluate("document.cookie") == ""
    # among others, whatever the content policy would have refused
    assert visit.trouble == []


def test_a_new_fill_shows_by_itself(visit: Visit, page: Any) -> None:
    rows = page.locator("#table-fills tbody tr")
    before = rows.count()
    visit.scene.ns += 10**9
    visit.scene.fill(-1, "691.25", "0.7")
    visit.scene.read(fills=2, position=-0.3)
    assert visit.scene.journal.flush()
    new = rows.filter(has_text="691.25")
    new.wait_for()
    assert "sell" in new.text_content()
    assert rows.count() == before + 1
    page.locator("#note-price", has_text="2 fills in this range").wait_for()
    page.locator("#tile-position .value", has_text="-0.3").wait_for()
    # both triangles are drawn
    page.locator("#chart-price .scatterlayer .points path.point").nth(1).wait_for(state="attached")


def test_a_halt_and_its_reasons_show_by_themselves(visit: Visit, page: Any) -> None:
    visit.scene.state("HALTED", "drawdown")
    visit.scene.read(state="HALTED", reasons=("drawdown",), waiting=("drawdown",))
    visit.scene.journal.write(
        "alert",
        ts_ns=visit.scene.ns,
        run=1,
        kind="drawdown",
        title="ACT NOW: drawdown",
        body="b",
        outcome="sent",
    )
    assert visit.scene.journal.flush()
    page.locator("#state.HALTED").wait_for()
    text = page.locator("#reasons").text_content()
    assert "HALTED because of drawdown since" in text
    assert "Waits for a person: drawdown (amm500 resume RUN)" in text
    page.locator("#table-alerts", has_text="ACT NOW: drawdown").wait_for()
    page.locator("#table-happened", has_text="state HALTED: drawdown").wait_for()
    # the time of the halt is shaded
    page.locator("#chart-price .shapelayer path").first.wait_for(state="attached")
    visit.scene.state("RUNNING")
    visit.scene.read()
    assert visit.scene.journal.flush()
    page.locator("#state.RUNNING").wait_for()
    assert page.locator("#reasons").count() == 0


def test_another_range_is_a_click_away(visit: Visit, page: Any) -> None:
    first = page.evaluate("document.querySelector('#chart-equity .js-plotly-plot').layout.uirevision")
    page.locator("#range label", has_text="1 hour").click()
    page.locator("#range label:has(input:checked)", has_text="1 hour").wait_for()
    answer = page.wait_for_event(
        "response", lambda response: '"value":"1h"' in (response.request.post_data or ""), timeout=LONG_MS
    )
    assert answer.status == 200
    assert first == "24h"


@pytest.fixture(scope="module")
def phone(visit: Visit) -> Iterator[Any]:
    context = visit.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    # time that a test can turn on
    context.clock.install()
    yield visit.open(context)
    context.close()


def test_a_phone_shows_all_of_it_without_a_scroll_to_the_side(phone: Any) -> None:
    page = phone
    assert page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]") == [390, 390]
    for name in CHARTS:
        box = page.locator(f"#chart-{name} .main-svg").first.bounding_box()
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= 390, name
        assert box["width"] > 300, name
        assert box["height"] > 200, name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_day_and_by_night(scheme: str, phone: Any) -> None:
    page = phone
    page.emulate_media(color_scheme=scheme)
    dark = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) < 0.1
    assert dark == (scheme == "dark")
    for selector in (
        ".tile .value",
        ".tile .name",
        "#note-price",
        ".key",
        "#range label",
        "#table-fills th",
        "h2",
    ):
        assert contrast(page, selector, "color") >= 4.5, selector
    assert contrast(page, "#chart-price .xtick text", "fill") >= 4.5


def contrast(page: Any, selector: str, which: str) -> float:
    """The contrast of a text to what is behind it (https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio)."""
    colors = ["", ""]
    deadline = time.monotonic() + LONG_MS / 1_000
    # an element that a refresh has just replaced has no colors
    while not all(colors):
        assert time.monotonic() < deadline, selector
        colors = page.locator(selector).first.evaluate(COLORS, which)
    lights = sorted(luminance(color) for color in colors)
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(color: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_strangers_see_nothing(visit: Visit) -> None:
    context = visit.new_context()
    page = context.new_page()
    # without a link, and with a wrong cookie
    assert page.goto(f"{visit.server.url}/").status == 401
    context.add_cookies([{"name": COOKIE, "value": TOKEN[:-1] + "y", "url": visit.server.url}])
    assert page.goto(f"{visit.server.url}/").status == 401
    assert "one-time link" in page.content()
    # a link that was used
    assert page.goto(visit.links[0]).status == 401
    # another site's name for this machine, with the right cookie
    evil = f"http://evil.example:{visit.server.port}/"
    context.add_cookies([{"name": COOKIE, "value": TOKEN, "url": evil}])
    assert page.goto(evil).status == 403
    assert "km:US500" not in page.content()
    context.close()


def test_a_page_that_gets_no_answer_says_so(phone: Any) -> None:
    assert phone.locator("#stale").is_hidden()
    phone.route("**/_dash-update-component**", lambda route: route.abort())
    phone.clock.fast_forward(20_000)
    phone.locator("#stale", has_text="No answer for").wait_for()
    phone.unroute("**/_dash-update-component**")
    phone.locator("#stale").wait_for(state="hidden")
