"""What may be chosen about the venue's core, mostly where the venue's own rule is not known."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Literal

from amm500_nautilus.margin.funding import FundingTerms
from hyperliquid_loopback.oracle import KM_TERMS


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOptions:
    """
    Choices of the matching core.

    Parameters
    ----------
    oracle_band : Decimal or None
        How far from the oracle a price may be, as a fraction of it; None for no such check. The venue's figure is not
        documented.
    reference_band : Decimal
        The same from the reference price, for the whole batch: 80 % (protocol: error strings).
    refused_modify : str
        What becomes of the old order when its successor is refused without always place: ``keep`` or ``cancel``.
        Not documented.
    partial_fill_updates : bool
        Whether ``orderUpdates`` tells a partial fill. Not documented.
    partial_gtc_reply : str
        The status of a GTC order that fills in part and then rests: ``resting`` or ``filled``. Not documented.
    post_only_until_ms : int
        Only post-only orders are taken before this time, as after a network upgrade.
    orders_kept : int
        Orders remembered for each user (protocol: orderStatus, about 2,000).
    funding : mapping of str to FundingTerms
        Terms by dex; the venue's defaults for a dex that is not in it.
    open_interest : mapping of str to Decimal
        Contracts held long by others than those that trade here, by coin.

    Raises
    ------
    ValueError
        If a band is not positive or a choice is unknown.

    """

    oracle_band: Decimal | None = Decimal("0.7")
    reference_band: Decimal = Decimal("0.8")
    refused_modify: Literal["keep", "cancel"] = "keep"
    partial_fill_updates: bool = True
    partial_gtc_reply: Literal["resting", "filled"] = "resting"
    post_only_until_ms: int = 0
    orders_kept: int = 2_000
    funding: Mapping[str, FundingTerms] = field(default_factory=lambda: {"km": KM_TERMS})
    open_interest: Mapping[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.reference_band <= 0 or (self.oracle_band is not None and self.oracle_band <= 0):
            raise ValueError("a price band must be above 0")
        if self.refused_modify not in ("keep", "cancel"):
            raise ValueError(f"`refused_modify` was {self.refused_modify!r}, must be keep or cancel")
        if self.partial_gtc_reply not in ("resting", "filled"):
            raise ValueError(f"`partial_gtc_reply` was {self.partial_gtc_reply!r}, must be resting or filled")
