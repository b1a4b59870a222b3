"""The loud line on what data a run saw, and how figures are written."""

from typing import Any

from amm500_nautilus.risk.types import RiskState


HALTED = str(RiskState.HALTED.value)


def data_line(summary: dict[str, Any]) -> tuple[str, bool]:
    """Return the line that heads every report, and whether it must be red (any part of the market was simulated)."""
    data = summary["data"]
    span = f"{data['market']}, {data['start'][:16]} to {data['end'][:16]} UTC"
    if data["bars_simulated"]:
        return (
            f"SIMULATED DATA, ITS BARS TOO: {span}; price path, book and trades were generated ({data['source']})",
            True,
        )
    if data["simulated"]:
        text = f"SIMULATED DATA: {span}; bars from {data['source']}, book and every trade generated from them"
        return text, True
    return (
        f"RECORDED DATA: {span}; book and trades as recorded ({data['source']}); only our own fills are simulated",
        False,
    )


def halt_line(summary: dict[str, Any]) -> str:
    """Return the loud line on a run that ended halted; empty for any other, and for one of which no risk engine told."""
    risk = summary.get("risk") or {}
    if risk.get("final_state") != HALTED:
        return ""
    last = (risk.get("halts") or [{}])[-1]
    when = f" at {last['ts'][:19]} UTC" if last else ""
    why = f" by {', '.join(last['reasons'])}" if last.get("reasons") else ""
    share = 100 * risk["states"].get(HALTED, 0.0)
    return f"HALTED{when}{why}, and still halted at the end: {share:.2f} % of session time"


def risk_line(summary: dict[str, Any]) -> str:
    """Return what the risk engine raised, and how long it kept the run from full quoting; empty where it had nothing to say."""
    risk = summary.get("risk") or {}
    fired = risk.get("fired")
    if not fired:
        return ""
    raised = ", ".join(f"{name} {count}" for name, count in fired.items())
    states = ", ".join(f"{name} {100 * share:.2f} %" for name, share in risk["states"].items())
    return f"risk engine raised: {raised}; of session time: {states}"


def runs_line(summary: dict[str, Any]) -> str:
    """Return how many losing closes came in a row beside what chance brings; empty without any."""
    runs = summary.get("losing_runs") or {}
    if not runs.get("longest"):
        return ""
    seen, by_chance = runs["seen"], runs["by_chance"]
    counted = ", ".join(
        f"{length} {many:,} ({expected:,.1f})"
        for length, (many, expected) in enumerate(zip(seen, by_chance, strict=True), start=1)
        if many
    )
    return (
        f"losing closes in a row, times seen (times by chance, of closes of which {100 * runs['losing_share']:.1f} % lose): "
        f"{counted}; {runs['longest']} or more by chance in {100 * runs['chance_of_longest']:.1f} % of such runs"
    )


def figure(name: str, value: Any) -> str:
    """Write a figure of the summary for people: shares as percent, counts whole, the rest with five significant digits."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if name in PERCENT:
        return f"{100 * value:,.3f} %"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.5g}" if abs(value) < 1e5 else f"{value:,.0f}"


PERCENT = {
    "annual_roi",
    "max_drawdown",
    "maker_ratio",
    "fill_rate",
    "win_rate",
    "quote_uptime",
    "two_sided_uptime",
    "max_margin_ratio",
    "unseen_share",
    "unseen_volume_share",
    "cross_share",
    "cross_volume_share",
}
TITLES = {
    "net_pnl": "net PnL",
    "annual_roi": "return a year (not compounded)",
    "sharpe": "Sharpe (60-minute blocks)",
    "sortino": "Sortino (60-minute blocks)",
    "max_drawdown": "largest drawdown (1-minute path)",
    "trades": "trades",
    "trades_per_day": "trades a day",
    "maker_ratio": "maker share of volume",
    "fill_rate": "orders that filled",
    "win_rate": "winning closes, net of fees",
    "quote_uptime": "time quoted",
    "two_sided_uptime": "time quoted on both sides",
    "avg_quoted_spread_bps": "quoted spread, bp",
    "turnover": "turnover a day / equity",
    "max_position": "largest position, contracts",
    "max_margin_ratio": "largest margin ratio",
    "liquidations": "liquidations",
    "spread_capture": "spread capture",
    "adverse_selection": "adverse selection",
    "inventory": "inventory",
    "fees": "fees",
    "funding": "funding",
    "liquidation": "liquidation",
    "total": "total",
}
METRICS = tuple(TITLES)[:17]


def title(name: str) -> str:
    """Return a figure's name in words."""
    return TITLES.get(name, name)
