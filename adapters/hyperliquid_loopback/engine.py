"""The exchange of the loopback venue: one block at a time, on the caller's clock, the same for the same inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from typing import Final

from amm500_nautilus.margin.funding import FundingTerms
from hyperliquid_loopback import words
from hyperliquid_loopback.actions_in import AccountRequest
from hyperliquid_loopback.actions_in import BlockClass
from hyperliquid_loopback.actions_in import CancelRequest
from hyperliquid_loopback.actions_in import ModifyRequest
from hyperliquid_loopback.actions_in import PlaceRequest
from hyperliquid_loopback.actions_in import Request
from hyperliquid_loopback.actions_in import ScheduleRequest
from hyperliquid_loopback.actions_in import block_class
from hyperliquid_loopback.actions_in import parse_action
from hyperliquid_loopback.desk import OrderDesk
from hyperliquid_loopback.exchange_views import ExchangeViews
from hyperliquid_loopback.matching import Market
from hyperliquid_loopback.matching import Matching
from hyperliquid_loopback.options import VenueOptions
from hyperliquid_loopback.oracle import MarketState
from hyperliquid_loopback.schedule import CancelSchedule
from hyperliquid_loopback.settlement import Settlement
from hyperliquid_loopback.types import NO_HASH
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import BookChanged
from hyperliquid_loopback.types import CtxChanged
from hyperliquid_loopback.types import Event
from hyperliquid_loopback.types import FundingPaid
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import LedgerMoved
from hyperliquid_loopback.types import LeverageChanged
from hyperliquid_loopback.types import number
from hyperliquid_loopback.types import transaction_hash
from hyperliquid_loopback.universe import Universe


if TYPE_CHECKING:
    from hyperliquid_loopback.accounts import Accounts

HOUR_MS: Final = 3_600_000
MARGIN_ACTIONS: Final = frozenset({"updateLeverage", "updateIsolatedMargin", "topUpIsolatedOnlyMargin"})

Reply = Callable[[Json], None]


@dataclass(frozen=True, slots=True)
class _Pending:
    """An action that waits for its block."""

    turn: BlockClass
    number: int
    request: Request
    action: Json
    user: str
    expires_after: int | None
    reply: Reply
    house: bool


class Exchange(ExchangeViews):
    """
    The venue's matching core.

    Nothing here knows a clock or a thread: actions wait for ``run_block``, which the caller calls with its own time.

    Parameters
    ----------
    universe : Universe
        The listing.
    accounts : Accounts
        Margin, fees and positions.
    block_ms : int, default 70
        Time between blocks, for the caller (protocol: matching, about 68 ms measured).
    seed : int, default 1
        Part of the transactions' hashes.
    options : VenueOptions, optional
        Choices where the venue's rule is not known.

    """

    def __init__(
        self,
        universe: Universe,
        accounts: "Accounts",
        *,
        block_ms: int = 70,
        seed: int = 1,
        options: VenueOptions | None = None,
    ) -> None:
        self.options = VenueOptions() if options is None else options
        self.block_ms = block_ms
        self.block = 0
        self.core = Matching(accounts, self.options)
        super().__init__(universe, self.core)
        self.accounts = accounts
        self._seed = seed
        self._desk = OrderDesk(universe, accounts, self.core, self.options)
        self._settlement = Settlement(universe, accounts, self.core)
        self._schedule = CancelSchedule(accounts)
        self._pending: list[_Pending] = []
        self._numbers = 0
        self._hour: int | None = None
        for coin in universe.coins():
            self._open_market(coin)

    @property
    def now_ms(self) -> int:
        """Time of the last block, ms UTC."""
        return self.core.now_ms

    # actions

    def submit(
        self,
        action: Json,
        *,
        user: str,
        now_ms: int,
        expires_after: int | None = None,
        reply: Reply,
        house: bool = False,
    ) -> None:
        """
        Take a signed action in; it is done, and ``reply`` called, in the next block.

        Parameters
        ----------
        action : dict
            As on the wire.
        user : str
            Whose account, in lower case; the signature was checked by the caller.
        now_ms : int
            When it arrived.
        expires_after : int or None
            The block time after which it is refused.
        reply : callable
            Gets ``{"status": "ok", "response": ...}`` or ``{"status": "err", "response": text}``, at the block's end.
        house : bool
            Whether the address limit is left out, for background flow.

        Raises
        ------
        MalformedActionError
            If the venue could not read the action; it would answer HTTP 422.

        """
        del now_ms
        request = parse_action(action)
        self._numbers += 1
        pending = _Pending(
            block_class(request), self._numbers, request, action, user, expires_after, reply, house
        )
        self._pending.append(pending)

    def run_block(self, now_ms: int, house: Callable[[int], None] | None = None) -> list[Event]:
        """
        Run one block and return what happened since the last one, in order.

        Actions without GTC or IOC orders come first, then cancels, then ``house``, then the rest in the order of their
        arrival; then stale marks, triggers, funding at the hour, scheduled cancels and liquidations.

        Parameters
        ----------
        now_ms : int
            The block's time, ms UTC; one before the last block's counts as that.
        house : callable, optional
            Moves the background market; called with ``now_ms`` where a taker's turn is, after everybody's cancels.

        """
        # a chain's time never goes back: a clock that was set back stands until it is caught up with
        now_ms = max(now_ms, self.core.now_ms)
        self.core.now_ms = now_ms
        self.block += 1
        waiting, self._pending = sorted(self._pending, key=lambda row: (row.turn, row.number)), []
        replies: list[tuple[Reply, Json]] = []
        with self.accounts.terms.held():
            for pending in waiting:
                if house is not None and pending.turn is BlockClass.AGGRESSIVE:
                    self._move_house(house)
                    house = None
                replies.append((pending.reply, self._do(pending)))
            if house is not None:
                self._move_house(house)
            self._housekeep()
        for reply, answer in replies:
            reply(answer)
        events, self.core.events = self.core.events, []
        return events

    # the house

    def house_level(self, coin: str, side: int, price: Decimal, size: Decimal) -> None:
        """
        Set the house's resting size at a price, at once; 0 takes it away.

        A raise joins the back of the queue, a cut leaves what stays at its place. A level that crosses takes users'
        orders first. Nothing happens while the coin does not trade.
        """
        if self.is_trading(coin):
            self.core.house_level(coin, side, price, size)

    def house_take(self, coin: str, side: int, size: Decimal, limit: Decimal) -> Decimal:
        """Send an immediate order of the house, at once, and return how much traded; 0 while the coin does not trade."""
        return self.core.house_take(coin, side, size, limit) if self.is_trading(coin) else ZERO

    # prices

    def set_oracle(
        self, coin: str, px: Decimal, now_ms: int, *, marks: tuple[Decimal, ...] | None = None
    ) -> bool:
        """
        Take a deployer's update in; the mark follows. Return whether anything changed.

        An update within 2.5 s of the last is not taken (the venue's docs, HIP-3 deployer actions).
        """
        market = self.core.markets[coin]
        changed = market.state.set_oracle(px, market.book, now_ms, marks)
        if changed:
            self._price_moved(market)
        return changed

    # what a deployer, or a test, does to a market

    def delist(self, coin: str) -> None:
        """Delist a coin: orders end as ``delistedCanceled``, positions are settled at the mark."""
        self.universe.delist(coin)
        self._settlement.cancel_all(coin, "delistedCanceled")
        self._settlement.settle(coin)
        self.core.events.append(CtxChanged(coin))

    def halt(self, coin: str) -> None:
        """Halt a coin: orders are canceled and positions settled at the mark (the venue's docs, haltTrading)."""
        self.core.markets[coin].state.halted = True
        self._settlement.cancel_all(coin, "canceled")
        self._settlement.settle(coin)
        self.core.events.append(CtxChanged(coin))

    def deleverage(self, user: str, coin: str) -> Decimal:
        """Close a user's position at the mark, as auto-deleveraging does; return what was held, 0 without a position."""
        held = self._settlement.deleverage(user, coin)
        if held:
            self.core.events.append(CtxChanged(coin))
        return held

    def resume(self, coin: str) -> None:
        """Let a halted coin trade again."""
        self.core.markets[coin].state.halted = False
        self.core.events.append(CtxChanged(coin))

    def set_oi_cap(self, coin: str, on: bool) -> None:
        """
        Put a coin at its open-interest cap, or take it off.

        Resting orders that would increase a position at a price beyond the oracle end as ``openInterestCapCanceled``.
        """
        state = self.core.markets[coin].state
        state.at_cap = on
        self.core.events.append(CtxChanged(coin))
        if not on or state.oracle is None:
            return
        for order in self.core.store.all_open(coin):
            position = self.accounts.position(order.user, coin)
            too_aggressive = (order.price - state.oracle) * order.side > 0
            if order.trigger is None and too_aggressive and position * order.side >= 0:
                self.core.cancel(order, "openInterestCapCanceled", by_venue=True)

    def list_market(self, coin: str) -> None:
        """Open the book of a coin that was added to the universe after the start; again does nothing."""
        if coin not in self.core.markets:
            self._open_market(coin)

    # inside a block

    def _do(self, pending: _Pending) -> Json:
        late = pending.expires_after is not None and self.core.now_ms > pending.expires_after
        if late:
            if not pending.house:
                self.accounts.charge_expired(pending.user, pending.action)
            return _err(words.EXPIRED)
        if not pending.house:
            limited = self.accounts.admit(pending.user, pending.action, self.core.now_ms)
            if limited is not None:
                return _err(limited)
        if self.core.now_ms < self.options.post_only_until_ms and pending.turn is BlockClass.AGGRESSIVE:
            return _err(words.POST_ONLY_PHASE)
        self.core.tx_hash = transaction_hash(self._seed, self.block, pending.number)
        match pending.request:
            case PlaceRequest() as place:
                return self._desk.place(pending.user, place)
            case ModifyRequest() as modify:
                return self._desk.modify(pending.user, modify)
            case CancelRequest() as cancel:
                return self._desk.cancel(pending.user, cancel)
            case ScheduleRequest(time_ms):
                error = self._schedule.set(pending.user, time_ms, self.core.now_ms)
                return _default() if error is None else _err(error)
            case AccountRequest() as account:
                return self._account_action(pending.user, account)

    def _account_action(self, user: str, request: AccountRequest) -> Json:
        try:
            error = self.accounts.apply(user, request.action, self.core.now_ms)
        except (KeyError, TypeError, ValueError, ArithmeticError) as problem:
            # only the accounts know the shape of these, and by now the block runs
            return _err(f"Invalid {request.kind} action: {type(problem).__name__}")
        if error is not None:
            return _err(error)
        if request.kind in MARGIN_ACTIONS:
            coin = self.universe.coin_of(request.action["asset"])
            self.core.events.append(LeverageChanged(user, coin))
        self._tell_moves()
        return _default()

    def _tell_moves(self) -> None:
        self.core.events += [LedgerMoved(move.user, move.dex) for move in self.accounts.drain_moves()]

    def _move_house(self, house: Callable[[int], None]) -> None:
        self.core.tx_hash = transaction_hash(self._seed, self.block, "house")
        house(self.core.now_ms)

    def _housekeep(self) -> None:
        core = self.core
        for market in core.markets.values():
            if market.book.is_empty and market.state.oracle is None:
                continue
            if market.state.refresh_stale(market.book, core.now_ms):
                self._price_moved(market)
            if core.waiting.get(market.book.coin):
                self._fire_triggers(market)
            market.state.sample(market.book, core.now_ms)
        self._fund_at_the_hour()
        for user in self._schedule.due(core.now_ms):
            for order in core.store.open_on(user):
                core.cancel(order, "scheduledCancel", by_venue=True)
        for wanted in self.accounts.liquidations(core.now_ms):
            self._settlement.liquidate(wanted)
        self._tell_moves()
        core.tx_hash = NO_HASH
        for market in core.markets.values():
            if market.book.version != market.shown_version:
                market.shown_version = market.book.version
                core.events.append(BookChanged(market.book.coin))

    def _price_moved(self, market: Market) -> None:
        state = market.state
        if state.mark is not None and state.oracle is not None:
            self.accounts.set_mark(state.coin, state.mark, state.oracle)
        self.core.events.append(CtxChanged(state.coin))

    def _fire_triggers(self, market: Market) -> None:
        mark = market.state.mark
        if mark is None or market.state.halted:
            return
        for order in list(self.core.waiting[market.book.coin].values()):
            if order.is_open and order.triggered_by(mark):
                self.core.tx_hash = transaction_hash(self._seed, self.block, order.oid)
                self._desk.fire(order)

    def _fund_at_the_hour(self) -> None:
        hour = self.core.now_ms // HOUR_MS
        if self._hour is None:
            self._hour = hour
        # one payment for each hour that passed, however long the caller waited
        while self._hour < hour:
            self._hour += 1
            for market in self.core.markets.values():
                if market.state.oracle is not None and not market.state.halted:
                    self._fund(market)

    def _fund(self, market: Market) -> None:
        state, coin = market.state, market.book.coin
        if state.oracle is None or self.universe.is_delisted(coin):
            return
        rate, premium = state.end_hour()
        for user, row in self.accounts.fund(coin, state.oracle, rate, self.core.now_ms):
            self.core.events.append(FundingPaid(user, row))
        record = {
            "coin": coin,
            "fundingRate": number(rate),
            "premium": number(premium.quantize(Decimal("0.0000000001"))),
            "time": self.core.now_ms,
        }
        self.universe.market.funding.setdefault(coin, []).append(record)

    def _open_market(self, coin: str) -> None:
        dex = self.universe.dex_of(coin)
        state = MarketState(
            coin,
            self.universe.size_decimals(coin),
            self.options.funding.get(dex, FundingTerms()),
            self.options.open_interest.get(coin, ZERO),
        )
        last = next(iter(self.universe.trades(coin)), None)
        if last is not None:
            state.seed(Decimal(last["px"]))
            self.accounts.set_mark(coin, Decimal(last["px"]), Decimal(last["px"]))
        self.core.add_market(state)


def _err(text: str) -> Json:
    return {"status": "err", "response": text}


def _default() -> Json:
    return {"status": "ok", "response": {"type": "default"}}
