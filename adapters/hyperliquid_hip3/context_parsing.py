"""
Readers of what the venue says of its markets beside books and trades: contexts, mids, caps and its own state.

As in :mod:`hyperliquid_hip3.parsing`: decoded JSON in, records out, :class:`~hyperliquid_hip3.errors.PayloadError` for anything else,
fields the venue adds later left alone. Shapes: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint/perpetuals.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.fields import decimal
from hyperliquid_hip3.fields import inner
from hyperliquid_hip3.fields import items
from hyperliquid_hip3.fields import mapping
from hyperliquid_hip3.fields import number
from hyperliquid_hip3.fields import optional_number
from hyperliquid_hip3.fields import pair
from hyperliquid_hip3.fields import sequence
from hyperliquid_hip3.fields import shown
from hyperliquid_hip3.fields import text
from hyperliquid_hip3.fields import time_ns
from hyperliquid_hip3.fields import unsigned
from hyperliquid_hip3.parsing import parse_meta
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.user_records import AssetContext
from hyperliquid_hip3.user_records import DexLimits
from hyperliquid_hip3.user_records import ExchangeStatus


def parse_active_asset_ctx(data: Any) -> AssetContext:
    """
    Return the context of an ``activeAssetCtx`` message, which carries no time.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "activeAssetCtx"
    body = mapping(data, channel)
    return _context(text(body, "coin", channel), inner(body, "ctx", channel), channel)


def parse_meta_and_asset_ctxs(data: Any) -> tuple[DexMeta, tuple[AssetContext, ...]]:
    """
    Return a dex's perpetuals and their contexts from a ``metaAndAssetCtxs`` reply, in the same order.

    Raises
    ------
    PayloadError
        If the two lists differ in length, or a field is missing or malformed.

    """
    channel = "metaAndAssetCtxs"
    meta_body, rows = pair(data, channel, "reply")
    meta = parse_meta(meta_body)
    rows = sequence(rows, channel, "contexts")
    if len(rows) != len(meta.universe):
        raise PayloadError(channel, f"{len(rows)} contexts for {len(meta.universe)} perpetuals")
    return meta, tuple(
        [
            _context(entry.coin, mapping(row, channel), channel)
            for entry, row in zip(meta.universe, rows, strict=True)
        ],
    )


def parse_all_dexs_asset_ctxs(
    data: Any,
    metas: Mapping[str, DexMeta] | None = None,
) -> dict[str, tuple[AssetContext, ...]]:
    """
    Return the contexts of every dex from an ``allDexsAssetCtxs`` message, by the dex's name.

    The message names no coins: a context's position is the coin's slot in its dex's ``meta``.

    Parameters
    ----------
    data : Any
        The decoded message.
    metas : Mapping[str, DexMeta], optional
        The perpetuals by dex; they give the contexts their coins. A slot that they do not know keeps an empty coin.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "allDexsAssetCtxs"
    contexts: dict[str, tuple[AssetContext, ...]] = {}
    for row in items(mapping(data, channel), "ctxs", channel):
        dex, rows = pair(row, channel, "ctxs")
        if not isinstance(dex, str):
            raise PayloadError(channel, f"the name of a dex was {shown(dex)}, must be a text")
        meta = metas.get(dex) if metas is not None else None
        universe = () if meta is None else meta.universe
        contexts[dex] = tuple(
            [
                _context(universe[i].coin if i < len(universe) else "", mapping(ctx, channel), channel)
                for i, ctx in enumerate(sequence(rows, channel, "ctxs"))
            ],
        )
    return contexts


def parse_all_mids(data: Any) -> dict[str, Decimal]:
    """
    Return the mid prices of an ``allMids`` reply, by coin; the last trade's price where a book is empty.

    Raises
    ------
    PayloadError
        If a price is malformed.

    """
    return _mids(mapping(data, "allMids"), "allMids")


def parse_all_mids_message(data: Any) -> dict[str, Decimal]:
    """
    Return the mid prices of an ``allMids`` message, by coin; the message wraps what the reply sends bare.

    Raises
    ------
    PayloadError
        If the prices are missing or one is malformed.

    """
    return _mids(inner(mapping(data, "allMids"), "mids", "allMids"), "allMids")


def parse_perps_at_cap(data: Any) -> tuple[str, ...]:
    """Return the coins at their open-interest cap from a ``perpsAtOpenInterestCap`` reply."""
    return _texts(data, "perpsAtOpenInterestCap", "reply")


def parse_exchange_status(data: Any) -> ExchangeStatus:
    """
    Return the venue's clock and its special states from an ``exchangeStatus`` reply.

    Raises
    ------
    PayloadError
        If the time is missing or malformed.

    """
    channel = "exchangeStatus"
    body = mapping(data, channel)
    special = body.get("specialStatuses")
    if special is None:
        statuses: tuple[str, ...] = ()
    elif isinstance(special, str):
        statuses = (special,)
    else:
        statuses = _texts(special, channel, "specialStatuses")
    return ExchangeStatus(ts_ns=time_ns(body, "time", channel), special_statuses=statuses)


def parse_perp_dex_limits(data: Any) -> DexLimits:
    """
    Return the caps of a dex from a ``perpDexLimits`` reply.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "perpDexLimits"
    body = mapping(data, channel)
    caps: dict[str, Decimal] = {}
    for row in items(body, "coinToOiCap", channel):
        coin, cap = pair(row, channel, "coinToOiCap")
        caps[_coin(coin, channel)] = decimal(cap, channel, "coinToOiCap")
    return DexLimits(
        total_oi_cap=unsigned(body, "totalOiCap", channel),
        size_cap_per_perp=unsigned(body, "oiSzCapPerPerp", channel),
        max_transfer_notional=unsigned(body, "maxTransferNtl", channel),
        coin_oi_caps=caps,
    )


def parse_perp_dex_status(data: Any) -> Decimal:
    """Return the net deposits of a dex (collateral) from a ``perpDexStatus`` reply."""
    channel = "perpDexStatus"
    return number(mapping(data, channel), "totalNetDeposit", channel)


def _context(coin: str, body: Mapping[str, Any], channel: str) -> AssetContext:
    impact = body.get("impactPxs")
    bid = ask = None
    if impact is not None:
        bid, ask = [decimal(px, channel, "impactPxs") for px in pair(impact, channel, "impactPxs")]
    return AssetContext(
        coin=coin,
        funding=number(body, "funding", channel),
        open_interest=unsigned(body, "openInterest", channel),
        oracle_price=unsigned(body, "oraclePx", channel),
        mark_price=unsigned(body, "markPx", channel),
        mid_price=optional_number(body, "midPx", channel),
        premium=optional_number(body, "premium", channel),
        day_notional_volume=unsigned(body, "dayNtlVlm", channel),
        day_base_volume=optional_number(body, "dayBaseVlm", channel),
        previous_day_price=unsigned(body, "prevDayPx", channel),
        impact_bid=bid,
        impact_ask=ask,
    )


def _mids(body: Mapping[str, Any], channel: str) -> dict[str, Decimal]:
    return {_coin(coin, channel): unsigned(body, coin, channel) for coin in body}


def _coin(value: Any, channel: str) -> str:
    if not isinstance(value, str):
        raise PayloadError(channel, f"a coin was {shown(value)}, must be a text")
    return value


def _texts(data: Any, channel: str, name: str) -> tuple[str, ...]:
    rows = sequence(data, channel, name)
    for row in rows:
        if not isinstance(row, str):
            raise PayloadError(channel, f"an element of `{name}` was {shown(row)}, must be a text")
    return tuple(rows)
