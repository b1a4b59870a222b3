"""What one mode of a live run brings: who executes its orders, who keeps its books, and what a report must say of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from typing import Protocol

from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.types import AccountRow
from amm500_nautilus.runtime.node.endpoint import Endpoint
from amm500_nautilus.runtime.node.market import MarketNow
from hyperliquid_hip3.factories import HyperliquidLiveExecClientFactory


@dataclass(frozen=True, slots=True)
class About:
    """
    What a report says of the run's data.

    ``source`` is where the market came from, ``simulated`` whether it was made up, ``defaults`` every assumption in a sentence.
    """

    source: str
    simulated: bool
    description: str
    defaults: tuple[str, ...] = ()


class Books(Protocol):
    """The account as the records want it."""

    @property
    def fills(self) -> int:
        """Fills booked in this run."""
        ...

    @property
    def equity(self) -> Decimal:
        """Mark-to-market equity at the book's mid."""
        ...

    @property
    def position(self) -> Decimal:
        """Signed position in contracts."""
        ...

    @property
    def is_reported(self) -> bool:
        """Whether the account has been reported since the last fill."""
        ...

    @property
    def unexplained(self) -> float | None:
        """How far the venue's equity is from these books; None where they are the venue's own."""
        ...

    def account(self) -> AccountRow:
        """Return the account now."""
        ...

    def bind(self, recorder: RunRecorder) -> None:
        """Connect the recorder, before the node runs."""
        ...

    def begin(self, positions: Iterable[Any]) -> None:
        """Begin with the positions that were there before; the node runs."""
        ...

    def on_time(self) -> None:
        """Do what is due; called a few times a second."""
        ...

    def close(self, ts_ns: int) -> None:
        """Write the last minute and the last markouts, and listen no more."""
        ...


class Desk(Protocol):
    """
    One mode.

    ``execution`` is the configuration of the adapter's execution client, None where orders never leave the process; ``nets_own_orders``
    says whether the venue's book shows what we rest. ``equity`` is the account's at the start, ``factory`` makes the execution client,
    ``events`` are kinds and texts that the journal is to keep of the start, ``new_account`` why the account is none that an earlier run
    of the journal traded, empty where it may be.
    """

    endpoint: Endpoint
    market: MarketNow
    nets_own_orders: bool

    @property
    def equity(self) -> Decimal:
        """The account's equity at the start, collateral units."""
        ...

    @property
    def new_account(self) -> str:
        """Why the account is none that an earlier run traded; empty where it may be."""
        ...

    @property
    def factory(self) -> type[HyperliquidLiveExecClientFactory]:
        """What makes the adapter's execution client."""
        ...

    @property
    def events(self) -> tuple[tuple[str, str], ...]:
        """Kinds and texts that the journal is to keep of the start."""
        ...

    def execution(self, state_dir: Path) -> Any | None:
        """Return the configuration of the adapter's execution client, if there is one."""
        ...

    def open(self, node: Any, maker: Any) -> Books:
        """Set up execution on a node that is built and does not run yet, and return the books."""
        ...

    def watch(self) -> None:
        """Look after things a few times a second; raises when the run cannot go on."""
        ...

    def account_words(self, node: Any) -> str:
        """Return whose account it is, with its equity and leverage."""
        ...

    def about(self) -> About:
        """Return what a report says of the data; asked at the end."""
        ...

    def end(self, *, is_over: bool) -> None:
        """Keep or clear what the next run would take up; ``is_over`` when the run has had its time and was not cut short."""
        ...
