"""What the venue's action budget affords, and which targets could not bind."""

from dataclasses import dataclass

from amm500_nautilus.report.types import BudgetFacts


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """
    A run's actions against its volume.

    ``days`` are trading days; ``net_pnl`` in collateral units.
    """

    sent: int
    fills: int
    volume: float
    days: float
    net_pnl: float
    wanted_fills_per_day: float


def budget_report(facts: BudgetFacts, use: BudgetUse) -> dict[str, object]:
    """
    Return what the address could send, what it sent, and what the difference means for the targets.

    ``affordable_fills_per_day`` asks how many fills a day the credit of one fill can keep going, at the run's own actions per
    fill: each fill earns ``credit_per_usd`` times its value, and costs the actions it took. The starting allowance is spread
    over the run. None where the run had no fills.
    """
    days = use.days or 1.0
    earned = facts.credit_per_usd * use.volume
    allowance = facts.initial_actions + earned
    affordable: float | None = None
    if use.fills and use.sent:
        affordable = allowance / days / (use.sent / use.fills)
    report: dict[str, object] = {
        "enabled": facts.enabled,
        "initial_actions": facts.initial_actions,
        "credit_per_usd": facts.credit_per_usd,
        "earned_actions": earned,
        "affordable_actions_per_day": allowance / days,
        "sent_per_day": use.sent / days,
        "actions_per_fill": use.sent / use.fills if use.fills else None,
        "affordable_fills_per_day": affordable,
    }
    report["notes"] = _notes(facts, use, allowance, affordable, days)
    return report


def _notes(
    facts: BudgetFacts, use: BudgetUse, allowance: float, affordable: float | None, days: float
) -> list[str]:
    notes = [
        (
            f"the address may send {facts.initial_actions:,.0f} actions plus {facts.credit_per_usd:g} per unit of collateral traded: "
            f"{allowance:,.0f} over this run ({allowance / days:,.0f} a day); {use.sent:,} were sent ({use.sent / days:,.0f} a day)"
        )
    ]
    if not facts.enabled:
        notes.append("the run did not obey the budget: its figures are not what an address could reach")
    elif use.sent > allowance:
        notes.append(
            "more was sent than the limit; beyond it the venue takes cancels and one action in ten seconds"
        )
    if affordable is None:
        return notes
    per_fill = use.sent / use.fills
    mean_value = use.volume / use.fills
    if affordable < use.wanted_fills_per_day:
        notes.append(
            f"the target of {use.wanted_fills_per_day:,.0f} trades a day could not bind: at {per_fill:.1f} actions a fill of "
            f"{mean_value:,.0f} on average the budget keeps {affordable:,.0f} fills a day going"
        )
        missing = (use.wanted_fills_per_day - affordable) * per_fill
        cost = missing * facts.weight_price
        gain = use.net_pnl / use.fills * (use.wanted_fills_per_day - affordable)
        notes.append(
            f"bought weight (reserveRequestWeight, {facts.weight_price:g} USDC an action) for the missing {missing:,.0f} actions a day "
            f"would cost {cost:,.2f} a day and, at this run's net {use.net_pnl / use.fills:+.5f} a fill, bring {gain:+,.2f} a day"
        )
    return notes
