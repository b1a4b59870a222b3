"""
Bars out of nothing but a seed: stochastic volatility, the hours of the market, jumps, and no drift.

The price is a martingale: each step's mean is one, given all before it. Volatility is a log-Ornstein-Uhlenbeck process, known
before the step it scales; a diffusion step has mean ``exp(-s^2/2 + s^2/2) = 1`` and a jump's size is drawn the same way. Nothing
here can be earned by guessing a direction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from typing import Literal

import numpy as np

from amm500_catalog.errors import InputError
from amm500_catalog.hours import DAY_NS
from amm500_catalog.hours import cash_sessions
from amm500_catalog.numerics import decay
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.base import make_bars
from amm500_catalog.sources.base import session_spans
from amm500_catalog.sources.files import gap_intervals
from amm500_catalog.validate import utc_text


Floats = np.ndarray
Hours = Literal["index", "always"]

TRADING_DAYS: Final = 252.0
CALENDAR_DAYS: Final = 365.0
SATURDAY: Final = 5
# 1970-01-01 was a Thursday
EPOCH_WEEKDAY: Final = 3
MOST_VOLATILITY: Final = 5.0
# steps held in memory at a time, some 90 bytes each
STEPS_AT_ONCE: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorConfig:
    """
    Parameters of the generated market.

    Parameters
    ----------
    seed : int, default 1
        Another seed, another path; the same seed and request, the same bars.
    hours : {'index', 'always'}, default 'index'
        The index's cash sessions with holidays and early closes, or every hour of the week.
    calendar : str, default 'XNYS'
        The exchange_calendars name behind ``index`` hours.
    start_price : float, default 690.0
        The first open.
    annual_volatility : float, default 0.13
        Typical deviation of a year's log return, sessions and gaps together.
    volatility_of_volatility : float, default 0.45
        Stationary deviation of the log of volatility.
    volatility_half_life_h : float, default 13.0
        Hours of trading after which half of a volatility shock is gone (two cash sessions).
    u_shape : float, default 0.9
        How much rougher a session's open and close are than its middle; 0 is flat.
    overnight_share : float, default 0.35
        Share of a session's variance that falls between the sessions.
    weekend_factor : float, default 0.35
        Volatility of Saturday and Sunday as a share of a weekday's, with hours ``always``.
    night_factor : float, default 0.6
        Volatility outside the cash hours as a share of that inside, with hours ``always``.
    jumps_per_day : float, default 0.15
        Expected jumps in a day of trading.
    jump_deviation : float, default 0.004
        Deviation of a jump's log size.
    daily_volume : float, optional
        Notional traded in a day, spread by the same hours; no volume when absent.
    steps_per_bar : int, default 300
        Steps whose highest and lowest make a bar's range. A walk looked at ``n`` times shows 2 * 0.5826 / sqrt(n) deviations less
        than its mean range of 1.596 (a fifth at 12, a twenty-fifth at 300), and the market simulator's path keeps to the range.

    Raises
    ------
    ValueError
        If a field is out of range.

    """

    seed: int = 1
    hours: Hours = "index"
    calendar: str = "XNYS"
    start_price: float = 690.0
    annual_volatility: float = 0.13
    volatility_of_volatility: float = 0.45
    volatility_half_life_h: float = 13.0
    u_shape: float = 0.9
    overnight_share: float = 0.35
    weekend_factor: float = 0.35
    night_factor: float = 0.6
    jumps_per_day: float = 0.15
    jump_deviation: float = 0.004
    daily_volume: float | None = None
    steps_per_bar: int = 300

    def __post_init__(self) -> None:
        if self.hours not in ("index", "always"):
            raise ValueError(f"`hours` was {self.hours!r}, must be 'index' or 'always'")
        for name in (
            "start_price",
            "annual_volatility",
            "volatility_half_life_h",
            "weekend_factor",
            "night_factor",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` was {getattr(self, name)}, must be positive")
        for name in ("volatility_of_volatility", "u_shape", "jumps_per_day", "jump_deviation"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` was {getattr(self, name)}, must be zero or more")
        # beyond these a path leaves what a price can be
        for name in ("annual_volatility", "volatility_of_volatility", "jump_deviation"):
            if getattr(self, name) > MOST_VOLATILITY:
                raise ValueError(f"`{name}` was {getattr(self, name)}, must be at most {MOST_VOLATILITY:g}")
        if not 0 <= self.overnight_share < 1:
            raise ValueError(f"`overnight_share` was {self.overnight_share}, must be at least 0 and below 1")
        if self.steps_per_bar < 1:
            raise ValueError(f"`steps_per_bar` was {self.steps_per_bar}, must be at least 1")
        if self.daily_volume is not None and not self.daily_volume > 0:
            raise ValueError(f"`daily_volume` was {self.daily_volume}, must be positive")


@dataclass(frozen=True, slots=True)
class GeneratorSource:
    """
    The offline generator as a source.

    Parameters
    ----------
    config : GeneratorConfig
        The market's parameters and the seed.

    """

    config: GeneratorConfig = GeneratorConfig()

    @property
    def name(self) -> str:
        """The name written into reports."""
        return "generator"

    def fetch(self, request: BarRequest) -> BarFrame:
        """
        Return the generated bars of the span; the first opens at ``start_price``.

        Raises
        ------
        InputError
            If no session opens inside the span.

        """
        config = self.config
        opens = bar_opens(config, request)
        if not len(opens):
            raise InputError(
                f"no session of {config.calendar} opens from {utc_text(request.start_ns)} to {utc_text(request.end_ns)}",
                "the span",
                "one with trading hours, or hours `always`",
            )
        rng = np.random.default_rng([config.seed, request.start_ns // NS, request.interval_s])
        variance = step_variance(config, opens, request.interval_s)
        opened, highest, lowest, closed = np.concatenate(
            [
                (steps[:, 0], steps.max(axis=1), steps.min(axis=1), steps[:, -1])
                for steps in _paths(config, opens, variance, rng, request.interval_s)
            ],
            axis=1,
        )
        volume = None
        if config.daily_volume is not None:
            volume = _volume(config, opens, variance, opened, rng, request.interval_s)
        bars = make_bars(opens, opened, highest, lowest, closed, volume, request.interval_s)
        return BarFrame(
            bars=bars,
            interval_s=request.interval_s,
            source=self.name,
            symbol=request.symbol,
            sessions=session_spans(
                bars,
                request.interval_s,
                gap_intervals=None if config.hours == "always" else gap_intervals(request.interval_s),
            ),
            notes=(f"generated with seed {config.seed}, no drift; not market data",),
        )


def bar_opens(config: GeneratorConfig, request: BarRequest) -> np.ndarray:
    """Return the opens of the request's bars in ns UTC; index hours start each session's bars at its open."""
    step = request.interval_s * NS
    if config.hours == "always":
        first = -(-request.start_ns // step) * step
        return np.arange(first, request.end_ns, step, dtype=np.int64)
    sessions = cash_sessions(config.calendar, request.start_ns - DAY_NS, request.end_ns)
    parts = [np.arange(opened, closed - step + 1, step, dtype=np.int64) for opened, closed in sessions]
    opens = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    return opens[(opens >= request.start_ns) & (opens < request.end_ns)]


def step_variance(config: GeneratorConfig, opens: np.ndarray, interval_s: int) -> Floats:
    """
    Return each bar's variance before stochastic volatility: the hours' shape, a year adding up to ``annual_volatility`` squared.

    Parameters
    ----------
    config : GeneratorConfig
        The market's parameters.
    opens : numpy.ndarray
        The bars' opens in ns UTC.
    interval_s : int
        Seconds of one bar.

    """
    if config.hours == "always":
        shape = _weekly_shape(config, opens)
        return shape * config.annual_volatility**2 * interval_s / (CALENDAR_DAYS * 86_400.0)
    day = opens // DAY_NS
    _, start, count = np.unique(day, return_index=True, return_counts=True)
    place = (np.arange(len(opens)) - np.repeat(start, count) + 0.5) / np.repeat(count, count)
    # mean of 1 + u (2x - 1)^2 over [0, 1] is 1 + u / 3
    shape = (1.0 + config.u_shape * 3.0 * (2.0 * place - 1.0) ** 2) / (1.0 + config.u_shape)
    in_sessions = config.annual_volatility**2 * (1.0 - config.overnight_share) / TRADING_DAYS
    return shape * in_sessions * interval_s / (6.5 * 3_600.0)


def _weekly_shape(config: GeneratorConfig, opens: np.ndarray) -> Floats:
    """Variance by the hour of the week, its mean over the week one; cash hours are taken as 14:30 to 21:00 UTC."""

    def shape(times: np.ndarray) -> Floats:
        weekday = (times // DAY_NS + EPOCH_WEEKDAY) % 7
        hour = (times % DAY_NS) / (3_600.0 * NS)
        place = (hour - 14.5) / 6.5
        cash = (place >= 0) & (place < 1)
        day = np.where(cash, 1.0 + config.u_shape * (2.0 * place - 1.0) ** 2, config.night_factor**2)
        return np.where(weekday >= SATURDAY, config.weekend_factor**2 * config.night_factor**2, day)

    week = np.arange(0, 7 * DAY_NS, 300 * NS, dtype=np.int64)
    result: Floats = shape(opens) / shape(week).mean()
    return result


def _paths(
    config: GeneratorConfig, opens: np.ndarray, variance: Floats, rng: np.random.Generator, interval_s: int
) -> Iterator[Floats]:
    """Yield the prices at every step, a row a bar with its open first, so many bars at a time; gaps lie between the rows."""
    closed = np.concatenate(([False], np.diff(opens) > gap_intervals(interval_s) * interval_s * NS))
    overnight = config.annual_volatility**2 * config.overnight_share / TRADING_DAYS
    per_bar = config.steps_per_bar
    at_once = max(1, STEPS_AT_ONCE // per_bar)
    log_vol, log_price = None, 0.0
    for first in range(0, len(opens), at_once):
        part = slice(first, first + at_once)
        factor, log_vol = _volatility(config, len(opens[part]) * per_bar, log_vol, rng, interval_s)
        returns = _returns(config, np.repeat(variance[part] / per_bar, per_bar) * factor, rng, interval_s)
        gaps = np.zeros(len(opens[part]))
        gap_var = overnight * factor[::per_bar]
        gaps[closed[part]] = _martingale(gap_var[closed[part]], rng)
        moves = np.concatenate((gaps[:, None], returns.reshape(len(gaps), per_bar)), axis=1)
        path = log_price + np.cumsum(moves.ravel())
        log_price = float(path[-1])
        yield (config.start_price * np.exp(path)).reshape(moves.shape)


def _volatility(
    config: GeneratorConfig, count: int, start: float | None, rng: np.random.Generator, interval_s: int
) -> tuple[Floats, float]:
    """Return what scales each step's variance, its mean one, and the state after the last, with which the next ones start."""
    memory = 0.5 ** (interval_s / config.steps_per_bar / 3_600.0 / config.volatility_half_life_h)
    spread = config.volatility_of_volatility
    shocks = rng.standard_normal(count) * spread * np.sqrt(1.0 - memory**2)
    if start is None:
        start = rng.standard_normal() * spread
    # the state before the step scales the step; its mean square factor is taken out so that the year's variance is the asked one
    states = decay(shocks, memory, before=start)
    before = np.concatenate(([start], states[:-1]))
    return np.exp(2.0 * before - 2.0 * spread**2), float(states[-1])


def _returns(config: GeneratorConfig, variance: Floats, rng: np.random.Generator, interval_s: int) -> Floats:
    """Return the log returns of steps, jumps among them."""
    count, step_h = len(variance), interval_s / config.steps_per_bar / 3_600.0
    jumps_var = config.jumps_per_day * config.jump_deviation**2
    day_var = config.annual_volatility**2 / (TRADING_DAYS if config.hours == "index" else CALENDAR_DAYS)
    # jumps are part of the asked variance, at most half of it
    share = min(0.5, jumps_var / day_var)
    returns = _martingale(variance * (1.0 - share), rng)
    day_h = 6.5 if config.hours == "index" else 24.0
    jumped = rng.random(count) < config.jumps_per_day * step_h / day_h
    size = np.sqrt(share * day_var / config.jumps_per_day) if config.jumps_per_day > 0 else 0.0
    returns += np.where(jumped, _martingale(np.full(count, size**2), rng), 0.0)
    return returns


def _martingale(variance: Floats, rng: np.random.Generator) -> Floats:
    """Log returns of this variance whose exponential has mean one."""
    result: Floats = np.sqrt(variance) * rng.standard_normal(len(variance)) - variance / 2.0
    return result


def _volume(
    config: GeneratorConfig,
    opens: np.ndarray,
    variance: Floats,
    prices: Floats,
    rng: np.random.Generator,
    interval_s: int,
) -> Floats:
    """Units traded in each bar: the hours' shape times lognormal noise of mean one, whole days adding up to the asked notional."""
    assert config.daily_volume is not None  # noqa: S101 -- the caller looked
    weight = variance / variance.mean()
    noise = np.exp(0.5 * rng.standard_normal(len(opens)) - 0.125)
    days = float(len(np.unique(opens // DAY_NS)))
    if config.hours == "always":
        days = len(opens) * interval_s / 86_400.0
    notional = weight * noise / (weight * noise).sum() * config.daily_volume * days
    result: Floats = notional / prices
    return result
