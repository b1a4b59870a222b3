"""The PnL parts of a running node: those of the report, carried over restarts, and never total less the rest."""

import math
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amm500_nautilus.monitor.desk import Reading
from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.monitor.journal import connect
from amm500_nautilus.monitor.pnl import PARTS
from amm500_nautilus.monitor.pnl import PnlMeter
from amm500_nautilus.monitor.pnl import restored_meter
from amm500_nautilus.monitor.schema import COLUMNS
from amm500_nautilus.monitor.schema import STEPS
from amm500_nautilus.monitor.schema import TABLES
from amm500_nautilus.monitor.schema import VERSION
from amm500_nautilus.monitor.schema import prepare
from amm500_nautilus.report.statistics import FillArrays
from amm500_nautilus.report.statistics import PathArrays
from amm500_nautilus.report.statistics import pnl_path


FLAT = Reading(
    ts_ns=0,
    equity=10_000.0,
    position=0.0,
    mid=690.0,
    funding=0.0,
    transfers=0.0,
    liquidation=0.0,
    weight_cost=0.0,
)


def test_the_parts_are_those_of_the_report() -> None:
    chance = random.Random(7)
    meter, mid, position, cash, funding, weight = PnlMeter(), 690.0, 0.0, 10_000.0, 0.0, 0.0
    meter.on_reading(FLAT)
    fills, path = [], []
    for _ in range(60):
        for _ in range(chance.randrange(4)):
            mid += chance.gauss(0, 0.05)
            side, size = chance.choice((1, -1)), chance.choice((0.1, 0.4, 0.7))
            price = mid - side * chance.uniform(-0.02, 0.05)
            later, fee = mid + chance.gauss(0, 0.1), 0.001 * size
            position += side * size
            cash -= side * size * price + fee
            meter.on_fill(len(fills), side, size, price, fee, mid)
            meter.on_markout(len(fills), 0, mid)
            meter.on_markout(len(fills), 5, later)
            meter.on_markout(len(fills), 60, 1.0)
            fills.append((side, size, price, mid, later, fee, position))
        mid += chance.gauss(0, 0.05)
        paid = chance.gauss(0, 0.01)
        bought = chance.choice((0.0, 0.0005))
        funding, weight, cash = funding + paid, weight + bought, cash + paid - bought
        equity = cash + position * mid
        reading = replace(
            FLAT, equity=equity, position=position, mid=mid, funding=funding, weight_cost=weight
        )
        meter.on_reading(reading)
        # a second look at the same moment adds nothing
        meter.on_reading(reading)
        path.append((len(path), len(fills), equity, position, mid, funding, 0.0, 0.0, weight))
    arrays = [np.array(column, dtype=float) for column in zip(*fills, strict=True)]
    rows = [np.array(column) for column in zip(*path, strict=True)]
    # the report counts from its first row; so do we, from a row before the first fill
    first = [
        np.concatenate([[start], row])
        for start, row in zip((-1, 0, 1e4, 0, 690, 0, 0, 0, 0), rows, strict=True)
    ]
    first[1] = first[1].astype(np.int64)
    report = pnl_path(FillArrays(*arrays), PathArrays(*first))
    ours = meter.values()
    for name in (*PARTS, "total"):
        assert ours[name] == pytest.approx(getattr(report, name)[-1], abs=1e-9), name
    assert len(fills) > 50


def test_parts_and_total_agree_though_each_is_counted_alone() -> None:
    meter = PnlMeter()
    meter.on_reading(FLAT)
    # bought 2 at 689.9 while the mid is 690; it falls to 689.5 in five seconds and is 691 later
    meter.on_fill(0, 1, 2.0, 689.9, 0.05, 690.0)
    meter.on_markout(0, 5, 689.5)
    equity = 10_000 + 2 * (691.0 - 689.9) - 0.05 + 0.3 - 0.02 - 1.0
    meter.on_reading(
        replace(FLAT, equity=equity, position=2.0, mid=691.0, funding=0.3, weight_cost=0.02, liquidation=1.0)
    )
    assert meter.values() == pytest.approx(
        {
            "spread_capture": 0.2,
            "adverse_selection": -1.0,
            "inventory": 3.0,
            "fees": -0.07,
            "funding": 0.3,
            "liquidation": -1.0,
            "total": equity - 10_000,
        }
    )
    assert sum(meter.values()[name] for name in PARTS) == pytest.approx(meter.values()["total"])


def test_a_deposit_is_no_profit_and_money_that_nobody_explains_is_in_no_part() -> None:
    meter = PnlMeter()
    meter.on_reading(FLAT)
    meter.on_reading(replace(FLAT, equity=10_507.0, transfers=500.0))
    values = meter.values()
    assert values["total"] == pytest.approx(7.0)
    assert all(values[name] == 0 for name in PARTS)


def test_the_mid_at_exchange_time_takes_the_place_of_the_one_at_booking() -> None:
    meter = PnlMeter()
    meter.on_reading(FLAT)
    meter.on_fill(0, -1, 1.0, 690.1, 0.0, 690.3)
    meter.on_markout(0, 0, 690.0)
    assert meter.values()["spread_capture"] == pytest.approx(0.1)
    meter.on_reading(replace(FLAT, equity=10_000 + 690.1 - 690.4, position=-1.0, mid=690.4))
    values = meter.values()
    assert values["inventory"] == pytest.approx(-0.4)
    assert values["total"] == pytest.approx(-0.3)


def test_a_reading_without_figures_changes_nothing() -> None:
    meter = PnlMeter()
    meter.on_reading(FLAT)
    meter.on_fill(0, 1, 1.0, 690.0, 0.0, math.nan)
    before = meter.values()
    meter.on_reading(Reading(ts_ns=9))
    assert meter.values() == before


def test_a_position_that_changed_unseen_makes_no_profit_of_the_time_before() -> None:
    meter = PnlMeter({"position": 5.0, "mid": 600.0, "equity": 10_000.0})
    meter.on_reading(replace(FLAT, position=1.0, mid=690.0))
    meter.on_reading(replace(FLAT, position=1.0, mid=691.0))
    assert meter.values()["inventory"] == pytest.approx(1.0)


def test_the_parts_go_on_after_a_kill_with_the_fills_of_the_last_minute(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    values = {
        "spread_capture": 1.0,
        "adverse_selection": -0.5,
        "inventory": 2.0,
        "fees": -0.25,
        "total": 2.25,
    }
    parts = {f"pnl_{name}": value for name, value in values.items()} | {
        "pnl_funding": 0.0,
        "pnl_liquidation": 0.0,
    }
    journal.write("equity", ts_ns=100, run=1, session=1, equity=10_002.25, position=1.0, mid=690.0, **parts)
    fill = {"coin": "c", "run": 1, "closed_pnl": "0", "maker": 1, "position": "3"}
    journal.write("fill", ts_ns=90, tid="1", side=1, price="600", size="9", fee="9", mid=600.0, **fill)
    journal.write("fill", ts_ns=200, tid="2", side=1, price="690.9", size="2", fee="0.1", mid=691.0, **fill)
    journal.close()
    meter = restored_meter(tmp_path / NAME)
    equity = 10_002.25 + 1.0 + 2 * 0.1 - 0.1 + 3 * 1.0
    meter.on_reading(replace(FLAT, equity=equity, position=3.0, mid=692.0))
    found = meter.values()
    assert found["spread_capture"] == pytest.approx(1.2)
    assert found["fees"] == pytest.approx(-0.35)
    assert found["inventory"] == pytest.approx(2.0 + 1.0 + 3.0)
    assert found["total"] == pytest.approx(2.25 + equity - 10_002.25)
    assert sum(found[name] for name in PARTS) == pytest.approx(found["total"])


def test_a_journal_of_the_first_version_gets_what_it_lacks_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with closing(connect(path)) as connection:
        prepare(connection)
        for name in (*PARTS, "total"):
            connection.execute(f"ALTER TABLE equity DROP COLUMN pnl_{name}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("INSERT INTO equity (ts_ns, run, session, equity) VALUES (5, 1, 1, 99.0)")
    journal = Journal(tmp_path)
    opening = journal.open()
    assert (opening.is_new, opening.damaged) == (False, None)
    journal.write("equity", ts_ns=6, run=1, session=1, pnl_total=1.5)
    assert journal.close()
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT ts_ns, equity, pnl_total FROM equity ORDER BY ts_ns").fetchall()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        names = [row[1] for row in connection.execute("PRAGMA table_info(equity)")]
    assert rows == [(5, 99.0, None), (6, None, 1.5)]
    assert version == VERSION
    assert tuple(names) == COLUMNS["equity"]
    assert set(STEPS) == set(range(2, VERSION + 1))
    assert "pnl_total" in TABLES
