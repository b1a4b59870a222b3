"""Actions put together from items packed ahead equal those made whole, to the byte."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from hyperliquid_hip3 import actions
from hyperliquid_hip3 import batches
from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.coalescer import ActionClass
from hyperliquid_hip3.coalescer import CancelItem
from hyperliquid_hip3.coalescer import ModifyItem
from hyperliquid_hip3.coalescer import PlaceItem
from hyperliquid_hip3.coalescer import action_of
from hyperliquid_hip3.constants import TESTNET_URL
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.signing import Signer
from hyperliquid_hip3.signing import pack


KEY = SecretKey(bytes(range(1, 33)))
CLOID = "0x" + "5e" * 16
cloids = st.binary(min_size=16, max_size=16).map(lambda raw: f"0x{raw.hex()}")
amounts = st.decimals(min_value="0.00000001", max_value="999999", places=8)
assets = st.integers(0, 999_999)
oids = st.integers(0, 2**64 - 1)
orders = st.builds(
    OrderSpec,
    assets,
    st.booleans(),
    amounts,
    amounts,
    st.sampled_from(["Alo", "Ioc", "Gtc"]),
    st.booleans(),
    st.none() | cloids,
    # never infinite, as one of its own making might be
    st.none(),
)


def assert_same(made, whole):
    assert made.action == whole
    assert list(made.action) == list(whole)
    assert made.packed == pack(whole)


# 1 to 40 items: the length of a list takes one byte up to 15 and three beyond
@given(st.lists(orders, min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_orders_packed_ahead_are_the_order_action(specs):
    made = batches.batch_action("order", [batches.place_item(spec) for spec in specs])
    assert_same(made, actions.order_action(specs))


@given(st.lists(st.tuples(oids | cloids, orders), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_modifies_packed_ahead_are_the_batch_modify_action(pairs):
    made = batches.batch_action("batchModify", [batches.modify_item(*pair) for pair in pairs])
    assert_same(made, actions.batch_modify_action(pairs))


@given(st.lists(st.tuples(assets, cloids, oids), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_cancels_packed_ahead_are_the_fast_cancel_actions(rows):
    by_id = batches.batch_action("cancelByCloid", [batches.cancel_item(a, cloid) for a, cloid, _ in rows])
    by_number = batches.batch_action("cancel", [batches.cancel_item(a, cloid, oid) for a, cloid, oid in rows])

    assert_same(by_id, actions.cancel_by_cloid_action([(a, cloid) for a, cloid, _ in rows], fast=True))
    assert_same(by_number, actions.cancel_action([(a, oid) for a, _, oid in rows], fast=True))


def test_the_signature_is_the_same_whether_the_action_was_packed_ahead():
    signer = Signer(KEY, TESTNET_URL)
    spec = OrderSpec(150000, True, Decimal("690.5"), Decimal("0.1"), cloid=CLOID)
    made = batches.batch_action("batchModify", [batches.modify_item(3_000_000_000, spec)] * 30)

    ahead = signer.request(made.action, nonce=7, expires_after_ms=9, packed=made.packed)

    assert ahead == signer.request(made.action, nonce=7, expires_after_ms=9)


def test_an_item_that_cannot_be_sent_is_refused_when_it_is_made():
    with pytest.raises(SigningError, match="size"):
        batches.place_item(OrderSpec(150000, True, Decimal(690), Decimal(0)))
    with pytest.raises(SigningError, match="at most 8 decimals"):
        batches.modify_item(1, OrderSpec(150000, True, Decimal("690.123456789"), Decimal(1)))
    with pytest.raises(SigningError, match="at least one"):
        batches.batch_action("order", [])


def test_an_item_that_could_not_be_made_ahead_is_refused_when_it_is_to_be_sent():
    bad = OrderSpec(150000, True, Decimal("690.123456789"), Decimal(1))
    wire = batches.made_ahead(batches.modify_item, 1, bad)

    assert wire is None
    with pytest.raises(SigningError, match="at most 8 decimals"):
        action_of(ActionClass.MODIFY_ALO, [ModifyItem("a", 1, bad, wire)])


def test_items_without_a_wire_are_made_at_the_flush():
    spec = OrderSpec(150000, True, Decimal("690.5"), Decimal("0.1"), cloid=CLOID)

    placed = action_of(ActionClass.PLACE_ALO, [PlaceItem("a", spec)])
    modified = action_of(ActionClass.MODIFY_ALO, [ModifyItem("a", 9, spec)])
    canceled = action_of(ActionClass.CANCEL, [CancelItem("a", 150000, CLOID)])
    by_number = action_of(ActionClass.CANCEL_NUMBER, [CancelItem("a", 150000, "", 9)])

    assert_same(placed, actions.order_action([spec]))
    assert_same(modified, actions.batch_modify_action([(9, spec)]))
    assert_same(canceled, actions.cancel_by_cloid_action([(150000, CLOID)], fast=True))
    assert_same(by_number, actions.cancel_action([(150000, 9)], fast=True))
