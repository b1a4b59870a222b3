"""A real trading node against a loopback venue: its configuration, its life, and how a test waits."""

import asyncio
import os
import time
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.config import LiveDataEngineConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LiveRiskEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId

from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.factories import HyperliquidLiveDataClientFactory
from hyperliquid_hip3.factories import HyperliquidLiveExecClientFactory


VENUE = "HYPERLIQUID"
COIN = "km:US500"
IID = InstrumentId.from_str("km:US500-USD-PERP.HYPERLIQUID")
KEY_VARIABLE = "LOOPBACK_TEST_KEY"
# liveness bounds: a passing test never waits that long
SOON = 15.0


async def until(condition: Callable[[], Any], what: str, *, seconds: float = SOON) -> Any:
    """Wait until the condition holds and return what it returned; fail with ``what`` after the bound."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(0.005)


def data_config(venue: Any, **options: Any) -> HyperliquidDataClientConfig:
    """The data client's configuration for a loopback venue."""
    return HyperliquidDataClientConfig(
        url=venue.url,
        ws_url=venue.ws_url,
        coins=(COIN,),
        instrument_provider=InstrumentProviderConfig(load_all=True),
        **options,
    )


def exec_config(venue: Any, account: Any, state_dir: Path, **options: Any) -> HyperliquidExecClientConfig:
    """The execution client's configuration for an account that the venue made; its key goes into the environment."""
    os.environ[KEY_VARIABLE] = account["key"]
    settings: dict[str, Any] = {
        "url": venue.url,
        "ws_url": venue.ws_url,
        "coins": (COIN,),
        "user": account["address"],
        "key_source": "environment",
        "key_variable": KEY_VARIABLE,
        "require_agent": False,
        "state_dir": str(state_dir),
        "leverage": 10,
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
    return HyperliquidExecClientConfig(**(settings | options))


def node_config(
    data: HyperliquidDataClientConfig,
    execution: HyperliquidExecClientConfig | None = None,
    *,
    engine: dict[str, Any] | None = None,
) -> TradingNodeConfig:
    """A node with one data client and, where asked for, one execution client."""
    options: dict[str, Any] = {
        "reconciliation": execution is not None,
        "reconciliation_startup_delay_secs": 0.0,
        # the adapter settles unknown outcomes itself
        "inflight_check_interval_ms": 0,
        "inflight_check_threshold_ms": 3_000,
        "graceful_shutdown_on_exception": False,
    }
    return TradingNodeConfig(
        trader_id=TraderId("TESTER-001"),
        logging=LoggingConfig(log_level=os.environ.get("NODE_LOG", "ERROR"), use_pyo3=False),
        data_engine=LiveDataEngineConfig(),
        risk_engine=LiveRiskEngineConfig(
            max_order_submit_rate="1000/00:00:01", max_order_modify_rate="1000/00:00:01"
        ),
        exec_engine=LiveExecEngineConfig(**(options | (engine or {}))),
        data_clients={VENUE: data},
        exec_clients={} if execution is None else {VENUE: execution},
        timeout_connection=20.0,
        timeout_reconciliation=10.0,
        timeout_portfolio=10.0,
        timeout_disconnection=5.0,
        timeout_post_stop=1.0,
    )


def run_node(
    config: TradingNodeConfig,
    strategies: Sequence[Any],
    scenario: Callable[[TradingNode], Awaitable[Any]],
    *,
    seconds: float = 60.0,
    actors: Sequence[Any] = (),
) -> Any:
    """
    Run a node on a loop of its own until the scenario is over, stop it, and return what the scenario returned.

    Every task is canceled and gathered before the node is disposed of, so that the next test's node finds a clean process.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    node = TradingNode(config=config, loop=loop)
    node.add_data_client_factory(VENUE, HyperliquidLiveDataClientFactory)
    node.add_exec_client_factory(VENUE, HyperliquidLiveExecClientFactory)
    for strategy in strategies:
        node.trader.add_strategy(strategy)
    for actor in actors:
        node.trader.add_actor(actor)
    node.build()

    async def life() -> Any:
        running = loop.create_task(node.run_async())
        try:
            await until(lambda: node.trader.is_running or running.done(), "the trader runs", seconds=30)
            if running.done():
                running.result()
                raise AssertionError("the node stopped before the trader ran")
            return await asyncio.wait_for(scenario(node), seconds)
        finally:
            await node.stop_async()
            await asyncio.wait({running}, timeout=20)

    try:
        return loop.run_until_complete(life())
    finally:
        tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        node.dispose()
        if not loop.is_closed():
            loop.close()
        asyncio.set_event_loop(None)
        os.environ.pop(KEY_VARIABLE, None)


def money(text: str) -> Decimal:
    """A number of the wire."""
    return Decimal(text)
