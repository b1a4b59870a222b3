"""What stands in a run's ``summary.json`` that its readers take for granted, and the sentence where it does not."""

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

from amm500_catalog.errors import InputError
from amm500_nautilus.report.words import METRICS


SUMMARY: Final = "a summary written by a run"
LONGEST_SHOWN: Final = 60
PNL: Final = (
    "spread_capture",
    "adverse_selection",
    "inventory",
    "fees",
    "funding",
    "liquidation",
    "total",
)
# what every run has; a run of a few seconds has no figure a day
COUNTED: Final = ("net_pnl", "trades", "liquidations", "days", "session_seconds")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a value must be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_figure(value: Any) -> bool:
    return value is None or _is_number(value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _are_figures(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_figure(item) for item in value.values())


def _is_target(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in ("name", "rule"))
        and _is_number(value.get("target"))
        and _is_figure(value.get("actual", ""))
        and value.get("pass", "") in (True, False, None)
    )


_TABLE = _Kind("an object", lambda value: isinstance(value, dict))
_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_TRUTH = _Kind("true or false", lambda value: isinstance(value, bool))
_NUMBER = _Kind("a number", _is_number)
_FIGURE = _Kind("a number or null", _is_figure)
_TEXTS = _Kind("a list of texts", _are_texts)
_FIGURES = _Kind("an object of numbers or nulls", _are_figures)
_TARGETS = _Kind(
    "a list of targets", lambda value: isinstance(value, list) and all(_is_target(item) for item in value)
)
# an object stands before what is in it
_SHAPE: Final[dict[str, _Kind]] = {
    "name": _TEXT,
    "mode": _TEXT,
    "verdict": _TEXT,
    "result_hash": _TEXT,
    "data": _TABLE,
    **dict.fromkeys(("data.source", "data.market", "data.start", "data.end"), _TEXT),
    **dict.fromkeys(("data.simulated", "data.bars_simulated"), _TRUTH),
    "data.collateral": _TEXT,
    "data.defaults": _TEXTS,
    "metrics": _TABLE,
    **{f"metrics.{name}": _FIGURE for name in (*METRICS, "equity_start", "equity_end")},
    **{f"metrics.{name}": _NUMBER for name in COUNTED},
    "targets": _TARGETS,
    "verdict_reasons": _TEXTS,
    "pnl": _TABLE,
    **{f"pnl.{name}": _NUMBER for name in PNL},
    "pnl_check": _TABLE,
    "pnl_check.ok": _TRUTH,
    "pnl_check.message": _TEXT,
    "markouts_bps": _FIGURES,
    "volatility": _FIGURES,
    "fills": _TABLE,
    "fills.unseen_share": _FIGURE,
    "budget": _TABLE,
    "budget.notes": _TEXTS,
    "budget.initial_actions": _NUMBER,
    "budget.credit_per_usd": _NUMBER,
    "reasons": _TABLE,
    "blocks": _TABLE,
    "blocks.per_year": _NUMBER,
    "account": _TABLE,
    **{
        f"account.{name}": _FIGURE
        for name in (
            "transfers",
            "collateral_price_end",
            "collateral_price_low",
            "equity_start_usd",
            "equity_end_usd",
            "net_pnl_usd",
            "collateral_effect_usd",
        )
    },
    **dict.fromkeys(("account.position_end", "account.position_value_end"), _FIGURE),
    "account.collateral": _TEXT,
    "liquidations": _TABLE,
    **{f"liquidations.{name}": _NUMBER for name in ("count", "loss", "slippage", "fees", "forfeited")},
    "liquidations.acts": _TABLE,
    "limits": _TABLE,
    "limits.refused_actions": _FIGURE,
    "rebuilt": _TABLE,
    "rebuilt.gaps": _TEXTS,
}
# not in the summary of an older run
_LATER: Final = frozenset({"account.position_end", "account.position_value_end"})
# what the loud line on a run's data is made of
DATA_LINE: Final = tuple(
    f"data.{name}" for name in ("source", "market", "start", "end", "simulated", "bars_simulated")
)


def require_keys(summary: dict[str, Any], names: Iterable[str], path: Path) -> None:
    """
    Refuse a summary without these keys, or with something else than a run writes there.

    Parameters
    ----------
    summary : dict
        The summary.
    names : iterable of str
        Keys with dots between; a section's name stands for all of it that is ever read.
    path : Path
        Its file, for the sentence.

    Raises
    ------
    InputError
        With the first that is missing or wrong.

    """
    for name in names:
        section = name.partition(".")[0]
        for key in (section, *(key for key in _SHAPE if key == name or key.startswith(f"{name}."))):
            _require(summary, key, path)


def _require(summary: dict[str, Any], key: str, path: Path) -> None:
    value: Any = summary
    for name in key.split("."):
        if name not in value and key in _LATER:
            return
        if name not in value:
            raise InputError(f"has no {key!r}", str(path), SUMMARY)
        value = value[name]
    kind = _SHAPE[key]
    if not kind.holds(value):
        shown = repr(value)
        cut = shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}..."
        raise InputError(f"{key!r} is {cut}", str(path), kind.words)
