"""Margin tables of a market, what they ask of a position, and the ratios the venue and this product report."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from amm500_nautilus.margin.rounding import cut


WARN_RATIO = 0.80
PAUSE_RATIO = 0.90

# ids below this are one tier whose largest leverage is the id itself
FIRST_CUSTOM_TABLE = 50
MAX_TIERS = 3
MAX_POSITION_WORDS = "Order would cause position to exceed margin tier limit at current leverage"


@dataclass(frozen=True, slots=True)
class MarginTier:
    """
    One tier of a margin table.

    Parameters
    ----------
    lower_bound : Decimal
        Position notional, in collateral units, above which the tier counts; 0 for the first.
    max_leverage : int
        The largest leverage within the tier.

    """

    lower_bound: Decimal
    max_leverage: int


@dataclass(frozen=True, slots=True)
class MarginTable:
    """
    What a market asks of a position by its notional (venue docs, margin tiers).

    Parameters
    ----------
    max_leverage : int
        The largest leverage of the first tier; ``km:US500`` had 25.
    tiers : tuple of MarginTier, optional
        Up to three tiers, lower bounds increasing from 0 and leverage decreasing; left out for a table of one tier.

    """

    max_leverage: int
    tiers: tuple[MarginTier, ...] = ()
    _rates: tuple[Fraction, ...] = field(init=False, repr=False, compare=False)
    _deductions: tuple[Fraction, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.max_leverage < 1:
            msg = f"max_leverage is {self.max_leverage}; allowed: 1 or more"
            raise ValueError(msg)
        if not self.tiers:
            object.__setattr__(self, "tiers", (MarginTier(Decimal(0), self.max_leverage),))
        self._check_tiers()
        rates = tuple(Fraction(1, 2 * tier.max_leverage) for tier in self.tiers)
        deductions = [Fraction(0)]
        for n in range(1, len(rates)):
            # what the higher rate would ask too much for the notional below the bound
            step = Fraction(self.tiers[n].lower_bound) * (rates[n] - rates[n - 1])
            deductions.append(deductions[n - 1] + step)
        object.__setattr__(self, "_rates", rates)
        object.__setattr__(self, "_deductions", tuple(deductions))

    def _check_tiers(self) -> None:
        tiers = self.tiers
        if len(tiers) > MAX_TIERS:
            msg = f"margin table has {len(tiers)} tiers; allowed: 1 to {MAX_TIERS}"
            raise ValueError(msg)
        if tiers[0].lower_bound != 0 or tiers[0].max_leverage != self.max_leverage:
            msg = (
                f"first margin tier starts at {tiers[0].lower_bound} with leverage {tiers[0].max_leverage}; "
                f"allowed: 0 and the table's {self.max_leverage}"
            )
            raise ValueError(msg)
        for lower, upper in pairwise(tiers):
            if upper.lower_bound <= lower.lower_bound or not 1 <= upper.max_leverage < lower.max_leverage:
                msg = (
                    f"margin tier from {upper.lower_bound} at leverage {upper.max_leverage} follows one from "
                    f"{lower.lower_bound} at {lower.max_leverage}; allowed: a higher bound and a lower leverage"
                )
                raise ValueError(msg)

    @property
    def maintenance_rate(self) -> Decimal:
        """Maintenance over notional in the first tier: half the initial margin at the largest leverage (25x: 2 %)."""
        return Decimal(1) / (2 * self.max_leverage)

    @property
    def steps(self) -> tuple[tuple[Decimal, Fraction, Fraction], ...]:
        """
        Lower bound, maintenance rate and deduction of every tier, exact.

        Within tier ``n`` maintenance is ``notional * rate - deduction``, with
        ``deduction_n = deduction_{n-1} + lower_bound_n * (rate_n - rate_{n-1})`` (venue docs, margin tiers).
        """
        bounds = (tier.lower_bound for tier in self.tiers)
        return tuple(zip(bounds, self._rates, self._deductions, strict=True))

    def tier_at(self, notional: Decimal) -> int:
        """Return the number of the tier of a position of ``notional`` (its sign does not matter), 0 for the first."""
        amount = abs(notional)
        n = len(self.tiers) - 1
        while n > 0 and amount <= self.tiers[n].lower_bound:
            n -= 1
        return n

    def max_leverage_at(self, notional: Decimal) -> int:
        """Return the largest leverage of a position of ``notional``."""
        return self.tiers[self.tier_at(notional)].max_leverage

    def max_notional_at(self, leverage: Decimal | int) -> Decimal | None:
        """Return the largest notional that may be held at ``leverage``; None when no tier limits it."""
        self.check_leverage(leverage)
        return next((tier.lower_bound for tier in self.tiers if tier.max_leverage < leverage), None)

    def exceeds_tier(self, notional: Decimal, leverage: Decimal | int) -> bool:
        """
        Return whether the venue refuses to let a position grow to ``notional`` at the leverage set.

        The venue's words are ``MAX_POSITION_WORDS``, the status ``perpMaxPositionRejected``.
        """
        limit = self.max_notional_at(leverage)
        return limit is not None and abs(notional) > limit

    def initial(self, notional: Decimal, leverage: Decimal | int) -> Decimal:
        """
        Return the initial margin of ``notional``, which is ``notional / leverage``.

        Raises
        ------
        ValueError
            If the leverage is not a whole number between 1 and the table's largest.

        """
        self.check_leverage(leverage)
        return notional / leverage

    def maintenance(self, notional: Decimal) -> Decimal:
        """
        Return the maintenance margin of ``notional``, whatever its sign; it does not depend on the leverage chosen.

        Continuous in the notional: the deduction of each tier makes up for the lower rates below it.
        """
        amount = abs(notional)
        n = self.tier_at(amount)
        if n == 0:
            return amount / (2 * self.max_leverage)
        exact = Fraction(amount) * self._rates[n] - self._deductions[n]
        return Decimal(exact.numerator) / exact.denominator

    def maintenance_used(self, notional: Decimal) -> Decimal:
        """Return the maintenance margin as the venue counts it: cut to six decimals, position by position."""
        return cut(self.maintenance(notional))

    def check_leverage(self, leverage: Decimal | int) -> None:
        """
        Refuse a leverage that the venue would refuse.

        Raises
        ------
        ValueError
            If the leverage is not a whole number between 1 and the table's largest.

        """
        if not 1 <= leverage <= self.max_leverage or leverage != int(leverage):
            msg = f"leverage is {leverage}; allowed: 1 to {self.max_leverage}, whole numbers"
            raise ValueError(msg)


def parse_margin_tables(rows: Sequence[Any]) -> dict[int, MarginTable]:
    """
    Return the tables of a ``meta`` reply by id.

    Parameters
    ----------
    rows : sequence
        The field ``marginTables``: pairs of an id and
        ``{"description": str, "marginTiers": [{"lowerBound": str, "maxLeverage": int}, ...]}``.

    Raises
    ------
    ValueError
        If a row has another shape or a table breaks the venue's rules; the message names the table.

    """
    tables: dict[int, MarginTable] = {}
    for row in rows:
        try:
            table_id, body = row
            tiers = tuple(
                MarginTier(Decimal(str(tier["lowerBound"])), int(tier["maxLeverage"]))
                for tier in body["marginTiers"]
            )
            tables[int(table_id)] = MarginTable(tiers[0].max_leverage, tiers)
        except (TypeError, KeyError, IndexError, ArithmeticError, ValueError) as e:
            msg = f"meta.marginTables has a row {row!r} that is not an id and a table of tiers: {e}"
            raise ValueError(msg) from e
    return tables


def margin_table(table_id: int, tables: Mapping[int, MarginTable]) -> MarginTable:
    """
    Return the table of a market's ``marginTableId``.

    Raises
    ------
    ValueError
        If the id is a custom one (50 or more) that ``tables`` lacks, or below 1.

    """
    if table_id in tables:
        return tables[table_id]
    if 1 <= table_id < FIRST_CUSTOM_TABLE:
        return MarginTable(table_id)
    msg = f"margin table {table_id} is not in meta.marginTables; ids that need no row are 1 to 49"
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
    maintenance_deduction: float = 0.0,
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
        As ``MarginTable.maintenance_rate``, or the rate of the position's tier.
    maintenance_deduction : float
        The deduction of the position's tier; 0 in the first.

    """
    notional = abs(position_notional)
    position_margin = notional / leverage
    order_margin = order_notional / leverage
    maintenance = notional * maintenance_rate - maintenance_deduction

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
