"""
The dashboard's charts as plain dictionaries of bounded size, with colors that do on dark and on light.

What each holds, and ``dashboard_assets/charts.js`` draws: ``note``, what it shows; ``shown``, its range; ``from`` and ``to`` in ms, or the
``labels`` of its places; ``groups`` of lines or bars that share their ``x``; ``points`` that are marked one by one; ``bands`` of time that
are shaded; ``levels``, lines across with their text; ``y``, the limits of the scale, where it has its own.
"""

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
    lines = [
        _line(_column(values, 1), "our ask", RED, width=1, step=True),
        _line(_column(values, 0), "our bid", GREEN, width=1, step=True),
        _line(_column(values, 2), "mid", BLUE),
    ]
    points = []
    for side, name, color in ((1, "bought", GREEN), (-1, "sold", RED)):
        ours = [row for row in view.fills if row[1] == side]
        texts = [
            f"{row[2]} fills of {_short(row[3])} in all" if row[2] > 1 else f"{_short(row[3])}"
            for row in ours
        ]
        points.append(
            {
                "name": name,
                "color": color,
                "up": side > 0,
                "x": [row[0] // MS for row in ours],
                "y": [_rounded(row[4]) for row in ours],
                "text": texts,
            }
        )
    figure = _figure([_group(times, lines)], view, shown, f"{view.n_fills:,} fills in this range")
    return figure | {"points": points, "bands": bands(view)}


def position_chart(view: Snapshot, shown: str) -> Figure:
    """What is held: each minute and after each fill."""
    points = [(row[1], (row[3],)) for row in view.minutes] + [(row[0], (row[5],)) for row in view.fills]
    points += _now_point(view, "position")
    times, values = _broken(sorted(points), view)
    line = _line(_column(values, 0), "position", ORANGE, step=True, fill=True)
    return _figure([_group(times, [line])], view, shown, "contracts, signed")


def equity_chart(view: Snapshot, shown: str) -> Figure:
    """Equity, marked at the market's mid."""
    points = [(row[1], (row[2],)) for row in view.minutes] + _now_point(view, "equity")
    times, values = _broken(points, view)
    line = _line(_column(values, 0), "equity", BLUE)
    return _figure([_group(times, [line])], view, shown, "collateral units")


def drawdown_chart(view: Snapshot, shown: str) -> Figure:
    """The fall from the session's peak by which the kill switch judges: the worst minute of each bucket."""
    points = [(row[0] * view.width_ns, (row[3],)) for row in view.peaks]
    times, values = _broken(points, view)
    line = _line([_times(value, -100) for value in _column(values, 0)], "drawdown", RED, fill=True)
    return _figure([_group(times, [line])], view, shown, "% of the session's starting equity, worst minute")


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
    lines = [
        _line(_column(values, PARTS.index(name)), name.replace("_", " "), PART_COLORS[name], width=1.2)
        for name in PARTS[:-1]
    ]
    total = _line(_column(values, len(PARTS) - 1), "total (equity)", TEAL, width=2.6)
    return _figure([_group(times, [*lines, total])], view, shown, "collateral units since the range's start")


def margin_chart(view: Snapshot, shown: str) -> Figure:
    """The margin ratio's worst minute of each bucket, with its lines at 80 and 90 %."""
    points = [(row[0] * view.width_ns, (row[1], row[2])) for row in view.peaks]
    times, values = _broken(points, view)
    ratio = [_times(value, 100) for value in _column(values, 0)]
    maintenance = [_times(value, 100) for value in _column(values, 1)]
    lines = [
        _line(ratio, "margin ratio", BLUE),
        _line(maintenance, "maintenance ratio", PURPLE, width=1),
    ]
    note = "%, worst minute; liquidation at 100 % of the maintenance ratio"
    known = [value for value in ratio + maintenance if value is not None]
    levels = ((MARGIN_WARN, ORANGE, "warn, 80 %"), (MARGIN_PAUSE, RED, "reduce only, 90 %"))
    return _figure([_group(times, lines)], view, shown, note) | {
        "levels": [{"y": at, "color": color, "text": text} for at, color, text in levels],
        "y": [0, max(100.0, 1.05 * max(known, default=0.0))],
    }


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
    bars = []
    for number, (group, color) in enumerate((("all", BLUE), ("bought", GREEN), ("sold", RED))):
        values = [_rounded(found.get(horizon, {}).get(group)) for horizon in MARKOUT_HORIZONS_S]
        bars.append(_bar(values, group, color, width=0.26, offset=0.26 * (number - 1)))
    longest = sum(row[5] for row in view.markouts if row[1] == MARKOUT_HORIZONS_S[-1])
    places = _group(list(range(len(MARKOUT_HORIZONS_S))), bars)
    note = f"bp of price, weighted by size; {longest:,} fills are a minute old"
    return _figure([places], view, shown, note) | {
        "labels": [f"{horizon} s" for horizon in MARKOUT_HORIZONS_S]
    }


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
    left = _line(_column(values, 0), "actions left", TEAL, right=True)
    bars = _bar(sent, "sent", BLUE, width=0.9 * every / MS)
    note = f"actions sent each {_span(every // NS)} (left), still allowed (right)"
    return _figure([_group(times, [bars]), _group(stamps, [left])], view, shown, note)


def bands(view: Snapshot) -> list[tuple[int, int, str]]:
    """Return the times of another state than RUNNING as (from, to, color), ms; those closer than a bucket as one."""
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
    return [(start // MS, end // MS, STATE_COLORS[state]) for start, end, state in merged[-_MOST_BANDS:]]


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


def _group(x: list[int], lines: list[dict[str, Any]]) -> dict[str, Any]:
    return {"x": x, "lines": lines}


def _line(y: list[float | None], name: str, color: str, **style: Any) -> dict[str, Any]:
    """A line; ``width`` in px, ``step`` from value to value, ``fill`` down to zero, ``right`` by the scale there."""
    return {"name": name, "color": color, "y": y, **style}


def _bar(y: list[Any], name: str, color: str, *, width: float, offset: float = 0.0) -> dict[str, Any]:
    """Bars, so wide and so far beside their place, in units of x."""
    return {"name": name, "color": color, "y": y, "bar": width, "offset": offset}


def _figure(groups: list[dict[str, Any]], view: Snapshot, shown: str, note: str) -> Figure:
    return {
        "note": note,
        "shown": shown,
        "from": view.start_ns // MS,
        "to": view.end_ns // MS,
        "groups": groups,
    }
