"""The Monte Carlo of liquidation: a closed form, paths that must be liquidated and paths that cannot be, the ledger against the screen."""

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from scipy.stats import norm

from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.research.bootstrap import draw_blocks
from amm500_nautilus.research.gates import liquidation_gate
from amm500_nautilus.research.intervals import Share
from amm500_nautilus.research.intervals import clopper_pearson
from amm500_nautilus.research.ruin import RuinSettings
from amm500_nautilus.research.ruin import RunPath
from amm500_nautilus.research.ruin import _Accounts
from amm500_nautilus.research.ruin import ruin_table
from amm500_nautilus.research.ruin import walk_block
from amm500_nautilus.simulation.books import LedgerShape


SHAPE = LedgerShape(tick=Decimal("0.01"), lot=Decimal("0.001"))
TABLE = MarginTable(25)
# Broadie, Glasserman and Kou (1997): a barrier looked at only each step lies this many step deviations further away
DISCRETE = 0.5826


def settings(**changes: object) -> RuinSettings:
    plain = RuinSettings(
        run_leverage=10.0,
        shape=SHAPE,
        table=TABLE,
        horizon=200,
        mean_block=20.0,
        paths=200,
        seed=11,
    )
    return replace(plain, **changes)


def held(moves: np.ndarray, contracts: float, equity: float = 1_000.0, price: float = 690.0) -> RunPath:
    """A position held through price moves (in price units), and nothing else earned or paid."""
    mid = price + np.concatenate(([0.0], np.cumsum(moves)))
    return RunPath(np.full(len(mid), contracts), mid, equity + contracts * (mid - price))


@pytest.mark.parametrize(("seed", "deviation"), [(1, 15.0), (2, 22.0)])
def test_brownian_equity_meets_a_known_barrier_as_often_as_the_closed_form_says(
    seed: int, deviation: float
) -> None:
    # a notional of 10,000 that never changes, equity 1,000 with steps of a known deviation and no drift: liquidation at 200, which is
    # 2 % of the notional; the probability to have been there by the end is 2 Phi(-distance / (deviation sqrt(steps)))
    rng = np.random.default_rng(seed)
    rows, horizon, paths = 4_000, 600, 1_500
    steps = rng.normal(0.0, 1.0, rows)
    # there and back again, so that price and position stay what they were: every step is drawn with its opposite
    steps = np.column_stack((steps, -steps)).ravel()
    contracts = 10_000 / 690.0
    path = held(steps * deviation / contracts / steps.std(), contracts)
    row = ruin_table(
        path,
        [10],
        settings(horizon=horizon, mean_block=1.0, paths=paths, seed=seed, sizing="fixed"),
    )[0]
    distance = 1_000.0 - 200.0 + DISCRETE * deviation
    expected = 2.0 * norm.cdf(-distance / (deviation * math.sqrt(horizon)))
    assert 0.005 < expected < 0.2
    assert row.probability.low <= expected <= row.probability.high
    # and the interval is narrow enough to have said no to a barrier elsewhere
    assert row.probability.high - row.probability.low < 0.04


def test_a_path_that_must_be_liquidated_is_and_one_that_cannot_be_is_not() -> None:
    # 14.5 contracts at 690 are ten times the equity of 1,000: a fall of 57 takes it below
    fall = np.full(100, -0.57)
    row = ruin_table(held(fall, 10.0, equity=1_000.0), [10], settings(horizon=100, mean_block=1e9, paths=50))[
        0
    ]
    assert (
        row.liquidated < row.paths
    )  # a path that begins late sees only the end of the fall, and then the beginning
    whole = walk_block(
        held(fall, 14.5, equity=1_000.0), 0, 100, equity=1_000.0, factor=1.0, leverage=10, settings=settings()
    )
    assert whole is not None
    # 14.5 * (690 - p) lost and 2 % of 14.5 * p needed: p = (14.5 * 690 - 1,000) / (14.5 * 0.98) = 633.71, equity 183.8 and just below
    assert whole == pytest.approx(14.5 * 0.02 * (14.5 * 690 - 1_000) / (14.5 * 0.98), abs=14.5 * 0.58)
    short = held(fall, -14.5, equity=1_000.0)
    assert walk_block(short, 0, 100, equity=1_000.0, factor=1.0, leverage=10, settings=settings()) is None
    flat = held(fall, 0.0)
    assert ruin_table(flat, [25], settings())[0].liquidated == 0


def test_more_leverage_is_liquidated_more_often_on_the_same_paths() -> None:
    # a price that is drawn back to its mean, so that the run itself lives
    rng = np.random.default_rng(7)
    away = np.zeros(3_001)
    for row in range(3_000):
        away[row + 1] = 0.98 * away[row] + rng.normal(0.0, 1.4)
    path = held(np.diff(away), 25.0, equity=2_000.0)
    rows = ruin_table(path, [5, 10, 20, 25], settings(horizon=1_000, mean_block=60.0))
    counts = [row.liquidated for row in rows]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] > counts[1]


def test_the_ledger_walked_through_every_block_says_the_same_as_the_screen_and_the_ledger_together() -> None:
    rng = np.random.default_rng(13)
    away, wanted = np.zeros(401), np.zeros(401)
    for row in range(400):
        away[row + 1] = 0.95 * away[row] + rng.normal(0.0, 3.0)
        wanted[row + 1] = 0.9 * wanted[row] + rng.normal(0.0, 14.0)
    mid, position = 690.0 + away, np.round(wanted, 3)
    earned = np.concatenate(([0.0], np.cumsum(position[:-1] * np.diff(mid) + rng.normal(0.0, 0.5, 400))))
    # what it lost beyond 3,000 it is taken to have earned by its spread, so that the run itself lives
    equity = 5_000.0 + 3_000.0 * np.tanh(earned / 3_000.0)
    path = RunPath(position, mid, equity)
    for sizing in ("proportional", "fixed"):
        asked = settings(horizon=300, mean_block=30.0, paths=60, sizing=sizing)
        row = ruin_table(path, [25], asked)[0]
        blocks = draw_blocks(
            np.random.default_rng(asked.seed), rows=path.rows, mean_length=30.0, paths=60, horizon=300
        )
        accounts = _Accounts(path, blocks, 2.5, asked)
        ended: set[int] = set()
        for block in range(len(blocks.path)):
            number = int(blocks.path[block])
            if number not in ended and accounts.equity[block] > 0:
                left = walk_block(
                    path,
                    int(blocks.start[block]),
                    int(blocks.length[block]),
                    equity=float(accounts.equity[block]),
                    factor=float(accounts.factor[block]),
                    leverage=25,
                    settings=asked,
                )
                ended |= {number} if left is not None else set()
        assert row.liquidated == len(ended)
        assert 0 < row.liquidated < 60
        assert row.walked_blocks < len(blocks.path) / 2


def test_a_path_of_one_long_block_ends_with_the_runs_own_equity_scaled() -> None:
    path = held(np.array([1.0, -2.0, 0.5, 3.0]), 2.0)
    asked = settings(horizon=4, mean_block=1e9, paths=400)
    row = ruin_table(path, [20], asked)[0]
    # begun at the first row: the whole gain of 2 * 2.5 on 1,000, doubled; otherwise the gain up to the end and then the beginning
    assert row.liquidated == 0
    assert row.median_equity == pytest.approx(1.0 + 2 * 5.0 / 1_000, rel=1e-3)


def test_a_run_that_was_wiped_out_cannot_be_scaled() -> None:
    with pytest.raises(ValueError, match="above 0"):
        RunPath(np.zeros(3), np.full(3, 690.0), np.array([10.0, 5.0, 0.0]))


def test_a_leverage_beyond_the_market_is_refused() -> None:
    with pytest.raises(ValueError, match="25"):
        ruin_table(held(np.zeros(10), 1.0), [26], settings())


@pytest.mark.parametrize(
    ("count", "paths", "passed"),
    [(0, 10_000, True), (450, 10_000, True), (480, 10_000, None), (560, 10_000, False), (0, 10, None)],
)
def test_the_gate_asks_the_whole_interval(count: int, paths: int, passed: bool | None) -> None:
    assert liquidation_gate(clopper_pearson(count, paths), 30.0).passed is passed


@pytest.mark.parametrize(("count", "passed"), [(0, None), (480, None), (560, False)])
def test_shorter_paths_than_a_month_can_fail_the_gate_and_never_pass_it(
    count: int, passed: bool | None
) -> None:
    assert liquidation_gate(clopper_pearson(count, 10_000), 29.0).passed is passed


def test_the_gate_has_no_answer_without_paths_and_says_what_it_saw() -> None:
    assert liquidation_gate(None, 30.0).passed is None
    assert "1.00 % (" not in liquidation_gate(Share(0.5, 0.4, 0.6), 30.0).reason
    assert "50.00%" in liquidation_gate(Share(0.5, 0.4, 0.6), 30.0).reason
