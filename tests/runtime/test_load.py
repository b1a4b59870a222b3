"""A run file that is wrong says what, where and what is allowed."""

from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic import ConfigDict

from amm500_catalog.errors import InputError
from amm500_nautilus.quoting.config import LadderConfig
from amm500_nautilus.runtime.load import apply_overrides
from amm500_nautilus.runtime.load import read_yaml
from amm500_nautilus.runtime.load import validate
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.models import model_of


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    days: int = 30


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    data: Inner = Inner()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("- a\n- b\n", "holds a list", id="a list"),
        pytest.param("a: [1\n", "is not valid YAML", id="broken"),
    ],
)
def test_an_unusable_file_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        read_yaml(path)
    assert "run.yaml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_yaml(tmp_path / "absent.yaml")


def test_overrides_reach_nested_keys_and_read_yaml_values() -> None:
    raw = apply_overrides({"data": {"days": 30}}, ["data.days=3", "account.equity=2.5", "flag=true"])
    assert raw == {"data": {"days": 3}, "account": {"equity": 2.5}, "flag": True}


@pytest.mark.parametrize(
    "text", ["data.days", "=3", "data.days.deeper=1", "account.private_key=0x1", "data.end=2026-13-45"]
)
def test_a_bad_override_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        apply_overrides({"data": {"days": 30}}, [text])


def test_an_unknown_key_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"run.yaml: unknown key 'data.dais'; allowed: days"):
        validate(Outer, {"data": {"dais": 3}}, "run.yaml")


def test_a_wrong_type_names_key_and_value() -> None:
    with pytest.raises(InputError, match=r"data.days = 'many'"):
        validate(Outer, {"data": {"days": "many"}}, "run.yaml")


def test_a_dataclass_becomes_a_strict_model_and_comes_back() -> None:
    model = model_of(LadderConfig)
    assert build(model()) == LadderConfig()
    with pytest.raises(InputError, match="unknown key 'levls'"):
        validate(model, {"levls": 3}, "run.yaml")
