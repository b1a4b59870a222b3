"""
Readers of the venue's messages, the same for live frames, recorded frames and info replies.

Each takes decoded JSON and returns records of :mod:`hyperliquid_hip3.records`. A field that is missing or malformed raises
:class:`~hyperliquid_hip3.errors.PayloadError`; fields the venue adds later are left alone.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Final

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.records import BookLevel
from hyperliquid_hip3.records import BookSnapshot
from hyperliquid_hip3.records import Candle
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.records import FundingRate
from hyperliquid_hip3.records import MarginTier
from hyperliquid_hip3.records import PerpDex
from hyperliquid_hip3.records import PerpEntry
from hyperliquid_hip3.records import PublicTrade
from hyperliquid_hip3.records import SpotToken
from hyperliquid_hip3.records import TopOfBook


NS_PER_MS: Final = 1_000_000
ZERO: Final = Decimal(0)
ENDLESS: Final = Decimal("Infinity")
AGGRESSOR: Final[dict[str, int]] = {"B": 1, "A": -1}


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
    body = _mapping(data, channel)
    levels = _sequence(_field(body, "levels", channel), channel, "levels")
    if len(levels) != 2:
        raise PayloadError(channel, f"`levels` has {len(levels)} sides, not 2")
    return BookSnapshot(
        coin=_text(body, "coin", channel),
        ts_ns=_time_ns(body, "time", channel),
        bids=tuple([_level(row, channel) for row in _sequence(levels[0], channel, "levels")]),
        asks=tuple([_level(row, channel) for row in _sequence(levels[1], channel, "levels")]),
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
    body = _mapping(data, channel)
    sides = _sequence(_field(body, "bbo", channel), channel, "bbo")
    if len(sides) != 2:
        raise PayloadError(channel, f"`bbo` has {len(sides)} sides, not 2")
    bid, ask = sides
    return TopOfBook(
        coin=_text(body, "coin", channel),
        ts_ns=_time_ns(body, "time", channel),
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
    return tuple([_trade(_mapping(row, channel), channel) for row in _sequence(data, channel, "data")])


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
    body = _mapping(data, channel)
    return Candle(
        coin=_text(body, "s", channel),
        interval=_text(body, "i", channel),
        ts_open_ns=_time_ns(body, "t", channel),
        ts_close_ns=_time_ns(body, "T", channel) + NS_PER_MS,
        open=_positive(body, "o", channel),
        high=_positive(body, "h", channel),
        low=_positive(body, "l", channel),
        close=_positive(body, "c", channel),
        volume=_number(body, "v", channel),
        trades=_whole(body, "n", channel),
    )


def parse_candles(data: Any) -> tuple[Candle, ...]:
    """Return the candles of a ``candleSnapshot`` reply, in the order sent."""
    return tuple([parse_candle(row) for row in _sequence(data, "candleSnapshot", "reply")])


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
    for row in _sequence(data, channel, "reply"):
        body = _mapping(row, channel)
        rates.append(
            FundingRate(
                coin=_text(body, "coin", channel),
                ts_ns=_time_ns(body, "time", channel),
                rate=_number(body, "fundingRate", channel),
                premium=None if body.get("premium") is None else _number(body, "premium", channel),
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
    body = _mapping(data, channel)
    universe = _sequence(_field(body, "universe", channel), channel, "universe")
    return DexMeta(
        universe=tuple([_perp_entry(i, _mapping(row, channel), channel) for i, row in enumerate(universe)]),
        # replies of 2023 and the main dex of some recordings leave it out: token 0 is USDC
        collateral_token=_whole(body, "collateralToken", channel) if "collateralToken" in body else 0,
        margin_tables=_margin_tables(body.get("marginTables", ()), channel),
    )


def parse_all_perp_metas(data: Any) -> tuple[DexMeta, ...]:
    """Return the metas of an ``allPerpMetas`` reply; the position is the dex's index."""
    return tuple([parse_meta(row) for row in _sequence(data, "allPerpMetas", "reply")])


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
    rows = _sequence(data, channel, "reply")
    if not rows or rows[0] is not None:
        raise PayloadError(channel, "the first element is not null")
    dexes = []
    for index, row in enumerate(rows[1:], start=1):
        body = _mapping(row, channel)
        dexes.append(
            PerpDex(
                index=index,
                name=_text(body, "name", channel),
                full_name=str(body.get("fullName", "")),
                deployer=str(body.get("deployer", "")),
                deployer_fee_scale=_optional_number(body, "deployerFeeScale", channel),
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
    for row in _sequence(_field(_mapping(data, channel), "tokens", channel), channel, "tokens"):
        body = _mapping(row, channel)
        tokens.append(
            SpotToken(
                index=_whole(body, "index", channel),
                name=_text(body, "name", channel),
                sz_decimals=_whole(body, "szDecimals", channel),
                wei_decimals=_whole(body, "weiDecimals", channel),
            ),
        )
    return tuple(tokens)


def _level(row: Any, channel: str) -> BookLevel:
    # the hot path: one try for the row, and comparing with constants also turns away NaN (it raises) and infinity
    try:
        px, sz, orders = row["px"], row["sz"], row["n"]
        if type(px) is str and type(sz) is str and type(orders) is int:
            price, size = Decimal(px), Decimal(sz)
            if ZERO < price < ENDLESS and ZERO <= size < ENDLESS:
                return BookLevel(price, size, orders)
    except (KeyError, TypeError, IndexError, InvalidOperation) as e:
        raise PayloadError(channel, f"malformed level {row!r}") from e
    raise PayloadError(channel, f"malformed level {row!r}")


def _trade(body: Mapping[str, Any], channel: str) -> PublicTrade:
    side = AGGRESSOR.get(_text(body, "side", channel))
    if side is None:
        raise PayloadError(channel, f"`side` was {body['side']!r}, not 'B' or 'A'")
    users = _sequence(body.get("users", ()), channel, "users")
    return PublicTrade(
        coin=_text(body, "coin", channel),
        ts_ns=_time_ns(body, "time", channel),
        side=side,
        price=_positive(body, "px", channel),
        size=_positive(body, "sz", channel),
        trade_id=_whole(body, "tid", channel),
        block_hash=str(body.get("hash", "")),
        users=tuple([str(user) for user in users]),
    )


def _perp_entry(index: int, body: Mapping[str, Any], channel: str) -> PerpEntry:
    table = body.get("marginTableId")
    return PerpEntry(
        index=index,
        coin=_text(body, "name", channel),
        sz_decimals=_whole(body, "szDecimals", channel),
        max_leverage=_whole(body, "maxLeverage", channel),
        margin_table_id=None if table is None else _whole(body, "marginTableId", channel),
        is_delisted=body.get("isDelisted") is True,
        only_isolated=body.get("onlyIsolated") is True,
        margin_mode=str(body.get("marginMode") or ""),
        growth_mode=body.get("growthMode") == "enabled",
        deployer_fee_scale=_optional_number(body, "deployerFeeScale", channel),
    )


def _margin_tables(data: Any, channel: str) -> dict[int, tuple[MarginTier, ...]]:
    tables: dict[int, tuple[MarginTier, ...]] = {}
    for row in _sequence(data, channel, "marginTables"):
        pair = _sequence(row, channel, "marginTables")
        if len(pair) != 2 or type(pair[0]) is not int:
            raise PayloadError(channel, "a margin table is not a pair of id and table")
        tiers = _sequence(_field(_mapping(pair[1], channel), "marginTiers", channel), channel, "marginTiers")
        tables[pair[0]] = tuple(
            [
                MarginTier(
                    lower_bound=_number(_mapping(tier, channel), "lowerBound", channel),
                    max_leverage=_whole(_mapping(tier, channel), "maxLeverage", channel),
                )
                for tier in tiers
            ],
        )
    return tables


def _mapping(value: Any, channel: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PayloadError(channel, f"expected an object, got {type(value).__name__}")
    return value


def _sequence(value: Any, channel: str, name: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise PayloadError(channel, f"`{name}` is not a list but {type(value).__name__}")
    return value


def _field(body: Mapping[str, Any], name: str, channel: str) -> Any:
    try:
        return body[name]
    except KeyError:
        raise PayloadError(channel, f"`{name}` is missing") from None


def _text(body: Mapping[str, Any], name: str, channel: str) -> str:
    value = _field(body, name, channel)
    if not isinstance(value, str) or not value:
        raise PayloadError(channel, f"`{name}` was {value!r}, must be a text")
    return value


def _whole(body: Mapping[str, Any], name: str, channel: str) -> int:
    value = _field(body, name, channel)
    if type(value) is not int or value < 0:
        raise PayloadError(channel, f"`{name}` was {value!r}, must be a whole number")
    return value


def _time_ns(body: Mapping[str, Any], name: str, channel: str) -> int:
    return _whole(body, name, channel) * NS_PER_MS


def _number(body: Mapping[str, Any], name: str, channel: str) -> Decimal:
    value = _field(body, name, channel)
    try:
        # the venue writes numbers as texts; a JSON float would already have lost digits
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise PayloadError(channel, f"`{name}` was {value!r}, must be a number written as text")
    return number


def _positive(body: Mapping[str, Any], name: str, channel: str) -> Decimal:
    number = _number(body, name, channel)
    if number <= ZERO:
        raise PayloadError(channel, f"`{name}` was {number}, must be positive")
    return number


def _optional_number(body: Mapping[str, Any], name: str, channel: str) -> Decimal | None:
    return None if body.get(name) is None else _number(body, name, channel)
