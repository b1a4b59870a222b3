"""What is asked of the catalogue, and what it hands to a run."""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """
    The venue's static facts of one perpetual, as ``meta`` declares them.

    Parameters
    ----------
    coin : str
        The coin with its dex prefix, for example ``km:US500``; no prefix on the validator dex.
    collateral : str
        The dex's collateral token, for example ``USDH``.
    sz_decimals : int
        Decimals of a size; the lot is ``10 ** -sz_decimals``.
    max_leverage : int
        The largest leverage of the first margin tier.
    growth_mode : bool
        Whether fees (and the credit for actions) are a tenth.
    deployer_fee_scale : float
        The deployer's share on top of the venue's fee.

    """

    coin: str = "km:US500"
    collateral: str = "USDH"
    sz_decimals: int = 3
    max_leverage: int = 25
    growth_mode: bool = True
    deployer_fee_scale: float = 1.0

    @property
    def dex(self) -> str:
        """The dex name; empty for the validator-operated dex."""
        return self.coin.partition(":")[0] if ":" in self.coin else ""

    @property
    def instrument_id(self) -> str:
        """The Nautilus instrument id."""
        return f"{self.coin}-USD-PERP.HYPERLIQUID"


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """
    What a dataset is: where it came from, what it holds, and what was assumed.

    ``source`` is one of hyperliquid, yfinance, file, hl-book, generator, catalog; ``simulated`` says that the book and
    trades were made by the market simulator; ``bars_simulated`` that even the bars were generated. ``defaults`` names each
    assumption in words (for example ``daily volume 3.4M (source has none)``). ``sessions`` are [open, close) intervals in ns.
    """

    name: str
    catalog: str
    instrument_id: str
    source: str
    simulated: bool
    start_ns: int
    end_ns: int
    sessions: tuple[tuple[int, int], ...]
    streams: tuple[str, ...]
    bars_simulated: bool = False
    description: str = ""
    defaults: tuple[str, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)


class Dataset(Protocol):
    """Data of one run, handed out in time order."""

    @property
    def info(self) -> DatasetInfo:
        """What the dataset is."""
        ...

    @property
    def instrument(self) -> Any:
        """The Nautilus instrument."""
        ...

    def batches(self, start_ns: int | None = None, end_ns: int | None = None) -> Iterator[list[Any]]:
        """Yield lists of Nautilus data objects, each list ordered by ``ts_init`` and not overlapping the next."""
        ...

    def reference_instrument(self) -> Any:
        """Return the instrument of the reference market that is handed out beside the own one."""
        ...
