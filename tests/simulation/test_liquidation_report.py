"""A liquidated run as its files and its summary tell it."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from nautilus_trader.model.enums import TimeInForce

from amm500_nautilus import topics
from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.summary import summarize
from amm500_nautilus.report.terminal import venue_lines
from amm500_nautilus.report.types import ReportContext
from amm500_nautilus.runtime.recording import RecordingListener
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.engine_care import keep_engine_flat
from amm500_nautilus.simulation.latency import NO_LATENCY
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import depth
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.script import IID
from tests.simulation.script import INSTRUMENT
from tests.simulation.script import Script


SECONDS = 190


def market(gap_to: int) -> list[Any]:
    """Three minutes at 690.00, but from second 100 on at ``gap_to``."""
    return [
        depth(
            IID,
            T0 + n * SECOND,
            [(bid - k, 50_000) for k in range(10)],
            [(bid + 2 + k, 50_000) for k in range(10)],
        )
        for n in range(SECONDS)
        for bid in [69_000 if n < 100 else gap_to]
    ]


def run(out: Path, gap_to: int, *, more: Any = None) -> dict[str, Any]:
    engine, listener = make_engine(), RecordingListener()
    config = VenueConfig(
        starting_equity=Decimal(1_000),
        leverage=Decimal(25),
        latency=NO_LATENCY,
        transfers=((T0 + 70 * SECOND, Decimal("7.5")),),
        collateral_price=((0, Decimal(1)), (T0 + 130 * SECOND, Decimal("0.97"))),
    )
    venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=config, seed=1, listener=listener)
    end = T0 + SECONDS * SECOND
    recorder = RunRecorder(
        out,
        INSTRUMENT,
        engine.kernel.msgbus,
        engine.cache,
        account=listener.account,
        sessions=(),
        start_ns=T0,
        end_ns=end,
    )
    listener.bind(recorder, venue)
    keep_engine_flat(engine, venue)
    load(engine, market(gap_to))
    steps = [lambda s: s.send("in", 1, 69_005, 36_000, time_in_force=TimeInForce.IOC)]
    engine.add_strategy(Script([*steps, *([more] if more else [])]))
    engine.run()
    venue.finish(end)
    assert recorder.close() == []
    engine.dispose()
    context = ReportContext(
        name="t", source="test", simulated=True, market="km:US500", start_ns=T0, end_ns=end
    )
    return summarize(out, context)


@pytest.mark.parametrize(
    ("gap_to", "act", "forfeits"),
    [
        # value 1,007.5 - 36 x 14.51 - fees against 2 % of 24,318
        pytest.param(67_550, "market_all", False, id="closed at market"),
        pytest.param(66_900, "backstop", True, id="taken over"),
        pytest.param(65_000, "adl", True, id="deleveraged"),
    ],
)
def test_a_liquidation_is_in_the_files_and_the_parts_of_the_pnl_add_up(
    tmp_path: Path, gap_to: int, act: str, *, forfeits: bool
) -> None:
    summary = run(tmp_path, gap_to)
    rows = pd.read_csv(tmp_path / "liquidations.csv")
    assert rows["act"].tolist() == [act]
    assert summary["metrics"]["liquidations"] == summary["liquidations"]["count"] == 1
    assert summary["liquidations"]["loss"] == pytest.approx(float(rows["loss"].iloc[0]))
    assert summary["pnl_check"]["ok"], summary["pnl_check"]["message"]
    assert (summary["pnl"]["liquidation"] != 0) == forfeits
    # what went with the position, or the shortfall that others bore; half a tick of the mark belongs to it
    if forfeits:
        assert summary["pnl"]["liquidation"] == pytest.approx(-summary["liquidations"]["forfeited"], abs=0.36)
    fills = pd.read_csv(tmp_path / "fills.csv")
    assert fills["position_after"].iloc[-1] == 0
    assert "LIQUIDATED: 1" in venue_lines(summary)[0]


def test_transfers_are_no_part_of_the_pnl_and_a_depeg_is_told_in_both_units(tmp_path: Path) -> None:
    summary = run(tmp_path, 69_000)
    account, total = summary["account"], summary["pnl"]["total"]
    assert summary["liquidations"]["count"] == 0
    assert account["transfers"] == 7.5
    assert total == pytest.approx(account["equity_end"] - account["equity_start"] - 7.5)
    # half a spread of 0.01 on 36 contracts, and the taker's fee: 36 x 690.02 x 0.009 %
    assert total == pytest.approx(-0.36 - 2.235664)
    assert account["equity_end_usd"] == pytest.approx(0.97 * account["equity_end"])
    assert account["net_pnl_usd"] == pytest.approx(0.97 * account["equity_end"] - 1_000 - 7.5)
    # 1,007.5 held while the token fell by 0.03
    assert account["collateral_effect_usd"] == pytest.approx(-0.03 * 1_007.5)
    assert any("in USD at 0.97" in line for line in venue_lines(summary))
    # what was bought is still held, at the last mid
    assert account["position_end"] == 36
    assert account["position_value_end"] == pytest.approx(36 * 690.01)
    assert any(
        line.startswith("still held at the end: +36 contracts, +24,840.36 USDH")
        for line in venue_lines(summary)
    )
    assert pd.read_csv(tmp_path / "transfers.csv")["amount"].tolist() == [7.5]


def test_a_strategy_buys_actions_and_changes_its_leverage_by_a_message(tmp_path: Path) -> None:
    def ask(script: Script) -> None:
        script.msgbus.publish(topics.WEIGHT, 1_000)
        script.msgbus.publish(topics.LEVERAGE, 10)  # 24,840 at 10x is more than there is
        script.msgbus.publish(topics.LEVERAGE, 25)

    summary = run(tmp_path, 69_000, more=ask)
    assert summary["account"]["bought_weight_cost"] == 0.5
    assert summary["pnl"]["fees"] == pytest.approx(-2.235664 - 0.5)
    assert summary["pnl_check"]["ok"]
    assert summary["limits"]["address_limit"] == 10_000 + 1_000 + 2_484  # a tenth of 24,840.72
    path = pd.read_parquet(tmp_path / "equity.parquet")
    assert path["leverage"].tolist()[-1] == 25
