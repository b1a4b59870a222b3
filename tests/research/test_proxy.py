"""Beta, volatility, spread and depth of a proxy and its target: known truths come back, and what cannot be told is not told."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from amm500_nautilus.research.proxy import BookFacts
from amm500_nautilus.research.proxy import Estimate
from amm500_nautilus.research.proxy import book_facts
from amm500_nautilus.research.proxy import common_returns
from amm500_nautilus.research.proxy import compare_returns
from amm500_nautilus.research.proxy import proxy_sentences


MINUTE = 60_000_000_000


def test_a_known_beta_and_ratio_lie_inside_their_intervals_most_of_the_time() -> None:
    hits = [0, 0]
    for seed in range(24):
        rng = np.random.default_rng(seed)
        # volatility that comes and goes
        scale = np.exp(0.5 * np.sin(np.arange(400) / 40.0))
        proxy = rng.normal(0.0, 1e-3, 400) * scale
        target = 0.9 * proxy + rng.normal(0.0, 4e-4, 400) * scale
        found = compare_returns(proxy, target)
        hits[0] += found.beta.low <= 0.9 <= found.beta.high
        truth = float(np.sqrt(0.81 + 0.16))
        hits[1] += found.volatility_ratio.low <= truth <= found.volatility_ratio.high
    assert min(hits) >= 20


def test_only_bars_of_both_count_and_none_over_a_hole() -> None:
    stamps = np.arange(20) * MINUTE
    proxy = pd.DataFrame({"ts_close_ns": stamps, "close": np.exp(np.arange(20) * 0.01)})
    target = pd.DataFrame({"ts_close_ns": stamps, "close": np.exp(np.arange(20) * 0.02)}).drop(index=[10])
    first, second = common_returns(proxy, target)
    assert len(first) == 17
    assert second == pytest.approx(2 * first)
    with pytest.raises(ValueError, match="at least 12"):
        common_returns(proxy, target.iloc[:8])


def test_what_carries_is_told_by_the_whole_interval() -> None:
    assert Estimate(1.0, 0.9, 1.1).within(0.8, 1.25) is True
    assert Estimate(1.0, 0.5, 1.5).within(0.8, 1.25) is None
    assert Estimate(2.0, 1.5, 2.5).within(0.8, 1.25) is False
    rng = np.random.default_rng(2)
    proxy = rng.normal(0.0, 1e-3, 500)
    lines = proxy_sentences(compare_returns(proxy, proxy + rng.normal(0, 1e-5, 500)), None, None)
    assert lines[0].startswith("direction carries")
    assert lines[1].startswith("volatility carries")
    assert "samples of both books are needed" in lines[-1]
    unrelated = proxy_sentences(compare_returns(proxy, rng.normal(0.0, 3e-3, 500)), None, None)
    assert unrelated[0].startswith("direction does NOT carry")
    assert unrelated[1].startswith("volatility does NOT carry")


def test_books_are_compared_by_their_medians() -> None:
    frame = pd.DataFrame(
        {
            "bid": [99.99, 99.98, 99.99],
            "ask": [100.01, 100.02, 100.01],
            "bid_depth10_usd": [100.0, 200.0, 300.0],
            "ask_depth10_usd": [100.0, 200.0, 300.0],
        }
    )
    found = book_facts(frame)
    assert found == BookFacts(samples=3, spread_bps=pytest.approx(2.0, rel=1e-6), depth=400.0)
    rng = np.random.default_rng(0)
    returns = compare_returns(rng.normal(size=50), rng.normal(size=50))
    lines = proxy_sentences(returns, BookFacts(samples=3, spread_bps=1.0, depth=4_000.0), found)
    assert "a ratio of 2.00" in lines[-2]
    assert "a ratio of 0.100" in lines[-1]
    with pytest.raises(ValueError, match="column ask is missing"):
        book_facts(frame[["bid"]])


@pytest.mark.real_data
def test_the_recorded_index_and_market_make_a_report(
    shared_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from amm500_nautilus.runtime.cli import main  # noqa: PLC0415

    data = shared_dir / "data"
    arguments = [
        "proxy",
        str(data / "oex_5m" / "oex_5m.parquet"),
        str(data / "km_us500_2026-01" / "fills.json"),
    ]
    assert main([*arguments, "--target-book", str(data / "km_us500_2026-01" / "bbo.csv")]) == 0
    said = capsys.readouterr().out
    assert "beta" in said
    assert "RECORDED" in said
