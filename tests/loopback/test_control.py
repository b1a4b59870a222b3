"""The control endpoint: who may use it, and what it does."""

import httpx
import pytest

from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import AgentSpec
from tests.loopback.venue_scene import COIN
from tests.loopback.venue_scene import START_MS
from tests.loopback.venue_scene import Socket
from tests.loopback.venue_scene import Trader
from tests.loopback.venue_scene import ask
from tests.loopback.venue_scene import control
from tests.loopback.venue_scene import eventually
from tests.loopback.venue_scene import order
from tests.loopback.venue_scene import still_venue


AGENT = "0x" + "a9" * 20
MASTER = "0x" + "b8" * 20


@pytest.fixture
def venue():
    account = AccountSpec(address=MASTER, agents=(AgentSpec(address=AGENT, name="bot"),))
    with still_venue(accounts=(account,)) as running:
        yield running


def do(venue, what, **more):
    reply = control(venue, "/do", {"what": what, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()["result"]


@pytest.mark.parametrize("path", ["/state", "/faults"])
@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_nothing_is_told_without_the_token(venue, path, token):
    reply = httpx.get(
        venue.control_url + path, headers=[("X-Control-Token", token.encode())], trust_env=False
    )
    assert reply.status_code == 401
    assert venue.control_token not in reply.text


@pytest.mark.parametrize("path", ["/faults", "/faults/clear", "/do"])
def test_nothing_is_done_without_the_token(venue, path):
    body = {"name": "too_many", "what": "delist"}
    assert httpx.post(venue.control_url + path, json=body, trust_env=False).status_code == 401
    assert venue.faults.report()["ordered"] == {}
    assert not venue.universe.is_delisted(COIN)


def test_another_host_name_is_forbidden_even_with_the_token(venue):
    assert control(venue, "/state", Host="example.org").status_code == 403
    port = venue.control_url.rpartition(":")[2]
    assert control(venue, "/state", Host=f"localhost:{port}").status_code == 200


def test_the_control_endpoint_is_not_on_the_venue_s_port(venue):
    assert httpx.get(venue.url + "/state", trust_env=False).status_code == 404
    assert venue.control_url != venue.url


def test_faults_are_set_counted_and_cleared(venue):
    control(venue, "/faults", {"name": "too_many", "times": 2, "only": "perpDexs"})
    assert ask(venue, type="perpDexs").status_code == 429
    told = control(venue, "/faults").json()
    assert (told["ordered"]["too_many"]["times"], told["struck"]) == (1, {"too_many": 1})
    assert control(venue, "/faults/clear", {}).json()["ordered"] == {}
    assert ask(venue, type="perpDexs").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"name": "noSuchFault"},
        {"times": 1},
        {"name": "too_many", "rate": 2},
        {"name": "too_many", "times": -2},
        {"name": "too_many", "often": 1},
        {"name": "too_many", "rate": "high"},
    ],
)
def test_a_fault_that_is_none_is_told(venue, body):
    reply = control(venue, "/faults", body)
    assert reply.status_code == 400
    assert reply.json()["error"]
    assert venue.faults.report()["ordered"] == {}


@pytest.mark.parametrize(
    "body",
    [
        {"what": "dance"},
        {},
        {"what": "delist", "coin": "km:NONE"},
        {"what": "move", "mid": "-1"},
        {"what": "move", "mid": 700},
        {"what": "take", "side": "up", "size": "1"},
        {"what": "mode", "user": "0x" + "0" * 40, "mode": "disabled"},
        {"what": "mode", "user": MASTER, "mode": "noSuchMode"},
        {"what": "expire_agent", "agent": MASTER},
        {"what": "clock", "offset_ms": "1"},
        {"what": "advance", "ms": -1},
    ],
)
def test_a_command_that_is_none_is_told(venue, body):
    assert control(venue, "/do", body).status_code == 400


def test_a_body_that_is_not_an_object_is_told(venue):
    headers = {"X-Control-Token": venue.control_token}
    for content in (b"{", b"[1]"):
        url = venue.control_url + "/do"
        assert httpx.post(url, content=content, headers=headers, trust_env=False).status_code == 400


def test_the_market_moves_and_trades_by_command(venue):
    do(venue, "move", mid="700")
    do(venue, "take", side="buy", size="0.5")
    assert do(venue, "advance", ms=3_500) == 50
    told = control(venue, "/state").json()
    assert (told["ctx"]["midPx"], told["ctx"]["oraclePx"]) == ("700.0", "700.0")
    assert told["time"] == START_MS + 3_500
    assert ask(venue, type="recentTrades", coin=COIN).json()[0]["sz"] == "0.5"


def test_a_market_is_halted_resumed_and_delisted_by_command(venue):
    trader = Trader(venue)
    do(venue, "halt")
    assert "error" in trader.place(order())[0]
    do(venue, "resume")
    do(venue, "advance", ms=140)
    assert "resting" in trader.place(order())[0]
    do(venue, "delist")
    (meta,) = ask(venue, type="meta", dex="km").json()["universe"]
    assert meta["isDelisted"] is True
    assert ask(venue, type="openOrders", user=trader.address, dex="km").json() == []
    assert ask(venue, type="l2Book", coin=COIN).json()["levels"] == [[], []]


def test_a_position_is_deleveraged_by_command_and_nothing_else_of_the_account(venue):
    trader = Trader(venue)
    assert do(venue, "deleverage", user=trader.address) == "0"
    assert "filled" in trader.place(order(px="691", sz="0.5", tif="Ioc"))[0]
    assert "resting" in trader.place(order())[0]
    user = {"user": trader.address, "dex": "km"}
    before = ask(venue, type="clearinghouseState", **user).json()
    interest = venue.exchange.ctx(COIN)["openInterest"]

    assert do(venue, "deleverage", user=trader.address) == "0.5"

    after = ask(venue, type="clearinghouseState", **user).json()
    assert after["assetPositions"] == []
    # closed at the mark without a fee: the account is worth what it was
    assert after["marginSummary"]["accountValue"] == before["marginSummary"]["accountValue"]
    assert len(ask(venue, type="openOrders", **user).json()) == 1
    closing = ask(venue, type="userFills", user=trader.address).json()[0]
    assert (closing["dir"], closing["fee"], closing["side"]) == ("Auto-Deleveraging", "0.0", "A")
    assert closing["px"] == venue.exchange.ctx(COIN)["markPx"]
    # somebody else holds it now
    assert venue.exchange.ctx(COIN)["openInterest"] == interest
    assert trader.address.lower() not in venue.call(lambda _: venue.accounts.users_with_position(COIN))


def test_an_agent_expires_and_a_mode_is_switched_by_command(venue):
    assert [each["name"] for each in ask(venue, type="extraAgents", user=MASTER).json()] == ["bot"]
    do(venue, "expire_agent", agent=AGENT)
    assert ask(venue, type="extraAgents", user=MASTER).json() == []
    assert ask(venue, type="userAbstraction", user=MASTER).json() == "disabled"
    do(venue, "mode", user=MASTER, mode="unifiedAccount")
    assert ask(venue, type="userAbstraction", user=MASTER).json() == "unifiedAccount"


def test_a_deposit_and_a_clock_offset_show(venue):
    do(venue, "deposit", user=MASTER, amount="250")
    state = ask(venue, type="clearinghouseState", user=MASTER, dex="km").json()
    assert state["marginSummary"]["accountValue"] == "1250.0"
    do(venue, "clock", offset_ms=4_000)
    assert ask(venue, type="exchangeStatus").json()["time"] == START_MS + 4_000
    # blocks do not go back: time stands until it is caught up
    do(venue, "clock", offset_ms=0)
    do(venue, "advance", ms=3_500)
    assert ask(venue, type="exchangeStatus").json()["time"] == START_MS + 4_000
    do(venue, "advance", ms=700)
    assert ask(venue, type="exchangeStatus").json()["time"] == START_MS + 4_200


def test_sockets_are_cut_and_the_door_is_shut_by_command(venue):
    with Socket(venue) as client:
        client.settle()
        assert control(venue, "/state").json()["sockets"] == 1
        assert do(venue, "cut") == 1
        client.closed()
    eventually(lambda: venue.socket_count == 0)
    do(venue, "shut")
    with pytest.raises(httpx.ConnectError):
        ask(venue, type="perpDexs")
    do(venue, "reopen")
    assert ask(venue, type="perpDexs").status_code == 200


def test_the_oracle_and_the_cap_are_set_by_command(venue):
    do(venue, "advance", ms=2_800)
    do(venue, "oracle", px="691")
    assert control(venue, "/state").json()["ctx"]["oraclePx"] == "691.0"
    do(venue, "oi_cap", on=True)
    assert ask(venue, type="perpsAtOpenInterestCap", dex="km").json() == [COIN]
