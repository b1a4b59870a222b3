"""What the action limit affords: levels, actions per fill and trades a day, with and without bought weight."""

from dataclasses import dataclass
from math import floor
from math import inf

from amm500_nautilus.risk.address import GROWTH_SHARE
from amm500_nautilus.risk.address import INITIAL_ACTIONS
from amm500_nautilus.risk.address import WEIGHT_PRICE


TARGET_TRADES = 2_000.0
HOURS_A_DAY = 24.0
# the most levels that a side may have
MOST_LEVELS = 100
SIDES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    How an account means to trade.

    Parameters
    ----------
    equity : float
        In collateral units.
    growth_mode : bool
        Whether volume earns a tenth of an action a unit.
    fills_a_day : float
        Fills of one day.
    turnover : float
        Volume of one day over equity.
    levels : int
        Levels a side.
    moves_a_level_hour : float
        How often one resting order is moved in an hour, from a run's own record.
    days : float
        Span over which the starting allowance is used up.
    bought_a_day : float
        Actions bought a day with ``reserveRequestWeight``, at 0.0005 USDC each.
    initial_actions : int
        What a new address may send.

    """

    equity: float
    growth_mode: bool
    fills_a_day: float
    turnover: float
    levels: int = 15
    moves_a_level_hour: float = 1.0
    days: float = 30.0
    bought_a_day: float = 0.0
    initial_actions: int = INITIAL_ACTIONS

    def __post_init__(self) -> None:
        for name in ("equity", "fills_a_day", "turnover", "days"):
            value = getattr(self, name)
            if not 0 < value < inf:
                msg = f"Plan.{name} is {value!r}; it must be more than 0"
                raise ValueError(msg)
        for name in ("levels", "moves_a_level_hour", "bought_a_day", "initial_actions"):
            value = getattr(self, name)
            if not 0 <= value < inf:
                msg = f"Plan.{name} is {value!r}; it must be 0 or more"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Affordable:
    """
    What a plan's actions are good for.

    Parameters
    ----------
    actions_a_day : float
        Starting allowance spread over the days, plus what the volume earns, plus what is bought.
    actions_per_fill : float
        The same for each fill.
    levels : int
        Levels a side that can be kept after every fill has been replaced; at most 100.
    trades_a_day : float
        Fills a day that go beside the plan's levels at the plan's turnover, however small each is.
    trades_at_mean_fill : float
        Fills a day if each is as large as the plan's mean fill, so that more fills earn more; infinite when a fill earns more
        than the action it costs.
    cost_a_day : float
        What the bought actions cost, in USDC.
    sentence : str
        Says so if the target of 2,000 trades a day is out of reach; empty otherwise.

    """

    actions_a_day: float
    actions_per_fill: float
    levels: int
    trades_a_day: float
    trades_at_mean_fill: float
    cost_a_day: float
    sentence: str


def affordable(plan: Plan, target: float = TARGET_TRADES) -> Affordable:
    """
    Return what a plan can afford.

    Each fill costs one action (the order that takes its place), each level of each side ``moves_a_level_hour`` actions an hour.
    An account of 1,000 in growth mode with 200 fills and five times its equity a day: 10,000 / 30 + 0.1 x 5,000 = 833 actions a
    day, 4.2 a fill; less 200 for the fills, 633 keep 13 levels a side at one move an hour (2 x 13 x 24 = 624). With all 15 levels
    (720 a day) 113 trades a day are left.

    Parameters
    ----------
    plan : Plan
        How the account means to trade.
    target : float
        The trades a day to compare with.

    """
    credit = GROWTH_SHARE if plan.growth_mode else 1.0
    mean_fill = plan.turnover * plan.equity / plan.fills_a_day
    granted = plan.initial_actions / plan.days + plan.bought_a_day
    earned = credit * plan.turnover * plan.equity
    actions = granted + earned
    level_cost = SIDES * plan.moves_a_level_hour * HOURS_A_DAY
    spare = actions - plan.fills_a_day
    # where a level costs next to nothing, the count has no other bound
    levels = MOST_LEVELS if spare >= MOST_LEVELS * level_cost else max(0, floor(spare / level_cost))
    kept = plan.levels * level_cost
    trades = max(0.0, actions - kept)
    cost = plan.bought_a_day * WEIGHT_PRICE
    sentence = ""
    if trades < target:
        missing = target + kept - actions
        sentence = (
            f"{target:,.0f} trades a day are out of reach: at a turnover of {plan.turnover * plan.equity:,.0f} a day the limit "
            f"gives {actions:,.0f} actions, {plan.levels} levels a side take {kept:,.0f} of them, and {trades:,.0f} trades are left; "
            f"the rest would take {missing:,.0f} bought actions a day, or {missing * WEIGHT_PRICE:,.2f} USDC"
        )
    return Affordable(
        actions_a_day=actions,
        actions_per_fill=actions / plan.fills_a_day,
        levels=levels,
        trades_a_day=trades,
        trades_at_mean_fill=_trades(granted - kept, credit * mean_fill),
        cost_a_day=cost,
        sentence=sentence,
    )


def _trades(free: float, earned_a_fill: float) -> float:
    """
    Return the fills a day at which ``fills = free + earned_a_fill * fills``.

    With 333 free and 0.5 earned a fill, 667; a fill that earns its own action or more has no bound, provided that the ladder
    is kept up.
    """
    if earned_a_fill >= 1:
        # fills beyond the first few pay for the ladder as well, if they earn more than they cost
        return inf if free >= 0 or earned_a_fill > 1 else 0.0
    return max(0.0, free / (1.0 - earned_a_fill))
