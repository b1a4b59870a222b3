"""The one table of reasons: what sets each off, what it does, and how it ends."""

from dataclasses import dataclass

from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.types import Act
from amm500_nautilus.risk.types import RiskState


SESSION_LOSS = "session_loss"
DRAWDOWN = "drawdown"
LIQUIDATION_DISTANCE = "liquidation_distance"
LOSING_STREAK = "losing_streak"
MARGIN_RATIO = "margin_ratio"
BOOK_STALE = "book_stale"
ORACLE_STALE = "oracle_stale"
NETWORK_DOWN = "network_down"
REJECTIONS = "rejections"
TAKER_SHARE = "taker_share"
POSITION_VELOCITY = "position_velocity"
ACTION_BUDGET = "action_budget"
SECOND_TRADER = "second_trader"
IMPLAUSIBLE_EQUITY = "implausible_equity"
AGENT_REFUSED = "agent_refused"
COLLATERAL = "collateral"
JOURNAL = "journal"
JOURNAL_DAMAGED = "journal_damaged"
OPERATOR_PAUSE = "operator_pause"
OPERATOR_REDUCE_ONLY = "operator_reduce_only"
OPERATOR_FLATTEN = "operator_flatten"

BY_A_PERSON = "a person resumes it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonRule:
    """
    One row of the table.

    Parameters
    ----------
    name : str
        The reason's name in logs, reports and the journal.
    trigger : str
        What sets it off, with the configured figures.
    act : Act
        What is done with orders and position.
    state : RiskState
        The state while it is active.
    ends : str
        How it ends, in words.
    latched : bool
        Whether only a person ends it.
    alert : bool
        Whether a person is told at once.
    widens : bool
        Whether the spread is widened first.
    hold_secs : float
        How long the trigger must last before the reason becomes active.
    least_secs : float
        How long it lasts at least.
    clear_secs : float
        How long the condition must have been gone without a break.
    halts_at, halts_within_secs : int, float
        The how-manieth time within which span halts; 0 never does.

    """

    name: str
    trigger: str
    act: Act
    state: RiskState
    ends: str
    latched: bool = False
    alert: bool = False
    widens: bool = False
    hold_secs: float = 0.0
    least_secs: float = 0.0
    clear_secs: float = 0.0
    halts_at: int = 0
    halts_within_secs: float = 0.0


def span(seconds: float) -> str:
    """Return a span in words: 900 is ``15 min``, 86400 ``24 h``, 30 ``30 s``."""
    if seconds >= 3_600 and seconds % 3_600 == 0:
        return f"{seconds / 3_600:g} h"
    if seconds >= 120 and seconds % 60 == 0:
        return f"{seconds / 60:g} min"
    return f"{seconds:g} s"


def reason_table(config: RiskConfig) -> tuple[ReasonRule, ...]:
    """
    Return the table for a configuration, in the order of its documentation.

    Parameters
    ----------
    config : RiskConfig
        Its thresholds are named in the texts and set the times.

    """
    return (*_halting(config), *_pausing(config), *_breaking(config), *_asking(config), *_operating())


def _halting(config: RiskConfig) -> tuple[ReasonRule, ...]:
    switches = config.switches
    share = f" or {switches.liquidation_share:.0%} of a full position's distance"
    distance = f"distance to liquidation under {switches.liquidation_distance:.2%}" + (
        share if switches.liquidation_share else ""
    )
    rows = (
        (
            SESSION_LOSS,
            f"session loss over the larger of {switches.session_loss:g} and {switches.session_loss_share:.1%} of starting equity",
        ),
        (DRAWDOWN, f"drawdown over {switches.drawdown:.1%} of starting equity"),
        (LIQUIDATION_DISTANCE, distance),
    )
    return tuple(
        ReasonRule(
            name=name,
            trigger=trigger,
            act=Act.FLATTEN,
            state=RiskState.HALTED,
            ends=BY_A_PERSON,
            latched=True,
            alert=True,
        )
        for name, trigger in rows
    )


def _pausing(config: RiskConfig) -> tuple[ReasonRule, ...]:
    switches = config.switches
    streak = ReasonRule(
        name=LOSING_STREAK,
        trigger=f"{switches.streak} losing closes in a row that together lost over {switches.streak_loss:.2%} of equity",
        act=Act.CANCEL_ALL,
        state=RiskState.PAUSED,
        ends=(
            f"after {span(switches.streak_pause_secs)}; number {switches.streak_halts_at} within "
            f"{span(switches.streak_window_secs)} halts until {BY_A_PERSON}"
        ),
        least_secs=switches.streak_pause_secs,
        halts_at=switches.streak_halts_at,
        halts_within_secs=switches.streak_window_secs,
    )
    margin = ReasonRule(
        name=MARGIN_RATIO,
        trigger=f"margin ratio of {switches.margin_ratio:.0%} or more",
        act=Act.CANCEL_INCREASING,
        state=RiskState.REDUCE_ONLY,
        ends=f"below {switches.margin_resume:.0%}",
    )
    stale = (
        (BOOK_STALE, f"no book for {span(switches.book_stale_secs)}"),
        (
            ORACLE_STALE,
            f"no oracle for {span(switches.oracle_stale_secs)}, or one that stands still while the market moves",
        ),
        (NETWORK_DOWN, "no connection to the venue"),
    )
    return (
        streak,
        margin,
        *(
            ReasonRule(
                name=name,
                trigger=trigger,
                act=Act.CANCEL_ALL,
                state=RiskState.PAUSED,
                ends=f"{span(switches.fresh_secs)} of fresh data; never flattens blind",
                clear_secs=switches.fresh_secs,
            )
            for name, trigger in stale
        ),
    )


def _breaking(config: RiskConfig) -> tuple[ReasonRule, ...]:
    breakers, taker = config.breakers, config.taker
    within = f"within {span(breakers.window_secs)}"
    rows = (
        (
            REJECTIONS,
            f"{breakers.rejections_widen} rejections {within} widen, {breakers.rejections_pause} pause",
            Act.CANCEL_ALL,
            breakers.cooldown_secs,
        ),
        (
            TAKER_SHARE,
            f"taker share over {taker.warn:.0%} within {span(taker.window_secs)} widens, over {taker.pause:.0%} pauses",
            Act.CANCEL_ALL,
            taker.cooldown_secs,
        ),
        (
            POSITION_VELOCITY,
            (
                f"a position grown by {breakers.velocity_widen:.0%} of the exposure limit {within} widens, "
                f"by {breakers.velocity_pause:.0%} pauses"
            ),
            Act.CANCEL_ALL,
            breakers.cooldown_secs,
        ),
        (
            ACTION_BUDGET,
            f"actions left under {breakers.budget_widen:g} times the reserve widen, down to the reserve pause",
            # what rests stays: only its fills earn new actions, and a canceled ladder could not be placed again
            Act.NONE,
            breakers.cooldown_secs,
        ),
    )
    return tuple(
        ReasonRule(
            name=name,
            trigger=trigger,
            act=act,
            state=RiskState.PAUSED,
            ends=f"after {span(cooldown)}, once under the threshold",
            widens=True,
            least_secs=cooldown,
        )
        for name, trigger, act, cooldown in rows
    )


def _asking(config: RiskConfig) -> tuple[ReasonRule, ...]:
    switches = config.switches
    rows = (
        (SECOND_TRADER, "orders or fills on the account that are not ours"),
        (
            IMPLAUSIBLE_EQUITY,
            f"equity changed by over {switches.implausible_equity:.0%} unexplained in one refresh",
        ),
        (AGENT_REFUSED, "the venue refuses our signing key"),
    )
    asking = (
        ReasonRule(
            name=name,
            trigger=trigger,
            act=Act.CANCEL_OWN,
            state=RiskState.PAUSED,
            ends=BY_A_PERSON,
            latched=True,
            alert=True,
        )
        for name, trigger in rows
    )
    collateral = ReasonRule(
        name=COLLATERAL,
        trigger=(
            f"collateral outside {switches.collateral_low:g} to {switches.collateral_high:g} for "
            f"{span(switches.collateral_secs)}"
        ),
        act=Act.CANCEL_INCREASING,
        state=RiskState.REDUCE_ONLY,
        ends=f"back inside for {span(switches.collateral_clear_secs)}",
        alert=True,
        hold_secs=switches.collateral_secs,
        clear_secs=switches.collateral_clear_secs,
    )
    journal = ReasonRule(
        name=JOURNAL,
        trigger="the journal cannot be written",
        act=Act.CANCEL_ALL,
        state=RiskState.REDUCE_ONLY,
        ends=BY_A_PERSON,
        latched=True,
        alert=True,
    )
    return (*asking, collateral, journal)


def _operating() -> tuple[ReasonRule, ...]:
    """Return what no figure of the account sets off: a restart without its memory, and a person."""
    damaged = ReasonRule(
        name=JOURNAL_DAMAGED,
        trigger="the journal was damaged at the start: what halted before is not known",
        act=Act.CANCEL_ALL,
        state=RiskState.HALTED,
        ends=BY_A_PERSON,
        latched=True,
        alert=True,
    )
    rows = (
        (OPERATOR_PAUSE, "a person pauses", Act.CANCEL_OWN, RiskState.PAUSED),
        (
            OPERATOR_REDUCE_ONLY,
            "a person lets the position only shrink",
            Act.CANCEL_INCREASING,
            RiskState.REDUCE_ONLY,
        ),
        (OPERATOR_FLATTEN, "a person closes the position", Act.FLATTEN, RiskState.HALTED),
    )
    operator = (
        ReasonRule(name=name, trigger=trigger, act=act, state=state, ends=BY_A_PERSON, latched=True)
        for name, trigger, act, state in rows
    )
    return (damaged, *operator)
