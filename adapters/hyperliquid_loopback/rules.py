"""The venue's rules that had to be chosen without a source; reports of local runs say how many there are."""

from typing import Final

from hyperliquid_loopback.account_rules import UNSOURCED_ACCOUNT_RULES
from hyperliquid_loopback.words import UNSOURCED_CORE_RULES


SHELL_RULES: Final = (
    "The states of a user (clearinghouseState, openOrders, spotState, webData3, activeAssetData) are sent every 5 s.",
    "activeAssetData is sent as well when leverage or isolated margin is set.",
    "bbo sends the present best prices when a subscription begins, unless both sides are empty.",
    "trades sends no first frame when there is no trade to replay.",
    "userFundings begins with a snapshot of all funding, userNonFundingLedgerUpdates with one of all transfers.",
    "An unknown candle interval or dex in a subscription is answered 'Invalid subscription', and the socket stays.",
    "The eleventh socket, or the thirty-first new one within a minute, is refused with HTTP 429.",
    "A client that sends more than 2,000 messages within a minute is cut off.",
    "A client that does not read 20,000 frames is cut off.",
    "What a WebSocket post is answered in place of HTTP 422 and 500: the status and the text of HTTP.",
    "Posts over WebSocket cost no weight of the minute.",
    "A rounding of l2Book that the venue does not know is answered 500 null on /info.",
    "candleSnapshot and recentTrades of an unknown coin are answered 500 null, as fundingHistory is.",
    "A delisted coin is left out of allMids.",
    "The mid of a spot pair is a set figure: nobody trades it here.",
    "A request above the weight of a minute is answered 429 with the body null, and does not count itself.",
    "The figures of perpDexLimits are those of the documentation's example, and 5,000,000 a coin; they bind nobody.",
    "perpDexStatus tells what the accounts of the dex are worth; perpDexLimits and perpDexStatus of the first dex are answered 500 null.",
    "predictedFundings names this venue alone, without the other exchanges' rates.",
    "maxMarketOrderNtls lists the documented notionals by leverage, the highest first, and no order is refused for its value.",
    "alignedQuoteTokenInfo of a token that is not aligned has the keys of one that is, and null for its first time.",
    "An order that names a builder trades without the builder's fee, and no approval is asked for.",
    "Auto-deleveraging happens on command: the position is closed at the mark without a fee, the orders stay.",
    "What a user's order takes from the background ladder stays gone until the flow's next book.",
)


def unsourced_rules() -> tuple[str, ...]:
    """Return every rule without a source, one sentence each: of matching, of accounts, of the streams and doors."""
    return (*UNSOURCED_CORE_RULES, *UNSOURCED_ACCOUNT_RULES, *SHELL_RULES)
