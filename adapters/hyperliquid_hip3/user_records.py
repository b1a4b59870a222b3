"""What the venue says of one user and of a market's state, as plain records: times in ns UTC, numbers exact."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class AssetContext:
    """
    The state of one perpetual: funding, oracle, mark and the day's volume.

    ``funding`` is the rate of the current hour; ``open_interest`` and ``day_base_volume`` are in coins, ``day_notional_volume`` in
    collateral. The fields that the venue may leave null are None then. ``coin`` is empty where the message names none.
    """

    coin: str
    funding: Decimal
    open_interest: Decimal
    oracle_price: Decimal
    mark_price: Decimal
    mid_price: Decimal | None
    premium: Decimal | None
    day_notional_volume: Decimal
    day_base_volume: Decimal | None
    previous_day_price: Decimal
    impact_bid: Decimal | None
    impact_ask: Decimal | None


@dataclass(frozen=True, slots=True)
class PositionState:
    """
    One open position; ``size`` is signed, amounts are in the dex's collateral.

    ``value`` is its notional (not signed). ``raw_usd`` is the cash inside an isolated position, None for a cross one.
    ``funding_since_open`` is positive when paid.
    """

    coin: str
    size: Decimal
    entry_price: Decimal | None
    value: Decimal
    unrealized_pnl: Decimal
    margin_used: Decimal
    leverage: int
    is_cross: bool
    raw_usd: Decimal | None
    liquidation_price: Decimal | None
    max_leverage: int
    funding_since_open: Decimal


@dataclass(frozen=True, slots=True)
class MarginFigures:
    """The sums of an account on one dex, in its collateral; ``raw_usd`` is the cash, negative while longs are bought with it."""

    account_value: Decimal
    total_notional: Decimal
    raw_usd: Decimal
    margin_used: Decimal


@dataclass(frozen=True, slots=True)
class ClearinghouseState:
    """A user's account on one dex; a coin without an entry is flat."""

    ts_ns: int
    summary: MarginFigures
    cross_summary: MarginFigures
    cross_maintenance: Decimal
    withdrawable: Decimal
    positions: tuple[PositionState, ...]

    def find(self, coin: str) -> PositionState | None:
        """Return the position of a coin, None when flat."""
        return next((position for position in self.positions if position.coin == coin), None)


@dataclass(frozen=True, slots=True)
class DexClearinghouseState:
    """A clearinghouse state with the dex and the user it is of; the validator dex has the empty name."""

    dex: str
    user: str
    state: ClearinghouseState


@dataclass(frozen=True, slots=True)
class SpotBalance:
    """A spot token's balance; ``hold`` is the part in use, ``entry_notional`` what it was bought for in USDC."""

    coin: str
    token: int
    total: Decimal
    hold: Decimal
    entry_notional: Decimal


@dataclass(frozen=True, slots=True)
class SpotState:
    """A user's spot balances, which in unified mode are the whole account."""

    balances: tuple[SpotBalance, ...]

    def find(self, token: int) -> SpotBalance | None:
        """Return the balance of a token by its index in ``spotMeta``, None where there is none."""
        return next((balance for balance in self.balances if balance.token == token), None)


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """
    One order of the user.

    ``side`` is +1 for a buy and -1 for a sell; ``size`` is what is left of ``orig_size`` and stays above zero on a canceled order.
    ``ts_ns`` is when it was placed. ``tif`` is None where the message leaves it out; ``trigger_price`` is None on a plain order.
    """

    coin: str
    side: int
    price: Decimal
    size: Decimal
    orig_size: Decimal
    oid: int
    cloid: str | None
    ts_ns: int
    reduce_only: bool = False
    tif: str | None = None
    is_trigger: bool = False
    trigger_price: Decimal | None = None
    order_type: str = "Limit"


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """The open orders of a user on one dex, as the stream of that name sends them."""

    dex: str
    user: str
    orders: tuple[OpenOrder, ...]


@dataclass(frozen=True, slots=True)
class OrderState:
    """
    What an ``orderStatus`` query found; ``ts_ns`` is when the order took this status.

    ``order`` is None, the status ``unknownOid`` and the time 0 where the venue does not know the order; it forgets old ones.
    """

    order: OpenOrder | None
    status: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """An order with the status it took at ``ts_ns``."""

    order: OpenOrder
    status: str
    ts_ns: int


class FillKey(NamedTuple):
    """What tells a fill of one user from every other."""

    ts_ns: int
    coin: str
    trade_id: int


@dataclass(frozen=True, slots=True)
class UserFill:
    """
    One fill of the user.

    ``side`` is the user's: +1 bought, -1 sold. ``start_position`` is the signed position before it. ``closed_pnl`` is against the entry
    price, before the fee. ``fee`` includes the builder's share and is negative for a rebate; ``fee_token`` names its token.
    ``direction`` is free text of the venue ("Open Long"). ``liquidated_user`` is empty unless the fill belongs to a liquidation, which
    may be another user's: ``is_liquidation`` says only that there was one.
    """

    coin: str
    price: Decimal
    size: Decimal
    side: int
    ts_ns: int
    start_position: Decimal
    direction: str
    closed_pnl: Decimal
    oid: int
    is_taker: bool
    fee: Decimal
    fee_token: str
    trade_id: int
    cloid: str | None = None
    builder_fee: Decimal | None = None
    is_liquidation: bool = False
    hash: str = ""
    liquidated_user: str = ""
    liquidation_method: str = ""
    deployer_fee: Decimal | None = None

    @property
    def key(self) -> FillKey:
        """What identifies the fill: the trade id alone is a hash of the two orders and repeats (protocol: Info endpoints, fills)."""
        return FillKey(self.ts_ns, self.coin, self.trade_id)


@dataclass(frozen=True, slots=True)
class FillsMessage:
    """Fills of the user: the whole recent past in a snapshot, else what is new."""

    user: str
    is_snapshot: bool
    fills: tuple[UserFill, ...]


@dataclass(frozen=True, slots=True)
class FundingPayment:
    """One hour's funding: ``amount`` in collateral, positive when received; ``position_size`` signed."""

    coin: str
    ts_ns: int
    amount: Decimal
    position_size: Decimal
    rate: Decimal


@dataclass(frozen=True, slots=True)
class FundingsMessage:
    """Funding payments of the user: the recent past in a snapshot, else what is new."""

    user: str
    is_snapshot: bool
    payments: tuple[FundingPayment, ...]


@dataclass(frozen=True, slots=True)
class FillsEvent:
    """Fills as the ``user`` channel sends them, without the user's address."""

    fills: tuple[UserFill, ...]


@dataclass(frozen=True, slots=True)
class FundingEvent:
    """A funding payment as the ``user`` channel sends it."""

    payment: FundingPayment


@dataclass(frozen=True, slots=True)
class LiquidationNotice:
    """A liquidation: who was liquidated by whom, with the notional and the account value at that time."""

    liquidation_id: int
    liquidator: str
    liquidated_user: str
    notional: Decimal
    account_value: Decimal


class VenueCancel(NamedTuple):
    """An order that the venue canceled on its own."""

    coin: str
    oid: int


@dataclass(frozen=True, slots=True)
class VenueCancels:
    """Orders that the venue canceled on its own (margin, self-trade, delisting ...)."""

    cancels: tuple[VenueCancel, ...]


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """An event of the ``user`` channel that nothing here acts on, by the names of its parts."""

    kinds: tuple[str, ...]


UserEvent = FillsEvent | FundingEvent | LiquidationNotice | VenueCancels | OtherEvent


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What the address may still send: actions used and allowed, bought ones in ``surplus``, and the volume that earned them."""

    volume: Decimal
    used: int
    cap: int
    surplus: int


class FeeTier(NamedTuple):
    """From this 14-day volume on (USD), these taker and maker rates."""

    volume: Decimal
    taker_rate: Decimal
    maker_rate: Decimal


class RebateTier(NamedTuple):
    """From this share of the venue's maker volume on, this maker rate (negative)."""

    maker_fraction: Decimal
    maker_rate: Decimal


@dataclass(frozen=True, slots=True)
class UserFees:
    """
    The rates of a user on validator perps, before the scale of a builder's dex.

    ``maker_rate`` and ``taker_rate`` are the user's own, with the staking discount in them; discounts are fractions (0.04 = 4 %).
    ``base_maker_rate`` and ``base_taker_rate`` are the schedule's first tier.
    """

    maker_rate: Decimal
    taker_rate: Decimal
    referral_discount: Decimal
    staking_discount: Decimal
    base_maker_rate: Decimal
    base_taker_rate: Decimal
    tiers: tuple[FeeTier, ...] = ()
    rebates: tuple[RebateTier, ...] = ()


@dataclass(frozen=True, slots=True)
class Agent:
    """A key that may sign for the user until ``valid_until_ns``; None where the venue states no end."""

    name: str
    address: str
    valid_until_ns: int | None


@dataclass(frozen=True, slots=True)
class UnnamedAgent:
    """The one agent of a user without a name, as ``webData3`` has it; ``address`` is None where there is none."""

    user: str
    address: str | None
    valid_until_ns: int | None


@dataclass(frozen=True, slots=True)
class Role:
    """
    What an address is: ``user``, ``agent``, ``vault``, ``subAccount`` or ``missing``.

    ``master`` is the account behind an agent or a sub-account, None for the others.
    """

    role: str
    master: str | None


@dataclass(frozen=True, slots=True)
class ActiveAsset:
    """
    What the user may trade of a coin.

    ``max_trade_sizes`` (coins) and ``available`` (collateral) are for buying and for selling.
    """

    coin: str
    leverage: int
    is_cross: bool
    max_trade_sizes: tuple[Decimal, Decimal]
    available: tuple[Decimal, Decimal]
    mark_price: Decimal | None


@dataclass(frozen=True, slots=True)
class LedgerUpdate:
    """
    A deposit, withdrawal, transfer or other movement that is neither a fill nor funding.

    ``kind`` is the venue's word. ``amount`` is as the venue writes it: without a sign, of ``token``, None where the kind has none.
    ``source_dex`` and ``destination_dex`` are filled for transfers between dexes ("" validator dex, "spot" spot account).
    """

    ts_ns: int
    block_hash: str
    kind: str
    amount: Decimal | None
    token: str
    fee: Decimal | None = None
    user: str = ""
    destination: str = ""
    source_dex: str | None = None
    destination_dex: str | None = None
    to_perp: bool | None = None


@dataclass(frozen=True, slots=True)
class LedgerMessage:
    """Ledger updates of the user: the recent past in a snapshot, else what is new."""

    user: str
    is_snapshot: bool
    updates: tuple[LedgerUpdate, ...]


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """The venue's own clock and any special state it announces, as text."""

    ts_ns: int
    special_statuses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DexLimits:
    """The open-interest caps of a dex: total notional and size per perp, the largest transfer, and each coin's notional cap."""

    total_oi_cap: Decimal
    size_cap_per_perp: Decimal
    max_transfer_notional: Decimal
    coin_oi_caps: dict[str, Decimal]
