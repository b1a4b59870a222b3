"""The envelope of the venue's messages: bytes to channel and data, exactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.frames import ChannelError
from hyperliquid_hip3.frames import Frame
from hyperliquid_hip3.frames import PostReply
from hyperliquid_hip3.frames import decode
from hyperliquid_hip3.frames import is_ack
from hyperliquid_hip3.frames import is_error
from hyperliquid_hip3.frames import is_pong
from hyperliquid_hip3.frames import parse_ack
from hyperliquid_hip3.frames import parse_channel_error
from hyperliquid_hip3.frames import parse_frame
from hyperliquid_hip3.frames import parse_post
from hyperliquid_hip3.parsing import parse_bbo
from hyperliquid_hip3.readers import read_frame


def test_a_frame_has_a_channel_and_its_data():
    assert parse_frame(b'{"channel":"bbo","data":{"coin":"km:US500"}}') == Frame("bbo", {"coin": "km:US500"})
    assert parse_frame('{"channel":"pong"}') == Frame("pong", None)
    assert parse_frame(b"Websocket connection established.") == Frame("greeting", None)


def test_pongs_errors_and_acknowledgements_are_told_apart():
    pong, error, ack = Frame("pong", None), Frame("error", "x"), Frame("subscriptionResponse", {})
    assert [is_pong(frame) for frame in (pong, error, ack)] == [True, False, False]
    assert [is_error(frame) for frame in (pong, error, ack)] == [False, True, False]
    assert [is_ack(frame) for frame in (pong, error, ack)] == [False, False, True]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"[]",
        b'"bbo"',
        b"null",
        b"{}",
        b'{"channel":null}',
        b'{"channel":""}',
        b'{"channel":7}',
        b'{"channel":"' + b"x" * 65 + b'"}',
        b'{"channel":"bbo"',
        b'{"channel":"bbo"} trailing',
        b'{"channel":"\xff"}',
        b'{"channel":"\\ud800"}',
        b'{"channel":"bbo","data":NaN}',
        b'{"channel":"bbo","data":1e99999999999999999999}',
        b'{"channel":"bbo","data":' + b"9" * 10_000 + b"}",
        b'{"channel":"bbo","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "\ud800",
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_what_is_no_frame_is_a_payload_error_in_a_short_sentence(raw):
    with pytest.raises(PayloadError) as caught:
        parse_frame(raw)
    assert len(str(caught.value)) < 300


def test_no_number_passes_through_a_float():
    data = decode(b'{"price":0.1000000000000000055511151231257827,"tid":123456789012345678901,"text":"0.10"}')
    assert data == {
        "price": Decimal("0.1000000000000000055511151231257827"),
        "tid": 123456789012345678901,
        "text": "0.10",
    }
    assert type(data["tid"]) is int


def test_a_price_sent_as_a_json_number_is_refused():
    raw = b'{"channel":"bbo","data":{"coin":"km:US500","time":1,"bbo":[{"px":690.01,"sz":"1","n":1},null]}}'
    with pytest.raises(PayloadError, match=r"`px` was the number 690\.01, not written as text"):
        parse_bbo(parse_frame(raw).data)


def test_a_channel_that_nothing_reads_is_left_alone():
    assert read_frame(Frame("pong", None)) is None
    assert read_frame(Frame("notification", {"notification": "hello"})) is None


def test_an_acknowledgement_carries_the_subscription_as_the_venue_understood_it():
    ack = parse_ack(
        {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "km:US500", "fast": False}}
    )
    assert ack.method == "subscribe"
    assert ack.subscription == {"type": "l2Book", "coin": "km:US500", "fast": False}


@pytest.mark.parametrize(
    ("text", "kind", "subscription"),
    [
        ('Already subscribed: {"type":"bbo","coin":"a"}', "already_subscribed", {"type": "bbo", "coin": "a"}),
        (
            'Already unsubscribed: {"type":"bbo","coin":"a"}',
            "already_unsubscribed",
            {"type": "bbo", "coin": "a"},
        ),
        ('Invalid subscription {"type":"bbo"}', "invalid_subscription", {"type": "bbo"}),
        (
            'Error parsing JSON into valid websocket request: {"method":"subscribe","subscription":{"type":"x"}}',
            "not_understood",
            {"type": "x"},
        ),
        ("Error parsing JSON into valid websocket request: {oops", "not_understood", None),
        ("Cannot track more than 10 total users.", "limit", None),
        ("Cannot subscribe to more than 1000 channels.", "limit", None),
        ("too many pending post requests id=4", "posts_pending", None),
        ("something new", "other", None),
    ],
)
def test_each_objection_of_the_venue_has_its_kind_and_subscription(text, kind, subscription):
    assert parse_channel_error(text) == ChannelError(kind, text, subscription)


def test_an_objection_that_is_no_text_is_refused():
    with pytest.raises(PayloadError, match="must be a text"):
        parse_channel_error({"text": "no"})


def test_a_post_reply_hands_its_payload_on():
    info = {"id": 7, "response": {"type": "info", "payload": {"type": "l2Book", "data": None}}}
    assert parse_post(info) == PostReply(7, "info", {"type": "l2Book", "data": None})
    assert parse_post({"id": 8, "response": {"type": "error", "payload": "429"}}) == PostReply(
        8, "error", "429"
    )
    with pytest.raises(PayloadError, match="`payload` of an error"):
        parse_post({"id": 8, "response": {"type": "error", "payload": {}}})


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_are_a_frame_or_a_payload_error(raw):
    try:
        frame = parse_frame(raw)
    except PayloadError:
        return
    assert frame.channel
