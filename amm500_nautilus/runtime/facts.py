"""What every kind of run tells its report: the targets to stand beside the results, and how the venue meters the address."""

from amm500_nautilus.report.types import BudgetFacts
from amm500_nautilus.report.types import TargetLevels
from amm500_nautilus.risk.budget import GROWTH_SHARE
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.models import build


def target_levels(config: RunConfig) -> TargetLevels:
    """Return the targets that a run file sets."""
    report = config.report
    return TargetLevels(
        sharpe=report.target_sharpe,
        trades_per_day=report.target_trades_per_day,
        maker_ratio=report.target_maker_ratio,
        max_drawdown=report.target_max_drawdown,
        max_margin_ratio=report.target_max_margin_ratio,
    )


def budget_facts(config: RunConfig, *, growth_mode: bool) -> BudgetFacts:
    """Return the action budget; a market in growth mode earns a tenth of the credit (protocol: address limits)."""
    budget = build(config.strategy.budget)
    return BudgetFacts(
        enabled=budget.enabled,
        initial_actions=budget.initial_actions,
        credit_per_usd=budget.credit_per_usd * (GROWTH_SHARE if growth_mode else 1.0),
    )
