"""Sessions: which holds, gaps, margins."""

import pytest

from amm500_nautilus.quoting.config import SessionConfig
from amm500_nautilus.quoting.sessions import SessionCalendar
from amm500_nautilus.quoting.sessions import SessionClock


S = 1_000_000_000
CALENDAR = SessionCalendar(
    [(100 * S, 200 * S, "cash"), (200 * S, 300 * S, "futures"), (400 * S, 500 * S, "cash")]
)


@pytest.mark.parametrize(
    ("second", "quote", "factor"),
    [
        pytest.param(50, False, 1.0, id="before the first"),
        pytest.param(100, True, 1.0, id="open"),
        pytest.param(199, True, 1.0, id="no pause before a session that follows at once"),
        pytest.param(200, True, 1.5, id="futures hours are wider"),
        pytest.param(297, True, 1.5, id="before the margin"),
        pytest.param(298, False, 1.5, id="two seconds before a gap"),
        pytest.param(350, False, 1.0, id="gap"),
        pytest.param(400, True, 1.0, id="open again"),
        pytest.param(600, False, 1.0, id="after the last"),
    ],
)
def test_session_table(second: int, quote: bool, factor: float) -> None:
    assert SessionClock(SessionConfig(), CALENDAR).at(second * S) == (quote, factor)


def test_one_clock_walks_through_all_of_them() -> None:
    clock = SessionClock(SessionConfig(), CALENDAR)
    for second in range(50, 600):
        assert clock.at(second * S) == SessionClock(SessionConfig(), CALENDAR).at(second * S)


def test_without_a_calendar_quoting_goes_on() -> None:
    assert SessionClock(SessionConfig(), None).at(5) == (True, 1.0)


def test_an_open_margin_delays_the_first_quote() -> None:
    clock = SessionClock(SessionConfig(open_margin_secs=10.0), CALENDAR)
    assert clock.at(405 * S)[0] is False
    assert clock.at(410 * S)[0] is True


def test_a_kind_without_a_row_is_quoted_unchanged() -> None:
    clock = SessionClock(SessionConfig(), SessionCalendar([(0, 100 * S, "auction")]))
    assert clock.at(50 * S) == (True, 1.0)


def test_overlapping_sessions_are_refused() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        SessionCalendar([(0, 10, "cash"), (5, 20, "cash")])
