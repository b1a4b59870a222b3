"""How much of an account a run may use, and everything that is sized by it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from amm500_nautilus.runtime.config import RunConfig


# what the risk engine measures against the account's equity of now, and against that of the session's start, by section:
# a halt, and what is to come before one
OF_EQUITY = {
    "switches": ("streak_loss",),
    "stops": ("hard_stop",),
    # of equity times leverage
    "breakers": ("velocity_widen", "velocity_pause"),
}
OF_START = {
    "switches": ("session_loss_share", "drawdown"),
    "stops": ("auto_reduce_loss",),
    "levels": ("max_drawdown",),
}


def capital_of(config: RunConfig, equity: Decimal) -> Decimal:
    """Return the part of the account's equity that may be used, collateral units."""
    cap = config.live.max_equity_used
    return equity if cap is None else min(equity, Decimal(str(cap)))


def sized(config: RunConfig, equity: Decimal) -> RunConfig:
    """
    Return a run file as one of an account that holds no more than the capital that may be used: what its ladder is checked by.

    The exposure limit is at most the cap times leverage, however much is deposited later.

    Parameters
    ----------
    config : RunConfig
        The run file.
    equity : Decimal
        The account's equity, collateral units.

    """
    account = config.account.model_copy(update={"equity": capital_of(config, equity)})
    return config.model_copy(update={"account": account, "strategy": _capped(config)})


def with_capital(config: RunConfig, equity: Decimal, starting: Decimal | None = None) -> RunConfig:
    """
    Return a run file whose quotes and loss limits go by the capital that may be used.

    As :func:`sized`; where there is a cap, every limit that is a share of the account's equity becomes the same share of the
    capital, and none a larger share of equity than the run file says.

    Parameters
    ----------
    config : RunConfig
        The run file.
    equity : Decimal
        The account's equity, collateral units.
    starting : Decimal, optional
        The equity at the start of the session that goes on, which may have been deposited to or withdrawn from since; none where
        one begins.

    """
    found, capital = sized(config, equity), capital_of(config, equity)
    if config.live.max_equity_used is None or equity <= 0:
        return found
    strategy = found.strategy
    risk = _shares(strategy.risk, OF_EQUITY, float(capital / equity))
    risk = _shares(risk, OF_START, min(1.0, float(capital / (starting or equity))))
    return found.model_copy(update={"strategy": strategy.model_copy(update={"risk": risk})})


def _capped(config: RunConfig) -> Any:
    """Return the strategy with the exposure limit that the cap allows; as it is where there is no cap."""
    strategy, cap = config.strategy, config.live.max_equity_used
    if cap is None:
        return strategy
    quoting = strategy.quoting
    # of equity itself, where the limits of the models go by that
    limit = float(cap) * (config.account.leverage if quoting.basis == "leverage" else 1.0)
    if quoting.max_exposure > 0:
        limit = min(limit, quoting.max_exposure)
    return strategy.model_copy(update={"quoting": quoting.model_copy(update={"max_exposure": limit})})


def _shares(risk: Any, limits: Mapping[str, tuple[str, ...]], share: float) -> Any:
    """Return the risk section with the named limits times ``share``."""
    return risk.model_copy(
        update={
            section: getattr(risk, section).model_copy(
                update={name: getattr(getattr(risk, section), name) * share for name in names}
            )
            for section, names in limits.items()
        }
    )
