"""The readers on recorded messages of the venue, read in place."""

import gzip
import json
from itertools import pairwise

import pytest

from hyperliquid_hip3.parsing import parse_all_perp_metas
from hyperliquid_hip3.parsing import parse_bbo
from hyperliquid_hip3.parsing import parse_candle
from hyperliquid_hip3.parsing import parse_candles
from hyperliquid_hip3.parsing import parse_funding_history
from hyperliquid_hip3.parsing import parse_l2_book
from hyperliquid_hip3.parsing import parse_meta
from hyperliquid_hip3.parsing import parse_perp_dexs
from hyperliquid_hip3.parsing import parse_trades


pytestmark = pytest.mark.real_data

CHANNELS = {"l2Book": parse_l2_book, "bbo": parse_bbo, "trades": parse_trades, "candle": parse_candle}


def cassette_response(shared_dir, name, request_type):
    exchanges = json.loads((shared_dir / "payloads" / name).read_text())
    return next(row["response"] for row in exchanges if row["request"]["type"] == request_type)


@pytest.mark.parametrize("name", ["ws_frames_mainnet_2026-09-24.jsonl", "ws_frames_testnet_2026-07-28.jsonl"])
def test_every_recorded_frame_of_market_data_is_read(shared_dir, name):
    frames = [json.loads(line) for line in (shared_dir / "payloads" / name).read_text().splitlines()]
    read = [CHANNELS[frame["channel"]](frame["data"]) for frame in frames if frame["channel"] in CHANNELS]
    assert len(read) == sum(frame["channel"] in CHANNELS for frame in frames)
    assert len(read) >= 4


def test_the_recorded_session_reads_whole_with_twenty_ordered_levels_a_side(shared_dir):
    with gzip.open(shared_dir / "data" / "hl_raw_ws_sample" / "btcusd_20250126.gz", "rt") as lines:
        frames = [json.loads(line.split(" ", 1)[1]) for line in lines]
    books = [parse_l2_book(frame["data"]) for frame in frames if frame["channel"] == "l2Book"]
    trades = [
        trade for frame in frames if frame["channel"] == "trades" for trade in parse_trades(frame["data"])
    ]
    assert len(frames) == 55
    assert books
    assert trades
    for book in books:
        assert (len(book.bids), len(book.asks)) == (20, 20)
        assert sorted(book.bids, key=lambda level: -level.price) == list(book.bids)
        assert sorted(book.asks, key=lambda level: level.price) == list(book.asks)
        assert book.bids[0].price < book.asks[0].price
    assert [book.ts_ns for book in books] == sorted(book.ts_ns for book in books)


def test_recorded_replies_of_candles_funding_and_books_are_read(shared_dir):
    candles = parse_candles(
        cassette_response(shared_dir, "sdk_cassette_get_candles_snapshot.json", "candleSnapshot")
    )
    assert len(candles) == 5
    assert all(
        candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high
        for candle in candles
    )
    # the reply begins with the candle that was open at the asked start
    assert candles[0].ts_open_ns < 1_684_702_007_000 * 1_000_000 < candles[0].ts_close_ns
    assert all(a.ts_close_ns == b.ts_open_ns for a, b in pairwise(candles))
    funding = cassette_response(shared_dir, "sdk_cassette_get_funding_history_None_.json", "fundingHistory")
    rates = parse_funding_history(funding)
    assert len(rates) == 5
    assert all(rate.rate < 0 for rate in rates)
    book = parse_l2_book(cassette_response(shared_dir, "sdk_cassette_get_l2_snapshot.json", "l2Book"))
    assert len(book.bids) == 20


def test_recorded_metas_show_the_delisting_of_km_and_the_listing_of_mkts(shared_dir):
    recorded = json.loads(
        (shared_dir / "payloads" / "meta_per_dex_trimmed_after_km_delisting.json").read_text()
    )
    assert {dex.name for dex in parse_perp_dexs(recorded["perpDexs"])} >= {"xyz", "km", "mkts"}
    assert parse_meta(recorded["km"]).find("km:US500").is_delisted
    listed = parse_meta(recorded["mkts"]).find("mkts:US500")
    assert (listed.is_delisted, listed.sz_decimals, listed.max_leverage) == (False, 3, 25)


def test_the_collateral_of_km_was_token_360(shared_dir):
    recorded = json.loads(
        (shared_dir / "payloads" / "http_all_perp_metas_non_usdc_collateral.json").read_text()
    )
    metas = parse_all_perp_metas(recorded)
    by_coin = {meta.universe[0].coin: meta.collateral_token for meta in metas}
    assert by_coin == {"BTC": 0, "km:US500": 360, "hyna:BTC": 235}


def test_the_examples_of_the_documentation_are_read(shared_dir):
    examples = json.loads((shared_dir / "payloads" / "docs_examples_hip3.json").read_text())
    assert parse_perp_dexs(examples["perpDexs"])[0].index == 1
    assert parse_funding_history(examples["fundingHistory"])
    meta, _ = json.loads((shared_dir / "payloads" / "docs_metaAndAssetCtxs_xyz_2026-01.json").read_text())
    entry = parse_meta(meta).find("xyz:XYZ100")
    assert (entry.margin_mode, entry.growth_mode, entry.only_isolated) == ("strictIsolated", True, True)
