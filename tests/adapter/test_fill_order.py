"""Fills of one moment, put in the order in which they happened by the positions they started from."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperliquid_hip3.fill_order import in_order
from hyperliquid_hip3.opening import opening_of
from hyperliquid_hip3.user_records import UserFill


COIN = "km:US500"
SIZES = st.integers(-5, 5).filter(bool)


def fill(start, change, *, ts=1, number=1, price="690", coin=COIN):
    return UserFill(
        coin=coin,
        price=Decimal(price),
        size=Decimal(abs(change)),
        side=1 if change > 0 else -1,
        ts_ns=ts,
        start_position=Decimal(start),
        direction="",
        closed_pnl=Decimal(0),
        oid=number,
        is_taker=True,
        fee=Decimal(0),
        fee_token="USDH",
        trade_id=number,
        hash="0x0",
        cloid=None,
        builder_fee=None,
        is_liquidation=False,
    )


def chain(changes, start=0, ts=1):
    """Fills that follow each other at one time."""
    rows, held = [], start
    for number, change in enumerate(changes):
        rows.append(fill(held, change, ts=ts, number=number))
        held += change
    return rows


def follows(rows, start):
    """Whether each fill starts where the one before it ended."""
    held = Decimal(start)
    for row in rows:
        if row.start_position != held:
            return False
        held += row.side * row.size
    return True


@given(st.lists(SIZES, min_size=1, max_size=12), st.integers(-5, 5), st.randoms(use_true_random=False))
def test_fills_of_one_time_follow_each_other_whatever_order_they_came_in(changes, start, dice):
    rows = chain(changes, start)
    mixed = dice.sample(rows, len(rows))
    found = in_order(mixed, {COIN: Decimal(start)})
    assert follows(found, start)
    assert sorted(found, key=lambda row: row.trade_id) == rows
    # where they end elsewhere than they began, nothing need be known of before
    if sum(changes):
        assert follows(in_order(mixed), start)


def test_an_opening_and_its_close_in_one_block_are_not_turned_round():
    opening, closing = chain([1, -1])
    assert in_order([closing, opening]) == [opening, closing]


def test_a_close_and_an_opening_anew_are_told_from_that_by_what_was_held_before():
    closing, opening = chain([-1, 1], start=1)
    assert in_order([opening, closing], {COIN: Decimal(1)}) == [closing, opening]
    assert in_order([*chain([1]), *(replace(row, ts_ns=2) for row in (opening, closing))]) == [
        *chain([1]),
        replace(closing, ts_ns=2),
        replace(opening, ts_ns=2),
    ]


def test_time_comes_first_and_coins_are_kept_apart():
    later = chain([2], start=1, ts=2)
    first = chain([1], ts=1)
    other = [fill(0, 3, ts=1, number=9, coin="km:USTECH")]
    assert in_order([*later, *other, *first]) == [*first, *other, *later]


def test_fills_with_a_gap_between_them_stay_as_they_came():
    rows = [fill(3, 1, number=1), fill(0, 1, number=2)]
    assert in_order(rows) == rows


@given(
    st.lists(st.tuples(SIZES, st.integers(60_000, 70_000)), max_size=8),
    SIZES,
    st.integers(60_000, 70_000),
)
def test_the_opening_gives_the_quantity_and_the_average_price_that_the_venue_has(trades, start, cents):
    held, average, rows = Decimal(start), Decimal(cents) / 100, []
    for number, (change, price) in enumerate(trades):
        px = Decimal(price) / 100
        rows.append(replace(fill(held, change, number=number), price=px))
        after = held + change
        if held == 0 or held * after < 0:
            average = px
        elif abs(after) > abs(held):
            average = (average * abs(held) + px * abs(change)) / abs(after)
        held = after
    opening = opening_of(held, average, rows)
    assert opening is not None
    assert opening.size == start
    turned = any(
        row.start_position == 0 or row.start_position * (row.start_position + row.side * row.size) < 0
        for row in rows
    )
    if not turned and held and all(row.start_position + row.side * row.size for row in rows):
        assert opening.price == pytest.approx(Decimal(cents) / 100, abs=Decimal("1e-6"))


def test_without_anything_before_the_fills_there_is_no_opening():
    assert opening_of(Decimal(2), Decimal(690), chain([1, 1])) is None


def test_fills_that_cannot_be_all_there_are_have_no_opening():
    rows = [replace(row, price=Decimal(10_000)) for row in chain([5], start=1)]
    assert opening_of(Decimal(6), Decimal(690), rows) is None
