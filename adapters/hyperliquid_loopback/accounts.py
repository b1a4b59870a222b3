"""The accounts of the venue: margin of orders, fills, fees, funding, liquidation, and the replies about them."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from typing import Final
from typing import Protocol

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.account import RestingOrders
from amm500_nautilus.margin.fees import FeeSchedule
from amm500_nautilus.margin.fees import FillFee
from amm500_nautilus.margin.fees import counted_volume
from amm500_nautilus.margin.fees import fill_fee
from amm500_nautilus.margin.limits import order_refusal
from amm500_nautilus.margin.position import FillEffect
from hyperliquid_loopback import account_actions
from hyperliquid_loopback import liquidations
from hyperliquid_loopback.account_views import AccountReplies
from hyperliquid_loopback.fees_view import own_rates
from hyperliquid_loopback.holdings import FundingPaid
from hyperliquid_loopback.holdings import Holder
from hyperliquid_loopback.holdings import MarketTerms
from hyperliquid_loopback.liquidations import LiquidationOrder
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import letter
from hyperliquid_loopback.types import number


NO_FEE: Final = FillFee(ZERO, ZERO, ZERO)


class RestingOrder(Protocol):
    """What the accounts read of an order of the engine."""

    oid: int
    coin: str
    side: int
    price: Decimal
    reduce_only: bool
    cloid: str | None
    trigger: Any


class Accounts(AccountReplies):
    """
    Every account of the venue, on the exact margin core.

    Addresses may be given in any case and are kept in lower case. Times are the venue's, ms UTC, and always passed in.

    Parameters
    ----------
    universe : Universe
        The listing, which decides collateral, tiers, modes and fees.
    mode_default : str, default 'disabled'
        The account mode of new accounts: ``disabled`` (standard), ``unifiedAccount`` or ``portfolioMargin``.
    accept_mainnet_source : bool, default False
        Whether actions signed for the mainnet (source ``a``) are taken as well.

    """

    # orders

    def check_entry(
        self,
        user: str,
        coin: str,
        *,
        side: int,
        price: Decimal,
        size: Decimal,
        reduce_only: bool = False,
        resting: Sequence[Any] = (),
    ) -> str | None:
        """
        Return why an order may not enter for its size or margin, in the venue's words without the asset; None when it may.

        ``resting`` are the user's open orders of the coin; their margin is known from ``order_added``, so they are not read.
        """
        del resting
        holder = self.holders[user]
        if holder.house:
            return None
        account = self.known(holder, coin, price)
        refusal = order_refusal(account, coin, side=side, size=size, price=price, reduce_only=reduce_only)
        return None if refusal is None else refusal.words

    def open_order_refusal(
        self, user: str, resting: int, *, reduce_only: bool = False, trigger: bool = False
    ) -> str | None:
        """Return why one more order may not rest beside the user's ``resting`` others; None when it may."""
        holder = self.holders[user]
        if holder.house:
            return None
        return holder.limits.order_refusal(resting, reduce_only=reduce_only, trigger=trigger)

    def order_added(self, user: str, order: RestingOrder, size: Decimal | None = None) -> None:
        """Count the margin of an order that now rests; ``size`` is its remaining size unless given."""
        self._rest(user, order, order_size(order) if size is None else size)

    def order_removed(self, user: str, order: RestingOrder, size: Decimal) -> None:
        """Give back the margin of ``size`` contracts that no longer rest: filled, canceled or shrunk."""
        self._rest(user, order, -size)

    def can_fill_resting(self, user: str, order: RestingOrder, size: Decimal, price: Decimal) -> bool:
        """
        Return whether the margin of a resting order's owner still carries a fill (venue docs, order book).

        What only closes is always carried. Otherwise the account after the fill must cover the margin of its positions.
        """
        holder = self.holders[user]
        if holder.house:
            return True
        account = self.known(holder, order.coin, price)
        position = account.position(order.coin)
        if position.size * order.side < 0 and size <= abs(position.size):
            return True
        after, _ = account.filled(order.coin, side=order.side, size=size, price=price)
        cross = after.cross_summary
        return cross.account_value >= cross.total_margin_used

    def fill(
        self,
        user: str,
        coin: str,
        *,
        side: int,
        price: Decimal,
        size: Decimal,
        crossed: bool,
        order: Any,
        ts_ms: int,
        tid: int,
        hash: str,  # noqa: A002 - the wire's name
        liquidation: Json | None = None,
        builder_tenths_bp: int = 0,
    ) -> Json:
        """
        Book a user's side of a match and return its row of ``userFills``.

        Parameters
        ----------
        user, coin, side, price, size : object
            Whose, of which market, 1 for a buy or -1, and the match.
        crossed, order, ts_ms, tid, hash : object
            Whether this side took, its order (None leaves an oid of 0), the block's time, the trade's id, the transaction.
        liquidation : dict, optional
            ``liquidatedUser``, ``markPx`` and ``method``: both sides of a liquidation's match carry it.
        builder_tenths_bp : int, default 0
            The builder's fee.

        """
        holder = self.holders[user]
        terms = self.terms.of(coin)
        start = self.position(user, coin)
        label, fee, pnl = direction(start, side, size), NO_FEE, ZERO
        if not holder.house:
            schedule = self.fee_schedule(holder, terms, ts_ms)
            fee = fill_fee(schedule, price * size, maker=not crossed, builder_tenths_bp=builder_tenths_bp)
            own = liquidation is not None and liquidation["liquidatedUser"] == user
            if own:
                label = liquidations.label(self.known(holder, coin, price).position(coin))
            pnl = self._booked(holder, coin, side, size, price, fee.total, liquidated=own)
            self._count_volume(holder, terms, price * size, ts_ms, crossed=crossed)
        self.sized(holder, coin, start + side * size, start)
        row: Json = {
            "coin": coin,
            "px": number(price),
            "sz": number(size),
            "side": letter(side),
            "time": ts_ms,
            "startPosition": number(start),
            "dir": label,
            "closedPnl": number(pnl),
            "hash": hash,
        }
        row |= {"oid": getattr(order, "oid", 0), "crossed": crossed, "fee": number(fee.total), "tid": tid}
        row |= {**_optional(order, fee, liquidation), "feeToken": terms.token, "twapId": None}
        if not holder.house:
            holder.fills.append(row)
        return row

    def _booked(
        self,
        holder: Holder,
        coin: str,
        side: int,
        size: Decimal,
        price: Decimal,
        fee: Decimal,
        *,
        liquidated: bool,
    ) -> Decimal:
        """Book a fill on the pot and return the closed PnL as it is printed."""
        account = self.known(holder, coin, price)
        after, effect = account.filled(coin, side=side, size=size, price=price, fee=fee)
        if liquidated:
            after = self._covered(after, coin, effect)
        self.keep(holder, coin, after)
        return effect.printed_pnl

    def fee_schedule(self, holder: Holder, terms: MarketTerms, now_ms: int) -> FeeSchedule:
        """Return what decides a user's rates on a coin; the validators' dex has no deployer, so its scale is 0."""
        own = own_rates(holder.volume, now_ms, maker_share=holder.maker_share, staked_hype=holder.staked_hype)
        return FeeSchedule(
            base_maker=own.maker,
            base_taker=own.taker,
            deployer_fee_scale=terms.fee_scale,
            growth_mode=terms.growth,
            referral_discount=holder.referral_discount,
        )

    # positions and marks

    def fund(self, coin: str, oracle: Decimal, rate: Decimal, ts_ms: int) -> list[tuple[str, Json]]:
        """
        Pay an hour's funding of a coin; return a row of ``userFundings`` for each user with a position.

        Parameters
        ----------
        coin : str
            The market.
        oracle : Decimal
            The oracle price that is paid on (venue docs, funding).
        rate : Decimal
            Of the hour; longs pay a positive one.
        ts_ms : int
            Time of the block.

        """
        rows = []
        for user in tuple(self.open_users.get(coin, ())):
            holder = self.holders[user]
            if holder.house:
                continue
            account, paid = self.known(holder, coin, oracle).funded(
                coin, oracle_price=oracle, hourly_rate=rate
            )
            self.keep(holder, coin, account)
            total = holder.funding.setdefault(coin, FundingPaid())
            total.all_time -= paid
            total.since_open -= paid
            total.since_change -= paid
            row = {
                "time": ts_ms,
                "coin": coin,
                "usdc": number(paid),
                "szi": number(holder.sizes[coin]),
                "fundingRate": number(rate),
                "nSamples": None,
            }
            holder.fundings.append(row)
            rows.append((user, row))
        return rows

    # liquidation

    def liquidations(self, now_ms: int) -> list[LiquidationOrder]:
        """
        Return what the venue does now about accounts below maintenance, the oldest position first.

        The engine cancels the user's orders, then sends a market order (``market_part``, ``market_all``) or calls
        ``take_over`` (``backstop``, ``adl``). Nothing is looked at while no mark and no account has changed.
        """
        if not self.unsettled:
            return []
        orders = []
        users = {user: None for held in self.open_users.values() for user in held}
        again = False
        for user in users:
            holder = self.holders[user]
            if holder.house:
                continue
            found = liquidations.orders_of(self, holder, now_ms)
            orders += found
            again = again or bool(found)
        self.unsettled = again
        return orders

    def take_over(self, user: str, coin: str, *, act: str, ts_ms: int) -> list[tuple[str, Json]]:
        """
        Let the backstop (or auto-deleveraging) take a position at mark; return the rows of ``userFills`` by user.

        With a cross position go all cross positions of the pot and what is left of its value, with an isolated one its
        margin (venue docs, liquidations).
        """
        return liquidations.take_over(self, self.holders[user], coin, act=act, ts_ms=ts_ms)

    # limits

    def admit(self, user: str, action: Json, now_ms: int) -> str | None:
        """Count a signed action against the address's limit; return the venue's words when it is refused."""
        holder = self.holders[user]
        return None if holder.house else holder.limits.admit(action, now_ms)

    def charge_expired(self, user: str, action: Json) -> None:
        """Charge an action that came after its own ``expiresAfter``: five times."""
        self.holders[user].limits.on_expired(action)

    # actions about the account; each returns the venue's words when it is refused

    def apply(self, user: str, action: Json, now_ms: int, *, nonce: int | None = None) -> str | None:
        """
        Do an action that concerns the account alone: leverage, margin, transfers, modes, agents, bought weight, noop.

        Raises
        ------
        KeyError, TypeError, ValueError, ArithmeticError
            If the action has not the shape of its type; nothing was done.

        """
        return account_actions.apply(self, self.holders[user], action, now_ms, nonce=nonce)

    def handles(self, action_type: str) -> bool:
        """Return whether ``apply`` knows a type of action."""
        return action_type in account_actions.ACTIONS

    def set_leverage(self, user: str, coin: str, *, leverage: int, is_cross: bool) -> str | None:
        """Set leverage and margin mode of a coin."""
        return account_actions.set_leverage(self, self.holders[user], coin, leverage, is_cross=is_cross)

    def update_isolated_margin(self, user: str, coin: str, amount: Decimal) -> str | None:
        """Add collateral to an isolated position, or take it out when negative."""
        return account_actions.move_margin(self, self.holders[user], coin, amount)

    def force_mode(self, user: str, mode: str) -> None:
        """
        Switch an account's mode whatever it holds, as a test's knob: positions, orders and balances come along.

        Raises
        ------
        ValueError
            If there is no such mode.

        """
        account_actions.switch(self, self.holders[user], mode)

    def _rest(self, user: str, order: RestingOrder, size: Decimal) -> None:
        holder = self.holders[user]
        # an order that may only reduce, and one that waits for its trigger, hold no margin
        if holder.house or order.reduce_only or order.trigger is not None:
            return
        account = self.known(holder, order.coin, order.price)
        resting = account.resting(order.coin)
        value = order.price * size
        buys = resting.buy_value + (value if order.side > 0 else ZERO)
        sells = resting.sell_value + (value if order.side < 0 else ZERO)
        if min(buys, sells) < 0:
            raise ValueError(f"more of {user}'s orders of {order.coin} were removed than had been added")
        self._put(
            holder, self.terms.of(order.coin).dex, account.with_orders(RestingOrders(order.coin, buys, sells))
        )

    def _count_volume(
        self, holder: Holder, terms: MarketTerms, value: Decimal, ts_ms: int, *, crossed: bool
    ) -> None:
        counted = counted_volume(value, growth_mode=terms.growth)
        holder.volume.add(ts_ms, counted, crossed=crossed)
        holder.limits.on_volume(value, growth=terms.growth)
        if crossed:
            self.exchange_volume.add(ts_ms, counted, crossed=True)

    def _covered(self, account: Account, coin: str, effect: FillEffect) -> Account:
        """Take what a liquidated position lost beyond its cover off the account: nothing is owed (venue docs, liquidations)."""
        position = account.position(coin)
        lost = ZERO
        if not position.is_cross:
            lost = min(ZERO, effect.cash)
        elif not any(p.size and p.is_cross for p in account.positions):
            lost = min(ZERO, account.cash)
        self.shortfall -= lost
        return account if not lost else replace(account, cash=account.cash - lost)


def _optional(order: Any, fee: FillFee, liquidation: Json | None) -> Json:
    """Return the keys of a fill that stand only where there is something to say."""
    row: Json = {}
    cloid = getattr(order, "cloid", None)
    if cloid is not None:
        row["cloid"] = cloid
    if fee.builder:
        row["builderFee"] = number(fee.builder)
    if liquidation is not None:
        row["liquidation"] = liquidation
    return row


def order_size(order: Any) -> Decimal:
    """Return the remaining size of an order of the engine."""
    size: Decimal = order.size
    return size


def direction(start: Decimal, side: int, size: Decimal) -> str:
    """
    Return the ``dir`` of a fill: ``Open Long``, ``Close Short``, or ``Long > Short`` for one that turns the position round.

    The last is known from clients, not from a recorded payload (protocol: info endpoints, userFills).
    """
    end = start + side * size
    if start * side >= 0:
        return "Open Long" if side > 0 else "Open Short"
    if start * end < 0:
        return "Long > Short" if start > 0 else "Short > Long"
    return "Close Short" if side > 0 else "Close Long"
