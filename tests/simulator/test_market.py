"""One simulated run: what can never happen in it, and which way its knobs turn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_catalog.calibrate_report import walk_bars
from amm500_catalog.simulator import SimulatorConfig
from amm500_catalog.simulator import TwinConfig
from amm500_catalog.simulator.book import ASK
from amm500_catalog.simulator.book import BID
from amm500_catalog.simulator.book import touch_path
from amm500_catalog.simulator.path import RunBars
from amm500_catalog.simulator.run import Market
from amm500_catalog.simulator.run import simulate_run


START = 1_768_435_200 * 10**9
MARKET = Market(tick=0.01, lot=0.001)


def _bars(*, minutes: int = 20, seed: int = 1, deviation_bps: float = 0.2, interval_s: int = 60) -> RunBars:
    bars = walk_bars(hours=minutes / 60, seed=seed, deviation_bps=deviation_bps, interval_s=interval_s)
    ticks = {c: bars[c].to_numpy() / MARKET.tick for c in ("open", "high", "low", "close")}
    return RunBars(steps=np.full(len(bars), 2 * interval_s, dtype=np.int64), **ticks)


def _run(bars: RunBars, *, seed: int = 1, volume: float = 50_000.0, **config):
    return simulate_run(
        bars, start_ns=START, volume=volume, market=MARKET, config=SimulatorConfig(**config), seed=(seed,)
    )


def test_books_come_off_the_grid_in_order_and_inside_the_run() -> None:
    run = _run(_bars())
    step = 500_000_000
    late = run.ts - START - np.arange(len(run.ts)) * step
    assert run.ts[0] == START
    assert (late >= 0).all()
    assert (late < 0.9 * step).all()
    assert np.diff(run.ts).min() >= 0.1 * step
    # evenly over nine tenths of the interval: an order under way for 200 ms meets a new book in four of ten cases
    assert late.mean() == pytest.approx(0.45 * step, rel=0.03)
    second = np.arange(START, START + 1_200 * 10**9, 10**9)
    met = np.searchsorted(run.ts, second + 200_000_000) - np.searchsorted(run.ts, second, side="right")
    assert 0.3 < (met > 0).mean() < 0.5
    assert (run.print_ts > run.ts[run.prints.step]).all()
    after = np.append(run.ts, START + len(run.ts) * step)[run.prints.step + 1]
    assert (run.print_ts + 1_000_000 < after).all()
    assert (np.diff(run.print_ts) >= 0).all()


def test_without_jitter_books_come_on_the_grid() -> None:
    run = _run(_bars(), book_jitter=0.0)
    assert (run.ts == START + np.arange(len(run.ts)) * 500_000_000).all()
    assert (run.print_ts == run.ts[run.prints.step] + run.prints.offset_ms * 1_000_000).all()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    deviation_bps=st.floats(0.0, 3.0),
    volume=st.floats(0.0, 1e6),
    toxicity=st.sampled_from(["low", "middle", "high"]),
    depth=st.floats(1_000.0, 1e7),
)
def test_no_book_is_crossed_and_no_trade_is_larger_than_what_it_sweeps(
    seed, deviation_bps, volume, toxicity, depth
):
    run = _run(
        _bars(seed=seed % 1000, deviation_bps=deviation_bps),
        seed=seed,
        volume=volume,
        toxicity=toxicity,
        bid_depth=depth,
        ask_depth=depth,
    )
    bids, asks = run.book.ticks
    assert (asks[:, 0] > bids[:, 0]).all()
    assert (np.diff(bids, axis=1) < 0).all()
    assert (np.diff(asks, axis=1) > 0).all()
    assert min(run.book.lots[BID].min(), run.book.lots[ASK].min()) > 0
    q = run.quotes
    assert (q.ask_ticks > q.bid_ticks).all()
    assert min(q.bid_lots.min(), q.ask_lots.min()) > 0
    assert (np.diff(q.ts) >= 0).all()
    _assert_trades_inside(run)


def _assert_trades_inside(run) -> None:
    p = run.prints
    when = p.step * 500 + p.offset_ms
    assert (np.diff(when) >= 0).all()
    assert ((p.offset_ms > 0) & (p.offset_ms < 500)).all()
    if not p.count:
        return
    assert p.lots.min() > 0
    for side, sign in ((BID, -1), (ASK, 1)):
        mine = p.side == sign
        eaten: dict[tuple[int, int], int] = {}
        for step, ticks, lots in zip(p.step[mine], p.ticks[mine], p.lots[mine], strict=True):
            eaten[step, ticks] = eaten.get((step, ticks), 0) + int(lots)
        for (step, ticks), lots in eaten.items():
            level = np.flatnonzero(run.book.ticks[side][step] == ticks)
            assert len(level) == 1
            assert lots <= run.book.lots[side][step, level[0]]
            # a level behind is only reached when those before it are gone
            for ahead in range(level[0]):
                before = int(run.book.ticks[side][step, ahead])
                assert eaten.get((step, before), 0) == run.book.lots[side][step, ahead]


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 1000),
    deviation_bps=st.floats(0.05, 3.0),
    interval_s=st.sampled_from([60, 300, 900]),
)
def test_the_latent_price_opens_tops_bottoms_and_closes_with_every_bar(seed, deviation_bps, interval_s):
    bars = _bars(minutes=60, seed=seed, deviation_bps=deviation_bps, interval_s=interval_s)
    run = _run(bars, seed=seed)
    inside = run.latent.reshape(len(bars.open), -1)
    assert inside[:, 0] == pytest.approx(bars.open)
    assert inside[:, -1] == pytest.approx(bars.close)
    assert inside.max(axis=1) == pytest.approx(bars.high)
    assert inside.min(axis=1) == pytest.approx(bars.low)


@pytest.mark.parametrize("deviation_bps", [0.2, 1.0])
def test_the_mid_is_within_two_ticks_of_every_bar(deviation_bps):
    bars = _bars(minutes=120, deviation_bps=deviation_bps)
    run = _run(bars)
    mid = (run.book.mid_half_ticks / 2.0).reshape(len(bars.open), -1)
    for found, wanted in (
        (mid[:, 0], bars.open),
        (mid.max(axis=1), bars.high),
        (mid.min(axis=1), bars.low),
        (mid[:, -1], bars.close),
    ):
        assert np.abs(found - wanted).max() <= 2.0


def test_the_touch_stays_until_the_price_leaves_the_slack():
    # spread 1: the middle of bid 100 is 100.5; 0.75 of slack holds it from 99.75 to 101.25, then it follows
    latent = np.array([100.5, 101.2, 101.25, 101.3, 100.8, 100.7])
    bid = touch_path(latent, np.ones(6, dtype=np.int64), slack_ticks=0.75)
    assert bid.tolist() == [100, 100, 100, 101, 101, 100]


def test_the_volume_is_the_asked_one():
    run = _run(_bars(minutes=240), volume=500_000.0)
    traded = float((run.prints.lots * run.prints.ticks).sum()) * MARKET.tick_lot
    assert traded == pytest.approx(500_000.0, rel=0.02)


def test_a_price_that_trades_shows_less_at_the_next_book():
    bars = _bars(minutes=240)
    quiet, busy = (_run(bars, volume=v) for v in (1e-9, 500_000.0))
    assert quiet.prints.count == 0
    p = busy.prints
    next_step = np.minimum(p.step + 1, len(busy.ts) - 1)
    side = np.where(p.side > 0, ASK, BID)
    checked = 0
    for step, book_side, ticks, lots in zip(next_step, side, p.ticks, p.lots, strict=True):
        level = np.flatnonzero(busy.book.ticks[book_side][step] == ticks)
        if not len(level):
            continue
        untouched = int(quiet.book.lots[book_side][step, level[0]])
        fewest = 15  # ten dollars at 690 in lots of 0.001
        assert busy.book.lots[book_side][step, level[0]] <= max(untouched - 0.99 * lots + 1, fewest)
        checked += 1
    assert checked > 100


def test_higher_toxicity_brings_more_takers_whose_moves_last():
    bars = _bars(minutes=240)
    # who knows a move that lasts is what hurts a maker five seconds later
    lasting = [_run(bars, volume=3e6, toxicity=t).mix.shares["lasting"] for t in ("low", "middle", "high")]
    assert lasting[0] < lasting[1] < lasting[2]


def test_more_depth_is_shown_where_it_is_configured():
    bars = _bars()
    thin, deep = (_run(bars, bid_depth=d) for d in (50_000.0, 500_000.0))
    assert np.median(deep.book.lots[BID].sum(axis=1)) > 8 * np.median(thin.book.lots[BID].sum(axis=1))
    assert (deep.book.lots[ASK] == thin.book.lots[ASK]).mean() > 0.9


def test_the_twin_leads_the_thin_book_by_its_lag():
    twin = TwinConfig(lag_ms=2_000, price_scale=10.0, price_decimals=2)
    run = _run(_bars(minutes=240, deviation_bps=1.0), twin=twin)
    thin = run.book.mid_half_ticks / 2.0
    far = run.twin.book.mid_half_ticks / 2.0 / 10.0
    move_thin, move_far = (np.diff(m[::2]) for m in (thin, far))
    lags = [np.corrcoef(move_far[: len(move_far) - k], move_thin[k:])[0, 1] for k in range(5)]
    assert int(np.argmax(lags)) == 2


def test_a_price_that_stands_still_still_has_a_book_and_noise_trades():
    flat = RunBars(*(np.full(10, 69_000.0) for _ in range(4)), steps=np.full(10, 120, dtype=np.int64))
    run = _run(flat)
    assert (run.latent == 69_000.0).all()
    assert run.prints.count > 0
