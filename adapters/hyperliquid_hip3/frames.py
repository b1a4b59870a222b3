"""
The envelope of the venue's messages: from the bytes of a frame or reply to a channel and its decoded data.

Nothing passes through a float: whole numbers stay whole numbers whatever their length, numbers with a point become ``Decimal``, which the
readers refuse where the venue writes texts. See https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Final
from typing import NamedTuple

import msgspec

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.fields import field
from hyperliquid_hip3.fields import inner
from hyperliquid_hip3.fields import mapping
from hyperliquid_hip3.fields import shown
from hyperliquid_hip3.fields import text
from hyperliquid_hip3.fields import whole


PONG: Final = "pong"
ERROR: Final = "error"
ACK: Final = "subscriptionResponse"
POST: Final = "post"
GREETING: Final = "greeting"
# an older server said so, as plain text, before anything else; the official client still expects it
GREETING_TEXT: Final = b"Websocket connection established."
LONGEST_CHANNEL: Final = 64
DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)

ALREADY_SUBSCRIBED: Final = "Already subscribed: "
ALREADY_UNSUBSCRIBED: Final = "Already unsubscribed: "
INVALID_SUBSCRIPTION: Final = "Invalid subscription "
NOT_UNDERSTOOD: Final = "Error parsing JSON into valid websocket request: "
POSTS_PENDING: Final = "too many pending post requests"
LIMITS: Final = ("Cannot track more than", "Cannot subscribe to more than")


class Frame(NamedTuple):
    """One message: its channel and decoded data, None where it carries none."""

    channel: str
    data: Any


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The venue took a subscription up or down; ``subscription`` is as it understood it, defaults filled in."""

    method: str
    subscription: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChannelError:
    """
    What the venue objects to; the socket survives it.

    ``kind`` is one of ``already_subscribed``, ``already_unsubscribed``, ``invalid_subscription``, ``not_understood``, ``limit``,
    ``posts_pending`` and ``other``. ``subscription`` is the one it names, None where it names none that can be read.
    """

    kind: str
    text: str
    subscription: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PostReply:
    """The answer to a request sent over the socket: ``kind`` is ``info``, ``action`` or ``error``."""

    request_id: int
    kind: str
    payload: Any


def decode(raw: bytes | str, channel: str = "frame") -> Any:
    """
    Return the decoded JSON of a frame or reply.

    Parameters
    ----------
    raw : bytes or str
        The text as received.
    channel : str, default "frame"
        What an error names, for example the request type of a reply.

    Raises
    ------
    PayloadError
        If it is not JSON, or nested so deep that it cannot be read.

    """
    try:
        return DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, InvalidOperation) as e:
        raise PayloadError(channel, f"not JSON, {len(raw)} long: {shown(str(e))}") from e
    except RecursionError:
        # not chained: the chain would carry hundreds of frames
        raise PayloadError(channel, f"nested too deep, {len(raw)} long") from None


def parse_frame(raw: bytes | str) -> Frame:
    """
    Return the channel and data of a frame.

    Raises
    ------
    PayloadError
        If it is not JSON or names no channel.

    """
    if raw in (GREETING_TEXT, GREETING_TEXT.decode()):
        return Frame(GREETING, None)
    body = decode(raw)
    if type(body) is not dict:
        raise PayloadError("frame", f"expected an object, got {type(body).__name__}")
    channel = body.get("channel")
    if type(channel) is not str or not 0 < len(channel) <= LONGEST_CHANNEL:
        raise PayloadError("frame", f"`channel` was {shown(channel)}, must be a short text")
    return Frame(channel, body.get("data"))


def is_pong(frame: Frame) -> bool:
    """Return whether the frame answers a ping."""
    return frame.channel == PONG


def is_error(frame: Frame) -> bool:
    """Return whether the frame is an objection of the venue."""
    return frame.channel == ERROR


def is_ack(frame: Frame) -> bool:
    """Return whether the frame acknowledges a subscription or its end."""
    return frame.channel == ACK


def parse_ack(data: Any) -> Acknowledgement:
    """
    Return what a ``subscriptionResponse`` message acknowledges.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    body = mapping(data, ACK)
    return Acknowledgement(
        method=text(body, "method", ACK), subscription=dict(inner(body, "subscription", ACK))
    )


def parse_channel_error(data: Any) -> ChannelError:
    """
    Return what an ``error`` message objects to.

    Raises
    ------
    PayloadError
        If it is not a text.

    """
    if not isinstance(data, str):
        raise PayloadError(ERROR, f"the message was {shown(data)}, must be a text")
    for prefix, kind in (
        (ALREADY_SUBSCRIBED, "already_subscribed"),
        (ALREADY_UNSUBSCRIBED, "already_unsubscribed"),
        (INVALID_SUBSCRIPTION, "invalid_subscription"),
        (NOT_UNDERSTOOD, "not_understood"),
    ):
        if data.startswith(prefix):
            return ChannelError(kind, data, _named_subscription(data[len(prefix) :]))
    if data.startswith(POSTS_PENDING):
        return ChannelError("posts_pending", data)
    if data.startswith(LIMITS):
        return ChannelError("limit", data)
    return ChannelError("other", data)


def parse_post(data: Any) -> PostReply:
    """
    Return the answer to a request sent over the socket.

    An ``action``'s payload is what :func:`~hyperliquid_hip3.replies.parse_exchange_reply` reads; an ``info``'s is an object with ``type``
    and ``data``; an ``error``'s is a text.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    body = mapping(data, POST)
    response = inner(body, "response", POST)
    kind = text(response, "type", POST)
    payload = field(response, "payload", POST)
    if kind == "error" and not isinstance(payload, str):
        raise PayloadError(POST, f"`payload` of an error was {shown(payload)}, must be a text")
    return PostReply(request_id=whole(body, "id", POST), kind=kind, payload=payload)


def _named_subscription(written: str) -> dict[str, Any] | None:
    try:
        body = decode(written)
    except PayloadError:
        return None
    if isinstance(body, Mapping) and isinstance(body.get("subscription"), Mapping):
        body = body["subscription"]
    return dict(body) if isinstance(body, Mapping) else None
