"""What a strategy is fed in an outage and in a fall: a handful of messages, seen one by one."""

from collections.abc import Iterator
from typing import Any

import pytest
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_catalog.spec import DatasetInfo
from amm500_catalog.spec import MarketSpec
from amm500_nautilus.research.scenario import NS
from amm500_nautilus.research.shock import retimed
from amm500_nautilus.research.shock import under_shock
from hyperliquid_hip3.instruments import make_instrument


EVENT_S = 1_000
US500 = make_instrument(MarketSpec(), 690.0, 0)
TWIN = InstrumentId.from_str("xyz:SP500-USD-PERP.HYPERLIQUID")
LATENCY_NS = 200_000_000


class Tape:
    """A dataset of given messages, a batch each."""

    instrument = US500

    def __init__(self, batches: list[list[Any]], **shock: Any) -> None:
        stated = {
            "scenario": "x", "event_ns": EVENT_S * NS, "crash_end_ns": (EVENT_S + 300) * NS, "crash": False, "outage_ns": 0,
            "depth": 0.25, "widen": 0.10, "recovery_ns": 600 * NS, **shock,
        }  # fmt: skip
        self._batches = batches
        self.info = DatasetInfo(
            "tape", "", str(US500.id), "file", True, 0, 10_000 * NS, ((0, 10_000 * NS),), (),
            params={"stress": stated} if shock else {},
        )  # fmt: skip

    def batches(self, start_ns: int | None = None, end_ns: int | None = None) -> Iterator[list[Any]]:
        yield from self._batches

    def reference_instrument(self) -> Any:
        return TWIN


def quote(second: float, bid: str = "690.00", ask: str = "690.01", instrument: Any = US500.id) -> QuoteTick:
    at = int(second * NS)
    sizes = (Quantity.from_str("8.000"), Quantity.from_str("0.006"))
    return QuoteTick(instrument, Price.from_str(bid), Price.from_str(ask), *sizes, at, at + LATENCY_NS)


def trade(second: float, side: AggressorSide) -> TradeTick:
    at = int(second * NS)
    return TradeTick(
        US500.id,
        Price.from_str("690.01"),
        Quantity.from_str("1.000"),
        side,
        TradeId("1"),
        at,
        at + LATENCY_NS,
    )


def depth(second: float) -> OrderBookDepth10:
    at = int(second * NS)
    sides = []
    for side, first, step in ((OrderSide.BUY, 69_000, -1), (OrderSide.SELL, 69_001, 1)):
        orders = [
            BookOrder(
                side, Price.from_str(f"{(first + step * n) / 100:.2f}"), Quantity.from_str("4.000" if n < 9 else "0.000"), 0
            )
            for n in range(10)
        ]  # fmt: skip
        sides.append(orders)
    return OrderBookDepth10(US500.id, *sides, [1] * 10, [1] * 10, 0, 7, at, at + LATENCY_NS)


def fed(tape: Tape) -> list[Any]:
    return [item for batch in under_shock(tape).batches() for item in batch]


def test_data_without_a_scenario_is_handed_on_as_it_is() -> None:
    tape = Tape([[quote(1)]])
    assert under_shock(tape) is tape


def test_a_scenario_of_bars_alone_is_handed_on_as_it_is() -> None:
    tape = Tape([[quote(1)]], crash=False)
    assert under_shock(tape) is tape


def test_in_an_outage_everything_arrives_when_it_ends_and_keeps_the_venue_s_time() -> None:
    seconds = (999.0, 999.9, 1_010.0, 1_059.0, 1_059.9, 1_061.0)
    tape = Tape([[quote(s) for s in seconds[:3]], [quote(s) for s in seconds[3:]]], outage_ns=60 * NS)
    found = fed(tape)
    assert [item.ts_event / NS for item in found] == list(seconds)
    # 200 ms of latency: what happened at 999.9 arrives in the outage, what happened at 1059.9 after it
    late = 1_060 * NS - 1
    assert [item.ts_init for item in found] == [
        999_200_000_000,
        late,
        late,
        late,
        1_060_100_000_000,
        1_061_200_000_000,
    ]


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(quote(5), id="quote"),
        pytest.param(trade(5, AggressorSide.BUYER), id="trade"),
        pytest.param(depth(5), id="depth"),
        pytest.param(IndexPriceUpdate(US500.id, Price.from_str("690.00"), 5, 6), id="oracle"),
        pytest.param(FundingRateUpdate(US500.id, 0.001, 5, 6), id="funding"),
    ],
)
def test_a_delayed_message_says_what_it_said(item: Any) -> None:
    late = retimed(item, 99 * NS)
    assert late.ts_init == 99 * NS
    kept = {name: value for name, value in type(item).to_dict(item).items() if name != "ts_init"}
    assert {name: value for name, value in type(late).to_dict(late).items() if name != "ts_init"} == kept


def test_what_no_dataset_holds_is_not_delayed_in_silence() -> None:
    with pytest.raises(TypeError, match="str cannot be delayed"):
        retimed("news", 1)


def test_while_the_price_falls_the_quote_steps_back_and_shrinks() -> None:
    # a tenth of a dollar is ten ticks a side; a quarter of 8 is 2, and of 6 lots 1 whole lot
    (found,) = fed(Tape([[quote(1_100)]], crash=True))
    assert (str(found.bid_price), str(found.ask_price)) == ("689.90", "690.11")
    assert (str(found.bid_size), str(found.ask_size)) == ("2.000", "0.001")


def test_half_way_through_the_recovery_it_is_half_as_far_back() -> None:
    # strain 0.5: five ticks, and 1 - 0.5 * 0.75 = 0.625 of 8 is 5
    (found,) = fed(Tape([[quote(1_600)]], crash=True))
    assert (str(found.bid_price), str(found.ask_price)) == ("689.95", "690.06")
    assert str(found.bid_size) == "5.000"


@pytest.mark.parametrize(
    ("side", "price"),
    [
        pytest.param(AggressorSide.BUYER, "690.11", id="a buyer pays the ask that stepped back"),
        pytest.param(AggressorSide.SELLER, "689.91", id="a seller hits the bid that stepped back"),
        pytest.param(AggressorSide.NO_AGGRESSOR, "690.01", id="nobody's side does not move"),
    ],
)
def test_a_print_stays_on_the_book_it_hit(side: AggressorSide, price: str) -> None:
    (found,) = fed(Tape([[trade(1_100, side)]], crash=True))
    assert (str(found.price), str(found.size)) == (price, "1.000")


def test_every_level_of_the_depth_steps_back_by_the_same_ticks_and_empty_ones_stay_empty() -> None:
    (found,) = fed(Tape([[depth(1_100)]], crash=True))
    assert [str(order.price) for order in found.bids[:3]] == ["689.90", "689.89", "689.88"]
    assert [str(order.price) for order in found.asks[:3]] == ["690.11", "690.12", "690.13"]
    assert {str(order.size) for order in [*found.bids[:9], *found.asks[:9]]} == {"1.000"}
    assert str(found.bids[9].size) == str(found.asks[9].size) == "0.000"
    assert (found.sequence, found.ts_init - found.ts_event) == (7, LATENCY_NS)


def test_the_twin_and_the_time_before_and_after_stay_as_they_are() -> None:
    items = [quote(999), quote(1_100, instrument=TWIN), quote(2_000)]
    assert fed(Tape([items], crash=True)) == items


def test_a_fall_with_an_outage_does_both() -> None:
    (found,) = fed(Tape([[quote(1_010)]], crash=True, outage_ns=60 * NS))
    assert (str(found.bid_price), found.ts_init) == ("689.90", 1_060 * NS - 1)
