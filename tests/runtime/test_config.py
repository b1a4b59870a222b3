"""The run file's own rules, and what becomes of it: spans, fees, the day's length, the simulated venue."""

from datetime import UTC
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.base import BarFrame
from amm500_nautilus.runtime.backtest import fee_rates
from amm500_nautilus.runtime.config import DataSection
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.data import simulator_config
from amm500_nautilus.runtime.exits import BAD_CONFIG
from amm500_nautilus.runtime.exits import INTERRUPTED
from amm500_nautilus.runtime.exits import UNREACHABLE
from amm500_nautilus.runtime.exits import guarded
from amm500_nautilus.runtime.trading_hours import hours_note
from amm500_nautilus.runtime.trading_hours import hours_of
from amm500_nautilus.runtime.trading_hours import open_seconds_a_year


NS = 1_000_000_000
DAY = 86_400 * NS
NOW = datetime(2026, 1, 15, 9, 41, tzinfo=UTC)
JANUARY_15 = 1_768_435_200 * NS


@pytest.mark.parametrize(
    ("data", "start", "end"),
    [
        pytest.param({"days": 3}, JANUARY_15 - 3 * DAY, JANUARY_15, id="the last whole days"),
        pytest.param(
            {"days": 3, "start": "2026-01-01"},
            JANUARY_15 - 14 * DAY,
            JANUARY_15 - 11 * DAY,
            id="days from a start",
        ),
        pytest.param(
            {"days": 30, "start": "2026-01-14"},
            JANUARY_15 - DAY,
            JANUARY_15,
            id="days that end in the future",
        ),
        pytest.param(
            {"days": 2, "end": "2026-01-10"}, JANUARY_15 - 7 * DAY, JANUARY_15 - 5 * DAY, id="days to an end"
        ),
        pytest.param(
            {"start": "2026-01-14T19:00:00-05:00", "end": "2026-01-15T01:00:00Z"},
            JANUARY_15,
            JANUARY_15 + 3_600 * NS,
            id="times with their own offsets",
        ),
    ],
)
def test_the_span_of_the_data(data: dict, start: int, end: int) -> None:
    assert DataSection(**data).span(NOW) == (start, end)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("name: x\ndata: {source: file}\n", "data.path is missing", id="a file without a path"),
        pytest.param(
            "name: x\ndata: {source: hl-book}\n", "data.path is missing", id="a recording without a path"
        ),
        pytest.param(
            "name: x\ndata: {path: bars.csv}\n", "source is auto", id="a path that nobody would read"
        ),
        pytest.param(
            "name: x\ndata: {source: generator, timezone: UTC}\n",
            "data.timezone is read by source file alone",
            id="a time zone that nobody would read",
        ),
        pytest.param(
            "name: x\ndata: {start: 2026-01-02, end: 2026-01-02}\n",
            "is not after data.start",
            id="an empty span",
        ),
        pytest.param("name: x\ndata: {start: 2026-13-45}\n", r"month must be in 1\.\.12", id="no such date"),
        pytest.param("name: x\ndata: {start: '2026-13-45'}\n", "is not a date", id="no such date, quoted"),
        pytest.param("name: a/b\n", "name", id="a name that is a path"),
        pytest.param("name: x\nmode: live\n", "mode", id="a mode that is not built"),
        pytest.param("name: x\nseed: -1\n", "seed", id="a negative seed"),
        pytest.param("name: x\nmarket: {sz_decimals: 9}\n", "market.sz_decimals", id="too many decimals"),
        pytest.param("name: x\nvenue: {latency: {p50_ms: -1}}\n", "p50_ms", id="a negative latency"),
        pytest.param("name: x\nvenue: {fill: {queue_model: luck}}\n", "luck", id="an unknown queue model"),
        pytest.param(
            "name: x\nstrategy: {quoting: {rebalance: {threshold: 0.05}}}\n",
            "one_sided",
            id="thresholds out of order",
        ),
        pytest.param("name: x\nstrategy: {budget: {burst: 0}}\n", "burst", id="an empty burst"),
        pytest.param(
            "name: x\nmarket: {coin: km:US500}\nstrategy: {reference: km:US500}\n",
            "strategy.reference is km:US500, which is quoted itself",
            id="a market that is its own twin",
        ),
        pytest.param(
            "name: x\nsimulator: {toxicity: deadly}\n", "simulator.toxicity", id="an unknown toxicity"
        ),
    ],
)
def test_a_rule_of_the_run_file_is_named_when_it_is_broken(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("market", "maker", "taker"),
    [
        # 0.015 % and 0.045 % at scale 1: doubled, a tenth in growth mode
        pytest.param({}, "0.00003", "0.00009", id="growth mode on a builder's dex"),
        pytest.param({"growth_mode": False}, "0.0003", "0.0009", id="a builder's dex without growth mode"),
        pytest.param(
            {"coin": "BTC", "growth_mode": True}, "0.00015", "0.00045", id="the validators' dex knows neither"
        ),
    ],
)
def test_fees_follow_the_market_s_flags(market: dict, maker: str, taker: str) -> None:
    config = RunConfig(name="x", market=market)
    rates = fee_rates(config, config.market.spec())
    assert (rates.maker, rates.taker) == (Decimal(maker), Decimal(taker))


@pytest.mark.parametrize(
    ("hours", "asked", "expected"),
    [
        pytest.param(6.5, "index", "index", id="one cash session is an index's"),
        pytest.param(6.5, "always", "always", id="a short piece of a market that never closes"),
        pytest.param(24 * 30, "index", "always", id="no cash session lasts longer than half a day"),
    ],
)
def test_the_hours_a_market_keeps(hours: float, asked: str, expected: str) -> None:
    config = RunConfig(name="x", data={"source": "generator", "sessions": asked})
    bars = pd.DataFrame(columns=["ts_open_ns", "ts_close_ns", "open", "high", "low", "close", "volume"])
    frame = BarFrame(bars, 60, "file", "x", sessions=((0, int(hours * 3_600) * NS),))
    assert hours_of(config, frame) == expected


def test_a_market_that_closes_for_an_hour_a_day_keeps_the_hours_of_futures() -> None:
    config = RunConfig(name="x", data={"source": "generator", "sessions": "always"})
    bars = pd.DataFrame(columns=["ts_open_ns", "ts_close_ns", "open", "high", "low", "close", "volume"])
    # the first and the last are cut by the span asked for
    hours = ((9, 23), (24, 47), (48, 71), (72, 95), (96, 100))
    spans = tuple((start * 3_600 * NS, end * 3_600 * NS) for start, end in hours)
    assert hours_of(config, BarFrame(bars, 60, "file", "x", sessions=spans)) == "futures"
    assert hours_of(config, BarFrame(bars, 60, "file", "x", sessions=spans[:2])) == "always"


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        pytest.param(((14.5, 21), (38.5, 45), (62.5, 69)), "index", id="three cash sessions"),
        pytest.param(((14.5, 21), (38.5, 45)), "index", id="two of them"),
        pytest.param(((1.5, 4), (5, 8), (25.5, 28), (29, 32)), "index", id="with a break for lunch"),
        pytest.param(((0, 8), (9, 20), (21, 30)), "always", id="holes in a market that never closes"),
    ],
)
def test_bars_with_gaps_tell_their_hours_whatever_is_asked(hours: tuple, expected: str) -> None:
    config = RunConfig(name="x", data={"source": "generator", "sessions": "always"})
    bars = pd.DataFrame(columns=["ts_open_ns", "ts_close_ns", "open", "high", "low", "close", "volume"])
    spans = tuple((int(start * 3_600) * NS, int(end * 3_600) * NS) for start, end in hours)
    found = hours_of(config, BarFrame(bars, 60, "file", "x", sessions=spans))
    assert found == expected
    assert bool(hours_note(config, found)) == (expected != "always")


def test_a_year_of_cash_sessions_is_5_896_800_seconds_long() -> None:
    # 252 sessions of 6.5 h
    assert open_seconds_a_year("index") == 252 * 6.5 * 3_600
    assert open_seconds_a_year("always") == 365 * 86_400


def test_the_market_s_volume_and_funding_go_before_the_simulator_s() -> None:
    config = RunConfig(
        name="x", market={"daily_volume": 1e6, "funding_rate": 2e-5}, simulator={"daily_volume": 5e6}
    )
    simulator = simulator_config(config)
    assert simulator.daily_volume == 1e6
    assert simulator.funding_rate_hourly == 2e-5
    assert simulator_config(RunConfig(name="x", simulator={"daily_volume": 5e6})).daily_volume == 5e6


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(InputError("is wrong", "here", "right"), BAD_CONFIG, id="what the user can mend"),
        pytest.param(SourceUnavailableError("nobody answers"), UNREACHABLE, id="nobody answers"),
        pytest.param(KeyboardInterrupt(), INTERRUPTED, id="interrupted"),
    ],
)
def test_errors_become_exit_codes_and_one_sentence(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def job() -> int:
        raise error

    assert guarded(job) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1


def test_an_error_of_ours_is_not_hidden_behind_an_exit_code() -> None:
    def job() -> int:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        guarded(job)
