"""Runs on a real venue, testnet and live: a configured account, its agent's key, and what must hold before the first order."""

import os
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import closing
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nautilus_trader.config import InstrumentProviderConfig

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.node.account import AccountFacts
from amm500_nautilus.runtime.node.account import look_at_account
from amm500_nautilus.runtime.node.account import require_agent_time
from amm500_nautilus.runtime.node.capital import capital_of
from amm500_nautilus.runtime.node.client_desk import ClientDesk
from amm500_nautilus.runtime.node.confirm import Approval
from amm500_nautilus.runtime.node.confirm import confirm
from amm500_nautilus.runtime.node.confirm import given_beforehand
from amm500_nautilus.runtime.node.desk import About
from amm500_nautilus.runtime.node.endpoint import Endpoint
from amm500_nautilus.runtime.node.gate import judge
from amm500_nautilus.runtime.node.gate import paper_runs
from amm500_nautilus.runtime.node.lock import SUPERVISOR_LOCK
from amm500_nautilus.runtime.node.lock import account_lock
from amm500_nautilus.runtime.node.lock import lock_folder
from amm500_nautilus.runtime.node.lock import require_mode
from amm500_nautilus.runtime.node.lock import require_silence
from amm500_nautilus.runtime.node.lock import supervisor_of
from amm500_nautilus.runtime.node.market import MarketNow
from amm500_nautilus.runtime.node.market import look_at_market
from amm500_nautilus.runtime.node.monitoring import config_hash
from amm500_nautilus.runtime.node.paper import NETWORKS
from amm500_nautilus.runtime.node.paper import candidates
from amm500_nautilus.runtime.node.restart import Crashed
from amm500_nautilus.runtime.node.restart import crashed_run
from amm500_nautilus.runtime.node.state_folder import run_seconds
from amm500_nautilus.runtime.node.state_folder import state_folder
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.strategy_hash import strategy_hash
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.config import socket_url
from hyperliquid_hip3.constants import MAINNET_URL
from hyperliquid_hip3.constants import TESTNET_URL
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.factories import signing_factory
from hyperliquid_hip3.keys import forbid_core_dumps
from hyperliquid_hip3.signing import Signer
from hyperliquid_hip3.startup import load_key


LIVE = "live"
ACCOUNT = "account"
EXECUTION = "execution"
URLS = {LIVE: MAINNET_URL, "testnet": TESTNET_URL}


def venue_url(config: RunConfig) -> str:
    """Return where a run of mode testnet or live trades: the mode's own network unless the run file says otherwise."""
    return (config.live.url or URLS[config.mode]).rstrip("/")


def execution_config(config: RunConfig, coin: str) -> HyperliquidExecClientConfig:
    """Return the configuration of the adapter's execution client for a run file of mode testnet or live, and a market."""
    live, signer, url = config.live, config.live.signer, venue_url(config)
    return HyperliquidExecClientConfig(
        url=url,
        ws_url=socket_url(url),
        dex=split_coin(coin)[0],
        coins=(coin,),
        user=live.user or "",
        vault=live.vault,
        key_source=signer.source,
        key_variable=signer.variable,
        keystore_path=None if signer.path is None else str(Path(signer.path).expanduser()),
        unlock_by=signer.unlock_by,
        unlock_descriptor=signer.descriptor,
        unlock_credential=signer.credential,
        require_agent=True,
        state_dir=str(state_folder(config) / EXECUTION),
        leverage=int(config.account.leverage),
        margin_mode="cross" if config.account.margin_mode.value == "cross" else "isolated",
        buy_weight=bool(build(config.strategy.budget).buy_weight),
        deadman_secs=live.deadman_secs,
        adopt_foreign=live.adopt_foreign,
        instrument_provider=InstrumentProviderConfig(load_all=True),
    )


def open_signer(config: HyperliquidExecClientConfig) -> Signer:
    """
    Open the agent's key, which nothing shows; the environment is scrubbed of it, and core dumps are off from here on.

    Raises
    ------
    InputError
        If there is no usable key where the run file says.

    """
    forbid_core_dumps()
    try:
        return Signer(load_key(config), config.url, config.vault)
    except SigningError as error:
        raise InputError(str(error), "live.signer", "the agent's key there") from error


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a start looks at beside the run file; tests put their own here."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    now_ns: Callable[[], int] = time.time_ns


class VenueDesk(ClientDesk):
    """
    Orders go to the venue, signed by the account's agent.

    Parameters
    ----------
    config : RunConfig
        The run file.
    market : MarketNow
        What is quoted.
    facts : AccountFacts
        What the venue said of the account.
    signer : Signer
        The agent's key.
    events : tuple of (str, str)
        What the journal is to keep of the start: kinds and texts.

    """

    def __init__(
        self,
        config: RunConfig,
        market: MarketNow,
        facts: AccountFacts,
        signer: Signer,
        events: tuple[tuple[str, str], ...] = (),
    ) -> None:
        url = venue_url(config)
        user = config.live.vault or config.live.user or ""
        super().__init__(Endpoint(url=url, ws_url=socket_url(url), user=user), market)
        self._config = config
        self.facts = facts
        self.equity = facts.equity
        self.events = events
        self.factory = signing_factory(signer)

    def execution(self, state_dir: Path) -> HyperliquidExecClientConfig:  # noqa: ARG002 - what it keeps outlives the run
        """Return the configuration of the adapter's execution client."""
        return execution_config(self._config, self.market.coin)

    def about(self) -> About:
        """Return what a report says of a venue whose fills are real; one on this machine is simulated as a whole."""
        network = NETWORKS.get(self.endpoint.url)
        source = network or f"a venue at {urlsplit(self.endpoint.url).netloc} that is not the exchange"
        capital = capital_of(self._config, self.equity)
        return About(
            source=source,
            simulated=network is None,
            description=f"a {self._config.mode} run on {self.market.coin} at {source}, account {self.endpoint.user}",
            defaults=(
                f"the capital used is {capital:f} of an equity of {self.equity:f} at the start",
                *(f"{kind.replace('_', ' ')}: {text}" for kind, text in self.events if kind != ACCOUNT),
                *self.market.passed_over,
            ),
        )

    def end(self, *, is_over: bool) -> None:
        """Do nothing: the account is the venue's."""


@contextmanager
def open_venue(
    config: RunConfig, progress: Progress, approval: Approval, around: Surroundings | None = None
) -> Iterator[VenueDesk]:
    """
    Give a run of mode testnet or live its account for as long as it takes, once everything that must hold does.

    Raises
    ------
    InputError
        If something does not; the sentence says what.
    SourceUnavailableError
        If the venue cannot be reached.

    """
    around = around or Surroundings()
    url, state, live = venue_url(config), state_folder(config), config.live
    account = live.vault or live.user or ""
    if not int(live.user or "0", 16):
        raise InputError("is still the example's", "live.user", "the account's own address")
    if config.mode == LIVE:
        # a confirmation of something else is refused before anything is asked or opened
        given_beforehand(approval, address=account, config_hash=config_hash(config))
    market = look_at_market(url, candidates(config))
    progress.say(market.sentence)
    dex = split_coin(market.coin)[0]
    require_mode(state, mode=config.mode, account=account, coin=market.coin)
    with closing(_Held(account_lock(lock_folder(around.environ), url=url, account=account, dex=dex))):
        require_silence(state / "monitor")
        signer = open_signer(execution_config(config, market.coin))
        facts = look_at_account(
            url, coin=market.coin, user=live.user or "", vault=live.vault, agent=signer.address
        )
        lines = facts.lines(
            mode=config.mode, url=url, capital=capital_of(config, facts.equity), on_end=config.on_end
        )
        for line in (*lines, *facts.problems):
            progress.say(line)
        events = [(ACCOUNT, "; ".join(lines))]
        pid = supervisor_of(state, around.environ)
        if config.mode == LIVE:
            crashed = crashed_run(state, config_hash(config))
            now_ns, run_s = around.now_ns(), run_seconds(config)
            if crashed is not None and run_s:
                run_s = crashed.left_s(now_ns, run_s)
            require_agent_time(facts.agent, now_ns=now_ns, run_s=run_s)
            # whoever is asked has seen them already, unless nothing is printed
            shown = "\n".join(lines) if progress.is_quiet else ""
            events += _live_checks(config, market.coin, facts, approval, shown, pid, crashed)
        elif pid is None and not facts.has_switch:
            progress.say(
                "nobody cancels orders if this process dies: neither supervisor nor dead-man's switch"
            )
        for kind, text in events[1:]:
            progress.say(f"{kind.replace('_', ' ')}: {text}")
        yield VenueDesk(config, market, facts, signer, tuple(events))


def _live_checks(
    config: RunConfig,
    coin: str,
    facts: AccountFacts,
    approval: Approval,
    shown: str,
    supervisor: int | None,
    crashed: Crashed | None,
) -> list[tuple[str, str]]:
    """Return what the journal is to keep of the checks that only live has; raises InputError where one fails."""
    if supervisor is None and not facts.has_switch:
        raise InputError(
            "the account has no dead-man's switch, and no supervisor cancels in its place",
            "live",
            f"amm500 supervise CONFIG, which holds {state_folder(config) / SUPERVISOR_LOCK}",
        )
    sentence = _through_gate(config, coin, approval, crashed)
    account = config.live.vault or config.live.user or ""
    how = confirm(
        approval,
        address=account,
        config_hash=config_hash(config),
        text=f"{shown}\npaper gate: {sentence}".lstrip(),
    )
    watched = "the venue's dead-man's switch" if supervisor is None else f"supervised by process {supervisor}"
    return [("paper_gate", sentence), ("confirmation", how), ("watched", watched)]


def _through_gate(config: RunConfig, coin: str, approval: Approval, crashed: Crashed | None) -> str:
    """Return why the paper gate is passed; raises InputError where it is not."""
    folder = config.live.paper_runs
    gate = judge(paper_runs(Path(folder)), strategy=strategy_hash(config), market=coin, folder=folder)
    if gate.is_open:
        return gate.sentence
    if crashed is not None and crashed.gate is not None:
        # a position may be open: whoever goes on with a run is not stopped by what became of another meanwhile
        return crashed.gate
    override = (approval.override or "").strip()
    if override:
        return f"passed by override ({override}), although {gate.sentence}"
    raise InputError(
        f"closed: {gate.sentence}",
        "the paper gate",
        'a paper run that passes, or --override-paper-gate "reason"',
    )


class _Held:
    """A lock, closed by letting it go."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def close(self) -> None:
        self._lock.drop()
