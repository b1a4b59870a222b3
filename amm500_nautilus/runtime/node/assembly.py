"""What a run on the wall clock is made of: the strategy's and the node's configuration from a run file, and how a node is put away."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LiveRiskEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import TraderId

from amm500_nautilus.config import MarketMakerConfig
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.runtime.config import MOST_RUN_DAYS
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.node.desk import Desk
from amm500_nautilus.runtime.node.redis_cache import cache_config
from amm500_nautilus.runtime.patterns import UNITS_S
from amm500_nautilus.runtime.record.live import record_dir
from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.instruments import instrument_id


YEAR_S = 31_536_000.0
# a run without an end is planned for so long; its report goes by when it really ended
OPEN_END_S = MOST_RUN_DAYS * 86_400.0
ORDER_RATE = "1000/00:00:01"


def seconds_of(duration: str | None) -> float:
    """Return the seconds of ``120s``, ``30m``, ``6h`` or ``7d``; a year and more for None."""
    return OPEN_END_S if duration is None else float(duration[:-1]) * UNITS_S[duration[-1]]


def strategy_config(
    config: RunConfig,
    instrument: Any,
    *,
    nets_own_orders: bool = True,
    sessions: tuple[tuple[int, int, str], ...] = (),
) -> MarketMakerConfig:
    """Return the strategy's configuration; fees and leverage are the instrument's, as the venue declares them."""
    quoting: QuotingConfig = build(config.strategy.quoting)
    info = instrument.info
    maker_fee = max(0.0, float(instrument.maker_fee))
    quoted, twin = instrument.id, config.strategy.reference
    return MarketMakerConfig(
        log_events=False,
        log_commands=False,
        log_rejected_due_post_only_as_warning=False,
        instrument_id=quoted,
        external_order_claims=[quoted],
        quoting=replace(quoting, spread=replace(quoting.spread, maker_fee_bps=maker_fee * 1e4)),
        budget=build(config.strategy.budget),
        risk=build(config.strategy.risk),
        flatten=build(config.strategy.flatten),
        risk_session=config.strategy.risk_session,
        leverage=config.account.leverage,
        max_leverage=float(info.get("max_leverage", config.market.max_leverage)),
        growth_mode=bool(info.get("growth_mode", config.market.growth_mode)),
        cycle_ms=config.strategy.cycle_ms,
        max_order_events=config.strategy.max_order_events,
        net_own_orders=nets_own_orders,
        reference_id=None if twin is None else instrument_id(twin),
        book_source="deltas",
        sessions=sessions,
        session_seconds_a_year=YEAR_S,
        order_id_tag="000",
    )


def node_config(desk: Desk, config: RunConfig, state_dir: Path, log_dir: Path) -> TradingNodeConfig:
    """Return the node's configuration: the adapter's data client, and its execution client where orders go to a venue."""
    coin, endpoint = desk.market.coin, desk.endpoint
    execution = desk.execution(state_dir)
    twin = config.strategy.reference
    data = HyperliquidDataClientConfig(
        url=endpoint.url,
        ws_url=endpoint.ws_url,
        dex=split_coin(coin)[0],
        coins=(coin,) if twin in (None, coin) else (coin, str(twin)),
        record_dir=record_dir(config, log_dir.parent),
        instrument_provider=InstrumentProviderConfig(load_all=True),
    )
    # a venue in this process has told everything already, and has nothing that could be lost on the way
    checks: dict[str, Any] = {"reconciliation": False, "inflight_check_interval_ms": 0}
    if execution is not None:
        checks = {
            "reconciliation": True,
            "reconciliation_startup_delay_secs": 1.0,
            "open_check_interval_secs": 10.0,
            "open_check_open_only": True,
            "position_check_interval_secs": 30.0,
            "inflight_check_interval_ms": 2_000,
        }
    return TradingNodeConfig(
        trader_id=TraderId("AMM500-001"),
        logging=LoggingConfig(
            log_level=config.live.log_level,
            log_level_file="INFO",
            log_directory=str(log_dir),
            log_file_name="node",
            log_colors=False,
        ),
        risk_engine=LiveRiskEngineConfig(max_order_submit_rate=ORDER_RATE, max_order_modify_rate=ORDER_RATE),
        exec_engine=LiveExecEngineConfig(
            **checks,
            purge_closed_orders_interval_mins=10,
            purge_closed_orders_buffer_mins=60,
            graceful_shutdown_on_exception=True,
        ),
        cache=cache_config(config.live.cache),
        data_clients={VENUE: data},
        exec_clients={} if execution is None else {VENUE: execution},
        timeout_connection=30.0,
        timeout_reconciliation=15.0,
        timeout_portfolio=15.0,
        timeout_disconnection=10.0,
        timeout_post_stop=1.0,
    )


async def until(condition: Callable[[], Any], seconds: float) -> bool:
    """Wait for a condition; False when the time is over first."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def dispose(node: TradingNode, loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what still runs on the node's loop, gather it, and put both away."""
    tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    node.dispose()
    if not loop.is_closed():
        loop.close()
    asyncio.set_event_loop(None)
