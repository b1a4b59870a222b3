"""
Readers of what happens to one user: orders, fills, funding payments and events.

As in :mod:`hyperliquid_hip3.parsing`: decoded JSON in, records out, :class:`~hyperliquid_hip3.errors.PayloadError` for anything else,
fields the venue adds later left alone; the same for live frames, recorded frames and info replies. A message
that cannot be read whole is not read at all: a list with a row left out would read as "no such order".

``early`` admits replies of 2023, which leave out what the venue sends today (trade ids, fee tokens, original sizes); never used live.
Shapes: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint and .../api/websocket/subscriptions.
"""

import zlib
from collections.abc import Mapping
from typing import Any
from typing import Final

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.fields import decimal
from hyperliquid_hip3.fields import field
from hyperliquid_hip3.fields import flag
from hyperliquid_hip3.fields import inner
from hyperliquid_hip3.fields import items
from hyperliquid_hip3.fields import mapping
from hyperliquid_hip3.fields import number
from hyperliquid_hip3.fields import optional_flag
from hyperliquid_hip3.fields import optional_number
from hyperliquid_hip3.fields import optional_text
from hyperliquid_hip3.fields import pair
from hyperliquid_hip3.fields import sequence
from hyperliquid_hip3.fields import shown
from hyperliquid_hip3.fields import side
from hyperliquid_hip3.fields import text
from hyperliquid_hip3.fields import time_ns
from hyperliquid_hip3.fields import unsigned
from hyperliquid_hip3.fields import whole
from hyperliquid_hip3.user_records import FillsEvent
from hyperliquid_hip3.user_records import FillsMessage
from hyperliquid_hip3.user_records import FundingEvent
from hyperliquid_hip3.user_records import FundingPayment
from hyperliquid_hip3.user_records import FundingsMessage
from hyperliquid_hip3.user_records import LiquidationNotice
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import OpenOrders
from hyperliquid_hip3.user_records import OrderState
from hyperliquid_hip3.user_records import OrderUpdate
from hyperliquid_hip3.user_records import OtherEvent
from hyperliquid_hip3.user_records import UserEvent
from hyperliquid_hip3.user_records import UserFill
from hyperliquid_hip3.user_records import VenueCancel
from hyperliquid_hip3.user_records import VenueCancels


UNKNOWN_OID: Final = "unknownOid"


def parse_open_orders(data: Any, *, early: bool = False) -> tuple[OpenOrder, ...]:
    """
    Return the open orders of an ``openOrders`` reply, in the order sent.

    Parameters
    ----------
    data : Any
        The decoded reply.
    early : bool, default False
        Whether a reply of 2023 is read: without the original size, which is what is left then.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    return _orders(data, "openOrders", early=early)


def parse_frontend_open_orders(data: Any) -> tuple[OpenOrder, ...]:
    """
    Return the open orders of a ``frontendOpenOrders`` reply, in the order sent.

    The children of an order (its take-profit and stop) are in the list by themselves.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    return _orders(data, "frontendOpenOrders")


def parse_open_orders_message(data: Any) -> OpenOrders:
    """
    Return the open orders of an ``openOrders`` message with the dex and the user.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "openOrders"
    body = mapping(data, channel)
    return OpenOrders(
        dex=optional_text(body, "dex", channel),
        user=text(body, "user", channel),
        orders=_orders(field(body, "orders", channel), channel),
    )


def parse_order_status(data: Any) -> OrderState:
    """
    Return what an ``orderStatus`` query found.

    An order that the venue does not know (never placed, forgotten, or not yet there) has the status ``unknownOid`` and no order.

    Raises
    ------
    PayloadError
        If a field is missing or malformed, or the reply says neither.

    """
    channel = "orderStatus"
    body = mapping(data, channel)
    status = text(body, "status", channel)
    if status == UNKNOWN_OID:
        return OrderState(order=None, status=UNKNOWN_OID, ts_ns=0)
    if status != "order":
        raise PayloadError(channel, f"`status` was {shown(status)}, not 'order' or 'unknownOid'")
    update = _update(inner(body, "order", channel), channel)
    return OrderState(order=update.order, status=update.status, ts_ns=update.ts_ns)


def parse_order_updates(data: Any) -> tuple[OrderUpdate, ...]:
    """
    Return the updates of an ``orderUpdates`` message, in the order sent; it names no user.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "orderUpdates"
    return tuple([_update(mapping(row, channel), channel) for row in sequence(data, channel, "data")])


def parse_historical_orders(data: Any) -> tuple[OrderUpdate, ...]:
    """
    Return the last orders of a user with their last status from a ``historicalOrders`` reply, in the order sent.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "historicalOrders"
    return tuple([_update(mapping(row, channel), channel) for row in sequence(data, channel, "reply")])


def parse_user_fill(data: Any, *, early: bool = False) -> UserFill:
    """
    Return one fill as replies, messages and the venue's block files write it.

    Parameters
    ----------
    data : Any
        The decoded fill.
    early : bool, default False
        Whether a fill of 2023 is read: without a trade id (a negative one is made from the row, so that the key stays its own) and
        without a fee token (USDC then).

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    return _fill(mapping(data, "userFills"), "userFills", early=early)


def parse_user_fills(data: Any, *, early: bool = False) -> tuple[UserFill, ...]:
    """Return the fills of a ``userFills`` or ``userFillsByTime`` reply, in the order sent; see :func:`parse_user_fill`."""
    return _fills(data, "userFills", early=early)


def parse_twap_slice_fills(data: Any) -> tuple[UserFill, ...]:
    """
    Return the fills of a ``userTwapSliceFills`` reply, in the order sent.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "userTwapSliceFills"
    return tuple(
        [
            _fill(inner(mapping(row, channel), "fill", channel), channel)
            for row in sequence(data, channel, "reply")
        ],
    )


def parse_user_fills_message(data: Any) -> FillsMessage:
    """
    Return the fills of a ``userFills`` message; only the first after subscribing is a snapshot.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "userFills"
    body = mapping(data, channel)
    return FillsMessage(
        user=text(body, "user", channel),
        is_snapshot=optional_flag(body, "isSnapshot", channel),
        fills=_fills(field(body, "fills", channel), channel),
    )


def parse_block_fills(data: Any) -> tuple[tuple[str, UserFill], ...]:
    """
    Return the addresses and fills of one block of the venue's archive (``node_fills_by_block``).

    Both sides of a trade are there, each as its user's fill. See https://hyperliquid.gitbook.io/hyperliquid-docs/historical-data.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "node_fills_by_block"
    fills = []
    for row in items(mapping(data, channel), "events", channel):
        address, fill = pair(row, channel, "events")
        if not isinstance(address, str):
            raise PayloadError(channel, f"an address was {shown(address)}, must be a text")
        fills.append((address, _fill(mapping(fill, channel), channel)))
    return tuple(fills)


def parse_user_funding_history(data: Any) -> tuple[FundingPayment, ...]:
    """
    Return the payments of a ``userFunding`` reply, in the order sent.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "userFunding"
    payments = []
    for row in sequence(data, channel, "reply"):
        body = mapping(row, channel)
        payments.append(_payment(inner(body, "delta", channel), time_ns(body, "time", channel), channel))
    return tuple(payments)


def parse_user_fundings_message(data: Any) -> FundingsMessage:
    """
    Return the payments of a ``userFundings`` message; only the first after subscribing is a snapshot.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "userFundings"
    body = mapping(data, channel)
    payments = []
    for row in items(body, "fundings", channel):
        payment = mapping(row, channel)
        payments.append(_payment(payment, time_ns(payment, "time", channel), channel))
    return FundingsMessage(
        user=text(body, "user", channel),
        is_snapshot=optional_flag(body, "isSnapshot", channel),
        payments=tuple(payments),
    )


def parse_user_event(data: Any) -> UserEvent:
    """
    Return the event of a ``user`` message, which is what the ``userEvents`` subscription sends.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "user"
    body = mapping(data, channel)
    if "fills" in body:
        return FillsEvent(fills=_fills(body["fills"], channel))
    if "funding" in body:
        payment = inner(body, "funding", channel)
        return FundingEvent(payment=_payment(payment, time_ns(payment, "time", channel), channel))
    if "liquidation" in body:
        return _liquidation(inner(body, "liquidation", channel), channel)
    if "nonUserCancel" in body:
        cancels = []
        for row in items(body, "nonUserCancel", channel):
            cancel = mapping(row, channel)
            cancels.append(VenueCancel(coin=text(cancel, "coin", channel), oid=whole(cancel, "oid", channel)))
        return VenueCancels(cancels=tuple(cancels))
    return OtherEvent(kinds=tuple([name for name in body if isinstance(name, str)]))


def _orders(data: Any, channel: str, *, early: bool = False) -> tuple[OpenOrder, ...]:
    return tuple(
        [_order(mapping(row, channel), channel, early=early) for row in sequence(data, channel, "orders")],
    )


def _order(body: Mapping[str, Any], channel: str, *, early: bool = False) -> OpenOrder:
    size = unsigned(body, "sz", channel)
    is_trigger = optional_flag(body, "isTrigger", channel)
    return OpenOrder(
        coin=text(body, "coin", channel),
        side=side(body, channel),
        price=unsigned(body, "limitPx", channel),
        size=size,
        orig_size=size if early and "origSz" not in body else unsigned(body, "origSz", channel),
        oid=whole(body, "oid", channel),
        cloid=optional_text(body, "cloid", channel) or None,
        ts_ns=time_ns(body, "timestamp", channel),
        reduce_only=optional_flag(body, "reduceOnly", channel),
        tif=optional_text(body, "tif", channel) or None,
        is_trigger=is_trigger,
        trigger_price=unsigned(body, "triggerPx", channel) if is_trigger else None,
        order_type=optional_text(body, "orderType", channel) or "Limit",
    )


def _update(body: Mapping[str, Any], channel: str) -> OrderUpdate:
    return OrderUpdate(
        order=_order(inner(body, "order", channel), channel),
        status=text(body, "status", channel),
        ts_ns=time_ns(body, "statusTimestamp", channel),
    )


def _fills(data: Any, channel: str, *, early: bool = False) -> tuple[UserFill, ...]:
    return tuple(
        [_fill(mapping(row, channel), channel, early=early) for row in sequence(data, channel, "fills")],
    )


def _fill(body: Mapping[str, Any], channel: str, *, early: bool = False) -> UserFill:
    liquidation = None if body.get("liquidation") is None else inner(body, "liquidation", channel)
    return UserFill(
        coin=text(body, "coin", channel),
        price=unsigned(body, "px", channel),
        size=unsigned(body, "sz", channel),
        side=side(body, channel),
        ts_ns=time_ns(body, "time", channel),
        start_position=number(body, "startPosition", channel),
        direction=optional_text(body, "dir", channel),
        closed_pnl=number(body, "closedPnl", channel),
        oid=whole(body, "oid", channel),
        is_taker=flag(body, "crossed", channel),
        fee=number(body, "fee", channel),
        # a documented example has " USDC"
        fee_token="USDC" if early and "feeToken" not in body else text(body, "feeToken", channel).strip(),
        trade_id=_made_id(body) if early and "tid" not in body else whole(body, "tid", channel),
        cloid=optional_text(body, "cloid", channel) or None,
        builder_fee=optional_number(body, "builderFee", channel),
        is_liquidation=liquidation is not None,
        hash=optional_text(body, "hash", channel),
        liquidated_user="" if liquidation is None else optional_text(liquidation, "liquidatedUser", channel),
        liquidation_method="" if liquidation is None else optional_text(liquidation, "method", channel),
        deployer_fee=optional_number(body, "deployerFee", channel),
    )


def _made_id(body: Mapping[str, Any]) -> int:
    named = [body.get(name) for name in ("hash", "oid", "startPosition", "px", "sz", "side")]
    return -1 - zlib.crc32("|".join([shown(value) for value in named]).encode("utf-8", "replace"))


def _payment(body: Mapping[str, Any], ts_ns: int, channel: str) -> FundingPayment:
    return FundingPayment(
        coin=text(body, "coin", channel),
        ts_ns=ts_ns,
        # the field is called so on every dex, whatever its collateral
        amount=number(body, "usdc", channel),
        position_size=number(body, "szi", channel),
        rate=number(body, "fundingRate", channel),
    )


def _liquidation(body: Mapping[str, Any], channel: str) -> LiquidationNotice:
    return LiquidationNotice(
        liquidation_id=whole(body, "lid", channel),
        liquidator=optional_text(body, "liquidator", channel),
        liquidated_user=text(body, "liquidated_user", channel),
        notional=decimal(field(body, "liquidated_ntl_pos", channel), channel, "liquidated_ntl_pos"),
        account_value=decimal(
            field(body, "liquidated_account_value", channel),
            channel,
            "liquidated_account_value",
        ),
    )
