"""Every recorded message of the venue goes through the reader of its channel or endpoint, in place; what is left out says why."""

import gzip
import json
from collections import Counter
from decimal import Decimal

import pytest

from hyperliquid_hip3.account_parsing import parse_clearinghouse_state
from hyperliquid_hip3.account_parsing import parse_ledger_updates
from hyperliquid_hip3.account_parsing import parse_spot_state
from hyperliquid_hip3.account_parsing import parse_user_fees
from hyperliquid_hip3.context_parsing import parse_all_dexs_asset_ctxs
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.frames import decode
from hyperliquid_hip3.frames import parse_frame
from hyperliquid_hip3.readers import CHANNEL_READERS
from hyperliquid_hip3.readers import REPLY_READERS
from hyperliquid_hip3.readers import read_frame
from hyperliquid_hip3.replies import Accepted
from hyperliquid_hip3.replies import Resting
from hyperliquid_hip3.replies import parse_exchange_reply
from hyperliquid_hip3.user_parsing import parse_block_fills
from hyperliquid_hip3.user_parsing import parse_open_orders
from hyperliquid_hip3.user_parsing import parse_user_event
from hyperliquid_hip3.user_parsing import parse_user_fill
from hyperliquid_hip3.user_parsing import parse_user_fills
from hyperliquid_hip3.user_records import OpenOrder


pytestmark = pytest.mark.real_data

# not recordings of a message, or cut by whoever stored them
SKIPPED = {
    "README.md": "the folder's own description",
    "signing_vectors_computed.json": "signatures computed from actions, no message of the venue",
    "http_clearinghouse_state_negative_total_raw_usd.json": "made by hand, without `marginSummary`",
    "jkorf_sub_Concurrent.txt": "candles cut to their times, without prices",
}
DEX_REPLIES = "meta_per_dex_trimmed_after_km_delisting.json"
# replies of 2023, before trade ids, fee tokens, original sizes and maximum leverages were sent
EARLY = {
    "sdk_cassette_get_user_state.json": lambda data: parse_clearinghouse_state(data, early=True),
    "sdk_cassette_get_user_fills.json": lambda data: parse_user_fills(data, early=True),
    "sdk_cassette_get_user_fills_by_time.json": lambda data: parse_user_fills(data, early=True),
    "sdk_cassette_get_open_orders.json": lambda data: parse_open_orders(data, early=True),
    "jkorf_http_GetOpenOrders.txt": lambda data: parse_open_orders(data, early=True),
}
# files that hold one reply, with the request it answers
HTTP = {
    "docs_metaAndAssetCtxs_xyz_2026-01.json": "metaAndAssetCtxs",
    "http_all_perp_metas_non_usdc_collateral.json": "allPerpMetas",
    "http_spot_clearinghouse_state.json": "spotClearinghouseState",
    "http_user_fills_dust_conversion.json": "userFills",
    "jkorf_http_GetAccountInfo.txt": "clearinghouseState",
    "jkorf_http_GetAccountLedger.txt": "userNonFundingLedgerUpdates",
    "jkorf_http_GetBalances.txt": "spotClearinghouseState",
    "jkorf_http_GetExchangeInfo.txt": "meta",
    "jkorf_http_GetExchangeInfoAndTickers.txt": "metaAndAssetCtxs",
    "jkorf_http_GetExtraAgents.txt": "extraAgents",
    "jkorf_http_GetFundingHistory.txt": "userFunding",
    "jkorf_http_GetFundingRateHistory.txt": "fundingHistory",
    "jkorf_http_GetOpenOrders.txt": "openOrders",
    "jkorf_http_GetOpenOrdersExtended.txt": "frontendOpenOrders",
    "jkorf_http_GetRateLimits.txt": "userRateLimit",
    "jkorf_http_GetSymbolsAtMaxOpenInterest.txt": "perpsAtOpenInterestCap",
    "jkorf_http_GetUserTrades.txt": "userFills",
}
# files that hold several replies by a name of their author's, with the request each answers
NAMED = {
    "docs_examples_hip3.json": {"userFills_hip3": parse_user_fill},
    "info_testnet_2026-07-28.json": {
        "clearinghouseState_flat": "clearinghouseState",
        "openOrders_one": "openOrders",
        "meta_main_4": "meta",
        "meta_dex_test": "meta",
        "meta_dex_unit": "meta",
    },
    DEX_REPLIES: {"xyz": "meta", "flx": "meta", "mkts": "meta", "km": "meta"},
}


def frames_of(text):
    """The frames of a file of the other clients: requests start with `>`, answers with `<` or `=`, over many lines."""
    frame = []
    for line in text.splitlines():
        if line[:1] in "<=>" and line:
            if frame:
                yield "\n".join(frame)
            frame = [] if line[0] == ">" else [line[1:].lstrip("0123456789")]
        elif frame:
            frame.append(line)
    if frame:
        yield "\n".join(frame)


def reply_text(text):
    """The reply of a file of the other clients: method, path and whether it is signed come first."""
    return text.split("\n", 3)[3] if text.startswith("POST") else text


def read(path):
    """The pairs of reader name and record of one file; a frame that no channel reads has the record None."""
    name, text = path.name, path.read_text().removeprefix("\ufeff")
    if name.startswith("sdk_cassette_"):
        for exchange in json.loads(text):
            kind = exchange["request"]["type"]
            reader = EARLY.get(name, REPLY_READERS[kind]) if kind != "meta" else REPLY_READERS[kind]
            yield kind, reader(decode(json.dumps(exchange["response"])))
    elif name in ("jkorf_http_PlaceOrder.txt", "jkorf_http_SetLeverage.txt"):
        yield "exchange", parse_exchange_reply(decode(reply_text(text)))
    elif name in HTTP:
        yield HTTP[name], EARLY.get(name, REPLY_READERS[HTTP[name]])(decode(reply_text(text)))
    elif name in NAMED:
        for key, data in decode(text).items():
            kind = NAMED[name].get(key, key)
            yield (kind, REPLY_READERS[kind](data)) if isinstance(kind, str) else (key, kind(data))
    elif name.startswith("node_fills_by_block"):
        for line in text.splitlines():
            yield "node_fills_by_block", parse_block_fills(decode(line))
    else:
        lines = frames_of(text) if name.startswith("jkorf_sub") else frame_lines(name, text)
        for line in lines:
            frame = parse_frame(line.strip())
            yield frame.channel, read_frame(frame)


def frame_lines(name, text):
    return text.splitlines() if name.endswith(".jsonl") else [text]


def test_every_recorded_payload_is_read_by_the_reader_of_its_channel(shared_dir, record_property):
    counts, files = Counter(), 0
    for path in sorted((shared_dir / "payloads").iterdir()):
        if path.name in SKIPPED:
            continue
        found = list(read(path))
        assert found, path.name
        files += 1
        for kind, record in found:
            assert record is not None or kind == "pong", (path.name, kind)
            counts[kind] += 1
    record_property("read", dict(counts))
    assert files + len(SKIPPED) == len(list((shared_dir / "payloads").iterdir()))
    assert sum(counts.values()) >= 80
    # everything recorded for which there is a reader was met
    assert {"l2Book", "bbo", "trades", "candle", "orderUpdates", "userFills", "user", "exchange"} <= set(
        counts
    )
    assert {"subscriptionResponse", "error", "pong", "post", "activeAssetCtx", "allDexsAssetCtxs"} <= set(
        counts
    )
    assert counts.keys() - {"pong", "exchange", "node_fills_by_block", "userFills_hip3"} <= {
        *CHANNEL_READERS,
        *REPLY_READERS,
    }


def test_what_is_left_out_is_refused_by_the_field_it_lacks(shared_dir):
    made = decode(
        (shared_dir / "payloads" / "http_clearinghouse_state_negative_total_raw_usd.json").read_bytes()
    )
    with pytest.raises(PayloadError, match="`marginSummary` is missing"):
        parse_clearinghouse_state(made)
    text = (shared_dir / "payloads" / "jkorf_sub_Concurrent.txt").read_text()
    cut = [
        frame
        for frame in map(parse_frame, (part.strip() for part in frames_of(text)))
        if frame.channel == "candle"
    ]
    assert len(cut) == 2
    for frame in cut:
        with pytest.raises(PayloadError, match="`o` is missing"):
            read_frame(frame)


def test_replies_of_2023_are_refused_unless_asked_for(shared_dir):
    for name, kind in (
        ("sdk_cassette_get_user_state.json", "clearinghouseState"),
        ("sdk_cassette_get_user_fills.json", "userFills"),
        ("sdk_cassette_get_open_orders.json", "openOrders"),
    ):
        exchanges = json.loads((shared_dir / "payloads" / name).read_text())
        response = next(row["response"] for row in exchanges if row["request"]["type"] == kind)
        with pytest.raises(PayloadError, match="is missing"):
            REPLY_READERS[kind](response)
        assert EARLY[name](response)


def test_early_fills_keep_keys_of_their_own(shared_dir):
    exchanges = json.loads((shared_dir / "payloads" / "sdk_cassette_get_user_fills.json").read_text())
    fills = parse_user_fills(exchanges[-1]["response"], early=True)
    assert len({fill.key for fill in fills}) == len(fills) == 5
    assert all(fill.trade_id < 0 and fill.fee_token == "USDC" for fill in fills)


def test_the_recorded_session_reads_whole(shared_dir):
    counts = Counter()
    with gzip.open(shared_dir / "data" / "hl_raw_ws_sample" / "btcusd_20250126.gz", "rb") as lines:
        for line in lines:
            frame = parse_frame(line.split(b" ", 1)[1])
            assert read_frame(frame) is not None
            counts[frame.channel] += 1
    assert sum(counts.values()) == 55
    assert set(counts) == {"l2Book", "trades"}


def test_the_recorded_context_of_the_index_is_exact(shared_dir):
    text = (shared_dir / "payloads" / "ws_allDexsAssetCtxs_km_xyz_full_others_trimmed.json").read_bytes()
    contexts = parse_all_dexs_asset_ctxs(parse_frame(text).data)
    assert len(contexts["km"]) == 23
    assert len(contexts["xyz"]) == 80
    index = contexts["km"][0]
    assert (index.oracle_price, index.mark_price) == (Decimal("752.51"), Decimal("752.44"))
    assert str(index.funding) == "0.0000057078"
    assert (index.impact_bid, index.impact_ask) == (Decimal("752.44"), Decimal("752.453"))


def test_the_recorded_account_obeys_its_own_identities(shared_dir):
    text = (shared_dir / "payloads" / "jkorf_http_GetAccountInfo.txt").read_text()
    state = parse_clearinghouse_state(decode(reply_text(text)))
    (position,) = state.positions
    assert state.summary.account_value == state.summary.raw_usd + state.summary.total_notional
    assert position.margin_used == position.value + position.raw_usd
    assert (position.size, position.leverage, position.is_cross) == (Decimal("2.0"), 10, False)
    assert state.find("HYPE") is position
    assert state.find("BTC") is None


def test_recorded_fills_orders_fees_and_transfers_say_what_they_say(shared_dir):
    payloads = shared_dir / "payloads"
    notice = parse_user_event(parse_frame((payloads / "ws_user_fill_liquidation.json").read_bytes()).data)
    (fill,) = notice.fills
    assert (fill.is_liquidation, fill.is_taker, fill.side, fill.liquidation_method) == (
        True,
        False,
        -1,
        "market",
    )
    assert fill.liquidated_user.startswith("0x3608")
    assert fill.cloid == "0xe8d5fd7ebbb4c3cff4d1803472a11463"
    block = [
        parse_block_fills(decode(line))
        for line in (payloads / "node_fills_by_block_xyz_2026-05-24.jsonl").read_text().splitlines()
    ]
    (maker, taker), empty = block[0], block[1]
    assert empty == ()
    assert (maker[1].fee, maker[1].deployer_fee) == (Decimal("-0.001431"), Decimal("-0.000715"))
    assert (taker[1].builder_fee, taker[1].key) == (Decimal("0.608401"), maker[1].key)
    orders = next(iter(read(payloads / "sdk_cassette_get_frontend_open_orders.json")))[1]
    assert all(isinstance(order, OpenOrder) for order in orders)
    assert [order.trigger_price for order in orders] == [Decimal("10.004"), Decimal("9.995"), None]
    assert [order.order_type for order in orders] == ["Take Profit Market", "Stop Market", "Limit"]
    fees = parse_user_fees(decode((payloads / "docs_examples_hip3.json").read_bytes())["userFees"])
    assert (fees.maker_rate, fees.staking_discount) == (Decimal("0.000105"), Decimal("0.3"))
    assert fees.rebates[0].maker_rate == Decimal("-0.00001")
    moved = parse_ledger_updates(
        decode(reply_text((payloads / "jkorf_http_GetAccountLedger.txt").read_text()))
    )
    assert (moved[-1].kind, moved[-1].amount) == ("deposit", Decimal("97.142685"))
    assert moved[0].to_perp is True
    spot = parse_spot_state(decode((payloads / "http_spot_clearinghouse_state.json").read_bytes()))
    assert spot.find(150).total == Decimal("5.2")
    placed = parse_exchange_reply(decode(reply_text((payloads / "jkorf_http_PlaceOrder.txt").read_text())))
    assert placed == Accepted(kind="order", outcomes=(Resting(oid=77738308, cloid=None),))
