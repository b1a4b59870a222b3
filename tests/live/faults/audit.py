"""What the venue has against what the adapter told the engine: every difference as a sentence."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nautilus_trader.model.enums import OrderStatus

from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_loopback.types import Json
from tests.adapter.exec_scene import COIN
from tests.adapter.exec_scene import USER
from tests.live.faults.stages import Stage


ZERO = Decimal(0)
# the wire's own rounding of amounts
DUST = Decimal("0.000002")
UNSETTLED = (
    OrderStatus.INITIALIZED,
    OrderStatus.SUBMITTED,
    OrderStatus.PENDING_UPDATE,
    OrderStatus.PENDING_CANCEL,
)


@dataclass(frozen=True, slots=True)
class Before:
    """
    What there was when a process without a memory started: the venue's fills, and the engine's for the position that it found.

    The engine has to open the position of such a start somehow; the trades of it may be told again, and are not made up when they are not.
    """

    fills: frozenset[str] = frozenset()
    opening: frozenset[str] = frozenset()


NOTHING = Before()


def differences(stage: Stage, before: Before = NOTHING) -> list[str]:
    """Return everything in which the engine's view is not the venue's; empty when they are the same."""
    rows, fills, position = stage.ex(
        lambda exchange: (
            exchange.frontend_open_orders(USER, "km"),
            stage.venue.accounts.user_fills_by_time(USER, 0),
            stage.venue.accounts.position(USER, COIN),
        )
    )
    found = (
        _open(stage, rows) + _unsettled(stage) + _fills(stage, fills, before) + _orders(stage, fills, before)
    )
    held = stage.net()
    if held != position:
        found.append(f"position: venue {position}, engine {held}")
    doubts = len(stage.client.session.desk.doubts)
    if doubts:
        found.append(f"{doubts} orders are in doubt")
    return found + _limits(stage) + _alarms(stage)


async def balance_differences(stage: Stage) -> list[str]:
    """Return in which amounts the account's report is not the venue's, after asking for one."""
    await stage.client.session.account.report()
    state = stage.states[-1] if stage.states else None
    if state is None:
        return ["no account was reported"]
    total = state.balances[0].total.as_decimal()
    summary, spot, mode = stage.ex(
        lambda _: (
            stage.venue.accounts.clearinghouse_state(USER, "km", stage.venue.now_ms),
            stage.venue.accounts.spot_state(USER),
            state.info["account_mode"],
        )
    )
    unrealized = sum((Decimal(row["position"]["unrealizedPnl"]) for row in summary["assetPositions"]), ZERO)
    equity = Decimal(summary["marginSummary"]["accountValue"])
    if mode not in ("disabled", "standard"):
        collateral = [row for row in spot["balances"] if row["coin"] == state.info["collateral"]]
        equity = sum((Decimal(row["total"]) for row in collateral), ZERO)
    expected = equity - unrealized
    return [] if abs(total - expected) <= DUST else [f"balance ({mode}): venue {expected}, engine {total}"]


def booked(stage: Stage) -> list[Any]:
    """The fills that the engine was told, in order."""
    return [event for event in stage.events if type(event).__name__ == "OrderFilled"]


def made_up(stage: Stage, keys: set[str]) -> list[Any]:
    """The fills that no trade of the venue belongs to."""
    return [event for event in booked(stage) if event.trade_id.value not in keys]


def fill_key(row: Json) -> str:
    """The engine's trade id of a venue's fill."""
    return f"{row['time']}-{row['tid']}"


def _open(stage: Stage, rows: list[Json]) -> list[str]:
    cloids = stage.client.session.desk.cloids
    ours = {
        str(row["oid"]): (Decimal(row["limitPx"]), Decimal(row["sz"]), row["side"])
        for row in rows
        if row.get("cloid") and cloids.client_order_id(row["cloid"]) is not None
    }
    known = {
        order.venue_order_id.value: (
            order.price.as_decimal(),
            order.leaves_qty.as_decimal(),
            "B" if order.is_buy else "A",
        )
        for order in stage.cache.orders_open()
    }
    lost = [row for row in rows if row.get("cloid") and str(row["oid"]) not in ours]
    found = [f"order {row['oid']} rests, its client order id {row['cloid']} is forgotten" for row in lost]
    found += [
        f"order {oid} rests, the engine has none: {ours[oid]}" for oid in sorted(ours.keys() - known.keys())
    ]
    found += [
        f"order {oid} is open in the engine only: {known[oid]}" for oid in sorted(known.keys() - ours.keys())
    ]
    return found + [
        f"order {oid}: venue {ours[oid]}, engine {known[oid]}"
        for oid in sorted(ours.keys() & known.keys())
        if ours[oid] != known[oid]
    ]


def _unsettled(stage: Stage) -> list[str]:
    return [
        f"order {order.client_order_id} is {order.status.name}"
        for order in stage.cache.orders()
        if order.status in UNSETTLED
    ]


def _fills(stage: Stage, rows: list[Json], before: Before) -> list[str]:
    venue = {fill_key(row): row for row in rows}
    engine = Counter(event.trade_id.value for event in booked(stage))
    found = [f"fill {key}: {engine[key]} times" for key in venue if engine[key] > 1]
    found += [f"fill {key} is missing" for key in venue if not engine[key] and key not in before.fills]
    found += [f"fill {key} is made up" for key in engine if key not in venue and key not in before.opening]
    if not before.fills:
        paid = sum((Decimal(row["fee"]) for row in rows), ZERO)
        charged = sum((event.commission.as_decimal() for event in booked(stage)), ZERO)
        if abs(paid - charged) > DUST * (1 + len(rows)):
            found.append(f"fees: venue {paid}, engine {charged}")
    return found


def _orders(stage: Stage, rows: list[Json], before: Before) -> list[str]:
    cloids = stage.client.session.desk.cloids
    sizes: dict[str, Decimal] = {}
    for row in rows:
        key = cloids.client_order_id(row.get("cloid"))
        if key is not None:
            sizes[key] = sizes.get(key, ZERO) + Decimal(row["sz"])
    found = []
    for order in stage.cache.orders():
        key, filled = order.client_order_id.value, order.filled_qty.as_decimal()
        if key in sizes and sizes[key] != filled:
            found.append(f"order {key}: venue filled {sizes[key]}, engine {filled}")
    known = {order.client_order_id.value for order in stage.cache.orders()}
    return found + [
        f"order {key} filled {size} and is unknown"
        for key, size in sizes.items()
        if key not in known and not before.fills
    ]


def _alarms(stage: Stage) -> list[str]:
    # what a person would be called for without a cause
    false = [NoticeKind.POSITION_DIFFERS]
    if not stage.has_strangers:
        false.append(NoticeKind.SECOND_TRADER)
    return [f"false alarm: {notice.text}" for notice in stage.notices if notice.kind in false]


def _limits(stage: Stage) -> list[str]:
    found = [
        f"{count} above the limit of {name}" for name, count in stage.venue.limits.refused.items() if count
    ]
    actions = stage.ex(lambda _: stage.venue.accounts.holders[USER].limits.refused)
    return found + ([f"{actions} actions were above the account's limit"] if actions else [])
