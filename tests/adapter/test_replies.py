"""What the venue answers to an action, and what its refusals mean."""

from decimal import Decimal

import pytest

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.replies import Accepted
from hyperliquid_hip3.replies import FilledNow
from hyperliquid_hip3.replies import OrderError
from hyperliquid_hip3.replies import Refused
from hyperliquid_hip3.replies import RejectionKind
from hyperliquid_hip3.replies import Resting
from hyperliquid_hip3.replies import Success
from hyperliquid_hip3.replies import Waiting
from hyperliquid_hip3.replies import canceled_by_venue
from hyperliquid_hip3.replies import is_canceled
from hyperliquid_hip3.replies import is_final
from hyperliquid_hip3.replies import is_rejected
from hyperliquid_hip3.replies import parse_exchange_reply
from hyperliquid_hip3.replies import rejection_asset
from hyperliquid_hip3.replies import rejection_kind
from hyperliquid_hip3.replies import status_kind
from tests.adapter.venue_messages import CLOID


NO_MARGIN = "Insufficient margin to place order. asset=150000"

TOO_MANY = (
    "Too many cumulative requests sent (97460 > 97456) for cumulative volume traded $87457.46. "
    "Place taker orders to free up 1 request per USDC traded."
)

# the venue's texts, protocol: Exchange, error strings
TEXTS = [
    ("Price must be divisible by tick size. asset=150000", RejectionKind.TICK),
    ("Order must have minimum value of $10. asset=150000", RejectionKind.MIN_NOTIONAL),
    ("Order must have minimum value of 10 USDH.", RejectionKind.MIN_NOTIONAL),
    (NO_MARGIN, RejectionKind.MARGIN),
    (
        "Order would cause position to exceed margin tier limit at current leverage",
        RejectionKind.MARGIN,
    ),
    ("Reduce only order would increase position. asset=150000", RejectionKind.REDUCE_ONLY),
    (
        "Post only order would have immediately matched, bbo was 690.01@690.03. asset=150000",
        RejectionKind.POST_ONLY_CROSS,
    ),
    (
        "Order could not immediately match against any resting orders. asset=150000",
        RejectionKind.IOC_NO_MATCH,
    ),
    ("Invalid TP/SL price. asset=150000", RejectionKind.TRIGGER_PRICE),
    ("No liquidity available for market order. asset=150000", RejectionKind.IOC_NO_MATCH),
    ("Order would increase open interest while open interest is capped", RejectionKind.OI_CAP),
    (
        "Order rejected due to price more aggressive than oracle while at open interest cap",
        RejectionKind.OI_CAP,
    ),
    ("Order would increase open interest too quickly", RejectionKind.OI_CAP),
    ("Order price too far from oracle", RejectionKind.ORACLE),
    ("Price too far from oracle asset=4", RejectionKind.ORACLE),
    ("Order price cannot be more than 80% away from the reference price", RejectionKind.ORACLE),
    ("Order price cannot be more than 95% away from the reference price", RejectionKind.ORACLE),
    ("Order has invalid price.", RejectionKind.INVALID_ORDER),
    ("Order has invalid size.", RejectionKind.INVALID_ORDER),
    ("Order has zero size.", RejectionKind.INVALID_ORDER),
    ("Orders are empty.", RejectionKind.BATCH),
    ("Signed action over weight limit of 200.", RejectionKind.BATCH),
    ("Order was never placed, already canceled, or filled. asset=150000", RejectionKind.NOT_FOUND),
    ("Cannot modify canceled or filled order.", RejectionKind.MODIFY_CLOSED),
    (
        TOO_MANY,
        RejectionKind.RATE_LIMIT,
    ),
    (
        "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $5.",
        RejectionKind.VOLUME,
    ),
    ("Invalid nonce: duplicate nonce 1770000000123", RejectionKind.NONCE),
    ("Invalid nonce: nonce too low 5 < 9", RejectionKind.NONCE),
    (
        "User or API Wallet 0x00000000000000000000000000000000000000bb does not exist.",
        RejectionKind.UNKNOWN_AGENT,
    ),
    ("Unable to recover signer.", RejectionKind.UNKNOWN_AGENT),
    ("Vault not registered: 0x00000000000000000000000000000000000000bb", RejectionKind.UNKNOWN_AGENT),
    ("Vault may not perform this action.", RejectionKind.UNKNOWN_AGENT),
    ("Must deposit before performing actions. User: 0x1", RejectionKind.NO_DEPOSIT),
    ("Action already expired", RejectionKind.EXPIRED),
    ("Action disabled when unified account is active", RejectionKind.ACCOUNT_MODE),
    ("Abstraction transition not allowed", RejectionKind.ACCOUNT_MODE),
    ("Cross margin is not allowed for this asset.", RejectionKind.LEVERAGE),
    ("Cannot switch leverage type with open position.", RejectionKind.LEVERAGE),
    ("Invalid leverage value", RejectionKind.LEVERAGE),
    ("Only post-only orders allowed immediately after network upgrade", RejectionKind.POST_ONLY_PHASE),
    ("Invalid perp DEX", RejectionKind.OTHER),
    ("", RejectionKind.OTHER),
]


def order_reply(*statuses, kind="order"):
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": list(statuses)}}}


def test_each_outcome_has_its_record():
    reply = parse_exchange_reply(
        order_reply(
            {"resting": {"oid": 91, "cloid": CLOID}},
            {"resting": {"oid": 92}},
            {"filled": {"totalSz": "0.2", "avgPx": "690.03", "oid": 93, "cloid": CLOID}},
            {"error": NO_MARGIN},
            "waitingForFill",
            "waitingForTrigger",
        ),
    )
    assert reply == Accepted(
        "order",
        (
            Resting(91, CLOID),
            Resting(92, None),
            FilledNow(93, Decimal("0.2"), Decimal("690.03"), CLOID),
            OrderError(NO_MARGIN),
            Waiting("waitingForFill"),
            Waiting("waitingForTrigger"),
        ),
    )


def test_a_cancel_is_a_success_or_an_error():
    gone = "Order was never placed, already canceled, or filled. asset=150000"
    assert parse_exchange_reply(order_reply("success", {"error": gone}, kind="cancel")) == Accepted(
        "cancel", (Success(), OrderError(gone))
    )


def test_actions_without_orders_have_no_outcomes():
    assert parse_exchange_reply({"status": "ok", "response": {"type": "default"}}) == Accepted("default")


def test_a_twap_that_failed_is_an_error():
    reply = {"status": "ok", "response": {"type": "twapOrder", "data": {"status": {"error": "no"}}}}
    assert parse_exchange_reply(reply) == Accepted("twapOrder", (OrderError("no"),))
    running = {
        "status": "ok",
        "response": {"type": "twapOrder", "data": {"status": {"running": {"twapId": 1}}}},
    }
    assert parse_exchange_reply(running) == Accepted("twapOrder")


def test_a_refusal_of_the_whole_action_keeps_the_venues_text():
    assert parse_exchange_reply({"status": "err", "response": "Orders are empty."}) == Refused(
        "Orders are empty."
    )


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [],
        {},
        "ok",
        {"status": "ok"},
        {"status": "err"},
        {"status": "err", "response": {"text": "no"}},
        {"status": "late", "response": "no"},
        {"status": "ok", "response": "done"},
        order_reply("unheardOf"),
        order_reply({"unheardOf": {}}),
        order_reply(None),
        order_reply({"resting": {"oid": "91"}}),
        order_reply({"filled": {"totalSz": 0.2, "avgPx": "690.03", "oid": 1}}),
        {"status": "ok", "response": {"type": "order", "data": {"statuses": "success"}}},
    ],
    ids=repr,
)
def test_an_answer_that_cannot_be_read_is_neither_accepted_nor_refused(reply):
    with pytest.raises(PayloadError, match=r"^exchange: "):
        parse_exchange_reply(reply)


def test_one_error_for_the_batch_stands_for_each_of_its_orders():
    error = OrderError("Order price cannot be more than 80% away from the reference price")
    assert Accepted("order", (error,)).spread(3) == (error, error, error)
    pair = (Resting(1, None), error)
    assert Accepted("order", pair).spread(2) == pair
    assert Accepted("default").spread(0) == ()


@pytest.mark.parametrize("outcomes", [(), (Resting(1, None),), (OrderError("a"), OrderError("b"))])
def test_outcomes_that_do_not_pair_with_the_orders_settle_nothing(outcomes):
    with pytest.raises(PayloadError, match=rf"{len(outcomes)} outcomes for 3 items"):
        Accepted("order", outcomes).spread(3)


@pytest.mark.parametrize(("text", "kind"), TEXTS)
def test_every_text_of_the_venue_has_its_kind(text, kind):
    assert rejection_kind(text) is kind
    assert rejection_kind(f"  {text.upper()} ") is kind


def test_every_kind_is_reached_by_a_text():
    # no text of the venue for too many open orders has been seen: its status is
    reached = {kind for _, kind in TEXTS} | {status_kind("tooManyOpenOrdersRejected")}
    assert reached == set(RejectionKind)


@pytest.mark.parametrize(
    ("text", "asset"),
    [
        (NO_MARGIN, 150_000),
        ("Price too far from oracle asset=4", 4),
        ("Orders are empty.", None),
        ("asset=x", None),
    ],
)
def test_the_asset_is_read_off_the_end_of_the_text(text, asset):
    assert rejection_asset(text) == asset


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("badAloPxRejected", RejectionKind.POST_ONLY_CROSS),
        ("tickRejected", RejectionKind.TICK),
        ("minTradeNtlRejected", RejectionKind.MIN_NOTIONAL),
        ("perpMarginRejected", RejectionKind.MARGIN),
        ("reduceOnlyRejected", RejectionKind.REDUCE_ONLY),
        ("iocCancelRejected", RejectionKind.IOC_NO_MATCH),
        ("openInterestIncreaseRejected", RejectionKind.OI_CAP),
        ("oracleRejected", RejectionKind.ORACLE),
        ("newReasonRejected", RejectionKind.OTHER),
        ("rejected", RejectionKind.OTHER),
        ("open", None),
        ("filled", None),
        ("marginCanceled", None),
    ],
)
def test_a_status_of_refusal_has_its_kind_and_no_other_status_has_one(status, kind):
    assert status_kind(status) is kind


@pytest.mark.parametrize(
    ("status", "canceled", "rejected", "by_venue"),
    [
        ("open", False, False, False),
        ("triggered", False, False, False),
        ("filled", False, False, False),
        ("canceled", True, False, False),
        ("marginCanceled", True, False, True),
        ("selfTradeCanceled", True, False, True),
        ("reduceOnlyCanceled", True, False, True),
        ("delistedCanceled", True, False, True),
        ("liquidatedCanceled", True, False, True),
        ("openInterestCapCanceled", True, False, True),
        ("siblingFilledCanceled", True, False, True),
        ("outcomeSettledCanceled", True, False, True),
        ("scheduledCancel", True, False, True),
        ("internalCancel", True, False, True),
        ("iocCancelRejected", False, True, False),
        ("rejected", False, True, False),
    ],
)
def test_a_status_is_open_filled_canceled_or_refused(status, canceled, rejected, by_venue):
    assert (is_canceled(status), is_rejected(status)) == (canceled, rejected)
    assert is_final(status) is (status == "filled" or canceled or rejected)
    assert canceled_by_venue(status) is by_venue
