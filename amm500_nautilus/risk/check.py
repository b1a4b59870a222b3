"""What is refused at start: a configuration whose own full ladder would trip a switch."""

from dataclasses import dataclass
from math import floor
from math import inf

from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.switches import flatten_distance
from amm500_nautilus.risk.switches import maintenance_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class FullLadder:
    """
    The largest exposure that a quoting configuration can come to by its own orders.

    Parameters
    ----------
    equity : float
        Equity at start, in collateral units.
    leverage, max_leverage : float
        Configured, and the market's largest.
    exposure_limit : float
        What delta is measured against.
    one_sided : float
        Delta from which the side that adds inventory is withdrawn.
    side_value : float
        Value of one full side, in collateral units.
    price, lot : float
        Price of one contract, and contracts of one lot.

    """

    equity: float
    leverage: float
    max_leverage: float
    exposure_limit: float
    one_sided: float
    side_value: float
    price: float
    lot: float

    @property
    def position(self) -> float:
        """Largest position: up to the one-sided threshold, and then a full side filled at once."""
        return self.one_sided * self.exposure_limit + self.side_value


def refusals(config: RiskConfig, ladder: FullLadder) -> list[str]:
    """
    Return why a configuration must not start, each sentence naming what would fit; empty when it may.

    Parameters
    ----------
    config : RiskConfig
        Limits and switches.
    ladder : FullLadder
        What the quoting configuration comes to.

    """
    for name in ("equity", "leverage", "max_leverage", "exposure_limit", "price", "lot"):
        value = getattr(ladder, name)
        if not 0 < value < inf:
            return [f"{name} is {value!r}; it must be more than zero"]
    if ladder.leverage > ladder.max_leverage:
        return [
            f"leverage {ladder.leverage:g} is more than the market's largest; what fits: {ladder.max_leverage:g}"
        ]
    found = [
        (ladder.position, most, text) for most, text in _bounds(config, ladder) if ladder.position > most
    ]
    found += [
        (ladder.side_value, most, text) for most, text in _bursts(config, ladder) if ladder.side_value >= most
    ]
    if not found:
        return []
    hint = _what_fits(config, ladder)
    return [
        f"{text.format(value=f'{value:,.2f}', most=f'{most:,.2f}')}; {hint}" for value, most, text in found
    ]


def _bounds(config: RiskConfig, ladder: FullLadder) -> list[tuple[float, str]]:
    """Return the largest position that each limit and switch allows, with the sentence of its refusal."""
    limits, stops = config.limits, config.stops
    full = "a full ladder on top of the one-sided threshold (a position of {value})"
    margin = min(limits.max_margin_ratio, config.switches.margin_ratio)
    rate = maintenance_rate(ladder.max_leverage)
    # the shorter side of the two: the worse of a long's and a short's distance
    nearest = min(
        equity_share(
            flatten_distance(
                leverage=ladder.leverage, max_leverage=ladder.max_leverage, side=side, config=config.switches
            ),
            rate,
            side,
        )
        for side in (1, -1)
    )
    out = [
        (
            # the side against the position rests too: it is netted, so the position alone is the margin
            margin * ladder.equity * ladder.leverage,
            full + f" would pass a margin ratio of {margin:.0%}, which is {{most}}",
        ),
        (nearest * ladder.equity, full + " would come within the flatten distance of liquidation at {most}"),
    ]
    if stops.hard_stop > 0:
        text = full + f" would pass the hard stop of {stops.hard_stop:g} times equity, which is {{most}}"
        out.append((stops.hard_stop * ladder.equity, text))
    if limits.max_notional > 0:
        out.append((limits.max_notional, full + " would pass limits.max_notional of {most}"))
    if limits.max_position > 0:
        text = (
            full + f" would pass limits.max_position of {limits.max_position:g} contracts, which is {{most}}"
        )
        out.append((limits.max_position * ladder.price, text))
    return out


def equity_share(distance: float, rate: float, side: int) -> float:
    """
    Return the position over equity at which liquidation is ``distance`` away.

    The venue's formula turned round: ``1 / (distance * (1 - l * side) + l)``.
    """
    return 1.0 / (distance * (1.0 - rate * side) + rate)


def _bursts(config: RiskConfig, ladder: FullLadder) -> list[tuple[float, str]]:
    """Return the side value at which a side filled at once trips a breaker, with the sentence of its refusal."""
    most = config.breakers.velocity_pause * ladder.exposure_limit
    text = (
        "a full side of {value} filled at once would pause as position velocity, "
        f"which begins at {config.breakers.velocity_pause:.1%} of the exposure limit or {{most}}"
    )
    return [(most, text)]


def _what_fits(config: RiskConfig, ladder: FullLadder) -> str:
    held = ladder.one_sided * ladder.exposure_limit
    position = min(most for most, _ in _bounds(config, ladder))
    # a burst must stay under its threshold, not at it
    side = min(position - held, *(0.999 * most for most, _ in _bursts(config, ladder)))
    lot_value = ladder.price * ladder.lot
    if side >= lot_value:
        share = side / ladder.exposure_limit
        # rounded down, so that what is named does fit
        return f"what fits: a side of at most {_floor(side, 2):,.2f}, which is size_fraction {_floor(share, 4):g}"
    # the quoting rules ask a full side to stay under the one-sided threshold
    most = min(position / ladder.exposure_limit / 1.8, config.breakers.velocity_pause)
    one_sided = _floor(most, 4)
    return (
        f"the one-sided threshold alone is {held:,.2f}; what fits: one_sided {one_sided:g} "
        f"with size_fraction {_floor(0.8 * most, 4):g}"
    )


def _floor(value: float, digits: int) -> float:
    scale = 10.0**digits
    return floor(value * scale) / scale
