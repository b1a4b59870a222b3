"""Which of several markets is listed on the exchange, and what the exchange says about it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.deadline import Deadline
from amm500_catalog.sources.info_client import InfoClient
from amm500_catalog.spec import MarketSpec
from hyperliquid_hip3.constants import builder_asset_id
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.parsing import parse_meta
from hyperliquid_hip3.parsing import parse_perp_dexs
from hyperliquid_hip3.parsing import parse_spot_meta
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.records import PerpDex
from hyperliquid_hip3.records import PerpEntry


# where neither the asset nor its dex states the deployer's share
DEFAULT_FEE_SCALE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class ListedMarket:
    """
    The market chosen.

    ``passed_over`` says of each candidate before it why it was not taken; ``notes`` names what was assumed; ``margin_mode`` is the
    venue's word (empty: cross allowed).
    """

    spec: MarketSpec
    asset_id: int
    collateral_token: int
    margin_mode: str = ""
    passed_over: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """One sentence for the report."""
        chosen = f"{self.spec.coin} is listed, in {self.spec.collateral} (asset {self.asset_id})"
        return f"{chosen}; passed over: {', '.join(self.passed_over)}" if self.passed_over else chosen


def pick_market(candidates: tuple[str, ...], client: InfoClient, deadline: Deadline) -> ListedMarket:
    """
    Return the first candidate that is listed and not delisted.

    Parameters
    ----------
    candidates : tuple of str
        Coins in the order of preference.
    client : InfoClient
        The connection.
    deadline : Deadline
        The end of the whole lookup.

    Raises
    ------
    SourceUnavailableError
        If the exchange does not answer, or none is listed.
    ValueError
        If there are no candidates.

    """
    if not candidates:
        raise ValueError("`candidates` was empty, must name at least one coin")
    dexes = {dex.name: dex for dex in parse_perp_dexs(client.post({"type": "perpDexs"}, deadline))}
    metas: dict[str, DexMeta] = {}
    passed_over: list[str] = []
    for coin in candidates:
        dex_name, _ = split_coin(coin)
        if dex_name and dex_name not in dexes:
            passed_over.append(f"{coin} (no dex {dex_name})")
            continue
        if dex_name not in metas:
            metas[dex_name] = parse_meta(client.post({"type": "meta", "dex": dex_name}, deadline))
        entry = metas[dex_name].find(coin)
        if entry is None:
            passed_over.append(f"{coin} (not listed)")
        elif entry.is_delisted:
            passed_over.append(f"{coin} (delisted)")
        else:
            token = metas[dex_name].collateral_token
            collateral = _token_name(token, client, deadline)
            return _listed(entry, dexes.get(dex_name), token, collateral, tuple(passed_over))
    raise SourceUnavailableError(f"none of the candidate markets is listed: {', '.join(passed_over)}")


def _token_name(token: int, client: InfoClient, deadline: Deadline) -> str:
    tokens = {
        known.index: known.name for known in parse_spot_meta(client.post({"type": "spotMeta"}, deadline))
    }
    if token not in tokens:
        raise SourceUnavailableError(f"spotMeta: no token {token}, which is the market's collateral")
    return tokens[token]


def _listed(
    entry: PerpEntry,
    dex: PerpDex | None,
    token: int,
    collateral: str,
    passed_over: tuple[str, ...],
) -> ListedMarket:
    stated = entry.deployer_fee_scale
    if stated is None and dex is not None:
        stated = dex.deployer_fee_scale
    scale = DEFAULT_FEE_SCALE if stated is None else stated
    notes: tuple[str, ...] = ()
    if dex is not None and stated is None:
        notes = (f"deployer fee scale {DEFAULT_FEE_SCALE} (the exchange states none)",)
    return ListedMarket(
        spec=MarketSpec(
            coin=entry.coin,
            collateral=collateral,
            sz_decimals=entry.sz_decimals,
            max_leverage=entry.max_leverage,
            growth_mode=entry.growth_mode,
            deployer_fee_scale=float(scale) if dex is not None else 0.0,
        ),
        asset_id=builder_asset_id(0 if dex is None else dex.index, entry.index),
        collateral_token=token,
        margin_mode=entry.margin_mode,
        passed_over=passed_over,
        notes=notes,
    )
