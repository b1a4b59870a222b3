"""
Our own order ids and the venue's form of them, also after a restart.

The venue carries 16 bytes for an order's owner. They are a hash of the client order id, the same that Nautilus's own adapter uses, so the
way back needs a memory: a bounded table, filled from the cache's orders and from a file that is only appended to.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from typing import Self

from nautilus_trader.core import nautilus_pyo3

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.state_files import append_whole
from hyperliquid_hip3.state_files import sync
from hyperliquid_hip3.state_files import write_anew


DEFAULT_LIMIT: Final = 50_000
# the file may grow to so many times its bound before it is written anew
SLACK: Final = 2
HEX_DIGITS: Final = frozenset("0123456789abcdef")
CLOID_CHARACTERS: Final = 34


def cloid_of(client_order_id: str) -> str:
    """Return the venue's form of a client order id: ``0x`` and 32 lower-case hex digits, always the same for the same id."""
    cloid: str = nautilus_pyo3.hyperliquid_cloid_from_client_order_id(
        nautilus_pyo3.ClientOrderId(client_order_id)
    )
    return cloid


class CloidBook:
    """
    Which order ids are ours, both ways.

    Parameters
    ----------
    path : Path, optional
        The file that outlives the process, made with mode 0600; without one nothing is kept.
    limit : int, default 50000
        The most ids remembered; the oldest go first. The venue itself forgets orders after about 2,000.

    Raises
    ------
    HyperliquidError
        If the file cannot be opened.

    """

    def __init__(self, path: Path | None = None, *, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._keys: OrderedDict[str, str] = OrderedDict()
        self._cloids: dict[str, str] = {}
        self._path = path
        self._file = -1
        self._unwritten: list[str] = []
        self._lines = 0
        if path is not None:
            self._load(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, client_order_id: str) -> str:
        """Return the cloid of an id and remember both; :meth:`flush` writes what is new."""
        known = self._cloids.get(client_order_id)
        if known is not None:
            return known
        cloid = cloid_of(client_order_id)
        self._remember(client_order_id, cloid)
        if self._file >= 0:
            self._unwritten.append(f"{cloid} {client_order_id}\n")
        return cloid

    def add_all(self, client_order_ids: Iterable[str]) -> None:
        """Remember the ids of a cache's orders."""
        for client_order_id in client_order_ids:
            self.add(client_order_id)

    def client_order_id(self, cloid: str | None) -> str | None:
        """Return the id behind a cloid, None when it is not ours (or forgotten)."""
        return None if cloid is None else self._keys.get(cloid)

    def flush(self) -> None:
        """
        Write what is new, in one small append that a killed process does not lose.

        Called before an order is sent: an order that the venue knows and we do not would be a stranger's after a restart.

        Raises
        ------
        HyperliquidError
            If the file cannot be written.

        """
        if not self._unwritten or self._file < 0:
            return
        content = "".join(self._unwritten).encode()
        try:
            append_whole(self._file, content, f"the file of order ids {self._path}")
        except HyperliquidError:
            # kept for when there is room again, but no more than is remembered
            del self._unwritten[: -self._limit]
            raise
        self._lines += len(self._unwritten)
        self._unwritten.clear()

    @property
    def wants_compaction(self) -> bool:
        """Whether the file holds twice what is remembered; :meth:`compact` then writes it anew, at a quiet time."""
        return self._file >= 0 and self._lines > SLACK * self._limit

    def compact(self) -> None:
        """
        Write the file anew with what is remembered, whole or not at all.

        Raises
        ------
        HyperliquidError
            If it cannot be written.

        """
        if self._path is None or self._file < 0:
            return
        self.flush()
        content = "".join(f"{cloid} {key}\n" for cloid, key in self._keys.items())
        write_anew(self._path, content, f"the file of order ids {self._path}")
        os.close(self._file)
        self._file = _opened(self._path)
        self._lines = len(self._keys)

    def close(self) -> None:
        """
        Write what is left and close the file; closing twice does nothing.

        Raises
        ------
        HyperliquidError
            If something is left that cannot be written; the file is closed all the same.

        """
        if self._file < 0:
            return
        try:
            self.flush()
            sync(self._file, f"the file of order ids {self._path}")
        finally:
            os.close(self._file)
            self._file = -1

    def _load(self, path: Path) -> None:
        self._file = _opened(path)
        content = path.read_bytes()
        # a process killed in the middle of a write leaves half a line at the end
        complete = content[: content.rfind(b"\n") + 1]
        if len(complete) != len(content):
            os.ftruncate(self._file, len(complete))
        for line in complete.decode(errors="replace").splitlines():
            cloid, _, key = line.partition(" ")
            self._lines += 1
            if len(cloid) == CLOID_CHARACTERS and key and HEX_DIGITS.issuperset(cloid[2:]):
                self._remember(key, cloid)
        if self.wants_compaction:
            self.compact()

    def _remember(self, client_order_id: str, cloid: str) -> None:
        self._keys[cloid] = client_order_id
        self._cloids[client_order_id] = cloid
        if len(self._keys) > self._limit:
            _, oldest = self._keys.popitem(last=False)
            del self._cloids[oldest]


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HyperliquidError(f"the file of order ids {path} cannot be opened: {error.strerror}") from error
