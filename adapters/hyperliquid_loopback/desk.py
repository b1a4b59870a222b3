"""The order desk: place, modify and cancel actions of users, item by item."""

from typing import TYPE_CHECKING

from hyperliquid_loopback import words
from hyperliquid_loopback.actions_in import CancelRequest
from hyperliquid_loopback.actions_in import ModifyRequest
from hyperliquid_loopback.actions_in import OrderRequest
from hyperliquid_loopback.actions_in import PlaceRequest
from hyperliquid_loopback.entry import EntryRules
from hyperliquid_loopback.matching import Matching
from hyperliquid_loopback.options import VenueOptions
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import Order
from hyperliquid_loopback.universe import Universe


if TYPE_CHECKING:
    from hyperliquid_loopback.accounts import Accounts

Status = Json | str


class OrderDesk:
    """
    Does the actions that concern orders and makes their replies.

    Parameters
    ----------
    universe : Universe
        The listing.
    accounts : Accounts
        For the checks.
    core : Matching
        Where orders go.
    options : VenueOptions
        What becomes of a modify that is refused.

    """

    def __init__(
        self, universe: Universe, accounts: "Accounts", core: Matching, options: VenueOptions
    ) -> None:
        self._universe = universe
        self._core = core
        self._options = options
        self._rules = EntryRules(universe, accounts, core, options)

    def place(self, user: str, request: PlaceRequest) -> Json:
        """Return the reply to an ``order`` action: one status for each order, or one for all when the batch is refused."""
        error = self._rules.action_error(len(request.orders)) or self._rules.priority_error(request)
        if error is not None:
            return {"status": "err", "response": error}
        grouped = request.grouping != "na"
        error = self._rules.batch_error(request.orders)
        if error is None and grouped and any(r.trigger and not r.reduce_only for r in request.orders):
            error = words.TPSL_REDUCE_ONLY
        if error is not None:
            return _statuses("order", [{"error": error}])
        rows = [self._place_one(user, row, grouped=grouped) for row in request.orders]
        return _statuses("order", rows)

    def modify(self, user: str, request: ModifyRequest) -> Json:
        """Return the reply to a ``modify`` (``default``) or ``batchModify`` action (statuses as of an order)."""
        error = self._rules.action_error(len(request.changes))
        if error is not None:
            return {"status": "err", "response": error}
        error = self._rules.batch_error([order for _, order in request.changes])
        if error is not None:
            rows: list[Status] = [{"error": error}]
        else:
            rows = [
                self._modify_one(user, key, order, always=request.always_place)
                for key, order in request.changes
            ]
        if not request.single:
            return _statuses("order", rows)
        first = rows[0]
        if isinstance(first, dict) and "error" in first:
            return {"status": "err", "response": first["error"]}
        return {"status": "ok", "response": {"type": "default"}}

    def cancel(self, user: str, request: CancelRequest) -> Json:
        """Return the reply to a ``cancel`` or ``cancelByCloid`` action."""
        error = self._rules.action_error(len(request.cancels))
        if error is not None:
            return {"status": "err", "response": error}
        rows = [self._cancel_one(user, asset, key, fast=request.fast) for asset, key in request.cancels]
        return _statuses("cancel", rows)

    def fire(self, order: Order) -> None:
        """Send a TP/SL order that the mark set off to the book, under the same id."""
        market_order = order.trigger is not None and order.trigger.is_market
        self._core.fire(order)
        order.ts_ms = self._core.now_ms
        order.status = "new"
        error: Status | None = self._rules.refusal(order, heir_of=order)
        if error is None:
            error = self._core.execute(order)
        if isinstance(error, str):
            if error == words.IOC_NO_MATCH and market_order:
                error = words.NO_LIQUIDITY
            self._core.finish(order, words.refused_status(error))

    def _place_one(self, user: str, request: OrderRequest, *, grouped: bool) -> Status:
        order = self._order(user, request)
        # the TP/SL of a group may come before the position that they close
        checks_position = not (grouped and order.trigger is not None)
        error = self._rules.refusal(order, checks_position=checks_position)
        if error is not None:
            return self._refused(order, error, request.asset)
        return self._send(order, request.asset)

    def _modify_one(self, user: str, key: int | str, request: OrderRequest, *, always: bool) -> Status:
        known = self._core.store.find(user, key)
        old = known if known is not None and known.is_open else None
        if not always:
            if old is None:
                return {"error": words.MODIFY_CLOSED}
            if request.trigger is not None or request.tif == "Ioc":
                return {"error": f"{words.MODIFY_POST_ONLY} asset={request.asset}"}
        order = self._order(user, request)
        if always:
            if old is not None:
                self._core.cancel(old, "canceled")
            error = self._rules.refusal(order, heir_of=known)
            return (
                self._send(order, request.asset)
                if error is None
                else self._refused(order, error, request.asset)
            )
        if old is None:
            raise AssertionError("an order that is not there was refused above")
        order.tif = "Alo"
        error = self._rules.refusal(order, replaces=old) or self._core.post_only_refusal(order)
        if error is None:
            self._core.cancel(old, "canceled")
            return self._send(order, request.asset)
        if self._options.refused_modify == "cancel":
            self._core.cancel(old, "canceled")
        return self._refused(order, error, request.asset)

    def _cancel_one(self, user: str, asset: int, key: int | str, *, fast: bool) -> Status:
        order = self._core.store.find(user, key)
        if order is None or not order.is_open or self._asset(order.coin) != asset:
            return {"error": f"{words.MISSING_ORDER} asset={asset}"}
        if fast and order.trigger is not None:
            return {"error": f"{words.FAST_TRIGGER} asset={asset}"}
        self._core.cancel(order, "canceled")
        return "success"

    def _send(self, order: Order, asset: int) -> Status:
        if order.trigger is not None:
            return self._core.wait(order)
        answer = self._core.execute(order)
        return self._refused(order, answer, asset) if isinstance(answer, str) else answer

    def _refused(self, order: Order, error: str, asset: int) -> Status:
        """Keep a refused order in the history, as the venue does, and return its status."""
        if error != words.DUPLICATE_CLOID:
            position = self._core.accounts.position(order.user, order.coin)
            order.status = words.refused_status(error, flips=position * order.side < 0)
            self._core.store.add(order)
            self._core.finish(order, order.status)
        return {"error": f"{error} asset={asset}"}

    def _order(self, user: str, request: OrderRequest) -> Order:
        return Order(
            oid=self._core.store.new_oid(),
            user=user,
            coin=self._universe.coin_of(request.asset),
            side=request.side,
            price=request.price,
            size=request.size,
            orig_size=request.size,
            tif=request.tif,
            reduce_only=request.reduce_only,
            cloid=request.cloid,
            ts_ms=self._core.now_ms,
            trigger=request.trigger,
        )

    def _asset(self, coin: str) -> int:
        return self._universe.asset_of(coin)


def _statuses(kind: str, rows: list[Status]) -> Json:
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": rows}}}
