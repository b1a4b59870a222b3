"""The execution client when things go wrong: lost answers, lost connections, strangers, and what the venue does on its own."""

import asyncio
import time
from decimal import Decimal

import pytest
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import GenerateOrderStatusReports
from nautilus_trader.model.enums import OrderStatus

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.exec_scene import AGENT_KEY
from tests.adapter.exec_scene import BUY
from tests.adapter.exec_scene import COIN
from tests.adapter.exec_scene import IID
from tests.adapter.exec_scene import SELL
from tests.adapter.exec_scene import USER
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side
from tests.adapter.exec_scene import venue_config


pytestmark = pytest.mark.live_node


def play(story) -> None:
    asyncio.run(story())


async def quiet(side: ExecSide) -> None:
    """Wait until the client knows of no doubt."""
    await eventually(lambda: len(side.client.session.desk.doubts) == 0, what="no doubts")


async def agree(side: ExecSide) -> None:
    """Wait until the engine's orders and position are the venue's, and check that no fill was made up or told twice."""
    await quiet(side)
    await eventually(lambda: side.net() == side.venue_position(), what="position")
    await eventually(
        lambda: (
            {str(row["oid"]) for row in side.venue_orders()}
            == {order.venue_order_id.value for order in side.cache.orders_open()}
        ),
        what=f"orders {side.venue_orders()} {side.cache.orders_open()}",
    )
    assert not side.cache.orders_inflight()
    ids = [event.trade_id for event in side.events if type(event).__name__ == "OrderFilled"]
    assert len(ids) == len(set(ids))


def order_action(price: str, size: str, *, is_buy: bool, tif: str = "Gtc") -> dict:
    row = {"a": 150000, "b": is_buy, "p": price, "s": size, "r": False, "t": {"limit": {"tif": tif}}}
    return {"type": "order", "orders": [row], "grouping": "na"}


def trade_by_hand(side: ExecSide, price: str, size: str, *, is_buy: bool, tif: str = "Gtc") -> None:
    """Somebody else with the same account."""
    side.ex(
        lambda exchange: exchange.submit(
            order_action(price, size, is_buy=is_buy, tif=tif),
            user=USER,
            now_ms=side.venue.now_ms,
            expires_after=None,
            reply=lambda _: None,
        )
    )


# -- no answer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost_ack", "drop_after", "bad_json", "empty_reply"])
def test_an_order_whose_answer_is_lost_is_found_and_not_sent_again(tmp_path, fault):
    async def story():
        async with exec_side(tmp_path) as side:
            side.venue.faults.set(fault, only="order")
            order = side.limit(BUY, "689.50")

            side.submit(order)
            await eventually(lambda: order.is_open and order.venue_order_id is not None)
            await agree(side)

            assert side.of(order) == ["OrderSubmitted", "OrderAccepted"]
            assert [a["type"] for a in side.actions()] == ["order"]

    play(story)


def test_an_order_whose_answer_and_news_are_lost_is_found_by_a_query(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.venue.faults.set("lost_ack", only="order")
            side.venue.faults.set("ws_drop", only="orderUpdates", times=-1)
            order = side.limit(BUY, "689.50")

            side.submit(order)
            await eventually(lambda: order.is_open and order.venue_order_id is not None)

            assert side.of(order) == ["OrderSubmitted", "OrderAccepted"]

    play(story)


def test_an_order_whose_number_is_not_heard_of_yet_is_not_reported_under_another(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.venue.faults.set("delay_reply", only="order", value=800)
            side.venue.faults.set("ws_drop", only="orderUpdates")
            order = side.limit(BUY, "689.00")
            side.submit(order)
            await eventually(side.venue_orders)
            command = GenerateOrderStatusReports(IID, None, None, True, UUID4(), 0)
            reports = await side.client.generate_order_status_reports(command)

            assert order.venue_order_id is None
            assert reports == []
            await eventually(lambda: order.is_open)

    play(story)


@pytest.mark.parametrize("fault", ["drop", "bad_gateway", "unavailable"])
def test_an_order_that_never_arrived_is_rejected_only_when_it_no_longer_can(tmp_path, fault):
    async def story():
        async with exec_side(tmp_path) as side:
            side.venue.faults.set(fault, only="order")
            order = side.limit(BUY, "689.50")

            side.submit(order)
            await asyncio.sleep(0.5)
            assert order.status == OrderStatus.SUBMITTED
            await eventually(lambda: order.is_closed)

            assert order.status == OrderStatus.REJECTED
            assert "did not reach" in order.last_event.reason
            assert NoticeKind.UNKNOWN_OUTCOME in side.kinds()
            await agree(side)

    play(story)


@pytest.mark.parametrize("fault", ["drop", "lost_ack"])
def test_a_modify_without_an_answer_ends_as_the_venue_has_it(tmp_path, fault):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.50")
            await side.resting(order)
            side.venue.faults.set(fault, only="batchModify")
            side.venue.faults.set("ws_drop", only="orderUpdates", times=2)

            side.modify(order, price="689.60")
            await eventually(lambda: order.status == OrderStatus.ACCEPTED)
            await agree(side)

            (resting,) = side.venue_orders()
            assert Decimal(str(order.price)) == Decimal(resting["limitPx"])
            landed = fault == "lost_ack"
            assert side.of(order)[-1] == ("OrderUpdated" if landed else "OrderModifyRejected")

    play(story)


@pytest.mark.parametrize("fault", ["drop", "lost_ack"])
def test_a_cancel_without_an_answer_is_done_in_the_end_and_told_once(tmp_path, fault):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.50")
            await side.resting(order)
            side.venue.faults.set(fault, only="cancelByCloid")
            side.venue.faults.set("ws_drop", only="orderUpdates", times=2)

            side.cancel(order)
            await eventually(lambda: order.is_closed, what="canceled")

            await agree(side)
            # one that never arrived is repeated, and nobody hears of a failure
            assert side.of(order) == ["OrderSubmitted", "OrderAccepted", "OrderCanceled"]

    play(story)


def test_an_action_without_an_expiry_is_taken_back_by_its_nonce(tmp_path):
    async def story():
        async with exec_side(tmp_path, expires_after_ms=None) as side:
            side.venue.faults.set("drop", only="order")
            order = side.limit(BUY, "689.50")

            side.submit(order)
            await eventually(lambda: order.is_closed)

            assert order.status == OrderStatus.REJECTED
            assert "taken back" in order.last_event.reason
            sent = [r for r in side.venue.requests if "action" in r]
            assert sent[-1]["action"] == {"type": "noop"}

    play(story)


def test_an_action_without_an_expiry_that_ran_is_found(tmp_path):
    async def story():
        async with exec_side(tmp_path, expires_after_ms=None) as side:
            side.venue.faults.set("lost_ack", only="order")
            side.venue.faults.set("ws_drop", only="orderUpdates", times=-1)
            order = side.limit(BUY, "689.50")

            side.submit(order)
            await eventually(lambda: order.is_open and order.venue_order_id is not None)

    play(story)


# -- refusals of the whole -----------------------------------------------------------------------------


def test_too_many_requests_reject_for_certain_and_pause(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.venue.faults.set("too_many", only="order")
            order, later = side.limit(BUY, "689.50"), side.limit(BUY, "689.40")

            side.submit(order)
            await eventually(lambda: order.is_closed)
            side.submit(later)
            await eventually(lambda: later.is_closed)

            assert order.status == OrderStatus.REJECTED
            assert later.status == OrderStatus.DENIED
            assert NoticeKind.RATE_LIMITED in side.kinds()

    play(story)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("agent_unknown", NoticeKind.AGENT_REFUSED), ("post_only_phase", NoticeKind.POST_ONLY_PHASE)],
)
def test_a_refusal_of_the_whole_action_rejects_each_order_and_is_told(tmp_path, fault, kind):
    async def story():
        async with exec_side(tmp_path) as side:
            side.venue.faults.set(fault)
            orders = [side.market(BUY), side.market(BUY)]

            side.submit(*orders)
            side.cycle_end(submits=2)
            await eventually(lambda: all(o.is_closed for o in orders))

            assert [o.status for o in orders] == [OrderStatus.REJECTED] * 2
            assert kind in side.kinds()
            await agree(side)

    play(story)


def test_a_nonce_that_was_used_leaves_the_orders_in_flight_until_asked(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.venue.faults.set("nonce_collision")
            order = side.limit(BUY, "689.50")

            side.submit(order)
            await eventually(lambda: order.is_closed or order.is_open)
            await agree(side)

            assert order.is_closed == (not side.venue_orders())

    play(story)


# -- the connection ------------------------------------------------------------------------------------


def test_fills_while_disconnected_are_booked_once(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "690.00", "0.500")
            await side.resting(order)
            side.venue.faults.set("ws_refuse", times=2)
            side.venue.cut_sockets()
            side.take(-1, "0.2", "690.00")
            side.ex(lambda _: None)

            await eventually(lambda: NoticeKind.RECONCILED in side.kinds(), what="reconciled")
            await agree(side)

            assert str(order.filled_qty) == "0.200"
            assert side.of(order).count("OrderFilled") == 1

    play(story)


def test_a_cancel_by_the_venue_while_disconnected_is_heard_of(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.00")
            await side.resting(order)
            side.venue.cut_sockets()
            side.ex(lambda exchange: exchange.halt(COIN))

            await eventually(lambda: order.is_closed)
            await agree(side)

    play(story)


@pytest.mark.parametrize("fault", ["ws_duplicate", "ws_late"])
def test_frames_twice_or_late_tell_nothing_twice(tmp_path, fault):
    async def story():
        async with exec_side(tmp_path) as side:
            side.venue.faults.set(fault, times=-1, rate=0.5)
            for n in range(5):
                order = side.limit(BUY, "690.00", "0.300")
                await side.resting(order)
                side.take(-1, "0.1", "690.00")
                side.modify(order, price="689.95")
                await asyncio.sleep(0.1)
                if n % 2:
                    side.cancel(order)
                    await eventually(lambda order=order: order.is_closed)
            side.venue.faults.clear()
            await agree(side)

    play(story)


def test_a_fill_races_a_modify_and_the_excess_is_taken_back(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "690.00", "0.500")
            await side.resting(order)
            side.venue.faults.set("ws_late", only="userFills", value=6)
            side.venue.faults.set("ws_drop", only="user", times=1)
            side.take(-1, "0.2", "690.00")

            side.modify(order, price="689.95")
            await eventually(lambda: str(order.filled_qty) == "0.200")
            await agree(side)
            await eventually(lambda: Decimal(side.venue_orders()[0]["sz"]) == Decimal("0.3"))

            await eventually(lambda: str(order.quantity) == "0.500")

    play(story)


# -- what others do ------------------------------------------------------------------------------------


def test_a_refused_modify_that_took_the_place_of_one_of_our_own_is_told(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.50", "0.500")
            await side.resting(order)
            desk = side.client.session.desk
            track = desk.shelf.track(order.client_order_id.value)
            # as after a fill that raced a modify: what is too much is taken back, and has not left yet
            track.wanted = Decimal("0.4")
            desk._trim(track)
            side.modify(order, price="695.00")

            await eventually(lambda: "OrderModifyRejected" in side.of(order), what="told")

    play(story)


def test_an_order_by_hand_is_a_second_trader_and_is_left_alone(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            trade_by_hand(side, "680", "0.1", is_buy=True)
            await eventually(lambda: NoticeKind.SECOND_TRADER in side.kinds())

            side.cancel_all()
            await asyncio.sleep(0.2)

            assert len(side.venue_orders()) == 1
            assert side.cache.orders() == []

    play(story)


def test_a_trade_by_hand_is_booked_exactly_and_by_its_reason(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            trade_by_hand(side, "690.01", "0.3", is_buy=True, tif="Ioc")
            await eventually(lambda: side.net() == Decimal("0.3"))

            (order,) = side.cache.orders()
            assert order.client_order_id.value.startswith("MANUAL-")
            assert order.avg_px == 690.01
            assert len(order.trade_ids) == 1
            assert NoticeKind.SECOND_TRADER in side.kinds()
            await agree(side)

    play(story)


def test_a_settlement_is_booked_by_its_reason(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.submit(side.market(BUY, "0.500"))
            await eventually(lambda: side.net() == Decimal("0.5"))
            order = side.limit(BUY, "689.00")
            await side.resting(order)

            side.ex(lambda exchange: exchange.halt(COIN))
            await eventually(lambda: side.net() == 0 and order.is_closed)

            assert any(o.client_order_id.value.startswith("SETTLEMENT-") for o in side.cache.orders())
            assert NoticeKind.LIQUIDATION in side.kinds()
            await agree(side)

    play(story)


def test_a_liquidation_is_booked_by_its_reason_and_told(tmp_path):
    async def story():
        async with exec_side(tmp_path, venue=venue_config(equity=Decimal(100)), leverage=20) as side:
            side.submit(side.market(BUY, "2.500"))
            await eventually(lambda: side.net() == Decimal("2.5"))

            for mid in ("680", "670", "660", "650", "640"):
                side.ex(lambda _, mid=mid: side.venue.flow.move(Decimal(mid)))
                await asyncio.sleep(0.2)
            await eventually(lambda: side.net() < Decimal("2.5"))
            await agree(side)

            assert any(o.client_order_id.value.startswith("LIQUIDATION-") for o in side.cache.orders())
            assert NoticeKind.LIQUIDATION in side.kinds()

    play(story)


def test_a_qualified_account_arms_the_switch_and_takes_it_back_on_a_clean_stop(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            venue.accounts.holders[USER].limits.on_volume(Decimal(20_000_000), growth=False)
            side = ExecSide(venue, tmp_path / "state", deadman_secs=10)
            await side.start()
            await eventually(lambda: side.client.session.deadman.is_armed)
            await side.stop()

            sent = [a for a in side.actions() if a["type"] == "scheduleCancel"]
            assert sent[0]["time"] > venue.now_ms
            assert sent[-1] == {"type": "scheduleCancel"}

    play(story)


def test_an_account_without_the_volume_is_told_that_it_has_no_switch(tmp_path):
    async def story():
        async with exec_side(tmp_path, deadman_secs=60) as side:
            assert NoticeKind.DEADMAN in side.kinds()
            assert not [a for a in side.actions() if a["type"] == "scheduleCancel"]

    play(story)


def test_another_leverage_of_the_market_cancels_and_sets_ours_anew(tmp_path):
    async def story():
        async with exec_side(tmp_path, leverage=20) as side:
            order = side.limit(BUY, "689.00")
            await side.resting(order)
            side.ex(lambda _: side.venue.universe.set_max_leverage(COIN, 10))

            await side.client._provider.refresh()
            await eventually(lambda: order.is_closed)
            await eventually(lambda: side.states[-1].info["leverage"] == 10)

            assert NoticeKind.INSTRUMENT in side.kinds()

    play(story)


# -- start ---------------------------------------------------------------------------------------------


async def refused(tmp_path, venue, **changes) -> ExecSide:
    side = ExecSide(venue, tmp_path / "state", **changes)
    side.engine.start()
    with pytest.raises(HyperliquidError) as error:
        await side.client._connect()
    side.error = str(error.value)
    side.engine.stop()
    await asyncio.sleep(0.05)
    return side


def test_a_key_that_is_no_agent_of_the_account_is_refused(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config(agents=())) as venue:
            side = await refused(tmp_path, venue)

            assert "must be an agent" in side.error
            assert "07" * 32 not in side.error

    play(story)


def test_a_leverage_above_the_coins_is_refused(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            side = await refused(tmp_path, venue, leverage=90)

            assert "allows at most" in side.error

    play(story)


def test_an_agent_that_ends_soon_is_told(tmp_path):
    async def story():
        end = time.time_ns() // 1_000_000 + 2 * 86_400_000
        agent = AgentSpec(address=SecretKey(AGENT_KEY).address, name="mm", valid_until_ms=end)
        async with exec_side(tmp_path, venue=venue_config(agents=(agent,))) as side:
            (notice,) = [n for n in side.notices if n.kind is NoticeKind.AGENT_EXPIRES]
            assert "less than 3 days" in notice.text
            assert side.client.session.agent_valid_until_ns == end * 1_000_000

    play(story)


def test_leverage_and_margin_mode_are_set_and_read_back(tmp_path):
    async def story():
        async with exec_side(tmp_path, leverage=7, margin_mode="isolated") as side:
            asset = await side.rest.active_asset(USER, COIN)
            assert (asset.leverage, asset.is_cross) == (7, False)

            side.msgbus.publish(side.config.leverage_topic, 5)
            await eventually(lambda: side.states[-1].info["leverage"] == 5, seconds=10)

    play(story)


def test_two_processes_with_one_key_are_refused(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            second = await refused(tmp_path, side.venue)

            assert "one process at a time" in second.error

    play(story)


def test_a_killed_process_finds_its_orders_and_fills_again(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "690.00", "0.500")
            gone = side.limit(SELL, "690.00", "0.200")
            await side.resting(order)
            # killed: nothing is closed, the kernel lets the locks go
            await side.client.session._stream.close()
            side.client.session._nonces.close()
            side.take(-1, "0.1", "690.00")
            assert gone.status == OrderStatus.INITIALIZED
            await eventually(lambda: side.venue_position() == Decimal("0.1"))

            again = ExecSide(side.venue, tmp_path / "state")
            await again.start()
            (found,) = again.cache.orders_open()
            assert found.client_order_id == order.client_order_id
            assert str(found.filled_qty) == "0.100"
            assert again.net() == Decimal("0.1")
            await agree(again)
            fills = [e for o in again.cache.orders() for e in o.events if type(e).__name__ == "OrderFilled"]
            assert len(fills) == 1
            await again.stop()

    play(story)
