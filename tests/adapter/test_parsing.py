"""Readers of the venue's messages, on retyped shapes with values of our own."""

import copy
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.parsing import parse_all_perp_metas
from hyperliquid_hip3.parsing import parse_bbo
from hyperliquid_hip3.parsing import parse_candle
from hyperliquid_hip3.parsing import parse_candles
from hyperliquid_hip3.parsing import parse_funding_history
from hyperliquid_hip3.parsing import parse_l2_book
from hyperliquid_hip3.parsing import parse_meta
from hyperliquid_hip3.parsing import parse_perp_dexs
from hyperliquid_hip3.parsing import parse_spot_meta
from hyperliquid_hip3.parsing import parse_trades
from hyperliquid_hip3.records import BookLevel
from hyperliquid_hip3.records import MarginTier


BID = {"px": "690.01", "sz": "1.5", "n": 2}
ASK = {"px": "690.03", "sz": "0.7", "n": 1}
BOOK = {
    "coin": "km:US500",
    "time": 1_770_000_000_123,
    "levels": [[BID, {"px": "690.0", "sz": "3.0", "n": 4}], [ASK]],
}
BBO = {"coin": "km:US500", "time": 1_770_000_000_123, "bbo": [BID, ASK]}
TRADE = {
    "coin": "km:US500",
    "side": "B",
    "px": "690.03",
    "sz": "0.2",
    "time": 1_770_000_000_456,
    "hash": "0xabc",
    "tid": 77,
    "users": ["0x1", "0x2"],
}
CANDLE = {
    "t": 1_770_000_000_000,
    "T": 1_770_000_059_999,
    "s": "km:US500",
    "i": "1m",
    "o": "690.0",
    "c": "690.2",
    "h": "690.3",
    "l": "689.9",
    "v": "12.5",
    "n": 9,
}
FUNDING = {"coin": "km:US500", "fundingRate": "0.0000057", "premium": "-0.0001", "time": 1_770_000_000_050}
META = {
    "universe": [
        {
            "szDecimals": 3,
            "name": "km:US500",
            "maxLeverage": 25,
            "marginTableId": 25,
            "growthMode": "enabled",
        },
        {
            "szDecimals": 2,
            "name": "km:OLD",
            "maxLeverage": 10,
            "marginTableId": 51,
            "isDelisted": True,
            "onlyIsolated": True,
            "marginMode": "strictIsolated",
            "deployerFeeScale": "0.5",
        },
    ],
    "marginTables": [
        [
            51,
            {
                "description": "two tiers",
                "marginTiers": [
                    {"lowerBound": "0.0", "maxLeverage": 10},
                    {"lowerBound": "1000000.0", "maxLeverage": 5},
                ],
            },
        ],
    ],
    "collateralToken": 360,
}
DEXES = [
    None,
    {"name": "xyz", "fullName": "XYZ", "deployer": "0x8"},
    {"name": "km", "deployerFeeScale": "1.0"},
]
SPOT = {"tokens": [{"name": "USDH", "szDecimals": 2, "weiDecimals": 8, "index": 360}], "universe": []}


def test_a_book_keeps_the_order_of_its_levels_and_exact_numbers():
    book = parse_l2_book(BOOK)
    assert book.coin == "km:US500"
    assert book.ts_ns == 1_770_000_000_123_000_000
    assert book.bids == (
        BookLevel(Decimal("690.01"), Decimal("1.5"), 2),
        BookLevel(Decimal("690.0"), Decimal("3.0"), 4),
    )
    assert book.asks == (BookLevel(Decimal("690.03"), Decimal("0.7"), 1),)
    assert not book.is_fast


def test_a_fast_book_says_so():
    assert parse_l2_book({**BOOK, "fast": True}).is_fast


def test_a_delisted_coin_has_an_empty_book():
    book = parse_l2_book({**BOOK, "levels": [[], []]})
    assert (book.bids, book.asks) == ((), ())


def test_an_empty_side_of_the_bbo_is_none():
    top = parse_bbo({**BBO, "bbo": [None, ASK]})
    assert top.bid is None
    assert top.ask == BookLevel(Decimal("690.03"), Decimal("0.7"), 1)


@pytest.mark.parametrize(("letter", "side"), [("B", 1), ("A", -1)])
def test_the_side_of_a_trade_is_the_aggressor_s(letter, side):
    (trade,) = parse_trades([{**TRADE, "side": letter}])
    assert trade.side == side
    assert (trade.price, trade.size, trade.trade_id) == (Decimal("690.03"), Decimal("0.2"), 77)
    assert trade.users == ("0x1", "0x2")


def test_a_candle_closes_when_the_next_one_opens():
    candle = parse_candle(CANDLE)
    assert candle.ts_close_ns - candle.ts_open_ns == 60_000_000_000
    assert (candle.open, candle.high, candle.low, candle.close) == tuple(
        map(Decimal, ("690.0", "690.3", "689.9", "690.2"))
    )


def test_a_funding_rate_keeps_its_sign_and_jitter():
    (rate,) = parse_funding_history([FUNDING])
    assert (rate.rate, rate.premium, rate.ts_ns) == (
        Decimal("0.0000057"),
        Decimal("-0.0001"),
        1_770_000_000_050_000_000,
    )


def test_a_delisted_entry_keeps_its_slot():
    meta = parse_meta(META)
    assert [(entry.index, entry.is_delisted) for entry in meta.universe] == [(0, False), (1, True)]
    assert meta.collateral_token == 360
    live, old = meta.universe
    assert (live.growth_mode, live.margin_mode, live.deployer_fee_scale) == (True, "", None)
    assert (old.growth_mode, old.margin_mode, old.deployer_fee_scale) == (
        False,
        "strictIsolated",
        Decimal("0.5"),
    )
    assert meta.margin_tables[51] == (MarginTier(Decimal("0.0"), 10), MarginTier(Decimal("1000000.0"), 5))


def test_a_meta_without_a_collateral_token_is_in_usdc():
    assert parse_meta({"universe": []}).collateral_token == 0


def test_the_position_among_dexes_counts_the_null():
    assert [(dex.name, dex.index) for dex in parse_perp_dexs(DEXES)] == [("xyz", 1), ("km", 2)]


def test_spot_tokens_are_found_by_their_index():
    (token,) = parse_spot_meta(SPOT)
    assert (token.index, token.name, token.wei_decimals) == (360, "USDH", 8)


REQUIRED = [
    *[(parse_l2_book, BOOK, name) for name in ("coin", "time", "levels")],
    *[(parse_bbo, BBO, name) for name in ("coin", "time", "bbo")],
    *[(lambda row: parse_trades([row]), TRADE, name) for name in ("coin", "side", "px", "sz", "time", "tid")],
    *[(parse_candle, CANDLE, name) for name in ("t", "T", "s", "i", "o", "c", "h", "l", "v", "n")],
    *[(lambda row: parse_funding_history([row]), FUNDING, name) for name in ("coin", "fundingRate", "time")],
    *[(parse_meta, META, "universe")],
    *[(parse_spot_meta, SPOT, "tokens")],
]


@pytest.mark.parametrize(
    ("parse", "message", "name"), REQUIRED, ids=[f"{m[2]} of {i}" for i, m in enumerate(REQUIRED)]
)
def test_a_message_without_a_field_is_a_payload_error_that_names_it(parse, message, name):
    with pytest.raises(PayloadError, match=f"`{name}`"):
        parse({key: value for key, value in message.items() if key != name})


@pytest.mark.parametrize(
    "level",
    [
        {"px": "690.01", "sz": "1"},
        {"px": "690.01", "n": 1},
        {"px": "no", "sz": "1", "n": 1},
        {"px": "NaN", "sz": "1", "n": 1},
        {"px": "-1", "sz": "1", "n": 1},
        {"px": "0", "sz": "1", "n": 1},
        {"px": "1", "sz": "-1", "n": 1},
        {"px": 690.01, "sz": "1", "n": 1},
        {"px": "1", "sz": "1", "n": "1"},
        {"px": (0, (1,), 0), "sz": "1", "n": 1},
        None,
        "690.01",
        [],
    ],
    ids=repr,
)
def test_a_malformed_level_is_a_payload_error(level):
    with pytest.raises(PayloadError, match="malformed level"):
        parse_l2_book({**BOOK, "levels": [[level], []]})


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        (parse_l2_book, {**BOOK, "levels": [[]]}),
        (parse_l2_book, {**BOOK, "levels": {}}),
        (parse_l2_book, {**BOOK, "coin": ""}),
        (parse_l2_book, {**BOOK, "time": "now"}),
        (parse_l2_book, None),
        (parse_bbo, {**BBO, "bbo": [BID]}),
        (parse_trades, {}),
        (parse_trades, [{**TRADE, "side": "buy"}]),
        (parse_trades, [{**TRADE, "px": "0"}]),
        (parse_trades, [None]),
        (parse_candle, {**CANDLE, "h": "inf"}),
        (parse_candle, {**CANDLE, "o": 690.0}),
        (parse_candle, {**CANDLE, "l": "0.0"}),
        (parse_candles, None),
        (parse_funding_history, {"coin": "x"}),
        (parse_meta, {"universe": [{"name": "km:US500"}]}),
        (parse_meta, {**META, "marginTables": [[51]]}),
        (parse_meta, {**META, "collateralToken": None}),
        (parse_all_perp_metas, [None]),
        (parse_perp_dexs, []),
        (parse_perp_dexs, DEXES[1:]),
        (parse_perp_dexs, [None, {"fullName": "x"}]),
        (parse_perp_dexs, [None, {"name": "x", "deployerFeeScale": "half"}]),
        (parse_spot_meta, {"tokens": [{"name": "USDH"}]}),
    ],
)
def test_a_message_of_the_wrong_shape_is_a_payload_error(parse, message):
    with pytest.raises(PayloadError) as caught:
        parse(message)
    assert isinstance(caught.value, HyperliquidError)
    assert str(caught.value).startswith(caught.value.channel)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
WHOLE = [
    (parse_l2_book, BOOK),
    (parse_bbo, BBO),
    (parse_candle, CANDLE),
    (parse_meta, META),
    (parse_spot_meta, SPOT),
]


@given(st.sampled_from(WHOLE), st.data())
def test_whatever_stands_in_a_field_it_is_read_or_a_payload_error(pair, data):
    parse, message = pair
    broken = copy.deepcopy(message)
    broken[data.draw(st.sampled_from(sorted(message)))] = data.draw(junk)
    try:
        parse(broken)
    except PayloadError:
        return


@given(st.lists(st.tuples(st.integers(1, 10**7), st.integers(0, 10**6), st.integers(1, 99)), max_size=20))
def test_every_level_comes_through_as_written(rows):
    side = [
        {"px": str(Decimal(px).scaleb(-2)), "sz": str(Decimal(sz).scaleb(-3)), "n": n} for px, sz, n in rows
    ]
    book = parse_l2_book({**BOOK, "levels": [side, side]})
    assert [(str(level.price), str(level.size), level.orders) for level in book.bids] == [
        (r["px"], r["sz"], r["n"]) for r in side
    ]
    assert book.asks == book.bids
