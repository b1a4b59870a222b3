"""Yahoo's bars, from a hand-written download."""

import sys
import threading
import types
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import timezone

import numpy as np
import pandas as pd
import pytest

from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.yahoo import YahooSource
from amm500_catalog.sources.yahoo import download_with_yfinance


DAY_NS = 86_400 * NS
# Monday 2 March 2026, 14:30 UTC: the New York open in winter time
OPEN_NS = 1_772_461_800 * NS
NEW_YORK = timezone(timedelta(hours=-5))


def history(start_ns, count, *, interval_s=300, price=333.64, volume=0):
    """Return a table as yfinance does: stamps in New York's time, single-precision prices, an index without volume."""
    stamps = pd.DatetimeIndex(
        pd.to_datetime(start_ns + np.arange(count) * interval_s * NS, utc=True)
    ).tz_convert(NEW_YORK)
    quotes = np.float32(price + 0.01 * np.arange(count)).astype(np.float64)
    return pd.DataFrame(
        {
            "Open": quotes,
            "High": np.float32(quotes + 0.5).astype(np.float64),
            "Low": np.float32(quotes - 0.5).astype(np.float64),
            "Close": quotes,
            "Adj Close": quotes,
            "Volume": volume,
        },
        index=stamps,
    )


class FakeYahoo:
    """Hand out the rows of one table that lie in the span, and keep what was asked."""

    def __init__(self, table):
        self.table = table
        self.asked = []

    def __call__(self, symbol, interval, start, end, timeout_s):
        self.asked.append((symbol, interval, start, end))
        return self.table[(self.table.index >= start) & (self.table.index < end)]


def make_source(table, now_ns):
    fake = FakeYahoo(table)
    return YahooSource(fake, now_ns=lambda: now_ns), fake


def test_prices_are_kept_as_quoted_and_zero_volume_is_none():
    source, fake = make_source(history(OPEN_NS, 78), OPEN_NS + DAY_NS)
    frame = source.fetch(BarRequest("^OEX", "5m", OPEN_NS, OPEN_NS + DAY_NS))
    assert len(frame) == 78
    # 333.64 came as 333.6400146484375
    assert frame.bars["open"].tolist()[:3] == [333.64, 333.65, 333.66]
    assert frame.bars["high"].iloc[0] == 334.14
    assert not frame.has_volume
    # 78 bars of five minutes: 6.5 hours
    assert frame.sessions == ((OPEN_NS, OPEN_NS + 23_400 * NS),)
    assert fake.asked[0][:2] == ("^OEX", "5m")
    assert frame.source == "yfinance"


@pytest.mark.parametrize("price", [1.12345, 9.87654, 333.64, 6900.25, 25123.45, 99999.99])
def test_rounding_undoes_single_precision_at_any_level(price):
    source, _ = make_source(history(OPEN_NS, 1, price=price), OPEN_NS + DAY_NS)
    assert source.fetch(BarRequest("^OEX", "5m", OPEN_NS, OPEN_NS + DAY_NS)).bars["open"].iloc[
        0
    ] == pytest.approx(price, abs=1e-9)


def test_a_volume_that_is_there_is_kept():
    source, _ = make_source(history(OPEN_NS, 3, volume=100), OPEN_NS + DAY_NS)
    frame = source.fetch(BarRequest("SPY", "5m", OPEN_NS, OPEN_NS + DAY_NS))
    assert frame.bars["volume"].tolist() == [100.0] * 3


def test_a_night_is_a_gap_between_sessions():
    table = pd.concat([history(OPEN_NS, 78), history(OPEN_NS + DAY_NS, 78)])
    source, _ = make_source(table, OPEN_NS + 3 * DAY_NS)
    frame = source.fetch(BarRequest("^OEX", "5m", OPEN_NS, OPEN_NS + 2 * DAY_NS))
    assert frame.sessions == tuple((OPEN_NS + d * DAY_NS, OPEN_NS + d * DAY_NS + 23_400 * NS) for d in (0, 1))


def test_a_few_lost_bars_do_not_end_a_session():
    table = history(OPEN_NS, 78).drop(index=history(OPEN_NS, 78).index[[10, 40, 41]])
    source, _ = make_source(table, OPEN_NS + DAY_NS)
    frame = source.fetch(BarRequest("^OEX", "5m", OPEN_NS, OPEN_NS + DAY_NS))
    assert frame.sessions == ((OPEN_NS, OPEN_NS + 23_400 * NS),)
    assert "3 bars missing inside sessions; left as gaps" in frame.notes


@pytest.mark.parametrize(
    ("interval", "days", "spans"),
    [
        # 30 days less the margin: 7 + 7 + 7 + 7 + 2
        pytest.param("1m", 90, 5, id="1m goes back 30 days in pieces of 7"),
        pytest.param("1m", 7, 1, id="one piece"),
        pytest.param("5m", 90, 1, id="5m goes back 60 days in one piece"),
    ],
)
def test_requests_stay_within_what_yahoo_keeps(interval, days, spans):
    now_ns = OPEN_NS + 100 * DAY_NS
    source, fake = make_source(history(now_ns - DAY_NS, 10), now_ns)
    source.fetch(BarRequest("^OEX", interval, now_ns - days * DAY_NS, now_ns))
    assert len(fake.asked) == spans
    kept_days = {"1m": 30, "5m": 60}[interval]
    starts = [start.timestamp() for _, _, start, _ in fake.asked]
    ends = [end.timestamp() for _, _, _, end in fake.asked]
    assert min(starts) > (now_ns - kept_days * DAY_NS) / NS
    assert starts[1:] == ends[:-1]
    assert max(ends) == now_ns / NS
    if interval == "1m":
        assert all(end - start <= 7 * 86_400 for start, end in zip(starts, ends, strict=True))


def test_rows_that_repeat_are_empty_or_still_forming_are_left_out():
    table = history(OPEN_NS, 10)
    table.iloc[3, table.columns.get_loc("Close")] = np.nan
    table.iloc[4, table.columns.get_loc("Low")] = 0.0
    table = pd.concat([table, table.iloc[:2]])
    # the tenth bar began two minutes ago
    source, _ = make_source(table, OPEN_NS + 9 * 300 * NS + 120 * NS)
    frame = source.fetch(BarRequest("^OEX", "5m", OPEN_NS, OPEN_NS + DAY_NS))
    # the fake's own end cuts nothing: 10 - 1 empty - 1 zero - 1 forming
    assert len(frame) == 7
    assert frame.bars["ts_open_ns"].is_monotonic_increasing
    assert "3 rows empty or still forming were left out" in frame.notes


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        pytest.param(history(OPEN_NS, 3).iloc[:0], "no bar of the span", id="empty"),
        pytest.param(history(OPEN_NS, 3).drop(columns="Low"), "no column Low", id="a column missing"),
    ],
)
def test_an_unusable_answer_is_unavailable(table, sentence):
    source, _ = make_source(table, OPEN_NS + DAY_NS)
    with pytest.raises(SourceUnavailableError, match=sentence):
        source.fetch(BarRequest("^OEX", "5m", OPEN_NS, OPEN_NS + DAY_NS))


def test_stamps_without_a_time_zone_are_refused():
    naive = history(OPEN_NS, 3)
    naive.index = naive.index.tz_localize(None)
    source = YahooSource(lambda *_: naive, now_ns=lambda: OPEN_NS + DAY_NS)
    with pytest.raises(SourceUnavailableError, match="time zone"):
        source.fetch(BarRequest("^OEX", "5m", OPEN_NS, OPEN_NS + DAY_NS))


def test_a_span_older_than_kept_is_unavailable_without_asking():
    source, fake = make_source(history(OPEN_NS, 3), OPEN_NS + 90 * DAY_NS)
    with pytest.raises(SourceUnavailableError, match="older than the 60 days"):
        source.fetch(BarRequest("^OEX", "5m", OPEN_NS, OPEN_NS + DAY_NS))
    assert fake.asked == []


def test_an_interval_that_yahoo_lacks_is_unavailable():
    source, _ = make_source(history(OPEN_NS, 3), OPEN_NS + DAY_NS)
    with pytest.raises(SourceUnavailableError, match="no 3m bars"):
        source.fetch(BarRequest("^OEX", "3m", OPEN_NS, OPEN_NS + DAY_NS))


def test_whatever_the_library_raises_becomes_one_sentence():
    def refuse(*_args):
        raise KeyError("chart\nand a second line")

    with pytest.raises(SourceUnavailableError, match="Yahoo's 5m bars of") as caught:
        YahooSource(refuse, now_ns=lambda: OPEN_NS + DAY_NS).fetch(
            BarRequest("^OEX", "5m", OPEN_NS, OPEN_NS + DAY_NS)
        )
    assert "\n" not in str(caught.value)


@pytest.mark.timeout(10)
def test_a_library_that_hangs_is_given_up_in_time():
    over = threading.Event()
    source = YahooSource(lambda *_: over.wait(30), now_ns=lambda: OPEN_NS + DAY_NS)
    with pytest.raises(SourceUnavailableError, match=r"no answer within 0\.2 s"):
        source.fetch(BarRequest("^OEX", "5m", OPEN_NS, OPEN_NS + DAY_NS, timeout_s=0.2))
    over.set()


def test_yfinance_is_asked_for_prices_as_quoted(monkeypatch):
    asked = {}

    class Ticker:
        def __init__(self, symbol):
            asked["symbol"] = symbol

        def history(self, **wanted):
            asked.update(wanted)
            return "table"

    debug = types.SimpleNamespace(hide_exceptions=True)
    fake = types.SimpleNamespace(Ticker=Ticker, config=types.SimpleNamespace(debug=debug))
    monkeypatch.setitem(sys.modules, "yfinance", fake)
    start, end = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)
    assert download_with_yfinance("^OEX", "5m", start, end, 4.0) == "table"
    assert asked == {
        "symbol": "^OEX",
        "start": start,
        "end": end,
        "interval": "5m",
        "auto_adjust": False,
        "actions": False,
        "timeout": 4.0,
    }
    assert not debug.hide_exceptions
