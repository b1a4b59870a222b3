"""A recorded run played again through the backtest, and compared."""
