"""A cancel that never reached the venue, or whose answer was lost: repeated as soon as the venue can be reached, by the venue's own blocks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.exec_session import quiet_venue
from tests.live.test_cancel_times import MS
from tests.live.test_cancel_times import BlockLog
from tests.live.test_reasons import FOREVER
from tests.live.test_reasons import QUICK_CLOCKS
from tests.live.watched import Watched


pytestmark = pytest.mark.live_node

# so long no action reaches the venue
CUT_S = 2.0
# and so long after that nothing may rest any more
BOUND_S = 1.0


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    with quiet_venue(generated_accounts=1, cadences=QUICK_CLOCKS) as running:
        yield running


def test_cancels_that_were_cut_off_are_out_within_a_second_of_the_connection_s_return(
    venue: LoopbackVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Watched(venue, tmp_path)
    log, faults = BlockLog(venue.config.block_ms), venue.faults
    log.follow(venue, run.trading.address, monkeypatch)
    found: dict[str, float] = {}

    def script(run: Watched) -> None:
        run.quoting()
        faults.set("drop", times=FOREVER, only="exchange")
        until = venue.blocks + CUT_S * 1_000 / venue.config.block_ms
        run.ask("pause")
        run.until(lambda: venue.blocks > until, "two seconds of blocks")
        assert run.resting(), "the cut is real: nothing was canceled meanwhile"
        back_ns = venue.now_ms * MS
        faults.clear()
        empty_ns = run.until(lambda: log.emptied_ns(back_ns), "nothing rests at the venue")
        found["canceled_s"] = log.seconds(back_ns, empty_ns)

    run.play(script)
    assert found["canceled_s"] <= BOUND_S, found
