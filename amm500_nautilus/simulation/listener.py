"""What the simulated venue tells whoever keeps the run's records."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LedgerFill:
    """
    One fill as the ledger booked it.

    Parameters
    ----------
    index : int
        Number of the fill, from 0; ``on_markout`` refers to it.
    ts_ns : int
        Exchange time.
    trade_id : str
        As on the Nautilus event.
    client_order_id : str
        Our order.
    side : int
        1 bought, -1 sold.
    lots, price_ticks : int
        Size and price.
    price, qty, fee, closed_pnl : Decimal
        In collateral units and contracts; ``closed_pnl`` is against the average entry price and before fees.
    maker : bool
        Whether the order was resting.
    by_trade : bool
        Whether a trade filled the resting order. False where the displayed opposite side reached its price, and for an order
        that took.
    position_lots : int
        Signed position after the fill.
    crossed_zero : bool
        Whether a position was closed or turned around.
    unseen_level : bool
        Whether the order was placed at a price outside the visible depth.
    queue_ahead : float
        Lots ahead of the order when it took its place (at the first sight of its price if that was unseen); NaN where nobody knows.

    """

    index: int
    ts_ns: int
    trade_id: str
    client_order_id: str
    side: int
    lots: int
    price_ticks: int
    price: Decimal
    qty: Decimal
    fee: Decimal
    closed_pnl: Decimal
    maker: bool
    by_trade: bool
    position_lots: int
    crossed_zero: bool
    unseen_level: bool
    queue_ahead: float


@dataclass(frozen=True, slots=True)
class FillContext:
    """Whether a fill's order was placed at an unseen price, and how many lots stood ahead of it."""

    unseen: bool
    queue_ahead_at_placement: float


@dataclass(frozen=True, slots=True)
class LiquidationRecord:
    """
    One act of the venue's liquidation, amounts in collateral units.

    Parameters
    ----------
    ts_ns : int
        Exchange time.
    act : str
        ``market_all``, ``market_part``, ``backstop`` or ``adl``.
    side : int
        Of the closing: -1 closed a long.
    lots, left_lots : int
        Lots closed or taken over, and the signed position that is left.
    mark : Decimal
        The mark that decided.
    value, maintenance : Decimal
        What backed the position, and what it had to cover.
    slippage, fee, forfeited : Decimal
        The loss beyond the PnL at mark (see ``margin.liquidation.LiquidationLoss``).
    canceled : int
        Resting orders canceled before.

    """

    ts_ns: int
    act: str
    side: int
    lots: int
    left_lots: int
    mark: Decimal
    value: Decimal
    maintenance: Decimal
    slippage: Decimal
    fee: Decimal
    forfeited: Decimal
    canceled: int

    @property
    def loss(self) -> Decimal:
        """All of the loss beyond the PnL at mark."""
        return self.slippage + self.fee + self.forfeited


class VenueListener(Protocol):
    """Receives what the simulated venue books, as it happens."""

    def on_ledger_fill(self, fill: LedgerFill) -> None:
        """Take a fill; called before the strategy hears of it."""
        ...

    def on_markout(self, fill_index: int, horizon_s: int, mid: float) -> None:
        """
        Take the mid that stood ``horizon_s`` seconds after fill ``fill_index``.

        Horizon 0 is the mid at the fill, 0.0 when there was none; it comes after every event of the fill's instant.
        """
        ...

    def on_funding(self, ts_ns: int, amount: Decimal, rate: Decimal, oracle_px: Decimal) -> None:
        """Take an hour's funding; ``amount`` is negative when paid."""
        ...

    def on_liquidation(self, record: LiquidationRecord) -> None:
        """Take an act of liquidation; its fills come before."""
        ...

    def on_transfer(self, ts_ns: int, amount: Decimal) -> None:
        """Take a deposit (positive) or withdrawal (negative)."""
        ...

    def on_minute(self, ts_ns: int) -> None:
        """Take note that simulated time reached a minute boundary inside a session (also the first and last event)."""
        ...
