"""
The memory that books every fill once.

A fill is unique by its time, coin and trade id (protocol: info endpoints, fills). Which ones were booked outlives the process, so that a
restart neither repeats nor loses one.
"""

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from typing import Self

from hyperliquid_hip3.line_file import LineFile
from hyperliquid_hip3.user_records import FillKey


NS_PER_MS: Final = 1_000_000
DEFAULT_LIMIT: Final = 20_000
# fills of one block share a time, and the venue's list may lag its stream by a few blocks
OVERLAP_MS: Final = 60_000


class FillLedger:
    """
    Which fills were booked, and the time of the last one.

    Parameters
    ----------
    path : Path, optional
        The file that outlives the process (mode 0600); without one nothing is kept.
    limit : int, default 20000
        The most fills remembered; the oldest go first.

    Raises
    ------
    HyperliquidError
        If the file cannot be opened.

    """

    def __init__(self, path: Path | None = None, *, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._keys: OrderedDict[FillKey, None] = OrderedDict()
        self._unwritten: dict[FillKey, str] = {}
        self._last_ns = 0
        self._file = None if path is None else LineFile(path, "seen fills", limit=limit)
        if self._file is not None:
            self._load(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: FillKey) -> bool:
        return key in self._keys

    @property
    def last_ns(self) -> int:
        """The time of the latest fill booked, ns UTC; 0 when there was none, in this run or an earlier one."""
        return self._last_ns

    def since_ms(self) -> int:
        """Return from when on, in ms UTC, the venue must be asked for fills; 0 when none was ever booked."""
        return max(0, self._last_ns // NS_PER_MS - OVERLAP_MS) if self._last_ns else 0

    def add(self, key: FillKey) -> bool:
        """Enter a fill and return whether it is new; :meth:`taken` or :meth:`flush` writes it."""
        if key in self._keys:
            return False
        self._remember(key)
        if self._file is not None:
            self._unwritten[key] = _line_of(key)
        return True

    def taken(self, key: FillKey) -> None:
        """
        Write that the engine has booked a fill.

        Not earlier: a process killed in between would never be told of it again.

        Raises
        ------
        HyperliquidError
            If it cannot be written.

        """
        line = self._unwritten.pop(key, None)
        if line is not None:
            self._write([line])

    def flush(self) -> None:
        """
        Append what is new to the file.

        Raises
        ------
        HyperliquidError
            If it cannot be written.

        """
        lines = list(self._unwritten.values())
        self._unwritten.clear()
        self._write(lines)

    def _write(self, lines: Iterable[str]) -> None:
        if self._file is not None:
            for line in lines:
                self._file.queue(line)
            self._file.flush()

    @property
    def wants_compaction(self) -> bool:
        """Whether the file holds twice what is remembered."""
        return self._file is not None and self._file.wants_compaction

    def compact(self) -> None:
        """
        Write the file anew with what is remembered and booked, whole or not at all.

        Raises
        ------
        HyperliquidError
            If it cannot be written.

        """
        if self._file is not None:
            self._file.rewrite(_line_of(key) for key in self._keys if key not in self._unwritten)

    def close(self) -> None:
        """
        Close the file, without what the engine has not booked; closing twice does nothing.

        Raises
        ------
        HyperliquidError
            If something is left that cannot be written; the file is closed all the same.

        """
        if self._file is not None:
            self._file.close()

    def _load(self, file: LineFile) -> None:
        for line in file.read():
            parts = line.split(" ")
            if len(parts) == 3 and parts[0].isdecimal() and parts[1].isdecimal():
                self._remember(FillKey(int(parts[0]), parts[2], int(parts[1])))
        if file.wants_compaction:
            self.compact()

    def _remember(self, key: FillKey) -> None:
        self._keys[key] = None
        self._last_ns = max(self._last_ns, key.ts_ns)
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)


def _line_of(key: FillKey) -> str:
    return f"{key.ts_ns} {key.trade_id} {key.coin}"
