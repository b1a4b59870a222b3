"""``amm500 status`` against the loopback venue: what it prints, and its exit code for each state of the world."""

import json
import socket
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.runtime.cli import main
from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue


USER = "0x" + "a1" * 20
AGENT = "0x" + "b2" * 20
UNIFIED = "0x" + "c3" * 20
EMPTY = "0x" + "d4" * 20
DAY_MS = 86_400_000


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    soon = time.time_ns() // 1_000_000 + 100 * DAY_MS
    config = VenueConfig(
        accounts=(
            AccountSpec(
                address=USER,
                equity=Decimal(1_000),
                agents=(AgentSpec(address=AGENT, name="maker", valid_until_ms=soon),),
            ),
            AccountSpec(address=UNIFIED, equity=Decimal(0), spot=Decimal(250), mode="unifiedAccount"),
            AccountSpec(address=EMPTY, equity=Decimal(0)),
        )
    )
    with LoopbackVenue(config) as served:
        yield served


def status(capsys: pytest.CaptureFixture[str], venue: LoopbackVenue, *more: str) -> tuple[int, Any]:
    """Run the command and return its exit code with the JSON it printed; the error's text where it printed none."""
    code = main(["status", "--url", venue.url, "--json", *more])
    printed = capsys.readouterr()
    return code, json.loads(printed.out) if printed.out else printed.err


def test_a_healthy_venue_shows_clock_market_account_and_limits(
    capsys: pytest.CaptureFixture[str], venue: LoopbackVenue
) -> None:
    code, found = status(capsys, venue, "--user", USER)
    assert (code, found["state"], found["problems"]) == (0, "healthy", [])
    assert abs(found["venue"]["clock_offset_ms"]) < 500
    market = found["market"]
    assert (market["dex_index"], market["asset_id"], market["collateral"]) == (5, 150_000, "USDH")
    assert (market["tick"], market["lot"], market["growth_mode"]) == ("0.01", "0.001", True)
    assert Decimal(market["bid"]) < Decimal(market["ask"])
    account = found["account"]
    assert (account["mode"], Decimal(account["equity"]), account["margin_ratio"]) == ("disabled", 1_000, 0.0)
    # 0.015 % and 0.045 %, twice as much on a builder's dex, a tenth of it in growth mode
    assert {name: Decimal(rate) for name, rate in account["fees"].items()} == {
        "maker": Decimal("0.00003"),
        "taker": Decimal("0.00009"),
    }
    assert account["actions"]["left"] == 10_000
    assert [agent["address"] for agent in account["agents"]] == [AGENT]


def test_a_run_file_s_own_network_market_and_account_are_asked(
    capsys: pytest.CaptureFixture[str], venue: LoopbackVenue, tmp_path: Path
) -> None:
    path = tmp_path / "testnet.yaml"
    # its data come from elsewhere
    raw = {
        "name": "t",
        "mode": "testnet",
        "market": {"candidates": ["xyz:SP500", "km:US500"]},
        "data": {"url": "http://127.0.0.1:1"},
        "live": {"user": USER, "url": venue.url},
    }
    path.write_text(json.dumps(raw))
    main(["status", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["url"], found["market"]["coin"]) == (venue.url, "xyz:SP500")
    assert found["account"]["address"] == USER
    main(["status", str(path), "--json", "--coin", "km:US500", "--user", EMPTY])
    found = json.loads(capsys.readouterr().out)
    assert (found["market"]["coin"], found["account"]["address"]) == ("km:US500", EMPTY)


def test_the_table_names_the_venue_and_says_healthy(
    capsys: pytest.CaptureFixture[str], venue: LoopbackVenue
) -> None:
    assert main(["status", "--url", venue.url]) == 0
    printed = capsys.readouterr().out
    assert venue.url in printed
    assert printed.rstrip().endswith("healthy")


def test_in_unified_mode_the_spot_balance_is_the_account(
    capsys: pytest.CaptureFixture[str], venue: LoopbackVenue
) -> None:
    code, found = status(capsys, venue, "--user", UNIFIED)
    assert (code, found["account"]["mode"]) == (0, "unifiedAccount")
    assert Decimal(found["account"]["equity"]) == 250


def test_an_account_without_collateral_is_degraded(
    capsys: pytest.CaptureFixture[str], venue: LoopbackVenue
) -> None:
    code, found = status(capsys, venue, "--user", EMPTY)
    assert code == 1
    assert found["problems"] == ["there is no USDH in the dex 'km'"]


def test_a_delisted_market_is_degraded(capsys: pytest.CaptureFixture[str], venue: LoopbackVenue) -> None:
    venue.call(lambda exchange: exchange.delist("km:US500"))
    code, found = status(capsys, venue)
    assert (code, found["market"]["is_listed"]) == (1, False)
    assert "km:US500 is delisted" in found["problems"]


def test_a_market_at_its_cap_is_degraded(capsys: pytest.CaptureFixture[str], venue: LoopbackVenue) -> None:
    venue.call(lambda exchange: exchange.set_oi_cap("km:US500", True))
    code, found = status(capsys, venue)
    assert code == 1
    assert any("open-interest cap" in problem for problem in found["problems"])


def test_a_one_sided_book_is_degraded(capsys: pytest.CaptureFixture[str], venue: LoopbackVenue) -> None:
    venue.faults.set("no_bids", times=-1)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        code, found = status(capsys, venue)
        if code:
            break
    assert found["problems"] == ["the book of km:US500 has no bids"]


def test_a_clock_that_is_off_is_degraded(capsys: pytest.CaptureFixture[str]) -> None:
    with LoopbackVenue(VenueConfig(clock_offset_ms=3_000)) as venue:
        code, found = status(capsys, venue)
    assert code == 1
    assert 2_500 < found["venue"]["clock_offset_ms"] < 3_500
    assert "set the clock" in found["problems"][0]


def test_an_agent_close_to_its_end_is_degraded(capsys: pytest.CaptureFixture[str]) -> None:
    soon = time.time_ns() // 1_000_000 + 2 * DAY_MS
    account = AccountSpec(
        address=USER,
        equity=Decimal(1_000),
        agents=(AgentSpec(address=AGENT, name="maker", valid_until_ms=soon),),
    )
    with LoopbackVenue(VenueConfig(accounts=(account,))) as venue:
        code, found = status(capsys, venue, "--user", USER)
    assert code == 1
    assert found["problems"] == [f"the agent {AGENT} ends in 2.0 days"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        pytest.param("--coin", "km:NOPE", "km has km:US500", id="unknown coin"),
        pytest.param("--coin", "nope:US500", "the venue has", id="unknown dex"),
        pytest.param("--user", "0x12", "0x and 40 hex digits", id="no address"),
        pytest.param("--user", "0x" + "4c" * 32, "'(not shown)' is no address", id="a key in its place"),
        pytest.param("--user", AGENT, f"an agent of {USER}", id="an agent's address"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], venue: LoopbackVenue, option: str, value: str, said: str
) -> None:
    code, printed = status(capsys, venue, option, value)
    assert code == 2
    assert said in printed
    assert printed.count("\n") == 1


def test_an_address_that_is_no_url_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--url", "ftp://x"]) == 2
    assert "--url" in capsys.readouterr().err


def test_a_venue_that_refuses_connections_is_unreachable_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert main(["status", "--url", f"http://127.0.0.1:{port}", "--json"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert found["state"] == "unreachable"
    assert "127.0.0.1" in found["reason"]


def test_a_venue_that_accepts_and_says_nothing_is_unreachable_in_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        assert main(["status", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}"]) == 4
        # a liveness bound: the command's own patience is 8 s
        assert time.monotonic() - began < 30
    assert capsys.readouterr().out.startswith("unreachable: ")


def test_a_venue_that_answers_nonsense_is_unreachable(
    capsys: pytest.CaptureFixture[str], venue: LoopbackVenue
) -> None:
    venue.faults.set("bad_json", times=-1)
    code, found = status(capsys, venue)
    assert (code, found["state"]) == (4, "unreachable")
