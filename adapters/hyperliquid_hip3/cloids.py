"""
Our own order ids and the venue's form of them, also after a restart.

The venue carries 16 bytes for an order's owner. They are a hash of the client order id, the same that Nautilus's own adapter uses, so the
way back needs a memory: a bounded table, filled from the cache's orders and from a file that is only appended to.
"""

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from typing import Self

from nautilus_trader.core import nautilus_pyo3

from hyperliquid_hip3.line_file import LineFile


DEFAULT_LIMIT: Final = 50_000
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
        self._file = None if path is None else LineFile(path, "order ids", limit=limit)
        if self._file is not None:
            self._load(self._file)

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
        if self._file is not None:
            self._file.queue(f"{cloid} {client_order_id}")
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
        if self._file is not None:
            self._file.flush()

    @property
    def wants_compaction(self) -> bool:
        """Whether the file holds twice what is remembered; :meth:`compact` then writes it anew, at a quiet time."""
        return self._file is not None and self._file.wants_compaction

    def compact(self) -> None:
        """
        Write the file anew with what is remembered, whole or not at all.

        Raises
        ------
        HyperliquidError
            If it cannot be written.

        """
        if self._file is not None:
            self._file.rewrite(f"{cloid} {key}" for cloid, key in self._keys.items())

    def close(self) -> None:
        """
        Write what is left and close the file; closing twice does nothing.

        Raises
        ------
        HyperliquidError
            If something is left that cannot be written; the file is closed all the same.

        """
        if self._file is not None:
            self._file.close()

    def _load(self, file: LineFile) -> None:
        for line in file.read():
            cloid, _, key = line.partition(" ")
            if len(cloid) == CLOID_CHARACTERS and key and HEX_DIGITS.issuperset(cloid[2:]):
                self._remember(key, cloid)
        if file.wants_compaction:
            self.compact()

    def _remember(self, client_order_id: str, cloid: str) -> None:
        self._keys[cloid] = client_order_id
        self._cloids[client_order_id] = cloid
        if len(self._keys) > self._limit:
            _, oldest = self._keys.popitem(last=False)
            del self._cloids[oldest]
