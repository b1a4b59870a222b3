"""Whatever a message holds, it is read into its record or refused with PayloadError: 10,000 payloads, nothing else comes out."""

import json
import random
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from hyperliquid_hip3.frames import parse_frame
from hyperliquid_hip3.readers import CHANNEL_READERS
from hyperliquid_hip3.readers import REPLY_READERS
from tests.adapter.venue_messages import JUNK
from tests.adapter.venue_messages import MESSAGES
from tests.adapter.venue_messages import REPLIES
from tests.adapter.venue_messages import SAMPLES
from tests.adapter.venue_messages import at
from tests.adapter.venue_messages import attempt
from tests.adapter.venue_messages import broken
from tests.adapter.venue_messages import check_refusal
from tests.adapter.venue_messages import chooser
from tests.adapter.venue_messages import paths
from tests.adapter.venue_messages import read_or_refuse
from tests.adapter.venue_messages import replaced
from tests.adapter.venue_messages import without


MANY = settings(
    max_examples=8_000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
ANY = st.text(max_size=12) | st.integers() | st.floats() | st.decimals().map(str)
FEWER = settings(MANY, max_examples=2_000)
IDS = [f"{name} {i}" for i, (name, _, _) in enumerate(SAMPLES)]

# left out without harm: the venue leaves them out at times, or nothing is read from them
OPTIONAL = {
    *("fast", "users", "hash", "premium", "midPx", "impactPxs", "dayBaseVlm", "dex", "cloid", "reduceOnly"),
    *("tif", "orderType", "isTrigger", "triggerCondition", "children", "isPositionTpsl", "isSnapshot", "dir"),
    *("twapId", "builderFee", "deployerFee", "liquidation", "liquidatedUser", "nSamples", "liquidator"),
    *("rawUsd", "entryPx", "liquidationPx", "returnOnEquity", "allTime", "sinceChange", "validUntil"),
    *("marginTableId", "growthMode", "marginMode", "deployerFeeScale", "marginTables", "description"),
    *("collateralToken", "dailyUserVlm", "tiers", "vip", "mm", "referralDiscount", "activeStakingDiscount"),
    *(
        "bpsOfMaxSupply",
        "date",
        "userCross",
        "userAdd",
        "exchange",
        "fullName",
        "deployer",
        "nRequestsSurplus",
    ),
    *("specialStatuses", "destination", "sourceDex", "destinationDex", "usdcValue", "nonce", "toPerp"),
    *("block_time", "block_number", "statuses"),
}
# the same, but only in these messages
OPTIONAL_IN = {
    "markPx": ("activeAssetData", "ills", "user", "block"),
    "method": ("ills", "user", "block"),
    "fills": ("message user",),
    "funding": ("message user",),
    "liquidation": ("message user",),
    "nonUserCancel": ("message user",),
    "user": ("activeAssetData", "spotState", "Ledger"),
    "fee": ("Ledger",),
    "type": ("learinghouseState", "subscriptionResponse"),
    "coin": ("subscriptionResponse",),
    "status": ("message post",),
    "response": ("message post",),
    "name": ("extraAgents", "vaultDetails"),
    "vaultAddress": ("vaultDetails",),
    "followers": ("vaultDetails",),
    "agentAddress": ("webData3",),
    "agentValidUntil": ("webData3",),
    "data": ("exchange",),
}


def is_open(name, path):
    """Whether any name fits there: a coin, a subscription's field, or what a socket's answer hands on unread."""
    return "Mids" in name or "subscription" in path or "payload" in path


def may_miss(name, path):
    key = path[-1]
    return (
        is_open(name, path[:-1]) or key in OPTIONAL or any(part in name for part in OPTIONAL_IN.get(key, ()))
    )


def test_there_is_a_message_for_every_channel_and_endpoint():
    assert {name for name, _ in MESSAGES} == set(CHANNEL_READERS)
    assert {name for name, _ in REPLIES} == set(REPLY_READERS)


@pytest.mark.parametrize(("name", "reader", "sample"), SAMPLES, ids=IDS)
def test_the_whole_message_is_read_exactly(name, reader, sample):
    before = json.dumps(sample)
    assert read_or_refuse(reader, sample) is not None
    assert json.dumps(sample) == before


@pytest.mark.parametrize(("name", "reader", "sample"), SAMPLES, ids=IDS)
def test_fields_added_later_change_nothing(name, reader, sample):
    plain = reader(sample)
    for path in paths(sample):
        if isinstance(at(sample, path), dict) and not is_open(name, path):
            added = replaced(sample, path, {**at(sample, path), "zzz": {"deep": [1.5, None]}})
            assert reader(added) == plain, path


@pytest.mark.parametrize(("name", "reader", "sample"), SAMPLES, ids=IDS)
def test_a_missing_field_is_named(name, reader, sample):
    for path in paths(sample):
        if not path or not isinstance(path[-1], str):
            continue
        _, refusal = attempt(reader, without(sample, path))
        # the form of an outcome is told by the name of its one field
        nameless = path[-1] in {"resting", "filled", "error"}
        if refusal is None:
            assert may_miss(name, path), path
        else:
            assert f"`{path[-1]}` is missing" in str(refusal) or nameless, path


@pytest.mark.parametrize(("name", "reader", "sample"), SAMPLES, ids=IDS)
def test_a_json_float_is_never_a_price_a_size_or_an_amount(name, reader, sample):
    for path in paths(sample):
        value = at(sample, path)
        if not (isinstance(value, str) and value.replace(".", "").lstrip("-").isdigit()):
            continue
        for number in (float(value), int(float(value)), Decimal(value)):
            record, refusal = attempt(reader, replaced(sample, path, number))
            # only a field that nothing reads may hold it
            assert refusal is not None or record == reader(sample), path


@MANY
@given(st.sampled_from(SAMPLES), st.binary(min_size=26, max_size=26), ANY)
def test_a_broken_message_is_read_or_refused(sample, picks, junk):
    _, reader, message = sample
    read_or_refuse(reader, broken(message, chooser(picks), [*JUNK, *[junk] * 5]))


def test_of_the_broken_messages_some_are_read_and_most_are_refused():
    draws = random.Random(11)
    read = sum(
        read_or_refuse(reader, broken(message, draws.randrange)) is not None
        for _, reader, message in SAMPLES * 20
    )
    assert 0.05 < read / (len(SAMPLES) * 20) < 0.6


@FEWER
@given(st.sampled_from(MESSAGES), st.binary(min_size=1, max_size=4), st.integers(0, 2**16), st.booleans())
def test_a_damaged_frame_is_read_or_refused(message, damage, place, cut):
    channel, data = message
    raw = msgspec.json.encode({"channel": channel, "data": data})
    at_byte = place % len(raw)
    raw = raw[:at_byte] if cut else raw[:at_byte] + damage + raw[at_byte + len(damage) :]
    frame, refusal = attempt(parse_frame, raw)
    if refusal is None and frame.channel in CHANNEL_READERS:
        read_or_refuse(CHANNEL_READERS[frame.channel], frame.data)
    elif refusal is not None:
        check_refusal(refusal)
