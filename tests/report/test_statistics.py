"""The definitions of section 13, with the arithmetic shown."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.report.statistics import FillArrays
from amm500_nautilus.report.statistics import PathArrays
from amm500_nautilus.report.statistics import block_ends
from amm500_nautilus.report.statistics import block_figures
from amm500_nautilus.report.statistics import block_returns
from amm500_nautilus.report.statistics import blocks_per_year
from amm500_nautilus.report.statistics import closes_of
from amm500_nautilus.report.statistics import losing_runs
from amm500_nautilus.report.statistics import markout_bps
from amm500_nautilus.report.statistics import max_drawdown
from amm500_nautilus.report.statistics import mean_capital
from amm500_nautilus.report.statistics import pnl_path
from amm500_nautilus.report.statistics import win_rate
from amm500_nautilus.report.statistics import without_transfers


SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
ALL = np.array([True])


def one(value: float) -> np.ndarray:
    return np.array([value])


@pytest.mark.parametrize(
    ("side", "later", "expected"),
    [
        # bought at 100, the mid rises by 0.05: 5 bp for us
        pytest.param(1, 100.05, 5.0, id="a buy before a rise gains"),
        pytest.param(1, 99.95, -5.0, id="a buy before a fall loses"),
        pytest.param(-1, 99.95, 5.0, id="a sale before a fall gains"),
        pytest.param(-1, 100.05, -5.0, id="a sale before a rise loses"),
    ],
)
def test_markout_takes_the_makers_side(side, later, expected):
    assert markout_bps(one(side), one(2.0), one(100.0), one(later), ALL) == pytest.approx(expected)


def test_markout_weighs_by_size_and_leaves_out_fills_near_the_end():
    # 3 contracts at +1 bp and 1 at -5 bp: (3 - 5) / 4 = -0.5; the third fill has less than 60 s after it
    side, qty = np.array([1.0, 1.0, 1.0]), np.array([3.0, 1.0, 50.0])
    price, later = np.full(3, 100.0), np.array([100.01, 99.95, 90.0])
    complete = np.array([True, True, False])
    assert markout_bps(side, qty, price, later, complete) == pytest.approx(-0.5)
    assert markout_bps(side, qty, price, later, np.zeros(3, dtype=bool)) is None


@pytest.mark.parametrize(
    ("minutes", "ends"),
    [
        pytest.param(390, [60, 120, 180, 240, 300, 390], id="cash hours: the half hour joins the last block"),
        pytest.param(210, [60, 120, 210], id="a half day"),
        pytest.param(120, [60, 120], id="whole hours"),
        pytest.param(45, [45], id="a session under an hour is one block"),
    ],
)
def test_blocks_run_from_the_open_and_the_last_takes_the_remainder(minutes, ends):
    begin = 1_000 * HOUR + 30 * MINUTE
    got = block_ends([(begin, begin + minutes * MINUTE)])
    assert [int(end - begin) // MINUTE for end in got] == ends


def test_a_gap_return_belongs_to_the_next_block():
    # equity 100 at the open, 102 at the first close; it opens the next day at 51 after the gap and ends at 51
    sessions = [(0, HOUR), (24 * HOUR, 25 * HOUR)]
    ts = np.array([0, HOUR, 24 * HOUR, 25 * HOUR])
    returns = block_returns(ts, np.array([100.0, 102.0, 51.0, 51.0]), sessions)
    assert returns == pytest.approx([0.02, -0.5])


def test_blocks_a_year():
    assert blocks_per_year(86_400, 365) == 8_760
    assert blocks_per_year(6.5 * 3_600, 252) == 6 * 252


def test_sharpe_and_sortino_by_hand():
    # 60 blocks of +2 bp and 40 of -1 bp: mean 0.8 bp; squared deviations 60 * 1.2^2 + 40 * 1.8^2 = 216 over 99
    returns = np.array([2e-4] * 60 + [-1e-4] * 40)
    figures = block_figures(returns, total_return=0.008, per_year=8_760)
    assert figures.sharpe == pytest.approx(0.8 / math.sqrt(216 / 99) * math.sqrt(8_760))
    # downside: root of (40 * 1^2) / 100
    assert figures.sortino == pytest.approx(0.8 / math.sqrt(0.4) * math.sqrt(8_760))
    assert figures.annual_roi == pytest.approx(0.008 * 87.6)


@pytest.mark.parametrize(
    ("returns", "words"),
    [
        pytest.param(np.full(99, 1e-4), "blocks: 99", id="one block short of a hundred"),
        pytest.param(np.append(np.full(99, 1e-4), -1.0), "zero", id="equity wiped out"),
        pytest.param(np.zeros(100), "never moved", id="nothing happened"),
    ],
)
def test_a_sharpe_that_cannot_be_given_is_none_with_a_reason(returns, words):
    figures = block_figures(returns, 0.0, 8_760)
    assert figures.sharpe is None
    assert words in figures.reason


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param([100, 110, 99, 120], 0.1, id="from the peak of 110 to 99"),
        pytest.param([100, 101, 102], 0.0, id="never falls"),
        # the later fall is larger in money and smaller in share
        pytest.param([10, 8, 100, 90], 0.2, id="share of its own peak"),
    ],
)
def test_drawdown_is_the_largest_share_of_a_peak(path, expected):
    assert max_drawdown(np.array(path, dtype=float)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("equity", "transfers", "expected"),
    [
        pytest.param([1000, 990, 995], [0, 0, 0], [1000, 990, 995], id="nothing moved"),
        pytest.param([1500, 1485], [500, 500], [1500, 1485], id="moved before the first point"),
        # 60 of 10,000 are 0.6 %, whatever the account began with
        pytest.param([1000, 10_000, 9_940], [0, 9_000, 9_000], [1000, 1000, 994], id="a deposit"),
        pytest.param([1000, 9_940], [0, 9_000], [1000, 994], id="a deposit of the same minute"),
        pytest.param([10_000, 1000, 500], [0, -9_000, -9_000], [10_000, 10_000, 5_000], id="a withdrawal"),
        pytest.param([1000, 0, 500], [0, 0, 500], [1000, 0, 0], id="what is lost is lost"),
        pytest.param([1000, 6000, 6060], [0, 0, 5000], [1000, 1000, 1010], id="shown before it is told"),
        pytest.param([1000, 1001, 6006], [0, 5000, 5000], [1000, 1001, 1001 * 6006 / 6001], id="shown after"),
    ],
)
def test_what_is_gained_counts_against_what_was_there_to_gain_it(equity, transfers, expected):
    path = without_transfers(np.array(equity, dtype=float), np.array(transfers, dtype=float))
    assert path == pytest.approx(np.array(expected, dtype=float))


def test_the_capital_is_what_was_there_on_average():
    equity, transfers = np.array([1000.0, 1010.0, 3020.0, 3030.0]), np.array([0.0, 0.0, 2000.0, 2000.0])
    assert mean_capital(equity, transfers) == 2000.0


def test_closes_of_one_side_within_a_second_of_the_first_count_as_one():
    # sells at 0, 0.6 and 1.0 s are one close (+3 - 1 - 4 = -2, a loss); at 1.1 s a new one (+2); the buy at 0.5 s is its own
    ts = np.array([0, 5, 6, 10, 11]) * SECOND // 10
    side = np.array([-1.0, 1.0, -1.0, -1.0, -1.0])
    net = np.array([3.0, 0.5, -1.0, -4.0, 2.0])
    closes = closes_of(ts, side, net)
    # in order of time: the sells', the buy, the last sell
    assert closes.tolist() == [-2.0, 0.5, 2.0]
    assert win_rate(closes) == pytest.approx(2 / 3)


def test_a_close_exactly_a_second_after_the_first_still_belongs_to_it():
    ts = np.array([0, SECOND, 3 * SECOND, 4 * SECOND + 1])
    closes = closes_of(ts, np.full(4, -1.0), np.array([1.0, -2.0, 1.0, -2.0]))
    # +1 - 2 is one loss; 1 ns later than a second, +1 and -2 stand apart
    assert closes.tolist() == [-1.0, 1.0, -2.0]
    assert win_rate(closes) == pytest.approx(1 / 3)


def test_fills_that_only_open_are_no_closes_and_a_zero_is_no_win():
    assert closes_of(np.array([0]), one(1.0), one(np.nan)).tolist() == []
    assert win_rate(one(0.0)[:0]) is None
    assert win_rate(closes_of(np.array([0]), one(1.0), one(0.0))) == 0.0


@pytest.mark.parametrize(
    ("closes", "runs"),
    [
        ([], ()),
        ([1.0, 0.0], ()),
        # -1 | -1 -2 -3 | a zero ends a run and loses nothing | -1
        ([-1.0, 2.0, -1.0, -2.0, -3.0, 0.0, -1.0], (2, 0, 1)),
        ([-1.0, -1.0], (0, 1)),
    ],
)
def test_losing_runs_are_counted_by_length(closes, runs):
    assert losing_runs(np.array(closes)) == runs


# -- the identity -----------------------------------------------------------------------------------------------------

STEP = st.tuples(
    st.integers(-40, 40),  # the mid's move in half ticks
    st.sampled_from([-1, 0, 1]),  # fill side, 0 for none
    st.integers(1, 5_000),  # lots
    st.integers(-30, 30),  # price less mid, ticks
    st.integers(-500, 500),  # fee, millionths
    st.booleans(),  # a row of the path after it
    st.one_of(
        st.none(), st.integers(-60, 60)
    ),  # the mid 5 s later less the mid, half ticks; none beyond the data
    st.integers(-1_000, 1_000),  # funding, millionths
)


@given(st.lists(STEP, min_size=1, max_size=40))
def test_parts_sum_to_what_the_ledger_earned_whatever_happens(steps):
    mid, cash, position = 138_000, 0.0, 0.0
    funding = 0.0
    fills, rows = [], [(0, 0, 1_000.0, 0.0, mid / 200, 0.0)]
    for number, (move, side, lots, offset, fee, row, later, paid) in enumerate(steps, start=1):
        mid += move
        if side:
            price, qty = (mid // 2 + offset) / 100, lots / 1_000
            position += side * qty
            cash -= side * qty * price + fee / 1e6
            after = math.nan if later is None else (mid + later) / 200
            fills.append((side, qty, price, mid / 200, after, fee / 1e6, position))
        cash += paid / 1e6
        funding += paid / 1e6
        if row or number == len(steps):
            rows.append(
                (
                    number * MINUTE,
                    len(fills),
                    1_000 + cash + position * mid / 200,
                    position,
                    mid / 200,
                    funding,
                )
            )
    columns = [np.array(column, dtype=float) for column in zip(*fills, strict=True)] or [np.array([])] * 7
    ts, counts, equity, held, mids, funded = (np.array(column) for column in zip(*rows, strict=True))
    nothing = np.zeros(len(rows))
    path = pnl_path(
        FillArrays(*columns), PathArrays(ts, counts, equity, held, mids, funded, nothing, nothing)
    )
    parts = (
        path.spread_capture
        + path.adverse_selection
        + path.inventory
        + path.fees
        + path.funding
        + path.liquidation
    )
    # the sum holds at every row, not just the last
    np.testing.assert_allclose(parts, path.total, atol=1e-7)


def one_fill(side: int, mid_5s: float, last_mid: float) -> object:
    """Two contracts at 100.00 under (over) a mid of 100.05 (99.95), held to the end."""
    mid = 100.05 if side > 0 else 99.95
    fills = FillArrays(one(side), one(2.0), one(100.0), one(mid), one(mid_5s), one(0.01), one(2.0 * side))
    equity = np.array([1_000.0, 1_000.0 + side * 2 * (last_mid - 100.0) - 0.01])
    path = PathArrays(
        np.array([0, MINUTE]),
        np.array([0, 1]),
        equity,
        np.array([0.0, 2.0 * side]),
        np.array([mid, last_mid]),
        *(np.zeros(2) for _ in range(3)),
    )
    return pnl_path(fills, path)


def test_a_buy_before_a_falling_mid_is_adverse():
    path = one_fill(+1, mid_5s=100.02, last_mid=100.10)
    # captured 2 * 0.05; adverse 2 * (100.02 - 100.05); the rest of 2 * (100.10 - 100.05) is inventory
    assert path.spread_capture[-1] == pytest.approx(0.10)
    assert path.adverse_selection[-1] == pytest.approx(-0.06)
    assert path.inventory[-1] == pytest.approx(0.10 + 0.06)
    assert path.fees[-1] == pytest.approx(-0.01)
    assert path.total[-1] == pytest.approx(0.19)


def test_a_sale_before_a_rising_mid_is_adverse():
    path = one_fill(-1, mid_5s=99.98, last_mid=99.90)
    assert path.spread_capture[-1] == pytest.approx(0.10)
    assert path.adverse_selection[-1] == pytest.approx(-0.06)
    assert path.inventory[-1] == pytest.approx(0.10 + 0.06)


def test_a_fill_near_the_end_takes_the_last_mid_inside_the_data():
    path = one_fill(+1, mid_5s=math.nan, last_mid=100.01)
    assert path.adverse_selection[-1] == pytest.approx(-0.08)
    assert path.inventory[-1] == pytest.approx(0.0)


def test_funding_received_is_a_gain_and_a_penalty_a_loss():
    nothing = FillArrays(*(np.array([]) for _ in range(7)))
    path = PathArrays(
        np.array([0, MINUTE]),
        np.array([0, 0]),
        np.array([1_000.0, 1_000.3]),
        np.zeros(2),
        np.full(2, 100.0),
        np.array([0.0, 0.5]),
        np.array([0.0, 0.2]),
        np.zeros(2),
    )
    parts = pnl_path(nothing, path)
    assert (parts.funding[-1], parts.liquidation[-1]) == (0.5, -0.2)
    assert parts.total[-1] == pytest.approx(0.3)


def test_rows_before_the_first_book_have_no_mid_and_change_nothing():
    fills = FillArrays(one(1.0), one(1.0), one(99.0), one(100.0), one(100.0), one(0.0), one(1.0))
    mids = np.array([math.nan, 100.0, 101.0])
    path = PathArrays(
        np.arange(3) * MINUTE,
        np.array([0, 0, 1]),
        np.array([1e3, 1e3, 1e3 + 2]),
        np.array([0.0, 0, 1]),
        mids,
        *(np.zeros(3),) * 3,
    )
    parts = pnl_path(fills, path)
    assert parts.spread_capture[-1] + parts.adverse_selection[-1] + parts.inventory[-1] == pytest.approx(2.0)
