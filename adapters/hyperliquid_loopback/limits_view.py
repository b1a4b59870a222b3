"""What ``/info`` answers of a dex's limits, of fundings to come, and of quote tokens."""

from decimal import Decimal
from typing import Final

from hyperliquid_loopback.accounts import Accounts
from hyperliquid_loopback.engine import Exchange
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import number
from hyperliquid_loopback.universe import Universe


HOUR_MS: Final = 3_600_000
# the figures of the documentation's own example: no real dex's were ever recorded.
# https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint/perpetuals
DEX_LIMITS: Final[Json] = {
    "totalOiCap": "10000000.0",
    "oiSzCapPerPerp": "10000000000.0",
    "maxTransferNtl": "100000000.0",
}
COIN_CAP: Final = "5000000.0"
# by the coin's largest leverage, https://hyperliquid.gitbook.io/hyperliquid-docs/trading/contract-specifications
MARKET_ORDER_NOTIONALS: Final = ((25, "15000000.0"), (20, "5000000.0"), (10, "2000000.0"), (1, "500000.0"))


def dex_limits(universe: Universe, dex: str) -> Json:
    """Return the reply to ``perpDexLimits``: a dex's caps, and one for each coin."""
    coins = universe.coins(dex, listed_only=True)
    return {**DEX_LIMITS, "coinToOiCap": [[coin.partition(":")[2], COIN_CAP] for coin in coins]}


def dex_status(accounts: Accounts, dex: str, now_ms: int) -> Json:
    """Return the reply to ``perpDexStatus``: what everybody's accounts on the dex are worth."""
    total = ZERO
    for user, holder in list(accounts.holders.items()):
        if not holder.house:
            state = accounts.clearinghouse_state(user, dex, now_ms)
            total += Decimal(state["marginSummary"]["accountValue"])
    return {"totalNetDeposit": number(total)}


def predicted_fundings(universe: Universe, exchange: Exchange, now_ms: int) -> list[list[object]]:
    """Return the reply to ``predictedFundings``: the validators' own dex alone, and this venue's rate alone."""
    next_ms = (now_ms // HOUR_MS + 1) * HOUR_MS
    return [
        [coin, [["HlPerp", {"fundingRate": exchange.ctx(coin)["funding"], "nextFundingTime": next_ms}]]]
        for coin in universe.coins("", listed_only=True)
    ]


def market_order_notionals() -> list[list[object]]:
    """Return the reply to ``maxMarketOrderNtls``: the largest market order by the coin's largest leverage."""
    return [[leverage, notional] for leverage, notional in MARKET_ORDER_NOTIONALS]


def aligned_quote_token(universe: Universe, token: int) -> Json | None:
    """Return the reply to ``alignedQuoteTokenInfo``: no token is aligned; None for one that there is not."""
    if all(int(row["index"]) != token for row in universe.spot_meta()["tokens"]):
        return None
    return {
        "isAligned": False,
        "firstAlignedTime": None,
        "evmMintedSupply": "0.0",
        "dailyAmountOwed": [],
        "predictedRate": "0.0",
    }
