"""The offline generator: no drift, the market's hours, the same seed the same bars."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_catalog.errors import InputError
from amm500_catalog.hours import cash_sessions
from amm500_catalog.sources import generator
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.generator import GeneratorConfig
from amm500_catalog.sources.generator import GeneratorSource


def ns(text: str) -> int:
    return int(pd.Timestamp(text, tz="UTC").value)


def bars(start: str, end: str, interval: str = "5m", **config: object) -> BarFrame:
    request = BarRequest("US500", interval, ns(start), ns(end))
    return GeneratorSource(GeneratorConfig(**config)).fetch(request)  # type: ignore[arg-type]


def test_index_hours_keep_holidays_and_early_closes() -> None:
    frame = bars("2025-12-22", "2025-12-29")
    # Mon, Tue, Wed (half day), Fri: 78 + 78 + 42 + 78 bars; Christmas is closed
    assert len(frame) == 276
    assert [(end - start) // (3_600 * NS) for start, end in frame.sessions] == [6, 6, 3, 6]
    assert frame.sessions == cash_sessions("XNYS", ns("2025-12-22"), ns("2025-12-29"))


def test_every_hour_of_the_week_without_a_gap() -> None:
    frame = bars("2025-12-22", "2025-12-29", "1h", hours="always")
    assert len(frame) == 7 * 24
    assert frame.sessions == ((ns("2025-12-22"), ns("2025-12-29")),)


def test_the_price_is_a_martingale() -> None:
    # the mean of the last price over 1,500 months; its deviation is 690 x 0.13 x sqrt(5/252) = 12.6, the mean's 0.33
    ends = np.array(
        [
            bars("2026-01-05", "2026-01-10", "1h", seed=seed, steps_per_bar=2).bars["close"].iloc[-1]
            for seed in range(1_500)
        ]
    )
    error = ends.std() / np.sqrt(len(ends))
    assert abs(ends.mean() - 690.0) < 3.0 * error
    assert 0.2 < error < 0.5


def test_the_volatility_is_the_one_asked() -> None:
    squares = []
    for seed in range(60):
        table = bars("2025-12-01", "2025-12-31", seed=seed, annual_volatility=0.2).bars
        moves = np.diff(np.log(np.ravel(table[["open", "close"]].to_numpy())))
        squares.append(np.sum(moves**2))
    sessions = len(cash_sessions("XNYS", ns("2025-12-01"), ns("2025-12-31")))
    assert np.sqrt(np.mean(squares) * 252 / sessions) == pytest.approx(0.2, rel=0.08)


@pytest.mark.parametrize("steps", [12, 300])
def test_a_bars_range_is_that_of_a_walk_of_its_steps(steps: int) -> None:
    flat = {"volatility_of_volatility": 0.0, "u_shape": 0.0, "jumps_per_day": 0.0, "overnight_share": 0.0}
    table = np.log(
        bars("2025-12-01", "2026-03-01", steps_per_bar=steps, **flat).bars[["open", "high", "low", "close"]]
    )
    deviation = np.sqrt(np.mean((table["close"] - table["open"]) ** 2))
    # a Wiener process has 2 sqrt(2 / pi) of its deviation, and 2 * 0.5826 / sqrt(n) less where it is looked at n times
    expected = 2 * np.sqrt(2 / np.pi) - 2 * 0.5826 / np.sqrt(steps)
    assert (table["high"] - table["low"]).mean() / deviation == pytest.approx(expected, rel=0.03)


def test_a_path_made_in_pieces_goes_on_where_the_piece_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    # one volatility for good, far from its mean: a piece that drew its own would be many times rougher or calmer
    steady = {"volatility_of_volatility": 2.0, "volatility_half_life_h": 1e9, "jumps_per_day": 0.0}
    monkeypatch.setattr(generator, "STEPS_AT_ONCE", 10 * 300)
    table = bars(
        "2025-12-22", "2025-12-27", "1h", hours="always", u_shape=0.0, night_factor=1.0, **steady
    ).bars
    assert len(table) == 120
    gaps = np.log(table["open"].to_numpy()[1:] / table["close"].to_numpy()[:-1])
    assert np.abs(gaps).max() < 1e-9
    pieces = np.log(table["close"] / table["open"]).to_numpy().reshape(12, 10)
    assert len(set(pieces.ravel())) == 120
    # of ten draws the logarithm of a deviation scatters by 0.24
    assert np.log(pieces.std(axis=1)).std() < 0.6


def test_bars_are_drawn_from_steps_enough_for_nearly_all_of_the_range() -> None:
    assert 2 * 0.5826 / np.sqrt(GeneratorConfig().steps_per_bar) < 0.05 * 2 * np.sqrt(2 / np.pi)


def test_a_session_is_rougher_at_its_ends() -> None:
    moves = []
    for seed in range(20):
        table = bars("2025-12-01", "2025-12-24", seed=seed, jumps_per_day=0.0).bars
        moves.append(np.log(table["close"] / table["open"]).to_numpy().reshape(-1, 78))
    deviation = np.concatenate(moves).std(axis=0)
    assert deviation[:6].mean() > 1.3 * deviation[36:42].mean()
    assert deviation[-6:].mean() > 1.3 * deviation[36:42].mean()


def test_the_weekend_is_calmer() -> None:
    table = pd.concat(
        [bars("2025-12-01", "2025-12-29", "1h", hours="always", seed=seed).bars for seed in range(20)]
    )
    weekend = pd.to_datetime(table["ts_open_ns"], unit="ns").dt.day_of_week >= 5
    move = np.log(table["close"] / table["open"])
    assert move[weekend].std() < 0.5 * move[~weekend].std()


def test_volatility_clusters() -> None:
    table = bars(
        "2025-06-01",
        "2025-12-01",
        "1h",
        hours="always",
        u_shape=0.0,
        night_factor=1.0,
        weekend_factor=1.0,
        jumps_per_day=0.0,
    ).bars
    size = np.abs(np.log(table["close"] / table["open"]).to_numpy())
    assert np.corrcoef(size[:-1], size[1:])[0, 1] > 0.1
    moves = np.log(table["close"] / table["open"]).to_numpy()
    assert abs(np.corrcoef(moves[:-1], moves[1:])[0, 1]) < 0.05


def test_the_seed_decides_the_path() -> None:
    one, again, other = (bars("2026-01-05", "2026-01-07", seed=seed).bars for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one["close"].equals(other["close"])


def test_volume_adds_up_to_the_days_asked() -> None:
    table = bars("2026-01-05", "2026-01-08", daily_volume=3.4e6).bars
    assert (table["volume"] * table["open"]).sum() == pytest.approx(3 * 3.4e6)
    assert bars("2026-01-05", "2026-01-08").bars["volume"].isna().all()


def test_it_says_that_it_is_not_market_data() -> None:
    frame = bars("2026-01-05", "2026-01-07", seed=5)
    assert frame.source == "generator"
    assert frame.notes == ("generated with seed 5, no drift; not market data",)


def test_a_span_without_a_session_is_unavailable() -> None:
    with pytest.raises(InputError, match="no session of XNYS opens from 2026-01-03 00:00:00 UTC"):
        bars("2026-01-03", "2026-01-05")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"annual_volatility": 0.0}, "`annual_volatility` was 0.0, must be positive"),
        ({"hours": "lunch"}, "`hours` was 'lunch', must be 'index' or 'always'"),
        ({"overnight_share": 1.0}, "`overnight_share` was 1.0, must be at least 0 and below 1"),
        ({"steps_per_bar": 0}, "`steps_per_bar` was 0, must be at least 1"),
        ({"daily_volume": -1.0}, "`daily_volume` was -1.0, must be positive"),
        ({"jumps_per_day": -1.0}, "`jumps_per_day` was -1.0, must be zero or more"),
    ],
)
def test_a_field_out_of_range_is_named(config: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GeneratorConfig(**config)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    hours=st.sampled_from(["index", "always"]),
    interval=st.sampled_from(["1m", "5m", "1h"]),
    volatility=st.floats(0.01, 2.0),
    jumps=st.floats(0.0, 5.0),
)
def test_every_bar_contains_its_open_and_close(
    seed: int, hours: str, interval: str, volatility: float, jumps: float
) -> None:
    table = bars(
        "2026-01-05",
        "2026-01-07",
        interval,
        seed=seed,
        hours=hours,
        annual_volatility=volatility,
        jumps_per_day=jumps,
    ).bars
    assert (table["low"] > 0).all()
    assert (table["low"] <= table[["open", "close"]].min(axis=1)).all()
    assert (table["high"] >= table[["open", "close"]].max(axis=1)).all()
    assert (np.diff(table["ts_open_ns"]) > 0).all()
    assert table["open"].iloc[0] == 690.0
