"""From a run file to the forecast that a strategy uses, and what a report says of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from amm500_nautilus.forecast.card import ModelError
from amm500_nautilus.forecast.card import when
from amm500_nautilus.forecast.live import USED
from amm500_nautilus.forecast.live import VolatilityForecast
from amm500_nautilus.forecast.model_file import load_model
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.strategy import MarketMaker


# modes whose market is a venue's own; the loopback venue's is simulated as a backtest's is
REAL_MARKETS = ("paper", "testnet", "live")


def open_forecast(config: RunConfig, coin: str, say: Callable[[str], None]) -> VolatilityForecast | None:
    """
    Return the forecast of ``strategy.forecast``; None where no model is named.

    A model that cannot be read gives a forecast that is always 1 and says why: a missing forecast is no reason not to quote.
    """
    section = config.strategy.forecast
    if section.model is None:
        return None
    model, off = None, ""
    try:
        model = load_model(Path(section.model))
    except ModelError as error:
        off = str(error)
    return VolatilityForecast(
        model,
        coin=coin,
        cycle_ms=config.strategy.cycle_ms,
        max_age_ns=section.max_age_ns,
        require_win=section.require_win,
        is_real=config.mode in REAL_MARKETS,
        off=off,
        say=say,
    )


def attach_forecast(
    maker: MarketMaker, config: RunConfig, coin: str, say: Callable[[str], None]
) -> VolatilityForecast | None:
    """Give the strategy the forecast of ``strategy.forecast`` and return it; None where no model is named."""
    forecast = open_forecast(config, coin, say)
    if forecast is not None:
        maker.forecast = forecast
    return forecast


def forecast_report(forecast: VolatilityForecast | None) -> dict[str, Any]:
    """Return what ``summary.json`` says of a forecast, under the key ``forecast``; nothing without one."""
    if forecast is None:
        return {}
    body = forecast.summary()
    card = forecast.card
    if card is not None:
        body["model"] = {
            "market": card.market,
            "use": card.use,
            "why": card.why,
            "simulated": card.simulated,
            "trained_until": when(card.trained_until_ns),
            "data_sha256": card.data_sha256,
            "scores": list(card.scores),
        }
    return {"forecast": body}


def forecast_words(forecast: VolatilityForecast | None) -> tuple[str, ...]:
    """Return the sentence that stands beside a report's assumptions: what the forecast did, and by how much its model had won."""
    if forecast is None:
        return ()
    body = forecast.summary()
    if not body["share_by_reason"]:
        # nothing was asked of it yet
        return ()
    if body["forecasts"] == 0:
        return (f"volatility forecast: not used ({body['reason']}): {body['words']}",)
    card = forecast.card
    gains = ""
    if card is not None:
        own = card.scores[0]["qlike"]
        gains = "; QLIKE out of sample " + ", ".join(
            f"{own - row['qlike']:+.4f} against {row['name']} (p {row['p']:.3f})" for row in card.scores[1:]
        )
        if card.simulated:
            gains += " (trained and judged on SIMULATED prices)"
    others = {name: share for name, share in body["share_by_reason"].items() if name != USED and share > 0}
    rest = "".join(f", {name} {share:.1%}" for name, share in others.items())
    words = (
        f"volatility forecast: used in {body['share_used']:.1%} of the cycles{rest}; factor {body['factor_mean']:.3f} on average "
        f"({body['factor_low']:.3f} to {body['factor_high']:.3f} before its limits){gains}"
    )
    return (words,)
