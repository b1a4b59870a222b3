"""The ``sweep`` section of a run file: what is searched, how, and what no trial may see."""

from itertools import combinations
from typing import Annotated
from typing import Any
from typing import Literal
from typing import Self

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import PositiveInt
from pydantic import model_validator

from amm500_nautilus.research.space import Choice
from amm500_nautilus.research.space import Parameter
from amm500_nautilus.runtime.patterns import KEY


OBJECTIVES = ("net_pnl", "sharpe", "score")
Objective = Literal["net_pnl", "sharpe", "score"]
SPAN = ("data", "data.start", "data.end", "data.days")


def _overlap(first: str, second: str) -> bool:
    """Return whether two keys of a run file are one, or one lies inside the other."""
    return f"{first}.".startswith(f"{second}.") or f"{second}.".startswith(f"{first}.")


class SweepParameter(BaseModel):
    """
    One searched key of the run file.

    ``values`` lists its values; ``low``, ``high`` and, for a grid, ``step`` give a range (``log`` and ``integer`` shape it); ``choices``
    names bundles of keys that belong together, and ``key`` is then only a name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, KEY]
    values: tuple[Any, ...] = ()
    choices: dict[str, dict[str, Any]] = Field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    step: Annotated[float, Field(gt=0)] | None = None
    log: bool = False
    integer: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name, value in (("values", self.values), ("choices", self.choices)) if value]
        if self.low is not None or self.high is not None:
            given.append("low and high")
        if len(given) != 1:
            raise ValueError(
                f"{self.key}: give one of values, choices, or low and high; found {' and '.join(given) or 'none'}"
            )
        if given == ["low and high"]:
            if self.low is None or self.high is None or self.high <= self.low:
                raise ValueError(f"{self.key}: a range needs low below high")
            if self.log and self.low <= 0:
                raise ValueError(f"{self.key}: a range searched by ratios starts above 0")
            ends = (self.low, self.high, 1.0 if self.step is None else self.step)
            if self.integer and not all(value.is_integer() for value in ends):
                raise ValueError(f"{self.key}: a range of whole numbers has whole ends and a whole step")
        if len({repr(value) for value in self.values}) != len(self.values):
            raise ValueError(f"{self.key}: a value is there twice")
        if any(key.split(".")[0] in ("name", "mode", "sweep", "live") for key in self.targets()):
            raise ValueError(f"{self.key}: name, mode, sweep and live are no parameters of a backtest")
        span = next((key for key in self.targets() if key in SPAN), None)
        if span is not None:
            # a trial with days of its own would see those that are held out, and could be compared with no other
            raise ValueError(
                f"{self.key}: {span} is the same for every trial; allowed: the days of the run file"
            )
        return self

    def targets(self) -> set[str]:
        """Return the keys of the run file that it sets."""
        return {key for bundle in self.choices.values() for key in bundle} if self.choices else {self.key}

    def parameter(self) -> Parameter:
        """Return the dimension of the space."""
        choices = tuple(Choice(label=value, assignments=((self.key, value),)) for value in self.values)
        choices += tuple(
            Choice(label=name, assignments=tuple(bundle.items())) for name, bundle in self.choices.items()
        )
        return Parameter(
            name=self.key,
            choices=choices,
            low=self.low,
            high=self.high,
            step=self.step,
            log=self.log,
            integer=self.integer,
        )


class SweepSection(BaseModel):
    """
    A search over the run file's own keys.

    ``method`` grid runs every combination, optuna (TPE) asks for ``trials`` of them with ``seed``. ``objective`` is what makes a trial
    the best: net_pnl, sharpe (60-minute blocks, at least 100 of them) or score (the earlier bot's sum of Sharpe, return, drawdown and
    trades a day); with ``require_trading`` a trial whose verdict is not_enough_trading never wins over one that traded.
    ``held_out_days`` at the end are seen by no trial, only by the best one afterwards. ``train_days`` and ``test_days`` walk forward
    over the rest. ``prune`` median stops a trial whose PnL by a day's end is below the median of the others at that day, once
    ``prune_after_trials`` others have reached it, running or ended, and after ``prune_after_days``. ``cscv_splits`` pieces of time judge overfitting. ``workers`` trials run
    at a time (one a processor by default), each in a process that is renewed after ``trials_a_process``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["grid", "optuna"] = "grid"
    parameters: Annotated[tuple[SweepParameter, ...], Field(min_length=1)]
    trials: PositiveInt = 50
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
    objective: Objective = "net_pnl"
    require_trading: bool = True
    held_out_days: Annotated[int, Field(ge=0)] = 0
    train_days: PositiveInt | None = None
    test_days: PositiveInt | None = None
    prune: Literal["none", "median"] = "none"
    prune_after_trials: PositiveInt = 5
    prune_after_days: Annotated[int, Field(ge=0)] = 1
    cscv_splits: Annotated[int, Field(ge=4, le=16, multiple_of=2)] = 16
    workers: PositiveInt | None = None
    trials_a_process: PositiveInt = 20

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [item.key for item in self.parameters]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"sweep.parameters has {twice[0]} twice")
        for first, second in combinations(self.parameters, 2):
            shared = {key for key in first.targets() for other in second.targets() if _overlap(key, other)}
            if shared:
                raise ValueError(
                    f"sweep.parameters {first.key} and {second.key} both set {min(shared)}: the table would name values that no trial had"
                )
        if (self.train_days is None) != (self.test_days is None):
            raise ValueError("sweep.train_days and sweep.test_days are given together or not at all")
        return self

    def space(self) -> tuple[Parameter, ...]:
        """Return the dimensions of the search."""
        return tuple(item.parameter() for item in self.parameters)
