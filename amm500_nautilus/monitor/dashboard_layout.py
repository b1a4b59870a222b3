"""What the dashboard says in words and tables, from a snapshot of the journal."""

import json
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from dash import dcc
from dash import html

from amm500_nautilus.monitor.dashboard_buckets import Row
from amm500_nautilus.monitor.dashboard_journal import Snapshot
from amm500_nautilus.monitor.endpoint import SILENT_S


NS = 1e9
NOTHING = "-"
REFRESH_MS = 2_000
CHARTS = {
    "price": "Price, our quotes and fills",
    "position": "Position",
    "equity": "Equity",
    "drawdown": "Drawdown",
    "margin": "Margin",
    "pnl": "Where the PnL comes from",
    "markout": "Markouts",
    "actions": "Actions and budget",
}
WIDE = ("price", "pnl")
FIRST_RANGE = "24h"
_RANGES = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days", "all": "all"}
_EMPTY = {"data": [], "layout": {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}}
KINDS = {
    "local": "SIMULATED: a venue on this machine with a simulated market; no real money",
    "paper": "PAPER: orders, fills and account are simulated; no real money",
    "testnet": "TESTNET: a test venue; no real money",
    "live": "LIVE: real money",
}
_GRAPH: Any = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}


def layout(figures: Mapping[str, Any], notes: Mapping[str, Any], parts: Mapping[str, Any], drawn: Any) -> Any:
    """Return the page with its first figures, of the range ``FIRST_RANGE``: drawn once, it opens in half the time."""
    cards = [
        html.Section(
            [
                html.H2(title),
                html.Div(notes.get(name, ""), id=f"note-{name}", className="faint"),
                html.Div(
                    dcc.Graph(
                        id=f"chart-{name}",
                        config=_GRAPH,
                        figure=figures.get(name, _EMPTY),
                        style={"height": "100%"},
                    ),
                    className="chart",
                ),
            ],
            className="card wide" if name in WIDE else "card",
        )
        for name, title in CHARTS.items()
    ]
    return html.Main(
        [
            html.Div(id="stale"),
            html.Div(parts.get("head", []), id="head"),
            html.Div(parts.get("tiles", []), id="tiles", className="tiles"),
            dcc.RadioItems(
                id="range",
                className="range",
                value=FIRST_RANGE,
                options=[{"label": text, "value": name} for name, text in _RANGES.items()],
            ),
            html.Div(cards, className="charts"),
            html.Div(parts.get("tables", []), id="tables", className="tables"),
            dcc.Interval(id="refresh", interval=REFRESH_MS),
            dcc.Store(id="drawn", data=drawn),
        ]
    )


def note(figure: Mapping[str, Any]) -> list[Any]:
    """Return what stands under a chart's title: what it shows, and what each of its colors means."""
    traces = figure["data"]
    keys = [html.Span([_sign_of(trace), trace["name"]], className="key") for trace in traces]
    return [figure["layout"]["meta"], *(keys if len(traces) > 1 else [])]


def _sign_of(trace: Mapping[str, Any]) -> Any:
    if "line" in trace:
        return html.I(style={"borderColor": trace["line"]["color"]})
    marker = trace["marker"]
    sign = {"triangle-up": "\u25b2", "triangle-down": "\u25bc"}.get(marker.get("symbol", ""), "\u25a0")
    return html.Span(f"{sign} ", style={"color": marker["color"]})


def trouble(text: str, now_ns: int) -> list[Any]:
    """Return the head of a page whose journal cannot be read."""
    return [html.Div(text, className="trouble"), _updated(now_ns)]


def head(view: Snapshot) -> list[Any]:
    """Return what runs, in which state and why."""
    run, reading = view.run, view.reading
    mode = str(run.get("mode", ""))
    parts: list[Any] = [
        html.Div(
            KINDS.get(mode, f"mode {mode or 'unknown'}"),
            className=f"kind {'live' if mode == 'live' else ''}",
            id="kind",
        )
    ]
    state, life = _life(view)
    line = [
        html.H1(f"{run.get('name', 'no run yet')} {run.get('coin', '')}"),
        html.Span(state, className=f"pill {state}", id="state"),
        html.Span(life, className="faint", id="life"),
        html.Span(
            f"run {run.get('id', NOTHING)} of session {run.get('session', NOTHING)}", className="faint hide"
        ),
        _updated(view.now_ns),
    ]
    parts.append(html.Div(line, className="head"))
    if state == "SILENT":
        parts.append(
            html.Div(
                "The node's loop gives no sign of life; below is the last that is known.",
                className="trouble",
            )
        )
    reasons = reading.get("reasons") or []
    if reasons:
        since = view.states[-1][0] if view.states else None
        waits = reading.get("waiting") or []
        text = f"{reading.get('state', '')} because of {', '.join(reasons)}"
        text += f" since {clock(since)} UTC" if since else ""
        text += f". Waits for a person: {', '.join(waits)} (amm500 resume RUN)." if waits else "."
        parts.append(html.Div(text, className="why", id="reasons"))
    quoting = reading.get("quote_reasons") or []
    if quoting:
        parts.append(
            html.Div(f"Quoting: {reading.get('quote_state', '')} ({', '.join(quoting)})", className="faint")
        )
    return parts


def _updated(now_ns: int) -> html.Span:
    return html.Span(f"updated {clock(now_ns)} UTC", id="updated", className="faint")


def _life(view: Snapshot) -> tuple[str, str]:
    """Return the word on the pill and what follows it."""
    run, state = view.run, str(view.reading.get("state") or "")
    if not run:
        return "NO RUN", "nothing was journaled yet"
    if run.get("ended_ns") is not None:
        return (
            state if state == "HALTED" else "ENDED"
        ), f"ended {stamp(run['ended_ns'])} UTC: {run.get('outcome') or NOTHING}"
    if view.beat_ns is None:
        return state or "STARTING", "no sign of life yet"
    age = max(0.0, (view.now_ns - view.beat_ns) / NS)
    if age > SILENT_S:
        return "SILENT", f"last sign of life {_age(age)} ago, in state {state or NOTHING}"
    return state or "STARTING", f"alive, {age:.0f} s ago"


def tiles(view: Snapshot) -> list[Any]:
    """Return the figures that are looked at first."""
    now = view.reading
    equity, start = now.get("equity"), now.get("starting_equity")
    gained = None
    if equity is not None and start is not None:
        gained = equity - start - (now.get("transfers") or 0.0)
    ratio, position = now.get("margin_ratio"), now.get("position")
    bid, ask = now.get("bid"), now.get("ask")
    margin_color = (
        ""
        if ratio is None
        else "bad"
        if ratio >= 0.9
        else "warn"
        if ratio >= 0.8
        else ""  # the chart's lines
    )
    return [
        _tile("equity", money(equity), f"started the session with {money(start)}"),
        _tile("session PnL", money(gained, sign=True), "net of transfers", _sign(gained)),
        _tile("drawdown", share(now.get("drawdown")), f"session loss {money(now.get('session_loss'))}"),
        _tile(
            "margin ratio",
            share(ratio),
            f"maintenance {share(now.get('maintenance_ratio'))}, liquidation at {number(now.get('liquidation_price'), 6)}",
            margin_color,
        ),
        _tile(
            "position", number(position), f"at {number(now.get('entry'))}, delta {share(now.get('delta'))}"
        ),
        _tile(
            "our bid / ask",
            f"{number(bid)} / {number(ask)}",
            f"market {number(now.get('best_bid'))} / {number(now.get('best_ask'))}",
        ),
        _tile(
            "resting orders",
            f"{now.get('n_bids', 0)} / {now.get('n_asks', 0)}",
            f"bids / asks, our spread {number(now.get('spread_bps'), 3)} bp",
        ),
        _tile(
            "fills",
            f"{now.get('fills', 0):,}",
            f"{view.n_fills:,} in the range shown; {now.get('rejections', 0)} rejections",
        ),
        _tile(
            "actions left",
            NOTHING if now.get("budget_remaining") is None else f"{now['budget_remaining']:,.0f}",
            f"{now.get('actions', 0):,} sent",
        ),
    ]


def _tile(name: str, value: str, more: str, color: str = "") -> html.Div:
    return html.Div(
        [
            html.Div(name, className="name"),
            html.Div(value, className=f"value {color}"),
            html.Div(more, className="more"),
        ],
        className="tile",
        id=f"tile-{name.replace(' / ', '-').replace(' ', '-')}",
    )


def tables(view: Snapshot) -> list[Any]:
    """Return the newest fills, alerts and what else happened."""
    fills = [
        (
            (clock(row[0]), "time"),
            ("buy" if row[1] > 0 else "sell", "good" if row[1] > 0 else "bad"),
            (number(float(row[2])), ""),
            (number(float(row[3])), ""),
            (money(float(row[5]), sign=True) if float(row[5]) else NOTHING, "hide"),
            (f"{float(row[4]):.4f}", ""),
            ("maker" if row[6] else "taker", "hide"),
            (number(float(row[7])), ""),
        )
        for row in view.latest_fills
    ]
    titles = (
        ("time", "time"),
        ("side", ""),
        ("price", ""),
        ("size", ""),
        ("closed PnL", "hide"),
        ("fee", ""),
        ("", "hide"),
        ("position", ""),
    )
    alerts = [
        ((stamp(row[0]), "time"), (row[2], "text"), (_first(row[4]), _outcome_color(row[4])))
        for row in view.alerts
    ]
    happened = [((stamp(row[0]), "time"), (_happened(row), "text")) for row in view.happened]
    return [
        _table("fills", "Latest fills (UTC)", titles, fills, "no fill yet"),
        _table(
            "alerts",
            "Alerts (UTC)",
            (("time", "time"), ("alert", "text"), ("told", "text")),
            alerts,
            "no alert yet",
        ),
        _table(
            "happened",
            "What happened (UTC)",
            (("time", "time"), ("", "text")),
            happened,
            "nothing yet",
            is_wide=True,
        ),
    ]


def _table(
    name: str,
    title: str,
    titles: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[tuple[str, str]]],
    nothing: str,
    *,
    is_wide: bool = False,
) -> html.Section:
    if rows:
        body: Any = html.Table(
            [
                html.Thead(html.Tr([html.Th(text, className=style) for text, style in titles])),
                html.Tbody(
                    [html.Tr([html.Td(text, className=style) for text, style in row]) for row in rows]
                ),
            ]
        )
    else:
        body = html.Div(nothing, className="faint")
    return html.Section(
        [html.H2(title), html.Div(body, className="scroll")],
        className="card wide" if is_wide else "card",
        id=f"table-{name}",
    )


def _happened(row: Row) -> str:
    _, kind, what, more = row
    if kind == "state":
        return f"state {what}" + (f": {more}" if more else "")
    if kind == "command":
        command, _, arguments = str(what).partition(" ")
        who, _, answer = str(more).partition(": ")
        return f"{' '.join([command, *_values(arguments)])} by {who}: {_answer(answer)}"
    return f"{what}: {more}"


def _values(text: str) -> list[str]:
    """Return the arguments of a command as they were typed."""
    try:
        said = json.loads(text)
    except ValueError:
        return []
    return [str(value) for value in said.values()] if isinstance(said, dict) else []


def _answer(text: str) -> str:
    """Return the answer to a command in a word."""
    try:
        said = json.loads(text)
    except ValueError:
        return text[:80]
    if not isinstance(said, dict):
        return text[:80]
    return "done" if said.get("ok") else f"refused: {said.get('error', '')}"


def _first(outcome: str) -> str:
    return outcome.partition(":")[0]


def _outcome_color(outcome: str) -> str:
    return "text bad" if outcome.startswith("failed") else "text"


def clock(ts_ns: int) -> str:
    """Return a time of day, UTC."""
    return time.strftime("%H:%M:%S", time.gmtime(ts_ns / NS))


def stamp(ts_ns: int) -> str:
    """Return day and time of day, UTC."""
    return time.strftime("%m-%d %H:%M:%S", time.gmtime(ts_ns / NS))


def number(value: float | None, digits: int = 8) -> str:
    """Return a price or a size; a dash where there is none."""
    return NOTHING if value is None else f"{value:,.{digits}g}"


def money(value: float | None, *, sign: bool = False) -> str:
    """Return an amount with its cents; a dash where there is none."""
    if value is None:
        return NOTHING
    # amounts under a cent are rounded to none, not to minus none
    value = value if abs(value) >= 0.005 else 0.0
    return f"{value:+,.2f}" if sign and value else f"{value:,.2f}"


def share(value: float | None) -> str:
    """Return a ratio in percent; a dash where there is none."""
    if value is None:
        return NOTHING
    return f"{value:.2%}" if value == 0 or abs(value) >= 0.001 else f"{value:.4%}"


def _sign(value: float | None) -> str:
    return "" if value is None or abs(value) < 0.005 else "good" if value > 0 else "bad"


def _age(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
