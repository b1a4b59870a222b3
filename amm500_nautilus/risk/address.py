"""
The venue's side of the limits: what an address may send, as the venue itself reckons and words it.

Figures and words are the venue's (venue docs, "Rate limits and user limits"; protocol: address limits, error strings).
"""

from collections import deque
from collections.abc import Mapping
from math import floor
from typing import Any


NS_PER_SECOND = 1_000_000_000
MICRO = 1_000_000

INITIAL_ACTIONS = 10_000
# volume of a growth-mode market counts a tenth
GROWTH_SHARE = 0.1
CANCEL_EXTRA = 100_000
CANCEL_MULTIPLE = 2
SLOW_SECS = 10.0
# an action that reaches the venue after its own expiry costs this many
EXPIRED_COST = 5
BATCH_MAX = 200
WEIGHT_LIMIT = 1_200
WEIGHT_WINDOW_SECS = 60.0
WEIGHT_BATCH = 40
OPEN_ORDERS = 1_000
OPEN_ORDERS_STEP = 5_000_000.0
OPEN_ORDERS_MAX = 5_000
WEIGHT_PRICE = 0.0005

PLACE = "place"
MODIFY = "modify"
CANCEL = "cancel"
KINDS = (PLACE, MODIFY, CANCEL)

OVER_WEIGHT = "Signed action over weight limit of 200."


def cancel_limit(limit: float) -> float:
    """Return how many actions an address may have sent for its cancels still to be taken: 20,000 for 10,000, 300,000 for 200,000."""
    return min(limit + CANCEL_EXTRA, CANCEL_MULTIPLE * limit)


def open_order_cap(volume: float) -> int:
    """Return how many orders may rest after ``volume`` of trading: 1,000 and one more per 5 million, at most 5,000."""
    return min(OPEN_ORDERS_MAX, OPEN_ORDERS + int(volume // OPEN_ORDERS_STEP))


def exchange_weight(batch: int) -> int:
    """Return the weight of one signed action of ``batch`` items: 1 up to 39, 2 from 40."""
    return 1 + batch // WEIGHT_BATCH


class WeightMeter:
    """
    Count the weight that one IP address has used within the last minute.

    Parameters
    ----------
    limit : int
        Weight a minute (1,200 at the venue).

    """

    def __init__(self, limit: int = WEIGHT_LIMIT) -> None:
        self._limit = limit
        self._used = 0
        # second and weight
        self._seconds: deque[list[int]] = deque()

    def left(self, ts_ns: int) -> int:
        """Return the weight that may still be used; negative once over the limit."""
        self._forget(ts_ns)
        return self._limit - self._used

    def spend(self, ts_ns: int, weight: int) -> None:
        """Count a request."""
        second = ts_ns // NS_PER_SECOND
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += weight
        else:
            # where no limit holds, nobody asks what is left
            self._forget(ts_ns)
            self._seconds.append([second, weight])
        self._used += weight

    def _forget(self, ts_ns: int) -> None:
        """Drop what is older than the window."""
        horizon = (ts_ns - int(WEIGHT_WINDOW_SECS * NS_PER_SECOND)) // NS_PER_SECOND
        seconds = self._seconds
        while seconds and seconds[0][0] < horizon:
            self._used -= seconds.popleft()[1]


class AddressMeter:
    """
    Accept or refuse the actions of one address as the venue does.

    The limit is ``initial + credited volume + bought``. Every item of a batch counts one. Cancels are taken up to a larger
    allowance. Beyond its limit an address gets one action in ten seconds; refused tries neither count nor put that off.

    Parameters
    ----------
    growth_mode : bool
        Whether volume counts a tenth.
    initial_actions : int
        What a new address may send.

    """

    def __init__(self, *, growth_mode: bool = False, initial_actions: int = INITIAL_ACTIONS) -> None:
        if initial_actions < 0:
            msg = f"initial_actions is {initial_actions}; it must be 0 or more"
            raise ValueError(msg)
        self._initial = initial_actions
        self._share = GROWTH_SHARE if growth_mode else 1.0
        self._micro = 0
        self._slow_ns = -(1 << 62)
        self.used = 0
        self.bought = 0
        self.refused = 0

    @property
    def volume(self) -> float:
        """Credited volume in collateral units: in growth mode a tenth of what was traded."""
        return self._micro / MICRO

    @property
    def limit(self) -> int:
        """Actions that the address may have sent by now."""
        return self._initial + self._micro // MICRO + self.bought

    def on_volume(self, notional: float) -> None:
        """Credit a fill of ``notional`` collateral units."""
        self._micro += floor(notional * self._share * MICRO)

    def on_bought(self, actions: int) -> None:
        """Credit actions bought with ``reserveRequestWeight``."""
        self.bought += actions

    def submit(self, ts_ns: int, kind: str, count: int = 1) -> str | None:
        """
        Take a signed action of ``count`` items; return None if it is accepted, else the venue's words.

        Raises
        ------
        ValueError
            If the kind is unknown or the count is not positive.

        """
        if kind not in KINDS or count < 1:
            msg = f"an action needs one of {', '.join(KINDS)} and a count of 1 or more, got {kind!r}, {count}"
            raise ValueError(msg)
        if count > BATCH_MAX:
            self.refused += 1
            return OVER_WEIGHT
        limit = self.limit
        allowed = cancel_limit(limit) if kind == CANCEL else limit
        if self.used + count > allowed:
            slow = count == 1 and ts_ns - self._slow_ns >= SLOW_SECS * NS_PER_SECOND
            if not slow:
                self.refused += 1
                return too_many(self.used + count, int(allowed), self.volume)
            self._slow_ns = ts_ns
        self.used += count
        return None

    def on_expired(self, count: int = 1) -> None:
        """Charge an action that came after its own ``expiresAfter``."""
        self.used += EXPIRED_COST * count

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "micro": self._micro,
            "slow_ns": self._slow_ns,
            "used": self.used,
            "bought": self.bought,
            "refused": self.refused,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self._micro = int(state["micro"])
        self._slow_ns = int(state["slow_ns"])
        self.used = int(state["used"])
        self.bought = int(state["bought"])
        self.refused = int(state["refused"])


def too_many(used: int, limit: int, volume: float) -> str:
    """Return the venue's refusal of an address over its limit, in its words."""
    return (
        f"Too many cumulative requests sent ({used} > {limit}) for cumulative volume traded ${volume:.2f}. "
        "Place taker orders to free up 1 request per USDC traded."
    )
