"""What fills do to a position: entry, PnL, isolated margin."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.position import allowed_modes
from amm500_nautilus.margin.position import fill_effect
from amm500_nautilus.margin.tables import MarginTable


FLAT = Position(coin="km:US500", table=MarginTable(25), leverage=10, mark=Decimal(700))
ISOLATED = replace(FLAT, mode=MarginMode.ISOLATED)


def after(position: Position, *fills: tuple[int, str, str]) -> Position:
    for side, size, price in fills:
        position = fill_effect(position, side=side, size=Decimal(size), price=Decimal(price)).position
    return position


def test_opening_fills_average_the_entry_and_closing_ones_keep_it() -> None:
    # 0.1 at 700 and 0.2 at 703: 210.6 / 0.3 = 702
    long = after(FLAT, (1, "0.1", "700"), (1, "0.2", "703"))
    assert (long.size, long.entry, long.entry_value) == (Decimal("0.3"), Decimal(702), Decimal("210.6"))
    assert after(long, (-1, "0.1", "710")).entry == Decimal(702)


def test_a_fill_that_turns_the_position_round_closes_the_old_part_and_opens_at_its_own_price() -> None:
    long = after(FLAT, (1, "0.1", "700"))
    effect = fill_effect(long, side=-1, size=Decimal("0.3"), price=Decimal(705))
    # 0.1 x (705 - 700) closed; 0.2 short at 705
    assert effect.closed_pnl == effect.printed_pnl == Decimal("0.5")
    assert (effect.position.size, effect.position.entry) == (Decimal("-0.2"), Decimal(705))


def test_the_printed_pnl_counts_against_the_entry_cut_to_the_markets_price_decimals() -> None:
    # 0.1 at 700.00 and 0.2 at 700.01: 210.002 / 0.3 = 700.00666..., printed 700.006 with size decimals 3
    long = after(FLAT, (1, "0.1", "700"), (1, "0.2", "700.01"))
    assert long.printed_entry == Decimal("700.006")
    effect = fill_effect(long, side=-1, size=Decimal("0.1"), price=Decimal("700.1"))
    assert effect.printed_pnl == Decimal("0.0094")
    assert effect.closed_pnl == Decimal("0.009333334")  # 70.01 less 210.002 / 3 cut to nine decimals


def test_a_short_gains_when_the_price_falls() -> None:
    short = after(FLAT, (-1, "2", "700"))
    assert short.marked(Decimal(690)).unrealized == Decimal(20)
    assert fill_effect(short, side=1, size=Decimal(1), price=Decimal(690)).closed_pnl == Decimal(10)


def test_an_isolated_opening_takes_the_initial_margin_and_pays_the_fee_out_of_it() -> None:
    # 2 at 700 at 10x: 140 leaves the account; raw = 140 - 1,400 - 0.63
    effect = fill_effect(ISOLATED, side=1, size=Decimal(2), price=Decimal(700), fee=Decimal("0.63"))
    assert effect.cash == Decimal(-140)
    assert effect.position.raw_usd == Decimal("-1260.63")
    assert effect.position.margin_used == Decimal("139.37")


@pytest.mark.parametrize("mode", [MarginMode.ISOLATED, MarginMode.STRICT_ISOLATED])
def test_closing_a_quarter_of_an_isolated_position_releases_a_quarter_of_its_margin(mode: MarginMode) -> None:
    opened = after(replace(FLAT, mode=mode), (1, "4", "700"))
    # margin 280, at 710 it is 320; a quarter is 80
    effect = fill_effect(opened, side=-1, size=Decimal(1), price=Decimal(710))
    assert effect.cash == Decimal(80)
    assert effect.position.marked(Decimal(710)).margin_used == Decimal(240)


def test_closing_all_of_an_isolated_position_returns_all_of_its_margin() -> None:
    opened = after(ISOLATED, (-1, "3", "700"))
    effect = fill_effect(opened, side=1, size=Decimal(3), price=Decimal(690), fee=Decimal("0.2"))
    # 210 of margin, 30 gained, 0.2 of fee
    assert effect.cash == Decimal("239.8")
    assert (effect.position.size, effect.position.raw_usd) == (0, 0)


def test_strict_isolated_margin_is_never_removable_and_plain_isolated_keeps_a_tenth() -> None:
    fills = ((1, "4", "700"),)
    strict = after(replace(FLAT, mode=MarginMode.STRICT_ISOLATED, leverage=20), *fills).marked(Decimal(750))
    plain = after(replace(ISOLATED, leverage=20), *fills).marked(Decimal(750))
    # margin 140 + 200; 10 % of 3,000 is more than 3,000 / 20
    assert plain.margin_used == strict.margin_used == Decimal(340)
    assert plain.removable == Decimal(40)
    assert strict.removable == 0


@pytest.mark.parametrize(
    ("word", "modes"),
    [
        (None, (MarginMode.CROSS, MarginMode.ISOLATED)),
        ("noCross", (MarginMode.ISOLATED,)),
        ("strictIsolated", (MarginMode.STRICT_ISOLATED,)),
    ],
)
def test_the_market_says_which_margin_modes_it_allows(
    word: str | None, modes: tuple[MarginMode, ...]
) -> None:
    assert allowed_modes(word) == modes


def test_impossible_values_are_refused() -> None:
    with pytest.raises(ValueError, match="marginMode is 'both'"):
        allowed_modes("both")
    with pytest.raises(ValueError, match="mark of km:US500 is 0"):
        replace(FLAT, mark=Decimal(0))
    with pytest.raises(ValueError, match="raw_usd of km:US500 is 1; allowed: 0 for a cross position"):
        replace(FLAT, raw_usd=Decimal(1))
    with pytest.raises(ValueError, match="entry value of km:US500 is 5 at size 0"):
        replace(FLAT, entry_value=Decimal(5))
    with pytest.raises(ValueError, match="needs side 1 or -1 and size and price above 0"):
        fill_effect(FLAT, side=0, size=Decimal(1), price=Decimal(1))


lots = st.integers(1, 5_000).map(lambda n: Decimal(n) / 1000)
prices = st.integers(60_000, 80_000).map(lambda n: Decimal(n) / 100)
fills = st.lists(st.tuples(st.sampled_from([1, -1]), lots, prices, st.integers(-50, 500)), max_size=25)


@given(fills, st.sampled_from(list(MarginMode)), prices)
def test_cash_margin_and_pnl_agree_after_any_fills(
    trades: list[tuple[int, Decimal, Decimal, int]], mode: MarginMode, mark: Decimal
) -> None:
    position = replace(FLAT, mode=mode, mark=mark)
    cash = realized = fees = Decimal(0)
    for side, size, price, micro in trades:
        fee = Decimal(micro) / 10**6
        effect = fill_effect(position, side=side, size=size, price=price, fee=fee)
        position = effect.position
        cash += effect.cash
        realized += effect.closed_pnl
        fees += fee
        assert position.entry_value >= 0
    assert cash + position.raw_usd + position.value == realized + position.unrealized - fees
