"""The account told to the engine: after every fill, funding and transfer, and every few seconds, but not more often than it helps."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable
from collections.abc import Callable
from decimal import Decimal
from typing import Final
from typing import Protocol

from hyperliquid_hip3.account_state import UNIFIED
from hyperliquid_hip3.account_state import AccountFigures
from hyperliquid_hip3.account_state import AccountScope
from hyperliquid_hip3.account_state import AccountSums
from hyperliquid_hip3.account_state import account_figures
from hyperliquid_hip3.address_limit import ActionCount
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.user_records import ActiveAsset
from hyperliquid_hip3.user_records import ClearinghouseState
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import SpotState


# fills cluster: beyond so many refreshes a minute there is one a second, which leaves the weight to orders
BUSY_REFRESHES: Final = 120
BUSY_SPACING_S: Final = 1.0
MINUTE_S: Final = 60.0
FACTS_EVERY_S: Final = 300.0


class AccountReader(Protocol):
    """The part of ``VenueClient`` that the account is read from."""

    async def clearinghouse_state(self, user: str, dex: str) -> ClearinghouseState:
        """Return positions and margin on a dex."""
        ...

    async def spot_state(self, user: str) -> SpotState:
        """Return the spot balances."""
        ...

    async def user_abstraction(self, user: str) -> str:
        """Return the account mode."""
        ...

    async def active_asset(self, user: str, coin: str) -> ActiveAsset:
        """Return the leverage on a coin."""
        ...


class AccountReporter:
    """
    Reads the account and tells it.

    Parameters
    ----------
    reader : AccountReader
        The venue.
    account : str
        Whose account.
    scope : AccountScope
        Dex, collateral and the coin that is looked at.
    sums : AccountSums
        Funding and transfers so far.
    orders : Callable[[], list[OpenOrder]]
        Our own open orders.
    tell : Callable[[AccountFigures], None]
        Takes the figures.
    on_mode : Callable[[str, str], None]
        Told when the account mode is another than before.
    collateral_price : Callable[[], Awaitable[Decimal | None]]
        Reads the price of the collateral where it is time to; it does not raise.
    read_transfers : Callable[[], Awaitable[None]]
        Sees to it that ``sums`` has every transfer so far; raises when the venue does not answer.
    on_error : Callable[[str], None]
        Told when the account cannot be read; nothing is told of the account then.
    actions : Callable[[], Awaitable[ActionCount]], optional
        Reads what the address has used and may use, where it is time to; raises when the venue does not answer the first time.
    refresh_s, spacing_s : float
        The longest and the shortest time between two reports.
    monotonic : Callable[[], float], default ``time.monotonic``
        Seconds.

    """

    def __init__(
        self,
        reader: AccountReader,
        account: str,
        scope: AccountScope,
        sums: AccountSums,
        *,
        orders: Callable[[], list[OpenOrder]],
        tell: Callable[[AccountFigures], None],
        on_mode: Callable[[str, str], None],
        on_error: Callable[[str], None],
        collateral_price: Callable[[], Awaitable[Decimal | None]],
        read_transfers: Callable[[], Awaitable[None]],
        actions: Callable[[], Awaitable[ActionCount]] | None = None,
        refresh_s: float,
        spacing_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._account = account
        self.scope = scope
        self.sums = sums
        self._orders = orders
        self._tell = tell
        self._on_mode = on_mode
        self._on_error = on_error
        self._collateral_price = collateral_price
        self._actions = actions
        self._read_transfers = read_transfers
        self._refresh_s = refresh_s
        self._spacing_s = spacing_s
        self._monotonic = monotonic
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._recent: deque[float] = deque()
        self._facts_at = -FACTS_EVERY_S
        self.mode = ""
        self.asset: ActiveAsset | None = None
        self.state: ClearinghouseState | None = None

    def wanted(self) -> None:
        """Ask for a report soon: something has changed."""
        self._wake.set()

    def facts_changed(self) -> None:
        """Ask for a report soon, with mode, leverage and margin mode read anew."""
        self._facts_at = -FACTS_EVERY_S
        self._wake.set()

    async def read_facts(self) -> None:
        """
        Read the account mode, and leverage and margin mode of the coin.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer.

        """
        mode = await self._reader.user_abstraction(self._account)
        self.asset = await self._reader.active_asset(self._account, self.scope.coin)
        self._facts_at = self._monotonic()
        before, self.mode = self.mode, mode
        if before and before != mode:
            self._on_mode(before, mode)

    async def report(self) -> AccountFigures:
        """
        Read the account and tell it now.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer; nothing is told then.

        """
        async with self._lock:
            if not self.mode or self._monotonic() - self._facts_at > FACTS_EVERY_S:
                await self.read_facts()
            # first what was moved, then the equity that shows it: the other way round a withdrawal would be a loss
            await self._read_transfers()
            self.sums.collateral_price = await self._collateral_price()
            if self._actions is not None:
                self.sums.actions = await self._actions()
            spot = None
            if self.mode in UNIFIED:
                state, spot = await asyncio.gather(
                    self._reader.clearinghouse_state(self._account, self.scope.dex),
                    self._reader.spot_state(self._account),
                )
            else:
                state = await self._reader.clearinghouse_state(self._account, self.scope.dex)
            figures = account_figures(
                self.scope,
                self.mode,
                state,
                spot,
                self._orders(),
                leverage=1 if self.asset is None else self.asset.leverage,
                mark_price=None if self.asset is None else self.asset.mark_price,
                is_cross=self.asset is None or self.asset.is_cross,
            )
            self.state = state
        self._tell(figures)
        return figures

    async def run(self) -> None:
        """Report whenever something changed, and at the latest after ``refresh_s``, as long as it runs."""
        while True:
            try:
                async with asyncio.timeout(self._refresh_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.report()
            except (HyperliquidError, ValueError, ArithmeticError) as error:
                # also a state that makes no account: whoever waits for the next report must hear that none comes
                self._on_error(str(error))
            await asyncio.sleep(self._spacing())

    def _spacing(self) -> float:
        now = self._monotonic()
        self._recent.append(now)
        while self._recent and now - self._recent[0] > MINUTE_S:
            self._recent.popleft()
        return BUSY_SPACING_S if len(self._recent) > BUSY_REFRESHES else self._spacing_s
