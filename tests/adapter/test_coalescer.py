"""Commands of one cycle as few actions, in the venue's order."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.coalescer import ActionClass
from hyperliquid_hip3.coalescer import CancelItem
from hyperliquid_hip3.coalescer import Coalescer
from hyperliquid_hip3.coalescer import CycleCounts
from hyperliquid_hip3.coalescer import ModifyItem
from hyperliquid_hip3.coalescer import PlaceItem


MS = 1_000_000


def spec(tif="Alo", price="690"):
    return OrderSpec(150000, True, Decimal(price), Decimal("0.1"), tif)


def place(key, tif="Alo"):
    return PlaceItem(key, spec(tif))


def modify(key, tif="Alo", price="690"):
    return ModifyItem(key, 10, spec(tif, price))


def cancel(key):
    return CancelItem(key, 150000, f"0x{key}")


def made(**kwargs):
    return Coalescer(quiet_ns=MS, limit_ns=3 * MS, **kwargs)


def shape(batches):
    return [(batch.kind, [item.key for item in batch.items]) for batch in batches]


def test_a_mixed_cycle_goes_in_the_venues_order_one_action_a_class():
    queue = made()
    queue.place(place("a", "Ioc"), 0)
    queue.place(place("b"), 0)
    queue.modify(modify("c"), 0)
    queue.cancel(cancel("d"), 0)
    queue.place(place("e"), 0)

    assert shape(queue.drain()) == [
        (ActionClass.CANCEL, ["d"]),
        (ActionClass.MODIFY_ALO, ["c"]),
        (ActionClass.PLACE_ALO, ["b", "e"]),
        (ActionClass.PLACE_OTHER, ["a"]),
    ]
    assert queue.drain() == []


def test_post_only_orders_never_share_an_action_with_others():
    queue = made()
    for n, tif in enumerate(("Alo", "Gtc", "Ioc", "Alo")):
        queue.place(place(f"p{n}", tif), 0)
        queue.modify(modify(f"m{n}", tif), 0)

    for batch in queue.drain():
        tifs = {item.spec.tif == "Alo" for item in batch.items}
        assert len(tifs) == 1


def test_a_cancel_removes_a_queued_order_and_nothing_is_sent():
    queue = made()
    queue.place(place("a"), 0)

    removed = queue.cancel(cancel("a"), 1)

    assert removed.was_submit
    assert queue.drain() == []


def test_a_cancel_removes_a_queued_modify_and_goes_itself():
    queue = made()
    queue.modify(modify("a"), 0)

    removed = queue.cancel(cancel("a"), 1)

    assert not removed.was_submit
    assert shape(queue.drain()) == [(ActionClass.CANCEL, ["a"])]


def test_a_modify_after_a_cancel_of_the_same_order_is_dropped():
    queue = made()
    queue.cancel(cancel("a"), 0)
    queue.modify(modify("a"), 0)

    assert shape(queue.drain()) == [(ActionClass.CANCEL, ["a"])]


def test_the_last_modify_of_an_order_counts():
    queue = made()
    queue.modify(modify("a", price="690"), 0)
    queue.modify(modify("a", price="691"), 0)

    (batch,) = queue.drain()

    assert [item.spec.price for item in batch.items] == [Decimal(691)]


def test_a_modify_of_a_queued_order_changes_what_is_placed():
    queue = made()
    queue.place(place("a"), 0)

    assert queue.modify(modify("a", price="691"), 0)
    (batch,) = queue.drain()
    assert batch.kind is ActionClass.PLACE_ALO
    assert batch.items[0].spec.price == Decimal(691)


def test_two_hundred_and_one_orders_are_two_actions():
    queue = made()
    for n in range(201):
        queue.place(place(f"o{n}"), 0)

    assert [len(batch.items) for batch in queue.drain()] == [200, 1]


def test_an_adopted_order_is_canceled_by_its_number():
    queue = made()
    queue.cancel(CancelItem("x", 150000, "", 77), 0)
    queue.cancel(cancel("a"), 0)

    assert shape(queue.drain()) == [(ActionClass.CANCEL, ["a"]), (ActionClass.CANCEL_NUMBER, ["x"])]


def test_without_a_marker_commands_wait_for_quiet_and_not_longer_than_the_limit():
    queue = made()
    assert queue.due_at() is None
    queue.place(place("a"), 10)
    assert queue.due_at() == 10 + MS
    for n in range(1, 4):
        queue.place(place(f"b{n}"), 10 + n * MS // 2)
    assert queue.due_at() == 10 + 3 * MS // 2 + MS
    queue.place(place("c"), 10 + 29 * MS // 10)
    assert queue.due_at() == 10 + 3 * MS


def test_with_the_marker_commands_go_when_the_last_of_them_is_there():
    queue = made()
    queue.cancel(cancel("d"), 5)
    queue.mark_end(CycleCounts(submits=1, modifies=1, cancels=1))
    queue.place(place("a"), 6)
    assert queue.due_at() == 6 + MS
    queue.modify(modify("c"), 7)
    assert queue.due_at() == 0


def test_commands_answered_at_once_count_for_the_end_of_the_cycle():
    queue = made()
    queue.place(place("a"), 5)
    queue.mark_end(CycleCounts(submits=2))
    queue.count(submits=1)

    assert queue.due_at() == 0


def test_a_cancel_of_our_own_does_not_count_for_the_cycle():
    queue = made()
    queue.cancel(cancel("own"), 5, is_command=False)
    queue.mark_end(CycleCounts(cancels=1))

    assert not queue.is_complete


def test_a_cycle_that_left_nothing_to_send_does_not_count_for_the_next():
    queue = made()
    queue.mark_end(CycleCounts(submits=1))
    queue.count(submits=1)
    queue.reset_if_complete()
    queue.place(place("a"), 5)

    assert queue.due_at() == 5 + MS


commands = st.lists(
    st.tuples(st.sampled_from("pmc"), st.integers(0, 5), st.sampled_from(("Alo", "Gtc", "Ioc")))
)


@given(commands)
def test_no_order_is_both_canceled_and_touched_and_every_class_goes_once(given_commands):
    queue = made()
    for kind, number, tif in given_commands:
        key = f"o{number}"
        if kind == "p":
            queue.place(place(key, tif), 0)
        elif kind == "m":
            queue.modify(modify(key, tif), 0)
        else:
            queue.cancel(cancel(key), 0)

    batches = queue.drain()

    kinds = [batch.kind for batch in batches]
    assert kinds == sorted(set(kinds))
    canceled = {item.key for batch in batches if batch.kind is ActionClass.CANCEL for item in batch.items}
    modified = {
        item.key
        for batch in batches
        if batch.kind in (ActionClass.MODIFY_ALO, ActionClass.MODIFY_OTHER)
        for item in batch.items
    }
    assert not canceled & modified
    assert len(queue) == 0


@pytest.mark.parametrize("limit", [0, 1])
def test_the_limit_is_never_below_the_quiet_time(limit):
    queue = Coalescer(quiet_ns=5, limit_ns=limit)
    queue.place(place("a"), 0)

    assert queue.due_at() == 5
