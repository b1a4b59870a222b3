"""
The secret key: read once, kept in one object, shown by nothing.

It comes from an environment variable, which is scrubbed, or from an Ethereum keystore file (version 3,
https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage). No error raised here holds the key or the
passphrase in its text, its causes, or the variables of its traceback. Python cannot wipe memory: keep core dumps off. ``coincurve`` and
``pycryptodome`` are imported when first used, not with this module.
"""

import ctypes
import getpass
import hashlib
import hmac
import json
import os
import resource
import stat
import sys
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from typing import Final
from typing import Never
from typing import final

from hyperliquid_hip3.errors import SigningError


SECRET_BYTES: Final = 32
ADDRESS_BYTES: Final = 20
V_BASE: Final = 27
HIDDEN: Final = "SecretKey(hidden)"

KEYSTORE_VERSION: Final = 3
CIPHER: Final = "aes-128-ctr"
IV_BYTES: Final = 16
MAC_BYTES: Final = 32
DERIVED_BYTES: Final = 32
MAX_FILE_BYTES: Final = 64 * 1024
MAX_PASSPHRASE_BYTES: Final = 4096
# a keystore must not be able to take all memory or an hour: the usual file asks for 256 MiB or 262,144 rounds
MAX_SCRYPT_BYTES: Final = 1024**3
MAX_SCRYPT_PARALLEL: Final = 64
MAX_ROUNDS: Final = 20_000_000
MODES_ALLOWED: Final = (0o600, 0o400)


@final
class SecretKey:
    """
    A secp256k1 key that signs and never shows itself: its repr, text and format are constant; it is not copied or pickled.

    Parameters
    ----------
    secret : bytes
        32 bytes, a number from 1 to the order of the curve - 1.

    Raises
    ------
    SigningError
        If it is no such number; the number is not repeated.

    """

    __slots__ = ("_curve", "address")

    def __init__(self, secret: bytes) -> None:
        curve = None
        try:
            from coincurve import PrivateKey  # noqa: PLC0415 - not with the module

            if len(secret) == SECRET_BYTES:
                curve = PrivateKey(secret)
        except ValueError:
            # told below, outside of this block: the error of the library would stay attached as context
            curve = None
        finally:
            del secret
        if curve is None:
            raise SigningError(
                "the secret key is not a number of 32 bytes from 1 to the order of the curve - 1"
            )
        self._curve = curve
        self.address: str = address_of(curve.public_key.format(compressed=False))

    def sign(self, digest: bytes) -> tuple[int, int, int]:
        """
        Return (r, s, v) of the signature over a 32-byte digest, with v 27 or 28; the same digest gives the same signature.

        Raises
        ------
        SigningError
            If the digest is not 32 bytes.

        """
        if len(digest) != SECRET_BYTES:
            raise SigningError(f"the digest was {len(digest)} bytes, must be {SECRET_BYTES}")
        raw = self._curve.sign_recoverable(digest, hasher=None)
        return int.from_bytes(raw[:32]), int.from_bytes(raw[32:64]), V_BASE + raw[64]

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, format_spec: str) -> str:
        return HIDDEN

    def __getstate__(self) -> Never:
        raise SigningError("a secret key is not copied or pickled")

    def __reduce_ex__(self, protocol: Any) -> Never:
        raise SigningError("a secret key is not copied or pickled")


@dataclass(frozen=True, slots=True)
class _Keystore:
    """The encrypted file, checked: it holds no secret."""

    kdf: str
    kdf_numbers: tuple[int, ...]
    salt: bytes
    initial_value: bytes
    ciphertext: bytes
    mac: bytes
    address: str | None


def keccak256(data: bytes) -> bytes:
    """Return the Keccak-256 hash of Ethereum, which is not SHA3-256 (its padding differs)."""
    digest: bytes = _keccak()(data=data, digest_bits=256).digest()
    return digest


def address_of(point: bytes) -> str:
    """Return the address, in lower case, of an uncompressed public key (65 bytes, the first is 4)."""
    return f"0x{keccak256(point[1:])[-ADDRESS_BYTES:].hex()}"


def key_from_environment(name: str, environ: MutableMapping[str, str]) -> SecretKey:
    """
    Take the key (64 hex digits, with or without ``0x``) out of an environment variable.

    The variable is removed whatever it held, so children do not inherit it; with ``os.environ`` on Linux the process's own copy, which
    ``/proc/PID/environ`` shows, is overwritten too.

    Raises
    ------
    SigningError
        If the variable is not set or holds no key; what it held is not repeated.

    """
    if name not in environ:
        raise SigningError(f"the environment variable {name} is not set")
    if environ is os.environ:
        _overwrite(name)
    key = _key_or_none(_secret_of(environ.pop(name)))
    if key is None:
        raise SigningError(
            f"the environment variable {name} does not hold a secret key of 64 hex digits; it was removed"
        )
    return key


def key_from_keystore(path: Path, read_passphrase: Callable[[], bytes]) -> SecretKey:
    """
    Decrypt the key of a keystore file.

    Parameters
    ----------
    path : Path
        A regular file of this user's with mode 0600 or 0400.
    read_passphrase : Callable[[], bytes]
        Where the passphrase comes from; called once, after the file was found to be sound.

    Raises
    ------
    SigningError
        If the file is readable by others or is no keystore, or the passphrase does not open it.

    """
    store = _keystore(path)
    key = _key_or_none(_decrypted(store, read_passphrase()))
    if key is None:
        raise SigningError(f"the passphrase does not open {path}")
    if store.address not in (None, key.address):
        raise SigningError(f"{path} names the address {store.address}, its key has {key.address}")
    return key


def read_private_file(path: Path) -> bytes:
    """
    Return the content of a small file that only this user can read.

    Raises
    ------
    SigningError
        If it is not a regular file of this user's with mode 0600 or 0400, or cannot be read.

    """
    try:
        # no link is followed, and what is checked is what is read
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SigningError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode):
            raise SigningError(f"{path} is not a regular file")
        if status.st_uid != os.geteuid():
            raise SigningError(f"{path} belongs to another user")
        if mode not in MODES_ALLOWED:
            raise SigningError(f"the mode of {path} was {mode:04o}, must be 0600 (chmod 600)")
        if status.st_size > MAX_FILE_BYTES:
            raise SigningError(f"{path} has {status.st_size} bytes, must have at most {MAX_FILE_BYTES}")
        return os.read(descriptor, MAX_FILE_BYTES)
    finally:
        os.close(descriptor)


def passphrase_from_prompt(prompt: str = "Passphrase of the keystore: ") -> bytes:
    """
    Ask for the passphrase at the terminal, unseen.

    Raises
    ------
    SigningError
        If there is no terminal on which it would stay unseen.

    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            # an encoding error would carry the passphrase
            return getpass.getpass(prompt).encode(errors="surrogateescape")
        except (getpass.GetPassWarning, EOFError) as error:
            raise SigningError("there is no terminal to ask for the passphrase") from error


def passphrase_from_descriptor(descriptor: int) -> bytes:
    """
    Read the passphrase from an open file descriptor to its end, without the last line feed, and close it.

    Raises
    ------
    SigningError
        If it cannot be read or holds more than 4,096 bytes.

    """
    try:
        with os.fdopen(descriptor, "rb") as stream:
            return _one_line(stream.read(MAX_PASSPHRASE_BYTES + 1), f"descriptor {descriptor}")
    except OSError as error:
        raise SigningError(f"descriptor {descriptor} cannot be read: {error.strerror}") from error


def passphrase_from_credential(name: str, environ: Mapping[str, str]) -> bytes:
    """
    Read the passphrase from a systemd credential, https://systemd.io/CREDENTIALS, without the last line feed.

    Raises
    ------
    SigningError
        If the process was given no credentials, or none of this name.

    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise SigningError("the process has no credentials (CREDENTIALS_DIRECTORY is not set)")
    if Path(name).name != name:
        raise SigningError(f"`name` was {name!r}, must be the name of a credential, not a path")
    try:
        with (Path(folder) / name).open("rb") as stream:
            return _one_line(stream.read(MAX_PASSPHRASE_BYTES + 1), f"the credential {name}")
    except OSError as error:
        raise SigningError(f"the credential {name} cannot be read: {error.strerror}") from error


def forbid_core_dumps() -> None:
    """Keep the memory of this process, and of its children, out of core files; it cannot be undone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@cache
def _keccak() -> Callable[..., Any]:
    from Crypto.Hash import keccak  # noqa: PLC0415 - not with the module

    new: Callable[..., Any] = keccak.new
    return new


def _secret_of(text: str) -> bytes | None:
    digits = text.strip().removeprefix("0x").removeprefix("0X")
    try:
        return bytes.fromhex(digits) if len(digits) == 2 * SECRET_BYTES else None
    except ValueError:
        return None


def _key_or_none(secret: bytes | None) -> SecretKey | None:
    try:
        return None if secret is None else SecretKey(secret)
    except SigningError:
        return None
    finally:
        # whatever is raised on the way, a missing library too: its traceback must not hold the bytes
        del secret


def _one_line(content: bytes, source: str) -> bytes:
    if len(content) > MAX_PASSPHRASE_BYTES:
        del content
        raise SigningError(f"the passphrase of {source} has more than {MAX_PASSPHRASE_BYTES} bytes")
    return content.removesuffix(b"\n").removesuffix(b"\r")


def _overwrite(name: str) -> None:
    """Write zeros over the value in the memory from which the kernel shows a process's first environment."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    libc.strlen.argtypes = (ctypes.c_void_p,)
    libc.strlen.restype = ctypes.c_size_t
    address = libc.getenv(os.fsencode(name))
    if address is not None:
        ctypes.memset(address, 0, libc.strlen(address))


def _keystore(path: Path) -> _Keystore:
    parsed = _json_or_none(read_private_file(path))
    store = None if parsed is None else _keystore_or_none(parsed)
    if store is None:
        # someone may have given a file with a bare key: nothing of it is repeated, here or in a variable
        del parsed
        raise SigningError(
            f"{path} is no keystore of version {KEYSTORE_VERSION} with {CIPHER} and scrypt or pbkdf2"
        )
    return store


def _json_or_none(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _keystore_or_none(parsed: Any) -> _Keystore | None:
    try:
        crypto = parsed.get("crypto") or parsed["Crypto"]
        numbers = crypto["kdfparams"]
        store = _Keystore(
            kdf=crypto["kdf"],
            kdf_numbers=_kdf_numbers(crypto["kdf"], numbers),
            salt=bytes.fromhex(numbers["salt"]),
            # a number to some writers, who leave out its leading zeros: one file in 256
            initial_value=bytes.fromhex(crypto["cipherparams"]["iv"]).rjust(IV_BYTES, b"\0"),
            ciphertext=bytes.fromhex(crypto["ciphertext"]),
            mac=bytes.fromhex(crypto["mac"]),
            address=_address_of_file(parsed.get("address")),
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None
    sound = (
        parsed.get("version") == KEYSTORE_VERSION
        and crypto["cipher"] == CIPHER
        and numbers["dklen"] == DERIVED_BYTES
        and len(store.initial_value) == IV_BYTES
        and len(store.ciphertext) == SECRET_BYTES
        and len(store.mac) == MAC_BYTES
    )
    return store if sound else None


def _kdf_numbers(kdf: str, numbers: Mapping[str, Any]) -> tuple[int, ...]:
    if kdf == "scrypt":
        cost, block, parallel = (int(numbers[name]) for name in ("n", "r", "p"))
        if (
            cost > 1
            and cost & (cost - 1) == 0
            and 128 * cost * block <= MAX_SCRYPT_BYTES
            and block >= 1
            and 1 <= parallel <= MAX_SCRYPT_PARALLEL
        ):
            return cost, block, parallel
    elif kdf == "pbkdf2":
        rounds = int(numbers["c"])
        if numbers["prf"] == "hmac-sha256" and 1 <= rounds <= MAX_ROUNDS:
            return (rounds,)
    raise ValueError("the key derivation is unknown or its numbers are out of range")


def _address_of_file(address: Any) -> str | None:
    if not address:
        # some writers leave it out, for privacy
        return None
    digits = address.lower().removeprefix("0x")
    if len(bytes.fromhex(digits)) != ADDRESS_BYTES:
        raise ValueError("the address does not have 20 bytes")
    return f"0x{digits}"


def _decrypted(store: _Keystore, passphrase: bytes) -> bytes | None:
    """Return the plain key; None when the passphrase is wrong or the derivation fails."""
    derived = b""
    try:
        from Crypto.Cipher import AES  # noqa: PLC0415 - not with the module
        from Crypto.Protocol.KDF import scrypt  # noqa: PLC0415

        if store.kdf == "scrypt":
            cost, block, parallel = store.kdf_numbers
            # not hashlib's: OpenSSL refuses the cost and block of the definition's own example
            derive: Callable[..., Any] = scrypt  # bytes are taken, though its stub says text
            derived = derive(passphrase, store.salt, DERIVED_BYTES, cost, block, parallel)
        else:
            (rounds,) = store.kdf_numbers
            derived = hashlib.pbkdf2_hmac("sha256", passphrase, store.salt, rounds, DERIVED_BYTES)
        if not hmac.compare_digest(keccak256(derived[16:32] + store.ciphertext), store.mac):
            return None
        cipher = AES.new(derived[:16], AES.MODE_CTR, nonce=b"", initial_value=store.initial_value)
        return cipher.decrypt(store.ciphertext)
    except (MemoryError, OverflowError, ValueError):
        return None
    finally:
        # an interrupt during the long derivation must not leave them in its traceback
        del passphrase, derived
