"""
Signed actions out, and what is known of each afterwards: answered, certainly not done, or unknown until a time.

A nonce is used once, and nothing is sent twice but what may be (a cancel, by its own nonce: :mod:`repeats`). With ``expiresAfter`` an action without an answer settles by itself; without it
(the clock is not trusted) a ``noop`` with the same nonce takes its place, or proves that it ran (protocol: exchange).
"""

import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import Protocol

from hyperliquid_hip3.actions import Action
from hyperliquid_hip3.actions import noop_action
from hyperliquid_hip3.clock_offset import ClockOffset
from hyperliquid_hip3.clock_offset import ClockState
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.http import NotSentError
from hyperliquid_hip3.http import RateLimitedError
from hyperliquid_hip3.replies import Accepted
from hyperliquid_hip3.replies import ActionReply
from hyperliquid_hip3.replies import Refused
from hyperliquid_hip3.replies import RejectionKind
from hyperliquid_hip3.replies import rejection_kind


NS_PER_S: Final = 1_000_000_000
# the venue's block clock may be a little behind the time it answers queries with
GRACE_MS: Final = 1_000
# without an expiry and without word of the noop: nothing is in flight for so long
LONG_MS: Final = 120_000
BURN_ATTEMPTS: Final = 3
# over its limit an address gets one action in ten seconds, protocol: address limits
PAUSE_S: Final = 10.0
PAUSE_429_S: Final = 2.0
FREE: Final = frozenset(("reserveRequestWeight",))
LOOK_NS: Final = 20_000_000


class ExchangePort(Protocol):
    """The part of ``VenueClient`` that actions go through."""

    clock: ClockOffset

    async def exchange(self, request: Mapping[str, Any]) -> ActionReply:
        """Send a signed action once."""
        ...


class ActionSigner(Protocol):
    """The part of ``Signer`` that is needed here."""

    def request(
        self, action: Action, *, nonce: int, expires_after_ms: int | None = None, packed: bytes | None = None
    ) -> dict[str, Any]:
        """Return the signed body."""
        ...


class Nonces(Protocol):
    """The part of ``NonceCounter`` that is needed here."""

    def take(self) -> int:
        """Return the next nonce."""
        ...


class Prepared(NamedTuple):
    """A signed action that has not left."""

    request: dict[str, Any]
    nonce: int
    expires_ms: int | None


class ActionResult(NamedTuple):
    """
    What is known of an action after it was sent.

    One of the three is set: ``reply`` is the venue's answer; ``not_done`` says why it certainly did not happen; until
    ``unknown_until_ms`` (ms UTC, venue time) it may still happen, and may have happened already.

    ``retry_after_s`` is set, beside any of them, where nothing but the way to the venue or its limits stood against the action: after so
    many seconds one that may be repeated can go again.
    """

    reply: ActionReply | None = None
    not_done: str | None = None
    unknown_until_ms: int | None = None
    retry_after_s: float | None = None


class ActionSender:
    """
    Signs and sends the actions of one key.

    Parameters
    ----------
    client : ExchangePort
        The venue.
    signer : ActionSigner
        The key.
    nonces : Nonces
        The key's nonces.
    expires_after_ms : int or None
        An action that reaches no block within this time is void; None to send actions without an end.
    on_pause : Callable[[RejectionKind, str], None]
        Told when the venue wants fewer requests, or does not know the key.
    on_charged : Callable[[str], None], optional
        Told the type of each action or item that no command asked for: it counts against the address like an order.
    now_ns : Callable[[], int], default ``time.time_ns``
        The wall clock in ns UTC.
    monotonic_ns : Callable[[], int], default ``time.monotonic_ns``
        A clock that never goes back.

    """

    def __init__(
        self,
        client: ExchangePort,
        signer: ActionSigner,
        nonces: Nonces,
        *,
        expires_after_ms: int | None,
        on_pause: Callable[[RejectionKind, str], None],
        on_charged: Callable[[str], None] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._client = client
        self._signer = signer
        self._nonces = nonces
        self._expires_after_ms = expires_after_ms
        self._on_pause = on_pause
        self._on_charged = on_charged
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._paused_until_ns = 0
        self._pause_reason = ""
        self._looked_ns = -NS_PER_S
        self._is_clock_off = False
        self._may_expire = False

    def venue_ms(self) -> int:
        """Return the venue's time now, ms UTC, as far as it was measured."""
        return self._client.clock.venue_ms(self._now_ns())

    @property
    def hold_reason(self) -> str | None:
        """Why nothing but cancels should be sent now, None when anything may."""
        self._look_at_clock()
        if self._is_clock_off:
            return f"CLOCK_OFF: the venue's clock and ours are apart ({self._client.clock!r})"
        if self._monotonic_ns() < self._paused_until_ns:
            return f"RATE_LIMITED: {self._pause_reason}"
        return None

    def prepare(self, action: Action, *, packed: bytes | None = None) -> Prepared:
        """
        Sign an action with the next nonce; ``packed`` is what is hashed of it, where that was made ahead of time.

        Raises
        ------
        SigningError
            If there is no nonce to be had or the action cannot be signed; nothing was sent.

        """
        expires_ms = None
        self._look_at_clock()
        if self._expires_after_ms is not None and self._may_expire:
            expires_ms = self.venue_ms() + self._expires_after_ms
        nonce = self._nonces.take()
        request = self._signer.request(action, nonce=nonce, expires_after_ms=expires_ms, packed=packed)
        return Prepared(request, nonce, expires_ms)

    async def send(self, action: Action, *, goes_again: bool = False) -> ActionResult:
        """Sign and send an action of our own, which no command of the strategy asked for; ``goes_again`` as in :meth:`post`."""
        result = await self.post(self.prepare(action), goes_again=goes_again)
        # what may have reached the venue counts
        if result.not_done is None:
            self.charge(str(action["type"]))
        return result

    def charge(self, kind: str, count: int = 1) -> None:
        """Tell that so many actions of a type went that no command asked for; bought ones are free (protocol: address limits)."""
        if self._on_charged is not None and kind not in FREE:
            for _ in range(count):
                self._on_charged(kind)

    async def post(self, prepared: Prepared, *, goes_again: bool = False) -> ActionResult:
        """
        Send a signed action, once, and return what is known of it.

        Where it ``goes_again`` without an answer, its nonce is not taken back: the repeat is sooner, and its answer settles both.
        """
        try:
            reply = await self._client.exchange(prepared.request)
        except RateLimitedError as error:
            self._pause(PAUSE_429_S, RejectionKind.RATE_LIMIT, str(error))
            return ActionResult(not_done=f"RATE_LIMITED: {error}", retry_after_s=PAUSE_429_S)
        except NotSentError as error:
            return ActionResult(not_done=f"NOT_SENT: {error}", retry_after_s=0)
        except TransportError:
            if goes_again:
                return ActionResult(unknown_until_ms=self._latest_ms(prepared), retry_after_s=0)
            return await self._unanswered(prepared)
        if isinstance(reply, Refused):
            return self._refused(reply)
        return ActionResult(reply=reply)

    def _look_at_clock(self) -> None:
        # the offset is a median, and a cycle asks thirty times
        now = self._monotonic_ns()
        if now - self._looked_ns > LOOK_NS:
            self._looked_ns = now
            self._is_clock_off = self._client.clock.state is ClockState.PAUSE
            self._may_expire = self._client.clock.may_expire

    def _latest_ms(self, prepared: Prepared) -> int:
        return self.venue_ms() + LONG_MS if prepared.expires_ms is None else prepared.expires_ms + GRACE_MS

    async def _unanswered(self, prepared: Prepared) -> ActionResult:
        if prepared.expires_ms is not None:
            return ActionResult(unknown_until_ms=self._latest_ms(prepared))
        for _ in range(BURN_ATTEMPTS):
            burnt = await self._burn(prepared.nonce)
            if burnt is True:
                return ActionResult(not_done="NOT_EXECUTED: its nonce was taken back")
            if burnt is False:
                # it ran: a query will find what became of it
                return ActionResult(unknown_until_ms=self.venue_ms() + GRACE_MS)
        return ActionResult(unknown_until_ms=self._latest_ms(prepared))

    async def _burn(self, nonce: int) -> bool | None:
        """Return True when the nonce was still free (the action can no longer run), False when it was used, None when unknown."""
        try:
            reply = await self._client.exchange(self._signer.request(noop_action(), nonce=nonce))
        except TransportError:
            return None
        if isinstance(reply, Accepted):
            return True
        return False if rejection_kind(reply.text) is RejectionKind.NONCE else None

    def _refused(self, reply: Refused) -> ActionResult:
        kind = rejection_kind(reply.text)
        if kind is RejectionKind.NONCE and "duplicate" in reply.text.lower():
            # a copy of it may have come first
            return ActionResult(unknown_until_ms=self.venue_ms() + GRACE_MS)
        if kind is RejectionKind.RATE_LIMIT:
            self._pause(PAUSE_S, kind, reply.text)
            return ActionResult(reply=reply, retry_after_s=PAUSE_S)
        if kind in (RejectionKind.UNKNOWN_AGENT, RejectionKind.POST_ONLY_PHASE):
            self._on_pause(kind, reply.text)
        return ActionResult(reply=reply)

    def _pause(self, seconds: float, kind: RejectionKind, reason: str) -> None:
        self._paused_until_ns = self._monotonic_ns() + int(seconds * NS_PER_S)
        self._pause_reason = reason
        self._on_pause(kind, reason)
