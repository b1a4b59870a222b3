"""The dead man's switch: a cancel-all at a set time."""

from decimal import Decimal
from typing import TYPE_CHECKING
from typing import Final

from hyperliquid_loopback import words


if TYPE_CHECKING:
    from hyperliquid_loopback.accounts import Accounts

# the venue's docs, exchange endpoint, schedule cancel; the volume as measured (protocol: exchange, scheduleCancel)
AHEAD_MS: Final = 5_000
TRIGGERS_A_DAY: Final = 10
REQUIRED_VOLUME: Final = Decimal(1_000_000)
DAY_MS: Final = 86_400_000


class CancelSchedule:
    """
    Scheduled cancels by user.

    Parameters
    ----------
    accounts : Accounts
        For the traded volume.

    """

    def __init__(self, accounts: "Accounts") -> None:
        self._accounts = accounts
        self._times: dict[str, int] = {}
        # day number and how many triggers it saw
        self._triggers: dict[str, tuple[int, int]] = {}

    def set(self, user: str, time_ms: int | None, now_ms: int) -> str | None:
        """Set, move or (None) clear a user's cancel; return the refusal's words, None when it is taken."""
        holder = self._accounts.holder(user)
        traded = holder.limits.traded if holder is not None else Decimal(0)
        if traded < REQUIRED_VOLUME:
            return words.SCHEDULE_VOLUME.format(traded=f"{traded:.2f}")
        if time_ms is None:
            self._times.pop(user, None)
            return None
        if time_ms < now_ms + AHEAD_MS:
            return words.SCHEDULE_EARLY
        if self.triggers(user, now_ms) >= TRIGGERS_A_DAY:
            return words.SCHEDULE_TRIGGERS
        self._times[user] = time_ms
        return None

    def triggers(self, user: str, now_ms: int) -> int:
        """Return how often a user's cancel went off since 00:00 UTC."""
        day, count = self._triggers.get(user, (-1, 0))
        return count if day == now_ms // DAY_MS else 0

    def due(self, now_ms: int) -> list[str]:
        """Return the users whose time has come, and count a trigger for each."""
        found = [user for user, time_ms in self._times.items() if time_ms <= now_ms]
        for user in found:
            del self._times[user]
            self._triggers[user] = (now_ms // DAY_MS, self.triggers(user, now_ms) + 1)
        return found
