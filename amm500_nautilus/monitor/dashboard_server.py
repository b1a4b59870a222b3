"""Where the dashboard listens, and whether it may: loopback, or TLS, or a stated proxy."""

import ipaddress
import secrets
import socket
import ssl
import threading
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.dashboard_gate import ENTER
from amm500_nautilus.monitor.dashboard_gate import TOKEN_BYTES
from amm500_nautilus.monitor.dashboard_gate import Gate
from amm500_nautilus.monitor.dashboard_gate import Tickets
from amm500_nautilus.monitor.dashboard_journal import JournalView
from amm500_nautilus.monitor.errors import MonitorError


LOOPBACK = "127.0.0.1"
REQUEST_S = 20.0
MOST_THREADS = 64
HIGHEST_PORT = 65_535
# what a process that shows a page needs of its environment; everything else is dropped, keys and passwords among it
KEPT_VARIABLES = frozenset(
    {
        "COLUMNS",
        "HOME",
        "LANG",
        "LANGUAGE",
        "LOGNAME",
        "NO_COLOR",
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "PYTHONUTF8",
        "SHELL",
        "TERM",
        "TMPDIR",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """
    Where and how the page is served.

    Parameters
    ----------
    host : str
        Address to listen at; a name is looked up.
    port : int
        0 takes a free one.
    allowed_hosts : tuple of str
        Names beside the address itself that browsers may call it by.
    certificate, key : Path, optional
        TLS files, PEM; both or none.
    behind_proxy : bool
        A proxy in front speaks TLS and lets nobody else near.
    token : str
        What programs carry in a header; empty makes one that nobody knows.

    """

    host: str = LOOPBACK
    port: int = 0
    allowed_hosts: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False
    token: str = ""


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that is kept."""
    return {
        name: value for name, value in environ.items() if name in KEPT_VARIABLES or name.startswith("LC_")
    }


def is_loopback(host: str) -> bool:
    """
    Return whether an address, or every address of a name, is this machine's own.

    Raises
    ------
    MonitorError
        If the name has no address.

    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise MonitorError(f"{host}: no address of this machine ({error.strerror})") from error
    return all(ipaddress.ip_address(str(info[4][0]).partition("%")[0]).is_loopback for info in found)


def check(settings: ServerSettings) -> None:
    """
    Refuse what would show the page to a network unprotected.

    Raises
    ------
    MonitorError
        With what is wrong and what is allowed.

    """
    if not 0 <= settings.port <= HIGHEST_PORT:
        raise MonitorError(
            f"--port {settings.port} is none: 0 to {HIGHEST_PORT} are allowed, 0 takes a free one"
        )
    if (settings.certificate is None) != (settings.key is None):
        raise MonitorError("TLS needs both files: --tls-cert and --tls-key")
    has_tls = settings.certificate is not None
    if not has_tls and not settings.behind_proxy and not is_loopback(settings.host):
        raise MonitorError(
            f"--host {settings.host} is beyond this machine: give --tls-cert and --tls-key, or state with "
            "--behind-proxy that a proxy in front speaks TLS; or leave it at 127.0.0.1 and use ssh -L"
        )


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise MonitorError(f"the TLS files {certificate} and {key} cannot be used: {error}") from error
    return context


class DashboardServer:
    """
    Serve the page of a journal behind its gate, from threads of its own.

    Parameters
    ----------
    view : JournalView
        What is shown.
    settings : ServerSettings
        Where and how.
    on_link : callable
        Told each one-time link, the first at ``start``, the next whenever one was used.

    Raises
    ------
    MonitorError
        If the settings would show the page unprotected, dash is not installed, or the port is taken.

    """

    def __init__(
        self,
        view: JournalView,
        settings: ServerSettings,
        on_link: Callable[[str], None] = lambda _link: None,
    ) -> None:
        check(settings)
        try:
            from amm500_nautilus.monitor.dashboard_page import make_page  # noqa: PLC0415 - needs an extra
        except ImportError as error:
            if (error.name or "").partition(".")[0] not in ("dash", "plotly", "flask"):
                raise
            raise MonitorError("the dashboard needs the extra ops: pip install 'amm500[ops]'") from None
        self._view = view
        self._settings = settings
        self._on_link = on_link
        self._tickets = Tickets()
        page, scripts = make_page(view)
        context = None
        if settings.certificate is not None and settings.key is not None:
            context = _tls(settings.certificate, settings.key)
        self._is_secure = context is not None or settings.behind_proxy
        gate = Gate(
            page,
            token=settings.token or secrets.token_urlsafe(TOKEN_BYTES),
            hosts={settings.host, *settings.allowed_hosts, *_own_names(settings.host)},
            tickets=self._tickets,
            secure=self._is_secure,
            scripts=scripts,
            on_entry=self._offer,
        )
        self._server = _listen(settings, gate, context)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="dashboard", daemon=True)

    @property
    def url(self) -> str:
        """Where it is, as a browser on this machine names it."""
        host = self._settings.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            host = LOOPBACK
        name = f"[{host}]" if ":" in host else host
        return f"{'http' if self._server.ssl_context is None else 'https'}://{name}:{self.port}"

    def new_link(self) -> str:
        """Return a link that lets one browser in, once."""
        return f"{self.url}{ENTER}{self._tickets.new()}"

    def _offer(self) -> None:
        self._on_link(self.new_link())

    def start(self) -> None:
        """Serve, and tell the first link."""
        self._thread.start()
        self._offer()

    def close(self) -> None:
        """Serve no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._view.close()


def _own_names(host: str) -> tuple[str, ...]:
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return (LOOPBACK, "localhost", "::1")
    return ("localhost",) if is_loopback(host) else ()


def _listen(settings: ServerSettings, gate: Gate, context: ssl.SSLContext | None) -> Any:
    from werkzeug.serving import ThreadedWSGIServer  # noqa: PLC0415 - comes with dash
    from werkzeug.serving import WSGIRequestHandler  # noqa: PLC0415

    class Handler(WSGIRequestHandler):
        timeout = REQUEST_S
        protocol_version = "HTTP/1.1"

        def version_string(self) -> str:
            return "amm500"

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - its own name
            """Say nothing: a request every two seconds is no news, and a link is nobody's business."""

    class Server(ThreadedWSGIServer):
        daemon_threads = True
        _slots = threading.BoundedSemaphore(MOST_THREADS)

        def get_request(self) -> tuple[Any, Any]:
            peer, address = super().get_request()
            peer.settimeout(REQUEST_S)
            if context is not None:
                # the handshake is the thread's business: one that never comes must not hold up the others
                peer = context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
            return peer, address

        def process_request(self, request: Any, client_address: Any) -> None:
            if not self._slots.acquire(blocking=False):
                self.shutdown_request(request)
                return
            super().process_request(request, client_address)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            try:
                super().process_request_thread(request, client_address)
            finally:
                self._slots.release()

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing: a visitor who hangs up, or speaks no TLS, is no fault of ours."""

    listener = _bound(settings)
    with listener:
        server = Server(settings.host, settings.port, gate, handler=Handler, fd=listener.fileno())
    server.ssl_context = context
    return server


def _bound(settings: ServerSettings) -> socket.socket:
    """Listen; the library would end the process where the port is taken."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise MonitorError(f"{settings.host}: no address of this machine ({error.strerror})") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(MOST_THREADS)
    except OSError as error:
        listener.close()
        msg = f"{settings.host}:{settings.port}: the dashboard cannot listen there ({error.strerror})"
        raise MonitorError(msg) from error
    return listener
