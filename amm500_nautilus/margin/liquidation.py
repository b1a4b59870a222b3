"""When the venue liquidates, how far away that is, what it would do, and what it costs."""

from collections.abc import Collection
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.position import ZERO
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.rounding import ceil_to
from amm500_nautilus.margin.rounding import cut
from amm500_nautilus.margin.tables import MarginTable


PART_NOTIONAL = Decimal(100_000)
PART_SHARE = Decimal("0.2")
COOLDOWN_NS = 30_000_000_000
BACKSTOP_SHARE = Fraction(2, 3)


# -- prices -------------------------------------------------------------------------------------------


def liquidation_price(
    *, size: Decimal, mark: Decimal, value: Decimal, table: MarginTable, maintenance_elsewhere: Decimal = ZERO
) -> Decimal | None:
    """
    Return the mark price at which a position is liquidated, all else unchanged; None when no price does it.

    ``price - side * margin_available / size / (1 - l * side)``, with ``l`` the maintenance rate of the tier that the
    position has AT the liquidation price (venue docs, liquidations). The position's maintenance enters cut to six
    decimals, which recorded payloads show.

    Parameters
    ----------
    size : Decimal
        Signed size in contracts.
    mark : Decimal
        The mark price now.
    value : Decimal
        What covers the position: the cross account value, or the isolated margin.
    table : MarginTable
        The market's margin table.
    maintenance_elsewhere : Decimal
        Maintenance of the other cross positions; 0 for an isolated one.

    """
    if size == 0:
        return None
    side = 1 if size > 0 else -1
    contracts = abs(size)
    candidates = []
    for _, rate, deduction in table.steps:
        own = Fraction(contracts * mark) * rate - deduction
        needed = cut(_decimal(own)) + maintenance_elsewhere
        away = Fraction(value - needed) / Fraction(contracts) / (1 - rate * side)
        candidates.append(Fraction(mark) - side * away)
    # maintenance is the largest of the tiers' lines, so the first line met from the safe side is the one that binds
    price = max(candidates) if side > 0 else min(candidates)
    return _decimal(price) if price > 0 else None


def account_liquidation_price(account: Account, coin: str) -> Decimal | None:
    """Return the liquidation price of a coin's position in an account, other marks unchanged."""
    position = account.position(coin)
    if not position.is_cross:
        return liquidation_price(
            size=position.size, mark=position.mark, value=position.margin_used, table=position.table
        )
    return liquidation_price(
        size=position.size,
        mark=position.mark,
        value=account.cross_summary.account_value,
        table=position.table,
        maintenance_elsewhere=account.cross_maintenance - position.maintenance,
    )


def distance_to(price: Decimal | None, *, mark: Decimal, side: int) -> Decimal | None:
    """
    Return how far the mark may still move against a position, as a fraction of the mark; negative when past it.

    ``side`` is 1 for a long and -1 for a short; None when there is no such price.
    """
    return None if price is None else side * (mark - price) / mark


def full_position_distance(*, leverage: Decimal | int, table: MarginTable, side: int) -> Decimal:
    """
    Return the distance to liquidation of a position as large as the equity carries at ``leverage``.

    ``(1 / leverage - l) / (1 - side * l)`` in the first tier: at 25x with ``l`` 2 % it is 0.02 / 0.98 = 2.04 % for a
    long and 0.02 / 1.02 = 1.96 % for a short.
    """
    table.check_leverage(leverage)
    rate = Fraction(1, 2 * table.max_leverage)
    return _decimal((1 / Fraction(leverage) - rate) / (1 - side * rate))


def price_at_ratio(
    *, equity: Decimal, size: Decimal, mark: Decimal, rate: Decimal, ratio: Decimal
) -> Decimal | None:
    """
    Return the price at which ``|size| * price * rate`` is ``ratio`` times the equity then; None when none does.

    With ``rate`` one over the leverage this is where the position margin ratio reaches ``ratio``; with the
    maintenance rate and a ratio of 1 it is the liquidation price of a single cross position in the first tier.
    """
    slope = abs(size) * rate - ratio * size
    if size == 0 or slope == 0:
        return None
    price = ratio * (equity - size * mark) / slope
    return price if price > 0 and equity + size * (price - mark) > 0 else None


# -- procedure ----------------------------------------------------------------------------------------


class LiquidationAct(StrEnum):
    """What the venue does about a position."""

    NONE = "none"
    MARKET_ALL = "market_all"
    MARKET_PART = "market_part"
    BACKSTOP = "backstop"
    ADL = "adl"


@dataclass(frozen=True, slots=True)
class LiquidationStep:
    """
    One decision of the venue's liquidation.

    Parameters
    ----------
    act : LiquidationAct
        What is done.
    coin : str
        Whose position.
    size : Decimal
        Contracts to be closed or taken over, without sign; 0 when nothing is done.
    value : Decimal
        What covered the position: cross account value or isolated margin.
    maintenance : Decimal
        What it had to cover.

    """

    act: LiquidationAct
    coin: str
    size: Decimal
    value: Decimal
    maintenance: Decimal


def liquidation_step(
    position: Position,
    *,
    value: Decimal,
    maintenance: Decimal,
    now_ns: int,
    last_part_ns: int | None = None,
    lot: Decimal = Decimal("0.001"),
    backstop: bool = True,
) -> LiquidationStep:
    """
    Return what the venue does about a position now (venue docs, liquidations and auto-deleveraging).

    At or above maintenance: nothing. Below: a market order for the whole position, or for a fifth of it when its
    notional is above 100,000 and no position of the user was liquidated in part within the last 30 s (within them
    the order is for the whole). Below two thirds of maintenance the backstop liquidator takes position and margin
    over, on markets that allow cross margin. A negative value is settled by auto-deleveraging.

    Parameters
    ----------
    position : Position
        The position at the mark that decides.
    value : Decimal
        Cross account value, or the isolated margin.
    maintenance : Decimal
        Maintenance of all that ``value`` covers.
    now_ns : int
        Time of the decision in nanoseconds.
    last_part_ns : int or None
        When the user's last partial liquidation was.
    lot : Decimal
        The market's smallest size; a part is rounded up to it.
    backstop : bool
        Whether the market has a backstop liquidator.

    """

    def decided(act: LiquidationAct, size: Decimal) -> LiquidationStep:
        return LiquidationStep(act, position.coin, size, value, maintenance)

    whole = abs(position.size)
    if not whole or value >= maintenance:
        return decided(LiquidationAct.NONE, ZERO)
    if value < 0:
        return decided(LiquidationAct.ADL, whole)
    if backstop and Fraction(value) < BACKSTOP_SHARE * Fraction(maintenance):
        return decided(LiquidationAct.BACKSTOP, whole)
    cooling = last_part_ns is not None and now_ns - last_part_ns < COOLDOWN_NS
    if position.notional > PART_NOTIONAL and not cooling:
        part = min(whole, ceil_to(whole * PART_SHARE, lot))
        return decided(LiquidationAct.MARKET_PART, part)
    return decided(LiquidationAct.MARKET_ALL, whole)


def liquidation_steps(
    account: Account,
    *,
    now_ns: int,
    last_part_ns: int | None = None,
    lots: Mapping[str, Decimal] | None = None,
    without_backstop: Collection[str] = (),
) -> tuple[LiquidationStep, ...]:
    """
    Return what the venue does about every position of an account now; empty when it does nothing.

    All cross positions share one fate, each isolated position has its own.

    Parameters
    ----------
    account : Account
        At the marks that decide.
    now_ns, last_part_ns : int
        As ``liquidation_step``.
    lots : mapping of str to Decimal, optional
        Smallest size by coin, 0.001 where missing.
    without_backstop : collection of str
        Coins whose market has no backstop liquidator (cross margin not enabled).

    """
    sizes = {} if lots is None else lots
    cross_value, cross_maintenance = account.cross_summary.account_value, account.cross_maintenance
    steps = []
    for position in account.positions:
        step = liquidation_step(
            position,
            value=cross_value if position.is_cross else position.margin_used,
            maintenance=cross_maintenance if position.is_cross else position.maintenance,
            now_ns=now_ns,
            last_part_ns=last_part_ns,
            lot=sizes.get(position.coin, Decimal("0.001")),
            backstop=position.coin not in without_backstop,
        )
        if step.act is not LiquidationAct.NONE:
            steps.append(step)
    return tuple(steps)


# -- loss ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationLoss:
    """
    What a liquidation cost beyond the PnL at mark, in collateral units.

    Parameters
    ----------
    slippage : Decimal
        Market closes: mark against the price reached; negative when the fill was better.
    fee : Decimal
        The taker fee; the venue has no clearance fee.
    forfeited : Decimal
        Backstop and auto-deleveraging: the account value or isolated margin that went with the position; negative
        when others bore a shortfall.

    """

    slippage: Decimal = ZERO
    fee: Decimal = ZERO
    forfeited: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """All of it."""
        return self.slippage + self.fee + self.forfeited


def market_loss(position: Position, *, size: Decimal, price: Decimal, fee: Decimal) -> LiquidationLoss:
    """Return the loss of closing ``size`` contracts of a position at ``price``: distance to the mark, and the fee."""
    side = 1 if position.size > 0 else -1
    return LiquidationLoss(slippage=side * size * (position.mark - price), fee=fee)


def taken_over(account: Account, coin: str) -> tuple[Account, LiquidationLoss]:
    """
    Return the account after the backstop or auto-deleveraging has taken a coin's position, and the loss.

    With a cross position go ALL cross positions and the whole cross account value; with an isolated one its margin
    and nothing else. Maintenance margin is not returned (venue docs, liquidations). A negative value leaves nothing
    owed: the shortfall is borne by those deleveraged.
    """
    target = account.position(coin)
    if not target.is_cross:
        kept = tuple(_emptied(p) if p.coin == coin else p for p in account.positions)
        return replace(account, positions=kept), LiquidationLoss(forfeited=target.margin_used)
    lost = account.cross_summary.account_value
    kept = tuple(_emptied(p) if p.is_cross else p for p in account.positions)
    return replace(account, positions=kept, cash=ZERO), LiquidationLoss(forfeited=lost)


def _emptied(position: Position) -> Position:
    return replace(position, size=ZERO, entry_value=ZERO, raw_usd=ZERO)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / value.denominator
