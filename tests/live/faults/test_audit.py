"""The audit finds what is wrong: adapters broken on purpose end with differences."""

from dataclasses import replace
from decimal import Decimal

import pytest

from hyperliquid_hip3 import account_reporter
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.cloids import CloidBook
from hyperliquid_hip3.doubts import Doubts
from tests.live.faults import trading
from tests.live.faults.catalogue import find
from tests.live.faults.play import play


pytestmark = pytest.mark.live_node


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    # what is broken never settles
    monkeypatch.setattr(trading, "SETTLED_S", 3.0)


async def nothing(*_, **__):
    return None


def found_in(name, seed=1):
    return " / ".join(play(find(name), seed).differences)


def test_lost_fills_that_nobody_asks_for_are_missing(monkeypatch):
    async def none(*_, **__):
        return ()

    monkeypatch.setattr(VenueClient, "user_fills_by_time", none)

    found = found_in("lost_frames")

    assert "is missing" in found
    assert "position: venue" in found


def test_an_order_that_no_query_asks_about_stays_in_doubt(monkeypatch):
    monkeypatch.setattr(Doubts, "_ask", nothing)

    assert "is SUBMITTED" in found_in("drop_before_place")


def test_a_balance_that_is_off_is_found(monkeypatch):
    figures = account_reporter.account_figures

    def more(*given, **named):
        exact = figures(*given, **named)
        return replace(exact, total=exact.total + Decimal("0.01"))

    monkeypatch.setattr(account_reporter, "account_figures", more)

    assert "balance (standard): venue" in found_in("slow_frames")


def test_requests_above_the_limits_are_found(monkeypatch):
    trade = trading.trade

    async def with_nothing_left(stage, *given, **named):
        limits = stage.venue.limits
        limits.weight_limit, whole = limits.weight_used(stage.venue.now_ms), limits.weight_limit
        missed = await trade(stage, *given, **named)
        limits.weight_limit = whole
        return missed

    monkeypatch.setattr(trading, "trade", with_nothing_left)

    assert "above the limit of weight" in found_in("slow_frames")


def test_a_second_life_without_the_names_of_its_orders_is_found(monkeypatch):
    monkeypatch.setattr(CloidBook, "_load", lambda *_: None)

    # what filled between the lives is told at the start, what fills later when it does
    said = found_in("node_restarted")
    assert "which is not ours" in said or "while this process did not run" in said
