"""What ``/info`` answers, one entry for each request type."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Final

from hyperliquid_hip3.constants import CANDLE_INTERVALS
from hyperliquid_hip3.constants import CANDLES_KEPT
from hyperliquid_hip3.constants import FUNDING_PAGE_ROWS
from hyperliquid_loopback.accounts import Accounts
from hyperliquid_loopback.engine import Exchange
from hyperliquid_loopback.limits_view import aligned_quote_token
from hyperliquid_loopback.limits_view import dex_limits
from hyperliquid_loopback.limits_view import dex_status
from hyperliquid_loopback.limits_view import market_order_notionals
from hyperliquid_loopback.limits_view import predicted_fundings
from hyperliquid_loopback.subscriptions import ADDRESS
from hyperliquid_loopback.subscriptions import valid_rounding
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.universe import Universe


BOOK_LEVELS: Final = 20
FAST_LEVELS: Final = 5
TRADES_SHOWN: Final = 30


class ShapeError(Exception):
    """The request lacks a field, has one of the wrong type, or is of no known type: the venue answers 422."""


class UnknownNameError(Exception):
    """The request names a dex or coin that the venue does not have: it answers 500 with the body null."""


@dataclass(frozen=True, slots=True)
class Desk:
    """
    Where the answers come from.

    Parameters
    ----------
    universe, accounts, exchange : object
        The venue's parts.
    now_ms : callable
        Venue time, ms UTC.

    """

    universe: Universe
    accounts: Accounts
    exchange: Exchange
    now_ms: Callable[[], int]

    def mids(self, dex: str) -> dict[str, str]:
        """Return the mid of each listed coin of a dex; without a mid its last trade, else its mark."""
        # the mids of spot pairs come with the validators' own dex (recorded payload)
        found: dict[str, str] = {} if dex else self.universe.spot_mids()
        for coin in self.universe.coins(dex, listed_only=True):
            ctx = self.exchange.ctx(coin)
            mid = ctx.get("midPx")
            if mid is None:
                trades = self.exchange.recent_trades(coin) or self.universe.trades(coin)
                mid = trades[0]["px"] if trades else ctx["markPx"]
            found[coin] = mid
        return found

    def contexts(self, dex: str) -> list[Json]:
        """Return the contexts of a dex by place in its universe, delisted coins too."""
        return [self.exchange.ctx(coin) for coin in self.universe.coins(dex)]

    def candles(self, coin: str, interval: str, start_ms: int, end_ms: int) -> list[Json]:
        """Return the candles that touch [start, end], oldest first, the newest 5,000 at most."""
        rows = {row["t"]: row for row in self.universe.candles(coin, interval, start_ms, end_ms)}
        rows.update({row["t"]: row for row in self.exchange.candles(coin, interval, start_ms, end_ms)})
        return [rows[t] for t in sorted(rows)][-CANDLES_KEPT:]

    def trades(self, coin: str) -> list[Json]:
        """Return the newest thirty trades, newest first, those of before the start after the venue's own."""
        own = self.exchange.recent_trades(coin)
        return own[:TRADES_SHOWN] if len(own) >= TRADES_SHOWN else [*own, *self.universe.trades(coin)]


class Body:
    """A request's fields; what is missing or of the wrong type raises ``ShapeError``."""

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise ShapeError
        self._fields = fields

    def text(self, name: str) -> str:
        """Return a text field."""
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise ShapeError
        return value

    def dex(self, universe: Universe) -> str:
        """Return the dex asked for, empty by default; an unknown one raises ``UnknownNameError``."""
        value = self._fields.get("dex")
        dex = "" if value is None else self.text("dex")
        if not universe.has_dex(dex):
            raise UnknownNameError
        return dex

    def coin(self, universe: Universe) -> str:
        """Return the coin asked for; an unknown one raises ``UnknownNameError``."""
        coin = self.text("coin")
        if universe.find(coin) is None:
            raise UnknownNameError
        return coin

    def user(self, name: str = "user") -> str:
        """Return the address asked for, in lower case."""
        user = self.text(name)
        if ADDRESS.fullmatch(user) is None:
            raise ShapeError
        return user.lower()

    def whole(self, name: str) -> int:
        """Return a whole number."""
        value = self._fields.get(name)
        if type(value) is not int:
            raise ShapeError
        return value

    def whole_or_none(self, name: str) -> int | None:
        """Return a whole number, None when it is left out."""
        return None if self._fields.get(name) is None else self.whole(name)

    def flag(self, name: str) -> bool:
        """Return a flag, False when it is left out."""
        value = self._fields.get(name)
        if value is not None and not isinstance(value, bool):
            raise ShapeError
        return value is True

    def part(self, name: str) -> "Body":
        """Return an object within the request."""
        return Body(self._fields.get(name))

    def oid(self) -> int | str:
        """Return an order's number, or its cloid."""
        value = self._fields.get("oid")
        return self.whole("oid") if isinstance(value, int) else self.text("oid")


Answer = Callable[[Desk, Body], Any]


def answer(desk: Desk, request: Any) -> Any:
    """
    Return the reply to an info request, ready for JSON.

    Parameters
    ----------
    desk : Desk
        Where the answers come from.
    request : object
        The parsed body.

    Raises
    ------
    ShapeError
        If the venue would answer 422.
    UnknownNameError
        If the venue would answer 500 with the body null.

    """
    body = Body(request)
    kind = body.text("type")
    if kind not in ANSWERS:
        raise ShapeError
    return ANSWERS[kind](desk, body)


def _book(desk: Desk, body: Body) -> Json | None:
    coin = body.text("coin")
    figures, mantissa = body.whole_or_none("nSigFigs"), body.whole_or_none("mantissa")
    if not valid_rounding(figures, mantissa):
        raise UnknownNameError
    if desk.universe.find(coin) is None:
        return None
    return desk.exchange.book(coin, BOOK_LEVELS, figures, mantissa)


def _candles(desk: Desk, body: Body) -> list[Json]:
    request = body.part("req")
    coin, interval = request.coin(desk.universe), request.text("interval")
    if interval not in CANDLE_INTERVALS:
        raise ShapeError
    return desk.candles(coin, interval, request.whole("startTime"), request.whole("endTime"))


def _funding(desk: Desk, body: Body) -> list[Json]:
    coin = body.coin(desk.universe)
    return desk.universe.funding(coin, body.whole("startTime"), body.whole_or_none("endTime"))


def _meta_and_contexts(desk: Desk, body: Body) -> list[Any]:
    dex = body.dex(desk.universe)
    return [desk.universe.meta(dex), desk.contexts(dex)]


def _clearinghouse(desk: Desk, body: Body) -> Json:
    return desk.accounts.clearinghouse_state(body.user(), body.dex(desk.universe), desk.now_ms())


def _fills_by_time(desk: Desk, body: Body) -> list[Json]:
    return desk.accounts.user_fills_by_time(
        body.user(),
        body.whole("startTime"),
        body.whole_or_none("endTime"),
        aggregate_by_time=body.flag("aggregateByTime"),
    )


def _user_funding(desk: Desk, body: Body) -> list[Json]:
    rows = desk.accounts.user_funding(body.user(), body.whole("startTime"), body.whole_or_none("endTime"))
    return rows[:FUNDING_PAGE_ROWS]


def _ledger(desk: Desk, body: Body) -> list[Json]:
    rows = desk.accounts.ledger_updates(body.user(), body.whole("startTime"), body.whole_or_none("endTime"))
    return rows[:FUNDING_PAGE_ROWS]


def _active_asset(desk: Desk, body: Body) -> Json:
    return desk.accounts.active_asset_data(body.user(), body.coin(desk.universe))


def _margin_table(desk: Desk, body: Body) -> Json:
    wanted = body.whole("id")
    tables = desk.universe.meta(body.dex(desk.universe)).get("marginTables", [])
    for table_id, table in tables:
        if table_id == wanted:
            return dict(table)
    raise UnknownNameError


def _at_cap(desk: Desk, body: Body) -> list[str]:
    return [coin for coin in desk.universe.coins(body.dex(desk.universe)) if desk.exchange.at_oi_cap(coin)]


def _dex_limits(desk: Desk, body: Body) -> Json:
    return dex_limits(desk.universe, _builder_dex(desk, body))


def _dex_status(desk: Desk, body: Body) -> Json:
    return dex_status(desk.accounts, _builder_dex(desk, body), desk.now_ms())


def _builder_dex(desk: Desk, body: Body) -> str:
    # the validators' own dex, named by the empty text, has neither
    dex = body.dex(desk.universe)
    if not dex:
        raise UnknownNameError
    return dex


def _aligned(desk: Desk, body: Body) -> Json:
    found = aligned_quote_token(desk.universe, body.whole("token"))
    if found is None:
        raise UnknownNameError
    return found


def _sub_accounts(desk: Desk, body: Body) -> list[Json] | None:
    accounts, master = desk.accounts, body.user()
    now_ms = desk.now_ms()
    rows = [
        {
            "name": "",
            "subAccountUser": user,
            "master": master,
            "clearinghouseState": accounts.clearinghouse_state(user, "", now_ms),
            "spotState": accounts.spot_state(user),
        }
        for user in accounts.users
        if accounts.master_of(user) == master
    ]
    # the venue answers null for an address without any
    return rows or None


def _vault(desk: Desk, body: Body) -> Json | None:
    address = body.user("vaultAddress")
    holder = desk.accounts.holder(address)
    if holder is None or holder.leader is None:
        return None
    return {
        "name": "",
        "vaultAddress": address,
        "leader": holder.leader,
        "description": "",
        "portfolio": [],
        "apr": 0.0,
        "followerState": None,
        "leaderFraction": 1.0,
        "leaderCommission": 0.0,
        "followers": [],
        "maxDistributable": 0.0,
        "maxWithdrawable": 0.0,
        "isClosed": False,
        "relationship": {"type": "normal"},
        "allowDeposits": False,
        "alwaysCloseOnWithdraw": False,
    }


def _role(desk: Desk, body: Body) -> Json:
    return desk.accounts.user_role(body.user(), desk.now_ms())


ANSWERS: Final[dict[str, Answer]] = {
    "perpDexs": lambda desk, _: desk.universe.perp_dexs(),
    "meta": lambda desk, body: desk.universe.meta(body.dex(desk.universe)),
    "allPerpMetas": lambda desk, _: desk.universe.all_metas(),
    "spotMeta": lambda desk, _: desk.universe.spot_meta(),
    "metaAndAssetCtxs": _meta_and_contexts,
    "allMids": lambda desk, body: desk.mids(body.dex(desk.universe)),
    "l2Book": _book,
    "candleSnapshot": _candles,
    "recentTrades": lambda desk, body: desk.trades(body.coin(desk.universe)),
    "fundingHistory": _funding,
    "marginTable": _margin_table,
    "perpsAtOpenInterestCap": _at_cap,
    "perpDexLimits": _dex_limits,
    "perpDexStatus": _dex_status,
    "predictedFundings": lambda desk, _: predicted_fundings(desk.universe, desk.exchange, desk.now_ms()),
    "maxMarketOrderNtls": lambda _desk, _body: market_order_notionals(),
    "alignedQuoteTokenInfo": _aligned,
    "exchangeStatus": lambda desk, _: {"time": desk.now_ms(), "specialStatuses": None},
    "clearinghouseState": _clearinghouse,
    "spotClearinghouseState": lambda desk, body: desk.accounts.spot_state(body.user()),
    "openOrders": lambda desk, body: desk.exchange.open_orders(body.user(), body.dex(desk.universe)),
    "frontendOpenOrders": lambda desk, body: desk.exchange.frontend_open_orders(
        body.user(), body.dex(desk.universe)
    ),
    "orderStatus": lambda desk, body: desk.exchange.order_status(body.user(), body.oid()),
    "historicalOrders": lambda desk, body: desk.exchange.historical_orders(body.user()),
    "userFills": lambda desk, body: desk.accounts.user_fills(
        body.user(), aggregate_by_time=body.flag("aggregateByTime")
    ),
    "userFillsByTime": _fills_by_time,
    "userFunding": _user_funding,
    "userNonFundingLedgerUpdates": _ledger,
    "userFees": lambda desk, body: desk.accounts.user_fees(body.user(), desk.now_ms()),
    "userRateLimit": lambda desk, body: desk.accounts.rate_limit(body.user()),
    "userRole": _role,
    "extraAgents": lambda desk, body: desk.accounts.extra_agents(body.user(), desk.now_ms()),
    "userAbstraction": lambda desk, body: desk.accounts.abstraction(body.user()),
    "activeAssetData": _active_asset,
    "subAccounts": _sub_accounts,
    "vaultDetails": _vault,
}
