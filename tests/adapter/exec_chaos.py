"""A seeded storm: a strategy that trades at random on a venue where everything goes wrong, and what must hold afterwards."""

import asyncio
import random
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from nautilus_trader.model.enums import OrderStatus

from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.exec_scene import BUY
from tests.adapter.exec_scene import SELL
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import venue_config


FAULTS = (
    ("lost_ack", "exchange"),
    ("drop", "exchange"),
    ("drop_after", "exchange"),
    ("bad_json", "exchange"),
    ("bad_gateway", "exchange"),
    ("too_many", "exchange"),
    ("unavailable", "info"),
    ("too_many", "info"),
    ("drop", "info"),
    ("delay_reply", "exchange"),
    ("ws_drop", "orderUpdates"),
    ("ws_drop", "userFills"),
    ("ws_drop", "user"),
    ("ws_duplicate", ""),
    ("ws_late", ""),
    ("nonce_collision", ""),
    ("post_only_phase", ""),
)
ROUNDS = 50


@dataclass
class Storm:
    """One run of the storm; ``problems`` is empty when all is as it must be."""

    seed: int
    fills: int = 0
    actions: int = 0
    problems: tuple[str, ...] = ()


async def storm(seed: int, folder: Path, *, faults=FAULTS, rounds: int = ROUNDS) -> Storm:
    """Trade through a storm, let it calm down, and compare the engine's account with the venue's."""
    rng = random.Random(seed)
    async with LoopbackVenue(venue_config(seed=seed)) as venue:
        side = ExecSide(venue, folder / "state", weight=1_000_000)
        await side.start()
        try:
            for _ in range(rounds):
                _break_something(rng, side, faults)
                _trade(rng, side)
                await asyncio.sleep(rng.uniform(0.0, 0.08))
                if side.client.session.sender.hold_reason is not None:
                    # refused until the pause is over
                    await asyncio.sleep(0.5)
            side.venue.faults.clear()
            problems = await _settled(side)
        finally:
            side.venue.faults.clear()
            await side.stop()
        fills = sum(type(event).__name__ == "OrderFilled" for event in side.events)
        return Storm(seed, fills, len(side.actions()), tuple(problems))


def _break_something(rng: random.Random, side: ExecSide, faults) -> None:
    if rng.random() < 0.5:
        name, only = rng.choice(faults)
        value = rng.choice((50, 200, 1_300)) if name == "delay_reply" else 0
        side.venue.faults.set(name, only=only, times=rng.randint(1, 3), value=value)
    if rng.random() < 0.08:
        side.venue.cut_sockets()


def _trade(rng: random.Random, side: ExecSide) -> None:
    busy = (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_UPDATE)
    orders = [o for o in side.cache.orders_open() if o.status not in busy]
    counts = [0, 0, 0]
    for order in orders:
        chance = rng.random()
        if chance < 0.15:
            side.cancel(order)
            counts[2] += 1
        elif chance < 0.45:
            side.modify(order, price=_price(rng, order.side))
            counts[1] += 1
    for _ in range(rng.randint(0, 3)):
        order_side = rng.choice((BUY, SELL))
        if rng.random() < 0.15:
            side.submit(side.market(order_side, "0.100"))
        else:
            side.submit(side.limit(order_side, _price(rng, order_side), f"0.{rng.randint(1, 5)}00"))
        counts[0] += 1
    side.cycle_end(*counts)
    if rng.random() < 0.6:
        aggressor = rng.choice((1, -1))
        side.take(aggressor, f"0.{rng.randint(1, 9)}", "690.00")


def _price(rng: random.Random, order_side) -> str:
    if rng.random() < 0.4:
        return "690.00"
    away = Decimal(rng.randint(2, 40)) / 100
    return f"{Decimal(690) - away if order_side == BUY else Decimal(690) + away:.2f}"


async def _settled(side: ExecSide) -> list[str]:
    desk = side.client.session.desk
    try:
        await eventually(
            lambda: (
                len(desk.doubts) == 0
                and not side.cache.orders_inflight()
                and side.client.session._stream.is_up
                and not side.client._is_reconciling
                and _orders(side) == _venue_orders(side)
                and side.net() == side.venue_position()
            ),
            seconds=20.0,
        )
    except AssertionError:
        await asyncio.sleep(0)
    return problems_of(side)


def _orders(side: ExecSide) -> dict[str, tuple[Decimal, Decimal]]:
    return {
        order.venue_order_id.value if order.venue_order_id else order.client_order_id.value: (
            order.price.as_decimal() if order.has_price else Decimal(0),
            order.leaves_qty.as_decimal(),
        )
        for order in side.cache.orders_open()
    }


def _venue_orders(side: ExecSide) -> dict[str, tuple[Decimal, Decimal]]:
    return {str(row["oid"]): (Decimal(row["limitPx"]), Decimal(row["sz"])) for row in side.venue_orders()}


def problems_of(side: ExecSide) -> list[str]:
    """Return everything in which the engine's account is not the venue's."""
    problems = []
    if _orders(side) != _venue_orders(side):
        problems.append(f"orders: engine {_orders(side)}, venue {_venue_orders(side)}")
    if side.net() != side.venue_position():
        problems.append(f"position: engine {side.net()}, venue {side.venue_position()}")
    inflight = side.cache.orders_inflight()
    if inflight:
        problems.append(f"in flight: {[(o.client_order_id.value, o.status_string()) for o in inflight]}")
    if len(side.client.session.desk.doubts):
        problems.append(f"doubts: {list(side.client.session.desk.doubts._doubts)}")
    booked = sorted(
        (str(event.trade_id), str(event.last_qty), str(event.last_px))
        for event in side.events
        if type(event).__name__ == "OrderFilled"
    )
    if len(booked) != len(set(booked)):
        problems.append("a fill was booked twice")
    rows = side.ex(lambda _: side.venue.desk.accounts.user_fills("0x" + "5e" * 20))
    true = sorted(f"{row['time']}-{row['tid']}" for row in rows)
    if [name for name, _, _ in booked] != true:
        problems.append(f"fills: engine {len(booked)}, venue {len(true)}")
    return problems
