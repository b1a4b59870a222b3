"""
The venue's info and exchange endpoints, asked without ever blocking the event loop.

Queries are retried; an action never is, since nobody can tell whether the first attempt ran. A query that fails raises: no answer is
never an empty one. See https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint and its exchange endpoint.
"""

import asyncio
import random
import time
from collections.abc import Callable
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from typing import Final

import msgspec

from hyperliquid_hip3.account_parsing import parse_active_asset_data
from hyperliquid_hip3.account_parsing import parse_clearinghouse_state
from hyperliquid_hip3.account_parsing import parse_extra_agents
from hyperliquid_hip3.account_parsing import parse_ledger_updates
from hyperliquid_hip3.account_parsing import parse_rate_limit
from hyperliquid_hip3.account_parsing import parse_spot_state
from hyperliquid_hip3.account_parsing import parse_user_abstraction
from hyperliquid_hip3.account_parsing import parse_user_fees
from hyperliquid_hip3.account_parsing import parse_user_role
from hyperliquid_hip3.account_parsing import parse_vault_leader
from hyperliquid_hip3.clock_offset import ClockOffset
from hyperliquid_hip3.constants import info_weight
from hyperliquid_hip3.context_parsing import parse_all_mids
from hyperliquid_hip3.context_parsing import parse_exchange_status
from hyperliquid_hip3.context_parsing import parse_meta_and_asset_ctxs
from hyperliquid_hip3.context_parsing import parse_perps_at_cap
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.frames import decode
from hyperliquid_hip3.http import HttpReply
from hyperliquid_hip3.http import HttpTransport
from hyperliquid_hip3.http import NotSentError
from hyperliquid_hip3.http import RateLimitedError
from hyperliquid_hip3.http import Transport
from hyperliquid_hip3.http import clean_reason
from hyperliquid_hip3.http import host_of
from hyperliquid_hip3.paging import all_rows
from hyperliquid_hip3.paging import candles_backward
from hyperliquid_hip3.parsing import parse_all_perp_metas
from hyperliquid_hip3.parsing import parse_candles
from hyperliquid_hip3.parsing import parse_funding_history
from hyperliquid_hip3.parsing import parse_l2_book
from hyperliquid_hip3.parsing import parse_meta
from hyperliquid_hip3.parsing import parse_perp_dexs
from hyperliquid_hip3.parsing import parse_spot_meta
from hyperliquid_hip3.parsing import parse_spot_pairs
from hyperliquid_hip3.parsing import parse_trades
from hyperliquid_hip3.records import BookSnapshot
from hyperliquid_hip3.records import Candle
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.records import FundingRate
from hyperliquid_hip3.records import PerpDex
from hyperliquid_hip3.records import PublicTrade
from hyperliquid_hip3.records import SpotPair
from hyperliquid_hip3.records import SpotToken
from hyperliquid_hip3.replies import ActionReply
from hyperliquid_hip3.replies import Refused
from hyperliquid_hip3.replies import parse_exchange_reply
from hyperliquid_hip3.user_parsing import parse_frontend_open_orders
from hyperliquid_hip3.user_parsing import parse_historical_orders
from hyperliquid_hip3.user_parsing import parse_order_status
from hyperliquid_hip3.user_parsing import parse_user_fills
from hyperliquid_hip3.user_parsing import parse_user_funding_history
from hyperliquid_hip3.user_records import ActiveAsset
from hyperliquid_hip3.user_records import Agent
from hyperliquid_hip3.user_records import AssetContext
from hyperliquid_hip3.user_records import ClearinghouseState
from hyperliquid_hip3.user_records import ExchangeStatus
from hyperliquid_hip3.user_records import FundingPayment
from hyperliquid_hip3.user_records import LedgerUpdate
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import OrderState
from hyperliquid_hip3.user_records import OrderUpdate
from hyperliquid_hip3.user_records import RateLimit
from hyperliquid_hip3.user_records import Role
from hyperliquid_hip3.user_records import SpotState
from hyperliquid_hip3.user_records import UserFees
from hyperliquid_hip3.user_records import UserFill
from hyperliquid_hip3.weights import WeightBucket
from hyperliquid_hip3.weights import action_weight
from hyperliquid_hip3.weights import batch_items


NS_PER_MS: Final = 1_000_000
TIMEOUT_S: Final = 5.0
RETRIES: Final = 3
# for all attempts of a query together, not counting what it waits for weight
DEADLINE_S: Final = 12.0
FIRST_BACKOFF_S: Final = 0.25
MAX_BACKOFF_S: Final = 4.0
# room for actions after the venue has said 429
HOLD_AFTER_429_S: Final = 2.0

OK: Final = 200
TOO_MANY: Final = 429
SERVER_FAULTS: Final = 500
# malformed, forbidden, no such path or method, too long, not JSON, not an action (protocol: Transport): it was never looked at
NOT_TAKEN: Final = frozenset((400, 403, 404, 405, 413, 415, 422))


class VenueClient:
    """
    Ask the venue, and send it signed actions.

    Every method may be canceled at any time; a canceled :meth:`exchange` leaves its outcome unknown.

    Parameters
    ----------
    url : str
        The venue's address without a path.
    timeout_s : float, default 5.0
        Seconds that one attempt may take.
    weights : WeightBucket, optional
        The weight to spend from; all clients of one internet address share one.
    retries : int, default 3
        Further attempts of a query after the first; of an action there are none.
    deadline_s : float, default 12.0
        Seconds for all attempts of a query together.
    first_backoff_s : float, default 0.25
        The pause before the second attempt; it doubles, and up to half of it is random.
    clock : ClockOffset, optional
        What measures the venue's clock; fed by every reply that carries the venue's time.
    now_ns : callable, default ``time.time_ns``
        The wall clock in ns UTC.
    transport : Transport, optional
        What carries the requests; by default the engine's HTTP client.

    Raises
    ------
    ValueError
        If the address is not an http or https one.

    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        weights: WeightBucket | None = None,
        retries: int = RETRIES,
        deadline_s: float = DEADLINE_S,
        first_backoff_s: float = FIRST_BACKOFF_S,
        clock: ClockOffset | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        transport: Transport | None = None,
    ) -> None:
        self.host = host_of(url, schemes=("http", "https"))
        self._url = url
        self.weights = WeightBucket() if weights is None else weights
        self.clock = ClockOffset() if clock is None else clock
        self._timeout_s = timeout_s
        self._retries = retries
        self._deadline_s = deadline_s
        self._first_backoff_s = first_backoff_s
        self._now_ns = now_ns
        self._transport = HttpTransport(url) if transport is None else transport
        self._random = random.Random()  # noqa: S311 - spreads retries in time
        # for whoever records: each action's kind and items, when it was sent, and when it was answered (ns UTC; None without an answer)
        self.on_action: Callable[[str, int, int, int | None], None] | None = None

    def __repr__(self) -> str:
        return f"VenueClient({self.host})"

    def with_timeout(self, timeout_s: float) -> "VenueClient":
        """Return a client with this time for one attempt, which shares weight, clock, connections and who records with this one."""
        if timeout_s == self._timeout_s:
            return self
        other = VenueClient(
            self._url,
            timeout_s=timeout_s,
            weights=self.weights,
            retries=self._retries,
            deadline_s=self._deadline_s,
            first_backoff_s=self._first_backoff_s,
            clock=self.clock,
            now_ns=self._now_ns,
            transport=self._transport,
        )
        other.on_action = self._tell_action
        return other

    def _tell_action(self, kind: str, items: int, sent_ns: int, answered_ns: int | None) -> None:
        if self.on_action is not None:
            self.on_action(kind, items, sent_ns, answered_ns)

    # -- what the venue lists ---------------------------------------------------------------------------------------------------------

    async def perp_dexs(self) -> tuple[PerpDex, ...]:
        """Return the builder-deployed dexes."""
        return parse_perp_dexs(await self.info({"type": "perpDexs"}))

    async def meta(self, dex: str) -> DexMeta:
        """Return the perpetuals of a dex; the validator dex has the empty name."""
        return parse_meta(await self.info({"type": "meta", "dex": dex}))

    async def all_metas(self) -> tuple[DexMeta, ...]:
        """Return the perpetuals of every dex; the position is the dex's index."""
        return parse_all_perp_metas(await self.info({"type": "allPerpMetas"}))

    async def spot_meta(self) -> tuple[SpotToken, ...]:
        """Return the spot tokens, collateral among them."""
        return parse_spot_meta(await self.info({"type": "spotMeta"}))

    async def spot_pairs(self) -> tuple[SpotPair, ...]:
        """Return the spot pairs."""
        return parse_spot_pairs(await self.info({"type": "spotMeta"}))

    async def meta_and_contexts(self, dex: str) -> tuple[DexMeta, tuple[AssetContext, ...]]:
        """Return the perpetuals of a dex and the state of each market, in the same order."""
        return parse_meta_and_asset_ctxs(await self.info({"type": "metaAndAssetCtxs", "dex": dex}))

    async def perps_at_open_interest_cap(self, dex: str) -> tuple[str, ...]:
        """Return the coins of a dex that are at their open-interest cap."""
        return parse_perps_at_cap(await self.info({"type": "perpsAtOpenInterestCap", "dex": dex}))

    async def exchange_status(self) -> ExchangeStatus:
        """Return the venue's clock and special states, and measure the clock's offset by it."""
        answer, reply = await self._ask({"type": "exchangeStatus"})
        status = parse_exchange_status(answer)
        self._observe(status.ts_ns, reply)
        return status

    # -- markets ----------------------------------------------------------------------------------------------------------------------

    async def all_mids(self, dex: str) -> dict[str, Decimal]:
        """Return the mid prices of a dex by coin; the last trade's price where a book is empty."""
        return parse_all_mids(await self.info({"type": "allMids", "dex": dex}))

    async def l2_book(self, coin: str) -> BookSnapshot:
        """Return up to 20 levels a side; empty sides for a delisted coin, PayloadError for an unknown one."""
        return parse_l2_book(await self.info({"type": "l2Book", "coin": coin}))

    async def candles(self, coin: str, interval: str, start_ms: int, end_ms: int) -> tuple[Candle, ...]:
        """
        Return the candles that open in [start, end), oldest first, as far back as the venue keeps them (about 5,000).

        Raises
        ------
        TransportError, PayloadError
            If a page fails; nothing is returned then.

        """

        async def page(first_ms: int, last_ms: int) -> tuple[Candle, ...]:
            req = {"coin": coin, "interval": interval, "startTime": first_ms, "endTime": last_ms}
            return parse_candles(await self.info({"type": "candleSnapshot", "req": req}))

        return await candles_backward(page, interval, start_ms, end_ms)

    async def recent_trades(self, coin: str) -> tuple[PublicTrade, ...]:
        """Return the last trades of a coin, in the order sent."""
        return parse_trades(await self.info({"type": "recentTrades", "coin": coin}))

    async def funding_history(self, coin: str, start_ms: int, end_ms: int) -> tuple[FundingRate, ...]:
        """Return the funding rates paid in [start, end), oldest first."""

        async def page(first_ms: int, last_ms: int | None) -> tuple[FundingRate, ...]:
            body = _span({"type": "fundingHistory", "coin": coin}, first_ms, last_ms)
            return parse_funding_history(await self.info(body))

        what = f"fundingHistory of {coin}"
        return await all_rows(page, start_ms, end_ms, what=what, key=lambda row: row.ts_ns)

    # -- accounts ---------------------------------------------------------------------------------------------------------------------

    async def clearinghouse_state(self, user: str, dex: str) -> ClearinghouseState:
        """Return a user's positions and margin on a dex, and measure the clock's offset by it."""
        answer, reply = await self._ask({"type": "clearinghouseState", "user": user, "dex": dex})
        state = parse_clearinghouse_state(answer)
        self._observe(state.ts_ns, reply)
        return state

    async def spot_state(self, user: str) -> SpotState:
        """Return a user's spot balances."""
        return parse_spot_state(await self.info({"type": "spotClearinghouseState", "user": user}))

    async def open_orders(self, user: str, dex: str) -> tuple[OpenOrder, ...]:
        """Return a user's open orders on a dex, triggers included."""
        return parse_frontend_open_orders(
            await self.info({"type": "frontendOpenOrders", "user": user, "dex": dex}),
        )

    async def order_status(self, user: str, oid_or_cloid: int | str) -> OrderState:
        """Return what became of an order, by the venue's number or our client order id (``0x`` and 32 digits)."""
        return parse_order_status(
            await self.info({"type": "orderStatus", "user": user, "oid": oid_or_cloid}),
        )

    async def historical_orders(self, user: str) -> tuple[OrderUpdate, ...]:
        """Return a user's last orders on all dexes (at most 2,000) with the status each has now."""
        return parse_historical_orders(await self.info({"type": "historicalOrders", "user": user}))

    async def user_fills(self, user: str) -> tuple[UserFill, ...]:
        """Return a user's last fills on all dexes (at most 2,000), in the order sent."""
        return parse_user_fills(await self.info({"type": "userFills", "user": user}))

    async def user_fills_by_time(
        self,
        user: str,
        start_ms: int,
        end_ms: int | None = None,
    ) -> tuple[UserFill, ...]:
        """Return a user's fills on all dexes in [start, end), oldest first, each once; the venue keeps the last 10,000."""

        async def page(first_ms: int, last_ms: int | None) -> tuple[UserFill, ...]:
            body = _span({"type": "userFillsByTime", "user": user}, first_ms, last_ms)
            return parse_user_fills(await self.info(body))

        return await all_rows(page, start_ms, end_ms, what="userFillsByTime", key=lambda row: row.key)

    async def user_funding(
        self,
        user: str,
        start_ms: int,
        end_ms: int | None = None,
    ) -> tuple[FundingPayment, ...]:
        """Return the funding a user paid (negative) or received in [start, end), oldest first."""

        async def page(first_ms: int, last_ms: int | None) -> tuple[FundingPayment, ...]:
            body = _span({"type": "userFunding", "user": user}, first_ms, last_ms)
            return parse_user_funding_history(await self.info(body))

        return await all_rows(
            page,
            start_ms,
            end_ms,
            what="userFunding",
            key=lambda row: (row.ts_ns, row.coin),
        )

    async def ledger_updates(
        self,
        user: str,
        start_ms: int,
        end_ms: int | None = None,
    ) -> tuple[LedgerUpdate, ...]:
        """Return a user's deposits, withdrawals and transfers in [start, end), oldest first."""

        async def page(first_ms: int, last_ms: int | None) -> tuple[LedgerUpdate, ...]:
            body = _span({"type": "userNonFundingLedgerUpdates", "user": user}, first_ms, last_ms)
            return parse_ledger_updates(await self.info(body))

        # two movements of one block have nothing else to tell them apart
        return await all_rows(page, start_ms, end_ms, what="userNonFundingLedgerUpdates", key=lambda row: row)

    async def user_fees(self, user: str) -> UserFees:
        """Return a user's fee rates and discounts."""
        return parse_user_fees(await self.info({"type": "userFees", "user": user}))

    async def rate_limit(self, user: str) -> RateLimit:
        """Return how many actions a user has sent and may send."""
        return parse_rate_limit(await self.info({"type": "userRateLimit", "user": user}))

    async def user_role(self, address: str) -> Role:
        """Return what an address is to the venue; weighs 60."""
        return parse_user_role(await self.info({"type": "userRole", "user": address}))

    async def vault_leader(self, vault: str) -> str | None:
        """Return who leads a vault; None where there is no such vault."""
        return parse_vault_leader(await self.info({"type": "vaultDetails", "vaultAddress": vault}))

    async def extra_agents(self, user: str) -> tuple[Agent, ...]:
        """Return the agents that may sign for a user, with their ends."""
        return parse_extra_agents(await self.info({"type": "extraAgents", "user": user}))

    async def active_asset(self, user: str, coin: str) -> ActiveAsset:
        """Return a user's leverage on a coin and what may be traded with it."""
        return parse_active_asset_data(
            await self.info({"type": "activeAssetData", "user": user, "coin": coin}),
        )

    async def user_abstraction(self, user: str) -> str:
        """Return a user's account mode in the venue's word."""
        return parse_user_abstraction(await self.info({"type": "userAbstraction", "user": user}))

    # -- the two endpoints ------------------------------------------------------------------------------------------------------------

    async def info(self, body: dict[str, Any]) -> Any:
        """
        Return the decoded reply to an info request.

        Parameters
        ----------
        body : dict
            The request, with its ``type``.

        Raises
        ------
        TransportError
            If there is no usable answer after all attempts.
        PayloadError
            If the answer is not JSON, or null: the venue's answer to a coin it does not know.

        """
        answer, _reply = await self._ask(body)
        return answer

    async def exchange(self, request: Mapping[str, Any]) -> ActionReply:
        """
        Send a signed action once, and return the venue's answer.

        Parameters
        ----------
        request : Mapping
            The whole body of the request, as :meth:`Signer.request` makes it.

        Raises
        ------
        NotSentError
            If it certainly never left: no connection, or it would have expired while waiting for weight.
        RateLimitedError
            If the venue answered 429: it was not executed.
        TransportError
            If the outcome is unknown.

        """
        action = request.get("action")
        kind = str(action.get("type", "action")) if isinstance(action, Mapping) else "action"
        items = batch_items(action) if isinstance(action, Mapping) else 1
        await self._spend_on_action(action_weight(items), kind, request.get("expiresAfter"))
        raw = msgspec.json.encode(request)
        sent_ns, answered_ns = self._now_ns(), None
        try:
            reply = await self._transport.post("/exchange", raw, what=kind, timeout_s=self._timeout_s)
            answered_ns = reply.sent_ns + reply.round_trip_ns
        finally:
            if self.on_action is not None:
                self.on_action(kind, items, sent_ns, answered_ns)
        if reply.status == TOO_MANY:
            self.weights.hold_queries(HOLD_AFTER_429_S)
            raise RateLimitedError(f"{kind}: {self.host} wants fewer requests (HTTP 429)")
        if reply.status != OK:
            said = clean_reason(reply.body.decode(errors="replace"))
            if reply.status in NOT_TAKEN:
                # it did not get as far as being an action
                return Refused(f"HTTP {reply.status}: {said}")
            raise TransportError(f"{kind}: {self.host} failed (HTTP {reply.status}: {said})")
        try:
            return parse_exchange_reply(decode(reply.body, kind))
        except PayloadError as e:
            raise TransportError(f"{kind}: the answer of {self.host} cannot be read ({e})") from e

    async def _spend_on_action(self, weight: int, kind: str, expires_after_ms: Any) -> None:
        if isinstance(expires_after_ms, int):
            venue_ms = self.clock.venue_ms(self._now_ns())
            wait_ms = 1000 * self.weights.wait_s(weight, is_action=True)
            if venue_ms + wait_ms >= expires_after_ms:
                # an action that the venue finds expired costs five
                raise NotSentError(
                    f"{kind}: it would expire before it may be sent ({wait_ms / 1000:.1f} s to wait)"
                )
        if not self.weights.try_spend_on_action(weight):
            await self.weights.spend(weight, is_action=True)

    async def _ask(self, body: dict[str, Any]) -> tuple[Any, HttpReply]:
        kind = str(body["type"])
        what = _describe(body)
        weight = info_weight(kind)
        raw = msgspec.json.encode(body)
        left_s = self._deadline_s
        backoff_s = self._first_backoff_s
        for attempt in range(self._retries + 1):
            await self.weights.spend(weight)
            started_s = time.monotonic()
            try:
                reply = await self._attempt(raw, what, min(self._timeout_s, left_s))
                break
            except TransportError as e:
                if isinstance(e, RateLimitedError):
                    self.weights.hold_queries(HOLD_AFTER_429_S * 2**attempt)
                pause_s = backoff_s * self._random.uniform(0.5, 1.0)
                left_s -= time.monotonic() - started_s + pause_s
                if attempt == self._retries or left_s <= 0 or isinstance(e, _HopelessError):
                    raise
            await asyncio.sleep(pause_s)
            backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)
        answer = decode(reply.body, kind)
        if answer is None:
            raise PayloadError(kind, f"null is the answer to {what}: the venue does not know it")
        if isinstance(answer, list):
            self.weights.charge(info_weight(kind, len(answer)) - weight)
        return answer, reply

    async def _attempt(self, raw: bytes, what: str, timeout_s: float) -> HttpReply:
        reply = await self._transport.post("/info", raw, what=what, timeout_s=timeout_s)
        if reply.status == OK:
            return reply
        if reply.status == TOO_MANY:
            raise RateLimitedError(f"{what}: {self.host} wants fewer requests (HTTP 429)")
        said = clean_reason(reply.body.decode(errors="replace"))
        if reply.status >= SERVER_FAULTS:
            hint = ", as for a dex or coin that it does not know" if said == "null" else ""
            raise TransportError(f"{what}: {self.host} failed (HTTP {reply.status}: {said}{hint})")
        raise _HopelessError(f"{what}: {self.host} does not take the request (HTTP {reply.status}: {said})")

    def _observe(self, venue_ns: int, reply: HttpReply) -> None:
        self.clock.observe(
            venue_ns,
            sent_ns=reply.sent_ns,
            round_trip_ns=reply.round_trip_ns,
            monotonic_ns=reply.sent_monotonic_ns,
        )


class _HopelessError(TransportError):
    """An answer that the same request would get again."""


def _describe(body: Mapping[str, Any]) -> str:
    inner = body.get("req", body)
    of = inner.get("coin") or body.get("dex")
    return f"{body['type']} of {of}" if of else str(body["type"])


def _span(body: dict[str, Any], first_ms: int, last_ms: int | None) -> dict[str, Any]:
    body["startTime"] = first_ms
    if last_ms is not None:
        body["endTime"] = last_ms
    return body
