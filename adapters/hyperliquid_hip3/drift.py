"""
What the venue says of a coin and of our rates, looked at again and again: leverage, margin mode, tiers, tick, fees.

Orders placed by rules that no longer hold are canceled, the new instrument takes the old one's place, leverage and margin mode are set
and read back, and only then is anything but a reduction sent again.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Iterable
from typing import Any
from typing import Final
from typing import Protocol

from nautilus_trader.model.instruments import PerpetualContract

from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.desk import OrderDesk
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.instruments import OwnRates
from hyperliquid_hip3.instruments import declared_modes
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.providers import HyperliquidInstrumentProvider
from hyperliquid_hip3.providers import InstrumentChange
from hyperliquid_hip3.sender import ActionSender
from hyperliquid_hip3.startup import FactsReader
from hyperliquid_hip3.startup import set_leverage
from hyperliquid_hip3.startup import wanted_cross
from hyperliquid_hip3.user_records import ActiveAsset
from hyperliquid_hip3.user_records import UserFees


CANCEL_S: Final = 15.0
LOOK_S: Final = 0.01
RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 30.0


class DriftReader(FactsReader, Protocol):
    """The part of ``VenueClient`` that is read again."""

    async def user_fees(self, user: str) -> UserFees:
        """Return the rates of a user."""
        ...


class DriftWatch:
    """
    Keeps instruments, rates, leverage and margin mode as the venue has them, or the venue as we want it.

    Parameters
    ----------
    reader : DriftReader
        The venue.
    provider : HyperliquidInstrumentProvider
        The instruments.
    sender : ActionSender
        Where leverage is set.
    desk : OrderDesk
        Whose orders are canceled.
    config : HyperliquidExecClientConfig
        The account, its leverage and margin mode, and how often to look.
    coins : Callable[[], Iterable[str]]
        The coins traded here.
    is_ours : Callable[[str], bool]
        Whether a coin is, or was until it was delisted.
    on_instrument : Callable[[PerpetualContract], None]
        Takes an instrument that replaces the one before.
    on_terms : Callable[[], None]
        Told when margin tables, leverage or margin mode are others than before.
    notify : Callable
        Takes a kind and a text, ``coin`` and ``is_alarm``.
    spawn : Callable[[Coroutine], asyncio.Task]
        Starts a task that ends with the client.

    """

    def __init__(
        self,
        reader: DriftReader,
        provider: HyperliquidInstrumentProvider,
        *,
        sender: ActionSender,
        desk: OrderDesk,
        config: HyperliquidExecClientConfig,
        coins: Callable[[], Iterable[str]],
        is_ours: Callable[[str], bool],
        on_instrument: Callable[[PerpetualContract], None],
        on_terms: Callable[[], None],
        notify: Callable[..., None],
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
    ) -> None:
        self._reader = reader
        self._provider = provider
        self._sender = sender
        self._desk = desk
        self._account = config.account
        self._margin_mode = config.margin_mode
        self._every_s = config.drift_check_secs
        self._coins = coins
        self._is_ours = is_ours
        self._on_instrument = on_instrument
        self._on_terms = on_terms
        self._notify = notify
        self._spawn = spawn
        self._leverage = config.leverage
        # two settings at a time would each read the other's as a stranger's
        self._setting = asyncio.Lock()
        self._seen: dict[str, tuple[int, bool]] = {}
        self._held: Counter[str] = Counter()

    def hold_reason(self, coin: str) -> str | None:
        """Return why nothing that adds to a position may be sent for a coin now, None when it may."""
        return f"INSTRUMENT_CHANGED: {coin} is being set up anew" if self._held[coin] else None

    async def open(self) -> None:
        """
        Read the account's own rates, and set leverage and margin mode where the configuration says one.

        Raises
        ------
        HyperliquidError
            If the venue does not answer, or leverage or margin mode are not as they must be.

        """
        if await self._read_rates():
            await self._provider.refresh()
        for coin in self._coins():
            instrument = self._provider.find_coin(coin)
            if instrument is not None:
                self._on_instrument(instrument)
            if self._leverage is not None:
                await self._set(coin, self._leverage)
        self._provider.on_change(self._on_change)

    def close(self) -> None:
        """Hear of no more changes."""
        self._provider.off_change(self._on_change)

    async def run(self) -> None:
        """Look at regular times, as long as it runs."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.check()
            except (HyperliquidError, ValueError) as error:
                self._notify(NoticeKind.INSTRUMENT, f"the venue's terms could not be read again: {error}")

    async def check(self) -> None:
        """
        Read everything once more, and put right what is not as it must be.

        Raises
        ------
        HyperliquidError
            If the venue does not answer.

        """
        await self._read_rates()
        await self._provider.refresh()
        for coin in self._coins():
            await self._check_leverage(coin)

    async def change_leverage(self, leverage: int) -> None:
        """Set another leverage for every coin traded here, and read it back; a failure is told."""
        self._leverage = leverage
        for coin in self._coins():
            try:
                await self._set(coin, leverage)
            except HyperliquidError as error:
                self._notify(NoticeKind.LEVERAGE, str(error), coin=coin, is_alarm=True)
        self._on_terms()

    # -- inside ----------------------------------------------------------------------------------------

    async def _read_rates(self) -> bool:
        fees = await self._reader.user_fees(self._account)
        return self._provider.set_rates(OwnRates(fees.maker_rate, fees.taker_rate, fees.referral_discount))

    async def _set(self, coin: str, leverage: int) -> None:
        instrument = self._provider.find_coin(coin)
        if instrument is None:
            return
        most = int(instrument.info["max_leverage"])
        if leverage > most:
            raise HyperliquidError(f"`leverage` was {leverage}, {coin} allows at most {most}")
        is_cross = wanted_cross(self._margin_mode, declared_modes(instrument.info))
        async with self._setting:
            await set_leverage(
                self._reader,
                self._sender,
                self._account,
                coin,
                asset=int(instrument.info["asset_id"]),
                leverage=leverage,
                is_cross=is_cross,
            )
            self._seen[coin] = (leverage, is_cross)

    def _wanted(self, coin: str) -> int | None:
        instrument = self._provider.find_coin(coin)
        if self._leverage is None or instrument is None:
            return None
        # a coin may come to allow less than what was asked for, and more again later
        return min(self._leverage, int(instrument.info["max_leverage"]))

    async def _check_leverage(self, coin: str) -> None:
        async with self._setting:
            found = await self._reader.active_asset(self._account, coin)
            seen = (found.leverage, found.is_cross)
            before = self._seen.setdefault(coin, seen)
            self._seen[coin] = seen
        leverage = self._wanted(coin)
        if leverage is None:
            if before != seen:
                text = f"the leverage of {coin} was changed at the venue, it is {_words(found)}"
                self._notify(NoticeKind.LEVERAGE, text, coin=coin, is_alarm=True)
                self._on_terms()
            return
        instrument = self._provider.find_coin(coin)
        if instrument is None or self._held[coin]:
            return
        is_cross = wanted_cross(self._margin_mode, declared_modes(instrument.info))
        if seen == (leverage, is_cross):
            return
        try:
            await self._set(coin, leverage)
            text = f"the leverage of {coin} was {_words(found)} at the venue, it was set back to {leverage}"
        except HyperliquidError as error:
            text = f"the leverage of {coin} is {_words(found)} at the venue and was not set back: {error}"
        self._notify(NoticeKind.LEVERAGE, text, coin=coin, is_alarm=True)
        self._on_terms()

    def _on_change(self, change: InstrumentChange) -> None:
        if not self._is_ours(change.coin):
            return
        # first of all: what is placed from now on is by the new rules
        self._on_instrument(change.new)
        self._notify(
            NoticeKind.INSTRUMENT, str(change), coin=change.coin, is_alarm=not change.is_of_fees_only
        )
        if change.is_of_fees_only:
            return
        self._held[change.coin] += 1
        self._spawn(self._set_up_anew(change.coin))

    async def _set_up_anew(self, coin: str) -> None:
        try:
            self._on_terms()
            for track in self._desk.shelf.unfinished():
                if track.coin == coin:
                    self._desk.cancel(track.key, is_command=False)
            await self._until_gone(coin)
            await self._until_set(coin)
        finally:
            self._held[coin] -= 1
        self._on_terms()

    async def _until_gone(self, coin: str) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + CANCEL_S
        while loop.time() < end:
            if all(track.coin != coin for track in self._desk.shelf.unfinished()):
                return
            await asyncio.sleep(LOOK_S)

    async def _until_set(self, coin: str) -> None:
        pause, is_told = RETRY_S, False
        while (leverage := self._wanted(coin)) is not None:
            try:
                await self._set(coin, leverage)
            except HyperliquidError as error:
                if not is_told:
                    self._notify(NoticeKind.LEVERAGE, str(error), coin=coin, is_alarm=True)
                is_told = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_RETRY_S)
            else:
                return


def _words(asset: ActiveAsset) -> str:
    return f"{asset.leverage} {'cross' if asset.is_cross else 'isolated'}"
