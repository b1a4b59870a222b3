"""What the venue tells of vaults and sub-accounts, and how they are ordered in a file of accounts."""

import json
from decimal import Decimal

import pytest

from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.wallets import AccountsFileError
from hyperliquid_loopback.wallets import parse_accounts
from tests.loopback.venue_scene import ask
from tests.loopback.venue_scene import still_venue


LEADER = "0x" + "5e" * 20
VAULT = "0x" + "7a" * 20
SUB_ACCOUNT = "0x" + "5b" * 20


@pytest.fixture(scope="module")
def venue():
    accounts = (
        AccountSpec(address=LEADER),
        AccountSpec(address=VAULT, equity=Decimal(500), leader=LEADER),
        AccountSpec(address=SUB_ACCOUNT, equity=Decimal(300), master=LEADER),
    )
    with still_venue(limits=False, accounts=accounts) as running:
        yield running


def test_a_vault_names_its_leader_and_another_address_is_none(venue):
    details = ask(venue, type="vaultDetails", vaultAddress=VAULT).json()
    assert (details["vaultAddress"], details["leader"], details["isClosed"]) == (VAULT, LEADER, False)
    for address in (LEADER, SUB_ACCOUNT, "0x" + "99" * 20):
        assert ask(venue, type="vaultDetails", vaultAddress=address).json() is None
    assert ask(venue, type="vaultDetails", vaultAddress="0x12").status_code == 422


def test_sub_accounts_are_listed_with_their_money_and_vaults_are_not(venue):
    (row,) = ask(venue, type="subAccounts", user=LEADER).json()
    assert (row["subAccountUser"], row["master"]) == (SUB_ACCOUNT, LEADER)
    assert {"clearinghouseState", "spotState", "name"} <= set(row)
    assert ask(venue, type="subAccounts", user=VAULT).json() is None


def test_vaults_and_sub_accounts_hold_their_own_money(venue):
    for address, value in ((VAULT, "500.0"), (SUB_ACCOUNT, "300.0")):
        state = ask(venue, type="clearinghouseState", user=address, dex="km").json()
        assert state["marginSummary"]["accountValue"] == value
    assert ask(venue, type="userRole", user=VAULT).json() == {"role": "vault"}


def test_a_file_of_accounts_names_masters_and_leaders():
    rows = [{"address": VAULT, "leader": LEADER.upper().replace("0X", "0x")}]
    rows += [{"address": SUB_ACCOUNT, "master": LEADER}, {"address": LEADER}]
    vault, sub, leader = parse_accounts(json.dumps(rows).encode())
    assert (vault.leader, vault.master) == (LEADER, None)
    assert (sub.leader, sub.master) == (None, LEADER)
    assert (leader.leader, leader.master) == (None, None)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"master": LEADER, "leader": LEADER}, "`master` or `leader`, not both"),
        ({"master": "0x12"}, "`master` must be 0x and 40 hex digits"),
        ({"leader": 7}, "`leader` must be 0x and 40 hex digits"),
    ],
)
def test_a_file_of_accounts_with_a_bad_owner_is_refused(more, told):
    with pytest.raises(AccountsFileError, match=told):
        parse_accounts(json.dumps([{"address": VAULT, **more}]).encode())
