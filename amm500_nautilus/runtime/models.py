"""Pydantic models made from the frozen dataclasses of the pure rooms, so that unknown keys and wrong types are errors."""

import dataclasses
import types
from functools import cache
from typing import Any
from typing import Union
from typing import get_args
from typing import get_origin
from typing import get_type_hints

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import create_model


STRICT = ConfigDict(extra="forbid", frozen=True)


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
    model = create_model(config.__name__, __config__=STRICT, **fields)
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


def build(value: Any) -> Any:
    """
    Return the dataclass a validated model stands for; other values are passed through.

    Raises
    ------
    ValueError
        When the dataclass refuses a value.

    """
    source = getattr(type(value), "__amm500_source__", None)
    if source is not None:
        return source(**{name: build(getattr(value, name)) for name in type(value).model_fields})
    if isinstance(value, tuple):
        return tuple(build(item) for item in value)
    return value
