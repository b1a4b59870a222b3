"""The recorder's parts: column buffers, CSV streams, joining fills, the budget's words."""

import errno
import math
import os
from decimal import Decimal
from io import RawIOBase
from types import SimpleNamespace

import pandas as pd
import pytest
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.events import AccountState
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import AccountBalance
from nautilus_trader.model.objects import Money

from amm500_catalog import collateral_currency
from amm500_nautilus.report.budget import BudgetUse
from amm500_nautilus.report.budget import budget_report
from amm500_nautilus.report.buffers import ColumnBuffer
from amm500_nautilus.report.buffers import CsvStream
from amm500_nautilus.report.buffers import write_json
from amm500_nautilus.report.fills import FillJoin
from amm500_nautilus.report.summary import summarize
from amm500_nautilus.report.types import BudgetFacts
from amm500_nautilus.simulation.listener import LedgerFill


def booked(index: int, *, position: int = 1) -> LedgerFill:
    return LedgerFill(
        index=index,
        ts_ns=index,
        trade_id=f"T{index}",
        client_order_id="O",
        side=1,
        lots=1,
        price_ticks=69_000,
        price=Decimal(690),
        qty=Decimal("0.001"),
        fee=Decimal("0.01"),
        closed_pnl=Decimal(0),
        maker=True,
        by_trade=True,
        position_lots=position,
        crossed_zero=False,
        unseen_level=False,
        queue_ahead=2_000.0,
    )


@pytest.fixture
def join():
    rows = []
    return FillJoin(rows.append, Decimal("0.001")), rows


def marks(join: FillJoin, index: int) -> None:
    for horizon in (0, 1, 5, 30, 60):
        join.on_markout(index, horizon, 690.0 + horizon)


@pytest.mark.parametrize("event_first", [True, False], ids=["event first", "ledger first"])
def test_a_fill_waits_for_its_event_its_booking_and_all_five_mids(join, event_first):
    joined, rows = join
    steps = [lambda: joined.on_event("T0", {"order_type": "LIMIT"}), lambda: joined.on_ledger(booked(0), 3)]
    for step in steps if event_first else steps[::-1]:
        step()
    assert rows == []
    marks(joined, 0)
    assert len(rows) == 1
    row = rows[0]
    assert (row["mid_at_fill"], row["mid_1s"], row["mid_60s"]) == (690.0, 691.0, 750.0)
    assert (row["session"], row["order_type"], row["by_trade"]) == (3, "LIMIT", 1)
    # sizes are lots in the ledger and contracts in the file
    assert (row["position_after"], row["queue_ahead"]) == (Decimal("0.001"), 2.0)


def test_fills_leave_in_the_ledgers_order(join):
    joined, rows = join
    for index in range(3):
        joined.on_ledger(booked(index), 0)
        joined.on_event(f"T{index}", {})
    marks(joined, 1)
    marks(joined, 2)
    assert rows == []
    marks(joined, 0)
    assert [row["fill_index"] for row in rows] == [0, 1, 2]


def test_what_is_incomplete_at_the_end_leaves_with_empty_mids_and_unbooked_events_are_named(join):
    joined, rows = join
    joined.on_ledger(booked(0), 0)
    joined.on_markout(0, 1, 691.0)
    joined.on_event("T9", {})
    assert joined.finish() == ["T9"]
    assert rows[0]["mid_1s"] == 691.0
    assert "mid_5s" not in rows[0]


def test_a_late_markout_of_a_fill_that_left_is_ignored(join):
    joined, rows = join
    joined.on_ledger(booked(0), 0)
    joined.finish()
    joined.on_markout(0, 5, 1.0)
    assert len(rows) == 1


def test_a_booking_out_of_order_is_an_error(join):
    joined, _ = join
    with pytest.raises(ValueError, match="ledger fill 1 arrived where 0 was due"):
        joined.on_ledger(booked(1), 0)


def test_a_column_that_comes_late_is_nan_before_and_one_left_out_is_nan_after(tmp_path):
    buffer = ColumnBuffer(integers=("ts_ns",), texts=("state",))
    buffer.append({"ts_ns": 1}, {"a": 1.0}, {"state": "quoting"})
    buffer.append({"ts_ns": 2}, {"b": 2.0}, {"state": "paused"})
    buffer.append({"ts_ns": 3}, {"a": 3.0}, {"state": "quoting"})
    buffer.write(tmp_path / "x.parquet")
    frame = pd.read_parquet(tmp_path / "x.parquet")
    assert frame["state"].tolist() == ["quoting", "paused", "quoting"]
    assert frame["a"].tolist()[0] == 1.0
    assert math.isnan(frame["a"][1])
    assert frame["b"].isna().tolist() == [True, False, True]
    assert frame["ts"].dt.tz is not None
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_a_stream_has_its_final_name_only_when_closed(tmp_path):
    stream = CsvStream(tmp_path / "x.csv", ("a", "b"))
    stream.write({"a": 1, "c": 3})
    assert not (tmp_path / "x.csv").exists()
    stream.close()
    stream.close()
    assert (tmp_path / "x.csv").read_text() == "a,b\n1,\n"
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


class SmallDisk:
    """A file on a disk with room for so many bytes, which takes what fits and then nothing."""

    def __init__(self, file: RawIOBase, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        taken = min(len(data), self.room)
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= taken
        return self.file.write(data[:taken])

    def close(self) -> None:
        self.file.close()


def test_rows_that_the_disk_does_not_take_wait_and_are_written_once(tmp_path):
    stream = CsvStream(tmp_path / "x.csv", ("a", "b"))
    stream.is_patient = True
    disk = stream._file = SmallDisk(stream._file, room=7)
    for number in range(3):
        stream.write({"a": number, "b": "é"})
        stream.flush()
    assert stream.trouble == "x.csv: No space left on device"
    with pytest.raises(OSError, match="No space left"):
        stream.close()
    disk.room = 1_000
    stream.write({"a": 3})
    stream.flush()
    assert stream.trouble == ""
    stream.close()
    assert (tmp_path / "x.csv").read_text() == "a,b\n0,é\n1,é\n2,é\n3,\n"


def test_an_abandoned_stream_keeps_its_unfinished_name_and_no_open_file(tmp_path):
    stream = CsvStream(tmp_path / "x.csv", ("a",))
    file = stream._file
    stream.write({"a": 0})
    stream.abandon()
    stream.abandon()
    assert file.closed
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv.partial"]
    assert (tmp_path / "x.csv.partial").read_text() == "a\n0\n"
    # what comes after has nowhere to go
    stream.write({"a": 1})
    stream.flush()
    stream.close()
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv.partial"]


def test_a_backtest_s_stream_does_not_wait_for_the_disk(tmp_path):
    stream = CsvStream(tmp_path / "x.csv", ("a",))
    disk = stream._file = SmallDisk(stream._file, room=0)
    with pytest.raises(OSError, match="No space left"):
        stream.write({"a": "x" * 100_000})
    disk.room = 1 << 20
    stream.close()


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "s.json", {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "s.json", {"a": math.nan})
    assert "1" in (tmp_path / "s.json").read_text()


def test_the_budget_says_what_it_affords_and_which_target_could_not_bind():
    # 100 fills of 50 in one day, 20 actions each: 10,000 + 0.1 * 5,000 = 10,500 actions keep 525 fills going
    use = BudgetUse(sent=2_000, fills=100, volume=5_000.0, days=1.0, net_pnl=-0.5, wanted_fills_per_day=2_000)
    report = budget_report(BudgetFacts(), use)
    assert report["affordable_actions_per_day"] == pytest.approx(10_500)
    assert report["affordable_fills_per_day"] == pytest.approx(525)
    notes = " ".join(report["notes"])
    assert "2,000 trades a day could not bind" in notes
    # 1,475 more fills of 20 actions at 0.0005: 14.75; at -0.005 a fill they bring -7.38
    assert "29,500 actions" in notes
    assert "cost 14.75 a day" in notes
    assert "bring -7.38 a day" in notes or "bring -7.37 a day" in notes


@pytest.mark.parametrize(
    ("facts", "use", "words"),
    [
        pytest.param(
            BudgetFacts(enabled=False),
            {"sent": 10, "fills": 10},
            "did not obey the budget",
            id="a run without budget",
        ),
        pytest.param(
            BudgetFacts(), {"sent": 20_000, "fills": 10}, "more was sent", id="beyond the allowance"
        ),
        pytest.param(BudgetFacts(), {"sent": 0, "fills": 0}, "0 were sent", id="nothing at all"),
    ],
)
def test_the_budget_names_what_is_odd(facts, use, words):
    more = {"volume": 100.0, "days": 1.0, "net_pnl": 0.0, "wanted_fills_per_day": 2_000.0}
    assert words in " ".join(budget_report(facts, BudgetUse(**{**more, **use}))["notes"])


def account_state(ts_ns: int, ratio: float) -> AccountState:
    usdh = collateral_currency("USDH")
    return AccountState(
        account_id=AccountId("HYPERLIQUID-001"),
        account_type=AccountType.MARGIN,
        base_currency=usdh,
        reported=True,
        balances=[AccountBalance(Money(1_000, usdh), Money(0, usdh), Money(1_000, usdh))],
        margins=[],
        info={"equity": 1_000.0, "margin_ratio": ratio, "account_mode": "standard"},
        event_id=UUID4(),
        ts_event=ts_ns,
        ts_init=ts_ns,
    )


def test_a_margin_peak_between_two_minutes_is_not_lost(mini_run, context):
    run = mini_run(600)
    run.set_mid(0, "690.05").to(70)
    for second, ratio in ((70, 0.2), (80, 0.85), (90, 0.1)):
        run.bus.publish("events.account.HYPERLIQUID-001", account_state(run.start_ns + second * 10**9, ratio))
    out = run.finish(600)
    equity = pd.read_parquet(out / "equity.parquet")
    # the ledger itself never holds a position; the peak belongs to the second minute alone
    assert equity["margin_ratio_max"].tolist()[:4] == [0.0, 0.0, 0.85, 0.0]
    summary = summarize(out, context)
    assert summary["metrics"]["max_margin_ratio"] == 0.85
    assert {row["name"]: row["pass"] for row in summary["targets"]}["max_margin_ratio"] is False
    # states closer than a minute to the last written one are left out of the file
    accounts = pd.read_csv(out / "account.csv")
    assert accounts["margin_ratio"].tolist() == [0.2]
    assert accounts["account_mode"].tolist() == ["standard"]


def test_funding_payments_and_quotes_have_their_own_files(mini_run):
    run = mini_run(600)
    signals = {"depth_levels": 10.0, "deep_age_secs": 4.2, "imbalance": 0.1}
    run.set_mid(0, "690.05").quote(1, 69_003, None, delta=0.01, signals=signals)
    run.pay_funding(90, "-0.25").pay_funding(120, "0.10")
    out = run.finish(600)
    funding = pd.read_csv(out / "funding.csv")
    assert funding["amount"].tolist() == [-0.25, 0.10]
    assert pd.read_parquet(out / "equity.parquet")["funding_cum"].iloc[-1] == pytest.approx(-0.15)
    quotes = pd.read_parquet(out / "quotes.parquet").iloc[-1]
    assert (quotes["bid"], quotes["n_bids"], quotes["n_asks"], quotes["state"]) == (690.03, 1, 0, "quoting")
    assert math.isnan(quotes["ask"])
    assert (quotes["depth_levels"], quotes["depth_age_s"]) == (10.0, 4.2)


def test_other_instruments_leave_no_trace(mini_run):
    run = mini_run(600)
    run.set_mid(0, "690.05")
    event = SimpleNamespace(instrument_id=InstrumentId.from_str("OTHER.HYPERLIQUID"), position_id="P")
    run.bus.publish("events.order.MM-001", event)
    run.bus.publish("events.position.MM-001", event)
    out = run.finish(600)
    assert pd.read_csv(out / "orders.csv").empty
    assert pd.read_csv(out / "positions.csv").empty
