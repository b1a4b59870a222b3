"""The columns of a run's files, those of Nautilus's own reports first, in its order; and how times are written in them."""

import pandas as pd


HORIZONS_S = (1, 5, 30, 60)
# the columns that hold a mid, by seconds after the fill
MID_COLUMNS = {0: "mid_at_fill", **{horizon: f"mid_{horizon}s" for horizon in HORIZONS_S}}

# the columns of Nautilus's own fills report, in its order (ReportProvider.generate_fills_report)
NAUTILUS_FILL_COLUMNS = (
    "client_order_id",
    "trader_id",
    "strategy_id",
    "instrument_id",
    "venue_order_id",
    "account_id",
    "trade_id",
    "position_id",
    "order_side",
    "order_type",
    "last_qty",
    "last_px",
    "currency",
    "commission",
    "liquidity_side",
    "event_id",
    "ts_event",
    "ts_init",
    "info",
    "reconciliation",
)
OWN_FILL_COLUMNS = (
    "fill_index",
    "ts_ns",
    "side",
    "level",
    *MID_COLUMNS.values(),
    "fee",
    "position_after",
    "closed_pnl",
    "closed_pnl_net",
    "unseen_level",
    "queue_ahead",
    "by_trade",
    "session",
)

STATE_COLUMNS = ("ts", "ts_ns", "session", "state", "reasons", "sides", "two_sided", "seconds")
FUNDING_COLUMNS = ("ts", "ts_ns", "amount", "rate", "oracle_px")
SESSION_COLUMNS = ("session", "open", "close", "open_ns", "close_ns")
# the columns of Nautilus's own reports, in their order
ORDER_COLUMNS = (
    "client_order_id",
    "trader_id",
    "strategy_id",
    "instrument_id",
    "venue_order_id",
    "position_id",
    "account_id",
    "last_trade_id",
    "type",
    "side",
    "quantity",
    "price",
    "time_in_force",
    "expire_time_ns",
    "filled_qty",
    "liquidity_side",
    "avg_px",
    "slippage",
    "commissions",
    "status",
    "is_post_only",
    "is_reduce_only",
    "is_quote_quantity",
    "display_qty",
    "emulation_trigger",
    "trigger_instrument_id",
    "contingency_type",
    "order_list_id",
    "linked_order_ids",
    "parent_order_id",
    "exec_algorithm_id",
    "exec_algorithm_params",
    "exec_spawn_id",
    "tags",
    "init_id",
    "ts_init",
    "ts_last",
)
# what rested when the data ended, before anything was canceled for the end
OPEN_ORDER_COLUMNS = ("client_order_id", "side", "price", "quantity", "filled_qty", "level")
OWN_ORDER_COLUMNS = ("accepted", "open_at_end", "reason")
POSITION_COLUMNS = (
    "position_id",
    "trader_id",
    "strategy_id",
    "instrument_id",
    "account_id",
    "opening_order_id",
    "closing_order_id",
    "entry",
    "side",
    "quantity",
    "peak_qty",
    "ts_init",
    "ts_opened",
    "ts_last",
    "ts_closed",
    "duration_ns",
    "avg_px_open",
    "avg_px_close",
    "commissions",
    "realized_return",
    "realized_pnl",
    "is_snapshot",
)
ACCOUNT_COLUMNS = (
    "ts_event",
    *(
        "account_id",
        "account_type",
        "base_currency",
        "type",
        "total",
        "locked",
        "free",
        "currency",
        "margins",
        "reported",
    ),
    *(
        "equity",
        "margin_used",
        "order_margin",
        "maintenance",
        "margin_ratio",
        "position_margin_ratio",
        "maintenance_ratio",
        "withdrawable",
        "account_mode",
        "margin_mode",
        "leverage",
        "liquidation_price",
        "net_transfers",
        "collateral_price",
    ),
)


def timestamp_text(ts_ns: int) -> str:
    """Return UTC nanoseconds as text, all nine decimals in every row: pandas reads a column of one format only."""
    return pd.Timestamp(ts_ns, tz="UTC").isoformat(sep=" ", timespec="nanoseconds")
