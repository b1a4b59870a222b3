"""A key whose every spelling is searched for in all that these modules can show."""

import base64
import copy
import json
import logging
import os
import pickle
import subprocess
import sys
import traceback
from decimal import Decimal

import eth_keyfile
import msgspec
import pytest

from hyperliquid_hip3 import actions
from hyperliquid_hip3 import keys
from hyperliquid_hip3 import nonces
from hyperliquid_hip3 import signing
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.keys import key_from_environment
from hyperliquid_hip3.keys import key_from_keystore
from hyperliquid_hip3.signing import Signer


# printable bytes and others, so that every spelling differs
SECRET = bytes.fromhex("c0ffee5ec2e7ab1e00ddba11decafbad7265616c6c79207365637265742121ff")
PASSPHRASE = b"correct horse canary staple"
NAME = "AMM500_CANARY_KEY"
URL = "http://127.0.0.1:3001"
SPELLINGS = (
    SECRET.hex(),
    f"0x{SECRET.hex()}",
    SECRET.hex().upper(),
    str(int.from_bytes(SECRET)),
    str(int.from_bytes(SECRET, "little")),
    repr(SECRET)[2:-1],
    repr(list(SECRET))[1:-1],
    base64.b64encode(SECRET).decode().rstrip("="),
    base64.urlsafe_b64encode(SECRET).decode().rstrip("="),
    PASSPHRASE.decode(),
    PASSPHRASE.hex(),
    # any eight bytes of it in a row
    *(SECRET[at : at + 8].hex() for at in range(25)),
)
OURS = {module.__file__ for module in (actions, keys, nonces, signing)}


def found_in(text):
    """The spellings that a text or its bytes hold."""
    if isinstance(text, bytes):
        raw = [name for name, part in (("key", SECRET), ("passphrase", PASSPHRASE)) if part in text]
        return raw + found_in(text.decode("latin-1"))
    folded = text.replace(" ", "").lower()
    return [spelling for spelling in SPELLINGS if spelling.replace(" ", "").lower() in folded]


def shown_by(error):
    """All that an error can show: itself, its causes, its attributes, and the variables of our frames in its tracebacks."""
    texts, queue, seen = [], [error], set()
    while queue:
        current = queue.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        queue += [current.__cause__, current.__context__]
        texts += [str(current), repr(current), repr(current.args), repr(vars(current))]
        texts += [repr(getattr(current, name, None)) for name in ("doc", "object", "msg", "__notes__")]
        for frame, _ in traceback.walk_tb(current.__traceback__):
            if frame.f_code.co_filename in OURS:
                texts += [repr(value) for value in frame.f_locals.values()]
    return "\n".join(texts)


@pytest.fixture
def key():
    return key_from_environment(NAME, {NAME: SECRET.hex()})


def test_the_search_finds_every_spelling():
    # the detector itself: each spelling, in company, is found
    for spelling in SPELLINGS:
        assert found_in(f"before {spelling} after"), spelling
    assert found_in(b"\x00" + SECRET)
    assert found_in(json.dumps({"key": list(SECRET)}))
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int(f"0x{SECRET.hex()}z", 16)
    assert found_in(shown_by(caught.value))
    assert not found_in("nothing of the kind")


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        lambda key: f"{key}",
        lambda key: f"{key!r:>40}",
        lambda key: f"{key:>40}",
        lambda key: "%s %r" % (key, key),  # noqa: UP031 - this spelling too
        lambda key: repr([key, {"key": key}]),
        lambda key: repr(Signer(key, URL)),
        lambda key: repr({name: getattr(key, name) for name in dir(key) if not name.startswith("__")}),
        lambda key: repr({name: getattr(Signer(key, URL), name) for name in Signer.__slots__}),
        lambda key: json.dumps({"key": key}, default=repr),
    ],
)
def test_no_text_of_the_key_shows_it(key, show):
    assert not found_in(show(key))


@pytest.mark.parametrize(
    "take",
    [
        pickle.dumps,
        lambda key: pickle.dumps(key, protocol=0),
        lambda key: pickle.dumps([Signer(key, URL)]),
        copy.copy,
        copy.deepcopy,
        lambda key: copy.deepcopy(Signer(key, URL)),
        lambda key: key.__getstate__(),
        lambda key: key.__reduce__(),
        msgspec.json.encode,
        msgspec.msgpack.encode,
        json.dumps,
        vars,
        bytes,
        int,
    ],
)
def test_no_copy_of_the_key_can_be_taken(key, take):
    with pytest.raises((SigningError, TypeError)) as caught:
        take(key)
    assert not found_in(shown_by(caught.value))


def test_no_subclass_can_open_the_key():
    assert getattr(SecretKey, "__final__", False)
    assert not hasattr(SecretKey, "secret")


def keystore(tmp_path, content, mode=0o600):
    path = tmp_path / "key.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


def sealed(passphrase=PASSPHRASE):
    return eth_keyfile.create_keyfile_json(SECRET, passphrase, kdf="pbkdf2", iterations=10)


FAILURES = {
    "a variable with a digit too many": lambda tmp_path: key_from_environment(
        NAME, {NAME: SECRET.hex() + "0"}
    ),
    "a variable with a letter that is no digit": lambda tmp_path: key_from_environment(
        NAME, {NAME: SECRET.hex()[:-1] + "g"}
    ),
    "a variable with two spaces": lambda tmp_path: key_from_environment(
        NAME, {NAME: SECRET.hex()[:-2] + " f"}
    ),
    "bytes with one too many": lambda tmp_path: SecretKey(SECRET + b"!"),
    "bytes outside of the curve": lambda tmp_path: SecretKey(b"\xff" * 16 + SECRET[:16]),
    "text for bytes": lambda tmp_path: SecretKey(SECRET.hex()),
    "a keystore that is a bare key": lambda tmp_path: key_from_keystore(
        keystore(tmp_path, SECRET.hex()), lambda: PASSPHRASE
    ),
    "a keystore that is a bare key in JSON": lambda tmp_path: key_from_keystore(
        keystore(tmp_path, json.dumps({"privateKey": SECRET.hex()})), lambda: PASSPHRASE
    ),
    "a keystore that is a bare number": lambda tmp_path: key_from_keystore(
        keystore(tmp_path, str(int.from_bytes(SECRET))), lambda: PASSPHRASE
    ),
    "a keystore open to others": lambda tmp_path: key_from_keystore(
        keystore(tmp_path, SECRET.hex(), 0o644), lambda: PASSPHRASE
    ),
    "a keystore under another passphrase": lambda tmp_path: key_from_keystore(
        keystore(tmp_path, sealed(b"other")),
        lambda: PASSPHRASE,
    ),
    "a keystore of another address": lambda tmp_path: key_from_keystore(
        keystore(
            tmp_path,
            sealed() | {"address": "00" * 20},
        ),
        lambda: PASSPHRASE,
    ),
    "a keystore with the key for its address": lambda tmp_path: key_from_keystore(
        keystore(tmp_path, sealed() | {"address": SECRET.hex()}), lambda: PASSPHRASE
    ),
    "a passphrase without end": lambda tmp_path: keys.passphrase_from_credential(
        "long", {"CREDENTIALS_DIRECTORY": str(long_credential(tmp_path))}
    ),
    "an action that cannot be packed": lambda tmp_path: Signer(SecretKey(SECRET), URL).request(
        {"type": "order", "p": Decimal(1)}, nonce=1
    ),
    "a digest that is too short": lambda tmp_path: SecretKey(SECRET).sign(b""),
}


def long_credential(tmp_path):
    (tmp_path / "long").write_bytes(PASSPHRASE * 200)
    return tmp_path


@pytest.mark.parametrize("name", FAILURES)
def test_no_failure_shows_the_key_or_the_passphrase(tmp_path, name):
    with pytest.raises((SigningError, TypeError)) as caught:
        FAILURES[name](tmp_path)
    assert not found_in(shown_by(caught.value))


@pytest.mark.parametrize("module", ["coincurve", "Crypto.Cipher"])
def test_a_missing_library_shows_neither(tmp_path, monkeypatch, module):
    path = keystore(tmp_path, sealed())
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError) as caught:
        key_from_keystore(path, lambda: PASSPHRASE)
    assert not found_in(shown_by(caught.value))


def test_a_missing_curve_shows_no_variable(monkeypatch):
    monkeypatch.setitem(sys.modules, "coincurve", None)
    with pytest.raises(ImportError) as caught:
        key_from_environment(NAME, {NAME: SECRET.hex()})
    assert not found_in(shown_by(caught.value))


def test_an_interrupted_derivation_shows_neither(tmp_path, monkeypatch):
    path = keystore(tmp_path, sealed())

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(keys, "keccak256", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        key_from_keystore(path, lambda: PASSPHRASE)
    assert not found_in(shown_by(caught.value))


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: actions.lower_address(SECRET.hex()),
        lambda: Signer(SecretKey(SECRET), URL, f"0x{SECRET.hex()}"),
        lambda: actions.cancel_by_cloid_action([(1, SECRET.hex())]),
        lambda: actions.approve_agent_action(SECRET.hex(), nonce=1),
    ],
)
def test_a_key_given_where_something_public_belongs_is_not_repeated(mistake):
    with pytest.raises(SigningError) as caught:
        mistake()
    assert not found_in(f"{caught.value} {caught.value!r} {caught.value.args} {caught.value.__cause__}")


def test_a_request_and_the_log_of_its_making_show_nothing(key, caplog, capsys, tmp_path):
    caplog.set_level(logging.DEBUG)
    with nonces.NonceCounter(tmp_path / "signer.nonce") as counter:
        for expires in (None, counter.take() + 5000):
            request = Signer(key, URL).request(
                actions.noop_action(), nonce=counter.take(), expires_after_ms=expires
            )
            assert not found_in(json.dumps(request))
        transfer = actions.usd_class_transfer_action(Decimal(1), to_perp=True, nonce=counter.take())
        assert not found_in(json.dumps(Signer(key, URL).user_request(transfer)))
    logging.getLogger("canary").warning("%s %r %s", key, key, Signer(key, URL))
    assert len(caplog.records) == 1, "the modules themselves log nothing"
    assert not found_in(caplog.text)
    printed = capsys.readouterr()
    assert not found_in(printed.out + printed.err)
    assert not any(found_in(path.read_bytes()) for path in tmp_path.iterdir())


CRASH = """
import os, sys
from rich.traceback import install
install(show_locals=True)
from hyperliquid_hip3.keys import key_from_environment
from hyperliquid_hip3.signing import Signer
key = key_from_environment(sys.argv[1], os.environ)
signer = Signer(key, "http://127.0.0.1:3001")
signer.request({"type": "order", "p": 690.4}, nonce=1)
"""


@pytest.mark.parametrize("text", [SECRET.hex(), SECRET.hex() + "0"], ids=["a key", "no key"])
def test_a_crash_with_all_variables_printed_shows_nothing(text):
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), NAME: text}
    done = subprocess.run(
        [sys.executable, "-c", CRASH, NAME], env=environ, capture_output=True, text=True, check=False
    )
    assert "SigningError" in done.stderr
    assert not found_in(done.stdout + done.stderr)
