"""Which resting orders fill and by how much: hand-built cases with the arithmetic in comments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.simulation.config import FillConfig
from amm500_nautilus.simulation.fill import FillEngine
from amm500_nautilus.simulation.fill import RestingOrder
from amm500_nautilus.simulation.queue import UnseenLevel
from amm500_nautilus.simulation.queue import make_queue_model


BUY, SELL = 1, -1
BIDS = ([1000, 999, 998], [50, 60, 70])
ASKS = ([1002, 1003, 1004], [40, 30, 20])


def engine(model: str = "risk_adverse", unseen: UnseenLevel = UnseenLevel.BACK) -> FillEngine:
    made = FillEngine(make_queue_model(model), unseen)
    made.on_book(*BIDS, *ASKS)
    return made


def rest(
    to: FillEngine, key: str, side: int, ticks: int, lots: int, displayed: int | None, profile: float = 0.0
) -> RestingOrder:
    order = RestingOrder(key, side, ticks, lots, reduce_only=False, payload=None)
    to.place(order, displayed, profile)
    return order


def names(fills: list[tuple[RestingOrder, int]]) -> list[tuple[str, int]]:
    return [(order.key, lots) for order, lots in fills]


@pytest.mark.parametrize(
    ("trades", "expected"),
    [
        # 50 lots stand ahead of our 10 at 1000
        pytest.param([(1000, 30, SELL)], [], id="a trade smaller than the queue fills nothing"),
        pytest.param([(1000, 50, SELL)], [], id="a trade of exactly the queue fills nothing"),
        # 54 - 50 = 4
        pytest.param([(1000, 54, SELL)], [("a", 4)], id="what is left after the queue fills in part"),
        pytest.param([(1000, 90, SELL)], [("a", 10)], id="a large trade fills all and no more"),
        # 30 then 24: 54 traded, 4 beyond the queue
        pytest.param([(1000, 30, SELL), (1000, 24, SELL)], [("a", 4)], id="trades add up against the queue"),
        # 52: 2 beyond; then 3 more, all ours since we stand first
        pytest.param(
            [(1000, 52, SELL), (1000, 3, SELL)], [("a", 2), ("a", 3)], id="once first, every trade is ours"
        ),
        pytest.param(
            [(999, 3, SELL)], [("a", 3)], id="a trade through fills without a queue, up to its size"
        ),
        pytest.param([(999, 300, SELL)], [("a", 10)], id="a large trade through fills all"),
        pytest.param([(1000, 90, BUY)], [], id="a buyer's trade at a bid is not ours"),
        pytest.param([(1001, 90, SELL)], [], id="a trade above a bid does not reach it"),
        pytest.param([(1000, 90, 0)], [], id="a trade of unknown side fills nothing"),
    ],
)
def test_a_bid_behind_fifty_lots_is_filled_by_trades(
    trades: list[tuple[int, int, int]], expected: list[tuple[str, int]]
) -> None:
    market = engine()
    rest(market, "a", BUY, 1000, 10, displayed=50)
    got = [fill for trade in trades for fill in names(market.on_trade(*trade))]
    assert got == expected


def test_an_offer_is_filled_by_buyers_as_a_bid_is_by_sellers() -> None:
    market = engine()
    rest(market, "a", SELL, 1002, 10, displayed=40)
    assert names(market.on_trade(1002, 45, BUY)) == [("a", 5)]  # 45 - 40
    assert names(market.on_trade(1003, 9, BUY)) == [("a", 5)]  # through: 5 are left of us


def test_an_opposite_quote_that_touches_our_price_fills_up_to_its_size_and_only_once() -> None:
    market = engine()
    rest(market, "a", BUY, 1000, 100, displayed=50)
    assert names(market.on_touch(998, 70, 1000, 30)) == [("a", 30)]
    # the same offer shown again is the same 30 lots, which we already bought
    assert names(market.on_touch(998, 70, 1000, 30)) == []
    # 45 shown: 15 more came
    assert names(market.on_touch(998, 70, 1000, 45)) == [("a", 15)]


def test_an_offer_that_comes_back_to_our_price_after_it_had_gone_fills_us_anew() -> None:
    market = engine()
    rest(market, "a", BUY, 1000, 100, displayed=50)
    assert names(market.on_touch(998, 70, 1000, 30)) == [("a", 30)]
    # nobody offers at our price any more, then somebody new does
    assert names(market.on_touch(998, 70, 1001, 30)) == []
    assert names(market.on_touch(998, 70, 1000, 20)) == [("a", 20)]


@pytest.mark.parametrize("model", ["risk_adverse", "power_prob_queue_model3"])
def test_an_order_filled_in_part_stays_first_whatever_the_level_does(model: str) -> None:
    market = engine(model)
    rest(market, "a", BUY, 1000, 50, displayed=10)
    # 30 - 10 = 20
    assert names(market.on_trade(1000, 30, SELL)) == [("a", 20)]
    for lots in (5, 3):
        market.on_level(BUY, 1000, lots)
    assert names(market.on_trade(1000, 2, SELL)) == [("a", 2)]


def test_a_book_refresh_with_the_same_levels_neither_fills_nor_moves_the_queue() -> None:
    market = engine()
    order = rest(market, "a", BUY, 1000, 10, displayed=50)
    assert names(market.on_trade(1000, 20, SELL)) == []
    for _ in range(5):
        assert market.on_book(*BIDS, *ASKS) == []
    assert order.queue is not None
    assert order.queue.ahead == 30  # 50 - 20, not reset to 50 nor to 0


def test_a_risk_averse_queue_is_capped_by_the_displayed_size() -> None:
    market = engine()
    rest(market, "a", BUY, 1000, 10, displayed=50)
    market.on_book([1000, 999], [12, 60], *ASKS)
    # at most 12 can be ahead now: 15 - 12 = 3
    assert names(market.on_trade(1000, 15, SELL)) == [("a", 3)]


def test_own_orders_at_three_levels_share_one_trade_in_price_priority() -> None:
    market = engine()
    for key, ticks in (("near", 1000), ("middle", 999), ("far", 998)):
        rest(market, key, BUY, ticks, 10, displayed=0)
    # 15 lots traded at 998: 10 for the best bid, 5 for the next, nothing for the one at the trade's own price
    assert names(market.on_trade(998, 15, SELL)) == [("near", 10), ("middle", 5)]


def test_own_orders_at_one_price_are_served_in_time_order() -> None:
    market = engine()
    rest(market, "first", BUY, 1000, 10, displayed=50)
    rest(market, "second", BUY, 1000, 10, displayed=50)
    # 63 - 50 = 13 beyond the queue: 10 and 3
    assert names(market.on_trade(1000, 63, SELL)) == [("first", 10), ("second", 3)]


def test_an_order_inside_the_spread_stands_alone_and_first() -> None:
    market = engine()
    rest(market, "a", BUY, 1001, 10, displayed=0)
    assert market.on_book(*BIDS, *ASKS) == []
    assert names(market.on_trade(1001, 4, SELL)) == [("a", 4)]
    # a trade at the bid below goes through us first
    assert names(market.on_trade(1000, 2, SELL)) == [("a", 2)]


def test_a_book_that_crosses_two_own_levels_fills_the_better_first_within_its_size() -> None:
    market = engine()
    rest(market, "near", BUY, 1000, 10, displayed=50)
    rest(market, "far", BUY, 999, 10, displayed=60)
    # an offer of 12 at 999: 10 for the bid at 1000, 2 for the one at 999
    assert names(market.on_book([998], [70], [999, 1000], [12, 5])) == [("near", 10), ("far", 2)]


def test_an_order_out_of_view_waits_behind_the_whole_size_once_its_price_is_seen() -> None:
    market = engine()
    order = rest(market, "a", BUY, 990, 10, displayed=None)
    assert order.unseen
    assert market.on_trade(990, 500, SELL) == []  # unknown queue: a trade at the price gives nothing
    market.on_book([992, 991, 990], [5, 5, 80], *ASKS)
    assert order.ahead_at_placement == 80
    assert names(market.on_trade(990, 83, SELL)) == [("a", 3)]


def test_an_order_out_of_view_is_filled_by_a_trade_through_it() -> None:
    market = engine()
    rest(market, "a", BUY, 990, 10, displayed=None)
    assert names(market.on_trade(989, 4, SELL)) == [("a", 4)]


@pytest.mark.parametrize(
    ("policy", "profile", "expected"),
    [
        pytest.param(UnseenLevel.FRONT, 0.0, [("a", 10)], id="front stands first"),
        # 25 assumed ahead, 33 traded
        pytest.param(UnseenLevel.PROFILE, 25.0, [("a", 8)], id="profile stands behind the mean level"),
        pytest.param(UnseenLevel.BACK, 0.0, [], id="back knows nothing"),
    ],
)
def test_unseen_levels_follow_their_policy(
    policy: UnseenLevel, profile: float, expected: list[tuple[str, int]]
) -> None:
    market = engine(unseen=policy)
    rest(market, "a", BUY, 990, 10, displayed=None, profile=profile)
    assert names(market.on_trade(990, 33, SELL)) == expected


def test_a_smaller_size_keeps_the_place_and_a_larger_one_does_not() -> None:
    market = FillEngine(make_queue_model("risk_adverse"), reduce_keeps_queue=True)
    order = rest(market, "a", BUY, 1000, 10, displayed=50)
    market.on_trade(1000, 20, SELL)
    assert market.shrink(order, 6)
    assert order.lots == 6
    assert order.queue is not None
    assert order.queue.ahead == 30
    assert not market.shrink(order, 7)


def test_a_smaller_size_goes_to_the_back_unless_told_otherwise() -> None:
    assert not FillConfig().reduce_keeps_queue
    market = engine()
    order = rest(market, "a", BUY, 1000, 10, displayed=50)
    assert not market.shrink(order, 6)
    assert order.lots == 10


def test_what_a_trade_gave_our_first_order_does_not_advance_the_second() -> None:
    market = engine()
    rest(market, "a", BUY, 1000, 10, displayed=5)
    rest(market, "b", BUY, 1000, 10, displayed=50)
    # 55 traded: 5 of the market, 10 of a, 40 more of the market
    assert names(market.on_trade(1000, 55, SELL)) == [("a", 10)]
    # so 50 - 45 = 5 still stand between it and the next trades, which take them first
    assert names(market.on_trade(1000, 5, SELL)) == []
    assert names(market.on_trade(1000, 8, SELL)) == [("b", 8)]


def test_a_later_order_waits_for_an_earlier_one_that_still_stands() -> None:
    market = engine()
    rest(market, "a", BUY, 1000, 10, displayed=50)
    rest(market, "b", BUY, 1000, 10, displayed=50)
    market.on_book([1000, 999], [3, 60], *ASKS)
    # both stand behind 3 at most: 2 of 5 lots reach a
    assert names(market.on_trade(1000, 5, SELL)) == [("a", 2)]
    assert names(market.on_trade(1000, 9, SELL)) == [("a", 8), ("b", 1)]


def test_a_model_that_puts_our_later_order_ahead_does_not_let_it_fill_first() -> None:
    market = engine("power_prob_queue_model")
    first = rest(market, "first", BUY, 1000, 10, displayed=80)
    second = rest(market, "second", BUY, 1000, 10, displayed=100)
    assert market.on_trade(1000, 40, SELL) == []
    market.on_book([1000, 999], [100, 60], *ASKS)
    # 50 of 100 leave. Behind 40 and before 60: 60^3 / (60^3 + 40^3) = 0.77 of them stood behind, 40 - 0.23 x 50 = 28.6;
    # behind 60 and before 40 it is 0.23, 60 - 0.77 x 50 = 21.4
    market.on_book([1000, 999], [50, 60], *ASKS)
    assert first.queue is not None
    assert second.queue is not None
    assert (first.queue.ahead, second.queue.ahead) == pytest.approx((28.57, 21.43), abs=0.01)
    assert market.on_trade(1000, 25, SELL) == []
    # 28.6 - 25 - 10 = -6.4
    assert names(market.on_trade(1000, 10, SELL)) == [("first", 6)]


def test_a_canceled_order_is_not_filled() -> None:
    market = engine()
    rest(market, "a", BUY, 1000, 10, displayed=0)
    assert market.cancel("a") is not None
    assert market.cancel("a") is None
    assert market.on_trade(990, 100, SELL) == []


def test_a_taker_is_limited_to_the_displayed_size_and_consumes_it() -> None:
    market = engine()
    book = list(zip(*ASKS, strict=True))
    # 40 at 1002 and 30 at 1003 are within the limit; 100 were wanted
    assert market.take(BUY, 1003, 100, book) == [(1002, 40), (1003, 30)]
    assert market.take(BUY, 1003, 100, book) == []
    # 10 lots more appear at 1002
    market.on_book(*BIDS, [1002, 1003], [50, 30])
    assert market.take(BUY, 1003, 100, [(1002, 50), (1003, 30)]) == [(1002, 10)]


order_lists = st.lists(
    st.tuples(st.integers(995, 1001), st.integers(1, 40), st.integers(0, 80)), min_size=1, max_size=8
)


@given(
    orders=order_lists,
    ticks=st.integers(993, 1001),
    lots=st.integers(1, 200),
    model=st.sampled_from(
        ["risk_adverse", "power_prob_queue_model", "power_prob_queue_model2", "power_prob_queue_model3"]
    ),
)
def test_a_trade_never_fills_more_than_its_size_nor_an_order_beyond_its_own(
    orders: list[tuple[int, int, int]], ticks: int, lots: int, model: str
) -> None:
    market = FillEngine(make_queue_model(model))
    sizes = {}
    for number, (price, size, ahead) in enumerate(orders):
        rest(market, str(number), BUY, price, size, displayed=ahead)
        sizes[str(number)] = size
    fills = names(market.on_trade(ticks, lots, SELL))
    assert sum(filled for _, filled in fills) <= lots
    assert all(0 < filled <= sizes[key] for key, filled in fills)


@given(
    orders=order_lists,
    events=st.lists(st.tuples(st.integers(994, 1003), st.integers(1, 60), st.booleans()), max_size=25),
)
def test_no_sequence_of_events_overfills_an_order_or_the_market(
    orders: list[tuple[int, int, int]], events: list[tuple[int, int, bool]]
) -> None:
    market = FillEngine(make_queue_model("power_prob_queue_model3"))
    left = {}
    for number, (price, size, ahead) in enumerate(orders):
        rest(market, str(number), BUY, price, size, displayed=ahead)
        left[str(number)] = size
    for ticks, lots, is_trade in events:
        fills = (
            market.on_trade(ticks, lots, SELL) if is_trade else market.on_touch(ticks - 1, 10, ticks, lots)
        )
        assert sum(filled for _, filled in fills) <= lots
        for order, filled in fills:
            left[order.key] -= filled
            assert left[order.key] >= 0
    assert {key: order.lots for key, order in market.orders.items()} == {k: v for k, v in left.items() if v}


QUEUE_MODELS = (
    "risk_adverse",
    "power_prob_queue_model",
    "power_prob_queue_model2",
    "power_prob_queue_model3",
)
own_level_events = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.integers(1, 30)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("trade"), st.integers(1, 90)),
        st.tuples(st.just("through"), st.integers(1, 20)),
        st.tuples(st.just("cross"), st.integers(1, 20)),
        st.tuples(st.just("shown"), st.integers(0, 90)),
    ),
    max_size=40,
)


@given(
    events=own_level_events,
    model=st.sampled_from(QUEUE_MODELS),
    unseen=st.sampled_from(list(UnseenLevel)),
    in_view=st.booleans(),
)
def test_no_own_order_fills_before_an_earlier_one_of_its_price_is_gone(
    events: list[tuple[str, int]], model: str, unseen: UnseenLevel, *, in_view: bool
) -> None:
    market = FillEngine(make_queue_model(model), unseen)
    standing: dict[str, int] = {}
    shown: int | None = 20 if in_view else None
    for number, (kind, value) in enumerate(events):
        fills: list[tuple[RestingOrder, int]] = []
        if kind == "place":
            rest(market, str(number), BUY, 1000, value, displayed=shown, profile=25.0)
            standing[str(number)] = value
        elif kind == "cancel" and standing:
            key = list(standing)[value % len(standing)]
            del standing[key]
            market.cancel(key)
        elif kind == "trade":
            fills = market.on_trade(1000, value, SELL)
        elif kind == "through":
            fills = market.on_trade(999, value, SELL)
        elif kind == "cross":
            fills = market.on_touch(998, 10, 1000, value)
        elif kind == "shown":
            shown = value
            fills = market.on_level(BUY, 1000, value)
        for order, lots in fills:
            assert order.key == next(iter(standing))
            standing[order.key] -= lots
            if not standing[order.key]:
                del standing[order.key]
