"""The dashboard in a real Chromium: what a person sees, on a desk and on a phone, and what a stranger does not."""

import re
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.monitor import dashboard_figures as figures
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
DRAWN = ".chart[data-drawn]"
# how many of a chart's pixels have this color, nearly
PIXELS = """(canvas, [red, green, blue]) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const near = (at, color) => Math.abs(pixels[at] - color) < 12;
    let found = 0;
    for (let at = 0; at < pixels.length; at += 4)
        if (pixels[at + 3] > 200 && near(at, red) && near(at + 1, green) && near(at + 2, blue)) found += 1;
    return found;
}"""


COLORS = """(element, which) => {
    const ink = getComputedStyle(element)[which];
    let behind = element;
    let color = "rgba(0, 0, 0, 0)";
    while (behind && /, 0\\)$/.test(color)) { color = getComputedStyle(behind).backgroundColor; behind = behind.parentElement; }
    return [ink, color];
}"""


# how many pixels of the price are shaded in the color of a halt
SHADED = """() => {
    const canvas = document.querySelector("#chart-price canvas");
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let found = 0;
    for (let at = 0; at < pixels.length; at += 4)
        if (Math.abs(pixels[at + 3] - 46) < 3 && pixels[at] > 200 && pixels[at + 1] < 100) found += 1;
    return found;
}"""


def rgb(color: str) -> list[int]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def faint(page: Any) -> list[int]:
    """The page's color for what is not looked at first, of the day or of the night."""
    return rgb(page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--faint').trim()"))


def pixels(page: Any, chart: str, color: str) -> int:
    return int(page.locator(f"#chart-{chart} canvas").evaluate(PIXELS, rgb(color)))


def wait_for(page: Any, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + LONG_MS / 1_000
    while not holds():
        assert time.monotonic() < deadline
        page.evaluate("new Promise(requestAnimationFrame)")
    return True


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

    def open_before_dash(self, context: Any) -> Any:
        """Open the page where none of Dash's scripts arrives; its console is full of that."""
        page = context.new_page()
        page.route("**/_dash-component-suites/**", lambda route: route.abort())
        page.goto(f"{self.server.url}/")
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
    assert "margin ratio: 2" in page.locator("#chart-margin").get_attribute("aria-label")
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
    for color in (figures.GREEN, figures.RED):
        assert pixels(page, "price", color) > 20


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
    assert "drawdown: cancels all on the dex, closes the position reduce-only; HALTED" in text
    # the time of the halt is shaded: red at 18 % of it
    assert wait_for(page, lambda: page.evaluate(SHADED) > 50)
    visit.scene.state("RUNNING")
    visit.scene.read()
    assert visit.scene.journal.flush()
    page.locator("#state.RUNNING").wait_for()
    assert page.locator("#reasons").count() == 0


def test_another_range_is_a_click_away(visit: Visit, page: Any) -> None:
    first = page.locator("#chart-equity").get_attribute("data-drawn")
    page.locator("#range label", has_text="1 hour").click()
    page.locator("#range label:has(input:checked)", has_text="1 hour").wait_for()
    answer = page.wait_for_event(
        "response", lambda response: '"value":"1h"' in (response.request.post_data or ""), timeout=LONG_MS
    )
    assert answer.status == 200
    assert first == "24h"
    page.locator("#chart-equity[data-drawn='1h']").wait_for(state="attached")


def test_a_chart_tells_its_values_where_the_pointer_is(page: Any) -> None:
    over = page.locator("#chart-price .u-over")
    over.hover(position={"x": 200, "y": 100})
    tip = page.locator("#chart-price .tip")
    tip.wait_for()
    text = tip.inner_text()
    # the scene's time, in UTC wherever this runs
    assert re.match(r"Jan 15 \d\d:\d\d:\d\d UTC\n", text), text
    assert "our ask 690.1" in text
    assert "our bid 689.9" in text
    page.locator("#chart-markout .u-over").hover(position={"x": 60, "y": 60})
    bars = page.locator("#chart-markout .tip")
    bars.wait_for()
    assert re.match(r"1 s\n(all|bought|sold) ", bars.inner_text())
    tip.wait_for(state="hidden")


def test_a_zoom_outlives_a_refresh_and_a_double_click_ends_it(visit: Visit, page: Any) -> None:
    axis = "#chart-equity canvas"

    def picture() -> str:
        return str(page.locator(axis).evaluate("canvas => canvas.toDataURL()"))

    over = page.locator("#chart-equity .u-over")
    over.scroll_into_view_if_needed()
    whole, box = picture(), over.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()
    assert wait_for(page, lambda: picture() != whole)
    # what is drawn of the part that is shown is as it was after a refresh with a new minute
    zoomed = picture()
    said = page.locator("#chart-equity").get_attribute("aria-label")
    visit.scene.ns += 20 * 10**9
    visit.scene.minute(visit.scene.ns, equity=10_004.5)
    visit.scene.read(equity=10_004.5)
    assert visit.scene.journal.flush()
    page.locator("#chart-equity[aria-label*='10,004.5']").wait_for(state="attached")
    assert "10,004.5" not in said
    assert picture() == zoomed
    over.dblclick()
    assert wait_for(page, lambda: picture() != zoomed)


def test_what_a_journal_holds_is_never_read_as_a_page(visit: Visit, page: Any) -> None:
    visit.scene.journal.write(
        "event", ts_ns=visit.scene.ns, run=1, kind="<b>bold</b>", text="</script><img src=x onerror=alert(1)>"
    )
    assert visit.scene.journal.flush()
    said = "<b>bold</b>: </script><img src=x onerror=alert(1)>"
    page.locator("#table-happened td", has_text=said).wait_for()
    assert page.locator("#table-happened img, #table-happened b").count() == 0
    # nor is it where the page brings it along
    fresh = visit.open_before_dash(visit.context)
    assert fresh.locator("#table-happened td", has_text=said).count() == 1
    assert fresh.locator("img, b").count() == 0
    fresh.close()


def test_a_page_is_drawn_before_dash_is_there(visit: Visit) -> None:
    page = visit.open_before_dash(visit.context)
    assert page.locator(DRAWN).count() == len(CHARTS)
    assert page.locator("#kind").text_content().startswith("SIMULATED")
    assert "10,0" in page.locator("#tile-equity .value").text_content()
    assert page.locator("#table-fills tbody tr").count() >= 1
    assert page.locator("#range").count() == 0
    page.close()


def test_a_page_to_which_dash_never_comes_says_that_it_is_old(visit: Visit) -> None:
    context = visit.new_context()
    context.add_cookies(visit.context.cookies())
    context.clock.install()
    page = visit.open_before_dash(context)
    assert page.locator("#stale").is_hidden()
    page.clock.fast_forward(20_000)
    page.locator("#stale", has_text="No answer for").wait_for()
    context.close()


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
        box = page.locator(f"#chart-{name} canvas").first.bounding_box()
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
    # what the axes are written in
    assert wait_for(page, lambda: page.locator("#chart-price canvas").evaluate(PIXELS, faint(page)) > 30)


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
