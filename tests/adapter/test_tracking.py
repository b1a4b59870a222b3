"""One order, whatever the order, repetition or loss of the news about it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from hyperliquid_hip3.effects import Accepted
from hyperliquid_hip3.effects import Canceled
from hyperliquid_hip3.effects import CancelRejected
from hyperliquid_hip3.effects import FillBooked
from hyperliquid_hip3.effects import ModifyRejected
from hyperliquid_hip3.effects import Orphan
from hyperliquid_hip3.effects import Rejected
from hyperliquid_hip3.effects import StrayFill
from hyperliquid_hip3.effects import Updated
from hyperliquid_hip3.tracking import OrderTrack
from hyperliquid_hip3.tracking import Phase
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import UserFill


COIN = "km:US500"
CLOID = "0x" + "ab" * 16


def d(text):
    return Decimal(text)


def track(quantity="1", price="690.1", *, resting=True, reduce_only=False, sent=True):
    made = OrderTrack("O-1", CLOID, COIN, 1, d(price), d(quantity), resting, reduce_only)
    if sent:
        made.sent()
    return made


def order(oid=10, *, size="1", left=None, price="690.1"):
    return OpenOrder(
        coin=COIN,
        side=1,
        price=d(price),
        size=d(size if left is None else left),
        orig_size=d(size),
        oid=oid,
        cloid=CLOID,
        ts_ns=1,
        tif="Alo",
    )


def fill(trade_id=1, *, size="0.4", oid=10, price="690.1", ts_ns=5):
    return UserFill(
        coin=COIN,
        price=d(price),
        size=d(size),
        side=1,
        ts_ns=ts_ns,
        start_position=d("0"),
        direction="Open Long",
        closed_pnl=d("0"),
        oid=oid,
        is_taker=False,
        fee=d("0.01"),
        fee_token="USDH",
        trade_id=trade_id,
        cloid=CLOID,
    )


def kinds(effects):
    return [type(effect) for effect in effects]


def test_the_reply_and_the_stream_accept_an_order_once():
    made = track()

    first = made.placed(10, 1)
    second = made.updated(order(), "open", 2)

    assert first == [Accepted(10, 1)]
    assert second == []


def test_the_stream_may_accept_before_the_reply_does():
    made = track()

    first = made.updated(order(), "open", 1)
    second = made.placed(10, 2)

    assert kinds(first) == [Accepted]
    assert second == []


def test_a_fill_before_anything_else_is_told_after_the_acceptance():
    made = track()

    effects = made.fill(fill())

    assert effects == [Accepted(10, 5), FillBooked(fill(), 10)]
    assert made.placed(10, 6) == []


def test_a_repeated_fill_is_told_once():
    made = track()
    made.placed(10, 1)

    assert kinds(made.fill(fill())) == [FillBooked]
    assert made.fill(fill()) == []
    assert made.filled == d("0.4")


def test_an_order_filled_whole_is_over_without_a_cancel():
    made = track()
    made.placed(10, 1)

    effects = made.fill(fill(size="1")) + made.updated(order(left="0"), "filled", 6)

    assert kinds(effects) == [FillBooked]
    assert made.is_closed


def test_the_status_filled_waits_for_the_fills():
    made = track()
    made.placed(10, 1)

    assert made.updated(order(left="0"), "filled", 6) == []
    assert made.lacks_fills
    assert not made.is_closed
    assert kinds(made.fill(fill(size="1"))) == [FillBooked]
    assert made.is_closed


def test_a_cancel_with_a_fill_on_its_way_is_told_after_the_fill():
    made = track()
    made.placed(10, 1)

    early = made.updated(order(left="0.6"), "canceled", 6)
    late = made.fill(fill(size="0.4", ts_ns=5))

    assert early == []
    assert kinds(late) == [FillBooked, Canceled]
    assert late[1].reason == "canceled"


def test_a_venue_cancel_carries_its_reason():
    made = track()
    made.placed(10, 1)

    effects = made.updated(order(), "marginCanceled", 6)

    assert effects == [Canceled(10, "marginCanceled", 6)]


def test_a_refused_order_is_rejected_once():
    made = track()

    effects = made.refused("Insufficient margin to place order.", 3)

    assert effects == [Rejected("Insufficient margin to place order.", 3, False)]
    assert made.updated(order(), "perpMarginRejected", 4) == []
    assert made.refused("again", 5) == []


def test_a_refusal_of_the_stream_waits_for_the_reply_which_says_why():
    made = track()

    assert made.updated(order(), "badAloPxRejected", 3) == []
    assert made.refused("would have matched, bbo was 690@691", 4, is_post_only=True) == [
        Rejected("would have matched, bbo was 690@691", 4, True)
    ]


def test_a_refusal_of_the_stream_stands_when_the_reply_is_lost():
    made = track()
    made.updated(order(), "badAloPxRejected", 3)

    assert made.reply_lost(1_000, 4) == [Rejected("badAloPxRejected", 4, True)]


def test_a_refusal_of_the_stream_after_the_lost_reply_is_told_at_once():
    made = track()
    made.reply_lost(1_000, 3)

    assert kinds(made.updated(order(), "tickRejected", 4)) == [Rejected]


def test_an_ioc_that_found_nothing_is_canceled_not_rejected():
    assert kinds(track(resting=False).expired_at_once("no match", 3)) == [Canceled]


def test_the_rest_of_a_partly_filled_ioc_is_canceled_after_its_fills():
    made = track(resting=False)

    accepted = made.filled_now(10, d("0.4"), 3)
    after = made.fill(fill(size="0.4"))

    assert kinds(accepted) == [Accepted]
    assert kinds(after) == [FillBooked, Canceled]


def test_a_partly_filled_gtc_stays_open():
    made = track()

    made.filled_now(10, d("0.4"), 3)
    made.fill(fill(size="0.4"))

    assert made.phase is Phase.OPEN
    assert made.leaves == d("0.6")


class TestModify:
    def start(self, quantity="1", price="690.2"):
        made = track()
        made.placed(10, 1)
        made.start_modify(d(quantity), d(price)).is_sent = True
        return made

    def test_a_modify_gives_the_order_a_new_number(self):
        made = self.start()

        effects = made.placed(11, 2)

        assert effects == [Updated(11, d("1"), d("690.2"), 2, True)]
        assert made.updated(order(11, price="690.2"), "open", 3) == []

    def test_the_old_numbers_cancel_is_no_cancel_of_the_order(self):
        made = self.start()
        made.placed(11, 2)

        assert made.updated(order(10), "canceled", 3) == []
        assert made.phase is Phase.OPEN

    def test_the_old_numbers_cancel_may_come_first(self):
        made = self.start()

        assert made.updated(order(10), "canceled", 2) == []
        assert kinds(made.updated(order(11, price="690.2"), "open", 3)) == [Updated]
        assert made.placed(11, 4) == []

    def test_a_fill_of_the_new_number_may_come_first(self):
        made = self.start()

        effects = made.fill(fill(oid=11, price="690.2", ts_ns=3))

        assert kinds(effects) == [Updated, FillBooked]
        assert made.placed(11, 4) == []

    def test_a_fill_that_races_the_modify_raises_the_quantity_to_what_may_fill(self):
        made = self.start()
        made.placed(11, 2)

        effects = made.fill(fill(oid=10, size="0.3"))

        assert effects == [
            Updated(11, d("1.3"), d("690.2"), 5, False),
            FillBooked(fill(oid=10, size="0.3"), 11),
        ]
        assert made.excess == d("0.3")

    def test_the_wire_size_leaves_out_what_is_filled(self):
        made = track()
        made.placed(10, 1)
        made.fill(fill(size="0.4"))

        change = made.start_modify(d("1"), d("690.2"))
        change.is_sent = True
        effects = made.placed(11, 7)

        assert change.size == d("0.6")
        assert effects == [Updated(11, d("1.0"), d("690.2"), 7, True)]
        assert made.excess == 0

    def test_the_racing_fill_counts_while_the_modify_is_on_its_way(self):
        made = self.start()

        made.fill(fill(oid=10, size="0.3"))

        assert made.worst_case == d("1.3")

    def test_a_modify_refused_for_a_closed_order_asks_the_venue(self):
        made = self.start()

        effects = made.modify_refused("Cannot modify canceled or filled order.", 4, is_certain=False)

        assert kinds(effects) == [ModifyRejected]
        assert made.wants_query

    def test_a_modify_refused_after_the_fill_of_the_whole_order_tells_nothing(self):
        made = self.start()

        filled = made.fill(fill(size="1"))
        after = made.modify_refused("Cannot modify canceled or filled order.", 6, is_certain=False)

        assert kinds(filled) == [FillBooked]
        assert after == []
        assert made.is_closed

    def test_a_cancel_of_the_venue_during_a_refused_modify_is_told(self):
        made = self.start()

        assert made.updated(order(), "liquidatedCanceled", 3) == []
        effects = made.modify_refused("Cannot modify canceled or filled order.", 4, is_certain=False)

        assert effects == [Canceled(10, "liquidatedCanceled", 4)]

    def test_an_unknown_modify_that_did_not_land_is_rejected_only_after_its_time(self):
        made = self.start()
        made.modify.unknown_until_ms = 1_000

        assert made.confirmed(order(10), "open", 999, 5) == []
        assert kinds(made.confirmed(order(10), "open", 1_001, 6)) == [ModifyRejected]

    def test_an_unknown_modify_that_landed_is_found_by_the_new_number(self):
        made = self.start()
        made.modify.unknown_until_ms = 1_000

        effects = made.confirmed(order(11, price="690.2"), "open", 500, 5)

        assert kinds(effects) == [Updated]
        assert not made.is_unknown


def test_an_unknown_order_is_rejected_only_when_it_can_no_longer_arrive():
    made = track()
    made.unknown_until_ms = 1_000

    assert made.not_found(1_000, 5) == []
    assert kinds(made.not_found(1_001, 6)) == [Rejected]


def test_an_order_whose_reply_is_still_awaited_is_not_lost_by_a_query():
    assert track().not_found(10**15, 6) == []


def test_an_order_that_turns_up_after_it_was_given_up_must_be_canceled_once():
    made = track()
    made.unknown_until_ms = 1_000
    made.not_found(1_001, 6)

    assert made.updated(order(), "open", 7) == [Orphan(10)]
    assert made.updated(order(), "open", 8) == []


def test_a_fill_of_an_order_given_up_is_booked_beside_it():
    made = track()
    made.refused("no", 6)

    assert kinds(made.fill(fill())) == [StrayFill, Orphan]


def test_a_fill_after_the_cancel_is_still_told():
    made = track()
    made.placed(10, 1)
    made.updated(order(), "canceled", 2)

    # the engine takes an order with a late fill for open again
    assert kinds(made.fill(fill())) == [FillBooked, Canceled]


def test_a_cancel_answered_with_gone_is_no_refusal():
    made = track()
    made.placed(10, 1)
    made.start_cancel().is_sent = True

    assert made.cancel_refused("Order was never placed, already canceled, or filled.", 3, is_gone=True) == []
    assert made.wants_query
    assert kinds(made.confirmed(order(), "canceled", 10**15, 4)) == [Canceled]


def test_an_unknown_cancel_that_did_not_land_is_refused_after_its_time():
    made = track()
    made.placed(10, 1)
    cancel = made.start_cancel()
    cancel.is_sent = True
    cancel.unknown_until_ms = 1_000

    assert made.confirmed(order(), "open", 1_000, 4) == []
    assert kinds(made.confirmed(order(), "open", 1_001, 5)) == [CancelRejected]


def test_a_cancel_whose_answer_is_awaited_is_not_refused_by_a_query():
    made = track()
    made.placed(10, 1)
    made.start_cancel().is_sent = True

    assert made.confirmed(order(), "open", 10**15, 5) == []


def test_a_taken_back_order_was_never_sent():
    made = track(sent=False)

    assert made.removed_unsent("canceled before it was sent", 2) == [
        Canceled(None, "canceled before it was sent", 2)
    ]


def test_a_shrunk_reduce_only_order_lowers_the_quantity_and_lacks_no_fills():
    made = track(reduce_only=True)
    made.placed(10, 1)

    shrunk = made.updated(order(size="0.5", left="0.5"), "open", 2)
    gone = made.updated(order(size="0.5", left="0.2"), "reduceOnlyCanceled", 3)

    assert kinds(shrunk) == [Updated]
    assert made.quantity == d("0.5")
    assert kinds(gone) == [Canceled]


def test_a_list_of_all_fills_ends_the_wait_for_one_that_never_comes():
    made = track()
    made.placed(10, 1)
    made.updated(order(left="0.6"), "canceled", 2)

    assert kinds(made.fills_complete(9)) == [Canceled]


# every life of an order that was placed, partly filled, modified, filled again and canceled, heard in any order
NEWS = {
    "reply": lambda made: made.placed(10, 1),
    "open": lambda made: made.updated(order(), "open", 1),
    "fill": lambda made: made.fill(fill(1, size="0.25")),
    "open again": lambda made: made.updated(order(left="0.75"), "open", 2),
    "old gone": lambda made: made.updated(order(left="0.75"), "canceled", 3),
    "reply to modify": lambda made: made.placed(11, 3),
    "new open": lambda made: made.updated(order(11, price="690.2"), "open", 3),
    "new fill": lambda made: made.fill(fill(2, oid=11, size="0.5", price="690.2", ts_ns=6)),
    "new gone": lambda made: made.updated(order(11, left="0.5", price="690.2"), "canceled", 7),
}


@settings(max_examples=400, deadline=None)
@given(st.permutations(sorted(NEWS)), st.lists(st.sampled_from(sorted(NEWS)), max_size=6))
def test_any_order_of_the_news_ends_alike(names, repeats):
    # nothing is modified before something was heard of the order
    first = next(name for name in names if name in ("reply", "open", "fill", "open again"))
    made = track()
    effects = NEWS[first](made)
    made.start_modify(d("1"), d("690.2")).is_sent = True
    for name in [*names, *repeats]:
        effects += NEWS[name](made)

    told = kinds(effects)
    assert told.count(Accepted) == 1
    assert told.index(Accepted) == 0
    assert told.count(FillBooked) + told.count(StrayFill) == 2
    assert sum((e.fill.size for e in effects if isinstance(e, FillBooked)), d("0")) == made.filled
    assert made.is_closed
    assert effects[-1].__class__ is not FillBooked or made.filled >= made.quantity
    assert Rejected not in told


@pytest.mark.parametrize("status", ["open", "canceled", "filled", "marginCanceled", "badAloPxRejected"])
def test_saying_the_same_twice_tells_nothing_new(status):
    made = track()
    made.updated(order(), status, 1)

    assert made.updated(order(), status, 2) == []


# -- an order that lives long --------------------------------------------------------------------------


def modified(made, oid, *, size="1", price="690.1"):
    """Modify the order and enter its new number."""
    change = made.start_modify(d("1"), d(price))
    change.is_sent = True
    return made.placed(oid, oid)


def test_a_modify_leaves_out_what_a_status_said_was_filled_though_the_fill_has_not_come():
    made = track()
    made.placed(10, 1)

    made.updated(order(10, left="0.8"), "open", 2)

    assert made.filled == 0
    assert made.done == d("0.2")
    assert made.start_modify(d("1"), d("690.2")).size == d("0.8")


@pytest.mark.parametrize(
    "news",
    [
        lambda made: made.fill(fill()),
        lambda made: made.updated(order(10, left="0.8"), "open", 2),
        lambda made: made.filled_now(10, d("0.3"), 2),
        lambda made: made.fills_complete(2),
    ],
    ids=["a fill", "a status", "a reply", "a list of fills"],
)
def test_news_between_a_modify_and_its_sending_makes_its_size_be_looked_at_again(news):
    made = track()
    made.placed(10, 1)
    change = made.start_modify(d("1"), d("690.2"))
    assert change.news == made.news

    news(made)

    assert change.news != made.news


def test_an_order_modified_all_day_keeps_a_few_legs_and_every_fill():
    made = track()
    made.placed(10, 1)
    booked = d("0")
    for oid in range(11, 1_011):
        if oid % 100 == 0:
            effects = made.fill(fill(oid, size="0.01", oid=oid - 1))
            booked += sum(effect.fill.size for effect in effects if isinstance(effect, FillBooked))
        modified(made, oid)

    assert len(made.legs) <= 24
    assert made.oid == 1_010
    assert booked == made.filled == made.done == d("0.1")
    assert made.quantity == 1
    assert len(made.legs) + len(made.aside) == 1_001


def test_a_late_fill_of_a_leg_put_aside_is_booked_once_and_its_late_status_is_no_news():
    made = track()
    made.placed(10, 1)
    for oid in range(11, 60):
        modified(made, oid)
    assert 10 in made.aside

    assert kinds(made.fill(fill(1, size="0.3", oid=10))) == [Updated, FillBooked]
    assert made.fill(fill(1, size="0.3", oid=10)) == []
    assert made.updated(order(10, left="0.7"), "canceled", 70) == []
    assert made.filled == made.done == d("0.3")
    # the newest leg rests whole beside it
    assert made.excess == d("0.3")


def test_a_leg_that_lacks_a_fill_is_not_put_aside():
    made = track()
    made.placed(10, 1)
    made.updated(order(10, left="0.8"), "open", 2)
    for oid in range(11, 60):
        modified(made, oid)

    assert 10 in made.legs
    assert made.done == d("0.2")
    made.fill(fill(1, size="0.2", oid=10))
    modified(made, 60)
    assert made.done == made.filled == d("0.2")


@pytest.mark.parametrize("status", ["rejected", "badAloPxRejected", "perpMarginRejected"])
@pytest.mark.parametrize("is_reply_first", [True, False])
def test_a_refused_modify_leaves_the_old_order_whatever_the_venues_word_for_it(status, is_reply_first):
    t = track()
    t.placed(10, 1)
    t.start_modify(d("1"), d("690.2")).is_sent = True

    def reply():
        return t.modify_refused("no", 2, is_certain=False)

    def stream():
        return t.updated(order(11, price="690.2"), status, 2)

    news = (reply, stream) if is_reply_first else (stream, reply)
    effects = [effect for tell in news for effect in tell()]

    assert kinds(effects) == [ModifyRejected]
    assert not t.is_closed
    assert (t.oid, t.current.oid, t.current.final) == (10, 10, None)


def test_an_order_refused_without_a_reason_of_its_own_is_rejected_and_not_canceled():
    t = track()
    assert t.updated(order(), "rejected", 2) == []
    assert kinds(t.refused("no", 3)) == [Rejected]


def test_after_a_refused_modify_to_less_nothing_is_too_much():
    t = track("1")
    t.placed(10, 1)
    t.start_modify(d("0.7"), d("690.1"))
    t.start_modify(d("0.5"), d("690.1")).is_sent = True
    t.modify_refused("no", 2)
    assert (t.wanted, t.excess) == (d("1"), 0)
