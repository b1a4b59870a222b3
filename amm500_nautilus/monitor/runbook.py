"""What a person should look at for each reason: the table of docs/operations.md is made from this and from the code that acts."""

from amm500_nautilus.risk import reasons
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.reasons import ReasonRule
from amm500_nautilus.risk.reasons import reason_table
from amm500_nautilus.risk.types import Act


ACTS = {
    Act.NONE: "leaves what rests",
    Act.CANCEL_INCREASING: "cancels what increases exposure",
    Act.CANCEL_OWN: "cancels own orders",
    Act.CANCEL_ALL: "cancels all",
    Act.FLATTEN: "cancels all on the dex, closes the position reduce-only",
}
LOOK = {
    reasons.SESSION_LOSS: "fills and markouts of the last hour; resume counts the loss from then on",
    reasons.DRAWDOWN: "as for session_loss; was it one move or a slow bleed?",
    reasons.LIQUIDATION_DISTANCE: "position against equity: lower account.leverage or the ladder's size before resume",
    reasons.LOSING_STREAK: "markouts: is the flow toxic? It ends by itself twice a day",
    reasons.MARGIN_RATIO: "nothing, if it ends; else collateral, or a smaller ladder",
    reasons.BOOK_STALE: "the venue's status, this machine's network",
    reasons.ORACLE_STALE: "whether the index trades now; the venue's status",
    reasons.NETWORK_DOWN: "this machine's network, the venue's status",
    reasons.REJECTIONS: "the log: which rule of the venue refuses",
    reasons.TAKER_SHARE: "why orders cross: rebalancing, stops, a fast market",
    reasons.POSITION_VELOCITY: "one-sided flow: news?",
    reasons.ACTION_BUDGET: "amm500 budget: fewer levels, wider tolerance, or bought actions",
    reasons.SECOND_TRADER: "who else trades on this account; nothing of theirs was touched",
    reasons.IMPLAUSIBLE_EQUITY: "the account at the venue: a transfer, a fill or funding that was not told",
    reasons.AGENT_REFUSED: "whether the agent is still approved and not expired; a new one needs a restart",
    reasons.COLLATERAL: "the token's price and the news about its issuer",
    reasons.JOURNAL: "the disk: full, read-only, gone? Resume when it takes rows again",
    reasons.JOURNAL_DAMAGED: "orders, position and PnL at the venue, and the file kept aside; then resume",
    reasons.OPERATOR_PAUSE: "who paused, and why: table command of the journal",
    reasons.OPERATOR_REDUCE_ONLY: "as for operator_pause",
    reasons.OPERATOR_FLATTEN: "whether the position is 0; resume quotes again",
}


def reason_lines(config: RiskConfig) -> list[str]:
    """Return the table's rows, one a reason, in the order of the code."""
    return [_line(rule) for rule in reason_table(config)]


def _line(rule: ReasonRule) -> str:
    act = ("widens, then " if rule.widens else "") + ACTS[rule.act]
    state = rule.state.value + (", act now" if rule.alert else "")
    return f"| `{rule.name}` | {rule.trigger} | {act} | {state} | {rule.ends} | {LOOK[rule.name]} |"
