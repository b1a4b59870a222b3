"""What goes wrong with requests and frames: knobs with a count, a chance and a seed."""

import random
import threading
from collections import Counter
from dataclasses import dataclass
from dataclasses import fields
from dataclasses import replace
from typing import Final

from hyperliquid_loopback.types import Json


FOREVER: Final = -1
# what may happen to an HTTP request, in the order in which it is looked at
BEFORE: Final = ("drop", "too_many", "null_500", "bad_gateway", "unavailable")
SPOILED: Final = ("bad_json", "empty_reply")
AFTER: Final = ("drop_after", "lost_ack", *SPOILED)
ACTION: Final = ("nonce_collision", "agent_unknown", "post_only_phase")
FRAME: Final = ("ws_drop", "ws_duplicate", "ws_late")
SOCKET: Final = ("ws_refuse", "ws_close")
DELAYS: Final = ("delay", "delay_reply", "ws_delay")
MARKET: Final = ("stale_oracle", "empty_book", "no_bids", "no_asks")
NAMES: Final = (*BEFORE, *AFTER, *ACTION, *FRAME, *SOCKET, *DELAYS, *MARKET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """
    One ordered fault.

    Parameters
    ----------
    times : int, default 1
        How often it strikes; -1 for ever.
    rate : float, default 1
        The chance that it strikes when it could, drawn from the seed.
    skip : int, default 0
        Chances passed over first: the way to hit the n-th request or frame.
    every : int, default 0
        Chances passed over after each strike.
    value : float, default 0
        Milliseconds of a delay; frames that overtake a late one (0: three).
    only : str, default ""
        What it is limited to: ``info``, ``exchange``, a request or action type, a channel; empty for all.

    Raises
    ------
    ValueError
        If a number is out of range.

    """

    times: int = 1
    rate: float = 1.0
    skip: int = 0
    every: int = 0
    value: float = 0.0
    only: str = ""

    def __post_init__(self) -> None:
        if self.times < FOREVER:
            raise ValueError(f"`times` was {self.times}, must be -1 (for ever) or a count")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"`rate` was {self.rate}, must be 0 to 1")
        if min(self.skip, self.every, self.value) < 0:
            raise ValueError("`skip`, `every` and `value` must not be negative")


class Faults:
    """
    The knobs of a venue; any thread may turn them.

    Parameters
    ----------
    seed : int, default 1
        The seed of every chance; each knob draws its own numbers.

    """

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.struck: Counter[str] = Counter()
        self._knobs: dict[str, Knob] = {}
        self._draws: dict[str, random.Random] = {}
        self._lock = threading.Lock()
        self._taken_back: Counter[str] = Counter()

    def set(
        self,
        name: str,
        *,
        times: int = 1,
        rate: float = 1.0,
        skip: int = 0,
        every: int = 0,
        value: float = 0.0,
        only: str = "",
    ) -> None:
        """
        Order a fault, in place of what was ordered under the name; ``times`` 0 takes it back.

        Raises
        ------
        ValueError
            If there is no such knob, or a number is out of range.

        """
        if name not in NAMES:
            raise ValueError(f"no fault {name!r}; there are {', '.join(NAMES)}")
        knob = Knob(times=times, rate=rate, skip=skip, every=every, value=value, only=only)
        with self._lock:
            if times == 0:
                self._knobs.pop(name, None)
            else:
                self._knobs[name] = knob

    def clear(self, name: str | None = None) -> None:
        """Take one fault back, or all."""
        with self._lock:
            if name is None:
                self._knobs.clear()
            else:
                self._knobs.pop(name, None)
            self._taken_back.update(NAMES if name is None else (name,))

    def times_cleared(self, name: str) -> int:
        """Return how often a fault was taken back: what it holds is then let go."""
        with self._lock:
            return self._taken_back[name]

    def strike(self, name: str, *about: str) -> Knob | None:
        """
        Return the knob if the fault strikes now, and count it.

        Parameters
        ----------
        name : str
            The fault.
        *about : str
            What it would strike, for example ``exchange`` and ``order``; compared with the knob's ``only``.

        """
        with self._lock:
            knob = self._knobs.get(name)
            if knob is None or (knob.only and knob.only not in about):
                return None
            if knob.skip > 0:
                self._knobs[name] = replace(knob, skip=knob.skip - 1)
                return None
            if knob.rate < 1 and self._draw(name) >= knob.rate:
                return None
            if knob.times == 1:
                del self._knobs[name]
            else:
                left = knob.times if knob.times == FOREVER else knob.times - 1
                self._knobs[name] = replace(knob, times=left, skip=knob.every)
            self.struck[name] += 1
            return knob

    def first(self, names: tuple[str, ...], *about: str) -> tuple[str, Knob] | None:
        """Return the first of the faults that strikes now; the others are not asked."""
        for name in names:
            knob = self.strike(name, *about)
            if knob is not None:
                return name, knob
        return None

    def is_set(self, name: str) -> bool:
        """Return whether a fault is ordered, without counting it."""
        with self._lock:
            return name in self._knobs

    def report(self) -> Json:
        """Return the ordered faults and how often each has struck, fit for JSON."""
        with self._lock:
            ordered = {
                name: {each.name: getattr(knob, each.name) for each in fields(knob)}
                for name, knob in self._knobs.items()
            }
            return {"seed": self.seed, "ordered": ordered, "struck": dict(self.struck)}

    def left(self, name: str) -> int:
        """Return how often a fault will still strike: 0 when it is not ordered, -1 for ever."""
        with self._lock:
            knob = self._knobs.get(name)
            return 0 if knob is None else knob.times

    def _draw(self, name: str) -> float:
        if name not in self._draws:
            self._draws[name] = random.Random(f"{self.seed} {name}")  # noqa: S311 - chances, not secrets
        return self._draws[name].random()


class CountedFaults(Faults):
    """Faults that are also set by attribute, as a count: ``faults.too_many = 2``; ``delay_s`` lasts while above zero."""

    @property
    def delay_s(self) -> float:
        """Seconds by which every request is delayed."""
        with self._lock:
            knob = self._knobs.get("delay")
            return 0.0 if knob is None else knob.value / 1_000

    @delay_s.setter
    def delay_s(self, seconds: float) -> None:
        self.set("delay", times=FOREVER if seconds > 0 else 0, value=seconds * 1_000)

    @property
    def too_many(self) -> int:
        """Requests still to be answered 429."""
        return self.left("too_many")

    @too_many.setter
    def too_many(self, times: int) -> None:
        self.set("too_many", times=times)

    @property
    def null_500(self) -> int:
        """Requests still to be answered 500 with the body null."""
        return self.left("null_500")

    @null_500.setter
    def null_500(self, times: int) -> None:
        self.set("null_500", times=times)

    @property
    def server_error(self) -> int:
        """Requests still to be answered 502."""
        return self.left("bad_gateway")

    @server_error.setter
    def server_error(self, times: int) -> None:
        self.set("bad_gateway", times=times)

    @property
    def drop(self) -> int:
        """Requests whose connection will still be dropped without an answer."""
        return self.left("drop")

    @drop.setter
    def drop(self, times: int) -> None:
        self.set("drop", times=times)

    @property
    def bad_json(self) -> int:
        """Requests still to be answered with something that is not JSON."""
        return self.left("bad_json")

    @bad_json.setter
    def bad_json(self, times: int) -> None:
        self.set("bad_json", times=times)
