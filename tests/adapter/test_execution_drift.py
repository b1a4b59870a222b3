"""The execution client when the venue changes its terms: tick, lot, tiers, fees, leverage, and what the collateral is worth."""

import asyncio
from decimal import Decimal

import pytest
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from hyperliquid_hip3.notices import ACTION_TOPIC
from hyperliquid_hip3.notices import NoticeKind
from tests.adapter.exec_scene import BUY
from tests.adapter.exec_scene import COIN
from tests.adapter.exec_scene import IID
from tests.adapter.exec_scene import SELL
from tests.adapter.exec_scene import USER
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side
from tests.adapter.test_execution_faults import play


pytestmark = pytest.mark.live_node


def of_kind(side, kind):
    return [notice for notice in side.notices if notice.kind is kind]


async def check(side) -> None:
    await side.client.session.drift.check()


def set_by_hand(side, leverage: int, *, is_cross: bool = True) -> None:
    """Somebody else with the same account."""
    action = {"type": "updateLeverage", "asset": 150000, "isCross": is_cross, "leverage": leverage}
    side.ex(
        lambda exchange: exchange.submit(
            action, user=USER, now_ms=side.venue.now_ms, expires_after=None, reply=lambda _: None
        )
    )


def at_venue(side) -> tuple[int, str]:
    found = side.ex(lambda _: side.venue.accounts.active_asset_data(USER, COIN))["leverage"]
    return found["value"], found["type"]


def test_a_market_that_passes_a_power_of_ten_gets_its_new_tick_and_its_orders_are_canceled(tmp_path):
    async def story():
        async with exec_side(tmp_path, leverage=20) as side:
            order = side.limit(BUY, "689.01")
            await side.resting(order)
            before = side.cache.instrument(IID)
            side.ex(lambda _: side.venue.flow.move(Decimal(2_000)))
            await eventually(lambda: side.ex(lambda e: e.mid(COIN)) > 1_500, what="moved")

            await check(side)
            now = side.cache.instrument(IID)
            assert (str(before.price_increment), str(now.price_increment)) == ("0.01", "0.1")
            await eventually(lambda: order.is_closed)
            await eventually(lambda: side.client.session.drift.hold_reason(COIN) is None)

            assert order.status == OrderStatus.CANCELED
            (notice,) = of_kind(side, NoticeKind.INSTRUMENT)
            assert "price_increment 0.01 -> 0.1" in notice.text
            assert notice.is_alarm
            later = side.limit(BUY, "690.1")
            await side.resting(later)

    play(story)


def test_a_trade_on_the_finer_tick_below_a_power_of_ten_is_booked_at_its_own_price(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.ex(lambda _: side.venue.flow.move(Decimal("996.98")))
            await eventually(lambda: side.ex(lambda e: e.mid(COIN)) > 990, what="moved")
            await check(side)
            assert str(side.cache.instrument(IID).price_increment) == "0.1"
            order = side.limit(BUY, "999.0", ioc=True)
            side.submit(order)
            await eventually(lambda: order.is_closed)

            fills = await side.rest.user_fills(USER)
            assert any(fill.price % Decimal("0.1") for fill in fills)
            booked = [event for event in order.events if isinstance(event, OrderFilled)]
            assert [event.last_px.as_decimal() for event in booked] == [fill.price for fill in fills]

    play(story)


def test_a_changed_lot_makes_a_new_instrument_and_cancels(tmp_path):
    async def story():
        async with exec_side(tmp_path, leverage=20) as side:
            order = side.limit(BUY, "689.00")
            await side.resting(order)
            side.ex(lambda _: side.venue.universe.entry(COIN).update(szDecimals=2))

            await check(side)
            await eventually(lambda: order.is_closed)

            assert str(side.cache.instrument(IID).size_increment) == "0.01"
            assert len(of_kind(side, NoticeKind.INSTRUMENT)) == 1

    play(story)


def test_while_leverage_is_set_anew_only_reductions_are_sent(tmp_path):
    async def story():
        async with exec_side(tmp_path, leverage=20) as side:
            side.submit(side.market(BUY, "0.100"))
            await eventually(lambda: side.net() == Decimal("0.1"))
            side.venue.faults.set("drop", only="updateLeverage", times=-1)
            side.ex(lambda _: side.venue.universe.set_max_leverage(COIN, 10))
            await check(side)

            more = side.limit(BUY, "689.00")
            side.submit(more)
            await eventually(lambda: more.is_closed)
            assert more.status == OrderStatus.DENIED
            assert "INSTRUMENT_CHANGED" in more.last_event.reason
            # the leverage is set back and confirmed before anything else goes out
            side.venue.faults.clear()
            await eventually(lambda: side.client.session.drift.hold_reason(COIN) is None, what="resumed")
            assert at_venue(side) == (10, "cross")
            again = side.limit(BUY, "689.00")
            await side.resting(again)
            assert len(of_kind(side, NoticeKind.INSTRUMENT)) == 1

    play(story)


def test_a_largest_leverage_that_comes_back_brings_ours_back(tmp_path):
    async def story():
        async with exec_side(tmp_path, leverage=20) as side:
            for most, wanted in ((5, 5), (25, 20)):
                side.ex(lambda _, most=most: side.venue.universe.set_max_leverage(COIN, most))
                await check(side)
                await eventually(lambda wanted=wanted: at_venue(side)[0] == wanted, what=f"{wanted}")
                await eventually(lambda: side.client.session.drift.hold_reason(COIN) is None)

    play(story)


def test_changed_fees_make_a_new_instrument_and_cancel_nothing(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "689.00")
            await side.resting(order)
            cheap = side.cache.instrument(IID)
            side.ex(lambda _: side.venue.universe.set_growth_mode(COIN, on=False))

            await check(side)
            dear = side.cache.instrument(IID)
            assert (dear.maker_fee, dear.taker_fee) == (10 * cheap.maker_fee, 10 * cheap.taker_fee)
            (notice,) = of_kind(side, NoticeKind.INSTRUMENT)
            assert not notice.is_alarm
            # what the engine would reckon is what the venue takes
            taker = side.market(BUY, "1.000")
            side.submit(taker)
            await eventually(lambda: taker.is_closed)
            fee = side.client.calculate_commission(
                dear, Quantity.from_str("1.000"), Price.from_str("690.01"), LiquiditySide.TAKER
            )
            (paid,) = taker.commissions()
            assert abs(paid.as_decimal() - fee.as_decimal()) <= Decimal("0.000001")
            assert paid.as_decimal() > 0
            assert order.is_open

    play(story)


def test_the_accounts_own_rates_are_in_the_instrument_from_the_start_and_followed(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            first = side.cache.instrument(IID).taker_fee
            holder = side.venue.accounts.holders[USER]
            # staking takes a part off both rates
            side.ex(lambda _: setattr(holder, "staked_hype", Decimal(1_000_000)))
            fees = await side.rest.user_fees(USER)
            assert fees.staking_discount > 0

            await check(side)

            now = side.cache.instrument(IID).taker_fee
            assert now == first * (1 - fees.staking_discount)
            assert [n.is_alarm for n in of_kind(side, NoticeKind.INSTRUMENT)] == [False]

            again = type(side)(side.venue, tmp_path / "other", coins=(COIN,))
            await again.client._provider.initialize()
            await side.client.session.drift.check()
            assert len(of_kind(side, NoticeKind.INSTRUMENT)) == 1

    play(story)


@pytest.mark.parametrize(("leverage", "is_cross"), [(3, True), (20, False)])
def test_leverage_set_by_somebody_else_is_set_back_and_told(tmp_path, leverage, is_cross):
    async def story():
        async with exec_side(tmp_path, leverage=20) as side:
            order = side.limit(BUY, "689.00")
            await side.resting(order)
            set_by_hand(side, leverage, is_cross=is_cross)
            mode = "cross" if is_cross else "isolated"
            await eventually(lambda: at_venue(side) == (leverage, mode))

            await check(side)

            assert at_venue(side) == (20, "cross")
            (notice,) = of_kind(side, NoticeKind.LEVERAGE)
            assert f"was {leverage} {mode}" in notice.text
            assert order.is_open
            await check(side)
            assert len(of_kind(side, NoticeKind.LEVERAGE)) == 1

    play(story)


def test_leverage_that_is_the_accounts_own_business_is_told_and_left(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            await check(side)
            set_by_hand(side, 7)
            await eventually(lambda: at_venue(side)[0] == 7)

            await check(side)
            await check(side)

            assert at_venue(side) == (7, "cross")
            (notice,) = of_kind(side, NoticeKind.LEVERAGE)
            assert "7 cross" in notice.text
            await eventually(lambda: side.states[-1].info["leverage"] == 7)

    play(story)


def test_the_check_runs_by_itself_and_a_venue_without_an_answer_is_told(tmp_path):
    async def story():
        async with exec_side(tmp_path, drift_check_secs=0.05) as side:
            side.venue.faults.set("bad_json", only="userFees", times=1)
            await eventually(lambda: of_kind(side, NoticeKind.INSTRUMENT))
            assert "could not be read again" in of_kind(side, NoticeKind.INSTRUMENT)[0].text
            side.ex(lambda _: side.venue.universe.set_growth_mode(COIN, on=False))
            await eventually(lambda: side.cache.instrument(IID).info["growth_mode"] is False)

    play(story)


def test_actions_that_no_command_asked_for_are_told_to_who_counts_them(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            charged = []
            side.msgbus.subscribe(ACTION_TOPIC, charged.append)
            order = side.limit(BUY, "689.00")
            await side.resting(order)
            assert charged == []

            side.msgbus.publish(side.config.leverage_topic, 5)
            await eventually(lambda: charged == ["updateLeverage"])

    play(story)


def test_cancels_and_modifies_of_our_own_making_are_told_once_each_to_who_counts_them(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            charged = []
            side.msgbus.subscribe(ACTION_TOPIC, charged.append)
            resting = side.limit(SELL, "690.05", "0.500")
            await side.resting(resting)

            # it would trade with our own resting order: that one goes first
            side.submit(side.limit(BUY, "690.05", "0.100", ioc=True))
            await eventually(lambda: resting.is_closed)
            assert charged == ["cancelByCloid"]

            raced = side.limit(BUY, "690.00", "0.500")
            await side.resting(raced)
            side.venue.faults.set("ws_late", only="userFills", value=6)
            side.venue.faults.set("ws_drop", only="user", times=1)
            side.take(-1, "0.2", "690.00")
            side.modify(raced, price="689.95")
            # what was filled meanwhile rests too much: the size is brought down
            await eventually(lambda: str(raced.filled_qty) == "0.200")
            await eventually(lambda: Decimal(side.venue_orders()[0]["sz"]) == Decimal("0.3"))
            assert charged == ["cancelByCloid", "batchModify"]

            side.cancel(raced)
            await eventually(lambda: raced.is_closed)
            assert len(charged) == 2

    play(story)


# -- what the collateral is worth ----------------------------------------------------------------------


def test_the_account_says_what_its_collateral_is_worth(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            assert Decimal(side.states[-1].info["collateral_price"]) == 1
            price = side.client.session.account
            side.ex(lambda _: side.venue.universe.set_spot_mid("@230", Decimal("0.968")))
            side.client.session.collateral.expire()

            await price.report()
            await eventually(lambda: side.states[-1].info["collateral_price"] == "0.968")
            side.ex(lambda _: side.venue.universe.set_spot_mid("@230", None))
            for _ in range(2):
                side.client.session.collateral.expire()
                await price.report()

            await asyncio.sleep(0)
            assert side.states[-1].info["collateral_price"] == "0.968"
            assert len(of_kind(side, NoticeKind.COLLATERAL)) == 1

    play(story)
