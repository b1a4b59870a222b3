"""Where the key comes from: the environment, once, or an encrypted file that only its user can read."""

import getpass
import json
import os
import resource
import subprocess
import sys
import warnings

import eth_account
import eth_keyfile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperliquid_hip3 import keys
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.keys import key_from_environment
from hyperliquid_hip3.keys import key_from_keystore


SECRET = bytes(range(101, 133))
ADDRESS = eth_account.Account.from_key(SECRET).address.lower()
NAME = "AMM500_TEST_KEY"
PASSPHRASE = b"a phrase of our own"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

# the two examples of the keystore's definition: the same key under both derivations, passphrase "testpassword"
DEFINITION_SECRET = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
DEFINITION = {
    "pbkdf2": {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262144,
                "dklen": 32,
                "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
        },
        "version": 3,
    },
    "scrypt": {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
            "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32,
                "n": 262144,
                "p": 8,
                "r": 1,
                "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
            },
            "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
        },
        "version": 3,
    },
}


def keep(path, content, mode=0o600):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


def encrypted(kdf="pbkdf2", secret=SECRET, passphrase=PASSPHRASE):
    # few rounds: the strength is not under test
    rounds = 2 if kdf == "scrypt" else 10
    return eth_keyfile.create_keyfile_json(secret, passphrase, version=3, kdf=kdf, iterations=rounds)


def forbidden():
    raise AssertionError("the passphrase was asked for before the file was found to be sound")


@given(st.integers(1, ORDER - 1))
def test_the_address_is_the_one_ethereum_derives(number):
    secret = number.to_bytes(32)
    assert SecretKey(secret).address == eth_account.Account.from_key(secret).address.lower()


@pytest.mark.parametrize(
    "secret", [b"", bytes(32), ORDER.to_bytes(32), b"\xff" * 32, bytes(range(31)), bytes(range(33))]
)
def test_a_number_outside_of_the_curve_is_no_key(secret):
    with pytest.raises(SigningError, match="not a number of 32 bytes"):
        SecretKey(secret)


def test_only_a_digest_of_32_bytes_is_signed():
    with pytest.raises(SigningError, match="31 bytes"):
        SecretKey(SECRET).sign(bytes(31))


@pytest.mark.parametrize(
    "text", [SECRET.hex(), f"0x{SECRET.hex()}", f"0X{SECRET.hex().upper()}", f" {SECRET.hex()}\n"]
)
def test_the_key_is_taken_out_of_the_environment(text):
    environ = {NAME: text, "OTHER": "kept"}
    assert key_from_environment(NAME, environ).address == ADDRESS
    assert environ == {"OTHER": "kept"}


@pytest.mark.parametrize(
    "text", ["", "0x", "zz" * 32, SECRET.hex()[:-1], SECRET.hex() + "00", "00" * 32, "a b" * 21]
)
def test_a_malformed_variable_is_removed_all_the_same(text):
    environ = {NAME: text}
    with pytest.raises(SigningError, match="does not hold a secret key"):
        key_from_environment(NAME, environ)
    assert environ == {}


def test_a_missing_variable_is_named():
    with pytest.raises(SigningError, match=f"{NAME} is not set"):
        key_from_environment(NAME, {})


SCRUBBED = """
import os, subprocess, sys
from pathlib import Path
from hyperliquid_hip3.keys import key_from_environment
name, address = sys.argv[1:]
before = Path("/proc/self/environ").read_bytes()
assert name.encode() + b"=0x6566" in before, "the variable was given"
assert key_from_environment(name, os.environ).address == address
after = Path("/proc/self/environ").read_bytes()
assert len(after) == len(before), "the block keeps its size"
assert b"6566" not in after, "the kernel still shows the key"
assert b"KEPT=yes" in after, "a neighbor was hit"
assert name not in os.environ
child = subprocess.run([sys.executable, "-c", "import os; print(dict(os.environ))"], capture_output=True, check=True)
assert b"6566" not in child.stdout and b"KEPT" in child.stdout
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="the memory of the first environment is shown on Linux only"
)
def test_neither_the_kernel_nor_a_child_sees_the_key_after_it_was_read():
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        NAME: f"0x{SECRET.hex()}",
        "KEPT": "yes",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRUBBED, NAME, ADDRESS],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kdf", ["pbkdf2", "scrypt"])
def test_the_examples_of_the_keystores_definition_open(tmp_path, kdf):
    path = keep(tmp_path / "key.json", DEFINITION[kdf])
    key = key_from_keystore(path, lambda: b"testpassword")
    assert key.address == SecretKey(bytes.fromhex(DEFINITION_SECRET)).address


@pytest.mark.parametrize("kdf", ["pbkdf2", "scrypt"])
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_keystore_of_another_writer_opens(tmp_path, kdf, mode):
    path = keep(tmp_path / "key.json", encrypted(kdf), mode)
    assert key_from_keystore(path, lambda: PASSPHRASE).address == ADDRESS


def test_older_spellings_open(tmp_path):
    content = encrypted()
    content["Crypto"] = content.pop("crypto")
    content["address"] = f"0x{content['address'].upper()}"
    assert key_from_keystore(keep(tmp_path / "key.json", content), lambda: PASSPHRASE).address == ADDRESS
    del content["address"]
    assert key_from_keystore(keep(tmp_path / "bare.json", content), lambda: PASSPHRASE).address == ADDRESS


def test_a_wrong_passphrase_opens_nothing(tmp_path):
    path = keep(tmp_path / "key.json", encrypted())
    with pytest.raises(SigningError, match="does not open"):
        key_from_keystore(path, lambda: PASSPHRASE + b" ")


def test_a_file_of_another_address_is_refused(tmp_path):
    path = keep(tmp_path / "key.json", encrypted() | {"address": "00" * 20})
    with pytest.raises(SigningError, match="names the address"):
        key_from_keystore(path, lambda: PASSPHRASE)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o700, 0o4600])
def test_a_file_with_another_mode_is_not_read(tmp_path, mode):
    path = keep(tmp_path / "key.json", encrypted(), mode)
    with pytest.raises(SigningError, match=f"was {mode:04o}, must be 0600"):
        key_from_keystore(path, forbidden)


def test_what_is_no_regular_file_is_not_read(tmp_path):
    target = keep(tmp_path / "key.json", encrypted())
    (tmp_path / "link").symlink_to(target)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name, reason in (("link", "cannot be opened"), ("fifo", "not a regular"), (".", "not a regular")):
        with pytest.raises(SigningError, match=reason):
            key_from_keystore(tmp_path / name, forbidden)
    with pytest.raises(SigningError, match="cannot be opened"):
        key_from_keystore(tmp_path / "missing", forbidden)


def test_a_file_of_another_user_is_not_read(tmp_path, monkeypatch):
    path = keep(tmp_path / "key.json", encrypted())
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(SigningError, match="another user"):
        key_from_keystore(path, forbidden)


def test_a_file_that_is_no_small_one_is_not_read(tmp_path):
    path = keep(tmp_path / "key.json", " " * (keys.MAX_FILE_BYTES + 1))
    with pytest.raises(SigningError, match="at most"):
        key_from_keystore(path, forbidden)


def changed(**changes):
    """A sound keystore with parts of its ``crypto`` section changed."""
    content = encrypted("scrypt")
    for name, value in changes.items():
        place = (
            content["crypto"]["kdfparams"] if name in content["crypto"]["kdfparams"] else content["crypto"]
        )
        place[name] = value
    return content


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("[]", id="a list"),
        pytest.param("null", id="null"),
        pytest.param("[" * 60_000, id="deep"),
        pytest.param(SECRET.hex(), id="a bare key"),
        pytest.param("1" * 64, id="a bare key that is a number to JSON"),
        pytest.param({"version": 3}, id="no crypto"),
        pytest.param(encrypted() | {"version": 4}, id="version 4"),
        pytest.param(encrypted() | {"address": 5}, id="address is a number"),
        pytest.param(encrypted() | {"address": "00" * 32}, id="address of 32 bytes"),
        pytest.param(changed(cipher="aes-256-gcm"), id="another cipher"),
        pytest.param(changed(kdf="argon2"), id="another derivation"),
        pytest.param(changed(kdf=[]), id="derivation is a list"),
        pytest.param(changed(n=2**24, r=8), id="2 GiB of scrypt"),
        pytest.param(changed(n=3), id="cost no power of two"),
        pytest.param(changed(n=float("inf")), id="cost without end"),
        pytest.param(changed(r=-1), id="negative block"),
        pytest.param(changed(p=0), id="no lanes"),
        pytest.param(changed(dklen=16), id="short derived key"),
        pytest.param(changed(salt="xyz"), id="salt is no hex"),
        pytest.param(changed(mac="00"), id="short mac"),
        pytest.param(changed(ciphertext="00" * 31), id="short key"),
        pytest.param(changed(cipherparams={"iv": "01" * 17}), id="long first value"),
    ],
)
def test_what_is_no_keystore_is_told_before_the_passphrase_is_asked_for(tmp_path, content):
    with pytest.raises(SigningError, match="is no keystore"):
        key_from_keystore(keep(tmp_path / "key.json", content), forbidden)


@pytest.mark.parametrize("zeros", [1, 3, 16])
def test_a_first_value_that_was_written_as_a_number_has_its_leading_zeros_again(tmp_path, monkeypatch, zeros):
    first = bytes(zeros) + bytes(range(1, 17 - zeros))
    monkeypatch.setattr(eth_keyfile.keyfile.Random, "get_random_bytes", lambda _: first)
    content = encrypted()
    assert len(content["crypto"]["cipherparams"]["iv"]) < 32
    assert key_from_keystore(keep(tmp_path / "key.json", content), lambda: PASSPHRASE).address == ADDRESS


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_the_passphrase_comes_from_a_descriptor(ending):
    reader, writer = os.pipe()
    os.write(writer, b" two words " + ending)
    os.close(writer)
    assert keys.passphrase_from_descriptor(reader) == b" two words "
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)


def test_a_descriptor_that_is_closed_or_endless_gives_no_passphrase(tmp_path):
    with pytest.raises(SigningError, match="cannot be read"):
        keys.passphrase_from_descriptor(987_654)
    with (tmp_path / "long").open("wb") as stream:
        stream.write(b"x" * 5000)
    descriptor = os.open(tmp_path / "long", os.O_RDONLY)
    with pytest.raises(SigningError, match="more than 4096"):
        keys.passphrase_from_descriptor(descriptor)


def test_the_passphrase_comes_from_a_systemd_credential(tmp_path):
    (tmp_path / "keystore").write_bytes(b"a phrase\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert keys.passphrase_from_credential("keystore", environ) == b"a phrase"
    for name, reason in (
        ("other", "cannot be read"),
        ("../keystore", "not a path"),
        ("..", "cannot be read"),
    ):
        with pytest.raises(SigningError, match=reason):
            keys.passphrase_from_credential(name, environ)
    with pytest.raises(SigningError, match="CREDENTIALS_DIRECTORY"):
        keys.passphrase_from_credential("keystore", {})


def test_the_passphrase_is_asked_for_only_where_it_stays_unseen(monkeypatch):
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "gr\u00fc\u00df dich \udcff")
    assert keys.passphrase_from_prompt() == b"gr\xc3\xbc\xc3\x9f dich \xff"

    def seen(prompt):
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
        return "seen"

    monkeypatch.setattr(getpass, "getpass", seen)
    with pytest.raises(SigningError, match="no terminal"):
        keys.passphrase_from_prompt()


def test_core_files_are_off_for_the_process_and_its_children():
    script = (
        "import resource, subprocess, sys\n"
        "from hyperliquid_hip3.keys import forbid_core_dumps\n"
        "forbid_core_dumps()\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1])
        ),
    )
    assert done.stdout.strip() == "(0, 0)"


def test_the_modules_load_without_the_libraries_of_the_live_venue():
    script = (
        "import sys\n"
        "import hyperliquid_hip3.signing, hyperliquid_hip3.nonces\n"
        "loaded = {'coincurve', 'Crypto', 'msgpack', 'eth_account', 'hyperliquid'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
