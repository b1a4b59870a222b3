"""Replies about accounts, key by key as the venue writes them (recorded payloads; venue docs, info endpoint)."""

from decimal import ROUND_HALF_EVEN
from decimal import Decimal
from itertools import islice
from typing import Any
from typing import Final

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.account import MarginSummary
from amm500_nautilus.margin.limits import trade_limits
from amm500_nautilus.margin.liquidation import account_liquidation_price
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.rounding import cut
from amm500_nautilus.margin.rounding import print_liquidation_price
from hyperliquid_loopback.fees_view import user_fees
from hyperliquid_loopback.holdings import DISABLED
from hyperliquid_loopback.holdings import PORTFOLIO
from hyperliquid_loopback.holdings import FundingPaid
from hyperliquid_loopback.holdings import Holder
from hyperliquid_loopback.ledger import Ledger
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import number


# rows of one reply (protocol: info endpoints)
FILL_ROWS: Final = 2_000
PAGE_ROWS: Final = 500
RETURN_STEP: Final = Decimal("0.0000000001")


def money(amount: Decimal) -> str:
    """Return an amount with the six decimals of perp accounting, cut toward zero."""
    return number(cut(amount))


def _clearinghouse_state(accounts: Ledger, user: str, dex: str, now_ms: int) -> Json:
    """
    Return the reply to ``clearinghouseState``.

    A pooled account's balance is in spot, so its dexes show positions without a value of their own ("not meaningful",
    venue docs, account abstraction modes): the pot here is just what the cross positions cost.
    """
    _, token = accounts.universe.collateral_of(dex)
    holder = accounts.holder(user)
    if holder is None or holder.house:
        return _state(Account(collateral=token, cash=ZERO, dex=dex), [], now_ms)
    pot = accounts.account(holder, dex)
    shown = pot
    if holder.pooled:
        mine = tuple(p for p in pot.positions if accounts.universe.dex_of(p.coin) == dex)
        cost = sum((p.value for p in mine if p.is_cross), ZERO)
        shown = Account(collateral=token, cash=-cost, mode=pot.mode, positions=mine)
    open_positions = {p.coin: p for p in shown.positions if p.size}
    rows = [
        _position_row(accounts, holder, pot, open_positions[coin])
        for coin in accounts.universe.coins(dex)
        if coin in open_positions
    ]
    return _state(shown, rows, now_ms)


def _state(account: Account, rows: list[Json], now_ms: int) -> Json:
    return {
        "marginSummary": _summary(account.summary),
        "crossMarginSummary": _summary(account.cross_summary),
        "crossMaintenanceMarginUsed": money(account.cross_maintenance),
        "withdrawable": money(account.withdrawable),
        "assetPositions": rows,
        "time": now_ms,
    }


def _summary(summary: MarginSummary) -> Json:
    return {
        "accountValue": money(summary.account_value),
        "totalNtlPos": money(summary.total_ntl_pos),
        "totalRawUsd": money(summary.total_raw_usd),
        "totalMarginUsed": money(summary.total_margin_used),
    }


def _position_row(accounts: Ledger, holder: Holder, pot: Account, position: Position) -> Json:
    margin = position.entry_value / position.leverage
    price = account_liquidation_price(pot, position.coin)
    funding = holder.funding.get(position.coin, FundingPaid())
    returned = (position.unrealized / margin).quantize(RETURN_STEP, rounding=ROUND_HALF_EVEN)
    return {
        "type": "oneWay",
        "position": {
            "coin": position.coin,
            "szi": number(position.size),
            "leverage": _leverage(position),
            "entryPx": number(position.printed_entry),
            "positionValue": money(position.notional),
            "unrealizedPnl": money(position.unrealized),
            "returnOnEquity": number(returned),
            "liquidationPx": None if price is None else number(print_liquidation_price(price)),
            "marginUsed": money(position.margin_used),
            "maxLeverage": accounts.terms.of(position.coin).max_leverage,
            "cumFunding": {
                "allTime": number(funding.all_time),
                "sinceOpen": number(funding.since_open),
                "sinceChange": number(funding.since_change),
            },
        },
    }


def _leverage(position: Position) -> Json:
    if position.is_cross:
        return {"type": "cross", "value": position.leverage}
    return {"type": "isolated", "value": position.leverage, "rawUsd": money(position.raw_usd)}


def _spot_state(accounts: Ledger, user: str) -> Json:
    """
    Return the reply to ``spotClearinghouseState``.

    Of a pooled account ``total`` is everything held in the token, positions at mark, and ``hold`` what positions and
    orders use of it.
    """
    holder = accounts.holder(user)
    if holder is None or holder.house:
        return {"balances": []}
    balances, available = [], []
    for row in accounts.universe.spot_meta()["tokens"]:
        token, index = str(row["name"]), int(row["index"])
        pot = _pooled_pot(accounts, holder, token)
        if pot is None:
            if token in holder.spot:
                balances.append(
                    _balance(token, index, holder.spot[token], ZERO, holder.spot_cost.get(token, ZERO))
                )
            continue
        used = pot.summary.total_margin_used + pot.order_margin
        balances.append(_balance(token, index, pot.equity, min(max(ZERO, pot.equity), used), ZERO))
        after = pot.cross_summary.account_value - pot.cross_maintenance
        available.append([index, money(max(ZERO, after))])
    reply: Json = {"balances": balances}
    if holder.mode == PORTFOLIO:
        reply["portfolioMarginEnabled"] = True
    if holder.mode != DISABLED:
        reply["tokenToAvailableAfterMaintenance"] = available
    return reply


def _pooled_pot(accounts: Ledger, holder: Holder, token: str) -> Account | None:
    """Return a pooled account's pot of a token, None where there is none or the account is not pooled."""
    if not holder.pooled or token not in holder.pots:
        return None
    dexes = accounts.universe.dex_names
    dex = next(name for name in dexes if accounts.universe.collateral_of(name)[1] == token)
    return accounts.account(holder, dex)


def _balance(token: str, index: int, total: Decimal, hold: Decimal, cost: Decimal) -> Json:
    return {
        "coin": token,
        "token": index,
        "total": number(total),
        "hold": number(hold),
        "entryNtl": number(cost),
    }


def _active_asset_data(accounts: Ledger, user: str, coin: str) -> Json:
    """Return the reply to ``activeAssetData``: leverage, and what may be bought and sold."""
    terms = accounts.terms.of(coin)
    mark = accounts.mark_of(coin)
    holder = accounts.holder(user)
    if holder is None or holder.house:
        flat = terms.default_position(mark)
        account = Account(collateral=terms.token, cash=ZERO, dex=terms.dex, positions=(flat,))
    else:
        account = accounts.known(holder, coin, mark)
    limits = trade_limits(account, coin, terms.lot)
    return {
        "user": user.lower(),
        "coin": coin,
        "leverage": _leverage(account.position(coin)),
        "maxTradeSzs": [number(size) for size in limits.max_sizes],
        "availableToTrade": [money(amount) for amount in limits.available],
        "markPx": number(mark),
    }


def _fees(accounts: Ledger, user: str, now_ms: int) -> Json:
    """Return the reply to ``userFees``; an address without an account has traded nothing."""
    holder = accounts.holder(user) or Holder(user.lower())
    return user_fees(
        holder.volume,
        accounts.exchange_volume,
        now_ms,
        maker_share=holder.maker_share,
        staked_hype=holder.staked_hype,
        referral_discount=holder.referral_discount,
    )


def _rate_limit(accounts: Ledger, user: str) -> Json:
    """Return the reply to ``userRateLimit``; the volume is what the limit credits, a tenth in growth mode."""
    limits = (accounts.holder(user) or Holder(user.lower())).limits
    return {
        "cumVlm": money(limits.credited),
        "nRequestsUsed": limits.used,
        "nRequestsCap": limits.cap,
        "nRequestsSurplus": limits.surplus,
    }


def _user_role(accounts: Ledger, address: str, now_ms: int) -> Json:
    """Return the reply to ``userRole``; an expired agent is nobody."""
    holder = accounts.holder(address)
    if holder is not None:
        if holder.master is not None:
            return {"role": "subAccount", "data": {"master": holder.master}}
        if holder.leader is not None:
            return {"role": "vault"}
        return {"role": "user"}
    master = accounts.agents.master(address, now_ms)
    return {"role": "missing"} if master is None else {"role": "agent", "data": {"user": master}}


def _user_fills(accounts: Ledger, user: str, *, aggregate_by_time: bool = False) -> list[Json]:
    """Return the reply to ``userFills``, newest first."""
    holder = accounts.holder(user)
    if holder is None:
        return []
    if aggregate_by_time:
        return aggregated(list(holder.fills))[: -FILL_ROWS - 1 : -1]
    return list(islice(reversed(holder.fills), FILL_ROWS))


def _user_fills_by_time(
    accounts: Ledger,
    user: str,
    start_ms: int,
    end_ms: int | None = None,
    *,
    aggregate_by_time: bool = False,
) -> list[Json]:
    """Return the reply to ``userFillsByTime``, oldest first."""
    holder = accounts.holder(user)
    rows = [] if holder is None else [row for row in holder.fills if _within(row, start_ms, end_ms)]
    return (aggregated(rows) if aggregate_by_time else rows)[:FILL_ROWS]


def aggregated(rows: list[Json]) -> list[Json]:
    """
    Return fills with those of one crossing order at one time made one (venue docs, ``aggregateByTime``).

    Size, fee and closed PnL are added up, the price is their average by size; what else there is comes from the first.
    """
    merged: dict[tuple[Any, ...], list[Json]] = {}
    for row in rows:
        key = (row["time"], row["coin"], row["oid"], row["side"]) if row["crossed"] else (id(row),)
        merged.setdefault(key, []).append(row)
    return [group[0] if len(group) == 1 else _merged(group) for group in merged.values()]


def _merged(group: list[Json]) -> Json:
    size = sum((Decimal(row["sz"]) for row in group), ZERO)
    value = sum((Decimal(row["sz"]) * Decimal(row["px"]) for row in group), ZERO)
    return {
        **group[0],
        "sz": number(size),
        "px": number(round(value / size, 8)),
        "fee": number(sum((Decimal(row["fee"]) for row in group), ZERO)),
        "closedPnl": number(sum((Decimal(row["closedPnl"]) for row in group), ZERO)),
    }


def _user_funding(accounts: Ledger, user: str, start_ms: int, end_ms: int | None = None) -> list[Json]:
    """Return the reply to ``userFunding``, oldest first."""
    holder = accounts.holder(user)
    rows = [] if holder is None else [row for row in holder.fundings if _within(row, start_ms, end_ms)]
    return [
        {
            "time": row["time"],
            "hash": "0x" + "0" * 64,
            "delta": {"type": "funding", **{key: value for key, value in row.items() if key != "time"}},
        }
        for row in rows[:PAGE_ROWS]
    ]


def _ledger_updates(accounts: Ledger, user: str, start_ms: int, end_ms: int | None = None) -> list[Json]:
    """Return the reply to ``userNonFundingLedgerUpdates``, oldest first."""
    holder = accounts.holder(user)
    rows = [] if holder is None else holder.ledger
    return [row for row in rows if _within(row, start_ms, end_ms)][:PAGE_ROWS]


def _within(row: Json, start_ms: int, end_ms: int | None) -> bool:
    time: int = row["time"]
    return start_ms <= time and (end_ms is None or time <= end_ms)


class AccountReplies(Ledger):
    """The accounts, with the replies to every query about them; a user may be given in any case."""

    def clearinghouse_state(self, user: str, dex: str, now_ms: int) -> Json:
        """Return the reply to ``clearinghouseState``; KeyError when there is no such dex."""
        return _clearinghouse_state(self, user, dex, now_ms)

    def all_states(self, user: str, now_ms: int) -> list[list[Any]]:
        """Return the ``clearinghouseStates`` of ``allDexsClearinghouseState``."""
        return [[dex, self.clearinghouse_state(user, dex, now_ms)] for dex in self.universe.dex_names]

    def spot_state(self, user: str) -> Json:
        """Return the reply to ``spotClearinghouseState``."""
        return _spot_state(self, user)

    def user_fees(self, user: str, now_ms: int) -> Json:
        """Return the reply to ``userFees``."""
        return _fees(self, user, now_ms)

    def rate_limit(self, user: str) -> Json:
        """Return the reply to ``userRateLimit``."""
        return _rate_limit(self, user)

    def user_role(self, address: str, now_ms: int) -> Json:
        """Return the reply to ``userRole``."""
        return _user_role(self, address, now_ms)

    def extra_agents(self, user: str, now_ms: int) -> list[Json]:
        """Return the reply to ``extraAgents``: agents with a name that have not expired."""
        return self.agents.named(user, now_ms)

    def abstraction(self, user: str) -> str:
        """Return the reply to ``userAbstraction``; ``default`` for an address without an account."""
        holder = self.holder(user)
        return "default" if holder is None else holder.mode

    def active_asset_data(self, user: str, coin: str) -> Json:
        """Return the reply to ``activeAssetData``; KeyError when there is no such coin."""
        return _active_asset_data(self, user, coin)

    def user_fills(self, user: str, *, aggregate_by_time: bool = False) -> list[Json]:
        """Return the reply to ``userFills``: the latest 2,000, newest first, of all dexes."""
        return _user_fills(self, user, aggregate_by_time=aggregate_by_time)

    def user_fills_by_time(
        self, user: str, start_ms: int, end_ms: int | None = None, *, aggregate_by_time: bool = False
    ) -> list[Json]:
        """Return the reply to ``userFillsByTime``: at most 2,000 from the start on, oldest first."""
        return _user_fills_by_time(self, user, start_ms, end_ms, aggregate_by_time=aggregate_by_time)

    def user_funding(self, user: str, start_ms: int, end_ms: int | None = None) -> list[Json]:
        """Return the reply to ``userFunding``: at most 500 from the start on, oldest first."""
        return _user_funding(self, user, start_ms, end_ms)

    def user_fundings(self, user: str) -> list[Json]:
        """Return the rows of a ``userFundings`` snapshot, newest first."""
        holder = self.holder(user)
        return [] if holder is None else holder.fundings[: -PAGE_ROWS - 1 : -1]

    def ledger_updates(self, user: str, start_ms: int, end_ms: int | None = None) -> list[Json]:
        """Return the reply to ``userNonFundingLedgerUpdates``, oldest first."""
        return _ledger_updates(self, user, start_ms, end_ms)
