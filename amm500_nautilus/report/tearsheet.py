"""The tearsheet: one self-contained HTML page of Nautilus's own charts and ours, headed by what data this was."""

import html
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from nautilus_trader.analysis import TearsheetConfig
from nautilus_trader.analysis import TearsheetDistributionChart
from nautilus_trader.analysis import TearsheetDrawdownChart
from nautilus_trader.analysis import TearsheetEquityChart
from nautilus_trader.analysis import TearsheetMonthlyReturnsChart
from nautilus_trader.analysis import TearsheetRunInfoChart
from nautilus_trader.analysis import TearsheetStatsTableChart
from nautilus_trader.analysis.config import GridLayout
from nautilus_trader.analysis.tearsheet import create_tearsheet_from_stats

from amm500_nautilus.report import charts
from amm500_nautilus.report.buffers import PARTIAL
from amm500_nautilus.report.files import EQUITY
from amm500_nautilus.report.files import RunFiles
from amm500_nautilus.report.files import ints
from amm500_nautilus.report.files import read_run
from amm500_nautilus.report.files import require_columns
from amm500_nautilus.report.shape import require_keys
from amm500_nautilus.report.statistics import block_ends
from amm500_nautilus.report.statistics import block_returns
from amm500_nautilus.report.statistics import pnl_path
from amm500_nautilus.report.statistics import without_transfers
from amm500_nautilus.report.summary import PNL_PARTS
from amm500_nautilus.report.summary import fill_arrays
from amm500_nautilus.report.summary import path_arrays
from amm500_nautilus.report.words import METRICS
from amm500_nautilus.report.words import data_line
from amm500_nautilus.report.words import figure
from amm500_nautilus.report.words import halt_line
from amm500_nautilus.report.words import risk_line
from amm500_nautilus.report.words import runs_line
from amm500_nautilus.report.words import title


# what a report reads of a summary; the others are not in that of an older run
SECTIONS = (
    "name",
    "data",
    "targets",
    "verdict",
    "verdict_reasons",
    "metrics",
    "pnl",
    "pnl_check",
    "markouts_bps",
    "fills",
    "budget",
    "volatility",
    "reasons",
)
OTHER_SECTIONS = ("account", "liquidations", "limits")
STYLE = """
<style>
body { font-family: sans-serif; margin: 0 24px 48px; color: #222; }
.data { padding: 14px 18px; margin: 16px 0; font-size: 20px; font-weight: bold; border-radius: 4px; }
.simulated { background: #c00; color: #fff; } .recorded { background: #e3f4e3; color: #1a5c1a; }
.broken { background: #000; color: #ff0; }
table { border-collapse: collapse; margin: 8px 24px 16px 0; display: inline-table; vertical-align: top; }
td, th { padding: 4px 10px; border-bottom: 1px solid #ddd; text-align: right; }
td:first-child, th:first-child { text-align: left; } .pass { color: #1a7f1a; } .miss { color: #c00; }
caption { text-align: left; font-weight: bold; padding: 4px 0; }
</style>
"""


def write_tearsheet(run_dir: str | Path, summary: dict[str, Any]) -> Path:
    """
    Write ``tearsheet.html`` of a finished run and return its path.

    Nautilus's charts are fed the 60-minute block returns of the mark-to-market equity, and its tables our own figures: its daily
    Sharpe is not shown, so that the report has one. Long series are thinned (spikes kept); the page needs no network.

    Raises
    ------
    InputError
        When the run's files, or sections of its summary, are missing.

    """
    where = Path(run_dir) / "summary.json"
    require_keys(summary, (*SECTIONS, *(name for name in OTHER_SECTIONS if name in summary)), where)
    run = read_run(run_dir)
    require_columns(run.equity, ("ts", "fills_cum"), Path(run_dir) / EQUITY)
    page = _nautilus_page(run, summary)
    body = "".join(
        chart.to_html(full_html=False, include_plotlyjs=False) for chart in _our_charts(run, summary)
    )
    before, tag, after = page.partition("<body>")
    inner, close, tail = after.rpartition("</body>")
    title_tag = f"<title>{html.escape(summary['name'])}</title>"
    text = (
        before.replace("<head>", "<head>" + title_tag + STYLE)
        + tag
        + _head(summary)
        + inner
        + body
        + close
        + tail
    )
    path = Path(run_dir) / "tearsheet.html"
    partial = path.with_name(path.name + PARTIAL)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)  # noqa: PTH105
    return path


def _our_charts(run: RunFiles, summary: dict[str, Any]) -> list[go.Figure]:
    budget = summary["budget"]
    return [
        charts.price_chart(run),
        charts.equity_chart(run),
        charts.pnl_chart(run, pnl_path(fill_arrays(run), path_arrays(run))),
        charts.markout_chart(run),
        charts.level_chart(run),
        charts.factor_chart(run),
        charts.margin_chart(run),
        charts.action_chart(run, float(budget["initial_actions"]), float(budget["credit_per_usd"])),
    ]


def _nautilus_page(run: RunFiles, summary: dict[str, Any]) -> str:
    path = path_arrays(run)
    sessions = run.session_bounds()
    ends = block_ends(sessions)
    ends = ends[ends > path.ts_ns[0]]
    equity = without_transfers(path.equity, path.transfers)
    values = block_returns(ints(run.equity, "ts_ns"), equity, sessions)
    returns = pd.Series(np.asarray(values), index=pd.to_datetime(ends, utc=True))
    metrics = {title(name): figure(name, summary["metrics"][name]) for name in METRICS}
    data = summary["data"]
    page = create_tearsheet_from_stats(
        stats_pnls={},
        stats_returns=metrics,
        stats_general={f"markout {h}, bp": figure("", v) for h, v in summary["markouts_bps"].items()},
        returns=returns,
        output_path=None,
        title=f"{summary['name']}: Nautilus charts of 60-minute returns",
        run_info={
            "Run": summary["name"],
            "Market": data["market"],
            "Start": data["start"],
            "End": data["end"],
        },
        account_info={
            "Equity at start": figure("", summary["metrics"]["equity_start"]),
            "Equity at end": figure("", summary["metrics"]["equity_end"]),
        },
        config=TearsheetConfig(
            charts=[
                TearsheetRunInfoChart(),
                TearsheetStatsTableChart(title="Results (60-minute blocks)"),
                TearsheetEquityChart(title="Equity, start = 1 (60-minute blocks)"),
                TearsheetDrawdownChart(
                    title="Drawdown at block ends (the reported one is of the 1-minute path)"
                ),
                TearsheetMonthlyReturnsChart(),
                TearsheetDistributionChart(title="60-minute returns"),
            ],
            layout=GridLayout(rows=3, cols=2, heights=[0.48, 0.26, 0.26]),
            height=1500,
            show_logo=False,
        ),
    )
    return str(page)


def _head(summary: dict[str, Any]) -> str:
    text, red = data_line(summary)
    parts = [f'<div class="data {"simulated" if red else "recorded"}">{html.escape(text)}</div>']
    if not summary["pnl_check"]["ok"]:
        parts.append(f'<div class="data broken">{html.escape(summary["pnl_check"]["message"])}</div>')
    if halted := halt_line(summary):
        parts.append(f'<div class="data broken">{html.escape(halted)}</div>')
    verdict = f"Verdict: {summary['verdict']}"
    if summary["verdict_reasons"]:
        verdict += f" ({'; '.join(summary['verdict_reasons'])})"
    parts.append(f"<h2>{html.escape(verdict)}</h2>")
    words = {True: ("pass", "pass"), False: ("miss", "miss"), None: ("", "unknown")}
    rows = []
    for row in summary["targets"]:
        style, word = words[row["pass"]]
        name = str(row["name"])
        wanted = f"{row['rule']} {figure(name, float(row['target']))}"
        cells = f"<td>{title(name)}</td><td>{html.escape(wanted)}</td><td>{figure(name, row['actual'])}</td>"
        rows.append(f'<tr>{cells}<td class="{style}">{word}</td></tr>')
    parts.append(
        _table("Targets", "<tr><th></th><th>wanted</th><th>reached</th><th></th></tr>" + "".join(rows))
    )
    pnl = (f"<tr><td>{title(n)}</td><td>{summary['pnl'][n]:+,.4f}</td></tr>" for n in (*PNL_PARTS, "total"))
    parts.append(_table(f"PnL, {summary['data']['collateral']}", "".join(pnl)))
    notes = [str(note) for note in summary["budget"]["notes"]]
    notes += [f"assumed: {default}" for default in summary["data"]["defaults"]]
    notes += [f"{name}: {reason}" for name, reason in summary["reasons"].items()]
    notes += [line for line in (risk_line(summary), runs_line(summary)) if line]
    share = figure("unseen_share", summary["fills"]["unseen_share"])
    notes.append(f"fills from levels outside the visible book: {share}")
    crossed = figure("cross_share", summary["fills"].get("cross_share"))
    notes.append(f"fills because the other side's quote reached our price: {crossed}")
    parts.append("<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in notes) + "</ul>")
    return "".join(parts)


def _table(caption: str, rows: str) -> str:
    return f"<table><caption>{html.escape(caption)}</caption>{rows}</table>"
