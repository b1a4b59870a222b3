"""Signatures equal to the official client's, for its own vectors and for random actions."""

import datetime as dt
import json
import logging
from decimal import Decimal

import eth_account
import msgpack
import pytest
from eth_utils import keccak
from hyperliquid.utils import signing as official
from hyperliquid.utils.types import Cloid
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from hyperliquid_hip3 import actions
from hyperliquid_hip3 import signing
from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.actions import Trigger
from hyperliquid_hip3.constants import MAINNET_URL
from hyperliquid_hip3.constants import TESTNET_URL
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.keys import keccak256
from hyperliquid_hip3.signing import Signature
from hyperliquid_hip3.signing import Signer


# the public key of nobody: bytes 1 to 32
SECRET = bytes(range(1, 33))
WALLET = eth_account.Account.from_key(SECRET)
KEY = SecretKey(SECRET)
VAULT = "0x" + "1a" * 20
LOOPBACK_URL = "http://127.0.0.1:3001"

cloids = st.binary(min_size=16, max_size=16).map(lambda raw: f"0x{raw.hex()}")
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: f"0x{raw.hex()}")
amounts = st.decimals(min_value="0.00000001", max_value="999999", places=8)
assets = st.integers(0, 999_999)
oids = st.integers(0, 2**64 - 1)
times = st.integers(0, 2**63)
tifs = st.sampled_from(["Alo", "Ioc", "Gtc"])
triggers = st.builds(Trigger, amounts, st.booleans(), st.sampled_from(["tp", "sl"]))
orders = st.builds(
    OrderSpec,
    assets,
    st.booleans(),
    amounts,
    amounts,
    tifs,
    st.booleans(),
    st.none() | cloids,
    st.none() | triggers,
)
l1_actions = st.one_of(
    st.builds(actions.order_action, st.lists(orders, min_size=1, max_size=30)),
    st.builds(
        actions.order_action, st.lists(orders, min_size=1, max_size=3), priority=st.integers(0, 80_000)
    ),
    st.builds(
        actions.batch_modify_action,
        st.lists(st.tuples(oids | cloids, orders), min_size=1, max_size=20),
        always_place=st.booleans(),
    ),
    st.builds(actions.modify_action, oids | cloids, orders, always_place=st.booleans()),
    st.builds(
        actions.cancel_action, st.lists(st.tuples(assets, oids), min_size=1, max_size=30), fast=st.booleans()
    ),
    st.builds(
        actions.cancel_by_cloid_action,
        st.lists(st.tuples(assets, cloids), min_size=1, max_size=30),
        fast=st.booleans(),
    ),
    st.builds(actions.schedule_cancel_action, st.none() | times),
    st.builds(actions.update_leverage_action, assets, st.integers(1, 50), is_cross=st.booleans()),
    st.builds(
        actions.update_isolated_margin_action,
        assets,
        st.decimals(min_value=-9_999, max_value=9_999, places=6).filter(bool),
    ),
    st.builds(actions.reserve_request_weight_action, st.integers(1, 2**40)),
    st.just(actions.noop_action()),
    st.builds(
        actions.agent_set_abstraction_action,
        st.sampled_from(["disabled", "unifiedAccount", "portfolioMargin"]),
    ),
)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def url_of(is_mainnet):
    return MAINNET_URL if is_mainnet else TESTNET_URL


@given(
    l1_actions,
    st.integers(0, 2**64 - 1),
    st.none() | addresses,
    st.none() | st.integers(0, 2**64 - 1),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_a_trading_action_is_signed_as_the_official_client_signs_it(
    action, nonce, vault, expires, is_mainnet
):
    request = Signer(KEY, url_of(is_mainnet), vault).request(action, nonce=nonce, expires_after_ms=expires)
    assert request["signature"] == official.sign_l1_action(WALLET, action, vault, nonce, expires, is_mainnet)
    assert request == {
        "action": action,
        "nonce": nonce,
        "signature": request["signature"],
        "vaultAddress": vault,
        "expiresAfter": expires,
    }


@given(st.lists(orders, min_size=1, max_size=10), st.lists(oids, min_size=10, max_size=10))
@settings(max_examples=50, deadline=None)
def test_an_order_is_built_as_the_official_client_builds_it(specs, numbers):
    wires = []
    for spec in specs:
        kind = {"limit": {"tif": spec.tif}}
        if spec.trigger is not None:
            trigger = spec.trigger
            kind = {
                "trigger": {
                    "triggerPx": float(trigger.price),
                    "isMarket": trigger.is_market,
                    "tpsl": trigger.kind,
                }
            }
        request = {
            "coin": "km:US500",
            "is_buy": spec.is_buy,
            "sz": float(spec.size),
            "limit_px": float(spec.price),
            "order_type": kind,
            "reduce_only": spec.reduce_only,
            "cloid": None if spec.cloid is None else Cloid.from_str(spec.cloid),
        }
        wires.append(official.order_request_to_order_wire(request, spec.asset))
    expected = official.order_wires_to_order_action(wires)
    assert msgpack.packb(actions.order_action(specs)) == msgpack.packb(expected)
    # the client's `bulk_modify_orders_new` wraps each order so
    modifies = {
        "type": "batchModify",
        "modifies": [{"oid": oid, "order": wire} for oid, wire in zip(numbers, wires, strict=False)],
    }
    built = actions.batch_modify_action(list(zip(numbers, specs, strict=False)))
    assert msgpack.packb(built) == msgpack.packb(modifies)


@given(st.dictionaries(st.text(max_size=5), plain_values, max_size=4), times)
@settings(max_examples=80, deadline=None)
def test_any_plain_action_is_hashed_as_the_official_client_hashes_it(action, nonce):
    assert signing.action_hash(action, nonce) == official.action_hash(action, None, nonce, None)


# where the header of a text, list or mapping and the width of a number change: 2**4, 2**5, 2**8, 2**16 and so on
@pytest.mark.parametrize("size", [0, 15, 16, 17, 31, 32, 33, 255, 256, 257, 65535, 65536, 65537])
def test_sizes_at_the_edges_of_the_format_are_hashed_alike(size):
    action = {
        "text": "\u00e9" * (size // 2) + "x" * (size % 2),
        "list": [True] * size,
        "map": {str(at): at for at in range(size)},
    }
    assert signing.action_hash(action, 1) == official.action_hash(action, None, 1, None)


@pytest.mark.parametrize("bits", [0, 5, 7, 8, 15, 16, 31, 32, 63, 64])
def test_numbers_at_the_edges_of_the_format_are_hashed_alike(bits):
    edge = 2**bits
    numbers = [n for n in range(edge - 2, edge + 2) if n < 2**64]
    numbers += [-n for n in numbers if n <= 2**63]
    action = {"numbers": numbers}
    assert signing.action_hash(action, 1) == official.action_hash(action, None, 1, None)


user_actions = st.one_of(
    st.builds(
        actions.send_asset_action,
        destination=addresses,
        source_dex=st.sampled_from(["", "spot", "km"]),
        destination_dex=st.sampled_from(["", "spot", "km"]),
        token=st.text(max_size=40),
        amount=amounts,
        nonce=times,
        from_sub_account=st.just("") | addresses,
    ),
    st.builds(
        actions.usd_class_transfer_action,
        amounts,
        to_perp=st.booleans(),
        nonce=times,
        sub_account=st.just("") | addresses,
    ),
    st.builds(
        actions.user_set_abstraction_action,
        addresses,
        st.sampled_from(["disabled", "unifiedAccount", "portfolioMargin"]),
        times,
    ),
    st.builds(actions.approve_agent_action, addresses, nonce=times, name=st.text(max_size=16)),
    st.builds(
        actions.approve_agent_action,
        addresses,
        nonce=times,
        name=st.text(min_size=1, max_size=16),
        valid_until_ms=times,
    ),
)
OFFICIAL_USER = {
    "sendAsset": official.sign_send_asset_action,
    "usdClassTransfer": official.sign_usd_class_transfer_action,
    "userSetAbstraction": official.sign_user_set_abstraction_action,
    "approveAgent": official.sign_agent,
}


@given(user_actions, st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_transfer_or_approval_is_signed_as_the_official_client_signs_it(action, is_mainnet):
    request = Signer(KEY, url_of(is_mainnet), VAULT).user_request(action)
    theirs = dict(action)
    expected = OFFICIAL_USER[action["type"]](WALLET, theirs, is_mainnet)
    if theirs.get("agentName") == "":
        # the official client signs an empty name and sends none
        del theirs["agentName"]
    assert request == {
        "action": theirs,
        "nonce": action["nonce"],
        "signature": expected,
        "vaultAddress": None,
        "expiresAfter": None,
    }
    # the caller's action is left as it was
    assert "signatureChainId" not in action


@pytest.mark.real_data
def test_every_computed_vector_is_met(shared_dir):
    content = json.loads((shared_dir / "payloads" / "signing_vectors_computed.json").read_text())
    key = SecretKey(bytes.fromhex(content["private_key"][2:]))
    assert key.address == content["address"].lower()
    seen = 0
    for vector in content["vectors"]:
        action, nonce = vector["action"], vector.get("nonce")
        if "sig" in vector:
            signer = Signer(key, url_of(vector["mainnet"]))
            plain = {k: v for k, v in action.items() if k not in ("signatureChainId", "hyperliquidChain")}
            request = signer.user_request(plain)
            assert request["action"] == action
            assert request["signature"] == vector["sig"]
            seen += 1
            continue
        vault, expires = vector["vaultAddress"], vector["expiresAfter"]
        assert signing.ENCODER.encode(action).hex() == vector["msgpack_hex"]
        assert f"0x{signing.action_hash(action, nonce, vault, expires).hex()}" == vector["connectionId"]
        for is_mainnet, name in ((True, "sig_mainnet"), (False, "sig_testnet")):
            signer = Signer(key, url_of(is_mainnet), vault)
            request = signer.request(action, nonce=nonce, expires_after_ms=expires)
            assert request["signature"] == vector[name]
            seen += 1
    # 17 trading vectors with two signatures each, 4 transfers with one
    assert seen == 38


@pytest.mark.real_data
def test_the_computed_orders_come_out_of_the_builders(shared_dir):
    content = json.loads((shared_dir / "payloads" / "signing_vectors_computed.json").read_text())
    rebuilt = {
        "order_batch2": actions.order_action(
            [
                OrderSpec(150000, True, Decimal("752.40"), Decimal("0.1")),
                OrderSpec(150000, False, Decimal("752.50"), Decimal("0.1")),
            ]
        ),
        "order_ioc_reduce_only": actions.order_action(
            [OrderSpec(150000, False, Decimal("748.7"), Decimal("0.1"), "Ioc", reduce_only=True)]
        ),
        "cancel_fast": actions.cancel_action([(150000, 439553278953)], fast=True),
        "cancelByCloid": actions.cancel_by_cloid_action([(150000, f"0x{1:032x}")]),
        "batchModify": actions.batch_modify_action(
            [
                (
                    439553278953,
                    OrderSpec(150000, True, Decimal("752.4"), Decimal("0.1"), cloid=f"0x{2:032x}"),
                )
            ]
        ),
        "updateIsolatedMargin": actions.update_isolated_margin_action(150000, Decimal(1)),
        "agentSetAbstraction": actions.agent_set_abstraction_action("disabled"),
    }
    packed = {vector["name"]: vector.get("msgpack_hex") for vector in content["vectors"]}
    for name, action in rebuilt.items():
        assert signing.ENCODER.encode(action).hex() == packed[name], name


@pytest.mark.parametrize(
    ("url", "is_mainnet"),
    [
        (MAINNET_URL, True),
        (f"{MAINNET_URL}/exchange", True),
        ("wss://api.hyperliquid.xyz/ws", True),
        ("https://API.Hyperliquid.XYZ:443", True),
        (TESTNET_URL, False),
        (LOOPBACK_URL, False),
        ("http://api.hyperliquid.xyz", False),
        ("https://api.hyperliquid.xyz:8443", False),
        ("https://api.hyperliquid.xyz.example.com", False),
        ("https://api.hyperliquid.xyz@example.com", False),
        ("https://example.com/api.hyperliquid.xyz", False),
        ("https://example.com#api.hyperliquid.xyz", False),
        ("https://notapi.hyperliquid.xyz", False),
        ("https://api.hyperliquid.xyz:port", False),
        ("https://[api.hyperliquid.xyz", False),
        ("api.hyperliquid.xyz", False),
        ("", False),
    ],
)
def test_only_the_mainnets_own_host_gets_mainnet_signatures(url, is_mainnet):
    action = actions.noop_action()
    signer = Signer(KEY, url)
    expected = official.sign_l1_action(WALLET, action, None, 5, None, is_mainnet)
    assert signer.is_mainnet is is_mainnet
    assert signer.request(action, nonce=5)["signature"] == expected


def test_a_loopback_transfer_names_the_testnet():
    action = actions.usd_class_transfer_action(Decimal(1), to_perp=True, nonce=5)
    assert Signer(KEY, LOOPBACK_URL).user_request(action)["action"]["hyperliquidChain"] == "Testnet"


@pytest.mark.parametrize(
    "action",
    [
        {"type": "order", "orders": [{"p": 690.4}]},
        {"type": "order", "orders": [{"p": Decimal("690.4")}]},
        {"type": "order", "orders": [{"p": b"690.4"}]},
        {"type": "order", "orders": [{"o": {"p": [1, (2, Decimal(3))]}}]},
        {"type": "order", "time": dt.datetime(2026, 1, 2, tzinfo=dt.UTC)},
        {"type": "order", "orders": [object()]},
        {"type": "order", "weight": 2**64},
        {"type": "order", "text": "\ud800"},
    ],
)
def test_a_value_without_one_form_on_the_wire_is_not_signed(action):
    with pytest.raises(SigningError):
        Signer(KEY, LOOPBACK_URL).request(action, nonce=1)


@pytest.mark.parametrize("nonce", [-1, 2**64, 1.5, True, None])
def test_a_nonce_outside_of_eight_bytes_is_refused(nonce):
    with pytest.raises(SigningError, match="nonce"):
        Signer(KEY, LOOPBACK_URL).request(actions.noop_action(), nonce=nonce)


def test_each_kind_of_action_goes_through_its_own_door():
    transfer = actions.usd_class_transfer_action(Decimal(1), to_perp=True, nonce=5)
    with pytest.raises(SigningError, match="user_request"):
        Signer(KEY, LOOPBACK_URL).request(transfer, nonce=5)
    with pytest.raises(SigningError, match="must be one of"):
        Signer(KEY, LOOPBACK_URL).user_request(actions.noop_action())


@pytest.mark.parametrize(
    "change", [{"toPerp": 1}, {"amount": 1}, {"amount": "\ud800"}, {"nonce": None}, {"nonce": "5"}]
)
def test_a_transfer_with_a_malformed_field_is_not_signed(change):
    action = actions.usd_class_transfer_action(Decimal(1), to_perp=True, nonce=5) | change
    with pytest.raises(SigningError):
        Signer(KEY, LOOPBACK_URL).user_request(action)


@given(st.binary(min_size=32, max_size=32))
def test_the_signer_is_recovered_from_the_signature(digest):
    signature = Signature(*KEY.sign(digest))
    assert signing.recover_address(digest, signature) == KEY.address == WALLET.address.lower()
    # s in the lower half: the venue's chain refuses the other form
    assert signature.s <= 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def test_another_nonce_vault_expiry_or_host_is_signed_by_a_stranger():
    action = actions.noop_action()

    def digest(nonce=5, vault=None, expires=None, is_mainnet=True):
        return signing.agent_digest(signing.action_hash(action, nonce, vault, expires), is_mainnet=is_mainnet)

    signature = Signature(*KEY.sign(digest()))
    assert signing.recover_address(digest(), signature) == KEY.address
    for other in (digest(nonce=6), digest(vault=VAULT), digest(expires=5), digest(is_mainnet=False)):
        assert signing.recover_address(other, signature) != KEY.address


@pytest.mark.parametrize(
    "signature",
    [
        Signature(0, 0, 27),
        Signature(1, 1, 26),
        Signature(1, 1, 29),
        Signature(2**256, 1, 27),
        Signature(-1, 1, 27),
    ],
)
def test_what_is_no_signature_has_no_signer(signature):
    with pytest.raises(SigningError):
        signing.recover_address(bytes(32), signature)


@given(st.binary(max_size=600))
def test_the_hash_is_ethereums(data):
    assert keccak256(data) == keccak(data)


def test_nothing_is_logged_and_the_signer_shows_only_its_address(caplog):
    caplog.set_level(logging.DEBUG)
    signer = Signer(KEY, LOOPBACK_URL)
    signer.request(actions.noop_action(), nonce=1)
    assert caplog.records == []
    assert repr(signer) == f"Signer({KEY.address}, not mainnet)"
