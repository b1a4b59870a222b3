"""``amm500 analyze``: the verdict on the last seven days of a run, printed and written beside it."""

import argparse
import json
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from amm500_catalog.errors import InputError
from amm500_nautilus.report.analysis import NO_DATA
from amm500_nautilus.report.analysis import NS
from amm500_nautilus.report.analysis import PASS
from amm500_nautilus.report.analysis import Analysis
from amm500_nautilus.report.analysis import Check
from amm500_nautilus.report.analysis import judge
from amm500_nautilus.report.buffers import write_json
from amm500_nautilus.report.terminal import PASS_WORDS
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.operate.evidence import gather
from amm500_nautilus.runtime.operate.journal_read import find_journal
from amm500_nautilus.runtime.rundir import PARTIAL
from amm500_nautilus.runtime.strategy_hash import hash_beside


FILE = "analysis.json"
SHARES = frozenset(
    {
        "coverage",
        "maker_ratio",
        "roi",
        "max_drawdown",
        "two_sided_uptime",
        "pnl_share",
        "max_margin_ratio",
        "liquidation_probability",
    }
)


def analyze(args: argparse.Namespace) -> int:
    """
    Judge a run and print why.

    Returns 0 for a pass, 1 for a fail or too little data.
    """
    path: Path = args.run
    if not 0 < args.days <= 366:
        raise InputError(f"{args.days:g}", "--days", "more than 0, 366 at most")
    analysis = judge(gather(path), args.days)
    result = as_json(analysis, path, args.days)
    where = place_of(path)
    write_json(where / FILE, result)
    if args.json:
        print(json.dumps(result))
    else:
        print_analysis(analysis)
        print(f"written: {where / FILE}")
    return DONE if analysis.verdict == PASS else FAILED


def place_of(path: Path) -> Path:
    """Return the folder that the analysis of a path is written to: the run directory, or the journal's own."""
    for folder in (path, path.with_name(path.name + PARTIAL)):
        if (folder / "config.yaml").is_file():
            return folder
    journal = find_journal(path)
    return path if journal is None else journal.parent


def as_json(analysis: Analysis, path: Path, days: float) -> dict[str, Any]:
    """Return an analysis as ``analysis.json`` holds it."""
    evidence, figures = analysis.evidence, analysis.figures
    return {
        "verdict": analysis.verdict,
        "grade": analysis.grade,
        "reasons": list(analysis.reasons),
        "name": evidence.name,
        "mode": evidence.mode,
        "market": evidence.market,
        "data": {"source": evidence.source, "simulated": evidence.simulated},
        "start": moment(evidence.start_ns),
        "end": moment(evidence.end_ns),
        "wanted_days": days,
        "strategy_hash": hash_beside(path) or evidence.strategy or None,
        "checks": [check.as_json() for check in analysis.checks],
        "figures": {name: getattr(figures, name) for name in type(figures).__slots__},
        "gaps": list(evidence.gaps),
    }


def moment(ts_ns: int) -> str:
    """Return a time in words: UTC, to the second."""
    return datetime.fromtimestamp(ts_ns // NS, UTC).isoformat()


def shown(check: Check) -> str:
    """Return a check's result for people."""
    if check.actual is None:
        return "unknown"
    return f"{check.actual:.3%}" if check.name in SHARES else f"{check.actual:,.5g}"


def wanted(check: Check) -> str:
    """Return a check's limit for people."""
    limit = f"{100 * check.limit:g}%" if check.name in SHARES else f"{check.limit:g}"
    return f"{check.rule} {limit}"


def checks_table(title: str, checks: tuple[Check, ...]) -> Table:
    """Return checks as a table, the scored ones apart."""
    table = Table(title=title, title_justify="left")
    for name, justify in (("check", "left"), ("wanted", "right"), ("reached", "right"), ("", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    was_scored = False
    for check in checks:
        if check.is_scored and not was_scored:
            table.add_section()
            was_scored = True
        table.add_row(check.name, wanted(check), shown(check), PASS_WORDS[check.passed])
    return table


def print_analysis(analysis: Analysis) -> None:
    """Print the data line, the checks and the verdict."""
    evidence, figures = analysis.evidence, analysis.figures
    console = Console(soft_wrap=True)
    label = "SIMULATED DATA" if evidence.simulated else "market as the venue sent it"
    fills = "fills are the venue's" if evidence.mode in ("live", "testnet") else "fills are simulated"
    console.print(
        Text(
            f"{label}: {evidence.mode} run {evidence.name} on {evidence.market} ({evidence.source}); {fills}",
            "bold red" if evidence.simulated else "bold",
        )
    )
    console.print(f"{moment(evidence.start_ns)} to {moment(evidence.end_ns)}, {figures.days:.3g} days")
    console.print(checks_table("What must hold, then the five that make the grade", analysis.checks))
    console.print(
        f"net PnL {figures.pnl:+,.4f} {evidence.collateral}, funding {figures.funding:+,.4f}, largest margin ratio "
        f"{figures.max_margin_ratio:.2%}, {figures.imbalances} times beyond 2.5% of the exposure limit"
    )
    if figures.sharpe is None:
        console.print(f"Sharpe is unknown: {figures.sharpe_reason}")
    for gap in evidence.gaps:
        console.print(f"note: {gap}")
    for reason in analysis.reasons:
        console.print(f"why: {reason}", style="yellow")
    style = {PASS: "bold green", NO_DATA: "bold yellow"}.get(analysis.verdict, "bold red")
    console.print(f"verdict: {analysis.verdict}; grade by the five: {analysis.grade}", style=style)
