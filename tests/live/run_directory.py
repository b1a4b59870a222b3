"""What the directory of every run holds, and the parts that its PnL is the sum of."""

FILES = (
    "account.csv",
    "config.yaml",
    "equity.parquet",
    "fills.csv",
    "orders.csv",
    "positions.csv",
    "risk.csv",
    "run.log",
    "summary.json",
    "tearsheet.html",
)
PARTS = ("spread_capture", "adverse_selection", "inventory", "fees", "funding", "liquidation")
