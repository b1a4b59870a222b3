"""What of a reported equity is believed: money that moved is seen in the account and told by the stream at different moments."""

import json
from math import nan
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk.equity import DOUBT_SECS
from amm500_nautilus.risk.equity import NS_PER_SECOND
from amm500_nautilus.risk.equity import EquityCheck


class Watch:
    """A check of an account of 1,000 without a position, 5 % implausible, and the seconds that the test counts."""

    def __init__(self) -> None:
        self.check = EquityCheck(0.05)
        self.report(0, 1_000.0)

    def report(self, at: float, equity: float, *, transfers: float = 0.0, **rest: Any) -> bool:
        """Whether the report is implausible."""
        told = {"position_value": 0.0, "funding": 0.0} | rest
        found = self.check.on_report(
            NS_PER_SECOND + round(at * NS_PER_SECOND), equity=equity, transfers=transfers, **told
        )
        return found is not None


def test_fills_price_funding_and_transfers_explain_all_of_it() -> None:
    watch = Watch()
    watch.check.on_cash(-690.3)
    assert not watch.report(1, 999.7, position_value=690.0)
    assert not watch.report(2, 1_399.9, position_value=690.0, transfers=400.0, funding=0.2)
    assert not watch.report(3, 1_330.9, position_value=621.0)
    assert watch.check.apart == 0.0


@pytest.mark.parametrize("amount", [-200.0, -51.0, 51.0, 700.0])
def test_over_the_limit_it_stays_apart_until_it_is_explained(amount: float) -> None:
    watch = Watch()
    for at in (1, 2, 3_600):
        assert watch.report(at, 1_000 + amount)
        assert watch.check.apart == pytest.approx(amount)
    assert not watch.report(3_601, 1_000 + amount, transfers=amount)
    assert watch.check.apart == 0.0
    # from there on it goes as ever
    assert not watch.report(3_602, 1_000 + amount)


@pytest.mark.parametrize("amount", [-200.0, 700.0])
def test_a_transfer_that_is_told_first_is_apart_with_the_other_sign(amount: float) -> None:
    watch = Watch()
    assert watch.report(1, 1_000.0, transfers=amount)
    assert watch.check.apart == pytest.approx(-amount)
    assert not watch.report(2, 1_000 + amount)
    assert watch.check.apart == 0.0


@pytest.mark.parametrize("amount", [-40.0, -11.0, 30.0])
def test_under_the_limit_it_counts_once_it_is_still_reported_ten_seconds_later(amount: float) -> None:
    watch = Watch()
    for at in (1, 1.3, DOUBT_SECS + 0.9):
        assert not watch.report(at, 1_000 + amount)
        assert watch.check.apart == pytest.approx(amount)
    assert not watch.report(DOUBT_SECS + 1, 1_000 + amount)
    assert watch.check.apart == 0.0
    # and the next one is asked about anew
    watch.report(60, 1_000 + 2 * amount)
    assert watch.check.apart == pytest.approx(amount)


def test_what_marks_differ_by_counts_at_once() -> None:
    watch = Watch()
    watch.report(1, 990.1)
    assert watch.check.apart == 0.0


@pytest.mark.parametrize("amount", [-40.0, -3.0, 0.5])
def test_a_small_transfer_that_equity_does_not_hold_yet_is_waited_for(amount: float) -> None:
    watch = Watch()
    watch.report(1, 1_000.0, transfers=amount)
    assert watch.check.apart == pytest.approx(-amount)
    watch.report(1.3, 1_000 + amount)
    assert watch.check.apart == 0.0
    # but not for ever
    watch.report(2, 1_000 + amount, transfers=amount)
    watch.report(12, 1_000 + amount)
    assert watch.check.apart == 0.0


def test_one_that_grows_over_the_limit_is_asked_about_anew_when_it_is_small_again() -> None:
    watch = Watch()
    assert not watch.report(1, 970.0)
    assert watch.report(8, 900.0)
    assert not watch.report(14, 970.0)
    assert watch.check.apart == pytest.approx(-30.0)
    assert not watch.report(24, 970.0)
    assert watch.check.apart == 0.0


def test_an_equity_that_is_no_number_is_implausible_and_changes_nothing() -> None:
    watch = Watch()
    assert watch.report(1, nan)
    assert watch.check.apart == 0.0
    assert not watch.report(2, 1_000.0)


def test_what_a_person_accepts_is_believed_with_the_fills_since() -> None:
    watch = Watch()
    watch.report(1, 800.0)
    watch.check.on_cash(-100.0)
    assert watch.check.accept() == pytest.approx(-200.0)
    assert not watch.report(2, 800.0, position_value=100.0)
    assert watch.check.apart == 0.0
    assert watch.check.accept() == 0.0


def test_after_a_restart_it_is_apart_still_unless_equity_went_on_without_it() -> None:
    watch = Watch()
    watch.report(1, 800.0)
    saved = json.loads(json.dumps(watch.check.save()))
    again = EquityCheck(0.05)
    again.load(saved)
    again.on_report(0, equity=800.0, position_value=0.0, funding=0.0, transfers=0.0)
    # nothing was told: net of transfers there are 800 where the session counted 1,000
    again.recall(800.0, 1_000.0)
    assert again.apart == pytest.approx(-200.0)
    # the withdrawal is in the transfers now
    again.recall(1_000.0, 1_000.0)
    assert again.apart == 0.0
    assert again.on_report(9, equity=800.0, position_value=0.0, funding=0.0, transfers=0.0) is None
    assert again.apart == 0.0


@given(
    st.lists(st.tuples(st.floats(-300, 300), st.sampled_from(["equity", "transfer", "both"])), max_size=12),
    st.floats(0.1, 30),
)
# one that is told late is still waited for when the next comes
@example([(1.0, "equity"), (21.0, "equity")], 11.0)
def test_whatever_comes_first_what_is_shown_never_moves_by_a_transfer_for_long(
    moves: list[tuple[float, str]], step: float
) -> None:
    """Each amount is seen in equity and told as a transfer, at once or 0.3 s apart, in either order."""
    watch, equity, told, now = Watch(), 1_000.0, 0.0, 0.0
    for amount, first in moves:
        if equity + amount < 100:
            continue
        now += step
        if first != "transfer":
            equity += amount
        late = 0.0 if first == "equity" else amount
        watch.report(now, equity, transfers=late)
        told += late
        # 1 % of what was believed is the most that may show in between
        assert abs(equity - told - watch.check.apart - 1_000) <= 0.0101 * max(equity, 1_000) + abs(amount) / 2
        if first == "transfer":
            equity += amount
        watch.report(now + 0.3, equity, transfers=amount - late)
        told += amount - late
    for extra in (20, 40):
        watch.report(now + extra, equity)
    assert equity - told - watch.check.apart == pytest.approx(1_000, abs=1e-6)
