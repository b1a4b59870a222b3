"""The dashboard as a Dash application: one callback that draws what changed."""

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

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
from amm500_nautilus.monitor.dashboard_layout import CHARTS
from amm500_nautilus.monitor.dashboard_layout import FIRST_RANGE
from amm500_nautilus.monitor.dashboard_layout import head
from amm500_nautilus.monitor.dashboard_layout import layout
from amm500_nautilus.monitor.dashboard_layout import note
from amm500_nautilus.monitor.dashboard_layout import tables
from amm500_nautilus.monitor.dashboard_layout import tiles
from amm500_nautilus.monitor.dashboard_layout import trouble
from amm500_nautilus.monitor.errors import JournalError


ASSETS = Path(__file__).with_name("dashboard_assets")
# a chart costs a browser far more than a tile
REDRAW_NS = 10_000_000_000
PLOTLY = "/_dash-component-suites/plotly/package_data/plotly.min.js"
_PARTS = ("head", "tiles", "tables")


def make_page(view: JournalView) -> tuple[Application, list[str]]:
    """Return the page of a journal as a WSGI application without any guard, and the hashes of its inline scripts."""
    app = Dash(
        "amm500_dashboard",
        assets_folder=str(ASSETS),
        serve_locally=True,
        include_assets_files=True,
        # Dash asks the network for nothing, and so does the page
        external_scripts=[],
        external_stylesheets=[],
        title="AMM-500 dashboard",
        update_title="",
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        add_log_handler=False,
    )
    # the chart library is most of what a page loads: asked for with the page, and not only when the first chart is met
    app.index_string = app.index_string.replace(
        "{%favicon%}", f'{{%favicon%}}<link rel="preload" as="script" href="{PLOTLY}">'
    )
    app.server.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY
    drawn = Drawing(view)
    app.layout = drawn.page
    app.callback(
        output={
            "charts": {name: Output(f"chart-{name}", "figure") for name in CHARTS},
            "notes": {name: Output(f"note-{name}", "children") for name in CHARTS},
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
    return app.server.wsgi_app, [str(source) for source in app.csp_hashes()]


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
        self._kept: dict[str, tuple[Any, ...]] = {}

    def page(self) -> Any:
        """Return the page with its first figures."""
        try:
            figures, notes, parts, digests = self._draw(FIRST_RANGE)
        except JournalError as error:
            return layout({}, {}, {"head": trouble(str(error), time.time_ns())}, {})
        return layout(figures, notes, parts, digests)

    def update(self, _tick: int | None, shown: str, before: dict[str, str] | None) -> dict[str, Any]:
        """Return figures and words; what is as the page has it already is not sent again."""
        before = before if isinstance(before, dict) else {}
        try:
            figures, notes, parts, digests = self._draw(shown if shown in RANGES_S else FIRST_RANGE)
        except JournalError as error:
            return {
                "charts": dict.fromkeys(CHARTS, no_update),
                "notes": dict.fromkeys(CHARTS, no_update),
                "parts": dict.fromkeys(_PARTS, no_update) | {"head": trouble(str(error), time.time_ns())},
                "drawn": no_update,
            }

        def new(name: str, value: Any) -> Any:
            return no_update if before.get(name) == digests[name] else value

        return {
            "charts": {name: new(name, figure) for name, figure in figures.items()},
            "notes": {name: new(name, said) for name, said in notes.items()},
            "parts": {name: new(name, part) for name, part in parts.items()},
            "drawn": digests,
        }

    def _draw(self, shown: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, str]]:
        """Return figures, their notes, words and tables, and a digest of each."""
        view = self._view.snapshot(shown)
        figures, notes, digests = self._charts(view, shown)
        parts = {"head": head(view), "tiles": tiles(view), "tables": tables(view)}
        return figures, notes, parts, digests | {name: _digest(part) for name, part in parts.items()}

    def _charts(self, view: Snapshot, shown: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """Return the charts, drawn anew every ten seconds, and at once after a fill or a change of state."""
        key = view.end_ns // REDRAW_NS, view.latest_fills[:1], view.n_fills, len(view.states)
        with self._lock:
            kept = self._kept.get(shown)
            if kept is None or kept[0] != key:
                figures = charts(view, shown)
                notes = {name: note(figure) for name, figure in figures.items()}
                digests = {name: _digest([figure, notes[name]]) for name, figure in figures.items()}
                kept = self._kept[shown] = key, figures, notes, digests
            return kept[1], kept[2], kept[3]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=_plain).encode()).hexdigest()[:16]


def _plain(component: Any) -> Any:
    return component.to_plotly_json()
