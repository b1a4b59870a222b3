"""The sections ``strategy.forecast`` (which model is used) and ``training`` (how one is made) of a run file."""

from typing import Annotated
from typing import Literal
from typing import Self

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import PositiveInt
from pydantic import model_validator

from amm500_nautilus.runtime.patterns import DURATION


UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
NS = 1_000_000_000


class ForecastSection(BaseModel):
    """
    The volatility model of a run.

    Without ``model`` (a file of ``amm500 train-vol``) the spread's forecast factor is 1. A model is not used either, with the reason said
    and reported, when it is not there or damaged, is of another market, lost to a baseline out of sample, has seen the data it would
    forecast, or was trained up to a time longer ago than ``max_age``. ``require_win: false`` uses a model that lost; it is for measuring
    what that would do, not for trading.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, Field(min_length=1)] | None = None
    max_age: Annotated[str, DURATION] = "14d"
    require_win: bool = True

    @property
    def max_age_ns(self) -> int:
        """The oldest training end that is used, in ns."""
        return int(self.max_age[:-1]) * UNITS_S[self.max_age[-1]] * NS


class NetworkSection(BaseModel):
    """The network: ``hidden`` units in ``layers`` layers, at most ``epochs`` passes and ``patience`` of them without a gain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: Annotated[int, Field(ge=1, le=256)] = 32
    layers: Annotated[int, Field(ge=1, le=4)] = 2
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 40
    patience: PositiveInt = 6
    batch: Annotated[int, Field(ge=1, le=65_536)] = 256
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 0.001
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.01
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class TrainingSection(BaseModel):
    """
    How ``amm500 train-vol`` makes and judges a model.

    ``source``: bars (marks are the bars' closes) or book (marks are the mid of the dataset's book, with its imbalance, every
    ``book_interval_s`` seconds). ``funding`` is a CSV or Parquet file of hourly rates (columns ``date`` and ``funding_rate``), for bars
    from a file. ``horizon_s`` is 300 on bars under five minutes and 3600 otherwise. ``sequence`` is the longest window in rows,
    ``warm_up`` the rows a session needs first. The last ``1 - first_train`` of the samples is predicted in ``folds`` blocks; ``embargo``
    intervals (a horizon by default) lie between what is learned and what is predicted, beside the purge. ``seeds`` networks are trained for each block and
    the best in validation is kept, on ``threads`` of the processor (a network so small gains nothing from more). ``significance`` and ``least`` are of the rule that switches a model on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Literal["bars", "book"] = "bars"
    book_interval_s: Literal[60, 300] = 60
    funding: Annotated[str, Field(min_length=1)] | None = None
    horizon_s: PositiveInt | None = None
    sequence: Annotated[int, Field(ge=2, le=1_000)] = 60
    warm_up: Annotated[int, Field(ge=2, le=1_000)] = 60
    folds: Annotated[int, Field(ge=1, le=50)] = 4
    first_train: Annotated[float, Field(gt=0, lt=1)] = 0.5
    validate_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.15
    embargo: Annotated[int, Field(ge=0)] | None = None
    seeds: Annotated[int, Field(ge=1, le=20)] = 3
    significance: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    least: PositiveInt = 200
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    network: NetworkSection = NetworkSection()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.warm_up > self.sequence:
            raise ValueError(
                f"training.warm_up {self.warm_up} is more than training.sequence {self.sequence}"
            )
        if self.source == "book" and self.funding is not None:
            raise ValueError("training.funding is for bars; a book's dataset holds its own rates")
        return self
