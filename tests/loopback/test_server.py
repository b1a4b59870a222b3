"""The venue's HTTP doors: its status codes and texts, signed actions, and what goes wrong on order."""

import asyncio
import email.utils
import gc
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
import pytest

from hyperliquid_loopback.server import LoopbackServer
from tests.loopback.venue_scene import COIN
from tests.loopback.venue_scene import START_MS
from tests.loopback.venue_scene import D
from tests.loopback.venue_scene import Trader
from tests.loopback.venue_scene import ask
from tests.loopback.venue_scene import eventually
from tests.loopback.venue_scene import order
from tests.loopback.venue_scene import orders
from tests.loopback.venue_scene import quick_venue
from tests.loopback.venue_scene import still_venue


CLOID = "0x" + "ab" * 16
JSON_TYPE = {"Content-Type": "application/json"}


@pytest.fixture
def venue():
    with still_venue() as running:
        yield running


@pytest.fixture
def trader(venue):
    return Trader(venue)


def open_orders(venue, user):
    return ask(venue, type="frontendOpenOrders", user=user, dex="km").json()


@pytest.mark.parametrize("door", ["info", "exchange"])
@pytest.mark.parametrize(
    ("content", "headers", "status", "text"),
    [
        (b"{", JSON_TYPE, 400, "Failed to parse the request body as JSON"),
        (b"\xff", JSON_TYPE, 400, "Failed to parse the request body as JSON"),
        (
            b"{}",
            {"Content-Type": "text/plain"},
            415,
            "Expected request with `Content-Type: application/json`",
        ),
        (b"{}", JSON_TYPE, 422, "Failed to deserialize the JSON body into the target type"),
        (b"[1]", JSON_TYPE, 422, "Failed to deserialize the JSON body into the target type"),
        (b'{"type":"noSuchType"}', JSON_TYPE, 422, "Failed to deserialize"),
        (b'{"action":{"type":"noSuchType"},"nonce":1}', JSON_TYPE, 422, "Failed to deserialize"),
    ],
)
def test_a_request_that_cannot_be_read_gets_the_venue_s_words(venue, door, content, headers, status, text):
    reply = httpx.post(f"{venue.url}/{door}", content=content, headers=headers, trust_env=False)
    assert reply.status_code == status
    assert reply.text.startswith(text)


def test_the_requests_can_be_looked_at_while_more_arrive(venue, monkeypatch):
    ask(venue, type="allMids", dex="km")
    known, decode = venue._http.requests, msgspec.json.decode

    def decode_late(raw):
        known.append(raw)
        return decode(raw)

    monkeypatch.setattr("hyperliquid_loopback.venue.msgspec.json.decode", decode_late)
    assert [request["type"] for request in venue.requests] == ["allMids"]
    assert venue.request_count == 2


@pytest.mark.parametrize("door", ["info", "exchange"])
def test_a_get_is_not_allowed(venue, door):
    assert httpx.get(f"{venue.url}/{door}", trust_env=False).status_code == 405


def test_an_unknown_dex_is_500_null_and_an_unknown_book_200_null(venue):
    dex, book = ask(venue, type="meta", dex="none"), ask(venue, type="l2Book", coin="km:us500")
    assert (dex.status_code, dex.text, book.status_code, book.text) == (500, "null", 200, "null")


def test_the_thirteenth_hundred_of_weight_within_a_minute_is_429(venue):
    codes = [ask(venue, type="meta", dex="km").status_code for _ in range(61)]
    assert codes == [200] * 60 + [429]
    venue.advance(60_060)
    assert ask(venue, type="meta", dex="km").status_code == 200


def test_a_venue_without_limits_answers_everything():
    with still_venue(limits=False) as free:
        assert {ask(free, type="perpDexs").status_code for _ in range(70)} == {200}


def test_the_date_of_a_reply_is_the_venue_s_time(venue):
    stamp = email.utils.parsedate_to_datetime(ask(venue, type="perpDexs").headers["Date"])
    assert stamp.timestamp() == START_MS // 1_000


def test_a_clock_offset_shows_in_every_time():
    with still_venue(clock_offset_ms=5_000) as ahead:
        assert ask(ahead, type="exchangeStatus").json()["time"] == START_MS + 5_000


def test_only_this_machine_is_served(venue):
    assert venue.url.startswith("http://127.0.0.1:")
    assert venue.ws_url == venue.url.replace("http", "ws") + "/ws"


# actions


def test_an_order_is_answered_by_its_block_and_rests(venue, trader):
    body = trader.request(orders(order(cloid=CLOID)))
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(trader.post, body)
        eventually(lambda: len(venue.requests) == 1)
        assert open_orders(venue, trader.address) == []
        assert not reply.done()
        venue.advance(70)
        statuses = reply.result(10).json()["response"]["data"]["statuses"]
    (resting,) = open_orders(venue, trader.address)
    assert statuses == [{"resting": {"oid": resting["oid"], "cloid": CLOID}}]
    assert (resting["limitPx"], resting["sz"], resting["tif"]) == ("689.5", "0.1", "Alo")


def test_an_action_signed_by_a_stranger_is_refused_in_the_venue_s_words(venue, trader):
    body = trader.request(orders(order()))
    body["nonce"] += 1
    reply = trader.post(body)
    assert (reply.status_code, reply.json()["status"]) == (200, "err")
    text = reply.json()["response"]
    assert text.startswith("User or API Wallet 0x")
    assert text.endswith(" does not exist.")


def test_a_nonce_is_used_once(venue, trader):
    body = trader.request({"type": "noop"})
    assert trader.answer(body).json() == {"status": "ok", "response": {"type": "default"}}
    assert trader.post(body).json()["response"] == f"Invalid nonce: duplicate nonce {body['nonce']}"


def test_an_expired_action_costs_five_of_the_address_limit(venue, trader):
    reply = trader.send(orders(order()), expires_after_ms=venue.now_ms - 1)
    assert reply == {"status": "err", "response": "Action already expired"}
    assert ask(venue, type="userRateLimit", user=trader.address).json()["nRequestsUsed"] == 5


@pytest.mark.parametrize(
    "spoil",
    [
        {"nonce": "1"},
        {"nonce": -1},
        {"signature": None},
        {"signature": {"r": 1, "s": "0x1", "v": 27}},
        {"vaultAddress": 5},
        {"expiresAfter": "soon"},
        {"action": {"type": "order", "orders": [{}], "grouping": "na"}},
    ],
)
def test_an_action_without_its_shape_is_422(venue, trader, spoil):
    reply = trader.post({**trader.request(orders(order())), **spoil})
    assert reply.status_code == 422


def test_a_batch_weighs_one_and_one_for_every_forty(venue, trader):
    spent = []
    for count in (39, 40):
        before = 1_200 - _weight_left(venue)
        trader.place(*[order() for _ in range(count)])
        spent.append(1_200 - _weight_left(venue) - before)
    # 2 of each difference is the look at exchangeStatus itself
    assert [each - 2 for each in spent] == [1, 2]


def _weight_left(venue):
    ask(venue, type="exchangeStatus")
    return 1_200 - venue.call(lambda _: venue.limits.weight_used(venue.now_ms))


# faults


def test_lost_ack_leaves_the_order_live_without_a_reply(venue, trader):
    venue.faults.set("lost_ack", only="order")
    body = trader.request(orders(order(cloid=CLOID)))
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(trader.post, body, 0.5)
        eventually(lambda: len(venue.requests) == 1)
        venue.advance(70)
        with pytest.raises(httpx.ReadTimeout):
            reply.result(10)
    found = ask(venue, type="orderStatus", user=trader.address, oid=CLOID).json()
    assert (found["status"], found["order"]["status"]) == ("order", "open")
    assert venue.faults.struck["lost_ack"] == 1


@pytest.mark.parametrize(("fault", "live"), [("drop", 0), ("drop_after", 1)])
def test_a_connection_is_dropped_before_or_after_the_order_is_taken(venue, trader, fault, live):
    venue.faults.set(fault, only="exchange")
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(trader.post, trader.request(orders(order())))
        with pytest.raises(httpx.HTTPError):
            trader.wait(reply)
    assert len(open_orders(venue, trader.address)) == live


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("too_many", 429, "null"),
        ("null_500", 500, "null"),
        ("bad_gateway", 502, "bad gateway"),
        ("unavailable", 503, "service unavailable"),
        ("bad_json", 200, "{"),
        ("empty_reply", 200, ""),
    ],
)
def test_a_fault_strikes_a_read_as_often_as_ordered(venue, fault, status, text):
    venue.faults.set(fault, times=2, only="perpDexs")
    assert ask(venue, type="spotMeta").status_code == 200
    replies = [ask(venue, type="perpDexs") for _ in range(3)]
    assert [(each.status_code, each.text) for each in replies[:2]] == [(status, text)] * 2
    assert replies[2].json()[0] is None
    assert venue.faults.struck[fault] == 2


@pytest.mark.parametrize("fault", ["bad_json", "empty_reply"])
def test_a_spoiled_answer_to_an_action_comes_after_it_was_done(venue, trader, fault):
    venue.faults.set(fault, only="order")
    assert trader.answer(trader.request(orders(order()))).text in {"{", ""}
    assert len(open_orders(venue, trader.address)) == 1


@pytest.mark.parametrize("fault", ["too_many", "null_500", "bad_gateway", "unavailable"])
def test_a_refused_action_was_not_done(venue, trader, fault):
    venue.faults.set(fault, only="exchange")
    assert trader.post(trader.request(orders(order()))).status_code >= 429
    assert open_orders(venue, trader.address) == []


def test_a_nonce_collision_spends_the_nonce_and_does_nothing(venue, trader):
    venue.faults.set("nonce_collision")
    body = trader.request(orders(order()))
    for _ in range(2):
        assert trader.post(body).json()["response"] == f"Invalid nonce: duplicate nonce {body['nonce']}"
    assert open_orders(venue, trader.address) == []


def test_after_an_upgrade_only_post_only_orders_are_taken(venue, trader):
    venue.faults.set("post_only_phase", times=-1)
    refused = trader.send(orders(order(px="691", tif="Ioc")))
    assert refused["response"] == "Only post-only orders allowed immediately after network upgrade"
    assert "resting" in trader.place(order())[0]
    venue.faults.clear("post_only_phase")
    assert "filled" in trader.place(order(px="691", tif="Ioc"))[0]


def test_a_delay_before_leaves_the_action_undone_until_it_is_over():
    with quick_venue() as venue:
        trader = Trader(venue)
        venue.faults.set("delay", value=150, only="exchange")
        with ThreadPoolExecutor(1) as pool:
            reply = pool.submit(trader.post, trader.request(orders(order())))
            eventually(lambda: venue.faults.struck["delay"] == 1)
            assert venue.requests == []
            assert "resting" in reply.result(10).json()["response"]["data"]["statuses"][0]


def test_a_delayed_reply_is_of_an_order_that_is_live():
    with quick_venue() as venue:
        trader = Trader(venue)
        venue.faults.set("delay_reply", value=60_000, only="order")
        with pytest.raises(httpx.ReadTimeout):
            trader.post(trader.request(orders(order())), timeout=0.5)
        assert len(open_orders(venue, trader.address)) == 1


@pytest.mark.timeout(10)
def test_closing_does_not_wait_for_a_lost_reply():
    failed = threading.Event()
    with quick_venue() as venue:
        trader = Trader(venue)
        venue.faults.set("lost_ack")

        def call():
            try:
                trader.post(trader.request(orders(order())), timeout=30)
            except httpx.HTTPError:
                failed.set()

        caller = threading.Thread(target=call)
        caller.start()
        eventually(lambda: venue.faults.struck["lost_ack"] == 1)
    caller.join(5)
    assert failed.is_set()


def test_chances_come_from_the_seed():
    def struck(seed):
        with still_venue(seed=seed, limits=False) as venue:
            venue.faults.set("too_many", times=-1, rate=0.5)
            return [ask(venue, type="perpDexs").status_code for _ in range(12)]

    assert struck(3) == struck(3)
    assert set(struck(3)) == {200, 429}
    assert struck(3) != struck(4)


def test_a_fault_can_pass_over_the_first_and_then_every_other(venue):
    venue.faults.set("too_many", times=-1, skip=2, every=1)
    assert [ask(venue, type="perpDexs").status_code for _ in range(6)] == [200, 200, 429, 200, 429, 200]


def test_a_shut_door_refuses_new_connections_until_it_is_open_again(venue):
    venue.run(venue.shut())
    with pytest.raises(httpx.ConnectError):
        ask(venue, type="perpDexs")
    venue.run(venue.reopen())
    assert ask(venue, type="perpDexs").status_code == 200


@pytest.mark.parametrize(
    ("fault", "levels"), [("no_bids", (0, 5)), ("no_asks", (5, 0)), ("empty_book", (0, 0))]
)
def test_the_house_leaves_one_side_or_both_and_comes_back(venue, fault, levels):
    venue.faults.set(fault, times=-1)
    venue.advance(70)
    assert tuple(map(len, _levels(venue))) == levels
    venue.faults.clear()
    venue.advance(70)
    assert tuple(map(len, _levels(venue))) == (5, 5)


def _levels(venue):
    return ask(venue, type="l2Book", coin=COIN).json()["levels"]


def test_a_stale_oracle_stays_while_the_market_moves_on(venue):
    venue.faults.set("stale_oracle", times=-1)
    venue.flow.move(D(700))
    venue.advance(4_200)
    ctx = venue.call(lambda exchange: exchange.ctx(COIN))
    assert (ctx["oraclePx"], ctx["midPx"]) == ("690.0", "700.0")
    venue.faults.clear()
    venue.advance(3_500)
    assert venue.call(lambda exchange: exchange.ctx(COIN))["oraclePx"] == "700.0"


def test_a_failed_block_ends_the_venue_and_closing_says_so():
    venue = quick_venue().start()

    def fail(exchange, now_ms):
        raise ArithmeticError("broken")

    venue.flow.step = fail
    eventually(lambda: not venue.is_running)
    with pytest.raises(RuntimeError, match="stopped in a block"):
        venue.close()


def test_a_port_that_is_taken_is_an_error(venue):
    port = int(venue.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address"):
        quick_venue(port=port).start()


def test_a_venue_lives_in_a_loop_that_is_running():
    async def visit():
        async with still_venue() as inside:
            async with httpx.AsyncClient(base_url=inside.url, trust_env=False) as client:
                first = await client.post("/info", json={"type": "exchangeStatus"})
                assert inside.advance(140) == 2
                second = await client.post("/info", json={"type": "exchangeStatus"})
            return first.json()["time"], second.json()["time"], inside.call(lambda exchange: exchange.now_ms)

    assert asyncio.run(visit()) == (START_MS, START_MS + 140, START_MS + 140)


def test_equal_venues_make_equal_markets():
    def run():
        with still_venue(seed=5) as venue:
            trader = Trader(venue)
            trader.place(order(px="691", sz="0.2", tif="Ioc"), order(px="689"))
            venue.advance(700)
            rows = ask(venue, type="userFills", user=trader.address).json()
            return rows, ask(venue, type="recentTrades", coin=COIN).json()

    assert run() == run()


@pytest.mark.parametrize(
    "wrong",
    [
        {"block_ms": 0},
        {"coin": "xyz:SP500"},
        {"flow": "replay"},
        {"equity": D(-1)},
        {"generated_accounts": -1},
    ],
)
def test_a_configuration_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"must|below|needs"):
        still_venue(**wrong)


def test_only_a_manual_clock_is_advanced():
    with quick_venue() as venue, pytest.raises(RuntimeError, match="manual"):
        venue.advance(70)


@pytest.mark.parametrize("turns", range(6))
def test_a_connection_that_comes_while_the_venue_ends_is_closed_with_it(monkeypatch, turns):
    left_open = []
    monkeypatch.setattr(sys, "unraisablehook", lambda about: left_open.append(str(about.exc_value)))

    async def end_just_after_it() -> socket.socket:
        async with LoopbackServer() as server:
            caller = socket.create_connection(("127.0.0.1", httpx.URL(server.url).port))
            for _ in range(turns):
                await asyncio.sleep(0)
        return caller

    with asyncio.run(end_just_after_it()):
        gc.collect()
    assert left_open == []
