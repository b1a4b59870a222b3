"""``/metrics`` and ``/health`` over HTTP, from a thread of its own: a loop that hangs is still seen to hang."""

import json
import threading
from collections.abc import Callable
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

from amm500_nautilus.monitor.errors import MonitorError
from amm500_nautilus.monitor.metrics import Collector
from amm500_nautilus.monitor.metrics import Figures
from amm500_nautilus.risk.types import RiskState


# the loop reports every second; silent for so long it hangs (live.md section 4 restarts it then)
SILENT_S = 10.0
REQUEST_S = 5.0
LOOPBACK = "127.0.0.1"
NS = 1e9
_TEXT = "text/plain; charset=utf-8"


def health(figures: Figures, now_ns: int) -> tuple[bool, dict[str, Any]]:
    """
    Return whether the node is well, and the words for it.

    It is well while its loop reports, its journal is written and it is not halted; a pause is not an illness.
    """
    reading = figures.reading
    age = (now_ns - reading.ts_ns) / NS if reading.ts_ns else None
    troubles = []
    if age is None:
        troubles.append("the loop has not reported yet")
    elif age > SILENT_S:
        troubles.append(f"the loop is silent for {age:.0f} s")
    if figures.journal[0]:
        troubles.append("the journal cannot be written")
    if reading.state == RiskState.HALTED:
        troubles.append("halted")
    words = {
        "ok": not troubles,
        "state": reading.state,
        "reasons": list(reading.reasons),
        "age_seconds": None if age is None else round(age, 3),
        "troubles": troubles,
        **figures.info,
    }
    return not troubles, words


class MetricsEndpoint:
    """
    Serve ``/metrics`` and ``/health``, read-only.

    Parameters
    ----------
    figures : Figures
        What is shown.
    now_ns : callable
        The time, by which the loop's silence is measured.
    port : int
        0 takes a free one; ``port`` says which.
    host : str
        Where to listen; the loopback address unless the run file says otherwise.
    hosts : iterable of str
        Names that a request's Host header may carry beside the address itself: a page of another site, opened by a name that
        resolves to this machine, must not read these figures.

    Raises
    ------
    MonitorError
        If prometheus_client is not installed or the port is taken.

    """

    def __init__(
        self,
        figures: Figures,
        now_ns: Callable[[], int],
        *,
        port: int = 0,
        host: str = LOOPBACK,
        hosts: Iterable[str] = ("localhost",),
    ) -> None:
        try:
            from prometheus_client import CONTENT_TYPE_LATEST  # noqa: PLC0415 - an extra
            from prometheus_client import CollectorRegistry  # noqa: PLC0415
            from prometheus_client import generate_latest  # noqa: PLC0415
        except ImportError:
            raise MonitorError("metrics need the extra ops: pip install 'amm500[ops]'") from None
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Collector(figures))

        def page(path: str) -> tuple[HTTPStatus, str, bytes]:
            if path == "/metrics":
                return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)
            if path == "/health":
                is_well, words = health(figures, now_ns())
                status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
                return status, "application/json", json.dumps(words).encode() + b"\n"
            return HTTPStatus.NOT_FOUND, _TEXT, b"/metrics and /health are here\n"

        allowed = {host, *hosts}

        class Handler(_PageHandler):
            make = staticmethod(page)
            allowed_hosts = frozenset(allowed)

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise MonitorError(f"{host}:{port}: metrics cannot listen there ({error.strerror})") from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Serve from a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _PageHandler(BaseHTTPRequestHandler):
    """Answer GET with a page, to a Host that is allowed."""

    timeout = REQUEST_S
    make: Callable[[str], tuple[HTTPStatus, str, bytes]]
    allowed_hosts: frozenset[str]

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in self.allowed_hosts:
            self._answer(HTTPStatus.FORBIDDEN, _TEXT, b"this Host is not allowed\n")
            return
        self._answer(*self.make(self.path.partition("?")[0]))

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Name no version."""
        return "amm500"

    def log_message(self, *about: Any) -> None:
        """Say nothing: a scrape every few seconds is no news."""
