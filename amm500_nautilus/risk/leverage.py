"""Dynamic leverage: what each risk level allows, and the exposure that follows (#39)."""

from collections.abc import Mapping
from math import ceil
from typing import Any
from typing import NamedTuple

from amm500_nautilus.risk.config import LeverageConfig
from amm500_nautilus.risk.types import RiskLevel


NS_PER_SECOND = 1_000_000_000
_NEVER = -(1 << 62)


class LeverageStep(NamedTuple):
    """
    What the level makes of leverage.

    ``leverage`` is what the venue ought to be set to, ``exposure_scale`` the usable share of the configured exposure limit,
    ``changed`` whether the setting moved in this step.
    """

    leverage: float
    exposure_scale: float
    changed: bool
    numbers: Mapping[str, float]


def allowed_leverage(level: RiskLevel, configured: float, config: LeverageConfig) -> float:
    """
    Return the leverage of a level, never above the configured one.

    Configured 20: LOW 20, MEDIUM max(5, 20 // 2) = 10, HIGH 3, CRITICAL 1. Configured 4: MEDIUM 4.
    """
    if level is RiskLevel.LOW:
        return configured
    if level is RiskLevel.MEDIUM:
        return min(configured, max(config.medium_floor, configured // 2))
    return min(configured, config.high if level is RiskLevel.HIGH else config.critical)


class DynamicLeverage:
    """
    Lower the leverage under HIGH and CRITICAL, and give it back after a calm spell.

    The exposure limit follows the level at once; the setting at the venue is an action and a margin demand, so it moves only
    with a position that matters, not more often than the cooldown, and never so low that the open position would not fit.

    Parameters
    ----------
    config : LeverageConfig
        The rules.
    configured : float
        Leverage of the run's configuration.

    """

    def __init__(self, config: LeverageConfig, configured: float) -> None:
        if configured < 1:
            msg = f"the configured leverage is {configured!r}; it must be at least 1"
            raise ValueError(msg)
        self._config = config
        self._configured = configured
        self.leverage = configured
        self._exposure = configured
        self._changed_ns = _NEVER
        self._tense_ns = _NEVER
        self._as_configured = LeverageStep(configured, 1.0, changed=False, numbers={})

    def update(self, ts_ns: int, level: RiskLevel, *, equity: float, notional: float) -> LeverageStep:
        """
        Take the level that holds and return what follows.

        Parameters
        ----------
        ts_ns : int
            Engine time.
        level : RiskLevel
            The level that holds.
        equity, notional : float
            Equity and absolute value of the position, in collateral units.

        """
        config = self._config
        before = self.leverage
        if not config.enabled or (level < RiskLevel.HIGH and self._exposure == before == self._configured):
            return self._as_configured
        target = allowed_leverage(level, self._configured, config)
        if level >= RiskLevel.HIGH:
            self._tense_ns = ts_ns
            self._exposure = min(self._exposure, target)
            if self._may_lower(ts_ns, equity, notional):
                self.leverage = min(before, max(target, self._least(equity, notional)))
        elif self._is_calm(ts_ns):
            self.leverage = max(before, target)
            self._exposure = max(self._exposure, target)
        changed = self.leverage != before
        numbers: dict[str, float] = {}
        if changed:
            self._changed_ns = ts_ns
            numbers = {"from": before, "to": self.leverage, "level": int(level), "equity": equity}
            numbers["notional"] = notional
        return LeverageStep(
            self.leverage, min(self._exposure, self.leverage) / self._configured, changed, numbers
        )

    def _may_lower(self, ts_ns: int, equity: float, notional: float) -> bool:
        config = self._config
        cooled = ts_ns - self._changed_ns >= config.cooldown_secs * NS_PER_SECOND
        return cooled and equity > 0 and notional >= config.min_exposure * equity

    def _is_calm(self, ts_ns: int) -> bool:
        restore = self._config.restore_secs
        return restore > 0 and ts_ns - self._tense_ns >= restore * NS_PER_SECOND

    def _least(self, equity: float, notional: float) -> float:
        """Return the lowest whole leverage at which the open position uses at most its room of margin."""
        return float(ceil(notional / (self._config.margin_room * equity)))

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "leverage": self.leverage,
            "exposure": self._exposure,
            "changed_ns": self._changed_ns,
            "tense_ns": self._tense_ns,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned; never above what is configured now."""
        self.leverage = min(self._configured, float(state["leverage"]))
        self._exposure = min(self._configured, float(state["exposure"]))
        self._changed_ns = int(state["changed_ns"])
        self._tense_ns = int(state["tense_ns"])
