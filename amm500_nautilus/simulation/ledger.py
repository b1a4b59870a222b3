"""
The exact account of one market: fills, fees, funding, mark-to-market and margin, at a constant cost an event.

Money is held as integers of a thousandth of the venue's smallest amount (1e-9 collateral units), prices as ticks
and sizes as lots, so that sums have no rounding at all. The venue's own cuts to six decimals (fees, funding) are
made where the venue makes them.
"""

from dataclasses import dataclass
from decimal import Decimal

from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.funding import funding_payment
from amm500_nautilus.margin.tables import MarginRatios
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import margin_ratios
from amm500_nautilus.margin.tables import order_notional_after_netting


NANO = 10**9
NANO_PER_MICRO = 1_000


@dataclass(frozen=True, slots=True)
class LedgerShape:
    """
    The units of a ledger.

    Parameters
    ----------
    tick : Decimal
        Price of one tick, in collateral units.
    lot : Decimal
        Size of one lot, in contracts; ``tick * lot`` must be a whole number of 1e-6, which the venue's precision
        rule (price decimals at most ``6 - szDecimals``) guarantees.

    """

    tick: Decimal
    lot: Decimal

    def __post_init__(self) -> None:
        value = self.tick * self.lot * 10**6
        if self.tick <= 0 or self.lot <= 0 or value != int(value):
            msg = f"tick {self.tick} times lot {self.lot} is not a positive multiple of 0.000001"
            raise ValueError(msg)

    @property
    def tick_lot_nano(self) -> int:
        """Value of one lot at a price of one tick, in 1e-9 units."""
        return int(self.tick * self.lot * NANO)


@dataclass(frozen=True, slots=True)
class FillResult:
    """What one fill did: ``fee`` and ``closed_pnl`` (against the average entry price, before fees) in 1e-9 units."""

    fee: int
    closed_pnl: int
    crossed_zero: bool


class Ledger:
    """
    The account of one market in its collateral token.

    Parameters
    ----------
    shape : LedgerShape
        Tick and lot.
    starting_equity : Decimal
        Equity at the start, in collateral units.
    rates : FeeRates
        What fills pay.
    leverage : Decimal
        The leverage set at the venue.
    table : MarginTable
        The market's margin table.

    """

    __slots__ = (
        "_buy_tick_lots",
        "_cash",
        "_entry_cost",
        "_fee_maker",
        "_fee_taker",
        "_leverage",
        "_maintenance_rate",
        "_mid2",
        "_sell_tick_lots",
        "_unit",
        "crossings",
        "fees_nano",
        "fills",
        "funding_nano",
        "last_oracle",
        "leverage",
        "liquidation_nano",
        "maker_fills",
        "maker_volume_nano",
        "position_lots",
        "realized_nano",
        "shape",
        "start_nano",
        "table",
        "taker_volume_nano",
        "unit",
    )

    def __init__(
        self,
        shape: LedgerShape,
        *,
        starting_equity: Decimal,
        rates: FeeRates,
        leverage: Decimal,
        table: MarginTable,
    ) -> None:
        if starting_equity <= 0:
            msg = f"starting equity is {starting_equity}; allowed: above 0"
            raise ValueError(msg)
        table.check_leverage(leverage)
        self.shape = shape
        self.table = table
        self.leverage = leverage
        self._leverage = float(leverage)
        self._maintenance_rate = float(table.maintenance_rate)
        self._fee_maker = rates.scaled(maker=True)
        self._fee_taker = rates.scaled(maker=False)
        self._unit = shape.tick_lot_nano
        self.unit = self._unit / NANO
        self.start_nano = int(starting_equity * NANO)
        # cash is what would be left if the position were worth nothing: start, less what was bought, plus what was sold
        self._cash = self.start_nano
        self._entry_cost = 0
        self._mid2 = 0
        self.position_lots = 0
        self.fees_nano = 0
        self.funding_nano = 0
        self.liquidation_nano = 0
        self.realized_nano = 0
        self.maker_volume_nano = 0
        self.taker_volume_nano = 0
        self.fills = 0
        self.maker_fills = 0
        self.crossings = 0
        self.last_oracle: Decimal | None = None
        self._buy_tick_lots = 0
        self._sell_tick_lots = 0

    # -- events -----------------------------------------------------------------------------------

    def fee_nano(self, price_ticks: int, lots: int, *, maker: bool) -> int:
        """Return the fee of a fill, cut to six decimals toward zero as the venue does."""
        numerator, denominator = self._fee_maker if maker else self._fee_taker
        # value is a whole number of 1e-9; the fee in 1e-6 is value * rate / 1000, cut
        exact = price_ticks * lots * self._unit * numerator
        step = denominator * NANO_PER_MICRO
        micro = exact // step if exact >= 0 else -(-exact // step)
        return micro * NANO_PER_MICRO

    def apply_fill(self, side: int, lots: int, price_ticks: int, *, maker: bool) -> FillResult:
        """
        Book a fill of ``lots`` at ``price_ticks``; ``side`` is 1 for a buy and -1 for a sell.

        Raises
        ------
        ValueError
            If the side is neither 1 nor -1, or size or price is not positive.

        """
        if side not in {1, -1} or lots <= 0 or price_ticks <= 0:
            msg = f"a fill needs side 1 or -1 and positive lots and ticks, got {side}, {lots}, {price_ticks}"
            raise ValueError(msg)
        value = price_ticks * lots * self._unit
        fee = self.fee_nano(price_ticks, lots, maker=maker)
        before = self.position_lots
        after = before + side * lots
        closed = 0
        if before * side >= 0:
            self._entry_cost += value
        else:
            closing = min(lots, abs(before))
            # the part of the entry cost that leaves with the closed lots; what stays keeps the rest, so nothing is lost
            released = self._entry_cost * closing // abs(before)
            closing_value = price_ticks * closing * self._unit
            closed = closing_value - released if before > 0 else released - closing_value
            self._entry_cost -= released
            if closing < lots:
                self._entry_cost = (lots - closing) * price_ticks * self._unit
        self.position_lots = after
        self._cash -= side * value + fee
        self.fees_nano += fee
        self.realized_nano += closed
        self.fills += 1
        if maker:
            self.maker_fills += 1
            self.maker_volume_nano += value
        else:
            self.taker_volume_nano += value
        crossed = before != 0 and after * before <= 0
        self.crossings += crossed
        return FillResult(fee=fee, closed_pnl=closed, crossed_zero=crossed)

    def apply_funding(
        self, oracle_price: Decimal, hourly_rate: Decimal, position_lots: int | None = None
    ) -> int:
        """
        Book one hour of funding and return what was received (negative: paid), in 1e-9 units.

        ``position_lots`` is the position at the hour when it is no longer the present one.
        """
        lots = self.position_lots if position_lots is None else position_lots
        amount = int(funding_payment(lots * self.shape.lot, oracle_price, hourly_rate) * NANO)
        self._cash += amount
        self.funding_nano += amount
        return amount

    def mark(self, mid2_ticks: int) -> None:
        """Set the mark as TWICE the mid in ticks (bid plus ask), which is always whole."""
        self._mid2 = mid2_ticks

    def order_added(self, side: int, price_ticks: int, lots: int) -> None:
        """Count ``lots`` more resting at a price; give negative lots when they leave."""
        if side > 0:
            self._buy_tick_lots += price_ticks * lots
        else:
            self._sell_tick_lots += price_ticks * lots

    # -- exact figures, in 1e-9 units -----------------------------------------------------------------

    @property
    def mid2_ticks(self) -> int:
        """Twice the mid in ticks; 0 before the first mark."""
        return self._mid2

    @property
    def cash_nano(self) -> int:
        """What would be left if the position were worth nothing, in 1e-9 units."""
        return self._cash

    @property
    def balance_nano(self) -> int:
        """Starting equity plus realized PnL, fees and funding: the balance that Nautilus's margin account shows."""
        return (
            self.start_nano + self.realized_nano - self.fees_nano + self.funding_nano - self.liquidation_nano
        )

    @property
    def unrealized_nano(self) -> int:
        """Position at mark less its entry cost, in 1e-9 units; 0 before the first mark."""
        if not self.position_lots or not self._mid2:
            return 0
        worth = self.position_lots * self._mid2 * self._unit // 2
        return worth - self._entry_cost if self.position_lots > 0 else worth + self._entry_cost

    @property
    def equity_nano(self) -> int:
        """Cash plus the position at mark, in 1e-9 units; the balance before the first mark."""
        if not self.position_lots:
            return self._cash
        if not self._mid2:
            return self.balance_nano
        return self._cash + self.position_lots * self._mid2 * self._unit // 2

    # -- the same as collateral units -----------------------------------------------------------------

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
    def position(self) -> Decimal:
        """Signed position in contracts."""
        return self.position_lots * self.shape.lot

    @property
    def entry_ticks(self) -> float:
        """Average entry price in ticks; 0 when flat."""
        return self._entry_cost / (abs(self.position_lots) * self._unit) if self.position_lots else 0.0

    @property
    def order_notional(self) -> float:
        """Value of resting orders that asks for margin, after netting."""
        return order_notional_after_netting(
            position_notional=self.position_notional,
            buy_notional=self._buy_tick_lots * self.unit,
            sell_notional=self._sell_tick_lots * self.unit,
        )

    @property
    def position_notional(self) -> float:
        """Signed notional of the position at mark."""
        return self.position_lots * self._mid2 * 0.5 * self.unit

    @property
    def ratios(self) -> MarginRatios:
        """Margins and ratios now."""
        return margin_ratios(
            equity=self.equity_nano / NANO,
            position_notional=self.position_notional,
            order_notional=self.order_notional,
            leverage=self._leverage,
            maintenance_rate=self._maintenance_rate,
        )

    @property
    def resting_tick_lots(self) -> tuple[int, int]:
        """Sum of ticks times lots of resting bids and asks, reduce-only left out; both 0 with nothing resting."""
        return self._buy_tick_lots, self._sell_tick_lots
