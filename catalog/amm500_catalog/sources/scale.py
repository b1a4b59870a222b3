"""
Fitting bars of one market to another: the price level by one factor, the volatility by the returns.

A factor on prices leaves every return as it was. A multiple of returns leaves the first price and the gaps between sessions as they
were. Nothing here squeezes prices towards a level.
"""

import math
from dataclasses import dataclass
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from amm500_catalog.sources.base import PRICE_COLUMNS
from amm500_catalog.sources.base import BarFrame


YEAR_S = 365 * 86_400
CASH_SESSION_S = 6.5 * 3_600
SESSIONS_A_YEAR = 252


@dataclass(frozen=True, slots=True)
class ReturnScaling:
    """
    What was done to the returns.

    Volatilities are annualized deviations as fractions (0.12 is 12 %); ``multiple`` is target over measured.
    """

    measured: float
    target: float
    multiple: float


def level_factor(source_price: float, market_price: float) -> float:
    """
    Return the factor that brings the source's prices to the market's level.

    Parameters
    ----------
    source_price, market_price : float
        Prices of both at the same time, for example 333.64 and 690.10: the factor is 2.0684.

    Raises
    ------
    ValueError
        If a price is not a positive number.

    """
    for name, price in (("source_price", source_price), ("market_price", market_price)):
        if not (math.isfinite(price) and price > 0):
            raise ValueError(f"`{name}` was {price}, must be a positive number")
    return market_price / source_price


def scale_level(frame: BarFrame, factor: float) -> BarFrame:
    """
    Return the bars with every price times the factor; returns, volumes and sessions stay.

    Raises
    ------
    ValueError
        If the factor is not a positive number.

    """
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"`factor` was {factor}, must be a positive number")
    bars = frame.bars.copy()
    bars[list(PRICE_COLUMNS)] = bars[list(PRICE_COLUMNS)] * factor
    return replace(frame, bars=bars, notes=(*frame.notes, f"prices times {factor:.6g} (the market's level)"))


def session_seconds_a_year(frame: BarFrame) -> float:
    """
    Return the seconds that the market is open in a year, by the look of its sessions.

    One unbroken span of more than a day is a market that never closes; anything else has 252 cash sessions of 6.5 hours.
    """
    never_closes = any(close - start > 86_400 * 1_000_000_000 for start, close in frame.sessions)
    return float(YEAR_S if never_closes else SESSIONS_A_YEAR * CASH_SESSION_S)


def session_volatility(frame: BarFrame, seconds_a_year: float | None = None) -> float:
    """
    Return the annualized deviation of the log returns inside the sessions, as a fraction.

    The move over a gap between sessions is left out of the sum, and the gap's time out of the clock. The mean is taken as zero.

    Parameters
    ----------
    frame : BarFrame
        Bars with their sessions.
    seconds_a_year : float, optional
        Open seconds of a year; by default by the look of the sessions.

    Raises
    ------
    ValueError
        If there are no bars.

    """
    if not len(frame):
        raise ValueError("the volatility of no bars is not defined")
    year_s = session_seconds_a_year(frame) if seconds_a_year is None else seconds_a_year
    log = np.log(frame.bars[list(PRICE_COLUMNS)].to_numpy(dtype=np.float64))
    first = _is_session_start(frame)
    before = np.concatenate(([0.0], log[:-1, 3]))
    # the first bar of a session moves from its own open, not from yesterday's close
    returns = log[:, 3] - np.where(first, log[:, 0], before)
    return float(math.sqrt(float(np.sum(returns**2)) / (len(frame) * frame.interval_s) * year_s))


def scale_returns(
    frame: BarFrame,
    target_volatility: float,
    seconds_a_year: float | None = None,
) -> tuple[BarFrame, ReturnScaling]:
    """
    Return the bars with every return inside a session multiplied so that the volatility becomes the target.

    Opens, highs and lows move with the closes, so that no bar turns inside out; gaps between sessions keep their own returns.

    Parameters
    ----------
    frame : BarFrame
        Bars with their sessions.
    target_volatility : float
        Annualized deviation wanted, as a fraction.
    seconds_a_year : float, optional
        Open seconds of a year; by default by the look of the sessions.

    Raises
    ------
    ValueError
        If the target is not a positive number, or the bars do not move at all.

    """
    if not (math.isfinite(target_volatility) and target_volatility > 0):
        raise ValueError(f"`target_volatility` was {target_volatility}, must be a positive number")
    measured = session_volatility(frame, seconds_a_year)
    if measured == 0:
        raise ValueError("the bars do not move, so no multiple of their returns reaches a volatility")
    multiple = target_volatility / measured
    log = np.log(frame.bars[list(PRICE_COLUMNS)].to_numpy(dtype=np.float64))
    starts = np.flatnonzero(_is_session_start(frame))
    scaled = _scale_sessions(log, starts, multiple)
    bars = frame.bars.copy()
    bars[list(PRICE_COLUMNS)] = pd.DataFrame(np.exp(scaled), columns=list(PRICE_COLUMNS), index=bars.index)
    note = f"returns times {multiple:.4g} (volatility {measured:.2%} to {target_volatility:.2%} a year, gaps left as they are)"
    scaling = ReturnScaling(measured=measured, target=target_volatility, multiple=multiple)
    return replace(frame, bars=bars, notes=(*frame.notes, note)), scaling


def _scale_sessions(
    log: npt.NDArray[np.float64],
    starts: npt.NDArray[np.int64],
    multiple: float,
) -> npt.NDArray[np.float64]:
    """Within a session everything is measured from its first open: the sums of its returns telescope."""
    scaled = np.empty_like(log)
    new_open = log[0, 0]
    for first, end in zip(starts, [*starts[1:], len(log)], strict=True):
        if first > 0:
            new_open = scaled[first - 1, 3] + (log[first, 0] - log[first - 1, 3])
        scaled[first:end] = new_open + multiple * (log[first:end] - log[first, 0])
    return scaled


def _is_session_start(frame: BarFrame) -> npt.NDArray[np.bool_]:
    opens = frame.bars["ts_open_ns"].to_numpy(dtype=np.int64)
    starts = np.searchsorted(opens, [start for start, _ in frame.sessions])
    first = np.zeros(len(opens), dtype=np.bool_)
    first[starts[starts < len(opens)]] = True
    first[0] = True
    return first
