"""A Redis server of a test's own: on a free port of this machine, in a folder that goes with the test."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


PASSWORD = "a-password-of-a-test"


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """The port of a server that asks for ``PASSWORD``; it ends with the block."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder))
    process = subprocess.Popen(
        [binary, "--port", str(port), "--requirepass", PASSWORD, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server never listened"
                time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def keys(port: int, pattern: str) -> list[str]:
    """The server's keys."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        stream.sendall(f"AUTH {PASSWORD}\r\nKEYS {pattern}\r\nPING\r\n".encode())
        reply = b""
        while not reply.endswith(b"+PONG\r\n"):
            reply += stream.recv(65_536)
    return [line for line in reply.decode().split("\r\n") if line.startswith("trader-")]
