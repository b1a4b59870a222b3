"""
Who signed a request and for which account: signatures, agents with expiry, nonces.

See https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/nonces-and-api-wallets and .../api/signing. Words of the refusals
are the venue's (protocol: error strings).
"""

import heapq
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Final
from typing import NamedTuple

from hyperliquid_hip3.actions import MAX_UINT64
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.signing import USER_SIGNED
from hyperliquid_hip3.signing import Signature
from hyperliquid_hip3.signing import action_hash
from hyperliquid_hip3.signing import agent_digest
from hyperliquid_hip3.signing import recover_address
from hyperliquid_hip3.signing import user_digest
from hyperliquid_loopback.canonical import canonical_action
from hyperliquid_loopback.types import Json


DAY_MS: Final = 86_400_000
NONCES_KEPT: Final = 100
NONCE_PAST_MS: Final = 2 * DAY_MS
NONCE_AHEAD_MS: Final = DAY_MS
MAX_VALID_MS: Final = 180 * DAY_MS
MAX_NAMED: Final = 3
MORE_NAMED: Final = 2
MAX_NAME: Final = 16

EXPIRED: Final = "Action already expired"
UNRECOVERED: Final = "Unable to recover signer."
NONCE_MISMATCH: Final = "Nonce mismatch."
# for an address that is neither a vault nor a sub-account: https://github.com/hyperliquid-dex/hyperliquid-python-sdk/issues/172
NOT_A_VAULT: Final = "Vault not registered: "
# the words for another's vault were never seen; these the venue has for what a vault may not do
NOT_YOUR_VAULT: Final = "Vault may not perform this action."
USED_AGENT: Final = "Extra agent already used."
BAD_NAME: Final = "Extra agent name must be between 1 and 16 characters long"

ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
HEX_WORD: Final = re.compile(r"0x[0-9a-fA-F]{1,64}", re.ASCII)
VALID_UNTIL: Final = re.compile(r"(?:(?P<name>.*) )?valid_until (?P<ms>[0-9]{1,16})", re.ASCII | re.DOTALL)
ZERO_ADDRESS: Final = "0x" + "0" * 40


class Refused(Exception):  # noqa: N818 - the venue refused, nothing failed
    """
    A request that the venue answers with ``{"status": "err", "response": text}``.

    Parameters
    ----------
    text : str
        The venue's words.
    user : str, optional
        Whose request it was, where that is known: a late action costs its sender.

    """

    def __init__(self, text: str, user: str | None = None) -> None:
        self.text = text
        self.user = user
        super().__init__(text)


class Malformed(Exception):  # noqa: N818 - a statement about the request
    """A request without the shape of one: HTTP status 422 (protocol: exchange, HTTP layer)."""


class Signer(NamedTuple):
    """
    Who acts.

    Parameters
    ----------
    user : str
        The account acted for: a vault or sub-account, or the master.
    signer : str
        Whose key signed.
    agent : bool
        Whether that is an agent.

    """

    user: str
    signer: str
    agent: bool


@dataclass(frozen=True, slots=True)
class Agent:
    """
    A wallet that may trade for an account.

    Parameters
    ----------
    address, master : str
        In lower case.
    name : str
        Empty for the one without a name.
    valid_until_ms : int
        From then on it is nobody.

    """

    address: str
    master: str
    name: str
    valid_until_ms: int


class Nonces:
    """The hundred highest nonces of one signer."""

    def __init__(self) -> None:
        self._heap: list[int] = []
        self._set: set[int] = set()

    def take(self, nonce: int, now_ms: int) -> str | None:
        """Keep a nonce; return the venue's words when it is used, too old or too far ahead."""
        lowest = now_ms - NONCE_PAST_MS
        if nonce <= lowest:
            return f"Invalid nonce: nonce too low {nonce} < {lowest}"
        highest = now_ms + NONCE_AHEAD_MS
        if nonce >= highest:
            return f"Invalid nonce: nonce too high {nonce} > {highest}"
        if nonce in self._set:
            return f"Invalid nonce: duplicate nonce {nonce}"
        if len(self._heap) == NONCES_KEPT:
            if nonce < self._heap[0]:
                return f"Invalid nonce: nonce too low {nonce} < {self._heap[0]}"
            self._set.discard(heapq.heapreplace(self._heap, nonce))
        else:
            heapq.heappush(self._heap, nonce)
        self._set.add(nonce)
        return None


class Agents:
    """
    The agents of all accounts, and the check of every signed request.

    Parameters
    ----------
    has_account : Callable[[str], bool]
        Whether an address has an account.
    trader_of : Callable[[str], str | None]
        The master of a sub-account, the leader of a vault, None for any other address.
    sub_accounts_of : Callable[[str], int]
        How many sub-accounts a master has: each allows two more named agents.
    accept_mainnet_source : bool, default False
        Whether actions signed with source ``a`` are taken beside ``b``.

    """

    def __init__(
        self,
        has_account: Callable[[str], bool],
        trader_of: Callable[[str], str | None],
        sub_accounts_of: Callable[[str], int],
        *,
        accept_mainnet_source: bool = False,
    ) -> None:
        self.accept_mainnet_source = accept_mainnet_source
        self._has_account = has_account
        self._trader_of = trader_of
        self._sub_accounts_of = sub_accounts_of
        self._agents: dict[str, Agent] = {}
        self._nonces: dict[str, Nonces] = {}

    # requests

    def authenticate(self, request: Json, now_ms: int) -> Signer:
        """
        Return who acts, and use up the request's nonce.

        Parameters
        ----------
        request : dict
            ``action``, ``nonce``, ``signature``, ``vaultAddress`` and ``expiresAfter``; numbers of the action may be as
            clients send them: one that is not in the venue's form hashes to another action, whose signer is a stranger.
        now_ms : int
            The venue's time.

        Raises
        ------
        Malformed
            If the request has another shape.
        Refused
            In the venue's words: unknown signer, unusable nonce, expired.

        """
        action, nonce, signature = _parts(request)
        vault, expires = _vault(request), _expires(request)
        if action["type"] in USER_SIGNED:
            who = self._user_signer(action, nonce, signature)
        else:
            who = self._action_signer(action, nonce, signature, vault, expires, now_ms)
        problem = self._nonces.setdefault(who.signer, Nonces()).take(nonce, now_ms)
        if problem is not None:
            raise Refused(problem, who.user)
        if expires is not None and now_ms > expires:
            raise Refused(EXPIRED, who.user)
        return who

    def _user_signer(self, action: Json, nonce: int, signature: Signature) -> Signer:
        signed = {"agentName": "", **action} if action["type"] == "approveAgent" else action
        try:
            digest = user_digest(signed)
        except SigningError as error:
            raise Malformed(str(error)) from error
        allowed = ("Testnet", "Mainnet") if self.accept_mainnet_source else ("Testnet",)
        signer = _recovered(digest, signature)
        # a text for the other network is one the venue does not sign over: a stranger's signature
        if not self._has_account(signer) or action["hyperliquidChain"] not in allowed:
            raise Refused(f"Must deposit before performing actions. User: {signer}")
        if action["nonce"] != nonce:
            raise Refused(NONCE_MISMATCH, signer)
        return Signer(signer, signer, agent=False)

    def _action_signer(
        self,
        action: Json,
        nonce: int,
        signature: Signature,
        vault: str | None,
        expires: int | None,
        now_ms: int,
    ) -> Signer:
        try:
            connection = action_hash(canonical_action(action), nonce, vault, expires)
        except SigningError as error:
            raise Malformed(str(error)) from error
        sources = (False, True) if self.accept_mainnet_source else (False,)
        found = None
        signer = ""
        for is_mainnet in reversed(sources):
            signer = _recovered(agent_digest(connection, is_mainnet=is_mainnet), signature)
            found = self._of(signer, now_ms)
            if found is not None:
                break
        if found is None:
            raise Refused(f"User or API Wallet {signer} does not exist.")
        if vault is None:
            return found
        trader = self._trader_of(vault)
        if trader is None:
            raise Refused(f"{NOT_A_VAULT}{vault}", found.user)
        if trader != found.user:
            raise Refused(NOT_YOUR_VAULT, found.user)
        return Signer(vault, found.signer, found.agent)

    def _of(self, signer: str, now_ms: int) -> Signer | None:
        if self._has_account(signer):
            return Signer(signer, signer, agent=False)
        agent = self._live(signer, now_ms)
        return None if agent is None else Signer(agent.master, signer, agent=True)

    # agents

    def approve(self, master: str, address: str, name: str, now_ms: int) -> str | None:
        """
        Let a wallet trade for an account; return the venue's words when it may not.

        Parameters
        ----------
        master : str
            The account.
        address : str
            The wallet, never used as an agent before. The zero address removes the agent of the name.
        name : str
            Empty for the one agent without a name, which a new one replaces; else 1 to 16 characters and, if wanted,
            `` valid_until `` and a time in ms, 180 days ahead at most. A named agent replaces the one of its name.
        now_ms : int
            The venue's time.

        Raises
        ------
        TypeError
            If the address is malformed.

        """
        if ADDRESS.fullmatch(address) is None:
            raise TypeError("an agent's address is 0x and 40 hex digits")
        wallet, master = address.lower(), master.lower()
        until = now_ms + MAX_VALID_MS
        match = VALID_UNTIL.fullmatch(name)
        if match is not None:
            name = match["name"] or ""
            until = min(until, int(match["ms"]))
        if len(name) > MAX_NAME or (match is not None and not name):
            return BAD_NAME
        live = [agent for agent in self.agents_of(master, now_ms) if agent.name]
        if wallet == ZERO_ADDRESS:
            self._forget(master, name)
            return None
        if wallet in self._agents or self._has_account(wallet):
            return USED_AGENT
        if name and len(live) >= self._most(master) and all(agent.name != name for agent in live):
            return (
                f"Too many extra agents for cumulative volume traded. Current limit is {self._most(master)}"
            )
        self._forget(master, name)
        self._agents[wallet] = Agent(wallet, master, name, until)
        return None

    def expire(self, address: str, now_ms: int) -> None:
        """End an agent's validity now, as a test's knob; KeyError when there is no such agent."""
        agent = self._agents[address.lower()]
        self._agents[agent.address] = Agent(agent.address, agent.master, agent.name, now_ms)

    def extend(self, address: str, valid_until_ms: int) -> None:
        """Set an agent's end of validity, as a test's knob; KeyError when there is no such agent."""
        agent = self._agents[address.lower()]
        self._agents[agent.address] = Agent(agent.address, agent.master, agent.name, valid_until_ms)

    def agents_of(self, master: str, now_ms: int) -> list[Agent]:
        """Return the agents of an account that have not expired, the oldest first."""
        wanted = master.lower()
        return [a for a in self._agents.values() if a.master == wanted and now_ms < a.valid_until_ms]

    def master(self, address: str, now_ms: int) -> str | None:
        """Return the account that an agent trades for; None when it is no agent, or no longer."""
        agent = self._live(address.lower(), now_ms)
        return None if agent is None else agent.master

    def named(self, master: str, now_ms: int) -> list[Json]:
        """Return the reply to ``extraAgents``."""
        return [
            {"name": agent.name, "address": agent.address, "validUntil": agent.valid_until_ms}
            for agent in self.agents_of(master, now_ms)
            if agent.name
        ]

    def unnamed(self, master: str, now_ms: int) -> Agent | None:
        """Return the agent without a name (``agentAddress`` of ``webData3``)."""
        return next((agent for agent in self.agents_of(master, now_ms) if not agent.name), None)

    def _most(self, master: str) -> int:
        return MAX_NAMED + MORE_NAMED * self._sub_accounts_of(master)

    def _live(self, address: str, now_ms: int) -> Agent | None:
        agent = self._agents.get(address)
        return None if agent is None or now_ms >= agent.valid_until_ms else agent

    def _forget(self, master: str, name: str) -> None:
        for agent in list(self._agents.values()):
            if agent.master == master and agent.name == name:
                # kept, expired: the venue advises against using an address twice and refuses to
                self._agents[agent.address] = Agent(agent.address, master, name, 0)


def _parts(request: Json) -> tuple[Json, int, Signature]:
    action, nonce, signature = request.get("action"), request.get("nonce"), request.get("signature")
    if not isinstance(action, dict) or not isinstance(action.get("type"), str):
        raise Malformed("`action` is not an object with a type")
    if type(nonce) is not int or not 0 <= nonce <= MAX_UINT64:
        raise Malformed("`nonce` is not a whole number")
    if not isinstance(signature, dict):
        raise Malformed("`signature` is not an object")
    v = signature.get("v")
    if type(v) is not int:
        raise Malformed("`v` is not a whole number")
    return action, nonce, Signature(_word(signature.get("r")), _word(signature.get("s")), v)


def _word(text: Any) -> int:
    # clients may leave out leading zeros (protocol: headlines, SDK facts)
    if not isinstance(text, str) or HEX_WORD.fullmatch(text) is None:
        raise Malformed("a signature's word is not 0x and 1 to 64 hex digits")
    return int(text, 16)


def _vault(request: Json) -> str | None:
    vault = request.get("vaultAddress")
    if vault is None:
        return None
    if not isinstance(vault, str) or ADDRESS.fullmatch(vault) is None:
        raise Malformed("`vaultAddress` is not an address")
    return vault.lower()


def _expires(request: Json) -> int | None:
    expires = request.get("expiresAfter")
    if expires is not None and (type(expires) is not int or not 0 <= expires <= MAX_UINT64):
        raise Malformed("`expiresAfter` is not a time in milliseconds")
    return expires


def _recovered(digest: bytes, signature: Signature) -> str:
    try:
        return recover_address(digest, signature)
    except SigningError as error:
        raise Refused(UNRECOVERED) from error
