"""Alerts: a person is told by e-mail, Slack or whatever else apprise speaks, once per kind and half hour."""

import logging
import queue
import threading
import warnings
from collections.abc import Callable
from collections.abc import MutableMapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Protocol

from amm500_nautilus.monitor.errors import MonitorError


# apprise URLs, separated by spaces or lines; they hold passwords and tokens
VARIABLE = "AMM500_ALERT_URLS"
COOLDOWN_S = 1_800.0
DEPTH = 100
TRIES = 3
RETRY_S = 5.0
NS = 1_000_000_000

SENT = "sent"
COOLDOWN = "cooldown"
FAILED = "failed"
NO_CHANNEL = "no channel"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to be told: its ``kind`` is what the cooldown goes by."""

    ts_ns: int
    kind: str
    title: str
    body: str


class Channel(Protocol):
    """A way to a person; ``name`` may be logged."""

    @property
    def name(self) -> str:
        """What the channel is called in the journal; never its address."""

    def send(self, title: str, body: str) -> bool:
        """Send, and return whether it was taken; may block for seconds."""


class AppriseChannel:
    """
    One apprise URL; it is shown nowhere.

    Parameters
    ----------
    url : str
        For example ``mailtos://...`` or ``slack://...``; https://appriseit.com/services lists them.

    Raises
    ------
    MonitorError
        If apprise is not installed or does not know the URL; the sentence does not repeat it.

    """

    def __init__(self, url: str) -> None:
        # apprise logs addresses, and what it sends them by logs the path: at Slack that is the secret
        for name in ("apprise", "urllib3.connectionpool"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            # what apprise and its plugins import is their own affair
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                import apprise  # noqa: PLC0415 - an extra: a run without alerts does not need it
            except ImportError:
                raise MonitorError(
                    f"alerts need the extra ops: pip install 'amm500[ops]' (or unset {VARIABLE})"
                ) from None
            self._target: Any = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if self._target is None:
            raise MonitorError(
                f"an address in {VARIABLE} is none that apprise knows; its text is not repeated"
            )
        self._name = str(self._target.service_name)

    def __repr__(self) -> str:
        return f"AppriseChannel({self._name})"

    @property
    def name(self) -> str:
        """The service's name, for example E-Mail."""
        return self._name

    def send(self, title: str, body: str) -> bool:
        """Send, and return whether it was taken."""
        return bool(self._target.notify(body=body, title=title))


def channels_from(environ: MutableMapping[str, str]) -> list[Channel]:
    """Return the channels that the environment names, and take the variable out of it: no child may inherit it."""
    return [AppriseChannel(url) for url in environ.pop(VARIABLE, "").split()]


class Alerter:
    """
    Tell a person, never waiting on the loop's thread.

    The first of a kind is sent at once; others of its kind within the cooldown are only journaled, and the next one sent says how
    many there were. One that no channel took does not start a cooldown.

    Parameters
    ----------
    channels : sequence of Channel
        Where to; none at all is allowed, and said in each outcome.
    record : callable
        Takes each alert with its outcome, from any thread.
    cooldown_secs : float
        Between two of one kind.
    retry_secs : float
        Between two tries of one that was not taken.

    """

    def __init__(
        self,
        channels: Sequence[Channel],
        record: Callable[[Alert, str], None],
        *,
        cooldown_secs: float = COOLDOWN_S,
        retry_secs: float = RETRY_S,
    ) -> None:
        self._channels = list(channels)
        self._record = record
        self._cooldown_ns = int(cooldown_secs * NS)
        self._retry_s = retry_secs
        self._queue: queue.Queue[Alert | None] = queue.Queue(DEPTH)
        self._lock = threading.Lock()
        self._last_ns: dict[str, int] = {}
        self._held: dict[str, int] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)
        self.outcomes: dict[str, int] = {}

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The channels' names."""
        return tuple(channel.name for channel in self._channels)

    def start(self) -> None:
        """Start the thread that sends."""
        self._thread.start()

    def tell(self, alert: Alert) -> None:
        """Take an alert; returns at once."""
        with self._lock:
            last = self._last_ns.get(alert.kind)
            is_held = last is not None and alert.ts_ns - last < self._cooldown_ns
            if is_held:
                self._held[alert.kind] = self._held.get(alert.kind, 0) + 1
            else:
                self._last_ns[alert.kind] = alert.ts_ns
        if is_held:
            self._note(alert, COOLDOWN)
            return
        try:
            self._queue.put_nowait(alert)
        except queue.Full:
            self.forget(alert.kind)
            self._note(alert, FAILED)

    def forget(self, kind: str) -> None:
        """Let the next of a kind be sent at once, whatever was sent before."""
        with self._lock:
            self._last_ns.pop(kind, None)

    def close(self, timeout_s: float = 20.0) -> None:
        """Send what waits, trying no more than once, and end."""
        if not self._thread.is_alive():
            return
        self._ending.set()
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _note(self, alert: Alert, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self._record(alert, outcome)

    def _work(self) -> None:
        while (alert := self._queue.get()) is not None:
            self._note(alert, self._deliver(alert))

    def _deliver(self, alert: Alert) -> str:
        with self._lock:
            held = self._held.pop(alert.kind, 0)
        if not self._channels:
            return NO_CHANNEL
        body = alert.body if not held else f"{alert.body}\n{held} more of this kind since the last alert."
        left = list(self._channels)
        for number in range(TRIES):
            left = [channel for channel in left if not _sent(channel, alert.title, body)]
            if not left or (number + 1 < TRIES and self._ending.wait(self._retry_s)):
                break
        if len(left) == len(self._channels):
            # nobody knows: the next of this kind must not wait
            self.forget(alert.kind)
        return SENT if not left else f"{FAILED}: {', '.join(channel.name for channel in left)}"


def _sent(channel: Channel, title: str, body: str) -> bool:
    try:
        return channel.send(title, body)
    except Exception as error:  # noqa: BLE001 - somebody else's code for each service: no list would be whole
        # what is not caught ends the thread, and every later alert with it; the text may hold the address, so the class is told
        logging.getLogger(__name__).warning("%s: %s", channel.name, type(error).__name__)
        return False
