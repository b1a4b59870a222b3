"""Generated bars under ``source: auto`` stand in for a day; then the sources are asked again."""

from datetime import UTC
from datetime import datetime
from pathlib import Path

import pytest

from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_nautilus.runtime import data as runtime_data
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.data import prepare
from amm500_nautilus.runtime.progress import Progress


CONFIG = Path(__file__).parents[2] / "configs" / "xyz100_30d.yaml"


class DeafYahoo:
    """A source that has nothing, and counts who asks."""

    asked = 0

    def fetch(self, request: BarRequest) -> BarFrame:
        type(self).asked += 1
        raise SourceUnavailableError("no answer", "Yahoo")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    DeafYahoo.asked = 0
    monkeypatch.setattr(runtime_data, "YahooSource", DeafYahoo)
    return load_config(
        CONFIG,
        [
            "data.source=auto",
            # nothing listens there
            "data.url=http://127.0.0.1:1",
            "data.start=2026-11-16",
            "data.end=2026-11-17",
            f"data.catalog={tmp_path / 'store'}",
        ],
    )


def test_a_generated_stand_in_is_kept_for_the_day_and_no_longer(config: RunConfig) -> None:
    quiet = Progress(quiet=True)
    first = prepare(config, quiet, now=datetime(2026, 11, 20, 8, tzinfo=UTC))
    assert first.info.bars_simulated
    assert DeafYahoo.asked == 1
    same_day = prepare(config, quiet, now=datetime(2026, 11, 20, 23, tzinfo=UTC))
    assert (same_day.info.name, DeafYahoo.asked) == (first.info.name, 1)
    # asked again, in vain: the same stand-in
    later = prepare(config, quiet, now=datetime(2026, 11, 21, 0, 1, tzinfo=UTC))
    assert (later.info.name, DeafYahoo.asked) == (first.info.name, 2)
