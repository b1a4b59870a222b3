"""A run on the wall clock that keeps its session (``live.record``)."""

import asyncio
from pathlib import Path
from typing import Any

from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.node.desk import Desk
from amm500_nautilus.runtime.record.session import FOLDER
from amm500_nautilus.runtime.record.session import SessionRecorder
from amm500_nautilus.strategy import MarketMaker
from hyperliquid_hip3.factories import shared_venue


# of the node's clients, which made the shared part before anything is recorded
HTTP_TIMEOUT_S = 5.0


def record_dir(config: RunConfig, run_dir: Path) -> str | None:
    """Return where the data client keeps its frames; None where the run file records nothing."""
    return str(run_dir / FOLDER) if config.live.record else None


def start_recording(
    config: RunConfig, desk: Desk, run_dir: Path, node: Any, maker: MarketMaker
) -> SessionRecorder | None:
    """
    Keep the session where the run file says so; call it when the monitor has been joined and the node does not run yet.

    Raises
    ------
    OSError
        If the folder cannot be written to.

    """
    if not config.live.record:
        return None
    session = SessionRecorder(run_dir / FOLDER)
    facts = {
        "mode": config.mode,
        "coin": desk.market.coin,
        "user": desk.endpoint.user,
        "nets_own_orders": desk.nets_own_orders,
        "touch": list(desk.market.touch),
        "simulated": desk.about().simulated,
        "began_ns": node.kernel.clock.timestamp_ns(),
    }
    session.attach(maker, node.kernel.msgbus, desk.market.instrument, facts)
    venue = shared_venue(asyncio.get_running_loop(), desk.endpoint.url, HTTP_TIMEOUT_S)
    venue.client.on_action = session.on_action
    return session
