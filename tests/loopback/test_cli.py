"""The venue as a process: its first line, its accounts, and when it ends."""

import contextlib
import json
import signal
import subprocess
import sys

import httpx
import pytest

from hyperliquid_hip3.keys import SecretKey
from hyperliquid_loopback.rules import unsourced_rules
from hyperliquid_loopback.wallets import AccountsFileError
from hyperliquid_loopback.wallets import generated_wallets
from hyperliquid_loopback.wallets import parse_accounts


KEY = "0x" + "3c" * 32
ADDRESS = SecretKey(bytes.fromhex(KEY[2:])).address.lower()
OTHER = "0x" + "44" * 20


@contextlib.contextmanager
def process(request, *arguments, given=None):
    root = request.config.rootpath
    started = subprocess.Popen(
        [sys.executable, "-m", "hyperliquid_loopback", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{root}:{root / 'adapters'}:{root / 'catalog'}"},
    )
    try:
        if given is not None:
            started.stdin.write(given)
            started.stdin.close()
        yield started
    finally:
        started.kill()
        started.wait(20)
        for pipe in (started.stdin, started.stdout, started.stderr):
            pipe.close()


def first_line(started):
    line = started.stdout.readline()
    assert line, started.stderr.read()
    return json.loads(line)


@pytest.mark.timeout(60)
def test_the_first_line_says_where_and_gives_the_key_of_what_it_generated(request):
    with process(request, "--port", "0", "--equity", "2500", "--seed", "4") as started:
        about = first_line(started)
        (wallet,) = generated_wallets(4, 1)
        assert about["accounts"] == [{"address": wallet.address, "key": wallet.key, "equity": "2500"}]
        assert (about["dex"], about["coin"], about["collateral"]) == ("km", "km:US500", "USDH")
        assert about["unsourced_rules"] == len(unsourced_rules())
        asked = {"type": "clearinghouseState", "user": wallet.address, "dex": "km"}
        state = httpx.post(about["url"] + "/info", json=asked, trust_env=False).json()
        assert state["marginSummary"]["accountValue"] == "2500.0"
        headers = {"X-Control-Token": about["control_token"]}
        told = httpx.get(about["control"] + "/state", headers=headers, trust_env=False)
        assert told.json()["coin"] == "km:US500"
        assert about["ws"].startswith("ws://127.0.0.1:")
        started.stdin.close()
        assert started.wait(20) == 0
        assert started.stderr.read() == ""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal(request, number):
    with process(request, "--port", "0") as started:
        first_line(started)
        started.send_signal(number)
        assert started.wait(20) == 0
        assert started.stderr.read() == ""


@pytest.mark.timeout(60)
def test_accounts_of_a_private_file_are_opened_and_their_keys_not_repeated(request, tmp_path):
    path = tmp_path / "accounts.json"
    path.write_text(json.dumps([{"key": KEY, "equity": "500", "mode": "unifiedAccount"}, {"address": OTHER}]))
    path.chmod(0o600)
    with process(request, "--port", "0", "--accounts", str(path)) as started:
        line = started.stdout.readline()
        about = json.loads(line)
        assert [each["address"] for each in about["accounts"]] == [ADDRESS, OTHER]
        assert {each["key"] for each in about["accounts"]} == {None}
        assert KEY[2:] not in line
        mode = {"type": "userAbstraction", "user": ADDRESS}
        told = httpx.post(about["url"] + "/info", json=mode, trust_env=False).json()
        assert told == "unifiedAccount"


@pytest.mark.timeout(60)
def test_accounts_that_others_can_read_are_refused(request, tmp_path):
    path = tmp_path / "accounts.json"
    path.write_text(json.dumps([{"key": KEY}]))
    path.chmod(0o644)
    with process(request, "--port", "0", "--accounts", str(path)) as started:
        assert started.wait(30) == 2
        told = started.stderr.read()
        assert "must be 0600" in told
        assert KEY[2:] not in told
        assert started.stdout.read() == ""


@pytest.mark.timeout(60)
def test_accounts_come_by_standard_input_which_then_does_not_end_it(request):
    given = json.dumps([{"key": KEY, "equity": 750}])
    with process(request, "--port", "0", "--accounts", "-", given=given) as started:
        about = first_line(started)
        assert [each["address"] for each in about["accounts"]] == [ADDRESS]
        assert httpx.post(about["url"] + "/info", json={"type": "meta"}, trust_env=False).status_code == 200
        assert started.poll() is None
        started.send_signal(signal.SIGTERM)
        assert started.wait(20) == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not JSON"),
        ("{}", "must be a list"),
        ('["x"]', "account 0"),
        (json.dumps([{"adress": OTHER}]), "account 0"),
        (json.dumps([{"address": "0x12"}]), "40 hex"),
        (json.dumps([{"key": KEY[:-1]}]), "64 hex"),
        (json.dumps([{"key": "0x" + "0" * 64}]), "64 hex"),
        (json.dumps([{"key": KEY, "address": OTHER}]), "is not the key's"),
        (json.dumps([{"address": OTHER, "equity": "-1"}]), "`equity`"),
        (json.dumps([{"address": OTHER, "equity": True}]), "`equity`"),
        (json.dumps([{"address": OTHER, "equity": "much"}]), "`equity`"),
        (json.dumps([{"address": OTHER, "mode": "margin"}]), "`mode`"),
        (
            json.dumps([{"address": OTHER, "agents": [{"address": OTHER, "validUntil": "soon"}]}]),
            "validUntil",
        ),
    ],
)
def test_accounts_that_are_none_are_told_without_what_they_hold(content, told):
    with pytest.raises(AccountsFileError, match=told) as caught:
        parse_accounts(content.encode())
    assert "3c3c3c" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_equity_is_exact_whether_text_or_number():
    spec, more = parse_accounts(
        b'[{"address": "%s", "equity": 0.1}, {"address": "%s", "equity": "0.1"}]' % ((OTHER.encode(),) * 2)
    )
    assert str(spec.equity) == str(more.equity) == "0.1"


def test_a_generated_wallet_shows_no_key():
    (wallet,) = generated_wallets(1, 1)
    assert wallet.key[2:] not in repr(wallet)
    assert wallet.secret.hex() not in f"{wallet}"
    assert generated_wallets(1, 2)[0] == wallet
    assert generated_wallets(2, 1)[0] != wallet
