"""Whose time is whose: session time attributed to what rested."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.quoting.types import QuoteSample
from amm500_nautilus.quoting.types import QuoteState
from amm500_nautilus.report.uptime import UptimeMeter
from amm500_nautilus.report.uptime import merge_sessions


SECOND = 1_000_000_000


def sample(second: float, bid: int | None, ask: int | None, *reasons: str, band: float = 5.0) -> QuoteSample:
    return QuoteSample(
        ts_ns=round(second * SECOND),
        bid_ticks=bid,
        ask_ticks=ask,
        n_bids=int(bid is not None),
        n_asks=int(ask is not None),
        mid_ticks=70_000.0,
        state=QuoteState.QUOTING,
        reasons=reasons,
        factors={"base_max_bps": band},
        volatility={},
        delta=0.0,
        budget_remaining=1.0,
        actions=0,
    )


def meter(*sessions: tuple[float, float]) -> UptimeMeter:
    return UptimeMeter([(round(a * SECOND), round(b * SECOND)) for a, b in sessions])


def test_time_between_samples_belongs_to_the_first_of_them():
    m = meter((0, 100))
    m.on_sample(sample(10, 69_990, 70_010))
    m.on_sample(sample(30, 69_990, None, "one_sided"))
    m.on_sample(sample(70, None, None, "book_stale"))
    m.drain(100 * SECOND)
    # 0-10 nobody, 10-30 both, 30-70 bid only, 70-100 nothing
    assert (m.session_ns, m.quoted_ns, m.two_sided_ns) == (100 * SECOND, 60 * SECOND, 20 * SECOND)
    # 20 ticks on 70,000 are 2.857 bp
    assert m.spread_bps_ns / m.two_sided_ns == pytest.approx(20 / 70_000 * 1e4)


def test_each_second_is_in_one_row_with_its_reasons():
    m = meter((0, 100))
    m.on_sample(sample(10, 69_990, 70_010))
    m.on_sample(sample(30, 69_990, None, "one_sided", "budget"))
    rows = {(row["reasons"], row["sides"]): row["seconds"] for row in m.drain(100 * SECOND)}
    assert rows == {("no_decision", "none"): 10.0, ("", "both"): 20.0, ("one_sided|budget", "bid"): 70.0}


@pytest.mark.parametrize(
    ("bid", "ask", "two"),
    [
        # 5 bp of 70,000 ticks are 35 ticks
        pytest.param(69_965, 70_035, True, id="at the band's edge"),
        pytest.param(69_964, 70_035, False, id="bid one tick beyond"),
        pytest.param(69_965, 70_036, False, id="ask one tick beyond"),
    ],
)
def test_both_sides_must_be_within_the_band_of_the_mid(bid, ask, two):
    m = meter((0, 10))
    m.on_sample(sample(0, bid, ask))
    m.drain(10 * SECOND)
    assert m.quoted_ns == 10 * SECOND
    assert m.two_sided_ns == (10 * SECOND if two else 0)


def test_gaps_between_sessions_are_nobodys_time():
    m = meter((0, 10), (50, 60))
    m.on_sample(sample(2, 69_990, 70_010))
    m.on_sample(sample(30, None, None, "session"))
    m.on_sample(sample(54, 69_990, 70_010))
    m.drain(80 * SECOND)
    # 2-10 and 54-60 are quoted of 20 session seconds
    assert (m.session_ns, m.quoted_ns) == (20 * SECOND, 14 * SECOND)


def test_silence_keeps_the_last_sample_even_across_a_gap():
    m = meter((0, 10), (50, 60))
    m.on_sample(sample(0, 69_990, 70_010))
    m.drain(100 * SECOND)
    assert m.quoted_ns == m.session_ns == 20 * SECOND


@given(
    st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.booleans()), max_size=30),
    st.lists(st.integers(0, 400), max_size=10),
    st.lists(st.integers(1, 60), min_size=2, max_size=8),
)
def test_all_session_time_is_attributed_once(events, drains, lengths):
    edges = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    sessions = list(zip(edges[::2], edges[1::2], strict=False))
    m = meter(*sessions)
    moments = sorted(
        [(ts, 0, bid, ask) for ts, bid, ask in events] + [(ts, 1, False, False) for ts in drains]
    )
    total = 0.0
    for ts, drain, bid, ask in moments:
        if drain:
            total += sum(float(str(row["seconds"])) for row in m.drain(ts * SECOND))
        else:
            m.on_sample(sample(ts, 69_990 if bid else None, 70_010 if ask else None))
    total += sum(float(str(row["seconds"])) for row in m.drain(1_000 * SECOND))
    assert total == pytest.approx(sum(b - a for a, b in sessions))
    assert 0 <= m.two_sided_ns <= m.quoted_ns <= m.session_ns


def test_touching_sessions_are_one_and_all_are_cut_to_the_data():
    assert merge_sessions([(10, 20), (0, 10), (30, 40), (90, 99)], 5, 35) == [(5, 20), (30, 35)]
