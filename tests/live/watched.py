"""A whole run in this process, as ``run_live.py`` makes it, on a quiet loopback venue that a test moves while it watches from a thread."""

import contextlib
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.control_client import send_command
from amm500_nautilus.monitor.errors import ControlError
from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.live import LiveRun
from amm500_nautilus.runtime.node.endpoint import Endpoint
from amm500_nautilus.runtime.node.local import LocalDesk
from amm500_nautilus.runtime.node.market import look_at_market
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.rundir import RunDirectory
from hyperliquid_loopback.market import USDH_IDENTITY
from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.exec_session import DEX
from tests.live.exec_session import Trading
from tests.monitor.receivers import Webhook


ROOT = Path(__file__).resolve().parents[2]
COIN = "km:US500"
# liveness: a passing test never waits that long
SOON = 60.0
# short where a person would have to wait: the code that counts the seconds is the same
QUICK = (
    # a ladder is placed again after each reason
    "strategy.budget.burst=2000",
    "strategy.budget.horizon_hours=0.5",
    "strategy.risk.switches.fresh_secs=1.0",
    "strategy.risk.breakers.cooldown_secs=2.0",
    "strategy.risk.taker.cooldown_secs=2.0",
    "strategy.risk.switches.streak_pause_secs=2.0",
    "strategy.risk.switches.collateral_secs=1.0",
    "strategy.risk.switches.collateral_clear_secs=1.0",
    # a stop of the risk engine's own would close what a test has made
    "strategy.risk.stops.stop_loss=0.9",
    "strategy.risk.stops.auto_reduce_loss=0.9",
    "strategy.risk.stops.hard_stop=1000",
)


class _Desk(LocalDesk):
    """A local run's desk that may take up what an earlier run's client had written, as every other mode does."""

    earlier: Path | None = None

    def execution(self, state_dir: Path) -> Any:
        """Return the client's configuration."""
        found = super().execution(state_dir)
        if self.earlier is not None:
            shutil.copytree(self.earlier, state_dir, dirs_exist_ok=True)
        return found


class Watched:
    """
    One run and everything a test may look at: the venue's side, the journal, the alerts, the node's own answer.

    Parameters
    ----------
    venue : LoopbackVenue
        Started, with an account made by itself.
    folder : Path
        Where the run goes.
    *overrides : str
        Settings over ``configs/local.yaml``.

    """

    def __init__(self, venue: LoopbackVenue, folder: Path, *overrides: str) -> None:
        wallet = venue.wallets[0]
        self.venue = venue
        self.config: RunConfig = load_config(
            ROOT / "configs" / "local.yaml", ["live.flow=quiet", "live.duration=1h", *QUICK, *overrides]
        )
        self.endpoint = Endpoint(url=venue.url, ws_url=venue.ws_url, user=wallet.address, key=wallet.key)
        self.trading = Trading(venue, wallet.address)
        self.directory = RunDirectory(folder / "run")
        self.monitor = self.directory.path / "monitor"
        self.webhook = Webhook()
        # the folder of an earlier run's client
        self.earlier: Path | None = None
        self.live: LiveRun | None = None
        self.holder: sqlite3.Connection | None = None
        self.context: Any = None
        self._errors: list[BaseException] = []

    def play(self, script: Callable[["Watched"], None]) -> None:
        """Run the node on this thread, the script on another from when the node quotes, and end both."""
        desk = _Desk(self.config, self.endpoint, look_at_market(self.endpoint.url, COIN))
        desk.earlier = self.earlier
        with self.webhook, _environment("AMM500_ALERT_URLS", f"json://127.0.0.1:{self.webhook.port}/"):
            live = self.live = LiveRun(self.config, desk, self.directory, Progress(quiet=True))
            thread = threading.Thread(target=self._script, args=(script, live), daemon=True)
            thread.start()
            try:
                self.context = live.run()
            finally:
                thread.join(SOON)
        if self._errors:
            raise self._errors[0]

    def _script(self, script: Callable[["Watched"], None], live: LiveRun) -> None:
        try:
            self.until(lambda: self.status() is not None, "the node listens")
            script(self)
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self._errors.append(error)
        finally:
            live._stop()

    # -- looking -----------------------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], Any], what: str, seconds: float = SOON) -> Any:
        """Wait until the condition holds and return what it returned."""
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s: {what}; {self.status()}")
            time.sleep(0.05)

    def status(self) -> dict[str, Any] | None:
        """Return what ``amm500 status`` is answered."""
        try:
            return send_command(self.directory.path, "status")
        except ControlError:
            return None

    def ask(self, command: str, **arguments: str) -> dict[str, Any]:
        """Give the node a command."""
        return send_command(self.directory.path, command, **arguments)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return rows of the journal, read beside the node."""
        connection = sqlite3.connect(f"{(self.monitor / NAME).as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def raised(self, reason: str) -> list[tuple[Any, ...]]:
        """Return the journal's entries of a reason that began."""
        return self.rows(
            "SELECT ts_ns, numbers FROM decision WHERE subject = 'reason' AND approved = 0 AND reason = ?",
            reason,
        )

    def alerts(self, reason: str) -> list[tuple[Any, ...]]:
        """Return the journal's alerts of a kind."""
        return self.rows("SELECT title, body, outcome FROM alert WHERE kind = ?", reason)

    def posts(self, reason: str) -> list[dict[str, Any]]:
        """Return what the webhook was sent of a reason."""
        return [post for post in self.webhook.posts if post["title"].endswith(f": {reason}")]

    @property
    def asset(self) -> int:
        """The number of the market at the venue."""
        return int(self.venue.call(lambda e: e.universe.asset_of(COIN)))

    def increasing(self) -> list[dict[str, Any]]:
        """Return what rests of ours and would make the position larger."""
        position, closing = self.trading.position(), Decimal(0)
        found = []
        for order in self.resting():
            side = 1 if order["side"] == "B" else -1
            size = Decimal(order["sz"])
            if position * side >= 0 or (not order["reduceOnly"] and closing + size > abs(position)):
                found.append(order)
            else:
                closing += size
        return found

    def send(self, *, from_dex: str, to_dex: str, amount: Decimal) -> None:
        """Move collateral of the account between its pots, as a person does."""
        action = {
            "type": "sendAsset",
            "destination": self.trading.address,
            "sourceDex": from_dex,
            "destinationDex": to_dex,
            "token": f"USDH:{USDH_IDENTITY}",
            "amount": f"{amount:f}",
            "fromSubAccount": "",
            "nonce": self.venue.now_ms,
        }
        self.trading.submit(action)

    def sendable(self) -> Decimal:
        """Return what may be moved out of the dex's pot: what neither positions nor orders hold."""

        def ask(exchange: Any) -> Decimal:
            account = exchange.accounts.account(exchange.accounts.holder(self.trading.address), DEX)
            free: Decimal = account.withdrawable - account.order_margin
            return free

        return self.venue.call(ask)

    def grant(self, amount: Decimal) -> None:
        """Change the account's collateral, and tell nobody why."""

        def change(exchange: Any) -> None:
            accounts = exchange.accounts
            holder = accounts.holder(self.trading.address)
            pot = accounts.account(holder, DEX)
            accounts.keep_pot(holder, DEX, replace(pot, cash=pot.cash + amount))
            accounts.moved(holder.address, DEX)

        self.venue.call(change)

    def use_up(self, left: int) -> None:
        """Let the address have sent all of the actions that the venue allows it, but for those left."""

        def change(exchange: Any) -> None:
            limits = exchange.accounts.holder(self.trading.address).limits
            limits.sent = limits.cap + limits.bought - left

        self.venue.call(change)

    @staticmethod
    def pause(seconds: float) -> None:
        """Let the market stand for a moment between two moves of it."""
        threading.Event().wait(seconds)

    def resting(self) -> list[dict[str, Any]]:
        """Return what rests of ours at the venue."""
        return self.trading.open_orders()

    def quoting(self) -> None:
        """Wait until both sides rest and the node is RUNNING."""

        def is_quoting() -> bool:
            answer = self.status()
            sides = {row["side"] for row in self.resting()}
            return answer is not None and answer["state"] == "RUNNING" and sides == {"A", "B"}

        self.until(is_quoting, "RUNNING, with both sides resting")

    def is_active(self, reason: str) -> bool:
        """Return whether the node says that a reason is active."""
        answer = self.status()
        return answer is not None and reason in answer["reasons"]


@contextlib.contextmanager
def _environment(name: str, value: str) -> Any:
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)


def only(found: Sequence[Any]) -> Any:
    """Return the one there is."""
    assert len(found) == 1, found
    return found[0]
