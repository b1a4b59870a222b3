"""A paper account between two runs: what is kept of it, in a file that is whole or not there, used by one run at a time."""

import fcntl
import json
import os
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any
from typing import Self

from amm500_nautilus.margin.funding import HOUR_NS
from amm500_nautilus.simulation.ledger import NANO
from amm500_nautilus.simulation.ledger import Ledger


VERSION = 1
# the books' own numbers, by the names that the ledger gives them
BOOK_FIELDS = (
    "_cash",
    "_raw",
    "_entry_cost",
    "position_lots",
    "maker_volume_nano",
    "taker_volume_nano",
    "last_part_ns",
)


class PaperStateError(ValueError):
    """A file of a paper account that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperState:
    """
    A paper account at a moment: cash, position, what the address has sent. Orders are not part of it.

    What rested when a run ended is canceled: nobody knows what its place in the queue became while nobody watched.

    Parameters
    ----------
    coin, collateral : str
        The market and what the account is held in.
    lot : str
        The size of a lot, in which the position is counted.
    ts_ns : int
        When it was so.
    began_ns : int
        When the account was opened.
    opened_with : str
        Its equity then.
    balance_nano : int
        The balance in 1e-9 units: where the next run's books begin.
    books : dict
        The ledger's own numbers.
    address : dict
        What the address has sent and earned; empty without action limits.
    oracle, rate : str or None
        The last oracle price and hourly funding rate seen, on which the hours without a run are paid.

    """

    coin: str
    collateral: str
    lot: str
    ts_ns: int
    began_ns: int
    opened_with: str
    balance_nano: int
    books: dict[str, Any]
    address: dict[str, Any]
    oracle: str | None = None
    rate: str | None = None

    @classmethod
    def of(
        cls,
        ledger: Ledger,
        *,
        coin: str,
        collateral: str,
        ts_ns: int,
        began_ns: int,
        opened_with: str,
        address: dict[str, Any],
        oracle: Decimal | None,
        rate: Decimal | None,
    ) -> "PaperState":
        """Return the state of an account."""
        return cls(
            coin=coin,
            collateral=collateral,
            lot=str(ledger.shape.lot),
            ts_ns=ts_ns,
            began_ns=began_ns,
            opened_with=opened_with,
            balance_nano=ledger.balance_nano,
            books={name: getattr(ledger, name) for name in BOOK_FIELDS},
            address=address,
            oracle=None if oracle is None else str(oracle),
            rate=None if rate is None else str(rate),
        )

    def restore(self, ledger: Ledger) -> None:
        """
        Put cash and position into a ledger that has booked nothing yet; its sums (fees, funding, fills) begin at 0 again.

        Raises
        ------
        PaperStateError
            If the position is counted in other lots.

        """
        if Decimal(self.lot) != ledger.shape.lot:
            raise PaperStateError(
                f"counts {self.coin} in lots of {self.lot}, the venue in {ledger.shape.lot}"
            )
        ledger.start_nano = self.balance_nano
        for name in BOOK_FIELDS:
            setattr(ledger, name, self.books[name])
        # nothing moves: it makes the ledger look at its new position
        ledger.transfer(Decimal(0))

    def hours_until(self, now_ns: int) -> range:
        """Return the hours that passed without a run and whose funding is due."""
        return range(self.ts_ns // HOUR_NS + 1, now_ns // HOUR_NS + 1)

    @property
    def position(self) -> Decimal:
        """Signed position in contracts."""
        return int(self.books["position_lots"]) * Decimal(self.lot)

    @property
    def balance(self) -> Decimal:
        """The balance in collateral units."""
        return Decimal(self.balance_nano) / NANO

    def to_json(self) -> str:
        """Return the state as text."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "PaperState":
        """
        Return the state that a text holds.

        Raises
        ------
        PaperStateError
            If it is not one.

        """
        try:
            raw = json.loads(text)
            version = raw.pop("version")
            if version != VERSION:
                raise PaperStateError(f"is of version {version}; this program reads {VERSION}")
            state = cls(**raw)
            missing = [name for name in BOOK_FIELDS if name not in state.books]
            if missing or {field.name for field in fields(cls)} != set(raw):
                raise PaperStateError(f"lacks {', '.join(missing) or 'a field'}")
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise error if isinstance(error, PaperStateError) else PaperStateError("is damaged") from error
        return state


class PaperStore:
    """
    The folder of a paper account; one process at a time has it.

    Parameters
    ----------
    folder : Path
        Made with mode 0700 if it is not there.
    coin : str
        The market: each has an account of its own.

    """

    def __init__(self, folder: Path, coin: str) -> None:
        self.folder = folder
        self.path = folder / f"paper-{coin.replace(':', '-').replace('/', '-')}.json"
        self._lock: int | None = None

    def take(self) -> Self:
        """
        Take the account for this process, until :meth:`close`.

        Raises
        ------
        PaperStateError
            If another run has it.

        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise PaperStateError("is in use by another run") from error
        self._lock = lock
        return self

    def close(self) -> None:
        """Let others take the account."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self) -> PaperState | None:
        """
        Return what the last run left; None where there was none, or it ended as it was meant to.

        Raises
        ------
        PaperStateError
            If the file cannot be used.

        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise PaperStateError(f"cannot be read ({error})") from error
        return PaperState.from_json(text)

    def write(self, state: PaperState) -> None:
        """Keep a state: the file is the old one or the new one, whatever happens in between."""
        partial = self.path.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            file.write(state.to_json())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)

    def clear(self) -> None:
        """Forget the account: the next run opens a new one."""
        self.path.unlink(missing_ok=True)
