"""A whole venue on this machine: exchange, accounts, moving market, and its doors, in a thread of its own or a running loop."""

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from collections.abc import Coroutine
from decimal import Decimal
from types import TracebackType
from typing import Any
from typing import Final
from typing import Self

import msgspec
from aiohttp import web

from hyperliquid_loopback.accounts import Accounts
from hyperliquid_loopback.channels import Feeds
from hyperliquid_loopback.config import HOST
from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.control import ControlGateway
from hyperliquid_loopback.door import ActionDoor
from hyperliquid_loopback.engine import Exchange
from hyperliquid_loopback.faults import CountedFaults
from hyperliquid_loopback.flow import MarketFlow
from hyperliquid_loopback.flow import QuietFlow
from hyperliquid_loopback.flow import TimedFlow
from hyperliquid_loopback.gateway import HttpGateway
from hyperliquid_loopback.info import Desk
from hyperliquid_loopback.limits import IpLimits
from hyperliquid_loopback.listening import Listening
from hyperliquid_loopback.market import Market
from hyperliquid_loopback.market import default_market
from hyperliquid_loopback.options import VenueOptions
from hyperliquid_loopback.socket_gateway import SocketGateway
from hyperliquid_loopback.types import Event
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.universe import Universe
from hyperliquid_loopback.wallets import Wallet
from hyperliquid_loopback.wallets import generated_wallets


NO_LIMIT: Final = 1 << 40
NS_PER_MS: Final = 1_000_000
START_MID: Final = Decimal(690)
START_TIMEOUT_S: Final = 60.0
# a request that is still being answered holds up the end no longer
SHUTDOWN_S: Final = 1.0


class VenueClock:
    """
    The venue's time, ms UTC.

    Parameters
    ----------
    start_ms : int or None
        Time of the start; None for the wall clock's.
    is_manual : bool
        Whether time stands until it is moved.
    offset_ms : int, default 0
        Added to it, for a venue whose clock is off.

    """

    def __init__(self, start_ms: int | None, *, is_manual: bool, offset_ms: int = 0) -> None:
        self.is_manual = is_manual
        self.offset_ms = offset_ms
        self._base_ms = time.time_ns() // NS_PER_MS if start_ms is None else start_ms
        self._began_ns = time.monotonic_ns()
        self._last_ms = 0

    def now_ms(self) -> int:
        """Return the time; it follows the monotonic clock, so a step of the wall clock does not move it."""
        now_ms = self._base_ms + self.offset_ms
        if not self.is_manual:
            now_ms += (time.monotonic_ns() - self._began_ns) // NS_PER_MS
        # blocks never go back: after a smaller offset time stands until it is caught up
        self._last_ms = max(self._last_ms, now_ms)
        return self._last_ms

    def forward(self, ms: int) -> None:
        """Move the time of a manual clock."""
        self._base_ms += ms


class LoopbackVenue:
    """
    Run a venue on 127.0.0.1 until closed.

    ``with LoopbackVenue(...) as venue`` runs it in a thread of its own, ``async with`` in the running loop.

    Parameters
    ----------
    config : VenueConfig, optional
        Its setting.
    market : Market, optional
        What it lists, and the history of before the start; by default made from the seed.
    flow : MarketFlow, optional
        Who else trades, in place of the configuration's.
    options : VenueOptions, optional
        Choices of the matching core where the venue's rule is not known.
    limits : IpLimits, optional
        Limits on the IP address, in place of the venue's own.

    """

    def __init__(
        self,
        config: VenueConfig | None = None,
        *,
        market: Market | None = None,
        flow: MarketFlow | None = None,
        options: VenueOptions | None = None,
        limits: IpLimits | None = None,
    ) -> None:
        self.config = VenueConfig() if config is None else config
        settled = self.config
        self.clock = VenueClock(
            settled.start_ms, is_manual=settled.clock == "manual", offset_ms=settled.clock_offset_ms
        )
        now_ms = self.clock.now_ms()
        self.market = self._market(now_ms) if market is None else market
        self.universe = Universe(self.market)
        if market is None and settled.flow in ("quiet", "simulated"):
            self.universe.end_history_at(settled.coin, START_MID)
        self.faults = CountedFaults(settled.seed)
        self.accounts = Accounts(
            self.universe,
            mode_default=settled.mode,
            accept_mainnet_source=settled.accept_mainnet_source,
        )
        self.exchange = Exchange(
            self.universe, self.accounts, block_ms=settled.block_ms, seed=settled.seed, options=options
        )
        self.flow = self._flow() if flow is None else flow
        if limits is None:
            limits = IpLimits() if settled.limits else _no_limits()
        self.limits = limits
        self.control_token = secrets.token_urlsafe(24)
        self.wallets: tuple[Wallet, ...] = generated_wallets(settled.seed, settled.generated_accounts)
        self.blocks = 0
        self.desk = Desk(self.universe, self.accounts, self.exchange, self.clock.now_ms)
        self.feeds = Feeds(self.desk, settled.cadences)
        self._open_accounts(now_ms)
        self._ports = (0, 0)
        self._http: HttpGateway | None = None
        self._sockets: SocketGateway | None = None
        self._runners: list[web.AppRunner] = []
        # the venue's own door is the first, the control endpoint's the second
        self._doors: list[Listening] = []
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stop: asyncio.Event | None = None

    # where it is

    @property
    def url(self) -> str:
        """The base address, without ``/info``."""
        return f"http://{HOST}:{self._ports[0]}"

    @property
    def ws_url(self) -> str:
        """The address of the WebSocket."""
        return f"ws://{HOST}:{self._ports[0]}/ws"

    @property
    def control_url(self) -> str:
        """The base address of the control endpoint."""
        return f"http://{HOST}:{self._ports[1]}"

    @property
    def requests(self) -> list[Json]:
        """The info and exchange requests that were read, in order of arrival, the last 10,000."""
        # copied at one go: the venue's thread goes on adding
        return [] if self._http is None else [msgspec.json.decode(raw) for raw in tuple(self._http.requests)]

    @property
    def request_count(self) -> int:
        """How many requests are remembered."""
        return 0 if self._http is None else len(self._http.requests)

    @property
    def socket_count(self) -> int:
        """How many WebSockets are open."""
        return 0 if self._sockets is None else len(self._sockets.sessions)

    @property
    def is_running(self) -> bool:
        """Whether blocks are made, or would be."""
        return self._loop is not None and not self._loop.is_closed() and self._failure is None

    @property
    def now_ms(self) -> int:
        """Venue time, ms UTC."""
        return self.clock.now_ms()

    # from another thread

    def start(self) -> Self:
        """
        Run in a thread of its own; the ports are open when this returns.

        Raises
        ------
        OSError
            If a port cannot be taken.

        """
        self._thread = threading.Thread(target=self._run, daemon=True, name="hyperliquid loopback")
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise TimeoutError("the loopback venue did not start")
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def close(self) -> None:
        """
        Stop and free the ports; requests still being delayed are dropped.

        Raises
        ------
        RuntimeError
            If the venue had stopped by itself, because a block failed.

        """
        if self._thread is None or self._loop is None or self._stop is None:
            return
        with contextlib.suppress(RuntimeError):
            # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure is not None:
            raise RuntimeError("the loopback venue stopped in a block") from self._failure

    def call[T](self, fn: Callable[[Exchange], T]) -> T:
        """
        Run a function with the exchange on the venue's own thread, between two blocks, and return its result.

        From the venue's own loop it runs at once.

        Raises
        ------
        RuntimeError
            If the venue does not run.

        """
        loop = self._loop
        if loop is None or loop.is_closed():
            raise RuntimeError("the venue does not run")
        if _running_loop() is loop:
            return fn(self.exchange)

        async def run() -> T:
            return fn(self.exchange)

        return asyncio.run_coroutine_threadsafe(run(), loop).result()

    def advance(self, ms: int) -> int:
        """
        Let a manual clock pass and return how many blocks that made; a rest below a block is dropped.

        Raises
        ------
        RuntimeError
            If the clock is the real one.

        """
        if not self.clock.is_manual:
            raise RuntimeError("only a manual clock is advanced")

        def pass_time(_: Exchange) -> int:
            count = ms // self.config.block_ms
            for _block in range(count):
                self.clock.forward(self.config.block_ms)
                self.step()
            return count

        return self.call(pass_time)

    def cut_sockets(self) -> int:
        """Cut every WebSocket without a close frame (1006) and return how many there were."""
        return self.call(lambda _: 0 if self._sockets is None else self._sockets.cut_all())

    async def shut(self) -> None:
        """Take no new connections: a client is refused; those that are open stay. To be run on the venue's loop."""
        await self._doors[0].stop()

    async def reopen(self) -> None:
        """Take connections on the same port again. To be run on the venue's loop."""
        await self._doors[0].start(self._ports[0])

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine such as ``shut()`` on the venue's loop, from another thread, and return its result."""
        if self._loop is None or self._loop.is_closed():
            work.close()
            raise RuntimeError("the venue does not run")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # in the running loop

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        try:
            await self._begin()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    # a block

    def step(self) -> list[Event]:
        """Make one block at the present time: the rest of the market moves, waiting actions run, streams speak."""
        now_ms = self.clock.now_ms()
        self._switch_market()
        events = self.exchange.run_block(now_ms, lambda ms: self.flow.step(self.exchange, ms))
        self.blocks += 1
        self.feeds.publish(events)
        self.feeds.tick(now_ms)
        if self._sockets is not None:
            self._sockets.let_late_go()
            self._sockets.cut_silent(now_ms)
        return events

    def _switch_market(self) -> None:
        struck = self.faults.strike
        self.flow.oracle_on = struck("stale_oracle") is None
        is_empty = struck("empty_book") is not None
        self.flow.bids_on = not is_empty and struck("no_bids") is None
        self.flow.asks_on = not is_empty and struck("no_asks") is None

    async def _blocks(self) -> None:
        every_s = self.config.block_ms / 1_000
        loop = asyncio.get_running_loop()
        due = loop.time() + every_s
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            try:
                self.step()
            except Exception as error:
                # a venue without blocks is no venue: whoever closes it hears why
                self._failure = error
                if self._stop is not None:
                    self._stop.set()
                raise
            # blocks that came too late are not made up for
            due = max(due + every_s, loop.time())

    # start and end

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._live())

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            await self._begin()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for the start
            self._failure = error
            await self._end()
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        await self._end()

    async def _begin(self) -> None:
        now_ms = self.clock.now_ms()
        door = ActionDoor(self.accounts, self.exchange, self.faults)
        self._http = HttpGateway(self.desk, door, self.faults, self.limits)
        self._sockets = SocketGateway(
            self.desk,
            door,
            self.feeds,
            self.faults,
            self.limits,
            silence_ms=self.config.cadences.silence_ms,
        )
        self.flow.start(self.exchange, now_ms)
        self.step()
        venue_port = await self._serve([*self._http.routes(), *self._sockets.routes()], self.config.port)
        control = ControlGateway(self)
        control_port = await self._serve(control.routes(), self.config.control_port)
        self._ports = (venue_port, control_port)
        control.allow(control_port)
        if not self.clock.is_manual:
            self._task = asyncio.create_task(self._blocks())

    async def _serve(self, routes: list[web.RouteDef], port: int) -> int:
        app = web.Application(client_max_size=1 << 20)
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        self._runners.append(runner)
        door = Listening(runner)
        self._doors.append(door)
        return await door.start(port)

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._http is not None:
            self._http.closing.set()
        if self._sockets is not None:
            await self._sockets.close()
        for door in self._doors:
            await door.stop()
        for runner in self._runners:
            await runner.cleanup()
        self._doors.clear()
        self._runners.clear()
        self.flow.close()

    # its parts

    def _market(self, now_ms: int) -> Market:
        return default_market(
            seed=self.config.seed,
            end_ms=now_ms // 60_000 * 60_000,
            candles=self.config.history_candles,
            funding_hours=self.config.history_hours,
        )

    def _flow(self) -> MarketFlow:
        config = self.config
        if config.flow == "simulated":
            # the simulator and the catalogue take seconds to import, and most venues need neither
            from hyperliquid_loopback.simulated_flow import SimulatedFlow  # noqa: PLC0415

            return SimulatedFlow(config.coin, seed=config.seed)
        if config.flow == "replay":
            from hyperliquid_loopback.replay import ReplayFlow  # noqa: PLC0415

            return ReplayFlow.from_catalog(str(config.catalog), config.dataset, config.coin)
        if config.flow == "none":
            return TimedFlow()
        return QuietFlow(config.coin, START_MID)

    def _open_accounts(self, now_ms: int) -> None:
        made = [AccountSpec(address=each.address, equity=self.config.equity) for each in self.wallets]
        token = self.universe.collateral_of(self.config.dex)[1]
        for spec in (*made, *self.config.accounts):
            self.accounts.open_account(
                spec.address,
                deposits={self.config.dex: spec.equity},
                spot={token: spec.spot} if spec.spot else None,
                mode=spec.mode,
                master=spec.master,
                leader=spec.leader,
                now_ms=now_ms,
            )
            for agent in spec.agents:
                self._approve(spec.address, agent, now_ms)

    def _approve(self, master: str, agent: AgentSpec, now_ms: int) -> None:
        refused = self.accounts.agents.approve(master, agent.address, agent.name, now_ms)
        if refused is not None:
            raise ValueError(f"agent {agent.address}: {refused}")
        if agent.valid_until_ms is not None:
            self.accounts.agents.extend(agent.address, agent.valid_until_ms)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _no_limits() -> IpLimits:
    return IpLimits(
        weight=NO_LIMIT,
        connections=NO_LIMIT,
        new_connections=NO_LIMIT,
        subscriptions=NO_LIMIT,
        users=NO_LIMIT,
        messages=NO_LIMIT,
        posts=NO_LIMIT,
    )
