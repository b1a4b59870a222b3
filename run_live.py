"""Run the strategy on the wall clock: ``python run_live.py CONFIG [--set a.b=c ...] [--duration 120s] [--out DIR] [--quiet]``."""

from amm500_nautilus.runtime.live import main


if __name__ == "__main__":
    raise SystemExit(main())
