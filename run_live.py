"""Run the strategy on the wall clock: ``python run_live.py CONFIG [--set a.b=c ...] [--duration 7d] [--confirm-live] [--out DIR] [--quiet]``."""

from amm500_nautilus.runtime.live import main


if __name__ == "__main__":
    raise SystemExit(main())
