"""Fixed facts of the venue: addresses, limits, identities."""

from typing import Final


VENUE: Final = "HYPERLIQUID"
MAINNET_URL: Final = "https://api.hyperliquid.xyz"
TESTNET_URL: Final = "https://api.hyperliquid-testnet.xyz"

# price and size rules, https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/tick-and-lot-size
MAX_SIGNIFICANT_FIGURES: Final = 5
MAX_PERP_DECIMALS: Final = 6
# collateral units
MIN_ORDER_NOTIONAL: Final = 10
# perp accounting (fees, funding, margin) rounds to this many decimals of the collateral
LEDGER_DECIMALS: Final = 6

# asset id of a builder-deployed perp: base + dex index * stride + index in the dex's meta
BUILDER_ASSET_BASE: Final = 100_000
BUILDER_ASSET_STRIDE: Final = 10_000

# request weight an address may spend in a minute,
# https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/rate-limits-and-user-limits
WEIGHT_PER_MINUTE: Final = 1_200
DEFAULT_INFO_WEIGHT: Final = 20
INFO_WEIGHTS: Final[dict[str, int]] = {
    "l2Book": 2,
    "allMids": 2,
    "clearinghouseState": 2,
    "orderStatus": 2,
    "spotClearinghouseState": 2,
    "exchangeStatus": 2,
    "userRole": 60,
}
# one more weight for every so many rows of the reply
INFO_ROWS_PER_WEIGHT: Final[dict[str, int]] = {
    "candleSnapshot": 60,
    "recentTrades": 20,
    "historicalOrders": 20,
    "userFills": 20,
    "userFillsByTime": 20,
    "fundingHistory": 20,
    "userFunding": 20,
    "userNonFundingLedgerUpdates": 20,
}

# the exchange keeps about this many candles of each interval, and hands out so many funding rows in one reply
CANDLES_KEPT: Final = 5_000
FUNDING_PAGE_ROWS: Final = 500
CANDLE_INTERVALS: Final = (
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
    "1M",
)


def builder_asset_id(dex_index: int, index_in_meta: int) -> int:
    """
    Return the venue's number of a builder-deployed perp, for example 150000 for the first coin of dex 5.

    Parameters
    ----------
    dex_index : int
        Position in ``perpDexs``, whose element 0 is null; 0 is the validator-operated dex.
    index_in_meta : int
        Position in the dex's ``universe``; delisted entries keep theirs.

    Raises
    ------
    ValueError
        If an index is negative or the second does not fit the stride.

    """
    if dex_index < 0:
        raise ValueError(f"`dex_index` was {dex_index}, must not be negative")
    if not 0 <= index_in_meta < BUILDER_ASSET_STRIDE:
        raise ValueError(f"`index_in_meta` was {index_in_meta}, must be 0 to {BUILDER_ASSET_STRIDE - 1}")
    if dex_index == 0:
        return index_in_meta
    return BUILDER_ASSET_BASE + dex_index * BUILDER_ASSET_STRIDE + index_in_meta


def info_weight(request_type: str, rows: int = 0) -> int:
    """
    Return the weight of an info request whose reply has so many rows.

    Parameters
    ----------
    request_type : str
        The request's ``type``, for example ``candleSnapshot``.
    rows : int, default 0
        Rows of the reply; counted only for the types that the venue lists.

    """
    weight = INFO_WEIGHTS.get(request_type, DEFAULT_INFO_WEIGHT)
    rows_per_weight = INFO_ROWS_PER_WEIGHT.get(request_type)
    return weight if rows_per_weight is None else weight + rows // rows_per_weight


def split_coin(coin: str) -> tuple[str, str]:
    """Return the dex and the bare name of a coin: ``("km", "US500")``; the dex is empty on the validator dex."""
    dex, colon, name = coin.partition(":")
    return (dex, name) if colon else ("", coin)
