"""Signatures, agents and nonces as the venue checks them."""

from decimal import Decimal

import eth_account
import pytest
from hyperliquid.utils import signing as official

from hyperliquid_hip3 import actions
from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.signing import Signature
from hyperliquid_loopback.agents import Malformed
from hyperliquid_loopback.agents import Nonces
from hyperliquid_loopback.agents import Refused
from hyperliquid_loopback.agents import Signer
from tests.loopback.account_scene import AGENT
from tests.loopback.account_scene import AGENT_KEY
from tests.loopback.account_scene import ASSET
from tests.loopback.account_scene import MASTER
from tests.loopback.account_scene import NOW
from tests.loopback.account_scene import OTHER
from tests.loopback.account_scene import OTHER_KEY
from tests.loopback.account_scene import USDH
from tests.loopback.account_scene import noop
from tests.loopback.account_scene import scene
from tests.loopback.account_scene import signed
from tests.loopback.account_scene import user_signed


D = Decimal
DAY = 86_400_000
WALLET = eth_account.Account.from_key(bytes(range(1, 33)))


def venue(**more):
    accounts = scene(**more)
    accounts.open_account(MASTER, deposits={"km": D(1000)})
    return accounts


def place(**more):
    return actions.order_action([OrderSpec(ASSET, True, D("700.5"), D("0.1"), **more)])


def refusal(accounts, request, now=NOW):
    with pytest.raises(Refused) as caught:
        accounts.agents.authenticate(request, now)
    return caught.value.text


def test_the_account_itself_signs_its_actions():
    accounts = venue()
    assert accounts.agents.authenticate(signed(place()), NOW) == Signer(MASTER, MASTER, agent=False)


def test_an_agent_signs_for_its_master_until_it_expires():
    accounts = venue()
    stranger = f"User or API Wallet {AGENT} does not exist."
    assert refusal(accounts, signed(noop(), key=AGENT_KEY, nonce=NOW)) == stranger
    assert accounts.agents.approve(MASTER, AGENT, f"desk valid_until {NOW + 1_000}", NOW) is None
    request = signed(noop(), key=AGENT_KEY, nonce=NOW + 1)
    assert accounts.agents.authenticate(request, NOW + 999) == Signer(MASTER, AGENT, agent=True)
    assert refusal(accounts, signed(noop(), key=AGENT_KEY, nonce=NOW + 2), NOW + 1_000) == stranger
    assert accounts.user_role(AGENT, NOW + 1_000) == {"role": "missing"}


def test_an_agent_may_be_ended_and_extended_by_hand():
    accounts = venue()
    accounts.agents.approve(MASTER, AGENT, "", NOW)
    accounts.agents.expire(AGENT, NOW + 5)
    assert refusal(accounts, signed(noop(), key=AGENT_KEY), NOW + 5).startswith("User or API Wallet")
    accounts.agents.extend(AGENT, NOW + 100)
    assert accounts.agents.authenticate(signed(noop(), key=AGENT_KEY), NOW + 6).agent


def test_a_changed_action_is_a_strangers():
    accounts = venue()
    request = signed(place())
    request["action"]["orders"][0]["p"] = "701"
    assert refusal(accounts, request).startswith("User or API Wallet 0x")


def test_vault_and_expiry_are_signed_over():
    accounts = venue()
    sub = "0x" + "5b" * 20
    accounts.open_account(sub, master=MASTER)
    request = signed(noop(), vault=sub, expires=NOW + 10)
    assert accounts.agents.authenticate(dict(request), NOW) == Signer(sub, MASTER, agent=False)
    for change in ({"vaultAddress": None}, {"expiresAfter": None}, {"expiresAfter": NOW + 11}):
        assert refusal(accounts, {**request, **change}).startswith("User or API Wallet 0x")


def test_an_address_that_is_no_sub_account_is_no_vault():
    accounts = venue()
    accounts.open_account(OTHER)
    for address in (OTHER, "0x" + "5b" * 20, MASTER):
        refused = refusal(accounts, signed(noop(), vault=address))
        assert refused == f"Vault not registered: {address}"


@pytest.mark.parametrize("kind", ["master", "leader"])
def test_who_owns_a_sub_account_or_leads_a_vault_trades_for_it_and_nobody_else(kind):
    accounts = venue()
    vault = "0x" + "5b" * 20
    accounts.open_account(vault, **{kind: MASTER})
    accounts.open_account(OTHER_KEY.address)
    assert accounts.agents.approve(MASTER, AGENT, "desk", NOW) is None
    request = signed(place(), key=AGENT_KEY, vault=vault)
    assert accounts.agents.authenticate(request, NOW) == Signer(vault, AGENT, agent=True)
    words = "Vault may not perform this action."
    assert refusal(accounts, signed(place(), key=OTHER_KEY, vault=vault)) == words


def test_an_account_is_not_a_sub_account_and_a_vault_at_once():
    accounts = venue()
    with pytest.raises(ValueError, match="not both"):
        accounts.open_account("0x" + "5b" * 20, master=MASTER, leader=MASTER)


def test_a_vault_gives_its_leader_no_more_agents():
    accounts = venue()
    accounts.open_account("0x" + "5b" * 20, leader=MASTER)
    assert accounts.sub_accounts_of(MASTER) == 0


def test_numbers_and_keys_must_be_in_the_venues_own_form():
    accounts = venue()
    act = place()
    for broken in (
        {**act, "orders": [{**act["orders"][0], "p": "700.50"}]},
        {**act, "orders": [dict(reversed(act["orders"][0].items()))]},
        {"grouping": "na", "orders": act["orders"], "type": "order"},
        {**act, "extra": 1},
    ):
        assert refusal(accounts, signed(broken)).startswith("User or API Wallet 0x")
    assert accounts.agents.authenticate(signed(act), NOW).user == MASTER


@pytest.mark.parametrize(
    "act",
    [
        place(cloid="0x" + "1" * 32),
        place(trigger=actions.Trigger(D("690.25"), True, "sl")),
        actions.order_action([OrderSpec(ASSET, True, D(700), D(1))], priority=5),
        actions.modify_action(7, OrderSpec(ASSET, False, D(700), D(1)), always_place=True),
        actions.batch_modify_action([("0x" + "2" * 32, OrderSpec(ASSET, False, D(700), D(1)))]),
        actions.cancel_action([(ASSET, 7)], fast=True),
        actions.cancel_by_cloid_action([(ASSET, "0x" + "3" * 32)]),
        actions.schedule_cancel_action(NOW + 6_000),
        actions.schedule_cancel_action(None),
        actions.update_leverage_action(ASSET, 5, is_cross=False),
        actions.update_isolated_margin_action(ASSET, D("1.5")),
        actions.reserve_request_weight_action(5),
        actions.agent_set_abstraction_action("disabled"),
        actions.noop_action(),
    ],
    ids=lambda act: act["type"],
)
def test_every_action_of_the_official_client_is_recognized(act):
    accounts = venue()
    signature = official.sign_l1_action(WALLET, act, None, NOW, None, False)
    request = {
        "action": act,
        "nonce": NOW,
        "signature": signature,
        "vaultAddress": None,
        "expiresAfter": None,
    }
    assert accounts.agents.authenticate(request, NOW).user == MASTER


def test_a_signature_for_the_mainnet_is_taken_only_where_that_is_wanted():
    act = noop()
    request = {
        "action": act,
        "nonce": NOW,
        "signature": official.sign_l1_action(WALLET, act, None, NOW, None, True),
        "vaultAddress": None,
        "expiresAfter": None,
    }
    assert refusal(venue(), dict(request)).startswith("User or API Wallet 0x")
    both = venue(accept_mainnet_source=True)
    assert both.agents.authenticate(request, NOW).user == MASTER
    assert both.agents.authenticate(signed(noop(), nonce=NOW + 1), NOW).user == MASTER


def test_words_of_a_signature_may_lack_their_leading_zeros():
    accounts = venue()
    for nonce in range(NOW, NOW + 400):
        request = signed(noop(), nonce=nonce)
        if len(request["signature"]["r"]) < 66:
            break
    assert len(request["signature"]["r"]) < 66
    assert accounts.agents.authenticate(request, NOW).user == MASTER


def test_a_signature_that_recovers_nobody_says_so():
    accounts = venue()
    request = signed(noop())
    request["signature"] = Signature(2**256 - 1, 1, 27).to_wire()
    assert refusal(accounts, request) == "Unable to recover signer."


def test_transfers_are_signed_by_the_account_alone():
    accounts = venue()
    accounts.agents.approve(MASTER, AGENT, "", NOW)
    act = actions.send_asset_action(
        destination=MASTER, source_dex="km", destination_dex="spot", token=USDH, amount=D(1), nonce=NOW
    )
    assert accounts.agents.authenticate(user_signed(act), NOW) == Signer(MASTER, MASTER, agent=False)
    by_agent = user_signed(act, key=AGENT_KEY)
    assert refusal(accounts, by_agent) == f"Must deposit before performing actions. User: {AGENT}"
    by_nobody = user_signed(act, key=OTHER_KEY)
    assert refusal(accounts, by_nobody) == (
        f"Must deposit before performing actions. User: {OTHER_KEY.address}"
    )


def test_a_transfers_nonce_is_the_one_it_was_signed_with():
    accounts = venue()
    act = actions.usd_class_transfer_action(D(1), to_perp=True, nonce=NOW)
    request = {**user_signed(act), "nonce": NOW + 1}
    assert refusal(accounts, request) == "Nonce mismatch."


def test_the_official_clients_approval_without_a_name_is_recognized():
    accounts = venue()
    act = {"type": "approveAgent", "agentAddress": AGENT, "agentName": "", "nonce": NOW}
    signature = official.sign_agent(WALLET, act, False)
    del act["agentName"]
    request = {
        "action": act,
        "nonce": NOW,
        "signature": signature,
        "vaultAddress": None,
        "expiresAfter": None,
    }
    assert accounts.agents.authenticate(request, NOW).user == MASTER


@pytest.mark.parametrize(
    "change",
    [
        {"action": None},
        {"action": {}},
        {"action": {"type": "order", "orders": 5, "grouping": "na"}},
        {"action": {"type": "order", "orders": [{"a": 1}], "grouping": "na"}},
        {"action": {"type": "noop", "x": 1.5}, "nonce": -1},
        {"nonce": "1"},
        {"nonce": True},
        {"signature": None},
        {"signature": {"r": "0x1", "s": "0x1"}},
        {"signature": {"r": "1", "s": "0x1", "v": 27}},
        {"signature": {"r": "0x" + "1" * 65, "s": "0x1", "v": 27}},
        {"vaultAddress": "0x1"},
        {"expiresAfter": "soon"},
        {"action": {"type": "sendAsset"}},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_request_of_another_shape_is_malformed_and_uses_no_nonce(change):
    accounts = venue()
    request = signed(noop())
    with pytest.raises(Malformed):
        accounts.agents.authenticate({**request, **change}, NOW)
    assert accounts.agents.authenticate(request, NOW).user == MASTER


# nonces


def test_a_nonce_is_taken_once_also_when_the_action_came_too_late():
    accounts = venue()
    late = signed(noop(), expires=NOW - 1)
    with pytest.raises(Refused) as caught:
        accounts.agents.authenticate(late, NOW)
    assert (caught.value.text, caught.value.user) == ("Action already expired", MASTER)
    assert refusal(accounts, signed(noop())) == f"Invalid nonce: duplicate nonce {NOW}"
    # at its last moment an action is still in time
    assert accounts.agents.authenticate(signed(noop(), nonce=NOW + 1, expires=NOW), NOW).user == MASTER


def test_agents_of_one_master_have_nonces_of_their_own():
    accounts = venue()
    accounts.agents.approve(MASTER, AGENT, "", NOW)
    for key in (AGENT_KEY, None):
        request = signed(noop()) if key is None else signed(noop(), key=key)
        assert accounts.agents.authenticate(request, NOW).user == MASTER


@pytest.mark.parametrize(
    ("nonce", "expected"),
    [
        (NOW - 2 * DAY, f"Invalid nonce: nonce too low {NOW - 2 * DAY} < {NOW - 2 * DAY}"),
        (NOW - 2 * DAY + 1, None),
        (NOW + DAY - 1, None),
        (NOW + DAY, f"Invalid nonce: nonce too high {NOW + DAY} > {NOW + DAY}"),
    ],
)
def test_a_nonce_lies_within_two_days_before_and_one_after(nonce, expected):
    assert Nonces().take(nonce, NOW) == expected


def test_a_nonce_must_be_above_the_lowest_of_the_hundred_highest():
    nonces = Nonces()
    for nonce in range(NOW, NOW + 100):
        assert nonces.take(nonce, NOW) is None
    assert nonces.take(NOW - 1, NOW) == f"Invalid nonce: nonce too low {NOW - 1} < {NOW}"
    assert nonces.take(NOW + 200, NOW) is None
    # the lowest has been forgotten, which does not let it in again
    assert nonces.take(NOW, NOW) == f"Invalid nonce: nonce too low {NOW} < {NOW + 1}"
    assert nonces.take(NOW + 1, NOW) == f"Invalid nonce: duplicate nonce {NOW + 1}"


# approvals


def wallet(n):
    return f"0x{n:040x}"


def test_an_account_has_one_agent_without_a_name_and_three_with():
    accounts = venue()
    approve = accounts.agents.approve
    assert approve(MASTER, wallet(1), "", NOW) is None
    assert approve(MASTER, wallet(2), "", NOW) is None
    assert accounts.user_role(wallet(1), NOW) == {"role": "missing"}
    for n in (3, 4, 5):
        assert approve(MASTER, wallet(n), f"desk {n}", NOW) is None
    assert approve(MASTER, wallet(6), "desk 6", NOW) == (
        "Too many extra agents for cumulative volume traded. Current limit is 3"
    )
    # the same name is replaced, the replaced wallet is done with for good
    assert approve(MASTER, wallet(7), "desk 3", NOW) is None
    assert accounts.agents.master(wallet(3), NOW) is None
    assert approve(MASTER, wallet(3), "desk 3", NOW) == "Extra agent already used."
    assert [row["name"] for row in accounts.extra_agents(MASTER, NOW)] == ["desk 4", "desk 5", "desk 3"]
    accounts.open_account("0x" + "5b" * 20, master=MASTER)
    assert approve(MASTER, wallet(8), "desk 8", NOW) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x" * 16, None),
        ("x" * 17, "Extra agent name must be between 1 and 16 characters long"),
        (f"valid_until {NOW + 5}", "Extra agent name must be between 1 and 16 characters long"),
        (f"{'x' * 16} valid_until {NOW + 5}", None),
    ],
)
def test_an_agents_name_has_up_to_sixteen_characters(name, expected):
    assert venue().agents.approve(MASTER, AGENT, name, NOW) == expected


def test_an_agent_is_valid_for_180_days_at_most():
    accounts = venue()
    accounts.agents.approve(MASTER, wallet(1), f"far valid_until {NOW + 400 * DAY}", NOW)
    accounts.agents.approve(MASTER, wallet(2), "plain", NOW)
    accounts.agents.approve(MASTER, wallet(3), f"near valid_until {NOW + DAY}", NOW)
    assert [row["validUntil"] - NOW for row in accounts.extra_agents(MASTER, NOW)] == [
        180 * DAY,
        180 * DAY,
        DAY,
    ]


def test_an_account_or_the_zero_address_is_no_agent():
    accounts = venue()
    assert accounts.agents.approve(MASTER, MASTER, "me", NOW) == "Extra agent already used."
    accounts.agents.approve(MASTER, AGENT, "desk", NOW)
    assert accounts.agents.approve(MASTER, wallet(0), "desk", NOW) is None
    assert accounts.extra_agents(MASTER, NOW) == []
    with pytest.raises(TypeError):
        accounts.agents.approve(MASTER, "0x1", "desk", NOW)
