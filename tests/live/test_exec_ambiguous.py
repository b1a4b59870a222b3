"""Nautilus's execution tests 74 to 77 of a live node: requests without an answer, which reject nothing."""

from decimal import Decimal

import pytest
from nautilus_trader.model.enums import OrderStatus

from tests.live.exec_session import BID
from tests.live.exec_session import BUY
from tests.live.exec_session import names
from tests.live.exec_session import quiet_venue
from tests.live.exec_session import session_with_desk


pytestmark = pytest.mark.live_node
OFFSET = Decimal(5)
STEP = Decimal(1)
REJECTIONS = {"Rejected", "CancelRejected", "ModifyRejected"}
# how the request fails, and whether the venue had taken the action by then
FAULTS = {
    "connection_cut_before": ("drop", False),
    "connection_cut_after": ("drop_after", True),
    "no_answer": ("lost_ack", True),
    "bad_gateway": ("bad_gateway", False),
    "unreadable_answer": ("bad_json", True),
}
# an action that was never taken is waited for until its own expiry, which takes time
SLOW = frozenset({"connection_cut_before"})
CASES = [
    pytest.param(*case, id=name, marks=pytest.mark.soak if name in SLOW else ())
    for name, case in FAULTS.items()
]


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    # the shortest life of an action, so that the ones never taken are soon void
    with (
        quiet_venue() as venue,
        session_with_desk(venue, 0, state, execution={"expires_after_ms": 1_500}) as (session, desk),
    ):
        yield session, desk


@pytest.fixture
def session(live):
    session, desk = live
    session.tidy(desk)
    yield session
    session.tidy(desk)


@pytest.fixture
def desk(live):
    return live[1]


def spoil(session, name, kind):
    """Order a fault of one kind of action, and return a condition: it struck."""
    faults = session.trading.venue.faults
    struck = faults.struck[name]
    faults.set(name, only=kind)
    return lambda: faults.struck[name] > struck


def asked(session, since):
    """Whether the venue was asked about an order."""
    return any(request.get("type") == "orderStatus" for request in session.trading.venue.requests[since:])


def rejections(order):
    """The rejections that an order was told of."""
    return REJECTIONS & set(names(order))


def opened(session, desk):
    """An order that rests."""
    order = session.do(lambda: desk.place(BUY, BID - OFFSET))
    session.wait(lambda: order.is_open, "open")
    return order


@pytest.mark.parametrize(("fault", "is_taken"), CASES)
def test_e74_a_submit_without_an_answer_is_in_flight_until_the_venue_says(session, desk, fault, is_taken):
    struck, since = spoil(session, fault, "order"), session.trading.mark()
    order = session.do(lambda: desk.place(BUY, BID - OFFSET))
    session.wait(struck, "the request failed")
    if is_taken:
        session.wait(lambda: order.is_open, "found at the venue")
        assert not rejections(order)
        assert [int(order.venue_order_id.value)] == [row["oid"] for row in session.trading.open_orders()]
        return
    # the venue does not know it, and that says nothing while the action may still be taken
    session.wait(lambda: asked(session, since), "asked about")
    assert order.status == OrderStatus.SUBMITTED
    assert names(order) == ["Initialized", "Submitted"]
    session.wait(lambda: order.is_closed, "void and unknown to the venue: it is not there")
    assert session.trading.open_orders() == []


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, (fault, _) in FAULTS.items()])
def test_e75_a_cancel_without_an_answer_is_never_rejected(session, desk, fault):
    order = opened(session, desk)
    struck = spoil(session, fault, "cancelByCloid")
    session.do(lambda: desk.cancel_order(order))
    session.wait(struck, "the request failed")
    # an order is over only once: a cancel that was not taken is sent again, and no doubt is waited for
    session.wait(lambda: order.is_closed, "the venue says that it is canceled")
    assert order.status == OrderStatus.CANCELED
    assert session.trading.open_orders() == []
    assert "CancelRejected" not in names(order)


@pytest.mark.parametrize(("fault", "is_taken"), CASES)
def test_e76_a_modify_without_an_answer_is_never_rejected(session, desk, fault, is_taken):
    order = opened(session, desk)
    struck, since = spoil(session, fault, "batchModify"), session.trading.mark()
    session.do(lambda: desk.change(order, price=BID - OFFSET - STEP))
    session.wait(struck, "the request failed")
    if is_taken:
        session.wait(lambda: order.price.as_decimal() == BID - OFFSET - STEP, "the venue says the new price")
        assert not rejections(order)
    else:
        session.wait(lambda: asked(session, since), "asked about")
        assert order.status == OrderStatus.PENDING_UPDATE
        assert not rejections(order)
    session.wait(lambda: order.status == OrderStatus.ACCEPTED, "resolved")
    (row,) = session.trading.open_orders()
    assert Decimal(row["limitPx"]) == order.price.as_decimal()
    assert row["oid"] == int(order.venue_order_id.value)


@pytest.mark.parametrize(
    ("fault", "is_taken"), [case for case in CASES if case.id in ("no_answer", "bad_gateway")]
)
def test_e77_a_whole_batch_without_an_answer_rejects_none_of_its_orders(session, desk, fault, is_taken):
    struck, since = spoil(session, fault, "order"), session.trading.mark()

    def place():
        orders = [desk.limit(BUY, BID - OFFSET - n * STEP) for n in range(3)]
        desk.submit_order_list(desk.order_factory.create_list(orders))
        return orders

    orders = session.do(place)
    session.wait(struck, "the request failed")
    if is_taken:
        session.wait(lambda: all(order.is_open for order in orders), "all are found at the venue")
        assert not any(rejections(order) for order in orders)
        assert len(session.trading.open_orders()) == 3
        return
    session.wait(lambda: asked(session, since), "asked about")
    assert [order.status for order in orders] == [OrderStatus.SUBMITTED] * 3
    session.wait(lambda: all(order.is_closed for order in orders), "void, and unknown to the venue")
    assert session.trading.open_orders() == []
