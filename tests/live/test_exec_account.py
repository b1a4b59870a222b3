"""The account and the position of a live node: exact from the start, unmoved by checks and failing queries, told after every change."""

import itertools
from contextlib import contextmanager
from decimal import Decimal

import pytest

from hyperliquid_loopback.types import FundingPaid
from tests.live.exec_session import BID
from tests.live.exec_session import BUY
from tests.live.exec_session import LOT
from tests.live.exec_session import MID
from tests.live.exec_session import SELL
from tests.live.exec_session import Trading
from tests.live.exec_session import claiming_desk
from tests.live.exec_session import quiet_venue
from tests.live.exec_session import session_with_desk
from tests.live.exec_session import settle
from tests.live.node import COIN
from tests.live.node import IID


pytestmark = pytest.mark.live_node
ASSET = 150_000
# sixty seconds of checks every three seconds are twenty
CHECKS = 20
CHECK_SECS = 0.25
# the first account is the unchecked node's
WALLETS = itertools.count(1)
RATIO_SLACK = 1e-6


def order_action(*orders):
    """An action of orders: side, price, size, time in force."""
    rows = [
        {"a": ASSET, "b": side > 0, "p": price, "s": size, "r": False, "t": {"limit": {"tif": tif}}}
        for side, price, size, tif in orders
    ]
    return {"type": "order", "orders": rows, "grouping": "na"}


@pytest.fixture(scope="module")
def venue():
    with quiet_venue() as venue:
        yield venue


@contextmanager
def node_that_found_a_position(venue, wallet, state, **engine):
    """A node of an account that came with a position at an odd average price and with resting orders."""
    trading = Trading(venue, venue.wallets[wallet].address)
    for shift, size in (("0", "0.3"), ("0.29", "0.4"), ("-0.41", "0.7")):
        trading.move(MID + Decimal(shift))
        wanted = trading.position() + Decimal(size)
        settle(lambda shift=shift: trading.best(1) == BID + Decimal(shift))
        trading.submit(order_action((1, "695", size, "Ioc")))
        settle(lambda wanted=wanted: trading.position() == wanted)
    trading.move(MID)
    trading.submit(order_action((1, "680.5", "0.2", "Gtc"), (-1, "701.25", "0.3", "Alo")))
    with session_with_desk(
        venue,
        wallet,
        state,
        desk=claiming_desk(),
        engine=engine,
        execution={"adopt_foreign": True, "http_timeout_secs": 0.5},
    ) as (session, desk):
        yield session, desk


@pytest.fixture(scope="module")
def held(venue, tmp_path_factory):
    """A node that checks nothing by itself."""
    with node_that_found_a_position(venue, 0, tmp_path_factory.mktemp("state")) as live:
        yield live


@pytest.fixture
def checked(venue, tmp_path):
    """A node that checks its position all the time: one for each test, since checks soon use up a minute's request weight."""
    engine = {"position_check_interval_secs": CHECK_SECS, "position_check_threshold_ms": 0}
    with node_that_found_a_position(venue, next(WALLETS), tmp_path, **engine) as live:
        yield live


@contextmanager
def counted_checks(session):
    """Count the position checks: how many began, and how many failed."""
    client = session.client
    ask = client.generate_position_status_reports
    counts = {"began": 0, "done": 0, "failed": 0}

    async def counting(command):
        counts["began"] += 1
        try:
            found = await ask(command)
        except Exception:
            counts["failed"] += 1
            raise
        counts["done"] += 1
        return found

    client.generate_position_status_reports = counting
    try:
        yield counts
    finally:
        client.generate_position_status_reports = ask


def booked(session):
    """Every fill that the cache holds."""
    return [
        event
        for order in session.cache.orders(instrument_id=IID)
        for event in order.events
        if type(event).__name__ == "OrderFilled"
    ]


def test_a_start_with_a_position_and_resting_orders_finds_them_exactly(held):
    session, _ = held
    (position,) = session.cache.positions_open(instrument_id=IID)
    assert position.signed_decimal_qty() == session.trading.position() == Decimal("1.4")
    assert Decimal(str(position.avg_px_open)) == session.trading.entry_price()
    # no price of a tick: an average rounded to one would not be the venue's
    assert session.trading.entry_price() % Decimal("0.01") != 0
    rows = {row["oid"]: row for row in session.trading.open_orders()}
    orders = {int(order.venue_order_id.value): order for order in session.cache.orders_open()}
    assert set(orders) == set(rows)
    for oid, row in rows.items():
        order = orders[oid]
        assert (order.price.as_decimal(), order.leaves_qty.as_decimal()) == (
            Decimal(row["limitPx"]),
            Decimal(row["sz"]),
        )
        assert order.side == (BUY if row["side"] == "B" else SELL)
        assert order.is_post_only == (row["tif"] == "Alo")
    assert session.node.portfolio.net_position(IID) == Decimal("1.4")


def venue_ratios(trading):
    """The account's margin ratios by the venue's own books: with resting orders, and of the position alone."""

    def read(exchange):
        holder = exchange.accounts.holders[trading.address]
        account = exchange.accounts.account(holder, "km")
        return float(account.margin_ratio), float(account.position_margin_ratio)

    return trading.venue.call(read)


def assert_told(session, since, what):
    """An account state came after a change, with the venue's ratios."""

    def agrees():
        info = session.info()
        ratio, position_ratio = venue_ratios(session.trading)
        return (
            len(session.account.events) > since
            and abs(info["margin_ratio"] - ratio) < RATIO_SLACK
            and abs(info["position_margin_ratio"] - position_ratio) < RATIO_SLACK
        )

    session.wait(agrees, what)
    summary = session.trading.state()["marginSummary"]
    assert Decimal(session.info()["equity"]) == Decimal(summary["accountValue"])
    used, value = (Decimal(summary[name]) for name in ("totalMarginUsed", "accountValue"))
    assert session.info()["position_margin_ratio"] == pytest.approx(float(used / value), abs=RATIO_SLACK)


def test_the_account_is_told_after_every_fill_with_the_venue_s_margin_ratio(held):
    session, desk = held
    ratios = set()
    for side, size in ((BUY, "0.5"), (BUY, "1.5"), (SELL, "1"), (SELL, "1")):
        since = len(session.account.events)
        order = session.do(lambda side=side, size=size: desk.market(side, Decimal(size)))
        session.wait(lambda order=order: order.is_closed, "filled")
        assert_told(session, since, f"the account after {side} {size}")
        ratios.add(session.info()["margin_ratio"])
    assert len(ratios) >= 3
    assert session.info()["margin_ratio"] > session.info()["position_margin_ratio"] > 0


def test_the_account_is_told_after_funding_with_what_was_paid(held):
    session, _ = held
    trading = session.trading
    since, before = len(session.account.events), Decimal(session.info()["funding"])

    def fund(exchange):
        rows = exchange.accounts.fund(COIN, MID, Decimal("0.001"), trading.venue.now_ms)
        exchange.core.events += [FundingPaid(user, row) for user, row in rows]
        return {user: Decimal(row["usdc"]) for user, row in rows}

    paid = trading.venue.call(fund)[trading.address]
    assert paid < 0
    session.wait(
        lambda: Decimal(session.info()["funding"]) == before + paid, "the payment is in the account's sum"
    )
    assert_told(session, since, "the account after funding")


SOAK = pytest.mark.soak


@pytest.mark.parametrize(
    ("fault", "only"),
    [
        ("lost_ack", "clearinghouseState"),
        ("bad_gateway", "clearinghouseState"),
        pytest.param("drop", "clearinghouseState", marks=SOAK),
        pytest.param("bad_json", "clearinghouseState", marks=SOAK),
        pytest.param("bad_gateway", "userFillsByTime", marks=SOAK),
        pytest.param("lost_ack", "userFillsByTime", marks=SOAK),
    ],
)
def test_a_failing_query_changes_no_position(checked, fault, only):
    session, _ = checked
    before = booked(session)
    faults = session.trading.venue.faults
    with counted_checks(session) as counts:
        faults.set(fault, times=-1, only=only)
        try:
            session.wait(lambda: counts["failed"] >= 2, "two checks failed", seconds=50)
        finally:
            faults.clear()
        (position,) = session.cache.positions_open(instrument_id=IID)
        assert position.signed_decimal_qty() == session.trading.position() == Decimal("1.4")
        done = counts["done"]
        session.wait(lambda: counts["done"] > done, "checks are answered again", seconds=60)
    assert booked(session) == before
    assert len(session.cache.orders_open()) == 2


def test_sixty_seconds_of_position_checks_make_no_fill_up(checked):
    session, desk = checked
    before = booked(session)
    with counted_checks(session) as counts:
        session.wait(lambda: counts["done"] >= CHECKS, "twenty checks were answered", seconds=60)
    assert counts["failed"] == 0
    assert booked(session) == before
    # and while it trades, no check books a fill a second time
    with counted_checks(session) as counts:
        orders = [session.do(lambda side=side: desk.market(side, LOT)) for side in (BUY, SELL, BUY, SELL)]
        session.wait(lambda: all(order.is_closed for order in orders), "all filled")
        session.wait(lambda: counts["done"] >= 5, "five more checks", seconds=60)
    assert len(booked(session)) == len(before) + 4
    (position,) = session.cache.positions_open(instrument_id=IID)
    assert position.signed_decimal_qty() == session.trading.position() == Decimal("1.4")
