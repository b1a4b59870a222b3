"""
Readers of the state of one user's account: positions, balances, fees, limits, keys, and transfers.

As in :mod:`hyperliquid_hip3.parsing`: decoded JSON in, records out, :class:`~hyperliquid_hip3.errors.PayloadError` for anything else,
fields the venue adds later left alone. A state that cannot be read whole is not read at all: half an account would read as flat.
Shapes: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from typing import Final

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.fields import ZERO
from hyperliquid_hip3.fields import decimal
from hyperliquid_hip3.fields import field
from hyperliquid_hip3.fields import inner
from hyperliquid_hip3.fields import items
from hyperliquid_hip3.fields import mapping
from hyperliquid_hip3.fields import number
from hyperliquid_hip3.fields import optional_flag
from hyperliquid_hip3.fields import optional_number
from hyperliquid_hip3.fields import optional_text
from hyperliquid_hip3.fields import pair
from hyperliquid_hip3.fields import sequence
from hyperliquid_hip3.fields import shown
from hyperliquid_hip3.fields import text
from hyperliquid_hip3.fields import time_ns
from hyperliquid_hip3.fields import unsigned
from hyperliquid_hip3.fields import whole
from hyperliquid_hip3.user_records import ActiveAsset
from hyperliquid_hip3.user_records import Agent
from hyperliquid_hip3.user_records import ClearinghouseState
from hyperliquid_hip3.user_records import DexClearinghouseState
from hyperliquid_hip3.user_records import FeeTier
from hyperliquid_hip3.user_records import LedgerMessage
from hyperliquid_hip3.user_records import LedgerUpdate
from hyperliquid_hip3.user_records import MarginFigures
from hyperliquid_hip3.user_records import PositionState
from hyperliquid_hip3.user_records import RateLimit
from hyperliquid_hip3.user_records import RebateTier
from hyperliquid_hip3.user_records import Role
from hyperliquid_hip3.user_records import SpotBalance
from hyperliquid_hip3.user_records import SpotState
from hyperliquid_hip3.user_records import UnnamedAgent
from hyperliquid_hip3.user_records import UserFees


# what a kind of movement must carry, protocol: info endpoints; other kinds are read as far as they go
USDC_KINDS: Final = frozenset(
    ("deposit", "withdraw", "accountClassTransfer", "internalTransfer", "subAccountTransfer")
)
TOKEN_KINDS: Final = frozenset(("spotTransfer", "send"))


def parse_clearinghouse_state(data: Any, *, early: bool = False) -> ClearinghouseState:
    """
    Return a user's account on one dex from a ``clearinghouseState`` reply.

    Parameters
    ----------
    data : Any
        The decoded reply.
    early : bool, default False
        Whether a reply of 2023 is read: without a time, maintenance margin, maximum leverage and funding, which are 0 then.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "clearinghouseState"
    body = mapping(data, channel)
    return ClearinghouseState(
        ts_ns=0 if early and "time" not in body else time_ns(body, "time", channel),
        summary=_figures(inner(body, "marginSummary", channel), channel),
        cross_summary=_figures(inner(body, "crossMarginSummary", channel), channel),
        cross_maintenance=_early_number(body, "crossMaintenanceMarginUsed", channel, early=early),
        withdrawable=number(body, "withdrawable", channel),
        positions=tuple(
            [
                _position(inner(mapping(row, channel), "position", channel), channel, early=early)
                for row in items(body, "assetPositions", channel)
            ],
        ),
    )


def parse_clearinghouse_state_message(data: Any) -> DexClearinghouseState:
    """
    Return a user's account on one dex from a ``clearinghouseState`` message, with the dex and the user.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "clearinghouseState"
    body = mapping(data, channel)
    return DexClearinghouseState(
        dex=optional_text(body, "dex", channel),
        user=text(body, "user", channel),
        state=parse_clearinghouse_state(field(body, "clearinghouseState", channel)),
    )


def parse_all_dexs_clearinghouse_state(data: Any) -> tuple[DexClearinghouseState, ...]:
    """
    Return a user's account on every dex from an ``allDexsClearinghouseState`` message.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "allDexsClearinghouseState"
    body = mapping(data, channel)
    user = text(body, "user", channel)
    states = []
    for row in items(body, "clearinghouseStates", channel):
        dex, state = pair(row, channel, "clearinghouseStates")
        if not isinstance(dex, str):
            raise PayloadError(channel, f"the name of a dex was {shown(dex)}, must be a text")
        states.append(DexClearinghouseState(dex=dex, user=user, state=parse_clearinghouse_state(state)))
    return tuple(states)


def parse_spot_state(data: Any) -> SpotState:
    """
    Return a user's spot balances from a ``spotClearinghouseState`` reply.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "spotClearinghouseState"
    return _spot(mapping(data, channel), channel)


def parse_spot_state_message(data: Any) -> SpotState:
    """
    Return a user's spot balances from a ``spotState`` message.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "spotState"
    return _spot(inner(mapping(data, channel), "spotState", channel), channel)


def parse_user_fees(data: Any) -> UserFees:
    """
    Return a user's rates from a ``userFees`` reply.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "userFees"
    body = mapping(data, channel)
    schedule = inner(body, "feeSchedule", channel)
    tiers = inner(schedule, "tiers", channel) if schedule.get("tiers") is not None else {}
    staking = None
    if body.get("activeStakingDiscount") is not None:
        staking = number(inner(body, "activeStakingDiscount", channel), "discount", channel)
    return UserFees(
        maker_rate=number(body, "userAddRate", channel),
        taker_rate=number(body, "userCrossRate", channel),
        referral_discount=number(body, "activeReferralDiscount", channel),
        staking_discount=ZERO if staking is None else staking,
        base_maker_rate=number(schedule, "add", channel),
        base_taker_rate=number(schedule, "cross", channel),
        tiers=tuple([_fee_tier(mapping(row, channel), channel) for row in _rows(tiers, "vip", channel)]),
        rebates=tuple([_rebate_tier(mapping(row, channel), channel) for row in _rows(tiers, "mm", channel)]),
    )


def parse_rate_limit(data: Any) -> RateLimit:
    """
    Return the address's action limit from a ``userRateLimit`` reply.

    See https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/rate-limits-and-user-limits.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "userRateLimit"
    body = mapping(data, channel)
    surplus = body.get("nRequestsSurplus")
    return RateLimit(
        volume=unsigned(body, "cumVlm", channel),
        used=whole(body, "nRequestsUsed", channel),
        cap=whole(body, "nRequestsCap", channel),
        surplus=0 if surplus is None else whole(body, "nRequestsSurplus", channel),
    )


def parse_user_role(data: Any) -> Role:
    """
    Return what an address is from a ``userRole`` reply.

    Raises
    ------
    PayloadError
        If a field is missing or malformed; an agent or a sub-account without its master is malformed.

    """
    channel = "userRole"
    body = mapping(data, channel)
    role = text(body, "role", channel)
    master = None
    if role == "agent":
        master = text(inner(body, "data", channel), "user", channel)
    elif role == "subAccount":
        master = text(inner(body, "data", channel), "master", channel)
    return Role(role=role, master=master)


def parse_vault_leader(data: Any) -> str | None:
    """
    Return who leads a vault from a ``vaultDetails`` reply, in lower case; None where there is no such vault.

    https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint#retrieve-details-for-a-vault

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    if data is None:
        return None
    channel = "vaultDetails"
    return text(mapping(data, channel), "leader", channel).lower()


def parse_extra_agents(data: Any) -> tuple[Agent, ...]:
    """
    Return a user's named keys from an ``extraAgents`` reply.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "extraAgents"
    agents = []
    for row in sequence(data, channel, "reply"):
        body = mapping(row, channel)
        # the address must be there, though a scrubbed recording has it empty
        address = field(body, "address", channel)
        if not isinstance(address, str):
            raise PayloadError(channel, f"`address` was {shown(address)}, must be a text")
        until = body.get("validUntil")
        agents.append(
            Agent(
                name=optional_text(body, "name", channel),
                address=address,
                valid_until_ns=None if until is None else time_ns(body, "validUntil", channel),
            ),
        )
    return tuple(agents)


def parse_active_asset_data(data: Any) -> ActiveAsset:
    """
    Return what a user may trade of a coin from an ``activeAssetData`` reply or message.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "activeAssetData"
    body = mapping(data, channel)
    leverage, is_cross, _ = parse_leverage(inner(body, "leverage", channel), channel)
    return ActiveAsset(
        coin=text(body, "coin", channel),
        leverage=leverage,
        is_cross=is_cross,
        max_trade_sizes=_two(body, "maxTradeSzs", channel),
        available=_two(body, "availableToTrade", channel),
        mark_price=optional_number(body, "markPx", channel),
    )


def parse_user_abstraction(data: Any) -> str:
    """
    Return the account mode of a ``userAbstraction`` reply.

    One of ``disabled`` (standard), ``default``, ``unifiedAccount``, ``portfolioMargin`` and ``dexAbstraction``; a mode of another name
    is returned as it is, for the caller to refuse.

    Raises
    ------
    PayloadError
        If the reply is not a text.

    """
    if not isinstance(data, str) or not data:
        raise PayloadError("userAbstraction", f"the reply was {shown(data)}, must be a text")
    return data


def parse_ledger_updates(data: Any) -> tuple[LedgerUpdate, ...]:
    """
    Return the movements of a ``userNonFundingLedgerUpdates`` reply, in the order sent.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "userNonFundingLedgerUpdates"
    return tuple([_ledger_update(mapping(row, channel), channel) for row in sequence(data, channel, "reply")])


def parse_unnamed_agent(data: Any) -> UnnamedAgent:
    """
    Return the agent without a name from a ``webData3`` message.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "webData3"
    body = inner(mapping(data, channel), "userState", channel)
    has_agent = body.get("agentAddress") is not None
    has_end = body.get("agentValidUntil") is not None
    return UnnamedAgent(
        user=text(body, "user", channel),
        address=text(body, "agentAddress", channel) if has_agent else None,
        valid_until_ns=time_ns(body, "agentValidUntil", channel) if has_end else None,
    )


def parse_ledger_message(data: Any) -> LedgerMessage:
    """
    Return the movements of a ``userNonFundingLedgerUpdates`` message; only the first after subscribing is a snapshot.

    Raises
    ------
    PayloadError
        If a field is missing or malformed.

    """
    channel = "userNonFundingLedgerUpdates"
    body = mapping(data, channel)
    rows = items(body, "nonFundingLedgerUpdates", channel)
    return LedgerMessage(
        user=text(body, "user", channel),
        is_snapshot=optional_flag(body, "isSnapshot", channel),
        updates=tuple([_ledger_update(mapping(row, channel), channel) for row in rows]),
    )


def parse_leverage(body: Mapping[str, Any], channel: str) -> tuple[int, bool, Decimal | None]:
    """
    Return the leverage of a coin, whether it is cross, and the cash inside an isolated position.

    Raises
    ------
    PayloadError
        If a field is missing or malformed, or the kind is neither cross nor isolated.

    """
    kind = text(body, "type", channel)
    if kind not in ("cross", "isolated"):
        raise PayloadError(channel, f"`type` of the leverage was {shown(kind)}, not 'cross' or 'isolated'")
    return whole(body, "value", channel), kind == "cross", optional_number(body, "rawUsd", channel)


def _spot(body: Mapping[str, Any], channel: str) -> SpotState:
    balances = []
    for row in items(body, "balances", channel):
        balance = mapping(row, channel)
        balances.append(
            SpotBalance(
                coin=text(balance, "coin", channel),
                token=whole(balance, "token", channel),
                total=number(balance, "total", channel),
                hold=number(balance, "hold", channel),
                entry_notional=number(balance, "entryNtl", channel),
            ),
        )
    return SpotState(balances=tuple(balances))


def _figures(body: Mapping[str, Any], channel: str) -> MarginFigures:
    return MarginFigures(
        account_value=number(body, "accountValue", channel),
        total_notional=number(body, "totalNtlPos", channel),
        raw_usd=number(body, "totalRawUsd", channel),
        margin_used=number(body, "totalMarginUsed", channel),
    )


def _position(body: Mapping[str, Any], channel: str, *, early: bool) -> PositionState:
    leverage, is_cross, raw_usd = parse_leverage(inner(body, "leverage", channel), channel)
    if early and "cumFunding" not in body:
        funding = ZERO
    else:
        funding = number(inner(body, "cumFunding", channel), "sinceOpen", channel)
    return PositionState(
        coin=text(body, "coin", channel),
        size=number(body, "szi", channel),
        entry_price=optional_number(body, "entryPx", channel),
        value=number(body, "positionValue", channel),
        unrealized_pnl=number(body, "unrealizedPnl", channel),
        margin_used=number(body, "marginUsed", channel),
        leverage=leverage,
        is_cross=is_cross,
        raw_usd=raw_usd,
        liquidation_price=optional_number(body, "liquidationPx", channel),
        max_leverage=0 if early and "maxLeverage" not in body else whole(body, "maxLeverage", channel),
        funding_since_open=funding,
    )


def _fee_tier(body: Mapping[str, Any], channel: str) -> FeeTier:
    return FeeTier(
        volume=unsigned(body, "ntlCutoff", channel),
        taker_rate=number(body, "cross", channel),
        maker_rate=number(body, "add", channel),
    )


def _rebate_tier(body: Mapping[str, Any], channel: str) -> RebateTier:
    return RebateTier(
        maker_fraction=unsigned(body, "makerFractionCutoff", channel),
        maker_rate=number(body, "add", channel),
    )


def _rows(body: Mapping[str, Any], name: str, channel: str) -> Sequence[Any]:
    return () if body.get(name) is None else items(body, name, channel)


def _two(body: Mapping[str, Any], name: str, channel: str) -> tuple[Decimal, Decimal]:
    buy, sell = pair(field(body, name, channel), channel, name)
    return decimal(buy, channel, name), decimal(sell, channel, name)


def _ledger_update(body: Mapping[str, Any], channel: str) -> LedgerUpdate:
    delta = inner(body, "delta", channel)
    kind = text(delta, "type", channel)
    amount: Decimal | None
    if kind in USDC_KINDS:
        amount, token = number(delta, "usdc", channel), "USDC"
    elif kind in TOKEN_KINDS:
        amount, token = number(delta, "amount", channel), text(delta, "token", channel)
    else:
        amount, token = optional_number(delta, "amount", channel), optional_text(delta, "token", channel)
    return LedgerUpdate(
        ts_ns=time_ns(body, "time", channel),
        block_hash=optional_text(body, "hash", channel),
        kind=kind,
        amount=amount,
        token=token,
        fee=optional_number(delta, "fee", channel),
        user=optional_text(delta, "user", channel),
        destination=optional_text(delta, "destination", channel),
        source_dex=_dex(delta, "sourceDex", channel),
        destination_dex=_dex(delta, "destinationDex", channel),
        to_perp=None if delta.get("toPerp") is None else optional_flag(delta, "toPerp", channel),
    )


def _dex(body: Mapping[str, Any], name: str, channel: str) -> str | None:
    # the empty name is the validator dex, which is not the same as no name
    return None if body.get(name) is None else optional_text(body, name, channel)


def _early_number(body: Mapping[str, Any], name: str, channel: str, *, early: bool) -> Decimal:
    return ZERO if early and name not in body else number(body, name, channel)
