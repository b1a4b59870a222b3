"""Read a YAML run file, apply ``--set``, and say in one sentence what is wrong with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic import ValidationError

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.node.signer_section import without_keys


SECRET_WORDS = ("secret", "password", "private_key", "passphrase", "token", "key")


def read_yaml(path: Path) -> dict[str, Any]:
    """
    Return the mapping a YAML file holds.

    Raises
    ------
    InputError
        When the file is missing, empty, not YAML, or not a mapping.

    """
    if not path.is_file():
        raise InputError(
            "there is no such file", str(path), "a YAML file, for example configs/xyz100_30d.yaml"
        )
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # an impossible date is a ValueError
        first = str(error).splitlines()
        raise InputError(
            f"is not valid YAML ({' '.join(first)})", str(path), "YAML with a mapping at the top"
        ) from error
    if raw is None:
        raise InputError("the file is empty", str(path), "YAML with a mapping at the top")
    if not isinstance(raw, dict):
        raise InputError(f"holds a {type(raw).__name__}", str(path), "YAML with a mapping at the top")
    return raw


def apply_overrides(raw: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """
    Return the mapping with ``a.b=c`` assignments applied; values are read as YAML.

    Raises
    ------
    InputError
        When an assignment has no ``=``, names a secret, or goes through something that is not a mapping.

    """
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"{text!r} is not an assignment", "--set", "key.subkey=value")
        if any(word in key.lower() for word in SECRET_WORDS):
            raise InputError(
                f"{key} is a secret and is never given on the command line", "--set", "the environment"
            )
        *parents, last = key.split(".")
        target = raw
        for name in parents:
            inner = target.setdefault(name, {})
            if not isinstance(inner, dict):
                raise InputError(f"{name!r} in {key!r} is not a section", "--set", "a key of a section")
            target = inner
        try:
            target[last] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:
            raise InputError(f"{value!r} is not valid YAML", f"--set {key}", "a YAML value") from error
    return raw


def validate[Model: BaseModel](model: type[Model], raw: dict[str, Any], where: str) -> Model:
    """
    Return the validated model.

    Raises
    ------
    InputError
        For the first wrong key: its path, its value, and what is allowed.

    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise InputError(
                f"unknown key {key!r}",
                where,
                ", ".join(_siblings(model, first["loc"])) or "no keys here",
            ) from error
        shown = first.get("input")
        # an address with a name and a password in it is not repeated
        is_hidden = isinstance(shown, dict) or (isinstance(shown, str) and "://" in shown and "@" in shown)
        value = key if is_hidden else f"{key} = {shown!r}"
        message = str(first["msg"]).removeprefix("Value error, ")
        # its context would show the values again
        raise InputError(without_keys(f"{value}: {message}"), where) from None


def _siblings(model: type[BaseModel], loc: Sequence[Any]) -> list[str]:
    """Return the keys allowed where an unknown one was found."""
    current: Any = model
    for part in loc[:-1]:
        field = getattr(current, "model_fields", {}).get(part)
        if field is None:
            continue
        current = _model_in(field.annotation)
    return sorted(getattr(current, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for arg in getattr(annotation, "__args__", ()):
        found = _model_in(arg)
        if found is not None:
            return found
    return None
