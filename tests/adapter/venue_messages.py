"""One valid message of each channel and endpoint: the venue's shapes, retyped with values of our own; and ways to break them."""

import copy
import math
from dataclasses import fields
from dataclasses import is_dataclass
from decimal import Decimal
from enum import Enum

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.readers import CHANNEL_READERS
from hyperliquid_hip3.readers import REPLY_READERS
from hyperliquid_hip3.replies import parse_exchange_reply
from hyperliquid_hip3.user_parsing import parse_block_fills


USER = "0x00000000000000000000000000000000000000aa"
AGENT = "0x00000000000000000000000000000000000000bb"
CLOID = "0x000000000000000000000000000000c1"
MS = 1_770_000_000_123

LEVEL = {"px": "690.01", "sz": "1.5", "n": 2}
BOOK = {
    "coin": "km:US500",
    "time": MS,
    "levels": [[LEVEL, {"px": "690.0", "sz": "3.0", "n": 4}], [{"px": "690.03", "sz": "0.7", "n": 1}]],
    "fast": True,
}
CONTEXT = {
    "funding": "0.0000057",
    "openInterest": "3000.5",
    "prevDayPx": "688.2",
    "dayNtlVlm": "1234567.89",
    "premium": "-0.00008",
    "oraclePx": "690.05",
    "markPx": "690.02",
    "midPx": "690.02",
    "impactPxs": ["690.01", "690.04"],
    "dayBaseVlm": "1789.1",
}
MARGIN = {
    "accountValue": "1000.5",
    "totalNtlPos": "690.02",
    "totalRawUsd": "310.48",
    "totalMarginUsed": "27.6",
}
POSITION = {
    "coin": "km:US500",
    "szi": "-1.0",
    "leverage": {"type": "isolated", "value": 25, "rawUsd": "717.62"},
    "entryPx": "691.0",
    "positionValue": "690.02",
    "unrealizedPnl": "0.98",
    "returnOnEquity": "0.035",
    "liquidationPx": "703.5",
    "marginUsed": "27.6",
    "maxLeverage": 25,
    "cumFunding": {"allTime": "1.5", "sinceOpen": "-0.25", "sinceChange": "0.0"},
}
STATE = {
    "marginSummary": MARGIN,
    "crossMarginSummary": {**MARGIN, "totalNtlPos": "0.0"},
    "crossMaintenanceMarginUsed": "0.0",
    "withdrawable": "900.25",
    "assetPositions": [{"type": "oneWay", "position": POSITION}],
    "time": MS,
}
SPOT = {
    "balances": [{"coin": "USDH", "token": 360, "total": "250.5", "hold": "10.0", "entryNtl": "0.0"}],
}
ORDER = {
    "coin": "km:US500",
    "side": "B",
    "limitPx": "689.99",
    "sz": "0.3",
    "oid": 91,
    "timestamp": MS,
    "origSz": "0.5",
    "cloid": CLOID,
}
FRONTEND = {
    **ORDER,
    "triggerCondition": "Price above 700",
    "isTrigger": True,
    "triggerPx": "700.0",
    "children": [],
    "isPositionTpsl": False,
    "reduceOnly": True,
    "orderType": "Stop Limit",
    "tif": "Gtc",
}
UPDATE = {"order": ORDER, "status": "open", "statusTimestamp": MS + 5}
FILL = {
    "coin": "km:US500",
    "px": "690.0",
    "sz": "0.2",
    "side": "A",
    "time": MS,
    "startPosition": "0.7",
    "dir": "Close Long",
    "closedPnl": "0.12",
    "hash": "0xabc",
    "oid": 91,
    "crossed": False,
    "fee": "-0.0002",
    "tid": 777,
    "feeToken": "USDH",
    "twapId": None,
    "cloid": CLOID,
    "builderFee": "0.01",
    "deployerFee": "0.001",
    "liquidation": {"liquidatedUser": AGENT, "markPx": "690.1", "method": "market"},
}
PAYMENT = {
    "time": MS,
    "coin": "km:US500",
    "usdc": "-0.05",
    "szi": "0.7",
    "fundingRate": "0.0000057",
    "nSamples": None,
}
DELTA = {key: value for key, value in PAYMENT.items() if key != "time"}
META = {
    "universe": [
        {
            "szDecimals": 3,
            "name": "km:US500",
            "maxLeverage": 25,
            "marginTableId": 25,
            "growthMode": "enabled",
            "marginMode": "noCross",
            "deployerFeeScale": "1.0",
        },
    ],
    "marginTables": [[25, {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": 25}]}]],
    "collateralToken": 360,
}
FEES = {
    "dailyUserVlm": [{"date": "2026-01-01", "userCross": "0.0", "userAdd": "0.0", "exchange": "1.0"}],
    "feeSchedule": {
        "cross": "0.00045",
        "add": "0.00015",
        "tiers": {
            "vip": [{"ntlCutoff": "5000000.0", "cross": "0.0004", "add": "0.00012"}],
            "mm": [{"makerFractionCutoff": "0.005", "add": "-0.00001"}],
        },
        "referralDiscount": "0.04",
    },
    "userCrossRate": "0.0003",
    "userAddRate": "0.0001",
    "activeReferralDiscount": "0.04",
    "activeStakingDiscount": {"bpsOfMaxSupply": "1.0", "discount": "0.1"},
}
TRADE = {
    "coin": "km:US500",
    "side": "B",
    "px": "690.03",
    "sz": "0.2",
    "time": MS,
    "hash": "0xabc",
    "tid": 77,
    "users": [USER, AGENT],
}
CANDLE = {
    "t": MS,
    "T": MS + 59_999,
    "s": "km:US500",
    "i": "1m",
    "o": "690.0",
    "c": "690.2",
    "h": "690.3",
    "l": "689.9",
    "v": "12.5",
    "n": 9,
}
MOVED = {
    "time": MS,
    "hash": "0xdef",
    "delta": {
        "type": "send",
        "user": USER,
        "destination": USER,
        "sourceDex": "spot",
        "destinationDex": "km",
        "token": "USDH",
        "amount": "100.0",
        "usdcValue": "100.0",
        "fee": "0.0",
        "nonce": MS,
    },
}
CLASS_MOVED = {
    "time": MS,
    "hash": "0xdef",
    "delta": {"type": "accountClassTransfer", "usdc": "12.0", "toPerp": False},
}
ASSET_DATA = {
    "user": USER,
    "coin": "km:US500",
    "leverage": {"type": "cross", "value": 5},
    "maxTradeSzs": ["7.0", "7.2"],
    "availableToTrade": ["900.0", "910.0"],
    "markPx": "690.02",
}

MESSAGES = [
    ("l2Book", BOOK),
    ("bbo", {"coin": "km:US500", "time": MS, "bbo": [LEVEL, None]}),
    ("trades", [TRADE, {**TRADE, "tid": 78, "side": "A"}]),
    ("candle", CANDLE),
    ("activeAssetCtx", {"coin": "km:US500", "ctx": CONTEXT}),
    ("allMids", {"mids": {"km:US500": "690.02", "km:GOLD": "411.5"}, "dex": "km"}),
    ("allDexsAssetCtxs", {"ctxs": [["", [CONTEXT]], ["km", [CONTEXT, {**CONTEXT, "impactPxs": None}]]]}),
    ("orderUpdates", [UPDATE, {**UPDATE, "status": "canceled"}]),
    ("userFills", {"isSnapshot": True, "user": USER, "fills": [FILL]}),
    ("user", {"fills": [FILL]}),
    ("user", {"funding": PAYMENT}),
    (
        "user",
        {
            "liquidation": {
                "lid": 5,
                "liquidator": AGENT,
                "liquidated_user": USER,
                "liquidated_ntl_pos": "690.0",
                "liquidated_account_value": "10.0",
            },
        },
    ),
    ("user", {"nonUserCancel": [{"coin": "km:US500", "oid": 91}]}),
    ("userFundings", {"isSnapshot": False, "user": USER, "fundings": [PAYMENT]}),
    (
        "userNonFundingLedgerUpdates",
        {"isSnapshot": True, "user": USER, "nonFundingLedgerUpdates": [MOVED]},
    ),
    ("clearinghouseState", {"dex": "km", "user": USER, "clearinghouseState": STATE}),
    ("allDexsClearinghouseState", {"user": USER, "clearinghouseStates": [["", STATE], ["km", STATE]]}),
    ("openOrders", {"dex": "km", "user": USER, "orders": [FRONTEND]}),
    ("spotState", {"user": USER, "spotState": SPOT}),
    ("activeAssetData", ASSET_DATA),
    (
        "webData3",
        {
            "userState": {"agentAddress": AGENT, "agentValidUntil": MS, "user": USER},
        },
    ),
    (
        "subscriptionResponse",
        {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "km:US500", "fast": False}},
    ),
    ("error", 'Already subscribed: {"type":"bbo","coin":"km:US500"}'),
    (
        "post",
        {"id": 7, "response": {"type": "action", "payload": {"status": "err", "response": "no"}}},
    ),
]

REPLIES = [
    ("perpDexs", [None, {"name": "km", "fullName": "Kinetiq", "deployer": AGENT, "deployerFeeScale": "1.0"}]),
    ("meta", META),
    ("allPerpMetas", [META, META]),
    ("metaAndAssetCtxs", [META, [CONTEXT]]),
    ("spotMeta", {"tokens": [{"name": "USDH", "index": 360, "szDecimals": 2, "weiDecimals": 8}]}),
    ("allMids", {"km:US500": "690.02"}),
    ("l2Book", BOOK),
    ("candleSnapshot", [CANDLE]),
    ("recentTrades", [TRADE]),
    (
        "fundingHistory",
        [{"coin": "km:US500", "fundingRate": "0.0000057", "premium": "-0.0001", "time": MS}],
    ),
    ("perpsAtOpenInterestCap", ["km:US500"]),
    (
        "perpDexLimits",
        {
            "totalOiCap": "1000.0",
            "oiSzCapPerPerp": "100.0",
            "maxTransferNtl": "50.0",
            "coinToOiCap": [["km:US500", "10.0"]],
        },
    ),
    ("perpDexStatus", {"totalNetDeposit": "12345.6"}),
    ("exchangeStatus", {"time": MS, "specialStatuses": None}),
    ("clearinghouseState", STATE),
    ("spotClearinghouseState", SPOT),
    ("openOrders", [ORDER]),
    ("frontendOpenOrders", [FRONTEND]),
    (
        "orderStatus",
        {"status": "order", "order": {"order": FRONTEND, "status": "filled", "statusTimestamp": MS}},
    ),
    ("orderStatus", {"status": "unknownOid"}),
    ("historicalOrders", [{"order": FRONTEND, "status": "marginCanceled", "statusTimestamp": MS}]),
    ("userFills", [FILL]),
    ("userFillsByTime", [FILL, {**FILL, "tid": 778}]),
    ("userTwapSliceFills", [{"fill": FILL, "twapId": 3}]),
    ("userFunding", [{"time": MS, "hash": "0xabc", "delta": DELTA}]),
    ("userNonFundingLedgerUpdates", [MOVED, CLASS_MOVED]),
    ("userFees", FEES),
    (
        "userRateLimit",
        {"cumVlm": "12.5", "nRequestsUsed": 231, "nRequestsCap": 10_012, "nRequestsSurplus": 5},
    ),
    ("userRole", {"role": "agent", "data": {"user": USER}}),
    ("userRole", {"role": "subAccount", "data": {"master": USER}}),
    ("vaultDetails", {"name": "", "vaultAddress": AGENT, "leader": USER, "followers": []}),
    ("extraAgents", [{"name": "maker", "address": AGENT, "validUntil": MS}]),
    ("activeAssetData", ASSET_DATA),
    ("userAbstraction", "disabled"),
]

EXCHANGE = [
    {
        "status": "ok",
        "response": {
            "type": "order",
            "data": {
                "statuses": [
                    {"resting": {"oid": 91, "cloid": CLOID}},
                    {"filled": {"totalSz": "0.2", "avgPx": "690.03", "oid": 92}},
                    {"error": "Insufficient margin to place order. asset=150000"},
                    "waitingForTrigger",
                    "success",
                ],
            },
        },
    },
    {"status": "ok", "response": {"type": "default"}},
    {"status": "err", "response": "Must deposit before performing actions. User: 0x1"},
]

SAMPLES = [
    *[(f"message {name}", CHANNEL_READERS[name], sample) for name, sample in MESSAGES],
    *[(f"reply {name}", REPLY_READERS[name], sample) for name, sample in REPLIES],
    *[("exchange", parse_exchange_reply, sample) for sample in EXCHANGE],
    ("block", parse_block_fills, {"block_time": "x", "block_number": 1, "events": [[USER, FILL]]}),
]

# they hand a part of the message on unread
HANDS_ON = [CHANNEL_READERS[name] for name in ("subscriptionResponse", "post", "error")]


def chooser(raw):
    """Return the picker that :func:`broken` asks, out of bytes: two for each pick, zero when they are spent."""
    spent = 0

    def choose(n):
        nonlocal spent
        spent += 2
        return int.from_bytes(raw[spent - 2 : spent]) % n

    return choose


def deep(depth):
    nest = []
    for _ in range(depth):
        nest = [nest]
    return nest


JUNK = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**63,
    2**64,
    -(2**70),
    10**5_000,
    1.5,
    math.nan,
    math.inf,
    Decimal("1.5"),
    Decimal("NaN"),
    "",
    " ",
    "0",
    "-0.0",
    "-1",
    "1.5",
    "NaN",
    "sNaN",
    "-nan123",
    "Infinity",
    "-inf",
    "1e999999999",
    "1e-999999999",
    "0e999999999",
    "1e99999999999999999999999",
    "9" * 10_000,
    "1_0",
    "0x10",
    "١٢",
    "B",
    "b",
    "\x00",
    "\ud800",
    "x" * 100_000,
    [],
    [[]],
    [None],
    ["1", "2"],
    [1, 2, 3],
    {},
    {"px": "1"},
    {"": {}},
    {1: 2},
    {"type": "cross"},
    (),
    b"raw",
    deep(300),
    deep(50_000),
]


def paths(value, above=()):
    """Every place in a message down to ten deep: the keys and positions that lead there."""
    yield above
    if len(above) == 10:
        return
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*above, key))
    elif isinstance(value, list):
        for i in range(len(value)):
            yield from paths(value[i], (*above, i))


def without(message, path):
    """A copy of the message without the field or element at the path."""
    changed = copy.deepcopy(message)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return changed


def replaced(message, path, value):
    """A copy of the message with another value at the path."""
    if not path:
        return value
    return _replaced(message, path, value)


def _replaced(node, path, value):
    step, rest = path[0], path[1:]
    changed = node.copy()
    changed[step] = value if not rest else _replaced(node[step], rest, value)
    return changed


def broken(message, choose, junk=JUNK):
    """
    A message with one to three of its places removed, replaced, repeated, or given a field nobody knows.

    ``choose(n)`` picks a whole number below n: whoever draws decides where chance comes from.
    """
    for _ in range(1 + choose(3)):
        places = list(paths(message)) if isinstance(message, (dict, list)) else [()]
        path = places[choose(len(places))]
        way = choose(6)
        if way == 0 and path:
            message = without_shallow(message, path)
        elif way == 1 and path and isinstance(path[-1], int):
            holder = at(message, path[:-1])
            message = replaced(message, path[:-1], [*holder, holder[path[-1]]])
        elif way == 2 and isinstance(at(message, path), dict):
            message = replaced(message, path, {**at(message, path), "new": junk[choose(len(junk))]})
        else:
            message = replaced(message, path, junk[choose(len(junk))])
    return message


def without_shallow(message, path):
    holder = at(message, path[:-1])
    if isinstance(holder, dict):
        kept = {key: value for key, value in holder.items() if key != path[-1]}
    else:
        kept = [value for i, value in enumerate(holder) if i != path[-1]]
    return replaced(message, path[:-1], kept)


def at(message, path):
    for step in path:
        message = message[step]
    return message


def check_exact(record, inside=""):
    """Fail on anything in a record that is no exact, bounded value: a float, a number that is not finite, a raw message left whole."""
    if record is None or isinstance(record, (str, bool, Enum)):
        return
    if isinstance(record, Decimal):
        assert record.is_finite(), (inside, record)
        assert record == 0 or abs(record.adjusted()) <= 31, (inside, record)
        return
    if isinstance(record, int):
        assert -(2**64) < record < 2**64, (inside, record)
        if inside.endswith("_ns"):
            assert 0 <= record < 2**63, (inside, record)
        return
    if is_dataclass(record):
        for part in fields(record):
            check_exact(getattr(record, part.name), part.name)
        return
    if isinstance(record, tuple) and hasattr(record, "_fields"):
        for name, value in zip(record._fields, record, strict=True):
            check_exact(value, name)
        return
    assert isinstance(record, (tuple, dict)), (inside, type(record))
    for value in record.values() if isinstance(record, dict) else record:
        check_exact(value, inside)


def attempt(reader, *messages):
    """Return the record and None, or None and the refusal; anything else that is raised comes through."""
    try:
        return reader(*messages), None
    except PayloadError as e:
        return None, e


def check_refusal(refusal):
    assert refusal.channel
    assert 0 < len(str(refusal)) <= 400


def read_or_refuse(reader, message):
    """Return the record of a message, None where it was refused in a short sentence that names the channel; all else fails."""
    record, refusal = attempt(reader, message)
    if refusal is not None:
        check_refusal(refusal)
    elif reader not in HANDS_ON:
        check_exact(record)
    return record
