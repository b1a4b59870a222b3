"""What ``amm500 start`` looks at before it starts anything: extras, disk, clock, venue, account, ladder, paper gate."""

import asyncio
import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.monitor.alerts import VARIABLE as ALERTS_VARIABLE
from amm500_nautilus.monitor.journal import LOCK as JOURNAL_LOCK
from amm500_nautilus.monitor.supervisor_lock import holder_of
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.runtime.backtest import check_ladder
from amm500_nautilus.runtime.config import REAL_MODES
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.node.capital import capital_of
from amm500_nautilus.runtime.node.capital import sized
from amm500_nautilus.runtime.node.gate import judge
from amm500_nautilus.runtime.node.gate import paper_runs
from amm500_nautilus.runtime.node.lock import SUPERVISOR_LOCK
from amm500_nautilus.runtime.node.lock import require_mode
from amm500_nautilus.runtime.node.market import MarketNow
from amm500_nautilus.runtime.node.market import look_at_market
from amm500_nautilus.runtime.node.market import look_at_reference
from amm500_nautilus.runtime.node.paper import candidates
from amm500_nautilus.runtime.node.paper import paper_endpoint
from amm500_nautilus.runtime.node.state_folder import state_folder
from amm500_nautilus.runtime.node.status import VenueStatus
from amm500_nautilus.runtime.node.status import read_venue
from amm500_nautilus.runtime.node.venue import venue_url
from amm500_nautilus.runtime.strategy_hash import strategy_hash
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.keys import read_private_file


TIMEOUT_S = 3.0
LOOK_S = 20.0
# a week's journal, logs and report, with room to spare
LEAST_FREE_BYTES = 2 * 1024**3
# protocol of the adapter: it warns from 500 ms on and sends nothing above 2 s
CLOCK_WARN_MS = 500.0
CLOCK_MAX_MS = 2_000.0
LIVE = "live"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: ``is_ok`` False stops the start, ``is_warning`` does not."""

    name: str
    text: str
    is_ok: bool = True
    is_warning: bool = False

    @property
    def line(self) -> str:
        """The check as a line for a person."""
        mark = "FAILED" if not self.is_ok else "warning" if self.is_warning else "ok"
        return f"{mark:<8} {self.name:<12} {self.text}"


def check_extras(config: RunConfig, environ: Mapping[str, str], *, dashboard: bool) -> list[Check]:
    """Return whether the packages are there that this run needs beside the base."""
    wanted: dict[str, tuple[str, str]] = {}
    if dashboard:
        wanted["dash"] = ("ops", "the dashboard")
    if config.live.metrics_port is not None:
        wanted["prometheus_client"] = ("ops", "live.metrics_port")
    if environ.get(ALERTS_VARIABLE, "").strip():
        wanted["apprise"] = ("ops", "alerts")
    if config.mode in REAL_MODES:
        wanted |= dict.fromkeys(("coincurve", "Crypto"), ("live", "signed orders"))
    missing = {name: wanted[name] for name in wanted if importlib.util.find_spec(name) is None}
    if not missing:
        return [Check("extras", "all that this run needs is installed")]
    return [
        Check("extras", f"{what} needs {name}: pip install 'amm500[{extra}]'", is_ok=False)
        for name, (extra, what) in missing.items()
    ]


def check_alerts(environ: Mapping[str, str]) -> Check:
    """Return whether anybody would be told."""
    if environ.get(ALERTS_VARIABLE, "").strip():
        return Check("alerts", f"{ALERTS_VARIABLE} is set")
    return Check("alerts", f"{ALERTS_VARIABLE} is not set: nobody is told of anything", is_warning=True)


def check_disk(folder: Path, *, least: int = LEAST_FREE_BYTES) -> Check:
    """Return whether there is room where the state is kept, and whether it can be written."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / 1024**3:,.1f} GiB free at {place}"
    if not os.access(place, os.W_OK | os.X_OK):
        return Check("disk", f"{place} cannot be written", is_ok=False)
    if free < least:
        return Check("disk", f"{text}, {least / 1024**3:,.1f} wanted", is_ok=False)
    return Check("disk", text)


def check_clock(status: VenueStatus) -> Check:
    """Return how far the venue's clock is from this machine's."""
    offset = status.venue.get("clock_offset_ms")
    if offset is None:
        return Check("clock", "the venue does not tell its time", is_warning=True)
    text = f"the venue's clock is {offset:+.0f} ms from this machine's"
    if abs(offset) > CLOCK_MAX_MS:
        return Check("clock", f"{text}; nothing would be sent: set the clock", is_ok=False)
    return Check("clock", text, is_warning=abs(offset) > CLOCK_WARN_MS)


def check_key(config: RunConfig, environ: Mapping[str, str]) -> Check:
    """Return whether the key is where the run file says, without reading it."""
    signer = config.live.signer
    if signer.source == "environment":
        is_there = bool(environ.get(signer.variable, "").strip())
        return Check("key", f"{signer.variable} is {'set' if is_there else 'not set'}", is_ok=is_there)
    path = Path(signer.path or "").expanduser()
    if signer.unlock_by == "prompt":
        text = "live.signer.unlock_by prompt: nobody is asked when a supervised node starts again"
        return Check("key", text, is_ok=False)
    try:
        read_private_file(path)
    except SigningError as error:
        return Check("key", str(error), is_ok=False)
    if signer.unlock_by == "descriptor" and not _is_open(signer.descriptor or 0):
        return Check(
            "key", f"descriptor {signer.descriptor} is not open: {signer.descriptor}< FILE", is_ok=False
        )
    return Check("key", f"keystore {path}, opened by {signer.unlock_by}")


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def check_account(config: RunConfig, status: VenueStatus) -> list[Check]:
    """Return whether the account can be traded, and what the venue says of it."""
    account = status.account
    if account is None:
        return [Check("account", "the venue does not know it", is_ok=False)]
    unit, equity = status.market["collateral"], Decimal(account["equity"])
    capital = capital_of(config, equity)
    text = (
        f"{account['address']}, {account['mode']}, equity {account['equity']} {unit}, {capital:,.2f} used, "
        f"{account['open_orders']} orders resting, {account['actions']['left']:,} actions left"
    )
    agents = len(account["agents"])
    return [
        Check("account", text, is_ok=equity > 0),
        Check("agents", f"{agents} with a name" if agents else "none with a name", is_warning=not agents),
        *(Check("account", problem, is_warning=True) for problem in status.problems),
    ]


def check_gate(config: RunConfig, coin: str, override: str | None) -> Check:
    """Return what the paper gate says."""
    folder = config.live.paper_runs
    gate = judge(paper_runs(Path(folder)), strategy=strategy_hash(config), market=coin, folder=folder)
    if gate.is_open:
        return Check("paper gate", gate.sentence)
    if (override or "").strip():
        return Check(
            "paper gate", f"passed by override ({override}), although {gate.sentence}", is_warning=True
        )
    return Check("paper gate", f'{gate.sentence}; --override-paper-gate "reason" goes on', is_ok=False)


def check_state(config: RunConfig, coin: str) -> Check:
    """Return whether the state folder is this run's, and nobody's who runs."""
    folder = state_folder(config)
    account = (config.live.vault or config.live.user or "") if config.mode in REAL_MODES else ""
    try:
        require_mode(folder, mode=config.mode, account=account, coin=coin if account else "")
    except InputError as error:
        return Check("state", str(error), is_ok=False)
    for what, lock in (("supervisor", folder / SUPERVISOR_LOCK), ("node", folder / "monitor" / JOURNAL_LOCK)):
        holder = holder_of(lock)
        if holder is not None:
            return Check("state", f"{what} {holder} runs there: amm500 stop {folder}", is_ok=False)
    return Check("state", f"{folder}{'' if folder.exists() else ' (new)'}")


def look(config: RunConfig) -> tuple[MarketNow, VenueStatus, str]:
    """
    Return the market that would be quoted, what the venue says, and its address.

    Raises
    ------
    SourceUnavailableError
        If the venue does not answer.
    InputError
        If no market of the run file trades, or the account is an agent.

    """
    is_real = config.mode in REAL_MODES
    url = venue_url(config) if is_real else paper_endpoint(config).url
    market = look_at_market(url, candidates(config))
    client = VenueClient(url, timeout_s=TIMEOUT_S, retries=1, deadline_s=2 * TIMEOUT_S)
    user = (config.live.vault or config.live.user) if is_real else None

    async def ask() -> VenueStatus:
        asked = read_venue(client, url, market.coin, user, owner=config.live.user)
        return await asyncio.wait_for(asked, LOOK_S)

    try:
        return market, asyncio.run(ask()), url
    except TimeoutError as error:
        raise SourceUnavailableError(f"{url} did not answer everything within {LOOK_S:.0f} s") from error
    except HyperliquidError as error:
        raise SourceUnavailableError(f"{url}: {error}") from error


def check_ladder_now(config: RunConfig, market: MarketNow, equity: Decimal) -> Check:
    """Return whether the ladder can be quoted at the market's price with what may be used."""
    instrument = market.instrument
    shape = MarketShape(tick=float(instrument.price_increment), lot=float(instrument.size_increment))
    try:
        check_ladder(
            sized(config, equity),
            shape,
            market.mid,
            max_leverage=float(instrument.info["max_leverage"]),
        )
    except InputError as error:
        return Check("ladder", str(error), is_ok=False)
    return Check("ladder", f"can be quoted at {market.mid:g}")


def check_all(
    config: RunConfig, environ: Mapping[str, str], *, dashboard: bool, override: str | None
) -> tuple[list[Check], str]:
    """
    Look at everything, and return the checks and the market's coin.

    Raises
    ------
    SourceUnavailableError
        If the venue does not answer.
    InputError
        If no market of the run file trades.

    """
    checks = [Check("run file", f"{config.name}, mode {config.mode}")]
    checks += check_extras(config, environ, dashboard=dashboard)
    checks += [check_alerts(environ), check_disk(state_folder(config))]
    market, status, url = look(config)
    if said := look_at_reference(url, config, market.coin):
        checks.append(Check("reference", said))
    checks += [
        Check("venue", f"{url}: {market.sentence}"),
        check_clock(status),
        check_state(config, market.coin),
    ]
    equity = config.account.equity
    if config.mode in REAL_MODES:
        checks += [check_key(config, environ), *check_account(config, status)]
        equity = Decimal((status.account or {}).get("equity", 0))
    if equity > 0:
        checks.append(check_ladder_now(config, market, equity))
    if config.mode == LIVE:
        checks.append(check_gate(config, market.coin, override))
    return checks, market.coin
