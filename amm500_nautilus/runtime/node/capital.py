"""How much of an account a run may use, and everything that is sized by it."""

from decimal import Decimal

from amm500_nautilus.runtime.config import RunConfig


def capital_of(config: RunConfig, equity: Decimal) -> Decimal:
    """Return the part of the account's equity that may be used, collateral units."""
    cap = config.live.max_equity_used
    return equity if cap is None else min(equity, Decimal(str(cap)))


def with_capital(config: RunConfig, equity: Decimal) -> RunConfig:
    """
    Return a run file whose quotes and loss limits go by the capital that may be used.

    The exposure limit is at most capital times leverage, and the halts for loss and drawdown, which are shares of the account's
    equity, become the same shares of the capital.

    Parameters
    ----------
    config : RunConfig
        The run file.
    equity : Decimal
        The account's equity, collateral units.

    """
    capital = capital_of(config, equity)
    account = config.account.model_copy(update={"equity": capital})
    if capital >= equity:
        return config.model_copy(update={"account": account})
    share = float(capital / equity)
    strategy = config.strategy
    quoting, switches = strategy.quoting, strategy.risk.switches
    # of equity itself, where the limits of the models go by that
    limit = float(capital) * (config.account.leverage if quoting.basis == "leverage" else 1.0)
    if quoting.max_exposure > 0:
        limit = min(limit, quoting.max_exposure)
    switches = switches.model_copy(
        update={
            "session_loss_share": switches.session_loss_share * share,
            "drawdown": switches.drawdown * share,
        }
    )
    strategy = strategy.model_copy(
        update={
            "quoting": quoting.model_copy(update={"max_exposure": limit}),
            "risk": strategy.risk.model_copy(update={"switches": switches}),
        }
    )
    return config.model_copy(update={"account": account, "strategy": strategy})
