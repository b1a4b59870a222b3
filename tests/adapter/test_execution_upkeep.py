"""The execution client over time: the switch, the agent's end, clocks, a full disk, strangers' orders, and what the venue closes itself."""

import asyncio
import os
import time
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model.enums import OrderStatus

from hyperliquid_hip3 import session
from hyperliquid_hip3.clock_offset import ClockState
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.types import Filled
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.exec_scene import AGENT_KEY
from tests.adapter.exec_scene import BUY
from tests.adapter.exec_scene import COIN
from tests.adapter.exec_scene import USER
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side
from tests.adapter.exec_scene import venue_config
from tests.adapter.test_execution_faults import agree
from tests.adapter.test_execution_faults import play
from tests.adapter.test_execution_faults import refused
from tests.adapter.test_execution_faults import trade_by_hand


pytestmark = pytest.mark.live_node

DAY_MS = 86_400_000


def of_kind(side, kind):
    return [notice for notice in side.notices if notice.kind is kind]


# -- the dead-man's switch -----------------------------------------------------------------------------


def test_orders_of_a_qualified_node_that_is_gone_are_gone_within_the_venues_time(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            venue.accounts.holders[USER].limits.on_volume(Decimal(20_000_000), growth=False)
            side = ExecSide(venue, tmp_path / "state", deadman_secs=10)
            await side.start()
            order = side.limit(BUY, "689.00")
            await side.resting(order)
            await eventually(lambda: side.client.session.deadman.is_armed)
            # the node is gone: nothing is closed, nothing sets the switch anew
            for task in side.client.session._tasks:
                task.cancel()
            began = time.monotonic()

            await eventually(lambda: not side.venue_orders(), seconds=14)

            assert time.monotonic() - began <= 11
            await side.stop()

    play(story)


def test_a_node_without_the_volume_leaves_its_orders_and_said_so_at_the_start(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config(clock="manual")) as venue:
            venue.advance(20)
            async with asyncio.TaskGroup() as group:
                # blocks are made for as long as the node runs; its time after that is passed at once
                running = asyncio.Event()

                async def blocks():
                    while not running.is_set():
                        venue.advance(20)
                        await asyncio.sleep(0.005)

                group.create_task(blocks())
                side = ExecSide(venue, tmp_path / "state", deadman_secs=10, expires_after_ms=None)
                await side.start()
                (notice,) = of_kind(side, NoticeKind.DEADMAN)
                assert "the supervisor must cancel" in notice.text
                order = side.limit(BUY, "689.00")
                await side.resting(order)
                for task in side.client.session._tasks:
                    task.cancel()
                running.set()
            venue.advance(70_000)

            assert len(side.venue_orders()) == 1
            assert not [a for a in side.actions() if a["type"] == "scheduleCancel"]
            side.client.session.is_open = False
            await side.stop()

    play(story)


# -- the agent's end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mm", ""])
@pytest.mark.parametrize(("days", "words"), [(13.5, "14 days"), (2.5, "3 days"), (0.5, "1 day"), (20, None)])
def test_the_agents_end_is_known_named_or_not_and_told_in_time(tmp_path, name, days, words):
    async def story():
        end = time.time_ns() // 1_000_000 + int(days * DAY_MS)
        agent = AgentSpec(address=SecretKey(AGENT_KEY).address, name=name, valid_until_ms=end)
        fast = Cadences(user_state_ms=100)
        async with exec_side(tmp_path, venue=venue_config(agents=(agent,), cadences=fast)) as side:
            assert side.client.session.agent_valid_until_ns == end * 1_000_000
            told = of_kind(side, NoticeKind.AGENT_EXPIRES)
            assert [words in notice.text for notice in told] == ([] if words is None else [True])

    play(story)


def test_the_feed_that_tells_an_unnamed_agents_end_is_given_up_again(tmp_path):
    async def story():
        agent = AgentSpec(address=SecretKey(AGENT_KEY).address, name="")
        fast = Cadences(user_state_ms=20)
        async with exec_side(tmp_path, venue=venue_config(agents=(agent,), cadences=fast)) as side:
            kinds = {wanted.kind for wanted in side.ex(lambda _: list(side.venue.feeds._outlets))}
            assert "orderUpdates" in kinds
            await eventually(
                lambda: "webData3" not in {w.kind for w in side.ex(lambda _: list(side.venue.feeds._outlets))}
            )
            assert side.client.session.agent_valid_until_ns is not None

    play(story)


def test_an_agent_that_has_ended_is_refused(tmp_path):
    async def story():
        past = time.time_ns() // 1_000_000 - 1
        agent = AgentSpec(address=SecretKey(AGENT_KEY).address, name="", valid_until_ms=past)
        async with LoopbackVenue(venue_config(agents=(agent,))) as venue:
            side = await refused(tmp_path, venue)
            assert "must be an agent" in side.error

    play(story)


# -- clocks --------------------------------------------------------------------------------------------


async def measured(side, state) -> None:
    """Measure the venue's clock until the median says so."""
    async with asyncio.timeout(15.0):
        while side.rest.clock.state is not state:
            await side.rest.exchange_status()
            # each costs weight of the minute
            await asyncio.sleep(0.05)


def test_a_clock_that_is_off_pauses_all_but_cancels_and_trading_comes_back(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            resting = side.limit(BUY, "689.00")
            await side.resting(resting)
            side.venue.clock.offset_ms = 3_000
            await measured(side, ClockState.PAUSE)

            order = side.limit(BUY, "688.00")
            side.submit(order)
            await eventually(lambda: order.is_closed)
            assert order.status == OrderStatus.DENIED
            assert "CLOCK_OFF" in order.last_event.reason
            side.cancel(resting)
            await eventually(lambda: resting.is_closed)
            cancel = [request for request in side.venue.requests if "action" in request][-1]
            assert cancel["action"]["type"] == "cancelByCloid"
            assert cancel.get("expiresAfter") is None
            # blocks never go back: the venue's time stands until ours has come to it
            side.venue.clock.offset_ms = 0
            await measured(side, ClockState.GOOD)
            again = side.limit(BUY, "688.00")
            await eventually(lambda: side.client.session.sender.hold_reason is None)
            await side.resting(again)
            sent = [request for request in side.venue.requests if "action" in request][-1]
            assert sent["expiresAfter"] > side.venue.now_ms - 1_000

    play(story)


def test_a_venue_with_an_offset_clock_is_paused_from_the_start(tmp_path):
    async def story():
        async with exec_side(tmp_path, venue=venue_config(clock_offset_ms=-2_500)) as side:
            order = side.limit(BUY, "689.00")
            side.submit(order)
            await eventually(lambda: order.is_closed)

            assert order.status == OrderStatus.DENIED
            await eventually(lambda: of_kind(side, NoticeKind.CLOCK_OFF))
            assert of_kind(side, NoticeKind.CLOCK_OFF)[0].is_alarm

    play(story)


def test_what_runs_at_regular_times_ends_with_the_client_and_not_as_canceled(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            jobs = list(side.client.session._tasks)
            assert len(jobs) == 6
            # the dead-man's switch is off here
            assert sum(not job.done() for job in jobs) == 5
        assert all(job.done() and not job.cancelled() and job.exception() is None for job in jobs)

    play(story)


# -- a full disk ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [0, 7], ids=["nothing", "a part"])
def test_on_a_full_disk_trading_goes_on_and_nothing_is_half_written(tmp_path, monkeypatch, taken):
    # each nonce is written, none is within a reserve
    monkeypatch.setattr(session, "NONCE_RESERVE", 0)

    async def story():
        async with exec_side(tmp_path) as side:
            first = side.limit(BUY, "689.00")
            await side.resting(first)
            files = {
                path: path.read_bytes() for path in (tmp_path / "state").iterdir() if "nonce" not in path.name
            }
            whole = os.write

            def full(descriptor, content):
                if not Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(tmp_path):
                    return whole(descriptor, content)
                if not taken:
                    raise OSError(28, "No space left on device")
                return whole(descriptor, content[:taken])

            with monkeypatch.context() as patch:
                patch.setattr(os, "write", full)
                patch.setattr(
                    os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
                )
                orders = [side.limit(BUY, f"68{n}.00") for n in range(3)]
                await side.resting(*orders)
                taker = side.market(BUY, "0.100")
                side.submit(taker)
                await eventually(lambda: side.net() == Decimal("0.1"))
                assert {path: path.read_bytes() for path in files} == files
                told = of_kind(side, NoticeKind.STORAGE)
                assert all(notice.is_alarm for notice in told)
                assert len(told) == len({notice.text.partition("cannot")[0] for notice in told}) == 3
                await agree(side)
            # there is room again: what was kept in memory is written
            later = side.limit(BUY, "679.00")
            await side.resting(later)
            side.submit(side.market(BUY, "0.100"))
            await eventually(lambda: side.net() == Decimal("0.2"))
            await agree(side)
            wanted = [*orders, later]
            (book,) = [path for path in files if path.name.startswith("orders-")]
            lines = book.read_text().splitlines()
            assert {order.client_order_id.value for order in wanted} <= {line.split(" ")[1] for line in lines}
            assert all(len(line.split(" ")) == 2 for line in lines)
            (fills,) = [path for path in files if path.name.startswith("fills-")]
            await eventually(lambda: len(fills.read_text().splitlines()) == 2)

    play(story)


# -- strangers and the venue ---------------------------------------------------------------------------


def test_orders_of_others_are_claimed_and_canceled_only_where_that_is_asked_for(tmp_path):
    async def story():
        async with exec_side(tmp_path, adopt_foreign=True) as side:
            trade_by_hand(side, "680", "0.1", is_buy=True)
            await eventually(lambda: side.cache.orders_open(), what="claimed")
            (order,) = side.cache.orders_open()
            assert order.client_order_id.value.startswith("ADOPTED-")
            assert str(order.price) == "680.00"

            side.cancel_all()
            await eventually(lambda: order.is_closed)

            assert order.status == OrderStatus.CANCELED
            assert side.venue_orders() == []

    play(story)


def test_an_order_that_rested_before_the_start_is_claimed_where_that_is_asked_for(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            side = ExecSide(venue, tmp_path / "state", adopt_foreign=True)
            trade_by_hand(side, "680", "0.1", is_buy=True)
            await eventually(lambda: side.venue_orders())
            await side.start()
            (order,) = side.cache.orders_open()

            side.take(-1, "1000", "680")
            await eventually(lambda: order.is_closed or side.net() > 0, what="filled")
            assert str(order.filled_qty) == "0.100"
            await agree(side)
            await side.stop()

    play(story)


@pytest.mark.parametrize("is_on", [True, False])
def test_request_weight_is_bought_only_where_that_is_allowed(tmp_path, is_on):
    async def story():
        async with exec_side(tmp_path, buy_weight=is_on) as side:
            answers = []
            side.msgbus.subscribe(side.config.weight_answer_topic, answers.append)
            side.msgbus.publish(side.config.weight_topic, 500)
            await eventually(lambda: answers)
            assert answers == [(500, "refused")]
            if not is_on:
                await eventually(lambda: of_kind(side, NoticeKind.RATE_LIMITED))
                assert "`buy_weight` is off" in of_kind(side, NoticeKind.RATE_LIMITED)[0].text
                assert not side.actions()
                return
            await eventually(lambda: side.actions())
            assert side.actions() == [{"type": "reserveRequestWeight", "weight": 500}]
            # the account has no USDC on the validators' dex to pay with: the venue's words are told
            await eventually(lambda: of_kind(side, NoticeKind.RATE_LIMITED))
            assert "were not bought" in of_kind(side, NoticeKind.RATE_LIMITED)[0].text

    play(story)


def test_request_weight_that_can_be_paid_is_there_afterwards(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            accounts = venue.accounts
            accounts.deposit(accounts.holders[USER], "", Decimal(10), venue.now_ms)
            side = ExecSide(venue, tmp_path / "state", buy_weight=True)
            await side.start()
            answers = []
            side.msgbus.subscribe(side.config.weight_answer_topic, answers.append)
            side.msgbus.publish(side.config.weight_topic, 500)

            await eventually(lambda: answers)

            assert answers == [(500, "bought")]
            assert venue.accounts.holders[USER].limits.bought == 500
            # the account is told what the address has left soon after
            await eventually(lambda: side.states[-1].info["actions_used"] <= -499)
            assert (await side.rest.rate_limit(USER)).surplus >= 499
            assert not of_kind(side, NoticeKind.RATE_LIMITED)
            await side.stop()

    play(story)


def test_auto_deleveraging_is_booked_by_its_reason_and_told(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.submit(side.market(BUY, "0.500"))
            await eventually(lambda: side.net() == Decimal("0.5"))

            def deleverage(exchange):
                rows = side.venue.accounts.take_over(USER, COIN, act="adl", ts_ms=side.venue.now_ms)
                exchange.core.events += [Filled(user, row) for user, row in rows]

            side.ex(deleverage)
            await eventually(lambda: side.net() == 0, what="flat")
            await agree(side)

            booked = [o for o in side.cache.orders() if o.client_order_id.value.startswith("ADL-")]
            assert len(booked) == 1
            assert len(booked[0].trade_ids) == 1
            (notice,) = of_kind(side, NoticeKind.LIQUIDATION)
            assert notice.text.startswith("ADL: 0.5 at")
            assert NoticeKind.SECOND_TRADER not in side.kinds()

    play(story)


def test_a_settlement_while_disconnected_is_booked_once_at_the_venues_price(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.submit(side.market(BUY, "0.500"))
            await eventually(lambda: side.net() == Decimal("0.5"))
            side.venue.faults.set("ws_refuse", times=2)
            side.venue.cut_sockets()
            side.ex(lambda exchange: exchange.halt(COIN))

            await eventually(lambda: NoticeKind.RECONCILED in side.kinds(), what="reconciled")
            await eventually(lambda: side.net() == 0, what="flat")
            await agree(side)

            (booked,) = [o for o in side.cache.orders() if o.client_order_id.value.startswith("SETTLEMENT-")]
            fills = side.ex(lambda _: side.venue.accounts.user_fills(USER))
            (settled,) = [row for row in fills if row["dir"] == "Settlement"]
            assert Decimal(str(booked.avg_px)) == Decimal(settled["px"])
            assert len(booked.trade_ids) == 1

    play(story)


def test_what_cannot_be_opened_is_refused_at_the_start(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            side = ExecSide(venue, tmp_path / "state")
            (tmp_path / "state").mkdir()
            (tmp_path / "state" / f"orders-{USER}-km").mkdir()
            side.engine.start()
            with pytest.raises(HyperliquidError, match="cannot be opened"):
                await side.client._connect()
            side.engine.stop()
            await asyncio.sleep(0.05)

    play(story)
