"""Read a YAML run file, apply ``--set``, and say in one sentence what is wrong with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic import ValidationError

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.node.signer_section import without_keys
from amm500_nautilus.runtime.patterns import WORDS


MERGE = "tag:yaml.org,2002:merge"
TAGS = "tag:yaml.org,2002:"
# more than any run file repeats; aliases of aliases come to a thousand million in a few hundred bytes
MOST_REPEATED = 10_000
EXAMPLE = "a YAML file, for example configs/xyz100_30d.yaml"
SECRET_WORDS = ("secret", "password", "private_key", "passphrase", "token", "key")


class _Loader(yaml.SafeLoader):
    """YAML's safe types, in which a key stands once."""

    def get_single_node(self) -> yaml.Node | None:
        """Return the document, unless its aliases repeat too much of it."""
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            sizes: dict[int, int] = {}
            if _size(node, sizes) - len(sizes) > MOST_REPEATED:
                raise yaml.composer.ComposerError(
                    None, None, f"its aliases repeat more than {MOST_REPEATED:,} values", node.start_mark
                )
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return what a node stands for; PyYAML lets a tag that does not fit its value fail as it may."""
        try:
            return super().construct_object(node, deep=deep)
        except ValueError as error:  # an impossible date, for one
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None
        except (AttributeError, IndexError, KeyError, TypeError):
            said = f"the value is no {node.tag.removeprefix(TAGS)}"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark) from None


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return how many nodes a node is with its aliases written out; ``sizes`` holds each node once."""
    if id(node) in sizes:
        return sizes[id(node)]
    # one that holds itself is endless; the constructor refuses it
    sizes[id(node)] = 1
    inner: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        inner = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        inner = node.value
    sizes[id(node)] = 1 + sum(_size(part, sizes) for part in inner)
    return sizes[id(node)]


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    """Return a mapping; of a key that stands twice, the first, limits and all, would be dropped in silence."""
    seen: set[Any] = set()
    # the tag may stand before what is no mapping, which is refused below
    for name, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(name, yaml.ScalarNode) or name.tag == MERGE:
            continue
        key = loader.construct_object(name)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} is there twice", name.start_mark
            )
        seen.add(key)
    # whole at once: a mapping that holds itself is then an error, not an endless one
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _parse(text: str) -> Any:
    """
    Return what YAML text holds.

    Raises
    ------
    ValueError
        When it cannot be read; the words repeat no line of it, since one may hold a key.

    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        raise ValueError(without_keys(f"{error.problem or error.context}{at}")) from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """
    Return the mapping a YAML file holds.

    Raises
    ------
    InputError
        When the file is missing, no ordinary file, empty, not YAML, or not a mapping.

    """
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no ordinary file"
            raise InputError(f"is {kind}", str(path), EXAMPLE)
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError("there is no such file", str(path), EXAMPLE) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path), "a readable YAML file") from error
    try:
        raw = _parse(content.decode("utf-8"))
    except ValueError as error:
        raise InputError(
            f"is not valid YAML ({error})", str(path), "YAML with a mapping at the top"
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
        When an assignment has no ``=``, names a secret, or goes through something that is neither a section nor a list's item.

    """
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"{without_keys(repr(text))} is not an assignment", "--set", "key.subkey=value")
        if any(word in key.lower() for word in SECRET_WORDS):
            raise InputError(
                f"{key} is a secret and is never given on the command line", "--set", "the environment"
            )
        try:
            found = _parse(value)
        except ValueError as error:
            shown = without_keys(f"{value!r} is not valid YAML ({error})")
            raise InputError(shown, without_keys(f"--set {key}"), "a YAML value") from error
        _assign(raw, key, found)
    return raw


def _assign(raw: dict[str, Any], key: str, value: Any) -> None:
    """Set ``a.b`` or ``a.0.b``: a number goes into a list that is there."""
    *parents, last = key.split(".")
    target: Any = raw
    for name in parents:
        inner = target[_index(target, name, key)] if isinstance(target, list) else target.setdefault(name, {})
        if not isinstance(inner, dict | list):
            raise InputError(f"{name!r} in {key!r} is not a section", "--set", "a key of a section")
        target = inner
    target[_index(target, last, key) if isinstance(target, list) else last] = value


def _index(items: list[Any], name: str, key: str) -> int:
    if name.isdecimal() and int(name) < len(items):
        return int(name)
    raise InputError(
        f"{name!r} in {key!r} is no item of the list in the run file", "--set", f"0 to {len(items) - 1}"
    )


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
        if first["type"] == "string_pattern_mismatch":
            pattern = str(first["ctx"]["pattern"])
            message = f"allowed: {WORDS.get(pattern, pattern)}"
        if not key or message.startswith(f"{key}."):
            # it names its key itself
            value = ""
        # its context would show the values again
        raise InputError(without_keys(f"{value}: {message}" if value else message), where) from None


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
