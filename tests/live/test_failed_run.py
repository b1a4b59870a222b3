"""A run that fails while it quotes: what rests is gone before its records are closed."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.exec_session import quiet_venue
from tests.live.watched import Watched


pytestmark = pytest.mark.live_node


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    with quiet_venue(generated_accounts=2) as running:
        yield running


def test_nothing_rests_while_the_records_of_a_failed_run_are_closed(
    venue: LoopbackVenue, tmp_path: Path
) -> None:
    run = Watched(venue, tmp_path)
    seen: list[int] = []

    def script(run: Watched) -> None:
        run.quoting()
        live: Any = run.live
        close = live._monitor.close

        async def closed(outcome: str) -> bool:
            seen.append(len(run.resting()))
            assert outcome == "failed"
            whole: bool = await close(outcome)
            return whole

        live._monitor.close = closed

        def fail() -> None:
            raise OSError("no space left")

        live._desk.watch = fail
        run.until(lambda: seen, "the records are closed")

    began = time.monotonic()
    with pytest.raises(OSError, match="no space left"):
        run.play(script)
    assert seen == [0], time.monotonic() - began
    assert run.resting() == []
