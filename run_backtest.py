"""Run a backtest: ``python run_backtest.py CONFIG [--set a.b=c ...] [--out DIR] [--quiet]``."""

from amm500_nautilus.runtime.backtest import main


if __name__ == "__main__":
    raise SystemExit(main())
