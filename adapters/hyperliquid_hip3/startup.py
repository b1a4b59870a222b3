"""What must hold before the first order: the key is the account's agent, leverage and margin mode are what was asked for."""

import asyncio
import os
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from typing import Protocol

from amm500_nautilus.margin.position import MarginMode
from hyperliquid_hip3.actions import update_leverage_action
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.keys import key_from_environment
from hyperliquid_hip3.keys import key_from_keystore
from hyperliquid_hip3.keys import passphrase_from_credential
from hyperliquid_hip3.keys import passphrase_from_descriptor
from hyperliquid_hip3.keys import passphrase_from_prompt
from hyperliquid_hip3.replies import Refused
from hyperliquid_hip3.sender import ActionResult
from hyperliquid_hip3.sender import ActionSender
from hyperliquid_hip3.user_records import ActiveAsset
from hyperliquid_hip3.user_records import Agent
from hyperliquid_hip3.user_records import Role


NS_PER_DAY: Final = 86_400 * 1_000_000_000
ALERT_DAYS: Final = (14, 3, 1)
AGENT: Final = "agent"
VAULT: Final = "vault"
SUB_ACCOUNT: Final = "subAccount"
READ_BACKS: Final = 10
READ_BACK_S: Final = 0.2


class FactsReader(Protocol):
    """The part of ``VenueClient`` that these checks read."""

    async def user_role(self, address: str) -> Role:
        """Return what an address is."""
        ...

    async def vault_leader(self, vault: str) -> str | None:
        """Return who leads a vault."""
        ...

    async def extra_agents(self, user: str) -> tuple[Agent, ...]:
        """Return the agents of a user."""
        ...

    async def active_asset(self, user: str, coin: str) -> ActiveAsset:
        """Return the leverage on a coin."""
        ...


@dataclass(frozen=True, slots=True)
class AgentCheck:
    """
    What the venue says of our key.

    ``is_unnamed`` is an agent that ``extraAgents`` does not list: its end is in the account's ``webData3`` stream.
    """

    address: str
    valid_until_ns: int | None
    is_unnamed: bool = False

    def days_left(self, now_ns: int) -> float | None:
        """Return the days until it ends, None when it does not."""
        return None if self.valid_until_ns is None else (self.valid_until_ns - now_ns) / NS_PER_DAY

    def alert(self, now_ns: int) -> str | None:
        """Return what to say of its end: 14, 3 and 1 days before, and after it."""
        left = self.days_left(now_ns)
        if left is None or left > ALERT_DAYS[0]:
            return None
        if left <= 0:
            return f"the agent {self.address} has ended: the venue takes no order of it"
        days = min(day for day in ALERT_DAYS if left <= day)
        return f"the agent {self.address} ends in less than {days} day{'s' if days > 1 else ''}"


def load_key(config: HyperliquidExecClientConfig) -> SecretKey:
    """
    Return the key from where the configuration says; it may ask at the terminal and take a second, so call it off the loop.

    Raises
    ------
    SigningError
        If there is no usable key there.

    """
    if config.key_source == "environment":
        return key_from_environment(config.key_variable, os.environ)
    if config.keystore_path is None:
        raise SigningError("`keystore_path` is missing")
    return key_from_keystore(Path(config.keystore_path), _passphrase_reader(config))


async def check_agent(
    reader: FactsReader, address: str, user: str, *, now_ns: int, require_agent: bool
) -> AgentCheck:
    """
    Return what the venue says of our key.

    Parameters
    ----------
    reader : FactsReader
        The venue.
    address : str
        The key's address.
    user : str
        The account that it must be an agent of.
    now_ns : int
        The time, ns UTC.
    require_agent : bool
        Whether the account's own key is refused: it could withdraw.

    Raises
    ------
    HyperliquidError
        If it is no agent of the account, or its time is over.

    """
    user = user.lower()
    if address == user and not require_agent:
        return AgentCheck(address, None)
    role = await reader.user_role(address)
    if role.role != AGENT:
        raise HyperliquidError(
            f"the key's address {address} is {role.role!r} to the venue, must be an agent of {user}: approve it, or take another key"
        )
    if (role.master or "").lower() != user:
        raise HyperliquidError(f"the key {address} is an agent of {role.master}, must be one of {user}")
    agents = await reader.extra_agents(user)
    ends = [agent.valid_until_ns for agent in agents if agent.address.lower() == address]
    check = AgentCheck(address, ends[0] if ends else None, is_unnamed=not ends)
    require_valid(check, now_ns)
    return check


async def check_vault(reader: FactsReader, vault: str | None, user: str) -> None:
    """
    See that an account may trade for a vault or sub-account: that it leads the one, or is the other's master.

    https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint#subaccounts-and-vaults

    Parameters
    ----------
    reader : FactsReader
        The venue.
    vault : str, optional
        The vault's or sub-account's address; nothing is asked without one.
    user : str
        The account whose agent signs.

    Raises
    ------
    HyperliquidError
        If it may not.

    """
    if vault is None:
        return
    role = await reader.user_role(vault)
    if role.role == VAULT:
        owner, what = await reader.vault_leader(vault), "a vault that {} leads"
    elif role.role == SUB_ACCOUNT:
        owner, what = role.master, "a sub-account of {}"
    else:
        raise HyperliquidError(
            f"{vault} is {role.role!r} to the venue, must be a vault or sub-account of {user}"
        )
    if (owner or "").lower() != user.lower():
        raise HyperliquidError(f"{vault} is {what.format(owner)}, must be one of {user}")


def require_valid(check: AgentCheck, now_ns: int) -> None:
    """
    Refuse a key whose time is over.

    Raises
    ------
    HyperliquidError
        If it is.

    """
    left = check.days_left(now_ns)
    if left is not None and left <= 0:
        raise HyperliquidError(str(check.alert(now_ns)))


def wanted_cross(margin_mode: str, allowed: Iterable[MarginMode]) -> bool:
    """Return whether a coin is to be traded on cross margin: asked for, and allowed there."""
    return margin_mode == "cross" and MarginMode.CROSS in tuple(allowed)


async def set_leverage(
    reader: FactsReader,
    sender: ActionSender,
    account: str,
    coin: str,
    *,
    asset: int,
    leverage: int,
    is_cross: bool,
) -> ActiveAsset:
    """
    Set leverage and margin mode of a coin where they differ, and return what the venue then says.

    Raises
    ------
    HyperliquidError
        If the venue refuses it, or says something else afterwards.

    """
    asset_now = await reader.active_asset(account, coin)
    if (asset_now.leverage, asset_now.is_cross) == (leverage, is_cross):
        return asset_now
    result: ActionResult = await sender.send(update_leverage_action(asset, leverage, is_cross=is_cross))
    if result.not_done is not None:
        raise HyperliquidError(f"the leverage of {coin} was not set: {result.not_done}")
    if isinstance(result.reply, Refused):
        raise HyperliquidError(
            f"the venue refused leverage {leverage} {'cross' if is_cross else 'isolated'} for {coin}: {result.reply.text}"
        )
    # answered or not: what counts is what the venue says afterwards
    for _ in range(READ_BACKS):
        asset_now = await reader.active_asset(account, coin)
        if (asset_now.leverage, asset_now.is_cross) == (leverage, is_cross):
            return asset_now
        await asyncio.sleep(READ_BACK_S)
    mode = "cross" if asset_now.is_cross else "isolated"
    raise HyperliquidError(
        f"the leverage of {coin} is {asset_now.leverage} {mode} at the venue, must be {leverage} {'cross' if is_cross else 'isolated'}"
    )


def _passphrase_reader(config: HyperliquidExecClientConfig) -> Callable[[], bytes]:
    descriptor, credential = config.unlock_descriptor, config.unlock_credential
    readers: dict[str, Callable[[], bytes]] = {"prompt": passphrase_from_prompt}
    if descriptor is not None:
        readers["descriptor"] = partial(passphrase_from_descriptor, descriptor)
    if credential is not None:
        readers["credential"] = partial(passphrase_from_credential, credential, os.environ)
    return readers[config.unlock_by]
