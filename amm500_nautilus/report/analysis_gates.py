"""The phases that a strategy goes through before and while it trades real money, each with its gate."""

from dataclasses import dataclass

import numpy as np

from amm500_nautilus.report.analysis import COVERAGE
from amm500_nautilus.report.analysis import Check
from amm500_nautilus.report.analysis import Evidence
from amm500_nautilus.report.analysis import Figures
from amm500_nautilus.report.analysis import measure
from amm500_nautilus.report.analysis import week_checks


BACKTEST, PAPER, LIVE = 1, 2, 3
PHASES = {BACKTEST: "stress backtest", PAPER: "paper", LIVE: "live"}
MODES = {BACKTEST: ("backtest",), PAPER: ("paper",), LIVE: ("live",)}
WEEK = 7.0
# a year less what holidays and a leap day may take from its ends
YEAR_DAYS = 360.0


@dataclass(frozen=True, slots=True)
class Step:
    """From this week of live trading on: the most capital, collateral units, and the most leverage."""

    week: int
    capital: float
    leverage: float


# the earlier bot's schedule: 1k in the first three weeks, 2k from the fourth, 5k from the eighth, 10k from the twelfth on
STEPS = (Step(1, 1_000, 10), Step(4, 2_000, 10), Step(8, 5_000, 20), Step(12, 10_000, 20))


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What a gate must know beside the evidence.

    ``leverage`` and ``capital`` as configured (the cap on equity, or the equity itself), ``liquidation_probability`` as the Monte
    Carlo found it at 25x; None where nobody did. ``one_sided`` is the share of the exposure limit beyond which the strategy quotes
    one side only.
    """

    leverage: float | None = None
    capital: float | None = None
    liquidation_probability: float | None = None
    one_sided: float = 0.025


def phase_of(mode: str) -> int | None:
    """Return the phase that a run of this mode speaks for; None for modes that speak for none."""
    return next((phase for phase, modes in MODES.items() if mode in modes), None)


def step_of(days: float) -> Step:
    """Return the step of the schedule after so many days of live trading; the first day is in week 1."""
    week = int(days // WEEK) + 1
    return [step for step in STEPS if step.week <= week][-1]


def gate_checks(phase: int, evidence: Evidence, setting: Setting) -> tuple[Check, ...]:
    """Return the checks of a phase's gate."""
    figures = measure(evidence, one_sided=setting.one_sided)
    if phase == BACKTEST:
        return _backtest(figures, setting)
    return _paper(evidence, figures) if phase == PAPER else _live(evidence, figures, setting)


def _backtest(figures: Figures, setting: Setting) -> tuple[Check, ...]:
    return (
        Check("span_days", ">=", YEAR_DAYS, figures.days, "twelve months"),
        Check("leverage", ">=", 25, setting.leverage, "stressed at 25x"),
        Check(
            "liquidation_probability",
            "<",
            0.05,
            setting.liquidation_probability,
            "by amm500 montecarlo on this run, at 25x",
        ),
        Check("liquidations", "<=", 0, figures.liquidations, "liquidations in the run itself"),
        Check("sharpe", ">", 2, figures.sharpe, "Sharpe of 60-minute blocks"),
        Check("max_drawdown", "<", 0.05, figures.max_drawdown, "largest drawdown"),
        Check("trades_per_day", ">", 500, figures.trades_per_day, "trades a day"),
    )


def _paper(evidence: Evidence, figures: Figures) -> tuple[Check, ...]:
    is_real = None if evidence.simulated else 1.0
    return (
        Check("span_days", ">=", WEEK, figures.days, "a week"),
        Check("coverage", ">=", COVERAGE, figures.coverage, "of the minutes with a row"),
        Check("real_market", ">=", 1, is_real, "the market is the exchange's own, not a loopback venue's"),
        Check("pnl_share", ">", 0.02, figures.roi, "of starting equity: 20 on 1,000"),
        Check("max_drawdown", "<", 0.03, figures.max_drawdown, "largest drawdown"),
        Check("imbalances", "<", 5, figures.imbalances, "times the position left the one-sided threshold"),
        Check("funding", ">", 0, figures.funding, "funding received less paid"),
        Check("kill_switch_halts", "<=", 0, figures.halts, "times a kill switch halted"),
        Check("liquidations", "<=", 0, figures.liquidations, "liquidations"),
    )


def _live(evidence: Evidence, figures: Figures, setting: Setting) -> tuple[Check, ...]:
    step = step_of(figures.days)
    capital = float(evidence.capital[-1]) if setting.capital is None else setting.capital
    return (
        Check("capital", "<=", step.capital, capital, f"the most from week {step.week} on"),
        Check("leverage", "<=", step.leverage, setting.leverage, f"the most from week {step.week} on"),
        Check("max_drawdown", "<", 0.03, figures.max_drawdown, "largest drawdown"),
        Check("kill_switch_halts", "<=", 0, figures.halts, "times a kill switch halted"),
        Check("liquidations", "<=", 0, figures.liquidations, "liquidations"),
    )


def gate_lines() -> list[str]:
    """Return the rows of the runbook's table of what is judged: the week's checks, then each phase's, then the targets."""
    nothing, none = np.array([], dtype=np.int64), np.array([], dtype=np.float64)
    row = np.array([1.0])
    blank = Evidence(
        name="", mode="", market="", collateral="", source="", simulated=False, start_ns=0, end_ns=1, two_sided=None,
        ts_ns=np.array([0]), equity=row, position=row, mid=row, leverage=row, margin_ratio=row, fill_ns=nothing,
        fill_value=none, fill_is_maker=none, funding_ns=nothing, funding=none,
        halt_ns=nothing, liquidation_ns=nothing,
    )  # fmt: skip
    groups = [("a week, `amm500 analyze`", week_checks(measure(blank)))]
    groups += [
        (f"phase {phase}, {name}", gate_checks(phase, blank, Setting())) for phase, name in PHASES.items()
    ]
    groups.append(("targets of the earlier bot", target_checks(blank)))
    return [
        f"| {group} | `{check.name}` | {check.rule} {check.limit:g}{' (scored)' if check.is_scored else ''} | {check.text} |"
        for group, checks in groups
        for check in checks
    ]


def target_checks(evidence: Evidence) -> tuple[Check, ...]:
    """Return the earlier bot's targets beside what was reached."""
    figures = measure(evidence)
    return (
        Check("sharpe", ">", 2.5, figures.sharpe, "Sharpe of 60-minute blocks"),
        Check("trades_per_day", ">", 2_000, figures.trades_per_day, "trades a day"),
        Check("maker_ratio", ">", 0.90, figures.maker_ratio, "maker share of volume"),
        Check("max_drawdown", "<", 0.005, figures.max_drawdown, "largest drawdown"),
        Check("max_margin_ratio", "<", 0.80, figures.max_margin_ratio, "largest margin ratio"),
        Check("roi", ">", 0.05, figures.roi, "return over the span"),
    )
