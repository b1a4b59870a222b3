"""What a socket is subscribed to, and which subscription a connection died of."""

import pytest

from hyperliquid_hip3.subscriptions import MAX_SUBSCRIPTIONS
from hyperliquid_hip3.subscriptions import Answer
from hyperliquid_hip3.subscriptions import Subscriptions
from hyperliquid_hip3.subscriptions import read_answer


BBO = {"type": "bbo", "coin": "km:US500"}
TRADES = {"type": "trades", "coin": "km:US500"}
BAD = {"type": "bbo", "coin": "km:us500"}
FILLS = {"type": "userFills", "user": "0xABCDEF0000000000000000000000000000000001"}
ACK_S = 3.0


def subscribe(wire: dict[str, str]) -> dict[str, object]:
    return {"method": "subscribe", "subscription": wire}


def messages(book: Subscriptions, now_s: float = 0.0) -> list[dict[str, object]]:
    sent = []
    while (message := book.next_message(now_s, ACK_S)) is not None:
        sent.append(message)
    return sent


def acknowledge(book: Subscriptions, *wires: dict[str, str]) -> None:
    for wire in wires:
        assert book.take(Answer("subscribed", dict(wire))) is None


def test_everything_is_sent_once_and_again_on_the_next_connection() -> None:
    book = Subscriptions()
    assert book.add(BBO)
    assert book.add(TRADES)
    assert not book.add(dict(BBO))
    assert messages(book) == [subscribe(BBO), subscribe(TRADES)]
    assert messages(book) == []
    book.start_over()
    assert messages(book) == [subscribe(BBO), subscribe(TRADES)]


def test_an_acknowledgement_has_defaults_filled_in_and_addresses_in_lower_case() -> None:
    book = Subscriptions()
    book.add(FILLS)
    messages(book)
    assert not book.is_settled
    acknowledge(book, {**FILLS, "user": FILLS["user"].lower(), "aggregateByTime": "false"})
    assert book.is_settled


def test_the_answer_to_a_fast_book_is_not_taken_for_the_default_book_of_the_coin() -> None:
    default = {"type": "l2Book", "coin": "km:US500"}
    fast = {**default, "fast": True}
    book = Subscriptions()
    book.add(default)
    book.add(fast)
    messages(book)
    book.take(Answer("subscribed", {**default, "nSigFigs": None, "mantissa": None, "fast": True}))
    by_wire = {str(entry.wire): entry.is_acknowledged for entry in book}
    assert by_wire == {str(default): False, str(fast): True}


def test_giving_up_a_feed_tells_the_venue_only_if_it_was_asked_for() -> None:
    book = Subscriptions()
    book.add(BBO)
    assert book.remove(BBO)
    assert not book.remove(BBO)
    assert messages(book) == []
    book.add(BBO)
    messages(book)
    book.remove(BBO)
    assert messages(book) == [{"method": "unsubscribe", "subscription": BBO}]
    book.start_over()
    assert messages(book) == []


def test_asking_again_for_what_was_given_up_first_gives_up() -> None:
    book = Subscriptions()
    book.add(BBO)
    messages(book)
    book.remove(BBO)
    book.add(BBO)
    assert messages(book) == [{"method": "unsubscribe", "subscription": BBO}, subscribe(BBO)]


def test_a_subscription_the_venue_calls_invalid_is_dropped_at_once() -> None:
    book = Subscriptions()
    book.add(BBO)
    book.add(BAD)
    messages(book)
    refused = book.take(Answer("invalid", dict(BAD)))
    assert refused is not None
    assert refused.wire == BAD
    assert [entry.wire for entry in book] == [BBO]


def test_the_only_doubtful_subscription_is_dropped_at_the_second_loss() -> None:
    book = Subscriptions()
    book.add(BBO)
    messages(book)
    acknowledge(book, BBO)
    book.add(BAD)
    messages(book, 10.0)
    assert book.blame(10.1, ACK_S) is None
    book.start_over()
    # the proven one first, then a sign of life, then the doubtful one
    assert messages(book, 11.0) == [subscribe(BBO)]
    acknowledge(book, BBO)
    assert messages(book, 11.1) == [{"method": "ping"}]
    assert messages(book, 11.1) == []
    book.take(Answer("pong"))
    assert messages(book, 11.2) == [subscribe(BAD)]
    suspect = book.blame(11.3, ACK_S)
    assert suspect is not None
    assert suspect.wire == BAD
    assert [entry.wire for entry in book] == [BBO]


def test_among_many_new_subscriptions_the_bad_one_is_found_one_at_a_time() -> None:
    good = [{"type": "bbo", "coin": f"km:C{i}"} for i in range(5)]
    book = Subscriptions()
    for wire in [*good[:2], BAD, *good[2:]]:
        book.add(wire)
    dropped = None
    for _connection in range(6):
        book.start_over()
        is_closed = False
        while not is_closed and (message := book.next_message(0.0, ACK_S)) is not None:
            if message["method"] == "ping":
                book.take(Answer("pong"))
            elif message["subscription"] == BAD:
                is_closed = True
            else:
                acknowledge(book, message["subscription"])
        if not is_closed:
            break
        dropped = dropped or book.blame(0.0, ACK_S)
    assert dropped is not None
    assert dropped.wire == BAD
    assert [entry.wire for entry in book] == good
    assert book.is_settled


def test_a_proven_subscription_is_never_dropped_however_often_the_connection_is_lost() -> None:
    book = Subscriptions()
    book.add(BBO)
    messages(book)
    acknowledge(book, BBO)
    for _ in range(10):
        book.start_over()
        messages(book)
        assert book.blame(0.0, ACK_S) is None
    assert [entry.wire for entry in book] == [BBO]


def test_a_connection_lost_before_its_sign_of_life_is_nobodys_fault() -> None:
    book = Subscriptions()
    book.add(BBO)
    messages(book)
    assert book.blame(0.0, ACK_S) is None
    for _ in range(10):
        book.start_over()
        assert messages(book) == [{"method": "ping"}]
        assert book.blame(0.0, ACK_S) is None
    assert [entry.wire for entry in book] == [BBO]


def test_a_late_loss_is_nobodys_fault() -> None:
    book = Subscriptions()
    book.add(BBO)
    for start_s in (0.0, 100.0, 200.0):
        book.start_over()
        messages(book, start_s)
        assert book.blame(start_s + ACK_S + 1, ACK_S) is None
    assert [entry.wire for entry in book] == [BBO]


def test_an_acknowledgement_clears_the_suspicion() -> None:
    book = Subscriptions()
    book.add(BBO)
    messages(book)
    book.blame(0.0, ACK_S)
    book.start_over()
    messages(book)
    book.take(Answer("pong"))
    assert messages(book) == [subscribe(BBO)]
    acknowledge(book, BBO)
    book.start_over()
    # no sign of life is asked for any more
    assert messages(book) == [subscribe(BBO)]


def test_what_is_not_acknowledged_in_time_is_named() -> None:
    book = Subscriptions()
    book.add(BBO)
    book.add(TRADES)
    messages(book, 0.0)
    acknowledge(book, BBO)
    assert book.unacknowledged(2.0, ACK_S) == ()
    assert book.unacknowledged(3.1, ACK_S) == (TRADES,)


def test_more_than_the_venue_allows_or_none_at_all_is_refused() -> None:
    book = Subscriptions()
    for i in range(MAX_SUBSCRIPTIONS):
        book.add({"type": "bbo", "coin": f"c{i}"})
    with pytest.raises(ValueError, match="1000 subscriptions"):
        book.add(BBO)
    with pytest.raises(ValueError, match="has a `type`"):
        book.add({"coin": "km:US500"})


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (b'{"channel":"pong"}', Answer("pong")),
        (
            b'{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"bbo"}}}',
            Answer("subscribed", {"type": "bbo"}),
        ),
        (
            b'{"channel":"subscriptionResponse","data":{"method":"unsubscribe","subscription":{"type":"bbo"}}}',
            None,
        ),
        (
            b'{"channel":"error","data":"Already subscribed: {\\"type\\":\\"bbo\\"}"}',
            Answer("subscribed", {"type": "bbo"}),
        ),
        (
            b'{"channel":"error","data":"Invalid subscription {\\"type\\":\\"bbo\\"}"}',
            Answer("invalid", {"type": "bbo"}),
        ),
        (b'{"channel":"error","data":"Cannot track more than 10 total users."}', None),
        (b'{"channel":"subscriptionResponse","data":{"method":"subscribe"}}', None),
        (b'{"channel":"error"', None),
        (b'["pong"]', None),
        (b'{"channel":"bbo","data":{"coin":"km:pong"}}', None),
        (b"\xff pong", None),
        (b'{"channel":"pong"}' + b" " * 3_000, None),
    ],
)
def test_only_answers_about_subscriptions_are_read(raw: bytes, answer: Answer | None) -> None:
    assert read_answer(raw) == answer
