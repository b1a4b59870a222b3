"""Our own trades in the stream of trades: dropped whenever our fill is heard, and strangers' are fed whole, once, with their own time."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_nautilus.own_trades import GRACE_NS
from amm500_nautilus.own_trades import MOST_FILLED
from amm500_nautilus.own_trades import MOST_HELD
from amm500_nautilus.own_trades import OwnTrades
from amm500_nautilus.own_trades import Print
from amm500_nautilus.own_trades import trade_number


SECOND = 1_000_000_000
# the only price at which an order of ours rests
OURS = 69_000


class Fed(NamedTuple):
    """What reached the models."""

    ts_ns: int
    ticks: int
    lots: float
    side: int
    mid: float | None


class Desk:
    """A stream of trades, our fills, and a cycle each second."""

    def __init__(self) -> None:
        self.fed: list[Fed] = []
        self.trades = OwnTrades(self.feed, self.may_be_ours)

    def feed(self, ts_ns: int, ticks: int, lots: float, side: int, mid: float | None = None) -> None:
        self.fed.append(Fed(ts_ns, ticks, lots, side, mid))

    @staticmethod
    def may_be_ours(side: int, ticks: int, venue_ns: int) -> bool:
        assert venue_ns > 0
        return (side, ticks) == (-1, OURS)

    def trade(
        self, number: int, lots: int = 10, ticks: int = OURS, at: float = 1.0, block: float | None = None
    ) -> None:
        ts_ns = round(at * SECOND)
        # each print in a block of its own unless it is said
        venue_ns = ts_ns + number if block is None else round(block * SECOND)
        self.trades.on_trade(Print(str(number), ts_ns, venue_ns, ticks, lots, -1, 69_000.5))

    def fill(self, number: int, lots: int = 10) -> None:
        self.trades.on_fill(f"1767571200000-{number}", lots)

    def cycles(self, until: int) -> None:
        for second in range(1, until + 1):
            self.trades.on_cycle(second * SECOND)

    @property
    def lots(self) -> list[float]:
        return [each.lots for each in self.fed]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_trade_at_a_price_that_is_not_ours_is_fed_at_once(desk: Desk) -> None:
    desk.trade(1, ticks=68_999)
    assert desk.fed == [Fed(SECOND, 68_999, 10, -1, 69_000.5)]
    assert len(desk.trades) == 0


def test_our_trade_is_dropped_when_the_fill_was_heard_first(desk: Desk) -> None:
    desk.fill(1)
    desk.trade(1)
    desk.cycles(10)
    assert desk.fed == []


def test_our_trade_is_dropped_when_the_fill_is_heard_later(desk: Desk) -> None:
    desk.trade(1)
    assert (desk.fed, len(desk.trades)) == ([], 1)
    desk.trades.on_cycle(2 * SECOND)
    desk.fill(1)
    assert len(desk.trades) == 0
    desk.cycles(10)
    assert desk.fed == []


def test_a_trade_at_our_price_without_a_fill_is_fed_in_the_first_cycle_after_the_grace_with_its_own_time(
    desk: Desk,
) -> None:
    desk.trade(1, at=1.4)
    for second in (2, 3):
        desk.trades.on_cycle(second * SECOND)
        assert desk.fed == []
    desk.trades.on_cycle(4 * SECOND)
    assert desk.fed == [Fed(round(1.4 * SECOND), OURS, 10, -1, 69_000.5)]
    desk.cycles(10)
    assert len(desk.fed) == 1


def test_a_fill_of_another_number_drops_nothing(desk: Desk) -> None:
    desk.fill(2)
    desk.trade(1)
    desk.fill(3)
    desk.cycles(10)
    assert desk.lots == [10]


@pytest.mark.parametrize("order", ["tff", "ftf", "fft"])
def test_a_trade_that_fills_us_in_parts_is_dropped_whole(desk: Desk, order: str) -> None:
    fills = iter((4, 6))
    for step in order:
        if step == "t":
            desk.trade(1)
        else:
            desk.fill(1, next(fills))
    desk.cycles(10)
    assert desk.fed == []


@pytest.mark.parametrize("order", ["tf", "ft"])
def test_of_a_trade_that_is_ours_in_part_the_strangers_part_is_fed(desk: Desk, order: str) -> None:
    for step in order:
        if step == "t":
            desk.trade(1, lots=10)
        else:
            desk.fill(1, 4)
    assert desk.fed == []
    desk.cycles(10)
    assert desk.lots == [6]


def test_the_same_print_told_twice_is_fed_once(desk: Desk) -> None:
    desk.trade(1)
    desk.trade(1)
    desk.cycles(10)
    assert desk.lots == [10]


def test_our_trade_with_one_that_takes_us_and_strangers_is_one_of_several_prints(desk: Desk) -> None:
    # one taker: a stranger before us in the queue, then we, then a stranger a tick below
    desk.trade(1, lots=5, block=1.0)
    desk.trade(2, lots=7, block=1.0)
    desk.trade(3, lots=9, ticks=OURS - 1, block=1.0)
    # another taker in the next block, where we do not rest
    desk.trade(4, lots=11, ticks=OURS - 1, block=1.1)
    assert desk.lots == [11]
    desk.fill(2, 7)
    desk.cycles(10)
    assert desk.lots == [11, 5, 9]


def test_a_fill_before_leaves_the_other_prints_of_its_taker_alone(desk: Desk) -> None:
    desk.fill(2, 7)
    desk.trade(2, lots=7, block=1.0)
    desk.trade(3, lots=9, ticks=OURS - 1, block=1.0)
    assert desk.lots == [9]


def test_prints_held_too_many_are_fed_early_and_fills_of_long_ago_are_forgotten(desk: Desk) -> None:
    for number in range(MOST_HELD + 5):
        desk.trade(number)
    assert len(desk.trades) == MOST_HELD
    assert len(desk.fed) == 5
    old = Desk()
    for number in range(MOST_FILLED + 1):
        old.fill(number)
    old.trade(0)
    old.trade(MOST_FILLED)
    old.cycles(10)
    assert len(old.fed) == 1


@pytest.mark.parametrize(
    ("trade_id", "number"), [("1767571200000-164087028129848", "164087028129848"), ("42", "42")]
)
def test_the_number_of_a_fill_is_the_last_part_of_its_id(trade_id: str, number: str) -> None:
    assert trade_number(trade_id) == number


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.integers(0, 3)), max_size=30))
def test_in_any_order_exactly_the_strangers_lots_are_fed(market: list[tuple[int, bool, int]]) -> None:
    desk = Desk()
    events: list[tuple[float, int, str, int]] = []
    for number, (lots, is_ours, delay) in enumerate(market):
        at = 1.0 + number / 4
        events.append((at, number, "trade", lots))
        if is_ours:
            # half a second before its print up to a second after it
            events.append((at + (delay - 1) / 2, number, "fill", lots))
    end = 3 + len(market) // 4 + GRACE_NS // SECOND
    events += [(float(second), -1, "cycle", 0) for second in range(1, end + 1)]
    for at, number, kind, lots in sorted(events):
        if kind == "trade":
            desk.trade(number, lots, at=at)
        elif kind == "fill":
            desk.fill(number, lots)
        else:
            desk.trades.on_cycle(round(at * SECOND))
    assert sorted(desk.lots) == sorted(lots for lots, is_ours, _ in market if not is_ours)
    assert len(desk.trades) == 0
