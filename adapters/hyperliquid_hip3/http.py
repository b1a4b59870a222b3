"""
One POST over the engine's HTTP client: an answer, or an error that says whether the request can have been executed.

What the engine's client says about a failure was measured (refused port, unknown host, a server that hangs up before, in the middle of
and instead of an answer, one that stays silent, a failed TLS handshake). All that happens while the connection is being made reads
``client error (Connect)``, and nothing of the request was sent; after everything else the venue may have acted on it.
"""

import asyncio
import math
import re
import time
from typing import Final
from typing import NamedTuple
from typing import Protocol
from urllib.parse import urlsplit

from nautilus_trader.core import nautilus_pyo3

from hyperliquid_hip3.errors import TransportError


JSON_HEADERS: Final = {"Content-Type": "application/json"}
NOT_CONNECTED: Final = "client error (Connect): "
OF_URL: Final = re.compile(r"\s*for url \([^)]*\)")
OS_CODE: Final = re.compile(r"\s*\(os error \d+\)")
# an address has 40 digits; keys, hashes and halves of signatures have up to 64, without leading zeros a few less
LONG_HEX: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{48,}")
MAX_REASON: Final = 200


class NotSentError(TransportError):
    """The request certainly never left: the venue cannot have acted on it."""


class RateLimitedError(TransportError):
    """The venue answered 429: it did not look at the request, and wants fewer of them."""


class HttpReply(NamedTuple):
    """An answer, whatever its status: when it was asked for, on the wall clock (UTC) and the monotonic one, and how long it took."""

    status: int
    body: bytes
    sent_ns: int
    sent_monotonic_ns: int
    round_trip_ns: int


class Transport(Protocol):
    """What carries a request to the venue."""

    async def post(self, path: str, body: bytes, *, what: str, timeout_s: float) -> HttpReply:
        """Return the venue's answer; raise TransportError, with ``what`` and the host, when there is none."""


class HttpTransport:
    """
    Carries requests to one host, over connections that it keeps open.

    Parameters
    ----------
    url : str
        The venue's address without a path, for example ``https://api.hyperliquid.xyz``.

    Raises
    ------
    ValueError
        If it is not an http or https address, or holds a user name or password.

    """

    def __init__(self, url: str) -> None:
        self.host = host_of(url, schemes=("http", "https"))
        self._url = url.rstrip("/")
        self._client = nautilus_pyo3.HttpClient()

    async def post(self, path: str, body: bytes, *, what: str, timeout_s: float) -> HttpReply:
        """
        Send a JSON body and return the answer, whatever its status.

        Parameters
        ----------
        path : str
            ``/info`` or ``/exchange``.
        body : bytes
            The JSON text.
        what : str
            The request in a few words, for the error.
        timeout_s : float
            Seconds until the whole answer must be here.

        Raises
        ------
        NotSentError
            If no connection came about.
        TransportError
            If it broke off, or the time ran out: the outcome is unknown.

        """
        sent_ns = time.time_ns()
        started = time.monotonic_ns()
        try:
            # it is on its way from here on, and the timeout is set while it is
            answer = self._client.post(
                f"{self._url}{path}",
                body=body,
                headers=JSON_HEADERS,
                # the client counts whole seconds: its own limit only clears up behind ours
                timeout_secs=math.ceil(timeout_s) + 1,
            )
            async with asyncio.timeout(timeout_s):
                reply = await answer
        except (TimeoutError, nautilus_pyo3.HttpTimeoutError) as e:
            raise TransportError(f"{what}: {self.host} did not answer within {timeout_s:g} s") from e
        except nautilus_pyo3.HttpError as e:
            raise self._mapped(str(e), what) from e
        return HttpReply(reply.status, reply.body, sent_ns, started, time.monotonic_ns() - started)

    def _mapped(self, text: str, what: str) -> TransportError:
        _, is_unconnected, reason = text.partition(NOT_CONNECTED)
        if is_unconnected:
            return NotSentError(f"{what}: no connection to {self.host} ({clean_reason(reason)})")
        return TransportError(f"{what}: the connection to {self.host} broke off ({clean_reason(text)})")


def host_of(url: str, *, schemes: tuple[str, ...]) -> str:
    """
    Return the host of an address, with its port where it names one.

    Raises
    ------
    ValueError
        If the scheme is not one of ``schemes``, there is no host, or a user name or password is in it.

    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as e:
        raise ValueError(f"`url` cannot be read: {e}") from None
    if parts.username is not None or parts.password is not None:
        # it would show up in logs and errors; not even this sentence repeats it
        raise ValueError("`url` must not hold a user name or password")
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(
            f"`url` was {url!r}, must begin with {' or '.join(f'{s}://' for s in schemes)} and a host"
        )
    return parts.hostname if port is None else f"{parts.hostname}:{port}"


def clean_reason(text: str) -> str:
    """Return a library's or the venue's words on one line: no address, nothing that could be a key or a signature, cut short."""
    text = OS_CODE.sub("", OF_URL.sub("", text))
    return LONG_HEX.sub("(hex)", " ".join(text.split()))[:MAX_REASON].rstrip(". ")
