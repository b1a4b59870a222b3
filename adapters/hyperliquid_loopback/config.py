"""How a loopback venue is set up: its market, accounts, clocks and limits."""

from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final
from typing import Literal
from typing import Self


HOST: Final = "127.0.0.1"
BLOCK_MS: Final = 70
DEFAULT_EQUITY: Final = Decimal(1_000)

ClockKind = Literal["real", "manual"]
FlowKind = Literal["none", "quiet", "simulated", "replay"]
AccountMode = Literal["disabled", "unifiedAccount", "portfolioMargin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadences:
    """
    How often each stream speaks, milliseconds of venue time.

    Sources: protocol, WebSocket (measured): ``l2Book`` 5.4 s, with ``fast`` 0.54 s; ``activeAssetCtx`` 1 s; ``allMids`` 5 s;
    ``allDexsAssetCtxs`` 13.6 s; ``candle`` 1 s; a socket to which nothing was sent for 60 s is closed. The pace of the user's states
    (``user_state_ms``) is not documented.
    """

    book_ms: int = 5_400
    fast_book_ms: int = 540
    context_ms: int = 1_000
    mids_ms: int = 5_000
    candle_ms: int = 1_000
    all_contexts_ms: int = 13_600
    user_state_ms: int = 5_000
    silence_ms: int = 60_000

    def __post_init__(self) -> None:
        for each in fields(self):
            if getattr(self, each.name) < 1:
                raise ValueError(f"`{each.name}` was {getattr(self, each.name)}, must be at least 1 ms")

    def scaled(self, factor: float) -> Self:
        """Return the same clocks, every one times ``factor`` (0.1: ten times as fast), at least 1 ms each."""
        if factor <= 0:
            raise ValueError(f"`factor` was {factor}, must be above 0")
        return replace(
            self, **{each.name: max(1, round(getattr(self, each.name) * factor)) for each in fields(self)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """
    An API wallet of an account.

    Parameters
    ----------
    address : str
        Its address.
    name : str
        Its name; empty for the one unnamed agent.
    valid_until_ms : int or None
        When it ends, ms UTC; None for the venue's longest, 180 days.

    """

    address: str
    name: str = ""
    valid_until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSpec:
    """
    An account to open at the start.

    Parameters
    ----------
    address : str
        The master's address.
    equity : Decimal
        Collateral units of the venue's dex.
    spot : Decimal
        Units of the same token on the spot side.
    mode : str or None
        The account mode; None for the venue's default.
    agents : tuple of AgentSpec
        Its API wallets.
    master : str, optional
        Whose sub-account this is.
    leader : str, optional
        Who leads it: it is a vault.

    """

    address: str
    equity: Decimal = DEFAULT_EQUITY
    spot: Decimal = Decimal(0)
    mode: AccountMode | None = None
    agents: tuple[AgentSpec, ...] = ()
    master: str | None = None
    leader: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueConfig:
    """
    A loopback venue.

    Parameters
    ----------
    port, control_port : int, default 0
        Ports on 127.0.0.1; 0 takes a free one.
    dex, coin : str
        The dex whose market moves and that new accounts are funded on, and its coin.
    accounts : tuple of AccountSpec
        Accounts to open.
    generated_accounts : int, default 0
        How many more accounts to open with keys made from the seed.
    equity : Decimal
        What each generated account starts with, collateral units of the dex.
    mode : str, default "disabled"
        Account mode of new accounts; ``disabled`` is the venue's standard mode.
    flow : str, default "quiet"
        Who else trades: ``none``, a ``quiet`` ladder, the ``simulated`` market or a ``replay``.
    catalog : Path, optional
        What a replay reads.
    dataset : str, default ""
        The label or name of the replay's dataset in the catalog.
    seed : int, default 1
        Seed of prices, background flow, faults and generated keys.
    block_ms : int, default 70
        Time between blocks (protocol: matching, about 68 ms).
    clock : str, default "real"
        ``manual``: time stands until ``advance`` is called.
    start_ms : int, optional
        Venue time of the start, ms UTC; by default the wall clock's.
    clock_offset_ms : int, default 0
        Added to venue time, for a venue whose clock is off.
    cadences : Cadences
        The streams' clocks.
    limits : bool, default True
        Whether the limits on an IP address are enforced.
    accept_mainnet_source : bool, default False
        Whether actions signed with source byte "a" are taken too.
    history_candles, history_hours : int
        Candles of each interval and hours of funding of before the start.

    Raises
    ------
    ValueError
        If a value is out of range, or a replay has no catalog.

    """

    port: int = 0
    control_port: int = 0
    dex: str = "km"
    coin: str = "km:US500"
    accounts: tuple[AccountSpec, ...] = ()
    generated_accounts: int = 0
    equity: Decimal = DEFAULT_EQUITY
    mode: AccountMode = "disabled"
    flow: FlowKind = "quiet"
    catalog: Path | None = None
    dataset: str = ""
    seed: int = 1
    block_ms: int = BLOCK_MS
    clock: ClockKind = "real"
    start_ms: int | None = None
    clock_offset_ms: int = 0
    cadences: Cadences = field(default_factory=Cadences)
    limits: bool = True
    accept_mainnet_source: bool = False
    history_candles: int = 1_000
    history_hours: int = 1_200

    def __post_init__(self) -> None:
        if self.block_ms < 1:
            raise ValueError(f"`block_ms` was {self.block_ms}, must be at least 1")
        if not self.coin.startswith(f"{self.dex}:") and self.dex:
            raise ValueError(f"`coin` was {self.coin!r}, must begin with the dex {self.dex!r} and a colon")
        if self.equity < 0 or any(min(each.equity, each.spot) < 0 for each in self.accounts):
            raise ValueError("an equity was below 0")
        if self.flow == "replay" and (self.catalog is None or not self.dataset):
            raise ValueError("a replay needs `catalog` and `dataset`")
        if self.generated_accounts < 0:
            raise ValueError(f"`generated_accounts` was {self.generated_accounts}, must not be negative")
