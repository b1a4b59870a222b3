"""The account of one market as its readers want it: decimals for money, floats for ratios, and the view of ``margin/``."""

from decimal import Decimal

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.account import RestingOrders
from amm500_nautilus.margin.tables import MarginRatios
from amm500_nautilus.simulation.books import COIN
from amm500_nautilus.simulation.books import FillResult
from amm500_nautilus.simulation.books import LedgerBooks
from amm500_nautilus.simulation.books import LedgerShape
from amm500_nautilus.simulation.tiers import NANO
from amm500_nautilus.simulation.tiers import cut_micro


__all__ = ["NANO", "FillResult", "Ledger", "LedgerShape"]

INFINITE = float("inf")


class Ledger(LedgerBooks):
    """The account of one market in its collateral token; see ``LedgerBooks`` for its parameters and events."""

    __slots__ = ()

    @property
    def equity(self) -> Decimal:
        """Mark-to-market equity in collateral units."""
        return Decimal(self.equity_nano) / NANO

    @property
    def balance(self) -> Decimal:
        """Balance in collateral units, without unrealized PnL."""
        return Decimal(self.balance_nano) / NANO

    @property
    def fees(self) -> Decimal:
        """Fees paid so far, positive when paid."""
        return Decimal(self.fees_nano) / NANO

    @property
    def funding(self) -> Decimal:
        """Funding received so far, negative when paid."""
        return Decimal(self.funding_nano) / NANO

    @property
    def realized(self) -> Decimal:
        """Realized PnL against average entry prices, before fees and funding."""
        return Decimal(self.realized_nano) / NANO

    @property
    def unrealized(self) -> Decimal:
        """Unrealized PnL at mark."""
        return Decimal(self.unrealized_nano) / NANO

    @property
    def volume(self) -> Decimal:
        """Value traded so far, both liquidity sides."""
        return Decimal(self.maker_volume_nano + self.taker_volume_nano) / NANO

    @property
    def transfers(self) -> Decimal:
        """Deposits less withdrawals so far."""
        return Decimal(self.transfers_nano) / NANO

    @property
    def liquidation(self) -> Decimal:
        """Collateral that went with positions taken over."""
        return Decimal(self.liquidation_nano) / NANO

    @property
    def weight_cost(self) -> Decimal:
        """What bought actions have cost so far."""
        return Decimal(self.weight_nano) / NANO

    @property
    def withdrawable(self) -> Decimal:
        """What may be transferred out."""
        return Decimal(self.withdrawable_nano) / NANO

    @property
    def position(self) -> Decimal:
        """Signed position in contracts."""
        return self.position_lots * self.shape.lot

    @property
    def entry_ticks(self) -> float:
        """Average entry price in ticks; 0 when flat."""
        return (
            self._entry_cost / (abs(self.position_lots) * self.tick_lot_nano) if self.position_lots else 0.0
        )

    @property
    def order_notional(self) -> float:
        """Value of resting orders that asks for margin, after netting."""
        return self.order_nano / NANO

    @property
    def position_notional(self) -> float:
        """Signed notional of the position at mark."""
        return self.position_lots * self.mid2_ticks * 0.5 * self.unit

    @property
    def liquidation_price(self) -> float | None:
        """The mark at which the position is liquidated, all else unchanged; None when flat or when no price does it."""
        ticks = self.tiers.liquidation_ticks(
            self.position_lots, self.backing_nano, self.mid2_ticks, self.tick_lot_nano
        )
        return None if ticks is None else ticks * float(self.shape.tick)

    @property
    def margin_ratio(self) -> float:
        """Margin of the position and of orders over equity; infinite when equity is used up."""
        return _over(self.margin_used_nano + self.order_nano / self.leverage, self.equity_nano)

    @property
    def ratios(self) -> MarginRatios:
        """Margins and ratios now."""
        equity, used, maintenance = self.equity_nano, self.margin_used_nano, self.maintenance_nano
        backing = equity if self.is_cross else self.backing_nano
        order_margin = self.order_nano / self.leverage
        return MarginRatios(
            position_margin=used / NANO,
            order_margin=order_margin / NANO,
            maintenance=maintenance / NANO,
            position_margin_ratio=_over(used, equity),
            margin_ratio=_over(used + order_margin, equity),
            maintenance_ratio=_over(maintenance, backing),
        )

    def covers_fill(self, side: int, lots: int, price_ticks: int) -> bool:
        """
        Return whether the account can carry what a resting order's fill adds to the position.

        The venue checks margin again when a resting order is matched, and cancels it (``marginCanceled``) where it fails
        (protocol: matching and ordering). Its exact figure is not published: here the initial margin of the position after the
        fill must not exceed equity, or for isolated margin what is opened must find its margin outside.
        """
        position = self.position_lots
        after = position + side * lots
        if abs(after) <= abs(position):
            return True
        if self.is_cross:
            value = abs(after) * (self.mid2_ticks or 2 * price_ticks) * self.tick_lot_nano // 2
            return cut_micro(value, self.leverage) <= self.equity_nano
        opened = lots if position * side >= 0 else abs(after)
        return cut_micro(opened * price_ticks * self.tick_lot_nano, self.leverage) <= self.outside_nano

    def account_view(self) -> Account:
        """Return the account as ``margin.Account`` with its resting orders; the mark must be known."""
        orders = RestingOrders(
            COIN,
            Decimal(self.resting_tick_lots[0] * self.tick_lot_nano) / NANO,
            Decimal(self.resting_tick_lots[1] * self.tick_lot_nano) / NANO,
        )
        return Account(
            collateral="collateral",
            cash=Decimal(self.outside_nano) / NANO,
            positions=(self.position_view(),),
            orders=(orders,),
        )


def _over(amount: float, equity: int) -> float:
    if not amount:
        return 0.0
    return amount / equity if equity > 0 else INFINITE
