"""Fills once over all runs, and the engine's reports of the venue's records."""

from decimal import Decimal

import pytest
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.identifiers import AccountId

from amm500_catalog import MarketSpec
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.fill_ledger import FillLedger
from hyperliquid_hip3.instruments import make_instrument
from hyperliquid_hip3.reconcile import Reports
from hyperliquid_hip3.reconcile import average_price
from hyperliquid_hip3.reconcile import fill_reason
from hyperliquid_hip3.reconcile import is_forced
from hyperliquid_hip3.user_records import ClearinghouseState
from hyperliquid_hip3.user_records import FillKey
from hyperliquid_hip3.user_records import MarginFigures
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import PositionState
from hyperliquid_hip3.user_records import UserFill


COIN = "km:US500"
ME = "0x" + "5e" * 20
OTHER = "0x" + "0f" * 20
INSTRUMENT = make_instrument(MarketSpec(), "690", 0)
REPORTS = Reports(AccountId("HYPERLIQUID-km"))


def d(text):
    return Decimal(text)


def fill(trade_id=1, *, size="0.4", price="690.1", ts_ns=5_000_000, **changes):
    given = {
        "coin": COIN,
        "price": d(price),
        "size": d(size),
        "side": 1,
        "ts_ns": ts_ns,
        "start_position": d("0"),
        "direction": "Open Long",
        "closed_pnl": d("0"),
        "oid": 10,
        "is_taker": False,
        "fee": d("-0.0123"),
        "fee_token": "USDH",
        "trade_id": trade_id,
        **changes,
    }
    return UserFill(**given)


def order(**changes):
    given = {
        "coin": COIN,
        "side": -1,
        "price": d("690.1"),
        "size": d("0.6"),
        "orig_size": d("1"),
        "oid": 10,
        "cloid": None,
        "ts_ns": 7,
        "tif": "Alo",
    }
    return OpenOrder(**{**given, **changes})


def state(*positions):
    zero = MarginFigures(d("0"), d("0"), d("0"), d("0"))
    return ClearinghouseState(9, zero, zero, d("0"), d("0"), positions)


def test_a_fill_is_new_once_also_after_a_restart(tmp_path):
    path = tmp_path / "fills"
    with FillLedger(path) as ledger:
        assert ledger.add(fill().key)
        assert not ledger.add(fill().key)
        ledger.taken(fill().key)

    with FillLedger(path) as again:
        assert not again.add(fill().key)
        assert again.last_ns == 5_000_000


@pytest.mark.parametrize(
    "other", [{"ts_ns": 6_000_000}, {"coin": "km:USTECH"}, {"trade_id": 2}], ids=["time", "coin", "tid"]
)
def test_fills_that_differ_in_time_coin_or_trade_id_are_two(other):
    ledger = FillLedger()

    assert ledger.add(fill().key)
    assert ledger.add(fill(**{"trade_id": 1, **other}).key)


def test_a_first_run_asks_for_no_past_and_a_later_one_for_a_little_overlap(tmp_path):
    path = tmp_path / "fills"
    with FillLedger(path) as ledger:
        assert ledger.since_ms() == 0
        ledger.add(FillKey(1_000_000_000_000_000, COIN, 1))
        ledger.flush()

    with FillLedger(path) as again:
        assert again.since_ms() == 1_000_000_000 - 60_000


def test_a_killed_run_keeps_what_was_flushed_and_half_a_line_is_cut_off(tmp_path):
    path = tmp_path / "fills"
    ledger = FillLedger(path)
    ledger.add(fill(1).key)
    ledger.flush()
    with path.open("ab") as file:
        file.write(b"600000")

    with FillLedger(path) as again:
        assert len(again) == 1
        again.add(fill(2).key)
        again.flush()
    assert len(FillLedger(path)) == 2


def test_a_fill_that_the_engine_has_not_booked_is_told_again_by_the_next_run(tmp_path):
    path = tmp_path / "fills"
    with FillLedger(path, limit=5) as ledger:
        ledger.add(fill(1).key)
        ledger.add(fill(2).key)
        ledger.taken(fill(1).key)
        ledger.taken(fill(1).key)
        ledger.compact()
        assert fill(2).key in ledger

    with FillLedger(path) as again:
        assert fill(1).key in again
        assert fill(2).key not in again


def test_the_file_of_fills_stays_bounded(tmp_path):
    path = tmp_path / "fills"
    with FillLedger(path, limit=5) as ledger:
        for n in range(12):
            ledger.add(FillKey(n, COIN, n))
        ledger.flush()
        assert ledger.wants_compaction
        ledger.compact()
        assert len(path.read_text().splitlines()) == 5

    with FillLedger(path, limit=5) as again:
        assert again.last_ns == 11


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(HyperliquidError, match="fills"):
        FillLedger(tmp_path / "missing" / "fills")


def test_an_open_order_is_reported_with_what_is_filled():
    report = REPORTS.order(order(), "open", INSTRUMENT, client_order_id="O-1", ts_ns=8, ts_init=9)

    assert report.order_status == OrderStatus.PARTIALLY_FILLED
    assert (str(report.quantity), str(report.filled_qty)) == ("1.000", "0.400")
    assert report.post_only
    assert report.client_order_id.value == "O-1"
    assert report.venue_order_id.value == "10"


def test_what_was_filled_under_an_earlier_number_is_part_of_the_order():
    report = REPORTS.order(
        order(), "open", INSTRUMENT, client_order_id="O-1", ts_ns=8, ts_init=9, base=d("0.5")
    )

    assert (str(report.quantity), str(report.filled_qty)) == ("1.500", "0.900")


@pytest.mark.parametrize(
    ("status", "engine"),
    [
        ("open", OrderStatus.PARTIALLY_FILLED),
        ("filled", OrderStatus.FILLED),
        ("canceled", OrderStatus.CANCELED),
        ("marginCanceled", OrderStatus.CANCELED),
        ("scheduledCancel", OrderStatus.CANCELED),
        ("badAloPxRejected", OrderStatus.REJECTED),
        ("iocCancelRejected", OrderStatus.CANCELED),
    ],
)
def test_every_status_has_the_engines(status, engine):
    report = REPORTS.order(order(), status, INSTRUMENT, client_order_id=None, ts_ns=8, ts_init=9)

    assert report.order_status == engine


def test_a_fill_is_reported_with_its_own_fee_also_a_rebate():
    report = REPORTS.fill(fill(), INSTRUMENT, client_order_id="O-1", ts_init=9)

    assert str(report.commission) == "-0.01230000 USDH"
    assert report.liquidity_side == LiquiditySide.MAKER
    assert report.trade_id.value == "5-1"


def test_a_fee_in_another_token_stays_in_that_token():
    report = REPORTS.fill(fill(fee_token="USDC"), INSTRUMENT, client_order_id=None, ts_init=9)

    assert report.commission.currency.code == "USDC"


def test_a_position_is_reported_with_side_size_and_entry():
    row = PositionState(
        COIN, d("-2.5"), d("690.123"), d("1725"), d("0"), d("86"), 20, True, None, None, 25, d("0")
    )

    short = REPORTS.position(state(row), COIN, INSTRUMENT, ts_init=9)
    flat = REPORTS.position(state(), COIN, INSTRUMENT, ts_init=9)

    assert (short.position_side, str(short.quantity)) == (PositionSide.SHORT, "2.500")
    assert short.avg_px_open == d("690.123")
    assert flat.position_side == PositionSide.FLAT


@pytest.mark.parametrize(
    ("changes", "reason", "forced"),
    [
        ({}, "MANUAL", False),
        ({"direction": "Settlement"}, "SETTLEMENT", True),
        ({"direction": "Auto-Deleveraging"}, "ADL", True),
        ({"is_liquidation": True, "liquidated_user": ME}, "LIQUIDATION", True),
        ({"is_liquidation": True, "liquidated_user": OTHER}, "MANUAL", False),
        ({"direction": "Liquidated Cross Long"}, "LIQUIDATION", True),
    ],
)
def test_a_fill_of_no_order_has_a_reason(changes, reason, forced):
    found = fill_reason(fill(**changes), ME)

    assert found == reason
    assert is_forced(found) == forced


def test_the_average_price_is_weighted_by_size():
    assert average_price([fill(size="1", price="690"), fill(size="3", price="694")]) == d("693")
    assert average_price([]) is None
