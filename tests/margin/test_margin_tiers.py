"""Margin tables with several tiers: maintenance, deductions, leverage limits, and their parsing from meta."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import MarginTier
from amm500_nautilus.margin.tables import margin_table
from amm500_nautilus.margin.tables import parse_margin_tables


TIERED = MarginTable(
    25, (MarginTier(Decimal(0), 25), MarginTier(Decimal(40_000), 10), MarginTier(Decimal(90_000), 4))
)


def tables_of(bounds: list[int], leverages: list[int]) -> MarginTable:
    tiers = tuple(
        MarginTier(Decimal(bound), leverage) for bound, leverage in zip(bounds, leverages, strict=True)
    )
    return MarginTable(leverages[0], tiers)


@st.composite
def margin_tables(draw: st.DrawFn) -> MarginTable:
    count = draw(st.integers(1, 3))
    bounds = sorted(draw(st.sets(st.integers(1, 10**7), min_size=count - 1, max_size=count - 1)))
    leverages = sorted(draw(st.sets(st.integers(1, 50), min_size=count, max_size=count)), reverse=True)
    return tables_of([0, *bounds], leverages)


@pytest.mark.parametrize(
    ("notional", "maintenance"),
    [
        pytest.param(0, "0", id="flat"),
        pytest.param(30_000, "600", id="first tier: 30,000 x 2 %"),
        pytest.param(40_000, "800", id="at the border: 40,000 x 2 %"),
        # deduction of the second tier: 40,000 x (5 % - 2 %) = 1,200
        pytest.param(50_000, "1300", id="second tier: 50,000 x 5 % - 1,200"),
        pytest.param(90_000, "3300", id="at the border: 90,000 x 5 % - 1,200"),
        # deduction of the third: 1,200 + 90,000 x (12.5 % - 5 %) = 7,950
        pytest.param(100_000, "4550", id="third tier: 100,000 x 12.5 % - 7,950"),
    ],
)
def test_maintenance_follows_the_tiers_with_their_deductions(notional: int, maintenance: str) -> None:
    assert TIERED.maintenance(Decimal(notional)) == Decimal(maintenance)
    assert TIERED.maintenance(Decimal(-notional)) == Decimal(maintenance)


def test_the_deductions_are_computed_as_the_venue_does() -> None:
    assert [(int(bound), rate, deduction) for bound, rate, deduction in TIERED.steps] == [
        (0, Fraction(1, 50), 0),
        (40_000, Fraction(1, 20), 1_200),
        (90_000, Fraction(1, 8), 7_950),
    ]


def test_maintenance_is_cut_to_six_decimals_toward_zero() -> None:
    # 100.02765 x 1 % = 1.0002765
    assert MarginTable(50).maintenance_used(Decimal("100.02765")) == Decimal("1.000276")


@pytest.mark.parametrize(
    ("notional", "leverage"), [(0, 25), (40_000, 25), (40_001, 10), (90_000, 10), (90_001, 4)]
)
def test_the_largest_leverage_falls_with_the_notional(notional: int, leverage: int) -> None:
    assert TIERED.max_leverage_at(Decimal(notional)) == leverage


@pytest.mark.parametrize(
    ("leverage", "largest"), [(25, 40_000), (11, 40_000), (10, 90_000), (5, 90_000), (4, None)]
)
def test_a_leverage_limits_how_large_a_position_may_grow(leverage: int, largest: int | None) -> None:
    assert TIERED.max_notional_at(leverage) == largest
    if largest is not None:
        assert not TIERED.exceeds_tier(Decimal(largest), leverage)
        assert TIERED.exceeds_tier(Decimal(largest) + 1, leverage)
        assert TIERED.exceeds_tier(-Decimal(largest) - 1, leverage)


@pytest.mark.parametrize("leverage", [0, 26, Decimal("2.5")])
def test_a_leverage_that_is_not_a_whole_number_of_the_table_is_refused(leverage: Decimal | int) -> None:
    with pytest.raises(ValueError, match=f"leverage is {leverage}; allowed: 1 to 25"):
        MarginTable(25).initial(Decimal(1), leverage)


def test_tables_are_read_from_the_rows_of_meta() -> None:
    rows = [
        [51, {"description": "two", "marginTiers": [
            {"lowerBound": "0.0", "maxLeverage": 40}, {"lowerBound": "3000000.0", "maxLeverage": 20}]}],
        [25, {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": 25}]}],
    ]  # fmt: skip
    tables = parse_margin_tables(rows)
    assert tables == {51: tables_of([0, 3_000_000], [40, 20]), 25: MarginTable(25)}
    assert margin_table(51, tables).max_leverage_at(Decimal(3_000_001)) == 20


def test_an_id_below_fifty_is_a_tier_of_that_leverage_and_a_custom_id_needs_its_row() -> None:
    assert margin_table(20, {}) == MarginTable(max_leverage=20)
    with pytest.raises(ValueError, match=r"margin table 56 is not in meta\.marginTables"):
        margin_table(56, {})


@pytest.mark.parametrize(
    ("tiers", "words"),
    [
        pytest.param([("1.0", 10)], "first margin tier starts at 1.0", id="does not start at zero"),
        pytest.param([("0", 10), ("5", 20)], "a higher bound and a lower leverage", id="leverage rises"),
        pytest.param([("0", 10), ("0", 5)], "a higher bound and a lower leverage", id="bound repeats"),
        pytest.param([("0", 9), ("1", 8), ("2", 7), ("3", 6)], "has 4 tiers; allowed: 1 to 3", id="too many"),
        pytest.param([], "is not an id and a table of tiers", id="none"),
    ],
)
def test_a_table_that_breaks_the_venues_rules_is_refused(tiers: list[tuple[str, int]], words: str) -> None:
    body: dict[str, Any] = {
        "marginTiers": [{"lowerBound": bound, "maxLeverage": leverage} for bound, leverage in tiers]
    }
    with pytest.raises(ValueError, match=words):
        parse_margin_tables([[60, body]])


@given(margin_tables())
def test_maintenance_is_continuous_at_every_tier_border(table: MarginTable) -> None:
    steps = table.steps
    for (_, rate, deduction), (bound, next_rate, next_deduction) in pairwise(steps):
        assert Fraction(bound) * rate - deduction == Fraction(bound) * next_rate - next_deduction


@given(margin_tables(), st.integers(0, 10**8), st.integers(0, 10**6))
def test_a_larger_position_never_needs_less_maintenance_nor_gets_more_leverage(
    table: MarginTable, cents: int, more: int
) -> None:
    small, large = Decimal(cents) / 100, Decimal(cents + more) / 100
    assert table.maintenance(small) <= table.maintenance(large)
    assert table.max_leverage_at(small) >= table.max_leverage_at(large)


@given(margin_tables(), st.integers(1, 10**8), st.data())
def test_initial_margin_always_covers_maintenance_where_the_leverage_is_allowed(
    table: MarginTable, cents: int, data: st.DataObject
) -> None:
    notional = Decimal(cents) / 100
    leverage = data.draw(st.integers(1, table.max_leverage_at(notional)))
    assert not table.exceeds_tier(notional, leverage)
    assert table.maintenance(notional) <= table.initial(notional, leverage) / 2 + Decimal("1e-20")
