"""One position: its entry, PnL and margin, and what a fill does to it."""

from dataclasses import dataclass
from dataclasses import replace
from decimal import ROUND_FLOOR
from decimal import Decimal
from enum import StrEnum

from amm500_nautilus.margin.rounding import cut
from amm500_nautilus.margin.rounding import cut_price
from amm500_nautilus.margin.tables import MarginTable


ZERO = Decimal(0)
# the entry value keeps three digits more than money, so that averaging never shows in a printed figure
ENTRY_STEP = Decimal("0.000000001")


class MarginMode(StrEnum):
    """
    Where a position's margin lies (venue docs, margining).

    ``CROSS`` shares the account's collateral; ``ISOLATED`` has margin of its own, which may be added and removed;
    ``STRICT_ISOLATED`` is isolated margin that leaves only as the position is closed, in proportion.
    """

    CROSS = "cross"
    ISOLATED = "isolated"
    STRICT_ISOLATED = "strict_isolated"


def allowed_modes(venue_mode: str | None) -> tuple[MarginMode, ...]:
    """
    Return the modes that a market allows.

    Parameters
    ----------
    venue_mode : str or None
        The ``marginMode`` of the market in ``meta``: absent where cross is allowed, ``noCross`` or
        ``strictIsolated``.

    Raises
    ------
    ValueError
        If the word is none of these.

    """
    modes = {
        None: (MarginMode.CROSS, MarginMode.ISOLATED),
        "normal": (MarginMode.CROSS, MarginMode.ISOLATED),
        "noCross": (MarginMode.ISOLATED,),
        "strictIsolated": (MarginMode.STRICT_ISOLATED,),
    }
    if venue_mode not in modes:
        msg = f"marginMode is {venue_mode!r}; allowed: absent, normal, noCross or strictIsolated"
        raise ValueError(msg)
    return modes[venue_mode]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """
    An open position, or the leverage set for a coin while ``size`` is 0.

    Parameters
    ----------
    coin : str
        For example ``km:US500``.
    table : MarginTable
        The market's margin table.
    leverage : int
        The leverage set at the venue, 1 to the table's largest.
    mode : MarginMode
        Cross or isolated.
    size : Decimal
        Signed size in contracts; positive is long.
    entry_value : Decimal
        What the open contracts cost: average entry price times absolute size, in collateral units.
    mark : Decimal
        The mark price.
    raw_usd : Decimal
        Isolated only: the collateral that lies with the position, the value of its contracts left out (negative for
        most longs, ``rawUsd`` in the venue's payloads).
    size_decimals : int
        ``szDecimals`` of the market; the printed entry price has ``6 - size_decimals`` decimals.

    """

    coin: str
    table: MarginTable
    leverage: int
    mark: Decimal
    mode: MarginMode = MarginMode.CROSS
    size: Decimal = ZERO
    entry_value: Decimal = ZERO
    raw_usd: Decimal = ZERO
    size_decimals: int = 3

    def __post_init__(self) -> None:
        self.table.check_leverage(self.leverage)
        if self.mark <= 0:
            msg = f"mark of {self.coin} is {self.mark}; allowed: above 0"
            raise ValueError(msg)
        if self.entry_value < 0 or (self.size == 0) != (self.entry_value == 0):
            msg = (
                f"entry value of {self.coin} is {self.entry_value} at size {self.size}; allowed: 0 when flat, "
                "above 0 when not"
            )
            raise ValueError(msg)
        if self.mode is MarginMode.CROSS and self.raw_usd != 0:
            msg = f"raw_usd of {self.coin} is {self.raw_usd}; allowed: 0 for a cross position"
            raise ValueError(msg)

    @property
    def is_cross(self) -> bool:
        """Whether the position shares the account's collateral."""
        return self.mode is MarginMode.CROSS

    @property
    def notional(self) -> Decimal:
        """Absolute value at mark (``positionValue``)."""
        return abs(self.size) * self.mark

    @property
    def value(self) -> Decimal:
        """Signed value at mark."""
        return self.size * self.mark

    @property
    def entry(self) -> Decimal:
        """Average entry price, not cut; 0 when flat."""
        return self.entry_value / abs(self.size) if self.size else ZERO

    @property
    def printed_entry(self) -> Decimal:
        """Average entry price as the venue prints it: cut to the market's price decimals."""
        return cut_price(self.entry, self.size_decimals)

    @property
    def unrealized(self) -> Decimal:
        """PnL at mark against the exact entry value."""
        return self.value - self.entry_value if self.size >= 0 else self.value + self.entry_value

    @property
    def initial(self) -> Decimal:
        """Initial margin at mark: notional over leverage, cut to six decimals."""
        return cut(self.notional / self.leverage)

    @property
    def maintenance(self) -> Decimal:
        """Maintenance margin at mark, cut to six decimals."""
        return self.table.maintenance_used(self.notional)

    @property
    def margin_used(self) -> Decimal:
        """What the venue prints as ``marginUsed``: initial margin when cross, value plus ``raw_usd`` when isolated."""
        return self.initial if self.is_cross else self.value + self.raw_usd

    @property
    def removable(self) -> Decimal:
        """
        Return the isolated margin that may be taken out now; 0 for cross and strict isolated.

        What stays must cover the initial margin and a tenth of the notional (venue docs, transfer margin
        requirements).
        """
        if self.mode is not MarginMode.ISOLATED:
            return ZERO
        return max(ZERO, self.margin_used - transfer_requirement(self.initial, self.notional))

    def marked(self, mark: Decimal) -> "Position":
        """Return the position at another mark."""
        return replace(self, mark=mark)


def transfer_requirement(initial: Decimal, notional: Decimal) -> Decimal:
    """
    Return the margin that must stay after a transfer: the larger of initial margin and a tenth of the notional.

    Source: venue docs, margining, "transfer margin requirements".
    """
    return max(initial, notional / 10)


@dataclass(frozen=True, slots=True)
class FillEffect:
    """
    What one fill does.

    Parameters
    ----------
    position : Position
        The position afterwards; an isolated one holds its share of the margin.
    cash : Decimal
        Change of the collateral OUTSIDE isolated positions.
    closed_pnl : Decimal
        Exact PnL of the closed contracts against the entry value, before fees; sums to equity.
    printed_pnl : Decimal
        What the venue prints as ``closedPnl``: closed contracts times the distance to the PRINTED entry price.

    """

    position: Position
    cash: Decimal
    closed_pnl: Decimal
    printed_pnl: Decimal


def fill_effect(
    position: Position, *, side: int, size: Decimal, price: Decimal, fee: Decimal = ZERO
) -> FillEffect:
    """
    Return what a fill does to a position and to the collateral around it.

    An opening fill averages the entry price by size, a closing one keeps it, one that turns the position round
    opens at its own price (venue docs, entry price and pnl). An isolated opening takes ``value / leverage`` from
    the account; a closing gives back the margin of the closed share; the fee is paid by the position's margin
    (seen in a recorded account: ``rawUsd`` -68.126246 after buying 2 at 37.829 at 10x is
    7.5658 - 75.658 - 0.034046, the taker fee).

    Parameters
    ----------
    position : Position
        Before the fill.
    side : int
        1 for a buy, -1 for a sell.
    size : Decimal
        Contracts filled, above 0.
    price : Decimal
        Price of the fill, above 0.
    fee : Decimal
        What the fill costs; negative is a rebate.

    Raises
    ------
    ValueError
        If the side is neither 1 nor -1, or size or price is not above 0.

    """
    if side not in {1, -1} or size <= 0 or price <= 0:
        msg = f"a fill of {position.coin} needs side 1 or -1 and size and price above 0, got {side}, {size}, {price}"
        raise ValueError(msg)
    closing = min(size, abs(position.size)) if position.size * side < 0 else ZERO
    opening = size - closing
    exact = printed = ZERO
    entry_value = position.entry_value
    if closing:
        sign = -side
        released = _share(entry_value, closing, abs(position.size))
        exact = sign * (closing * price - released)
        printed = sign * closing * (price - position.printed_entry)
        entry_value -= released
    entry_value += opening * price
    after = position.size + side * size
    if position.is_cross:
        cash = -side * size * price - fee
        raw = ZERO
    else:
        cash, raw = _isolated_margin(
            position, side=side, closing=closing, opening=opening, price=price, fee=fee
        )
    moved = replace(position, size=after, entry_value=entry_value, raw_usd=raw)
    return FillEffect(position=moved, cash=cash, closed_pnl=exact, printed_pnl=printed)


def _isolated_margin(
    position: Position, *, side: int, closing: Decimal, opening: Decimal, price: Decimal, fee: Decimal
) -> tuple[Decimal, Decimal]:
    """Return the change of the collateral outside and the ``raw_usd`` afterwards."""
    size = closing + opening
    fee_closing = fee if not opening else cut(fee * closing / size)
    raw, cash = position.raw_usd, ZERO
    if closing:
        margin = position.size * price + raw - fee_closing
        share = margin if closing == abs(position.size) else cut(margin * closing / abs(position.size))
        raw += -side * closing * price - fee_closing - share
        cash += share
    if opening:
        margin = cut(opening * price / position.leverage)
        raw += margin - side * opening * price - (fee - fee_closing)
        cash -= margin
    return cash, raw


def _share(value: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return ``value * part / whole``, all of it when the parts are equal, else cut to ``ENTRY_STEP``."""
    if part == whole:
        return value
    return (value * part / whole).quantize(ENTRY_STEP, rounding=ROUND_FLOOR)
