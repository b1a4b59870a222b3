"""Compact column buffers and CSV streams that reach their final name only when complete."""

import csv
import json
import math
import os
from array import array
from collections.abc import Iterable
from collections.abc import Mapping
from contextlib import suppress
from io import RawIOBase
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


PARTIAL = ".partial"
# characters of rows that are gathered before they are written
BUFFERED = 1 << 16
ROW_GROUP = 8_192


def replace_with(path: Path, text: str) -> None:
    """Write ``text`` beside ``path`` and rename it into place, so that a reader never meets half a file."""
    partial = path.with_name(path.name + PARTIAL)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)  # noqa: PTH105


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON atomically; a value that JSON cannot carry (NaN, infinity) is an error here, not in the reader."""
    replace_with(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


class ColumnBuffer:
    """
    Rows kept as one typed array per column: 8 bytes a value.

    A column that first appears in a later row is NaN before it, and NaN in rows that leave it out.

    Parameters
    ----------
    integers : Iterable[str]
        Columns of 64-bit integers, required in every row.
    texts : Iterable[str]
        Columns of repeated words, stored as codes.

    """

    def __init__(self, integers: Iterable[str] = (), texts: Iterable[str] = ()) -> None:
        self._integers: dict[str, array[int]] = {name: array("q") for name in integers}
        self._codes: dict[str, array[int]] = {name: array("l") for name in texts}
        self._words: dict[str, dict[str, int]] = {name: {} for name in self._codes}
        self._floats: dict[str, array[float]] = {}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(
        self, integers: Mapping[str, int], floats: Mapping[str, float], texts: Mapping[str, str] | None = None
    ) -> None:
        """Append one row; float columns may be new or missing."""
        for name, column in self._integers.items():
            column.append(integers[name])
        for name, codes in self._codes.items():
            words = self._words[name]
            codes.append(words.setdefault((texts or {}).get(name, ""), len(words)))
        for name, value in floats.items():
            known = self._floats.get(name)
            if known is None:
                known = self._floats[name] = array("d", [math.nan]) * self._rows
            known.append(value)
        self._rows += 1
        for known in self._floats.values():
            if len(known) < self._rows:
                known.append(math.nan)

    def table(self) -> pa.Table:
        """
        Return the rows as an Arrow table; a column ``ts_ns`` also gives ``ts``, a UTC timestamp.

        The table lies on the buffer's own memory: no row can be added while it is held.
        """
        columns: dict[str, Any] = {}
        if "ts_ns" in self._integers:
            stamps = pa.array(np.frombuffer(self._integers["ts_ns"], dtype=np.int64))
            columns["ts"] = stamps.cast(pa.timestamp("ns", tz="UTC"))
        for name, ints in self._integers.items():
            columns[name] = pa.array(np.frombuffer(ints, dtype=np.int64))
        for name, codes in self._codes.items():
            dictionary = pa.array(list(self._words[name]), type=pa.string())
            indices = pa.array(codes, type=pa.int32())
            columns[name] = pa.DictionaryArray.from_arrays(indices, dictionary).cast(pa.string())
        for name, values in self._floats.items():
            columns[name] = pa.array(np.frombuffer(values, dtype=np.float64))
        return pa.table(columns)

    def write(self, path: Path) -> None:
        """Write the rows as Parquet and rename the file into place."""
        partial = path.with_name(path.name + PARTIAL)
        # a month has 43,200 rows: in groups, and numbers without dictionaries, writing them takes a tenth of the memory
        pq.write_table(
            self.table(),
            partial,
            compression="zstd",
            row_group_size=ROW_GROUP,
            use_dictionary=list(self._words),
        )
        os.replace(partial, path)  # noqa: PTH105


class CsvStream:
    """
    A CSV file written as rows come, under ``<name>.partial`` until closed.

    Parameters
    ----------
    path : Path
        The final path.
    columns : Iterable[str]
        The header; a row's other keys are left out, missing ones are empty.

    Attributes
    ----------
    is_patient : bool
        Whether rows that cannot be written (a full disk) wait in memory for the next attempt: a run on the wall clock has orders to
        look after. Without it ``OSError`` is raised, as it always is by ``close``.
    trouble : str
        Why rows wait, empty when none do.

    """

    def __init__(self, path: Path, columns: Iterable[str]) -> None:
        self._path = path
        self._partial = path.with_name(path.name + PARTIAL)
        self._columns = tuple(columns)
        self.is_patient = False
        self.trouble = ""
        # unbuffered: what a nearly full disk took of a write is known, and nothing is written twice
        self._file: RawIOBase | None = self._partial.open("wb", buffering=0)
        self._text = StringIO()
        self._waiting = b""
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(self._columns)

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row; None is an empty cell."""
        self._writer.writerow([row.get(name) for name in self._columns])
        if self._text.tell() > BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        if self._file is None:
            return
        try:
            self._write_out(self._file)
        except OSError as error:
            if not self.is_patient:
                raise
            self.trouble = f"{self._path.name}: {error.strerror}"

    def _write_out(self, file: RawIOBase) -> None:
        if self._text.tell():
            self._waiting += self._text.getvalue().encode()
            self._text.seek(0)
            self._text.truncate()
        while self._waiting:
            self._waiting = self._waiting[file.write(self._waiting) or 0 :]
        self.trouble = ""

    def close(self) -> None:
        """Close the file and give it its final name; closing twice does nothing."""
        if self._file is None:
            return
        self._write_out(self._file)
        self._file.close()
        self._file = None
        os.replace(self._partial, self._path)  # noqa: PTH105

    def abandon(self) -> None:
        """Let go of the file of a run that failed: its rows stay under its unfinished name, as far as the disk takes them."""
        if self._file is None:
            return
        with suppress(OSError):
            self._write_out(self._file)
        self._file.close()
        self._file = None
