"""What a unit of the collateral token is worth in USDC: the mid of its spot pair."""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Final
from typing import Protocol

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.records import SpotPair


USDC_TOKEN: Final = 0
EVERY_S: Final = 60.0
# the mids of spot pairs come with those of the validator-operated dex
MAIN_DEX: Final = ""


class SpotReader(Protocol):
    """The part of ``VenueClient`` that spot prices are read from."""

    async def spot_pairs(self) -> tuple[SpotPair, ...]:
        """Return the spot pairs."""
        ...

    async def all_mids(self, dex: str) -> dict[str, Decimal]:
        """Return the mid prices of a dex by coin."""
        ...


class CollateralPrice:
    """
    Reads the price, once a minute at most.

    Parameters
    ----------
    reader : SpotReader
        The venue.
    token : int
        The token's index in ``spotMeta``; USDC itself is worth one and is never asked for.
    name : str
        Its name.
    notify : Callable
        Takes a kind and a text; a price that is missing is told once, until it is there again.
    every_s : float, default 60.0
        The shortest time between two questions.
    monotonic : Callable[[], float], default ``time.monotonic``
        Seconds.

    """

    def __init__(
        self,
        reader: SpotReader,
        token: int,
        name: str,
        *,
        notify: Callable[..., None],
        every_s: float = EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._token = token
        self._name = name
        self._notify = notify
        self._every_s = every_s
        self._monotonic = monotonic
        self._next = -every_s
        self._pair: str | None = None
        self._is_told = False
        self.price: Decimal | None = Decimal(1) if token == USDC_TOKEN else None

    def expire(self) -> None:
        """Read it anew at the next question."""
        self._next = self._monotonic()

    async def refresh(self) -> Decimal | None:
        """Return the price, read anew when a minute has passed; the last one while there is none, None before the first."""
        now = self._monotonic()
        if self._token == USDC_TOKEN or now < self._next:
            return self.price
        self._next = now + self._every_s
        try:
            price = await self._read()
            problem = None if price is not None else f"there is no spot price of {self._name}"
        except HyperliquidError as error:
            price, problem = None, f"the spot price of {self._name} could not be read: {error}"
        if price is not None:
            self.price, self._is_told = price, False
        elif not self._is_told:
            self._is_told = True
            kept = "it is unknown" if self.price is None else f"the last one, {self.price}, is kept"
            self._notify(NoticeKind.COLLATERAL, f"{problem}; {kept}")
        return self.price

    async def _read(self) -> Decimal | None:
        if self._pair is None:
            pairs = await self._reader.spot_pairs()
            wanted = (self._token, USDC_TOKEN)
            self._pair = next((pair.name for pair in pairs if pair.tokens == wanted), None)
        if self._pair is None:
            return None
        price = (await self._reader.all_mids(MAIN_DEX)).get(self._pair)
        return price if price is not None and price > 0 else None
