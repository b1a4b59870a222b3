"""The reference market of a run file, heard by a running node beside the market it quotes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.node.market import look_at_reference
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.simulated_flow import SimulatedFlow
from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.watched import ROOT
from tests.live.watched import Watched


pytestmark = pytest.mark.live_node

COIN = "km:US500"
TWIN = "xyz:SP500"
NAMED = f"strategy.reference={TWIN}"


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    config = VenueConfig(flow="simulated", seed=7, history_candles=10, history_hours=5, generated_accounts=1)
    with LoopbackVenue(config, flow=SimulatedFlow(seed=7, twin_coin=TWIN)) as running:
        yield running


def test_a_node_s_fair_value_follows_the_reference_market(venue: LoopbackVenue, tmp_path: Path) -> None:
    run = Watched(venue, tmp_path, NAMED, "strategy.quoting.reference.warmup_secs=0.1")

    def script(run: Watched) -> None:
        run.quoting()
        live: Any = run.live
        engine = live._monitor._desk._maker.engine

        def is_used() -> bool:
            own = engine.book.mid_ticks
            return own > 0 and engine.reference.blend(live._monitor._desk.now_ns(), own + 1.0)[1] == ""

        # its price is ten times ours, and the ratio is learned
        run.until(lambda: engine.reference.save()["ratio"] > 0, "the twin is heard")
        run.until(is_used, "the twin is used")
        assert engine.reference.save()["ratio"] == pytest.approx(10.0, rel=0.01)

    run.play(script)


def test_a_reference_that_is_not_there_or_quoted_or_recorded_is_refused(venue: LoopbackVenue) -> None:
    local = ROOT / "configs" / "local.yaml"
    assert look_at_reference(venue.url, load_config(local), COIN) == ""
    assert look_at_reference(venue.url, load_config(local, [NAMED]), COIN).startswith(
        f"reference market: {TWIN}"
    )
    with pytest.raises(InputError, match=r"strategy\.reference.*zz:NOPE is not listed"):
        look_at_reference(venue.url, load_config(local, ["strategy.reference=zz:NOPE"]), COIN)
    with pytest.raises(InputError, match=r"live\.record"):
        look_at_reference(venue.url, load_config(local, [NAMED, "live.record=true"]), COIN)
    # where no candidate before it is listed, the twin is what is quoted
    with pytest.raises(InputError, match=r"strategy\.reference.*xyz:SP500, which was chosen to be quoted"):
        look_at_reference(venue.url, load_config(local, [NAMED]), TWIN)
