"""Margin requirements of a market with a single tier, and the ratios the venue and this product report."""

from dataclasses import dataclass
from decimal import Decimal


WARN_RATIO = 0.80
PAUSE_RATIO = 0.90


@dataclass(frozen=True, slots=True)
class MarginTable:
    """
    A margin table of one tier.

    Table ids below 50 are one tier whose largest leverage is the id itself (venue docs, margin tiers).

    Parameters
    ----------
    max_leverage : int
        The largest leverage of the tier; ``km:US500`` had 25.

    """

    max_leverage: int

    def __post_init__(self) -> None:
        if self.max_leverage < 1:
            msg = f"max_leverage is {self.max_leverage}; allowed: 1 or more"
            raise ValueError(msg)

    @property
    def maintenance_rate(self) -> Decimal:
        """Maintenance margin over notional: half the initial margin at the largest leverage (25x gives 2 %)."""
        return Decimal(1) / (2 * self.max_leverage)

    def initial(self, notional: Decimal, leverage: Decimal) -> Decimal:
        """
        Return the initial margin of ``notional``, which is ``notional / leverage``.

        Raises
        ------
        ValueError
            If the leverage is not between 1 and the table's largest.

        """
        self.check_leverage(leverage)
        return notional / leverage

    def maintenance(self, notional: Decimal) -> Decimal:
        """Return the maintenance margin of ``notional``; it does not depend on the leverage chosen."""
        return notional * self.maintenance_rate

    def check_leverage(self, leverage: Decimal) -> None:
        """
        Refuse a leverage that the venue would refuse.

        Raises
        ------
        ValueError
            If the leverage is not between 1 and the table's largest.

        """
        if not 1 <= leverage <= self.max_leverage:
            msg = f"leverage is {leverage}; allowed: 1 to {self.max_leverage}"
            raise ValueError(msg)


def order_notional_after_netting(
    *, position_notional: float, buy_notional: float, sell_notional: float
) -> float:
    """
    Return the value of resting orders that asks for margin: the larger side, after closing orders are netted.

    Orders that close the position free margin rather than take it, so the side opposite to the position counts
    only beyond the position's own notional. The two sides cannot both fill without netting each other, hence the
    larger one and not the sum.

    Parameters
    ----------
    position_notional : float
        Signed notional of the position at mark; positive is long.
    buy_notional, sell_notional : float
        Value of resting orders of each side at their own prices, reduce-only orders left out.

    """
    buy = buy_notional + min(0.0, position_notional)
    sell = sell_notional - max(0.0, position_notional)
    return max(0.0, buy, sell)


@dataclass(frozen=True, slots=True)
class MarginRatios:
    """
    How much of the equity is spoken for.

    ``position_margin_ratio`` is comparable to the venue's figure; ``margin_ratio`` adds resting orders (warn at
    0.80, pause at 0.90); ``maintenance_ratio`` of 1 is liquidation. All are infinite when equity is used up.
    """

    position_margin: float
    order_margin: float
    maintenance: float
    position_margin_ratio: float
    margin_ratio: float
    maintenance_ratio: float


def margin_ratios(
    *,
    equity: float,
    position_notional: float,
    order_notional: float,
    leverage: float,
    maintenance_rate: float,
) -> MarginRatios:
    """
    Return margins and ratios of an account with one position.

    Parameters
    ----------
    equity : float
        Mark-to-market equity.
    position_notional : float
        Signed notional at mark.
    order_notional : float
        As ``order_notional_after_netting`` gives it.
    leverage : float
        The leverage set at the venue.
    maintenance_rate : float
        As ``MarginTable.maintenance_rate``.

    """
    notional = abs(position_notional)
    position_margin = notional / leverage
    order_margin = order_notional / leverage
    maintenance = notional * maintenance_rate

    def over_equity(amount: float) -> float:
        if amount == 0.0:
            return 0.0
        return amount / equity if equity > 0.0 else float("inf")

    return MarginRatios(
        position_margin=position_margin,
        order_margin=order_margin,
        maintenance=maintenance,
        position_margin_ratio=over_equity(position_margin),
        margin_ratio=over_equity(position_margin + order_margin),
        maintenance_ratio=over_equity(maintenance),
    )
