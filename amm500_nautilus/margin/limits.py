"""How large an order may be: margin, the venue's caps, and its smallest value."""

from dataclasses import dataclass
from decimal import Decimal

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.position import ZERO
from amm500_nautilus.margin.rounding import floor_to
from amm500_nautilus.margin.tables import MAX_POSITION_WORDS


MIN_ORDER_VALUE = Decimal(10)
LIMIT_ORDER_MULTIPLE = 10
# the largest market order by the market's largest leverage (venue docs, contract specifications)
MARKET_ORDER_VALUES = (
    (25, Decimal(30_000_000)),
    (20, Decimal(5_000_000)),
    (10, Decimal(2_000_000)),
    (1, Decimal(500_000)),
)

MARGIN_WORDS = "Insufficient margin to place order."
MIN_VALUE_WORDS = "Order must have minimum value of $10."
REDUCE_ONLY_WORDS = "Reduce only order would increase position."


def max_market_order_value(max_leverage: int) -> Decimal:
    """
    Return the largest value of a market order, by the market's largest leverage.

    The venue publishes the figures for its own perps; for builder-deployed markets the same is assumed.

    Raises
    ------
    ValueError
        If the leverage is below 1.

    """
    for least, value in MARKET_ORDER_VALUES:
        if max_leverage >= least:
            return value
    msg = f"max_leverage is {max_leverage}; allowed: 1 or more"
    raise ValueError(msg)


def max_limit_order_value(max_leverage: int) -> Decimal:
    """Return the largest value of a limit order: ten times that of a market order."""
    return LIMIT_ORDER_MULTIPLE * max_market_order_value(max_leverage)


@dataclass(frozen=True, slots=True)
class TradeLimits:
    """
    What may be traded each way, as the venue's ``activeAssetData`` gives it.

    Parameters
    ----------
    available : tuple of Decimal
        Collateral usable for a buy and for a sell (``availableToTrade``).
    max_sizes : tuple of Decimal
        The largest buy and sell in contracts (``maxTradeSzs``).

    """

    available: tuple[Decimal, Decimal]
    max_sizes: tuple[Decimal, Decimal]


def trade_limits(account: Account, coin: str, lot: Decimal) -> TradeLimits:
    """
    Return what the account may trade of a coin at mark.

    The side that adds has the free collateral; the side that closes has twice the position's margin more, once for
    the margin it frees and once for the same position the other way round. Sizes are that times the leverage over
    the mark, cut to the lot, and never lead past the margin tier that the leverage allows. All 24 sizes of a recorded
    cross account of 12 positions are reproduced by this; for isolated positions it is inferred.

    Parameters
    ----------
    account : Account
        At present marks.
    coin : str
        A coin that the account knows.
    lot : Decimal
        The market's smallest size.

    """
    position = account.position(coin)
    free, freed = account.free, 2 * position.initial
    buy = free + (freed if position.size < 0 else ZERO)
    sell = free + (freed if position.size > 0 else ZERO)
    # the same sum with the position's own contracts, which a cut margin would make smaller by a lot
    reach = free * position.leverage / position.mark
    back = 2 * abs(position.size)
    sizes = [reach + (back if position.size < 0 else ZERO), reach + (back if position.size > 0 else ZERO)]
    cap = position.table.max_notional_at(position.leverage)
    if cap is not None:
        largest = cap / position.mark
        sizes = [min(sizes[0], largest - position.size), min(sizes[1], largest + position.size)]
    limits = tuple(max(ZERO, floor_to(size, lot)) for size in sizes)
    return TradeLimits(available=(buy, sell), max_sizes=(limits[0], limits[1]))


@dataclass(frozen=True, slots=True)
class OrderRefusal:
    """Why the venue would refuse an order: its status name and its words, without the asset number."""

    status: str
    words: str


def order_refusal(
    account: Account,
    coin: str,
    *,
    side: int,
    size: Decimal,
    price: Decimal,
    reduce_only: bool = False,
    min_value: Decimal = MIN_ORDER_VALUE,
) -> OrderRefusal | None:
    """
    Return why the venue would refuse a limit order for its size or margin; None when it would not.

    The margin asked for is that of the worst case: the position, the resting orders of both sides and this one,
    over the equity. An order that only closes needs none.

    Parameters
    ----------
    account : Account
        At present marks, with its resting orders.
    coin : str
        A coin that the account knows.
    side : int
        1 for a buy, -1 for a sell.
    size, price : Decimal
        Contracts and limit price.
    reduce_only : bool
        Whether the order may only reduce.
    min_value : Decimal
        Smallest value of an order; waived for a reduce-only order that closes the whole position.

    """
    position = account.position(coin)
    closes = position.size * side < 0
    if reduce_only and not closes:
        return OrderRefusal("reduceOnlyRejected", REDUCE_ONLY_WORDS)
    closes_all = reduce_only and size >= abs(position.size)
    if size * price < min_value and not closes_all:
        return OrderRefusal(
            "minTradeNtlRejected", MIN_VALUE_WORDS.replace("$10", f"${min_value.normalize():f}")
        )
    if reduce_only:
        return None
    after = position.size + side * size
    adds = abs(after) > abs(position.size)
    if adds and position.table.exceeds_tier(after * position.mark, position.leverage):
        return OrderRefusal("perpMaxPositionRejected", MAX_POSITION_WORDS)
    if size * price / position.leverage > _available(account, coin, side):
        return OrderRefusal("perpMarginRejected", MARGIN_WORDS)
    return None


def _available(account: Account, coin: str, side: int) -> Decimal:
    """Return the collateral usable for one more order of a side, after the orders that already rest."""
    position = account.position(coin)
    resting = account.resting(coin)
    same_side = (resting.buy_value if side > 0 else resting.sell_value) / position.leverage
    elsewhere = account.order_margin - account.order_margin_of(coin)
    freed = 2 * position.initial if position.size * side < 0 else ZERO
    return account.free + freed - same_side - elsewhere
