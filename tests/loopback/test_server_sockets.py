"""The venue's WebSocket: acknowledgements, errors, limits, closes and what goes wrong on order."""

import json

import pytest
import websocket

from hyperliquid_loopback.limits import IpLimits
from tests.loopback.venue_scene import COIN
from tests.loopback.venue_scene import Socket
from tests.loopback.venue_scene import Trader
from tests.loopback.venue_scene import eventually
from tests.loopback.venue_scene import order
from tests.loopback.venue_scene import orders
from tests.loopback.venue_scene import still_venue


USER = "0x" + "Ab" * 20


@pytest.fixture
def venue():
    with still_venue() as running:
        yield running


@pytest.fixture
def client(venue):
    with Socket(venue) as opened:
        yield opened


@pytest.mark.parametrize(
    ("asked", "repeated"),
    [
        (
            {"type": "l2Book", "coin": COIN},
            {"type": "l2Book", "coin": COIN, "nSigFigs": None, "mantissa": None, "fast": False},
        ),
        (
            {"coin": COIN, "type": "l2Book", "fast": True, "nSigFigs": 5, "mantissa": 2},
            {"type": "l2Book", "coin": COIN, "nSigFigs": 5, "mantissa": 2, "fast": True},
        ),
        ({"type": "bbo", "coin": COIN}, {"type": "bbo", "coin": COIN}),
        (
            {"type": "candle", "coin": COIN, "interval": "1m"},
            {"type": "candle", "interval": "1m", "coin": COIN},
        ),
        (
            {"type": "userFills", "user": USER},
            {"type": "userFills", "user": USER.lower(), "aggregateByTime": False},
        ),
        ({"type": "allMids", "dex": "km"}, {"type": "allMids", "dex": "km"}),
        ({"type": "allMids"}, {"type": "allMids"}),
    ],
)
def test_an_acknowledgement_repeats_the_subscription_with_its_defaults(client, asked, repeated):
    client.send({"method": "subscribe", "subscription": asked})
    first = client.read()
    assert first == {
        "channel": "subscriptionResponse",
        "data": {"method": "subscribe", "subscription": repeated},
    }
    assert list(first["data"]["subscription"]) == list(repeated)


def test_the_second_of_the_same_subscription_is_an_error_in_the_venue_s_words(client):
    client.subscribe("l2Book", coin=COIN)
    client.send({"method": "subscribe", "subscription": {"type": "l2Book", "coin": COIN, "fast": False}})
    told = {"type": "l2Book", "coin": COIN, "nSigFigs": None, "mantissa": None, "fast": False}
    assert client.until("error") == "Already subscribed: " + json.dumps(told, separators=(",", ":"))


def test_fast_and_default_books_are_two_subscriptions(client):
    client.subscribe("l2Book", coin=COIN)
    client.subscribe("l2Book", coin=COIN, fast=True)
    client.settle()
    frames = [each["data"] for each in client.seen if each["channel"] == "l2Book"]
    assert [frame.get("fast") for frame in frames] == [None, True]


def test_an_unsubscribed_stream_is_silent_and_cannot_be_ended_twice(venue, client):
    client.subscribe("bbo", coin=COIN)
    client.send({"method": "unsubscribe", "subscription": {"type": "bbo", "coin": COIN}})
    assert client.until("subscriptionResponse") == {
        "method": "unsubscribe",
        "subscription": {"type": "bbo", "coin": COIN},
    }
    venue.flow.move(venue.flow.mid + 1)
    venue.advance(140)
    assert client.channels() == []
    client.send({"method": "unsubscribe", "subscription": {"type": "bbo", "coin": COIN}})
    assert client.until("error").startswith("Already unsubscribed: {")


@pytest.mark.parametrize(
    "sent",
    [
        "{",
        "[1]",
        '{"method": "shout"}',
        '{"method": "subscribe", "subscription": {"type": "noSuchType", "coin": "BTC"}}',
        '{"method": "subscribe", "subscription": {"type": "bbo", "coin": ["BTC", "ETH"]}}',
        '{"method": "subscribe", "subscription": {"type": "userFills", "user": "me"}}',
        '{"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC", "fast": 1}}',
        '{"method": "post", "request": {"type": "info", "payload": {"type": "meta"}}}',
        '{"method": "post", "id": 1, "request": {"type": "dance", "payload": {}}}',
    ],
)
def test_a_frame_that_cannot_be_read_is_repeated_and_the_socket_stays(client, sent):
    client.send(sent)
    assert client.until("error") == "Error parsing JSON into valid websocket request: " + sent
    assert client.channels() == []


@pytest.mark.parametrize(
    "subscription",
    [
        {"type": "bbo", "coin": "US500"},
        {"type": "bbo", "coin": "km:us500"},
        {"type": "trades", "coin": "km:NONE"},
        {"type": "l2Book", "coin": COIN, "nSigFigs": 6},
        {"type": "l2Book", "coin": COIN, "nSigFigs": 4, "mantissa": 2},
        {"type": "l2Book", "coin": COIN, "mantissa": 2},
        {"type": "l2Book", "coin": COIN, "nSigFigs": 5, "mantissa": 3},
    ],
)
def test_a_wrong_coin_or_rounding_cuts_the_socket_without_a_word(client, subscription):
    client.send({"method": "subscribe", "subscription": subscription})
    assert client.closed() is None
    assert client.seen == []


@pytest.mark.parametrize(
    "subscription",
    [{"type": "candle", "coin": COIN, "interval": "7m"}, {"type": "allMids", "dex": "none"}],
)
def test_an_unknown_interval_or_dex_is_an_invalid_subscription(client, subscription):
    client.send({"method": "subscribe", "subscription": subscription})
    assert client.until("error").startswith("Invalid subscription {")


def test_a_ping_is_answered_without_data(client):
    client.send({"method": "ping"})
    assert client.read() == {"channel": "pong"}


def test_a_socket_to_which_nothing_was_sent_for_a_minute_is_cut(venue, client):
    client.settle()
    venue.advance(59_990)
    client.send({"method": "ping"})
    assert client.read() == {"channel": "pong"}
    venue.advance(59_990)
    assert venue.socket_count == 1
    venue.advance(70)
    assert client.closed() is None
    eventually(lambda: venue.socket_count == 0)


def test_eleven_users_are_too_many(client):
    for number in range(10):
        client.subscribe("orderUpdates", user=f"0x{number:040x}")
    client.subscribe("userFills", user="0x" + "0" * 40)
    client.send({"method": "subscribe", "subscription": {"type": "orderUpdates", "user": "0x" + "9" * 40}})
    assert client.until("error") == "Cannot track more than 10 total users."


def test_the_limit_of_users_is_of_all_sockets_and_ends_with_a_socket(venue, client):
    with Socket(venue) as other:
        for number in range(10):
            other.subscribe("orderUpdates", user=f"0x{number:040x}")
        client.send({"method": "subscribe", "subscription": {"type": "orderUpdates", "user": USER}})
        assert client.until("error") == "Cannot track more than 10 total users."
    eventually(lambda: venue.socket_count == 1)
    assert client.subscribe("orderUpdates", user=USER)["user"] == USER.lower()


def test_the_eleventh_socket_is_refused(venue):
    opened = [Socket(venue) for _ in range(10)]
    with pytest.raises(websocket.WebSocketBadStatusException):
        Socket(venue)
    for each in opened:
        each.socket.close()
    eventually(lambda: venue.socket_count == 0)
    with Socket(venue) as again:
        assert again.channels() == []


def test_too_many_messages_within_a_minute_cut_the_socket():
    venue = still_venue()
    venue.limits = IpLimits(messages=3)
    with venue, Socket(venue) as client:
        for _ in range(3):
            client.settle()
        client.send({"method": "ping"})
        client.closed()
        assert client.seen == [{"channel": "pong"}] * 3


# posts


def test_an_info_post_carries_its_type_and_data(client):
    client.send(
        {"method": "post", "id": 7, "request": {"type": "info", "payload": {"type": "l2Book", "coin": "X"}}}
    )
    assert client.until("post") == {
        "id": 7,
        "response": {"type": "info", "payload": {"type": "l2Book", "data": None}},
    }


def test_a_post_that_cannot_be_answered_is_an_error_of_its_number(client):
    client.send({"method": "post", "id": 8, "request": {"type": "info", "payload": {"type": "noSuchType"}}})
    reply = client.until("post")
    assert (reply["id"], reply["response"]["type"]) == (8, "error")
    assert "Failed to deserialize" in reply["response"]["payload"]


def test_an_action_is_posted_and_answered_after_its_block(venue, client):
    trader = Trader(venue)
    payload = trader.request(orders(order()))
    client.send({"method": "post", "id": 9, "request": {"type": "action", "payload": payload}})
    client.settle()
    assert [each["channel"] for each in client.seen] == ["pong"]
    venue.advance(70)
    reply = client.until("post")
    assert reply["response"]["type"] == "action"
    assert "resting" in reply["response"]["payload"]["response"]["data"]["statuses"][0]


def test_the_hundred_and_first_post_in_flight_is_refused():
    venue = still_venue()
    venue.limits = IpLimits(posts=1)
    with venue, Socket(venue) as client:
        trader = Trader(venue)
        for number in (1, 2):
            payload = trader.request({"type": "noop"})
            client.send({"method": "post", "id": number, "request": {"type": "action", "payload": payload}})
        assert client.until("error") == "too many pending post requests id=2"
        venue.advance(70)
        assert client.until("post")["id"] == 1


def test_a_lost_acknowledgement_of_a_post_leaves_the_order_live(venue, client):
    trader = Trader(venue)
    venue.faults.set("lost_ack", only="order")
    payload = trader.request(orders(order()))
    client.send({"method": "post", "id": 1, "request": {"type": "action", "payload": payload}})
    client.settle()
    venue.advance(70)
    eventually(lambda: venue.faults.struck["lost_ack"] == 1)
    assert client.channels() == []
    assert len(venue.call(lambda exchange: exchange.open_orders(trader.address, "km"))) == 1


# faults of frames


def traded_frames(venue, client, count):
    """Let the market trade once a block and return the sizes in the order in which they came."""
    for number in range(1, count + 1):
        venue.flow.take(1, venue.flow.size / 1_000 * number)
        venue.advance(70)
    return traded_sizes(client)


def traded_sizes(client):
    return [each["data"][0]["sz"] for each in client.settle() if each["channel"] == "trades"]


@pytest.fixture
def trades(venue, client):
    client.subscribe("trades", coin=COIN)
    client.settle()
    return lambda count: traded_frames(venue, client, count)


def test_frames_come_in_order_without_a_fault(trades):
    assert trades(4) == ["0.01", "0.02", "0.03", "0.04"]


def test_a_dropped_frame_is_missing(venue, trades):
    venue.faults.set("ws_drop", only="trades", skip=1)
    assert trades(4) == ["0.01", "0.03", "0.04"]


def test_a_duplicated_frame_comes_twice(venue, trades):
    venue.faults.set("ws_duplicate", only="trades", skip=1)
    assert trades(3) == ["0.01", "0.02", "0.02", "0.03"]


def test_a_late_frame_is_overtaken_by_as_many_as_ordered(venue, trades):
    venue.faults.set("ws_late", only="trades", value=2)
    assert trades(4) == ["0.02", "0.03", "0.01", "0.04"]


def test_a_late_frame_that_nothing_overtakes_comes_when_the_fault_is_taken_back(venue, client, trades):
    venue.faults.set("ws_late", only="trades", times=2)
    assert trades(2) == []
    venue.faults.clear("ws_drop")
    venue.advance(70)
    assert traded_sizes(client) == []

    venue.faults.clear("ws_late")
    venue.advance(70)

    assert traded_sizes(client) == ["0.01", "0.02"]


def test_a_fault_of_one_channel_leaves_the_others(venue, client, trades):
    client.subscribe("bbo", coin=COIN)
    venue.faults.set("ws_drop", only="bbo", times=-1)
    venue.flow.move(venue.flow.mid + 1)
    assert trades(1) == ["0.01"]
    assert venue.faults.struck["ws_drop"] >= 1


def test_a_socket_is_cut_at_a_frame(venue, client, trades):
    venue.faults.set("ws_close", only="trades")
    venue.flow.take(1, venue.flow.size)
    venue.advance(70)
    assert client.closed() is None
    eventually(lambda: venue.socket_count == 0)


def test_all_sockets_are_cut_now(venue, client):
    with Socket(venue) as other:
        other.settle()
        client.settle()
        assert venue.cut_sockets() == 2
        assert (client.closed(), other.closed()) == (None, None)


def test_new_sockets_are_refused_as_often_as_ordered(venue):
    venue.faults.set("ws_refuse", times=2)
    for _ in range(2):
        with pytest.raises((websocket.WebSocketException, OSError)):
            Socket(venue)
    with Socket(venue) as client:
        assert client.channels() == []


def test_a_delayed_frame_comes_after_its_delay(venue, client):
    venue.faults.set("ws_delay", value=30)
    client.send({"method": "ping"})
    assert client.read() == {"channel": "pong"}
    assert venue.faults.struck["ws_delay"] == 1
