"""Pydantic models made from the frozen dataclasses of the pure rooms, so that unknown keys and wrong types are errors."""

import dataclasses
import math
import types
from decimal import Decimal
from functools import cache
from typing import Any
from typing import Union
from typing import get_args
from typing import get_origin
from typing import get_type_hints

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import create_model
from pydantic import model_validator


STRICT = ConfigDict(extra="forbid", frozen=True)


def _counts(annotation: Any) -> bool:
    """Return whether an annotation takes numbers and no truth."""
    args = get_args(annotation)
    if annotation is bool or any(arg is bool for arg in args):
        return False
    return annotation in (int, float, Decimal) or any(_counts(arg) for arg in args)


def refuse_truth(model: type[BaseModel], values: Any) -> Any:
    """
    Return the values of a section as they are; a validator for before.

    Raises
    ------
    ValueError
        If a number is given as true or false, which would be taken for 1 or 0.

    """
    for name, value in values.items() if isinstance(values, dict) else ():
        field = model.model_fields.get(name)
        if isinstance(value, bool) and field is not None and _counts(field.annotation):
            raise ValueError(f"{name} is {str(value).lower()}; allowed: a number")
    return values


def _swap(annotation: Any) -> Any:
    """Return the annotation with every dataclass in it replaced by its model."""
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return model_of(annotation)
    origin, args = get_origin(annotation), get_args(annotation)
    if not args:
        return annotation
    swapped = tuple(_swap(arg) if arg is not Ellipsis else arg for arg in args)
    if origin in (Union, types.UnionType):
        return Union[swapped]  # noqa: UP007  the members are only known at run time
    if origin is None or swapped == args:
        return annotation
    return origin[swapped]


@cache
def model_of(config: type[Any]) -> type[BaseModel]:
    """Return a strict pydantic model with the fields, types and defaults of a dataclass, nested ones included."""
    hints = get_type_hints(config)
    fields: dict[str, Any] = {}
    for item in dataclasses.fields(config):
        default: Any = ...
        if item.default is not dataclasses.MISSING:
            default = item.default
        elif item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        fields[item.name] = (_swap(hints[item.name]), _plain(default))
    before: Any = model_validator(mode="before")
    truth = before(classmethod(refuse_truth))
    model = create_model(config.__name__, __config__=STRICT, __validators__={"refuse_truth": truth}, **fields)
    model.__amm500_source__ = config  # type: ignore[attr-defined]
    return model


def _plain(default: Any) -> Any:
    """Return a default with dataclass instances replaced by instances of their models."""
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        values = {item.name: _plain(getattr(default, item.name)) for item in dataclasses.fields(default)}
        return model_of(type(default)).model_construct(**values)
    if isinstance(default, tuple):
        return tuple(_plain(value) for value in default)
    return default


def build(value: Any, key: str = "") -> Any:
    """
    Return the dataclass a validated model stands for; other values are passed through.

    ``key`` is where in the run file the value stands, for the error.

    Raises
    ------
    ValueError
        When the dataclass refuses a value.

    """
    source = getattr(type(value), "__amm500_source__", None)
    if source is not None:
        fields = {
            name: build(getattr(value, name), f"{key}.{name}" if key else name)
            for name in type(value).model_fields
        }
        try:
            return source(**fields)
        except ValueError as error:
            raise ValueError(f"{key}: {error}" if key else str(error)) from None
    if isinstance(value, float) and math.isnan(value):
        # no comparison with it holds, so that a limit would bind nothing
        raise ValueError(f"{key or 'a value'} is nan; allowed: a number")
    if isinstance(value, tuple):
        return tuple(build(item, f"{key}.{index}") for index, item in enumerate(value))
    return value
