"""Building the venue's actions: keys in the venue's order, exact numbers, refusals."""

from decimal import ROUND_DOWN
from decimal import Decimal
from decimal import localcontext

import pytest
from hyperliquid.utils.signing import float_to_wire
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

from hyperliquid_hip3 import actions
from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.actions import Trigger
from hyperliquid_hip3.errors import SigningError


ASSET = 150000
CLOID = "0x000000000000000000000000000000a1"
ADDRESS = "0x14791697260E4c9A71f18484C9f997B308e59325"
BUY = OrderSpec(ASSET, is_buy=True, price=Decimal("690.40"), size=Decimal("0.100"), cloid=CLOID)


def keys_of(value):
    """The keys in their order, all the way down."""
    if isinstance(value, dict):
        return [(key, keys_of(part)) for key, part in value.items()]
    return [keys_of(part) for part in value] if isinstance(value, list) else None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("690.40", "690.4"),
        ("690", "690"),
        ("1E+3", "1000"),
        ("0.00000001", "0.00000001"),
        ("1.10000000000", "1.1"),
        ("0", "0"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("-12.50", "-12.5"),
        ("123456789012345.12345678", "123456789012345.12345678"),
    ],
)
def test_a_number_goes_out_without_exponent_or_trailing_zeros(number, text):
    assert actions.number_to_wire(Decimal(number)) == text


@pytest.mark.parametrize(
    "number", ["0.000000001", "690.123456789", "NaN", "Infinity", "-Infinity", "sNaN", "1E-9", "9" * 70]
)
def test_a_number_that_would_be_rounded_is_refused(number):
    with pytest.raises(SigningError):
        actions.number_to_wire(Decimal(number))


@pytest.mark.parametrize("number", [690.4, 690, True, "690.4", None])
def test_only_decimals_are_numbers(number):
    with pytest.raises(SigningError, match="must be Decimal"):
        actions.number_to_wire(number)


def test_the_callers_decimal_context_rounds_nothing():
    with localcontext(prec=3, rounding=ROUND_DOWN):
        assert actions.number_to_wire(Decimal("690.4567")) == "690.4567"


@given(st.decimals(min_value=-9_999_999, max_value=9_999_999, places=8, allow_nan=False))
@example(Decimal("752.44"))
@example(Decimal("0.00000001"))
def test_a_number_is_written_as_the_official_client_writes_it(number):
    assert actions.number_to_wire(number) == (float_to_wire(float(number)) if number else "0")


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=9))
def test_a_number_reads_back_exactly_or_is_refused(number):
    try:
        text = actions.number_to_wire(number)
    except SigningError:
        assert number != round(number, 8)
    else:
        assert Decimal(text) == number


@pytest.mark.parametrize(
    ("action", "wire"),
    [
        (
            actions.order_action([BUY]),
            {
                "type": "order",
                "orders": [
                    {
                        "a": ASSET,
                        "b": True,
                        "p": "690.4",
                        "s": "0.1",
                        "r": False,
                        "t": {"limit": {"tif": "Alo"}},
                        "c": CLOID,
                    }
                ],
                "grouping": "na",
            },
        ),
        (
            actions.order_action(
                [BUY._replace(cloid=None, is_buy=False, reduce_only=True, tif="Ioc")], priority=5000
            ),
            {
                "type": "order",
                "orders": [
                    {
                        "a": ASSET,
                        "b": False,
                        "p": "690.4",
                        "s": "0.1",
                        "r": True,
                        "t": {"limit": {"tif": "Ioc"}},
                    }
                ],
                "grouping": {"p": 5000},
            },
        ),
        (
            actions.modify_action(
                7, BUY._replace(cloid=None, trigger=Trigger(Decimal("680.0"), True, "sl")), always_place=True
            ),
            {
                "type": "modify",
                "oid": 7,
                "order": {
                    "a": ASSET,
                    "b": True,
                    "p": "690.4",
                    "s": "0.1",
                    "r": False,
                    "t": {"trigger": {"isMarket": True, "triggerPx": "680", "tpsl": "sl"}},
                },
                "a": True,
            },
        ),
        (
            actions.cancel_action([(ASSET, 7), (ASSET, 8)], fast=True),
            {"type": "cancel", "cancels": [{"a": ASSET, "o": 7}, {"a": ASSET, "o": 8}], "f": True},
        ),
        (
            actions.cancel_by_cloid_action([(ASSET, CLOID)]),
            {"type": "cancelByCloid", "cancels": [{"asset": ASSET, "cloid": CLOID}]},
        ),
        (
            actions.schedule_cancel_action(1_780_000_000_000),
            {"type": "scheduleCancel", "time": 1_780_000_000_000},
        ),
        (actions.schedule_cancel_action(None), {"type": "scheduleCancel"}),
        (
            actions.update_leverage_action(ASSET, 5, is_cross=False),
            {"type": "updateLeverage", "asset": ASSET, "isCross": False, "leverage": 5},
        ),
        (
            # 12.5 units are 12.5 * 1e6 millionths
            actions.update_isolated_margin_action(ASSET, Decimal("12.50")),
            {"type": "updateIsolatedMargin", "asset": ASSET, "isBuy": True, "ntli": 12_500_000},
        ),
        (
            actions.update_isolated_margin_action(ASSET, Decimal("-0.000001")),
            {"type": "updateIsolatedMargin", "asset": ASSET, "isBuy": True, "ntli": -1},
        ),
        (actions.reserve_request_weight_action(1000), {"type": "reserveRequestWeight", "weight": 1000}),
        (actions.noop_action(), {"type": "noop"}),
        (
            actions.agent_set_abstraction_action("unifiedAccount"),
            {"type": "agentSetAbstraction", "abstraction": "u"},
        ),
        (
            actions.user_set_abstraction_action(ADDRESS, "disabled", 11),
            {
                "type": "userSetAbstraction",
                "user": ADDRESS.lower(),
                "abstraction": "disabled",
                "nonce": 11,
            },
        ),
        (
            actions.send_asset_action(
                destination=ADDRESS,
                source_dex="spot",
                destination_dex="km",
                token="USDH:0x01",
                amount=Decimal("100.00"),
                nonce=12,
            ),
            {
                "type": "sendAsset",
                "destination": ADDRESS.lower(),
                "sourceDex": "spot",
                "destinationDex": "km",
                "token": "USDH:0x01",
                "amount": "100",
                "fromSubAccount": "",
                "nonce": 12,
            },
        ),
        (
            actions.usd_class_transfer_action(Decimal(3), to_perp=True, nonce=13, sub_account=ADDRESS),
            {
                "type": "usdClassTransfer",
                "amount": f"3 subaccount:{ADDRESS.lower()}",
                "toPerp": True,
                "nonce": 13,
            },
        ),
        (
            actions.approve_agent_action(ADDRESS, nonce=14, name="maker", valid_until_ms=1_790_000_000_000),
            {
                "type": "approveAgent",
                "agentAddress": ADDRESS.lower(),
                "agentName": "maker valid_until 1790000000000",
                "nonce": 14,
            },
        ),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) and "type" in value else "",
)
def test_an_action_has_the_venues_keys_in_the_venues_order(action, wire):
    assert action == wire
    assert keys_of(action) == keys_of(wire)


def test_a_batch_modify_takes_numbers_and_own_ids():
    action = actions.batch_modify_action([(7, BUY), (CLOID, BUY)])
    assert [row["oid"] for row in action["modifies"]] == [7, CLOID]
    assert list(action) == ["type", "modifies"]


@pytest.mark.parametrize(
    "build",
    [
        lambda: actions.order_action([]),
        lambda: actions.batch_modify_action([]),
        lambda: actions.cancel_action([]),
        lambda: actions.cancel_by_cloid_action([]),
        lambda: actions.order_action([BUY._replace(price=Decimal(0))]),
        lambda: actions.order_action([BUY._replace(size=Decimal("-0.1"))]),
        lambda: actions.order_action([BUY._replace(price=690.4)]),
        lambda: actions.order_action([BUY._replace(tif="Fok")]),
        lambda: actions.order_action([BUY._replace(asset=True)]),
        lambda: actions.order_action([BUY._replace(asset=-1)]),
        lambda: actions.order_action([BUY._replace(is_buy=1)]),
        lambda: actions.order_action([BUY._replace(cloid="0xA1")]),
        lambda: actions.order_action([BUY._replace(cloid=CLOID.upper())]),
        lambda: actions.order_action([BUY._replace(trigger=Trigger(Decimal(1), True, "xx"))]),
        lambda: actions.order_action([BUY], priority=80_001),
        lambda: actions.modify_action(2**64, BUY),
        lambda: actions.cancel_action([(ASSET, "7")]),
        lambda: actions.update_leverage_action(ASSET, 0, is_cross=True),
        lambda: actions.update_isolated_margin_action(ASSET, Decimal("0.0000001")),
        lambda: actions.update_isolated_margin_action(ASSET, Decimal(0)),
        lambda: actions.update_isolated_margin_action(ASSET, Decimal("NaN")),
        lambda: actions.reserve_request_weight_action(0),
        lambda: actions.agent_set_abstraction_action("unified"),
        lambda: actions.user_set_abstraction_action("0x12", "disabled", 1),
        lambda: actions.usd_class_transfer_action(Decimal(0), to_perp=True, nonce=1),
        lambda: actions.approve_agent_action(ADDRESS, nonce=1, valid_until_ms=5),
    ],
)
def test_what_the_venue_would_refuse_or_misread_is_not_built(build):
    with pytest.raises(SigningError):
        build()
