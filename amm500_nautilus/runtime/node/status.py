"""The venue side of ``amm500 status``: clock, market, account and limits, asked in a few seconds."""

import argparse
import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import REAL_MODES
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.exits import UNREACHABLE
from amm500_nautilus.runtime.node.signer_section import without_keys
from hyperliquid_hip3.account_state import UNIFIED
from hyperliquid_hip3.account_state import AccountFigures
from hyperliquid_hip3.account_state import AccountScope
from hyperliquid_hip3.account_state import account_figures
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.constants import MAINNET_URL
from hyperliquid_hip3.constants import builder_asset_id
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.instruments import OwnRates
from hyperliquid_hip3.instruments import fee_scale
from hyperliquid_hip3.instruments import perp_fees
from hyperliquid_hip3.instruments import table_of
from hyperliquid_hip3.precision import tick_at
from hyperliquid_hip3.records import BookSnapshot
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.records import PerpDex
from hyperliquid_hip3.records import PerpEntry
from hyperliquid_hip3.user_records import Agent
from hyperliquid_hip3.user_records import AssetContext
from hyperliquid_hip3.user_records import PositionState
from hyperliquid_hip3.user_records import RateLimit


DEADLINE_S = 8.0
# an answer that takes longer than this is of no use to somebody who waits for it
ATTEMPT_S = 3.0
CLOCK_WARN_MS = 500.0
MARGIN_WARN = Decimal("0.80")
ACTIONS_WARN = 500
DAY_NS = 86_400 * 10**9
AGENT_WARN_DAYS = 14
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(slots=True)
class VenueStatus:
    """
    What the venue said; amounts and rates as text, times in ms UTC.

    ``problems`` are sentences, one for each thing a trader should look at; none means healthy.
    """

    url: str
    venue: dict[str, Any] = field(default_factory=dict)
    market: dict[str, Any] = field(default_factory=dict)
    account: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """``healthy`` or ``degraded``."""
        return "degraded" if self.problems else "healthy"

    def plain(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {"state": self.state, **asdict(self)}


@dataclass(frozen=True, slots=True)
class _Listed:
    """A market with what its dex says of it."""

    dex: PerpDex | None
    meta: DexMeta
    entry: PerpEntry
    context: AssetContext | None
    collateral: str

    @property
    def scale(self) -> Decimal:
        """The deployer's fee scale; 1 where neither the coin nor the dex says."""
        return fee_scale(self.entry, None if self.dex is None else self.dex.deployer_fee_scale)


async def read_venue(
    client: VenueClient, url: str, coin: str, user: str | None, *, owner: str | None = None
) -> VenueStatus:
    """
    Ask the venue for everything the status shows.

    Parameters
    ----------
    client : VenueClient
        The client; the caller sets its patience.
    url : str
        The address shown.
    coin : str
        The market, with its dex prefix.
    user : str, optional
        The account's address; without it the account is left out.
    owner : str, optional
        Whose agents sign for it: the master's or leader's address where the account is a sub-account or a vault.

    Raises
    ------
    InputError
        If the venue has no such dex or coin.
    TransportError
        If the venue does not answer.

    """
    status = VenueStatus(url)
    # three readings, so that one slow answer does not make the clock look wrong
    exchange = [await client.exchange_status() for _ in range(3)][-1]
    offset = client.clock.offset_ns
    status.venue = {
        "server_time": exchange.ts_ns // 1_000_000,
        "clock_offset_ms": None if offset is None else round(offset / 1e6, 1),
        "special_statuses": list(exchange.special_statuses),
    }
    if offset is not None and abs(offset) > CLOCK_WARN_MS * 1e6:
        status.problems.append(
            f"the venue's clock is {offset / 1e6:+.0f} ms from this machine's; set the clock"
        )
    status.problems += [f"the venue announces: {text}" for text in exchange.special_statuses]
    listed = await _find(client, coin)
    book = await client.l2_book(coin)
    at_cap = await client.perps_at_open_interest_cap(split_coin(coin)[0])
    status.market = _market(listed, book, is_at_cap=coin in at_cap)
    _judge_market(status, listed, book, is_at_cap=coin in at_cap)
    if user is not None:
        status.account = await _account(client, listed, user, owner or user, status.problems)
    return status


async def _find(client: VenueClient, coin: str) -> _Listed:
    name, _ = split_coin(coin)
    dexes = {dex.name: dex for dex in await client.perp_dexs()}
    if name and name not in dexes:
        raise InputError(f"the dex {name!r} is not there; the venue has {', '.join(sorted(dexes))}", "--coin")
    meta, contexts = await client.meta_and_contexts(name)
    entry = meta.find(coin)
    if entry is None:
        coins = ", ".join(row.coin for row in meta.universe if not row.is_delisted)
        raise InputError(f"{coin!r} is not there; {name or 'the main dex'} has {coins}", "--coin")
    tokens = {token.index: token.name for token in await client.spot_meta()}
    return _Listed(
        dex=dexes.get(name),
        meta=meta,
        entry=entry,
        context=contexts[entry.index] if entry.index < len(contexts) else None,
        collateral=tokens.get(meta.collateral_token, f"token {meta.collateral_token}"),
    )


def _market(listed: _Listed, book: BookSnapshot, *, is_at_cap: bool) -> dict[str, Any]:
    entry, context, dex = listed.entry, listed.context, listed.dex
    bid = book.bids[0].price if book.bids else None
    ask = book.asks[0].price if book.asks else None
    index = 0 if dex is None else dex.index
    mark = None if context is None else context.mark_price
    return {
        "coin": entry.coin,
        "dex": "" if dex is None else dex.name,
        "dex_index": index,
        "asset_id": builder_asset_id(index, entry.index),
        "collateral": listed.collateral,
        "is_listed": not entry.is_delisted,
        "is_at_open_interest_cap": is_at_cap,
        "max_leverage": entry.max_leverage,
        "margin_mode": entry.margin_mode or "cross",
        "growth_mode": entry.growth_mode,
        "deployer_fee_scale": f"{listed.scale:f}",
        "lot": f"{Decimal(10) ** -entry.sz_decimals:f}",
        "tick": None if not mark else f"{tick_at(mark, entry.sz_decimals):f}",
        "bid": None if bid is None else f"{bid:f}",
        "ask": None if ask is None else f"{ask:f}",
        "spread_bps": None
        if bid is None or ask is None
        else round(float((ask - bid) / (ask + bid) * 20_000), 3),
        "mark": None if mark is None else f"{mark:f}",
        "oracle": None if context is None else f"{context.oracle_price:f}",
        "funding_hourly": None if context is None else f"{context.funding:f}",
        "open_interest": None if context is None else f"{context.open_interest:f}",
        "day_volume": None if context is None else f"{context.day_notional_volume:f}",
    }


def _judge_market(status: VenueStatus, listed: _Listed, book: BookSnapshot, *, is_at_cap: bool) -> None:
    coin, problems = listed.entry.coin, status.problems
    if listed.entry.is_delisted:
        problems.append(f"{coin} is delisted")
    elif not book.bids or not book.asks:
        problems.append(f"the book of {coin} has no {'bids' if not book.bids else 'asks'}")
    if is_at_cap:
        problems.append(f"{coin} is at its open-interest cap: only orders that reduce are taken")
    if listed.context is None:
        problems.append(f"the venue gives no mark, oracle or funding for {coin}")


async def _account(
    client: VenueClient, listed: _Listed, user: str, owner: str, problems: list[str]
) -> dict[str, Any]:
    dex = "" if listed.dex is None else listed.dex.name
    coin = listed.entry.coin
    role = await client.user_role(user)
    if role.role == "agent":
        raise InputError(
            f"{user} is an agent of {role.master}; the account's own address is needed", "--user"
        )
    mode = await client.user_abstraction(user)
    state = await client.clearinghouse_state(user, dex)
    spot = await client.spot_state(user)
    orders = await client.open_orders(user, dex)
    active = await client.active_asset(user, coin)
    figures = account_figures(
        AccountScope(
            dex,
            listed.collateral,
            listed.meta.collateral_token,
            coin,
            {coin: table_of(listed.entry, listed.meta)},
        ),
        mode,
        state,
        spot,
        orders,
        leverage=active.leverage,
        mark_price=active.mark_price,
        is_cross=active.is_cross,
    )
    limits, agents = await client.rate_limit(user), await client.extra_agents(owner)
    place = "the spot account" if mode in UNIFIED else f"the dex {dex!r}"
    problems += _account_problems(figures, limits, agents, wanted=f"{listed.collateral} in {place}")
    return {
        "address": user.lower(),
        "role": role.role,
        "mode": mode,
        "equity": f"{figures.equity:f}",
        "withdrawable": f"{figures.withdrawable:f}",
        "margin_used": f"{figures.margin_used:f}",
        "order_margin": f"{figures.order_margin:f}",
        "margin_ratio": round(float(figures.margin_ratio), 6),
        "maintenance_ratio": round(float(figures.maintenance_ratio), 6),
        "leverage": figures.leverage,
        "margin_mode": figures.margin_mode,
        "positions": [_position(row) for row in state.positions],
        "spot": {row.coin: f"{row.total:f}" for row in spot.balances},
        "open_orders": len(orders),
        "open_buys": sum(order.side > 0 for order in orders),
        "fees": await _fees(client, listed, user),
        "actions": {"used": limits.used, "cap": limits.cap, "surplus": limits.surplus, "left": _left(limits)},
        "agents": [_agent(agent) for agent in agents],
    }


def _account_problems(
    figures: AccountFigures, limits: RateLimit, agents: Sequence[Agent], *, wanted: str
) -> list[str]:
    """Return what a trader should look at before this account trades; ``wanted`` is the money it needs, and where."""
    found = []
    if figures.equity <= 0:
        found.append(f"there is no {wanted}")
    if figures.margin_ratio >= MARGIN_WARN:
        found.append(f"the margin ratio is {figures.margin_ratio:.0%}")
    if _left(limits) < ACTIONS_WARN:
        found.append(f"the address may send {_left(limits):,} more actions")
    now_ns = time.time_ns()
    for agent in agents:
        if agent.valid_until_ns is not None and agent.valid_until_ns - now_ns < AGENT_WARN_DAYS * DAY_NS:
            days = (agent.valid_until_ns - now_ns) / DAY_NS
            found.append(f"the agent {agent.address} {'ended' if days < 0 else f'ends in {days:.1f} days'}")
    return found


def _position(row: PositionState) -> dict[str, Any]:
    return {
        "coin": row.coin,
        "size": f"{row.size:f}",
        "entry": None if row.entry_price is None else f"{row.entry_price:f}",
        "unrealized": f"{row.unrealized_pnl:f}",
        "liquidation_price": None if row.liquidation_price is None else f"{row.liquidation_price:f}",
    }


def _agent(agent: Agent) -> dict[str, Any]:
    return {
        "name": agent.name,
        "address": agent.address,
        "valid_until": None if agent.valid_until_ns is None else agent.valid_until_ns // 1_000_000,
    }


async def _fees(client: VenueClient, listed: _Listed, user: str) -> dict[str, str]:
    """Return what a fill of the user really pays on this market, as rates of notional."""
    fees = await client.user_fees(user)
    maker, taker = perp_fees(
        OwnRates(fees.maker_rate, fees.taker_rate, fees.referral_discount),
        is_builder_dex=listed.dex is not None,
        growth_mode=listed.entry.growth_mode,
        deployer_fee_scale=listed.scale,
    )
    return {"maker": f"{maker:f}", "taker": f"{taker:f}"}


def _left(limits: RateLimit) -> int:
    return max(0, limits.cap - limits.used) + limits.surplus


def print_status(status: VenueStatus, console: Console) -> None:
    """Print the status as a table a part, and the problems last."""
    for title, part in (("venue", status.venue), ("market", status.market), ("account", status.account)):
        if part is None:
            continue
        table = Table(
            title=f"{title} ({status.url})" if title == "venue" else title,
            title_justify="left",
            show_header=False,
        )
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in part.items():
            table.add_row(name.replace("_", " "), _words(value))
        console.print(table)
    console.print(f"{status.state}" + "".join(f"\n- {problem}" for problem in status.problems))


def _words(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items()) or "-"
    if isinstance(value, list):
        return "; ".join(_words(each) for each in value) or "-"
    return str(value)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a run file asks about: its venue, its first market, its account, and whose agents sign for that."""

    url: str = MAINNET_URL
    coin: str = "km:US500"
    user: str | None = None
    owner: str | None = None


def _asked_by(config: RunConfig) -> _Asked:
    """Return what a run file is about: where its mode trades or hears, which need not be where its data come from."""
    # these import what asks for a status
    from amm500_nautilus.runtime.node.paper import candidates  # noqa: PLC0415
    from amm500_nautilus.runtime.node.paper import paper_endpoint  # noqa: PLC0415
    from amm500_nautilus.runtime.node.venue import venue_url  # noqa: PLC0415

    if config.mode == "paper":
        return _Asked(paper_endpoint(config).url, candidates(config)[0])
    if config.mode not in REAL_MODES:
        return _Asked(config.data.url, config.market.coin)
    # the account of the examples is nobody's
    user = config.live.user if int(config.live.user or "0", 16) else None
    return _Asked(venue_url(config), candidates(config)[0], config.live.vault or user, user)


def status(args: argparse.Namespace) -> int:
    """Ask the venue and print; 0 healthy, 1 degraded, 4 unreachable."""
    asked = _Asked()
    if args.config is not None:
        asked = _asked_by(load_config(args.config, args.overrides))
    url, coin = args.url or asked.url, args.coin or asked.coin
    user, owner = (asked.user, asked.owner) if args.user is None else (args.user, None)
    if args.user is not None and not ADDRESS.fullmatch(args.user):
        # a key that was pasted in its place is not repeated
        raise InputError(without_keys(f"{args.user!r} is no address"), "--user", "0x and 40 hex digits")
    try:
        client = VenueClient(url, timeout_s=ATTEMPT_S, retries=1, deadline_s=ATTEMPT_S)
    except ValueError as error:
        raise InputError(str(error), "--url") from error

    async def ask() -> VenueStatus:
        return await asyncio.wait_for(read_venue(client, url, coin, user, owner=owner), DEADLINE_S)

    try:
        found = asyncio.run(ask())
    except (TransportError, TimeoutError) as error:
        reason = str(error) or f"no complete answer within {DEADLINE_S:.0f} s"
        _say_unreachable(url, reason, as_json=args.json)
        return UNREACHABLE
    except PayloadError as error:
        _say_unreachable(url, f"an answer that is not the venue's: {error}", as_json=args.json)
        return UNREACHABLE
    except HyperliquidError as error:
        _say_unreachable(url, str(error), as_json=args.json)
        return UNREACHABLE
    if args.json:
        print(json.dumps(found.plain(), indent=2))
    else:
        print_status(found, Console())
    return DONE if found.state == "healthy" else FAILED


def _say_unreachable(url: str, reason: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"state": "unreachable", "url": url, "reason": reason}))
    else:
        print(f"unreachable: {url}: {reason}")
