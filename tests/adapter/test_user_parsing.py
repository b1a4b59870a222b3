"""Readers of a user's account, orders, fills and limits: what each field becomes, and what is refused."""

from decimal import Decimal

import pytest

from hyperliquid_hip3.account_parsing import parse_active_asset_data
from hyperliquid_hip3.account_parsing import parse_all_dexs_clearinghouse_state
from hyperliquid_hip3.account_parsing import parse_clearinghouse_state
from hyperliquid_hip3.account_parsing import parse_clearinghouse_state_message
from hyperliquid_hip3.account_parsing import parse_extra_agents
from hyperliquid_hip3.account_parsing import parse_ledger_message
from hyperliquid_hip3.account_parsing import parse_ledger_updates
from hyperliquid_hip3.account_parsing import parse_rate_limit
from hyperliquid_hip3.account_parsing import parse_spot_state
from hyperliquid_hip3.account_parsing import parse_spot_state_message
from hyperliquid_hip3.account_parsing import parse_user_abstraction
from hyperliquid_hip3.account_parsing import parse_user_fees
from hyperliquid_hip3.account_parsing import parse_user_role
from hyperliquid_hip3.context_parsing import parse_active_asset_ctx
from hyperliquid_hip3.context_parsing import parse_all_dexs_asset_ctxs
from hyperliquid_hip3.context_parsing import parse_all_mids
from hyperliquid_hip3.context_parsing import parse_all_mids_message
from hyperliquid_hip3.context_parsing import parse_exchange_status
from hyperliquid_hip3.context_parsing import parse_meta_and_asset_ctxs
from hyperliquid_hip3.context_parsing import parse_perp_dex_limits
from hyperliquid_hip3.context_parsing import parse_perps_at_cap
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.parsing import parse_meta
from hyperliquid_hip3.user_parsing import parse_frontend_open_orders
from hyperliquid_hip3.user_parsing import parse_historical_orders
from hyperliquid_hip3.user_parsing import parse_open_orders
from hyperliquid_hip3.user_parsing import parse_open_orders_message
from hyperliquid_hip3.user_parsing import parse_order_status
from hyperliquid_hip3.user_parsing import parse_order_updates
from hyperliquid_hip3.user_parsing import parse_user_event
from hyperliquid_hip3.user_parsing import parse_user_fills
from hyperliquid_hip3.user_parsing import parse_user_fills_message
from hyperliquid_hip3.user_parsing import parse_user_funding_history
from hyperliquid_hip3.user_parsing import parse_user_fundings_message
from hyperliquid_hip3.user_records import AssetContext
from hyperliquid_hip3.user_records import FeeTier
from hyperliquid_hip3.user_records import FillKey
from hyperliquid_hip3.user_records import FillsEvent
from hyperliquid_hip3.user_records import FundingEvent
from hyperliquid_hip3.user_records import FundingPayment
from hyperliquid_hip3.user_records import LiquidationNotice
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import OrderState
from hyperliquid_hip3.user_records import OtherEvent
from hyperliquid_hip3.user_records import Role
from hyperliquid_hip3.user_records import VenueCancel
from hyperliquid_hip3.user_records import VenueCancels
from tests.adapter.venue_messages import AGENT
from tests.adapter.venue_messages import ASSET_DATA
from tests.adapter.venue_messages import CLASS_MOVED
from tests.adapter.venue_messages import CLOID
from tests.adapter.venue_messages import CONTEXT
from tests.adapter.venue_messages import DELTA
from tests.adapter.venue_messages import FEES
from tests.adapter.venue_messages import FILL
from tests.adapter.venue_messages import FRONTEND
from tests.adapter.venue_messages import META
from tests.adapter.venue_messages import MOVED
from tests.adapter.venue_messages import MS
from tests.adapter.venue_messages import ORDER
from tests.adapter.venue_messages import PAYMENT
from tests.adapter.venue_messages import POSITION
from tests.adapter.venue_messages import SPOT
from tests.adapter.venue_messages import STATE
from tests.adapter.venue_messages import UPDATE
from tests.adapter.venue_messages import USER


NS = MS * 1_000_000
LIQUIDATION = {
    "lid": 5,
    "liquidator": AGENT,
    "liquidated_user": USER,
    "liquidated_ntl_pos": "690.0",
    "liquidated_account_value": "10.0",
}


def state_of(**changes):
    return {**STATE, "assetPositions": [{"type": "oneWay", "position": {**POSITION, **changes}}]}


# --- contexts ---------------------------------------------------------------------------------------------------------


def test_a_context_is_read_exactly_as_written():
    assert parse_active_asset_ctx({"coin": "km:US500", "ctx": CONTEXT}) == AssetContext(
        coin="km:US500",
        funding=Decimal("0.0000057"),
        open_interest=Decimal("3000.5"),
        oracle_price=Decimal("690.05"),
        mark_price=Decimal("690.02"),
        mid_price=Decimal("690.02"),
        premium=Decimal("-0.00008"),
        day_notional_volume=Decimal("1234567.89"),
        day_base_volume=Decimal("1789.1"),
        previous_day_price=Decimal("688.2"),
        impact_bid=Decimal("690.01"),
        impact_ask=Decimal("690.04"),
    )


def test_a_context_without_a_book_has_no_mid_premium_or_impact_prices():
    quiet = {**CONTEXT, "midPx": None, "premium": None, "impactPxs": None}
    context = parse_active_asset_ctx({"coin": "km:US500", "ctx": quiet})
    assert (context.mid_price, context.premium, context.impact_bid, context.impact_ask) == (None,) * 4


def test_contexts_take_their_coins_from_the_slots_of_the_meta():
    two = {
        "universe": [META["universe"][0], {**META["universe"][0], "name": "km:GOLD"}],
        "collateralToken": 360,
    }
    meta, contexts = parse_meta_and_asset_ctxs([two, [CONTEXT, {**CONTEXT, "markPx": "411.0"}]])
    assert [(c.coin, c.mark_price) for c in contexts] == [
        ("km:US500", Decimal("690.02")),
        ("km:GOLD", Decimal("411.0")),
    ]
    assert meta.collateral_token == 360


def test_contexts_that_do_not_pair_with_the_meta_are_refused():
    with pytest.raises(PayloadError, match="2 contexts for 1 perpetuals"):
        parse_meta_and_asset_ctxs([META, [CONTEXT, CONTEXT]])


def test_contexts_of_all_dexes_are_named_where_the_meta_is_known():
    message = {"ctxs": [["", [CONTEXT]], ["km", [CONTEXT, CONTEXT]]]}
    bare = parse_all_dexs_asset_ctxs(message)
    assert {dex: [c.coin for c in rows] for dex, rows in bare.items()} == {"": [""], "km": ["", ""]}
    named = parse_all_dexs_asset_ctxs(message, {"km": parse_meta(META)})
    # the second slot was listed after the meta was read
    assert [c.coin for c in named["km"]] == ["km:US500", ""]


def test_mids_caps_status_and_limits_are_read():
    assert parse_all_mids({"km:US500": "690.02"}) == {"km:US500": Decimal("690.02")}
    assert parse_all_mids_message({"mids": {"km:US500": "690.02"}, "dex": "km"}) == {
        "km:US500": Decimal("690.02")
    }
    assert parse_perps_at_cap(["km:US500"]) == ("km:US500",)
    with pytest.raises(PayloadError, match="was 5, must be a text"):
        parse_perps_at_cap([5])
    assert parse_exchange_status({"time": MS, "specialStatuses": None}).special_statuses == ()
    assert parse_exchange_status({"time": MS, "specialStatuses": ["upgrade"]}).special_statuses == (
        "upgrade",
    )
    assert parse_exchange_status({"time": MS, "specialStatuses": "upgrade"}).special_statuses == ("upgrade",)
    limits = parse_perp_dex_limits(
        {
            "totalOiCap": "1000.0",
            "oiSzCapPerPerp": "100.0",
            "maxTransferNtl": "50.0",
            "coinToOiCap": [["km:US500", "10.0"]],
        },
    )
    assert limits.coin_oi_caps == {"km:US500": Decimal("10.0")}


# --- account ----------------------------------------------------------------------------------------------------------


def test_a_short_isolated_position_keeps_its_sign_cash_and_leverage():
    state = parse_clearinghouse_state(STATE)
    (position,) = state.positions
    assert (position.size, position.entry_price, position.value) == (
        Decimal("-1.0"),
        Decimal("691.0"),
        Decimal("690.02"),
    )
    assert (position.leverage, position.is_cross, position.raw_usd) == (25, False, Decimal("717.62"))
    assert (position.max_leverage, position.funding_since_open) == (25, Decimal("-0.25"))
    assert (state.ts_ns, state.withdrawable) == (NS, Decimal("900.25"))
    assert state.summary.account_value == Decimal("1000.5")
    assert state.cross_summary.total_notional == Decimal("0.0")


def test_a_cross_position_has_no_cash_of_its_own_and_may_have_no_liquidation_price():
    state = parse_clearinghouse_state(
        state_of(leverage={"type": "cross", "value": 5}, liquidationPx=None, szi="2.0")
    )
    (position,) = state.positions
    assert (position.size, position.is_cross, position.raw_usd, position.liquidation_price) == (
        Decimal("2.0"),
        True,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"szi": "NaN"}, "`szi` was 'NaN'"),
        ({"szi": 1}, "`szi` was 1"),
        ({"szi": 1.5}, "not written as text"),
        ({"leverage": {"type": "other", "value": 5}}, "not 'cross' or 'isolated'"),
        ({"leverage": {"type": "cross", "value": "5"}}, "`value` was '5'"),
        ({"coin": ""}, "`coin` was ''"),
        ({"maxLeverage": -1}, "`maxLeverage` was -1"),
        ({"cumFunding": None}, "`cumFunding` is not an object"),
    ],
)
def test_one_bad_position_refuses_the_whole_account(changes, what):
    with pytest.raises(PayloadError, match="clearinghouseState") as caught:
        parse_clearinghouse_state(state_of(**changes))
    assert what in str(caught.value)


@pytest.mark.parametrize("reply", [None, {}, [], "", 0], ids=repr)
def test_an_empty_answer_never_reads_as_flat(reply):
    with pytest.raises(PayloadError):
        parse_clearinghouse_state(reply)
    with pytest.raises(PayloadError):
        parse_spot_state(reply)
    for parse in (parse_open_orders, parse_user_fills, parse_user_funding_history):
        if reply != []:
            with pytest.raises(PayloadError):
                parse(reply)


def test_account_messages_name_dex_and_user():
    one = parse_clearinghouse_state_message({"dex": "km", "user": USER, "clearinghouseState": STATE})
    assert (one.dex, one.user, one.state) == ("km", USER, parse_clearinghouse_state(STATE))
    both = parse_all_dexs_clearinghouse_state(
        {"user": USER, "clearinghouseStates": [["", STATE], ["km", STATE]]}
    )
    assert [row.dex for row in both] == ["", "km"]


def test_a_spot_balance_is_found_by_its_token_and_absent_where_there_is_none():
    state = parse_spot_state(SPOT)
    assert state.find(360).total == Decimal("250.5")
    assert state.find(360).hold == Decimal("10.0")
    assert state.find(0) is None
    assert parse_spot_state_message({"user": USER, "spotState": SPOT}) == state


def test_fees_are_the_users_own_with_the_schedule_beside_them():
    fees = parse_user_fees(FEES)
    assert (fees.maker_rate, fees.taker_rate) == (Decimal("0.0001"), Decimal("0.0003"))
    assert (fees.base_maker_rate, fees.base_taker_rate) == (Decimal("0.00015"), Decimal("0.00045"))
    assert (fees.referral_discount, fees.staking_discount) == (Decimal("0.04"), Decimal("0.1"))
    assert fees.tiers == (FeeTier(Decimal("5000000.0"), Decimal("0.0004"), Decimal("0.00012")),)
    assert parse_user_fees({**FEES, "activeStakingDiscount": None}).staking_discount == 0


def test_limits_roles_keys_and_modes_are_read():
    limit = parse_rate_limit({"cumVlm": "12.5", "nRequestsUsed": 231, "nRequestsCap": 10_012})
    assert (limit.volume, limit.used, limit.cap, limit.surplus) == (Decimal("12.5"), 231, 10_012, 0)
    assert parse_user_role({"role": "agent", "data": {"user": USER}}) == Role("agent", USER)
    assert parse_user_role({"role": "subAccount", "data": {"master": USER}}) == Role("subAccount", USER)
    assert parse_user_role({"role": "missing"}) == Role("missing", None)
    with pytest.raises(PayloadError, match="`data` is missing"):
        parse_user_role({"role": "agent"})
    (agent,) = parse_extra_agents([{"name": "maker", "address": AGENT, "validUntil": MS}])
    assert (agent.name, agent.address, agent.valid_until_ns) == ("maker", AGENT, NS)
    assert parse_user_abstraction("unifiedAccount") == "unifiedAccount"
    with pytest.raises(PayloadError, match="must be a text"):
        parse_user_abstraction(None)


def test_what_may_be_traded_is_for_buying_and_for_selling():
    asset = parse_active_asset_data(ASSET_DATA)
    assert (asset.leverage, asset.is_cross) == (5, True)
    assert asset.max_trade_sizes == (Decimal("7.0"), Decimal("7.2"))
    assert asset.available == (Decimal("900.0"), Decimal("910.0"))


def test_transfers_keep_both_ends_and_the_empty_dex_apart_from_none():
    send, moved = parse_ledger_updates(
        [{**MOVED, "delta": {**MOVED["delta"], "destinationDex": ""}}, CLASS_MOVED]
    )
    assert (send.kind, send.amount, send.token) == ("send", Decimal("100.0"), "USDH")
    assert (send.source_dex, send.destination_dex, send.to_perp) == ("spot", "", None)
    assert (moved.kind, moved.amount, moved.token) == ("accountClassTransfer", Decimal("12.0"), "USDC")
    assert (moved.source_dex, moved.destination_dex, moved.to_perp) == (None, None, False)
    message = parse_ledger_message(
        {"isSnapshot": True, "user": USER, "nonFundingLedgerUpdates": [CLASS_MOVED]}
    )
    assert (message.is_snapshot, message.updates) == (True, (moved,))


def test_a_transfer_without_its_amount_is_refused_and_an_unknown_kind_read_as_far_as_it_goes():
    with pytest.raises(PayloadError, match="`usdc` is missing"):
        parse_ledger_updates([{"time": MS, "hash": "0x1", "delta": {"type": "deposit"}}])
    (other,) = parse_ledger_updates([{"time": MS, "hash": "0x1", "delta": {"type": "liquidation", "x": 1}}])
    assert (other.kind, other.amount, other.token) == ("liquidation", None, "")


# --- orders -----------------------------------------------------------------------------------------------------------


def test_an_open_order_keeps_what_is_left_apart_from_what_was_asked():
    (order,) = parse_open_orders([ORDER])
    assert order == OpenOrder(
        coin="km:US500",
        side=1,
        price=Decimal("689.99"),
        size=Decimal("0.3"),
        orig_size=Decimal("0.5"),
        oid=91,
        cloid=CLOID,
        ts_ns=NS,
    )
    (sold,) = parse_open_orders([{**ORDER, "side": "A", "cloid": None}])
    assert (sold.side, sold.cloid) == (-1, None)


def test_a_trigger_order_has_its_trigger_price_and_a_plain_one_has_none():
    stop, plain = parse_frontend_open_orders([FRONTEND, {**FRONTEND, "isTrigger": False, "triggerPx": "0.0"}])
    assert (stop.is_trigger, stop.trigger_price, stop.order_type) == (True, Decimal("700.0"), "Stop Limit")
    assert (stop.reduce_only, stop.tif) == (True, "Gtc")
    assert (plain.is_trigger, plain.trigger_price) == (False, None)


def test_an_open_orders_message_names_dex_and_user():
    message = parse_open_orders_message({"dex": "km", "user": USER, "orders": [FRONTEND]})
    assert (message.dex, message.user) == ("km", USER)
    assert message.orders == parse_frontend_open_orders([FRONTEND])


def test_an_order_that_the_venue_does_not_know_is_a_state_of_its_own():
    assert parse_order_status({"status": "unknownOid"}) == OrderState(
        order=None, status="unknownOid", ts_ns=0
    )


def test_an_order_status_says_when_it_took_it():
    found = parse_order_status(
        {"status": "order", "order": {"order": FRONTEND, "status": "filled", "statusTimestamp": MS + 9}}
    )
    assert (found.status, found.ts_ns, found.order.oid) == ("filled", NS + 9_000_000, 91)


@pytest.mark.parametrize(
    "reply", [{}, {"status": "order"}, {"status": "lost"}, {"status": None}, "unknownOid"]
)
def test_an_unclear_order_status_is_refused_and_never_reads_as_unknown_order(reply):
    with pytest.raises(PayloadError):
        parse_order_status(reply)


def test_order_updates_come_in_the_order_sent_with_their_own_times():
    updates = parse_order_updates([UPDATE, {**UPDATE, "status": "canceled", "statusTimestamp": MS + 7}])
    assert [(u.status, u.ts_ns - u.order.ts_ns) for u in updates] == [
        ("open", 5_000_000),
        ("canceled", 7_000_000),
    ]
    # what was left of a canceled order is still told
    assert updates[1].order.size == Decimal("0.3")
    (past,) = parse_historical_orders(
        [{"order": FRONTEND, "status": "selfTradeCanceled", "statusTimestamp": MS}]
    )
    assert past.status == "selfTradeCanceled"


# --- fills and events -------------------------------------------------------------------------------------------------


def test_a_fill_is_read_exactly_as_written():
    (fill,) = parse_user_fills([FILL])
    assert (fill.price, fill.size, fill.side, fill.is_taker) == (Decimal("690.0"), Decimal("0.2"), -1, False)
    assert (fill.start_position, fill.closed_pnl, fill.direction) == (
        Decimal("0.7"),
        Decimal("0.12"),
        "Close Long",
    )
    assert (fill.fee, fill.fee_token, fill.builder_fee) == (Decimal("-0.0002"), "USDH", Decimal("0.01"))
    assert (fill.is_liquidation, fill.liquidated_user, fill.liquidation_method) == (True, AGENT, "market")
    assert fill.key == FillKey(NS, "km:US500", 777)


def test_a_plain_fill_has_no_liquidation_cloid_or_builder():
    bare = {
        k: v
        for k, v in FILL.items()
        if k not in ("liquidation", "cloid", "builderFee", "deployerFee", "twapId")
    }
    (fill,) = parse_user_fills([{**bare, "feeToken": " USDH"}])
    assert (fill.is_liquidation, fill.cloid, fill.builder_fee, fill.deployer_fee) == (False, None, None, None)
    assert fill.fee_token == "USDH"
    # a liquidation that names nobody is one all the same
    (nameless,) = parse_user_fills([{**FILL, "liquidation": {}}])
    assert (nameless.is_liquidation, nameless.liquidated_user) == (True, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"px": 690.0},
        {"crossed": "true"},
        {"crossed": None},
        {"tid": "777"},
        {"side": "S"},
        {"time": -1},
        {"oid": 1.0},
    ],
    ids=repr,
)
def test_a_fill_of_another_form_refuses_the_whole_list(changes):
    with pytest.raises(PayloadError):
        parse_user_fills([FILL, {**FILL, **changes}])


@pytest.mark.parametrize(("given", "expected"), [(True, True), (False, False), (None, False)])
def test_only_a_message_that_says_so_is_a_snapshot(given, expected):
    message = parse_user_fills_message({"isSnapshot": given, "user": USER, "fills": [FILL]})
    assert (message.is_snapshot, message.user, len(message.fills)) == (expected, USER, 1)
    assert parse_user_fills_message({"user": USER, "fills": []}).is_snapshot is False
    assert (
        parse_user_fundings_message({"isSnapshot": given, "user": USER, "fundings": []}).is_snapshot
        is expected
    )


def test_funding_is_paid_with_its_sign_in_the_same_record_from_reply_message_and_event():
    payment = FundingPayment(
        coin="km:US500",
        ts_ns=NS,
        amount=Decimal("-0.05"),
        position_size=Decimal("0.7"),
        rate=Decimal("0.0000057"),
    )
    assert parse_user_funding_history([{"time": MS, "hash": "0x1", "delta": DELTA}]) == (payment,)
    assert parse_user_fundings_message({"user": USER, "fundings": [PAYMENT]}).payments == (payment,)
    assert parse_user_event({"funding": PAYMENT}) == FundingEvent(payment)


def test_each_kind_of_user_event_has_its_record():
    assert parse_user_event({"fills": [FILL]}) == FillsEvent(parse_user_fills([FILL]))
    assert parse_user_event({"liquidation": LIQUIDATION}) == LiquidationNotice(
        liquidation_id=5,
        liquidator=AGENT,
        liquidated_user=USER,
        notional=Decimal("690.0"),
        account_value=Decimal("10.0"),
    )
    assert parse_user_event({"nonUserCancel": [{"coin": "km:US500", "oid": 91}]}) == VenueCancels(
        (VenueCancel("km:US500", 91),)
    )
    assert parse_user_event({"twapHistory": []}) == OtherEvent(("twapHistory",))
