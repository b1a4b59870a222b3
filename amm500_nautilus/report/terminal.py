"""Reports on a terminal: a run's table, several runs side by side, and why a run was not quoting."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from amm500_nautilus.report.summary import PNL_PARTS
from amm500_nautilus.report.why import WhyReport
from amm500_nautilus.report.why import why
from amm500_nautilus.report.words import METRICS
from amm500_nautilus.report.words import data_line
from amm500_nautilus.report.words import figure
from amm500_nautilus.report.words import halt_line
from amm500_nautilus.report.words import risk_line
from amm500_nautilus.report.words import runs_line
from amm500_nautilus.report.words import title


MOST_ROWS = 12
PASS_WORDS = {True: Text("pass", "green"), False: Text("miss", "red"), None: Text("unknown", "yellow")}


def summary_view(summary: dict[str, Any]) -> Group:
    """Return a run's summary as tables: the data line, targets beside results, metrics, PnL parts, markouts, budget notes."""
    side_by_side = Columns([_metrics(summary), Group(_pnl(summary), _markouts(summary))], padding=(0, 3))
    parts: list[Any] = [data_panel(summary), _targets(summary), side_by_side]
    if not summary["pnl_check"]["ok"]:
        parts.insert(1, Panel(Text(summary["pnl_check"]["message"], "bold white on red")))
    if halted := halt_line(summary):
        parts.insert(1, Panel(Text(halted, "bold white on red")))
    unseen = summary["fills"]["unseen_share"]
    lines = [f"fills from levels outside the visible book: {figure('unseen_share', unseen)}"]
    crossed = summary["fills"].get("cross_share")
    lines.append(f"fills because the other side's quote reached our price: {figure('cross_share', crossed)}")
    lines += venue_lines(summary)
    lines += [line] if (line := runs_line(summary)) else []
    lines += [str(note) for note in summary["budget"]["notes"]]
    lines += [f"{name}: {reason}" for name, reason in summary["reasons"].items()]
    lines += [f"assumed: {default}" for default in summary["data"]["defaults"]]
    parts.append(Text("\n".join(lines)))
    parts.append(_verdict(summary))
    return Group(*parts)


def venue_lines(summary: dict[str, Any]) -> list[str]:
    """Return what the risk engine and the venue did that is worth a line: pauses, liquidations, transfers, a price off one, refusals."""
    account, liquidations = summary.get("account"), summary.get("liquidations")
    lines = [line] if (line := risk_line(summary)) else []
    if liquidations and liquidations["count"]:
        acts = ", ".join(f"{count} {title(name)}" for name, count in liquidations["acts"].items())
        lines.append(
            f"LIQUIDATED: {acts}; loss beyond the PnL at mark {liquidations['loss']:,.4f} (slippage "
            f"{liquidations['slippage']:,.4f}, fees {liquidations['fees']:,.4f}, forfeited {liquidations['forfeited']:,.4f})"
        )
    if account and account["transfers"]:
        lines.append(f"transfers: {account['transfers']:+,.4f} {account['collateral']}, no part of the PnL")
    if account and (account["collateral_price_end"] != 1 or account["collateral_price_low"] != 1):
        lines.append(
            f"in USD at {account['collateral_price_end']:g} a {account['collateral']}: equity {account['equity_start_usd']:,.2f} "
            f"to {account['equity_end_usd']:,.2f}, net PnL {account['net_pnl_usd']:+,.4f}, of which the collateral's own price "
            f"{account['collateral_effect_usd']:+,.4f}"
        )
    if account and account.get("position_end") and account.get("position_value_end") is not None:
        lines.append(
            f"still held at the end: {account['position_end']:+,.6g} contracts, {account['position_value_end']:+,.2f} {account['collateral']} "
            "at the last mid, where the equity values them; closing them would cost spread and fee"
        )
    refused = summary.get("limits", {}).get("refused_actions")
    if refused:
        lines.append(f"actions refused by the venue's address or IP limit: {refused:,}")
    return lines


def print_summary(
    summary: dict[str, Any], run_dir: str | Path | None = None, *, console: Console | None = None
) -> None:
    """Print a run's summary, and where its files are."""
    console = console or Console()
    console.print(summary_view(summary))
    if run_dir is not None:
        console.print(f"files: {run_dir}", highlight=False, soft_wrap=True)


def print_compare(summaries: Sequence[dict[str, Any]], *, console: Console | None = None) -> None:
    """Print several runs side by side."""
    (console or Console()).print(compare_view(summaries))


def print_why(run_dir: str | Path, *, console: Console | None = None) -> None:
    """
    Print why a run was not quoting.

    Raises
    ------
    InputError
        When the directory holds no states.

    """
    (console or Console()).print(why_view(why(run_dir)))


def data_panel(summary: dict[str, Any]) -> Panel:
    """Return the loud line on what data this was."""
    text, red = data_line(summary)
    return Panel(Text(text, "bold white on red" if red else "bold green"), title=summary["name"])


def compare_table(summaries: Sequence[dict[str, Any]]) -> Table:
    """Return several runs side by side, a column each, headed by their model (and name where models repeat)."""
    models = [str(summary["model"]) for summary in summaries]
    heads = [
        m if models.count(m) == 1 else f"{m}\n{s['name']}" for m, s in zip(models, summaries, strict=True)
    ]
    table = Table(title="side by side on the same data", title_justify="left")
    table.add_column("figure")
    for head in heads:
        table.add_column(head, justify="right")
    table.add_row("verdict", *(str(summary["verdict"]) for summary in summaries))
    halted = [halt_line(summary) for summary in summaries]
    if any(halted):
        table.add_row("halted", *(line.partition(",")[0] or "-" for line in halted))
    for name in METRICS:
        table.add_row(title(name), *(figure(name, summary["metrics"][name]) for summary in summaries))
    table.add_section()
    for name in (*PNL_PARTS, "total"):
        table.add_row(f"PnL: {title(name)}", *(figure(name, summary["pnl"][name]) for summary in summaries))
    table.add_section()
    for horizon in ("1s", "5s", "30s", "60s"):
        cells = (figure("", summary["markouts_bps"][horizon]) for summary in summaries)
        table.add_row(f"markout {horizon}, bp", *cells)
    table.add_row("actions sent", *(figure("", summary["actions"]["sent"]) for summary in summaries))
    shares = (figure("unseen_share", summary["fills"]["unseen_share"]) for summary in summaries)
    table.add_row("fills from unseen levels", *shares)
    return table


def compare_view(summaries: Sequence[dict[str, Any]]) -> Group:
    """Return the comparison under the data line of each distinct data set."""
    panels = {data_line(summary)[0]: data_panel(summary) for summary in summaries}
    return Group(*panels.values(), compare_table(summaries))


def why_view(report: WhyReport) -> Group:
    """Return why a run was not quoting: single reasons, then the states and reasons as they came together."""
    head = Text(
        f"of {report.session_seconds:,.0f} s of session time {100 * report.quoted_share:.2f} % had a quote resting and "
        f"{100 * report.two_sided_share:.2f} % had quotes within the band on both sides"
    )
    reasons = Table(title="reasons, share of session time (they may overlap)", title_justify="left")
    reasons.add_column("reason")
    reasons.add_column("share", justify="right")
    for name, share in list(report.reasons.items())[:MOST_ROWS]:
        reasons.add_row(name, f"{100 * share:.3f} %")
    table = Table(title="states without both sides in the band", title_justify="left")
    for name in ("state", "reasons", "resting"):
        table.add_column(name)
    for name in ("seconds", "share"):
        table.add_column(name, justify="right")
    for row in report.rows[:MOST_ROWS]:
        table.add_row(
            row.state, row.reasons or "-", row.sides, f"{row.seconds:,.0f}", f"{100 * row.share:.3f} %"
        )
    return Group(head, reasons, table) if report.rows else Group(head)


def _targets(summary: dict[str, Any]) -> Table:
    table = Table(title="targets", title_justify="left")
    table.add_column("target")
    for name in ("wanted", "reached", ""):
        table.add_column(name, justify="right")
    for row in summary["targets"]:
        name = str(row["name"])
        wanted = f"{row['rule']} {figure(name, float(row['target']))}"
        table.add_row(title(name), wanted, figure(name, row["actual"]), PASS_WORDS[row["pass"]])
    return table


def _metrics(summary: dict[str, Any]) -> Table:
    table = Table(title="results", title_justify="left", show_header=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name in METRICS:
        table.add_row(title(name), figure(name, summary["metrics"][name]))
    return table


def _pnl(summary: dict[str, Any]) -> Table:
    table = Table(title=f"PnL in {summary['data']['collateral']}", title_justify="left", show_header=False)
    table.add_column("part")
    table.add_column("amount", justify="right")
    for name in PNL_PARTS:
        table.add_row(title(name), f"{summary['pnl'][name]:+,.4f}")
    table.add_section()
    table.add_row(title("total"), f"{summary['pnl']['total']:+,.4f}")
    return table


def _markouts(summary: dict[str, Any]) -> Table:
    table = Table(
        title="markout (positive is ours), volatility as the strategy took it", title_justify="left"
    )
    for name in ("after", "bp", "marks of", "a year"):
        table.add_column(name, justify="right")
    volatility = summary["volatility"].items()
    for (after, bps), (marks, vol) in zip(summary["markouts_bps"].items(), volatility, strict=False):
        table.add_row(after, figure("", bps), marks, figure("fill_rate", vol))
    return table


def _verdict(summary: dict[str, Any]) -> Text:
    style = {"pass": "bold green", "not_enough_data": "bold yellow"}.get(summary["verdict"], "bold red")
    because = "; ".join(summary["verdict_reasons"])
    return Text(f"verdict: {summary['verdict']}" + (f" ({because})" if because else ""), style)
