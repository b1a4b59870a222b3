"""The clients' configurations say in one sentence what is wrong, and hold no key."""

from decimal import Decimal

import msgspec
import pytest

from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.config import socket_url


USER = "0x" + "1a" * 20
KEY = "0x" + "e5" * 32


def exec_config(**changes):
    given = {"user": USER, "state_dir": "state", "key_source": "environment", **changes}
    return HyperliquidExecClientConfig(**given)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "api.hyperliquid.xyz"}, "must be an http or https address without a path"),
        ({"url": "https://host/info"}, "must be an http or https address without a path"),
        ({"ws_url": "https://host/ws"}, "must be a ws or wss address"),
        ({"dex": "KM!"}, "must be the name of a dex"),
        ({"coins": ("US500:km:",)}, "must be coins like 'km:US500'"),
        ({"coins": ("km:US500", "km:US500")}, "must be each coin once"),
        ({"http_timeout_secs": 0}, "must be 0.1 to 120"),
        ({"book_stale_ms": 10}, "must be 200 to 60000"),
        ({"rest_poll_ms": 0}, "must be 100 to 60000"),
        ({"meta_check_secs": 0}, "must be 0.05 to 3600"),
        ({"record_dir": ""}, "must be a folder, or left out"),
        ({"ages_topic": ""}, "must be the name of a message bus topic"),
    ],
)
def test_a_data_value_that_is_not_allowed_is_named_with_what_is(changes, words):
    name = next(iter(changes))

    with pytest.raises(ValueError, match="HyperliquidDataClientConfig") as error:
        HyperliquidDataClientConfig(**changes)

    assert f"`HyperliquidDataClientConfig.{name}` was {changes[name]!r}, {words}" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"user": "0x12"}, "must be the account's address"),
        ({"vault": "someone"}, "must be an address"),
        ({"coins": ("xyz:SP500",)}, "must be coins of the dex 'km' only"),
        ({"key_source": "file"}, "must be one of environment, keystore"),
        ({"key_source": "keystore"}, "`HyperliquidExecClientConfig.keystore_path` was None"),
        (
            {"key_source": "keystore", "keystore_path": "/k", "unlock_by": "descriptor"},
            "`HyperliquidExecClientConfig.unlock_descriptor` was None",
        ),
        ({"state_dir": ""}, "must be a folder for nonces"),
        ({"leverage": 0}, "must be 1 to 100"),
        ({"margin_mode": "both"}, "must be one of cross, isolated"),
        ({"expires_after_ms": 10}, "must be 1000 to 600000"),
        ({"flush_ms": 0.5}, "must be at least `quiet_ms`"),
        ({"deadman_secs": 4}, "must be 0, or 10 to 3600"),
        ({"slippage_bps": Decimal(0)}, "must be more than 0"),
    ],
)
def test_an_execution_value_that_is_not_allowed_is_named_with_what_is(changes, words):
    with pytest.raises(ValueError, match="HyperliquidExecClientConfig") as error:
        exec_config(**changes)

    assert words in str(error.value)


def test_a_key_pasted_where_its_name_belongs_is_refused_and_not_repeated():
    with pytest.raises(ValueError, match="not a key") as error:
        exec_config(key_variable=KEY)

    assert KEY not in str(error.value)
    assert KEY[2:] not in str(error.value)


def test_no_field_of_either_configuration_is_for_a_key_or_passphrase():
    names = {
        *HyperliquidDataClientConfig.__struct_fields__,
        *HyperliquidExecClientConfig.__struct_fields__,
    }

    assert not {name for name in names if "secret" in name or "passphrase" in name or name.endswith("_key")}
    assert KEY not in exec_config().json().decode()


def test_configurations_survive_a_round_trip_through_json():
    data = HyperliquidDataClientConfig(coins=("km:US500", "xyz:SP500"), dex="km", record_dir="/x")
    execution = exec_config(leverage=10, coins=("km:US500",))

    assert HyperliquidDataClientConfig.parse(data.json()) == data
    assert HyperliquidExecClientConfig.parse(execution.json()) == execution


def test_an_unusable_value_in_a_file_is_refused_on_reading():
    with pytest.raises(msgspec.ValidationError, match="book_stale_ms"):
        HyperliquidDataClientConfig.parse(b'{"book_stale_ms": 1}')


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        ("https://api.hyperliquid.xyz", "wss://api.hyperliquid.xyz/ws"),
        ("http://127.0.0.1:4001", "ws://127.0.0.1:4001/ws"),
        ("http://127.0.0.1:4001/", "ws://127.0.0.1:4001/ws"),
    ],
)
def test_the_socket_address_follows_from_the_rest_address(url, socket):
    assert socket_url(url) == socket
    assert HyperliquidDataClientConfig(url=url).socket_url == socket


def test_a_given_socket_address_is_used_as_it_is():
    config = HyperliquidDataClientConfig(url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:2/other")

    assert config.socket_url == "ws://127.0.0.1:2/other"


def test_an_address_that_is_none_has_no_socket():
    with pytest.raises(ValueError, match="must be an http or https address"):
        socket_url("ftp://host")


def test_the_account_is_the_vault_where_there_is_one():
    vault = "0x" + "AB" * 20

    assert exec_config().account == USER
    assert exec_config(vault=vault).account == vault.lower()
