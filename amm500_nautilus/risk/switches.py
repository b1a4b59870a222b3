"""The switches: which reasons hold for what the strategy sees, and which are gone."""

from math import inf

from amm500_nautilus.risk import reasons
from amm500_nautilus.risk.config import SwitchConfig
from amm500_nautilus.risk.machine import Trigger
from amm500_nautilus.risk.session import SessionFigures
from amm500_nautilus.risk.types import RiskView


def maintenance_rate(max_leverage: float) -> float:
    """Return maintenance margin over notional: half the initial margin at the largest leverage (protocol: margin)."""
    return 0.5 / max_leverage


def full_position_distance(*, leverage: float, max_leverage: float, side: int) -> float:
    """
    Return how far the price may move against a position of equity times leverage before it is liquidated.

    The venue's formula: ``(1 / leverage - l) / (1 - l * side)`` with the maintenance rate ``l``. At 25x of 25x a long has
    (0.04 - 0.02) / 0.98 = 2.04 %, at 10x (0.10 - 0.02) / 0.98 = 8.16 %.
    """
    rate = maintenance_rate(max_leverage)
    return max(0.0, (1.0 / leverage - rate) / (1.0 - rate * side))


def flatten_distance(*, leverage: float, max_leverage: float, side: int, config: SwitchConfig) -> float:
    """
    Return the distance to liquidation under which the position is closed.

    It is the smaller of the configured distance and a share of a full position's: 3 % at 10x, 1.02 % at 25x.
    """
    if config.liquidation_share <= 0:
        return config.liquidation_distance
    full = full_position_distance(leverage=leverage, max_leverage=max_leverage, side=side)
    return min(config.liquidation_distance, config.liquidation_share * full)


def liquidation_distance(view: RiskView) -> float:
    """
    Return the distance from mark to liquidation as a fraction; infinite when flat, never negative.

    The nearest of what is known: the distance or price that the venue gives, which alone knows the margin of an isolated position,
    and the formula ``(equity - maintenance) / notional / (1 - l * side)``, which knows what the price did since the report.
    """
    lots = view.position_lots
    if lots == 0:
        return inf
    side = 1 if lots > 0 else -1
    distance = _own_distance(view, side)
    if view.liquidation_distance is not None:
        distance = min(view.liquidation_distance, distance)
    if view.liquidation_price is not None and view.mark > 0:
        distance = min((view.mark - view.liquidation_price) * side / view.mark, distance)
    return max(0.0, distance)


def _own_distance(view: RiskView, side: int) -> float:
    notional, equity = view.position_notional * side, view.equity
    if equity <= 0:
        return 0.0
    if notional <= 0:
        return inf
    rate = 0.5 / view.max_leverage
    reported = view.maintenance_ratio
    maintenance = reported * equity if reported > 0 else rate * notional
    return (equity - maintenance) / notional / (1.0 - rate * side)


def is_book_stale(view: RiskView, config: SwitchConfig) -> bool:
    """Return whether the book is too old."""
    return view.book_age_secs is not None and not view.book_age_secs <= config.book_stale_secs


def is_oracle_stale(view: RiskView, config: SwitchConfig) -> bool:
    """Return whether the oracle is too old, or stands still while the market moves."""
    return view.oracle_frozen or (
        view.oracle_age_secs is not None and not view.oracle_age_secs <= config.oracle_stale_secs
    )


class SwitchBoard:
    """
    Compare one view with every threshold.

    Parameters
    ----------
    config : SwitchConfig
        The thresholds.
    leverage : float
        Leverage of the run's configuration, by which the flatten distance is set.

    """

    def __init__(self, config: SwitchConfig, leverage: float) -> None:
        self._config = config
        self._leverage = leverage
        self._view: RiskView | None = None
        self._margin_ratio = 0.0
        self._is_book_stale = self._is_oracle_stale = False
        # whether the market cannot be seen in the view last compared: nothing is flattened then
        self.is_blind = False
        self.implausible: dict[str, float] | None = None

    def triggers(
        self, view: RiskView, session: SessionFigures, *, distance: float, margin_ratio: float, started: bool
    ) -> list[Trigger]:
        """
        Return every reason whose trigger holds, with its numbers.

        Before the start a market that cannot be seen is no reason: it has not been seen yet.
        """
        config = self._config
        self._view, self._margin_ratio = view, margin_ratio
        self._is_book_stale = is_book_stale(view, config)
        self._is_oracle_stale = is_oracle_stale(view, config)
        self.is_blind = self._is_book_stale or self._is_oracle_stale or view.network_down
        out: list[Trigger] = []
        if session.starting > 0:
            limit = max(config.session_loss, config.session_loss_share * session.starting)
            if not session.loss <= limit:
                out.append((reasons.SESSION_LOSS, {"loss": session.loss, "limit": limit}))
            if not session.drawdown <= config.drawdown:
                numbers = {"drawdown": session.drawdown, "limit": config.drawdown, "peak": session.peak}
                out.append((reasons.DRAWDOWN, numbers))
        if distance < 1.0:
            self._near_liquidation(view, distance, out)
        if not margin_ratio < config.margin_ratio:
            numbers = {"margin_ratio": margin_ratio, "limit": config.margin_ratio}
            out.append((reasons.MARGIN_RATIO, numbers))
        if self.is_blind and started:
            self._blind(view, out)
        if view.second_trader:
            out.append((reasons.SECOND_TRADER, {}))
        if view.agent_refused:
            out.append((reasons.AGENT_REFUSED, {}))
        if view.journal_failed:
            out.append((reasons.JOURNAL, {}))
        price = view.collateral_price
        if price is not None and not config.collateral_low <= price <= config.collateral_high:
            out.append((reasons.COLLATERAL, {"price": price}))
        if self.implausible is not None:
            out.append((reasons.IMPLAUSIBLE_EQUITY, self.implausible))
            self.implausible = None
        return out

    def _near_liquidation(self, view: RiskView, distance: float, out: list[Trigger]) -> None:
        side = 1 if view.position_lots > 0 else -1
        least = flatten_distance(
            leverage=self._leverage, max_leverage=view.max_leverage, side=side, config=self._config
        )
        if distance < least:
            out.append((reasons.LIQUIDATION_DISTANCE, {"distance": distance, "limit": least}))

    def _blind(self, view: RiskView, out: list[Trigger]) -> None:
        if self._is_book_stale:
            out.append((reasons.BOOK_STALE, {"age_secs": view.book_age_secs or 0.0}))
        if self._is_oracle_stale:
            out.append((reasons.ORACLE_STALE, {"age_secs": view.oracle_age_secs or 0.0}))
        if view.network_down:
            out.append((reasons.NETWORK_DOWN, {}))

    def is_gone(self, name: str) -> bool:
        """Return whether the condition of an active reason is gone in the view last compared."""
        view, config = self._view, self._config
        if view is None:
            return False
        if name == reasons.MARGIN_RATIO:
            return self._margin_ratio < config.margin_resume
        if name == reasons.BOOK_STALE:
            return not self._is_book_stale
        if name == reasons.ORACLE_STALE:
            return not self._is_oracle_stale
        if name == reasons.NETWORK_DOWN:
            return not view.network_down
        if name == reasons.COLLATERAL:
            price = view.collateral_price
            return price is not None and config.collateral_low <= price <= config.collateral_high
        # a losing streak is an event: only its time counts
        return name == reasons.LOSING_STREAK
