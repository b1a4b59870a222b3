"""The dashboard as a Dash application: one callback that draws what changed."""

import hashlib
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

from dash import ClientsideFunction
from dash import Dash
from dash import Input
from dash import Output
from dash import State
from dash import no_update

from amm500_nautilus.monitor.dashboard_figures import charts
from amm500_nautilus.monitor.dashboard_gate import LONGEST_BODY
from amm500_nautilus.monitor.dashboard_gate import Application
from amm500_nautilus.monitor.dashboard_journal import RANGES_S
from amm500_nautilus.monitor.dashboard_journal import JournalView
from amm500_nautilus.monitor.dashboard_journal import Snapshot
from amm500_nautilus.monitor.dashboard_layout import FIRST_RANGE
from amm500_nautilus.monitor.dashboard_layout import as_html
from amm500_nautilus.monitor.dashboard_layout import first_words
from amm500_nautilus.monitor.dashboard_layout import head
from amm500_nautilus.monitor.dashboard_layout import layout
from amm500_nautilus.monitor.dashboard_layout import places
from amm500_nautilus.monitor.dashboard_layout import tables
from amm500_nautilus.monitor.dashboard_layout import tiles
from amm500_nautilus.monitor.dashboard_layout import trouble
from amm500_nautilus.monitor.errors import JournalError


SCRIPTS = ("uPlot.iife.min.js", "charts.js", "tables.js", "dashboard.js")
ASSETS = Path(__file__).with_name("dashboard_assets")
# a chart costs a browser far more than a tile
REDRAW_NS = 10_000_000_000
# what Dash brings along for browsers of ten years ago, and for tables that are not here
UNUSED = re.compile(r'<script src="[^"]*/(?:deps/polyfill@|dash_table/)[^"]*"></script>\n?')
_PARTS = ("head", "tiles")


def make_page(view: JournalView) -> tuple[Application, list[str]]:
    """Return the page of a journal as a WSGI application without any guard, and the hashes of its inline scripts."""
    app = _Page(
        "amm500_dashboard",
        assets_folder=str(ASSETS),
        serve_locally=True,
        include_assets_files=True,
        # ours come before those of Dash, see below
        assets_ignore=r".*\.js$",
        # Dash asks the network for nothing, and so does the page
        external_scripts=[],
        external_stylesheets=[],
        title="AMM-500 dashboard",
        update_title="",
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        add_log_handler=False,
        # the page would come a second time within itself, for checks that a fixed layout does not need
        suppress_callback_exceptions=True,
    )
    app.server.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY
    drawn = app.drawn = Drawing(view)
    app.layout = drawn.page
    app.callback(
        output={
            "charts": Output("charts", "data"),
            "tables": Output("tables", "data"),
            "parts": {name: Output(name, "children") for name in _PARTS},
            "drawn": Output("drawn", "data"),
        },
        inputs={
            "_tick": Input("refresh", "n_intervals"),
            "shown": Input("range", "value"),
            "before": State("drawn", "data"),
        },
        # the page comes with its first figures
        prevent_initial_call=True,
    )(drawn.update)
    for name in ("charts", "tables"):
        # drawn in the browser, by charts.js and tables.js
        here = ClientsideFunction("amm500", name)
        app.clientside_callback(here, Input(name, "data"))  # type: ignore[no-untyped-call]
    return app.server.wsgi_app, [str(source) for source in app.csp_hashes()]


class _Page(Dash):
    """
    Dash's page, drawn before Dash is there.

    A browser spends ten times as long on Dash's scripts as on ours and the figures: so these come first, with the page itself, and Dash
    then keeps it up to date.
    """

    drawn: "Drawing"

    def interpolate_index(self, *args: Any, **parts: Any) -> str:
        charts, tables, words = self.drawn.first()
        # no end of a script can be in there
        data = json.dumps({"charts": charts, "tables": tables}).replace("<", "\\u003c")
        own = "".join(
            f'<script src="{self.get_asset_url(name)}?m={(ASSETS / name).stat().st_mtime_ns}"></script>'
            for name in SCRIPTS
        )
        parts["scripts"] = UNUSED.sub("", parts["scripts"])
        parts["app_entry"] = (
            f'<main><div id="react-entry-point">{as_html(first_words(words))}</div>{as_html(places())}</main>'
            f'<script type="application/json" id="first">{data}</script>{own}'
        )
        page = str(super().interpolate_index(*args, **parts))  # type: ignore[no-untyped-call]
        return page.replace("<html>", '<html lang="en">', 1)


class Drawing:
    """
    Answer the page's question for what is new.

    Parameters
    ----------
    view : JournalView
        The journal.

    """

    def __init__(self, view: JournalView) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def page(self) -> Any:
        """Return what Dash keeps up to date."""
        return layout(self.first()[2])

    def first(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return the charts, tables and words of a page that was just opened."""
        try:
            return self._draw(FIRST_RANGE)
        except JournalError as error:
            return {}, {}, {"head": trouble(str(error), time.time_ns())}

    def update(self, _tick: int | None, shown: str, before: dict[str, str] | None) -> dict[str, Any]:
        """Return figures and words; what is as the page has it already is not sent again."""
        before = before if isinstance(before, dict) else {}
        try:
            answer = self._draw(shown if shown in RANGES_S else FIRST_RANGE)
        except JournalError as error:
            return {
                "charts": no_update,
                "tables": no_update,
                "parts": dict.fromkeys(_PARTS, no_update) | {"head": trouble(str(error), time.time_ns())},
                "drawn": no_update,
            }
        digests = _digests(*answer)
        drawn, tables, parts = (
            {name: value for name, value in values.items() if before.get(name) != digests[name]}
            for values in answer
        )
        return {
            "charts": drawn or no_update,
            "tables": tables or no_update,
            "parts": {name: parts.get(name, no_update) for name in _PARTS},
            "drawn": digests,
        }

    def _draw(self, shown: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return charts, tables and words, by name."""
        view = self._view.snapshot(shown)
        return self._charts(view, shown), tables(view), {"head": head(view), "tiles": tiles(view)}

    def _charts(self, view: Snapshot, shown: str) -> dict[str, Any]:
        """Return the charts, drawn anew every ten seconds, and at once after a fill or a change of state."""
        key = view.end_ns // REDRAW_NS, view.latest_fills[:1], view.n_fills, len(view.states)
        with self._lock:
            kept = self._kept.get(shown)
            if kept is None or kept[0] != key:
                kept = self._kept[shown] = key, charts(view, shown)
            return kept[1]


def _digests(*answer: dict[str, Any]) -> dict[str, str]:
    """Return a digest of each part, by which a page says what it has."""
    return {name: _digest(value) for values in answer for name, value in values.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=_plain).encode()).hexdigest()[:16]


def _plain(component: Any) -> Any:
    return component.to_plotly_json()
