"""Fair value, the liquid twin, and the guards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.quoting.book import BookAnalysis
from amm500_nautilus.quoting.book import BookKeeper
from amm500_nautilus.quoting.config import BookConfig
from amm500_nautilus.quoting.config import FairValueConfig
from amm500_nautilus.quoting.config import ReferenceConfig
from amm500_nautilus.quoting.fair import Guards
from amm500_nautilus.quoting.fair import ReferenceTracker
from amm500_nautilus.quoting.fair import own_fair_ticks
from amm500_nautilus.quoting.types import BookView
from amm500_nautilus.quoting.types import MarketShape


S = 1_000_000_000


def reading(bid_lots: float, ask_lots: float, *, spread: int = 1) -> BookAnalysis:
    keeper = BookKeeper(BookConfig(), MarketShape(tick=0.01, lot=0.001))
    keeper.on_book(BookView(1, [69_000], [bid_lots], [69_000 + spread], [ask_lots]))
    out = keeper.analyze(1)
    assert out is not None
    return out


def test_fair_value_is_mid_plus_microprice_plus_imbalance() -> None:
    book = reading(3_000, 1_000)
    fair = own_fair_ticks(book, FairValueConfig(imbalance_shift_bps=0.5, imbalance_cap_bps=0.5))
    # mid 69000.5; microprice 69000.75, +0.25; imbalance 0.49999..., 0.25 bp of 69000.5 = 1.725
    assert fair == pytest.approx(69_000.5 + 0.25 + 1.725, abs=2e-3)


def test_heavier_bids_raise_fair_value() -> None:
    config = FairValueConfig()
    assert own_fair_ticks(reading(3_000, 1_000), config) > own_fair_ticks(reading(1_000, 3_000), config)


@given(bid=st.floats(0.001, 1e7), ask=st.floats(0.001, 1e7), spread=st.integers(1, 500))
def test_both_shifts_are_capped(bid: float, ask: float, spread: int) -> None:
    config = FairValueConfig(microprice_cap_bps=1.0, imbalance_shift_bps=3.0, imbalance_cap_bps=0.5)
    book = reading(bid, ask, spread=spread)
    assert abs(own_fair_ticks(book, config) - book.mid_ticks) <= 1.5e-4 * book.mid_ticks * (1 + 1e-9)


def twin(weight: float = 0.7, **settings: float) -> ReferenceTracker:
    tracker = ReferenceTracker(ReferenceConfig(weight=weight, **settings))
    for second in range(1, 121):
        tracker.on_reference(second * S, 6_900.0, 69_000.0)
    return tracker


def test_the_thin_book_follows_the_twin() -> None:
    tracker = twin()
    tracker.on_reference(121 * S, 6_906.9, 69_000.0)  # the twin rose by 10 bp, our book not yet
    fair, dropped = tracker.blend(121 * S, 69_000.0)
    # ratio 10 nearly unchanged: 69000 + 0.7 * 69 = 69048.3
    assert fair == pytest.approx(69_048.3, abs=0.2)
    assert dropped == ""


@pytest.mark.parametrize(
    ("at_secs", "price", "reason"),
    [
        pytest.param(125, 6_900.0, "reference_stale", id="older than 3 s"),
        pytest.param(121, 6_930.0, "reference_diverged", id="43 bp off"),
        pytest.param(121, 6_900.0, "", id="usable"),
    ],
)
def test_a_stale_or_diverged_twin_is_dropped_with_its_name(at_secs: int, price: float, reason: str) -> None:
    tracker = twin()
    tracker.on_reference(121 * S, price, 69_000.0)
    fair, dropped = tracker.blend(at_secs * S, 69_000.0)
    assert dropped == reason
    if reason:
        assert fair == 69_000.0


def test_the_ratio_needs_its_warmup() -> None:
    tracker = ReferenceTracker(ReferenceConfig(warmup_secs=60.0))
    tracker.on_reference(S, 6_900.0, 69_000.0)
    assert tracker.blend(2 * S, 69_000.0) == (69_000.0, "reference_warming_up")


def test_the_ratio_goes_on_after_a_restart() -> None:
    before = twin()
    again = ReferenceTracker(ReferenceConfig(weight=0.7))
    again.load(before.save())
    kept = before.save()
    # a first sample 1 % off, within the half-life, moves nothing; the ratio needs no second warm-up
    again.on_reference(kept["ts_ns"] + 10 * S, 6_900.0, 69_690.0)
    assert again.save()["ratio"] == kept["ratio"]
    assert again.blend(kept["ts_ns"] + 10 * S, 69_000.0)[1] == ""


def test_a_ratio_from_long_ago_is_learned_anew() -> None:
    before = twin()
    again = ReferenceTracker(ReferenceConfig(weight=0.7))
    again.load(before.save())
    late = before.save()["ts_ns"] + 86_400 * S
    again.on_reference(late, 6_900.0, 69_690.0)
    assert again.save()["ratio"] == pytest.approx(10.1)
    assert again.blend(late, 69_690.0)[1] == "reference_warming_up"


def test_without_a_twin_nothing_is_reported() -> None:
    assert ReferenceTracker(ReferenceConfig()).blend(S, 69_000.0) == (69_000.0, "")


def guards(**settings: float) -> Guards:
    out = Guards(FairValueConfig(**settings), 0.01)
    out.on_market(10 * S)
    return out


def test_a_book_without_messages_for_two_seconds_is_stale() -> None:
    guard = guards()
    assert guard.reasons(12 * S, 69_000.0, 69_000.0) == []
    assert guard.reasons(12 * S + 1, 69_000.0, 69_000.0) == ["book_stale"]


def test_an_oracle_far_from_fair_value_stops_quoting() -> None:
    guard = guards(oracle_gap_bps=50.0)
    guard.on_oracle(10 * S, 690.0, 69_000.0)
    assert guard.reasons(10 * S, 69_344.0, 69_344.0) == []  # 49.9 bp
    assert guard.reasons(10 * S, 69_346.0, 69_346.0) == ["oracle_gap"]  # 50.1 bp


def test_a_silent_oracle_is_stale() -> None:
    guard = guards(oracle_silence_secs=10.0)
    guard.on_oracle(S, 690.0, 69_000.0)
    guard.on_market(12 * S)
    assert guard.reasons(12 * S, 69_000.0, 69_000.0) == ["oracle_stale"]


def test_an_unchanged_oracle_is_stale_only_once_mid_has_moved() -> None:
    guard = guards()
    for second in range(1, 41):
        guard.on_oracle(second * S, 690.0, 69_000.0)
    guard.on_market(41 * S)
    assert guard.reasons(41 * S, 69_002.0, 69_002.0) == []  # two ticks
    assert guard.reasons(41 * S, 69_003.0, 69_003.0) == ["oracle_stale"]


def test_quoting_resumes_after_fresh_seconds() -> None:
    guard = guards(fresh_secs=5.0)
    assert guard.reasons(20 * S, 69_000.0, 69_000.0) == ["book_stale"]
    guard.on_market(21 * S)
    assert guard.reasons(21 * S, 69_000.0, 69_000.0) == ["warming_up"]
    guard.on_market(26 * S)
    assert guard.reasons(26 * S, 69_000.0, 69_000.0) == []
