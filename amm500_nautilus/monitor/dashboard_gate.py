"""Who may see the dashboard: every request passes here first, before any route of the page."""

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from html import escape
from http import HTTPStatus
from http.cookies import CookieError
from http.cookies import SimpleCookie
from typing import Any

from amm500_nautilus.monitor.errors import MonitorError


COOKIE = "amm500_dashboard"
ENTER = "/enter/"
TOKEN_BYTES = 32
# in characters; a token of one's own must not be easier to guess than ours
SHORTEST_TOKEN = 32
TICKET_S = 600.0
LONGEST_BODY = 65_536
ASSET_S = 3_600
CALLBACK = "/_dash-update-component"
# no icon: a browser would ask for one by itself
_ICON = b'<!doctype html><link rel="icon" href="data:,">'
_PAGES = frozenset({"/", "/_dash-layout", "/_dash-dependencies", "/_favicon.ico", CALLBACK})
_FOLDERS = ("/assets/", "/_dash-component-suites/")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class Tickets:
    """One-time links: each lets one browser in, once, for ten minutes; a new one is made when one was used."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, float] = {}

    def new(self) -> str:
        """Return the secret part of a new link."""
        with self._lock:
            ticket = secrets.token_urlsafe(TOKEN_BYTES)
            self._open[ticket] = self._clock() + TICKET_S
            return ticket

    def take(self, ticket: str) -> bool:
        """Use a link up; False for one that is used, too old or none of ours."""
        with self._lock:
            now = self._clock()
            self._open = {text: end for text, end in self._open.items() if end > now}
            # every one is compared, whichever fits
            found = [
                text for text in self._open if hmac.compare_digest(text.encode(), ticket.encode("utf-8"))
            ]
            for text in found:
                del self._open[text]
            return bool(found)


class Gate:
    """
    Let through what names an allowed Host and carries the token, in a cookie or an ``Authorization: Bearer`` header.

    Parameters
    ----------
    page : WSGI application
        What is behind the gate; None while it is being made.
    token : str
        What a visitor must carry; compared in constant time.
    hosts : iterable of str
        Names that a Host header may carry, without a port: a page of another site, whose name is pointed at this machine, must not
        read this one.
    tickets : Tickets
        One-time links.
    secure : bool
        Whether browsers reach it by TLS; the cookie is then sent by no other way.
    scripts : iterable of str
        Content-Security-Policy sources of the page's own inline scripts.
    on_entry : callable
        Called after a one-time link was used.

    Raises
    ------
    MonitorError
        If the token is too short.

    """

    def __init__(
        self,
        page: Application,
        *,
        token: str,
        hosts: Iterable[str],
        tickets: Tickets,
        secure: bool = False,
        scripts: Iterable[str] = (),
        on_entry: Callable[[], None] = lambda: None,
    ) -> None:
        if len(token) < SHORTEST_TOKEN:
            raise MonitorError(f"a token needs at least {SHORTEST_TOKEN} characters")
        self._page = page
        self._token = token.encode()
        self._hosts = frozenset(host.lower() for host in hosts)
        self._tickets = tickets
        self._secure = secure
        self._on_entry = on_entry
        self._headers = headers_of(scripts)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        refused = self._refusal(environ)
        if refused is not None:
            return self._answer(start_response, *refused)
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith(ENTER):
            return self._enter(path.removeprefix(ENTER), environ, start_response)
        if not self._carries_token(environ):
            text = "this page needs the one-time link that `amm500 dashboard` printed on its terminal"
            return self._answer(start_response, HTTPStatus.UNAUTHORIZED, text)
        is_asset = path.startswith(_FOLDERS)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            ours = {name.lower() for name, _ in self._headers}
            kept = [(name, value) for name, value in headers if name.lower() not in ours]
            kept = [(name, value) for name, value in kept if name.lower() != "cache-control"]
            # the libraries are a megabyte; figures are for this moment alone
            kept.append(("Cache-Control", f"private, max-age={ASSET_S}" if is_asset else "no-store"))
            return start_response(status, [*kept, *self._headers], exc_info)

        return self._page(environ, start)

    def _refusal(self, environ: Environ) -> tuple[HTTPStatus, str] | None:
        """Return why a request is refused whoever sends it."""
        host = str(environ.get("HTTP_HOST", ""))
        if host_name(host) not in self._hosts:
            return HTTPStatus.FORBIDDEN, "this Host is not allowed; --allow-host names one more"
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and host_name(str(origin).partition("://")[2]) != host_name(host):
            return HTTPStatus.FORBIDDEN, "another site's page may not ask here"
        path, method = str(environ.get("PATH_INFO", "")), environ.get("REQUEST_METHOD")
        if path not in _PAGES and not path.startswith((*_FOLDERS, ENTER)):
            return HTTPStatus.NOT_FOUND, "nothing is here"
        if method not in (("POST",) if path == CALLBACK else ("GET", "HEAD")):
            return HTTPStatus.METHOD_NOT_ALLOWED, "this page only reads"
        length = str(environ.get("CONTENT_LENGTH") or "0")
        if not length.isdecimal() or int(length) > LONGEST_BODY or "HTTP_TRANSFER_ENCODING" in environ:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long"
        return None

    def _carries_token(self, environ: Environ) -> bool:
        kind, _, sent = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        given = [sent.strip() if kind.lower() == "bearer" else "", _cookie(environ)]
        # both are compared, so that time does not tell which one was there
        fits = [hmac.compare_digest(text.encode("utf-8", "replace"), self._token) for text in given]
        return any(fits)

    def _enter(self, ticket: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("REQUEST_METHOD") != "GET" or not self._tickets.take(ticket):
            text = "this link was used, is too old, or never was one; the terminal of `amm500 dashboard` shows the newest"
            return self._answer(start_response, HTTPStatus.UNAUTHORIZED, text)
        parts = [f"{COOKIE}={self._token.decode()}", "HttpOnly", "SameSite=Strict", "Path=/"]
        if self._secure:
            parts.append("Secure")
        # a page that leads on, and no redirect: after one from another program's link a strict cookie would not be sent
        body = _ICON + b'<meta http-equiv="refresh" content="0;url=/"><p><a href="/">on to the dashboard</a>'
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
        headers += [
            ("Set-Cookie", "; ".join(parts)),
            ("Cache-Control", "no-store"),
            *self._headers,
        ]
        start_response("200 OK", headers)
        self._on_entry()
        return [body]

    def _answer(self, start_response: StartResponse, status: HTTPStatus, text: str) -> Iterable[bytes]:
        body = _ICON + f"<title>AMM-500</title><p>{escape(text)}</p>\n".encode()
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
        headers += [("Cache-Control", "no-store"), *self._headers]
        if status == HTTPStatus.UNAUTHORIZED:
            headers.append(("WWW-Authenticate", 'Bearer realm="amm500"'))
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]


def host_name(host: str) -> str:
    """Return the name in a Host header without its port; brackets of an IPv6 address stay off."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def headers_of(scripts: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Return the headers of every answer: nothing from elsewhere is loaded, framed or told where the visitor came from."""
    policy = (
        "default-src 'none'; connect-src 'self'; font-src 'self' data:; img-src 'self' data: blob:; "
        # Dash's components bring their styles along
        "style-src 'self' 'unsafe-inline'; "
        f"script-src {' '.join(["'self'", *scripts])}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return [
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]


def _cookie(environ: Environ) -> str:
    try:
        found = SimpleCookie(str(environ.get("HTTP_COOKIE", ""))).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
