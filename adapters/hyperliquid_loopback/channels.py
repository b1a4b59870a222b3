"""The streams: what each subscription gets when it begins, after each block, and by the clock."""

import base64
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final
from typing import Protocol

import msgspec

from hyperliquid_loopback.account_views import aggregated
from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.info import BOOK_LEVELS
from hyperliquid_loopback.info import FAST_LEVELS
from hyperliquid_loopback.info import TRADES_SHOWN
from hyperliquid_loopback.info import Desk
from hyperliquid_loopback.sessions import frame
from hyperliquid_loopback.subscriptions import Subscription
from hyperliquid_loopback.types import BookChanged
from hyperliquid_loopback.types import Event
from hyperliquid_loopback.types import Filled
from hyperliquid_loopback.types import FundingPaid
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import LedgerMoved
from hyperliquid_loopback.types import LeverageChanged
from hyperliquid_loopback.types import Liquidated
from hyperliquid_loopback.types import OrderChanged
from hyperliquid_loopback.types import Traded
from hyperliquid_loopback.types import VenueCanceled


# userEvents is the one subscription whose messages come under another name
USER_EVENTS_CHANNEL: Final = "user"
USER_STATES: Final = (
    "clearinghouseState",
    "allDexsClearinghouseState",
    "openOrders",
    "spotState",
    "webData3",
    "activeAssetData",
)


class Outlet(Protocol):
    """Where frames go."""

    def send(self, channel: str, payload: bytes) -> None:
        """Send one frame."""
        ...


@dataclass(slots=True)
class _Block:
    """What a block's events hold, by what streams carry."""

    books: set[str] = field(default_factory=set)
    trades: defaultdict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    orders: defaultdict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    fills: defaultdict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    fundings: defaultdict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    liquidations: defaultdict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    cancels: defaultdict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    ledgers: set[str] = field(default_factory=set)
    leverages: set[tuple[str, str]] = field(default_factory=set)

    def add(self, event: Event) -> None:
        match event:
            case BookChanged(coin):
                self.books.add(coin)
            case Traded(coin=coin):
                self.trades[coin].append(event.wire())
            case OrderChanged(user=user, update=update):
                self.orders[user].append(update)
            case Filled(user, fill):
                self.fills[user].append(fill)
            case FundingPaid(user, delta):
                self.fundings[user].append(delta)
            case Liquidated(user, data):
                self.liquidations[user].append(data)
            case VenueCanceled(user, coin, oid):
                self.cancels[user].append({"coin": coin, "oid": oid})
            case LedgerMoved(user, _):
                self.ledgers.add(user)
            case LeverageChanged(user, coin):
                self.leverages.add((user, coin))
            case _:
                # contexts are sent by the clock
                pass


class _Clock:
    """Rings every so often; late rings are not made up for."""

    def __init__(self, every_ms: int, now_ms: int) -> None:
        self._every_ms = every_ms
        self._next_ms = now_ms + every_ms

    def rings(self, now_ms: int) -> bool:
        if now_ms < self._next_ms:
            return False
        self._next_ms += self._every_ms * (1 + (now_ms - self._next_ms) // self._every_ms)
        return True


class Feeds:
    """
    Sends every subscription its frames.

    Parameters
    ----------
    desk : Desk
        The venue's state.
    cadences : Cadences
        The clocks.

    """

    def __init__(self, desk: Desk, cadences: Cadences) -> None:
        now_ms = desk.now_ms()
        self._desk = desk
        self._outlets: defaultdict[Subscription, list[Outlet]] = defaultdict(list)
        self._best: dict[str, Any] = {}
        self._traded: set[str] = set()
        self._fast_contexts: dict[str, Json] = {}
        self._ledger_rows: dict[str, int] = {}
        self._book = _Clock(cadences.book_ms, now_ms)
        self._fast_book = _Clock(cadences.fast_book_ms, now_ms)
        self._context = _Clock(cadences.context_ms, now_ms)
        self._mids = _Clock(cadences.mids_ms, now_ms)
        self._candle = _Clock(cadences.candle_ms, now_ms)
        self._all_contexts = _Clock(cadences.all_contexts_ms, now_ms)
        self._user_state = _Clock(cadences.user_state_ms, now_ms)

    def add(self, outlet: Outlet, wanted: Subscription) -> None:
        """Begin a stream, with its first frames."""
        self._outlets[wanted].append(outlet)
        for channel, data in self._first(wanted):
            outlet.send(channel, frame(channel, data))

    def remove(self, outlet: Outlet, wanted: Subscription) -> None:
        """End a stream of an outlet; nothing if it has none."""
        left = [each for each in self._outlets.get(wanted, ()) if each is not outlet]
        if left:
            self._outlets[wanted] = left
        else:
            self._outlets.pop(wanted, None)

    def publish(self, events: Iterable[Event]) -> None:
        """Send what a block's events mean to each subscription."""
        block = _Block()
        for event in events:
            block.add(event)
        self._traded.update(block.trades)
        for wanted in list(self._outlets):
            for channel, data in self._after_block(wanted, block):
                self._send(wanted, channel, data)
        # after all of one kind have seen the change
        self._remember_best(block.books)

    def tick(self, now_ms: int) -> None:
        """Send what is due by the clock; an unchanged book is sent again (measured)."""
        due = {
            "l2Book": self._book.rings(now_ms),
            "fastBook": self._fast_book.rings(now_ms),
            "activeAssetCtx": self._context.rings(now_ms),
            "allMids": self._mids.rings(now_ms),
            "candle": self._candle.rings(now_ms),
            "allDexsAssetCtxs": self._all_contexts.rings(now_ms),
        }
        due["fastAssetCtxs"] = due["activeAssetCtx"]
        due.update(dict.fromkeys(USER_STATES, self._user_state.rings(now_ms)))
        if not any(due.values()):
            return
        fast = self._changed_contexts() if due["fastAssetCtxs"] else {}
        for wanted in list(self._outlets):
            kind = "fastBook" if wanted.fast else wanted.kind
            if not due.get(kind, False):
                continue
            if kind == "candle" and wanted.coin not in self._traded:
                continue
            if kind == "fastAssetCtxs":
                if fast:
                    self._send(wanted, kind, _deflated(fast))
                continue
            for channel, data in self._now(wanted):
                self._send(wanted, channel, data)
        if due["candle"]:
            self._traded.clear()

    def _send(self, wanted: Subscription, channel: str, data: Any) -> None:
        payload = frame(channel, data)
        for outlet in list(self._outlets.get(wanted, ())):
            outlet.send(channel, payload)

    def _first(self, wanted: Subscription) -> list[tuple[str, Any]]:
        match wanted.kind:
            case "trades":
                rows = self._desk.trades(wanted.coin)[:TRADES_SHOWN]
                # the replay is oldest first (recorded frames), unmarked
                return [("trades", rows[::-1])] if rows else []
            case "bbo":
                best = self._desk.exchange.bbo(wanted.coin)
                # those who follow it already may not have seen this change, which a test made between two blocks
                if len(self._outlets[wanted]) == 1:
                    self._best[wanted.coin] = best["bbo"]
                return [("bbo", best)] if best["bbo"] != [None, None] else []
            case "userFills":
                fills = self._desk.accounts.user_fills(wanted.user, aggregate_by_time=wanted.aggregate)
                return [("userFills", {"isSnapshot": True, "user": wanted.user, "fills": fills})]
            case "userFundings":
                rows = self._desk.accounts.user_fundings(wanted.user)
                return [("userFundings", {"isSnapshot": True, "user": wanted.user, "fundings": rows})]
            case "userNonFundingLedgerUpdates":
                rows = self._ledger(wanted.user)
                if len(self._outlets[wanted]) == 1:
                    self._ledger_rows[wanted.user] = len(rows)
                data: Json = {"isSnapshot": True, "user": wanted.user, "nonFundingLedgerUpdates": rows}
                return [(wanted.kind, data)]
            case "fastAssetCtxs":
                return [("fastAssetCtxs", _deflated(self._fast_contexts_now()))]
            case _:
                return self._now(wanted)

    def _after_block(self, wanted: Subscription, block: _Block) -> list[tuple[str, Any]]:
        user, coin = wanted.user, wanted.coin
        match wanted.kind:
            case "trades" if coin in block.trades:
                return [("trades", block.trades[coin])]
            case "bbo" if coin in block.books:
                best = self._desk.exchange.bbo(coin)
                return [("bbo", best)] if best["bbo"] != self._best.get(coin) else []
            case "orderUpdates" if user in block.orders:
                return [("orderUpdates", block.orders[user])]
            case "userFills" if user in block.fills:
                fills = aggregated(block.fills[user]) if wanted.aggregate else block.fills[user]
                return [("userFills", {"user": user, "fills": fills})]
            case "userFundings" if user in block.fundings:
                return [("userFundings", {"user": user, "fundings": block.fundings[user]})]
            case "userNonFundingLedgerUpdates" if user in block.ledgers:
                rows = self._ledger(user)
                fresh = rows[self._ledger_rows.get(user, 0) :]
                self._ledger_rows[user] = len(rows)
                data: Json = {"user": user, "nonFundingLedgerUpdates": fresh}
                return [(wanted.kind, data)] if fresh else []
            case "userEvents":
                return [(USER_EVENTS_CHANNEL, data) for data in _user_events(user, block)]
            case "activeAssetData" if (user, coin) in block.leverages:
                return self._now(wanted)
            case _:
                return []

    def _now(self, wanted: Subscription) -> list[tuple[str, Any]]:
        """Return a stream's state as it is."""
        desk, user, coin = self._desk, wanted.user, wanted.coin
        match wanted.kind:
            case "l2Book":
                return [("l2Book", self._levels(wanted))]
            case "activeAssetCtx":
                return [("activeAssetCtx", {"coin": coin, "ctx": desk.exchange.ctx(coin)})]
            case "allMids":
                mids: Json = {"mids": desk.mids(wanted.dex)}
                return [("allMids", {**mids, "dex": wanted.dex} if wanted.dex else mids)]
            case "allDexsAssetCtxs":
                names = sorted(desk.universe.dex_names)
                return [("allDexsAssetCtxs", {"ctxs": [[name, desk.contexts(name)] for name in names]})]
            case "candle":
                now_ms = desk.now_ms()
                rows = desk.candles(coin, wanted.interval, now_ms, now_ms)
                return [("candle", rows[-1])] if rows else []
            case "activeAssetData":
                return [("activeAssetData", desk.accounts.active_asset_data(user, coin))]
            case kind if kind in USER_STATES:
                return [(kind, self._user_state_of(wanted))]
            case _:
                return []

    def _user_state_of(self, wanted: Subscription) -> Json:
        desk, user, dex = self._desk, wanted.user, wanted.dex
        now_ms = desk.now_ms()
        match wanted.kind:
            case "clearinghouseState":
                state = desk.accounts.clearinghouse_state(user, dex, now_ms)
                return {"dex": dex, "user": user, "clearinghouseState": state}
            case "allDexsClearinghouseState":
                return {"user": user, "clearinghouseStates": desk.accounts.all_states(user, now_ms)}
            case "openOrders":
                return {"dex": dex, "user": user, "orders": desk.exchange.frontend_open_orders(user, dex)}
            case "spotState":
                return {"user": user, "spotState": desk.accounts.spot_state(user)}
            case _:
                return self._web_data(user, now_ms)

    def _web_data(self, user: str, now_ms: int) -> Json:
        desk = self._desk
        agent = desk.accounts.agents.unnamed(user, now_ms)
        holder = desk.accounts.holder(user)
        about = {
            "agentAddress": None if agent is None else agent.address,
            "agentValidUntil": None if agent is None else agent.valid_until_ms,
            "serverTime": now_ms,
            "cumLedger": "0.0",
            "isVault": holder is not None and holder.leader is not None,
            "user": user,
            "abstraction": desk.accounts.abstraction(user),
        }
        capped = [
            {"totalVaultEquity": "0.0", "perpsAtOpenInterestCap": self._at_cap(dex)}
            for dex in desk.universe.dex_names
        ]
        return {"userState": about, "perpDexStates": capped}

    def _at_cap(self, dex: str) -> list[str]:
        return [coin for coin in self._desk.universe.coins(dex) if self._desk.exchange.at_oi_cap(coin)]

    def _levels(self, wanted: Subscription) -> Json:
        depth = FAST_LEVELS if wanted.fast else BOOK_LEVELS
        found = self._desk.exchange.book(wanted.coin, depth, wanted.n_sig_figs, wanted.mantissa)
        data: Json = {"coin": wanted.coin, "time": found["time"], "levels": found["levels"]}
        return {**data, "fast": True} if wanted.fast else data

    def _ledger(self, user: str) -> list[Json]:
        # all of it: a page of the REST reply would end before the newest rows
        holder = self._desk.accounts.holder(user)
        return [] if holder is None else holder.ledger

    def _remember_best(self, coins: set[str]) -> None:
        followed = {wanted.coin for wanted in self._outlets if wanted.kind == "bbo"}
        for coin in coins & followed:
            self._best[coin] = self._desk.exchange.bbo(coin)["bbo"]

    def _fast_contexts_now(self) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for coin in self._desk.universe.coins(listed_only=True):
            ctx = self._desk.exchange.ctx(coin)
            found[coin] = {key: ctx[key] for key in ("markPx", "midPx") if ctx.get(key) is not None}
        return found

    def _changed_contexts(self) -> dict[str, Json]:
        if not any(wanted.kind == "fastAssetCtxs" for wanted in self._outlets):
            return {}
        fresh, known = self._fast_contexts_now(), self._fast_contexts
        self._fast_contexts = fresh
        return {coin: ctx for coin, ctx in fresh.items() if known.get(coin) != ctx}


def _user_events(user: str, block: _Block) -> list[Json]:
    found: list[Json] = []
    if user in block.fills:
        found.append({"fills": block.fills[user]})
    found.extend({"funding": row} for row in block.fundings.get(user, ()))
    found.extend({"liquidation": row} for row in block.liquidations.get(user, ()))
    if user in block.cancels:
        found.append({"nonUserCancel": block.cancels[user]})
    return found


def _deflated(contexts: dict[str, Json]) -> str:
    """Return contexts as ``fastAssetCtxs`` carries them: base64 of raw deflate of JSON."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(msgspec.json.encode(contexts)) + packer.flush()
    return base64.b64encode(packed).decode()
