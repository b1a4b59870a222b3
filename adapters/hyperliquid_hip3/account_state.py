"""
The account as one set of figures, whatever mode the venue keeps it in.

In the standard modes a dex has a pot of its own (``clearinghouseState``); in the unified ones the spot balance of the collateral token is
the pot of every dex of that token, and per-dex sums mean nothing. See
https://hyperliquid.gitbook.io/hyperliquid-docs/trading/account-abstraction-modes and protocol: info endpoints.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import AccountBalance
from nautilus_trader.model.objects import Currency
from nautilus_trader.model.objects import MarginBalance
from nautilus_trader.model.objects import Money

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.account import AccountMode
from amm500_nautilus.margin.account import RestingOrders
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.tables import MarginTable
from hyperliquid_hip3.address_limit import ActionCount
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.user_records import ClearinghouseState
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import PositionState
from hyperliquid_hip3.user_records import SpotState


ZERO: Final = Decimal(0)
# the venue's words for the modes, and ours, which are those of the other engines' reports
MODE_NAMES: Final[dict[str, str]] = {
    "default": "standard",
    "disabled": "standard",
    "dexAbstraction": "dex_abstraction",
    "unifiedAccount": "unified",
    "portfolioMargin": "portfolio_margin",
}
UNIFIED: Final = frozenset(("unifiedAccount", "portfolioMargin"))
# a market that nothing is known of: the largest table of the venue never understates the account's room
UNKNOWN_PRICE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class AccountScope:
    """
    What the reported account covers.

    Parameters
    ----------
    dex : str
        The dex.
    collateral : str
        The name of its collateral token.
    token : int
        The token's index in ``spotMeta``.
    coin : str
        The coin whose leverage, mark and liquidation price are reported.
    tables : mapping of str to MarginTable
        Margin tables by coin.
    strict : frozenset of str
        Coins whose isolated margin cannot be taken out.

    """

    dex: str
    collateral: str
    token: int
    coin: str
    tables: Mapping[str, MarginTable]
    strict: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFigures:
    """
    The account in collateral units, ratios as fractions.

    ``margin_used`` is the positions' margin, ``order_margin`` what resting orders ask for beyond it; ``total`` is the balance that the
    engine holds (equity less what is not realized), ``locked`` the part of it that margin takes.
    """

    total: Decimal
    locked: Decimal
    equity: Decimal
    margin_used: Decimal
    order_margin: Decimal
    maintenance: Decimal
    withdrawable: Decimal
    margin_ratio: Decimal
    position_margin_ratio: Decimal
    maintenance_ratio: Decimal
    mode: str
    margin_mode: str
    leverage: int
    liquidation_price: Decimal | None
    mark_price: Decimal | None
    ts_ns: int


@dataclass(slots=True)
class AccountSums:
    """
    What the venue's states do not say: funding received and net deposits since the start, and what a unit of collateral is worth.

    ``collateral_price`` is in USDC, None while it is unknown; ``actions`` is the last count of the address's actions, if it is read.
    """

    funding: Decimal = ZERO
    net_transfers: Decimal = ZERO
    collateral_price: Decimal | None = None
    actions: ActionCount | None = None
    seen: set[tuple[Any, ...]] = field(default_factory=set)

    def add_funding(self, coin: str, ts_ns: int, amount: Decimal) -> bool:
        """Add a funding payment, positive when received; False when it was added before."""
        key = ("funding", coin, ts_ns)
        if key in self.seen:
            return False
        self.seen.add(key)
        self.funding += amount
        return True

    def add_transfer(self, key: tuple[Any, ...], amount: Decimal) -> bool:
        """Add a deposit, or a withdrawal when negative; False when it was added before."""
        if key in self.seen:
            return False
        self.seen.add(key)
        self.net_transfers += amount
        return True


def account_figures(
    scope: AccountScope,
    mode: str,
    state: ClearinghouseState,
    spot: SpotState | None,
    orders: Iterable[OpenOrder],
    *,
    leverage: int = 1,
    mark_price: Decimal | None = None,
    is_cross: bool = True,
) -> AccountFigures:
    """
    Return the account's figures.

    Parameters
    ----------
    scope, mode : AccountScope, str
        Which account, and the venue's word for its mode (``userAbstraction``).
    state, spot : ClearinghouseState, SpotState or None
        The state on the dex, and the spot balances, which are needed in the unified modes.
    orders : iterable of OpenOrder
        Our own open orders on the dex.
    leverage, mark_price, is_cross
        What is set for ``scope.coin``, and its mark; used while it has no position.

    Raises
    ------
    PayloadError
        If the mode is unknown, or the spot balances are missing where they are the account: a missing figure is never read as zero.

    """
    if mode not in MODE_NAMES:
        raise PayloadError("userAbstraction", f"the account mode {mode!r} is unknown")
    own = state.find(scope.coin)
    account = _account(scope, mode, state, list(orders), leverage, mark_price, is_cross=is_cross)
    order_margin = account.order_margin
    equity, used, withdrawable = _pot(scope, mode, state, spot, order_margin)
    # the engine adds what is not realized to the balance on its own
    total = equity - _unrealized(state)
    maintenance = state.cross_maintenance + _isolated_maintenance(account)
    shown_cross = is_cross if own is None else own.is_cross
    return AccountFigures(
        total=total,
        locked=min(max(total, ZERO), max(ZERO, used) + order_margin),
        equity=equity,
        margin_used=used,
        order_margin=order_margin,
        maintenance=maintenance,
        withdrawable=withdrawable,
        margin_ratio=_over(used + order_margin, equity),
        position_margin_ratio=_over(used, equity),
        maintenance_ratio=_maintenance_ratio(account, state, equity, is_unified=mode in UNIFIED),
        mode=MODE_NAMES[mode],
        margin_mode=_margin_mode(scope, scope.coin, is_cross=shown_cross).value,
        leverage=leverage if own is None else own.leverage,
        liquidation_price=None if own is None else own.liquidation_price,
        mark_price=mark_price if own is None or not own.size else own.value / abs(own.size),
        ts_ns=state.ts_ns,
    )


def _pot(
    scope: AccountScope, mode: str, state: ClearinghouseState, spot: SpotState | None, order_margin: Decimal
) -> tuple[Decimal, Decimal, Decimal]:
    """Return equity, margin in use, and what may be withdrawn."""
    used = state.summary.margin_used
    if mode not in UNIFIED:
        return state.summary.account_value, used, state.withdrawable
    if spot is None:
        raise PayloadError("spotClearinghouseState", f"missing in the account mode {mode}")
    balance = spot.find(scope.token)
    equity = ZERO if balance is None else balance.total
    hold = ZERO if balance is None else balance.hold
    # the positions of other dexes with the same collateral hold margin too
    return equity, max(used, hold - order_margin), max(ZERO, equity - hold)


def account_info(scope: AccountScope, figures: AccountFigures, sums: AccountSums) -> dict[str, Any]:
    """Return what an ``AccountState`` carries beside balances, with the names that every engine uses: amounts as text, ratios as numbers."""
    price = figures.liquidation_price
    return {
        "equity": money_text(figures.equity),
        "margin_used": money_text(figures.margin_used),
        "order_margin": money_text(figures.order_margin),
        "maintenance": money_text(figures.maintenance),
        "margin_ratio": float(figures.margin_ratio),
        "position_margin_ratio": float(figures.position_margin_ratio),
        "maintenance_ratio": float(figures.maintenance_ratio),
        "withdrawable": money_text(figures.withdrawable),
        "dex": scope.dex,
        "collateral": scope.collateral,
        "account_mode": figures.mode,
        "margin_mode": figures.margin_mode,
        "leverage": figures.leverage,
        "liquidation_price": None if price is None else f"{price:f}",
        "mark_price": None if figures.mark_price is None else f"{figures.mark_price:f}",
        "funding": money_text(sums.funding),
        "net_transfers": money_text(sums.net_transfers),
        "collateral_price": None if sums.collateral_price is None else f"{sums.collateral_price:f}",
        **({} if sums.actions is None else sums.actions.as_info()),
    }


def balances_of(figures: AccountFigures, currency: Currency) -> list[AccountBalance]:
    """Return the engine's balance: what is there, what margin takes of it, and the rest."""
    total = Money(figures.total, currency)
    locked = Money(figures.locked, currency)
    return [AccountBalance(total, locked, Money.from_raw(total.raw - locked.raw, currency))]


def margins_of(
    figures: AccountFigures, currency: Currency, instrument_id: InstrumentId
) -> list[MarginBalance]:
    """
    Return the engine's margin: ``initial`` is what orders hold, ``maintenance`` what the position holds.

    The engine adds the two to get what is locked; the venue's own maintenance margin is in the info.
    """
    return [
        MarginBalance(
            Money(figures.order_margin, currency),
            Money(max(ZERO, figures.margin_used), currency),
            instrument_id,
        )
    ]


def money_text(amount: Decimal) -> str:
    """Return an amount with the six decimals of perp accounting, or more if it has them."""
    exponent = amount.as_tuple().exponent
    return f"{amount:.6f}" if isinstance(exponent, int) and exponent >= -6 else f"{amount:f}"


def _account(
    scope: AccountScope,
    mode: str,
    state: ClearinghouseState,
    orders: list[OpenOrder],
    leverage: int,
    mark_price: Decimal | None,
    *,
    is_cross: bool,
) -> Account:
    positions = {row.coin: _position(scope, row) for row in state.positions if row.size}
    values: dict[str, dict[int, Decimal]] = {}
    for order in orders:
        if not order.reduce_only:
            sides = values.setdefault(order.coin, {1: ZERO, -1: ZERO})
            sides[order.side] += order.size * order.price
    for coin in {scope.coin, *values} - set(positions):
        known = coin == scope.coin
        table = scope.tables.get(coin) or MarginTable(max(1, leverage))
        positions[coin] = Position(
            coin=coin,
            table=table,
            leverage=min(leverage, table.max_leverage) if known else 1,
            mark=mark_price if known and mark_price else UNKNOWN_PRICE,
            mode=_margin_mode(scope, coin, is_cross=is_cross),
        )
    return Account(
        collateral=scope.collateral,
        cash=state.cross_summary.raw_usd,
        mode=AccountMode.UNIFIED if mode in UNIFIED else AccountMode.STANDARD,
        dex="" if mode in UNIFIED else scope.dex,
        positions=tuple(positions.values()),
        orders=tuple(RestingOrders(coin, sides[1], sides[-1]) for coin, sides in values.items()),
    )


def _position(scope: AccountScope, row: PositionState) -> Position:
    table = scope.tables.get(row.coin) or MarginTable(row.max_leverage)
    mark = row.value / abs(row.size)
    entry = row.entry_price if row.entry_price is not None else mark
    return Position(
        coin=row.coin,
        table=table,
        leverage=min(row.leverage, table.max_leverage),
        mark=mark,
        mode=_margin_mode(scope, row.coin, is_cross=row.is_cross),
        size=row.size,
        entry_value=entry * abs(row.size),
        raw_usd=ZERO if row.is_cross else (row.raw_usd or ZERO),
    )


def _margin_mode(scope: AccountScope, coin: str, *, is_cross: bool) -> MarginMode:
    if coin in scope.strict:
        return MarginMode.STRICT_ISOLATED
    return MarginMode.CROSS if is_cross else MarginMode.ISOLATED


def _unrealized(state: ClearinghouseState) -> Decimal:
    return sum((row.unrealized_pnl for row in state.positions), ZERO)


def _isolated_maintenance(account: Account) -> Decimal:
    return sum((p.maintenance for p in account.positions if not p.is_cross), ZERO)


def _maintenance_ratio(
    account: Account, state: ClearinghouseState, equity: Decimal, *, is_unified: bool
) -> Decimal:
    isolated = [p for p in account.positions if p.size and not p.is_cross]
    covers = state.cross_summary.account_value
    if is_unified:
        # the venue's unified account ratio: the token's balance less isolated margins covers the cross positions
        covers = equity - sum((p.margin_used for p in isolated), ZERO)
    ratios = [_over(state.cross_maintenance, covers)]
    return max(ratios + [_over(p.maintenance, p.margin_used) for p in isolated])


def _over(amount: Decimal, equity: Decimal) -> Decimal:
    if amount == 0:
        return ZERO
    return amount / equity if equity > 0 else Decimal("Infinity")
