"""Which orders the venue refuses, and in what words, before they reach the book."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hyperliquid_hip3.precision import is_valid_price
from hyperliquid_loopback import words
from hyperliquid_loopback.actions_in import MAX_BATCH
from hyperliquid_loopback.actions_in import OrderRequest
from hyperliquid_loopback.actions_in import PlaceRequest
from hyperliquid_loopback.matching import Market
from hyperliquid_loopback.matching import Matching
from hyperliquid_loopback.options import VenueOptions
from hyperliquid_loopback.types import Order
from hyperliquid_loopback.universe import Universe


if TYPE_CHECKING:
    from hyperliquid_loopback.accounts import Accounts


class EntryRules:
    """
    The venue's checks of new orders.

    Parameters
    ----------
    universe : Universe
        The listing.
    accounts : Accounts
        For margin, position and the cap of open orders.
    core : Matching
        Books and figures.
    options : VenueOptions
        The bands.

    """

    def __init__(
        self, universe: Universe, accounts: "Accounts", core: Matching, options: VenueOptions
    ) -> None:
        self._universe = universe
        self._accounts = accounts
        self._core = core
        self._options = options

    def action_error(self, count: int) -> str | None:
        """Return why a batch of ``count`` items is refused as a whole action (status ``err``); None when it is not."""
        if count == 0:
            return words.EMPTY
        return words.OVER_WEIGHT if count > MAX_BATCH else None

    def priority_error(self, request: PlaceRequest) -> str | None:
        """Return why a priority batch is refused; None when it is not, or has no priority (protocol: matching)."""
        if request.priority is None:
            return None
        rows = request.orders
        if all(row.tif == "Ioc" for row in rows) or all(
            row.tif == "Alo" and not row.reduce_only for row in rows
        ):
            return None
        return words.PRIORITY_BATCH

    def batch_error(self, orders: Sequence[OrderRequest]) -> str | None:
        """
        Return the one error of a whole batch; None when each order is looked at for itself.

        These depend on the payload alone (the venue's docs, error responses: pre-validation).
        """
        for order in orders:
            try:
                coin = self._universe.coin_of(order.asset)
            except KeyError:
                return words.BAD_ASSET
            error = self._payload_error(order, coin)
            if error is not None:
                return error
        return None

    def refusal(
        self,
        order: Order,
        *,
        replaces: Order | None = None,
        heir_of: Order | None = None,
        checks_position: bool = True,
    ) -> str | None:
        """
        Return why an order may not enter, without the asset; None when it may.

        Parameters
        ----------
        order : Order
            Not yet known to the store.
        replaces : Order or None
            The open order whose place it takes, and whose margin is free for it.
        heir_of : Order or None
            The order, open or not, whose client id it may take over; by default the one that it replaces.
        checks_position : bool
            False leaves out what depends on position and margin, for the TP/SL of an order that is not filled yet.

        """
        market = self._core.markets[order.coin]
        plain = self._plain_refusal(order, market, replaces, heir_of or replaces)
        if plain is not None:
            return plain
        if order.trigger is not None and order.triggered_by(market.state.mark or order.trigger.price):
            return words.BAD_TRIGGER
        if not checks_position:
            return None
        if market.state.at_cap:
            capped = self._cap_refusal(order, market)
            if capped is not None:
                return capped
        if order.trigger is not None and not order.reduce_only:
            # it may never be set off, and is looked at again when it is
            return None
        return self._margin_refusal(order, replaces)

    def _payload_error(self, order: OrderRequest, coin: str) -> str | None:
        row = self._universe.find(coin)
        if row is None:
            # a spot pair: the core matches perpetuals only
            return words.BAD_ASSET
        decimals = int(row["szDecimals"])
        if order.price <= 0:
            return words.INVALID_PRICE
        if order.size == 0:
            return words.ZERO_SIZE
        # by the exponent, for a size of many figures cannot be quantized
        if order.size < 0 or -int(order.size.normalize().as_tuple().exponent) > decimals:
            return words.INVALID_SIZE
        if order.trigger is not None and order.trigger.price <= 0:
            return words.BAD_TRIGGER
        reference = self._core.markets[coin].state.reference
        if reference is not None and abs(order.price / reference - 1) > self._options.reference_band:
            return words.REFERENCE_PRICE
        return None

    def _plain_refusal(
        self, order: Order, market: Market, replaces: Order | None, heir_of: Order | None
    ) -> str | None:
        """What needs neither position nor margin."""
        row = self._universe.entry(order.coin)
        mine = self._core.store.of(order.user)
        if market.state.halted or row.get("isDelisted"):
            return words.HALTED
        if order.cloid is not None:
            known = mine.by_cloid.get(order.cloid)
            if known is not None and known is not heir_of and not known.was_refused:
                return words.DUPLICATE_CLOID
        resting = mine.open_count - (replaces is not None)
        crowded = self._accounts.open_order_refusal(
            order.user, resting, reduce_only=order.reduce_only, trigger=order.trigger is not None
        )
        # an immediate order never rests, so the cap is not for it; a trigger that turns into one waits among the open
        if crowded is not None and (order.tif != "Ioc" or order.trigger is not None):
            return words.TOO_MANY_OPEN
        decimals = int(row["szDecimals"])
        if not is_valid_price(order.price, decimals):
            return words.TICK
        if order.trigger is not None and not is_valid_price(order.trigger.price, decimals):
            return words.TICK
        band, oracle = self._options.oracle_band, market.state.oracle
        if band is not None and oracle is not None and abs(order.price / oracle - 1) > band:
            return words.ORACLE
        return None

    def _cap_refusal(self, order: Order, market: Market) -> str | None:
        """
        What a market at its open-interest cap refuses.

        Source: protocol: margin (open-interest caps); what counts as too aggressive is read from the words alone.
        """
        position = self._accounts.position(order.user, order.coin)
        after = position + order.side * order.size
        if not order.reduce_only and (position * order.side >= 0 or position * after < 0):
            return words.OI_INCREASE
        oracle = market.state.oracle
        if not order.reduce_only and oracle is not None and (order.price - oracle) * order.side > 0:
            return words.OI_AGGRESSIVE
        return None

    def _margin_refusal(self, order: Order, replaces: Order | None) -> str | None:
        if replaces is not None:
            self._accounts.order_removed(order.user, replaces, replaces.size)
        try:
            return self._accounts.check_entry(
                order.user,
                order.coin,
                side=order.side,
                price=order.price,
                size=order.size,
                reduce_only=order.reduce_only,
                resting=self._core.store.open_of(order.user, order.coin),
            )
        finally:
            if replaces is not None:
                self._accounts.order_added(order.user, replaces)
