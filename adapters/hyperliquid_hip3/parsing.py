"""
Readers of the venue's messages, the same for live frames, recorded frames and info replies.

Each takes decoded JSON and returns records of :mod:`hyperliquid_hip3.records`. A field that is missing or malformed raises
:class:`~hyperliquid_hip3.errors.PayloadError`; fields the venue adds later are left alone.
"""

from collections.abc import Mapping
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.fields import LARGEST
from hyperliquid_hip3.fields import LONGEST_NUMBER
from hyperliquid_hip3.fields import MAX_WHOLE
from hyperliquid_hip3.fields import NS_PER_MS
from hyperliquid_hip3.fields import SMALLEST
from hyperliquid_hip3.fields import ZERO
from hyperliquid_hip3.fields import decimal
from hyperliquid_hip3.fields import field
from hyperliquid_hip3.fields import mapping
from hyperliquid_hip3.fields import number
from hyperliquid_hip3.fields import optional_number
from hyperliquid_hip3.fields import optional_text
from hyperliquid_hip3.fields import pair
from hyperliquid_hip3.fields import positive
from hyperliquid_hip3.fields import sequence
from hyperliquid_hip3.fields import shown
from hyperliquid_hip3.fields import side
from hyperliquid_hip3.fields import text
from hyperliquid_hip3.fields import time_ns
from hyperliquid_hip3.fields import unsigned
from hyperliquid_hip3.fields import whole
from hyperliquid_hip3.records import BookLevel
from hyperliquid_hip3.records import BookSnapshot
from hyperliquid_hip3.records import Candle
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.records import FundingRate
from hyperliquid_hip3.records import MarginTier
from hyperliquid_hip3.records import PerpDex
from hyperliquid_hip3.records import PerpEntry
from hyperliquid_hip3.records import PublicTrade
from hyperliquid_hip3.records import SpotPair
from hyperliquid_hip3.records import SpotToken
from hyperliquid_hip3.records import TopOfBook


def parse_l2_book(data: Any) -> BookSnapshot:
    """
    Return the book of an ``l2Book`` message or reply.

    Each message replaces the book: the venue sends no deltas on this channel.

    Raises
    ------
    PayloadError
        If a field is missing or a level is malformed.

    """
    channel = "l2Book"
    body = mapping(data, channel)
    levels = sequence(field(body, "levels", channel), channel, "levels")
    if len(levels) != 2:
        raise PayloadError(channel, f"`levels` has {len(levels)} sides, not 2")
    return BookSnapshot(
        coin=text(body, "coin", channel),
        ts_ns=time_ns(body, "time", channel),
        bids=tuple([_level(row, channel) for row in sequence(levels[0], channel, "levels")]),
        asks=tuple([_level(row, channel) for row in sequence(levels[1], channel, "levels")]),
        is_fast=body.get("fast") is True,
    )


def parse_bbo(data: Any) -> TopOfBook:
    """
    Return the best bid and ask of a ``bbo`` message; None for a side that is empty.

    Raises
    ------
    PayloadError
        If a field is missing or a level is malformed.

    """
    channel = "bbo"
    body = mapping(data, channel)
    sides = sequence(field(body, "bbo", channel), channel, "bbo")
    if len(sides) != 2:
        raise PayloadError(channel, f"`bbo` has {len(sides)} sides, not 2")
    bid, ask = sides
    return TopOfBook(
        coin=text(body, "coin", channel),
        ts_ns=time_ns(body, "time", channel),
        bid=None if bid is None else _level(bid, channel),
        ask=None if ask is None else _level(ask, channel),
    )


def parse_trades(data: Any) -> tuple[PublicTrade, ...]:
    """
    Return the trades of a ``trades`` message or a ``recentTrades`` reply, in the order sent.

    The first message after subscribing replays about thirty recent trades without saying so; drop repeats by ``trade_id``.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "trades"
    return tuple([_trade(mapping(row, channel), channel) for row in sequence(data, channel, "data")])


def parse_candle(data: Any) -> Candle:
    """
    Return one candle of a ``candle`` message or of a ``candleSnapshot`` reply's list.

    The venue gives the close as the candle's last millisecond; the record's close is the next one's open.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "candle"
    body = mapping(data, channel)
    return Candle(
        coin=text(body, "s", channel),
        interval=text(body, "i", channel),
        ts_open_ns=time_ns(body, "t", channel),
        ts_close_ns=time_ns(body, "T", channel) + NS_PER_MS,
        open=positive(body, "o", channel),
        high=positive(body, "h", channel),
        low=positive(body, "l", channel),
        close=positive(body, "c", channel),
        volume=number(body, "v", channel),
        trades=whole(body, "n", channel),
    )


def parse_candles(data: Any) -> tuple[Candle, ...]:
    """Return the candles of a ``candleSnapshot`` reply, in the order sent."""
    return tuple([parse_candle(row) for row in sequence(data, "candleSnapshot", "reply")])


def parse_funding_history(data: Any) -> tuple[FundingRate, ...]:
    """
    Return the rates of a ``fundingHistory`` reply, in the order sent.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "fundingHistory"
    rates = []
    for row in sequence(data, channel, "reply"):
        body = mapping(row, channel)
        rates.append(
            FundingRate(
                coin=text(body, "coin", channel),
                ts_ns=time_ns(body, "time", channel),
                rate=number(body, "fundingRate", channel),
                premium=None if body.get("premium") is None else number(body, "premium", channel),
            ),
        )
    return tuple(rates)


def parse_meta(data: Any) -> DexMeta:
    """
    Return the perpetuals of a dex from a ``meta`` reply, delisted ones included in their slots.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "meta"
    body = mapping(data, channel)
    universe = sequence(field(body, "universe", channel), channel, "universe")
    return DexMeta(
        universe=tuple([_perp_entry(i, mapping(row, channel), channel) for i, row in enumerate(universe)]),
        # replies of 2023 and the main dex of some recordings leave it out: token 0 is USDC
        collateral_token=whole(body, "collateralToken", channel) if "collateralToken" in body else 0,
        margin_tables=_margin_tables(body.get("marginTables", ()), channel),
    )


def parse_all_perp_metas(data: Any) -> tuple[DexMeta, ...]:
    """Return the metas of an ``allPerpMetas`` reply; the position is the dex's index."""
    return tuple([parse_meta(row) for row in sequence(data, "allPerpMetas", "reply")])


def parse_perp_dexs(data: Any) -> tuple[PerpDex, ...]:
    """
    Return the builder-deployed dexes of a ``perpDexs`` reply, with their positions.

    The first element is null: it stands for the validator-operated dex.

    Raises
    ------
    PayloadError
        If the first element is not null or a field is missing.

    """
    channel = "perpDexs"
    rows = sequence(data, channel, "reply")
    if not rows or rows[0] is not None:
        raise PayloadError(channel, "the first element is not null")
    dexes = []
    for index, row in enumerate(rows[1:], start=1):
        body = mapping(row, channel)
        dexes.append(
            PerpDex(
                index=index,
                name=text(body, "name", channel),
                full_name=optional_text(body, "fullName", channel),
                deployer=optional_text(body, "deployer", channel),
                deployer_fee_scale=optional_number(body, "deployerFeeScale", channel),
            ),
        )
    return tuple(dexes)


def parse_spot_meta(data: Any) -> tuple[SpotToken, ...]:
    """
    Return the tokens of a ``spotMeta`` reply.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "spotMeta"
    tokens = []
    for row in sequence(field(mapping(data, channel), "tokens", channel), channel, "tokens"):
        body = mapping(row, channel)
        tokens.append(
            SpotToken(
                index=whole(body, "index", channel),
                name=text(body, "name", channel),
                sz_decimals=whole(body, "szDecimals", channel),
                wei_decimals=whole(body, "weiDecimals", channel),
            ),
        )
    return tuple(tokens)


def parse_spot_pairs(data: Any) -> tuple[SpotPair, ...]:
    """
    Return the pairs of a ``spotMeta`` reply.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "spotMeta"
    pairs = []
    for row in sequence(field(mapping(data, channel), "universe", channel), channel, "universe"):
        body = mapping(row, channel)
        base, quote = pair(field(body, "tokens", channel), channel, "tokens")
        tokens = {"base": base, "quote": quote}
        pairs.append(
            SpotPair(
                name=text(body, "name", channel),
                tokens=(whole(tokens, "base", channel), whole(tokens, "quote", channel)),
            )
        )
    return tuple(pairs)


def _level(row: Any, channel: str) -> BookLevel:
    # the hot path: one try for the row, and comparing with constants also turns away NaN (it raises) and what is beyond any price
    try:
        px, sz, orders = row["px"], row["sz"], row["n"]
        if (
            type(px) is str
            and type(sz) is str
            and type(orders) is int
            and 0 <= orders <= MAX_WHOLE
            and len(px) <= LONGEST_NUMBER
            and len(sz) <= LONGEST_NUMBER
        ):
            price, size = Decimal(px), Decimal(sz)
            if SMALLEST <= price < LARGEST:
                if SMALLEST <= size < LARGEST:
                    return BookLevel(price, size, orders)
                if size == ZERO:
                    return BookLevel(price, decimal(sz, channel, "sz"), orders)
    except (KeyError, TypeError, IndexError, InvalidOperation):
        pass
    raise PayloadError(channel, _what_is_wrong(row, channel))


def _what_is_wrong(row: Any, channel: str) -> str:
    # off the hot path: the same row read field by field names what is missing
    try:
        body = mapping(row, channel)
        positive(body, "px", channel)
        unsigned(body, "sz", channel)
        whole(body, "n", channel)
    except PayloadError as e:
        return f"malformed level, {e.reason}"
    return "malformed level"


def _trade(body: Mapping[str, Any], channel: str) -> PublicTrade:
    aggressor = side(body, channel)
    users = body.get("users")
    return PublicTrade(
        coin=text(body, "coin", channel),
        ts_ns=time_ns(body, "time", channel),
        side=aggressor,
        price=positive(body, "px", channel),
        size=positive(body, "sz", channel),
        trade_id=whole(body, "tid", channel),
        block_hash=optional_text(body, "hash", channel),
        users=()
        if users is None
        else tuple([_user(user, channel) for user in sequence(users, channel, "users")]),
    )


def _user(value: Any, channel: str) -> str:
    if not isinstance(value, str):
        raise PayloadError(channel, f"an element of `users` was {shown(value)}, must be a text")
    return value


def _perp_entry(index: int, body: Mapping[str, Any], channel: str) -> PerpEntry:
    table = body.get("marginTableId")
    return PerpEntry(
        index=index,
        coin=text(body, "name", channel),
        sz_decimals=whole(body, "szDecimals", channel),
        max_leverage=whole(body, "maxLeverage", channel),
        margin_table_id=None if table is None else whole(body, "marginTableId", channel),
        is_delisted=body.get("isDelisted") is True,
        only_isolated=body.get("onlyIsolated") is True,
        margin_mode=optional_text(body, "marginMode", channel),
        growth_mode=body.get("growthMode") == "enabled",
        deployer_fee_scale=optional_number(body, "deployerFeeScale", channel),
    )


def _margin_tables(data: Any, channel: str) -> dict[int, tuple[MarginTier, ...]]:
    tables: dict[int, tuple[MarginTier, ...]] = {}
    for row in sequence(data, channel, "marginTables"):
        pair = sequence(row, channel, "marginTables")
        if len(pair) != 2 or type(pair[0]) is not int:
            raise PayloadError(channel, "a margin table is not a pair of id and table")
        tiers = sequence(field(mapping(pair[1], channel), "marginTiers", channel), channel, "marginTiers")
        tables[pair[0]] = tuple(
            [
                MarginTier(
                    lower_bound=number(mapping(tier, channel), "lowerBound", channel),
                    max_leverage=whole(mapping(tier, channel), "maxLeverage", channel),
                )
                for tier in tiers
            ],
        )
    return tables
