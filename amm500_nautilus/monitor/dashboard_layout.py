"""What the dashboard says in words and tables, from a snapshot of the journal."""

import json
import time
from collections.abc import Mapping
from html import escape
from typing import Any

from dash import dcc
from dash import html

from amm500_nautilus.monitor.dashboard_buckets import Row
from amm500_nautilus.monitor.dashboard_journal import Snapshot
from amm500_nautilus.monitor.endpoint import SILENT_S
from amm500_nautilus.monitor.runbook import ACTS
from amm500_nautilus.monitor.runbook import LOOK
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.reasons import BY_A_PERSON
from amm500_nautilus.risk.reasons import reason_table


NS = 1e9
_RULES = {rule.name: rule for rule in reason_table(RiskConfig())}
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
TABLES = {"fills": "Latest fills (UTC)", "alerts": "Alerts (UTC)", "happened": "What happened (UTC)"}
WIDE = ("price", "pnl")
FIRST_RANGE = "24h"
_RANGES = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days", "all": "all"}
KINDS = {
    "local": "SIMULATED: a venue on this machine with a simulated market; no real money",
    "paper": "PAPER: orders, fills and account are simulated; no real money",
    "testnet": "TESTNET: a test venue; no real money",
    "live": "LIVE: real money",
}


def layout(parts: Mapping[str, Any]) -> Any:
    """Return what Dash keeps up to date: words and tiles, and the stores in which charts and tables travel."""
    return html.Div(
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
            dcc.Interval(id="refresh", interval=REFRESH_MS),
            dcc.Store(id="drawn", data={}),
            dcc.Store(id="charts", data={}),
            dcc.Store(id="tables", data={}),
        ]
    )


def first_words(parts: Mapping[str, Any]) -> list[Any]:
    """Return what stands in the place of ``layout`` until Dash is there."""
    return [
        html.Div(id="stale"),
        html.Div(parts.get("head", []), id="head"),
        html.Div(parts.get("tiles", []), id="tiles", className="tiles"),
        html.Div(className="range soon"),
    ]


def places() -> list[Any]:
    """Return the places of charts and tables, of the range ``FIRST_RANGE``: our own scripts draw there."""
    cards = [
        html.Section(
            [
                html.H2(title),
                html.Div(id=f"note-{name}", className="faint"),
                html.Div(id=f"chart-{name}", className="chart", role="img"),
            ],
            className="card wide" if name in WIDE else "card",
        )
        for name, title in CHARTS.items()
    ]
    lists = [
        html.Section(
            [html.H2(title), html.Div(id=f"rows-{name}", className="scroll")],
            className="card wide" if name == "happened" else "card",
            id=f"table-{name}",
        )
        for name, title in TABLES.items()
    ]
    return [html.Div(cards, className="charts"), html.Div(lists, className="tables")]


def as_html(part: Any) -> str:
    """Return components as HTML, for a page that is drawn before Dash is there; what is text stays text."""
    if part is None:
        return ""
    if isinstance(part, list | tuple):
        return "".join(as_html(each) for each in part)
    if not hasattr(part, "to_plotly_json"):
        return escape(str(part))
    described = part.to_plotly_json()
    tag, props = described["type"].lower(), described["props"]
    names = {"className": "class"}
    attributes = "".join(
        f' {names.get(name, name)}="{escape(str(value))}"'
        for name, value in props.items()
        if name != "children"
    )
    return f"<{tag}{attributes}>{as_html(props.get('children'))}</{tag}>"


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
    if view.given_up:
        text = f"The supervisor starts no node any more: {view.given_up}"
        parts.append(html.Div(text, className="trouble", id="given-up"))
    reasons = reading.get("reasons") or []
    if reasons:
        since = view.states[-1][0] if view.states else None
        waits = reading.get("waiting") or []
        text = f"{reading.get('state', '')} because of {', '.join(reasons)}"
        text += f" since {clock(since)} UTC" if since else ""
        text += f". Waits for a person: {', '.join(waits)} (amm500 resume RUN)." if waits else "."
        rows = [html.Li(_row_of(name)) for name in reasons]
        parts.append(html.Div([text, html.Ul(rows)], className="why", id="reasons"))
    quoting = reading.get("quote_reasons") or []
    if quoting:
        parts.append(
            html.Div(f"Quoting: {reading.get('quote_state', '')} ({', '.join(quoting)})", className="faint")
        )
    return parts


def _row_of(reason: str) -> str:
    """Return what the table of reasons says of one, whatever its thresholds are: those are in its alert."""
    rule = _RULES.get(reason)
    if rule is None:
        return f"{reason}: a reason that this version does not know"
    ends = f"until {BY_A_PERSON}" if rule.latched else "ends by itself"
    widens = "widens, then " if rule.widens else ""
    return f"{reason}: {widens}{ACTS[rule.act]}; {rule.state.value}, {ends}. Look at: {LOOK[reason]}"


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
    # the last reading is of a moment before the node canceled what rested
    is_over = view.run.get("ended_ns") is not None
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
            NOTHING if is_over else f"{number(bid)} / {number(ask)}",
            "the run is over"
            if is_over
            else f"market {number(now.get('best_bid'))} / {number(now.get('best_ask'))}",
        ),
        _tile(
            "resting orders",
            NOTHING if is_over else f"{now.get('n_bids', 0)} / {now.get('n_asks', 0)}",
            "the run is over"
            if is_over
            else f"bids / asks, our spread {number(now.get('spread_bps'), 3)} bp",
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


def tables(view: Snapshot) -> dict[str, Any]:
    """Return the newest fills, alerts and what else happened: each cell with the style that it has."""
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
        (
            (stamp(row[0]), "time"),
            (f"{row[2]}\n{row[3]}", "text lines"),
            (_first(row[4]), _outcome_color(row[4])),
        )
        for row in view.alerts
    ]
    happened = [((stamp(row[0]), "time"), (_happened(row), "text")) for row in view.happened]
    columns = (("time", "time"), ("alert", "text"), ("told", "text"))
    return {
        "fills": {"titles": titles, "rows": fills, "nothing": "no fill yet"},
        "alerts": {"titles": columns, "rows": alerts, "nothing": "no alert yet"},
        "happened": {
            "titles": (("time", "time"), ("", "text")),
            "rows": happened,
            "nothing": "nothing yet",
        },
    }


def _happened(row: Row) -> str:
    _, kind, what, more = row
    if kind == "state":
        return f"state {what}" + (f": {more}" if more else "")
    if kind == "reason":
        numbers = ", ".join(f"{name} {value:g}" for name, value in _numbers(more).items() if name != "halted")
        return f"reason {what}" + (f": {numbers}" if numbers else "")
    if kind == "command":
        command, _, arguments = str(what).partition(" ")
        who, _, answer = str(more).partition(": ")
        return f"{' '.join([command, *_values(arguments)])} by {who}: {_answer(answer)}"
    return f"{what}: {more}"


def _numbers(text: str) -> dict[str, float]:
    """Return the figures of a decision that are known."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return (
        {name: value for name, value in said.items() if value is not None} if isinstance(said, dict) else {}
    )


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
