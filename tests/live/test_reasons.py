"""Every reason of the table, really caused on a running node: what it does, its state, its end, one journal entry, one alert."""

import sqlite3
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.monitor.monitor import UNTOLD
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.reasons import reason_table
from amm500_nautilus.risk.types import Act
from amm500_nautilus.runtime.models import build
from hyperliquid_hip3.address_limit import AddressLimit
from hyperliquid_hip3.collateral import CollateralPrice
from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.exec_session import DEX
from tests.live.exec_session import MID
from tests.live.exec_session import quiet_venue
from tests.live.watched import COIN
from tests.live.watched import Watched
from tests.live.watched import only


pytestmark = pytest.mark.live_node

FOREVER = -1
# frames come often; a connection may be silent for as long as at the exchange
QUICK_CLOCKS = replace(Cadences().scaled(0.2), silence_ms=60_000)


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    with quiet_venue(generated_accounts=2, cadences=QUICK_CLOCKS) as running:
        yield running


def row(
    run: Watched,
    reason: str,
    cause: Callable[[], Any],
    undo: Callable[[], Any] = lambda: None,
    *,
    foreign: int = 0,
) -> None:
    """Cause one reason while the node quotes, look at everything that its row promises, and end it."""
    rule = next(one for one in reason_table(build(run.config.strategy.risk)) if one.name == reason)
    run.quoting()
    assert run.raised(reason) == []
    cause()
    answer = run.until(lambda: _status_with(run, reason), f"{reason} is active")
    assert answer["state"] == rule.state.value, answer["reasons"]
    if rule.act in (Act.CANCEL_OWN, Act.CANCEL_ALL, Act.FLATTEN):
        run.until(lambda: len(run.resting()) == foreign, f"{reason}: nothing of ours rests")
    if rule.act is Act.CANCEL_INCREASING:
        run.until(lambda: not run.increasing(), f"{reason}: what increases is gone")
    if rule.act is Act.FLATTEN:
        run.until(lambda: run.trading.position() == 0, f"{reason}: flat")
    told = 0 if reason in UNTOLD else 1
    run.until(lambda: len(run.posts(reason)) == told, f"{reason} is told")
    undo()
    if rule.latched:
        assert reason in run.ask("resume")["ended"]
    run.until(lambda: not run.is_active(reason), f"{reason} ends")
    run.until(lambda: run.raised(reason), f"{reason} is journaled")
    run.until(lambda: len(run.alerts(reason)) == told, f"the alert of {reason} is journaled")
    run.until(lambda: _was_shown(run, reason, rule.state.value), f"{reason} is in the journal's states")
    # once, however long it lasted
    assert len(run.raised(reason)) == 1
    assert len(run.posts(reason)) == told
    if told:
        title, body, outcome = only(run.alerts(reason))
        assert outcome == "sent"
        assert title == only(run.posts(reason))["title"]
        assert ("ACT NOW" in title) is rule.alert
        assert rule.ends in body


def _was_shown(run: Watched, reason: str, state: str) -> bool:
    found = run.rows("SELECT reasons FROM state WHERE state = ?", state)
    return any(reason in reasons.split(",") for (reasons,) in found)


def _status_with(run: Watched, reason: str) -> dict[str, Any] | None:
    answer = run.status()
    return answer if answer is not None and reason in answer["reasons"] else None


def test_what_a_person_asks_for_and_what_the_venue_s_side_does(
    venue: LoopbackVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CollateralPrice.__init__.__kwdefaults__, "every_s", 0.5)
    faults = venue.faults

    def foreign_order(run: Watched) -> None:
        order = {
            "a": run.asset,
            "b": True,
            "p": "600",
            "s": "0.1",
            "r": False,
            "t": {"limit": {"tif": "Gtc"}},
        }
        run.trading.submit({"type": "order", "orders": [order], "grouping": "na"})

    def no_network() -> None:
        venue.run(venue.shut())
        venue.cut_sockets()

    def script(run: Watched) -> None:
        row(run, "operator_pause", lambda: run.ask("pause"))
        row(run, "operator_reduce_only", lambda: run.ask("reduce-only"))
        row(run, "operator_flatten", lambda: run.ask("flatten"))
        row(run, "network_down", no_network, lambda: venue.run(venue.reopen()))
        row(
            run,
            "oracle_stale",
            lambda: faults.set("ws_drop", times=FOREVER, only="activeAssetCtx"),
            lambda: faults.clear("ws_drop"),
        )
        row(run, "collateral", lambda: set_spot(venue, "0.97"), lambda: set_spot(venue, "1"))
        row(run, "agent_refused", lambda: refuse_agent(run))
        row(run, "second_trader", lambda: foreign_order(run), foreign=1)

    Watched(venue, tmp_path).play(script)


def set_spot(venue: LoopbackVenue, price: str) -> None:
    venue.call(lambda e: [e.universe.set_spot_mid(name, Decimal(price)) for name in e.universe.spot_mids()])


def refuse_agent(run: Watched) -> None:
    """Let the venue not know the key, once, and give the node a reason to sign."""
    run.venue.faults.set("agent_unknown", times=1)
    for shift in ("0.03", "-0.03") * 10:
        run.trading.move(MID + Decimal(shift))
        if run.venue.faults.struck["agent_unknown"]:
            return
        run.pause(1.0)


# -- what money does, each with a threshold that a small ladder can reach ---------------------------------------------------


def sell_out(run: Watched) -> None:
    """Let the market run through our asks: we are short then, and the price is above what we sold at."""
    run.trading.move(MID + 1)
    run.until(lambda: run.trading.position() < 0, "our asks were taken")


def against_us(run: Watched) -> None:
    sell_out(run)
    run.trading.move(MID + 4)


def back(run: Watched) -> None:
    run.trading.move(MID)


def withdraw_all(run: Watched) -> None:
    """Take out everything that margin does not hold, beside a short position."""
    sell_out(run)
    run.until(lambda: (run.status() or {}).get("position") == float(run.trading.position()), "the node knows")
    run.until(lambda: len(run.resting()) > 20, "both sides rest again")
    run.send(from_dex=DEX, to_dex="spot", amount=run.sendable() - 5)


def withdraw_and_rise(run: Watched) -> None:
    withdraw_all(run)
    # the margin of a tenth is eaten up to less than three percent
    run.trading.move(MID * Decimal("1.06"))


def put_back(run: Watched) -> None:
    run.send(from_dex="spot", to_dex=DEX, amount=Decimal(9_000))


def refuse_orders(run: Watched) -> None:
    """Let the venue be at its cap of open interest, and every order be placed again."""
    run.venue.call(lambda e: e.set_oi_cap(COIN, on=True))
    run.ask("pause")
    run.until(lambda: not run.resting(), "all is canceled")
    run.ask("resume")


def accept_orders(run: Watched) -> None:
    run.venue.call(lambda e: e.set_oi_cap(COIN, on=False))


def take_everything(run: Watched) -> None:
    """Close by taking what was made: half of the volume is taken then."""
    sell_out(run)
    run.ask("flatten")
    run.until(lambda: run.trading.position() == 0, "flat")
    run.ask("resume")


def spend(run: Watched) -> None:
    """Let others have sent all but thirty of what the address may send: the cancels of what rests would take as many."""
    run.use_up(30)


def no_book(run: Watched) -> None:
    run.venue.faults.set("drop", times=FOREVER, only="l2Book")
    run.venue.faults.set("ws_drop", times=FOREVER)


def heal(run: Watched) -> None:
    run.venue.faults.clear()


def hold_journal(run: Watched) -> None:
    """Keep the journal's file locked, as a backup that hangs does."""
    run.holder = sqlite3.connect(run.monitor / NAME, isolation_level=None, check_same_thread=False)
    run.holder.execute("BEGIN IMMEDIATE")


def let_go(run: Watched) -> None:
    assert run.holder is not None
    run.holder.execute("ROLLBACK")
    run.holder.close()
    run.until(lambda: (run.status() or {})["journal"]["failed"] == "", "the journal is written again")


SWITCHES = "strategy.risk.switches."
MONEY: dict[str, tuple[tuple[str, ...], Callable[[Watched], Any], Callable[[Watched], Any]]] = {
    "drawdown": ((f"{SWITCHES}drawdown=0.0003",), against_us, back),
    "session_loss": (
        (f"{SWITCHES}session_loss=3", f"{SWITCHES}session_loss_share=0.00001"),
        against_us,
        back,
    ),
    "liquidation_distance": ((), withdraw_and_rise, put_back),
    "losing_streak": ((f"{SWITCHES}streak=1", f"{SWITCHES}streak_loss=0.000001"), against_us, back),
    # a position that was small is large beside what is left: how fast it grew is another row's affair
    "margin_ratio": (("strategy.risk.breakers.velocity_pause=100",), withdraw_all, put_back),
    "book_stale": ((), no_book, heal),
    "rejections": (
        (
            "strategy.risk.breakers.rejections_widen=2",
            "strategy.risk.breakers.rejections_pause=3",
            "strategy.risk.breakers.window_secs=5",
        ),
        refuse_orders,
        accept_orders,
    ),
    "taker_share": (
        ("strategy.risk.taker.min_fills=1", "strategy.risk.taker.window_secs=10"),
        take_everything,
        back,
    ),
    "position_velocity": (
        (
            "strategy.risk.breakers.velocity_widen=0.005",
            "strategy.risk.breakers.velocity_pause=0.01",
            "strategy.risk.breakers.window_secs=5",
        ),
        sell_out,
        back,
    ),
    "action_budget": ((), spend, sell_out),
    "implausible_equity": ((), lambda run: run.grant(Decimal(700)), back),
    "journal": ((), hold_journal, let_go),
}
# the others are as slow as what they wait for
QUICKEST = ("drawdown", "action_budget", "journal")


@pytest.mark.parametrize(
    "reason", [pytest.param(name, marks=() if name in QUICKEST else pytest.mark.soak) for name in MONEY]
)
def test_what_money_market_and_disk_do(
    reason: str, venue: LoopbackVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the venue is asked for its count of the address once a minute
    monkeypatch.setitem(AddressLimit.__init__.__kwdefaults__, "every_s", 1.0)
    overrides, cause, undo = MONEY[reason]
    run = Watched(venue, tmp_path, *overrides)

    def script(run: Watched) -> None:
        row(run, reason, lambda: cause(run), lambda: undo(run))

    run.play(script)


def test_every_row_of_the_table_is_caused_here() -> None:
    here = set(MONEY) | {
        "operator_pause",
        "operator_reduce_only",
        "operator_flatten",
        "network_down",
        "oracle_stale",
        "collateral",
        "agent_refused",
        "second_trader",
        "journal_damaged",
    }
    assert here == {rule.name for rule in reason_table(RiskConfig())}
