"""What the data client needs of a socket and a recorder, so that tests can speak for the venue."""

import asyncio
from collections.abc import Callable
from typing import Any
from typing import Protocol


class Socket(Protocol):
    """The part of ``VenueSocket`` that is used."""

    async def connect(self) -> None:
        """Connect, and stay connected."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...

    def subscribe(self, subscription: dict[str, Any]) -> None:
        """Ask for a feed."""
        ...

    def unsubscribe(self, subscription: dict[str, Any]) -> None:
        """Give up a feed."""
        ...


class Recorder(Protocol):
    """The part of ``FrameRecorder`` that is used."""

    def start(self) -> None:
        """Begin."""
        ...

    def write(self, raw: bytes, received_ns: int) -> None:
        """Keep a frame."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class MakeSocket(Protocol):
    """How a socket is made; ``VenueSocket`` itself fits."""

    def __call__(
        self,
        ws_url: str,
        *,
        loop: asyncio.AbstractEventLoop,
        on_frame: Callable[[bytes, int], None],
        on_up: Callable[[bool], None],
        on_down: Callable[[str], None],
        name: str,
        on_refused: Callable[[dict[str, Any], str], None],
    ) -> Socket:
        """Return a socket that is not connected yet."""
        ...
