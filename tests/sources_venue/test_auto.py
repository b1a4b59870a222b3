"""The first source that has enough is used, and the report says why."""

import threading

import pytest

from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.auto import AutoSource
from amm500_catalog.sources.auto import Candidate
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.base import make_bars
from amm500_catalog.sources.base import session_spans
from amm500_catalog.sources.coverage import always_open
from amm500_catalog.sources.coverage import cash_hours
from amm500_catalog.sources.coverage import coverage
from amm500_catalog.sources.deadline import Deadline
from amm500_catalog.sources.deadline import run_within
from amm500_catalog.sources.hyperliquid import HyperliquidSource
from amm500_catalog.sources.info_client import InfoClient
from amm500_catalog.sources.ratelimit import WeightBucket
from amm500_catalog.sources.yahoo import YahooSource


MINUTE = 60 * NS
DAY_NS = 86_400 * NS
REQUEST = BarRequest("asked", "1m", 0, 100 * MINUTE)


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def minutes(count, source="x"):
    ones = [1.0] * count
    bars = make_bars([i * MINUTE for i in range(count)], ones, ones, ones, ones, None, 60)
    return BarFrame(bars, 60, source, source, session_spans(bars, 60))


class FakeSource:
    """Take so many seconds of the fake clock, then give minutes or fail."""

    def __init__(self, clock, *, seconds=0.0, count=None, error="it is down"):
        self.clock = clock
        self.seconds = seconds
        self.count = count
        self.error = error
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        if self.seconds > request.timeout_s:
            self.clock.now += request.timeout_s
            raise SourceUnavailableError("no answer in time")
        self.clock.now += self.seconds
        if self.count is None:
            raise SourceUnavailableError(self.error)
        return minutes(self.count, request.symbol)


def make_auto(clock, catalog, exchange, yahoo, generator, **options):
    said = []
    source = AutoSource(
        [
            Candidate("catalog", "km:US500", catalog),
            Candidate("hyperliquid", "km:US500", exchange, is_download=True),
            Candidate("yfinance", "^OEX", yahoo, is_download=True),
            Candidate("generator", "xyz100", generator, must_cover=False),
        ],
        say=said.append,
        clock=clock,
        **options,
    )
    return source, said


@pytest.mark.parametrize(
    ("counts", "used"),
    [
        pytest.param((100, 100, 100, 100), "catalog", id="the catalogue has it"),
        pytest.param((95, 100, 100, 100), "catalog", id="95 of 100 is enough"),
        pytest.param((94, 100, 100, 100), "hyperliquid", id="94 of 100 is not"),
        pytest.param((None, 50, 100, 100), "yfinance", id="the exchange keeps half"),
        pytest.param((None, None, None, 100), "generator", id="no network"),
        pytest.param((None, None, None, 30), "generator", id="the last resort is taken as it is"),
    ],
)
def test_the_first_with_ninety_five_per_cent_is_used(counts, used):
    clock = FakeClock()
    source, said = make_auto(clock, *(FakeSource(clock, count=count) for count in counts))
    result = source.resolve(REQUEST)
    assert result.used == used
    names = ["catalog", "hyperliquid", "yfinance", "generator"]
    assert [attempt.name for attempt in result.attempts] == names[: names.index(used) + 1]
    assert [attempt.used for attempt in result.attempts] == [False] * names.index(used) + [True]
    assert tuple(said) == result.lines


def test_each_attempt_says_why_it_was_passed_over():
    clock = FakeClock()
    source, said = make_auto(
        clock,
        FakeSource(clock, error="the catalogue has no such market"),
        FakeSource(clock, seconds=2.0, count=50),
        FakeSource(clock, seconds=0.5),
        FakeSource(clock, count=100),
    )
    assert source.fetch(REQUEST).symbol == "xyz100"
    assert said == [
        "catalog km:US500: passed over after 0.0 s, the catalogue has no such market",
        "hyperliquid km:US500: passed over after 2.0 s, it has 50.0% of the span, less than 95%",
        "yfinance ^OEX: passed over after 0.5 s, it is down",
        "generator xyz100: used, 100.0% of the span, 0.0 s",
    ]


def test_every_candidate_is_asked_in_its_own_words():
    clock = FakeClock()
    fakes = [FakeSource(clock) for _ in range(3)]
    source, _ = make_auto(clock, *fakes, FakeSource(clock, count=1))
    source.fetch(REQUEST)
    assert [fake.requests[0].symbol for fake in fakes] == ["km:US500", "km:US500", "^OEX"]


def test_downloads_that_hang_take_fifteen_seconds_together_and_leave_each_its_share():
    clock = FakeClock()
    exchange, yahoo = FakeSource(clock, seconds=99.0), FakeSource(clock, seconds=99.0)
    source, _ = make_auto(clock, FakeSource(clock), exchange, yahoo, FakeSource(clock, count=1))
    source.fetch(REQUEST)
    assert (exchange.requests[0].timeout_s, yahoo.requests[0].timeout_s) == (7.5, 7.5)
    assert clock.now == 15.0


def test_what_the_first_download_leaves_goes_to_the_next():
    clock = FakeClock()
    yahoo = FakeSource(clock, seconds=99.0)
    source, _ = make_auto(
        clock, FakeSource(clock), FakeSource(clock, seconds=1.0), yahoo, FakeSource(clock, count=1)
    )
    source.fetch(REQUEST)
    assert yahoo.requests[0].timeout_s == 14.0
    assert clock.now == 15.0


@pytest.mark.timeout(10)
def test_a_candidate_that_overruns_its_time_is_left_behind():
    over = threading.Event()
    source = AutoSource(
        [
            Candidate("hyperliquid", "x", lambda _: over.wait(30), is_download=True),
            Candidate("generator", "x", lambda _: minutes(100), must_cover=False),
        ],
        download_timeout_s=0.2,
    )
    assert source.resolve(REQUEST).used == "generator"
    over.set()


def test_the_result_says_what_is_left_of_the_downloads_time():
    clock = FakeClock()
    source, _ = make_auto(
        clock, FakeSource(clock), *(FakeSource(clock, seconds=4.0, count=100) for _ in range(3))
    )
    assert source.resolve(REQUEST).download_left_s == 11.0


def test_a_slow_catalogue_does_not_eat_the_downloads_time():
    clock = FakeClock()
    exchange = FakeSource(clock, count=100)

    def slow_catalogue(_request):
        clock.now += 60
        raise SourceUnavailableError("nothing there")

    source, _ = make_auto(clock, slow_catalogue, exchange, FakeSource(clock), FakeSource(clock))
    assert source.resolve(REQUEST).used == "hyperliquid"
    assert exchange.requests[0].timeout_s == 7.5


def test_without_any_source_the_error_holds_every_reason():
    clock = FakeClock()
    source, _ = make_auto(clock, *(FakeSource(clock, error=f"reason {i}") for i in range(4)))
    with pytest.raises(SourceUnavailableError, match=r"reason 0.*reason 1.*reason 2.*reason 3"):
        source.fetch(REQUEST)


def test_a_broken_catalogue_is_not_passed_over_in_silence():
    clock = FakeClock()

    def broken(_request):
        raise ValueError("crossed book in row 7")

    source, _ = make_auto(clock, broken, *(FakeSource(clock, count=100) for _ in range(3)))
    with pytest.raises(ValueError, match="row 7"):
        source.fetch(REQUEST)


@pytest.mark.timeout(20)
def test_with_the_network_gone_the_generator_answers(venue):
    venue.faults.delay_s = 30.0
    over = threading.Event()
    end_ns = venue.market.end_ms * 1_000_000
    exchange = HyperliquidSource(InfoClient(venue.url, bucket=WeightBucket()), now_ns=lambda: end_ns)
    yahoo = YahooSource(lambda *_: over.wait(30), now_ns=lambda: end_ns)
    source = AutoSource(
        [
            Candidate("hyperliquid", "km:US500", exchange.fetch, is_download=True),
            Candidate("yfinance", "^OEX", yahoo.fetch, is_download=True, expected=cash_hours),
            Candidate("generator", "xyz100", lambda _: minutes(100), must_cover=False),
        ],
        download_timeout_s=0.6,
    )
    result = source.resolve(BarRequest("x", "1m", end_ns - DAY_NS, end_ns))
    over.set()
    exchange.close()
    assert result.used == "generator"
    assert [attempt.used for attempt in result.attempts] == [False, False, True]


def test_the_exchange_is_used_when_it_answers(venue, source):
    end_ns = venue.market.end_ms * 1_000_000
    auto = AutoSource([Candidate("hyperliquid", "km:US500", source.fetch, is_download=True)])
    result = auto.resolve(BarRequest("x", "15m", end_ns - 30 * DAY_NS, end_ns))
    # 30 days of 96 quarters of an hour
    assert (result.used, len(result.frame)) == ("hyperliquid", 2_880)


def test_cash_hours_know_the_holiday_and_the_half_day():
    # Christmas week 2025, Monday 00:00 UTC to Saturday: three full days of 6.5 h, 24 December 3.5 h, the 25th closed
    monday = 1_766_361_600 * NS
    spans = cash_hours(monday, monday + 5 * DAY_NS)
    assert [(end - start) / (3_600 * NS) for start, end in spans] == [6.5, 6.5, 3.5, 6.5]


def test_cash_hours_are_cut_at_the_ends_of_the_span():
    # Monday 22 December 2025, 15:00 to 16:00 UTC, inside the session 14:30 to 21:00
    start = (1_766_361_600 + 15 * 3_600) * NS
    assert cash_hours(start, start + 3_600 * NS) == ((start, start + 3_600 * NS),)


def test_coverage_counts_open_time_only():
    frame = minutes(30)
    assert coverage(frame, always_open(0, 60 * MINUTE)) == 0.5
    assert coverage(frame, ((0, 10 * MINUTE), (20 * MINUTE, 40 * MINUTE))) == pytest.approx(20 / 30)
    assert coverage(frame, ()) == 1.0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"candidates": []}, "candidates"),
        ({"min_coverage": 0.0}, "min_coverage"),
        ({"min_coverage": 1.1}, "min_coverage"),
    ],
)
def test_an_impossible_auto_source_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        AutoSource(**{"candidates": [Candidate("x", "x", minutes)], **options})


def test_work_within_its_time_gives_its_result_or_its_own_error():
    assert run_within(5.0, "work", lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        run_within(5.0, "work", lambda: 1 // 0)


def test_a_deadline_that_has_passed_is_unavailable():
    clock = FakeClock()
    deadline = Deadline(2.0, clock)
    clock.now = 1.5
    assert deadline.check("work") == pytest.approx(0.5)
    clock.now = 2.0
    with pytest.raises(SourceUnavailableError, match="work: the time ran out"):
        deadline.check("work")
