"""The exchange's info endpoint over HTTP: one request, one answer, every failure one sentence."""

import threading
import time
from collections.abc import Callable
from typing import Any
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.deadline import Deadline
from amm500_catalog.sources.ratelimit import WeightBucket
from hyperliquid_hip3.constants import MAINNET_URL
from hyperliquid_hip3.constants import info_weight


CONNECT_TIMEOUT_S: Final = 3.0
READ_TIMEOUT_S: Final = 8.0
LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})

# the venue counts by address, and so do all clients of this process together
_SHARED_BUCKET: Final = WeightBucket()


class InfoClient:
    """
    Ask the exchange's info endpoint.

    Nothing is retried: a failure goes to the caller, who has other sources.

    Parameters
    ----------
    base_url : str
        The exchange's address, without ``/info``.
    bucket : WeightBucket, optional
        The weight to spend from; by default the process's own, shared by all clients.
    transport : httpx.BaseTransport, optional
        What carries the requests, for tests.
    pause : callable, optional
        Waits so many seconds.

    """

    def __init__(
        self,
        base_url: str = MAINNET_URL,
        *,
        bucket: WeightBucket | None = None,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._url = base_url.rstrip("/") + "/info"
        self._host = urlsplit(base_url).hostname or base_url
        self._bucket = _SHARED_BUCKET if bucket is None else bucket
        self._transport = transport
        self._pause = pause
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None

    def post(self, body: dict[str, Any], deadline: Deadline) -> Any:
        """
        Return the decoded answer.

        Parameters
        ----------
        body : dict
            The request, with its ``type``.
        deadline : Deadline
            The end of the whole fetch that this request belongs to.

        Raises
        ------
        SourceUnavailableError
            If there is no answer, or none that can be used.

        """
        what = describe(body)
        weight = info_weight(str(body["type"]))
        wait_s = self._bucket.wait_for(weight)
        if wait_s > deadline.check(what):
            raise SourceUnavailableError(
                f"{what}: the request weight of this minute is spent, {wait_s:.0f} s to wait is more than the time left",
            )
        if wait_s > 0:
            self._pause(wait_s)
        self._bucket.spend(weight)
        response = self._send(body, what, deadline.check(what))
        answer = self._decode(response, what)
        if isinstance(answer, list):
            self._bucket.spend(info_weight(str(body["type"]), len(answer)) - weight)
        return answer

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        with self._lock:
            client, self._http = self._http, None
        if client is not None:
            client.close()

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                # a proxy of the environment must not stand between us and this very machine
                self._http = httpx.Client(transport=self._transport, trust_env=self._host not in LOCAL_HOSTS)
            return self._http

    def _send(self, body: dict[str, Any], what: str, left_s: float) -> httpx.Response:
        timeout = httpx.Timeout(min(READ_TIMEOUT_S, left_s), connect=min(CONNECT_TIMEOUT_S, left_s))
        try:
            return self._client().post(self._url, json=body, timeout=timeout)
        except httpx.TimeoutException as e:
            raise SourceUnavailableError(f"{what}: {self._host} did not answer in time") from e
        except httpx.HTTPError as e:
            raise SourceUnavailableError(f"{what}: {self._host} could not be reached ({_reason(e)})") from e

    def _decode(self, response: httpx.Response, what: str) -> Any:
        status = response.status_code
        # the venue answers an unknown dex with 500 and the body null, an unknown coin sometimes with 200 and null
        is_null = response.content.strip() == b"null"
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise SourceUnavailableError(
                f"{what}: the exchange's limit for this address is reached (HTTP 429)"
            )
        if is_null and status in (httpx.codes.OK, httpx.codes.INTERNAL_SERVER_ERROR):
            raise SourceUnavailableError(
                f"{what}: the exchange knows no such coin or dex (HTTP {status}, null)"
            )
        if status == httpx.codes.UNPROCESSABLE_ENTITY:
            raise SourceUnavailableError(f"{what}: the exchange does not understand the request (HTTP 422)")
        if status != httpx.codes.OK:
            raise SourceUnavailableError(f"{what}: the exchange failed (HTTP {status})")
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError as e:
            raise SourceUnavailableError(f"{what}: the answer is not JSON") from e


def describe(body: dict[str, Any]) -> str:
    """Return what a request asks for in a few words, for example ``candleSnapshot of km:US500``."""
    inner = body.get("req", body)
    of = inner.get("coin") or body.get("dex")
    return f"{body['type']} of {of}" if of else str(body["type"])


def _reason(error: httpx.HTTPError) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0].rstrip(".")
