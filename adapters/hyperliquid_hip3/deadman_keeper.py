"""The dead-man's switch kept armed: set anew in time, looked at again as the traded volume grows, cleared on a clean stop."""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Final
from typing import Protocol

from hyperliquid_hip3.actions import schedule_cancel_action
from hyperliquid_hip3.deadman import MIN_VOLUME
from hyperliquid_hip3.deadman import Deadman
from hyperliquid_hip3.deadman import DeadmanState
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.records import PerpDex
from hyperliquid_hip3.replies import Refused
from hyperliquid_hip3.replies import RejectionKind
from hyperliquid_hip3.replies import rejection_kind
from hyperliquid_hip3.sender import ActionSender
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import RateLimit


LOOK_S: Final = 1.0
QUALIFY_EVERY_S: Final = 3_600.0


class SwitchReader(Protocol):
    """The part of ``VenueClient`` that is asked."""

    async def rate_limit(self, user: str) -> RateLimit:
        """Return the traded volume of a user, with its limits."""
        ...

    async def perp_dexs(self) -> tuple[PerpDex, ...]:
        """Return the builder-deployed dexes."""
        ...

    async def open_orders(self, user: str, dex: str) -> tuple[OpenOrder, ...]:
        """Return a user's open orders on a dex."""
        ...


class DeadmanKeeper:
    """
    Keeps the switch of one account.

    Parameters
    ----------
    reader : SwitchReader
        The venue.
    sender : ActionSender
        Where the switch is set; each setting is an action of the address.
    account, dex : str
        Whose orders it cancels, and on which dex they are traded here.
    ahead_s : int
        How far ahead it is set, seconds; 0 for never.
    notify : Callable
        Takes a kind and a text, ``coin`` and ``is_alarm``.
    monotonic_ns : Callable[[], int], default ``time.monotonic_ns``
        A clock that never goes back.
    look_s, qualify_every_s : float
        How often to look whether it is due, and whether an account without the volume has come to it.

    """

    def __init__(
        self,
        reader: SwitchReader,
        sender: ActionSender,
        *,
        account: str,
        dex: str,
        ahead_s: int,
        notify: Callable[..., None],
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        look_s: float = LOOK_S,
        qualify_every_s: float = QUALIFY_EVERY_S,
    ) -> None:
        self.switch = Deadman(ahead_s)
        self._reader = reader
        self._sender = sender
        self._account = account
        self._dex = dex
        self._notify = notify
        self._monotonic_ns = monotonic_ns
        self._look_s = look_s
        self._qualify_every_s = qualify_every_s
        # a setting without an answer: the venue may hold a time that the switch does not know of
        self._may_be_set = False

    async def qualify(self) -> bool:
        """
        Ask for the traded volume, and return whether there is a switch; what became of it is told.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer.

        """
        before = self.switch.state
        if before is DeadmanState.OFF:
            return False
        volume = (await self._reader.rate_limit(self._account)).volume
        is_there = self.switch.qualify(volume)
        if not is_there and before is not DeadmanState.UNQUALIFIED:
            self._notify(NoticeKind.DEADMAN, _without(volume))
        if is_there and before is DeadmanState.UNQUALIFIED:
            self._notify(NoticeKind.DEADMAN, f"the traded volume is {volume}: the dead-man's switch is set")
        return is_there

    async def run(self) -> None:
        """Keep it armed, as long as it runs."""
        while self.switch.state is not DeadmanState.OFF:
            if self.switch.state is DeadmanState.UNQUALIFIED:
                await asyncio.sleep(self._qualify_every_s)
                try:
                    await self.qualify()
                except HyperliquidError as error:
                    self._notify(NoticeKind.DEADMAN, f"the traded volume could not be read: {error}")
                continue
            if self.switch.is_due(self._monotonic_ns()):
                await self.arm()
            await asyncio.sleep(self._look_s)

    async def arm(self) -> None:
        """Set it anew; the first time, look for orders elsewhere that it would cancel too."""
        was_armed = self.switch.is_armed
        target = self.switch.target_ms(self._sender.venue_ms())
        try:
            result = await self._sender.send(schedule_cancel_action(target))
        except HyperliquidError as error:
            self.switch.failed(self._monotonic_ns(), is_unqualified=False)
            self._notify(NoticeKind.DEADMAN, f"not armed: {error}", is_alarm=True)
            return
        if isinstance(result.reply, Refused):
            kind = rejection_kind(result.reply.text)
            self.switch.failed(self._monotonic_ns(), is_unqualified=kind is RejectionKind.VOLUME)
            self._notify(NoticeKind.DEADMAN, f"not armed: {result.reply.text}", is_alarm=True)
        elif result.reply is None:
            self.switch.failed(self._monotonic_ns(), is_unqualified=False)
            self._may_be_set |= result.not_done is None
            self._notify(NoticeKind.DEADMAN, f"not armed: {result.not_done or 'no answer'}")
        else:
            self.switch.armed(target, self._monotonic_ns())
            if not was_armed:
                await self._warn_of_others()

    async def disarm(self) -> None:
        """Clear it, where it may be set."""
        if not self.switch.is_armed and not self._may_be_set:
            return
        try:
            result = await self._sender.send(schedule_cancel_action(None))
            is_cleared = result.reply is not None and not isinstance(result.reply, Refused)
        except HyperliquidError:
            is_cleared = False
        if not is_cleared:
            self._notify(NoticeKind.DEADMAN, "not disarmed: it cancels all orders of the account soon")
        self.switch.disarmed()
        self._may_be_set = False

    async def _warn_of_others(self) -> None:
        try:
            dexes = ["", *(dex.name for dex in await self._reader.perp_dexs())]
            resting = {
                name: len(await self._reader.open_orders(self._account, name))
                for name in dexes
                if name != self._dex
            }
        except HyperliquidError as error:
            self._notify(
                NoticeKind.DEADMAN,
                f"the switch cancels orders on other dexes too; they could not be read: {error}",
            )
            return
        found = ", ".join(f"{count} on {name or 'the main dex'}" for name, count in resting.items() if count)
        if found:
            text = f"the dead-man's switch would cancel orders elsewhere too: {found}"
            self._notify(NoticeKind.DEADMAN, text, is_alarm=True)


def _without(volume: Decimal) -> str:
    return f"no dead-man's switch below a traded volume of {MIN_VOLUME:,} (it is {volume}): the supervisor must cancel"
