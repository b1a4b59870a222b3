"""Sessions are cut by kind: cash, futures, weekend."""

from datetime import UTC
from datetime import datetime
from itertools import pairwise

from amm500_nautilus.runtime.sessions import session_spans


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def hours(spans: tuple[tuple[int, int, str], ...], kind: str) -> float:
    return sum(end - start for start, end, name in spans if name == kind) / 3.6e12


def test_a_week_round_the_clock_is_cut_into_cash_futures_and_weekend() -> None:
    # Monday 12 January 2026 to Monday 19 January, UTC: New York is at UTC-5
    spans = session_spans(((ns("2026-01-12T00:00"), ns("2026-01-19T00:00")),))
    # five sessions of 6.5 h
    assert hours(spans, "cash") == 32.5
    # Monday 00:00 to Friday 22:00 is 118 h, less four breaks of 1 h and the cash hours; then Sunday 23:00 to 24:00
    assert hours(spans, "futures") == 118 - 4 - 32.5 + 1
    # Friday 22:00 to Sunday 23:00, and four breaks
    assert hours(spans, "weekend") == 49 + 4
    assert all(left[1] == right[0] for left, right in pairwise(spans))


def test_a_holiday_has_no_cash_session() -> None:
    # Martin Luther King day
    spans = session_spans(((ns("2026-01-19T00:00"), ns("2026-01-20T00:00")),))
    assert hours(spans, "cash") == 0
    assert hours(spans, "holiday") == 6.5


def test_an_index_session_is_all_cash() -> None:
    spans = session_spans(((ns("2026-01-13T14:30"), ns("2026-01-13T21:00")),))
    assert [kind for _, _, kind in spans] == ["cash"]


def test_no_sessions_give_no_spans() -> None:
    assert session_spans(()) == ()
