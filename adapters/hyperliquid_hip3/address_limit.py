"""What the address has used and may use, by the venue's own count: whoever trades reads it, as others may use the address too."""

import time
from collections.abc import Callable
from typing import Final
from typing import NamedTuple
from typing import Protocol

from hyperliquid_hip3.constants import info_weight
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.user_records import RateLimit
from hyperliquid_hip3.weights import WeightBucket


EVERY_S: Final = 60.0


class LimitReader(Protocol):
    """The part of ``VenueClient`` that the count is read from."""

    async def rate_limit(self, user: str) -> RateLimit:
        """Return what an address has used and may use."""
        ...


class ActionCount(NamedTuple):
    """
    One reading of ``userRateLimit``.

    ``used`` is what was sent less what was bought (negative while bought actions are left), ``limit`` what volume and the start
    allow, ``ts_ns`` when the venue had answered, ns UTC.
    """

    used: int
    limit: int
    ts_ns: int

    def as_info(self) -> dict[str, int]:
        """Return it as an ``AccountState`` carries it."""
        return {"actions_used": self.used, "actions_limit": self.limit, "actions_ns": self.ts_ns}


class AddressLimit:
    """
    Reads the count, once a minute at most; the venue takes a weight of 20 for it.

    See https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint#query-user-rate-limits: the venue shows bought
    actions as fewer used ones, and as a surplus where nothing is left to subtract from.

    Parameters
    ----------
    reader : LimitReader
        The venue.
    account : str
        Whose actions.
    notify : Callable
        Takes a kind and a text; a count that cannot be read is told once, until it can be read again.
    now_ns : Callable[[], int]
        The wall clock in ns UTC.
    weights : WeightBucket
        The request weight: where it is short the count is read later, and holds nothing up.
    every_s : float, default 60.0
        The shortest time between two questions.
    monotonic : Callable[[], float], default ``time.monotonic``
        Seconds.

    """

    def __init__(
        self,
        reader: LimitReader,
        account: str,
        *,
        notify: Callable[..., None],
        now_ns: Callable[[], int],
        weights: WeightBucket,
        every_s: float = EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._account = account
        self._notify = notify
        self._now_ns = now_ns
        self._weights = weights
        self._every_s = every_s
        self._monotonic = monotonic
        self._next = monotonic()
        self._is_told = False
        self.count: ActionCount | None = None

    def expire(self) -> None:
        """Read it anew at the next question."""
        self._next = self._monotonic()

    async def refresh(self) -> ActionCount:
        """
        Return the count, read anew when a minute has passed and the weight is there; the last one while it cannot be read.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer the first time: without it nobody knows what the address may still send.

        """
        count, now = self.count, self._monotonic()
        if count is None:
            return await self._read(now)
        if now < self._next or self._weights.wait_s(info_weight("userRateLimit")) > 0:
            return count
        try:
            return await self._read(now)
        except HyperliquidError as error:
            if not self._is_told:
                self._is_told = True
                self._notify(
                    NoticeKind.ADDRESS_LIMIT, f"the actions of the address could not be read: {error}"
                )
            return count

    async def _read(self, now: float) -> ActionCount:
        self._next = now + self._every_s
        said = await self._reader.rate_limit(self._account)
        self._is_told = False
        self.count = ActionCount(said.used - said.surplus, said.cap, self._now_ns())
        return self.count
