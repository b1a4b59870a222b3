"""
Liquidation as the venue does it: a market order, a fifth of a large position first, then the backstop or auto-deleveraging.

See https://hyperliquid.gitbook.io/hyperliquid-docs/trading/liquidations and .../trading/auto-deleveraging.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from amm500_nautilus.margin.liquidation import LiquidationAct
from amm500_nautilus.margin.liquidation import LiquidationStep
from amm500_nautilus.margin.liquidation import liquidation_steps
from amm500_nautilus.margin.liquidation import taken_over
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.rounding import cut
from hyperliquid_loopback.holdings import Holder
from hyperliquid_loopback.ledger import Ledger
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import letter
from hyperliquid_loopback.types import number
from hyperliquid_loopback.types import trade_id
from hyperliquid_loopback.types import transaction_hash


NS_PER_MS: Final = 1_000_000
# the backstop of a dex is this address plus the dex's index (protocol: margin, liquidation)
BACKSTOP_BASE: Final = 0x40 << 152
TAKEN_OVER: Final = frozenset((LiquidationAct.BACKSTOP, LiquidationAct.ADL))


@dataclass(frozen=True, slots=True)
class LiquidationOrder:
    """
    What the venue does about one position.

    Parameters
    ----------
    user, coin : str
        Whose position of what.
    side : int
        The side of the order that closes it.
    size : Decimal
        Contracts.
    act : str
        ``market_part`` or ``market_all`` (send a market order), ``backstop`` or ``adl`` (call ``take_over``).
    notice : dict or None
        The ``liquidation`` of ``userEvents``, once for each time that the user falls below maintenance.

    """

    user: str
    coin: str
    side: int
    size: Decimal
    act: str
    notice: Json | None = None

    @property
    def is_market(self) -> bool:
        """Whether an order goes to the book."""
        return self.act in (LiquidationAct.MARKET_ALL, LiquidationAct.MARKET_PART)


def backstop_address(dex_index: int) -> str:
    """Return the address of a dex's backstop liquidator: ``0x4000...0005`` for dex 5."""
    return f"0x{BACKSTOP_BASE + dex_index:040x}"


def label(position: Position) -> str:
    """Return the ``dir`` of a liquidated user's fill (known from clients: ``Liquidated Cross Long``)."""
    mode = "Cross" if position.is_cross else "Isolated"
    return f"Liquidated {mode} {'Long' if position.size > 0 else 'Short'}"


def fill_mark(accounts: Ledger, user: str, coin: str, method: str = "market") -> Json:
    """Return the ``liquidation`` object that both sides of a liquidation's match carry (recorded payload)."""
    return {"liquidatedUser": user, "markPx": number(accounts.mark_of(coin)), "method": method}


def orders_of(accounts: Ledger, holder: Holder, now_ms: int) -> list[LiquidationOrder]:
    """Return what is done about an account's positions now; empty when it covers its maintenance."""
    found: list[LiquidationOrder] = []
    notice: Json | None = None
    part = False
    for dex in _dexes(accounts, holder):
        account = accounts.account(holder, dex)
        terms = {p.coin: accounts.terms.of(p.coin) for p in account.positions}
        steps = liquidation_steps(
            account,
            now_ns=now_ms * NS_PER_MS,
            last_part_ns=None if holder.last_part_ms is None else holder.last_part_ms * NS_PER_MS,
            lots={coin: term.lot for coin, term in terms.items()},
            without_backstop=[c for c, term in terms.items() if MarginMode.CROSS not in term.modes],
        )
        for step in _one_for_each_pot(steps, account.position):
            position = account.position(step.coin)
            if not found and not holder.in_liquidation:
                notice = _notice(accounts, holder, position, step, now_ms)
            part = part or step.act is LiquidationAct.MARKET_PART
            side = -1 if position.size > 0 else 1
            found.append(LiquidationOrder(holder.address, step.coin, side, step.size, str(step.act), notice))
            notice = None
    if part:
        holder.last_part_ms = now_ms
    holder.in_liquidation = bool(found)
    return found


def take_over(accounts: Ledger, holder: Holder, coin: str, *, act: str, ts_ms: int) -> list[tuple[str, Json]]:
    """Move a position to the backstop at mark, with all that goes along; return the user's fills."""
    terms = accounts.terms.of(coin)
    account = accounts.account(holder, terms.dex)
    target = account.position(coin)
    if not target.size:
        return []
    gone = [p for p in account.positions if p.size and (p.coin == coin or (target.is_cross and p.is_cross))]
    after, loss = taken_over(account, coin)
    accounts.keep(holder, coin, after)
    if loss.forfeited < 0:
        accounts.shortfall -= loss.forfeited
    backstop = backstop_address(accounts.universe.dex_index(terms.dex))
    rows = []
    for position in gone:
        rows.append((holder.address, _row(accounts, holder, position, act=act, ts_ms=ts_ms)))
        accounts.taken(backstop, position.coin, position.size)
        holder.fills.append(rows[-1][1])
    accounts.closed(holder, [position.coin for position in gone])
    return rows


def _row(accounts: Ledger, holder: Holder, position: Position, *, act: str, ts_ms: int) -> Json:
    """Return the fill of a position that was taken over: at mark, without a fee."""
    side = -1 if position.size > 0 else 1
    adl = act == LiquidationAct.ADL
    number_of = accounts.next_liquidation_id()
    return {
        "coin": position.coin,
        "px": number(position.mark),
        "sz": number(abs(position.size)),
        "side": letter(side),
        "time": ts_ms,
        "startPosition": number(position.size),
        "dir": "Auto-Deleveraging" if adl else label(position),
        "closedPnl": number(position.size * (position.mark - position.printed_entry)),
        "hash": transaction_hash("liquidation", holder.address, position.coin, ts_ms),
        "oid": number_of,
        "crossed": True,
        "fee": "0.0",
        "tid": trade_id(number_of, ts_ms),
        "liquidation": fill_mark(accounts, holder.address, position.coin, "backstop"),
        "feeToken": accounts.terms.of(position.coin).token,
        "twapId": None,
    }


def _notice(accounts: Ledger, holder: Holder, position: Position, step: LiquidationStep, now_ms: int) -> Json:
    """Return the notice of ``userEvents`` and keep the entry of the ledger (venue docs, WebSocket subscriptions)."""
    dex = accounts.universe.dex_of(position.coin)
    account = accounts.account(holder, dex)
    shared = [p for p in account.positions if p.size and p.is_cross] if position.is_cross else [position]
    notional = number(cut(sum((p.notional for p in shared), ZERO)))
    value = number(cut(step.value))
    holder.ledger.append(
        {
            "time": now_ms,
            "hash": transaction_hash("liquidated", holder.address, position.coin, now_ms),
            "delta": {
                "type": "liquidation",
                "liquidatedNtlPos": notional,
                "accountValue": value,
                "leverageType": "Cross" if position.is_cross else "Isolated",
                "liquidatedPositions": [{"coin": p.coin, "szi": number(p.size)} for p in shared],
            },
        },
    )
    accounts.moved(holder.address, dex)
    return {
        "lid": accounts.next_liquidation_id(),
        "liquidator": backstop_address(accounts.universe.dex_index(dex)),
        "liquidated_user": holder.address,
        "liquidated_ntl_pos": notional,
        "liquidated_account_value": value,
    }


def _dexes(accounts: Ledger, holder: Holder) -> list[str]:
    """Return one dex for each pot that has positions."""
    dexes: dict[str, str] = {}
    for coin, size in holder.sizes.items():
        if size:
            dex = accounts.universe.dex_of(coin)
            dexes.setdefault(holder.key(dex, accounts.universe.collateral_of(dex)[1]), dex)
    return list(dexes.values())


def _one_for_each_pot(
    steps: tuple[LiquidationStep, ...], position_of: Callable[[str], Position]
) -> list[LiquidationStep]:
    """Leave out cross positions after the first that is taken over: they all go with it."""
    kept = []
    cross_gone = False
    for step in steps:
        is_cross = position_of(step.coin).is_cross
        if step.act in TAKEN_OVER and is_cross:
            if cross_gone:
                continue
            cross_gone = True
        kept.append(step)
    return kept
