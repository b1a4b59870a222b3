"""A local run for the soak: what ``run_live.py`` runs, at a venue whose address and key come by standard input, its cycles timed."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.live import LiveRun
from amm500_nautilus.runtime.node.endpoint import Endpoint
from amm500_nautilus.runtime.node.local import LocalDesk
from amm500_nautilus.runtime.node.market import look_at_market
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.rundir import RunDirectory
from amm500_nautilus.strategy import MarketMaker


def main() -> None:
    """Run for as long as told and write how long each cycle took by the clock and on the processor, seconds, beside the run."""
    told = json.loads(sys.stdin.readline())
    out = Path(told["out"])
    cycle = MarketMaker._on_cycle
    took: list[float] = []
    busy: list[float] = []

    def timed(self: Any, ts_ns: int) -> None:
        began, worked = time.perf_counter(), time.thread_time()
        cycle(self, ts_ns)
        took.append(time.perf_counter() - began)
        busy.append(time.thread_time() - worked)

    MarketMaker._on_cycle = timed
    config = load_config(told["config"], [f"live.duration={told['seconds']}s"])
    endpoint = Endpoint(url=told["url"], ws_url=told["ws_url"], user=told["user"], key=told["key"])
    desk = LocalDesk(config, endpoint, look_at_market(endpoint.url, config.market.coin))
    directory = RunDirectory(out)
    live = LiveRun(config, desk, directory, Progress(quiet=True))
    live.run()
    (directory.path / "cycles.json").write_text(json.dumps({"wall": took, "cpu": busy}))
    print("done", flush=True)


if __name__ == "__main__":
    main()
