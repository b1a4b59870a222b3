"""
What the venue says: its refusals word for word, and the status name that each leaves on an order.

Sources: protocol: error strings (the venue's docs, error responses, and texts seen on the wire). Texts that no source
gives word for word are in ``UNSOURCED``.
"""

from typing import Final


# one order, followed on the wire by " asset=N"
TICK: Final = "Price must be divisible by tick size."
MIN_VALUE: Final = "Order must have minimum value of $10."
MARGIN: Final = "Insufficient margin to place order."
REDUCE_ONLY: Final = "Reduce only order would increase position."
POST_ONLY: Final = "Post only order would have immediately matched, bbo was {bid}@{ask}."
IOC_NO_MATCH: Final = "Order could not immediately match against any resting orders."
BAD_TRIGGER: Final = "Invalid TP/SL price."
NO_LIQUIDITY: Final = "No liquidity available for market order."
OI_INCREASE: Final = "Order would increase open interest while open interest is capped"
OI_AGGRESSIVE: Final = "Order rejected due to price more aggressive than oracle while at open interest cap"
OI_TOO_QUICK: Final = "Order would increase open interest too quickly"
ORACLE: Final = "Price too far from oracle"
MAX_POSITION: Final = "Order would cause position to exceed margin tier limit at current leverage"
MISSING_ORDER: Final = "Order was never placed, already canceled, or filled."
TOO_MANY_OPEN: Final = "Too many open orders."
DUPLICATE_CLOID: Final = "Order has a duplicate cloid."
HALTED: Final = "Trading is halted."
FAST_TRIGGER: Final = "Cannot fast cancel a trigger order."
MODIFY_POST_ONLY: Final = "Modify without always place must be post only."

# a whole batch, without the suffix
REFERENCE_PRICE: Final = "Order price cannot be more than 80% away from the reference price"
INVALID_PRICE: Final = "Order has invalid price."
INVALID_SIZE: Final = "Order has invalid size."
ZERO_SIZE: Final = "Order has zero size."
TPSL_REDUCE_ONLY: Final = "TP/SL order must be reduce only."
BAD_ASSET: Final = "Invalid asset."

# status "err"
EMPTY: Final = "Orders are empty."
OVER_WEIGHT: Final = "Signed action over weight limit of 200."
MODIFY_CLOSED: Final = "Cannot modify canceled or filled order."
EXPIRED: Final = "Action already expired"
POST_ONLY_PHASE: Final = "Only post-only orders allowed immediately after network upgrade"
PRIORITY_BATCH: Final = "Priority batch must be all Ioc, or all Alo and not reduce only."
SCHEDULE_VOLUME: Final = (
    "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: ${traded}."
)
# recorded in a public client's tests against the testnet (nktkas/hyperliquid)
SCHEDULE_EARLY: Final = "Scheduled cancel time too early, must be at least 5 seconds from now."
SCHEDULE_TRIGGERS: Final = "Too many scheduled cancel triggers today"

# the status that a refused order keeps; a text not listed leaves "rejected"
_STATUS: Final = {
    TICK: "tickRejected",
    MIN_VALUE: "minTradeNtlRejected",
    MARGIN: "perpMarginRejected",
    REDUCE_ONLY: "reduceOnlyRejected",
    IOC_NO_MATCH: "iocCancelRejected",
    BAD_TRIGGER: "badTriggerPxRejected",
    NO_LIQUIDITY: "marketOrderNoLiquidityRejected",
    OI_INCREASE: "positionIncreaseAtOpenInterestCapRejected",
    OI_AGGRESSIVE: "tooAggressiveAtOpenInterestCapRejected",
    OI_TOO_QUICK: "openInterestIncreaseRejected",
    ORACLE: "oracleRejected",
    MAX_POSITION: "perpMaxPositionRejected",
    TOO_MANY_OPEN: "tooManyOpenOrdersRejected",
}
_POST_ONLY_START: Final = POST_ONLY.partition("{")[0]

# no document or recording gives these word for word
UNSOURCED: Final = (
    TOO_MANY_OPEN,
    DUPLICATE_CLOID,
    HALTED,
    FAST_TRIGGER,
    MODIFY_POST_ONLY,
    TPSL_REDUCE_ONLY,
    BAD_ASSET,
    PRIORITY_BATCH,
    SCHEDULE_TRIGGERS,
)

# what the core had to choose where no document or recording says; the words above are one more rule each
UNSOURCED_CORE_RULES: Final = (
    "A price may be 70 % from the oracle (option oracle_band).",
    "A client id may be used again only after its order was refused.",
    "A refused modify leaves the old order open (option refused_modify); with always place it is canceled first.",
    "A partial fill is told on orderUpdates as open with the size that is left (option partial_fill_updates).",
    "A GTC order that fills in part and rests is answered resting (option partial_gtc_reply).",
    "An order that fills at once is told as filled without an open before it.",
    "What is left of an immediate order is told as canceled.",
    "A reduce-only order above the position rests with the position's size.",
    "A trigger order that is not reduce-only is checked for margin and value only when it is set off.",
    "TP/SL orders of a group wait for the mark from the start, whether or not their entry is filled.",
    "At the open-interest cap a price beyond the oracle is too aggressive; reduce-only orders are exempt.",
    "A liquidation's market order has no limit price, and all the user's orders on the dex are canceled first.",
    "A halt cancels orders with the status canceled; settlement has no fee, and a delisting settles as a halt does.",
    "A post-only refusal names an empty side of the book 0.",
    "Candles of a month are 30 days from the epoch, and a time without a trade has no candle.",
    "The mark is recomputed every 2.5 s while the oracle is stale.",
    "A priority is taken without staked tokens and changes no place in the queue.",
    "House size that is withdrawn is taken from the newest of its price.",
    *(f"The words {text!r}" for text in UNSOURCED),
)


def refused_status(text: str, *, flips: bool = False) -> str:
    """
    Return the status name of an order refused with ``text`` (without the asset), ``rejected`` when it has none.

    ``flips`` tells that the order would have turned its owner's position round, which at the open-interest cap has a name
    of its own.
    """
    if text.startswith(_POST_ONLY_START):
        return "badAloPxRejected"
    if flips and text == OI_INCREASE:
        return "positionFlipAtOpenInterestCapRejected"
    return _STATUS.get(text, "rejected")
