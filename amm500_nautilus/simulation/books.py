"""
The exact account of one market: fills, fees, funding, transfers, margin and liquidation, at a constant cost an event.

Money is held as integers of a thousandth of the venue's smallest amount (1e-9 collateral units), prices as ticks
and sizes as lots, so that sums have no rounding at all. The venue's own cuts to six decimals (fees, funding, margins)
are made where the venue makes them. The rules are those of ``margin/``.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from amm500_nautilus.margin.account import LEVERAGE_WORDS
from amm500_nautilus.margin.account import SWITCH_WORDS
from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.funding import funding_payment
from amm500_nautilus.margin.limits import MARGIN_WORDS
from amm500_nautilus.margin.liquidation import LiquidationStep
from amm500_nautilus.margin.liquidation import liquidation_step
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.tables import MAX_POSITION_WORDS
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.simulation.tiers import NANO
from amm500_nautilus.simulation.tiers import NO_HIGH
from amm500_nautilus.simulation.tiers import NO_LOW
from amm500_nautilus.simulation.tiers import TierSteps
from amm500_nautilus.simulation.tiers import cut_micro


COIN = "market"


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


class FillResult(NamedTuple):
    """What one fill did: ``fee`` and ``closed_pnl`` (against the average entry price, before fees) in 1e-9 units."""

    fee: int
    closed_pnl: int
    crossed_zero: bool


class LedgerBooks:
    """
    The account of one market in integers; ``Ledger`` adds the same figures as decimals.

    Parameters
    ----------
    shape : LedgerShape
        Tick and lot.
    starting_equity : Decimal
        Equity at the start, in collateral units.
    rates : FeeRates
        What fills pay.
    leverage : Decimal or int
        The leverage set at the venue.
    table : MarginTable
        The market's margin table.
    mode : MarginMode
        Whether the position shares the account's collateral (cross) or has margin of its own.
    backstop : bool
        Whether the market has a backstop liquidator; those that allow cross margin have one.

    """

    __slots__ = (
        "_buy_tick_lots",
        "_cap",
        "_cash",
        "_entry_cost",
        "_fee_maker",
        "_fee_taker",
        "_is_cross",
        "_mid2",
        "_raw",
        "_sell_tick_lots",
        "_tiers",
        "_unit",
        "backstop",
        "crossings",
        "fees_nano",
        "fills",
        "funding_nano",
        "last_part_ns",
        "leverage",
        "liquidation_nano",
        "maker_fills",
        "maker_volume_nano",
        "mode",
        "position_lots",
        "realized_nano",
        "safe_high",
        "safe_low",
        "shape",
        "start_nano",
        "table",
        "taker_volume_nano",
        "transfers_nano",
        "unit",
        "weight_nano",
    )

    def __init__(
        self,
        shape: LedgerShape,
        *,
        starting_equity: Decimal,
        rates: FeeRates,
        leverage: Decimal | int,
        table: MarginTable,
        mode: MarginMode = MarginMode.CROSS,
        backstop: bool = True,
    ) -> None:
        if starting_equity <= 0:
            msg = f"starting equity is {starting_equity}; allowed: above 0"
            raise ValueError(msg)
        table.check_leverage(leverage)
        self.shape = shape
        self.table = table
        self._tiers = TierSteps(table)
        self.leverage = int(leverage)
        self._cap = self._tiers.cap(self.leverage)
        self.mode = mode
        self._is_cross = mode is MarginMode.CROSS
        self.backstop = backstop
        self._fee_maker = rates.scaled(maker=True)
        self._fee_taker = rates.scaled(maker=False)
        self._unit = shape.tick_lot_nano
        self.unit = self._unit / NANO
        self.start_nano = int(starting_equity * NANO)
        # cash is what would be left if the position were worth nothing: start, less what was bought, plus what was sold
        self._cash = self.start_nano
        # the part of it that lies with an isolated position, whose value is left out
        self._raw = 0
        self._entry_cost = 0
        self._mid2 = 0
        self.position_lots = 0
        self.fees_nano = 0
        self.funding_nano = 0
        # collateral that went with positions taken over
        self.liquidation_nano = 0
        self.transfers_nano = 0
        # what bought actions have cost
        self.weight_nano = 0
        self.realized_nano = 0
        self.maker_volume_nano = 0
        self.taker_volume_nano = 0
        self.fills = 0
        self.maker_fills = 0
        self.crossings = 0
        self.last_part_ns: int | None = None
        self._buy_tick_lots = 0
        self._sell_tick_lots = 0
        # while twice the mid lies within these, maintenance is covered and a mark costs no more than the comparison
        self.safe_low, self.safe_high = NO_LOW, NO_HIGH

    # -- events -----------------------------------------------------------------------------------

    def fee_nano(self, price_ticks: int, lots: int, *, maker: bool) -> int:
        """Return the fee of a fill, cut to six decimals toward zero as the venue does."""
        numerator, denominator = self._fee_maker if maker else self._fee_taker
        # value is a whole number of 1e-9; the fee in 1e-6 is value * rate / 1000, cut
        return cut_micro(price_ticks * lots * self._unit * numerator, denominator)

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
        if maker:
            self.maker_fills += 1
            self.maker_volume_nano += value
        else:
            self.taker_volume_nano += value
        return self._book(side, lots, price_ticks, value, fee)

    def _book(self, side: int, lots: int, price_ticks: int, value: int, fee: int) -> FillResult:
        before = self.position_lots
        after = before + side * lots
        closed = 0
        if not self._is_cross:
            self._isolate(side, lots, price_ticks, fee)
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
        crossed = before != 0 and after * before <= 0
        self.crossings += crossed
        self._watch()
        return FillResult(fee=fee, closed_pnl=closed, crossed_zero=crossed)

    def _isolate(self, side: int, lots: int, price_ticks: int, fee: int) -> None:
        """Move margin between the account and the isolated position, as ``margin.position.fill_effect`` does."""
        before, raw, unit = self.position_lots, self._raw, self._unit
        closing = min(lots, abs(before)) if before * side < 0 else 0
        opening = lots - closing
        fee_closing = fee if not opening else cut_micro(fee * closing, lots)
        if closing:
            margin = before * price_ticks * unit + raw - fee_closing
            share = margin if closing == abs(before) else cut_micro(margin * closing, abs(before))
            raw += -side * closing * price_ticks * unit - fee_closing - share
        if opening:
            cost = opening * price_ticks * unit
            raw += cut_micro(cost, self.leverage) - side * cost - (fee - fee_closing)
        self._raw = raw

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
        if not self._is_cross and self.position_lots:
            self._raw += amount
        self._watch()
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

    def transfer(self, amount: Decimal) -> None:
        """
        Book a deposit (positive) or a withdrawal (negative); neither is profit or loss.

        Raises
        ------
        ValueError
            If the amount is finer than 1e-6, or more would leave than is withdrawable.

        """
        nano = _nano_of_money(amount, "transfer")
        if -nano > self.withdrawable_nano:
            msg = f"a transfer of {-amount} out; allowed: up to the withdrawable {Decimal(self.withdrawable_nano) / NANO}"
            raise ValueError(msg)
        self._cash += nano
        self.transfers_nano += nano
        self._watch()

    def move_margin(self, amount: Decimal) -> None:
        """
        Add margin to the isolated position, or remove it when negative; strict isolated margin stays until the close.

        Raises
        ------
        ValueError
            If there is no isolated position, if more is added than is withdrawable, or more removed than can be spared.

        """
        nano = _nano_of_money(amount, "margin change")
        if self._is_cross or not self.position_lots:
            msg = "there is no isolated margin to change; allowed: an open isolated position"
            raise ValueError(msg)
        limit = self.withdrawable_nano if nano > 0 else self.removable_nano
        if abs(nano) > limit:
            msg = f"a margin change of {amount}; allowed: at most {Decimal(limit) / NANO} that way"
            raise ValueError(msg)
        self._raw += nano
        self._watch()

    def set_leverage(self, leverage: int) -> None:
        """
        Change the leverage; the margin of an open isolated position stays where it is (venue docs, margining).

        Raises
        ------
        ValueError
            In the venue's words: outside the table, past the tier of the open position, or a lower leverage than the
            collateral carries.

        """
        if leverage != int(leverage) or not 1 <= leverage <= self.table.max_leverage:
            raise ValueError(LEVERAGE_WORDS)
        cap, notional = self._tiers.cap(leverage), self.notional_nano
        short_of_margin = (
            leverage < self.leverage and self._is_cross and cut_micro(notional, leverage) > self.equity_nano
        )
        if short_of_margin or (cap is not None and notional > cap):
            raise ValueError(LEVERAGE_WORDS)
        self.leverage = int(leverage)
        self._cap = cap

    def set_mode(self, mode: MarginMode) -> None:
        """
        Change the margin mode.

        Raises
        ------
        ValueError
            In the venue's words, while a position is open.

        """
        if mode is not self.mode and self.position_lots:
            raise ValueError(SWITCH_WORDS)
        self.mode = mode
        self._is_cross = mode is MarginMode.CROSS

    def buy_weight(self, cost: Decimal) -> None:
        """Pay for actions bought at the venue."""
        nano = _nano_of_money(cost, "weight cost")
        self._cash -= nano
        self.weight_nano += nano
        self._watch()

    # -- liquidation --------------------------------------------------------------------------------

    def liquidation_step(self, now_ns: int) -> LiquidationStep:
        """Return what the venue does about the position now: ``margin.liquidation.liquidation_step`` of this account."""
        maintenance = Decimal(self.maintenance_nano) / NANO
        return liquidation_step(
            self.position_view(),
            value=Decimal(self.backing_nano) / NANO,
            maintenance=maintenance,
            now_ns=now_ns,
            last_part_ns=self.last_part_ns,
            lot=self.shape.lot,
            backstop=self.backstop,
        )

    def take_over(self, price_ticks: int) -> tuple[FillResult, int]:
        """
        Let the backstop or auto-deleveraging have the position at a price, and all that backed it.

        Cross, the whole account value goes; isolated, the position's margin and nothing else. A negative value is borne by
        others: nothing stays owed (venue docs, liquidations). Returns what the closing did and the collateral that went,
        negative where others bore it.
        """
        lots = self.position_lots
        side = -1 if lots > 0 else 1
        value = price_ticks * abs(lots) * self._unit
        margin = self._raw - side * value
        result = self._book(side, abs(lots), price_ticks, value, 0)
        gone = self._cash if self._is_cross else margin
        self._cash -= gone
        self.liquidation_nano += gone
        self._watch()
        return result, gone

    def _watch(self) -> None:
        """Find the marks at which maintenance stops being covered."""
        backing = self._cash if self._is_cross else self._raw
        self.safe_low, self.safe_high = self._tiers.safe_marks(self.position_lots, backing, self._unit)

    @property
    def is_liquidatable(self) -> bool:
        """Whether what backs the position is below its maintenance at the present mark."""
        if self.safe_low <= self._mid2 <= self.safe_high or not self._mid2:
            return False
        return self.backing_nano < self.maintenance_nano

    # -- orders -------------------------------------------------------------------------------------

    def order_refusal(self, side: int, lots: int, price_ticks: int, same_side_tick_lots: int) -> str | None:
        """
        Return the venue's words if margin refuses an order that is not reduce-only; None if it does not.

        The same rule as ``margin.limits.order_refusal`` without its smallest value, which the desk judges.

        Parameters
        ----------
        side, lots, price_ticks : int
            The order.
        same_side_tick_lots : int
            Ticks times lots of the orders of its side that rest already.

        """
        position, unit = self.position_lots, self._unit
        notional = self.notional_nano
        if self._cap is not None:
            after = position + side * lots
            grows = abs(after) > abs(position)
            if grows and abs(after) * (self._mid2 or 2 * price_ticks) * unit > 2 * self._cap:
                return MAX_POSITION_WORDS
        initial = cut_micro(notional, self.leverage)
        available = (
            self._cash + position * self._mid2 * unit // 2 - initial if self._is_cross else self.outside_nano
        )
        available = max(available, 0)
        if position * side < 0:
            available += 2 * initial
        wanted = (price_ticks * lots + same_side_tick_lots) * unit
        return MARGIN_WORDS if wanted > available * self.leverage else None

    # -- exact figures, in 1e-9 units -----------------------------------------------------------------

    @property
    def tick_lot_nano(self) -> int:
        """Value of one lot at one tick."""
        return self._unit

    @property
    def is_cross(self) -> bool:
        """Whether the position shares the account's collateral."""
        return self._is_cross

    @property
    def tiers(self) -> TierSteps:
        """The margin table in whole numbers."""
        return self._tiers

    @property
    def mid2_ticks(self) -> int:
        """Twice the mid in ticks; 0 before the first mark."""
        return self._mid2

    @property
    def cash_nano(self) -> int:
        """What would be left if the position were worth nothing, in 1e-9 units."""
        return self._cash

    @property
    def outside_nano(self) -> int:
        """The collateral outside the isolated position."""
        return self._cash - self._raw

    @property
    def balance_nano(self) -> int:
        """Start, transfers, realized PnL, fees and funding: the balance that Nautilus's margin account shows."""
        return (
            self.start_nano
            + self.transfers_nano
            + self.realized_nano
            - self.fees_nano
            + self.funding_nano
            - self.liquidation_nano
            - self.weight_nano
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

    @property
    def notional_nano(self) -> int:
        """Absolute value of the position at mark."""
        return abs(self.position_lots) * self._mid2 * self._unit // 2

    @property
    def initial_nano(self) -> int:
        """Initial margin of the position: notional over leverage, cut to six decimals."""
        return cut_micro(self.notional_nano, self.leverage)

    @property
    def maintenance_nano(self) -> int:
        """Maintenance margin of the position, cut to six decimals."""
        return self._tiers.maintenance(self.notional_nano)

    @property
    def backing_nano(self) -> int:
        """What covers the position: the account value when cross, else the isolated margin."""
        if self._is_cross:
            return self.equity_nano
        return self._raw + self.position_lots * self._mid2 * self._unit // 2

    @property
    def margin_used_nano(self) -> int:
        """What the venue calls margin used: the initial margin when cross, else the isolated margin."""
        return self.initial_nano if self._is_cross else self.backing_nano

    @property
    def withdrawable_nano(self) -> int:
        """
        What may be transferred out, cut to six decimals and never below 0.

        Cross: the account value less the larger of initial margin and a tenth of the notional (venue docs, margining).
        """
        if not self._is_cross:
            return max(0, cut_micro(self.outside_nano))
        required = max(self.initial_nano, self.notional_nano // 10)
        return max(0, cut_micro(self.equity_nano - required))

    @property
    def removable_nano(self) -> int:
        """The isolated margin that may be taken out now; 0 for cross and strict isolated."""
        if self.mode is not MarginMode.ISOLATED:
            return 0
        return max(0, self.backing_nano - max(self.initial_nano, self.notional_nano // 10))

    @property
    def order_nano(self) -> int:
        """
        Value of resting orders that asks for margin: the larger side after netting, as ``margin.Account.order_margin_of``.

        Orders that close free margin, so the side opposite to the position counts only beyond the position's notional.
        """
        unit = self._unit
        buys, sells = self._buy_tick_lots * unit, self._sell_tick_lots * unit
        value = self.position_lots * self._mid2 * unit // 2
        if value < 0:
            buys += value
        else:
            sells -= value
        wanted = buys if buys > sells else sells  # noqa: FURB136  asked at every report
        return wanted if wanted > 0 else 0  # noqa: FURB136

    @property
    def resting_tick_lots(self) -> tuple[int, int]:
        """Sum of ticks times lots of resting bids and asks, reduce-only left out; both 0 with nothing resting."""
        return self._buy_tick_lots, self._sell_tick_lots

    # -- the same account in the terms of margin/ --------------------------------------------------------

    def position_view(self) -> Position:
        """Return the position as ``margin.Position``; the mark must be known."""
        return Position(
            coin=COIN,
            table=self.table,
            leverage=self.leverage,
            mark=self.shape.tick * self._mid2 / 2,
            mode=self.mode,
            size=self.position_lots * self.shape.lot,
            entry_value=Decimal(self._entry_cost) / NANO,
            raw_usd=Decimal(self._raw) / NANO,
        )


def _nano_of_money(amount: Decimal, what: str) -> int:
    micro = amount * 10**6
    if micro != int(micro):
        msg = f"a {what} of {amount}; allowed: whole multiples of 0.000001"
        raise ValueError(msg)
    return int(micro) * 1_000
