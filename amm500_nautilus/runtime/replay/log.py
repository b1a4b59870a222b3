"""A recorded session read again: what the strategy was told, one step after the other, and what it did at each."""

import json
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Final

from nautilus_trader.model.instruments import PerpetualContract

from amm500_catalog.errors import InputError
from amm500_nautilus.quoting.types import Change
from amm500_nautilus.risk.types import Conditions
from amm500_nautilus.runtime.record.session import FOLDER
from amm500_nautilus.runtime.record.session import FORMAT
from amm500_nautilus.runtime.record.session import FRAMES
from amm500_nautilus.runtime.record.session import HEADER
from amm500_nautilus.runtime.record.session import SESSION
from amm500_nautilus.runtime.record.session import change_of
from hyperliquid_hip3.currency import collateral_currency
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.recorder import PART_SUFFIX
from hyperliquid_hip3.recorder import SUFFIX
from hyperliquid_hip3.recorder import RecordedFrame
from hyperliquid_hip3.recorder import read_frames


ALLOWED: Final = "the run directory of a run with live.record: true, or its recording folder"
# what is read of a recording's header, and of its instrument
HEADER_KINDS: Final = {"mode": str, "coin": str, "simulated": bool}
INSTRUMENT_KEYS: Final = ("collateral", "max_leverage")
# what the strategy itself makes of its commands: a replay makes them again
OWN_EVENTS: Final = frozenset(("OrderInitialized", "OrderPendingUpdate", "OrderPendingCancel"))
STEPS: Final = frozenset(("data", "cycle", "event", "account", "command", "state", "mark"))


@dataclass(slots=True)
class Send:
    """What one decision sent, at the strategy's time."""

    ts_ns: int
    changes: tuple[Change, ...]


@dataclass(slots=True)
class Step:
    """
    One thing that the strategy was told, and everything it did before the next.

    ``kind`` is ``data``, ``cycle``, ``event``, ``account``, ``command``, ``state`` or ``mark``; ``own`` holds the events of its own commands,
    ``counts`` the times at which it counted what it had sent.
    """

    ns: int
    kind: str
    body: dict[str, Any]
    conditions: list[Conditions] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    own: list[dict[str, Any]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RecordedAction:
    """A signed action: kind, items, when it was sent, and when it was answered (None: never)."""

    kind: str
    items: int
    sent_ns: int
    answered_ns: int | None


@dataclass(frozen=True, slots=True)
class Recording:
    """
    The recording of a run.

    ``header`` says what was recorded; ``instrument`` is the venue's own description of it.
    """

    folder: Path
    header: dict[str, Any]
    instrument: PerpetualContract

    @property
    def coin(self) -> str:
        """The coin with its dex prefix."""
        return str(self.header["coin"])

    @property
    def nets_own_orders(self) -> bool:
        """Whether the venue's book showed the run's own orders."""
        return bool(self.header.get("nets_own_orders", False))

    @property
    def has_session(self) -> bool:
        """Whether a strategy ran; otherwise only the market was recorded."""
        return bool(_files(self.folder, SESSION))

    def frames(self) -> Iterator[RecordedFrame]:
        """
        Yield the market's raw frames in the order received.

        Raises
        ------
        InputError
            If a file is damaged.

        """
        yield from _read(_files(self.folder, FRAMES))

    def lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """
        Yield the session's lines with their times.

        Raises
        ------
        InputError
            If a file is damaged.

        """
        for frame in _read(_files(self.folder, SESSION)):
            try:
                line = json.loads(frame.raw)
            except (ValueError, RecursionError) as error:
                raise InputError(f"has a line that is none ({error})", str(self.folder), ALLOWED) from error
            if not isinstance(line, dict) or not isinstance(line.get("k"), str):
                raise InputError(f"has a line that is none ({line!r:.60})", str(self.folder), ALLOWED)
            yield frame.received_ns, line

    def steps(self) -> Iterator[Step]:
        """
        Yield what the strategy was told, step by step; repeated reports of the account, which are no news, are left out.

        Raises
        ------
        InputError
            If a line lacks something.

        """
        with self._reading():
            yield from steps_of(self.lines())

    def actions(self) -> list[RecordedAction]:
        """
        Return the signed actions in the order answered.

        Raises
        ------
        InputError
            If a line lacks something.

        """
        with self._reading():
            return [
                RecordedAction(line["kind"], line["items"], line["sent"], line["answered"])
                for _, line in self.lines()
                if line["k"] == "action"
            ]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except (KeyError, IndexError, TypeError) as error:
            said = f"has a line that lacks something ({type(error).__name__}: {error})"
            raise InputError(said, str(self.folder), ALLOWED) from error


def open_recording(path: Path) -> Recording:
    """
    Open the recording of a run directory, or the folder itself.

    Raises
    ------
    InputError
        If there is none, or it cannot be read.

    """
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    file = folder / HEADER
    if not file.is_file():
        raise InputError("holds no recording", str(path), ALLOWED)
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
        instrument = _instrument_of(header, file)
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"has no {error}", str(file), ALLOWED) from error
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"cannot be read ({error})", str(file), ALLOWED) from error
    return Recording(folder, header, instrument)


def _instrument_of(header: dict[str, Any], file: Path) -> PerpetualContract:
    """Return a header's instrument; it and the header must say what is read of them."""
    if header["format"] != FORMAT:
        raise InputError(f"is of format {header['format']}", str(file), f"format {FORMAT}")
    for name, kind in HEADER_KINDS.items():
        if not isinstance(header[name], kind):
            raise InputError(f"`{name}` is {header[name]!r:.60}", str(file), ALLOWED)
    collateral_currency(header["instrument"]["quote_currency"])
    instrument = PerpetualContract.from_dict(header["instrument"])
    for name in INSTRUMENT_KEYS:
        if name not in instrument.info:
            raise InputError(f"its instrument has no `{name}`", str(file), ALLOWED)
    return instrument


def steps_of(lines: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Step]:
    """Yield the steps of a session's lines."""
    step: Step | None = None
    for ns, line in lines:
        kind = line["k"]
        if kind == "account" and line["same"]:
            continue
        if kind in STEPS and not (kind == "event" and line["event"]["type"] in OWN_EVENTS):
            if step is not None:
                yield step
            step = Step(ns, kind, line)
        elif step is not None:
            _add(step, line)
    if step is not None:
        yield step


def _add(step: Step, line: dict[str, Any]) -> None:
    kind = line["k"]
    if kind == "send":
        step.sends.append(Send(line["ts"], tuple(change_of(wire) for wire in line["changes"])))
    elif kind == "conditions":
        flags = {name: line[name] for name in Conditions._fields}
        step.conditions.append(Conditions(**{**flags, "demands": tuple(flags["demands"])}))
    elif kind == "event":
        step.own.append(line["event"])
    elif kind == "count":
        step.counts.append(line["ts"])


def _files(folder: Path, name: str) -> list[Path]:
    found = (*folder.glob(f"{name}-*{SUFFIX}"), *folder.glob(f"{name}-*{PART_SUFFIX}"))
    return sorted(found, key=lambda path: path.name)


def _read(files: list[Path]) -> Iterator[RecordedFrame]:
    for file in files:
        try:
            yield from read_frames(file)
        except (PayloadError, OSError) as error:
            raise InputError(f"cannot be read ({error})", str(file), "a whole recording") from error
