"""The diff of plan against resting orders: the fewest changes, the most valuable first."""

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.quoting.config import OrderKeepingConfig
from amm500_nautilus.quoting.diff import OrderKeeper
from amm500_nautilus.quoting.types import ASKS as ASKS_SIDE
from amm500_nautilus.quoting.types import BudgetView
from amm500_nautilus.quoting.types import Cancel
from amm500_nautilus.quoting.types import Change
from amm500_nautilus.quoting.types import Level
from amm500_nautilus.quoting.types import Modify
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import RestingOrder


S = 1_000_000_000
NUMBERS = count()
FAIR = 10_000.0
CONFIG = OrderKeepingConfig()
RICH = BudgetView()
BIDS = (Level(9_960, 40), Level(9_940, 30), Level(9_900, 20))
ASKS = (Level(10_040, 40), Level(10_060, 30), Level(10_100, 20))


def order(
    key: str, price: int, lots: int, *, side: int = 1, level: int = 0, **other: bool | int
) -> RestingOrder:
    return RestingOrder(key, side, price, lots, 0, level, **other)  # type: ignore[arg-type]


def resting_bids() -> list[RestingOrder]:
    return [order(f"b{i}", level.price_ticks, level.lots, level=i) for i, level in enumerate(BIDS)]


def changes(
    resting: list[RestingOrder],
    *,
    bids: tuple[Level, ...] = BIDS,
    asks: tuple[Level, ...] = (),
    budget: BudgetView = RICH,
    fair: float = FAIR,
    ts_ns: int = 100 * S,
    touch_tolerance: int = 2,
) -> tuple[Change, ...]:
    keeper = OrderKeeper(CONFIG, touch_tolerance)
    return keeper.changes(ts_ns, bids=bids, asks=asks, fair_ticks=fair, resting=resting, budget=budget)


def apply(resting: list[RestingOrder], sent: tuple[Change, ...], ts_ns: int = 0) -> list[RestingOrder]:
    book = {o.key: replace(o) for o in resting}
    for change in sent:
        if isinstance(change, Place):
            key = f"new{next(NUMBERS)}"
            book[key] = RestingOrder(
                key,
                change.side,
                change.price_ticks,
                change.lots,
                ts_ns,
                change.level,
                reduce_only=change.reduce_only,
            )
        elif isinstance(change, Modify):
            book[change.key] = replace(
                book[change.key],
                price_ticks=change.price_ticks,
                lots=change.lots,
                level=change.level,
                since_ns=ts_ns,
            )
        else:
            del book[change.key]
    return list(book.values())


def test_an_empty_book_gets_the_whole_plan_best_level_first() -> None:
    assert changes([]) == (Place(1, 9_960, 40, 0), Place(1, 9_940, 30, 1), Place(1, 9_900, 20, 2))


def test_what_already_rests_is_left_alone() -> None:
    assert changes(resting_bids()) == ()


@pytest.mark.parametrize(
    ("price", "kept"),
    [
        # the first level lies 40 ticks from fair: 10 nearer and 20 further are tolerated
        pytest.param(9_970, True, id="a quarter nearer"),
        pytest.param(9_971, False, id="nearer than that"),
        pytest.param(9_940, True, id="half further"),
        pytest.param(9_939, False, id="further than that"),
    ],
)
def test_price_tolerance_scales_with_the_distance(price: int, kept: bool) -> None:
    sent = changes([order("b0", price, 40)], bids=BIDS[:1])
    assert sent == (() if kept else (Modify("b0", 9_960, 40, 0),))


@pytest.mark.parametrize(("lots", "kept"), [(20, True), (19, False), (60, True), (61, False)])
def test_size_tolerance(lots: int, kept: bool) -> None:
    sent = changes([order("b0", 9_960, lots)], bids=BIDS[:1])
    assert sent == (() if kept else (Modify("b0", 9_960, 40, 0),))


def test_a_poor_budget_widens_the_bands() -> None:
    # a quarter times 2: 20 ticks nearer are tolerated
    poor = BudgetView(tolerance_multiple=2.0)
    assert changes([order("b0", 9_980, 40)], bids=BIDS[:1], budget=poor) == ()
    assert changes([order("b0", 9_981, 40)], bids=BIDS[:1], budget=poor) != ()


def test_a_filled_level_is_placed_again_and_nothing_else_moves() -> None:
    assert changes(resting_bids()[1:]) == (Place(1, 9_960, 40, 0),)


def test_an_order_out_of_its_band_moves_in_place() -> None:
    resting = resting_bids()
    resting[1] = order("b1", 9_975, 30, level=1)
    assert changes(resting) == (Modify("b1", 9_940, 30, 1),)


def test_an_order_that_fits_another_open_level_stays() -> None:
    resting = resting_bids()
    resting[0] = order("b0", 9_940, 30, level=0)  # 20 of 40 ticks further: half, still its own level
    assert changes(resting) == ()
    resting[0] = order("b0", 9_930, 30, level=0)
    resting[1] = order("b1", 9_990, 30, level=1)
    sent = changes(resting)
    # b0 stands in for level 1 (10 of 60 ticks further), so only b1 has to move, into level 0
    assert sent == (Modify("b1", 9_960, 40, 0),)


def test_only_a_surplus_is_canceled() -> None:
    resting = [*resting_bids(), order("extra", 9_800, 20, level=3)]
    assert changes(resting) == (Cancel("extra"),)


def test_a_young_order_is_left_alone_unless_it_is_exposed() -> None:
    young = order("b0", 9_975, 40)
    young.since_ns = 99 * S
    assert changes([young], bids=BIDS[:1]) == ()
    # a fifth of 40 ticks: nearer than 8 ticks to fair value is exposed
    exposed = order("b0", 9_993, 40)
    exposed.since_ns = 99 * S
    assert changes([exposed], bids=BIDS[:1]) == (Modify("b0", 9_960, 40, 0),)


def test_an_order_in_flight_holds_its_level() -> None:
    resting = [order("b0", 9_990, 40, pending=True), *resting_bids()[1:]]
    assert changes(resting) == ()


def test_a_withdrawn_side_is_canceled_whatever_the_budget() -> None:
    sent = changes(resting_bids(), bids=(), budget=BudgetView(max_changes=0, tolerance_multiple=8.0))
    assert sent == (Cancel("b0"), Cancel("b1"), Cancel("b2"))


def test_exposed_orders_come_first_and_pass_the_limit() -> None:
    resting = [order("a0", 10_004, 40, side=-1), order("b1", 9_985, 30, level=1)]
    sent = changes(resting, asks=ASKS, budget=BudgetView(max_changes=2))
    assert sent[0] == Modify("a0", 10_040, 40, 0)
    assert len(sent) == 2
    assert changes(resting, asks=ASKS, budget=BudgetView(max_changes=0)) == (Modify("a0", 10_040, 40, 0),)


def test_the_nearest_missing_level_is_worth_most() -> None:
    sent = changes([], asks=ASKS, budget=BudgetView(max_changes=2))
    assert sent == (Place(1, 9_960, 40, 0), Place(-1, 10_040, 40, 0))


def test_with_only_the_reserve_left_nothing_but_cancels_is_sent() -> None:
    resting = [order("b0", 9_999, 40), order("b1", 9_700, 30, level=1), order("a0", 10_040, 40, side=-1)]
    sent = changes(resting, asks=(), budget=BudgetView(cancel_only=True, max_changes=0))
    # the exposed bid and the withdrawn ask go; the far bid stays
    assert set(sent) == {Cancel("b0"), Cancel("a0")}


def test_one_change_may_go_beside_the_cancels_where_a_side_shows_nothing() -> None:
    resting = [order("b0", 9_999, 40), order("b1", 9_700, 30, level=1)]
    lean = BudgetView(cancel_only=True, max_changes=1, place_sides=ASKS_SIDE)
    # the exposed bid is not moved but goes; of the new orders only one, for the side that shows nothing
    assert set(changes(resting, asks=ASKS, budget=lean)) == {Cancel("b0"), Place(-1, 10_040, 40, 0)}
    # asks are withdrawn: the budget's order is not spent on bids
    assert set(changes(resting, asks=(), budget=lean)) == {Cancel("b0")}


def test_no_change_reaches_our_own_order_across() -> None:
    stuck = order("a0", 9_955, 40, side=-1, pending=True)
    sent = changes([stuck], asks=ASKS)
    assert not any(isinstance(c, Place) and c.side > 0 and c.price_ticks >= 9_955 for c in sent)


def test_the_reduce_only_order_at_the_touch_is_kept_apart_from_the_ladder() -> None:
    plan = (Level(9_999, 100, reduce_only=True), *BIDS)
    sent = changes(resting_bids(), bids=plan)
    assert sent == (Place(1, 9_999, 100, -1, reduce_only=True),)
    held = [*resting_bids(), order("r", 9_999, 100, level=-1, reduce_only=True)]
    assert changes(held, bids=plan) == ()
    moved = (Level(10_002, 100, reduce_only=True), *BIDS)
    assert changes(held, bids=moved, fair=10_003.0) == (Modify("r", 10_002, 100, -1),)
    assert changes(held) == (Cancel("r"),)


def test_of_two_orders_of_one_level_the_one_that_fits_it_stays_though_it_fits_another_too() -> None:
    # 100 +-25/50 and 140 +-35/70 ticks from fair: 139 fits both levels, 101 the first alone
    bids = (Level(9_900, 10), Level(9_860, 10))
    strays = [RestingOrder("a", 1, 9_899, 10, 0, 1), RestingOrder("b", 1, 9_861, 10, 0, 1)]
    assert changes(strays, bids=bids) == ()


def test_an_order_whose_way_to_its_level_is_held_by_our_own_is_not_sent_where_it_is() -> None:
    # ten asks a tick apart: the eleventh order can only be behind them, level 1's price is held by level 0's order
    row = tuple(Level(10_000 + at, 5) for at in range(1, 11))
    held = [RestingOrder("first", -1, 10_002, 5, 0, 0)]
    held += [RestingOrder(f"o{at}", -1, 10_000 + at, 5, 0, at - 1) for at in range(3, 11)]
    held.append(RestingOrder("late", -1, 10_011, 5, 0, 1))
    assert changes(held, bids=(), asks=row) == ()
    # where there is room, it goes
    assert changes(held[:1] + held[2:], bids=(), asks=row[:2] + row[3:]) == (Modify("late", 10_003, 5, 1),)


ladders = st.integers(1, 15).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 400), min_size=n, max_size=n, unique=True).map(sorted),
        st.lists(st.integers(5, 500), min_size=n, max_size=n),
    )
)
orders = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.integers(-100, 600), st.integers(1, 600), st.integers(-1, 16)),
    max_size=20,
)


def build(side: int, ladder: tuple[list[int], list[int]]) -> tuple[Level, ...]:
    return tuple(Level(10_000 - side * distance, lots) for distance, lots in zip(*ladder, strict=True))


def fits(side: int, level: Level, held: RestingOrder) -> bool:
    distance = abs(FAIR - level.price_ticks)
    nearer = (held.price_ticks - level.price_ticks) * side
    band = max(CONFIG.near_tolerance * distance, 1) if nearer > 0 else max(CONFIG.far_tolerance * distance, 1)
    return abs(nearer) <= band and abs(held.lots - level.lots) <= CONFIG.size_tolerance * level.lots


SETTLED = 4
ROW = list(range(1, 11))


@given(bid=ladders, ask=ladders, raw=orders)
# a bid that rests above fair value holds the nearest asks back, and a row of asks leaves them no price but behind it
@example(([1], [5]), (ROW, [5, 11, *[5] * 8]), [(1, -2, 1, 0), (-1, 1, 1, 1)])
@example(([1], [5]), (ROW, [5] * 10), [(1, -2, 1, 0), (-1, 1, 1, 0), (-1, 4, 1, 0)])
# two orders of one level, and one of them fits the level before it too
@example(
    ([1, 2, 3, 9, 10, 11, 12, 17, 65, 138, 205, 206], [*[5] * 9, 24, 8, 12]),
    ([1], [5]),
    [*[(1, 0, 1, 0)] * 5, (1, 11, 3, 11), (1, 154, 7, 3), (1, 0, 1, 0), (1, 143, 36, 0)],
)
def test_applying_the_changes_gives_the_plan_within_tolerance(
    bid: tuple[list[int], list[int]], ask: tuple[list[int], list[int]], raw: list[tuple[int, int, int, int]]
) -> None:
    bids, asks = build(1, bid), build(-1, ask)
    resting = [
        RestingOrder(f"o{i}", side, 10_000 - side * distance, lots, 0, level)
        for i, (side, distance, lots, level) in enumerate(raw)
    ]
    # a change that would reach our own order across waits for the next cycle, and may find its price held by then
    for _ in range(SETTLED):
        sent = changes(resting, bids=bids, asks=asks)
        assert len(sent) <= len(resting) + len(bids) + len(asks)
        resting = apply(resting, sent)
    for side, plan in ((1, bids), (-1, asks)):
        held = sorted((o for o in resting if o.side == side), key=lambda o: -side * o.price_ticks)
        assert len(held) == len(plan)
        for level in plan:
            assert any(fits(side, level, one) for one in held)
    assert changes(resting, bids=bids, asks=asks) == ()


@given(bid=ladders, ask=ladders, raw=orders, limit=st.integers(0, 10))
def test_no_more_than_the_limit_but_for_urgent_changes(
    bid: tuple[list[int], list[int]],
    ask: tuple[list[int], list[int]],
    raw: list[tuple[int, int, int, int]],
    limit: int,
) -> None:
    bids, asks = build(1, bid), build(-1, ask)
    resting = [
        RestingOrder(f"o{i}", side, 10_000 - side * distance, lots, 0, level)
        for i, (side, distance, lots, level) in enumerate(raw)
    ]
    everything = changes(resting, bids=bids, asks=asks)
    limited = changes(resting, bids=bids, asks=asks, budget=BudgetView(max_changes=limit))
    assert limited == everything[: max(limit, len(limited))]
    keys = [c.key for c in everything if not isinstance(c, Place)]
    assert len(keys) == len(set(keys))


def test_no_order_is_sent_to_a_price_that_another_of_ours_holds() -> None:
    keeper = OrderKeeper(OrderKeepingConfig(), 2)
    bids = (Level(990, 10), Level(980, 10), Level(970, 10))
    # level 1's order stands at 975, inside its band (980 - 0.5 x 20); level 2 is planned at 975 now and is missing
    resting = [
        RestingOrder("a", 1, 990, 10, 0, level=0),
        RestingOrder("b", 1, 975, 10, 0, level=1),
    ]
    planned = (bids[0], bids[1], Level(975, 10))
    changes = keeper.changes(
        10**12, bids=planned, asks=(), fair_ticks=1_000.0, resting=resting, budget=BudgetView()
    )
    places = [change for change in changes if isinstance(change, Place)]
    assert [place.price_ticks for place in places] == [974]
