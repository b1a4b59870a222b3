"""Orders judged before they leave, in the worst case of everything open and in flight."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk.config import LimitConfig
from amm500_nautilus.risk.limits import ExposureTotals
from amm500_nautilus.risk.limits import OrderAsk
from amm500_nautilus.risk.limits import OrderLimits


LOT_VALUE = 0.68


def totals(
    *, equity: float = 1_000.0, leverage: float = 10.0, lots: int = 0, buys: int = 0, sells: int = 0
) -> ExposureTotals:
    out = ExposureTotals(equity, leverage)
    out.set_position(lots, lots * LOT_VALUE)
    out.add(1, buys, buys * LOT_VALUE)
    out.add(-1, sells, sells * LOT_VALUE)
    return out


def ask(side: int, lots: int, **changes: float) -> OrderAsk:
    return OrderAsk(side, lots, lots * LOT_VALUE, **changes)


def judge(order: OrderAsk, account: ExposureTotals, closed: str = "", scale: float = 1.0, **limits: float):
    return OrderLimits(LimitConfig(**limits), 0.001).judge(1, order, account, scale, closed)


def test_the_account_that_the_engine_lets_buy_sixty_eight_thousand_is_refused_here() -> None:
    # 100,000 lots of 0.68 are 68,000: 680 % of 1,000 at 10x
    got = judge(ask(1, 100_000), totals())
    assert (got.approved, got.reason) == (False, "margin_ratio")
    assert got.numbers["margin_ratio"] == pytest.approx(6.8)
    assert got.numbers["worst_notional"] == pytest.approx(68_000)
    # 11,764 lots are 7,999.52, within 80 %
    assert judge(ask(1, 11_764), totals()).approved
    assert not judge(ask(1, 11_765), totals()).approved


@pytest.mark.parametrize(
    ("account", "order", "expected"),
    [
        # the limit is 8,000, or 11,764 lots
        pytest.param({"lots": 6_000}, ask(1, 5_764), True, id="a long of 4,080 leaves room for 3,920 more"),
        pytest.param({"lots": 6_000}, ask(1, 5_765), False, id="and not for one lot more"),
        pytest.param({"buys": 6_000}, ask(1, 5_765), False, id="what rests counts like what is held"),
        pytest.param(
            {"buys": 6_000}, ask(-1, 11_764), True, id="the other side does not: both cannot fill and stay"
        ),
        pytest.param({"lots": -6_000}, ask(1, 6_000), True, id="closing a short is free"),
        pytest.param({"lots": -6_000}, ask(1, 11_764), True, id="through zero: 4,080 closed, 3,920 opened"),
        # margin is 4,080 for what is held and, after netting, 3,927 for what would be opened
        pytest.param({"lots": -6_000}, ask(1, 11_775), False, id="through zero and too far"),
        pytest.param({"lots": 11_764}, ask(-1, 11_764), True, id="a full account may always be closed"),
        pytest.param({"equity": 0.0}, ask(1, 1), False, id="nothing is bought without equity"),
        pytest.param({"equity": float("nan")}, ask(1, 1), False, id="nor with one that is no number"),
        pytest.param({"leverage": 5.0}, ask(1, 5_883), False, id="at 5x the limit is 4,000"),
    ],
)
def test_margin_table(account: dict[str, float], order: OrderAsk, expected: bool) -> None:
    assert judge(order, totals(**account)).approved is expected


def test_an_order_marked_reduce_only_is_approved_whatever_the_account() -> None:
    broken = totals(equity=-50.0, lots=20_000, buys=50_000)
    assert judge(ask(-1, 20_000, reduce_only=True), broken, closed="HALTED").reason == "reduces"
    # without the mark it still only reduces
    assert judge(ask(-1, 20_000), broken, closed="HALTED").approved
    assert not judge(ask(-1, 20_001), broken, closed="HALTED").approved


def test_reduce_only_orders_take_the_room_that_closing_orders_would_have_had() -> None:
    account = totals(lots=100)
    account.add(-1, 100, 68.0, reduce_only=True)
    # if the reduce-only order fills first, this one opens a short
    got = judge(ask(-1, 100), account, closed="PAUSED")
    assert (got.approved, got.reason) == (False, "PAUSED")


def test_a_smaller_exposure_scale_tightens_the_limit() -> None:
    # 30 % of 8,000 is 2,400, or 3,529 lots
    assert judge(ask(1, 3_529), totals(), scale=0.3).approved
    assert judge(ask(1, 3_530), totals(), scale=0.3).reason == "exposure_limit"


def test_limits_of_position_notional_and_single_order() -> None:
    account = totals(lots=1_000, buys=500)
    assert judge(ask(1, 500), account, max_position=2.0).approved
    assert judge(ask(1, 501), account, max_position=2.0).reason == "max_position"
    assert judge(ask(1, 500), account, max_notional=1_360.0).approved
    assert judge(ask(1, 501), account, max_notional=1_360.0).reason == "max_notional"
    assert judge(ask(1, 200), account, max_order_notional=136.0).approved
    assert judge(ask(1, 201), account, max_order_notional=136.0).reason == "max_notional"


def test_an_order_beyond_the_margin_that_the_venue_still_lends_is_refused() -> None:
    account = totals()
    account.available = 6.8
    # 100 lots of 0.68 at 10x ask for 6.80
    assert judge(ask(1, 100), account).approved
    assert judge(ask(1, 101), account).reason == "available_margin"
    # a position of 1,000 lots is closed first: 1,100 lots open only 100
    account.set_position(-1_000, -680.0)
    assert judge(ask(1, 1_100), account).approved
    assert judge(ask(1, 1_101), account).reason == "available_margin"


def test_a_modify_counts_its_old_order_only_once() -> None:
    account = totals(buys=11_000)
    # 11,000 lots rest, of which 1,000 become 1,764
    assert judge(ask(1, 1_764, old_lots=1_000, old_value=680.0), account).approved
    assert not judge(ask(1, 1_765, old_lots=1_000, old_value=680.0), account).approved


def test_a_modify_that_makes_nothing_larger_goes_even_when_equity_has_fallen() -> None:
    account = totals(equity=100.0, buys=11_000)
    assert judge(ask(1, 1_000, old_lots=1_000, old_value=680.0), account).reason == "not_larger"
    assert not judge(ask(1, 1_001, old_lots=1_000, old_value=680.0), account).approved


def test_what_leaves_is_taken_out_of_the_totals() -> None:
    account = totals(buys=5)
    account.add(1, -5, -5 * LOT_VALUE)
    account.add(-1, 7, 4.0, reduce_only=True)
    account.add(-1, -7, -4.0, reduce_only=True)
    assert (account.buy_lots, account.buy_value, account.reduce_lots) == (0, 0.0, 0)


def test_a_lot_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="lot is 0"):
        OrderLimits(LimitConfig(), 0.0)


orders = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.integers(1, 400), st.booleans()), min_size=1, max_size=6
)


def worst_position(position: int, sent: list[tuple[int, int, bool]]) -> int:
    """The largest position that any set of these orders, filled in any order, can lead to (by brute force)."""
    worst = abs(position)
    for chosen in product((False, True), repeat=len(sent)):
        for reduce_first in (True, False):
            at = position
            filled = [order for order, taken in zip(sent, chosen, strict=True) if taken]
            for side, lots, reduce_only in sorted(filled, key=lambda order: order[2] != reduce_first):
                if reduce_only:
                    at += side * min(lots, max(0, -at * side))
                else:
                    at += side * lots
                worst = max(worst, abs(at))
    return worst


@given(st.integers(-500, 500), orders)
def test_approved_orders_never_lead_past_the_limit_in_any_combination_of_fills(
    position: int, asked: list[tuple[int, int, bool]]
) -> None:
    limits = OrderLimits(LimitConfig(max_position=0.6), 0.001)
    account = totals(equity=1e9, lots=position)
    sent: list[tuple[int, int, bool]] = []
    for side, lots, wants_reduce in asked:
        reduce_only = wants_reduce and side * position < 0
        order = ask(side, lots, reduce_only=reduce_only)
        if limits.judge(1, order, account).approved:
            account.add(side, lots, order.value, reduce_only=reduce_only)
            sent.append((side, lots, reduce_only))
    assert worst_position(position, sent) <= 600


@given(st.integers(-500, 500), orders, st.floats(10, 1_000), st.floats(1, 25))
def test_approved_orders_keep_the_margin_ratio_within_its_limit(
    position: int, asked: list[tuple[int, int, bool]], equity: float, leverage: float
) -> None:
    limits = OrderLimits(LimitConfig(), 0.001)
    account = totals(equity=equity, leverage=leverage, lots=position)
    added = False
    for side, lots, _ in asked:
        order = ask(side, lots)
        got = limits.judge(1, order, account)
        if got.approved:
            account.add(side, lots, order.value)
            added = added or got.reason != "reduces"
    held = abs(position) * LOT_VALUE
    own, other = account.buy_value, account.sell_value
    if position < 0:
        own, other = other, own
    if added:
        assert (held + max(own, other - held)) / leverage / equity <= 0.80 + 1e-9


@given(
    st.integers(-1_000, 1_000).filter(bool),
    st.integers(1, 1_000),
    st.floats(-1e4, 1e4),
    st.sampled_from(["", "PAUSED", "HALTED"]),
    st.booleans(),
)
def test_what_only_reduces_is_always_approved(
    position: int, lots: int, equity: float, closed: str, marked: bool
) -> None:
    account = totals(equity=equity, lots=position, buys=900, sells=0)
    account.clear_orders()
    side = -1 if position > 0 else 1
    order = ask(side, min(lots, abs(position)), reduce_only=marked)
    assert judge(order, account, closed=closed, max_position=0.001, max_notional=1.0).approved
