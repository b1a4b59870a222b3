"""The node's cache mirrored into Redis, for those who want to look at it from elsewhere."""

import os
import socket
import ssl
from collections.abc import MutableMapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from nautilus_trader.config import CacheConfig
from nautilus_trader.config import DatabaseConfig

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError


PORT = 6_379
PASSWORD = "AMM500_REDIS_PASSWORD"  # noqa: S105 - the variable's name
USERNAME = "AMM500_REDIS_USERNAME"
TIMEOUT_S = 5.0
REPLY_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Redis:
    """Where the server is, and who we are there; the password is in no message."""

    host: str
    port: int
    tls: bool
    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Redis({self.host}:{self.port})"


def redis_of(url: str, environ: MutableMapping[str, str] | None = None) -> Redis:
    """Return the server of an address, and take name and password out of the environment."""
    parts = urlsplit(url)
    variables = os.environ if environ is None else environ
    return Redis(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or PORT,
        tls=parts.scheme == "rediss",
        username=variables.pop(USERNAME, None) or None,
        password=variables.pop(PASSWORD, None) or None,
    )


def check(server: Redis) -> None:
    """
    Ask the server for a sign of life, before the engine does, which would wait for it.

    Raises
    ------
    SourceUnavailableError
        If it cannot be reached or does not answer as Redis does.
    InputError
        If it refuses us.

    """
    where = f"Redis at {server.host}:{server.port}"
    try:
        with socket.create_connection((server.host, server.port), timeout=TIMEOUT_S) as plain:
            stream = _tls(plain, server.host) if server.tls else plain
            if server.password is not None:
                names = [server.username] if server.username is not None else []
                _refuse(_ask(stream, "AUTH", *names, server.password), where)
            reply = _ask(stream, "PING")
    except OSError as error:
        raise SourceUnavailableError(f"{where} cannot be reached: {error}") from None
    _refuse(reply, where)
    if reply != "+PONG":
        raise SourceUnavailableError(f"{where} does not answer as Redis does")


def preflight(url: str | None) -> None:
    """
    Check the server of an address before anything of a run is made; the environment stays as it is.

    Raises
    ------
    SourceUnavailableError
        If the server cannot be reached.
    InputError
        If it refuses us.

    """
    if url is not None:
        check(redis_of(url, dict(os.environ)))


def _tls(plain: socket.socket, host: str) -> socket.socket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _ask(stream: socket.socket, *words: str) -> str:
    """Send one command in the server's protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/) and return its line."""
    parts = [f"*{len(words)}\r\n".encode()]
    parts += [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
    stream.sendall(b"".join(parts))
    reply = b""
    while not reply.endswith(b"\r\n") and len(reply) < REPLY_BYTES:
        more = stream.recv(REPLY_BYTES)
        if not more:
            break
        reply += more
    return reply.decode(errors="replace").strip()


def _refuse(reply: str, where: str) -> None:
    if reply.startswith(("-NOAUTH", "-WRONGPASS", "-ERR AUTH", "-ERR invalid", "-NOPERM")):
        raise InputError(
            f"refuses us ({reply[1:].split(maxsplit=1)[0]})", where, f"its password in {PASSWORD}"
        )


def cache_config(url: str | None) -> CacheConfig | None:
    """
    Return the engine's cache configuration for an address, None without one.

    Every start writes under keys of its own (``trader-AMM500-001:<instance>:...``) and reads nothing back: what a run starts from is
    the journal and the venue.

    """
    if url is None:
        return None
    server = redis_of(url)
    return CacheConfig(
        database=DatabaseConfig(
            type="redis",
            host=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            ssl=server.tls,
            connection_timeout=int(TIMEOUT_S),
        ),
        use_instance_id=True,
        buffer_interval_ms=100,
    )
