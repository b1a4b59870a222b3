"""
Actions that concern an account alone: leverage, margin, transfers, account modes, agents, bought weight.

Each returns None when it is done, else the venue's words; a refused action changes nothing. See
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_CEILING
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Final

from amm500_nautilus.margin.account import SWITCH_WORDS
from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.account import AccountMode
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.rounding import MONEY_STEP
from hyperliquid_hip3.actions import MODE_LETTERS
from hyperliquid_loopback.holdings import DISABLED
from hyperliquid_loopback.holdings import MODES
from hyperliquid_loopback.holdings import POOLED
from hyperliquid_loopback.holdings import PORTFOLIO
from hyperliquid_loopback.holdings import Holder
from hyperliquid_loopback.ledger import SPOT
from hyperliquid_loopback.ledger import Ledger
from hyperliquid_loopback.limits import ACTION_PRICE
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import number


USDC: Final = "USDC"
PORTFOLIO_VALUE: Final = Decimal(10_000)
PORTFOLIO_VOLUME: Final = Decimal(5_000_000)
LETTER_MODES: Final = {letter: mode for mode, letter in MODE_LETTERS.items()}

NO_CROSS: Final = "Cross margin is not allowed for this asset."
BAD_LEVERAGE: Final = "Invalid leverage value"
# both known from clients that quote the venue
LOW_CROSS: Final = (
    "Cross position does not have sufficient margin available to decrease leverage. "
    "To decrease leverage, deposit more collateral."
)
LOW_ISOLATED: Final = (
    "Isolated position does not have sufficient margin available to decrease leverage. "
    "To decrease leverage, add margin to the position."
)
# the venue's words for these three were never seen
NO_ISOLATED: Final = "No isolated position to update margin for."
LOW_MARGIN: Final = "Insufficient margin to update isolated position."
LOW_WEIGHT: Final = "Insufficient balance to reserve request weight."
LOW_BALANCE: Final = "Insufficient balance for token transfer"
BAD_DEX: Final = "Invalid perp DEX"
POOLED_OFF: Final = "Action disabled when unified account is active"
NO_TRANSITION: Final = "Abstraction transition not allowed"
LOW_PORTFOLIO: Final = "Portfolio margin requires account value of $10000 or total volume of $5000000."
BAD_NUMBER: Final = "Invalid decimal number"
BAD_DECIMALS: Final = "Invalid number of decimals"
ZERO_SEND: Final = "Send amount cannot be zero"
BAD_SEND: Final = "Invalid send"


def apply(
    accounts: Ledger, holder: Holder, action: Json, now_ms: int, *, nonce: int | None = None
) -> str | None:
    """Do an action of ``ACTIONS``; KeyError when its type is none of them."""
    return ACTIONS[action["type"]](accounts, holder, action, now_ms, nonce)


# leverage and isolated margin


def set_leverage(accounts: Ledger, holder: Holder, coin: str, leverage: int, *, is_cross: bool) -> str | None:
    """Set leverage and margin mode of a coin; an isolated position's margin stays where it is."""
    terms = accounts.terms.of(coin)
    account = accounts.known(holder, coin)
    position = account.position(coin)
    if is_cross and MarginMode.CROSS not in terms.modes:
        return NO_CROSS
    mode = MarginMode.CROSS if is_cross else next(m for m in terms.modes if m is not MarginMode.CROSS)
    if type(leverage) is not int or not 1 <= leverage <= terms.table.max_leverage:
        return BAD_LEVERAGE
    if mode is not position.mode and position.size:
        return SWITCH_WORDS
    if terms.table.exceeds_tier(position.notional, leverage):
        return BAD_LEVERAGE
    lowered = leverage < position.leverage and position.size
    if lowered and not is_cross and position.margin_used * leverage < position.notional:
        return LOW_ISOLATED
    try:
        changed = account.leverage_set(coin, leverage, mode)
    except ValueError:
        # what is left of the core's reasons: a cross account that the lower leverage would overdraw
        return LOW_CROSS
    accounts.keep(holder, coin, changed)
    return None


def move_margin(accounts: Ledger, holder: Holder, coin: str, amount: Decimal) -> str | None:
    """Add collateral to an isolated position, or take it out when negative."""
    account = accounts.known(holder, coin)
    position = account.position(coin)
    if position.is_cross or not position.size:
        return NO_ISOLATED
    try:
        changed = account.margin_moved(coin, amount)
    except ValueError:
        return LOW_MARGIN
    accounts.keep(holder, coin, changed)
    return None


def top_up(accounts: Ledger, holder: Holder, coin: str, leverage: Decimal) -> str | None:
    """Add the collateral that brings an isolated position down to a leverage; nothing when it is there already."""
    position = accounts.known(holder, coin).position(coin)
    if position.is_cross or not position.size:
        return NO_ISOLATED
    if leverage <= 0 or leverage > position.table.max_leverage:
        return BAD_LEVERAGE
    wanted = (position.notional / leverage).quantize(MONEY_STEP, rounding=ROUND_CEILING)
    missing = wanted - position.margin_used
    return None if missing <= 0 else move_margin(accounts, holder, coin, missing)


# collateral


def spot_balance(accounts: Ledger, holder: Holder, token: str) -> Decimal:
    """Return what may leave the spot balance of a token: all of it, or when pooled what positions and orders leave free."""
    dex = accounts.dex_of_token(token)
    if not holder.pooled or dex is None:
        return holder.spot.get(token, ZERO)
    account = accounts.account(holder, dex)
    return max(ZERO, account.withdrawable - account.order_margin)


def send(
    accounts: Ledger,
    holder: Holder,
    action: Json,
    now_ms: int,
    *,
    nonce: int | None = None,
    only_self: bool = False,
) -> str | None:
    """Move a token between spot and dexes, of one's own account or to another."""
    try:
        row = accounts.universe.token(str(action["token"]))
    except KeyError:
        return f"Unknown token {action['token']}"
    amount, problem = _amount(action["amount"], int(row["weiDecimals"]))
    if problem is not None:
        return problem
    token, source, target = str(row["name"]), action["sourceDex"], action["destinationDex"]
    for dex in (source, target):
        if dex != SPOT and not accounts.universe.has_dex(dex):
            return BAD_DEX
        if dex != SPOT and accounts.universe.collateral_of(dex)[1] != token:
            return BAD_SEND
    to = str(action["destination"]).lower()
    if (to == holder.address and source == target) or (only_self and to != holder.address):
        return BAD_SEND
    if holder.pooled and (to == holder.address or source != SPOT):
        return POOLED_OFF
    if amount > _sendable(accounts, holder, source, token):
        return LOW_BALANCE
    other = accounts.holder(to) or accounts.open_account(to, now_ms=now_ms)
    _change(accounts, holder, source, token, -amount)
    # a pooled account has no pot of a dex apart from its balance
    _change(accounts, other, SPOT if other.pooled else target, token, amount)
    delta = {
        "type": "send",
        "user": holder.address,
        "destination": to,
        "sourceDex": source,
        "destinationDex": target,
        "token": token,
        "amount": number(amount),
        "usdcValue": number(amount),
        "fee": "0.0",
        "nativeTokenFee": "0.0",
        "nonce": nonce,
        "feeToken": "",
    }
    for side in {holder.address: holder, to: other}.values():
        accounts.note(side, now_ms, delta)
    return None


def class_transfer(accounts: Ledger, holder: Holder, text: str, now_ms: int, *, to_perp: bool) -> str | None:
    """Move USDC between spot and the validators' dex; the amount may name a sub-account of the signer's."""
    plain, _, sub = text.partition(" subaccount:")
    amount, problem = _amount(plain, 8)
    if problem is not None:
        return problem
    payer = holder
    if sub:
        found = accounts.holder(sub)
        if found is None or found.master != holder.address:
            return BAD_SEND
        payer = found
    if payer.pooled:
        return POOLED_OFF
    source, target = (SPOT, "") if to_perp else ("", SPOT)
    if amount > _sendable(accounts, payer, source, USDC):
        return LOW_BALANCE
    _change(accounts, payer, source, USDC, -amount)
    _change(accounts, payer, target, USDC, amount)
    accounts.note(payer, now_ms, {"type": "accountClassTransfer", "usdc": number(amount), "toPerp": to_perp})
    return None


def reserve_weight(accounts: Ledger, holder: Holder, weight: int) -> str | None:
    """Buy actions at 0.0005 each from the balance of the validators' dex (USDC), or of the pooled USDC balance."""
    if weight < 0:
        raise ValueError("a weight must not be negative")
    price = weight * ACTION_PRICE
    account = accounts.account(holder, "")
    if price > account.withdrawable:
        return LOW_WEIGHT
    accounts.keep_pot(holder, "", replace(account, cash=account.cash - price))
    holder.limits.buy(weight)
    return None


# account modes


def set_mode(accounts: Ledger, holder: Holder, mode: str) -> str | None:
    """
    Set the account mode by an action.

    Portfolio margin needs 10,000 of value or 5 million of volume. Back to standard only without positions and orders:
    what the venue asks for is not documented beyond its words.
    """
    if mode not in MODES:
        return NO_TRANSITION
    if mode == holder.mode:
        return None
    if mode == PORTFOLIO:
        value = sum((accounts.account(holder, dex).equity for dex in _pot_dexes(accounts, holder)), ZERO)
        if value < PORTFOLIO_VALUE and holder.limits.traded < PORTFOLIO_VOLUME:
            return LOW_PORTFOLIO
    busy = any(holder.sizes.values()) or any(pot.order_margin for pot in holder.pots.values())
    if mode == DISABLED and busy:
        return NO_TRANSITION
    switch(accounts, holder, mode)
    return None


def switch(accounts: Ledger, holder: Holder, mode: str) -> None:
    """Switch the account mode whatever is held; ValueError when there is no such mode."""
    if mode not in MODES:
        raise ValueError(f"`mode` was {mode!r}, must be one of {', '.join(MODES)}")
    pooled = mode in POOLED
    if pooled != holder.pooled:
        if pooled:
            _pool(accounts, holder)
        else:
            _part(accounts, holder)
    holder.mode = mode
    accounts.moved(holder.address, SPOT)


def _pool(accounts: Ledger, holder: Holder) -> None:
    pots: dict[str, Account] = {}
    spot = dict(holder.spot)
    for dex, pot in holder.pots.items():
        token = pot.collateral
        base = pots.get(token)
        if base is None:
            base = Account(collateral=token, cash=spot.pop(token, ZERO), mode=AccountMode.UNIFIED)
        pots[token] = replace(
            base,
            cash=base.cash + pot.cash,
            positions=(*base.positions, *accounts.account(holder, dex).positions),
            orders=(*base.orders, *pot.orders),
        )
    for dex in accounts.universe.dex_names:
        token = accounts.universe.collateral_of(dex)[1]
        if token in spot:
            pots[token] = Account(collateral=token, cash=spot.pop(token), mode=AccountMode.UNIFIED)
    holder.pots, holder.spot = pots, spot


def _part(accounts: Ledger, holder: Holder) -> None:
    """Give each dex its positions, and a token's balance to the dex with the largest; to spot when there is none."""
    pots: dict[str, Account] = {}
    spot = dict(holder.spot)
    for token, pot in holder.pots.items():
        by_dex: dict[str, Account] = {}
        for dex in {accounts.universe.dex_of(p.coin) for p in pot.positions}:
            by_dex[dex] = Account(
                collateral=token,
                cash=ZERO,
                dex=dex,
                positions=tuple(p for p in pot.positions if accounts.universe.dex_of(p.coin) == dex),
                orders=tuple(o for o in pot.orders if accounts.universe.dex_of(o.coin) == dex),
            )
        largest = max(by_dex, key=lambda dex: (by_dex[dex].summary.total_ntl_pos, dex), default=None)
        if largest is not None and any(p.size for p in by_dex[largest].positions):
            by_dex[largest] = replace(by_dex[largest], cash=pot.cash)
        else:
            spot[token] = spot.get(token, ZERO) + pot.cash
        pots.update(by_dex)
    holder.pots, holder.spot = pots, spot


# what the actions share


def _change(accounts: Ledger, holder: Holder, dex: str, token: str, amount: Decimal) -> None:
    if dex == SPOT:
        accounts.change_spot(holder, token, amount)
        return
    account = accounts.account(holder, dex)
    accounts.keep_pot(holder, dex, replace(account, cash=account.cash + amount))
    accounts.moved(holder.address, dex)


def _sendable(accounts: Ledger, holder: Holder, dex: str, token: str) -> Decimal:
    if dex == SPOT:
        return spot_balance(accounts, holder, token)
    account = accounts.account(holder, dex)
    return max(ZERO, account.withdrawable - account.order_margin)


def _amount(text: Any, decimals: int) -> tuple[Decimal, str | None]:
    """Return a wire amount, or the venue's words about it."""
    try:
        amount = Decimal(text) if isinstance(text, str) else Decimal("NaN")
    except InvalidOperation:
        return ZERO, BAD_NUMBER
    if not amount.is_finite():
        return ZERO, BAD_NUMBER
    if amount == 0:
        return ZERO, ZERO_SEND
    if amount < 0 or amount != round(amount, decimals):
        return ZERO, BAD_DECIMALS
    return amount, None


def _pot_dexes(accounts: Ledger, holder: Holder) -> list[str]:
    """Return one dex for each pot of an account."""
    found: dict[str, str] = {}
    for dex in accounts.universe.dex_names:
        found.setdefault(holder.key(dex, accounts.universe.collateral_of(dex)[1]), dex)
    return list(found.values())


def _coin(accounts: Ledger, action: Json) -> str:
    return accounts.universe.coin_of(_whole(action["asset"]))


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("a whole number was wanted")
    return value


def _update_leverage(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: Any) -> str | None:
    del now_ms, nonce
    coin, leverage = _coin(accounts, action), _whole(action["leverage"])
    return set_leverage(accounts, holder, coin, leverage, is_cross=bool(action["isCross"]))


def _update_margin(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: Any) -> str | None:
    del now_ms, nonce
    amount = Decimal(_whole(action["ntli"])) * MONEY_STEP
    return move_margin(accounts, holder, _coin(accounts, action), amount)


def _top_up(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: Any) -> str | None:
    del now_ms, nonce
    return top_up(accounts, holder, _coin(accounts, action), Decimal(str(action["leverage"])))


def _send_asset(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: int | None) -> str | None:
    payer = holder
    sub = action.get("fromSubAccount")
    if sub:
        found = accounts.holder(str(sub))
        if found is None or found.master != holder.address:
            return BAD_SEND
        payer = found
    return send(accounts, payer, action, now_ms, nonce=action.get("nonce", nonce))


def _agent_send(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: int | None) -> str | None:
    return send(accounts, holder, action, now_ms, nonce=nonce, only_self=True)


def _class_transfer(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: Any) -> str | None:
    del nonce
    return class_transfer(accounts, holder, str(action["amount"]), now_ms, to_perp=bool(action["toPerp"]))


def _user_mode(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: Any) -> str | None:
    del now_ms, nonce
    user = str(action["user"]).lower()
    if user != holder.address and accounts.master_of(user) != holder.address:
        return NO_TRANSITION
    target = accounts.holder(user)
    return NO_TRANSITION if target is None else set_mode(accounts, target, str(action["abstraction"]))


def _agent_mode(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: Any) -> str | None:
    del now_ms, nonce
    return set_mode(accounts, holder, LETTER_MODES.get(str(action["abstraction"]), ""))


def _approve(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: Any) -> str | None:
    del nonce
    name = action.get("agentName") or ""
    return accounts.agents.approve(holder.address, str(action["agentAddress"]), str(name), now_ms)


def _reserve(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: Any) -> str | None:
    del now_ms, nonce
    return reserve_weight(accounts, holder, _whole(action["weight"]))


def _noop(accounts: Ledger, holder: Holder, action: Json, now_ms: int, nonce: Any) -> str | None:
    del accounts, holder, action, now_ms, nonce
    return None


ACTIONS: Final[dict[str, Callable[[Ledger, Holder, Json, int, int | None], str | None]]] = {
    "updateLeverage": _update_leverage,
    "updateIsolatedMargin": _update_margin,
    "topUpIsolatedOnlyMargin": _top_up,
    "sendAsset": _send_asset,
    "agentSendAsset": _agent_send,
    "usdClassTransfer": _class_transfer,
    "userSetAbstraction": _user_mode,
    "agentSetAbstraction": _agent_mode,
    "approveAgent": _approve,
    "reserveRequestWeight": _reserve,
    "noop": _noop,
}
