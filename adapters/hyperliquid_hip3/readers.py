"""
Which function reads which channel and which info reply: one entry for each, the same for live and recorded frames.

A channel or request type that is not here is none that this adapter asks for.
"""

from collections.abc import Callable
from typing import Any
from typing import Final

from hyperliquid_hip3.account_parsing import parse_active_asset_data
from hyperliquid_hip3.account_parsing import parse_all_dexs_clearinghouse_state
from hyperliquid_hip3.account_parsing import parse_clearinghouse_state
from hyperliquid_hip3.account_parsing import parse_clearinghouse_state_message
from hyperliquid_hip3.account_parsing import parse_extra_agents
from hyperliquid_hip3.account_parsing import parse_ledger_message
from hyperliquid_hip3.account_parsing import parse_ledger_updates
from hyperliquid_hip3.account_parsing import parse_rate_limit
from hyperliquid_hip3.account_parsing import parse_spot_state
from hyperliquid_hip3.account_parsing import parse_spot_state_message
from hyperliquid_hip3.account_parsing import parse_unnamed_agent
from hyperliquid_hip3.account_parsing import parse_user_abstraction
from hyperliquid_hip3.account_parsing import parse_user_fees
from hyperliquid_hip3.account_parsing import parse_user_role
from hyperliquid_hip3.account_parsing import parse_vault_leader
from hyperliquid_hip3.context_parsing import parse_active_asset_ctx
from hyperliquid_hip3.context_parsing import parse_all_dexs_asset_ctxs
from hyperliquid_hip3.context_parsing import parse_all_mids
from hyperliquid_hip3.context_parsing import parse_all_mids_message
from hyperliquid_hip3.context_parsing import parse_exchange_status
from hyperliquid_hip3.context_parsing import parse_meta_and_asset_ctxs
from hyperliquid_hip3.context_parsing import parse_perp_dex_limits
from hyperliquid_hip3.context_parsing import parse_perp_dex_status
from hyperliquid_hip3.context_parsing import parse_perps_at_cap
from hyperliquid_hip3.frames import Frame
from hyperliquid_hip3.frames import parse_ack
from hyperliquid_hip3.frames import parse_channel_error
from hyperliquid_hip3.frames import parse_post
from hyperliquid_hip3.parsing import parse_all_perp_metas
from hyperliquid_hip3.parsing import parse_bbo
from hyperliquid_hip3.parsing import parse_candle
from hyperliquid_hip3.parsing import parse_candles
from hyperliquid_hip3.parsing import parse_funding_history
from hyperliquid_hip3.parsing import parse_l2_book
from hyperliquid_hip3.parsing import parse_meta
from hyperliquid_hip3.parsing import parse_perp_dexs
from hyperliquid_hip3.parsing import parse_spot_meta
from hyperliquid_hip3.parsing import parse_trades
from hyperliquid_hip3.user_parsing import parse_frontend_open_orders
from hyperliquid_hip3.user_parsing import parse_historical_orders
from hyperliquid_hip3.user_parsing import parse_open_orders
from hyperliquid_hip3.user_parsing import parse_open_orders_message
from hyperliquid_hip3.user_parsing import parse_order_status
from hyperliquid_hip3.user_parsing import parse_order_updates
from hyperliquid_hip3.user_parsing import parse_twap_slice_fills
from hyperliquid_hip3.user_parsing import parse_user_event
from hyperliquid_hip3.user_parsing import parse_user_fills
from hyperliquid_hip3.user_parsing import parse_user_fills_message
from hyperliquid_hip3.user_parsing import parse_user_funding_history
from hyperliquid_hip3.user_parsing import parse_user_fundings_message


type Reader = Callable[[Any], Any]

CHANNEL_READERS: Final[dict[str, Reader]] = {
    "l2Book": parse_l2_book,
    "bbo": parse_bbo,
    "trades": parse_trades,
    "candle": parse_candle,
    "activeAssetCtx": parse_active_asset_ctx,
    "allMids": parse_all_mids_message,
    "allDexsAssetCtxs": parse_all_dexs_asset_ctxs,
    "orderUpdates": parse_order_updates,
    "userFills": parse_user_fills_message,
    "user": parse_user_event,
    "userFundings": parse_user_fundings_message,
    "userNonFundingLedgerUpdates": parse_ledger_message,
    "clearinghouseState": parse_clearinghouse_state_message,
    "allDexsClearinghouseState": parse_all_dexs_clearinghouse_state,
    "openOrders": parse_open_orders_message,
    "spotState": parse_spot_state_message,
    "activeAssetData": parse_active_asset_data,
    "webData3": parse_unnamed_agent,
    "subscriptionResponse": parse_ack,
    "error": parse_channel_error,
    "post": parse_post,
}

REPLY_READERS: Final[dict[str, Reader]] = {
    "perpDexs": parse_perp_dexs,
    "meta": parse_meta,
    "allPerpMetas": parse_all_perp_metas,
    "metaAndAssetCtxs": parse_meta_and_asset_ctxs,
    "spotMeta": parse_spot_meta,
    "allMids": parse_all_mids,
    "l2Book": parse_l2_book,
    "candleSnapshot": parse_candles,
    "recentTrades": parse_trades,
    "fundingHistory": parse_funding_history,
    "perpsAtOpenInterestCap": parse_perps_at_cap,
    "perpDexLimits": parse_perp_dex_limits,
    "perpDexStatus": parse_perp_dex_status,
    "exchangeStatus": parse_exchange_status,
    "clearinghouseState": parse_clearinghouse_state,
    "spotClearinghouseState": parse_spot_state,
    "openOrders": parse_open_orders,
    "frontendOpenOrders": parse_frontend_open_orders,
    "orderStatus": parse_order_status,
    "historicalOrders": parse_historical_orders,
    "userFills": parse_user_fills,
    "userFillsByTime": parse_user_fills,
    "userTwapSliceFills": parse_twap_slice_fills,
    "userFunding": parse_user_funding_history,
    "userNonFundingLedgerUpdates": parse_ledger_updates,
    "userFees": parse_user_fees,
    "userRateLimit": parse_rate_limit,
    "userRole": parse_user_role,
    "vaultDetails": parse_vault_leader,
    "extraAgents": parse_extra_agents,
    "activeAssetData": parse_active_asset_data,
    "userAbstraction": parse_user_abstraction,
}


def read_frame(frame: Frame) -> Any:
    """
    Return the record of a frame; None for a channel that is not read here (a pong, or one we never asked for).

    Raises
    ------
    PayloadError
        If the frame does not have the shape of its channel.

    """
    reader = CHANNEL_READERS.get(frame.channel)
    return None if reader is None else reader(frame.data)
