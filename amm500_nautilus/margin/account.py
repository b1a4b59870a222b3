"""The account: one pot of collateral, the positions it carries, and every figure of ``clearinghouseState``."""

from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum

from amm500_nautilus.margin.funding import funding_payment
from amm500_nautilus.margin.position import ZERO
from amm500_nautilus.margin.position import FillEffect
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.position import fill_effect
from amm500_nautilus.margin.position import transfer_requirement
from amm500_nautilus.margin.rounding import cut


INFINITE = Decimal("Infinity")
LEVERAGE_WORDS = "Invalid leverage value"
SWITCH_WORDS = "Cannot switch leverage type with open position."


class AccountMode(StrEnum):
    """
    Which positions share a pot (venue docs, account abstraction modes).

    ``STANDARD``: one pot for each dex, funded by transfers. ``UNIFIED``: one pot for each collateral token, shared
    with the spot balance and by every dex of that token.
    """

    STANDARD = "standard"
    UNIFIED = "unified"


@dataclass(frozen=True, slots=True)
class RestingOrders:
    """Value of a coin's resting orders at their own prices, reduce-only orders left out."""

    coin: str
    buy_value: Decimal = ZERO
    sell_value: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSummary:
    """The four figures of ``marginSummary`` and ``crossMarginSummary``."""

    account_value: Decimal
    total_ntl_pos: Decimal
    total_raw_usd: Decimal
    total_margin_used: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """
    A pot of one collateral token and the positions that it carries.

    Parameters
    ----------
    collateral : str
        Name of the token, for example ``USDH``.
    cash : Decimal
        The collateral outside isolated positions less what cross positions cost: deposits, closed PnL, funding and
        fees together (``totalRawUsd`` of ``crossMarginSummary``).
    mode : AccountMode
        Standard or unified.
    dex : str
        The dex of a standard account; empty for the validators' dex and for a unified account.
    positions : tuple of Position
        At most one for each coin.
    orders : tuple of RestingOrders
        At most one for each coin.

    """

    collateral: str
    cash: Decimal
    mode: AccountMode = AccountMode.STANDARD
    dex: str = ""
    positions: tuple[Position, ...] = ()
    orders: tuple[RestingOrders, ...] = ()

    def __post_init__(self) -> None:
        for what, coins in (
            ("positions", [position.coin for position in self.positions]),
            ("orders", [order.coin for order in self.orders]),
        ):
            if len(set(coins)) != len(coins):
                msg = f"{what} of the account hold a coin twice: {sorted(coins)}; allowed: one entry a coin"
                raise ValueError(msg)

    # -- what the venue prints ------------------------------------------------------------------------

    @property
    def cross_summary(self) -> MarginSummary:
        """The figures of ``crossMarginSummary``: the pot and its cross positions."""
        cross = self._cross
        return MarginSummary(
            account_value=self.cash + sum((position.value for position in cross), ZERO),
            total_ntl_pos=sum((position.notional for position in cross), ZERO),
            total_raw_usd=self.cash,
            total_margin_used=sum((position.margin_used for position in cross), ZERO),
        )

    @property
    def summary(self) -> MarginSummary:
        """The figures of ``marginSummary``: isolated positions as well."""
        cross = self.cross_summary
        isolated = self._isolated
        margin = sum((position.margin_used for position in isolated), ZERO)
        return MarginSummary(
            account_value=cross.account_value + margin,
            total_ntl_pos=cross.total_ntl_pos + sum((position.notional for position in isolated), ZERO),
            total_raw_usd=cross.total_raw_usd + sum((position.raw_usd for position in isolated), ZERO),
            total_margin_used=cross.total_margin_used + margin,
        )

    @property
    def equity(self) -> Decimal:
        """Account value: the pot, the cross positions at mark and the isolated margins."""
        return self.summary.account_value

    @property
    def cross_maintenance(self) -> Decimal:
        """Maintenance of the cross positions, cut position by position (``crossMaintenanceMarginUsed``)."""
        return sum((position.maintenance for position in self._cross), ZERO)

    @property
    def maintenance(self) -> Decimal:
        """Maintenance of all positions."""
        return sum((position.maintenance for position in self.positions), ZERO)

    @property
    def free(self) -> Decimal:
        """What new positions may use: cross account value less cross margin in use, 0 at least."""
        cross = self.cross_summary
        return max(ZERO, cross.account_value - cross.total_margin_used)

    @property
    def withdrawable(self) -> Decimal:
        """
        What may be transferred out: cross account value less the larger of initial margin and a tenth of notional.

        Isolated positions neither add to it nor hold it back. Records of 2023 show ``free`` here: the tenth is a
        later rule.
        """
        cross = self.cross_summary
        required = transfer_requirement(cross.total_margin_used, cross.total_ntl_pos)
        return max(ZERO, cut(cross.account_value - required))

    # -- what this product watches --------------------------------------------------------------------

    @property
    def order_margin(self) -> Decimal:
        """Margin that the resting orders of all coins ask for."""
        return sum((self.order_margin_of(order.coin) for order in self.orders), ZERO)

    def order_margin_of(self, coin: str) -> Decimal:
        """
        Return the margin that a coin's resting orders ask for: the larger side after netting, over its leverage.

        An order that closes frees margin rather than takes it, so the side opposite to the position counts only
        beyond the position's own notional.
        """
        position, order = self.position(coin), self.resting(coin)
        buys = order.buy_value + min(ZERO, position.value)
        sells = order.sell_value - max(ZERO, position.value)
        return max(ZERO, buys, sells) / position.leverage

    def resting(self, coin: str) -> RestingOrders:
        """Return the resting orders of a coin, without value when there are none."""
        return next((order for order in self.orders if order.coin == coin), RestingOrders(coin))

    @property
    def position_margin_ratio(self) -> Decimal:
        """Margin in use over equity, comparable to the venue's figure; infinite when equity is used up."""
        summary = self.summary
        return _over(summary.total_margin_used, summary.account_value)

    @property
    def margin_ratio(self) -> Decimal:
        """Margin in use and order margin over equity: warn at 0.80, pause at 0.90."""
        summary = self.summary
        return _over(summary.total_margin_used + self.order_margin, summary.account_value)

    @property
    def maintenance_ratio(self) -> Decimal:
        """
        Maintenance over what covers it, the worst of the cross account and each isolated position.

        Above 1 the venue liquidates.
        """
        ratios = [_over(self.cross_maintenance, self.cross_summary.account_value)]
        ratios += [_over(position.maintenance, position.margin_used) for position in self._isolated]
        return max(ratios)

    @property
    def unified_ratio(self) -> Decimal:
        """Cross maintenance over the pot less isolated margins (venue docs, unified account ratio)."""
        return _over(self.cross_maintenance, self.cross_summary.account_value)

    def position(self, coin: str) -> Position:
        """
        Return the position of a coin; its size is 0 when only the leverage is set.

        Raises
        ------
        ValueError
            If the account does not know the coin.

        """
        for position in self.positions:
            if position.coin == coin:
                return position
        msg = f"the account holds no {coin}; it knows {[position.coin for position in self.positions]}"
        raise ValueError(msg)

    # -- events, each the account afterwards -----------------------------------------------------------

    def marked(self, coin: str, mark: Decimal) -> "Account":
        """Return the account with a coin at another mark."""
        return self._with(self.position(coin).marked(mark))

    def filled(
        self, coin: str, *, side: int, size: Decimal, price: Decimal, fee: Decimal = ZERO
    ) -> tuple["Account", FillEffect]:
        """Return the account after a fill, and what the fill did (see ``fill_effect``)."""
        effect = fill_effect(self.position(coin), side=side, size=size, price=price, fee=fee)
        return replace(self._with(effect.position), cash=self.cash + effect.cash), effect

    def funded(self, coin: str, *, oracle_price: Decimal, hourly_rate: Decimal) -> tuple["Account", Decimal]:
        """Return the account after an hour's funding and what it received; an isolated position's margin takes it."""
        position = self.position(coin)
        paid = funding_payment(position.size, oracle_price, hourly_rate)
        if position.is_cross:
            return replace(self, cash=self.cash + paid), paid
        return self._with(replace(position, raw_usd=position.raw_usd + paid)), paid

    def transferred(self, amount: Decimal) -> "Account":
        """
        Return the account after a transfer in (positive) or out (negative).

        Raises
        ------
        ValueError
            If more would leave than may be withdrawn.

        """
        if -amount > self.withdrawable:
            msg = f"a transfer of {-amount} {self.collateral} out; allowed: up to the withdrawable {self.withdrawable}"
            raise ValueError(msg)
        return replace(self, cash=self.cash + amount)

    def margin_moved(self, coin: str, amount: Decimal) -> "Account":
        """
        Return the account after adding margin to an isolated position, or removing it when negative.

        Raises
        ------
        ValueError
            If the position is flat or cross, if more is added than is withdrawable, or if more is removed than the
            position can spare; a strict isolated position spares nothing.

        """
        position = self.position(coin)
        if position.is_cross or not position.size:
            msg = f"{coin} has no isolated margin to change; allowed: an open isolated position"
            raise ValueError(msg)
        limit = self.withdrawable if amount > 0 else position.removable
        if abs(amount) > limit:
            msg = f"a margin change of {amount} for {coin}; allowed: at most {limit} that way"
            raise ValueError(msg)
        moved = replace(position, raw_usd=position.raw_usd + amount)
        return replace(self._with(moved), cash=self.cash - amount)

    def leverage_set(self, coin: str, leverage: int, mode: MarginMode | None = None) -> "Account":
        """
        Return the account with another leverage for a coin, and another margin mode if one is given.

        The margin of an open isolated position stays where it is: leverage is checked when opening (venue docs,
        margining).

        Raises
        ------
        ValueError
            In the venue's words: a leverage outside the table or below what the collateral carries, or a change of
            mode with an open position.

        """
        position = self.position(coin)
        mode = position.mode if mode is None else mode
        if mode is not position.mode and position.size:
            raise ValueError(SWITCH_WORDS)
        if not 1 <= leverage <= position.table.max_leverage or position.table.exceeds_tier(
            position.notional, leverage
        ):
            msg = f"{LEVERAGE_WORDS}: {leverage} for {coin}"
            raise ValueError(msg)
        changed = self._with(replace(position, leverage=leverage, mode=mode))
        cross = changed.cross_summary
        lowered = leverage < position.leverage and position.is_cross
        if lowered and cross.total_margin_used > cross.account_value:
            msg = f"{LEVERAGE_WORDS}: {leverage} for {coin} needs more margin than the account has"
            raise ValueError(msg)
        return changed

    def with_orders(self, orders: RestingOrders) -> "Account":
        """Return the account with other resting orders of one coin."""
        kept = tuple(order for order in self.orders if order.coin != orders.coin)
        return replace(self, orders=(*kept, orders))

    @property
    def _cross(self) -> tuple[Position, ...]:
        return tuple(position for position in self.positions if position.is_cross)

    @property
    def _isolated(self) -> tuple[Position, ...]:
        return tuple(position for position in self.positions if not position.is_cross)

    def _with(self, changed: Position) -> "Account":
        positions = tuple(
            changed if position.coin == changed.coin else position for position in self.positions
        )
        return replace(self, positions=positions)


def _over(amount: Decimal, equity: Decimal) -> Decimal:
    if amount == 0:
        return ZERO
    return amount / equity if equity > 0 else INFINITE
