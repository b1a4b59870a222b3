"""The space a sweep searches: parameters of a run file, the grid over them, and values put into a configuration."""

import copy
import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from amm500_catalog.errors import InputError


MOST_TRIALS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a parameter: what it is called, and the keys of the run file that it sets."""

    label: Any
    assignments: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """
    One dimension of the space.

    Parameters
    ----------
    name : str
        The dotted key of the run file, or a name of its own where the choices set several keys.
    choices : tuple of Choice
        Its values in order; empty for a range.
    low, high : float, optional
        Ends of a range, both inside.
    step : float, optional
        Distance between values of a range.
    log : bool
        Whether a range is searched by ratios.
    integer : bool
        Whether a range has whole numbers only.

    """

    name: str
    choices: tuple[Choice, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    integer: bool = False

    def grid_choices(self) -> tuple[Choice, ...]:
        """
        Return the values a grid takes.

        Raises
        ------
        InputError
            If the parameter is a range without a step.

        """
        if self.choices:
            return self.choices
        if self.low is None or self.high is None or self.step is None:
            raise InputError(
                "is a range without a step",
                f"sweep parameter {self.name}",
                "values, choices, or low, high and step",
            )
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        values = [round(self.low + k * self.step, 12) for k in range(count)]
        return tuple(self.choice_of(value) for value in values)

    def choice_of(self, value: Any) -> Choice:
        """Return a value of a range as a choice."""
        plain = int(value) if self.integer else value
        return Choice(label=plain, assignments=((self.name, plain),))

    def labeled(self, label: Any) -> Choice:
        """
        Return the choice of a label, or a range's value.

        Raises
        ------
        KeyError
            If no choice has that label.

        """
        if not self.choices:
            return self.choice_of(label)
        for choice in self.choices:
            if choice.label == label:
                return choice
        raise KeyError(label)


@dataclass(frozen=True, slots=True)
class Point:
    """One combination: the label of each parameter, and the keys it sets."""

    labels: Mapping[str, Any]
    assignments: tuple[tuple[str, Any], ...]


def point_of(parameters: Sequence[Parameter], labels: Mapping[str, Any]) -> Point:
    """Return the combination of these labels."""
    chosen = [parameter.labeled(labels[parameter.name]) for parameter in parameters]
    return Point(dict(labels), tuple(pair for choice in chosen for pair in choice.assignments))


def grid(parameters: Sequence[Parameter]) -> Iterator[Point]:
    """
    Yield every combination, the last parameter changing fastest.

    Raises
    ------
    InputError
        If a range has no step, or there are more than a hundred thousand combinations.

    """
    values = [parameter.grid_choices() for parameter in parameters]
    count = math.prod(len(items) for items in values)
    if count > MOST_TRIALS:
        raise InputError(f"{count:,} combinations", "sweep.parameters", f"at most {MOST_TRIALS:,}")
    for chosen in product(*values):
        labels = {parameter.name: choice.label for parameter, choice in zip(parameters, chosen, strict=True)}
        yield Point(labels, tuple(pair for choice in chosen for pair in choice.assignments))


def assigned(plain: Mapping[str, Any], assignments: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """
    Return a copy of a plain configuration with dotted keys set; a number in a key is a place in a list.

    Raises
    ------
    InputError
        If a key goes through something that is neither a section nor a list, or past a list's end.

    """
    result = copy.deepcopy(dict(plain))
    for key, value in assignments:
        _assign(result, key, copy.deepcopy(value))
    return result


def _assign(root: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    target: Any = root
    for name in parents:
        target = _inner(target, name, key)
    if isinstance(target, list):
        target[_place(target, last, key)] = value
    elif isinstance(target, dict):
        target[last] = value
    else:
        raise InputError(
            f"{key!r} goes through a value", "sweep.parameters", "a key of a section of the run file"
        )


def _inner(target: Any, name: str, key: str) -> Any:
    if isinstance(target, list):
        return target[_place(target, name, key)]
    if isinstance(target, dict):
        if target.get(name) is None:
            target[name] = {}
        return target[name]
    raise InputError(
        f"{key!r} goes through a value", "sweep.parameters", "a key of a section of the run file"
    )


def _place(items: list[Any], name: str, key: str) -> int:
    if not name.isdecimal() or int(name) >= len(items):
        raise InputError(
            f"{name!r} in {key!r} is no place in a list of {len(items)}",
            "sweep.parameters",
            f"0 to {len(items) - 1}",
        )
    return int(name)
