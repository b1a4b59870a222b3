"""The execution client in the real engine against the loopback venue: orders, fills, account and reports."""

import asyncio
from decimal import Decimal

import pytest
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import GenerateFillReports
from nautilus_trader.execution.messages import GenerateOrderStatusReports
from nautilus_trader.execution.messages import GeneratePositionStatusReports
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from hyperliquid_hip3.errors import HyperliquidError
from tests.adapter.exec_scene import BUY
from tests.adapter.exec_scene import COIN
from tests.adapter.exec_scene import IID
from tests.adapter.exec_scene import SELL
from tests.adapter.exec_scene import USER
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side
from tests.adapter.exec_scene import venue_config


pytestmark = pytest.mark.live_node


def play(story) -> None:
    """Run a test's story in a loop of its own."""
    asyncio.run(story())


def test_a_post_only_order_rests_at_the_venue_under_its_cloid(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.50")

            await side.resting(order)

            (resting,) = side.venue_orders()
            assert side.of(order) == ["OrderSubmitted", "OrderAccepted"]
            assert str(resting["oid"]) == order.venue_order_id.value
            assert (resting["limitPx"], resting["sz"], resting["tif"]) == ("689.5", "0.1", "Alo")

    play(story)


def test_a_post_only_order_that_would_cross_is_rejected_as_such(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "690.50")

            side.submit(order)
            await eventually(lambda: order.is_closed)

            rejected = order.last_event
            assert side.of(order) == ["OrderSubmitted", "OrderRejected"]
            assert rejected.due_post_only
            assert "bbo was" in rejected.reason

    play(story)


@pytest.mark.parametrize(("order_side", "sign"), [(BUY, 1), (SELL, -1)])
def test_a_market_order_fills_at_the_touch_within_its_bound(tmp_path, order_side, sign):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.market(order_side)

            side.submit(order)
            await eventually(lambda: order.is_closed)

            (action,) = (a for a in side.actions() if a["type"] == "order")
            (sent,) = action["orders"]
            assert sent["t"] == {"limit": {"tif": "Ioc"}}
            assert abs(Decimal(sent["p"]) / 690 - 1) < Decimal("0.0051")
            assert order.status == OrderStatus.FILLED
            assert order.last_event.liquidity_side == LiquiditySide.TAKER
            assert side.net() == side.venue_position() == sign * Decimal("0.1")

    play(story)


def test_a_market_order_without_a_price_to_bound_it_is_denied(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.cache.reset()
            side.cache.add_instrument(side.client.session.instrument(COIN))
            order = side.market(BUY)

            side.submit(order)
            await eventually(lambda: order.is_closed)

            assert side.of(order) == ["OrderDenied"]
            assert side.actions() == []

    play(story)


def test_an_ioc_that_finds_nothing_is_canceled_and_not_rejected(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "650.00", ioc=True)

            side.submit(order)
            await eventually(lambda: order.is_closed)

            assert order.status == OrderStatus.CANCELED

    play(story)


@pytest.mark.parametrize("kind", ["fok", "gtd", "stop", "iceberg", "tick"])
def test_what_the_venue_cannot_take_is_denied_before_anything_is_sent(tmp_path, kind):
    async def story():
        async with exec_side(tmp_path) as side:
            size, price = Quantity.from_str("0.100"), Price.from_str("689.50")
            make = {
                "fok": lambda: side.factory.limit(IID, BUY, size, price, time_in_force=TimeInForce.FOK),
                "gtd": lambda: side.factory.limit(
                    IID, BUY, size, price, time_in_force=TimeInForce.GTD, expire_time=side.clock.utc_now()
                ),
                "stop": lambda: side.factory.stop_market(IID, BUY, size, price),
                "iceberg": lambda: side.factory.limit(
                    IID, BUY, size, price, display_qty=Quantity.from_str("0.050")
                ),
                "tick": lambda: side.factory.limit(IID, BUY, size, Price.from_str("689.505")),
            }
            order = make[kind]()

            side.submit(order)
            await eventually(lambda: order.is_closed)

            assert side.of(order) == ["OrderDenied"]
            assert side.actions() == []

    play(story)


def test_a_reduce_only_order_that_would_open_is_rejected_with_the_venues_words(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.50", reduce_only=True)

            side.submit(order)
            await eventually(lambda: order.is_closed)

            assert order.status == OrderStatus.REJECTED
            assert "Reduce only" in order.last_event.reason

    play(story)


def test_one_bad_order_of_a_batch_is_rejected_alone(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            good, small = side.limit(BUY, "689.50"), side.limit(BUY, "689.40", "0.001")

            side.submit(good, small)
            side.cycle_end(submits=2)
            await eventually(lambda: good.is_open and small.is_closed)

            assert len([a for a in side.actions() if a["type"] == "order"]) == 1
            assert small.status == OrderStatus.REJECTED
            assert len(side.venue_orders()) == 1

    play(story)


def test_thirty_orders_of_a_cycle_are_one_action(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            orders = [side.limit(BUY, f"{689 - i * 0.1:.2f}") for i in range(15)]
            orders += [side.limit(SELL, f"{691 + i * 0.1:.2f}") for i in range(15)]

            side.submit(*orders)
            side.cycle_end(submits=30)
            await eventually(lambda: all(o.is_open for o in orders))

            assert [(a["type"], len(a["orders"])) for a in side.actions()] == [("order", 30)]

    play(story)


def test_an_order_list_is_one_action(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            orders = [side.limit(BUY, f"{689 - i * 0.1:.2f}") for i in range(3)]

            side.submit_list(orders)
            await eventually(lambda: all(o.is_open for o in orders))

            assert [len(a["orders"]) for a in side.actions()] == [3]

    play(story)


def test_a_mixed_cycle_takes_at_most_four_actions_in_their_order(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            old = [side.limit(BUY, f"{689 - i * 0.1:.2f}") for i in range(4)]
            await side.resting(*old)
            before = len(side.actions())
            new, taker = side.limit(SELL, "692.00"), side.limit(BUY, "690.01", ioc=True)

            side.submit(new, taker)
            side.modify(old[0], price="688.00")
            side.modify(old[1], price="688.10")
            side.cancel(old[2])
            side.cancel(old[3])
            side.cycle_end(submits=2, modifies=2, cancels=2)
            await eventually(lambda: new.is_open and taker.is_closed and old[3].is_closed)
            await eventually(lambda: str(old[0].price) == "688.00")

            sent = [a["type"] for a in side.actions()[before:]]
            assert sorted(sent) == ["batchModify", "cancelByCloid", "order", "order"]
            assert len(side.venue_orders()) == 3

    play(story)


def test_a_modify_gives_a_new_number_and_no_cancel(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.50")
            await side.resting(order)
            first = order.venue_order_id

            side.modify(order, price="689.60", size="0.200")
            await eventually(lambda: str(order.price) == "689.60")
            await asyncio.sleep(0.1)

            (resting,) = side.venue_orders()
            assert side.of(order) == ["OrderSubmitted", "OrderAccepted", "OrderUpdated"]
            assert order.venue_order_id != first
            assert order.venue_order_id.value == str(resting["oid"])
            assert str(order.quantity) == "0.200"
            assert side.cache.client_order_id(order.venue_order_id) == order.client_order_id

    play(story)


def test_a_modify_after_a_partial_fill_sends_what_is_left(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "690.00", "0.500")
            await side.resting(order)
            side.take(-1, "0.2", "690.00")
            await eventually(lambda: order.filled_qty == Quantity.from_str("0.200"))

            side.modify(order, price="689.90")
            await eventually(lambda: str(order.price) == "689.90")

            (resting,) = side.venue_orders()
            assert resting["sz"] == "0.3"
            assert str(order.quantity) == "0.500"
            assert str(order.leaves_qty) == "0.300"

    play(story)


def test_a_modify_that_crosses_is_rejected_and_the_order_is_what_the_venue_says(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.50")
            await side.resting(order)

            side.modify(order, price="691.00")
            await eventually(lambda: "OrderModifyRejected" in side.of(order))
            await eventually(lambda: len(side.client.session.desk.doubts) == 0)

            assert order.is_open == bool(side.venue_orders())

    play(story)


def test_a_refused_modify_to_less_leaves_the_order_as_it_rests(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order, later = side.limit(BUY, "689.50", "0.500"), side.limit(BUY, "689.40")
            await side.resting(order)
            # below the venue's least value
            side.modify(order, size="0.005")
            await eventually(lambda: "OrderModifyRejected" in side.of(order))
            await side.resting(later)

            assert [action["type"] for action in side.actions()] == ["order", "batchModify", "order"]
            assert order.is_open
            assert str(order.quantity) == "0.500"
            assert {row["sz"] for row in side.venue_orders()} == {"0.5", "0.1"}

    play(story)


def test_a_cancel_is_told_once_with_what_was_filled_before_it(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "690.00", "0.500")
            await side.resting(order)
            side.take(-1, "0.2", "690.00")

            side.cancel(order)
            await eventually(lambda: order.is_closed)

            assert side.of(order) == ["OrderSubmitted", "OrderAccepted", "OrderFilled", "OrderCanceled"]
            assert side.net() == side.venue_position() == Decimal("0.2")
            assert side.venue_orders() == []

    play(story)


def test_a_cancel_overtakes_the_order_that_has_not_left(tmp_path):
    async def story():
        async with exec_side(tmp_path, quiet_ms=200, flush_ms=400) as side:
            order = side.limit(BUY, "689.50")

            side.submit(order)
            await eventually(lambda: side.client.session.desk.shelf.track(order.client_order_id.value))
            side.cancel(order)
            await eventually(lambda: order.is_closed)
            await asyncio.sleep(0.3)

            assert order.status == OrderStatus.CANCELED
            assert side.actions() == []

    play(story)


def test_a_modify_of_an_order_that_has_not_left_changes_what_is_placed(tmp_path):
    async def story():
        async with exec_side(tmp_path, quiet_ms=200, flush_ms=400) as side:
            order = side.limit(BUY, "689.50")

            side.submit(order)
            await eventually(lambda: order.status == OrderStatus.SUBMITTED)
            side.modify(order, price="689.40", size="0.200")
            await eventually(lambda: order.is_open and str(order.price) == "689.40")

            assert [a["type"] for a in side.actions()] == ["order"]
            assert str(order.quantity) == "0.200"
            assert side.venue_orders()[0]["sz"] == "0.2"

    play(story)


def test_a_modify_of_an_order_on_its_way_waits_for_its_answer(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.venue.faults.set("delay_reply", only="order", value=200)
            side.venue.faults.set("ws_late", only="orderUpdates", times=1, value=50)
            order = side.limit(BUY, "689.50")

            side.submit(order)
            await eventually(lambda: side.actions())
            side.modify(order, price="689.40")
            await eventually(lambda: order.is_open and str(order.price) == "689.40")

            assert [a["type"] for a in side.actions()] == ["order", "batchModify"]

    play(story)


def test_cancel_all_takes_one_side_or_both(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            bid, ask, low = side.limit(BUY, "689.00"), side.limit(SELL, "691.00"), side.limit(BUY, "688.00")
            await side.resting(bid, ask, low)

            side.cancel_all(SELL)
            await eventually(lambda: ask.is_closed)
            assert bid.is_open
            side.cancel_all()
            await eventually(lambda: bid.is_closed and low.is_closed)

            assert side.venue_orders() == []

    play(story)


def test_own_orders_inside_the_limit_of_an_own_taker_are_canceled_first(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            ask = side.limit(SELL, "690.00")
            await side.resting(ask)
            taker = side.limit(BUY, "690.02", ioc=True)

            side.submit(taker)
            await eventually(lambda: taker.is_closed and ask.is_closed)

            types = [a["type"] for a in side.actions()]
            assert types.index("cancelByCloid") < len(types)
            assert ask.status == OrderStatus.CANCELED
            assert taker.status == OrderStatus.FILLED

    play(story)


def test_the_account_is_told_after_a_fill_in_the_shape_of_every_engine(tmp_path):
    async def story():
        async with exec_side(tmp_path, leverage=10) as side:
            told = len(side.states)
            side.submit(side.market(BUY, "1.000"))
            await eventually(lambda: side.net() and len(side.states) > told)
            await eventually(lambda: Decimal(side.states[-1].info["margin_used"]) > 0)

            info, state = (
                side.states[-1].info,
                side.ex(lambda _: side.venue.accounts.clearinghouse_state(USER, "km", side.venue.now_ms)),
            )
            assert info["equity"] == f"{Decimal(state['marginSummary']['accountValue']):.6f}"
            assert info["leverage"] == 10
            assert info["account_mode"] == "standard"
            assert info["collateral"] == "USDH"
            assert info["position_margin_ratio"] == pytest.approx(
                float(
                    Decimal(state["marginSummary"]["totalMarginUsed"])
                    / Decimal(state["marginSummary"]["accountValue"])
                ),
                abs=1e-6,
            )
            assert set(info) >= {
                "order_margin",
                "margin_ratio",
                "maintenance_ratio",
                "withdrawable",
                "mark_price",
            }

    play(story)


def test_the_unified_account_is_the_spot_balance(tmp_path):
    async def story():
        async with exec_side(tmp_path, venue=venue_config(mode="unifiedAccount")) as side:
            side.submit(side.market(BUY, "1.000"))
            await eventually(lambda: side.net() and side.states[-1].info["account_mode"] == "unified")
            await side.client.session.account.report()

            spot = side.ex(lambda _: side.venue.accounts.spot_state(USER))
            (balance,) = (row for row in spot["balances"] if row["coin"] == "USDH")
            assert side.states[-1].info["equity"] == f"{Decimal(balance['total']):.6f}"

    play(story)


def test_positions_and_orders_of_before_the_start_are_taken_over_exactly(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.submit(side.market(BUY, "2.500"))
            resting = side.limit(SELL, "695.00", "0.300")
            await side.resting(resting)
            await eventually(lambda: side.net() == Decimal("2.5"))
            entry = Decimal(str(side.cache.positions_open()[0].avg_px_open))
            await side.stop()

            again = type(side)(side.venue, tmp_path / "state")
            await again.start()
            (order,) = again.cache.orders_open()
            (position,) = again.cache.positions_open()
            assert order.client_order_id == resting.client_order_id
            assert (str(order.price), str(order.quantity)) == ("695.00", "0.300")
            assert (position.side, position.signed_decimal_qty()) == (PositionSide.LONG, Decimal("2.5"))
            assert Decimal(str(position.avg_px_open)) == pytest.approx(entry, abs=Decimal("0.0005"))

            # and it can be traded on
            again.modify(order, price="694.00")
            await eventually(lambda: str(order.price) == "694.00")
            again.cancel(order)
            await eventually(lambda: order.is_closed)
            assert again.venue_orders() == []
            await again.stop()
            await side.start(reconcile=False)

    play(story)


def test_a_failing_query_changes_no_position(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.submit(side.market(BUY, "0.500"))
            await eventually(lambda: side.net() == Decimal("0.5"))
            side.venue.faults.set("unavailable", times=-1, only="info")
            command = GeneratePositionStatusReports(IID, None, None, UUID4(), 0)

            side.rest._deadline_s = 0.5
            with pytest.raises(HyperliquidError):
                await side.client.generate_position_status_reports(command)
            with pytest.raises(HyperliquidError):
                await side.client.generate_order_status_reports(
                    GenerateOrderStatusReports(None, None, None, True, UUID4(), 0)
                )
            with pytest.raises(HyperliquidError):
                await side.client.generate_fill_reports(
                    GenerateFillReports(IID, None, None, None, UUID4(), 0)
                )

            assert side.net() == Decimal("0.5")
            side.venue.faults.clear()

    play(story)


def test_position_checks_for_a_while_make_up_no_fill(tmp_path):
    async def story():
        engine = {
            "position_check_interval_secs": 0.2,
            "open_check_interval_secs": 0.2,
            "reconciliation_startup_delay_secs": 0.0,
        }
        async with exec_side(tmp_path, engine=engine) as side:
            for _ in range(5):
                side.submit(side.market(BUY, "0.100"))
                order = side.limit(SELL, "692.00")
                await side.resting(order)
                await asyncio.sleep(0.3)

            await eventually(lambda: side.net() == Decimal("0.5"))
            assert side.venue_position() == Decimal("0.5")
            assert all(not order.client_order_id.value.startswith("S-") for order in side.cache.orders())
            assert len(side.cache.orders()) == 10

    play(story)


def test_a_query_of_an_unknown_order_reports_nothing(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.00")
            side.cache.add_order(order)

            side.ask_about(order)
            await asyncio.sleep(0.2)

            assert side.of(order) == []

    play(story)


def test_commands_for_an_order_that_is_not_kept_are_answered(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.00")
            await side.resting(order)
            side.client.session.desk.shelf._tracks.pop(order.client_order_id.value)

            side.modify(order, price="688.00")
            await eventually(lambda: "OrderModifyRejected" in side.of(order))
            side.cancel(order)
            await eventually(lambda: "OrderCancelRejected" in side.of(order))

    play(story)


def test_the_client_order_id_is_found_again_by_its_cloid(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.00")
            await side.resting(order)
            cloid = side.venue_orders()[0]["cloid"]

            assert (
                ClientOrderId(side.client.session.desk.cloids.client_order_id(cloid)) == order.client_order_id
            )

    play(story)
