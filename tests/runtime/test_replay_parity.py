"""The comparison of two runs, on cases small enough to count by hand."""

import pytest

from amm500_nautilus.report.parity import CANCEL
from amm500_nautilus.report.parity import MISSING
from amm500_nautilus.report.parity import MODIFY
from amm500_nautilus.report.parity import PLACE
from amm500_nautilus.report.parity import PRICE
from amm500_nautilus.report.parity import PRICE_AND_SIZE
from amm500_nautilus.report.parity import SIZE
from amm500_nautilus.report.parity import SURPLUS
from amm500_nautilus.report.parity import UNEXPLAINED
from amm500_nautilus.report.parity import FillRow
from amm500_nautilus.report.parity import OrderParity
from amm500_nautilus.report.parity import OrderRow
from amm500_nautilus.report.parity import compare_fills
from amm500_nautilus.report.parity import pnl_of
from amm500_nautilus.runtime.replay.closed_loop import ANSWERS
from amm500_nautilus.runtime.replay.closed_loop import BOOK
from amm500_nautilus.runtime.replay.closed_loop import EQUITY
from amm500_nautilus.runtime.replay.closed_loop import FILLS
from amm500_nautilus.runtime.replay.closed_loop import MODELS
from amm500_nautilus.runtime.replay.closed_loop import ONLY_ONE
from amm500_nautilus.runtime.replay.closed_loop import RESTING
from amm500_nautilus.runtime.replay.closed_loop import TOUCH
from amm500_nautilus.runtime.replay.closed_loop import cause_of
from amm500_nautilus.runtime.replay.closed_loop import compare_decisions
from amm500_nautilus.runtime.replay.decisions import Decided
from amm500_nautilus.runtime.replay.decisions import Seen


BID = OrderRow(PLACE, 1, 68_990, 100, 0)
ASK = OrderRow(PLACE, -1, 69_010, 100, 0)


def test_equal_orders_in_another_sequence_are_equal() -> None:
    parity = OrderParity()
    assert parity.add(1, [BID, ASK], [ASK, BID])
    assert (parity.equal, parity.share, parity.differences) == (2, 1.0, [])


def test_two_orders_of_one_price_are_matched_once_each() -> None:
    parity = OrderParity()
    assert not parity.add(1, [BID], [BID, BID])
    assert parity.equal == 1
    assert parity.share == 0.5
    assert [each.what for each in parity.differences] == [SURPLUS]


@pytest.mark.parametrize(
    ("replayed", "what"),
    [
        (BID._replace(ticks=68_991), PRICE),
        (BID._replace(lots=99), SIZE),
        (BID._replace(ticks=68_991, lots=99), PRICE_AND_SIZE),
        (BID._replace(side=-1), MISSING),
        (BID._replace(ticks=68_991, level=3), MISSING),
    ],
)
def test_one_tick_one_lot_or_the_other_side_is_a_difference(replayed: OrderRow, what: str) -> None:
    parity = OrderParity()
    parity.add(7, [BID, ASK], [replayed, ASK], "known")
    assert parity.equal == 1
    assert parity.differences[0].what == what
    assert parity.differences[0].recorded == BID
    assert {each.cause for each in parity.differences} == {"known"}


def test_the_share_counts_orders_against_the_larger_run_and_leaves_cancels_apart() -> None:
    parity = OrderParity()
    gone = OrderRow(CANCEL, 1, 68_990, 100, 0)
    parity.add(1, [BID, gone], [BID, ASK, gone])
    assert (parity.recorded, parity.replayed, parity.equal) == (1, 2, 1)
    assert parity.share == 0.5
    assert (parity.recorded_cancels, parity.equal_cancels) == (1, 1)


def test_a_cancel_is_not_the_order_that_it_takes_away() -> None:
    parity = OrderParity()
    parity.add(1, [BID], [OrderRow(CANCEL, *BID[1:])])
    assert parity.equal == 0
    assert sorted(each.what for each in parity.differences) == [MISSING, SURPLUS]


def test_a_modify_to_the_same_terms_is_the_same_order_as_a_place() -> None:
    parity = OrderParity()
    assert parity.add(1, [BID], [BID._replace(kind=MODIFY)])


def test_a_difference_without_a_cause_is_counted_as_unexplained() -> None:
    parity = OrderParity()
    parity.add(1, [BID], [])
    parity.add(2, [ASK], [], "a cause")
    assert parity.unexplained == 1
    assert parity.causes == {UNEXPLAINED: 1, "a cause": 1}


def fill(order: str, lots: int, *, side: int = 1, ticks: int = 100, fee: float = 0.0) -> FillRow:
    return FillRow(1, order, side, ticks, lots, fee)


def test_fills_are_compared_by_order_however_many_pieces_they_come_in() -> None:
    parity = compare_fills([fill("a", 3), fill("a", 7)], [fill("a", 10)])
    assert (parity.recorded, parity.replayed) == (2, 1)
    assert (parity.gap, parity.overlap, parity.orders) == (0.0, 1.0, [])


def test_equal_totals_of_other_orders_do_not_count_as_the_same_fills() -> None:
    parity = compare_fills([fill("a", 10)], [fill("b", 10)], {"a": "queue"})
    assert parity.gap == 0.0
    assert parity.overlap == 0.0
    assert parity.causes == {"queue": 1, UNEXPLAINED: 1}


def test_the_gap_is_the_difference_over_what_was_recorded() -> None:
    parity = compare_fills([fill("a", 100)], [fill("a", 97)], {"a": "queue"})
    assert parity.gap == pytest.approx(0.03)
    assert parity.overlap == pytest.approx(0.97)


def test_fills_where_none_were_recorded_are_a_whole_gap() -> None:
    assert compare_fills([], [fill("a", 1)]).gap == 1.0
    assert compare_fills([], []).gap == 0.0


def test_pnl_is_cash_less_fees_and_the_position_at_the_mid() -> None:
    rows = [fill("a", 10, ticks=1_000, fee=0.01), fill("b", 4, side=-1, ticks=1_100, fee=0.02)]
    found = pnl_of(rows, tick=0.1, lot=0.5, end_mid=105.0)
    # bought 5 at 100, sold 2 at 110, 3 left at 105
    assert found["trading"] == pytest.approx(-500 + 220 + 315)
    assert found["total"] == pytest.approx(35 - 0.03)
    assert found["position"] == pytest.approx(3.0)


SEEN = Seen(10, ((1, 100, 5, False),), (100, 101), 1_000.0, ((100.0,), (5.0,)))


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        (Seen(11, (), (99, 101), 900.0), FILLS),
        (Seen(10, ((1, 99, 5, False),), (99, 101), 900.0), RESTING),
        (Seen(10, ((1, 100, 5, True),), (99, 101), 900.0), ANSWERS),
        (Seen(10, SEEN.resting, (99, 101), 900.0), TOUCH),
        (Seen(10, SEEN.resting, (100, 101), 900.0), BOOK),
        (Seen(10, SEEN.resting, (100, 101), 900.0, SEEN.book), EQUITY),
        (SEEN, MODELS),
    ],
)
def test_the_cause_is_the_first_thing_that_was_seen_differently(other: Seen, cause: str) -> None:
    assert cause_of(SEEN, other) == cause


def test_decisions_of_one_moment_are_compared_in_their_order() -> None:
    ours = [Decided(5, (BID,), SEEN), Decided(5, (), SEEN), Decided(6, (ASK,), SEEN)]
    theirs = [Decided(5, (BID,), SEEN), Decided(5, (), SEEN), Decided(7, (ASK,), SEEN)]
    parity = compare_decisions(ours, theirs)
    assert (parity.decisions, parity.equal_decisions) == (4, 2)
    assert [(each.ts_ns, each.what, each.cause) for each in parity.differences] == [
        (6, MISSING, ONLY_ONE),
        (7, SURPLUS, ONLY_ONE),
    ]
