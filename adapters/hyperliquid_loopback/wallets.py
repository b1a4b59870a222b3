"""The accounts a venue opens: with keys made from its seed, or read from a private file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from decimal import InvalidOperation
from pathlib import Path
from typing import Any
from typing import Final

from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.keys import read_private_file
from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.subscriptions import ADDRESS


KEY_HEX: Final = 64
MODES: Final = ("disabled", "unifiedAccount", "portfolioMargin")
FIELDS: Final = frozenset({"address", "key", "equity", "spot", "mode", "agents", "master", "leader"})


class AccountsFileError(ValueError):
    """The accounts cannot be read; what was in the file is not repeated."""


@dataclass(frozen=True, slots=True)
class Wallet:
    """
    An account whose key the venue made itself; worthless anywhere else, since anyone can make it from the seed.

    Parameters
    ----------
    address : str
        Lower case.
    secret : bytes
        Its 32-byte key.

    """

    address: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Wallet(address={self.address!r}, secret=hidden)"

    @property
    def key(self) -> str:
        """The key as ``0x`` and 64 hex digits."""
        return "0x" + self.secret.hex()


def generated_wallets(seed: int, count: int) -> tuple[Wallet, ...]:
    """Return wallets made from a seed, the same for the same seed."""
    return tuple(_wallet(f"hyperliquid_loopback {seed} {number}") for number in range(count))


def accounts_from_file(path: Path) -> tuple[AccountSpec, ...]:
    """
    Return the accounts of a JSON file that only this user can read.

    Raises
    ------
    SigningError
        If the file's mode is not 0600, or it cannot be read.
    AccountsFileError
        If its content is not a list of accounts.

    """
    return parse_accounts(read_private_file(path))


def parse_accounts(content: bytes) -> tuple[AccountSpec, ...]:
    """
    Return the accounts of a JSON list: ``[{"address" or "key", "equity", "spot", "mode", "agents": [...], "master", "leader"}]``.

    Of a key only the address is kept. An agent is ``{"address", "name", "validUntil"}``.

    Raises
    ------
    AccountsFileError
        If it is not such a list; the content is not repeated.

    """
    problem = ""
    rows: Any = None
    try:
        rows = json.loads(content, parse_float=Decimal)
    except ValueError:
        problem = "the accounts are not JSON"
    if not problem and not isinstance(rows, list):
        problem = "the accounts must be a list"
    if problem:
        # raised here, not above: the decoder's error holds the document
        raise AccountsFileError(problem)
    return tuple(_account(row, place) for place, row in enumerate(rows))


def _account(row: Any, place: int) -> AccountSpec:
    where = f"account {place}"
    if not isinstance(row, dict) or not FIELDS.issuperset(row):
        raise AccountsFileError(f"{where} must be an object with {', '.join(sorted(FIELDS))}")
    mode = row.get("mode")
    if mode is not None and mode not in MODES:
        raise AccountsFileError(f"{where}: `mode` must be one of {', '.join(MODES)}")
    if row.get("master") is not None and row.get("leader") is not None:
        raise AccountsFileError(f"{where}: `master` or `leader`, not both")
    agents = row.get("agents", [])
    if not isinstance(agents, list):
        raise AccountsFileError(f"{where}: `agents` must be a list")
    return AccountSpec(
        address=_address_of(row, where),
        equity=_amount(row.get("equity", 1_000), f"{where}: `equity`"),
        spot=_amount(row.get("spot", 0), f"{where}: `spot`"),
        mode=mode,
        agents=tuple(_agent(agent, where) for agent in agents),
        master=_other(row, "master", where),
        leader=_other(row, "leader", where),
    )


def _agent(row: Any, where: str) -> AgentSpec:
    if not isinstance(row, dict):
        raise AccountsFileError(f"{where}: an agent must be an object")
    until, name = row.get("validUntil"), row.get("name", "")
    if not (until is None or type(until) is int) or not isinstance(name, str):
        raise AccountsFileError(f"{where}: an agent's name is text, its `validUntil` ms or null")
    return AgentSpec(address=_address_of(row, f"{where}, agent"), name=name, valid_until_ms=until)


def _address_of(row: Mapping[str, Any], where: str) -> str:
    address, key = row.get("address"), row.get("key")
    if key is not None:
        found = _address_of_key(key)
        if found is None:
            raise AccountsFileError(f"{where}: `key` is not 0x and 64 hex digits of a key")
        if address is not None and (not isinstance(address, str) or address.lower() != found):
            raise AccountsFileError(f"{where}: `address` is not the key's")
        return found
    if not isinstance(address, str) or ADDRESS.fullmatch(address) is None:
        raise AccountsFileError(f"{where}: `address` must be 0x and 40 hex digits")
    return address.lower()


def _other(row: Mapping[str, Any], name: str, where: str) -> str | None:
    address = row.get(name)
    if address is None:
        return None
    if not isinstance(address, str) or ADDRESS.fullmatch(address) is None:
        raise AccountsFileError(f"{where}: `{name}` must be 0x and 40 hex digits")
    return address.lower()


def _address_of_key(key: Any) -> str | None:
    digits = key.removeprefix("0x") if isinstance(key, str) else ""
    if len(digits) != KEY_HEX:
        return None
    try:
        return SecretKey(bytes.fromhex(digits)).address.lower()
    except (ValueError, SigningError):
        return None


def _amount(value: Any, name: str) -> Decimal:
    try:
        amount = Decimal(value if isinstance(value, str | int | Decimal) else "nan")
    except InvalidOperation:
        amount = Decimal("nan")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise AccountsFileError(f"{name} must be a number of at least 0")
    return amount


def _wallet(text: str) -> Wallet:
    secret = hashlib.sha256(text.encode()).digest()
    return Wallet(SecretKey(secret).address.lower(), secret)
