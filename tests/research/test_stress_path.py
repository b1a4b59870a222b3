"""What a scenario does to bars: worked examples, then what holds for any bars."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_catalog.errors import InputError
from amm500_catalog.sources.base import BarFrame
from amm500_nautilus.research.scenario import NS
from amm500_nautilus.research.scenario import Scenario
from amm500_nautilus.research.scenario import StressConfig
from amm500_nautilus.research.stress import Shock
from amm500_nautilus.research.stress import choose_window
from amm500_nautilus.research.stress import cut_bars
from amm500_nautilus.research.stress import fall
from amm500_nautilus.research.stress import scale_volatility
from amm500_nautilus.research.stress import stressed
from tests.research.bars import OPEN_NS
from tests.research.bars import STEP_S
from tests.research.bars import frame_of
from tests.research.bars import walk


MINUTE = 60 * NS
PRICES = ["open", "high", "low", "close"]


def config(*, volatility: float = 1.0, crash: float = 0.0, **more: object) -> StressConfig:
    scenario = Scenario(name="one", volatility=volatility, crash=crash)
    values: dict = {"before_min": 10, "after_min": 20, "scenarios": (scenario,), "scenario": "one", **more}
    return StressConfig(**values)


def moves(frame: BarFrame) -> np.ndarray:
    """Every log return of the bars: inside them and from each close to the next open."""
    return np.diff(np.log(frame.bars[["open", "close"]].to_numpy().reshape(-1)))


@pytest.mark.parametrize("multiple", [1.5, 2.0, 3.0])
def test_a_multiple_of_volatility_multiplies_every_log_return_and_keeps_the_first_price(
    multiple: float,
) -> None:
    plain = walk(1, 30)
    scaled = scale_volatility(plain, multiple)
    assert moves(scaled) == pytest.approx(multiple * moves(plain), abs=1e-12)
    assert scaled.bars["open"].iloc[0] == plain.bars["open"].iloc[0]


def test_doubled_volatility_by_hand() -> None:
    # 100 to 110 is a log return of ln 1.1; twice that is a factor of 1.21: 121. Then 110 to 99 is ln 0.9: 121 * 0.81 = 98.01
    plain = frame_of([(100.0, 110.0, 100.0, 110.0), (110.0, 110.0, 99.0, 99.0)])
    scaled = scale_volatility(plain, 2.0).bars
    assert scaled[PRICES].to_numpy() == pytest.approx(
        np.array([[100.0, 121.0, 100.0, 121.0], [121.0, 121.0, 98.01, 98.01]])
    )


def test_bars_that_do_not_move_stay_as_they_are_whatever_the_multiple() -> None:
    flat = frame_of([(5.0, 5.0, 5.0, 5.0)] * 3)
    assert scale_volatility(flat, 3.0).bars[PRICES].equals(flat.bars[PRICES])


def test_a_fall_of_ten_percent_by_hand() -> None:
    bars = frame_of(
        [
            (100.0, 101.0, 99.0, 100.0),
            (100.0, 104.0, 98.0, 102.0),
            (102.0, 105.0, 101.0, 104.0),
        ]
    ).bars
    start = OPEN_NS + STEP_S * NS
    fallen = fall(bars, start, start + STEP_S * NS, 0.10)
    # the first bar stays; 300 s are 20 pieces of 15 s from 100 to 90; then the last bar, 90 / 102 of what it was
    assert len(fallen) == 1 + 20 + 1
    assert fallen.iloc[0][PRICES].tolist() == [100.0, 101.0, 99.0, 100.0]
    assert fallen["open"].iloc[1] == 100.0
    assert fallen["close"].iloc[20] == 90.0
    # half way down the line of logs: 100 * sqrt(0.9)
    assert fallen["close"].iloc[10] == pytest.approx(100.0 * math.sqrt(0.9))
    last = fallen.iloc[21][PRICES].to_numpy(dtype=float)
    assert last == pytest.approx(np.array([102.0, 105.0, 101.0, 104.0]) * 90.0 / 102.0)
    assert last[0] == pytest.approx(90.0)


@pytest.mark.parametrize("share", [0.05, 0.10, 0.15, 0.20])
def test_a_fall_reaches_exactly_its_share_of_the_price_at_the_event(share: float) -> None:
    plain, _ = stressed(walk(2, 20), config(), 3)
    found, shock = stressed(walk(2, 20), config(crash=share), 3)
    bars = found.bars
    at_event = float(plain.bars.loc[plain.bars["ts_open_ns"] == shock.event_ns, "open"].iloc[0])
    bottom = float(bars.loc[bars["ts_close_ns"] == shock.crash_end_ns, "close"].iloc[0])
    assert bottom == at_event * (1.0 - share)
    after = float(bars.loc[bars["ts_open_ns"] == shock.crash_end_ns, "open"].iloc[0])
    assert after == pytest.approx(bottom, rel=1e-12)


def test_after_a_fall_the_bars_keep_their_own_returns() -> None:
    plain, shock = stressed(walk(4, 20), config(), 3)
    found, _ = stressed(walk(4, 20), config(crash=0.2), 3)
    tails = [
        frame.bars.loc[frame.bars["ts_open_ns"] >= shock.crash_end_ns, PRICES].to_numpy()
        for frame in (plain, found)
    ]
    assert len(tails[0]) > 2
    assert tails[1] / tails[1][0, 0] == pytest.approx(tails[0] / tails[0][0, 0], rel=1e-12)


def test_up_to_the_event_a_fall_changes_nothing() -> None:
    plain, shock = stressed(walk(5, 20), config(), 3)
    found, _ = stressed(walk(5, 20), config(crash=0.2), 3)
    before = [frame.bars[frame.bars["ts_open_ns"] < shock.event_ns] for frame in (plain, found)]
    assert len(before[0]) > 1
    pd.testing.assert_frame_equal(*before)


def test_with_twice_the_volatility_the_fall_starts_from_the_scaled_price() -> None:
    scaled, shock = stressed(walk(6, 20), config(volatility=2.0), 3)
    both, _ = stressed(walk(6, 20), config(volatility=2.0, crash=0.15), 3)
    at_event = float(scaled.bars.loc[scaled.bars["ts_open_ns"] == shock.event_ns, "open"].iloc[0])
    bottom = float(both.bars.loc[both.bars["ts_close_ns"] == shock.crash_end_ns, "close"].iloc[0])
    assert bottom == at_event * 0.85


def test_a_bar_is_cut_on_the_straight_line_of_logs_and_the_longer_piece_keeps_its_range() -> None:
    bars = frame_of([(100.0, 150.0, 90.0, 121.0)]).bars
    # a fifth of the way: 100 * 1.21 ** 0.2
    cut = cut_bars(bars, (OPEN_NS + 60 * NS,))
    middle = 100.0 * 1.21**0.2
    assert cut[PRICES].to_numpy() == pytest.approx(
        np.array([[100.0, middle, 100.0, middle], [middle, 150.0, 90.0, 121.0]])
    )
    assert cut["volume"].tolist() == pytest.approx([2.0, 8.0])
    assert cut["ts_close_ns"].iloc[0] == cut["ts_open_ns"].iloc[1] == OPEN_NS + 60 * NS
    assert cut["ts_open_ns"].dtype == np.int64


def test_an_edge_between_two_bars_cuts_neither() -> None:
    bars = walk(7, 3).bars
    assert cut_bars(bars, (OPEN_NS + STEP_S * NS,)).equals(bars)


# -- the span -----------------------------------------------------------------------------------------


def test_a_drawn_event_is_a_bar_s_open_with_the_whole_span_inside_one_session() -> None:
    frame = frame_of([(1.0, 1.0, 1.0, 1.0)] * 12, days=3)
    for seed in range(20):
        window = choose_window(frame, config(), seed)
        assert (window.event_ns - OPEN_NS) % (STEP_S * NS) == 0
        assert window.event_ns - window.start_ns == 10 * MINUTE
        assert window.end_ns - window.event_ns == 20 * MINUTE
        assert any(start <= window.start_ns and window.end_ns <= end for start, end in frame.sessions)


def test_equal_seeds_draw_equal_events_and_other_seeds_others() -> None:
    frame = frame_of([(1.0, 1.0, 1.0, 1.0)] * 12, days=3)
    drawn = [choose_window(frame, config(), seed).event_ns for seed in range(10)]
    assert drawn == [choose_window(frame, config(), seed).event_ns for seed in range(10)]
    assert len(set(drawn)) > 3


def test_every_scenario_of_a_configuration_has_the_same_span_and_the_same_cuts() -> None:
    names = {}
    settings_ = StressConfig(before_min=10, after_min=20)
    for scenario in settings_.chosen():
        own = StressConfig(before_min=10, after_min=20, scenario=scenario.name)
        frame, shock = stressed(walk(8, 40), own, 11)
        names[scenario.name] = (frame.sessions, shock.event_ns, shock.cut(frame.sessions))
    assert len(names) == 14
    assert len(set(names.values())) == 1


def test_a_configured_event_s_span_is_cut_at_its_session_s_edges() -> None:
    frame = walk(9, 12)
    # the session is 14:30 to 15:30
    window = choose_window(frame, config(event="2026-01-05T14:35Z", before_min=30, after_min=90), 1)
    assert (window.start_ns, window.end_ns) == frame.sessions[0]


def test_a_configured_event_inside_a_bar_cuts_it() -> None:
    found, shock = stressed(walk(10, 12), config(event="2026-01-05T14:47Z", crash=0.1), 1)
    assert shock.event_ns in set(found.bars["ts_open_ns"])
    # the fall ends at 14:52, inside the next bar
    assert shock.crash_end_ns in set(found.bars["ts_close_ns"])
    opens, closes = found.bars["ts_open_ns"].to_numpy(), found.bars["ts_close_ns"].to_numpy()
    assert (opens[1:] == closes[:-1]).all()


@pytest.mark.parametrize(
    "event",
    [
        pytest.param("2026-01-04T15:00Z", id="the day before"),
        pytest.param("2026-01-05T14:30Z", id="at the open, where nothing is held"),
        pytest.param("2026-01-05T15:27Z", id="a fall that the close cuts off"),
        pytest.param("2026-01-05T20:00Z", id="after the close"),
    ],
)
def test_an_event_outside_the_data_is_refused_with_the_span_there_is(event: str) -> None:
    with pytest.raises(
        InputError, match=r"stress\.event: the event .*2026-01-05T14:30Z to 2026-01-05T15:30Z"
    ):
        stressed(walk(11, 12), config(event=event, crash=0.1), 1)


def test_data_without_a_session_long_enough_is_refused_with_its_length() -> None:
    with pytest.raises(
        InputError, match=r"60 minutes before an event and 120 after it \(the longest has 60\)"
    ):
        stressed(walk(12, 12), StressConfig(scenario="base"), 1)


# -- the shock ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(-1, 0.0, id="before"),
        pytest.param(0, 1.0, id="as it begins"),
        pytest.param(299, 1.0, id="while it falls"),
        pytest.param(300, 1.0, id="as it ends"),
        # 150 s of 600 s gone: 1 - 0.25
        pytest.param(450, 0.75, id="a quarter recovered"),
        pytest.param(900, 0.0, id="recovered"),
    ],
)
def test_the_book_is_thin_while_the_price_falls_and_recovers_in_a_straight_line(
    second: int, expected: float
) -> None:
    shock = Shock(
        scenario="x", event_ns=1_000 * NS, crash_end_ns=1_300 * NS, crash=True, outage_ns=0, depth=0.25, widen=0.1,
        recovery_ns=600 * NS,
    )  # fmt: skip
    assert shock.strain((1_000 + second) * NS) == pytest.approx(expected)


def test_sessions_are_cut_at_the_event_and_at_the_end_of_the_fall() -> None:
    shock = Shock(
        scenario="x", event_ns=20, crash_end_ns=50, crash=False, outage_ns=5, depth=1.0, widen=0.0, recovery_ns=0
    )  # fmt: skip
    assert shock.cut(((0, 10), (15, 40), (45, 60))) == ((0, 10), (15, 20), (20, 40), (45, 50), (50, 60))
    assert shock.outages == ((20, 25),)


# -- what holds for any bars --------------------------------------------------------------------------


@given(
    seed=st.integers(0, 10_000),
    deviation=st.floats(1e-5, 5e-3),
    volatility=st.floats(0.1, 4.0),
    crash=st.one_of(st.just(0.0), st.floats(0.001, 0.95)),
    minute=st.integers(1, 40),
    pieces=st.integers(1, 40),
)
@settings(max_examples=150, deadline=None)
def test_stressed_bars_are_sound_and_open_at_the_price_they_opened_at(
    seed: int, deviation: float, volatility: float, crash: float, minute: int, pieces: int
) -> None:
    plain = walk(seed, 12, deviation=deviation)
    event = pd.Timestamp(OPEN_NS + minute * MINUTE, tz="UTC").isoformat()
    own = config(
        volatility=volatility, crash=crash, event=event, before_min=60, after_min=60, crash_s=15 * pieces
    )
    found, shock = stressed(plain, own, seed)
    bars = found.bars
    values = bars[PRICES].to_numpy()
    assert np.isfinite(values).all()
    assert (values > 0).all()
    assert (bars["high"] >= bars[["open", "close", "low"]].max(axis=1)).all()
    assert (bars["low"] <= bars[["open", "close", "high"]].min(axis=1)).all()
    assert values[0, 0] == plain.bars["open"].iloc[0]
    opens, closes = bars["ts_open_ns"].to_numpy(), bars["ts_close_ns"].to_numpy()
    assert (opens[1:] == closes[:-1]).all()
    assert (closes - opens >= 15 * NS).all()
    assert (opens[0], closes[-1]) == found.sessions[0] == plain.sessions[0]
    assert {shock.event_ns, shock.crash_end_ns} <= set(opens)
    assert bars["volume"].sum() == pytest.approx(plain.bars["volume"].sum())


@given(seed=st.integers(0, 10_000), share=st.floats(0.01, 0.9), deeper=st.floats(1.001, 1.1))
@settings(max_examples=60, deadline=None)
def test_a_deeper_fall_is_never_above_a_shallower_one(seed: int, share: float, deeper: float) -> None:
    frame = walk(seed, 12)
    shallow, _ = stressed(frame, config(crash=share), seed)
    deep, _ = stressed(frame, config(crash=min(0.99, share * deeper)), seed)
    assert (deep.bars["low"].to_numpy() <= shallow.bars["low"].to_numpy()).all()
