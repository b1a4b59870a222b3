"""The dashboard's charts: Plotly figures as plain dictionaries, of bounded size, with colors that do on dark and on light."""

import math
from collections.abc import Iterable
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from amm500_nautilus.monitor.dashboard_buckets import NS
from amm500_nautilus.monitor.dashboard_buckets import Row
from amm500_nautilus.monitor.dashboard_journal import PARTS
from amm500_nautilus.monitor.dashboard_journal import Snapshot


Figure = dict[str, Any]
BLUE, RED, GREEN, GRAY, ORANGE = "#3d8bfd", "#e5484d", "#2fa36b", "#8a8f98", "#e08a1e"
PURPLE, TEAL = "#9a6be0", "#1fa3a8"
PART_COLORS = {
    "spread_capture": GREEN,
    "adverse_selection": RED,
    "inventory": BLUE,
    "fees": ORANGE,
    "funding": PURPLE,
    "liquidation": GRAY,
}
STATE_COLORS = {"PAUSED": ORANGE, "REDUCE_ONLY": PURPLE, "HALTED": RED, "STARTING": GRAY}
STRICTNESS = ("RUNNING", "STARTING", "REDUCE_ONLY", "PAUSED", "HALTED")
# the levels of live.md's margin row; the strategy's own may be stricter
MARGIN_WARN, MARGIN_PAUSE = 80.0, 90.0
MARKOUT_HORIZONS_S = (1, 5, 30, 60)
# no line over a time in which no node ran: the equity row comes each minute, the quote row each five seconds
_GAP_NS = 150_000_000_000
_MOST_BANDS = 150
MS = 1_000_000


def charts(view: Snapshot, shown: str) -> dict[str, Figure]:
    """Return every chart by name; ``shown`` is the range, within which a zoom survives a refresh."""
    return {
        "price": price_chart(view, shown),
        "position": position_chart(view, shown),
        "equity": equity_chart(view, shown),
        "drawdown": drawdown_chart(view, shown),
        "pnl": pnl_chart(view, shown),
        "margin": margin_chart(view, shown),
        "markout": markout_chart(view, shown),
        "actions": action_chart(view, shown),
    }


def price_chart(view: Snapshot, shown: str) -> Figure:
    """The mid with our best quotes and fills; the times of another state than RUNNING shaded."""
    times, values = _broken([(row[1], row[2:5]) for row in view.quotes], view)
    traces = [
        _line(times, _column(values, 1), "our ask", RED, width=1, shape="hv"),
        _line(times, _column(values, 0), "our bid", GREEN, width=1, shape="hv"),
        _line(times, _column(values, 2), "mid", BLUE, width=1.6),
    ]
    for side, name, color, symbol in (
        (1, "bought", GREEN, "triangle-up"),
        (-1, "sold", RED, "triangle-down"),
    ):
        ours = [row for row in view.fills if row[1] == side]
        texts = [
            f"{row[2]} fills of {_short(row[3])} in all" if row[2] > 1 else f"{_short(row[3])}"
            for row in ours
        ]
        marker = {"color": color, "size": 8, "symbol": symbol, "line": {"width": 1, "color": "#fff"}}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [row[0] // MS for row in ours],
                "y": [_short(row[4]) for row in ours],
                "text": texts,
                "hovertemplate": f"{name} %{{text}} at %{{y}}<extra></extra>",
                "marker": marker,
            }
        )
    figure = _figure(traces, view, shown, f"{view.n_fills:,} fills in this range")
    figure["layout"]["shapes"] = bands(view)
    return figure


def position_chart(view: Snapshot, shown: str) -> Figure:
    """What is held: each minute and after each fill."""
    points = [(row[1], (row[3],)) for row in view.minutes] + [(row[0], (row[5],)) for row in view.fills]
    points += _now_point(view, "position")
    times, values = _broken(sorted(points), view)
    trace = _line(times, _column(values, 0), "position", ORANGE, shape="hv")
    trace["fill"] = "tozeroy"
    return _figure([trace], view, shown, "contracts, signed")


def equity_chart(view: Snapshot, shown: str) -> Figure:
    """Equity, marked at the market's mid."""
    points = [(row[1], (row[2],)) for row in view.minutes] + _now_point(view, "equity")
    times, values = _broken(points, view)
    return _figure([_line(times, _column(values, 0), "equity", BLUE)], view, shown, "collateral units")


def drawdown_chart(view: Snapshot, shown: str) -> Figure:
    """The fall from the session's peak by which the kill switch judges: the worst minute of each bucket."""
    points = [(row[0] * view.width_ns, (row[3],)) for row in view.peaks]
    times, values = _broken(points, view)
    trace = _line(times, [_times(value, -100) for value in _column(values, 0)], "drawdown", RED)
    trace["fill"] = "tozeroy"
    return _figure([trace], view, shown, "% of the session's starting equity, worst minute")


def pnl_chart(view: Snapshot, shown: str) -> Figure:
    """The PnL parts since the range's start; the total comes from the account's equity alone."""
    rows = [row for row in view.minutes if row[7] is not None]
    base = view.before if view.before is not None and view.before[7] is not None else None
    first = base or (rows[0] if rows else None)
    if first is None:
        return _figure([], view, shown, "no minute of this range has its parts")
    points = [
        (row[1], tuple(now - then for now, then in zip(row[7:], first[7:], strict=True))) for row in rows
    ]
    times, values = _broken(points, view)
    traces = [
        _line(times, _column(values, PARTS.index(name)), name.replace("_", " "), PART_COLORS[name], width=1.2)
        for name in PARTS[:-1]
    ]
    total = _line(times, _column(values, len(PARTS) - 1), "total (equity)", TEAL, width=2.6)
    return _figure([*traces, total], view, shown, "collateral units since the range's start")


def margin_chart(view: Snapshot, shown: str) -> Figure:
    """The margin ratio's worst minute of each bucket, with its lines at 80 and 90 %."""
    points = [(row[0] * view.width_ns, (row[1], row[2])) for row in view.peaks]
    times, values = _broken(points, view)
    ratio = [_times(value, 100) for value in _column(values, 0)]
    maintenance = [_times(value, 100) for value in _column(values, 1)]
    figure = _figure(
        [
            _line(times, ratio, "margin ratio", BLUE),
            _line(times, maintenance, "maintenance ratio", PURPLE, width=1),
        ],
        view,
        shown,
        "%, worst minute; liquidation at 100 % of the maintenance ratio",
    )
    known = [value for value in ratio + maintenance if value is not None]
    figure["layout"]["yaxis"] |= {"range": [0, max(100.0, 1.05 * max(known, default=0.0))]}
    lines = ((MARGIN_WARN, ORANGE, "warn, 80 %"), (MARGIN_PAUSE, RED, "reduce only, 90 %"))
    figure["layout"]["shapes"] = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": at,
            "y1": at,
            "line": {"color": color, "dash": "dash", "width": 1.5},
        }
        for at, color, _ in lines
    ]
    figure["layout"]["annotations"] = [
        {
            "xref": "paper",
            "x": 0.01,
            "xanchor": "left",
            "y": at,
            "yanchor": "bottom" if at == MARGIN_PAUSE else "top",
            "text": text,
            "showarrow": False,
            "font": {"color": color, "size": 11},
        }
        for at, color, text in lines
    ]
    return figure


def markouts(view: Snapshot) -> dict[int, dict[str, float]]:
    """
    Return the size-weighted markouts in bp by horizon and ``all``, ``bought`` or ``sold``; positive is good for us.

    Markout at h is side times (mid h seconds later less the fill's price) over that price.
    """
    sums: dict[tuple[int, str], tuple[float, float]] = {}
    for _, horizon, side, weighted, size, _ in view.markouts:
        for group in ("all", "bought" if side > 0 else "sold"):
            before = sums.get((horizon, group), (0.0, 0.0))
            sums[horizon, group] = before[0] + weighted, before[1] + size
    found: dict[int, dict[str, float]] = {}
    for (horizon, group), (weighted, size) in sums.items():
        if size > 0:
            found.setdefault(horizon, {})[group] = weighted / size
    return found


def markout_chart(view: Snapshot, shown: str) -> Figure:
    """What fills were worth seconds later: all, bought and sold."""
    found = markouts(view)
    labels = [f"{horizon} s" for horizon in MARKOUT_HORIZONS_S]
    traces = []
    for group, color in (("all", BLUE), ("bought", GREEN), ("sold", RED)):
        values = [_rounded(found.get(horizon, {}).get(group)) for horizon in MARKOUT_HORIZONS_S]
        traces.append(
            {
                "type": "bar",
                "name": group,
                "x": labels,
                "y": values,
                "marker": {"color": color},
                "hovertemplate": f"{group}, %{{x}}: %{{y}} bp<extra></extra>",
            }
        )
    longest = sum(row[5] for row in view.markouts if row[1] == MARKOUT_HORIZONS_S[-1])
    figure = _figure(
        traces, view, shown, f"bp of price, weighted by size; {longest:,} fills are a minute old"
    )
    figure["layout"]["xaxis"] = {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": labels,
        "fixedrange": True,
    }
    figure["layout"]["hovermode"] = "closest"
    return figure


def action_chart(view: Snapshot, shown: str) -> Figure:
    """Actions sent in each bucket, and how many the address may still send."""
    sent, times = [], []
    every = max(60 * NS, view.width_ns)
    rows = [row for row in view.minutes if row[6] is not None]
    for before, row in pairwise(rows):
        # a new run counts from where it was, or from zero
        sent.append(row[6] - before[6] if row[6] >= before[6] else row[6])
        times.append((row[1] // every * every + every // 2) // MS)
    stamps, values = _broken(
        [(row[1], (row[5],)) for row in view.minutes] + _now_point(view, "budget_remaining"), view
    )
    left = _line(stamps, _column(values, 0), "actions left", TEAL)
    left["yaxis"] = "y2"
    bars = {
        "type": "bar",
        "name": "sent",
        "x": times,
        "y": sent,
        "width": 0.9 * every / MS,
        "marker": {"color": BLUE, "opacity": 0.55, "line": {"width": 0}},
        "hovertemplate": "%{y:,} sent<extra></extra>",
    }
    figure = _figure(
        [bars, left], view, shown, f"actions sent each {_span(every // NS)} (left), still allowed (right)"
    )
    figure["layout"]["margin"] |= {"r": 62}
    figure["layout"]["yaxis2"] = {
        "overlaying": "y",
        "side": "right",
        "showgrid": False,
        "zeroline": False,
        "nticks": 4,
        "ticklabeloverflow": "allow",
        "separatethousands": True,
        "exponentformat": "none",
    }
    return figure


def bands(view: Snapshot) -> list[dict[str, Any]]:
    """Return the times of another state than RUNNING as shaded shapes, those closer than a bucket as one."""
    merged: list[list[Any]] = []
    for start, end, state, _ in view.states:
        if state == "RUNNING" or state not in STATE_COLORS:
            continue
        if merged and start - merged[-1][1] < view.width_ns // 2:
            last = merged[-1]
            last[1] = end
            last[2] = max(last[2], state, key=STRICTNESS.index)
        else:
            merged.append([start, end, state])
    return [
        {
            "type": "rect",
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": start // MS,
            "x1": end // MS,
            "fillcolor": STATE_COLORS[state],
            "opacity": 0.18,
            "line": {"width": 0},
            "layer": "below",
        }
        for start, end, state in merged[-_MOST_BANDS:]
    ]


def _now_point(view: Snapshot, name: str) -> list[tuple[int, tuple[Any, ...]]]:
    """Return the newest reading as a point of its own: the last minute's row may be a minute old."""
    value, ts_ns = view.reading.get(name), view.reading.get("ts_ns") or 0
    last = view.minutes[-1][1] if view.minutes else 0
    return [(ts_ns, (value,))] if value is not None and last < ts_ns <= view.end_ns else []


def _broken(points: Sequence[tuple[int, Row]], view: Snapshot) -> tuple[list[int], list[Row]]:
    """Return times in ms and values, with a break wherever no node ran."""
    gap = max(_GAP_NS, 3 * view.width_ns)
    times: list[int] = []
    values: list[Row] = []
    before = None
    for ts_ns, row in points:
        if before is not None and ts_ns - before > gap:
            times.append(before // MS + 1)
            values.append((None,) * len(row))
        times.append(ts_ns // MS)
        values.append(row)
        before = ts_ns
    return times, values


def _column(rows: Iterable[Row], at: int) -> list[float | None]:
    return [_rounded(row[at]) for row in rows]


def _rounded(value: float | None) -> float | None:
    """Return eight digits: more are never seen, and would double what goes over the wire."""
    return float(f"{value:.8g}") if value is not None and math.isfinite(value) else None


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else _rounded(value * factor)


def _short(value: float) -> str:
    return f"{value:.8g}"


def _span(seconds: int) -> str:
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds % size == 0:
            count = seconds // size
            return unit if count == 1 else f"{count} {unit}s"
    return f"{seconds} seconds"


def _line(
    x: list[int], y: list[float | None], name: str, color: str, *, width: float = 1.6, shape: str = "linear"
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "line": {"color": color, "width": width, "shape": shape},
        "hovertemplate": f"{name} %{{y}}<extra></extra>",
    }


def _figure(traces: list[dict[str, Any]], view: Snapshot, shown: str, note: str) -> Figure:
    layout = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": GRAY},
        # fixed: margins that fit themselves draw everything two or three times
        "margin": {"t": 8, "b": 36, "l": 62, "r": 12, "autoexpand": False},
        # the page says it beside the title, where it wraps on a phone
        "showlegend": False,
        "hovermode": "x unified" if traces and traces[0].get("mode") == "lines" else "closest",
        "dragmode": False,
        "uirevision": shown,
        "xaxis": {
            "type": "date",
            "range": [view.start_ns // MS, view.end_ns // MS],
            "showgrid": True,
            "gridcolor": "rgba(128,128,128,0.2)",
            "nticks": 6,
            "tickangle": 0,
            # fitting each label measures it, which costs as much as the lines
            "ticklabeloverflow": "allow",
            "hoverformat": "%Y-%m-%d %H:%M:%S UTC",
        },
        "yaxis": {
            "gridcolor": "rgba(128,128,128,0.2)",
            "zerolinecolor": "rgba(128,128,128,0.5)",
            "nticks": 6,
            "ticklabeloverflow": "allow",
            "separatethousands": True,
            "exponentformat": "none",
        },
        "meta": note,
    }
    return {"data": traces, "layout": layout}
