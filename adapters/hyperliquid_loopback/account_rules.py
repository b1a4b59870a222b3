"""The rules about accounts that had to be chosen without a source."""

from typing import Final


UNSOURCED_ACCOUNT_RULES: Final[tuple[str, ...]] = (
    "A coin that a user never set trades at 20x, or at its largest leverage where that is less, cross where allowed.",
    "When a coin's largest leverage falls below the leverage a user set, the latter follows.",
    "A position that is open when its margin mode is disallowed keeps the mode until it is closed.",
    "cumFunding is positive for what a user paid; sinceChange starts again with every fill.",
    "Fills that turn a position round are called 'Long > Short' and 'Short > Long'.",
    "A resting order may fill if the account afterwards, at mark, covers the margin of its cross positions.",
    "Trigger and reduce-only orders hold no margin while they wait.",
    "The backstop takes a position at its mark, in one fill without a fee; so does auto-deleveraging.",
    "The liquidator of a notice is the backstop's address, also when the position is sold at market.",
    "A loss beyond a liquidated account's value is borne by nobody's account; it is counted apart.",
    "The dexes of a pooled account show an account value of 0, their cross positions and nothing else.",
    "hold of a pooled balance is the margin of positions and orders; available after maintenance is cross value less maintenance.",
    "A transfer may take what is withdrawable less the margin of resting orders.",
    "Back to standard mode only without positions and orders.",
    "Transfers, approvals and reserveRequestWeight do not count against the address's limit.",
    "Bought actions are paid in USDC from the validators' dex.",
    "The words for too many open orders, for isolated margin that cannot be moved, and for actions that cannot be paid.",
    "An agent without an end of validity ends after 180 days; the agent without a name is not in extraAgents.",
    "Removing an agent: its name approved for the zero address.",
    "userFillsByTime is sorted oldest first (a recorded page of 2023 is newest first).",
    "Transfers to a new address open its account without a fee.",
    "A named agent's address may not be used again.",
    "The words 'Vault may not perform this action.' of another's vault or sub-account, and 'Nonce mismatch.'",
    "Followers of a vault are not kept: its details show no history and a leader who owns all of it.",
)
