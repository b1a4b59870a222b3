"""The Nautilus data client: two sockets, REST when they are silent, and the engine's subscriptions and requests."""

import asyncio
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Iterable
from typing import Any
from typing import Final

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.data.messages import RequestBars
from nautilus_trader.data.messages import RequestData
from nautilus_trader.data.messages import RequestFundingRates
from nautilus_trader.data.messages import RequestInstrument
from nautilus_trader.data.messages import RequestInstruments
from nautilus_trader.data.messages import RequestOrderBookDeltas
from nautilus_trader.data.messages import RequestOrderBookDepth
from nautilus_trader.data.messages import RequestOrderBookSnapshot
from nautilus_trader.data.messages import RequestQuoteTicks
from nautilus_trader.data.messages import RequestTradeTicks
from nautilus_trader.data.messages import SubscribeBars
from nautilus_trader.data.messages import SubscribeData
from nautilus_trader.data.messages import UnsubscribeBars
from nautilus_trader.data.messages import UnsubscribeData
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.model.data import DataType
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import Venue

from hyperliquid_hip3.book_merge import MergedBook
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.data_parsing import InstrumentScale
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.feed import CoinFeed
from hyperliquid_hip3.feed import Stream
from hyperliquid_hip3.frames import parse_channel_error
from hyperliquid_hip3.frames import parse_frame
from hyperliquid_hip3.history import History
from hyperliquid_hip3.market_feed import CLOSE
from hyperliquid_hip3.market_feed import DELTAS
from hyperliquid_hip3.market_feed import DEPTH
from hyperliquid_hip3.market_feed import FUNDING
from hyperliquid_hip3.market_feed import INDEX
from hyperliquid_hip3.market_feed import MARK
from hyperliquid_hip3.market_feed import QUOTES
from hyperliquid_hip3.market_feed import STATUS
from hyperliquid_hip3.market_feed import TRADES
from hyperliquid_hip3.market_feed import BookAges
from hyperliquid_hip3.market_feed import MarketFeed
from hyperliquid_hip3.ports import MakeSocket
from hyperliquid_hip3.ports import Recorder
from hyperliquid_hip3.providers import HyperliquidInstrumentProvider
from hyperliquid_hip3.providers import InstrumentChange
from hyperliquid_hip3.session_frames import DOWN_FRAME
from hyperliquid_hip3.session_frames import REST_FRAME
from hyperliquid_hip3.session_frames import own_frame
from hyperliquid_hip3.session_frames import wire_of


NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
LONGEST_WATCH_S: Final = 0.25
# the venue's descriptions are not read again more often, whatever happens
META_SPACING_S: Final = 2.0


class HyperliquidDataClient(LiveMarketDataClient):
    """
    Market data of the venue's perpetuals.

    One book is merged from ``bbo``, the fast and the default ``l2Book``; each book goes out whole. When the streams are silent it
    is asked for by REST. Recent trades that the venue replays on each subscription are not emitted. The venue's descriptions are
    read again every few minutes: a changed instrument is published, and the provider's listeners hear of it.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop of the node.
    client : VenueClient
        The venue's REST side; shared with the execution client.
    msgbus : MessageBus
        The node's message bus.
    cache : Cache
        The node's cache.
    clock : LiveClock
        The node's clock.
    instrument_provider : HyperliquidInstrumentProvider
        Shared with the execution client.
    config : HyperliquidDataClientConfig
        The configuration.
    make_socket : MakeSocket
        ``VenueSocket``, or another with its methods.
    make_recorder : callable, optional
        Returns where raw frames are kept, not started yet; called for each connection of the client.
    name : str, default "HYPERLIQUID"
        The client's id, which must be the venue's name.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        client: VenueClient,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
        instrument_provider: HyperliquidInstrumentProvider,
        config: HyperliquidDataClientConfig,
        make_socket: MakeSocket,
        make_recorder: Callable[[], Recorder] | None = None,
        name: str = VENUE,
    ) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(name),
            venue=Venue(VENUE),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
            instrument_provider=instrument_provider,
            config=config,
        )
        self._client = client
        self._provider = instrument_provider
        self._settings = config
        self._make_recorder = make_recorder
        self._recorder: Recorder | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._meta_wanted = asyncio.Event()
        self._is_market_up = False
        self.bad_frames = 0
        self.feed = MarketFeed(
            emit=self._handle_data,
            on_ages=self._tell_ages,
            on_suspect=self._suspect,
            is_tick_due=instrument_provider.is_tick_due,
            log=self._log,
            book_stale_ns=config.book_stale_ms * NS_PER_MS,
            halt_after_ns=int(config.halt_after_secs * NS_PER_S),
            bar_grace_ns=config.bar_grace_ms * NS_PER_MS,
            tell_revisions=config.handle_revised_bars,
        )
        self._market_socket, self._deep_socket = (
            make_socket(
                config.socket_url,
                loop=loop,
                on_frame=self._on_frame,
                on_up=self._up(is_deep=is_deep),
                on_down=self._down(is_deep=is_deep),
                name="depth" if is_deep else "market",
                on_refused=self._on_refused,
            )
            for is_deep in (False, True)
        )

    # -- lifecycle ------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        await self._provider.initialize()
        for currency in self._provider.currencies().values():
            self._cache.add_currency(currency)
        for instrument in self._provider.list_all():
            self._publish_instrument(instrument)
        self._provider.on_change(self._on_instrument_change)
        if self._make_recorder is not None:
            self._recorder = self._make_recorder()
            self._recorder.start()
        try:
            await self._market_socket.connect()
            await self._deep_socket.connect()
        except BaseException:
            # one socket may be up, and the recorder runs
            await self._disconnect()
            raise
        self._run(self._watch())
        self._run(self._check_meta())
        self._run(self._check_status())

    async def _disconnect(self) -> None:
        self._provider.off_change(self._on_instrument_change)
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(self._market_socket.close(), self._deep_socket.close())
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            await asyncio.to_thread(recorder.close)
        # what was read may be old when the node is started again
        self._provider.expire()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.exception("a background task of the data client ended", task.exception())

    def _publish_instrument(self, instrument: Any) -> None:
        self.feed.set_instrument(instrument)
        self._handle_data(instrument)

    # -- sockets --------------------------------------------------------------------------------------------------

    def _on_frame(self, raw: bytes, recv_ns: int) -> None:
        if self._recorder is not None:
            self._recorder.write(raw, recv_ns)
        try:
            frame = parse_frame(raw)
            if frame.channel == "error":
                self._log.error(f"the venue objects: {parse_channel_error(frame.data).text}")
                return
            self.feed.on_frame(frame, recv_ns, self._mono_ns())
        except PayloadError as e:
            self.bad_frames += 1
            self._log.error(f"a frame was dropped: {e}")

    def _keep(self, channel: str, data: dict[str, Any], now_ns: int) -> None:
        """Record what moved the books and came in no frame of the venue."""
        if self._recorder is not None:
            self._recorder.write(own_frame(channel, data), now_ns)

    def _up(self, *, is_deep: bool) -> Callable[[bool], None]:
        def on_up(is_reconnect: bool) -> None:
            if is_reconnect:
                self._log.info(f"{'depth' if is_deep else 'market'} socket reconnected")
            self._is_market_up = self._is_market_up or not is_deep
            self.feed.on_up(is_deep=is_deep)

        return on_up

    def _down(self, *, is_deep: bool) -> Callable[[str], None]:
        def on_down(reason: str) -> None:
            self._log.warning(f"{'depth' if is_deep else 'market'} socket is down: {reason}")
            self._is_market_up = self._is_market_up and is_deep
            now_ns = self._clock.timestamp_ns()
            self._keep(DOWN_FRAME, {"is_deep": is_deep}, now_ns)
            self.feed.on_down(is_deep=is_deep, now_ns=now_ns)

        return on_down

    def _on_refused(self, subscription: dict[str, Any], reason: str) -> None:
        self._log.error(f"the subscription {subscription} was dropped: {reason}")
        self._suspect("a subscription was refused")

    def _open(self, streams: Iterable[Stream]) -> None:
        for stream in streams:
            (self._deep_socket if stream.is_deep else self._market_socket).subscribe(stream.to_wire())

    def _shut(self, streams: Iterable[Stream]) -> None:
        for stream in streams:
            (self._deep_socket if stream.is_deep else self._market_socket).unsubscribe(stream.to_wire())

    # -- background work ------------------------------------------------------------------------------------------

    def _mono_ns(self) -> int:
        return int(self._loop.time() * NS_PER_S)

    async def _watch(self) -> None:
        pause = min(LONGEST_WATCH_S, self._settings.book_stale_ms / 4_000)
        while True:
            await asyncio.sleep(pause)
            mono_ns = self._mono_ns()
            for feed in self.feed.stale_coins(mono_ns):
                if not feed.is_polling:
                    self._run(self._poll_book(feed))
            if self._is_market_up:
                for feed, interval, since_ns in self.feed.broken_candles(mono_ns):
                    self._run(self._repair_candles(feed, interval, since_ns))
            try:
                self.feed.close_bars(self._venue_now_ns())
                self.feed.tell_conditions(self._clock.timestamp_ns(), mono_ns)
            except (ValueError, ArithmeticError) as e:
                # a candle or mark that the engine cannot hold is left out once; without the watch no silence would be noticed
                self.bad_frames += 1
                self._log.error(f"a bar or status was dropped: {e}")

    async def _poll_book(self, feed: CoinFeed) -> None:
        feed.is_polling = True
        try:
            snapshot = await self._client.l2_book(feed.coin)
            if feed.is_stale:
                now_ns = self._clock.timestamp_ns()
                self._keep(REST_FRAME, wire_of(snapshot), now_ns)
                self.feed.on_rest_book(snapshot, now_ns, self._mono_ns())
        except HyperliquidError as e:
            self._log.warning(f"the book of {feed.coin} could not be asked for: {e}")
        finally:
            feed.is_polling = False
            feed.rest_due_ns = self._mono_ns() + self._settings.rest_poll_ms * NS_PER_MS

    async def _repair_candles(self, feed: CoinFeed, interval: str, since_ns: int) -> None:
        feed.is_repairing = True
        now_ns = self._venue_now_ns()
        try:
            candles = await self._client.candles(
                feed.coin, interval, since_ns // NS_PER_MS, now_ns // NS_PER_MS + 1
            )
            self.feed.on_rest_candles(feed.coin, interval, candles, now_ns)
        except HyperliquidError as e:
            self._log.warning(f"the candles of {feed.coin} could not be asked for: {e}")
            feed.candles_due_ns = self._mono_ns() + self._settings.rest_poll_ms * NS_PER_MS
        finally:
            feed.is_repairing = False

    async def _check_meta(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._settings.meta_check_secs):
                    await self._meta_wanted.wait()
            except TimeoutError:
                pass
            self._meta_wanted.clear()
            asked_ns = self._mono_ns()
            try:
                await self._provider.refresh()
                self.feed.described(asked_ns)
            except (HyperliquidError, ValueError) as e:
                self._log.warning(f"the venue's descriptions could not be read again: {e}")
            await asyncio.sleep(min(META_SPACING_S, self._settings.meta_check_secs))

    async def _check_status(self) -> None:
        while True:
            try:
                # its time also measures the venue's clock
                await self._client.exchange_status()
                self.feed.set_at_cap(await self._coins_at_cap())
            except HyperliquidError as e:
                self._log.warning(f"the open-interest caps could not be read: {e}")
            await asyncio.sleep(self._settings.status_check_secs)

    async def _coins_at_cap(self) -> set[str]:
        dexes = {
            split_coin(coin)[0] for coin in self.feed.feeds if self.feed.wants(coin, STATUS, *(DELTAS, DEPTH))
        }
        capped: set[str] = set()
        for dex in sorted(dexes):
            capped.update(await self._client.perps_at_open_interest_cap(dex))
        return capped

    def _suspect(self, reason: str) -> None:
        if not self._meta_wanted.is_set():
            self._log.info(f"reading the venue's descriptions again: {reason}")
            self._meta_wanted.set()

    def _on_instrument_change(self, change: InstrumentChange) -> None:
        self._log.warning(f"the instrument changed: {change}")
        self._publish_instrument(change.new)

    def _venue_now_ns(self) -> int:
        return int(self._clock.timestamp_ns() + (self._client.clock.offset_ns or 0))

    def _tell_ages(self, instrument_id: InstrumentId, book: MergedBook, is_stale: bool) -> None:
        topic = self._settings.ages_topic
        if not self._msgbus.has_subscribers(topic):
            return
        now_ns = self._clock.timestamp_ns()
        bids, asks = book.ages(now_ns)
        ages = BookAges(
            instrument_id,
            now_ns,
            is_stale,
            bids,
            asks,
            tuple(level.source for level in book.bids),
            tuple(level.source for level in book.asks),
        )
        self._msgbus.publish(topic, ages)

    # -- subscriptions --------------------------------------------------------------------------------------------

    def _coin(self, instrument_id: InstrumentId) -> str | None:
        instrument = self._provider.find(instrument_id)
        if instrument is None:
            # a name the venue does not know would cost the whole socket
            self._log.error(f"{instrument_id} is not loaded: check `dex` and `coins` of the configuration")
            return None
        return str(instrument.raw_symbol.value)

    def _want(self, command: SubscribeData, kind: str) -> None:
        coin = self._coin(command.instrument_id)
        if coin is None:
            return
        named = (command.params or {}).get("streams")
        try:
            streams = self.feed.want(
                coin,
                kind,
                now_ns=self._venue_now_ns(),
                mono_ns=self._mono_ns(),
                streams=None if named is None else tuple(named),
            )
        except ValueError as e:
            self._log.error(f"{command.instrument_id} {kind}: {e}")
            return
        self._open(streams)

    def _unwant(self, command: UnsubscribeData, kind: str) -> None:
        instrument = self._provider.find(command.instrument_id)
        if instrument is not None:
            self._shut(self.feed.unwant(str(instrument.raw_symbol.value), kind))

    async def _subscribe(self, command: SubscribeData) -> None:
        self._log.error(f"{command.data_type} is not available from this venue")

    async def _unsubscribe(self, command: UnsubscribeData) -> None:
        self._log.debug(f"{command.data_type} was never subscribed")

    async def _subscribe_instruments(self, command: SubscribeData) -> None:
        """Do nothing: changes of loaded instruments are published anyway."""

    async def _subscribe_instrument(self, command: SubscribeData) -> None:
        if self._coin(command.instrument_id) is not None:
            self._handle_data(self._provider.find(command.instrument_id))

    async def _unsubscribe_instruments(self, command: UnsubscribeData) -> None:
        """Do nothing, as for subscribing."""

    async def _unsubscribe_instrument(self, command: UnsubscribeData) -> None:
        """Do nothing, as for subscribing."""

    async def _subscribe_order_book_deltas(self, command: SubscribeData) -> None:
        self._want(command, DELTAS)

    async def _unsubscribe_order_book_deltas(self, command: UnsubscribeData) -> None:
        self._unwant(command, DELTAS)

    async def _subscribe_order_book_depth(self, command: SubscribeData) -> None:
        self._want(command, DEPTH)

    async def _unsubscribe_order_book_depth(self, command: UnsubscribeData) -> None:
        self._unwant(command, DEPTH)

    async def _subscribe_quote_ticks(self, command: SubscribeData) -> None:
        self._want(command, QUOTES)

    async def _unsubscribe_quote_ticks(self, command: UnsubscribeData) -> None:
        self._unwant(command, QUOTES)

    async def _subscribe_trade_ticks(self, command: SubscribeData) -> None:
        self._want(command, TRADES)

    async def _unsubscribe_trade_ticks(self, command: UnsubscribeData) -> None:
        self._unwant(command, TRADES)

    async def _subscribe_mark_prices(self, command: SubscribeData) -> None:
        self._want(command, MARK)

    async def _unsubscribe_mark_prices(self, command: UnsubscribeData) -> None:
        self._unwant(command, MARK)

    async def _subscribe_index_prices(self, command: SubscribeData) -> None:
        self._want(command, INDEX)

    async def _unsubscribe_index_prices(self, command: UnsubscribeData) -> None:
        self._unwant(command, INDEX)

    async def _subscribe_funding_rates(self, command: SubscribeData) -> None:
        self._want(command, FUNDING)

    async def _unsubscribe_funding_rates(self, command: UnsubscribeData) -> None:
        self._unwant(command, FUNDING)

    async def _subscribe_instrument_status(self, command: SubscribeData) -> None:
        self._want(command, STATUS)

    async def _unsubscribe_instrument_status(self, command: UnsubscribeData) -> None:
        self._unwant(command, STATUS)

    async def _subscribe_instrument_close(self, command: SubscribeData) -> None:
        self._want(command, CLOSE)

    async def _unsubscribe_instrument_close(self, command: UnsubscribeData) -> None:
        self._unwant(command, CLOSE)

    async def _subscribe_bars(self, command: SubscribeBars) -> None:
        coin = self._coin(command.bar_type.instrument_id)
        if coin is None:
            return
        try:
            self._open(self.feed.want_bars(coin, command.bar_type))
        except ValueError as e:
            self._log.error(str(e))

    async def _unsubscribe_bars(self, command: UnsubscribeBars) -> None:
        instrument = self._provider.find(command.bar_type.instrument_id)
        if instrument is not None:
            self._shut(self.feed.unwant_bars(str(instrument.raw_symbol.value), command.bar_type))

    # -- requests -------------------------------------------------------------------------------------------------

    async def _request(self, request: RequestData) -> None:
        self._log.error(f"{request.data_type} is not available from this venue")

    async def _request_instrument(self, request: RequestInstrument) -> None:
        if self._provider.find(request.instrument_id) is None:
            try:
                await self._provider.load_async(request.instrument_id)
            except (HyperliquidError, ValueError) as e:
                self._log.error(f"{request.instrument_id} could not be loaded: {e}")
                return
        instrument = self._provider.find(request.instrument_id)
        self.feed.set_instrument(instrument)
        self._handle_instrument(instrument, request.id, request.start, request.end, request.params)

    async def _request_instruments(self, request: RequestInstruments) -> None:
        instruments = self._provider.list_all()
        self._handle_instruments(
            request.venue, instruments, request.id, request.start, request.end, request.params
        )

    async def _request_bars(self, request: RequestBars) -> None:
        history = self._history(request.bar_type.instrument_id)
        if history is None:
            return
        try:
            bars = await history.bars(request.bar_type, request.start, request.end, request.limit)
        except ValueError as e:
            self._log.error(str(e))
            return
        self._handle_bars(request.bar_type, bars, request.id, request.start, request.end, request.params)

    async def _request_trade_ticks(self, request: RequestTradeTicks) -> None:
        history = self._history(request.instrument_id)
        if history is None:
            return
        ticks, reaches = await history.trades(request.start, request.end, request.limit)
        if not reaches:
            self._log.warning(f"{request.instrument_id}: the venue keeps only its last few trades")
        self._handle_trade_ticks(
            request.instrument_id, ticks, request.id, request.start, request.end, request.params
        )

    async def _request_funding_rates(self, request: RequestFundingRates) -> None:
        history = self._history(request.instrument_id)
        if history is None:
            return
        rates = await history.funding_rates(request.start, request.end, request.limit)
        self._handle_funding_rates(
            request.instrument_id, rates, request.id, request.start, request.end, request.params
        )

    async def _request_order_book_snapshot(self, request: RequestOrderBookSnapshot) -> None:
        history = self._history(request.instrument_id)
        if history is None:
            return
        deltas = await history.book(request.limit)
        data_type = DataType(OrderBookDeltas, metadata={"instrument_id": request.instrument_id})
        self._handle_data_response(data_type, [deltas], request.id, None, None, request.params)

    async def _request_quote_ticks(self, request: RequestQuoteTicks) -> None:
        self._log.warning(f"{request.instrument_id}: past quotes are not available from this venue")
        self._handle_quote_ticks(
            request.instrument_id, [], request.id, request.start, request.end, request.params
        )

    async def _request_order_book_deltas(self, request: RequestOrderBookDeltas) -> None:
        self._log.warning(
            f"{request.instrument_id}: past order book deltas are not available from this venue"
        )
        self._handle_order_book_deltas(
            request.instrument_id, [], request.id, request.start, request.end, request.params
        )

    async def _request_order_book_depth(self, request: RequestOrderBookDepth) -> None:
        self._log.warning(f"{request.instrument_id}: past order book depth is not available from this venue")
        self._handle_order_book_depths(
            request.instrument_id, [], request.id, request.start, request.end, request.params
        )

    def _history(self, instrument_id: InstrumentId) -> History | None:
        coin = self._coin(instrument_id)
        if coin is None:
            return None
        scale = InstrumentScale(self._provider.find(instrument_id))
        return History(self._client, coin, scale, self._venue_now_ns())
