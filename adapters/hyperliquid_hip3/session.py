"""One account's connection: the key, the files, the streams, and what is done at regular times."""

import asyncio
from collections.abc import Callable
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Final
from typing import Protocol

from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Currency

from amm500_nautilus.margin.position import MarginMode
from hyperliquid_hip3.account_reporter import AccountReporter
from hyperliquid_hip3.account_state import UNIFIED
from hyperliquid_hip3.account_state import AccountFigures
from hyperliquid_hip3.account_state import AccountScope
from hyperliquid_hip3.account_state import AccountSums
from hyperliquid_hip3.actions import reserve_request_weight_action
from hyperliquid_hip3.address_limit import AddressLimit
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.clock_offset import ClockState
from hyperliquid_hip3.cloids import CloidBook
from hyperliquid_hip3.collateral import CollateralPrice
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.currency import collateral_currency
from hyperliquid_hip3.deadman import Deadman
from hyperliquid_hip3.deadman_keeper import DeadmanKeeper
from hyperliquid_hip3.desk import OrderDesk
from hyperliquid_hip3.desk_owner import DeskOwner
from hyperliquid_hip3.drift import DriftWatch
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.fill_ledger import FillLedger
from hyperliquid_hip3.instruments import declared_modes
from hyperliquid_hip3.instruments import declared_table
from hyperliquid_hip3.nonces import NonceCounter
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.notices import Purchase
from hyperliquid_hip3.providers import HyperliquidInstrumentProvider
from hyperliquid_hip3.replies import Refused
from hyperliquid_hip3.replies import RejectionKind
from hyperliquid_hip3.sender import ActionSender
from hyperliquid_hip3.signing import Signer
from hyperliquid_hip3.startup import AgentCheck
from hyperliquid_hip3.startup import check_agent
from hyperliquid_hip3.startup import check_vault
from hyperliquid_hip3.startup import load_key
from hyperliquid_hip3.startup import require_valid
from hyperliquid_hip3.state_files import Storage
from hyperliquid_hip3.transfers import Pot
from hyperliquid_hip3.transfers import TransferBook
from hyperliquid_hip3.user_stream import UserStream


NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
# nonces are times in ms: one write of the file is good for two seconds of actions
NONCE_RESERVE: Final = 2_000
CLOCK_SAMPLES: Final = 3
CLOCK_EVERY_S: Final = 10.0
AGENT_EVERY_S: Final = 3_600.0
AGENT_S: Final = 10.0
STREAM_UP_S: Final = 15.0
PAUSES: Final[dict[RejectionKind, NoticeKind]] = {
    RejectionKind.RATE_LIMIT: NoticeKind.RATE_LIMITED,
    RejectionKind.UNKNOWN_AGENT: NoticeKind.AGENT_REFUSED,
    RejectionKind.POST_ONLY_PHASE: NoticeKind.POST_ONLY_PHASE,
}


class SessionOwner(DeskOwner, Protocol):
    """Who is told; the execution client."""

    def on_account(self, figures: AccountFigures) -> None:
        """Take the account's figures."""
        ...

    def on_reconnected(self) -> None:
        """Ask for what may have been missed."""
        ...

    def on_instrument(self, instrument: Any) -> None:
        """Take an instrument in place of the one before."""
        ...

    def on_charged(self, kind: str) -> None:
        """Take that an action that no command asked for was sent."""
        ...


class Session:
    """
    The connection of one account.

    Parameters
    ----------
    owner : SessionOwner
        Who is told.
    loop : asyncio.AbstractEventLoop
        The loop that everything runs in.
    client : VenueClient
        The REST side.
    provider : HyperliquidInstrumentProvider
        The instruments, loaded.
    config : HyperliquidExecClientConfig
        What to trade, and with which key.
    state_dir : Path
        Where nonces, order names, seen fills and transfers are kept.
    make_socket : callable
        Makes the socket of the user's streams.
    signer : Signer, optional
        In place of the key that the configuration names.
    now_ns : Callable[[], int]
        The wall clock in ns UTC.
    spawn : Callable[[Coroutine], asyncio.Task]
        Starts a task that ends with the client.

    """

    desk: OrderDesk
    sender: ActionSender
    account: AccountReporter
    transfers: TransferBook
    collateral: CollateralPrice
    address_limit: AddressLimit
    drift: DriftWatch
    switch: DeadmanKeeper
    scope: AccountScope
    currency: Currency
    agent: AgentCheck

    def __init__(
        self,
        owner: SessionOwner,
        *,
        loop: asyncio.AbstractEventLoop,
        client: VenueClient,
        provider: HyperliquidInstrumentProvider,
        config: HyperliquidExecClientConfig,
        state_dir: Path,
        make_socket: Callable[..., Any],
        signer: Signer | None,
        now_ns: Callable[[], int],
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
    ) -> None:
        self.owner = owner
        self.client = client
        self.config = config
        self.dex = config.dex
        self.account_address = config.account
        self.now_ns = now_ns
        self.venue = Venue(VENUE)
        self.sums = AccountSums()
        self.is_open = False
        self._loop = loop
        self._provider = provider
        self._state_dir = state_dir
        self._make_socket = make_socket
        self._signer = signer
        self._spawn = spawn
        self._stream: UserStream | None = None
        self._nonces: NonceCounter | None = None
        self._cloids: CloidBook | None = None
        self._ledger: FillLedger | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._clock_state = ClockState.UNKNOWN
        self._opened_ms = 0
        self._storage = Storage(owner.on_notice)
        self._unwatch: Callable[[], None] = lambda: None

    # -- what is known ---------------------------------------------------------------------------------

    def is_ours(self, coin: str) -> bool:
        """Return whether a coin is traded here."""
        if split_coin(coin)[0] != self.dex or (self.config.coins and coin not in self.config.coins):
            return False
        return self._provider.find_coin(coin) is not None

    def instrument(self, coin: str) -> Any:
        """Return the instrument of a coin that is traded here, None for any other."""
        return self._provider.find_coin(coin) if self.is_ours(coin) else None

    def fills_since_ms(self) -> int:
        """Return from when on fills may not have been seen, ms UTC."""
        return self.desk.ledger.since_ms() or self._opened_ms

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins traded here, the first one first in every report."""
        if self.config.coins:
            return self.config.coins
        listed = [
            str(instrument.raw_symbol.value)
            for instrument in self._provider.get_all().values()
            if not instrument.info.get("is_delisted")
        ]
        return tuple(coin for coin in listed if split_coin(coin)[0] == self.dex)

    @property
    def deadman(self) -> Deadman:
        """What is known of the dead-man's switch."""
        return self.switch.switch

    @property
    def agent_valid_until_ns(self) -> int | None:
        """When our key ends, ns UTC; None when it does not."""
        return self.agent.valid_until_ns

    @property
    def _file_name(self) -> str:
        return f"{self.account_address}-{self.dex or 'main'}"

    # -- lifecycle -------------------------------------------------------------------------------------

    async def open(self) -> None:
        """
        Check the account, set it up, read it, and hear its streams.

        Raises
        ------
        HyperliquidError
            If something that must hold does not; the text says what.

        """
        if not self.coins:
            raise HyperliquidError(f"no coin of the dex {self.dex!r} is listed")
        signer = await self._open_key()
        for _ in range(CLOCK_SAMPLES):
            await self.client.exchange_status()
        self._opened_ms = self.client.clock.venue_ms(self.now_ns())
        self.agent = await check_agent(
            self.client,
            signer.address,
            self.config.user,
            now_ns=self.now_ns(),
            require_agent=self.config.require_agent,
        )
        await check_vault(self.client, self.config.vault, self.config.user)
        self._make_desk(signer)
        self._make_account()
        self._make_watches()
        await self.drift.open()
        await self.switch.qualify()
        # what a transfer is depends on the account mode, and what the equity means on the transfers
        await self.account.read_facts()
        await self._listen()
        await self.account.report()
        await self._read_unnamed()
        self._alert_agent()
        self.is_open = True

    def start(self) -> None:
        """Begin what is done at regular times."""
        jobs = (
            self.desk.doubts.watch,
            self.account.run,
            self.drift.run,
            self.switch.run,
            self._watch_clock,
            self._watch_agent,
        )
        self._tasks = [self._spawn(self._until_closed(job)) for job in jobs]

    async def close(self) -> None:
        """Send what is queued, take the switch back, hang up, and close the files; closing twice does nothing."""
        was_open, self.is_open = self.is_open, False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._unwatch()
        if was_open:
            self.desk.flush()
            await self.desk.settle()
            await self._take_back_switch()
        if self._stream is not None:
            await self._stream.close()
            self._stream = None
        for name, book in (("order ids", self._cloids), ("seen fills", self._ledger)):
            if book is not None:
                self._storage.write(name, book.close)
        if self._nonces is not None:
            self._nonces.close()
        self._cloids = self._ledger = self._nonces = None

    async def _take_back_switch(self) -> None:
        resting = len(self.desk.shelf.live())
        if resting and self.deadman.is_armed:
            # nobody else will cancel them
            text = f"{resting} orders may rest: the switch is left as it is, and cancels them within {self.config.deadman_secs} s"
            self.owner.on_notice(NoticeKind.DEADMAN, text, is_alarm=True)
        else:
            await self.switch.disarm()

    async def _until_closed(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await job()
        except asyncio.CancelledError:
            # ended by `close`: the engine, which keeps a book of its tasks, would warn of one that was canceled
            if self.is_open:
                raise

    # -- asked for by the strategy ---------------------------------------------------------------------

    async def change_leverage(self, leverage: int) -> None:
        """Set another leverage for every coin traded here, and read it back."""
        await self.drift.change_leverage(leverage)

    async def buy_weight(self, weight: int) -> Purchase:
        """Buy request weight, where the configuration allows it, and return what became of it."""
        if not self.config.buy_weight:
            self.owner.on_notice(
                NoticeKind.RATE_LIMITED, f"{weight} requests were not bought: `buy_weight` is off"
            )
            return Purchase.REFUSED
        result = await self.sender.send(reserve_request_weight_action(weight))
        if isinstance(result.reply, Refused):
            self.owner.on_notice(NoticeKind.RATE_LIMITED, f"requests were not bought: {result.reply.text}")
            return Purchase.REFUSED
        self.address_limit.expire()
        self.account.wanted()
        if result.reply is not None:
            return Purchase.BOUGHT
        self.owner.on_notice(
            NoticeKind.UNKNOWN_OUTCOME, f"buying {weight} requests: {result.not_done or 'no answer'}"
        )
        return Purchase.UNKNOWN if result.not_done is None else Purchase.REFUSED

    # -- inside: opening -------------------------------------------------------------------------------

    async def _open_key(self) -> Signer:
        await asyncio.to_thread(self._state_dir.mkdir, mode=0o700, parents=True, exist_ok=True)
        signer = self._signer
        if signer is None:
            # a keystore takes a second to open, a passphrase as long as it takes
            key = await asyncio.to_thread(load_key, self.config)
            signer = Signer(key, self.config.url, self.config.vault)
            self._signer = signer
        name = self._file_name
        self._nonces = NonceCounter(
            self._state_dir / f"nonce-{signer.address}",
            now_ms=self._now_ms,
            reserve=NONCE_RESERVE,
            on_unwritten=lambda text: self._storage.failed("nonces", text),
        )
        self._cloids = CloidBook(self._state_dir / f"orders-{name}")
        self._ledger = FillLedger(self._state_dir / f"fills-{name}")
        return signer

    def _make_desk(self, signer: Signer) -> None:
        config = self.config
        if self._nonces is None or self._cloids is None or self._ledger is None:
            raise HyperliquidError("the session's files are not open")
        self.sender = ActionSender(
            self.client,
            signer,
            self._nonces,
            expires_after_ms=config.expires_after_ms,
            on_pause=self._on_pause,
            on_charged=self.owner.on_charged,
            now_ns=self.now_ns,
        )
        self.desk = OrderDesk(
            loop=self._loop,
            sender=self.sender,
            reader=self.client,
            owner=self.owner,
            cloids=self._cloids,
            ledger=self._ledger,
            storage=self._storage,
            account=self.account_address,
            dex=self.dex,
            is_ours=self.is_ours,
            quiet_ns=int(config.quiet_ms * NS_PER_MS),
            limit_ns=int(config.flush_ms * NS_PER_MS),
            query_after_ns=config.query_after_ms * NS_PER_MS,
            spawn=self._spawn,
            now_ns=self.now_ns,
        )
        self.desk.floor_ns = self._opened_ms * NS_PER_MS

    def _make_account(self) -> None:
        facts = self._provider.dex(self.dex)
        self.currency = collateral_currency(facts.collateral.name)
        self.scope = self._scope()
        self.collateral = CollateralPrice(
            self.client, self.scope.token, self.scope.collateral, notify=self.owner.on_notice
        )
        self.transfers = TransferBook(
            self._state_dir / f"transfers-{self._file_name}",
            Pot(
                self.account_address,
                self.dex,
                self.scope.collateral,
                is_unified=lambda: self.account.mode in UNIFIED,
            ),
            self.sums,
            reader=self.client,
            storage=self._storage,
            now_ms=self._opened_ms,
        )
        self.address_limit = AddressLimit(
            self.client,
            self.account_address,
            notify=self.owner.on_notice,
            now_ns=self.now_ns,
            weights=self.client.weights,
        )
        self.account = AccountReporter(
            self.client,
            self.account_address,
            self.scope,
            self.sums,
            orders=self.desk.shelf.open_orders,
            tell=self.owner.on_account,
            on_mode=self._on_mode,
            on_error=self._on_account_error,
            collateral_price=self.collateral.refresh,
            actions=self.address_limit.refresh,
            read_transfers=self._read_transfers,
            refresh_s=self.config.account_refresh_secs,
            spacing_s=self.config.account_spacing_ms / 1_000,
        )

    def _make_watches(self) -> None:
        self.drift = DriftWatch(
            self.client,
            self._provider,
            sender=self.sender,
            desk=self.desk,
            config=self.config,
            coins=lambda: self.coins,
            is_ours=self.is_ours,
            on_instrument=self.owner.on_instrument,
            on_terms=self._on_terms,
            notify=self.owner.on_notice,
            spawn=self._spawn,
        )
        self._unwatch = self.drift.close
        self.switch = DeadmanKeeper(
            self.client,
            self.sender,
            account=self.account_address,
            dex=self.dex,
            ahead_s=self.config.deadman_secs,
            notify=self.owner.on_notice,
        )

    def _scope(self) -> AccountScope:
        facts = self._provider.dex(self.dex)
        tables, strict = {}, set()
        for instrument in self._provider.get_all().values():
            coin, table = str(instrument.raw_symbol.value), declared_table(instrument.info)
            if table is not None:
                tables[coin] = table
            if MarginMode.STRICT_ISOLATED in declared_modes(instrument.info):
                strict.add(coin)
        return AccountScope(
            dex=self.dex,
            collateral=facts.collateral.name,
            token=facts.collateral.index,
            coin=self.coins[0],
            tables=tables,
            strict=frozenset(strict),
        )

    async def _listen(self) -> None:
        self._stream = UserStream(
            self.account_address,
            desk=self.desk,
            sums=self.sums,
            transfers=self.transfers,
            dex=self.dex,
            since_ns=self._opened_ms * NS_PER_MS,
            wants_account=self.account.wanted,
            on_reconnected=self.owner.on_reconnected,
            notify=self.owner.on_notice,
        )
        socket = self._make_socket(
            self.config.socket_url,
            loop=self._loop,
            on_frame=self._stream.on_frame,
            on_up=self._stream.on_up,
            on_down=self._stream.on_down,
            name="account",
        )
        await self._stream.connect(socket, timeout_s=STREAM_UP_S)

    async def _read_transfers(self) -> None:
        stream = self._stream
        if not self.transfers.is_read or stream is None or not stream.knows_ledger:
            # while the streams are away, and for as long as no process ran, only the venue knows
            await self.transfers.read()

    # -- inside: regular -------------------------------------------------------------------------------

    async def _watch_clock(self) -> None:
        while True:
            try:
                await self.client.exchange_status()
            except HyperliquidError as error:
                self.owner.on_notice(NoticeKind.CLOCK_OFF, f"the venue's clock cannot be read: {error}")
            state = self.client.clock.state
            if state is not self._clock_state and state is not ClockState.UNKNOWN:
                if state is not ClockState.GOOD or self._clock_state is not ClockState.UNKNOWN:
                    is_alarm = state is ClockState.PAUSE
                    self.owner.on_notice(
                        NoticeKind.CLOCK_OFF, f"{state.value}: {self.client.clock!r}", is_alarm=is_alarm
                    )
                self._clock_state = state
            if self._stream is not None:
                self._stream.ask_again()
            await asyncio.sleep(CLOCK_EVERY_S)

    async def _watch_agent(self) -> None:
        while True:
            await asyncio.sleep(AGENT_EVERY_S)
            for name, book in (("order ids", self._cloids), ("seen fills", self._ledger)):
                if book is not None and book.wants_compaction:
                    self._storage.write(name, book.compact)
            try:
                self.agent = await check_agent(
                    self.client,
                    self.agent.address,
                    self.config.user,
                    now_ns=self.now_ns(),
                    require_agent=self.config.require_agent,
                )
                await self._read_unnamed()
            except TransportError as error:
                self.owner.on_notice(NoticeKind.AGENT_EXPIRES, f"the agent was not checked: {error}")
            except HyperliquidError as error:
                self.owner.on_notice(NoticeKind.AGENT_REFUSED, str(error), is_alarm=True)
            else:
                self._alert_agent()

    async def _read_unnamed(self) -> None:
        if not self.agent.is_unnamed or self._stream is None:
            return
        try:
            found = await self._stream.unnamed_agent(self.config.user, timeout_s=AGENT_S)
        except TransportError as error:
            self.owner.on_notice(NoticeKind.AGENT_EXPIRES, f"the agent's end is unknown: {error}")
            return
        if (found.address or "").lower() != self.agent.address or found.valid_until_ns is None:
            self.owner.on_notice(
                NoticeKind.AGENT_EXPIRES, f"the end of the agent {self.agent.address} is unknown"
            )
            return
        self.agent = replace(self.agent, valid_until_ns=found.valid_until_ns)
        require_valid(self.agent, self.now_ns())

    def _alert_agent(self) -> None:
        alert = self.agent.alert(self.now_ns())
        if alert is not None:
            self.owner.on_notice(NoticeKind.AGENT_EXPIRES, alert, is_alarm=True)

    # -- inside: what happens --------------------------------------------------------------------------

    def _on_pause(self, kind: RejectionKind, text: str) -> None:
        self.owner.on_notice(PAUSES.get(kind, NoticeKind.RATE_LIMITED), text, is_alarm=True)

    def _on_mode(self, before: str, mode: str) -> None:
        self.owner.on_notice(
            NoticeKind.ACCOUNT_MODE, f"the account mode was {before}, is {mode}", is_alarm=True
        )

    def _on_account_error(self, text: str) -> None:
        self.owner.on_notice(NoticeKind.STREAM_DOWN, f"the account cannot be read: {text}")

    def _on_terms(self) -> None:
        self.scope = self._scope()
        self.account.scope = self.scope
        self.account.facts_changed()

    def _now_ms(self) -> int:
        return self.now_ns() // NS_PER_MS
