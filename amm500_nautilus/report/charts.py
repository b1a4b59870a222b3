"""Our charts of a run; each reads the run's files and returns a Plotly figure of bounded size."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from amm500_nautilus.report.columns import HORIZONS_S
from amm500_nautilus.report.columns import MID_COLUMNS
from amm500_nautilus.report.files import Floats
from amm500_nautilus.report.files import RunFiles
from amm500_nautilus.report.files import floats
from amm500_nautilus.report.statistics import BPS
from amm500_nautilus.report.statistics import PnlPath
from amm500_nautilus.report.statistics import markout_bps
from amm500_nautilus.report.statistics import without_transfers
from amm500_nautilus.report.summary import PNL_PARTS
from amm500_nautilus.report.summary import fill_arrays
from amm500_nautilus.report.summary import has_markout
from amm500_nautilus.report.words import title


MAX_POINTS = 3_000
MAX_FILLS = 4_000
BLUE, RED, GREEN, GRAY, ORANGE = "#1f77b4", "#d62728", "#2ca02c", "#7f7f7f", "#ff7f0e"
MARGIN_WARN, MARGIN_PAUSE = 0.80, 0.90
NO_GAP_NS = 2 * 60 * 1_000_000_000


def thin(count: int, most: int = MAX_POINTS) -> np.ndarray:
    """Return at most ``most`` row numbers spread evenly over ``count``, the first and last among them."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))


def thin_path(values: Floats, most: int = MAX_POINTS) -> np.ndarray:
    """Like ``thin``, but of each bucket the lowest and highest value stay, so that no spike of a path is lost."""
    count = len(values)
    if count <= most:
        return np.arange(count)
    kept = [0, count - 1]
    for bucket in np.array_split(np.arange(count), most // 2):
        part = values[bucket]
        if np.isfinite(part).any():
            kept += [int(bucket[np.nanargmin(part)]), int(bucket[np.nanargmax(part)])]
    return np.unique(kept)


def price_chart(run: RunFiles) -> go.Figure:
    """Price with our best quotes and fills, inventory below."""
    frame, fills = run.equity, run.fills
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.04)
    mid = floats(frame, "mid")
    keep = thin_path(mid)
    times = frame["ts"].iloc[keep]
    for name, values, color in (
        ("our ask", floats(frame, "best_ask"), RED),
        ("our bid", floats(frame, "best_bid"), GREEN),
        ("mid", mid, BLUE),
    ):
        figure.add_trace(
            _line(times, values[keep], name, color, width=1.5 if name == "mid" else 0.7), row=1, col=1
        )
    for side, name, color, symbol in (
        (1, "bought", GREEN, "triangle-up"),
        (-1, "sold", RED, "triangle-down"),
    ):
        ours = fills[fills["side"] == side]
        ours = ours.iloc[thin(len(ours), MAX_FILLS // 2)]
        stamps = pd.to_datetime(ours["ts_ns"], utc=True)
        marker = {"color": color, "size": 5, "symbol": symbol}
        figure.add_trace(
            go.Scattergl(x=stamps, y=ours["last_px"], mode="markers", name=name, marker=marker), row=1, col=1
        )
    position = floats(frame, "position")
    keep = thin_path(position)
    trace = _line(frame["ts"].iloc[keep], position[keep], "inventory", ORANGE)
    figure.add_trace(trace, row=2, col=1)
    figure.update_yaxes(title_text="price", row=1, col=1)
    figure.update_yaxes(title_text="contracts", row=2, col=1)
    shown = "" if len(fills) <= MAX_FILLS else f" ({MAX_FILLS:,} of {len(fills):,} fills drawn)"
    return _titled(figure, f"Price with fills, quotes and inventory{shown}", 620)


def equity_chart(run: RunFiles) -> go.Figure:
    """The 1-minute equity path and its drawdown in percent."""
    frame = run.equity
    moved = floats(frame, "transfers_cum")
    equity = floats(frame, "equity") - moved
    weighted = without_transfers(floats(frame, "equity"), moved)
    peaks = np.maximum.accumulate(weighted)
    drawdown = -100 * (peaks - weighted) / peaks
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.65, 0.35], vertical_spacing=0.04)
    keep = np.union1d(thin_path(equity), thin_path(drawdown))
    times = frame["ts"].iloc[keep]
    figure.add_trace(_line(times, equity[keep], "equity", BLUE), row=1, col=1)
    trace = _line(times, drawdown[keep], "drawdown, %", RED)
    trace.fill = "tozeroy"
    figure.add_trace(trace, row=2, col=1)
    return _titled(figure, "Equity and drawdown (1-minute path, marked at the book's mid)", 520)


def pnl_chart(run: RunFiles, path: PnlPath) -> go.Figure:
    """Each PnL part over time; at every moment they add up to the total."""
    figure = go.Figure()
    keep = thin_path(path.total, MAX_POINTS // 2)
    times = run.equity["ts"].iloc[keep]
    for name in PNL_PARTS:
        figure.add_trace(go.Scatter(x=times, y=getattr(path, name)[keep], mode="lines", name=title(name)))
    total = _line(times, path.total[keep], "total (ledger)", "black", width=2.5)
    figure.add_trace(total)
    return _titled(figure, "PnL decomposition over time", 460)


def markout_chart(run: RunFiles) -> go.Figure:
    """Size-weighted markouts after our fills: all, buys and sells."""
    fills = fill_arrays(run)
    complete = has_markout(run)
    figure = go.Figure()
    for name, use, color in (
        ("all fills", np.ones(len(fills.side), dtype=bool), BLUE),
        ("bought", fills.side > 0, GREEN),
        ("sold", fills.side < 0, RED),
    ):
        values = [
            markout_bps(fills.side, fills.qty, fills.price, floats(run.fills, column), complete & use)
            for column in MID_COLUMNS.values()
        ]
        labels = ["at fill", *(f"{h} s" for h in HORIZONS_S)]
        figure.add_trace(
            go.Scatter(x=labels, y=values, mode="lines+markers", name=name, line={"color": color})
        )
    fee = float(fills.fee.sum()) / max(1e-12, float((fills.price * fills.qty).sum())) * BPS
    figure.add_hline(y=fee, line_dash="dot", line_color=GRAY, annotation_text=f"fees paid, {fee:.3f} bp")
    figure.update_yaxes(title_text="bp")
    return _titled(figure, "Markout curve (above the fee line a fill has earned something)", 420)


def level_chart(run: RunFiles) -> go.Figure:
    """Fills by ladder level and by whether the level was visible when the order was placed."""
    figure = go.Figure()
    for unseen, name, color in ((0, "level was visible", BLUE), (1, "level was not visible", ORANGE)):
        counts = run.fills[run.fills["unseen_level"] == unseen]["level"].value_counts().sort_index()
        figure.add_trace(go.Bar(x=counts.index, y=counts.to_numpy(), name=name, marker_color=color))
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title_text="ladder level (0 is the touch)")
    figure.update_yaxes(title_text="fills")
    return _titled(figure, "Fills by level", 380)


def factor_chart(run: RunFiles) -> go.Figure:
    """Each named factor of the spread pipeline over time; the half-spread band in bp below."""
    frame = run.equity
    names = [str(name) for name in frame.columns if str(name).startswith("f_")]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.04, row_heights=[0.6, 0.4])
    keep = thin(len(frame), MAX_POINTS // 2)
    times = frame["ts"].iloc[keep]
    for name in names:
        values = floats(frame, name)[keep]
        row = 2 if name.endswith("_bps") else 1
        figure.add_trace(
            go.Scatter(x=times, y=values, mode="lines", name=name[2:], line={"width": 1}), row=row, col=1
        )
    figure.update_yaxes(title_text="multiplier", row=1, col=1)
    figure.update_yaxes(title_text="half-spread, bp", row=2, col=1)
    return _titled(figure, "Spread factors over time", 520)


def margin_chart(run: RunFiles) -> go.Figure:
    """The margin ratio's peak of each minute with the warning and pause lines."""
    ratio = 100 * floats(run.equity, "margin_ratio_max")
    keep = thin_path(ratio)
    figure = go.Figure(_line(run.equity["ts"].iloc[keep], ratio[keep], "margin ratio, %", BLUE))
    figure.add_hline(y=100 * MARGIN_WARN, line_color=ORANGE, line_dash="dash", annotation_text="warn, 80 %")
    figure.add_hline(y=100 * MARGIN_PAUSE, line_color=RED, line_dash="dash", annotation_text="pause, 90 %")
    figure.update_yaxes(range=[0, max(100.0, float(np.nanmax(ratio)) * 1.05)], title_text="%")
    return _titled(figure, "Margin ratio", 360)


def action_chart(run: RunFiles, initial_actions: float, credit_per_usd: float) -> go.Figure:
    """Order actions sent against what the address was allowed to send by then."""
    frame = run.equity
    sent = floats(frame, "actions_cum")
    allowed = initial_actions + credit_per_usd * floats(frame, "volume_cum")
    keep = thin(len(frame), MAX_POINTS // 2)
    times = frame["ts"].iloc[keep]
    figure = go.Figure()
    figure.add_trace(_line(times, allowed[keep], "allowed by then", GREEN))
    figure.add_trace(_line(times, sent[keep], "sent", BLUE))
    figure.add_trace(_line(times, floats(frame, "rejected_cum")[keep], "rejected by the venue", RED))
    return _titled(figure, "Actions against budget", 380)


def _line(x: "pd.Series[pd.Timestamp]", y: Floats, name: str, color: str, width: float = 1.2) -> go.Scatter:
    return go.Scatter(x=x, y=y, mode="lines", name=name, line={"color": color, "width": width})


def _titled(figure: go.Figure, text: str, height: int) -> go.Figure:
    figure.update_layout(
        title=text,
        template="plotly_white",
        height=height,
        margin={"t": 60, "b": 40, "l": 60, "r": 30},
        legend={"orientation": "h", "y": -0.12},
    )
    return figure
