"""A process that trades until it is killed: a node on a venue elsewhere, with a line in a journal for each order event."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.live.faults.script import Script
from tests.live.faults.script import StillMarket
from tests.live.faults.stages import CHECKS
from tests.live.faults.stages import Hands
from tests.live.faults.stages import NodeStage
from tests.live.faults.stages import agent_config
from tests.live.faults.stages import dice
from tests.live.node import data_config
from tests.live.node import node_config
from tests.live.node import run_node
from tests.live.node import until


LIFE_S = 120.0


def main(url: str, ws_url: str, state_dir: str, journal: str, seed: str) -> None:
    """Trade until killed."""
    venue = SimpleNamespace(url=url, ws_url=ws_url)
    file = os.open(journal, os.O_WRONLY | os.O_APPEND)
    hands = Hands()

    def note(event: Any) -> None:
        trade_id = getattr(event, "trade_id", None)
        words = [type(event).__name__, event.client_order_id.value]
        os.write(file, (" ".join(words if trade_id is None else [*words, trade_id.value]) + "\n").encode())

    async def story(node: Any) -> None:
        await until(lambda: node.cache.quote_tick(hands.config.external_order_claims[0]), "a quote")
        # before the adapter hears it: what it has written as booked is in the journal
        hands.msgbus.subscribe("events.order.*", note, priority=10)
        script = Script(NodeStage(node, hands, venue), dice("child", int(seed)), StillMarket())
        while True:
            await script.step()

    config = node_config(data_config(venue), agent_config(venue, Path(state_dir)), engine=CHECKS)
    run_node(config, [hands], story, seconds=LIFE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
