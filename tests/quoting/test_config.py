"""Settings: defaults hold together, and each bad one is refused in one sentence naming it."""

from collections.abc import Callable
from math import inf
from math import nan

import msgspec
import pytest

from amm500_nautilus.quoting import config as c


def bands(*rows: tuple[float, float, float]) -> tuple[c.SpreadBand, ...]:
    return tuple(c.SpreadBand(below=below, min_bps=low, max_bps=high) for below, low, high in rows)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "negative spread": (lambda: c.SpreadBand(below=inf, min_bps=-1, max_bps=5), r"SpreadBand.min_bps is -1"),
    "nan spread": (lambda: c.SpreadBand(below=inf, min_bps=nan, max_bps=5), r"SpreadBand.min_bps is nan"),
    "min above max": (
        lambda: c.SpreadBand(below=inf, min_bps=9, max_bps=5),
        r"max_bps is 5; it must be at least min",
    ),
    "bands fall": (
        lambda: c.SpreadConfig(bands=bands((0.1, 2, 10), (0.05, 5, 25), (inf, 10, 50))),
        "more than the row",
    ),
    "wilder is narrower": (lambda: c.SpreadConfig(bands=bands((0.1, 5, 25), (inf, 2, 10))), "no narrower"),
    "no last band": (lambda: c.SpreadConfig(bands=bands((0.1, 5, 25))), "the last row"),
    "no bands": (lambda: c.SpreadConfig(bands=()), "one row or more"),
    "cap under floor": (lambda: c.SpreadConfig(floor_bps=30, cap_bps=50), "cap_bps is 50"),
    "a deep book that widens": (lambda: c.SpreadConfig(depth_tighten_min=-0.2), "depth_tighten_min is -0.2"),
    "weights not one": (lambda: c.LadderConfig(bucket_weights=(0.7, 0.2, 0.2)), "sum to 1"),
    "two weights": (lambda: c.LadderConfig(bucket_weights=(0.7, 0.3)), "three shares"),
    "no levels": (lambda: c.LadderConfig(levels=0), "LadderConfig.levels is 0"),
    "size over one": (lambda: c.LadderConfig(size_fraction=1.2), "size_fraction is 1.2"),
    "stop over threshold": (lambda: c.RebalanceConfig(stop=0.02), "RebalanceConfig.stop is 0.02"),
    "one-sided under threshold": (lambda: c.RebalanceConfig(one_sided=0.01), "one_sided is 0.01"),
    "taker cap of one": (lambda: c.RebalanceConfig(taker_cap=1.0), "taker_cap is 1.0"),
    "interval": (
        lambda: c.VolatilityConfig(interval_secs=7),
        "interval_secs is 7; it must be 1, 10, 30 or 60",
    ),
    "estimator": (lambda: c.VolatilityConfig(estimator="garch"), "estimator is 'garch'"),  # type: ignore[arg-type]
    "model": (lambda: c.QuotingConfig(model="best"), "model is 'best'; it must be one of tiered"),  # type: ignore[arg-type]
    "basis": (lambda: c.QuotingConfig(basis="none"), "basis is 'none'"),  # type: ignore[arg-type]
    "mode without rows": (lambda: c.AdaptiveConfig(start_mode="BOLD"), "start_mode is 'BOLD'"),
    "twin weight": (lambda: c.ReferenceConfig(weight=1.5), "weight is 1.5"),
    "session narrower": (lambda: c.SessionRow(kind="x", spread_multiple=0.5), "spread_multiple is 0.5"),
    "near cap": (lambda: c.OrderKeepingConfig(near_tolerance=0.9), "near_cap is 0.75"),
    "glft gamma": (lambda: c.GlftConfig(gamma=0), "GlftConfig.gamma is 0"),
    "grid spacing": (lambda: c.FixedGridConfig(spacing_ticks=0), "spacing_ticks is 0"),
    "funding": (lambda: c.FundingConfig(threshold=0), "FundingConfig.threshold is 0"),
    "book levels": (lambda: c.BookConfig(levels=0), "BookConfig.levels is 0"),
    "stale book": (lambda: c.FairValueConfig(book_stale_secs=0), "book_stale_secs is 0"),
    "fading": (lambda: c.FadingConfig(streak=0), "FadingConfig.streak is 0"),
    "skew floor": (lambda: c.SkewConfig(floor=0), "SkewConfig.floor is 0"),
}


@pytest.mark.parametrize(("build", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_value_is_refused_by_name(build: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_defaults_are_the_products() -> None:
    config = c.QuotingConfig()
    assert [(b.below, b.min_bps, b.max_bps) for b in config.spread.bands] == [
        (0.05, 1, 5),
        (0.10, 2, 10),
        (0.15, 5, 25),
        (inf, 10, 50),
    ]
    assert (config.ladder.levels, config.ladder.size_fraction) == (15, 0.02)
    assert (config.rebalance.threshold, config.rebalance.one_sided, config.rebalance.taker_cap) == (
        0.015,
        0.025,
        0.05,
    )
    assert config.fair.book_stale_secs == 2.0
    assert config.volatility.interval_secs == 30


def test_a_plain_mapping_builds_a_config() -> None:
    raw = {
        "model": "glft",
        "spread": {
            "bands": [{"below": 0.1, "min_bps": 1, "max_bps": 5}, {"below": inf, "min_bps": 2, "max_bps": 9}]
        },
        "ladder": {"bucket_weights": [0.5, 0.3, 0.2]},
    }
    config = msgspec.convert(raw, c.QuotingConfig)
    assert config.spread.bands[1].max_bps == 9
    assert config.ladder.bucket_weights == (0.5, 0.3, 0.2)
