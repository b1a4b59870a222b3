"""``run_live.py`` in mode paper as its user runs it: the market of a venue, no key, and not one order that leaves the process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import hyperliquid_loopback.venue
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.live import main as live_main
from amm500_nautilus.runtime.node.market import look_at_market
from amm500_nautilus.runtime.node.paper import candidates
from amm500_nautilus.runtime.node.paper import paper_venue_config
from amm500_nautilus.runtime.operate.evidence import of_journal
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.processes import ended
from tests.live.run_directory import FILES
from tests.live.run_directory import PARTS


pytestmark = pytest.mark.live_node

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "configs" / "paper.yaml"
COIN = "km:US500"
# near the touch, so that a short run is filled
TIGHT = (
    "strategy.quoting.spread.inside_fees=true",
    "strategy.quoting.spread.floor_bps=0.1",
    "strategy.quoting.spread.bands=[{below: .inf, min_bps: 0.3, max_bps: 12.0}]",
)
LIVENESS_S = 200.0


class NoActions:
    """Where signed actions would go: the first one fails the test."""

    taken: list[Any]

    def __init__(self, *_parts: Any) -> None:
        NoActions.taken = []

    async def act(self, request: Any, _now_ms: int) -> Any:
        NoActions.taken.append(request)
        return {"status": "err", "response": "this venue takes no actions"}


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackVenue]:
    monkeypatch.setattr(hyperliquid_loopback.venue, "ActionDoor", NoActions)
    # a market that comes through a narrow quote within seconds
    with LoopbackVenue(VenueConfig(flow="simulated", seed=3, history_candles=10, history_hours=5)) as running:
        yield running
        asked = running.requests
        assert NoActions.taken == []
        assert not [request for request in asked if "action" in request or "signature" in request]
        # nobody's account is asked for, and nobody's stream is heard
        assert not [request for request in asked if "user" in request]
        assert asked


def command(venue_url: str, tmp_path: Path, name: str, *options: str) -> list[str]:
    return [
        sys.executable,
        str(ROOT / "run_live.py"),
        str(PAPER),
        "--out",
        str(tmp_path / name),
        "--set",
        f"live.url={venue_url}",
        "--set",
        f"live.state_dir={tmp_path / 'state'}",
        *options,
    ]


def start(parts: list[str]) -> subprocess.Popen[str]:
    paths = os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))
    return subprocess.Popen(
        parts,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # nothing of this process's own: no key could be there
        env={"PATH": os.environ["PATH"], "PYTHONPATH": paths, "HOME": "/nonexistent"},
    )


def wait_for(process: subprocess.Popen[str], condition: Any, what: str) -> None:
    deadline = time.monotonic() + LIVENESS_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)


def kept(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "state" / "paper-km-US500.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def held_lots(tmp_path: Path) -> int:
    return int(kept(tmp_path).get("books", {}).get("position_lots", 0))


def summary_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return found


def tight(*more: str) -> list[str]:
    return [part for setting in (*TIGHT, *more) for part in ("--set", setting)]


def test_a_paper_run_needs_no_key_sends_no_order_and_leaves_a_whole_run_directory(
    venue: LoopbackVenue, tmp_path: Path
) -> None:
    with ended(
        start(
            command(
                venue.url,
                tmp_path,
                "run",
                "--quiet",
                "--duration",
                "25s",
                *tight("market.candidates=[zz:NOPE, km:US500]"),
            )
        )
    ) as process:
        printed, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    out = tmp_path / "run"
    assert all((out / name).is_file() for name in FILES)
    assert not list(tmp_path.glob("*.partial"))
    summary = summary_of(out)
    # a venue on this machine is not the exchange, and the report says it first
    assert "SIMULATED DATA, ITS BARS TOO" in printed
    assert summary["data"]["simulated"] is True
    assert "that is not the exchange" in summary["data"]["source"]
    assert summary["data"]["market"] == COIN
    assert summary["metrics"]["two_sided_uptime"] > 0.3
    assert summary["actions"]["sent"] >= 10
    assert sum(summary["pnl"][part] for part in PARTS) == pytest.approx(summary["pnl"]["total"], abs=1e-6)
    assert summary["pnl_check"]["ok"]
    said = (out / "run.log").read_text()
    assert "market: km:US500, collateral USDH; zz:NOPE is not listed" in said
    assert "0 orders left resting" in said
    orders = pd.read_csv(out / "orders.csv")
    assert not orders["open_at_end"].any()
    accounts = pd.read_csv(out / "account.csv")
    assert set(accounts["account_id"]) == {"HYPERLIQUID-001"}
    # a run that has had its time and is flat leaves nothing to take up
    assert kept(tmp_path) == {} or held_lots(tmp_path) != 0


def test_a_killed_run_s_account_is_taken_up_and_a_second_run_beside_it_is_refused(
    venue: LoopbackVenue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ended(
        start(command(venue.url, tmp_path, "first", "--quiet", "--duration", "1h", *tight()))
    ) as first:
        wait_for(first, lambda: held_lots(tmp_path) != 0, "a position was kept")
        beside = command(venue.url, tmp_path, "beside", "--quiet", "--duration", "5s")
        assert live_main(beside[2:]) == 2
        assert "in use by another run" in capsys.readouterr().err
    left = kept(tmp_path)
    with ended(
        start(command(venue.url, tmp_path, "second", "--quiet", "--duration", "8s", *tight()))
    ) as second:
        _, errors = second.communicate(timeout=180)
    assert second.returncode == 0, errors
    said = (tmp_path / "second" / "run.log").read_text()
    balance = Decimal(left["balance_nano"]) / 10**9
    position = left["books"]["position_lots"] * Decimal("0.001")
    assert f"balance {balance:.6f}, position {position}, 0 hours of funding" in said
    path = pd.read_parquet(tmp_path / "second" / "equity.parquet")
    assert path["position"].iloc[0] == pytest.approx(float(position))
    summary = summary_of(tmp_path / "second")
    # the parts still sum to what the account gained in this run, the restored position's among them
    assert summary["pnl_check"]["ok"], summary["pnl_check"]
    assert sum(summary["pnl"][part] for part in PARTS) == pytest.approx(summary["pnl"]["total"], abs=1e-6)


def test_a_run_that_is_told_to_stop_leaves_nothing_resting_and_keeps_its_account(
    venue: LoopbackVenue, tmp_path: Path
) -> None:
    with ended(
        start(command(venue.url, tmp_path, "run", "--quiet", "--duration", "1h", *tight()))
    ) as process:
        # what the address has sent is part of what is kept: orders rest now
        wait_for(process, lambda: kept(tmp_path).get("address", {}).get("used", 0) > 10, "it quoted")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=LIVENESS_S)
    assert process.returncode == 0, errors
    assert "0 orders left resting" in (tmp_path / "run" / "run.log").read_text()
    assert not pd.read_csv(tmp_path / "run" / "orders.csv")["open_at_end"].any()
    assert kept(tmp_path)["coin"] == COIN


def test_a_run_that_is_told_to_stop_while_it_comes_up_does_not_go_on(
    venue: LoopbackVenue, tmp_path: Path
) -> None:
    """Whether it had begun to quote or not: told once, it ends, and never as if the venue had not been there."""
    with ended(start(command(venue.url, tmp_path, "run", "--quiet", "--duration", "1h"))) as process:
        log = tmp_path / "run.partial" / "log" / "node.log"
        wait_for(process, log.is_file, "the node began")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=LIVENESS_S)
    assert process.returncode in {0, 130}, errors
    assert "Traceback" not in errors


def run_and_fail(tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, float]:
    began = time.monotonic()
    code = live_main(command(url, tmp_path, "run", "--quiet")[2:])
    return code, capsys.readouterr().err, time.monotonic() - began


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://venue.invalid"])
def test_a_venue_that_cannot_be_reached_ends_it_in_seconds_with_one_sentence(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, seconds = run_and_fail(tmp_path, url, capsys)
    assert code == 4
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert seconds < 15.0
    assert list(tmp_path.iterdir()) == []


def test_a_venue_that_never_answers_ends_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code, said, seconds = run_and_fail(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", capsys)
    assert code == 4
    assert "did not answer" in said
    assert seconds < 20.0


def test_the_first_candidate_that_trades_is_chosen_and_those_before_it_are_named(
    venue: LoopbackVenue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    market = look_at_market(venue.url, ("zz:X", "km:NOPE", COIN, "km:OTHER"))
    assert (market.coin, market.passed_over) == (COIN, ("zz:X is not listed", "km:NOPE is not listed"))
    assert market.sentence.startswith("market: km:US500, collateral USDH; zz:X")
    venue.call(lambda exchange: exchange.delist(COIN))
    code = live_main(command(venue.url, tmp_path, "run", "--quiet", "--set", "market.coin=km:US500")[2:])
    assert code == 2
    assert "km:US500 is delisted" in capsys.readouterr().err


def test_one_coin_that_is_asked_for_is_the_only_candidate(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("name: one\nmode: paper\nmarket: {coin: 'xyz:SP500'}\n")
    assert candidates(load_config(path)) == ("xyz:SP500",)
    assert candidates(load_config(PAPER))[0] == COIN


def test_the_simulated_exchange_has_the_declared_market_s_rules_and_fees(venue: LoopbackVenue) -> None:
    config = load_config(PAPER, ["venue.latency.p50_ms=656"])
    market = look_at_market(venue.url, COIN)
    made = paper_venue_config(config, market.instrument)
    info = market.instrument.info
    assert (made.dex, made.collateral, made.max_leverage) == ("km", "USDH", info["max_leverage"])
    assert made.rules.asset == info["asset_id"]
    assert made.rates.maker == market.instrument.maker_fee
    assert made.rates.taker == market.instrument.taker_fee
    assert made.latency.p50_ms == 656


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1", "127.0.0.1:80", "http://user:secret@127.0.0.1", "http://127.0.0.1/info"]
)
def test_an_address_that_is_none_is_refused(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, _ = run_and_fail(tmp_path, url, capsys)
    assert code == 2
    assert "live.url" in said


def test_a_local_run_takes_no_other_venue_s_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = ROOT / "configs" / "local.yaml"
    parts = [str(local), "--set", "live.url=http://127.0.0.1:9", "--out", str(tmp_path / "run")]
    assert live_main(parts) == 2
    assert "live.url" in capsys.readouterr().err


def test_a_new_account_after_one_that_had_more_loses_nothing_by_it(
    venue: LoopbackVenue, tmp_path: Path
) -> None:
    for name, equity in (("first", "1100"), ("second", "1000")):
        # too short for a fill so far from the touch: the account is flat at the end and forgotten
        short = ("--quiet", "--duration", "4s", "--set", f"account.equity={equity}")
        with ended(start(command(venue.url, tmp_path, name, *short))) as process:
            _, errors = process.communicate(timeout=180)
        # exit code 3 where the first account's peak made a drawdown of the second's start
        assert process.returncode == 0, errors
        assert kept(tmp_path) == {}
    found = of_journal(tmp_path / "state" / "monitor" / "journal.sqlite")
    assert found.equity == pytest.approx(1_000.0)
    assert len(found.halt_ns) == 0
    assert "session 2 begins with a new paper account" in (tmp_path / "second" / "run.log").read_text()
