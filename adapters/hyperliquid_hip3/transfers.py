"""
What was deposited, withdrawn and sent since an account was first traded from here, kept over restarts.

A session's loss is equity less transfers, and outlives the process; so must the sum. The venue's ledger is the source: its rows since
the first start, by the user's stream and by ``userNonFundingLedgerUpdates``, each counted once. See
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint/perpetuals
"""

import json
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final
from typing import Protocol

from hyperliquid_hip3.account_state import AccountSums
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.state_files import Storage
from hyperliquid_hip3.state_files import write_anew
from hyperliquid_hip3.user_records import LedgerUpdate


NS_PER_MS: Final = 1_000_000
VERSION: Final = 1
ZERO: Final = Decimal(0)
INTO: Final = frozenset(("deposit",))
OUT: Final = frozenset(("withdraw",))
WHAT: Final = "the account's transfers"


class LedgerReader(Protocol):
    """The part of ``VenueClient`` that the ledger is read from."""

    async def ledger_updates(
        self, user: str, start_ms: int, end_ms: int | None = None
    ) -> tuple[LedgerUpdate, ...]:
        """Return a user's deposits, withdrawals and transfers, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Pot:
    """
    Whose pot of collateral is counted.

    ``dex`` is the pot's own in the standard modes, ``collateral`` the name of its token; ``is_unified`` tells whether all dexes share
    one pot, so that moving between them is no transfer.
    """

    account: str
    dex: str
    collateral: str
    is_unified: Callable[[], bool]


class TransferBook:
    """
    Counts the ledger's rows once, whichever way they come, and keeps them in a file.

    Parameters
    ----------
    path : Path
        The file, made at the first start with mode 0600; its folder must exist.
    pot : Pot
        What is counted.
    sums : AccountSums
        Takes the net deposits: those of earlier processes at once.
    reader : LedgerReader
        The venue.
    storage : Storage
        Tells when the disk takes nothing.
    now_ms : int
        The venue's time, ms UTC: what is before the first start is the past.

    Raises
    ------
    HyperliquidError
        If the file of an earlier process cannot be read: a sum that is guessed at would show as profit or loss.

    """

    def __init__(
        self,
        path: Path,
        pot: Pot,
        sums: AccountSums,
        *,
        reader: LedgerReader,
        storage: Storage,
        now_ms: int,
    ) -> None:
        self._path = path
        self._pot = pot
        self._sums = sums
        self._reader = reader
        self._storage = storage
        # rows counted, those among them that left the pot alone with an amount of 0: a later account mode would count them otherwise
        self._rows: dict[str, tuple[int, Decimal]] = {}
        self.since_ns = now_ms * NS_PER_MS
        # whether the venue was asked, in this process, for what happened while none ran
        self.is_read = False
        if path.exists():
            self._load()
        else:
            self._write()

    async def read(self) -> None:
        """
        Ask the venue for all rows since the first start, and count those that are new.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer.

        """
        self.take(await self._reader.ledger_updates(self._pot.account, self.since_ns // NS_PER_MS))
        self.is_read = True

    def take(self, updates: Iterable[LedgerUpdate]) -> bool:
        """Count rows of the ledger, and return whether the pot was moved by one that is new."""
        pot, known, is_moved = self._pot, len(self._rows), False
        is_unified = pot.is_unified()
        for update in updates:
            key = _key(update)
            if update.ts_ns < self.since_ns or key in self._rows:
                continue
            amount = transfer_amount(
                update, pot.account, pot.dex, is_unified=is_unified, collateral=pot.collateral
            )
            self._count(key, update.ts_ns, amount)
            is_moved = is_moved or bool(amount)
        if len(self._rows) > known:
            self._write()
        return is_moved

    def _count(self, key: str, ts_ns: int, amount: Decimal) -> None:
        self._rows[key] = (ts_ns, amount)
        if amount:
            self._sums.add_transfer((ts_ns, key), amount)

    def _write(self) -> None:
        rows = [[ts_ns, key, f"{amount:f}"] for key, (ts_ns, amount) in self._rows.items()]
        content = json.dumps({"version": VERSION, "since_ns": self.since_ns, "rows": rows})
        self._storage.write("transfers", lambda: write_anew(self._path, content, WHAT))

    def _load(self) -> None:
        try:
            self.since_ns, rows = _parse(self._path.read_text())
        except OSError as error:
            raise HyperliquidError(f"{WHAT} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise HyperliquidError(
                f"{self._path.name} is damaged ({error}): without it what was moved so far would count as profit or loss; "
                "remove it, and begin a new session"
            ) from error
        for key, ts_ns, amount in rows:
            self._count(key, ts_ns, amount)


def _parse(content: str) -> tuple[int, list[tuple[str, int, Decimal]]]:
    """Return the time of the first start, ns UTC, and the rows that a file holds."""
    kept = json.loads(content)
    if kept["version"] != VERSION:
        raise ValueError(f"version {kept['version']!r}")
    rows = [(str(key), int(ts_ns), Decimal(text)) for ts_ns, key, text in kept["rows"]]
    if not all(amount.is_finite() for _, _, amount in rows):
        raise ValueError("an amount is no number")
    return int(kept["since_ns"]), rows


def _key(update: LedgerUpdate) -> str:
    """Return what tells rows apart: two movements of one block have their own words alone, and the same words whichever way they come."""
    amount = "" if update.amount is None else f"{update.amount.normalize():f}"
    parts = (
        update.ts_ns,
        update.block_hash,
        update.kind,
        amount,
        update.token,
        update.user.lower(),
        update.destination.lower(),
        update.source_dex,
        update.destination_dex,
        update.to_perp,
    )
    return "|".join("" if part is None else str(part) for part in parts)


def transfer_amount(
    update: LedgerUpdate, account: str, dex: str, *, is_unified: bool, collateral: str
) -> Decimal:
    """
    Return what a ledger update brought into the pot that is reported, negative for what it took; 0 when it left it alone.

    Parameters
    ----------
    update : LedgerUpdate
        The venue's row; its amount has no sign.
    account : str
        Whose pot.
    dex : str
        The dex of the pot in the standard modes.
    is_unified : bool
        Whether the pot is all the account has of the token.
    collateral : str
        The name of that token: what is moved of another is not in the pot.

    """
    amount = update.amount
    if amount is None or (is_unified and update.token.partition(":")[0] != collateral):
        return ZERO
    comes = update.destination.lower() in ("", account)
    leaves = update.user.lower() in ("", account)
    if update.kind in INTO or update.kind in OUT:
        # always in and out of the validators' side of the account
        is_there = is_unified or not dex
        return (amount if update.kind in INTO else -amount) if is_there else ZERO
    if is_unified:
        # whichever way it was sent: within the account it stays in the pot
        return ZERO if comes == leaves else (amount if comes else -amount)
    if update.source_dex is not None or update.destination_dex is not None:
        into = comes and update.destination_dex == dex
        out = leaves and update.source_dex == dex
        return amount if into and not out else (-amount if out and not into else ZERO)
    if update.to_perp is not None and not dex:
        return amount if update.to_perp else -amount
    return ZERO
