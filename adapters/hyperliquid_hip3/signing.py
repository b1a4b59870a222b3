"""
Signatures over the venue's actions, equal to the official client's.

Trading actions are hashed (MessagePack, nonce, vault, expiry) and signed as an ``Agent``; transfers and approvals are signed field by
field. See https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/signing. ``coincurve`` and ``pycryptodome`` are imported
when the first hash is made, not with this module.
"""

import re
from functools import cache
from functools import lru_cache
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from hyperliquid_hip3.actions import MAX_UINT64
from hyperliquid_hip3.actions import Action
from hyperliquid_hip3.actions import lower_address
from hyperliquid_hip3.constants import MAINNET_URL
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.keys import address_of
from hyperliquid_hip3.keys import keccak256


L1_CHAIN_ID: Final = 1337
# the chain a wallet would show to its user; any is accepted, the official client sends this one
SIGNATURE_CHAIN_ID: Final = "0x66eee"
CHAIN_ID: Final = re.compile(r"0x[0-9a-fA-F]{1,16}", re.ASCII)
MAINNET_HOST: Final = urlsplit(MAINNET_URL).hostname
# as a number, so that a Decimal shows up as a float below instead of passing as a text with its zeros
ENCODER: Final = msgspec.msgpack.Encoder(decimal_format="number")
# first bytes of floats, bytes and extensions (times) in MessagePack, https://github.com/msgpack/msgpack/blob/master/spec.md
INEXACT_MARKERS: Final = re.compile(rb"[\xc4-\xcb\xd4-\xd8]")
LEAVES: Final = frozenset((str, int, bool, type(None)))
V_BASE: Final = 27

type Fields = tuple[tuple[str, str], ...]

CHAIN: Final = ("hyperliquidChain", "string")
NONCE: Final = ("nonce", "uint64")
USER_SIGNED: Final[dict[str, tuple[str, Fields]]] = {
    "usdClassTransfer": (
        "HyperliquidTransaction:UsdClassTransfer",
        (CHAIN, ("amount", "string"), ("toPerp", "bool"), NONCE),
    ),
    "sendAsset": (
        "HyperliquidTransaction:SendAsset",
        (
            CHAIN,
            ("destination", "string"),
            ("sourceDex", "string"),
            ("destinationDex", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("fromSubAccount", "string"),
            NONCE,
        ),
    ),
    "userSetAbstraction": (
        "HyperliquidTransaction:UserSetAbstraction",
        (CHAIN, ("user", "address"), ("abstraction", "string"), NONCE),
    ),
    "approveAgent": (
        "HyperliquidTransaction:ApproveAgent",
        (CHAIN, ("agentAddress", "address"), ("agentName", "string"), NONCE),
    ),
}


class Signature(NamedTuple):
    """An ECDSA signature; ``v`` is 27 or 28."""

    r: int
    s: int
    v: int

    def to_wire(self) -> dict[str, str | int]:
        """Return it as the envelope carries it: hex without leading zeros, as the official client sends it."""
        return {"r": f"{self.r:#x}", "s": f"{self.s:#x}", "v": self.v}


class Signer:
    """
    Signs for one key on one host.

    Parameters
    ----------
    key : SecretKey
        The agent's key (or the account's own, for transfers and approvals).
    url : str
        Where the actions will go: only the mainnet's own host gets mainnet signatures, so an action signed for any other
        host can never be replayed there.
    vault_address : str, optional
        The vault or sub-account traded for.

    Raises
    ------
    SigningError
        If the vault's address is malformed.

    """

    __slots__ = ("_key", "is_mainnet", "vault_address")

    def __init__(self, key: SecretKey, url: str, vault_address: str | None = None) -> None:
        self._key = key
        self.is_mainnet = is_mainnet_host(url)
        self.vault_address = None if vault_address is None else lower_address(vault_address)

    def __repr__(self) -> str:
        return f"Signer({self.address}, {'mainnet' if self.is_mainnet else 'not mainnet'})"

    @property
    def address(self) -> str:
        """The address of the key, in lower case."""
        return self._key.address

    def request(
        self, action: Action, *, nonce: int, expires_after_ms: int | None = None, packed: bytes | None = None
    ) -> dict[str, Any]:
        """
        Return the body of an ``/exchange`` request for a trading action.

        Parameters
        ----------
        action : dict
            One of :mod:`hyperliquid_hip3.actions`, not to be changed afterwards.
        nonce : int
            Never used before with this key, ms UTC.
        expires_after_ms : int, optional
            From this venue time on, in ms UTC, the action is refused.
        packed : bytes, optional
            What :func:`pack` returns for this action, where it was made ahead of time.

        Raises
        ------
        SigningError
            If the action must be signed field by field, or holds a value that has no exact form.

        """
        if action.get("type") in USER_SIGNED:
            raise SigningError(f"`{action['type']}` must go through `user_request`")
        connection_id = action_hash(action, nonce, self.vault_address, expires_after_ms, packed=packed)
        digest = agent_digest(connection_id, is_mainnet=self.is_mainnet)
        return {
            "action": action,
            "nonce": nonce,
            "signature": self._sign(digest).to_wire(),
            "vaultAddress": self.vault_address,
            "expiresAfter": expires_after_ms,
        }

    def user_request(self, action: Action) -> dict[str, Any]:
        """
        Return the body of an ``/exchange`` request for a transfer or an approval, whose nonce is in the action.

        The venue takes neither a vault nor an expiry with these.

        Raises
        ------
        SigningError
            If the action is none of these or a field is missing or malformed.

        """
        signed = {
            **action,
            "signatureChainId": SIGNATURE_CHAIN_ID,
            "hyperliquidChain": "Mainnet" if self.is_mainnet else "Testnet",
        }
        signature = self._sign(user_digest(signed))
        if signed.get("agentName") == "":
            # signed as an empty text, sent as no name
            del signed["agentName"]
        return {
            "action": signed,
            "nonce": signed["nonce"],
            "signature": signature.to_wire(),
            "vaultAddress": None,
            "expiresAfter": None,
        }

    def _sign(self, digest: bytes) -> Signature:
        return Signature(*self._key.sign(digest))


def is_mainnet_host(url: str) -> bool:
    """Return whether the URL is the mainnet's own host, encrypted, on its usual port; anything doubtful is not."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in ("https", "wss") and host == MAINNET_HOST and port in (None, 443)


def action_hash(
    action: Action,
    nonce: int,
    vault_address: str | None = None,
    expires_after_ms: int | None = None,
    *,
    packed: bytes | None = None,
) -> bytes:
    """
    Return the ``connectionId`` of an action: the hash of all that the venue must not be able to change.

    ``packed`` is what :func:`pack` returns for it, where that was made ahead of time.

    Raises
    ------
    SigningError
        If the action holds a float, a Decimal or anything else without one exact form, or a number does not fit.

    """
    parts = [pack(action) if packed is None else packed, _uint64("nonce", nonce)]
    parts.append(
        b"\x00" if vault_address is None else b"\x01" + bytes.fromhex(lower_address(vault_address)[2:])
    )
    if expires_after_ms is not None:
        parts.append(b"\x00" + _uint64("expires_after_ms", expires_after_ms))
    return keccak256(b"".join(parts))


def pack(action: Action) -> bytes:
    """
    Return the MessagePack bytes of an action, or of an item of one, as they are hashed.

    Raises
    ------
    SigningError
        If it holds a float, a Decimal or anything else without one exact form.

    """
    reason = ""
    try:
        packed = ENCODER.encode(action)
    except (OverflowError, TypeError, ValueError) as error:
        reason = str(error)
    if reason:
        raise SigningError(f"the action cannot be packed: {reason}")
    # such a byte may as well be part of a number or a text, so only then is the action walked: that takes longer than its hash
    if INEXACT_MARKERS.search(packed) is not None:
        _require_exact(action)
    return packed


def agent_digest(connection_id: bytes, *, is_mainnet: bool) -> bytes:
    """Return what is signed for a trading action, from its hash: source ``a`` on the mainnet, ``b`` anywhere else."""
    kind, source_hash = _agent_parts("a" if is_mainnet else "b")
    return _typed_digest(
        _domain_separator("Exchange", L1_CHAIN_ID), keccak256(kind + source_hash + connection_id)
    )


def user_digest(action: Action) -> bytes:
    """
    Return what is signed for a transfer or an approval, with its chain fields in place.

    Raises
    ------
    SigningError
        If the type is unknown, or a field is missing or not of its kind.

    """
    entry = USER_SIGNED.get(str(action.get("type")))
    if entry is None:
        raise SigningError(
            f"`type` was {action.get('type')!r}, must be one of {', '.join(sorted(USER_SIGNED))}"
        )
    primary, fields = entry
    kind = f"{primary}({','.join(f'{form} {name}' for name, form in fields)})"
    words = [keccak256(kind.encode())]
    for name, form in fields:
        words.append(_word(name, form, action.get(name)))
    chain_id = _chain_id(action.get("signatureChainId"))
    return _typed_digest(
        _domain_separator("HyperliquidSignTransaction", chain_id), keccak256(b"".join(words))
    )


def recover_address(digest: bytes, signature: Signature) -> str:
    """
    Return the address, in lower case, whose key made the signature; a wrong signature gives a stranger's address.

    Raises
    ------
    SigningError
        If no address can be recovered at all.

    """
    from coincurve import PublicKey  # noqa: PLC0415 - not with the module

    if signature.v not in (V_BASE, V_BASE + 1):
        raise SigningError(f"`v` was {signature.v}, must be {V_BASE} or {V_BASE + 1}")
    try:
        raw = signature.r.to_bytes(32) + signature.s.to_bytes(32) + bytes([signature.v - V_BASE])
        point = PublicKey.from_signature_and_message(raw, digest, hasher=None)
    except (OverflowError, ValueError) as error:
        raise SigningError("no signer can be recovered from the signature") from error
    return address_of(point.format(compressed=False))


def _require_exact(value: Any) -> None:
    for part in value.values() if type(value) is dict else value:
        kind = type(part)
        if kind in LEAVES:
            continue
        if kind is not dict and kind is not list and kind is not tuple:
            raise SigningError(f"an action holds a {kind.__name__}, which has no one form on the wire")
        _require_exact(part)


def _uint64(name: str, value: int) -> bytes:
    if type(value) is not int or not 0 <= value <= MAX_UINT64:
        raise SigningError(f"`{name}` was {value!r}, must be a whole number from 0 to 2**64 - 1")
    return value.to_bytes(8)


def _word(name: str, form: str, value: Any) -> bytes:
    if form == "string" and isinstance(value, str) and _is_text(value):
        return keccak256(value.encode())
    if form == "bool" and isinstance(value, bool):
        return int(value).to_bytes(32)
    if form == "address" and isinstance(value, str):
        return bytes.fromhex(lower_address(value)[2:]).rjust(32, b"\x00")
    if form == "uint64" and value is not None:
        return _uint64(name, value).rjust(32, b"\x00")
    raise SigningError(f"`{name}` was {type(value).__name__}, must be a {form}")


def _is_text(value: str) -> bool:
    # half a surrogate pair is a str to Python and no text to anyone else
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _chain_id(text: Any) -> int:
    if not isinstance(text, str) or CHAIN_ID.fullmatch(text) is None:
        raise SigningError("`signatureChainId` must be 0x and 1 to 16 hex digits, for example 0x66eee")
    return int(text, 16)


@cache
def _agent_parts(source: str) -> tuple[bytes, bytes]:
    return keccak256(b"Agent(string source,bytes32 connectionId)"), keccak256(source.encode())


@lru_cache(maxsize=16)
def _domain_separator(name: str, chain_id: int) -> bytes:
    kind = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    return keccak256(
        keccak256(kind)
        + keccak256(name.encode())
        + keccak256(b"1")
        + chain_id.to_bytes(32)
        # the verifying contract is the zero address
        + bytes(32)
    )


def _typed_digest(domain: bytes, struct: bytes) -> bytes:
    return keccak256(b"\x19\x01" + domain + struct)
