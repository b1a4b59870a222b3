"""The queue's parameter comes back from fills whose parameter is known: by the likelihood's own story, and by the exchange's fill engine."""

import math

import numpy as np
import pytest

from amm500_nautilus.research.queue_fit import Episode
from amm500_nautilus.research.queue_fit import QueueWatch
from amm500_nautilus.research.queue_fit import fit_queue
from amm500_nautilus.research.queue_fit import room_after_trades
from amm500_nautilus.simulation.fill import FillEngine
from amm500_nautilus.simulation.fill import RestingOrder
from amm500_nautilus.simulation.queue import make_queue_model


MODEL = "power_prob_queue_model3"


def random_episode(rng: np.random.Generator, n: float, sigma: float) -> Episode:
    """An order whose price trades and loses cancellations; its error decides at which trade it fills."""
    shown = int(rng.integers(40, 120))
    episode = Episode(shown)
    behind = shown
    for _ in range(30):
        joined = int(rng.integers(0, 8))
        behind += joined
        episode.add_depth(behind - joined, behind)
        gone = min(behind, int(rng.integers(0, 12)))
        episode.add_depth(behind, behind - gone)
        behind -= gone
        lots = min(behind, int(rng.integers(0, 6)))
        if lots:
            episode.add_trade(lots)
            behind -= lots
            episode.add_depth(behind + lots, behind)
    error = rng.normal(0.0, sigma)
    room = room_after_trades(episode, make_queue_model(MODEL, n))
    episode.filled_at = next((place for place, value in enumerate(room) if value > error), None)
    return episode


@pytest.mark.parametrize(("n", "sigma", "seed"), [(1.0, 0.1, 1), (3.0, 0.05, 3)])
def test_a_known_exponent_is_recovered_within_its_interval(n: float, sigma: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fit = fit_queue([random_episode(rng, n, sigma) for _ in range(150)], MODEL)
    assert fit.low <= n <= fit.high
    assert fit.high / fit.low < 2.5
    assert fit.sigma == pytest.approx(sigma, rel=0.5)
    # the model in which cancellations never help explains these fills far worse
    assert fit.log_likelihood > fit.risk_adverse + 10


@pytest.mark.soak
def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(23)
    covered = 0
    for _ in range(40):
        fit = fit_queue([random_episode(rng, 3.0, 0.1) for _ in range(150)], MODEL)
        covered += fit.low <= 3.0 <= fit.high
    # 95 % of 40 is 38; fewer than 34 would happen once in 400 times
    assert covered >= 34


def test_a_whole_exponent_is_tried_itself_for_the_model_is_another_beside_it() -> None:
    rng = np.random.default_rng(23)
    episodes = [random_episode(rng, 3.0, 0.1) for _ in range(300)][150:]
    fit = fit_queue(episodes, MODEL)
    assert fit.n == 3.0
    assert fit.low <= 3.0 <= fit.high


def test_the_interval_excludes_another_exponent() -> None:
    rng = np.random.default_rng(5)
    fit = fit_queue([random_episode(rng, 1.0, 0.05) for _ in range(120)], MODEL)
    assert fit.high < 2.0


def run_engine(n: float, seed: int, orders: int) -> list[Episode]:
    """Orders in the simulated exchange's own fill engine, watched from outside."""
    rng = np.random.default_rng(seed)
    watch = QueueWatch()
    ts = 0
    for number in range(orders):
        engine = FillEngine(make_queue_model(MODEL, n))
        shown, key, ticks = int(rng.integers(40, 120)), f"O-{number}", 69_000
        engine.place(RestingOrder(key, 1, ticks, 5, reduce_only=False, payload=None), shown)
        watch.joined(key, 1, ticks, shown)
        for _ in range(40):
            ts += 1
            if rng.random() < 0.35:
                lots = int(rng.integers(1, 10))
                fills = engine.on_trade(ticks, lots, -1)
                watch.trade(ts, -1, ticks, lots)
                shown = max(0, shown - lots)
                if fills:
                    watch.filled(key, ts)
                    break
            else:
                shown = max(1, shown + int(rng.integers(-9, 8)))
            engine.on_level(1, ticks, shown)
            watch.level(1, ticks, shown)
        else:
            watch.left(key)
    return watch.finish()


@pytest.mark.parametrize("n", [1.5, 4.0])
def test_the_exchanges_own_fills_give_back_the_exponent_it_ran_with(n: float) -> None:
    fit = fit_queue(run_engine(n, 17, 200), MODEL)
    assert fit.low * 0.93 <= n <= fit.high * 1.07
    assert fit.n == pytest.approx(n, rel=0.2)


def sweep_queue(seed: int, orders: int) -> list[Episode]:
    """A queue of single orders, any of which may be canceled; a taker's trade prints once for each of them that it meets."""
    rng = np.random.default_rng(seed)
    watch, ts = QueueWatch(), 0
    for number in range(orders):
        key, is_met = f"O-{number}", False
        queue = [int(lots) for lots in rng.integers(2, 9, rng.integers(8, 20))]
        # ours is the order at this place, five lots
        own = len(queue)
        watch.joined(key, 1, 69_000, sum(queue))
        queue.append(5)
        while ts < 100 * number + 60 and not is_met:
            ts += 1
            kind = rng.random()
            if kind < 0.3:
                taken = int(rng.integers(5, 40))
                while taken and queue:
                    lots = min(taken, queue[0])
                    watch.trade(ts, -1, 69_000, lots)
                    is_met |= own == 0
                    taken, queue[0] = taken - lots, queue[0] - lots
                    if not queue[0]:
                        queue, own = queue[1:], own - 1
            elif kind < 0.65:
                queue.append(int(rng.integers(2, 9)))
            elif len(queue) > 1:
                place = int(rng.choice([place for place in range(len(queue)) if place != own]))
                queue.pop(place)
                own -= place < own
            if is_met:
                watch.filled(key, ts)
            else:
                watch.level(1, 69_000, sum(queue) - queue[own])
        watch.left(key)
        ts = 100 * (number + 1)
    return watch.finish()


def test_prints_of_one_taker_are_one_trade_and_those_behind_us_say_nothing() -> None:
    watch = QueueWatch()
    watch.joined("a", 1, 100, 10)
    watch.trade(5, -1, 100, 4)
    watch.trade(6, -1, 100, 6)
    watch.trade(6, -1, 100, 5)
    watch.trade(6, -1, 100, 9)
    watch.filled("a", 6)
    (episode,) = watch.finish()
    assert episode.events == [(True, 4, 0), (True, 20, 0)]
    assert (episode.trades, episode.filled_at) == (2, 1)


def test_fills_of_a_queue_whose_every_maker_prints_give_back_its_exponent() -> None:
    # each order is as likely to be canceled as any other: of what goes, the share ahead of us is front / whole, an exponent of 1
    fit = fit_queue(sweep_queue(2, 150), MODEL)
    assert fit.low <= 1.0 <= fit.high
    assert fit.high < 2.0


def test_a_fill_without_a_trade_at_its_price_is_no_word_on_the_queue() -> None:
    watch = QueueWatch()
    watch.joined("a", 1, 100, 10)
    watch.trade(5, -1, 100, 3)
    watch.filled("a", 9)
    watch.joined("b", -1, 101, 10)
    # a seller's trade, and a trade elsewhere, are none of an ask's
    watch.trade(10, -1, 101, 3)
    watch.trade(11, 1, 102, 3)
    watch.trade(12, 1, 101, 30)
    watch.filled("b", 12)
    watch.joined("unknown", 1, 90, None)
    first, second = watch.finish()
    assert (first.trades, first.filled_at) == (1, None)
    assert (second.trades, second.filled_at) == (1, 0)


def test_moving_an_order_begins_a_new_queue() -> None:
    watch = QueueWatch()
    watch.joined("a", 1, 100, 10)
    watch.level(1, 100, 7)
    watch.joined("a", 1, 101, 4)
    watch.level(1, 100, 1)
    first, second = watch.finish()
    assert first.events == [(False, 10, 7)]
    assert (second.displayed, second.events) == (4, [])


def test_too_few_fills_are_refused_and_so_is_a_model_without_a_parameter() -> None:
    with pytest.raises(ValueError, match="at least 20"):
        fit_queue([Episode(5)] * 100)
    full = [Episode(0, [(True, 1, 0)], 1, 0) for _ in range(30)]
    with pytest.raises(ValueError, match="no parameter"):
        fit_queue(full, "risk_adverse")


def test_fills_that_say_nothing_leave_the_whole_range_open() -> None:
    # nothing was ever canceled, so that no exponent differs from another
    fit = fit_queue([Episode(3, [(True, 5, 0)], 1, 0) for _ in range(30)])
    assert fit.low == pytest.approx(0.1)
    assert fit.high == pytest.approx(30.0)
    assert math.isfinite(fit.log_likelihood)
