"""The loopback venue answers as the exchange does."""

import json
import subprocess
import sys
import threading
from itertools import pairwise

import httpx
import pytest

from hyperliquid_loopback.market import default_market
from hyperliquid_loopback.market import make_candles
from hyperliquid_loopback.server import LoopbackServer


COIN = "km:US500"


@pytest.fixture
def http(venue):
    with httpx.Client(base_url=venue.url, trust_env=False) as client:
        yield client


def ask(http, **body):
    return http.post("/info", json=body)


def candles(http, coin=COIN, interval="1m", start=0, end=2_000_000_000_000):
    req = {"coin": coin, "interval": interval, "startTime": start, "endTime": end}
    return ask(http, type="candleSnapshot", req=req)


def test_dexes_begin_with_null_and_km_is_fifth(http):
    dexes = ask(http, type="perpDexs").json()
    assert dexes[0] is None
    assert dexes[5]["name"] == "km"


def test_the_collateral_of_km_is_token_360_called_usdh(http):
    assert ask(http, type="meta", dex="km").json()["collateralToken"] == 360
    tokens = ask(http, type="spotMeta").json()["tokens"]
    assert [token["name"] for token in tokens if token["index"] == 360] == ["USDH"]


def test_a_meta_without_a_dex_is_the_validators(http):
    assert ask(http, type="meta").json()["universe"][0]["name"] == "BTC"
    assert ask(http, type="allPerpMetas").json()[5] == ask(http, type="meta", dex="km").json()


def test_the_newest_five_thousand_candles_are_shown_and_they_join_up(http, venue):
    rows = candles(http).json()
    assert len(rows) == 5_000
    assert rows[-1]["T"] == venue.market.end_ms - 1
    assert all(b["t"] == a["T"] + 1 for a, b in pairwise(rows))
    assert all(
        float(r["l"])
        <= min(float(r["o"]), float(r["c"]))
        <= max(float(r["o"]), float(r["c"]))
        <= float(r["h"])
        for r in rows
    )


def test_the_candle_open_at_the_start_is_included(http, venue):
    start = venue.market.end_ms - 90_000
    assert [row["t"] for row in candles(http, start=start).json()] == [
        venue.market.end_ms - 120_000,
        venue.market.end_ms - 60_000,
    ]


def test_funding_comes_five_hundred_rows_a_page(http):
    rows = ask(http, type="fundingHistory", coin=COIN, startTime=0).json()
    assert len(rows) == 500
    assert all(1 <= row["time"] % 3_600_000 <= 118 for row in rows)
    last = ask(http, type="fundingHistory", coin=COIN, startTime=rows[-1]["time"] + 1).json()
    assert last[0]["time"] > rows[-1]["time"]


@pytest.mark.parametrize(
    ("send", "status", "text"),
    [
        (lambda h: h.get("/info"), 405, ""),
        (
            lambda h: h.post("/info", content=b"{", headers={"Content-Type": "application/json"}),
            400,
            "Failed to parse",
        ),
        (
            lambda h: h.post("/info", content=b"{}", headers={"Content-Type": "text/plain"}),
            415,
            "Expected request with",
        ),
        (lambda h: ask(h, type="noSuchType"), 422, "Failed to deserialize"),
        (lambda h: ask(h, type="candleSnapshot"), 422, "Failed to deserialize"),
        (lambda h: ask(h, type="fundingHistory", coin=COIN, startTime="now"), 422, "Failed to deserialize"),
        (lambda h: h.post("/info", json=[1]), 422, "Failed to deserialize"),
        (lambda h: ask(h, type="meta", dex="none"), 500, "null"),
        (lambda h: ask(h, type="fundingHistory", coin="km:NONE", startTime=0), 500, "null"),
        (lambda h: h.post("/exchange", json={}), 422, "Failed to deserialize"),
    ],
)
def test_what_is_wrong_is_answered_in_the_venue_s_way(http, send, status, text):
    answer = send(http)
    assert answer.status_code == status
    assert answer.text.startswith(text)


def test_a_fault_strikes_as_often_as_ordered(http, venue):
    venue.faults.too_many = 2
    assert [ask(http, type="perpDexs").status_code for _ in range(3)] == [429, 429, 200]
    venue.faults.null_500 = -1
    assert [ask(http, type="perpDexs").text for _ in range(2)] == ["null", "null"]


def test_a_dropped_connection_has_no_answer(http, venue):
    venue.faults.drop = 1
    with pytest.raises(httpx.HTTPError):
        ask(http, type="perpDexs")
    assert ask(http, type="perpDexs").status_code == 200


@pytest.mark.timeout(10)
def test_closing_does_not_wait_for_a_delayed_request():
    with LoopbackServer() as server:
        server.faults.delay_s = 60.0
        failed = threading.Event()

        def call():
            with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
                try:
                    ask(client, type="perpDexs")
                except httpx.HTTPError:
                    failed.set()

        caller = threading.Thread(target=call)
        caller.start()
    caller.join(5)
    assert failed.is_set()


def test_the_same_seed_makes_the_same_prices():
    path = {"count": 5, "end_ms": 1_780_000_200_000, "price": 690.0, "sz_decimals": 3}
    assert make_candles(COIN, "1m", seed=1, **path) == make_candles(COIN, "1m", seed=1, **path)
    assert make_candles(COIN, "1m", seed=1, **path) != make_candles(COIN, "1m", seed=2, **path)
    assert default_market().funding == default_market().funding


@pytest.mark.timeout(60)
def test_as_a_process_it_prints_one_line_and_ends_with_its_input(request):
    root = request.config.rootpath
    with subprocess.Popen(
        [sys.executable, "-m", "hyperliquid_loopback", "--port", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(root / "adapters")},
    ) as process:
        about = json.loads(process.stdout.readline())
        assert (about["dex"], about["coin"], about["collateral"]) == ("km", COIN, "USDH")
        assert (
            httpx.post(about["url"] + "/info", json={"type": "perpDexs"}, trust_env=False).json()[5]["name"]
            == "km"
        )
        process.stdin.close()
        assert process.wait(20) == 0
