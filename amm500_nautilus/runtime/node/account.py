"""What must be known of an account before a program trades it: whose key it is, what it holds, what it may send, what it pays."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.runtime.node.status import read_venue
from hyperliquid_hip3.account_parsing import parse_unnamed_agent
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.config import socket_url
from hyperliquid_hip3.deadman import MIN_VOLUME
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.frames import parse_frame
from hyperliquid_hip3.sockets import VenueSocket
from hyperliquid_hip3.startup import AgentCheck
from hyperliquid_hip3.startup import check_agent
from hyperliquid_hip3.startup import check_vault
from hyperliquid_hip3.user_records import UnnamedAgent


TIMEOUT_S = 3.0
DEADLINE_S = 6.0
# everything together: a venue that is slower than this is no venue to begin on
LOOK_S = 30.0
AGENT_S = 8.0
DAY_NS = 86_400 * 10**9
# live refuses an agent that ends within the run and so many days after it
SPARE_DAYS = 2.0
KINDS = {"vault": " (a vault)", "subAccount": " (a sub-account)"}
MODES = {"disabled": "standard", "default": "standard", "dexAbstraction": "dex abstraction"}


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """
    What the venue says of the account before anything is sent.

    ``market`` and ``account`` are as ``amm500 status`` shows them; ``volume`` is what the address has traded, collateral units.
    """

    market: Mapping[str, Any]
    account: Mapping[str, Any]
    problems: tuple[str, ...]
    agent: AgentCheck
    volume: Decimal

    @property
    def equity(self) -> Decimal:
        """The account's equity on the dex, collateral units."""
        return Decimal(self.account["equity"])

    @property
    def has_switch(self) -> bool:
        """Whether the venue offers its dead-man's switch to this account."""
        return self.volume >= MIN_VOLUME

    @property
    def agent_words(self) -> str:
        """The key's address, and until when it may sign."""
        until = self.agent.valid_until_ns
        when = "an unknown time" if until is None else f"{datetime.fromtimestamp(until / 1e9, UTC):%Y-%m-%d}"
        name = next(
            (
                row["name"]
                for row in self.account["agents"]
                if row["address"].lower() == self.agent.address.lower()
            ),
            "",
        )
        return f"{self.agent.address}{f' ({name})' if name else ''}, valid until {when}"

    def lines(self, *, mode: str, url: str, capital: Decimal, on_end: str) -> tuple[str, ...]:
        """Return everything that is to be seen before the first order, a line each."""
        account, market = self.account, self.market
        unit, actions, fees = market["collateral"], account["actions"], account["fees"]
        position = next((row["size"] for row in account["positions"] if row["coin"] == market["coin"]), "0")
        switch = (
            "the dead-man's switch is armed"
            if self.has_switch
            else (f"no dead-man's switch below {MIN_VOLUME:,} traded")
        )
        return (
            f"{mode}: {market['coin']} at {url}, collateral {unit}, bid {market['bid']}, ask {market['ask']}",
            (
                f"account {account['address']}{KINDS.get(account['role'], '')}, {MODES.get(account['mode'], account['mode'])} mode, equity {account['equity']} {unit}, "
                f"withdrawable {account['withdrawable']}, margin ratio {account['margin_ratio']:.1%}"
            ),
            f"position {position}, {account['open_orders']} orders resting on the dex",
            f"agent {self.agent_words}",
            (
                f"leverage {account['leverage']} {account['margin_mode']} now, at most {market['max_leverage']}; "
                f"fees maker {float(fees['maker']):.4%}, taker {float(fees['taker']):.4%}"
            ),
            f"limits: {actions['left']:,} actions left, {self.volume:,.0f} traded: {switch}",
            f"capital: {capital:,.2f} of {self.equity:,.2f} {unit} used; at the end the position is {_at_end(on_end)}",
        )


def _at_end(on_end: str) -> str:
    return "closed" if on_end == "flatten" else "HELD, and nobody watches it then"


def look_at_account(url: str, *, coin: str, user: str, vault: str | None, agent: str) -> AccountFacts:
    """
    Ask the venue for everything that must hold or be shown before the first order.

    Parameters
    ----------
    url : str
        The venue's address.
    coin : str
        The market.
    user : str
        The account's address.
    vault : str, optional
        The vault or sub-account traded for.
    agent : str
        The address of the key.

    Raises
    ------
    InputError
        If the key is not an agent of the account, or the account holds nothing.
    SourceUnavailableError
        If the venue does not answer.

    """
    try:
        return asyncio.run(_look(url, coin, user, vault, agent))
    except TimeoutError as error:
        raise SourceUnavailableError(f"{url} did not answer everything within {LOOK_S:.0f} s") from error
    except (TransportError, PayloadError) as error:
        raise SourceUnavailableError(f"{url}: {error}") from error
    except HyperliquidError as error:
        raise InputError(str(error), "live.user", "an account of which the key is an agent") from error


async def _look(url: str, coin: str, user: str, vault: str | None, agent: str) -> AccountFacts:
    client = VenueClient(url, timeout_s=TIMEOUT_S, retries=1, deadline_s=DEADLINE_S)
    async with asyncio.timeout(LOOK_S):
        check = await check_agent(client, agent, user, now_ns=time.time_ns(), require_agent=True)
        await _check_vault(client, vault, user)
        if check.is_unnamed:
            check = replace(check, valid_until_ns=await _unnamed_end(url, user.lower(), agent))
        account = (vault or user).lower()
        status = await read_venue(client, url, coin, account, owner=user)
        volume = (await client.rate_limit(account)).volume
    if status.account is None:
        raise InputError("is not known to the venue", "live.user")
    facts = AccountFacts(status.market, status.account, tuple(status.problems), check, volume)
    if facts.equity <= 0:
        raise InputError(
            f"{account} holds no {status.market['collateral']} on {status.market['dex'] or 'the main dex'}",
            "live.user",
            "an account with collateral there",
        )
    return facts


async def _check_vault(client: VenueClient, vault: str | None, user: str) -> None:
    try:
        await check_vault(client, vault, user)
    except (TransportError, PayloadError):
        raise
    except HyperliquidError as error:
        raise InputError(
            str(error), "live.vault", "a vault that live.user leads, or a sub-account of it"
        ) from error


async def _unnamed_end(url: str, account: str, agent: str) -> int | None:
    """Return when the account's agent without a name ends, which only a stream says; None where it does not say in time."""
    found: asyncio.Future[UnnamedAgent] = asyncio.get_running_loop().create_future()

    def on_frame(raw: bytes, _received_ns: int) -> None:
        frame = parse_frame(raw)
        if frame.channel == "webData3" and not found.done():
            found.set_result(parse_unnamed_agent(frame.data))

    socket = VenueSocket(
        socket_url(url),
        loop=asyncio.get_running_loop(),
        on_frame=on_frame,
        on_up=lambda _is_reconnect: None,
        on_down=lambda _reason: None,
        name="agent",
    )
    socket.subscribe({"type": "webData3", "user": account})
    await socket.connect()
    try:
        async with asyncio.timeout(AGENT_S):
            said = await found
    except TimeoutError:
        return None
    finally:
        await socket.close()
    return said.valid_until_ns if (said.address or "").lower() == agent.lower() else None


def require_agent_time(check: AgentCheck, *, now_ns: int, run_s: float) -> None:
    """
    Refuse an agent that ends within the run and two days after it, or whose end the venue does not tell.

    Parameters
    ----------
    check : AgentCheck
        What the venue says of the key.
    now_ns : int
        The time, ns UTC.
    run_s : float
        How long the run is to be, seconds; 0 where it has no end.

    Raises
    ------
    InputError
        If it does.

    """
    until = check.valid_until_ns
    allowed = f"an agent that is valid {SPARE_DAYS:g} days longer than the run"
    if until is None:
        raise InputError(f"the end of the agent {check.address} is unknown", "live.signer", allowed)
    spare_days = (until - now_ns - run_s * 1e9) / DAY_NS
    if spare_days < SPARE_DAYS:
        raise InputError(
            f"the agent {check.address} ends {datetime.fromtimestamp(until / 1e9, UTC):%Y-%m-%d %H:%M} UTC, "
            f"{abs(spare_days):.1f} days {'after' if spare_days >= 0 else 'before'} the end of the run",
            "live.signer",
            allowed,
        )
