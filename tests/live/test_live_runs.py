"""Modes testnet and live as their user runs them, against a venue that speaks the exchange's protocol: whole runs, as processes."""

import json
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amm500_nautilus.monitor.supervisor_lock import PidLock
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.live import main as live_main
from amm500_nautilus.runtime.node.confirm import VARIABLE
from amm500_nautilus.runtime.node.confirm import confirmation
from amm500_nautilus.runtime.node.monitoring import config_hash
from tests.adapter.test_secret_canary import SECRET
from tests.live.exec_session import Trading
from tests.live.exec_session import settle
from tests.live.venue_scene import CONFIGS
from tests.live.venue_scene import KEY_VARIABLE
from tests.live.venue_scene import LOOPBACK
from tests.live.venue_scene import USER
from tests.live.venue_scene import command
from tests.live.venue_scene import environment
from tests.live.venue_scene import keystore
from tests.live.venue_scene import running
from tests.live.venue_scene import secrets_in
from tests.live.venue_scene import settings
from tests.live.venue_scene import venue_with


pytestmark = [
    pytest.mark.live_node,
    pytest.mark.skipif(sys.platform != "linux", reason="arguments and environments are read from /proc"),
]
LENGTH = ("--duration", "1h")
# a restart waits for so much fresh data before it quotes
BRISK = ("strategy.risk.switches.fresh_secs=1",)
HOOK_SECRET = "canaryOfTheWebhook"
HOOK = f"json://amm:{HOOK_SECRET}@127.0.0.1:9/{HOOK_SECRET}"
ALERT = "SELECT outcome FROM alert WHERE kind = 'second_trader'"
END = "SELECT CAST(value AS TEXT) FROM saved WHERE name = 'run.end'"


def journal_rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(
        sqlite3.connect(f"file:{folder / 'state/monitor/journal.sqlite'}?mode=ro", uri=True)
    ) as journal:
        return journal.execute(sql).fetchall()


def rest_by_hand(trading: Trading) -> int:
    """An order that a person rests far from the market with the same account."""
    wire = {"a": 150_000, "b": True, "p": "600", "s": "0.1", "r": False, "t": {"limit": {"tif": "Gtc"}}}
    trading.submit({"type": "order", "orders": [wire], "grouping": "na"})
    return next(row["oid"] for row in trading.open_orders() if Decimal(row["limitPx"]) == 600)


def test_a_testnet_run_quotes_halts_and_is_still_halted_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env = environment(tmp_path, AMM500_ALERT_URLS=HOOK, **{KEY_VARIABLE: SECRET.hex()})
    shown: dict[str, bytes] = {}
    with venue_with(flow="simulated", seed=7) as venue:
        trading = Trading(venue, USER)
        with running(
            command("testnet", venue.url, tmp_path, "first", *LENGTH, more=BRISK), env, tmp_path
        ) as run:
            run.wait_for(lambda: len(trading.open_orders()) >= 4, "it quotes")
            shown |= {f"first {name}": content for name, content in run.shown().items()}
            # another run file of the same account, with a state folder of its own
            monkeypatch.setenv("AMM500_LOCK_DIR", str(tmp_path / "locks"))
            beside = command("testnet", venue.url, tmp_path / "beside", "run", *LENGTH)
            assert live_main(beside[2:]) == 2
            assert f"another process trades {USER} on km" in capsys.readouterr().err
            assert run.wait_for(lambda: run.ask("flatten"), "it answers")["ok"]
            run.wait_for(lambda: run.ask("status").get("state") == "HALTED", "it is halted")
            run.wait_for(lambda: not trading.open_orders() and not trading.position(), "flat")
            assert run.end(signal.SIGTERM) == 3, run.errors
        end = journal_rows(tmp_path, END)
        with running(
            command("testnet", venue.url, tmp_path, "second", *LENGTH, more=BRISK), env, tmp_path
        ) as run:
            assert run.wait_for(lambda: run.ask("status"), "it answers")["state"] == "HALTED"
            assert journal_rows(tmp_path, END) == end
            assert not trading.open_orders()
            run.wait_for(lambda: run.ask("resume"), "it answers")
            run.wait_for(lambda: len(trading.open_orders()) >= 4, "it quotes again")
            # somebody trades by hand: we withdraw, and leave what is theirs
            manual = rest_by_hand(trading)
            run.wait_for(lambda: "second_trader" in run.ask("status").get("reasons", ()), "it was seen")
            run.wait_for(lambda: len(trading.open_orders()) == 1, "our own orders are gone")
            assert run.end(signal.SIGTERM) == 0, run.errors
        assert journal_rows(tmp_path, ALERT)
        (left,) = trading.open_orders()
        assert left["oid"] == manual
    assert not pd.read_csv(tmp_path / "second" / "orders.csv")["open_at_end"].any()
    said = (tmp_path / "second" / "run.log").read_text()
    assert "an earlier run's end holds" in said
    assert f"account {USER}" in said
    summary = json.loads((tmp_path / "first" / "summary.json").read_text())
    # a venue on this machine is not the exchange, and the report says so
    assert (summary["mode"], summary["data"]["simulated"]) == ("testnet", True)
    assert secrets_in(tmp_path, shown) == {}
    # nobody answers at the alerts' address, and its password is not in what says so
    everything = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in everything if HOOK_SECRET.encode() in path.read_bytes()]
    assert HOOK_SECRET.encode() not in b"".join(shown[name] for name in shown if name.endswith("cmdline"))


@contextmanager
def ended(lock: PidLock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.drop()


def test_a_live_run_is_checked_confirmed_quotes_within_its_cap_and_leaves_nothing_resting(
    tmp_path: Path,
) -> None:
    path, descriptor = keystore(tmp_path)
    more = (
        f"live.signer.path={path}",
        "live.signer.unlock_by=descriptor",
        f"live.signer.descriptor={descriptor}",
        "account.leverage=10",
        "live.metrics_port=0",
    )
    supervisor = PidLock(tmp_path / "state" / "supervisor.lock")
    supervisor.take()
    with ended(supervisor), venue_with(flow="quiet") as venue:
        trading = Trading(venue, USER)
        sets = settings(venue.url, tmp_path, *more, "live.duration=1h")
        config = load_config(CONFIGS["live"], sets)
        env = environment(
            tmp_path,
            AMM500_SUPERVISED=str(supervisor_pid(tmp_path)),
            **{VARIABLE: confirmation(USER, config_hash(config))},
        )
        parts = command(
            "live", venue.url, tmp_path, "run", *LENGTH, "--override-paper-gate", "a rehearsal", more=more
        )
        with running(parts, env, tmp_path, descriptors=(descriptor,)) as run:
            orders = run.wait_for(
                lambda: len(trading.open_orders()) >= 4 and trading.open_orders(), "it quotes"
            )
            shown = run.shown()
            assert run.listening() == {LOOPBACK}
            assert run.largest_core() == "0"
            drill = run.wait_for(lambda: run.ask("drill", reason="margin_ratio"), "it answers")
            assert drill["ok"] is False
            value = sum(Decimal(row["sz"]) * Decimal(row["limitPx"]) for row in orders if row["side"] == "B")
            assert run.end(signal.SIGTERM) == 0, run.errors
        assert not trading.open_orders()
    # 1.8 % of 1,000 at 10x a side, not of the account's 10,000
    assert 0 < value <= Decimal(1_000) * 10 * Decimal("0.018")
    events = dict(journal_rows(tmp_path, "SELECT kind, text FROM event"))
    assert events["paper_gate"].startswith(
        "passed by override (a rehearsal), although there is no finished paper run"
    )
    assert events["confirmation"] == f"confirmed beforehand ({VARIABLE})"
    assert "standard mode, equity 10000" in events["account"]
    said = (tmp_path / "run" / "run.log").read_text()
    assert said.index("limits: ") < said.index("quoting began")
    assert secrets_in(tmp_path, shown, apart=(path,)) == {}


def supervisor_pid(folder: Path) -> int:
    return int((folder / "state" / "supervisor.lock").read_text())


@pytest.mark.soak
def test_the_venue_cancels_for_a_qualified_account_whose_node_was_killed(tmp_path: Path) -> None:
    more = ("live.signer.source=environment", "live.deadman_secs=10", "live.metrics_port=0")
    with venue_with(flow="quiet") as venue:
        trading = Trading(venue, USER)

        def qualify(exchange: Any) -> None:
            limits = exchange.accounts.holder(USER).limits
            limits.traded = limits.credited = Decimal(1_000_000)

        venue.call(qualify)
        config = load_config(CONFIGS["live"], settings(venue.url, tmp_path, *more, "live.duration=1h"))
        said = {KEY_VARIABLE: SECRET.hex(), VARIABLE: confirmation(USER, config_hash(config))}
        parts = command("live", venue.url, tmp_path, "run", *LENGTH, "--override-paper-gate", "x", more=more)
        with running(parts, environment(tmp_path, **said), tmp_path) as run:
            run.wait_for(lambda: len(trading.open_orders()) >= 4, "it quotes")
            run.wait_for(
                lambda: any(action["type"] == "scheduleCancel" for action in trading.actions()), "armed"
            )
            run.process.kill()
            run.process.wait()
        assert trading.open_orders()
        settle(lambda: not trading.open_orders(), seconds=60.0)
    events = dict(journal_rows(tmp_path, "SELECT kind, text FROM event"))
    assert events["watched"] == "the venue's dead-man's switch"
