import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk.flatten import FlattenConfig
from amm500_nautilus.risk.flatten import Flattener
from amm500_nautilus.risk.flatten import FlattenOrder


S = 1_000_000_000
BOOK = {"bid_ticks": 69_000, "ask_ticks": 69_001}


def test_a_long_position_is_sold_through_the_bid_then_offered_then_sold_further_through() -> None:
    flattener = Flattener(FlattenConfig())
    sent = [
        flattener.next(second * S, position_lots=50, in_flight=False, **BOOK) for second in (1, 2, 3, 7, 8)
    ]
    # 69,000 * 10 bp = 69 ticks, then 69,000 * 50 bp = 345
    assert sent == [
        FlattenOrder(-1, 68_931, 50, ioc=True),
        None,
        FlattenOrder(-1, 69_001, 50, ioc=False),
        None,
        FlattenOrder(-1, 68_655, 50, ioc=True),
    ]


def test_a_short_position_is_bought_above_the_ask() -> None:
    order = Flattener(FlattenConfig()).next(S, position_lots=-7, in_flight=False, **BOOK)
    assert order == FlattenOrder(1, 69_001 + 70, 7, ioc=True)  # 69.001 rounds up


def test_nothing_is_sent_while_an_order_has_no_answer() -> None:
    flattener = Flattener(FlattenConfig())
    assert flattener.next(S, position_lots=5, in_flight=True, **BOOK) is None
    assert not flattener.is_active


@pytest.mark.parametrize(
    "touch", [(0, 69_001), (69_001, 69_001), (69_002, 69_001)], ids=["none", "locked", "crossed"]
)
def test_no_price_is_made_up_where_the_book_shows_none(touch: tuple[int, int]) -> None:
    flattener = Flattener(FlattenConfig())
    bid, ask = touch
    assert flattener.next(S, position_lots=5, bid_ticks=bid, ask_ticks=ask, in_flight=False) is None


def test_a_flat_position_begins_anew() -> None:
    flattener = Flattener(FlattenConfig())
    flattener.next(S, position_lots=5, in_flight=False, **BOOK)
    assert flattener.next(2 * S, position_lots=0, in_flight=False, **BOOK) is None
    assert not flattener.is_active
    again = flattener.next(2 * S, position_lots=5, in_flight=False, **BOOK)
    assert again is not None
    assert again.ioc


@given(lots=st.integers(-1_000, 1_000).filter(bool), attempts=st.integers(1, 12), bid=st.integers(100, 10**6))
def test_every_attempt_closes_the_whole_position_and_never_more(lots: int, attempts: int, bid: int) -> None:
    flattener = Flattener(FlattenConfig())
    for number in range(attempts):
        order = flattener.next(
            number * 10 * S, position_lots=lots, bid_ticks=bid, ask_ticks=bid + 1, in_flight=False
        )
        assert order is not None
        assert order.side * lots < 0
        assert order.lots == abs(lots)
        assert order.price_ticks >= 1
        # what takes reaches through the touch, what rests does not
        crosses = order.price_ticks >= bid + 1 if order.side > 0 else order.price_ticks <= bid
        assert crosses == order.ioc


def test_a_restart_goes_on_where_it_was() -> None:
    first = Flattener(FlattenConfig())
    first.next(S, position_lots=5, in_flight=False, **BOOK)
    second = Flattener(FlattenConfig())
    second.load(json.loads(json.dumps(first.save())))
    later = [flattener.next(4 * S, position_lots=5, in_flight=False, **BOOK) for flattener in (first, second)]
    assert later[0] == later[1]
    assert later[0] is not None
    assert not later[0].ioc


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"through_bps": ()}, "through_bps"),
        ({"retry_secs": 0.0}, "retry_secs"),
        ({"passive_secs": -1.0}, "passive_secs"),
    ],
)
def test_a_bad_value_is_refused_by_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        FlattenConfig(**values)
