"""A listening socket that can be closed at any moment without leaving a connection behind."""

import asyncio
import socket
from typing import Final

from aiohttp import web

from hyperliquid_loopback.config import HOST


# turns of the loop from a connection's arrival to its place among the runner's connections: two, and two to spare
_ACCEPT_TURNS: Final = 4


class Listening:
    """
    Take connections for a runner on 127.0.0.1.

    asyncio accepts a connection in one turn of its loop and hands it to the server in a later one. A server that is closed
    between the two never hears of it, and its socket stays open (``Server._attach`` asserts, CPython 3.12). So the loop first
    stops accepting, what was accepted arrives, and only then is the server closed.

    Parameters
    ----------
    runner : web.AppRunner
        Who serves the connections; it must be set up.

    """

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._socket: socket.socket | None = None
        self._site: web.SockSite | None = None

    async def start(self, port: int = 0) -> int:
        """
        Take connections and return the port; 0 takes a free one.

        Raises
        ------
        OSError
            If the port cannot be taken.

        """
        self._socket = socket.create_server((HOST, port))
        try:
            self._site = web.SockSite(self._runner, self._socket)
            await self._site.start()
        except BaseException:
            self._socket.close()
            self._socket = self._site = None
            raise
        return int(self._socket.getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections; those that are open stay. Without effect where nothing listens."""
        if self._socket is None or self._site is None:
            return
        listening, site = self._socket, self._site
        self._socket = self._site = None
        asyncio.get_running_loop().remove_reader(listening)
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        await site.stop()
