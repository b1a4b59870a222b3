"""The exchange's history, from the loopback venue."""

import json
import socket
import threading

import httpx
import pytest

from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.deadline import Deadline
from amm500_catalog.sources.hyperliquid import HyperliquidSource
from amm500_catalog.sources.info_client import InfoClient
from amm500_catalog.sources.ratelimit import WeightBucket


COIN = "km:US500"
MS = 1_000_000
HOUR_NS = 3_600 * NS


def span(venue, *, bars, interval_s=60, coin=COIN, interval="1m", timeout_s=5.0):
    end_ns = venue.market.end_ms * MS
    return BarRequest(coin, interval, end_ns - bars * interval_s * NS, end_ns, timeout_s)


def kinds(venue):
    return [request["type"] for request in venue.requests]


@pytest.mark.parametrize(
    ("bars", "requests"),
    [pytest.param(1_500, 1, id="one window"), pytest.param(4_500, 3, id="2000 + 2000 + 500")],
)
def test_candles_are_paged_by_windows_of_two_thousand(venue, source, bars, requests):
    frame = source.fetch(span(venue, bars=bars))
    assert len(frame) == bars
    assert kinds(venue) == ["candleSnapshot"] * requests
    opens = frame.bars["ts_open_ns"]
    assert (opens.diff().dropna() == 60 * NS).all()
    assert (frame.start_ns, frame.end_ns) == (frame.end_ns - bars * 60 * NS, venue.market.end_ms * MS)
    assert frame.sessions == ((frame.start_ns, frame.end_ns),)
    assert frame.has_volume


def test_a_span_longer_than_what_is_kept_gives_the_newest_five_thousand(venue, source):
    frame = source.fetch(span(venue, bars=30 * 1_440))
    assert len(frame) == 5_000
    assert frame.end_ns == venue.market.end_ms * MS
    # 2000 + 2000 + 1000 of a third window, and no request for the weeks before
    assert len(venue.requests) == 3


def test_the_values_are_the_exchange_s(venue, source):
    frame = source.fetch(span(venue, bars=3))
    last = venue.market.candles[COIN, "1m"][-1]
    row = frame.bars.iloc[-1]
    assert [row["open"], row["high"], row["low"], row["close"], row["volume"]] == [
        float(last[k]) for k in "ohlcv"
    ]
    assert row["ts_open_ns"] == last["t"] * MS


def test_the_candle_open_before_the_start_and_the_one_at_the_end_are_left_out(venue, source):
    end_ns = (venue.market.end_ms - 600_000) * MS
    # half a minute in: the exchange also sends the candle of that minute
    frame = source.fetch(BarRequest(COIN, "1m", end_ns - 210 * NS, end_ns, 5.0))
    assert frame.bars["ts_open_ns"].tolist() == [end_ns - back * 60 * NS for back in (3, 2, 1)]


def test_a_candle_still_forming_is_left_out_and_named(venue):
    client = InfoClient(venue.url, bucket=WeightBucket(10**9))
    half_a_minute_ago = (venue.market.end_ms - 30_000) * MS
    source = HyperliquidSource(client, now_ns=lambda: half_a_minute_ago)
    frame = source.fetch(span(venue, bars=10))
    source.close()
    assert len(frame) == 9
    assert "the candle still forming was left out" in frame.notes


def test_quiet_minutes_stay_inside_a_session_and_a_long_silence_ends_it(venue, source):
    source.fetch(span(venue, bars=10))
    candles = venue.market.candles[COIN, "1m"]
    # 20 quiet minutes, and further back a halt of 90
    venue.market.candles[COIN, "1m"] = candles[-1_000:-600] + candles[-510:-300] + candles[-280:]
    frame = source.fetch(span(venue, bars=1_000))
    assert len(frame) == 400 + 210 + 280
    end_ns = venue.market.end_ms * MS
    minute = 60 * NS
    assert frame.sessions == (
        (end_ns - 1_000 * minute, end_ns - 600 * minute),
        (end_ns - 510 * minute, end_ns),
    )
    assert frame.notes == (
        "20 intervals without a trade have no candle",
        "1 longer silences are kept as gaps",
    )


def test_funding_is_paged_by_five_hundred_rows_each_once(venue, source):
    end_ns = venue.market.end_ms * MS
    frame = source.fetch_funding(COIN, end_ns - 1_200 * HOUR_NS, end_ns)
    assert len(frame) == 1_199
    assert frame.rates["ts_ns"].is_monotonic_increasing
    assert frame.rates["ts_ns"].is_unique
    assert kinds(venue) == ["fundingHistory"] * 3
    assert set(frame.rates["rate"]) == {0.0000057078}


def test_a_span_without_a_payment_has_no_rates(venue, source):
    assert len(source.fetch_funding(COIN, 1, 1_000 * NS)) == 0


def test_pages_that_do_not_move_on_end_with_an_error(venue, source):
    row = venue.market.funding[COIN][0]
    venue.market.funding_page = lambda *_: [row] * 500
    start_ns = (row["time"] + 1) * MS
    with pytest.raises(SourceUnavailableError, match="do not move on"):
        source.fetch_funding(COIN, start_ns, start_ns + 10 * HOUR_NS)


def test_recent_trades_come_oldest_first_and_once(venue, source):
    venue.market.trades[COIN] += venue.market.trades[COIN][:5]
    trades = source.fetch_recent_trades(COIN)
    assert len(trades) == 30
    assert [t.ts_ns for t in trades] == sorted(t.ts_ns for t in trades)


def test_all_metas_stand_at_their_dex_s_place(source):
    metas = source.fetch_all_metas()
    assert metas[5].universe[0].coin == COIN


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("too_many", "limit for this address is reached"),
        ("null_500", "knows no such coin or dex"),
        ("server_error", "failed .HTTP 502."),
        ("drop", "could not be reached"),
        ("bad_json", "is not JSON"),
    ],
)
def test_each_failure_is_one_sentence_and_is_not_retried(venue, source, fault, sentence):
    setattr(venue.faults, fault, 1)
    with pytest.raises(SourceUnavailableError, match=sentence) as caught:
        source.fetch(span(venue, bars=10))
    assert "candleSnapshot of km:US500" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert venue.requests == []


def test_an_unknown_coin_is_said_to_be_unknown(venue, source):
    with pytest.raises(SourceUnavailableError, match="no such coin"):
        source.fetch(span(venue, bars=10, coin="km:NONE"))


def test_a_known_coin_without_candles_of_the_span_is_unavailable(venue, source):
    venue.market.candles[COIN, "1m"] = []
    with pytest.raises(SourceUnavailableError, match="has no 1m candle"):
        source.fetch(span(venue, bars=10))


def test_a_misshapen_answer_is_unavailable(venue, source):
    venue.market.candles[COIN, "1m"] = [{"t": venue.market.end_ms - 60_000, "T": venue.market.end_ms - 1}]
    with pytest.raises(SourceUnavailableError, match="cannot be read"):
        source.fetch(span(venue, bars=10))


@pytest.mark.timeout(10)
def test_a_server_that_does_not_answer_is_given_up_in_time(venue, source):
    venue.faults.delay_s = 30.0
    with pytest.raises(SourceUnavailableError):
        source.fetch(span(venue, bars=10, timeout_s=0.3))


@pytest.mark.timeout(10)
def test_a_name_lookup_that_hangs_is_given_up_in_time(monkeypatch):
    over = threading.Event()

    def hang(*_args, **_kwargs):
        over.wait(30)
        raise socket.gaierror("over")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    source = HyperliquidSource(InfoClient("http://exchange.invalid", bucket=WeightBucket()))
    with pytest.raises(SourceUnavailableError, match=r"no answer within 0\.3 s"):
        source.fetch(BarRequest(COIN, "1m", 1, 10 * NS, 0.3))
    over.set()


def test_a_refused_connection_is_one_sentence():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free_port = probe.getsockname()[1]
    source = HyperliquidSource(InfoClient(f"http://127.0.0.1:{free_port}", bucket=WeightBucket()))
    with pytest.raises(SourceUnavailableError, match=r"127\.0\.0\.1 could not be reached"):
        source.fetch(BarRequest(COIN, "1m", 1, 10 * NS, 2.0))
    source.close()


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


def test_the_bucket_gives_twelve_hundred_at_once_and_twenty_a_second_after():
    clock = FakeClock()
    bucket = WeightBucket(1_200, clock)
    bucket.spend(1_200)
    assert bucket.wait_for(20) == pytest.approx(1.0)
    clock.advance(0.5)
    assert bucket.wait_for(20) == pytest.approx(0.5)
    clock.advance(120)
    assert bucket.level == 1_200


def test_a_reply_s_rows_put_the_bucket_into_debt():
    clock = FakeClock()
    bucket = WeightBucket(1_200, clock)
    bucket.spend(1_300)
    # 100 of debt and 20 wanted at 20 a second
    assert bucket.wait_for(20) == pytest.approx(6.0)


def test_the_client_waits_for_weight_and_weighs_the_rows():
    clock = FakeClock()
    bucket = WeightBucket(1_200, clock)
    rows = [[]] * 120
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=json.dumps(rows)))
    waits = []

    def pause(seconds):
        waits.append(seconds)
        clock.advance(seconds)

    client = InfoClient("http://exchange.invalid", bucket=bucket, transport=transport, pause=pause)
    body = {"type": "candleSnapshot", "req": {"coin": COIN}}
    client.post(body, Deadline(100, clock))
    # 20 for the request, 120 // 60 for its rows
    assert bucket.level == 1_200 - 22
    bucket.spend(1_178 - 10)
    client.post(body, Deadline(100, clock))
    # ten short at 20 a second
    assert waits == [pytest.approx(0.5)]
    client.close()


def test_a_wait_longer_than_the_time_left_is_refused_at_once():
    clock = FakeClock()
    bucket = WeightBucket(1_200, clock)
    bucket.spend(1_600)
    client = InfoClient("http://exchange.invalid", bucket=bucket)
    with pytest.raises(SourceUnavailableError, match="21 s to wait"):
        client.post({"type": "perpDexs"}, Deadline(15, clock))
