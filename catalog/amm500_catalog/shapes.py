"""What the JSON of a catalogue states, read with care: whoever edits or damages it is told what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Final

from nautilus_trader.persistence.funcs import class_to_filename

from amm500_catalog.errors import InputError
from amm500_catalog.tables import STREAM_CLASSES


TWIN: Final = "twin."
CLASS_BY_NAME: Final = {cls.__name__: cls for cls in STREAM_CLASSES}
CLASS_BY_FOLDER: Final = {class_to_filename(cls): cls for cls in STREAM_CLASSES}


@dataclass(frozen=True, slots=True)
class StatedStream:
    """A stream as a manifest states it: its folder, and the rows and the first and last ``ts_init`` that were imported."""

    folder: str
    rows: int
    start_ns: int
    end_ns: int

    @property
    def data_cls(self) -> type | None:
        """The class of its rows; None where the catalogue has no such class."""
        return CLASS_BY_FOLDER.get(self.folder.split("/")[-2])

    @property
    def identifier(self) -> str:
        """The instrument id, or the bar type of bars."""
        return self.folder.split("/")[-1]


def table_of(body: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    """
    Return an object inside a manifest; an empty one where there is none.

    Raises
    ------
    InputError
        If something else stands there.

    """
    value = body.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f"`{key}` is {value!r}", where, "an object")
    return value


def whole_of(body: dict[str, Any], key: str, where: str) -> int:
    """
    Return a whole number of a manifest.

    Raises
    ------
    InputError
        If it is absent or no whole number.

    """
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"`{key}` is {value!r}", where, "a whole number")
    return value


def texts_of(body: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    """
    Return a list of texts of a manifest; an empty one where there is none.

    Raises
    ------
    InputError
        If something else stands there.

    """
    value = body.get(key, ())
    if not _is_list(value) or not all(isinstance(item, str) for item in value):
        raise InputError(f"`{key}` is {value!r}", where, "a list of texts")
    return tuple(value)


def sessions_of(body: dict[str, Any], where: str) -> tuple[tuple[int, int], ...]:
    """
    Return the [open, close) spans of a manifest; none where it states none.

    Raises
    ------
    InputError
        If they are no list of pairs of whole numbers.

    """
    value = body.get("sessions", ())
    if not _is_list(value) or not all(
        _is_list(span) and len(span) == 2 and all(isinstance(end, int) for end in span) for span in value
    ):
        raise InputError(f"`sessions` is {value!r}", where, "a list of pairs of times in ns")
    return tuple((span[0], span[1]) for span in value)


def streams_of(body: dict[str, Any], where: str) -> list[StatedStream]:
    """
    Return the streams that a manifest says it brought.

    Raises
    ------
    InputError
        If one of them is not stated as an import states it.

    """
    found = []
    for folder, stated in table_of(body, "streams", where).items():
        if folder.count("/") < 2 or not isinstance(stated, dict):
            raise InputError(f"`streams` has {folder!r}: {stated!r}", where, "data/<class>/<instrument>")
        at = f"{where} {folder}"
        found.append(
            StatedStream(folder, *(whole_of(stated, key, at) for key in ("rows", "start_ns", "end_ns")))
        )
    return found


def rows_of(body: dict[str, Any], where: str) -> list[tuple[str, type, str, int]]:
    """
    Return what a simulated dataset says it holds: each stream's name, class, identifier and rows.

    Raises
    ------
    InputError
        If one of them is not stated as a simulation states it.

    """
    found = []
    for name in table_of(body, "rows", where):
        cls = CLASS_BY_NAME.get(name.removeprefix(TWIN))
        if cls is None:
            continue
        holder = body
        if name.startswith(TWIN):
            holder = table_of(table_of(body, "params", where), "twin", where)
        identifier = holder.get("instrument_id")
        if not isinstance(identifier, str):
            raise InputError(f"`instrument_id` of {name} is {identifier!r}", where, "a text")
        found.append((name, cls, identifier, whole_of(body["rows"], name, where)))
    return found


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
