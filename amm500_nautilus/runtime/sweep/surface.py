"""A sweep's surface as one page: the objective over each pair of parameters, and over each alone."""

import html
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import plotly.graph_objects as go

from amm500_nautilus.runtime.sweep.config import SweepSection
from amm500_nautilus.runtime.sweep.report import SweepReport
from amm500_nautilus.runtime.sweep.report import sweep_lines


STYLE = "body { font-family: sans-serif; margin: 0 24px 48px; } .data { background: #c00; color: #fff; padding: 12px; }"
MOST_PAIRS = 15


def surface_page(report: SweepReport, section: SweepSection) -> str:
    """Return a self-contained page; of a pair's cell with several trials the median is shown, and the best in the hover text."""
    rows = [row for row in report.rows if row["objective"] is not None]
    names = [item.key for item in section.parameters]
    figures = [_alone(rows, name, section.objective) for name in names]
    figures += [_pair(rows, x, y, section.objective) for x, y in list(combinations(names, 2))[:MOST_PAIRS]]
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=number == 0, div_id=f"surface-{number}")
        for number, figure in enumerate(figures)
    ]
    facts = report.facts
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in sweep_lines(facts))
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{html.escape(facts['name'])}</title>"
        f"<style>{STYLE}</style></head><body><h1>{html.escape(facts['name'])}</h1>"
        f"<div class='data'>{html.escape(facts['data']['line'])}</div>{lines}{''.join(parts)}</body></html>\n"
    )


def _ordered(values: Sequence[Any]) -> list[Any]:
    """Return the distinct values in order, numbers by size and the rest as they came."""
    distinct = list(dict.fromkeys(values))
    return sorted(distinct) if all(isinstance(value, int | float) for value in distinct) else distinct


def _alone(rows: Sequence[dict[str, Any]], name: str, objective: str) -> go.Figure:
    figure = go.Figure()
    for value in _ordered([row[name] for row in rows]):
        found = [row["objective"] for row in rows if row[name] == value]
        figure.add_trace(go.Box(y=found, name=str(value), boxpoints="all", showlegend=False))
    figure.update_layout(title=f"{objective} by {name}", xaxis_title=name, yaxis_title=objective, height=380)
    return figure


def _pair(rows: Sequence[dict[str, Any]], x: str, y: str, objective: str) -> go.Figure:
    columns, lines = _ordered([row[x] for row in rows]), _ordered([row[y] for row in rows])
    middle = np.full((len(lines), len(columns)), np.nan)
    best = np.full_like(middle, np.nan)
    for place, line in enumerate(lines):
        for at, column in enumerate(columns):
            found = [row["objective"] for row in rows if row[x] == column and row[y] == line]
            if found:
                middle[place, at], best[place, at] = float(np.median(found)), max(found)
    figure = go.Figure(
        go.Heatmap(
            z=middle,
            x=[str(column) for column in columns],
            y=[str(line) for line in lines],
            customdata=best,
            hovertemplate=f"{x} %{{x}}<br>{y} %{{y}}<br>median %{{z:.4f}}<br>best %{{customdata:.4f}}<extra></extra>",
            colorscale="RdYlGn",
            colorbar={"title": objective},
        )
    )
    figure.update_layout(
        title=f"median {objective} over {x} and {y}", xaxis_title=x, yaxis_title=y, height=460
    )
    return figure
